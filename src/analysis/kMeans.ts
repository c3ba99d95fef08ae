// k-means clustering: k-means++ starts, Lloyd's iterations, mini-batches. Knows nothing about images.
import type { Rng } from "../shared/rng.ts";
import { checkMatrix, columnStatistics, createMatrix, dot, multiplyTransposed, takeRows, toFloat64 } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";

export interface KMeans {
  /** [clusters, features]. */
  readonly centres: Matrix64;
  /** Cluster of each row, [rows]. */
  readonly labels: Int32Array;
  /** Sum of squared distances of the rows to their centres. */
  readonly inertia: number;
  readonly iterations: number;
  /** False where the iterations ran out first. */
  readonly converged: boolean;
}

/** Rows handled together in a distance table, so that the table stays small. */
const blockRows = 1024;

/** Squared Euclidean distances, [a.rows, b.rows]; rounding below zero is cut off. */
export function squaredDistances(a: Matrix, b: Matrix): Matrix64 {
  const left = toFloat64(a);
  const right = toFloat64(b);
  const table = multiplyTransposed(left, right);
  const aSquares = rowSquares(left);
  const bSquares = rowSquares(right);
  for (let i = 0; i < table.rows; i++) {
    const start = i * table.cols;
    for (let j = 0; j < table.cols; j++) {
      table.data[start + j] = Math.max(0, aSquares[i]! + bSquares[j]! - 2 * table.data[start + j]!);
    }
  }
  return table;
}

/**
 * Column of the smallest entry among `length` squared distances from `start`. Entries that differ by rounding only (relative
 * 1e-12 of `scale`, the size of the squares they were made from) are ties, and the lowest column wins: a row halfway between
 * two others must not go where the last bit says. `skip` marks columns that are out; -1 where all are.
 */
export function nearestColumn(table: Float64Array, start: number, length: number, scale: number, skip?: Uint8Array): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let j = 0; j < length; j++) if (skip?.[j] !== 1 && table[start + j]! < smallest) smallest = table[start + j]!;
  const limit = smallest + 1e-12 * scale;
  for (let j = 0; j < length; j++) if (skip?.[j] !== 1 && table[start + j]! <= limit) return j;
  return -1;
}

/** Largest sum of squares of a row. */
export function largestRowSquare(matrix: Matrix): number {
  return rowSquares(toFloat64(matrix)).reduce((a, b) => Math.max(a, b), 0);
}

/** For every row its nearest centre (the lower index in a tie) and the squared distance to it. Throws on NaN. */
export function assignToCentres(data: Matrix, centres: Matrix): { readonly labels: Int32Array; readonly squares: Float64Array; readonly inertia: number } {
  const x = toFloat64(data);
  const c = toFloat64(centres);
  const labels = new Int32Array(x.rows);
  const squares = new Float64Array(x.rows);
  const scale = Math.max(largestRowSquare(x), largestRowSquare(c));
  let inertia = 0;
  for (let from = 0; from < x.rows; from += blockRows) {
    const to = Math.min(x.rows, from + blockRows);
    const block = createMatrix(to - from, x.cols, x.data.subarray(from * x.cols, to * x.cols));
    const table = squaredDistances(block, c);
    for (let i = 0; i < block.rows; i++) {
      const best = nearestColumn(table.data, i * table.cols, table.cols, scale);
      if (best < 0) throw new Error(`expected numbers to cluster, got NaN in row ${from + i} or in a centre`);
      labels[from + i] = best;
      // The table cancels; the distance itself is taken from the differences.
      const square = squaredDistance(block.data, i * x.cols, c.data, best * x.cols, x.cols);
      squares[from + i] = square;
      inertia += square;
    }
  }
  return { labels, squares, inertia };
}

/**
 * Lloyd's algorithm from the given centres, deterministic. Stops where no label changes, or where the centres moved by less
 * than `tolerance` times the mean variance of the features (squared, summed; scikit-learn's tol). An empty cluster moves to
 * the row farthest from its centre. Defaults: 300 iterations, tolerance 0.
 */
