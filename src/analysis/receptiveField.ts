// A receptive field from mean rates at places: a round Gaussian on a floor, or the middle of the places that drive the unit.
// Knows nothing about images or screens.

/** Rates at places, spikes/s; positions in degrees. Equal lengths; NaN where nothing was measured. */
export interface FieldMap {
  readonly xDeg: ArrayLike<number>;
  readonly yDeg: ArrayLike<number>;
  readonly rateHz: ArrayLike<number>;
}

/**
 * rate = floor + height * exp(-d^2 / (2 sd^2)), d the distance from the centre. What was shown at a place has a size itself: the field that is
 * described is the unit's, smeared by it.
 */
export interface ReceptiveField {
  readonly centreXDeg: number;
  readonly centreYDeg: number;
  /** Full width at half height: 2 sqrt(2 ln 2) sd. */
  readonly diameterDeg: number;
  readonly floorHz: number;
  readonly peakHz: number;
  /** Share of the variance over places that the description explains, at most 1. */
  readonly r2: number;
}

const fwhm = 2 * Math.sqrt(2 * Math.LN2);
const placesMin = 6;

interface Points {
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Different coordinates, and which of them each place has: on a grid they are few. */
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly xOf: Uint16Array;
  readonly yOf: Uint16Array;
  readonly rate: Float64Array;
  readonly variation: number;
  readonly mean: number;
}

/**
 * Least squares over centre, sd, height (above 0) and floor. null below six places, where all rates are equal, or where no Gaussian rises from the
 * floor. `refineFrom`: a description whose r2 is below that with its centre on a place is not refined further (default 0: all are).
 */
export function fitGaussianField(map: FieldMap, { refineFrom = 0 }: { readonly refineFrom?: number } = {}): ReceptiveField | null {
  const points = usable(map);
  if (points === null) return null;
  const spanX = span(points.x);
  const spanY = span(points.y);
  const reach = Math.max(spanX, spanY);
  if (!(reach > 0)) return null;
  const smallest = reach / (3 * Math.sqrt(points.x.length));
  let best: Fit | null = null;
  // Every place as a centre, ten widths: then downhill from the best.
  for (let i = 0; i < points.x.length; i++) {
    for (let k = 0; k < 10; k++) {
      const fit = fitAt(points, points.x[i]!, points.y[i]!, smallest * (reach / smallest) ** (k / 9));
      if (fit !== null && (best === null || fit.error < best.error)) best = fit;
    }
  }
  if (best === null) return null;
  if (1 - best.error / points.variation < refineFrom) return describe(best, points);
  let step = reach / (2 * Math.sqrt(points.x.length));
  let factor = 1.3;
  const inside = (x: number, y: number): boolean => x >= least(points.x) - step && x <= most(points.x) + step && y >= least(points.y) - step && y <= most(points.y) + step;
  for (let round = 0; round < 40 && step > reach * 1e-4; round++) {
    const from: Fit = best;
    const tries: readonly (readonly [number, number, number])[] = [
      [from.x + step, from.y, from.sd], [from.x - step, from.y, from.sd], [from.x, from.y + step, from.sd], [from.x, from.y - step, from.sd],
      [from.x, from.y, from.sd * factor], [from.x, from.y, from.sd / factor],
    ];
    for (const [x, y, sd] of tries) {
      if (sd < smallest || sd > 2 * reach || !inside(x, y)) continue;
      const fit = fitAt(points, x, y, sd);
      if (fit !== null && fit.error < best.error) best = fit;
    }
    if (best === from) {
      step /= 2;
      factor = Math.sqrt(factor);
    }
  }
  return describe(best, points);
}

function describe(fit: Fit, points: Points): ReceptiveField {
  return { centreXDeg: fit.x, centreYDeg: fit.y, diameterDeg: fwhm * fit.sd, floorHz: fit.floor, peakHz: fit.floor + fit.height, r2: 1 - fit.error / points.variation };
}

/**
 * Middle of the places above `from` of the way from the lowest to the highest rate, weighted by what is above it; the diameter is that of a disc of
 * the area of those places (`cellAreaDeg2` each). r2: of a two-valued map, above and below. null below six places or where all rates are equal.
 */
