// A whole session on a rig that is put together: spikes of the synthetic rig, gaze over a serial line, juice and event codes by the board's real
// firmware; recorded, replayed bit for bit.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { runHeadlessSession } from "../../src/engine/headless.ts";
import { builtInModels } from "../../src/engine/paths.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { aBoard, boardMissing } from "../support/board/boardSim.ts";
import { aLine, anIscan, socatMissing } from "../support/eye/iscan.ts";

const why = [socatMissing, boardMissing].filter((reason) => reason !== null).join("; ");
const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

describe.skipIf(why !== "")(`a session on a composed rig${why === "" ? "" : ` (skipped: ${why})`}`, () => {
  it("takes gaze from the line, gives juice by the board, sends every image's word, and replays to the same records", async () => {
    const folder = mkdtempSync(join(tmpdir(), "evoked-composed-"));
    undo.push(() => rmSync(folder, { recursive: true, force: true }));
    const line = await aLine();
    undo.push(() => line.dispose());
    const iscan = await anIscan(line.theirs);
    undo.push(() => iscan.dispose());
    const board = await aBoard();
    undo.push(() => board.stop());
    // The tracker of the test support: 12 units a degree about (300, 300), turned a little.
    const calibration = { model: "affine" as const, centreX: 300, centreY: 300, scale: 12, x: [0, 1, 0], y: [0, 0, -1], points: [], residualsDeg: [], rejected: [], rmsDeg: 0, atUtc: "2026-11-28T12:00:00.000Z" };
    const config = sessionConfig.parse({
      folder, display: { kind: "timed" }, response: { onsetFrom: "auto" },
      trial: { onMs: 100, offMs: 50, imagesPerTrial: 4, interTrialMs: 50, holdMs: 50, rewardMs: 30, fixationWindowDeg: 2 },
      evolution: { generations: 2, referencesPerGeneration: 2, tuningRepeats: 0, confirmRepeats: 0, threads: [{ populationSize: 6, target: 40 }] },
      rig: {
        kind: "synthetic", options: { channelsPerArray: 16, photodiode: true },
        eye: { kind: "iscan", options: { path: line.ours }, calibration, blinkPadMs: 10 },
        reward: { kind: "board", options: { path: board.path, answerMs: 3000 }, dayMlMax: 100 }, sync: { kind: "board", options: { path: board.path } },
        channels: { units: [], merges: [{ name: "pair", members: ["V4-01", "V4-02"] }] },
      },
    });
    const blinks = setInterval(() => {
      iscan.lookAt(null);
      setTimeout(() => iscan.lookAt({ xDeg: 0.1, yDeg: -0.1 }), 120);
    }, 2500);
    undo.push(() => clearInterval(blinks));
    const result = unwrap(await runHeadlessSession({ config, fast: false, modelFolders: [builtInModels], sessionFolder: folder, rewardFolder: join(folder, "rewards"), stop: AbortSignal.timeout(100_000) }));
    expect(result.generations).toBe(2);
    const opened = openSession(result.session);
    const reader = unwrap(opened);
    const rewards = reader.rewards();
    expect(rewards.length).toBeGreaterThan(2);
    expect(rewards.every((r) => r.delivered && r.pulseMs === 30)).toBe(true);
    expect(board.pulsesMs().map(Math.round)).toEqual(rewards.map(() => 30));
    const shown = reader.presentations();
    expect(shown.filter((p) => p.excluded === null).length).toBeGreaterThanOrEqual(16);
    expect(reader.channels().map((c) => c.name)).toContain("pair");
    // Every pulse stands in the subject's ledger.
    expect(readFileSync(join(folder, "rewards", "synthetic.jsonl"), "utf8").trim().split("\n")).toHaveLength(rewards.length);
    reader.close();
    const words = board.changes.filter((c) => c.pin === "strobe" && c.value === 1).length;
    // One for each onset and end, the spots, rewards, begin and end.
    expect(words).toBeGreaterThanOrEqual(2 * shown.length + 2);
    const verified = unwrap(await verifySession(result.session));
    expect(verified.firstDifference).toBeNull();
    expect(verified.identical).toBe(true);
  }, 150_000);
});
