// Gaze against the fixation window. Knows nothing about React.
import { canvasFont, clearArea, type Area } from "./area.ts";
import { withAlpha } from "./palette.ts";
import type { Gaze } from "../uiState.ts";

export interface GazeView {
  readonly gaze: Gaze | null;
  /** Side of the square window. */
  readonly windowDeg: number;
}

export function drawGaze(area: Area, { gaze, windowDeg }: GazeView): void {
  const { context, widthPx, heightPx, palette } = area;
  clearArea(area);
  const [middleX, middleY] = [widthPx / 2, heightPx / 2];
  const pxPerDeg = (Math.min(widthPx, heightPx) * 0.46) / windowDeg;
  drawGrid(area, pxPerDeg, windowDeg);

  const inside = gaze?.inWindow === true && gaze.valid;
  const half = (windowDeg / 2) * pxPerDeg;
  context.lineWidth = 2;
  context.strokeStyle = inside ? palette.ok : palette.reference;
  context.setLineDash(inside ? [] : [6, 4]);
  context.strokeRect(middleX - half, middleY - half, 2 * half, 2 * half);
  context.setLineDash([]);

  context.strokeStyle = palette.dim;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(middleX - 4, middleY);
  context.lineTo(middleX + 4, middleY);
  context.moveTo(middleX, middleY - 4);
  context.lineTo(middleX, middleY + 4);
  context.stroke();
  if (gaze === null || gaze.xDeg.length === 0) return;

  const at = (i: number): readonly [number, number] => [
    clamp(middleX + (gaze.xDeg[i] ?? 0) * pxPerDeg, 4, widthPx - 4), clamp(middleY - (gaze.yDeg[i] ?? 0) * pxPerDeg, 4, heightPx - 4),
  ];
  const n = gaze.xDeg.length;
  context.lineJoin = "round";
  // In four pieces of growing strength: where the eye has been, and where it came from.
  for (let piece = 0; piece < 4; piece++) {
    context.strokeStyle = withAlpha(palette.text, 0.1 + piece * 0.15);
    context.lineWidth = 1.25;
    context.beginPath();
    for (let i = Math.floor((piece * n) / 4); i <= Math.min(n - 1, Math.floor(((piece + 1) * n) / 4)); i++) context.lineTo(...at(i));
    context.stroke();
  }
  const [x, y] = at(n - 1);
  if (gaze.valid) {
    context.fillStyle = palette.target;
    context.beginPath();
    context.arc(x, y, 5, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.strokeStyle = palette.warn;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x - 6, y - 6);
  context.lineTo(x + 6, y + 6);
  context.moveTo(x + 6, y - 6);
  context.lineTo(x - 6, y + 6);
  context.stroke();
}

function drawGrid({ context, widthPx, heightPx, palette }: Area, pxPerDeg: number, windowDeg: number): void {
  const stepDeg = windowDeg >= 4 ? 2 : windowDeg >= 1.5 ? 1 : 0.5;
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let k = Math.ceil(-widthPx / 2 / pxPerDeg / stepDeg); k * stepDeg * pxPerDeg <= widthPx / 2; k++) {
    const x = Math.round(widthPx / 2 + k * stepDeg * pxPerDeg) + 0.5;
    context.moveTo(x, 0);
    context.lineTo(x, heightPx);
  }
  for (let k = Math.ceil(-heightPx / 2 / pxPerDeg / stepDeg); k * stepDeg * pxPerDeg <= heightPx / 2; k++) {
    const y = Math.round(heightPx / 2 + k * stepDeg * pxPerDeg) + 0.5;
    context.moveTo(0, y);
    context.lineTo(widthPx, y);
  }
  context.stroke();
  context.fillStyle = palette.dim;
  context.font = canvasFont(11);
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(`grid ${stepDeg}°`, 4, heightPx - 5);
  context.textAlign = "right";
  context.fillText(`window ${windowDeg.toFixed(1)}°`, widthPx - 4, heightPx - 5);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
