// Several sessions to several formats, one after the other: the one way to export for the command line and the windows. Each session keeps a
// note of where it went.
// Knows nothing about formats.
import { resolve } from "node:path";
import { appendToSession } from "../session/append.ts";
import { exportFormats, exportSession } from "../session/exports/index.ts";
import type { ExportFormat, ExportReport } from "../session/exports/index.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { SessionInfo } from "../shared/records.ts";
import { appVersion } from "./version.ts";

export { exportFormats };
export type { ExportFormat, ExportReport };

export interface ExportJob {
  /** Session files. */
  readonly files: readonly string[];
  readonly formats: readonly ExportFormat[];
  readonly outDir: string;
  readonly overwrite?: boolean;
  /** An NWB 2.7.0 file whose cached schema NWB exports take over. */
  readonly nwbSpecificationsFrom?: string;
  /** Who notes each export in its session; null: nobody, the sessions stay as they are. */
  readonly notedBy: SessionInfo["hostKind"] | null;
}

export interface ExportProgress {
  readonly file: string;
  readonly format: ExportFormat;
  /** 0-based, of `count` exports. */
  readonly index: number;
  readonly count: number;
  /** Of this export, 0 to 1. */
  readonly done: number;
  readonly stage: string;
}

export interface ExportOutcome {
  readonly file: string;
  readonly format: ExportFormat;
  readonly result: Result<ExportReport, Fault>;
  /** Why the export is not noted in the session (it is being recorded, it cannot be written), a sentence; null where it is, or was not to be. */
  readonly notNoted: string | null;
}

/** One export after the other: each reads a whole session. A failed one does not stop the others; a cancelled one does. */
export async function exportSessions(job: ExportJob, options: { readonly onProgress?: (progress: ExportProgress) => void; readonly signal?: AbortSignal } = {}): Promise<readonly ExportOutcome[]> {
  const { onProgress, signal } = options;
  const exports = job.files.flatMap((file) => job.formats.map((format) => ({ file, format })));
  const outcomes: ExportOutcome[] = [];
  for (const [index, { file, format }] of exports.entries()) {
    const result = await exportSession({
      file,
      format,
      outDir: job.outDir,
      overwrite: job.overwrite === true,
      onProgress: (done, stage) => onProgress?.({ file, format, index, count: exports.length, done, stage }),
      ...(job.nwbSpecificationsFrom === undefined ? {} : { nwbSpecificationsFrom: job.nwbSpecificationsFrom }),
      ...(signal === undefined ? {} : { signal }),
    });
    outcomes.push({ file, format, result, notNoted: result.ok && job.notedBy !== null ? await note(result.value, job.notedBy) : null });
    if (signal?.aborted === true) break;
  }
  return outcomes;
}

/** A session that cannot take the note is exported all the same. */
async function note({ file, format, path, sizeBytes, sha256, checks }: ExportReport, hostKind: SessionInfo["hostKind"]): Promise<string | null> {
  const nowUtc = new Date().toISOString();
  const added = await appendToSession(file, [{ kind: "export", atUtc: nowUtc, format, path: resolve(path), sizeBytes, sha256, checks, appVersion }], { appVersion, hostKind, nowUtc });
  return added.ok ? null : added.error.message;
}

/** Formats from a text like "nwb,csv". Errors: `badFormat`. */
export function parseFormats(text: string): Result<readonly ExportFormat[], Fault> {
  const names = text.split(",").map((name) => name.trim());
  const formats = exportFormats.filter((format) => names.includes(format));
  const unknown = names.filter((name) => !exportFormats.some((format) => format === name));
  if (unknown.length > 0) return fault("badFormat", `Expected formats out of ${exportFormats.join(", ")}, got "${unknown.join(", ")}".`);
  return ok(formats);
}
