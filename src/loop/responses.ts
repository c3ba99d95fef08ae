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

export function createResponseCollector(options: ResponseWindowOptions): ResponseCollector {
  let batches: SpikeBatch[] = [];
  let watermark = Number.NEGATIVE_INFINITY;
  let lateSpikes = 0;
  const losses: { from: number; to: number }[] = [];
  const open = new Map<number, number>();
  /** Windows that were decided, for as long as spikes may come late. */
  let decided: { readonly id: number; readonly from: number; readonly to: number }[] = [];
  const lateIds = new Set<number>();
  let lateInWindows = 0;

  /** Calls `take` for every spike in [from, to): batches are time-ordered inside, late spikes may sit in later batches. */
  function eachSpike(from: number, to: number, take: (channel: number, timeRigNs: number) => void): void {
    for (const batch of batches) {
      const times = batch.timesRigNs;
      const first = times[0];
      const last = times[times.length - 1];
      if (first === undefined || last === undefined || last < from || first >= to) continue;
      for (let i = lowerBound(times, from); i < times.length; i++) {
        const t = times[i] ?? 0;
        if (t >= to) break;
        take(batch.channels[i] ?? 0, t);
      }
    }
  }

  function count(from: number, to: number): Uint16Array {
    const counts = new Uint16Array(options.channelCount());
    eachSpike(from, to, (channel) => {
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
      if (times.length > 0) batches.push(batch);
      watermark = Math.max(watermark, batch.watermarkRigNs);
      const oldest = batches[0];
      if (oldest !== undefined && (oldest.timesRigNs[oldest.timesRigNs.length - 1] ?? 0) < watermark - memoryNs - 500 * nsPerMs) {
        decided = decided.filter((one) => one.to >= watermark - memoryNs);
        batches = batches.filter((b) => (b.timesRigNs[b.timesRigNs.length - 1] ?? 0) >= watermark - memoryNs);
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
      batches = [];
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
      eachSpike(onsetRigNs + fromMs * nsPerMs, onsetRigNs + toMs * nsPerMs, (c, t) => {
        if (c === channel) out.push((t - onsetRigNs) / nsPerMs);
      });
      return out.sort((a, b) => a - b);
    },
  };
}

/** First index whose time is at least `time`; times ascending. */
function lowerBound(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
