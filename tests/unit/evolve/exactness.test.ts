// The optimizers against naive forms of themselves and against each other where they must agree, and the symmetries of the search.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { choleskyConstants } from "../../../src/evolve/algorithms/choleskyCma.ts";
import { createLowRankFactor } from "../../../src/evolve/algorithms/lowRankFactor.ts";
import { cmaConstants } from "../../../src/evolve/algorithms/sepCma.ts";
import { decomposeSymmetric } from "../../../src/evolve/algorithms/symmetricEigen.ts";
import { addProducts, addScaled, dot, multiplyTransposed } from "../../../src/evolve/linear.ts";
import { logWeights } from "../../../src/evolve/ranking.ts";
import type { NormalSource, Optimizer, OptimizerName } from "../../../src/evolve/index.ts";
import { createRng } from "../../../src/shared/rng.ts";
import type { Rng } from "../../../src/shared/rng.ts";
import { anOptimizer, codeOf, step } from "./support.ts";

type Matrix = number[][];
const identity = (n: number): Matrix => Array.from({ length: n }, (_, r) => Array.from({ length: n }, (_, c) => (r === c ? 1 : 0)));
const rowTimes = (row: ArrayLike<number>, matrix: Matrix): number[] => matrix[0]!.map((_, c) => matrix.reduce((sum, line, r) => sum + row[r]! * line[c]!, 0));
const inner = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);

const seeds = fc.integer({ min: 0, max: 1e9 });

/** The largest difference, relative to the larger of the largest expected value and one. */
function difference(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  const scale = Math.max(1, ...Array.from(expected, Math.abs));
  return Math.max(...Array.from(expected, (x, i) => Math.abs(x - got[i]!))) / scale;
}

function gaussians(rng: Rng, count: number): Float64Array {
  const out = new Float64Array(count);
  rng.fillGaussian(out);
  return out;
}

/** Random, so that nothing about the objective helps: an ill-conditioned quadratic around a random point. */
function aQuadratic(dim: number, seed: number): (code: ArrayLike<number>) => number {
  const rng = createRng(seed).fork("quadratic");
  const target = gaussians(rng, dim);
  const curvature = Array.from({ length: dim }, () => 10 ** (2 * rng.uniform()));
  return (code) => -curvature.reduce((sum, a, i) => sum + a * (code[i]! - target[i]!) ** 2, 0);
}

describe("kernels", () => {
  test("tiles give what single scalar products and sums give, for all counts of rows and factors", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 11 }), fc.integer({ min: 1, max: 9 }), seeds, (rowCount, factorCount, dim, seed) => {
        const rng = createRng(seed);
        const rows = gaussians(rng, rowCount * dim);
        const factors = gaussians(rng, factorCount * dim);
        const products = new Float64Array(rowCount * factorCount);
        multiplyTransposed(products, rows, rowCount, factors, factorCount, dim);
        const sums = rows.slice();
        addProducts(sums, rowCount, products, factors, factorCount, dim);
        const naive = rows.slice();
        for (let r = 0; r < rowCount; r++) {
          for (let f = 0; f < factorCount; f++) {
            const product = dot(rows, r * dim, factors, f * dim, dim);
            expect(products[r * factorCount + f]).toBeCloseTo(product, 10);
            addScaled(naive, r * dim, product, factors, f * dim, dim);
          }
        }
        if (rows.length > 0) expect(difference(sums, naive)).toBeLessThan(1e-12);
      }),
    );
  });

  test("the eigendecomposition gives orthonormal vectors, ascending values and the matrix back", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), seeds, fc.boolean(), (dim, seed, degenerate) => {
        const rng = createRng(seed);
        const rows = gaussians(rng, (degenerate ? 1 : dim) * dim);
        const matrix = new Float64Array(dim * dim);
        const rowCount = degenerate ? 1 : dim;
        for (let k = 0; k < rowCount; k++) {
          const sign = k % 2 === 0 ? 1 : -1;
          for (let r = 0; r < dim; r++) for (let c = 0; c < dim; c++) matrix[r * dim + c] = matrix[r * dim + c]! + sign * rows[k * dim + r]! * rows[k * dim + c]!;
        }
        const before = matrix.slice();
        const { values, vectors } = decomposeSymmetric(matrix, dim);
        expect(matrix).toEqual(before);
        expect([...values]).toEqual([...values].sort((a, b) => a - b));
        const gram = new Float64Array(dim * dim);
        multiplyTransposed(gram, vectors, dim, vectors, dim, dim);
        expect(difference(gram, identity(dim).flat())).toBeLessThan(1e-12);
        const scaled = new Float64Array(dim * dim); // V' diag(values), then times V
        for (let r = 0; r < dim; r++) for (let k = 0; k < dim; k++) scaled[r * dim + k] = vectors[k * dim + r]! * values[k]!;
        const back = new Float64Array(dim * dim);
        addProducts(back, dim, scaled, vectors, dim, dim);
        expect(difference(back, matrix)).toBeLessThan(1e-12);
      }),
      { numRuns: 60 },
    );
    expect(() => decomposeSymmetric(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2)).toThrow(/finite/);
  });
});

