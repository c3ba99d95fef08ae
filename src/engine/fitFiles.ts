// `evoked fit`: neuron models from two .npy files, for users outside the app. Reads, checks, fits, writes.
// Knows nothing about sessions, command lines or how results are printed.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { predict } from "../analysis/linearModel.ts";
import { findNonFinite } from "../analysis/matrix.ts";
import type { Matrix } from "../analysis/matrix.ts";
import { fitNeuronModels, suggestUnit } from "../analysis/neuronModels.ts";
import type { FitMethod, FitSplit, ModelCard } from "../analysis/neuronModels.ts";
import { formatNpy, formatNpyMatrix, formatShape, parseNpy } from "../analysis/npy.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng } from "../shared/rng.ts";

export interface FitRequest {
  /** .npy, [images, features], raw activations. */
  readonly featuresPath: string;
  /** .npy, [images, units] (or [images] for one unit), e.g. spikes/s. */
  readonly ratesPath: string;
  readonly method: FitMethod;
  readonly split: FitSplit;
  readonly seed: number;
  /** Folder for coef.npy, intercept.npy and models.json; null writes nothing. */
  readonly outPath: string | null;
}

/** One unit as `evoked fit --json` prints it. Scores are null where they are undefined. */
export interface FittedUnit {
  /** Column of the rates, 0-based. */
  readonly unit: number;
  readonly r2Train: number | null;
  /** Held-out images; null with split "none". */
  readonly r2Test: number | null;
  /** Pearson r on the held-out images; with split "none" on the images fitted. */
  readonly r: number | null;
  /** Total positive over total absolute negative weight; null without a negative weight. */
  readonly positiveToNegative: number | null;
}

export interface FitReport {
  readonly units: readonly FittedUnit[];
  readonly cards: readonly ModelCard[];
  /** Column with the best score, or null where no unit has one. */
  readonly bestUnit: number | null;
  readonly imageCount: number;
  readonly featureCount: number;
  /** Files written. */
  readonly written: readonly string[];
}

/**
 * Fits every column of the rates on the features. Errors: `fileMissing`, `fileUnreadable`, those of parseNpy, `fitShape`,
 * `fitNotFinite`, `fitTooFew`, `fitComponents`, `fitWrite`.
 */
export async function fitFiles(request: FitRequest): Promise<Result<FitReport, Fault>> {
  const features = await readMatrix(request.featuresPath, "--features", "[images, features]");
  if (!features.ok) return features;
  const rates = await readMatrix(request.ratesPath, "--rates", "[images, units]");
  if (!rates.ok) return rates;
  const checked = checkFit(request, features.value.matrix, rates.value.matrix);
  if (!checked.ok) return checked;

  const fitted = fitNeuronModels({
    features: features.value.matrix,
    responses: rates.value.matrix,
    method: request.method,
    split: request.split,
    rng: createRng(request.seed),
  });
  const units = fitted.cards.map((card): FittedUnit => ({
    unit: card.unit,
    r2Train: card.r2Train,
    r2Test: card.r2Test,
    r: request.split.kind === "none" ? card.rTrain : card.rTest,
    positiveToNegative: card.positiveToNegative,
  }));
  const bestUnit = suggestUnit(fitted.cards)?.unit ?? null;
  const report = { units, cards: fitted.cards, bestUnit, imageCount: features.value.matrix.rows, featureCount: features.value.matrix.cols };
  if (request.outPath === null) return ok({ ...report, written: [] });

  const settings = {
    method: request.method,
    split: request.split,
    seed: request.seed,
    features: { path: request.featuresPath, sha256: features.value.sha256, shape: [features.value.matrix.rows, features.value.matrix.cols] },
    rates: { path: request.ratesPath, sha256: rates.value.sha256, shape: [rates.value.matrix.rows, rates.value.matrix.cols] },
    testImages: [...fitted.split.test],
    bestUnit,
    cards: fitted.cards,
  };
  const written = await writeAll(request.outPath, [
    ["coef.npy", formatNpyMatrix(fitted.model.coefficients)],
    ["intercept.npy", formatNpy({ shape: [fitted.model.intercepts.length], data: fitted.model.intercepts })],
    ["predicted.npy", formatNpyMatrix(predict(fitted.model, features.value.matrix))],
    ["models.json", `${JSON.stringify(settings, null, 2)}\n`],
  ]);
  return written.ok ? ok({ ...report, written: written.value }) : written;
}

