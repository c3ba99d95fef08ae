// All channels as a map: one block of cells per area, colour and number for one quantity, white = target. Knows nothing about React.
import { niceCeiling } from "../format.ts";
import { canvasFont, clearArea, type Area } from "./area.ts";
import { inkOn, mapColour } from "./palette.ts";
import type { ChannelLive, ChannelState } from "../../../shared/contract/index.ts";

export type Quantity = "evoked" | "rate" | "tuning";
export const quantities: readonly Quantity[] = ["evoked", "rate", "tuning"];

export interface MapCell {
  readonly index: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface MapLayout {
  readonly areas: readonly { readonly name: string; readonly x: number; readonly y: number }[];
  readonly cells: readonly MapCell[];
}

const labelHeight = 18;
const areaGap = 14;

interface MapArea {
  readonly name: string;
  readonly members: readonly ChannelState[];
  readonly columns: number;
  readonly rows: number;
}

/** Areas in the order of their first channel, as many side by side as give the best cells; in an area, each channel at its row and column. */
export function layoutMap(channels: readonly ChannelState[], widthPx: number, heightPx: number): MapLayout {
  const areas = [...Map.groupBy(channels, (c) => c.area)].map(([name, members]): MapArea => ({
    name, members, columns: Math.max(1, ...members.map((c) => c.column + 1)), rows: Math.max(1, ...members.map((c) => c.row + 1)),
  }));
  const arrangements = areas.map((_, i) => arrange(areas, i + 1, widthPx, heightPx));
  const best = arrangements.toSorted((a, b) => b.quality - a.quality)[0];
  if (best === undefined) return { areas: [], cells: [] };
  return place(best);
}

interface Arrangement {
  readonly bands: readonly (readonly MapArea[])[];
  readonly width: number;
  readonly height: number;
  /** How well a number fits into a cell: 1 = comfortably. */
  readonly quality: number;
}

function arrange(areas: readonly MapArea[], perBand: number, widthPx: number, heightPx: number): Arrangement {
  const bands = Array.from({ length: Math.ceil(areas.length / perBand) }, (_, i) => areas.slice(i * perBand, (i + 1) * perBand));
  const columns = Math.max(...bands.map((band) => band.reduce((sum, a) => sum + a.columns, 0)));
  const rows = bands.reduce((sum, band) => sum + Math.max(...band.map((a) => a.rows)), 0);
  const width = (widthPx - areaGap * (perBand - 1)) / columns;
  const height = (heightPx - labelHeight * bands.length) / rows;
  return { bands, width, height, quality: Math.min(width / 28, height / 20) };
}

function place({ bands, width, height }: Arrangement): MapLayout {
  const cells: MapCell[] = [];
  const labels: { name: string; x: number; y: number }[] = [];
  let y = 0;
  for (const band of bands) {
    let x = 0;
    for (const area of band) {
      labels.push({ name: area.name, x, y });
      for (const c of area.members) cells.push({ index: c.index, x: x + c.column * width, y: y + labelHeight + c.row * height, width, height });
      x += width * area.columns + areaGap;
    }
    y += labelHeight + height * Math.max(...band.map((a) => a.rows));
  }
  return { areas: labels, cells };
}

/** The channel under a point; null between cells. */
export function cellAt(layout: MapLayout, x: number, y: number): number | null {
  return layout.cells.find((c) => x >= c.x && x < c.x + c.width && y >= c.y && y < c.y + c.height)?.index ?? null;
}

/** The next channel in a direction: the nearest cell whose middle lies that way. */
export function neighbour(layout: MapLayout, from: number, direction: "left" | "right" | "up" | "down"): number {
  const start = layout.cells.find((c) => c.index === from) ?? layout.cells[0];
  if (start === undefined) return from;
  const sideways = direction === "left" || direction === "right";
  const sign = direction === "right" || direction === "down" ? 1 : -1;
  const best = layout.cells
    .map((c) => ({ index: c.index, along: sign * (sideways ? c.x - start.x : c.y - start.y), across: Math.abs(sideways ? c.y - start.y : c.x - start.x) }))
    .filter((c) => c.along > 0.5)
    .toSorted((a, b) => a.across * 3 + a.along - (b.across * 3 + b.along))[0];
  return best?.index ?? start.index;
}

export function valuesOf(live: ChannelLive, quantity: Quantity): readonly number[] {
  return { evoked: live.evokedHz, rate: live.rateHz, tuning: live.tuning }[quantity];
}

/** Upper end of the colour scale: of the channels that are fit to be shown, on a number one can read. */
export function scaleMax(live: ChannelLive, quantity: Quantity): number {
  if (quantity === "tuning") return 1;
  const values = valuesOf(live, quantity).filter((v, i) => Number.isFinite(v) && live.status[i] !== "noisy");
  return Math.max(10, niceCeiling(Math.max(0, ...values)));
}

export interface MapView {
  readonly channels: readonly ChannelState[];
  readonly live: ChannelLive | null;
  readonly quantity: Quantity;
  readonly max: number;
  /** Evolved channels by thread; empty before they are chosen. */
  readonly targets: readonly number[];
  /** Thread that is looked at. */
  readonly thread: number;
  readonly cursor: number | null;
}

export function drawChannelMap(area: Area, view: MapView): void {
  const { context, palette } = area;
  clearArea(area);
  const layout = layoutMap(view.channels, area.widthPx, area.heightPx);
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.font = canvasFont(12, 600);
  context.fillStyle = palette.dim;
  for (const a of layout.areas) context.fillText(a.name === "" ? "all" : a.name, a.x + 1, a.y + 12);
  const values = view.live === null ? [] : valuesOf(view.live, view.quantity);
  for (const cell of layout.cells) drawCell(area, cell, values[cell.index], view);
  for (const cell of layout.cells) {
    const threads = [...view.targets.keys()].filter((t) => view.targets[t] === cell.index);
    if (threads.length > 0) outline(area, cell, palette.target, threads.includes(view.thread) ? 3 : 1.5, []);
    if (threads.length > 0 && view.targets.length > 1) badge(area, cell, threads, threads.includes(view.thread));
    if (cell.index === view.cursor) outline(area, cell, palette.target, 2, [4, 3]);
  }
}

function drawCell({ context, palette }: Area, cell: MapCell, value: number | undefined, view: MapView): void {
  const status = view.live?.status[cell.index] ?? "unknown";
  const gap = cell.width > 14 ? 1 : 0.5;
  const [x, y, w, h] = [cell.x + gap, cell.y + gap, cell.width - 2 * gap, cell.height - 2 * gap];
  const known = value !== undefined && Number.isFinite(value) && status !== "silent";
  const fraction = known ? value / view.max : 0;
  context.fillStyle = known ? mapColour(fraction, palette.theme) : palette.blank;
  context.fillRect(x, y, w, h);
  if (status === "noisy") {
    context.strokeStyle = palette.fault;
    context.lineWidth = 2;
    context.setLineDash([]);
    context.strokeRect(x + 1, y + 1, w - 2, h - 2);
  }
  if (cell.width < 24 || cell.height < 14) return;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const word = status === "silent" ? "silent" : status === "noisy" ? "noisy" : null;
  context.fillStyle = word === "silent" || !known ? palette.dim : inkOn(fraction, palette.theme);
  context.font = canvasFont(word === null ? 12 : Math.min(11, cell.width / 3), word === null && view.targets.includes(cell.index) ? 700 : 400);
  context.fillText(word ?? (known ? numberOf(value, view.quantity) : "–"), x + w / 2, y + h / 2 + 0.5);
}

function numberOf(value: number, quantity: Quantity): string {
  return quantity === "tuning" ? value.toFixed(2).replace(/^0/, "") : value.toFixed(0);
}

/** Which evolutions this channel is the target of: "1", "2 3". */
function badge({ context, palette }: Area, cell: MapCell, threads: readonly number[], strong: boolean): void {
  const text = threads.map((t) => t + 1).join(" ");
  context.font = canvasFont(9, 700);
  const width = context.measureText(text).width + 5;
  context.fillStyle = strong ? palette.target : palette.panel;
  context.fillRect(cell.x + 1, cell.y + 1, width, 10);
  context.fillStyle = strong ? palette.panel : palette.target;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, cell.x + 3.5, cell.y + 6.5);
}

function outline({ context }: Area, cell: MapCell, colour: string, width: number, dash: readonly number[]): void {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash([...dash]);
  const inset = width / 2 + 0.5;
  context.strokeRect(cell.x + inset, cell.y + inset, cell.width - 2 * inset, cell.height - 2 * inset);
  context.setLineDash([]);
}

/** The colour scale under the map. */
export function drawScale(area: Area): void {
  clearArea(area);
  const steps = 40;
  for (let i = 0; i < steps; i++) {
    area.context.fillStyle = mapColour(i / (steps - 1), area.palette.theme);
    area.context.fillRect((i * area.widthPx) / steps, 0, area.widthPx / steps + 1, area.heightPx);
  }
}
