// Reading a session file: what it holds, record by record or by question. Read-only, and never holds a read open between calls, so
// that a file being recorded can be read too. Knows nothing about who wrote it.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import type {
  AblationRecord,
  ClockRecord,
  DevicesRecord,
  EventRecord,
  ExportRecord,
  EyeRecord,
  GenerationRecord,
  ImageRecord,
  MarkRecord,
  ModelRecord,
  NeuronModelRecord,
  DisplayCalibrationRecord,
  FlipRecord,
  PresentationRecord,
  RewardRecord,
  SessionInfo,
  SessionRecord,
  SessionSummary,
  SpikesRecord,
  SubjectInfo,
  StepRecord,
  TrialRecord,
  VisualisationRecord,
} from "../shared/records.ts";
import { err, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { hostTimeNs, nsPerMs, nsPerS } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ChannelInfo, EyeBatch, SpikeBatch } from "../shared/values.ts";
import { decodeEye, decodeSpikes } from "./codec.ts";
import { isBeingWritten } from "./lock.ts";
import { assertSafeSqlite, checkIdentity, faultOf } from "./sqlite.ts";
import type { Connection } from "./sqlite.ts";
import {
  everything,
  kindsOf,
  readAblations,
  readChannels,
  readClockMaps,
  readDevices,
  readEvents,
  readExports,
  readEye,
  readGenerations,
  readImages,
  readKind,
  readMarks,
  readModels,
  readDisplayCalibrations,
  readFlips,
  readNeuronModels,
  readPresentations,
  readRewards,
  readSpikes,
  readSteps,
  readTrials,
  readVisualisations,
  seqBetween,
} from "./tables.ts";
import type { ReadOptions, RecordKind, Select, Stored } from "./tables.ts";
import { sessionExtension } from "./writer.ts";
import { hostNsOf, lastSeqOf } from "./writerCore.ts";

/** One recording (or one addition afterwards): from a writer's opening of the file to its end. Records firstSeq to lastSeq are its own. */
export interface SessionRun {
  readonly run: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly startedUtc: string;
  /** null where the recording was cut short (or is still going on). */
  readonly endedUtc: string | null;
  readonly appVersion: string;
  readonly hostKind: string;
}

export type Spikes = Pick<SpikeBatch, "timesRigNs" | "channels" | "units">;

export interface TimeRange {
  /** Both ends included. */
  readonly fromRigNs: number;
  readonly toRigNs: number;
  /** Only spikes of this run: a resumed session's rig clock may have started again. Default: all. */
  readonly run?: number;
}

export interface RasterRow {
  readonly presentationId: number;
  readonly imageId: number;
  readonly onsetRigNs: number;
  /** Spike times after onset, ms, in order. */
  readonly timesMs: Float64Array;
}

/** Where an evolution thread stands: what is needed to go on as if it had never stopped. */
export interface ThreadState {
  readonly thread: number;
  /** The newest finished generation with the optimizer and random states after it; null in the first generation. */
  readonly last: Stored<GenerationRecord> | null;
  /** Number of the unfinished generation. */
  readonly current: number;
  /** Images made for the unfinished generation, by individual. Pixels included. */
  readonly images: readonly Stored<ImageRecord>[];
  /** Presentations of the unfinished generation, references included, in order. */
  readonly presentations: readonly Stored<PresentationRecord>[];
}

export interface ResumePoint {
  readonly nextSeq: number;
  readonly nextImageId: number;
  readonly nextTrialId: number;
  readonly nextPresentationId: number;
  readonly lastHostNs: HostTimeNs;
  readonly threads: readonly ThreadState[];
}

/** An image as it is stored. */
export interface StoredImage {
  readonly record: Stored<ImageRecord>;
  readonly png: Uint8Array;
  /** Of the RGB bytes, hexadecimal. */
  readonly rgbSha256: string;
}

