// The ask/tell shell around every algorithm: presentations to scores, missing scores, constraints and subspaces, generations, and the state that
// resumes bit for bit. Knows nothing about images, rigs or storage.

import { FaultError, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng, parseRngState, restoreRng } from "../shared/rng.ts";
import type { RngState } from "../shared/rng.ts";
import { compileConstraints } from "./constraints.ts";
import { decodeValue, encodeValue, newer } from "./encoding.ts";
import { norm } from "./linear.ts";
import { findAlgorithm, resolveOptions } from "./registry.ts";
import { readOptions, readState } from "./strategy.ts";
import type { Algorithm, Draw, UpdateOutcome } from "./strategy.ts";
import type {
  Constraints,
  CreateOptimizer,
  HessianBasis,
  NormalSource,
  Optimizer,
  OptimizerState,
  OptionValues,
  Population,
  Responses,
  StateRecord,
  StateValue,
  TellReport,
} from "./types.ts";

/** Version of the state's content. Raise it when an older program could not go on from a newer state. */
export const stateVersion = 1;

/**
 * Starts an evolution. Errors: `optimizerUnknown`, `dimensionInvalid`, `dimensionTooLarge`, `optionUnknown`, `optionInvalid`, `seedMissing`,
 * `startWrongLength`, `startNotFinite`, `constraintInvalid`, `constraintUnmet`, `basisMissing`, `basisInvalid`.
 */
export function createOptimizer(request: CreateOptimizer): Result<Optimizer, Fault> {
  const found = findAlgorithm(request.name);
  if (!found.ok) return found;
  const { dim } = request;
  if (!Number.isInteger(dim) || dim < 1) return fault("dimensionInvalid", `Expected the length of a latent code, a whole number from 1, got ${dim}.`);
  if ((request.seed === undefined) === (request.rng === undefined)) {
    return fault("seedMissing", "Expected either a seed or a random generator for the optimizer, got both or neither.");
  }
  if (typeof request.seed === "number" && !Number.isFinite(request.seed)) return fault("seedMissing", `Expected a finite seed, got ${request.seed}.`);
  const source = request.rng ?? createRng(request.seed ?? 0);
  const start = parseStart(request.start, dim);
  if (!start.ok) return start;
  return build({
    algorithm: found.value,
    dim,
    given: request.options ?? {},
    constraints: request.constraints ?? {},
    start: start.value,
    basis: request.basis ?? null,
    source,
    saved: null,
  });
}

/**
 * Goes on from a state. `dim`, where given, must be that of the state; `basis` is needed for hessian-cma and must be the one it started with.
 * Errors: `stateNewer`, `stateDamaged`, `stateOtherDimension`, `basisMissing`, `basisInvalid`, `basisOther`, and those of createOptimizer.
 */
