// The line for home-made rigs: its words, its order, and the sender that the documentation prints.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSequence } from "../../../src/acquisition/drivers/common/sequence.ts";
import { createRigClock } from "../../../src/acquisition/drivers/common/spikeStream.ts";
import { createLineDecoder } from "../../../src/acquisition/drivers/line/decoder.ts";
import { lineOptionsSchema } from "../../../src/acquisition/drivers/line/options.ts";
import { createLineParser, encodePacket, parseLine } from "../../../src/acquisition/drivers/line/protocol.ts";
import { createLineSource } from "../../../src/acquisition/drivers/line/source.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";
import type { RawGazeBatch, SourceEvent } from "../../../src/shared/values.ts";

const at = (ms: number) => hostTimeNs(ms * nsPerMs);
const bytesOf = (text: string) => new TextEncoder().encode(text);

function aLine(options: Readonly<Record<string, unknown>> = {}) {
  const events: SourceEvent[] = [];
  const decoder = createLineDecoder(lineOptionsSchema.parse({ holdBackMs: 0, ...options }), (event) => events.push(event));
  const gaze: RawGazeBatch[] = [];
  decoder.onGaze((batch) => gaze.push(batch));
  return {
    decoder,
    events,
    gaze,
    say(text: string, ms: number) {
      decoder.take(bytesOf(text), at(ms));
      decoder.settle(at(ms));
    },
    faults: () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
    spikes: () => events.flatMap((event) => (event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (ns, i) => [Math.round(ns / 1e6), decoder.stream.channels()[event.batch.channels[i] ?? -1]?.name, event.batch.units[i]]) : [])),
    marks: () => events.flatMap((event) => (event.kind === "mark" ? [event.mark] : [])),
  };
}

