// A session as an NWB 2.7.0 file. Sources: the NWB core schema 2.7.0 and hdmf-common 1.8.0 (names, types, required attributes).
// Knows nothing about threads or names of files.
//
// Version 2.7.0, because readers of newer ones are missing in the field. No JSON in table columns, no lab metadata, no scratch.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { Dataset, File, Group } from "h5wasm/node";
import { FaultError } from "../../shared/result.ts";
import { latestVersion } from "../migrations/index.ts";
import { dandiPath } from "../metadata.ts";
import { decodePng } from "../png.ts";
import type { SessionReader } from "../reader.ts";
import { blocksOf, createH5, textsOf } from "./hdf5.ts";
import type { H5, H5Writer, Numbers } from "./hdf5.ts";
import { readSheets } from "./sheets.ts";
import type { Column, Matrix, SessionSheets, Sheet } from "./sheets.ts";
import type { ExportTask } from "./task.ts";
import { readUnitTrains } from "./units.ts";

const nwbVersion = "2.7.0";

type Node = Group | Dataset;

interface Nwb {
  readonly h5: H5Writer;
  /** Marks a group or dataset as an object of a neurodata type. */
  typed<T extends Node>(node: T, type: string, namespace?: "core" | "hdmf-common"): T;
  table(parent: Group, options: TableOptions): Group;
}

interface TableColumn {
  readonly name: string;
  readonly description: string;
  /** Adds the dataset of the column; vector data of the common namespace unless `type` says otherwise. */
  readonly write: (table: Group, name: string) => Dataset;
  readonly type?: "VectorData" | "VectorIndex" | "DynamicTableRegion";
  /** Further attributes. */
  readonly finish?: (column: Dataset, table: Group) => void;
  /** Index columns are not columns of their own. */
  readonly listed?: boolean;
}

interface TableOptions {
  readonly name: string;
  readonly description: string;
  readonly type?: "DynamicTable" | "TimeIntervals" | "Units";
  readonly rows: number;
  readonly columns: readonly TableColumn[];
}

