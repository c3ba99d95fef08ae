// Firing rates, PSTHs, tuning and reliability from spike times. Knows nothing about rigs or storage.
//
// Spike times and onsets are nanoseconds on one clock (the rig's), spike times in increasing order; windows are ms after
// onset and half-open, [start, end): a spike at the end belongs to the next window.
import type { Rng } from "../shared/rng.ts";
import { checkMatrix, createMatrix } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { mean, oneWayAnova, oneSampleT, pearson, variance } from "./statistics.ts";

/** A stretch of time after image onset, ms; negative before it. */
export interface ResponseWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/** SPEC 1 (P A.1): the response is the mean rate 70-170 ms after onset. */
export const defaultResponseWindow: ResponseWindow = { startMs: 70, endMs: 170 };
/** Before the shortest visual latency, after the last image has left: the rate that a response is evoked from. */
export const defaultBaselineWindow: ResponseWindow = { startMs: 0, endMs: 40 };

const nsPerMs = 1e6;

export interface Psth {
  /** Middle of every bin, ms after onset. */
  readonly binCentersMs: Float64Array;
  /** Mean rate over presentations, spikes/s, [bins]. */
  readonly rateHz: Float64Array;
  /** Standard error over presentations (of the unsmoothed counts), spikes/s, [bins]; NaN below two presentations. */
  readonly semHz: Float64Array;
  readonly presentations: number;
}

/** Responses averaged over the presentations of each image. */
export interface ImageAverages {
  /** Images that were presented, increasing; rows of the matrices below are in this order. */
  readonly images: Int32Array;
  /** Presentations of each, [images]. */
  readonly repeats: Int32Array;
  /** [images, units]. */
  readonly mean: Matrix64;
  /** Standard error over presentations, [images, units]; NaN for an image presented once. */
  readonly sem: Matrix64;
}

/** How reliable the image averages of one unit are. */
export interface NoiseCeiling {
  /** Mean split-half correlation over images; null where it is undefined in every split. */
  readonly splitHalfR: number | null;
  /** Spearman-Brown: reliability of the average over all presentations; 0 where the halves do not correlate above 0. */
  readonly reliability: number | null;
  /** sqrt(reliability): the highest r that a perfect model of the unit can have with its averages; null where not above 0. */
  readonly ceilingR: number | null;
  /** Images with at least two presentations: the only ones that can tell. */
  readonly images: number;
  readonly splits: number;
}

/** Spikes of one unit in the window after each onset, [onsets]. Throws on an empty window or NaN times. */
export function countSpikes(options: {
  readonly spikeTimesNs: Float64Array;
  readonly onsetsNs: ArrayLike<number>;
  readonly window?: ResponseWindow;
}): Uint32Array {
  const { spikeTimesNs, onsetsNs } = options;
  const window = checkWindow(options.window ?? defaultResponseWindow);
  return Uint32Array.from({ length: onsetsNs.length }, (_, i) => {
    const onset = onsetsNs[i]!;
    if (Number.isNaN(onset)) throw new Error(`expected an onset in ns, got NaN at presentation ${i}`);
    return firstAtOrAfter(spikeTimesNs, onset + window.endMs * nsPerMs) - firstAtOrAfter(spikeTimesNs, onset + window.startMs * nsPerMs);
  });
}

/** Rates in the window for many units, spikes/s, [onsets, units]. */
export function measureRates(options: {
  readonly spikeTimesNs: readonly Float64Array[];
  readonly onsetsNs: ArrayLike<number>;
  readonly window?: ResponseWindow;
}): Matrix64 {
  const window = options.window ?? defaultResponseWindow;
  const units = options.spikeTimesNs.length;
  const rates = createMatrix(options.onsetsNs.length, units);
  const perSecond = 1000 / (window.endMs - window.startMs);
  options.spikeTimesNs.forEach((spikeTimesNs, u) => {
    countSpikes({ spikeTimesNs, onsetsNs: options.onsetsNs, window }).forEach((count, i) => {
      rates.data[i * units + u] = count * perSecond;
    });
  });
  return rates;
}

/** Rate in the response window minus rate in the baseline window of the same presentation, spikes/s, [onsets, units]. */
export function measureEvokedRates(options: {
  readonly spikeTimesNs: readonly Float64Array[];
  readonly onsetsNs: ArrayLike<number>;
  readonly window?: ResponseWindow;
  readonly baseline?: ResponseWindow;
}): Matrix64 {
  const response = measureRates(options);
  const baseline = measureRates({ ...options, window: options.baseline ?? defaultBaselineWindow });
  response.data.forEach((value, i) => {
    response.data[i] = value - baseline.data[i]!;
  });
  return response;
}

