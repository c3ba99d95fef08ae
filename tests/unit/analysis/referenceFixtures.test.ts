// Every file of tests/fixtures/analysis within the tolerance written in it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeAblationMasks } from "../../../src/analysis/ablation.ts";
import type { AblationRule, WeightSign } from "../../../src/analysis/ablation.ts";
import {
  brainPropertyScore,
  euclideanDistance,
  modulationIndex,
  normalisationSlope,
  relativeLengthChange,
  sparseness,
  tetradIndex,
  tetradInteraction,
} from "../../../src/analysis/brainProperties.ts";
import { binomialTwoSided } from "../../../src/analysis/distributions.ts";
import { selectNearestUnused } from "../../../src/analysis/diverseSet.ts";
import { assignToCentres, refineKMeans } from "../../../src/analysis/kMeans.ts";
import { crossValidateLasso, largestPenalty, lassoPath } from "../../../src/analysis/lasso.ts";
import { criticalSignCount, predict, signConsistency, weightSigns } from "../../../src/analysis/linearModel.ts";
import { localiseFeature, measureResponseChanges } from "../../../src/analysis/localisation.ts";
import { columnOf, elementAt, matrixFromColumn, matrixFromRows, rowOf, takeRows } from "../../../src/analysis/matrix.ts";
import { parseNpy } from "../../../src/analysis/npy.ts";
import { fitPca, projectPca } from "../../../src/analysis/pca.ts";
import { fitPls } from "../../../src/analysis/pls.ts";
import { populationResponse } from "../../../src/analysis/population.ts";
import { measureEnsembleSimilarity } from "../../../src/analysis/similarity.ts";
import { splitFolds } from "../../../src/analysis/splits.ts";
import { correlationP, meanInterval, pearson, permutationTest, pooledT, rSquared, signFlipTest, spearman } from "../../../src/analysis/statistics.ts";
import { expectClose, fixtures, loadFixture, valueOf, within } from "./support.ts";

interface PlsExpected {
  n_components: number;
  coef_raw: number[][];
  intercept_raw: number[];
  x_mean: number[];
  x_std_ddof1_zero_to_one: number[];
  predictions_all: number[][];
  r2_train: number[];
  r2_test: number[];
  pearson_r_squared_test: number[];
  ratio_pos_neg: number[];
}
interface PlsFixture {
  inputs: { X: number[][]; Y: number[][]; n_train: number };
  expected: { scale_true: PlsExpected[]; scale_false?: PlsExpected[] };
  tol: number;
}

describe.each(["pls_single_target.json", "pls_multi_target.json"])("%s", (file) => {
  const { inputs, expected, tol } = loadFixture<PlsFixture>(`analysis/${file}`);
  const features = matrixFromRows(inputs.X);
  const responses = matrixFromRows(inputs.Y);
  const train = Array.from({ length: inputs.n_train }, (_, i) => i);
  const test_ = Array.from({ length: features.rows - inputs.n_train }, (_, i) => inputs.n_train + i);
  const cases = [
    ...expected.scale_true.map((want) => ({ scale: true, want })),
    ...(expected.scale_false ?? []).map((want) => ({ scale: false, want })),
  ];

  test.each(cases)("PLS with $want.n_components components, scale $scale, is scikit-learn's in raw activation space", ({ scale, want }) => {
    const model = fitPls({
      features: takeRows(features, train),
      responses: takeRows(responses, train),
      components: want.n_components,
      scale,
      joint: true,
    });
    const predicted = predict(model, features);
    expectClose(model.featureMean, want.x_mean, tol);
    expectClose(model.featureScale, want.x_std_ddof1_zero_to_one, tol);
    for (let unit = 0; unit < responses.cols; unit++) {
      expectClose(rowOf(model.coefficients, unit), want.coef_raw.map((row) => row[unit] ?? Number.NaN), tol);
      within(model.intercepts[unit] ?? null, want.intercept_raw[unit]!, tol);
      const guess = columnOf(predicted, unit);
      expectClose(guess, want.predictions_all.map((row) => row[unit] ?? Number.NaN), tol);
      const pick = (values: Float64Array, rows: number[]) => rows.map((row) => values[row]!);
      const measured = columnOf(responses, unit);
      within(rSquared(pick(measured, train), pick(guess, train)), want.r2_train[unit]!, tol);
      within(rSquared(pick(measured, test_), pick(guess, test_)), want.r2_test[unit]!, tol);
      within((pearson(pick(measured, test_), pick(guess, test_)) ?? Number.NaN) ** 2, want.pearson_r_squared_test[unit]!, tol);
      within(weightSigns(rowOf(model.coefficients, unit)).positiveToNegative, want.ratio_pos_neg[unit]!, tol);
    }
  });
});

