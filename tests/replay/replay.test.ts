// A recorded session: recomputed, tampered with, played at other speeds, and scored otherwise.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { openPlayback } from "../../src/engine/playback.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { readStart } from "../../src/engine/resume.ts";
import { whatIf } from "../../src/engine/whatIf.ts";
import { startModels } from "../../src/models/client.ts";
import type { EventName, EventPayload, ReplayStatus } from "../../src/shared/contract/index.ts";
import { events, sessionConfig } from "../../src/shared/contract/index.ts";
import { readSheets } from "../../src/session/exports/sheets.ts";
import { openSession } from "../../src/session/reader.ts";
import { decodeOptimizerState, restoreOptimizer } from "../../src/evolve/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";
import { writeOlderFile } from "../unit/session/olderFile.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-replay-"));
let file: string;

beforeAll(async () => {
  const models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
  const run = unwrap(await runHeadless({
    models, fast: true, sessionFolder: folder,
    config: sessionConfig.parse({ seed: 2, experimenters: ["Hubel, David"], lab: "Vision", subject: { id: "m1", dateOfBirth: "2016-04-30", weightKg: 9.5 }, display: { kind: "timed" }, rig: { options: { faults: [{ kind: "dropPackets", atMs: 9000, packets: 3 }, { kind: "clockJump", atMs: 14_000, jumpMs: 40 }] } }, evolution: { generations: 4 } }),
  }));
  file = run.session;
  await models.close();
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tampered(sql: string): string {
  const copy = join(folder, `tampered-${Math.random().toString(36).slice(2)}.evoked`);
  const source = new Database(file, { readonly: true });
  source.exec(`VACUUM INTO '${copy}'`);
  source.close();
  const db = new Database(copy);
  db.exec(sql);
  db.close();
  return copy;
}

describe("replay", () => {
  it("repeats every decision bit for bit, faults and all", async () => {
    const report = unwrap(await verifySession(file));
    expect(report.firstDifference).toBeNull();
    expect(report.identical).toBe(true);
    expect(report.compared["generation"]).toBe(4);
    expect(report.sessionSeconds / report.wallSeconds).toBeGreaterThan(5);
  });

  it("repeats a recording of file version 2, which names no steps", async () => {
    const plain = tampered("DELETE FROM steps; DELETE FROM events WHERE category = 'input' AND code IN ('library', 'displaySetup'); DELETE FROM display_calibrations; DELETE FROM events WHERE code IN ('optimizers', 'calibration')");
    const older = join(folder, "version-2.evoked");
    writeOlderFile(plain, older, 2);
    const report = unwrap(await verifySession(older));
    expect(report.firstDifference).toBeNull();
    expect(report.compared["generation"]).toBe(4);
  });

  it("finds a spike, a count, a score or a state that was changed, and names the first record that differs", async () => {
    const spikes = unwrap(await verifySession(tampered("DELETE FROM spikes WHERE seq IN (SELECT seq FROM spikes WHERE spike_count > 20 LIMIT 400 OFFSET 200)")));
    expect(spikes.identical).toBe(false);
    const score = unwrap(await verifySession(tampered("UPDATE presentations SET rate_hz = rate_hz + 10 WHERE presentation_id = 60")));
    expect(score.firstDifference).toMatchObject({ kind: "presentation", field: "rateHz" });
    const mean = unwrap(await verifySession(tampered("UPDATE generations SET evolved_mean_hz = 1 WHERE generation = 2")));
    expect(mean.firstDifference).toMatchObject({ kind: "generation", field: "evolvedMean" });
    const order = unwrap(await verifySession(tampered("UPDATE presentations SET image_id = image_id + 1 WHERE presentation_id = 70")));
    expect(order.firstDifference).toMatchObject({ kind: "presentation", field: "imageId" });
  });

  it("gives a sentence for a file that is not there", async () => {
    const report = await verifySession(join(folder, "none.evoked"));
    expect(report.ok ? "" : report.error.message).toContain("none.evoked");
  });
});

describe("a replay for a window", () => {
  type Seen = { event: EventName; payload: unknown };
  function play() {
    const seen: Seen[] = [];
    const playback = unwrap(openPlayback(file, (event, payload) => seen.push({ event, payload })));
    const status = (): ReplayStatus => seen.findLast((s): s is { event: "replay"; payload: EventPayload<"replay"> } => s.event === "replay")?.payload as ReplayStatus;
    return { playback, seen, status };
  }

  it("reaches the end as fast as possible with the curve of the recording, and its events fit the contract", async () => {
    const { playback, seen, status } = play();
    playback.play(0);
    for (let i = 0; i < 600 && status()?.atEnd !== true; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(status()).toMatchObject({ atEnd: true, generation: 4, difference: null });
    expect(playback.snapshot().curve.map((p) => p.generation)).toEqual([0, 1, 2, 3]);
    for (const { payload } of seen.filter((s) => s.event === "replayed")) {
      const { event, payload: inner } = events.replayed.parse(payload);
      events[event].parse(inner);
    }
    playback.close();
  }, 40_000);

  it("steps by presentation and by generation, and seeks back and forth to the same state", async () => {
    const { playback, status } = play();
    await playback.step("presentation");
    await playback.step("presentation");
    expect(status().presentations).toBe(2);
    await playback.step("generation");
    expect(status().generation).toBe(1);
    const at = status().positionMs;
    const then = playback.snapshot();
    await playback.seek(status().durationMs);
    expect(status().atEnd).toBe(true);
    await playback.seek(at);
    expect(playback.snapshot().curve).toEqual(then.curve);
    expect(playback.snapshot().live?.trials).toEqual(then.live?.trials);
    playback.close();
  });

  it("shows after any seeks, forward from whatever state is nearest, what a replay from the beginning shows there", async () => {
    const { playback, status } = play();
    await playback.seek(0);
    const { durationMs } = status();
    const rng = createRng(5);
    // Long enough for states to be parked along the session, also while it is asked for others.
    for (let i = 0; i < 6; i++) {
      const toMs = rng.uniform() * durationMs;
      await playback.seek(toMs);
      await new Promise((resolve) => setTimeout(resolve, 60));
      const fresh = play();
      await fresh.playback.seek(toMs);
      expect(status()).toEqual({ ...fresh.status(), difference: null });
      expect(playback.snapshot()).toEqual(fresh.playback.snapshot());
      fresh.playback.close();
    }
    playback.close();
  }, 60_000);
});

describe("the recorded session", () => {
  it("says of itself what an archive asks for", () => {
    const reader = unwrap(openSession(file));
    expect(reader.info()).toMatchObject({ subject: { id: "m1", dateOfBirth: "2016-04-30", weightKg: 9.5 }, experimenters: ["Hubel, David"], lab: "Vision" });
    reader.close();
  });

  it("names in its exports the presentation whose onset a mark is", () => {
    const reader = unwrap(openSession(file));
    const { marks, presentations } = readSheets(reader);
    const numbers = (sheet: typeof marks, name: string): Float64Array => {
      const column = sheet.columns.find((c) => c.name === name);
      return column?.kind === "number" ? column.values : new Float64Array();
    };
    const of = numbers(marks, "presentation_id");
    const rig = numbers(marks, "rig_ns");
    const onsets = new Map([...numbers(presentations, "presentation_id")].map((id, row) => [id, numbers(presentations, "onset_rig_ns")[row]]));
    const named = [...of].flatMap((id, row) => (Number.isNaN(id) ? [] : [[onsets.get(id), rig[row]]]));
    expect(named.length).toBe([...onsets.values()].filter((ns) => !Number.isNaN(ns)).length);
    for (const [onset, mark] of named) expect(onset).toBe(mark);
    reader.close();
  });
});

describe("what if", () => {
  it("gives the recorded scores for the recorded window and target, and others for others", () => {
    const same = unwrap(whatIf(file, {}));
    for (const g of same.generations) expect(g.otherwise.evolved).toBeCloseTo(g.recorded.evolved, 9);
    const otherwise = unwrap(whatIf(file, { windowStartMs: 0, windowEndMs: 50 }));
    expect(otherwise.generations.some((g) => Math.abs(g.otherwise.evolved - g.recorded.evolved) > 1)).toBe(true);
  });

  it("runs another optimizer on a model of the responses, and refuses what cannot be", () => {
    const report = unwrap(whatIf(file, { optimizer: "sep-cma" }));
    expect(report.surrogate?.otherOptimizer).toHaveLength(4);
    for (const [change, code] of [[{ windowStartMs: 100, windowEndMs: 20 }, "badWindow"], [{ target: 999 }, "unknownChannel"], [{ optimizer: "nope" }, "optimizerUnknown"]] as const) {
      const refused = whatIf(file, change);
      expect(refused.ok ? "" : refused.error.code).toBe(code);
    }
  });
});

describe("a start from another session", () => {
  it("is the mean where its evolution ended, or the latent of one of its images", () => {
    const reader = unwrap(openSession(file));
    const last = reader.generations({ states: true }).at(-1);
    const evolved = reader.images().find((i) => i.generation === 2 && i.latent !== null);
    reader.close();
    expect(unwrap(readStart({ file, imageId: null, thread: 0 }))).toEqual(unwrap(restoreOptimizer(unwrap(decodeOptimizerState(last?.stateAfter ?? new Uint8Array())))).mean());
    expect([...unwrap(readStart({ file, imageId: evolved?.imageId ?? 0, thread: 0 }))]).toEqual([...(evolved?.latent ?? [])]);
    const reference = readStart({ file, imageId: 1, thread: 0 });
    expect(reference.ok ? "" : reference.error.code).toBe("noStart");
  });
});
