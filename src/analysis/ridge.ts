// Ridge regression of units on features, and its cross-validation. Knows nothing about images or networks.
//
// Objective (scikit-learn's Ridge): |y - X w - b|^2 + a |w|^2, the intercept b unpenalised. With fewer images than features
// everything is solved in image space: w = Xc' (K + a I)^-1 yc with K = Xc Xc'. One eigendecomposition serves all penalties.
import { decomposeSymmetric, factorCholesky, solveCholesky } from "./linearAlgebra.ts";
import type { LinearModel } from "./linearModel.ts";
import {
  checkSameRows,
  columnStatistics,
  createMatrix,
  dot,
  gramOfColumns,
  gramOfRows,
  multiply,
  multiplyTransposed,
  standardise,
  takeRows,
  transpose,
} from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { mean, pearson, rSquared } from "./statistics.ts";
import type { Split } from "./splits.ts";

export interface RidgeOptions {
  /** [images, features], raw activations. */
  readonly features: Matrix;
  /** [images, units]. */
  readonly responses: Matrix;
  /** One penalty >= 0 for all units, or [units]. 0 is least squares (of least norm where images <= features). */
  readonly penalty: number | ArrayLike<number>;
  /** Scale features to unit variance (ddof 1, dead units 1) before penalising. Default false, as scikit-learn's Ridge. */
  readonly scale?: boolean;
}

export interface RidgeModel extends LinearModel {
  /** [units]. */
  readonly penalties: Float64Array;
}

export interface RidgeCrossValidation {
  /** In the order tried. */
  readonly penalties: Float64Array;
  /** [penalties, units]: mean over folds; NaN where a unit is constant in every fold. */
  readonly r2Test: Matrix64;
  /** [penalties, units]: mean over folds of Pearson's r; a constant prediction counts as 0. */
  readonly rTest: Matrix64;
  /** [units]: index of the penalty with the highest mean test r2; the largest penalty wins a tie. */
  readonly bestIndex: Int32Array;
}

/** Fits ridge regression for all units. Throws where the row counts differ, and on a negative penalty. */
export function fitRidge(options: RidgeOptions): RidgeModel {
  const { features, responses } = options;
  checkSameRows(features, "features", responses, "responses");
  const units = responses.cols;
  const penalties = typeof options.penalty === "number" ? new Float64Array(units).fill(options.penalty) : Float64Array.from(options.penalty);
  if (penalties.length !== units) throw new Error(`expected ${units} penalties, one per unit, got ${penalties.length}`);
  penalties.forEach(checkPenalty);
  const prepared = prepare(features, responses, options.scale ?? false);
  const distinct = [...new Set(penalties)];
  const weights = distinct.length === 1 ? solveOne(prepared, distinct[0]!) : null;
  if (weights !== null) return { ...toRawSpace(prepared, weights), penalties };
  const solver = diagonalise(prepared);
  const coefficients = createMatrix(units, features.cols);
  for (const penalty of distinct) {
    const all = solver.weights(penalty);
    penalties.forEach((own, u) => {
      if (own === penalty) coefficients.data.set(all.data.subarray(u * features.cols, (u + 1) * features.cols), u * features.cols);
    });
  }
  return { ...toRawSpace(prepared, coefficients), penalties };
}

/**
 * Thirteen penalties from 1000 to 0.001 times the mean squared norm of a centred image's features (the mean eigenvalue of K),
 * so that the grid follows the scale of the features.
 */
export function defaultRidgePenalties(features: Matrix, options: { readonly scale?: boolean } = {}): Float64Array {
  const { mean: centre, sd } = columnStatistics(features, { ddof: 1 });
  const scale = options.scale ?? false;
  let total = 0;
  for (let f = 0; f < features.cols; f++) total += scale ? (sd[f]! > 0 ? 1 : 0) : sd[f]! * sd[f]!;
  const unit = total > 0 ? total : 1;
  if (centre.length === 0) throw new Error("expected at least one feature, got none");
  return Float64Array.from({ length: 13 }, (_, i) => unit * 10 ** (3 - i / 2));
}

/** Cross-validates ridge over penalties for all units; folds come from splitFolds. */
export function crossValidateRidge(
  options: Omit<RidgeOptions, "penalty"> & { readonly folds: readonly Split[]; readonly penalties?: ArrayLike<number> },
): RidgeCrossValidation {
  const { features, responses, folds } = options;
  checkSameRows(features, "features", responses, "responses");
  if (folds.length === 0) throw new Error("expected at least one fold, got none");
  const scale = options.scale ?? false;
  const penalties = options.penalties === undefined ? defaultRidgePenalties(features, { scale }) : Float64Array.from(options.penalties);
  penalties.forEach(checkPenalty);
  const units = responses.cols;
  const r2: number[][] = Array.from({ length: penalties.length * units }, () => []);
  const r: number[][] = Array.from({ length: penalties.length * units }, () => []);
  for (const fold of folds) {
    const prepared = prepare(takeRows(features, fold.train), takeRows(responses, fold.train), scale);
    const solver = diagonalise(prepared);
    const test = standardise(takeRows(features, fold.test), prepared.featureMean, prepared.featureScale);
    const projected = solver.project(test);
    const measured = transpose(takeRows(responses, fold.test));
    penalties.forEach((penalty, a) => {
      const predicted = projected(penalty); // [units, test images], without the mean
      for (let u = 0; u < units; u++) {
        const own = measured.data.subarray(u * measured.cols, (u + 1) * measured.cols);
        const guess = predicted.data.subarray(u * measured.cols, (u + 1) * measured.cols).map((value) => value + prepared.responseMean[u]!);
        const score = rSquared(own, guess);
        if (score === null) continue;
        r2[a * units + u]!.push(score);
        r[a * units + u]!.push(pearson(own, guess) ?? 0);
      }
    });
  }
  const meanOf = (values: readonly number[]) => (values.length === 0 ? Number.NaN : mean(values));
  const r2Test = createMatrix(penalties.length, units, Float64Array.from(r2, meanOf));
  const rTest = createMatrix(penalties.length, units, Float64Array.from(r, meanOf));
  const bestIndex = Int32Array.from({ length: units }, (_, u) => {
    let best = 0;
    for (let a = 1; a < penalties.length; a++) {
      const gain = r2Test.data[a * units + u]! - r2Test.data[best * units + u]!;
      if (gain > 0 || (gain === 0 && penalties[a]! > penalties[best]!)) best = a;
    }
    return best;
  });
  return { penalties, r2Test, rTest, bestIndex };
}

