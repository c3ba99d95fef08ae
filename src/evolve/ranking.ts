// From scores to recombination weights: ranks, ties, missing scores. Knows nothing about codes.

/** Below this share of scored individuals a generation does not move the search. */
export const scoredShareMin = 0.25;

export type Selection =
  | {
      readonly kind: "ranked";
      /** Individuals with a weight above zero, best first. */
      readonly parents: Int32Array;
      /** Their weights, sum 1. */
      readonly weights: Float64Array;
      /** Variance-effective number of parents, 1 / sum of squared weights. */
      readonly effectiveParents: number;
    }
  | { readonly kind: "held"; readonly because: "equalScores" | "tooFewScores" };

/**
 * Logarithmic weights w_i ~ ln(mu + 1/2) - ln i, i = 1 ... floor(mu), sum 1 (Hansen & Ostermeier 2001; mu may be a half-integer, as in
 * the lab's code).
 */
export function logWeights(parentCount: number): Float64Array {
  const count = Math.max(1, Math.floor(parentCount));
  const weights = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const weight = count === 1 ? 1 : Math.log(parentCount + 0.5) - Math.log(i + 1);
    weights[i] = weight;
    sum += weight;
  }
  for (let i = 0; i < count; i++) weights[i] = weights[i]! / sum;
  return weights;
}

export function effectiveParents(weights: Float64Array): number {
  let squares = 0;
  for (const weight of weights) squares += weight * weight;
  return 1 / squares;
}

/**
 * Ranks the individuals from `first` on by score and gives each its weight.
 * - NaN = missing: not ranked, and the parents are the same share (mu / lambda) of those that were scored.
 * - Equal scores share the mean of the weights of their places, so that the order in which they were shown cannot matter.
 * - All equal, or fewer scored than `scoredShareMin` of the population (at least two): held.
 */
export function selectParents(scores: Float64Array, options: { readonly first?: number; readonly parentShare?: number } = {}): Selection {
  const first = options.first ?? 0;
  const lambda = scores.length - first;
  const scored: number[] = [];
  for (let i = first; i < scores.length; i++) if (!Number.isNaN(scores[i])) scored.push(i);
  if (scored.length < Math.max(2, Math.ceil(lambda * scoredShareMin))) return { kind: "held", because: "tooFewScores" };
  scored.sort((a, b) => scores[b]! - scores[a]! || a - b);
  if (scores[scored[0]!] === scores[scored[scored.length - 1]!]) return { kind: "held", because: "equalScores" };

  const byPlace = logWeights(scored.length * (options.parentShare ?? 0.5));
  const parents: number[] = [];
  const weights: number[] = [];
  for (let place = 0; place < byPlace.length; ) {
    let end = place + 1;
    while (end < scored.length && scores[scored[end]!] === scores[scored[place]!]) end++;
    let shared = 0;
    for (let i = place; i < Math.min(end, byPlace.length); i++) shared += byPlace[i]!;
    for (let i = place; i < end; i++) {
      parents.push(scored[i]!);
      weights.push(shared / (end - place));
    }
    place = end;
  }
  const finalWeights = Float64Array.from(weights);
  return { kind: "ranked", parents: Int32Array.from(parents), weights: finalWeights, effectiveParents: effectiveParents(finalWeights) };
}

/** The weighted mean of rows: sum over parents of weight * rows[parent]; rows row-major [n, dim]. */
export function recombine(
  selection: { readonly parents: Int32Array; readonly weights: Float64Array },
  rows: Float64Array,
  dim: number,
): Float64Array {
  const result = new Float64Array(dim);
  for (let k = 0; k < selection.parents.length; k++) {
    const weight = selection.weights[k]!;
    const begin = selection.parents[k]! * dim;
    for (let i = 0; i < dim; i++) result[i] = result[i]! + weight * rows[begin + i]!;
  }
  return result;
}
