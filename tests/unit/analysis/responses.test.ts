import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMatrix, elementAt } from "../../../src/analysis/matrix.ts";
import {
  averageByImage,
  correctForNoise,
  countSpikes,
  dPrime,
  estimateNoiseCeilings,
  lifetimeSparseness,
  makePsth,
  makePsthByImage,
  measureEvokedRates,
  measureRates,
  measureSelectivity,
  spearmanBrown,
} from "../../../src/analysis/responses.ts";
import { mean, pearson } from "../../../src/analysis/statistics.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { expectClose, within } from "./support.ts";

const ms = 1e6;

/** Spike times in ms, as the rig's ns. */
function spikesAt(...timesMs: number[]): Float64Array {
  return Float64Array.from(timesMs, (time) => time * ms);
}

describe("spike counts", () => {
  test("fall into the half-open window 70 to 170 ms after each onset", () => {
    const spikeTimesNs = spikesAt(69.999, 70, 100, 169.999, 170, 1070, 1170);
    expect([...countSpikes({ spikeTimesNs, onsetsNs: [0, 1000 * ms, 5000 * ms] })]).toEqual([3, 1, 0]);
  });

  test("are what counting one by one gives, for any spikes and any window", () => {
    const times = fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 60 }).map((list) => [...list].sort((a, b) => a - b));
    fc.assert(
      fc.property(times, fc.array(fc.integer({ min: -100, max: 3000 }), { maxLength: 8 }), fc.integer({ min: -100, max: 100 }), fc.integer({ min: 1, max: 300 }), (list, onsets, startMs, lengthMs) => {
        const window = { startMs, endMs: startMs + lengthMs };
        const counts = countSpikes({ spikeTimesNs: spikesAt(...list), onsetsNs: onsets.map((onset) => onset * ms), window });
        const plain = onsets.map((onset) => list.filter((time) => time >= onset + startMs && time < onset + window.endMs).length);
        expect([...counts]).toEqual(plain);
      }),
    );
  });

  test("become rates per second, and evoked rates less the baseline before the visual latency", () => {
    const units = [spikesAt(80, 90, 1010, 1100), spikesAt()];
    const onsetsNs = [0, 1000 * ms];
    expect([...measureRates({ spikeTimesNs: units, onsetsNs }).data]).toEqual([20, 0, 10, 0]);
    expect([...measureEvokedRates({ spikeTimesNs: units, onsetsNs }).data]).toEqual([20, 0, 10 - 25, 0]);
  });

  test("refuse a window without length and an onset that is missing", () => {
    expect(() => countSpikes({ spikeTimesNs: spikesAt(), onsetsNs: [], window: { startMs: 100, endMs: 100 } })).toThrow("got 100 to 100 ms");
    expect(() => countSpikes({ spikeTimesNs: spikesAt(), onsetsNs: [0, Number.NaN] })).toThrow("NaN at presentation 1");
  });
});

describe("PSTH", () => {
  test("gives rate and standard error per bin, each spike in one bin", () => {
    const { binCentersMs, rateHz, semHz, presentations } = makePsth({
      spikeTimesNs: spikesAt(-10, 0, 5, 19.99, 20, 1000),
      onsetsNs: [0, 1000 * ms],
      startMs: -10,
      endMs: 30,
      binMs: 10,
    });
    expect([...binCentersMs]).toEqual([-5, 5, 15, 25]);
    expectClose(rateHz, [50, 150, 50, 50], 1e-9);
    expectClose(semHz, [50, 50, 50, 50], 1e-9);
    expect(presentations).toBe(2);
  });

  test("bins add up to the spikes of the window", () => {
    const rng = createRng(2);
    const times = Array.from({ length: 400 }, () => rng.uniform() * 2000).sort((a, b) => a - b);
    const onsetsNs = [100, 400, 900].map((onset) => onset * ms);
    const spikeTimesNs = spikesAt(...times);
    const { rateHz } = makePsth({ spikeTimesNs, onsetsNs, startMs: 0, endMs: 200, binMs: 5 });
    const total = countSpikes({ spikeTimesNs, onsetsNs, window: { startMs: 0, endMs: 200 } }).reduce((a, b) => a + b, 0);
    expect(rateHz.reduce((a, b) => a + b, 0) * 0.005 * 3).toBeCloseTo(total, 9);
  });

  test("smoothing keeps a constant rate constant up to the edges", () => {
    const everyMs = spikesAt(...Array.from({ length: 400 }, (_, i) => i - 100 + 0.5));
    const { rateHz } = makePsth({ spikeTimesNs: everyMs, onsetsNs: [0], startMs: -50, endMs: 200, binMs: 10, smoothingSdMs: 15 });
    expectClose(rateHz, new Array<number>(25).fill(1000), 1e-9);
  });

  test("by image: each image from its own presentations, NaN for one that was not shown", () => {
    const { rateHz } = makePsthByImage({
      spikeTimesNs: spikesAt(5, 1005, 1006, 2001),
      onsetsNs: [0, 1000 * ms, 2000 * ms],
      imageIndices: [0, 2, 0],
      imageCount: 3,
      startMs: 0,
      endMs: 10,
      binMs: 10,
    });
    expect([...rateHz.data]).toEqual([100, Number.NaN, 200]);
  });
});

