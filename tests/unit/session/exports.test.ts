import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportFormats, exportSession } from "../../../src/session/exports/index.ts";
import type { ExportFormat, ExportReport } from "../../../src/session/exports/index.ts";
import { parseCsv } from "../../../src/session/exports/csvText.ts";
import { loadHdf5, textsOf } from "../../../src/session/exports/hdf5.ts";
import type { H5 } from "../../../src/session/exports/hdf5.ts";
import { runExport } from "../../../src/session/exports/runExport.ts";
import type { ExportOrder } from "../../../src/session/exports/runExport.ts";
import { runTask } from "../../../src/session/exports/task.ts";
import { makeTimeline } from "../../../src/session/exports/timeline.ts";
import { decodePng } from "../../../src/session/png.ts";
import { addNote, readNotes } from "../../../src/session/laterNotes.ts";
import { openSession } from "../../../src/session/reader.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import type { SessionRecord, SessionRecordBody } from "../../../src/shared/records.ts";
import { unwrap } from "../../../src/shared/result.ts";
import type { Fault, Result } from "../../../src/shared/result.ts";
import { hostTimeNs, rigTimeNs } from "../../../src/shared/units.ts";
import { aSession, anInfo } from "./aSession.ts";

const records = [...aSession({ seed: 31, generations: 2, imagePx: 12 })];
/** The fake rig is 5 s ahead of the host and its clock 12.5 ppm fast; the session starts at host time 0. */
const rigAheadNs = 5e9;
const sessionS = (rigNs: number): number => (rigNs - rigAheadNs) / 1e9;

function kind<K extends SessionRecord["kind"]>(wanted: K): Extract<SessionRecord, { kind: K }>[] {
  return records.filter((record): record is Extract<SessionRecord, { kind: K }> => record.kind === wanted);
}

const spikes = kind("spikes").flatMap(({ batch }) =>
  Array.from(batch.timesRigNs, (time, i) => ({ timeS: sessionS(time), channel: batch.channels[i] ?? 0, unit: batch.units[i] ?? 0 })),
);

const later = { text: 'The headstage was loose, "perhaps", from 13:50', atUtc: "2025-11-23T09:00:00.000Z" };
let folder = "";
let file = "";
let h5: H5;
const reports = new Map<ExportFormat, ExportReport>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "evoked-exports-"));
  const writer = unwrap(await createSession({ folder, fileName: "one.evoked", info: anInfo(), thread: "caller" }));
  for (const record of records) writer.append(record);
  await writer.close();
  file = writer.file;
  unwrap(addNote(file, later.text, later.atUtc));
  h5 = await loadHdf5();
  // One in a thread of its own, as the app does; the rest here, to save starting threads.
  for (const format of exportFormats) reports.set(format, unwrap(await (format === "nwb" ? exportSession : exportHere)({ file, format, outDir: join(folder, "out") })));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function exportHere(order: Omit<ExportOrder, "now">): Promise<Result<ExportReport, Fault>> {
  return runExport({ ...order, now: "2025-11-23T00:00:00Z" }, { onProgress: () => undefined, isCancelled: () => false });
}

function pathOf(format: ExportFormat): string {
  const report = reports.get(format);
  if (report === undefined) throw new Error(`expected an export to ${format}`);
  return report.path;
}

function openHdf5(path: string): { readonly numbers: (at: string) => number[]; readonly texts: (at: string) => string[]; readonly attribute: (at: string, name: string) => unknown; readonly shape: (at: string) => number[]; close(): void } {
  const opened = new h5.File(path, "r");
  const dataset = (at: string): InstanceType<H5["Dataset"]> => {
    const found = opened.get(at);
    if (!(found instanceof h5.Dataset)) throw new Error(`expected a dataset at ${at}`);
    return found;
  };
  return {
    numbers(at) {
      const { value } = dataset(at);
      if (!ArrayBuffer.isView(value) || value instanceof DataView) throw new Error(`expected numbers at ${at}`);
      return Array.from(value, Number);
    },
    texts: (at) => textsOf(dataset(at)),
    attribute(at, name) {
      const found = at === "/" ? opened : opened.get(at);
      if (!(found instanceof h5.Dataset) && !(found instanceof h5.Group)) throw new Error(`expected something at ${at}`);
      return found.attrs[name]?.value;
    },
    shape: (at) => dataset(at).shape ?? [],
    close: () => void opened.close(),
  };
}