describe("lasso_paths.json", () => {
  interface Expected {
    alpha: number;
    coef: number[];
    intercept: number;
    n_nonzero: number;
    r2_full: number;
    cv5_r2_train: number[];
    cv5_r2_test: number[];
    cv5_r2_train_mean: number;
    cv5_r2_test_mean: number;
  }
  const { inputs, expected, tol } = loadFixture<{
    inputs: { X: number[][]; y: number[]; alphas: number[] };
    expected: { unconstrained: Expected[]; positive: Expected[]; alpha_max_unconstrained: number; alpha_max_positive: number } & Record<string, unknown>;
    tol: number;
  }>("analysis/lasso_paths.json");
  const features = matrixFromRows(inputs.X);
  const folds = splitFolds({ count: features.rows, folds: 5 });

  test.each([false, true])("the path and its five contiguous folds are scikit-learn's (positive: %s)", (positive) => {
    const want = positive ? expected.positive : expected.unconstrained;
    const path = lassoPath({ features, response: inputs.y, penalties: inputs.alphas, positive });
    const [scores] = crossValidateLasso({ features, responses: matrixFromColumn(inputs.y), penalties: inputs.alphas, folds, positive });
    expect(scores).toBeDefined();
    if (scores === undefined) return;
    want.forEach((one, a) => {
      const solution = path[a]!;
      expectClose(solution.coefficients, one.coef, tol);
      within(solution.intercept, one.intercept, tol);
      expect(solution.nonZeroCount).toBe(one.n_nonzero);
      expect(solution.converged).toBe(true);
      const fitted = inputs.X.map((row) => row.reduce((sum, value, f) => sum + value * solution.coefficients[f]!, solution.intercept));
      within(rSquared(inputs.y, fitted), one.r2_full, tol);
      expectClose(scores.r2Train.data.subarray(a * 5, a * 5 + 5), one.cv5_r2_train, tol);
      expectClose(scores.r2Test.data.subarray(a * 5, a * 5 + 5), one.cv5_r2_test, tol);
      within(scores.r2TrainMean[a]!, one.cv5_r2_train_mean, tol);
      within(scores.r2TestMean[a]!, one.cv5_r2_test_mean, tol);
    });
    within(largestPenalty(features, inputs.y, { positive }), positive ? expected.alpha_max_positive : expected.alpha_max_unconstrained, tol);
  });

  test("the gain of negative weights in test r2 is scikit-learn's", () => {
    const responses = matrixFromColumn(inputs.y);
    const [free] = crossValidateLasso({ features, responses, penalties: inputs.alphas, folds });
    const [positive] = crossValidateLasso({ features, responses, penalties: inputs.alphas, folds, positive: true });
    const gain = free!.r2TestMean.map((value, a) => value - positive!.r2TestMean[a]!);
    const want = loadFixture<{ expected: Record<string, number[]> }>("analysis/lasso_paths.json").expected["improvement_test_r2_mean(unconstrained-positive)"];
    expectClose(gain, want ?? [], tol);
  });
});

test("pca.json: components, variances and scores are scikit-learn's with its signs", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { X: number[][]; n_components: number };
    expected: {
      mean: number[];
      components: number[][];
      explained_variance: number[];
      explained_variance_ratio: number[];
      singular_values: number[];
      transformed: number[][];
      n_components_for_95_percent: number;
    };
    tol: number;
  }>("analysis/pca.json");
  const data = matrixFromRows(inputs.X);
  const pca = fitPca(data, { components: inputs.n_components });
  expectClose(pca.mean, expected.mean, tol);
  expectClose(pca.components.data, expected.components.flat(), tol);
  expectClose(pca.explainedVariance, expected.explained_variance, tol);
  expectClose(pca.explainedVarianceRatio, expected.explained_variance_ratio, tol);
  expectClose(pca.singularValues, expected.singular_values, tol);
  expectClose(projectPca(pca, data).data, expected.transformed.flat(), tol);
  expect(fitPca(data, { varianceShare: 0.95 }).components.rows).toBe(expected.n_components_for_95_percent);
});

