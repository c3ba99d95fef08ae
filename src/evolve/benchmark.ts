// One evolution on a test objective from start to report: for benchmarks, teaching and the tables in docs/evolution.md. Reads no clock of its own.

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng } from "../shared/rng.ts";
import { addNoise } from "./noise.ts";
import type { NoiseModel } from "./noise.ts";
import { createObjective } from "./objectives.ts";
import type { Objective } from "./objectives.ts";
import { createOptimizer } from "./optimizer.ts";
import { reportConvergence } from "./report.ts";
import type { ConvergenceReport, GenerationScores, ReferenceScores } from "./report.ts";
import type { Constraints, HessianBasis, OptionValues } from "./types.ts";

export interface EvolutionRequest {
  /** A name of `objectiveRegistry`. */
  readonly objective: string;
  readonly dim: number;
  /** A name of `optimizerRegistry`. */
  readonly optimizer: string;
  readonly options?: OptionValues;
  readonly constraints?: Constraints;
  /** Start code; left out: zeros. */
  readonly start?: ArrayLike<number>;
  /** Directions of the objective's metric for hessian-cma; left out: 256 or all. */
  readonly directions?: number;
  readonly generations: number;
  /** Fixes objective, draws and noise; the optimizers of one seed meet the same objective. */
  readonly seed: number | string;
  readonly noise: NoiseModel;
  /** Presentations of each individual; 1 if left out. */
  readonly presentations?: number;
  /** Fixed random codes shown in every generation, from which drift is measured; 5 if left out. */
  readonly references?: number;
  /** Presentations of start, distribution mean and best after the last generation; 20 if left out. */
  readonly representations?: number;
  /** Added to every score for each generation that has passed: a drifting electrode. 0 if left out. */
  readonly driftPerGeneration?: number;
  /** A monotonic clock in ms for `msPerGeneration`; without one that is null. */
  readonly nowMs?: () => number;
  readonly onGeneration?: (progress: EvolutionProgress) => void;
}

export interface EvolutionProgress {
  readonly generation: number;
  readonly generations: number;
  /** Mean over the generation's individuals, without noise and drift. */
  readonly meanClean: number;
  readonly stepSize: number;
}

/** One JSON line of a benchmark. Clean scores are those without noise and drift. */
export interface EvolutionLine {
  readonly optimizer: string;
  readonly dim: number;
  readonly generations: number;
  /** Noisy scores that the optimizer was told. */
  readonly evaluations: number;
  /** Mean clean score of the first generation. */
  readonly startClean: number;
  /** Mean clean score of the last generation. */
  readonly lastMeanClean: number;
  /** Clean score of the distribution mean at the end. */
  readonly meanPointClean: number;
  /** Highest clean score of any individual. */
  readonly bestClean: number;
  /** Time of ask and tell together. */
  readonly msPerGeneration: { readonly median: number; readonly max: number } | null;
}

export interface EvolutionRun {
  readonly line: EvolutionLine;
  readonly report: ConvergenceReport;
  /** Mean clean score of every generation. */
  readonly meanCleanByGeneration: Float64Array;
  /** Distribution mean at the end. */
  readonly mean: Float64Array;
}