describe("an export", () => {
  test("appears under its name, compared with the session, with nothing left beside it", () => {
    const left = readdirSync(join(folder, "out")).sort();
    expect(left).toStrictEqual(["one-csv", "one-images", "one-parquet", "one.mat", "one.notes.json", "one.sqlite", "sub-A1"]);
    expect(readdirSync(join(folder, "out", "sub-A1"))).toStrictEqual(["sub-A1_ses-20251122T134500_behavior+ecephys+image.nwb"]);
    for (const report of reports.values()) {
      expect(report.checks).toBeGreaterThan(10);
      expect(report.sizeBytes).toBeGreaterThan(1000);
      const isFile = existsSync(report.path) && !statSync(report.path).isDirectory();
      expect(report.sha256).toBe(isFile ? createHash("sha256").update(readFileSync(report.path)).digest("hex") : null);
    }
  });

  test("does not replace one that is there, unless told to", async () => {
    const again = { file, format: "csv", outDir: join(folder, "out") } as const;
    writeFileSync(join(pathOf("csv"), "mine.txt"), "mine");
    expect(await exportHere(again)).toMatchObject({ ok: false, error: { code: "exportExists", message: expect.stringContaining("one-csv already exists") } });
    expect(existsSync(join(pathOf("csv"), "mine.txt"))).toBe(true);
    expect(await exportHere({ ...again, overwrite: true })).toMatchObject({ ok: true });
    expect(existsSync(join(pathOf("csv"), "mine.txt"))).toBe(false);
  });

  test("says how far it is, and leaves nothing when it is cancelled", async () => {
    const outDir = join(folder, "never");
    for (const format of exportFormats) {
      const stages: string[] = [];
      let steps = 0;
      const cancelled = await runExport(
        { file, format, outDir, now: "2025-11-23T00:00:00Z" },
        {
          onProgress(done, stage) {
            expect(done).toBeGreaterThanOrEqual(0);
            expect(done).toBeLessThanOrEqual(1);
            stages.push(stage);
          },
          isCancelled: () => ++steps > 2,
        },
      );
      expect(cancelled).toMatchObject({ ok: false, error: { code: "exportCancelled" } });
      expect(stages.length).toBe(2);
    }
    expect(existsSync(outDir)).toBe(false);
    expect(await exportSession({ file, format: "csv", outDir: join(folder, "never"), signal: AbortSignal.abort() })).toMatchObject({ ok: false, error: { code: "exportCancelled" } });
    expect(existsSync(outDir)).toBe(false);
  });

  test("that reads back differently is not kept", async () => {
    const result = await runTask({ target: join(folder, "wrong"), overwrite: false, onProgress: () => undefined, isCancelled: () => false }, (task) => {
      writeFileSync(task.temporary, "data");
      task.check("spikes", 3, 4);
    });
    expect(result).toMatchObject({ ok: false, error: { code: "exportMismatch", message: expect.stringContaining("spikes: expected 3, got 4") } });
    expect(readdirSync(folder).filter((name) => name.includes("wrong"))).toStrictEqual([]);
  });

  test("of a file that is no session, or to a place that is no folder, is refused with a sentence", async () => {
    expect(await exportHere({ file: join(folder, "none.evoked"), format: "nwb", outDir: folder })).toMatchObject({ ok: false, error: { code: "cannotOpen" } });
    writeFileSync(join(folder, "file"), "");
    expect(await exportHere({ file, format: "mat", outDir: join(folder, "file") })).toMatchObject({ ok: false, error: { message: expect.stringContaining("file") } });
    if (process.platform !== "win32" && process.getuid?.() !== 0) {
      mkdirSync(join(folder, "locked"));
      chmodSync(join(folder, "locked"), 0o555);
      expect(await exportHere({ file, format: "csv", outDir: join(folder, "locked") })).toMatchObject({ ok: false, error: { code: "notWritable" } });
    }
  });

  test("of a session that is being recorded holds what was committed, and the recording goes on", async () => {
    const place = join(folder, "live");
    const writer = unwrap(await createSession({ folder: place, fileName: "live.evoked", info: anInfo(), thread: "worker" }));
    const half = Math.floor(records.length / 2);
    for (const record of records.slice(0, half)) writer.append(record);
    await writer.flush();
    for (const format of ["sqlite", "nwb"] as const) expect(await exportHere({ file: writer.file, format, outDir: join(place, "out") })).toMatchObject({ ok: true });
    for (const record of records.slice(half)) writer.append(record);
    await writer.close();
    expect(writer.status().failure).toBeNull();
    const copy = unwrap(openSession(join(place, "out", "live.sqlite")));
    expect([...copy.records()]).toStrictEqual(records.slice(0, half));
    copy.close();
  });
});

