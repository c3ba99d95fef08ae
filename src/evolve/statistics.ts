// Means with confidence intervals by Student's t. Knows nothing about evolutions.

export interface Estimate {
  /** NaN without data. */
  readonly mean: number;
  /** Confidence interval; NaN with fewer than two values. */
  readonly low: number;
  readonly high: number;
  readonly standardError: number;
  /** Degrees of freedom behind the interval. */
  readonly freedom: number;
  readonly count: number;
}

/** Mean and variance (n - 1 in the denominator) without overflow; NaN where there is too little. */
export function momentsOf(values: ArrayLike<number>): { readonly count: number; readonly mean: number; readonly variance: number } {
  const count = values.length;
  if (count === 0) return { count, mean: Number.NaN, variance: Number.NaN };
  let mean = 0;
  for (let i = 0; i < count; i++) mean += values[i]! / count;
  let squares = 0;
  for (let i = 0; i < count; i++) squares += (values[i]! - mean) ** 2;
  return { count, mean, variance: count > 1 ? squares / (count - 1) : Number.NaN };
}

export function estimateMean(values: ArrayLike<number>, confidence: number): Estimate {
  const { count, mean, variance } = momentsOf(values);
  return estimateFrom({ mean, standardError: Math.sqrt(variance / count), freedom: count - 1, count }, confidence);
}

/** An interval around a mean whose standard error and degrees of freedom are known. */
export function estimateFrom(
  { mean, standardError, freedom, count }: { readonly mean: number; readonly standardError: number; readonly freedom: number; readonly count: number },
  confidence: number,
): Estimate {
  const half = freedom > 0 ? studentQuantile(0.5 + confidence / 2, freedom) * standardError : Number.NaN;
  return { mean, low: mean - half, high: mean + half, standardError, freedom, count };
}

/** a - b for independent estimates; degrees of freedom by Welch-Satterthwaite. */
export function subtractEstimates(a: Estimate, b: Estimate, confidence: number): Estimate {
  const va = a.standardError ** 2;
  const vb = b.standardError ** 2;
  const freedom = va + vb === 0 ? Math.min(a.freedom, b.freedom) : (va + vb) ** 2 / (va ** 2 / a.freedom + vb ** 2 / b.freedom);
  return estimateFrom({ mean: a.mean - b.mean, standardError: Math.sqrt(va + vb), freedom, count: a.count + b.count }, confidence);
}

/** t with P(T <= t) = p for `freedom` > 0 degrees of freedom, by bisection. */
export function studentQuantile(p: number, freedom: number): number {
  if (!(p > 0 && p < 1) || !(freedom > 0)) throw new Error(`expected 0 < p < 1 and freedom > 0, got p = ${p}, freedom = ${freedom}`);
  if (p < 0.5) return -studentQuantile(1 - p, freedom);
  let low = 0;
  let high = 1;
  while (studentCdf(high, freedom) < p && high < 1e12) high *= 2;
  for (let i = 0; i < 200 && high - low > 1e-13 * Math.max(1, high); i++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, freedom) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(T <= t). */
export function studentCdf(t: number, freedom: number): number {
  const tail = 0.5 * regularisedBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/** I_x(a, b) by its continued fraction (Abramowitz & Stegun 26.5.8), evaluated by Lentz's method. */
function regularisedBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - regularisedBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / Math.max(tiny, 1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonZero(1 + even * d, tiny);
    c = nonZero(1 + even / c, tiny);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonZero(1 + odd * d, tiny);
    c = nonZero(1 + odd / c, tiny);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * fraction;
}

function nonZero(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}

/** ln Gamma(x), x > 0: shifted above 10, then Stirling's series. */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  for (; y < 10; y++) shift -= Math.log(y);
  const r = 1 / (y * y);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / y;
  return shift + (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series;
}
