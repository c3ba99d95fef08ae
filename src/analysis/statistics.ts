// Sample statistics: means, correlations, intervals and permutation tests. Knows nothing about neurons or images.
//
// Everything random takes an Rng and says in its result how many draws it made.
import type { Rng } from "../shared/rng.ts";
import { fUpperTail, normalQuantile, studentQuantile, studentTwoSided, studentUpperTail } from "./distributions.ts";

/** A mean with its interval; `n` values went in. low and high are null where the method cannot give them (n < 2). */
export interface MeanInterval {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly n: number;
  /** Confidence level, e.g. 0.95. */
  readonly level: number;
  readonly method: IntervalMethod["kind"];
  /** Bootstrap resamples; 0 for the closed forms. */
  readonly resamples: number;
}

/** How to make a confidence interval of a mean: a setting that is recorded with the result. */
export type IntervalMethod =
  | { readonly kind: "t"; readonly level?: number }
  | { readonly kind: "normal"; readonly level?: number }
  | { readonly kind: "bootstrap"; readonly level?: number; readonly resamples?: number; readonly rng: Rng };

export type Alternative = "two-sided" | "greater" | "less";

export interface Correlation {
  /** null where either side is constant. */
  readonly r: number | null;
  readonly n: number;
  /** Two-sided, Student t with n - 2 degrees of freedom; null where r is, or n < 3. */
  readonly p: number | null;
}

export interface PermutationResult {
  /** The statistic on the data as they came. */
  readonly statistic: number;
  /** Share of arrangements at least as extreme; sampled arrangements count the observed one in: (hits + 1) / (draws + 1). */
  readonly p: number;
  readonly meanDifference: number;
  /** Arrangements looked at: all of them when `exact`, else the number drawn. */
  readonly permutations: number;
  readonly exact: boolean;
  readonly alternative: Alternative;
}

const defaultLevel = 0.95;
const defaultResamples = 10_000;
/** Arrangements within this share of the observed statistic count as ties: sums in another order differ in the last bits. */
const tieTolerance = 1e-12;

/** Arithmetic mean. Throws on an empty sample. */
export function mean(values: ArrayLike<number>): number {
  if (values.length === 0) throw new Error("expected at least one value to average, got none");
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Variance with the stated ddof, two passes. NaN where values.length <= ddof. */
export function variance(values: ArrayLike<number>, ddof: 0 | 1 = 1): number {
  if (values.length <= ddof) return Number.NaN;
  const centre = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const difference = values[i]! - centre;
    sum += difference * difference;
  }
  return sum / (values.length - ddof);
}

export function standardDeviation(values: ArrayLike<number>, ddof: 0 | 1 = 1): number {
  return Math.sqrt(variance(values, ddof));
}

/** Quantile with linear interpolation between order statistics (type 7, numpy's default). Throws on an empty sample. */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (!(q >= 0 && q <= 1)) throw new Error(`expected a quantile from 0 to 1, got ${q}`);
  return quantileOfSorted(Float64Array.from(values).sort(), q);
}

function quantileOfSorted(sorted: Float64Array, q: number): number {
  if (sorted.length === 0) throw new Error("expected at least one value for a quantile, got none");
  const place = q * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below]!;
  const high = sorted[Math.min(sorted.length - 1, below + 1)]!;
  return low + (high - low) * (place - below);
}

/** Pearson correlation; null where either side is constant or there are fewer than two values. Throws on unequal lengths. */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  const n = checkPaired(x, y);
  if (n < 2 || isConstant(x) || isConstant(y)) return null;
  const mx = mean(x);
  const my = mean(y);
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    const dx = x[i]! - mx;
    const dy = y[i]! - my;
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  const r = xy / Math.sqrt(xx * yy);
  return Number.isFinite(r) ? Math.max(-1, Math.min(1, r)) : null;
}

/** Pearson correlation with its two-sided p. */
export function correlate(x: ArrayLike<number>, y: ArrayLike<number>): Correlation {
  const r = pearson(x, y);
  return { r, n: x.length, p: correlationP(r, x.length) };
}

/** Spearman rank correlation, tied values sharing their mean rank; p from Student t (scipy.stats.spearmanr). */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): Correlation {
  checkPaired(x, y);
  const r = pearson(averageRanks(x), averageRanks(y));
  return { r, n: x.length, p: correlationP(r, x.length) };
}

