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
  /** Rows in the order asked for, block by block, each row-major [hashes of the block, dim]. Throws where one is not there or damaged. */
  read(sha256s: readonly string[]): AsyncIterable<Float32Array>;
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
  /** The record that holds each. */
  const known = new Map<string, number>();
  let records = 0;
  const whole = await scan(handle, stride, (hash) => known.set(hash, records++));
  if ((await handle.stat()).size > whole) await handle.truncate(whole);
  const perBlock = Math.max(1, Math.floor(blockBytes / stride));

  /** Records that lie side by side are read at once. */
  async function readInto(block: Buffer, wanted: readonly number[]): Promise<void> {
    for (let from = 0; from < wanted.length;) {
      const first = wanted[from] ?? 0;
      let count = 1;
      while (wanted[from + count] === first + count) count += 1;
      const { bytesRead } = await handle.read(block, from * stride, count * stride, first * stride);
      if (bytesRead < count * stride) throw new Error(`expected ${records} records in ${file}, found fewer`);
      from += count;
    }
  }

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
      for (const [hash] of fresh) known.set(hash, records++);
    },
    async *read(sha256s) {
      const block = Buffer.alloc(Math.min(perBlock, sha256s.length) * stride);
      for (let from = 0; from < sha256s.length; from += perBlock) {
        const wanted = sha256s.slice(from, from + perBlock).map((hash) => {
          const record = known.get(hash);
          if (record === undefined) throw new Error(`expected features of ${hash} in ${file}, found none`);
          return record;
        });
        await readInto(block, wanted);
        const rows = new Float32Array(wanted.length * dim);
        const target = new Uint8Array(rows.buffer);
        for (const [i] of wanted.entries()) {
          const at = i * stride;
          if (block.readUInt32LE(at + stride - crcBytes) !== crc32(block.subarray(at, at + stride - crcBytes))) throw new Error(`expected ${file} to stay as it was, found a damaged record`);
          target.set(block.subarray(at + hashBytes, at + stride - crcBytes), i * dim * 4);
        }
        yield rows;
      }
    },
    async close() {
      await handle.close();
      lock.release();
    },
  });
}

/** Visits the whole records from the beginning; returns how many bytes they take. */
async function scan(handle: FileHandle, stride: number, visit: (sha256: string) => void): Promise<number> {
  const perBlock = Math.max(1, Math.floor(blockBytes / stride));
  const block = Buffer.alloc(perBlock * stride);
  for (let from = 0; ;) {
    const { bytesRead } = await handle.read(block, 0, block.length, from);
    let at = 0;
    for (; at + stride <= bytesRead; at += stride) {
      if (block.readUInt32LE(at + stride - crcBytes) !== crc32(block.subarray(at, at + stride - crcBytes))) return from + at;
      visit(block.toString("hex", at, at + hashBytes));
    }
    from += at;
    if (bytesRead < block.length) return from;
  }
}
