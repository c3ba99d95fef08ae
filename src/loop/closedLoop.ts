// The closed loop of a session: plans blocks of evolved and reference images, shows them in trials, takes spikes to scores and scores to
// the optimizers, until the last generation or Stop. Talks to the world through ports only; knows nothing about files, windows or rigs.
import type { Rng } from "../shared/rng.ts";
import type { Clock, ClockAligner, Display, DisplayReport, EyeTracker, PlannedFlash, Retina, Reward, SpikeSource } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { FaultError, assertNever } from "../shared/result.ts";
import type { EvolutionConfig, ResponseConfig, TrialConfig } from "../shared/contract/config.ts";
import { addMs, nsPerMs, rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";
import type { ExcludedBecause, EyeBatch, ImageBatch, ImageKind, OnsetSource, SourceEvent, SourceFault, TrialOutcome } from "../shared/values.ts";
import { createAlarms } from "./alarms.ts";
import type { Alarms } from "./alarms.ts";
import { planBlock } from "./block.ts";
import type { Block } from "./block.ts";
import { createChannelFigures, suggestTarget } from "./channels.ts";
import type { ChannelFigures } from "./channels.ts";
import { createFixationMonitor, createFreeViewing } from "./fixation.ts";
import { createOnsetMatcher } from "./onsets.ts";
import type { Onset } from "./onsets.ts";
import { createResponseCollector } from "./responses.ts";
import { beginGeneration, endGeneration, meanAndSem } from "./thread.ts";
import type { EvolutionThread, ThreadGeneration } from "./thread.ts";
import { initialTrialState, stepTrial } from "./trial.ts";
import type { TrialEvent, TrialState, TrialTiming } from "./trial.ts";

export interface LoopImage {
  readonly imageId: number;
  readonly kind: ImageKind;
  readonly thread: number | null;
  readonly generation: number | null;
  readonly individual: number | null;
  readonly label: string;
}

/** A presentation whose fate is decided, for live views. */
export interface SettledPresentation {
  readonly presentationId: number;
  readonly image: LoopImage;
  readonly rateHz: number | null;
  readonly excluded: ExcludedBecause | null;
  readonly onsetRigNs: RigTimeNs | null;
  readonly onsetSource: OnsetSource | null;
}

export interface GenerationResult {
  readonly thread: number;
  readonly generation: number;
  readonly target: number;
  readonly evolved: { readonly mean: number; readonly sem: number; readonly best: number; readonly count: number };
  readonly reference: { readonly mean: number; readonly sem: number; readonly count: number };
  readonly stepSize: number;
  readonly missing: number;
  /** Image ids with their mean rate, best first; unmeasured images are left out. */
  readonly ranked: readonly { readonly imageId: number; readonly rateHz: number }[];
}

export interface LoopListener {
  presentation?(p: SettledPresentation): void;
  /** The raster of a settled presentation can now be read: the stream has passed +250 ms. */
  raster?(p: SettledPresentation, spikesMs: readonly number[], channel: number): void;
  generation?(g: GenerationResult): void;
  trial?(outcome: TrialOutcome, trialId: number): void;
  screen?(imageId: number | null, fixation: boolean, imageInTrial: number, imagesInTrial: number): void;
  eye?(batch: EyeBatch, inside: boolean): void;
  ended?(reason: "completed" | "stopped" | "failed", message: string): void;
}

export interface ReferenceImage {
  readonly label: string;
  readonly image: ImageBatch;
}

/** What an interrupted session had reached, from its file. The threads' optimizers are restored from the state before `generation`. */
export interface ResumePoint {
  /** null = it was interrupted before its first generation: the tuning block is shown again. */
  readonly generation: number | null;
  readonly nextImageId: number;
  readonly nextPresentationId: number;
  readonly nextTrialId: number;
  /** Image ids that the interrupted generation had already given, by thread and individual. */
  readonly imageIds: readonly { readonly thread: number; readonly individual: number; readonly imageId: number }[];
  readonly referenceImageIds: readonly number[];
  /** Counted presentations of the interrupted generation, in order. */
  readonly measured: readonly { readonly imageId: number; readonly countsHz: readonly number[] }[];
}

export interface ClosedLoopOptions {
  readonly clock: Clock;
  readonly source: SpikeSource;
  /** null = free viewing: no fixation is asked for. */
  readonly eye: EyeTracker | null;
  /** null = this rig has no juice line. */
  readonly reward: Reward | null;
  readonly display: Display;
  /** The synthetic rig's eyes; null on real rigs. */
  readonly retina: Retina | null;
  readonly aligner: ClockAligner;
  readonly rng: Rng;
  readonly trial: TrialConfig;
  readonly response: ResponseConfig;
  readonly evolution: EvolutionConfig;
  readonly threads: readonly EvolutionThread[];
  /** Threads whose target is chosen from the tuning block. */
  readonly autoTargets: readonly number[];
  readonly references: readonly ReferenceImage[];
  /** Does a gap in this source's stream mean that spikes are lost? */
  readonly gapMeansSpikeLoss: boolean;
  readonly record: (body: SessionRecordBody) => void;
  /** Settles when the store can take more; held on a virtual clock. */
  readonly room: () => Promise<void> | null;
  readonly listener: LoopListener;
  readonly resume: ResumePoint | null;
}

export interface ClosedLoop {
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): void;
  skipGeneration(): void;
  setTarget(thread: number, channel: number): void;
  rewardNow(pulseMs: number): Promise<void>;
  setRewardMs(pulseMs: number): void;
  setDisplayAvailable(available: boolean): void;
  readonly alarms: Alarms;
  readonly channels: ChannelFigures;
  readonly status: LoopStatus;
}

