import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countLateFrames, createProgram, firstImageMs, nextRefreshMs, type FlashProgram, type FrameReport, type ProgramFlash } from "../../../src/renderer/stimulus/flashProgram.ts";

const periodMs = 1000 / 120;

function someFlashes(count: number, onFrames = 12, offFrames = 18): ProgramFlash[] {
  return Array.from({ length: count }, (_, i) => ({ presentationId: 100 + i, imageId: i, onFrames, offFrames }));
}

interface Played {
  readonly reports: readonly FrameReport[];
  /** Image of each refresh from the first planned onset on, as a compositor shows it that was told the times; null = blank. */
  readonly shown: readonly (number | null)[];
  /** Refreshes whose frame the page asked for. */
  readonly worked: readonly number[];
  /** Those from one that it had asked for to the one that it got. */
  readonly missed: readonly number[];
  /** Those in which it handed an image on. */
  readonly primed: ReadonlyMap<number, number>;
}

/**
 * A page and a compositor: refreshes come regularly; of those that the page asks for it gets each `late[i]` refreshes late. What it hands on
 * in one refresh the compositor shows from the next on. `leave`: the page asks for no frame where the program lets it rest, and only looks at the change.
 */
function play(flashes: readonly ProgramFlash[], late: readonly number[] = [], { leave = true, noise = () => 0, refreshes = 900 }: { readonly leave?: boolean; readonly noise?: (frame: number) => number; readonly refreshes?: number } = {}): Played {
  const lead = 2;
  const program = createProgram({ trialId: 1, flashes, periodMs, startMs: lead * periodMs });
  const reports: FrameReport[] = [];
  const shown: (number | null)[] = Array.from({ length: refreshes }, () => null);
  const primed = new Map<number, number>();
  const worked: number[] = [];
  const missed: number[] = [];
  let due = 0;
  let onlyLooks = false;
  for (let turn = 0; !program.isOver; turn++) {
    const frame = due + (late[turn] ?? 0);
    for (let r = due; r < frame; r++) missed.push(r - lead);
    if (frame > refreshes) throw new Error("expected the program to end");
    const atMs = (frame + noise(turn)) * periodMs;
    reports.push(...program.advance(atMs, due * periodMs));
    const next = onlyLooks ? null : program.prime(atMs, atMs);
    if (next !== null) {
      const onset = Math.round(next.onsetMs / periodMs);
      primed.set(next.flash.imageId, frame);
      for (let k = 0; k < Math.max(1, next.flash.onFrames); k++) {
        // Handed on too late is not shown; two at once cannot be.
        if (onset + k > frame) shown[onset + k] = shown[onset + k] === null ? next.flash.imageId : -1;
      }
    }
    if (!onlyLooks) worked.push(frame);
    const restsUntilMs = leave ? program.restsUntilMs() : null;
    onlyLooks = restsUntilMs !== null;
    due = restsUntilMs === null ? frame + 1 : Math.round(restsUntilMs / periodMs);
  }
  return { reports, shown: shown.slice(lead), worked: worked.map((frame) => frame - lead), missed, primed: new Map([...primed].map(([image, frame]) => [image, frame - lead])) };
}

const offsets = (reports: readonly FrameReport[]) => reports.filter((r) => r.kind === "offset");
const onsets = (reports: readonly FrameReport[]) => reports.filter((r) => r.kind === "onset");
const refreshOf = (ms: number): number => Math.round(ms / periodMs) - 2;

/** Refreshes that each image was on for, in order, with the first of them. */
function runsOf(shown: readonly (number | null)[]): { readonly image: number; readonly from: number; readonly frames: number }[] {
  const runs: { image: number; from: number; frames: number }[] = [];
  shown.forEach((image, refresh) => {
    if (image === null) return;
    const last = runs.at(-1);
    if (last !== undefined && last.image === image && last.from + last.frames === refresh) last.frames += 1;
    else runs.push({ image, from: refresh, frames: 1 });
  });
  return runs;
}

