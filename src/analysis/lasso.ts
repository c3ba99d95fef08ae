// Lasso paths, models and cross-validation. Knows nothing about images or which network gave the features, nor how one
// penalty is solved.
//
// Objective (scikit-learn's): 1/(2n) |y - X w - b|^2 + a |w|_1, the intercept b unpenalised, features not scaled; with
// `positive` also w >= 0. Paths go from large to small penalties, each from where the last one ended.
import { centreFeatures, createLassoSolver } from "./lassoSolver.ts";
import type { CentredFeatures, LassoSettings } from "./lassoSolver.ts";
import type { LinearModel } from "./linearModel.ts";
import { checkSameRows, columnOf, createMatrix, dot, takeRows } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { mean, rSquared } from "./statistics.ts";
import type { Split } from "./splits.ts";

export type { LassoSettings } from "./lassoSolver.ts";

/** One solution on a path. */
export interface LassoSolution {
  readonly penalty: number;
  /** [features], raw activation space. */
  readonly coefficients: Float64Array;
  readonly intercept: number;
  readonly nonZeroCount: number;
  /** Duality gap of the objective, same unit as the objective. */
  readonly dualityGap: number;
  /** False where maxSweeps ran out first; the solution is then the best so far. */
  readonly converged: boolean;
  readonly sweeps: number;
}

/** Cross-validation scores of one unit. */
export interface LassoCrossValidation {
  /** Penalties from large to small. */
  readonly penalties: Float64Array;
  /** [penalties, folds]; NaN where a fold's responses are constant: r2 is undefined there. */
  readonly r2Train: Matrix64;
  readonly r2Test: Matrix64;
  /** Mean over the folds that have a score, [penalties]; NaN where none has. */
  readonly r2TrainMean: Float64Array;
  readonly r2TestMean: Float64Array;
  /** Index of the penalty with the highest mean test r2; the largest penalty wins a tie. */
  readonly bestIndex: number;
}

/** Unconstrained against positive-only weights for one unit (SPEC 4). */
export interface LassoComparison {
  readonly unconstrained: LassoCrossValidation;
  readonly positive: LassoCrossValidation;
  /** Mean test r2 unconstrained - positive, per penalty. */
  readonly testDifference: Float64Array;
  /** The same between the best penalty of each. */
  readonly bestTestDifference: number;
}

/** The smallest penalty with no non-zero weight, for [images, features] and [images]: max |x'y| / n, signed with `positive`. */
export function largestPenalty(features: Matrix, response: ArrayLike<number>, options: { readonly positive?: boolean } = {}): number {
  const centred = centreFeatures(features);
  return largestPenaltyOf(centred, centreResponse(response, features.rows).residual, options.positive ?? false);
}

/** `count` penalties, evenly spaced in the logarithm from `largest` down to largest * smallestRatio. */
export function penaltyGrid(largest: number, options: { readonly count?: number; readonly smallestRatio?: number } = {}): Float64Array {
  const count = options.count ?? 10;
  const ratio = options.smallestRatio ?? 1e-3;
  if (!(largest > 0)) throw new Error(`expected a positive largest penalty, got ${largest}`);
  if (!Number.isInteger(count) || count < 1) throw new Error(`expected a whole, positive number of penalties, got ${count}`);
  if (!(ratio > 0 && ratio < 1)) throw new Error(`expected a ratio between 0 and 1, got ${ratio}`);
  return Float64Array.from({ length: count }, (_, i) => (count === 1 ? largest : largest * ratio ** (i / (count - 1))));
}

/**
 * The Lasso solutions of one unit for every penalty, in the order given. Features [images, features], response [images].
 * Throws on penalties that are not positive, and where the image counts differ.
 */
export function lassoPath(
  options: LassoSettings & { readonly features: Matrix; readonly response: ArrayLike<number>; readonly penalties: ArrayLike<number> },
): LassoSolution[] {
  return pathOnCentred(centreFeatures(options.features), options.response, options.penalties, options);
}

/**
 * One Lasso model per unit. `penalty` is one number for all units or [units] of them.
 * Features [images, features], responses [images, units]. `unconverged` lists units that ran out of sweeps.
 */
