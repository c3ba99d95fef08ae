// What holds for every fit, beyond the reference cases.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareLassoConstraints, crossValidateLasso, fitLasso, largestPenalty, lassoPath, penaltyGrid } from "../../../src/analysis/lasso.ts";
import { criticalSignCount, predict, signConsistency, weightDistribution, weightSigns } from "../../../src/analysis/linearModel.ts";
import { columnOf, createMatrix, matrixFromColumn, matrixFromRows, multiply, rowOf, standardise, takeColumns, transpose } from "../../../src/analysis/matrix.ts";
import type { Matrix64 } from "../../../src/analysis/matrix.ts";
import { fitNeuronModels, suggestUnit } from "../../../src/analysis/neuronModels.ts";
import { fitPls } from "../../../src/analysis/pls.ts";
import { crossValidateRidge, defaultRidgePenalties, fitRidge } from "../../../src/analysis/ridge.ts";
import { splitFolds, splitTrainTest } from "../../../src/analysis/splits.ts";
import { mean, rSquared } from "../../../src/analysis/statistics.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aMatrix, expectClose, followingResponses, reluFeatures, within } from "./support.ts";

describe("PLS", () => {
  const features = reluFeatures(30, 80);
  const responses = followingResponses(features, 4, 1);

  test("one component is the closed form v |v|^2 / |Xs v|^2", () => {
    const { coefficients } = fitPls({ features, responses, components: 1 });
    const { mean: centre, scale } = columnsOf(features);
    const x = standardise(features, centre, scale);
    for (let unit = 0; unit < 4; unit++) {
      const y = columnOf(responses, unit);
      const own = columnsOf(matrixFromColumn(y));
      const v = multiply(transpose(x), matrixFromColumn(y.map((value) => (value - own.mean[0]!) / own.scale[0]!))).data;
      const score = multiply(x, matrixFromColumn(v)).data;
      const factor = sumSquares(v) / sumSquares(score);
      expectClose(rowOf(coefficients, unit), v.map((value, f) => (value * factor * own.scale[0]!) / scale[f]!), 1e-12);
    }
  });

  test("units do not see each other", () => {
    const all = fitPls({ features, responses, components: 3 });
    for (let unit = 0; unit < 4; unit++) {
      const alone = fitPls({ features, responses: takeColumns(responses, [unit]), components: 3 });
      expectClose(rowOf(all.coefficients, unit), alone.coefficients.data, 1e-14);
    }
  });

  test("image space and feature space give the same model", () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 14 }), fc.integer({ min: 1, max: 5 }), fc.integer(), (n, components, seed) => {
        const tall = reluFeatures(n, 7, seed);
        const y = followingResponses(tall, 2, 0.5, `${seed}y`);
        // Zero features change nothing, and push n <= p.
        const padded = createMatrix(n, 20);
        for (let i = 0; i < n; i++) padded.data.set(rowOf(tall, i), i * 20);
        const narrow = fitPls({ features: tall, responses: y, components });
        const wide = fitPls({ features: padded, responses: y, components });
        expectClose(takeColumns(wide.coefficients, [0, 1, 2, 3, 4, 5, 6]).data, narrow.coefficients.data, 1e-8);
        expectClose(wide.intercepts, narrow.intercepts, 1e-8);
      }),
      { numRuns: 40 },
    );
  });

  test("as many components as images less one fit a generic response exactly", () => {
    const few = reluFeatures(8, 40, 3);
    const y = followingResponses(few, 1, 1);
    const model = fitPls({ features: few, responses: y, components: 7 });
    expectClose(predict(model, few).data, y.data, 1e-8);
  });

  test("a constant unit predicts its mean with no component, and a dead feature gets no weight", () => {
    const dead = createMatrix(12, 3, Float64Array.from({ length: 36 }, (_, i) => (i % 3 === 1 ? 0.1 : Math.sin(i))));
    const y = matrixFromRows(Array.from({ length: 12 }, (_, i) => [0.3, i]));
    const model = fitPls({ features: dead, responses: y, components: 2 });
    expect(model.componentsUsed[0]).toBe(0);
    expect([...rowOf(model.coefficients, 0)]).toEqual([0, 0, 0]);
    expect(model.intercepts[0]).toBe(0.3);
    expect(rowOf(model.coefficients, 1)[1]).toBe(0);
    expect(model.featureScale[1]).toBe(1);
  });

  test("the unit of features and responses drops out of the prediction", () => {
    const model = fitPls({ features, responses, components: 2 });
    const louder = createMatrix(30, 80, features.data.map((value, i) => value * (1 + (i % 80)) + 5));
    const faster = createMatrix(30, 4, responses.data.map((value) => 1000 * value - 7));
    const other = fitPls({ features: louder, responses: faster, components: 2 });
    expectClose(predict(other, louder).data, predict(model, features).data.map((value) => 1000 * value - 7), 1e-7);
  });

  test("refuses a component count that the images cannot carry", () => {
    expect(() => fitPls({ features, responses, components: 30 })).toThrow("expected 1 to 29 components for 30 images and 80 features, got 30");
    expect(() => fitPls({ features, responses: aMatrix(29, 1), components: 1 })).toThrow("got 30 and 29");
  });
});

