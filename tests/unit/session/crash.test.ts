// What a crash leaves: kill -9 at random instants, and write-ahead logs cut or overwritten as a power cut leaves them.
// EVOKED_CRASH_INSTANTS=200 makes the long run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSession } from "../../../src/session/reader.ts";
import { createSession, resumeSession } from "../../../src/session/writer.ts";
import type { SessionRecord } from "../../../src/shared/records.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { aSession, anInfo } from "./aSession.ts";

const instants = Number(process.env["EVOKED_CRASH_INSTANTS"] ?? 20);
const child = fileURLToPath(new URL("./writerChild.ts", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-crash-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function firstRecords(seed: number, count: number): SessionRecord[] {
  const records: SessionRecord[] = [];
  if (count === 0) return records;
  for (const record of aSession({ seed, generations: 1_000_000 })) {
    records.push(record);
    if (records.length === count) return records;
  }
  return records;
}

/** Opens what a crash left and says what is there. */
function inspect(file: string): { readonly records: SessionRecord[]; readonly openMs: number; readonly integrity: unknown } {
  // Of this process alone: a busy machine takes longer for it.
  const start = process.cpuUsage();
  const reader = unwrap(openSession(file));
  const count = reader.lastSeq();
  const { user, system } = process.cpuUsage(start);
  const openMs = (user + system) / 1000;
  const records = [...reader.records()];
  expect(records.length).toBe(count);
  reader.close();
  const db = new Database(file, { readonly: true });
  const integrity = db.pragma("integrity_check", { simple: true });
  db.close();
  return { records, openMs, integrity };
}

/** Records until `waitMs` after the first acknowledged commit, then kills. Returns how many records were acknowledged. */
async function recordAndKill(place: string, seed: number, waitMs: number): Promise<number> {
  const recorder = spawn(process.execPath, [child, "record", place, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  recorder.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const closed = once(recorder, "close");
  await Promise.race([once(recorder.stdout, "data"), closed]);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  recorder.kill("SIGKILL");
  await closed;
  const last = said.split("\n").filter((line) => line.endsWith("}")).at(-1);
  return Number(JSON.parse(last ?? "{}").committed ?? 0);
}

describe("a session whose process is killed", () => {
  test(
    `at ${instants} random instants loses nothing acknowledged, is not damaged, opens within a second and goes on`,
    async () => {
      const rng = createRng("kill");
      const once1 = async (instant: number): Promise<void> => {
        const place = join(folder, String(instant));
        const acknowledged = await recordAndKill(place, instant, rng.uniform() * 150);
        const name = readdirSync(place).find((each) => each.endsWith(".evoked")) ?? "";
        const { records, openMs, integrity } = inspect(join(place, name));
        expect(integrity).toBe("ok");
        expect(openMs).toBeLessThan(1000);
        expect(records.length).toBeGreaterThanOrEqual(acknowledged);
        expect(acknowledged).toBeGreaterThan(0);
        const all = firstRecords(instant, records.length + 30);
        expect(isDeepStrictEqual(records, all.slice(0, records.length))).toBe(true);
        const resumed = unwrap(await resumeSession(join(place, name), { startedUtc: "2025-11-22T15:00:00.000Z", appVersion: "0", hostKind: "test" }, { thread: "caller" }));
        for (const record of all.slice(records.length)) resumed.append(record);
        await resumed.close();
        expect(isDeepStrictEqual(inspect(join(place, name)).records, all)).toBe(true);
        rmSync(place, { recursive: true });
      };
      // Two at a time: starting a process takes longer than recording.
      for (let instant = 0; instant < instants; instant += 2) await Promise.all([once1(instant), ...(instant + 1 < instants ? [once1(instant + 1)] : [])]);
    },
    60_000 + instants * 5_000,
  );
});

describe("a session after a power cut", () => {
  test("that tore, zeroed or scrambled the end of its log opens, is not damaged and holds a beginning of the session", async () => {
    const writer = unwrap(await createSession({ folder, fileName: "live.evoked", info: anInfo(), thread: "caller" }));
    const records = firstRecords(5, 300);
    for (const record of records) {
      writer.append(record);
      if (record.seq % 10 === 0) await writer.flush();
    }
    const cut = join(folder, "cut.evoked");
    copyFileSync(writer.file, cut);
    cpSync(`${writer.file}-wal`, join(folder, "log"));
    copyFileSync(writer.file, join(folder, "main"));
    await writer.close();
    const log = readFileSync(join(folder, "log"));
    expect(log.length).toBeGreaterThan(100_000);

    const rng = createRng("power");
    let fewest = records.length;
    for (let trial = 0; trial < 40; trial++) {
      for (const end of ["", "-wal", "-shm"]) rmSync(`${cut}${end}`, { force: true });
      copyFileSync(join(folder, "main"), cut);
      const at = rng.int(log.length);
      const torn = Buffer.from(log);
      if (trial % 4 === 1) torn.fill(0, at);
      if (trial % 4 === 2) for (let i = at; i < torn.length; i += 7) torn[i] = rng.int(256);
      // A sector that never arrived in the middle, with later ones on the disk.
      if (trial % 4 === 3) torn.fill(0, at, Math.min(torn.length, at + 512));
      writeFileSync(`${cut}-wal`, torn);
      if (trial % 4 === 0) truncateSync(`${cut}-wal`, at);
      const { records: kept, integrity, openMs } = inspect(cut);
      expect(integrity).toBe("ok");
      expect(openMs).toBeLessThan(1000);
      expect(isDeepStrictEqual(kept, records.slice(0, kept.length))).toBe(true);
      fewest = Math.min(fewest, kept.length);
      // What was written a good way before the cut is there.
      expect(kept.length).toBeGreaterThanOrEqual(Math.floor((records.length * at) / log.length) - 100);
    }
    expect(fewest).toBeLessThan(records.length);
  });

  test("during its creation leaves no file under its name, and the next start is not in its way", async () => {
    const temporary = join(folder, ".one.evoked.creating");
    writeFileSync(temporary, "half of a database");
    writeFileSync(`${temporary}-journal`, "half of a journal");
    const writer = unwrap(await createSession({ folder, fileName: "one.evoked", info: anInfo(), thread: "caller" }));
    await writer.close();
    expect(existsSync(temporary)).toBe(false);
    expect(inspect(writer.file).records).toStrictEqual([]);
  });
});
