// The blocks of a session: tuning to the references first; then one block a generation, with the images of all threads and the references
// shuffled together; last a block that shows the results again, for a report that luck has no part in. Scores kept, optimizers told.
// Knows nothing about trials, screens or spikes.
import type { Rng } from "../shared/rng.ts";
import type { EvolutionConfig } from "../shared/contract/evolution.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { reportConvergence } from "../evolve/index.ts";
import type { ConvergenceReport, GenerationScores } from "../evolve/index.ts";
import type { LatentBatch } from "../shared/values.ts";
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
  readonly onReport: (thread: number, report: ConvergenceReport) => void;
}

/** Images of one thread to decode, individual i as image `imageIds[i]`. */
export interface ImagesToDecode {
  readonly thread: EvolutionThread;
  readonly generation: number | null;
  readonly latents: LatentBatch;
  readonly imageIds: readonly number[];
  readonly labels: readonly string[] | null;
}

/** A presentation of a reference is a third as often: they only tell the drift. */
const confirmReferenceShare = 3;

export interface Generations {
  readonly references: readonly number[];
  addReference(imageId: number): void;
  startTuning(): void;
  /** Asks the optimizers; the images to decode are `toDecode`, in the order of `block.imageOrder`. */
  startGeneration(): void;
  /** Plans the results' images to be shown again: the distribution mean, the best individual and the start code of every thread. */
  startConfirming(): void;
  /** Says how the evolution went, with what was shown again where it was. Nothing without a finished generation. */
  report(): void;
  keepScore(imageId: number, ratesHz: readonly number[]): void;
  /** Tells the optimizers. Returns the image ids that are no longer needed. */
  finishGeneration(): readonly number[];
  readonly block: Block | null;
  clearBlock(): void;
  readonly phase: "tuning" | "evolution" | "confirming";
  /** Number of the generation under way; null outside of the evolution. */
  readonly shownGeneration: number | null;
  readonly generation: number;
  readonly toDecode: readonly ImagesToDecode[];
  readonly done: boolean;
}

