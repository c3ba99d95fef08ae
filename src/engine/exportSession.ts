// Several sessions to several formats, one after the other: the one way to export for the command line and the windows.
// Knows nothing about formats.
import { exportFormats, exportSession } from "../session/exports/index.ts";
import type { ExportFormat, ExportReport } from "../session/exports/index.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";

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
    outcomes.push({ file, format, result });
    if (signal?.aborted === true) break;
  }
  return outcomes;
}

/** Formats from a text like "nwb,csv". Errors: `badFormat`. */
export function parseFormats(text: string): Result<readonly ExportFormat[], Fault> {
  const names = text.split(",").map((name) => name.trim());
  const formats = exportFormats.filter((format) => names.includes(format));
  const unknown = names.filter((name) => !exportFormats.some((format) => format === name));
  if (unknown.length > 0) return fault("badFormat", `Expected formats out of ${exportFormats.join(", ")}, got "${unknown.join(", ")}".`);
  return ok(formats);
}
