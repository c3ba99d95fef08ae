// Reference results beside the shared ones, made by tests/fixtures/analysis-more/make.py with scikit-learn, scipy and numpy.
import { describe, expect, test } from "vitest";
import {
  binomialTwoSided,
  fUpperTail,
  incompleteBeta,
  logGamma,
  normalQuantile,
  normalUpperTail,
  studentQuantile,
  studentTwoSided,
  studentUpperTail,
} from "../../../src/analysis/distributions.ts";
import { clusterMiniBatches, refineKMeans, seedKMeans } from "../../../src/analysis/kMeans.ts";
import { fitLasso, largestPenalty, lassoPath } from "../../../src/analysis/lasso.ts";
import { localiseFeature } from "../../../src/analysis/localisation.ts";
import { columnOf, elementAt, matrixFromColumn, matrixFromRows, rowOf, takeRows } from "../../../src/analysis/matrix.ts";
import { parseNpy } from "../../../src/analysis/npy.ts";
import { fitPca, projectPca } from "../../../src/analysis/pca.ts";
import { fitPls } from "../../../src/analysis/pls.ts";
import { crossValidateRidge, fitRidge } from "../../../src/analysis/ridge.ts";
import { splitFolds } from "../../../src/analysis/splits.ts";
import {
  averageRanks,
  correlate,
  meanInterval,
  oneSampleT,
  oneWayAnova,
  permutationTest,
  pooledT,
  quantile,
  rSquared,
  signFlipTest,
  spearman,
} from "../../../src/analysis/statistics.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { errorOf, expectClose, loadFixture, valueOf, within } from "./support.ts";

interface PlsFit {
  components: number;
  scale: boolean;
  coef: number[][];
  intercept: number[];
}
interface Cases {
  pls: { name: string; X: number[][]; Y: number[][]; perUnit: PlsFit[]; joint: PlsFit[] }[];
  lasso: {
    name: string;
    X: number[][];
    y: number[];
    largestPenalty: number;
    fits: { penalty: number; positive: boolean; coef: number[]; intercept: number }[];
  }[];
  ridge: { name: string; X: number[][]; Y: number[][]; fits: { penalty: number; coef: number[][]; intercept: number[]; r2Folds: number[] | null }[] }[];
  pca: {
    X: number[][];
    components: number[][];
    explainedVariance: number[];
    explainedVarianceRatio: number[];
    countFor90Percent: number;
    scoresOfFirstRow: number[];
  };
  kMeans: { X: number[][]; clusters: number; bestInertia: number };
  distributions: Record<
    "studentTails" | "studentQuantiles" | "normalTails" | "normalQuantiles" | "fTails" | "binomialTests" | "incompleteBeta" | "logGamma",
    number[][]
  >;
  statistics: {
    a: number[];
    b: number[];
    x: number[];
    y: number[];
    groups: number[][];
    differences: number[];
    spearman: [number, number];
    pearson: [number, number];
    anova: [number, number];
    pooledT: [number, number];
    oneSampleT: [number, number];
    permutationGreater: number;
    permutationLess: number;
    signFlipGreater: number;
    t90: [number, number];
    quantiles: [number, number][];
    ranks: number[];
    r2: number;
  };
  localisation: {
    height: number;
    width: number;
    diameter: number;
    sd: number;
    discsYX: [number, number][];
    changes: number[];
    maps: { divideBy: "count" | "coverage"; border: "zero" | "mirror"; peak: number; kept: number; row20: number[]; column3: number[] }[];
  };
  npy: {
    read: { name: string; bytes: string; shape: number[]; dtype: string; values: number[] | number }[];
    refused: { name: string; bytes: string }[];
  };
}

const cases = loadFixture<Cases>("analysis-more/cases.json");

describe.each(cases.pls)("PLS, $name", ({ X, Y, perUnit, joint }) => {
  const features = matrixFromRows(X);
  const responses = matrixFromRows(Y);

  test.each(perUnit)("$components components, scale $scale: one model per unit", ({ components, scale, coef, intercept }) => {
    const model = fitPls({ features, responses, components, scale });
    expectClose(model.coefficients.data, coef.flat(), 1e-9);
    expectClose(model.intercepts, intercept, 1e-9);
    expect([...model.componentsUsed]).toEqual([components, components, components]);
  });

  test.each(joint)("$components components for all units jointly", ({ components, coef, intercept }) => {
    const model = fitPls({ features, responses, components, joint: true });
    expectClose(model.coefficients.data, coef.flat(), 1e-9);
    expectClose(model.intercepts, intercept, 1e-9);
  });
});

