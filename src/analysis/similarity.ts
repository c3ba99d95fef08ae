// How alike two sets of images are in the eyes of networks. Knows nothing about how images were made; takes activations.
//
// SPEC 7 (P 3): mean pairwise cosine between the activations to control and to ablated images, averaged over an ensemble of
// networks; the control with itself leaves the diagonal out.
import { checkMatrix, dot, toFloat64 } from "./matrix.ts";
import type { Matrix } from "./matrix.ts";
import { mean } from "./statistics.ts";

/** Activations of one network to the images of two conditions. */
export interface NetworkActivations {
  readonly name: string;
  /** [control images, features]. */
  readonly control: Matrix;
  /** [ablated images, features]. */
  readonly ablated: Matrix;
}

export interface EnsembleSimilarity {
  readonly networks: readonly {
    readonly name: string;
    readonly controlVsAblated: number;
    /** null below two control images. */
    readonly controlVsControl: number | null;
  }[];
  /** Mean over networks. */
  readonly controlVsAblated: number;
  readonly controlVsControl: number | null;
}

/**
 * Mean cosine over all pairs of a row of `a` with a row of `b`. Both [images, features]. A row of zeros has a cosine of 0 with
 * everything. Equal to the dot product of the mean unit vectors, so it costs one pass.
 */
export function meanPairwiseCosine(a: Matrix, b: Matrix): number {
  if (a.cols !== b.cols) throw new Error(`expected activations of as many features, got ${a.cols} and ${b.cols}`);
  if (a.rows === 0 || b.rows === 0) throw new Error(`expected images on both sides, got ${a.rows} and ${b.rows}`);
  const sumA = sumOfUnitRows(a);
  const sumB = sumOfUnitRows(b);
  return dot(sumA.sum, 0, sumB.sum, 0, a.cols) / (a.rows * b.rows);
}

/** Mean cosine over the pairs of different rows of `a`: the diagonal is left out. null below two rows. */
export function meanSelfCosine(a: Matrix): number | null {
  if (a.rows < 2) return null;
  const { sum, nonZero } = sumOfUnitRows(a);
  return (dot(sum, 0, sum, 0, a.cols) - nonZero) / (a.rows * (a.rows - 1));
}

/** Similarity of ablated to control images over an ensemble of networks. Throws on an empty ensemble. */
export function measureEnsembleSimilarity(networks: readonly NetworkActivations[]): EnsembleSimilarity {
  const each = networks.map(({ name, control, ablated }) => ({
    name,
    controlVsAblated: meanPairwiseCosine(control, ablated),
    controlVsControl: meanSelfCosine(control),
  }));
  const baselines = each.flatMap((network) => (network.controlVsControl === null ? [] : [network.controlVsControl]));
  return {
    networks: each,
    controlVsAblated: mean(each.map((network) => network.controlVsAblated)),
    controlVsControl: baselines.length === each.length ? mean(baselines) : null,
  };
}

/**
 * Similarity from a table of distances [control images, ablated images], e.g. LPIPS: mean of 1 - distance (SPEC 7).
 * With `withoutDiagonal` the table is of one set with itself, square, and its diagonal is left out.
 */
export function similarityFromDistances(distances: Matrix, options: { readonly withoutDiagonal?: boolean } = {}): number {
  checkMatrix(distances, "distances");
  const withoutDiagonal = options.withoutDiagonal ?? false;
  if (withoutDiagonal && distances.rows !== distances.cols) {
    throw new Error(`expected a square table of distances within one set, got ${distances.rows} x ${distances.cols}`);
  }
  const similarities: number[] = [];
  for (let i = 0; i < distances.rows; i++) {
    for (let j = 0; j < distances.cols; j++) {
      if (!(withoutDiagonal && i === j)) similarities.push(1 - distances.data[i * distances.cols + j]!);
    }
  }
  return mean(similarities);
}

function sumOfUnitRows(matrix: Matrix): { sum: Float64Array; nonZero: number } {
  checkMatrix(matrix, "activations");
  const { rows, cols, data } = toFloat64(matrix);
  const sum = new Float64Array(cols);
  let nonZero = 0;
  for (let r = 0; r < rows; r++) {
    // Scaled by the largest entry first: a plain sum of squares over- or underflows.
    let largest = 0;
    for (let c = 0; c < cols; c++) largest = Math.max(largest, Math.abs(data[r * cols + c]!));
    if (Number.isNaN(largest)) throw new Error(`expected numbers as activations, got NaN for image ${r}`);
    if (largest === 0) continue;
    nonZero++;
    let square = 0;
    for (let c = 0; c < cols; c++) square += (data[r * cols + c]! / largest) ** 2;
    const factor = 1 / (largest * Math.sqrt(square));
    for (let c = 0; c < cols; c++) sum[c] = sum[c]! + data[r * cols + c]! * factor;
  }
  return { sum, nonZero };
}
