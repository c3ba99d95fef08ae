// Units sorted anew in the middle of a session, through its file: it replays bit for bit, and a session that was killed after the change goes on with
// the new targets and with nothing that was measured before it.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { openLiveSession } from "../../src/engine/liveSession.ts";
import type { LiveSession } from "../../src/engine/liveSession.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { readResumePoint } from "../../src/engine/resume.ts";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { createVirtualClock } from "../../src/loop/clock.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { tableOf } from "../../src/session/tables.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "evoked-resort-"));
// Four channels in each of three areas; the pair is the next.
const pair = 12;
let models: Models;
let file = "";
let resortedAfter = -1;

const config = sessionConfig.parse({
  seed: 4, display: { kind: "timed" },
  rig: { options: { channelsPerArray: 4, multiUnitShare: 0 }, channels: { merges: [{ name: "pair", members: ["V4-02:1", "V4-03:1"] }] } },
  evolution: { generations: 3, tuningRepeats: 0, confirmRepeats: 0, referencesPerGeneration: 2, threads: [{ target: pair, populationSize: 8 }] },
});

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(root, "models")], inProcess: true, provider: "cpu", threads: 1 }));
  const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  let session: LiveSession | null = null;
  let isOver = false;
  let counted = 0;
  session = unwrap(await openLiveSession({
    config, clock, models, sessionFolder: folder, hostKind: "test", display: createTimedDisplay({ clock }),
    onRecord(body) {
      if (body.kind !== "presentation" || body.generation !== 1 || body.excluded !== null || ++counted !== 4) return;
      resortedAfter = body.presentationId;
      const replaced = session?.rig.source.resort?.(null) ?? [];
      session?.loop.unitsResorted(replaced);
    },
    listener: { trial: () => undefined, generation: () => undefined, presentation: () => undefined, stepReport: () => undefined, needsImages: () => undefined, ended: () => void (isOver = true) },
  }));
  await Promise.all([clock.run(() => isOver), session.loop.start()]);
  await session.close();
  file = session.file;
}, 120_000);
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("a session whose units were sorted anew", () => {
  it("has the new target from the change on, measures its block again, and replays bit for bit", async () => {
    const reader = unwrap(openSession(file));
    expect(reader.channels().slice(pair).map((c) => c.name)).toEqual(["pair", "pair (sorting 2)"]);
    expect(reader.generations().map((g) => [g.generation, g.targetChannel])).toEqual([[0, pair], [1, pair + 1], [2, pair + 1]]);
    const after = reader.presentations({ generation: 1 }).filter((p) => p.excluded === null && p.presentationId > resortedAfter);
    // Every image of the block once more.
    expect(new Set(after.map((p) => p.imageId)).size).toBe(10);
    reader.close();
    expect(unwrap(await verifySession(file)).firstDifference).toBeNull();
  }, 60_000);

  it("that was killed after the change goes on with the new target, counts nothing from before it, and replays bit for bit", async () => {
    const whole = unwrap(openSession(file));
    // In the middle of the block that is measured again.
    const last = whole.presentations({ generation: 1 }).filter((p) => p.presentationId > resortedAfter && p.excluded === null)[3];
    whole.close();
    const killed = join(folder, "killed.evoked");
    copyFileSync(file, killed);
    const db = new Database(killed);
    db.pragma("foreign_keys = OFF");
    for (const table of [...Object.values(tableOf), "devices", "channels"]) db.prepare(`DELETE FROM ${table} WHERE seq > ?`).run(last?.seq ?? 0);
    db.prepare("UPDATE runs SET ended_utc = NULL, last_seq = NULL").run();
    db.close();
    const past = unwrap(readResumePoint(killed));
    unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config: past.config, resumeFile: killed }));
    const reader = unwrap(openSession(killed));
    expect(reader.generations().map((g) => [g.generation, g.targetChannel])).toEqual([[0, pair], [1, pair + 1], [2, pair + 1]]);
    const scores = reader.generations()[1]?.scores ?? [];
    // A score is a rate that was measured after the change.
    const rates = new Set(reader.presentations({ generation: 1 }).filter((p) => p.excluded === null && p.presentationId > resortedAfter).map((p) => p.rateHz));
    for (const score of scores) expect(rates.has(score)).toBe(true);
    reader.close();
    expect(unwrap(await verifySession(killed)).firstDifference).toBeNull();
  }, 60_000);
});
