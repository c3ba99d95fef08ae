// Eye trackers against stand-ins that speak their protocols: a pseudo-terminal, ZeroMQ sockets, a shared library of the same binary layout.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createAnalogEye, analogEyeOptionsSchema } from "../../src/acquisition/eye/analog.ts";
import { createEyelink, eyelinkOptionsSchema } from "../../src/acquisition/eye/eyelink.ts";
import { createGazeTracker } from "../../src/acquisition/eye/gaze.ts";
import type { RawGaze } from "../../src/acquisition/eye/gaze.ts";
import { createIscan, createIscanParser, iscanOptionsSchema } from "../../src/acquisition/eye/iscan.ts";
import { createPupil, pupilOptionsSchema } from "../../src/acquisition/eye/pupil.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import type { EyeTracker, SpikeSource } from "../../src/shared/ports.ts";
import { unwrap } from "../../src/shared/result.ts";
import { rigTimeNs } from "../../src/shared/units.ts";
import type { AnalogBlock, EyeBatch } from "../../src/shared/values.ts";
import { aLine, anIscan, iscanBytes, socatMissing } from "../support/eye/iscan.ts";
import type { Iscan, Line } from "../support/eye/iscan.ts";
import { aPupil } from "../support/eye/pupil.ts";
import type { Pupil } from "../support/eye/pupil.ts";
import { passReal } from "../support/passReal.ts";
import { testEyeTracker } from "./acquisitionSuite.ts";

const clock = createRealClock();
const map = () => ({ toRig: (ns: number) => rigTimeNs(ns + 5e9), driftPpm: 0, uncertaintyMs: 0 });
const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

const trackerOf = (raw: RawGaze): EyeTracker => createGazeTracker({ clock, raw, map, calibration: null, blinkPadMs: 10 });

// ---- ISCAN --------------------------------------------------------------------------------------------------------------------

async function aTestLine(): Promise<Line> {
  const line = await aLine();
  undo.push(() => line.dispose());
  return line;
}

async function aTestIscan(path: string): Promise<Iscan> {
  const iscan = await anIscan(path, { noiseTenths: 0 });
  undo.push(() => iscan.dispose());
  return iscan;
}

describe("ISCAN's samples", () => {
  it("are found in step and out of step, with headers that are data, in pieces of any size", () => {
    const samples: readonly (readonly [number, number, number, number])[] = Array.from({ length: 40 }, (_, i) => [i % 7 === 0 ? 0x4444 : 5000 + i, 0x4400 + i, 1000, 0x0044]);
    const bytes = Uint8Array.of(0x44, 1, 0x44, 0x44, 9, 9, ...iscanBytes(...samples));
    for (const size of [1, 3, 7, 10, 1000]) {
      const parser = createIscanParser(4);
      const found = [];
      for (let at = 0; at < bytes.length; at += size) found.push(...parser.take(bytes.subarray(at, at + size)));
      const expected = samples.map((s) => ({ x: (s[0] - s[2]) / 10, y: (s[1] - s[3]) / 10, seen: true }));
      // The first ones may go by until it is in step.
      expect(found.length).toBeGreaterThanOrEqual(expected.length - 2);
      expect(found).toEqual(expected.slice(expected.length - found.length));
    }
  });

  it("with nothing but zeros are a lost track", () => {
    expect(createIscanParser(4).take(Uint8Array.of(...iscanBytes([0, 0, 0, 0], [1, 2, 3, 4]), 0x44, 0x44)).map((s) => s.seen)).toEqual([false, true]);
  });
});

