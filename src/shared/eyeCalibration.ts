// From an eye tracker's own units to degrees: a polynomial fitted to fixations of points of known place. Pure arithmetic; knows nothing about trackers.
import type { EyeCalibration, EyeCalibrationPoint } from "./contract/rig.ts";
import { fault, ok } from "./result.ts";
import type { Fault, Result } from "./result.ts";

export type GazeModel = EyeCalibration["model"];

const termCount: Readonly<Record<GazeModel, number>> = { affine: 3, quadratic: 6 };

/** A fit this good needs no point thrown out, degrees. */
const goodDeg = 0.5;

function termsOf(model: GazeModel, u: number, v: number): readonly number[] {
  return model === "affine" ? [1, u, v] : [1, u, v, u * v, u * u, v * v];
}

export function gazeDeg(calibration: EyeCalibration, rawX: number, rawY: number): { readonly xDeg: number; readonly yDeg: number } {
  const terms = termsOf(calibration.model, (rawX - calibration.centreX) / calibration.scale, (rawY - calibration.centreY) / calibration.scale);
  let xDeg = 0;
  let yDeg = 0;
  for (let k = 0; k < terms.length; k++) {
    xDeg += (calibration.x[k] ?? 0) * (terms[k] ?? 0);
    yDeg += (calibration.y[k] ?? 0) * (terms[k] ?? 0);
  }
  return { xDeg, yDeg };
}

/**
 * Least squares over the points. A point is thrown out where the others agree without it and do not with it: the residual falls to a third (a
 * subject that looked elsewhere). Errors: `tooFewPoints`, `pointsOnLine`.
 */
export function fitEyeCalibration({ model, points, atUtc }: { readonly model: GazeModel; readonly points: readonly EyeCalibrationPoint[]; readonly atUtc: string }): Result<EyeCalibration, Fault> {
  const needed = termCount[model];
  if (points.length < needed) return fault("tooFewPoints", `Expected at least ${needed} fixated points for ${model === "affine" ? "an affine" : "a quadratic"} calibration, got ${points.length}. Fixate more points${model === "quadratic" ? ", or take the affine one" : ""}.`);
  const rejected: number[] = [];
  let kept = points.map((_, i) => i);
  let best = solve(model, points, kept);
  if (best === null) return fault("pointsOnLine", "The points were seen by the tracker in one place or on one line: the eye did not follow them, or an axis of the tracker is not connected. Fixate them again.");
  for (;;) {
    if (best.rmsDeg <= goodDeg || kept.length <= needed + 1) break;
    const wholeDeg: number = best.rmsDeg;
    const candidates = kept.flatMap((index) => {
      const fit = solve(model, points, kept.filter((i) => i !== index));
      return fit === null || fit.rmsDeg > wholeDeg / 3 ? [] : [{ fit, index }];
    });
    // Of middle and corners, a wrong corner and the one opposite explain the same: trackers shear little, so the rounder picture is the right one.
    const without = candidates.toSorted((one, other) => shearOf(one.fit) - shearOf(other.fit) || one.fit.rmsDeg - other.fit.rmsDeg)[0];
    if (without === undefined) break;
    const { index, fit } = without;
    rejected.push(index);
    kept = kept.filter((i) => i !== index);
    best = fit;
  }
  const calibration: EyeCalibration = {
    model, centreX: best.centreX, centreY: best.centreY, scale: best.scale, x: [...best.x], y: [...best.y], points: points.map((p) => ({ ...p })), residualsDeg: [], rejected: rejected.sort((a, b) => a - b), rmsDeg: best.rmsDeg, atUtc,
  };
  const residualsDeg = points.map((p) => {
    const at = gazeDeg(calibration, p.rawX, p.rawY);
    return Math.hypot(at.xDeg - p.targetXDeg, at.yDeg - p.targetYDeg);
  });
  return ok({ ...calibration, residualsDeg });
}

interface Solved {
  readonly centreX: number;
  readonly centreY: number;
  readonly scale: number;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly rmsDeg: number;
}

/** How far the linear part is from turning and scaling alone: the ratio of its singular values, 1 at best. */
function shearOf({ x, y }: Solved): number {
  const [a, b, c, d] = [x[1] ?? 0, x[2] ?? 0, y[1] ?? 0, y[2] ?? 0];
  const sum = a * a + b * b + c * c + d * d;
  const determinant = Math.abs(a * d - b * c);
  const root = Math.sqrt(Math.max(0, sum * sum - 4 * determinant * determinant));
  return Math.sqrt((sum + root) / Math.max(1e-12, sum - root));
}

