// HDF5 files through h5wasm: groups, attributes, datasets written in blocks, and reading them back to compare. Knows nothing about
// NWB or MATLAB. Synchronous: run it in a worker.
//
// h5wasm's heap ends at 2 GB, so large data goes in and out in blocks. One filter per dataset; texts of variable length cannot be compressed.
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import type { Dataset, Dtype, File, Group, Reference } from "h5wasm/node";
import type { ExportTask } from "./task.ts";

export type H5 = typeof import("h5wasm/node");

/** Loads h5wasm. Its Emscripten loader takes a machine with `navigator` for a browser, and Node has one. */
export async function loadHdf5(): Promise<H5> {
  const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  if (navigator !== undefined) Reflect.deleteProperty(globalThis, "navigator");
  try {
    const h5 = await import("h5wasm/node");
    await h5.ready;
    return h5;
  } finally {
    if (navigator !== undefined) Object.defineProperty(globalThis, "navigator", navigator);
  }
}

export type Numbers = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array;
export type NumberType = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "f32" | "f64";

const dtypes: Readonly<Record<NumberType, string>> = { i8: "<b", u8: "<B", i16: "<h", u16: "<H", i32: "<i", u32: "<I", f32: "<f", f64: "<d" };

const makers: Readonly<Record<NumberType, (length: number) => Numbers>> = {
  i8: (n) => new Int8Array(n),
  u8: (n) => new Uint8Array(n),
  i16: (n) => new Int16Array(n),
  u16: (n) => new Uint16Array(n),
  i32: (n) => new Int32Array(n),
  u32: (n) => new Uint32Array(n),
  f32: (n) => new Float32Array(n),
  f64: (n) => new Float64Array(n),
};

function typeOf(values: Numbers): NumberType {
  if (values instanceof Int8Array) return "i8";
  if (values instanceof Uint8Array) return "u8";
  if (values instanceof Int16Array) return "i16";
  if (values instanceof Uint16Array) return "u16";
  if (values instanceof Int32Array) return "i32";
  if (values instanceof Uint32Array) return "u32";
  return values instanceof Float32Array ? "f32" : "f64";
}

/** Values a block may hold: 32 MB of f64. */
const blockValues = 4 * 2 ** 20;

export interface DatasetOptions {
  /** Compress; only for numbers. */
  readonly gzip?: boolean;
}

/** Row-major rows that come block after block. */
export interface RowWriter {
  readonly dataset: Dataset;
  /** Whole rows; buffered until a block is full. */
  push(rows: Numbers): void;
  /** Writes the rest. Throws unless exactly the announced rows came. */
  end(): void;
}

