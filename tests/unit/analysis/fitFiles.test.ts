// `evoked fit`: files in, models out, and every wrong input named.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, test, vi } from "vitest";
import { matrixFromRows, takeRows } from "../../../src/analysis/matrix.ts";
import { formatNpy, formatNpyMatrix, parseNpy } from "../../../src/analysis/npy.ts";
import { fitPls } from "../../../src/analysis/pls.ts";
import { registerFit } from "../../../src/cli/commands/fit.ts";
import { fitFiles } from "../../../src/engine/fitFiles.ts";
import type { FitRequest } from "../../../src/engine/fitFiles.ts";
import { FaultError } from "../../../src/shared/result.ts";
import { errorOf, expectClose, followingResponses, loadFixture, reluFeatures, valueOf, within } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-fit-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function save(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const features = reluFeatures(60, 25, 1);
const rates = followingResponses(features, 3, 1, 2);
const featuresPath = save("X.npy", formatNpyMatrix(features));
const ratesPath = save("Y.npy", formatNpyMatrix(rates));

function aRequest(change: Partial<FitRequest> = {}): FitRequest {
  return { featuresPath, ratesPath, method: { kind: "pls", components: 1 }, split: { kind: "none" }, seed: 0, outPath: null, ...change };
}

/** Runs `evoked fit` in this process; answers what it printed. */
async function evokedFit(...args: string[]): Promise<string> {
  let printed = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  try {
    const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
    registerFit(program);
    for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => undefined });
    await program.parseAsync(["fit", ...args], { from: "user" });
  } finally {
    write.mockRestore();
  }
  return printed;
}

function readArray(name: string) {
  return valueOf(parseNpy(readFileSync(join(folder, name))));
}