describe("Cholesky CMA-ES", () => {
  /** The published form with its N x N matrices. */
  function denseCholesky(dim: number, populationSize: number, updateEvery: number, source: NormalSource) {
    const { weights, mueff, cc, cs, c1, damps, chiN } = choleskyConstants(dim, populationSize);
    let mean: number[] = new Array(dim).fill(0);
    let sigma = 3;
    let ps: number[] = new Array(dim).fill(0);
    let pc: number[] = new Array(dim).fill(0);
    let a = identity(dim);
    let aInverse = identity(dim);
    let evaluations = 0;
    let updatedAt = 0;
    let normals: number[][] = [];
    let codes: number[][] = [mean];
    return {
      codes: () => codes,
      mean: () => mean,
      sigma: () => sigma,
      factor: () => a,
      tell(scores: readonly number[]) {
        if (normals.length > 0) {
          const order = scores.map((_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
          const weigh = (rows: number[][]) => mean.map((_, c) => weights.reduce((sum, w, k) => sum + w * rows[order[k]!]![c]!, 0));
          const zw = weigh(normals);
          mean = weigh(codes);
          const zwA = rowTimes(zw, a);
          ps = ps.map((p, i) => (1 - cs) * p + Math.sqrt(cs * (2 - cs) * mueff) * zw[i]!);
          pc = pc.map((p, i) => (1 - cc) * p + Math.sqrt(cc * (2 - cc) * mueff) * zwA[i]!);
          sigma *= Math.exp((cs / damps) * (Math.hypot(...ps) / chiN - 1));
          if (evaluations - updatedAt > updateEvery * populationSize) {
            updatedAt = evaluations;
            const v = rowTimes(pc, aInverse);
            const n = inner(v, v);
            const root = Math.sqrt(1 + (n * c1) / (1 - c1));
            const keep = Math.sqrt(1 - c1);
            const u = aInverse.map((row) => inner(row, v)); // inv(A) v'
            a = a.map((row, r) => row.map((x, c) => keep * x + (keep / n) * (root - 1) * v[r]! * pc[c]!));
            aInverse = aInverse.map((row, r) => row.map((x, c) => x / keep - (1 / (n * keep)) * (1 - 1 / root) * u[r]! * v[c]!));
          }
        }
        normals = Array.from({ length: populationSize }, () => Array.from({ length: dim }, () => source.gaussian()));
        codes = normals.map((z) => rowTimes(z, a).map((x, i) => mean[i]! + sigma * x));
        evaluations += populationSize;
      },
    };
  }

  test("the low-rank form is the dense form, also after it has become dense itself", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 3 }), (seed, dim, updateEvery) => {
        const populationSize = 10;
        const objective = aQuadratic(dim, seed);
        const optimizer = anOptimizer({ name: "cholesky-cma", dim, rng: createRng(seed), options: { population: populationSize, updateEvery } });
        const dense = denseCholesky(dim, populationSize, updateEvery, createRng(seed));
        for (let g = 0; g < 40; g++) {
          const { population, scores } = step(optimizer, objective);
          expect(difference(population.data, dense.codes().flat())).toBeLessThan(1e-9);
          dense.tell(scores);
          expect(difference(optimizer.mean(), dense.mean())).toBeLessThan(1e-9);
          expect(optimizer.stepSize() / dense.sigma()).toBeCloseTo(1, 9);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("the factor times its inverse is the identity after hundreds of updates", () => {
    const dim = 12;
    const rng = createRng(8);
    const factor = createLowRankFactor(dim, null);
    for (let k = 0; k < 300; k++) {
      factor.push(0.99, 0.05, gaussians(rng, dim));
      const row = gaussians(rng, dim);
      const there = row.slice();
      factor.multiply(there, 1);
      expect(difference(factor.divide(there), row)).toBeLessThan(1e-9);
      expect(factor.rank()).toBe(k + 1 <= dim / 2 ? k + 1 : 0);
    }
  });
});

describe("full CMA-ES", () => {
  test("moves paths, step size and covariance by the tutorial's equations", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 8 }), (seed, dim) => {
        const populationSize = 12;
        const { cc, cs, damps, c1, cmu, chiN } = cmaConstants(dim, populationSize, 1);
        const optimizer = anOptimizer({ name: "full-cma", dim, seed, options: { population: populationSize, stepSize: 1 } });
        const { weights, mueff } = choleskyConstants(dim, populationSize);
        let ps: number[] = new Array(dim).fill(0);
        let pc: number[] = new Array(dim).fill(0);
        let covariance = identity(dim);
        for (let g = 0; g < 12; g++) {
          const state = optimizer.state().strategy;
          const [mean, sigma] = [optimizer.mean(), optimizer.stepSize()];
          const { population, scores } = step(optimizer, aQuadratic(dim, seed));
          const order = scores.map((_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
          const steps = order.slice(0, weights.length).map((i) => Array.from(codeOf(population, i), (x, k) => (x - mean[k]!) / sigma));
          const yw = mean.map((_, i) => weights.reduce((sum, w, k) => sum + w * steps[k]![i]!, 0));
          // C^(-1/2) y_w from the decomposition in force: B D^-1 B' y.
          const { basis, deviations } = state;
          if (!(basis instanceof Float64Array) || !(deviations instanceof Float64Array)) throw new Error("expected arrays");
          const along = Array.from({ length: dim }, (_, k) => inner(basis.subarray(k * dim, (k + 1) * dim), yw) / deviations[k]!);
          const whitened = Array.from({ length: dim }, (_, i) => along.reduce((sum, a, k) => sum + a * basis[k * dim + i]!, 0));
          ps = ps.map((p, i) => (1 - cs) * p + Math.sqrt(cs * (2 - cs) * mueff) * whitened[i]!);
          const psNorm = Math.hypot(...ps);
          const hsig = psNorm / Math.sqrt(1 - (1 - cs) ** (2 * (g + 1))) < (1.4 + 2 / (dim + 1)) * chiN ? 1 : 0;
          pc = pc.map((p, i) => (1 - cc) * p + hsig * Math.sqrt(cc * (2 - cc) * mueff) * yw[i]!);
          covariance = covariance.map((row, r) =>
            row.map(
              (x, c) =>
                (1 - c1 - cmu + c1 * (1 - hsig) * cc * (2 - cc)) * x +
                c1 * pc[r]! * pc[c]! +
                cmu * weights.reduce((sum, w, k) => sum + w * steps[k]![r]! * steps[k]![c]!, 0),
            ),
          );
          const after = optimizer.state().strategy["covariance"];
          if (!(after instanceof Float64Array)) throw new Error("expected an array");
          expect(difference(after, covariance.flat())).toBeLessThan(1e-9);
          expect(optimizer.stepSize() / (sigma * Math.exp((cs / damps) * (psNorm / chiN - 1)))).toBeCloseTo(1, 9);
        }
      }),
      { numRuns: 15 },
    );
  });

  test("shares its first step with separable CMA-ES", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 30 }), (seed, dim) => {
        const make = (name: OptimizerName) => anOptimizer({ name, dim, seed, options: { population: 12 } });
        const [full, separable] = [make("full-cma"), make("sep-cma")];
        const objective = aQuadratic(dim, seed);
        step(full, objective);
        step(separable, objective);
        expect(difference(full.mean(), separable.mean())).toBeLessThan(1e-12);
        expect(full.stepSize()).toBeCloseTo(separable.stepSize(), 12);
      }),
      { numRuns: 30 },
    );
  });

  test("learns an ill-conditioned valley in which random search and separable CMA-ES stay behind", () => {
    const dim = 10;
    const direction = gaussians(createRng(2), dim);
    const valley = (code: Float64Array) => -(inner(code, code) - 2 * inner(code, direction)) - 1e4 * inner(code.map((x, i) => x - direction[i]!), direction) ** 2;
    const reach = (name: OptimizerName) => {
      const optimizer = anOptimizer({ name, dim, options: { population: 12, stepSize: 1 } });
      for (let g = 0; g < 500; g++) step(optimizer, valley);
      return valley(optimizer.mean()) - inner(direction, direction);
    };
    expect(reach("full-cma")).toBeGreaterThan(-1e-6);
    expect(reach("sep-cma")).toBeLessThan(-0.01);
    expect(reach("random")).toBeLessThan(-1);
  });
});

