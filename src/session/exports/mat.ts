// A session as a MATLAB 7.3 file: HDF5 behind a 512-byte MATLAB header. Source: what MATLAB itself writes with save -v7.3.
// Knows nothing about threads or names of files.
//
// MATLAB keeps arrays column by column, so a row-major HDF5 dataset of shape (n, m) is MATLAB's m x n: a column vector of n is (1, n),
// and images are (count, 3, width, height) for height x width x 3 x count.
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { createHash } from "node:crypto";
import type { Dataset, File, Group } from "h5wasm/node";
import { decodePng } from "../png.ts";
import type { SessionReader } from "../reader.ts";
import { blocksOf, createH5 } from "./hdf5.ts";
import type { H5, H5Writer, NumberType, Numbers, RowWriter } from "./hdf5.ts";
import { readSheets, sheetNames } from "./sheets.ts";
import type { Sheet } from "./sheets.ts";
import type { ExportTask } from "./task.ts";
import type { Timeline } from "./timeline.ts";

const matlabClass: Readonly<Record<NumberType, string>> = { i8: "int8", u8: "uint8", i16: "int16", u16: "uint16", i32: "int32", u32: "uint32", f32: "single", f64: "double" };

function numberType(values: Numbers): NumberType {
  if (values instanceof Uint8Array) return "u8";
  if (values instanceof Int32Array) return "i32";
  if (values instanceof Uint16Array) return "u16";
  if (values instanceof Float32Array) return "f32";
  return "f64";
}

interface Mat {
  readonly h5: H5Writer;
  struct(parent: Group, name: string): Group;
  /** `shape` as MATLAB sees it. */
  numbers(parent: Group, name: string, values: Numbers, shape: readonly number[]): Dataset;
  column(parent: Group, name: string, values: Numbers): Dataset;
  logical(parent: Group, name: string, values: Uint8Array): Dataset;
  text(parent: Group, name: string, value: string): Dataset;
  cell(parent: Group, name: string, values: readonly string[]): Dataset;
  markClass(on: Group | Dataset, name: string): void;
}

function makeMat(h5: H5Writer): Mat {
  let references: Group | null = null;
  const stored = new Map<string, Dataset>();
  /** MATLAB reads the class only as a text of fixed length in ASCII. */
  const markClass = (on: Group | Dataset, name: string): void => on.create_attribute("MATLAB_class", name, [], `A${name.length}`);
  /** An empty array keeps its size as its data. */
  const empty = (parent: Group, name: string, kind: string, shape: readonly number[]): Dataset => {
    const dataset = h5.numbers(parent, name, Float64Array.from(shape), [shape.length]);
    markClass(dataset, kind);
    h5.attribute(dataset, "MATLAB_empty", Uint8Array.of(1));
    return dataset;
  };
  const text = (parent: Group, name: string, value: string): Dataset => {
    if (value === "") return empty(parent, name, "char", [0, 0]);
    const codes = Uint16Array.from({ length: value.length }, (_, i) => value.charCodeAt(i));
    const dataset = h5.numbers(parent, name, codes, [codes.length, 1]);
    markClass(dataset, "char");
    h5.attribute(dataset, "MATLAB_int_decode", Int32Array.of(2));
    return dataset;
  };
  const mat: Mat = {
    h5,
    markClass,
    struct(parent, name) {
      const group = h5.group(parent, name);
      markClass(group, "struct");
      return group;
    },
    numbers(parent, name, values, shape) {
      if (values.length === 0) return empty(parent, name, matlabClass[numberType(values)], shape);
      const dataset = h5.numbers(parent, name, values, [...shape].reverse());
      markClass(dataset, matlabClass[numberType(values)]);
      return dataset;
    },
    column: (parent, name, values) => mat.numbers(parent, name, values, [values.length, 1]),
    logical(parent, name, values) {
      if (values.length === 0) return empty(parent, name, "logical", [0, 1]);
      const dataset = h5.numbers(parent, name, values, [1, values.length]);
      markClass(dataset, "logical");
      h5.attribute(dataset, "MATLAB_int_decode", Int32Array.of(1));
      return dataset;
    },
    text,
    cell(parent, name, values) {
      if (values.length === 0) return empty(parent, name, "cell", [0, 1]);
      references ??= h5.group(h5.root, "#refs#");
      const home = references;
      // Equal texts are stored once; cells refer to them.
      const targets = values.map((value) => {
        const known = stored.get(value);
        if (known !== undefined) return known;
        const made = text(home, `t${stored.size}`, value);
        stored.set(value, made);
        return made;
      });
      const dataset = h5.references(parent, name, targets, [1, values.length]);
      markClass(dataset, "cell");
      return dataset;
    },
  };
  return mat;
}

