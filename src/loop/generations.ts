// The blocks of a session: tuning to the references first, then one block a generation, with the images of all threads and the references
// shuffled together; scores kept, optimizers told. Knows nothing about trials, screens or spikes.
import type { Rng } from "../shared/rng.ts";
import type { EvolutionConfig } from "../shared/contract/config.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { planBlock } from "./block.ts";
import type { Block } from "./block.ts";
import type { GenerationResult, ResumePoint } from "./loopTypes.ts";
import { beginGeneration, endGeneration, meanAndSem } from "./thread.ts";
import type { EvolutionThread, ThreadGeneration } from "./thread.ts";

/** A generation of one image, the start code, is the first point of the curve: it should not rest on one presentation. */
const startRepeats = 5;

export interface GenerationsOptions {
  readonly evolution: EvolutionConfig;
  readonly threads: readonly EvolutionThread[];
  readonly rng: Rng;
  readonly resume: ResumePoint | null;
  readonly newImageId: () => number;
  readonly record: (body: SessionRecordBody) => void;
  readonly log: (code: string, message: string, severity?: "info" | "warn") => void;
  readonly onGeneration: (g: GenerationResult) => void;
}

export interface Generations {
  readonly references: readonly number[];
  addReference(imageId: number): void;
  startTuning(): void;
  /** Asks the optimizers; the images to decode are `current`, in the order of `block.imageOrder`. */
  startGeneration(): void;
  keepScore(imageId: number, ratesHz: readonly number[]): void;
  /** Tells the optimizers. Returns the image ids that are no longer needed. */
  finishGeneration(): readonly number[];
  readonly block: Block | null;
  clearBlock(): void;
  readonly tuning: boolean;
  readonly generation: number;
  readonly current: readonly ThreadGeneration[];
  readonly done: boolean;
}

export function createGenerations(options: GenerationsOptions): Generations {
  const { evolution, threads, rng, record } = options;
  const references: number[] = [];
  let block: Block | null = null;
  let current: readonly ThreadGeneration[] = [];
  /** Responses to references in this block: every channel, spikes/s. */
  let referenceRates: number[][] = [];
  let tuning = true;
  let generation = options.resume?.generation ?? 0;

  function keepScore(imageId: number, ratesHz: readonly number[]): void {
    for (const g of current) {
      const individual = g.imageIds.indexOf(imageId);
      if (individual >= 0) g.scores[individual]?.push(ratesHz[g.thread.target] ?? 0);
    }
    if (references.includes(imageId)) referenceRates.push([...ratesHz]);
  }

  /** The same references in turn, so that every one comes back every few generations. */
  function pickReferences(): readonly number[] {
    const n = Math.min(evolution.referencesPerGeneration, references.length);
    return Array.from({ length: n }, (_, i) => references[(generation * n + i) % references.length] ?? 0);
  }

  function finishThread(g: ThreadGeneration): void {
    const { report, stateAfter } = endGeneration(g);
    const target = g.thread.target;
    const evolved = meanAndSem([...report.scores].filter((s) => !Number.isNaN(s)));
    const reference = meanAndSem(referenceRates.map((r) => r[target] ?? 0));
    const ranked = [...report.scores]
      .map((rateHz, i) => ({ imageId: g.imageIds[i] ?? 0, rateHz }))
      .filter((r) => !Number.isNaN(r.rateHz))
      .sort((a, b) => b.rateHz - a.rateHz || a.imageId - b.imageId);
    record({
      kind: "generation", thread: g.thread.index, generation: g.generation, targetChannel: target, optimizer: g.thread.optimizer.name,
      stateBefore: g.stateBefore, stateAfter, rngState: JSON.stringify(rng.state()), scores: report.scores,
      evolvedMean: evolved.mean, evolvedSem: evolved.sem, referenceMean: reference.mean, referenceSem: reference.sem,
      stepSize: report.stepSize, missing: report.missing, bestImageId: ranked[0]?.imageId ?? null,
    });
    const lost = report.missing > 0 ? `; ${report.missing} of ${g.imageIds.length} images without a response` : "";
    const against = Number.isNaN(reference.mean) ? "" : ` against ${reference.mean.toFixed(1)} for the references`;
    options.log("generation", `Generation ${g.generation}: mean ${evolved.mean.toFixed(1)} spikes/s${against}, step size ${report.stepSize.toPrecision(3)}${lost}.`, report.missing > 0 ? "warn" : "info");
    options.onGeneration({
      thread: g.thread.index, generation: g.generation, target,
      evolved: { ...evolved, best: ranked[0]?.rateHz ?? Number.NaN, count: ranked.length },
      reference: { ...reference, count: referenceRates.length },
      stepSize: report.stepSize, missing: report.missing, ranked,
    });
  }

  return {
    references,
    addReference: (imageId) => references.push(imageId),
    startTuning() {
      tuning = true;
      referenceRates = [];
      block = planBlock({ images: references.map((imageId) => ({ imageId, repeats: evolution.tuningRepeats })), attemptsMax: evolution.attemptsMax, rng: rng.fork("tuning") });
      options.log("tuning", `Tuning: ${references.length} reference images, ${evolution.tuningRepeats} times each, to see what the channels respond to.`);
    },
    startGeneration() {
      tuning = false;
      referenceRates = [];
      const resumed = options.resume?.generation === generation ? options.resume : null;
      const given = new Map((resumed?.imageIds ?? []).map((i) => [`${i.thread}/${i.individual}`, i.imageId]));
      current = threads.map((thread) => beginGeneration(thread, (individual) => given.get(`${thread.index}/${individual}`) ?? options.newImageId()));
      block = planBlock({
        images: [
          ...current.flatMap((g) => g.imageIds.map((imageId) => ({ imageId, repeats: g.imageIds.length === 1 ? Math.max(startRepeats, evolution.repeats) : evolution.repeats }))),
          ...pickReferences().map((imageId) => ({ imageId, repeats: evolution.repeats })),
        ],
        attemptsMax: evolution.attemptsMax,
        rng: rng.fork(`block/${generation}`),
      });
      if (resumed === null) return;
      for (const m of resumed.measured) keepScore(m.imageId, m.ratesHz);
      block.restore(resumed.measured.map((m) => m.imageId));
    },
    keepScore,
    finishGeneration() {
      for (const g of current) finishThread(g);
      const over = current.flatMap((g) => g.imageIds);
      current = [];
      generation += 1;
      return over;
    },
    get block() {
      return block;
    },
    clearBlock() {
      block = null;
    },
    get tuning() {
      return tuning;
    },
    get generation() {
      return generation;
    },
    get current() {
      return current;
    },
    get done() {
      return generation >= evolution.generations;
    },
  };
}
