// The inner loop of every matrix product, on two doubles at a time. Knows nothing about matrices beyond one packed panel.
//
// A panel lives in one buffer of doubles: rows of b, two rows of out, and the factors of those two rows. The kernel adds
//   out[r][k] += a[r][4i] b[4i][k] + a[r][4i+1] b[4i+1][k] + a[r][4i+2] b[4i+2][k] + a[r][4i+3] b[4i+3][k]     r = 0, 1
// for every group i of four rows and every column k. Columns are independent, so doing two of them in one instruction changes no
// rounding: the WebAssembly kernel and the plain one agree bit for bit, and so do all machines. (Fused multiply-add would not,
// and is not used.) On one x86-64 core the WebAssembly kernel is three to four times as fast as what V8 makes of the plain one.

/** Where a panel lies in the buffer; offsets and lengths count doubles. */
export interface PanelPlace {
  /** First row of out; the second one follows at `stride`. */
  readonly out: number;
  /** First row of b; the others follow at `stride`. */
  readonly b: number;
  /** Factors: for every group of four rows of b, four of the first row of out, then four of the second. */
  readonly factors: number;
  /** Groups of four rows of b, at least 1. */
  readonly groups: number;
  /** Columns to work on, even, at least 2. */
  readonly columns: number;
  /** Doubles from one row to the next, even. */
  readonly stride: number;
}

export interface PanelKernel {
  readonly name: "simd" | "plain";
  /** Belongs to the kernel; fill it, call `add`, read it. */
  readonly buffer: Float64Array;
  add(place: PanelPlace): void;
}

/** The kernel in plain JavaScript, for engines without WebAssembly SIMD; also what the other one is tested against. */
export function createPlainKernel(bufferLength: number): PanelKernel {
  const buffer = new Float64Array(bufferLength);
  return {
    name: "plain",
    buffer,
    add({ out, b, factors, groups, columns, stride }) {
      for (let group = 0; group < groups; group++) {
        const f = factors + 8 * group;
        const f0 = buffer[f]!;
        const f1 = buffer[f + 1]!;
        const f2 = buffer[f + 2]!;
        const f3 = buffer[f + 3]!;
        const g0 = buffer[f + 4]!;
        const g1 = buffer[f + 5]!;
        const g2 = buffer[f + 6]!;
        const g3 = buffer[f + 7]!;
        const b0 = b + 4 * group * stride;
        for (let k = 0; k < columns; k++) {
          const x0 = buffer[b0 + k]!;
          const x1 = buffer[b0 + stride + k]!;
          const x2 = buffer[b0 + 2 * stride + k]!;
          const x3 = buffer[b0 + 3 * stride + k]!;
          buffer[out + k] = buffer[out + k]! + (f0 * x0 + f1 * x1 + f2 * x2 + f3 * x3);
          buffer[out + stride + k] = buffer[out + stride + k]! + (g0 * x0 + g1 * x1 + g2 * x2 + g3 * x3);
        }
      }
    },
  };
}

/** The kernel on WebAssembly SIMD; null where the engine has none. */
export function createSimdKernel(bufferLength: number): PanelKernel | null {
  if (typeof WebAssembly === "undefined") return null;
  const bytes = assembleKernel(Math.ceil((bufferLength * 8) / 65536));
  if (!WebAssembly.validate(bytes)) return null;
  const { add, memory } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  return {
    name: "simd",
    buffer: new Float64Array(memory.buffer, 0, bufferLength),
    add: ({ out, b, factors, groups, columns, stride }) => add(out * 8, b * 8, factors * 8, groups, columns * 8, stride * 8),
  };
}

/** The little of WebAssembly that is used here; the pure folders have no DOM types. */
declare const WebAssembly:
  | undefined
  | {
      validate(bytes: Uint8Array): boolean;
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => {
        readonly exports: {
          add(out: number, b: number, factors: number, groups: number, columnBytes: number, strideBytes: number): void;
          readonly memory: { readonly buffer: ArrayBuffer };
        };
      };
    };

// ---------------------------------------------------------------------------------------------------------------
// The module, assembled here instead of shipped as bytes that nobody can read.
// Opcodes: WebAssembly Core Specification 2.0, 5.4 (instructions) and 5.5 (modules).