test("kmeans_nearest.json: Lloyd's iterations, nearest images and nearest unused images", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { X: number[][]; init: number[][] };
    expected: { centers: number[][]; labels: number[]; inertia: number; nearest: number[]; greedy_unique: number[] };
    tol: number;
  }>("analysis/kmeans_nearest.json");
  const data = matrixFromRows(inputs.X);
  const result = refineKMeans(data, matrixFromRows(inputs.init));
  expectClose(result.centres.data, expected.centers.flat(), tol);
  expect([...result.labels]).toEqual(expected.labels);
  within(result.inertia, expected.inertia, tol * expected.inertia);
  expect(result.converged).toBe(true);
  expect([...assignToCentres(result.centres, data).labels]).toEqual(expected.nearest);
  expect([...selectNearestUnused(result.centres, data)]).toEqual(expected.greedy_unique);
});

describe("ablation_masks.json", () => {
  type Cell = { alpha: number; k: number; zeroed: number[] };
  const { inputs, expected } = loadFixture<{
    inputs: { weights: Record<string, number[]>; alphas: number[] };
    expected: Record<string, Record<string, Cell[]> & { ratio_pos_neg: number | null }>;
  }>("analysis/ablation_masks.json");

  test.each(Object.keys(inputs.weights))("%s: both signs under both readings", (name) => {
    const weights = inputs.weights[name]!;
    const want = expected[name]!;
    const keys: [string, WeightSign, AblationRule][] = [
      ["pos_at_most", "positive", "atMost"],
      ["pos_reach", "positive", "reach"],
      ["neg_at_most", "negative", "atMost"],
      ["neg_reach", "negative", "reach"],
    ];
    for (const [key, sign, rule] of keys) {
      const masks = makeAblationMasks({ weights, sign, rule, alphas: inputs.alphas });
      expect(masks.map((mask) => ({ alpha: mask.alpha, k: mask.zeroed.length, zeroed: [...mask.zeroed] }))).toEqual(want[key]);
    }
    const ratio = weightSigns(weights).positiveToNegative;
    if (want.ratio_pos_neg === null) expect(ratio).toBeNull();
    else within(ratio, want.ratio_pos_neg, 1e-15 * want.ratio_pos_neg);
  });
});

test("spearman.json: rank correlations with ties and their p", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { name: string; x: number[]; y: number[] }[];
    expected: Record<string, { rho: number; p_two_sided: number; n: number }> & {
      paper_table1_implied_n: { paper: { pos_rho: number; neg_rho: number }; p_if_n_55: { pos: number; neg: number }; p_if_n_66: { pos: number; neg: number } }[];
    };
    tol: number;
  }>("analysis/spearman.json");
  for (const { name, x, y } of inputs) {
    const { r, n, p } = spearman(x, y);
    within(r, expected[name]!.rho, tol);
    within(p, expected[name]!.p_two_sided, tol);
    expect(n).toBe(expected[name]!.n);
  }
  for (const { paper, p_if_n_55, p_if_n_66 } of expected.paper_table1_implied_n) {
    within(correlationP(paper.pos_rho, 55), p_if_n_55.pos, tol);
    within(correlationP(paper.neg_rho, 55), p_if_n_55.neg, tol);
    within(correlationP(paper.pos_rho, 66), p_if_n_66.pos, tol);
    within(correlationP(paper.neg_rho, 66), p_if_n_66.neg, tol);
  }
});

test("permutation_test.json: all 462 arrangements and all 256 sign patterns", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { a: number[]; b: number[]; paired_diffs: number[] };
    expected: Record<
      "t" | "mean_diff" | "n_splits" | "p_two_sided_abs_t" | "p_greater" | "p_two_sided_abs_mean_diff" | "scipy_two_sided" | "parametric_t_p" | "paired_signflip_p_two_sided",
      number
    >;
    tol: number;
  }>("analysis/permutation_test.json");
  const two = permutationTest(inputs.a, inputs.b);
  within(two.statistic, expected.t, tol);
  within(two.meanDifference, expected.mean_diff, tol);
  expect(two.exact).toBe(true);
  expect(two.permutations).toBe(expected.n_splits);
  within(two.p, expected.p_two_sided_abs_t, tol);
  within(two.p, expected.p_two_sided_abs_mean_diff, tol);
  const greater = permutationTest(inputs.a, inputs.b, { alternative: "greater" });
  const less = permutationTest(inputs.a, inputs.b, { alternative: "less" });
  within(greater.p, expected.p_greater, tol);
  within(2 * Math.min(greater.p, less.p), expected.scipy_two_sided, tol);
  within(pooledT(inputs.a, inputs.b).p, expected.parametric_t_p, tol);
  within(signFlipTest(inputs.paired_diffs).p, expected.paired_signflip_p_two_sided, tol);
});

