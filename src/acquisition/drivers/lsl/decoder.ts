// Samples of LSL's spike and marker streams to spikes and marks on one clock, and the pieces in which a capture keeps such samples: liblsl reads
// the network itself, so the line that can be captured is what it hands over. Conventions: docs/rigs/lsl.md. Knows nothing about the library.
import type { LineDecoder } from "../../capture/decoding.ts";
import { nsPerMs, nsPerS } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceEvent } from "../../../shared/values.ts";
import { createSpikeStream } from "../common/spikeStream.ts";
import type { SpikeStream } from "../common/spikeStream.ts";
import type { LslOptions } from "./options.ts";

/** Channel numbers of the spike stream that are no channels. */
export const heartbeatChannel = -1;
export const photodiodeChannel = -2;

export const lslLanes = { spikes: 0, markers: 1 } as const;

/** `timesS`: time stamps after time correction; `values`: row-major [samples, channels]; `texts`: of a stream of texts, in the place of its values. */
export interface LslSamples {
  readonly timesS: Float64Array;
  readonly values: Float64Array;
  readonly texts: readonly string[] | null;
}

export interface LslDecoder {
  readonly stream: SpikeStream;
  readonly samples: number;
  spikes(samples: LslSamples, nowHostNs: HostTimeNs): void;
  markers(samples: LslSamples, nowHostNs: HostTimeNs): void;
  /** `clockNs`: what the clock of the time stamps shows now; null: only the stamps themselves tell. */
  settle(nowHostNs: HostTimeNs, clockNs: number | null): void;
}

export function createLslDecoder({ options, spikesName, markersName, emit }: { readonly options: LslOptions; readonly spikesName: string; readonly markersName: string; readonly emit: (event: SourceEvent) => void }): LslDecoder {
  const stream = createSpikeStream({ channels: options.channels, areas: options.areas, emit });
  let count = 0;
  /** Rig time that a heartbeat has vouched for; null: the stream has none. */
  let heartbeatNs: number | null = null;
  /** Newest time stamp of a spike, as rig time. */
  let newestStampNs = -Infinity;

  function takeSpike(rigNs: number, channel: number, unit: number, now: HostTimeNs): void {
    newestStampNs = Math.max(newestStampNs, rigNs);
    if (channel === heartbeatChannel) {
      heartbeatNs = Math.max(heartbeatNs ?? 0, rigNs);
    } else if (channel === photodiodeChannel) {
      stream.mark({ kind: "photodiode", rigNs, line: 0, state: unit > 0, word: null }, now);
    } else if (Number.isInteger(channel) && channel >= 0 && channel < 65_536 && Number.isInteger(unit) && unit >= 0) {
      stream.spike(rigNs, stream.channelOf(options.channels[channel] ?? `CH${channel}`), unit, now);
    } else {
      stream.report({ kind: "malformed", reason: `expected a channel and a unit in a sample of "${spikesName}", got ${channel} and ${unit}`, packets: 1 }, now);
    }
  }

  return {
    stream,
    spikes({ timesS, values }, now) {
      const channelCount = values.length / timesS.length;
      for (const [i, time] of timesS.entries()) takeSpike(Math.round(time * nsPerS), values[i * channelCount] ?? 0, values[i * channelCount + 1] ?? 0, now);
      count += timesS.length;
    },
    markers({ timesS, values, texts }, now) {
      const channelCount = values.length / timesS.length;
      let unread = 0;
      let firstUnread = "";
      for (const [i, time] of timesS.entries()) {
        const value = Math.round(values[i * channelCount] ?? NaN);
        if (value >= 0) {
          stream.mark({ kind: "strobe", rigNs: Math.round(time * nsPerS), line: 0, state: true, word: value }, now);
          continue;
        }
        if (unread === 0) firstUnread = texts === null ? String(values[i * channelCount]) : `"${(texts[i * channelCount] ?? "").slice(0, 100)}"`;
        unread += 1;
      }
      if (unread > 0) stream.report({ kind: "malformed", reason: `expected event codes, whole numbers of 0 or more, in the markers of "${markersName}", got ${firstUnread}${unread > 1 ? ` and ${unread - 1} more` : ""}`, packets: unread }, now);
    },
    settle(now, clockNs) {
      // Without heartbeats: what has had the time to come, by the clock that the time stamps are on.
      if (heartbeatNs !== null) stream.advance(heartbeatNs, now);
      else if (count > 0) stream.advance((clockNs ?? newestStampNs) - options.holdBackMs * nsPerMs, now);
    },
    get samples() {
      return count;
    },
  };
}

/** Three parts of a capture's piece: time stamps (s) and values as float64 LE, texts as JSON (empty where there are none). */
export function encodeLslSamples({ timesS, values, texts }: LslSamples): readonly Uint8Array[] {
  const bytesOf = (numbers: Float64Array): Uint8Array => {
    const out = new DataView(new ArrayBuffer(numbers.length * 8));
    for (const [i, number] of numbers.entries()) out.setFloat64(i * 8, number, true);
    return new Uint8Array(out.buffer);
  };
  return [bytesOf(timesS), bytesOf(values), texts === null ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(texts))];
}

/** null: the parts are no such piece. */
function decodeLslSamples(parts: readonly Uint8Array[]): LslSamples | null {
  const [times, values, texts] = parts;
  if (times === undefined || values === undefined || times.length === 0 || times.length % 8 !== 0 || values.length % times.length !== 0 || values.length === 0) return null;
  const numbersOf = (bytes: Uint8Array): Float64Array => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(i * 8, true));
  };
  let said: unknown = null;
  try {
    if (texts !== undefined && texts.length > 0) said = JSON.parse(new TextDecoder().decode(texts));
  } catch {
    return null;
  }
  return { timesS: numbersOf(times), values: numbersOf(values), texts: Array.isArray(said) ? said.map(String) : null };
}

/** Decodes captured samples. */
export function decodeLsl(options: LslOptions, emit: (event: SourceEvent) => void): LineDecoder {
  const decoder = createLslDecoder({ options, spikesName: options.spikesName ?? options.spikesType, markersName: options.markersName ?? "", emit });
  return {
    take(lane, parts, arrivedHostNs) {
      const samples = decodeLslSamples(parts);
      if (samples === null) decoder.stream.report({ kind: "malformed", reason: "expected time stamps and values of LSL samples", packets: 1 }, arrivedHostNs);
      else if (lane === lslLanes.markers) decoder.markers(samples, arrivedHostNs);
      else decoder.spikes(samples, arrivedHostNs);
    },
    settle: (nowHostNs) => decoder.settle(nowHostNs, null),
    finish: (nowHostNs) => decoder.stream.flush(nowHostNs),
    channels: () => decoder.stream.channels(),
    get packets() {
      return decoder.samples;
    },
  };
}
