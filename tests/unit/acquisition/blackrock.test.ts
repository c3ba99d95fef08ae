// Blackrock's packets, and the decoder against a wire that loses, doubles, swaps and holds back datagrams: each is seen, counted, in-band.
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { loadAddon } from "../../../src/acquisition/native/addon.ts";
import { RecordWriter, createTurns, recordKinds, recordWords } from "../../../src/acquisition/native/records.ts";
import { createBlackrockCodes } from "../../../src/acquisition/drivers/blackrock/codes.ts";
import { createBlackrockParser } from "../../../src/acquisition/drivers/blackrock/parser.ts";
import { blackrockProtocols, channelInfoPayload, detectProtocol, processorInfoPayload, readChannelInfo, readHead, readProcessorInfo, runLevels, writePacket } from "../../../src/acquisition/drivers/blackrock/packets.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { unwrap } from "../../../src/shared/result.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";
import { aDecodedWire, aPlayedDevice, labels } from "./aBlackrock.ts";

const addon = loadAddon();
const needsAddon = addon.ok ? "" : ` (skipped: ${addon.error.message})`;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function until(done: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.each(blackrockProtocols)("packets of protocol %s", (protocol) => {
  it("come back from their bytes", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 0xffff_ffffn }), fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 200 }), (time, channel, type, words) => {
        const bytes = writePacket(protocol, { time, channel, type, payload: new Uint8Array(words * 4).fill(7) });
        expect(readHead(protocol, new DataView(bytes.buffer), 0)).toMatchObject({ timeLow: Number(time), channel, type, payloadSize: words * 4 });
        expect(readHead(protocol, new DataView(bytes.buffer, 0, bytes.length - 1), 0)).toBeNull();
      }),
      { numRuns: 50 },
    );
  });

  it("tell which protocol they are of", () => {
    const wire = aDecodedWire({ protocol });
    wire.span();
    expect(detectProtocol(wire.queue)).toBe(protocol);
    expect(detectProtocol([])).toBeNull();
    expect(detectProtocol([new Uint8Array(40).fill(0xaa)])).toBeNull();
  });
});

it("reads names and capabilities of channels and processors", () => {
  expect(readChannelInfo(channelInfoPayload({ channel: 3, label: "V4-03", kind: "frontEnd" }))).toEqual({ channel: 3, label: "V4-03", isConnected: true, isAnalogInput: true, detectsSpikes: true, isDigitalInput: false });
  expect(readChannelInfo(channelInfoPayload({ channel: 279, label: "digin", kind: "digital" }))).toMatchObject({ isDigitalInput: true, detectsSpikes: false });
  expect(readChannelInfo(new Uint8Array(100))).toBeNull();
  expect(readProcessorInfo(processorInfoPayload({ name: "Gemini NSP", major: 4, minor: 1 }))).toEqual({ name: "Gemini NSP", major: 4, minor: 1 });
});

