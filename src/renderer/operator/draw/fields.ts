// Receptive-field maps: one channel large, in degrees around the fixation spot, and all channels small. Viridis; the target and its field are white,
// the place that later steps take over is dashed orange. Knows nothing about React.
import { niceCeiling } from "../format.ts";
import { canvasFont, clearArea, type Area } from "./area.ts";
import { mapColour, withAlpha } from "./palette.ts";
import type { ChannelState, StepViewOf } from "../../../shared/contract/index.ts";

export type FieldsView = StepViewOf<"rfMapping">;

/** Where a grid lies on a square canvas. */
interface Frame {
  readonly left: number;
  readonly top: number;
  readonly pxPerDeg: number;
  /** Degrees at the left and at the top edge. */
  readonly fromXDeg: number;
  readonly fromYDeg: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** Distance between the centres of neighbouring places; the images' side where there is one alone. */
export function pitchDeg(centres: readonly number[], imageSizeDeg: number): number {
  const [first, second] = centres;
  return first === undefined || second === undefined ? imageSizeDeg : Math.abs(second - first);
}

/** Lowest and highest mean rate of one channel's map; null before anything was counted. */
export function rateRange(rates: readonly (number | null)[]): { readonly low: number; readonly high: number } | null {
  const known = rates.filter((r) => r !== null);
  return known.length === 0 ? null : { low: Math.min(...known), high: Math.max(...known) };
}

const margin = { left: 40, right: 10, top: 8, bottom: 26 };

function frameOf(view: FieldsView, x: number, y: number, widthPx: number, heightPx: number): Frame {
  const pitchX = pitchDeg(view.xDeg, view.imageSizeDeg);
  const pitchY = pitchDeg(view.yDeg, view.imageSizeDeg);
  const spanX = pitchX * view.xDeg.length;
  const spanY = pitchY * view.yDeg.length;
  const pxPerDeg = Math.min(widthPx / spanX, heightPx / spanY);
  return {
    left: x + (widthPx - spanX * pxPerDeg) / 2, top: y + (heightPx - spanY * pxPerDeg) / 2, pxPerDeg,
    fromXDeg: Math.min(...view.xDeg) - pitchX / 2, fromYDeg: Math.max(...view.yDeg) + pitchY / 2, widthPx: spanX * pxPerDeg, heightPx: spanY * pxPerDeg,
  };
}

/** One channel's map with its axes, the fixation spot, its field and what is carried over. */
export function drawField(area: Area, view: FieldsView, channel: number | null): void {
  const { context, palette } = area;
  clearArea(area);
  const f = frameOf(view, margin.left, margin.top, area.widthPx - margin.left - margin.right, area.heightPx - margin.top - margin.bottom);
  const shown = view.channels.find((c) => c.channel === channel);
  const range = shown === undefined ? null : rateRange(shown.rateHz);
  drawCells(area, view, f, shown?.rateHz ?? [], range, 1.5);
  const px = (xDeg: number): number => f.left + (xDeg - f.fromXDeg) * f.pxPerDeg;
  const py = (yDeg: number): number => f.top + (f.fromYDeg - yDeg) * f.pxPerDeg;

  context.font = canvasFont(12);
  context.fillStyle = palette.dim;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of ticksOf(f.fromXDeg, f.fromXDeg + f.widthPx / f.pxPerDeg)) context.fillText(`${tick}°`, px(tick), f.top + f.heightPx + 7);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of ticksOf(f.fromYDeg - f.heightPx / f.pxPerDeg, f.fromYDeg)) context.fillText(`${tick}°`, f.left - 7, py(tick));

  context.save();
  context.beginPath();
  context.rect(f.left, f.top, f.widthPx, f.heightPx);
  context.clip();
  drawSpot(area, px(0), py(0));
  if (view.carried !== null) circle(area, px(view.carried.centreXDeg), py(view.carried.centreYDeg), (view.carried.diameterDeg / 2) * f.pxPerDeg, palette.reference, 2.5, [8, 5]);
  if (shown?.field != null) {
    const { field } = shown;
    circle(area, px(field.centreXDeg), py(field.centreYDeg), (field.diameterDeg / 2) * f.pxPerDeg, field.trusted ? palette.target : withAlpha(palette.text, 0.55), field.trusted ? 3 : 1.5, field.trusted ? [] : [2, 4]);
    cross(area, px(field.centreXDeg), py(field.centreYDeg), palette.target);
  }
  context.restore();
}

function ticksOf(from: number, to: number): readonly number[] {
  const step = [0.5, 1, 2, 3, 5, 10].find((s) => (to - from) / s <= 9) ?? 20;
  const ticks: number[] = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9; k++) ticks.push(Math.round(k * step * 10) / 10);
  return ticks;
}

function drawCells({ context, palette }: Area, view: FieldsView, f: Frame, rates: readonly (number | null)[], range: ReturnType<typeof rateRange>, gapPx: number): void {
  const columns = view.xDeg.length;
  const width = f.widthPx / columns;
  const height = f.heightPx / view.yDeg.length;
  for (let i = 0; i < columns * view.yDeg.length; i++) {
    const rate = rates[i] ?? null;
    context.fillStyle = rate === null || range === null ? palette.blank : mapColour((rate - range.low) / Math.max(1e-9, range.high - range.low), palette.theme);
    context.fillRect(f.left + (i % columns) * width + gapPx / 2, f.top + Math.floor(i / columns) * height + gapPx / 2, Math.max(1, width - gapPx), Math.max(1, height - gapPx));
  }
}

