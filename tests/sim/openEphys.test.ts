// The recording of the real Open Ephys GUI, played over a real ZMQ socket, drives a whole session in real time.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { playCapture } from "../../src/acquisition/drivers/open-ephys/player.ts";
import { runHeadless } from "../../src/engine/headless.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";

const fixtures = join(import.meta.dirname, "..", "fixtures", "acquisition");
const folder = mkdtempSync(join(tmpdir(), "evoked-oe-"));
let models: Models;

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
});
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("a session on the recording of the Open Ephys GUI", () => {
  it("has every spike of the recording in its file, completes generations from them, reports gaps and names the onsets' source", async () => {
    const player = unwrap(await playCapture({ file: join(fixtures, "open-ephys-1.0.1-zmq-interface.frames"), endpoint: "tcp://127.0.0.1:*", heartbeatEndpoint: null, leftOut: "asIs", waitForSubscriber: true }));
    const port = Number(new URL(player.endpoint.replace("tcp:", "http:")).port);
    const stop = new AbortController();
    const said: string[] = [];
    void player.done.then(() => setTimeout(() => stop.abort(), 300));
    const run = unwrap(
      await runHeadless({
        models, fast: false, sessionFolder: folder, stop: stop.signal,
        onLog: (_severity, message) => void said.push(message),
        config: sessionConfig.parse({
          rig: { kind: "open-ephys", options: { dataPort: port, heartbeatPort: null } }, display: { kind: "timed" },
          evolution: { generations: 100, referencesPerGeneration: 2, threads: [{ target: 3, populationSize: 4 }] },
        }),
      }),
    );
    await player.stop();
    const judge: { openEphysZmq: { spikes: number; perElectrode: Record<string, number> } } = JSON.parse(readFileSync(join(fixtures, "decoded.json"), "utf8"));
    const reader = unwrap(openSession(run.session));
    const counts = reader.spikeCounts();
    expect(Object.fromEntries(reader.channels().map((c) => [c.name, counts[c.index]]))).toEqual(judge.openEphysZmq.perElectrode);
    expect(counts.reduce((a, b) => a + b, 0)).toBe(judge.openEphysZmq.spikes);

    expect(run.generations).toBeGreaterThanOrEqual(2);
    const counted = reader.presentations().filter((p) => p.excluded === null);
    expect(counted.length).toBeGreaterThan(8);
    expect(counted.every((p) => p.onsetSource === "flip")).toBe(true);
    // Scores are the recorded spikes: recount one window by hand.
    for (const p of counted.slice(0, 10)) {
      const onset = p.onsetRigNs ?? 0;
      const inWindow = reader.spikes({ fromRigNs: onset + 70e6, toRigNs: onset + 170e6, channel: p.targetChannel });
      expect((p.rateHz ?? -1) * 0.1).toBeCloseTo(inWindow.timesRigNs.length, 9);
    }
    expect(said.some((m) => m.includes("lost"))).toBe(true);
    expect(reader.events().some((e) => e.code === "gap")).toBe(true);
    reader.close();

    const verified = unwrap(await verifySession(run.session));
    expect(verified.firstDifference).toBeNull();
  }, 60_000);
});
