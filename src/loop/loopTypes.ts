// What the loop tells and what it is started with. Knows nothing about how it works.
import type { ResponseConfig, TrialConfig } from "../shared/contract/config.ts";
import type { EvolutionConfig } from "../shared/contract/evolution.ts";
import type { ConvergenceReport, GenerationScores } from "../evolve/index.ts";
import type { DisplayCalibrationRecord } from "../shared/records.ts";
import type { RigTimeNs } from "../shared/units.ts";
import type { ExcludedBecause, EyeBatch, ImageKind, OnsetSource, TrialOutcome } from "../shared/values.ts";

export interface LoopImage {
  readonly imageId: number;
  readonly kind: ImageKind;
  readonly thread: number | null;
  readonly generation: number | null;
  readonly individual: number | null;
  readonly label: string;
}

/** A presentation whose fate is decided, for live views. */
export interface SettledPresentation {
  readonly presentationId: number;
  readonly image: LoopImage;
  readonly rateHz: number | null;
  readonly excluded: ExcludedBecause | null;
  readonly onsetRigNs: RigTimeNs | null;
  readonly onsetSource: OnsetSource | null;
}

export interface GenerationResult {
  readonly thread: number;
  readonly generation: number;
  readonly target: number;
  /** Over the individuals' mean rates, spikes/s; NaN without one. */
  readonly evolved: { readonly mean: number; readonly sem: number; readonly best: number; readonly count: number };
  /** Over the presentations of references in the same block, spikes/s. */
  readonly reference: { readonly mean: number; readonly sem: number; readonly count: number };
  readonly stepSize: number;
  readonly missing: number;
  /** Image ids with their mean rate, best first; unmeasured images are left out. */
  readonly ranked: readonly { readonly imageId: number; readonly rateHz: number }[];
}

export type EndReason = "completed" | "stopped" | "failed";

export interface LoopListener {
  presentation?(p: SettledPresentation): void;
  /** The stream has passed +250 ms: spikes of the target relative to the onset, ms. */
  raster?(p: SettledPresentation, spikesMs: readonly number[], channel: number): void;
  generation?(g: GenerationResult): void;
  trial?(outcome: TrialOutcome, trialId: number): void;
  screen?(imageId: number | null, fixation: boolean, imageInTrial: number, imagesInTrial: number): void;
  eye?(batch: EyeBatch, inside: boolean): void;
  /** How the evolution went, at its end. */
  report?(thread: number, report: ConvergenceReport): void;
  ended?(reason: EndReason, message: string): void;
}

export interface LoopSettings {
  readonly trial: TrialConfig;
  readonly response: ResponseConfig;
  readonly evolution: EvolutionConfig;
  /** What a stream that is lost or stands still does to the session; left out: trials wait for it. */
  readonly onStreamLost?: "wait" | "stop";
}

/** What an interrupted session had reached, from its file. The threads' optimizers are restored to the state before `generation`. */
export interface ResumePoint {
  /** null = it was interrupted before its first generation: the tuning block is shown again. */
  readonly generation: number | null;
  readonly nextImageId: number;
  readonly nextPresentationId: number;
  readonly nextTrialId: number;
  /** Image ids that the interrupted generation had already given, by thread and individual. */
  readonly imageIds: readonly { readonly thread: number; readonly individual: number; readonly imageId: number }[];
  readonly referenceImageIds: readonly number[];
  /** Counted presentations of the interrupted generation, in order. */
  readonly measured: readonly { readonly imageId: number; readonly ratesHz: readonly number[] }[];
  /** What the finished generations gave, for the report at the end. */
  readonly history: readonly {
    readonly thread: number;
    readonly generations: readonly GenerationScores[];
    /** Start code: the distribution mean before the first generation. */
    readonly start: Float64Array;
    readonly best: { readonly imageId: number; readonly rateHz: number; readonly latent: Float32Array | Float64Array } | null;
  }[];
}

export interface LoopStatus {
  readonly trialState: string;
  readonly paused: boolean;
  readonly ended: boolean;
  readonly generation: number;
  readonly phase: "tuning" | "evolution" | "confirming";
  readonly imageInBlock: number;
  readonly imagesInBlock: number;
  readonly presentations: number;
  readonly excluded: number;
  readonly targets: readonly number[];
  readonly rewardMs: number;
  readonly matchedMarks: number;
  readonly unmatchedMarks: number;
  readonly lagMs: { readonly mean: number; readonly sd: number; readonly n: number };
  readonly lateFrames: number;
  readonly lateSpikes: number;
  /** Images whose duration the photodiode saw otherwise than the window reported; refreshes that it saw never and twice (coded patch). */
  readonly wrongDurations: number;
  readonly framesDropped: number;
  readonly framesRepeated: number;
  /** null until the display has been looked at. */
  readonly calibration: DisplayCalibrationRecord | null;
  readonly holdFraction: number | null;
}