describe.each(cases.lasso)("Lasso, $name", ({ X, y, largestPenalty: top, fits }) => {
  const features = matrixFromRows(X);

  test("the largest useful penalty", () => {
    within(largestPenalty(features, y), top, 1e-12 * top);
  });

  test.each(fits)("penalty $penalty, positive $positive", ({ penalty, positive, coef, intercept }) => {
    const [alone] = lassoPath({ features, response: y, penalties: [penalty], positive });
    const model = fitLasso({ features, responses: matrixFromColumn(y), penalty, positive });
    for (const coefficients of [alone!.coefficients, rowOf(model.coefficients, 0)]) expectClose(coefficients, coef, 1e-7);
    within(alone!.intercept, intercept, 1e-7);
    within(model.intercepts[0]!, intercept, 1e-7);
    expect(model.unconverged).toEqual([]);
  });
});

describe.each(cases.ridge)("ridge, $name", ({ X, Y, fits }) => {
  const features = matrixFromRows(X);
  const responses = matrixFromRows(Y);

  test.each(fits)("penalty $penalty", ({ penalty, coef, intercept }) => {
    const model = fitRidge({ features, responses, penalty });
    expectClose(model.coefficients.data, coef.flat(), 1e-9);
    expectClose(model.intercepts, intercept, 1e-9);
  });

  test("a penalty of its own for each unit", () => {
    const [low, high] = [fits[0]!, fits[2]!];
    const model = fitRidge({ features, responses, penalty: [low.penalty, high.penalty] });
    expectClose(rowOf(model.coefficients, 0), low.coef[0]!, 1e-9);
    expectClose(rowOf(model.coefficients, 1), high.coef[1]!, 1e-9);
  });

  test("five contiguous folds", () => {
    const scored = fits.filter((fit) => fit.r2Folds !== null);
    const penalties = scored.map((fit) => fit.penalty);
    const result = crossValidateRidge({ features, responses, penalties, folds: splitFolds({ count: features.rows, folds: 5 }) });
    scored.forEach((fit, a) => expectClose(rowOf(result.r2Test, a), fit.r2Folds ?? [], 1e-9));
    for (let unit = 0; unit < 2; unit++) {
      const scores = scored.map((fit) => fit.r2Folds?.[unit] ?? Number.NaN);
      expect(result.bestIndex[unit]).toBe(scores.indexOf(Math.max(...scores)));
    }
  });
});

test("PCA of fewer rows than features", () => {
  const { X, components, explainedVariance, explainedVarianceRatio, countFor90Percent, scoresOfFirstRow } = cases.pca;
  const data = matrixFromRows(X);
  const pca = fitPca(data, { components: 6 });
  expectClose(pca.components.data, components.flat(), 1e-9);
  expectClose(pca.explainedVariance, explainedVariance, 1e-9);
  expectClose(pca.explainedVarianceRatio, explainedVarianceRatio, 1e-11);
  expectClose(projectPca(pca, takeRows(data, [0])).data, scoresOfFirstRow, 1e-9);
  expect(fitPca(data, { varianceShare: 0.9 }).components.rows).toBe(countFor90Percent);
});

describe("k-means against the best of twenty scikit-learn runs", () => {
  const { X, clusters, bestInertia } = cases.kMeans;
  const data = matrixFromRows(X);

  test("k-means++ and Lloyd find the same clusters", () => {
    const runs = [1, 2, 3].map((seed) => refineKMeans(data, takeRows(data, seedKMeans(data, clusters, createRng(seed)))).inertia);
    within(Math.min(...runs), bestInertia, 1e-9 * bestInertia);
  });

  test("mini-batches come within a few per cent", () => {
    const result = clusterMiniBatches(data, { clusters, batchSize: 64, rng: createRng(5) });
    expect(result.inertia).toBeLessThan(1.1 * bestInertia);
    expect(new Set(result.labels).size).toBe(clusters);
  });
});

