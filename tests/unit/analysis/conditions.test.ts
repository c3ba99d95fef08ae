import { describe, expect, test } from "vitest";
import { compareWithControl, measureObjectness, relativeChange, summariseConditions, summariseRobustness, tabulateRobustness } from "../../../src/analysis/conditions.ts";
import type { RobustnessValue, RunValue } from "../../../src/analysis/conditions.ts";
import { createMatrix, matrixFromRows, multiplyTransposed } from "../../../src/analysis/matrix.ts";
import { populationByCondition, zScoreUnits } from "../../../src/analysis/population.ts";
import { meanPairwiseCosine, meanSelfCosine, similarityFromDistances } from "../../../src/analysis/similarity.ts";
import { meanInterval } from "../../../src/analysis/statistics.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aMatrix, expectClose, within } from "./support.ts";

function run(network: string, unit: string, sign: "positive" | "negative", alpha: number, value: number): RunValue {
  return { network, unit, sign, alpha, value };
}

describe("curves over conditions", () => {
  const values = [
    run("a", "0", "positive", 0, 10),
    run("a", "0", "negative", 0, 14), // the control is one condition
    run("a", "1", "positive", 0, 20),
    run("b", "0", "positive", 0, 40),
    run("a", "0", "positive", 1, 1),
    run("a", "1", "positive", 1, 3),
    run("b", "0", "positive", 1, 5),
    run("a", "0", "negative", 0.5, 13),
  ];

  test("every unit is the mean of its runs, the interval is over units", () => {
    const { control, conditions } = summariseConditions(values);
    expect(control?.keys).toEqual(["a/0", "a/1", "b/0"]);
    expect([...(control?.values ?? [])]).toEqual([12, 20, 40]);
    expect(control?.interval).toEqual(meanInterval([12, 20, 40]));
    expect(conditions.map(({ sign, alpha, interval }) => [sign, alpha, interval.mean])).toEqual([["positive", 1, 3], ["negative", 0.5, 13]]);
  });

  test("over networks, units are averaged within each first", () => {
    const { control, conditions } = summariseConditions(values, { over: "networks" });
    expect(control?.keys).toEqual(["a", "b"]);
    expect([...(control?.values ?? [])]).toEqual([16, 40]);
    expect(conditions[0]!.interval.mean).toBe((2 + 5) / 2);
    expect(conditions[1]!.interval).toMatchObject({ n: 1, low: null });
  });

  test("the comparison with the control is paired by unit", () => {
    const [positive, negative] = compareWithControl(summariseConditions(values), { rng: createRng(1) });
    expect([...positive!.differences]).toEqual([-11, -17, -35]);
    expect(positive!.test).toMatchObject({ exact: true, permutations: 8, p: 0.25 });
    expect([...negative!.differences]).toEqual([1]);
  });

  test("refuse to average NaN or to compare with nothing", () => {
    expect(() => summariseConditions([run("a", "0", "positive", 1, Number.NaN)])).toThrow("NaN for a/0 at alpha 1");
    expect(() => summariseConditions([])).toThrow("at least one run");
    expect(() => compareWithControl(summariseConditions([run("a", "0", "positive", 1, 2)]), { rng: createRng(1) })).toThrow("intact unit");
  });
});

test("objectness is the highest box score and 0 without a box", () => {
  expect(measureObjectness([0.2, 0.91, 0.4])).toBe(0.91);
  expect(measureObjectness([])).toBe(0);
  expect(() => measureObjectness([1.2])).toThrow("from 0 to 1, got 1.2");
});