/** Two-sided p of a correlation of n pairs under Student t with n - 2 degrees of freedom; null where undefined. */
export function correlationP(r: number | null, n: number): number | null {
  if (r === null || n < 3) return null;
  return studentTwoSided(r * Math.sqrt((n - 2) / ((1 - r) * (1 + r))), n - 2);
}

/** Ranks from 1; tied values share the mean of their ranks. Throws on NaN. */
export function averageRanks(values: ArrayLike<number>): Float64Array {
  const n = values.length;
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n; i++) if (Number.isNaN(values[i]!)) throw new Error(`expected numbers to rank, got NaN at ${i}`);
  order.sort((a, b) => (values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : a - b));
  const ranks = new Float64Array(n);
  for (let start = 0; start < n; ) {
    let end = start + 1;
    while (end < n && values[order[end]!]! === values[order[start]!]!) end++;
    const shared = (start + end + 1) / 2;
    for (let i = start; i < end; i++) ranks[order[i]!] = shared;
    start = end;
  }
  return ranks;
}

/**
 * Coefficient of determination 1 - SS_res / SS_tot, the mean of `measured` as the baseline: negative where the prediction
 * is worse than that mean. null where `measured` is constant or has fewer than two values.
 */
export function rSquared(measured: ArrayLike<number>, predicted: ArrayLike<number>): number | null {
  const n = checkPaired(measured, predicted);
  if (n < 2 || isConstant(measured)) return null;
  const centre = mean(measured);
  let residual = 0;
  let total = 0;
  for (let i = 0; i < n; i++) {
    residual += (measured[i]! - predicted[i]!) ** 2;
    total += (measured[i]! - centre) ** 2;
  }
  return 1 - residual / total;
}

/**
 * Mean with a confidence interval: t (mean +- t_{n-1} sd/sqrt n), normal, or percentile bootstrap of the mean.
 * low and high are null below two values. Throws on an empty sample.
 */
export function meanInterval(values: ArrayLike<number>, method: IntervalMethod = { kind: "t" }): MeanInterval {
  const level = method.level ?? defaultLevel;
  if (!(level > 0 && level < 1)) throw new Error(`expected a confidence level between 0 and 1, got ${level}`);
  const n = values.length;
  const centre = mean(values);
  const resamples = method.kind === "bootstrap" ? (method.resamples ?? defaultResamples) : 0;
  const head = { mean: centre, n, level, method: method.kind, resamples };
  if (n < 2) return { ...head, low: null, high: null };
  const upper = 0.5 + 0.5 * level;
  if (method.kind === "bootstrap") {
    if (!Number.isInteger(resamples) || resamples < 1) throw new Error(`expected a whole, positive number of resamples, got ${resamples}`);
    const means = bootstrapMeans(values, resamples, method.rng);
    return { ...head, low: quantileOfSorted(means, 1 - upper), high: quantileOfSorted(means, upper) };
  }
  const factor = method.kind === "t" ? studentQuantile(upper, n - 1) : normalQuantile(upper);
  const half = factor * Math.sqrt(variance(values, 1) / n);
  return { ...head, low: centre - half, high: centre + half };
}

function bootstrapMeans(values: ArrayLike<number>, resamples: number, rng: Rng): Float64Array {
  const n = values.length;
  const means = new Float64Array(resamples);
  for (let b = 0; b < resamples; b++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[rng.int(n)]!;
    means[b] = sum / n;
  }
  return means.sort();
}

/** Student's two-sample t with pooled variance, and its parametric p. t is NaN where both samples are constant and equal. */
export function pooledT(a: ArrayLike<number>, b: ArrayLike<number>, alternative: Alternative = "two-sided"): {
  readonly t: number;
  readonly degrees: number;
  readonly p: number;
} {
  const na = a.length;
  const nb = b.length;
  if (na < 1 || nb < 1 || na + nb < 3) throw new Error(`expected two samples of three values in all, got ${na} and ${nb}`);
  const degrees = na + nb - 2;
  const within = (na > 1 ? variance(a, 1) * (na - 1) : 0) + (nb > 1 ? variance(b, 1) * (nb - 1) : 0);
  const t = (mean(a) - mean(b)) / Math.sqrt((within / degrees) * (1 / na + 1 / nb));
  return { t, degrees, p: tailP(t, degrees, alternative) };
}

