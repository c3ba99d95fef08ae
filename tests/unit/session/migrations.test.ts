import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { latestVersion, migrations } from "../../../src/session/migrations/index.ts";
import type { Migration } from "../../../src/session/migrations/index.ts";
import { openSession } from "../../../src/session/reader.ts";
import { isSafeVersion, migrate } from "../../../src/session/sqlite.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import type { SessionRecord } from "../../../src/shared/records.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aSession, anInfo } from "./aSession.ts";
import { rowsByTable, writeOlderFile } from "./olderFile.ts";

/** Released migrations. A line is added with each; a line never changes. */
const released = ["e0d43c26e487263a37753077771fd307f3a13601379202dfa1bda2a838a93695", "163d9e4c3a4c65644cacdac1a66bedd65600293d22d7cf9551e56bafe112d6e4", "577fb1a9132e1a6d473caca21746347a13460202e7590a676aa053c6b2a38e1c", "ba8752975e6ae9cc0afa57485d74fcace83c2d1d72e99251a281b98eadf33ba8"];

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-migrations-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function atVersion(version: number, steps: readonly Migration[]): Database.Database {
  const db = new Database(":memory:");
  migrate(db, steps.filter((step) => step.version <= version));
  return db;
}

describe("migrations", () => {
  test("that were released never change", () => {
    expect(migrations.map(({ sql }) => createHash("sha256").update(sql).digest("hex"))).toStrictEqual(released);
  });

  test("are numbered from 1 without holes", () => {
    expect(migrations.map(({ version }) => version)).toStrictEqual(released.map((_, i) => i + 1));
  });

  test("make only STRICT tables, with times in ns that say on which clock", () => {
    const db = atVersion(latestVersion, migrations);
    const tables = db.prepare<[], { name: string; strict: number }>("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'").all();
    expect(tables.filter(({ strict }) => strict !== 1)).toStrictEqual([]);
    const columns = tables.flatMap(({ name }) => db.prepare<[], { name: string }>(`SELECT name FROM pragma_table_info('${name}')`).all());
    expect(columns.filter(({ name }) => /_ns$/.test(name) && !/host_ns$|rig_ns$/.test(name))).toStrictEqual([]);
  });

  test("run once each, in order, and keep the rows that were there", () => {
    const steps: Migration[] = [
      { version: 1, name: "one", sql: "CREATE TABLE a (x INTEGER NOT NULL) STRICT;" },
      { version: 2, name: "two", sql: "ALTER TABLE a ADD COLUMN y_ms REAL; UPDATE a SET y_ms = x * 2.0;" },
    ];
    const db = atVersion(1, steps);
    db.exec("INSERT INTO a VALUES (3), (4)");
    expect(migrate(db, steps)).toBe(1);
    expect(migrate(db, steps)).toBe(2);
    expect(db.prepare("SELECT x, y_ms FROM a").all()).toStrictEqual([{ x: 3, y_ms: 6 }, { x: 4, y_ms: 8 }]);
  });

  test("that fail half-way leave the version before", () => {
    const steps: Migration[] = [
      { version: 1, name: "one", sql: "CREATE TABLE a (x INTEGER) STRICT;" },
      { version: 2, name: "broken", sql: "CREATE TABLE b (x INTEGER) STRICT; CREATE TABLE a (x INTEGER) STRICT;" },
    ];
    const db = atVersion(1, steps);
    expect(() => migrate(db, steps)).toThrow(/already exists/);
    expect(db.pragma("user_version", { simple: true })).toBe(1);
    expect(db.prepare("SELECT count(*) FROM sqlite_master").pluck().get()).toBe(1);
  });
});

describe("every released migration", () => {
  test("keeps every value of every row that the version before held", async () => {
    const writer = unwrap(await createSession({ folder, info: anInfo(), thread: "caller" }));
    for (const record of aSession({ seed: 2, generations: 2 })) writer.append(record);
    await writer.close();
    for (const { version } of migrations.slice(1)) {
      const older = join(folder, `version-${version - 1}.evoked`);
      writeOlderFile(writer.file, older, version - 1);
      const db = new Database(older);
      const before = rowsByTable(db);
      expect(Object.values(before).filter((rows) => rows.length === 0)).toStrictEqual([]);
      expect(migrate(db, migrations.filter((step) => step.version <= version))).toBe(version - 1);
      const after = rowsByTable(db);
      for (const [table, rows] of Object.entries(before)) {
        expect(after[table]?.map((row) => Object.fromEntries(Object.keys(rows[0] ?? {}).map((column) => [column, row[column]])))).toStrictEqual(rows);
      }
      expect(db.pragma("foreign_key_check")).toStrictEqual([]);
      db.close();
    }
  });
});