describe("fitting files", () => {
  test("--split none fits every image, and coef.npy with intercept.npy predict raw features as scikit-learn does", async () => {
    const fixture = loadFixture<{
      inputs: { X: number[][]; Y: number[][]; n_train: number };
      expected: { scale_true: { n_components: number; coef_raw: number[][]; intercept_raw: number[]; r2_train: number[]; ratio_pos_neg: number[] }[] };
    }>("analysis/pls_single_target.json");
    const train = Array.from({ length: fixture.inputs.n_train }, (_, i) => i);
    const x = save("fixtureX.npy", formatNpyMatrix(takeRows(matrixFromRows(fixture.inputs.X), train)));
    const y = save("fixtureY.npy", formatNpyMatrix(takeRows(matrixFromRows(fixture.inputs.Y), train)));
    for (const want of fixture.expected.scale_true) {
      const out = join(folder, "fixture");
      const printed = await evokedFit("--features", x, "--rates", y, "--method", "pls", "--components", String(want.n_components), "--split", "none", "--out", out, "--json");
      const coef = readArray("fixture/coef.npy");
      const intercept = readArray("fixture/intercept.npy");
      expect([coef.shape, coef.dtype, intercept.shape]).toEqual([[1, 24], "float64", [1]]);
      expectClose(coef.data, want.coef_raw.map((row) => row[0] ?? Number.NaN), 1e-7);
      expectClose(intercept.data, want.intercept_raw, 1e-7);
      const { units } = JSON.parse(printed);
      expect(Object.keys(units[0])).toEqual(["unit", "r2Train", "r2Test", "r", "positiveToNegative"]);
      within(units[0].r2Train, want.r2_train[0]!, 1e-7);
      within(units[0].positiveToNegative, want.ratio_pos_neg[0]!, 1e-7);
      expect(units[0].r2Test).toBeNull();
      within(units[0].r ** 2, want.r2_train[0]!, 1e-7);
    }
  });

  test("80/20 holds out a fifth by the seed, and the written coefficients are those of the rest", async () => {
    const out = join(folder, "split");
    const report = valueOf(await fitFiles(aRequest({ split: { kind: "holdOut", testFraction: 0.2 }, seed: 5, outPath: out })));
    const models = JSON.parse(readFileSync(join(out, "models.json"), "utf8"));
    expect(models.testImages).toHaveLength(12);
    expect(models.features.sha256).toMatch(/^[0-9a-f]{64}$/);
    const train = Array.from({ length: 60 }, (_, i) => i).filter((i) => !models.testImages.includes(i));
    const model = fitPls({ features: takeRows(features, train), responses: takeRows(rates, train), components: 1 });
    expectClose(readArray("split/coef.npy").data, model.coefficients.data, 1e-12);
    expect(readArray("split/predicted.npy").shape).toEqual([60, 3]);
    expect(report.units.every((unit) => unit.r2Test !== null && unit.r !== null)).toBe(true);
    expect(report.bestUnit).toBe(report.units.reduce((best, unit) => ((unit.r2Test ?? 0) > (best.r2Test ?? 0) ? unit : best)).unit);
    const again = valueOf(await fitFiles(aRequest({ split: { kind: "holdOut" }, seed: 5 })));
    const other = valueOf(await fitFiles(aRequest({ split: { kind: "holdOut" }, seed: 6 })));
    expect(again.units).toEqual(report.units);
    expect(other.units).not.toEqual(report.units);
  });

  test("float32 features in Fortran order, rates as one vector", async () => {
    const bytes = Buffer.from(loadFixture<{ npy: { read: { name: string; bytes: string }[] } }>("analysis-more/cases.json").npy.read.find((one) => one.name === "f4")!.bytes, "base64");
    const x = save("three.npy", bytes);
    const y = save("vector.npy", formatNpy({ shape: [3], data: Float64Array.of(1, 2, 4) }));
    const report = valueOf(await fitFiles(aRequest({ featuresPath: x, ratesPath: y })));
    expect(report).toMatchObject({ imageCount: 3, featureCount: 4, units: [{ unit: 0 }] });
  });

  test.each([["lasso"], ["ridge"]])("%s chooses its penalty, says which, and takes a fixed one", async (kind) => {
    const method = kind === "lasso" ? ({ kind: "lasso" } as const) : ({ kind: "ridge" } as const);
    const free = valueOf(await fitFiles(aRequest({ method, split: { kind: "holdOut" } })));
    expect(free.cards.every((card) => (card.penalty ?? 0) > 0)).toBe(true);
    const fixed = valueOf(await fitFiles(aRequest({ method: { ...method, penalty: 0.25 } })));
    expect(fixed.cards.map((card) => card.penalty)).toEqual([0.25, 0.25, 0.25]);
  });

  test("without --json a table names the best unit and the files", async () => {
    const printed = await evokedFit("--features", featuresPath, "--rates", ratesPath, "--out", join(folder, "table"));
    expect(printed).toContain("3 units on 60 images x 25 features");
    expect(printed).toMatch(/Best unit: [012]\n/);
    expect(printed).toContain(join(folder, "table", "coef.npy"));
  });

  test("components beyond the rank of the features add nothing", async () => {
    // Two directions in 25 features.
    const flat = matrixFromRows(Array.from({ length: 60 }, (_, i) => Array.from({ length: 25 }, (__, f) => features.data[i * 25]! * (f + 1) + features.data[i * 25 + 1]! * Math.cos(f))));
    const x = save("rank2.npy", formatNpyMatrix(flat));
    const of = async (components: string): Promise<unknown> => JSON.parse(await evokedFit("--features", x, "--rates", ratesPath, "--components", components, "--out", join(folder, `rank-${components}`), "--json"));
    const [two, four] = [await of("2"), await of("4")] as { units: { r2Train: number }[] }[];
    four!.units.forEach((unit, u) => within(unit.r2Train, two!.units[u]!.r2Train, 1e-9));
    expectClose(readArray("rank-4/coef.npy").data, readArray("rank-2/coef.npy").data, 1e-9);
  });

  test("a silent unit has null scores in the JSON", async () => {
    const y = save("silent.npy", formatNpy({ shape: [60, 1], data: new Float64Array(60) }));
    const printed = await evokedFit("--features", featuresPath, "--rates", y, "--json");
    expect(JSON.parse(printed)).toEqual({ units: [{ unit: 0, r2Train: null, r2Test: null, r: null, positiveToNegative: null }] });
  });
});

