// Principal components. Knows nothing about what the rows are.
import { decomposeSymmetric } from "./linearAlgebra.ts";
import { addGramBelow, checkMatrix, columnMeans, createMatrix, dot, forEachRowBlock, gramOfColumns, gramOfRows, mirrorLower, multiply, multiplyTransposed, rowsPerBlock, standardise } from "./matrix.ts";
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
  const gram = centred === null ? gramOfColumns(data, mean) : gramOfRows(centred);
  const pca = componentsOf({ gram, centred, mean, rows, cols, options });
  chooseSigns(pca, projectRows(data, mean, pca.components));
  return pca;
}

/** Rows that are read in order, as often as is asked, in matrices of any number of rows: for more than fits into memory. */
export interface RowStream {
  readonly rows: number;
  readonly cols: number;
  read(): AsyncIterable<Matrix>;
}

/**
 * `fitPca` and `projectPca` of rows that are read three times and never held: the same numbers to the last bit, however the stream is cut. In memory are the
 * scores, [rows, components], and the Gram matrix, [cols, cols]. Throws where the stream gives another number of rows than it says.
 */
export async function fitPcaOfStream(stream: RowStream, options: { readonly components: number }): Promise<{ readonly pca: Pca; readonly scores: Matrix64 }> {
  const { rows, cols } = stream;
  if (rows <= cols) {
    const data = createMatrix(rows, cols);
    await forEachStreamBlock(stream, (block, from) => data.data.set(block.data, from * cols));
    const pca = fitPca(data, options);
    return { pca, scores: projectPca(pca, data) };
  }
  const mean = await meansOf(stream);
  const gram = createMatrix(cols, cols);
  await forEachStreamBlock(stream, (block) => addGramBelow(gram, block, mean));
  mirrorLower(gram);
  const pca = componentsOf({ gram, centred: null, mean, rows, cols, options });
  const scores = createMatrix(rows, pca.components.rows);
  await forEachStreamBlock(stream, (block, from) => scores.data.set(multiplyTransposed(standardise(block, mean), pca.components).data, from * scores.cols));
  chooseSigns(pca, scores);
  return { pca, scores };
}

/** In blocks of the size that all sums over rows are built from. */
async function forEachStreamBlock(stream: RowStream, visit: (block: Matrix64, from: number) => void): Promise<void> {
  const { rows, cols } = stream;
  const buffer = new Float64Array(rowsPerBlock * cols);
  let held = 0;
  let from = 0;
  const pass = (): void => {
    visit(createMatrix(held, cols, buffer.subarray(0, held * cols)), from);
    from += held;
    held = 0;
  };
  for await (const part of stream.read()) {
    checkMatrix(part, "a part of the stream");
    if (part.cols !== cols || from + held + part.rows > rows) throw new Error(`expected ${rows} rows of ${cols} numbers, got ${part.rows} of ${part.cols} after ${from + held}`);
    for (let r = 0; r < part.rows;) {
      const take = Math.min(part.rows - r, rowsPerBlock - held);
      buffer.set(part.data.subarray(r * cols, (r + take) * cols), held * cols);
      held += take;
      r += take;
      if (held === rowsPerBlock) pass();
    }
  }
  if (held > 0) pass();
  if (from !== rows) throw new Error(`expected ${rows} rows, got ${from}`);
}

/** As `columnMeans`: a column of equal values has exactly that mean. */
async function meansOf(stream: RowStream): Promise<Float64Array> {
  const { rows, cols } = stream;
  const mean = new Float64Array(cols);
  const low = new Float64Array(cols).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(cols).fill(Number.NEGATIVE_INFINITY);
  await forEachStreamBlock(stream, ({ data }) => {
    for (let start = 0; start < data.length; start += cols) {
      for (let c = 0; c < cols; c++) {
        const value = data[start + c]!;
        mean[c] = mean[c]! + value;
        if (value < low[c]!) low[c] = value;
        if (value > high[c]!) high[c] = value;
      }
    }
  });
  return mean.map((sum, c) => (low[c] === high[c] ? low[c]! : sum / rows));
}

/** Components of either sign. `centred`: the rows where `gram` is over them, null where it is over the columns. */
function componentsOf({ gram, centred, mean, rows, cols, options }: {
  readonly gram: Matrix64;
  readonly centred: Matrix64 | null;
  readonly mean: Float64Array;
  readonly rows: number;
  readonly cols: number;
  readonly options: { readonly components: number } | { readonly varianceShare: number };
}): Pca {
  const { values, vectors } = decomposeSymmetric(gram);
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
  const kept = squares.slice(0, count);
  return {
    mean,
    components,
    explainedVariance: kept.map((value) => value / (rows - 1)),
    explainedVarianceRatio: kept.map((value) => (total > 0 ? value / total : 0)),
    singularValues: kept.map(Math.sqrt),
  };
}

/** Turns components, and the scores on them, so that the largest score is positive. */
function chooseSigns({ components }: Pca, scores: Matrix64): void {
  const { rows: count, cols } = components;
  for (let k = 0; k < count; k++) {
    let largest = 0;
    for (let r = 0; r < scores.rows; r++) {
      const score = scores.data[r * count + k]!;
      if (Math.abs(score) > Math.abs(largest)) largest = score;
    }
    if (largest >= 0) continue;
    for (let f = k * cols; f < (k + 1) * cols; f++) components.data[f] = -components.data[f]!;
    for (let r = 0; r < scores.rows; r++) scores.data[r * count + k] = -scores.data[r * count + k]!;
  }
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
