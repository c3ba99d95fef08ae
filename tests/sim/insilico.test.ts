// The chain of the paper on a synthetic animal whose neurons are known: diverseSet -> responses -> fit -> ablate -> images shown back.
import { beforeAll, describe, expect, it } from "vitest";
import { ablateForConditions } from "../../src/analysis/ablation.ts";
import { chooseDiverseSet } from "../../src/analysis/diverseSet.ts";
import { columnOf, rowOf, takeRows } from "../../src/analysis/matrix.ts";
import { fitNeuronModels } from "../../src/analysis/neuronModels.ts";
import type { NeuronModels } from "../../src/analysis/neuronModels.ts";
import { averageByImage, estimateNoiseCeilings } from "../../src/analysis/responses.ts";
import { pearson, permutationTest, rSquared } from "../../src/analysis/statistics.ts";
import { featuresOf, joinImages } from "../../src/engine/insilico/featureCache.ts";
import { measureImages } from "../../src/engine/insilico/measures.ts";
import { defaultSweep, runSweep } from "../../src/engine/insilico/sweep.ts";
import type { EvolutionResult } from "../../src/engine/insilico/sweep.ts";
import type { LinearUnit } from "../../src/engine/insilico/units.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";
import type { ImageBatch } from "../../src/shared/values.ts";
import { aPool, aStore, someModels } from "../unit/insilico/support.ts";
import { aSharedEncoder, showImages } from "./insilicoWorld.ts";
import type { Viewing } from "./insilicoWorld.ts";
import { aSmallGenerator } from "./simWorld.ts";

const seed = 11;
const layer = "embedding";
const repeats = 6;