describe("Hessian-preconditioned CMA-ES", () => {
  test("with an orthonormal basis of all directions and exponent 0 it is Cholesky CMA-ES in turned coordinates", () => {
    const dim = 6;
    const { vectors } = decomposeSymmetric(Float64Array.from({ length: 36 }, (_, i) => ((i % 6) + Math.floor(i / 6) === 5 ? 1 : 0.3)), dim);
    const objective = aQuadratic(dim, 3);
    const turn = (code: Float64Array) => Float64Array.from({ length: dim }, (_, i) => inner(code, Array.from({ length: dim }, (_, k) => vectors[k * dim + i]!)));
    const options = { population: 10, stepSize: 2, updateEvery: 0 };
    const hessian = anOptimizer({ name: "hessian-cma", dim, seed: 5, options: { ...options, exponent: 0 }, basis: { eigenvalues: new Float64Array(dim).fill(7), eigenvectors: vectors } });
    const plain = anOptimizer({ name: "cholesky-cma", dim, seed: 5, options });
    for (let g = 0; g < 30; g++) {
      step(hessian, objective);
      step(plain, (code) => objective(turn(code)));
      expect(difference(hessian.mean(), turn(plain.mean()))).toBeLessThan(1e-9);
    }
  });

  test("steps are eigenvalue^-exponent along each direction and none outside of the basis", () => {
    const eigenvectors = new Float64Array(2 * 5);
    eigenvectors[1] = 1;
    eigenvectors[5 + 3] = 1;
    const basis = { eigenvalues: Float64Array.of(16, 1), eigenvectors };
    const optimizer = anOptimizer({ name: "hessian-cma", dim: 5, basis, options: { population: 2000, stepSize: 1, exponent: 0.5 } });
    step(optimizer, () => 0);
    const population = optimizer.ask();
    const deviation = (k: number) => Math.sqrt(Array.from({ length: 2000 }, (_, i) => codeOf(population, i)[k]! ** 2 / 2000).reduce((a, b) => a + b));
    expect(deviation(1)).toBeCloseTo(0.25, 1);
    expect(deviation(3)).toBeCloseTo(1, 1);
    expect([deviation(0), deviation(2), deviation(4)]).toEqual([0, 0, 0]);
  });
});

