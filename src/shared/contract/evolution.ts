// Settings of an evolution: of a session's one step, or of one step of its plan. Knows nothing about forms or files.
import { z } from "zod";

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

export type EvolutionConfig = z.infer<typeof evolutionConfig>;
export type ThreadConfig = z.infer<typeof threadConfig>;