describe.skipIf(socatMissing !== null)(`ISCAN over a line${socatMissing === null ? "" : ` (skipped: ${socatMissing})`}`, () => {
  testEyeTracker({
    name: "ISCAN",
    async make() {
      const line = await aTestLine();
      await aTestIscan(line.theirs);
      const eye = trackerOf(createIscan({ clock, options: iscanOptionsSchema.parse({ path: line.ours }) }));
      return { eye, pass: passReal, dispose: () => eye.stop() };
    },
  });

  it("whose cable is pulled is outside and says so, and goes on when it is back", async () => {
    const line = await aTestLine();
    await aTestIscan(line.theirs);
    const eye = trackerOf(createIscan({ clock, options: iscanOptionsSchema.parse({ path: line.ours }) }));
    const batches: EyeBatch[] = [];
    const problems: (string | null)[] = [];
    eye.onProblem?.((problem) => problems.push(problem));
    unwrap(await eye.start((batch) => batches.push(batch)));
    undo.push(() => eye.stop());
    await passReal(() => batches.some((b) => b.valid.includes(1)));
    await line.cut();
    await passReal(() => problems.some((p) => p !== null));
    await passReal(() => batches.at(-1)?.valid.at(-1) === 0);
    await line.mend();
    await aTestIscan(line.theirs);
    await passReal(() => problems.at(-1) === null && batches.at(-1)?.valid.at(-1) === 1);
    const times = batches.flatMap((b) => [...b.timesRigNs]);
    expect(times.every((t, i) => i === 0 || t > (times[i - 1] ?? 0))).toBe(true);
  });
});

// ---- Pupil Labs ---------------------------------------------------------------------------------------------------------------

async function aTestPupil(): Promise<Pupil> {
  const pupil = await aPupil();
  undo.push(() => pupil.dispose());
  return pupil;
}

testEyeTracker({
  name: "Pupil Labs",
  async make() {
    const { port } = await aTestPupil();
    const eye = trackerOf(createPupil({ clock, options: pupilOptionsSchema.parse({ port }) }));
    return { eye, pass: passReal, dispose: () => eye.stop() };
  },
});

it("Pupil Capture that is not there is named with what to do", async () => {
  const eye = trackerOf(createPupil({ clock, options: pupilOptionsSchema.parse({ port: 1, startTimeoutMs: 300 }) }));
  expect(await eye.start(() => undefined)).toMatchObject({ ok: false, error: { code: "noAnswer", message: expect.stringMatching(/^Expected Pupil Capture.*\.$/) } });
});

// ---- EyeLink ------------------------------------------------------------------------------------------------------------------

const compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].find((file) => existsSync(file));
let builtLibrary: string | null = null;
function eyelinkLibrary(): string {
  if (builtLibrary === null) {
    const folder = mkdtempSync(join(tmpdir(), "evoked-eyelink-"));
    builtLibrary = join(folder, "libeyelink_core.so");
    execFileSync(compiler ?? "cc", ["-shared", "-fPIC", "-O1", "-o", builtLibrary, resolve(import.meta.dirname, "..", "support", "eye", "standInEyelink.c")]);
  }
  return builtLibrary;
}
afterAll(() => {
  if (builtLibrary !== null) rmSync(resolve(builtLibrary, ".."), { recursive: true, force: true });
});

describe.skipIf(compiler === undefined)(`EyeLink's library${compiler === undefined ? " (skipped: no C compiler is installed)" : ""}`, () => {
  testEyeTracker({
    name: "EyeLink",
    async make() {
      const eye = trackerOf(createEyelink({ clock, options: eyelinkOptionsSchema.parse({ library: eyelinkLibrary(), host: "127.0.0.1" }) }));
      return { eye, pass: passReal, dispose: () => eye.stop() };
    },
  });

  it("gives the chosen eye, and blinks as not seen", async () => {
    const eye = createGazeTracker({ clock, map, calibration: null, blinkPadMs: 0, raw: createEyelink({ clock, options: eyelinkOptionsSchema.parse({ library: eyelinkLibrary(), host: "127.0.0.1", eye: "left" }) }) });
    const batches: EyeBatch[] = [];
    unwrap(await eye.start((batch) => batches.push(batch)));
    undo.push(() => eye.stop());
    await passReal(() => batches.some((b) => b.valid[0] === 0) && batches.some((b) => b.valid[0] === 1));
    for (const b of batches) if (b.valid[0] === 1) expect(Math.abs((b.xDeg[0] ?? 0) - 960)).toBeLessThan(1);
  });
});

