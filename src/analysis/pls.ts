// Partial least squares regression of units on features. Knows nothing about images or which network gave the features.
//
// The fit is scikit-learn's PLSRegression (NIPALS, regression mode: Wold et al. 2001), rearranged so that the features are
// passed twice for all units and components together. With Xs the standardised features, every weight vector of a target
// residual y is w = Xs'y / |Xs'y| and every score is t = M Xs w, M the projector off the earlier scores. So with n images
// and p features:
//   n <= p: all of it runs on K = Xs Xs' [n, n]; the coefficients are Xs' d for one small vector d per unit.
//   n >  p: all of it runs on S = Xs' Xs [p, p] (Dayal & MacGregor 1997, kernel algorithm 2).
// For one component and one target this is the closed form b = v |v|^2 / |Xs v|^2 with v = Xs'y (SPEC 4).
import type { LinearModel } from "./linearModel.ts";
import {
  addScaled,
  checkSameRows,
  columnStatistics,
  createMatrix,
  dot,
  gramOfColumns,
  gramOfRows,
  multiply,
  multiplyVector,
  standardise,
  toFloat64,
  transpose,
} from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";

export interface PlsOptions {
  /** [images, features], raw activations. */
  readonly features: Matrix;
  /** [images, units], e.g. spikes/s. */
  readonly responses: Matrix;
  /** 1 or more; the paper uses 1. At most min(images - 1, features) carry anything. */
  readonly components: number;
  /** Scale features and responses to unit variance (ddof 1; a dead unit's scale is 1). Default true. */
  readonly scale?: boolean;
  /** One common set of components for all units (PLS2) instead of one model per unit (PLS1). Default false. */
  readonly joint?: boolean;
}

export interface PlsModel extends LinearModel {
  /**
   * Components in every unit's model, [units]. Fewer than asked for where the responses were fitted exactly before, or are
   * constant: a constant unit has 0 and predicts its mean.
   */
  readonly componentsUsed: Int32Array;
  /** What the features were centred by and divided by before the fit, [features]; the coefficients no longer need them. */
  readonly featureMean: Float64Array;
  readonly featureScale: Float64Array;
}

/** A residual below this share of the first one is rounding, not signal: scikit-learn's stop at a constant residual. */
const residualFloor = 1e-12;
/** scikit-learn's max_iter and tol of the inner loop, which only joint models enter. */
const nipalsMaxIterations = 500;
const nipalsTolerance = 1e-6;

/**
 * Fits PLS regression for all units at once. Coefficients and intercepts are in raw activation space (SPEC 4).
 * Throws where the row counts differ, on fewer than two images, or on a component count outside 1..min(images - 1, features).
 */
export function fitPls(options: PlsOptions): PlsModel {
  const { features, responses, components } = options;
  checkSameRows(features, "features", responses, "responses");
  const n = features.rows;
  const p = features.cols;
  const units = responses.cols;
  if (n < 2) throw new Error(`expected at least two images to fit on, got ${n}`);
  const most = Math.min(n - 1, p);
  if (!Number.isInteger(components) || components < 1 || components > most) {
    throw new Error(`expected 1 to ${most} components for ${n} images and ${p} features, got ${components}`);
  }
  const scale = options.scale ?? true;
  const x = scaleColumns(features, scale);
  const y = scaleColumns(responses, scale);
  const targets = transpose(y.matrix); // [units, images]
  const groups = (options.joint ?? false) ? [Array.from({ length: units }, (_, u) => u)] : Array.from({ length: units }, (_, u) => [u]);

  let coefficients: Matrix64; // on standardised features and responses first
  const componentsUsed = new Int32Array(units);
  if (n <= p) {
    const kernel = gramOfRows(x.matrix);
    const dual = createMatrix(units, n);
    for (const group of groups) {
      const fit = fitGroupDual(kernel, group.map((u) => targets.data.subarray(u * n, (u + 1) * n)), components);
      group.forEach((u, i) => {
        dual.data.set(fit.dual[i]!, u * n);
        componentsUsed[u] = fit.used;
      });
    }
    coefficients = multiply(dual, x.matrix);
  } else {
    coefficients = createMatrix(units, p);
    const gram = gramOfColumns(x.matrix);
    const cross = multiply(targets, x.matrix); // [units, features]
    for (const group of groups) {
      const fit = fitGroupPrimal(gram, group.map((u) => Float64Array.from(cross.data.subarray(u * p, (u + 1) * p))), components);
      group.forEach((u, i) => {
        coefficients.data.set(fit.coefficients[i]!, u * p);
        componentsUsed[u] = fit.used;
      });
    }
  }

  const intercepts = new Float64Array(units);
  const inverse = x.scale.map((value) => 1 / value);
  for (let u = 0; u < units; u++) {
    const start = u * p;
    const unitScale = y.scale[u]!;
    for (let f = 0; f < p; f++) coefficients.data[start + f] = coefficients.data[start + f]! * unitScale * inverse[f]!;
    intercepts[u] = y.mean[u]! - dot(coefficients.data, start, x.mean, 0, p);
  }
  return { coefficients, intercepts, componentsUsed, featureMean: x.mean, featureScale: x.scale };
}

function scaleColumns(matrix: Matrix, scale: boolean): { matrix: Matrix64; mean: Float64Array; scale: Float64Array } {
  const { mean, sd } = columnStatistics(toFloat64(matrix), { ddof: 1 });
  const divisor = sd.map((value) => (scale && value > 0 ? value : 1));
  return { matrix: scale ? standardise(matrix, mean, divisor) : standardise(matrix, mean), mean, scale: divisor };
}

