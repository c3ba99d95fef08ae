// A session as sheets: named tables of plain columns that every format can write, with one sentence on each column. Times are seconds
// since the session's start; the recorded clocks are beside them. Knows nothing about file formats.
import { z } from "zod";
import { unwrap } from "../../shared/result.ts";
import type { EventRecord, PresentationRecord, StepRecord } from "../../shared/records.ts";
import { readLaterNotes } from "../laterNotes.ts";
import type { SessionReader } from "../reader.ts";
import type { Stored } from "../tables.ts";
import { makeTimeline } from "./timeline.ts";
import type { Timeline } from "./timeline.ts";

export type Column =
  /** NaN where there is no value. `whole`: every value is a whole number (or missing). */
  | { readonly kind: "number"; readonly name: string; readonly description: string; readonly values: Float64Array; readonly whole: boolean }
  /** "" where there is no value. `few`: a handful of distinct words. */
  | { readonly kind: "text"; readonly name: string; readonly description: string; readonly values: readonly string[]; readonly few: boolean }
  | { readonly kind: "flag"; readonly name: string; readonly description: string; readonly values: Uint8Array };

export interface Sheet {
  readonly name: string;
  readonly description: string;
  readonly rows: number;
  readonly columns: readonly Column[];
}

/** Row-major numbers; -1 (counts) or NaN (latents) where there is no value. */
export interface Matrix {
  readonly name: string;
  readonly description: string;
  readonly rows: number;
  readonly columns: number;
  readonly values: Int32Array | Float64Array;
}

export interface SessionSheets {
  readonly channels: Sheet;
  readonly presentations: Sheet;
  readonly trials: Sheet;
  readonly generations: Sheet;
  /** Steps of the session's plan with what came of them. */
  readonly steps: Sheet;
  readonly scores: Sheet;
  readonly images: Sheet;
  readonly rewards: Sheet;
  /** What a person should see; what only replay needs is in `inputs`. */
  readonly events: Sheet;
  readonly inputs: Sheet;
  /** Written after the session, in the file beside it. */
  readonly laterNotes: Sheet;
  readonly marks: Sheet;
  readonly clockMaps: Sheet;
  readonly devices: Sheet;
  readonly models: Sheet;
  readonly runs: Sheet;
  /** What was made of the recording afterwards. */
  readonly neuronModels: Sheet;
  readonly ablations: Sheet;
  readonly visualisations: Sheet;
  /** One row per presentation, in the order of the presentations sheet; columns by position in the channels sheet. */
  readonly counts: Matrix;
  readonly baselineCounts: Matrix;
  /** One row per image, in the order of the images sheet. */
  readonly latents: Matrix;
  /** One row per model, in the order of the neuron models sheet. */
  readonly coefficients: Matrix;
  readonly timeline: Timeline;
}

export const sheetNames = ["channels", "presentations", "trials", "steps", "generations", "scores", "images", "rewards", "events", "inputs", "laterNotes", "marks", "clockMaps", "devices", "models", "runs", "neuronModels", "ablations", "visualisations"] as const;

type Cell = number | null | undefined;

function makeSheet<Row>(name: string, description: string, rows: readonly Row[], columns: readonly ((rows: readonly Row[]) => Column)[]): Sheet {
  return { name, description, rows: rows.length, columns: columns.map((column) => column(rows)) };
}

function real<Row>(name: string, description: string, of: (row: Row) => Cell): (rows: readonly Row[]) => Column {
  return (rows) => ({ kind: "number", name, description, values: Float64Array.from(rows, (row) => of(row) ?? Number.NaN), whole: false });
}

function whole<Row>(name: string, description: string, of: (row: Row) => Cell): (rows: readonly Row[]) => Column {
  return (rows) => ({ kind: "number", name, description, values: Float64Array.from(rows, (row) => of(row) ?? Number.NaN), whole: true });
}

function text<Row>(name: string, description: string, of: (row: Row) => string | null): (rows: readonly Row[]) => Column {
  return (rows) => ({ kind: "text", name, description, values: rows.map((row) => of(row) ?? ""), few: false });
}