/**
 * Peri-stimulus time histogram of one unit over the given onsets. Bins of `binMs` from startMs; a last bin that would end
 * after endMs is left out. `smoothingSdMs` > 0 smooths the rate with a Gaussian, renormalised at the edges.
 */
export function makePsth(options: {
  readonly spikeTimesNs: Float64Array;
  readonly onsetsNs: ArrayLike<number>;
  readonly startMs?: number;
  readonly endMs?: number;
  readonly binMs?: number;
  readonly smoothingSdMs?: number;
}): Psth {
  const { spikeTimesNs, onsetsNs } = options;
  const { startMs, endMs } = checkWindow({ startMs: options.startMs ?? -50, endMs: options.endMs ?? 250 });
  const binMs = options.binMs ?? 10;
  const smoothingSdMs = options.smoothingSdMs ?? 0;
  if (!(binMs > 0)) throw new Error(`expected bins of a positive width in ms, got ${binMs}`);
  if (!(smoothingSdMs >= 0)) throw new Error(`expected a smoothing sd from 0 ms up, got ${smoothingSdMs}`);
  const bins = Math.floor((endMs - startMs) / binMs + 1e-9);
  if (bins < 1) throw new Error(`expected at least one bin of ${binMs} ms between ${startMs} and ${endMs} ms, got none`);
  const presentations = onsetsNs.length;
  const sum = new Float64Array(bins);
  const squares = new Float64Array(bins);
  const counts = new Float64Array(bins);
  for (let i = 0; i < presentations; i++) {
    const from = onsetsNs[i]! + startMs * nsPerMs;
    counts.fill(0);
    for (let s = firstAtOrAfter(spikeTimesNs, from); s < spikeTimesNs.length; s++) {
      const bin = Math.floor((spikeTimesNs[s]! - from) / (binMs * nsPerMs));
      if (bin >= bins) break;
      counts[bin] = counts[bin]! + 1;
    }
    for (let bin = 0; bin < bins; bin++) {
      sum[bin] = sum[bin]! + counts[bin]!;
      squares[bin] = squares[bin]! + counts[bin]! * counts[bin]!;
    }
  }
  const perSecond = 1000 / binMs;
  const rateHz = sum.map((total) => (presentations === 0 ? Number.NaN : (total / presentations) * perSecond));
  const semHz = sum.map((total, bin) => {
    if (presentations < 2) return Number.NaN;
    const spread = Math.max(0, squares[bin]! - (total * total) / presentations) / (presentations - 1);
    return Math.sqrt(spread / presentations) * perSecond;
  });
  return {
    binCentersMs: Float64Array.from({ length: bins }, (_, bin) => startMs + (bin + 0.5) * binMs),
    rateHz: smoothingSdMs > 0 ? smoothGaussian(rateHz, smoothingSdMs / binMs) : rateHz,
    semHz,
    presentations,
  };
}

/** PSTHs of one unit for every image: rows are images 0..imageCount-1, [images, bins], spikes/s; NaN for an image not presented. */
export function makePsthByImage(options: {
  readonly spikeTimesNs: Float64Array;
  readonly onsetsNs: ArrayLike<number>;
  /** Image of each onset, [onsets]. */
  readonly imageIndices: ArrayLike<number>;
  readonly imageCount: number;
  readonly startMs?: number;
  readonly endMs?: number;
  readonly binMs?: number;
  readonly smoothingSdMs?: number;
}): { readonly binCentersMs: Float64Array; readonly rateHz: Matrix64 } {
  const groups = groupByImage(options.imageIndices, options.onsetsNs.length, options.imageCount);
  const psths = groups.map((rows) => makePsth({ ...options, onsetsNs: Float64Array.from(rows, (row) => options.onsetsNs[row]!) }));
  const binCentersMs = psths[0]?.binCentersMs ?? new Float64Array(0);
  const rateHz = createMatrix(options.imageCount, binCentersMs.length);
  psths.forEach((psth, image) => {
    rateHz.data.set(psth.rateHz, image * binCentersMs.length);
  });
  return { binCentersMs, rateHz };
}

/** Averages [presentations, units] over the presentations of each image. Images never presented have no row. */
export function averageByImage(options: { readonly responses: Matrix; readonly imageIndices: ArrayLike<number> }): ImageAverages {
  const { responses, imageIndices } = options;
  checkMatrix(responses, "responses");
  const groups = groupByImage(imageIndices, responses.rows);
  const images = Int32Array.from(groups.flatMap((rows, image) => (rows.length > 0 ? [image] : [])));
  const units = responses.cols;
  const average = createMatrix(images.length, units);
  const sem = createMatrix(images.length, units);
  images.forEach((image, row) => {
    const rows = groups[image]!;
    for (let u = 0; u < units; u++) {
      const values = rows.map((r) => responses.data[r * units + u]!);
      average.data[row * units + u] = mean(values);
      sem.data[row * units + u] = Math.sqrt(variance(values, 1) / values.length);
    }
  });
  return { images, repeats: Int32Array.from(images, (image) => groups[image]!.length), mean: average, sem };
}

