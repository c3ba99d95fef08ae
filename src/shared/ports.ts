// The ports between the closed loop and the world: time, chance, rig, display, models, store.
// Knows nothing about who implements them. Every implementation passes the contract suite of its port in tests/contract.
import type { EyeCalibration } from "./contract/rig.ts";
import type { GammaTables } from "./gamma.ts";
import type { Fault, Result } from "./result.ts";
import type { HostTimeNs, RigTimeNs } from "./units.ts";
import type { AnalogBlock, ChannelInfo, EyeBatch, ImageBatch, LatentBatch, RawGazeBatch, SourceEvent, SourceStatus } from "./values.ts";
import type { SessionRecord } from "./records.ts";
import type { PixelSquare } from "./visualAngle.ts";

export type { Rng, RngState } from "./rng.ts";

/** Time as the loop sees it. A virtual clock runs the same code as fast as the machine allows. */
export interface Clock {
  now(): HostTimeNs;
  /** Calls `fire` once at or after `at`; timers due at one time fire in the order they were set. Returns a canceller. */
  setTimer(at: HostTimeNs, fire: () => void): () => void;
  /** Work that takes no virtual time: a virtual clock stands still until it settles, a real clock takes no notice. */
  hold<T>(work: Promise<T>): Promise<T>;
  /** Time stands still while nothing is done: how long something took on this computer means nothing then. */
  readonly isVirtual?: true;
}

/** A recording system, live, synthetic or replayed. */
export interface SpikeSource {
  readonly name: string;
  channels(): readonly ChannelInfo[];
  /** Starts the stream. Events arrive in stream order; a source that loses its peer says so in-band and tries again by itself. */
  start(listener: (event: SourceEvent) => void): Promise<Result<void, Fault>>;
  status(): SourceStatus;
  /** Ends the stream with an `end` event; nothing arrives after the promise settles. */
  stop(): Promise<void>;
  /** Continuous channels, where the source carries some; null: nobody listens. Left out where it carries none. */
  analog?(listener: ((block: AnalogBlock) => void) | null): void;
  /** Gaze that travels with the spikes, in degrees and on the rig's clock, where the source carries it; null: nobody listens. */
  gaze?(listener: ((batch: RawGazeBatch) => void) | null): void;
}

/** Numbers on the link to a device beside the stream, for the rig panel and the rig check. */
export interface DeviceStatus {
  readonly connected: boolean;
  readonly address: string;
  /** Host time of the newest data or answer; null before the first. */
  readonly newestHostNs: HostTimeNs | null;
  /** What counts on this device, in words, e.g. "500 samples/s, track lost 2 %". */
  readonly detail: string;
  /** What is wrong now; null while all is well. */
  readonly problem: string | null;
}

export interface EyeTracker {
  readonly name: string;
  start(listener: (samples: EyeBatch) => void): Promise<Result<void, Fault>>;
  /** Makes the present gaze position zero. */
  recentre(): void;
  stop(): Promise<void>;
  status?(): DeviceStatus;
  /** Tells what goes wrong, and null when it is over. */
  onProblem?(listener: (problem: string | null) => void): void;
  /** The tracker's own samples, for a calibration; null: nobody listens. Trackers that need none have no such thing. */
  onRaw?(listener: ((samples: RawGazeBatch) => void) | null): void;
  /** From the next sample on; null: the tracker's own units are taken as degrees. Forgets what recentre() did. */
  calibrate?(calibration: EyeCalibration | null): void;
}

/** The juice line. It is off unless a bounded pulse is running. */
export interface Reward {
  readonly name: string;
  readonly pulseMsMax: number;
  /** Opens the link, where there is one; before the first pulse. */
  start?(): Promise<Result<void, Fault>>;
  pulse(pulseMs: number): Promise<Result<{ readonly pulseMs: number }, Fault>>;
  /** Turns the line off now; safe to call at any time, on every exit path. */
  off(): Promise<void>;
  /** Turns the line off and lets the link go. */
  stop?(): Promise<void>;
  status?(): DeviceStatus;
  /** Tells what goes wrong, and null when it is over. */
  onProblem?(listener: (problem: string | null) => void): void;
}

/** Event codes to the recording system: words on its digital port, or messages. */
export interface EventCodes {
  readonly name: string;
  start(): Promise<Result<void, Fault>>;
  /** 1 to 255, in order, at once; what cannot be sent is a problem, never a wait. */
  send(code: number): void;
  stop(): Promise<void>;
  status(): DeviceStatus;
  onProblem(listener: (problem: string | null) => void): void;
}

