// Neuron models of a session: one linear model per unit, its scores on images it has not seen, and the best unit.
// Knows nothing about files, networks or how responses were recorded.
import type { Rng } from "../shared/rng.ts";
import { crossValidateLasso, fitLasso } from "./lasso.ts";
import { predict, weightSigns } from "./linearModel.ts";
import type { LinearModel, WeightSigns } from "./linearModel.ts";
import { checkSameRows, columnOf, rowOf, takeRows } from "./matrix.ts";
import type { Matrix } from "./matrix.ts";
import { fitPls } from "./pls.ts";
import { correctForNoise } from "./responses.ts";
import type { NoiseCeiling } from "./responses.ts";
import { crossValidateRidge, fitRidge } from "./ridge.ts";
import { splitFolds, splitTrainTest } from "./splits.ts";
import type { Split } from "./splits.ts";
import { mean, pearson, rSquared } from "./statistics.ts";

/** How to fit. Without a penalty, Lasso and ridge choose each unit's by cross-validation on its training images. */
export type FitMethod =
  | { readonly kind: "pls"; readonly components?: number; readonly scale?: boolean }
  | {
      readonly kind: "lasso";
      readonly positive?: boolean;
      readonly penalty?: number;
      readonly penalties?: ArrayLike<number>;
      readonly folds?: number;
      readonly tolerance?: number;
    }
  | { readonly kind: "ridge"; readonly penalty?: number; readonly penalties?: ArrayLike<number>; readonly folds?: number };

/** Which images are held out. The model that is kept is fitted on the training images (`holdOut`) or on all (`none`, `folds`). */
export type FitSplit =
  | { readonly kind: "none" }
  | { readonly kind: "holdOut"; readonly testFraction?: number }
  | { readonly kind: "folds"; readonly folds: number };

/** What a scientist wants to know about one fitted unit. Scores are null where the responses they are over are constant. */
export interface ModelCard extends WeightSigns {
  readonly unit: number;
  readonly method: FitMethod["kind"];
  /** PLS components used, else null. */
  readonly components: number | null;
  /** L1 or L2 penalty used, else null. */
  readonly penalty: number | null;
  readonly trainCount: number;
  /** Held-out images; 0 with split "none". */
  readonly testCount: number;
  /** Coefficient of determination on the training images; with folds the mean over folds. */
  readonly r2Train: number | null;
  /** On the held-out images; with folds the mean over folds. null with split "none". */
  readonly r2Test: number | null;
  /** Pearson r on the training images. */
  readonly rTrain: number | null;
  /** Pearson r on the held-out images; null with split "none". */
  readonly rTest: number | null;
  /** rTest (rTrain with split "none") over the unit's noise ceiling; null without one. */
  readonly noiseCorrectedR: number | null;
  /** False where Lasso ran out of sweeps. */
  readonly converged: boolean;
}

export interface NeuronModels {
  readonly model: LinearModel;
  /** In unit order. */
  readonly cards: readonly ModelCard[];
  /** Rows the kept model was fitted on and rows held out from it. */
  readonly split: Split;
}

/**
 * Fits every unit (SPEC 4). features [images, features] are raw activations, responses [images, units]. Everything random
 * (the split, the folds) comes from `rng`, the inner folds of Lasso and ridge from forks of it. Throws where the row counts
 * differ, or there are too few images for the split or the method.
 */
export function fitNeuronModels(options: {
  readonly features: Matrix;
  readonly responses: Matrix;
  readonly method: FitMethod;
  readonly split?: FitSplit;
  readonly noiseCeilings?: readonly NoiseCeiling[];
  readonly rng: Rng;
}): NeuronModels {
  const { features, responses, method, rng, noiseCeilings } = options;
  checkSameRows(features, "features", responses, "responses");
  const units = responses.cols;
  if (noiseCeilings !== undefined && noiseCeilings.length !== units) {
    throw new Error(`expected a noise ceiling for each of ${units} units, got ${noiseCeilings.length}`);
  }
  const split = options.split ?? { kind: "holdOut" };
  const all: Split = { train: Int32Array.from({ length: features.rows }, (_, i) => i), test: new Int32Array(0) };
  const kept = split.kind === "holdOut" ? splitTrainTest({ count: features.rows, testFraction: split.testFraction ?? 0.2, rng: rng.fork("split") }) : all;
  const fit = fitOn(features, responses, kept, method, rng.fork("inner"));
  let scores = scoreUnits(fit.model, features, responses, kept);
  let testCount = kept.test.length;
  if (split.kind === "folds") {
    const folds = splitFolds({ count: features.rows, folds: split.folds, rng: rng.fork("split") });
    const each = folds.map((fold, i) => scoreUnits(fitOn(features, responses, fold, method, rng.fork(`inner/${i}`)).model, features, responses, fold));
    scores = averageScores(each);
    testCount = features.rows;
  }
  const cards = scores.map((score, unit): ModelCard => {
    const ceiling = noiseCeilings?.[unit];
    return {
      unit,
      method: method.kind,
      components: fit.components?.[unit] ?? null,
      penalty: fit.penalties?.[unit] ?? null,
      trainCount: kept.train.length,
      testCount,
      ...score,
      noiseCorrectedR: ceiling === undefined ? null : correctForNoise(split.kind === "none" ? score.rTrain : score.rTest, ceiling),
      converged: !(fit.unconverged?.includes(unit) ?? false),
      ...weightSigns(rowOf(fit.model.coefficients, unit)),
    };
  });
  return { model: fit.model, cards, split: kept };
}