export function restoreOptimizer(
  state: OptimizerState,
  expected: { readonly dim?: number; readonly basis?: HessianBasis } = {},
): Result<Optimizer, Fault> {
  const { format, version } = state;
  if (format !== "evoked-optimizer") return fault("stateDamaged", `Expected the state of an optimizer, got the format ${String(format)}.`);
  if (version > stateVersion) return newer(version, stateVersion);
  if (expected.dim !== undefined && expected.dim !== state.dim) {
    return fault("stateOtherDimension", `The saved optimizer evolves codes of length ${state.dim}, the generator takes codes of length ${expected.dim}. Choose the generator of that session.`);
  }
  const found = findAlgorithm(state.name);
  if (!found.ok) return found;
  const rngState = parseRngState(state.rng);
  if (!rngState.ok) return rngState;
  if (state.start.length !== state.dim) {
    return fault("stateDamaged", `The saved optimizer is damaged: its start code has ${state.start.length} numbers of ${state.dim}. Resume from an earlier generation.`);
  }
  if (!isCount(state.generation) || !isCount(state.evaluations)) {
    return fault("stateDamaged", "The saved optimizer is damaged: its generation number is not a whole number. Resume from an earlier generation.");
  }
  if (expected.basis !== undefined && state.basisFingerprint !== "" && fingerprintBasis(expected.basis) !== state.basisFingerprint) {
    return fault("basisOther", "The Hessian basis is not the one that this evolution started with. Choose the basis of that session.");
  }
  try {
    return build({
      algorithm: found.value,
      dim: state.dim,
      given: state.options,
      constraints: state.constraints,
      start: state.start.slice(),
      basis: expected.basis ?? null,
      source: restoreRng(rngState.value),
      saved: state,
    });
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  }
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function parseStart(start: ArrayLike<number> | undefined, dim: number): Result<Float64Array, Fault> {
  if (start === undefined) return ok(new Float64Array(dim));
  if (start.length !== dim) return fault("startWrongLength", `Expected a start code of length ${dim}, got ${start.length} numbers. Choose a code of this generator.`);
  const code = Float64Array.from(start);
  const broken = code.findIndex((value) => !Number.isFinite(value));
  if (broken >= 0) return fault("startNotFinite", `Coordinate ${broken} of the start code is ${code[broken]}; all must be finite.`);
  return ok(code);
}

interface BuildRequest {
  readonly algorithm: Algorithm;
  readonly dim: number;
  readonly given: OptionValues;
  readonly constraints: Constraints;
  readonly start: Float64Array;
  readonly basis: HessianBasis | null;
  readonly source: NormalSource;
  readonly saved: OptimizerState | null;
}

function build({ algorithm, dim, given, constraints, start, basis, source, saved }: BuildRequest): Result<Optimizer, Fault> {
  const { name, title, dimMin, dimMax } = algorithm.entry;
  const compiled = compileConstraints(constraints, start);
  if (!compiled.ok) return compiled;
  const space = compiled.value;
  if (space.evolvedDim < dimMin) {
    return fault("dimensionInvalid", `${title} needs at least ${dimMin} dimensions, got ${space.evolvedDim}. Use cholesky-cma.`);
  }
  if (dimMax !== null && space.evolvedDim > dimMax) {
    return fault("dimensionTooLarge", `${title} keeps a full matrix and takes up to ${dimMax} dimensions, got ${space.evolvedDim}. Use cholesky-cma or sep-cma.`);
  }
  const evolvedStart = space.extract(start);
  if (constraints.fixedNorm !== undefined && name !== "sphere-cma" && norm(evolvedStart) === 0) {
    return fault("constraintUnmet", "A fixed norm needs a start code whose evolved part is not zero. Give a start code, or use a norm cap or sphere-cma.");
  }
  space.apply(evolvedStart, 1);
  const options = resolveOptions(algorithm, { dim: space.evolvedDim, directions: basis?.eigenvalues.length ?? null, given });
  if (!options.ok) return options;
  const built = algorithm.create({
    dim: space.evolvedDim,
    options: readOptions(options.value),
    start: evolvedStart,
    basis,
    constrain: (code) => space.apply(code, 1),
    saved: saved === null ? null : readState(saved.strategy),
  });
  if (!built.ok) return built;
  const strategy = built.value;
  const basisFingerprint = basis === null ? "" : fingerprintBasis(basis);

  let generation = saved?.generation ?? 0;
  let evaluations = saved?.evaluations ?? 0;
  let pending: { readonly draw: Draw; readonly population: Population; readonly rngBefore: RngState | null } | null = null;

  function ask() {
    if (pending === null) {
      const rngBefore = source.state?.() ?? null;
      const draw = strategy.draw(source);
      space.apply(draw.codes, draw.count);
      const population = { count: draw.count, dim, data: space.embed(draw.codes, draw.count) };
      pending = { draw, population, rngBefore };
    }
    return pending.population;
  }

  function tell(responses: Responses): Result<TellReport, Fault> {
    if (pending === null) return fault("tellBeforeAsk", "Scores were told before a population was asked for. Ask first.");
    const { draw } = pending;
    const parsed = parseResponses(responses, draw.count);
    if (!parsed.ok) return parsed;
    const summary = summarise(parsed.value);
    const outcome: UpdateOutcome = strategy.update({ ...draw, scores: summary.scores });
    const report: TellReport = {
      generation,
      updated: outcome === "updated",
      heldBecause: outcome === "updated" || outcome === "fixed" ? null : outcome,
      ...summary,
      stepSize: strategy.stepSize(),
    };
    generation++;
    evaluations += summary.presentationCounts.reduce((sum, count) => sum + count, 0);
    pending = null;
    return ok(report);
  }

  function state(): OptimizerState {
    const rng = pending === null ? source.state?.() : pending.rngBefore;
    if (rng === undefined || rng === null) {
      throw new Error("expected a random generator with a state, got a source of draws without one: this optimizer cannot be saved");
    }
    return {
      format: "evoked-optimizer",
      version: stateVersion,
      name,
      dim,
      options: options.ok ? options.value : {},
      constraints,
      start: start.slice(),
      basisFingerprint,
      generation,
      evaluations,
      rng,
      strategy: strategy.save(),
    };
  }

  return ok({
    name,
    dim,
    options: options.value,
    constraints,
    get generation() {
      return generation;
    },
    get evaluations() {
      return evaluations;
    },
    populationSize: strategy.populationSize,
    ask,
    tell,
    state,
    mean() {
      const mean = strategy.mean();
      space.apply(mean, 1);
      return space.embed(mean, 1);
    },
    stepSize: () => strategy.stepSize(),
  });
}

// ---------------------------------------------------------------------------------------------------------------
// Scores

/** The scores of each individual, sorted, so that the order in which presentations came cannot change a bit of their mean. */
function parseResponses(responses: Responses, count: number): Result<readonly Float64Array[], Fault> {
  const byIndex: (readonly number[])[] = [];
  if (isMap(responses)) {
    for (const index of responses.keys()) {
      if (!Number.isInteger(index) || index < 0 || index >= count) {
        return fault("scoreIndexUnknown", `A score came for individual ${index}, but the population has the individuals 0 to ${count - 1}.`);
      }
    }
    for (let i = 0; i < count; i++) byIndex.push(responses.get(i) ?? []);
  } else {
    if (responses.length !== count) {
      return fault("scoreCountWrong", `Expected one list of scores for each of the ${count} individuals (empty where missing), got ${responses.length}.`);
    }
    byIndex.push(...responses);
  }
  const sorted: Float64Array[] = [];
  for (const [index, scores] of byIndex.entries()) {
    for (const [presentation, score] of scores.entries()) {
      if (Number.isFinite(score)) continue;
      const where = `Presentation ${presentation} of individual ${index}`;
      return Number.isNaN(score)
        ? fault("scoreNotANumber", `${where} has the score NaN. Leave a failed presentation out instead of scoring it.`)
        : fault("scoreNotFinite", `${where} has the score ${score}; scores must be finite. Leave a failed presentation out.`);
    }
    sorted.push(Float64Array.from(scores).sort());
  }
  return ok(sorted);
}

function isMap(responses: Responses): responses is ReadonlyMap<number, readonly number[]> {
  return responses instanceof Map;
}

/** Groups scores as they arrive, in any order, for `tell`. */
export function groupResponses(arrivals: Iterable<{ readonly index: number; readonly score: number }>): Map<number, number[]> {
  const byIndex = new Map<number, number[]>();
  for (const { index, score } of arrivals) {
    const scores = byIndex.get(index);
    if (scores === undefined) byIndex.set(index, [score]);
    else scores.push(score);
  }
  return byIndex;
}

function summarise(presentations: readonly Float64Array[]): Omit<TellReport, "generation" | "updated" | "heldBecause" | "stepSize"> {
  const count = presentations.length;
  const scores = new Float64Array(count).fill(Number.NaN);
  const standardErrors = new Float64Array(count).fill(Number.NaN);
  const presentationCounts = new Uint32Array(count);
  let withinSquares = 0;
  let withinFreedom = 0;
  let repeated = 0;
  const means: number[] = [];
  let bestIndex: number | null = null;
  let meanErrorSquares = 0;
  for (const [i, values] of presentations.entries()) {
    const n = values.length;
    presentationCounts[i] = n;
    if (n === 0) continue;
    const { mean, squares } = momentsOf(values);
    scores[i] = mean;
    means.push(mean);
    if (bestIndex === null || mean > scores[bestIndex]!) bestIndex = i;
    if (n < 2) continue;
    standardErrors[i] = Math.sqrt(squares / (n - 1) / n);
    withinSquares += squares;
    withinFreedom += n - 1;
    repeated++;
  }
  const over = momentsOf(means);
  const betweenVariance = means.length > 1 ? over.squares / (means.length - 1) : Number.NaN;
  let noise: TellReport["noise"] = null;
  if (repeated >= 2) {
    const withinVariance = withinSquares / withinFreedom;
    for (const n of presentationCounts) if (n > 0) meanErrorSquares += withinVariance / n;
    noise = { withinSd: Math.sqrt(withinVariance), betweenSd: Math.sqrt(Math.max(0, betweenVariance - meanErrorSquares / means.length)) };
  }
  return {
    scores,
    standardErrors,
    presentationCounts,
    missing: count - means.length,
    meanScore: means.length === 0 ? Number.NaN : over.mean,
    semScore: Math.sqrt(betweenVariance / means.length),
    bestIndex,
    bestScore: bestIndex === null ? Number.NaN : scores[bestIndex]!,
    noise,
  };
}

/** Mean and sum of squared deviations; the values are divided by their number first, so that no sum overflows. */
function momentsOf(values: Iterable<number> & { readonly length: number }): { readonly mean: number; readonly squares: number } {
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return { mean, squares };
}

// ---------------------------------------------------------------------------------------------------------------
// States as bytes

/** One state has one encoding, on every machine. */
export function encodeOptimizerState(state: OptimizerState): Uint8Array {
  return encodeValue(toStateValue(state));
}

/** Errors: `stateNotOne`, `stateNewer`, `stateDamaged`. */
export function decodeOptimizerState(bytes: Uint8Array): Result<OptimizerState, Fault> {
  const decoded = decodeValue(bytes);
  if (!decoded.ok) return decoded;
  const value = decoded.value;
  if (!isRecord(value) || value["format"] !== "evoked-optimizer") return damaged("it is not the state of an optimizer");
  const { version, name, dim, options, constraints, start, basisFingerprint, generation, evaluations, rng, strategy } = value;
  if (typeof version !== "number" || !isCount(version)) return damaged("its version is not a number");
  if (version > stateVersion) return newer(version, stateVersion);
  const algorithm = findAlgorithm(typeof name === "string" ? name : "");
  if (!algorithm.ok) return algorithm;
  const rngState = parseRngState(rng);
  if (!rngState.ok) return rngState;
  const parsedConstraints = parseConstraints(constraints);
  const parsedOptions = parseOptions(options);
  if (
    typeof dim !== "number" ||
    !(start instanceof Float64Array) ||
    typeof basisFingerprint !== "string" ||
    typeof generation !== "number" ||
    typeof evaluations !== "number" ||
    !isRecord(strategy) ||
    parsedConstraints === undefined ||
    parsedOptions === undefined
  ) {
    return damaged("a field is missing or of another type");
  }
  return ok({
    format: "evoked-optimizer",
    version,
    name: algorithm.value.entry.name,
    dim,
    options: parsedOptions,
    constraints: parsedConstraints,
    start,
    basisFingerprint,
    generation,
    evaluations,
    rng: rngState.value,
    strategy,
  });
}

function damaged(how: string) {
  return fault("stateDamaged", `The saved optimizer is damaged: ${how}. Resume from an earlier generation.`);
}

function toStateValue(state: OptimizerState): StateRecord {
  const { normCap, fixedNorm, box, subspace } = state.constraints;
  return {
    ...state,
    constraints: {
      ...(normCap === undefined ? {} : { normCap }),
      ...(fixedNorm === undefined ? {} : { fixedNorm }),
      ...(box === undefined ? {} : { box: { min: box.min, max: box.max } }),
      ...(subspace === undefined ? {} : { subspace: { begin: subspace.begin, end: subspace.end } }),
    },
    rng: { ...state.rng },
  };
}

function isRecord(value: StateValue | undefined): value is StateRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Float64Array) && !(value instanceof Uint32Array);
}