export function centroidField(map: FieldMap, options: { readonly from: number; readonly cellAreaDeg2: number }): ReceptiveField | null {
  const points = usable(map);
  if (points === null) return null;
  const floorHz = least(points.rate);
  const peakHz = most(points.rate);
  const limit = floorHz + options.from * (peakHz - floorHz);
  let weight = 0;
  let x = 0;
  let y = 0;
  const above: number[] = [];
  const below: number[] = [];
  for (let i = 0; i < points.rate.length; i++) {
    const rate = points.rate[i]!;
    if (rate < limit) {
      below.push(rate);
      continue;
    }
    above.push(rate);
    // The limit itself must not weigh nothing where all places above it are equal.
    const w = rate - limit + 1e-12;
    weight += w;
    x += w * points.x[i]!;
    y += w * points.y[i]!;
  }
  const error = squares(above) + squares(below);
  return { centreXDeg: x / weight, centreYDeg: y / weight, diameterDeg: 2 * Math.sqrt((above.length * options.cellAreaDeg2) / Math.PI), floorHz, peakHz, r2: 1 - error / points.variation };
}

interface Fit {
  readonly x: number;
  readonly y: number;
  readonly sd: number;
  readonly height: number;
  readonly floor: number;
  readonly error: number;
}

/** Height and floor by linear least squares for a given centre and sd; null where the height is not above 0. */
function fitAt({ x, xs, ys, xOf, yOf, rate, mean }: Points, centreX: number, centreY: number, sd: number): Fit | null {
  const n = x.length;
  const inverse = 1 / (2 * sd * sd);
  let sumG = 0;
  let sumGG = 0;
  let sumGR = 0;
  const shape = new Float64Array(n);
  const alongX = xs.map((v) => Math.exp(-((v - centreX) ** 2) * inverse));
  const alongY = ys.map((v) => Math.exp(-((v - centreY) ** 2) * inverse));
  for (let i = 0; i < n; i++) {
    const g = alongX[xOf[i]!]! * alongY[yOf[i]!]!;
    shape[i] = g;
    sumG += g;
    sumGG += g * g;
    sumGR += g * rate[i]!;
  }
  const spread = sumGG - (sumG * sumG) / n;
  if (!(spread > 1e-12)) return null;
  const height = (sumGR - sumG * mean) / spread;
  if (!(height > 0)) return null;
  const floor = mean - (height * sumG) / n;
  let error = 0;
  for (let i = 0; i < n; i++) error += (rate[i]! - floor - height * shape[i]!) ** 2;
  return { x: centreX, y: centreY, sd, height, floor, error };
}

function usable({ xDeg, yDeg, rateHz }: FieldMap): Points | null {
  if (xDeg.length !== rateHz.length || yDeg.length !== rateHz.length) throw new Error(`expected one rate for every place, got ${rateHz.length} for ${xDeg.length} x ${yDeg.length}`);
  const rows: number[] = [];
  for (let i = 0; i < rateHz.length; i++) if (!Number.isNaN(rateHz[i]!)) rows.push(i);
  if (rows.length < placesMin) return null;
  const rate = Float64Array.from(rows, (i) => rateHz[i]!);
  const variation = squares(rate);
  if (!(variation > 0)) return null;
  const x = Float64Array.from(rows, (i) => xDeg[i]!);
  const y = Float64Array.from(rows, (i) => yDeg[i]!);
  const [xs, ys] = [new Set(x), new Set(y)].map((values) => Float64Array.from(values));
  if (xs === undefined || ys === undefined) throw new Error("expected coordinates");
  return { x, y, xs, ys, xOf: Uint16Array.from(x, (v) => xs.indexOf(v)), yOf: Uint16Array.from(y, (v) => ys.indexOf(v)), rate, variation, mean: rate.reduce((a, b) => a + b, 0) / rate.length };
}

/** Sum of squares about the mean. */
function squares(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const mean = sum / values.length;
  let out = 0;
  for (let i = 0; i < values.length; i++) out += (values[i]! - mean) ** 2;
  return values.length === 0 ? 0 : out;
}

function least(values: Float64Array): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function most(values: Float64Array): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

function span(values: Float64Array): number {
  return most(values) - least(values);
}
