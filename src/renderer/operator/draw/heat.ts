// Where in an image the feature is: the change map over the image in viridis, with the discs that were shuffled. Knows nothing about React.
import { clearArea, type Area } from "./area.ts";
import { mapRgb, withAlpha } from "./palette.ts";
import type { StepViewOf } from "../../../shared/contract/index.ts";

export interface HeatView {
  readonly view: StepViewOf<"localisation">;
  readonly image: CanvasImageSource | null;
}

/** The image fills a square; the map lies over it, the more opaque the larger the change. */
export function drawHeat(area: Area, { view, image }: HeatView): void {
  const { context, palette } = area;
  clearArea(area);
  const side = Math.min(area.widthPx, area.heightPx);
  const [left, top] = [(area.widthPx - side) / 2, (area.heightPx - side) / 2];
  context.fillStyle = palette.blank;
  context.fillRect(left, top, side, side);
  if (image !== null) context.drawImage(image, left, top, side, side);
  if (view.map.length > 0 && view.map.length === view.mapColumns * view.mapRows) {
    const heat = new OffscreenCanvas(view.mapColumns, view.mapRows);
    const pixels = heat.getContext("2d");
    if (pixels !== null) {
      const data = pixels.createImageData(view.mapColumns, view.mapRows);
      view.map.forEach((value, i) => {
        const share = Math.min(1, Math.max(0, value));
        const [r, g, b] = mapRgb(share, palette.theme);
        data.data.set([r, g, b, 255 * (0.25 + 0.5 * share)], i * 4);
      });
      pixels.putImageData(data, 0, 0);
      context.imageSmoothingEnabled = true;
      context.imageSmoothingQuality = "high";
      context.drawImage(heat, left, top, side, side);
    }
  }
  const scale = view.widthPx > 0 ? side / view.widthPx : 1;
  const strongest = Math.max(0.05, ...view.discs.map((d) => Math.abs(d.change ?? 0)));
  for (const disc of view.discs) {
    const change = disc.change ?? 0;
    context.strokeStyle = disc.counted === 0 ? withAlpha(palette.dim, 0.5) : withAlpha(palette.text, 0.25 + 0.65 * Math.min(1, Math.abs(change) / strongest));
    context.lineWidth = disc.counted === 0 ? 1 : 1 + 2 * Math.min(1, Math.max(0, change) / strongest);
    context.setLineDash(disc.counted === 0 ? [2, 4] : []);
    context.beginPath();
    context.arc(left + disc.xPx * scale, top + disc.yPx * scale, (view.discDiameterPx / 2) * scale, 0, 2 * Math.PI);
    context.stroke();
  }
  context.setLineDash([]);
  if (view.peak === null) return;
  const [x, y] = [left + view.peak.xPx * scale, top + view.peak.yPx * scale];
  for (const [colour, width] of [["#000", 5], [palette.target, 2.5]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x - 11, y);
    context.lineTo(x + 11, y);
    context.moveTo(x, y - 11);
    context.lineTo(x, y + 11);
    context.stroke();
  }
}
