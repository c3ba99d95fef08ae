// The one connection that writes a session file: creation, resumption, transactions, clean end, growth and disk space. Synchronous;
// runs in the writer's worker thread, or in the caller's thread in tests. Knows nothing about queues or messages.
import { makeFolder } from "./folder.ts";
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, basename, join } from "node:path";
import Database from "better-sqlite3";
import type { SessionInfo, SessionRecord, SessionRecordBody } from "../shared/records.ts";
import { err, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { hostTimeNs } from "../shared/units.ts";
import { lockForWriting } from "./lock.ts";
import type { FileLock } from "./lock.ts";
import { latestVersion } from "./migrations/index.ts";
import { applicationId, assertSafeSqlite, checkIdentity, faultOf, isSqliteError, migrate, pragmaNumber, setWriterPragmas } from "./sqlite.ts";
import type { Connection } from "./sqlite.ts";
import { kindsOf, prepareInserts, tableOf } from "./tables.ts";

/** Who opens the file for writing, and when. */
export interface RunInfo {
  /** ISO 8601. */
  readonly startedUtc: string;
  readonly appVersion: string;
  readonly hostKind: SessionInfo["hostKind"];
}

export interface WriterLimits {
  /** The file is never let grow beyond this; commits then fail as on a full disk. null: no limit but the disk. */
  readonly sizeBytesMax: number | null;
}

export interface WriterCore {
  readonly file: string;
  /** Sequence number of the newest committed record, 0 before the first. */
  lastSeq(): number;
  /** Stores records in one transaction: all of them or, on a Fault, none. */
  commit(records: readonly SessionRecord[]): Result<void, Fault>;
  /** Bytes on disk, the write-ahead log included. */
  sizeBytes(): number;
  /** Free bytes for this user on the file's disk; null where the system does not say. */
  diskFreeBytes(): number | null;
  /** Ends the run (cleanly where `endedUtc` is given) and lets go of the file. Safe to call twice. */
  close(endedUtc: string | null): Result<void, Fault>;
}

/** Makes a new session file. It appears under its name only when it is complete. Errors: `sessionExists`, `sessionLocked`, `notWritable`, `diskFull`. */
export function createCore(file: string, info: SessionInfo, limits: WriterLimits): Result<WriterCore, Fault> {
  try {
    makeFolder(dirname(file));
  } catch (error) {
    return err(faultOf(error, file));
  }
  const lock = lockForWriting(file);
  if (!lock.ok) return lock;
  const made = makeFile(file, info);
  if (!made.ok) {
    lock.value.release();
    return made;
  }
  return openCore(file, lock.value, limits);
}

/** Opens a session file to go on with it: a new run begins. Errors: `sessionLocked`, `cannotOpen`, `notASession`, `sessionNewer`, `notWritable`. */
export function resumeCore(file: string, run: RunInfo, limits: WriterLimits): Result<WriterCore, Fault> {
  if (!existsSync(file)) return fault("cannotOpen", `Expected a session file at ${file}; there is none. Choose a session from the list.`);
  const lock = lockForWriting(file);
  if (!lock.ok) return lock;
  const core = openCore(file, lock.value, limits, run);
  if (!core.ok) lock.value.release();
  return core;
}

function makeFile(file: string, info: SessionInfo): Result<void, Fault> {
  const exists = (): Result<void, Fault> => fault("sessionExists", `${file} already exists. Resume it, or choose another name.`);
  if (existsSync(file)) return exists();
  // SQLite would take a log left behind by another file of this name for ours.
  for (const leftover of [`${file}-wal`, `${file}-journal`]) {
    if (existsSync(leftover)) return fault("sessionExists", `${leftover} is left from another session of this name. Put its session file back beside it, or choose another name.`);
  }
  const temporary = join(dirname(file), `.${basename(file)}.creating`);
  try {
    for (const leftover of [temporary, `${temporary}-journal`]) rmSync(leftover, { force: true });
    const db = new Database(temporary);
    try {
      assertSafeSqlite(db);
      db.pragma("synchronous = FULL");
      db.pragma(`application_id = ${applicationId}`);
      migrate(db);
      writeInfo(db, info);
    } finally {
      db.close();
    }
    if (!moveWithoutReplacing(temporary, file)) {
      rmSync(temporary, { force: true });
      return exists();
    }
    syncFolder(dirname(file));
    return ok(undefined);
  } catch (error) {
    rmSync(temporary, { force: true });
    return err(faultOf(error, file));
  }
}

/** False where the target exists. A hard link fails on an existing name, where a rename would replace it. */
function moveWithoutReplacing(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    rmSync(from);
    return true;
  } catch {
    // A file system without hard links (exFAT, some network shares).
    if (existsSync(to)) return false;
    renameSync(from, to);
    return true;
  }
}

