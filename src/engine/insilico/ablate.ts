// One ablation analysis from its units to its report: sweep, measures, files. What `evoked ablate`, `evoked reproduce` and the window's
// analyses run. Knows nothing about command lines or windows.
import { join } from "node:path";
import type { Models } from "../../models/client.ts";
import { FaultError, fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { appVersion } from "../version.ts";
import { isInstalled, measureImages, summariseSweep } from "./measures.ts";
import type { MeasuredImage, MeasureSettings, SweepMeasures } from "./measures.ts";
import { createFeaturePool } from "./pool.ts";
import type { FeaturePool } from "./pool.ts";
import type { Section } from "./report/page.ts";
import { checkSweep, runSweep } from "./sweep.ts";
import type { EvolutionResult, GroupKey, SweepControl, SweepProgress, SweepSettings } from "./sweep.ts";
import { hashUnit, openSweepFolder, writeWhole } from "./sweepFiles.ts";
import type { SweepHead } from "./sweepFiles.ts";
import { writeSweepReport } from "./sweepReport.ts";
import type { LinearUnit } from "./units.ts";

export interface AblationRequest {
  readonly units: readonly LinearUnit[];
  readonly settings: SweepSettings;
  readonly measures: MeasureSettings;
  /** Folder of the sweep and its report. */
  readonly folder: string;
  readonly modelFolders: readonly string[];
  readonly provider?: string;
  readonly workers?: number;
  /** Models that already run in this process (tests). */
  readonly models?: Models;
  readonly command: string;
  readonly title?: string;
  readonly control?: SweepControl;
  readonly onProgress?: (progress: SweepProgress) => void;
  readonly onGroup?: (group: GroupKey, results: readonly EvolutionResult[]) => void;
  readonly onNotice?: (message: string) => void;
  /** Called before the report is written: sections that go first, and what the page says at its top. */
  readonly introduce?: (found: {
    readonly images: readonly MeasuredImage[];
    readonly measures: SweepMeasures;
    /** The other reading of what an evolution's image is, measured. */
    readonly others: () => Promise<readonly MeasuredImage[]>;
  }) => Promise<{ readonly sections: readonly Section[]; readonly summary: readonly string[] }>;
}

export interface AblationOutcome {
  readonly state: "finished" | "stopped";
  readonly folder: string;
  readonly head: SweepHead;
  /** null where the sweep was stopped before its end. */
  readonly measures: SweepMeasures | null;
  readonly images: readonly MeasuredImage[];
  /** Files of the report, its page first. */
  readonly written: readonly string[];
  readonly evaluated: number;
  readonly scored: number;
  readonly wallSeconds: number;
}

/** Runs or resumes an ablation analysis. Errors: those of the sweep, its folder, the models and units. */
export async function runAblation(request: AblationRequest): Promise<Result<AblationOutcome, Fault>> {
  const started = performance.now();
  const invalid = checkSweep(request.units, request.settings);
  if (invalid !== null) return { ok: false, error: invalid };
  const pool = await createFeaturePool({
    modelFolders: request.modelFolders,
    ...(request.provider === undefined ? {} : { provider: request.provider }),
    ...(request.workers === undefined ? {} : { workers: request.workers }),
    ...(request.models === undefined ? {} : { models: request.models }),
    ...(request.onNotice === undefined ? {} : { onNotice: request.onNotice }),
  });
  if (!pool.ok) return pool;
  try {
    return await withPool(request, pool.value, started);
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  } finally {
    await pool.value.close();
  }
}

async function withPool(request: AblationRequest, pool: FeaturePool, started: number): Promise<Result<AblationOutcome, Fault>> {
  const { units, settings, folder } = request;
  const head = await describeSweep(request, pool);
  const files = unwrap(await openSweepFolder(folder, head));
  let scored = 0;
  const state = unwrap(
    await runSweep({
      units, settings, pool, store: files,
      ...(request.control === undefined ? {} : { control: request.control }),
      ...(request.onGroup === undefined ? {} : { onGroup: request.onGroup }),
      onProgress: (progress) => {
        scored = progress.scored;
        request.onProgress?.(progress);
      },
    }),
  );
  const base = { state, folder, head, evaluated: pool.evaluated, scored };
  if (state === "stopped") return ok({ ...base, measures: null, images: [], written: [], wallSeconds: (performance.now() - started) / 1000 });

  const wanted = new Set(units.map((unit) => unit.id));
  const results = files.results().filter((result) => wanted.has(result.unit) && result.run < settings.runs && settings.generators.includes(result.generator));
  const images = await measureImages({ results, units, models: pool.models, detector: request.measures.detector, of: request.measures.of });
  const measures = await summariseSweep({ images, models: pool.models, settings: request.measures });
  const introduction = await request.introduce?.({
    images, measures,
    others: () => measureImages({ results, units, models: pool.models, detector: request.measures.detector, of: request.measures.of === "mean" ? "best" : "mean" }),
  });
  const written = await writeSweepReport({
    folder, head, units, images, measures,
    ...(request.title === undefined ? {} : { title: request.title }),
    ...(introduction === undefined ? {} : { before: introduction.sections, summary: introduction.summary }),
  });
  await writeWhole(join(folder, "measures.json"), `${JSON.stringify(measures)}\n`);
  return ok({ ...base, measures, images, written, wallSeconds: (performance.now() - started) / 1000 });
}

async function describeSweep(request: AblationRequest, pool: FeaturePool): Promise<SweepHead> {
  const { units, settings, measures } = request;
  const models = new Map<string, { id: string; sha256: string; provider: string }>();
  const add = ({ id, sha256, provider }: { readonly id: string; readonly sha256: string; readonly provider: string }): void => {
    models.set(id, { id, sha256, provider });
  };
  for (const generator of settings.generators) {
    for (const network of new Set(units.map((unit) => unit.network))) {
      const joined = unwrap(await pool.open(generator, network));
      add(joined.generator);
      add(joined.encoder);
    }
  }
  for (const id of measures.ensemble) add(unwrap(await pool.encoder(id)).identity);
  if (measures.perceptual !== null && isInstalled(pool.models, measures.perceptual)) add(unwrap(await pool.encoder(measures.perceptual)).identity);
  if (measures.detector !== null) add(unwrap(await pool.models.detector(measures.detector)).identity);
  return {
    format: "evoked-sweep", version: 1, settings, appVersion, command: request.command,
    units: units.map((unit) => ({ id: unit.id, title: unit.title, network: unit.network, layer: unit.layer, kind: unit.kind, weightsSha256: hashUnit(unit) })),
    models: [...models.values()],
  };
}
