import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { appendToSession } from "../../../src/session/append.ts";
import type { AppendOptions } from "../../../src/session/append.ts";
import { openSession } from "../../../src/session/reader.ts";
import type { SessionReader } from "../../../src/session/reader.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import type { SessionWriter } from "../../../src/session/writer.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aSession, anInfo, someAnalyses } from "./aSession.ts";
import { rowsByTable, writeOlderFile } from "./olderFile.ts";

const recorded = [...aSession({ seed: 8, generations: 2, channels: 6 })];
const added = someAnalyses(createRng("added"));
const options: AppendOptions = { appVersion: "9.9.9", hostKind: "test", nowUtc: "2025-12-01T10:00:00.000Z", thread: "caller" };
const run = { startedUtc: "2025-11-22T18:00:00.000Z", appVersion: "0", hostKind: "test" } as const;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-append-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function record(end: "close" | "abandon"): Promise<string> {
  const writer = unwrap(await createSession({ folder, fileName: "one.evoked", info: anInfo(), thread: "caller" }));
  for (const one of recorded) writer.append(one);
  await writer[end]();
  return writer.file;
}

function read<T>(file: string, use: (reader: SessionReader) => T): T {
  const reader = unwrap(openSession(file));
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

function rowsOf(file: string): Record<string, unknown[]> {
  const db = new Database(file, { readonly: true });
  try {
    return rowsByTable(db);
  } finally {
    db.close();
  }
}

function versionOf(file: string): unknown {
  const db = new Database(file, { readonly: true });
  try {
    return [db.pragma("user_version", { simple: true }), db.pragma("journal_mode", { simple: true })];
  } finally {
    db.close();
  }
}

describe("adding to a session afterwards", () => {
  test("gives every value back, after what was recorded, in a run of its own that says when and by what version", async () => {
    const file = await record("close");
    const appended = unwrap(await appendToSession(file, added, { ...options, thread: "worker" }));
    expect(appended).toStrictEqual({ firstSeq: recorded.length + 1, lastSeq: recorded.length + added.length });
    const hostNs = recorded.at(-1)?.hostNs;
    read(file, (reader) => {
      const all = [...reader.records()];
      expect(all.slice(0, recorded.length)).toStrictEqual(recorded);
      expect(all.slice(recorded.length)).toStrictEqual(added.map((body, i) => ({ ...body, seq: recorded.length + 1 + i, hostNs })));
      expect(reader.additions()).toStrictEqual([{ run: 2, ...appended, startedUtc: options.nowUtc, endedUtc: options.nowUtc, appVersion: "9.9.9", hostKind: "test" }]);
      expect(reader.neuronModels()).toStrictEqual(all.filter((one) => one.kind === "neuronModel"));
      expect(reader.ablations()).toStrictEqual(all.filter((one) => one.kind === "ablation"));
      expect(reader.visualisations({ pixels: true })).toStrictEqual(all.filter((one) => one.kind === "visualisation"));
      expect(reader.visualisations()[0]?.rgb).toHaveLength(0);
      expect(reader.exports()).toStrictEqual(all.filter((one) => one.kind === "export"));
    });
  });

  test.each(["close", "abandon"] as const)("changes nothing of what was recorded, nor whether it ended well (%s)", async (end) => {
    const file = await record(end);
    const before = read(file, (reader) => ({ runs: reader.runs(), summary: { ...reader.summary(), sizeBytes: 0 }, info: reader.info(), span: reader.span(1) }));
    const rows = rowsOf(file);
    for (let i = 0; i < 3; i++) unwrap(await appendToSession(file, added, options));
    expect(read(file, (reader) => ({ runs: reader.runs(), summary: { ...reader.summary(), sizeBytes: 0 }, info: reader.info(), span: reader.span(1) }))).toStrictEqual(before);
    expect(before.summary.state).toBe(end === "close" ? "finished" : "interrupted");
    const after = rowsOf(file);
    for (const [table, own] of Object.entries(rows)) expect(after[table]?.slice(0, own.length)).toStrictEqual(own);
    expect(readdirSync(folder)).toStrictEqual(["one.evoked"]);
  });

  test("leaves a session that can be resumed, whose runs do not count what was added", async () => {
    const file = await record("abandon");
    const point = read(file, (reader) => reader.resumePoint());
    unwrap(await appendToSession(file, added, options));
    expect(read(file, (reader) => reader.resumePoint())).toStrictEqual({ ...point, nextSeq: point.nextSeq + added.length });
    const writer = unwrap(await resumeSession(file, run, { thread: "caller" }));
    const more = [...aSession({ generations: 0, references: 0 })].map((one, i) => ({ ...one, seq: writer.nextSeq + i }));
    for (const one of more) writer.append(one);
    await writer.close();
    read(file, (reader) => {
      const first = recorded.length + added.length + 1;
      expect(reader.runs().map(({ firstSeq, lastSeq, endedUtc }) => [firstSeq, lastSeq, endedUtc !== null])).toStrictEqual([[1, recorded.length, false], [first, first + more.length - 1, true]]);
      expect(reader.additions()).toHaveLength(1);
      expect(reader.summary().state).toBe("finished");
    });
  });

  test("is refused while the session is recorded, in a sentence, and adds nothing", async () => {
    const writer: SessionWriter = unwrap(await createSession({ folder, fileName: "one.evoked", info: anInfo(), thread: "caller" }));
    for (const one of recorded) writer.append(one);
    await writer.flush();
    expect(await appendToSession(writer.file, added, options)).toMatchObject({ ok: false, error: { code: "sessionLocked", message: expect.stringContaining("is being recorded; nothing can be added to it until the recording ends") } });
    await writer.close();
    expect(read(writer.file, (reader) => reader.lastSeq())).toBe(recorded.length);
  });

  test("to a file of version 1 makes it one of this version; where it fails the file stays as it was", async () => {
    const older = join(folder, "older.evoked");
    writeOlderFile(await record("close"), older, 1);
    const before = rowsOf(older);
    // A record that cannot be stored: the whole addition is undone, the migration with it.
    const [model] = added;
    if (model?.kind !== "neuronModel") throw new Error("expected a model");
    expect(await appendToSession(older, [...added, { ...model, settingsJson: "no JSON" }], options)).toMatchObject({ ok: false });
    expect(rowsOf(older)).toStrictEqual(before);
    expect(versionOf(older)).toStrictEqual([1, "delete"]);
    unwrap(await appendToSession(older, added, options));
    expect(read(older, (reader) => reader.neuronModels())).toHaveLength(1);
  });

  test("says why a file cannot be written, and leaves no lock behind", async () => {
    const file = await record("close");
    expect(await appendToSession(join(folder, "none.evoked"), added, options)).toMatchObject({ ok: false, error: { code: "cannotOpen" } });
    const newer = join(folder, "newer.evoked");
    copyFileSync(file, newer);
    const db = new Database(newer);
    db.pragma("user_version = 1000");
    db.close();
    expect(await appendToSession(newer, added, options)).toMatchObject({ ok: false, error: { code: "sessionNewer" } });
    // Where no lock can be taken the file cannot be written: a folder stands in its place (root may write everywhere else).
    mkdirSync(`${file}-lock`);
    expect(await appendToSession(file, added, options)).toMatchObject({ ok: false, error: { message: expect.stringContaining(file) } });
    rmSync(`${file}-lock`, { recursive: true });
    if (process.getuid?.() !== 0) {
      chmodSync(file, 0o444);
      expect(await appendToSession(file, added, options)).toMatchObject({ ok: false, error: { code: "notWritable" } });
    }
    expect(readdirSync(folder).sort()).toStrictEqual(["newer.evoked", "one.evoked"]);
  });
});
