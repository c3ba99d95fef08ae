// What `evoked models` and the Models screen ask of the models: the folders of this installation joined with src/models.
// Knows nothing about terminals or windows.
import { join } from "node:path";
import { benchModels } from "../models/benching.ts";
import type { BenchLine } from "../models/benching.ts";
import { readCatalogue } from "../models/catalogue.ts";
import type { Catalogue, PublishedModel } from "../models/catalogue.ts";
import { startModels } from "../models/client.ts";
import { fetchModel } from "../models/fetching.ts";
import type { Fetched, FetchProgress } from "../models/fetching.ts";
import { importFolder, importWeights } from "../models/importing.ts";
import type { ImportedModel } from "../models/importing.ts";
import { listInventory } from "../models/inventory.ts";
import { readRegistry } from "../models/registry.ts";
import { verifyModel } from "../models/verifying.ts";
import type { ModelLine, ModelsOverview, ModelVerdict } from "../shared/contract/models.ts";
import type { ModelManifest } from "../shared/manifest.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { builtInModels, userModels } from "./paths.ts";

export type { BenchLine, Fetched, FetchProgress, ImportedModel };

/** Measurements of this machine lie beside the user's models. */
export function modelSettingsFile(modelsDir: string): string {
  return join(modelsDir, "settings.json");
}

export interface ModelsPlace {
  /** The user's models folder. */
  readonly modelsDir: string;
}

export const defaultModelsPlace: ModelsPlace = { modelsDir: userModels };
const convertDir = join(builtInModels, "convert");

export async function describeModels({ modelsDir }: ModelsPlace): Promise<Result<ModelsOverview, Fault>> {
  const catalogue = await readCatalogue(builtInModels);
  if (!catalogue.ok) return catalogue;
  return ok(listInventory({ catalogue: catalogue.value, entries: await readRegistry([builtInModels, modelsDir]), builtInDir: builtInModels, folder: modelsDir }));
}

export interface ModelDetails {
  readonly line: ModelLine;
  readonly manifest: ModelManifest | null;
  readonly published: PublishedModel | null;
}

export async function showModel(id: string, place: ModelsPlace): Promise<Result<ModelDetails, Fault>> {
  const [overview, catalogue] = [await describeModels(place), await readCatalogue(builtInModels)];
  if (!overview.ok) return overview;
  if (!catalogue.ok) return catalogue;
  const line = overview.value.models.find((model) => model.id === id);
  if (line === undefined) return unknownModel(id, overview.value.models.map((model) => model.id));
  const entry = (await readRegistry([builtInModels, place.modelsDir])).find((candidate) => candidate.id === id);
  return ok({ line, manifest: entry?.manifest ?? null, published: catalogue.value.models.find((model) => model.id === id) ?? null });
}

/** All installed models, or those named. */
export async function verifyModels(ids: readonly string[], options: ModelsPlace & { readonly provider?: string; readonly onVerdict?: (verdict: ModelVerdict) => void }): Promise<Result<readonly ModelVerdict[], Fault>> {
  const models = await startModels({ modelsDirs: [builtInModels, options.modelsDir], ...(options.provider === undefined ? {} : { provider: options.provider }) });
  if (!models.ok) return models;
  try {
    const verdicts: ModelVerdict[] = [];
    for (const id of ids.length > 0 ? ids : models.value.entries().map((entry) => entry.id)) {
      const verdict = await verifyModel(models.value, id);
      options.onVerdict?.(verdict);
      verdicts.push(verdict);
    }
    return ok(verdicts);
  } finally {
    await models.value.close();
  }
}

/** `what` is the id of a published model with its weight files, or a folder with an ONNX file and its manifest. */
export async function importModel(what: string, files: readonly string[], options: ModelsPlace & { readonly replace: boolean; readonly source?: string }): Promise<Result<ImportedModel, Fault>> {
  const catalogue = await readCatalogue(builtInModels);
  if (!catalogue.ok) return catalogue;
  const published = catalogue.value.models.find((model) => model.id === what);
  if (published === undefined) {
    if (files.length === 0) return importFolder(what, options);
    return unknownModel(what, catalogue.value.models.map((model) => model.id));
  }
  const way = published.ways.find((candidate) => candidate.files.length === files.length) ?? published.ways[0];
  if (way === undefined) throw new Error(`expected a way to get ${what}`);
  return importWeights(published, way, files, { modelsDir: options.modelsDir, convertDir, replace: options.replace }, options.source);
}

export interface FetchRequest extends ModelsPlace {
  readonly replace: boolean;
  readonly downloadOnly?: boolean;
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
}

export async function fetchPublished(id: string, request: FetchRequest): Promise<Result<Fetched, Fault>> {
  const catalogue = await readCatalogue(builtInModels);
  if (!catalogue.ok) return catalogue;
  return fetchFrom(catalogue.value, id, request);
}

/** As fetchPublished, from a catalogue that is at hand. */
export async function fetchFrom(catalogue: Catalogue, id: string, request: FetchRequest): Promise<Result<Fetched, Fault>> {
  const published = catalogue.models.find((model) => model.id === id);
  if (published === undefined) return unknownModel(id, catalogue.models.map((model) => model.id));
  const there = (await readRegistry([builtInModels, request.modelsDir])).find((entry) => entry.id === id);
  if (there !== undefined && there.problem === null && !request.replace && request.downloadOnly !== true) {
    return fault("modelTwice", `${published.title} is there already, in ${there.folder}. Add --replace to get it again.`);
  }
  // A folder that is refused is what the new one replaces.
  return fetchModel(published, { ...request, convertDir, replace: request.replace || there?.problem != null });
}

export async function benchInstalled(ids: readonly string[], options: ModelsPlace & { readonly provider?: string; readonly threads?: number; readonly onLine?: (line: BenchLine) => void }): Promise<Result<readonly BenchLine[], Fault>> {
  const modelsDirs = [builtInModels, options.modelsDir];
  const all = (await readRegistry(modelsDirs)).filter((entry) => entry.problem === null).map((entry) => entry.id);
  return benchModels({
    modelsDirs, ids: ids.length > 0 ? ids : all, settingsFile: modelSettingsFile(options.modelsDir),
    ...(options.provider === undefined ? {} : { provider: options.provider }), ...(options.threads === undefined ? {} : { threads: options.threads }), ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
}

function unknownModel(id: string, known: readonly string[]): { readonly ok: false; readonly error: Fault } {
  return fault("modelUnknown", `Expected one of ${known.join(", ")}, got "${id}". See: evoked models list.`);
}
