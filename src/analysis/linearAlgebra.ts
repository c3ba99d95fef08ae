// Factorisations of small symmetric matrices: Cholesky and eigenvalues. Knows nothing about statistics.
import { addScaled, createMatrix, dot, toFloat64 } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";

/** Eigenvalues in decreasing order; row i of `vectors` is the unit eigenvector of `values[i]`. */
export interface SymmetricEigen {
  readonly values: Float64Array;
  /** [n, n], orthonormal rows. */
  readonly vectors: Matrix64;
}

/**
 * Lower Cholesky factor L of a symmetric positive definite matrix, S = L L'; reads the lower triangle only.
 * null where a pivot is not above `relativeTolerance` times its diagonal element (the matrix is singular in double precision).
 */
export function factorCholesky(matrix: Matrix, options: { readonly relativeTolerance?: number } = {}): Matrix64 | null {
  const n = matrix.rows;
  if (matrix.cols !== n) throw new Error(`expected a square matrix, got ${n} x ${matrix.cols}`);
  const tolerance = options.relativeTolerance ?? 1e-13;
  const s = toFloat64(matrix).data;
  const factor = createMatrix(n, n);
  const l = factor.data;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      l[i * n + j] = (s[i * n + j]! - dot(l, i * n, l, j * n, j)) / l[j * n + j]!;
    }
    const diagonal = s[i * n + i]!;
    const pivot = diagonal - dot(l, i * n, l, i * n, i);
    if (!(pivot > tolerance * diagonal)) return null;
    l[i * n + i] = Math.sqrt(pivot);
  }
  return factor;
}

/** Solves L L' x = b for one right-hand side; b has length n and stays as it is. */
export function solveCholesky(factor: Matrix64, b: ArrayLike<number>): Float64Array {
  const n = factor.rows;
  if (b.length !== n) throw new Error(`expected ${n} right-hand values, got ${b.length}`);
  const l = factor.data;
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) x[i] = (x[i]! - dot(l, i * n, x, 0, i)) / l[i * n + i]!;
  for (let i = n - 1; i >= 0; i--) {
    const value = x[i]! / l[i * n + i]!;
    x[i] = value;
    addScaled(x, 0, l, i * n, i, -value);
  }
  return x;
}

/**
 * All eigenvalues and eigenvectors of a symmetric matrix, by Householder reduction to tridiagonal form and implicit QL
 * (Golub & Van Loan, Matrix Computations, 4th ed., 8.3; the tridiagonal step after Bowdler et al. 1968).
 * Absolute error of an eigenvalue is a few ulp of the largest. Throws on NaN (no convergence).
 */
export function decomposeSymmetric(matrix: Matrix): SymmetricEigen {
  const n = matrix.rows;
  if (matrix.cols !== n) throw new Error(`expected a square matrix, got ${n} x ${matrix.cols}`);
  if (n === 0) return { values: new Float64Array(0), vectors: createMatrix(0, 0) };
  const a = Float64Array.from(toFloat64(matrix).data);
  const diagonal = new Float64Array(n);
  const off = new Float64Array(n); // off[i] couples i and i + 1
  const reflectors = new Float64Array(n); // 2 / v'v of every step
  tridiagonalise(a, n, diagonal, off, reflectors);
  const q = accumulateReflectors(a, n, reflectors);
  diagonaliseTridiagonal(diagonal, off, q, n);

  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => diagonal[j]! - diagonal[i]! || i - j);
  const values = new Float64Array(n);
  const vectors = createMatrix(n, n);
  order.forEach((from, to) => {
    values[to] = diagonal[from]!;
    vectors.data.set(q.subarray(from * n, (from + 1) * n), to * n);
  });
  return { values, vectors };
}