function word<Row>(name: string, description: string, of: (row: Row) => string | null): (rows: readonly Row[]) => Column {
  return (rows) => ({ kind: "text", name, description, values: rows.map((row) => of(row) ?? ""), few: true });
}

function flag<Row>(name: string, description: string, of: (row: Row) => boolean): (rows: readonly Row[]) => Column {
  return (rows) => ({ kind: "flag", name, description, values: Uint8Array.from(rows, (row) => (of(row) ? 1 : 0)) });
}

const timingConfig = z.object({ trial: z.object({ onMs: z.number().positive() }) });
/** SPEC 1: images are shown for 100 ms unless the configuration says otherwise. */
const defaultOnMs = 100;

/** How long an image is shown, from the session's configuration. */
function plannedOnMs(configJson: string): number {
  const parsed = timingConfig.safeParse(JSON.parse(configJson));
  return parsed.success ? parsed.data.trial.onMs : defaultOnMs;
}

/** When the image came up, by the best clock there is. */
export function onsetS(presentation: Stored<PresentationRecord>, timeline: Timeline): number {
  const { onsetRigNs, flipHostNs, scheduledHostNs, seq } = presentation;
  if (onsetRigNs !== null) return timeline.rigS(onsetRigNs, seq);
  return timeline.hostS(flipHostNs ?? scheduledHostNs, seq);
}

