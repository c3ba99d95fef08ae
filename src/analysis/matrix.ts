// Dense row-major matrices and their products. Knows nothing about images, units or models.
//
// Products run over packed panels that fit the cache, in the order that panelKernel.ts states, so a result depends on the numbers and
// shapes only and is the same on every machine.
// Indexed reads carry `!` in this folder's numeric code: every index is inside the shape that the function checked.
import { createPlainKernel, createSimdKernel } from "./panelKernel.ts";
import type { PanelKernel } from "./panelKernel.ts";

/** Dense matrix, row-major: element (r, c) is `data[r * cols + c]`. `data.length` is `rows * cols`. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array | Float32Array;
}

/** A Matrix in double precision; every computed result of this folder is one. */
export interface Matrix64 extends Matrix {
  readonly data: Float64Array;
}

/** Mean and scale of every column. */
export interface ColumnStatistics {
  readonly mean: Float64Array;
  /** Standard deviation with the stated ddof; exactly 0 for a column of equal values. */
  readonly sd: Float64Array;
}

/** A rows x cols matrix around `data` (not copied), or of zeros. Throws where the length does not fit. */
export function createMatrix(rows: number, cols: number, data?: Float64Array): Matrix64 {
  if (!Number.isInteger(rows) || !Number.isInteger(cols) || rows < 0 || cols < 0) {
    throw new Error(`expected whole, non-negative matrix sizes, got ${rows} x ${cols}`);
  }
  if (data !== undefined && data.length !== rows * cols) {
    throw new Error(`expected ${rows * cols} values for a ${rows} x ${cols} matrix, got ${data.length}`);
  }
  return { rows, cols, data: data ?? new Float64Array(rows * cols) };
}

/** A matrix from rows of equal length. Throws on ragged rows. */
export function matrixFromRows(rows: readonly ArrayLike<number>[]): Matrix64 {
  const cols = rows[0]?.length ?? 0;
  const result = createMatrix(rows.length, cols);
  rows.forEach((row, r) => {
    if (row.length !== cols) throw new Error(`expected ${cols} values in row ${r}, got ${row.length}`);
    result.data.set(row, r * cols);
  });
  return result;
}

/** A one-column matrix, [values.length, 1]. Copies. */
export function matrixFromColumn(values: ArrayLike<number>): Matrix64 {
  return createMatrix(values.length, 1, Float64Array.from(values));
}

/** The same matrix in double precision: itself where it already is, else a copy. */
export function toFloat64(matrix: Matrix): Matrix64 {
  checkMatrix(matrix, "matrix");
  return matrix.data instanceof Float64Array
    ? { rows: matrix.rows, cols: matrix.cols, data: matrix.data }
    : { rows: matrix.rows, cols: matrix.cols, data: Float64Array.from(matrix.data) };
}

/** Throws unless data and shape agree. `name` says which argument in the message. */
export function checkMatrix(matrix: Matrix, name: string): void {
  if (matrix.data.length !== matrix.rows * matrix.cols) {
    throw new Error(`expected ${name} of ${matrix.rows} x ${matrix.cols} to hold ${matrix.rows * matrix.cols} values, got ${matrix.data.length}`);
  }
}

/** Throws unless both have as many rows (images); the messages name the arguments. */
export function checkSameRows(a: Matrix, aName: string, b: Matrix, bName: string): void {
  checkMatrix(a, aName);
  checkMatrix(b, bName);
  if (a.rows !== b.rows) throw new Error(`expected ${aName} and ${bName} to have as many rows, got ${a.rows} and ${b.rows}`);
}

/** Element (row, col). Throws outside the matrix; for loops over many elements use `data`. */
export function elementAt(matrix: Matrix, row: number, col: number): number {
  if (!(row >= 0 && row < matrix.rows && col >= 0 && col < matrix.cols)) {
    throw new Error(`expected a place inside ${matrix.rows} x ${matrix.cols}, got (${row}, ${col})`);
  }
  return matrix.data[row * matrix.cols + col]!;
}

/** A view (no copy) of one row, length cols. Throws outside the matrix. */
export function rowOf(matrix: Matrix64, row: number): Float64Array;
export function rowOf(matrix: Matrix, row: number): Float64Array | Float32Array;
export function rowOf(matrix: Matrix, row: number): Float64Array | Float32Array {
  if (!(row >= 0 && row < matrix.rows)) throw new Error(`expected a row from 0 to ${matrix.rows - 1}, got ${row}`);
  return matrix.data.subarray(row * matrix.cols, (row + 1) * matrix.cols);
}

