// Dense row-major matrices and their products. Knows nothing about images, units or models.
//
// Products run on 4 x 4 blocks held in registers, over column panels that fit the cache; sums go left to right within a
// panel, so a result depends on the shapes only and is the same on every machine.
// Indexed reads carry `!` in this folder's numeric code: every index is inside the shape that the function checked.

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

/** Columns per panel in the products: a panel of 4 + 4 rows is 64 KiB. */
const panelCols = 1024;

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

/**
 * Passes the rows in blocks of double precision, [to - from, cols]: views where the matrix is in double precision already, else
 * copies of one block, so that a large float32 matrix never exists twice.
 */
export function forEachRowBlock(matrix: Matrix, visit: (rows: Float64Array, from: number, to: number) => void, blockRows = 256): void {
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
  const result = createMatrix(a.rows, b.rows);
  addRowProducts(toFloat64(a).data, toFloat64(b).data, result.data, a.rows, b.rows, a.cols, false);
  return result;
}

/** A A', symmetric [a.rows, a.rows]. */
export function gramOfRows(a: Matrix): Matrix64 {
  const data = toFloat64(a).data;
  const result = createMatrix(a.rows, a.rows);
  addRowProducts(data, data, result.data, a.rows, a.rows, a.cols, true);
  mirrorLower(result);
  return result;
}

function mirrorLower(square: Matrix64): void {
  const { rows, data } = square;
  for (let i = 0; i < rows; i++) for (let j = 0; j < i; j++) data[j * rows + i] = data[i * rows + j]!;
}

