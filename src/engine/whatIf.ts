// What a recorded session would have given with another response window, another target channel or another optimizer, on the recorded
// responses, beside what it gave. Changes nothing in the file. Knows nothing about terminals.
import { matrixFromColumn, matrixFromRows, multiplyVector } from "../analysis/matrix.ts";
import type { Matrix64 } from "../analysis/matrix.ts";
import { crossValidateRidge, fitRidge } from "../analysis/ridge.ts";
import { splitFolds } from "../analysis/splits.ts";
import { createOptimizer, decodeOptimizerState, restoreOptimizer } from "../evolve/index.ts";
import { meanAndSem } from "../loop/thread.ts";
import { openSession } from "../session/reader.ts";
import type { SessionReader } from "../session/reader.ts";
import { FaultError, err, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng } from "../shared/rng.ts";
import { nsPerMs } from "../shared/units.ts";

export interface WhatIf {
  readonly windowStartMs?: number;
  readonly windowEndMs?: number;
  readonly target?: number;
  readonly optimizer?: string;
}

export interface WhatIfGeneration {
  readonly generation: number;
  /** Mean rates, spikes/s; NaN without a response. */
  readonly recorded: { readonly evolved: number; readonly reference: number };
  readonly otherwise: { readonly evolved: number; readonly reference: number };
}

export interface WhatIfReport {
  readonly file: string;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly target: number;
  readonly generations: readonly WhatIfGeneration[];
  /**
   * Another optimizer shows other images, to which no response was recorded. Its evolution is run on a ridge model of the recorded responses on
   * the latents of the recorded images; so is the recorded one's, for a fair comparison. null where no other optimizer was asked for.
   */
  readonly surrogate: {
    readonly optimizer: string;
    /** Cross-validated r2 of the model on the recorded responses: below about 0.1 its curves mean little. */
    readonly r2: number;
    /** Mean predicted rate of every generation, spikes/s. */
    readonly recordedOptimizer: readonly number[];
    readonly otherOptimizer: readonly number[];
  } | null;
}

/** Errors: those of opening a session, `badWindow`, `unknownChannel`, `optimizerUnknown`, `tooFewImages`. */
export function whatIf(file: string, change: WhatIf): Result<WhatIfReport, Fault> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  try {
    return ok(compute(opened.value, change));
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    opened.value.close();
  }
}

interface Scored {
  readonly generation: number;
  readonly imageId: number;
  readonly recordedHz: number;
  readonly otherwiseHz: number;
  readonly evolved: boolean;
}

function compute(reader: SessionReader, change: WhatIf): WhatIfReport {
  const all = reader.presentations().filter((p) => p.generation !== null && p.excluded === null && p.onsetRigNs !== null && p.counts !== null);
  // Of several evolutions, the newest.
  const step = all.at(-1)?.step ?? null;
  const presentations = all.filter((p) => p.step === step);
  const first = presentations[0];
  if (first === undefined) throw new FaultError({ code: "nothingRecorded", message: `Expected at least one counted presentation of an evolution in ${reader.file}, found none.` });
  const windowStartMs = change.windowStartMs ?? first.windowStartMs;
  const windowEndMs = change.windowEndMs ?? first.windowEndMs;
  if (!(windowEndMs > windowStartMs)) throw new FaultError({ code: "badWindow", message: `Expected a window that ends after it starts, got ${windowStartMs} to ${windowEndMs} ms.` });
  const channels = reader.channels().length;
  const target = change.target ?? reader.generations().at(-1)?.targetChannel ?? first.targetChannel;
  if (target >= channels) throw new FaultError({ code: "unknownChannel", message: `Expected a channel from 0 to ${channels - 1}, got ${target}.` });
  const runs = reader.runs();
  const evolvedIds = new Set(reader.images().filter((i) => i.imageKind === "evolved").map((i) => i.imageId));
  const scored = presentations.map((p): Scored => {
    const onset = p.onsetRigNs ?? 0;
    // The rig's clock may start again when a session is resumed.
    const run = runs.find((r) => p.seq >= r.firstSeq && p.seq <= r.lastSeq);
    const spikes = reader.spikes({ fromRigNs: onset + windowStartMs * nsPerMs, toRigNs: onset + windowEndMs * nsPerMs - 1, channel: target, ...(run === undefined ? {} : { run: run.run }) });
    return {
      generation: p.generation ?? 0, imageId: p.imageId, evolved: evolvedIds.has(p.imageId),
      recordedHz: p.counts === null ? Number.NaN : ((p.counts[p.targetChannel] ?? 0) / (p.windowEndMs - p.windowStartMs)) * 1000,
      otherwiseHz: (spikes.timesRigNs.length / (windowEndMs - windowStartMs)) * 1000,
    };
  });
  const mean = (rows: readonly Scored[], which: "recordedHz" | "otherwiseHz"): number => meanAndSem(rows.map((r) => r[which])).mean;
  const byGeneration = [...Map.groupBy(scored, (s) => s.generation)].sort((a, b) => a[0] - b[0]);
  return {
    file: reader.file, windowStartMs, windowEndMs, target,
    generations: byGeneration.map(([generation, rows]) => {
      const [evolved, reference] = [rows.filter((r) => r.evolved), rows.filter((r) => !r.evolved)];
      return {
        generation,
        recorded: { evolved: mean(evolved, "recordedHz"), reference: mean(reference, "recordedHz") },
        otherwise: { evolved: mean(evolved, "otherwiseHz"), reference: mean(reference, "otherwiseHz") },
      };
    }),
    surrogate: change.optimizer === undefined ? null : runSurrogate(reader, scored, change.optimizer, firstThreadOf(reader, step)),
  };
}