/** Object ids are made from the session and the path: the same session gives the same file. */
function objectId(sessionId: string, path: string): string {
  const hex = createHash("sha256").update(`${sessionId} ${path}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function makeNwb(h5: H5Writer, sessionId: string): Nwb {
  const typed = <T extends Node>(node: T, type: string, namespace: "core" | "hdmf-common" = "core"): T => {
    h5.attribute(node, "namespace", namespace);
    h5.attribute(node, "neurodata_type", type);
    h5.attribute(node, "object_id", objectId(sessionId, node.path));
    return node;
  };
  return {
    h5,
    typed,
    table(parent, { name, description, type = "DynamicTable", rows, columns }) {
      const table = typed(h5.group(parent, name), type, type === "DynamicTable" ? "hdmf-common" : "core");
      h5.attribute(table, "description", description);
      h5.attribute(table, "colnames", columns.filter((column) => column.listed !== false).map((column) => column.name));
      typed(h5.numbers(table, "id", Int32Array.from({ length: rows }, (_, i) => i)), "ElementIdentifiers", "hdmf-common");
      for (const column of columns) {
        const dataset = typed(column.write(table, column.name), column.type ?? "VectorData", "hdmf-common");
        h5.attribute(dataset, "description", column.description);
        column.finish?.(dataset, table);
      }
      return table;
    },
  };
}

/** Whole numbers that all have a value are integers in the file; others are floats with NaN for "no value". */
function numbersOf(column: Extract<Column, { kind: "number" }>): Numbers {
  const integers = column.whole && column.values.every((value) => Number.isInteger(value) && Math.abs(value) < 2 ** 31);
  return integers ? Int32Array.from(column.values) : column.values;
}

function fromSheet(h5: H5Writer, column: Column, rename: Readonly<Record<string, string>> = {}): TableColumn {
  return {
    name: rename[column.name] ?? column.name,
    description: column.description,
    write(table, name) {
      if (column.kind === "text") return h5.texts(table, name, column.values);
      return h5.numbers(table, name, column.kind === "flag" ? column.values : numbersOf(column));
    },
  };
}

function fromMatrix(h5: H5Writer, matrix: Matrix): TableColumn {
  return { name: matrix.name, description: matrix.description, write: (table, name) => h5.numbers(table, name, matrix.values, [matrix.rows, matrix.columns]) };
}

/** Sheets that are time intervals call their times start_time and stop_time. */
const intervalNames = { start_s: "start_time", stop_s: "stop_time" };

/** JSON may not stand in table columns; it is in the session file. */
function plainColumns(sheet: Sheet): readonly Column[] {
  return sheet.columns.filter((column) => !column.name.endsWith("_json"));
}

/** Names of objects may not hold a slash or a colon. */
function objectName(name: string, otherwise: string): string {
  const clean = name.replaceAll(/[/:]/g, "-").trim();
  return clean === "" ? otherwise : clean;
}

/** Numbers names that come twice. */
function distinct(names: readonly string[]): string[] {
  const used = new Map<string, number>();
  return names.map((name) => {
    const times = (used.get(name) ?? 0) + 1;
    used.set(name, times);
    return times === 1 ? name : `${name} ${times}`;
  });
}

export interface NwbOptions {
  /** Time of the export, ISO 8601. */
  readonly now: string;
  /**
   * An NWB 2.7.0 file by another program, whose cached copy of the NWB schema is taken over; null: none. Readers fall back to the
   * schema that they come with, which every one in the field has for 2.7.0.
   */
  readonly specificationsFrom: string | null;
}

export function writeNwb(reader: SessionReader, lib: H5, task: ExportTask, { now, specificationsFrom }: NwbOptions): void {
  task.step(0, "reading the session");
  const info = reader.info();
  const sheets = readSheets(reader);
  const h5 = createH5(lib, task.temporary);
  const nwb = makeNwb(h5, info.id);
  try {
    writeRoot(nwb, reader, now);
    if (specificationsFrom !== null) copySpecifications(nwb, lib, specificationsFrom);
    const general = h5.group(h5.root, "general");
    writeGeneral(nwb, reader, general);
    for (const name of ["acquisition", "analysis"]) h5.group(h5.root, name);
    const electrodes = writeElectrodes(nwb, reader, general);
    task.step(0.05, "sorting spikes");
    writeUnits(nwb, reader, sheets, electrodes, task);
    writeIntervals(nwb, sheets);
    const order = writeImages(nwb, reader, task);
    writePresentedImages(nwb, sheets, order);
    task.step(0.7, "writing gaze, rewards and events");
    const processing = h5.group(h5.root, "processing");
    writeBehavior(nwb, reader, sheets, processing, task);
    writeEvolution(nwb, sheets, processing);
    writeAnalyses(nwb, sheets, processing);
    writeEvents(nwb, sheets);
  } finally {
    h5.close();
  }
  h5.readBack(task, (file) => compareWithDatabase(lib, file, reader, task));
}

function writeRoot({ h5, typed }: Nwb, reader: SessionReader, now: string): void {
  const info = reader.info();
  typed(h5.root, "NWBFile");
  h5.attribute(h5.root, "nwb_version", nwbVersion);
  h5.text(h5.root, "identifier", info.id);
  h5.text(h5.root, "session_description", info.description || `${info.protocol} session`);
  h5.text(h5.root, "session_start_time", isoTime(info.startedUtc));
  h5.text(h5.root, "timestamps_reference_time", isoTime(info.startedUtc));
  h5.texts(h5.root, "file_create_date", [isoTime(now)]);
}

/** The schema as another file holds it: /specifications/<namespace>/<version>/<source>, one JSON text each. Errors: FaultError `badSpecifications`. */
function copySpecifications({ h5 }: Nwb, lib: H5, from: string): void {
  const refuse = (what: string): never => {
    throw new FaultError({ code: "badSpecifications", message: `Expected ${from} to be an NWB ${nwbVersion} file with a cached schema, got ${what}. Choose another file, or export without.` });
  };
  if (!existsSync(from)) return refuse("no file");
  let source: File;
  try {
    source = new lib.File(from, "r");
  } catch {
    return refuse("a file that is not HDF5");
  }
  try {
    const namespaces = source.get("specifications");
    if (!(namespaces instanceof lib.Group)) return refuse("a file without one");
    if (!(source.get(`specifications/core/${nwbVersion}`) instanceof lib.Group)) return refuse("a schema of another version");
    const home = h5.group(h5.root, "specifications");
    for (const namespace of namespaces.keys()) {
      const versions = source.get(`specifications/${namespace}`);
      if (!(versions instanceof lib.Group)) continue;
      const named = h5.group(home, namespace);
      for (const version of versions.keys()) {
        const texts = source.get(`specifications/${namespace}/${version}`);
        if (!(texts instanceof lib.Group)) continue;
        const versioned = h5.group(named, version);
        for (const name of texts.keys()) {
          const text = texts.get(name);
          if (text instanceof lib.Dataset) h5.text(versioned, name, textsOf(text)[0] ?? "");
        }
      }
    }
    h5.attribute(h5.root, ".specloc", home.create_reference());
  } finally {
    source.close();
  }
}

/** ISO 8601 with an explicit offset. */
function isoTime(instant: string): string {
  const at = new Date(instant);
  if (Number.isNaN(at.getTime())) throw new Error(`expected an ISO 8601 instant, got "${instant}"`);
  return at.toISOString().replace("Z", "+00:00");
}

function writeGeneral({ h5, typed }: Nwb, reader: SessionReader, general: Group): void {
  const info = reader.info();
  const { subject } = info;
  if (info.experimenters.length > 0) h5.texts(general, "experimenter", info.experimenters);
  if (info.institution !== "") h5.text(general, "institution", info.institution);
  if (info.lab !== "") h5.text(general, "lab", info.lab);
  h5.text(general, "experiment_description", info.description || `${info.protocol} session`);
  h5.texts(general, "keywords", [info.protocol, "closed loop", "visual cortex", "preferred images"]);
  h5.text(general, "session_id", dandiPath(info).name.replace(/^.*_ses-/, "").replace(/_.*$/, ""));
  h5.text(general, "protocol", info.protocol);
  h5.text(
    general,
    "notes",
    `Recorded by Evoked ${info.appVersion}, session file version ${latestVersion}, rig ${info.rig}, seed ${info.seed}. Time zero is the start of the session; rig times are mapped linearly. Configuration: ${info.configJson}`,
  );
  const person = typed(h5.group(general, "subject"), "Subject");
  h5.text(person, "subject_id", subject.id);
  h5.text(person, "species", subject.species);
  h5.text(person, "sex", subject.sex);
  if (subject.age !== null) h5.attribute(h5.text(person, "age", subject.age), "reference", "birth");
  if (subject.dateOfBirth !== null) h5.text(person, "date_of_birth", isoTime(`${subject.dateOfBirth}T00:00:00Z`));
  if (subject.weightKg !== null) h5.text(person, "weight", `${subject.weightKg} kg`);
  if (subject.description !== "") h5.text(person, "description", subject.description);
}

function writeElectrodes(nwb: Nwb, reader: SessionReader, general: Group): Group {
  const { h5, typed, table } = nwb;
  const devices = h5.group(general, "devices");
  const listed = reader.devices();
  const described = listed.length > 0 ? listed : [{ role: "spikes", name: "recording system", detail: "" }];
  const names = distinct(described.map((device) => objectName(device.name, "device")));
  const groups = described.map((device, i) => {
    const group = typed(h5.group(devices, names[i] ?? "device"), "Device");
    h5.attribute(group, "description", `${device.role}: ${device.detail || device.name}`);
    return group;
  });
  const recorder = groups[Math.max(0, described.findIndex((device) => device.role === "spikes"))];
  if (recorder === undefined) throw new Error("expected a recording device, got none");

  const ephys = h5.group(general, "extracellular_ephys");
  const channels = reader.channels();
  const areas = [...new Set(channels.map((channel) => objectName(channel.area, "unknown")))];
  const arrays = new Map(
    areas.map((area) => {
      const group = typed(h5.group(ephys, area), "ElectrodeGroup");
      h5.attribute(group, "description", `Array in ${area}`);
      h5.attribute(group, "location", area);
      h5.link(group, "device", recorder);
      return [area, group] as const;
    }),
  );
  const areaOf = channels.map((channel) => objectName(channel.area, "unknown"));
  const um = (of: (place: { x: number; y: number }) => number): Float32Array => Float32Array.from(channels, (c) => (c.positionMm === null ? Number.NaN : of(c.positionMm) * 1000));
  return table(ephys, {
    name: "electrodes",
    description: "Recording channels.",
    rows: channels.length,
    columns: [
      { name: "location", description: "Brain area", write: (t, name) => h5.texts(t, name, areaOf) },
      { name: "group", description: "Array", write: (t, name) => h5.references(t, name, areaOf.flatMap((area) => arrays.get(area) ?? [])) },
      { name: "group_name", description: "Name of the array", write: (t, name) => h5.texts(t, name, areaOf) },
      { name: "rel_x", description: "Place on the array, micrometres", write: (t, name) => h5.numbers(t, name, um((place) => place.x)) },
      { name: "rel_y", description: "Place on the array, micrometres", write: (t, name) => h5.numbers(t, name, um((place) => place.y)) },
      { name: "channel_name", description: "Name in the recording system", write: (t, name) => h5.texts(t, name, channels.map((channel) => channel.name)) },
      { name: "channel_index", description: "Channel number of the recording, 0-based", write: (t, name) => h5.numbers(t, name, Int32Array.from(channels, (channel) => channel.index)) },
    ],
  });
}

function writeUnits(nwb: Nwb, reader: SessionReader, sheets: SessionSheets, electrodes: Group, task: ExportTask): void {
  const { h5, table } = nwb;
  const trains = readUnitTrains(reader, sheets.timeline, (done) => task.step(0.05 + 0.25 * done, "sorting spikes"));
  const { units } = trains;
  if (units.length === 0) return;
  const rowOf = new Map(reader.channels().map((channel, row) => [channel.index, row]));
  const regions = units.map(({ channel }) => rowOf.get(channel));
  const pairs = trains.observedS.length / 2;
  const observed = new Float64Array(units.length * trains.observedS.length);
  units.forEach((_, i) => observed.set(trains.observedS, i * trains.observedS.length));
  const index = (target: string, ends: Numbers): TableColumn => ({
    name: `${target}_index`,
    description: `Index of ${target}: where each unit's values end`,
    type: "VectorIndex",
    listed: false,
    write: (t, name) => h5.numbers(t, name, ends),
    finish(column, t) {
      const data = t.get(target);
      if (data !== null && "create_reference" in data) h5.attribute(column, "target", data.create_reference());
    },
  });
  let regionEnd = 0;
  table(h5.root, {
    name: "units",
    type: "Units",
    description: "Units sorted online by the recording system; unit 0 of a channel holds its unsorted spikes.",
    rows: units.length,
    columns: [
      { name: "spike_times", description: "Spike times, s", write: (t, name) => h5.numbers(t, name, trains.timesS, [trains.timesS.length], { gzip: true }) },
      index("spike_times", Uint32Array.from(trains.ends)),
      { name: "obs_intervals", description: "When the recording system delivered, s", write: (t, name) => h5.numbers(t, name, observed, [units.length * pairs, 2]) },
      index("obs_intervals", Uint32Array.from(units, (_, i) => (i + 1) * pairs)),
      {
        name: "electrodes",
        description: "Channel of the unit",
        type: "DynamicTableRegion",
        write: (t, name) => h5.numbers(t, name, Int32Array.from(regions.flatMap((row) => row ?? []))),
        finish: (column) => h5.attribute(column, "table", electrodes.create_reference()),
      },
      index("electrodes", Uint32Array.from(regions, (row) => (regionEnd += row === undefined ? 0 : 1))),
      { name: "channel_index", description: "Channel number of the recording, 0-based", write: (t, name) => h5.numbers(t, name, Int32Array.from(units, ({ channel }) => channel)) },
      { name: "sorted_unit", description: "Unit on the channel as sorted online; 0: unsorted", write: (t, name) => h5.numbers(t, name, Int32Array.from(units, ({ unit }) => unit)) },
    ],
  });
}