describe("image averages", () => {
  const responses = createMatrix(5, 2, Float64Array.of(1, 10, 3, 10, 5, 20, 7, 10, 9, 40));

  test("leave out images that were never shown and count the repeats", () => {
    const { images, repeats, mean: average, sem } = averageByImage({ responses, imageIndices: [4, 4, 0, 2, 0] });
    expect([...images]).toEqual([0, 2, 4]);
    expect([...repeats]).toEqual([2, 1, 2]);
    expect([...average.data]).toEqual([7, 30, 7, 10, 2, 10]);
    expect([...sem.data]).toEqual([2, 10, Number.NaN, Number.NaN, 1, 0]);
  });

  test("refuse an image index that is no index", () => {
    expect(() => averageByImage({ responses, imageIndices: [0, 1, 2, 3] })).toThrow("each of 5 presentations, got 4");
    expect(() => averageByImage({ responses, imageIndices: [0, 1, 2, 3, -1] })).toThrow("got -1 for presentation 4");
  });
});

describe("selectivity", () => {
  test("sparseness is 0 for equal rates, 1 for a single image, and does not depend on the scale", () => {
    within(lifetimeSparseness([3, 3, 3]), 0, 1e-15);
    within(lifetimeSparseness([0, 0, 7, 0]), 1, 1e-15);
    within(lifetimeSparseness([1, 2, 3]), lifetimeSparseness([10, 20, 30])!, 1e-15);
    expect(lifetimeSparseness([0, 0])).toBeNull();
    expect(() => lifetimeSparseness([1, -1])).toThrow("got -1 for image 1");
  });

  test("d prime of two groups one standard deviation apart is 1", () => {
    within(dPrime([1, 2, 3], [0, 1, 2]), 1, 1e-15);
    expect(dPrime([1, 1], [2, 2])).toBeNull();
  });

  test("tells a unit that follows the images from one that only fires", () => {
    const rng = createRng(11);
    const imageIndices = Array.from({ length: 80 }, (_, i) => i % 8);
    const responses = createMatrix(80, 2, Float64Array.from({ length: 160 }, (_, i) => 20 + rng.gaussian() + (i % 2 === 0 ? 5 * ((i / 2) % 8) : 0)));
    const evoked = createMatrix(80, 2, responses.data.map((value, i) => (i % 2 === 0 ? value - 20 : rng.gaussian())));
    const [tuned, flat] = measureSelectivity({ responses, imageIndices, evoked });
    expect(tuned).toMatchObject({ unit: 0, bestImage: 7 });
    expect(tuned!.fP).toBeLessThan(1e-10);
    expect(flat!.fP).toBeGreaterThan(0.001);
    expect(tuned!.evokedP).toBeLessThan(1e-10);
    expect(flat!.evokedP).toBeGreaterThan(0.001);
    expect(tuned!.sparseness).toBeGreaterThan(flat!.sparseness ?? 1);
  });
});

