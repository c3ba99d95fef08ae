// A trial's images as a state machine over animation frames: when each goes on and off, counted in refreshes of the display.
// Frames are counted by time, not by callbacks: a callback that comes two refreshes late has shown its picture for two more refreshes.
// A frame on which nothing changes updates the state in place and allocates nothing: the draw loop must give the collector no work.
// Knows nothing about canvases, clocks of the host or links.

export interface ProgramFlash {
  readonly presentationId: number;
  readonly imageId: number;
  readonly onFrames: number;
  readonly offFrames: number;
  /** Where it is drawn; null or absent = where the session's images are. */
  readonly placement?: { readonly centreXPx: number; readonly centreYPx: number; readonly sizePx: number } | null | undefined;
}

export interface ProgramState {
  readonly trialId: number;
  readonly flashes: readonly ProgramFlash[];
  /** One refresh, ms. */
  readonly periodMs: number;
  /** When the plan wants the first image, ms on the frame clock. */
  readonly startMs: number;
  readonly stage: "waiting" | "on" | "off" | "ended";
  /** The flash that is on, in its blank, or next. */
  readonly index: number;
  /** Frame time at which this stage was drawn. */
  readonly stageStartMs: number;
  /** Refreshes from the first planned onset to the planned onset of `index`. */
  readonly plannedFrames: number;
  /** Late frames since the present image went on. */
  lateFrames: number;
  lastFrameMs: number;
}

/** Times are ms on the frame clock (what requestAnimationFrame hands out). */
export type FrameReport =
  | { readonly kind: "onset"; readonly presentationId: number; readonly flipMs: number; readonly plannedMs: number }
  | { readonly kind: "offset"; readonly presentationId: number; readonly flipMs: number; readonly framesShown: number; readonly lateFrames: number }
  | { readonly kind: "end"; readonly trialId: number; readonly aborted: boolean; readonly endMs: number };

export interface ProgramStep {
  readonly state: ProgramState;
  /** What this frame must show; null = blank. */
  readonly imageId: number | null;
  readonly reports: readonly FrameReport[];
}

/** A frame is late when it comes after more than this many refreshes. */
export const lateAfterRefreshes = 1.2;

/** How many frames an interval between two callbacks was late by; 0 = in time. */
export function countLateFrames(intervalMs: number, periodMs: number): number {
  if (intervalMs <= lateAfterRefreshes * periodMs) return 0;
  return Math.max(1, Math.round(intervalMs / periodMs) - 1);
}

/** The first refresh at or after `nowMs`, given the time of any earlier frame. */
export function nextRefreshMs(lastFrameMs: number, nowMs: number, periodMs: number): number {
  const refreshes = Math.max(1, Math.ceil((nowMs - lastFrameMs) / periodMs - 1e-6));
  return lastFrameMs + refreshes * periodMs;
}

/** Refreshes between a command and its first image: the frame in which the command is read comes late by as much as that takes. */
const leadRefreshes = 2;

/** When a program begins that is commanded now. */
export function firstImageMs(lastFrameMs: number, nowMs: number, periodMs: number): number {
  return nextRefreshMs(lastFrameMs, nowMs, periodMs) + leadRefreshes * periodMs;
}

export function createProgram(options: { readonly trialId: number; readonly flashes: readonly ProgramFlash[]; readonly periodMs: number; readonly startMs: number }): ProgramState {
  if (!(options.periodMs > 0)) throw new Error(`expected a refresh period above 0 ms, got ${options.periodMs}`);
  return { ...options, stage: "waiting", index: 0, stageStartMs: options.startMs, plannedFrames: 0, lateFrames: 0, lastFrameMs: options.startMs };
}

/** One animation frame at `frameMs`. An ended program stays blank and silent. `state` is used up: go on with that of the step. */
export function advanceProgram(state: ProgramState, frameMs: number): ProgramStep {
  switch (state.stage) {
    case "ended":
      return { state, imageId: null, reports: [] };
    case "waiting":
      // A frame's time may be off by a little of a refresh.
      return frameMs < state.startMs - state.periodMs / 2 ? quietStep(state, null) : startFlash(state, frameMs, []);
    case "on":
      return advanceOn(state, frameMs);
    case "off":
      return advanceOff(state, frameMs);
  }
}

/** The flash that is on after a step; null = blank. */
export function flashOn(state: ProgramState): ProgramFlash | null {
  return state.stage === "on" ? flashAt(state) : null;
}

