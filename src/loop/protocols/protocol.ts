// What a protocol is to the loop: the images it needs, its blocks, what a response means to it, what is shown of it and what it leaves to
// later steps. A protocol decides from what it is told alone: the same library, responses and actions give the same blocks, which is what
// replay and going on after a kill rest on. Knows nothing about trials, screens or spikes.
import type { PlanStep, StepReport, StepView } from "../../shared/contract/plan.ts";
import type { Generator, VisualPlacement } from "../../shared/ports.ts";
import type { Rng } from "../../shared/rng.ts";
import type { SessionRecordBody } from "../../shared/records.ts";
import type { ChannelInfo, ImageKind } from "../../shared/values.ts";
import type { Disc } from "../../analysis/localisation.ts";
import type { ChannelFigures } from "../channels.ts";
import type { GenerationResult } from "../loopTypes.ts";
import type { ConvergenceReport, GenerationScores } from "../../evolve/index.ts";
import type { EvolutionThread } from "../thread.ts";

/** How the pixels of an image are had. Never asked for in a replay. */
export type ImageSource =
  | { readonly kind: "latent"; readonly generator: Generator; readonly latent: Float32Array | Float64Array }
  /** Image number `place` of the step's folder. */
  | { readonly kind: "library"; readonly library: number; readonly place: number }
  /** Sent by the operator, under this number. */
  | { readonly kind: "queued"; readonly number: number }
  /** Recorded by an earlier run of this session. */
  | { readonly kind: "recorded" }
  /** The base with the pixels of one disc in random order. `discDiameterPx` and the disc are in pixels of the base. */
  | { readonly kind: "shuffled"; readonly base: ImageSource; readonly disc: Disc; readonly discDiameterPx: number; readonly seed: string }
  /** The base with all but the mask (or, with `complement`, the mask) at mid grey. */
  | { readonly kind: "masked"; readonly base: ImageSource; readonly mask: Uint8Array; readonly maskWidthPx: number; readonly complement: boolean };

/** One image of the session. */
export interface ProtocolImage {
  readonly imageId: number;
  /** Unique within its step: by it an image is found again after a kill. */
  readonly key: string;
  readonly step: number;
  readonly kind: ImageKind;
  readonly label: string;
  readonly thread: number | null;
  readonly generation: number | null;
  readonly individual: number | null;
  readonly latent: Float32Array | Float64Array | null;
  readonly source: ImageSource;
}

export interface PlannedItem {
  /** What the block knows this presentation by; unique within it. */
  readonly item: number;
  readonly imageId: number;
  readonly repeats: number;
  /** Where this one is shown; null = where the step's images are. */
  readonly at: VisualPlacement | null;
  /** Side, where it is not the session's; null = as carried over. */
  readonly sizeDeg: number | null;
}

export interface BlockPlan {
  readonly items: readonly PlannedItem[];
  /** Images that are not made ready yet; they are decoded in the order in which the block shows them. */
  readonly images: readonly ProtocolImage[];
  /** Fork of the step's random stream that shuffles the block. */
  readonly stream: string;
  /** Of an evolution: the generation that this block shows. */
  readonly generation: number | null;
  /** Nothing follows it: what the next step needs may be made ready. */
  readonly last: boolean;
  /** Presentations tried for one that is planned. */
  readonly attemptsMax: number;
}

export interface CountedResponse {
  readonly item: number;
  readonly imageId: number;
  /** Of every channel in the response window, spikes/s. */
  readonly ratesHz: readonly number[];
}

/** The best image of an evolution and the mean of its final distribution, as codes. */
export interface EvolvedResult {
  readonly step: number;
  /** Number of the evolution in the session. */
  readonly thread: number;
  readonly target: number;
  readonly generator: string;
  readonly best: { readonly imageId: number; readonly rateHz: number; readonly latent: readonly number[] } | null;
  readonly mean: readonly number[];
  /** All its generations are done: neither will change. */
  readonly final: boolean;
}

/** What steps leave to later ones. Plain data: it is in the session file as JSON. */
export interface CarryOver {
  readonly field: { readonly centreXDeg: number; readonly centreYDeg: number; readonly sizeDeg: number | null; readonly fromStep: number } | null;
  readonly target: { readonly channel: number; readonly fromStep: number; readonly byOperator: boolean } | null;
  /** Of the newest evolution. */
  readonly evolved: readonly EvolvedResult[];
  /** Of the newest diverseSet. */
  readonly diverse: { readonly fromStep: number; readonly imageIds: readonly number[] } | null;
  /** What a lab's own protocol passes on. */
  readonly own: Readonly<Record<string, unknown>>;
}

export const nothingCarried: CarryOver = { field: null, target: null, evolved: [], diverse: null, own: {} };

/** What an evolution had reached when its session was cut short. */
export interface EvolutionResume {
  readonly generation: number | null;
  readonly threads: readonly EvolutionThread[];
  readonly history: readonly {
    readonly thread: number;
    readonly generations: readonly GenerationScores[];
    /** Start code; null before the first generation was finished. */
    readonly start: Float64Array | null;
    readonly best: { readonly imageId: number; readonly rateHz: number; readonly latent: Float32Array | Float64Array } | null;
  }[];
  /** Blocks that ended before the one under way. */
  readonly blocks: number;
  /** Targets that the operator chose for the next generation: thread, channel. */
  readonly wantedTargets: readonly (readonly [number, number])[];
}