/** A copy of one column, length rows. Throws outside the matrix. */
export function columnOf(matrix: Matrix, col: number): Float64Array {
  if (!(col >= 0 && col < matrix.cols)) throw new Error(`expected a column from 0 to ${matrix.cols - 1}, got ${col}`);
  const values = new Float64Array(matrix.rows);
  for (let r = 0; r < matrix.rows; r++) values[r] = matrix.data[r * matrix.cols + col]!;
  return values;
}

/** The rows with these indices, in this order, as a new matrix [indices.length, cols]. Throws on an index outside. */
export function takeRows(matrix: Matrix, indices: ArrayLike<number>): Matrix64 {
  const result = createMatrix(indices.length, matrix.cols);
  for (let i = 0; i < indices.length; i++) result.data.set(rowOf(matrix, indices[i]!), i * matrix.cols);
  return result;
}

/** The columns with these indices, in this order, as a new matrix [rows, indices.length]. Throws on an index outside. */
export function takeColumns(matrix: Matrix, indices: ArrayLike<number>): Matrix64 {
  const result = createMatrix(matrix.rows, indices.length);
  for (let i = 0; i < indices.length; i++) {
    const col = indices[i]!;
    if (!(col >= 0 && col < matrix.cols)) throw new Error(`expected a column from 0 to ${matrix.cols - 1}, got ${col}`);
    for (let r = 0; r < matrix.rows; r++) result.data[r * indices.length + i] = matrix.data[r * matrix.cols + col]!;
  }
  return result;
}

/** Matrices on top of each other, [sum of rows, cols]. Throws where the column counts differ or the list is empty. */
export function stackRows(parts: readonly Matrix[]): Matrix64 {
  const cols = parts[0]?.cols;
  if (cols === undefined) throw new Error("expected at least one matrix to stack, got none");
  const result = createMatrix(parts.reduce((rows, part) => rows + part.rows, 0), cols);
  let at = 0;
  for (const part of parts) {
    if (part.cols !== cols) throw new Error(`expected ${cols} columns in every stacked matrix, got ${part.cols}`);
    result.data.set(part.data, at);
    at += part.data.length;
  }
  return result;
}

/** The transpose, [cols, rows], copied in square tiles. */
export function transpose(matrix: Matrix): Matrix64 {
  const { rows, cols } = matrix;
  const from = toFloat64(matrix).data;
  const result = createMatrix(cols, rows);
  const to = result.data;
  const tile = 32;
  for (let r0 = 0; r0 < rows; r0 += tile) {
    const r1 = Math.min(rows, r0 + tile);
    for (let c0 = 0; c0 < cols; c0 += tile) {
      const c1 = Math.min(cols, c0 + tile);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) to[c * rows + r] = from[r * cols + c]!;
      }
    }
  }
  return result;
}

/** The first NaN or infinity in row-major order, or null. */
export function findNonFinite(matrix: Matrix): { readonly row: number; readonly col: number; readonly value: number } | null {
  const { data, cols } = matrix;
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    // x - x is 0 exactly for finite x only.
    if (value - value !== 0) return { row: Math.floor(i / cols), col: i % cols, value };
  }
  return null;
}

/**
 * Mean and standard deviation of every column, in two passes. A column of equal values gets that value as its mean and
 * an sd of exactly 0 (a rounded mean would leave an sd near 1e-17, and scaling by it would blow noise up).
 * ddof 1 divides by rows - 1; with too few rows the sd is 0.
 */
export function columnStatistics(matrix: Matrix, options: { readonly ddof: 0 | 1 }): ColumnStatistics {
  const { rows, cols } = matrix;
  checkMatrix(matrix, "matrix");
  const mean = new Float64Array(cols);
  const sd = new Float64Array(cols);
  if (rows === 0) return { mean, sd };
  const low = Float64Array.from(matrix.data.subarray(0, cols));
  const high = low.slice();
  forEachRowBlock(matrix, (x, from, to) => {
    for (let start = 0; start < (to - from) * cols; start += cols) {
      for (let c = 0; c < cols; c++) {
        const value = x[start + c]!;
        mean[c] = mean[c]! + value;
        if (value < low[c]!) low[c] = value;
        if (value > high[c]!) high[c] = value;
      }
    }
  });
  for (let c = 0; c < cols; c++) mean[c] = low[c] === high[c] ? low[c]! : mean[c]! / rows;
  forEachRowBlock(matrix, (x, from, to) => {
    for (let start = 0; start < (to - from) * cols; start += cols) {
      for (let c = 0; c < cols; c++) {
        const difference = x[start + c]! - mean[c]!;
        sd[c] = sd[c]! + difference * difference;
      }
    }
  });
  const degrees = rows - options.ddof;
  for (let c = 0; c < cols; c++) sd[c] = degrees > 0 ? Math.sqrt(sd[c]! / degrees) : 0;
  return { mean, sd };
}