describe("an NWB file", () => {
  test("has what every reader needs at its root, and the subject", () => {
    const nwb = openHdf5(pathOf("nwb"));
    expect([nwb.attribute("/", "neurodata_type"), nwb.attribute("/", "namespace"), nwb.attribute("/", "nwb_version")]).toStrictEqual(["NWBFile", "core", "2.7.0"]);
    expect(nwb.texts("/identifier")).toStrictEqual([anInfo().id]);
    expect(nwb.texts("/session_start_time")).toStrictEqual(["2025-11-22T13:45:00.000+00:00"]);
    expect(nwb.texts("/timestamps_reference_time")).toStrictEqual(["2025-11-22T13:45:00.000+00:00"]);
    expect(nwb.texts("/file_create_date").length).toBe(1);
    expect(["subject_id", "species", "sex", "age", "weight"].map((name) => nwb.texts(`/general/subject/${name}`)[0])).toStrictEqual(["A1", "Macaca mulatta", "M", "P7Y", "9.5 kg"]);
    expect(nwb.texts("/general/experimenter")).toStrictEqual(["Doe, Jane"]);
    nwb.close();
  });

  test("takes the cached schema over from another file of its version, and refuses any other", async () => {
    const schema = join(folder, "schema.nwb");
    const make = (version: string): void => {
      const made = new h5.File(schema, "w");
      made.create_group("specifications").create_group("core");
      made.create_group(`specifications/core/${version}`).create_dataset({ name: "nwb.base", data: '{"groups":[]}', shape: [], dtype: "S" });
      made.close();
    };
    const order = { file, format: "nwb", outDir: join(folder, "schema"), nwbSpecificationsFrom: schema } as const;
    const refused = { ok: false, error: { code: "badSpecifications", message: expect.stringContaining("NWB 2.7.0 file with a cached schema") } };
    expect(await exportHere(order)).toMatchObject(refused);
    make("2.2.0");
    expect(await exportHere(order)).toMatchObject(refused);
    make("2.7.0");
    const nwb = openHdf5(unwrap(await exportHere(order)).path);
    expect(nwb.texts("/specifications/core/2.7.0/nwb.base")).toStrictEqual(['{"groups":[]}']);
    expect(nwb.attribute("/", ".specloc")).toStrictEqual([expect.any(h5.Reference)]);
    nwb.close();
  });

  test("has every spike of every unit, in order, with electrodes and observation intervals", () => {
    const nwb = openHdf5(pathOf("nwb"));
    const ends = nwb.numbers("/units/spike_times_index");
    const times = nwb.numbers("/units/spike_times");
    const channels = nwb.numbers("/units/channel_index");
    const units = nwb.numbers("/units/sorted_unit");
    expect(times.length).toBe(spikes.length);
    channels.forEach((channel, i) => {
      const expected = spikes.filter((spike) => spike.channel === channel && spike.unit === units[i]).map((spike) => spike.timeS);
      expect(times.slice(ends[i - 1] ?? 0, ends[i])).toStrictEqual(expected);
    });
    expect(new Set(channels).size).toBe(12);
    expect(nwb.numbers("/units/electrodes")).toStrictEqual(channels);
    const observed = nwb.numbers("/units/obs_intervals").slice(0, 2);
    expect(observed[0]).toBeLessThanOrEqual(spikes[0]?.timeS ?? 0);
    expect(observed[1]).toBeGreaterThanOrEqual(spikes.at(-1)?.timeS ?? 0);
    expect(nwb.texts("/general/extracellular_ephys/electrodes/location").slice(0, 5)).toStrictEqual(["V1", "V1", "V1", "V1", "V4"]);
    nwb.close();
  });

  test("has presentations, counts, images, their order, latents and generations", () => {
    const nwb = openHdf5(pathOf("nwb"));
    const presentations = kind("presentation");
    expect(nwb.numbers("/intervals/presentations/start_time")).toStrictEqual(presentations.map((p) => sessionS(p.onsetRigNs ?? 0)));
    expect(nwb.shape("/intervals/presentations/counts")).toStrictEqual([presentations.length, 12]);
    expect(nwb.numbers("/intervals/presentations/counts")).toStrictEqual(presentations.flatMap((p) => Array.from(p.counts ?? new Int32Array(12).fill(-1), Number)));
    expect(nwb.texts("/intervals/presentations/excluded_because")).toStrictEqual(presentations.map((p) => p.excluded ?? ""));
    const images = kind("image");
    expect(nwb.numbers("/stimulus/presentation/presented_images/data")).toStrictEqual(presentations.map((p) => images.findIndex((image) => image.imageId === p.imageId)));
    for (const image of images) expect(nwb.numbers(`/stimulus/templates/images/image_${String(image.imageId).padStart(6, "0")}`)).toStrictEqual([...image.rgb]);
    expect(nwb.shape("/stimulus/templates/images/order_of_images")).toStrictEqual([images.length]);
    expect(nwb.numbers("/processing/evolution/images/latents")).toStrictEqual(images.flatMap((image) => [...(image.latent ?? new Float64Array(8).fill(Number.NaN))]));
    expect(nwb.numbers("/processing/evolution/generations/evolved_mean_hz")).toStrictEqual(kind("generation").map((g) => g.evolvedMean));
    expect(nwb.attribute("/intervals/presentations", "neurodata_type")).toBe("TimeIntervals");
    expect(nwb.numbers("/processing/behavior/reward/data")).toStrictEqual(kind("reward").map((reward) => reward.pulseMs / 1000));
    nwb.close();
  });

  test("has the neuron models with their weights, and what was made of them", () => {
    const nwb = openHdf5(pathOf("nwb"));
    const [model] = kind("neuronModel");
    const at = "/processing/analysis/neuron_models";
    expect(nwb.attribute(at, "neurodata_type")).toBe("DynamicTable");
    expect(nwb.shape(`${at}/coefficients_hz`)).toStrictEqual([1, 10]);
    expect(nwb.numbers(`${at}/coefficients_hz`)).toStrictEqual([...(model?.coefficientsHz ?? [])]);
    expect([nwb.numbers(`${at}/r2_test`)[0], nwb.numbers(`${at}/intercept_hz`)[0], nwb.texts(`${at}/layer`)[0]]).toStrictEqual([model?.r2Test, model?.interceptHz, model?.layer]);
    expect(nwb.numbers("/processing/analysis/ablations/removed_share")).toStrictEqual(kind("ablation").map((ablation) => ablation.removedShare));
    expect(nwb.numbers("/processing/analysis/visualisations/activation_hz")).toStrictEqual(kind("visualisation").map((image) => image.activationHz));
    nwb.close();
  });

  test("has the gaze, with NaN where the eye was not seen", () => {
    const nwb = openHdf5(pathOf("nwb"));
    const gaze = nwb.numbers("/processing/behavior/EyeTracking/eye_position/data");
    const expected = kind("eye").flatMap(({ batch }) => Array.from(batch.valid).flatMap((valid, i) => (valid === 1 ? [batch.xDeg[i] ?? 0, batch.yDeg[i] ?? 0] : [Number.NaN, Number.NaN])));
    expect(gaze).toStrictEqual(expected);
    expect(gaze.some((value) => Number.isNaN(value))).toBe(true);
    nwb.close();
  });
});

