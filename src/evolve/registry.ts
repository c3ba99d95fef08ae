// The one list of optimizers: which there are, when to use which, their options with defaults, units and ranges, from which forms and help are
// made; and defaults that follow the generator and the noise. Knows nothing about forms or command lines.

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { choleskyCma } from "./algorithms/choleskyCma.ts";
import { fullCma } from "./algorithms/fullCma.ts";
import { hessianCma } from "./algorithms/hessianCma.ts";
import { lmMa } from "./algorithms/lmMa.ts";
import { randomSearch } from "./algorithms/randomSearch.ts";
import { sepCma } from "./algorithms/sepCma.ts";
import { sphereCma } from "./algorithms/sphereCma.ts";
import { xdreamGa } from "./algorithms/xdreamGa.ts";
import type { Algorithm, DefaultsContext, OptimizerEntry } from "./strategy.ts";
import type { OptimizerName, OptionValues } from "./types.ts";

const algorithms: readonly Algorithm[] = [choleskyCma, sphereCma, sepCma, fullCma, lmMa, hessianCma, xdreamGa, randomSearch];

/** In the order in which a form should offer them. */
export const optimizerRegistry: readonly OptimizerEntry[] = algorithms.map((algorithm) => algorithm.entry);

/** Errors: `optimizerUnknown`. */
export function findAlgorithm(name: string): Result<Algorithm, Fault> {
  const found = algorithms.find((algorithm) => algorithm.entry.name === name);
  if (found !== undefined) return ok(found);
  return fault("optimizerUnknown", `There is no optimizer "${name}". Choose one of ${optimizerRegistry.map((entry) => entry.name).join(", ")}.`);
}

/**
 * Checks options against the registry and fills in what is left out.
 * Errors: `optionUnknown`, `optionInvalid`.
 */
export function resolveOptions(algorithm: Algorithm, context: DefaultsContext): Result<OptionValues, Fault> {
  const { entry } = algorithm;
  const { given } = context;
  const specs = new Map(entry.options.map((spec) => [spec.name, spec]));
  for (const name of Object.keys(given)) {
    if (!specs.has(name)) {
      return fault("optionUnknown", `${entry.title} has no option "${name}". It has ${[...specs.keys()].join(", ") || "none"}.`);
    }
  }
  for (const spec of entry.options) {
    const value = given[spec.name];
    if (value === undefined) continue;
    if (spec.kind === "choice") {
      if (typeof value !== "string" || !spec.choices.includes(value)) {
        return fault("optionInvalid", `Expected one of ${spec.choices.join(", ")} in the option "${spec.name}" of ${entry.title}, got ${value}.`);
      }
    } else if (typeof value !== "number" || !(value >= spec.min && value <= spec.max) || (spec.kind === "integer" && !Number.isInteger(value))) {
      const expected = spec.kind === "integer" ? "a whole number" : "a number";
      const unit = spec.unit === "" ? "" : ` ${spec.unit}`;
      return fault("optionInvalid", `Expected ${expected} from ${spec.min} to ${spec.max}${unit} in the option "${spec.name}" of ${entry.title}, got ${value}.`);
    }
  }
  const derived = algorithm.derivedDefaults(context);
  const resolved: Record<string, number | string> = {};
  for (const spec of entry.options) {
    const value = given[spec.name] ?? spec.default ?? derived[spec.name];
    if (value === undefined) throw new Error(`expected ${entry.name} to derive a default for ${spec.name}`);
    resolved[spec.name] = value;
  }
  return ok(resolved);
}

/** What a form knows of a generator (shared/manifest.ts) before an evolution starts. */
export interface GeneratorFacts {
  readonly latentDim: number;
  /** Step size to start with, latent units. */
  readonly initialStepSize: number;
  /** Norm that ordinary images have; a cap where an optimizer needs one. */
  readonly typicalNorm?: number;
}

/**
 * How noisy single presentations are: the share of the variance of single-presentation scores, over images and repeats, that is not the
 * image's. "none" in silico; "high" in most recordings.
 */
export type NoiseLevel = "none" | "low" | "high";

export interface OptimizerDefaults {
  readonly name: OptimizerName;
  /** Why this one. */
  readonly because: string;
  readonly options: OptionValues;
  readonly normCap: number | null;
}

/** A default that follows the generator and the noise. */
export function defaultsFor(generator: GeneratorFacts, noise: NoiseLevel): OptimizerDefaults {
  void noise;
  return { name: "cholesky-cma", because: "", options: { stepSize: generator.initialStepSize }, normCap: null };
}
