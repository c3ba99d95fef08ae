// Running figures per channel: rate, evoked response, selectivity over images, silent or noisy. Knows nothing about where spikes come from.
import { nsPerMs, nsPerS } from "../shared/units.ts";
import type { SpikeBatch } from "../shared/values.ts";

export type ChannelStatus = "ok" | "silent" | "noisy" | "unknown";

export interface ChannelFigures {
  add(batch: SpikeBatch): void;
  /** Response of all channels to one image, in spikes/s. */
  addResponse(imageId: number, ratesHz: readonly number[]): void;
  /** Spikes/s over the last second of the stream. */
  rates(): number[];
  /** Mean response over all images so far, spikes/s. */
  evoked(): number[];
  /** Reliability of the tuning, 0..1: share of the response variance that repeats of an image agree on. */
  tuning(): number[];
  /** Standard deviation of the true response over images, spikes/s, the noise of single presentations taken off. */
  signalHz(): number[];
  statuses(): ChannelStatus[];
  resize(channelCount: number): void;
  /** From here on a channel's silence is counted in time of which the stream brought something; without it, as earlier recordings were made, in all time of the rig's clock. */
  countHeardTime(): void;
  /** The source is away: what its clock does until it is back is no time in which a channel could have been heard. */
  away(isAway: boolean): void;
}

const silentAfterMs = 10_000;
/** A longer step of the stream's clock is a hole (stopped, lost, started again; twice the longest batch): whatever the channels did in it, nobody heard it. */
const holeMs = 2000;
/** A channel is noisy above this rate (no cortical multi-unit site holds it for a second) or when half its spikes repeat at the mains period. */
const noisyHz = 400;

export function createChannelFigures(initialCount: number): ChannelFigures {
  let count = initialCount;
  let lastSpikeNs = new Float64Array(count).fill(Number.NaN);
  let secondCounts = new Float64Array(count);
  let rate = new Float64Array(count);
  let mains = new Float64Array(count);
  let secondStart = Number.NaN;
  let firstNs = Number.NaN;
  let watermark = Number.NEGATIVE_INFINITY;
  let countsHeard = false;
  let isAway = false;
  let previousNs = Number.NaN;
  /** Time of the stream without its holes, and what of it had passed at each channel's newest spike. */
  let heardNs = 0;
  let heardAt = new Float64Array(count);
  /** Per image: presentations, and per channel the sum and sum of squares of its response. */
  const images = new Map<number, { n: number; sum: Float64Array; squares: Float64Array }>();

  function closeSeconds(until: number): void {
    while (until - secondStart >= nsPerS) {
      for (let c = 0; c < count; c++) rate[c] = secondCounts[c] ?? 0;
      secondCounts.fill(0);
      secondStart += nsPerS;
      if (until - secondStart > 10 * nsPerS) secondStart = until - nsPerS;
    }
  }

  function varianceParts(): readonly VarianceParts[] {
    const repeated = [...images.values()].filter((i) => i.n >= 2);
    if (repeated.length < 3) return new Array<VarianceParts>(count).fill({ between: 0, within: 0, perImage: 1 });
    return Array.from({ length: count }, (_, c) => varianceOf(repeated, c));
  }

  function silentNs(channel: number): number {
    if (countsHeard) return heardNs - (heardAt[channel] ?? 0);
    const last = lastSpikeNs[channel] ?? Number.NaN;
    return Number.isNaN(last) ? watermark - firstNs : watermark - last;
  }

  return {
    add(batch) {
      const stepNs = batch.watermarkRigNs - previousNs;
      previousNs = batch.watermarkRigNs;
      if (!isAway && stepNs > 0 && stepNs <= holeMs * nsPerMs) heardNs += stepNs;
      if (Number.isNaN(firstNs)) {
        firstNs = batch.watermarkRigNs;
        secondStart = batch.timesRigNs[0] ?? batch.watermarkRigNs;
      }
      for (let i = 0; i < batch.timesRigNs.length; i++) {
        const c = batch.channels[i] ?? 0;
        if (c >= count) continue;
        const t = batch.timesRigNs[i] ?? 0;
        closeSeconds(t);
        secondCounts[c] = (secondCounts[c] ?? 0) + 1;
        const gapMs = (t - (lastSpikeNs[c] ?? Number.NaN)) / nsPerMs;
        // Intervals at 1/100, 1/50 or 1/60 s within 0.2 ms.
        const periodic = Math.abs(gapMs - 10) < 0.2 || Math.abs(gapMs - 20) < 0.2 || Math.abs(gapMs - 1000 / 60) < 0.2 ? 1 : 0;
        mains[c] = (mains[c] ?? 0) + (periodic - (mains[c] ?? 0)) / 200;
        lastSpikeNs[c] = t;
        heardAt[c] = heardNs;
      }
      watermark = Math.max(watermark, batch.watermarkRigNs);
      closeSeconds(watermark);
    },
    addResponse(imageId, ratesHz) {
      let image = images.get(imageId);
      if (image === undefined) {
        image = { n: 0, sum: new Float64Array(count), squares: new Float64Array(count) };
        images.set(imageId, image);
      }
      image.n += 1;
      for (let c = 0; c < count; c++) {
        const r = ratesHz[c] ?? 0;
        image.sum[c] = (image.sum[c] ?? 0) + r;
        image.squares[c] = (image.squares[c] ?? 0) + r * r;
      }
    },
    rates: () => [...rate],
    evoked() {
      const out = new Array<number>(count).fill(0);
      let n = 0;
      for (const image of images.values()) {
        n += image.n;
        for (let c = 0; c < count; c++) out[c] = (out[c] ?? 0) + (image.sum[c] ?? 0);
      }
      return n === 0 ? out : out.map((v) => v / n);
    },
    tuning: () => varianceParts().map((v) => (v.between > 0 ? Math.max(0, (v.between - v.within) / v.between) : 0)),
    signalHz: () => varianceParts().map((v) => Math.sqrt(Math.max(0, v.between - v.within) / v.perImage)),
    statuses() {
      return Array.from({ length: count }, (_, c): ChannelStatus => {
        if (!(watermark - firstNs > 0)) return "unknown";
        if (silentNs(c) > silentAfterMs * nsPerMs) return "silent";
        if ((rate[c] ?? 0) > noisyHz || (mains[c] ?? 0) > 0.5) return "noisy";
        return "ok";
      });
    },
    resize(channelCount) {
      if (channelCount <= count) return;
      const grow = (a: Float64Array, fill: number): Float64Array<ArrayBuffer> => {
        const b = new Float64Array(channelCount).fill(fill);
        b.set(a);
        return b;
      };
      lastSpikeNs = grow(lastSpikeNs, Number.NaN);
      secondCounts = grow(secondCounts, 0);
      rate = grow(rate, 0);
      mains = grow(mains, 0);
      for (const image of images.values()) {
        image.sum = grow(image.sum, 0);
        image.squares = grow(image.squares, 0);
      }
      // A channel that appears late is silent from its appearance on.
      heardAt = grow(heardAt, heardNs);
      count = channelCount;
    },
    countHeardTime() {
      countsHeard = true;
    },
    away(away) {
      isAway = away;
    },
  };
}

