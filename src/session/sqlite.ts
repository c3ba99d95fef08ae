// Opening session files: SQLite's version, pragmas, migrations, and its errors as sentences. Knows nothing about records.
//
// Never open a session file with node:fs while this process has it open in SQLite: on POSIX, closing any descriptor of a file drops
// the process's locks on it.
import Database from "better-sqlite3";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { latestVersion, migrations } from "./migrations/index.ts";
import type { Migration } from "./migrations/index.ts";

export type Connection = Database.Database;

/** "EVOK" in ASCII: what `file` and SQLite call the application id. */
export const applicationId = 0x45564f4b;

/** 3.7.0 to 3.51.2 can corrupt a WAL file that two connections reset (sqlite.org/wal.html, "The WAL-reset bug"). */
const sqliteVersionMin: readonly [number, number, number] = [3, 51, 3];

/** True where a version text like "3.54.1" is at least the smallest allowed. */
export function isSafeVersion(version: string): boolean {
  const parts = version.split(".").map(Number);
  for (const [place, least] of sqliteVersionMin.entries()) {
    const part = parts[place] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

export function assertSafeSqlite(db: Connection): void {
  const version = String(db.prepare("SELECT sqlite_version()").pluck().get());
  if (!isSafeVersion(version)) throw new Error(`expected SQLite ${sqliteVersionMin.join(".")} or newer (older ones can corrupt a session file), got ${version}`);
}

function numberOf(value: unknown): number {
  if (typeof value !== "number") throw new Error(`expected a number from SQLite, got ${String(value)}`);
  return value;
}

export function pragmaNumber(db: Connection, name: string): number {
  return numberOf(db.pragma(name, { simple: true }));
}

/** The settings of every connection that writes: nothing acknowledged is lost on a power cut. */
export function setWriterPragmas(db: Connection): void {
  db.pragma("journal_mode = WAL");
  db.pragma("synchronous = FULL");
  db.pragma("foreign_keys = ON");
  db.pragma("journal_size_limit = 67108864");
  db.pragma("wal_autocheckpoint = 1000");
  const mode = db.pragma("journal_mode", { simple: true });
  const synchronous = pragmaNumber(db, "synchronous");
  if (mode !== "wal" || synchronous !== 2) throw new Error(`expected journal mode wal and synchronous 2, got ${String(mode)} and ${synchronous}`);
}

/** Brings a database from its version to the newest one, each step in the one transaction. Returns the version it had. */
export function migrate(db: Connection, steps: readonly Migration[] = migrations): number {
  const before = pragmaNumber(db, "user_version");
  db.transaction(() => {
    for (const step of steps) {
      if (step.version <= before) continue;
      db.exec(step.sql);
      db.pragma(`user_version = ${step.version}`);
    }
  })();
  return before;
}

/** Says whether an open database is a session file of a version that this program reads. */
export function checkIdentity(db: Connection, file: string): Result<void, Fault> {
  const id = pragmaNumber(db, "application_id");
  const version = pragmaNumber(db, "user_version");
  if (id !== applicationId) return fault("notASession", `Expected ${file} to be an Evoked session file; it is a database of another program. Choose a file that Evoked recorded.`);
  if (version > latestVersion) {
    return fault(
      "sessionNewer",
      `${file} was recorded by a newer Evoked (file version ${version}; this program reads up to ${latestVersion}). Update Evoked to open it; the file was not touched.`,
    );
  }
  if (version < 1) return fault("sessionEmpty", `${file} holds no session: its recording ended before it began. It can be deleted.`);
  return ok(undefined);
}

/** True for an error that better-sqlite3 throws. */
export function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

/** What SQLite or the file system said, as a sentence for the operator. Anything else is a bug and is thrown again. */
export function faultOf(error: unknown, file: string): Fault {
  const text = error instanceof Error ? error.message : String(error);
  const code = isSqliteError(error) ? error.code : codeOf(error);
  if (code === null) throw error;
  if (code.startsWith("SQLITE_FULL") || code === "ENOSPC" || code === "EDQUOT") {
    return { code: "diskFull", message: `The disk of ${file} is full. Everything committed before is safe; free some space, then resume the session.` };
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return { code: "sessionLocked", message: `${file} is being written by another program. Close it there, then try again.` };
  }
  if (code === "SQLITE_NOTADB") return { code: "notASession", message: `Expected ${file} to be an Evoked session file; it is not a database. Choose a file that Evoked recorded.` };
  if (code.startsWith("SQLITE_CORRUPT")) {
    return { code: "sessionDamaged", message: `${file} is damaged (${text}). Copy it and its -wal file somewhere safe before anything else.` };
  }
  if (code.startsWith("SQLITE_READONLY") || code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return { code: "notWritable", message: `${file} cannot be written (${text}). Choose a folder that you may write to, or change its permissions.` };
  }
  if (code.startsWith("SQLITE_CANTOPEN") || code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") {
    return { code: "cannotOpen", message: `${file} cannot be opened (${text}). Check that the folder exists and may be read.` };
  }
  return { code: "sessionFileFailed", message: `Writing or reading ${file} failed: ${text} (${code}). Everything committed before is safe; check the disk, then resume the session.` };
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}