describe("distributions against scipy", () => {
  const { distributions: d } = cases;
  const relative = (actual: number, expected: number, tolerance = 1e-12) =>
    within(actual, expected, tolerance * Math.max(Math.abs(expected), Number.MIN_VALUE));

  test("Student's t, both tails and quantiles", () => {
    for (const [t, df, two, upper] of d.studentTails) {
      relative(studentTwoSided(t!, df!), two!);
      relative(studentUpperTail(t!, df!), upper!);
    }
    for (const [p, df, t] of d.studentQuantiles) relative(studentQuantile(p!, df!), t!, 1e-11);
  });

  test("normal tail and quantiles", () => {
    for (const [z, upper] of d.normalTails) relative(normalUpperTail(z!), upper!);
    for (const [p, z] of d.normalQuantiles) within(normalQuantile(p!), z!, 1e-11 * Math.max(1, Math.abs(z!)));
  });

  test("F tail", () => {
    for (const [f, between, inside, upper] of d.fTails) relative(fUpperTail(f!, between!, inside!), upper!);
  });

  test("two-sided binomial test", () => {
    for (const [k, n, p, value] of d.binomialTests) relative(binomialTwoSided(k!, n!, p!), value!, 1e-11);
  });

  test("incomplete beta and ln Gamma", () => {
    for (const [x, a, b, value] of d.incompleteBeta) relative(incompleteBeta(x!, a!, b!), value!);
    for (const [x, value] of d.logGamma) within(logGamma(x!), value!, 1e-13 * Math.max(1, Math.abs(value!)));
  });
});

describe("sample statistics against scipy", () => {
  const s = cases.statistics;

  test("correlations, ranks, determination, quantiles", () => {
    const rank = spearman(s.x, s.y);
    expectClose([rank.r!, rank.p!], s.spearman, 1e-12);
    const linear = correlate(s.x, s.y);
    expectClose([linear.r!, linear.p!], s.pearson, 1e-12);
    expectClose(averageRanks(s.x), s.ranks, 0);
    within(rSquared(s.y, s.x), s.r2, 1e-12);
    for (const [q, value] of s.quantiles) within(quantile(s.y, q), value, 1e-12);
  });

  test("t tests, variance analysis, t interval", () => {
    const two = pooledT(s.a, s.b);
    expectClose([two.t, two.p], s.pooledT, 1e-12);
    const one = oneSampleT(s.differences);
    expectClose([one.t, one.p], s.oneSampleT, 1e-12);
    const anova = oneWayAnova(s.groups);
    expectClose([anova.f!, anova.p!], s.anova, 1e-12);
    const interval = meanInterval(s.a, { kind: "t", level: 0.9 });
    expectClose([interval.low!, interval.high!], s.t90, 1e-12);
  });

  test("exact permutation tests, one-sided", () => {
    within(permutationTest(s.a, s.b, { alternative: "greater" }).p, s.permutationGreater, 1e-12);
    within(permutationTest(s.a, s.b, { alternative: "less" }).p, s.permutationLess, 1e-12);
    within(signFlipTest(s.differences, { alternative: "greater" }).p, s.signFlipGreater, 1e-12);
  });
});

describe("localisation in a small map that is not square", () => {
  const { height: heightPx, width: widthPx, diameter: diameterPx, sd: smoothingSdPx, discsYX, changes, maps } = cases.localisation;
  const discs = discsYX.map(([yPx, xPx]) => ({ xPx, yPx }));

  test.each(maps)("divided by $divideBy, border $border", ({ divideBy, border, peak, kept, row20, column3 }) => {
    const found = localiseFeature(discs, changes, { widthPx, heightPx, diameterPx, smoothingSdPx, divideBy, border });
    within(found.peak?.value ?? null, peak, 1e-12);
    expect(found.keptPixelCount).toBe(kept);
    expectClose(rowOf(found.map, 20), row20, 1e-12);
    expectClose(columnOf(found.map, 3), column3, 1e-12);
    expect(elementAt(found.map, found.peak?.yPx ?? -1, found.peak?.xPx ?? -1)).toBe(found.peak?.value);
  });
});

describe(".npy files that numpy wrote", () => {
  test.each(cases.npy.read)("$name is read", ({ bytes, shape, dtype, values }) => {
    const array = valueOf(parseNpy(Buffer.from(bytes, "base64")));
    expect(array.shape).toEqual(shape);
    expect(array.dtype).toBe(dtype);
    expect([...array.data]).toEqual(Array.isArray(values) ? values : [values]);
  });

  test.each(cases.npy.refused)("$name is refused with what to do", ({ bytes }) => {
    const { code, message } = errorOf(parseNpy(Buffer.from(bytes, "base64")));
    expect(code).toBe("npyType");
    expect(message).toMatch(/Expected float32 or float64.*got ".*astype/s);
  });
});
