// The decisions of a session: which images in which trials, what counts, when a generation is over, when the session is. Driven by inputs
// alone, each with its time: the same inputs give the same decisions and records, which is what replay rests on.
// Knows nothing about clocks, files, windows or rigs; closedLoop.ts connects it to the ports.
import type { ClockAligner, PlannedFlash } from "../shared/ports.ts";
import type { DisplayCalibrationRecord, SessionRecordBody } from "../shared/records.ts";
import { FaultError, assertNever } from "../shared/result.ts";
import type { Rng } from "../shared/rng.ts";
import { addMs, hostTimeNs, nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ChannelInfo, SourceFault } from "../shared/values.ts";
import { createAlarms } from "./alarms.ts";
import type { Alarms } from "./alarms.ts";
import { createChannelWatch } from "./channelWatch.ts";
import { createChannelFigures, suggestTarget } from "./channels.ts";
import type { ChannelFigures } from "./channels.ts";
import { calibrationFlashes, createDisplayCalibration, judgeCalibration, skippedCalibration } from "./displayCalibration.ts";
import type { DisplayCalibration } from "./displayCalibration.ts";
import { createFixationMonitor, createFreeViewing } from "./fixation.ts";
import { createGenerations } from "./generations.ts";
import type { ImagesToDecode } from "./generations.ts";
import { recordOf } from "./inputs.ts";
import type { LoopInput, SmallInput } from "./inputs.ts";
import type { EndReason, LoopImage, LoopListener, LoopSettings, LoopStatus, ResumePoint } from "./loopTypes.ts";
import { createPresentations } from "./presentations.ts";
import type { EvolutionThread } from "./thread.ts";
import { initialTrialState, stepTrial } from "./trial.ts";
import type { TrialEvent, TrialState, TrialTiming } from "./trial.ts";

/** What the loop asks of the world. Answers come back as inputs. */
export interface LoopEffects {
  fixation(visible: boolean): void;
  run(trialId: number, flashes: readonly PlannedFlash[]): void;
  abort(trialId: number): void;
  /** The subject sees this image (null: blank) from this time on; for the synthetic rig's eyes. */
  lit(imageId: number | null, presentationId: number, atHostNs: HostTimeNs): void;
  trialTimer(atHostNs: HostTimeNs, token: number): void;
  deadline(atHostNs: HostTimeNs, presentationId: number): void;
  reward(pulseMs: number, cause: "trial" | "manual"): void;
  rewardOff(): void;
  /** Decode these, in this order; `imageDecoded` and `imageReady` follow for each. */
  decode(images: readonly ImagesToDecode[], order: readonly number[]): void;
  release(imageIds: readonly number[]): void;
  /** Answer with `room` when the store can take another generation. */
  askRoom(): void;
}

export interface LoopCoreOptions extends LoopSettings {
  readonly threads: readonly EvolutionThread[];
  /** Threads whose target is chosen from the tuning block. */
  readonly autoTargets: readonly number[];
  readonly referenceCount: number;
  readonly aligner: ClockAligner;
  readonly rng: Rng;
  /** false = free viewing: no fixation is asked for. */
  readonly hasEye: boolean;
  readonly hasReward: boolean;
  /** The words of the images come back on the recording system, and must be the images' own. Left out: false. */
  readonly checkWords?: boolean;
  readonly sourceName: string;
  readonly record: (body: SessionRecordBody, atHostNs: HostTimeNs) => void;
  readonly effects: LoopEffects;
  readonly listener: LoopListener;
  readonly resume: ResumePoint | null;
}

export interface LoopCore {
  /** Takes one input that happened at `now`. Not re-entrant: effects must answer later. */
  input(input: LoopInput, now: HostTimeNs): void;
  /** Image id of the i-th reference. */
  referenceImageId(i: number): number;
  readonly ended: boolean;
  readonly alarms: Alarms;
  readonly channels: ChannelFigures;
  readonly status: LoopStatus;
}

const noSpikesMs = 5000;
const displayTimeoutMs = 1000;
/** How long after its planned end a calibration is waited for, and how long after its real end for the last marks. */
const calibrationTimeoutMs = 3000;
const marksAfterMs = 400;

