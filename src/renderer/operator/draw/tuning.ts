// A channel's rates to many images, best first: the tuning curve of a diverse set. Knows nothing about React.
import { niceCeiling } from "../format.ts";
import { canvasFont, clearArea, type Area } from "./area.ts";
import { withAlpha } from "./palette.ts";

export interface TuningView {
  /** Mean rates, best first, spikes/s. */
  readonly sorted: readonly number[];
  /** Images that have no rate yet. */
  readonly waiting: number;
}

const left = 44;
const bottom = 22;

export function drawTuning(area: Area, { sorted, waiting }: TuningView): void {
  const { context, widthPx, heightPx, palette } = area;
  clearArea(area);
  const n = sorted.length + waiting;
  const floor = heightPx - bottom;
  const max = niceCeiling(Math.max(5, ...sorted));
  const y = (rate: number): number => floor - (floor - 10) * (rate / max);
  context.font = canvasFont(12);
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.lineWidth = 1;
  for (const rate of [0, max / 2, max]) {
    context.strokeStyle = palette.line;
    context.beginPath();
    context.moveTo(left, Math.round(y(rate)) + 0.5);
    context.lineTo(widthPx, Math.round(y(rate)) + 0.5);
    context.stroke();
    context.fillStyle = palette.dim;
    context.fillText(String(Math.round(rate * 10) / 10), left - 8, y(rate));
  }
  if (n === 0) return;
  const step = (widthPx - left) / n;
  const mean = sorted.reduce((a, b) => a + b, 0) / Math.max(1, sorted.length);
  sorted.forEach((rate, i) => {
    context.fillStyle = rate >= mean ? palette.target : withAlpha(palette.text, 0.5);
    context.fillRect(left + i * step, y(Math.max(0, rate)), Math.max(1, step - (step > 4 ? 1.5 : 0.5)), floor - y(Math.max(0, rate)));
  });
  if (sorted.length > 0) {
    context.strokeStyle = palette.dim;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(left, Math.round(y(mean)) + 0.5);
    context.lineTo(widthPx, Math.round(y(mean)) + 0.5);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = palette.text;
    context.textAlign = "right";
    context.textBaseline = "bottom";
    context.fillText(`mean ${mean.toFixed(1)} spikes/s`, widthPx - 4, y(mean) - 3);
  }
  context.fillStyle = palette.dim;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText("best image", left, heightPx - 5);
  context.textAlign = "right";
  context.fillText(waiting > 0 ? `${waiting} images not shown yet` : "worst image", widthPx, heightPx - 5);
}
