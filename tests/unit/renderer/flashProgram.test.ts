import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { abortProgram, advanceProgram, countLateFrames, createProgram, firstImageMs, flashToPrime, nextRefreshMs, type FrameReport, type ProgramFlash, type ProgramState } from "../../../src/renderer/stimulus/flashProgram.ts";

const periodMs = 1000 / 120;

function someFlashes(count: number, onFrames = 12, offFrames = 18): ProgramFlash[] {
  return Array.from({ length: count }, (_, i) => ({ presentationId: 100 + i, imageId: i, onFrames, offFrames }));
}

interface Played {
  readonly reports: readonly FrameReport[];
  /** What was on the screen from each callback to the next. */
  readonly shown: readonly { readonly atMs: number; readonly imageId: number | null }[];
  readonly state: ProgramState;
}

/** Feeds frame times until the program ends. */
function play(flashes: readonly ProgramFlash[], frameTimesMs: readonly number[]): Played {
  let state = createProgram({ trialId: 1, flashes, periodMs, startMs: frameTimesMs[0] ?? 0 });
  const reports: FrameReport[] = [];
  const shown: { atMs: number; imageId: number | null }[] = [];
  for (const atMs of frameTimesMs) {
    const step = advanceProgram(state, atMs);
    state = step.state;
    reports.push(...step.reports);
    shown.push({ atMs, imageId: step.imageId });
    if (state.stage === "ended") break;
  }
  return { reports, shown, state };
}

/** Callback times of a display whose frames have these lengths in refreshes, then go on regularly. */
function framesOf(refreshes: readonly number[], total: number): number[] {
  const times = [0];
  for (let i = 0; times.length < total; i++) times.push((times.at(-1) ?? 0) + (refreshes[i] ?? 1) * periodMs);
  return times;
}

const offsets = (reports: readonly FrameReport[]) => reports.filter((r) => r.kind === "offset");
const onsets = (reports: readonly FrameReport[]) => reports.filter((r) => r.kind === "onset");

describe("flash program", () => {
  it("shows five images of 12 frames with 18 blank frames between on a display that never drops", () => {
    const { reports, state } = play(someFlashes(5), framesOf([], 400));
    expect(onsets(reports).map((r) => Math.round(r.flipMs / periodMs))).toEqual([0, 30, 60, 90, 120]);
    expect(offsets(reports).map((r) => [r.framesShown, r.lateFrames])).toEqual(Array.from({ length: 5 }, () => [12, 0]));
    expect(reports.at(-1)).toMatchObject({ kind: "end", trialId: 1, aborted: false });
    expect(Math.round((reports.at(-1)?.kind === "end" ? (reports.at(-1) as { endMs: number }).endMs : 0) / periodMs)).toBe(150);
    expect(state.stage).toBe("ended");
  });

  it("keeps the shown time when a callback is dropped in the middle of an image, and counts the late frame", () => {
    const { reports } = play(someFlashes(1), framesOf([1, 1, 3], 60));
    expect(offsets(reports)[0]).toMatchObject({ framesShown: 12, lateFrames: 2 });
  });

  it("counts a late frame against the image it fell into and not against the next", () => {
    const { reports } = play(someFlashes(2), framesOf([1, 1, 3], 120));
    expect(offsets(reports).map((r) => r.lateFrames)).toEqual([2, 0]);
  });

  it("says how long an image really was on when its last frame was held", () => {
    const { reports } = play(someFlashes(1), framesOf([...Array.from({ length: 11 }, () => 1), 4], 60));
    expect(offsets(reports)[0]).toMatchObject({ framesShown: 15, lateFrames: 3 });
  });

  it("gives a late image its whole time and reports how late it came against the plan", () => {
    const late = framesOf([...Array.from({ length: 29 }, () => 1), 3], 120);
    const { reports } = play(someFlashes(2), late);
    const second = onsets(reports)[1];
    expect(second).toBeDefined();
    expect(Math.round(((second?.flipMs ?? 0) - (second?.plannedMs ?? 0)) / periodMs)).toBe(2);
    expect(offsets(reports)[1]).toMatchObject({ framesShown: 12, lateFrames: 0 });
  });

  it("does not count a late frame of the blank against the image before or after it", () => {
    const { reports } = play(someFlashes(2), framesOf([...Array.from({ length: 20 }, () => 1), 2], 120));
    expect(offsets(reports).map((r) => r.lateFrames)).toEqual([0, 0]);
  });

  it("goes from image to image without a blank where no frames are off", () => {
    const { reports, shown } = play(someFlashes(3, 4, 0), framesOf([], 60));
    expect(shown.slice(0, 13).map((s) => s.imageId)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, null]);
    expect(reports.map((r) => r.kind)).toEqual(["onset", "offset", "onset", "offset", "onset", "offset", "end"]);
  });

  it("blanks at the next frame when aborted and tells what was shown until then", () => {
    let state = createProgram({ trialId: 9, flashes: someFlashes(2), periodMs, startMs: 0 });
    for (let f = 0; f < 5; f++) state = advanceProgram(state, f * periodMs).state;
    const step = abortProgram(state, 5 * periodMs);
    expect(step.imageId).toBeNull();
    expect(step.reports).toEqual([
      { kind: "offset", presentationId: 100, flipMs: 5 * periodMs, framesShown: 5, lateFrames: 0 },
      { kind: "end", trialId: 9, aborted: true, endMs: 5 * periodMs },
    ]);
    expect(advanceProgram(step.state, 6 * periodMs).reports).toEqual([]);
    expect(abortProgram(step.state, 6 * periodMs).reports).toEqual([]);
  });

  it("ends an empty program at its first frame", () => {
    expect(play([], [0]).reports).toEqual([{ kind: "end", trialId: 1, aborted: false, endMs: 0 }]);
  });

  it("never ends an image early, and reports exactly what the screen showed, whatever frames are dropped", () => {
    const frames = fc.array(fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 6 }) }), { minLength: 0, maxLength: 200 });
    const jitter = fc.array(fc.double({ min: -0.08, max: 0.08, noNaN: true }), { minLength: 400, maxLength: 400 });
    fc.assert(fc.property(frames, jitter, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 20 }), (refreshes, noise, count, onFrames, offFrames) => {
      const exact = framesOf(refreshes, 400);
      const { reports, shown } = play(someFlashes(count, onFrames, offFrames), exact.map((t, i) => t + (noise[i] ?? 0) * periodMs));
      // The truth, from the exact times of the callbacks that drew.
      const truth = new Map<number, number>();
      shown.forEach((s, i) => {
        if (s.imageId !== null) truth.set(s.imageId, (truth.get(s.imageId) ?? 0) + Math.round(((exact[i + 1] ?? 0) - (exact[i] ?? 0)) / periodMs));
      });
      const told = offsets(reports).map((r) => [r.presentationId - 100, r.framesShown]);
      expect(told).toEqual([...truth].map(([id, n]) => [id, n]));
      for (const [, n] of truth) expect(n).toBeGreaterThanOrEqual(onFrames);
      // Every frame above the plan was a late one.
      for (const r of offsets(reports)) expect(r.framesShown - onFrames).toBeLessThanOrEqual(r.lateFrames);
    }), { numRuns: 300 });
  });
});

