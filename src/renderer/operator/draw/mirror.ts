// The subject's screen in small: background, image, fixation spot, photodiode patch. Knows nothing about where images come from.
import type { Area } from "./area.ts";

export interface MirrorView {
  readonly image: CanvasImageSource | null;
  /** An image is on, whether or not it has reached this window. */
  readonly lit: boolean;
  readonly fixation: boolean;
}

export function drawMirror({ context, widthPx, heightPx }: Area, { image, lit, fixation }: MirrorView): void {
  context.fillStyle = "#808080";
  context.fillRect(0, 0, widthPx, heightPx);
  const side = Math.min(widthPx, heightPx) * 0.86;
  if (image !== null && lit) {
    context.imageSmoothingQuality = "medium";
    context.drawImage(image, (widthPx - side) / 2, (heightPx - side) / 2, side, side);
  }
  if (fixation) {
    context.fillStyle = "#000";
    context.beginPath();
    context.arc(widthPx / 2, heightPx / 2, 4.5, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#fff";
    context.beginPath();
    context.arc(widthPx / 2, heightPx / 2, 3.2, 0, 2 * Math.PI);
    context.fill();
  }
  const patch = Math.round(widthPx * 0.055);
  context.fillStyle = lit ? "#fff" : "#000";
  context.fillRect(widthPx - patch, heightPx - patch, patch, patch);
}