describe("From a diverse set to images of ablated models", () => {
  const generator = { ...aSmallGenerator(), hasMasks: false, hasBackgrounds: false, decodeParts: async () => Promise.reject(new Error("not needed")) };
  const encoder = aSharedEncoder();
  let images: readonly ImageBatch[] = [];
  let viewing: Viewing;
  let fitted: NeuronModels;
  let best = 0;
  let expected: Float64Array;
  let results: readonly EvolutionResult[] = [];

  beforeAll(async () => {
    const rng = createRng(seed);
    const count = 400;
    const data = new Float32Array(count * generator.latentDim);
    rng.fork("pool").fillGaussian(data);
    const pool = await generator.decode({ count, dim: generator.latentDim, data });
    const bytes = pool.width * pool.height * 3;
    const single = Array.from({ length: count }, (_, i): ImageBatch => ({ count: 1, width: pool.width, height: pool.height, data: pool.data.subarray(i * bytes, (i + 1) * bytes) }));
    const embedding = await featuresOf({ encoder, layer, images: single, folder: null });
    const chosen = chooseDiverseSet({ embedding, count: 120, components: 30, rng: rng.fork("diverse") });
    images = Array.from(chosen.images, (row) => single[row]!);
    const features = takeRows(embedding, chosen.images);

    viewing = await showImages({ seed, images, repeats });
    const averages = averageByImage({ responses: viewing.rates, imageIndices: viewing.imageIndices });
    const ceilings = estimateNoiseCeilings({ responses: viewing.rates, imageIndices: viewing.imageIndices, splits: 30, rng: rng.fork("ceilings") });
    fitted = fitNeuronModels({ features, responses: averages.mean, method: { kind: "pls", components: 3 }, noiseCeilings: ceilings, rng: rng.fork("fit") });
    expected = await viewing.truth.responseHz(joinImages(images));

    // The best unit of the area that reads the layer the models are fitted on.
    const pit = fitted.cards.filter((card) => viewing.channels[card.unit]!.area === "PIT");
    best = pit.reduce((top, card) => ((card.r2Test ?? -9) > (top.r2Test ?? -9) ? card : top)).unit;
    const unit: LinearUnit = { id: "neuron/best", title: "best", network: encoder.identity.id, layer, weights: rowOf(fitted.model.coefficients, best), intercept: fitted.model.intercepts[best]!, kind: "neuron" };
    const store = aStore();
    const models = someModels({ generators: [generator], encoders: [encoder] });
    unwrap(await runSweep({ units: [unit], settings: { ...defaultSweep, seed, generators: ["small"], alphas: [0, 1], signs: ["positive"], runs: 8, generations: 20, population: 8 }, pool: aPool(models), store }));
    results = [...store.groups.values()].flat();
  }, 60_000);

  it("shows every image as often as asked", () => {
    const shown = new Map<number, number>();
    for (const image of viewing.imageIndices) shown.set(image, (shown.get(image) ?? 0) + 1);
    expect(shown.size).toBe(images.length);
    expect(new Set(shown.values())).toEqual(new Set([repeats]));
  });

  it("the averages follow the neurons' true rates as far as their noise ceilings say", () => {
    const averages = averageByImage({ responses: viewing.rates, imageIndices: viewing.imageIndices });
    const ceilings = estimateNoiseCeilings({ responses: viewing.rates, imageIndices: viewing.imageIndices, splits: 30, rng: createRng(1) });
    const channels = viewing.channels.length;
    let compared = 0;
    for (let u = 0; u < channels; u++) {
      const truth = Float64Array.from({ length: images.length }, (_, i) => expected[i * channels + u]!);
      const known = pearson(columnOf(averages.mean, u), truth);
      const estimated = ceilings[u]?.ceilingR ?? null;
      if (known === null || estimated === null || estimated < 0.5) continue;
      expect(Math.abs(known - estimated)).toBeLessThan(0.12);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(8);
  });

  it("the fitted test r² reaches most of what the known ceiling allows", () => {
    const averages = averageByImage({ responses: viewing.rates, imageIndices: viewing.imageIndices });
    const channels = viewing.channels.length;
    const rows = fitted.split.test;
    const measured = Float64Array.from(rows, (row) => averages.mean.data[row * channels + best]!);
    const truth = Float64Array.from(rows, (row) => expected[row * channels + best]!);
    const ceiling = rSquared(measured, truth);
    const card = fitted.cards[best]!;
    expect(ceiling).toBeGreaterThan(0.3);
    expect(card.r2Test).toBeGreaterThan(0.6 * ceiling!);
    expect(card.r2Test).toBeLessThan(ceiling! + 0.15);
  });

  it("the model's weights point the way of the neuron's own readout", async () => {
    const unit = viewing.truth.units.find((candidate) => candidate.channel === best)!;
    const readout = viewing.truth.readout(unit.index);
    const weights = rowOf(fitted.model.coefficients, best);
    // Correlation between features spreads weight over their kin, so the drive of both is compared, not single weights.
    const embedding = await featuresOf({ encoder, layer, images, folder: null });
    const drive = (pick: (row: number) => number) => Float64Array.from({ length: images.length }, (_, row) => pick(row));
    const own = drive((row) => readout.features.reduce((sum, f, i) => sum + readout.weights[i]! * embedding.data[row * embedding.cols + f]!, 0));
    const fit = drive((row) => weights.reduce((sum, w, f) => sum + w * embedding.data[row * embedding.cols + f]!, 0));
    expect(pearson(own, fit)).toBeGreaterThan(0.8);
  });

  it("images of the model without positive weights drive the neuron less than the control's, and nothing positive is left to the model", async () => {
    const measured = await measureImages({ results, units: [], models: someModels({ generators: [generator], encoders: [encoder] }), detector: null });
    const truth = await viewing.truth.responseHz(joinImages(measured.map((image) => image.image)));
    const channels = viewing.channels.length;
    const rates = (alpha: number) => measured.flatMap((image, i) => (image.result.alpha === alpha ? [truth[i * channels + best]!] : []));
    const control = rates(0);
    const ablated = rates(1);
    expect(control).toHaveLength(8);
    const test = permutationTest(ablated, control, { alternative: "less", rng: createRng(seed) });
    expect(test.p).toBeLessThan(0.01);
    // And the control's images drive it more than the diverse set does.
    const natural = Float64Array.from({ length: images.length }, (_, i) => expected[i * channels + best]!);
    expect(permutationTest(control, natural, { alternative: "greater", permutations: 2000, rng: createRng(seed) }).p).toBeLessThan(0.01);
    // What is left of the model cannot rise above its intercept: its features are not negative.
    const { data } = ablateForConditions({ weights: rowOf(fitted.model.coefficients, best), conditions: [{ sign: "positive", alpha: 1 }] });
    expect(Math.max(...data)).toBeLessThanOrEqual(0);
    for (const result of results) if (result.alpha === 1) expect(result.activation).toBeLessThanOrEqual(fitted.model.intercepts[best]! + 1e-9);
  });
});
