import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeEye, decodeSpikes, encodeEye, encodeSpikes } from "../../../src/session/codec.ts";

/** Rig times as sources make them: whole ns, fractions from sample counts, small and huge. */
const aTime = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 40 }),
  fc.integer({ min: 0, max: 1e9 }).map((sample) => (sample * 1e9) / 30000),
  fc.double({ min: -1e15, max: 1e15, noNaN: true }),
);
/** A short batch on one sample clock: whole ns, or thirds of one. */
const closeTimes = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 45 }), fc.constantFrom(1, 1e6, 1e9 / 30000), fc.array(fc.nat(1000), { maxLength: 60 }))
  .map(([base, tickNs, ticks]) => Float64Array.from(ticks.sort((a, b) => a - b), (tick) => base + tick * tickNs));
const times = fc.oneof(
  closeTimes,
  fc.array(aTime, { maxLength: 60 }).map((values) => Float64Array.from(values.sort((a, b) => a - b))),
);

describe("spike batches as blobs", () => {
  test("come back bit for bit, whatever the times, channels and units", () => {
    fc.assert(
      fc.property(times, fc.constantFrom(3, 255, 256, 65535), fc.constantFrom(0, 255), fc.infiniteStream(fc.nat()), (timesRigNs, channelMax, unitMax, numbers) => {
        const next = (most: number): number => Number(numbers.next().value) % (most + 1);
        const batch = {
          timesRigNs,
          channels: Uint16Array.from(timesRigNs, () => next(channelMax)),
          units: Uint8Array.from(timesRigNs, () => next(unitMax)),
        };
        expect(decodeSpikes(encodeSpikes(batch))).toStrictEqual(batch);
      }),
    );
  });

  test("take 5 bytes a spike for whole-ns times of unsorted channels below 256", () => {
    const count = 1000;
    const batch = {
      timesRigNs: Float64Array.from({ length: count }, (_, i) => 7e12 + i * 99_991),
      channels: Uint16Array.from({ length: count }, (_, i) => i % 96),
      units: new Uint8Array(count),
    };
    expect(encodeSpikes(batch).length).toBe(24 + 5 * count);
  });

  test("read from a blob that does not start at an even address", () => {
    const batch = { timesRigNs: Float64Array.of(1.5, 2.5), channels: Uint16Array.of(300, 4), units: Uint8Array.of(0, 1) };
    const blob = encodeSpikes(batch);
    const shifted = new Uint8Array(blob.length + 3);
    shifted.set(blob, 3);
    expect(decodeSpikes(shifted.subarray(3))).toStrictEqual(batch);
  });

  test("of unequal lengths are refused as a bug", () => {
    expect(() => encodeSpikes({ timesRigNs: new Float64Array(2), channels: new Uint16Array(1), units: new Uint8Array(2) })).toThrow(/expected as many channels/);
  });
});

describe("eye batches as blobs", () => {
  const samples = fc.oneof(
    times,
    fc.tuple(aTime, fc.integer({ min: 1, max: 5e6 }), fc.nat(50)).map(([base, step, count]) => Float64Array.from({ length: count }, (_, i) => base + i * step)),
  );

  test("come back bit for bit, evenly spaced or not", () => {
    fc.assert(
      fc.property(samples, fc.infiniteStream(fc.float({ noNaN: true })), fc.boolean(), (timesRigNs, floats, blinks) => {
        const next = (): number => floats.next().value ?? 0;
        const batch = {
          timesRigNs,
          xDeg: Float32Array.from(timesRigNs, next),
          yDeg: Float32Array.from(timesRigNs, next),
          valid: Uint8Array.from(timesRigNs, (_, i) => (blinks && i % 3 === 0 ? 0 : 1)),
        };
        expect(decodeEye(encodeEye(batch))).toStrictEqual(batch);
      }),
    );
  });

  test("take 8 bytes a sample where the samples are evenly spaced and valid", () => {
    const count = 100;
    const batch = {
      timesRigNs: Float64Array.from({ length: count }, (_, i) => 5e9 + i * 1e6),
      xDeg: new Float32Array(count),
      yDeg: new Float32Array(count),
      valid: new Uint8Array(count).fill(1),
    };
    expect(encodeEye(batch).length).toBe(24 + 8 * count);
  });
});