/** A' A, symmetric [a.cols, a.cols]; with `centre` [a.cols] that of A less these column means. Holds one block of rows beside A. */
export function gramOfColumns(a: Matrix, centre?: Float64Array): Matrix64 {
  checkMatrix(a, "matrix");
  const p = a.cols;
  const result = createMatrix(p, p);
  forEachRowBlock(a, (rows, from, to) => {
    const block = createMatrix(to - from, p, rows);
    const centred = centre === undefined ? block : standardise(block, centre);
    addProduct(transpose(centred).data, centred.data, result.data, p, to - from, p, true);
  });
  mirrorLower(result);
  return result;
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

/**
 * out[m x p] += a[m x n] b[n x p]: four rows of b are added to four rows of out at a time. With `lowerOnly` (a symmetric result)
 * what lies right of the diagonal's 4 x 4 blocks is left out.
 */
function addProduct(a: Float64Array, b: Float64Array, out: Float64Array, m: number, n: number, p: number, lowerOnly: boolean): void {
  const mWhole = m - (m % 4);
  const nWhole = n - (n % 4);
  for (let panel = 0; panel < p; panel += panelCols) {
    const wholePanelEnd = Math.min(p, panel + panelCols);
    for (let j = 0; j < mWhole; j += 4) {
      const panelEnd = lowerOnly ? Math.min(wholePanelEnd, j + 4) : wholePanelEnd;
      if (panelEnd <= panel) continue;
      const a0 = j * n;
      const a1 = a0 + n;
      const a2 = a1 + n;
      const a3 = a2 + n;
      const c0 = j * p;
      const c1 = c0 + p;
      const c2 = c1 + p;
      const c3 = c2 + p;
      for (let i = 0; i < nWhole; i += 4) {
        const a00 = a[a0 + i]!;
        const a01 = a[a0 + i + 1]!;
        const a02 = a[a0 + i + 2]!;
        const a03 = a[a0 + i + 3]!;
        const a10 = a[a1 + i]!;
        const a11 = a[a1 + i + 1]!;
        const a12 = a[a1 + i + 2]!;
        const a13 = a[a1 + i + 3]!;
        const a20 = a[a2 + i]!;
        const a21 = a[a2 + i + 1]!;
        const a22 = a[a2 + i + 2]!;
        const a23 = a[a2 + i + 3]!;
        const a30 = a[a3 + i]!;
        const a31 = a[a3 + i + 1]!;
        const a32 = a[a3 + i + 2]!;
        const a33 = a[a3 + i + 3]!;
        const b0 = i * p;
        const b1 = b0 + p;
        const b2 = b1 + p;
        const b3 = b2 + p;
        for (let k = panel; k < panelEnd; k++) {
          const x0 = b[b0 + k]!;
          const x1 = b[b1 + k]!;
          const x2 = b[b2 + k]!;
          const x3 = b[b3 + k]!;
          out[c0 + k] = out[c0 + k]! + (a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3);
          out[c1 + k] = out[c1 + k]! + (a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3);
          out[c2 + k] = out[c2 + k]! + (a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3);
          out[c3 + k] = out[c3 + k]! + (a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3);
        }
      }
      for (let i = nWhole; i < n; i++) {
        for (let row = 0; row < 4; row++) addPanel(out, (j + row) * p, b, i * p, panel, panelEnd, a[(j + row) * n + i]!);
      }
    }
    for (let j = mWhole; j < m; j++) {
      for (let i = 0; i < n; i++) addPanel(out, j * p, b, i * p, panel, wholePanelEnd, a[j * n + i]!);
    }
  }
}

function addPanel(out: Float64Array, outStart: number, b: Float64Array, bStart: number, from: number, to: number, factor: number): void {
  for (let k = from; k < to; k++) out[outStart + k] = out[outStart + k]! + factor * b[bStart + k]!;
}

/** out[m x n] += a[m x p] b[n x p]'; with `lowerOnly` (a is b) only the 4 x 4 blocks on and below the diagonal. */
function addRowProducts(
  a: Float64Array,
  b: Float64Array,
  out: Float64Array,
  m: number,
  n: number,
  p: number,
  lowerOnly: boolean,
): void {
  const mWhole = m - (m % 4);
  const nWhole = n - (n % 4);
  for (let panel = 0; panel < p; panel += panelCols) {
    const panelEnd = Math.min(p, panel + panelCols);
    for (let i = 0; i < mWhole; i += 4) {
      const a0 = i * p;
      const a1 = a0 + p;
      const a2 = a1 + p;
      const a3 = a2 + p;
      const jEnd = lowerOnly ? Math.min(nWhole, i + 4) : nWhole;
      for (let j = 0; j < jEnd; j += 4) {
        const b0 = j * p;
        const b1 = b0 + p;
        const b2 = b1 + p;
        const b3 = b2 + p;
        let s00 = 0;
        let s01 = 0;
        let s02 = 0;
        let s03 = 0;
        let s10 = 0;
        let s11 = 0;
        let s12 = 0;
        let s13 = 0;
        let s20 = 0;
        let s21 = 0;
        let s22 = 0;
        let s23 = 0;
        let s30 = 0;
        let s31 = 0;
        let s32 = 0;
        let s33 = 0;
        for (let k = panel; k < panelEnd; k++) {
          const x0 = a[a0 + k]!;
          const x1 = a[a1 + k]!;
          const x2 = a[a2 + k]!;
          const x3 = a[a3 + k]!;
          const y0 = b[b0 + k]!;
          const y1 = b[b1 + k]!;
          const y2 = b[b2 + k]!;
          const y3 = b[b3 + k]!;
          s00 += x0 * y0;
          s01 += x0 * y1;
          s02 += x0 * y2;
          s03 += x0 * y3;
          s10 += x1 * y0;
          s11 += x1 * y1;
          s12 += x1 * y2;
          s13 += x1 * y3;
          s20 += x2 * y0;
          s21 += x2 * y1;
          s22 += x2 * y2;
          s23 += x2 * y3;
          s30 += x3 * y0;
          s31 += x3 * y1;
          s32 += x3 * y2;
          s33 += x3 * y3;
        }
        const o0 = i * n + j;
        const o1 = o0 + n;
        const o2 = o1 + n;
        const o3 = o2 + n;
        out[o0] = out[o0]! + s00;
        out[o0 + 1] = out[o0 + 1]! + s01;
        out[o0 + 2] = out[o0 + 2]! + s02;
        out[o0 + 3] = out[o0 + 3]! + s03;
        out[o1] = out[o1]! + s10;
        out[o1 + 1] = out[o1 + 1]! + s11;
        out[o1 + 2] = out[o1 + 2]! + s12;
        out[o1 + 3] = out[o1 + 3]! + s13;
        out[o2] = out[o2]! + s20;
        out[o2 + 1] = out[o2 + 1]! + s21;
        out[o2 + 2] = out[o2 + 2]! + s22;
        out[o2 + 3] = out[o2 + 3]! + s23;
        out[o3] = out[o3]! + s30;
        out[o3 + 1] = out[o3 + 1]! + s31;
        out[o3 + 2] = out[o3 + 2]! + s32;
        out[o3 + 3] = out[o3 + 3]! + s33;
      }
      for (let j = nWhole; j < (lowerOnly ? 0 : n); j++) {
        for (let row = i; row < i + 4; row++) {
          out[row * n + j] = out[row * n + j]! + dot(a, row * p + panel, b, j * p + panel, panelEnd - panel);
        }
      }
    }
    for (let i = mWhole; i < m; i++) {
      const jEnd = lowerOnly ? i + 1 : n;
      for (let j = 0; j < jEnd; j++) {
        out[i * n + j] = out[i * n + j]! + dot(a, i * p + panel, b, j * p + panel, panelEnd - panel);
      }
    }
  }
}