describe("flash program", () => {
  it("has five images of 12 refreshes shown with 18 blank ones between, and leaves the page out of every change", () => {
    const { reports, shown, worked } = play(someFlashes(5));
    expect(runsOf(shown)).toEqual([0, 1, 2, 3, 4].map((image) => ({ image, from: 30 * image, frames: 12 })));
    expect(onsets(reports).map((r) => [refreshOf(r.flipMs), refreshOf(r.plannedMs)])).toEqual([0, 30, 60, 90, 120].map((frame) => [frame, frame]));
    expect(offsets(reports).map((r) => [refreshOf(r.flipMs), r.framesShown, r.lateFrames])).toEqual([0, 30, 60, 90, 120].map((frame) => [frame + 12, 12, 0]));
    expect(reports.at(-1)).toMatchObject({ kind: "end", trialId: 1, aborted: false, endMs: expect.closeTo(152 * periodMs) as number });
    // The first to draw the first image, and one in each blank to draw the next.
    expect(worked).toEqual([-2, 13, 43, 73, 103]);
  });

  it("does not change what is on the screen when the page is held up, and counts the refreshes that it missed against the image that was on", () => {
    for (const [late, leave] of [[[0, 3], true], [[0, 0, 0, 0, 3], false]] as const) {
      const { reports, shown } = play(someFlashes(2), late, { leave });
      expect(runsOf(shown)).toEqual([{ image: 0, from: 0, frames: 12 }, { image: 1, from: 30, frames: 12 }]);
      expect(offsets(reports).map((r) => [r.framesShown, r.lateFrames])).toEqual([[12, 3], [12, 0]]);
    }
  });

  it("counts none of them against an image that was not on", () => {
    const inBlank = play(someFlashes(2), [...Array.from({ length: 16 }, () => 0), 2], { leave: false });
    expect(offsets(inBlank.reports).map((r) => r.lateFrames)).toEqual([0, 0]);
    // Missed: the image's last three refreshes and the first three of its blank.
    const acrossEnd = play(someFlashes(2), [...Array.from({ length: 11 }, () => 0), 6], { leave: false });
    expect(offsets(acrossEnd.reports).map((r) => [r.framesShown, r.lateFrames])).toEqual([[12, 3], [12, 0]]);
    expect(runsOf(acrossEnd.shown).map((r) => r.frames)).toEqual([12, 12]);
  });

  it("gives an image that could not be handed on in time its whole time, and moves what follows", () => {
    const { reports, shown } = play(someFlashes(3), [0, 0, 40]);
    const runs = runsOf(shown);
    expect(runs.map((r) => r.frames)).toEqual([12, 12, 12]);
    const moved = (runs[1]?.from ?? 0) - 30;
    expect(moved).toBeGreaterThan(20);
    expect(runs[2]?.from).toBe(60 + moved);
    expect(onsets(reports).map((r) => refreshOf(r.flipMs) - refreshOf(r.plannedMs))).toEqual([0, moved, moved]);
  });

  it("goes from image to image without a blank where no frames are off", () => {
    for (const onFrames of [1, 2, 3, 4, 12]) {
      const { reports, shown } = play(someFlashes(3, onFrames, 0));
      expect(runsOf(shown)).toEqual([0, 1, 2].map((image) => ({ image, from: image * onFrames, frames: onFrames })));
      expect(reports.map((r) => r.kind)).toEqual(["onset", "offset", "onset", "offset", "onset", "offset", "end"]);
    }
  });

  it("ends when aborted and tells what was shown until then", () => {
    const program = createProgram({ trialId: 9, flashes: someFlashes(2), periodMs, startMs: 2 * periodMs });
    for (let f = 0; f < 5; f++) {
      program.advance(f * periodMs, f * periodMs);
      program.prime(f * periodMs, f * periodMs);
    }
    const reports = program.abort(7 * periodMs);
    expect(reports).toEqual([
      { kind: "offset", presentationId: 100, flipMs: 7 * periodMs, framesShown: 5, lateFrames: 0 },
      { kind: "end", trialId: 9, aborted: true, endMs: 7 * periodMs },
    ]);
    expect([program.isOver, program.advance(8 * periodMs, 8 * periodMs), program.prime(8 * periodMs, 8 * periodMs), program.abort(8 * periodMs)]).toEqual([true, [], null, []]);
  });

  it("tells of an image that came on and off unseen by the page before it was aborted", () => {
    const program = createProgram({ trialId: 9, flashes: someFlashes(1), periodMs, startMs: 2 * periodMs });
    program.advance(0, 0);
    program.prime(0, 0);
    expect(program.abort(20 * periodMs).map((r) => (r.kind === "end" ? [r.kind, r.aborted] : [r.kind, refreshOf(r.flipMs)]))).toEqual([["onset", 0], ["offset", 12], ["end", true]]);
  });

  it("ends an empty program at its first frame", () => {
    const program = createProgram({ trialId: 1, flashes: [], periodMs, startMs: 0 });
    expect([program.advance(0, 0), program.isOver]).toEqual([[{ kind: "end", trialId: 1, aborted: false, endMs: 0 }], true]);
  });

  it("has every image shown for exactly its time and reports just that, whatever frames the page gets late", () => {
    const delays = fc.array(fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 }) }), { minLength: 0, maxLength: 200 });
    const jitter = fc.array(fc.double({ min: -0.08, max: 0.08, noNaN: true }), { minLength: 900, maxLength: 900 });
    fc.assert(fc.property(delays, jitter, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 20 }), fc.boolean(), (late, noise, count, onFrames, offFrames, leave) => {
      const { reports, shown, missed } = play(someFlashes(count, onFrames, offFrames), late, { leave, noise: (turn) => noise[turn] ?? 0, refreshes: 9000 });
      const runs = runsOf(shown);
      expect(runs.map((r) => [r.image, r.frames])).toEqual(Array.from({ length: count }, (_, image) => [image, onFrames]));
      expect(onsets(reports).map((r) => [r.presentationId - 100, refreshOf(r.flipMs)])).toEqual(runs.map((r) => [r.image, r.from]));
      expect(offsets(reports).map((r) => [refreshOf(r.flipMs), r.framesShown])).toEqual(runs.map((r) => [r.from + onFrames, onFrames]));
      expect(offsets(reports).map((r) => r.lateFrames)).toEqual(runs.map((r) => missed.filter((refresh) => shown[refresh] === r.image).length));
      runs.forEach((r, i) => i === 0 || expect(r.from - (runs[i - 1]?.from ?? 0)).toBeGreaterThanOrEqual(onFrames + offFrames));
      expect(reports.filter((r) => r.kind === "end")).toHaveLength(1);
      if (late.every((n) => n === 0)) expect(runs.map((r) => r.from)).toEqual(Array.from({ length: count }, (_, image) => image * (onFrames + offFrames)));
    }), { numRuns: 300 });
  });

  it("follows the display where its refreshes are not quite as long as was measured", () => {
    // 0.1 % over a minute is seven refreshes.
    const flashes = someFlashes(240);
    const program = createProgram({ trialId: 1, flashes, periodMs, startMs: 2 * periodMs });
    const trueMs = 1.001 * periodMs;
    const flips: number[] = [];
    for (let frame = 0; !program.isOver; frame++) {
      for (const report of program.advance(frame * trueMs, frame * trueMs)) if (report.kind !== "end") flips.push(report.flipMs / trueMs);
      program.prime(frame * trueMs, frame * trueMs);
    }
    expect(flips).toHaveLength(480);
    for (const flip of flips) expect(Math.abs(flip - Math.round(flip))).toBeLessThan(0.1);
  });
});

