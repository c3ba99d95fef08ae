import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { centroidField, fitGaussianField } from "../../../src/analysis/receptiveField.ts";
import { createRng } from "../../../src/shared/rng.ts";

/** Rates on a 7 x 7 grid, a degree apart. */
function aMap({ x, y, diameter, floor = 10, height = 40, noise = 0, seed = 1 }: { readonly x: number; readonly y: number; readonly diameter: number; readonly floor?: number; readonly height?: number; readonly noise?: number; readonly seed?: number }) {
  const rng = createRng(seed);
  const sd = diameter / (2 * Math.sqrt(2 * Math.LN2));
  const xDeg = Array.from({ length: 49 }, (_, i) => (i % 7) - 3);
  const yDeg = Array.from({ length: 49 }, (_, i) => 3 - Math.floor(i / 7));
  return { xDeg, yDeg, rateHz: xDeg.map((px, i) => floor + height * Math.exp(-((px - x) ** 2 + ((yDeg[i] ?? 0) - y) ** 2) / (2 * sd * sd)) + noise * rng.gaussian()) };
}

describe("a receptive field", () => {
  it("is found again from noiseless rates, wherever it is on the grid", () => {
    fc.assert(
      fc.property(fc.double({ min: -2, max: 2, noNaN: true }), fc.double({ min: -2, max: 2, noNaN: true }), fc.double({ min: 1.2, max: 4, noNaN: true }), (x, y, diameter) => {
        const field = fitGaussianField(aMap({ x, y, diameter }));
        expect(field?.centreXDeg).toBeCloseTo(x, 1);
        expect(field?.centreYDeg).toBeCloseTo(y, 1);
        expect(Math.abs((field?.diameterDeg ?? 0) - diameter)).toBeLessThan(0.15);
        expect(field?.r2 ?? 0).toBeGreaterThan(0.99);
      }),
      { numRuns: 40 },
    );
  });

  it("is found near its place in noise, with the share of the variance that it explains", () => {
    const field = fitGaussianField(aMap({ x: 1.2, y: -0.7, diameter: 2, noise: 4, seed: 3 }));
    expect(Math.hypot((field?.centreXDeg ?? 0) - 1.2, (field?.centreYDeg ?? 0) + 0.7)).toBeLessThan(0.3);
    expect(field?.r2 ?? 0).toBeGreaterThan(0.6);
    expect(fitGaussianField(aMap({ x: 0, y: 0, diameter: 2, height: 0, noise: 4 }))?.r2 ?? 0).toBeLessThan(0.45);
  });

  it("by its centroid is that of the places above half, and its diameter that of a disc of their area", () => {
    const field = centroidField(aMap({ x: 1, y: 1, diameter: 2.4 }), { from: 0.5, cellAreaDeg2: 1 });
    expect(field?.centreXDeg).toBeCloseTo(1, 6);
    expect(field?.centreYDeg).toBeCloseTo(1, 6);
    // The centre and its four neighbours.
    expect(field?.diameterDeg).toBeCloseTo(2 * Math.sqrt(5 / Math.PI), 6);
  });

  it("is null where there is nothing to describe, and places without a rate are left out", () => {
    expect(fitGaussianField({ xDeg: [0, 1], yDeg: [0, 1], rateHz: [1, 2] })).toBeNull();
    expect(fitGaussianField(aMap({ x: 0, y: 0, diameter: 2, height: 0 }))).toBeNull();
    expect(() => fitGaussianField({ xDeg: [0], yDeg: [0], rateHz: [] })).toThrow(/one rate for every place/);
    const map = aMap({ x: -1, y: 0.5, diameter: 2 });
    map.rateHz[5] = Number.NaN;
    expect(fitGaussianField(map)?.centreXDeg).toBeCloseTo(-1, 1);
  });
});
