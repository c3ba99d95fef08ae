// Rows times a product of rank-one corrections of the identity, in two passes over the vectors. Knows nothing about evolution.

import { addProducts, multiplyTransposed } from "../linear.ts";

export interface RankOneProduct {
  /** v_i, row-major [count, dim] (a longer array is fine). */
  readonly vectors: Float64Array;
  readonly count: number;
  /** g_i. */
  readonly gains: ArrayLike<number>;
  /** Product of all a_i. */
  readonly scale: number;
  /** v_i . v_j for j < i. */
  readonly gram: (i: number, j: number) => number;
  /** Which factor meets a row first. */
  readonly order: "firstToLast" | "lastToFirst";
}

/**
 * rows <- rows F ..., F_i = a_i (I + g_i v_i' v_i), in place; rows row-major [rowCount, dim].
 * Whatever the order, z F ... = scale (z + sum_i alpha_i v_i) with alpha_i = g_i (z . v_i + sum over the factors l before i of alpha_l v_l . v_i):
 * one pass for the scalar products, a small triangular recursion, one pass to add. The passes run over tiles, which one factor after the
 * other could not.
 */
export function applyRankOneProduct(rows: Float64Array, rowCount: number, dim: number, product: RankOneProduct): void {
  const { vectors, count, gains, scale, gram, order } = product;
  if (count === 0) return;
  const coefficients = new Float64Array(rowCount * count);
  multiplyTransposed(coefficients, rows, rowCount, vectors, count, dim);
  for (let r = 0; r < rowCount; r++) {
    const begin = r * count;
    if (order === "lastToFirst") {
      for (let i = count - 1; i >= 0; i--) {
        let along = coefficients[begin + i]!;
        for (let l = count - 1; l > i; l--) along += coefficients[begin + l]! * gram(l, i);
        coefficients[begin + i] = gains[i]! * along;
      }
    } else {
      for (let i = 0; i < count; i++) {
        let along = coefficients[begin + i]!;
        for (let l = 0; l < i; l++) along += coefficients[begin + l]! * gram(i, l);
        coefficients[begin + i] = gains[i]! * along;
      }
    }
  }
  addProducts(rows, rowCount, coefficients, vectors, count, dim);
  const length = rowCount * dim;
  for (let i = 0; i < length; i++) rows[i] = rows[i]! * scale;
}
