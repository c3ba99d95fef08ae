// Where in an image a neuron's feature is, from responses to locally shuffled copies. Knows nothing about how they were shown.
//
// SPEC 8 (P A.1): 30 discs of 50 px diameter inside a 256 px image, pixels inside shuffled; change = (intact - perturbed) /
// intact; the map is the change-weighted mean of the discs, smoothed with a Gaussian of 30 px; kept is where the map, scaled to
// a peak of 1, is at least 0.5 (full width at half maximum). An unscaled mean of 30 discs never reaches 0.5.
import type { Rng } from "../shared/rng.ts";
import { createMatrix } from "./matrix.ts";
import type { Matrix64 } from "./matrix.ts";

/** Centre of a disc, in pixels from the top left; the disc holds every pixel within its radius, the rim included. */
export interface Disc {
  readonly xPx: number;
  readonly yPx: number;
}

/** An image with interleaved channels, row-major, top row first: width * height * channels bytes. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

export interface LocalisationOptions {
  readonly widthPx?: number;
  readonly heightPx?: number;
  readonly diameterPx?: number;
  readonly smoothingSdPx?: number;
  /** Divide the weighted discs by their number (P, SPEC 8; default), or at each pixel by the number of discs that cover it. */
  readonly divideBy?: "count" | "coverage";
  /** What lies beyond the border for the smoothing: zeros (default) or the mirrored map. */
  readonly border?: "zero" | "mirror";
  /** Share of the peak from which a pixel is kept; default 0.5. */
  readonly keepFrom?: number;
}

export interface FeatureLocation {
  /** [height, width], smoothed, in units of response change. */
  readonly map: Matrix64;
  /** Highest value of the map and where it is; null where no pixel is above 0 (no perturbation lowered the response). */
  readonly peak: { readonly value: number; readonly xPx: number; readonly yPx: number } | null;
  /** 1 where kept, [height * width]; all 0 without a peak. */
  readonly mask: Uint8Array;
  readonly keptPixelCount: number;
}

const defaults = { sizePx: 256, diameterPx: 50, smoothingSdPx: 30, discCount: 30, keepFrom: 0.5 } as const;

/** Random discs that lie inside the image, on whole pixels. They may overlap. Throws where a disc cannot fit. */
export function drawDiscs(options: {
  readonly widthPx?: number;
  readonly heightPx?: number;
  readonly diameterPx?: number;
  readonly count?: number;
  readonly rng: Rng;
}): Disc[] {
  const widthPx = options.widthPx ?? defaults.sizePx;
  const heightPx = options.heightPx ?? defaults.sizePx;
  const radius = (options.diameterPx ?? defaults.diameterPx) / 2;
  const margin = Math.ceil(radius);
  const acrossPx = widthPx - 2 * margin;
  const downPx = heightPx - 2 * margin;
  if (!(radius > 0) || acrossPx < 1 || downPx < 1) {
    throw new Error(`expected discs that fit inside ${widthPx} x ${heightPx} px, got a diameter of ${2 * radius} px`);
  }
  return Array.from({ length: options.count ?? defaults.discCount }, () => ({
    xPx: margin + options.rng.int(acrossPx),
    yPx: margin + options.rng.int(downPx),
  }));
}

/** Pixel indices (y * width + x) of a disc, row by row; those outside the image are left out. */
export function listDiscPixels(disc: Disc, size: { readonly widthPx: number; readonly heightPx: number; readonly diameterPx: number }): number[] {
  const radius = size.diameterPx / 2;
  const pixels: number[] = [];
  for (let y = Math.max(0, Math.ceil(disc.yPx - radius)); y <= Math.min(size.heightPx - 1, Math.floor(disc.yPx + radius)); y++) {
    const half = Math.sqrt(radius * radius - (y - disc.yPx) ** 2);
    for (let x = Math.max(0, Math.ceil(disc.xPx - half)); x <= Math.min(size.widthPx - 1, Math.floor(disc.xPx + half)); x++) {
      pixels.push(y * size.widthPx + x);
    }
  }
  return pixels;
}

/** A copy of the image with the pixels inside the disc in random order; channels of a pixel stay together. */
export function shuffleDisc(image: PixelImage, disc: Disc, options: { readonly diameterPx?: number; readonly rng: Rng }): PixelImage {
  const { width, height, channels, data } = image;
  if (data.length !== width * height * channels) {
    throw new Error(`expected ${width * height * channels} bytes for ${width} x ${height} x ${channels}, got ${data.length}`);
  }
  const pixels = listDiscPixels(disc, { widthPx: width, heightPx: height, diameterPx: options.diameterPx ?? defaults.diameterPx });
  const from = options.rng.shuffle(pixels);
  const shuffled = data.slice();
  pixels.forEach((pixel, i) => {
    const source = from[i]!;
    for (let c = 0; c < channels; c++) shuffled[pixel * channels + c] = data[source * channels + c]!;
  });
  return { width, height, channels, data: shuffled };
}

/** (intact - perturbed) / intact for every perturbed response. Throws unless the intact response is above 0. */
export function measureResponseChanges(intact: number, perturbed: ArrayLike<number>): Float64Array {
  if (!(intact > 0)) throw new Error(`expected a response to the intact image above 0 spikes/s, got ${intact}`);
  return Float64Array.from({ length: perturbed.length }, (_, i) => (intact - perturbed[i]!) / intact);
}

