// Gets a published model: downloads its official files, converts them, installs the result. Knows nothing about who asks.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { explainHowToGet, findFetchableWay } from "./catalogue.ts";
import type { OfficialFile, PublishedModel } from "./catalogue.ts";
import { downloadFile } from "./download.ts";
import type { DownloadRequest } from "./download.ts";
import { findPython, importWeights } from "./importing.ts";
import type { ImportedModel, ImportPlace } from "./importing.ts";

export interface FetchProgress {
  readonly phase: "downloading" | "converting";
  /** File under way; "" while converting. */
  readonly file: string;
  readonly receivedBytes: number;
  readonly totalBytes: number | null;
}

export interface FetchOptions extends ImportPlace {
  readonly downloadOnly?: boolean;
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
  readonly stallMs?: number;
  readonly freeBytes?: DownloadRequest["freeBytes"];
}

export interface Fetched {
  readonly files: readonly string[];
  /** Files whose publisher names no hash: this is what came, and what later downloads are held against. */
  readonly recorded: readonly { readonly name: string; readonly sha256: string }[];
  /** null with `downloadOnly`. */
  readonly model: ImportedModel | null;
}

const hashesSchema = z.record(z.string(), z.string());

/** Folder of downloaded weight files inside the user's models folder. */
export function downloadsDirOf(modelsDir: string): string {
  return join(modelsDir, ".downloads");
}

/** Errors: `noAddress`, `pythonMissing` (before anything is downloaded), those of downloadFile and importWeights. */
export async function fetchModel(model: PublishedModel, options: FetchOptions): Promise<Result<Fetched, Fault>> {
  const way = findFetchableWay(model);
  if (way === null) return fault("noAddress", `${model.title} has no address that a program can download from. ${explainHowToGet(model)}`);
  // An hour of download is no time to learn that nothing can be done with it.
  let python = options.python;
  if (options.downloadOnly !== true && python === undefined) {
    const found = await findPython();
    if (!found.ok) return fault(found.error.code, `${found.error.message} The weights alone can be downloaded with --download-only.`);
    python = found.value;
  }
  const dir = downloadsDirOf(options.modelsDir);
  const hashes = await readHashes(dir);
  const files: string[] = [];
  const recorded: { name: string; sha256: string }[] = [];
  for (const file of way.files) {
    const got = await downloadOne(file, dir, hashes[file.name] ?? null, options);
    if (!got.ok) return got;
    files.push(got.value.path);
    if (file.sha256 === null && hashes[file.name] === undefined) {
      recorded.push({ name: file.name, sha256: got.value.sha256 });
      hashes[file.name] = got.value.sha256;
      await writeHashes(dir, hashes);
    }
  }
  if (options.downloadOnly === true) return ok({ files, recorded, model: null });
  options.onProgress?.({ phase: "converting", file: "", receivedBytes: 0, totalBytes: null });
  const imported = await importWeights(model, way, files, { ...options, ...(python === undefined ? {} : { python }) }, way.files.map((file) => file.url).join(" "));
  return imported.ok ? ok({ files, recorded, model: imported.value }) : imported;
}

function downloadOne(file: OfficialFile, dir: string, knownHash: string | null, options: FetchOptions) {
  return downloadFile({
    url: file.url ?? "",
    path: join(dir, file.name),
    sha256: file.sha256 ?? knownHash,
    sha256Begins: file.sha256Begins,
    aboutBytes: file.aboutMB === null ? null : file.aboutMB * 1e6,
    onProgress: (progress) => options.onProgress?.({ phase: "downloading", file: file.name, ...progress }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    ...(options.freeBytes === undefined ? {} : { freeBytes: options.freeBytes }),
  });
}

async function readHashes(dir: string): Promise<Record<string, string>> {
  try {
    return hashesSchema.parse(JSON.parse(await readFile(join(dir, "hashes.json"), "utf8")));
  } catch {
    return {};
  }
}

async function writeHashes(dir: string, hashes: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(dir, { recursive: true });
  const path = join(dir, "hashes.json");
  await writeFile(`${path}.new`, `${JSON.stringify(hashes, null, 2)}\n`);
  await rename(`${path}.new`, path);
}
