// A square matrix A = F_k ... F_1, F_i = a (I + g_i v_i' v_i), kept as its vectors v_i: products with A and with its inverse, never an N x N matrix.
// Codes are row vectors. Knows nothing about evolution.
//
// Why this is exact: the Cholesky CMA-ES update adds a multiple of v' p to A with v = p inv(A), hence p = v A and
//   A <- a A + c v' p = (a I + c v' v) A = F A        (Suttorp, Hansen & Igel 2009, theorem 1, in row form),
// and the update of its inverse is the product with inv(F) = (I - h v' v) / a from the right, h = g / (1 + g |v|^2).
// With more vectors than half the dimension (long runs in few dimensions) the dense pair (A, inv(A)) is smaller: then it is kept instead.

import { addProducts, addScaled, dot, multiplyTransposed } from "../linear.ts";
import { applyRankOneProduct } from "./rankOneProduct.ts";
import type { StateReader } from "../strategy.ts";
import type { StateRecord } from "../types.ts";

export interface LowRankFactor {
  /** rows <- rows A, in place; row-major [rowCount, dim]. */
  multiply(rows: Float64Array, rowCount: number): void;
  /** row inv(A), a new array. */
  divide(row: Float64Array): Float64Array;
  /** A <- a (I + g v' v) A. */
  push(a: number, g: number, v: Float64Array): void;
  /** Vectors held; 0 once the matrix is dense. */
  rank(): number;
  save(): StateRecord;
}

export function createLowRankFactor(dim: number, saved: StateReader | null): LowRankFactor {
  const rankMax = Math.floor(dim / 2);
  let rank = 0;
  let vectors = new Float64Array(0); // [capacity, dim]
  /** gains[i] = g_i; scales[i] = a of factor i. */
  let gains: number[] = [];
  let scales: number[] = [];
  /** gram[i][j] = v_i . v_j for j <= i. */
  let gram: Float64Array[] = [];
  let dense: { readonly matrix: Float64Array; readonly inverse: Float64Array } | null = null;

  function reserve(count: number): void {
    if (vectors.length >= count * dim) return;
    const larger = new Float64Array(Math.max(count, Math.min(2 * rank, rankMax) + 4) * dim);
    larger.set(vectors.subarray(0, rank * dim));
    vectors = larger;
  }

  function append(a: number, g: number, v: Float64Array): void {
    reserve(rank + 1);
    vectors.set(v, rank * dim);
    const products = new Float64Array(rank + 1);
    for (let j = 0; j <= rank; j++) products[j] = dot(vectors, rank * dim, vectors, j * dim, dim);
    gram.push(products);
    gains.push(g);
    scales.push(a);
    rank++;
  }

  /** The rows of I A and I inv(A), from the vectors. */
  function makeDense(): void {
    const matrix = identity(dim);
    multiplyFactored(matrix, dim);
    const inverse = identity(dim);
    for (let r = 0; r < dim; r++) {
      const row = inverse.subarray(r * dim, (r + 1) * dim);
      divideFactored(row);
    }
    dense = { matrix, inverse };
    rank = 0;
    vectors = new Float64Array(0);
    gains = [];
    scales = [];
    gram = [];
  }

  function multiplyFactored(rows: Float64Array, rowCount: number): void {
    let scale = 1;
    for (const a of scales) scale *= a;
    applyRankOneProduct(rows, rowCount, dim, { vectors, count: rank, gains, scale, gram: (i, j) => gram[i]![j]!, order: "lastToFirst" });
  }

  function divideFactored(row: Float64Array): void {
    // inv(A) = inv(F_1) ... inv(F_k): from the first factor to the last.
    for (let i = 0; i < rank; i++) {
      const g = gains[i]!;
      const h = g / (1 + g * gram[i]![i]!);
      addScaled(row, 0, -h * dot(row, 0, vectors, i * dim, dim), vectors, i * dim, dim);
      const inverseScale = 1 / scales[i]!;
      for (let k = 0; k < dim; k++) row[k] = row[k]! * inverseScale;
    }
  }

  if (saved !== null) {
    const kind = saved.number("factorDense");
    if (kind === 1) {
      dense = { matrix: saved.array("factorMatrix", dim * dim), inverse: saved.array("factorInverse", dim * dim) };
    } else {
      const kept = saved.rows("factorVectors", dim);
      const count = kept.length / dim;
      const savedGains = saved.array("factorGains", count);
      const savedScales = saved.array("factorScales", count);
      reserve(count);
      for (let i = 0; i < count; i++) append(savedScales[i]!, savedGains[i]!, kept.subarray(i * dim, (i + 1) * dim));
    }
  }

  return {
    multiply(rows, rowCount) {
      if (dense === null) multiplyFactored(rows, rowCount);
      else {
        const product = new Float64Array(rowCount * dim);
        addProducts(product, rowCount, rows, dense.matrix, dim, dim);
        rows.set(product);
      }
    },
    divide(row) {
      if (dense === null) {
        const result = row.slice();
        divideFactored(result);
        return result;
      }
      const result = new Float64Array(dim);
      addProducts(result, 1, row, dense.inverse, dim, dim);
      return result;
    },
    push(a, g, v) {
      if (dense === null && rank + 1 > rankMax) makeDense();
      if (dense === null) {
        append(a, g, v);
        return;
      }
      const { matrix, inverse } = dense;
      const p = new Float64Array(dim); // v A
      addProducts(p, 1, v, matrix, dim, dim);
      const u = new Float64Array(dim); // inv(A) v'
      multiplyTransposed(u, inverse, dim, v, 1, dim);
      const h = g / (1 + g * dot(v, 0, v, 0, dim));
      for (let r = 0; r < dim; r++) {
        const begin = r * dim;
        const rise = g * v[r]!;
        const fall = h * u[r]!;
        for (let c = 0; c < dim; c++) {
          matrix[begin + c] = a * (matrix[begin + c]! + rise * p[c]!);
          inverse[begin + c] = (inverse[begin + c]! - fall * v[c]!) / a;
        }
      }
    },
    rank: () => rank,
    save() {
      return dense === null
        ? {
            factorDense: 0,
            factorVectors: vectors.slice(0, rank * dim),
            factorGains: Float64Array.from(gains),
            factorScales: Float64Array.from(scales),
          }
        : { factorDense: 1, factorMatrix: dense.matrix.slice(), factorInverse: dense.inverse.slice() };
    },
  };
}

function identity(dim: number): Float64Array {
  const matrix = new Float64Array(dim * dim);
  for (let i = 0; i < dim; i++) matrix[i * dim + i] = 1;
  return matrix;
}
