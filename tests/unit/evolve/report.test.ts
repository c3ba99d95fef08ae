// The convergence report and the statistics under it.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reportConvergence } from "../../../src/evolve/index.ts";
import type { GenerationScores } from "../../../src/evolve/index.ts";
import { estimateMean, studentCdf, studentQuantile, subtractEstimates } from "../../../src/evolve/statistics.ts";
import { createRng } from "../../../src/shared/rng.ts";

describe("Student's t", () => {
  test.each([
    [0.975, 1, 12.706204736174707],
    [0.975, 10, 2.2281388519862744],
    [0.95, 3, 2.3533634348018264],
    [0.995, 2.5, 7.16372813402124],
    [0.6, 30, 0.2556053644420514],
    [0.975, 1e7, 1.9599642],
  ])("the quantile %f with %f degrees of freedom", (p, freedom, expected) => {
    expect(studentQuantile(p, freedom) / expected).toBeCloseTo(1, 6);
  });

  test("quantile and distribution are inverse", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 0.999, noNaN: true }), fc.double({ min: 0.5, max: 500, noNaN: true }), (p, freedom) => {
        expect(studentCdf(studentQuantile(p, freedom), freedom)).toBeCloseTo(p, 9);
      }),
    );
  });

  test("95 % intervals hold the truth in 95 % of samples, also for differences with unequal variances", () => {
    const rng = createRng(12);
    let mean = 0;
    let between = 0;
    const runs = 1500;
    for (let i = 0; i < runs; i++) {
      const a = estimateMean(Array.from({ length: 5 }, () => 3 + rng.gaussian()), 0.95);
      const b = estimateMean(Array.from({ length: 12 }, () => 1 + 4 * rng.gaussian()), 0.95);
      if (a.low <= 3 && a.high >= 3) mean++;
      const gap = subtractEstimates(a, b, 0.95);
      if (gap.low <= 2 && gap.high >= 2) between++;
    }
    const tolerance = 4 * Math.sqrt((0.95 * 0.05) / runs);
    expect(Math.abs(mean / runs - 0.95)).toBeLessThan(tolerance);
    expect(Math.abs(between / runs - 0.95)).toBeLessThan(tolerance);
  });
});

/** Generations of 20 individuals around `evolved(g)` and 4 references at 10, 20, 30, 40, all moved by `drift(g)`. */
function aSession({
  count = 20,
  evolved = (g: number): number => 10 + g,
  drift = (_g: number): number => 0,
  noise = 1,
  seed = 1,
  referenceCount = 4,
} = {}): { generations: GenerationScores[]; present: (clean: number, n: number, g?: number) => number[] } {
  const rng = createRng(seed);
  const present = (clean: number, n: number, g = count) => Array.from({ length: n }, () => clean + drift(g) + noise * rng.gaussian());
  const generations = Array.from({ length: count }, (_, g) => ({
    generation: g,
    evolved: present(evolved(g), 20, g),
    references: Array.from({ length: referenceCount }, (_r, r) => ({ imageId: r, scores: present(10 * (r + 1), 2, g) })),
  }));
  return { generations, present };
}

