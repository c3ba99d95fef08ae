// Which weights of a linear unit an ablation removes. Knows nothing about images, generators or how weights were made.
//
// SPEC 5 (P 3, A.1): the weights of one sign in decreasing absolute value; alpha is the share of their total to remove.
// Two readings of the rule: "atMost" removes the largest k whose sum is at most alpha times the total (P 3), "reach" the
// smallest k whose sum reaches it (P A.1). Sums are compared with a relative tolerance of 1e-9: a plain comparison misses
// the last weight at alpha = 1 in about half of random units.
//
// Extension: for a unit at any layer, pass the gradient of the unit with respect to that layer's activations (times the
// activations for a contribution) in place of the weights, and the same masks follow the sign of the gradient.
import { createMatrix } from "./matrix.ts";
import type { Matrix64 } from "./matrix.ts";

export type WeightSign = "positive" | "negative";
export type AblationRule = "atMost" | "reach";

/** One ablation of one unit. alpha 0 is the intact unit. */
export interface AblationCondition {
  readonly sign: WeightSign;
  /** Share of the sign's total absolute weight, 0 to 1. */
  readonly alpha: number;
}

export interface AblationMask extends AblationCondition {
  readonly rule: AblationRule;
  /** Indices of the features set to zero, largest absolute weight first; equal weights in index order. */
  readonly zeroed: Int32Array;
  /** Share of the sign's total that they hold; 0 where the sign has no weight. */
  readonly removedShare: number;
}

const relativeTolerance = 1e-9;

/** alpha 0 to 1 by 0.1, each exactly the decimal (SPEC 5). */
export const defaultAlphas: readonly number[] = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Indices of the weights of one sign, largest absolute value first; equal weights in index order. Throws on NaN. */
export function rankWeights(weights: ArrayLike<number>, sign: WeightSign): Int32Array {
  const factor = sign === "positive" ? 1 : -1;
  const indices: number[] = [];
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (Number.isNaN(weight)) throw new Error(`expected numbers as weights, got NaN at feature ${i}`);
    if (factor * weight > 0) indices.push(i);
  }
  return Int32Array.from(indices.sort((a, b) => factor * (weights[b]! - weights[a]!) || a - b));
}

/**
 * The masks of one sign for several alphas, in the order given; the weights are sorted once.
 * alpha 0 zeroes none and alpha 1 all weights of the sign. Throws on an alpha outside 0..1.
 */
export function makeAblationMasks(options: {
  /** [features], in raw activation space. */
  readonly weights: ArrayLike<number>;
  readonly sign: WeightSign;
  readonly alphas?: readonly number[];
  readonly rule?: AblationRule;
}): AblationMask[] {
  const { weights, sign } = options;
  const rule = options.rule ?? "atMost";
  const ranked = rankWeights(weights, sign);
  const cumulative = new Float64Array(ranked.length + 1);
  for (let k = 0; k < ranked.length; k++) cumulative[k + 1] = cumulative[k]! + Math.abs(weights[ranked[k]!]!);
  const total = cumulative[ranked.length]!;
  return (options.alphas ?? defaultAlphas).map((alpha) => {
    if (!(alpha >= 0 && alpha <= 1)) throw new Error(`expected an ablation strength alpha from 0 to 1, got ${alpha}`);
    const count = countZeroed(cumulative, alpha, rule);
    return { sign, alpha, rule, zeroed: ranked.slice(0, count), removedShare: total > 0 ? cumulative[count]! / total : 0 };
  });
}

/** The mask of one condition. */
export function makeAblationMask(options: {
  readonly weights: ArrayLike<number>;
  readonly sign: WeightSign;
  readonly alpha: number;
  readonly rule?: AblationRule;
}): AblationMask {
  const [mask] = makeAblationMasks({ ...options, alphas: [options.alpha] });
  if (mask === undefined) throw new Error("expected one mask for one alpha, got none");
  return mask;
}

/** A copy of the weights with the mask's features at zero. */
export function applyAblation(weights: ArrayLike<number>, mask: AblationMask): Float64Array {
  const ablated = Float64Array.from(weights);
  for (const feature of mask.zeroed) ablated[feature] = 0;
  return ablated;
}

/**
 * The weights of one unit under many conditions, [conditions, features]: the penultimate features of an image times its
 * transpose give every condition's activation from one forward pass (SPEC 5). The intercept is that of the intact unit.
 */
export function ablateForConditions(options: {
  readonly weights: ArrayLike<number>;
  readonly conditions: readonly AblationCondition[];
  readonly rule?: AblationRule;
}): Matrix64 {
  const { weights, conditions } = options;
  const rule = options.rule ?? "atMost";
  const result = createMatrix(conditions.length, weights.length);
  for (const sign of ["positive", "negative"] as const) {
    const rows = conditions.flatMap((condition, row) => (condition.sign === sign ? [row] : []));
    const masks = makeAblationMasks({ weights, sign, alphas: rows.map((row) => conditions[row]!.alpha), rule });
    rows.forEach((row, i) => {
      result.data.set(applyAblation(weights, masks[i]!), row * weights.length);
    });
  }
  return result;
}

/** The conditions of a sweep: the intact unit once, then each sign with every alpha above 0 in the order given. */
export function listAblationConditions(options: {
  readonly signs?: readonly WeightSign[];
  readonly alphas?: readonly number[];
} = {}): AblationCondition[] {
  const signs = options.signs ?? ["positive", "negative"];
  const alphas = (options.alphas ?? defaultAlphas).filter((alpha) => alpha > 0);
  return [{ sign: signs[0] ?? "positive", alpha: 0 }, ...signs.flatMap((sign) => alphas.map((alpha) => ({ sign, alpha })))];
}

function countZeroed(cumulative: Float64Array, alpha: number, rule: AblationRule): number {
  const all = cumulative.length - 1;
  if (alpha === 0) return 0;
  if (alpha === 1) return all;
  const goal = alpha * cumulative[all]!;
  let count = 0;
  if (rule === "atMost") {
    while (count < all && cumulative[count + 1]! <= goal * (1 + relativeTolerance)) count++;
  } else {
    while (count < all && cumulative[count]! < goal * (1 - relativeTolerance)) count++;
  }
  return count;
}
