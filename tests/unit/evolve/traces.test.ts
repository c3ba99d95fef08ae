// Parity with the published programs: every trace of the fixture, to 1e-9 relative.

import { describe, expect, test } from "vitest";
import type { CreateOptimizer } from "../../../src/evolve/index.ts";
import { choleskyConstants } from "../../../src/evolve/algorithms/choleskyCma.ts";
import { anOptimizer, codeOf, fixtureGaussians, fixtureSource, readParameters, readTrace, step } from "./support.ts";

const dim = 32;
const target = fixtureGaussians(3, dim);

const objectives = {
  ellip: (x: Float64Array) => -x.reduce((sum, value, i) => sum + (1 + (29 * i) / (dim - 1)) * (value - target[i]!) ** 2, 0),
  cos: (x: Float64Array) => {
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    return dot(x, target) / Math.sqrt(dot(x, x) * dot(target, target));
  },
};

/** 1e-9 relative to the larger of the value and one. */
function expectClose(got: number, expected: number, where: string): void {
  expect(Math.abs(got - expected) / Math.max(1, Math.abs(expected)), `${where}: expected ${expected}, got ${got}`).toBeLessThan(1e-9);
}

function replay(key: string, objective: (x: Float64Array) => number, request: Partial<CreateOptimizer> & { readonly name: string }): void {
  const fixture = readTrace(key);
  const optimizer = anOptimizer({ ...request, dim, rng: fixtureSource(fixture.streamSeed) });
  fixture.steps.forEach((expected) => {
    const { population, scores, report } = step(optimizer, objective);
    const where = `${key}, generation ${expected.g}`;
    expect(population.count, where).toBe(expected.k);
    expectClose(codeOf(population, 0)[0]!, expected.x00, `${where}, first coordinate of the first code`);
    expectClose(codeOf(population, expected.k - 1)[dim - 1]!, expected.x_last, `${where}, last coordinate of the last code`);
    expectClose(scores[0]!, expected.score0, `${where}, first score`);
    expectClose(Math.max(...scores), expected.score_max, `${where}, best score`);
    expectClose(report.stepSize, expected.sigma, `${where}, step size`);
    expected.mean?.forEach((value, i) => expectClose(optimizer.mean()[i]!, value, `${where}, mean ${i}`));
  });
}

describe("parity with the reference traces", () => {
  test("the fixture's random stream and target are reproduced", () => {
    expect(fixtureSource(1).uniform()).toBe(0.6270739405881613);
    expect(Array.from(fixtureGaussians(5, 2))).toEqual([0.21789461927371653, -0.5038217049793774]);
  });

  test("Cholesky CMA-ES with 12 individuals and an update every third generation", () => {
    replay("CholeskyCMA_lam12_sigma1_freq2", objectives.ellip, { name: "cholesky-cma", options: { population: 12, stepSize: 1, updateEvery: 2 } });
  });

  test("Cholesky CMA-ES with its defaults", () => {
    replay("CholeskyCMA_default", objectives.ellip, { name: "cholesky-cma" });
  });

  test("Sphere CMA-ES with 12 individuals, 6 parents and the exponential schedule over 30 generations", () => {
    replay("SphereCMA_lam12_sel6_R10_ngen30_exp", objectives.cos, {
      name: "sphere-cma",
      options: { population: 12, parents: 6, radius: 10, scheduleGenerations: 30 },
    });
  });

  test("separable CMA-ES with 12 individuals", () => {
    replay("SepCMA_lam12_sigma1", objectives.ellip, { name: "sep-cma", options: { population: 12, stepSize: 1 } });
  });

  test("LM-MA-ES with 12 individuals", () => {
    replay("LMMAES_lam12_sigma1", objectives.ellip, { name: "lm-ma", options: { population: 12, stepSize: 1 } });
  });

  test("the XDream genetic algorithm with its defaults", () => {
    replay("XDreamGA_classic_lam40", objectives.cos, { name: "xdream-ga" });
  });

  test.each([
    [4096, "params_4096"],
    [256, "params_256"],
  ])("the constants of Cholesky CMA-ES in %i dimensions", (n, key) => {
    const expected = readParameters(key);
    const populationSize = anOptimizer({ name: "cholesky-cma", dim: n }).populationSize;
    const { weights, ...constants } = choleskyConstants(n, populationSize);
    const got: Record<string, number> = { ...constants, lam: populationSize, mu: weights.length, w0: weights[0]!, w_last: weights.at(-1)! };
    for (const [name, value] of Object.entries(expected)) expectClose(got[name]! / value, 1, `${key}, ${name}`);
  });
});
