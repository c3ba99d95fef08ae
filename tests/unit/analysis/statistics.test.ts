import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normalQuantile, normalUpperTail, studentQuantile, studentUpperTail } from "../../../src/analysis/distributions.ts";
import {
  bonferroni,
  countCombinations,
  meanInterval,
  oneWayAnova,
  pearson,
  permutationTest,
  pooledT,
  rSquared,
  signFlipTest,
  spearman,
} from "../../../src/analysis/statistics.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { within } from "./support.ts";

describe("permutation tests", () => {
  const a = [3.1, 2.4, 4.8, 5.0, 3.3, 4.1, 2.9, 3.8];
  const b = [2.2, 1.9, 3.0, 2.7, 3.1, 2.5, 3.6];

  test("draws come near the p of all arrangements, and say how many they are", () => {
    const exact = permutationTest(a, b);
    const drawn = permutationTest(a, b, { exactUpTo: 0, permutations: 20_000, rng: createRng(3) });
    expect(exact).toMatchObject({ exact: true, permutations: 6435 });
    expect(drawn).toMatchObject({ exact: false, permutations: 20_000 });
    within(drawn.p, exact.p, 4 * Math.sqrt((exact.p * (1 - exact.p)) / 20_000));
    const flips = [0.8, -0.2, 1.1, 0.4, 0.3, -0.5, 0.9, 0.7, 0.1];
    const all = signFlipTest(flips);
    const some = signFlipTest(flips, { exactUpTo: 0, permutations: 20_000, rng: createRng(3) });
    within(some.p, all.p, 4 * Math.sqrt((all.p * (1 - all.p)) / 20_000));
  });

  test("the same seed repeats p; p is never 0", () => {
    const of = (seed: number) => permutationTest(a, b, { exactUpTo: 0, permutations: 99, rng: createRng(seed) }).p;
    expect(of(1)).toBe(of(1));
    const apart = Array.from({ length: 15 }, (_, i) => i);
    expect(permutationTest(apart, apart.map((value) => value + 100), { permutations: 99, rng: createRng(1) }).p).toBe(1 / 100);
    expect(signFlipTest(apart.map((value) => value + 100), { exactUpTo: 0, permutations: 99, rng: createRng(1) }).p).toBe(1 / 100);
  });

  test("the direction of the alternative matters and both directions add to one and the ties", () => {
    const greater = permutationTest(a, b, { alternative: "greater" }).p;
    const less = permutationTest(a, b, { alternative: "less" }).p;
    expect(greater).toBeLessThan(0.05);
    expect(less).toBeGreaterThan(0.95);
    expect(greater + less).toBeGreaterThanOrEqual(1);
    within(permutationTest(b, a, { alternative: "less" }).p, greater, 1e-12);
  });

  test("samples that are equal up to rounding tie instead of counting by the last bit", () => {
    const x = [0.1, 0.2, 0.3];
    const y = [0.3, 0.1, 0.2];
    expect(permutationTest(x, y).p).toBe(1);
    expect(permutationTest([1e9 + 0.1, 1e9 + 0.2], [1e9 + 0.2, 1e9 + 0.1]).p).toBe(1);
  });

  test("too many arrangements without an rng are refused", () => {
    expect(() => permutationTest(new Float64Array(50), new Float64Array(50))).toThrow("expected an rng");
    expect(() => permutationTest([], [1])).toThrow("got 0 and 1");
  });

  test("under no effect, p is below 0.05 about once in twenty", () => {
    const rng = createRng(17);
    let below = 0;
    for (let i = 0; i < 400; i++) {
      const x = Float64Array.from({ length: 5 }, () => rng.gaussian());
      const y = Float64Array.from({ length: 5 }, () => rng.gaussian());
      if (permutationTest(x, y).p <= 0.05) below++;
    }
    expect(below).toBeGreaterThan(6);
    expect(below).toBeLessThan(40);
  });
});

