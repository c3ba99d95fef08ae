// What the session file holds, record by record, in the order it happened. The loop and engine write these; the session folder stores
// and reads them. Knows nothing about SQL.
import type { HostTimeNs, RigTimeNs } from "./units.ts";
import type { ChannelInfo, EyeBatch, ExcludedBecause, ImageKind, OnsetSource, SpikeBatch, TrialOutcome } from "./values.ts";

/** Every record carries the session's one global sequence number (1, 2, 3, ... without holes) and the host time it was made. */
export type SessionRecord = { readonly seq: number; readonly hostNs: HostTimeNs } & SessionRecordBody;

export type SessionRecordBody =
  | DevicesRecord
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
  | EventRecord;

export interface DevicesRecord {
  readonly kind: "devices";
  readonly devices: readonly { readonly role: "spikes" | "eye" | "reward" | "display"; readonly name: string; readonly detail: string }[];
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
  readonly category: "operator" | "alarm" | "fault" | "note" | "log" | "state";
  readonly severity: "info" | "warn" | "fault";
  readonly code: string;
  readonly message: string;
  /** JSON text with the details, "" where there are none. */
  readonly dataJson: string;
}
