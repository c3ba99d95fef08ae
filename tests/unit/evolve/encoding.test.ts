// Plain data to bytes and back.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32, decodeValue, encodeValue } from "../../../src/evolve/encoding.ts";
import type { StateValue } from "../../../src/evolve/types.ts";
import { unwrap } from "../../../src/shared/result.ts";

const { value: anyValue } = fc.letrec<{ value: StateValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.double(),
    fc.string({ unit: "binary" }),
    fc.float64Array(),
    fc.uint32Array(),
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

describe("encodeValue", () => {
  test("keeps every value, every bit of every number included", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodeValue(value);
        const back = unwrap(decodeValue(bytes));
        expect(back).toEqual(value);
        expect(encodeValue(back)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
    for (const odd of [-0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324, 0.1 + 0.2]) expect(unwrap(decodeValue(encodeValue([odd, Float64Array.of(odd)])))).toEqual([odd, Float64Array.of(odd)]);
  });

  test("does not depend on the order in which a record was filled", () => {
    expect(encodeValue({ b: 1, a: { d: 2, c: 3 } })).toEqual(encodeValue({ a: { c: 3, d: 2 }, b: 1 }));
  });

  test("reads from the middle of a larger buffer, and shares no memory with it", () => {
    const bytes = encodeValue({ x: Float64Array.of(1, 2, 3) });
    const larger = new Uint8Array(bytes.length + 7);
    larger.set(bytes, 3);
    const back = unwrap(decodeValue(larger.subarray(3, 3 + bytes.length)));
    larger.fill(255);
    expect(back).toEqual({ x: Float64Array.of(1, 2, 3) });
  });

  test("a record may hold a key that objects treat specially", () => {
    const back = unwrap(decodeValue(encodeValue(Object.fromEntries([["__proto__", 1]]))));
    expect(Object.entries(back ?? {})).toEqual([["__proto__", 1]]);
  });
});

test("the checksum is CRC-32", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});
