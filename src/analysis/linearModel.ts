// Linear models of units on features: the common shape of every fit, its predictions, and what its weights look like.
// Knows nothing about how a model was fitted.
import { binomialTwoSided } from "./distributions.ts";
import { checkMatrix, columnOf, multiplyTransposed } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { bonferroni, quantile } from "./statistics.ts";

/**
 * One linear model per unit, in raw activation space: response = features . coefficients + intercept, where the features
 * are the layer's activations as the network gives them (not centred, not scaled). Responses keep their unit (spikes/s).
 */
export interface LinearModel {
  /** [units, features]. */
  readonly coefficients: Matrix64;
  /** [units]. */
  readonly intercepts: Float64Array;
}

/** How the weight of one unit is shared between the signs. */
export interface WeightSigns {
  readonly positiveCount: number;
  readonly negativeCount: number;
  readonly zeroCount: number;
  /** Sum of the positive weights. */
  readonly positiveTotal: number;
  /** Sum of the absolute negative weights. */
  readonly negativeTotal: number;
  /** positiveTotal / negativeTotal; null where there is no negative weight. (SPEC 4) */
  readonly positiveToNegative: number | null;
}

/** Where the weights of one unit lie. */
export interface WeightDistribution {
  /** Edges of the bins, length bins + 1, symmetric about 0. */
  readonly edges: Float64Array;
  /** Weights per bin; the last bin holds its upper edge. */
  readonly counts: Uint32Array;
  readonly quantiles: { readonly q05: number; readonly q25: number; readonly q50: number; readonly q75: number; readonly q95: number };
  /** Number of largest |weights| that hold half of the total absolute weight. */
  readonly countForHalfOfTotal: number;
}

/** Sign consistency of one feature over models. */
export interface FeatureSign {
  readonly feature: number;
  readonly positiveCount: number;
  readonly negativeCount: number;
  /** Models with a non-zero weight: the n of the test. */
  readonly used: number;
  /** Share of the more frequent sign among `used`; 0 where none is used. */
  readonly majority: number;
  /** Two-sided binomial test against 0.5. */
  readonly p: number;
  /** p times the number of features tested, at most 1. */
  readonly pBonferroni: number;
}

/** Responses that a model predicts for features [images, features]: [images, units]. Throws on another feature count. */
export function predict(model: LinearModel, features: Matrix): Matrix64 {
  checkMatrix(features, "features");
  if (features.cols !== model.coefficients.cols) {
    throw new Error(`expected ${model.coefficients.cols} features as in the fit, got ${features.cols}`);
  }
  const predicted = multiplyTransposed(features, model.coefficients);
  const units = model.intercepts.length;
  for (let i = 0; i < predicted.data.length; i++) predicted.data[i] = predicted.data[i]! + model.intercepts[i % units]!;
  return predicted;
}

/** Counts and totals per sign of one unit's weights. Throws on NaN. */
export function weightSigns(weights: ArrayLike<number>): WeightSigns {
  let positiveCount = 0;
  let negativeCount = 0;
  let positiveTotal = 0;
  let negativeTotal = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (weight > 0) {
      positiveCount++;
      positiveTotal += weight;
    } else if (weight < 0) {
      negativeCount++;
      negativeTotal -= weight;
    } else if (Number.isNaN(weight)) {
      throw new Error(`expected numbers as weights, got NaN at feature ${i}`);
    }
  }
  return {
    positiveCount,
    negativeCount,
    zeroCount: weights.length - positiveCount - negativeCount,
    positiveTotal,
    negativeTotal,
    positiveToNegative: negativeTotal > 0 ? positiveTotal / negativeTotal : null,
  };
}

/** Histogram, quantiles and concentration of one unit's weights. `bins` is even so that 0 is an edge (default 40). */
export function weightDistribution(weights: ArrayLike<number>, options: { readonly bins?: number } = {}): WeightDistribution {
  const bins = options.bins ?? 40;
  if (!Number.isInteger(bins) || bins < 2 || bins % 2 !== 0) throw new Error(`expected an even number of bins from 2 up, got ${bins}`);
  if (weights.length === 0) throw new Error("expected at least one weight, got none");
  const sizes = Float64Array.from({ length: weights.length }, (_, i) => Math.abs(weights[i]!)).sort().reverse();
  const reach = sizes[0]! > 0 ? sizes[0]! : 1;
  const edges = Float64Array.from({ length: bins + 1 }, (_, i) => (reach * (2 * i - bins)) / bins);
  const counts = new Uint32Array(bins);
  for (let i = 0; i < weights.length; i++) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(((weights[i]! + reach) / (2 * reach)) * bins)));
    counts[bin] = counts[bin]! + 1;
  }
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let running = 0;
  let countForHalfOfTotal = 0;
  while (countForHalfOfTotal < sizes.length && running < total / 2) running += sizes[countForHalfOfTotal++]!;
  const at = (q: number) => quantile(weights, q);
  return { edges, counts, quantiles: { q05: at(0.05), q25: at(0.25), q50: at(0.5), q75: at(0.75), q95: at(0.95) }, countForHalfOfTotal };
}

/**
 * Whether features keep their sign over models (SPEC 4): for every feature a two-sided binomial test of positive against
 * negative weights with probability 0.5, zeros left out, Bonferroni over `tests` (default: the number of features).
 * `weights` is [models, features]; one result per feature in feature order.
 */
export function signConsistency(weights: Matrix, options: { readonly tests?: number } = {}): FeatureSign[] {
  checkMatrix(weights, "weights");
  const tests = options.tests ?? weights.cols;
  const known = new Map<number, number>(); // the p of (n, k), which 4096 features share
  return Array.from({ length: weights.cols }, (_, feature) => {
    const { positiveCount, negativeCount } = weightSigns(columnOf(weights, feature));
    const used = positiveCount + negativeCount;
    const key = used * (weights.rows + 1) + positiveCount;
    let p = known.get(key);
    if (p === undefined) {
      p = binomialTwoSided(positiveCount, used);
      known.set(key, p);
    }
    const majority = used === 0 ? 0 : Math.max(positiveCount, negativeCount) / used;
    return { feature, positiveCount, negativeCount, used, majority, p, pBonferroni: bonferroni(p, tests) };
  });
}

/** The smallest majority count among n models whose Bonferroni p is below `alpha`; null where even n of n is not. */
export function criticalSignCount(n: number, options: { readonly tests: number; readonly alpha?: number }): number | null {
  const alpha = options.alpha ?? 0.05;
  for (let count = Math.ceil(n / 2); count <= n; count++) {
    if (bonferroni(binomialTwoSided(count, n), options.tests) < alpha) return count;
  }
  return null;
}
