// What is made of a recording, as rows: neuron models, ablations, visualisations, exports (migration 2). Knows nothing about who made it.
import { assertNever } from "../shared/result.ts";
import type { AblationRecord, ExportRecord, NeuronModelRecord, VisualisationRecord } from "../shared/records.ts";
import { bytesOf, latentFrom, latentType } from "./codec.ts";
import type { LatentType } from "./codec.ts";
import { encodePng } from "./png.ts";
import { insertInto, keyOf, numberOrNaN, rgbOf, rowsOf, sha256 } from "./rows.ts";
import type { Keyed, ReadOptions, Select, Stored } from "./rows.ts";
import type { Connection } from "./sqlite.ts";

type AnalysisRecord = Stored<NeuronModelRecord | AblationRecord | VisualisationRecord | ExportRecord>;

/** Prepares the inserts once; the function returned stores one record. */
export function prepareAnalysisInserts(db: Connection): (record: AnalysisRecord) => void {
  const neuronModel = insertInto(db, "neuron_models", [
    "seq", "host_ns", "weights_sha256", "channel", "channel_name", "encoder_id", "encoder_sha256", "layer", "method", "components", "penalty", "split", "split_seed",
    "train_image_count", "test_image_count", "r2_train", "r2_test", "r", "noise_ceiling_r", "noise_corrected_r", "positive_to_negative", "converged", "settings_json",
    "intercept_hz", "coefficients_type", "coefficients_hz",
  ]);
  const ablation = insertInto(db, "ablations", [
    "seq", "host_ns", "weights_sha256", "unit", "encoder_id", "encoder_sha256", "layer", "sign", "alpha", "rule", "weight_count", "zeroed_count", "removed_share",
  ]);
  const visualisation = insertInto(db, "visualisations", [
    "seq", "host_ns", "weights_sha256", "sign", "alpha", "rule", "generator_id", "generator_sha256", "run", "seed", "image_of", "generation", "activation_hz",
    "intact_activation_hz", "object_energy", "objectness", "settings_json", "width_px", "height_px", "rgb_sha256", "latent_type", "latent", "png",
  ]);
  const exported = insertInto(db, "exports", ["seq", "host_ns", "at_utc", "format", "path", "size_bytes", "sha256", "check_count", "app_version"]);

  return (r) => {
    switch (r.kind) {
      case "neuronModel":
        neuronModel.run(
          r.seq, r.hostNs, r.weightsSha256, r.channel, r.channelName, r.encoderId, r.encoderSha256, r.layer, r.method, r.components, r.penalty, r.split, r.splitSeed,
          r.trainImages, r.testImages, r.r2Train, r.r2Test, r.r, r.noiseCeilingR, r.noiseCorrectedR, r.positiveToNegative, r.converged ? 1 : 0, r.settingsJson,
          r.interceptHz, latentType(r.coefficientsHz), bytesOf(r.coefficientsHz),
        );
        return;
      case "ablation":
        ablation.run(r.seq, r.hostNs, r.weightsSha256, r.unit, r.encoderId, r.encoderSha256, r.layer, r.sign, r.alpha, r.rule, r.weights, r.zeroed, r.removedShare);
        return;
      case "visualisation":
        visualisation.run(
          r.seq, r.hostNs, r.weightsSha256, r.sign, r.alpha, r.rule, r.generatorId, r.generatorSha256, r.run, r.seed, r.imageOf, r.generation, r.activationHz,
          r.intactActivationHz, r.objectEnergy, r.objectness, r.settingsJson, r.widthPx, r.heightPx, sha256(r.rgb), latentType(r.latent), bytesOf(r.latent), encodePng(r),
        );
        return;
      case "export":
        exported.run(r.seq, r.hostNs, r.atUtc, r.format, r.path, r.sizeBytes, r.sha256, r.checks, r.appVersion);
        return;
      default:
        assertNever(r);
    }
  };
}

interface NeuronModelRow extends Keyed {
  readonly weights_sha256: string;
  readonly channel: number;
  readonly channel_name: string;
  readonly encoder_id: string;
  readonly encoder_sha256: string;
  readonly layer: string;
  readonly method: NeuronModelRecord["method"];
  readonly components: number | null;
  readonly penalty: number | null;
  readonly split: NeuronModelRecord["split"];
  readonly split_seed: number;
  readonly train_image_count: number;
  readonly test_image_count: number;
  readonly r2_train: number | null;
  readonly r2_test: number | null;
  readonly r: number | null;
  readonly noise_ceiling_r: number | null;
  readonly noise_corrected_r: number | null;
  readonly positive_to_negative: number | null;
  readonly converged: number;
  readonly settings_json: string;
  readonly intercept_hz: number;
  readonly coefficients_type: LatentType;
  readonly coefficients_hz: Buffer;
}