/** One image of a trial on the stimulus display, in frames of that display. */
export interface PlannedFlash {
  /** Presentation id, unique in the session. */
  readonly presentationId: number;
  readonly imageId: number;
  readonly onFrames: number;
  readonly offFrames: number;
  /** Where this one is drawn, in pixels of the display; null or absent = where the session's images are. */
  readonly placement?: PixelSquare | null;
}

/** Centre and side of an image as the subject sees it: degrees of visual angle from the fixation spot, right and up positive. */
export interface VisualPlacement {
  readonly centreXDeg: number;
  readonly centreYDeg: number;
  readonly sizeDeg: number;
}

export interface DisplayGeometry {
  readonly kind: "timed" | "window" | "external";
  readonly widthPx: number;
  readonly heightPx: number;
  /** Measured refresh rate. */
  readonly refreshHz: number;
}

/** Where and how large images are drawn, in pixels of the display. */
export interface StimulusPlacement {
  readonly centreXPx: number;
  readonly centreYPx: number;
  readonly sizePx: number;
  readonly fixationDiameterPx: number;
  readonly backgroundGrey: number;
  readonly photodiodePx: number;
  /** "onset": the patch is lit while an image is on. "frames": its grey tells image and frame (shared/patchCode.ts). */
  readonly photodiodeCode: "onset" | "frames";
  /** What to send for each value of an image; null = the value itself. */
  readonly lut: GammaTables | null;
}

export type DisplayReport =
  /** The first frame of an image. `plannedHostNs` is when the plan wanted it. */
  | { readonly kind: "onset"; readonly presentationId: number; readonly flipHostNs: HostTimeNs; readonly plannedHostNs: HostTimeNs }
  /** The image has been replaced by blank. lateFrames counts frames that came late while it was on. */
  | { readonly kind: "offset"; readonly presentationId: number; readonly flipHostNs: HostTimeNs; readonly framesShown: number; readonly lateFrames: number }
  /** The program ran to its end (blank after the last image included), or was aborted. */
  | { readonly kind: "end"; readonly trialId: number; readonly aborted: boolean; readonly endHostNs: HostTimeNs }
  | { readonly kind: "missing"; readonly trialId: number; readonly imageId: number }
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "attached"; readonly geometry: DisplayGeometry };

/** The subject's screen. Draws prepared images in frames, never in milliseconds. */
export interface Display {
  readonly name: string;
  geometry(): DisplayGeometry;
  place(placement: StimulusPlacement): void;
  onReport(listener: (report: DisplayReport) => void): void;
  /** Takes one decoded image ahead of its use; settles when it is ready to be drawn without delay. sizePx: side on the screen, null = the placement's. */
  prepare(imageId: number, image: ImageBatch, sizePx: number | null): Promise<void>;
  release(imageIds: readonly number[]): void;
  /** at: from the middle of the screen, px, right and down positive; left out: at the middle. Elsewhere only for a calibration of the eye. */
  showFixation(visible: boolean, at?: { readonly xPx: number; readonly yPx: number }): void;
  run(trialId: number, flashes: readonly PlannedFlash[]): void;
  /** Blanks at the next frame. An `end` report with aborted = true follows. */
  abort(trialId: number): void;
  close(): Promise<void>;
}

/** A device that must know what the subject sees: the synthetic rig's eyes. Real rigs have none. */
export interface Retina {
  /** Announces an image before it can be shown. */
  see(imageId: number, image: ImageBatch): Promise<void>;
  /** The image is lit (null: blank) from this host time on. `where` it is seen; left out = where the rig's eyes expect images. */
  lit(imageId: number | null, presentationId: number, atHostNs: HostTimeNs, where?: VisualPlacement): void;
  /** The fixation spot appears or disappears at this host time. */
  fixationSpot?(visible: boolean, atHostNs: HostTimeNs): void;
}

export interface ModelIdentity {
  readonly id: string;
  readonly title: string;
  readonly sha256: string;
  readonly provider: string;
}

export interface Generator {
  readonly identity: ModelIdentity;
  readonly latentDim: number;
  /** Step size to start an evolution with, in latent units. */
  readonly initialStepSize: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** latents [count, latentDim] -> images in the same order. */
  decode(latents: LatentBatch): Promise<ImageBatch>;
}

