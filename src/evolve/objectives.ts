// Test objectives: the classic functions and a synthetic neuron, all to be maximised. Knows nothing about optimizers or noise.

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng } from "../shared/rng.ts";
import type { Rng } from "../shared/rng.ts";
import type { HessianBasis } from "./types.ts";

export const objectiveNames = ["sphere", "ellipsoid", "rosenbrock", "neuron"] as const;
export type ObjectiveName = (typeof objectiveNames)[number];

export interface ObjectiveEntry {
  readonly name: ObjectiveName;
  readonly title: string;
  readonly equation: string;
}

export const objectiveRegistry: readonly ObjectiveEntry[] = [
  { name: "sphere", title: "Sphere", equation: "-sum (x_i - t_i)^2, t standard normal" },
  { name: "ellipsoid", title: "Ellipsoid", equation: "-sum a_i (x_i - t_i)^2, a evenly spaced from 1 to 30, t standard normal" },
  { name: "rosenbrock", title: "Rosenbrock", equation: "-sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2" },
  { name: "neuron", title: "Synthetic neuron", equation: "5 + 95 max(0, u.t) / sqrt(4^2 sum w + |u|^2) spikes/s, u = sqrt(w) (Q x), w_i = 1/i, Q a random rotation, t a random unit vector" },
];

export interface Objective {
  readonly name: ObjectiveName;
  readonly dim: number;
  /** The clean score of one code of length dim. */
  score(code: Float64Array): number;
  /** The highest score there is. */
  readonly best: number;
  /** Is every score a rate, zero or more (as Poisson noise needs)? */
  readonly isRate: boolean;
  /** The leading directions of the objective's own metric, for hessian-cma; null where it has no fixed one. */
  readonly metric: ((directions: number) => HessianBasis) | null;
}

/** One seed, one objective. Errors: `objectiveUnknown`, `dimensionInvalid`. */
export function createObjective(request: { readonly name: string; readonly dim: number; readonly seed: number | string }): Result<Objective, Fault> {
  const { dim } = request;
  const name = objectiveNames.find((known) => known === request.name);
  if (name === undefined) {
    return fault("objectiveUnknown", `There is no objective "${request.name}". Choose one of ${objectiveNames.join(", ")}.`);
  }
  if (!Number.isInteger(dim) || dim < 2) return fault("dimensionInvalid", `Expected at least 2 dimensions, got ${dim}.`);
  const rng = createRng(request.seed).fork("objective");
  switch (name) {
    case "sphere":
      return ok(createQuadratic(name, dim, rng, () => 1));
    case "ellipsoid":
      return ok(createQuadratic(name, dim, rng, (i) => 1 + (29 * i) / (dim - 1)));
    case "rosenbrock":
      return ok(createRosenbrock(dim));
    case "neuron": {
      const neuron = createSyntheticNeuron({ dim, rng });
      return ok({ name, dim, score: neuron.rate, best: neuron.peakHz, isRate: true, metric: neuron.metric });
    }
  }
}

function createQuadratic(name: ObjectiveName, dim: number, rng: Rng, curvature: (i: number) => number): Objective {
  const target = new Float64Array(dim);
  rng.fillGaussian(target);
  const curvatures = Float64Array.from({ length: dim }, (_, i) => curvature(i));
  return {
    name,
    dim,
    score(code) {
      let sum = 0;
      for (let i = 0; i < dim; i++) sum += curvatures[i]! * (code[i]! - target[i]!) ** 2;
      return 0 - sum; // not -sum, which is -0 at the optimum
    },
    best: 0,
    isRate: false,
    metric(directions) {
      const order = Array.from({ length: dim }, (_, i) => i).sort((a, b) => curvatures[b]! - curvatures[a]! || a - b);
      const eigenvectors = new Float64Array(directions * dim);
      for (let k = 0; k < directions; k++) eigenvectors[k * dim + order[k]!] = 1;
      return { eigenvalues: Float64Array.from({ length: directions }, (_, k) => curvatures[order[k]!]!), eigenvectors };
    },
  };
}

function createRosenbrock(dim: number): Objective {
  return {
    name: "rosenbrock",
    dim,
    score(code) {
      let sum = 0;
      for (let i = 0; i + 1 < dim; i++) sum += 100 * (code[i + 1]! - code[i]! ** 2) ** 2 + (1 - code[i]!) ** 2;
      return 0 - sum; // not -sum, which is -0 at the optimum
    },
    best: 0,
    isRate: false,
    metric: null,
  };
}

// ---------------------------------------------------------------------------------------------------------------
// The synthetic neuron

export interface SyntheticNeuron {
  /** Firing rate for a latent code, spikes/s. */
  rate(code: Float64Array): number;
  /** Rate at the preferred direction with unlimited contrast. */
  readonly peakHz: number;
  /** Participation ratio of the metric's eigenvalues, (sum w)^2 / sum w^2: how many dimensions matter. */
  readonly effectiveDim: number;
  /** The coordinates in which the neuron sees: u = sqrt(w) * (Q x), length dim. */
  see(code: Float64Array): Float64Array;
  /** The leading eigenvalues w_i of the image metric and their eigenvectors, the rows of Q. */
  metric(directions: number): HessianBasis;
}

