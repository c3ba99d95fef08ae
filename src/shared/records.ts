// What the session file holds, record by record, in the order it happened. The loop and engine write these; the session folder stores
// and reads them. Knows nothing about SQL.
import type { VisualPlacement } from "./ports.ts";
import type { PixelSquare } from "./visualAngle.ts";
import type { HostTimeNs, RigTimeNs } from "./units.ts";
import type { ChannelInfo, EyeBatch, ExcludedBecause, ImageKind, OnsetSource, SpikeBatch, TrialOutcome } from "./values.ts";

/** Every record carries the session's one global sequence number (1, 2, 3, ... without holes) and the host time it was made. */
export type SessionRecord = { readonly seq: number; readonly hostNs: HostTimeNs } & SessionRecordBody;

export type SessionRecordBody =
  | DevicesRecord
  | StepRecord
  | ChannelsRecord
  | ModelRecord
  | ImageRecord
  | TrialRecord
  | PresentationRecord
  | GenerationRecord
  | SpikesRecord
  | EyeRecord
  | ClockRecord
  | MarkRecord
  | RewardRecord
  | EventRecord
  | DisplayCalibrationRecord
  | FlipRecord
  | NeuronModelRecord
  | AblationRecord
  | VisualisationRecord
  | ExportRecord;

export interface DevicesRecord {
  readonly kind: "devices";
  readonly devices: readonly { readonly role: "spikes" | "eye" | "reward" | "sync" | "display"; readonly name: string; readonly detail: string }[];
}

/** A step of the session's plan begins or ends. */
export interface StepRecord {
  readonly kind: "step";
  /** Place in the plan, 0-based: the order in which steps ran. */
  readonly step: number;
  readonly state: "begun" | "done" | "skipped";
  /** E.g. "rfMapping"; "lab" for a lab's own, whose name is in the settings. */
  readonly protocol: string;
  readonly title: string;
  /** JSON text of the step's settings. */
  readonly settingsJson: string;
  /** Of the source of a lab's own protocol, hexadecimal; null for those that Evoked has. */
  readonly sourceSha256: string | null;
  /** JSON text. Begun: what earlier steps passed on. Ended: the report, and what is passed on now. */
  readonly dataJson: string;
}

export interface ChannelsRecord {
  readonly kind: "channels";
  readonly channels: readonly ChannelInfo[];
}

export interface ModelRecord {
  readonly kind: "model";
  readonly role: "generator" | "encoder";
  readonly id: string;
  readonly sha256: string;
  readonly provider: string;
}

export interface ImageRecord {
  readonly kind: "image";
  readonly imageId: number;
  readonly imageKind: ImageKind;
  /** Evolution thread, 0-based; null for images of no thread. */
  readonly thread: number | null;
  readonly generation: number | null;
  /** Row in the population; null for references. */
  readonly individual: number | null;
  /** Step of the plan that it was made for; null in files of version 3 and before, and for images that were sent for a step to come. */
  readonly step: number | null;
  /** What the step's protocol knows it by, unique within the step; null in files of version 3 and before. */
  readonly key: string | null;
  /** File name or other origin. */
  readonly label: string;
  readonly widthPx: number;
  readonly heightPx: number;
  /** RGB bytes, row-major. The writer stores them as PNG with their sha256. */
  readonly rgb: Uint8Array;
  readonly latent: Float32Array | Float64Array | null;
}

export interface TrialRecord {
  readonly kind: "trial";
  readonly trialId: number;
  readonly startHostNs: HostTimeNs;
  readonly endHostNs: HostTimeNs;
  readonly outcome: TrialOutcome;
  readonly imagesPlanned: number;
  readonly imagesCompleted: number;
  readonly rewardMs: number;
}

