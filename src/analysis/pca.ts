// Principal components. Knows nothing about what the rows are.
import { decomposeSymmetric } from "./linearAlgebra.ts";
import { checkMatrix, columnMeans, createMatrix, dot, forEachRowBlock, gramOfColumns, gramOfRows, multiply, multiplyTransposed, standardise } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";

export interface Pca {
  /** [features]. */
  readonly mean: Float64Array;
  /** [components, features], unit rows, largest variance first. */
  readonly components: Matrix64;
  /** Variance along each component, ddof 1. */
  readonly explainedVariance: Float64Array;
  /** Share of the total variance. */
  readonly explainedVarianceRatio: Float64Array;
  /** Of the centred data: sqrt(explainedVariance * (rows - 1)). */
  readonly singularValues: Float64Array;
}

/**
 * PCA of [rows, features]. `components` is how many to keep (at most min(rows, features)), or the share of variance to
 * reach (above 0 and below 1: the fewest components whose shares sum to at least it).
 * Signs: the row with the largest absolute score on a component has a positive score (scikit-learn's svd_flip).
 * Works on the smaller of the two Gram matrices, so a component with less than about 1e-8 of the leading singular value is
 * lost in rounding; such components come back with zero variance and an arbitrary direction of zeros.
 */
export function fitPca(data: Matrix, options: { readonly components: number } | { readonly varianceShare: number }): Pca {
  checkMatrix(data, "data");
  const { rows, cols } = data;
  if (rows < 2 || cols < 1) throw new Error(`expected at least two rows and one feature for PCA, got ${rows} x ${cols}`);
  const mean = columnMeans(data);
  const overRows = rows <= cols;
  const centred = overRows ? standardise(data, mean) : null;
  const { values, vectors } = decomposeSymmetric(centred === null ? gramOfColumns(data, mean) : gramOfRows(centred));
  const most = Math.min(rows, cols);
  const squares = values.slice(0, most).map((value) => Math.max(0, value));
  const total = squares.reduce((sum, value) => sum + value, 0);
  const count = "components" in options ? checkCount(options.components, most) : countForShare(squares, total, options.varianceShare);

  const floor = squares[0]! * Math.max(rows, cols) * Number.EPSILON;
  const leading = createMatrix(count, vectors.cols, vectors.data.slice(0, count * vectors.cols));
  const components = centred === null ? leading : multiply(leading, centred);
  for (let k = 0; k < count; k++) {
    const start = k * cols;
    const norm = squares[k]! > floor ? Math.sqrt(dot(components.data, start, components.data, start, cols)) : 0;
    if (norm === 0) squares[k] = 0;
    for (let f = 0; f < cols; f++) components.data[start + f] = norm > 0 ? components.data[start + f]! / norm : 0;
  }
  const scores = projectRows(data, mean, components); // [rows, components]
  for (let k = 0; k < count; k++) {
    let largest = 0;
    for (let r = 0; r < rows; r++) {
      const score = scores.data[r * count + k]!;
      if (Math.abs(score) > Math.abs(largest)) largest = score;
    }
    if (largest < 0) for (let f = k * cols; f < (k + 1) * cols; f++) components.data[f] = -components.data[f]!;
  }
  const kept = squares.slice(0, count);
  return {
    mean,
    components,
    explainedVariance: kept.map((value) => value / (rows - 1)),
    explainedVarianceRatio: kept.map((value) => (total > 0 ? value / total : 0)),
    singularValues: kept.map(Math.sqrt),
  };
}

/** Scores of other rows on the components, [rows, components]. Throws on another feature count. */
export function projectPca(pca: Pca, data: Matrix): Matrix64 {
  checkMatrix(data, "data");
  return projectRows(data, pca.mean, pca.components);
}

function projectRows(data: Matrix, mean: Float64Array, components: Matrix64): Matrix64 {
  const scores = createMatrix(data.rows, components.rows);
  forEachRowBlock(data, (rows, from, to) => {
    const block = standardise(createMatrix(to - from, data.cols, rows), mean);
    scores.data.set(multiplyTransposed(block, components).data, from * components.rows);
  });
  return scores;
}

function checkCount(count: number, most: number): number {
  if (!Number.isInteger(count) || count < 1 || count > most) throw new Error(`expected 1 to ${most} components, got ${count}`);
  return count;
}

function countForShare(squares: Float64Array, total: number, share: number): number {
  if (!(share > 0 && share < 1)) throw new Error(`expected a share of variance between 0 and 1, got ${share}`);
  let running = 0;
  let count = 0;
  while (count < squares.length && running < share * total) running += squares[count++]!;
  return Math.max(1, count);
}
