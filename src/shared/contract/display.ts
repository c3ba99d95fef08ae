// The display test: what the stimulus window measures of its display, what is judged from it, and how it stands. Knows nothing about sessions.
import { z } from "zod";

/** How the stimulus window sits on its screen, as far as a page can tell. */
export const windowFacts = z.object({
  /** Device pixels for one of the page's: 1 = 100 % scaling. */
  pixelRatio: z.number(),
  fullScreen: z.boolean(),
  /** The whole screen, in device pixels. */
  screenWidthPx: z.number(),
  screenHeightPx: z.number(),
});
export type WindowFacts = z.infer<typeof windowFacts>;

/** Frames of a test, by the window's own animation callbacks. They say nothing about what the light did: only a photodiode sees that. */
export const displayTimes = z.object({
  seconds: z.number(),
  refreshHz: z.number(),
  frames: z.number(),
  intervalMs: z.object({ mean: z.number(), sd: z.number(), min: z.number(), p1: z.number(), median: z.number(), p99: z.number(), max: z.number() }),
  /** Share of intervals by their length in refreshes, rounded to a tenth, from 0 to 4 and beyond: 41 bins. */
  histogram: z.array(z.number()),
  /** Refreshes without a callback. */
  framesDropped: z.number(),
  flashes: z.number(),
  /** From one onset to the next, less what was planned, ms. `max` is without sign. */
  onsetErrorMs: z.object({ mean: z.number(), sd: z.number(), max: z.number() }),
  /** Flashes that stood for another number of frames than planned. */
  wrongDurations: z.number(),
  /** The window was hidden or covered for a while. */
  wasHidden: z.boolean(),
});
export type DisplayTimes = z.infer<typeof displayTimes>;

export const displayTestArgs = z.object({
  seconds: z.number().min(2).max(600).default(20),
  onMs: z.number().min(10).max(2000).default(100),
  offMs: z.number().min(0).max(5000).default(150),
  /** The refresh rate that the display is meant to have; null = whatever it has. */
  refreshHz: z.number().min(20).max(1000).nullable().default(null),
  /** Of which rig this is the screen (`rigNameOf`); left out: not known. */
  rig: z.string().max(120).optional(),
}).strict();
export type DisplayTestArgs = z.infer<typeof displayTestArgs>;

export const displayFinding = z.object({ code: z.string(), level: z.enum(["ok", "warn", "fault"]), message: z.string() });
export type DisplayFinding = z.infer<typeof displayFinding>;

export interface DisplayTestResult {
  readonly good: boolean;
  /** One sentence: good enough for what, or why not. */
  readonly verdict: string;
  readonly findings: readonly DisplayFinding[];
  readonly task: DisplayTestArgs;
  readonly onFrames: number;
  readonly offFrames: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly window: WindowFacts | null;
  readonly times: DisplayTimes;
}

/** The stimulus window now. */
export interface DisplayStatus {
  readonly attached: boolean;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly refreshHz: number;
  readonly window: WindowFacts | null;
}

/** The newest test. */
export type DisplayTestState =
  | { readonly state: "none" }
  | { readonly state: "running"; readonly secondsLeft: number }
  | { readonly state: "failed"; readonly message: string }
  | { readonly state: "done"; readonly result: DisplayTestResult };
