// Another lab's evolution as a session file: a folder of images and a CSV of responses, so that reviews, fits and exports work on old
// data. What the CSV does not say (spikes, gaze, timing of frames, optimizer states) is left empty, never made up. Knows nothing about rigs.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import type { ImageRecord, SessionInfo, SessionRecordBody } from "../shared/records.ts";
import { FaultError, err, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { hostTimeNs, nsPerMs } from "../shared/units.ts";
import { parseCsv } from "./exports/csvText.ts";
import { createSession } from "./writer.ts";

export interface EvolutionImport {
  /**
   * One row per presentation, in the order they were shown. Columns: `image` (file name in the folder) and `rate_hz`; optional `generation`
   * (0-based), `kind` ("evolved", the default, or "reference"), `thread` (0-based), `excluded` ("true" where the response does not count)
   * and any number of `channel_<name>`: whole spike counts of further channels in the window.
   */
  readonly csvFile: string;
  readonly imageFolder: string;
  /** Where the session file goes. */
  readonly folder: string;
  readonly fileName?: string;
  readonly info: SessionInfo;
  /** Response window after onset, for the rates and counts. */
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  /** Time between presentations, for the order on the time axis. Default 250 ms. */
  readonly intervalMs?: number;
  readonly onProgress?: (done: number) => void;
}

export interface ImportedEvolution {
  readonly file: string;
  readonly images: number;
  readonly presentations: number;
  readonly generations: number;
}

interface Row {
  readonly line: number;
  readonly image: string;
  readonly rateHz: number;
  readonly generation: number | null;
  readonly kind: "evolved" | "reference";
  readonly thread: number;
  readonly excluded: boolean;
  readonly counts: Uint16Array | null;
}

/** Errors: `badImport` (with the line of the CSV), `imageMissing`, and those of making a session file. */
export async function importEvolution(options: EvolutionImport): Promise<Result<ImportedEvolution, Fault>> {
  const { csvFile, imageFolder, folder, fileName, info, windowStartMs, windowEndMs, intervalMs = 250, onProgress } = options;
  if (!(windowEndMs > windowStartMs)) return fault("badImport", `Expected a response window that ends after it starts, got ${windowStartMs} to ${windowEndMs} ms.`);
  if (!existsSync(csvFile)) return fault("badImport", `Expected a CSV file at ${csvFile}; there is none.`);
  const parsed = parseRows(readFileSync(csvFile, "utf8").replace(/^\uFEFF/, ""), csvFile);
  if (!parsed.ok) return parsed;
  const { rows, channelNames } = parsed.value;
  const missing = [...new Set(rows.map((row) => row.image))].filter((name) => !existsSync(join(imageFolder, name)));
  if (missing.length > 0) return fault("imageMissing", `${csvFile} names ${missing.length} images that are not in ${imageFolder}, the first "${missing[0]}". Add them, or correct the CSV.`);

  const created = await createSession({ folder, info, ...(fileName === undefined ? {} : { fileName }) });
  if (!created.ok) return created;
  const writer = created.value;
  let nowNs = 0;
  const append = (body: SessionRecordBody): void => writer.append({ ...body, seq: writer.nextSeq, hostNs: hostTimeNs(nowNs) });
  try {
    append({ kind: "channels", channels: channelNames.map((name, index) => ({ index, name, area: "", positionMm: null })) });
    append({ kind: "event", category: "note", severity: "info", code: "imported", message: `Imported from ${csvFile}: responses without spikes, gaze, frame times or optimizer states.`, dataJson: JSON.stringify({ csvFile, imageFolder }) });
    const imageIds = new Map<string, number>();
    const individuals = new Map<string, string[]>();
    let presentationId = 0;
    for (const [i, row] of rows.entries()) {
      const of = `${row.thread}/${row.generation}`;
      if (!imageIds.has(row.image)) {
        const own = individuals.get(of) ?? [];
        const individual = row.kind === "evolved" && row.generation !== null ? own.length : null;
        if (individual !== null) individuals.set(of, [...own, row.image]);
        imageIds.set(row.image, imageIds.size + 1);
        append(await imageRecord(join(imageFolder, row.image), row, imageIds.size, individual));
      }
      const scheduledHostNs = hostTimeNs(nowNs);
      nowNs += intervalMs * nsPerMs;
      append({
        kind: "presentation",
        presentationId: ++presentationId,
        trialId: presentationId,
        imageId: imageIds.get(row.image) ?? 0,
        thread: row.kind === "evolved" ? row.thread : null,
        generation: row.generation,
        step: null,
        block: null,
        item: null,
        placement: null,
        scheduledHostNs,
        flipHostNs: null,
        onsetRigNs: null,
        onsetSource: null,
        framesPlanned: 0,
        framesShown: 0,
        lateFrames: 0,
        counts: row.excluded ? null : row.counts,
        baselineCounts: null,
        rateHz: row.excluded ? null : row.rateHz,
        targetChannel: 0,
        windowStartMs,
        windowEndMs,
        // Why, the CSV does not say.
        excluded: row.excluded ? "stopped" : null,
      });
      const next = rows[i + 1];
      if (row.generation !== null && (next === undefined || next.generation !== row.generation)) {
        for (const thread of threadsOf(rows, row.generation)) append(generationRecord(rows, thread, row.generation, individuals.get(`${thread}/${row.generation}`) ?? [], imageIds));
      }
      if (i % 200 === 199) await writer.flush();
      onProgress?.((i + 1) / rows.length);
    }
    await writer.close();
    const { failure } = writer.status();
    if (failure !== null) return err(failure);
    return ok({ file: writer.file, images: imageIds.size, presentations: rows.length, generations: new Set(rows.map((row) => row.generation).filter((generation) => generation !== null)).size });
  } catch (error) {
    await writer.abandon();
    // Half an import is no session; the files that it came from are where they were.
    rmSync(writer.file, { force: true });
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  }
}

function parseRows(text: string, csvFile: string): Result<{ readonly rows: readonly Row[]; readonly channelNames: readonly string[] }, Fault> {
  const [header = [], ...lines] = parseCsv([text]);
  const names = header.map((name) => name.trim());
  const at = (name: string): number => names.indexOf(name);
  for (const needed of ["image", "rate_hz"]) {
    if (at(needed) < 0) return fault("badImport", `Expected a column "${needed}" in ${csvFile}, got ${names.join(", ") || "an empty file"}.`);
  }
  if (lines.length === 0) return fault("badImport", `Expected at least one presentation in ${csvFile}, got only its header.`);
  const countColumns = names.flatMap((name, column) => (name.startsWith("channel_") ? [{ name: name.slice("channel_".length), column }] : []));
  const rows: Row[] = [];
  let newest = 0;
  for (const [i, cells] of lines.entries()) {
    const line = i + 2;
    const wrong = (column: string, expected: string): Result<never, Fault> => fault("badImport", `Expected ${expected} in column "${column}" of ${csvFile}, line ${line}, got "${cells[at(column)] ?? ""}".`);
    const cell = (name: string): string => (at(name) < 0 ? "" : (cells[at(name)] ?? "").trim());
    const image = cell("image");
    if (image === "" || /(^|[\\/])\.\.([\\/]|$)/.test(image)) return wrong("image", "a file name in the folder of images");
    const excluded = cell("excluded").toLowerCase() === "true" || cell("excluded") === "1";
    const rateHz = Number(cell("rate_hz"));
    if (!excluded && (cell("rate_hz") === "" || !Number.isFinite(rateHz))) return wrong("rate_hz", "a rate in spikes/s");
    const generation = cell("generation") === "" ? null : Number(cell("generation"));
    if (generation !== null && !(Number.isInteger(generation) && generation >= 0)) return wrong("generation", "a whole number, 0 or more");
    if (generation !== null && generation < newest) return wrong("generation", `generation ${newest} or later (rows in the order they were shown)`);
    newest = generation ?? newest;
    const kind = cell("kind") === "" ? "evolved" : cell("kind");
    if (kind !== "evolved" && kind !== "reference") return wrong("kind", '"evolved" or "reference"');
    const thread = cell("thread") === "" ? 0 : Number(cell("thread"));
    if (!(Number.isInteger(thread) && thread >= 0)) return wrong("thread", "a whole number, 0 or more");
    const counts = countColumns.map(({ column }) => Number(cells[column]?.trim() || Number.NaN));
    const badCount = counts.findIndex((count) => !(Number.isInteger(count) && count >= 0 && count <= 0xffff));
    if (!excluded && badCount >= 0) return wrong(`channel_${countColumns[badCount]?.name ?? ""}`, "a whole number of spikes");
    rows.push({ line, image, rateHz, generation, kind, thread, excluded, counts: countColumns.length === 0 || excluded ? null : Uint16Array.from(counts) });
  }
  return ok({ rows, channelNames: countColumns.length > 0 ? countColumns.map(({ name }) => name) : ["target"] });
}

async function imageRecord(path: string, row: Row, imageId: number, individual: number | null): Promise<ImageRecord> {
  try {
    const image = new Transformer(readFileSync(path));
    const { width, height } = await image.metadata();
    const raw = await image.rawPixels();
    return {
      kind: "image",
      imageId,
      imageKind: row.kind,
      thread: row.kind === "evolved" ? row.thread : null,
      generation: row.kind === "evolved" ? row.generation : null,
      individual,
      step: null,
      key: null,
      label: row.image,
      widthPx: width,
      heightPx: height,
      rgb: rgbOf(raw, width * height),
      latent: null,
    };
  } catch (error) {
    throw new FaultError({ code: "imageUnreadable", message: `Expected a PNG or JPEG image at ${path}, got: ${error instanceof Error ? error.message : String(error)}. Replace the file, or take it out of the CSV.` });
  }
}

/** Grey, grey with alpha, RGB or RGBA to RGB; transparency is laid on mid-grey. */
function rgbOf(raw: Uint8Array, pixels: number): Uint8Array {
  const samples = raw.length / pixels;
  if (![1, 2, 3, 4].includes(samples)) throw new Error(`${samples} bytes a pixel`);
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const alpha = samples % 2 === 0 ? (raw[i * samples + samples - 1] ?? 255) : 255;
    for (let c = 0; c < 3; c++) {
      const value = raw[i * samples + (samples < 3 ? 0 : c)] ?? 0;
      rgb[i * 3 + c] = Math.round((value * alpha + 128 * (255 - alpha)) / 255);
    }
  }
  return rgb;
}