describe("noise ceiling", () => {
  /** Units with a known signal-to-noise ratio: signal variance 1, noise variance sd^2 in each presentation. */
  function recorded(images: number, repeats: number, noiseSd: number, seed: number) {
    const rng = createRng(seed);
    const signal = Float64Array.from({ length: images }, () => rng.gaussian());
    const imageIndices = Array.from({ length: images * repeats }, (_, i) => i % images);
    const responses = createMatrix(images * repeats, 1, Float64Array.from(imageIndices, (image) => signal[image]! + noiseSd * rng.gaussian()));
    return { signal, imageIndices, responses };
  }

  test("finds the reliability that the noise was made with", () => {
    const { imageIndices, responses } = recorded(3000, 4, 2, 5);
    const [ceiling] = estimateNoiseCeilings({ responses, imageIndices, splits: 20, rng: createRng(1) });
    // Average of 4: signal variance 1 of 1 + 4/4.
    within(ceiling!.reliability, 0.5, 0.03);
    within(ceiling!.splitHalfR, 1 / 3, 0.03);
    expect(ceiling).toMatchObject({ images: 3000, splits: 20 });
  });

  test.each([2, 3, 4, 5])("corrects the correlation of a perfect model to 1 after %i presentations", (repeats) => {
    const { signal, imageIndices, responses } = recorded(3000, repeats, 2, 6);
    const [ceiling] = estimateNoiseCeilings({ responses, imageIndices, splits: 20, rng: createRng(1) });
    const measured = averageByImage({ responses, imageIndices }).mean.data;
    const r = pearson(signal, measured);
    within(r, Math.sqrt(repeats / (repeats + 4)), 0.02);
    within(correctForNoise(r, ceiling!), 1, 0.04);
  });

  test("of an even number of presentations is what sessions recorded before hold", () => {
    const { imageIndices, responses } = recorded(3000, 3, 2, 6);
    const [ceiling] = estimateNoiseCeilings({ responses, imageIndices, splits: 20, of: "even", rng: createRng(1) });
    within(ceiling!.reliability, 2 / (2 + 4), 0.03);
  });

  test("is null, not 0, where nothing repeats or nothing varies", () => {
    const responses = createMatrix(4, 1, Float64Array.of(1, 2, 3, 4));
    const [once] = estimateNoiseCeilings({ responses, imageIndices: [0, 1, 2, 3], rng: createRng(1) });
    expect(once).toMatchObject({ splitHalfR: null, reliability: null, ceilingR: null, images: 0 });
    const silent = createMatrix(4, 1);
    const [constant] = estimateNoiseCeilings({ responses: silent, imageIndices: [0, 1, 0, 1], rng: createRng(1) });
    expect(constant!.reliability).toBeNull();
    expect(correctForNoise(0.5, constant!)).toBeNull();
  });

  test("an unreliable unit has no ceiling", () => {
    const responses = createMatrix(4, 1, Float64Array.of(1, 2, 2, 1));
    const [ceiling] = estimateNoiseCeilings({ responses, imageIndices: [0, 1, 0, 1], splits: 30, rng: createRng(1) });
    expect(ceiling!.splitHalfR).toBeCloseTo(-1);
    expect(ceiling).toMatchObject({ reliability: 0, ceilingR: null });
  });

  test("one seed gives one ceiling", () => {
    const { imageIndices, responses } = recorded(40, 5, 1, 7);
    const of = (seed: number) => estimateNoiseCeilings({ responses, imageIndices, splits: 10, rng: createRng(seed) });
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  test("Spearman-Brown of halves is that of the whole", () => {
    expect(spearmanBrown(0.5)).toBeCloseTo(2 / 3, 12);
    expect(spearmanBrown(0.5, 1)).toBe(0.5);
  });

  test("odd presentations are left out of a split, so that halves are equal", () => {
    const { imageIndices, responses } = recorded(50, 3, 0.5, 8);
    const [ceiling] = estimateNoiseCeilings({ responses, imageIndices, splits: 50, rng: createRng(2) });
    expect(ceiling!.splitHalfR).toBeGreaterThan(0.5);
    expect(elementAt(responses, 0, 0)).not.toBeNaN();
    expect(mean([ceiling!.splitHalfR!])).toBeLessThan(1);
  });
});
