// Evolution as a protocol: tuning to the references first where a target is to be chosen; one block a generation, the images of all threads and
// the references shuffled together; last a block that shows the results again, for a report that luck has no part in.
// Knows nothing about trials, screens or spikes.
import { reportConvergence } from "../../evolve/index.ts";
import type { ConvergenceReport, GenerationScores } from "../../evolve/index.ts";
import type { EvolutionStep } from "../../shared/contract/plan.ts";
import { createChannelFigures, suggestTarget } from "../channels.ts";
import { beginGeneration, endGeneration, meanAndSem } from "../thread.ts";
import type { ThreadGeneration } from "../thread.ts";
import type { BlockPlan, CarryOver, EvolvedResult, PlannedItem, Protocol, ProtocolContext, ProtocolImage, RunningProtocol } from "./protocol.ts";

/** A generation of one image, the start code, is the first point of the curve: it should not rest on one presentation. */
const startRepeats = 5;
/** A presentation of a reference is a third as often: they only tell the drift. */
const confirmReferenceShare = 3;

export const evolutionProtocol: Protocol<EvolutionStep> = { name: "evolution", title: "Evolution", takesQueued: false, open: openEvolution };

function openEvolution(settings: EvolutionStep, context: ProtocolContext): RunningProtocol {
  const { rng, record, resume } = context;
  const threads = resume?.threads ?? context.openThreads();
  const slotOf = (thread: number): number => threads.findIndex((t) => t.index === thread);
  const references: ProtocolImage[] = context.library.map((label, place): ProtocolImage => {
    const key = `reference/${place}`;
    return { imageId: context.imageId(key), key, step: context.step, kind: "reference", label, thread: null, generation: null, individual: null, latent: null, source: { kind: "library", library: context.libraryIndex, place } };
  });
  const referenceIds = references.map((r) => r.imageId);
  /** Of the tuning block alone. */
  const figures = createChannelFigures(0);
  const wantedTargets = new Map<number, number>(resume?.wantedTargets ?? []);
  let current: readonly ThreadGeneration[] = [];
  /** Responses to references in this block, by image: every channel, spikes/s. */
  let referenceRates = new Map<number, (readonly number[])[]>();
  let phase: "tuning" | "evolution" | "confirming" = "tuning";
  let confirming: readonly { readonly slot: number; readonly shown: readonly { readonly label: string; readonly image: ProtocolImage }[] }[] = [];
  const confirmed = new Map<number, number[]>();
  const pastOf = (index: number): NonNullable<typeof resume>["history"][number] | undefined => resume?.history.find((h) => h.thread === index);
  const starts = threads.map((t) => pastOf(t.index)?.start ?? t.optimizer.mean());
  const history = threads.map((t): GenerationScores[] => [...(pastOf(t.index)?.generations ?? [])]);
  /** The individual with the highest mean rate so far, by thread. */
  const bests = threads.map((t) => pastOf(t.index)?.best ?? null);
  const reports: ConvergenceReport[] = [];
  let generation = resume?.generation ?? 0;
  let begun = false;
  let targetChosen = resume?.generation !== null && resume !== null;
  let carried: CarryOver | null = null;
  let over = false;

  // ---- targets -----------------------------------------------------------------------------------------------------------

  const automatic = (): readonly number[] => settings.threads.flatMap((t, slot) => (t.target === "auto" ? [slot] : []));

  function chooseTargets(): void {
    if (!targetChosen) {
      const slots = automatic();
      const offered = carried?.target ?? null;
      const suggested = offered?.channel ?? (slots.length > 0 ? suggestTarget({ tuning: figures.tuning(), signalHz: figures.signalHz(), status: context.figures.statuses() }) : null);
      for (const slot of slots) {
        const thread = threads[slot];
        if (thread === undefined || wantedTargets.has(thread.index)) continue;
        if (suggested === null) context.raiseAlarm("noTarget", "No channel responds reliably to the reference images: channel 0 is evolved. Choose a target with T.");
        thread.target = suggested ?? 0;
        const why = offered === null ? "by its tuning to the references" : offered.byOperator ? "by the operator" : `by step ${offered.fromStep + 1}`;
        context.log("target", `Target ${context.channelName(thread.target)} chosen ${why}.`, "info", "log", { thread: thread.index, channel: thread.target });
      }
      targetChosen = true;
    }
    applyTargets();
  }

  function applyTargets(): void {
    for (const [index, channel] of wantedTargets) {
      const thread = threads[slotOf(index)];
      if (thread !== undefined) thread.target = channel;
      context.clearAlarm("noTarget", "A target was chosen.");
    }
    wantedTargets.clear();
  }

  // ---- blocks ------------------------------------------------------------------------------------------------------------

  /** The same references in turn, so that every one comes back every few generations. */
  function pickReferences(): readonly number[] {
    const n = Math.min(settings.referencesPerGeneration, referenceIds.length);
    return Array.from({ length: n }, (_, i) => referenceIds[(generation * n + i) % referenceIds.length] ?? 0);
  }

  const plain = (imageId: number, repeats: number, sizeDeg: number | null = null): PlannedItem => ({ item: imageId, imageId, repeats, at: null, sizeDeg });

  function tuningBlock(): BlockPlan {
    phase = "tuning";
    referenceRates = new Map();
    context.log("tuning", `Tuning: ${referenceIds.length} reference images, ${settings.tuningRepeats} times each, to see what the channels respond to.`);
    return { items: referenceIds.map((id) => plain(id, settings.tuningRepeats)), images: [], stream: "tuning", generation: null, last: false, attemptsMax: settings.attemptsMax };
  }

  function generationBlock(): BlockPlan {
    phase = "evolution";
    referenceRates = new Map();
    current = threads.map((thread) => beginGeneration(thread, (individual) => context.imageId(`generation/${thread.optimizer.generation}/${thread.index}/${individual}`)));
    const images = current.flatMap((g) => g.imageIds.map((imageId, individual): ProtocolImage => {
      const latent = g.latents.data.slice(individual * g.latents.dim, (individual + 1) * g.latents.dim);
      return {
        imageId, key: `generation/${g.generation}/${g.thread.index}/${individual}`, step: context.step, kind: "evolved", label: "", thread: g.thread.index, generation: g.generation, individual, latent,
        source: { kind: "latent", generator: g.thread.generator, latent },
      };
    }));
    return {
      items: [
        ...current.flatMap((g, slot) => g.imageIds.map((imageId) => plain(imageId, g.imageIds.length === 1 ? Math.max(startRepeats, settings.repeats) : settings.repeats, settings.threads[slot]?.imageSizeDeg ?? null))),
        ...pickReferences().map((imageId) => plain(imageId, settings.repeats)),
      ],
      images, stream: `block/${generation}`, generation, last: settings.confirmRepeats === 0 && generation + 1 >= settings.generations, attemptsMax: settings.attemptsMax,
    };
  }

  function confirmingBlock(): BlockPlan {
    phase = "confirming";
    referenceRates = new Map();
    confirming = threads.map((thread, slot) => {
      const best = bests[slot] ?? null;
      const shown: readonly { readonly label: string; readonly key: string; readonly latent: Float32Array | Float64Array }[] = [
        { label: "distribution mean", key: "mean", latent: thread.optimizer.mean() },
        { label: "start code", key: "start", latent: starts[slot] ?? thread.optimizer.mean() },
        ...(best === null ? [] : [{ label: `best, image ${best.imageId}`, key: "best", latent: best.latent }]),
      ];
      return {
        slot,
        shown: shown.map(({ label, key: name, latent }) => {
          const key = `confirm/${thread.index}/${name}`;
          // As codes are recorded elsewhere: double precision.
          const code = Float64Array.from(latent);
          return { label, image: { imageId: context.imageId(key), key, step: context.step, kind: "evolved" as const, label, thread: thread.index, generation: null, individual: null, latent: code, source: { kind: "latent" as const, generator: thread.generator, latent: code } } };
        }),
      };
    });
    for (const c of confirming) for (const { image } of c.shown) confirmed.set(image.imageId, []);
    const repeats = settings.confirmRepeats;
    context.log("confirming", `The results are shown again, ${repeats} times each: the mean of the distribution, the best image and the start.`);
    return {
      items: [
        ...confirming.flatMap((c) => c.shown.map(({ image }) => plain(image.imageId, repeats, settings.threads[c.slot]?.imageSizeDeg ?? null))),
        ...pickReferences().map((imageId) => plain(imageId, Math.ceil(repeats / confirmReferenceShare))),
      ],
      images: confirming.flatMap((c) => c.shown.map(({ image }) => image)), stream: "confirming", generation: null, last: true, attemptsMax: settings.attemptsMax,
    };
  }

  // ---- scores ------------------------------------------------------------------------------------------------------------

  function scoresOfReferences(target: number): { readonly imageId: number; readonly scores: number[] }[] {
    return [...referenceRates].map(([imageId, rates]) => ({ imageId, scores: rates.map((r) => r[target] ?? 0) }));
  }

  function finishThread(g: ThreadGeneration): void {
    const { report, stateAfter } = endGeneration(g);
    const slot = slotOf(g.thread.index);
    const target = g.thread.target;
    const scored = [...report.scores].filter((s) => !Number.isNaN(s));
    const evolved = meanAndSem(scored);
    const referenceScores = scoresOfReferences(target);
    const reference = meanAndSem(referenceScores.flatMap((r) => r.scores));
    const ranked = [...report.scores]
      .map((rateHz, i) => ({ imageId: g.imageIds[i] ?? 0, rateHz }))
      .filter((r) => !Number.isNaN(r.rateHz))
      .sort((a, b) => b.rateHz - a.rateHz || a.imageId - b.imageId);
    history[slot]?.push({ generation: g.generation, evolved: scored, references: referenceScores });
    const top = ranked[0];
    const known = bests[slot] ?? null;
    if (top !== undefined && (known === null || top.rateHz > known.rateHz)) {
      const individual = g.imageIds.indexOf(top.imageId);
      bests[slot] = { imageId: top.imageId, rateHz: top.rateHz, latent: g.latents.data.slice(individual * g.latents.dim, (individual + 1) * g.latents.dim) };
    }
    record({
      kind: "generation", thread: g.thread.index, generation: g.generation, targetChannel: target, optimizer: g.thread.optimizer.name,
      stateBefore: g.stateBefore, stateAfter, rngState: JSON.stringify(rng.state()), scores: report.scores,
      evolvedMean: evolved.mean, evolvedSem: evolved.sem, referenceMean: reference.mean, referenceSem: reference.sem,
      stepSize: report.stepSize, missing: report.missing, bestImageId: ranked[0]?.imageId ?? null,
    });
    const lost = report.missing > 0 ? `; ${report.missing} of ${g.imageIds.length} images without a response` : "";
    const against = Number.isNaN(reference.mean) ? "" : ` against ${reference.mean.toFixed(1)} for the references`;
    context.log("generation", `Generation ${g.generation}: mean ${evolved.mean.toFixed(1)} spikes/s${against}, step size ${report.stepSize.toPrecision(3)}${lost}.`, report.missing > 0 ? "warn" : "info");
    context.onGeneration({
      thread: g.thread.index, generation: g.generation, target,
      evolved: { ...evolved, best: ranked[0]?.rateHz ?? Number.NaN, count: ranked.length },
      reference: { ...reference, count: referenceScores.reduce((n, r) => n + r.scores.length, 0) },
      stepSize: report.stepSize, missing: report.missing, ranked,
    });
  }

  function reportThread(slot: number): void {
    const thread = threads[slot];
    const generations = history[slot] ?? [];
    if (thread === undefined || generations.length === 0) return;
    const shown = confirming.find((c) => c.slot === slot)?.shown ?? [];
    const scoresOf = (label: string): readonly number[] => confirmed.get(shown.find((s) => s.label.startsWith(label))?.image.imageId ?? -1) ?? [];
    const represented = scoresOf("distribution mean").length === 0 ? null : {
      distributionMean: scoresOf("distribution mean"), best: scoresOf("best"), bestChosenScore: bests[slot]?.rateHz ?? Number.NaN,
      start: scoresOf("start code"), references: scoresOfReferences(thread.target),
    };
    const report = reportConvergence({ generations, represented });
    reports.push(report);
    context.onConvergence(thread.index, report);
  }

  return {
    stage: () => references,
    waitsForStaged: true,
    begin(from) {
      carried = from;
    },
    nextBlock() {
      if (over) return null;
      if (!begun) {
        begun = true;
        const mustTune = !targetChosen && (carried?.target ?? null) === null && automatic().length > 0 && settings.tuningRepeats > 0 && referenceIds.length > 0;
        if (mustTune) return tuningBlock();
        // A generation that was cut short goes on with the target that it had.
        if (!targetChosen) chooseTargets();
      } else if (phase === "tuning") chooseTargets();
      if (generation < settings.generations) return generationBlock();
      if (phase !== "confirming" && settings.confirmRepeats > 0) return confirmingBlock();
      over = true;
      return null;
    },
    response({ imageId, ratesHz }) {
      if (phase === "tuning") {
        figures.resize(ratesHz.length);
        figures.addResponse(imageId, ratesHz);
      }
      for (const g of current) {
        const individual = g.imageIds.indexOf(imageId);
        if (individual >= 0) g.scores[individual]?.push(ratesHz[g.thread.target] ?? 0);
      }
      for (const c of confirming) {
        if (c.shown.some(({ image }) => image.imageId === imageId)) confirmed.get(imageId)?.push(ratesHz[threads[c.slot]?.target ?? 0] ?? 0);
      }
      if (referenceIds.includes(imageId)) referenceRates.set(imageId, [...(referenceRates.get(imageId) ?? []), [...ratesHz]]);
    },
    blockOver() {
      if (phase !== "evolution") return { release: [], room: false };
      for (const g of current) finishThread(g);
      const release = current.flatMap((g) => g.imageIds);
      current = [];
      generation += 1;
      applyTargets();
      return { release, room: generation < settings.generations };
    },
    setTarget(thread, channel) {
      wantedTargets.set(thread, channel);
    },
    moveTargets(to) {
      const again: number[] = [];
      for (const [thread, channel] of wantedTargets) wantedTargets.set(thread, to.get(channel) ?? channel);
      const moved = new Set<number>();
      for (const thread of threads) {
        const next = to.get(thread.target);
        if (next === undefined) continue;
        moved.add(thread.index);
        thread.target = next;
      }
      if (moved.size === 0) return again;
      for (const g of current) {
        if (!moved.has(g.thread.index)) continue;
        g.scores.forEach((scores, individual) => {
          again.push(...scores.map(() => g.imageIds[individual] ?? 0));
          scores.length = 0;
        });
      }
      for (const c of confirming) {
        if (!moved.has(threads[c.slot]?.index ?? -1)) continue;
        for (const { image } of c.shown) {
          again.push(...(confirmed.get(image.imageId) ?? []).map(() => image.imageId));
          confirmed.set(image.imageId, []);
        }
      }
      // The references stand beside what is measured from now on.
      if (phase !== "tuning") {
        for (const [imageId, rates] of referenceRates) again.push(...rates.map(() => imageId));
        referenceRates = new Map();
      }
      return again;
    },
    channelOf: (image) => threads[Math.max(0, slotOf(image.thread ?? -1))]?.target ?? 0,
    get planned() {
      const perGeneration = threads.reduce((n, t) => n + t.optimizer.populationSize, 0) * settings.repeats + Math.min(settings.referencesPerGeneration, referenceIds.length) * settings.repeats;
      return perGeneration * settings.generations;
    },
    get message() {
      if (phase === "tuning") return "Tuning to the reference images";
      return phase === "confirming" ? "The results are shown again" : `Generation ${Math.min(generation + 1, settings.generations)} of ${settings.generations}`;
    },
    view: () => ({
      protocol: "evolution", step: context.step, phase, generation, generations: settings.generations,
      threads: threads.map((t) => ({ thread: t.index, target: t.target, generator: t.generator.identity.id, optimizer: t.optimizer.name })),
    }),
    report() {
      threads.forEach((_, slot) => reportThread(slot));
      return {
        sentences: reports.length === 0 ? ["No generation was finished."] : reports.flatMap((r) => r.sentences),
        tables: [{
          title: "Generations",
          columns: [{ name: "evolution", unit: "" }, { name: "generation", unit: "" }, { name: "evolved", unit: "spikes/s" }, { name: "references", unit: "spikes/s" }],
          rows: history.flatMap((generations, slot) => generations.map((g) => {
            const reference = meanAndSem(g.references.flatMap((r) => r.scores)).mean;
            const evolved = meanAndSem(g.evolved).mean;
            return [threads[slot]?.index ?? slot, g.generation, Number.isNaN(evolved) ? null : evolved, Number.isNaN(reference) ? null : reference];
          })),
        }],
      };
    },
    carryOver: () => ({
      evolved: threads.map((t, slot): EvolvedResult => {
        const best = bests[slot] ?? null;
        return { step: context.step, thread: t.index, target: t.target, generator: t.generator.identity.id, best: best === null ? null : { imageId: best.imageId, rateHz: best.rateHz, latent: [...best.latent] }, mean: [...t.optimizer.mean()], final: generation >= settings.generations };
      }),
    }),
    get evolution() {
      return { generation, generations: settings.generations, phase, threads };
    },
  };
}
