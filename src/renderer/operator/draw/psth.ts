// Raster and PSTH of one channel around image onset, evolved images, references and other images apart. Knows nothing about React.
import { niceCeiling } from "../format.ts";
import { canvasFont, clearArea, type Area } from "./area.ts";
import { withAlpha, type Palette } from "./palette.ts";
import type { PresentationEvent } from "../../../shared/contract/index.ts";

/** The span that presentation events cover, ms around the onset. */
export const spanStartMs = -50;
export const spanEndMs = 250;
export const binMs = 5;
const sigmaMs = 5;

export type Kind = "evolved" | "reference" | "plain";

/** What an evolution or a model made is sky blue, what it is compared with is the reference; images of a mapping, a set or a localisation are neither. */
export function kindOf(p: { readonly kind: string }): Kind {
  if (p.kind === "evolved" || p.kind === "model") return "evolved";
  return p.kind === "reference" ? "reference" : "plain";
}

export const kindWords: Readonly<Record<string, string>> = {
  evolved: "evolved", reference: "reference", model: "model's", mapping: "mapping", diverse: "diverse set", perturbed: "shuffled disc", free: "image",
};

/** Rate in 5 ms bins from -50 to 250 ms, spikes/s, smoothed by a Gaussian of 5 ms. Excluded presentations do not count. Empty with none. */
export function binRates(presentations: readonly PresentationEvent[]): readonly number[] {
  const counted = presentations.filter((p) => p.excluded === null);
  if (counted.length === 0) return [];
  const bins = Array.from({ length: (spanEndMs - spanStartMs) / binMs }, () => 0);
  for (const p of counted) {
    for (const t of p.spikesMs) {
      const bin = Math.floor((t - spanStartMs) / binMs);
      if (bin >= 0 && bin < bins.length) bins[bin] = (bins[bin] ?? 0) + 1;
    }
  }
  return smooth(bins.map((n) => n / counted.length / (binMs / 1000)), sigmaMs / binMs);
}

/** Gaussian smoothing; at the ends the weights that fall outside are left out, so that a constant stays constant. */
function smooth(values: readonly number[], sigmaBins: number): readonly number[] {
  const reach = Math.ceil(3 * sigmaBins);
  return values.map((_, i) => {
    let sum = 0;
    let weights = 0;
    for (let d = -reach; d <= reach; d++) {
      const v = values[i + d];
      if (v === undefined) continue;
      const w = Math.exp(-(d * d) / (2 * sigmaBins * sigmaBins));
      sum += w * v;
      weights += w;
    }
    return sum / weights;
  });
}

export interface PsthView {
  readonly presentations: readonly PresentationEvent[];
  readonly response: { readonly windowStartMs: number; readonly windowEndMs: number; readonly onMs: number };
}

const tracedTrialsMin = 3;
const left = 44;
const right = 12;
const bottom = 20;

export function drawPsth(area: Area, { presentations, response }: PsthView): void {
  const { context, widthPx, heightPx, palette } = area;
  clearArea(area);
  const plot = widthPx - left - right;
  const x = (ms: number): number => left + (plot * (ms - spanStartMs)) / (spanEndMs - spanStartMs);
  const floor = heightPx - bottom;
  const rasterHeight = Math.floor(floor * 0.54);

  context.fillStyle = withAlpha(palette.text, 0.055);
  context.fillRect(x(0), 0, x(response.onMs) - x(0), floor);
  context.fillStyle = withAlpha(palette.evolved, 0.13);
  context.fillRect(x(response.windowStartMs), 0, x(response.windowEndMs) - x(response.windowStartMs), floor);

  drawRaster(area, presentations, x, rasterHeight);
  drawRates(area, presentations, x, rasterHeight + 10, floor);

  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, floor + 0.5);
  context.lineTo(widthPx - right, floor + 0.5);
  context.stroke();
  context.fillStyle = palette.dim;
  context.font = canvasFont(11);
  context.textBaseline = "alphabetic";
  for (const ms of ticksOf(response)) {
    context.textAlign = ms === spanEndMs ? "right" : "center";
    context.fillText(ms === 0 ? "onset 0 ms" : `${ms}${ms === spanEndMs ? " ms" : ""}`, ms === spanEndMs ? widthPx - right : x(ms), heightPx - 4);
  }
}