function drawSpot({ context }: Area, x: number, y: number): void {
  context.fillStyle = "#000";
  context.beginPath();
  context.arc(x, y, 6, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#fff";
  context.beginPath();
  context.arc(x, y, 3.5, 0, 2 * Math.PI);
  context.fill();
}

function circle({ context }: Area, x: number, y: number, radius: number, colour: string, width: number, dash: readonly number[]): void {
  context.strokeStyle = "rgb(0 0 0 / 55%)";
  context.lineWidth = width + 2;
  context.setLineDash([...dash]);
  context.beginPath();
  context.arc(x, y, Math.max(2, radius), 0, 2 * Math.PI);
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

function cross({ context }: Area, x: number, y: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x - 7, y);
  context.lineTo(x + 7, y);
  context.moveTo(x, y - 7);
  context.lineTo(x, y + 7);
  context.stroke();
}

// ---- all channels, small -----------------------------------------------------------------------------------------------------

export interface FieldCell {
  readonly channel: number;
  readonly x: number;
  readonly y: number;
  readonly side: number;
}

const areaLabelPx = 17;
const cellGapPx = 3;

/** One square for every channel, area under area, as large as they fit. */
export function layoutFields(channels: readonly ChannelState[], widthPx: number, heightPx: number): { readonly labels: readonly { readonly name: string; readonly y: number }[]; readonly cells: readonly FieldCell[] } {
  const areas = [...Map.groupBy(channels, (c) => c.area)];
  if (areas.length === 0 || widthPx < 10 || heightPx < 10) return { labels: [], cells: [] };
  const rowsAt = (columns: number): number => areas.reduce((sum, [, members]) => sum + Math.ceil(members.length / columns), 0);
  const sideAt = (columns: number): number => Math.min(widthPx / columns, (heightPx - areas.length * areaLabelPx) / rowsAt(columns));
  const most = Math.max(...areas.map(([, members]) => members.length));
  const columns = Array.from({ length: most }, (_, i) => i + 1).reduce((best, n) => (sideAt(n) > sideAt(best) ? n : best), 1);
  const side = sideAt(columns);
  const labels: { name: string; y: number }[] = [];
  const cells: FieldCell[] = [];
  let y = 0;
  for (const [name, members] of areas) {
    labels.push({ name, y });
    members.forEach((c, i) => cells.push({ channel: c.index, x: (i % columns) * side, y: y + areaLabelPx + Math.floor(i / columns) * side, side }));
    y += areaLabelPx + Math.ceil(members.length / columns) * side;
  }
  return { labels, cells };
}

export function fieldAt(cells: readonly FieldCell[], x: number, y: number): number | null {
  return cells.find((c) => x >= c.x && x < c.x + c.side && y >= c.y && y < c.y + c.side)?.channel ?? null;
}

/** Small multiples: each in its own range; a trusted field is outlined, a channel without one is faded. */
export function drawFields(area: Area, view: FieldsView, channels: readonly ChannelState[], shown: number | null): void {
  const { context, palette } = area;
  clearArea(area);
  const { labels, cells } = layoutFields(channels, area.widthPx, area.heightPx);
  context.font = canvasFont(12, 600);
  context.fillStyle = palette.dim;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  for (const label of labels) context.fillText(label.name === "" ? "all" : label.name, 1, label.y + 12);
  const byChannel = new Map(view.channels.map((c) => [c.channel, c]));
  for (const cell of cells) {
    const map = byChannel.get(cell.channel);
    const inner = cell.side - cellGapPx;
    const f = frameOf(view, cell.x, cell.y, inner, inner);
    const range = map === undefined ? null : rateRange(map.rateHz);
    const trusted = map?.field?.trusted === true;
    context.globalAlpha = trusted || range === null ? 1 : 0.5;
    drawCells(area, view, f, map?.rateHz ?? [], range, 0);
    context.globalAlpha = 1;
    if (trusted && map?.field != null) {
      context.strokeStyle = palette.target;
      context.lineWidth = 1.25;
      context.save();
      context.beginPath();
      context.rect(f.left, f.top, f.widthPx, f.heightPx);
      context.clip();
      context.beginPath();
      context.arc(f.left + (map.field.centreXDeg - f.fromXDeg) * f.pxPerDeg, f.top + (f.fromYDeg - map.field.centreYDeg) * f.pxPerDeg, Math.max(2, (map.field.diameterDeg / 2) * f.pxPerDeg), 0, 2 * Math.PI);
      context.stroke();
      context.restore();
    }
    if (cell.channel !== shown) continue;
    context.strokeStyle = palette.target;
    context.lineWidth = 3;
    context.strokeRect(cell.x - 1, cell.y - 1, inner + 2, inner + 2);
  }
}

/** Upper end of the scale that a map's colours are read by. */
export function scaleOf(rates: readonly (number | null)[]): { readonly low: string; readonly high: string } {
  const range = rateRange(rates);
  return range === null ? { low: "–", high: "–" } : { low: range.low.toFixed(0), high: (range.high < 1 ? niceCeiling(range.high) : range.high).toFixed(0) };
}