describe("a session file of version 1", () => {
  const isAdded = ({ kind }: SessionRecord): boolean => ["neuronModel", "ablation", "visualisation", "export", "displayCalibration", "flip", "step"].includes(kind);

  /** As a file that knows no steps gives it. */
  const withoutSteps = (record: SessionRecord): SessionRecord =>
    record.kind === "image" ? { ...record, step: null, key: null } : record.kind === "presentation" ? { ...record, step: null, block: null, item: null, placement: null } : record;

  async function someVersion1(): Promise<{ readonly file: string; readonly recorded: readonly SessionRecord[] }> {
    const recorded = [...aSession({ seed: 4, generations: 1 })].filter((record) => !isAdded(record)).map((record, i) => ({ ...withoutSteps(record), seq: i + 1 }));
    const writer = unwrap(await createSession({ folder, fileName: "new.evoked", info: anInfo(), thread: "caller" }));
    for (const record of recorded) writer.append(record);
    await writer.close();
    const file = join(folder, "version-1.evoked");
    writeOlderFile(writer.file, file, 1);
    return { file, recorded };
  }

  test("is read as it is, and holds nothing that its version had no place for", async () => {
    const { file, recorded } = await someVersion1();
    const reader = unwrap(openSession(file));
    expect([...reader.records()]).toStrictEqual(recorded);
    expect(reader.lastSeq()).toBe(recorded.length);
    expect(reader.resumePoint().nextSeq).toBe(recorded.length + 1);
    expect(reader.summary()).toMatchObject({ state: "finished", generations: 1 });
    expect(reader.runs()).toHaveLength(1);
    expect([reader.additions(), reader.neuronModels(), reader.ablations(), reader.visualisations(), reader.exports()]).toStrictEqual([[], [], [], [], []]);
    reader.close();
    const db = new Database(file, { readonly: true });
    expect(db.pragma("user_version", { simple: true })).toBe(1);
    db.close();
  });

  test("becomes one of this version when something is written to it, with all that it held, also for a reader that has it open", async () => {
    const { file, recorded } = await someVersion1();
    const reader = unwrap(openSession(file));
    expect(reader.exports()).toStrictEqual([]);
    const writer = unwrap(await resumeSession(file, { startedUtc: "2025-11-22T15:00:00.000Z", appVersion: "0", hostKind: "test" }, { thread: "caller" }));
    expect(writer.nextSeq).toBe(recorded.length + 1);
    const more = [...aSession({ generations: 0, references: 0, firstSeq: recorded.length + 1 })].slice(-4);
    for (const record of more) writer.append({ ...record, seq: writer.nextSeq });
    await writer.close();
    expect([...reader.records()].slice(0, recorded.length)).toStrictEqual(recorded);
    expect(reader.exports()).toHaveLength(2);
    expect(reader.runs()).toHaveLength(2);
    reader.close();
  });
});

describe("a session file of a newer version", () => {
  test("is refused with both versions in the sentence, by readers and writers, and not touched", async () => {
    const writer = unwrap(await createSession({ folder, info: anInfo(), thread: "caller" }));
    await writer.close();
    const db = new Database(writer.file);
    db.pragma(`user_version = ${latestVersion + 1}`);
    db.close();
    const hash = (): unknown => {
      const other = new Database(writer.file, { readonly: true });
      const bytes = other.serialize();
      other.close();
      return createHash("sha256").update(bytes).digest("hex");
    };
    const before = hash();
    const expected = { ok: false, error: { code: "sessionNewer", message: expect.stringContaining(`file version ${latestVersion + 1}; this program reads up to ${latestVersion}`) } };
    expect(openSession(writer.file)).toMatchObject(expected);
    expect(await resumeSession(writer.file, { startedUtc: "", appVersion: "", hostKind: "test" }, { thread: "caller" })).toMatchObject(expected);
    expect(hash()).toBe(before);
  });
});

describe("the SQLite library", () => {
  test("is accepted from 3.51.3 on", () => {
    expect(["3.51.3", "3.51.10", "3.52.0", "4.0.0"].filter((version) => !isSafeVersion(version))).toStrictEqual([]);
    expect(["3.51.2", "3.9.99", "3.50.7", "2.99.99"].filter((version) => isSafeVersion(version))).toStrictEqual([]);
  });
});