/**
 * Lifetime sparseness (Vinje & Gallant 2000): (1 - (sum r)^2 / (n sum r^2)) / (1 - 1/n) over n images; 0 for equal responses,
 * 1 for a response to a single image. Rates must not be negative. null below two images or where all rates are 0.
 */
export function lifetimeSparseness(rates: ArrayLike<number>): number | null {
  const n = rates.length;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const rate = rates[i]!;
    if (!(rate >= 0)) throw new Error(`expected rates from 0 up for sparseness, got ${rate} for image ${i}`);
    sum += rate;
    squares += rate * rate;
  }
  if (n < 2 || squares === 0) return null;
  return (1 - (sum * sum) / (n * squares)) / (1 - 1 / n);
}

/** Difference of two groups of responses in units of their pooled sd: (mean a - mean b) / sqrt((var a + var b) / 2); null where that is 0. */
export function dPrime(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const spread = Math.sqrt((variance(a, 1) + variance(b, 1)) / 2);
  return spread > 0 ? (mean(a) - mean(b)) / spread : null;
}

/** Whether one unit tells the images apart, and whether it responds at all. */
export interface UnitSelectivity {
  readonly unit: number;
  /** One-way ANOVA over images; null without repeats. */
  readonly f: number | null;
  readonly fP: number | null;
  /** Of the image averages, negative averages counted as 0. */
  readonly sparseness: number | null;
  /** Two-sided t test of evoked rates against 0; null where none were given or they are constant. */
  readonly evokedP: number | null;
  /** Image with the highest average. */
  readonly bestImage: number;
  readonly bestRateHz: number;
}

/**
 * Selectivity of every unit from single presentations. responses [presentations, units] in spikes/s; evoked (same shape,
 * optional) is what the test of responsiveness uses. Throws where no presentation came.
 */
export function measureSelectivity(options: {
  readonly responses: Matrix;
  readonly imageIndices: ArrayLike<number>;
  readonly evoked?: Matrix;
}): UnitSelectivity[] {
  const { responses, evoked } = options;
  checkMatrix(responses, "responses");
  if (responses.rows === 0) throw new Error("expected at least one presentation, got none");
  if (evoked !== undefined && (evoked.rows !== responses.rows || evoked.cols !== responses.cols)) {
    throw new Error(`expected evoked rates of ${responses.rows} x ${responses.cols}, got ${evoked.rows} x ${evoked.cols}`);
  }
  const units = responses.cols;
  const groups = groupByImage(options.imageIndices, responses.rows);
  const averages = averageByImage(options);
  return Array.from({ length: units }, (_, unit) => {
    const perImage = groups.map((rows) => rows.map((row) => responses.data[row * units + unit]!));
    const { f, p } = oneWayAnova(perImage);
    let bestRow = 0;
    const rates = new Float64Array(averages.images.length);
    for (let row = 0; row < averages.images.length; row++) {
      rates[row] = averages.mean.data[row * units + unit]!;
      if (rates[row]! > rates[bestRow]!) bestRow = row;
    }
    const changes = evoked === undefined ? null : Array.from({ length: evoked.rows }, (_u, row) => evoked.data[row * units + unit]!);
    const evokedP = changes === null || changes.length < 2 ? Number.NaN : oneSampleT(changes).p;
    return {
      unit,
      f,
      fP: p,
      sparseness: lifetimeSparseness(rates.map((rate) => Math.max(0, rate))),
      evokedP: Number.isNaN(evokedP) ? null : evokedP,
      bestImage: averages.images[bestRow]!,
      bestRateHz: rates[bestRow]!,
    };
  });
}

/** Spearman-Brown prophecy: reliability of an average `times` as long as the one with reliability r. */
export function spearmanBrown(r: number, times = 2): number {
  return (times * r) / (1 + (times - 1) * r);
}

/**
 * Noise ceilings of all units (SPEC 4). The presentations of every image are split at random into halves (the odd one left
 * out), the halves averaged and correlated over images; the mean over `splits` such splits (default 100) is stepped up by
 * Spearman-Brown from the length of a half to that of the whole: threefold for three presentations, whose halves are one each. Only
 * images with two presentations or more take part. responses [presentations, units]. `of` "even": to the length of two halves, as
 * sessions were recorded before; too low by the odd presentation.
 */
