// Figures as SVG text: lines with intervals, scatters, bars, strips of points. Knows nothing about what is plotted.
//
// Colours are Okabe & Ito's, told apart without colour by marker and dash. "auto" follows the reader's light or dark setting.

export type Theme = "light" | "dark" | "auto";

export const colours = { blue: "#56b4e9", orange: "#e69f00", green: "#009e73", purple: "#cc79a7", vermilion: "#d55e00", darkBlue: "#0072b2" } as const;

export type Marker = "circle" | "square" | "triangle" | "none";

export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly marker: Marker;
  readonly dashed?: boolean;
  /** Joined by a line in the order given; false for a scatter. */
  readonly line?: boolean;
  readonly points: readonly { readonly x: number; readonly y: number; readonly low?: number | null; readonly high?: number | null; readonly label?: string; readonly hollow?: boolean; readonly mark?: string }[];
}

export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** A level across the whole width with its interval, dashed: the control. */
  readonly level?: { readonly name: string; readonly y: number; readonly low: number | null; readonly high: number | null; readonly colour?: string };
  /** Names in place of numbers along x; x is then their index. */
  readonly categories?: readonly string[];
  /** Line from corner to corner where x and y are the same quantity. */
  readonly identity?: boolean;
  /** Line below the title. */
  readonly note?: string;
  readonly widthPx?: number;
  readonly heightPx?: number;
  readonly theme?: Theme;
}

const palettes = {
  light: { back: "#ffffff", text: "#1a2027", dim: "#5c6873", grid: "#e4e8ec" },
  dark: { back: "#101419", text: "#dbe2ea", dim: "#8e9ba9", grid: "#222a33" },
} as const;

function styleOf(theme: Theme): string {
  const rules = (p: (typeof palettes)["light"] | (typeof palettes)["dark"]): string => `.b{fill:${p.back}}.t{fill:${p.text}}.d{fill:${p.dim}}.g{stroke:${p.grid}}.x{stroke:${p.dim}}.h{fill:${p.back}}`;
  const common = "text{font-family:Inter,'Inter Variable','Helvetica Neue',Arial,'DejaVu Sans',sans-serif;font-size:12px}.n{font-weight:600;font-size:14px}";
  if (theme !== "auto") return `<style>${common}${rules(palettes[theme])}</style>`;
  return `<style>${common}${rules(palettes.light)}@media(prefers-color-scheme:dark){${rules(palettes.dark)}}</style>`;
}