/** Columns of few words become codes (0: none) beside a cell of the words: MATLAB is slow with a cell per row. */
function writeSheet(mat: Mat, parent: Group, sheet: Sheet): void {
  const struct = mat.struct(parent, sheet.name);
  for (const column of sheet.columns) {
    if (column.kind === "number") mat.column(struct, column.name, column.values);
    else if (column.kind === "flag") mat.logical(struct, column.name, column.values);
    else if (!column.few) mat.cell(struct, column.name, column.values);
    else {
      const words = [...new Set(column.values)].filter((word) => word !== "").sort();
      mat.column(struct, `${column.name}_code`, Float64Array.from(column.values, (word) => words.indexOf(word) + 1));
      mat.cell(struct, `${column.name}_words`, words);
    }
  }
}

export function writeMat(reader: SessionReader, lib: H5, task: ExportTask): void {
  task.step(0, "reading the session");
  const bare = `${task.temporary}-hdf5`;
  const h5 = createH5(lib, bare);
  const mat = makeMat(h5);
  const sheets = readSheets(reader);
  const info = reader.info();
  let streamed = { spikes: 0, eyeSamples: 0 };
  let pixels: readonly PixelArray[] = [];
  try {
    const session = mat.struct(h5.root, "session");
    const facts: Readonly<Record<string, string>> = {
      id: info.id, subject_id: info.subject.id, species: info.subject.species, sex: info.subject.sex, age: info.subject.age ?? "", date_of_birth: info.subject.dateOfBirth ?? "",
      started_utc: info.startedUtc, seed: info.seed, rig: info.rig, protocol: info.protocol, description: info.description, lab: info.lab, institution: info.institution,
      app_version: info.appVersion, config_json: info.configJson,
    };
    for (const [name, value] of Object.entries(facts)) mat.text(session, name, value);
    mat.cell(session, "experimenters", info.experimenters);
    // Inputs are for replay from the session file; MATLAB would open a dataset for each of their texts.
    for (const name of sheetNames) if (name !== "inputs") writeSheet(mat, h5.root, sheets[name]);
    for (const matrix of [sheets.counts, sheets.baselineCounts, sheets.latents, sheets.coefficients]) {
      // MATLAB's rows are our rows: the transpose of a row-major matrix is its column-major form.
      mat.numbers(h5.root, matrix.name, transposed(matrix.values, matrix.rows, matrix.columns), [matrix.rows, matrix.columns]);
    }
    streamed = writeStreams(mat, reader, sheets.timeline, task);
    pixels = writeImages(mat, reader, task);
    h5.close();
    h5.readBack(task, (file) => {
      const { spikes, eyeSamples } = reader.streamCounts();
      task.check("presentations", reader.presentations().length, sheets.presentations.rows);
      task.check("spikes", spikes, streamed.spikes);
      task.check("eye samples", eyeSamples, streamed.eyeSamples);
      for (const one of pixels) comparePixels(lib, file, one, reader, task);
    });
    addHeader(bare, task.temporary, info.startedUtc);
  } finally {
    h5.close();
    rmSync(bare, { force: true });
  }
}

function transposed(values: Int32Array | Float64Array, rows: number, columns: number): Int32Array | Float64Array {
  const out = values instanceof Int32Array ? new Int32Array(values.length) : new Float64Array(values.length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column] ?? 0;
  return out;
}

/** Spikes and gaze as columns, block after block. Returns how many there were. */
function writeStreams(mat: Mat, reader: SessionReader, timeline: Timeline, task: ExportTask): { readonly spikes: number; readonly eyeSamples: number } {
  const { spikes: spikeCount, eyeSamples } = reader.streamCounts();
  const spikes = mat.struct(mat.h5.root, "spikes");
  const eye = mat.struct(mat.h5.root, "eye");
  const stream = (parent: Group, name: string, type: NumberType, count: number): RowWriter | null => (count === 0 ? (mat.numbers(parent, name, new Float64Array(0), [0, 1]), null) : mat.h5.rows(parent, name, type, count, "column", { gzip: true }));
  const finish = (writers: readonly (readonly [RowWriter | null, NumberType])[]): void => {
    for (const [writer, type] of writers) {
      writer?.end();
      if (writer !== null && writer !== undefined) mat.markClass(writer.dataset, matlabClass[type]);
    }
  };
  const spikeTimes = stream(spikes, "time_s", "f64", spikeCount);
  const spikeChannels = stream(spikes, "channel_index", "u16", spikeCount);
  const spikeUnits = stream(spikes, "sorted_unit", "u8", spikeCount);
  let done = 0;
  for (const { seq, batch } of reader.spikeBatches()) {
    spikeTimes?.push(batch.timesRigNs.map((time) => timeline.rigS(time, seq)));
    spikeChannels?.push(batch.channels);
    spikeUnits?.push(batch.units);
    done += batch.timesRigNs.length;
    task.step(0.1 + (0.3 * done) / Math.max(1, spikeCount), "writing spikes");
  }
  finish([[spikeTimes, "f64"], [spikeChannels, "u16"], [spikeUnits, "u8"]]);
  const eyeTimes = stream(eye, "time_s", "f64", eyeSamples);
  const eyeX = stream(eye, "x_deg", "f32", eyeSamples);
  const eyeY = stream(eye, "y_deg", "f32", eyeSamples);
  const eyeValid = stream(eye, "valid", "u8", eyeSamples);
  let gaze = 0;
  for (const { seq, batch } of reader.eyeBatches()) {
    eyeTimes?.push(batch.timesRigNs.map((time) => timeline.rigS(time, seq)));
    eyeX?.push(batch.xDeg);
    eyeY?.push(batch.yDeg);
    eyeValid?.push(batch.valid);
    gaze += batch.timesRigNs.length;
    task.step(0.4 + (0.2 * gaze) / Math.max(1, eyeSamples), "writing gaze");
  }
  finish([[eyeTimes, "f64"], [eyeX, "f32"], [eyeY, "f32"], [eyeValid, "u8"]]);
  return { spikes: done, eyeSamples: gaze };
}

