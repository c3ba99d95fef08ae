// What a window knows about the models: what is there, what is missing for which analysis, a download under way.
// Knows nothing about files or ONNX.
import { z } from "zod";

export const modelLine = z.object({
  id: z.string(), title: z.string(), kind: z.string(),
  /** builtIn and ready can be used; problem is there but refused; missing is known but not installed. */
  state: z.enum(["builtIn", "ready", "problem", "missing"]),
  purpose: z.string(), licence: z.string(),
  /** What is wrong with it, or null. */
  problem: z.string().nullable(),
  /** How to get it, one or two sentences; null for a model that can be used. */
  howToGet: z.string().nullable(),
  /** A program can download it. */
  fetchable: z.boolean(),
  sizeBytes: z.number().nullable(),
  detail: z.string(),
  source: z.string(),
  /** Execution provider it runs on; null while it is not loaded. */
  provider: z.string().nullable(),
});
export type ModelLine = z.infer<typeof modelLine>;

export const analysisLine = z.object({
  id: z.string(), title: z.string(),
  /** complete: all published models are there. standIn: built-in models do meanwhile. missing: it cannot be run. */
  state: z.enum(["complete", "standIn", "missing"]),
  missing: z.array(z.string()),
  sentence: z.string(),
});
export type AnalysisLine = z.infer<typeof analysisLine>;

export const modelsOverview = z.object({
  models: z.array(modelLine), analyses: z.array(analysisLine),
  /** Folder that imported and fetched models go to; null where this host has none. */
  folder: z.string().nullable(),
  /** Execution providers of this machine, best first, and the chosen one: "auto" or a name. */
  providers: z.array(z.string()), provider: z.string(),
});
export type ModelsOverview = z.infer<typeof modelsOverview>;

export const modelVerdict = z.object({
  id: z.string(), ok: z.boolean(), message: z.string(),
  /** Execution providers that were tried and left, each with its reason. */
  left: z.array(z.string()),
});
export type ModelVerdict = z.infer<typeof modelVerdict>;

/** A download and conversion under way. */
export const modelFetch = z.object({
  id: z.string(), phase: z.enum(["downloading", "converting", "done", "failed"]),
  file: z.string(), receivedBytes: z.number(), totalBytes: z.number().nullable(),
  /** What happened, when it is over. */
  message: z.string().nullable(),
});
export type ModelFetch = z.infer<typeof modelFetch>;
