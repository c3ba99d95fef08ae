// Records of 32 bytes, as receive threads hand them over (native/kernel/records.h) and as the plain receiver writes them. Little-endian, as
// every system is on which the program runs. Knows nothing about who sends or reads them.
import type { NativeStream } from "./addon.ts";

export const recordBytes = 32;
/** 32-bit words of a record. */
export const recordWords = 8;

/** native/kernel/records.h says what a, b and c are in each. */
export const recordKinds = { spike: 1, digital: 2, monitor: 3, blob: 4, malformed: 5, duplicate: 6, overflow: 7, frame: 8, mark: 9, poll: 10, frameUntil: 11, datagram: 12 } as const;

/**
 * Records in order of arrival. In words: 0 and 1 time (low, high), 4 channel + kind * 2^16 + unit * 2^24, 5 a, 6 b, 7 c.
 * In doubles (four a record): 1 arrival, ns of the monotonic clock.
 */
export interface RecordBatch {
  readonly count: number;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  /** The bytes of a blob record, once, in order. */
  takeBlob(number: number): Uint8Array;
}

/** Takes what waits in a receive thread's stream, turn by turn, into memory that every turn uses again. */
export interface Turns {
  /** Good until the next call: who keeps records copies them (`copyOf`). */
  take(): RecordBatch;
  /** The last turn was full: more may wait. */
  readonly wasFull: boolean;
}

export function createTurns(stream: NativeStream, turnRecords: number): Turns {
  const bytes = new ArrayBuffer(turnRecords * recordBytes);
  const words = new Uint32Array(bytes);
  const doubles = new Float64Array(bytes);
  const takeBlob = (number: number): Uint8Array => stream.takeBlob(number);
  let count = 0;
  return {
    take() {
      count = stream.drain(bytes);
      return { count, words, doubles, takeBlob };
    },
    get wasFull() {
      return count === turnRecords;
    },
  };
}

/** The records from that place on, in memory of their own. */
export function copyOf(batch: RecordBatch, from: number): RecordBatch {
  return { count: batch.count - from, words: batch.words.slice(from * recordWords, batch.count * recordWords), doubles: batch.doubles.slice(from * 4, batch.count * 4), takeBlob: batch.takeBlob };
}

/** Writes records one after the other; what JavaScript does where there is no addon. */
export class RecordWriter {
  private bytes = new ArrayBuffer(recordBytes * 256);
  private words = new Uint32Array(this.bytes);
  private doubles = new Float64Array(this.bytes);
  private count = 0;
  private blobs = new Map<number, Uint8Array>();
  private nextBlob = 0;

  get length(): number {
    return this.count;
  }

  push(timeLow: number, timeHigh: number, arrivalNs: number, channel: number, kind: number, unit: number, a: number, b: number, c: number): void {
    if ((this.count + 1) * recordBytes > this.bytes.byteLength) this.grow();
    const at = this.count * recordWords;
    const { words } = this;
    words[at] = timeLow;
    words[at + 1] = timeHigh;
    this.doubles[this.count * 4 + 1] = arrivalNs;
    words[at + 4] = (channel | (kind << 16) | (unit << 24)) >>> 0;
    words[at + 5] = a;
    words[at + 6] = b;
    words[at + 7] = c;
    this.count += 1;
  }

  pushBlob(bytes: Uint8Array, timeLow: number, timeHigh: number, arrivalNs: number, kind: number = recordKinds.blob): void {
    const number = this.nextBlob++;
    this.blobs.set(number, bytes.slice());
    this.push(timeLow, timeHigh, arrivalNs, 0, kind, 0, number, 0, 0);
  }

  /** What was written since the last call; its arrays are the receiver's. */
  take(): RecordBatch {
    const { blobs } = this;
    const bytes = this.bytes.slice(0, this.count * recordBytes);
    const { count } = this;
    this.count = 0;
    return {
      count, words: new Uint32Array(bytes), doubles: new Float64Array(bytes),
      takeBlob(number) {
        const found = blobs.get(number) ?? new Uint8Array();
        blobs.delete(number);
        return found;
      },
    };
  }

  private grow(): void {
    const bytes = new ArrayBuffer(this.bytes.byteLength * 2);
    const words = new Uint32Array(bytes);
    words.set(this.words);
    this.bytes = bytes;
    this.words = words;
    this.doubles = new Float64Array(bytes);
  }
}