// ---------------------------------------------------------------------------------------------------------------
// Symmetries

/** The draws of `rng`, whole populations at a time, their rows changed by `change`. */
function changedSource(rng: Rng, dim: number, change: (rows: Float64Array[]) => Float64Array[]): NormalSource {
  return {
    uniform: rng.uniform,
    gaussian: rng.gaussian,
    fillGaussian(out) {
      rng.fillGaussian(out);
      const rows = Array.from({ length: out.length / dim }, (_, r) => Float64Array.from(out.subarray(r * dim, (r + 1) * dim)));
      change(rows).forEach((row, r) => out.set(row, r * dim));
    },
  };
}

const gaussianSearches: readonly OptimizerName[] = ["cholesky-cma", "sphere-cma", "sep-cma", "full-cma", "lm-ma"];

describe.each(gaussianSearches)("%s", (name) => {
  test("showing a population in another order, with its scores, changes nothing but the order", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 20 }), (seed, dim) => {
        const order = (count: number) => createRng(seed).shuffle(Array.from({ length: count }, (_, i) => i));
        const shuffled = changedSource(createRng(seed), dim, (rows) => order(rows.length).map((i) => rows[i]!));
        const [a, b] = [anOptimizer({ name, dim, rng: createRng(seed) }), anOptimizer({ name, dim, rng: shuffled })];
        const objective = aQuadratic(dim, seed);
        for (let g = 0; g < 12; g++) {
          const [one, two] = [step(a, objective), step(b, objective)];
          expect(difference([...two.scores].sort(), [...one.scores].sort())).toBeLessThan(1e-9);
          expect(difference(b.mean(), a.mean())).toBeLessThan(1e-9);
        }
        expect(b.stepSize()).toBeCloseTo(a.stepSize(), 9);
      }),
      { numRuns: 15 },
    );
  });

  const invariant = name !== "sep-cma";
  test(invariant ? "is invariant to a rotation of the space" : "is not invariant to a rotation of the space, being separable", () => {
    const dim = 8;
    const { vectors } = decomposeSymmetric(Float64Array.from({ length: 64 }, (_, i) => Math.sin(1 + Math.min(Math.floor(i / 8), i % 8) * 5 + Math.max(Math.floor(i / 8), i % 8))), dim);
    const turn = (row: ArrayLike<number>) => Float64Array.from({ length: dim }, (_, k) => inner(row, vectors.subarray(k * dim, (k + 1) * dim)));
    const turnBack = (row: ArrayLike<number>) => Float64Array.from({ length: dim }, (_, i) => Array.from({ length: dim }, (_, k) => row[k]! * vectors[k * dim + i]!).reduce((x, y) => x + y));
    const objective = aQuadratic(dim, 4);
    // full-cma draws in its own eigenbasis, which turns with the covariance only up to signs: it is compared before the first decomposition.
    const generations = name === "full-cma" ? 1 : 15;
    const options = name === "sphere-cma" ? {} : { stepSize: 1 };
    const straight: Optimizer = anOptimizer({ name, dim, rng: createRng(9), options });
    const turned: Optimizer = anOptimizer({ name, dim, options, rng: changedSource(createRng(9), dim, (rows) => rows.map(turn)) });
    for (let g = 0; g < generations; g++) {
      step(straight, objective);
      step(turned, (code) => objective(turnBack(code)));
    }
    const apart = difference(turned.mean(), turn(straight.mean()));
    if (invariant) expect(apart).toBeLessThan(1e-8);
    else expect(apart).toBeGreaterThan(1e-3);
  });

  test("equal scores share their weights: which of two equals is shown first does not matter", () => {
    const dim = 5;
    const swap = (rows: Float64Array[]) => rows.map((_, i) => rows[i ^ 1] ?? rows[i]!);
    const options = { population: 12 };
    const [a, b] = [anOptimizer({ name, dim, options, rng: createRng(1) }), anOptimizer({ name, dim, options, rng: changedSource(createRng(1), dim, swap) })];
    for (let g = 0; g < 8; g++) {
      const { count } = a.ask();
      b.ask();
      const offset = count % 2; // the sphere's centre comes first
      const pairs = Array.from({ length: count }, (_, i) => [Math.floor((i - offset) / 2)]);
      expect(a.tell(pairs).ok && b.tell(pairs).ok).toBe(true);
      expect(difference(b.mean(), a.mean())).toBeLessThan(1e-12);
    }
  });

  test("missing scores do not bias the step size: with random scores it wanders as it does with all of them", () => {
    // Under random selection E|ps|^2 stays at the dimension, so that log step size has hardly any drift.
    const drift = (missingShare: number) => {
      const logs: number[] = [];
      for (let seed = 0; seed < 12; seed++) {
        const optimizer = anOptimizer({ name, dim: 20, seed, options: { population: 20 } });
        const rng = createRng(seed).fork("scores");
        for (let g = 0; g < 60; g++) {
          const { count } = optimizer.ask();
          optimizer.tell(Array.from({ length: count }, () => (rng.uniform() < missingShare ? [] : [rng.gaussian()])));
        }
        logs.push(Math.log(optimizer.stepSize()));
      }
      return logs.reduce((sum, x) => sum + x / logs.length, 0);
    };
    expect(Math.abs(drift(0.4) - drift(0))).toBeLessThan(name === "sphere-cma" ? 1e-12 : 0.6);
  });
});

