// Blobs of the session file: spike batches, eye samples, counts, latents, scores. Little-endian throughout, described for other
// readers in docs/session-file.md. Every encoding gives back the same values bit for bit. Knows nothing about SQL.
import { rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";
import type { EyeBatch, SpikeBatch } from "../shared/values.ts";

/** Bits of a batch's second byte. */
const offsetTimes = 1; // times as u32 ns after a base, else f64
const wideChannels = 2; // channels as u16, else u8
const withUnits = 4; // a u8 unit per spike, else all 0
const evenTimes = 8; // times as base + i * step
const withInvalid = 16; // a u8 validity per sample, else all 1

const batchVersion = 1;
/** u8 version, u8 bits, u16 zero, u32 count, f64 base ns, f64 step ns. */
const headerBytes = 24;

type Numbers = { readonly length: number; readonly [index: number]: number };

function at(values: Numbers, index: number): number {
  const value = values[index];
  if (value === undefined) throw new Error(`expected an index below ${values.length}, got ${index}`);
  return value;
}

/** Times fit u32 offsets where every one is a whole number of ns within 4.29 s after the first. */
function fitsOffsets(times: Float64Array): boolean {
  const base = times[0];
  if (base === undefined || !Number.isSafeInteger(base)) return false;
  for (const time of times) {
    const offset = time - base;
    if (!(offset >= 0 && offset <= 0xffffffff && Number.isInteger(offset)) || base + offset !== time) return false;
  }
  return true;
}

/** The step for which base + i * step gives every time exactly; null where there is none. */
function evenStep(times: Float64Array): number | null {
  if (times.length < 2) return null;
  const base = at(times, 0);
  const step = at(times, 1) - base;
  for (let i = 0; i < times.length; i++) if (base + i * step !== at(times, i)) return null;
  return step;
}

function any(values: Numbers, test: (value: number) => boolean): boolean {
  for (let i = 0; i < values.length; i++) if (test(at(values, i))) return true;
  return false;
}

interface Header {
  readonly bits: number;
  readonly count: number;
  readonly baseNs: number;
  readonly stepNs: number;
}

function writeHeader(blob: Uint8Array, header: Header): DataView {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  view.setUint8(0, batchVersion);
  view.setUint8(1, header.bits);
  view.setUint32(4, header.count, true);
  view.setFloat64(8, header.baseNs, true);
  view.setFloat64(16, header.stepNs, true);
  return view;
}

function readHeader(blob: Uint8Array): Header {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const version = view.getUint8(0);
  if (version !== batchVersion) throw new Error(`expected a batch of version ${batchVersion}, got ${version}`);
  return { bits: view.getUint8(1), count: view.getUint32(4, true), baseNs: view.getFloat64(8, true), stepNs: view.getFloat64(16, true) };
}

function timeBytes(bits: number, count: number): number {
  if ((bits & evenTimes) !== 0) return 0;
  return count * ((bits & offsetTimes) !== 0 ? 4 : 8);
}

function writeTimes(view: DataView, times: Float64Array, header: Header): void {
  if ((header.bits & evenTimes) !== 0) return;
  const offsets = (header.bits & offsetTimes) !== 0;
  for (let i = 0; i < times.length; i++) {
    if (offsets) view.setUint32(headerBytes + 4 * i, at(times, i) - header.baseNs, true);
    else view.setFloat64(headerBytes + 8 * i, at(times, i), true);
  }
}

function readTimes(blob: Uint8Array, header: Header): Float64Array {
  const times = new Float64Array(header.count);
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  for (let i = 0; i < header.count; i++) {
    if ((header.bits & evenTimes) !== 0) times[i] = header.baseNs + i * header.stepNs;
    else if ((header.bits & offsetTimes) !== 0) times[i] = header.baseNs + view.getUint32(headerBytes + 4 * i, true);
    else times[i] = view.getFloat64(headerBytes + 8 * i, true);
  }
  return times;
}

/** Header, times, channels, units. 5 B per spike for whole-ns times, fewer than 256 channels and no sorting. */
export function encodeSpikes(batch: Pick<SpikeBatch, "timesRigNs" | "channels" | "units">): Uint8Array {
  const { timesRigNs, channels, units } = batch;
  const count = timesRigNs.length;
  if (channels.length !== count || units.length !== count) {
    throw new Error(`expected as many channels and units as times (${count}), got ${channels.length} and ${units.length}`);
  }
  const bits =
    (fitsOffsets(timesRigNs) ? offsetTimes : 0) |
    (any(channels, (channel) => channel > 0xff) ? wideChannels : 0) |
    (any(units, (unit) => unit !== 0) ? withUnits : 0);
  const header = { bits, count, baseNs: timesRigNs[0] ?? 0, stepNs: 0 };
  const channelBytes = (bits & wideChannels) !== 0 ? 2 : 1;
  const channelsAt = headerBytes + timeBytes(bits, count);
  const unitsAt = channelsAt + channelBytes * count;
  const blob = new Uint8Array(unitsAt + ((bits & withUnits) !== 0 ? count : 0));
  const view = writeHeader(blob, header);
  writeTimes(view, timesRigNs, header);
  for (let i = 0; i < count; i++) {
    if (channelBytes === 2) view.setUint16(channelsAt + 2 * i, at(channels, i), true);
    else blob[channelsAt + i] = at(channels, i);
  }
  if ((bits & withUnits) !== 0) blob.set(units, unitsAt);
  return blob;
}

export function decodeSpikes(blob: Uint8Array): Pick<SpikeBatch, "timesRigNs" | "channels" | "units"> {
  const header = readHeader(blob);
  const { bits, count } = header;
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const wide = (bits & wideChannels) !== 0;
  const channelsAt = headerBytes + timeBytes(bits, count);
  const channels = new Uint16Array(count);
  for (let i = 0; i < count; i++) channels[i] = wide ? view.getUint16(channelsAt + 2 * i, true) : view.getUint8(channelsAt + i);
  const unitsAt = channelsAt + (wide ? 2 : 1) * count;
  const units = (bits & withUnits) !== 0 ? blob.slice(unitsAt, unitsAt + count) : new Uint8Array(count);
  return { timesRigNs: readTimes(blob, header), channels, units: new Uint8Array(units) };
}

/** Header, times (none where they are evenly spaced), x, y in degrees as f32, validity (none where all are valid). */
export function encodeEye(batch: EyeBatch): Uint8Array {
  const { timesRigNs, xDeg, yDeg, valid } = batch;
  const count = timesRigNs.length;
  if (xDeg.length !== count || yDeg.length !== count || valid.length !== count) {
    throw new Error(`expected as many positions as times (${count}), got ${xDeg.length}, ${yDeg.length} and ${valid.length}`);
  }
  const stepNs = evenStep(timesRigNs);
  const timeBits = stepNs !== null ? evenTimes : fitsOffsets(timesRigNs) ? offsetTimes : 0;
  const bits = timeBits | (any(valid, (value) => value !== 1) ? withInvalid : 0);
  const header = { bits, count, baseNs: timesRigNs[0] ?? 0, stepNs: stepNs ?? 0 };
  const xAt = headerBytes + timeBytes(bits, count);
  const blob = new Uint8Array(xAt + 8 * count + ((bits & withInvalid) !== 0 ? count : 0));
  const view = writeHeader(blob, header);
  writeTimes(view, timesRigNs, header);
  for (let i = 0; i < count; i++) {
    view.setFloat32(xAt + 4 * i, at(xDeg, i), true);
    view.setFloat32(xAt + 4 * (count + i), at(yDeg, i), true);
  }
  if ((bits & withInvalid) !== 0) blob.set(valid, xAt + 8 * count);
  return blob;
}

export function decodeEye(blob: Uint8Array): EyeBatch {
  const header = readHeader(blob);
  const { bits, count } = header;
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const xAt = headerBytes + timeBytes(bits, count);
  const xDeg = new Float32Array(count);
  const yDeg = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    xDeg[i] = view.getFloat32(xAt + 4 * i, true);
    yDeg[i] = view.getFloat32(xAt + 4 * (count + i), true);
  }
  const valid = new Uint8Array(count).fill(1);
  if ((bits & withInvalid) !== 0) valid.set(blob.subarray(xAt + 8 * count, xAt + 9 * count));
  return { timesRigNs: readTimes(blob, header), xDeg, yDeg, valid };
}

/** A whole spike batch from its row. */
export function spikeBatch(blob: Uint8Array, watermarkRigNs: number, arrivedHostNs: HostTimeNs): SpikeBatch {
  const watermark: RigTimeNs = rigTimeNs(watermarkRigNs);
  return { ...decodeSpikes(blob), watermarkRigNs: watermark, arrivedHostNs };
}

/** The bytes of a typed array in little-endian order (every machine that this program supports). */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A copy of the bytes at the start of a buffer of its own, so that typed arrays can be laid over it. */
function aligned(blob: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(blob.byteLength);
  new Uint8Array(copy).set(blob);
  return copy;
}

export function uint16From(blob: Uint8Array): Uint16Array {
  return new Uint16Array(aligned(blob));
}

export function float64From(blob: Uint8Array): Float64Array {
  return new Float64Array(aligned(blob));
}

export type LatentType = "f32" | "f64";

export function latentType(latent: Float32Array | Float64Array): LatentType {
  return latent instanceof Float32Array ? "f32" : "f64";
}

export function latentFrom(blob: Uint8Array, type: LatentType): Float32Array | Float64Array {
  return type === "f32" ? new Float32Array(aligned(blob)) : new Float64Array(aligned(blob));
}
