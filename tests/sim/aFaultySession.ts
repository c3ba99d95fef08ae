// Whole sessions in virtual time, heard through a real driver over real sockets with faults on the way, and what they left in their files.
// Knows nothing about what is expected of them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";

const folder = mkdtempSync(join(tmpdir(), "evoked-faults-"));
let models: Models;

beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
});
afterAll(async () => {
  await models.close();
  rmSync(folder, { recursive: true, force: true });
});

export interface Faulty {
  readonly through: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly onStreamLost?: "wait" | "stop";
  readonly generations?: number;
}

export async function aSession({ through, options = {}, onStreamLost = "wait", generations = 3 }: Faulty) {
  const run = unwrap(
    await runHeadless({
      models, fast: true, sessionFolder: folder,
      config: sessionConfig.parse({
        seed: 5, rig: { kind: "synthetic", onStreamLost, options: { channelsPerArray: 4, silentChannels: 0, noisyChannels: 0, through, ...options } }, display: { kind: "timed" },
        evolution: { generations, referencesPerGeneration: 2, tuningRepeats: 1, confirmRepeats: 0, threads: [{ populationSize: 6, target: 1 }] },
      }),
    }),
  );
  const reader = unwrap(openSession(run.session));
  const events = reader.events();
  const presentations = reader.presentations();
  const clockMaps = reader.clockMaps();
  reader.close();
  return {
    run,
    presentations,
    clockMaps,
    codes: new Set(events.filter((event) => event.category === "alarm" || event.category === "fault" || event.category === "state").map((event) => event.code)),
    message: (code: string) => events.find((event) => event.code === code && event.category !== "input")?.message ?? "",
    jumps: events.filter((event) => event.code === "clockJump" && event.category === "alarm"),
    counted: presentations.filter((p) => p.excluded === null).length,
    /** Packets that the session file says were lost. */
    lost: events.reduce((sum, event) => sum + (event.code === "gap" && event.category === "alarm" ? (JSON.parse(event.dataJson).lostPackets ?? 0) : 0), 0),
  };
}