export function createGenerations(options: GenerationsOptions): Generations {
  const { evolution, threads, rng, record } = options;
  const references: number[] = [];
  let block: Block | null = null;
  let current: readonly ThreadGeneration[] = [];
  /** Responses to references in this block, by image: every channel, spikes/s. */
  let referenceRates = new Map<number, number[][]>();
  let phase: Generations["phase"] = "tuning";
  let confirming: readonly ImagesToDecode[] = [];
  const confirmed = new Map<number, number[]>();
  const starts = threads.map((t) => options.resume?.history.find((h) => h.thread === t.index)?.start ?? t.optimizer.mean());
  const history = threads.map((t): GenerationScores[] => [...(options.resume?.history.find((h) => h.thread === t.index)?.generations ?? [])]);
  /** The individual with the highest mean rate so far, by thread. */
  const bests = threads.map((t) => options.resume?.history.find((h) => h.thread === t.index)?.best ?? null);
  let generation = options.resume?.generation ?? 0;

  function keepScore(imageId: number, ratesHz: readonly number[]): void {
    for (const g of current) {
      const individual = g.imageIds.indexOf(imageId);
      if (individual >= 0) g.scores[individual]?.push(ratesHz[g.thread.target] ?? 0);
    }
    for (const c of confirming) if (c.imageIds.includes(imageId)) confirmed.get(imageId)?.push(ratesHz[c.thread.target] ?? 0);
    if (references.includes(imageId)) referenceRates.set(imageId, [...(referenceRates.get(imageId) ?? []), [...ratesHz]]);
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
    const referenceScores = scoresOfReferences(target);
    const reference = meanAndSem(referenceScores.flatMap((r) => r.scores));
    const ranked = [...report.scores]
      .map((rateHz, i) => ({ imageId: g.imageIds[i] ?? 0, rateHz }))
      .filter((r) => !Number.isNaN(r.rateHz))
      .sort((a, b) => b.rateHz - a.rateHz || a.imageId - b.imageId);
    history[g.thread.index]?.push({ generation: g.generation, evolved: [...report.scores].filter((s) => !Number.isNaN(s)), references: referenceScores });
    const top = ranked[0];
    const known = bests[g.thread.index] ?? null;
    if (top !== undefined && (known === null || top.rateHz > known.rateHz)) {
      const individual = g.imageIds.indexOf(top.imageId);
      bests[g.thread.index] = { imageId: top.imageId, rateHz: top.rateHz, latent: g.latents.data.slice(individual * g.latents.dim, (individual + 1) * g.latents.dim) };
    }
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
      reference: { ...reference, count: referenceScores.reduce((n, r) => n + r.scores.length, 0) },
      stepSize: report.stepSize, missing: report.missing, ranked,
    });
  }

  function scoresOfReferences(target: number): { readonly imageId: number; readonly scores: number[] }[] {
    return [...referenceRates].map(([imageId, rates]) => ({ imageId, scores: rates.map((r) => r[target] ?? 0) }));
  }

  return {
    references,
    addReference: (imageId) => references.push(imageId),
    startTuning() {
      phase = "tuning";
      referenceRates = new Map();
      block = planBlock({ images: references.map((imageId) => ({ imageId, repeats: evolution.tuningRepeats })), attemptsMax: evolution.attemptsMax, rng: rng.fork("tuning") });
      options.log("tuning", `Tuning: ${references.length} reference images, ${evolution.tuningRepeats} times each, to see what the channels respond to.`);
    },
    startGeneration() {
      phase = "evolution";
      referenceRates = new Map();
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
    startConfirming() {
      phase = "confirming";
      referenceRates = new Map();
      confirming = threads.map((thread, i): ImagesToDecode => {
        const best = bests[i] ?? null;
        const shown = [
          { label: "distribution mean", latent: thread.optimizer.mean() },
          { label: "start code", latent: starts[i] ?? thread.optimizer.mean() },
          ...(best === null ? [] : [{ label: `best, image ${best.imageId}`, latent: best.latent }]),
        ];
        const dim = thread.optimizer.dim;
        const data = new Float64Array(shown.length * dim);
        shown.forEach((s, k) => data.set(s.latent, k * dim));
        const imageIds = shown.map(() => options.newImageId());
        for (const imageId of imageIds) confirmed.set(imageId, []);
        return { thread, generation: null, latents: { count: shown.length, dim, data }, imageIds, labels: shown.map((s) => s.label) };
      });
      const repeats = evolution.confirmRepeats;
      block = planBlock({
        images: [...confirming.flatMap((c) => c.imageIds.map((imageId) => ({ imageId, repeats }))), ...pickReferences().map((imageId) => ({ imageId, repeats: Math.ceil(repeats / confirmReferenceShare) }))],
        attemptsMax: evolution.attemptsMax,
        rng: rng.fork("confirming"),
      });
      options.log("confirming", `The results are shown again, ${repeats} times each: the mean of the distribution, the best image and the start.`);
    },
    report() {
      for (const thread of threads) {
        const generations = history[thread.index] ?? [];
        if (generations.length === 0) continue;
        const shown = confirming.find((c) => c.thread === thread);
        const scoresOf = (label: string): readonly number[] => {
          const at = shown?.labels?.findIndex((l) => l.startsWith(label)) ?? -1;
          return confirmed.get(shown?.imageIds[at] ?? -1) ?? [];
        };
        const represented = shown === undefined || scoresOf("distribution mean").length === 0 ? null : {
          distributionMean: scoresOf("distribution mean"), best: scoresOf("best"), bestChosenScore: bests[thread.index]?.rateHz ?? Number.NaN,
          start: scoresOf("start code"), references: scoresOfReferences(thread.target),
        };
        options.onReport(thread.index, reportConvergence({ generations, represented }));
      }
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
    get phase() {
      return phase;
    },
    get shownGeneration() {
      return phase === "evolution" ? generation : null;
    },
    get generation() {
      return generation;
    },
    get toDecode() {
      return phase === "confirming" ? confirming : current.map((g) => ({ ...g, labels: null }));
    },
    get done() {
      return generation >= evolution.generations;
    },
  };
}
