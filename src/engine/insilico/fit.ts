// Neuron models of a recorded session: every unit's response to the session's images from one layer of a network (SPEC 4).
// Knows nothing about ablation, windows or command lines.
import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { predict, signConsistency, weightDistribution } from "../../analysis/linearModel.ts";
import type { LinearModel } from "../../analysis/linearModel.ts";
import { columnOf, rowOf, takeRows } from "../../analysis/matrix.ts";
import type { Matrix } from "../../analysis/matrix.ts";
import { fitNeuronModels, suggestUnit } from "../../analysis/neuronModels.ts";
import type { FitMethod, FitSplit, ModelCard } from "../../analysis/neuronModels.ts";
import { formatNpy, formatNpyMatrix } from "../../analysis/npy.ts";
import { estimateNoiseCeilings } from "../../analysis/responses.ts";
import type { SessionReader } from "../../session/reader.ts";
import type { Encoder } from "../../shared/ports.ts";
import { FaultError, fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createRng } from "../../shared/rng.ts";
import type { ImageKind } from "../../shared/values.ts";
import { appVersion } from "../version.ts";
import { featuresOf } from "./featureCache.ts";
import { readImages, readResponses } from "./sessionResponses.ts";
import type { SessionResponses } from "./sessionResponses.ts";
import { writeWhole } from "./sweepFiles.ts";

export interface SessionFitSettings {
  /** Layer of the encoder; null = its penultimate one, as given by the caller. */
  readonly layer: string;
  readonly method: FitMethod;
  readonly split: FitSplit;
  /** Images to fit on; null = diverseSet images where the session has them, else everything it showed. */
  readonly kinds: readonly ImageKind[] | null;
  readonly seed: number;
}

/** One unit of the session as it goes to JSON and to the screen. */
export interface FittedSessionUnit extends ModelCard {
  /** Channel index. */
  readonly channel: number;
  readonly name: string;
  readonly area: string;
  /** Highest r a perfect model could have with these averages; null without repeats. */
  readonly ceilingR: number | null;
  readonly reliability: number | null;
  readonly weights: { readonly edges: readonly number[]; readonly counts: readonly number[]; readonly countForHalfOfTotal: number };
  /** Held-out images where there are any, else all: measured against predicted, spikes/s. */
  readonly scatter: { readonly measured: readonly number[]; readonly predicted: readonly number[]; readonly imageIds: readonly number[]; readonly isTest: readonly boolean[] };
}

export interface SessionFit {
  readonly format: "evoked-fit";
  readonly version: 1;
  readonly appVersion: string;
  readonly session: { readonly file: string; readonly id: string };
  readonly encoder: { readonly id: string; readonly sha256: string; readonly layer: string; readonly features: number };
  readonly settings: SessionFitSettings;
  readonly kinds: readonly ImageKind[];
  readonly images: number;
  readonly presentations: number;
  readonly testImageIds: readonly number[];
  /** Index into `units`; null where no unit has a score. */
  readonly bestUnit: number | null;
  /** Features whose sign is the same over units more often than chance, Bonferroni over features (SPEC 4). */
  readonly consistentFeatures: { readonly positive: number; readonly negative: number; readonly tested: number };
  readonly weightsFile: string;
  readonly interceptsFile: string;
  readonly units: readonly FittedSessionUnit[];
}

export interface FittedSession {
  readonly fit: SessionFit;
  readonly model: LinearModel;
  readonly responses: SessionResponses;
  /** [images, features], rows as in `responses.images`. */
  readonly features: Matrix;
}

