// Validation: mean rate of every condition with its interval, the natural images as a dashed line; and the population by area. Knows nothing about React.
import { niceCeiling } from "../format.ts";
import { canvasFont, clearArea, type Area } from "./area.ts";
import { withAlpha } from "./palette.ts";
import type { StepViewOf } from "../../../shared/contract/index.ts";

type View = StepViewOf<"validation">;
type Condition = View["conditions"][number];

/** Natural images are the reference; everything else was made by a model. */
export function isNatural(name: string): boolean {
  return name === "natural";
}

const labelPx = 150;
const countPx = 132;

export function drawConditions(area: Area, view: View): void {
  const { context, widthPx, heightPx, palette } = area;
  clearArea(area);
  if (view.conditions.length === 0) return;
  const bottom = 34;
  const rowPx = Math.min(84, (heightPx - bottom) / view.conditions.length);
  const from = labelPx;
  const to = widthPx - countPx;
  const max = niceCeiling(Math.max(5, ...view.conditions.map((c) => c.highHz ?? c.meanHz ?? 0)));
  const x = (rate: number): number => from + ((to - from) * Math.min(max, Math.max(0, rate))) / max;
  const floor = rowPx * view.conditions.length;

  context.font = canvasFont(12);
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const rate of [0, max / 4, max / 2, (3 * max) / 4, max]) {
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(Math.round(x(rate)) + 0.5, 0);
    context.lineTo(Math.round(x(rate)) + 0.5, floor);
    context.stroke();
    context.fillStyle = palette.dim;
    context.fillText(String(Math.round(rate * 10) / 10), x(rate), floor + 5);
  }
  context.textAlign = "right";
  context.fillText("spikes/s", to, floor + 20);

  const natural = view.conditions.find((c) => isNatural(c.name))?.meanHz ?? null;
  if (natural !== null) {
    context.strokeStyle = palette.reference;
    context.lineWidth = 2;
    context.setLineDash([8, 5]);
    context.beginPath();
    context.moveTo(x(natural), 0);
    context.lineTo(x(natural), floor);
    context.stroke();
    context.setLineDash([]);
  }
  view.conditions.forEach((c, i) => drawRow(area, c, rowPx * (i + 0.5), rowPx, x, to));
}

function drawRow({ context, palette, widthPx }: Area, c: Condition, y: number, rowPx: number, x: (rate: number) => number, to: number): void {
  const colour = isNatural(c.name) ? palette.reference : palette.evolved;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = canvasFont(15, 600);
  context.fillStyle = colour;
  context.fillText(c.name, 2, y - (rowPx > 40 ? 8 : 0));
  if (rowPx > 40) {
    context.font = canvasFont(12);
    context.fillStyle = palette.dim;
    context.fillText(`${c.images} ${c.images === 1 ? "image" : "images"}, ${c.counted} counted`, 2, y + 10);
  }
  if (c.meanHz === null) {
    context.font = canvasFont(12);
    context.fillStyle = palette.dim;
    context.fillText("not shown yet", x(0) + 10, y);
    return;
  }
  if (c.lowHz !== null && c.highHz !== null) {
    context.fillStyle = withAlpha(colour, 0.3);
    context.fillRect(x(c.lowHz), y - 8, Math.max(2, x(c.highHz) - x(c.lowHz)), 16);
  }
  context.fillStyle = colour;
  if (isNatural(c.name)) context.fillRect(x(c.meanHz) - 6, y - 6, 12, 12);
  else {
    context.beginPath();
    context.arc(x(c.meanHz), y, 7.5, 0, 2 * Math.PI);
    context.fill();
  }
  context.font = canvasFont(20, 600);
  context.textAlign = "left";
  context.fillText(c.meanHz.toFixed(1), to + 14, y);
  if (c.p === null) return;
  context.font = canvasFont(12, c.p < 0.05 ? 600 : 400);
  context.fillStyle = c.p < 0.05 ? palette.text : palette.dim;
  context.textAlign = "right";
  context.fillText(c.p < 0.001 ? "p < .001" : `p ${c.p.toFixed(3).replace(/^0/, "")}`, widthPx - 2, y);
}

/** Mean z-score over an area's channels: one block an area, one bar a condition. */
export function drawPopulation(area: Area, view: View): void {
  const { context, widthPx, heightPx, palette } = area;
  clearArea(area);
  const areas = [...new Set(view.population.map((p) => p.area))];
  const names = view.conditions.map((c) => c.name);
  if (areas.length === 0) return;
  const extent = Math.max(0.5, ...view.population.flatMap((p) => [Math.abs(p.z), Math.abs(p.low ?? 0), Math.abs(p.high ?? 0)]));
  const blockPx = (heightPx - 32) / areas.length;
  const labelWidth = 44;
  const columnPx = (widthPx - labelWidth) / Math.max(1, names.length);
  areas.forEach((name, a) => {
    const top = a * blockPx;
    const middle = top + blockPx / 2;
    const y = (z: number): number => middle - (z / extent) * (blockPx / 2 - 10);
    context.font = canvasFont(14, 600);
    context.fillStyle = palette.text;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(name === "" ? "all" : name, 0, middle);
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(labelWidth, Math.round(middle) + 0.5);
    context.lineTo(widthPx, Math.round(middle) + 0.5);
    context.stroke();
    names.forEach((condition, i) => {
      const point = view.population.find((p) => p.area === name && p.condition === condition);
      if (point === undefined) return;
      const x = labelWidth + (i + 0.5) * columnPx;
      const colour = isNatural(condition) ? palette.reference : palette.evolved;
      context.fillStyle = withAlpha(colour, 0.8);
      const barPx = Math.min(26, columnPx * 0.5);
      context.fillRect(x - barPx / 2, Math.min(y(point.z), middle), barPx, Math.max(1, Math.abs(y(point.z) - middle)));
      if (point.low === null || point.high === null) return;
      context.strokeStyle = palette.text;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x, y(point.low));
      context.lineTo(x, y(point.high));
      context.stroke();
    });
  });
  context.font = canvasFont(11);
  context.fillStyle = palette.dim;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  // Words are wider than signed numbers: where they would run into each other, every second one stands a line higher.
  const crowded = Math.max(...names.map((name) => context.measureText(shortCondition(name)).width)) + 6 > columnPx;
  names.forEach((name, i) => context.fillText(shortCondition(name), labelWidth + (i + 0.5) * columnPx, heightPx - 4 - (crowded && i % 2 === 1 ? 12 : 0)));
}

/** "positive 0.5" -> "+0.5": without the positive weights up to that share. */
export function shortCondition(name: string): string {
  return name.replace(/^positive /, "+").replace(/^negative /, "−");
}