describe("a MATLAB file", () => {
  test("is HDF5 behind a MATLAB header", () => {
    const bytes = readFileSync(pathOf("mat"));
    expect(bytes.subarray(0, 19).toString("latin1")).toBe("MATLAB 7.3 MAT-file");
    expect([...bytes.subarray(124, 128)]).toStrictEqual([0x00, 0x02, 0x49, 0x4d]);
    expect(bytes.subarray(513, 516).toString("latin1")).toBe("HDF");
  });

  test("holds columns as MATLAB sees them, pixels as height x width x 3 x count, and texts in cells", () => {
    const mat = openHdf5(pathOf("mat"));
    expect(mat.shape("/spikes/time_s")).toStrictEqual([1, spikes.length]);
    expect(mat.numbers("/spikes/time_s")).toStrictEqual(spikes.map((spike) => spike.timeS));
    expect(mat.numbers("/spikes/channel_index")).toStrictEqual(spikes.map((spike) => spike.channel));
    expect(mat.attribute("/spikes/time_s", "MATLAB_class")).toBe("double");
    expect(mat.attribute("/spikes", "MATLAB_class")).toBe("struct");
    const images = kind("image");
    expect(mat.shape("/pixels_12x12/rgb")).toStrictEqual([images.length, 3, 12, 12]);
    const pixels = mat.numbers("/pixels_12x12/rgb");
    // MATLAB's rgb(y, x, c, n), 0-based, lies at ((n * 3 + c) * width + x) * height + y.
    images.forEach((image, n) => expect(pixels[((n * 3 + 2) * 12 + 7) * 12 + 4]).toBe(image.rgb[(4 * 12 + 7) * 3 + 2]));
    const counts = mat.numbers("/counts");
    kind("presentation").forEach((p, row) => expect(counts[3 * kind("presentation").length + row]).toBe(p.counts?.[3] ?? -1));
    expect(String.fromCharCode(...mat.numbers("/session/subject_id"))).toBe("A1");
    expect(mat.attribute("/events/message", "MATLAB_class")).toBe("cell");
    mat.close();
  });
});

