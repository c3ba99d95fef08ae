// From degrees of visual angle to pixels of the display (SPEC 1). Knows nothing about drawing.
import type { DisplayConfig } from "../shared/contract/config.ts";
import type { DisplayGeometry, StimulusPlacement } from "../shared/ports.ts";

/** Pixels for `deg` degrees seen from `distanceCm`, at the centre of a flat screen. */
export function pixelsOf(deg: number, screen: { readonly widthPx: number; readonly widthCm: number; readonly distanceCm: number }): number {
  const cm = 2 * screen.distanceCm * Math.tan((deg * Math.PI) / 360);
  return (cm * screen.widthPx) / screen.widthCm;
}

export function placementOf(display: DisplayConfig, geometry: DisplayGeometry): StimulusPlacement {
  const screen = { widthPx: geometry.widthPx, widthCm: display.widthCm, distanceCm: display.distanceCm };
  return {
    centreXPx: Math.round(geometry.widthPx / 2 + pixelsOf(display.centreXDeg, screen)),
    centreYPx: Math.round(geometry.heightPx / 2 - pixelsOf(display.centreYDeg, screen)),
    sizePx: Math.max(1, Math.round(pixelsOf(display.imageSizeDeg, screen))),
    fixationDiameterPx: Math.max(2, Math.round(pixelsOf(display.fixationDeg, screen))),
    backgroundGrey: display.backgroundGrey,
    photodiodePx: display.photodiodePx,
  };
}
