// The published models: what each is for, where its official weights lie, how they become an ONNX file; and what each analysis
// needs. Read from models/catalogue.json. Knows nothing about downloads or about what is installed.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { describe } from "./registry.ts";

const officialFile = z.object({
  name: z.string().regex(/^[\w.-]+$/, "expected a plain file name"),
  format: z.enum(["caffemodel", "pytorch", "onnx"]),
  /** Official address; null where there is none that a program can use. */
  url: z.url({ protocol: /^https?$/ }).nullable(),
  /** Where a person reads about it. */
  page: z.url().nullable(),
  /** null: not published; the hash is recorded at the first download and held against later ones. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).nullable(),
  /** First digits of the hash where the publisher names only these. */
  sha256Begins: z.string().regex(/^[0-9a-f]{4,63}$/).nullable(),
  /** Size for the estimate of disk space; a server's own statement goes before it. */
  aboutMB: z.number().positive().nullable(),
  /** What to do where there is no address. */
  how: z.string().optional(),
});

const officialWay = z.object({
  title: z.string(),
  /** Script in models/convert and what stands before the files on its command line. */
  converter: z.object({ script: z.string().regex(/^\w+\.py$/), arguments: z.array(z.string()) }),
  files: z.array(officialFile).min(1),
});

const publishedModel = z.object({
  /** The id that the converted model has in the registry. */
  id: z.string(),
  title: z.string(),
  kind: z.enum(["generator", "encoder", "detector"]),
  purpose: z.string(),
  licence: z.string(),
  /** Best first: any one of them makes the model. */
  ways: z.array(officialWay).min(1),
});

const analysisNeeds = z.object({
  id: z.string(),
  title: z.string(),
  /** Published models for the published result. */
  needs: z.array(z.string()).min(1),
  /** Built-in models that the analysis runs on meanwhile; empty where there are none. */
  standIns: z.array(z.string()),
});

const catalogueSchema = z.object({ analyses: z.array(analysisNeeds), models: z.array(publishedModel) });

export type OfficialFile = z.infer<typeof officialFile>;
export type OfficialWay = z.infer<typeof officialWay>;
export type PublishedModel = z.infer<typeof publishedModel>;
export type AnalysisNeeds = z.infer<typeof analysisNeeds>;
export type Catalogue = z.infer<typeof catalogueSchema>;

export const catalogueFileName = "catalogue.json";

/** Reads the catalogue beside the built-in models. Errors: `catalogueUnreadable`. */
export async function readCatalogue(builtInDir: string): Promise<Result<Catalogue, Fault>> {
  const path = join(builtInDir, catalogueFileName);
  try {
    return parseCatalogue(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    return fault("catalogueUnreadable", `Expected the catalogue of published models in ${path}: ${describe(error)}. Install the app again.`);
  }
}

export function parseCatalogue(data: unknown): Result<Catalogue, Fault> {
  const parsed = catalogueSchema.safeParse(data);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    return fault("catalogueUnreadable", `The catalogue of published models does not fit at "${first?.path.join(".") ?? ""}": ${first?.message ?? "unknown"}. Install the app again.`);
  }
  const known = new Set(parsed.data.models.map((model) => model.id));
  const stranger = parsed.data.analyses.flatMap((analysis) => analysis.needs).find((id) => !known.has(id));
  if (stranger !== undefined) return fault("catalogueUnreadable", `The catalogue names "${stranger}" for an analysis but does not describe it. Install the app again.`);
  return ok(parsed.data);
}

/** The first way whose every file has an address, or null. */
export function findFetchableWay(model: PublishedModel): OfficialWay | null {
  return model.ways.find((way) => way.files.every((file) => file.url !== null)) ?? null;
}

/** How to get a model, in one or two sentences. */
export function explainHowToGet(model: PublishedModel): string {
  const way = findFetchableWay(model);
  const megabytes = way === null ? null : way.files.reduce((sum, file) => sum + (file.aboutMB ?? 0), 0);
  if (way !== null) return `Run: evoked models fetch ${model.id}${megabytes === null || megabytes === 0 ? "" : ` (about ${Math.round(megabytes)} MB)`}`;
  const [first] = model.ways;
  const file = first?.files[0];
  return `${file?.how ?? `See ${file?.page ?? "its publisher"}.`} Then run: evoked models import ${model.id} ${first?.files.map((one) => one.name).join(" ") ?? "FILE"}`;
}
