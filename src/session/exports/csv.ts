// A session as a folder of CSV files and PNG images, and as a folder of images alone. Missing values are empty cells; numbers are
// written so that they read back to the same value. Knows nothing about threads or names of folders.
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { SessionReader } from "../reader.ts";
import { decodePng } from "../png.ts";
import { csvLine, parseCsv } from "./csvText.ts";
import { readSheets, sheetNames } from "./sheets.ts";
import type { Column, Matrix, SessionSheets, Sheet } from "./sheets.ts";
import type { ExportTask } from "./task.ts";

/** A file of the folder; `rows` may be asked for again, to compare. */
interface CsvTable {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly description: string }[];
  rows(): Iterable<readonly string[]>;
}

function numberCell(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "" : String(value);
}

function cellsOf(column: Column): (row: number) => string {
  if (column.kind === "text") return (row) => column.values[row] ?? "";
  if (column.kind === "flag") return (row) => (column.values[row] === 1 ? "true" : "false");
  return (row) => numberCell(column.values[row]);
}

function sheetTable(sheet: Sheet): CsvTable {
  const cells = sheet.columns.map(cellsOf);
  return {
    name: sheet.name,
    columns: sheet.columns,
    *rows() {
      for (let row = 0; row < sheet.rows; row++) yield cells.map((cell) => cell(row));
    },
  };
}

/** A matrix with the numbers of its rows in front; missing counts (-1) are empty. */
function matrixTable(matrix: Matrix, rowName: string, ids: readonly string[], columnNames: readonly string[]): CsvTable {
  const missing = matrix.values instanceof Int32Array ? -1 : Number.NaN;
  return {
    name: matrix.name,
    columns: [{ name: rowName, description: `Row of ${rowName}` }, ...columnNames.map((name) => ({ name, description: matrix.description }))],
    *rows() {
      for (let row = 0; row < matrix.rows; row++) {
        const values = Array.from(matrix.values.subarray(row * matrix.columns, (row + 1) * matrix.columns), (value) => (value === missing ? "" : numberCell(value)));
        yield [ids[row] ?? "", ...values];
      }
    },
  };
}

function idsOf(sheet: Sheet, name: string): string[] {
  const column = sheet.columns.find((one) => one.name === name);
  if (column === undefined) throw new Error(`expected a column ${name} in ${sheet.name}`);
  const cell = cellsOf(column);
  return Array.from({ length: sheet.rows }, (_, row) => cell(row));
}

function spikesTable(reader: SessionReader, { timeline }: SessionSheets): CsvTable {
  return {
    name: "spikes",
    columns: [
      { name: "time_s", description: "Seconds since the session's start" },
      { name: "channel_index", description: "Channel number, 0-based" },
      { name: "sorted_unit", description: "Unit as sorted online; 0: unsorted" },
      { name: "rig_ns", description: "Time on the rig's clock, ns" },
    ],
    *rows() {
      for (const { seq, batch } of reader.spikeBatches()) {
        for (let i = 0; i < batch.timesRigNs.length; i++) {
          const rigNs = batch.timesRigNs[i] ?? 0;
          yield [String(timeline.rigS(rigNs, seq)), String(batch.channels[i]), String(batch.units[i]), String(rigNs)];
        }
      }
    },
  };
}

function eyeTable(reader: SessionReader, { timeline }: SessionSheets): CsvTable {
  return {
    name: "eye",
    columns: [
      { name: "time_s", description: "Seconds since the session's start" },
      { name: "x_deg", description: "Gaze relative to the fixation spot, right positive, degrees" },
      { name: "y_deg", description: "Gaze relative to the fixation spot, up positive, degrees" },
      { name: "valid", description: "Whether the tracker saw the eye" },
    ],
    *rows() {
      for (const { seq, batch } of reader.eyeBatches()) {
        for (let i = 0; i < batch.timesRigNs.length; i++) {
          yield [String(timeline.rigS(batch.timesRigNs[i] ?? 0, seq)), numberCell(batch.xDeg[i]), numberCell(batch.yDeg[i]), batch.valid[i] === 1 ? "true" : "false"];
        }
      }
    },
  };
}

