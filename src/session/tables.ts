// Records as rows and rows as records: one insert and one read per kind. Knows nothing about threads, queues or files.
import { assertNever } from "../shared/result.ts";
import type {
  ChannelsRecord,
  ClockRecord,
  DevicesRecord,
  EventRecord,
  EyeRecord,
  GenerationRecord,
  ImageRecord,
  MarkRecord,
  ModelRecord,
  PresentationRecord,
  RewardRecord,
  SessionRecord,
  StepRecord,
  SpikesRecord,
  TrialRecord,
} from "../shared/records.ts";
import { hostTimeNs, rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";
import type { ChannelInfo, ExcludedBecause, ImageKind, OnsetSource, TrialOutcome } from "../shared/values.ts";
import { prepareAnalysisInserts, readAblations, readExports, readNeuronModels, readVisualisations } from "./analysisTables.ts";
import { bytesOf, decodeEye, encodeEye, encodeSpikes, float64From, latentFrom, latentType, spikeBatch, uint16From } from "./codec.ts";
import type { LatentType } from "./codec.ts";
import { prepareDisplayInserts, readDisplayCalibrations, readFlips } from "./displayTables.ts";
import { encodePng } from "./png.ts";
import { insertInto, keyOf, numberOrNaN, rgbOf, rowsOf, sha256 } from "./rows.ts";
import type { Keyed, ReadOptions, Select, Stored, Value } from "./rows.ts";
import { pragmaNumber } from "./sqlite.ts";
import type { Connection } from "./sqlite.ts";

export { everything, seqBetween, sha256 } from "./rows.ts";
export type { ReadOptions, Select, Stored } from "./rows.ts";
export { readAblations, readExports, readNeuronModels, readVisualisations } from "./analysisTables.ts";

export { readDisplayCalibrations, readFlips } from "./displayTables.ts";

export type RecordKind = SessionRecord["kind"];

const recordKinds: readonly RecordKind[] = [
  "devices", "channels", "model", "image", "trial", "presentation", "generation", "spikes", "eye", "clock", "mark", "reward", "event",
  "neuronModel", "ablation", "visualisation", "export", "displayCalibration", "flip", "step",
];

/** The table whose `seq` is the key of each kind of record. */
export const tableOf: Readonly<Record<RecordKind, string>> = {
  devices: "device_lists",
  channels: "channel_lists",
  model: "models",
  image: "images",
  trial: "trials",
  presentation: "presentations",
  generation: "generations",
  spikes: "spikes",
  eye: "eye",
  clock: "clock_maps",
  mark: "marks",
  reward: "rewards",
  event: "events",
  step: "steps",
  neuronModel: "neuron_models",
  ablation: "ablations",
  visualisation: "visualisations",
  export: "exports",
  displayCalibration: "display_calibrations",
  flip: "flips",
};

/** Kinds that a file has no table for before this version; all others are there from version 1 on. */
const sinceVersion: Partial<Record<RecordKind, number>> = { neuronModel: 2, ablation: 2, visualisation: 2, export: 2, displayCalibration: 3, flip: 3, step: 4 };

/** The kinds that a file of its version can hold. */
export function kindsOf(db: Connection): RecordKind[] {
  const version = pragmaNumber(db, "user_version");
  return recordKinds.filter((kind) => (sinceVersion[kind] ?? 1) <= version);
}

/** Files of version 4 and later say which step everything belongs to. */
function hasSteps(db: Connection): boolean {
  return pragmaNumber(db, "user_version") >= 4;
}

/** Prepares the inserts once; the function returned stores one record. Call it inside a transaction. */
export function prepareInserts(db: Connection): (record: SessionRecord) => void {
  const deviceList = insertInto(db, "device_lists", ["seq", "host_ns"]);
  const device = insertInto(db, "devices", ["seq", "position", "role", "name", "detail"]);
  const channelList = insertInto(db, "channel_lists", ["seq", "host_ns"]);
  const channel = insertInto(db, "channels", ["seq", "position", "channel_index", "name", "area", "x_mm", "y_mm"]);
  const model = insertInto(db, "models", ["seq", "host_ns", "role", "model_id", "sha256", "provider"]);
  const image = insertInto(db, "images", ["seq", "host_ns", "image_id", "image_kind", "thread", "generation", "individual", "label", "width_px", "height_px", "rgb_sha256", "latent_type", "latent", "png", "step", "image_key"]);
  const trial = insertInto(db, "trials", ["seq", "host_ns", "trial_id", "start_host_ns", "end_host_ns", "outcome", "images_planned", "images_completed", "reward_ms"]);
  const presentation = insertInto(db, "presentations", [
    "seq", "host_ns", "presentation_id", "trial_id", "image_id", "thread", "generation", "scheduled_host_ns", "flip_host_ns", "onset_rig_ns", "onset_source",
    "frames_planned", "frames_shown", "late_frames", "rate_hz", "target_channel", "window_start_ms", "window_end_ms", "excluded_because", "counts", "baseline_counts",
    "step", "block", "item", "centre_x_deg", "centre_y_deg", "size_deg", "centre_x_px", "centre_y_px", "size_px",
  ]);
  const state = db.prepare<Value[]>("INSERT INTO optimizer_states (sha256, state) VALUES (?, ?) ON CONFLICT DO NOTHING");
  const generation = insertInto(db, "generations", [
    "seq", "host_ns", "thread", "generation", "target_channel", "optimizer", "state_before_sha256", "state_after_sha256", "rng_state_json", "evolved_mean_hz",
    "evolved_sem_hz", "reference_mean_hz", "reference_sem_hz", "step_size", "missing_count", "best_image_id", "scores_hz",
  ]);
  const spikes = insertInto(db, "spikes", ["seq", "host_ns", "watermark_rig_ns", "arrived_host_ns", "first_rig_ns", "last_rig_ns", "spike_count", "batch"]);
  const eye = insertInto(db, "eye", ["seq", "host_ns", "first_rig_ns", "last_rig_ns", "sample_count", "batch"]);
  const clock = insertInto(db, "clock_maps", ["seq", "host_ns", "anchor_host_ns", "anchor_rig_ns", "drift_ppm", "uncertainty_ms"]);
  const mark = insertInto(db, "marks", ["seq", "host_ns", "mark_kind", "rig_ns", "line", "state", "word", "presentation_id"]);
  const reward = insertInto(db, "rewards", ["seq", "host_ns", "pulse_ms", "cause", "delivered"]);
  const event = insertInto(db, "events", ["seq", "host_ns", "category", "severity", "code", "message", "data_json"]);
  const step = insertInto(db, "steps", ["seq", "host_ns", "step", "state", "protocol", "title", "settings_json", "source_sha256", "data_json"]);
  const insertAnalysis = prepareAnalysisInserts(db);
  const insertDisplay = prepareDisplayInserts(db);

  const storeState = (bytes: Uint8Array): Buffer => {
    const hash = sha256(bytes);
    state.run(hash, bytes);
    return hash;
  };

  return (r) => {
    switch (r.kind) {
      case "devices":
        deviceList.run(r.seq, r.hostNs);
        r.devices.forEach((d, position) => device.run(r.seq, position, d.role, d.name, d.detail));
        return;
      case "channels":
        channelList.run(r.seq, r.hostNs);
        r.channels.forEach((c, position) => channel.run(r.seq, position, c.index, c.name, c.area, c.positionMm?.x ?? null, c.positionMm?.y ?? null));
        return;
      case "model":
        model.run(r.seq, r.hostNs, r.role, r.id, r.sha256, r.provider);
        return;
      case "image": {
        const type = r.latent === null ? null : latentType(r.latent);
        const latent = r.latent === null ? null : bytesOf(r.latent);
        image.run(r.seq, r.hostNs, r.imageId, r.imageKind, r.thread, r.generation, r.individual, r.label, r.widthPx, r.heightPx, sha256(r.rgb), type, latent, encodePng(r), r.step, r.key);
        return;
      }
      case "trial":
        trial.run(r.seq, r.hostNs, r.trialId, r.startHostNs, r.endHostNs, r.outcome, r.imagesPlanned, r.imagesCompleted, r.rewardMs);
        return;
      case "presentation":
        presentation.run(
          r.seq, r.hostNs, r.presentationId, r.trialId, r.imageId, r.thread, r.generation, r.scheduledHostNs, r.flipHostNs, r.onsetRigNs, r.onsetSource,
          r.framesPlanned, r.framesShown, r.lateFrames, r.rateHz, r.targetChannel, r.windowStartMs, r.windowEndMs, r.excluded,
          r.counts === null ? null : bytesOf(r.counts), r.baselineCounts === null ? null : bytesOf(r.baselineCounts),
          r.step, r.block, r.item, r.placement?.centreXDeg ?? null, r.placement?.centreYDeg ?? null, r.placement?.sizeDeg ?? null,
          r.placement?.centreXPx ?? null, r.placement?.centreYPx ?? null, r.placement?.sizePx ?? null,
        );
        return;
      case "generation":
        generation.run(
          r.seq, r.hostNs, r.thread, r.generation, r.targetChannel, r.optimizer, storeState(r.stateBefore), storeState(r.stateAfter), r.rngState, r.evolvedMean,
          r.evolvedSem, r.referenceMean, r.referenceSem, r.stepSize, r.missing, r.bestImageId, bytesOf(r.scores),
        );
        return;
      case "spikes": {
        const times = r.batch.timesRigNs;
        spikes.run(r.seq, r.hostNs, r.batch.watermarkRigNs, r.batch.arrivedHostNs, times[0] ?? null, times.at(-1) ?? null, times.length, encodeSpikes(r.batch));
        return;
      }
      case "eye": {
        const times = r.batch.timesRigNs;
        eye.run(r.seq, r.hostNs, times[0] ?? null, times.at(-1) ?? null, times.length, encodeEye(r.batch));
        return;
      }
      case "clock":
        clock.run(r.seq, r.hostNs, r.anchorHostNs, r.anchorRigNs, r.driftPpm, r.uncertaintyMs);
        return;
      case "mark":
        mark.run(r.seq, r.hostNs, r.markKind, r.rigNs, r.line, r.state ? 1 : 0, r.word, r.presentationId);
        return;
      case "reward":
        reward.run(r.seq, r.hostNs, r.pulseMs, r.cause, r.delivered ? 1 : 0);
        return;
      case "event":
        event.run(r.seq, r.hostNs, r.category, r.severity, r.code, r.message, r.dataJson);
        return;
      case "step":
        step.run(r.seq, r.hostNs, r.step, r.state, r.protocol, r.title, r.settingsJson, r.sourceSha256, r.dataJson);
        return;
      case "neuronModel":
      case "ablation":
      case "visualisation":
      case "export":
        insertAnalysis(r);
        return;
      case "displayCalibration":
      case "flip":
        insertDisplay(r);
        return;
      default:
        assertNever(r);
    }
  };
}

interface ImageRow extends Keyed {
  readonly image_id: number;
  readonly image_kind: ImageKind;
  readonly thread: number | null;
  readonly generation: number | null;
  readonly individual: number | null;
  readonly label: string;
  readonly width_px: number;
  readonly height_px: number;
  readonly latent_type: LatentType | null;
  readonly latent: Buffer | null;
  readonly png: Buffer;
  readonly step: number | null;
  readonly image_key: string | null;
}

interface TrialRow extends Keyed {
  readonly trial_id: number;
  readonly start_host_ns: number;
  readonly end_host_ns: number;
  readonly outcome: TrialOutcome;
  readonly images_planned: number;
  readonly images_completed: number;
  readonly reward_ms: number;
}

interface PresentationRow extends Keyed {
  readonly presentation_id: number;
  readonly trial_id: number;
  readonly image_id: number;
  readonly thread: number | null;
  readonly generation: number | null;
  readonly scheduled_host_ns: number;
  readonly flip_host_ns: number | null;
  readonly onset_rig_ns: number | null;
  readonly onset_source: OnsetSource | null;
  readonly frames_planned: number;
  readonly frames_shown: number;
  readonly late_frames: number;
  readonly rate_hz: number | null;
  readonly target_channel: number;
  readonly window_start_ms: number;
  readonly window_end_ms: number;
  readonly excluded_because: ExcludedBecause | null;
  readonly counts: Buffer | null;
  readonly baseline_counts: Buffer | null;
  // Not there before version 4.
  readonly step?: number | null;
  readonly block?: number | null;
  readonly item?: number | null;
  readonly centre_x_deg?: number | null;
  readonly centre_y_deg?: number | null;
  readonly size_deg?: number | null;
  readonly centre_x_px?: number | null;
  readonly centre_y_px?: number | null;
  readonly size_px?: number | null;
}

interface StepRow extends Keyed {
  readonly step: number;
  readonly state: StepRecord["state"];
  readonly protocol: string;
  readonly title: string;
  readonly settings_json: string;
  readonly source_sha256: string | null;
  readonly data_json: string;
}

interface GenerationRow extends Keyed {
  readonly thread: number;
  readonly generation: number;
  readonly target_channel: number;
  readonly optimizer: string;
  readonly state_before: Buffer;
  readonly state_after: Buffer;
  readonly rng_state_json: string;
  readonly evolved_mean_hz: number | null;
  readonly evolved_sem_hz: number | null;
  readonly reference_mean_hz: number | null;
  readonly reference_sem_hz: number | null;
  readonly step_size: number | null;
  readonly missing_count: number;
  readonly best_image_id: number | null;
  readonly scores_hz: Buffer;
}

interface SpikesRow extends Keyed {
  readonly watermark_rig_ns: number;
  readonly arrived_host_ns: number;
  readonly batch: Buffer;
}

interface EyeRow extends Keyed {
  readonly batch: Buffer;
}

interface ClockRow extends Keyed {
  readonly anchor_host_ns: number;
  readonly anchor_rig_ns: number;
  readonly drift_ppm: number | null;
  readonly uncertainty_ms: number | null;
}

interface MarkRow extends Keyed {
  readonly mark_kind: MarkRecord["markKind"];
  readonly rig_ns: number;
  readonly line: number;
  readonly state: number;
  readonly word: number | null;
  readonly presentation_id: number | null;
}

interface RewardRow extends Keyed {
  readonly pulse_ms: number;
  readonly cause: RewardRecord["cause"];
  readonly delivered: number;
}

interface EventRow extends Keyed {
  readonly category: EventRecord["category"];
  readonly severity: EventRecord["severity"];
  readonly code: string;
  readonly message: string;
  readonly data_json: string;
}

interface ModelRow extends Keyed {
  readonly role: ModelRecord["role"];
  readonly model_id: string;
  readonly sha256: string;
  readonly provider: string;
}

interface DeviceRow {
  readonly role: "spikes" | "eye" | "reward" | "sync" | "display";
  readonly name: string;
  readonly detail: string;
}

interface ChannelRow {
  readonly channel_index: number;
  readonly name: string;
  readonly area: string;
  readonly x_mm: number | null;
  readonly y_mm: number | null;
}

function optionalHost(ns: number | null): HostTimeNs | null {
  return ns === null ? null : hostTimeNs(ns);
}

function optionalRig(ns: number | null): RigTimeNs | null {
  return ns === null ? null : rigTimeNs(ns);
}

export function readImages(db: Connection, where: Select, { pixels = true }: ReadOptions = {}): Stored<ImageRecord>[] {
  const columns = `seq, host_ns, image_id, image_kind, thread, generation, individual, label, width_px, height_px, latent_type, latent, ${hasSteps(db) ? "step, image_key" : "NULL AS step, NULL AS image_key"}, ${pixels ? "png" : "x'' AS png"}`;
  return rowsOf<ImageRow>(db, columns, "images", where).map((row) => ({
    ...keyOf(row),
    kind: "image",
    imageId: row.image_id,
    imageKind: row.image_kind,
    thread: row.thread,
    generation: row.generation,
    individual: row.individual,
    step: row.step,
    key: row.image_key,
    label: row.label,
    widthPx: row.width_px,
    heightPx: row.height_px,
    rgb: pixels ? rgbOf(row.png, `image ${row.image_id}`) : new Uint8Array(),
    latent: row.latent === null || row.latent_type === null ? null : latentFrom(row.latent, row.latent_type),
  }));
}

export function readTrials(db: Connection, where: Select): Stored<TrialRecord>[] {
  return rowsOf<TrialRow>(db, "*", "trials", where).map((row) => ({
    ...keyOf(row),
    kind: "trial",
    trialId: row.trial_id,
    startHostNs: hostTimeNs(row.start_host_ns),
    endHostNs: hostTimeNs(row.end_host_ns),
    outcome: row.outcome,
    imagesPlanned: row.images_planned,
    imagesCompleted: row.images_completed,
    rewardMs: row.reward_ms,
  }));
}

export function readPresentations(db: Connection, where: Select): Stored<PresentationRecord>[] {
  return rowsOf<PresentationRow>(db, "*", "presentations", where).map((row) => ({
    ...keyOf(row),
    kind: "presentation",
    presentationId: row.presentation_id,
    trialId: row.trial_id,
    imageId: row.image_id,
    thread: row.thread,
    generation: row.generation,
    scheduledHostNs: hostTimeNs(row.scheduled_host_ns),
    flipHostNs: optionalHost(row.flip_host_ns),
    onsetRigNs: optionalRig(row.onset_rig_ns),
    onsetSource: row.onset_source,
    framesPlanned: row.frames_planned,
    framesShown: row.frames_shown,
    lateFrames: row.late_frames,
    counts: row.counts === null ? null : uint16From(row.counts),
    baselineCounts: row.baseline_counts === null ? null : uint16From(row.baseline_counts),
    rateHz: row.rate_hz,
    targetChannel: row.target_channel,
    windowStartMs: row.window_start_ms,
    windowEndMs: row.window_end_ms,
    excluded: row.excluded_because,
    step: row.step ?? null,
    block: row.block ?? null,
    item: row.item ?? null,
    placement: placementOf(row),
  }));
}

function placementOf({ centre_x_deg: centreXDeg, centre_y_deg: centreYDeg, size_deg: sizeDeg, centre_x_px: centreXPx, centre_y_px: centreYPx, size_px: sizePx }: PresentationRow): PresentationRecord["placement"] {
  return centreXDeg == null || centreYDeg == null || sizeDeg == null || centreXPx == null || centreYPx == null || sizePx == null ? null : { centreXDeg, centreYDeg, sizeDeg, centreXPx, centreYPx, sizePx };
}

export function readSteps(db: Connection, where: Select): Stored<StepRecord>[] {
  return rowsOf<StepRow>(db, "*", "steps", where).map((row) => ({
    ...keyOf(row), kind: "step", step: row.step, state: row.state, protocol: row.protocol, title: row.title, settingsJson: row.settings_json, sourceSha256: row.source_sha256, dataJson: row.data_json,
  }));
}

/** `states: false` leaves the optimizer states empty: they can be large. */
export function readGenerations(db: Connection, where: Select, { states = true }: { readonly states?: boolean } = {}): Stored<GenerationRecord>[] {
  const columns = states
    ? "*, (SELECT state FROM optimizer_states s WHERE s.sha256 = state_before_sha256) AS state_before, (SELECT state FROM optimizer_states s WHERE s.sha256 = state_after_sha256) AS state_after"
    : "*, x'' AS state_before, x'' AS state_after";
  return rowsOf<GenerationRow>(db, columns, "generations", where).map((row) => ({
    ...keyOf(row),
    kind: "generation",
    thread: row.thread,
    generation: row.generation,
    targetChannel: row.target_channel,
    optimizer: row.optimizer,
    stateBefore: new Uint8Array(row.state_before),
    stateAfter: new Uint8Array(row.state_after),
    rngState: row.rng_state_json,
    scores: float64From(row.scores_hz),
    evolvedMean: numberOrNaN(row.evolved_mean_hz),
    evolvedSem: numberOrNaN(row.evolved_sem_hz),
    referenceMean: numberOrNaN(row.reference_mean_hz),
    referenceSem: numberOrNaN(row.reference_sem_hz),
    stepSize: numberOrNaN(row.step_size),
    missing: row.missing_count,
    bestImageId: row.best_image_id,
  }));
}

export function readSpikes(db: Connection, where: Select): Stored<SpikesRecord>[] {
  return rowsOf<SpikesRow>(db, "seq, host_ns, watermark_rig_ns, arrived_host_ns, batch", "spikes", where).map((row) => ({
    ...keyOf(row),
    kind: "spikes",
    batch: spikeBatch(row.batch, row.watermark_rig_ns, hostTimeNs(row.arrived_host_ns)),
  }));
}

export function readEye(db: Connection, where: Select): Stored<EyeRecord>[] {
  return rowsOf<EyeRow>(db, "seq, host_ns, batch", "eye", where).map((row) => ({ ...keyOf(row), kind: "eye", batch: decodeEye(row.batch) }));
}

export function readClockMaps(db: Connection, where: Select): Stored<ClockRecord>[] {
  return rowsOf<ClockRow>(db, "*", "clock_maps", where).map((row) => ({
    ...keyOf(row),
    kind: "clock",
    anchorHostNs: hostTimeNs(row.anchor_host_ns),
    anchorRigNs: rigTimeNs(row.anchor_rig_ns),
    driftPpm: numberOrNaN(row.drift_ppm),
    uncertaintyMs: numberOrNaN(row.uncertainty_ms),
  }));
}

export function readMarks(db: Connection, where: Select): Stored<MarkRecord>[] {
  return rowsOf<MarkRow>(db, "*", "marks", where).map((row) => ({
    ...keyOf(row),
    kind: "mark",
    markKind: row.mark_kind,
    rigNs: rigTimeNs(row.rig_ns),
    line: row.line,
    state: row.state === 1,
    word: row.word,
    presentationId: row.presentation_id,
  }));
}

export function readRewards(db: Connection, where: Select): Stored<RewardRecord>[] {
  return rowsOf<RewardRow>(db, "*", "rewards", where).map((row) => ({
    ...keyOf(row),
    kind: "reward",
    pulseMs: row.pulse_ms,
    cause: row.cause,
    delivered: row.delivered === 1,
  }));
}

export function readEvents(db: Connection, where: Select): Stored<EventRecord>[] {
  return rowsOf<EventRow>(db, "*", "events", where).map((row) => ({
    ...keyOf(row),
    kind: "event",
    category: row.category,
    severity: row.severity,
    code: row.code,
    message: row.message,
    dataJson: row.data_json,
  }));
}

export function readModels(db: Connection, where: Select): Stored<ModelRecord>[] {
  return rowsOf<ModelRow>(db, "*", "models", where).map((row) => ({
    ...keyOf(row),
    kind: "model",
    role: row.role,
    id: row.model_id,
    sha256: row.sha256,
    provider: row.provider,
  }));
}

export function readDevices(db: Connection, where: Select): Stored<DevicesRecord>[] {
  const devices = db.prepare<number[], DeviceRow>("SELECT role, name, detail FROM devices WHERE seq = ? ORDER BY position");
  return rowsOf<Keyed>(db, "*", "device_lists", where).map((row) => ({ ...keyOf(row), kind: "devices", devices: devices.all(row.seq).map(({ role, name, detail }) => ({ role, name, detail })) }));
}

export function readChannels(db: Connection, where: Select): Stored<ChannelsRecord>[] {
  const channels = db.prepare<number[], ChannelRow>("SELECT channel_index, name, area, x_mm, y_mm FROM channels WHERE seq = ? ORDER BY position");
  return rowsOf<Keyed>(db, "*", "channel_lists", where).map((row) => ({ ...keyOf(row), kind: "channels", channels: channels.all(row.seq).map(channelOf) }));
}

function channelOf(row: ChannelRow): ChannelInfo {
  return { index: row.channel_index, name: row.name, area: row.area, positionMm: row.x_mm === null || row.y_mm === null ? null : { x: row.x_mm, y: row.y_mm } };
}

/** Records of one kind. */
export function readKind(db: Connection, kind: RecordKind, where: Select, options: ReadOptions): SessionRecord[] {
  switch (kind) {
    case "devices":
      return readDevices(db, where);
    case "channels":
      return readChannels(db, where);
    case "model":
      return readModels(db, where);
    case "image":
      return readImages(db, where, options);
    case "trial":
      return readTrials(db, where);
    case "presentation":
      return readPresentations(db, where);
    case "generation":
      return readGenerations(db, where);
    case "spikes":
      return readSpikes(db, where);
    case "eye":
      return readEye(db, where);
    case "clock":
      return readClockMaps(db, where);
    case "mark":
      return readMarks(db, where);
    case "reward":
      return readRewards(db, where);
    case "event":
      return readEvents(db, where);
    case "step":
      return readSteps(db, where);
    case "neuronModel":
      return readNeuronModels(db, where);
    case "ablation":
      return readAblations(db, where);
    case "visualisation":
      return readVisualisations(db, where, options);
    case "export":
      return readExports(db, where);
    case "displayCalibration":
      return readDisplayCalibrations(db, where);
    case "flip":
      return readFlips(db, where);
    default:
      return assertNever(kind);
  }
}