/** One-sample (or paired, on differences) t test against zero. */
export function oneSampleT(values: ArrayLike<number>, alternative: Alternative = "two-sided"): {
  readonly t: number;
  readonly degrees: number;
  readonly p: number;
} {
  const n = values.length;
  if (n < 2) throw new Error(`expected at least two values for a t test, got ${n}`);
  const t = mean(values) / Math.sqrt(variance(values, 1) / n);
  return { t, degrees: n - 1, p: tailP(t, n - 1, alternative) };
}

function tailP(t: number, degrees: number, alternative: Alternative): number {
  if (Number.isNaN(t)) return Number.NaN;
  if (alternative === "two-sided") return studentTwoSided(t, degrees);
  return studentUpperTail(alternative === "greater" ? t : -t, degrees);
}

/** One-way analysis of variance over groups. f and p are null where no group repeats or there are fewer than two groups. */
export function oneWayAnova(groups: readonly ArrayLike<number>[]): {
  readonly f: number | null;
  readonly p: number | null;
  readonly degreesBetween: number;
  readonly degreesWithin: number;
} {
  const filled = groups.filter((group) => group.length > 0);
  const n = filled.reduce((sum, group) => sum + group.length, 0);
  const degreesBetween = Math.max(0, filled.length - 1);
  const degreesWithin = n - filled.length;
  if (degreesBetween < 1 || degreesWithin < 1) return { f: null, p: null, degreesBetween, degreesWithin };
  const grand = filled.reduce((sum, group) => sum + mean(group) * group.length, 0) / n;
  let between = 0;
  let within = 0;
  for (const group of filled) {
    between += group.length * (mean(group) - grand) ** 2;
    within += group.length > 1 ? variance(group, 1) * (group.length - 1) : 0;
  }
  if (within === 0 && between === 0) return { f: null, p: null, degreesBetween, degreesWithin };
  const f = between / degreesBetween / (within / degreesWithin);
  return { f, p: fUpperTail(f, degreesBetween, degreesWithin), degreesBetween, degreesWithin };
}

/**
 * Two-sample permutation test of a difference in means; the statistic reported is Student's pooled t.
 * (Pooled t and the mean difference order the arrangements of one pooled sample in the same way, so p is that of both.)
 * All arrangements are gone through where there are at most `exactUpTo` of them, else `permutations` are drawn from `rng`.
 * Two-sided counts |t| >= |t observed|. Defaults: 10 000 draws, exact up to 20 000. Throws on an empty sample, and where
 * draws are needed and no `rng` came.
 */
export function permutationTest(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  options: {
    readonly alternative?: Alternative;
    readonly permutations?: number;
    readonly exactUpTo?: number;
    readonly rng?: Rng;
  } = {},
): PermutationResult {
  const na = a.length;
  const nb = b.length;
  if (na === 0 || nb === 0) throw new Error(`expected two samples with values, got ${na} and ${nb}`);
  const alternative = options.alternative ?? "two-sided";
  const pooled = new Float64Array(na + nb);
  pooled.set(Float64Array.from(a), 0);
  pooled.set(Float64Array.from(b), na);
  const meanDifference = mean(a) - mean(b);
  // Centred values keep the rounding of the sums small; the difference in means is sumA * (1/na + 1/nb) then.
  const centre = mean(pooled);
  let size = 0;
  for (let i = 0; i < pooled.length; i++) {
    pooled[i] = pooled[i]! - centre;
    size += Math.abs(pooled[i]!);
  }
  let observed = 0;
  for (let i = 0; i < na; i++) observed += pooled[i]!;
  const isExtreme = extremeTest(observed, alternative, tieTolerance * size);
  const statistic = na + nb > 2 ? pooledT(a, b).t : Number.NaN;
  const head = { statistic, meanDifference, alternative };

  const arrangements = countCombinations(na + nb, na);
  if (arrangements <= (options.exactUpTo ?? 20_000)) {
    let hits = 0;
    forEachCombinationSum(pooled, na, (sum) => {
      if (isExtreme(sum)) hits++;
    });
    return { ...head, p: hits / arrangements, permutations: arrangements, exact: true };
  }
  const { draws, rng } = needDraws(options);
  let hits = 0;
  for (let draw = 0; draw < draws; draw++) {
    // A partial Fisher-Yates: the first na places are a random subset.
    let sum = 0;
    for (let i = 0; i < na; i++) {
      const j = i + rng.int(pooled.length - i);
      const value = pooled[j]!;
      pooled[j] = pooled[i]!;
      pooled[i] = value;
      sum += value;
    }
    if (isExtreme(sum)) hits++;
  }
  return { ...head, p: (hits + 1) / (draws + 1), permutations: draws, exact: false };
}

