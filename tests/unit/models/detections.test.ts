import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { measureOverlap, suppressOverlaps } from "../../../src/models/detections.ts";
import { measureDrift } from "../../../src/models/providers.ts";

const options = { scoreMin: 0.25, overlapMax: 0.45, boxesMax: 100 };
const unit = { x: 1, y: 1 };
const aBox = (xPx: number, yPx: number, widthPx: number, heightPx: number) => ({ xPx, yPx, widthPx, heightPx, score: 1, classIndex: -1 });

describe("suppression of overlapping boxes", () => {
  it("keeps the best of two boxes on one object and both of two objects", () => {
    const rows = Float32Array.of(50, 50, 20, 20, 0.6, 51, 50, 20, 20, 0.9, 90, 50, 20, 20, 0.3, 10, 10, 5, 5, 0.1);
    const found = suppressOverlaps(rows, 5, unit, options);
    expect(found.boxes.map((box) => box.xPx)).toEqual([51, 90]);
    expect(found.objectness).toBeCloseTo(0.9);
  });
  it("keeps overlapping boxes of different classes, scored by object times class", () => {
    const rows = Float32Array.of(50, 50, 20, 20, 0.8, 0.5, 0.1, 50, 50, 20, 20, 0.8, 0.2, 0.9);
    const found = suppressOverlaps(rows, 7, unit, options);
    expect(found.boxes.map((box) => box.classIndex)).toEqual([1, 0]);
    expect(found.boxes.map((box) => box.score)).toEqual([expect.closeTo(0.72), expect.closeTo(0.4)]);
  });
  it("gives coordinates in pixels of the image that was given", () => {
    const [box] = suppressOverlaps(Float32Array.of(48, 24, 10, 20, 0.9), 5, { x: 2, y: 0.5 }, options).boxes;
    expect(box).toMatchObject({ xPx: 96, yPx: 12, widthPx: 20, heightPx: 10 });
  });
  it("never keeps two boxes of one class that overlap by more than the limit", () => {
    const side = fc.double({ min: 1, max: 60, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(side, side, side, side, fc.double({ min: 0, max: 1, noNaN: true })), { maxLength: 30 }), (boxes) => {
        const kept = suppressOverlaps(Float32Array.from(boxes.flat()), 5, unit, options).boxes;
        for (const [i, a] of kept.entries()) for (const b of kept.slice(i + 1)) expect(measureOverlap(a, b)).toBeLessThanOrEqual(options.overlapMax);
      }),
      { numRuns: 100 },
    );
  });
  it("has nothing to say of no boxes", () => {
    expect(suppressOverlaps(new Float32Array(), 5, unit, options)).toEqual({ objectness: 0, boxes: [] });
  });
});

describe("intersection over union", () => {
  it("is 1 for equal boxes, 0 for distant ones, a third for a shift by half", () => {
    expect(measureOverlap(aBox(5, 5, 4, 4), aBox(5, 5, 4, 4))).toBe(1);
    expect(measureOverlap(aBox(5, 5, 4, 4), aBox(50, 5, 4, 4))).toBe(0);
    expect(measureOverlap(aBox(5, 5, 4, 4), aBox(7, 5, 4, 4))).toBeCloseTo(1 / 3);
  });
});

describe("a provider held against the CPU", () => {
  it("fits within two thousandths of the output's largest value, and not beyond", () => {
    const cpu = [Float32Array.of(0, -100, 50)];
    expect(measureDrift(cpu, [Float32Array.of(0.19, -100, 50)])).toMatchObject({ fits: true });
    expect(measureDrift(cpu, [Float32Array.of(0.21, -100, 50)])).toMatchObject({ fits: false });
  });
  it("does not fit with NaN, with another length, or with bytes off by three levels", () => {
    expect(measureDrift([Float32Array.of(1)], [Float32Array.of(Number.NaN)])).toEqual({ drift: Infinity, fits: false });
    expect(measureDrift([Float32Array.of(1)], [Float32Array.of(1, 1)]).fits).toBe(false);
    expect(measureDrift([Uint8Array.of(9, 9)], [Uint8Array.of(9, 11)]).fits).toBe(true);
    expect(measureDrift([Uint8Array.of(9, 9)], [Uint8Array.of(9, 12)]).fits).toBe(false);
  });
});
