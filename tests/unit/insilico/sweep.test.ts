import { describe, expect, it } from "vitest";
import { ablateForConditions } from "../../../src/analysis/ablation.ts";
import { createOptimizer, defaultsFor } from "../../../src/evolve/index.ts";
import { defaultSweep, planConditions, runSweep, shareLatents } from "../../../src/engine/insilico/sweep.ts";
import type { SweepSettings } from "../../../src/engine/insilico/sweep.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aGenerator, anEncoder, aPool, aStore, aUnit, featureCount, latentDim, someModels } from "./support.ts";

const settings: SweepSettings = { ...defaultSweep, seed: 5, generators: ["plain"], alphas: [0, 0.5, 1], runs: 2, generations: 25, population: 6 };
const aWorld = () => {
  const encoder = anEncoder();
  const models = someModels({ generators: [aGenerator()], encoders: [encoder] });
  return { encoder, models, pool: aPool(models) };
};

describe("An ablation sweep", () => {
  it("gives for every condition what an evolution of that unit alone, one image at a time, gives", async () => {
    const { pool, models } = aWorld();
    const store = aStore();
    const unit = aUnit();
    expect(unwrap(await runSweep({ units: [unit], settings, pool, store }))).toBe("finished");
    const joined = unwrap(await models.latentEncoder("plain", "mixer"));
    for (const results of store.groups.values()) {
      for (const result of results) {
        const { data: weights } = ablateForConditions({ weights: unit.weights, conditions: [result] });
        const setup = defaultsFor({ generator: { latentDim, initialStepSize: 0.5 }, noise: "none" });
        const optimizer = unwrap(createOptimizer({ name: setup.name, dim: latentDim, options: { ...setup.setups[setup.name].options, population: 6 }, rng: createRng(5).fork(`sweep/plain/${result.run}`) }));
        let best = Number.NEGATIVE_INFINITY;
        for (let generation = 0; generation < settings.generations; generation++) {
          const population = optimizer.ask();
          const scores: number[][] = [];
          for (let i = 0; i < population.count; i++) {
            const [features] = await joined.features({ count: 1, dim: latentDim, data: Float32Array.from(population.data.subarray(i * latentDim, (i + 1) * latentDim)) }, ["features"]);
            let score = 0;
            for (let f = 0; f < featureCount; f++) score += weights[f]! * features![f]!;
            score += unit.intercept;
            scores.push([score]);
            best = Math.max(best, score);
          }
          unwrap(optimizer.tell(scores));
        }
        expect(result.activation).toBe(best);
      }
    }
  });

  it("of a unit by its gradient goes on through the network with the layer's units at zero, and equals the linear one where the rest is linear", async () => {
    const { pool } = aWorld();
    const unit = aUnit();
    const linear = aStore();
    unwrap(await runSweep({ units: [unit], settings: { ...settings, runs: 1, generations: 6 }, pool, store: linear }));
    // Two logits; the second is the unit, in the single precision that a network has.
    const logits = async ({ activations, dim }: { readonly activations: Float32Array; readonly dim: number }): Promise<Float32Array> =>
      Float32Array.from({ length: (2 * activations.length) / dim }, (_, i) => {
        let sum = unit.intercept;
        for (let f = 0; f < dim; f++) sum += unit.weights[f]! * activations[(i >> 1) * dim + f]!;
        return i % 2 === 0 ? -99 : sum;
      });
    const byGradient = aStore();
    unwrap(await runSweep({ units: [{ ...unit, kind: "gradient", intercept: 0, tail: { index: 1 } }], settings: { ...settings, runs: 1, generations: 6 }, pool: { ...pool, logits }, store: byGradient }));
    const values = (store: typeof linear) => [...store.groups.values()].flat().map(({ sign, alpha, activation, intactActivation, mean }) => [sign, alpha, activation, intactActivation, mean.activation, mean.intactActivation]);
    expect(values(byGradient)).toHaveLength(5);
    values(byGradient).forEach((row, i) => row.forEach((value, k) => typeof value === "number" ? expect(value).toBeCloseTo(Number(values(linear)[i]![k]), 3) : expect(value).toBe(values(linear)[i]![k])));
  });

  it("evaluates an image once for all conditions that ask for it", async () => {
    const { pool } = aWorld();
    let scored = 0;
    unwrap(await runSweep({ units: [aUnit()], settings: { ...settings, runs: 1, generations: 3 }, pool, store: aStore(), onProgress: (p) => (scored = p.scored) }));
    expect(scored).toBeGreaterThan(0);
    expect(pool.evaluated).toBeLessThan(scored);
    // The first population is one image, the start code, for all five conditions.
    expect(pool.calls[0]).toBe(1);
  });

  it("evolves conditions with one mask once and reports them all", () => {
    const weights = Float64Array.of(5, -1, -1, -1);
    const plan = planConditions(aUnit({ weights }), { signs: ["positive", "negative"], alphas: [0, 0.5, 1], rule: "atMost" });
    // One positive weight: alpha 0.5 may not remove it, so the condition is the intact unit.
    expect(plan.conditions).toHaveLength(5);
    expect(plan.evolutionOf[1]).toBe(plan.evolutionOf[0]);
    expect(plan.weights.length / 4).toBe(4);
  });

  it("goes on after a stop at any generation as if it had never stopped", async () => {
    const whole = aStore();
    unwrap(await runSweep({ units: [aUnit(), aUnit({ name: "two" })], settings, pool: aWorld().pool, store: whole }));
    for (const stopAfter of [1, 13, 26, 60]) {
      const cut = aStore();
      for (let attempt = 0; cut.groups.size < 4; attempt++) {
        const stop = new AbortController();
        const { pool } = aWorld();
        const stopping = { ...pool, features: (request: Parameters<typeof pool.features>[0]) => (pool.calls.length + 1 >= stopAfter && stop.abort(), pool.features(request)) };
        const state = await runSweep({ units: [aUnit(), aUnit({ name: "two" })], settings, pool: stopping, store: cut, control: { stop: stop.signal } });
        unwrap(state);
        if (attempt > 200) throw new Error("the sweep does not get on");
      }
      expect([...cut.groups]).toEqual([...whole.groups]);
    }
  });

  it("goes on from an old checkpoint after a crash and gives the same numbers", async () => {
    const whole = aStore();
    unwrap(await runSweep({ units: [aUnit()], settings, pool: aWorld().pool, store: whole }));
    const crashed = aStore();
    const pool = aWorld().pool;
    const failing = { ...pool, features: async (request: Parameters<typeof pool.features>[0]) => (pool.calls.length >= 24 ? Promise.reject(new Error("the machine went down")) : pool.features(request)) };
    await expect(runSweep({ units: [aUnit()], settings, pool: failing, store: crashed })).rejects.toThrow("went down");
    // Both runs were under way.
    expect(crashed.checkpoints.size).toBe(2);
    unwrap(await runSweep({ units: [aUnit()], settings, pool: aWorld().pool, store: crashed }));
    expect([...crashed.groups]).toEqual([...whole.groups]);
  });

  it("starts a group again where its checkpoint is damaged", async () => {
    const store = aStore();
    const whole = aStore();
    unwrap(await runSweep({ units: [aUnit()], settings, pool: aWorld().pool, store: whole }));
    await store.keep({ unit: "mixer/one", generator: "plain", run: 0 }, Uint8Array.of(9, 0, 0, 0, 1, 2));
    unwrap(await runSweep({ units: [aUnit()], settings, pool: aWorld().pool, store }));
    expect([...store.groups]).toEqual([...whole.groups]);
  });

  it("waits while it is paused, with a checkpoint, and then goes on", async () => {
    const store = aStore();
    let paused = false;
    let resume = (): void => undefined;
    const waiting = new Promise<void>((resolve) => {
      resume = () => {
        paused = false;
        resolve();
      };
    });
    const running = runSweep({
      units: [aUnit()], settings: { ...settings, runs: 1 }, pool: aWorld().pool, store,
      control: { isPaused: () => paused, gate: () => waiting },
      onProgress: ({ generation }) => void (generation === 4 && (paused = true)),
    });
    while (store.checkpoints.size === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(store.groups.size).toBe(0);
    resume();
    expect(unwrap(await running)).toBe("finished");
    expect(store.groups.size).toBe(1);
  });

  it("removing all positive weights of a unit on rectified features leaves no more than its intercept", async () => {
    const store = aStore();
    unwrap(await runSweep({ units: [aUnit()], settings, pool: aWorld().pool, store }));
    for (const result of [...store.groups.values()].flat()) {
      if (result.sign === "positive" && result.alpha === 1) expect(result.activation).toBeLessThanOrEqual(0.25);
      if (result.alpha === 0) expect(result.activation).toBe(result.intactActivation);
      expect(result.means).toHaveLength(settings.generations);
    }
  });

  it.each([
    [{ alphas: [0, 1.5] }, "0 to 1"], [{ runs: 0 }, "runs"], [{ generations: 1.5 }, "generations"], [{ population: 2 }, "population"], [{ generators: [] }, "generator"], [{ signs: [] }, "sign"],
  ])("refuses %j in a sentence", async (change, word) => {
    const result = await runSweep({ units: [aUnit()], settings: { ...settings, ...change } as SweepSettings, pool: aWorld().pool, store: aStore() });
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.error.message).toContain(word);
  });

  it("refuses a unit whose weights are not of this layer", async () => {
    const result = await runSweep({ units: [aUnit({ weights: new Float64Array(3).fill(1) })], settings, pool: aWorld().pool, store: aStore() });
    expect(result).toMatchObject({ ok: false, error: { code: "unitFeatures" } });
  });
});

describe("Sharing latents", () => {
  it("keeps every different latent once and finds each individual's row", () => {
    const a = { count: 2, data: Float64Array.of(1, 2, 3, 4) };
    const b = { count: 2, data: Float64Array.of(3, 4, 1, 2.5) };
    const shared = shareLatents([a, b], 2);
    expect(shared.count).toBe(3);
    expect(shared.rows.map((rows) => [...rows])).toEqual([[0, 1], [1, 2]]);
    expect([...shared.latents]).toEqual([1, 2, 3, 4, 1, 2.5]);
  });
});
