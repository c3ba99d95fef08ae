// Value types that cross folder borders: channels, spikes, eye samples, images, presentations.
// Knows nothing about where they come from or who stores them.
import type { HostTimeNs, RigTimeNs } from "./units.ts";

/** One recording channel or online-sorted unit, as the source announces it. */
export interface ChannelInfo {
  /** Position in the source's channel list, 0-based; the number that spike batches carry. */
  readonly index: number;
  /** The source's own name, e.g. "CH12" or "A-003". */
  readonly name: string;
  /** Array or area, e.g. "V1", "V4", "PIT"; "" where the source does not know. */
  readonly area: string;
  /** Place on the array, in mm; null where unknown. */
  readonly positionMm: { readonly x: number; readonly y: number } | null;
}

/** Spikes between two rig times, in time order. The arrays have equal length and belong to the receiver. */
export interface SpikeBatch {
  /** Spike times on the rig clock, ns. */
  readonly timesRigNs: Float64Array;
  /** Channel index of each spike. */
  readonly channels: Uint16Array;
  /** Sorted unit of each spike, 0 = unsorted. */
  readonly units: Uint8Array;
  /** The stream's own clock: every spike before this rig time has been delivered. */
  readonly watermarkRigNs: RigTimeNs;
  /** When this computer received the newest part of the batch. */
  readonly arrivedHostNs: HostTimeNs;
}

/** Gaze in degrees of visual angle relative to the fixation spot, right and up positive. Equal lengths. */
export interface EyeBatch {
  readonly timesRigNs: Float64Array;
  readonly xDeg: Float32Array;
  readonly yDeg: Float32Array;
  /** 1 where the tracker sees the eye, 0 in a blink or when the track is lost. */
  readonly valid: Uint8Array;
}

/** What an eye tracker says before any calibration, in its own units. Equal lengths, times ascending, on the clock that `clock` names. */
export interface RawGazeBatch {
  readonly clock: "host" | "rig";
  readonly timesNs: Float64Array;
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** 1 where the tracker sees the eye. */
  readonly valid: Uint8Array;
}

/** Samples of one continuous channel, evenly spaced. */
export interface AnalogBlock {
  /** The source's own name of the channel. */
  readonly channel: string;
  /** Rig time of the first sample, ns. */
  readonly startRigNs: number;
  readonly sampleRateHz: number;
  readonly count: number;
  /** The values in the source's unit (microvolts, or volts of an analog input); read only by whoever wants this channel. */
  readonly samples: () => Float32Array;
}

/** RGB images, row-major, top row first. data has count * height * width * 3 bytes. */
export interface ImageBatch {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Latent codes, row-major [count, dim]. */
export interface LatentBatch {
  readonly count: number;
  readonly dim: number;
  readonly data: Float32Array | Float64Array;
}

/** Where an image's onset in rig time comes from, best first. */
export type OnsetSource = "photodiode" | "strobe" | "flip" | "scheduled";

/** What an image is in the session. */
export type ImageKind = "evolved" | "reference" | "mapping" | "diverse" | "model" | "perturbed" | "free";

export type TrialOutcome = "correct" | "brokeFixation" | "noFixation" | "stopped" | "displayFault";

/** Why a presentation does not count. null means that it counts. */
export type ExcludedBecause =
  | "fixationBroken"
  | "notShown"
  | "lateFrame"
  | "wrongDuration"
  | "noOnsetMark"
  | "doubledMark"
  | "wrongWord"
  | "spikesLost"
  | "streamStale"
  | "stopped";

/** A fault that a source reports in-band, in stream order. */
export type SourceFault =
  /** Packets that never came, reported where the stream goes on (`atRigNs`). continuousOnly: the source can show that no spike was among them; false where it cannot tell at all; absent where spikes are to be feared. */
  | { readonly kind: "gap"; readonly lostPackets: number; readonly stream: string; readonly atRigNs: RigTimeNs; readonly continuousOnly?: boolean }
  | { readonly kind: "stale"; readonly ageMs: number }
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "reconnected"; readonly awayMs: number }
  | { readonly kind: "clockJump"; readonly jumpMs: number; readonly atRigNs: RigTimeNs }
  | { readonly kind: "malformed"; readonly reason: string; readonly packets: number }
  | { readonly kind: "overflow"; readonly droppedSpikes: number }
  /** Packets that came twice or out of their order since the last report. They were put right: nothing is missing. */
  | { readonly kind: "disorder"; readonly duplicated: number; readonly reordered: number; readonly stream: string };

/** A digital or photodiode mark on the rig clock. */
export interface RigMark {
  readonly kind: "photodiode" | "strobe" | "ttl";
  readonly rigNs: RigTimeNs;
  /** Line number of a TTL, 0 for a photodiode. */
  readonly line: number;
  /** Line state after the change; true for a photodiode going bright. */
  readonly state: boolean;
  /** Word on the port where the rig has one (a strobed event code); of a graded photodiode the level 0 to 3 of shared/patchCode.ts; else null. */
  readonly word: number | null;
}

/** Everything that a spike source says, in stream order. */
export type SourceEvent =
  | { readonly kind: "spikes"; readonly batch: SpikeBatch }
  | { readonly kind: "channels"; readonly channels: readonly ChannelInfo[] }
  | { readonly kind: "mark"; readonly mark: RigMark; readonly arrivedHostNs: HostTimeNs }
  | { readonly kind: "fault"; readonly fault: SourceFault; readonly arrivedHostNs: HostTimeNs }
  | { readonly kind: "end"; readonly reason: string };

/** Numbers on the link to a source, for the rig panel. */
export interface SourceStatus {
  readonly connected: boolean;
  readonly address: string;
  readonly spikesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly malformedPackets: number;
  /** Host time of the newest data; null before the first. */
  readonly newestHostNs: HostTimeNs | null;
}