describe("Lasso", () => {
  /** Karush-Kuhn-Tucker conditions of the objective: the whole truth about a solution. */
  function expectOptimal(features: Matrix64, y: ArrayLike<number>, coefficients: ArrayLike<number>, intercept: number, penalty: number, positive: boolean) {
    const n = features.rows;
    const residual = Float64Array.from({ length: n }, (_, i) => {
      let value = y[i]! - intercept;
      for (let f = 0; f < features.cols; f++) value -= features.data[i * features.cols + f]! * coefficients[f]!;
      return value;
    });
    expect(Math.abs(mean(residual))).toBeLessThan(1e-9);
    for (let f = 0; f < features.cols; f++) {
      const column = columnOf(features, f);
      const pull = column.reduce((sum, value, i) => sum + value * residual[i]!, 0) / n;
      const weight = coefficients[f]!;
      if (positive) expect(weight).toBeGreaterThanOrEqual(0);
      if (weight === 0) expect(positive ? pull : Math.abs(pull)).toBeLessThanOrEqual(penalty * (1 + 1e-6) + 1e-10);
      else expect(Math.abs(pull - penalty * Math.sign(weight))).toBeLessThanOrEqual(1e-6 * penalty + 1e-9);
    }
  }

  test("every solution of a path is optimal, wide or tall, with dead, doubled and opposed features", () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 25 }), fc.integer({ min: 2, max: 40 }), fc.boolean(), fc.integer(), (n, p, positive, seed) => {
        const features = reluFeatures(n, p, seed);
        for (let i = 0; i < n; i++) {
          const row = rowOf(features, i);
          row[0] = 0.7;
          if (p > 3) row[3] = row[2]!;
          if (p > 5) row[5] = -row[4]!;
        }
        const y = columnOf(followingResponses(features, 1, 1, `${seed}y`), 0);
        const top = largestPenalty(features, y, { positive });
        if (!(top > 0)) return;
        const penalties = penaltyGrid(top, { count: 6, smallestRatio: 1e-4 });
        for (const solution of lassoPath({ features, response: y, penalties, positive })) {
          expect(solution.converged).toBe(true);
          expectOptimal(features, y, solution.coefficients, solution.intercept, solution.penalty, positive);
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each([false, true])("penalties so small that the fit interpolates are solved as well (positive: %s)", (positive) => {
    for (const seed of [1, 2, 3]) {
      const features = reluFeatures(40, 300, seed);
      const y = columnOf(followingResponses(features, 1, 2), 0);
      const top = largestPenalty(features, y, { positive });
      const path = lassoPath({ features, response: y, positive, penalties: penaltyGrid(top, { count: 5, smallestRatio: 1e-6 }) });
      for (const solution of path) {
        expect(solution.converged).toBe(true);
        expect(solution.sweeps).toBeLessThan(50);
        expect(solution.nonZeroCount).toBeLessThan(40);
        expectOptimal(features, y, solution.coefficients, solution.intercept, solution.penalty, positive);
      }
    }
  });

  test.each([false, true])("features that share a few causes are solved as well (positive: %s)", (positive) => {
    for (let seed = 0; seed < 30; seed++) {
      const rng = createRng(seed);
      const [n, p, mix] = [5 + rng.int(40), 2 + rng.int(80), 3 * rng.uniform()];
      const causes = aMatrix(n, 4, `${seed}causes`);
      const features = aMatrix(n, p, `${seed}own`);
      for (let i = 0; i < n; i++) for (let f = 0; f < p; f++) features.data[i * p + f] = features.data[i * p + f]! + mix * causes.data[i * 4 + (f % 4)]!;
      const y = Float64Array.from({ length: n }, (_, i) => causes.data[i * 4]! - causes.data[i * 4 + 1]! + 0.3 * rng.gaussian());
      const top = largestPenalty(features, y, { positive });
      for (const solution of lassoPath({ features, response: y, positive, penalties: penaltyGrid(top, { count: 3, smallestRatio: 1e-5 }) })) {
        expect(solution.converged).toBe(true);
        expectOptimal(features, y, solution.coefficients, solution.intercept, solution.penalty, positive);
      }
    }
  });

  test("features that nearly repeat each other are solved as well", () => {
    const few = reluFeatures(30, 12, 5);
    const features = createMatrix(30, 60);
    const jitter = aMatrix(30, 60, 6);
    for (let i = 0; i < 30; i++) for (let f = 0; f < 60; f++) features.data[i * 60 + f] = few.data[i * 12 + (f % 12)]! + 1e-3 * jitter.data[i * 60 + f]!;
    const y = columnOf(followingResponses(few, 1, 1), 0);
    for (const positive of [false, true]) {
      const top = largestPenalty(features, y, { positive });
      for (const solution of lassoPath({ features, response: y, positive, penalties: penaltyGrid(top, { count: 6, smallestRatio: 1e-5 }) })) {
        expect(solution.converged).toBe(true);
        expectOptimal(features, y, solution.coefficients, solution.intercept, solution.penalty, positive);
      }
    }
  });

  test("the order of the penalties does not matter, nor whether they come one by one", () => {
    const features = reluFeatures(30, 60);
    const y = columnOf(followingResponses(features, 1, 1), 0);
    const falling = [0.4, 0.1, 0.02];
    const path = lassoPath({ features, response: y, penalties: falling });
    const rising = lassoPath({ features, response: y, penalties: [...falling].reverse() });
    falling.forEach((penalty, a) => {
      expect(rising[2 - a]!.penalty).toBe(penalty);
      expectClose(rising[2 - a]!.coefficients, path[a]!.coefficients, 0);
      const alone = fitLasso({ features, responses: matrixFromColumn(y), penalty });
      expectClose(alone.coefficients.data, path[a]!.coefficients, 1e-9);
    });
  });

  test("at the largest penalty all weights are 0, and just below it one is not", () => {
    const features = reluFeatures(25, 30);
    const y = columnOf(followingResponses(features, 1, 1), 0);
    const top = largestPenalty(features, y);
    const [at, below] = lassoPath({ features, response: y, penalties: [top, 0.99 * top] });
    expect(at!.nonZeroCount).toBe(0);
    expect(at!.intercept).toBe(mean(y));
    expect(below!.nonZeroCount).toBeGreaterThan(0);
  });

  test("a constant unit gets no weights, and its scores are undefined instead of 0", () => {
    const features = reluFeatures(20, 10);
    const responses = matrixFromColumn(new Array<number>(20).fill(4));
    const [scores] = crossValidateLasso({ features, responses, folds: splitFolds({ count: 20, folds: 4 }) });
    expect(scores!.r2TestMean.every(Number.isNaN)).toBe(true);
    const model = fitLasso({ features, responses, penalty: 0.1 });
    expect(model.coefficients.data.every((weight) => weight === 0)).toBe(true);
    expect(model.intercepts[0]).toBe(4);
  });

  test("cross-validation of many units is that of each alone", () => {
    const features = reluFeatures(40, 50);
    const responses = followingResponses(features, 3, 2);
    const folds = splitFolds({ count: 40, folds: 5, rng: createRng(3) });
    const all = crossValidateLasso({ features, responses, folds });
    all.forEach((scores, unit) => {
      const [alone] = crossValidateLasso({ features, responses: takeColumns(responses, [unit]), folds });
      expectClose(scores.r2Test.data, alone!.r2Test.data, 0);
      expect(scores.penalties).toHaveLength(10);
      expect(scores.r2TestMean[scores.bestIndex]).toBe(Math.max(...scores.r2TestMean));
    });
  });

  test("positive weights alone predict a unit with inhibitory inputs worse", () => {
    const features = reluFeatures(80, 20);
    const y = Float64Array.from({ length: 80 }, (_, i) => 3 * features.data[i * 20]! - 3 * features.data[i * 20 + 1]!);
    const [result] = compareLassoConstraints({ features, responses: matrixFromColumn(y), folds: splitFolds({ count: 80, folds: 5 }) });
    expect(result!.bestTestDifference).toBeGreaterThan(0.2);
    expect(result!.positive.penalties).toEqual(result!.unconstrained.penalties);
    expect(result!.testDifference).toHaveLength(10);
  });

  test("refuses penalties that are no positive numbers", () => {
    const features = reluFeatures(10, 4);
    expect(() => lassoPath({ features, response: new Float64Array(10), penalties: [0] })).toThrow("positive penalty, got 0");
    expect(() => fitLasso({ features, responses: aMatrix(10, 2), penalty: [1] })).toThrow("expected 2 penalties, one per unit, got 1");
  });
});

describe("ridge", () => {
  test("weights satisfy the normal equations, wide or tall", () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.double({ min: 0.01, max: 100, noNaN: true }), fc.integer(), (n, p, penalty, seed) => {
        const features = reluFeatures(n, p, seed);
        const responses = followingResponses(features, 2, 1, `${seed}y`);
        const model = fitRidge({ features, responses, penalty });
        const predicted = predict(model, features);
        for (let unit = 0; unit < 2; unit++) {
          const residual = columnOf(responses, unit).map((value, i) => value - predicted.data[i * 2 + unit]!);
          expect(Math.abs(mean(residual))).toBeLessThan(1e-9);
          const pull = multiply(transpose(features), matrixFromColumn(residual)).data;
          expectClose(pull, rowOf(model.coefficients, unit).map((weight) => penalty * weight), 1e-7);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a penalty for each unit is each unit's own fit, scaled or not", () => {
    const features = reluFeatures(15, 30);
    const responses = followingResponses(features, 3, 1);
    for (const scale of [false, true]) {
      const model = fitRidge({ features, responses, penalty: [0.5, 5, 50], scale });
      [0.5, 5, 50].forEach((penalty, unit) => {
        const alone = fitRidge({ features, responses, penalty, scale });
        expectClose(rowOf(model.coefficients, unit), rowOf(alone.coefficients, unit), 1e-10);
      });
    }
  });

  test("scaling is ridge on standardised features, told in raw activations", () => {
    const features = reluFeatures(15, 30);
    const louder = createMatrix(15, 30, features.data.map((value, i) => value * (1 + (i % 30))));
    const responses = followingResponses(features, 2, 1);
    const scaled = fitRidge({ features: louder, responses, penalty: 3, scale: true });
    const { mean: centre, scale } = columnsOf(louder);
    const plain = fitRidge({ features: standardise(louder, centre, scale), responses, penalty: 3 });
    expectClose(scaled.coefficients.data, plain.coefficients.data.map((weight, i) => weight / scale[i % 30]!), 1e-12);
    expectClose(predict(scaled, louder).data, predict(plain, standardise(louder, centre, scale)).data, 1e-9);
  });

  test("with no penalty, an image shown twice is fitted by the mean of its responses", () => {
    const features = reluFeatures(10, 40);
    features.data.copyWithin(40, 0, 40);
    const responses = followingResponses(features, 1, 1);
    const predicted = predict(fitRidge({ features, responses, penalty: 0 }), features).data;
    within(predicted[0]!, (responses.data[0]! + responses.data[1]!) / 2, 1e-8);
    expectClose(predicted.subarray(2), responses.data.subarray(2), 1e-8);
  });

  test("the default penalties follow the scale of the features", () => {
    const features = reluFeatures(15, 30);
    const louder = createMatrix(15, 30, features.data.map((value) => 10 * value));
    expectClose(defaultRidgePenalties(louder), defaultRidgePenalties(features).map((penalty) => 100 * penalty), 1e-6);
    const responses = followingResponses(features, 2, 3);
    const folds = splitFolds({ count: 15, folds: 3 });
    const a = crossValidateRidge({ features, responses, folds });
    const b = crossValidateRidge({ features: louder, responses, folds });
    expectClose(a.r2Test.data, b.r2Test.data, 1e-9);
    expect([...a.bestIndex]).toEqual([...b.bestIndex]);
  });
});

describe("splits", () => {
  test("hold-out and folds use every image once, whatever the seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 200 }), fc.integer({ min: 2, max: 5 }), fc.integer(), (count, folds, seed) => {
        const all = Array.from({ length: count }, (_, i) => i);
        const split = splitTrainTest({ count, rng: createRng(seed) });
        expect([...split.train, ...split.test].sort((a, b) => a - b)).toEqual(all);
        expect(split.test).toHaveLength(Math.ceil(count / 5));
        const parts = splitFolds({ count, folds, rng: createRng(seed) });
        expect(parts.flatMap((part) => [...part.test]).sort((a, b) => a - b)).toEqual(all);
        for (const part of parts) expect([...part.train, ...part.test].sort((a, b) => a - b)).toEqual(all);
        const sizes = parts.map((part) => part.test.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("the same seed gives the same split and another one another", () => {
    const of = (seed: number) => [...splitTrainTest({ count: 160, rng: createRng(seed) }).test];
    expect(of(4)).toEqual(of(4));
    expect(of(4)).not.toEqual(of(5));
    expect(of(4)).toHaveLength(32);
    expect(splitTrainTest({ count: 100, testFraction: 0.07, rng: createRng(1) }).test).toHaveLength(7);
  });

  test("too few images are refused", () => {
    expect(() => splitTrainTest({ count: 1, rng: createRng(1) })).toThrow("expected enough images");
    expect(() => splitFolds({ count: 4, folds: 5 })).toThrow("expected 2 to 4 folds for 4 images, got 5");
  });
});

describe("neuron models", () => {
  const features = reluFeatures(160, 40, 7);
  const responses = followingResponses(features, 6, 1, 8);

  test.each([
    { kind: "pls", components: 5 },
    { kind: "lasso" },
    { kind: "ridge" },
  ] as const)("$kind: cards say what the kept model does on images it has not seen", (method) => {
    const { model, cards, split } = fitNeuronModels({ features, responses, method, rng: createRng(1) });
    expect(split.test).toHaveLength(32);
    const predicted = predict(model, features);
    cards.forEach((card, unit) => {
      const pick = (matrix: Matrix64, rows: Int32Array) => Float64Array.from(rows, (row) => matrix.data[row * 6 + unit]!);
      within(card.r2Test, rSquared(pick(responses, split.test), pick(predicted, split.test))!, 1e-12);
      within(card.r2Train, rSquared(pick(responses, split.train), pick(predicted, split.train))!, 1e-12);
      expect(card).toMatchObject({ unit, method: method.kind, trainCount: 128, testCount: 32, converged: true, ...weightSigns(rowOf(model.coefficients, unit)) });
    });
    const best = suggestUnit(cards);
    expect(best?.r2Test).toBe(Math.max(...cards.map((card) => card.r2Test ?? -1)));
  });

  test("with no split the kept model is fitted on every image and nothing is called a test", () => {
    const { cards, split } = fitNeuronModels({ features, responses, method: { kind: "pls" }, split: { kind: "none" }, rng: createRng(1) });
    expect(split.train).toHaveLength(160);
    expect(cards[0]).toMatchObject({ r2Test: null, rTest: null, testCount: 0, components: 1 });
    expect(suggestUnit(cards)?.r2Train).toBe(Math.max(...cards.map((card) => card.r2Train ?? -1)));
  });

  test("folds score on unseen images and keep a model of all of them", () => {
    const folds = fitNeuronModels({ features, responses, method: { kind: "pls" }, split: { kind: "folds", folds: 5 }, rng: createRng(1) });
    const whole = fitNeuronModels({ features, responses, method: { kind: "pls" }, split: { kind: "none" }, rng: createRng(1) });
    expectClose(folds.model.coefficients.data, whole.model.coefficients.data, 0);
    folds.cards.forEach((card, unit) => {
      expect(card.testCount).toBe(160);
      expect(card.r2Test ?? 1).toBeLessThan(whole.cards[unit]!.r2Train ?? 0);
    });
  });

  test("the same seed repeats the fit bit for bit", () => {
    const fit = (seed: number) => fitNeuronModels({ features, responses, method: { kind: "lasso" }, rng: createRng(seed) });
    expect(fit(3)).toEqual(fit(3));
    expect(fit(3).split).not.toEqual(fit(4).split);
  });

  test("noise-corrected r is the test r over the unit's ceiling", () => {
    const ceiling = { splitHalfR: 0.5, reliability: 2 / 3, ceilingR: Math.sqrt(2 / 3), images: 160, splits: 100 };
    const none = { splitHalfR: null, reliability: null, ceilingR: null, images: 0, splits: 100 };
    const { cards } = fitNeuronModels({ features, responses, method: { kind: "pls" }, noiseCeilings: [ceiling, none, none, none, none, none], rng: createRng(1) });
    within(cards[0]!.noiseCorrectedR, cards[0]!.rTest! / Math.sqrt(2 / 3), 1e-15);
    expect(cards[1]!.noiseCorrectedR).toBeNull();
  });

  test("a unit with constant responses has no score and is never suggested", () => {
    const constant = createMatrix(160, 2, Float64Array.from({ length: 320 }, (_, i) => (i % 2 === 0 ? 3 : responses.data[i * 3]!)));
    const { cards } = fitNeuronModels({ features, responses: constant, method: { kind: "pls" }, rng: createRng(1) });
    expect(cards[0]).toMatchObject({ r2Train: null, r2Test: null, rTest: null, components: 0, positiveToNegative: null });
    expect(suggestUnit(cards)?.unit).toBe(1);
    expect(suggestUnit(cards.slice(0, 1))).toBeNull();
  });
});

describe("weights", () => {
  test("the distribution counts every weight and finds the few that carry half", () => {
    const weights = [4, -1, -1, 1, 1, 0, 0, 0];
    const { edges, counts, countForHalfOfTotal, quantiles } = weightDistribution(weights, { bins: 8 });
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(8);
    expect([edges[0], edges[4], edges[8]]).toEqual([-4, 0, 4]);
    expect([...counts]).toEqual([0, 0, 0, 2, 3, 2, 0, 1]);
    expect(countForHalfOfTotal).toBe(1);
    expect(quantiles.q50).toBe(0);
  });

  test("sign consistency finds the feature that all models agree on, and corrects for the number tested", () => {
    const weights = aMatrix(56, 40, 3);
    for (let model = 0; model < 56; model++) weights.data[model * 40 + 7] = 1 + model;
    weights.data[2] = 0;
    const signs = signConsistency(weights);
    expect(signs.filter((sign) => sign.pBonferroni < 0.05).map((sign) => sign.feature)).toEqual([7]);
    expect(signs[7]).toMatchObject({ positiveCount: 56, negativeCount: 0, majority: 1 });
    expect(signs[2]!.used).toBe(55);
    expect(signs[7]!.pBonferroni).toBeCloseTo(40 * 2 * 0.5 ** 56, 20);
    expect(criticalSignCount(5, { tests: 4096 })).toBeNull();
  });
});

function columnsOf(matrix: Matrix64): { mean: Float64Array; scale: Float64Array } {
  const columns = Array.from({ length: matrix.cols }, (_, c) => columnOf(matrix, c));
  const centre = columns.map((column) => mean(column));
  const scale = columns.map((column, c) => Math.sqrt(sumSquares(column.map((value) => value - centre[c]!)) / (matrix.rows - 1)));
  return { mean: Float64Array.from(centre), scale: Float64Array.from(scale, (value) => (value > 0 ? value : 1)) };
}

function sumSquares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
