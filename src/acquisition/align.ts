// Host clock to rig clock, learnt from pairs of times as they come. Pure arithmetic; knows nothing about where the pairs come from.
//
// Two kinds of pairs. A mark (a flip on this computer that the rig saw) is exact but for jitter on both sides and a wrong match now
// and then: a line through marks by iteratively reweighted least squares (Tukey's biweight; Beaton & Tukey 1974). An arrival is late by
// an unknown transport of at least some shortest time, never early: the line that lies on or above all of them and nearest to their
// middle (Moon, Skelly & Towsley 1999). Marks, once there are some, decide; arrivals serve until then.
//
// Both lines have a prior on drift (clocks differ by parts per million), so that seconds of jittered marks are not read as drift.
import type { ClockAligner, ClockMap } from "../shared/ports.ts";
import { nsPerMs, nsPerS, rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";

export interface ClockAlignerOptions {
  /** What the shortest transport of data from the rig takes, ms, where known: buffering of the recording program and network. */
  readonly shortestTransportMs?: number;
  /** Marks that are kept: at four images a second, ten minutes' worth. */
  readonly marksMax?: number;
  /** A disagreement of this size with the line, in several pairs that agree among themselves, is a jump of the rig's clock. */
  readonly jumpMsMin?: number;
}

export interface ClockAlignerStatus {
  readonly marks: number;
  /** Marks that the fit gives no weight. */
  readonly outlierMarks: number;
  readonly arrivals: number;
  /** Which pairs the map rests on. */
  readonly basis: "none" | "arrivals" | "marks";
  /** Jumps of the rig's clock that the pairs have shown, in order: rig clock ahead by so much more. */
  readonly jumpsMs: readonly number[];
  /** Spread of the marks about the line, ms (scaled median absolute deviation). */
  readonly markJitterMs: number | null;
}

export interface StatefulClockAligner extends ClockAligner {
  status(): ClockAlignerStatus;
}

/** Differences between rig and host time at a host time. */
interface Point {
  /** Host time since the first pair, s. */
  readonly x: number;
  /** Rig minus host, less the same of the first pair, ms. */
  readonly y: number;
}

interface Line {
  /** y = centreY + slope * (x - centreX); slope in ms/s. */
  readonly centreX: number;
  readonly centreY: number;
  readonly slope: number;
  readonly centreVariance: number;
  readonly slopeVariance: number;
}

const driftPriorMsPerS = 0.2; // 200 ppm
const binS = 1;
const binsMax = 600;
/** Pairs that must agree before a jump is believed. */
const jumpPairs = 3;

export function createClockAligner({ shortestTransportMs = 0, marksMax = 2400, jumpMsMin = 20 }: ClockAlignerOptions = {}): StatefulClockAligner {
  let origin: { readonly hostNs: number; readonly rigNs: number } | null = null;
  let marks: Point[] = [];
  /** Per second of host time the arrival with the shortest transport. */
  let bins: { bin: number; point: Point }[] = [];
  let arrivalCount = 0;
  let markCount = 0;
  let suspectMarks: Point[] = [];
  let suspectArrivals: Point[] = [];
  const jumpsMs: number[] = [];

  let line: Line | null = null;
  let basis: ClockAlignerStatus["basis"] = "none";
  let markFit: { readonly line: Line; readonly spread: number; readonly outliers: number } | null = null;
  let newMarks = 0;
  let newArrivals = 0;
  let newestX = 0;

  function forget(): void {
    origin = null;
    marks = [];
    bins = [];
    suspectMarks = [];
    suspectArrivals = [];
    line = null;
    markFit = null;
    basis = "none";
    newMarks = 0;
    newArrivals = 0;
    newestX = 0;
  }

  function pointOf(hostNs: number, rigNs: number): Point {
    origin ??= { hostNs, rigNs };
    const sinceHostNs = hostNs - origin.hostNs;
    return { x: sinceHostNs / nsPerS, y: (rigNs - origin.rigNs - sinceHostNs) / nsPerMs };
  }

  function jump(suspects: readonly Point[], expected: Line, kind: "arrival" | "mark"): void {
    const from = origin;
    const by = median(suspects.map((point) => point.y - valueAt(expected, point.x)));
    const pairs = suspects.map((point) => ({
      hostNs: (from?.hostNs ?? 0) + point.x * nsPerS,
      rigNs: (from?.rigNs ?? 0) + point.x * nsPerS + point.y * nsPerMs,
    }));
    forget();
    jumpsMs.push(by);
    for (const pair of pairs) {
      if (kind === "mark") takeMark(pointOf(pair.hostNs, pair.rigNs));
      else takeArrival(pointOf(pair.hostNs, pair.rigNs));
    }
  }

  function takeMark(point: Point): void {
    marks.push(point);
    markCount += 1;
    newMarks += 1;
    if (marks.length > marksMax) marks.shift();
  }

  function addMark(point: Point): void {
    const fit = fitted();
    if (fit !== null && basis === "marks") {
      const limit = Math.max(jumpMsMin, 12 * (markFit?.spread ?? 0));
      const residual = point.y - valueAt(fit, point.x);
      if (Math.abs(residual) > limit) {
        suspectMarks = suspectMarks.filter((other) => Math.abs(other.y - point.y) < limit / 2);
        suspectMarks.push(point);
        if (suspectMarks.length >= jumpPairs) jump(suspectMarks, fit, "mark");
        return;
      }
      suspectMarks = [];
    }
    takeMark(point);
  }

  function takeArrival(point: Point): void {
    arrivalCount += 1;
    const bin = Math.floor(point.x / binS);
    const last = bins.at(-1);
    if (last === undefined || bin > last.bin) {
      bins.push({ bin, point });
      newArrivals += 1;
      if (bins.length > binsMax) bins.shift();
    } else if (point.y > last.point.y) {
      last.point = point;
      newArrivals += 1;
    }
  }

  function addArrival(point: Point): void {
    const fit = fitted();
    if (fit !== null && basis === "arrivals") {
      // Ahead of the line: data from the future, so the clock has jumped ahead. Far behind it for seconds: it has jumped back, or the
      // transport has become longer for good; either way the old line is of no use.
      const residual = point.y - valueAt(fit, point.x);
      const isAhead = residual > jumpMsMin;
      const isBehind = residual < -Math.max(jumpMsMin, 4 * spreadOfArrivals(fit));
      if (isAhead || isBehind) {
        suspectArrivals = suspectArrivals.filter((other) => Math.sign(other.y - valueAt(fit, other.x)) === Math.sign(residual));
        suspectArrivals.push(point);
        const first = suspectArrivals[0];
        const isLong = first !== undefined && point.x - first.x >= 5 * binS;
        if (isAhead ? suspectArrivals.length >= jumpPairs : isLong) {
          jump(isAhead ? suspectArrivals : suspectArrivals.slice(-jumpPairs), fit, "arrival");
          return;
        }
        if (isAhead) return;
      } else {
        suspectArrivals = [];
      }
    }
    takeArrival(point);
  }

  /** How far the best arrivals of each second lie below the line, typically. */
  function spreadOfArrivals(fit: Line): number {
    return median(bins.map(({ point }) => valueAt(fit, point.x) - point.y));
  }

  /** Fits again when a fiftieth more has come, so that the cost of a pair does not grow with the length of the session. */
  function fitted(): Line | null {
    if (marks.length >= 3) {
      if (markFit === null || newMarks > marks.length / 50) {
        markFit = fitMarks(marks);
        newMarks = 0;
        line = markFit.line;
        basis = "marks";
      }
    } else if (bins.length > 0 && (line === null || newArrivals > Math.min(20, bins.length / 50))) {
      line = fitArrivals(bins.map(({ point }) => point), shortestTransportMs);
      newArrivals = 0;
      basis = "arrivals";
    }
    return line;
  }

  return {
    addPair({ hostNs, rigNs, kind }: { readonly hostNs: HostTimeNs; readonly rigNs: RigTimeNs; readonly kind: "arrival" | "mark" }) {
      const point = pointOf(hostNs, rigNs);
      newestX = Math.max(newestX, point.x);
      if (kind === "mark") addMark(point);
      else addArrival(point);
    },
    map(): ClockMap | null {
      const fit = fitted();
      const from = origin;
      if (fit === null || from === null) {
        // One or two marks and nothing else.
        const only = marks.at(-1);
        return only === undefined || from === null ? null : mapOf(from, { centreX: only.x, centreY: only.y, slope: 0, centreVariance: 1, slopeVariance: driftPriorMsPerS ** 2 }, newestX, 0);
      }
      // What arrivals cannot tell is the shortest transport; half their spread stands for it.
      return mapOf(from, fit, newestX, basis === "arrivals" ? Math.max(1, spreadOfArrivals(fit)) : 0);
    },
    reset: forget,
    jumpsMs,
    status: () => ({
      marks: markCount,
      outlierMarks: markFit?.outliers ?? 0,
      arrivals: arrivalCount,
      basis,
      jumpsMs,
      markJitterMs: markFit?.spread ?? null,
    }),
  };
}

function mapOf(origin: { readonly hostNs: number; readonly rigNs: number }, line: Line, newestX: number, extraMs: number): ClockMap {
  const variance = line.centreVariance + line.slopeVariance * (newestX - line.centreX) ** 2;
  return {
    toRig(hostNs) {
      const sinceHostNs = hostNs - origin.hostNs;
      return rigTimeNs(Math.round(origin.rigNs + sinceHostNs + valueAt(line, sinceHostNs / nsPerS) * nsPerMs));
    },
    driftPpm: line.slope * 1000,
    uncertaintyMs: Math.sqrt(variance) + extraMs,
  };
}

function valueAt(line: Line, x: number): number {
  return line.centreY + line.slope * (x - line.centreX);
}

/** Tukey's biweight with the tuning constant of 95 % efficiency, started from the median of the newest marks with no drift. */
function fitMarks(marks: readonly Point[]): { readonly line: Line; readonly spread: number; readonly outliers: number } {
  const tuning = 4.685;
  let line: Line = { centreX: 0, centreY: 0, slope: medianSlope(marks), centreVariance: 0, slopeVariance: 0 };
  line = { ...line, centreY: median(marks.map((point) => point.y - line.slope * point.x)) };
  let spread = 0;
  let outliers = 0;
  for (let round = 0; round < 8; round++) {
    const residuals = marks.map((point) => point.y - valueAt(line, point.x));
    // 1.4826: from a median absolute deviation to a normal's standard deviation. A floor of 20 us: no display is steadier.
    spread = Math.max(0.02, 1.4826 * median(residuals.map(Math.abs)));
    const weights = residuals.map((residual) => {
      const u = residual / (tuning * spread);
      return Math.abs(u) < 1 ? (1 - u * u) ** 2 : 0;
    });
    outliers = weights.filter((weight) => weight === 0).length;
    line = weightedLine(marks, weights, spread);
  }
  return { line, spread, outliers };
}

/** Least squares with a normal prior on the slope (mean 0, sd driftPriorMsPerS). */
function weightedLine(points: readonly Point[], weights: readonly number[], spread: number): Line {
  let total = 0;
  let sumX = 0;
  let sumY = 0;
  for (const [i, point] of points.entries()) {
    const weight = weights[i] ?? 0;
    total += weight;
    sumX += weight * point.x;
    sumY += weight * point.y;
  }
  const centreX = sumX / total;
  const centreY = sumY / total;
  let xx = 0;
  let xy = 0;
  for (const [i, point] of points.entries()) {
    const weight = weights[i] ?? 0;
    xx += weight * (point.x - centreX) ** 2;
    xy += weight * (point.x - centreX) * (point.y - centreY);
  }
  const precision = xx / spread ** 2 + 1 / driftPriorMsPerS ** 2;
  return { centreX, centreY, slope: xy / spread ** 2 / precision, centreVariance: spread ** 2 / total, slopeVariance: 1 / precision };
}

/** A first guess of the slope that half the marks being wrong cannot spoil: median over pairs half the span apart (Siegel's idea, one pass). */
function medianSlope(points: readonly Point[]): number {
  const half = points.length >> 1;
  const first = points[0];
  const last = points.at(-1);
  // Over less than a minute jitter outweighs any drift.
  if (first === undefined || last === undefined || last.x - first.x < 60) return 0;
  const slopes: number[] = [];
  for (let i = 0; i + half < points.length; i++) {
    const [a, b] = [points[i], points[i + half]];
    if (a !== undefined && b !== undefined && b.x > a.x) slopes.push((b.y - a.y) / (b.x - a.x));
  }
  return Math.max(-1, Math.min(1, median(slopes)));
}

/** The line above all points that is nearest to them: the edge of the upper convex hull over their mean place. */
function fitArrivals(points: readonly Point[], shortestTransportMs: number): Line {
  const hull: Point[] = [];
  for (const point of points) {
    for (;;) {
      const [a, b] = [hull.at(-2), hull.at(-1)];
      if (a === undefined || b === undefined || (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) < 0) break;
      hull.pop();
    }
    hull.push(point);
  }
  const meanX = points.reduce((sum, point) => sum + point.x, 0) / points.length;
  let left = hull[0];
  let right = hull.at(-1);
  if (left === undefined || right === undefined) throw new Error("expected at least one arrival");
  for (const [i, point] of hull.entries()) {
    const next = hull[i + 1];
    if (next !== undefined && point.x <= meanX && next.x >= meanX) {
      left = point;
      right = next;
    }
  }
  const spanS = (points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0);
  const raw = right.x > left.x ? (right.y - left.y) / (right.x - left.x) : 0;
  // Transport times of the best arrivals differ by a millisecond or so: over a span of T that is 1 / T of slope.
  const slopeVariance = 1 / Math.max(1, spanS) ** 2;
  const prior = driftPriorMsPerS ** 2;
  const slope = (raw * prior) / (prior + slopeVariance);
  // The shrunken line still lies on or above every point.
  const centreX = meanX;
  let centreY = -Infinity;
  for (const point of hull) centreY = Math.max(centreY, point.y - slope * (point.x - centreX));
  return { centreX, centreY: centreY + shortestTransportMs, slope, centreVariance: 0, slopeVariance: (prior * slopeVariance) / (prior + slopeVariance) };
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
