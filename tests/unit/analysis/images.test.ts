// Choosing images, finding features in them, and validating models with them.
import { describe, expect, test } from "vitest";
import { chooseDiverseSet, measureCoverage, selectNearestUnused } from "../../../src/analysis/diverseSet.ts";
import { refineKMeans } from "../../../src/analysis/kMeans.ts";
import { drawDiscs, listDiscPixels, localiseFeature, maskImage, measureResponseChanges, shuffleDisc } from "../../../src/analysis/localisation.ts";
import type { PixelImage } from "../../../src/analysis/localisation.ts";
import { decomposeSymmetric } from "../../../src/analysis/linearAlgebra.ts";
import { columnMeans, columnStatistics, createMatrix, gramOfColumns, matrixFromRows, standardise, takeRows } from "../../../src/analysis/matrix.ts";
import { fitPca, fitPcaOfStream, projectPca } from "../../../src/analysis/pca.ts";
import { validateModel } from "../../../src/analysis/validation.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aMatrix, expectClose, within } from "./support.ts";

describe("diverseSet", () => {
  /** Images in 20 clumps of very unequal sizes: random choice would mostly take the large ones. */
  function clumps(seed: number) {
    const rng = createRng(seed);
    const rows: number[][] = [];
    for (let clump = 0; clump < 20; clump++) {
      const centre = Array.from({ length: 8 }, () => 10 * rng.gaussian());
      const size = clump < 3 ? 150 : 8;
      for (let i = 0; i < size; i++) rows.push([...centre.map((value) => value + rng.gaussian()), clump]);
    }
    const labels = rows.map((row) => row[8]!);
    return { embedding: matrixFromRows(rows.map((row) => row.slice(0, 8))), labels };
  }

  test("chooses different images that reach every clump, where random choice does not", () => {
    const { embedding, labels } = clumps(1);
    const { images, distances, firstTwo, pca } = chooseDiverseSet({ embedding, count: 20, components: 6, rng: createRng(2) });
    expect(new Set(images).size).toBe(20);
    const reached = new Set(Array.from(images, (image) => labels[image]));
    expect(reached.size).toBeGreaterThanOrEqual(17);
    expect(distances).toHaveLength(20);
    expect([firstTwo.rows, firstTwo.cols]).toEqual([embedding.rows, 2]);
    expect(pca.components.rows).toBe(6);
    const coverage = measureCoverage({ space: embedding, selected: images, rng: createRng(3) });
    expect(coverage.occupiedShare).toBeGreaterThan(coverage.random.occupiedShare + 0.2);
    expect(coverage.meanDistance).toBeLessThan(coverage.random.meanDistance);
    expect(coverage.farthestDistance).toBeLessThan(coverage.random.farthestDistance);
  });

  test("the same seed chooses the same images", () => {
    const { embedding } = clumps(4);
    const choose = (seed: number) => [...chooseDiverseSet({ embedding, count: 12, rng: createRng(seed) }).images];
    expect(choose(5)).toEqual(choose(5));
  });

  test("can choose from another pool in the same space", () => {
    const { embedding } = clumps(6);
    const pool = aMatrix(30, 8, 7);
    const { images } = chooseDiverseSet({ embedding, pool, count: 30, rng: createRng(8) });
    expect([...images].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(() => chooseDiverseSet({ embedding, pool: aMatrix(30, 7), count: 5, rng: createRng(8) })).toThrow("expected a pool with 8 embedding dimensions, got 7");
    expect(() => chooseDiverseSet({ embedding, pool: aMatrix(4, 8), count: 5, rng: createRng(8) })).toThrow("expected at least 5 images to choose from, got 4");
  });

  test("a taken image sends the next centre to its second choice", () => {
    const centres = matrixFromRows([[0], [0.1], [0.2]]);
    expect([...selectNearestUnused(centres, matrixFromRows([[5], [0], [0.3], [9]]))]).toEqual([1, 2, 0]);
  });

  test("an image halfway between two candidates takes the first, whatever the last bit says", () => {
    const centre = matrixFromRows([[(0.1 + 0.7) / 2]]);
    expect([...selectNearestUnused(centre, matrixFromRows([[0.7], [0.1]]))]).toEqual([0]);
  });

  test("an empty cluster moves to the farthest image", () => {
    const data = matrixFromRows([[0], [0.1], [0.2], [10]]);
    const { centres, labels, inertia } = refineKMeans(data, matrixFromRows([[0.1], [-50]]));
    expect([...centres.data].sort((a, b) => a - b)[1]).toBe(10);
    expect(labels[3]).not.toBe(labels[0]);
    within(inertia, 0.02, 1e-12);
  });

  test("an empty cluster does not take the only image of another", () => {
    const data = matrixFromRows([[0], [0.1], [50]]);
    const { centres } = refineKMeans(data, matrixFromRows([[0], [60], [1000]]), { maxIterations: 1 });
    expect([...centres.data].sort((a, b) => a - b)).toEqual([0, 0.1, 50]);
  });

  test("PCA of more images than one block is that of the covariance, in single precision too", () => {
    const data = aMatrix(700, 9, 3);
    const single = { rows: 700, cols: 9, data: Float32Array.from(data.data) };
    const pca = fitPca(single, { components: 9 });
    const { values, vectors } = decomposeSymmetric(gramOfColumns(standardise(single, columnMeans(single))));
    expectClose(pca.explainedVariance, values.map((value) => value / 699), 1e-10);
    expectClose(pca.components.data.map(Math.abs), vectors.data.map(Math.abs), 1e-9);
    const scores = projectPca(pca, single);
    expectClose(columnStatistics(scores, { ddof: 1 }).sd.map((sd) => sd * sd), pca.explainedVariance, 1e-10);
  });

  test("PCA of rows that are streamed gives the same bits as of a matrix in memory, however the stream is cut", async () => {
    for (const [rows, cols, components] of [[700, 24, 9], [256, 24, 24], [20, 24, 5]] as const) {
      const data = { rows, cols, data: Float32Array.from(aMatrix(rows, cols).data) };
      const pca = fitPca(data, { components });
      for (const cut of [1, 100, 256, 1000]) {
        const stream = { rows, cols, async *read() {
          for (let from = 0; from < rows; from += cut) yield { rows: Math.min(cut, rows - from), cols, data: data.data.subarray(from * cols, (from + cut) * cols) };
        } };
        const streamed = await fitPcaOfStream(stream, { components });
        expect(streamed.pca).toEqual(pca);
        expect(streamed.scores.data.map((v) => v + 0)).toEqual(projectPca(pca, data).data.map((v) => v + 0));
        await expect(fitPcaOfStream({ ...stream, rows: rows + 1 }, { components })).rejects.toThrow(`expected ${rows + 1} rows`);
      }
    }
  });

  test("PCA keeps no direction for data without variance", () => {
    const { explainedVariance, components } = fitPca(createMatrix(4, 3), { components: 2 });
    expect([...explainedVariance]).toEqual([0, 0]);
    expect(components.data.every((value) => value === 0)).toBe(true);
    expect(() => fitPca(aMatrix(4, 3), { components: 4 })).toThrow("expected 1 to 3 components, got 4");
  });
});

describe("feature localisation", () => {
  function anImage(width: number, height: number): PixelImage {
    const rng = createRng("image");
    return { width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, () => rng.int(256)) };
  }

  test("discs lie inside the image and hold the pixels within their radius", () => {
    const discs = drawDiscs({ rng: createRng(1), count: 500 });
    for (const { xPx, yPx } of discs) {
      expect(Math.min(xPx, yPx)).toBeGreaterThanOrEqual(25);
      expect(Math.max(xPx, yPx)).toBeLessThanOrEqual(230);
    }
    expect(new Set(discs.map((disc) => disc.xPx)).size).toBeGreaterThan(100);
    const pixels = listDiscPixels({ xPx: 100, yPx: 100 }, { widthPx: 256, heightPx: 256, diameterPx: 50 });
    const inside = Array.from({ length: 256 * 256 }, (_, i) => i).filter((i) => (Math.floor(i / 256) - 100) ** 2 + ((i % 256) - 100) ** 2 <= 625);
    expect(pixels).toEqual(inside);
    expect(() => drawDiscs({ widthPx: 40, rng: createRng(1) })).toThrow("expected discs that fit inside 40 x 256 px");
  });

  test("shuffling moves whole pixels inside the disc and nothing else", () => {
    const image = anImage(40, 30);
    const disc = { xPx: 15, yPx: 12 };
    const shuffled = shuffleDisc(image, disc, { diameterPx: 16, rng: createRng(3) });
    const inside = new Set(listDiscPixels(disc, { widthPx: 40, heightPx: 30, diameterPx: 16 }));
    const pixelsOf = (from: PixelImage, wanted: boolean) =>
      Array.from({ length: 40 * 30 }, (_, i) => i).filter((i) => inside.has(i) === wanted).map((i) => [...from.data.subarray(i * 3, i * 3 + 3)].join());
    expect(pixelsOf(shuffled, false)).toEqual(pixelsOf(image, false));
    expect(pixelsOf(shuffled, true)).not.toEqual(pixelsOf(image, true));
    expect(pixelsOf(shuffled, true).sort()).toEqual(pixelsOf(image, true).sort());
  });

  test("a neuron that needs one corner gets its mask there", () => {
    const rng = createRng(5);
    const discs = drawDiscs({ rng, count: 60 });
    const needed = { xPx: 70, yPx: 180 };
    const perturbed = discs.map(({ xPx, yPx }) => 50 * (1 - Math.exp(-((xPx - needed.xPx) ** 2 + (yPx - needed.yPx) ** 2) / 1800)));
    const { peak, mask, keptPixelCount } = localiseFeature(discs, measureResponseChanges(50, perturbed));
    expect(Math.hypot((peak?.xPx ?? 0) - needed.xPx, (peak?.yPx ?? 0) - needed.yPx)).toBeLessThan(25);
    expect(mask[needed.yPx * 256 + needed.xPx]).toBe(1);
    expect(mask[20 * 256 + 240]).toBe(0);
    expect(keptPixelCount).toBeLessThan(256 * 256 * 0.3);
    const image = { width: 256, height: 256, channels: 1, data: new Uint8Array(256 * 256).fill(200) };
    const shown = maskImage(image, mask);
    expect(shown.data.filter((value) => value === 200)).toHaveLength(keptPixelCount);
    expect(shown.data[20 * 256 + 240]).toBe(128);
  });

  test("where no perturbation lowers the response there is no region, not an arbitrary one", () => {
    const discs = drawDiscs({ rng: createRng(6) });
    const found = localiseFeature(discs, discs.map(() => -0.2));
    expect(found).toMatchObject({ peak: null, keptPixelCount: 0 });
    expect(found.mask.every((kept) => kept === 0)).toBe(true);
  });

  test("refuses a silent neuron and a change that is no number", () => {
    expect(() => measureResponseChanges(0, [1])).toThrow("above 0 spikes/s, got 0");
    expect(() => localiseFeature([{ xPx: 30, yPx: 30 }], [Number.NaN])).toThrow("got NaN for disc 0");
    expect(() => localiseFeature([{ xPx: 30, yPx: 30 }], [])).toThrow("got 0 for 1 discs");
  });
});

