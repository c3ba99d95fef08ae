// The decisions of a session: which images in which trials, what counts, when a generation is over, when the session is. Driven by inputs
// alone, each with its time: the same inputs give the same decisions and records, which is what replay rests on.
// Knows nothing about clocks, files, windows or rigs; closedLoop.ts connects it to the ports.
import type { StepView } from "../shared/contract/plan.ts";
import type { ClockAligner, PlannedFlash, VisualPlacement } from "../shared/ports.ts";
import type { DisplayCalibrationRecord, SessionRecordBody } from "../shared/records.ts";
import { assertNever } from "../shared/result.ts";
import type { Rng } from "../shared/rng.ts";
import { addMs, hostTimeNs, nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import { placeSquare } from "../shared/visualAngle.ts";
import type { ScreenGeometry } from "../shared/visualAngle.ts";
import type { ChannelInfo, SourceFault } from "../shared/values.ts";
import { createAlarms } from "./alarms.ts";
import type { Alarms } from "./alarms.ts";
import { createChannelWatch } from "./channelWatch.ts";
import { createChannelFigures } from "./channels.ts";
import type { ChannelFigures } from "./channels.ts";
import { calibrationFlashes, createDisplayCalibration, judgeCalibration, skippedCalibration, usableLagMs } from "./displayCalibration.ts";
import type { DisplayCalibration } from "./displayCalibration.ts";
import { createFixationMonitor, createFreeViewing } from "./fixation.ts";
import { recordOf } from "./inputs.ts";
import type { LoopInput, SmallInput } from "./inputs.ts";
import type { EndReason, LoopListener, LoopSettings, LoopStatus, ResumePoint } from "./loopTypes.ts";
import { createPresentations } from "./presentations.ts";
import type { PlannedPresentation } from "./presentations.ts";
import type { ProtocolImage } from "./protocols/protocol.ts";
import type { LabProtocols } from "./protocols/registry.ts";
import { createSteps } from "./steps.ts";
import type { CurrentBlock, StepSetup, StepsOptions } from "./steps.ts";
import { initialTrialState, stepTrial } from "./trial.ts";
import type { TrialEvent, TrialState, TrialTiming } from "./trial.ts";

/** What the loop asks of the world. Answers come back as inputs. */
export interface LoopEffects {
  fixation(visible: boolean): void;
  run(trialId: number, flashes: readonly PlannedFlash[]): void;
  abort(trialId: number): void;
  /** The subject sees this image (null: blank) from this time on; for the synthetic rig's eyes. */
  lit(imageId: number | null, presentationId: number, atHostNs: HostTimeNs, where: VisualPlacement | null): void;
  trialTimer(atHostNs: HostTimeNs, token: number): void;
  deadline(atHostNs: HostTimeNs, presentationId: number): void;
  reward(pulseMs: number, cause: "trial" | "manual"): void;
  rewardOff(): void;
  /** Decode these, in this order, `ahead`: after all that is due; `imageDecoded` and `imageReady` follow for each. */
  decode(images: readonly ProtocolImage[], ahead: boolean): void;
  release(imageIds: readonly number[]): void;
  /** Answer with `room` when the store can take another generation. */
  askRoom(): void;
}

export interface LoopCoreOptions extends LoopSettings {
  readonly plan: readonly StepSetup[];
  /** A session without a plan of steps: one evolution. */
  readonly implicitPlan: boolean;
  readonly labs: LabProtocols;
  readonly openThreads: StepsOptions["openThreads"];
  readonly generator: StepsOptions["generator"];
  /** Where the session places images, and the screen that they are on. */
  readonly sessionPlacement: VisualPlacement;
  readonly screen: ScreenGeometry;
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
  /** What the steps have so far. */
  views(): readonly StepView[];
  readonly ended: boolean;
  readonly alarms: Alarms;
  readonly channels: ChannelFigures;
  readonly status: LoopStatus;
}

const noSpikesMs = 5000;
/** How long after its planned end a calibration is waited for, and how long after its real end for the last marks. */
const calibrationTimeoutMs = 3000;
const marksAfterMs = 400;

export function createLoopCore(options: LoopCoreOptions): LoopCore {
  const { effects, listener, response, resume } = options;
  let now = hostTimeNs(0);
  const record = (body: SessionRecordBody): void => options.record(body, now);
  const log = (code: string, message: string, severity: "info" | "warn" | "fault" = "info", category: "log" | "operator" | "fault" | "state" = "log", data?: unknown): void => {
    record({ kind: "event", category, severity, code, message, dataJson: data === undefined ? "" : JSON.stringify(data) });
  };
  const alarms = createAlarms({ now: () => now, record });
  const fixation = options.hasEye ? createFixationMonitor({ windowDeg: options.trial.fixationWindowDeg, graceMs: options.trial.graceMs, blinkMsMax: options.trial.blinkMsMax }) : createFreeViewing();
  const channels = createChannelFigures(0);
  const channelWatch = createChannelWatch({ channels, alarms, nameOf: (index) => channelName(index) });

  const ready = new Set<number>();
  /** Recorded by an earlier run of the session. */
  const known = new Set<number>((resume?.images ?? []).map((i) => i.imageId));
  const blockers = new Set<string>();
  let nextPresentationId = resume?.nextPresentationId ?? 1;
  let channelList: readonly ChannelInfo[] = [];
  let refreshHz = 60;
  let trial: TrialState = initialTrialState(resume?.nextTrialId ?? 1, resume?.counters);
  let rewardMs = resume?.rewardMs ?? options.trial.rewardMs;
  /** When the break under way is over, or the last one was. */
  let breakEndsNs = now;
  let imagesWanted = false;
  let started = false;
  let paused = false;
  let ending: EndReason | null = null;
  let endMessage = "";
  let ended = false;
  let lastClockNs = Number.NEGATIVE_INFINITY;
  let clockJumps = 0;
  let noSpikesSince: HostTimeNs | null = null;
  /** Silence is counted in time of which the stream brought something. */
  let countsHeard = false;
  /** Noise ceilings are of all presentations. */
  let ceilingsOf: "all" | "even" = "even";
  /** The patch is being flashed; the first trial waits. */
  let calibrating: DisplayCalibration | null = null;
  let calibration: DisplayCalibrationRecord | null = null;

  const steps = createSteps({
    setups: options.plan, implicit: options.implicitPlan, rng: options.rng, labs: options.labs, figures: channels, ceilingsOf: () => ceilingsOf, alarms, sessionPlacement: options.sessionPlacement,
    channels: () => channelList, channelName, openThreads: options.openThreads, generator: options.generator, record,
    log: (code, message, severity, category, data) => log(code, message, severity, category, data),
    listener, isReady: (imageId) => ready.has(imageId),
    want: (images, ahead) => effects.decode(images, ahead),
    release(imageIds) {
      effects.release(imageIds);
      for (const id of imageIds) ready.delete(id);
    },
    askRoom: () => effects.askRoom(),
    serve: () => serve(),
    stopping: () => ending !== null,
    mayBegin: () => calibrating === null,
    completed: (message) => end("completed", message),
    resume,
  });

  /** Presentations under way belong to the block that planned them, also when another has come meanwhile. */
  const blockOf = new Map<number, CurrentBlock>();

  const presentations = createPresentations({
    settings: options, fixation, aligner: options.aligner, alarms, record, checkWords: options.checkWords ?? false,
    channelCount: () => channelList.length,
    targetOf: (image) => steps.channelOf(image),
    deadline: (at, id) => effects.deadline(at, id),
    onSettled(p, ratesHz, planned) {
      listener.presentation?.(p);
      if (ratesHz !== null) channels.addResponse(figureKey(planned), ratesHz);
      const block = blockOf.get(p.presentationId);
      blockOf.delete(p.presentationId);
      if (block !== undefined) steps.settled(block, planned.item, ratesHz);
    },
    onRaster: (p, spikesMs, channel) => listener.raster?.(p, spikesMs, channel),
  });

  // ---- the display before the first trial ----------------------------------------------------------------------------------

  function setUpDisplay(input: Extract<SmallInput, { kind: "displaySetup" }>): void {
    if (input.skipped !== "" || input.flashes === 0) {
      finishCalibration(skippedCalibration({ ...input, why: input.skipped === "" ? "No flashes were asked for." : input.skipped, flashes: 0 }));
      return;
    }
    calibrating = createDisplayCalibration({ refreshHz: input.refreshHz, photodiodeCode: input.photodiodeCode, onFrames: input.onFrames, offFrames: input.offFrames, seenAt: (onset) => presentations.seenAt(onset) });
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
    presentations.setDisplay({ refreshHz: hz, lagMs: usableLagMs(done), checksDurations: flashes > 0 && durationsSeen >= flashes / 2, isCoded: done.photodiodeCode === "frames" });
    if (lagMsMedian === null) log("calibration", `The display's lag was not measured: ${skipped}`);
    else log("calibration", `Display: ${hz.toFixed(2)} Hz, lag ${lagMsMedian.toFixed(1)} ms, SD ${(lagMsSd ?? 0).toFixed(2)} ms, ${marks} of ${flashes} flashes seen.`);
    const problem = judgeCalibration(done);
    if (problem !== null) alarms.raise({ code: "displayLag", severity: "warn", message: problem });
  }

  function endCalibration(): void {
    if (calibrating === null) return;
    finishCalibration(calibrating.finish(options.aligner.map()));
    goOn();
  }

  /** The same image at two places is two stimuli. */
  function figureKey(planned: PlannedPresentation): number {
    return planned.image.kind === "mapping" ? 1e9 + planned.step * 1e6 + planned.item : planned.image.imageId;
  }

  /** The first step has begun: trials may. */
  function startTrials(): void {
    if (started || !steps.begun || ended || ending !== null) return;
    started = true;
    if (!paused) step({ kind: "start", atHostNs: now });
  }

  function channelName(index: number): string {
    const c = channelList[index];
    if (c === undefined) return `channel ${index}`;
    return c.area !== "" && !c.name.startsWith(c.area) ? `${c.area} ${c.name}` : c.name;
  }

  // ---- trials ------------------------------------------------------------------------------------------------------------

  function timing(): TrialTiming {
    return { ...options.trial, rewardMs: options.hasReward ? rewardMs : 0, rewardGrowMs: options.hasReward ? options.trial.rewardGrowMs : 0 };
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
          if (trial.name === "break") breakEndsNs = action.atHostNs;
          effects.trialTimer(action.atHostNs, action.token);
          break;
        case "reward":
          effects.reward(action.pulseMs, "trial");
          break;
        case "trialEnd": {
          const { unseen, completed } = presentations.endTrial(action.flashes);
          for (const [block, items] of Map.groupBy(unseen, (u) => blockOf.get(u.flash.presentationId))) block?.block.giveBack(items.map((u) => u.item));
          for (const u of unseen) blockOf.delete(u.flash.presentationId);
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
    const { current, settings } = steps;
    if (!imagesWanted || trial.name !== "waitImages" || current === null || settings === null || ended || blockers.size > 0) return;
    const due = current.block.peek(settings.imagesPerTrial ?? options.trial.imagesPerTrial);
    if (due.length === 0 || !due.every((item) => ready.has(current.item(item).imageId))) return;
    const onMs = settings.onMs ?? options.trial.onMs;
    const offMs = settings.offMs ?? options.trial.offMs;
    const onFrames = Math.max(1, Math.round((onMs * refreshHz) / 1000));
    const offFrames = Math.max(0, Math.round((offMs * refreshHz) / 1000));
    const flashes = current.block.take(due.length).map((item): PlannedFlash => {
      const { imageId, ...planned } = current.item(item);
      const image = steps.image(imageId);
      if (image === null) throw new Error(`expected image ${imageId} to be known, got none`);
      const placement = steps.placementOf({ imageId, ...planned });
      const flash: PlannedFlash = {
        presentationId: nextPresentationId++, imageId, onFrames, offFrames,
        ...(placement === null ? {} : { placement: placeSquare({ xDeg: placement.centreXDeg, yDeg: placement.centreYDeg, sizeDeg: placement.sizeDeg }, options.screen) }),
      };
      blockOf.set(flash.presentationId, current);
      presentations.plan({ trialId: trial.trialId, image, flash, generation: current.generation, step: current.step, block: current.number, item, placement, onMs, now });
      return flash;
    });
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
        reportClockJumps();
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
        const image = steps.image(input.imageId);
        if (image === null || known.has(input.imageId)) return;
        known.add(input.imageId);
        record({
          kind: "image", imageId: image.imageId, imageKind: image.kind, thread: image.thread, generation: image.generation, individual: image.individual, step: image.step, key: image.key,
          label: image.label, widthPx: input.image.width, heightPx: input.image.height, rgb: input.image.data, latent: image.latent,
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
        countsHeard = "silence" in input;
        if (countsHeard) channels.countHeardTime();
        if ("ceilings" in input) ceilingsOf = "all";
        setChannels(input.channels);
        if (!options.hasEye) step({ kind: "gaze", inside: true, atHostNs: now });
        goOn();
        return;
      case "displaySetup":
        setUpDisplay(input);
        return;
      case "channels":
        setChannels(input.channels);
        goOn();
        return;
      case "library":
        steps.library(input.step, input);
        startTrials();
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
        if (steps.image(input.imageId) === null) return;
        ready.add(input.imageId);
        goOn();
        serve();
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
        if (ending === null) steps.room();
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
        if (started) step({ kind: "start", atHostNs: now });
        return;
      case "stop":
        log("stop", input.why, "info", "operator");
        end("stopped", `Stopped in ${steps.where}: ${input.why}`);
        return;
      case "endBreak":
        if (trial.name !== "break") return;
        log("breakEnded", "The operator ended the break before its time.", "info", "operator");
        step({ kind: "endBreak", atHostNs: now });
        return;
      case "skipGeneration":
        if (ending === null) steps.skipBlock();
        return;
      case "skipStep":
        if (ending === null) steps.skipStep();
        return;
      case "repeatStep":
        if (ending === null) steps.repeatStep(input.step);
        return;
      case "queueImages":
        if (ending === null) steps.queueImages(input.images.map((i) => ({ label: i.label, kind: i.imageKind })));
        return;
      case "setTarget":
        steps.setTarget(input.thread, input.channel);
        log("setTarget", steps.evolution === null ? `The operator chose ${channelName(input.channel)} as the target.` : `The operator chose ${channelName(input.channel)} as the target from the next generation on.`, "info", "operator", steps.evolution === null ? { thread: input.thread, channel: input.channel, step: steps.state.current ?? 0 } : { thread: input.thread, channel: input.channel });
        return;
      case "unitsResorted": {
        // What is on the screen was half measured with the old sorting.
        presentations.lossInLast(1000);
        channelWatch.leave(input.replaced.map((r) => r.from));
        const moved = (steps.evolution?.threads ?? []).filter((t) => input.replaced.some((r) => r.from === t.target));
        const again = steps.moveTargets(new Map(input.replaced.map((r) => [r.from, r.to])));
        log("unitsResorted", `The operator sorted units anew: ${input.replaced.map((r) => channelName(r.to)).join(", ") || "no target"} ${input.replaced.length === 1 ? "begins" : "begin"} anew${again > 0 ? `; ${again} presentations of this block are shown again` : ""}.`, "info", "operator", { replaced: input.replaced });
        for (const thread of moved) log("target", `The target is ${channelName(thread.target)} from now on.`, "info", "log", { thread: thread.index, channel: thread.target });
        serve();
        return;
      }
      case "setReward":
        rewardMs = input.pulseMs;
        log("rewardMs", `The operator set the reward to ${input.pulseMs} ms.`, "info", "operator");
        return;
      default:
        assertNever(input);
    }
  }

  function goOn(): void {
    if (ending !== null || calibrating !== null) return;
    steps.tryBegin();
    startTrials();
  }

  function setChannels(list: readonly ChannelInfo[]): void {
    channelList = list;
    channels.resize(list.length);
    record({ kind: "channels", channels: list });
    const beyond = steps.evolution?.threads.find((t) => t.target >= list.length);
    if (beyond === undefined) alarms.clear("targetUnknown", "The target channel has appeared.");
    else alarms.raise({ code: "targetUnknown", severity: "warn", message: `The target is channel ${beyond.target}, but the rig has named ${list.length} so far: its rate counts as zero until it appears. Choose another with T if it does not.` });
  }

  function takeDisplay(report: Extract<SmallInput, { kind: "display" }>["report"]): void {
    switch (report.kind) {
      case "onset": {
        if (report.presentationId < 0) {
          calibrating?.flip(report.presentationId, report.flipHostNs);
          effects.lit(0, report.presentationId, report.flipHostNs, null);
          return;
        }
        const planned = presentations.of(report.presentationId);
        if (planned === null) return;
        effects.lit(planned.image.imageId, report.presentationId, report.flipHostNs, planned.placement ?? options.sessionPlacement);
        listener.screen?.(planned.image.imageId, true, trial.flashes.findIndex((f) => f.presentationId === report.presentationId) + 1, trial.flashes.length);
        presentations.onset(report.presentationId, report.flipHostNs, report.plannedHostNs);
        return;
      }
      case "offset":
        effects.lit(null, report.presentationId, report.flipHostNs, null);
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
        sourceAway();
        alarms.raise({ code: "streamStale", severity: "fault", message: `No data from ${name} for ${(f.ageMs / 1000).toFixed(1)} s. Trials wait until the stream is back.`, data: f });
        stopWithoutStream(`no data from ${name} for ${(f.ageMs / 1000).toFixed(1)} s`);
        return;
      case "lost":
        sourceAway();
        alarms.raise({ code: "sourceLost", severity: "fault", message: `Lost ${name}: ${f.reason}. Trying again; trials wait.`, data: f });
        stopWithoutStream(`${name} was lost (${f.reason})`);
        return;
      case "reconnected": {
        blockers.delete("source");
        channels.away(false);
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

  function sourceAway(): void {
    blockers.add("source");
    channels.away(true);
    if (countsHeard) noSpikesSince = null;
  }

  /** Where the session is to stop rather than to wait. */
  function stopWithoutStream(why: string): void {
    if (options.onStreamLost !== "stop" || ending !== null) return;
    log("streamLost", `Stopped because ${why}; the rig is set to stop rather than to wait.`, "fault", "state");
    end("stopped", `Stopped in ${steps.where}: ${why}.`);
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

  /** Jumps that only the times themselves show; those that a source reports come as its faults. */
  function reportClockJumps(): void {
    const { jumpsMs } = options.aligner;
    for (; clockJumps < jumpsMs.length; clockJumps++) {
      const jumpMs = jumpsMs[clockJumps] ?? 0;
      alarms.report({ code: "clockMoved", severity: "warn", data: { jumpMs }, message: `The rig's times moved by ${jumpMs.toFixed(1)} ms against this computer's: a jump of its clock, or of the time that data take. Alignment started afresh.` });
    }
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
    steps.finish(ending === "completed");
    reportDisplay();
    log(ending ?? "stopped", endMessage, ending === "failed" ? "fault" : "info", "state");
    effects.rewardOff();
    listener.ended?.(ending ?? "stopped", endMessage);
  }

  /** How the display did, in sentences for the log; sessions of before it was looked at have none. */
  function reportDisplay(): void {
    if (calibration === null || calibration.flashes === 0) return;
    const { settled, lateFrames, wrongDurations, framesDropped, framesRepeated, lagMs } = presentations.status;
    const lag = lagMs.n === 0 ? "no photodiode mark was matched" : `images lit up ${lagMs.mean.toFixed(1)} ms after their flip (SD ${lagMs.sd.toFixed(2)} ms, ${lagMs.n} marks)`;
    const seen = calibration.durationsSeen > 0 ? `; by the photodiode ${wrongDurations} stood for another time than the window reported` : "";
    const coded = calibration.photodiodeCode === "frames" && calibration.marks > 0 ? `, ${framesDropped} refreshes were dropped and ${framesRepeated} repeated` : "";
    log("displayReport", `Display at ${calibration.refreshHz.toFixed(2)} Hz, ${settled} images: ${lateFrames} late frames by the window${seen}${coded}; ${lag}.`, lateFrames + wrongDurations === 0 ? "info" : "warn", "log", { settled, lateFrames, wrongDurations, framesDropped, framesRepeated, lagMs });
  }

  return {
    input(input, at) {
      now = at;
      take(input);
    },
    views: () => steps.views(),
    get ended() {
      return ended;
    },
    alarms,
    channels,
    get status(): LoopStatus {
      const p = presentations.status;
      const { evolution } = steps;
      return {
        trialState: trial.name, paused, ended, generation: evolution?.generation ?? 0, generations: evolution?.generations ?? 0, phase: evolution?.phase ?? "evolution", plan: steps.state,
        imageInBlock: steps.current?.block.settled ?? 0, imagesInBlock: steps.current?.block.planned ?? 0, presentations: p.settled, excluded: p.excluded,
        targets: [...steps.targets], rewardMs, matchedMarks: p.matchedMarks, unmatchedMarks: p.unmatchedMarks,
        lagMs: p.lagMs, lateFrames: p.lateFrames, lateSpikes: p.lateSpikes, wrongDurations: p.wrongDurations, framesDropped: p.framesDropped, framesRepeated: p.framesRepeated, calibration, holdFraction: fixation.holdFraction,
        breakEndsNs: trial.name === "break" ? breakEndsNs : null,
      };
    },
  };
}
