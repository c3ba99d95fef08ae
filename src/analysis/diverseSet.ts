// Choosing a small set of images that covers an embedding space, and how well it does. Knows nothing about files or networks.
//
// SPEC 3 (P A.1): PCA of the embeddings to 300 components, mini-batch k-means into 160 clusters, for every centre the
// nearest image that is not taken yet.
import type { Rng } from "../shared/rng.ts";
import { assignToCentres, clusterMiniBatches, largestRowSquare, nearestColumn, refineKMeans, seedKMeans, squaredDistances } from "./kMeans.ts";
import type { KMeans } from "./kMeans.ts";
import { checkMatrix, createMatrix, forEachRowBlock, takeRows } from "./matrix.ts";
import type { Matrix, Matrix64 } from "./matrix.ts";
import { fitPca, projectPca } from "./pca.ts";
import type { Pca } from "./pca.ts";
import { mean, quantile } from "./statistics.ts";

export interface DiverseSet {
  /** Rows of the pool, one per cluster in cluster order, all different. */
  readonly images: Int32Array;
  readonly pca: Pca;
  /** The clusters in PCA space; `centres` is [clusters, components]. */
  readonly clusters: KMeans;
  /** Distance of each chosen image to its centre in PCA space. */
  readonly distances: Float64Array;
  /** Scores of the pool on the first two components, [pool, 2], for the plot. */
  readonly firstTwo: Matrix64;
}

/** How well a selection covers a space, next to random selections of the same size. All distances Euclidean. */
export interface Coverage {
  /** Mean distance of the pool's images to the nearest selected one. */
  readonly meanDistance: number;
  /** Largest such distance. */
  readonly farthestDistance: number;
  /** Share of equal-sized regions of the pool (k-means, as many as images selected) that hold a selected image. */
  readonly occupiedShare: number;
  /** Median over random selections of the same numbers. */
  readonly random: { readonly meanDistance: number; readonly farthestDistance: number; readonly occupiedShare: number; readonly draws: number };
}

/** For every centre, in order, the nearest row that no earlier centre took; the lower row in a tie. Throws where there are more centres than rows. */
export function selectNearestUnused(centres: Matrix, data: Matrix): Int32Array {
  if (centres.rows > data.rows) throw new Error(`expected at least ${centres.rows} images to choose from, got ${data.rows}`);
  const taken = new Uint8Array(data.rows);
  const scale = Math.max(largestRowSquare(centres), largestRowSquare(data));
  const images = new Int32Array(centres.rows);
  for (let from = 0; from < centres.rows; from += centresAtOnce) {
    const some = takeRows(centres, Array.from({ length: Math.min(centresAtOnce, centres.rows - from) }, (_, i) => from + i));
    const table = new Float64Array(some.rows * data.rows);
    // In blocks: the whole table, and a second copy of the images, are not held.
    forEachRowBlock(data, (rows, first, end) => {
      const block = squaredDistances(some, createMatrix(end - first, data.cols, rows));
      for (let c = 0; c < some.rows; c++) table.set(block.data.subarray(c * block.cols, (c + 1) * block.cols), c * data.rows + first);
    }, 4096);
    for (let c = 0; c < some.rows; c++) {
      const best = nearestColumn(table, c * data.rows, data.rows, scale, taken);
      if (best < 0) throw new Error(`expected numbers to choose by, got NaN around centre ${from + c}`);
      taken[best] = 1;
      images[from + c] = best;
    }
  }
  return images;
}

const centresAtOnce = 32;

/**
 * Chooses `count` images (default 160) that cover an embedding. `embedding` [images, dimensions] defines the space; `pool`
 * (default: the same images) is what to choose from, in the same dimensions. Components default to 300, or as many as there
 * are. Mini-batches are used above `exactUpTo` images (default 20 000); below it the mini-batch result is refined exactly.
 */
