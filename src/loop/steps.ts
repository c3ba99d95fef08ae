// The steps of a session, one after the other: which protocol runs, its blocks, what it passes on, what the operator adds or skips. Makes the
// images of the next step ready while the last block of this one is shown. Knows nothing about trials, screens or spikes.
import type { PlanState, PlanStep, StepReport, StepState, StepView } from "../shared/contract/plan.ts";
import { imagesStep, validationStep } from "../shared/contract/plan.ts";
import type { Generator, VisualPlacement } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import type { Rng } from "../shared/rng.ts";
import type { ChannelInfo, ImageKind } from "../shared/values.ts";
import type { Alarms } from "./alarms.ts";
import { planBlock } from "./block.ts";
import type { Block } from "./block.ts";
import type { ChannelFigures } from "./channels.ts";
import type { LoopListener, ResumePoint } from "./loopTypes.ts";
import { nothingCarried } from "./protocols/protocol.ts";
import type { CarryOver, PlannedItem, ProtocolImage, RunningProtocol } from "./protocols/protocol.ts";
import { openProtocol, takesQueued, titleOf } from "./protocols/registry.ts";
import type { LabProtocols } from "./protocols/registry.ts";
import type { EvolutionThread } from "./thread.ts";

/** A step before it runs. */
export interface StepSetup {
  readonly settings: PlanStep;
  /** Step of the configured plan whose folder it uses: its own, or of which it is a copy. */
  readonly library: number;
}

/** What is in the folder of a step, and the size of the images that the step makes or loads. */
export interface StepLibrary {
  readonly labels: readonly string[];
  readonly widthPx: number;
  readonly heightPx: number;
}

export interface StepsOptions {
  readonly setups: readonly StepSetup[];
  /** A session without a plan: its one evolution draws from the session's own stream. */
  readonly implicit: boolean;
  readonly rng: Rng;
  readonly labs: LabProtocols;
  readonly figures: ChannelFigures;
  readonly ceilingsOf: () => "all" | "even";
  readonly alarms: Alarms;
  readonly sessionPlacement: VisualPlacement;
  readonly channels: () => readonly ChannelInfo[];
  readonly channelName: (index: number) => string;
  /** Threads of an evolution, numbered from `firstThread`. */
  readonly openThreads: (settings: Extract<PlanStep, { protocol: "evolution" }>, firstThread: number) => readonly EvolutionThread[];
  readonly generator: (id: string) => Generator | null;
  readonly record: (body: SessionRecordBody) => void;
  readonly log: (code: string, message: string, severity?: "info" | "warn" | "fault", category?: "log" | "operator" | "state", data?: unknown) => void;
  readonly listener: LoopListener;
  readonly isReady: (imageId: number) => boolean;
  /** Make these ready, in this order; `ahead`: after all that is due. */
  readonly want: (images: readonly ProtocolImage[], ahead: boolean) => void;
  readonly release: (imageIds: readonly number[]) => void;
  readonly askRoom: () => void;
  /** A block is there, or the one that is has gone on. */
  readonly serve: () => void;
  readonly stopping: () => boolean;
  /** false while the display is calibrated. */
  readonly mayBegin: () => boolean;
  readonly completed: (message: string) => void;
  readonly resume: ResumePoint | null;
}

/** The block under way and what belongs to it. */
export interface CurrentBlock {
  readonly block: Block;
  readonly step: number;
  readonly number: number;
  readonly generation: number | null;
  item(item: number): PlannedItem;
}

export interface Steps {
  library(index: number, library: StepLibrary): void;
  /** Begins, or begins the next step, where everything that it waits for is there. */
  tryBegin(): void;
  readonly begun: boolean;
  readonly current: CurrentBlock | null;
  readonly settings: PlanStep | null;
  image(imageId: number): ProtocolImage | null;
  channelOf(image: ProtocolImage): number;
  /** A presentation of the block under way has its fate: rates, or null where it does not count. */
  settled(block: CurrentBlock, item: number, ratesHz: readonly number[] | null): void;
  room(): void;
  skipBlock(): void;
  skipStep(): void;
  repeatStep(step: number | null): void;
  queueImages(images: readonly { readonly label: string; readonly kind: ImageKind }[]): void;
  setTarget(thread: number, channel: number): void;
  /** Units were sorted anew. Returns how many presentations are shown again for it. */
  moveTargets(to: ReadonlyMap<number, number>): number;
  /** The session ends: the step under way reports on what it has. */
  finish(completed: boolean): void;
  placementOf(item: PlannedItem): VisualPlacement | null;
  views(): readonly StepView[];
  readonly state: PlanState;
  readonly evolution: NonNullable<RunningProtocol["evolution"]> | null;
  /** By number of the evolution; before the first, the channel that is shown. */
  readonly targets: readonly number[];
  readonly where: string;
}

