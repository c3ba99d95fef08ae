// One writer per session file: a lock beside the file that ends with its holder, however that ends. Knows nothing about sessions.
//
// The lock is an SQLite lock on an empty database "<file>-lock": the operating system drops it when the process dies, so a stale lock
// file never blocks. The file is removed at a clean end and is harmless where it stays.
import { existsSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { faultOf, isSqliteError } from "./sqlite.ts";

export interface FileLock {
  release(): void;
}

function lockFile(file: string): string {
  return `${file}-lock`;
}

/** Takes the lock of a file, or says who has it. Errors: `sessionLocked`, `notWritable`, `cannotOpen`. */
export function lockForWriting(file: string): Result<FileLock, Fault> {
  const path = lockFile(file);
  for (let attempt = 0; attempt < 3; attempt++) {
    let db: Database.Database | null = null;
    try {
      db = new Database(path, { timeout: 300 });
      db.exec("BEGIN EXCLUSIVE");
      // The holder before may have removed the file between our opening and our locking it; then the lock is on nothing.
      if (existsSync(path)) return ok(makeLock(db, path));
      db.close();
    } catch (error) {
      db?.close();
      if (isSqliteError(error) && error.code.startsWith("SQLITE_BUSY")) {
        return fault("sessionLocked", `${file} is already being recorded by another copy of Evoked. Go on there, or close it first.`);
      }
      return { ok: false, error: faultOf(error, file) };
    }
  }
  return fault("sessionLocked", `${file} is being opened and closed by another copy of Evoked. Try again.`);
}

function makeLock(db: Database.Database, path: string): FileLock {
  return {
    release() {
      if (!db.open) return;
      // Removed while still held, so that nobody can hold a lock on the removed file and believe it theirs.
      try {
        rmSync(path, { force: true });
      } catch {
        // Windows keeps an open file; it is empty and harmless.
      }
      db.close();
    },
  };
}

/** Whether somebody is writing the file now. Never creates or keeps anything. */
export function isBeingWritten(file: string): boolean {
  const path = lockFile(file);
  if (!existsSync(path)) return false;
  let db: Database.Database | null = null;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: 0 });
    db.prepare("SELECT count(*) FROM sqlite_master").get();
    return false;
  } catch (error) {
    return isSqliteError(error) && error.code.startsWith("SQLITE_BUSY");
  } finally {
    db?.close();
  }
}
