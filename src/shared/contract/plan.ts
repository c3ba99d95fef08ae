// The plan of a session: its steps, each a protocol with its settings; what windows are told of them while they run, and what a step reports.
// Every setting has a default, a unit in its name and a range. Knows nothing about how protocols work.
import { z } from "zod";
import { evolutionConfig } from "./evolution.ts";

/** Protocols that Evoked has. A lab's own are steps of the protocol "lab" with the name of their module. */
export const protocolNames = ["rfMapping", "diverseSet", "evolution", "localisation", "validation", "images", "lab"] as const;
export type ProtocolName = (typeof protocolNames)[number];

const stepBase = {
  /** What the operator calls the step; "" = the protocol's own title. */
  title: z.string().trim().max(80).default(""),
  /** Images per trial and their timing in this step; null = the session's. */
  imagesPerTrial: z.number().int().min(1).max(20).nullable().default(null),
  onMs: z.number().min(10).max(2000).nullable().default(null),
  offMs: z.number().min(0).max(5000).nullable().default(null),
  /** Presentations tried for one planned presentation before it is given up as missing. */
  attemptsMax: z.number().int().min(1).max(50).default(8),
};

/** Small images on a grid around the fixation spot: which place drives which channel. */
export const rfMappingStep = z.object({
  protocol: z.literal("rfMapping"),
  ...stepBase,
  columns: z.number().int().min(2).max(25).default(7),
  rows: z.number().int().min(2).max(25).default(7),
  /** From the first to the last column's (row's) centre. */
  widthDeg: z.number().min(0.2).max(60).default(6),
  heightDeg: z.number().min(0.2).max(60).default(6),
  /** Centre of the grid, from the fixation spot, right and up positive. */
  centreXDeg: z.number().min(-40).max(40).default(0),
  centreYDeg: z.number().min(-40).max(40).default(0),
  /** Side of the small images. */
  imageSizeDeg: z.number().min(0.1).max(20).default(1),
  /** Folder of PNG or JPEG files; null = the built-in references. */
  folder: z.string().min(1).nullable().default(null),
  /** Different images, each shown at every place: a field is not the taste for one image. */
  imageCount: z.number().int().min(1).max(100).default(4),
  /** Presentations of every image at every place. */
  repeats: z.number().int().min(1).max(50).default(2),
  /** "gaussian" = least-squares fit of a round Gaussian on a floor; "centroid" = weighted mean of the places above `centroidFrom` of the peak. */
  method: z.enum(["gaussian", "centroid"]).default("gaussian"),
  /** With "centroid": share of the way from the lowest to the highest rate. */
  centroidFrom: z.number().min(0.1).max(0.9).default(0.5),
  /** A field whose description explains less of the map's variance than this is not trusted. */
  r2Min: z.number().min(0).max(1).default(0.5),
  /** What later steps take over: the field of `channel`, the median of all trusted fields, or nothing. */
  carryOver: z.enum(["channel", "median", "none"]).default("median"),
  /** With carryOver "channel". */
  channel: z.number().int().min(0).nullable().default(null),
  /** Side of later images in diameters (full width at half height) of the field; null = their size is not changed. */
  sizeInDiameters: z.number().min(0.2).max(10).nullable().default(null),
});

/** N images, each a number of times: tuning, selectivity and noise ceiling of every channel; the target is suggested. */
export const diverseSetStep = z.object({
  protocol: z.literal("diverseSet"),
  ...stepBase,
  /** Folder of PNG or JPEG files, e.g. one that the diverseSet builder wrote; null = images drawn at random from `generator`. */
  folder: z.string().min(1).nullable().default(null),
  /** With folder null. The same generator as the images of fitted models (validation, source "fit"): a model is asked for pictures of the kind that it was fitted on. */
  generator: z.string().default("shapes-g2"),
  /** The first of the folder in name order. */
  imageCount: z.number().int().min(2).max(2000).default(160),
  repeats: z.number().int().min(1).max(100).default(4),
  /** Random halvings of the repeats for the noise ceiling. */
  splits: z.number().int().min(1).max(1000).default(50),
  /** Whether a later evolution with an automatic target takes the channel that this step suggests. */
  suggestTarget: z.boolean().default(true),
});

/** One or several evolutions, their images and the references shuffled into one block a generation. */
export const evolutionStep = z.object({ protocol: z.literal("evolution"), ...stepBase, ...evolutionConfig.shape });

