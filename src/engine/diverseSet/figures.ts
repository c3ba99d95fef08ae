// The pictures of a finished set: the pool and the chosen images on the first two components, and all chosen images on one sheet. Knows nothing
// about how they were chosen.
import { Transformer } from "@napi-rs/image";
import type { ImageBatch } from "../../shared/values.ts";
import { escapeText, niceTicks } from "../insilico/report/chart.ts";

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  readonly label?: string;
}

/** SVG on a dark ground: the pool in grey, the chosen in sky blue. Shares of variance are 0 to 1. */
export function drawPlot(options: { readonly pool: readonly PlotPoint[]; readonly chosen: readonly PlotPoint[]; readonly poolCount: number; readonly shares: readonly [number, number]; readonly title: string }): string {
  const { pool, chosen, poolCount, shares } = options;
  const size = 640;
  const frame = { left: 64, right: size - 16, top: 52, bottom: size - 52 };
  const all = [...pool, ...chosen];
  const xTicks = niceTicks(all.map((p) => p.x), 6);
  const yTicks = niceTicks(all.map((p) => p.y), 6);
  const scale = (ticks: readonly number[], from: number, to: number) => (value: number): number => Math.round((from + ((value - (ticks[0] ?? 0)) / ((ticks.at(-1) ?? 1) - (ticks[0] ?? 0))) * (to - from)) * 10) / 10;
  const px = scale(xTicks, frame.left, frame.right);
  const py = scale(yTicks, frame.bottom, frame.top);
  const percent = (share: number): string => `${(share * 100).toFixed(1)} % of the variance`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" width="${size}" height="${size}" role="img" aria-label="${escapeText(options.title)}">`,
    `<style>text{font-family:Inter,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif;font-size:12px;fill:#8e9ba9}.n{font-weight:600;font-size:15px;fill:#dbe2ea}.g{stroke:#222a33}</style><rect width="${size}" height="${size}" fill="#101419"/>`,
    `<text class="n" x="16" y="24">${escapeText(options.title)}</text>`,
    `<circle cx="20" cy="40" r="3.4" fill="#56b4e9"/><text x="30" y="44">${chosen.length} chosen</text><circle cx="120" cy="40" r="2" fill="#5c6873"/><text x="130" y="44">${pool.length < poolCount ? `${pool.length.toLocaleString("en")} of ` : ""}${poolCount.toLocaleString("en")} in the pool</text>`,
    ...xTicks.map((x) => `<line class="g" x1="${px(x)}" x2="${px(x)}" y1="${frame.top}" y2="${frame.bottom}"/><text x="${px(x)}" y="${frame.bottom + 18}" text-anchor="middle">${x}</text>`),
    ...yTicks.map((y) => `<line class="g" x1="${frame.left}" x2="${frame.right}" y1="${py(y)}" y2="${py(y)}"/><text x="${frame.left - 8}" y="${py(y) + 4}" text-anchor="end">${y}</text>`),
    ...pool.map((p) => `<circle cx="${px(p.x)}" cy="${py(p.y)}" r="1.6" fill="#5c6873"/>`),
    ...chosen.map((p) => `<circle cx="${px(p.x)}" cy="${py(p.y)}" r="3.4" fill="#56b4e9" stroke="#101419" stroke-width="0.8"><title>${escapeText(p.label ?? "")}</title></circle>`),
    `<text x="${(frame.left + frame.right) / 2}" y="${size - 14}" text-anchor="middle">Component 1, ${percent(shares[0])}</text>`,
    `<text transform="translate(16 ${(frame.top + frame.bottom) / 2}) rotate(-90)" text-anchor="middle">Component 2, ${percent(shares[1])}</text></svg>`,
  ].join("");
}

export function pngOfSvg(svg: string): Promise<Buffer> {
  return Transformer.fromSvg(svg).png();
}

const gapPx = 4;

/** PNG of square images of one size in rows, in order, on dark grey. */
export function drawSheet(images: readonly ImageBatch[], sidePx: number): Promise<Buffer> {
  const columns = Math.max(1, Math.ceil(Math.sqrt(images.length * 1.6)));
  const rows = Math.max(1, Math.ceil(images.length / columns));
  const width = columns * (sidePx + gapPx) + gapPx;
  const height = rows * (sidePx + gapPx) + gapPx;
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) rgba.set([0x10, 0x14, 0x19, 255], i * 4);
  images.forEach((image, k) => {
    const left = gapPx + (k % columns) * (sidePx + gapPx);
    const top = gapPx + Math.floor(k / columns) * (sidePx + gapPx);
    for (let y = 0; y < sidePx; y++) {
      for (let x = 0; x < sidePx; x++) {
        const from = (y * sidePx + x) * 3;
        rgba.set(image.data.subarray(from, from + 3), ((top + y) * width + left + x) * 4);
      }
    }
  });
  return Transformer.fromRgbaPixels(rgba, width, height).png();
}
