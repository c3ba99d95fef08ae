// What can be done with recorded sessions afterwards: verify, export, import, score otherwise, add notes. Long work is a job that says how
// far it is. Knows nothing about files or formats.
import { z } from "zod";

export const exportFormat = z.enum(["nwb", "mat", "csv", "parquet", "sqlite", "images"]);

export const jobKind = z.enum(["verify", "export", "import"]);

/** One line of a job's result: a session, and a format where it was exported. */
export const jobResult = z.object({
  file: z.string(), format: exportFormat.nullable(), ok: z.boolean(), message: z.string(),
  /** Verified, and not what was recorded. Otherwise, where `ok` is false, it could not be done. */
  differs: z.boolean(),
  /** Where the export or the imported session is; null where nothing was made. */
  path: z.string().nullable(),
});
export type JobResult = z.infer<typeof jobResult>;

export const job = z.object({
  id: z.string(), kind: jobKind, title: z.string(), files: z.array(z.string()),
  state: z.enum(["waiting", "running", "done", "failed", "cancelled"]),
  /** Of the whole job, 0 to 1. */
  share: z.number(), stage: z.string(), results: z.array(jobResult),
});
export type Job = z.infer<typeof job>;

const files = z.array(z.string().min(1)).min(1).max(500);

export const verifyArgs = z.object({ files }).strict();
export const exportArgs = z.object({ files, formats: z.array(exportFormat).min(1), outDir: z.string().trim().min(1), overwrite: z.boolean().default(false) }).strict();

export const importArgs = z.object({
  csvFile: z.string().trim().min(1), imageFolder: z.string().trim().min(1),
  /** Folder of the session file; null = the app's own. */
  folder: z.string().nullable().default(null),
  subject: z.string().trim().min(1).max(64).regex(/^[A-Za-z0-9_-]+$/, "expected letters, digits, - or _"),
  species: z.string().trim().min(1).default("Macaca mulatta"),
  /** When it was recorded, ISO 8601; null = now. */
  recordedUtc: z.string().nullable().default(null),
  lab: z.string().trim().max(200).default(""),
  windowStartMs: z.number().min(-500).max(2000).default(70),
  windowEndMs: z.number().min(-500).max(2000).default(170),
  description: z.string().trim().max(4000).default(""),
}).strict();
export type ImportArgs = z.infer<typeof importArgs>;

export const whatIfArgs = z.object({
  file: z.string().min(1),
  /** What is left out stays as recorded. */
  windowStartMs: z.number().min(-500).max(2000).optional(), windowEndMs: z.number().min(-500).max(2000).optional(),
  target: z.number().int().min(0).optional(), optimizer: z.string().min(1).optional(),
}).strict();

/** Mean rates in spikes/s; null without a response. */
export interface WhatIfCurves {
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly target: number;
  readonly generations: readonly {
    readonly generation: number;
    readonly recorded: { readonly evolved: number | null; readonly reference: number | null };
    readonly otherwise: { readonly evolved: number | null; readonly reference: number | null };
  }[];
  /** Another optimizer on a model of the recorded responses, beside the recorded one on the same model; r2 is cross-validated. */
  readonly surrogate: { readonly optimizer: string; readonly r2: number | null; readonly recordedOptimizer: readonly (number | null)[]; readonly otherOptimizer: readonly (number | null)[] } | null;
}

/** Written after the session, beside its file; what was recorded never changes. */
export const laterNote = z.object({ id: z.string(), atUtc: z.string(), text: z.string() });
export type LaterNote = z.infer<typeof laterNote>;

export interface SessionNotes {
  /** Of the session itself; ms since its start. */
  readonly recorded: readonly { readonly atMs: number; readonly text: string }[];
  /** Oldest first. */
  readonly later: readonly LaterNote[];
}

/** Where things stand in a recorded session, in ms of replay: what a scrubber needs. */
export interface SessionTimeline {
  readonly durationMs: number;
  readonly generations: readonly { readonly thread: number; readonly generation: number; readonly atMs: number }[];
  /** Where each step of the plan began, in order; empty in sessions of before there were steps. */
  readonly steps: readonly { readonly step: number; readonly protocol: string; readonly title: string; readonly atMs: number }[];
  /** When each presentation was settled, in order. */
  readonly presentationsMs: readonly number[];
  /** When a resumed session was taken up again. */
  readonly resumedMs: readonly number[];
  /** Why it cannot be replayed (an imported evolution has no decisions); null where it can. */
  readonly notReplayable: string | null;
}