export function refineKMeans(
  data: Matrix,
  start: Matrix,
  options: { readonly maxIterations?: number; readonly tolerance?: number } = {},
): KMeans {
  checkMatrix(data, "data");
  if (start.cols !== data.cols) throw new Error(`expected centres with ${data.cols} features, got ${start.cols}`);
  if (start.rows < 1 || start.rows > data.rows) throw new Error(`expected 1 to ${data.rows} centres for ${data.rows} rows, got ${start.rows}`);
  const x = toFloat64(data);
  const limit = (options.tolerance ?? 0) * meanVariance(x);
  const maxIterations = options.maxIterations ?? 300;
  let centres = createMatrix(start.rows, start.cols, Float64Array.from(start.data));
  let last: Int32Array | null = null;
  let iterations = 0;
  let converged = false;
  while (iterations < maxIterations && !converged) {
    iterations++;
    const { labels, squares } = assignToCentres(x, centres);
    const moved = averageClusters(x, labels, squares, centres);
    let shift = 0;
    for (let i = 0; i < moved.data.length; i++) shift += (moved.data[i]! - centres.data[i]!) ** 2;
    centres = moved;
    const sameLabels = last !== null && labels.every((label, i) => label === last?.[i]);
    last = labels;
    converged = sameLabels || shift <= limit;
  }
  const { labels, inertia } = assignToCentres(x, centres);
  return { centres, labels, inertia, iterations, converged };
}

/**
 * k-means++ starting centres (Arthur & Vassilvitskii 2007), the best of 2 + ln k candidates at each step as scikit-learn
 * draws them. Throws where there are fewer rows than centres. Returns the rows chosen.
 */
export function seedKMeans(data: Matrix, clusters: number, rng: Rng): Int32Array {
  checkMatrix(data, "data");
  if (!Number.isInteger(clusters) || clusters < 1 || clusters > data.rows) {
    throw new Error(`expected 1 to ${data.rows} clusters for ${data.rows} rows, got ${clusters}`);
  }
  const x = toFloat64(data);
  const n = x.rows;
  const chosen = new Int32Array(clusters);
  chosen[0] = rng.int(n);
  const nearest = distancesTo(x, chosen[0]!);
  const trials = 2 + Math.floor(Math.log(clusters));
  for (let c = 1; c < clusters; c++) {
    const total = nearest.reduce((sum, value) => sum + value, 0);
    let best: { row: number; squares: Float64Array; total: number } | null = null;
    for (let trial = 0; trial < trials; trial++) {
      const row = total > 0 ? drawByWeight(nearest, total, rng) : rng.int(n);
      const squares = distancesTo(x, row);
      let sum = 0;
      for (let i = 0; i < n; i++) {
        squares[i] = Math.min(squares[i]!, nearest[i]!);
        sum += squares[i]!;
      }
      if (best === null || sum < best.total) best = { row, squares, total: sum };
    }
    if (best === null) throw new Error("expected a candidate centre, got none");
    chosen[c] = best.row;
    nearest.set(best.squares);
  }
  return chosen;
}

/**
 * Mini-batch k-means (Sculley 2010): each batch moves its centres by the running mean of all rows they were ever given.
 * Starts from k-means++ on a sample; centres that hold almost nothing are put onto random rows of the batch. Stops after
 * `patience` batches without a better smoothed inertia. Defaults: batches of 1024, 100 passes over the data, patience 10.
 * Use it where there are many rows (tens of thousands); `refineKMeans` is exact and better below that.
 */
