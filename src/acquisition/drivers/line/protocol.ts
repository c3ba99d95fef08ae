// The line for home-made rigs, from bytes to items: lines of text that an Arduino or a script can print, or packets for those that have many
// spikes. Pure; knows nothing about sockets, order or rig time. Format: docs/rigs/line.md.
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";

/** One event, with its tick on the rig's clock. */
export type LineEvent =
  | { readonly kind: "spike"; readonly tick: number; readonly channel: string; readonly unit: number }
  | { readonly kind: "mark"; readonly tick: number; readonly line: number; readonly state: boolean; readonly word: number | null }
  | { readonly kind: "photodiode"; readonly tick: number; readonly state: boolean }
  | { readonly kind: "eye"; readonly tick: number; readonly xDeg: number; readonly yDeg: number; readonly valid: boolean }
  | { readonly kind: "name"; readonly channel: string; readonly name: string };

/** What one number of the sequence carries. */
export interface LineItem {
  readonly number: number;
  readonly tick: number;
  /** Everything before `tick` has been sent. */
  readonly isWatermark: boolean;
  readonly events: readonly LineEvent[];
}

export const sequenceSize = 2 ** 32;
const binaryMagic = [0xeb, 0x56, 0x4b, 0x01] as const; // EB "VK" version 1
export const binaryHeaderBytes = 24;
const textBytesMax = 512;

function whole(text: string | undefined, max: number): number | null {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** One line of text, without its end. */
export function parseLine(text: string): Result<LineItem, string> {
  const [kind, sequence, time, ...rest] = text.trim().split(/\s+/);
  const number = whole(sequence, sequenceSize - 1);
  const tick = whole(time, Number.MAX_SAFE_INTEGER);
  const bad = (expected: string) => err(`expected ${expected}, got "${text.slice(0, 80)}"`);
  if (number === null || tick === null) return bad("a letter, a sequence number and a time");
  switch (kind) {
    case "H":
      return ok({ number, tick, isWatermark: true, events: [] });
    case "S": {
      const unit = rest[1] === undefined ? 0 : whole(rest[1], 65_535);
      if (rest[0] === undefined || unit === null) return bad("S <sequence> <time> <channel> [unit]");
      return ok({ number, tick, isWatermark: false, events: [{ kind: "spike", tick, channel: rest[0], unit }] });
    }
    case "M": {
      const line = whole(rest[0], 255);
      const word = rest[2] === undefined ? null : whole(rest[2], 65_535);
      if (line === null || !(rest[1] === "0" || rest[1] === "1") || (rest[2] !== undefined && word === null)) return bad("M <sequence> <time> <line> <0 or 1> [word]");
      return ok({ number, tick, isWatermark: false, events: [{ kind: "mark", tick, line, state: rest[1] === "1", word }] });
    }
    case "P":
      if (!(rest[0] === "0" || rest[0] === "1")) return bad("P <sequence> <time> <0 or 1>");
      return ok({ number, tick, isWatermark: false, events: [{ kind: "photodiode", tick, state: rest[0] === "1" }] });
    case "E": {
      const xDeg = Number(rest[0] ?? "x");
      const yDeg = Number(rest[1] ?? "x");
      if (!Number.isFinite(xDeg) || !Number.isFinite(yDeg) || !(rest[2] === "0" || rest[2] === "1")) return bad("E <sequence> <time> <x in degrees> <y in degrees> <0 or 1>");
      return ok({ number, tick, isWatermark: false, events: [{ kind: "eye", tick, xDeg, yDeg, valid: rest[2] === "1" }] });
    }
    case "C":
      if (rest[0] === undefined || rest[1] === undefined) return bad("C <sequence> <time> <channel> <name>");
      return ok({ number, tick, isWatermark: false, events: [{ kind: "name", channel: rest[0], name: rest[1] }] });
    default:
      return bad("a line that begins with H, S, M, P, E or C");
  }
}

/** One packet; its length is `binaryLength`. Its time is a watermark. */
function parseBinary(bytes: Uint8Array): LineItem {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = view.getUint32(4, true);
  const tick = Number(view.getBigUint64(8, true));
  const spikes = view.getUint16(16, true);
  const marks = view.getUint16(18, true);
  const gazes = view.getUint16(20, true);
  const events: LineEvent[] = [];
  let at = binaryHeaderBytes;
  for (let i = 0; i < spikes; i++, at += 8) events.push({ kind: "spike", tick: tick - view.getUint32(at, true), channel: String(view.getUint16(at + 4, true)), unit: view.getUint8(at + 6) });
  for (let i = 0; i < marks; i++, at += 8) {
    const flags = view.getUint8(at + 5);
    const when = tick - view.getUint32(at, true);
    const state = (flags & 1) === 1;
    events.push((flags & 2) === 2 ? { kind: "photodiode", tick: when, state } : { kind: "mark", tick: when, line: view.getUint8(at + 4), state, word: (flags & 4) === 4 ? view.getUint16(at + 6, true) : null });
  }
  for (let i = 0; i < gazes; i++, at += 16) events.push({ kind: "eye", tick: tick - view.getUint32(at, true), xDeg: view.getFloat32(at + 4, true), yDeg: view.getFloat32(at + 8, true), valid: view.getUint32(at + 12, true) === 1 });
  return { number, tick, isWatermark: true, events };
}

/** Length of the packet that begins here, from its first 24 bytes. */
function binaryLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return binaryHeaderBytes + 8 * (view.getUint16(16, true) + view.getUint16(18, true)) + 16 * view.getUint16(20, true);
}

