// NumPy's .npy format: bytes in, arrays out, and back. Knows nothing about files or what the numbers mean.
//
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, header versions 1.0, 2.0 and 3.0.
// Read: float32 and float64, little-endian, C or Fortran order. Anything else is refused with what to do about it.
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { checkMatrix } from "./matrix.ts";
import type { Matrix } from "./matrix.ts";

/** An array of any rank; `data` is in C order (last index fastest) whatever the file's order was. */
export interface NpyArray {
  readonly shape: readonly number[];
  readonly dtype: "float32" | "float64";
  readonly data: Float32Array | Float64Array;
}

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const; // \x93NUMPY

/**
 * Reads a whole .npy file. The result owns its data. Errors: `npyNotNumpy`, `npyVersion`, `npyHeader`, `npyType`,
 * `npyLength`.
 */
export function parseNpy(bytes: Uint8Array): Result<NpyArray, Fault> {
  if (bytes.length < 10 || magic.some((value, i) => bytes[i] !== value)) {
    return fault("npyNotNumpy", "Expected a NumPy .npy file, but these bytes do not start like one. Save the array with numpy.save.");
  }
  const major = bytes[6]!;
  if (major < 1 || major > 3) {
    return fault("npyVersion", `Expected .npy format version 1, 2 or 3, got ${major}.${bytes[7]}. Save the array again with numpy.save.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lengthBytes = major === 1 ? 2 : 4;
  if (bytes.length < 8 + lengthBytes) return truncatedHeader();
  const headerLength = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataStart = 8 + lengthBytes + headerLength;
  if (bytes.length < dataStart) return truncatedHeader();
  const header = parseHeader(latin1(bytes.subarray(8 + lengthBytes, dataStart)));
  if (!header.ok) return header;
  const { dtype, fortranOrder, shape } = header.value;

  const size = dtype === "float32" ? 4 : 8;
  const count = shape.reduce((product, length) => product * length, 1);
  if (!Number.isSafeInteger(count) || bytes.length - dataStart !== count * size) {
    return fault(
      "npyLength",
      `Expected ${count} ${dtype} values (${count * size} bytes) for shape ${formatShape(shape)}, got ${bytes.length - dataStart} bytes. The file is cut short or holds more than one array; save it again.`,
    );
  }
  // Copied by hand: slice() of Node's Buffer shares memory, and the data may start at any byte.
  const own = new Uint8Array(count * size);
  own.set(bytes.subarray(dataStart));
  const values = dtype === "float32" ? new Float32Array(own.buffer) : new Float64Array(own.buffer);
  return ok({ shape, dtype, data: fortranOrder && shape.length > 1 ? toCOrder(values, shape) : values });
}

/** Writes a .npy file, format version 1.0, C order, little-endian. Throws where data and shape disagree. */
export function formatNpy(array: { readonly shape: readonly number[]; readonly data: Float32Array | Float64Array }): Uint8Array {
  const { shape, data } = array;
  const count = shape.reduce((product, length) => product * length, 1);
  if (count !== data.length) throw new Error(`expected ${count} values for shape ${formatShape(shape)}, got ${data.length}`);
  const descr = data instanceof Float32Array ? "<f4" : "<f8";
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${formatShape(shape)}, }`;
  // The data start at a multiple of 64 bytes; the header ends in a newline.
  const total = Math.ceil((10 + text.length + 1) / 64) * 64;
  if (total - 10 > 0xffff) throw new Error(`expected a rank that fits a .npy header, got ${shape.length} dimensions`);
  const header = `${text.padEnd(total - 11, " ")}\n`;
  const bytes = new Uint8Array(total + data.byteLength);
  bytes.set([...magic, 1, 0], 0);
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  for (let i = 0; i < header.length; i++) bytes[10 + i] = header.charCodeAt(i);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), total);
  return bytes;
}

/** A matrix as a two-dimensional .npy file. */
export function formatNpyMatrix(matrix: Matrix): Uint8Array {
  checkMatrix(matrix, "matrix");
  return formatNpy({ shape: [matrix.rows, matrix.cols], data: matrix.data });
}

/** A shape as Python writes it: (), (3,), (3, 4). */
export function formatShape(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

function truncatedHeader(): Result<never, Fault> {
  return fault("npyHeader", "Expected a complete .npy header, but the file ends inside it. The file is cut short; save it again with numpy.save.");
}

interface Header {
  readonly dtype: "float32" | "float64";
  readonly fortranOrder: boolean;
  readonly shape: number[];
}

/** The header is a Python dictionary literal with exactly these three keys, in any order. */
function parseHeader(text: string): Result<Header, Fault> {
  const descr = /['"]descr['"]\s*:\s*(?:['"]([^'"]*)['"]|(\[))/.exec(text);
  const order = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text);
  const shapeText = /['"]shape['"]\s*:\s*\(([^)]*)\)/.exec(text);
  if (descr === null || order === null || shapeText === null) {
    return fault("npyHeader", `Expected a .npy header with descr, fortran_order and shape, got: ${text.trim().slice(0, 200)}`);
  }
  const dtype = parseType(descr[1] ?? "a structured type");
  if (!dtype.ok) return dtype;
  const parts = (shapeText[1] ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (!parts.every((part) => /^\d+$/.test(part))) {
    return fault("npyHeader", `Expected whole numbers in the shape of the .npy header, got (${shapeText[1]}).`);
  }
  return ok({ dtype: dtype.value, fortranOrder: order[1] === "True", shape: parts.map(Number) });
}

function parseType(descr: string): Result<"float32" | "float64", Fault> {
  if (descr === "<f4") return ok("float32");
  if (descr === "<f8") return ok("float64");
  const advice = descr === ">f4" || descr === ">f8" ? "It is big-endian: convert it" : "Convert it";
  return fault("npyType", `Expected float32 or float64 numbers, little-endian ("<f4" or "<f8"), got "${descr}". ${advice} with array.astype("<f8") and save it again.`);
}

function toCOrder(values: Float32Array | Float64Array, shape: readonly number[]): Float32Array | Float64Array {
  const result = values.slice();
  const rank = shape.length;
  // Walk in C order and keep the Fortran offset beside it.
  const strides: number[] = [];
  let stride = 1;
  for (const length of shape) {
    strides.push(stride);
    stride *= length;
  }
  const index = new Array<number>(rank).fill(0);
  let from = 0;
  for (let to = 0; to < values.length; to++) {
    result[to] = values[from]!;
    for (let axis = rank - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
