import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeDiskWatch } from "../../../src/session/diskWatch.ts";
import { listSessions, openSession } from "../../../src/session/reader.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import type { NewSession, SessionWriter } from "../../../src/session/writer.ts";
import type { SessionRecord } from "../../../src/shared/records.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aSession, anInfo } from "./aSession.ts";

const child = fileURLToPath(new URL("./writerChild.ts", import.meta.url));
const run = { startedUtc: "2025-11-22T15:00:00.000Z", appVersion: "0.2.0", hostKind: "test" as const };

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-writer-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function aWriter(over: Partial<NewSession> = {}): Promise<SessionWriter> {
  return unwrap(await createSession({ folder, info: anInfo(), thread: "caller", ...over }));
}

function readBack(file: string): SessionRecord[] {
  const reader = unwrap(openSession(file));
  const records = [...reader.records()];
  reader.close();
  return records;
}

describe("a session file", () => {
  test("is named after its start and subject, and numbered where the name is taken", async () => {
    const first = await aWriter();
    const second = await aWriter();
    await first.close();
    await second.close();
    expect(readdirSync(folder).sort()).toStrictEqual(["2025-11-22_13-45-00_sub-A1.evoked", "2025-11-22_13-45-00_sub-A1_2.evoked"]);
  });

  test("is one plain file after a clean end", async () => {
    const writer = await aWriter({ fileName: "one.evoked", thread: "worker" });
    for (const record of aSession({ generations: 1 })) writer.append(record);
    await writer.close();
    expect(readdirSync(folder)).toStrictEqual(["one.evoked"]);
  });

  test("is never replaced: an explicit name that is taken is refused", async () => {
    const writer = await aWriter({ fileName: "one.evoked" });
    for (const record of aSession({ generations: 1 })) writer.append(record);
    await writer.close();
    expect(await createSession({ folder, fileName: "one.evoked", info: anInfo() })).toMatchObject({ ok: false, error: { code: "sessionExists" } });
    expect(readBack(writer.file).length).toBeGreaterThan(0);
  });

  test("does not take over a log left by a file of its name that was moved away", async () => {
    writeFileSync(join(folder, "one.evoked-wal"), "precious");
    expect(await createSession({ folder, fileName: "one.evoked", info: anInfo() })).toMatchObject({ ok: false, error: { code: "sessionExists", message: expect.stringContaining("one.evoked-wal") } });
    expect(existsSync(join(folder, "one.evoked-wal"))).toBe(true);
  });

  test("holds integers, text and floats as SQLite columns that any tool reads", async () => {
    const writer = await aWriter();
    for (const record of aSession({ generations: 1 })) writer.append(record);
    await writer.close();
    const db = new Database(writer.file, { readonly: true });
    expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
    expect(db.pragma("foreign_key_check")).toStrictEqual([]);
    expect(db.prepare("SELECT count(*) FROM presentations WHERE rate_hz IS NULL AND excluded_because IS NULL").pluck().get()).toBe(0);
    db.close();
  });

  test("opened in a second copy of the app is refused with a sentence, and the first goes on unharmed", async () => {
    const writer = await aWriter({ fileName: "one.evoked", thread: "worker" });
    const records = [...aSession({ generations: 1 })];
    for (const record of records.slice(0, 20)) writer.append(record);
    await writer.flush();
    const other = spawnSync(process.execPath, [child, "resume", writer.file], { encoding: "utf8" });
    expect(JSON.parse(other.stdout)).toMatchObject({ code: "sessionLocked", message: expect.stringContaining("another copy of Evoked") });
    expect(await resumeSession(writer.file, run)).toMatchObject({ ok: false, error: { code: "sessionLocked" } });
    for (const record of records.slice(20)) writer.append(record);
    await writer.close();
    expect(readBack(writer.file)).toStrictEqual(records);
  });

  test("whose writer was killed is not locked", async () => {
    const other = spawn(process.execPath, [child, "record", folder], { stdio: ["ignore", "pipe", "inherit"] });
    await once(other.stdout, "data");
    other.kill("SIGKILL");
    await once(other, "exit");
    const [name] = readdirSync(folder).filter((each) => each.endsWith(".evoked"));
    expect(existsSync(join(folder, `${name}-lock`))).toBe(true);
    const resumed = unwrap(await resumeSession(join(folder, name ?? ""), run));
    await resumed.close();
    expect(readdirSync(folder)).toStrictEqual([name]);
  });
});