describe("wrong input is refused with what was expected, what came and what to do", () => {
  const shorter = save("shorter.npy", formatNpyMatrix(takeRows(rates, [0, 1, 2])));
  const broken = takeRows(rates, Array.from({ length: 60 }, (_, i) => i));
  broken.data[3 * 7 + 1] = Number.NaN;
  const withNaN = save("nan.npy", formatNpyMatrix(broken));
  const deep = save("deep.npy", formatNpy({ shape: [60, 5, 5], data: features.data }));
  const flat = save("flat.npy", formatNpy({ shape: [1500], data: features.data }));
  const few = save("few.npy", formatNpyMatrix(takeRows(features, [0, 1, 2])));
  const text = save("text.npy", new TextEncoder().encode("1,2,3\n4,5,6\n7,8,9\n"));

  test.each([
    ["a missing file", { ratesPath: join(folder, "none.npy") }, "fileMissing", ["none.npy (--rates)", "Check the path"]],
    ["a folder", { featuresPath: folder }, "fileUnreadable", ["(--features)", "folder"]],
    ["another number of images", { ratesPath: shorter }, "fitShape", ["60 rows of features (60 x 25)", "3 rows of rates (3 x 3)", "[images, units]"]],
    ["NaN", { ratesPath: withNaN }, "fitNotFinite", ["got NaN for image 7, unit 1", "Drop"]],
    ["maps that are not flattened", { featuresPath: deep }, "fitShape", ["two-dimensional", "shape (60, 5, 5)", "reshape"]],
    ["features in one line", { featuresPath: flat }, "fitShape", ["shape (1500,)"]],
    ["text", { featuresPath: text }, "npyNotNumpy", ["text.npy (--features)", "numpy.save"]],
    ["too few images to hold any out", { featuresPath: few, ratesPath: shorter, method: { kind: "lasso" as const } }, "fitTooFew", ["at least 5 training images for 5 folds", "got 3"]],
    ["more components than images", { method: { kind: "pls" as const, components: 26 } }, "fitComponents", ["at most 25 PLS components", "got 26", "--components"]],
    ["a folder that cannot be made", { outPath: join(featuresPath, "x") }, "fitWrite", ["Could not write", "free space"]],
  ] as const)("%s", async (_, change, code, says) => {
    const error = errorOf(await fitFiles(aRequest(change)));
    expect(error.code).toBe(code);
    for (const part of says) expect(error.message).toContain(part);
  });

  test("the command throws the fault for the exit code and prints nothing", async () => {
    await expect(evokedFit("--features", featuresPath, "--rates", withNaN, "--json")).rejects.toThrow(FaultError);
  });

  test.each([
    ["--method", "svm"],
    ["--components", "0"],
    ["--split", "80/30"],
    ["--split", "half"],
    ["--seed", "x"],
    ["--penalty", "-1"],
    ["--folds", "1"],
  ])("%s %s is a usage error", async (option, value) => {
    await expect(evokedFit("--features", featuresPath, "--rates", ratesPath, option, value)).rejects.toMatchObject({ code: "commander.invalidArgument" });
  });

  test.each([
    ["--penalty 1", "--penalty is for lasso and ridge"],
    ["--method ridge --positive", "--positive is for lasso only"],
  ])("%s is refused instead of ignored", async (options, says) => {
    await expect(evokedFit("--features", featuresPath, "--rates", ratesPath, ...options.split(" "))).rejects.toMatchObject({ code: "commander.error", message: expect.stringContaining(says) });
  });
});
