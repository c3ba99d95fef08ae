// Population responses: units z-scored over a session's images, then averaged. Knows nothing about which images those are.
import { checkMatrix, columnStatistics, createMatrix, takeColumns, takeRows } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { mean, meanInterval } from "./statistics.ts";
import type { IntervalMethod, MeanInterval } from "./statistics.ts";

export interface ZScores {
  /** [images, units kept]. */
  readonly z: Matrix64;
  /** Units kept, increasing. */
  readonly units: Int32Array;
  /** Units left out because their responses to the reference images are all equal. */
  readonly constantUnits: Int32Array;
}

export interface PopulationCondition {
  readonly area: string;
  readonly condition: string;
  /** Population response to each image of the condition: mean z over the area's units. */
  readonly values: Float64Array;
  /** Over the images of the condition. */
  readonly interval: MeanInterval;
  /** Units averaged. */
  readonly unitCount: number;
}

/**
 * z-scores every unit of responses [images, units] by the mean and sd of the reference images: all of them (SPEC 7), or
 * `referenceRows` (e.g. the diverseSet only). ddof 0 by default. Units that are constant there are left out and listed.
 */
export function zScoreUnits(
  responses: Matrix,
  options: { readonly referenceRows?: ArrayLike<number>; readonly ddof?: 0 | 1 } = {},
): ZScores {
  checkMatrix(responses, "responses");
  const reference = options.referenceRows === undefined ? responses : takeRows(responses, options.referenceRows);
  const { mean: centre, sd } = columnStatistics(reference, { ddof: options.ddof ?? 0 });
  const kept: number[] = [];
  const constant: number[] = [];
  sd.forEach((value, unit) => (value > 0 ? kept : constant).push(unit));
  const z = createMatrix(responses.rows, kept.length);
  for (let row = 0; row < responses.rows; row++) {
    kept.forEach((unit, i) => {
      z.data[row * kept.length + i] = (responses.data[row * responses.cols + unit]! - centre[unit]!) / sd[unit]!;
    });
  }
  return { z, units: Int32Array.from(kept), constantUnits: Int32Array.from(constant) };
}

/** Mean z over units for every image, [images]. Throws where no unit varies. */
export function populationResponse(
  responses: Matrix,
  options: { readonly referenceRows?: ArrayLike<number>; readonly ddof?: 0 | 1 } = {},
): Float64Array {
  const { z } = zScoreUnits(responses, options);
  if (z.cols === 0) throw new Error(`expected at least one unit whose responses vary, got ${responses.cols} constant ones`);
  return Float64Array.from({ length: z.rows }, (_, row) => mean(z.data.subarray(row * z.cols, (row + 1) * z.cols)));
}

/**
 * Population response per condition and area (P Fig. 10): responses [images, units], a condition for every image, an area for
 * every unit. Areas and conditions come in order of first appearance; an area whose units are all constant is left out.
 */
export function populationByCondition(options: {
  readonly responses: Matrix;
  readonly conditions: readonly string[];
  readonly areas: readonly string[];
  readonly referenceRows?: ArrayLike<number>;
  readonly ddof?: 0 | 1;
  readonly interval?: IntervalMethod;
}): PopulationCondition[] {
  const { responses, conditions, areas } = options;
  checkMatrix(responses, "responses");
  if (conditions.length !== responses.rows) throw new Error(`expected a condition for each of ${responses.rows} images, got ${conditions.length}`);
  if (areas.length !== responses.cols) throw new Error(`expected an area for each of ${responses.cols} units, got ${areas.length}`);
  const reference = {
    ...(options.referenceRows === undefined ? {} : { referenceRows: options.referenceRows }),
    ...(options.ddof === undefined ? {} : { ddof: options.ddof }),
  };
  return [...new Set(areas)].flatMap((area) => {
    const units = areas.flatMap((own, unit) => (own === area ? [unit] : []));
    const { z } = zScoreUnits(takeColumns(responses, units), reference);
    if (z.cols === 0) return [];
    return [...new Set(conditions)].map((condition) => {
      const rows = conditions.flatMap((own, row) => (own === condition ? [row] : []));
      const values = Float64Array.from(rows, (row) => mean(z.data.subarray(row * z.cols, (row + 1) * z.cols)));
      return { area, condition, values, interval: meanInterval(values, options.interval), unitCount: z.cols };
    });
  });
}
