// Plain data to bytes and back: one value has one encoding, every float keeps its bits, damage is detected. Used for optimizer states in the
// session database. Knows nothing about optimizers beyond the magic of its file head.
//
// Layout: "EVST", layout version (u16), 2 zero bytes, root value, CRC-32 of all before (u32). Little-endian. A value is a tag byte and:
//   0 null | 1 false | 2 true | 3 number f64 | 4 string u32 length + UTF-16 code units | 5 list u32 count + values
//   6 record u32 count + (string key, value) in code-unit order of the keys | 7 Float64Array u32 length + f64s | 8 Uint32Array u32 length + u32s

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { StateRecord, StateValue } from "./types.ts";

const magic = [0x45, 0x56, 0x53, 0x54];
export const layoutVersion = 1;
const headBytes = 8;
/** Is this machine's own order of bytes that of the layout? Then arrays are copied whole. */
const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Deterministic: equal data give equal bytes, whatever the order of the keys. */
export function encodeValue(value: StateValue): Uint8Array {
  const bytes = new Uint8Array(headBytes + sizeOf(value) + 4);
  const view = new DataView(bytes.buffer);
  bytes.set(magic, 0);
  view.setUint16(4, layoutVersion, true);
  const end = write(view, headBytes, value);
  view.setUint32(end, crc32(bytes, end), true);
  return bytes;
}