function writeIntervals(nwb: Nwb, sheets: SessionSheets): void {
  const { h5, table } = nwb;
  const intervals = h5.group(h5.root, "intervals");
  const write = (sheet: Sheet, further: readonly TableColumn[]): void => {
    if (sheet.rows === 0) return;
    table(intervals, {
      name: sheet.name,
      type: "TimeIntervals",
      description: sheet.description,
      rows: sheet.rows,
      columns: [...plainColumns(sheet).map((column) => fromSheet(h5, column, intervalNames)), ...further],
    });
  };
  write(sheets.trials, []);
  write(sheets.presentations, sheets.counts.columns === 0 ? [] : [fromMatrix(h5, sheets.counts), fromMatrix(h5, sheets.baselineCounts)]);
}

/** Writes every image once, in the order of its number; gives the place of each in that order. */
function writeImages({ h5, typed }: Nwb, reader: SessionReader, task: ExportTask): Map<number, number> {
  const stimulus = h5.group(h5.root, "stimulus");
  const templates = h5.group(stimulus, "templates");
  h5.group(stimulus, "presentation");
  const images = [...reader.images()].sort((a, b) => a.imageId - b.imageId);
  const order = new Map<number, number>();
  if (images.length === 0) return order;
  const group = typed(h5.group(templates, "images"), "Images");
  h5.attribute(group, "description", "Every image of the session, evolved and reference.");
  const written = images.map((image, i) => {
    if (i % 20 === 0) task.step(0.3 + (0.4 * i) / images.length, "writing images");
    const stored = reader.imageFile(image.imageId);
    const decoded = stored === null ? null : decodePng(stored.png);
    if (decoded === null || !decoded.ok) throw new Error(`expected image ${image.imageId} to decode, got ${decoded?.error.message ?? "no image"}`);
    const { rgb, widthPx, heightPx } = decoded.value;
    const dataset = typed(h5.numbers(group, imageName(image.imageId), rgb, [heightPx, widthPx, 3], { gzip: true }), "RGBImage");
    const of = image.generation === null ? "" : `, generation ${image.generation}, individual ${image.individual}`;
    h5.attribute(dataset, "description", `${image.imageKind}${of}${image.label === "" ? "" : `, ${image.label}`}`);
    order.set(image.imageId, i);
    return dataset;
  });
  typed(h5.references(group, "order_of_images", written), "ImageReferences");
  return order;
}

