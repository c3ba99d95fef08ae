// Points of the evolution curve with their 95 % intervals. Pure. Knows nothing about charts.
import type { CurvePoint } from "../../shared/contract/index.ts";

export interface CurveRow {
  readonly generation: number;
  readonly evolved: number;
  readonly evolvedBand: readonly [number, number] | null;
  readonly reference: number | null;
  readonly referenceBand: readonly [number, number] | null;
}

export function curveRows(points: readonly CurvePoint[]): readonly CurveRow[] {
  return points.map((p) => ({
    generation: p.generation,
    evolved: p.evolvedMean,
    evolvedBand: interval(p.evolvedMean, p.evolvedSem, p.evolvedCount),
    reference: p.referenceMean,
    referenceBand: interval(p.referenceMean, p.referenceSem, p.referenceCount),
  }));
}

/** mean ± t(0.975, n - 1) · SEM; null where it is not defined. A rate's interval is cut at 0 only where it is drawn. */
export function interval(mean: number | null, sem: number | null, count: number): readonly [number, number] | null {
  if (mean === null || sem === null || count < 2 || !Number.isFinite(mean) || !Number.isFinite(sem)) return null;
  const half = halfWidth(sem, count);
  return [mean - half, mean + half];
}

/** Half of the 95 % interval. */
export function halfWidth(sem: number, count: number): number {
  return studentT975(count - 1) * sem;
}

/** 97.5 % quantile of Student's t. Exact for 1 and 2 degrees of freedom, else Cornish-Fisher (Abramowitz & Stegun 26.7.5), within 0.5 % from 3 on. */
export function studentT975(degreesOfFreedom: number): number {
  if (degreesOfFreedom <= 1) return 12.7062;
  if (degreesOfFreedom < 3) return 4.3027;
  const z = 1.959964;
  const n = degreesOfFreedom;
  const g1 = (z ** 3 + z) / 4;
  const g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  const g4 = (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160;
  return z + g1 / n + g2 / n ** 2 + g3 / n ** 3 + g4 / n ** 4;
}