export function estimateNoiseCeilings(options: {
  readonly responses: Matrix;
  readonly imageIndices: ArrayLike<number>;
  readonly splits?: number;
  readonly of?: "all" | "even";
  readonly rng: Rng;
}): NoiseCeiling[] {
  const { responses, imageIndices, rng, of = "all" } = options;
  const splits = options.splits ?? 100;
  checkMatrix(responses, "responses");
  if (!Number.isInteger(splits) || splits < 1) throw new Error(`expected a whole, positive number of splits, got ${splits}`);
  const units = responses.cols;
  const groups = groupByImage(imageIndices, responses.rows).filter((rows) => rows.length >= 2);
  const images = groups.length;
  const perHalf = groups.reduce((sum, rows) => sum + Math.floor(rows.length / 2), 0);
  const times = of === "even" ? 2 : groups.reduce((sum, rows) => sum + rows.length, 0) / perHalf;
  const sums = new Float64Array(units);
  const defined = new Int32Array(units);
  const first = createMatrix(units, images);
  const second = createMatrix(units, images);
  for (let split = 0; split < splits; split++) {
    groups.forEach((rows, image) => {
      const order = rng.shuffle(rows);
      const half = Math.floor(order.length / 2);
      for (let u = 0; u < units; u++) {
        let a = 0;
        let b = 0;
        for (let i = 0; i < half; i++) {
          a += responses.data[order[i]! * units + u]!;
          b += responses.data[order[half + i]! * units + u]!;
        }
        first.data[u * images + image] = a / half;
        second.data[u * images + image] = b / half;
      }
    });
    for (let u = 0; u < units; u++) {
      const r = pearson(first.data.subarray(u * images, (u + 1) * images), second.data.subarray(u * images, (u + 1) * images));
      if (r === null) continue;
      sums[u] = sums[u]! + r;
      defined[u] = defined[u]! + 1;
    }
  }
  return Array.from({ length: units }, (_, u) => {
    if (defined[u] === 0) return { splitHalfR: null, reliability: null, ceilingR: null, images, splits };
    const splitHalfR = sums[u]! / defined[u]!;
    const reliability = splitHalfR > 0 ? spearmanBrown(splitHalfR, times) : 0; // the formula runs away below 0
    return { splitHalfR, reliability, ceilingR: reliability > 0 ? Math.sqrt(reliability) : null, images, splits };
  });
}

/**
 * r divided by the ceiling: the correlation with the unit's noiseless response (Spearman's correction for attenuation of one
 * side). Sampling can carry it above 1; it is not clamped. null where either is null.
 */
export function correctForNoise(r: number | null, ceiling: NoiseCeiling): number | null {
  return r === null || ceiling.ceilingR === null ? null : r / ceiling.ceilingR;
}

/** Rows of every image 0..imageCount-1. Throws on indices that are not whole, non-negative numbers below imageCount. */
function groupByImage(imageIndices: ArrayLike<number>, presentations: number, imageCount?: number): number[][] {
  if (imageIndices.length !== presentations) {
    throw new Error(`expected an image index for each of ${presentations} presentations, got ${imageIndices.length}`);
  }
  let count = imageCount ?? 0;
  for (let i = 0; i < presentations; i++) {
    const image = imageIndices[i]!;
    if (!Number.isInteger(image) || image < 0 || (imageCount !== undefined && image >= imageCount)) {
      throw new Error(`expected image indices from 0${imageCount === undefined ? " up" : ` to ${imageCount - 1}`}, got ${image} for presentation ${i}`);
    }
    count = Math.max(count, image + 1);
  }
  const groups: number[][] = Array.from({ length: count }, () => []);
  for (let i = 0; i < presentations; i++) groups[imageIndices[i]!]!.push(i);
  return groups;
}

function checkWindow(window: ResponseWindow): ResponseWindow {
  if (!(window.endMs > window.startMs)) throw new Error(`expected a window that ends after it starts, got ${window.startMs} to ${window.endMs} ms`);
  return window;
}

/** Index of the first time >= limit in an increasing array. */
function firstAtOrAfter(times: Float64Array, limit: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function smoothGaussian(values: Float64Array, sd: number): Float64Array {
  const reach = Math.ceil(4 * sd);
  return values.map((_, i) => {
    let sum = 0;
    let total = 0;
    for (let j = Math.max(0, i - reach); j <= Math.min(values.length - 1, i + reach); j++) {
      const weight = Math.exp(-0.5 * ((i - j) / sd) ** 2);
      sum += weight * values[j]!;
      total += weight;
    }
    return sum / total;
  });
}