/** Makes a new name last through a power cut; Windows cannot and need not. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch {
    // Not a descriptor on this system: its journal covers names.
  }
}

function writeInfo(db: Connection, info: SessionInfo): void {
  const { subject } = info;
  db.transaction(() => {
    db.prepare("INSERT INTO session VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
      info.id, info.startedUtc, info.seed, info.rig, info.protocol, info.description, JSON.stringify(info.experimenters), info.lab, info.institution, info.configJson,
    );
    db.prepare("INSERT INTO subject VALUES (1, ?, ?, ?, ?, ?, ?, ?)").run(
      subject.id, subject.species, subject.sex, subject.age, subject.dateOfBirth, subject.weightKg, subject.description,
    );
    startRun(db, info, 1);
  })();
}

/** A recording; `appendCore` starts the other kind. */
function startRun(db: Connection, run: RunInfo, firstSeq: number): void {
  db.prepare("INSERT INTO runs (first_seq, started_utc, app_version, host_kind) VALUES (?, ?, ?, ?)").run(firstSeq, run.startedUtc, run.appVersion, run.hostKind);
}

/** Newest sequence number over all tables. */
export function lastSeqOf(db: Connection): number {
  const each = kindsOf(db).map((kind) => `SELECT max(seq) AS seq FROM ${tableOf[kind]}`);
  return Number(db.prepare(`SELECT coalesce(max(seq), 0) FROM (${each.join(" UNION ALL ")})`).pluck().get());
}

/** Host time of a record; null where there is none of this number. */
export function hostNsOf(db: Connection, seq: number): number | null {
  for (const kind of kindsOf(db)) {
    const hostNs = db.prepare<[number], number>(`SELECT host_ns FROM ${tableOf[kind]} WHERE seq = ?`).pluck().get(seq);
    if (typeof hostNs === "number") return hostNs;
  }
  return null;
}