export interface SessionReader {
  readonly file: string;
  info(): SessionInfo;
  summary(): SessionSummary;
  /** The recordings, in order: the first and every resumption. */
  runs(): readonly SessionRun[];
  /** When something was added to the session that was not recorded (analyses, exports), in order. */
  additions(): readonly SessionRun[];
  lastSeq(): number;
  /** Where a run's clocks stood: host time of its first record, first and last rig time of its spikes, gaze and marks (null: none). */
  span(run: number): { readonly firstHostNs: number; readonly firstRigNs: number | null; readonly lastRigNs: number | null };
  /** Newest list of devices and channels; empty before the first. */
  devices(): DevicesRecord["devices"];
  channels(): readonly ChannelInfo[];
  models(): readonly Stored<ModelRecord>[];
  /** Without `states`, the optimizer states are left empty. Default false. */
  generations(options?: { readonly states?: boolean }): readonly Stored<GenerationRecord>[];
  presentations(options?: { readonly generation?: number; readonly imageId?: number }): readonly Stored<PresentationRecord>[];
  trials(): readonly Stored<TrialRecord>[];
  /** Beginnings and ends of the plan's steps; empty for files of version 3 and before. */
  steps(): readonly Stored<StepRecord>[];
  rewards(): readonly Stored<RewardRecord>[];
  events(): readonly Stored<EventRecord>[];
  marks(): readonly Stored<MarkRecord>[];
  /** What was made of the recording; empty for files of a version that had no place for it. */
  neuronModels(): readonly Stored<NeuronModelRecord>[];
  /** One a run, and the flips of every presentation; none in files of before version 3. */
  displayCalibrations(): readonly Stored<DisplayCalibrationRecord>[];
  flips(): readonly Stored<FlipRecord>[];
  ablations(): readonly Stored<AblationRecord>[];
  /** Without `pixels`, `rgb` is empty. Default: without. */
  visualisations(options?: ReadOptions): readonly Stored<VisualisationRecord>[];
  exports(): readonly Stored<ExportRecord>[];
  clockMaps(): readonly Stored<ClockRecord>[];
  /** All images without their pixels. */
  images(options?: { readonly thread?: number; readonly generation?: number }): readonly Stored<ImageRecord>[];
  /** One image with its pixels; null where there is none of this id. */
  image(imageId: number): StoredImage | null;
  /** The PNG file of an image and the hash of its pixels, without decoding it. */
  imageFile(imageId: number): Pick<StoredImage, "png" | "rgbSha256"> | null;
  /** Spikes in time order; of one channel where given. */
  spikes(range: TimeRange & { readonly channel?: number }): Spikes;
  eye(range: TimeRange): EyeBatch;
  /** Spikes of a channel around the onset of each presentation that has one, `fromMs` to `toMs` after it. */
  raster(options: { readonly channel: number; readonly fromMs: number; readonly toMs: number; readonly presentations?: readonly Stored<PresentationRecord>[] }): readonly RasterRow[];
  /** Spikes per channel index over the whole session. */
  spikeCounts(): Float64Array;
  /** Spike batches in the order they came, without holding more than a part of them in memory. */
  spikeBatches(): Iterable<Stored<SpikesRecord>>;
  eyeBatches(): Iterable<Stored<EyeRecord>>;
  /** Numbers of spikes and eye samples, without reading them. */
  streamCounts(): { readonly spikes: number; readonly eyeSamples: number };
  /** Every record in order, for replay. */
  records(options?: ReadOptions & { readonly fromSeq?: number; readonly toSeq?: number; readonly kinds?: readonly RecordKind[] }): Iterable<SessionRecord>;
  resumePoint(): ResumePoint;
  close(): void;
}

/** Opens a session file for reading. Errors: `cannotOpen`, `notASession`, `sessionEmpty`, `sessionNewer`, `sessionDamaged`. */
/**
 * `frozen`: everything is read as it stands now, however long the reading takes and whatever is recorded meanwhile (one read transaction: the
 * file's log grows while it lasts).
 */