/** Where in an image the feature is that drives the target (SPEC 8): copies with a disc of shuffled pixels against the intact image. */
export const localisationStep = z.object({
  protocol: z.literal("localisation"),
  ...stepBase,
  /** The best image of the last evolution before this step, the image at the mean of its final distribution, or the file `imageFile`. */
  source: z.enum(["best", "mean", "file"]).default("best"),
  /** Which of several evolutions of that step, 0-based. */
  thread: z.number().int().min(0).default(0),
  imageFile: z.string().min(1).nullable().default(null),
  /** Channel whose responses count; null = the target of that evolution, else the suggested target, else 0. */
  channel: z.number().int().min(0).nullable().default(null),
  discCount: z.number().int().min(3).max(500).default(30),
  /** Diameter and smoothing in pixels of an image of 256 px; scaled to the image's own size. */
  discDiameterPx: z.number().min(4).max(200).default(50),
  smoothingSdPx: z.number().min(0).max(100).default(30),
  /**
   * Presentations of every disc and of the intact image. A disc takes a tenth of the response of a neuron that reads the whole image, as much as the error of
   * ten presentations; every change has the intact image's error in it, so that is shown about sqrt(discs) times as often as a disc (Dunnett 1955).
   */
  discRepeats: z.number().int().min(1).max(100).default(12),
  intactRepeats: z.number().int().min(2).max(500).default(64),
  keepFrom: z.number().min(0.05).max(1).default(0.5),
  /** Shows the masked image and its complement at the end, this often; 0 = not at all. */
  maskedRepeats: z.number().int().min(0).max(200).default(8),
});

/** Images from neuron models and their ablations, shown back against images of the diverseSet (SPEC 4 and 7). */
export const validationStep = z.object({
  protocol: z.literal("validation"),
  ...stepBase,
  /** "queue" = images sent while the session runs (`session.queueImages`); "folder" = `folder`; "fit" = models are fitted to this session's diverseSet, ablated, and images made for them. */
  source: z.enum(["queue", "folder", "fit"]).default("queue"),
  /** PNG or JPEG files named for their condition, as an ablation analysis names them: "control-...", "positive-0.50-...". */
  folder: z.string().min(1).nullable().default(null),
  repeats: z.number().int().min(1).max(100).default(8),
  /** Images of an earlier diverseSet of the session shown among them; null = all of it. */
  naturalCount: z.number().int().min(0).max(2000).nullable().default(20),
  naturalRepeats: z.number().int().min(1).max(100).default(4),
  /** Channel whose responses are compared; null = the channel that the models were made for, else the suggested target, else 0. */
  channel: z.number().int().min(0).nullable().default(null),
  permutations: z.number().int().min(100).max(1_000_000).default(10_000),
  /** With source "fit": which encoder and layer, the ablations, and how many images of each condition. */
  fit: z.object({
    encoder: z.string().default("plain-relu"),
    /** null = the encoder's penultimate layer. */
    layer: z.string().nullable().default(null),
    /** shapes-g2 can leave its object out, which an ablated model must be able to ask for. */
    generator: z.string().default("shapes-g2"),
    alphas: z.array(z.number().min(0).max(1)).min(1).max(11).default([0, 0.5, 1]),
    signs: z.array(z.enum(["positive", "negative"])).min(1).max(2).default(["positive", "negative"]),
    runs: z.number().int().min(1).max(20).default(3),
    generations: z.number().int().min(1).max(500).default(40),
  }).prefault({}),
});

/** Any images, each a number of times; also those that are sent while the session runs. */
export const imagesStep = z.object({
  protocol: z.literal("images"),
  ...stepBase,
  /** Folder of PNG or JPEG files; null = only what is sent with `session.queueImages`. */
  folder: z.string().min(1).nullable().default(null),
  /** null = all of the folder. */
  imageCount: z.number().int().min(1).max(10_000).nullable().default(null),
  repeats: z.number().int().min(1).max(1000).default(5),
});

/** A protocol of the lab's own (docs/protocols.md). */
export const labStep = z.object({
  protocol: z.literal("lab"),
  ...stepBase,
  /** Name of a module in the folder of protocols. */
  name: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, "expected a letter, then letters, digits, - or _"),
  /** Parsed by the module's own schema. */
  settings: z.record(z.string(), z.unknown()).default({}),
  /** Folder of PNG or JPEG files that the protocol may use; null = none. */
  folder: z.string().min(1).nullable().default(null),
});

export const planStep = z.discriminatedUnion("protocol", [rfMappingStep, diverseSetStep, evolutionStep, localisationStep, validationStep, imagesStep, labStep]);
export type PlanStep = z.infer<typeof planStep>;
export type PlanStepInput = z.input<typeof planStep>;
export type RfMappingStep = z.infer<typeof rfMappingStep>;
export type DiverseSetStep = z.infer<typeof diverseSetStep>;
export type EvolutionStep = z.infer<typeof evolutionStep>;
export type LocalisationStep = z.infer<typeof localisationStep>;
export type ValidationStep = z.infer<typeof validationStep>;
export type ImagesStep = z.infer<typeof imagesStep>;
export type LabStep = z.infer<typeof labStep>;

export const planSteps = z.array(planStep).max(50);