export function clusterMiniBatches(
  data: Matrix,
  options: {
    readonly clusters: number;
    readonly rng: Rng;
    readonly batchSize?: number;
    readonly maxPasses?: number;
    readonly patience?: number;
  },
): KMeans {
  checkMatrix(data, "data");
  const { clusters, rng } = options;
  const x = toFloat64(data);
  const n = x.rows;
  const batchSize = Math.min(n, options.batchSize ?? 1024);
  const patience = options.patience ?? 10;
  const maxBatches = Math.ceil(((options.maxPasses ?? 100) * n) / batchSize);
  const sampleRows = drawRows(n, Math.min(n, Math.max(3 * batchSize, 3 * clusters)), rng);
  const sample = takeRows(x, sampleRows);
  const centres = takeRows(sample, seedKMeans(sample, clusters, rng));
  const given = new Float64Array(clusters);
  let smoothed: number | null = null;
  let best = Number.POSITIVE_INFINITY;
  let sinceBest = 0;
  let sinceMove = 0;
  let batches = 0;
  while (batches < maxBatches && sinceBest < patience) {
    batches++;
    const batch = takeRows(x, drawRows(n, batchSize, rng));
    const { labels, inertia } = assignToCentres(batch, centres);
    for (let i = 0; i < batch.rows; i++) {
      const c = labels[i]!;
      given[c] = given[c]! + 1;
      const step = 1 / given[c]!;
      for (let f = 0; f < x.cols; f++) {
        const at = c * x.cols + f;
        centres.data[at] = centres.data[at]! + step * (batch.data[i * x.cols + f]! - centres.data[at]!);
      }
    }
    // A centre with under 1 % of the largest one's rows is wasted: give it a random row of this batch.
    sinceMove += batch.rows;
    if (sinceMove >= 10 * clusters) {
      sinceMove = 0;
      const most = given.reduce((a, b) => Math.max(a, b), 0);
      const least = given.reduce((a, b) => (b >= 0.01 * most ? Math.min(a, b) : a), most);
      for (let c = 0; c < clusters; c++) {
        if (given[c]! >= 0.01 * most) continue;
        const row = rng.int(batch.rows);
        centres.data.set(batch.data.subarray(row * x.cols, (row + 1) * x.cols), c * x.cols);
        given[c] = least;
      }
    }
    // Exponential mean over about two passes, as scikit-learn smooths it.
    const weight = Math.min(1, (2 * batchSize) / (n + 1));
    const perRow = inertia / batch.rows;
    smoothed = smoothed === null ? perRow : smoothed * (1 - weight) + perRow * weight;
    if (smoothed < best) {
      best = smoothed;
      sinceBest = 0;
    } else {
      sinceBest++;
    }
  }
  const { labels, inertia } = assignToCentres(x, centres);
  return { centres, labels, inertia, iterations: batches, converged: sinceBest >= patience };
}

function averageClusters(x: Matrix64, labels: Int32Array, squares: Float64Array, before: Matrix64): Matrix64 {
  const centres = createMatrix(before.rows, before.cols);
  const counts = new Float64Array(before.rows);
  const owner = Int32Array.from(labels);
  labels.forEach((label) => {
    counts[label] = counts[label]! + 1;
  });
  const empty = Array.from(counts.keys()).filter((c) => counts[c] === 0);
  if (empty.length > 0) {
    const farthest = Array.from(squares.keys()).sort((a, b) => squares[b]! - squares[a]! || a - b);
    let next = 0;
    for (const c of empty) {
      // Not the last row of a cluster: that would only move the hole.
      while (next < farthest.length && counts[owner[farthest[next]!]!]! <= 1) next++;
      const row = farthest[next++];
      if (row === undefined) break;
      counts[owner[row]!] = counts[owner[row]!]! - 1;
      owner[row] = c;
      counts[c] = 1;
    }
  }
  for (let i = 0; i < x.rows; i++) {
    const c = owner[i]! * x.cols;
    for (let f = 0; f < x.cols; f++) centres.data[c + f] = centres.data[c + f]! + x.data[i * x.cols + f]!;
  }
  for (let c = 0; c < centres.rows; c++) {
    for (let f = c * x.cols; f < (c + 1) * x.cols; f++) centres.data[f] = counts[c]! > 0 ? centres.data[f]! / counts[c]! : before.data[f]!;
  }
  return centres;
}

function rowSquares(x: Matrix64): Float64Array {
  return Float64Array.from({ length: x.rows }, (_, i) => dot(x.data, i * x.cols, x.data, i * x.cols, x.cols));
}

function distancesTo(x: Matrix64, row: number): Float64Array {
  return Float64Array.from({ length: x.rows }, (_, i) => squaredDistance(x.data, i * x.cols, x.data, row * x.cols, x.cols));
}

function squaredDistance(a: Float64Array, aStart: number, b: Float64Array, bStart: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!;
    sum += difference * difference;
  }
  return sum;
}

function meanVariance(x: Matrix64): number {
  const { sd } = columnStatistics(x, { ddof: 0 });
  return sd.reduce((sum, value) => sum + value * value, 0) / Math.max(1, sd.length);
}

function drawByWeight(weights: Float64Array, total: number, rng: Rng): number {
  let rest = rng.uniform() * total;
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i]!;
    if (rest < 0 && weights[i]! > 0) return i;
  }
  return weights.findLastIndex((weight) => weight > 0);
}

/** `count` different rows of n in random order (Floyd's sampling, then shuffled). */
function drawRows(n: number, count: number, rng: Rng): number[] {
  const taken = new Set<number>();
  for (let j = n - count; j < n; j++) {
    const draw = rng.int(j + 1);
    taken.add(taken.has(draw) ? j : draw);
  }
  return rng.shuffle([...taken]);
}
