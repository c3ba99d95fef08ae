// What a session is started with. Every field has a default, a unit in its name and a range; the session file records the parsed whole.
// Knows nothing about forms or files.
import { z } from "zod";
import { evolutionConfig } from "./evolution.ts";
import { externalTaskConfig } from "./externalTask.ts";
import { planSteps } from "./plan.ts";
import type { PlanStep } from "./plan.ts";
import { gammaConfig } from "../gamma.ts";
import { rigConfig } from "./rig.ts";

export const subjectConfig = z.object({
  id: z.string().trim().min(1).max(64).regex(/^[A-Za-z0-9_-]+$/, "expected letters, digits, - or _").default("synthetic"),
  species: z.string().default("Macaca mulatta"),
  sex: z.enum(["M", "F", "U", "O"]).default("U"),
  /** ISO 8601 duration, e.g. P6Y. */
  age: z.string().regex(/^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$/, "expected an ISO 8601 duration such as P6Y").default("P6Y"),
  /** ISO 8601 date, e.g. 2016-04-30. */
  dateOfBirth: z.iso.date("expected a date such as 2016-04-30").nullable().default(null),
  weightKg: z.number().positive().max(1000).nullable().default(null),
  description: z.string().default(""),
});

export const trialConfig = z.object({
  /** In external task mode a whole block. */
  imagesPerTrial: z.number().int().min(1).max(1000).default(5),
  onMs: z.number().min(10).max(2000).default(100),
  offMs: z.number().min(0).max(5000).default(150),
  fixationWindowDeg: z.number().min(0.1).max(20).default(1),
  /** Time that gaze must stay inside before the first image. */
  holdMs: z.number().min(0).max(5000).default(200),
  /** Longest wait for the gaze to enter the window. */
  waitMsMax: z.number().min(100).max(60000).default(3000),
  /** Excursions shorter than this (and blinks) do not break fixation. */
  graceMs: z.number().min(0).max(500).default(30),
  /** A lost track of the eye (a blink) shorter than this does not break fixation; below the grace time it is an excursion like any other. */
  blinkMsMax: z.number().min(0).max(1000).default(0),
  interTrialMs: z.number().min(0).max(30000).default(300),
  timeoutMs: z.number().min(0).max(60000).default(600),
  /** A display that has not finished so long after it should have is given up. */
  displayTimeoutMs: z.number().min(100).max(86_400_000).default(1000),
  rewardMs: z.number().int().min(0).max(1000).default(120),
  /** Added to the reward for every correct trial in a row, up to `rewardMsMax`; a failed trial takes it back to `rewardMs`. 0 = fixed. */
  rewardGrowMs: z.number().int().min(0).max(500).default(0),
  rewardMsMax: z.number().int().min(0).max(1000).default(300),
  /** After this many trials the subject has a break without a spot; 0 = no breaks. */
  breakAfterTrials: z.number().int().min(0).max(10_000).default(0),
  breakMs: z.number().min(0).max(1_800_000).default(30_000),
  /** Calibrated flow of the juice line. */
  rewardMlPerS: z.number().min(0).max(20).default(1.2),
});

export const responseConfig = z.object({
  windowStartMs: z.number().min(-500).max(2000).default(70),
  windowEndMs: z.number().min(-500).max(2000).default(170),
  baselineStartMs: z.number().min(-2000).max(500).default(-50),
  baselineEndMs: z.number().min(-2000).max(500).default(0),
  /** "mark" = photodiode or the TTL line below, an image without its mark does not count; "flip" = the display's own report; "auto" = marks where the rig sends them. */
  onsetFrom: z.enum(["auto", "mark", "flip"]).default("auto"),
  /** TTL line that carries the photodiode or the strobe; null = none. */
  onsetTtlLine: z.number().int().min(0).max(255).nullable().default(null),
  /** Strobed words of a range are onsets, and nothing else is; null = as above. */
  onsetWords: z.object({ first: z.number().int(), last: z.number().int() }).nullable().default(null),
  /** What a loss in the stream does to a response that it overlaps. "auto": exclude it, unless the source can show that no spike was among the lost. */
  onGap: z.enum(["auto", "count", "exclude"]).default("auto"),
  /** How long after the window's end (by the host clock) the loop waits for the stream before it calls the response lost. */
  streamTimeoutMs: z.number().min(50).max(10000).default(1000),
}).refine((r) => r.windowEndMs > r.windowStartMs, { message: "expected windowEndMs after windowStartMs", path: ["windowEndMs"] })
  .refine((r) => r.baselineEndMs > r.baselineStartMs, { message: "expected baselineEndMs after baselineStartMs", path: ["baselineEndMs"] });