export function openSession(file: string, { frozen = false }: { readonly frozen?: boolean } = {}): Result<SessionReader, Fault> {
  if (!existsSync(file)) return fault("cannotOpen", `Expected a session file at ${file}; there is none. Choose a session from the list, or check the path.`);
  if (statSync(file).isDirectory()) return fault("cannotOpen", `Expected a session file at ${file}; it is a folder. Choose a file in it.`);
  let db: Connection | null = null;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2000 });
    assertSafeSqlite(db);
    const identity = checkIdentity(db, file);
    if (!identity.ok) {
      db.close();
      return identity;
    }
    if (frozen) {
      db.exec("BEGIN");
      // The transaction begins with its first read.
      lastSeqOf(db);
    }
    return ok(makeReader(db, file));
  } catch (error) {
    db?.close();
    return err(faultOf(error, file));
  }
}

export interface BrokenSession {
  readonly file: string;
  readonly fault: Fault;
}

export interface SessionList {
  /** Newest first. */
  readonly sessions: readonly SessionSummary[];
  /** Files with the right extension that could not be read, and why. */
  readonly broken: readonly BrokenSession[];
}

/** The session files of a folder. A folder that does not exist has none. Errors: `cannotOpen`, `notWritable`. */
export function listSessions(folder: string): Result<SessionList, Fault> {
  let names: string[];
  try {
    names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(sessionExtension) && !name.startsWith(".")) : [];
  } catch (error) {
    return err(faultOf(error, folder));
  }
  const sessions: SessionSummary[] = [];
  const broken: BrokenSession[] = [];
  for (const name of names) {
    const file = join(folder, name);
    const summary = summarize(file);
    if (summary.ok) sessions.push(summary.value);
    else broken.push({ file, fault: summary.error });
  }
  sessions.sort((a, b) => b.startedUtc.localeCompare(a.startedUtc) || a.file.localeCompare(b.file));
  return ok({ sessions, broken });
}

function summarize(file: string): Result<SessionSummary, Fault> {
  const reader = openSession(file);
  if (!reader.ok) return reader;
  try {
    return ok(reader.value.summary());
  } catch (error) {
    return err(faultOf(error, file));
  } finally {
    reader.value.close();
  }
}

interface SessionRow {
  readonly session_id: string;
  readonly started_utc: string;
  readonly seed: string;
  readonly rig: string;
  readonly protocol: string;
  readonly description: string;
  readonly experimenters_json: string;
  readonly lab: string;
  readonly institution: string;
  readonly config_json: string;
}

interface SubjectRow {
  readonly subject_id: string;
  readonly species: string;
  readonly sex: SubjectInfo["sex"];
  readonly age_iso8601: string | null;
  readonly date_of_birth: string | null;
  readonly weight_kg: number | null;
  readonly description: string;
}

interface RunRow {
  readonly run_id: number;
  readonly first_seq: number;
  readonly started_utc: string;
  readonly app_version: string;
  readonly host_kind: SessionInfo["hostKind"];
  readonly ended_utc: string | null;
  /** Not there before version 2. */
  readonly purpose?: "recording" | "afterwards";
}

interface BatchRow {
  readonly batch: Buffer;
}

/** Records read at a time while iterating: small enough for memory, large enough for speed. */
const recordsAtATime = 512;

