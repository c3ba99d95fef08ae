// What an analysis found, as records of the session that it is of: neuron models, ablations of them, images evolved for those. What is there
// already is not added twice. Knows nothing about how it was computed, command lines or windows.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { makeAblationMasks } from "../../analysis/ablation.ts";
import type { LinearModel } from "../../analysis/linearModel.ts";
import { rowOf } from "../../analysis/matrix.ts";
import { appendToSession } from "../../session/append.ts";
import type { AddedRecordBody } from "../../session/append.ts";
import { openSession } from "../../session/reader.ts";
import type { AblationRecord, NeuronModelRecord, SessionInfo, VisualisationRecord } from "../../shared/records.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { appVersion } from "../version.ts";
import type { SessionFit } from "./fit.ts";
import type { MeasuredImage, MeasuredOf } from "./measures.ts";
import type { SweepSettings } from "./sweep.ts";
import { hashUnit } from "./sweepFiles.ts";
import type { SweepHead } from "./sweepFiles.ts";
import type { LinearUnit } from "./units.ts";

/** One record per unit of a fit. A model's name is that by which its ablation knows it (`hashUnit`). */
export function recordsOfFit(fit: SessionFit, model: LinearModel): NeuronModelRecord[] {
  const { encoder, settings } = fit;
  return fit.units.map((unit, row): NeuronModelRecord => {
    const coefficientsHz = Float64Array.from(rowOf(model.coefficients, row));
    const interceptHz = model.intercepts[row] ?? 0;
    return {
      kind: "neuronModel",
      weightsSha256: hashUnit({ network: encoder.id, layer: encoder.layer, intercept: interceptHz, weights: coefficientsHz }),
      channel: unit.channel, channelName: unit.name, encoderId: encoder.id, encoderSha256: encoder.sha256, layer: encoder.layer,
      method: unit.method, components: unit.components, penalty: unit.penalty, split: settings.split.kind, splitSeed: settings.seed,
      trainImages: unit.trainCount, testImages: unit.testCount, r2Train: unit.r2Train, r2Test: unit.r2Test, r: settings.split.kind === "none" ? unit.rTrain : unit.rTest,
      noiseCeilingR: unit.ceilingR, noiseCorrectedR: unit.noiseCorrectedR, positiveToNegative: unit.positiveToNegative, converged: unit.converged,
      settingsJson: JSON.stringify({ method: settings.method, split: settings.split, kinds: fit.kinds, images: fit.images, presentations: fit.presentations, testImageIds: fit.testImageIds }),
      interceptHz, coefficientsHz,
    };
  });
}

/** The conditions and images of a finished sweep over neuron models. */
export function recordsOfSweep(sweep: { readonly units: readonly LinearUnit[]; readonly settings: SweepSettings; readonly head: SweepHead; readonly images: readonly MeasuredImage[]; readonly of: MeasuredOf }): (AblationRecord | VisualisationRecord)[] {
  const { settings, head, of } = sweep;
  const hashOf = (model: string): string => head.models.find(({ id }) => id === model)?.sha256 ?? "";
  const { seed, rule, optimizer, population, generations } = settings;
  const settingsJson = JSON.stringify({ optimizer, population, generations });
  const records: (AblationRecord | VisualisationRecord)[] = [];
  for (const unit of sweep.units) {
    const weightsSha256 = hashUnit(unit);
    const own = sweep.images.filter(({ result }) => result.unit === unit.id);
    const conditions = new Map(own.map(({ result: { sign, alpha } }) => [`${sign} ${alpha}`, { sign, alpha }]));
    for (const { sign, alpha } of conditions.values()) {
      for (const mask of makeAblationMasks({ weights: unit.weights, sign, alphas: [alpha], rule })) {
        records.push({
          kind: "ablation", weightsSha256, unit: unit.title, encoderId: unit.network, encoderSha256: hashOf(unit.network), layer: unit.layer,
          sign, alpha, rule, weights: unit.weights.length, zeroed: mask.zeroed.length, removedShare: mask.removedShare,
        });
      }
    }
    for (const { result, image, activation, intactActivation, objectEnergy, objectness } of own) {
      records.push({
        kind: "visualisation", weightsSha256, sign: result.sign, alpha: result.alpha, rule, generatorId: result.generator, generatorSha256: hashOf(result.generator),
        run: result.run, seed, imageOf: of, generation: of === "best" ? result.generation : null, activationHz: activation, intactActivationHz: intactActivation, objectEnergy, objectness,
        settingsJson, widthPx: image.width, heightPx: image.height, rgb: image.data, latent: of === "best" ? result.latent : result.mean.latent,
      });
    }
  }
  return records;
}

export interface StoredAnalysis {
  readonly file: string;
  /** Records that were added, and those that were there already. */
  readonly added: number;
  readonly known: number;
}

export interface StoreOptions {
  readonly hostKind: SessionInfo["hostKind"];
  /** Id of the session that the analysis is of; null where nobody knows it. */
  readonly sessionId: string | null;
}

/** Adds what the session does not hold yet. Errors: those of opening a session and of adding to it, `otherSession`. */
export async function storeAnalysis(file: string, records: readonly (NeuronModelRecord | AblationRecord | VisualisationRecord)[], { hostKind, sessionId }: StoreOptions): Promise<Result<StoredAnalysis, Fault>> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  const reader = opened.value;
  const known = new Set<string>();
  try {
    const { id } = reader.info();
    if (sessionId !== null && id !== sessionId) return fault("otherSession", `Expected session ${sessionId} at ${file}, which the models were fitted on; it is session ${id}. Name the right file.`);
    for (const record of [...reader.neuronModels(), ...reader.ablations(), ...reader.visualisations()]) known.add(keyOf(record));
  } finally {
    reader.close();
  }
  const missing: AddedRecordBody[] = records.filter((record) => !known.has(keyOf(record)));
  if (missing.length > 0) {
    const added = await appendToSession(file, missing, { appVersion, hostKind });
    if (!added.ok) return added;
  }
  return ok({ file, added: missing.length, known: records.length - missing.length });
}

/** The same text for what is the same result: values that follow from others stay out. */
function keyOf(record: NeuronModelRecord | AblationRecord | VisualisationRecord): string {
  switch (record.kind) {
    case "neuronModel":
      return JSON.stringify([record.kind, record.weightsSha256, record.encoderSha256, record.channel, record.splitSeed, record.settingsJson]);
    case "ablation":
      return JSON.stringify([record.kind, record.weightsSha256, record.encoderSha256, record.sign, record.alpha, record.rule]);
    case "visualisation":
      return JSON.stringify([record.kind, record.weightsSha256, record.sign, record.alpha, record.rule, record.generatorSha256, record.run, record.seed, record.imageOf, record.settingsJson]);
  }
}

const fitSessionPart = z.object({ session: z.object({ file: z.string(), id: z.string() }) });

/** The session that a fit's JSON file is of; null where it does not say. */
export async function sessionOfFit(path: string): Promise<{ readonly file: string; readonly id: string } | null> {
  try {
    const parsed = fitSessionPart.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.success ? parsed.data.session : null;
  } catch {
    return null;
  }
}