function hashBytes(hash: Hash, values: Numbers): void {
  hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** An HDF5 file being written, with a hash of everything written for reading back. */
export interface H5Writer {
  readonly root: Group;
  group(parent: Group, name: string): Group;
  /** Numbers of any shape, all at once. */
  numbers(parent: Group, name: string, values: Numbers, shape?: readonly number[], options?: DatasetOptions): Dataset;
  /** Rows of the shape `inner` each ([]: a vector; "column": a vector of the shape [1, rows]), streamed. */
  rows(parent: Group, name: string, type: NumberType, rows: number, inner: readonly number[] | "column", options?: DatasetOptions): RowWriter;
  /** A vector of texts; `scalar` for a single one without a dimension. */
  texts(parent: Group, name: string, values: readonly string[]): Dataset;
  text(parent: Group, name: string, value: string): Dataset;
  references(parent: Group, name: string, targets: readonly (Group | Dataset)[], shape?: readonly number[]): Dataset;
  attribute(on: Group | Dataset, name: string, value: string | readonly string[] | Numbers | Reference, shape?: readonly number[]): void;
  link(parent: Group, name: string, target: Group | Dataset): void;
  /** Safe to call twice. */
  close(): void;
  /** Opens the file again and compares every dataset with what was written. */
  readBack(task: ExportTask, use?: (file: File) => void): void;
}

export function createH5(h5: H5, path: string): H5Writer {
  let file = new h5.File(path, "w");
  let open = true;
  const written: { readonly path: string; readonly hash: string; readonly count: number; readonly kind: "numbers" | "texts" }[] = [];

  const childPath = (parent: Group, name: string): string => (parent.path === "/" ? `/${name}` : `${parent.path}/${name}`);
  const noteNumbers = (at: string, hash: Hash, count: number): void => void written.push({ path: at, hash: hash.digest("hex"), count, kind: "numbers" });
  const datasetAt = (at: string): Dataset => {
    const found = file.get(at);
    if (!(found instanceof h5.Dataset)) throw new Error(`expected a dataset at ${at}, got ${found === null ? "nothing" : found.constructor.name}`);
    return found;
  };
  const create = (parent: Group, args: Parameters<Group["create_dataset"]>[0]): Dataset => {
    parent.create_dataset(args);
    return datasetAt(childPath(parent, args.name));
  };

  const writer: H5Writer = {
    get root() {
      return file;
    },
    group(parent, name) {
      parent.create_group(name);
      const made = file.get(childPath(parent, name));
      if (!(made instanceof h5.Group)) throw new Error(`expected to make the group ${name} in ${parent.path}`);
      return made;
    },
    numbers(parent, name, values, shape = [values.length], options = {}) {
      const [rows = 1, ...rest] = shape;
      if (shape.length > 0 && values.length > blockValues) {
        const column = shape.length === 2 && rows === 1;
        const one = writer.rows(parent, name, typeOf(values), column ? values.length : rows, column ? "column" : rest, options);
        one.push(values);
        one.end();
        return one.dataset;
      }
      const hash = createHash("sha256");
      hashBytes(hash, values);
      const at = childPath(parent, name);
      const gzip = options.gzip === true && values.length > 0;
      const dataset = create(parent, {
        name,
        data: values,
        shape: [...shape],
        dtype: dtypes[typeOf(values)],
        ...(gzip ? { chunks: [...shape], compression: "gzip" as const, compression_opts: [3] } : {}),
      });
      noteNumbers(at, hash, values.length);
      return dataset;
    },
    rows(parent, name, type, rows, inner, options = {}) {
      const perRow = inner === "column" ? 1 : inner.reduce((product, size) => product * size, 1);
      const blockRows = Math.max(1, Math.floor(blockValues / Math.max(1, perRow)));
      const at = childPath(parent, name);
      const hash = createHash("sha256");
      const shapeOf = (count: number): number[] => (inner === "column" ? [1, count] : [count, ...inner]);
      const placeOf = (from: number, to: number): ([] | [number, number])[] => (inner === "column" ? [[], [from, to]] : [[from, to], ...inner.map((): [] => [])]);
      let buffer = makers[type](Math.min(rows, blockRows) * perRow);
      let filled = 0;
      let start = 0;
      let dataset: Dataset | null = null;
      const flush = (): void => {
        const part = buffer.subarray(0, filled);
        const count = perRow === 0 ? 0 : filled / perRow;
        if (dataset === null) {
          const chunkRows = Math.max(1, Math.min(rows, Math.ceil(65_536 / Math.max(1, perRow))));
          const whole = count === rows;
          dataset = create(parent, {
            name,
            data: part,
            shape: shapeOf(count),
            dtype: dtypes[type],
            ...(whole && options.gzip !== true ? {} : rows > 0 && perRow > 0 ? { chunks: shapeOf(chunkRows), maxshape: shapeOf(rows) } : {}),
            ...(options.gzip === true && rows > 0 && perRow > 0 ? { compression: "gzip" as const, compression_opts: [3] } : {}),
          });
        } else if (count > 0) {
          dataset.resize(shapeOf(start + count));
          dataset.write_slice(placeOf(start, start + count), part);
        }
        hashBytes(hash, part);
        start += count;
        filled = 0;
      };
      return {
        get dataset() {
          return dataset ?? datasetAt(at);
        },
        push(more) {
          if (perRow > 0 && more.length % perRow !== 0) throw new Error(`expected whole rows of ${perRow} in ${at}, got ${more.length} values`);
          for (let offset = 0; offset < more.length; ) {
            const part = more.subarray(offset, offset + buffer.length - filled);
            buffer.set(part, filled);
            filled += part.length;
            offset += part.length;
            if (filled === buffer.length) flush();
          }
        },
        end() {
          if (filled > 0 || dataset === null) flush();
          if (perRow > 0 && start !== rows) throw new Error(`expected ${rows} rows in ${at}, got ${start}`);
          noteNumbers(at, hash, rows * perRow);
          buffer = makers[type](0);
        },
      };
    },
    texts(parent, name, values) {
      const dataset = create(parent, { name, data: [...values], shape: [values.length], dtype: "S" });
      written.push({ path: childPath(parent, name), hash: hashTexts(values), count: values.length, kind: "texts" });
      return dataset;
    },
    text(parent, name, value) {
      const dataset = create(parent, { name, data: value, shape: [], dtype: "S" });
      written.push({ path: childPath(parent, name), hash: hashTexts([value]), count: 1, kind: "texts" });
      return dataset;
    },
    references: (parent, name, targets, shape = [targets.length]) => create(parent, { name, data: targets.map((target) => target.create_reference()), shape: [...shape], dtype: "Reference" }),
    attribute(on, name, value, shape) {
      if (typeof value === "string") on.create_attribute(name, value, [], "S");
      else if (value instanceof h5.Reference) on.create_attribute(name, value, [], "Reference");
      else if (Array.isArray(value)) on.create_attribute(name, [...value], [value.length], "S");
      else if (ArrayBuffer.isView(value)) on.create_attribute(name, value, shape === undefined ? [] : [...shape], attributeType(value));
    },
    link(parent, name, target) {
      parent.create_soft_link(target.path, name);
    },
    close() {
      if (open) file.close();
      open = false;
    },
    readBack(task, use) {
      file = new h5.File(path, "r");
      try {
        written.forEach(({ path: at, hash, count, kind }, i) => {
          if (i % 50 === 0) task.step(0.9 + (0.1 * i) / written.length, "comparing");
          const dataset = datasetAt(at);
          task.check(`${at}, number of values`, count, (dataset.shape ?? []).reduce((product, size) => product * size, 1));
          task.check(`${at}, values`, hash, kind === "numbers" ? hashNumbers(dataset) : hashTexts(textsOf(dataset)));
        });
        use?.(file);
      } finally {
        file.close();
      }
    },
  };
  return writer;
}

function attributeType(value: Numbers): Dtype {
  return dtypes[typeOf(value)];
}

function hashTexts(values: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(values)).digest("hex");
}