function colourOf(kind: Kind, palette: Palette): string {
  return { evolved: palette.evolved, reference: palette.reference, plain: palette.text }[kind];
}

function ticksOf(response: PsthView["response"]): readonly number[] {
  return [...new Set([0, response.windowStartMs, response.windowEndMs, spanEndMs])].filter((ms) => ms >= spanStartMs && ms <= spanEndMs);
}

function drawRaster(area: Area, presentations: readonly PresentationEvent[], x: (ms: number) => number, height: number): void {
  const { context, palette } = area;
  const rows = Math.max(presentations.length, 20);
  const rowHeight = height / rows;
  presentations.forEach((p, row) => {
    const kind = kindOf(p);
    const y = row * rowHeight;
    context.fillStyle = p.excluded !== null ? withAlpha(palette.dim, 0.45) : colourOf(kind, palette);
    const tick = Math.max(1, rowHeight - (rowHeight > 3 ? 1 : 0.4));
    for (const t of p.spikesMs) if (t >= spanStartMs && t <= spanEndMs) context.fillRect(x(t) - 1, y, 2, tick);
    // The row's kind also stands in the margin, so that a row without spikes has one: long = evolved, short = reference.
    context.fillRect(kind === "evolved" ? left - 8 : left - 5, y, kind === "evolved" ? 5 : 2, tick);
  });
}

function drawRates(area: Area, presentations: readonly PresentationEvent[], x: (ms: number) => number, top: number, floor: number): void {
  const { context, palette } = area;
  const evolved = binRates(presentations.filter((p) => kindOf(p) === "evolved"));
  const plain = binRates(presentations.filter((p) => kindOf(p) === "plain"));
  const references = presentations.filter((p) => kindOf(p) === "reference" && p.excluded === null);
  // One or two trials make spikes of a curve, not a rate.
  const reference = references.length < tracedTrialsMin ? [] : binRates(references);
  const peak = Math.max(10, ...evolved, ...plain, ...reference);
  const max = niceCeiling(peak);
  const y = (rate: number): number => floor - ((floor - top) * rate) / max;

  context.strokeStyle = palette.line;
  context.fillStyle = palette.dim;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.font = canvasFont(11);
  for (const rate of [0, max / 2, max]) {
    context.beginPath();
    context.moveTo(left, Math.round(y(rate)) + 0.5);
    context.lineTo(area.widthPx - right, Math.round(y(rate)) + 0.5);
    context.stroke();
    if (rate > 0) context.fillText(String(rate), left - 10, y(rate));
  }
  context.textAlign = "left";
  context.fillText("spikes/s", left + 4, y(max) + 8);
  for (const [rates, colour, fill] of [[plain, palette.text, 0.16], [evolved, palette.evolved, 0.4]] as const) {
    if (rates.length === 0) continue;
    trace(context, rates, x, y);
    context.lineTo(x(spanEndMs), floor);
    context.lineTo(x(spanStartMs), floor);
    context.closePath();
    context.fillStyle = withAlpha(colour, fill);
    context.fill();
    trace(context, rates, x, y);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.stroke();
  }
  if (reference.length > 0) {
    trace(context, reference, x, y);
    context.strokeStyle = palette.reference;
    context.lineWidth = 2;
    context.setLineDash([6, 4]);
    context.stroke();
    context.setLineDash([]);
  }
}

function trace(context: CanvasRenderingContext2D, rates: readonly number[], x: (ms: number) => number, y: (rate: number) => number): void {
  context.beginPath();
  rates.forEach((rate, i) => context.lineTo(x(spanStartMs + (i + 0.5) * binMs), y(rate)));
}