/** Sums over rows are built block by block: their last bits depend on this number, and on it alone. */
export const rowsPerBlock = 256;

/**
 * Passes the rows in blocks of double precision, [to - from, cols]: views where the matrix is in double precision already, else
 * copies of one block, so that a large float32 matrix never exists twice.
 */
export function forEachRowBlock(matrix: Matrix, visit: (rows: Float64Array, from: number, to: number) => void, blockRows = rowsPerBlock): void {
  const { rows, cols, data } = matrix;
  for (let from = 0; from < rows; from += blockRows) {
    const to = Math.min(rows, from + blockRows);
    const part = data.subarray(from * cols, to * cols);
    visit(part instanceof Float64Array ? part : Float64Array.from(part), from, to);
  }
}

/** Mean of every column, length cols. */
export function columnMeans(matrix: Matrix): Float64Array {
  return columnStatistics(matrix, { ddof: 0 }).mean;
}

/** (matrix - centre) / scale for every column, as a new matrix. Without `scale` the columns are only centred. */
export function standardise(matrix: Matrix, centre: Float64Array, scale?: Float64Array): Matrix64 {
  const { rows, cols } = matrix;
  if (centre.length !== cols) throw new Error(`expected ${cols} column centres, got ${centre.length}`);
  if (scale !== undefined && scale.length !== cols) throw new Error(`expected ${cols} column scales, got ${scale.length}`);
  const x = toFloat64(matrix).data;
  const result = createMatrix(rows, cols);
  const out = result.data;
  if (scale === undefined) {
    for (let r = 0; r < rows; r++) {
      const start = r * cols;
      for (let c = 0; c < cols; c++) out[start + c] = x[start + c]! - centre[c]!;
    }
  } else {
    const factor = scale.map((value) => 1 / value);
    for (let r = 0; r < rows; r++) {
      const start = r * cols;
      for (let c = 0; c < cols; c++) out[start + c] = (x[start + c]! - centre[c]!) * factor[c]!;
    }
  }
  return result;
}

/** A B, [a.rows, b.cols]. Throws unless a.cols = b.rows. */
export function multiply(a: Matrix, b: Matrix): Matrix64 {
  if (a.cols !== b.rows) throw new Error(`expected inner sizes to agree, got ${a.rows} x ${a.cols} times ${b.rows} x ${b.cols}`);
  const result = createMatrix(a.rows, b.cols);
  addProduct(toFloat64(a).data, toFloat64(b).data, result.data, a.rows, a.cols, b.cols, false);
  return result;
}

/** A' B, [a.cols, b.cols]. Throws unless a.rows = b.rows. */
export function transposeMultiply(a: Matrix, b: Matrix): Matrix64 {
  return multiply(transpose(a), b);
}

/** A B', [a.rows, b.rows]: every dot product of a row of A with a row of B. Throws unless the column counts agree. */
export function multiplyTransposed(a: Matrix, b: Matrix): Matrix64 {
  if (a.cols !== b.cols) throw new Error(`expected rows of equal length, got ${a.cols} and ${b.cols}`);
  return multiply(a, transpose(b));
}

/** A A', symmetric [a.rows, a.rows]. */
export function gramOfRows(a: Matrix): Matrix64 {
  checkMatrix(a, "matrix");
  const result = createMatrix(a.rows, a.rows);
  addProduct(toFloat64(a).data, transpose(a).data, result.data, a.rows, a.cols, a.rows, true);
  mirrorLower(result);
  return result;
}

/** Copies what lies below the diagonal of a square to above it. */
export function mirrorLower(square: Matrix64): void {
  const { rows, data } = square;
  for (let i = 0; i < rows; i++) for (let j = 0; j < i; j++) data[j * rows + i] = data[i * rows + j]!;
}

/** A' A, symmetric [a.cols, a.cols]; with `centre` [a.cols] that of A less these column means. Holds one block of rows beside A. */
export function gramOfColumns(a: Matrix, centre?: Float64Array): Matrix64 {
  checkMatrix(a, "matrix");
  const p = a.cols;
  const result = createMatrix(p, p);
  forEachRowBlock(a, (rows, from, to) => addGramBelow(result, createMatrix(to - from, p, rows), centre));
  mirrorLower(result);
  return result;
}