export function readSheets(reader: SessionReader): SessionSheets {
  const timeline = makeTimeline(reader);
  const channels = reader.channels();
  const sessionOnMs = plannedOnMs(reader.info().configJson);
  const steps = readSteps(reader.steps());
  const stepOf = new Map(steps.map((s) => [s.step, s]));
  const onMs = (p: PresentationRecord): number => (p.step === null ? null : stepOf.get(p.step)?.onMs) ?? sessionOnMs;
  const protocolOf = (step: number | null): string | null => (step === null ? null : (stepOf.get(step)?.protocol ?? null));
  const presentations = [...reader.presentations()].sort((a, b) => onsetS(a, timeline) - onsetS(b, timeline) || a.seq - b.seq);
  const trials = [...reader.trials()].sort((a, b) => timeline.hostS(a.startHostNs, a.seq) - timeline.hostS(b.startHostNs, b.seq) || a.seq - b.seq);
  const generations = reader.generations();
  const images = reader.images();
  const neuronModels = reader.neuronModels();
  const flipOf = new Map(reader.flips().map((flip) => [flip.presentationId, flip]));
  const generationSpan = makeGenerationSpan(presentations, timeline, onMs);
  const individual = new Map(images.flatMap((image) => (image.individual === null ? [] : [[`${image.thread}/${image.generation}/${image.individual}`, image.imageId] as const])));

  /** A mark is written when it comes, before it is matched: the presentation knows which one it was. */
  const onsetOf = new Map(presentations.flatMap((p) => (p.onsetRigNs !== null && (p.onsetSource === "photodiode" || p.onsetSource === "strobe") ? [[p.onsetRigNs as number, p.presentationId] as const] : [])));

  const events = reader.events();
  const eventSheet = (name: string, description: string, rows: readonly Stored<EventRecord>[]): Sheet =>
    makeSheet(name, description, rows, [
      real("time_s", "Seconds since the session's start", (e) => timeline.hostS(e.hostNs, e.seq)),
      word("category", "operator, alarm, fault, note, log, state or input", (e) => e.category),
      word("severity", "info, warn or fault", (e) => e.severity),
      text("code", "Kind of event", (e) => e.code),
      text("message", "What happened", (e) => e.message),
      text("data_json", "Details as JSON", (e) => e.dataJson),
    ]);

  return {
    timeline,
    channels: makeSheet("channels", "Recording channels.", channels, [
      whole("channel_index", "Channel number, 0-based; spikes and counts refer to it", (c) => c.index),
      text("name", "Name in the recording system", (c) => c.name),
      word("area", "Array or area; empty where unknown", (c) => c.area),
      real("x_mm", "Place on the array, mm", (c) => c.positionMm?.x),
      real("y_mm", "Place on the array, mm", (c) => c.positionMm?.y),
    ]),
    presentations: makeSheet("presentations", "Every image presentation, also those that do not count, by onset.", presentations, [
      real("start_s", "Onset, seconds since the session's start, by the best source there is", (p) => onsetS(p, timeline)),
      real("stop_s", "End of the image, from its frames and the planned duration", (p) => onsetS(p, timeline) + shownS(p, onMs(p))),
      whole("presentation_id", "Number of the presentation", (p) => p.presentationId),
      whole("trial_id", "Trial it belongs to", (p) => p.trialId),
      whole("image_id", "Image shown", (p) => p.imageId),
      whole("thread", "Evolution thread, 0-based; empty for images of none", (p) => p.thread),
      whole("generation", "Generation, 0-based; empty outside an evolution", (p) => p.generation),
      whole("target_channel", "Channel whose response was scored", (p) => p.targetChannel),
      real("rate_hz", "Response of the target channel, spikes/s; empty where it does not count", (p) => p.rateHz),
      real("window_start_ms", "Start of the response window after onset, ms", (p) => p.windowStartMs),
      real("window_end_ms", "End of the response window after onset, ms", (p) => p.windowEndMs),
      whole("step", "Step of the session's plan, 0-based; empty in files that know no steps", (p) => p.step),
      word("protocol", "Protocol of that step", (p) => protocolOf(p.step)),
      whole("block", "Block within the step, 0-based", (p) => p.block),
      whole("item", "What the block knows the planned presentation by", (p) => p.item),
      real("centre_x_deg", "Centre of the image from the fixation spot, degrees to the right; empty where it was where the session places images", (p) => p.placement?.centreXDeg),
      real("centre_y_deg", "The same, degrees upwards", (p) => p.placement?.centreYDeg),
      real("size_deg", "Side of the image, degrees", (p) => p.placement?.sizeDeg),
      real("centre_x_px", "Centre of the image on the screen, px from the left", (p) => p.placement?.centreXPx),
      real("centre_y_px", "The same, px from the top", (p) => p.placement?.centreYPx),
      real("size_px", "Side of the image on the screen, px", (p) => p.placement?.sizePx),
      word("excluded_because", "Why it does not count; empty where it does", (p) => p.excluded),
      word("onset_source", "Where the onset comes from: photodiode, strobe, flip or scheduled; empty where it has none on the rig clock", (p) => p.onsetSource),
      real("onset_rig_ns", "Onset on the rig's clock, ns", (p) => p.onsetRigNs),
      real("flip_host_ns", "First frame on the computer's clock, ns", (p) => p.flipHostNs),
      real("scheduled_host_ns", "Planned first frame on the computer's clock, ns", (p) => p.scheduledHostNs),
      whole("frames_planned", "Frames planned", (p) => p.framesPlanned),
      whole("frames_shown", "Frames shown", (p) => p.framesShown),
      whole("late_frames", "Frames that came late", (p) => p.lateFrames),
      real("offset_host_ns", "Blank after the image on the computer's clock, ns; empty in sessions of before file version 3", (p) => flipOf.get(p.presentationId)?.offsetHostNs),
      whole("frames_seen", "Refreshes that the photodiode saw the image for; empty where the rig cannot tell", (p) => flipOf.get(p.presentationId)?.framesSeen),
      whole("frames_repeated", "Refreshes that the photodiode saw twice; only with the coded patch", (p) => flipOf.get(p.presentationId)?.framesRepeated),
      whole("frames_dropped", "Refreshes that the photodiode never saw; only with the coded patch", (p) => flipOf.get(p.presentationId)?.framesDropped),
      real("onset_error_ms", "Photodiode's onset less the flip with the display's calibrated lag, ms", (p) => flipOf.get(p.presentationId)?.onsetErrorMs),
    ]),
    trials: makeSheet("trials", "Fixation trials by start.", trials, [
      real("start_s", "Start, seconds since the session's start", (t) => timeline.hostS(t.startHostNs, t.seq)),
      real("stop_s", "End, seconds since the session's start", (t) => timeline.hostS(t.endHostNs, t.seq)),
      whole("trial_id", "Number of the trial", (t) => t.trialId),
      word("outcome", "How it ended", (t) => t.outcome),
      whole("images_planned", "Images planned", (t) => t.imagesPlanned),
      whole("images_completed", "Images completed", (t) => t.imagesCompleted),
      real("reward_ms", "Reward given, ms of pulse", (t) => t.rewardMs),
    ]),
    steps: makeSheet("steps", "Steps of the session's plan and what came of them.", steps, [
      real("start_s", "When it began, seconds since the session's start", (s) => timeline.hostS(s.begun.hostNs, s.begun.seq)),
      real("stop_s", "When it ended; its beginning where it did not", (s) => timeline.hostS((s.ended ?? s.begun).hostNs, (s.ended ?? s.begun).seq)),
      whole("step", "Place in the plan, 0-based", (s) => s.step),
      word("protocol", "Protocol; of a lab's own its name", (s) => s.protocol),
      text("title", "What the operator calls it", (s) => s.begun.title),
      word("outcome", "done or skipped; empty where it did not end", (s) => s.ended?.state ?? null),
      text("settings_json", "Its settings as JSON", (s) => s.begun.settingsJson),
      text("source_sha256", "Of the source of a lab's own protocol; empty for those that Evoked has", (s) => s.begun.sourceSha256 ?? ""),
      text("report", "What came of it, in sentences", (s) => s.sentences.join(" ")),
      text("tables_json", "What came of it, as tables in JSON", (s) => s.tablesJson),
    ]),
    generations: makeSheet("generations", "Generations of the evolution.", generations, [
      real("start_s", "Onset of its first image, seconds since the session's start", (g) => generationSpan(g.thread, g.generation, g.hostNs, g.seq)[0]),
      real("stop_s", "End of its last image, seconds since the session's start", (g) => generationSpan(g.thread, g.generation, g.hostNs, g.seq)[1]),
      whole("thread", "Evolution thread, 0-based", (g) => g.thread),
      whole("generation", "Generation, 0-based", (g) => g.generation),
      whole("target_channel", "Channel whose response was scored", (g) => g.targetChannel),
      word("optimizer", "Optimizer", (g) => g.optimizer),
      real("evolved_mean_hz", "Mean response to evolved images, spikes/s", (g) => g.evolvedMean),
      real("evolved_sem_hz", "Its standard error", (g) => g.evolvedSem),
      real("reference_mean_hz", "Mean response to reference images, spikes/s", (g) => g.referenceMean),
      real("reference_sem_hz", "Its standard error", (g) => g.referenceSem),
      real("step_size", "Step size of the optimizer, latent units", (g) => g.stepSize),
      whole("missing_count", "Individuals without a response", (g) => g.missing),
      whole("best_image_id", "Image of the highest score", (g) => g.bestImageId),
    ]),
    scores: makeSheet(
      "scores",
      "Score of every individual of every generation.",
      generations.flatMap((g) => Array.from(g.scores, (score, row) => ({ g, score, row }))),
      [
        whole("thread", "Evolution thread, 0-based", ({ g }) => g.thread),
        whole("generation", "Generation, 0-based", ({ g }) => g.generation),
        whole("individual", "Row in the population, 0-based", ({ row }) => row),
        whole("image_id", "Image of the individual", ({ g, row }) => individual.get(`${g.thread}/${g.generation}/${row}`)),
        real("score_hz", "Score, spikes/s; empty where no response could be had", ({ score }) => score),
      ],
    ),
    images: makeSheet("images", "Images of the session.", images, [
      whole("image_id", "Number of the image", (i) => i.imageId),
      word("image_kind", "What the image is", (i) => i.imageKind),
      whole("thread", "Evolution thread, 0-based; empty for images of none", (i) => i.thread),
      whole("generation", "Generation, 0-based; empty outside an evolution", (i) => i.generation),
      whole("individual", "Row in the population; empty for references", (i) => i.individual),
      whole("step", "Step of the session's plan that it was made for; empty in files that know no steps", (i) => i.step),
      word("protocol", "Protocol of that step", (i) => protocolOf(i.step)),
      text("image_key", "What the step knows it by; empty in files that know no steps", (i) => i.key ?? ""),
      text("label", "File name or other origin", (i) => i.label),
      whole("width_px", "Width, px", (i) => i.widthPx),
      whole("height_px", "Height, px", (i) => i.heightPx),
    ]),
    rewards: makeSheet("rewards", "Rewards.", reader.rewards(), [
      real("time_s", "Seconds since the session's start", (r) => timeline.hostS(r.hostNs, r.seq)),
      real("pulse_ms", "Length of the pulse, ms", (r) => r.pulseMs),
      word("cause", "Given by the trial or by hand", (r) => r.cause),
      flag("delivered", "Whether the device gave it", (r) => r.delivered),
    ]),
    events: eventSheet("events", "Operator actions, alarms, faults and notes.", events.filter((e) => e.category !== "input")),
    inputs: eventSheet("inputs", "What reached the closed loop besides spikes, gaze and marks, kept for replay.", events.filter((e) => e.category === "input")),
    laterNotes: makeSheet("later_notes", "Notes that were written after the session.", unwrap(readLaterNotes(reader.file)), [
      text("at_utc", "When it was written", (n) => n.atUtc),
      text("text", "The note", (n) => n.text),
      text("note_id", "Its name in every copy of the session's notes", (n) => n.id),
    ]),
    marks: makeSheet("marks", "Photodiode and digital marks on the rig's clock.", reader.marks(), [
      real("time_s", "Seconds since the session's start", (m) => timeline.rigS(m.rigNs, m.seq)),
      word("mark_kind", "photodiode, strobe or ttl", (m) => m.markKind),
      whole("line", "Line of a digital mark", (m) => m.line),
      flag("state", "State of the line after the change", (m) => m.state),
      whole("word", "Word on the port, where the rig has one", (m) => m.word),
      whole("presentation_id", "Presentation whose onset it is; empty where unmatched", (m) => m.presentationId ?? onsetOf.get(m.rigNs)),
      real("rig_ns", "Time on the rig's clock, ns", (m) => m.rigNs),
    ]),
    clockMaps: makeSheet("clock_maps", "Rig clock against host clock: rig = anchor_rig + (host - anchor_host) * (1 + drift / 1e6).", reader.clockMaps(), [
      real("time_s", "Seconds since the session's start", (c) => timeline.hostS(c.hostNs, c.seq)),
      real("anchor_host_ns", "Anchor on the computer's clock, ns", (c) => c.anchorHostNs),
      real("anchor_rig_ns", "Anchor on the rig's clock, ns", (c) => c.anchorRigNs),
      real("drift_ppm", "Drift of the rig's clock, parts per million", (c) => c.driftPpm),
      real("uncertainty_ms", "Uncertainty of the map, ms", (c) => c.uncertaintyMs),
    ]),
    devices: makeSheet("devices", "Devices of the rig.", reader.devices(), [
      word("role", "What it is for", (d) => d.role),
      text("name", "Name", (d) => d.name),
      text("detail", "Settings", (d) => d.detail),
    ]),
    models: makeSheet("models", "Models used.", reader.models(), [
      word("role", "generator or encoder", (m) => m.role),
      text("model_id", "Name of the model", (m) => m.id),
      text("sha256", "Hash of the model file", (m) => m.sha256),
      text("provider", "Execution provider", (m) => m.provider),
    ]),
    runs: makeSheet("runs", "Recordings of this session: the first and every resumption.", reader.runs(), [
      whole("run", "Number", (r) => r.run),
      text("started_utc", "Start", (r) => r.startedUtc),
      text("ended_utc", "End; empty where it was cut short", (r) => r.endedUtc),
      whole("first_seq", "First record", (r) => r.firstSeq),
      whole("last_seq", "Last record", (r) => r.lastSeq),
      text("app_version", "Version of Evoked", (r) => r.appVersion),
    ]),
    neuronModels: makeSheet("neuron_models", "Linear models of channels, fitted on this session: rate = coefficients . features + intercept.", neuronModels, [
      whole("channel_index", "Channel whose rate the model predicts", (m) => m.channel),
      text("channel_name", "Its name in the recording system", (m) => m.channelName),
      word("encoder_id", "Network whose features the model reads", (m) => m.encoderId),
      text("encoder_sha256", "Hash of the network's file", (m) => m.encoderSha256),
      word("layer", "Layer of the network", (m) => m.layer),
      word("method", "pls, lasso or ridge", (m) => m.method),
      whole("components", "Components of PLS; empty for other methods", (m) => m.components),
      real("penalty", "L1 or L2 penalty; empty for PLS", (m) => m.penalty),
      word("split", "How images were held out: none, holdOut or folds", (m) => m.split),
      real("split_seed", "Seed of the split", (m) => m.splitSeed),
      whole("train_images", "Images fitted on", (m) => m.trainImages),
      whole("test_images", "Images held out", (m) => m.testImages),
      real("r2_train", "Coefficient of determination on the images fitted on", (m) => m.r2Train),
      real("r2_test", "Coefficient of determination on the images held out", (m) => m.r2Test),
      real("r", "Pearson's r on the images held out, on all where none were", (m) => m.r),
      real("noise_ceiling_r", "Highest r that a perfect model could have; empty without repeats", (m) => m.noiseCeilingR),
      real("noise_corrected_r", "r over the noise ceiling", (m) => m.noiseCorrectedR),
      real("positive_to_negative", "Total positive over total absolute negative weight; empty without a negative one", (m) => m.positiveToNegative),
      flag("converged", "Whether the fit converged", (m) => m.converged),
      real("intercept_hz", "Intercept, spikes/s", (m) => m.interceptHz),
      text("weights_sha256", "Name of the model, for its ablations", (m) => m.weightsSha256),
      text("settings_json", "Further settings as JSON", (m) => m.settingsJson),
    ]),
    ablations: makeSheet("ablations", "Models without a share of their weights of one sign.", reader.ablations(), [
      text("unit", "Unit that the model is of", (a) => a.unit),
      text("weights_sha256", "Name of the model", (a) => a.weightsSha256),
      word("encoder_id", "Network whose features the model reads", (a) => a.encoderId),
      word("layer", "Layer of the network", (a) => a.layer),
      word("sign", "Sign of the weights removed", (a) => a.sign),
      real("alpha", "Share of the sign's total to remove, 0 to 1", (a) => a.alpha),
      word("rule", "atMost: the largest weights that sum to at most alpha; reach: the fewest that reach it", (a) => a.rule),
      whole("weights", "Weights of the model", (a) => a.weights),
      whole("zeroed", "Weights removed", (a) => a.zeroed),
      real("removed_share", "Share of the sign's total that was removed, 0 to 1", (a) => a.removedShare),
    ]),
    visualisations: makeSheet("visualisations", "Images evolved for ablated models; pixels and latent codes are in the session file.", reader.visualisations(), [
      text("weights_sha256", "Name of the model", (v) => v.weightsSha256),
      word("sign", "Sign of the weights removed", (v) => v.sign),
      real("alpha", "Share of the sign's total to remove, 0 to 1", (v) => v.alpha),
      word("rule", "Reading of alpha", (v) => v.rule),
      word("generator_id", "Generator of the image", (v) => v.generatorId),
      text("generator_sha256", "Hash of the generator's file", (v) => v.generatorSha256),
      whole("run", "Run of the evolution, 0-based", (v) => v.run),
      real("seed", "Seed of the evolution", (v) => v.seed),
      word("image_of", "best: the best image; mean: the one at the mean of the final distribution", (v) => v.imageOf),
      whole("generation", "Generation of the best image, 0-based", (v) => v.generation),
      real("activation_hz", "Predicted rate of the ablated model, spikes/s", (v) => v.activationHz),
      real("intact_activation_hz", "Predicted rate of the intact model, spikes/s", (v) => v.intactActivationHz),
      real("object_energy", "Mean |image - background|, 0 to 1; empty where it is not known", (v) => v.objectEnergy),
      real("objectness", "Highest box score of a detector, 0 to 1; empty without one", (v) => v.objectness),
      text("settings_json", "Further settings as JSON", (v) => v.settingsJson),
    ]),
    counts: countsMatrix("counts", "Spikes of each channel in the response window; -1 where the presentation does not count.", presentations, channels.length, (p) => p.counts),
    baselineCounts: countsMatrix("baseline_counts", "Spikes of each channel in the baseline window; -1 where there is no value.", presentations, channels.length, (p) => p.baselineCounts),
    latents: raggedMatrix("latents", "Latent code of each image; NaN for images that have none.", images.map((image) => image.latent)),
    coefficients: raggedMatrix("coefficients_hz", "Weight of each feature, spikes/s per unit of activation; NaN beyond the features of the layer.", neuronModels.map((model) => model.coefficientsHz)),
  };
}