test("bernoulli_bonferroni.json: sign consistency over 56 models", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { weights_neurons_by_features: number[][] };
    expected: {
      table: { n: number; k: number; p_two_sided: number; p_bonferroni_4096: number }[];
      critical_k: Record<string, number>;
      features: { feature: number; n_pos: number; n_neg: number; n_used: number; p: number; p_bonf_4096: number; frac_majority: number }[];
    };
    tol: number;
  }>("analysis/bernoulli_bonferroni.json");
  for (const { n, k, p_two_sided, p_bonferroni_4096 } of expected.table) {
    const p = binomialTwoSided(k, n);
    within(p, p_two_sided, tol * Math.max(p_two_sided, 1e-3));
    within(Math.min(1, p * 4096), p_bonferroni_4096, tol);
  }
  for (const [n, count] of Object.entries(expected.critical_k)) expect(criticalSignCount(Number(n), { tests: 4096 })).toBe(count);
  const signs = signConsistency(matrixFromRows(inputs.weights_neurons_by_features), { tests: 4096 });
  expected.features.forEach((want) => {
    const got = signs[want.feature]!;
    expect([got.positiveCount, got.negativeCount, got.used]).toEqual([want.n_pos, want.n_neg, want.n_used]);
    within(got.p, want.p, tol);
    within(got.pBonferroni, want.p_bonf_4096, tol);
    within(got.majority, want.frac_majority, tol);
  });
});

test("population_zscore.json: both references and both ddof", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { natural_images_by_neurons: number[][]; ablation_images_by_neurons: number[][] };
    expected: Record<"ref_all_ddof0" | "ref_all_ddof1" | "ref_natural_ddof0" | "ref_natural_ddof1", number[]>;
    tol: number;
  }>("analysis/population_zscore.json");
  const responses = matrixFromRows([...inputs.natural_images_by_neurons, ...inputs.ablation_images_by_neurons]);
  const referenceRows = inputs.natural_images_by_neurons.map((_, row) => row);
  expectClose(populationResponse(responses), expected.ref_all_ddof0, tol);
  expectClose(populationResponse(responses, { ddof: 1 }), expected.ref_all_ddof1, tol);
  expectClose(populationResponse(responses, { referenceRows }), expected.ref_natural_ddof0, tol);
  expectClose(populationResponse(responses, { referenceRows, ddof: 1 }), expected.ref_natural_ddof1, tol);
});

test("cosine_ensemble.json: ensemble similarity, the control without its diagonal, and intervals", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { ensemble: Record<string, { control: number[][]; ablated: number[][] }>; unit_values: number[] };
    expected: {
      control_vs_ablated: Record<string, number>;
      control_vs_ablated_ensemble: number;
      control_vs_control: Record<string, number>;
      control_vs_control_ensemble: number;
      mean: number;
      ci95_t: number[];
      ci95_normal: number[];
    };
    tol: number;
  }>("analysis/cosine_ensemble.json");
  const result = measureEnsembleSimilarity(
    Object.entries(inputs.ensemble).map(([name, { control, ablated }]) => ({ name, control: matrixFromRows(control), ablated: matrixFromRows(ablated) })),
  );
  for (const network of result.networks) {
    within(network.controlVsAblated, expected.control_vs_ablated[network.name]!, tol);
    within(network.controlVsControl, expected.control_vs_control[network.name]!, tol);
  }
  within(result.controlVsAblated, expected.control_vs_ablated_ensemble, tol);
  within(result.controlVsControl, expected.control_vs_control_ensemble, tol);
  const t = meanInterval(inputs.unit_values);
  const normal = meanInterval(inputs.unit_values, { kind: "normal" });
  within(t.mean, expected.mean, tol);
  expectClose([t.low!, t.high!], expected.ci95_t, tol);
  expectClose([normal.low!, normal.high!], expected.ci95_normal, tol);
});

