// Messages of the Open Ephys GUI's Event Broadcaster, from bytes to values, in both of its forms (JSON and raw). Pure; knows nothing about sockets,
// clocks or streams of messages. Protocol notes: docs/rigs/open-ephys.md.
import { z } from "zod";
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";
import type { ProtocolError } from "./message.ts";

interface Common {
  /** Name of the stream, or its number in the raw form. */
  readonly stream: string;
  /** Hz; null: the raw form, which does not say. */
  readonly sampleRateHz: number | null;
  readonly sampleNum: number;
}

export interface BroadcastSpike extends Common {
  readonly kind: "spike";
  readonly sourceNode: number;
  /** Name of the electrode; in the raw form its place among the electrodes of its stream, 0-based. */
  readonly electrode: string | number;
  /** 0 = unsorted. */
  readonly sortedId: number;
}

export interface BroadcastTtl extends Common {
  readonly kind: "ttl";
  /** 0-based. */
  readonly line: number;
  readonly state: boolean;
  /** All lines of the port after the change; null where the message does not say. */
  readonly word: number | null;
}

/** Something that the program says and this driver has no use for (text events). */
export interface BroadcastOther {
  readonly kind: "other";
  readonly type: string;
}

export type Broadcast = BroadcastSpike | BroadcastTtl | BroadcastOther;

const ttlCode = 0;
const spikeCode = 1;
/** Event type of a TTL event, byte 1 of a raw one. */
const ttlEventType = 3;
/** u8 type, u8 event or channel type, u16 node, u16 stream, u16 place in the stream, i64 sample, f64 timestamp. */
const headerBytes = 24;
const spikeHeaderBytes = headerBytes + 2;
const braceByte = 0x7b;

const whole = z.number().int();
const common = { stream: z.string(), source_node: whole.optional(), sample_rate: z.number().positive(), sample_number: whole };
const spikeSchema = z.object({ ...common, electrode: z.string().min(1), sorted_id: whole.min(0).optional() });
const ttlSchema = z.object({ ...common, line: whole.min(0).max(255), state: z.union([z.boolean(), z.number()]), word: whole.min(0).optional() });
const kindSchema = z.object({ event_type: z.string() });
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Parses one multipart message: u16 LE code (0 TTL, 1 spike), then JSON or the raw event. Errors name what was expected and what came. */
export function parseBroadcast(parts: readonly Uint8Array[]): Result<Broadcast, ProtocolError> {
  const [code, body] = parts;
  if (code === undefined || body === undefined) return refuse(`expected a code and an event, got ${parts.length} ${parts.length === 1 ? "part" : "parts"}`);
  if (code.length !== 2) return refuse(`expected a code of 2 bytes, got ${code.length}`);
  if (body[0] === braceByte) return parseJson(body);
  const kind = (code[0] ?? 0) + 256 * (code[1] ?? 0);
  if (kind === spikeCode) return parseRawSpike(body);
  if (kind === ttlCode) return parseRawTtl(body);
  return refuse(`expected a code of 0 (TTL) or 1 (spike), got ${kind}`);
}

function parseJson(bytes: Uint8Array): Result<Broadcast, ProtocolError> {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes.subarray(0, end)));
  } catch (error) {
    return refuse(`expected an event in JSON, got ${end} bytes that are none (${error instanceof Error ? error.message : String(error)})`);
  }
  const kind = kindSchema.safeParse(value);
  if (!kind.success) return refuse(`expected an event_type, got ${shown(value)}`);
  const type = kind.data.event_type;
  if (type === "spike") {
    const spike = spikeSchema.safeParse(value);
    if (!spike.success) return refuse(`expected stream, electrode, sample_rate, sample_number and sorted_id of a spike, got ${shown(value)}`);
    const { stream, source_node, electrode, sample_rate, sample_number, sorted_id } = spike.data;
    return ok({ kind: "spike", stream, sourceNode: source_node ?? 0, electrode, sampleRateHz: sample_rate, sampleNum: sample_number, sortedId: sorted_id ?? 0 });
  }
  if (type !== "ttl") return ok({ kind: "other", type });
  const ttl = ttlSchema.safeParse(value);
  if (!ttl.success) return refuse(`expected stream, line, state, sample_rate and sample_number of a TTL event, got ${shown(value)}`);
  const { stream, sample_rate, sample_number, line, state, word } = ttl.data;
  return ok({ kind: "ttl", stream, sampleRateHz: sample_rate, sampleNum: sample_number, line, state: Boolean(state), word: word ?? null });
}

function parseRawSpike(bytes: Uint8Array): Result<Broadcast, ProtocolError> {
  if (bytes.length < spikeHeaderBytes) return refuse(`expected ${spikeHeaderBytes} bytes or more of a raw spike, got ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sampleNum = sampleOf(view);
  if (sampleNum === null) return refuse(`expected a sample number of a raw spike, got ${view.getBigInt64(8, true)}`);
  return ok({ kind: "spike", stream: String(view.getUint16(4, true)), sourceNode: view.getUint16(2, true), electrode: view.getUint16(6, true), sampleRateHz: null, sampleNum, sortedId: view.getUint16(24, true) });
}

function parseRawTtl(bytes: Uint8Array): Result<Broadcast, ProtocolError> {
  if (bytes.length < headerBytes) return refuse(`expected ${headerBytes} bytes or more of a raw event, got ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(1) !== ttlEventType) return ok({ kind: "other", type: `event ${view.getUint8(1)}` });
  if (bytes.length < headerBytes + 2) return refuse(`expected line and state behind the header of a raw TTL event, got ${bytes.length} bytes`);
  const sampleNum = sampleOf(view);
  if (sampleNum === null) return refuse(`expected a sample number of a raw TTL event, got ${view.getBigInt64(8, true)}`);
  // Lines beyond 2^53 do not exist on any board: the word fits a float64.
  const word = bytes.length >= headerBytes + 10 ? Number(view.getBigUint64(headerBytes + 2, true)) : null;
  return ok({ kind: "ttl", stream: String(view.getUint16(4, true)), sampleRateHz: null, sampleNum, line: view.getUint8(headerBytes), state: view.getUint8(headerBytes + 1) !== 0, word });
}

function sampleOf(view: DataView): number | null {
  const sampleNum = Number(view.getBigInt64(8, true));
  return Number.isSafeInteger(sampleNum) ? sampleNum : null;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

function refuse(reason: string): Result<never, ProtocolError> {
  return err({ reason });
}