describe("sphere-cma", () => {
  test("all codes lie on the sphere, and the centre is shown first from the second generation on", () => {
    const optimizer = anOptimizer({ name: "sphere-cma", dim: 30, options: { radius: 7 } });
    for (let g = 0; g < 5; g++) {
      const mean = optimizer.mean();
      const { population } = step(optimizer, aQuadratic(30, 1));
      for (let i = 0; i < population.count; i++) expect(Math.hypot(...codeOf(population, i))).toBeCloseTo(7, 9);
      expect(population.count).toBe(g === 0 ? 40 : 41);
      if (g > 0) expect(difference(codeOf(population, 0), mean)).toBeLessThan(1e-12);
    }
  });

  test("the first centre is the mean of the better half, the number of parents counts from then on", () => {
    const optimizer = anOptimizer({ name: "sphere-cma", dim: 4, options: { population: 8, parents: 1, radius: 2, learningRate: 1 } });
    const first = optimizer.ask();
    expect(optimizer.tell(Array.from({ length: 8 }, (_, i) => [-i])).ok).toBe(true);
    const weights = logWeights(4);
    const mean = [0, 1, 2, 3].map((k) => weights.reduce((sum, w, i) => sum + w * codeOf(first, i)[k]!, 0));
    expect(difference(optimizer.mean(), mean.map((x) => (2 * x) / Math.hypot(...mean)))).toBeLessThan(1e-12);
    const second = optimizer.ask();
    expect(optimizer.tell(Array.from({ length: 9 }, (_, i) => [i === 5 ? 1 : -i])).ok).toBe(true);
    expect(difference(optimizer.mean(), codeOf(second, 5))).toBeLessThan(1e-12);
  });

  test("the inverse schedule is the published one", () => {
    const optimizer = anOptimizer({ name: "sphere-cma", dim: 100, options: { schedule: "inverse" } });
    for (let g = 1; g <= 20; g++) {
      step(optimizer, aQuadratic(100, 1));
      expect(optimizer.stepSize()).toBeCloseTo((((15 + 1 / (0.0017 * g + 0.0146)) / 180) * Math.PI) / 10, 12);
    }
  });
});

