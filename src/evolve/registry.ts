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
import type { Constraints, OptimizerName, OptionValues } from "./types.ts";

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
  /** Norm that ordinary images have. */
  readonly typicalNorm?: number;
  /** A family whose published settings differ from the general rule. */
  readonly family?: "deepsim" | "biggan";
}

/**
 * How noisy a single presentation's score is. "none": in silico. "low": the images explain most of the variance of single presentations.
 * "high": noise explains more of it than the images, as in most recordings.
 */
export type NoiseLevel = "none" | "low" | "high";

/** The level that repeated presentations show (TellReport.noise). The limits 0.05 and 0.5 are shares of noise in the variance of single presentations. */
export function noiseLevelOf({ withinSd, betweenSd }: { readonly withinSd: number; readonly betweenSd: number }): NoiseLevel {
  const total = withinSd ** 2 + betweenSd ** 2;
  const share = total === 0 ? 0 : withinSd ** 2 / total;
  return share < 0.05 ? "none" : share < 0.5 ? "low" : "high";
}

/** A part of a code that can evolve alone, with the step size that the lab starts it with. */
export interface CodePart {
  readonly name: string;
  readonly title: string;
  readonly subspace: { readonly begin: number; readonly end: number };
  readonly stepSize: number;
}

/** The parts of a generator's code; empty where it has none. BigGAN: PonceLab/circuit_toolkit, CholCMA_noise and CholCMA_class. */
export function codePartsOf(generator: GeneratorFacts): readonly CodePart[] {
  if (generator.family !== "biggan") return [];
  const half = generator.latentDim / 2;
  return [
    { name: "noise", title: "Noise only", subspace: { begin: 0, end: half }, stepSize: 0.3 },
    { name: "class", title: "Class embedding only", subspace: { begin: half, end: generator.latentDim }, stepSize: 0.06 },
  ];
}

/** What an optimizer should start with on a generator; options that are left out keep their registry default. */
export interface OptimizerSetup {
  readonly options: OptionValues;
  readonly constraints: Constraints;
}

export interface OptimizerDefaults {
  /** The optimizer to offer first, and why. */
  readonly name: OptimizerName;
  readonly because: string;
  /** Every optimizer's start, for a form in which the user chooses another. */
  readonly setups: Readonly<Record<OptimizerName, OptimizerSetup>>;
}

/** Up to here a session of some 30 generations has the evaluations to learn a full covariance matrix: a choice made on the built-in 64-d generator, not a published limit. */
const fullCovarianceDimMax = 128;

/** A default that follows the generator and the noise. */
export function defaultsFor({ generator, noise }: { readonly generator: GeneratorFacts; readonly noise: NoiseLevel }): OptimizerDefaults {
  const { initialStepSize: stepSize, typicalNorm, family, latentDim } = generator;
  const free = { options: { stepSize }, constraints: {} };
  const setups: Record<OptimizerName, OptimizerSetup> = {
    "cholesky-cma": free,
    // 300 for DeePSiM's step size of 3.
    "sphere-cma": { options: { radius: typicalNorm ?? 100 * stepSize }, constraints: {} },
    "sep-cma": { options: { stepSize }, constraints: typicalNorm === undefined ? {} : { normCap: typicalNorm } },
    "full-cma": free,
    "lm-ma": free,
    "hessian-cma": { options: family === "deepsim" ? { stepSize: 0.8, exponent: 0.2 } : { stepSize }, constraints: {} },
    // 0.75 and 1 for DeePSiM's step size of 3.
    "xdream-ga": { options: { mutationSize: stepSize / 4, initialSpread: stepSize / 3 }, constraints: {} },
    random: free,
  };
  // DeePSiM-like codes: many coordinates, and a code's length changes the image's contrast more than its content.
  const lengthIsFree = family === "deepsim" || (family === undefined && latentDim >= 1000);
  if (noise === "none" && lengthIsFree) {
    return { name: "sphere-cma", because: "Without noise Sphere CMA-ES climbed highest of the published optimizers on this kind of generator.", setups };
  }
  if (noise === "none") {
    return { name: "cholesky-cma", because: "The length of this generator's codes matters to the image, so the search should not be held on a sphere.", setups };
  }
  if (latentDim <= fullCovarianceDimMax) {
    return { name: "full-cma", because: "With so few coordinates the whole covariance is learnt within the generations of a session.", setups };
  }
  return noise === "low"
    ? { name: "cholesky-cma", because: "With some noise Cholesky, separable and Sphere CMA-ES do about equally well as published; Cholesky CMA-ES needs no knowledge of the codes' length.", setups }
    : { name: "cholesky-cma", because: "With much noise Cholesky and separable CMA-ES lose least as published; Cholesky CMA-ES needs no knowledge of the codes' length.", setups };
}