/** null where the points do not determine the model. */
function solve(model: GazeModel, points: readonly EyeCalibrationPoint[], kept: readonly number[]): Solved | null {
  const used = kept.flatMap((i) => (points[i] === undefined ? [] : [points[i]]));
  const centreX = used.reduce((sum, p) => sum + p.rawX, 0) / used.length;
  const centreY = used.reduce((sum, p) => sum + p.rawY, 0) / used.length;
  const scale = Math.max(...used.map((p) => Math.hypot(p.rawX - centreX, p.rawY - centreY)));
  if (!(scale > 0)) return null;
  const rows = used.map((p) => termsOf(model, (p.rawX - centreX) / scale, (p.rawY - centreY) / scale));
  const x = leastSquares(rows, used.map((p) => p.targetXDeg));
  const y = leastSquares(rows, used.map((p) => p.targetYDeg));
  if (x === null || y === null) return null;
  let squares = 0;
  rows.forEach((row, i) => {
    const dx = row.reduce((sum, t, k) => sum + t * (x[k] ?? 0), 0) - (used[i]?.targetXDeg ?? 0);
    const dy = row.reduce((sum, t, k) => sum + t * (y[k] ?? 0), 0) - (used[i]?.targetYDeg ?? 0);
    squares += dx * dx + dy * dy;
  });
  // Degrees of freedom of one axis, as both have the same.
  return { centreX, centreY, scale, x, y, rmsDeg: Math.sqrt(squares / Math.max(1, used.length - termCount[model] + (used.length > termCount[model] ? 0 : 1))) };
}

/** Normal equations by Gauss with pivoting: at most six unknowns of order one. null where they are singular. */
function leastSquares(rows: readonly (readonly number[])[], wanted: readonly number[]): readonly number[] | null {
  const n = rows[0]?.length ?? 0;
  const a = Array.from({ length: n }, (_, i) => Array.from({ length: n + 1 }, (_unused, j) => rows.reduce((sum, row, r) => sum + (row[i] ?? 0) * (j < n ? (row[j] ?? 0) : (wanted[r] ?? 0)), 0)));
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) if (Math.abs(a[r]?.[column] ?? 0) > Math.abs(a[pivot]?.[column] ?? 0)) pivot = r;
    const [one, other] = [a[column], a[pivot]];
    if (one === undefined || other === undefined || Math.abs(other[column] ?? 0) < 1e-9) return null;
    a[column] = other;
    a[pivot] = one;
    for (let r = 0; r < n; r++) {
      const row = a[r];
      if (r === column || row === undefined) continue;
      const by = (row[column] ?? 0) / (other[column] ?? 1);
      for (let c = column; c <= n; c++) row[c] = (row[c] ?? 0) - by * (other[c] ?? 0);
    }
  }
  return a.map((row, i) => (row[n] ?? 0) / (row[i] ?? 1));
}

/** The usual places of the points, degrees: 5 = middle and corners, 9 = a 3 x 3 grid. The middle comes first, then from far to far, so that every point needs a saccade. */
export function calibrationTargets(count: 5 | 9, reachDeg: number): readonly { readonly xDeg: number; readonly yDeg: number }[] {
  const places: readonly (readonly [number, number])[] = count === 5 ? [[0, 0], [-1, 1], [1, -1], [1, 1], [-1, -1]] : [[0, 0], [-1, 1], [1, -1], [0, 1], [0, -1], [1, 1], [-1, -1], [1, 0], [-1, 0]];
  return places.map(([x, y]) => ({ xDeg: x * reachDeg, yDeg: y * reachDeg }));
}

/**
 * One point from the samples of a fixation: the median of the steadiest stretch. Samples in order; null where the eye was not seen or not still:
 * fewer than `samplesMin` valid ones.
 */
export function fixatedPoint({ x, y, valid }: { readonly x: ArrayLike<number>; readonly y: ArrayLike<number>; readonly valid: ArrayLike<number> }, samplesMin: number): { readonly rawX: number; readonly rawY: number; readonly rawSd: number; readonly samples: number } | null {
  const seen: number[] = [];
  for (let i = 0; i < x.length; i++) if (valid[i] === 1) seen.push(i);
  if (seen.length < samplesMin) return null;
  // The half of the samples, in a row, that lies closest together.
  const size = Math.max(samplesMin, seen.length >> 1);
  let best: { from: number; spread: number } | null = null;
  const step = Math.max(1, size >> 3);
  for (let from = 0; from + size <= seen.length; from += step) {
    const part = seen.slice(from, from + size);
    const spread = deviation(part.map((i) => x[i] ?? 0)) + deviation(part.map((i) => y[i] ?? 0));
    if (best === null || spread < best.spread) best = { from, spread };
  }
  if (best === null) return null;
  const part = seen.slice(best.from, best.from + size);
  const xs = part.map((i) => x[i] ?? 0);
  const ys = part.map((i) => y[i] ?? 0);
  return { rawX: middle(xs), rawY: middle(ys), rawSd: Math.hypot(deviation(xs), deviation(ys)), samples: part.length };
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
}

function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] ?? 0) : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