function imageName(imageId: number): string {
  return `image_${String(imageId).padStart(6, "0")}`;
}

function numbers(sheet: Sheet, name: string): Float64Array {
  const column = sheet.columns.find((one) => one.name === name);
  if (column === undefined || column.kind !== "number") throw new Error(`expected a column of numbers ${name} in ${sheet.name}`);
  return column.values;
}

function words(sheet: Sheet, name: string): readonly string[] {
  const column = sheet.columns.find((one) => one.name === name);
  if (column === undefined || column.kind !== "text") throw new Error(`expected a column of texts ${name} in ${sheet.name}`);
  return column.values;
}

/** The attributes that every time series' data needs. */
function describeData(h5: H5Writer, data: Dataset, unit: string): void {
  h5.attribute(data, "unit", unit);
  h5.attribute(data, "conversion", Float32Array.of(1));
  h5.attribute(data, "resolution", Float32Array.of(-1));
  h5.attribute(data, "offset", Float32Array.of(0));
}

function writeTimestamps(h5: H5Writer, series: Group, timesS: Float64Array): void {
  const timestamps = h5.numbers(series, "timestamps", timesS, [timesS.length], { gzip: true });
  h5.attribute(timestamps, "interval", Int32Array.of(1));
  h5.attribute(timestamps, "unit", "seconds");
}

