// The report at the end of an evolution: did it rise, by how much, and is that more than drift and luck? Pure arithmetic on scores; knows nothing about
// images, rigs or optimizers.
//
// Three traps it avoids. The best sample of a noisy evolution is the luckiest one: what counts are codes presented again after the choice. A neuron
// or electrode that drifts looks like an evolution: the reference images, the same in every generation, measure drift, and it is taken out. And an
// evolution that ends below its start says so.

import { estimateFrom, estimateMean, subtractEstimates } from "./statistics.ts";
import type { Estimate } from "./statistics.ts";

export interface ReferenceScores {
  readonly imageId: number;
  /** One score for each presentation that counted. */
  readonly scores: readonly number[];
}

export interface GenerationScores {
  readonly generation: number;
  /** One score for each evolved individual that has one (the mean of its presentations). */
  readonly evolved: readonly number[];
  readonly references: readonly ReferenceScores[];
}

/** Scores of single presentations, shown interleaved after the last generation. */
export interface RepresentedScores {
  /** The mean of the search distribution: the result. */
  readonly distributionMean: readonly number[];
  /** The individual that had the highest score when it was chosen, and that score. */
  readonly best: readonly number[];
  readonly bestChosenScore: number;
  /** The start code, where it was shown again too. */
  readonly start?: readonly number[];
  readonly references?: readonly ReferenceScores[];
}

export interface ConvergenceRequest {
  /** In order of time. */
  readonly generations: readonly GenerationScores[];
  readonly represented: RepresentedScores | null;
  /** Of the intervals; 0.95 if left out. */
  readonly confidence?: number;
  /**
   * How drift is taken from the references: "linear" (a straight line over generations; default), "stepwise" (each generation its own value: follows any
   * course, but adds the references' noise), "none".
   */
  readonly drift?: "linear" | "stepwise" | "none";
  /** Name of the score's unit in the sentences; "spikes/s" if left out. */
  readonly unit?: string;
}

export interface GenerationSummary {
  readonly generation: number;
  readonly evolved: Estimate;
  readonly reference: Estimate;
  /** Change of the references since the first generation. */
  readonly drift: Estimate;
  /** evolved - drift: as if the recording had stayed as it was in the first generation. */
  readonly corrected: Estimate;
}

export type ConvergenceVerdict =
  /** The result is above the start, and the interval of the difference excludes zero. */
  | "rose"
  /** Above, but the interval includes zero. */
  | "unclear"
  /** The result is below the start. */
  | "endedBelowStart"
  /** Too few scores to say. */
  | "noData";

export interface ConvergenceReport {
  readonly confidence: number;
  readonly generations: readonly GenerationSummary[];
  /** Change of the references over the whole evolution; null without references in two generations or with drift "none". */
  readonly drift: Estimate | null;
  /** Does the interval of the drift exclude zero? */
  readonly drifted: boolean;
  /** What the evolution started from, drift taken out; `startFrom` says what was measured. */
  readonly start: Estimate;
  readonly startFrom: "represented" | "firstGeneration";
  /** The re-presented distribution mean, drift taken out; without one the last generation. */
  readonly end: Estimate;
  readonly endFrom: "represented" | "lastGeneration";
  readonly gain: Estimate;
  /** The re-presented best individual, drift taken out; null where it was not re-presented. */
  readonly best: Estimate | null;
  /** The score that the best was chosen for minus its re-presented mean: what luck had added. */
  readonly bestLuck: number | null;
  /** end minus the references at the end; null without references. */
  readonly overReferences: Estimate | null;
  readonly verdict: ConvergenceVerdict;
  /** The report in words, for the operator and the session file. */
  readonly sentences: readonly string[];
}