describe("a folder of CSV files", () => {
  const rows = (name: string): Record<string, string>[] => {
    const [header = [], ...body] = parseCsv([readFileSync(join(pathOf("csv"), `${name}.csv`), "utf8")]);
    return body.map((cells) => Object.fromEntries(header.map((column, i) => [column, cells[i] ?? ""])));
  };

  test("has every spike, presentation, count and score, with empty cells for what is missing", () => {
    expect(rows("spikes").map((row) => [Number(row["time_s"]), Number(row["channel_index"]), Number(row["sorted_unit"])])).toStrictEqual(spikes.map((s) => [s.timeS, s.channel, s.unit]));
    const presentations = kind("presentation");
    expect(rows("presentations").map((row) => row["rate_hz"])).toStrictEqual(presentations.map((p) => (p.rateHz === null ? "" : String(p.rateHz))));
    expect(rows("counts").map((row) => row["channel_3"])).toStrictEqual(presentations.map((p) => (p.counts === null ? "" : String(p.counts[3]))));
    expect(rows("scores").map((row) => row["score_hz"])).toStrictEqual(kind("generation").flatMap((g) => Array.from(g.scores, (score) => (Number.isNaN(score) ? "" : String(score)))));
    const evolved = kind("image").find((image) => image.latent !== null);
    expect(rows("latents").find((row) => row["image_id"] === String(evolved?.imageId))?.["z5"]).toBe(String(evolved?.latent?.[5]));
  });

  test("has the weights of every model, by the model's name", () => {
    const [model] = kind("neuronModel");
    expect(rows("coefficients_hz")).toStrictEqual([{ weights_sha256: model?.weightsSha256, ...Object.fromEntries([...(model?.coefficientsHz ?? [])].map((weight, i) => [`feature_${i}`, String(weight)])) }]);
    expect(rows("visualisations").map((row) => row["activation_hz"])).toStrictEqual(kind("visualisation").map((image) => (Number.isNaN(image.activationHz) ? "" : String(image.activationHz))));
  });

  test("has the notes that were written afterwards, as every other format has", async () => {
    expect(rows("later_notes")).toMatchObject([{ at_utc: later.atUtc, text: later.text }]);
    expect(await parquetReadObjects({ file: await asyncBufferFromFile(join(pathOf("parquet"), "later_notes.parquet")) })).toMatchObject([{ text: later.text }]);
    const nwb = openHdf5(pathOf("nwb"));
    expect(nwb.texts("/processing/analysis/later_notes/text")).toStrictEqual([later.text]);
    nwb.close();
    const mat = openHdf5(pathOf("mat"));
    expect(mat.attribute("/later_notes/text", "MATLAB_class")).toBe("cell");
    mat.close();
    expect(unwrap(readNotes(pathOf("sqlite"))).later).toMatchObject([later]);
  });

  test("explains every column of every file", () => {
    const explained = rows("columns").map((row) => `${row["file"]} ${row["column"]}`);
    const found = readdirSync(pathOf("csv"))
      .filter((name) => name.endsWith(".csv") && name !== "columns.csv")
      .flatMap((name) => [...parseCsv([readFileSync(join(pathOf("csv"), name), "utf8")])].slice(0, 1).flatMap((header) => header.map((column) => `${name} ${column}`)));
    expect(found.filter((column) => !explained.includes(column))).toStrictEqual([]);
    expect(rows("columns").filter((row) => row["description"] === "")).toStrictEqual([]);
  });

  test("and a folder of images have every image as PNG with its pixels", () => {
    for (const place of [join(pathOf("csv"), "images"), pathOf("images")]) {
      const names = readdirSync(place).filter((name) => name.endsWith(".png"));
      expect(names.length).toBe(kind("image").length);
      for (const image of kind("image")) {
        const name = names.find((each) => each.startsWith(`image_${String(image.imageId).padStart(6, "0")}`)) ?? "";
        expect(unwrap(decodePng(readFileSync(join(place, name)))).rgb).toStrictEqual(image.rgb);
      }
    }
  });
});