/** The flash after this one, at a moment at which drawing ahead disturbs nothing; null otherwise. `frameMs`: this frame's time. */
export function flashToPrime(state: ProgramState, frameMs: number): ProgramFlash | null {
  if (state.stage === "waiting") return state.flashes[0] ?? null;
  if (state.stage === "ended" || refreshesIn(state, frameMs) < 1) return null;
  if (state.stage === "on" && flashAt(state).offFrames > 0) return null;
  return state.flashes[state.index + 1] ?? null;
}

/** Refreshes since the image that is on was drawn: 0 at its first frame. */
export function frameOfImage(state: ProgramState, frameMs: number): number {
  return refreshesIn(state, frameMs);
}

/** Blanks at this frame, whatever was on. */
export function abortProgram(state: ProgramState, frameMs: number): ProgramStep {
  if (state.stage === "ended") return { state, imageId: null, reports: [] };
  const flash = state.flashes[state.index];
  const reports: FrameReport[] = state.stage === "on" && flash !== undefined ? [offsetOf(countFrame(state, frameMs), flash, frameMs)] : [];
  return { state: { ...state, stage: "ended", lastFrameMs: frameMs }, imageId: null, reports: [...reports, { kind: "end", trialId: state.trialId, aborted: true, endMs: frameMs }] };
}

function advanceOn(before: ProgramState, frameMs: number): ProgramStep {
  const state = countFrame(before, frameMs);
  const flash = flashAt(state);
  if (refreshesIn(state, frameMs) < Math.max(1, flash.onFrames)) return quietStep(state, flash.imageId);
  const blank: ProgramState = { ...state, stage: "off", stageStartMs: frameMs };
  const reports = [offsetOf(state, flash, frameMs)];
  return flash.offFrames > 0 ? { state: blank, imageId: null, reports } : finishFlash(blank, frameMs, reports);
}

function advanceOff(state: ProgramState, frameMs: number): ProgramStep {
  state.lastFrameMs = frameMs;
  if (refreshesIn(state, frameMs) < flashAt(state).offFrames) return quietStep(state, null);
  return finishFlash(state, frameMs, []);
}

function finishFlash(state: ProgramState, frameMs: number, reports: readonly FrameReport[]): ProgramStep {
  const flash = flashAt(state);
  const plannedFrames = state.plannedFrames + Math.max(1, flash.onFrames) + flash.offFrames;
  return startFlash({ ...state, index: state.index + 1, plannedFrames }, frameMs, reports);
}

function startFlash(state: ProgramState, frameMs: number, reports: readonly FrameReport[]): ProgramStep {
  const flash = state.flashes[state.index];
  if (flash === undefined) {
    const ended: ProgramState = { ...state, stage: "ended", lastFrameMs: frameMs };
    return { state: ended, imageId: null, reports: [...reports, { kind: "end", trialId: state.trialId, aborted: false, endMs: frameMs }] };
  }
  const plannedMs = state.startMs + state.plannedFrames * state.periodMs;
  const on: ProgramState = { ...state, stage: "on", stageStartMs: frameMs, lastFrameMs: frameMs, lateFrames: 0 };
  return { state: on, imageId: flash.imageId, reports: [...reports, { kind: "onset", presentationId: flash.presentationId, flipMs: frameMs, plannedMs }] };
}

/** Whole refreshes since this stage was drawn, from the total time: rounding errors of single intervals do not add up. */
function refreshesIn(state: ProgramState, frameMs: number): number {
  return Math.round((frameMs - state.stageStartMs) / state.periodMs);
}

function countFrame(state: ProgramState, frameMs: number): ProgramState {
  state.lateFrames += countLateFrames(frameMs - state.lastFrameMs, state.periodMs);
  state.lastFrameMs = frameMs;
  return state;
}

const noReports: readonly FrameReport[] = [];
/** One for all frames on which nothing changes: whoever gets it reads it before the next frame. */
const quiet: { state: ProgramState; imageId: number | null; readonly reports: readonly FrameReport[] } = {
  state: { trialId: 0, flashes: [], periodMs: 1, startMs: 0, stage: "ended", index: 0, stageStartMs: 0, plannedFrames: 0, lateFrames: 0, lastFrameMs: 0 }, imageId: null, reports: noReports,
};

function quietStep(state: ProgramState, imageId: number | null): ProgramStep {
  quiet.state = state;
  quiet.imageId = imageId;
  return quiet;
}

function offsetOf(state: ProgramState, flash: ProgramFlash, frameMs: number): FrameReport {
  return { kind: "offset", presentationId: flash.presentationId, flipMs: frameMs, framesShown: refreshesIn(state, frameMs), lateFrames: state.lateFrames };
}

function flashAt(state: ProgramState): ProgramFlash {
  const flash = state.flashes[state.index];
  if (flash === undefined) throw new Error(`expected a flash at ${state.index}, the program has ${state.flashes.length}`);
  return flash;
}