/** All quantities live in image space: w = Xs'u, t = M K u. Returns d per target with coefficients = Xs' d. */
function fitGroupDual(
  kernel: Matrix64,
  targets: readonly Float64Array[],
  components: number,
): { readonly dual: Float64Array[]; readonly used: number } {
  const n = kernel.rows;
  const residuals = targets.map((target) => Float64Array.from(target));
  const first = sumOfSquares(residuals);
  const scores: Float64Array[] = [];
  const scoreSquares: number[] = [];
  const rotations: Float64Array[] = []; // r_a: the score of component a is K r_a, without deflation
  const dual = targets.map(() => new Float64Array(n));
  let used = 0;
  for (; used < components; used++) {
    if (sumOfSquares(residuals) <= residualFloor * residualFloor * first) break;
    const direction = dominantTarget(residuals, (target) => multiplyVector(kernel, target));
    const image = multiplyVector(kernel, direction);
    const norm = Math.sqrt(dot(direction, 0, image, 0, n)); // |w| = sqrt(u'Ku)
    if (!(norm > 0)) break;
    for (let i = 0; i < n; i++) {
      direction[i] = direction[i]! / norm;
      image[i] = image[i]! / norm;
    }
    // M applied to K u, and the same combination of earlier rotations, so that t = K r.
    const score = image;
    for (let pass = 0; pass < 2; pass++) {
      for (let a = 0; a < scores.length; a++) {
        const share = dot(scores[a]!, 0, score, 0, n) / scoreSquares[a]!;
        addScaled(score, 0, scores[a]!, 0, n, -share);
        addScaled(direction, 0, rotations[a]!, 0, n, -share);
      }
    }
    const square = dot(score, 0, score, 0, n);
    if (!(square > 0)) break;
    scores.push(score);
    scoreSquares.push(square);
    rotations.push(direction);
    residuals.forEach((residual, i) => {
      const loading = dot(score, 0, residual, 0, n) / square; // q = y't / t't
      addScaled(dual[i]!, 0, direction, 0, n, loading);
      addScaled(residual, 0, score, 0, n, -loading);
    });
  }
  return { dual, used };
}

/** All quantities live in feature space: s = Xs'y is deflated by p q t't. Overwrites `cross`. */
function fitGroupPrimal(
  gram: Matrix64,
  cross: readonly Float64Array[],
  components: number,
): { readonly coefficients: Float64Array[]; readonly used: number } {
  const p = gram.rows;
  const first = sumOfSquares(cross);
  const loadings: Float64Array[] = [];
  const rotations: Float64Array[] = [];
  const coefficients = cross.map(() => new Float64Array(p));
  let used = 0;
  for (; used < components; used++) {
    if (sumOfSquares(cross) <= residualFloor * residualFloor * first) break;
    const weight = dominantTarget(cross, (target) => target);
    const norm = Math.sqrt(dot(weight, 0, weight, 0, p));
    if (!(norm > 0)) break;
    for (let f = 0; f < p; f++) weight[f] = weight[f]! / norm;
    const rotation = Float64Array.from(weight); // r_a = w_a - sum_j (p_j'w_a) r_j
    for (let a = 0; a < loadings.length; a++) addScaled(rotation, 0, rotations[a]!, 0, p, -dot(loadings[a]!, 0, weight, 0, p));
    const image = multiplyVector(gram, rotation);
    const square = dot(rotation, 0, image, 0, p); // t't
    if (!(square > 0)) break;
    const loading = image.map((value) => value / square);
    loadings.push(loading);
    rotations.push(rotation);
    cross.forEach((target, i) => {
      const share = dot(rotation, 0, target, 0, p) / square; // q
      addScaled(coefficients[i]!, 0, rotation, 0, p, share);
      addScaled(target, 0, loading, 0, p, -share * square);
    });
  }
  return { coefficients, used };
}

/**
 * The combination of targets along which the features covary most, by the NIPALS inner loop. Its steps from a combination c
 * are c <- G c with G = Y'(Xs Xs')Y the targets' Gram under `apply`, and it stops where the weight vector w = Xs'Yc moved by
 * less than |dw|^2 = 1e-6: scikit-learn's starting column and stop, so that results agree beyond that tolerance.
 * A single target is its own.
 */
function dominantTarget(targets: readonly Float64Array[], apply: (target: Float64Array) => Float64Array): Float64Array {
  const only = targets[0];
  if (only === undefined) throw new Error("expected at least one target, got none");
  if (targets.length === 1) return Float64Array.from(only);
  const count = targets.length;
  const images = targets.map(apply);
  const gram = createMatrix(count, count);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) gram.data[i * count + j] = dot(targets[i]!, 0, images[j]!, 0, only.length);
  }
  let share = new Float64Array(count);
  share[Math.max(0, targets.findIndex((target) => target.some((value) => Math.abs(value) > Number.EPSILON)))] = 1;
  let image = multiplyVector(gram, share);
  let norm = Math.sqrt(dot(share, 0, image, 0, count));
  for (let iteration = 1; iteration < nipalsMaxIterations && norm > 0; iteration++) {
    const next = image.map((value) => value / norm);
    const nextImage = multiplyVector(gram, next);
    const nextNorm = Math.sqrt(dot(next, 0, nextImage, 0, count));
    const movedSquare = 2 - (2 * dot(next, 0, image, 0, count)) / (norm * nextNorm); // |w - w_old|^2, both of length 1
    share = next;
    image = nextImage;
    norm = nextNorm;
    if (movedSquare < nipalsTolerance) break;
  }
  const combination = new Float64Array(only.length);
  targets.forEach((target, i) => addScaled(combination, 0, target, 0, only.length, share[i]!));
  return combination;
}

function sumOfSquares(vectors: readonly Float64Array[]): number {
  return vectors.reduce((sum, vector) => sum + dot(vector, 0, vector, 0, vector.length), 0);
}