/** Needs at least one generation; throws without. */
export function reportConvergence(request: ConvergenceRequest): ConvergenceReport {
  const { generations, represented, confidence = 0.95, unit = "spikes/s" } = request;
  const first = generations[0];
  const last = generations.at(-1);
  if (first === undefined || last === undefined) throw new Error("expected at least one generation to report on, got none");
  const endTime = last.generation + 1;

  const blocks = generations.map((g) => ({ time: g.generation, references: g.references }));
  if (represented?.references !== undefined) blocks.push({ time: endTime, references: represented.references });
  const driftAt = fitDrift(blocks, request.drift ?? "linear", confidence);

  /** An estimate without the drift; its error grows by the drift's. */
  function correct(estimate: Estimate, drift: Estimate): Estimate {
    return { ...subtractEstimates(estimate, drift, confidence), count: estimate.count };
  }

  const summaries = generations.map((g): GenerationSummary => {
    const evolved = estimateMean(g.evolved, confidence);
    const drift = driftAt === null ? noDrift : driftAt(g.generation);
    return {
      generation: g.generation,
      evolved,
      reference: estimateMean(g.references.flatMap((reference) => reference.scores), confidence),
      drift,
      corrected: correct(evolved, drift),
    };
  });

  const endDrift = driftAt === null ? noDrift : driftAt(endTime);
  const correctEnd = (scores: readonly number[]) => correct(estimateMean(scores, confidence), endDrift);
  const hasMean = represented !== null && represented.distributionMean.length > 0;
  const hasStart = represented?.start !== undefined && represented.start.length > 0;
  const lastSummary = summaries.at(-1) ?? summaries[0]!;
  const end = hasMean ? correctEnd(represented.distributionMean) : lastSummary.corrected;
  // The first generation may hold the start code alone; an interval needs two individuals.
  const start = hasStart ? correctEnd(represented.start) : (summaries.find((g) => g.evolved.count > 1) ?? summaries[0]!).corrected;
  // Shown in the same block, start and end share their drift: it must not count into the error of their difference.
  const gain =
    hasMean && hasStart
      ? subtractEstimates(estimateMean(represented.distributionMean, confidence), estimateMean(represented.start, confidence), confidence)
      : subtractEstimates(end, start, confidence);
  const best = represented !== null && represented.best.length > 0 ? correctEnd(represented.best) : null;
  const bestLuck =
    represented !== null && represented.best.length > 0 ? represented.bestChosenScore - estimateMean(represented.best, confidence).mean : null;

  const endReferences = (represented?.references ?? last.references).flatMap((reference) => reference.scores);
  const rawEnd = hasMean ? estimateMean(represented.distributionMean, confidence) : lastSummary.evolved;
  const overReferences = endReferences.length === 0 ? null : subtractEstimates(rawEnd, estimateMean(endReferences, confidence), confidence);

  const drift = driftAt === null ? null : endDrift;
  const report = {
    confidence,
    generations: summaries,
    drift,
    drifted: drift !== null && excludesZero(drift),
    start,
    startFrom: hasStart ? "represented" : "firstGeneration",
    end,
    endFrom: hasMean ? "represented" : "lastGeneration",
    gain,
    best,
    bestLuck,
    overReferences,
    verdict: judge(gain),
  } as const;
  return { ...report, sentences: describe(report, unit) };
}

const noDrift: Estimate = { mean: 0, low: 0, high: 0, standardError: 0, freedom: Number.POSITIVE_INFINITY, count: 0 };

function excludesZero(estimate: Estimate): boolean {
  return estimate.low > 0 || estimate.high < 0;
}

function judge(gain: Estimate): ConvergenceVerdict {
  if (Number.isNaN(gain.mean)) return "noData";
  if (gain.mean < 0) return "endedBelowStart";
  return gain.low > 0 ? "rose" : "unclear";
}

// ---------------------------------------------------------------------------------------------------------------
// Drift

interface ReferenceBlock {
  readonly time: number;
  readonly references: readonly ReferenceScores[];
}

/** The references' change since the first block's time, as a function of time; null where there is nothing to fit. */
function fitDrift(blocks: readonly ReferenceBlock[], kind: "linear" | "stepwise" | "none", confidence: number): ((time: number) => Estimate) | null {
  if (kind === "none") return null;
  const observations = blocks.flatMap((block) =>
    block.references.flatMap((reference) => reference.scores.map((score) => ({ time: block.time, imageId: reference.imageId, score }))),
  );
  if (new Set(observations.map((o) => o.time)).size < 2) return null;
  const firstTime = blocks[0]!.time;
  return kind === "linear" ? fitLine(observations, firstTime, confidence) : fitSteps(observations, firstTime, confidence);
}

interface Observation {
  readonly time: number;
  readonly imageId: number;
  readonly score: number;
}

/** score = image + slope (time - first) + error, by least squares within images: every image is its own control. */
function fitLine(observations: readonly Observation[], firstTime: number, confidence: number): ((time: number) => Estimate) | null {
  let timeSquares = 0;
  let products = 0;
  let scoreSquares = 0;
  const byImage = Map.groupBy(observations, (o) => o.imageId);
  for (const group of byImage.values()) {
    const meanTime = meanOf(group.map((o) => o.time));
    const meanScore = meanOf(group.map((o) => o.score));
    for (const { time, score } of group) {
      timeSquares += (time - meanTime) ** 2;
      products += (time - meanTime) * (score - meanScore);
      scoreSquares += (score - meanScore) ** 2;
    }
  }
  if (timeSquares === 0) return null;
  const slope = products / timeSquares;
  const freedom = observations.length - byImage.size - 1;
  const residual = Math.max(0, scoreSquares - slope * products);
  const slopeError = freedom > 0 ? Math.sqrt(residual / freedom / timeSquares) : Number.NaN;
  return (time) => {
    const elapsed = time - firstTime;
    if (elapsed === 0) return noDrift;
    return estimateFrom({ mean: slope * elapsed, standardError: slopeError * Math.abs(elapsed), freedom, count: observations.length }, confidence);
  };
}

