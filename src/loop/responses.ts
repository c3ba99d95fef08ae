// From spikes to counts per channel in a window after an image's onset, decided only when the stream's own clock has passed the
// window's end. Knows nothing about images, scores or rigs.
import { nsPerMs } from "../shared/units.ts";
import type { RigTimeNs } from "../shared/units.ts";
import type { SpikeBatch } from "../shared/values.ts";

export interface WindowCounts {
  readonly id: number;
  /** Spikes per channel in the response window. */
  readonly counts: Uint16Array;
  readonly baselineCounts: Uint16Array;
  /** True when the stream reported a loss inside the response window. */
  readonly lossy: boolean;
}

export interface ResponseWindowOptions {
  readonly channelCount: () => number;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly baselineStartMs: number;
  readonly baselineEndMs: number;
}

export interface ResponseCollector {
  /** Opens the window of a presentation whose onset is known. */
  open(id: number, onsetRigNs: RigTimeNs): void;
  cancel(id: number): void;
  /** Takes a batch; returns the windows that it closed, in the order of their ends. */
  add(batch: SpikeBatch): readonly WindowCounts[];
  /** The stream lost data somewhere in (from, to]. */
  markLoss(fromRigNs: number, toRigNs: number): void;
  /** Windows that are closed already without new data (their onset was learnt late). */
  drain(): readonly WindowCounts[];
  /** Forgets all spikes and open windows: the source restarted its clock. Returns the ids that can no longer be decided. */
  reset(): readonly number[];
  readonly openIds: readonly number[];
  readonly watermarkRigNs: number;
  /** Spikes that came after the watermark had passed them. */
  readonly lateSpikes: number;
  /** Of those, the ones that fell into a window that was decided without them: the ids since the last call, each once, and how many spikes. */
  takeLate(): { readonly ids: readonly number[]; readonly spikes: number };
  /** Spikes of one channel relative to an onset, ms, within [fromMs, toMs], of what is still in memory. */
  spikesAround(channel: number, onsetRigNs: RigTimeNs, fromMs: number, toMs: number): number[];
}

const memoryNs = 4000 * nsPerMs;
/** Forgotten spikes are left in place until so much time has gathered: the rest moves once, not with every batch. */
const forgetEveryNs = 500 * nsPerMs;

/** What is in memory, by time, in two flat arrays: a source may deliver a thousand batches a second, and a window that walked through them all would be late. */
interface Memory {
  /** Appends; a spike that comes late is moved to its place. */
  add(timeRigNs: number, channel: number): void;
  /** Calls `take` for every spike in [from, to), by time. */
  each(from: number, to: number, take: (channel: number, timeRigNs: number) => void): void;
  /** Forgets what is older. */
  forget(beforeRigNs: number): void;
  clear(): void;
}

function createMemory(): Memory {
  let times = new Float64Array(4096);
  let channels = new Uint16Array(times.length);
  let length = 0;

  function grow(): void {
    const longer = new Float64Array(times.length * 2);
    longer.set(times);
    times = longer;
    const more = new Uint16Array(longer.length);
    more.set(channels);
    channels = more;
  }

  return {
    add(time, channel) {
      if (length === times.length) grow();
      let at = length;
      if (at > 0 && (times[at - 1] ?? 0) > time) {
        at = firstAfter(times, length, time);
        times.copyWithin(at + 1, at, length);
        channels.copyWithin(at + 1, at, length);
      }
      times[at] = time;
      channels[at] = channel;
      length += 1;
    },
    each(from, to, take) {
      for (let i = firstFrom(times, length, from); i < length; i++) {
        const time = times[i] ?? 0;
        if (time >= to) break;
        take(channels[i] ?? 0, time);
      }
    },
    forget(before) {
      const gone = firstFrom(times, length, before);
      if (gone === 0) return;
      times.copyWithin(0, gone, length);
      channels.copyWithin(0, gone, length);
      length -= gone;
    },
    clear() {
      length = 0;
    },
  };
}