/** Errors: `objectiveUnknown`, `noiseNeedsRates`, `countInvalid`, and those of createOptimizer. */
export function runEvolution(request: EvolutionRequest): Result<EvolutionRun, Fault> {
  const { dim, generations, noise, nowMs } = request;
  const presentations = request.presentations ?? 1;
  const referenceCount = request.references ?? 5;
  const representations = request.representations ?? 20;
  const driftPerGeneration = request.driftPerGeneration ?? 0;
  for (const [what, count, least] of [
    ["generations", generations, 1],
    ["presentations", presentations, 1],
    ["references", referenceCount, 0],
    ["representations", representations, 2],
  ] as const) {
    if (!Number.isInteger(count) || count < least) return fault("countInvalid", `Expected a whole number of ${what} from ${least}, got ${count}.`);
  }
  const made = createObjective({ name: request.objective, dim, seed: request.seed });
  if (!made.ok) return made;
  const objective = made.value;
  if (noise.kind === "poisson" && !objective.isRate) {
    return fault("noiseNeedsRates", `Poisson noise needs rates, which the objective ${objective.name} does not give. Use the objective neuron, or the noise mult.`);
  }
  const rng = createRng(request.seed);
  const basis = request.optimizer === "hessian-cma" ? (objective.metric?.(Math.min(dim, request.directions ?? 256)) ?? null) : null;
  const created = createOptimizer({
    name: request.optimizer,
    dim,
    rng: rng.fork("optimizer"),
    options: { ...(basis === null ? {} : hessianOptions(basis)), ...request.options },
    ...(request.constraints === undefined ? {} : { constraints: request.constraints }),
    ...(request.start === undefined ? {} : { start: request.start }),
    ...(basis === null ? {} : { basis }),
  });
  if (!created.ok) return created;
  const optimizer = created.value;

  const noiseRng = rng.fork("noise");
  const present = (clean: number, count: number, generation: number) =>
    Array.from({ length: count }, () => addNoise(clean, noise, noiseRng) + driftPerGeneration * generation);
  const references = drawReferences(objective, referenceCount, optimizer.options, rng.fork("references"));
  const showReferences = (count: number, generation: number): ReferenceScores[] =>
    references.map((clean, imageId) => ({ imageId, scores: present(clean, count, generation) }));

  const meanClean = new Float64Array(generations);
  const times: number[] = [];
  const scored: GenerationScores[] = [];
  let bestClean = Number.NEGATIVE_INFINITY;
  let best: { readonly clean: number; readonly score: number } | null = null;
  for (let g = 0; g < generations; g++) {
    const beforeAsk = nowMs?.() ?? 0;
    const population = optimizer.ask();
    const afterAsk = nowMs?.() ?? 0;
    const cleans = Array.from({ length: population.count }, (_, i) => objective.score(population.data.subarray(i * dim, (i + 1) * dim)));
    const responses = cleans.map((clean) => present(clean, presentations, g));
    const beforeTell = nowMs?.() ?? 0;
    const told = optimizer.tell(responses);
    if (!told.ok) return told;
    times.push(afterAsk - beforeAsk + (nowMs?.() ?? 0) - beforeTell);

    meanClean[g] = cleans.reduce((sum, clean) => sum + clean / cleans.length, 0);
    bestClean = cleans.reduce((high, clean) => Math.max(high, clean), bestClean);
    const { bestIndex, bestScore } = told.value;
    if (bestIndex !== null && (best === null || bestScore > best.score)) best = { clean: cleans[bestIndex]!, score: bestScore };
    scored.push({ generation: g, evolved: Array.from(told.value.scores).filter((score) => !Number.isNaN(score)), references: showReferences(1, g) });
    request.onGeneration?.({ generation: g, generations, meanClean: meanClean[g]!, stepSize: optimizer.stepSize() });
  }

  const mean = optimizer.mean();
  const meanPointClean = objective.score(mean);
  const startCode = request.start === undefined ? new Float64Array(dim) : Float64Array.from(request.start);
  // The genetic algorithm and the sphere without a start code start from random codes, not from one that could be shown again.
  const hasStartCode = startCode.some((value) => value !== 0) || (optimizer.name !== "sphere-cma" && optimizer.name !== "xdream-ga");
  const report = reportConvergence({
    generations: scored,
    represented: {
      distributionMean: present(meanPointClean, representations, generations),
      best: best === null ? [] : present(best.clean, representations, generations),
      bestChosenScore: best?.score ?? Number.NaN,
      ...(hasStartCode ? { start: present(objective.score(startCode), representations, generations) } : {}),
      references: showReferences(4, generations),
    },
    unit: objective.isRate ? "spikes/s" : "units",
  });

  const sortedTimes = times.toSorted((a, b) => a - b);
  const line: EvolutionLine = {
    optimizer: optimizer.name,
    dim,
    generations,
    evaluations: optimizer.evaluations,
    startClean: meanClean[0]!,
    lastMeanClean: meanClean[generations - 1]!,
    meanPointClean,
    bestClean,
    msPerGeneration:
      nowMs === undefined ? null : { median: roundTo(medianOfSorted(sortedTimes), 3), max: roundTo(sortedTimes.at(-1) ?? 0, 3) },
  };
  return ok({ line, report, meanCleanByGeneration: meanClean, mean });
}

/**
 * DeePSiM's exponent, and the step size with which the first samples change the image as much as samples of step size 3 in all directions: an eigenvalue's
 * unit is the objective's own, so a published step size means nothing here.
 */
function hessianOptions({ eigenvalues }: HessianBasis): OptionValues {
  const exponent = 0.2;
  let isotropic = 0;
  let shaped = 0;
  for (const eigenvalue of eigenvalues) {
    isotropic += eigenvalue;
    shaped += eigenvalue ** (1 - 2 * exponent);
  }
  return { exponent, stepSize: 3 * Math.sqrt(isotropic / shaped) };
}

/** Clean scores of fixed random codes as spread as the first population. */
function drawReferences(objective: Objective, count: number, options: OptionValues, rng: { fillGaussian(out: Float64Array): void }): number[] {
  const spread = ["stepSize", "initialSpread"].map((name) => options[name]).find((value) => typeof value === "number") ?? 3;
  return Array.from({ length: count }, () => {
    const code = new Float64Array(objective.dim);
    rng.fillGaussian(code);
    return objective.score(code.map((value) => value * spread));
  });
}

function medianOfSorted(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function roundTo(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