/** An SVG document. Empty series are drawn as an empty frame with the note. */
export function drawChart(options: ChartOptions): string {
  const width = options.widthPx ?? 460;
  const height = options.heightPx ?? 320;
  const entries = [...options.series.filter((s) => s.name !== ""), ...(options.level === undefined ? [] : [options.level])];
  const legendRows = Math.ceil(entries.length / 2);
  const frame = { left: 58, right: width - 16, top: options.note === undefined ? 34 : 50, bottom: height - 46 - 18 * legendRows };
  const xs = options.series.flatMap((s) => s.points.map((p) => p.x));
  const ys = [
    ...options.series.flatMap((s) => s.points.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y])),
    ...(options.level === undefined ? [] : [options.level.y, options.level.low ?? options.level.y, options.level.high ?? options.level.y]),
  ].filter(Number.isFinite);
  const all = options.identity === true ? [...xs, ...ys] : null;
  const yTicks = niceTicks(all ?? ys, 5);
  const xTicks = options.categories === undefined ? niceTicks(all ?? xs, 6) : options.categories.map((_, i) => i);
  const x0 = options.categories === undefined ? (xTicks[0] ?? 0) : -0.5;
  const x1 = options.categories === undefined ? (xTicks.at(-1) ?? 1) : options.categories.length - 0.5;
  const y0 = yTicks[0] ?? 0;
  const y1 = yTicks.at(-1) ?? 1;
  const px = (x: number): number => round(frame.left + ((x - x0) / (x1 - x0 || 1)) * (frame.right - frame.left));
  const py = (y: number): number => round(frame.bottom - ((y - y0) / (y1 - y0 || 1)) * (frame.bottom - frame.top));
  const out: string[] = [];

  for (const y of yTicks) out.push(`<line class="g" x1="${frame.left}" x2="${frame.right}" y1="${py(y)}" y2="${py(y)}"/><text class="d" x="${frame.left - 8}" y="${py(y) + 4}" text-anchor="end">${formatTick(y, yTicks)}</text>`);
  xTicks.forEach((x, i) => out.push(`<text class="d" x="${px(x)}" y="${frame.bottom + 17}" text-anchor="middle">${options.categories === undefined ? formatTick(x, xTicks) : escapeText(options.categories[i] ?? "")}</text>`));
  out.push(`<line class="x" x1="${frame.left}" x2="${frame.right}" y1="${frame.bottom}" y2="${frame.bottom}"/>`);
  if (options.identity === true) out.push(`<line class="x" stroke-dasharray="2 4" x1="${px(Math.max(x0, y0))}" y1="${py(Math.max(x0, y0))}" x2="${px(Math.min(x1, y1))}" y2="${py(Math.min(x1, y1))}"/>`);
  if (options.level !== undefined) {
    const { level } = options;
    const colour = level.colour ?? colours.orange;
    if (level.low !== null && level.high !== null) out.push(`<rect x="${frame.left}" width="${frame.right - frame.left}" y="${py(level.high)}" height="${round(Math.max(0, py(level.low) - py(level.high)))}" fill="${colour}" opacity="0.14"/>`);
    out.push(`<line x1="${frame.left}" x2="${frame.right}" y1="${py(level.y)}" y2="${py(level.y)}" stroke="${colour}" stroke-width="2" stroke-dasharray="7 5"/>`);
  }
  for (const series of options.series) {
    const isLine = series.line ?? true;
    const banded = isLine && series.points.length > 1 && series.points.every((p) => p.low !== undefined && p.low !== null && p.high !== undefined && p.high !== null);
    if (banded) {
      const there = series.points.map((p) => `${px(p.x)},${py(p.high ?? p.y)}`);
      const back = series.points.map((p) => `${px(p.x)},${py(p.low ?? p.y)}`).reverse();
      out.push(`<polygon points="${[...there, ...back].join(" ")}" fill="${series.colour}" opacity="0.18"/>`);
    }
    if (isLine && series.points.length > 1) out.push(`<polyline fill="none" stroke="${series.colour}" stroke-width="2.2"${series.dashed === true ? ' stroke-dasharray="6 4"' : ""} points="${series.points.map((p) => `${px(p.x)},${py(p.y)}`).join(" ")}"/>`);
    for (const point of series.points) {
      if (!banded && point.low !== undefined && point.low !== null && point.high !== undefined && point.high !== null) out.push(`<line stroke="${series.colour}" stroke-width="2" x1="${px(point.x)}" x2="${px(point.x)}" y1="${py(point.low)}" y2="${py(point.high)}"/>`);
      out.push(drawMarker(series.marker, px(point.x), py(point.y), series.colour, point.hollow === true, point.label));
      if (point.mark !== undefined) out.push(`<text class="t" x="${px(point.x)}" y="${py(point.high ?? point.y) - 7}" text-anchor="middle">${escapeText(point.mark)}</text>`);
    }
  }
  out.push(`<text class="t n" x="${frame.left - 42}" y="20">${escapeText(options.title)}</text>`);
  if (options.note !== undefined) out.push(`<text class="d" x="${frame.left - 42}" y="37">${escapeText(options.note)}</text>`);
  out.push(`<text class="t" x="${(frame.left + frame.right) / 2}" y="${frame.bottom + 35}" text-anchor="middle">${escapeText(options.xLabel)}</text>`);
  const middle = (frame.top + frame.bottom) / 2;
  out.push(`<text class="t" transform="translate(14 ${middle}) rotate(-90)" text-anchor="middle">${escapeText(options.yLabel)}</text>`);
  entries.forEach((entry, i) => {
    const x = frame.left - 20 + (i % 2) * ((frame.right - frame.left + 20) / 2);
    const y = frame.bottom + 54 + 18 * Math.floor(i / 2);
    const colour = entry.colour ?? colours.orange;
    const dashed = !("points" in entry) || entry.dashed === true;
    if (!("points" in entry) || (entry.line ?? true)) out.push(`<line x1="${x}" x2="${x + 22}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="2.2"${dashed ? ' stroke-dasharray="6 4"' : ""}/>`);
    if ("points" in entry) out.push(drawMarker(entry.marker, x + 11, y - 4, colour, false));
    out.push(`<text class="t" x="${x + 28}" y="${y}">${escapeText(entry.name)}</text>`);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeText(options.title)}">${styleOf(options.theme ?? "auto")}<rect class="b" width="${width}" height="${height}"/>${out.join("")}</svg>`;
}

