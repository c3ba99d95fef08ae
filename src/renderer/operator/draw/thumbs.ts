// Small pictures in a row, drawn from decoded images: an element for each would be laid out, loaded and decoded anew at every change.
// Knows nothing about what they show.
import { clearArea, type Area } from "./area.ts";

export interface Thumb {
  /** null while it is on its way. */
  readonly image: CanvasImageSource | null;
  readonly faded: boolean;
}

export const thumbGapPx = 6;

/** Squares side by side over the whole width, `thumbGapPx` between them. */
export function drawThumbs(area: Area, thumbs: readonly Thumb[]): void {
  const { context, widthPx, palette } = area;
  clearArea(area);
  const side = (widthPx - thumbGapPx * (thumbs.length - 1)) / thumbs.length;
  context.imageSmoothingQuality = "medium";
  thumbs.forEach(({ image, faded }, i) => {
    const x = i * (side + thumbGapPx);
    context.save();
    context.beginPath();
    context.roundRect(x, 0, side, side, 4);
    context.clip();
    context.fillStyle = palette.blank;
    context.fillRect(x, 0, side, side);
    context.globalAlpha = faded ? 0.35 : 1;
    if (image !== null) context.drawImage(image, x, 0, side, side);
    context.restore();
  });
}