function describeSeries(h5: H5Writer, series: Group, description: string): void {
  h5.attribute(series, "description", description);
  h5.attribute(series, "comments", "no comments");
}

function writePresentedImages({ h5, typed }: Nwb, sheets: SessionSheets, order: ReadonlyMap<number, number>): void {
  const times = numbers(sheets.presentations, "start_s");
  const ids = numbers(sheets.presentations, "image_id");
  const frames = numbers(sheets.presentations, "frames_shown");
  // Imported sessions do not know their frames.
  const planned = numbers(sheets.presentations, "frames_planned");
  const shown = Array.from(times.keys()).filter((row) => ((frames[row] ?? 0) > 0 || planned[row] === 0) && order.has(ids[row] ?? Number.NaN));
  if (shown.length === 0) return;
  const stimulus = h5.root.get("stimulus");
  const presentation = h5.root.get("stimulus/presentation");
  const images = h5.root.get("stimulus/templates/images");
  if (stimulus === null || !isGroup(presentation) || !isGroup(images)) throw new Error("expected the stimulus groups, got none");
  const series = typed(h5.group(presentation, "presented_images"), "IndexSeries");
  describeSeries(h5, series, "Onset of every image that was shown; the table of presentations says which of them count.");
  const data = h5.numbers(series, "data", Uint32Array.from(shown, (row) => order.get(ids[row] ?? Number.NaN) ?? 0));
  describeData(h5, data, "N/A");
  writeTimestamps(h5, series, Float64Array.from(shown, (row) => times[row] ?? 0));
  h5.link(series, "indexed_images", images);
}