/**
 * Paired permutation test: the signs of the differences are flipped at random; statistic = mean difference.
 * All 2^n sign patterns where that is at most `exactUpTo` (default 20 000), else `permutations` draws from `rng`.
 */
export function signFlipTest(
  differences: ArrayLike<number>,
  options: {
    readonly alternative?: Alternative;
    readonly permutations?: number;
    readonly exactUpTo?: number;
    readonly rng?: Rng;
  } = {},
): PermutationResult {
  const n = differences.length;
  if (n === 0) throw new Error("expected at least one paired difference, got none");
  const alternative = options.alternative ?? "two-sided";
  const values = Float64Array.from(differences);
  let observed = 0;
  let size = 0;
  for (const value of values) {
    observed += value;
    size += Math.abs(value);
  }
  const isExtreme = extremeTest(observed, alternative, tieTolerance * size);
  const head = { statistic: observed / n, meanDifference: observed / n, alternative };
  const patterns = 2 ** n;
  if (patterns <= (options.exactUpTo ?? 20_000)) {
    let hits = 0;
    for (let pattern = 0; pattern < patterns; pattern++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += (pattern >>> i) & 1 ? -values[i]! : values[i]!;
      if (isExtreme(sum)) hits++;
    }
    return { ...head, p: hits / patterns, permutations: patterns, exact: true };
  }
  const { draws, rng } = needDraws(options);
  let hits = 0;
  for (let draw = 0; draw < draws; draw++) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += rng.int(2) === 0 ? values[i]! : -values[i]!;
    if (isExtreme(sum)) hits++;
  }
  return { ...head, p: (hits + 1) / (draws + 1), permutations: draws, exact: false };
}

function needDraws(options: { readonly permutations?: number; readonly rng?: Rng }): { draws: number; rng: Rng } {
  const draws = options.permutations ?? 10_000;
  if (!Number.isInteger(draws) || draws < 1) throw new Error(`expected a whole, positive number of permutations, got ${draws}`);
  if (options.rng === undefined) throw new Error("expected an rng for a permutation test with too many arrangements to go through, got none");
  return { draws, rng: options.rng };
}

function extremeTest(observed: number, alternative: Alternative, tolerance: number): (sum: number) => boolean {
  switch (alternative) {
    case "greater":
      return (sum) => sum >= observed - tolerance;
    case "less":
      return (sum) => sum <= observed + tolerance;
    case "two-sided": {
      const limit = Math.abs(observed) - tolerance;
      return (sum) => sum >= limit || sum <= -limit;
    }
  }
}

/** n choose k; Infinity where it is beyond a double. */
export function countCombinations(n: number, k: number): number {
  const smaller = Math.min(k, n - k);
  let count = 1;
  for (let i = 1; i <= smaller; i++) count = Math.round((count * (n - smaller + i)) / i);
  return count;
}

function forEachCombinationSum(values: Float64Array, k: number, visit: (sum: number) => void): void {
  const n = values.length;
  const chosen = Int32Array.from({ length: k }, (_, i) => i);
  for (;;) {
    let sum = 0;
    for (let i = 0; i < k; i++) sum += values[chosen[i]!]!;
    visit(sum);
    let place = k - 1;
    while (place >= 0 && chosen[place] === n - k + place) place--;
    if (place < 0) return;
    chosen[place] = chosen[place]! + 1;
    for (let i = place + 1; i < k; i++) chosen[i] = chosen[i - 1]! + 1;
  }
}

/** p times the number of tests, at most 1. */
export function bonferroni(p: number, tests: number): number {
  return Math.min(1, p * tests);
}

function checkPaired(x: ArrayLike<number>, y: ArrayLike<number>): number {
  if (x.length !== y.length) throw new Error(`expected as many values on both sides, got ${x.length} and ${y.length}`);
  return x.length;
}

function isConstant(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}
