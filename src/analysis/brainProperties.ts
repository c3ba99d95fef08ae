// Formulas of the perceptual properties that networks and brains are compared on (SPEC 9, B; facts). Knows nothing about
// stimuli or networks; takes activation vectors and distances.
import { mean, pearson } from "./statistics.ts";
import { lifetimeSparseness } from "./responses.ts";

/** Euclidean distance of two activation vectors of equal length. */
export function euclideanDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`expected vectors of equal length, got ${a.length} and ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  if (largest === 0) return 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i]! - b[i]!) / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/** MI(a, b) = (a - b) / (a + b) of two non-negative numbers, -1 to 1; null where both are 0. */
export function modulationIndex(a: number, b: number): number | null {
  if (!(a >= 0 && b >= 0)) throw new Error(`expected two distances from 0 up, got ${a} and ${b}`);
  return a + b > 0 ? (a - b) / (a + b) : null;
}

/** Score of a property: effect in the network / effect in the brain. 1 is brain-like, negative is the opposite effect. */
export function brainPropertyScore(effect: number, brainEffect: number): number {
  if (brainEffect === 0) throw new Error("expected a brain effect other than 0 to divide by");
  return effect / brainEffect;
}

/** Sparseness of each unit over stimuli, as lifetimeSparseness. */
export const sparseness = lifetimeSparseness;

/**
 * Object normalisation: least-squares line (with intercept) of the response to a combination on the sum of the responses to its
 * parts, both divided by their common maximum. Slope 1/2 for pairs and 1/3 for triplets is averaging. null where the sums are constant.
 */
export function normalisationSlope(
  sumOfSingles: ArrayLike<number>,
  combined: ArrayLike<number>,
): { readonly slope: number; readonly intercept: number } | null {
  if (sumOfSingles.length !== combined.length) throw new Error(`expected as many sums as combinations, got ${sumOfSingles.length} and ${combined.length}`);
  let top = 0;
  for (let i = 0; i < combined.length; i++) top = Math.max(top, sumOfSingles[i]!, combined[i]!);
  if (combined.length < 2 || !(top > 0)) return null;
  const x = Array.from(sumOfSingles, (value) => value / top);
  const y = Array.from(combined, (value) => value / top);
  const mx = mean(x);
  const my = mean(y);
  let xx = 0;
  let xy = 0;
  x.forEach((value, i) => {
    xx += (value - mx) ** 2;
    xy += (value - mx) * (y[i]! - my);
  });
  return xx > 0 ? { slope: xy / xx, intercept: my - (xy / xx) * mx } : null;
}

/** Relative change of two lengths: |a - b| / ((a + b) / 2). */
export function relativeLengthChange(a: number, b: number): number {
  return Math.abs(a - b) / ((a + b) / 2);
}

/**
 * Weber's law: r(distance, relative change) - r(distance, absolute change) over pairs of lengths. Above 0 where distances follow
 * relative change. null where a correlation is undefined.
 */
export function weberEffect(pairs: readonly { readonly lengthA: number; readonly lengthB: number; readonly distance: number }[]): number | null {
  const distances = pairs.map((pair) => pair.distance);
  const relative = pearson(distances, pairs.map((pair) => relativeLengthChange(pair.lengthA, pair.lengthB)));
  const absolute = pearson(distances, pairs.map((pair) => Math.abs(pair.lengthA - pair.lengthB)));
  return relative === null || absolute === null ? null : relative - absolute;
}

/** Responses of one unit to a 2 x 2 design: (A1 B1), (A1 B2), (A2 B1), (A2 B2). */
export type Tetrad = readonly [number, number, number, number];

/**
 * Sum of the absolute residuals of the additive model A + B: how much the unit's response to one attribute depends on the other.
 * Units are chosen by it. (The plain sum of residuals, which a published implementation uses, is 0 for every unit.)
 */
export function tetradInteraction(responses: Tetrad): number {
  const [r1, r2, r3, r4] = responses;
  // The four residuals of the additive fit are +-(r1 - r2 - r3 + r4) / 4.
  return Math.abs(r1 - r2 - r3 + r4);
}

/**
 * (d14 - d23) / (d14 + d23) for one unit's responses, d the absolute difference: congruent against incongruent changes of both
 * attributes. null where both are 0.
 */
export function tetradIndex(responses: Tetrad): number | null {
  const [r1, r2, r3, r4] = responses;
  return modulationIndex(Math.abs(r1 - r4), Math.abs(r2 - r3));
}

/** r difference of two predictors of the same distances, e.g. natural against unnatural parts. null where undefined. */
export function correlationDifference(distances: ArrayLike<number>, first: ArrayLike<number>, second: ArrayLike<number>): number | null {
  const a = pearson(distances, first);
  const b = pearson(distances, second);
  return a === null || b === null ? null : a - b;
}
