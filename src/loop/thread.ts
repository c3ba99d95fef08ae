// One evolution of a session: its optimizer, generator, target, and the scores of the generation under way.
// Knows nothing about trials or the order of presentation.
import { encodeOptimizerState } from "../evolve/index.ts";
import type { Optimizer, TellReport } from "../evolve/index.ts";
import type { Generator } from "../shared/ports.ts";
import { unwrap } from "../shared/result.ts";
import type { LatentBatch } from "../shared/values.ts";

export interface EvolutionThread {
  readonly index: number;
  readonly generator: Generator;
  readonly optimizer: Optimizer;
  target: number;
}

/** The population of one thread in one generation: individual i is image `firstImageId + i`. */
export interface ThreadGeneration {
  readonly thread: EvolutionThread;
  readonly generation: number;
  readonly latents: LatentBatch;
  readonly imageIds: readonly number[];
  readonly stateBefore: Uint8Array;
  /** Scores of every counted presentation, by individual, spikes/s. */
  readonly scores: number[][];
}

export function beginGeneration(thread: EvolutionThread, nextImageId: (individual: number) => number): ThreadGeneration {
  const generation = thread.optimizer.generation;
  const stateBefore = encodeOptimizerState(thread.optimizer.state());
  const population = thread.optimizer.ask();
  return {
    thread,
    generation,
    latents: { count: population.count, dim: population.dim, data: population.data },
    imageIds: Array.from({ length: population.count }, (_, i) => nextImageId(i)),
    stateBefore,
    scores: Array.from({ length: population.count }, () => []),
  };
}

/** Tells the optimizer. Individuals without a counted presentation are told as missing. */
export function endGeneration(g: ThreadGeneration): { readonly report: TellReport; readonly stateAfter: Uint8Array } {
  const report = unwrap(g.thread.optimizer.tell(g.scores));
  return { report, stateAfter: encodeOptimizerState(g.thread.optimizer.state()) };
}

/** Mean and standard error of presentation scores; NaN without one, and an error of NaN with fewer than two. */
export function meanAndSem(values: readonly number[]): { readonly mean: number; readonly sem: number } {
  const n = values.length;
  if (n === 0) return { mean: Number.NaN, sem: Number.NaN };
  const mean = values.reduce((a, b) => a + b, 0) / n;
  if (n < 2) return { mean, sem: Number.NaN };
  const variance = values.reduce((a, v) => a + (v - mean) ** 2, 0) / (n - 1);
  return { mean, sem: Math.sqrt(variance / n) };
}