function isGroup(node: unknown): node is Group {
  return typeof node === "object" && node !== null && "create_group" in node;
}

function writeBehavior(nwb: Nwb, reader: SessionReader, sheets: SessionSheets, processing: Group, task: ExportTask): void {
  const { h5, typed } = nwb;
  const eyeSamples = reader.streamCounts().eyeSamples;
  const given = sheets.rewards;
  if (eyeSamples === 0 && given.rows === 0) return;
  const behavior = typed(h5.group(processing, "behavior"), "ProcessingModule");
  h5.attribute(behavior, "description", "Gaze and rewards.");
  if (eyeSamples > 0) {
    const tracking = typed(h5.group(behavior, "EyeTracking"), "EyeTracking");
    const series = typed(h5.group(tracking, "eye_position"), "SpatialSeries");
    describeSeries(h5, series, "Gaze, right and up positive; NaN in blinks and where the track was lost.");
    const timesS = new Float64Array(eyeSamples);
    const rows = h5.rows(series, "data", "f32", eyeSamples, [2], { gzip: true });
    let at = 0;
    for (const { seq, batch } of reader.eyeBatches()) {
      const xy = new Float32Array(batch.timesRigNs.length * 2);
      for (let i = 0; i < batch.timesRigNs.length; i++) {
        const seen = batch.valid[i] === 1;
        xy[2 * i] = seen ? (batch.xDeg[i] ?? Number.NaN) : Number.NaN;
        xy[2 * i + 1] = seen ? (batch.yDeg[i] ?? Number.NaN) : Number.NaN;
        timesS[at + i] = sheets.timeline.rigS(batch.timesRigNs[i] ?? 0, seq);
      }
      at += batch.timesRigNs.length;
      rows.push(xy);
      task.step(0.7 + (0.15 * at) / eyeSamples, "writing gaze");
    }
    rows.end();
    describeData(h5, rows.dataset, "degrees");
    const rate = evenRate(timesS);
    if (rate === null) writeTimestamps(h5, series, timesS);
    else {
      const start = h5.numbers(series, "starting_time", timesS.slice(0, 1), []);
      h5.attribute(start, "rate", Float32Array.of(rate));
      h5.attribute(start, "unit", "seconds");
    }
    h5.text(series, "reference_frame", "Degrees of visual angle relative to the fixation spot");
  }
  if (given.rows > 0) {
    const delivered = given.columns.find((column) => column.name === "delivered");
    const rows = Array.from({ length: given.rows }, (_, i) => i).filter((i) => delivered?.kind === "flag" && delivered.values[i] === 1);
    if (rows.length === 0) return;
    const series = typed(h5.group(behavior, "reward"), "TimeSeries");
    describeSeries(h5, series, "Rewards given: length of each pulse.");
    const pulses = numbers(given, "pulse_ms");
    const times = numbers(given, "time_s");
    describeData(h5, h5.numbers(series, "data", Float64Array.from(rows, (i) => (pulses[i] ?? 0) / 1000)), "seconds");
    writeTimestamps(h5, series, Float64Array.from(rows, (i) => times[i] ?? 0));
  }
}

/** The sampling rate, where it places every sample within a microsecond even though the format keeps it as f32; else null. */
function evenRate(timesS: Float64Array): number | null {
  const first = timesS[0] ?? 0;
  const last = timesS.at(-1) ?? 0;
  if (timesS.length < 3 || last <= first) return null;
  const rate = Math.fround((timesS.length - 1) / (last - first));
  return timesS.every((time, i) => Math.abs(first + i / rate - time) < 1e-6) ? rate : null;
}