/** Fits every unit of a session. Errors: `noResponses`, `fitTooFew`, those of images and models. */
export async function fitSession(options: { readonly reader: SessionReader; readonly encoder: Encoder; readonly settings: SessionFitSettings; readonly cacheFolder: string | null }): Promise<Result<FittedSession, Fault>> {
  const { reader, encoder, settings } = options;
  try {
    const kinds = settings.kinds ?? (reader.images().some((image) => image.imageKind === "diverse") ? (["diverse"] as const) : null);
    const read = readResponses(reader, kinds === null ? {} : { kinds });
    if (!read.ok) return read;
    const responses = read.value;
    const images = responses.images.length;
    if (images < 10) return fault("fitTooFew", `Expected responses to at least 10 images to fit models on, got ${images}. Record a diverseSet block, or fit on more kinds of images.`);
    const features = await featuresOf({ encoder, layer: settings.layer, images: readImages(reader, responses.images.map((image) => image.imageId)), folder: options.cacheFolder });
    const rng = createRng(settings.seed);
    const ceilings = estimateNoiseCeilings({ responses: responses.presentations, imageIndices: responses.imageIndices, rng: rng.fork("ceilings") });
    const fitted = fitNeuronModels({ features, responses: responses.rates, method: settings.method, split: settings.split, noiseCeilings: ceilings, rng: rng.fork("fit") });
    const predicted = predict(fitted.model, features);
    const isTest = new Uint8Array(images);
    for (const row of fitted.split.test) isTest[row] = 1;
    const ids = responses.images.map((image) => image.imageId);
    const units = fitted.cards.map((card, u): FittedSessionUnit => {
      const channel = responses.channels[u];
      if (channel === undefined) throw new Error(`expected a channel for unit ${u}`);
      const distribution = weightDistribution(rowOf(fitted.model.coefficients, u), { bins: 24 });
      return {
        ...card, channel: channel.index, name: channel.name, area: channel.area,
        ceilingR: ceilings[u]?.ceilingR ?? null, reliability: ceilings[u]?.reliability ?? null,
        weights: { edges: [...distribution.edges], counts: [...distribution.counts], countForHalfOfTotal: distribution.countForHalfOfTotal },
        scatter: { measured: [...columnOf(responses.rates, u)], predicted: [...columnOf(predicted, u)], imageIds: ids, isTest: Array.from(isTest, (flag) => flag === 1) },
      };
    });
    // Units without a score (silent, constant) say nothing about signs.
    const scored = units.flatMap((unit, u) => (unit.r2Train === null ? [] : [u]));
    const signs = scored.length === 0 ? [] : signConsistency(takeRows(fitted.model.coefficients, scored)).filter((feature) => feature.pBonferroni < 0.05);
    const suggested = suggestUnit(fitted.cards);
    const name = basename(reader.file).replace(/\.[^.]+$/, "");
    return ok({
      model: fitted.model, responses, features,
      fit: {
        format: "evoked-fit", version: 1, appVersion,
        session: { file: reader.file, id: reader.info().id },
        encoder: { id: encoder.identity.id, sha256: encoder.identity.sha256, layer: settings.layer, features: features.cols },
        settings, kinds: [...new Set(responses.images.map((image) => image.kind))], images, presentations: responses.presentations.rows,
        testImageIds: Array.from(fitted.split.test, (row) => ids[row] ?? -1),
        bestUnit: suggested?.unit ?? null,
        consistentFeatures: {
          positive: signs.filter((feature) => feature.positiveCount > feature.negativeCount).length,
          negative: signs.filter((feature) => feature.negativeCount > feature.positiveCount).length,
          tested: features.cols,
        },
        weightsFile: `${name}.weights.npy`, interceptsFile: `${name}.intercepts.npy`,
        units,
      },
    });
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  }
}

/** Where a session's fits are kept unless told otherwise: beside the session file. */
export function fitFolderOf(sessionFile: string): string {
  return join(dirname(sessionFile), `${basename(sessionFile).replace(/\.[^.]+$/, "")}.analysis`);
}

/** Writes the fit's JSON and its weights [units, features] and intercepts [units] as .npy beside it; answers the JSON's path. Errors: `fitWrite`. */
export async function saveFit(fitted: FittedSession, folder: string): Promise<Result<string, Fault>> {
  try {
    await mkdir(folder, { recursive: true });
    await writeWhole(join(folder, fitted.fit.weightsFile), formatNpyMatrix(fitted.model.coefficients));
    await writeWhole(join(folder, fitted.fit.interceptsFile), formatNpy({ shape: [fitted.model.intercepts.length], data: fitted.model.intercepts }));
    const path = join(folder, "fit.json");
    await writeWhole(path, `${JSON.stringify(fitted.fit)}\n`);
    return ok(path);
  } catch (error) {
    return fault("fitWrite", `Could not write the fit to ${folder}: ${error instanceof Error ? error.message : String(error)}. Check the folder and the free space.`);
  }
}
