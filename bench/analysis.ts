// Time of the fits a scientist waits for, beside scikit-learn on the same data in the same run, one thread on both sides. Figures are
// medians in ms of wall time and of processor time (cpuMs), which other work on the machine disturbs less. Prints one JSON line for each:
//   analysis.pls    one-component PLS of 96 units on 128 images x 4096 features (target: under 50 ms); scikit-learn fits unit by unit
//   analysis.lasso  Lasso path of one unit, 5 folds x 10 penalties x 4096 features, 160 images (target: under 2 s), free and positive
// sklearn is null, with the reason beside it, where no Python with scikit-learn is found.
//
//   node bench/analysis.ts [pls|lasso]
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crossValidateLasso, largestPenalty, penaltyGrid } from "../src/analysis/lasso.ts";
import { createMatrix, columnOf, matrixFromColumn } from "../src/analysis/matrix.ts";
import type { Matrix64 } from "../src/analysis/matrix.ts";
import { formatNpy, formatNpyMatrix } from "../src/analysis/npy.ts";
import { fitPls } from "../src/analysis/pls.ts";
import { splitFolds } from "../src/analysis/splits.ts";
import { createRng } from "../src/shared/rng.ts";

const featureCount = 4096;
const folder = mkdtempSync(join(tmpdir(), "evoked-bench-"));
const which = process.argv[2];
try {
  if (which === undefined || which === "pls") print(benchPls());
  if (which === undefined || which === "lasso") print(benchLasso());
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function benchPls() {
  const { features, responses } = recordedUnits(128, 96);
  const run = () => fitPls({ features, responses, components: 1 });
  const cold = time(run, 1);
  const own = time(run, 15);
  const { coefficients } = run();
  const sklearn = askSklearn(features, responses, `
from sklearn.cross_decomposition import PLSRegression
times = []
for _ in range(3):
    start, cpu = time.perf_counter(), time.process_time()
    models = [PLSRegression(1).fit(X, Y[:, u]) for u in range(Y.shape[1])]
    times.append([1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cpu)])
ms, cpuMs = np.median(times, axis=0)
centre = X.mean(0)
probe = centre + np.eye(X.shape[1])[:64]
coef = [(m.predict(probe) - m.predict(centre[None])).ravel().tolist() for m in models[:4]]
print(json.dumps({"ms": ms, "cpuMs": cpuMs, "coef": coef}))`);
  const difference = sklearn.result === null ? null : Math.max(...sklearn.result.coef.flatMap((row, unit) => row.map((value, f) => Math.abs(value - coefficients.data[unit * featureCount + f]!))));
  return {
    bench: "analysis.pls",
    units: 96,
    images: 128,
    features: featureCount,
    ...own,
    coldMs: cold.ms,
    targetMs: 50,
    sklearnMs: sklearn.result === null ? null : round(sklearn.result.ms),
    sklearnCpuMs: sklearn.result === null ? null : round(sklearn.result.cpuMs),
    timesFaster: sklearn.result === null ? null : round(sklearn.result.ms / own.ms),
    timesFasterCpu: sklearn.result === null ? null : round(sklearn.result.cpuMs / own.cpuMs),
    largestCoefficientDifference: difference,
    sklearn: sklearn.version,
  };
}

function benchLasso() {
  const { features, responses } = recordedUnits(160, 1);
  const response = columnOf(responses, 0);
  const folds = splitFolds({ count: 160, folds: 5 });
  const penalties = penaltyGrid(largestPenalty(features, response), { count: 10 });
  const run = (positive: boolean) => () => crossValidateLasso({ features, responses: matrixFromColumn(response), folds, penalties, positive });
  const cold = time(run(false), 1);
  const own = time(run(false), 5);
  const positive = time(run(true), 5);
  const [free] = run(false)();
  writeFileSync(join(folder, "penalties.npy"), formatNpy({ shape: [10], data: penalties }));
  const sklearn = askSklearn(features, responses, `
import warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
y = Y[:, 0]
penalties = np.load(folder + "/penalties.npy")
def cross_validate(positive, tol):
    scores = []
    for train, test in KFold(5).split(X):
        mx, my = X[train].mean(0), y[train].mean()
        _, coef, _ = lasso_path(np.asfortranarray(X[train] - mx), y[train] - my, alphas=penalties, positive=positive, tol=tol, max_iter=1000)
        scores.append([r2_score(y[test], (X[test] - mx) @ c + my) for c in coef.T])
    return scores
out = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", ConvergenceWarning)
    for positive in (False, True):
        times = []
        for _ in range(3):
            start, cpu = time.perf_counter(), time.process_time()
            scores = cross_validate(positive, 1e-4)
            times.append([1000 * (time.perf_counter() - start), 1000 * (time.process_time() - cpu)])
        ms, cpuMs = np.median(times, axis=0)
        out |= {"positiveMs": ms} if positive else {"ms": ms, "cpuMs": cpuMs, "coef": np.array(scores).T.tolist()}
    out["unconverged"] = len(caught)
print(json.dumps(out))`);
  const difference = sklearn.result === null || free === undefined ? null : Math.max(...sklearn.result.coef.flatMap((row, a) => row.map((value, f) => Math.abs(value - free.r2Test.data[a * 5 + f]!))));
  return {
    bench: "analysis.lasso",
    images: 160,
    features: featureCount,
    folds: 5,
    penalties: 10,
    ...own,
    positiveMs: positive.ms,
    positiveCpuMs: positive.cpuMs,
    coldMs: cold.ms,
    targetMs: 2000,
    sklearnMs: sklearn.result === null ? null : round(sklearn.result.ms),
    sklearnCpuMs: sklearn.result === null ? null : round(sklearn.result.cpuMs),
    sklearnPositiveMs: sklearn.result?.positiveMs === undefined ? null : round(sklearn.result.positiveMs),
    timesFaster: sklearn.result === null ? null : round(sklearn.result.ms / own.ms),
    timesFasterCpu: sklearn.result === null ? null : round(sklearn.result.cpuMs / own.cpuMs),
    // scikit-learn stops at a duality gap of 1e-4, this library at 1e-7: that, not an error, is the difference.
    largestTestR2Difference: difference,
    sklearn: sklearn.version,
  };
}

/** Features like a ReLU layer's, and units that follow a twentieth of them under noise. */
function recordedUnits(images: number, units: number): { features: Matrix64; responses: Matrix64 } {
  const rng = createRng("bench");
  const features = createMatrix(images, featureCount);
  rng.fillGaussian(features.data);
  for (let i = 0; i < features.data.length; i++) features.data[i] = Math.max(0, features.data[i]!);
  const responses = createMatrix(images, units);
  for (let u = 0; u < units; u++) {
    const weights = Float64Array.from({ length: featureCount }, () => (rng.uniform() < 0.05 ? rng.gaussian() : 0));
    for (let i = 0; i < images; i++) {
      let value = 20 + 5 * rng.gaussian();
      for (let f = 0; f < featureCount; f++) value += weights[f]! * features.data[i * featureCount + f]!;
      responses.data[i * units + u] = value;
    }
  }
  return { features, responses };
}

interface SklearnAnswer {
  readonly ms: number;
  readonly cpuMs: number;
  readonly positiveMs?: number;
  readonly coef: number[][];
}

/** Runs a script with X, Y and folder defined, on one thread. */
function askSklearn(features: Matrix64, responses: Matrix64, script: string): { result: SklearnAnswer | null; version: string } {
  writeFileSync(join(folder, "X.npy"), formatNpyMatrix(features));
  writeFileSync(join(folder, "Y.npy"), formatNpyMatrix(responses));
  const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1", MKL_NUM_THREADS: "1" };
  let reason = "";
  for (const python of ["/usr/bin/python3", "python3"]) {
    try {
      const version = execFileSync(python, ["-c", "import sklearn, numpy; print(sklearn.__version__)"], { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
      const head = `import json, sys, time\nimport numpy as np\nfolder = sys.argv[1]\nX = np.load(folder + "/X.npy")\nY = np.load(folder + "/Y.npy")\n`;
      const printed = execFileSync(python, ["-c", head + script, folder], { env, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] });
      const result: SklearnAnswer = JSON.parse(printed);
      return { result, version: `scikit-learn ${version}` };
    } catch (error) {
      reason = error instanceof Error ? (error.message.trim().split("\n").at(-1) ?? "") : String(error);
    }
  }
  return { result: null, version: `not compared: no Python with scikit-learn here (${reason})` };
}

function time(run: () => unknown, count: number): { ms: number; cpuMs: number } {
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const before = process.cpuUsage();
    run();
    const used = process.cpuUsage(before);
    cpu.push((used.user + used.system) / 1000);
    wall.push(performance.now() - start);
  }
  return { ms: round(median(wall)), cpuMs: round(median(cpu)) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