interface Prepared {
  /** [images, features], centred and, where asked, scaled. */
  readonly x: Matrix64;
  /** [units, images], centred. */
  readonly y: Matrix64;
  readonly featureMean: Float64Array;
  readonly featureScale: Float64Array;
  readonly responseMean: Float64Array;
}

function prepare(features: Matrix, responses: Matrix, scale: boolean): Prepared {
  if (features.rows < 2) throw new Error(`expected at least two images to fit on, got ${features.rows}`);
  const { mean: featureMean, sd } = columnStatistics(features, { ddof: 1 });
  const featureScale = sd.map((value) => (scale && value > 0 ? value : 1));
  const responseMean = columnStatistics(responses, { ddof: 1 }).mean;
  return {
    x: scale ? standardise(features, featureMean, featureScale) : standardise(features, featureMean),
    y: transpose(standardise(responses, responseMean)),
    featureMean,
    featureScale,
    responseMean,
  };
}

/** Weights [units, features] on prepared features for one penalty, by Cholesky; null where that is singular. */
function solveOne(prepared: Prepared, penalty: number): Matrix64 | null {
  const { x, y } = prepared;
  const dual = x.rows <= x.cols;
  // Centred rows are linearly dependent, so image space needs a penalty.
  if (penalty === 0) return null;
  const gram = dual ? gramOfRows(x) : gramOfColumns(x);
  const size = gram.rows;
  for (let i = 0; i < size; i++) gram.data[i * size + i] = gram.data[i * size + i]! + penalty;
  const factor = factorCholesky(gram);
  if (factor === null) return null;
  const right = dual ? y : multiply(y, x);
  const solved = createMatrix(y.rows, size);
  for (let u = 0; u < y.rows; u++) solved.data.set(solveCholesky(factor, right.data.subarray(u * size, (u + 1) * size)), u * size);
  return dual ? multiply(solved, x) : solved;
}

interface DiagonalSolver {
  weights(penalty: number): Matrix64;
  /** Predictions for other prepared images, [units, images], as a function of the penalty. */
  project(x: Matrix64): (penalty: number) => Matrix64;
}

/** K or X'X = Q L Q'; then every penalty costs a division by L + a. Directions without variance get no weight. */
function diagonalise(prepared: Prepared): DiagonalSolver {
  const { x, y } = prepared;
  const dual = x.rows <= x.cols;
  const { values, vectors } = decomposeSymmetric(dual ? gramOfRows(x) : gramOfColumns(x));
  const right = multiplyTransposed(dual ? y : multiply(y, x), vectors); // [units, directions]
  const floor = Math.max(0, values[0] ?? 0) * values.length * Number.EPSILON;
  const shrunk = (penalty: number) => {
    const result = createMatrix(right.rows, right.cols);
    for (let u = 0; u < right.rows; u++) {
      for (let d = 0; d < right.cols; d++) {
        const variance = values[d]!;
        result.data[u * right.cols + d] = variance > floor ? right.data[u * right.cols + d]! / (variance + penalty) : 0;
      }
    }
    return result;
  };
  return {
    weights(penalty) {
      const solved = multiply(shrunk(penalty), vectors);
      return dual ? multiply(solved, x) : solved;
    },
    project(other) {
      const basis = multiplyTransposed(vectors, dual ? multiplyTransposed(other, x) : other); // [directions, images]
      return (penalty) => multiply(shrunk(penalty), basis);
    },
  };
}

function toRawSpace(prepared: Prepared, weights: Matrix64): LinearModel {
  const { featureMean, featureScale, responseMean } = prepared;
  const features = weights.cols;
  const intercepts = new Float64Array(weights.rows);
  for (let u = 0; u < weights.rows; u++) {
    for (let f = 0; f < features; f++) weights.data[u * features + f] = weights.data[u * features + f]! / featureScale[f]!;
    intercepts[u] = responseMean[u]! - dot(weights.data, u * features, featureMean, 0, features);
  }
  return { coefficients: weights, intercepts };
}

function checkPenalty(penalty: number): void {
  if (!(penalty >= 0 && penalty < Number.POSITIVE_INFINITY)) throw new Error(`expected a penalty from 0 up, got ${penalty}`);
}
