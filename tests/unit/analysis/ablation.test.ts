import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ablateForConditions,
  applyAblation,
  listAblationConditions,
  makeAblationMask,
  makeAblationMasks,
  rankWeights,
} from "../../../src/analysis/ablation.ts";
import type { AblationRule, WeightSign } from "../../../src/analysis/ablation.ts";
import { multiplyTransposed, rowOf } from "../../../src/analysis/matrix.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aMatrix, expectClose } from "./support.ts";

const weights = fc.array(fc.integer({ min: -3000, max: 3000 }).map((value) => value / 700), { maxLength: 40 });
const sign = fc.constantFrom<WeightSign>("positive", "negative");
const rule = fc.constantFrom<AblationRule>("atMost", "reach");
const alpha = fc.double({ min: 0, max: 1, noNaN: true });

function totalOf(values: ArrayLike<number>, indices: ArrayLike<number>): number {
  return Array.from(indices).reduce((sum, i) => sum + Math.abs(values[i]!), 0);
}

describe("ablation masks", () => {
  test("take only weights of their sign, largest first", () => {
    fc.assert(
      fc.property(weights, sign, rule, alpha, (values, side, reading, strength) => {
        const { zeroed } = makeAblationMask({ weights: values, sign: side, alpha: strength, rule: reading });
        for (const i of zeroed) expect(side === "positive" ? values[i]! > 0 : values[i]! < 0).toBe(true);
        const sizes = Array.from(zeroed, (i) => Math.abs(values[i]!));
        expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
        expect([...zeroed]).toEqual([...rankWeights(values, side).slice(0, zeroed.length)]);
      }),
    );
  });

  test("'at most' is the largest cut below alpha, 'reach' the smallest cut that gets there", () => {
    fc.assert(
      fc.property(weights, sign, alpha, (values, side, strength) => {
        const ranked = rankWeights(values, side);
        const total = totalOf(values, ranked);
        const below = makeAblationMask({ weights: values, sign: side, alpha: strength }).zeroed.length;
        const reach = makeAblationMask({ weights: values, sign: side, alpha: strength, rule: "reach" }).zeroed.length;
        const share = (k: number) => totalOf(values, ranked.slice(0, k));
        expect(share(below)).toBeLessThanOrEqual(strength * total * (1 + 2e-9));
        if (below < ranked.length) expect(share(below + 1)).toBeGreaterThan(strength * total);
        expect(share(reach)).toBeGreaterThanOrEqual(strength * total * (1 - 2e-9));
        if (reach > 0 && strength < 1) expect(share(reach - 1)).toBeLessThan(strength * total);
        expect(reach - below === 0 || reach - below === 1 || strength === 1).toBe(true);
      }),
    );
  });

  test("grow with alpha, from none at 0 to the whole sign at 1", () => {
    fc.assert(
      fc.property(weights, sign, rule, (values, side, reading) => {
        const masks = makeAblationMasks({ weights: values, sign: side, rule: reading });
        const counts = masks.map((mask) => mask.zeroed.length);
        expect(counts).toEqual([...counts].sort((a, b) => a - b));
        expect(counts[0]).toBe(0);
        expect(counts.at(-1)).toBe(rankWeights(values, side).length);
      }),
    );
  });

  test("take the last weight at alpha 1 in a thousand random units, where a plain comparison misses half", () => {
    const rng = createRng("trap");
    let missedPlainly = 0;
    for (let unit = 0; unit < 1000; unit++) {
      const values = Float64Array.from({ length: 300 }, () => rng.gaussian());
      const ranked = rankWeights(values, "positive");
      expect(makeAblationMask({ weights: values, sign: "positive", alpha: 1 }).zeroed.length).toBe(ranked.length);
      const backwards = Array.from(ranked).reverse().reduce((sum, i) => sum + values[i]!, 0);
      if (totalOf(values, ranked) > backwards) missedPlainly++;
    }
    expect(missedPlainly).toBeGreaterThan(100);
  });

  test("cut n equal weights at k/n after exactly k under both readings, whatever the sums round to", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 10, noNaN: true }), fc.integer({ min: 1, max: 60 }), rule, (weight, n, reading) => {
        const alphas = Array.from({ length: n + 1 }, (_, k) => k / n);
        const masks = makeAblationMasks({ weights: new Array<number>(n).fill(-weight), sign: "negative", alphas, rule: reading });
        expect(masks.map((mask) => mask.zeroed.length)).toEqual(alphas.map((_, k) => k));
      }),
    );
  });

  test("refuse NaN and an alpha outside 0 to 1", () => {
    expect(() => rankWeights([1, Number.NaN], "positive")).toThrow("NaN at feature 1");
    expect(() => makeAblationMask({ weights: [1], sign: "positive", alpha: 1.1 })).toThrow("alpha from 0 to 1, got 1.1");
  });
});

describe("many conditions at once", () => {
  const values = aMatrix(1, 60).data;

  test("one product with shared features gives every condition its activation", () => {
    const conditions = listAblationConditions();
    expect(conditions).toHaveLength(21);
    const all = ablateForConditions({ weights: values, conditions });
    const features = aMatrix(5, 60, 9);
    const activations = multiplyTransposed(features, all);
    conditions.forEach((condition, c) => {
      const ablated = applyAblation(values, makeAblationMask({ weights: values, ...condition }));
      expectClose(rowOf(all, c), ablated, 0);
      const own = rowOf(features, 0).reduce((sum, value, f) => sum + value * ablated[f]!, 0);
      expect(Math.abs(activations.data[c]! - own)).toBeLessThan(1e-12);
    });
    expectClose(rowOf(all, 0), values, 0);
  });

  test("the source weights stay as they are", () => {
    const before = [...values];
    applyAblation(values, makeAblationMask({ weights: values, sign: "negative", alpha: 1 }));
    expect([...values]).toEqual(before);
  });
});
