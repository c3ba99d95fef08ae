// The display's timekeeping: above, each of the last images by how far its flip was off the plan, missed ones marked; below, how images
// spread over the lag from flip to light. Knows nothing about React.
import { canvasFont, clearArea, type Area } from "./area.ts";
import { withAlpha } from "./palette.ts";
import type { FrameTiming } from "../../../shared/contract/index.ts";

const slots = 150;
const left = 34;
const axisPx = 15;

export function drawTiming(area: Area, timing: FrameTiming | null): void {
  clearArea(area);
  if (timing === null) return;
  const half = Math.floor(area.heightPx / 2);
  drawDeviations(area, timing, half - 8);
  drawLags(area, timing, half + 4);
}

/** Ends of the deviation axis: one refresh, or more where an image was further off. */
export function deviationRangeMs(timing: FrameTiming): number {
  const refreshMs = timing.refreshHz === null ? 16.7 : 1000 / timing.refreshHz;
  const furthest = Math.max(0, ...timing.deviationMs.map(Math.abs));
  return refreshMs * Math.max(1, Math.ceil(furthest / refreshMs));
}

function drawDeviations({ context, widthPx, palette }: Area, timing: FrameTiming, height: number): void {
  const range = deviationRangeMs(timing);
  const middle = height / 2;
  const slot = (widthPx - left) / slots;
  const y = (ms: number): number => middle - (ms / range) * (middle - 3);
  context.lineWidth = 1;
  context.strokeStyle = palette.line;
  context.font = canvasFont(10);
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = palette.dim;
  for (const ms of [-range, 0, range]) {
    context.beginPath();
    context.moveTo(left, Math.round(y(ms)) + 0.5);
    context.lineTo(widthPx, Math.round(y(ms)) + 0.5);
    context.stroke();
    context.fillText(ms === 0 ? "0" : `${ms > 0 ? "+" : "−"}${Math.abs(ms).toFixed(range < 10 ? 1 : 0)}`, left - 5, Math.min(height - 4, Math.max(6, y(ms))));
  }
  const first = slots - timing.deviationMs.length;
  timing.deviationMs.forEach((ms, i) => {
    const x = left + (first + i) * slot;
    const isMissed = timing.wasMissed[i] === true;
    if (isMissed) {
      context.fillStyle = palette.fault;
      context.fillRect(x, 0, Math.max(2, slot), height);
    }
    context.fillStyle = isMissed ? palette.panel : palette.text;
    context.fillRect(x, y(ms) - 1, Math.max(1.5, slot - 0.3), 2);
  });
}

function drawLags({ context, widthPx, heightPx, palette }: Area, { lag }: FrameTiming, top: number): void {
  const floor = heightPx - axisPx;
  context.font = canvasFont(10);
  context.textBaseline = "alphabetic";
  context.fillStyle = palette.dim;
  if (lag.n === 0) {
    context.textAlign = "center";
    context.fillText("no mark of the light to measure a lag by", (widthPx + left) / 2, (top + floor) / 2 + 4);
    return;
  }
  const { from, to } = lagSpan(lag);
  const most = Math.max(1, ...lag.counts);
  const x = (ms: number): number => left + ((widthPx - left) * (ms - from)) / (to - from);
  context.fillStyle = withAlpha(palette.target, 0.75);
  lag.counts.forEach((count, i) => {
    const fromMs = lag.fromMs + i * lag.binMs;
    if (count === 0 || fromMs < from || fromMs >= to) return;
    // Of the logarithm: one image that was far off must be seen beside a thousand that were not.
    const height = ((floor - top) * Math.log1p(count)) / Math.log1p(most);
    context.fillRect(x(fromMs), floor - height, Math.max(1.5, x(fromMs + lag.binMs) - x(fromMs) - 1), height);
  });
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, floor + 0.5);
  context.lineTo(widthPx, floor + 0.5);
  context.stroke();
  context.fillStyle = palette.dim;
  for (const [ms, align] of [[from, "left"], [(from + to) / 2, "center"], [to, "right"]] as const) {
    context.textAlign = align;
    context.fillText(`${Math.round(ms * 10) / 10}${ms === to ? " ms" : ""}`, x(ms), heightPx - 3);
  }
  context.textAlign = "right";
  context.fillText("lag", left - 5, (top + floor) / 2 + 4);
}

/** The bins that hold images with a margin, at least 8 ms of them, on whole milliseconds. */
export function lagSpan(lag: FrameTiming["lag"]): { readonly from: number; readonly to: number } {
  const first = lag.counts.findIndex((c) => c > 0);
  const last = lag.counts.findLastIndex((c) => c > 0);
  if (first < 0) return { from: 0, to: 8 };
  const from = Math.floor(lag.fromMs + first * lag.binMs) - 1;
  const to = Math.ceil(lag.fromMs + (last + 1) * lag.binMs) + 1;
  const wider = Math.max(0, 8 - (to - from));
  return { from: from - Math.floor(wider / 2), to: to + Math.ceil(wider / 2) };
}
