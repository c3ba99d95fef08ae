// Distribution functions for tests and intervals: normal, Student t, F, binomial. Knows nothing about data.
//
// All from two functions, the regularised incomplete beta and gamma, by continued fraction (modified Lentz) or series;
// relative accuracy about 1e-13 where the result is not denormal.

/** Lanczos coefficients, g = 607/128, n = 15 (Godfrey 2001): relative error below 1e-15 for x > 0. */
const lanczosG = 607 / 128;
const lanczos = [
  0.99999999999999709182, 57.156235665862923517, -59.597960355475491248, 14.136097974741747174, -0.49191381609762019978,
  0.33994649984811888699e-4, 0.46523628927048575665e-4, -0.98374475304879564677e-4, 0.15808870322491248884e-3,
  -0.21026444172410488319e-3, 0.2174396181152126432e-3, -0.16431810653676389022e-3, 0.84418223983852743293e-4,
  -0.2619083840158140867e-4, 0.36899182659531622704e-5,
] as const;

/** ln Gamma(x) for x > 0. */
export function logGamma(x: number): number {
  if (!(x > 0)) throw new Error(`expected a positive argument of ln Gamma, got ${x}`);
  const z = x - 1;
  let sum: number = lanczos[0];
  for (let i = 1; i < lanczos.length; i++) sum += lanczos[i]! / (z + i);
  const t = z + lanczosG + 0.5;
  return (z + 0.5) * Math.log(t) - t + Math.log(Math.sqrt(2 * Math.PI) * sum);
}

const tiny = 1e-300;
const maxTerms = 100_000;

/**
 * I_x(a, b), the regularised incomplete beta function (DLMF 8.17.22). `complement` is 1 - x where the caller knows it
 * more exactly than by subtraction.
 */
export function incompleteBeta(x: number, a: number, b: number, complement: number = 1 - x): number {
  if (!(a > 0 && b > 0)) throw new Error(`expected positive beta parameters, got ${a} and ${b}`);
  if (!(x >= 0 && x <= 1)) throw new Error(`expected x from 0 to 1, got ${x}`);
  if (x === 0) return 0;
  if (complement === 0) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(complement));
  // The fraction converges fast below the mean and slowly above it: use the mirror image there.
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(x, a, b)) / a : 1 - (front * betaFraction(complement, b, a)) / b;
}

function betaFraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 - ((a + b) * x) / (a + 1);
  d = 1 / (Math.abs(d) < tiny ? tiny : d);
  let fraction = d;
  for (let m = 1; m < maxTerms; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 + even * d;
    d = 1 / (Math.abs(d) < tiny ? tiny : d);
    c = 1 + even / c;
    if (Math.abs(c) < tiny) c = tiny;
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 + odd * d;
    d = 1 / (Math.abs(d) < tiny ? tiny : d);
    c = 1 + odd / c;
    if (Math.abs(c) < tiny) c = tiny;
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-16) return fraction;
  }
  return fraction;
}

/** Upper tail Q(a, x) of the regularised incomplete gamma function (DLMF 8.9.2; series 8.7.1 below a + 1). */
export function upperIncompleteGamma(a: number, x: number): number {
  if (!(a > 0 && x >= 0)) throw new Error(`expected a > 0 and x >= 0, got ${a} and ${x}`);
  if (x === 0) return 1;
  const front = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < maxTerms && Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - front * sum;
  }
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < maxTerms; n++) {
    const numerator = -n * (n - a);
    b += 2;
    d = numerator * d + b;
    d = 1 / (Math.abs(d) < tiny ? tiny : d);
    c = b + numerator / c;
    if (Math.abs(c) < tiny) c = tiny;
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return front * fraction;
}

/** P(Z > z) of the standard normal; keeps its relative accuracy far into the upper tail. */
export function normalUpperTail(z: number): number {
  if (z < 0) return 1 - normalUpperTail(-z);
  return 0.5 * upperIncompleteGamma(0.5, 0.5 * z * z); // erfc(z / sqrt 2) / 2
}

/** The z with P(Z <= z) = p, for 0 < p < 1. */
export function normalQuantile(p: number): number {
  checkProbability(p);
  if (p > 0.5) return -normalQuantile(1 - p);
  // Start: Abramowitz & Stegun 26.2.23, |error| < 4.5e-4; then Newton on the tail.
  const t = Math.sqrt(-2 * Math.log(p));
  let z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (let i = 0; i < 4; i++) {
    const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
    z += (normalUpperTail(z) - p) / density;
  }
  return -z;
}