function writeEvolution(nwb: Nwb, sheets: SessionSheets, processing: Group): void {
  const { h5, typed, table } = nwb;
  const plain = [sheets.steps, sheets.generations, sheets.scores, sheets.images, sheets.models, sheets.marks, sheets.clockMaps, sheets.runs].filter((sheet) => sheet.rows > 0);
  if (plain.length === 0) return;
  const module = typed(h5.group(processing, "evolution"), "ProcessingModule");
  h5.attribute(module, "description", "The closed loop: steps of the plan, generations and their scores, images and their latent codes, models, marks and clocks.");
  for (const sheet of plain) {
    const intervals = sheet === sheets.generations || sheet === sheets.steps;
    table(module, {
      name: sheet.name,
      type: intervals ? "TimeIntervals" : "DynamicTable",
      description: sheet.description,
      rows: sheet.rows,
      columns: [
        ...plainColumns(sheet).map((column) => fromSheet(h5, column, intervals ? intervalNames : {})),
        ...(sheet === sheets.images && sheets.latents.columns > 0 ? [fromMatrix(h5, sheets.latents)] : []),
      ],
    });
  }
}

function writeAnalyses(nwb: Nwb, sheets: SessionSheets, processing: Group): void {
  const { h5, typed, table } = nwb;
  const made = [sheets.neuronModels, sheets.ablations, sheets.visualisations, sheets.laterNotes].filter((sheet) => sheet.rows > 0);
  if (made.length === 0) return;
  const module = typed(h5.group(processing, "analysis"), "ProcessingModule");
  h5.attribute(module, "description", "What was made of the recording afterwards: models of neurons with their weights, ablations of them, what the images evolved for those came to, and later notes.");
  for (const sheet of made) {
    table(module, {
      name: sheet.name,
      description: sheet.description,
      rows: sheet.rows,
      columns: [...plainColumns(sheet).map((column) => fromSheet(h5, column)), ...(sheet === sheets.neuronModels ? [fromMatrix(h5, sheets.coefficients)] : [])],
    });
  }
}

function writeEvents({ h5, typed }: Nwb, sheets: SessionSheets): void {
  const { events } = sheets;
  if (events.rows === 0) return;
  const acquisition = h5.root.get("acquisition");
  if (!isGroup(acquisition)) throw new Error("expected the acquisition group, got none");
  const series = typed(h5.group(acquisition, "events"), "AnnotationSeries");
  describeSeries(h5, series, "Operator actions, alarms, faults and notes: category, severity, code and message.");
  const [categories, severities, codes, messages] = [words(events, "category"), words(events, "severity"), words(events, "code"), words(events, "message")];
  const data = h5.texts(series, "data", categories.map((category, i) => `${category} ${severities[i]} ${codes[i]}: ${messages[i]}`));
  h5.attribute(data, "unit", "n/a");
  h5.attribute(data, "conversion", Float32Array.of(1));
  h5.attribute(data, "resolution", Float32Array.of(-1));
  h5.attribute(data, "offset", Float32Array.of(0));
  writeTimestamps(h5, series, numbers(events, "time_s"));
}

/** Beyond the bytes: what is in the file against what the database says of itself. */
function compareWithDatabase(lib: H5, file: File, reader: SessionReader, task: ExportTask): void {
  const length = (path: string): number => {
    const found = file.get(path);
    return found instanceof lib.Dataset ? (found.shape?.[0] ?? 0) : 0;
  };
  const { spikes, eyeSamples } = reader.streamCounts();
  task.check("spikes", spikes, length("/units/spike_times"));
  task.check("presentations", reader.presentations().length, length("/intervals/presentations/id"));
  task.check("steps", reader.steps().filter((s) => s.state === "begun").length, reader.steps().length === 0 ? 0 : length("/processing/evolution/steps/id"));
  task.check("trials", reader.trials().length, length("/intervals/trials/id"));
  task.check("generations", reader.generations().length, length("/processing/evolution/generations/id"));
  task.check("neuron models", reader.neuronModels().length, length("/processing/analysis/neuron_models/id"));
  task.check("eye samples", eyeSamples, length("/processing/behavior/EyeTracking/eye_position/data"));
  const images = reader.images();
  images.forEach(({ imageId }, i) => {
    if (i % 50 === 0) task.step(1, "comparing images");
    const dataset = file.get(`/stimulus/templates/images/${imageName(imageId)}`);
    if (!(dataset instanceof lib.Dataset)) throw new Error(`expected image ${imageId} in the file, got none`);
    const hash = createHash("sha256");
    for (const block of blocksOf(dataset)) hash.update(new Uint8Array(block.buffer, block.byteOffset, block.byteLength));
    task.check(`pixels of image ${imageId}`, reader.imageFile(imageId)?.rgbSha256, hash.digest("hex"));
  });
}