/**
 * A neuron as an evolution meets it behind a generator. A code x is turned by a random rotation Q, and its coordinates are weighted by the square
 * roots of w_i = 1/i, the spectrum of an image metric in which few of many directions change the image: u = sqrt(w) (Q x). With a preferred
 * direction t (a unit vector drawn with the same spectrum),
 *   rate = baseline + (peak - baseline) max(0, u.t) / sqrt(c50^2 sum w + |u|^2):
 * a rectified linear drive, divided by the contrast of the whole image (the normalisation model, Carandini & Heeger 2012). The zero code (grey) gives
 * the baseline; far from the origin the rate follows the angle to the preferred direction alone.
 */
export function createSyntheticNeuron({
  dim,
  rng,
  baselineHz = 5,
  peakHz = 100,
  c50 = 4,
}: {
  readonly dim: number;
  readonly rng: Rng;
  readonly baselineHz?: number;
  readonly peakHz?: number;
  /**
   * Root mean square of a code (over the metric) at which the best direction gives 71 % of the peak, latent units. 4 is a norm of 256 in 4096
   * dimensions, about that of DeePSiM's ordinary codes.
   */
  readonly c50?: number;
}): SyntheticNeuron {
  const rotation = createRotation(dim, rng.fork("rotation"));
  const weights = Float64Array.from({ length: dim }, (_, i) => 1 / (i + 1));
  const roots = weights.map(Math.sqrt);
  const weightSum = weights.reduce((sum, w) => sum + w, 0);
  const preferred = new Float64Array(dim);
  rng.fork("preferred").fillGaussian(preferred);
  let squares = 0;
  for (let i = 0; i < dim; i++) {
    preferred[i] = preferred[i]! * roots[i]!;
    squares += preferred[i]! ** 2;
  }
  for (let i = 0; i < dim; i++) preferred[i] = preferred[i]! / Math.sqrt(squares);

  function see(code: Float64Array): Float64Array {
    const seen = rotation.turn(code);
    for (let i = 0; i < dim; i++) seen[i] = seen[i]! * roots[i]!;
    return seen;
  }

  return {
    rate(code) {
      const seen = see(code);
      let along = 0;
      let length = 0;
      for (let i = 0; i < dim; i++) {
        along += seen[i]! * preferred[i]!;
        length += seen[i]! * seen[i]!;
      }
      if (along <= 0) return baselineHz;
      return baselineHz + ((peakHz - baselineHz) * along) / Math.sqrt(c50 * c50 * weightSum + length);
    },
    peakHz,
    effectiveDim: weightSum ** 2 / weights.reduce((sum, w) => sum + w * w, 0),
    see,
    metric(directions) {
      const eigenvectors = new Float64Array(directions * dim);
      for (let k = 0; k < directions; k++) {
        const axis = new Float64Array(dim);
        axis[k] = 1;
        eigenvectors.set(rotation.turnBack(axis), k * dim);
      }
      return { eigenvalues: weights.slice(0, directions), eigenvectors };
    },
  };
}

interface Rotation {
  turn(code: Float64Array): Float64Array;
  turnBack(code: Float64Array): Float64Array;
}

/**
 * A random rotation in O(dim log dim): ceil(log2 dim) layers, each a random pairing of the coordinates and a random angle for each pair. No matrix,
 * and yet every coordinate of the result depends on about every coordinate of the argument.
 */
function createRotation(dim: number, rng: Rng): Rotation {
  const pairCount = Math.floor(dim / 2);
  const layers = Array.from({ length: Math.ceil(Math.log2(dim)) }, () => ({
    order: Uint32Array.from(rng.shuffle(Array.from({ length: dim }, (_, i) => i))),
    cosines: new Float64Array(pairCount),
    sines: new Float64Array(pairCount),
  }));
  for (const { cosines, sines } of layers) {
    for (let p = 0; p < pairCount; p++) {
      const angle = 2 * Math.PI * rng.uniform();
      cosines[p] = Math.cos(angle);
      sines[p] = Math.sin(angle);
    }
  }
  const backLayers = layers.map((layer) => ({ ...layer, sines: layer.sines.map((sine) => -sine) })).reverse();

  function turnBy(steps: typeof layers, code: Float64Array): Float64Array {
    const turned = Float64Array.from(code);
    for (const { order, cosines, sines } of steps) {
      for (let p = 0; p < pairCount; p++) {
        const a = order[2 * p]!;
        const b = order[2 * p + 1]!;
        const x = turned[a]!;
        const y = turned[b]!;
        turned[a] = cosines[p]! * x - sines[p]! * y;
        turned[b] = sines[p]! * x + cosines[p]! * y;
      }
    }
    return turned;
  }
  return { turn: (code) => turnBy(layers, code), turnBack: (code) => turnBy(backLayers, code) };
}