it("EyeLink without its library says which file it wants", async () => {
  const eye = trackerOf(createEyelink({ clock, options: eyelinkOptionsSchema.parse({ library: "/nowhere/libeyelink_core.so" }) }));
  expect(await eye.start(() => undefined)).toMatchObject({ ok: false, error: { code: "noEyelinkLibrary", message: expect.stringContaining("/nowhere/libeyelink_core.so") } });
});

// ---- analog inputs ------------------------------------------------------------------------------------------------------------

function anAnalogSource(): SpikeSource & { readonly play: (blocks: number) => void } {
  let listener: ((block: AnalogBlock) => void) | null = null;
  let at = 0;
  const source: SpikeSource = {
    name: "analog stand-in", channels: () => [], start: async () => ({ ok: true, value: undefined }), stop: async () => undefined,
    status: () => ({ connected: true, address: "", spikesReceived: 0, packetsReceived: 0, packetsLost: 0, malformedPackets: 0, newestHostNs: null }),
    analog(next) { listener = next; },
  };
  return {
    ...source,
    play(blocks) {
      for (let b = 0; b < blocks; b++) {
        const startRigNs = Math.round((at * 1e9) / 30_000);
        const block = (channel: string, value: number): AnalogBlock => ({ channel, startRigNs, sampleRateHz: 30_000, count: 600, samples: () => new Float32Array(600).fill(value) });
        listener?.(block("CH1", 3));
        listener?.(block("ADC1", at % 30_000 < 600 ? 5 : 1));
        listener?.(block("ADC2", at % 30_000 < 600 ? 5 : -2));
        at += 600;
      }
    },
  };
}

testEyeTracker({
  name: "analog inputs",
  async make() {
    const source = anAnalogSource();
    const timer = setInterval(() => source.play(1), 20);
    const eye = trackerOf(createAnalogEye({ source, options: analogEyeOptionsSchema.parse({}) }));
    return {
      eye, pass: passReal,
      async dispose() {
        clearInterval(timer);
        await eye.stop();
      },
    };
  },
});

it("analog gaze carries the recording system's own time, pairs its channels and tells a lost track by their level", async () => {
  const source = anAnalogSource();
  const eye = createGazeTracker({ clock, map: () => null, calibration: null, blinkPadMs: 0, raw: createAnalogEye({ source, options: analogEyeOptionsSchema.parse({ lostAbove: 4.5 }) }) });
  const batches: EyeBatch[] = [];
  unwrap(await eye.start((batch) => batches.push(batch)));
  undo.push(() => eye.stop());
  source.play(50);
  const times = batches.flatMap((b) => [...b.timesRigNs]);
  expect(times).toHaveLength(500);
  // Means of 60 samples: the first stands for samples 0 to 59.
  expect(times[0]).toBeCloseTo((29.5 * 1e9) / 30_000, -1);
  expect((times[499] ?? 0) - (times[0] ?? 0)).toBeCloseTo((499 * 60 * 1e9) / 30_000, -1);
  const valid = batches.flatMap((b) => [...b.valid]);
  expect(valid.filter((v) => v === 0)).toHaveLength(10);
  expect(batches.at(-1)?.xDeg.at(-1)).toBeCloseTo(1, 5);
  expect(batches.at(-1)?.yDeg.at(-1)).toBeCloseTo(-2, 5);
});

it("a recording system without continuous channels is named", async () => {
  const { analog: _none, ...bare } = anAnalogSource();
  const eye = trackerOf(createAnalogEye({ source: bare, options: analogEyeOptionsSchema.parse({}) }));
  expect(await eye.start(() => undefined)).toMatchObject({ ok: false, error: { code: "noAnalog" } });
});