/** A <- H A H step by step from the last row up; row i of `a` keeps the reflector of step i in columns 0..i-1. */
function tridiagonalise(a: Float64Array, n: number, diagonal: Float64Array, off: Float64Array, reflectors: Float64Array): void {
  const u = new Float64Array(n);
  for (let i = n - 1; i >= 1; i--) {
    const row = i * n;
    // Reduce row i, columns 0..i-1, to one entry at column i-1.
    const head = a[row + i - 1]!;
    let scale = 0;
    for (let k = 0; k < i; k++) scale = Math.max(scale, Math.abs(a[row + k]!));
    let tailIsZero = true;
    for (let k = 0; k < i - 1 && tailIsZero; k++) tailIsZero = a[row + k] === 0;
    diagonal[i] = a[row + i]!;
    if (scale === 0 || tailIsZero) {
      off[i - 1] = head;
      reflectors[i] = 0;
      continue;
    }
    let norm = 0;
    for (let k = 0; k < i; k++) {
      const value = a[row + k]! / scale;
      norm += value * value;
    }
    norm = scale * Math.sqrt(norm);
    const alpha = head > 0 ? -norm : norm;
    off[i - 1] = alpha;
    // v = x - alpha e; kept in the row, scaled by 1/scale to stay away from under- and overflow.
    a[row + i - 1] = head - alpha;
    let vv = 0;
    for (let k = 0; k < i; k++) {
      const value = a[row + k]! / scale;
      a[row + k] = value;
      vv += value * value;
    }
    const beta = 2 / vv;
    reflectors[i] = beta;
    // u = beta A v over the leading i x i block (lower triangle), then the rank-two update A -= v w' + w v'.
    u.fill(0, 0, i);
    for (let r = 0; r < i; r++) {
      const vr = a[row + r]!;
      const start = r * n;
      u[r] = u[r]! + dot(a, start, a, row, r) + a[start + r]! * vr;
      addScaled(u, 0, a, start, r, vr);
    }
    let vu = 0;
    for (let k = 0; k < i; k++) {
      u[k] = u[k]! * beta;
      vu += u[k]! * a[row + k]!;
    }
    const half = 0.5 * beta * vu;
    for (let k = 0; k < i; k++) u[k] = u[k]! - half * a[row + k]!;
    for (let r = 0; r < i; r++) {
      const vr = a[row + r]!;
      const ur = u[r]!;
      const start = r * n;
      for (let c = 0; c <= r; c++) a[start + c] = a[start + c]! - vr * u[c]! - ur * a[row + c]!;
    }
  }
  diagonal[0] = a[0]!;
}

/** Rows of the result are the columns of Q in A = Q T Q', so that the QL rotations below act on contiguous rows. */
function accumulateReflectors(a: Float64Array, n: number, reflectors: Float64Array): Float64Array {
  // Q = H_{n-1} ... H_1; only the leading i x i block is touched by H_i, so build up from i = 1.
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (let i = 1; i < n; i++) {
    const beta = reflectors[i]!;
    if (beta === 0) continue;
    for (let r = 0; r < i; r++) {
      const factor = -beta * dot(q, r * n, a, i * n, i);
      addScaled(q, r * n, a, i * n, i, factor);
    }
  }
  return q;
}

/** Implicit QL with Wilkinson shifts on the tridiagonal matrix; rotates the rows of `q` along. */
function diagonaliseTridiagonal(d: Float64Array, off: Float64Array, q: Float64Array, n: number): void {
  const maxSweeps = 60;
  off[n - 1] = 0;
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l;
      while (m < n - 1) {
        const size = Math.abs(d[m]!) + Math.abs(d[m + 1]!);
        if (Math.abs(off[m]!) <= Number.EPSILON * size || off[m] === 0) break;
        m++;
      }
      if (m === l) break;
      if (sweep === maxSweeps) throw new Error(`expected eigenvalue ${l} to converge in ${maxSweeps} sweeps; is there a NaN in the matrix?`);
      let g = (d[l + 1]! - d[l]!) / (2 * off[l]!);
      let r = Math.hypot(g, 1);
      g = d[m]! - d[l]! + off[l]! / (g + (g >= 0 ? r : -r));
      let s = 1;
      let c = 1;
      let p = 0;
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * off[i]!;
        const b = c * off[i]!;
        r = Math.hypot(f, g);
        off[i + 1] = r;
        if (r === 0) {
          d[i + 1] = d[i + 1]! - p;
          off[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        r = (d[i]! - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        rotateRows(q, i * n, (i + 1) * n, n, c, s);
      }
      if (r === 0 && i >= l) continue;
      d[l] = d[l]! - p;
      off[l] = g;
      off[m] = 0;
    }
  }
}

function rotateRows(q: Float64Array, lower: number, upper: number, n: number, c: number, s: number): void {
  for (let k = 0; k < n; k++) {
    const a = q[lower + k]!;
    const b = q[upper + k]!;
    q[upper + k] = s * a + c * b;
    q[lower + k] = c * a - s * b;
  }
}