interface AblationRow extends Keyed {
  readonly weights_sha256: string;
  readonly unit: string;
  readonly encoder_id: string;
  readonly encoder_sha256: string;
  readonly layer: string;
  readonly sign: AblationRecord["sign"];
  readonly alpha: number;
  readonly rule: AblationRecord["rule"];
  readonly weight_count: number;
  readonly zeroed_count: number;
  readonly removed_share: number;
}

interface VisualisationRow extends Keyed {
  readonly weights_sha256: string;
  readonly sign: VisualisationRecord["sign"];
  readonly alpha: number;
  readonly rule: VisualisationRecord["rule"];
  readonly generator_id: string;
  readonly generator_sha256: string;
  readonly run: number;
  readonly seed: number;
  readonly image_of: VisualisationRecord["imageOf"];
  readonly generation: number | null;
  readonly activation_hz: number | null;
  readonly intact_activation_hz: number | null;
  readonly object_energy: number | null;
  readonly objectness: number | null;
  readonly settings_json: string;
  readonly width_px: number;
  readonly height_px: number;
  readonly latent_type: LatentType;
  readonly latent: Buffer;
  readonly png: Buffer;
}

interface ExportRow extends Keyed {
  readonly at_utc: string;
  readonly format: string;
  readonly path: string;
  readonly size_bytes: number;
  readonly sha256: string | null;
  readonly check_count: number;
  readonly app_version: string;
}

export function readNeuronModels(db: Connection, where: Select): Stored<NeuronModelRecord>[] {
  return rowsOf<NeuronModelRow>(db, "*", "neuron_models", where).map((row) => ({
    ...keyOf(row),
    kind: "neuronModel",
    weightsSha256: row.weights_sha256,
    channel: row.channel,
    channelName: row.channel_name,
    encoderId: row.encoder_id,
    encoderSha256: row.encoder_sha256,
    layer: row.layer,
    method: row.method,
    components: row.components,
    penalty: row.penalty,
    split: row.split,
    splitSeed: row.split_seed,
    trainImages: row.train_image_count,
    testImages: row.test_image_count,
    r2Train: row.r2_train,
    r2Test: row.r2_test,
    r: row.r,
    noiseCeilingR: row.noise_ceiling_r,
    noiseCorrectedR: row.noise_corrected_r,
    positiveToNegative: row.positive_to_negative,
    converged: row.converged === 1,
    settingsJson: row.settings_json,
    interceptHz: row.intercept_hz,
    coefficientsHz: latentFrom(row.coefficients_hz, row.coefficients_type),
  }));
}

export function readAblations(db: Connection, where: Select): Stored<AblationRecord>[] {
  return rowsOf<AblationRow>(db, "*", "ablations", where).map((row) => ({
    ...keyOf(row),
    kind: "ablation",
    weightsSha256: row.weights_sha256,
    unit: row.unit,
    encoderId: row.encoder_id,
    encoderSha256: row.encoder_sha256,
    layer: row.layer,
    sign: row.sign,
    alpha: row.alpha,
    rule: row.rule,
    weights: row.weight_count,
    zeroed: row.zeroed_count,
    removedShare: row.removed_share,
  }));
}

export function readVisualisations(db: Connection, where: Select, { pixels = true }: ReadOptions = {}): Stored<VisualisationRecord>[] {
  const columns =
    "seq, host_ns, weights_sha256, sign, alpha, rule, generator_id, generator_sha256, run, seed, image_of, generation, activation_hz, intact_activation_hz, object_energy, objectness, " +
    `settings_json, width_px, height_px, latent_type, latent, ${pixels ? "png" : "x'' AS png"}`;
  return rowsOf<VisualisationRow>(db, columns, "visualisations", where).map((row) => ({
    ...keyOf(row),
    kind: "visualisation",
    weightsSha256: row.weights_sha256,
    sign: row.sign,
    alpha: row.alpha,
    rule: row.rule,
    generatorId: row.generator_id,
    generatorSha256: row.generator_sha256,
    run: row.run,
    seed: row.seed,
    imageOf: row.image_of,
    generation: row.generation,
    activationHz: numberOrNaN(row.activation_hz),
    intactActivationHz: numberOrNaN(row.intact_activation_hz),
    objectEnergy: row.object_energy,
    objectness: row.objectness,
    settingsJson: row.settings_json,
    widthPx: row.width_px,
    heightPx: row.height_px,
    rgb: pixels ? rgbOf(row.png, `visualisation ${row.seq}`) : new Uint8Array(),
    latent: latentFrom(row.latent, row.latent_type),
  }));
}

export function readExports(db: Connection, where: Select): Stored<ExportRecord>[] {
  return rowsOf<ExportRow>(db, "*", "exports", where).map((row) => ({
    ...keyOf(row),
    kind: "export",
    atUtc: row.at_utc,
    format: row.format,
    path: row.path,
    sizeBytes: row.size_bytes,
    sha256: row.sha256,
    checks: row.check_count,
    appVersion: row.app_version,
  }));
}
