// A trial's images as a timetable in refreshes of the display: when each goes on and off. Each image's times are told ahead of its onset
// (`prime`), so that whoever composes the screen changes it by itself: the page's thread, which may be held up by anything, has no part in a change
// and asks for no frame near one or while an image is on (`restsUntilMs`). What it reports of a change is when it was due.
// An image that could not be told in time comes later and gets its whole time; all that follow move with it.
// A frame on which nothing happens allocates nothing: the collector must have no work.
// Knows nothing about canvases, clocks of the host or links.

export interface ProgramFlash {
  readonly presentationId: number;
  readonly imageId: number;
  readonly onFrames: number;
  readonly offFrames: number;
  /** Where it is drawn; null or absent = where the session's images are. */
  readonly placement?: { readonly centreXPx: number; readonly centreYPx: number; readonly sizePx: number } | null | undefined;
}

/** Times are ms on the frame clock (what requestAnimationFrame hands out). */
export type FrameReport =
  | { readonly kind: "onset"; readonly presentationId: number; readonly flipMs: number; readonly plannedMs: number }
  | { readonly kind: "offset"; readonly presentationId: number; readonly flipMs: number; readonly framesShown: number; readonly lateFrames: number }
  | { readonly kind: "end"; readonly trialId: number; readonly aborted: boolean; readonly endMs: number };

