// The photodiode's decoder over simulated light: noise, refreshes shown twice, refreshes never shown, a slow photodiode.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findLevels, readImages } from "../../../src/analysis/photodiode.ts";
import { patchLevelOf } from "../../../src/shared/patchCode.ts";
import { createRng } from "../../../src/shared/rng.ts";

const periodMs = 1000 / 120;

/** What the screen shows: refreshes one after the other, each with its patch level. `dropped`: refreshes that the one before stands for. */
interface Shown {
  readonly levels: readonly number[];
}

interface Plan {
  readonly onFrames: number;
  readonly offFrames: number;
  readonly images: number;
  /** Refresh (0-based, within its image) that is never shown: the one before stays. */
  readonly dropped?: ReadonlyMap<number, number>;
  /** Refresh of an image that is shown twice: all later ones come one later. */
  readonly repeated?: ReadonlyMap<number, number>;
}

function show({ onFrames, offFrames, images, dropped = new Map(), repeated = new Map() }: Plan, code: "onset" | "frames"): Shown {
  const levels: number[] = Array.from({ length: offFrames }, () => 0);
  for (let image = 0; image < images; image++) {
    let last = 0;
    for (let frame = 0; frame < onFrames; frame++) {
      if (dropped.get(image) !== frame) last = code === "onset" ? 3 : patchLevelOf(image, frame, onFrames);
      levels.push(last);
      if (repeated.get(image) === frame) levels.push(last);
    }
    for (let frame = 0; frame < offFrames; frame++) levels.push(0);
  }
  return { levels };
}

/** Light sampled at `sampleRateHz`; the photodiode rises and falls with `tauMs`. */
function sample({ levels }: Shown, { sampleRateHz = 2000, noise = 0, tauMs = 0, seed = 1 }: { sampleRateHz?: number; noise?: number; tauMs?: number; seed?: number } = {}): Float64Array {
  const rng = createRng(seed);
  const samples = new Float64Array(Math.floor((levels.length * periodMs * sampleRateHz) / 1000));
  let light = 0;
  for (let i = 0; i < samples.length; i++) {
    const wanted = (levels[Math.floor((i * 1000) / sampleRateHz / periodMs)] ?? 0) / 3;
    light = tauMs === 0 ? wanted : light + (wanted - light) * (1 - Math.exp(-1000 / sampleRateHz / tauMs));
    samples[i] = 0.4 + 2.1 * (light + noise * rng.gaussian());
  }
  return samples;
}

function see(shown: Shown, code: "onset" | "frames", options: Parameters<typeof sample>[1] = {}) {
  const rate = options.sampleRateHz ?? 2000;
  return readImages(findLevels(sample(shown, options), rate, { levels: code === "onset" ? 2 : 4, stableMs: options.noise === undefined ? 0 : 1.5 }), periodMs);
}