export interface Encoder {
  readonly identity: ModelIdentity;
  /** `shape` is [channels, height, width] of a spatial layer, row-major; absent or [dim] for a flat one. */
  readonly layers: readonly { readonly name: string; readonly dim: number; readonly shape?: readonly number[] }[];
  /** images -> per layer row-major [count, dim], in the order of `layerNames`. Any input size; preprocessing is the model's own. */
  features(images: ImageBatch, layerNames: readonly string[]): Promise<readonly Float32Array[]>;
}

/** Images together with what the generator knows of their making. */
export interface GeneratedParts {
  readonly images: ImageBatch;
  /** The object's share of every pixel, 0 to 1, row-major [count, heightPx, widthPx]; null where the model has none. */
  readonly masks: Float32Array | null;
  /** The same images without their object; null where the model has none. */
  readonly backgrounds: ImageBatch | null;
}

/** A generator that may know object and background apart. */
export interface PartsGenerator extends Generator {
  readonly hasMasks: boolean;
  readonly hasBackgrounds: boolean;
  decodeParts(latents: LatentBatch): Promise<GeneratedParts>;
}

/** One box, in pixels of the image that was given; centre and size. */
export interface Detection {
  readonly xPx: number;
  readonly yPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
  /** 0 to 1. */
  readonly score: number;
  /** Index of the most likely class, -1 for a detector without classes. */
  readonly classIndex: number;
}

/** What a detector finds in one image. */
export interface Detections {
  /** Highest score of any box before suppression and thresholds; 0 where there is none. */
  readonly objectness: number;
  /** Boxes at or above the threshold after non-maximum suppression, best first. */
  readonly boxes: readonly Detection[];
}

export interface Detector {
  readonly identity: ModelIdentity;
  /** One entry per image. Defaults: scoreMin 0.25, overlapMax 0.45 (intersection over union), 100 boxes. */
  detect(
    images: ImageBatch,
    options?: { readonly scoreMin?: number; readonly overlapMax?: number; readonly boxesMax?: number },
  ): Promise<readonly Detections[]>;
}

/** A generator and an encoder joined for in-silico work: images never leave the device. */
export interface LatentEncoder {
  readonly generator: ModelIdentity;
  readonly encoder: ModelIdentity;
  /** False where the two could not be joined; results are the same, only slower. */
  readonly fused: boolean;
  /** latents [count, latentDim] -> per layer row-major [count, dim], as `encoder.features(await generator.decode(latents))`. */
  features(latents: LatentBatch, layerNames: readonly string[]): Promise<readonly Float32Array[]>;
}

/** The end of a classifier, from one layer's activations (`encoder.features`, row-major [count, dim]) to its logits. */
export interface LayerTail {
  readonly encoder: ModelIdentity;
  readonly layer: string;
  readonly dim: number;
  readonly units: number;
  /** Activations -> logits, row-major [count, units]; of the layer's own activations those of `encoder.features` up to rounding. */
  logits(activations: LatentBatch): Promise<Float32Array>;
  /** d(logit `unit`)/d(activations), row-major [count, dim]. */
  gradient(activations: LatentBatch, unit: number): Promise<Float32Array>;
}

/** The session file's one writer. */
export interface Store {
  /** Queues a record; order is kept. Never blocks. */
  append(record: SessionRecord): void;
  /** Settles when everything appended before the call is committed. */
  flush(): Promise<void>;
  status(): StoreStatus;
  close(): Promise<void>;
}

export interface StoreStatus {
  readonly queuedRecords: number;
  readonly committedRecords: number;
  readonly sizeBytes: number;
  readonly diskFreeBytes: number | null;
  /** The first failure of the writer, e.g. a full disk; null while all is well. */
  readonly failure: Fault | null;
}

/** Learns the map between the two clocks from pairs of times, as they come. */
export interface ClockAligner {
  /** "arrival": data stamped rigNs arrived at hostNs (late by the transport). "mark": a flip at hostNs was seen by the rig at rigNs. */
  addPair(pair: { readonly hostNs: HostTimeNs; readonly rigNs: RigTimeNs; readonly kind: "arrival" | "mark" }): void;
  /** null before the first pair. */
  map(): ClockMap | null;
  /** Forgets everything: the rig's clock was restarted. */
  reset(): void;
  /** Jumps of the rig's clock against this computer's that the pairs have shown, in order, ms; the map began afresh at each. */
  readonly jumpsMs: readonly number[];
}

/** Onsets on two clocks: what the loop needs to place a host time on the rig clock. */
export interface ClockMap {
  toRig(hostNs: HostTimeNs): RigTimeNs;
  readonly driftPpm: number;
  readonly uncertaintyMs: number;
}