function threadsOf(rows: readonly Row[], generation: number): readonly number[] {
  return [...new Set(rows.filter((row) => row.generation === generation && row.kind === "evolved").map((row) => row.thread))].sort((a, b) => a - b);
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard error of the mean from the sample's standard deviation; NaN for fewer than two. */
function semOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return values.length < 2 ? Number.NaN : Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1) / values.length);
}

function generationRecord(rows: readonly Row[], thread: number, generation: number, individuals: readonly string[], imageIds: ReadonlyMap<string, number>): SessionRecordBody {
  const counted = rows.filter((row) => row.generation === generation && !row.excluded);
  const evolved = counted.filter((row) => row.kind === "evolved" && row.thread === thread).map((row) => row.rateHz);
  const references = counted.filter((row) => row.kind === "reference").map((row) => row.rateHz);
  const scores = individuals.map((image) => meanOf(counted.filter((row) => row.image === image).map((row) => row.rateHz)));
  const best = scores.reduce((top, score, i) => (Number.isNaN(score) || (top >= 0 && score <= (scores[top] ?? Number.NEGATIVE_INFINITY)) ? top : i), -1);
  return {
    kind: "generation",
    thread,
    generation,
    targetChannel: 0,
    optimizer: "imported",
    stateBefore: new Uint8Array(),
    stateAfter: new Uint8Array(),
    rngState: "null",
    scores: Float64Array.from(scores),
    evolvedMean: meanOf(evolved),
    evolvedSem: semOf(evolved),
    referenceMean: meanOf(references),
    referenceSem: semOf(references),
    stepSize: Number.NaN,
    missing: scores.filter((score) => Number.isNaN(score)).length,
    bestImageId: best < 0 ? null : (imageIds.get(individuals[best] ?? "") ?? null),
  };
}
