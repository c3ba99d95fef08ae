// From scores to weights.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { effectiveParents, logWeights, selectParents } from "../../../src/evolve/ranking.ts";

const someScores = fc.array(fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -20, max: 20 }) }, { weight: 1, arbitrary: fc.constant(Number.NaN) }), { minLength: 8, maxLength: 40 });

function ranked(scores: readonly number[], options: { first?: number; parentShare?: number } = {}) {
  const selection = selectParents(Float64Array.from(scores), options);
  if (selection.kind === "held") throw new Error(`expected a ranking, got ${selection.because}`);
  return selection;
}

describe("logWeights", () => {
  test("follow ln(mu + 1/2) - ln i and sum to one, for half-integers too", () => {
    for (const mu of [1, 2, 5, 9.5, 20]) {
      const weights = logWeights(mu);
      expect(weights.length).toBe(Math.floor(mu));
      expect(weights.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 14);
      if (mu > 1) expect(weights[0]! / weights[1]!).toBeCloseTo(Math.log(mu + 0.5) / (Math.log(mu + 0.5) - Math.LN2), 12);
    }
    expect(effectiveParents(logWeights(1))).toBe(1);
  });
});

describe("selectParents", () => {
  test("gives sums of one to scored individuals only, larger weights to larger scores, equal weights to equal scores", () => {
    fc.assert(
      fc.property(someScores, (scores) => {
        const selection = selectParents(Float64Array.from(scores));
        if (selection.kind === "held") {
          const known = scores.filter((score) => !Number.isNaN(score));
          expect(known.length < Math.max(2, scores.length / 4) || new Set(known).size === 1).toBe(true);
          return;
        }
        const weightOf = new Map([...selection.parents].map((i, k) => [i, selection.weights[k]!]));
        expect(selection.weights.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 12);
        for (const [i, a] of scores.entries()) {
          if (Number.isNaN(a)) expect(weightOf.has(i)).toBe(false);
          for (const [j, b] of scores.entries()) {
            if (a === b) expect(weightOf.get(i) ?? 0).toBe(weightOf.get(j) ?? 0);
            if (a > b) expect(weightOf.get(i) ?? 0).toBeGreaterThanOrEqual(weightOf.get(j) ?? 0);
          }
        }
      }),
    );
  });

  test("without ties it is the plain ranking of the better half", () => {
    const { parents, weights, effectiveParents: mueff } = ranked([3, 9, -4, 7, 0, 1]);
    expect([...parents]).toEqual([1, 3, 0]);
    expect(weights).toEqual(logWeights(3));
    expect(mueff).toBeCloseTo(effectiveParents(logWeights(3)), 14);
  });

  test("a tie across the border of the parents is shared, not cut", () => {
    const { parents, weights } = ranked([5, 4, 3, 3, 3, 1]); // places 3, 4 and 5 share the weight of place 3
    const plain = logWeights(3);
    expect([...parents]).toEqual([0, 1, 2, 3, 4]);
    expect([...weights.slice(2)]).toEqual(new Array(3).fill(plain[2]! / 3));
  });

  test("with missing scores the same share of the scored become parents", () => {
    const { parents } = ranked([8, Number.NaN, 7, 6, Number.NaN, 5, 4, Number.NaN, Number.NaN, 3]);
    expect([...parents]).toEqual([0, 2, 3]);
    expect([...ranked([1, 2, 3, 4, 5, 6, 7, 8], { parentShare: 0.25 }).parents]).toEqual([7, 6]);
  });

  test("an unranked first individual has no say", () => {
    expect([...ranked([100, 1, 2, 3, 4], { first: 1 }).parents]).toEqual([4, 3]);
    expect(selectParents(Float64Array.of(100, 1, 1, 1, 1), { first: 1 })).toEqual({ kind: "held", because: "equalScores" });
  });

  test("holds on equal scores and on too few", () => {
    expect(selectParents(Float64Array.of(2, 2, 2, Number.NaN))).toEqual({ kind: "held", because: "equalScores" });
    expect(selectParents(Float64Array.of(1, Number.NaN, Number.NaN))).toEqual({ kind: "held", because: "tooFewScores" });
    expect(selectParents(Float64Array.from({ length: 40 }, (_, i) => (i < 9 ? i : Number.NaN))).kind).toBe("held");
    expect(selectParents(Float64Array.from({ length: 40 }, (_, i) => (i < 10 ? i : Number.NaN))).kind).toBe("ranked");
  });
});