export interface PresentationRecord {
  readonly kind: "presentation";
  readonly presentationId: number;
  readonly trialId: number;
  readonly imageId: number;
  readonly thread: number | null;
  readonly generation: number | null;
  readonly scheduledHostNs: HostTimeNs;
  readonly flipHostNs: HostTimeNs | null;
  readonly onsetRigNs: RigTimeNs | null;
  readonly onsetSource: OnsetSource | null;
  readonly framesPlanned: number;
  readonly framesShown: number;
  readonly lateFrames: number;
  /** Spikes per channel in the response window; null when excluded before the window closed. Length = channel count. */
  readonly counts: Uint16Array | null;
  /** Spikes per channel in the baseline window before onset. */
  readonly baselineCounts: Uint16Array | null;
  /** Target rate in the response window, spikes/s; null when excluded. */
  readonly rateHz: number | null;
  readonly targetChannel: number;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly excluded: ExcludedBecause | null;
  /** Step of the plan, block within it, and what the block knows the planned presentation by; null in files of version 3 and before. */
  readonly step: number | null;
  readonly block: number | null;
  readonly item: number | null;
  /** Where the image was, seen and on the screen; null = where the session places images. */
  readonly placement: (VisualPlacement & PixelSquare) | null;
}

export interface GenerationRecord {
  readonly kind: "generation";
  readonly thread: number;
  readonly generation: number;
  readonly targetChannel: number;
  readonly optimizer: string;
  /** Whole optimizer state, encoded, before tell and after it. */
  readonly stateBefore: Uint8Array;
  readonly stateAfter: Uint8Array;
  /** State of the loop's own random streams after this generation (JSON text). */
  readonly rngState: string;
  /** Score of each individual, spikes/s; NaN where no response could be had. */
  readonly scores: Float64Array;
  readonly evolvedMean: number;
  readonly evolvedSem: number;
  readonly referenceMean: number;
  readonly referenceSem: number;
  readonly stepSize: number;
  readonly missing: number;
  readonly bestImageId: number | null;
}

export interface SpikesRecord {
  readonly kind: "spikes";
  readonly batch: SpikeBatch;
}

export interface EyeRecord {
  readonly kind: "eye";
  readonly batch: EyeBatch;
}

export interface ClockRecord {
  readonly kind: "clock";
  /** rigNs = anchorRigNs + (hostNs - anchorHostNs) * (1 + driftPpm / 1e6). */
  readonly anchorHostNs: HostTimeNs;
  readonly anchorRigNs: RigTimeNs;
  readonly driftPpm: number;
  readonly uncertaintyMs: number;
}

export interface MarkRecord {
  readonly kind: "mark";
  readonly markKind: "photodiode" | "strobe" | "ttl";
  readonly rigNs: RigTimeNs;
  readonly line: number;
  readonly state: boolean;
  readonly word: number | null;
  /** The presentation that this mark was matched to; null for an unmatched mark. */
  readonly presentationId: number | null;
}

export interface RewardRecord {
  readonly kind: "reward";
  readonly pulseMs: number;
  readonly cause: "trial" | "manual";
  readonly delivered: boolean;
}

/** Everything a reader of the log should see: operator actions, alarms, faults, notes. */
export interface EventRecord {
  readonly kind: "event";
  /** "note" and "engine" are written beside the loop: replay passes them over. "input": something that reached the loop, written for replay; windows and people need not see it. */
  readonly category: "operator" | "alarm" | "fault" | "note" | "log" | "state" | "input" | "engine";
  readonly severity: "info" | "warn" | "fault";
  readonly code: string;
  /** A sentence for people; "" = nothing to read, kept for replay and resuming. */
  readonly message: string;
  /** JSON text with the details, "" where there are none. */
  readonly dataJson: string;
}

/** Whether people read it in a log: what has a sentence and is not there for replay alone. */
export function isLogLine(event: Pick<EventRecord, "category" | "message">): boolean {
  return event.category !== "input" && event.message !== "";
}