interface SheetStep {
  readonly step: number;
  readonly protocol: string;
  readonly begun: Stored<StepRecord>;
  readonly ended: Stored<StepRecord> | null;
  /** null = the session's. */
  readonly onMs: number | null;
  readonly sentences: readonly string[];
  readonly tablesJson: string;
}

const stepSettings = z.object({ onMs: z.number().nullable().optional(), protocol: z.string(), name: z.string().optional() });
const stepReport = z.object({ report: z.object({ sentences: z.array(z.string()), tables: z.array(z.unknown()) }) });

function readSteps(rows: readonly Stored<StepRecord>[]): readonly SheetStep[] {
  return rows.flatMap((begun): SheetStep[] => {
    if (begun.state !== "begun") return [];
    const ended = rows.find((r) => r.state !== "begun" && r.step === begun.step) ?? null;
    const settings = stepSettings.safeParse(JSON.parse(begun.settingsJson)).data;
    const report = ended === null ? undefined : stepReport.safeParse(JSON.parse(ended.dataJson)).data?.report;
    return [{
      step: begun.step, protocol: settings?.name ?? begun.protocol, begun, ended, onMs: settings?.onMs ?? null,
      sentences: report?.sentences ?? [], tablesJson: JSON.stringify(report?.tables ?? []),
    }];
  });
}

