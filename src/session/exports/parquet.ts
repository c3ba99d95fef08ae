// A session as a folder of Parquet files, one per sheet, with spike counts and latent codes as lists in their rows. Missing values are
// nulls. Knows nothing about threads or names of folders.
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet";
import type { SchemaElement } from "hyparquet";
import { ParquetWriter, fileWriter } from "hyparquet-writer";
import type { SessionReader } from "../reader.ts";
import { readSheets, sheetNames } from "./sheets.ts";
import type { Column, Matrix, Sheet } from "./sheets.ts";
import type { ExportTask } from "./task.ts";

type Cell = number | boolean | string | readonly (number | null)[] | null;

/** A column of a file: its type, and its cells for a range of rows. */
interface FileColumn {
  readonly name: string;
  readonly type: "DOUBLE" | "FLOAT" | "INT32" | "BOOLEAN" | "STRING" | "INT32[]" | "DOUBLE[]";
  cells(from: number, to: number): readonly Cell[];
}

/** Rows of a row group: about 16 MB of numbers, so that memory stays flat. */
const rowsPerGroup = 500_000;

function schemaOf(columns: readonly FileColumn[]): SchemaElement[] {
  const own = columns.flatMap(({ name, type }): SchemaElement[] => {
    if (type === "STRING") return [{ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" }];
    if (type === "INT32[]" || type === "DOUBLE[]") {
      return [
        { name, repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        { name: "element", type: type === "INT32[]" ? "INT32" : "DOUBLE", repetition_type: "OPTIONAL" },
      ];
    }
    return [{ name, type, repetition_type: "OPTIONAL" }];
  });
  return [{ name: "root", num_children: columns.length }, ...own];
}

function numberOrNull(value: number | undefined): number | null {
  return value === undefined || Number.isNaN(value) ? null : value;
}

function fromColumn(column: Column): FileColumn {
  const { name } = column;
  switch (column.kind) {
    case "text":
      return { name, type: "STRING", cells: (from, to) => column.values.slice(from, to).map((value) => (value === "" ? null : value)) };
    case "flag":
      return { name, type: "BOOLEAN", cells: (from, to) => Array.from(column.values.subarray(from, to), (value) => value === 1) };
    case "number": {
      const whole = column.whole && column.values.every((value) => Number.isNaN(value) || Math.abs(value) < 2 ** 31);
      return { name, type: whole ? "INT32" : "DOUBLE", cells: (from, to) => Array.from(column.values.subarray(from, to), numberOrNull) };
    }
  }
}

/** A row of the matrix as a list; null where the whole row is missing. */
function fromMatrix(matrix: Matrix): FileColumn {
  const counts = matrix.values instanceof Int32Array;
  return {
    name: matrix.name,
    type: counts ? "INT32[]" : "DOUBLE[]",
    cells: (from, to) =>
      Array.from({ length: to - from }, (_, i) => {
        const row = matrix.values.subarray((from + i) * matrix.columns, (from + i + 1) * matrix.columns);
        const values = Array.from(row, (value) => (counts && value === -1 ? null : numberOrNull(value)));
        return values.every((value) => value === null) ? null : values;
      }),
  };
}

/** Of a column's cells as they are in the file. Numbers go in as bytes (a null as NaN), which is much faster than as text. */
function hashCells(cells: ArrayLike<unknown>): string {
  const hash = createHash("sha256");
  const values = new Float64Array(cells.length);
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i] ?? null;
    if (cell !== null && typeof cell !== "number") return hash.update(JSON.stringify(Array.from(cells, (each) => each ?? null))).digest("hex");
    values[i] = cell ?? Number.NaN;
  }
  return hash.update(new Uint8Array(values.buffer)).digest("hex");
}

/** One Parquet file, written row group by row group, with a hash of each group's columns for reading back. */
class ParquetFile {
  readonly path: string;
  readonly #writer: ParquetWriter;
  readonly #hashes: string[][] = [];
  readonly #groups: number[] = [];
  #names: readonly string[];

  constructor(path: string, schema: SchemaElement[], names: readonly string[]) {
    this.path = path;
    this.#names = names;
    this.#writer = new ParquetWriter({ writer: fileWriter(path), schema, createdBy: "evoked" });
  }

  async add(columns: readonly { readonly name: string; readonly cells: readonly Cell[] }[]): Promise<void> {
    const rows = columns[0]?.cells.length ?? 0;
    if (rows === 0) return;
    await this.#writer.write({ columnData: columns.map(({ name, cells }) => ({ name, data: [...cells] })), rowGroupSize: rows });
    this.#groups.push(rows);
    this.#hashes.push(columns.map(({ cells }) => hashCells(cells)));
  }

  async finish(): Promise<void> {
    await this.#writer.finish();
  }

  /** Reads the file and compares every column of every group. Returns the number of rows. */
  async readBack(what: string, task: ExportTask): Promise<number> {
    const file = await asyncBufferFromFile(this.path);
    const metadata = await parquetMetadataAsync(file);
    let from = 0;
    for (const [group, rows] of this.#groups.entries()) {
      for (const [c, name] of this.#names.entries()) {
        const cells: unknown[] = [];
        await parquetRead({
          file,
          metadata,
          columns: [name],
          rowStart: from,
          rowEnd: from + rows,
          onChunk({ columnData }) {
            for (let i = 0; i < columnData.length; i++) cells.push(columnData[i]);
          },
        });
        task.check(`${what}, rows of ${name} of group ${group}`, rows, cells.length);
        task.check(`${what}, ${name} of group ${group}`, this.#hashes[group]?.[c], hashCells(cells));
      }
      from += rows;
      task.step(0.9, `comparing ${what}`);
    }
    task.check(`${what}, rows`, from, Number(metadata.num_rows));
    return from;
  }
}

async function writeSheet(folder: string, sheet: Sheet, further: readonly Matrix[], task: ExportTask): Promise<number> {
  const columns = [...sheet.columns.map(fromColumn), ...further.filter((matrix) => matrix.columns > 0).map(fromMatrix)];
  const file = new ParquetFile(join(folder, `${sheet.name}.parquet`), schemaOf(columns), columns.map(({ name }) => name));
  for (let from = 0; from < sheet.rows; from += rowsPerGroup) {
    const to = Math.min(sheet.rows, from + rowsPerGroup);
    await file.add(columns.map((column) => ({ name: column.name, cells: column.cells(from, to) })));
  }
  await file.finish();
  return file.readBack(sheet.name, task);
}

interface StreamColumn {
  readonly name: string;
  readonly type: FileColumn["type"];
  readonly values: number[] | boolean[];
}

/** A stream of batches as one file; `push` adds a batch's values to the columns. */
async function writeStream<B>(path: string, what: string, columns: readonly StreamColumn[], batches: Iterable<B>, push: (batch: B) => void, task: ExportTask): Promise<number> {
  const file = new ParquetFile(path, schemaOf(columns.map(({ name, type }) => ({ name, type, cells: () => [] }))), columns.map(({ name }) => name));
  const flush = async (): Promise<void> => {
    await file.add(columns.map(({ name, values }) => ({ name, cells: values })));
    for (const { values } of columns) values.length = 0;
    task.step(0.5, `writing ${what}`);
  };
  for (const batch of batches) {
    push(batch);
    if ((columns[0]?.values.length ?? 0) >= rowsPerGroup) await flush();
  }
  await flush();
  await file.finish();
  return file.readBack(what, task);
}

export async function writeParquet(reader: SessionReader, task: ExportTask): Promise<void> {
  task.step(0, "reading the session");
  const folder = task.temporary;
  mkdirSync(folder);
  const sheets = readSheets(reader);
  const rows = new Map<string, number>();
  for (const [i, name] of sheetNames.entries()) {
    task.step((0.3 * i) / sheetNames.length, `writing ${name}`);
    const further = name === "presentations" ? [sheets.counts, sheets.baselineCounts] : name === "images" ? [sheets.latents] : name === "neuronModels" ? [sheets.coefficients] : [];
    rows.set(name, await writeSheet(folder, sheets[name], further, task));
  }
  const { timeline } = sheets;
  const time: number[] = [];
  const rig: number[] = [];
  const channel: number[] = [];
  const unit: number[] = [];
  const spikes = await writeStream(
    join(folder, "spikes.parquet"),
    "spikes",
    [
      { name: "time_s", type: "DOUBLE", values: time },
      { name: "channel_index", type: "INT32", values: channel },
      { name: "sorted_unit", type: "INT32", values: unit },
      { name: "rig_ns", type: "DOUBLE", values: rig },
    ],
    reader.spikeBatches(),
    ({ seq, batch }) => {
      for (let i = 0; i < batch.timesRigNs.length; i++) {
        const rigNs = batch.timesRigNs[i] ?? 0;
        time.push(timeline.rigS(rigNs, seq));
        rig.push(rigNs);
        channel.push(batch.channels[i] ?? 0);
        unit.push(batch.units[i] ?? 0);
      }
    },
    task,
  );
  const eyeTime: number[] = [];
  const x: number[] = [];
  const y: number[] = [];
  const valid: boolean[] = [];
  const eyeSamples = await writeStream(
    join(folder, "eye.parquet"),
    "gaze",
    [
      { name: "time_s", type: "DOUBLE", values: eyeTime },
      { name: "x_deg", type: "DOUBLE", values: x },
      { name: "y_deg", type: "DOUBLE", values: y },
      { name: "valid", type: "BOOLEAN", values: valid },
    ],
    reader.eyeBatches(),
    ({ seq, batch }) => {
      for (let i = 0; i < batch.timesRigNs.length; i++) {
        eyeTime.push(timeline.rigS(batch.timesRigNs[i] ?? 0, seq));
        x.push(batch.xDeg[i] ?? 0);
        y.push(batch.yDeg[i] ?? 0);
        valid.push(batch.valid[i] === 1);
      }
    },
    task,
  );
  const counts = reader.streamCounts();
  task.check("spikes", counts.spikes, spikes);
  task.check("eye samples", counts.eyeSamples, eyeSamples);
  task.check("presentations", reader.presentations().length, rows.get("presentations"));
  task.check("generations", reader.generations().length, rows.get("generations"));
}
