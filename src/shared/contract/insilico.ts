// What a window knows of in-silico analyses: neuron models of a session, ablation sweeps under way and done, their curves.
// Knows nothing about files or networks.
import { z } from "zod";

const sign = z.enum(["positive", "negative"]);
const nullableNumber = z.number().nullable();

export const fitArgs = z.object({
  /** Session file. */
  file: z.string().min(1),
  encoder: z.string().min(1),
  /** null = the penultimate layer. */
  layer: z.string().nullable().default(null),
  method: z.enum(["pls", "lasso", "ridge"]).default("pls"),
  components: z.number().int().min(1).max(10).default(1),
  /** Lasso only. */
  positive: z.boolean().default(false),
  seed: z.number().int().default(1),
}).strict();

/** One unit's model card. Scores are null where they are undefined. */
export const unitCard = z.object({
  name: z.string(), area: z.string(), channel: z.number(),
  r2Train: nullableNumber, r2Test: nullableNumber, r: nullableNumber,
  /** Highest r a perfect model could have, and r over it. */
  ceilingR: nullableNumber, noiseCorrectedR: nullableNumber,
  positiveToNegative: nullableNumber,
  weights: z.object({ edges: z.array(z.number()), counts: z.array(z.number()) }),
  /** Single images, spikes/s. */
  scatter: z.object({ measured: z.array(z.number()), predicted: z.array(z.number()), isTest: z.array(z.boolean()) }),
});
export type UnitCard = z.infer<typeof unitCard>;

export const sessionFitView = z.object({
  file: z.string(), encoder: z.string(), layer: z.string(), method: z.string(),
  images: z.number(), presentations: z.number(), kinds: z.array(z.string()),
  consistentPositive: z.number(), consistentNegative: z.number(), features: z.number(),
  /** Index into units; null where no unit has a score. */
  bestUnit: nullableNumber,
  units: z.array(unitCard),
  /** Report page on this computer. */
  report: z.string(),
});
export type SessionFitView = z.infer<typeof sessionFitView>;

export const sweepArgs = z.object({
  units: z.discriminatedUnion("from", [
    /** Classes of a network, by number or name; empty = all. */
    z.object({
      from: z.literal("classes"), network: z.string().min(1), names: z.array(z.string()),
      /** Another layer than the one that the last weights read: what is removed there follows the sign of the unit's gradient; null = the last weights. */
      layer: z.string().min(1).nullable().default(null),
    }).strict(),
    /** Neuron models of the session's newest fit, by channel name; empty = the suggested one. */
    z.object({ from: z.literal("session"), file: z.string().min(1), names: z.array(z.string()) }).strict(),
  ]),
  signs: z.array(sign).min(1).default(["positive", "negative"]),
  alphas: z.array(z.number().min(0).max(1)).min(1).max(101).default([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
  rule: z.enum(["atMost", "reach"]).default("atMost"),
  generators: z.array(z.string()).min(1).default(["shapes-g2"]),
  runs: z.number().int().min(1).max(100).default(5),
  generations: z.number().int().min(1).max(1000).default(100),
  /** null = the optimizer's own. */
  population: z.number().int().min(4).max(400).nullable().default(null),
  seed: z.number().int().default(1),
}).strict();
export type SweepArgs = z.infer<typeof sweepArgs>;

/** An analysis in the list, and the `insilico` event while it runs. */
export const sweepLine = z.object({
  id: z.string(), title: z.string(),
  /** stopped: not finished and not running; it can be resumed. */
  state: z.enum(["running", "paused", "stopped", "finished", "failed"]),
  /** 0 to 1. */
  share: z.number(),
  /** What it is doing, or why it failed. */
  message: z.string(),
  /** Time that is left, s; null where unknown. */
  remainingS: nullableNumber,
  startedUtc: z.string(),
  units: z.array(z.object({ id: z.string(), title: z.string(), network: z.string() })),
  /** Units, generators and runs that are complete. */
  groupsDone: z.number(), groups: z.number(),
});
export type SweepLine = z.infer<typeof sweepLine>;

const curvePoint = z.object({ alpha: z.number(), sign, mean: z.number(), low: nullableNumber, high: nullableNumber, n: z.number(), p: nullableNumber });

export const sweepCurve = z.object({
  id: z.string(), title: z.string(), axis: z.string(), network: z.string(), over: z.string(),
  control: z.object({ mean: z.number(), low: nullableNumber, high: nullableNumber, n: z.number() }).nullable(),
  points: z.array(curvePoint),
});
export type SweepCurve = z.infer<typeof sweepCurve>;

export const sweepRun = z.object({
  unit: z.string(), generator: z.string(), run: z.number(), sign, alpha: z.number(),
  activation: z.number(), intactActivation: z.number(), objectEnergy: nullableNumber, objectness: nullableNumber,
});
export type SweepRun = z.infer<typeof sweepRun>;

export const sweepView = z.object({
  line: sweepLine, runs: z.array(sweepRun), curves: z.array(sweepCurve),
  settings: z.object({ alphas: z.array(z.number()), signs: z.array(sign), generators: z.array(z.string()), runs: z.number(), generations: z.number(), rule: z.string(), seed: z.number() }),
  missing: z.array(z.string()),
  /** Report page on this computer; null until it is finished. */
  report: z.string().nullable(),
  folder: z.string(),
  command: z.string(),
});
export type SweepView = z.infer<typeof sweepView>;

export const sweepRef = z.object({ id: z.string().min(1) }).strict();
export const sweepImageRef = z.object({ id: z.string().min(1), unit: z.string(), generator: z.string(), run: z.number().int().min(0), sign, alpha: z.number() }).strict();