function shownS(p: PresentationRecord, onMs: number): number {
  return p.framesPlanned === 0 ? 0 : ((p.framesShown / p.framesPlanned) * onMs) / 1000;
}

/** First onset and last end of a generation's presentations; where it has none, the time of its record. */
function makeGenerationSpan(presentations: readonly Stored<PresentationRecord>[], timeline: Timeline, onMs: (p: PresentationRecord) => number): (thread: number, generation: number, hostNs: number, seq: number) => [number, number] {
  const spans = new Map<string, [number, number]>();
  for (const p of presentations) {
    const start = onsetS(p, timeline);
    const key = `${p.thread}/${p.generation}`;
    const span = spans.get(key);
    if (span === undefined) spans.set(key, [start, start + shownS(p, onMs(p))]);
    else span[1] = Math.max(span[1], start + shownS(p, onMs(p)));
  }
  return (thread, generation, hostNs, seq) => spans.get(`${thread}/${generation}`) ?? [timeline.hostS(hostNs, seq), timeline.hostS(hostNs, seq)];
}

function countsMatrix(name: string, description: string, presentations: readonly PresentationRecord[], channels: number, of: (p: PresentationRecord) => Uint16Array | null): Matrix {
  const width = presentations.reduce((most, p) => Math.max(most, of(p)?.length ?? 0), channels);
  const values = new Int32Array(presentations.length * width).fill(-1);
  presentations.forEach((p, row) => of(p)?.forEach((count, column) => (values[row * width + column] = count)));
  return { name, description, rows: presentations.length, columns: width, values };
}

/** Rows of different lengths side by side, NaN where a row is shorter or there is none. */
function raggedMatrix(name: string, description: string, rows: readonly (Float32Array | Float64Array | null)[]): Matrix {
  const width = rows.reduce((most, row) => Math.max(most, row?.length ?? 0), 0);
  const values = new Float64Array(rows.length * width).fill(Number.NaN);
  rows.forEach((row, at) => row !== null && values.set(row, at * width));
  return { name, description, rows: rows.length, columns: width, values };
}
