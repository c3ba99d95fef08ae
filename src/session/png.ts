// PNG files of 8-bit RGB images on Node's zlib: written for every image of a session, read back by replay and exports.
// Knows nothing about sessions. Format: PNG specification, third edition (W3C).
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";

export interface RgbImage {
  readonly widthPx: number;
  readonly heightPx: number;
  /** RGB bytes, row-major, top row first. */
  readonly rgb: Uint8Array;
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const colourRgb = 2;

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

/** Nearest of left, above and upper left to left + above - upper left (PNG specification, 9.4). */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** One row back into bytes of pixels (PNG specification, 9.2). A loop for each filter: asked of every byte, filter and edge cost more than all the rest. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, out: Uint8Array): void {
  switch (filter) {
    case 1:
      for (let i = 0; i < 3; i++) out[i] = row[i] ?? 0;
      for (let i = 3; i < row.length; i++) out[i] = (row[i] ?? 0) + (out[i - 3] ?? 0);
      return;
    case 2:
      for (let i = 0; i < row.length; i++) out[i] = (row[i] ?? 0) + (above[i] ?? 0);
      return;
    case 3:
      for (let i = 0; i < 3; i++) out[i] = (row[i] ?? 0) + ((above[i] ?? 0) >> 1);
      for (let i = 3; i < row.length; i++) out[i] = (row[i] ?? 0) + (((out[i - 3] ?? 0) + (above[i] ?? 0)) >> 1);
      return;
    case 4:
      for (let i = 0; i < 3; i++) out[i] = (row[i] ?? 0) + (above[i] ?? 0);
      for (let i = 3; i < row.length; i++) out[i] = (row[i] ?? 0) + paeth(out[i - 3] ?? 0, above[i] ?? 0, above[i - 3] ?? 0);
      return;
    default:
      out.set(row);
  }
}

/** Size of a filtered byte as a signed difference; the filter with the smallest sum over the row usually deflates best. */
function signedSize(byte: number): number {
  return byte < 128 ? byte : 256 - byte;
}

/** Encodes an image. Throws where the bytes do not fit the size. Compression level 3: higher levels gain under 3 % on generated images. */
export function encodePng(image: RgbImage): Uint8Array {
  const { widthPx, heightPx, rgb } = image;
  const stride = widthPx * 3;
  if (rgb.length !== stride * heightPx || widthPx < 1 || heightPx < 1) {
    throw new Error(`expected ${widthPx} x ${heightPx} x 3 bytes of RGB, got ${rgb.length}`);
  }
  const filtered = new Uint8Array((stride + 1) * heightPx);
  const sub = new Uint8Array(stride);
  const up = new Uint8Array(stride);
  const mixed = new Uint8Array(stride);
  for (let y = 0; y < heightPx; y++) {
    const row = y * stride;
    let subSize = 0;
    let upSize = 0;
    let mixedSize = 0;
    for (let i = 0; i < stride; i++) {
      const value = rgb[row + i] ?? 0;
      const left = i >= 3 ? (rgb[row + i - 3] ?? 0) : 0;
      const above = y > 0 ? (rgb[row - stride + i] ?? 0) : 0;
      const corner = i >= 3 && y > 0 ? (rgb[row - stride + i - 3] ?? 0) : 0;
      const bySub = (value - left) & 0xff;
      const byUp = (value - above) & 0xff;
      const byPaeth = (value - paeth(left, above, corner)) & 0xff;
      sub[i] = bySub;
      up[i] = byUp;
      mixed[i] = byPaeth;
      subSize += signedSize(bySub);
      upSize += signedSize(byUp);
      mixedSize += signedSize(byPaeth);
    }
    const out = y * (stride + 1);
    const least = Math.min(subSize, upSize, mixedSize);
    const [filter, bytes] = least === upSize ? [2, up] : least === subSize ? [1, sub] : [4, mixed];
    filtered[out] = filter;
    filtered.set(bytes, out + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header.set([8, colourRgb, 0, 0, 0], 8);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(filtered, { level: 3 })), chunk("IEND", new Uint8Array())]);
}

/** Decodes a PNG of the kind that `encodePng` writes: 8-bit RGB, not interlaced. Errors: `imageDamaged`. */
export function decodePng(png: Uint8Array): Result<RgbImage, Fault> {
  const damaged = (what: string): Result<RgbImage, Fault> => fault("imageDamaged", `Expected an 8-bit RGB PNG image, got ${what}.`);
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (bytes.length < 45 || !signature.every((byte, i) => bytes[i] === byte)) return damaged("bytes without a PNG signature");
  const data: Buffer[] = [];
  let widthPx = 0;
  let heightPx = 0;
  for (let offset = 8; offset + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(offset);
    const type = bytes.toString("latin1", offset + 4, offset + 8);
    if (offset + 12 + length > bytes.length) return damaged(`a ${type} chunk that ends after the file`);
    const body = bytes.subarray(offset + 8, offset + 8 + length);
    if (crc32(bytes.subarray(offset + 4, offset + 8 + length)) !== bytes.readUInt32BE(offset + 8 + length)) return damaged(`a ${type} chunk with a wrong checksum`);
    if (type === "IHDR") {
      widthPx = body.readUInt32BE(0);
      heightPx = body.readUInt32BE(4);
      if (body[8] !== 8 || body[9] !== colourRgb || body[12] !== 0) return damaged(`bit depth ${body[8]}, colour type ${body[9]}, interlace ${body[12]}`);
    } else if (type === "IDAT") data.push(body);
    offset += 12 + length;
  }
  const stride = widthPx * 3;
  let filtered: Buffer;
  try {
    filtered = inflateSync(Buffer.concat(data));
  } catch (error) {
    return damaged(`image data that does not inflate (${error instanceof Error ? error.message : String(error)})`);
  }
  if (stride === 0 || filtered.length !== (stride + 1) * heightPx) return damaged(`${filtered.length} bytes for ${widthPx} x ${heightPx} pixels`);
  const rgb = new Uint8Array(stride * heightPx);
  let above = new Uint8Array(stride);
  for (let y = 0; y < heightPx; y++) {
    const filter = filtered[y * (stride + 1)] ?? 0;
    if (filter > 4) return damaged(`row filter ${filter}`);
    const from = y * (stride + 1) + 1;
    const row = rgb.subarray(y * stride, (y + 1) * stride);
    unfilter(filter, filtered.subarray(from, from + stride), above, row);
    above = row;
  }
  return ok({ widthPx, heightPx, rgb });
}