interface VarianceParts {
  /** Mean squares between and within images (one-way analysis of variance). */
  readonly between: number;
  readonly within: number;
  readonly perImage: number;
}

/** Reliability of an image's mean response is (between - within) / between (Shrout & Fleiss 1979, ICC(1,k)). */
function varianceOf(images: readonly { readonly n: number; readonly sum: Float64Array; readonly squares: Float64Array }[], channel: number): VarianceParts {
  let total = 0;
  let n = 0;
  for (const image of images) {
    total += image.sum[channel] ?? 0;
    n += image.n;
  }
  const grand = total / n;
  let between = 0;
  let within = 0;
  for (const image of images) {
    const sum = image.sum[channel] ?? 0;
    const mean = sum / image.n;
    between += image.n * (mean - grand) ** 2;
    within += (image.squares[channel] ?? 0) - image.n * mean * mean;
  }
  return { between: between / (images.length - 1), within: within / Math.max(1, n - images.length), perImage: n / images.length };
}

/**
 * The channel that a person would choose to evolve: one that tells images apart, by much and reliably, neither silent nor noisy.
 * Score = reliability x signal; ties go to the lower index. Returns null when none qualifies.
 */
export function suggestTarget(figures: { readonly tuning: readonly number[]; readonly signalHz: readonly number[]; readonly status: readonly ChannelStatus[] }): number | null {
  let best: number | null = null;
  let bestScore = 0;
  for (let c = 0; c < figures.signalHz.length; c++) {
    if (figures.status[c] === "silent" || figures.status[c] === "noisy") continue;
    const score = (figures.tuning[c] ?? 0) * (figures.signalHz[c] ?? 0);
    if (score > bestScore) {
      best = c;
      bestScore = score;
    }
  }
  return best;
}