function makeReader(db: Connection, file: string): SessionReader {
  const sessionRow = (): SessionRow => {
    const row = db.prepare<[], SessionRow>("SELECT * FROM session").get();
    if (row === undefined) throw new Error(`expected one session row in ${file}, got none`);
    return row;
  };
  const subjectRow = (): SubjectRow => {
    const row = db.prepare<[], SubjectRow>("SELECT * FROM subject").get();
    if (row === undefined) throw new Error(`expected one subject row in ${file}, got none`);
    return row;
  };
  const runRows = (): RunRow[] => db.prepare<[], RunRow>("SELECT * FROM runs ORDER BY run_id").all();

  const info = (): SessionInfo => {
    const session = sessionRow();
    const subject = subjectRow();
    const run = runRows()[0];
    return {
      id: session.session_id,
      subject: {
        id: subject.subject_id,
        species: subject.species,
        sex: subject.sex,
        age: subject.age_iso8601,
        dateOfBirth: subject.date_of_birth,
        weightKg: subject.weight_kg,
        description: subject.description,
      },
      startedUtc: session.started_utc,
      seed: session.seed,
      rig: session.rig,
      protocol: session.protocol,
      configJson: session.config_json,
      appVersion: run?.app_version ?? "",
      hostKind: run?.host_kind ?? "test",
      description: session.description,
      experimenters: parseNames(session.experimenters_json),
      lab: session.lab,
      institution: session.institution,
    };
  };

  const runsFor = (purpose: "recording" | "afterwards"): SessionRun[] => {
    const rows = runRows();
    const last = lastSeqOf(db);
    return rows.flatMap((row, i): SessionRun[] => {
      if ((row.purpose ?? "recording") !== purpose) return [];
      return [{
        run: row.run_id,
        firstSeq: row.first_seq,
        lastSeq: (rows[i + 1]?.first_seq ?? last + 1) - 1,
        startedUtc: row.started_utc,
        endedUtc: row.ended_utc,
        appVersion: row.app_version,
        hostKind: row.host_kind,
      }];
    });
  };
  const runs = (): SessionRun[] => runsFor("recording");

  const span = (run: number): ReturnType<SessionReader["span"]> => {
    const own = runs().find((one) => one.run === run);
    const range = [own?.firstSeq ?? 1, own?.lastSeq ?? 0];
    const ends = db
      .prepare<number[], { first: number | null; last: number | null }>(
        `SELECT min(first) AS first, max(last) AS last FROM (
           SELECT min(first_rig_ns) AS first, max(last_rig_ns) AS last FROM spikes WHERE seq BETWEEN ? AND ?
           UNION ALL SELECT min(first_rig_ns), max(last_rig_ns) FROM eye WHERE seq BETWEEN ? AND ?
           UNION ALL SELECT min(rig_ns), max(rig_ns) FROM marks WHERE seq BETWEEN ? AND ?)`,
      )
      .get(...range, ...range, ...range);
    return { firstHostNs: hostNsAt(own?.firstSeq ?? 0) ?? 0, firstRigNs: ends?.first ?? null, lastRigNs: ends?.last ?? null };
  };

  const hostNsAt = (seq: number): number | null => hostNsOf(db, seq);

  const has = (kind: RecordKind): boolean => kindsOf(db).includes(kind);

  const count = (table: string): number => Number(db.prepare(`SELECT count(*) FROM ${table}`).pluck().get());
  const next = (table: string, column: string): number => Number(db.prepare(`SELECT coalesce(max(${column}), 0) + 1 FROM ${table}`).pluck().get());

  const channels = (): readonly ChannelInfo[] => readChannels(db, { condition: "1 ORDER BY seq DESC LIMIT 1", values: [] })[0]?.channels ?? [];

  const newestGeneration = (): Stored<GenerationRecord> | null => readGenerations(db, { condition: "1 ORDER BY seq DESC LIMIT 1", values: [] }, { states: false })[0] ?? null;

  const summary = (): SessionSummary => {
    const { session_id, started_utc, rig, protocol } = sessionRow();
    const allRuns = runs();
    const generation = newestGeneration();
    const durationNs = allRuns.reduce((sum, run) => sum + (run.lastSeq < run.firstSeq ? 0 : (hostNsAt(run.lastSeq) ?? 0) - (hostNsAt(run.firstSeq) ?? 0)), 0);
    const newestEvolved = (): number | null => db.prepare<[], number>("SELECT image_id FROM images WHERE image_kind = 'evolved' ORDER BY seq DESC LIMIT 1").pluck().get() ?? null;
    return {
      file,
      id: session_id,
      subjectId: subjectRow().subject_id,
      startedUtc: started_utc,
      durationS: durationNs / nsPerS,
      rig,
      protocol,
      target: generation === null ? null : (channels().find((channel) => channel.index === generation.targetChannel)?.name ?? `channel ${generation.targetChannel}`),
      generations: count("generations"),
      presentations: count("presentations"),
      evolvedMean: finiteOrNull(generation?.evolvedMean),
      referenceMean: finiteOrNull(generation?.referenceMean),
      state: isBeingWritten(file) ? "recording" : allRuns.at(-1)?.endedUtc == null ? "interrupted" : "finished",
      sizeBytes: sizeOf(file) + sizeOf(`${file}-wal`),
      thumbnailImageId: generation?.bestImageId ?? newestEvolved(),
    };
  };

  /** Rows of a time-stamped batch table that touch a range. The index on (first, last) bounds the search by the longest batch. */
  const batchesTouching = (table: "spikes" | "eye", { fromRigNs, toRigNs, run }: TimeRange): Buffer[] => {
    const longest = Number(db.prepare(`SELECT coalesce(max(last_rig_ns - first_rig_ns), 0) FROM ${table}`).pluck().get());
    const own = run === undefined ? null : runs().find((one) => one.run === run);
    const [firstSeq, lastSeq] = run === undefined ? [0, Number.MAX_SAFE_INTEGER] : [own?.firstSeq ?? 1, own?.lastSeq ?? 0];
    return db
      .prepare<number[], BatchRow>(
        `SELECT batch FROM ${table} WHERE first_rig_ns BETWEEN ? AND ? AND last_rig_ns >= ? AND seq BETWEEN ? AND ? ORDER BY first_rig_ns, seq`,
      )
      .all(fromRigNs - longest, toRigNs, fromRigNs, firstSeq, lastSeq)
      .map((row) => row.batch);
  };

  const spikes = (range: TimeRange & { readonly channel?: number }): Spikes => {
    const { fromRigNs, toRigNs, channel } = range;
    const parts = batchesTouching("spikes", range).map((batch) => {
      const part = decodeSpikes(batch);
      return pickSpikes(part, (i) => {
        const time = part.timesRigNs[i] ?? Number.NaN;
        return time >= fromRigNs && time <= toRigNs && (channel === undefined || part.channels[i] === channel);
      });
    });
    return inTimeOrder(concatSpikes(parts));
  };

  const raster: SessionReader["raster"] = ({ channel, fromMs, toMs, presentations = readPresentations(db, everything) }) => {
    const rows: RasterRow[] = [];
    for (const run of runs()) {
      const shown = presentations.filter((p) => p.onsetRigNs !== null && p.seq >= run.firstSeq && p.seq <= run.lastSeq);
      const onsets = shown.map((p) => p.onsetRigNs ?? 0);
      if (onsets.length === 0) continue;
      const range = { fromRigNs: Math.min(...minMax(onsets)) + fromMs * nsPerMs, toRigNs: Math.max(...minMax(onsets)) + toMs * nsPerMs };
      const { timesRigNs } = spikes({ ...range, channel, run: run.run });
      for (const presentation of shown) {
        const onset = presentation.onsetRigNs ?? 0;
        const from = firstAtOrAfter(timesRigNs, onset + fromMs * nsPerMs);
        const to = firstAtOrAfter(timesRigNs, onset + toMs * nsPerMs);
        rows.push({
          presentationId: presentation.presentationId,
          imageId: presentation.imageId,
          onsetRigNs: onset,
          timesMs: timesRigNs.slice(from, to).map((time) => (time - onset) / nsPerMs),
        });
      }
    }
    return rows;
  };

  function* records({ fromSeq = 1, toSeq = lastSeqOf(db), kinds: only, pixels = true }: Parameters<SessionReader["records"]>[0] = {}): Generator<SessionRecord> {
    const kinds = kindsOf(db).filter((kind) => only === undefined || only.includes(kind));
    for (let first = fromSeq; first <= toSeq; first += recordsAtATime) {
      const window = seqBetween(first, Math.min(toSeq, first + recordsAtATime - 1));
      const part = kinds.flatMap((kind) => readKind(db, kind, window, { pixels }));
      yield* part.sort((a, b) => a.seq - b.seq);
    }
  }

  function* batches<T extends Stored<SpikesRecord> | Stored<EyeRecord>>(read: (db: Connection, where: Select) => T[]): Generator<T> {
    const last = lastSeqOf(db);
    for (let first = 1; first <= last; first += recordsAtATime * 4) yield* read(db, seqBetween(first, first + recordsAtATime * 4 - 1));
  }

  const resumePoint = (): ResumePoint => {
    const last = lastSeqOf(db);
    const threads = db
      .prepare<[], number>("SELECT thread FROM generations UNION SELECT thread FROM images WHERE thread IS NOT NULL AND generation IS NOT NULL ORDER BY 1")
      .pluck()
      .all()
      .map((thread) => threadState(Number(thread)));
    return {
      nextSeq: last + 1,
      nextImageId: next("images", "image_id"),
      nextTrialId: next("trials", "trial_id"),
      nextPresentationId: next("presentations", "presentation_id"),
      lastHostNs: hostTimeNs(hostNsAt(last) ?? 0),
      threads,
    };
  };

  const threadState = (thread: number): ThreadState => {
    const generation = readGenerations(db, { condition: "thread = ? ORDER BY seq DESC LIMIT 1", values: [thread] })[0] ?? null;
    const firstGeneration = Number(db.prepare("SELECT coalesce(min(generation), 0) FROM images WHERE thread = ?").pluck().get(thread));
    const current = generation === null ? firstGeneration : generation.generation + 1;
    return {
      thread,
      last: generation,
      current,
      images: readImages(db, { condition: "thread = ? AND generation = ? ORDER BY individual, seq", values: [thread, current] }),
      presentations: readPresentations(db, { condition: "generation = ? AND (thread = ? OR thread IS NULL) ORDER BY seq", values: [current, thread] }),
    };
  };

  const imageFile: SessionReader["imageFile"] = (imageId) => {
    const row = db.prepare<[number], { png: Buffer; rgb_sha256: Buffer }>("SELECT png, rgb_sha256 FROM images WHERE image_id = ?").get(imageId);
    return row === undefined ? null : { png: new Uint8Array(row.png), rgbSha256: row.rgb_sha256.toString("hex") };
  };

  return {
    file,
    info,
    summary,
    runs,
    additions: () => runsFor("afterwards"),
    lastSeq: () => lastSeqOf(db),
    span,
    devices: () => readDevices(db, { condition: "1 ORDER BY seq DESC LIMIT 1", values: [] })[0]?.devices ?? [],
    channels,
    models: () => readModels(db, everything),
    generations: ({ states = false } = {}) => readGenerations(db, everything, { states }),
    presentations: ({ generation, imageId } = {}) => readPresentations(db, where([["generation", generation], ["image_id", imageId]])),
    trials: () => readTrials(db, everything),
    steps: () => (has("step") ? readSteps(db, everything) : []),
    rewards: () => readRewards(db, everything),
    events: () => readEvents(db, everything),
    marks: () => readMarks(db, everything),
    displayCalibrations: () => (has("displayCalibration") ? readDisplayCalibrations(db, everything) : []),
    flips: () => (has("flip") ? readFlips(db, everything) : []),
    neuronModels: () => (has("neuronModel") ? readNeuronModels(db, everything) : []),
    ablations: () => (has("ablation") ? readAblations(db, everything) : []),
    visualisations: ({ pixels = false } = {}) => (has("visualisation") ? readVisualisations(db, everything, { pixels }) : []),
    exports: () => (has("export") ? readExports(db, everything) : []),
    clockMaps: () => readClockMaps(db, everything),
    images: ({ thread, generation } = {}) => readImages(db, where([["thread", thread], ["generation", generation]]), { pixels: false }),
    image(imageId) {
      const record = readImages(db, { condition: "image_id = ?", values: [imageId] })[0];
      const stored = imageFile(imageId);
      return record === undefined || stored === null ? null : { record, ...stored };
    },
    imageFile,
    spikes,
    eye: (range) => concatEye(batchesTouching("eye", range).map((batch) => cutEye(decodeEye(batch), range))),
    raster,
    spikeCounts() {
      const counts = new Float64Array(1 + channels().reduce((most, channel) => Math.max(most, channel.index), -1));
      for (const { batch } of batches(readSpikes)) for (const channel of batch.channels) if (channel < counts.length) counts[channel] = (counts[channel] ?? 0) + 1;
      return counts;
    },
    spikeBatches: () => batches(readSpikes),
    eyeBatches: () => batches(readEye),
    streamCounts: () => ({
      spikes: Number(db.prepare("SELECT coalesce(sum(spike_count), 0) FROM spikes").pluck().get()),
      eyeSamples: Number(db.prepare("SELECT coalesce(sum(sample_count), 0) FROM eye").pluck().get()),
    }),
    records,
    resumePoint,
    close: () => void db.close(),
  };
}

