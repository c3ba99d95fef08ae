// Protocol Buffers on the wire: reading fields in place and writing messages. Knows nothing about ONNX.
//
// Wire format: https://protobuf.dev/programming-guides/encoding/ . Nothing here allocates in proportion to the payload
// of a length-delimited field: such fields are views of the bytes that were read.

/** One field of a message: `bytes` for length-delimited fields, `value` for whole numbers (int64 beyond 2^53 is refused). */
export interface WireField {
  readonly number: number;
  readonly bytes: Uint8Array | null;
  readonly value: number;
  /** The field with its tag, to copy it unchanged. */
  readonly whole: Uint8Array;
}

export class WireError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "WireError";
  }
}

/** Walks the fields of a message in file order. Throws WireError where the bytes are not a message. */
export function* readFields(message: Uint8Array): Generator<WireField> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let position = 0;

  const readVarint = (): number => {
    let value = 0;
    let scale = 1;
    let exact = 0n;
    for (let i = 0; i < 10; i++) {
      if (position >= message.length) throw new WireError("a number runs past the end of the message");
      const byte = message[position++] ?? 0;
      // From the eighth byte on a double no longer holds every bit; a negative int64 has ten bytes.
      if (i < 7) value += (byte & 0x7f) * scale;
      else exact = (i === 7 ? BigInt(value) : exact) | (BigInt(byte & 0x7f) << BigInt(7 * i));
      scale *= 128;
      if (byte < 0x80) return i < 7 ? value : Number(BigInt.asIntN(64, exact));
    }
    throw new WireError("a number has more than ten bytes");
  };

  while (position < message.length) {
    const start = position;
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (number === 0) throw new WireError("a field has number 0");
    let bytes: Uint8Array | null = null;
    let value = 0;
    switch (wireType) {
      case 0:
        value = readVarint();
        break;
      case 1:
        if (position + 8 > message.length) throw new WireError("a 64-bit field runs past the end of the message");
        value = view.getFloat64(position, true);
        position += 8;
        break;
      case 5:
        if (position + 4 > message.length) throw new WireError("a 32-bit field runs past the end of the message");
        value = view.getFloat32(position, true);
        position += 4;
        break;
      case 2: {
        const length = readVarint();
        if (length < 0 || position + length > message.length) {
          throw new WireError(`a field of ${length} bytes runs past the end of the message`);
        }
        bytes = message.subarray(position, position + length);
        position += length;
        break;
      }
      default:
        throw new WireError(`unknown wire type ${wireType}`);
    }
    yield { number, bytes, value, whole: message.subarray(start, position) };
  }
}

/** The whole numbers of a packed repeated field. */
export function readPacked(bytes: Uint8Array): number[] {
  const out: number[] = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) {
      out.push(value);
      value = 0;
      scale = 1;
    }
  }
  return out;
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export function readText(bytes: Uint8Array | null): string {
  return bytes === null ? "" : decoder.decode(bytes);
}

/** Bytes to be written, as the pieces they lie in; large weights are never copied until `joinWire`. */
export type Wire = readonly Uint8Array[];

function varint(value: number): number[] {
  if (!Number.isInteger(value)) throw new Error(`expected a whole number to write, got ${value}`);
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return out;
}

/** A field with a whole number. */
export function writeInt(number: number, value: number): Wire {
  return [Uint8Array.from([...varint(number * 8), ...varint(value)])];
}

/** A length-delimited field: bytes, a text or a message given by its fields. */
export function writeBytes(number: number, content: Uint8Array | string | Wire): Wire {
  const parts = typeof content === "string" ? [encoder.encode(content)] : content instanceof Uint8Array ? [content] : content;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [Uint8Array.from([...varint(number * 8 + 2), ...varint(length)]), ...parts];
}

export function joinWire(parts: Wire): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    out.set(part, position);
    position += part.length;
  }
  return out;
}