describe("xdream-ga", () => {
  test("keeps the best unchanged and shows individuals without a score again", () => {
    const optimizer = anOptimizer({ name: "xdream-ga", dim: 6, options: { population: 8, conserved: 2 } });
    const first = optimizer.ask();
    const scores = [5, 9, 1, null, 7, 2, null, 3];
    expect(optimizer.tell(scores.map((score) => (score === null ? [] : [score]))).ok).toBe(true);
    const second = optimizer.ask();
    expect([codeOf(second, 0), codeOf(second, 1)]).toEqual([codeOf(first, 1), codeOf(first, 4)]);
    expect([codeOf(second, 6), codeOf(second, 7)]).toEqual([codeOf(first, 3), codeOf(first, 6)]);
  });

  test("without mutation every gene of a child is a gene of the generation before, mostly of good ones", () => {
    const optimizer = anOptimizer({ name: "xdream-ga", dim: 200, options: { mutationRate: 0, temperature: 0.2 } });
    const first = optimizer.ask();
    const scores = Array.from({ length: first.count }, (_, i) => (i < 4 ? 10 : 0));
    expect(optimizer.tell(scores.map((score) => [score])).ok).toBe(true);
    const second = optimizer.ask();
    let fromGood = 0;
    for (let i = 10; i < second.count; i++) {
      for (let gene = 0; gene < 200; gene++) {
        const parent = Array.from({ length: first.count }, (_, p) => codeOf(first, p)[gene]).indexOf(codeOf(second, i)[gene]);
        expect(parent).toBeGreaterThanOrEqual(0);
        if (parent < 4) fromGood++;
      }
    }
    expect(fromGood / (30 * 200)).toBeGreaterThan(0.99);
  });
});