describe.each(blackrockProtocols)("the decoder of protocol %s", (protocol) => {
  it("delivers every spike in order, with nothing to report", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 50; i++) wire.span();
    wire.deliver();
    expect(wire.faults()).toEqual([]);
    // The last span's spikes stand before its count.
    expect(wire.spikes()).toHaveLength(50 * 15);
    const times = wire.spikes().map((spike) => spike.timeNs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBe(Math.round((30_003 * 1e9) / 30_000));
  });

  it("counts lost packets exactly, and says so before the watermark passes them", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 20; i++) wire.span();
    // Datagrams 0, 1, 2 are a span; 31 is the middle one of the eleventh.
    wire.queue.splice(31, 1);
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "gap", lostPackets: 5, stream: "nsp" }]);
    const gapAt = wire.events.findIndex((event) => event.kind === "fault");
    const before = wire.events.slice(0, gapAt).findLast((event) => event.kind === "spikes");
    const lostFromNs = Math.round(((30_000 + 10 * 300) * 1e9) / 30_000);
    expect(before?.kind === "spikes" ? before.batch.watermarkRigNs : Infinity).toBeLessThanOrEqual(lostFromNs);
    const gap = wire.faults()[0];
    expect(gap?.kind === "gap" ? gap.atRigNs : 0).toBeGreaterThan(lostFromNs + 10e6 - 1);
    expect(wire.decoder.status().lost).toBe(5);
    expect(wire.spikes()).toHaveLength(20 * 15 - 5);
  });

  it("counts what is lost together with the count itself", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 40; i++) wire.span();
    // The end of a span with its count: 5 spikes and the count.
    wire.queue.splice(62, 1);
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "gap", lostPackets: 6 }]);
  });

  it("takes datagrams that overtook each other for what they are", () => {
    for (const at of [31, 32, 33, 35]) {
      const wire = aDecodedWire({ protocol });
      for (let i = 0; i < 20; i++) wire.span();
      const [first, second] = [wire.queue[at], wire.queue[at + 1]];
      if (first === undefined || second === undefined) throw new Error("expected datagrams");
      wire.queue.splice(at, 2, second, first);
      wire.deliver();
      // Within a span nothing tells their order, and nothing depends on it.
      expect(wire.faults()).toMatchObject(at === 33 ? [] : [{ kind: "disorder", duplicated: 0, reordered: 1, stream: "nsp" }]);
      expect(wire.spikes()).toHaveLength(20 * 15);
      const times = wire.spikes().map((spike) => spike.timeNs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    }
  });

  it("counts a datagram that came twice once, and says so", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 20; i++) wire.span();
    const twice = wire.queue[31];
    if (twice === undefined) throw new Error("expected a datagram");
    wire.queue.splice(33, 0, twice);
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "disorder", duplicated: 5, reordered: 0, stream: "nsp" }]);
    expect(wire.spikes()).toHaveLength(20 * 15);
  });

  it("reports a datagram that is cut off, and the packets that went with it", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 20; i++) wire.span();
    const whole = wire.queue[31];
    if (whole === undefined) throw new Error("expected a datagram");
    wire.queue[31] = whole.slice(0, whole.length - 6);
    wire.deliver();
    expect(wire.faults().map((fault) => fault.kind)).toEqual(["malformed", "gap"]);
    expect(wire.decoder.status()).toMatchObject({ lost: 1, malformed: 1 });
  });

  it("goes on when the device starts again, and reports the jump", () => {
    const wire = aDecodedWire({ protocol, start: 9_000_000n });
    for (let i = 0; i < 20; i++) wire.span();
    wire.deliver();
    wire.time = 0n;
    for (let i = 0; i < 20; i++) wire.span();
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "clockJump", jumpMs: expect.closeTo(-300_200, -2) }]);
    expect(wire.spikes()).toHaveLength(40 * 15);
    const times = wire.spikes().map((spike) => spike.timeNs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it("reports a jump of the clock ahead, and none for a burst after a stall", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 20; i++) {
      wire.span();
      wire.deliver();
    }
    // Two seconds in which nothing comes, then all of it at once.
    for (let i = 0; i < 200; i++) wire.span();
    wire.hostMs += 1990;
    wire.deliver();
    expect(wire.faults()).toEqual([]);
    for (let i = 0; i < 5; i++) {
      wire.span();
      wire.deliver();
    }
    wire.time += 1200n;
    for (let i = 0; i < 5; i++) {
      wire.span();
      wire.deliver();
    }
    expect(wire.faults()).toMatchObject([{ kind: "clockJump", jumpMs: expect.closeTo(40, -1) }]);
  });

  it("takes data that come fresher than any before for no jump", () => {
    const wire = aDecodedWire({ protocol });
    wire.hostMs = 100;
    for (let i = 0; i < 20; i++) {
      wire.span();
      wire.deliver();
      // The transport catches up with what it was behind.
      wire.hostMs -= 8;
    }
    expect(wire.faults()).toEqual([]);
  });

  it("says when the device is told to stand by, and when it runs again", () => {
    const wire = aDecodedWire({ protocol });
    for (let i = 0; i < 3; i++) wire.span();
    wire.device.announceRunLevel(runLevels.standby);
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "lost", reason: expect.stringContaining("run level 30") }]);
    expect(wire.decoder.status().isRunning).toBe(false);
    wire.hostMs += 500;
    wire.device.announceRunLevel(runLevels.running);
    for (let i = 0; i < 3; i++) wire.span();
    wire.deliver();
    expect(wire.faults()[1]).toMatchObject({ kind: "reconnected" });
    expect(wire.decoder.status().isRunning).toBe(true);
  });
});