export interface LoopStatus {
  readonly trialState: string;
  readonly paused: boolean;
  readonly ended: boolean;
  readonly generation: number;
  readonly tuning: boolean;
  readonly imageInBlock: number;
  readonly imagesInBlock: number;
  readonly presentations: number;
  readonly excluded: number;
  readonly targets: readonly number[];
  readonly rewardMs: number;
  readonly matchedMarks: number;
  readonly unmatchedMarks: number;
  readonly lagMs: { readonly mean: number; readonly sd: number; readonly n: number };
  readonly lateFrames: number;
  readonly lateSpikes: number;
  readonly waitedForImagesMs: number;
  readonly holdFraction: number | null;
}

interface Presentation {
  readonly id: number;
  readonly trialId: number;
  readonly image: LoopImage;
  readonly block: Block;
  readonly flash: PlannedFlash;
  scheduledHostNs: HostTimeNs;
  flipHostNs: HostTimeNs | null;
  framesShown: number | null;
  lateFrames: number;
  onset: Onset | null;
  counts: { readonly counts: Uint16Array; readonly baselineCounts: Uint16Array; readonly lossy: boolean } | null;
  trialOver: boolean;
  settled: boolean;
}

/** After the onset, spikes are shown up to here. */
const rasterFromMs = -50;
const rasterToMs = 250;
/** A flip and its mark belong together when they are no further apart than this, after the clocks are aligned. */
const markToleranceMs = 60;
const decodeChunk = 8;

