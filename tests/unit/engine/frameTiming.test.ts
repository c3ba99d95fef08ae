// What the console is told of the display's timekeeping, from records of flips.
import { describe, expect, it } from "vitest";
import { createFrameTimings } from "../../../src/engine/frameTiming.ts";
import type { SessionRecordBody } from "../../../src/shared/records.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";

const flip = (over: Partial<Extract<SessionRecordBody, { kind: "flip" }>> & { readonly offMs?: number } = {}): SessionRecordBody => {
  const { offMs = 0, ...rest } = over;
  return { kind: "flip", presentationId: 1, plannedHostNs: hostTimeNs(0), onsetHostNs: hostTimeNs(offMs * nsPerMs), offsetHostNs: hostTimeNs(100 * nsPerMs), framesPlanned: 12, framesShown: 12, lateFrames: 0, framesSeen: null, framesRepeated: null, framesDropped: null, onsetErrorMs: null, ...rest };
};
const calibration: SessionRecordBody = { kind: "displayCalibration", refreshHz: 120, photodiodeCode: "onset", flashes: 20, marks: 20, durationsSeen: 20, lagMsMedian: 6, lagMsMean: 6, lagMsSd: 0.2, lagMsMin: 5.6, lagMsMax: 6.4, skipped: "" };

describe("frame timing", () => {
  it("counts missed frames by the window and by the photodiode, and no image that was cut short on purpose", () => {
    const timings = createFrameTimings();
    expect(timings.view()).toBeNull();
    for (const body of [calibration, flip(), flip({ lateFrames: 2, framesShown: 14 }), flip({ framesSeen: 13 }), flip({ framesSeen: 12 }), flip({ framesShown: 4 })]) timings.add(body);
    expect(timings.view()).toMatchObject({ images: 4, missed: 2, refreshHz: 120, wasMissed: [false, true, true, false] });
  });

  it("has the lag as the rig saw it, calibrated part included, and the furthest deviation with its sign", () => {
    const timings = createFrameTimings();
    for (const body of [calibration, flip({ offMs: 1, onsetErrorMs: -0.4 }), flip({ offMs: -3.25, onsetErrorMs: 0.4 }), flip({ onsetErrorMs: 500 })]) timings.add(body);
    const view = timings.view();
    expect(view).toMatchObject({ deviationMs: [1, -3.25, 0], deviationMsMax: -3.25, lag: { n: 3 } });
    expect(view?.lag.counts.flatMap((n, i) => (n > 0 ? [[(view.lag.fromMs ?? 0) + i * (view.lag.binMs ?? 0), n]] : []))).toEqual([[5.5, 1], [6, 1], [49.5, 1]]);
  });

  it("keeps the last images only", () => {
    const timings = createFrameTimings();
    for (let i = 0; i < 400; i++) timings.add(flip({ offMs: i / 100 }));
    expect(timings.view()?.deviationMs).toHaveLength(150);
    expect(timings.view()?.deviationMs.at(-1)).toBe(3.99);
    expect(timings.view()?.images).toBe(400);
  });
});
