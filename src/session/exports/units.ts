// Spikes sorted by unit, for formats that keep one train per unit. Knows nothing about formats.
import type { SessionReader } from "../reader.ts";
import type { Timeline } from "./timeline.ts";

export interface UnitTrains {
  /** One entry per unit: channels in the order of the channel list, sorted units in each; a channel without spikes has its unit 0. */
  readonly units: readonly { readonly channel: number; readonly unit: number; readonly count: number }[];
  /** Spike times of all units, one after the other, each in time order: seconds since the session's start. */
  readonly timesS: Float64Array;
  /** End of each unit's times in `timesS`. */
  readonly ends: Float64Array;
  /** When the recording system delivered: [start, end] pairs in seconds. */
  readonly observedS: Float64Array;
}

/** A stream whose time stands still for longer than this was not observed meanwhile. */
const silenceMsMax = 1000;

/** Reads all spikes twice: once to count, once to place. 8 bytes per spike of memory. */
export function readUnitTrains(reader: SessionReader, timeline: Timeline, onStep: (done: number) => void): UnitTrains {
  const counts = new Map<number, number>();
  const keyOf = (channel: number, unit: number): number => channel * 256 + unit;
  const total = Math.max(1, reader.streamCounts().spikes);
  let seen = 0;
  const observed: number[] = [];
  let run = -1;
  let newestS = Number.NEGATIVE_INFINITY;
  for (const { seq, batch } of reader.spikeBatches()) {
    for (let i = 0; i < batch.channels.length; i++) {
      const key = keyOf(batch.channels[i] ?? 0, batch.units[i] ?? 0);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const endS = timeline.rigS(batch.watermarkRigNs, seq);
    const firstS = batch.timesRigNs.length > 0 ? timeline.rigS(batch.timesRigNs[0] ?? 0, seq) : endS;
    if (timeline.runOf(seq) !== run || endS - newestS > silenceMsMax / 1000) observed.push(Math.min(firstS, endS), Math.max(firstS, endS));
    else observed[observed.length - 1] = Math.max(newestS, endS);
    run = timeline.runOf(seq);
    newestS = Math.max(endS, observed.at(-1) ?? endS);
    seen += batch.channels.length;
    onStep((0.5 * seen) / total);
  }

  const listed = reader.channels().map(({ index }) => index);
  const others = [...new Set([...counts.keys()].map((key) => Math.floor(key / 256)))].filter((channel) => !listed.includes(channel)).sort((a, b) => a - b);
  const keys = [...listed, ...others].flatMap((channel) => {
    const own = [...counts.keys()].filter((key) => Math.floor(key / 256) === channel).sort((a, b) => a - b);
    return own.length > 0 ? own : [keyOf(channel, 0)];
  });
  const place = new Map<number, number>();
  const ends = new Float64Array(keys.length);
  let end = 0;
  keys.forEach((key, i) => {
    place.set(key, end);
    end += counts.get(key) ?? 0;
    ends[i] = end;
  });
  const timesS = new Float64Array(end);
  for (const { seq, batch } of reader.spikeBatches()) {
    for (let i = 0; i < batch.channels.length; i++) {
      const key = keyOf(batch.channels[i] ?? 0, batch.units[i] ?? 0);
      const at = place.get(key) ?? 0;
      timesS[at] = timeline.rigS(batch.timesRigNs[i] ?? 0, seq);
      place.set(key, at + 1);
    }
    onStep(0.5 + (0.5 * (place.get(keys[0] ?? 0) ?? 0)) / Math.max(1, ends[0] ?? 0));
  }
  for (let i = 0, start = 0; i < ends.length; i++) {
    sortWhereNeeded(timesS.subarray(start, ends[i] ?? 0));
    start = ends[i] ?? 0;
  }
  return { units: keys.map((key) => ({ channel: Math.floor(key / 256), unit: key % 256, count: counts.get(key) ?? 0 })), timesS, ends, observedS: Float64Array.from(observed) };
}

function sortWhereNeeded(times: Float64Array): void {
  for (let i = 1; i < times.length; i++) {
    if ((times[i] ?? 0) < (times[i - 1] ?? 0)) {
      times.sort();
      return;
    }
  }
}
