// One export from beginning to end in the thread that calls it: opens the session, picks the writer and the name, runs the task.
// Knows nothing about threads.
import { copyFileSync, existsSync } from "node:fs";
import { join, parse } from "node:path";
import { performance } from "node:perf_hooks";
import { ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { notesFileOf } from "../laterNotes.ts";
import { dandiPath } from "../metadata.ts";
import { openSession } from "../reader.ts";
import type { SessionReader } from "../reader.ts";
import { writeCsv, writeImageFolder } from "./csv.ts";
import { loadHdf5 } from "./hdf5.ts";
import { writeMat } from "./mat.ts";
import { writeNwb } from "./nwb.ts";
import { writeParquet } from "./parquet.ts";
import { writeSnapshot } from "./sqlite.ts";
import { runTask } from "./task.ts";
import type { ExportFormat, ExportReport, ExportTask } from "./task.ts";

export interface ExportOrder {
  /** Session file. */
  readonly file: string;
  readonly format: ExportFormat;
  /** Folder for the result; made where it does not exist. */
  readonly outDir: string;
  /** Replace what is there. Default false. */
  readonly overwrite?: boolean;
  /** NWB only: an NWB 2.7.0 file whose cached schema is taken over. */
  readonly nwbSpecificationsFrom?: string;
  /** Time of the export, ISO 8601; stands in formats that ask for it. */
  readonly now: string;
}

export interface ExportHooks {
  readonly onProgress: (done: number, stage: string) => void;
  readonly isCancelled: () => boolean;
}

/** Where an export goes. NWB files are named and placed as DANDI organizes them. */
function targetOf(reader: SessionReader, { format, outDir }: ExportOrder): string {
  const { name } = parse(reader.file);
  switch (format) {
    case "nwb": {
      const { folder, name: file } = dandiPath(reader.info());
      return join(outDir, folder, file);
    }
    case "mat":
      return join(outDir, `${name}.mat`);
    case "sqlite":
      return join(outDir, `${name}.sqlite`);
    default:
      return join(outDir, `${name}-${format}`);
  }
}

async function write(reader: SessionReader, { format, now, nwbSpecificationsFrom }: ExportOrder, task: ExportTask): Promise<void> {
  switch (format) {
    case "nwb":
      return writeNwb(reader, await loadHdf5(), task, { now, specificationsFrom: nwbSpecificationsFrom ?? null });
    case "mat":
      return writeMat(reader, await loadHdf5(), task);
    case "csv":
      return writeCsv(reader, task);
    case "parquet":
      return writeParquet(reader, task);
    case "sqlite":
      return writeSnapshot(reader, task);
    case "images":
      return writeImageFolder(reader, task);
  }
}

/** Errors: those of opening the session, `exportExists`, `exportCancelled`, `exportMismatch`, `notWritable`, `diskFull`. */
export async function runExport(order: ExportOrder, hooks: ExportHooks): Promise<Result<ExportReport, Fault>> {
  const started = performance.now();
  // A session may be recorded while it is exported. VACUUM INTO takes its own snapshot and cannot run in a transaction.
  const reader = openSession(order.file, { frozen: order.format !== "sqlite" });
  if (!reader.ok) return reader;
  try {
    const path = targetOf(reader.value, order);
    const done = await runTask({ target: path, overwrite: order.overwrite === true, ...hooks }, (task) => write(reader.value, order, task));
    if (!done.ok) return done;
    // A copy of the session is whole only with the notes that lie beside it.
    if (order.format === "sqlite" && existsSync(notesFileOf(order.file))) copyFileSync(notesFileOf(order.file), notesFileOf(path));
    return ok({ format: order.format, file: order.file, path, ...done.value, wallMs: performance.now() - started });
  } finally {
    reader.value.close();
  }
}