/** Errors: `stateNotOne`, `stateNewer`, `stateDamaged`. The result shares no memory with `bytes`. */
export function decodeValue(bytes: Uint8Array): Result<StateValue, Fault> {
  if (bytes.length < headBytes + 5 || magic.some((byte, i) => bytes[i] !== byte)) {
    return fault("stateNotOne", `Expected the saved state of an optimizer, got ${bytes.length} bytes of something else.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(4, true);
  if (version > layoutVersion) return newer(version, layoutVersion);
  const end = bytes.length - 4;
  if (view.getUint32(end, true) !== crc32(bytes, end)) {
    return fault("stateDamaged", "The saved optimizer is damaged: its checksum does not fit. Resume from an earlier generation.");
  }
  const cursor = { at: headBytes };
  const value = read(view, cursor, end);
  if (value === undefined || cursor.at !== end) {
    return fault("stateDamaged", "The saved optimizer is damaged: its content does not follow the layout. Resume from an earlier generation.");
  }
  return ok(value);
}

export function newer(version: number, known: number) {
  return fault("stateNewer", `The saved optimizer is of version ${version}, this program reads up to version ${known}. Open the session with the newer program; nothing was changed.`);
}

function sizeOf(value: StateValue): number {
  if (value === null || typeof value === "boolean") return 1;
  if (typeof value === "number") return 9;
  if (typeof value === "string") return 5 + 2 * value.length;
  if (value instanceof Float64Array) return 5 + 8 * value.length;
  if (value instanceof Uint32Array) return 5 + 4 * value.length;
  if (isList(value)) return value.reduce<number>((sum, item) => sum + sizeOf(item), 5);
  return Object.entries(value).reduce((sum, [key, item]) => sum + 4 + 2 * key.length + sizeOf(item), 5);
}

function isList(value: readonly StateValue[] | StateRecord): value is readonly StateValue[] {
  return Array.isArray(value);
}

function writeText(view: DataView, begin: number, text: string): number {
  view.setUint32(begin, text.length, true);
  for (let i = 0; i < text.length; i++) view.setUint16(begin + 4 + 2 * i, text.charCodeAt(i), true);
  return begin + 4 + 2 * text.length;
}

function write(view: DataView, begin: number, value: StateValue): number {
  let at = begin + 1;
  if (value === null) view.setUint8(begin, 0);
  else if (typeof value === "boolean") view.setUint8(begin, value ? 2 : 1);
  else if (typeof value === "number") {
    view.setUint8(begin, 3);
    view.setFloat64(at, value, true);
    at += 8;
  } else if (typeof value === "string") {
    view.setUint8(begin, 4);
    at = writeText(view, at, value);
  } else if (value instanceof Float64Array) {
    view.setUint8(begin, 7);
    view.setUint32(at, value.length, true);
    at += 4;
    if (littleEndian) new Uint8Array(view.buffer).set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), at);
    else for (let i = 0; i < value.length; i++) view.setFloat64(at + 8 * i, value[i]!, true);
    at += 8 * value.length;
  } else if (value instanceof Uint32Array) {
    view.setUint8(begin, 8);
    view.setUint32(at, value.length, true);
    at += 4;
    for (const item of value) {
      view.setUint32(at, item, true);
      at += 4;
    }
  } else if (isList(value)) {
    view.setUint8(begin, 5);
    view.setUint32(at, value.length, true);
    at += 4;
    for (const item of value) at = write(view, at, item);
  } else {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    view.setUint8(begin, 6);
    view.setUint32(at, entries.length, true);
    at += 4;
    for (const [key, item] of entries) at = write(view, writeText(view, at, key), item);
  }
  return at;
}

/** undefined: the bytes do not follow the layout. */
function read(view: DataView, cursor: { at: number }, end: number): StateValue | undefined {
  const readCount = (bytesEach: number): number | undefined => {
    if (cursor.at + 4 > end) return undefined;
    const count = view.getUint32(cursor.at, true);
    cursor.at += 4;
    return cursor.at + count * bytesEach > end ? undefined : count;
  };
  const readText = (): string | undefined => {
    const length = readCount(2);
    if (length === undefined) return undefined;
    let text = "";
    for (let i = 0; i < length; i++) text += String.fromCharCode(view.getUint16(cursor.at + 2 * i, true));
    cursor.at += 2 * length;
    return text;
  };
  if (cursor.at >= end) return undefined;
  const tag = view.getUint8(cursor.at);
  cursor.at++;
  switch (tag) {
    case 0:
      return null;
    case 1:
      return false;
    case 2:
      return true;
    case 3: {
      if (cursor.at + 8 > end) return undefined;
      cursor.at += 8;
      return view.getFloat64(cursor.at - 8, true);
    }
    case 4:
      return readText();
    case 5: {
      const count = readCount(1);
      if (count === undefined) return undefined;
      const list: StateValue[] = [];
      for (let i = 0; i < count; i++) {
        const item = read(view, cursor, end);
        if (item === undefined) return undefined;
        list.push(item);
      }
      return list;
    }
    case 6: {
      const count = readCount(5);
      if (count === undefined) return undefined;
      const entries: [string, StateValue][] = [];
      for (let i = 0; i < count; i++) {
        const key = readText();
        const item = key === undefined ? undefined : read(view, cursor, end);
        if (key === undefined || item === undefined) return undefined;
        entries.push([key, item]);
      }
      return Object.fromEntries(entries);
    }
    case 7: {
      const length = readCount(8);
      if (length === undefined) return undefined;
      const array = new Float64Array(length);
      if (littleEndian) new Uint8Array(array.buffer).set(new Uint8Array(view.buffer, view.byteOffset + cursor.at, 8 * length));
      else for (let i = 0; i < length; i++) array[i] = view.getFloat64(cursor.at + 8 * i, true);
      cursor.at += 8 * length;
      return array;
    }
    case 8: {
      const length = readCount(4);
      if (length === undefined) return undefined;
      const array = new Uint32Array(length);
      for (let i = 0; i < length; i++) array[i] = view.getUint32(cursor.at + 4 * i, true);
      cursor.at += 4 * length;
      return array;
    }
    default:
      return undefined;
  }
}

/**
 * CRC-32 (IEEE 802.3), four bytes at a time: table k holds the remainder of a byte that is followed by k more ("slicing by four", Kounavis & Berry
 * 2005).
 */
const crcTables = Array.from({ length: 4 }, () => new Uint32Array(256));
const [crc0, crc1, crc2, crc3] = [crcTables[0]!, crcTables[1]!, crcTables[2]!, crcTables[3]!];
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  crc0[i] = c;
}
for (let k = 1; k < 4; k++) {
  for (let i = 0; i < 256; i++) {
    const c = crcTables[k - 1]![i]!;
    crcTables[k]![i] = (c >>> 8) ^ crc0[c & 255]!;
  }
}

export function crc32(bytes: Uint8Array, length = bytes.length): number {
  let c = 0xffffffff;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    c ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    c = crc3[c & 255]! ^ crc2[(c >>> 8) & 255]! ^ crc1[(c >>> 16) & 255]! ^ crc0[c >>> 24]!;
  }
  for (; i < length; i++) c = crc0[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
