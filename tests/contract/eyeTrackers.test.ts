// Eye trackers against stand-ins that speak their protocols: a pseudo-terminal, ZeroMQ sockets, a shared library of the same binary layout.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { encode } from "@msgpack/msgpack";
import { Publisher, Reply } from "zeromq";
import { SerialPort } from "serialport";
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

const hasSocat = existsSync("/usr/bin/socat");

/** Two pseudo-terminals that are one line. */
async function aLine(): Promise<{ readonly ours: string; readonly theirs: string; cut(): Promise<void>; mend(): Promise<void> }> {
  const home = mkdtempSync(join(tmpdir(), "evoked-line-"));
  const [ours, theirs] = [join(home, "ours"), join(home, "theirs")];
  let child: ReturnType<typeof spawn> | null = null;
  async function mend(): Promise<void> {
    child = spawn("socat", [`pty,raw,echo=0,link=${ours}`, `pty,raw,echo=0,link=${theirs}`], { stdio: "ignore" });
    await passReal(() => existsSync(ours) && existsSync(theirs));
  }
  async function cut(): Promise<void> {
    const gone = child;
    child = null;
    if (gone === null) return;
    const ended = new Promise((done) => gone.once("exit", done));
    gone.kill();
    await ended;
    rmSync(ours, { force: true });
    rmSync(theirs, { force: true });
  }
  await mend();
  undo.push(async () => {
    await cut();
    rmSync(home, { recursive: true, force: true });
  });
  return { ours, theirs, cut, mend };
}

/** Pupil horizontal and vertical, reflection horizontal and vertical, in tenths. */
function iscanBytes(...samples: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(samples.length * 10);
  const view = new DataView(bytes.buffer);
  samples.forEach((values, i) => {
    bytes.set([0x44, 0x44], i * 10);
    values.forEach((value, k) => view.setUint16(i * 10 + 2 + 2 * k, value, true));
  });
  return bytes;
}

async function anIscan(path: string): Promise<SerialPort> {
  const port = new SerialPort({ path, baudRate: 115_200, autoOpen: false });
  await new Promise<void>((done) => port.open(() => done()));
  let streaming: NodeJS.Timeout | null = null;
  let n = 0;
  port.on("error", () => undefined);
  port.on("data", (bytes: Buffer) => {
    for (const byte of bytes) {
      if (byte === 0x80) streaming ??= setInterval(() => {
        n += 4;
        // The horizontal value is 0x4444 now and then: a header that is none.
        port.write(iscanBytes([n % 40 === 0 ? 0x4444 : 5000, 4000, 1000, 1200], [5000, 4000, 1000, 1200], [5001, 4000, 1000, 1200], [5000, 4001, 1000, 1200]));
      }, 16);
      if (byte === 0x81 && streaming !== null) {
        clearInterval(streaming);
        streaming = null;
      }
    }
  });
  undo.push(async () => {
    if (streaming !== null) clearInterval(streaming);
    if (port.isOpen) await new Promise<void>((done) => port.close(() => done()));
  });
  return port;
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

describe.skipIf(!hasSocat)(`ISCAN over a line${hasSocat ? "" : " (skipped: socat is not installed)"}`, () => {
  testEyeTracker({
    name: "ISCAN",
    async make() {
      const line = await aLine();
      await anIscan(line.theirs);
      const eye = trackerOf(createIscan({ clock, options: iscanOptionsSchema.parse({ path: line.ours }) }));
      return { eye, pass: passReal, dispose: () => eye.stop() };
    },
  });

  it("whose cable is pulled is outside and says so, and goes on when it is back", async () => {
    const line = await aLine();
    await anIscan(line.theirs);
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
    await anIscan(line.theirs);
    await passReal(() => problems.at(-1) === null && batches.at(-1)?.valid.at(-1) === 1);
    const times = batches.flatMap((b) => [...b.timesRigNs]);
    expect(times.every((t, i) => i === 0 || t > (times[i - 1] ?? 0))).toBe(true);
  });
});

// ---- Pupil Labs ---------------------------------------------------------------------------------------------------------------

async function aPupil(): Promise<{ readonly port: number; readonly publish: (confidence: number) => void }> {
  const publisher = new Publisher({ linger: 0 });
  const remote = new Reply({ linger: 0 });
  await publisher.bind("tcp://127.0.0.1:*");
  await remote.bind("tcp://127.0.0.1:*");
  const portOf = (endpoint: string | null): number => Number(endpoint?.split(":").at(-1));
  const theirClockS = (): number => performance.now() / 1000 + 1e6;
  void (async () => {
    for await (const [ask] of remote) await remote.send(String(ask) === "t" ? String(theirClockS()) : String(portOf(publisher.lastEndpoint)));
  })().catch(() => undefined);
  const publish = (confidence: number): void => {
    void publisher.send(["gaze.3d.0.", encode({ topic: "gaze.3d.0.", norm_pos: [0.5, 0.4], confidence, timestamp: theirClockS() })]).catch(() => undefined);
  };
  let n = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 4; i++) publish(n++ % 100 < 5 ? 0.2 : 0.95);
  }, 16);
  undo.push(() => {
    clearInterval(timer);
    publisher.close();
    remote.close();
  });
  return { port: portOf(remote.lastEndpoint), publish };
}

testEyeTracker({
  name: "Pupil Labs",
  async make() {
    const { port } = await aPupil();
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
