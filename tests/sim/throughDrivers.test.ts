// A whole evolution heard through each driver over its real transport, against the same rig heard directly: not one score differs. And a short
// one whose images need their own words back through the driver.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { playerRegistry } from "../../src/acquisition/sim/index.ts";
import { runHeadless } from "../../src/engine/headless.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { eventCodes, isOnsetCode, onsetCode } from "../../src/shared/eventCodes.ts";
import { findLiblsl } from "../support/liblsl.ts";
import { unwrap } from "../../src/shared/result.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-through-"));
let models: Models;

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
});
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

async function evolve(options: Readonly<Record<string, unknown>>) {
  return unwrap(
    await runHeadless({
      models, fast: true, sessionFolder: folder,
      config: sessionConfig.parse({
        seed: 7, rig: { kind: "synthetic", options: { channelsPerArray: 8, ...options } }, display: { kind: "timed" },
        evolution: { generations: 2, referencesPerGeneration: 2, tuningRepeats: 1, confirmRepeats: 1, threads: [{ populationSize: 6 }] },
      }),
    }),
  );
}

/** Where a driver has the port's lines and no strobed words: the line of the strobe, as its simulator is wired. */
const strobeLines: Readonly<Record<string, number>> = { "open-ephys": 8, "open-ephys-events": 8, intan: 9 };

// The Lab Streaming Layer needs its library.
const missing = await findLiblsl();
const players = playerRegistry.filter((player) => player.kind !== "lsl" || missing === null).map((player) => ({ kind: player.kind, player }));

describe.each(players)("event codes back through the driver of $kind", ({ kind }) => {
  it("are the words that were sent, each at its image's onset, and an image without its own does not count", async () => {
    const { session } = unwrap(
      await runHeadless({
        models, fast: true, sessionFolder: folder,
        config: sessionConfig.parse({
          seed: 7, rig: { kind: "synthetic", options: { channelsPerArray: 4, photodiode: false, through: kind }, sync: { kind: "simulated", checkWords: true } }, display: { kind: "timed" },
          response: { onsetTtlLine: strobeLines[kind] ?? null },
          evolution: { generations: 1, referencesPerGeneration: 2, tuningRepeats: 0, confirmRepeats: 0, threads: [{ populationSize: 6, target: 1 }] },
        }),
      }),
    );
    const reader = unwrap(openSession(session));
    const presentations = reader.presentations();
    const counted = presentations.filter((p) => p.excluded === null);
    expect(counted.length).toBeGreaterThanOrEqual(8);
    expect(counted.every((p) => p.onsetSource === "strobe")).toBe(true);
    // Sent: one word an image that was lit, in the order of the presentations.
    const strobeLine = strobeLines[kind];
    const words = reader.marks().flatMap((m) => (m.word !== null && m.state && (strobeLine === undefined ? m.markKind === "strobe" : m.line === strobeLine) ? [{ rigNs: m.rigNs, code: m.word % 256 }] : []));
    const onsets = words.filter(({ code }) => isOnsetCode(code));
    expect(onsets.map(({ code }) => code)).toEqual(presentations.filter((p) => p.flipHostNs !== null).map((p) => onsetCode(p.presentationId)).slice(0, onsets.length));
    for (const p of counted) expect(onsets).toContainEqual({ rigNs: p.onsetRigNs, code: onsetCode(p.presentationId) });
    const others = words.flatMap(({ code }) => (isOnsetCode(code) ? [] : [code]));
    expect(others).toEqual(expect.arrayContaining([eventCodes.fixationOn, eventCodes.imageOff]));
    expect(reader.events().filter((e) => e.code === "wrongWord")).toEqual([]);
    reader.close();
  }, 180_000);
});

describe.each(players)("an evolution through the driver of $kind", ({ kind, player }) => {
  it("has the scores and the optimizer's states of the same rig heard directly", async () => {
    const direct = await evolve(player.grid);
    const through = await evolve({ through: kind });
    expect(through.sha256).toBe(direct.sha256);
    const [one, other] = [openSession(direct.session), openSession(through.session)].map((opened) => unwrap(opened));
    if (one === undefined || other === undefined) throw new Error("expected two sessions");
    // Every spike at its tick; what a driver still held when it was stopped is only in its own session.
    const toRigNs = one.presentations().reduce((newest, p) => Math.max(newest, p.onsetRigNs ?? 0), 0);
    for (let channel = 0; channel < 24; channel++) expect(other.spikes({ fromRigNs: 0, toRigNs, channel }).timesRigNs).toEqual(one.spikes({ fromRigNs: 0, toRigNs, channel }).timesRigNs);
    expect(other.presentations().map((p) => [p.imageId, p.onsetRigNs, p.onsetSource, p.excluded, p.rateHz])).toEqual(one.presentations().map((p) => [p.imageId, p.onsetRigNs, p.onsetSource, p.excluded, p.rateHz]));
    expect(other.events().filter((event) => event.category === "fault")).toEqual([]);
    one.close();
    other.close();
  }, 180_000);
});
