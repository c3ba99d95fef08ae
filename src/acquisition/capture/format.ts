// Captures: the raw bytes of a rig's line with the time at which each piece arrived, for engineers and for bug reports. Knows nothing about
// protocols. Format: docs/rigs/captures.md.
import { z } from "zod";
import { err, ok } from "../../shared/result.ts";
import type { Result } from "../../shared/result.ts";

/** One piece as a driver received it: which of its lines (0, 1, ...), and its parts (one, but for messages of several). */
export interface CapturePiece {
  readonly arrivedHostNs: number;
  readonly lane: number;
  readonly parts: readonly Uint8Array[];
}

export const captureHeader = z.object({
  schema: z.literal("evoked.capture"),
  version: z.literal(1),
  rig: z.object({ kind: z.string(), options: z.record(z.string(), z.unknown()) }),
  startedUtc: z.string(),
  notes: z.string().default(""),
});
export type CaptureHeader = z.infer<typeof captureHeader>;

const magic = new TextEncoder().encode("EVKCAP1\n");
const headerBytesMax = 1024 * 1024;
const partsMax = 64;

export function encodeCaptureHeader(header: CaptureHeader): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(magic.length + 4 + json.length);
  bytes.set(magic);
  new DataView(bytes.buffer).setUint32(magic.length, json.length, true);
  bytes.set(json, magic.length + 4);
  return bytes;
}

export function encodeCapturePiece({ arrivedHostNs, lane, parts }: CapturePiece): Uint8Array {
  const bytes = new Uint8Array(10 + parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, arrivedHostNs, true);
  view.setUint8(8, lane);
  view.setUint8(9, parts.length);
  let at = 10;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

export interface Capture {
  readonly header: CaptureHeader;
  readonly pieces: readonly CapturePiece[];
  /** Bytes of a piece at the end that was cut off: the program was killed while it wrote. */
  readonly bytesLeft: number;
}

/** Errors name the byte at which the file stops making sense. A last piece that was cut off is no error. */
export function parseCaptureFile(bytes: Uint8Array): Result<Capture, string> {
  if (bytes.length < magic.length + 4 || magic.some((byte, i) => bytes[i] !== byte)) return err("expected a capture of Evoked (EVKCAP1) at its beginning");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getUint32(magic.length, true);
  let at = magic.length + 4;
  if (headerLength > headerBytesMax || at + headerLength > bytes.length) return err(`expected a header of ${headerLength} bytes, got ${bytes.length - at}`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes.subarray(at, at + headerLength)));
  } catch {
    return err("expected JSON in the header");
  }
  const header = captureHeader.safeParse(json);
  if (!header.success) return err(`expected the header of a capture: ${z.prettifyError(header.error)}`);
  at += headerLength;
  const pieces: CapturePiece[] = [];
  while (at + 10 <= bytes.length) {
    const startsAt = at;
    const arrivedHostNs = view.getFloat64(at, true);
    const lane = view.getUint8(at + 8);
    const partCount = view.getUint8(at + 9);
    if (!Number.isFinite(arrivedHostNs) || partCount === 0 || partCount > partsMax) return err(`expected a piece at byte ${startsAt}, got ${partCount} parts`);
    at += 10;
    const parts: Uint8Array[] = [];
    for (let part = 0; part < partCount; part++) {
      const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
      if (at + 4 + length > bytes.length) return ok({ header: header.data, pieces, bytesLeft: bytes.length - startsAt });
      parts.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    pieces.push({ arrivedHostNs, lane, parts });
  }
  return ok({ header: header.data, pieces, bytesLeft: bytes.length - at });
}