export function createLoopCore(options: LoopCoreOptions): LoopCore {
  const { effects, listener, evolution, response, resume } = options;
  let now = hostTimeNs(0);
  const record = (body: SessionRecordBody): void => options.record(body, now);
  const log = (code: string, message: string, severity: "info" | "warn" | "fault" = "info", category: "log" | "operator" | "fault" | "state" = "log", data?: unknown): void => {
    record({ kind: "event", category, severity, code, message, dataJson: data === undefined ? "" : JSON.stringify(data) });
  };
  const alarms = createAlarms({ now: () => now, record });
  const fixation = options.hasEye ? createFixationMonitor({ windowDeg: options.trial.fixationWindowDeg, graceMs: options.trial.graceMs }) : createFreeViewing();
  const channels = createChannelFigures(0);
  const channelWatch = createChannelWatch({ channels, alarms, nameOf: (index) => channelName(index) });

  const images = new Map<number, LoopImage>();
  const latents = new Map<number, Float32Array | Float64Array>();
  const ready = new Set<number>();
  const known = new Set<number>([...(resume?.imageIds ?? []).map((i) => i.imageId), ...(resume?.referenceImageIds ?? [])]);
  const blockers = new Set<string>();
  const targetWanted = new Map<number, number>();
  const referenceIds: number[] = [];
  let nextImageId = resume?.nextImageId ?? 1;
  let nextPresentationId = resume?.nextPresentationId ?? 1;
  let channelList: readonly ChannelInfo[] = [];
  let refreshHz = 60;
  let trial: TrialState = initialTrialState(resume?.nextTrialId ?? 1);
  let rewardMs = options.trial.rewardMs;
  let imagesWanted = false;
  let begun = false;
  let paused = false;
  let ending: EndReason | null = null;
  let endMessage = "";
  let ended = false;
  let lastClockNs = Number.NEGATIVE_INFINITY;
  let noSpikesSince: HostTimeNs | null = null;
  /** The patch is being flashed; the first trial waits. */
  let calibrating: DisplayCalibration | null = null;
  let calibration: DisplayCalibrationRecord | null = null;

  for (let i = 0; i < options.referenceCount; i++) referenceIds.push(resume?.referenceImageIds[i] ?? nextImageId++);

  const generations = createGenerations({
    evolution, threads: options.threads, rng: options.rng, resume, record,
    newImageId: () => nextImageId++,
    log: (code, message, severity) => log(code, message, severity),
    onGeneration: (g) => listener.generation?.(g),
    onReport(thread, report) {
      log("report", report.sentences.join(" "), report.verdict === "rose" ? "info" : "warn", "log", { thread, report });
      listener.report?.(thread, report);
    },
  });

  const presentations = createPresentations({
    settings: options, fixation, aligner: options.aligner, alarms, record, checkWords: options.checkWords ?? false,
    channelCount: () => channelList.length,
    targetOf: (image) => options.threads[image.thread ?? 0]?.target ?? 0,
    deadline: (at, id) => effects.deadline(at, id),
    onSettled(p, ratesHz) {
      listener.presentation?.(p);
      const { block } = generations;
      if (ratesHz === null) block?.failed(p.image.imageId);
      else {
        channels.addResponse(p.image.imageId, ratesHz);
        generations.keepScore(p.image.imageId, ratesHz);
        block?.measured(p.image.imageId);
      }
      if (block?.done === true) finishBlock();
      else serve();
    },
    onRaster: (p, spikesMs, channel) => listener.raster?.(p, spikesMs, channel),
  });

  // ---- blocks ------------------------------------------------------------------------------------------------------------

  function beginSession(): void {
    if (begun || calibrating !== null || !referenceIds.every((id) => ready.has(id)) || channelList.length === 0) return;
    begun = true;
    for (const id of referenceIds) generations.addReference(id);
    if ((resume?.generation ?? null) === null && options.autoTargets.length > 0 && evolution.tuningRepeats > 0 && referenceIds.length > 0) generations.startTuning();
    else {
      chooseTargets();
      startGeneration();
    }
    if (!ended) step({ kind: "start", atHostNs: now });
  }

  function setUpDisplay(input: Extract<SmallInput, { kind: "displaySetup" }>): void {
    if (input.skipped !== "" || input.flashes === 0) {
      finishCalibration(skippedCalibration({ ...input, why: input.skipped === "" ? "No flashes were asked for." : input.skipped, flashes: 0 }));
      return;
    }
    calibrating = createDisplayCalibration({ refreshHz: input.refreshHz, photodiodeCode: input.photodiodeCode, onFrames: input.onFrames, seenAt: (onset) => presentations.seenAt(onset) });
    // Durations of the flashes are counted in this display's refreshes.
    presentations.setDisplay({ refreshHz: input.refreshHz, lagMs: null, checksDurations: false, isCoded: input.photodiodeCode === "frames" });
    log("calibrating", `The photodiode patch is flashed ${input.flashes} times to measure the display's lag.`);
    effects.run(0, calibrationFlashes(input));
    effects.deadline(addMs(now, (input.flashes * (input.onFrames + input.offFrames) * 1000) / input.refreshHz + calibrationTimeoutMs), 0);
  }

  function finishCalibration(done: DisplayCalibrationRecord): void {
    calibrating = null;
    calibration = done;
    record(done);
    const { refreshHz: hz, lagMsMedian, lagMsSd, marks, flashes, skipped, durationsSeen } = done;
    presentations.setDisplay({ refreshHz: hz, lagMs: lagMsMedian, checksDurations: flashes > 0 && durationsSeen >= flashes / 2, isCoded: done.photodiodeCode === "frames" });
    if (lagMsMedian === null) log("calibration", `The display's lag was not measured: ${skipped}`);
    else log("calibration", `Display: ${hz.toFixed(2)} Hz, lag ${lagMsMedian.toFixed(1)} ms, SD ${(lagMsSd ?? 0).toFixed(2)} ms, ${marks} of ${flashes} flashes seen.`);
    const problem = judgeCalibration(done);
    if (problem !== null) alarms.raise({ code: "displayLag", severity: "warn", message: problem });
  }

  function endCalibration(): void {
    if (calibrating === null) return;
    finishCalibration(calibrating.finish(options.aligner.map()));
    beginSession();
  }

  function startGeneration(): void {
    generations.startGeneration();
    showPlanned();
  }

  function showPlanned(): void {
    const { block, toDecode } = generations;
    if (block === null) return;
    for (const g of toDecode) {
      g.imageIds.forEach((imageId, i) => {
        images.set(imageId, { imageId, kind: "evolved", thread: g.thread.index, generation: g.generation, individual: g.generation === null ? null : i, label: g.labels?.[i] ?? "" });
        latents.set(imageId, g.latents.data.slice(i * g.latents.dim, (i + 1) * g.latents.dim));
      });
    }
    effects.decode(toDecode, block.imageOrder);
    if (block.done) finishBlock();
    else serve();
  }

  function finishBlock(): void {
    const { phase } = generations;
    generations.clearBlock();
    if (ending !== null) return;
    if (phase === "tuning") {
      chooseTargets();
      startGeneration();
      return;
    }
    if (phase === "confirming") {
      end("completed", `All ${evolution.generations} generations are done.`);
      return;
    }
    const over = generations.finishGeneration();
    effects.release(over);
    for (const id of over) {
      ready.delete(id);
      images.delete(id);
      latents.delete(id);
    }
    applyTargets();
    if (!generations.done) effects.askRoom();
    else if (evolution.confirmRepeats > 0) {
      generations.startConfirming();
      showPlanned();
    } else end("completed", `All ${evolution.generations} generations are done.`);
  }

  function chooseTargets(): void {
    if (options.autoTargets.length > 0) {
      const suggested = suggestTarget({ tuning: channels.tuning(), signalHz: channels.signalHz(), status: channels.statuses() });
      for (const index of options.autoTargets) {
        const thread = options.threads[index];
        if (thread === undefined || targetWanted.has(index)) continue;
        if (suggested === null) alarms.raise({ code: "noTarget", severity: "warn", message: "No channel responds reliably to the reference images: channel 0 is evolved. Choose a target with T." });
        thread.target = suggested ?? 0;
        log("target", `Target ${channelName(thread.target)} chosen by its tuning to the references.`, "info", "log", { thread: index, channel: thread.target });
      }
    }
    applyTargets();
  }

  function applyTargets(): void {
    for (const [index, channel] of targetWanted) {
      const thread = options.threads[index];
      if (thread !== undefined) thread.target = channel;
      alarms.clear("noTarget", "A target was chosen.");
    }
    targetWanted.clear();
  }

  function channelName(index: number): string {
    const c = channelList[index];
    if (c === undefined) return `channel ${index}`;
    return c.area !== "" && !c.name.startsWith(c.area) ? `${c.area} ${c.name}` : c.name;
  }

  // ---- trials ------------------------------------------------------------------------------------------------------------

  function timing(): TrialTiming {
    return { ...options.trial, rewardMs: options.hasReward ? rewardMs : 0, displayTimeoutMs };
  }

  function step(event: TrialEvent): void {
    const { state, actions } = stepTrial(trial, event, timing());
    trial = state;
    for (const action of actions) {
      switch (action.kind) {
        case "requestImages":
          imagesWanted = true;
          serve();
          break;
        case "fixation":
          effects.fixation(action.visible);
          listener.screen?.(null, action.visible, 0, action.visible ? trial.flashes.length : 0);
          break;
        case "run":
          effects.run(action.trialId, action.flashes);
          break;
        case "abort":
          effects.abort(action.trialId);
          break;
        case "timer":
          effects.trialTimer(action.atHostNs, action.token);
          break;
        case "reward":
          effects.reward(action.pulseMs, "trial");
          break;
        case "trialEnd": {
          const { unseen, completed } = presentations.endTrial(action.flashes);
          if (unseen.length > 0) generations.block?.giveBack(unseen);
          record({
            kind: "trial", trialId: action.trialId, startHostNs: action.startHostNs, endHostNs: action.endHostNs, outcome: action.outcome,
            imagesPlanned: action.flashes.length, imagesCompleted: completed, rewardMs: action.rewardMs,
          });
          listener.trial?.(action.outcome, action.trialId);
          presentations.settleTrial(action.flashes);
          break;
        }
        default:
          assertNever(action);
      }
    }
    if (trial.name === "stopped" && ending !== null) finishUp();
  }

  /** Gives the trial its images as soon as the next ones are decoded and nothing stands in the way. */
  function serve(): void {
    const { block } = generations;
    if (!imagesWanted || trial.name !== "waitImages" || block === null || ended || blockers.size > 0) return;
    const due = block.peek(options.trial.imagesPerTrial);
    if (due.length === 0 || !due.every((id) => ready.has(id))) return;
    const onFrames = Math.max(1, Math.round((options.trial.onMs * refreshHz) / 1000));
    const offFrames = Math.max(0, Math.round((options.trial.offMs * refreshHz) / 1000));
    const flashes = block.take(due.length).map((imageId): PlannedFlash => ({ presentationId: nextPresentationId++, imageId, onFrames, offFrames }));
    for (const flash of flashes) {
      const image = images.get(flash.imageId);
      if (image === undefined) throw new Error(`expected image ${flash.imageId} to be known, got none`);
      presentations.plan({ trialId: trial.trialId, image, flash, generation: generations.shownGeneration, now });
    }
    imagesWanted = false;
    step({ kind: "imagesReady", flashes, atHostNs: now });
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------------

  function take(input: LoopInput): void {
    switch (input.kind) {
      case "spikes":
        record({ kind: "spikes", batch: input.batch });
        if (ended) return;
        options.aligner.addPair({ hostNs: input.batch.arrivedHostNs, rigNs: input.batch.watermarkRigNs, kind: "arrival" });
        recordClock();
        alarms.expire();
        channels.add(input.batch);
        channelWatch.look(input.batch.watermarkRigNs);
        watchSpikes(input.batch.timesRigNs.length);
        presentations.spikes(input.batch);
        return;
      case "eye":
        record({ kind: "eye", batch: input.batch });
        if (ended) return;
        for (const change of fixation.add(input.batch)) step({ kind: "gaze", inside: change.inside, atHostNs: now });
        listener.eye?.(input.batch, fixation.inside);
        presentations.eye();
        return;
      case "mark":
        record({ kind: "mark", markKind: input.mark.kind, rigNs: input.mark.rigNs, line: input.mark.line, state: input.mark.state, word: input.mark.word, presentationId: null });
        if (!ended) presentations.mark(input.mark, calibrating);
        return;
      case "imageDecoded": {
        const reference = referenceIds.indexOf(input.imageId);
        if (reference >= 0) images.set(input.imageId, { imageId: input.imageId, kind: "reference", thread: null, generation: null, individual: null, label: input.label });
        const image = images.get(input.imageId);
        if (image === undefined || known.has(input.imageId)) return;
        record({
          kind: "image", imageId: image.imageId, imageKind: image.kind, thread: image.thread, generation: image.generation, individual: image.individual, label: image.label,
          widthPx: input.image.width, heightPx: input.image.height, rgb: input.image.data, latent: latents.get(image.imageId) ?? null,
        });
        return;
      }
      default:
        record(recordOf(input));
        if (!ended) takeSmall(input);
    }
  }

  function takeSmall(input: SmallInput): void {
    switch (input.kind) {
      case "begin":
        refreshHz = input.refreshHz;
        setChannels(input.channels);
        if (!options.hasEye) step({ kind: "gaze", inside: true, atHostNs: now });
        beginSession();
        return;
      case "displaySetup":
        setUpDisplay(input);
        return;
      case "channels":
        setChannels(input.channels);
        beginSession();
        return;
      case "fault":
        takeFault(input.fault);
        return;
      case "sourceEnd":
        if (ending === null) {
          blockers.add("source");
          alarms.raise({ code: "sourceEnded", severity: "fault", message: `The spike stream ended: ${input.reason}. Trials wait; stop the session or bring the rig back.` });
          stopWithoutStream(`the spike stream ended (${input.reason})`);
        }
        return;
      case "display":
        takeDisplay(input.report);
        return;
      case "imageReady":
        if (!images.has(input.imageId)) return;
        ready.add(input.imageId);
        if (begun) serve();
        else beginSession();
        return;
      case "trialTimer":
        step({ kind: "timer", token: input.token, atHostNs: now });
        return;
      case "deadline":
        if (input.presentationId === 0) endCalibration();
        else presentations.giveUp(input.presentationId);
        return;
      case "rewardDone":
        record({ kind: "reward", pulseMs: input.pulseMs, cause: input.cause, delivered: input.problem === null });
        if (input.problem === null) alarms.clear("reward", "The reward line answers again.");
        else alarms.raise({ code: "reward", severity: "fault", message: input.problem });
        if (input.cause === "trial") step({ kind: "rewardDone", atHostNs: now });
        return;
      case "room":
        if (ending === null && generations.block === null) startGeneration();
        return;
      case "alarm":
        alarms.raise(input);
        return;
      case "alarmOver":
        alarms.clear(input.code, input.message);
        return;
      case "failed":
        alarms.raise({ code: "failed", severity: "fault", message: input.message });
        end("failed", input.message);
        return;
      case "pause":
        if (paused) return;
        paused = true;
        log("paused", "The operator paused the session; the trial under way is finished.", "info", "operator");
        step({ kind: "pause", atHostNs: now });
        return;
      case "resume":
        if (!paused) return;
        paused = false;
        log("resumed", "The operator resumed the session.", "info", "operator");
        step({ kind: "start", atHostNs: now });
        return;
      case "stop":
        log("stop", input.why, "info", "operator");
        end("stopped", `Stopped in generation ${generations.generation}: ${input.why}`);
        return;
      case "skipGeneration":
        if (generations.block === null || generations.phase === "tuning") return;
        log("skip", generations.phase === "confirming" ? "The operator skipped the rest of the last block." : `The operator skipped the rest of generation ${generations.generation}; images without a response are told as missing.`, "warn", "operator");
        generations.block.giveUp();
        if (generations.block.done) finishBlock();
        return;
      case "setTarget":
        targetWanted.set(input.thread, input.channel);
        log("setTarget", `The operator chose ${channelName(input.channel)} as the target from the next generation on.`, "info", "operator", { thread: input.thread, channel: input.channel });
        return;
      case "setReward":
        rewardMs = input.pulseMs;
        log("rewardMs", `The operator set the reward to ${input.pulseMs} ms.`, "info", "operator");
        return;
      default:
        assertNever(input);
    }
  }

  function setChannels(list: readonly ChannelInfo[]): void {
    channelList = list;
    channels.resize(list.length);
    record({ kind: "channels", channels: list });
    const beyond = options.threads.find((t) => t.target >= list.length);
    if (beyond === undefined) alarms.clear("targetUnknown", "The target channel has appeared.");
    else alarms.raise({ code: "targetUnknown", severity: "warn", message: `The target is channel ${beyond.target}, but the rig has named ${list.length} so far: its rate counts as zero until it appears. Choose another with T if it does not.` });
  }

  function takeDisplay(report: Extract<SmallInput, { kind: "display" }>["report"]): void {
    switch (report.kind) {
      case "onset": {
        if (report.presentationId < 0) {
          calibrating?.flip(report.flipHostNs);
          effects.lit(0, report.presentationId, report.flipHostNs);
          return;
        }
        const image = presentations.imageOf(report.presentationId);
        if (image === null) return;
        effects.lit(image.imageId, report.presentationId, report.flipHostNs);
        listener.screen?.(image.imageId, true, trial.flashes.findIndex((f) => f.presentationId === report.presentationId) + 1, trial.flashes.length);
        presentations.onset(report.presentationId, report.flipHostNs, report.plannedHostNs);
        return;
      }
      case "offset":
        effects.lit(null, report.presentationId, report.flipHostNs);
        if (report.presentationId < 0) return;
        listener.screen?.(null, trial.name === "images", 0, trial.flashes.length);
        presentations.offset(report.presentationId, report.flipHostNs, report.framesShown, report.lateFrames);
        return;
      case "end":
        // The last marks are still on their way.
        if (report.trialId === 0) effects.deadline(addMs(now, marksAfterMs), 0);
        else step({ kind: "displayEnd", trialId: report.trialId, aborted: report.aborted, atHostNs: now });
        return;
      case "missing":
        alarms.report({ code: "imageMissing", severity: "fault", message: `The stimulus window did not have image ${report.imageId}; the trial was not shown and its images come again.` });
        return;
      case "lost":
        blockers.add("display");
        alarms.raise({ code: "displayLost", severity: "fault", message: `The subject's screen is gone (${report.reason}). Trials wait; open it again with W.` });
        step({ kind: "displayLost", atHostNs: now });
        endCalibration();
        return;
      case "attached":
        refreshHz = report.geometry.refreshHz;
        if (blockers.delete("display")) alarms.clear("displayLost", "The subject's screen is back; trials go on.");
        serve();
        return;
      default:
        assertNever(report);
    }
  }

  function takeFault(f: SourceFault): void {
    const name = options.sourceName;
    switch (f.kind) {
      case "gap": {
        const exclude = response.onGap === "exclude" || (response.onGap === "auto" && f.continuousOnly === undefined);
        if (exclude) presentations.lossUpTo(f.atRigNs);
        alarms.report({
          code: "gap", severity: "warn", data: f,
          message: `${f.lostPackets} ${f.lostPackets === 1 ? "packet" : "packets"} of ${f.stream} lost${exclude ? "; the responses they touch are recorded again" : f.continuousOnly === true ? ", continuous data only: no spike was among them" : "; whether spikes were among them cannot be told, responses are counted all the same"}.`,
        });
        return;
      }
      case "stale":
        blockers.add("source");
        alarms.raise({ code: "streamStale", severity: "fault", message: `No data from ${name} for ${(f.ageMs / 1000).toFixed(1)} s. Trials wait until the stream is back.`, data: f });
        stopWithoutStream(`no data from ${name} for ${(f.ageMs / 1000).toFixed(1)} s`);
        return;
      case "lost":
        blockers.add("source");
        alarms.raise({ code: "sourceLost", severity: "fault", message: `Lost ${name}: ${f.reason}. Trying again; trials wait.`, data: f });
        stopWithoutStream(`${name} was lost (${f.reason})`);
        return;
      case "reconnected": {
        blockers.delete("source");
        const away = `after ${(f.awayMs / 1000).toFixed(1)} s`;
        alarms.clear("sourceLost", `${name} is back ${away}.`);
        alarms.clear("streamStale", `${name} streams again ${away}.`);
        log("reconnected", `${name} is back ${away}.`, "info", "fault", f);
        serve();
        return;
      }
      case "clockJump":
        alarms.report({ code: "clockJump", severity: "warn", data: f, message: `The rig's clock jumped by ${f.jumpMs.toFixed(1)} ms. Alignment starts afresh; open responses are recorded again.` });
        presentations.clockJumped();
        return;
      case "malformed":
        alarms.report({ code: "malformed", severity: "warn", data: f, message: `${f.packets} malformed ${f.packets === 1 ? "packet" : "packets"} from ${name}: ${f.reason}.` });
        return;
      case "overflow":
        presentations.lossInLast(1000);
        alarms.report({ code: "overflow", severity: "fault", data: f, message: `${f.droppedSpikes} spikes were dropped by a full queue; the responses they touch are recorded again.` });
        return;
      case "disorder":
        alarms.report({ code: "disorder", severity: "warn", data: f, message: `${[...(f.duplicated > 0 ? [`${f.duplicated} came twice`] : []), ...(f.reordered > 0 ? [`${f.reordered} came out of order`] : [])].join(", ")} of the packets of ${f.stream}; put right, nothing is missing.` });
        return;
      default:
        assertNever(f);
    }
  }

  /** Where the session is to stop rather than to wait. */
  function stopWithoutStream(why: string): void {
    if (options.onStreamLost !== "stop" || ending !== null) return;
    log("streamLost", `Stopped because ${why}; the rig is set to stop rather than to wait.`, "fault", "state");
    end("stopped", `Stopped in generation ${generations.generation}: ${why}.`);
  }

  function watchSpikes(n: number): void {
    if (n > 0) {
      if (noSpikesSince !== null) alarms.clear("noSpikes", "Spikes are arriving again.");
      noSpikesSince = null;
      return;
    }
    noSpikesSince ??= now;
    if (now - noSpikesSince > noSpikesMs * nsPerMs) alarms.raise({ code: "noSpikes", severity: "fault", message: `The stream is alive but has no spikes for ${noSpikesMs / 1000} s: check the headstage, the thresholds and the spike detector.` });
  }

  function recordClock(): void {
    if (now - lastClockNs < 1000 * nsPerMs) return;
    const map = options.aligner.map();
    if (map === null) return;
    lastClockNs = now;
    record({ kind: "clock", anchorHostNs: now, anchorRigNs: map.toRig(now), driftPpm: map.driftPpm, uncertaintyMs: map.uncertaintyMs });
  }

  function end(reason: EndReason, message: string): void {
    if (ending !== null) return;
    ending = reason;
    endMessage = message;
    if (calibrating !== null) effects.abort(0);
    step({ kind: "stop", atHostNs: now });
    if (trial.name === "stopped") finishUp();
  }

  function finishUp(): void {
    if (ended) return;
    ended = true;
    presentations.stop();
    generations.report();
    log(ending ?? "stopped", endMessage, ending === "failed" ? "fault" : "info", "state");
    effects.rewardOff();
    listener.ended?.(ending ?? "stopped", endMessage);
  }

  return {
    input(input, at) {
      now = at;
      take(input);
    },
    referenceImageId(i) {
      const id = referenceIds[i];
      if (id === undefined) throw new FaultError({ code: "noReference", message: `Expected a reference from 0 to ${referenceIds.length - 1}, got ${i}.` });
      return id;
    },
    get ended() {
      return ended;
    },
    alarms,
    channels,
    get status(): LoopStatus {
      const p = presentations.status;
      return {
        trialState: trial.name, paused, ended, generation: generations.generation, phase: generations.phase,
        imageInBlock: generations.block?.settled ?? 0, imagesInBlock: generations.block?.planned ?? 0, presentations: p.settled, excluded: p.excluded,
        targets: options.threads.map((t) => t.target), rewardMs, matchedMarks: p.matchedMarks, unmatchedMarks: p.unmatchedMarks,
        lagMs: p.lagMs, lateFrames: p.lateFrames, lateSpikes: p.lateSpikes, wrongDurations: p.wrongDurations, framesDropped: p.framesDropped, framesRepeated: p.framesRepeated, calibration, holdFraction: fixation.holdFraction,
      };
    },
  };
}