/** score = image + generation + error: alternating means until they settle. A time without references takes the nearest earlier one's drift. */
function fitSteps(observations: readonly Observation[], firstTime: number, confidence: number): (time: number) => Estimate {
  const byImage = Map.groupBy(observations, (o) => o.imageId);
  const byTime = Map.groupBy(observations, (o) => o.time);
  const image = new Map<number, number>();
  const step = new Map<number, number>();
  for (let pass = 0; pass < 1000; pass++) {
    let change = 0;
    for (const [imageId, group] of byImage) image.set(imageId, meanOf(group.map((o) => o.score - (step.get(o.time) ?? 0))));
    for (const [time, group] of byTime) {
      const value = meanOf(group.map((o) => o.score - (image.get(o.imageId) ?? 0)));
      change = Math.max(change, Math.abs(value - (step.get(time) ?? 0)));
      step.set(time, value);
    }
    if (change < 1e-12) break;
  }
  const freedom = observations.length - byImage.size - byTime.size + 1;
  const residual = observations.reduce((sum, o) => sum + (o.score - (image.get(o.imageId) ?? 0) - (step.get(o.time) ?? 0)) ** 2, 0);
  const variance = freedom > 0 ? residual / freedom : Number.NaN;
  const times = [...byTime.keys()].sort((a, b) => a - b);
  const knownAt = (time: number) => times.findLast((known) => known <= time) ?? times[0]!;
  const origin = knownAt(firstTime);
  return (time) => {
    const known = knownAt(time);
    if (known === origin) return noDrift;
    const count = byTime.get(known)?.length ?? 0;
    const originCount = byTime.get(origin)?.length ?? 0;
    const standardError = Math.sqrt(variance * (1 / count + 1 / originCount));
    return estimateFrom({ mean: (step.get(known) ?? 0) - (step.get(origin) ?? 0), standardError, freedom, count: count + originCount }, confidence);
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value / values.length, 0);
}

// ---------------------------------------------------------------------------------------------------------------
// Words

function describe(report: Omit<ConvergenceReport, "sentences">, unit: string): string[] {
  const { start, end, gain, best, bestLuck, drift, overReferences, verdict, endFrom, startFrom } = report;
  const percent = `${Number((report.confidence * 100).toPrecision(3))} %`;
  const figure = (value: number) => (Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.01) ? value.toPrecision(4) : value.toFixed(2));
  const interval = (e: Estimate) => (Number.isNaN(e.low) ? "no interval" : `${percent} interval ${figure(e.low)} to ${figure(e.high)}`);
  const full = (e: Estimate) => `${figure(e.mean)} ${unit} (${interval(e)}, n = ${e.count})`;

  const sentences: string[] = [];
  const result = endFrom === "represented" ? "the distribution mean, presented again," : "the last generation";
  const origin = startFrom === "represented" ? "the start code, presented again in the same block" : "the first generation";
  switch (verdict) {
    case "rose":
      sentences.push(`The evolution rose: ${result} is ${figure(gain.mean)} ${unit} above ${origin} (${interval(gain)}).`);
      break;
    case "unclear":
      if (gain.mean === 0) sentences.push(`The evolution did not rise: ${result} scores as ${origin} did.`);
      else sentences.push(`The evolution may have risen: ${result} is ${figure(gain.mean)} ${unit} above ${origin}, but that is within the noise (${interval(gain)}).`);
      break;
    case "endedBelowStart":
      sentences.push(
        `The evolution ended below its start: ${result} is ${figure(-gain.mean)} ${unit} below ${origin} (${interval(gain)}${gain.high < 0 ? "" : ", within the noise"}). Do not report this evolution as converged.`,
      );
      break;
    case "noData":
      sentences.push("There are too few scores to say whether the evolution rose.");
  }
  sentences.push(`Result: ${full(end)}. Start: ${full(start)}.`);
  if (endFrom === "lastGeneration") sentences.push("The distribution mean was not presented again, so the result is the last generation's mean.");
  if (best !== null && bestLuck !== null) {
    sentences.push(
      `The best individual, presented again, gives ${full(best)}; when it was chosen its score was ${figure(Math.abs(bestLuck))} ${unit} ${bestLuck < 0 ? "lower" : "higher"}${bestLuck > 0 ? ", which was luck" : ""}.`,
    );
  } else {
    sentences.push("The best individual was not presented again: its score is a noisy maximum and is not reported.");
  }
  if (overReferences !== null) {
    sentences.push(`Above the reference images at the end by ${figure(overReferences.mean)} ${unit} (${interval(overReferences)}).`);
  }
  if (drift === null) sentences.push("Drift could not be told from evolution: there are no reference images over several generations, or its removal was switched off.");
  else if (report.drifted) sentences.push(`The references drifted by ${figure(drift.mean)} ${unit} over the evolution (${interval(drift)}); this is taken out.`);
  else sentences.push(`The references show no clear drift (${figure(drift.mean)} ${unit}, ${interval(drift)}); what there is, is taken out.`);
  return sentences;
}
