// Where in the visual field a synthetic neuron sees, and what share of its response an image at some place evokes.
// Knows nothing about spikes or images.
import type { VisualPlacement } from "../../shared/ports.ts";
import type { ReceptiveField } from "./truth.ts";

/** The square of the visual field that the neurons' fields are laid out in: an image shown there exactly evokes the whole response. */
export type FieldFrame = VisualPlacement;

/** A receptive field in degrees from the fixation spot, right and up positive; half the sensitivity is left at `radiusDeg`. */
export interface FieldDeg {
  readonly centreXDeg: number;
  readonly centreYDeg: number;
  readonly radiusDeg: number;
}

/** Share of the field (of what the frame covers of it) that must be covered for half of the largest response: summation over space saturates. */
const halfAt = 0.1;

export function fieldInDegrees(field: ReceptiveField, frame: FieldFrame): FieldDeg {
  return { centreXDeg: frame.centreXDeg + (field.x - 0.5) * frame.sizeDeg, centreYDeg: frame.centreYDeg - (field.y - 0.5) * frame.sizeDeg, radiusDeg: field.radius * frame.sizeDeg };
}

/**
 * Factor on the evoked rate of an image at `where`; 1 where the image fills the frame exactly. Content counts wherever it is shown (the neurons
 * tolerate position and size), the more so the more of the field it covers.
 */
export function fieldGain(field: ReceptiveField, frame: FieldFrame, where: VisualPlacement): number {
  if (where.centreXDeg === frame.centreXDeg && where.centreYDeg === frame.centreYDeg && where.sizeDeg === frame.sizeDeg) return 1;
  const own = fieldInDegrees(field, frame);
  const share = covered(own, where) / covered(own, frame);
  return ((1 + halfAt) * share) / (share + halfAt);
}

/** Integral of the Gaussian sensitivity over a square, as a share of its whole. */
function covered(field: FieldDeg, { centreXDeg, centreYDeg, sizeDeg }: VisualPlacement): number {
  const sd = field.radiusDeg / Math.sqrt(2 * Math.LN2);
  const along = (centre: number, fieldCentre: number): number => normalCdf((centre + sizeDeg / 2 - fieldCentre) / sd) - normalCdf((centre - sizeDeg / 2 - fieldCentre) / sd);
  return along(centreXDeg, field.centreXDeg) * along(centreYDeg, field.centreYDeg);
}

/** Abramowitz & Stegun 1964, 26.2.17: error below 1e-7. */
function normalCdf(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? 1 - tail : tail;
}
