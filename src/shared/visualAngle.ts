// Degrees of visual angle and pixels of a flat screen, seen from straight in front of its middle. Knows nothing about drawing.
// Positions are angles along the two axes, right and up positive, as eye trackers give gaze: x = distance * tan(xDeg). Pixels are square.

/** What is needed to convert: the lit area's width in pixels and centimetres, and the eye's distance from it. */
export interface ScreenGeometry {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly widthCm: number;
  readonly distanceCm: number;
}

/** Centre and side of a square on the screen, px; whole pixels, origin top left. */
export interface PixelSquare {
  readonly centreXPx: number;
  readonly centreYPx: number;
  readonly sizePx: number;
}

/** Distance on the screen from its middle to a direction `deg` away from straight ahead, px (signed). */
export function eccentricityPx(deg: number, { widthPx, widthCm, distanceCm }: Omit<ScreenGeometry, "heightPx">): number {
  return (distanceCm * Math.tan((deg * Math.PI) / 180) * widthPx) / widthCm;
}

/** The direction of a place `px` from the middle along an axis, degrees: the inverse of `eccentricityPx`. */
export function eccentricityDeg(px: number, { widthPx, widthCm, distanceCm }: Omit<ScreenGeometry, "heightPx">): number {
  return (Math.atan((px * widthCm) / widthPx / distanceCm) * 180) / Math.PI;
}

/** The direction and size of a square, degrees: the inverse of `placeSquare`, but for whole pixels and squares away from both axes. */
export function directionOf({ centreXPx, centreYPx, sizePx }: PixelSquare, screen: ScreenGeometry): { readonly centreXDeg: number; readonly centreYDeg: number; readonly sizeDeg: number } {
  const edges = (px: number): readonly [number, number] => [eccentricityDeg(px - sizePx / 2, screen), eccentricityDeg(px + sizePx / 2, screen)];
  const [left, right] = edges(centreXPx - screen.widthPx / 2);
  const [bottom, top] = edges(screen.heightPx / 2 - centreYPx);
  return { centreXDeg: (left + right) / 2, centreYDeg: (bottom + top) / 2, sizeDeg: Math.sqrt((right - left) * (top - bottom)) };
}

/** Extent of something that subtends `deg` around the direction `centreDeg` along one axis, px. On a flat screen it grows with eccentricity. */
export function extentPx(deg: number, screen: Omit<ScreenGeometry, "heightPx">, centreDeg = 0): number {
  return eccentricityPx(centreDeg + deg / 2, screen) - eccentricityPx(centreDeg - deg / 2, screen);
}

/**
 * Where a square image of `sizeDeg` at a direction is drawn: its edges are those of the angles centre - size / 2 and centre + size / 2 along
 * both axes. Away from an axis these span a rectangle; the square has its middle and its area, so that no image is stretched.
 */
export function placeSquare({ xDeg, yDeg, sizeDeg }: { readonly xDeg: number; readonly yDeg: number; readonly sizeDeg: number }, screen: ScreenGeometry): PixelSquare {
  const middle = (deg: number): number => (eccentricityPx(deg + sizeDeg / 2, screen) + eccentricityPx(deg - sizeDeg / 2, screen)) / 2;
  return {
    centreXPx: Math.round(screen.widthPx / 2 + middle(xDeg)),
    centreYPx: Math.round(screen.heightPx / 2 - middle(yDeg)),
    sizePx: Math.max(1, Math.round(Math.sqrt(extentPx(sizeDeg, screen, xDeg) * extentPx(sizeDeg, screen, yDeg)))),
  };
}