function where(conditions: readonly (readonly [string, number | undefined])[]): Select {
  const given = conditions.flatMap(([column, value]) => (value === undefined ? [] : [{ column, value }]));
  return { condition: `${given.map(({ column }) => `${column} = ? AND `).join("")}1 ORDER BY seq`, values: given.map(({ value }) => value) };
}

function parseNames(json: string): string[] {
  const names: unknown = JSON.parse(json);
  return Array.isArray(names) ? names.map(String) : [];
}

function finiteOrNull(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function minMax(values: readonly number[]): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return [least, most];
}

/** First position in ascending times that is not before `time`. */
function firstAtOrAfter(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function pickSpikes(spikes: Spikes, keep: (index: number) => boolean): Spikes {
  const kept: number[] = [];
  for (let i = 0; i < spikes.timesRigNs.length; i++) if (keep(i)) kept.push(i);
  if (kept.length === spikes.timesRigNs.length) return spikes;
  return reorder(spikes, kept);
}

function reorder(spikes: Spikes, order: readonly number[]): Spikes {
  return {
    timesRigNs: Float64Array.from(order, (i) => spikes.timesRigNs[i] ?? 0),
    channels: Uint16Array.from(order, (i) => spikes.channels[i] ?? 0),
    units: Uint8Array.from(order, (i) => spikes.units[i] ?? 0),
  };
}

function concatSpikes(parts: readonly Spikes[]): Spikes {
  const total = parts.reduce((sum, part) => sum + part.timesRigNs.length, 0);
  const all = { timesRigNs: new Float64Array(total), channels: new Uint16Array(total), units: new Uint8Array(total) };
  let offset = 0;
  for (const part of parts) {
    all.timesRigNs.set(part.timesRigNs, offset);
    all.channels.set(part.channels, offset);
    all.units.set(part.units, offset);
    offset += part.timesRigNs.length;
  }
  return all;
}

/** Batches of separate streams may overlap; sorted where they do. Equal times keep their order. */
function inTimeOrder(spikes: Spikes): Spikes {
  const { timesRigNs } = spikes;
  if (timesRigNs.every((time, i) => i === 0 || time >= (timesRigNs[i - 1] ?? 0))) return spikes;
  const order = Array.from(timesRigNs.keys()).sort((a, b) => (timesRigNs[a] ?? 0) - (timesRigNs[b] ?? 0));
  return reorder(spikes, order);
}

function cutEye(eye: EyeBatch, { fromRigNs, toRigNs }: TimeRange): EyeBatch {
  const from = firstAtOrAfter(eye.timesRigNs, fromRigNs);
  let to = firstAtOrAfter(eye.timesRigNs, toRigNs);
  while (eye.timesRigNs[to] === toRigNs) to++;
  return { timesRigNs: eye.timesRigNs.slice(from, to), xDeg: eye.xDeg.slice(from, to), yDeg: eye.yDeg.slice(from, to), valid: eye.valid.slice(from, to) };
}

function concatEye(parts: readonly EyeBatch[]): EyeBatch {
  const total = parts.reduce((sum, part) => sum + part.timesRigNs.length, 0);
  const all = { timesRigNs: new Float64Array(total), xDeg: new Float32Array(total), yDeg: new Float32Array(total), valid: new Uint8Array(total) };
  let offset = 0;
  for (const part of parts) {
    all.timesRigNs.set(part.timesRigNs, offset);
    all.xDeg.set(part.xDeg, offset);
    all.yDeg.set(part.yDeg, offset);
    all.valid.set(part.valid, offset);
    offset += part.timesRigNs.length;
  }
  return all;
}