export function fitLasso(
  options: LassoSettings & { readonly features: Matrix; readonly responses: Matrix; readonly penalty: number | ArrayLike<number> },
): LinearModel & { readonly penalties: Float64Array; readonly unconverged: readonly number[] } {
  const { features, responses, penalty } = options;
  checkSameRows(features, "features", responses, "responses");
  const units = responses.cols;
  const penalties = typeof penalty === "number" ? new Float64Array(units).fill(penalty) : Float64Array.from(penalty);
  if (penalties.length !== units) throw new Error(`expected ${units} penalties, one per unit, got ${penalties.length}`);
  const centred = centreFeatures(features);
  const coefficients = createMatrix(units, features.cols);
  const intercepts = new Float64Array(units);
  const unconverged: number[] = [];
  for (let u = 0; u < units; u++) {
    const response = columnOf(responses, u);
    const target = penalties[u]!;
    checkPenalty(target);
    // Walk down to a small penalty from where everything is zero: cheaper than a cold start there.
    const largest = largestPenaltyOf(centred, centreResponse(response, features.rows).residual, options.positive ?? false);
    const route = target < largest / 4 ? [...penaltyGrid(largest, { count: 6, smallestRatio: target / largest }).slice(0, -1), target] : [target];
    const solution = pathOnCentred(centred, response, route, options).at(-1);
    if (solution === undefined) throw new Error("expected a solution for every penalty, got none");
    coefficients.data.set(solution.coefficients, u * features.cols);
    intercepts[u] = solution.intercept;
    if (!solution.converged) unconverged.push(u);
  }
  return { coefficients, intercepts, penalties, unconverged };
}

/**
 * Cross-validates Lasso for every unit. Penalties: a list for all units, or a grid from each unit's own largest penalty on
 * all images (default 10 down to 0.001 of it). `folds` come from splitFolds. One result per unit.
 * A unit with constant responses gets scores of NaN and bestIndex 0.
 */
export function crossValidateLasso(
  options: LassoSettings & {
    readonly features: Matrix;
    readonly responses: Matrix;
    readonly folds: readonly Split[];
    readonly penalties?: ArrayLike<number> | { readonly count?: number; readonly smallestRatio?: number };
  },
): LassoCrossValidation[] {
  const { features, responses, folds } = options;
  checkSameRows(features, "features", responses, "responses");
  if (folds.length === 0) throw new Error("expected at least one fold, got none");
  const positive = options.positive ?? false;
  const units = Array.from({ length: responses.cols }, (_, u) => columnOf(responses, u));
  const whole = isGrid(options.penalties) ? centreFeatures(features) : null;
  const penaltiesOf = units.map((response) => {
    if (!isGrid(options.penalties)) return Float64Array.from(options.penalties).sort().reverse();
    const largest = whole === null ? 0 : largestPenaltyOf(whole, centreResponse(response, features.rows).residual, positive);
    // No feature goes along with this unit: any penalty gives the mean, and 1 says so as well as any other.
    return penaltyGrid(largest > 0 ? largest : 1, options.penalties);
  });
  const scores = units.map((_, u) => ({
    train: createMatrix(penaltiesOf[u]!.length, folds.length),
    test: createMatrix(penaltiesOf[u]!.length, folds.length),
  }));
  folds.forEach((fold, f) => {
    // Features are centred and transposed once for each fold, for all units.
    const train = takeRows(features, fold.train);
    const test = takeRows(features, fold.test);
    const centred = centreFeatures(train);
    units.forEach((response, u) => {
      const trainResponse = Float64Array.from(fold.train, (row) => response[row]!);
      const testResponse = Float64Array.from(fold.test, (row) => response[row]!);
      const path = pathOnCentred(centred, trainResponse, penaltiesOf[u]!, options);
      path.forEach((solution, a) => {
        const at = a * folds.length + f;
        scores[u]!.train.data[at] = rSquared(trainResponse, predictSparse(train, solution)) ?? Number.NaN;
        scores[u]!.test.data[at] = rSquared(testResponse, predictSparse(test, solution)) ?? Number.NaN;
      });
    });
  });
  return units.map((_, u) => summarise(penaltiesOf[u]!, scores[u]!.train, scores[u]!.test));
}

/**
 * Cross-validated Lasso with and without the positive constraint on the same folds and penalties (SPEC 4, P Fig. 17).
 * Penalties are listed, or come from each unit's unconstrained grid. One result per unit.
 */