/** Counts as bars between edges; bars below 0 in `below`. */
export function drawHistogram(options: { readonly title: string; readonly xLabel: string; readonly edges: readonly number[]; readonly counts: readonly number[]; readonly below?: string; readonly above?: string; readonly note?: string; readonly widthPx?: number; readonly heightPx?: number; readonly theme?: Theme }): string {
  const width = options.widthPx ?? 300;
  const height = options.heightPx ?? 200;
  const frame = { left: 40, right: width - 12, top: options.note === undefined ? 34 : 50, bottom: height - 44 };
  const most = Math.max(1, ...options.counts);
  const first = options.edges[0] ?? -1;
  const last = options.edges.at(-1) ?? 1;
  const px = (x: number): number => round(frame.left + ((x - first) / (last - first || 1)) * (frame.right - frame.left));
  const bars = options.counts.map((count, i) => {
    const left = px(options.edges[i] ?? 0);
    const right = px(options.edges[i + 1] ?? 0);
    const size = round((count / most) * (frame.bottom - frame.top));
    const colour = (options.edges[i] ?? 0) + (options.edges[i + 1] ?? 0) < 0 ? (options.below ?? colours.purple) : (options.above ?? colours.blue);
    return `<rect x="${left}" y="${frame.bottom - size}" width="${round(Math.max(0.5, right - left - 1))}" height="${size}" fill="${colour}"><title>${count}</title></rect>`;
  });
  const ticks = [first, 0, last].map((x) => `<text class="d" x="${px(x)}" y="${frame.bottom + 16}" text-anchor="middle">${Number(x.toPrecision(2))}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeText(options.title)}">${styleOf(options.theme ?? "auto")}<rect class="b" width="${width}" height="${height}"/><text class="t n" x="12" y="20">${escapeText(options.title)}</text>${options.note === undefined ? "" : `<text class="d" x="12" y="37">${escapeText(options.note)}</text>`}${bars.join("")}<line class="x" x1="${frame.left}" x2="${frame.right}" y1="${frame.bottom}" y2="${frame.bottom}"/>${ticks.join("")}<text class="t" x="${(frame.left + frame.right) / 2}" y="${height - 10}" text-anchor="middle">${escapeText(options.xLabel)}</text></svg>`;
}

export function escapeText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

function drawMarker(marker: Marker, x: number, y: number, colour: string, hollow: boolean, label?: string): string {
  const title = label === undefined ? "" : `<title>${escapeText(label)}</title>`;
  const paint = hollow ? `class="h" stroke="${colour}" stroke-width="1.6"` : `fill="${colour}"`;
  switch (marker) {
    case "circle": return `<circle cx="${x}" cy="${y}" r="4" ${paint}>${title}</circle>`;
    case "square": return `<rect x="${x - 3.6}" y="${y - 3.6}" width="7.2" height="7.2" ${paint}>${title}</rect>`;
    case "triangle": return `<polygon points="${x},${y - 4.6} ${x + 4.4},${y + 3.4} ${x - 4.4},${y + 3.4}" ${paint}>${title}</polygon>`;
    case "none": return "";
  }
}

/** Round numbers that enclose the values: steps of 1, 2 or 5 times a power of ten. */
export function niceTicks(values: readonly number[], wanted: number): number[] {
  const finite = values.filter(Number.isFinite);
  let low = finite.length === 0 ? 0 : Math.min(...finite);
  let high = finite.length === 0 ? 1 : Math.max(...finite);
  // A range that a double barely holds is no range: its steps would round to nothing.
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (!(high - low > Math.max(1e-9 * size, 1e-300))) {
    const pad = size > 1e-300 ? 0.1 * size : 0.5;
    low -= pad;
    high += pad;
  }
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function formatTick(value: number, ticks: readonly number[]): string {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0));
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(digits).replace("-", "−");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