/** P(|T| > |t|) of Student's t with `degrees` degrees of freedom: two-sided p of a t statistic. */
export function studentTwoSided(t: number, degrees: number): number {
  if (!(degrees > 0)) throw new Error(`expected positive degrees of freedom, got ${degrees}`);
  if (Number.isNaN(t)) return Number.NaN;
  const square = t * t;
  if (square === Number.POSITIVE_INFINITY) return 0;
  const sum = degrees + square;
  return incompleteBeta(degrees / sum, 0.5 * degrees, 0.5, square / sum);
}

/** P(T > t) of Student's t. */
export function studentUpperTail(t: number, degrees: number): number {
  const half = 0.5 * studentTwoSided(t, degrees);
  return t >= 0 ? half : 1 - half;
}

/** The t with P(T <= t) = p, for 0 < p < 1. */
export function studentQuantile(p: number, degrees: number): number {
  checkProbability(p);
  if (p === 0.5) return 0;
  if (p < 0.5) return -studentQuantile(1 - p, degrees);
  const tail = 1 - p;
  // Bracket, then bisect with a secant: the tail falls steadily, so this cannot run away.
  let low = 0;
  let high = Math.max(1, normalQuantile(p));
  while (studentUpperTail(high, degrees) > tail) {
    low = high;
    high *= 2;
    if (high > 1e300) return high;
  }
  for (let i = 0; i < 200 && high - low > 1e-15 * high; i++) {
    const middle = 0.5 * (low + high);
    if (studentUpperTail(middle, degrees) > tail) low = middle;
    else high = middle;
  }
  return 0.5 * (low + high);
}

/** P(F > f) of the F distribution. */
export function fUpperTail(f: number, degreesBetween: number, degreesWithin: number): number {
  if (Number.isNaN(f)) return Number.NaN;
  if (f <= 0) return 1;
  if (f === Number.POSITIVE_INFINITY) return 0;
  const sum = degreesWithin + degreesBetween * f;
  return incompleteBeta(degreesWithin / sum, 0.5 * degreesWithin, 0.5 * degreesBetween, (degreesBetween * f) / sum);
}

/**
 * Two-sided binomial test: the summed probability of every outcome at most as probable as `successes`
 * (probabilities within a relative 1e-7 count as equal, as in scipy.stats.binomtest). 1 where n is 0.
 */
export function binomialTwoSided(successes: number, n: number, probability = 0.5): number {
  if (!Number.isInteger(successes) || !Number.isInteger(n) || successes < 0 || successes > n) {
    throw new Error(`expected 0 <= successes <= n in whole numbers, got ${successes} of ${n}`);
  }
  if (!(probability > 0 && probability < 1)) throw new Error(`expected a probability between 0 and 1, got ${probability}`);
  if (n === 0) return 1;
  const logMass = logBinomialMasses(n, probability);
  const limit = logMass[successes]! + Math.log1p(1e-7);
  // Small terms first.
  const terms = logMass.filter((value) => value <= limit).sort();
  let sum = 0;
  for (const term of terms) sum += Math.exp(term);
  return Math.min(1, sum);
}

/** ln of the probability of 0..n successes. */
function logBinomialMasses(n: number, probability: number): Float64Array {
  const masses = new Float64Array(n + 1);
  const logOdds = Math.log(probability) - Math.log1p(-probability);
  // For a small n the mass of 0 does not underflow, so running products keep ulp accuracy.
  const exactCoefficients = n <= 1000 && n * Math.abs(Math.log1p(-probability)) < 600;
  if (exactCoefficients) {
    let coefficient = 1;
    for (let k = 0; k <= n; k++) {
      masses[k] = Math.log(coefficient) + n * Math.log1p(-probability) + k * logOdds;
      coefficient *= (n - k) / (k + 1);
    }
    return masses;
  }
  const whole = logGamma(n + 1);
  for (let k = 0; k <= n; k++) {
    masses[k] = whole - logGamma(k + 1) - logGamma(n - k + 1) + n * Math.log1p(-probability) + k * logOdds;
  }
  return masses;
}

function checkProbability(p: number): void {
  if (!(p > 0 && p < 1)) throw new Error(`expected a probability between 0 and 1, got ${p}`);
}
