// What the optimizer tests share: the fixture's generator of random numbers, its objectives, and one maker of optimizers.

import { readFileSync } from "node:fs";
import { createOptimizer } from "../../../src/evolve/index.ts";
import type { CreateOptimizer, NormalSource, Optimizer } from "../../../src/evolve/index.ts";
import { unwrap } from "../../../src/shared/result.ts";

/** mulberry32 with Gaussians by the cosine half of Box-Muller: the stream of tests/fixtures/evolve/traces.json. */
export function fixtureSource(seed: number): NormalSource {
  let a = seed >>> 0;
  const uniform = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const gaussian = () => {
    const u = uniform();
    const v = uniform();
    return Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v);
  };
  return { uniform, gaussian };
}

export function fixtureGaussians(seed: number, count: number): Float64Array {
  const source = fixtureSource(seed);
  return Float64Array.from({ length: count }, () => source.gaussian());
}

export interface TraceStep {
  readonly g: number;
  readonly k: number;
  readonly x00: number;
  readonly x_last: number;
  readonly score0: number;
  readonly score_max: number;
  readonly sigma: number;
  readonly mean: readonly number[] | null;
}

function readFixture(key: string) {
  const entry = JSON.parse(readFileSync(new URL("../../fixtures/evolve/traces.json", import.meta.url), "utf8"))[key];
  if (entry === undefined) throw new Error(`expected the key ${key} in the fixture`);
  return entry;
}

/** One reference run by its key in the fixture. */
export function readTrace(key: string): { readonly streamSeed: number; readonly steps: readonly TraceStep[] } {
  const entry = readFixture(key);
  return { streamSeed: entry.stream_seed, steps: entry.trace };
}

/** Reference constants by their key in the fixture. */
export function readParameters(key: string): Readonly<Record<string, number>> {
  return readFixture(key);
}

export function anOptimizer(request: Partial<CreateOptimizer> & { readonly name: string }): Optimizer {
  const seeded = request.rng === undefined && request.seed === undefined ? { seed: 1 } : {};
  return unwrap(createOptimizer({ dim: 16, ...seeded, ...request }));
}

/** Row `index` of a population. */
export function codeOf(population: { readonly dim: number; readonly data: Float64Array }, index: number): Float64Array {
  return population.data.subarray(index * population.dim, (index + 1) * population.dim);
}

/** Asks, scores every individual with `objective`, tells. */
export function step(optimizer: Optimizer, objective: (code: Float64Array) => number) {
  const population = optimizer.ask();
  const scores = Array.from({ length: population.count }, (_, i) => objective(codeOf(population, i)));
  return { population, scores, report: unwrap(optimizer.tell(scores.map((score) => [score]))) };
}