describe("a line of text", () => {
  it("is read, or refused with what was expected and what came", () => {
    expect(parseLine("S 7 1234 A 2")).toEqual({ ok: true, value: { number: 7, tick: 1234, isWatermark: false, events: [{ kind: "spike", tick: 1234, channel: "A", unit: 2 }] } });
    expect(parseLine("M 8 1300 4 1 77")).toMatchObject({ ok: true, value: { events: [{ kind: "mark", line: 4, state: true, word: 77 }] } });
    for (const text of ["", "S", "S 1", "S 1 -2 3", "S 4294967296 1 2", "S 1 2", "S 1 2 A -1", "M 1 2 300 1", "M 1 2 3 yes", "P 1 2", "E 1 2 nan 0 1", "X 1 2 3", "H one two"]) {
      expect(parseLine(text), text).toMatchObject({ ok: false, error: expect.stringMatching(/^expected /) });
    }
  });

  it("and a packet come out the same however a stream of them is cut", () => {
    const packet = encodePacket({ number: 2, tick: 5000, spikes: [{ tick: 4000, channel: 3, unit: 1 }], marks: [{ tick: 4500, line: 2, state: true, isPhotodiode: false }], eye: [{ tick: 4900, xDeg: 0.5, yDeg: -1, valid: true }] });
    const whole = new Uint8Array([...bytesOf("S 0 1000 A\n# a comment\r\nH 1 2000\r\n"), ...packet, ...bytesOf("P 3 6000 1\n")]);
    const expected = createLineParser({ isDatagram: true }).take(whole);
    expect(expected.map((one) => (one.kind === "item" ? one.item.number : one.reason))).toEqual([0, 1, 2, 3]);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }), (sizes) => {
        const parser = createLineParser({ isDatagram: false });
        const got = [];
        for (let from = 0, i = 0; from < whole.length; from += sizes[i % sizes.length] ?? 1, i++) got.push(...parser.take(whole.slice(from, from + (sizes[i % sizes.length] ?? 1))));
        expect(got).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it("becomes spikes, marks and gaze on the rig's clock", () => {
    const rig = aLine({ channels: ["left"], photodiodeLine: 9 });
    rig.say("C 0 0 1 right\nS 1 10000 0 2\nS 2 11000 1\nM 3 12000 4 1 300\nM 4 12500 9 1\nP 5 13000 1\nE 6 14000 0.5 -0.25 1\nH 7 20000", 20);
    expect(rig.spikes()).toEqual([[10, "left", 2], [11, "right", 0]]);
    expect(rig.marks().map(({ kind, line, state, word, rigNs }) => [kind, line, state, word, rigNs])).toEqual([["strobe", 4, true, 300, 12e6], ["photodiode", 9, true, null, 12.5e6], ["photodiode", 0, true, null, 13e6]]);
    expect(rig.gaze).toEqual([{ clock: "rig", timesNs: Float64Array.of(14e6), x: Float64Array.of(0.5), y: Float64Array.of(-0.25), valid: Uint8Array.of(1) }]);
    expect(rig.faults()).toEqual([]);
  });

  it("that is missing is counted where the stream goes on, one that came twice or out of order is put right and told", () => {
    const rig = aLine();
    rig.say("S 0 1000 0", 1);
    rig.say("S 2 3000 0\nS 3 4000 0", 4);
    expect(rig.faults()).toEqual([]);
    rig.say("S 1 2000 0\nS 3 4000 0\nH 4 5000", 6);
    expect(rig.spikes().map(([ms]) => ms)).toEqual([1, 2, 3, 4]);
    expect(rig.faults()).toEqual([{ kind: "disorder", duplicated: 1, reordered: 1, stream: "lines" }]);
    rig.say("H 9 9000", 10);
    rig.say("H 10 12000", 30);
    expect(rig.faults().at(-1)).toEqual({ kind: "gap", lostPackets: 4, stream: "lines", atRigNs: 9e6 });
    rig.say("S nonsense", 31);
    expect(rig.faults().at(-1)).toMatchObject({ kind: "malformed", packets: 1, reason: expect.stringContaining("nonsense") });
  });

  it("of a rig that was started again goes on in rig time", () => {
    const rig = aLine();
    for (let i = 0; i < 6000; i++) rig.say(`H ${i} ${i * 1000}`, i);
    rig.say("H 0 0", 6500);
    rig.say("S 1 5000 0\nH 2 10000", 6510);
    expect(rig.faults()).toMatchObject([{ kind: "clockJump", atRigNs: 6500e6, jumpMs: -6500 }]);
    expect(rig.spikes()).toEqual([[6505, "CH0", 0]]);
  });
});

describe("the rig's clock", () => {
  it("goes on over the end of its counter, and tells a jump from a burst after a stall and from drift", () => {
    const clock = createRigClock({ tickHz: 1e6, counterTicks: 2 ** 32, backTicks: 0, forward: true });
    const start = 2 ** 32 - 50_000;
    for (let ms = 0; ms < 100; ms += 10) expect(clock.reach((start + ms * 1000) % 2 ** 32, at(ms), () => 0)).toBeNull();
    expect(clock.reachedRigNs).toBe((start + 90_000) * 1000);
    // Two seconds of silence, then all of it at once.
    for (let ms = 100; ms < 2100; ms += 10) expect(clock.reach((start + ms * 1000) % 2 ** 32, at(2100), () => 0)).toBeNull();
    // 200 ppm fast for twenty minutes.
    for (let ms = 2100; ms < 1_200_000; ms += 500) expect(clock.reach(Math.round(start + ms * 1000 * 1.0002) % 2 ** 32, at(ms), () => 0)).toBeNull();
    const jump = clock.reach(Math.round(start + 1_200_000 * 1000 * 1.0002 + 400_000) % 2 ** 32, at(1_200_000), () => 0);
    expect(jump?.jumpMs).toBeCloseTo(400, -1);
  });
});

describe("a sequence", () => {
  it("delivers what came in order and accounts for every number, whatever the disorder", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ jump: fc.integer({ min: 0, max: 3 }), twice: fc.boolean() }), { minLength: 5, maxLength: 80 }), fc.integer({ min: 0, max: 1000 }), (steps, first) => {
        const size = 1024;
        const sequence = createSequence<number>({ size, windowPackets: 16, restartPackets: 256 });
        // Neighbours change places by up to three; some come twice; none is missing.
        const numbers = steps.map((_, i) => i).sort((a, b) => a + (steps[a]?.jump ?? 0) * 1.1 - (b + (steps[b]?.jump ?? 0) * 1.1));
        if (numbers[0] !== 0) numbers.unshift(0);
        const got: number[] = [];
        let lost = 0;
        let duplicated = 0;
        let copies = numbers.length - steps.length;
        for (const n of numbers) {
          for (let copy = 0; copy < (steps[n]?.twice === true ? 2 : 1); copy++) {
            if (copy === 1) copies += 1;
            const outcome = sequence.take((first + n) % size, n);
            duplicated += outcome.duplicated;
            for (const { packet, lostBefore } of outcome.packets) {
              got.push(packet);
              lost += lostBefore;
            }
          }
        }
        expect(got).toEqual(steps.map((_, i) => i));
        expect([lost, duplicated]).toEqual([0, copies]);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a line over TCP", () => {
  it("is heard through whatever pieces the network makes of it, goes on when the connection is made again, and says how long it was away", async () => {
    const served: Socket[] = [];
    const server = createServer((socket) => served.push(socket.on("error", () => undefined).setNoDelay(true)));
    const port = await new Promise<number>((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
    const source = createLineSource({ clock: createRealClock(), options: lineOptionsSchema.parse({ transport: "tcp", host: "127.0.0.1", port, channels: ["A", "B"], startTimeoutMs: 20_000, staleMs: 20_000 }) });
    const events: SourceEvent[] = [];
    const until = async (done: () => boolean): Promise<void> => {
      for (const end = performance.now() + 30_000; !done(); await new Promise((resolve) => setTimeout(resolve, 5))) if (performance.now() > end) throw new Error("expected it to happen within 30 s");
    };
    const spikes = () => events.flatMap((event) => (event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (ns, i) => [ns / 1e6, event.batch.channels[i]]) : []));
    const faults = () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : []));
    try {
      const starting = source.start((event) => events.push(event));
      await until(() => served.length === 1);
      served[0]?.write("S 0 1000 0\nS 1 2000 ");
      unwrap(await starting);
      await new Promise((resolve) => setTimeout(resolve, 30));
      served[0]?.write("1\nH 2 3000\nS 3 40");
      await until(() => spikes().length === 2);
      expect(spikes()).toEqual([[1, 0], [2, 1]]);
      // In the middle of a line: what was cut off does not come, and does not spoil the first line of the next connection.
      served[0]?.destroy();
      await until(() => faults().some((one) => one.kind === "lost"));
      expect(source.status().connected).toBe(false);
      await until(() => served.length === 2);
      served[1]?.write("S 4 5000 1\nH 5 6000\n");
      await until(() => spikes().length === 3);
      expect(spikes()[2]).toEqual([5, 1]);
      expect(faults()).toMatchObject([{ kind: "lost", reason: expect.stringContaining(`tcp://127.0.0.1:${port}: the connection was closed`) }, { kind: "reconnected" }, { kind: "gap", lostPackets: 1, stream: "lines" }]);
      expect(source.status()).toMatchObject({ connected: true, packetsLost: 1, malformedPackets: 0 });
      await source.stop();
      expect(events.at(-1)).toMatchObject({ kind: "end" });
      server.close();
      for (const socket of served) socket.destroy();
      expect(await source.start(() => undefined)).toMatchObject({ ok: false, error: { code: "noAnswer", message: expect.stringContaining("refused") } });
    } finally {
      await source.stop();
      for (const socket of served) socket.destroy();
      server.close();
    }
  }, 60_000);
});