describe("robustness", () => {
  const values: RobustnessValue[] = [0, 0.5, 1, 2, 4, 8].flatMap((epsilon, level) =>
    ["u", "v", "w"].flatMap((unit, u) =>
      [0.5, 1].map((alpha) => ({ epsilon, unit, sign: "positive" as const, alpha, similarity: 0.9 - 0.05 * level * alpha + 0.001 * u, controlSimilarity: 0.9 })),
    ),
  );

  test("networks that change more with epsilon have a negative rho over units x levels", () => {
    const rows = tabulateRobustness([...values, { ...values[0]!, alpha: 0 }]);
    expect(rows.map((row) => row.alpha)).toEqual([0.5, 1]);
    expect(rows[0]!.raw.n).toBe(18);
    expect(rows[1]!.raw.r).toBeLessThan(-0.9);
    expect(rows[1]!.relative.r).toBeLessThan(-0.9);
    expect(rows[1]!.raw.p).toBeLessThan(1e-6);
  });

  test("levels are summarised raw and relative to control", () => {
    const summary = summariseRobustness(values);
    expect(summary).toHaveLength(12);
    const last = summary.at(-1)!;
    expect(last).toMatchObject({ epsilon: 8, alpha: 1 });
    within(last.raw.mean, 0.651, 1e-12);
    within(last.relative.mean, (0.651 - 0.9) / 0.9, 1e-12);
    expect(relativeChange({ similarity: 0.45, controlSimilarity: 0.9 })).toBe(-0.5);
  });
});

describe("similarity", () => {
  test("the mean over all pairs is what pair by pair gives", () => {
    const a = aMatrix(7, 30, 1);
    const b = aMatrix(5, 30, 2);
    const normalised = (m: typeof a) => matrixFromRows(Array.from({ length: m.rows }, (_, r) => {
      const row = m.data.subarray(r * 30, (r + 1) * 30);
      const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      return row.map((value) => value / norm);
    }));
    const table = multiplyTransposed(normalised(a), normalised(b)).data;
    within(meanPairwiseCosine(a, b), table.reduce((sum, value) => sum + value, 0) / 35, 1e-14);
    const own = multiplyTransposed(normalised(a), normalised(a)).data;
    within(meanSelfCosine(a), own.filter((_, i) => i % 8 !== 0).reduce((sum, value) => sum + value, 0) / 42, 1e-14);
  });

  test("activations of any size have the same similarity, and a dead image is like nothing", () => {
    const a = aMatrix(4, 10, 3);
    const b = aMatrix(4, 10, 4);
    const tiny = createMatrix(4, 10, a.data.map((value) => value * 1e-200));
    const huge = createMatrix(4, 10, b.data.map((value) => value * 1e200));
    within(meanPairwiseCosine(tiny, huge), meanPairwiseCosine(a, b), 1e-12);
    expect(meanPairwiseCosine(createMatrix(1, 10), b)).toBe(0);
    within(meanSelfCosine(matrixFromRows([[1, 0], [1, 0], [0, 0]])), 1 / 3, 1e-15);
    expect(meanSelfCosine(createMatrix(1, 10))).toBeNull();
    expect(() => meanPairwiseCosine(matrixFromRows([[Number.NaN]]), matrixFromRows([[1]]))).toThrow("NaN for image 0");
  });

  test("distances become 1 - distance, the diagonal left out on request", () => {
    const distances = matrixFromRows([[0, 0.2], [0.4, 0]]);
    within(similarityFromDistances(distances), 0.85, 1e-15);
    within(similarityFromDistances(distances, { withoutDiagonal: true }), 0.7, 1e-15);
    expect(() => similarityFromDistances(aMatrix(2, 3), { withoutDiagonal: true })).toThrow("square table");
  });
});

describe("population", () => {
  test("units are z-scored, constant ones left out by name, and averaged within their area", () => {
    const responses = matrixFromRows([
      [1, 5, 100, 7],
      [2, 5, 300, 7],
      [3, 5, 200, 7],
      [2, 5, 200, 7],
    ]);
    const { units, constantUnits } = zScoreUnits(responses);
    expect([...units]).toEqual([0, 2]);
    expect([...constantUnits]).toEqual([1, 3]);
    const groups = populationByCondition({ responses, conditions: ["control", "control", "ablated", "ablated"], areas: ["V4", "V4", "IT", "V1"] });
    expect(groups.map((group) => [group.area, group.condition, group.unitCount])).toEqual([["V4", "control", 1], ["V4", "ablated", 1], ["IT", "control", 1], ["IT", "ablated", 1]]);
    expectClose(groups[0]!.values, [-Math.SQRT2, 0], 1e-12);
    within(groups[0]!.interval.mean, -Math.SQRT1_2, 1e-12);
  });

  test("refuses labels that do not fit", () => {
    expect(() => populationByCondition({ responses: aMatrix(2, 2), conditions: ["a"], areas: ["V1", "V4"] })).toThrow("each of 2 images, got 1");
  });
});
