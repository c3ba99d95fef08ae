// External task mode from end to end: the other program's stand-in on the synthetic rig, the real folder, the real session file, its replay.
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openLiveSession } from "../../src/engine/liveSession.ts";
import { builtInModels } from "../../src/engine/paths.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { createVirtualClock } from "../../src/loop/clock.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { sessionConfig } from "../../src/shared/contract/config.ts";
import type { SessionConfigInput } from "../../src/shared/contract/config.ts";
import type { SessionRecordBody } from "../../src/shared/records.ts";
import { unwrap } from "../../src/shared/result.ts";
import { addMs, nsPerMs } from "../../src/shared/units.ts";
import { directionOf, placeSquare } from "../../src/shared/visualAngle.ts";
import { startOtherProgram } from "../support/externalTask/otherProgram.ts";
import type { Mistakes, OtherProgram } from "../support/externalTask/otherProgram.ts";

const root = await mkdtemp(join(tmpdir(), "evoked-external-"));
let models: Models;
beforeAll(async () => {
  models = unwrap(await startModels({ modelsDirs: [builtInModels], provider: "cpu", inProcess: true }));
});
afterAll(async () => {
  await models.close();
  await rm(root, { recursive: true });
});

type Presentation = Extract<SessionRecordBody, { kind: "presentation" }>;

async function runWith({ mistakes, external, name, stopAfterMs }: { readonly stopAfterMs?: number; readonly mistakes?: Mistakes; readonly external?: Partial<NonNullable<NonNullable<SessionConfigInput["display"]>["external"]>>; readonly name: string }) {
  const folder = join(root, name);
  const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  const presentations: Presentation[] = [];
  const alarms: string[] = [];
  let end: { readonly reason: string; readonly message: string } | null = null;
  const session = unwrap(await openLiveSession({
    clock, models, sessionFolder: join(root, `${name}-sessions`), hostKind: "cli", display: createTimedDisplay({ clock }),
    config: sessionConfig.parse({
      seed: 5, rig: { kind: "synthetic" }, display: { kind: "external", external: { folder, silentS: 5, ...external } },
      evolution: { generations: 3, tuningRepeats: 0, referencesPerGeneration: 3, confirmRepeats: 0, threads: [{ optimizer: "cholesky-cma", populationSize: 8, target: 2 }] },
    }),
    onRecord: (body) => {
      if (body.kind === "presentation") presentations.push(body);
      if (body.kind === "event" && body.category !== "input" && body.severity !== "info" && body.code.startsWith("external")) alarms.push(body.code);
    },
    listener: { ended: (reason, message) => { end = { reason, message }; } },
  }));
  const world = session.rig.world;
  if (world === null) throw new Error("expected the synthetic rig's world");
  const other: OtherProgram = startOtherProgram({ clock, folder, subject: world, ...(mistakes === undefined ? {} : { mistakes }) });
  if (stopAfterMs !== undefined) clock.setTimer(addMs(clock.now(), stopAfterMs), () => session.loop.stop());
  const starting = session.loop.start();
  await Promise.all([clock.run(() => end !== null), starting]);
  other.stop();
  const onsets = session.rig.truth?.onsets() ?? [];
  await session.close();
  return { folder, end, other, presentations, counted: presentations.filter((p) => p.excluded === null), alarms, onsets, file: session.file };
}

describe("external task mode", () => {
  test("runs a whole evolution through another program, with every response at the image that was shown, and replays identically", async () => {
    const run = await runWith({ name: "plain" });
    expect(run.end).toMatchObject({ reason: "completed" });
    // One start code five times, then two populations of eight, and three references in each block.
    expect(run.counted.length).toBe(5 + 2 * 8 + 3 * 3);
    expect(run.other.blocks.map((b) => b.images.length)).toEqual([8, 11, 11]);
    for (const p of run.counted) {
      const truth = run.onsets.find((o) => o.presentationId === p.presentationId);
      expect(truth?.imageId).toBe(p.imageId);
      expect(p.onsetSource).toBe("strobe");
      // The light follows the code by the display's lag of 3 ms.
      expect(((truth?.onsetRigNs ?? 0) - (p.onsetRigNs ?? 0)) / nsPerMs).toBeCloseTo(3, 2);
    }
    expect(run.alarms).toEqual([]);
    expect(JSON.parse(await readFile(join(run.folder, "current.json"), "utf8"))).toMatchObject({ state: "ended", block: 3 });
    expect((await readdir(run.folder)).sort()).toEqual(["block-000001", "block-000002", "block-000003", "current.json"]);
    expect(unwrap(await verifySession(run.file))).toMatchObject({ identical: true });
  });

  test("counts nothing that was broken off, unknown, repeated, lost or too long, asks for it again, and replays identically", async () => {
    const mistakes: Mistakes = { breaksAt: [3, 12], lostCodeAt: [6], lostOffAt: [14], againAt: [16], strayCodeAt: [{ at: 2, code: 250 }], tooLongAt: [22], silentBeforeBlock: { block: 2, ms: 8000 } };
    const run = await runWith({ name: "mistakes", mistakes });
    expect(run.end).toMatchObject({ reason: "completed" });
    expect(run.counted.length).toBe(5 + 2 * 8 + 3 * 3);
    const whole = new Set(run.other.shown.filter((s) => s.whole).map((s) => s.presentationId));
    for (const p of run.counted) {
      expect(whole.has(p.presentationId)).toBe(true);
      const onsets = run.onsets.filter((o) => o.presentationId === p.presentationId && o.imageId === p.imageId);
      expect(onsets.some((o) => Math.abs((o.onsetRigNs - (p.onsetRigNs ?? 0)) / nsPerMs - 3) < 0.01)).toBe(true);
    }
    expect(run.presentations.filter((p) => p.excluded === "wrongDuration").length).toBe(1);
    expect(new Set(run.alarms)).toEqual(new Set(["externalUnknown", "externalMissing", "externalNoOff", "externalRepeated", "externalSilent"]));
    expect(unwrap(await verifySession(run.file))).toMatchObject({ identical: true });
  });

  test("stops while a block is out, and tells the other program that the session is over", async () => {
    const run = await runWith({ name: "stopped", stopAfterMs: 8000, mistakes: { silentBeforeBlock: { block: 1, ms: 1e9 } } });
    expect(run.end).toMatchObject({ reason: "stopped" });
    expect(JSON.parse(await readFile(join(run.folder, "current.json"), "utf8"))).toMatchObject({ state: "ended", block: 1 });
    expect(unwrap(await verifySession(run.file))).toMatchObject({ identical: true });
  });

  test("trusts the other program with the duration where it sends no code for the end", async () => {
    const run = await runWith({ name: "no-off", external: { offCode: null } });
    expect(run.end).toMatchObject({ reason: "completed" });
    expect(run.counted.length).toBe(30);
  });
});

test("a place on the screen comes back as the direction and size it was made from", () => {
  const screen = { widthPx: 1920, heightPx: 1080, widthCm: 53, distanceCm: 57 };
  for (const [xDeg, yDeg, sizeDeg] of [[0, 0, 4], [6, 0, 2], [0, -5, 3]] as const) {
    const back = directionOf(placeSquare({ xDeg, yDeg, sizeDeg }, screen), screen);
    expect(back.centreXDeg).toBeCloseTo(xDeg, 1);
    expect(back.centreYDeg).toBeCloseTo(yDeg, 1);
    expect(back.sizeDeg).toBeCloseTo(sizeDeg, 1);
  }
});