describe("the first image", () => {
  it("waits for its time, two whole refreshes after the one in which the command is read", () => {
    expect(firstImageMs(100, 103, 10)).toBe(130);
    let state = createProgram({ trialId: 1, flashes: someFlashes(1), periodMs: 10, startMs: 130 });
    const stages = [110, 120, 129.4].map((atMs) => {
      const step = advanceProgram(state, atMs);
      state = step.state;
      return [state.stage, step.imageId, step.reports.length];
    });
    expect(stages).toEqual([["waiting", null, 0], ["waiting", null, 0], ["on", 0, 1]]);
  });

  it("is drawn ahead while nothing changes, and so is every other: never one that is on, never in the frame of an onset or an end", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 4 }), (count, onFrames, offFrames) => {
      let state = createProgram({ trialId: 1, flashes: someFlashes(count, onFrames, offFrames), periodMs, startMs: 2 * periodMs });
      const primed = new Set<number>();
      for (let frame = 0; state.stage !== "ended"; frame++) {
        const step = advanceProgram(state, frame * periodMs);
        state = step.state;
        const changes = step.reports.length > 0;
        const next = flashToPrime(state, frame * periodMs);
        if (next === null) continue;
        expect([changes, next.imageId === step.imageId]).toEqual([false, false]);
        primed.add(next.imageId);
      }
      // With neither a blank nor a second frame there is no such moment.
      if (onFrames > 1 || offFrames > 1) for (let image = 0; image < count; image++) if (image === 0 || offFrames !== 1) expect(primed).toContain(image);
    }));
  });
});

describe("late frames", () => {
  it("are those after more than 1.2 refreshes, by the refreshes that were missed", () => {
    expect([1, 1.19, 1.21, 1.6, 2, 3.1].map((n) => countLateFrames(n * periodMs, periodMs))).toEqual([0, 0, 1, 1, 1, 2]);
  });
});

describe("the next refresh", () => {
  it("is the first one at or after now, never the frame that has been drawn", () => {
    expect(nextRefreshMs(100, 100, 10)).toBe(110);
    expect(nextRefreshMs(100, 103, 10)).toBe(110);
    expect(nextRefreshMs(100, 110, 10)).toBe(110);
    expect(nextRefreshMs(100, 127, 10)).toBe(130);
  });
});