const isBinary = (bytes: Uint8Array) => binaryMagic.every((byte, i) => bytes[i] === byte);

export type LineParsed = { readonly kind: "item"; readonly item: LineItem } | { readonly kind: "malformed"; readonly reason: string };

export interface LineParser {
  take(piece: Uint8Array): readonly LineParsed[];
  /** Forgets the beginning of an item: the next piece begins another datagram or connection. */
  clear(): void;
}

/** Text and packets may follow each other. In a datagram the last line may lack its end (`isDatagram`). */
export function createLineParser({ isDatagram }: { readonly isDatagram: boolean }): LineParser {
  let held: Uint8Array = new Uint8Array(0);
  const decoder = new TextDecoder();

  function take(piece: Uint8Array): LineParsed[] {
    if (held.length === 0) held = piece;
    else {
      const joined = new Uint8Array(held.length + piece.length);
      joined.set(held);
      joined.set(piece, held.length);
      held = joined;
    }
    const out: LineParsed[] = [];
    let at = 0;
    while (at < held.length) {
      if (held[at] === binaryMagic[0]) {
        const rest = held.subarray(at);
        if (rest.length < binaryHeaderBytes) {
          if (!isDatagram) break;
          out.push({ kind: "malformed", reason: `expected a packet of at least ${binaryHeaderBytes} bytes, got ${rest.length}` });
          return out;
        }
        if (isBinary(rest)) {
          const length = binaryLength(rest);
          if (rest.length < length) {
            if (!isDatagram) break;
            out.push({ kind: "malformed", reason: `expected a packet of ${length} bytes, got ${rest.length}` });
            return out;
          }
          out.push({ kind: "item", item: parseBinary(rest.subarray(0, length)) });
          at += length;
          continue;
        }
      }
      let end = held.indexOf(10, at);
      if (end < 0) {
        if (isDatagram) end = held.length;
        else if (held.length - at > textBytesMax) {
          out.push({ kind: "malformed", reason: `expected a line of at most ${textBytesMax} bytes` });
          at = held.length;
          break;
        } else break;
      }
      const text = decoder.decode(held.subarray(at, end)).trim();
      at = end + 1;
      // Comments, for whoever reads the line at a terminal.
      if (text === "" || text.startsWith("#")) continue;
      const parsed = parseLine(text);
      out.push(parsed.ok ? { kind: "item", item: parsed.value } : { kind: "malformed", reason: parsed.error });
    }
    held = at >= held.length ? new Uint8Array(0) : held.slice(at);
    return out;
  }

  return {
    take(piece) {
      if (isDatagram) held = new Uint8Array(0);
      const out = take(piece);
      if (isDatagram) held = new Uint8Array(0);
      return out;
    },
    clear() {
      held = new Uint8Array(0);
    },
  };
}

export interface LinePacket {
  readonly number: number;
  readonly tick: number;
  readonly spikes: readonly { readonly tick: number; readonly channel: number; readonly unit: number }[];
  readonly marks: readonly { readonly tick: number; readonly line: number; readonly state: boolean; readonly isPhotodiode: boolean; readonly word?: number | null }[];
  readonly eye: readonly { readonly tick: number; readonly xDeg: number; readonly yDeg: number; readonly valid: boolean }[];
}

/** The packet for these events, for senders in TypeScript and for tests. */
export function encodePacket({ number, tick, spikes, marks, eye }: LinePacket): Uint8Array {
  const bytes = new Uint8Array(binaryHeaderBytes + 8 * (spikes.length + marks.length) + 16 * eye.length);
  const view = new DataView(bytes.buffer);
  bytes.set(binaryMagic);
  view.setUint32(4, number, true);
  view.setBigUint64(8, BigInt(tick), true);
  view.setUint16(16, spikes.length, true);
  view.setUint16(18, marks.length, true);
  view.setUint16(20, eye.length, true);
  let at = binaryHeaderBytes;
  for (const spike of spikes) {
    view.setUint32(at, tick - spike.tick, true);
    view.setUint16(at + 4, spike.channel, true);
    view.setUint8(at + 6, spike.unit);
    at += 8;
  }
  for (const mark of marks) {
    view.setUint32(at, tick - mark.tick, true);
    view.setUint8(at + 4, mark.line);
    view.setUint8(at + 5, (mark.state ? 1 : 0) | (mark.isPhotodiode ? 2 : 0) | (mark.word == null ? 0 : 4));
    view.setUint16(at + 6, mark.word ?? 0, true);
    at += 8;
  }
  for (const gaze of eye) {
    view.setUint32(at, tick - gaze.tick, true);
    view.setFloat32(at + 4, gaze.xDeg, true);
    view.setFloat32(at + 8, gaze.yDeg, true);
    view.setUint32(at + 12, gaze.valid ? 1 : 0, true);
    at += 16;
  }
  return bytes;
}