describe("the sender in the documentation", () => {
  it("is heard: spikes on its channels, marks, gaze, nothing lost", async () => {
    const doc = readFileSync(new URL("../../../docs/rigs/line.md", import.meta.url), "utf8");
    const script = /<!-- sender -->\n```python\n([\s\S]*?)```/.exec(doc)?.[1] ?? "";
    const probe = createSocket("udp4");
    const port = await new Promise<number>((resolve) => probe.bind({ address: "127.0.0.1", port: 0 }, () => resolve(probe.address().port)));
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    const source = createLineSource({ clock: createRealClock(), options: lineOptionsSchema.parse({ port, startTimeoutMs: 20_000, staleMs: 10_000, channels: ["V4-a", "V4-b"] }) });
    const events: SourceEvent[] = [];
    const gaze: RawGazeBatch[] = [];
    source.gaze?.((batch) => gaze.push(batch));
    const starting = source.start((event) => events.push(event));
    const python = spawn("python3", ["-c", script, String(port), "15"], { stdio: "ignore" });
    try {
      unwrap(await starting);
      const spikes = () => events.reduce((sum, event) => sum + (event.kind === "spikes" ? event.batch.timesRigNs.length : 0), 0);
      const until = performance.now() + 15_000;
      while (performance.now() < until && !(spikes() > 40 && events.some((event) => event.kind === "mark") && gaze.length > 0)) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(spikes()).toBeGreaterThan(40);
      expect(source.channels().map((channel) => channel.name)).toEqual(["V4-a", "V4-b"]);
      expect(events.find((event) => event.kind === "mark")).toMatchObject({ mark: { kind: "photodiode" } });
      expect(events.filter((event) => event.kind === "fault")).toEqual([]);
      expect(source.status()).toMatchObject({ connected: true, packetsLost: 0, malformedPackets: 0 });
    } finally {
      python.kill();
      await source.stop();
    }
  }, 40_000);
});
