// Intan RHX's two data ports, from bytes to blocks and spikes, however the stream is cut. Pure; knows nothing about sockets or rig time.
// Protocol notes: docs/rigs/intan.md.

export const framesPerBlock = 128;
const waveformMagic = 0x2ef07a08;
const spikeMagic = 0x3ae2710f;
const spikeBytes = 14;
/** A frame of every band of 1024 channels. */
const wordsMax = 4096;

export interface WaveformBlock {
  /** Time stamp of the first frame; the others follow by one, unless `isContinuous` says otherwise. */
  readonly firstTick: number;
  readonly isContinuous: boolean;
  /** Words of each frame, row-major [frames, words], as RHX sends them. */
  readonly words: Uint16Array;
  readonly wordsPerFrame: number;
}

export type Parsed<T> = { readonly kind: "item"; readonly item: T } | { readonly kind: "malformed"; readonly reason: string };

export interface StreamParser<T> {
  take(piece: Uint8Array): readonly Parsed<T>[];
  /** Bytes that are not a whole item yet. */
  readonly bytesLeft: number;
}

function append(held: Uint8Array, piece: Uint8Array): Uint8Array {
  if (held.length === 0) return piece;
  const joined = new Uint8Array(held.length + piece.length);
  joined.set(held);
  joined.set(piece, held.length);
  return joined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const blockBytes = (words: number) => 4 + framesPerBlock * (4 + 2 * words);

/** RHX does not say how many words a frame has: what is enabled there decides. `expectedWords` is tried first; else the stream itself tells. */
export function createWaveformParser({ expectedWords }: { readonly expectedWords: number }): StreamParser<WaveformBlock> & { readonly wordsPerFrame: number | null } {
  let held: Uint8Array = new Uint8Array(0);
  let words: number | null = null;
  let isResyncing = false;

  /** Whether the bytes at a magic number are frames of so many words: their time stamps follow each other. */
  function fits(view: DataView, at: number, candidate: number): boolean {
    const frameBytes = 4 + 2 * candidate;
    if (at + blockBytes(candidate) > view.byteLength) return false;
    const first = view.getUint32(at + 4, true);
    for (const frame of [1, 2, 3, framesPerBlock - 1]) if (view.getUint32(at + 4 + frame * frameBytes, true) !== (first + frame) >>> 0) return false;
    return true;
  }

  function inferWords(view: DataView, at: number): number | null {
    if (fits(view, at, expectedWords)) return expectedWords;
    for (let candidate = 0; candidate <= wordsMax && at + blockBytes(candidate) <= view.byteLength; candidate++) if (fits(view, at, candidate)) return candidate;
    return null;
  }

  return {
    take(piece) {
      held = append(held, piece);
      const out: Parsed<WaveformBlock>[] = [];
      const view = viewOf(held);
      let at = 0;
      while (at + 4 <= held.length) {
        if (view.getUint32(at, true) !== waveformMagic) {
          if (!isResyncing) {
            isResyncing = true;
            out.push({ kind: "malformed", reason: `expected the beginning of a waveform block, got ${view.getUint32(at, true).toString(16)}` });
          }
          at += 1;
          continue;
        }
        if (words !== null && at + blockBytes(words) > held.length) break;
        if (words === null || (at + blockBytes(words) + 4 <= held.length && view.getUint32(at + blockBytes(words), true) !== waveformMagic && !fits(view, at, words))) {
          const before = words;
          words = inferWords(view, at) ?? words;
          if (words === null || before === words) {
            // Not enough yet, or no block at all behind these four bytes.
            if (held.length - at < blockBytes(wordsMax)) {
              if (before === null) break;
            }
            isResyncing = true;
            out.push({ kind: "malformed", reason: "expected a waveform block whose time stamps follow each other" });
            at += 4;
            continue;
          }
          if (at + blockBytes(words) > held.length) break;
        }
        isResyncing = false;
        const frameBytes = 4 + 2 * words;
        const values = new Uint16Array(framesPerBlock * words);
        const firstTick = view.getUint32(at + 4, true);
        let isContinuous = true;
        for (let frame = 0; frame < framesPerBlock; frame++) {
          const start = at + 4 + frame * frameBytes;
          if (view.getUint32(start, true) !== (firstTick + frame) >>> 0) isContinuous = false;
          for (let word = 0; word < words; word++) values[frame * words + word] = view.getUint16(start + 4 + 2 * word, true);
        }
        out.push({ kind: "item", item: { firstTick, isContinuous, words: values, wordsPerFrame: words } });
        at += blockBytes(words);
      }
      held = held.slice(at);
      return out;
    },
    get bytesLeft() {
      return held.length;
    },
    get wordsPerFrame() {
      return words;
    },
  };
}

export interface SpikeRecord {
  /** Native channel name, e.g. "A-003". */
  readonly channel: string;
  readonly tick: number;
  /** RHX's spike id: 1 to 4 by its sorting windows, 64 unclassified, 128 a likely artifact. */
  readonly id: number;
}

export function createSpikeParser(): StreamParser<SpikeRecord> {
  let held: Uint8Array = new Uint8Array(0);
  let isResyncing = false;
  const decoder = new TextDecoder("latin1");
  return {
    take(piece) {
      held = append(held, piece);
      const out: Parsed<SpikeRecord>[] = [];
      const view = viewOf(held);
      let at = 0;
      while (at + spikeBytes <= held.length) {
        if (view.getUint32(at, true) !== spikeMagic) {
          if (!isResyncing) {
            isResyncing = true;
            out.push({ kind: "malformed", reason: `expected the beginning of a spike record, got ${view.getUint32(at, true).toString(16)}` });
          }
          at += 1;
          continue;
        }
        isResyncing = false;
        out.push({ kind: "item", item: { channel: decoder.decode(held.subarray(at + 4, at + 9)), tick: view.getUint32(at + 9, true), id: view.getUint8(at + 13) } });
        at += spikeBytes;
      }
      held = held.slice(at);
      return out;
    },
    get bytesLeft() {
      return held.length;
    },
  };
}

/**
 * Value of "Return: SampleRateHertz 20000" for "SampleRateHertz", the newest where there are several; null where there is none. Names compare without
 * case. Asked for "A-000.TCPDataOutputEnabled", RHX says "Return: TCPDataOutputEnabled True": the channel is not in its answer.
 */
export function parseReturn(reply: string, parameter: string): string | null {
  const names = [parameter, parameter.slice(parameter.lastIndexOf(".") + 1)].map((name) => name.toLowerCase());
  for (const answer of reply.split(/Return:\s*/i).slice(1).toReversed()) {
    const [name, ...value] = answer.trim().replace(/;$/, "").split(/\s+/);
    if (names.includes(name?.toLowerCase() ?? "") && value.length > 0) return value.join(" ");
  }
  return null;
}
