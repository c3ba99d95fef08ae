// The contract between the ask/tell shell (optimizer.ts) and the algorithms: a strategy sees the evolved coordinates only, complete
// scores or NaN, and no constraints, presentations or generations' book-keeping. Also reads saved strategies back.

import { FaultError } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { HessianBasis, NormalSource, OptimizerName, OptionValues, StateRecord, StateValue } from "./types.ts";

/** One population in the evolved coordinates: codes row-major [count, dim]. The strategy writes over them at its next draw. */
export interface Draw {
  readonly count: number;
  readonly codes: Float64Array;
}

/** A population as it was shown (constraints applied) with one score each; NaN = missing. */
export interface ScoredDraw extends Draw {
  readonly scores: Float64Array;
}

/** "fixed": the algorithm never moves its distribution (random search). */
export type UpdateOutcome = "updated" | "fixed" | "equalScores" | "tooFewScores";

export interface Strategy {
  readonly populationSize: number;
  /** Draws the next population; its own between-generation state stays as it is, so that the same draws give the same population again. */
  draw(source: NormalSource): Draw;
  /** Moves the distribution by the scores of the newest draw. Nothing changes unless it returns "updated". */
  update(scored: ScoredDraw): UpdateOutcome;
  mean(): Float64Array;
  stepSize(): number;
  /** Between-generation state; arrays are copies. */
  save(): StateRecord;
}

export interface StrategySetup {
  /** Number of evolved coordinates. */
  readonly dim: number;
  readonly options: OptionReader;
  /** Start code, evolved coordinates. */
  readonly start: Float64Array;
  readonly basis: HessianBasis | null;
  /** Puts a recombined mean back into the constraints, in place. */
  readonly constrain: (code: Float64Array) => void;
  /** A state that `save` gave; null for a new evolution. A damaged one throws a FaultError. */
  readonly saved: StateReader | null;
}

export type OptionSpec =
  | {
      readonly kind: "number" | "integer";
      readonly name: string;
      readonly unit: string;
      /** null: follows the dimension or another option, as `defaultRule` says. */
      readonly default: number | null;
      readonly defaultRule: string;
      readonly min: number;
      readonly max: number;
      readonly description: string;
    }
  | {
      readonly kind: "choice";
      readonly name: string;
      readonly unit: "";
      readonly default: string;
      readonly defaultRule: string;
      readonly choices: readonly string[];
      readonly description: string;
    };

export interface OptimizerEntry {
  readonly name: OptimizerName;
  readonly title: string;
  readonly whenToUse: string;
  /** Papers and programs that the exact form comes from. */
  readonly source: string;
  /** Smallest and largest number of evolved coordinates; dimMax null without a limit. */
  readonly dimMin: number;
  readonly dimMax: number | null;
  readonly options: readonly OptionSpec[];
}

/** What a default may follow. */
export interface DefaultsContext {
  /** Number of evolved coordinates. */
  readonly dim: number;
  /** Directions of the Hessian basis; null without one. */
  readonly directions: number | null;
  readonly given: OptionValues;
}

export interface Algorithm {
  readonly entry: OptimizerEntry;
  /** Defaults of the options whose `default` is null. */
  derivedDefaults(context: DefaultsContext): Readonly<Record<string, number>>;
  create(setup: StrategySetup): Result<Strategy, Fault>;
}

/** Options after the registry has checked them: reading one that the algorithm does not declare is a bug. */
export interface OptionReader {
  number(name: string): number;
  choice(name: string): string;
}

export function readOptions(options: OptionValues): OptionReader {
  return {
    number(name) {
      const value = options[name];
      if (typeof value !== "number") throw new Error(`expected a number in option ${name}, got ${String(value)}`);
      return value;
    },
    choice(name) {
      const value = options[name];
      if (typeof value !== "string") throw new Error(`expected a choice in option ${name}, got ${String(value)}`);
      return value;
    },
  };
}

/** Reads a saved strategy field by field; a field that is missing, of another type or another length throws a FaultError. */
export interface StateReader {
  number(name: string): number;
  array(name: string, length: number): Float64Array;
  /** An array whose length is a multiple of `unit`. */
  rows(name: string, unit: number): Float64Array;
}

export function readState(record: StateRecord): StateReader {
  function damaged(name: string, expected: string, got: StateValue | undefined): never {
    const found = got instanceof Float64Array ? `${got.length} numbers` : typeof got;
    throw new FaultError({
      code: "stateDamaged",
      message: `The saved optimizer is damaged: expected ${expected} in "${name}", got ${found}. Resume from an earlier generation.`,
    });
  }
  return {
    number(name) {
      const value = record[name];
      return typeof value === "number" && Number.isFinite(value) ? value : damaged(name, "a finite number", value);
    },
    array(name, length) {
      const value = record[name];
      return value instanceof Float64Array && value.length === length ? value.slice() : damaged(name, `${length} numbers`, value);
    },
    rows(name, unit) {
      const value = record[name];
      return value instanceof Float64Array && value.length % unit === 0 ? value.slice() : damaged(name, `rows of ${unit} numbers`, value);
    },
  };
}

/** Standard normals into `out`, the same values whether or not the source has a fast way. */
export function fillNormals(source: NormalSource, out: Float64Array): void {
  if (source.fillGaussian !== undefined) source.fillGaussian(out);
  else for (let i = 0; i < out.length; i++) out[i] = source.gaussian();
}

/** Uniform draws in [0, 1) into `out`, the same values whether or not the source has a fast way. */
export function fillUniforms(source: NormalSource, out: Float64Array): void {
  if (source.fillUniform !== undefined) source.fillUniform(out);
  else for (let i = 0; i < out.length; i++) out[i] = source.uniform();
}

/** E||N(0, I)|| in dim dimensions, by its expansion (Hansen 2016, section B). */
export function expectedNormalNorm(dim: number): number {
  return Math.sqrt(dim) * (1 - 1 / (4 * dim) + 1 / (21 * dim * dim));
}

/** Options that several algorithms share. */
export const populationOption = (rule: string, fallback: number | null = null): OptionSpec => ({
  kind: "integer",
  name: "population",
  unit: "individuals",
  default: fallback,
  defaultRule: rule,
  min: 4,
  max: 10_000,
  description: "Individuals shown in each generation.",
});

export const stepSizeOption = (fallback = 3, rule = "of the generator: 3 for DeePSiM fc6, 0.2 for BigGAN"): OptionSpec => ({
  kind: "number",
  name: "stepSize",
  unit: "latent units",
  default: fallback,
  defaultRule: rule,
  min: 1e-12,
  max: 1e12,
  description: "Standard deviation of the first samples around the start code.",
});
