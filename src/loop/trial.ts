// The trial as an explicit state machine: wait for fixation, hold, images, reward, inter-trial interval, time-out, break. A pure step from
// state and event to state and actions; whoever drives it owns the clock, the screen and the juice. Knows nothing about spikes or scores.
import type { PlannedFlash } from "../shared/ports.ts";
import { assertNever } from "../shared/result.ts";
import { addMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { TrialOutcome } from "../shared/values.ts";

/** Timing of a trial; the same names as the session's trial configuration. */
export interface TrialTiming {
  readonly holdMs: number;
  readonly waitMsMax: number;
  readonly interTrialMs: number;
  readonly timeoutMs: number;
  readonly rewardMs: number;
  /** Added for every correct trial in a row before, up to `rewardMsMax`; 0 = the reward is fixed. */
  readonly rewardGrowMs: number;
  readonly rewardMsMax: number;
  /** A break follows this many trials; 0 = never. */
  readonly breakAfterTrials: number;
  readonly breakMs: number;
  /** Longest time from `run` or `abort` to the display's `end`, beyond the programme's own length. */
  readonly displayTimeoutMs: number;
}

export type TrialStateName =
  | "stopped"
  | "waitImages"
  | "waitFixation"
  | "hold"
  | "images"
  | "blanking"
  | "reward"
  | "interTrial"
  | "timeOut"
  | "break";

export interface TrialState {
  readonly name: TrialStateName;
  readonly trialId: number;
  readonly flashes: readonly PlannedFlash[];
  readonly startHostNs: HostTimeNs | null;
  readonly gazeInside: boolean;
  /** Only the timer with this number is still of interest. */
  readonly timerToken: number;
  /** Why images were cut short; decided when the screen is blank. */
  readonly ending: TrialOutcome | null;
  /** No new trial begins while this is set: the operator paused, the stream is lost, the screen is gone. */
  readonly pauseWanted: boolean;
  readonly stopWanted: boolean;
  /** Correct trials in a row; the subject's failures end it, a fault of the rig does not. */
  readonly streak: number;
  readonly trialsSinceBreak: number;
  /** Of the trial under way, ms; 0 before it is earned. */
  readonly rewardMs: number;
}

export type TrialEvent = { readonly atHostNs: HostTimeNs } & (
  | { readonly kind: "start" }
  | { readonly kind: "pause" }
  | { readonly kind: "stop" }
  | { readonly kind: "imagesReady"; readonly flashes: readonly PlannedFlash[] }
  | { readonly kind: "gaze"; readonly inside: boolean }
  | { readonly kind: "timer"; readonly token: number }
  | { readonly kind: "displayEnd"; readonly trialId: number; readonly aborted: boolean }
  | { readonly kind: "displayLost" }
  | { readonly kind: "rewardDone" }
  /** The operator ends the break before its time. */
  | { readonly kind: "endBreak" }
);

export type TrialAction =
  | { readonly kind: "requestImages" }
  | { readonly kind: "fixation"; readonly visible: boolean }
  | { readonly kind: "run"; readonly trialId: number; readonly flashes: readonly PlannedFlash[] }
  | { readonly kind: "abort"; readonly trialId: number }
  | { readonly kind: "timer"; readonly atHostNs: HostTimeNs; readonly token: number }
  | { readonly kind: "reward"; readonly pulseMs: number }
  | {
      readonly kind: "trialEnd";
      readonly trialId: number;
      readonly outcome: TrialOutcome;
      readonly flashes: readonly PlannedFlash[];
      readonly startHostNs: HostTimeNs;
      readonly endHostNs: HostTimeNs;
      readonly rewardMs: number;
    };

export interface TrialStep {
  readonly state: TrialState;
  readonly actions: readonly TrialAction[];
}

/** What one trial leaves to the next. */
export type TrialCounters = Pick<TrialState, "streak" | "trialsSinceBreak">;

export const freshCounters: TrialCounters = { streak: 0, trialsSinceBreak: 0 };

/** `counters`: as the trials before left them, where a session goes on. */
export function initialTrialState(trialId: number, { streak, trialsSinceBreak }: TrialCounters = freshCounters): TrialState {
  return { name: "stopped", trialId, flashes: [], startHostNs: null, gazeInside: false, timerToken: 0, ending: null, pauseWanted: false, stopWanted: false, streak, trialsSinceBreak, rewardMs: 0 };
}

/** The subject's failures end a streak, a fault of the rig does not. */
function countTrial({ streak, trialsSinceBreak }: TrialCounters, outcome: TrialOutcome): TrialCounters {
  return { streak: outcome === "correct" ? streak + 1 : outcome === "brokeFixation" || outcome === "noFixation" ? 0 : streak, trialsSinceBreak: trialsSinceBreak + 1 };
}

function isBreakDue({ trialsSinceBreak }: TrialCounters, timing: Pick<TrialTiming, "breakAfterTrials">): boolean {
  return timing.breakAfterTrials > 0 && trialsSinceBreak >= timing.breakAfterTrials;
}

/** The counters after recorded trials, in order; `wentOn`: the rest after the trial was over before the record ends, and the session was not to pause then. */
export function countersAfter(counters: TrialCounters, trials: readonly { readonly outcome: TrialOutcome; readonly wentOn: boolean }[], timing: Pick<TrialTiming, "breakAfterTrials">): TrialCounters {
  return trials.reduce((before, { outcome, wentOn }) => {
    const after = countTrial(before, outcome);
    return wentOn && isBreakDue(after, timing) ? { ...after, trialsSinceBreak: 0 } : after;
  }, counters);
}

/** The rest that follows a trial. */
export function restAfter(outcome: TrialOutcome, timing: Pick<TrialTiming, "interTrialMs" | "timeoutMs">): { readonly name: "interTrial" | "timeOut"; readonly ms: number } {
  return outcome === "correct" ? { name: "interTrial", ms: timing.interTrialMs } : { name: "timeOut", ms: timing.timeoutMs };
}

/** Reward of a correct trial that follows `streak` correct ones. */
export function rewardAfter(streak: number, timing: Pick<TrialTiming, "rewardMs" | "rewardGrowMs" | "rewardMsMax">): number {
  if (timing.rewardMs === 0 || timing.rewardGrowMs === 0) return timing.rewardMs;
  return Math.min(timing.rewardMs + streak * timing.rewardGrowMs, Math.max(timing.rewardMs, timing.rewardMsMax));
}

/** Takes one event. Events that mean nothing in the present state change nothing; no state is without an exit. */
export function stepTrial(state: TrialState, event: TrialEvent, timing: TrialTiming): TrialStep {
  switch (event.kind) {
    case "start":
      return state.name === "stopped" ? waitImages({ ...state, pauseWanted: false, stopWanted: false }) : { state: { ...state, pauseWanted: false }, actions: [] };
    case "pause":
      return state.name === "waitImages" ? park(state) : { state: { ...state, pauseWanted: true }, actions: [] };
    case "stop":
      return stopTrial(state, event.atHostNs, timing);
    case "imagesReady":
      return state.name === "waitImages" ? waitFixation(state, event, timing) : { state, actions: [] };
    case "gaze":
      return onGaze({ ...state, gazeInside: event.inside }, event.atHostNs, timing);
    case "timer":
      return event.token === state.timerToken ? onTimer(state, event.atHostNs, timing) : { state, actions: [] };
    case "displayEnd":
      return event.trialId === state.trialId && (state.name === "images" || state.name === "blanking") ? imagesOver(state, event.aborted, event.atHostNs, timing) : { state, actions: [] };
    case "displayLost":
      return state.name === "images" || state.name === "blanking" ? finish({ ...state, ending: state.ending ?? "displayFault" }, event.atHostNs, timing) : { state, actions: [] };
    case "rewardDone":
      return state.name === "reward" ? finish({ ...state, ending: "correct" }, event.atHostNs, timing) : { state, actions: [] };
    case "endBreak":
      return state.name === "break" ? waitImages({ ...state, trialId: state.trialId + 1, timerToken: state.timerToken + 1 }) : { state, actions: [] };
    default:
      return assertNever(event);
  }
}

function setTimer(state: TrialState, name: TrialStateName, at: HostTimeNs, ms: number): { readonly state: TrialState; readonly timer: TrialAction } {
  const token = state.timerToken + 1;
  return { state: { ...state, name, timerToken: token }, timer: { kind: "timer", atHostNs: addMs(at, ms), token } };
}

function waitImages(state: TrialState): TrialStep {
  if (state.pauseWanted || state.stopWanted) return park(state);
  return { state: { ...state, name: "waitImages", flashes: [], startHostNs: null, ending: null }, actions: [{ kind: "requestImages" }] };
}

function park(state: TrialState): TrialStep {
  return {
    state: { ...state, name: "stopped", flashes: [], startHostNs: null, ending: null, pauseWanted: false, stopWanted: false, timerToken: state.timerToken + 1 },
    actions: [{ kind: "fixation", visible: false }],
  };
}

function waitFixation(state: TrialState, event: { readonly flashes: readonly PlannedFlash[]; readonly atHostNs: HostTimeNs }, timing: TrialTiming): TrialStep {
  if (event.flashes.length === 0) throw new Error("expected at least one image for a trial, got none");
  const begun: TrialState = { ...state, flashes: event.flashes, startHostNs: event.atHostNs };
  const spot: TrialAction = { kind: "fixation", visible: true };
  if (begun.gazeInside) {
    const held = setTimer(begun, "hold", event.atHostNs, timing.holdMs);
    return { state: held.state, actions: [spot, held.timer] };
  }
  const waiting = setTimer(begun, "waitFixation", event.atHostNs, timing.waitMsMax);
  return { state: waiting.state, actions: [spot, waiting.timer] };
}

function onGaze(state: TrialState, at: HostTimeNs, timing: TrialTiming): TrialStep {
  if (state.name === "waitFixation" && state.gazeInside) {
    const held = setTimer(state, "hold", at, timing.holdMs);
    return { state: held.state, actions: [held.timer] };
  }
  if (state.name === "hold" && !state.gazeInside) return finish({ ...state, ending: "brokeFixation" }, at, timing);
  if (state.name === "images" && !state.gazeInside) return blank(state, "brokeFixation", at, timing);
  return { state, actions: [] };
}

function blank(state: TrialState, ending: TrialOutcome, at: HostTimeNs, timing: TrialTiming): TrialStep {
  const blanking = setTimer({ ...state, ending }, "blanking", at, timing.displayTimeoutMs);
  return { state: blanking.state, actions: [{ kind: "abort", trialId: state.trialId }, { kind: "fixation", visible: false }, blanking.timer] };
}

function onTimer(state: TrialState, at: HostTimeNs, timing: TrialTiming): TrialStep {
  switch (state.name) {
    case "waitFixation":
      return finish({ ...state, ending: "noFixation" }, at, timing);
    case "hold": {
      const shown = state.flashes;
      const running = setTimer(state, "images", at, programmeMs(shown, timing));
      return { state: running.state, actions: [{ kind: "run", trialId: state.trialId, flashes: shown }, running.timer] };
    }
    case "images":
      // The screen never said that it had finished.
      return blank(state, "displayFault", at, timing);
    case "blanking":
      return finish({ ...state, ending: state.ending ?? "displayFault" }, at, timing);
    case "reward":
      // The juice line never answered; the trial was correct all the same.
      return finish({ ...state, ending: "correct" }, at, timing);
    case "interTrial":
    case "timeOut":
      return isBreakDue(state, timing) && !state.pauseWanted ? takeBreak(state, at, timing) : waitImages({ ...state, trialId: state.trialId + 1 });
    case "break":
      return waitImages({ ...state, trialId: state.trialId + 1 });
    case "stopped":
    case "waitImages":
      return { state, actions: [] };
    default:
      return assertNever(state.name);
  }
}

function takeBreak(state: TrialState, at: HostTimeNs, timing: TrialTiming): TrialStep {
  const resting = setTimer({ ...state, trialsSinceBreak: 0 }, "break", at, timing.breakMs);
  return { state: resting.state, actions: [{ kind: "fixation", visible: false }, resting.timer] };
}

/** Generous: frames are counted by the display, so only a lower bound of its refresh rate (20 Hz) is assumed here. */
function programmeMs(flashes: readonly PlannedFlash[], timing: TrialTiming): number {
  const frames = flashes.reduce((sum, f) => sum + f.onFrames + f.offFrames, 0);
  return frames * 50 + timing.displayTimeoutMs;
}

function imagesOver(state: TrialState, aborted: boolean, at: HostTimeNs, timing: TrialTiming): TrialStep {
  if (state.name === "blanking") return finish(state, at, timing);
  if (aborted) return finish({ ...state, ending: "displayFault" }, at, timing);
  const rewardMs = rewardAfter(state.streak, timing);
  if (rewardMs === 0) return finish({ ...state, ending: "correct" }, at, timing);
  const rewarding = setTimer({ ...state, rewardMs }, "reward", at, rewardMs + timing.displayTimeoutMs);
  return { state: rewarding.state, actions: [{ kind: "fixation", visible: false }, { kind: "reward", pulseMs: rewardMs }, rewarding.timer] };
}

function finish(state: TrialState, at: HostTimeNs, timing: TrialTiming): TrialStep {
  const outcome = state.ending ?? "displayFault";
  const { name, ms } = restAfter(outcome, timing);
  const rest = setTimer({ ...state, ...countTrial(state, outcome), ending: null, rewardMs: 0 }, name, at, ms);
  const end: TrialAction = {
    kind: "trialEnd",
    trialId: state.trialId,
    outcome,
    flashes: state.flashes,
    startHostNs: state.startHostNs ?? at,
    endHostNs: at,
    rewardMs: outcome === "correct" ? state.rewardMs : 0,
  };
  const hidden: TrialAction = { kind: "fixation", visible: false };
  if (state.stopWanted) {
    const parked = park({ ...rest.state, trialId: state.trialId + 1 });
    return { state: parked.state, actions: [end, ...parked.actions] };
  }
  return { state: { ...rest.state, flashes: [] }, actions: [end, hidden, rest.timer] };
}

function stopTrial(state: TrialState, at: HostTimeNs, timing: TrialTiming): TrialStep {
  switch (state.name) {
    case "stopped":
      return { state, actions: [] };
    case "waitImages":
      return park(state);
    case "interTrial":
    case "timeOut":
    case "break":
      return park({ ...state, trialId: state.trialId + 1 });
    case "waitFixation":
    case "hold":
      return finish({ ...state, stopWanted: true, ending: "stopped" }, at, timing);
    case "images":
      return blank({ ...state, stopWanted: true }, "stopped", at, timing);
    case "blanking":
    case "reward":
      return { state: { ...state, stopWanted: true }, actions: [] };
    default:
      return assertNever(state.name);
  }
}
