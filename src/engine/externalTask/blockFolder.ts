// The agreed folder: one folder a block with its images and a manifest, and current.json that says which block is to be shown. Everything is written
// beside its place and renamed, so that the other program never reads half of it. Knows nothing about codes on the wire or about trials.
//
//   current.json             { schema, version, session, state: "show" | "wait" | "ended", block, manifest }
//   block-000012/            manifest.json and the images of block 12
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "../insilico/sweepFiles.ts";

export const externalTaskSchema = "evoked.externalTask";
export const externalTaskVersion = 1;

export interface BlockImage {
  /** Place in the order of presentation, from 1. The other program may show them in another. */
  readonly order: number;
  /** Event code to send at its onset. */
  readonly code: number;
  readonly imageId: number;
  readonly presentationId: number;
  readonly file: string;
  readonly sha256: string;
  /** Side and centre of this image, degrees of visual angle from the fixation spot, right and up positive. */
  readonly sizeDeg: number;
  readonly centreXDeg: number;
  readonly centreYDeg: number;
}

export interface BlockManifest {
  readonly schema: typeof externalTaskSchema;
  readonly version: typeof externalTaskVersion;
  readonly session: string;
  readonly block: number;
  readonly onMs: number;
  readonly offMs: number;
  readonly backgroundGrey: number;
  readonly codes: { readonly imageOff: number | null; readonly aborted: number; readonly blockDone: number };
  readonly images: readonly BlockImage[];
}

export interface Current {
  readonly schema: typeof externalTaskSchema;
  readonly version: typeof externalTaskVersion;
  readonly session: string;
  readonly state: "show" | "wait" | "ended";
  readonly block: number;
  /** Path of the manifest below the folder; "" unless state is "show". */
  readonly manifest: string;
}

/** Blocks that are left for a look; older ones are removed: the session file has their images. */
const blocksKept = 3;

export interface BlockFolder {
  writeBlock(manifest: Omit<BlockManifest, "schema" | "version" | "session">, pngs: ReadonlyMap<number, Uint8Array>): Promise<void>;
  say(state: "wait" | "ended", block: number): Promise<void>;
}

/** Throws the system's error where the folder cannot be written. */
export async function openBlockFolder(folder: string, session: string): Promise<BlockFolder> {
  const head = { schema: externalTaskSchema, version: externalTaskVersion, session } as const;
  const nameOf = (block: number): string => `block-${String(block).padStart(6, "0")}`;
  const setCurrent = (current: Omit<Current, "schema" | "version" | "session">): Promise<void> => writeWhole(join(folder, "current.json"), `${JSON.stringify({ ...head, ...current } satisfies Current)}\n`);
  await mkdir(folder, { recursive: true });
  // Blocks of an earlier session would be taken for this one's.
  for (const name of await readdir(folder)) if (/^block-\d{6}(\.part)?$/.test(name)) await rm(join(folder, name), { recursive: true });
  await setCurrent({ state: "wait", block: 0, manifest: "" });
  return {
    async writeBlock(manifest, pngs) {
      const name = nameOf(manifest.block);
      const part = join(folder, `${name}.part`);
      await mkdir(part, { recursive: true });
      for (const { imageId, file } of manifest.images) {
        const png = pngs.get(imageId);
        if (png === undefined) throw new Error(`expected image ${imageId} of block ${manifest.block} to be prepared, got none`);
        await writeWhole(join(part, file), png);
      }
      await writeWhole(join(part, "manifest.json"), `${JSON.stringify({ ...head, ...manifest } satisfies BlockManifest, null, 1)}\n`);
      await rename(part, join(folder, name));
      await setCurrent({ state: "show", block: manifest.block, manifest: `${name}/manifest.json` });
      await rm(join(folder, nameOf(manifest.block - blocksKept)), { recursive: true, force: true });
    },
    say: (state, block) => setCurrent({ state, block, manifest: "" }),
  };
}

export function fileOf(imageId: number): string {
  return `image-${String(imageId).padStart(6, "0")}.png`;
}

export function hashOf(png: Uint8Array): string {
  return createHash("sha256").update(png).digest("hex");
}
