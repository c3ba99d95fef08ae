// A copy of the session file itself, whole and compact, also of one that is being recorded. Knows nothing about records.
import Database from "better-sqlite3";
import type { SessionReader } from "../reader.ts";
import type { Connection } from "../sqlite.ts";
import type { ExportTask } from "./task.ts";

interface TableRow {
  readonly name: string;
  readonly columns: string;
}

/** Copies with VACUUM INTO (a consistent state, whatever is being written), then compares every value of every row. */
export function writeSnapshot(reader: SessionReader, task: ExportTask): void {
  task.step(0, "copying");
  const source = new Database(reader.file, { readonly: true, fileMustExist: true, timeout: 5000 });
  try {
    // One read transaction: the copy and the comparison see the same state of a session that is being recorded.
    source.prepare("VACUUM INTO ?").run(task.temporary);
    const copy = new Database(task.temporary, { readonly: true, fileMustExist: true });
    try {
      compare(source, copy, task);
    } finally {
      copy.close();
    }
  } finally {
    source.close();
  }
}

function compare(source: Connection, copy: Connection, task: ExportTask): void {
  task.check("integrity", "ok", copy.pragma("integrity_check", { simple: true }));
  for (const pragma of ["application_id", "user_version"]) task.check(pragma, source.pragma(pragma, { simple: true }), copy.pragma(pragma, { simple: true }));
  const tables = copy
    .prepare<[], TableRow>("SELECT name, (SELECT group_concat(name, ',') FROM pragma_table_info(t.name)) AS columns FROM sqlite_master t WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .all();
  tables.forEach(({ name, columns }, i) => {
    task.step(0.5 + (0.5 * i) / tables.length, `comparing ${name}`);
    // Rows committed after the copy was made are not missing from it: compare as far as the copy goes.
    const order = columns.split(",").slice(0, 2).join(", ");
    const [first = "rowid"] = columns.split(",");
    const last = copy.prepare(`SELECT max(${first}) FROM ${name}`).pluck().get();
    const query = `SELECT ${columns} FROM ${name} WHERE ${first} <= ? ORDER BY ${order}`;
    const expected = source.prepare<unknown[], unknown[]>(query).raw().iterate(last);
    const got = copy.prepare<unknown[], unknown[]>(query).raw().iterate(last);
    let rows = 0;
    for (const row of expected) {
      const other = got.next();
      const same = other.done !== true && row.every((value, c) => sameValue(value, other.value[c]));
      if (!same) task.check(`${name}, row ${rows + 1}`, "equal", "different");
      if (++rows % 2000 === 0) task.step(0.5 + (0.5 * i) / tables.length, `comparing ${name}`);
    }
    task.check(`${name}, end after ${rows} rows`, true, got.next().done);
  });
}

function sameValue(a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
}
