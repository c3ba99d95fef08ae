import fc from "fast-check";
import { expect, test } from "vitest";
import { createMatrix } from "../../../src/analysis/matrix.ts";
import { formatNpy, formatNpyMatrix, parseNpy } from "../../../src/analysis/npy.ts";
import { errorOf, valueOf } from "./support.ts";

function headed(header: string, data: Uint8Array = new Uint8Array(0), version = 1): Uint8Array {
  const bytes = new Uint8Array(10 + header.length + data.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, header.length & 255, header.length >> 8]);
  for (let i = 0; i < header.length; i++) bytes[10 + i] = header.charCodeAt(i);
  bytes.set(data, 10 + header.length);
  return bytes;
}

test("what is written is read back bit for bit, from any place in a larger buffer", () => {
  const arrays = fc.tuple(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), fc.boolean(), fc.integer({ min: 0, max: 9 }));
  fc.assert(
    fc.property(arrays, fc.infiniteStream(fc.double()), ([shape, single, offset], numbers) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const values = Array.from({ length: count }, () => numbers.next().value ?? 0);
      const data = single ? Float32Array.from(values) : Float64Array.from(values);
      const written = formatNpy({ shape, data });
      const buffer = new Uint8Array(written.length + offset + 3).fill(0xee);
      buffer.set(written, offset);
      const read = valueOf(parseNpy(buffer.subarray(offset, offset + written.length)));
      expect(read).toEqual({ shape, dtype: single ? "float32" : "float64", data });
    }),
  );
});

test("the data of a written file start at a multiple of 64 bytes, as numpy aligns them", () => {
  const bytes = formatNpyMatrix(createMatrix(3, 5));
  expect((bytes.length - 3 * 5 * 8) % 64).toBe(0);
  expect(new TextDecoder().decode(bytes.subarray(10, 70))).toContain("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 5), }");
});

test("reading copies: later changes of the bytes do not show", () => {
  const bytes = Buffer.from(formatNpy({ shape: [2], data: Float64Array.of(1, 2) }));
  const { data } = valueOf(parseNpy(bytes));
  bytes.fill(0);
  expect([...data]).toEqual([1, 2]);
});

test.each([
  ["not a .npy file", new TextEncoder().encode("time,rate\n0,12\n"), "npyNotNumpy", "numpy.save"],
  ["an empty file", new Uint8Array(0), "npyNotNumpy", "numpy.save"],
  ["a version of the future", headed("{}", new Uint8Array(0), 9), "npyVersion", "got 9.0"],
  ["a header cut short", formatNpy({ shape: [4], data: new Float64Array(4) }).subarray(0, 40), "npyHeader", "cut short"],
  ["no shape", headed("{'descr': '<f8', 'fortran_order': False}\n"), "npyHeader", "descr, fortran_order and shape"],
  ["a shape that is no number", headed("{'descr': '<f8', 'fortran_order': False, 'shape': (x,)}\n"), "npyHeader", "got (x,)"],
  ["too few bytes", headed("{'shape': (3,), 'fortran_order': False, 'descr': '<f8'}\n", new Uint8Array(16)), "npyLength", "(24 bytes) for shape (3,), got 16 bytes"],
  ["too many bytes", headed("{'shape': (1,), 'fortran_order': False, 'descr': '<f8'}\n", new Uint8Array(16)), "npyLength", "more than one array"],
])("%s is refused with a sentence", (_, bytes, code, says) => {
  const error = errorOf(parseNpy(bytes));
  expect(error.code).toBe(code);
  expect(error.message).toContain(says);
});

test("writing refuses data that do not fill the shape", () => {
  expect(() => formatNpy({ shape: [2, 2], data: new Float64Array(3) })).toThrow("expected 4 values for shape (2, 2), got 3");
});
