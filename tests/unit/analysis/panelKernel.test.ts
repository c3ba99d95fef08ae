import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createPlainKernel, createSimdKernel } from "../../../src/analysis/panelKernel.ts";
import type { PanelKernel, PanelPlace } from "../../../src/analysis/panelKernel.ts";
import { createRng } from "../../../src/shared/rng.ts";

const bufferLength = 4096;

function simdKernel(): PanelKernel {
  const kernel = createSimdKernel(bufferLength);
  if (kernel === null) throw new Error("expected WebAssembly SIMD in this Node");
  return kernel;
}

/** Any panel that fits: two rows of out, groups of b, factors, in this order. */
const places = fc
  .record({ groups: fc.integer({ min: 1, max: 8 }), half: fc.integer({ min: 1, max: 30 }), slack: fc.integer({ min: 0, max: 3 }) })
  .map(({ groups, half, slack }): PanelPlace => {
    const stride = 2 * (half + slack);
    return { out: 2, b: 2 + 2 * stride, factors: 2 + 2 * stride + 4 * groups * stride, groups, columns: 2 * half, stride };
  });

describe("the panel kernel", () => {
  test("gives the same bits on WebAssembly SIMD as in plain JavaScript, and writes nowhere else", () => {
    const simd = simdKernel();
    const plain = createPlainKernel(bufferLength);
    fc.assert(
      fc.property(places, fc.integer(), fc.constantFrom(1, 1e-160, 1e150), (place, seed, size) => {
        createRng(seed).fillGaussian(plain.buffer);
        for (let i = 0; i < bufferLength; i++) plain.buffer[i] = plain.buffer[i]! * size; // products become denormal, and very large
        simd.buffer.set(plain.buffer);
        simd.add(place);
        plain.add(place);
        expect(Buffer.compare(bytesOf(simd.buffer), bytesOf(plain.buffer))).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test("adds the products of four rows at a time to what is there", () => {
    const kernel = createPlainKernel(64);
    // Row 0 gets 1 x [1..4] + 10 x [5..8] + ..., row 1 half of it.
    kernel.buffer.set([100, 0, 0, 0, 200, 0, 0, 0], 0);
    kernel.buffer.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 8);
    kernel.buffer.set([1, 10, 100, 1000, 0.5, 5, 50, 500], 24);
    kernel.add({ out: 0, b: 8, factors: 24, groups: 1, columns: 2, stride: 4 });
    expect([...kernel.buffer.subarray(0, 8)]).toEqual([100 + 13951, 15062, 0, 0, 200 + 6975.5, 7531, 0, 0]);
  });
});

function bytesOf(values: Float64Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
