// Session files as an older version of the program left them: the same rows, as far as that version had a place for them.
import Database from "better-sqlite3";
import { migrations } from "../../../src/session/migrations/index.ts";
import { applicationId, migrate } from "../../../src/session/sqlite.ts";

/** Writes `file` as of `version` with what `source` holds. */
export function writeOlderFile(source: string, file: string, version: number): void {
  const db = new Database(file);
  try {
    db.pragma(`application_id = ${applicationId}`);
    migrate(db, migrations.filter((step) => step.version <= version));
    db.prepare("ATTACH ? AS newer").run(source);
    // A parent's rows go before those that refer to it.
    db.pragma("foreign_keys = OFF");
    for (const table of tablesOf(db)) {
      const columns = db.prepare<[], string>(`SELECT group_concat(name, ', ') FROM pragma_table_info('${table}')`).pluck().get() ?? "";
      db.exec(`INSERT INTO main.${table} (${columns}) SELECT ${columns} FROM newer.${table}`);
    }
    db.exec("DETACH newer");
  } finally {
    db.close();
  }
}

function tablesOf(db: Database.Database): string[] {
  return db.prepare<[], string>("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").pluck().all();
}

/** Every row of every table with the columns it has: what a migration must keep. */
export function rowsByTable(db: Database.Database): Record<string, Record<string, unknown>[]> {
  return Object.fromEntries(tablesOf(db).map((table) => [table, db.prepare<[], Record<string, unknown>>(`SELECT * FROM ${table} ORDER BY 1, 2`).all()]));
}