function parseOptions(value: StateValue | undefined): OptionValues | undefined {
  if (!isRecord(value)) return undefined;
  const options: Record<string, number | string> = {};
  for (const [name, option] of Object.entries(value)) {
    if (typeof option !== "number" && typeof option !== "string") return undefined;
    options[name] = option;
  }
  return options;
}

function parseConstraints(value: StateValue | undefined): Constraints | undefined {
  if (!isRecord(value)) return undefined;
  const { normCap, fixedNorm, box, subspace } = value;
  const pair = (record: StateValue | undefined, low: string, high: string): readonly [number, number] | null | undefined => {
    if (record === undefined) return null;
    if (!isRecord(record)) return undefined;
    const [a, b] = [record[low], record[high]];
    return typeof a === "number" && typeof b === "number" ? [a, b] : undefined;
  };
  const boxPair = pair(box, "min", "max");
  const subspacePair = pair(subspace, "begin", "end");
  if (boxPair === undefined || subspacePair === undefined) return undefined;
  if ((normCap !== undefined && typeof normCap !== "number") || (fixedNorm !== undefined && typeof fixedNorm !== "number")) return undefined;
  return {
    ...(normCap === undefined ? {} : { normCap }),
    ...(fixedNorm === undefined ? {} : { fixedNorm }),
    ...(boxPair === null ? {} : { box: { min: boxPair[0], max: boxPair[1] } }),
    ...(subspacePair === null ? {} : { subspace: { begin: subspacePair[0], end: subspacePair[1] } }),
  };
}

/** Tells two bases apart; not a cryptographic hash. */
function fingerprintBasis(basis: HessianBasis): string {
  const bytes = encodeValue([basis.eigenvalues, basis.eigenvectors]);
  const view = new DataView(bytes.buffer);
  // The trailing word is the CRC of everything before it; a second sum with another multiplier makes 64 bits.
  let other = 0x811c9dc5;
  for (const byte of bytes) other = Math.imul(other ^ byte, 0x01000193);
  const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
  return hex(view.getUint32(bytes.length - 4, true)) + hex(other);
}