interface ReadMatrix {
  readonly matrix: Matrix;
  readonly sha256: string;
}

async function readMatrix(path: string, option: string, meaning: string): Promise<Result<ReadMatrix, Fault>> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return fault("fileMissing", `Expected a .npy file at ${path} (${option}), but there is none. Check the path.`);
    if (code === "EISDIR") return fault("fileUnreadable", `Expected a .npy file at ${path} (${option}), but that is a folder. Name the file in it.`);
    if (code === "ERR_FS_FILE_TOO_LARGE") {
      return fault("fileUnreadable", `Expected a file below 2 GiB for ${option}, got a larger one at ${path}. Save it as float32, or fit fewer features.`);
    }
    return fault("fileUnreadable", `Could not read ${path} (${option}): ${code}. Check that you may read it.`);
  }
  const parsed = parseNpy(bytes);
  if (!parsed.ok) return fault(parsed.error.code, `${path} (${option}): ${parsed.error.message}`);
  const { shape, data } = parsed.value;
  const [rows, cols] = shape;
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  // One unit may come as a plain vector of rates.
  if (option === "--rates" && shape.length === 1 && rows !== undefined) return ok({ matrix: { rows, cols: 1, data }, sha256 });
  if (shape.length !== 2 || rows === undefined || cols === undefined) {
    return fault("fitShape", `Expected a two-dimensional array ${meaning} in ${path} (${option}), got shape ${formatShape(shape)}. Reshape it, e.g. with array.reshape(len(array), -1), and save it again.`);
  }
  return ok({ matrix: { rows, cols, data }, sha256 });
}

function checkFit(request: FitRequest, features: Matrix, rates: Matrix): Result<void, Fault> {
  if (features.rows !== rates.rows) {
    return fault(
      "fitShape",
      `Expected as many images in both files, got ${features.rows} rows of features (${features.rows} x ${features.cols}) and ${rates.rows} rows of rates (${rates.rows} x ${rates.cols}). Row i of both must be image i; save the rates as [images, units].`,
    );
  }
  if (features.cols === 0 || rates.cols === 0) {
    return fault("fitShape", `Expected at least one feature and one unit, got ${features.cols} features and ${rates.cols} units. Save the arrays again.`);
  }
  for (const [matrix, path, column] of [[features, request.featuresPath, "feature"], [rates, request.ratesPath, "unit"]] as const) {
    const bad = findNonFinite(matrix);
    if (bad !== null) {
      return fault("fitNotFinite", `Expected finite numbers in ${path}, got ${bad.value} for image ${bad.row}, ${column} ${bad.col} (both counted from 0). Drop that image or ${column}, or fill the value in.`);
    }
  }
  return checkCounts(request, features);
}

function checkCounts(request: FitRequest, features: Matrix): Result<void, Fault> {
  const images = features.rows;
  const { method, split } = request;
  const testCount = split.kind === "holdOut" ? Math.ceil((split.testFraction ?? 0.2) * images - 1e-9) : 0;
  const trainCount = split.kind === "folds" ? images - Math.ceil(images / split.folds) : images - testCount;
  // Penalties are chosen by folds within the training images.
  const folds = method.kind !== "pls" && method.penalty === undefined ? (method.folds ?? 5) : 0;
  const fewest = Math.max(2, folds);
  if (trainCount < fewest || (split.kind === "holdOut" && testCount < 1) || (split.kind === "folds" && split.folds > images)) {
    return fault("fitTooFew", `Expected at least ${fewest} training images${folds > 0 ? ` for ${folds} folds` : ""}, got ${Math.max(0, trainCount)} of ${images} images. Record more images, or fit with --split none.`);
  }
  if (method.kind === "pls") {
    const most = Math.min(trainCount - 1, features.cols);
    const components = method.components ?? 1;
    if (components > most) {
      return fault("fitComponents", `Expected at most ${most} PLS components for ${trainCount} training images and ${features.cols} features, got ${components}. Ask for fewer with --components.`);
    }
  }
  return ok(undefined);
}

async function writeAll(folder: string, files: readonly (readonly [string, Uint8Array | string])[]): Promise<Result<string[], Fault>> {
  const written: string[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, content] of files) {
      const path = join(folder, name);
      await writeFile(path, content);
      written.push(path);
    }
  } catch (error) {
    return fault("fitWrite", `Could not write the results to ${folder}: ${errorCode(error)}. Check the folder and the free space, then run the command again.`);
  }
  return ok(written);
}

function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.message : String(error);
}