export function createClosedLoop(options: ClosedLoopOptions): ClosedLoop {
  const { clock, source, display, reward, retina, record, listener, rng, response, evolution } = options;
  const alarms = createAlarms({ now: () => clock.now(), record });
  const channels = createChannelFigures(source.channels().length);
  const fixation = options.eye === null ? createFreeViewing() : createFixationMonitor({ windowDeg: options.trial.fixationWindowDeg, graceMs: options.trial.graceMs });
  let channelCount = source.channels().length;
  const collector = createResponseCollector({ channelCount: () => channelCount, ...response });
  const matcher = createOnsetMatcher({ onsetFrom: response.onsetFrom, ttlLine: response.onsetTtlLine, toleranceMs: markToleranceMs, map: () => options.aligner.map() });
  const excludeGaps = response.onGap === "exclude" || (response.onGap === "auto" && options.gapMeansSpikeLoss);
  const windowS = (response.windowEndMs - response.windowStartMs) / 1000;

  const images = new Map<number, LoopImage>();
  const ready = new Set<number>();
  const presentations = new Map<number, Presentation>();
  const rasters: { p: SettledPresentation; channel: number }[] = [];
  const blockers = new Set<string>();
  const targetWanted = new Map<number, number>();
  const referenceIds: number[] = [];

  let trial: TrialState = initialTrialState(options.resume?.nextTrialId ?? 1);
  let rewardMs = options.trial.rewardMs;
  let block: Block | null = null;
  let current: readonly ThreadGeneration[] = [];
  /** Reference responses of this block for every channel, in spikes/s. */
  let referenceRates: number[][] = [];
  let blockKind: "tuning" | "evolution" = "tuning";
  let generation = options.resume?.generation ?? 0;
  let nextImageId = options.resume?.nextImageId ?? 1;
  let nextPresentationId = options.resume?.nextPresentationId ?? 1;
  let presented = 0;
  let excludedCount = 0;
  let lateFrames = 0;
  let imagesWanted = false;
  let imagesWantedSince: HostTimeNs | null = null;
  let waitedForImagesMs = 0;
  let userPaused = false;
  let ending: "completed" | "stopped" | "failed" | null = null;
  let endMessage = "";
  let ended = false;
  let lastClockRecordNs = Number.NEGATIVE_INFINITY;
  let noSpikesSince: HostTimeNs | null = null;

  const log = (code: string, message: string, severity: "info" | "warn" | "fault" = "info", category: "log" | "operator" | "fault" | "state" = "log", data?: unknown): void => {
    record({ kind: "event", category, severity, code, message, dataJson: data === undefined ? "" : JSON.stringify(data) });
  };

  // ---- images ----------------------------------------------------------------------------------------------------------

  async function addImage(image: LoopImage, pixels: ImageBatch, latent: Float32Array | Float64Array | null, isNew: boolean): Promise<void> {
    images.set(image.imageId, image);
    if (isNew) {
      record({
        kind: "image", imageId: image.imageId, imageKind: image.kind, thread: image.thread, generation: image.generation, individual: image.individual,
        label: image.label, widthPx: pixels.width, heightPx: pixels.height, rgb: pixels.data, latent,
      });
    }
    await Promise.all([retina?.see(image.imageId, pixels), display.prepare(image.imageId, pixels)]);
    ready.add(image.imageId);
    serve();
  }

  async function decodeInOrder(generations: readonly ThreadGeneration[], order: readonly number[], known: ReadonlySet<number>): Promise<void> {
    const where = new Map<number, { g: ThreadGeneration; individual: number }>();
    for (const g of generations) g.imageIds.forEach((imageId, individual) => where.set(imageId, { g, individual }));
    let pending: { imageId: number; g: ThreadGeneration; individual: number }[] = [];
    const flush = async (): Promise<void> => {
      const chunk = pending;
      pending = [];
      const first = chunk[0];
      if (first === undefined) return;
      const { dim } = first.g.latents;
      const data = new Float32Array(chunk.length * dim);
      chunk.forEach((c, i) => data.set(c.g.latents.data.subarray(c.individual * dim, (c.individual + 1) * dim), i * dim));
      const decoded = await first.g.thread.generator.decode({ count: chunk.length, dim, data });
      const bytes = decoded.width * decoded.height * 3;
      for (const [i, c] of chunk.entries()) {
        const latent = c.g.latents.data.slice(c.individual * dim, (c.individual + 1) * dim);
        const image: LoopImage = { imageId: c.imageId, kind: "evolved", thread: c.g.thread.index, generation: c.g.generation, individual: c.individual, label: "" };
        await addImage(image, { count: 1, width: decoded.width, height: decoded.height, data: decoded.data.slice(i * bytes, (i + 1) * bytes) }, latent, !known.has(c.imageId));
        if (ended) return;
      }
    };
    let limit = options.trial.imagesPerTrial;
    for (const imageId of order) {
      const found = where.get(imageId);
      if (found === undefined) continue;
      if (pending.length > 0 && pending[0]?.g !== found.g) await flush();
      pending.push({ imageId, ...found });
      if (pending.length >= limit) {
        await flush();
        limit = decodeChunk;
      }
      if (ended) return;
    }
    await flush();
  }

  // ---- blocks ----------------------------------------------------------------------------------------------------------

  function startTuning(): void {
    blockKind = "tuning";
    referenceRates = [];
    block = planBlock({
      images: referenceIds.map((imageId) => ({ imageId, repeats: evolution.tuningRepeats })),
      attemptsMax: evolution.attemptsMax,
      rng: rng.fork("tuning"),
    });
    log("tuning", `Tuning: ${referenceIds.length} reference images, ${evolution.tuningRepeats} times each, to see what the channels respond to.`);
    serve();
  }

  function startGeneration(): void {
    blockKind = "evolution";
    referenceRates = [];
    const given = new Map((options.resume?.generation === generation ? options.resume.imageIds : []).map((i) => [`${i.thread}/${i.individual}`, i.imageId]));
    const known = new Set(given.values());
    current = options.threads.map((thread) => beginGeneration(thread, (individual) => given.get(`${thread.index}/${individual}`) ?? nextImageId++));
    const references = pickReferences(generation);
    block = planBlock({
      images: [...current.flatMap((g) => g.imageIds), ...references].map((imageId) => ({ imageId, repeats: evolution.repeats })),
      attemptsMax: evolution.attemptsMax,
      rng: rng.fork(`block/${generation}`),
    });
    const order = block.imageOrder;
    if (options.resume?.generation === generation) takeOverMeasured(options.resume, block);
    clock.hold(decodeInOrder(current, order, known)).catch((error: unknown) => fail(error));
    serve();
  }

  function takeOverMeasured(resume: ResumePoint, into: Block): void {
    for (const m of resume.measured) keepScore(m.imageId, m.countsHz);
    into.restore(resume.measured.map((m) => m.imageId));
    if (into.done) finishBlock();
  }

  /** The same references in turn, so that every one comes back every few generations. */
  function pickReferences(g: number): readonly number[] {
    const n = Math.min(evolution.referencesPerGeneration, referenceIds.length);
    return Array.from({ length: n }, (_, i) => referenceIds[(g * n + i) % referenceIds.length] ?? 0);
  }

  function keepScore(imageId: number, ratesHz: readonly number[]): void {
    for (const g of current) {
      const individual = g.imageIds.indexOf(imageId);
      if (individual >= 0) g.scores[individual]?.push(ratesHz[g.thread.target] ?? 0);
    }
    if (referenceIds.includes(imageId)) referenceRates.push([...ratesHz]);
  }

  function finishBlock(): void {
    if (block === null) return;
    const finished = block;
    block = null;
    if (ending !== null) return;
    if (blockKind === "tuning") {
      chooseTargets();
      startGeneration();
      return;
    }
    for (const g of current) finishThread(g, finished);
    display.release(current.flatMap((g) => g.imageIds));
    for (const g of current) for (const imageId of g.imageIds) ready.delete(imageId);
    generation += 1;
    applyTargets();
    if (generation >= evolution.generations) end("completed", `All ${evolution.generations} generations are done.`);
    else {
      const room = options.room();
      if (room === null) startGeneration();
      else clock.hold(room).then(() => (ending === null ? startGeneration() : undefined)).catch((error: unknown) => fail(error));
    }
  }

  function finishThread(g: ThreadGeneration, finished: Block): void {
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
    const lost = report.missing > 0 ? `; ${report.missing} of ${g.imageIds.length} images without a response after ${evolution.attemptsMax} attempts` : "";
    const against = Number.isNaN(reference.mean) ? "" : ` against ${reference.mean.toFixed(1)} for the references`;
    log("generation", `Generation ${g.generation}: mean ${evolved.mean.toFixed(1)} spikes/s${against}, step size ${report.stepSize.toPrecision(3)}${lost}.`, report.missing > 0 || finished.missing > 0 ? "warn" : "info");
    listener.generation?.({
      thread: g.thread.index, generation: g.generation, target,
      evolved: { ...evolved, best: ranked[0]?.rateHz ?? Number.NaN, count: ranked.length },
      reference: { ...reference, count: referenceRates.length },
      stepSize: report.stepSize, missing: report.missing, ranked,
    });
  }

  function chooseTargets(): void {
    if (options.autoTargets.length === 0) return;
    const suggested = suggestTarget({ tuning: channels.tuning(), signalHz: channels.signalHz(), status: channels.statuses() });
    for (const index of options.autoTargets) {
      const thread = options.threads[index];
      if (thread === undefined || targetWanted.has(index)) continue;
      if (suggested === null) {
        alarms.raise({ code: "noTarget", severity: "warn", message: "No channel responds reliably to the reference images: channel 0 is evolved. Choose a target with T." });
      }
      thread.target = suggested ?? 0;
      log("target", `Target ${channelName(thread.target)} chosen by its tuning to the references.`, "info", "log", { thread: index, channel: thread.target });
    }
    applyTargets();
  }

  function applyTargets(): void {
    for (const [index, channel] of targetWanted) {
      const thread = options.threads[index];
      if (thread !== undefined) thread.target = channel;
    }
    targetWanted.clear();
  }

  function channelName(index: number): string {
    const c = source.channels()[index];
    return c === undefined ? `channel ${index}` : c.area !== "" && !c.name.startsWith(c.area) ? `${c.area} ${c.name}` : c.name;
  }

  // ---- trials ----------------------------------------------------------------------------------------------------------

  function timing(): TrialTiming {
    return { ...options.trial, rewardMs: reward === null ? 0 : rewardMs, displayTimeoutMs: 1000 };
  }

  function step(event: TrialEvent): void {
    const { state, actions } = stepTrial(trial, event, timing());
    trial = state;
    for (const action of actions) {
      switch (action.kind) {
        case "requestImages":
          imagesWanted = true;
          imagesWantedSince = clock.now();
          serve();
          break;
        case "fixation":
          display.showFixation(action.visible);
          retina?.fixationSpot?.(action.visible, clock.now());
          if (action.visible) listener.screen?.(null, true, 0, trial.flashes.length);
          else listener.screen?.(null, false, 0, 0);
          break;
        case "run":
          display.run(action.trialId, action.flashes);
          break;
        case "abort":
          display.abort(action.trialId);
          break;
        case "timer":
          clock.setTimer(action.atHostNs, () => step({ kind: "timer", token: action.token, atHostNs: clock.now() }));
          break;
        case "reward":
          deliver(action.pulseMs, "trial").then(() => step({ kind: "rewardDone", atHostNs: clock.now() })).catch((error: unknown) => fail(error));
          break;
        case "trialEnd":
          onTrialEnd(action);
          break;
        default:
          assertNever(action);
      }
    }
    if (trial.name === "stopped" && ending !== null) finishUp();
  }

  /** Gives the trial its images as soon as the next ones are decoded and nothing stands in the way. */
  function serve(): void {
    if (!imagesWanted || trial.name !== "waitImages" || block === null || ended) return;
    if (blockers.size > 0) return;
    const due = block.peek(options.trial.imagesPerTrial);
    if (due.length === 0 || !due.every((id) => ready.has(id))) return;
    const taken = block.take(due.length);
    const hz = display.geometry().refreshHz;
    const onFrames = Math.max(1, Math.round((options.trial.onMs * hz) / 1000));
    const offFrames = Math.max(0, Math.round((options.trial.offMs * hz) / 1000));
    const flashes = taken.map((imageId): PlannedFlash => ({ presentationId: nextPresentationId++, imageId, onFrames, offFrames }));
    for (const flash of flashes) {
      const image = images.get(flash.imageId);
      if (image === undefined) throw new Error(`expected image ${flash.imageId} to be known, got none`);
      presentations.set(flash.presentationId, {
        id: flash.presentationId, trialId: trial.trialId, image, block, flash,
        scheduledHostNs: clock.now(), flipHostNs: null, framesShown: null, lateFrames: 0, onset: null, counts: null, trialOver: false, settled: false,
      });
    }
    imagesWanted = false;
    if (imagesWantedSince !== null) waitedForImagesMs += (clock.now() - imagesWantedSince) / nsPerMs;
    step({ kind: "imagesReady", flashes, durationMs: 0, atHostNs: clock.now() });
  }

  function onTrialEnd(end: Extract<ReturnType<typeof stepTrial>["actions"][number], { kind: "trialEnd" }>): void {
    const unseen: number[] = [];
    let completed = 0;
    for (const flash of end.flashes) {
      const p = presentations.get(flash.presentationId);
      if (p === undefined) continue;
      if (p.flipHostNs === null) {
        presentations.delete(p.id);
        unseen.push(flash.imageId);
        continue;
      }
      p.trialOver = true;
      if (p.framesShown !== null && p.framesShown >= flash.onFrames) completed += 1;
    }
    const current = block;
    if (current !== null && unseen.length > 0) current.giveBack(unseen);
    record({
      kind: "trial", trialId: end.trialId, startHostNs: end.startHostNs, endHostNs: end.endHostNs, outcome: end.outcome,
      imagesPlanned: end.flashes.length, imagesCompleted: completed, rewardMs: end.rewardMs,
    });
    listener.trial?.(end.outcome, end.trialId);
    for (const flash of end.flashes) {
      const p = presentations.get(flash.presentationId);
      if (p !== undefined) trySettle(p);
    }
  }

  async function deliver(pulseMs: number, cause: "trial" | "manual"): Promise<void> {
    if (reward === null) throw new FaultError({ code: "noReward", message: "This rig has no reward line: choose one in the rig's settings." });
    const given = await reward.pulse(pulseMs);
    record({ kind: "reward", pulseMs, cause, delivered: given.ok });
    if (given.ok) alarms.clear("reward", "The reward line answers again.");
    else alarms.raise({ code: "reward", severity: "fault", message: given.error.message, always: true });
  }

  // ---- display ---------------------------------------------------------------------------------------------------------

  function onDisplay(report: DisplayReport): void {
    switch (report.kind) {
      case "onset": {
        const p = presentations.get(report.presentationId);
        if (p === undefined) return;
        p.flipHostNs = report.flipHostNs;
        p.scheduledHostNs = report.plannedHostNs;
        matcher.flip(p.id, report.flipHostNs);
        retina?.lit(p.image.imageId, p.id, report.flipHostNs);
        listener.screen?.(p.image.imageId, true, trial.flashes.findIndex((f) => f.presentationId === p.id) + 1, trial.flashes.length);
        const deadline = addMs(report.flipHostNs, Math.max(response.windowEndMs, 0) + response.streamTimeoutMs);
        clock.setTimer(deadline, () => giveUpWaiting(p));
        decideOnsets();
        return;
      }
      case "offset": {
        const p = presentations.get(report.presentationId);
        retina?.lit(null, report.presentationId, report.flipHostNs);
        listener.screen?.(null, trial.name === "images", 0, trial.flashes.length);
        if (p === undefined) return;
        p.framesShown = report.framesShown;
        p.lateFrames = report.lateFrames;
        if (report.lateFrames > 0) {
          lateFrames += report.lateFrames;
          alarms.raise({ code: "lateFrames", severity: "warn", always: true, message: `${report.lateFrames} late ${report.lateFrames === 1 ? "frame" : "frames"} while image ${p.image.imageId} was on; it is shown again.`, data: { presentationId: p.id } });
        }
        trySettle(p);
        return;
      }
      case "end":
        step({ kind: "displayEnd", trialId: report.trialId, aborted: report.aborted, atHostNs: clock.now() });
        return;
      case "missing":
        alarms.raise({ code: "imageMissing", severity: "fault", always: true, message: `The stimulus window did not have image ${report.imageId}; the trial was not shown and its images come again.` });
        return;
      case "lost":
        setDisplayAvailable(false, report.reason);
        return;
      case "attached":
        setDisplayAvailable(true, "");
        return;
      default:
        assertNever(report);
    }
  }

  function setDisplayAvailable(available: boolean, reason: string): void {
    if (available) {
      if (blockers.delete("display")) alarms.clear("displayLost", "The subject's screen is back; trials go on.");
      serve();
      return;
    }
    blockers.add("display");
    alarms.raise({ code: "displayLost", severity: "fault", message: `The subject's screen is gone (${reason}). Trials wait; open it again with O.` });
    step({ kind: "displayLost", atHostNs: clock.now() });
  }

  // ---- spikes, marks, eye ----------------------------------------------------------------------------------------------

  function onSource(event: SourceEvent): void {
    if (ended && event.kind !== "spikes") return;
    switch (event.kind) {
      case "spikes": {
        record({ kind: "spikes", batch: event.batch });
        if (ended) return;
        options.aligner.addPair({ hostNs: event.batch.arrivedHostNs, rigNs: event.batch.watermarkRigNs, kind: "arrival" });
        recordClock();
        channels.add(event.batch);
        watchSpikes(event.batch.timesRigNs.length);
        for (const closed of collector.add(event.batch)) takeCounts(closed);
        decideOnsets();
        flushRasters();
        return;
      }
      case "channels":
        channelCount = event.channels.length;
        channels.resize(channelCount);
        record({ kind: "channels", channels: event.channels });
        return;
      case "mark":
        record({ kind: "mark", markKind: event.mark.kind, rigNs: event.mark.rigNs, line: event.mark.line, state: event.mark.state, word: event.mark.word, presentationId: null });
        matcher.mark(event.mark);
        decideOnsets();
        return;
      case "fault":
        onFault(event.fault);
        return;
      case "end":
        if (ending === null) {
          blockers.add("source");
          alarms.raise({ code: "sourceEnded", severity: "fault", message: `The spike stream ended: ${event.reason}. Trials wait; stop the session or bring the rig back.` });
        }
        return;
      default:
        assertNever(event);
    }
  }

  function onFault(f: SourceFault): void {
    switch (f.kind) {
      case "gap":
        if (excludeGaps) collector.markLoss(collector.watermarkRigNs, f.atRigNs);
        alarms.raise({
          code: "gap", severity: "warn", always: true, data: f,
          message: `${f.lostPackets} ${f.lostPackets === 1 ? "packet" : "packets"} of ${f.stream} lost${excludeGaps ? "; the responses they touch are recorded again" : "; responses are counted, this is noted"}.`,
        });
        return;
      case "stale":
        blockers.add("source");
        alarms.raise({ code: "streamStale", severity: "fault", message: `No data from ${source.name} for ${(f.ageMs / 1000).toFixed(1)} s. Trials wait until the stream is back.`, data: f });
        return;
      case "lost":
        blockers.add("source");
        alarms.raise({ code: "sourceLost", severity: "fault", message: `Lost ${source.name}: ${f.reason}. Trying again; trials wait.`, data: f });
        return;
      case "reconnected":
        blockers.delete("source");
        alarms.clear("sourceLost", `${source.name} is back after ${(f.awayMs / 1000).toFixed(1)} s.`);
        alarms.clear("streamStale", `${source.name} streams again after ${(f.awayMs / 1000).toFixed(1)} s.`);
        log("reconnected", `${source.name} is back after ${(f.awayMs / 1000).toFixed(1)} s.`, "info", "fault", f);
        serve();
        return;
      case "clockJump": {
        alarms.raise({ code: "clockJump", severity: "warn", always: true, data: f, message: `The rig's clock jumped by ${f.jumpMs.toFixed(1)} ms. Alignment starts afresh; open responses are recorded again.` });
        options.aligner.reset();
        for (const id of collector.reset()) {
          const p = presentations.get(id);
          if (p !== undefined) settle(p, "spikesLost");
        }
        return;
      }
      case "malformed":
        alarms.raise({ code: "malformed", severity: "warn", data: f, message: `${f.packets} malformed ${f.packets === 1 ? "packet" : "packets"} from ${source.name}: ${f.reason}.` });
        return;
      case "overflow":
        collector.markLoss(collector.watermarkRigNs - 1000 * nsPerMs, collector.watermarkRigNs);
        alarms.raise({ code: "overflow", severity: "fault", always: true, data: f, message: `${f.droppedSpikes} spikes were dropped by a full queue; the responses they touch are recorded again.` });
        return;
      default:
        assertNever(f);
    }
  }

  function watchSpikes(n: number): void {
    if (n > 0) {
      if (noSpikesSince !== null) alarms.clear("noSpikes", "Spikes are arriving again.");
      noSpikesSince = null;
      return;
    }
    const now = clock.now();
    noSpikesSince ??= now;
    if (now - noSpikesSince > 5000 * nsPerMs) alarms.raise({ code: "noSpikes", severity: "fault", message: "The stream is alive but has no spikes for 5 s: check the headstage, the thresholds and the spike detector." });
  }

  function recordClock(): void {
    const now = clock.now();
    if (now - lastClockRecordNs < 1000 * nsPerMs) return;
    const map = options.aligner.map();
    if (map === null) return;
    lastClockRecordNs = now;
    record({ kind: "clock", anchorHostNs: now, anchorRigNs: map.toRig(now), driftPpm: map.driftPpm, uncertaintyMs: map.uncertaintyMs });
  }

  function decideOnsets(): void {
    for (const onset of matcher.decide(collector.watermarkRigNs)) {
      const p = presentations.get(onset.presentationId);
      if (p === undefined || p.settled) continue;
      p.onset = onset;
      if (onset.onsetRigNs === null) {
        alarms.raise({
          code: onset.problem ?? "noOnsetMark", severity: "warn", always: true,
          message: onset.problem === "doubledMark" ? `Two onset marks for image ${p.image.imageId}; it is shown again.` : `No onset mark for image ${p.image.imageId}; it is shown again. Check the photodiode.`,
        });
        settle(p, onset.problem ?? "noOnsetMark");
        continue;
      }
      if (p.flipHostNs !== null && (onset.source === "photodiode" || onset.source === "strobe")) {
        options.aligner.addPair({ hostNs: p.flipHostNs, rigNs: onset.onsetRigNs, kind: "mark" });
      }
      collector.open(p.id, onset.onsetRigNs);
    }
    for (const closed of collector.drain()) takeCounts(closed);
  }

  function takeCounts(closed: { readonly id: number; readonly counts: Uint16Array; readonly baselineCounts: Uint16Array; readonly lossy: boolean }): void {
    const p = presentations.get(closed.id);
    if (p === undefined || p.settled) return;
    p.counts = closed;
    trySettle(p);
  }

  function onEye(batch: EyeBatch): void {
    record({ kind: "eye", batch });
    if (ended) return;
    for (const change of fixation.add(batch)) step({ kind: "gaze", inside: change.inside, atHostNs: clock.now() });
    listener.eye?.(batch, fixation.inside);
    for (const p of presentations.values()) if (p.counts !== null) trySettle(p);
  }

  // ---- the fate of a presentation ----------------------------------------------------------------------------------------

  function giveUpWaiting(p: Presentation): void {
    if (p.settled || ended || !presentations.has(p.id)) return;
    matcher.cancel(p.id);
    collector.cancel(p.id);
    alarms.raise({ code: "responseLost", severity: "warn", always: true, message: `The response to image ${p.image.imageId} did not arrive within ${response.streamTimeoutMs} ms after its window; it is shown again.` });
    settle(p, "streamStale");
  }

  function trySettle(p: Presentation): void {
    if (p.settled || p.flipHostNs === null) return;
    if (p.framesShown === null && !p.trialOver) return;
    if (p.framesShown === null || p.framesShown < p.flash.onFrames) {
      settle(p, p.lateFrames > 0 ? "lateFrame" : "fixationBroken");
      return;
    }
    if (p.lateFrames > 0) {
      settle(p, "lateFrame");
      return;
    }
    if (p.framesShown !== p.flash.onFrames) {
      settle(p, "wrongDuration");
      return;
    }
    const onset = p.onset?.onsetRigNs;
    if (p.counts === null || onset === undefined || onset === null) return;
    if (p.counts.lossy) {
      settle(p, "spikesLost");
      return;
    }
    // Fixation must have held from the onset to the end of the image and of the response window (SPEC 1).
    const needed = addMs(onset, Math.max(options.trial.onMs, response.windowEndMs));
    if (!fixation.heldBetween(onset, needed)) settle(p, "fixationBroken");
    else if (fixation.watermarkRigNs >= needed) settle(p, null);
  }

  function settle(p: Presentation, excluded: ExcludedBecause | null): void {
    if (p.settled) return;
    p.settled = true;
    presentations.delete(p.id);
    matcher.cancel(p.id);
    collector.cancel(p.id);
    presented += 1;
    const thread = options.threads[p.image.thread ?? 0];
    const target = thread?.target ?? 0;
    const counts = p.counts?.counts ?? null;
    const rateHz = excluded === null && counts !== null ? (counts[target] ?? 0) / windowS : null;
    record({
      kind: "presentation", presentationId: p.id, trialId: p.trialId, imageId: p.image.imageId, thread: p.image.thread,
      generation: blockKind === "tuning" ? null : generation,
      scheduledHostNs: p.scheduledHostNs, flipHostNs: p.flipHostNs, onsetRigNs: p.onset?.onsetRigNs ?? null, onsetSource: p.onset?.source ?? null,
      framesPlanned: p.flash.onFrames, framesShown: p.framesShown ?? 0, lateFrames: p.lateFrames,
      counts, baselineCounts: p.counts?.baselineCounts ?? null, rateHz, targetChannel: target,
      windowStartMs: response.windowStartMs, windowEndMs: response.windowEndMs, excluded,
    });
    const settled: SettledPresentation = { presentationId: p.id, image: p.image, rateHz, excluded, onsetRigNs: p.onset?.onsetRigNs ?? null, onsetSource: p.onset?.source ?? null };
    listener.presentation?.(settled);
    if (excluded === null && counts !== null) {
      const ratesHz = Array.from(counts, (c) => c / windowS);
      channels.addResponse(p.image.imageId, ratesHz);
      rasters.push({ p: settled, channel: target });
      keepScore(p.image.imageId, ratesHz);
      p.block.measured(p.image.imageId);
    } else {
      excludedCount += 1;
      p.block.failed(p.image.imageId);
    }
    if (p.block === block && p.block.done) finishBlock();
    else serve();
  }

  function flushRasters(): void {
    while (rasters.length > 0) {
      const next = rasters[0];
      if (next === undefined || next.p.onsetRigNs === null) break;
      if (collector.watermarkRigNs < next.p.onsetRigNs + rasterToMs * nsPerMs && rasters.length < 32) break;
      rasters.shift();
      listener.raster?.(next.p, collector.spikesAround(next.channel, rigTimeNs(next.p.onsetRigNs), rasterFromMs, rasterToMs), next.channel);
    }
  }

  // ---- end ---------------------------------------------------------------------------------------------------------------

  function end(reason: "completed" | "stopped" | "failed", message: string): void {
    if (ending !== null) return;
    ending = reason;
    endMessage = message;
    step({ kind: "stop", atHostNs: clock.now() });
    if (trial.name === "stopped") finishUp();
  }

  function finishUp(): void {
    if (ended) return;
    ended = true;
    for (const p of [...presentations.values()]) if (p.flipHostNs !== null) settle(p, "stopped");
    presentations.clear();
    log(ending ?? "stopped", endMessage, ending === "failed" ? "fault" : "info", "state");
    if (reward !== null) reward.off().catch(() => undefined);
    listener.ended?.(ending ?? "stopped", endMessage);
  }

  function fail(error: unknown): void {
    const message = error instanceof FaultError ? error.message : `A bug stopped the session: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    alarms.raise({ code: "failed", severity: "fault", message });
    end("failed", message);
  }

  function resumeRunning(): void {
    userPaused = false;
    log("resumed", "The operator resumed the session.", "info", "operator");
    step({ kind: "start", atHostNs: clock.now() });
  }

  return {
    alarms,
    channels,
    async start() {
      display.onReport(onDisplay);
      if (options.eye === null) step({ kind: "gaze", inside: true, atHostNs: clock.now() });
      else {
        const eye = await clock.hold(options.eye.start(onEye));
        if (!eye.ok) throw new FaultError(eye.error);
      }
      const spikes = await clock.hold(source.start(onSource));
      if (!spikes.ok) throw new FaultError(spikes.error);
      record({ kind: "channels", channels: source.channels() });
      channelCount = source.channels().length;
      channels.resize(channelCount);
      await clock.hold(addReferences());
      if ((options.resume?.generation ?? null) === null && evolution.tuningRepeats > 0 && referenceIds.length > 0) startTuning();
      else {
        chooseTargets();
        startGeneration();
      }
      step({ kind: "start", atHostNs: clock.now() });
    },
    pause() {
      if (userPaused || ended) return;
      userPaused = true;
      log("paused", "The operator paused the session; the trial under way is finished.", "info", "operator");
      step({ kind: "pause", atHostNs: clock.now() });
    },
    resume: resumeRunning,
    stop() {
      if (ended) return;
      log("stop", "The operator stopped the session.", "info", "operator");
      end("stopped", `Stopped by the operator in generation ${generation}.`);
    },
    skipGeneration() {
      if (block === null || blockKind !== "evolution") return;
      log("skip", `The operator skipped the rest of generation ${generation}; images without a response are told as missing.`, "warn", "operator");
      block.giveUp();
      if (block.done) finishBlock();
    },
    setTarget(threadIndex, channel) {
      if (options.threads[threadIndex] === undefined) throw new FaultError({ code: "unknownThread", message: `Expected a thread from 0 to ${options.threads.length - 1}, got ${threadIndex}.` });
      if (channel >= channelCount) throw new FaultError({ code: "unknownChannel", message: `Expected a channel from 0 to ${channelCount - 1}, got ${channel}.` });
      targetWanted.set(threadIndex, channel);
      log("setTarget", `The operator chose ${channelName(channel)} as the target from the next generation on.`, "info", "operator", { thread: threadIndex, channel });
    },
    rewardNow: (pulseMs) => deliver(pulseMs, "manual"),
    setRewardMs(pulseMs) {
      rewardMs = pulseMs;
      log("rewardMs", `The operator set the reward to ${pulseMs} ms.`, "info", "operator");
    },
    setDisplayAvailable: (available) => setDisplayAvailable(available, "closed"),
    get status(): LoopStatus {
      return {
        trialState: trial.name, paused: userPaused, ended, generation, tuning: blockKind === "tuning",
        imageInBlock: block?.settled ?? 0, imagesInBlock: block?.planned ?? 0, presentations: presented, excluded: excludedCount,
        targets: options.threads.map((t) => t.target), rewardMs, matchedMarks: matcher.matchedMarks, unmatchedMarks: matcher.unmatchedMarks,
        lagMs: matcher.lagMs, lateFrames, lateSpikes: collector.lateSpikes, waitedForImagesMs, holdFraction: fixation.holdFraction,
      };
    },
  };

  async function addReferences(): Promise<void> {
    for (const [i, reference] of options.references.entries()) {
      const imageId = options.resume?.referenceImageIds[i] ?? nextImageId++;
      referenceIds.push(imageId);
      await addImage({ imageId, kind: "reference", thread: null, generation: null, individual: null, label: reference.label }, reference.image, null, options.resume?.referenceImageIds[i] === undefined);
    }
  }
}
