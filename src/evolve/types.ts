// The public shape of an optimizer: what it takes, what it gives, what its state holds. Knows nothing about algorithms.

import type { Fault, Result } from "../shared/result.ts";
import type { RngState } from "../shared/rng.ts";

/** Every optimizer of the library. `optimizerRegistry` says when to use which. */
export const optimizerNames = [
  "cholesky-cma",
  "sphere-cma",
  "sep-cma",
  "full-cma",
  "lm-ma",
  "xdream-ga",
  "hessian-cma",
  "random",
] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/** The draws that an optimizer needs. `Rng` is one; a source without `state` works too, but then the optimizer has no state either. */
export interface NormalSource {
  uniform(): number;
  gaussian(): number;
  /** The same values as as many calls of `uniform()`. */
  fillUniform?(out: Float64Array): void;
  /** The same values as as many calls of `gaussian()`. */
  fillGaussian?(out: Float64Array | Float32Array): void;
  state?(): RngState;
}

/** One generation to be shown: latent codes, row-major [count, dim]. Belongs to the receiver. */
export interface Population {
  readonly count: number;
  readonly dim: number;
  readonly data: Float64Array;
}

/**
 * Scores of one generation; larger is better. An array: element i holds the scores of every presentation of individual i
 * (in ask order), empty where no presentation counted. A map: individual index -> scores, filled in any order; absent = missing.
 */
export type Responses = readonly (readonly number[])[] | ReadonlyMap<number, readonly number[]>;

/** What a generation's scores were and what they did. Arrays have one element for each individual, in ask order. */
export interface TellReport {
  /** The generation that was scored, 0-based. */
  readonly generation: number;
  /**
   * Did the search distribution change? If not, the next generation is drawn from the same one and `heldBecause` says why (null for random
   * search, which never moves).
   */
  readonly updated: boolean;
  readonly heldBecause: null | "equalScores" | "tooFewScores";
  /** Mean over presentations; NaN where missing. */
  readonly scores: Float64Array;
  /** Standard error of that mean over presentations; NaN with fewer than two. */
  readonly standardErrors: Float64Array;
  readonly presentationCounts: Uint32Array;
  readonly missing: number;
  /** Mean and standard error over the individuals that have a score; NaN without one (the error: with fewer than two). */
  readonly meanScore: number;
  readonly semScore: number;
  /** Individual with the highest score (the first of equals); null without scores. A noisy maximum is not a result. */
  readonly bestIndex: number | null;
  readonly bestScore: number;
  /**
   * Noise of one presentation, from repeated presentations: the pooled standard deviation within individuals, and that of the
   * true scores between individuals (the within part taken off); null where fewer than two individuals were repeated.
   */
  readonly noise: { readonly withinSd: number; readonly betweenSd: number } | null;
  /** After the update. */
  readonly stepSize: number;
}

/** What generators need of the codes. Norms are those of the whole code, fixed part included. */
export interface Constraints {
  /** Codes longer than this are shortened to it. */
  readonly normCap?: number;
  /** All codes have this norm. Excludes `normCap`. */
  readonly fixedNorm?: number;
  /** Coordinates stay inside [min, max]. Excludes the norms. */
  readonly box?: { readonly min: number; readonly max: number };
  /** Only coordinates [begin, end) evolve; the others stay at the start code. */
  readonly subspace?: { readonly begin: number; readonly end: number };
}

/**
 * Curvature of a generator's image metric: the leading eigenvalues (positive, largest first) and their eigenvectors as rows,
 * row-major [eigenvalues.length, dim of the evolved part].
 */
export interface HessianBasis {
  readonly eigenvalues: Float64Array;
  readonly eigenvectors: Float64Array;
}

export type OptionValue = number | string;
export type OptionValues = Readonly<Record<string, OptionValue>>;

export interface CreateOptimizer {
  readonly name: string;
  /** Length of a latent code. */
  readonly dim: number;
  /** Options by the names in the registry; what is left out takes its default. */
  readonly options?: OptionValues;
  /** Exactly one of `seed` and `rng`. The optimizer owns the generator from here on. */
  readonly seed?: number | string;
  readonly rng?: NormalSource;
  /** Start code, length dim; left out: zeros. */
  readonly start?: ArrayLike<number>;
  readonly constraints?: Constraints;
  /** For hessian-cma, which needs it. */
  readonly basis?: HessianBasis;
}

export type StateValue = number | string | boolean | null | Float64Array | Uint32Array | readonly StateValue[] | { readonly [key: string]: StateValue };
export type StateRecord = { readonly [key: string]: StateValue };

/**
 * An optimizer between two generations, as plain data: with it and nothing else (hessian-cma: and its basis) the evolution goes
 * on bit for bit. Taken between ask and tell it is the state before that ask: asking again gives the same population.
 */
export interface OptimizerState {
  readonly format: "evoked-optimizer";
  readonly version: number;
  readonly name: OptimizerName;
  readonly dim: number;
  readonly options: OptionValues;
  readonly constraints: Constraints;
  readonly start: Float64Array;
  /** Fingerprint of the Hessian basis, "" without one. */
  readonly basisFingerprint: string;
  readonly generation: number;
  readonly evaluations: number;
  readonly rng: RngState;
  /** What the algorithm itself keeps. */
  readonly strategy: StateRecord;
}

/** An evolution: ask for a population, tell its scores, ask for the next. All scores are maximised. */
export interface Optimizer {
  readonly name: OptimizerName;
  readonly dim: number;
  /** Options in force, defaults filled in. */
  readonly options: OptionValues;
  readonly constraints: Constraints;
  /** Generations told so far = number of the generation that `ask` gives, 0-based. */
  readonly generation: number;
  /** Presentations told so far. */
  readonly evaluations: number;
  /** Individuals of an ordinary generation. The first may be smaller (cholesky-cma: the start code alone) and sphere-cma adds its centre: take `ask().count`. */
  readonly populationSize: number;
  /** The population of this generation; the same object until `tell`. */
  ask(): Population;
  /**
   * Scores of the population that `ask` gave. On a fault nothing has changed and tell may be called again.
   * Errors: `tellBeforeAsk`, `scoreCountWrong`, `scoreIndexUnknown`, `scoreNotANumber`, `scoreNotFinite`.
   */
  tell(responses: Responses): Result<TellReport, Fault>;
  /** Throws where the optimizer was given a source of draws that has no state. */
  state(): OptimizerState;
  /** The mean of the search distribution as a latent code, length dim, constraints applied: what to report and re-present. */
  mean(): Float64Array;
  /** Overall step size, in latent units (sphere-cma: in radians). */
  stepSize(): number;
}
