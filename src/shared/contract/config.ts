// What a session is started with. Every field has a default, a unit in its name and a range; the session file records the parsed whole.
// Knows nothing about forms or files.
import { z } from "zod";
import { gammaConfig } from "../gamma.ts";

export const subjectConfig = z.object({
  id: z.string().trim().min(1).max(64).regex(/^[A-Za-z0-9_-]+$/, "expected letters, digits, - or _").default("synthetic"),
  species: z.string().default("Macaca mulatta"),
  sex: z.enum(["M", "F", "U", "O"]).default("U"),
  /** ISO 8601 duration, e.g. P6Y. */
  age: z.string().regex(/^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?$/, "expected an ISO 8601 duration such as P6Y").default("P6Y"),
  description: z.string().default(""),
});

export const rigConfig = z.object({
  /** A kind of the rig registry, e.g. "synthetic" or "open-ephys". */
  kind: z.string().default("synthetic"),
  /** Options of that kind; parsed by the rig itself. */
  options: z.record(z.string(), z.unknown()).default({}),
});

export const trialConfig = z.object({
  imagesPerTrial: z.number().int().min(1).max(20).default(5),
  onMs: z.number().min(10).max(2000).default(100),
  offMs: z.number().min(0).max(5000).default(150),
  fixationWindowDeg: z.number().min(0.1).max(20).default(1),
  /** Time that gaze must stay inside before the first image. */
  holdMs: z.number().min(0).max(5000).default(200),
  /** Longest wait for the gaze to enter the window. */
  waitMsMax: z.number().min(100).max(60000).default(3000),
  /** Excursions shorter than this (and blinks) do not break fixation. */
  graceMs: z.number().min(0).max(500).default(30),
  interTrialMs: z.number().min(0).max(30000).default(300),
  timeoutMs: z.number().min(0).max(60000).default(600),
  rewardMs: z.number().int().min(0).max(1000).default(120),
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
  /** What a loss in the stream does to a response that it overlaps. "auto": exclude it, unless the source can show that no spike was among the lost. */
  onGap: z.enum(["auto", "count", "exclude"]).default("auto"),
  /** How long after the window's end (by the host clock) the loop waits for the stream before it calls the response lost. */
  streamTimeoutMs: z.number().min(50).max(10000).default(1000),
}).refine((r) => r.windowEndMs > r.windowStartMs, { message: "expected windowEndMs after windowStartMs", path: ["windowEndMs"] })
  .refine((r) => r.baselineEndMs > r.baselineStartMs, { message: "expected baselineEndMs after baselineStartMs", path: ["baselineEndMs"] });

/** One evolution of the session; several are interleaved image by image. */
export const threadConfig = z.object({
  generator: z.string().default("shapes-g1"),
  /** "auto" = what suits the generator and the noise of a recording. */
  optimizer: z.string().default("auto"),
  optimizerOptions: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])).default({}),
  /** Images in a population; null = the optimizer's default for the latent dimension. */
  populationSize: z.number().int().min(4).max(400).nullable().default(null),
  /** null = the model's own. */
  initialStepSize: z.number().positive().nullable().default(null),
  /** Channel index; "auto" = the channel that the references drive best and most selectively. */
  target: z.union([z.number().int().min(0), z.literal("auto")]).default("auto"),
  /** Start from an image of another session (its latent), or, without an image, from where that session's evolution ended; null = the generator's own start. */
  startFrom: z.object({ file: z.string().min(1), imageId: z.number().int().min(1).nullable().default(null), thread: z.number().int().min(0).default(0) }).nullable().default(null),
  /** What the codes must keep; null = what suits the optimizer and the generator. Norms are of the whole code. */
  constraints: z.object({
    normCap: z.number().positive().optional(),
    fixedNorm: z.number().positive().optional(),
    box: z.object({ min: z.number(), max: z.number() }).optional(),
    /** Only coordinates begin to end - 1 evolve: a part of the code, e.g. BigGAN's noise (0 to 128) or class (128 to 256). */
    subspace: z.object({ begin: z.number().int().min(0), end: z.number().int().min(1) }).optional(),
  }).nullable().default(null),
  /** Side of this thread's images, degrees of visual angle; null = the display's image size. */
  imageSizeDeg: z.number().min(0.2).max(40).nullable().default(null),
});

export const evolutionConfig = z.object({
  generations: z.number().int().min(1).max(1000).default(30),
  repeats: z.number().int().min(1).max(20).default(1),
  /** At the end the mean of the distribution, the best image and the start are shown this often again, for a report without luck; 0 = not at all. */
  confirmRepeats: z.number().int().min(0).max(50).default(6),
  /** Presentations tried for one planned presentation before its score is given up as missing. */
  attemptsMax: z.number().int().min(1).max(50).default(8),
  /** Folder of PNG or JPEG files; null = the built-in references. */
  referenceFolder: z.string().nullable().default(null),
  /** With target "auto": presentations of every reference before the first generation, to choose the target by the channels' tuning. */
  tuningRepeats: z.number().int().min(0).max(50).default(2),
  /** References shown in every generation. */
  referencesPerGeneration: z.number().int().min(0).max(64).default(8),
  threads: z.array(threadConfig).min(1).max(4).default([threadConfig.parse({})]),
});

export const displayConfig = z.object({
  /** "window" = the stimulus window; "timed" = no window, onsets by the engine's clock (headless and fast runs). */
  kind: z.enum(["window", "timed"]).default("window"),
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
  /** Encoder that the synthetic neurons read out. */
  encoder: z.string().default("shapes-relu"),
  /** "auto" or an execution provider's name. */
  provider: z.string().default("auto"),
});

export const sessionConfig = z.object({
  seed: z.number().int().min(0).max(2 ** 31 - 1).default(1),
  subject: subjectConfig.prefault({}),
  rig: rigConfig.prefault({}),
  trial: trialConfig.prefault({}),
  response: responseConfig.prefault({}),
  evolution: evolutionConfig.prefault({}),
  display: displayConfig.prefault({}),
  models: modelsConfig.prefault({}),
  /** Folder for the session file; null = the app's own. */
  folder: z.string().nullable().default(null),
  notes: z.string().default(""),
});

export type SessionConfig = z.infer<typeof sessionConfig>;
export type SessionConfigInput = z.input<typeof sessionConfig>;
export type TrialConfig = z.infer<typeof trialConfig>;
export type ResponseConfig = z.infer<typeof responseConfig>;
export type EvolutionConfig = z.infer<typeof evolutionConfig>;
export type ThreadConfig = z.infer<typeof threadConfig>;
export type DisplayConfig = z.infer<typeof displayConfig>;