describe("the first image", () => {
  it("waits for its time, two whole refreshes after the one in which the command is read", () => {
    expect(firstImageMs(100, 103, 10)).toBe(130);
    const program: FlashProgram = createProgram({ trialId: 1, flashes: someFlashes(1), periodMs: 10, startMs: 130 });
    expect(program.advance(110, 110)).toEqual([]);
    expect(program.prime(110, 111)).toMatchObject({ flash: { imageId: 0 }, onsetMs: 130 });
    expect([program.prime(110, 111), program.restsUntilMs(), program.advance(120, 120)]).toEqual([null, 130, []]);
    expect(program.advance(130, 130)).toEqual([{ kind: "onset", presentationId: 100, flipMs: 130, plannedMs: 130 }]);
  });

  it("comes a refresh later where the frame that hands it on was itself too late", () => {
    const program = createProgram({ trialId: 1, flashes: someFlashes(1), periodMs: 10, startMs: 20 });
    program.advance(0, 0);
    expect(program.prime(0, 17)).toMatchObject({ onsetMs: 30 });
  });
});

describe("handing on the next image", () => {
  it("is done in a refresh in which nothing changes, and in the blank where there is one", () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 1, max: 15 }), fc.integer({ min: 0, max: 20 }), fc.boolean(), (count, onFrames, offFrames, leave) => {
      const { primed } = play(someFlashes(count, onFrames, offFrames), [], { leave });
      expect(primed.size).toBe(count);
      if (onFrames + offFrames < 4) return;
      for (const [image, refresh] of primed) {
        if (image === 0) continue;
        const since = refresh - (image - 1) * (onFrames + offFrames);
        expect([0, onFrames, onFrames + offFrames]).not.toContain(since);
        if (offFrames >= 3) expect(since).toBeGreaterThan(onFrames);
      }
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