/** A plan as a file of the user's: JSON, one file a plan. */
export const planFile = z.object({
  format: z.literal("evoked-plan").default("evoked-plan"),
  version: z.literal(1).default(1),
  /** Also the file's name. */
  name: z.string().trim().min(1).max(64).regex(/^[A-Za-z0-9][A-Za-z0-9 _-]*$/, "expected letters, digits, spaces, - or _"),
  description: z.string().max(2000).default(""),
  steps: planSteps.min(1),
}).strict();
export type PlanFile = z.infer<typeof planFile>;
export type PlanFileInput = z.input<typeof planFile>;

export const planSummary = z.object({
  name: z.string(), description: z.string(), file: z.string(),
  /** Comes with Evoked: may be loaded, not changed. */
  builtIn: z.boolean(),
  protocols: z.array(z.string()),
  /** Why the file cannot be read; null otherwise. */
  problem: z.string().nullable(),
});
export type PlanSummary = z.infer<typeof planSummary>;

/** One protocol as the plan editor offers it. */
export interface ProtocolDescription {
  readonly protocol: ProtocolName;
  /** Module's name for a lab's own, else "". */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** A step with every default. */
  readonly defaults: PlanStep | null;
  /** Settings of a lab's own protocol, for its form. */
  readonly options: readonly { readonly name: string; readonly unit: string; readonly default: number | string | boolean | null; readonly min?: number; readonly max?: number; readonly choices?: readonly string[]; readonly description: string }[];
  /** Why it cannot be used; null otherwise. */
  readonly problem: string | null;
}

// ---- while the session runs ------------------------------------------------------------------------------------------------

export const stepStates = ["waiting", "running", "done", "skipped"] as const;

export const stepState = z.object({
  /** Place in the list. Steps that have not begun move down when one is repeated. */
  index: z.number(),
  protocol: z.enum(protocolNames),
  title: z.string(),
  state: z.enum(stepStates),
  /** Presentations that are planned and that are settled, counted or given up; planned 0 = not known yet. */
  planned: z.number(), settled: z.number(),
  /** What the step does now, or what came of it, in one sentence. */
  message: z.string(),
  /** The step waits for something from the operator, e.g. images: say so. */
  needs: z.enum(["images"]).nullable(),
});
export type StepState = z.infer<typeof stepState>;

export const planState = z.object({
  steps: z.array(stepState),
  /** null before the first and after the last. */
  current: z.number().nullable(),
  /** What steps pass on: field (degrees from the fixation spot), and suggested target channel. */
  carried: z.object({
    field: z.object({ centreXDeg: z.number(), centreYDeg: z.number(), sizeDeg: z.number().nullable(), fromStep: z.number() }).nullable(),
    target: z.object({ channel: z.number(), fromStep: z.number() }).nullable(),
  }),
  /** Images wait to be shown by the next step that takes them. */
  queuedImages: z.number(),
});
export type PlanState = z.infer<typeof planState>;

const field = z.object({
  centreXDeg: z.number(), centreYDeg: z.number(),
  /** Full width at half height. */
  diameterDeg: z.number(),
  peakHz: z.number(), floorHz: z.number(), r2: z.number(), trusted: z.boolean(),
});
export type FieldView = z.infer<typeof field>;

const count = z.number();
/** Rates in spikes/s; null = nothing counted yet. */
const rate = z.number().nullable();

export const rfMappingView = z.object({
  protocol: z.literal("rfMapping"), step: z.number(),
  /** Centres of columns (left to right) and rows (top to bottom), degrees from the fixation spot. */
  xDeg: z.array(z.number()), yDeg: z.array(z.number()), imageSizeDeg: z.number(), method: z.enum(["gaussian", "centroid"]),
  /** Counted presentations at every place, row by row. */
  counts: z.array(count),
  /** By channel: mean rate at every place, row by row, and the field where it could be described. */
  channels: z.array(z.object({ channel: z.number(), rateHz: z.array(rate), field: field.nullable() })),
  /** What later steps will take over as it stands. */
  carried: z.object({ centreXDeg: z.number(), centreYDeg: z.number(), diameterDeg: z.number(), channels: z.number() }).nullable(),
});

const imageLine = z.object({ imageId: z.number(), label: z.string(), counted: count });

export const diverseSetView = z.object({
  protocol: z.literal("diverseSet"), step: z.number(),
  images: z.array(imageLine),
  channels: z.array(z.object({
    channel: z.number(), meanHz: rate,
    /** Share of the variance of image means that repeats agree on, 0..1. */
    reliability: z.number().nullable(),
    /** Sparseness over images, 0 = the same to all, 1 = to one alone. */
    sparseness: z.number().nullable(),
    /** Highest correlation that a perfect model could have with the image means; null without repeats. */
    noiseCeilingR: z.number().nullable(),
    bestImageId: z.number().nullable(),
  })),
  suggestedTarget: z.number().nullable(),
  /** Of the suggested target: mean rate of every image, in the order of `images`. */
  targetRateHz: z.array(rate),
});