const imagesMin = 40;

/** Number of the first evolution of a step. */
function firstThreadOf(reader: SessionReader, step: number | null): number {
  const numbers = reader.images().flatMap((i) => (i.thread !== null && i.step === step ? [i.thread] : []));
  return numbers.length === 0 ? 0 : Math.min(...numbers);
}

function runSurrogate(reader: SessionReader, scored: readonly Scored[], optimizerName: string, thread: number): NonNullable<WhatIfReport["surrogate"]> {
  const latents = new Map(reader.images().flatMap((i) => (i.thread === thread && i.latent !== null ? [[i.imageId, i.latent] as const] : [])));
  const rows = scored.filter((s) => latents.has(s.imageId));
  if (rows.length < imagesMin) throw new FaultError({ code: "tooFewImages", message: `Expected at least ${imagesMin} responses to images with a latent to model them, got ${rows.length}.` });
  const features = matrixFromRows(rows.map((r) => latents.get(r.imageId) ?? new Float64Array()));
  const responses = matrixFromColumn(rows.map((r) => r.otherwiseHz));
  const folds = splitFolds({ count: rows.length, folds: 5, rng: createRng("what if folds") });
  const validated = crossValidateRidge({ features, responses, folds, scale: false });
  const best = validated.bestIndex[0] ?? 0;
  const model = fitRidge({ features, responses, penalty: validated.penalties[best] ?? 1 });
  const firstState = reader.generations({ states: true }).find((g) => g.thread === thread);
  if (firstState === undefined) throw new FaultError({ code: "nothingRecorded", message: `Expected at least one finished generation in ${reader.file}, found none.` });
  const count = reader.generations().filter((g) => g.thread === thread).length;
  const recorded = unwrap(restoreOptimizer(unwrap(decodeOptimizerState(firstState.stateBefore))));
  const other = unwrap(createOptimizer({ name: optimizerName, dim: recorded.dim, rng: createRng(reader.info().seed).fork("what if"), ...startOf(optimizerName, recorded) }));
  const evolve = (optimizer: typeof recorded): number[] =>
    Array.from({ length: count }, () => {
      const population = optimizer.ask();
      const shown: Matrix64 = { rows: population.count, cols: population.dim, data: population.data };
      const rates = Array.from(multiplyVector(shown, model.coefficients.data.subarray(0, population.dim)), (v) => v + (model.intercepts[0] ?? 0));
      unwrap(optimizer.tell(rates.map((r) => [r])));
      return meanAndSem(rates).mean;
    });
  return { optimizer: optimizerName, r2: validated.r2Test.data[best] ?? Number.NaN, recordedOptimizer: evolve(recorded), otherOptimizer: evolve(other) };
}

/** The same step size where both have one. */
function startOf(name: string, recorded: { readonly options: Readonly<Record<string, number | string>> }): { readonly options?: Record<string, number> } {
  const step = recorded.options["stepSize"];
  return typeof step === "number" && ["cholesky-cma", "sep-cma", "full-cma", "lm-ma"].includes(name) ? { options: { stepSize: step } } : {};
}
