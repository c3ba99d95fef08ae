// Gaze over the Lab Streaming Layer's real library beside spikes of another system: the contract of a tracker, times on the rig's clock against the
// truth, whole sessions whose images are judged by it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { loadLsl } from "../../src/acquisition/drivers/lsl/library.ts";
import { createGazeTracker } from "../../src/acquisition/eye/gaze.ts";
import { compareClocks, createLslEye, lslEyeOptionsSchema } from "../../src/acquisition/eye/lsl.ts";
import { runHeadlessSession } from "../../src/engine/headless.ts";
import { builtInModels } from "../../src/engine/paths.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { openRig } from "../../src/engine/rig.ts";
import { simulate } from "../../src/engine/rigTools/simulate.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import type { RigConfigInput } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { addMs, hostTimeNs, rigTimeNs } from "../../src/shared/units.ts";
import type { EyeBatch } from "../../src/shared/values.ts";
import { aPupil } from "../support/eye/pupil.ts";
import { findLiblsl } from "../support/liblsl.ts";
import { passReal } from "../support/passReal.ts";
import { testEyeTracker } from "./acquisitionSuite.ts";

const missing = await findLiblsl();
const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

let made = 0;

/** A tracker's program: 200 samples/s, stamped by the sender's clock. `sign` stamps what it sends into x. */
async function aTracker(sign: (n: number) => readonly [number, number] = () => [0.05, -0.1]) {
  const lsl = unwrap(await loadLsl(null));
  const name = `test eye ${process.pid}-${made++}`;
  const outlet = lsl.openOutlet({ name, type: "Gaze", channelCount: 3, sourceId: name });
  const stamps: number[] = [];
  const timer = setInterval(() => {
    const at = lsl.localClockS();
    for (let i = 1; i <= 2; i++) {
      const [x, y] = sign(stamps.length);
      stamps.push(at - (2 - i) * 0.005);
      outlet.push([x, y, stamps.length % 50 === 0 ? 0 : 1], stamps.at(-1) ?? at);
    }
  }, 10);
  undo.push(() => {
    clearInterval(timer);
    outlet.close();
  });
  return { name, lsl, stamps };
}

async function inASession(rig: RigConfigInput) {
  const folder = mkdtempSync(join(tmpdir(), "evoked-eye-"));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const config = sessionConfig.parse({
    folder, display: { kind: "timed" }, rig,
    trial: { onMs: 100, offMs: 50, imagesPerTrial: 4, interTrialMs: 50, holdMs: 50, rewardMs: 30, fixationWindowDeg: 2 },
    evolution: { generations: 1, referencesPerGeneration: 2, tuningRepeats: 0, confirmRepeats: 0, threads: [{ populationSize: 6, target: 8 }] },
  });
  const { session } = unwrap(await runHeadlessSession({ config, fast: false, modelFolders: [builtInModels], sessionFolder: folder, rewardFolder: join(folder, "rewards"), stop: AbortSignal.timeout(80_000) }));
  const verified = unwrap(await verifySession(session));
  const reader = unwrap(openSession(session));
  undo.push(() => reader.close());
  return { verified, reader };
}

/** A recording system with neurons, a photodiode and a digital port, played in this process. */
async function aRecordingSystem(as: string): Promise<RigConfigInput> {
  const simulator = unwrap(await simulate({ as, host: "127.0.0.1", port: 0, linkPort: 0, token: null, seed: 3, encoder: null, rigOptions: { channelsPerArray: 4 }, faults: [], modelFolders: [builtInModels] }));
  undo.push(() => simulator.stop());
  return { ...simulator.rigConfig, options: { ...simulator.rigConfig.options } };
}

