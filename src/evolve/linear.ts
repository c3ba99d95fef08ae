// Dense kernels on Float64Arrays, written for one core without SIMD: rows and factors are taken in tiles so that every load is used
// several times. Knows nothing about evolution.

/** Scalar product of a[aBegin ...] and b[bBegin ...] over `length` elements. */
export function dot(a: Float64Array, aBegin: number, b: Float64Array, bBegin: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    s0 += a[aBegin + i]! * b[bBegin + i]!;
    s1 += a[aBegin + i + 1]! * b[bBegin + i + 1]!;
    s2 += a[aBegin + i + 2]! * b[bBegin + i + 2]!;
    s3 += a[aBegin + i + 3]! * b[bBegin + i + 3]!;
  }
  for (; i < length; i++) s0 += a[aBegin + i]! * b[bBegin + i]!;
  return s0 + s1 + (s2 + s3);
}

/** Euclidean norm. */
export function norm(a: Float64Array, begin = 0, length = a.length): number {
  return Math.sqrt(dot(a, begin, a, begin, length));
}

/** y[yBegin ...] += factor * x[xBegin ...]. */
export function addScaled(y: Float64Array, yBegin: number, factor: number, x: Float64Array, xBegin: number, length: number): void {
  for (let i = 0; i < length; i++) y[yBegin + i] = y[yBegin + i]! + factor * x[xBegin + i]!;
}

/**
 * products[r, f] = rows[r] . factors[f]: rows row-major [rowCount, dim], factors row-major [factorCount, dim],
 * products row-major [rowCount, factorCount].
 */
export function multiplyTransposed(
  products: Float64Array,
  rows: Float64Array,
  rowCount: number,
  factors: Float64Array,
  factorCount: number,
  dim: number,
): void {
  let r = 0;
  for (; r + 1 < rowCount; r += 2) {
    const a = r * dim;
    const b = a + dim;
    let f = 0;
    for (; f + 3 < factorCount; f += 4) {
      const p = f * dim;
      const q = p + dim;
      const u = q + dim;
      const v = u + dim;
      let ap = 0;
      let aq = 0;
      let au = 0;
      let av = 0;
      let bp = 0;
      let bq = 0;
      let bu = 0;
      let bv = 0;
      for (let i = 0; i < dim; i++) {
        const x = rows[a + i]!;
        const y = rows[b + i]!;
        const fp = factors[p + i]!;
        const fq = factors[q + i]!;
        const fu = factors[u + i]!;
        const fv = factors[v + i]!;
        ap += x * fp;
        aq += x * fq;
        au += x * fu;
        av += x * fv;
        bp += y * fp;
        bq += y * fq;
        bu += y * fu;
        bv += y * fv;
      }
      const pa = r * factorCount + f;
      const pb = pa + factorCount;
      products[pa] = ap;
      products[pa + 1] = aq;
      products[pa + 2] = au;
      products[pa + 3] = av;
      products[pb] = bp;
      products[pb + 1] = bq;
      products[pb + 2] = bu;
      products[pb + 3] = bv;
    }
    for (; f < factorCount; f++) {
      products[r * factorCount + f] = dot(rows, a, factors, f * dim, dim);
      products[(r + 1) * factorCount + f] = dot(rows, b, factors, f * dim, dim);
    }
  }
  for (; r < rowCount; r++) {
    for (let f = 0; f < factorCount; f++) products[r * factorCount + f] = dot(rows, r * dim, factors, f * dim, dim);
  }
}

/** rows[r] += sum over f of coefficients[r, f] * factors[f]. Shapes as in `multiplyTransposed`. */
export function addProducts(
  rows: Float64Array,
  rowCount: number,
  coefficients: Float64Array,
  factors: Float64Array,
  factorCount: number,
  dim: number,
): void {
  let f = 0;
  for (; f + 3 < factorCount; f += 4) {
    const p = f * dim;
    const q = p + dim;
    const u = q + dim;
    const v = u + dim;
    let r = 0;
    for (; r + 1 < rowCount; r += 2) {
      const a = r * dim;
      const b = a + dim;
      const ca = r * factorCount + f;
      const cb = ca + factorCount;
      const ap = coefficients[ca]!;
      const aq = coefficients[ca + 1]!;
      const au = coefficients[ca + 2]!;
      const av = coefficients[ca + 3]!;
      const bp = coefficients[cb]!;
      const bq = coefficients[cb + 1]!;
      const bu = coefficients[cb + 2]!;
      const bv = coefficients[cb + 3]!;
      for (let i = 0; i < dim; i++) {
        const fp = factors[p + i]!;
        const fq = factors[q + i]!;
        const fu = factors[u + i]!;
        const fv = factors[v + i]!;
        rows[a + i] = rows[a + i]! + (ap * fp + aq * fq + (au * fu + av * fv));
        rows[b + i] = rows[b + i]! + (bp * fp + bq * fq + (bu * fu + bv * fv));
      }
    }
    for (; r < rowCount; r++) {
      for (let k = 0; k < 4; k++) addScaled(rows, r * dim, coefficients[r * factorCount + f + k]!, factors, (f + k) * dim, dim);
    }
  }
  for (; f < factorCount; f++) {
    for (let r = 0; r < rowCount; r++) addScaled(rows, r * dim, coefficients[r * factorCount + f]!, factors, f * dim, dim);
  }
}