const rowsPerStep = 20_000;

function writeTable(folder: string, table: CsvTable, onRows: () => void): number {
  const descriptor = openSync(join(folder, `${table.name}.csv`), "w");
  let rows = 0;
  try {
    let text = csvLine(table.columns.map((column) => column.name));
    for (const row of table.rows()) {
      text += csvLine(row);
      if (text.length > 1 << 20) {
        writeSync(descriptor, text);
        text = "";
      }
      if (++rows % rowsPerStep === 0) onRows();
    }
    writeSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
  return rows;
}

/** The text of a file, piece by piece. */
export function* readPieces(path: string): Generator<string> {
  const descriptor = openSync(path, "r");
  const decoder = new StringDecoder("utf8");
  const block = Buffer.alloc(1 << 20);
  try {
    for (;;) {
      const read = readSync(descriptor, block, 0, block.length, null);
      if (read === 0) break;
      yield decoder.write(block.subarray(0, read));
    }
    yield decoder.end();
  } finally {
    closeSync(descriptor);
  }
}

/** Parses the file and asks the database again, row by row. */
function compareTable(folder: string, table: CsvTable, task: ExportTask, onRows: () => void): number {
  const parsed = parseCsv(readPieces(join(folder, `${table.name}.csv`)));
  task.check(`${table.name}.csv, header`, table.columns.map((column) => column.name).join("\n"), (parsed.next().value ?? []).join("\n"));
  let rows = 0;
  for (const expected of table.rows()) {
    const got = parsed.next();
    const row = got.done === true ? [] : got.value;
    // A row of one empty cell is an empty line, which no reader counts.
    if (expected.length !== row.length || expected.some((cell, i) => cell !== row[i])) task.check(`${table.name}.csv, row ${rows + 1}`, expected.join(), row.join());
    if (++rows % rowsPerStep === 0) onRows();
  }
  task.check(`${table.name}.csv, end`, true, parsed.next().done);
  return rows;
}

export function writeCsv(reader: SessionReader, task: ExportTask): void {
  task.step(0, "reading the session");
  const folder = task.temporary;
  mkdirSync(folder);
  const sheets = readSheets(reader);
  const channelNames = Array.from({ length: Math.max(sheets.counts.columns, sheets.channels.rows) }, (_, i) => idsOf(sheets.channels, "channel_index")[i] ?? String(i)).map((id) => `channel_${id}`);
  const presentationIds = idsOf(sheets.presentations, "presentation_id");
  const tables: CsvTable[] = [
    ...sheetNames.map((name) => sheetTable(sheets[name])),
    matrixTable(sheets.counts, "presentation_id", presentationIds, channelNames.slice(0, sheets.counts.columns)),
    matrixTable(sheets.baselineCounts, "presentation_id", presentationIds, channelNames.slice(0, sheets.baselineCounts.columns)),
    matrixTable(sheets.latents, "image_id", idsOf(sheets.images, "image_id"), Array.from({ length: sheets.latents.columns }, (_, i) => `z${i}`)),
    ...(sheets.coefficients.rows === 0 ? [] : [matrixTable(sheets.coefficients, "weights_sha256", idsOf(sheets.neuronModels, "weights_sha256"), Array.from({ length: sheets.coefficients.columns }, (_, i) => `feature_${i}`))]),
    spikesTable(reader, sheets),
    eyeTable(reader, sheets),
  ];
  const columns: CsvTable = {
    name: "columns",
    columns: [{ name: "file", description: "File" }, { name: "column", description: "Column" }, { name: "description", description: "What it holds" }],
    rows: () => tables.flatMap((table) => table.columns.map((column) => [`${table.name}.csv`, column.name, column.description])),
  };
  const { configJson, ...info } = reader.info();
  writeFileSync(join(folder, "session.json"), `${JSON.stringify({ ...info, config: JSON.parse(configJson) }, null, 2)}\n`);
  const all = [...tables, columns];
  const written = all.map((table, i) => writeTable(folder, table, () => task.step(0.1 + (0.4 * i) / all.length, `writing ${table.name}`)));
  writePngFiles(reader, join(folder, "images"), (done) => task.step(0.5 + 0.1 * done, "writing images"));
  all.forEach((table, i) => task.check(`${table.name}.csv, rows`, written[i], compareTable(folder, table, task, () => task.step(0.6 + (0.35 * i) / all.length, `comparing ${table.name}`))));
  task.check("spikes", reader.streamCounts().spikes, written[tables.findIndex((table) => table.name === "spikes")]);
  task.check("eye samples", reader.streamCounts().eyeSamples, written[tables.findIndex((table) => table.name === "eye")]);
  comparePngFiles(reader, join(folder, "images"), task);
}

/** The images as PNG files with a list of them and their latent codes. */
export function writeImageFolder(reader: SessionReader, task: ExportTask): void {
  task.step(0, "reading the session");
  const folder = task.temporary;
  mkdirSync(folder);
  const sheets = readSheets(reader);
  const list = sheetTable(sheets.images);
  const names = reader.images().map(fileName);
  const listWithFiles: CsvTable = {
    name: "images",
    columns: [{ name: "file", description: "File" }, ...list.columns],
    *rows() {
      let row = 0;
      for (const cells of list.rows()) yield [names[row++] ?? "", ...cells];
    },
  };
  const latents = matrixTable(sheets.latents, "image_id", idsOf(sheets.images, "image_id"), Array.from({ length: sheets.latents.columns }, (_, i) => `z${i}`));
  for (const table of [listWithFiles, latents, sheetTable(sheets.scores)]) {
    writeTable(folder, table, () => task.step(0.1, `writing ${table.name}`));
    compareTable(folder, table, task, () => task.step(0.1, `comparing ${table.name}`));
  }
  writePngFiles(reader, folder, (done) => task.step(0.1 + 0.6 * done, "writing images"));
  comparePngFiles(reader, folder, task);
}

function fileName(image: { readonly imageId: number; readonly imageKind: string; readonly thread: number | null; readonly generation: number | null; readonly individual: number | null }): string {
  const place = image.generation === null ? "" : `_t${image.thread ?? 0}_g${String(image.generation).padStart(3, "0")}_i${String(image.individual ?? 0).padStart(3, "0")}`;
  return `image_${String(image.imageId).padStart(6, "0")}_${image.imageKind}${place}.png`;
}

function writePngFiles(reader: SessionReader, folder: string, onStep: (done: number) => void): void {
  mkdirSync(folder, { recursive: true });
  const images = reader.images();
  images.forEach((image, i) => {
    if (i % 20 === 0) onStep(i / images.length);
    const stored = reader.imageFile(image.imageId);
    if (stored === null) throw new Error(`expected image ${image.imageId}, got none`);
    writeFileSync(join(folder, fileName(image)), stored.png);
  });
}

/** Decodes every file and compares its pixels with the hash in the database. */
function comparePngFiles(reader: SessionReader, folder: string, task: ExportTask): void {
  const images = reader.images();
  images.forEach((image, i) => {
    if (i % 20 === 0) task.step(0.95 + (0.05 * i) / images.length, "comparing images");
    const decoded = decodePng(readFileSync(join(folder, fileName(image))));
    const hash = decoded.ok ? createHash("sha256").update(decoded.value.rgb).digest("hex") : decoded.error.message;
    task.check(`pixels of image ${image.imageId}`, reader.imageFile(image.imageId)?.rgbSha256, hash);
  });
}