describe("a folder of Parquet files", () => {
  const rows = async (name: string): Promise<Record<string, unknown>[]> => parquetReadObjects({ file: await asyncBufferFromFile(join(pathOf("parquet"), `${name}.parquet`)) });

  test("has spikes, presentations with their counts as lists, and generations", async () => {
    expect(await rows("spikes")).toStrictEqual(
      spikes.map((s, i) => ({ time_s: s.timeS, channel_index: s.channel, sorted_unit: s.unit, rig_ns: kind("spikes").flatMap(({ batch }) => [...batch.timesRigNs])[i] })).slice(0, spikes.length),
    );
    const presentations = await rows("presentations");
    expect(presentations.map((row) => row["counts"] ?? null)).toStrictEqual(kind("presentation").map((p) => (p.counts === null ? null : [...p.counts])));
    expect(presentations.map((row) => row["excluded_because"])).toStrictEqual(kind("presentation").map((p) => p.excluded));
    expect((await rows("generations")).map((row) => row["evolved_mean_hz"])).toStrictEqual(kind("generation").map((g) => g.evolvedMean));
    expect((await rows("images")).map((row) => row["latents"] ?? null)).toStrictEqual(kind("image").map((image) => (image.latent === null ? null : [...image.latent])));
  });
});

describe("an SQLite snapshot", () => {
  test("is one plain session file with the same records", () => {
    const copy = unwrap(openSession(pathOf("sqlite")));
    expect([...copy.records()]).toStrictEqual(records);
    copy.close();
    const db = new Database(pathOf("sqlite"), { readonly: true });
    expect(db.pragma("journal_mode", { simple: true })).toBe("delete");
    db.close();
  });
});

