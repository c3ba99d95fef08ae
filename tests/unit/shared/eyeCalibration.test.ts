import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { calibrationTargets, fitEyeCalibration, fixatedPoint, gazeDeg } from "../../../src/shared/eyeCalibration.ts";
import type { EyeCalibrationPoint } from "../../../src/shared/contract/rig.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { unwrap } from "../../../src/shared/result.ts";

const atUtc = "2026-11-28T12:00:00.000Z";

/** A tracker whose units are a rotated, scaled and, with `bend`, curved picture of degrees. */
function seenBy({ gain = 40, angle = 0.2, bend = 0, noise = 0, seed = 1 }: { gain?: number; angle?: number; bend?: number; noise?: number; seed?: number } = {}) {
  const rng = createRng(seed);
  return (xDeg: number, yDeg: number): { rawX: number; rawY: number } => {
    const x = xDeg + bend * xDeg * xDeg + bend * xDeg * yDeg;
    const y = yDeg + bend * yDeg * yDeg;
    return { rawX: 512 + gain * (x * Math.cos(angle) - y * Math.sin(angle)) + noise * rng.gaussian(), rawY: 384 + gain * (x * Math.sin(angle) + y * Math.cos(angle)) + noise * rng.gaussian() };
  };
}

function pointsOf(count: 5 | 9, see: ReturnType<typeof seenBy>, reachDeg = 6): EyeCalibrationPoint[] {
  return calibrationTargets(count, reachDeg).map(({ xDeg, yDeg }) => ({ targetXDeg: xDeg, targetYDeg: yDeg, ...see(xDeg, yDeg), rawSd: 0, samples: 100 }));
}

describe("a calibration of gaze", () => {
  it("finds any affine tracker exactly, at every place", () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 500, noNaN: true }), fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: -8, max: 8, noNaN: true }), fc.double({ min: -8, max: 8, noNaN: true }), (gain, angle, xDeg, yDeg) => {
        const see = seenBy({ gain, angle });
        const fit = unwrap(fitEyeCalibration({ model: "affine", points: pointsOf(5, see), atUtc }));
        const { rawX, rawY } = see(xDeg, yDeg);
        const at = gazeDeg(fit, rawX, rawY);
        expect(Math.hypot(at.xDeg - xDeg, at.yDeg - yDeg)).toBeLessThan(1e-6);
      }),
      { numRuns: 50 },
    );
  });

  it("with a quadratic fit follows a curved tracker better than an affine one", () => {
    const see = seenBy({ bend: 0.02, noise: 1 });
    const points = pointsOf(9, see);
    const affine = unwrap(fitEyeCalibration({ model: "affine", points, atUtc }));
    const quadratic = unwrap(fitEyeCalibration({ model: "quadratic", points, atUtc }));
    expect(quadratic.rmsDeg).toBeLessThan(affine.rmsDeg / 2);
    expect(quadratic.rejected).toEqual([]);
    const clean = seenBy({ bend: 0.02 });
    const worst = Math.max(...calibrationTargets(9, 5).map(({ xDeg, yDeg }) => {
      const { rawX, rawY } = clean(xDeg, yDeg);
      const at = gazeDeg(quadratic, rawX, rawY);
      return Math.hypot(at.xDeg - xDeg, at.yDeg - yDeg);
    }));
    expect(worst).toBeLessThan(0.3);
  });

  it("is not spoilt by a point at which the subject looked elsewhere, and says which", () => {
    for (const [count, model] of [[5, "affine"], [9, "affine"], [9, "quadratic"]] as const) {
      for (let bad = 0; bad < count; bad++) {
        const see = seenBy({ noise: 0.5, seed: bad + 1 });
        const points = pointsOf(count, see).map((p, i) => (i === bad ? { ...p, ...see(p.targetXDeg + 4, p.targetYDeg - 3) } : p));
        const fit = unwrap(fitEyeCalibration({ model, points, atUtc }));
        expect(fit.rejected).toEqual([bad]);
        expect(fit.residualsDeg[bad]).toBeGreaterThan(3);
        expect(fit.rmsDeg).toBeLessThan(0.2);
      }
    }
  });

  it("of too few points, or of an eye that did not move, is refused with the reason", () => {
    const points = pointsOf(5, seenBy());
    expect(fitEyeCalibration({ model: "quadratic", points, atUtc })).toMatchObject({ ok: false, error: { code: "tooFewPoints" } });
    expect(fitEyeCalibration({ model: "affine", points: points.map((p) => ({ ...p, rawX: 5, rawY: 5 })), atUtc })).toMatchObject({ ok: false, error: { code: "pointsOnLine" } });
    expect(fitEyeCalibration({ model: "affine", points: points.map((p) => ({ ...p, rawY: 5 })), atUtc })).toMatchObject({ ok: false, error: { code: "pointsOnLine" } });
  });
});

describe("a fixated point", () => {
  it("is where the eye rested longest, without the saccade before and the blink within", () => {
    const rng = createRng(3);
    const x = Float64Array.from({ length: 300 }, (_, i) => (i < 90 ? 100 + i : 500 + rng.gaussian()));
    const y = Float64Array.from({ length: 300 }, (_, i) => (i < 90 ? 300 - i : 200 + rng.gaussian()));
    const valid = Uint8Array.from({ length: 300 }, (_, i) => (i > 150 && i < 190 ? 0 : 1));
    for (let i = 151; i < 190; i++) x[i] = 0;
    const at = fixatedPoint({ x, y, valid }, 50);
    expect(Math.hypot((at?.rawX ?? 0) - 500, (at?.rawY ?? 0) - 200)).toBeLessThan(0.5);
    expect(fixatedPoint({ x, y, valid: new Uint8Array(300) }, 50)).toBeNull();
  });
});