export interface ProtocolContext {
  readonly step: number;
  /** The step's own random stream. */
  readonly rng: Rng;
  /** Labels of the step's folder in order; empty where it has none. */
  readonly library: readonly string[];
  /** Which library that is, for image sources. */
  readonly libraryIndex: number;
  /** Size of the images that it makes or loads. */
  readonly imagePx: { readonly width: number; readonly height: number };
  /** Where the session places images. */
  readonly sessionPlacement: VisualPlacement;
  /** The number of an image: the one it had before a kill, else the next. */
  imageId(key: string): number;
  channels(): readonly ChannelInfo[];
  readonly figures: ChannelFigures;
  /** Which presentations a noise ceiling of this run is of; see estimateNoiseCeilings. */
  ceilingsOf(): "all" | "even";
  channelName(index: number): string;
  /** The threads of an evolution step, with numbers that no other of the session has; made once. */
  openThreads(): readonly EvolutionThread[];
  generator(id: string): Generator | null;
  /** An image of an earlier step. */
  image(imageId: number): ProtocolImage | null;
  record(body: SessionRecordBody): void;
  log(code: string, message: string, severity?: "info" | "warn" | "fault", category?: "log" | "operator", data?: unknown): void;
  raiseAlarm(code: string, message: string): void;
  clearAlarm(code: string, message: string): void;
  onGeneration(g: GenerationResult): void;
  onConvergence(thread: number, report: ConvergenceReport): void;
  readonly resume: EvolutionResume | null;
}

/** A step that runs. */
export interface RunningProtocol {
  /** Images that it surely needs, made ready ahead: `soFar` is what the steps before have given by now. Called once, before `begin`. */
  stage(soFar: CarryOver): readonly ProtocolImage[];
  /** Whether it begins only when what it staged is ready. */
  readonly waitsForStaged: boolean;
  begin(carried: CarryOver): void;
  /** null = it is over; "images" = it waits for images that the operator sends. */
  nextBlock(): BlockPlan | "images" | null;
  response(response: CountedResponse): void;
  /** Everything planned is settled. `room`: whether the next block waits until the store has caught up. */
  blockOver(): { readonly release: readonly number[]; readonly room: boolean };
  /** Takes images that the operator sent; only of protocols that do. */
  takeQueued?(images: readonly ProtocolImage[]): void;
  setTarget?(thread: number, channel: number): void;
  /** Targets are other channels from now on (units were sorted anew): what was measured of them in this block counts no more. Returns the items to show again, one entry a presentation. */
  moveTargets?(to: ReadonlyMap<number, number>): readonly number[];
  /** Channel whose rate and raster are shown for an image. */
  channelOf(image: ProtocolImage): number;
  /** Presentations planned in all, 0 = not known. */
  readonly planned: number;
  readonly message: string;
  view(): StepView;
  /** Called once, at its end, after everything is settled. */
  report(): Pick<StepReport, "sentences" | "tables">;
  carryOver(): Partial<CarryOver>;
  /** Only of an evolution. */
  readonly evolution?: { readonly generation: number; readonly generations: number; readonly phase: "tuning" | "evolution" | "confirming"; readonly threads: readonly EvolutionThread[] };
}

/** A protocol in the registry. */
export interface Protocol<S extends PlanStep = PlanStep> {
  readonly name: S["protocol"];
  readonly title: string;
  /** Whether images that the operator sends may go to it. */
  readonly takesQueued: boolean;
  open(settings: S, context: ProtocolContext): RunningProtocol;
}

/** Sums of rates by item and channel, as they come. */
export interface RateSums {
  add(item: number, ratesHz: readonly number[]): void;
  count(item: number): number;
  /** Mean rate of an item on a channel, spikes/s; null before the first. */
  mean(item: number, channel: number): number | null;
  /** Single presentations of an item on a channel, in order. */
  rates(item: number, channel: number): readonly number[];
  readonly counted: number;
}

export function createRateSums(): RateSums {
  const byItem = new Map<number, (readonly number[])[]>();
  let counted = 0;
  return {
    add(item, ratesHz) {
      const known = byItem.get(item);
      if (known === undefined) byItem.set(item, [ratesHz]);
      else known.push(ratesHz);
      counted += 1;
    },
    count: (item) => byItem.get(item)?.length ?? 0,
    mean(item, channel) {
      const rows = byItem.get(item);
      if (rows === undefined) return null;
      let sum = 0;
      for (const row of rows) sum += row[channel] ?? 0;
      return sum / rows.length;
    },
    rates: (item, channel) => (byItem.get(item) ?? []).map((row) => row[channel] ?? 0),
    get counted() {
      return counted;
    },
  };
}

export function round(value: number, digits = 1): string {
  return value.toFixed(digits);
}
