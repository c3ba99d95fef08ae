// A recorded session's neuron models, from the file to the report. What `evoked analyse` and the window's fits run.
// Knows nothing about command lines or windows.
import { join } from "node:path";
import { openSession } from "../../session/reader.ts";
import type { LinearModel } from "../../analysis/linearModel.ts";
import type { FitMethod, FitSplit } from "../../analysis/neuronModels.ts";
import type { Models } from "../../models/client.ts";
import type { SessionInfo } from "../../shared/records.ts";
import { FaultError, fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { ImageKind } from "../../shared/values.ts";
import { fitFolderOf, fitSession, saveFit } from "./fit.ts";
import type { SessionFit } from "./fit.ts";
import { writeFitReport } from "./fitReport.ts";
import { recordsOfFit, storeAnalysis } from "./storeAnalysis.ts";
import type { StoredAnalysis } from "./storeAnalysis.ts";
import { validateSession } from "./validation.ts";
import type { SessionValidation } from "./validation.ts";

export interface AnalyseRequest {
  readonly file: string;
  readonly models: Models;
  readonly encoder: string;
  /** null = the encoder's penultimate layer. */
  readonly layer: string | null;
  readonly method: FitMethod;
  readonly split: FitSplit;
  readonly kinds: readonly ImageKind[] | null;
  readonly seed: number;
  /** Unit to validate, by name; null = the best one. */
  readonly unit: string | null;
  /** null = beside the session file. */
  readonly folder: string | null;
  /** Features of images, kept for the next analysis; null = in the folder. */
  readonly cacheFolder?: string | null;
  readonly command: string;
  /** Who stores the models in the session; null: nobody, the session stays as it is. */
  readonly storedBy: SessionInfo["hostKind"] | null;
}

export interface AnalyseOutcome {
  readonly fit: SessionFit;
  readonly fitFile: string;
  readonly validation: SessionValidation | null;
  readonly folder: string;
  readonly written: readonly string[];
  /** null where nothing was to be stored; a session that is being recorded or cannot be written is analysed all the same. */
  readonly stored: Result<StoredAnalysis, Fault> | null;
}

/** Errors: those of the session file, the models, the fit, `layerUnknown`, `unitUnknown`, `reportWrite`. */
export async function analyseSession(request: AnalyseRequest): Promise<Result<AnalyseOutcome, Fault>> {
  const analysed = await analyse(request);
  if (!analysed.ok) return analysed;
  // Only now is the reader closed, and what is added goes into the file itself.
  const { model, ...outcome } = analysed.value;
  const stored = request.storedBy === null ? null : await storeAnalysis(request.file, recordsOfFit(outcome.fit, model), { hostKind: request.storedBy, sessionId: outcome.fit.session.id });
  return ok({ ...outcome, stored });
}

async function analyse(request: AnalyseRequest): Promise<Result<Omit<AnalyseOutcome, "stored"> & { readonly model: LinearModel }, Fault>> {
  const opened = openSession(request.file);
  if (!opened.ok) return opened;
  const reader = opened.value;
  try {
    const encoder = unwrap(await request.models.encoder(request.encoder));
    const manifest = request.models.list().find((model) => model.id === request.encoder);
    const layer = request.layer ?? (manifest?.kind === "encoder" ? manifest.penultimate : "");
    if (!encoder.layers.some((known) => known.name === layer)) return fault("layerUnknown", `Expected a layer of "${request.encoder}" (${encoder.layers.map((l) => l.name).join(", ")}), got "${layer}".`);
    const folder = request.folder ?? fitFolderOf(request.file);
    const cacheFolder = request.cacheFolder === undefined || request.cacheFolder === null ? join(folder, "features") : request.cacheFolder;
    const fitted = unwrap(await fitSession({ reader, encoder, settings: { layer, method: request.method, split: request.split, kinds: request.kinds, seed: request.seed }, cacheFolder }));
    const unit = request.unit === null ? fitted.fit.bestUnit : fitted.fit.units.findIndex((candidate) => candidate.name === request.unit);
    if (unit === -1) return fault("unitUnknown", `Expected a unit of the session (${fitted.fit.units.slice(0, 8).map((u) => u.name).join(", ")}, ...), got "${request.unit}".`);
    const validation = unit === null ? null : unwrap(await validateSession({ reader, encoder, fitted, unit, cacheFolder, seed: request.seed }));
    const fitFile = unwrap(await saveFit(fitted, folder));
    const written = await writeFitReport({ folder, fit: fitted.fit, validation, command: request.command });
    return ok({ fit: fitted.fit, model: fitted.model, fitFile, validation, folder, written });
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    if (error instanceof Error && "code" in error && typeof error.code === "string") return fault("reportWrite", `Could not write the analysis: ${error.message}. Check the folder and the free space.`);
    throw error;
  } finally {
    reader.close();
  }
}