/** What the display's lag was at the start of a run: flashes of the photodiode patch against the marks that the rig had of them. */
export interface DisplayCalibrationRecord {
  readonly kind: "displayCalibration";
  /** As the window measured it. */
  readonly refreshHz: number;
  readonly photodiodeCode: "onset" | "frames";
  readonly flashes: number;
  /** Flashes that had a mark. */
  readonly marks: number;
  /** Flashes whose duration the marks told, to a refresh: at half of them or more, durations of images are checked too. */
  readonly durationsSeen: number;
  /** Mark minus flip, ms; null without two marks. Flips after this are placed on the rig clock with the median. */
  readonly lagMsMedian: number | null;
  readonly lagMsMean: number | null;
  readonly lagMsSd: number | null;
  readonly lagMsMin: number | null;
  readonly lagMsMax: number | null;
  /** Why there is none, in a sentence; "" where there is one. */
  readonly skipped: string;
}

/** How one presentation went on the display: what was planned, what the window says, what the photodiode saw. */
export interface FlipRecord {
  readonly kind: "flip";
  readonly presentationId: number;
  /** When the plan wanted the first frame, and when it was drawn. */
  readonly plannedHostNs: HostTimeNs;
  readonly onsetHostNs: HostTimeNs;
  /** When the blank after it was drawn; null where that was never reported. */
  readonly offsetHostNs: HostTimeNs | null;
  readonly framesPlanned: number;
  /** Frames that the window counted, and those it knows to have come late. */
  readonly framesShown: number;
  readonly lateFrames: number;
  /** Frames that the photodiode saw it lit for; null where the rig has no marks of both edges. */
  readonly framesSeen: number | null;
  /** Refreshes seen twice and refreshes never seen; null but under the code "frames". */
  readonly framesRepeated: number | null;
  readonly framesDropped: number | null;
  /** Photodiode's onset less the flip with the display's lag added, ms; null without a mark. */
  readonly onsetErrorMs: number | null;
}

/** A linear model of one channel, fitted on the session: rate = coefficients . features + intercept, features being raw activations of the layer. */
export interface NeuronModelRecord {
  readonly kind: "neuronModel";
  /** Of the encoder's id, layer, intercept and coefficients, hexadecimal: the name by which ablations and visualisations know the model. */
  readonly weightsSha256: string;
  readonly channel: number;
  readonly channelName: string;
  readonly encoderId: string;
  readonly encoderSha256: string;
  readonly layer: string;
  readonly method: "pls" | "lasso" | "ridge";
  /** PLS components; null for other methods. */
  readonly components: number | null;
  /** L1 or L2 penalty; null for PLS. */
  readonly penalty: number | null;
  readonly split: "none" | "holdOut" | "folds";
  readonly splitSeed: number;
  readonly trainImages: number;
  /** 0 with split "none". */
  readonly testImages: number;
  /** Scores are null where they are undefined: constant responses, or no image held out. */
  readonly r2Train: number | null;
  readonly r2Test: number | null;
  /** Pearson's, on the held-out images (on all with split "none"). */
  readonly r: number | null;
  /** Highest r that a perfect model could have; null without repeats. */
  readonly noiseCeilingR: number | null;
  readonly noiseCorrectedR: number | null;
  /** Total positive over total absolute negative weight; null without a negative one. */
  readonly positiveToNegative: number | null;
  readonly converged: boolean;
  /** JSON text: everything else that decides the model. */
  readonly settingsJson: string;
  readonly interceptHz: number;
  /** [features], spikes/s per unit of activation. */
  readonly coefficientsHz: Float32Array | Float64Array;
}

/** A model without the share `alpha` of the total weight of one sign. alpha 0 is the intact model. */
export interface AblationRecord {
  readonly kind: "ablation";
  /** The model; it need not be stored in this session. */
  readonly weightsSha256: string;
  /** Name of the unit, e.g. of the channel. */
  readonly unit: string;
  readonly encoderId: string;
  readonly encoderSha256: string;
  readonly layer: string;
  readonly sign: "positive" | "negative";
  /** 0 to 1. */
  readonly alpha: number;
  /** "atMost": the largest k weights that sum to at most alpha of the total; "reach": the smallest k that reach it. */
  readonly rule: "atMost" | "reach";
  readonly weights: number;
  readonly zeroed: number;
  /** Share of the sign's total that was removed, 0 to 1. */
  readonly removedShare: number;
}

