import { describe, expect, it } from "vitest";
import { createGazeTracker } from "../../../src/acquisition/eye/gaze.ts";
import type { RawGaze } from "../../../src/acquisition/eye/gaze.ts";
import { createVirtualClock } from "../../../src/loop/clock.ts";
import { fitEyeCalibration } from "../../../src/shared/eyeCalibration.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";
import type { EyeBatch, RawGazeBatch } from "../../../src/shared/values.ts";

/** A tracker of 500 samples/s on a virtual clock, whose samples the test makes. */
async function aTracker({ blinkPadMs = 0, calibrated = false, aligned = () => true }: { blinkPadMs?: number; calibrated?: boolean; aligned?: () => boolean } = {}) {
  const clock = createVirtualClock({ settle: async () => undefined });
  let give: (batch: RawGazeBatch) => void = () => undefined;
  let tell: (problem: string | null) => void = () => undefined;
  const raw: RawGaze = { name: "test eye", address: "here", isDegrees: false, start: async (l) => { give = l.samples; tell = l.problem; return { ok: true, value: undefined }; }, stop: async () => undefined };
  const points = [[0, 0], [-5, 5], [5, -5], [5, 5], [-5, -5]].map(([x = 0, y = 0]) => ({ targetXDeg: x, targetYDeg: y, rawX: 100 + 10 * x, rawY: 200 - 10 * y, rawSd: 0, samples: 50 }));
  const calibration = calibrated ? unwrap(fitEyeCalibration({ model: "affine", points, atUtc: "" })) : null;
  const eye = createGazeTracker({ clock, raw, blinkPadMs, calibration, map: () => (aligned() ? { toRig: (ns) => rigTimeNs(ns + 1e9), driftPpm: 0, uncertaintyMs: 0 } : null) });
  const batches: EyeBatch[] = [];
  const problems: (string | null)[] = [];
  eye.onProblem?.((p) => problems.push(p));
  unwrap(await eye.start((batch) => batches.push(batch)));
  const run = async (ms: number): Promise<void> => {
    const until = clock.now() + ms * nsPerMs;
    clock.setTimer(hostTimeNs(until), () => undefined);
    await clock.run(() => clock.now() >= until);
  };
  return {
    eye, batches, problems, tell: (p: string | null) => tell(p), run,
    async play(samples: readonly (readonly [number, number, number])[]) {
      for (const [x, y, valid] of samples) {
        give({ clock: "host", timesNs: Float64Array.of(clock.now()), x: Float64Array.of(x), y: Float64Array.of(y), valid: Uint8Array.of(valid) });
        await run(2);
      }
    },
    valid: () => batches.flatMap((b) => [...b.valid]),
    x: () => batches.flatMap((b) => [...b.xDeg]),
    y: () => batches.flatMap((b) => [...b.yDeg]),
  };
}

const steady = (count: number, x = 100, y = 200): readonly (readonly [number, number, number])[] => Array.from({ length: count }, () => [x, y, 1] as const);

describe("gaze on the rig's clock", () => {
  it("is in degrees by the calibration, and zero where the eye rests once the drift is corrected", async () => {
    const t = await aTracker({ calibrated: true });
    await t.play(steady(60, 110, 180));
    expect([t.x().at(-1), t.y().at(-1)]).toEqual([expect.closeTo(1, 5), expect.closeTo(2, 5)]);
    t.eye.recentre();
    await t.play(steady(5, 110, 180));
    expect([t.x().at(-1), t.y().at(-1)]).toEqual([expect.closeTo(0, 5), expect.closeTo(0, 5)]);
    t.eye.calibrate?.(null);
    await t.play(steady(1, 110, 180));
    expect([t.x().at(-1), t.y().at(-1)]).toEqual([110, 180]);
  });

  it("takes the samples beside a blink as part of it, before it as well as after", async () => {
    const t = await aTracker({ blinkPadMs: 10 });
    await t.play([...steady(50), ...Array.from({ length: 20 }, () => [0, 0, 0] as const), ...steady(50)]);
    const valid = t.valid();
    const first = valid.indexOf(0);
    const last = valid.lastIndexOf(0);
    // 20 samples of the blink, 5 before and 5 after.
    expect(first).toBe(45);
    expect(last - first + 1).toBe(30);
    expect(t.x().every(Number.isFinite)).toBe(true);
  });

  it("that stops coming is outside within a third of a second and a problem, and neither once it comes again", async () => {
    const t = await aTracker();
    await t.play(steady(20));
    await t.run(400);
    expect(t.valid().at(-1)).toBe(0);
    expect(t.problems.at(-1)).toMatch(/^No sample from test eye/);
    await t.play(steady(5));
    expect([t.valid().at(-1), t.problems.at(-1)]).toEqual([1, null]);
    expect(t.eye.status?.().connected).toBe(true);
  });

  it("is not made up while the rig's clock is unknown", async () => {
    let known = false;
    const t = await aTracker({ aligned: () => known });
    await t.play(steady(20));
    expect(t.batches).toEqual([]);
    expect(t.eye.status?.().detail).toContain("waiting for the rig's clock");
    known = true;
    await t.play(steady(20));
    expect(t.valid()).toHaveLength(20);
  });
});