export const displayConfig = z.object({
  /** "window" = the stimulus window; "timed" = no window, onsets by the engine's clock (headless and fast runs); "external" = another program shows the images. */
  kind: z.enum(["window", "timed", "external"]).default("window"),
  external: externalTaskConfig.nullable().default(null),
  /** Electron display id; null = the second display where there is one. */
  displayId: z.string().nullable().default(null),
  widthCm: z.number().positive().default(53),
  distanceCm: z.number().positive().default(57),
  imageSizeDeg: z.number().min(0.2).max(40).default(4),
  centreXDeg: z.number().min(-40).max(40).default(0),
  centreYDeg: z.number().min(-40).max(40).default(0),
  fixationDeg: z.number().min(0.05).max(2).default(0.25),
  backgroundGrey: z.number().int().min(0).max(255).default(128),
  photodiodePx: z.number().int().min(0).max(400).default(60),
  /** What the patch shows. "onset": white while an image is on, for boxes that give one pulse. "frames": a grey code of image and frame, for a photodiode on an analogue input. */
  photodiodeCode: z.enum(["onset", "frames"]).default("onset"),
  /** The patch is flashed this often before the first trial to measure the display's lag; 0 = not at all. */
  calibrationFlashes: z.number().int().min(0).max(200).default(20),
  /** The screen's measured luminance; null = values are sent as they are. */
  gamma: gammaConfig.nullable().default(null),
});

export const modelsConfig = z.object({
  /** Encoder that the synthetic neurons read out. The usual one has no batch normalisation, as AlexNet has none: ablating a model of its neurons shows what the paper's did (docs/insilico.md). */
  encoder: z.string().default("plain-relu"),
  /** "auto" or an execution provider's name. */
  provider: z.string().default("auto"),
});

export const sessionConfig = z.object({
  seed: z.number().int().min(0).max(2 ** 31 - 1).default(1),
  subject: subjectConfig.prefault({}),
  rig: rigConfig.prefault({}),
  trial: trialConfig.prefault({}),
  response: responseConfig.prefault({}),
  /** Of a session without a plan: its one step. */
  evolution: evolutionConfig.prefault({}),
  /** The steps of the session, one after the other; empty = one evolution with the settings of `evolution`. */
  plan: planSteps.default([]),
  display: displayConfig.prefault({}),
  models: modelsConfig.prefault({}),
  /** Folder for the session file; null = the app's own. */
  folder: z.string().nullable().default(null),
  notes: z.string().default(""),
  /** "Family name, Given name" each, as archives list them. */
  experimenters: z.array(z.string().trim().regex(/^\S.*, \S/, "expected \"Family name, Given name\"")).max(20).default([]),
  lab: z.string().default(""),
  institution: z.string().default(""),
});

export type SessionConfig = z.infer<typeof sessionConfig>;
export type SessionConfigInput = z.input<typeof sessionConfig>;
export type TrialConfig = z.infer<typeof trialConfig>;
export type ResponseConfig = z.infer<typeof responseConfig>;
export type DisplayConfig = z.infer<typeof displayConfig>;

/** The steps of a session: those of its plan, or its one evolution. */
export function stepsOf(config: Pick<SessionConfig, "plan" | "evolution">): readonly PlanStep[] {
  return config.plan.length > 0 ? config.plan : [{ protocol: "evolution", title: "", imagesPerTrial: null, onMs: null, offMs: null, ...config.evolution }];
}
