// Sessions of every protocol that were killed at any record: gone on with, they show what was left and nothing twice, and replay bit for bit.
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { readResumePoint } from "../../src/engine/resume.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { tableOf } from "../../src/session/tables.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";
import { nsPerMs } from "../../src/shared/units.ts";

const root = join(import.meta.dirname, "..", "..");
const references = join(root, "models", "references");
const folder = mkdtempSync(join(tmpdir(), "evoked-plan-"));
let models: Models;
let whole: string;

const config = sessionConfig.parse({
  seed: 5, display: { kind: "timed" },
  trial: { rewardMs: 100, rewardGrowMs: 7, rewardMsMax: 190, breakAfterTrials: 8, breakMs: 1500 },
  plan: [
    { protocol: "rfMapping", columns: 3, rows: 2, imageCount: 2, repeats: 1 },
    { protocol: "diverseSet", folder: references, imageCount: 6, repeats: 2, imagesPerTrial: 3 },
    { protocol: "evolution", generations: 2, repeats: 1, confirmRepeats: 1, referencesPerGeneration: 2, threads: [{ populationSize: 5 }] },
    { protocol: "localisation", discCount: 4, discRepeats: 1, intactRepeats: 2, maskedRepeats: 1 },
    { protocol: "validation", source: "folder", folder: references, repeats: 1, naturalCount: 2, naturalRepeats: 1, permutations: 100 },
    { protocol: "images", folder: references, imageCount: 3, repeats: 2 },
  ],
});

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(root, "models")], inProcess: true, provider: "cpu", threads: 1 }));
  whole = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config })).session;
}, 120_000);
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The file as a kill right after this record would have left it. */
function killedAt(seq: number, name: string): string {
  const file = join(folder, name);
  copyFileSync(whole, file);
  const db = new Database(file);
  db.pragma("foreign_keys = OFF");
  for (const table of [...Object.values(tableOf), "devices", "channels"]) db.prepare(`DELETE FROM ${table} WHERE seq > ?`).run(seq);
  db.prepare("UPDATE runs SET ended_utc = NULL, last_seq = NULL").run();
  db.close();
  return file;
}

/** How often every planned presentation of every step counted; what a block without a presentation in the file has not. */
function countedOf(file: string): Record<string, number> {
  const reader = unwrap(openSession(file));
  const counts: Record<string, number> = {};
  for (const p of reader.presentations()) if (p.excluded === null) counts[`${p.step}/${p.block}/${p.item === p.imageId ? "" : p.item}`] = (counts[`${p.step}/${p.block}/${p.item === p.imageId ? "" : p.item}`] ?? 0) + 1;
  reader.close();
  return counts;
}

/** Rewards and breaks over all trials of a file, as one animal had them: what is recorded, and what the outcomes ask for. */
function trialsOf(file: string): { readonly rewards: readonly number[]; readonly expected: readonly number[]; readonly betweenBreaks: readonly number[] } {
  const reader = unwrap(openSession(file));
  const trials = reader.trials();
  const cuts = new Set(reader.runs().map((r) => r.firstSeq));
  reader.close();
  const [rewards, expected, betweenBreaks]: [number[], number[], number[]] = [[], [], []];
  let streak = 0;
  let sinceBreak = 0;
  for (const [i, trial] of trials.entries()) {
    if (trial.outcome === "correct") {
      rewards.push(trial.rewardMs);
      expected.push(Math.min(100 + 7 * streak, 190));
      streak += 1;
    } else if (trial.outcome === "brokeFixation" || trial.outcome === "noFixation") streak = 0;
    sinceBreak += 1;
    const next = trials[i + 1];
    const isCut = next !== undefined && [...cuts].some((seq) => seq > trial.seq && seq < next.seq);
    if (next === undefined || isCut || next.startHostNs - trial.endHostNs < 1500 * nsPerMs) continue;
    betweenBreaks.push(sinceBreak);
    sinceBreak = 0;
  }
  return { rewards, expected, betweenBreaks };
}

describe("a session of every protocol", () => {
  it("replays bit for bit", async () => {
    expect(unwrap(await verifySession(whole)).firstDifference).toBeNull();
  }, 60_000);

  it("that was killed at any record is resumed to its end: what was left is shown, nothing twice", async () => {
    const reader = unwrap(openSession(whole));
    const bySteps = Map.groupBy(reader.presentations(), (p) => p.step ?? -1);
    const begun = reader.steps().filter((s) => s.state === "begun");
    const last = reader.lastSeq();
    reader.close();
    const rng = createRng("cuts");
    const middles = [...bySteps.values()].map((shown) => shown[Math.floor(shown.length / 2)]?.seq ?? 1);
    // In the middle of steps, where a step has just begun, and anywhere; every step and more places with EVOKED_KILLS=20.
    const kills = Number(process.env["EVOKED_KILLS"] ?? 0);
    const cuts = [...(kills > 0 ? middles : [1, 2, 4].map((s) => middles[s] ?? 1)), begun[3]?.seq ?? 1, ...Array.from({ length: kills }, () => 20 + rng.int(last - 40))];
    const wanted = countedOf(whole);
    for (const [i, cut] of cuts.entries()) {
      const file = killedAt(cut, `killed-${i}.evoked`);
      const past = unwrap(readResumePoint(file));
      const resumed = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config: past.config, resumeFile: file }));
      expect(resumed.session).toBe(file);
      expect(countedOf(file), `cut ${cut}`).toEqual(wanted);
      const after = unwrap(openSession(file));
      expect(after.steps().filter((s) => s.state === "done").map((s) => s.step)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(after.steps().filter((s) => s.state === "begun").map((s) => s.step)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(after.summary().state).toBe("finished");
      after.close();
      const { rewards, expected, betweenBreaks } = trialsOf(file);
      expect(rewards, `cut ${cut}`).toEqual(expected);
      // A kill between two trials, where a break was due, puts it off by one.
      expect(betweenBreaks.filter((n) => n === 8).length, `cut ${cut}: ${betweenBreaks.join(" ")}`).toBeGreaterThanOrEqual(betweenBreaks.length - 1);
      expect(betweenBreaks.every((n) => n === 8 || n === 9 || n === 16), `cut ${cut}: ${betweenBreaks.join(" ")}`).toBe(true);
      expect(unwrap(await verifySession(file)).firstDifference, `cut ${cut}`).toBeNull();
    }
  }, 240_000);

  it("says that there is nothing to resume when all steps are done", () => {
    const past = readResumePoint(whole);
    expect(past.ok ? "" : past.error.code).toBe("sessionComplete");
  });
});
