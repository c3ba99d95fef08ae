// A canvas context with its size in CSS pixels and the theme's colours. Knows nothing about what is drawn.
import type { Palette } from "./palette.ts";

export interface Area {
  readonly context: CanvasRenderingContext2D;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly palette: Palette;
}

export const canvasFont = (sizePx: number, weight = 400): string => `${weight} ${sizePx}px Inter, system-ui, sans-serif`;

export function clearArea({ context, widthPx, heightPx }: Area): void {
  context.clearRect(0, 0, widthPx, heightPx);
}
