// From a session's display settings in degrees to what the stimulus window draws in pixels (SPEC 1). Knows nothing about drawing.
import type { DisplayConfig } from "../shared/contract/config.ts";
import { linearise } from "../shared/gamma.ts";
import type { DisplayGeometry, StimulusPlacement, VisualPlacement } from "../shared/ports.ts";
import { extentPx, placeSquare } from "../shared/visualAngle.ts";
import type { PixelSquare, ScreenGeometry } from "../shared/visualAngle.ts";

/** Pixels for `deg` degrees at the centre of a flat screen. */
export function pixelsOf(deg: number, screen: { readonly widthPx: number; readonly widthCm: number; readonly distanceCm: number }): number {
  return extentPx(deg, screen);
}

export function screenOf(display: DisplayConfig, geometry: DisplayGeometry): ScreenGeometry {
  return { widthPx: geometry.widthPx, heightPx: geometry.heightPx, widthCm: display.widthCm, distanceCm: display.distanceCm };
}

/** Where an image of this size in this direction is drawn: for `PlannedFlash.placement`. */
export function placeImage(at: { readonly xDeg: number; readonly yDeg: number; readonly sizeDeg: number }, display: DisplayConfig, geometry: DisplayGeometry): PixelSquare {
  return placeSquare(at, screenOf(display, geometry));
}

export function placementOf(display: DisplayConfig, geometry: DisplayGeometry): StimulusPlacement {
  const screen = screenOf(display, geometry);
  const lut = display.gamma === null ? null : linearise(display.gamma);
  return {
    ...placeSquare({ xDeg: display.centreXDeg, yDeg: display.centreYDeg, sizeDeg: display.imageSizeDeg }, screen),
    fixationDiameterPx: Math.max(2, Math.round(pixelsOf(display.fixationDeg, screen))),
    backgroundGrey: display.backgroundGrey,
    photodiodePx: display.photodiodePx,
    photodiodeCode: display.photodiodeCode,
    lut,
  };
}

/** Where the session's images are seen. */
export function sessionPlacementOf(display: DisplayConfig): VisualPlacement {
  return { centreXDeg: display.centreXDeg, centreYDeg: display.centreYDeg, sizeDeg: display.imageSizeDeg };
}