describe("a session that goes on", () => {
  test("continues the sequence in a new run and equals one that never stopped", async () => {
    const records = [...aSession({ seed: 8 })];
    const writer = await aWriter({ fileName: "one.evoked" });
    for (const record of records.slice(0, 100)) writer.append(record);
    await writer.abandon();
    const list = unwrap(listSessions(folder));
    expect(list.sessions.map(({ state }) => state)).toStrictEqual(["interrupted"]);

    const resumed = unwrap(await resumeSession(writer.file, run, { thread: "caller", now: () => "2025-11-22T16:00:00.000Z" }));
    expect(resumed.nextSeq).toBe(101);
    for (const record of records.slice(100)) resumed.append(record);
    await resumed.close();
    expect(readBack(writer.file)).toStrictEqual(records);
    const reader = unwrap(openSession(writer.file));
    expect(reader.runs()).toStrictEqual([
      { run: 1, firstSeq: 1, lastSeq: 100, startedUtc: "2025-11-22T13:45:00.000Z", endedUtc: null, appVersion: "0.1.0", hostKind: "test" },
      { run: 2, firstSeq: 101, lastSeq: records.length, startedUtc: run.startedUtc, endedUtc: "2025-11-22T16:00:00.000Z", appVersion: "0.2.0", hostKind: "test" },
    ]);
    expect(reader.summary().state).toBe("finished");
    reader.close();
  });

  test("that does not exist is refused, and nothing is made", async () => {
    expect(await resumeSession(join(folder, "none.evoked"), run)).toMatchObject({ ok: false, error: { code: "cannotOpen" } });
    expect(readdirSync(folder)).toStrictEqual([]);
  });
});