export const evolutionView = z.object({
  protocol: z.literal("evolution"), step: z.number(),
  phase: z.enum(["tuning", "evolution", "confirming"]),
  generation: z.number(), generations: z.number(),
  /** Numbers of the session's evolutions; curve points and images carry them. */
  threads: z.array(z.object({ thread: z.number(), target: z.number(), generator: z.string(), optimizer: z.string() })),
});

export const localisationView = z.object({
  protocol: z.literal("localisation"), step: z.number(),
  baseImageId: z.number().nullable(), widthPx: z.number(), heightPx: z.number(), channel: z.number(),
  intactHz: rate, intactCounted: count, discDiameterPx: z.number(),
  /** change = (intact - perturbed) / intact. */
  discs: z.array(z.object({ imageId: z.number(), xPx: z.number(), yPx: z.number(), counted: count, rateHz: rate, change: z.number().nullable() })),
  /** Change map scaled to a peak of 1, `mapColumns` x `mapRows` over the image, row by row; empty before there is a peak. */
  mapColumns: z.number(), mapRows: z.number(), map: z.array(z.number()),
  peak: z.object({ xPx: z.number(), yPx: z.number(), change: z.number() }).nullable(),
  /** Share of the image that is kept. */
  keptShare: z.number().nullable(),
  /** Shown again: the masked image and its complement; null before. */
  maskedImageId: z.number().nullable(), maskedHz: rate, complementHz: rate,
});

export const validationView = z.object({
  protocol: z.literal("validation"), step: z.number(), channel: z.number(),
  conditions: z.array(z.object({
    /** "natural", "control", "positive 0.5", ... */
    name: z.string(), images: count, counted: count, meanHz: rate, lowHz: rate, highHz: rate,
    /** Permutation test against the control (natural images where there is none); null while it cannot be told. */
    p: z.number().nullable(),
  })),
  /** Mean z-score over an area's channels by condition. */
  population: z.array(z.object({ area: z.string(), condition: z.string(), z: z.number(), low: z.number().nullable(), high: z.number().nullable(), channels: count })),
});

export const imagesView = z.object({
  protocol: z.literal("images"), step: z.number(), channel: z.number(),
  images: z.array(imageLine.extend({ meanHz: rate, semHz: rate })),
});

export const cell = z.union([z.number(), z.string(), z.null()]);
export const stepTable = z.object({
  title: z.string(),
  /** unit "" where there is none. */
  columns: z.array(z.object({ name: z.string(), unit: z.string() })),
  rows: z.array(z.array(cell)),
});
export type StepTable = z.infer<typeof stepTable>;

export const labView = z.object({ protocol: z.literal("lab"), step: z.number(), name: z.string(), sentences: z.array(z.string()), tables: z.array(stepTable) });

/** What one step has so far; sent at most once a second while the step runs, once more at its end. */
export const stepView = z.discriminatedUnion("protocol", [rfMappingView, diverseSetView, evolutionView, localisationView, validationView, imagesView, labView]);
export type StepView = z.infer<typeof stepView>;
export type StepViewOf<P extends ProtocolName> = Extract<StepView, { protocol: P }>;

/** What came of one step, for reading: also in the session file. */
export const stepReport = z.object({
  step: z.number(), protocol: z.enum(protocolNames), title: z.string(),
  outcome: z.enum(["done", "skipped"]),
  sentences: z.array(z.string()),
  tables: z.array(stepTable),
});
export type StepReport = z.infer<typeof stepReport>;

/** Images that an operator sends to a running session. They are shown by the first step, running or to come, that takes them (validation, images). */
export const queuedImage = z.object({
  /** For validation it states the condition: "control-...", "positive-0.50-...". */
  label: z.string().trim().min(1).max(200),
  kind: z.enum(["model", "free"]).default("model"),
  /** Absolute path of a PNG or JPEG, the PNG itself, or an image of an ablation analysis. */
  source: z.discriminatedUnion("from", [
    z.object({ from: z.literal("file"), path: z.string().min(1) }).strict(),
    z.object({ from: z.literal("png"), base64: z.string().min(1).max(20_000_000) }).strict(),
    z.object({ from: z.literal("sweep"), id: z.string().min(1), unit: z.string(), generator: z.string(), run: z.number().int().min(0), sign: z.enum(["positive", "negative"]), alpha: z.number() }).strict(),
  ]),
}).strict();
export const queueImagesArgs = z.object({ images: z.array(queuedImage).min(1).max(500) }).strict();

export const emptyPlan: PlanState = { steps: [], current: null, carried: { field: null, target: null }, queuedImages: 0 };