const opcode = {
  loop: [0x03, 0x40],
  end: [0x0b],
  branchIf: [0x0d],
  get: [0x20],
  set: [0x21],
  tee: [0x22],
  constant: [0x41],
  lessThan: [0x49], // i32.lt_u
  add: [0x6a], // i32
  subtract: [0x6b], // i32
  shiftLeft: [0x74], // i32
  load: [0xfd, 0x00], // v128.load
  splat: [0xfd, 0x0a], // v128.load64_splat
  store: [0xfd, 0x0b], // v128.store
  addPairs: [0xfd, 0xf0, 0x01], // f64x2.add
  multiplyPairs: [0xfd, 0xf2, 0x01], // f64x2.mul
} as const;
const int32 = 0x7f;
const vector128 = 0x7b;

function assembleKernel(pages: number): Uint8Array {
  // Parameters, in the order of the declaration above, then locals.
  const [out, b, factors, groups, columnBytes, strideBytes] = [0, 1, 2, 3, 4, 5];
  const bRows = [6, 7, 8, 9]; // running addresses
  const outRows = [10, 11];
  const bEnd = 12;
  const factorOf = [[13, 14, 15, 16], [17, 18, 19, 20]]; // each in both lanes
  const x = [21, 22, 23, 24];
  const locals = [[...leb(7), int32], [...leb(12), vector128]];

  const get = (local: number) => [...opcode.get, ...leb(local)];
  const set = (local: number) => [...opcode.set, ...leb(local)];
  const constant = (value: number) => [...opcode.constant, ...leb(value)]; // below 64: one byte, sign bit clear
  const at = (offset: number) => [3, ...leb(offset)]; // alignment 2^3 bytes
  const advance = (local: number, by: number[]) => [...get(local), ...by, ...opcode.add, ...set(local)];

  /** ((f0 x0 + f1 x1) + f2 x2) + f3 x3, left on the stack. */
  const sumOfProducts = (row: number[]) =>
    row.flatMap((factor, i) => [...get(factor), ...get(x[i]!), ...opcode.multiplyPairs, ...(i === 0 ? [] : opcode.addPairs)]);
  const columnLoop = [
    ...opcode.loop,
    ...x.flatMap((local, i) => [...get(bRows[i]!), ...opcode.load, ...at(0), ...set(local)]),
    ...outRows.flatMap((address, r) => [
      ...get(address), // where to store
      ...get(address), ...opcode.load, ...at(0),
      ...sumOfProducts(factorOf[r]!),
      ...opcode.addPairs,
      ...opcode.store, ...at(0),
    ]),
    ...[...bRows, ...outRows].flatMap((address) => advance(address, constant(16))),
    ...get(bRows[0]!), ...get(bEnd), ...opcode.lessThan, ...opcode.branchIf, 0,
    ...opcode.end,
  ];
  const groupLoop = [
    ...opcode.loop,
    ...factorOf.flat().flatMap((local, i) => [...get(factors), ...opcode.splat, ...at(8 * i), ...set(local)]),
    ...get(b), ...set(bRows[0]!),
    ...[1, 2, 3].flatMap((i) => [...get(bRows[i - 1]!), ...get(strideBytes), ...opcode.add, ...set(bRows[i]!)]),
    ...get(b), ...get(columnBytes), ...opcode.add, ...set(bEnd),
    ...get(out), ...set(outRows[0]!),
    ...get(out), ...get(strideBytes), ...opcode.add, ...set(outRows[1]!),
    ...columnLoop,
    ...advance(b, [...get(strideBytes), ...constant(2), ...opcode.shiftLeft]), // four rows on
    ...advance(factors, [...constant(32), ...constant(32), ...opcode.add]),
    ...get(groups), ...constant(1), ...opcode.subtract, ...opcode.tee, ...leb(groups), ...opcode.branchIf, 0,
    ...opcode.end,
  ];
  const code = [...list(locals), ...groupLoop, ...opcode.end];
  const text = (name: string) => list(Array.from(name, (letter) => [letter.charCodeAt(0)]));
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "\0asm", version 1
    ...section(1, [[0x60, ...list(new Array<number[]>(6).fill([int32])), 0]]), // the type of add: six i32, no result
    ...section(3, [[0]]),
    ...section(5, [[0, ...leb(pages)]]),
    ...section(7, [[...text("memory"), 2, 0], [...text("add"), 0, 0]]),
    ...section(10, [[...leb(code.length), ...code]]),
  ]);
}

/** Unsigned LEB128. */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...leb(items.length), ...items.flat()];
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = list(items);
  return [id, ...leb(content.length), ...content];
}