describe("the Blackrock decoder", () => {
  it("reads protocol 3.11's clock across its wrap", () => {
    const wire = aDecodedWire({ protocol: "3.11", start: 0xffff_ffffn - 3000n });
    for (let i = 0; i < 20; i++) wire.span();
    wire.deliver();
    expect(wire.faults()).toEqual([]);
    expect(wire.spikes()).toHaveLength(20 * 15);
    expect((wire.spikes().at(-1)?.timeNs ?? 0) - (wire.spikes()[0]?.timeNs ?? 0)).toBeCloseTo(19 * 10e6 + 1.4e6, -4);
  });

  it("keeps ns exact that count from 1970", () => {
    const start = 1_764_000_000_123_456_789n;
    const wire = aDecodedWire({ timeUnit: "ns", start });
    for (let i = 0; i < 5; i++) wire.span();
    wire.deliver();
    expect(wire.faults()).toEqual([]);
    const times = wire.spikes().map((spike) => spike.timeNs);
    expect(times).toHaveLength(75);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBe(100_000);
    expect((times[15] ?? 0) - (times[0] ?? 0)).toBe(10_000_000);
  });

  it("does with the sorter's noise what it is told", () => {
    const unitsWith = (noise: "leaveOut" | "keep" | "unsorted") => {
      const wire = aDecodedWire({ noise });
      wire.span({ unit: 255 });
      wire.span({ unit: 2 });
      wire.deliver();
      return new Set(wire.spikes().map((spike) => spike.unit));
    };
    expect(unitsWith("leaveOut")).toEqual(new Set([2]));
    expect(unitsWith("keep")).toEqual(new Set([255, 2]));
    expect(unitsWith("unsorted")).toEqual(new Set([0, 2]));
  });

  it("makes marks of the digital input: strobed words, lines, and the photodiode where it is", () => {
    const wire = aDecodedWire({ photodiodeLine: 3, photodiodeChannel: 130 });
    wire.span();
    wire.device.digital(wire.time + 10n, 0x1234, 0, 2);
    wire.device.digital(wire.time + 20n, 0b1001, 0b1001, 1);
    wire.device.digital(wire.time + 30n, 0b0001, 0b1000, 1);
    wire.device.spike(wire.time + 40n, 129, 0);
    wire.span();
    wire.deliver();
    const marks = wire.events.flatMap((event) => (event.kind === "mark" ? [{ kind: event.mark.kind, line: event.mark.line, state: event.mark.state, word: event.mark.word }] : []));
    expect(marks).toEqual([
      { kind: "strobe", line: 0, state: true, word: 0x1234 },
      { kind: "ttl", line: 0, state: true, word: 0b1001 },
      { kind: "photodiode", line: 0, state: true, word: null },
      { kind: "photodiode", line: 0, state: false, word: null },
      { kind: "photodiode", line: 0, state: true, word: null },
    ]);
  });
});