interface Step {
  readonly setup: StepSetup;
  readonly serial: number;
  state: StepState["state"];
  running: RunningProtocol | null;
  begun: boolean;
  blocks: number;
  planned: number;
  settled: number;
  message: string;
  needs: StepState["needs"];
  skipping: boolean;
  firstThread: number;
  view: StepView | null;
  /** Images sent for it, not yet given to its protocol. */
  queued: ProtocolImage[];
}

export function createSteps(options: StepsOptions): Steps {
  const { listener, resume, labs, log } = options;
  const steps: Step[] = (resume?.plan ?? options.setups).map((setup, serial) => aStep(setup, serial));
  /** -1: of steps that were added for images that the operator sent. */
  const libraries = new Map<number, StepLibrary>([[-1, { labels: [], widthPx: 0, heightPx: 0 }]]);
  const images = new Map<number, ProtocolImage>((resume?.images ?? []).map((i) => [i.imageId, i]));
  const ids = new Map<string, number>((resume?.images ?? []).map((i) => [i.key, i.imageId]));
  let nextImageId = resume?.nextImageId ?? 1;
  let nextQueued = resume?.nextQueued ?? 0;
  let nextThread = resume?.firstThread ?? 0;
  let carried: CarryOver = resume?.carried ?? nothingCarried;
  let at = resume?.current ?? resume?.ended.length ?? 0;
  let current: CurrentBlock | null = null;
  let waitsForRoom = false;
  let over = false;
  let shownChannel = carried.target?.channel ?? firstTarget();
  const targets: number[] = [];

  for (const ended of resume?.ended ?? []) {
    const step = steps[ended.step];
    if (step !== undefined) Object.assign(step, { state: ended.state, begun: true, message: ended.message });
  }
  for (const q of resume?.queued ?? []) {
    const index = steps.findIndex((s, i) => i >= Math.max(at, q.image.step) && takesQueued(s.setup.settings));
    if (index !== at) steps[index]?.queued.push(q.image);
  }

  function aStep(setup: StepSetup, serial: number): Step {
    return { setup, serial, state: "waiting", running: null, begun: false, blocks: 0, planned: 0, settled: 0, message: "", needs: null, skipping: false, firstThread: 0, view: null, queued: [] };
  }

  function firstTarget(): number {
    for (const { settings } of options.setups) {
      if (settings.protocol === "evolution") for (const thread of settings.threads) if (thread.target !== "auto") return thread.target;
    }
    return 0;
  }

  function fullKey(step: Step, key: string): string {
    return options.implicit && step.serial === 0 ? key : `${step.serial}/${key}`;
  }

  function imageIdOf(step: Step, key: string): number {
    const full = fullKey(step, key);
    const known = ids.get(full);
    if (known !== undefined) return known;
    const id = nextImageId++;
    ids.set(full, id);
    return id;
  }

  /** A protocol knows its images by its own keys; the session by keys that name the step. */
  function keep(step: Step, made: readonly ProtocolImage[]): readonly ProtocolImage[] {
    return made.map((image) => {
      const known = images.get(image.imageId);
      if (known !== undefined) return known;
      const full = { ...image, key: fullKey(step, image.key) };
      images.set(image.imageId, full);
      return full;
    });
  }

  function want(made: readonly ProtocolImage[], ahead: boolean): void {
    const due = made.filter((i) => !options.isReady(i.imageId));
    if (due.length > 0) options.want(due, ahead);
  }

  function open(index: number): RunningProtocol | null {
    const step = steps[index];
    if (step === undefined) return null;
    if (step.running !== null) return step.running;
    const library = libraries.get(step.setup.library);
    if (library === undefined) return null;
    const { settings } = step.setup;
    const mine = index === resume?.current ? resume : null;
    step.firstThread = nextThread;
    step.running = openProtocol(settings, {
      step: index,
      rng: options.implicit && step.serial === 0 ? options.rng : options.rng.fork(`step/${step.serial}`),
      library: library.labels, libraryIndex: step.setup.library, imagePx: { width: library.widthPx, height: library.heightPx },
      sessionPlacement: options.sessionPlacement,
      imageId: (key) => imageIdOf(step, key),
      channels: options.channels, figures: options.figures, ceilingsOf: options.ceilingsOf, channelName: options.channelName,
      openThreads() {
        if (settings.protocol !== "evolution") throw new Error(`expected an evolution to ask for threads, got ${settings.protocol}`);
        const threads = options.openThreads(settings, step.firstThread);
        nextThread = step.firstThread + threads.length;
        return threads;
      },
      generator: options.generator,
      image: (imageId) => images.get(imageId) ?? null,
      record: options.record,
      log: (code, message, severity, category, data) => log(code, message, severity, category, data),
      raiseAlarm: (code, message) => options.alarms.raise({ code, severity: "warn", message }),
      clearAlarm: (code, message) => options.alarms.clear(code, message),
      onGeneration: (g) => listener.generation?.(g),
      onConvergence(thread, report) {
        log("report", report.sentences.join(" "), report.verdict === "rose" ? "info" : "warn", "log", { thread, report });
        listener.report?.(thread, report);
      },
      resume: mine?.evolution ?? null,
    }, labs);
    if (mine?.evolution !== null && mine?.evolution !== undefined) nextThread = step.firstThread + mine.evolution.threads.length;
    // The results of an evolution stand when they are shown again: what follows from them can be made meanwhile.
    const now = index > at ? steps[at]?.running : null;
    want(keep(step, step.running.stage(now?.evolution === undefined ? carried : { ...carried, ...now.carryOver() })), true);
    return step.running;
  }

  // ---- the step under way ------------------------------------------------------------------------------------------------

  function tryBegin(): void {
    const step = steps[at];
    if (over || !options.mayBegin() || step === undefined || step.state === "running" || options.channels().length === 0) return;
    const running = open(at);
    if (running === null) return;
    const staged = [...images.values()].filter((i) => i.step === at && isStaged(step, i));
    if (running.waitsForStaged && !staged.every((i) => options.isReady(i.imageId))) return;
    begin(step, running);
  }

  /** Images of the step's folder; those of blocks come later. */
  function isStaged(step: Step, image: ProtocolImage): boolean {
    return image.source.kind === "library" || (image.source.kind === "recorded" && image.kind === "reference" && step.setup.settings.protocol === "evolution");
  }

  function begin(step: Step, running: RunningProtocol): void {
    const resumed = resume?.current === at && !step.begun;
    step.state = "running";
    step.begun = true;
    const { settings } = step.setup;
    if (!resumed) {
      options.record({
        kind: "step", step: at, state: "begun", protocol: settings.protocol, title: titleOf(settings, labs), settingsJson: JSON.stringify(settings),
        sourceSha256: settings.protocol === "lab" ? (labs.get(settings.name)?.sha256 ?? null) : null, dataJson: JSON.stringify({ firstThread: step.firstThread, library: step.setup.library }),
      });
      if (!options.implicit) log("step", `Step ${at + 1} of ${steps.length}, ${titleOf(settings, labs)}: ${running.message}.`, "info", "state", { step: at });
    }
    running.begin(carried);
    if (step.queued.length > 0) {
      running.takeQueued?.(step.queued);
      step.queued = [];
    }
    if (resumed && resume !== null) goOnFrom(step, running, resume);
    else nextBlock();
  }

  /** Takes what had been measured before the kill through the protocol again, block by block; it decides as it did then. */
  function goOnFrom(step: Step, running: RunningProtocol, point: ResumePoint): void {
    step.blocks = point.evolution?.blocks ?? 0;
    const last = Math.max(step.blocks, ...point.measured.map((m) => m.block));
    for (;;) {
      const given = point.queued.filter((q) => q.image.step === at && q.blocks === step.blocks).map((q) => q.image);
      if (given.length > 0) running.takeQueued?.(given);
      const number = step.blocks;
      const made = planNext(step, running);
      if (made === null) return;
      const measured = point.measured.filter((m) => m.block === number);
      for (const m of measured) running.response({ item: m.item, imageId: m.imageId, ratesHz: m.ratesHz });
      made.block.restore(measured.map((m) => m.item));
      step.settled += measured.length;
      if (point.skippedBlocks.includes(number)) made.block.giveUp();
      if (number < last && !made.block.done) made.block.giveUp();
      if (number >= last && !made.block.done) {
        show(made);
        return;
      }
      for (const id of running.blockOver().release) images.delete(id);
    }
  }

  /** Plans the protocol's next block; null where it ends or waits. */
  function planNext(step: Step, running: RunningProtocol): { readonly block: Block; readonly images: readonly ProtocolImage[]; readonly items: ReadonlyMap<number, PlannedItem>; readonly generation: number | null; readonly last: boolean; readonly number: number } | null {
    const plan = running.nextBlock();
    step.needs = plan === "images" ? "images" : null;
    step.message = running.message;
    if (plan === "images") {
      current = null;
      listener.needsImages?.(at, step.setup.settings);
      return null;
    }
    if (plan === null) {
      endStep("done");
      return null;
    }
    const number = step.blocks;
    step.blocks += 1;
    const items = new Map(plan.items.map((i) => [i.item, i]));
    const stepRng = options.implicit && step.serial === 0 ? options.rng : options.rng.fork(`step/${step.serial}`);
    const block = planBlock({ images: plan.items.map((i) => ({ imageId: i.item, repeats: i.repeats })), attemptsMax: plan.attemptsMax, rng: stepRng.fork(plan.stream) });
    step.planned = Math.max(running.planned, step.settled + block.planned);
    return { block, images: keep(step, plan.images), items, generation: plan.generation, last: plan.last, number };
  }

  function show({ block, images: made, items, generation, last, number }: NonNullable<ReturnType<typeof planNext>>): void {
    const step = steps[at];
    current = {
      block, step: at, number, generation,
      item(item) {
        const found = items.get(item);
        if (found === undefined) throw new Error(`expected an item of block ${number}, got ${item}`);
        return found;
      },
    };
    // In the order in which they are first due; those of earlier steps are made ready again.
    const byId = new Map(made.map((i) => [i.imageId, i]));
    const order = [...new Set(block.imageOrder.map((item) => items.get(item)?.imageId ?? -1))];
    const due = order.flatMap((id) => byId.get(id) ?? images.get(id) ?? []);
    want(due, false);
    if (step?.skipping === true) block.giveUp();
    if (last) open(at + 1);
    if (block.done) finishBlock();
    else options.serve();
  }

  function nextBlock(): void {
    const step = steps[at];
    if (over || step === undefined || step.running === null) return;
    if (step.skipping) {
      endStep("skipped");
      return;
    }
    const made = planNext(step, step.running);
    if (made !== null) show(made);
  }

  function finishBlock(): void {
    const step = steps[at];
    current = null;
    if (over || options.stopping() || step === undefined || step.running === null) return;
    const { release, room } = step.running.blockOver();
    letGo(release);
    for (const id of release) images.delete(id);
    if (room && !step.skipping) {
      waitsForRoom = true;
      options.askRoom();
    } else nextBlock();
  }

  function letGo(imageIds: readonly number[]): void {
    if (imageIds.length > 0) options.release(imageIds);
  }

  function endStep(outcome: "done" | "skipped"): void {
    const step = steps[at];
    if (step === undefined || step.running === null) return;
    const lastOne = at + 1 >= steps.length;
    if (lastOne) {
      // Its report comes when everything is settled, with the end of the session.
      step.state = "running";
      over = true;
      step.skipping = outcome === "skipped";
      options.completed(completedMessage(step));
      return;
    }
    reportStep(step, outcome);
    // What the next step needs was made ready already, and stays.
    const kept = new Set([...images.values()].flatMap((i) => (i.step === at ? [] : [i.imageId])));
    letGo([...images.values()].flatMap((i) => (i.step === at && !kept.has(i.imageId) && options.isReady(i.imageId) ? [i.imageId] : [])));
    at += 1;
    tryBegin();
  }

  function completedMessage(step: Step): string {
    const { settings } = step.setup;
    if (options.implicit && settings.protocol === "evolution" && !step.skipping) return `All ${settings.generations} generations are done.`;
    return steps.length === 1 ? "The step is done." : `All ${steps.length} steps are done.`;
  }

  function reportStep(step: Step, outcome: "done" | "skipped"): void {
    const running = step.running;
    if (running === null || step.state === "done" || step.state === "skipped") return;
    const { settings } = step.setup;
    const { sentences, tables } = running.report();
    const report: StepReport = { step: at, protocol: settings.protocol, title: titleOf(settings, labs), outcome, sentences, tables };
    const passedOn = running.carryOver();
    const keepTarget = carried.target?.byOperator === true;
    carried = { ...carried, ...passedOn, ...(keepTarget ? { target: carried.target } : {}) };
    step.state = outcome;
    step.needs = null;
    step.message = sentences.at(-1) ?? "";
    step.view = running.view();
    if (running.evolution !== undefined) for (const t of running.evolution.threads) targets[t.index] = t.target;
    options.record({ kind: "step", step: at, state: outcome, protocol: settings.protocol, title: report.title, settingsJson: JSON.stringify(settings), sourceSha256: settings.protocol === "lab" ? (labs.get(settings.name)?.sha256 ?? null) : null, dataJson: JSON.stringify({ report, carried, view: step.view }) });
    if (settings.protocol !== "evolution") log("stepReport", `${report.title}: ${sentences.join(" ")}`, "info", "log", { step: at });
    listener.stepReport?.(report, step.view);
  }

  // ---- operator ----------------------------------------------------------------------------------------------------------

  function insert(index: number, setup: StepSetup): void {
    // What stands there was perhaps made ready already, under its number: it is opened again under the next.
    for (const later of steps.slice(index)) {
      if (later.running !== null) nextThread = Math.min(nextThread, later.firstThread);
      later.running = null;
    }
    steps.splice(index, 0, aStep(setup, steps.length));
    log("plan", `The plan is now: ${steps.map((s) => titleOf(s.setup.settings, labs)).join(", ")}.`, "info", "state", { plan: steps.map((s) => s.setup) });
  }

  return {
    library(index, library) {
      libraries.set(index, library);
      if (index === steps[at]?.setup.library) {
        open(at);
        tryBegin();
      }
    },
    tryBegin,
    get begun() {
      return steps.some((s) => s.begun);
    },
    get current() {
      return current;
    },
    get settings() {
      return steps[at]?.setup.settings ?? null;
    },
    image: (imageId) => images.get(imageId) ?? null,
    channelOf: (image) => steps[at]?.running?.channelOf(image) ?? shownChannel,
    settled(block, item, ratesHz) {
      const step = steps[at];
      if (block !== current || step === undefined || step.running === null) return;
      const { imageId } = block.item(item);
      if (ratesHz === null) {
        if (!block.block.failed(item)) step.settled += 1;
      } else {
        step.running.response({ item, imageId, ratesHz });
        step.settled += 1;
        block.block.measured(item);
      }
      if (block.block.done) finishBlock();
      else options.serve();
    },
    room() {
      if (!waitsForRoom || current !== null) return;
      waitsForRoom = false;
      nextBlock();
    },
    skipBlock() {
      if (current === null) return;
      const running = steps[at]?.running;
      const phase = running?.evolution?.phase;
      if (phase === "tuning") return;
      const what = phase === "confirming" ? "The operator skipped the rest of the last block." : phase === "evolution" ? `The operator skipped the rest of generation ${running?.evolution?.generation ?? 0}; images without a response are told as missing.` : "The operator skipped the rest of the block.";
      log("skip", what, "warn", "operator", { step: at, block: current.number });
      current.block.giveUp();
      if (current.block.done) finishBlock();
    },
    skipStep() {
      const step = steps[at];
      if (over || step === undefined) return;
      log("skipStep", `The operator skipped the rest of step ${at + 1}, ${titleOf(step.setup.settings, labs)}.`, "warn", "operator", { step: at });
      step.skipping = true;
      if (step.state !== "running") return;
      if (current === null) {
        if (!waitsForRoom) endStep("skipped");
        return;
      }
      current.block.giveUp();
      if (current.block.done) finishBlock();
    },
    repeatStep(index) {
      const step = steps[index ?? at];
      if (step === undefined || over) return;
      log("repeatStep", `The operator wants ${titleOf(step.setup.settings, labs)} once more.`, "info", "operator", { step: index ?? at });
      insert(at + 1, step.setup);
    },
    queueImages(list) {
      let index = steps.findIndex((s, i) => i >= at && s.state !== "done" && s.state !== "skipped" && !s.skipping && takesQueued(s.setup.settings));
      if (index < 0) {
        const model = list.some((i) => i.kind === "model");
        insert(steps.length, { settings: model ? validationStep.parse({ protocol: "validation" }) : imagesStep.parse({ protocol: "images" }), library: -1 });
        index = steps.length - 1;
      }
      const step = steps[index];
      if (step === undefined) return;
      const made = list.map((image): ProtocolImage => {
        const number = nextQueued++;
        const key = `queued/${number}`;
        const id = ids.get(key) ?? nextImageId++;
        ids.set(key, id);
        const full: ProtocolImage = { imageId: id, key, step: index, kind: image.kind, label: image.label, thread: null, generation: null, individual: null, latent: null, source: { kind: "queued", number } };
        images.set(id, full);
        return full;
      });
      log("queueImages", `${made.length} ${made.length === 1 ? "image" : "images"} for step ${index + 1}, ${titleOf(step.setup.settings, labs)}.`, "info", "operator", { step: index, blocks: step.begun ? step.blocks : null, images: made.map((m) => ({ imageId: m.imageId, key: m.key, kind: m.kind, label: m.label })) });
      want(made, true);
      if (step.running === null || step.state !== "running") {
        step.queued.push(...made);
        return;
      }
      step.running.takeQueued?.(made);
      step.planned = Math.max(step.planned, step.running.planned);
      if (current === null && step.needs === "images") nextBlock();
    },
    moveTargets(to) {
      shownChannel = to.get(shownChannel) ?? shownChannel;
      if (carried.target !== null) carried = { ...carried, target: { ...carried.target, channel: to.get(carried.target.channel) ?? carried.target.channel } };
      const again = steps[at]?.running?.moveTargets?.(to) ?? [];
      current?.block.again(again);
      return current === null ? 0 : again.length;
    },
    setTarget(thread, channel) {
      shownChannel = channel;
      const running = steps[at]?.running;
      running?.setTarget?.(thread, channel);
      if (running?.evolution === undefined) carried = { ...carried, target: { channel, fromStep: at, byOperator: true } };
    },
    finish(completed) {
      const step = steps[at];
      if (step === undefined || step.running === null || !step.begun) return;
      // A session that was stopped may be gone on with: its step is not over.
      if (completed) reportStep(step, step.skipping ? "skipped" : "done");
      else if (step.running.evolution !== undefined) step.running.report();
      over = true;
      current = null;
    },
    placementOf(item) {
      if (item.at !== null) return item.at;
      const { field } = carried;
      if (field === null && item.sizeDeg === null) return null;
      const place = options.sessionPlacement;
      return { centreXDeg: field?.centreXDeg ?? place.centreXDeg, centreYDeg: field?.centreYDeg ?? place.centreYDeg, sizeDeg: item.sizeDeg ?? field?.sizeDeg ?? place.sizeDeg };
    },
    views: () => steps.flatMap((s) => (s.running !== null && s.state === "running" ? [s.running.view()] : s.view !== null ? [s.view] : [])),
    get state(): PlanState {
      return {
        steps: steps.map((s, index): StepState => ({
          index, protocol: s.setup.settings.protocol, title: titleOf(s.setup.settings, labs), state: s.state, planned: s.planned, settled: s.settled,
          message: s.state === "running" ? (s.running?.message ?? s.message) : s.message, needs: s.state === "running" ? s.needs : null,
        })),
        current: steps[at]?.state === "running" ? at : null,
        carried: {
          field: carried.field === null ? null : { ...carried.field },
          target: carried.target === null ? null : { channel: carried.target.channel, fromStep: carried.target.fromStep },
        },
        queuedImages: steps.reduce((n, s) => n + s.queued.length, 0),
      };
    },
    get evolution() {
      return steps[at]?.running?.evolution ?? null;
    },
    get targets() {
      const own = steps[at]?.running?.evolution;
      if (own !== undefined) for (const t of own.threads) targets[t.index] = t.target;
      if (own === undefined) return [carried.target?.channel ?? shownChannel];
      return Array.from(targets, (t) => t ?? 0);
    },
    get where() {
      const evolution = steps[at]?.running?.evolution;
      if (options.implicit && steps.length === 1) return `generation ${evolution?.generation ?? 0}`;
      const step = steps[at];
      return step === undefined ? "the last step" : `step ${at + 1}, ${titleOf(step.setup.settings, labs)}`;
    },
  };
}