export function chooseDiverseSet(options: {
  readonly embedding: Matrix;
  readonly pool?: Matrix;
  readonly count?: number;
  readonly components?: number;
  readonly exactUpTo?: number;
  readonly rng: Rng;
}): DiverseSet {
  const { embedding, rng } = options;
  const pool = options.pool ?? embedding;
  checkMatrix(embedding, "embedding");
  checkMatrix(pool, "pool");
  if (pool.cols !== embedding.cols) throw new Error(`expected a pool with ${embedding.cols} embedding dimensions, got ${pool.cols}`);
  const count = options.count ?? 160;
  const most = Math.min(embedding.rows - 1, embedding.cols);
  const pca = fitPca(embedding, { components: Math.min(options.components ?? 300, most) });
  return chooseInSpace({ pca, space: projectPca(pca, embedding), ...(options.pool === undefined ? {} : { candidates: projectPca(pca, pool) }), count, exactUpTo: options.exactUpTo ?? 20_000, rng });
}

/** The same where the components are there already: `space` and `candidates` (default: the same) are scores on them. */
export function chooseInSpace(options: { readonly pca: Pca; readonly space: Matrix64; readonly candidates?: Matrix64; readonly count: number; readonly exactUpTo: number; readonly rng: Rng }): DiverseSet {
  const { pca, space, count, rng } = options;
  const candidates = options.candidates ?? space;
  const coarse = clusterMiniBatches(space, { clusters: count, rng });
  const clusters = space.rows <= options.exactUpTo ? refineKMeans(space, coarse.centres) : coarse;
  const images = selectNearestUnused(clusters.centres, candidates);
  const chosen = takeRows(candidates, images);
  const table = squaredDistances(clusters.centres, chosen);
  return {
    images,
    pca,
    clusters,
    distances: Float64Array.from(images, (_, c) => Math.sqrt(table.data[c * images.length + c]!)),
    firstTwo: firstColumns(candidates, 2),
  };
}

/**
 * Coverage of a space by a selection, e.g. in the output space of a second network (SPEC 3). `space` [images, dimensions],
 * `selected` rows of it; `draws` random selections (default 20) stand beside it.
 */
export function measureCoverage(options: {
  readonly space: Matrix;
  readonly selected: ArrayLike<number>;
  readonly draws?: number;
  readonly rng: Rng;
}): Coverage {
  const { space, selected, rng } = options;
  const draws = options.draws ?? 20;
  if (selected.length < 1) throw new Error("expected at least one selected image, got none");
  if (!Number.isInteger(draws) || draws < 1) throw new Error(`expected a whole, positive number of random draws, got ${draws}`);
  const regions = refineKMeans(space, takeRows(space, seedKMeans(space, selected.length, rng)), { maxIterations: 50, tolerance: 1e-4 });
  const own = coverageOf(space, selected, regions.labels);
  const rows = Array.from({ length: space.rows }, (_, i) => i);
  const random = Array.from({ length: draws }, () => coverageOf(space, rng.shuffle(rows).slice(0, selected.length), regions.labels));
  const median = (pick: (coverage: { meanDistance: number; farthestDistance: number; occupiedShare: number }) => number) =>
    quantile(random.map(pick), 0.5);
  return {
    ...own,
    random: {
      meanDistance: median((c) => c.meanDistance),
      farthestDistance: median((c) => c.farthestDistance),
      occupiedShare: median((c) => c.occupiedShare),
      draws,
    },
  };
}

function coverageOf(space: Matrix, selected: ArrayLike<number>, regionOf: Int32Array) {
  const { squares } = assignToCentres(space, takeRows(space, selected));
  const distances = squares.map(Math.sqrt);
  const occupied = new Set(Array.from(selected, (row) => regionOf[row]!));
  return {
    meanDistance: mean(distances),
    farthestDistance: distances.reduce((a, b) => Math.max(a, b), 0),
    occupiedShare: occupied.size / selected.length,
  };
}

function firstColumns(matrix: Matrix64, count: number): Matrix64 {
  const cols = Math.min(count, matrix.cols);
  const data = new Float64Array(matrix.rows * cols);
  for (let r = 0; r < matrix.rows; r++) data.set(matrix.data.subarray(r * matrix.cols, r * matrix.cols + cols), r * cols);
  return { rows: matrix.rows, cols, data };
}
