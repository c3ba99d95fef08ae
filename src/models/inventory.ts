// What is installed held against what the analyses need. Knows nothing about downloads or sessions.

import type { AnalysisLine, ModelLine, ModelsOverview } from "../shared/contract/models.ts";
import type { ModelManifest } from "../shared/manifest.ts";
import { explainHowToGet, findFetchableWay } from "./catalogue.ts";
import type { AnalysisNeeds, Catalogue, PublishedModel } from "./catalogue.ts";
import { megabytes } from "./download.ts";
import type { RegistryEntry } from "./registry.ts";

export interface InventoryOptions {
  readonly catalogue: Catalogue;
  readonly entries: readonly RegistryEntry[];
  /** Folder of the models that ship with the app. */
  readonly builtInDir: string;
  readonly folder: string | null;
  /** Provider of an opened model by id. */
  readonly providers?: ReadonlyMap<string, string>;
  /** The machine's execution providers and the chosen one; left out where nothing runs. */
  readonly machine?: { readonly present: readonly string[]; readonly chosen: string };
}

export function listInventory({ catalogue, entries, builtInDir, folder, providers = new Map(), machine = { present: [], chosen: "auto" } }: InventoryOptions): ModelsOverview {
  const published = new Map(catalogue.models.map((model) => [model.id, model]));
  const usable = new Set(entries.filter((entry) => entry.problem === null).map((entry) => entry.id));
  const installed = entries.map((entry) => describeEntry(entry, published.get(entry.id) ?? null, entry.folder.startsWith(builtInDir), providers.get(entry.id) ?? null));
  const missing = catalogue.models.filter((model) => !entries.some((entry) => entry.id === model.id)).map(describeMissing);
  return { models: [...installed, ...missing], analyses: catalogue.analyses.map((analysis) => describeAnalysis(analysis, usable)), folder, providers: [...machine.present], provider: machine.chosen };
}

function describeEntry(entry: RegistryEntry, published: PublishedModel | null, builtIn: boolean, provider: string | null): ModelLine {
  const { manifest, problem } = entry;
  const usable = problem === null && manifest !== null;
  return {
    id: entry.id, title: manifest?.title ?? published?.title ?? entry.id, kind: manifest?.kind ?? published?.kind ?? "",
    state: usable ? (builtIn ? "builtIn" : "ready") : "problem",
    purpose: published?.purpose ?? manifest?.description ?? "", licence: manifest?.licence ?? published?.licence ?? "",
    problem: problem?.message ?? null,
    howToGet: usable || published === null ? null : explainHowToGet(published),
    fetchable: !usable && published !== null && findFetchableWay(published) !== null,
    sizeBytes: manifest?.sizeBytes ?? null, detail: manifest === null ? "" : describeManifest(manifest), source: manifest?.source ?? "", provider,
  };
}

function describeMissing(model: PublishedModel): ModelLine {
  return {
    id: model.id, title: model.title, kind: model.kind, state: "missing", purpose: model.purpose, licence: model.licence,
    problem: null, howToGet: explainHowToGet(model), fetchable: findFetchableWay(model) !== null, sizeBytes: null, detail: "", source: "", provider: null,
  };
}

export function describeManifest(manifest: ModelManifest): string {
  const size = megabytes(manifest.sizeBytes);
  switch (manifest.kind) {
    case "generator": return `${manifest.input.dim} numbers to ${manifest.output.width} x ${manifest.output.height} px, step size ${manifest.latent.initialStepSize}, ${size}`;
    case "encoder": return `${manifest.input.width} x ${manifest.input.height} px to ${manifest.layers.length} layer${manifest.layers.length === 1 ? "" : "s"}, ${manifest.penultimate} of ${manifest.layers.find((layer) => layer.name === manifest.penultimate)?.dim ?? 0}, ${size}`;
    case "detector": return `${manifest.input.width} x ${manifest.input.height} px to ${manifest.output.boxes} boxes, ${manifest.classes.length} classes, ${size}`;
  }
}

function describeAnalysis(analysis: AnalysisNeeds, usable: ReadonlySet<string>): AnalysisLine {
  const missing = analysis.needs.filter((id) => !usable.has(id));
  const standIns = analysis.standIns.filter((id) => usable.has(id));
  if (missing.length === 0) return { id: analysis.id, title: analysis.title, state: "complete", missing, sentence: "All models of the published analysis are there." };
  const names = missing.join(", ");
  if (missing.length < analysis.needs.length) {
    const present = analysis.needs.filter((id) => usable.has(id)).join(", ");
    return { id: analysis.id, title: analysis.title, state: "standIn", missing, sentence: `Runs on ${present}; missing for the published analysis: ${names}.` };
  }
  if (standIns.length > 0) return { id: analysis.id, title: analysis.title, state: "standIn", missing, sentence: `Runs on the built-in ${standIns.join(", ")}; missing for the published analysis: ${names}.` };
  return { id: analysis.id, title: analysis.title, state: "missing", missing, sentence: `Cannot be run: ${names} is missing and no built-in model stands in.` };
}
