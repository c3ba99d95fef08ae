// What is really going on in a synthetic rig: its neurons, its clock, its faults. For tests, benchmarks and teaching; nothing in the
// closed loop may look at it.
import type { HostTimeNs, RigTimeNs } from "../../shared/units.ts";
import type { ImageBatch } from "../../shared/values.ts";
import type { FieldDeg } from "./visualField.ts";

export const areaNames = ["V1", "V4", "PIT"] as const;
export type AreaName = (typeof areaNames)[number];

/** A disc of the image, in shares of its width: x and y from 0 (left, top) to 1; half the sensitivity is left at `radius`. */
export interface ReceptiveField {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

export interface TrueUnit {
  /** Place in the list of units. */
  readonly index: number;
  /** Channel on whose electrode the unit is heard. */
  readonly channel: number;
  /** What the rig's spike sorter calls it: 1 on a channel with one unit, 0 (unsorted) on the others. */
  readonly sortedUnit: number;
  readonly area: AreaName;
  readonly receptiveField: ReceptiveField;
  /** Layer of the encoder that the unit reads. */
  readonly layer: string;
  readonly tuning: "sparse" | "dense";
  readonly baselineHz: number;
  /** Evoked rate per unit of drive (one standard deviation over the rig's own patterns), spikes/s. */
  readonly gainHz: number;
  /** Evoked rate that no image exceeds, spikes/s. */
  readonly ceilingHz: number;
  readonly latencyMs: number;
  /** No two spikes are closer than this. */
  readonly refractoryMs: number;
}

/** A unit's preferred direction in feature space: drive = sum of weight * feature, less its mean, over its standard deviation. */
export interface Readout {
  /** Index into the layer's features (row-major [channels, height, width] in a spatial layer). */
  readonly features: Uint32Array;
  readonly weights: Float32Array;
  readonly mean: number;
  readonly standardDeviation: number;
}

export interface TrueChannel {
  readonly index: number;
  readonly name: string;
  readonly area: AreaName;
  readonly kind: "single" | "multi" | "silent" | "noisy";
  readonly units: readonly TrueUnit[];
  /** Expected rate without an image, spikes/s. */
  readonly baselineHz: number;
}

export interface ResponseWindow {
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  /** How long the image is lit. */
  readonly onMs: number;
}

/** A change to the rig that was asked for in the options, as it happened. */
export interface InjectedFault {
  readonly kind: string;
  readonly atRigNs: RigTimeNs;
  readonly detail: string;
}

export interface GroundTruth {
  readonly channels: readonly TrueChannel[];
  readonly units: readonly TrueUnit[];
  /** Settles when the neurons have been tuned to the encoder. The functions below need it. */
  ready(): Promise<void>;
  /** Where a unit sees. */
  fieldDeg(unitIndex: number): FieldDeg;
  readout(unitIndex: number): Readout;
  /** Expected rate of every channel, spikes/s, [count, channels] row-major, without gain fluctuation, drift, refractoriness or line noise. */
  responseHz(images: ImageBatch, window?: ResponseWindow): Promise<Float64Array>;
  /** The same for an image that the rig has seen; null for one that it has not. Length = channels. */
  responseOfHz(imageId: number, window?: ResponseWindow): Float64Array | null;
  readonly clock: {
    readonly driftPpm: number;
    toRig(hostNs: HostTimeNs): RigTimeNs;
    toHost(rigNs: RigTimeNs): HostTimeNs;
  };
  /** Multiplicative gain of an array's neurons during a presentation, fluctuation and slow drift together. */
  gain(presentationId: number, unitIndex: number): number;
  /** Every image change on the display, on the rig's clock, in the order it was told. */
  onsets(): readonly { readonly presentationId: number; readonly imageId: number; readonly onsetRigNs: RigTimeNs; readonly offsetRigNs: RigTimeNs | null }[];
  /** Rewards as they were delivered. */
  rewards(): readonly { readonly atRigNs: RigTimeNs; readonly pulseMs: number }[];
  faults(): readonly InjectedFault[];
  /** Image changes that the rig was told of too late for its acquisition delay, and images lit that it had not seen. */
  late(): { readonly lateChanges: number; readonly unseenImages: number };
}