/** The unit to go on with: the highest test r2, or train r2 where nothing was held out. null where no unit has a score. */
export function suggestUnit(cards: readonly ModelCard[]): ModelCard | null {
  const scoreOf = (card: ModelCard) => (card.testCount > 0 ? card.r2Test : card.r2Train);
  let best: ModelCard | null = null;
  for (const card of cards) {
    const score = scoreOf(card);
    const bestScore = best === null ? null : scoreOf(best);
    if (score !== null && (bestScore === null || score > bestScore)) best = card;
  }
  return best;
}

interface Fit {
  readonly model: LinearModel;
  readonly components?: Int32Array;
  readonly penalties?: Float64Array;
  readonly unconverged?: readonly number[];
}

function fitOn(allFeatures: Matrix, allResponses: Matrix, split: Split, method: FitMethod, rng: Rng): Fit {
  const features = takeRows(allFeatures, split.train);
  const responses = takeRows(allResponses, split.train);
  switch (method.kind) {
    case "pls": {
      const model = fitPls({ features, responses, components: method.components ?? 1, scale: method.scale ?? true });
      return { model, components: model.componentsUsed };
    }
    case "lasso": {
      const settings = {
        positive: method.positive ?? false,
        ...(method.tolerance === undefined ? {} : { tolerance: method.tolerance }),
      };
      let penalty: number | Float64Array | undefined = method.penalty;
      if (penalty === undefined) {
        const folds = splitFolds({ count: features.rows, folds: method.folds ?? 5, rng });
        const scores = crossValidateLasso({
          features,
          responses,
          folds,
          ...settings,
          ...(method.penalties === undefined ? {} : { penalties: method.penalties }),
        });
        penalty = Float64Array.from(scores, (score) => score.penalties[score.bestIndex]!);
      }
      const model = fitLasso({ features, responses, penalty, ...settings });
      return { model, penalties: model.penalties, unconverged: model.unconverged };
    }
    case "ridge": {
      let penalty: number | Float64Array | undefined = method.penalty;
      if (penalty === undefined) {
        const folds = splitFolds({ count: features.rows, folds: method.folds ?? 5, rng });
        const scores = crossValidateRidge({
          features,
          responses,
          folds,
          ...(method.penalties === undefined ? {} : { penalties: method.penalties }),
        });
        penalty = Float64Array.from(scores.bestIndex, (index) => scores.penalties[index]!);
      }
      const model = fitRidge({ features, responses, penalty });
      return { model, penalties: model.penalties };
    }
  }
}

interface Scores {
  readonly r2Train: number | null;
  readonly r2Test: number | null;
  readonly rTrain: number | null;
  readonly rTest: number | null;
}

function scoreUnits(model: LinearModel, features: Matrix, responses: Matrix, split: Split): Scores[] {
  const score = (rows: Int32Array) => {
    const measured = takeRows(responses, rows);
    const predicted = predict(model, takeRows(features, rows));
    return (unit: number) => {
      if (rows.length === 0) return { r2: null, r: null };
      const own = columnOf(measured, unit);
      const guess = columnOf(predicted, unit);
      return { r2: rSquared(own, guess), r: pearson(own, guess) };
    };
  };
  const train = score(split.train);
  const test = score(split.test);
  return Array.from({ length: responses.cols }, (_, unit) => {
    const onTrain = train(unit);
    const onTest = test(unit);
    return { r2Train: onTrain.r2, r2Test: onTest.r2, rTrain: onTrain.r, rTest: onTest.r };
  });
}

/** Means over folds, of the folds where the score is defined. */
function averageScores(folds: readonly (readonly Scores[])[]): Scores[] {
  const units = folds[0]?.length ?? 0;
  return Array.from({ length: units }, (_, unit) => {
    const average = (pick: (scores: Scores) => number | null) => {
      const values = folds.flatMap((fold) => {
        const scores = fold[unit];
        const value = scores === undefined ? null : pick(scores);
        return value === null ? [] : [value];
      });
      return values.length === 0 ? null : mean(values);
    };
    return { r2Train: average((s) => s.r2Train), r2Test: average((s) => s.r2Test), rTrain: average((s) => s.rTrain), rTest: average((s) => s.rTest) };
  });
}