describe.skipIf(missing !== null)(`gaze over LSL beside another rig${missing === null ? "" : ` (${missing})`}`, () => {
  testEyeTracker({
    name: "Lab Streaming Layer",
    async make() {
      const { name } = await aTracker();
      const clock = createRealClock();
      const map = () => ({ toRig: (ns: number) => rigTimeNs(ns + 5e9), driftPpm: 0, uncertaintyMs: 0 });
      const eye = createGazeTracker({ clock, map, calibration: null, blinkPadMs: 10, raw: createLslEye({ clock, options: lslEyeOptionsSchema.parse({ name, startTimeoutMs: 15_000 }) }) });
      return { eye, pass: passReal, dispose: () => eye.stop() };
    },
  });

  it("places every sample on the rig's clock, and says through which clocks and how well", async () => {
    const { name, lsl, stamps } = await aTracker((n) => [n, 0]);
    const clock = createRealClock();
    const rig = unwrap(openRig({ kind: "synthetic", options: { driftPpm: 150 }, eye: { kind: "lsl", options: { name, degrees: true, startTimeoutMs: 15_000 }, blinkPadMs: 0 } }, { clock, seed: 2, encoder: null }));
    const { truth, aligner, eye } = rig;
    if (truth === null || eye === null) throw new Error("expected a synthetic rig with an eye");
    expect([eye.onRaw, eye.calibrate]).toEqual([undefined, undefined]);
    // The clocks as a photodiode would tell them.
    for (let i = 0; i < 20; i++) {
      const hostNs = addMs(clock.now(), i * 10);
      aligner.addPair({ hostNs, rigNs: truth.clock.toRig(hostNs), kind: "mark" });
    }
    const batches: EyeBatch[] = [];
    unwrap(await eye.start((batch) => batches.push(batch)));
    undo.push(() => eye.stop());
    await passReal(() => batches.reduce((sum, batch) => sum + batch.xDeg.length, 0) >= 100);
    const { offsetNs, uncertaintyNs } = compareClocks(clock, lsl.localClockS);
    const errorsMs = batches.flatMap((batch) => Array.from(batch.timesRigNs, (ns, i) => (ns - truth.clock.toRig(hostTimeNs(Math.round((stamps[batch.xDeg[i] ?? 0] ?? NaN) * 1e9 + offsetNs)))) / 1e6)).filter((error) => Number.isFinite(error));
    expect(errorsMs.length).toBeGreaterThan(90);
    const worst = Math.max(...errorsMs.map(Math.abs));
    // One computer: what is left is the library's own estimate of the sender's clock.
    expect(worst).toBeLessThan(5 + uncertaintyNs / 1e6);
    expect(eye.status?.().detail).toMatch(/sender's clock by LSL's time correction.*onto the rig's clock ±[\d.]+ ms/);
    expect(batches.some((batch) => batch.valid.includes(0))).toBe(true);
  }, 60_000);

  it("decides the fixation of a session whose spikes come from a Blackrock system, with every image's word back from its port", async () => {
    const { name } = await aTracker();
    const { verified, reader } = await inASession({ ...(await aRecordingSystem("blackrock")), eye: { kind: "lsl", options: { name, degrees: true, startTimeoutMs: 15_000 }, blinkPadMs: 5 }, sync: { kind: "simulated", checkWords: true } });
    const counted = reader.presentations().filter((p) => p.excluded === null);
    expect(counted.length).toBeGreaterThanOrEqual(8);
    expect(counted.every((p) => p.onsetSource === "photodiode")).toBe(true);
    expect(reader.events().filter((e) => e.code === "wrongWord" || e.code === "eyeLost")).toEqual([]);
    const words = reader.marks().filter((m) => m.markKind === "strobe").map((m) => m.word);
    expect(words.filter((word) => word !== null && word <= 200).length).toBeGreaterThanOrEqual(counted.length);
    expect(verified.firstDifference).toBeNull();
  }, 120_000);

  it("says which stream it misses", async () => {
    const eye = createLslEye({ clock: createRealClock(), options: lslEyeOptionsSchema.parse({ name: "nobody sends this", startTimeoutMs: 300 }) });
    expect(await eye.start({ samples: () => undefined, problem: () => undefined })).toMatchObject({ ok: false, error: { code: "noAnswer", message: expect.stringMatching(/called "nobody sends this".*firewall\.$/) } });
  });
});

describe("Pupil Labs beside another rig", () => {
  it("decides the fixation of a session whose spikes come from Open Ephys", async () => {
    const pupil = await aPupil({ steady: true });
    undo.push(() => pupil.dispose());
    // 0.5, 0.4 of the scene camera is the spot.
    const calibration = { model: "affine" as const, centreX: 0.5, centreY: 0.4, scale: 0.02, x: [0, 1, 0], y: [0, 0, 1], points: [], residualsDeg: [], rejected: [], rmsDeg: 0, atUtc: "2026-11-28T12:00:00.000Z" };
    const { verified, reader } = await inASession({ ...(await aRecordingSystem("open-ephys")), eye: { kind: "pupil", options: { port: pupil.port }, calibration, blinkPadMs: 5 } });
    expect(reader.presentations().filter((p) => p.excluded === null).length).toBeGreaterThanOrEqual(8);
    expect(verified.firstDifference).toBeNull();
  }, 120_000);
});