/** Adds the diagonal and what lies below it of a block's A' A to `gram`; a sum over blocks is whole after `mirrorLower`. */
export function addGramBelow(gram: Matrix64, block: Matrix64, centre?: Float64Array): void {
  const centred = centre === undefined ? block : standardise(block, centre);
  addProduct(transpose(centred).data, centred.data, gram.data, block.cols, block.rows, block.cols, true);
}

/** A v, length a.rows. */
export function multiplyVector(a: Matrix, vector: ArrayLike<number>): Float64Array {
  if (vector.length !== a.cols) throw new Error(`expected a vector of ${a.cols} values, got ${vector.length}`);
  const data = toFloat64(a).data;
  const v = Float64Array.from(vector);
  const result = new Float64Array(a.rows);
  for (let r = 0; r < a.rows; r++) result[r] = dot(data, r * a.cols, v, 0, a.cols);
  return result;
}

/** Sum of products of two stretches of equal length, in four running sums. */
export function dot(a: Float64Array, aStart: number, b: Float64Array, bStart: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = length - (length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    s0 += a[aStart + i]! * b[bStart + i]!;
    s1 += a[aStart + i + 1]! * b[bStart + i + 1]!;
    s2 += a[aStart + i + 2]! * b[bStart + i + 2]!;
    s3 += a[aStart + i + 3]! * b[bStart + i + 3]!;
  }
  for (; i < length; i++) s0 += a[aStart + i]! * b[bStart + i]!;
  return s0 + s1 + (s2 + s3);
}

/** y += factor * x over two stretches. */
export function addScaled(y: Float64Array, yStart: number, x: Float64Array, xStart: number, length: number, factor: number): void {
  for (let i = 0; i < length; i++) y[yStart + i] = y[yStart + i]! + factor * x[xStart + i]!;
}

/** A panel: columns of out, and rows of b that are added to them at once. It takes 1 MiB, half of a core's cache. */
const panelCols = 512;
const panelRows = 256;
const panelPlace = { b: 0, out: panelRows * panelCols, factors: (panelRows + 2) * panelCols } as const;
let sharedKernel: PanelKernel | undefined;

/** One kernel for all products of a process: they never overlap, and its buffer holds nothing between them. */
function kernelForProducts(): PanelKernel {
  const bufferLength = panelPlace.factors + 2 * panelRows;
  return (sharedKernel ??= createSimdKernel(bufferLength) ?? createPlainKernel(bufferLength));
}

/**
 * out[m x p] += a[m x n] b[n x p]. With `lowerOnly` (a symmetric result) most of what lies right of the diagonal is left out.
 * Edges are filled up with zeros: rows in twos, groups of b in fours, columns in twos.
 */
function addProduct(a: Float64Array, b: Float64Array, out: Float64Array, m: number, n: number, p: number, lowerOnly: boolean): void {
  const kernel = kernelForProducts();
  const { buffer } = kernel;
  const { out: o, factors } = panelPlace;
  for (let c0 = 0; c0 < p; c0 += panelCols) {
    const cols = Math.min(panelCols, p - c0);
    const stride = cols + (cols % 2);
    for (let r0 = 0; r0 < n; r0 += panelRows) {
      const rows = Math.min(panelRows, n - r0);
      const groups = Math.ceil(rows / 4);
      buffer.fill(0, 0, 4 * groups * stride);
      for (let r = 0; r < rows; r++) buffer.set(b.subarray((r0 + r) * p + c0, (r0 + r) * p + c0 + cols), r * stride);
      for (let j = lowerOnly ? c0 - (c0 % 2) : 0; j < m; j += 2) {
        const width = lowerOnly ? Math.min(cols, j + 2 - c0) : cols;
        const pair = j + 1 < m;
        buffer.fill(0, factors, factors + 8 * groups);
        for (let r = 0; r < rows; r++) {
          const place = factors + 8 * (r >> 2) + (r & 3);
          buffer[place] = a[j * n + r0 + r]!;
          if (pair) buffer[place + 4] = a[(j + 1) * n + r0 + r]!;
        }
        const first = j * p + c0;
        if (width % 2 === 1) buffer[o + width] = buffer[o + stride + width] = 0; // a stale NaN would do no harm but cost time
        buffer.set(out.subarray(first, first + width), o);
        if (pair) buffer.set(out.subarray(first + p, first + p + width), o + stride);
        kernel.add({ out: o, b: panelPlace.b, factors, groups, columns: width + (width % 2), stride });
        out.set(buffer.subarray(o, o + width), first);
        if (pair) out.set(buffer.subarray(o + stride, o + stride + width), first + p);
      }
    }
  }
}