export interface FlashProgram {
  readonly trialId: number;
  /** It stays blank and silent. */
  readonly isOver: boolean;
  /** What has changed up to the frame at `frameMs`. `dueMs`: when this frame was due; refreshes missed between count against the image that was on. */
  advance(frameMs: number, dueMs: number): readonly FrameReport[];
  /** The next image and its onset, once, at a frame in which telling it disturbs nothing; null otherwise. `nowMs`: the frame's time has passed until then. */
  prime(frameMs: number, nowMs: number): { readonly flash: ProgramFlash; readonly onsetMs: number } | null;
  /** The next change, where the page has nothing to do before it and should ask for no frame; null where it has. */
  restsUntilMs(): number | null;
  /** Ends it at this frame, whatever is on. */
  abort(frameMs: number): readonly FrameReport[];
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

/** Refreshes between a command and its first image: one in which it is read, one in which the image is drawn where it is not seen yet. */
const leadRefreshes = 2;

/** When a program begins that is commanded now. */
export function firstImageMs(lastFrameMs: number, nowMs: number, periodMs: number): number {
  return nextRefreshMs(lastFrameMs, nowMs, periodMs) + leadRefreshes * periodMs;
}

/** A blank of fewer refreshes has no frame to spare: the next image is drawn while the one before it is on. */
const blankToSpare = 3;
/** Images that follow one another in fewer refreshes leave none in which nothing changes. */
const cycleToSpare = 4;

const noReports: readonly FrameReport[] = [];

export function createProgram({ trialId, flashes, periodMs, startMs }: { readonly trialId: number; readonly flashes: readonly ProgramFlash[]; readonly periodMs: number; readonly startMs: number }): FlashProgram {
  if (!(periodMs > 0)) throw new Error(`expected a refresh period above 0 ms, got ${periodMs}`);
  let stage: "waiting" | "on" | "off" | "ended" = "waiting";
  /** The flash that is on or in its blank; -1 before the first. */
  let index = -1;
  let stageStartMs = startMs;
  /** Onset of the flash after `index`, once it has been told. */
  let nextOnsetMs: number | null = null;
  /** Refreshes from the first planned onset to the planned onset of the flash after `index`. */
  let plannedFrames = 0;
  let lateFrames = 0;

  const onFramesOf = (flash: ProgramFlash | undefined): number => Math.max(1, flash?.onFrames ?? 1);
  const isTight = (flash: ProgramFlash | undefined): boolean => flash !== undefined && onFramesOf(flash) + flash.offFrames < cycleToSpare;

  /** When the present stage ends; infinite where that is not decided yet. */
  function nextChangeMs(): number {
    switch (stage) {
      case "waiting":
        return flashes.length === 0 ? startMs : (nextOnsetMs ?? Number.POSITIVE_INFINITY);
      case "on":
        return stageStartMs + onFramesOf(flashes[index]) * periodMs;
      case "off":
        return index === flashes.length - 1 ? stageStartMs + (flashes[index]?.offFrames ?? 0) * periodMs : (nextOnsetMs ?? Number.POSITIVE_INFINITY);
      case "ended":
        return Number.POSITIVE_INFINITY;
    }
  }

  function changeStage(atMs: number): FrameReport {
    const flash = flashes[index];
    if (stage === "on" && flash !== undefined) {
      stage = "off";
      stageStartMs = atMs;
      return { kind: "offset", presentationId: flash.presentationId, flipMs: atMs, framesShown: onFramesOf(flash), lateFrames };
    }
    const next = flashes[index + 1];
    if (next === undefined) {
      stage = "ended";
      return { kind: "end", trialId, aborted: false, endMs: atMs };
    }
    const plannedMs = startMs + plannedFrames * periodMs;
    index += 1;
    plannedFrames += onFramesOf(next) + next.offFrames;
    stage = "on";
    stageStartMs = atMs;
    nextOnsetMs = null;
    lateFrames = 0;
    return { kind: "onset", presentationId: next.presentationId, flipMs: atMs, plannedMs };
  }

  /** Refreshes without their frame, from `fromMs` to before `toMs`, while this image is on. */
  function countMissed(fromMs: number, toMs: number): void {
    if (stage !== "on" || toMs - fromMs <= (lateAfterRefreshes - 1) * periodMs) return;
    const offMs = stageStartMs + onFramesOf(flashes[index]) * periodMs;
    const missed = Math.min(toMs, offMs) - Math.max(fromMs, stageStartMs);
    if (missed > periodMs / 2) lateFrames += Math.round(missed / periodMs);
  }

  /** Changes before `untilMs`. */
  function follow(untilMs: number, frameMs: number, dueMs: number): readonly FrameReport[] {
    if (stage === "on") countMissed(dueMs, frameMs);
    if (nextChangeMs() >= untilMs) return noReports;
    const reports: FrameReport[] = [];
    for (let atMs = nextChangeMs(); atMs < untilMs; atMs = nextChangeMs()) {
      const report = changeStage(atMs);
      reports.push(report);
      if (report.kind === "onset") countMissed(dueMs, frameMs);
    }
    return reports;
  }

  function isQuietMoment(frameMs: number): boolean {
    const flash = flashes[index];
    if (stage === "waiting" || flash === undefined || isTight(flash)) return true;
    const since = Math.round((frameMs - stageStartMs) / periodMs);
    return since >= 1 && (stage === "off" || flash.offFrames < blankToSpare);
  }

  return {
    trialId,
    get isOver() {
      return stage === "ended";
    },
    // A frame's time may be off by a little of a refresh.
    advance: (frameMs, dueMs) => follow(frameMs + periodMs / 2, frameMs, dueMs),
    prime(frameMs, nowMs) {
      const flash = flashes[index + 1];
      if (stage === "ended" || flash === undefined || nextOnsetMs !== null || !isQuietMoment(frameMs)) return null;
      const before = flashes[index];
      const wantedMs = stage === "waiting" ? startMs : stageStartMs + ((stage === "on" ? onFramesOf(before) : 0) + (before?.offFrames ?? 0)) * periodMs;
      // What this frame hands on is on the screen in the next one, unless that is near already.
      const soonest = 1 + Math.round(Math.max(0, nowMs - frameMs) / periodMs);
      nextOnsetMs = frameMs + Math.max(soonest, Math.round((wantedMs - frameMs) / periodMs)) * periodMs;
      return { flash, onsetMs: nextOnsetMs };
    },
    restsUntilMs() {
      const atMs = nextChangeMs();
      const next = flashes[index + 1];
      const mustPrimeNow = stage === "on" && next !== undefined && nextOnsetMs === null && (flashes[index]?.offFrames ?? 0) < blankToSpare;
      return mustPrimeNow || !Number.isFinite(atMs) || isTight(flashes[index]) || isTight(next) ? null : atMs;
    },
    abort(frameMs) {
      if (stage === "ended") return noReports;
      // What this frame would have changed it does not.
      const reports = [...follow(frameMs - periodMs / 2, frameMs, frameMs)];
      const flash = flashes[index];
      if (stage === "on" && flash !== undefined) {
        reports.push({ kind: "offset", presentationId: flash.presentationId, flipMs: frameMs, framesShown: Math.round((frameMs - stageStartMs) / periodMs), lateFrames });
      }
      if (!reports.some((report) => report.kind === "end")) reports.push({ kind: "end", trialId, aborted: true, endMs: frameMs });
      stage = "ended";
      return reports;
    },
  };
}