/** An image evolved for an ablated model; model, sign, alpha and rule name the ablation. */
export interface VisualisationRecord {
  readonly kind: "visualisation";
  readonly weightsSha256: string;
  readonly sign: "positive" | "negative";
  readonly alpha: number;
  readonly rule: "atMost" | "reach";
  readonly generatorId: string;
  readonly generatorSha256: string;
  /** 0-based. */
  readonly run: number;
  readonly seed: number;
  /** The best single image of the evolution, or the one at the mean of its final search distribution. */
  readonly imageOf: "best" | "mean";
  /** In which the best image came, 0-based; null for the mean. */
  readonly generation: number | null;
  /** Predicted rate of the ablated and of the intact model, spikes/s. */
  readonly activationHz: number;
  readonly intactActivationHz: number;
  /** Mean |image - background|, 0 to 1; null where the generator does not know them apart. */
  readonly objectEnergy: number | null;
  /** Highest box score of a detector, 0 to 1; null without one. */
  readonly objectness: number | null;
  /** JSON text: everything else that decides the evolution. */
  readonly settingsJson: string;
  readonly widthPx: number;
  readonly heightPx: number;
  /** RGB bytes, row-major. The writer stores them as PNG with their sha256. */
  readonly rgb: Uint8Array;
  readonly latent: Float32Array | Float64Array;
}

/** An export that was written and compared with the session. */
export interface ExportRecord {
  readonly kind: "export";
  readonly atUtc: string;
  /** "nwb", "mat", "csv", "parquet", "sqlite" or "images". */
  readonly format: string;
  /** Absolute path, a file or a folder. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Of the file, hexadecimal; null for a folder. */
  readonly sha256: string | null;
  /** Comparisons with the session, all equal. */
  readonly checks: number;
  readonly appVersion: string;
}

/** The subject as an archive needs it (DANDI: id, sex, Latin species name, and an age or a date of birth). */
export interface SubjectInfo {
  readonly id: string;
  /** Latin name of two words, e.g. "Macaca mulatta". */
  readonly species: string;
  readonly sex: "M" | "F" | "O" | "U";
  /** Age at the session as an ISO 8601 duration, e.g. "P7Y"; null where the date of birth is given. */
  readonly age: string | null;
  /** ISO 8601 date, e.g. "2016-04-30"; null where unknown. */
  readonly dateOfBirth: string | null;
  readonly weightKg: number | null;
  readonly description: string;
}

/** Everything about a session that is known before its first record. */
export interface SessionInfo {
  /** UUID. */
  readonly id: string;
  readonly subject: SubjectInfo;
  /** ISO 8601 instant with zone, e.g. "2025-11-22T13:45:00.000Z" or "...+01:00". */
  readonly startedUtc: string;
  /** The one seed that decides everything random. */
  readonly seed: string;
  /** Name of the rig, e.g. "Synthetic rig". */
  readonly rig: string;
  /** Name of the protocol, e.g. "evolution". */
  readonly protocol: string;
  /** The full configuration as JSON text. */
  readonly configJson: string;
  readonly appVersion: string;
  readonly hostKind: "electron" | "web" | "cli" | "test";
  /** One sentence on what was done; goes into every export. */
  readonly description: string;
  readonly experimenters: readonly string[];
  readonly lab: string;
  readonly institution: string;
}

/** One line of the sessions list. */
export interface SessionSummary {
  readonly file: string;
  readonly id: string;
  readonly subjectId: string;
  readonly startedUtc: string;
  /** Host time from the first to the last record, over all runs. */
  readonly durationS: number;
  readonly rig: string;
  readonly protocol: string;
  /** Name of the target channel of the newest generation; null before the first. */
  readonly target: string | null;
  readonly generations: number;
  readonly presentations: number;
  /** Means of the newest generation, spikes/s; null before the first or where no response could be had. */
  readonly evolvedMean: number | null;
  readonly referenceMean: number | null;
  readonly state: "recording" | "finished" | "interrupted";
  readonly sizeBytes: number;
  /** Image to show for the session: the best of the newest generation; null where there is none. */
  readonly thumbnailImageId: number | null;
}
