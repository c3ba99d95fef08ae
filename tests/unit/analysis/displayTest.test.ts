// What is said of a display: what is wrong, and only that.
import { describe, expect, it } from "vitest";
import { judgeDisplay } from "../../../src/analysis/displayTest.ts";
import type { DisplayMeasurement } from "../../../src/analysis/displayTest.ts";
import { displayTimesOf } from "../../../src/renderer/stimulus/displayTimes.ts";
import { createProgram } from "../../../src/renderer/stimulus/flashProgram.ts";
import type { FrameReport } from "../../../src/renderer/stimulus/flashProgram.ts";
import { displayTestArgs } from "../../../src/shared/contract/index.ts";

/** A test at `refreshHz` whose frame `late[i][0]` comes `late[i][1]` refreshes late. */
function aMeasurement({ refreshHz = 120, late = [], task = {}, window = {}, seconds = 10 }: { refreshHz?: number; late?: readonly (readonly [number, number])[]; task?: Partial<DisplayMeasurement["task"]>; window?: Partial<NonNullable<DisplayMeasurement["window"]>>; seconds?: number } = {}): DisplayMeasurement {
  const periodMs = 1000 / refreshHz;
  const asked = displayTestArgs.parse({ seconds, ...task });
  const [onFrames, offFrames] = [Math.round((asked.onMs * refreshHz) / 1000), Math.round((asked.offMs * refreshHz) / 1000)];
  const flashes = Array.from({ length: Math.floor((seconds * refreshHz) / (onFrames + offFrames)) }, (_, i) => ({ presentationId: -(i + 1), imageId: -1, onFrames, offFrames }));
  const extra = new Map(late);
  const program = createProgram({ trialId: 0, flashes, periodMs, startMs: 2 * periodMs });
  const frameTimesMs: number[] = [];
  const reports: FrameReport[] = [];
  for (let frame = -2, at = 0; !program.isOver; frame++) {
    reports.push(...program.advance(at, at));
    program.prime(at, at);
    frameTimesMs.push(at);
    at += periodMs * (1 + (extra.get(frame) ?? 0));
  }
  return {
    task: asked, widthPx: 1920, heightPx: 1080, window: { pixelRatio: 1, fullScreen: true, screenWidthPx: 1920, screenHeightPx: 1080, ...window },
    times: displayTimesOf({ frameTimesMs, reports, onFrames, periodMs, wasHidden: false }),
  };
}

const notOk = (m: DisplayMeasurement) => judgeDisplay(m).findings.flatMap((f) => (f.level === "ok" ? [] : [`${f.code} ${f.level}`]));

describe("the display test", () => {
  it("finds nothing wrong with a display that kept every frame", () => {
    const m = aMeasurement({ task: { refreshHz: 120 } });
    expect(m.times).toMatchObject({ framesDropped: 0, wrongDurations: 0, flashes: 40 });
    expect(m.times.intervalMs.mean).toBeCloseTo(1000 / 120, 6);
    expect(m.times.histogram[10]).toBe(1);
    expect(judgeDisplay(m)).toMatchObject({ good: true, onFrames: 12, offFrames: 18 });
    expect(notOk(m)).toEqual([]);
  });

  it("counts every refresh without a frame, and whether a flash stood longer for it", () => {
    const inBlank = aMeasurement({ late: [[20, 1]], seconds: 60 });
    expect(inBlank.times).toMatchObject({ framesDropped: 1, wrongDurations: 0 });
    expect(notOk(inBlank)).toEqual(["dropped warn"]);
    // The 39th frame is that of refresh 41 then.
    const atOffset = aMeasurement({ late: [[11, 2], [39, 1]] });
    expect(atOffset.times).toMatchObject({ framesDropped: 3, wrongDurations: 2 });
    expect(atOffset.times.onsetErrorMs.max).toBeCloseTo(0, 6);
    expect(notOk(atOffset)).toEqual(["dropped fault", "durations fault"]);
    const atOnset = aMeasurement({ late: [[29, 2], [57, 1]] });
    expect(atOnset.times).toMatchObject({ framesDropped: 3, wrongDurations: 2 });
    expect(atOnset.times.onsetErrorMs.max).toBeCloseTo(2000 / 120, 6);
    expect(notOk(atOnset)).toEqual(["dropped fault", "onset warn", "durations fault"]);
    expect(judgeDisplay(atOffset).verdict).toMatch(/^Not good enough for images of 100 ms every 250 ms: 3 of/);
  });

  it("says what of the window and the mode is wrong, with what to do", () => {
    expect(notOk(aMeasurement({ window: { pixelRatio: 1.25 } }))).toEqual(["scaling fault"]);
    expect(notOk(aMeasurement({ window: { fullScreen: false } }))).toEqual(["fullScreen fault"]);
    expect(notOk(aMeasurement({ refreshHz: 60, task: { refreshHz: 120 } }))).toEqual(["refresh fault"]);
    const odd = judgeDisplay(aMeasurement({ refreshHz: 75 }));
    expect(odd.findings.find((f) => f.code === "onFrames")).toMatchObject({ level: "warn", message: expect.stringContaining("106.7 ms") as string });
    expect(odd.good).toBe(true);
  });
});
