// Noise of single presentations: none, multiplicative, Poisson counts in a window. Knows nothing about what is scored.

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { Rng } from "../shared/rng.ts";

export type NoiseModel =
  | { readonly kind: "none" }
  /** score (1 + fraction z), z standard normal (Wang & Ponce 2022: 0.2 and 0.5). */
  | { readonly kind: "mult"; readonly fraction: number }
  /** Spikes counted in a window of this length, divided by it. */
  | { readonly kind: "poisson"; readonly windowS: number };

/** `none`, `mult:0.2` or `poisson:0.15`. Errors: `noiseInvalid`. */
export function parseNoise(text: string): Result<NoiseModel, Fault> {
  if (text === "none") return ok({ kind: "none" });
  const [kind, figure, ...rest] = text.split(":");
  const value = figure === undefined || figure.trim() === "" ? Number.NaN : Number(figure);
  if (rest.length === 0 && Number.isFinite(value)) {
    if (kind === "mult" && value >= 0) return ok({ kind, fraction: value });
    if (kind === "poisson" && value > 0) return ok({ kind, windowS: value });
  }
  return fault("noiseInvalid", `Expected the noise none, mult:FRACTION (as mult:0.2) or poisson:WINDOW_SECONDS (as poisson:0.15), got "${text}".`);
}

/** One presentation's score. A negative rate under Poisson noise is a bug of the caller. */
export function addNoise(clean: number, noise: NoiseModel, rng: Rng): number {
  switch (noise.kind) {
    case "none":
      return clean;
    case "mult":
      return clean * (1 + noise.fraction * rng.gaussian());
    case "poisson":
      return drawPoisson(clean * noise.windowS, rng) / noise.windowS;
  }
}

/** A Poisson count. Sums of independent counts are Poisson counts, so a large mean is drawn in parts that exp(-mean) can represent. */
export function drawPoisson(mean: number, rng: Rng): number {
  if (!(mean >= 0 && mean < 1e7)) throw new Error(`expected a mean count from 0 to 1e7, got ${mean}`);
  let count = 0;
  for (let left = mean; left > 0; left -= 30) {
    // Knuth: the number of uniform factors until their product falls below exp(-mean).
    const limit = Math.exp(-Math.min(left, 30));
    for (let product = rng.uniform(); product > limit; product *= rng.uniform()) count++;
  }
  return count;
}