describe("reportConvergence", () => {
  test("takes the references' drift out of every generation and of the result", () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: -1, max: 1, noNaN: true }), fc.constantFrom("linear" as const, "stepwise" as const), (seed, slope, kind) => {
        const { generations, present } = aSession({ seed, drift: (g) => slope * g, noise: 0.5 });
        const report = reportConvergence({
          generations,
          drift: kind,
          represented: { distributionMean: present(30, 10), best: present(31, 10), bestChosenScore: 40, references: [0, 1, 2, 3].map((r) => ({ imageId: r, scores: present(10 * (r + 1), 4) })) },
        });
        expect(report.drift?.mean).toBeCloseTo(slope * 20, -0.5);
        expect(report.end.mean).toBeGreaterThan(28.5);
        expect(report.end.mean).toBeLessThan(31.5);
        report.generations.forEach((g, i) => expect(Math.abs(g.corrected.mean - (10 + i))).toBeLessThan(2));
        expect(report.verdict).toBe("rose");
      }),
      { numRuns: 30 },
    );
  });

  test("an evolution that only drifted upwards has not risen", () => {
    const { generations, present } = aSession({ evolved: () => 15, drift: (g) => 0.8 * g });
    const represented = { distributionMean: present(15, 10), best: present(15.5, 10), bestChosenScore: 36 };
    const report = reportConvergence({ generations, represented });
    expect(report.drifted).toBe(true);
    expect(report.verdict).not.toBe("rose");
    expect(report.sentences.join(" ")).toMatch(/references drifted by 1[5-7]\.\d+ spikes\/s.*taken out/);
    expect(reportConvergence({ generations, represented, drift: "none" }).verdict).toBe("rose");
  });

  test("stepwise drift follows a course that a line cannot", () => {
    const jump = (g: number) => (g >= 10 ? -8 : 0);
    const { generations } = aSession({ drift: jump, noise: 0.2 });
    const stepwise = reportConvergence({ generations, represented: null, drift: "stepwise" });
    stepwise.generations.forEach((g, i) => expect(Math.abs(g.corrected.mean - (10 + i))).toBeLessThan(0.6));
    const linear = reportConvergence({ generations, represented: null });
    expect(Math.max(...linear.generations.map((g, i) => Math.abs(g.corrected.mean - (10 + i))))).toBeGreaterThan(2);
  });

  test("an image that was shown in some generations only does not pass for drift", () => {
    // Image 3 (40 spikes/s) is missing at the start: a plain mean of the references would rise.
    const { generations } = aSession({ noise: 0.1 });
    const patchy = generations.map((g) => ({ ...g, references: g.references.filter((r) => r.imageId !== 3 || g.generation > 10) }));
    for (const drift of ["linear", "stepwise"] as const) {
      expect(Math.abs(reportConvergence({ generations: patchy, represented: null, drift }).drift?.mean ?? 9)).toBeLessThan(0.3);
    }
  });

  test("the interval of the drift holds the truth in 95 % of sessions", () => {
    let linear = 0;
    let stepwise = 0;
    for (let seed = 0; seed < 250; seed++) {
      const { generations } = aSession({ seed, count: 8, noise: 2, drift: (g) => 0.3 * g });
      for (const kind of ["linear", "stepwise"] as const) {
        const report = reportConvergence({ generations, represented: null, drift: kind });
        const drift = report.generations[7]!.drift;
        if (drift.low <= 2.1 && drift.high >= 2.1) kind === "linear" ? linear++ : stepwise++;
      }
    }
    expect(Math.abs(linear / 250 - 0.95)).toBeLessThan(4 * Math.sqrt((0.95 * 0.05) / 250));
    expect(Math.abs(stepwise / 250 - 0.95)).toBeLessThan(4 * Math.sqrt((0.95 * 0.05) / 250));
  });

  test("says that it ended below its start, and whether that is within the noise", () => {
    const { generations, present } = aSession({ evolved: (g) => 20 - g / 2 });
    const clearly = reportConvergence({ generations, represented: { distributionMean: present(10, 20), best: present(12, 20), bestChosenScore: 25, start: present(20, 20) } });
    expect([clearly.verdict, clearly.startFrom, clearly.endFrom]).toEqual(["endedBelowStart", "represented", "represented"]);
    expect(clearly.sentences[0]).toMatch(/^The evolution ended below its start.*Do not report this evolution as converged\.$/);
    expect(clearly.sentences[0]).not.toContain("within the noise");
    const barely = reportConvergence({ generations, represented: { distributionMean: [19.4, 20.5, 18], best: [], bestChosenScore: 25, start: [20.5, 19, 21] } });
    expect(barely.sentences[0]).toMatch(/ended below its start.*within the noise/);
  });

  test("the best is what it scores when presented again, and its luck is named", () => {
    const { generations, present } = aSession();
    const report = reportConvergence({ generations, represented: { distributionMean: present(29, 20), best: present(26, 50), bestChosenScore: 41 } });
    expect(report.best?.mean).toBeGreaterThan(25);
    expect(report.best?.mean).toBeLessThan(27);
    expect(report.bestLuck).toBeCloseTo(15, -0.3);
    expect(report.sentences.join(" ")).toMatch(/presented again, gives 2[56]\.\d\d spikes\/s .* higher, which was luck/);
    const without = reportConvergence({ generations, represented: null });
    expect([without.best, without.bestLuck, without.endFrom]).toEqual([null, null, "lastGeneration"]);
    expect(without.sentences.join(" ")).toMatch(/noisy maximum and is not reported/);
  });

  test("start and end shown in one block share their drift: it does not widen their difference", () => {
    const { generations, present } = aSession({ noise: 3, drift: (g) => g });
    const represented = { distributionMean: present(30, 20), best: present(30, 5), bestChosenScore: 40, start: present(10, 20) };
    const noisy = reportConvergence({ generations, represented });
    const plain = subtractEstimates(estimateMean(represented.distributionMean, 0.95), estimateMean(represented.start, 0.95), 0.95);
    expect(noisy.gain).toEqual(plain);
    expect(noisy.end.high - noisy.end.low).toBeGreaterThan(estimateMean(represented.distributionMean, 0.95).high - estimateMean(represented.distributionMean, 0.95).low);
  });

  test("copes with generations without scores, without references, and with single scores", () => {
    const bare = (evolved: number[]): GenerationScores => ({ generation: 0, evolved, references: [] });
    const report = reportConvergence({ generations: [bare([])], represented: null });
    expect([report.verdict, report.drift, report.overReferences]).toEqual(["noData", null, null]);
    expect(reportConvergence({ generations: [bare([3])], represented: null }).verdict).toBe("unclear");
    expect(reportConvergence({ generations: [bare([3])], represented: null }).sentences[1]).toContain("no interval");
    // Cholesky CMA-ES: the first generation is the start code alone; the second gives the interval.
    const cholesky = [bare([5]), { ...bare([4, 5, 6]), generation: 1 }, { ...bare([14, 15, 16]), generation: 2 }];
    expect(reportConvergence({ generations: cholesky, represented: null }).gain.mean).toBeCloseTo(10, 12);
    expect(reportConvergence({ generations: cholesky, represented: null }).verdict).toBe("rose");
    expect(() => reportConvergence({ generations: [], represented: null })).toThrow(/at least one generation/);
  });
});