export function createResponseCollector(options: ResponseWindowOptions): ResponseCollector {
  const memory = createMemory();
  let forgottenRigNs = Number.NEGATIVE_INFINITY;
  let watermark = Number.NEGATIVE_INFINITY;
  let lateSpikes = 0;
  const losses: { from: number; to: number }[] = [];
  const open = new Map<number, number>();
  /** Windows that were decided, for as long as spikes may come late. */
  let decided: { readonly id: number; readonly from: number; readonly to: number }[] = [];
  const lateIds = new Set<number>();
  let lateInWindows = 0;

  function count(from: number, to: number): Uint16Array {
    const counts = new Uint16Array(options.channelCount());
    memory.each(from, to, (channel) => {
      if (channel < counts.length) counts[channel] = (counts[channel] ?? 0) + 1;
    });
    return counts;
  }

  function closeDue(): WindowCounts[] {
    const due: { id: number; onset: number }[] = [];
    for (const [id, onset] of open) {
      if (watermark >= onset + options.windowEndMs * nsPerMs) due.push({ id, onset });
    }
    due.sort((a, b) => a.onset - b.onset || a.id - b.id);
    return due.map(({ id, onset }) => {
      open.delete(id);
      const from = onset + options.windowStartMs * nsPerMs;
      const to = onset + options.windowEndMs * nsPerMs;
      decided.push({ id, from, to });
      return {
        id,
        counts: count(from, to),
        baselineCounts: count(onset + options.baselineStartMs * nsPerMs, onset + options.baselineEndMs * nsPerMs),
        lossy: losses.some((l) => l.from < to && l.to > from),
      };
    });
  }

  return {
    open(id, onsetRigNs) {
      open.set(id, onsetRigNs);
    },
    cancel(id) {
      open.delete(id);
    },
    add(batch) {
      const times = batch.timesRigNs;
      for (let i = 0; i < times.length && (times[i] ?? 0) < watermark; i++) {
        const t = times[i] ?? 0;
        lateSpikes += 1;
        for (const one of decided) {
          if (t < one.from || t >= one.to) continue;
          lateIds.add(one.id);
          lateInWindows += 1;
        }
      }
      for (let i = 0; i < times.length; i++) memory.add(times[i] ?? 0, batch.channels[i] ?? 0);
      watermark = Math.max(watermark, batch.watermarkRigNs);
      if (forgottenRigNs < watermark - memoryNs - forgetEveryNs) {
        forgottenRigNs = watermark - memoryNs;
        decided = decided.filter((one) => one.to >= forgottenRigNs);
        memory.forget(forgottenRigNs);
      }
      return open.size > 0 ? closeDue() : [];
    },
    markLoss(from, to) {
      losses.push({ from, to });
      if (losses.length > 1000) losses.shift();
    },
    drain: closeDue,
    reset() {
      const ids = [...open.keys()];
      open.clear();
      memory.clear();
      forgottenRigNs = Number.NEGATIVE_INFINITY;
      losses.length = 0;
      decided = [];
      watermark = Number.NEGATIVE_INFINITY;
      return ids;
    },
    get openIds() {
      return [...open.keys()];
    },
    get watermarkRigNs() {
      return watermark;
    },
    get lateSpikes() {
      return lateSpikes;
    },
    takeLate() {
      const late = { ids: [...lateIds], spikes: lateInWindows };
      lateIds.clear();
      lateInWindows = 0;
      return late;
    },
    spikesAround(channel, onsetRigNs, fromMs, toMs) {
      const out: number[] = [];
      memory.each(onsetRigNs + fromMs * nsPerMs, onsetRigNs + toMs * nsPerMs, (c, t) => {
        if (c === channel) out.push((t - onsetRigNs) / nsPerMs);
      });
      return out;
    },
  };
}

/** First index below `length` whose time is at least `time`; times ascending. */
function firstFrom(times: Float64Array, length: number, time: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First index below `length` whose time is more than `time`; times ascending. */
function firstAfter(times: Float64Array, length: number, time: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