describe.skipIf(!addon.ok)(`the addon${needsAddon}`, () => {
  it("finds the same records in any bytes as the parser in JavaScript", async () => {
    const { UdpReceiver } = unwrap(addon);
    for (const protocol of blackrockProtocols) {
      const rng = createRng(protocol);
      const wire = aDecodedWire({ protocol });
      for (let i = 0; i < 12; i++) wire.span({ spikesEach: 1 + (i % 4), unit: i % 6 });
      wire.device.digital(wire.time, 5, 1, 1);
      wire.device.announceRunLevel(runLevels.running);
      const datagrams = wire.queue.flatMap((datagram, i) => {
        const damaged = datagram.slice(0, 1 + Math.floor(rng.uniform() * datagram.length));
        const noisy = datagram.slice();
        noisy[Math.floor(rng.uniform() * noisy.length)] = Math.floor(rng.uniform() * 256);
        return i % 3 === 0 ? [datagram, datagram, noisy] : i % 3 === 1 ? [damaged, datagram] : [noisy, datagram];
      });
      const writer = new RecordWriter();
      const parse = createBlackrockParser(protocol);
      for (const datagram of datagrams) parse(datagram, 0, writer);
      const expected = writer.take();

      const got: { readonly words: Uint32Array; readonly blobs: readonly Uint8Array[] }[] = [];
      let count = 0;
      const native = new UdpReceiver({ localAddress: "127.0.0.1", localPort: 0, peerAddress: null, protocol: `blackrock-${protocol}`, receiveBufferBytes: 1 << 20, ringRecords: 4096, wakeIntervalUs: 0, keepDatagrams: false }, () => {
        const batch = turns.take();
        const words = batch.words.slice(0, batch.count * recordWords);
        const blobs: Uint8Array[] = [];
        for (let i = 0; i < words.length; i += recordWords) if ((((words[i + 4] ?? 0) >>> 16) & 0xff) === recordKinds.blob) blobs.push(batch.takeBlob(words[i + 5] ?? 0));
        count += words.length / recordWords;
        got.push({ words, blobs });
      });
      const turns = createTurns(native, 4096);
      closing.push(async () => native.stop());
      for (const datagram of datagrams) native.send("127.0.0.1", native.status().localPort, datagram);
      await until(() => count >= expected.count);
      const strip = (words: Uint32Array) => Array.from({ length: words.length / recordWords }, (_, i) => [...words.subarray(i * recordWords, i * recordWords + 2), ...words.subarray(i * recordWords + 4, i * recordWords + 8)]);
      expect(got.flatMap(({ words }) => strip(words))).toEqual(strip(expected.words.subarray(0, expected.count * recordWords)));
      const blobs = strip(expected.words.subarray(0, expected.count * recordWords)).flatMap((words) => ((((words[2] ?? 0) >>> 16) & 0xff) === recordKinds.blob ? [[...expected.takeBlob(words[3] ?? 0)]] : []));
      expect(got.flatMap(({ blobs: each }) => each.map((bytes) => [...bytes]))).toEqual(blobs);
    }
  });

  it("counts what its ring had no room for, in its place", async () => {
    const { UdpReceiver } = unwrap(addon);
    const wire = aDecodedWire();
    for (let i = 0; i < 40; i++) wire.span();
    let isAsleep = true;
    const kinds: number[] = [];
    const native = new UdpReceiver({ localAddress: "127.0.0.1", localPort: 0, peerAddress: null, protocol: "blackrock-4.1", receiveBufferBytes: 1 << 20, ringRecords: 64, wakeIntervalUs: 0, keepDatagrams: false }, () => {
      if (isAsleep) return;
      const { words, count } = turns.take();
      for (let i = 0; i < count; i++) {
        kinds.push(((words[i * recordWords + 4] ?? 0) >>> 16) & 0xff);
        if (kinds.at(-1) === recordKinds.overflow) dropped.push([words[i * recordWords + 5] ?? 0, words[i * recordWords + 6] ?? 0]);
      }
    });
    const turns = createTurns(native, 64);
    const dropped: [number, number][] = [];
    closing.push(async () => native.stop());
    const { localPort } = native.status();
    for (const datagram of wire.queue) native.send("127.0.0.1", localPort, datagram);
    await until(() => native.status().datagrams === 120);
    const total = 40 * 16;
    await until(() => native.status().droppedRecords === total - 64);
    isAsleep = false;
    expect([turns.take().count, turns.wasFull]).toEqual([64, true]);
    native.send("127.0.0.1", localPort, wire.queue[0] ?? new Uint8Array());
    await until(() => kinds.includes(recordKinds.overflow));
    expect((dropped[0]?.[0] ?? 0) + (dropped[0]?.[1] ?? 0)).toBe(total - 64);
    expect(kinds[0]).toBe(recordKinds.overflow);
  });

  it("refuses arguments that cannot be", () => {
    const { UdpReceiver, PlexonPoller } = unwrap(addon);
    const good = { localAddress: "127.0.0.1", localPort: 0, peerAddress: null, protocol: "raw", receiveBufferBytes: 65_536, ringRecords: 16, wakeIntervalUs: 0, keepDatagrams: false } as const;
    for (const [wrong, words] of [
      [{ localAddress: "nowhere" }, "IPv4"], [{ localPort: 70_000 }, "localPort"], [{ localPort: 1.5 }, "localPort"], [{ peerAddress: "300.1.1.1" }, "peerAddress"], [{ protocol: "morse" }, "protocol"],
      [{ receiveBufferBytes: Number.NaN }, "receiveBufferBytes"], [{ ringRecords: 0 }, "ringRecords"], [{ wakeIntervalUs: -1 }, "wakeIntervalUs"], [{ keepDatagrams: 1 }, "keepDatagrams"], [{ localAddress: "10.255.255.254" }, "address"],
    ] as const) {
      expect(() => new UdpReceiver({ ...good, ...wrong } as never, () => undefined)).toThrow(words);
    }
    expect(() => new UdpReceiver(good, undefined as never)).toThrow("function");
    const poller = { libraries: ["/nowhere/a", "/nowhere/b"], client: "auto", pollIntervalUs: 1000, countDropped: true, ringRecords: 16, wakeIntervalUs: 0 } as const;
    for (const [wrong, words] of [[{ libraries: [] }, "libraries"], [{ libraries: [""] }, "libraries"], [{ libraries: "a" }, "libraries"], [{ client: "both" }, "client"], [{ countDropped: 1 }, "countDropped"], [{}, /nowhere\/a.*nowhere\/b/]] as const) {
      expect(() => new PlexonPoller({ ...poller, ...wrong } as never, () => undefined)).toThrow(words);
    }
    const native = new UdpReceiver(good, () => undefined);
    expect(() => native.drain(new ArrayBuffer(31))).toThrow("room for at least one record of 32 bytes, got 31");
    expect(() => native.drain(new Uint8Array(32) as never)).toThrow("ArrayBuffer");
    expect(() => native.send("127.0.0.1", 0, new Uint8Array(1))).toThrow("port");
    expect(() => native.send("127.0.0.1", 5, "text" as never)).toThrow("Uint8Array");
    expect(() => native.setProtocol("x" as never)).toThrow("protocol");
    expect([...native.takeBlob(3)]).toEqual([]);
    native.stop();
    native.stop();
  });
});