export function compareLassoConstraints(
  options: Omit<LassoSettings, "positive"> & {
    readonly features: Matrix;
    readonly responses: Matrix;
    readonly folds: readonly Split[];
    readonly penalties?: ArrayLike<number> | { readonly count?: number; readonly smallestRatio?: number };
  },
): LassoComparison[] {
  const free = crossValidateLasso({ ...options, positive: false });
  return free.map((unconstrained, u) => {
    const responses = createMatrix(options.responses.rows, 1, columnOf(options.responses, u));
    const [positive] = crossValidateLasso({ ...options, responses, penalties: unconstrained.penalties, positive: true });
    if (positive === undefined) throw new Error("expected one cross-validation per unit, got none");
    return {
      unconstrained,
      positive,
      testDifference: unconstrained.r2TestMean.map((value, a) => value - positive.r2TestMean[a]!),
      bestTestDifference: unconstrained.r2TestMean[unconstrained.bestIndex]! - positive.r2TestMean[positive.bestIndex]!,
    };
  });
}

function isGrid(
  penalties: ArrayLike<number> | { readonly count?: number; readonly smallestRatio?: number } | undefined,
): penalties is { readonly count?: number; readonly smallestRatio?: number } | undefined {
  return penalties === undefined || !("length" in penalties);
}

function summarise(penalties: Float64Array, r2Train: Matrix64, r2Test: Matrix64): LassoCrossValidation {
  const rowMean = (matrix: Matrix64, a: number) => {
    const scores = matrix.data.subarray(a * matrix.cols, (a + 1) * matrix.cols).filter((score) => !Number.isNaN(score));
    return scores.length === 0 ? Number.NaN : mean(scores);
  };
  const r2TrainMean = penalties.map((_, a) => rowMean(r2Train, a));
  const r2TestMean = penalties.map((_, a) => rowMean(r2Test, a));
  let bestIndex = 0;
  for (let a = 1; a < penalties.length; a++) if (r2TestMean[a]! > r2TestMean[bestIndex]!) bestIndex = a;
  return { penalties, r2Train, r2Test, r2TrainMean, r2TestMean, bestIndex };
}

/** Predictions of a sparse solution: passes the non-zero features only. */
function predictSparse(features: Matrix64, solution: LassoSolution): Float64Array {
  const used: number[] = [];
  solution.coefficients.forEach((weight, f) => {
    if (weight !== 0) used.push(f);
  });
  return Float64Array.from({ length: features.rows }, (_, row) => {
    let sum = solution.intercept;
    for (const f of used) sum += features.data[row * features.cols + f]! * solution.coefficients[f]!;
    return sum;
  });
}

function centreResponse(response: ArrayLike<number>, images: number): { centre: number; residual: Float64Array } {
  if (response.length !== images) throw new Error(`expected ${images} responses, one per image, got ${response.length}`);
  const values = Float64Array.from(response);
  const centre = mean(values);
  return { centre, residual: values.every((value) => value === values[0]) ? new Float64Array(images) : values.map((value) => value - centre) };
}

function largestPenaltyOf(features: CentredFeatures, residual: Float64Array, positive: boolean): number {
  const n = residual.length;
  let largest = 0;
  for (let f = 0; f < features.squares.length; f++) {
    if (features.squares[f] === 0) continue;
    const covariance = dot(features.byFeature.data, f * n, residual, 0, n);
    largest = Math.max(largest, positive ? covariance : Math.abs(covariance));
  }
  return largest / n;
}

function checkPenalty(penalty: number): void {
  if (!(penalty > 0 && penalty < Number.POSITIVE_INFINITY)) throw new Error(`expected a positive penalty, got ${penalty}`);
}

function pathOnCentred(
  features: CentredFeatures,
  response: ArrayLike<number>,
  penalties: ArrayLike<number>,
  settings: LassoSettings,
): LassoSolution[] {
  const n = features.byFeature.cols;
  const { centre, residual } = centreResponse(response, n);
  const solver = createLassoSolver(features, residual, settings);
  const order = Array.from({ length: penalties.length }, (_, i) => i).sort((a, b) => penalties[b]! - penalties[a]! || a - b);
  const solutions = new Map<number, LassoSolution>();
  for (const index of order) {
    const penalty = penalties[index]!;
    checkPenalty(penalty);
    const { weights, ...rest } = solver.solve(penalty);
    const coefficients = Float64Array.from(weights);
    const intercept = centre - dot(coefficients, 0, features.featureMean, 0, coefficients.length);
    solutions.set(index, { penalty, coefficients, intercept, ...rest });
  }
  return Array.from({ length: penalties.length }, (_, i) => {
    const solution = solutions.get(i);
    if (solution === undefined) throw new Error(`expected a solution for penalty ${i}, got none`);
    return solution;
  });
}