describe("feature_localisation.json", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { centres_yx: [number, number][]; intact: number; perturbed: number[] };
    expected: {
      response_change: number[];
      maps: Record<string, { smooth_max: number; smooth_argmax_yx: [number, number]; n_pixels_ge_half_max: number; smooth_samples: [number, number, number][] }>;
    };
    tol: number;
  }>("analysis/feature_localisation.json");
  const discs = inputs.centres_yx.map(([yPx, xPx]) => ({ xPx, yPx }));
  const changes = measureResponseChanges(inputs.intact, inputs.perturbed);

  test("response changes", () => {
    expectClose(changes, expected.response_change, tol);
  });

  test.each([
    ["divide_by_30_constant", "count", "zero", "localisation_divide_by_30.npy"],
    ["divide_by_30_reflect", "count", "mirror", null],
    ["divide_by_coverage_constant", "coverage", "zero", "localisation_divide_by_coverage.npy"],
    ["divide_by_coverage_reflect", "coverage", "mirror", null],
  ] as const)("%s: map, peak and the region above half of it", (name, divideBy, border, whole) => {
    const want = expected.maps[name]!;
    const found = localiseFeature(discs, changes, { divideBy, border });
    within(found.peak?.value ?? null, want.smooth_max, tol);
    expect([found.peak?.yPx, found.peak?.xPx]).toEqual(want.smooth_argmax_yx);
    expect(found.keptPixelCount).toBe(want.n_pixels_ge_half_max);
    expect(found.mask.reduce((sum, kept) => sum + kept, 0)).toBe(want.n_pixels_ge_half_max);
    for (const [y, x, value] of want.smooth_samples) within(elementAt(found.map, y, x), value, tol);
    if (whole !== null) {
      const map = valueOf(parseNpy(readFileSync(join(fixtures, "analysis", whole))));
      expect(map.shape).toEqual([256, 256]);
      expectClose(found.map.data, map.data, tol);
    }
  });
});

test("brain_property_formulas.json: the formulas of the property battery", () => {
  const { inputs, expected, tol } = loadFixture<{
    inputs: { vectors: number[][]; responses_units_by_stimuli: number[][]; sum_of_singles: number[]; combined: number[] };
    expected: {
      index_01_vs_23: number;
      sparseness: number[];
      sparseness_one_hot: number;
      sparseness_uniform: number;
      slope: number;
      intercept: number;
      tetrad_sum_abs_residual: number[];
      tetrad_index: number[];
      weber_relative_distance: Record<string, number>;
      bps_example: { effect: number; brain: number; bps: number };
    };
    tol: number;
  }>("analysis/brain_property_formulas.json");
  const [v0, v1, v2, v3] = inputs.vectors;
  within(modulationIndex(euclideanDistance(v0!, v1!), euclideanDistance(v2!, v3!)), expected.index_01_vs_23, tol);
  inputs.responses_units_by_stimuli.forEach((responses, unit) => within(sparseness(responses), expected.sparseness[unit]!, tol));
  within(sparseness([0, 0, 3, 0]), expected.sparseness_one_hot, tol);
  within(sparseness([2, 2, 2]), expected.sparseness_uniform, tol);
  const line = normalisationSlope(inputs.sum_of_singles, inputs.combined);
  within(line?.slope ?? null, expected.slope, tol);
  within(line?.intercept ?? null, expected.intercept, tol);
  // The first four vectors are the 2 x 2 design, one entry per unit.
  expected.tetrad_index.forEach((index, unit) => {
    const tetrad = [v0![unit]!, v1![unit]!, v2![unit]!, v3![unit]!] as const;
    within(tetradInteraction(tetrad), expected.tetrad_sum_abs_residual[unit]!, tol);
    within(tetradIndex(tetrad), index, tol);
  });
  within(relativeLengthChange(55, 74), expected.weber_relative_distance["len 55 vs 74"]!, tol);
  within(brainPropertyScore(expected.bps_example.effect, expected.bps_example.brain), expected.bps_example.bps, tol);
});

test("no fixture file of the folder is left without a test", () => {
  const known = readFileSync(import.meta.filename, "utf8");
  const orientationOnly = ["bps_published_reference.json", "manifest.json"];
  const files = readdirSync(join(fixtures, "analysis")).filter((file) => /\.(json|npy)$/.test(file));
  expect(files.filter((file) => !orientationOnly.includes(file) && !known.includes(file))).toEqual([]);
});