describe.each(addon.ok ? (["addon", "node"] as const) : (["node"] as const))("the Blackrock source, received by %s", (by) => {
  async function aRunning(options: Parameters<typeof aPlayedDevice>[0] = {}) {
    const made = await aPlayedDevice({ by, ...options });
    closing.push(made.dispose);
    const events: SourceEvent[] = [];
    unwrap(await made.source.start((event) => events.push(event)));
    made.stream();
    const spikes = () => events.reduce((sum, event) => sum + (event.kind === "spikes" ? event.batch.timesRigNs.length : 0), 0);
    const kinds = () => events.flatMap((event) => (event.kind === "fault" ? [event.fault.kind] : []));
    return { made, events, spikes, kinds };
  }

  it.each(blackrockProtocols)("finds out protocol %s, asks for the channels and receives", async (protocol) => {
    const { made, events, spikes, kinds } = await aRunning({ protocol });
    expect(events[0]).toMatchObject({ kind: "channels" });
    expect(made.source.channels().map((channel) => channel.name)).toEqual(labels);
    await until(() => spikes() > 200);
    expect(kinds()).toEqual([]);
    expect(made.source.status()).toMatchObject({ connected: true, packetsLost: 0, malformedPackets: 0 });
  });

  it("reads a Gemini system's ns", async () => {
    const { events, spikes } = await aRunning({ timeUnit: "ns" });
    await until(() => spikes() > 200);
    const batches = events.flatMap((event) => (event.kind === "spikes" ? [event.batch] : []));
    const [first, last] = [batches[0], batches.at(-1)];
    if (first === undefined || last === undefined) throw new Error("expected batches");
    // Rig time goes at the pace of this computer's.
    expect((last.watermarkRigNs - first.watermarkRigNs) / (batches.length - 1) / 1e6).toBeCloseTo(10, 0);
  });

  it("survives a stall of the device whose packets come in one burst", async () => {
    const { made, spikes, kinds } = await aRunning({ source: { staleMs: 500 } });
    await until(() => spikes() > 100);
    made.pause(true);
    await until(() => kinds().includes("stale"));
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const before = spikes();
    made.pause(false);
    await until(() => spikes() > before + 2000);
    // A machine under load may be silent more than once by itself; nothing else is to be reported.
    expect(kinds().slice(0, 2)).toEqual(["stale", "reconnected"]);
    expect(new Set(kinds())).toEqual(new Set(["stale", "reconnected"]));
    expect(made.source.status().packetsLost).toBe(0);
  }, 30_000);

  it("joins the devices of a system on one clock, and goes on with those that are heard", async () => {
    const hub = await aPlayedDevice({ by, timeUnit: "ns" });
    closing.push(hub.dispose);
    const { made, events, spikes, kinds } = await aRunning({ timeUnit: "ns", source: { staleMs: 2000, moreDevices: [{ name: "hub1", host: "127.0.0.1", sendPort: hub.device.port(), receivePort: 0 }] } });
    expect(made.source.channels().map((channel) => channel.name)).toEqual([...labels, ...labels.map((_, i) => `hub1 ${i + 1}`)]);
    const channelsSince = (from: number) => new Set(events.slice(from).flatMap((event) => (event.kind === "spikes" ? [...event.batch.channels] : [])));
    await until(() => spikes() > 1000 && channelsSince(0).size === 2 * labels.length);
    expect(kinds()).toEqual([]);
    hub.pause(true);
    await until(() => kinds().includes("stale"));
    const at = events.length;
    await until(() => channelsSince(at).size >= labels.length);
    hub.pause(false);
    await until(() => kinds().includes("reconnected"));
    const back = events.length;
    await until(() => channelsSince(back).size === 2 * labels.length);
    let watermark = 0;
    for (const event of events) {
      if (event.kind !== "spikes") continue;
      expect(event.batch.watermarkRigNs).toBeGreaterThanOrEqual(watermark);
      watermark = event.batch.watermarkRigNs;
    }
  }, 30_000);

  it.each(["3.11", "4.0", "4.1"] as const)("gets event codes back that went out as comments (%s)", async (protocol) => {
    const { made, events, spikes } = await aRunning({ protocol });
    // A comment before the first data has no place on the stream.
    await until(() => spikes() > 0);
    const codes = createBlackrockCodes({ host: "127.0.0.1", sendPort: made.device.port(), protocol });
    unwrap(await codes.start());
    closing.push(() => codes.stop());
    for (const code of [250, 5]) codes.send(code);
    const words = () => events.flatMap((event) => (event.kind === "mark" ? [[event.mark.kind, event.mark.line, event.mark.word]] : []));
    await until(() => words().length === 2);
    expect(words()).toEqual([["ttl", 255, 250], ["ttl", 255, 5]]);
    expect(codes.status()).toMatchObject({ connected: true, problem: null, detail: "2 comments" });
  });

  it("survives a restart of the device", async () => {
    const { made, events, spikes, kinds } = await aRunning();
    await until(() => spikes() > 100);
    made.restart();
    const before = spikes();
    await until(() => spikes() > before + 200);
    expect(kinds()).toEqual(["clockJump"]);
    let watermark = 0;
    for (const event of events) {
      if (event.kind !== "spikes") continue;
      expect(event.batch.watermarkRigNs).toBeGreaterThanOrEqual(watermark);
      watermark = event.batch.watermarkRigNs;
    }
  });
});