describe("a photodiode trace", () => {
  it("gives every image's onset and duration, with either code", () => {
    for (const code of ["onset", "frames"] as const) {
      const images = see(show({ onFrames: 12, offFrames: 18, images: 20 }, code), code);
      expect(images).toHaveLength(20);
      for (const [i, image] of images.entries()) {
        expect(image.onsetMs).toBeCloseTo((18 + i * 30) * periodMs, -0.5);
        expect([image.frames, image.repeated, image.dropped]).toEqual([12, 0, 0]);
      }
    }
  });

  it("shows a refresh that was never shown in the middle of an image, which the plain patch cannot", () => {
    const plan: Plan = { onFrames: 12, offFrames: 18, images: 6, dropped: new Map([[2, 5], [4, 1]]) };
    expect(see(show(plan, "frames"), "frames").map((i) => [i.frames, i.dropped, i.repeated])).toEqual([[12, 0, 0], [12, 0, 0], [12, 1, 0], [12, 0, 0], [12, 1, 0], [12, 0, 0]]);
    expect(see(show(plan, "onset"), "onset").every((i) => i.dropped === 0)).toBe(true);
  });

  it("tells a repeated refresh, which makes the image longer, from a dropped one, which does not", () => {
    const images = see(show({ onFrames: 12, offFrames: 18, images: 4, repeated: new Map([[1, 3]]), dropped: new Map([[3, 7]]) }, "frames"), "frames");
    expect(images.map((i) => [i.frames, i.repeated, i.dropped])).toEqual([[12, 0, 0], [13, 1, 0], [12, 0, 0], [12, 0, 1]]);
  });

  it("names the presentation mod 3, so that an image which never reached the screen is missed by its number", () => {
    const whole = show({ onFrames: 6, offFrames: 6, images: 7 }, "frames");
    const without: Shown = { levels: whole.levels.map((level, i) => (i >= 6 + 3 * 12 && i < 6 + 4 * 12 ? 0 : level)) };
    const numbers = see(without, "frames").map((image) => image.firstLevel - 1);
    expect(numbers).toEqual([0, 1, 2, 1, 2, 0]);
  });

  it("is read the same under noise (2 % of the range coded, 6 % plain), by a slow photodiode, at 2 or 10 kHz", () => {
    const shown = show({ onFrames: 12, offFrames: 18, images: 30, dropped: new Map([[7, 4]]), repeated: new Map([[20, 9]]) }, "frames");
    for (const sampleRateHz of [2000, 10_000]) {
      const images = see(shown, "frames", { sampleRateHz, noise: 0.02, tauMs: 0.4 });
      expect(images.map((i) => [i.frames, i.dropped, i.repeated])).toEqual(Array.from({ length: 30 }, (_, i) => [i === 20 ? 13 : 12, i === 7 ? 1 : 0, i === 20 ? 1 : 0]));
    }
    const plain = see(show({ onFrames: 12, offFrames: 18, images: 30 }, "onset"), "onset", { noise: 0.06, tauMs: 1 });
    expect(plain.map((i) => i.frames)).toEqual(Array.from({ length: 30 }, () => 12));
  });

  it("gives back whatever was dropped and repeated, in any image of any length", () => {
    const places = fc.uniqueArray(fc.record({ image: fc.nat(9), at: fc.double({ min: 0, max: 0.999, noNaN: true }), isDrop: fc.boolean() }), { selector: (x) => x.image, maxLength: 6 });
    fc.assert(fc.property(places, fc.integer({ min: 6, max: 40 }), fc.integer({ min: 1, max: 30 }), (drawn, onFrames, offFrames) => {
      // All but the first; of the last two, which have one level, it cannot be told that one was left out.
      const faults = drawn.map(({ image, at, isDrop }) => ({ image, isDrop, frame: 1 + Math.floor(at * (isDrop ? onFrames - 3 : onFrames - 1)) }));
      const of = (isDrop: boolean): Map<number, number> => new Map(faults.flatMap((f) => (f.isDrop === isDrop ? [[f.image, f.frame]] : [])));
      const images = see(show({ onFrames, offFrames, images: 10, dropped: of(true), repeated: of(false) }, "frames"), "frames");
      expect(images.map((i) => [i.frames, i.dropped, i.repeated])).toEqual(Array.from({ length: 10 }, (_, i) => [onFrames + (of(false).has(i) ? 1 : 0), of(true).has(i) ? 1 : 0, of(false).has(i) ? 1 : 0]));
    }), { numRuns: 100 });
  });

  it("has no image where the light never changed, and an open one where the trace ends in it", () => {
    expect(readImages(findLevels(new Float64Array(500).fill(0.4), 1000, { levels: 2 }), periodMs)).toEqual([]);
    const open = see({ levels: [0, 0, 0, 1, 2, 3] }, "frames");
    expect(open).toMatchObject([{ offsetMs: null, frames: null, firstLevel: 1 }]);
  });
});
