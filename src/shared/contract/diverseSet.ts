// Building a diverse set of images: what is asked for, how far it is, and the manifest of the folder that comes out. Knows nothing about files.
import { z } from "zod";

export const diverseSetArgs = z.object({
  /** Folder of images, its folders included; null = images drawn by `generator`. */
  images: z.string().trim().min(1).nullable().default(null),
  generator: z.string().trim().min(1).default("shapes-g1"),
  /** With images null. */
  drawn: z.number().int().min(10).max(100_000).default(2000),
  /** Folder that is made; it must not be there, or be a diverse set with `overwrite`. */
  out: z.string().trim().min(1),
  count: z.number().int().min(2).max(2000).default(160),
  /** Principal components, or as many as there are. */
  components: z.number().int().min(1).max(2000).default(300),
  /** Network whose output is the space; null = AlexNet where it is installed, else a built-in network. */
  encoder: z.string().trim().min(1).nullable().default(null),
  /** Layer of it; null = its output, or its penultimate layer where the output has fewer than 50 numbers. */
  layer: z.string().trim().min(1).nullable().default(null),
  /** Second network for the coverage; null = the self-supervised ResNet50 where it is installed, else a built-in one; "none" = not measured. */
  coverage: z.string().trim().min(1).nullable().default(null),
  seed: z.number().int().min(0).default(1),
  overwrite: z.boolean().default(false),
}).strict();
export type DiverseSetArgs = z.infer<typeof diverseSetArgs>;

export const diverseSetPhase = z.enum(["listing", "drawing", "embedding", "clustering", "coverage", "writing"]);
export type DiverseSetPhase = z.infer<typeof diverseSetPhase>;

const space = z.object({ network: z.string(), sha256: z.string(), layer: z.string(), dimensions: z.number().int() });
const distances = z.object({ meanDistance: z.number(), farthestDistance: z.number(), occupiedShare: z.number() });

export const diverseSetSchema = "evoked.diverseSet";
export const diverseSetVersion = 1;
/** Its file in the folder of the set. */
export const diverseSetFile = "diverse-set.json";

/** The images of the set lie flat beside this file, so that any program can show the folder. */
export const diverseSetManifest = z.object({
  schema: z.literal(diverseSetSchema),
  version: z.literal(diverseSetVersion),
  madeUtc: z.string(), appVersion: z.string(), command: z.string(), seed: z.number(),
  /** Where the images come from: a folder, or a generator. */
  source: z.string(),
  /** Images found, with another file of the same content, not readable, and looked at. */
  found: z.number(), duplicates: z.number(), unreadable: z.number(), used: z.number(),
  space: space.extend({ components: z.number().int(), explainedVariance: z.number() }),
  clusters: z.object({ count: z.number().int(), inertia: z.number(), iterations: z.number().int(), converged: z.boolean() }),
  /** In a second network's space, over `images` of the pool, beside the median of random selections of the same size; null = not measured. */
  coverage: space.extend({ components: z.number().int(), images: z.number().int(), random: distances.extend({ draws: z.number().int() }) }).extend(distances.shape).nullable(),
  images: z.array(z.object({
    file: z.string(), source: z.string(), sha256: z.string(),
    /** Distance to its cluster's centre, and the first two components. */
    distance: z.number(), x: z.number(), y: z.number(),
  })),
  wallSeconds: z.number(),
  /** Where the time went; sets of before do not say. */
  phases: z.array(z.object({ phase: diverseSetPhase, seconds: z.number() })).default([]),
  /** Largest memory of the building process, without the models process. */
  memoryMB: z.number(),
});
export type DiverseSetManifest = z.infer<typeof diverseSetManifest>;

/** One build, for the windows. */
export const diverseSetLine = z.object({
  state: z.enum(["running", "paused", "done", "stopped", "failed"]),
  phase: diverseSetPhase,
  /** Images of this phase; total 0 = not known. */
  done: z.number(), total: z.number(), unreadable: z.number(),
  /** Seconds left in this phase; null = not known. */
  remainingS: z.number().nullable(),
  message: z.string(),
  args: diverseSetArgs,
});
export type DiverseSetLine = z.infer<typeof diverseSetLine>;

/** What a finished set looks like. */
export interface DiverseSetView {
  readonly folder: string;
  readonly manifest: DiverseSetManifest;
  readonly plotPngBase64: string;
  readonly sheetPngBase64: string;
}