describe("one time axis for all runs", () => {
  test("goes on where the rig clock went on, and is placed by the computer's clock where it started again", async () => {
    const make = (seq: number, hostNs: number, body: SessionRecordBody): SessionRecord => ({ ...body, seq, hostNs: hostTimeNs(hostNs) });
    const clock = (seq: number, hostNs: number, anchorRigNs: number): SessionRecord =>
      make(seq, hostNs, { kind: "clock", anchorHostNs: hostTimeNs(hostNs), anchorRigNs: rigTimeNs(anchorRigNs), driftPpm: 0, uncertaintyMs: 0.1 });
    const mark = (seq: number, rigNs: number): SessionRecord => make(seq, 0, { kind: "mark", markKind: "ttl", rigNs: rigTimeNs(rigNs), line: 1, state: true, word: null, presentationId: null });
    const writer = unwrap(await createSession({ folder, fileName: "runs.evoked", info: anInfo(), thread: "caller" }));
    for (const record of [clock(1, 1e9, 10e9), mark(2, 11e9), mark(3, 20e9)]) writer.append(record);
    await writer.close();
    const run = { appVersion: "0", hostKind: "test" as const };
    const second = unwrap(await resumeSession(writer.file, { ...run, startedUtc: "2025-11-22T13:46:00.000Z" }, { thread: "caller" }));
    for (const record of [clock(4, 0, 70e9), mark(5, 71e9)]) second.append(record);
    await second.close();
    const third = unwrap(await resumeSession(writer.file, { ...run, startedUtc: "2025-11-22T13:50:00.000Z" }, { thread: "caller" }));
    for (const record of [clock(6, 0, 2e9), mark(7, 3e9)]) third.append(record);
    await third.close();
    const reader = unwrap(openSession(writer.file));
    const timeline = makeTimeline(reader);
    expect(timeline.rigS(11e9, 2)).toBe(1);
    expect(timeline.hostS(3e9, 3)).toBe(2);
    expect(timeline.rigS(71e9, 5)).toBe(61);
    expect(timeline.hostS(0, 5)).toBe(60);
    // Five minutes after the start by the computer's clock.
    expect(timeline.rigS(3e9, 7)).toBe(301);
    expect([2, 5, 7].map((seq) => timeline.runOf(seq))).toStrictEqual([0, 1, 2]);
    reader.close();
  });
});

test("exporting the same session twice gives the same NWB objects", async () => {
  const again = unwrap(await exportHere({ file, format: "nwb", outDir: join(folder, "again") }));
  const [one, other] = [openHdf5(pathOf("nwb")), openHdf5(again.path)];
  expect(other.attribute("/units", "object_id")).toBe(one.attribute("/units", "object_id"));
  expect(createHash("sha256").update(other.numbers("/units/spike_times").join()).digest("hex")).toBe(createHash("sha256").update(one.numbers("/units/spike_times").join()).digest("hex"));
  one.close();
  other.close();
});