/** Where records that were added stand in the session. */
export interface Appended {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/**
 * Adds records that were not recorded (analyses, exports) to a session that nobody records: one run of its own with all of them, or, on a
 * Fault, nothing. They stand at the host time of the newest record. What was recorded, and whether the recording ended well, stays as it is;
 * a file of an older version becomes one of this version. Errors: `sessionLocked`, `cannotOpen`, `notASession`, `sessionNewer`, `notWritable`, `diskFull`.
 */
export function appendCore(file: string, run: RunInfo, bodies: readonly SessionRecordBody[]): Result<Appended, Fault> {
  if (!existsSync(file)) return fault("cannotOpen", `Expected a session file at ${file}; there is none. Choose a session from the list.`);
  const lock = lockForWriting(file);
  if (!lock.ok) return lock.error.code === "sessionLocked" ? fault("sessionLocked", `${file} is being recorded; nothing can be added to it until the recording ends.`) : lock;
  let db: Connection | null = null;
  try {
    db = new Database(file, { fileMustExist: true, timeout: 2000 });
    assertSafeSqlite(db);
    const identity = checkIdentity(db, file);
    if (!identity.ok) return identity;
    setWriterPragmas(db);
    try {
      return ok(append(db, run, bodies));
    } finally {
      leavePlainFile(db);
    }
  } catch (error) {
    return err(faultOf(error, file));
  } finally {
    db?.close();
    lock.value.release();
  }
}

function append(db: Connection, run: RunInfo, bodies: readonly SessionRecordBody[]): Appended {
  return db
    .transaction((): Appended => {
      if (pragmaNumber(db, "user_version") < latestVersion) migrate(db);
      const before = lastSeqOf(db);
      const hostNs = hostTimeNs(hostNsOf(db, before) ?? 0);
      const insert = prepareInserts(db);
      bodies.forEach((body, i) => insert({ ...body, seq: before + 1 + i, hostNs }));
      const appended = { firstSeq: before + 1, lastSeq: before + bodies.length };
      db.prepare("INSERT INTO runs (first_seq, started_utc, app_version, host_kind, ended_utc, last_seq, purpose) VALUES (?, ?, ?, ?, ?, ?, 'afterwards')").run(
        appended.firstSeq, run.startedUtc, run.appVersion, run.hostKind, run.startedUtc, appended.lastSeq,
      );
      return appended;
    })
    .immediate();
}

/** A session that nobody writes is one plain file that opens from a read-only folder or an archive. Where a reader or the disk is in the way, the log stays, whole. */
function leavePlainFile(db: Connection): void {
  try {
    db.pragma("busy_timeout = 100");
    db.pragma("wal_checkpoint(TRUNCATE)");
    db.pragma("journal_mode = DELETE");
  } catch (error) {
    if (!isSqliteError(error)) throw error;
  }
}

function openCore(file: string, lock: FileLock, limits: WriterLimits, run: RunInfo | null = null): Result<WriterCore, Fault> {
  let db: Connection | null = null;
  try {
    db = new Database(file, { fileMustExist: true, timeout: 2000 });
    assertSafeSqlite(db);
    const identity = checkIdentity(db, file);
    if (!identity.ok) {
      db.close();
      return identity;
    }
    setWriterPragmas(db);
    if (pragmaNumber(db, "user_version") < latestVersion) migrate(db);
    const last = lastSeqOf(db);
    if (run !== null) startRun(db, run, last + 1);
    if (limits.sizeBytesMax !== null) db.pragma(`max_page_count = ${Math.floor(limits.sizeBytesMax / pragmaNumber(db, "page_size"))}`);
    return ok(makeCore({ db, file, lock, lastSeq: last }));
  } catch (error) {
    db?.close();
    if (run === null) lock.release();
    return err(faultOf(error, file));
  }
}

function makeCore({ db, file, lock, lastSeq }: { db: Connection; file: string; lock: FileLock; lastSeq: number }): WriterCore {
  const insert = prepareInserts(db);
  const identity = statSync(file);
  let newest = lastSeq;

  const insertAll = db.transaction((records: readonly SessionRecord[]) => {
    for (const record of records) insert(record);
  });

  /** The name no longer leads to the file being written: somebody moved, replaced or deleted it. */
  const replaced = (): Fault | null => {
    const now = statSync(file, { throwIfNoEntry: false });
    if (now !== undefined && now.ino === identity.ino && now.dev === identity.dev) return null;
    return {
      code: "sessionReplaced",
      message: `${file} was ${now === undefined ? "moved or deleted" : "replaced by another file"} during the recording. Recording stopped; put the file back where it was and resume the session, or start a new one.`,
    };
  };

  /** Moves the log into the file, wherever that now is: closing would leave it here, where SQLite could take it for another file's. */
  const saveLog = (): void => {
    try {
      db.pragma("wal_checkpoint(TRUNCATE)");
    } catch {
      // A reader or a full disk is in the way: the log stays whole, and the file put back finds it.
    }
  };

  return {
    file,
    lastSeq: () => newest,
    commit(records) {
      const last = records.at(-1);
      if (last === undefined) return ok(undefined);
      const gone = replaced();
      if (gone !== null) {
        saveLog();
        return err(gone);
      }
      try {
        insertAll.immediate(records);
        newest = last.seq;
        return ok(undefined);
      } catch (error) {
        return err(faultOf(error, file));
      }
    },
    sizeBytes() {
      const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      return size(file) + size(`${file}-wal`);
    },
    diskFreeBytes() {
      try {
        const disk = statfsSync(dirname(file));
        return disk.bavail * disk.bsize;
      } catch {
        return null;
      }
    },
    close(endedUtc) {
      if (!db.open) return ok(undefined);
      try {
        if (replaced() !== null) {
          saveLog();
          return ok(undefined);
        }
        db.pragma("busy_timeout = 100");
        if (endedUtc !== null) db.prepare("UPDATE runs SET ended_utc = ?, last_seq = ? WHERE run_id = (SELECT max(run_id) FROM runs)").run(endedUtc, newest);
        // A finished session is one plain file that opens from a read-only folder or an archive. Fails harmlessly while a reader has it open.
        db.pragma("wal_checkpoint(TRUNCATE)");
        db.pragma("journal_mode = DELETE");
        return ok(undefined);
      } catch (error) {
        const problem = faultOf(error, file);
        return problem.code === "sessionLocked" ? ok(undefined) : err(problem);
      } finally {
        db.close();
        lock.release();
      }
    },
  };
}
