// Eigendecomposition of a symmetric matrix: Householder reduction to tridiagonal form, then QL with implicit shifts. Deterministic; knows
// nothing about evolution. Source: Golub & Van Loan 2013, sections 8.3.1 and 8.3.3 (the EISPACK pair tred2 and tql2).
// Everything works on rows of row-major storage: for an update of a column pair the matrix of vectors is kept transposed.

export interface SymmetricEigen {
  /** Ascending. */
  readonly values: Float64Array;
  /** Unit eigenvectors as rows, in the order of the values; row-major [dim, dim]. */
  readonly vectors: Float64Array;
}

/** `matrix` row-major [dim, dim], symmetric; it is not changed. Throws on numbers that are not finite. */
export function decomposeSymmetric(matrix: Float64Array, dim: number): SymmetricEigen {
  const diagonal = new Float64Array(dim);
  const offDiagonal = new Float64Array(dim); // e[i] couples i and i + 1; the last is 0
  const vectors = tridiagonalise(matrix.slice(), dim, diagonal, offDiagonal);
  diagonalise(diagonal, offDiagonal, vectors, dim);

  const order = Array.from({ length: dim }, (_, i) => i).sort((a, b) => diagonal[a]! - diagonal[b]! || a - b);
  const sorted = new Float64Array(dim * dim);
  for (const [place, i] of order.entries()) sorted.set(vectors.subarray(i * dim, (i + 1) * dim), place * dim);
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: sorted };
}

/**
 * Q' A Q = T by dim - 2 reflections; returns Q' (rows: the basis in which A is tridiagonal). `a` is used up.
 * Step k takes the part of row k right of the diagonal to a multiple of its first unit vector: v = x -+ |x| e1, H = I - 2 v v' / v'v.
 */
function tridiagonalise(a: Float64Array, dim: number, diagonal: Float64Array, offDiagonal: Float64Array): Float64Array {
  const reflectors: { readonly first: number; readonly v: Float64Array; readonly beta: number }[] = [];
  for (let k = 0; k < dim - 2; k++) {
    const first = k + 1;
    const size = dim - first;
    const v = a.slice(k * dim + first, (k + 1) * dim);
    let scale = 0;
    for (const value of v) scale = Math.max(scale, Math.abs(value));
    diagonal[k] = a[k * dim + k]!;
    if (!Number.isFinite(scale) || !Number.isFinite(diagonal[k]!)) throw new Error("expected a finite symmetric matrix");
    let tail = 0;
    for (let i = 1; i < size; i++) tail += (v[i]! / (scale || 1)) ** 2;
    if (tail === 0) {
      offDiagonal[k] = v[0]!;
      continue;
    }
    const head = v[0]! / scale;
    const length = Math.sqrt(head * head + tail);
    const alpha = head > 0 ? -length : length; // away from x: no cancellation
    offDiagonal[k] = alpha * scale;
    for (let i = 0; i < size; i++) v[i] = v[i]! / scale;
    v[0] = head - alpha;
    const beta = 2 / (v[0] * v[0] + tail);
    // A <- H A H on the trailing block: p = beta A v, w = p - (beta/2)(p.v) v, A <- A - v w' - w v'.
    const p = new Float64Array(size);
    for (let r = 0; r < size; r++) {
      const row = (first + r) * dim + first;
      let sum = 0;
      for (let c = 0; c < size; c++) sum += a[row + c]! * v[c]!;
      p[r] = beta * sum;
    }
    let along = 0;
    for (let i = 0; i < size; i++) along += p[i]! * v[i]!;
    const half = (beta / 2) * along;
    for (let i = 0; i < size; i++) p[i] = p[i]! - half * v[i]!;
    for (let r = 0; r < size; r++) {
      const row = (first + r) * dim + first;
      const vr = v[r]!;
      const pr = p[r]!;
      for (let c = 0; c < size; c++) a[row + c] = a[row + c]! - (vr * p[c]! + pr * v[c]!);
    }
    reflectors.push({ first, v, beta });
  }
  for (let k = Math.max(0, dim - 2); k < dim; k++) {
    diagonal[k] = a[k * dim + k]!;
    if (k + 1 < dim) offDiagonal[k] = a[k * dim + k + 1]!;
    if (!Number.isFinite(diagonal[k]!) || !Number.isFinite(offDiagonal[k]!)) throw new Error("expected a finite symmetric matrix");
  }

  // Q' = H_{n-3} ... H_0, built from the last reflector to the first so that each touches only its trailing block: Q' <- Q' H.
  const q = new Float64Array(dim * dim);
  for (let i = 0; i < dim; i++) q[i * dim + i] = 1;
  for (const { first, v, beta } of reflectors.toReversed()) {
    for (let r = first; r < dim; r++) {
      const row = r * dim + first;
      let sum = 0;
      for (let c = 0; c < v.length; c++) sum += q[row + c]! * v[c]!;
      const factor = beta * sum;
      for (let c = 0; c < v.length; c++) q[row + c] = q[row + c]! - factor * v[c]!;
    }
  }
  return q;
}

/** QL with implicit Wilkinson shifts; the rows of `vectors` turn with it into eigenvectors. */
function diagonalise(d: Float64Array, e: Float64Array, vectors: Float64Array, dim: number): void {
  for (let low = 0; low < dim; low++) {
    for (let sweep = 0; ; sweep++) {
      let end = low; // e[end] is negligible: the block [low, end] stands alone
      while (end < dim - 1 && Math.abs(e[end]!) > Number.EPSILON * (Math.abs(d[end]!) + Math.abs(d[end + 1]!))) end++;
      if (end === low) break;
      if (sweep >= 100) throw new Error(`expected the eigenvalues of a symmetric matrix within 100 sweeps, at ${low} of ${dim}`);
      const g0 = (d[low + 1]! - d[low]!) / (2 * e[low]!);
      const r0 = Math.hypot(g0, 1);
      let g = d[end]! - d[low]! + e[low]! / (g0 + (g0 >= 0 ? r0 : -r0));
      let s = 1;
      let c = 1;
      let p = 0;
      let cut = false;
      for (let i = end - 1; i >= low; i--) {
        const f = s * e[i]!;
        const b = c * e[i]!;
        const r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] = d[i + 1]! - p;
          e[end] = 0;
          cut = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1]! - p;
        const t = (d[i]! - g) * s + 2 * c * b;
        p = s * t;
        d[i + 1] = g + p;
        g = c * t - b;
        const upper = i * dim;
        const lower = upper + dim;
        for (let k = 0; k < dim; k++) {
          const x = vectors[lower + k]!;
          const y = vectors[upper + k]!;
          vectors[lower + k] = s * y + c * x;
          vectors[upper + k] = c * y - s * x;
        }
      }
      if (cut) continue;
      d[low] = d[low]! - p;
      e[low] = g;
      e[end] = 0;
    }
  }
}
