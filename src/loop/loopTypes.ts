// What the loop tells and what it is started with. Knows nothing about how it works.
import type { ResponseConfig, TrialConfig } from "../shared/contract/config.ts";
import type { PlanState, PlanStep, StepReport, StepView } from "../shared/contract/plan.ts";
import type { ConvergenceReport } from "../evolve/index.ts";
import type { VisualPlacement } from "../shared/ports.ts";
import type { DisplayCalibrationRecord } from "../shared/records.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";
import type { ExcludedBecause, EyeBatch, OnsetSource, TrialOutcome } from "../shared/values.ts";
import type { CarryOver, EvolutionResume, ProtocolImage } from "./protocols/protocol.ts";
import type { StepSetup } from "./steps.ts";
import type { TrialCounters } from "./trial.ts";

export type LoopImage = ProtocolImage;

/** A presentation whose fate is decided, for live views. */
export interface SettledPresentation {
  readonly presentationId: number;
  readonly image: LoopImage;
  readonly rateHz: number | null;
  readonly excluded: ExcludedBecause | null;
  readonly onsetRigNs: RigTimeNs | null;
  readonly onsetSource: OnsetSource | null;
  /** Whose rate it is. */
  readonly channel: number;
  readonly placement: VisualPlacement | null;
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
  /** A step ended, with its last view. */
  stepReport?(report: StepReport, view: StepView): void;
  /** A step waits for images. */
  needsImages?(step: number, settings: PlanStep): void;
  ended?(reason: EndReason, message: string): void;
}

export interface LoopSettings {
  readonly trial: TrialConfig;
  readonly response: ResponseConfig;
  /** What a stream that is lost or stands still does to the session; left out: trials wait for it. */
  readonly onStreamLost?: "wait" | "stop";
}

/** What an interrupted session had reached, from its file. */
export interface ResumePoint {
  readonly nextImageId: number;
  readonly nextPresentationId: number;
  readonly nextTrialId: number;
  /** Correct trials in a row and trials since the last break. */
  readonly counters: TrialCounters;
  /** Where the operator has changed it; null = as configured. */
  readonly rewardMs: number | null;
  readonly nextQueued: number;
  /** Number of the first evolution of the step under way or to come. */
  readonly firstThread: number;
  /** The plan where the operator has changed it; null = as configured. */
  readonly plan: readonly StepSetup[] | null;
  readonly ended: readonly { readonly step: number; readonly state: "done" | "skipped"; readonly message: string }[];
  /** The step under way; null = the next has not begun. */
  readonly current: number | null;
  readonly carried: CarryOver;
  /** Every image of the session, to be had from the file. */
  readonly images: readonly ProtocolImage[];
  /** Counted presentations of the step under way, in order. */
  readonly measured: readonly { readonly block: number; readonly item: number; readonly imageId: number; readonly ratesHz: readonly number[] }[];
  /** Blocks of the step under way that the operator gave up. */
  readonly skippedBlocks: readonly number[];
  /** Images that the operator sent for steps that are not over; `blocks` that had begun then, null where the step had not. */
  readonly queued: readonly { readonly image: ProtocolImage; readonly blocks: number | null }[];
  /** Where the step under way is an evolution. */
  readonly evolution: EvolutionResume | null;
}

export interface LoopStatus {
  readonly trialState: string;
  readonly paused: boolean;
  readonly ended: boolean;
  readonly generation: number;
  /** 0 where no evolution runs. */
  readonly generations: number;
  readonly plan: PlanState;
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
  /** In images that were shown again for it: of which no photodiode knew better. */
  readonly lateFrames: number;
  readonly lateSpikes: number;
  /** Images whose duration the photodiode saw otherwise than the window reported; refreshes that it saw never and twice (coded patch). */
  readonly wrongDurations: number;
  readonly framesDropped: number;
  readonly framesRepeated: number;
  /** null until the display has been looked at. */
  readonly calibration: DisplayCalibrationRecord | null;
  readonly holdFraction: number | null;
  /** When the break under way is over; null where there is none. */
  readonly breakEndsNs: HostTimeNs | null;
}