/** The map of response change and the region to keep. One change per disc. Throws where the counts differ or a change is not finite. */
export function localiseFeature(discs: readonly Disc[], changes: ArrayLike<number>, options: LocalisationOptions = {}): FeatureLocation {
  if (discs.length === 0 || discs.length !== changes.length) {
    throw new Error(`expected one response change per disc, got ${changes.length} for ${discs.length} discs`);
  }
  const widthPx = options.widthPx ?? defaults.sizePx;
  const heightPx = options.heightPx ?? defaults.sizePx;
  const diameterPx = options.diameterPx ?? defaults.diameterPx;
  const keepFrom = options.keepFrom ?? defaults.keepFrom;
  if (!(keepFrom > 0 && keepFrom <= 1)) throw new Error(`expected a share of the peak above 0 and at most 1, got ${keepFrom}`);
  const raw = createMatrix(heightPx, widthPx);
  const coverage = new Float64Array(raw.data.length);
  discs.forEach((disc, i) => {
    const change = changes[i]!;
    if (!Number.isFinite(change)) throw new Error(`expected finite response changes, got ${change} for disc ${i}`);
    for (const pixel of listDiscPixels(disc, { widthPx, heightPx, diameterPx })) {
      raw.data[pixel] = raw.data[pixel]! + change;
      coverage[pixel] = coverage[pixel]! + 1;
    }
  });
  for (let i = 0; i < raw.data.length; i++) {
    const divisor = (options.divideBy ?? "count") === "count" ? discs.length : Math.max(1, coverage[i]!);
    raw.data[i] = raw.data[i]! / divisor;
  }
  const map = smoothMap(raw, options.smoothingSdPx ?? defaults.smoothingSdPx, options.border ?? "zero");
  let top = 0;
  for (let i = 1; i < map.data.length; i++) if (map.data[i]! > map.data[top]!) top = i;
  const value = map.data[top]!;
  const mask = new Uint8Array(map.data.length);
  if (!(value > 0)) return { map, peak: null, mask, keptPixelCount: 0 };
  let keptPixelCount = 0;
  for (let i = 0; i < mask.length; i++) {
    if (map.data[i]! >= keepFrom * value) {
      mask[i] = 1;
      keptPixelCount++;
    }
  }
  return { map, peak: { value, xPx: top % widthPx, yPx: Math.floor(top / widthPx) }, mask, keptPixelCount };
}

/** A copy of the image with every pixel outside the mask at `background` (default mid grey). */
export function maskImage(image: PixelImage, mask: Uint8Array, options: { readonly background?: number } = {}): PixelImage {
  if (mask.length !== image.width * image.height) {
    throw new Error(`expected a mask of ${image.width} x ${image.height} pixels, got ${mask.length}`);
  }
  const background = options.background ?? 128;
  const data = image.data.map((value, i) => (mask[Math.floor(i / image.channels)] === 1 ? value : background));
  return { ...image, data };
}

/** Separable Gaussian, cut at 4 sd (scipy.ndimage.gaussian_filter, mode constant or reflect). */
function smoothMap(map: Matrix64, sdPx: number, border: "zero" | "mirror"): Matrix64 {
  if (!(sdPx >= 0)) throw new Error(`expected a smoothing sd from 0 px up, got ${sdPx}`);
  if (sdPx === 0) return map;
  const reach = Math.floor(4 * sdPx + 0.5);
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp((-0.5 * (i - reach) ** 2) / (sdPx * sdPx)));
  const total = kernel.reduce((sum, value) => sum + value, 0);
  const normalised = kernel.map((value) => value / total);
  const { rows, cols } = map;
  const result = createMatrix(rows, cols, Float64Array.from(map.data));
  const line = new Float64Array(Math.max(rows, cols));
  for (let c = 0; c < cols; c++) smoothLine(result.data, c, cols, rows, normalised, reach, border, line);
  for (let r = 0; r < rows; r++) smoothLine(result.data, r * cols, 1, cols, normalised, reach, border, line);
  return result;
}

function smoothLine(
  data: Float64Array,
  start: number,
  stride: number,
  length: number,
  kernel: Float64Array,
  reach: number,
  border: "zero" | "mirror",
  line: Float64Array,
): void {
  // Padded once, so that the inner loop has no border in it.
  const padded = new Float64Array(length + 2 * reach);
  for (let i = -reach; i < length + reach; i++) {
    const inside = i >= 0 && i < length;
    if (!inside && border === "zero") continue;
    padded[i + reach] = data[start + (inside ? i : mirror(i, length)) * stride]!;
  }
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (let k = 0; k < kernel.length; k++) sum += kernel[k]! * padded[i + k]!;
    line[i] = sum;
  }
  for (let i = 0; i < length; i++) data[start + i * stride] = line[i]!;
}

/** d c b a | a b c d | d c b a */
function mirror(index: number, length: number): number {
  const period = 2 * length;
  const place = ((index % period) + period) % period;
  return place < length ? place : period - 1 - place;
}
