// Features of images, kept on disk by the image's hash, the model's hash and the layer: computed once for every analysis.
// Knows nothing about sessions or units.
//
// One file per model and layer, appended record by record: 32 bytes sha256 of image and size, the activations as float32, a CRC-32.
// A record that was cut off by a crash, and everything behind a damaged one, is cut away and computed again.
import { createHash } from "node:crypto";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Encoder } from "../../shared/ports.ts";
import type { ImageBatch } from "../../shared/values.ts";
import { readIfThere } from "./sweepFiles.ts";

export interface CachedFeatures {
  /** [images, features], in the order asked for. */
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
  /** Images that had to be computed. */
  readonly computed: number;
}

const hashBytes = 32;
const crcBytes = 4;
/** Images given to the network at once. */
const batchImages = 16;

/** sha256 over width, height and RGB bytes of one image. */
export function hashImage(image: ImageBatch): string {
  return createHash("sha256").update(`${image.width}x${image.height}\n`).update(image.data).digest("hex");
}

/**
 * One layer's activations for images that may differ in size. `folder` null keeps nothing. Throws FaultErrors of the encoder, and an
 * Error where the layer is unknown.
 */
export async function featuresOf(options: { readonly encoder: Encoder; readonly layer: string; readonly images: readonly ImageBatch[]; readonly folder: string | null }): Promise<CachedFeatures> {
  const { encoder, layer, images, folder } = options;
  const dim = encoder.layers.find((candidate) => candidate.name === layer)?.dim;
  if (dim === undefined) throw new Error(`expected a layer of ${encoder.identity.id} (${encoder.layers.map((l) => l.name).join(", ")}), got "${layer}"`);
  const file = folder === null ? null : join(folder, encoder.identity.sha256.slice(0, 32), `${layer.replace(/[^A-Za-z0-9_-]/g, "_")}-${dim}.features`);
  const known = file === null ? new Map<string, Float32Array>() : await readRecords(file, dim);
  const hashes = images.map(hashImage);
  const missing = new Map<string, ImageBatch>();
  hashes.forEach((hash, i) => {
    const image = images[i];
    if (!known.has(hash) && image !== undefined) missing.set(hash, image);
  });
  const fresh = new Map<string, Float32Array>();
  for (const group of Map.groupBy(missing, ([, image]) => `${image.width}x${image.height}`).values()) {
    for (let from = 0; from < group.length; from += batchImages) {
      const part = group.slice(from, from + batchImages);
      const [values] = await encoder.features(joinImages(part.map(([, image]) => image)), [layer]);
      if (values === undefined) throw new Error(`expected the activations of layer ${layer}, got none`);
      part.forEach(([hash], i) => fresh.set(hash, values.slice(i * dim, (i + 1) * dim)));
    }
  }
  if (file !== null && fresh.size > 0) await appendRecords(file, fresh, dim);
  const data = new Float32Array(images.length * dim);
  hashes.forEach((hash, i) => {
    const values = known.get(hash) ?? fresh.get(hash);
    if (values === undefined) throw new Error(`expected features of image ${i}, got none`);
    data.set(values, i * dim);
  });
  return { rows: images.length, cols: dim, data, computed: fresh.size };
}

/** Images of one size as one batch. */
export function joinImages(images: readonly ImageBatch[]): ImageBatch {
  const [first] = images;
  if (first === undefined) return { count: 0, width: 1, height: 1, data: new Uint8Array() };
  const bytes = first.width * first.height * 3;
  const count = images.reduce((sum, image) => sum + image.count, 0);
  const data = new Uint8Array(count * bytes);
  let at = 0;
  for (const image of images) {
    if (image.width !== first.width || image.height !== first.height) throw new Error(`expected images of ${first.width} x ${first.height}, got one of ${image.width} x ${image.height}`);
    data.set(image.data, at);
    at += image.data.length;
  }
  return { count, width: first.width, height: first.height, data };
}

async function readRecords(file: string, dim: number): Promise<Map<string, Float32Array>> {
  const known = new Map<string, Float32Array>();
  const bytes = await readIfThere(file);
  if (bytes === null) return known;
  const stride = hashBytes + dim * 4 + crcBytes;
  let at = 0;
  for (; at + stride <= bytes.length; at += stride) {
    if (bytes.readUInt32LE(at + stride - crcBytes) !== crc32(bytes.subarray(at, at + stride - crcBytes))) break;
    const values = new Float32Array(dim);
    new Uint8Array(values.buffer).set(bytes.subarray(at + hashBytes, at + stride - crcBytes));
    known.set(bytes.toString("hex", at, at + hashBytes), values);
  }
  if (at < bytes.length) {
    const handle = await open(file, "r+");
    await handle.truncate(at);
    await handle.close();
  }
  return known;
}

async function appendRecords(file: string, fresh: ReadonlyMap<string, Float32Array>, dim: number): Promise<void> {
  await mkdir(join(file, ".."), { recursive: true });
  const stride = hashBytes + dim * 4 + crcBytes;
  const bytes = Buffer.alloc(stride * fresh.size);
  let at = 0;
  for (const [hash, values] of fresh) {
    bytes.write(hash, at, "hex");
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at + hashBytes);
    bytes.writeUInt32LE(crc32(bytes.subarray(at, at + stride - crcBytes)), at + stride - crcBytes);
    at += stride;
  }
  const handle = await open(file, "a");
  try {
    await handle.writeFile(bytes);
  } finally {
    await handle.close();
  }
}