interface PixelArray {
  readonly path: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly ids: readonly number[];
}

/** Images of one size in one array, `rgb` (height x width x 3 x count) with `image_id`; one struct for each size. */
function writeImages(mat: Mat, reader: SessionReader, task: ExportTask): readonly PixelArray[] {
  const bySize = new Map<string, { widthPx: number; heightPx: number; ids: number[] }>();
  for (const { imageId, widthPx, heightPx } of reader.images()) {
    const size = bySize.get(`${widthPx}x${heightPx}`) ?? { widthPx, heightPx, ids: [] };
    size.ids.push(imageId);
    bySize.set(`${widthPx}x${heightPx}`, size);
  }
  return [...bySize].map(([name, { widthPx, heightPx, ids }]) => {
    const struct = mat.struct(mat.h5.root, `pixels_${name}`);
    mat.column(struct, "image_id", Float64Array.from(ids));
    const rows = mat.h5.rows(struct, "rgb", "u8", ids.length, [3, widthPx, heightPx], { gzip: true });
    ids.forEach((imageId, i) => {
      if (i % 20 === 0) task.step(0.6 + (0.3 * i) / ids.length, "writing images");
      const stored = reader.imageFile(imageId);
      const decoded = stored === null ? null : decodePng(stored.png);
      if (decoded === null || !decoded.ok) throw new Error(`expected image ${imageId} to decode, got ${decoded?.error.message ?? "no image"}`);
      rows.push(reordered(decoded.value.rgb, widthPx, heightPx, "toColumns"));
    });
    rows.end();
    mat.markClass(rows.dataset, "uint8");
    return { path: rows.dataset.path, widthPx, heightPx, ids };
  });
}

/** Pixels row by row with their colours together, to or from column by column in three planes. */
function reordered(from: Numbers, widthPx: number, heightPx: number, way: "toColumns" | "toRows"): Uint8Array {
  const out = new Uint8Array(from.length);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      for (let c = 0; c < 3; c++) {
        const byRow = (y * widthPx + x) * 3 + c;
        const byColumn = (c * widthPx + x) * heightPx + y;
        if (way === "toColumns") out[byColumn] = from[byRow] ?? 0;
        else out[byRow] = from[byColumn] ?? 0;
      }
    }
  }
  return out;
}

function comparePixels(lib: H5, file: File, { path, widthPx, heightPx, ids }: PixelArray, reader: SessionReader, task: ExportTask): void {
  const dataset = file.get(path);
  if (!(dataset instanceof lib.Dataset)) throw new Error(`expected pixels at ${path}, got none`);
  const perImage = widthPx * heightPx * 3;
  let row = 0;
  for (const block of blocksOf(dataset)) {
    for (let at = 0; at < block.length; at += perImage, row++) {
      const hash = createHash("sha256").update(reordered(block.subarray(at, at + perImage), widthPx, heightPx, "toRows")).digest("hex");
      task.check(`pixels of image ${ids[row]}`, reader.imageFile(ids[row] ?? Number.NaN)?.rgbSha256, hash);
    }
  }
}

/** Puts the MATLAB header before the HDF5 file: 116 bytes of text, version 0x0200, byte order "IM", zeros up to 512. */
function addHeader(from: string, to: string, startedUtc: string): void {
  const header = Buffer.alloc(512);
  header.write(`MATLAB 7.3 MAT-file, Platform: Evoked, Created on: ${new Date(startedUtc).toUTCString()} HDF5 schema 1.00 .`.padEnd(116, " "), 0, "latin1");
  header.writeUInt16LE(0x0200, 124);
  header.write("IM", 126, "latin1");
  const source = openSync(from, "r");
  const target = openSync(to, "w");
  try {
    writeSync(target, header);
    const size = fstatSync(source).size;
    const block = Buffer.alloc(8 * 2 ** 20);
    for (let at = 0; at < size; ) {
      const read = readSync(source, block, 0, block.length, at);
      writeSync(target, block, 0, read);
      at += read;
    }
  } finally {
    closeSync(source);
    closeSync(target);
  }
}
