// Messages of the Open Ephys GUI's ZMQ Interface, from bytes to values. Pure; knows nothing about sockets, clocks or streams of messages.
// Protocol notes: docs/rigs/open-ephys.md.
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";

export interface ProtocolError {
  /** What was expected and what came. */
  readonly reason: string;
}

interface Common {
  /** Rises by 1 with every message that the program publishes. */
  readonly messageNum: number;
}

export interface DataMessage extends Common {
  readonly kind: "data";
  readonly stream: string;
  readonly channelNum: number;
  readonly channelName: string;
  /** First sample of the block. */
  readonly sampleNum: number;
  readonly sampleCount: number;
  readonly sampleRateHz: number;
}

export interface SpikeMessage extends Common {
  readonly kind: "spike";
  readonly stream: string;
  readonly sourceNode: number;
  readonly electrode: string;
  readonly sampleNum: number;
  /** Length of the waveform, samples. */
  readonly sampleCount: number;
  /** 0 = unsorted. */
  readonly sortedId: number;
}

export interface TtlMessage extends Common {
  readonly kind: "ttl";
  readonly stream: string;
  readonly sampleNum: number;
  /** 0-based line. */
  readonly line: number;
  readonly state: boolean;
  /** All lines of the port after the change; null where the program did not send them. */
  readonly word: number | null;
}

/** Something that the program says and this driver has no use for (text events, parameters). */
export interface OtherMessage extends Common {
  readonly kind: "other";
  readonly type: string;
}

export type Message = DataMessage | SpikeMessage | TtlMessage | OtherMessage;

const decoder = new TextDecoder("utf-8", { fatal: true });
const ttlEventType = 3;

/** Parses one multipart message: envelope ("DATA" or "EVENT" with a closing NUL), JSON header, binary payload. */
export function parseMessage(parts: readonly Uint8Array[]): Result<Message, ProtocolError> {
  const [envelope, header, payload] = parts;
  if (envelope === undefined || header === undefined) return refuse(`expected an envelope and a header, got ${parts.length} ${parts.length === 1 ? "part" : "parts"}`);
  const json = parseJson(header);
  if (!json.ok) return json;
  const fields = json.value;
  const messageNum = wholeOf(fields, "message_num");
  const type = textOf(fields, "type");
  if (messageNum === null) return refuse(`expected a whole message_num, got ${shown(fields["message_num"])}`);
  if (type === null) return refuse(`expected a type, got ${shown(fields["type"])}`);
  switch (type) {
    case "data":
      return parseData(messageNum, fields, payload);
    case "spike":
      return parseSpike(messageNum, fields);
    case "event":
      return parseEvent(messageNum, fields, payload);
    default:
      return ok({ kind: "other", messageNum, type });
  }
}

function parseData(messageNum: number, fields: Fields, payload: Uint8Array | undefined): Result<Message, ProtocolError> {
  const content = fieldsOf(fields["content"]);
  if (content === null) return refuse(`expected a data message with content, got ${shown(fields["content"])}`);
  const stream = textOf(content, "stream");
  const channelNum = wholeOf(content, "channel_num");
  const sampleNum = wholeOf(content, "sample_num");
  const sampleCount = wholeOf(content, "num_samples");
  const sampleRateHz = numberOf(content, "sample_rate");
  if (stream === null || channelNum === null || sampleNum === null || sampleCount === null || sampleRateHz === null) {
    return refuse(`expected stream, channel_num, sample_num, num_samples and sample_rate in a data message, got ${shown(content)}`);
  }
  if (!(sampleRateHz > 0)) return refuse(`expected a positive sample_rate, got ${sampleRateHz}`);
  if (sampleCount < 0) return refuse(`expected num_samples of 0 or more, got ${sampleCount}`);
  const bytes = payload?.length ?? 0;
  if (bytes !== sampleCount * 4) return refuse(`expected ${sampleCount} float32 samples (${sampleCount * 4} bytes), got ${bytes} bytes`);
  return ok({ kind: "data", messageNum, stream, channelNum, channelName: textOf(content, "channel_name") ?? "", sampleNum, sampleCount, sampleRateHz });
}

function parseSpike(messageNum: number, fields: Fields): Result<Message, ProtocolError> {
  const spike = fieldsOf(fields["spike"]);
  if (spike === null) return refuse(`expected a spike message with spike, got ${shown(fields["spike"])}`);
  const stream = textOf(spike, "stream");
  const electrode = textOf(spike, "electrode");
  const sampleNum = wholeOf(spike, "sample_num");
  const sortedId = wholeOf(spike, "sorted_id");
  if (stream === null || electrode === null || sampleNum === null) return refuse(`expected stream, electrode and sample_num in a spike message, got ${shown(spike)}`);
  if (sortedId !== null && sortedId < 0) return refuse(`expected a sorted_id of 0 or more, got ${sortedId}`);
  return ok({
    kind: "spike",
    messageNum,
    stream,
    sourceNode: wholeOf(spike, "source_node") ?? 0,
    electrode,
    sampleNum,
    sampleCount: wholeOf(spike, "num_samples") ?? 0,
    sortedId: sortedId ?? 0,
  });
}

function parseEvent(messageNum: number, fields: Fields, payload: Uint8Array | undefined): Result<Message, ProtocolError> {
  const content = fieldsOf(fields["content"]);
  if (content === null) return refuse(`expected an event with content, got ${shown(fields["content"])}`);
  const eventType = wholeOf(content, "type");
  if (eventType !== ttlEventType) return ok({ kind: "other", messageNum, type: `event ${shown(content["type"])}` });
  const sampleNum = wholeOf(content, "sample_num");
  if (sampleNum === null) return refuse(`expected sample_num in a TTL event, got ${shown(content)}`);
  if (payload === undefined || payload.length < 2) return refuse(`expected a TTL payload of 10 bytes (line, state, word), got ${payload?.length ?? 0}`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  // Lines beyond 2^53 do not exist on any board: the word fits a float64.
  const word = payload.length >= 10 ? Number(view.getBigUint64(2, true)) : null;
  return ok({ kind: "ttl", messageNum, stream: textOf(content, "stream") ?? "", sampleNum, line: view.getUint8(0), state: view.getUint8(1) !== 0, word });
}

type Fields = Readonly<Record<string, unknown>>;

function parseJson(bytes: Uint8Array): Result<Fields, ProtocolError> {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes.subarray(0, end)));
  } catch (error) {
    return refuse(`expected a JSON header, got ${end} bytes that are none (${error instanceof Error ? error.message : String(error)})`);
  }
  const fields = fieldsOf(value);
  return fields === null ? refuse(`expected a JSON object, got ${shown(value)}`) : ok(fields);
}

function fieldsOf(value: unknown): Fields | null {
  return isFields(value) ? value : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(fields: Fields, name: string): number | null {
  const value = fields[name];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function wholeOf(fields: Fields, name: string): number | null {
  const value = numberOf(fields, name);
  return value !== null && Number.isSafeInteger(value) ? value : null;
}

function textOf(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === "string" ? value : null;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}

function refuse(reason: string): Result<never, ProtocolError> {
  return err({ reason });
}