describe("a writer that cannot go on", () => {
  test("says that the disk is full, commits no half of anything, and leaves the file interrupted and whole", async () => {
    for (const thread of ["caller", "worker"] as const) {
      const writer = await aWriter({ fileName: `${thread}.evoked`, thread, sizeBytesMax: 400_000 });
      const records = [...aSession({ seed: 2, generations: 20 })];
      for (const record of records) writer.append(record);
      await writer.flush();
      const status = writer.status();
      expect(status.failure).toMatchObject({ code: "diskFull", message: expect.stringContaining("Everything committed before is safe") });
      await writer.close();
      const kept = readBack(writer.file);
      expect(kept.length).toBe(status.committedRecords);
      expect(kept).toStrictEqual(records.slice(0, kept.length));
      const reader = unwrap(openSession(writer.file));
      expect(reader.summary().state).toBe("interrupted");
      reader.close();
    }
  });

  test("stays interrupted when it is closed before it has heard of its own failure", async () => {
    const writer = await aWriter({ thread: "worker", sizeBytesMax: 400_000 });
    for (const record of aSession({ seed: 2, generations: 20 })) writer.append(record);
    await writer.close();
    const reader = unwrap(openSession(writer.file));
    expect(reader.summary().state).toBe("interrupted");
    reader.close();
    expect(writer.status().failure).toMatchObject({ code: "diskFull" });
  });

  test("resumes after space was made", async () => {
    const records = [...aSession({ seed: 2, generations: 20 })];
    const writer = await aWriter({ sizeBytesMax: 400_000 });
    for (const record of records) {
      writer.append(record);
      if (record.seq % 50 === 0) await writer.flush();
    }
    await writer.close();
    const resumed = unwrap(await resumeSession(writer.file, run, { thread: "caller" }));
    expect(resumed.nextSeq).toBeGreaterThan(1);
    for (const record of records.slice(resumed.nextSeq - 1)) resumed.append(record);
    await resumed.close();
    expect(readBack(writer.file)).toStrictEqual(records);
  });

  test("fails instead of filling the memory when the disk cannot keep up", async () => {
    const writer = await aWriter({ queuedBytesMax: 100_000 });
    for (const record of aSession({ generations: 20 })) writer.append(record);
    expect(writer.status().failure).toMatchObject({ code: "storeOverflow", message: expect.stringMatching(/\d+ records .* wait to be written/) });
    await writer.close();
    const kept = readBack(writer.file);
    expect(kept.map(({ seq }) => seq)).toStrictEqual(kept.map((_, i) => i + 1));
  });

  test("notices that its file was moved or replaced, and touches neither", async () => {
    const moved = await aWriter({ fileName: "moved.evoked" });
    const replaced = await aWriter({ fileName: "replaced.evoked" });
    const records = [...aSession({ generations: 1 })];
    for (const writer of [moved, replaced]) {
      for (const record of records.slice(0, 40)) writer.append(record);
      await writer.flush();
    }
    renameSync(moved.file, join(folder, "elsewhere.evoked"));
    renameSync(replaced.file, join(folder, "original.evoked"));
    writeFileSync(replaced.file, "something else");
    for (const writer of [moved, replaced]) {
      for (const record of records.slice(40)) writer.append(record);
      await writer.flush();
      expect(writer.status().failure).toMatchObject({ code: "sessionReplaced", message: expect.stringContaining(writer.file) });
      await writer.close();
    }
    expect(readBack(join(folder, "elsewhere.evoked"))).toStrictEqual(records.slice(0, 40));
    expect(readBack(join(folder, "original.evoked"))).toStrictEqual(records.slice(0, 40));
  });

  test.skipIf(process.platform === "win32")("says that a folder cannot be written", async () => {
    const locked = join(folder, "locked");
    mkdirSync(locked);
    chmodSync(folder, 0o755);
    chmodSync(locked, 0o555);
    // Root may write anywhere: such a run asks a child that is nobody.
    const asNobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const made = spawnSync(process.execPath, [child, "create", locked], { encoding: "utf8", ...asNobody });
    expect(JSON.parse(made.stdout)).toMatchObject({ code: expect.stringMatching(/notWritable|cannotOpen/), message: expect.stringContaining(locked) });
    expect(readdirSync(locked)).toStrictEqual([]);
  });

  test("says that a folder cannot be made where a file is", async () => {
    writeFileSync(join(folder, "file"), "");
    for (const inside of ["file", "file/deeper"]) {
      const made = await createSession({ folder: join(folder, inside), info: anInfo() });
      expect(made).toMatchObject({ ok: false, error: { message: expect.stringContaining("file") } });
    }
  });

  test.skipIf(process.platform === "win32")("leaves an interrupted session readable from a folder that cannot be written", async () => {
    const writer = await aWriter({ fileName: "one.evoked" });
    const records = [...aSession({ generations: 1 })];
    for (const record of records) writer.append(record);
    await writer.flush();
    const archive = join(folder, "archive");
    mkdirSync(archive);
    // As a crash leaves it: with its log.
    for (const end of ["", "-wal", "-shm"]) cpSync(`${writer.file}${end}`, join(archive, `one.evoked${end}`));
    await writer.close();
    chmodSync(folder, 0o755);
    chmodSync(archive, 0o555);
    const asNobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const read = spawnSync(process.execPath, [child, "count", join(archive, "one.evoked")], { encoding: "utf8", ...asNobody });
    chmodSync(archive, 0o755);
    expect(JSON.parse(read.stdout)).toStrictEqual({ records: records.length });
  });
});

describe("disk space", () => {
  const gib = 2 ** 30;

  test("lasts as many minutes as the growth of the last minute says", () => {
    const watch = makeDiskWatch();
    expect(watch.read(0, 0, 100 * gib)).toStrictEqual({ diskFreeBytes: 100 * gib, minutesLeft: null, level: "ok" });
    for (let second = 1; second <= 200; second++) watch.read(second * 1000, second * (gib / 60), 100 * gib);
    expect(watch.read(201_000, 201 * (gib / 60), 100 * gib).minutesLeft).toBeCloseTo(100, 6);
  });

  test("is low, then ends the recording, by bytes or by minutes, and is unknown where the system does not say", () => {
    const level = (freeBytes: number | null, bytesPerS: number): string => {
      const watch = makeDiskWatch();
      watch.read(0, 0, freeBytes);
      return watch.read(60_000, bytesPerS * 60, freeBytes).level;
    };
    expect(level(10 * gib, 1000)).toBe("ok");
    expect(level(1.9 * gib, 1000)).toBe("low");
    expect(level(0.2 * gib, 1000)).toBe("stop");
    expect(level(10 * gib, gib / 100)).toBe("low");
    expect(level(10 * gib, gib / 10)).toBe("stop");
    expect(level(null, gib)).toBe("ok");
  });

  test("is in the status from the start", async () => {
    const writer = await aWriter();
    expect(writer.status()).toMatchObject({ diskFreeBytes: expect.any(Number), minutesLeft: null });
    await writer.close();
  });
});