describe("measured against predicted", () => {
  test("images beyond the training range are counted as extrapolation and tested against the natural ones", () => {
    const rng = createRng(9);
    const natural = Array.from({ length: 128 }, () => 20 + 5 * rng.gaussian());
    const predictedNatural = natural.map((rate) => 20 + 0.5 * (rate - 20) + rng.gaussian());
    const model = Array.from({ length: 5 }, () => 40 + rng.gaussian());
    const result = validateModel({
      training: { measured: natural.slice(0, 100), predicted: predictedNatural.slice(0, 100) },
      test: { measured: natural.slice(100), predicted: predictedNatural.slice(100) },
      model: { measured: model, predicted: model.map(() => 60) },
      permutations: 2000,
      rng,
    });
    expect(result.extrapolation.predictedBeyondShare).toBe(1);
    expect(result.extrapolation.measuredBeyondShare).toBeGreaterThan(0.5);
    expect(result.extrapolation.gainSd).toBeGreaterThan(3);
    expect(result.modelVsNatural).toMatchObject({ exact: false, permutations: 2000, alternative: "greater" });
    expect(result.modelVsNatural.p).toBeLessThan(0.01);
    expect(result.test?.n).toBe(28);
    expect(result.training.r).toBeGreaterThan(0.8);
    expect(result.model.r).toBeNull();
  });

  test("without held-out images there is no test agreement", () => {
    const pairs = { measured: [1, 2, 3], predicted: [1, 2, 2] };
    const result = validateModel({ training: pairs, model: { measured: [3, 1], predicted: [9, 2] }, rng: createRng(1) });
    expect(result.test).toBeNull();
    // As high as the highest training image is not beyond it.
    expect(result.extrapolation).toMatchObject({ predictedBeyondShare: 0.5, measuredBeyondShare: 0, gainSd: 0 });
  });

  test("rows of a matrix can be taken twice", () => {
    expect([...takeRows(matrixFromRows([[1], [2]]), [1, 1]).data]).toEqual([2, 2]);
  });
});