/** The texts of a dataset, a scalar one included. */
export function textsOf(dataset: Dataset): string[] {
  const value = dataset.value;
  if (value === null) return [];
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

function isNumbers(value: unknown): value is Numbers {
  return ArrayBuffer.isView(value) && !(value instanceof DataView) && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array);
}

/** The numbers of a dataset, block after block. */
export function* blocksOf(dataset: Dataset): Generator<Numbers> {
  const shape = dataset.shape ?? [];
  const column = shape.length === 2 && shape[0] === 1;
  const [rows = 1, ...rest] = column ? shape.slice(1) : shape;
  const perRow = rest.reduce((product, size) => product * size, 1);
  if (rows * perRow === 0) return;
  const blockRows = Math.max(1, Math.floor(blockValues / perRow));
  const all = (): [] => [];
  for (let start = 0; start < rows; start += blockRows) {
    const range: [number, number] = [start, Math.min(rows, start + blockRows)];
    const value = shape.length === 0 ? scalar(dataset.value) : dataset.slice(column ? [[], range] : [range, ...rest.map(all)]);
    if (!isNumbers(value)) throw new Error(`expected numbers in ${dataset.path}, got ${typeof value}`);
    yield value;
  }
}

/** A dataset without dimensions gives a bare number; this program writes only f64 ones. */
function scalar(value: unknown): unknown {
  return typeof value === "number" ? Float64Array.of(value) : value;
}

function hashNumbers(dataset: Dataset): string {
  const hash = createHash("sha256");
  for (const block of blocksOf(dataset)) hashBytes(hash, block);
  return hash.digest("hex");
}
