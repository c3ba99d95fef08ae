// Features of image files on disk, by the hash of the file's bytes: one file per model, layer and size of the decoded image, appended record by
// record, never held in memory. Knows nothing about images or networks.
//
// A record: 32 bytes sha256, the activations as float32, a CRC-32. What a crash cut off, and everything behind a damaged record, is cut away
// when the file is opened and computed again.
import { mkdir, open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { lockForWriting } from "../../session/lock.ts";
import type { FileLock } from "../../session/lock.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";

export interface FeatureFile {
  has(sha256: string): boolean;
  /** Resolves when they are with the operating system; a record that is there is not written again. */
  append(features: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Rows in the order asked for, row-major [hashes, dim]. Throws where one is not there. */
  read(sha256s: readonly string[]): Promise<Float32Array>;
  close(): Promise<void>;
}

const hashBytes = 32;
const crcBytes = 4;
/** Read at once. */
const blockBytes = 8 << 20;

/** Errors: `featuresLocked`, `notWritable`. */
export async function openFeatureFile(file: string, dim: number): Promise<Result<FeatureFile, Fault>> {
  const stride = hashBytes + dim * 4 + crcBytes;
  let lock: FileLock;
  let handle: FileHandle;
  try {
    await mkdir(dirname(file), { recursive: true });
    const taken = lockForWriting(file);
    if (!taken.ok) return taken.error.code === "sessionLocked" ? fault("featuresLocked", `Another build is computing features with the same network (${file}). Wait for it, or stop it.`) : taken;
    lock = taken.value;
    handle = await open(file, "a+");
  } catch (error) {
    return fault("notWritable", `The features cannot be kept in ${file}: ${error instanceof Error ? error.message : String(error)}. Choose another folder with --cache, or make room.`);
  }
  const known = new Set<string>();
  const whole = await scan(handle, stride, (hash) => known.add(hash));
  if ((await handle.stat()).size > whole) await handle.truncate(whole);

  return ok({
    has: (sha256) => known.has(sha256),
    async append(features) {
      const fresh = [...features].filter(([hash]) => !known.has(hash));
      if (fresh.length === 0) return;
      const bytes = Buffer.alloc(stride * fresh.length);
      fresh.forEach(([hash, values], i) => {
        if (values.length !== dim) throw new Error(`expected ${dim} features, got ${values.length}`);
        const at = i * stride;
        bytes.write(hash, at, "hex");
        bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at + hashBytes);
        bytes.writeUInt32LE(crc32(bytes.subarray(at, at + stride - crcBytes)), at + stride - crcBytes);
      });
      await handle.writeFile(bytes);
      for (const [hash] of fresh) known.add(hash);
    },
    async read(sha256s) {
      const rows = new Map<string, number[]>();
      sha256s.forEach((hash, row) => rows.set(hash, [...(rows.get(hash) ?? []), row]));
      const data = new Float32Array(sha256s.length * dim);
      const target = new Uint8Array(data.buffer);
      await scan(handle, stride, (hash, values) => {
        for (const row of rows.get(hash) ?? []) target.set(values, row * dim * 4);
        rows.delete(hash);
      });
      const [missing] = rows.keys();
      if (missing !== undefined) throw new Error(`expected features of ${missing} in ${file}, found none`);
      return data;
    },
    async close() {
      await handle.close();
      lock.release();
    },
  });
}

/** Visits the whole records from the beginning; returns how many bytes they take. */
async function scan(handle: FileHandle, stride: number, visit: (sha256: string, values: Uint8Array) => void): Promise<number> {
  const perBlock = Math.max(1, Math.floor(blockBytes / stride));
  const block = Buffer.alloc(perBlock * stride);
  for (let from = 0; ;) {
    const { bytesRead } = await handle.read(block, 0, block.length, from);
    let at = 0;
    for (; at + stride <= bytesRead; at += stride) {
      if (block.readUInt32LE(at + stride - crcBytes) !== crc32(block.subarray(at, at + stride - crcBytes))) return from + at;
      visit(block.toString("hex", at, at + hashBytes), block.subarray(at + hashBytes, at + stride - crcBytes));
    }
    from += at;
    if (bytesRead < block.length) return from;
  }
}
