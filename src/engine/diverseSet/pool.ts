// The images to choose from: files of a folder and of the folders in it, what is known of each from an earlier run, and images that a generator
// draws into a folder. Knows nothing about features or clusters.
import { createHash } from "node:crypto";
import { appendFile, mkdir, readFile, readdir, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { Transformer } from "@napi-rs/image";
import { z } from "zod";
import type { Generator, Rng } from "../../shared/ports.ts";
import { FaultError, fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { readIfThere, writeWhole } from "../insilico/sweepFiles.ts";

export interface PoolFile {
  /** Path below the folder, with forward slashes. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

/** What a look at a file gave: the hash of its bytes, or why it cannot be used. */
export type Known = { readonly sha256: string } | { readonly problem: string };

export const imagesMax = 100_000;
const statsAtOnce = 64;
const imageName = /\.(png|jpe?g|webp|bmp|tiff?|gif)$/i;

/** In name order. Errors: `imagesFolder`, `imagesTooMany`. */
export async function listImages(folder: string, onFound?: (count: number) => Promise<void>): Promise<Result<readonly PoolFile[], Fault>> {
  const files: PoolFile[] = [];
  try {
    const paths: string[] = [];
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !imageName.test(entry.name)) continue;
      paths.push(join(entry.parentPath, entry.name));
      if (paths.length > imagesMax) return fault("imagesTooMany", `Expected at most ${imagesMax.toLocaleString("en")} images in ${folder}, found more. Choose a part of the folder.`);
    }
    for (let from = 0; from < paths.length; from += statsAtOnce) {
      files.push(...(await Promise.all(paths.slice(from, from + statsAtOnce).map(async (path): Promise<PoolFile> => {
        const { size, mtimeMs } = await stat(path);
        return { name: relative(folder, path).replaceAll("\\", "/"), path, sizeBytes: size, mtimeMs };
      }))));
      if (from % (64 * statsAtOnce) === 0 && from > 0) await onFound?.(files.length);
    }
  } catch (error) {
    if (error instanceof FaultError) throw error;
    return fault("imagesFolder", `Expected a folder of images at ${folder}, got: ${error instanceof Error ? error.message : String(error)}. Choose another folder.`);
  }
  if (files.length === 0) return fault("imagesFolder", `Expected PNG, JPEG, WebP, BMP, TIFF or GIF files in ${folder}, found none. Choose another folder.`);
  return ok(files.sort((a, b) => (a.name < b.name ? -1 : 1)));
}

export interface FileNotes {
  /** null where the file is new or has changed since. */
  of(file: PoolFile): Known | null;
  add(entries: readonly { readonly file: PoolFile; readonly known: Known }[]): Promise<void>;
}

const noteLine = z.object({ name: z.string(), sizeBytes: z.number(), mtimeMs: z.number(), sha256: z.string().optional(), problem: z.string().optional() });

/** What is known of the files of a folder, one line each, so that a run that goes on does not read them again. A line that was cut off is passed over. */
export async function openFileNotes(path: string): Promise<FileNotes> {
  const known = new Map<string, z.infer<typeof noteLine>>();
  for (const line of (await readIfThere(path))?.toString("utf8").split("\n") ?? []) {
    if (line === "") continue;
    try {
      const note = noteLine.parse(JSON.parse(line));
      known.set(note.name, note);
    } catch {
      // The end of the file at a crash.
    }
  }
  await mkdir(dirname(path), { recursive: true });
  // A line that a crash cut off must not swallow the next one.
  await appendFile(path, "\n");
  return {
    of({ name, sizeBytes, mtimeMs }) {
      const note = known.get(name);
      if (note === undefined || note.sizeBytes !== sizeBytes || note.mtimeMs !== mtimeMs) return null;
      return note.sha256 === undefined ? { problem: note.problem ?? "It could not be read." } : { sha256: note.sha256 };
    },
    async add(entries) {
      if (entries.length === 0) return;
      const notes = entries.map(({ file: { name, sizeBytes, mtimeMs }, known: found }) => ({ name, sizeBytes, mtimeMs, ...found }));
      await appendFile(path, notes.map((note) => `${JSON.stringify(note)}\n`).join(""));
      for (const note of notes) known.set(note.name, note);
    },
  };
}

/** sha256 of a file's bytes, and the bytes. */
export async function readHashed(path: string): Promise<{ readonly bytes: Buffer; readonly sha256: string }> {
  const bytes = await readFile(path);
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

const drawnAtOnce = 16;

/** Draws images with codes of ordinary length into a folder, those that are not there yet. `step` is called before every few. */
export async function drawImages(options: { readonly folder: string; readonly generator: Generator; readonly typicalNorm: number; readonly count: number; readonly rng: Rng; readonly step: (done: number) => Promise<void> }): Promise<void> {
  const { folder, generator, count } = options;
  const { latentDim: dim } = generator;
  await mkdir(folder, { recursive: true });
  const there = new Set(await readdir(folder));
  for (let from = 0; from < count; from += drawnAtOnce) {
    const size = Math.min(drawnAtOnce, count - from);
    await options.step(from);
    const names = Array.from({ length: size }, (_, i) => `drawn-${String(from + i + 1).padStart(6, "0")}.png`);
    if (names.every((name) => there.has(name))) continue;
    const data = new Float32Array(size * dim);
    // A stream of its own for every few: what is drawn does not depend on where a run was cut off.
    options.rng.fork(`drawn/${from}`).fillGaussian(data);
    const scale = options.typicalNorm / Math.sqrt(dim);
    const images = await generator.decode({ count: size, dim, data: data.map((value) => value * scale) });
    const bytes = images.width * images.height * 3;
    await Promise.all(names.map(async (name, i) => writeWhole(join(folder, name), await pngOfRgb(images.data.subarray(i * bytes, (i + 1) * bytes), images.width, images.height))));
  }
}

export function pngOfRgb(rgb: Uint8Array, width: number, height: number): Promise<Buffer> {
  const rgba = new Uint8Array(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) rgba.set(rgb.subarray(i * 3, i * 3 + 3), i * 4);
  return Transformer.fromRgbaPixels(rgba, width, height).png();
}