describe("intervals", () => {
  test("the bootstrap interval of a large sample comes near the t interval", () => {
    const rng = createRng(8);
    const values = Float64Array.from({ length: 200 }, () => 5 + 2 * rng.gaussian());
    const t = meanInterval(values);
    const boot = meanInterval(values, { kind: "bootstrap", resamples: 4000, rng });
    within(boot.low, t.low!, 0.05);
    within(boot.high, t.high!, 0.05);
    expect(boot).toMatchObject({ method: "bootstrap", resamples: 4000, n: 200, level: 0.95 });
    expect(t.resamples).toBe(0);
  });

  test("one value has a mean and no interval", () => {
    expect(meanInterval([3])).toMatchObject({ mean: 3, low: null, high: null, n: 1 });
    expect(() => meanInterval([])).toThrow("at least one value");
  });

  test("the t interval covers the mean in about 95 of 100 samples", () => {
    const rng = createRng(23);
    let covered = 0;
    for (let i = 0; i < 500; i++) {
      const { low, high } = meanInterval(Float64Array.from({ length: 6 }, () => rng.gaussian()));
      if (low! <= 0 && high! >= 0) covered++;
    }
    expect(covered).toBeGreaterThan(455);
    expect(covered).toBeLessThan(492);
  });
});

describe("correlation and determination", () => {
  const values = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 3, maxLength: 20 });

  test("r is between -1 and 1, the same both ways, and blind to scale and offset", () => {
    fc.assert(
      fc.property(values, fc.integer(), (x, seed) => {
        const rng = createRng(seed);
        const y = x.map(() => rng.gaussian());
        const r = pearson(x, y);
        if (r === null) return;
        expect(Math.abs(r)).toBeLessThanOrEqual(1);
        within(pearson(y, x), r, 1e-12);
        within(pearson(x.map((value) => -3 * value + 7), y), -r, 1e-9);
        within(spearman(x.map((value) => value ** 3), y).r, spearman(x, y).r!, 1e-12);
      }),
    );
  });

  test("a constant side has no correlation, not a correlation of 0", () => {
    expect(pearson([1, 1, 1], [1, 2, 3])).toBeNull();
    expect(pearson([0.1, 0.1, 0.1], [1, 2, 3])).toBeNull();
    expect(spearman([1, 2, 3], [5, 5, 5])).toMatchObject({ r: null, p: null });
    expect(rSquared([2, 2], [1, 2])).toBeNull();
  });

  test("r2 is 1 for a perfect prediction, 0 for the mean and negative below it", () => {
    expect(rSquared([1, 2, 3], [1, 2, 3])).toBe(1);
    expect(rSquared([1, 2, 3], [2, 2, 2])).toBe(0);
    expect(rSquared([1, 2, 3], [3, 2, 1])).toBe(-3);
    expect(() => rSquared([1], [1, 2])).toThrow("got 1 and 2");
  });
});

describe("distributions", () => {
  test("quantiles undo tails", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }), fc.integer({ min: 1, max: 200 }), (p, degrees) => {
        within(1 - studentUpperTail(studentQuantile(p, degrees), degrees), p, 1e-11);
        within(1 - normalUpperTail(normalQuantile(p)), p, 1e-12);
      }),
    );
  });

  test("out of range is refused", () => {
    expect(() => studentQuantile(1, 3)).toThrow("between 0 and 1, got 1");
    expect(() => normalQuantile(Number.NaN)).toThrow("got NaN");
  });
});

test("analysis of variance needs a group that repeats", () => {
  expect(oneWayAnova([[1], [2], [3]])).toMatchObject({ f: null, p: null });
  expect(oneWayAnova([[1, 2], [], [5, 6]]).degreesBetween).toBe(1);
});

test("analysis of variance of two groups is the squared t", () => {
  const [a, b] = [[1, 2, 4], [3, 5, 7, 8]];
  const { f, p } = oneWayAnova([a, b]);
  const t = pooledT(a, b);
  within(f, t.t ** 2, 1e-12);
  within(p, t.p, 1e-12);
});

test("combinations and Bonferroni", () => {
  expect(countCombinations(11, 5)).toBe(462);
  expect(countCombinations(52, 26)).toBe(495918532948104);
  expect(bonferroni(0.01, 4)).toBe(0.04);
  expect(bonferroni(0.5, 4)).toBe(1);
});
