// One export at work: where it writes, how it says how far it is, how it is cancelled, and how it compares what it wrote.
// Knows nothing about formats.
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { threadId } from "node:worker_threads";
import { FaultError, fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { faultOf } from "../sqlite.ts";

export const exportFormats = ["nwb", "mat", "csv", "parquet", "sqlite", "images"] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** Thrown at the next step after the user cancelled; never leaves this folder. */
export class Cancelled extends Error {}
/** Thrown where what was read back is not what is in the database; never leaves this folder. */
export class Mismatch extends Error {}

export interface ExportTask {
  /** Where to write: a name that does not count until the export is complete. */
  readonly temporary: string;
  /** Says how much is done, 0 to 1; the place where a cancelled export ends. */
  step(done: number, stage: string): void;
  /** Counts compared values; ends the export where they are not equal. */
  check(what: string, expected: unknown, got: unknown): void;
}

export interface ExportReport {
  readonly format: ExportFormat;
  readonly file: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Of the file, hexadecimal; null where the export is a folder. */
  readonly sha256: string | null;
  readonly wallMs: number;
  /** How many comparisons with the database were made on reading back; all were equal. */
  readonly checks: number;
}

export interface RunOptions {
  readonly target: string;
  readonly overwrite: boolean;
  readonly onProgress: (done: number, stage: string) => void;
  readonly isCancelled: () => boolean;
}

/** Runs the writer on a temporary name, makes it last, and gives it its name. Errors: `exportExists`, `exportCancelled`, `exportMismatch`, and those of files. */
export async function runTask(options: RunOptions, write: (task: ExportTask) => Promise<void> | void): Promise<Result<Pick<ExportReport, "checks" | "sizeBytes" | "sha256">, Fault>> {
  const { target, overwrite, onProgress, isCancelled } = options;
  if (existsSync(target) && !overwrite) return fault("exportExists", `${target} already exists. Choose another folder, or export again with overwriting.`);
  const temporary = join(dirname(target), `.${basename(target)}.partial-${process.pid}-${threadId}`);
  let checks = 0;
  let made: string | undefined;
  try {
    made = mkdirSync(dirname(target), { recursive: true });
    rmSync(temporary, { recursive: true, force: true });
    await write({
      temporary,
      step(done, stage) {
        if (isCancelled()) throw new Cancelled();
        onProgress(done, stage);
      },
      check(what, expected, got) {
        checks++;
        if (expected !== got && !(Number.isNaN(expected) && Number.isNaN(got))) throw new Mismatch(`${what}: expected ${String(expected)}, got ${String(got)}`);
      },
    });
    if (isCancelled()) throw new Cancelled();
    syncTree(temporary);
    const sha256 = hashOf(temporary);
    if (overwrite) rmSync(target, { recursive: true, force: true });
    renameSync(temporary, target);
    return ok({ checks, sizeBytes: treeBytes(target), sha256 });
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    if (made !== undefined) removeEmptyFolders(dirname(target), made);
    if (error instanceof FaultError) return fault(error.code, error.message);
    if (error instanceof Cancelled) return fault("exportCancelled", "The export was cancelled; nothing was left behind.");
    if (error instanceof Mismatch) return fault("exportMismatch", `What was written to ${target} is not what the session holds (${error.message}). Nothing was kept; please report it.`);
    return { ok: false, error: faultOf(error, target) };
  }
}

/** Removes the folders that were made for the export, from the innermost out, as long as nobody has put anything in them. */
function removeEmptyFolders(innermost: string, outermost: string): void {
  for (let folder = innermost; folder.startsWith(outermost); folder = dirname(folder)) {
    try {
      rmdirSync(folder);
    } catch {
      return;
    }
  }
}

function filesUnder(path: string): string[] {
  return statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesUnder(join(path, name))) : [path];
}

function syncTree(path: string): void {
  for (const file of filesUnder(path)) {
    const descriptor = openSync(file, "r+");
    fsyncSync(descriptor);
    closeSync(descriptor);
  }
}

function hashOf(path: string): string | null {
  if (statSync(path).isDirectory()) return null;
  const hash = createHash("sha256");
  const descriptor = openSync(path, "r");
  const block = Buffer.alloc(1 << 20);
  try {
    for (let read = readSync(descriptor, block); read > 0; read = readSync(descriptor, block)) hash.update(block.subarray(0, read));
  } finally {
    closeSync(descriptor);
  }
  return hash.digest("hex");
}

function treeBytes(path: string): number {
  return filesUnder(path).reduce((sum, file) => sum + statSync(file).size, 0);
}
