// The bridge: what goes in comes out, and what the network does on the way is seen, counted, in-band.
import { afterEach, describe, expect, it } from "vitest";
import { loadAddon } from "../../../src/acquisition/native/addon.ts";
import { createBridgeParser } from "../../../src/acquisition/drivers/plexon/bridgeParser.ts";
import { bridgeOptionsSchema } from "../../../src/acquisition/drivers/plexon/bridgeOptions.ts";
import { createBridgeSource } from "../../../src/acquisition/drivers/plexon/bridgeSource.ts";
import { RecordWriter, createTurns, recordWords } from "../../../src/acquisition/native/records.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { runBridge } from "../../../src/engine/rigTools/bridge.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";
import { passReal } from "../../contract/passReal.ts";
import { aBatch, aBridgedWire, bridgeChannels } from "./aBridge.ts";

const addon = loadAddon();
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** `batches` of 10 ms with 200 spikes each: three datagrams. */
async function aStream(batches: number) {
  const wire = aBridgedWire();
  await wire.open();
  closing.push(() => wire.publisher.close());
  for (let i = 0; i < batches; i++) wire.publisher.take(aBatch((1000 + 10 * i) * nsPerMs, (1010 + 10 * i) * nsPerMs, 200));
  return wire;
}

describe("the bridge", () => {
  it("hands over spikes, marks, channels and faults as they were", async () => {
    const wire = aBridgedWire();
    await wire.open();
    closing.push(() => wire.publisher.close());
    const { publisher } = wire;
    publisher.take({ kind: "mark", mark: { kind: "strobe", rigNs: rigTimeNs(1_003_000_000), line: 0, state: true, word: 0xbeef }, arrivedHostNs: hostTimeNs(0) });
    publisher.take({ kind: "mark", mark: { kind: "photodiode", rigNs: rigTimeNs(1_004_000_000), line: 0, state: false, word: null }, arrivedHostNs: hostTimeNs(0) });
    publisher.take({ kind: "mark", mark: { kind: "ttl", rigNs: rigTimeNs(1_005_000_000), line: 7, state: true, word: 128 }, arrivedHostNs: hostTimeNs(0) });
    const batch = aBatch(1000 * nsPerMs, 1010 * nsPerMs, 300);
    publisher.take(batch);
    publisher.take({ kind: "fault", fault: { kind: "gap", lostPackets: 3, stream: "far", atRigNs: rigTimeNs(1_020_000_000) }, arrivedHostNs: hostTimeNs(0) });
    publisher.take({ kind: "end", reason: "enough" });
    wire.deliver();
    expect(wire.decoder.channels()).toEqual(bridgeChannels);
    if (batch.kind !== "spikes") throw new Error("expected spikes");
    expect(wire.times()).toEqual([...batch.batch.timesRigNs].map((time) => Math.floor(time)));
    expect(wire.marks()).toEqual([
      { kind: "strobe", rigNs: 1_003_000_000, line: 0, state: true, word: 0xbeef },
      { kind: "photodiode", rigNs: 1_004_000_000, line: 0, state: false, word: null },
      { kind: "ttl", rigNs: 1_005_000_000, line: 7, state: true, word: 128 },
    ]);
    expect(wire.faults()).toEqual([{ kind: "gap", lostPackets: 3, stream: "far", atRigNs: 1_020_000_000 }, { kind: "lost", reason: "The bridge ended: enough" }]);
    expect(wire.decoder.status()).toMatchObject({ lost: 3, source: "test" });
  });

  it("counts lost datagrams and what was in them, before the watermark passes them", async () => {
    const wire = await aStream(40);
    // The middle one of the fourth batch.
    wire.queue.splice(wire.placeOf(3 * 3 + 1), 1);
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "gap", lostPackets: 1, stream: "the bridge (88 spikes and marks in them)" }]);
    expect(wire.times()).toHaveLength(40 * 200 - 88);
    const gapAt = wire.events.findIndex((event) => event.kind === "fault");
    const before = wire.events.slice(0, gapAt).findLast((event) => event.kind === "spikes");
    expect(before?.kind === "spikes" ? before.batch.watermarkRigNs : Infinity).toBe(1030 * nsPerMs);
    const [gap] = wire.faults();
    expect(gap?.kind === "gap" ? gap.atRigNs : 0).toBe(1040 * nsPerMs);
  });

  it("puts datagrams back in order, and counts one that came twice once", async () => {
    const wire = await aStream(40);
    const rng = createRng("order");
    for (let i = 4; i + 4 < wire.queue.length; i += 4) {
      const four = wire.queue.slice(i, i + 4);
      wire.queue.splice(i, 4, ...rng.fork(i).shuffle([0, 1, 2, 3]).map((place) => four[place] ?? new Uint8Array()));
    }
    const place = wire.placeOf(50);
    const twice = wire.queue[place];
    if (twice === undefined) throw new Error("expected a datagram");
    wire.queue.splice(place + 3, 0, twice);
    wire.deliver(0.5);
    wire.decoder.finish(hostTimeNs(1e9));
    const disorder = wire.faults().map((one) => (one.kind === "disorder" ? one : { duplicated: NaN, reordered: NaN }));
    expect(disorder.reduce((sum, one) => sum + one.duplicated, 0)).toBe(1);
    expect(disorder.reduce((sum, one) => sum + one.reordered, 0)).toBeGreaterThan(10);
    expect(wire.times()).toHaveLength(40 * 200);
    expect(wire.times()).toEqual(wire.times().toSorted((a, b) => a - b));
  });

  it("delivers late what it had given up, and does not count it again", async () => {
    const wire = await aStream(60);
    const [late] = wire.queue.splice(wire.placeOf(3 * 6 + 1), 1);
    if (late === undefined) throw new Error("expected a datagram");
    wire.queue.push(late);
    wire.deliver();
    wire.decoder.finish(hostTimeNs(1e9));
    expect(wire.faults()).toMatchObject([{ kind: "gap", lostPackets: 1 }]);
    expect(wire.times()).toHaveLength(60 * 200);
    expect(wire.decoder.status()).toMatchObject({ lost: 1, malformed: 0 });
  });

  it("goes on with another session of the bridge, and reports the jump", async () => {
    const wire = await aStream(10);
    wire.deliver();
    await wire.open();
    closing.push(() => wire.publisher.close());
    for (let i = 0; i < 10; i++) wire.publisher.take(aBatch(10 * i * nsPerMs, (10 + 10 * i) * nsPerMs, 200));
    wire.deliver();
    expect(wire.faults()).toMatchObject([{ kind: "clockJump" }]);
    expect(wire.times()).toHaveLength(20 * 200);
    expect(wire.times()).toEqual(wire.times().toSorted((a, b) => a - b));
  });

  it("forwards any rig from the recording computer: every spike that it heard comes out at the other end", async () => {
    const news: string[] = [];
    // Packets lost on the recording computer's side are told on this side too.
    const bridge = unwrap(await runBridge({ rig: "synthetic", rigOptions: { channelsPerArray: 8, faults: [{ kind: "dropPackets", atMs: 4000, packets: 2 }] }, seed: 3, host: "127.0.0.1", port: 0, onNews: (sentence) => news.push(sentence) }));
    const source = createBridgeSource({ clock: createRealClock(), options: bridgeOptionsSchema.parse({ host: "127.0.0.1", port: bridge.port, localAddress: "127.0.0.1" }) });
    const events: SourceEvent[] = [];
    unwrap(await source.start((event) => events.push(event)));
    await passReal(() => events.some((event) => event.kind === "fault"));
    const spikes = source.status().spikesReceived;
    await passReal(() => source.status().spikesReceived > spikes + 100);
    expect(source.channels()).toHaveLength(24);
    expect(bridge.status().receivers).toHaveLength(1);
    expect(events.flatMap((event) => (event.kind === "fault" ? [event.fault] : []))).toMatchObject([{ kind: "gap", lostPackets: 2, stream: "spikes" }]);
    expect(news).toHaveLength(1);
    await bridge.stop();
    await passReal(() => events.some((event) => event.kind === "fault" && event.fault.kind === "lost"));
    expect(source.status().spikesReceived).toBeGreaterThan(0.5 * bridge.status().source.spikesReceived);
    await source.stop();
    expect(await runBridge({ rig: "nothing", rigOptions: {}, seed: 1, host: "127.0.0.1", port: 0, onNews: () => undefined })).toMatchObject({ ok: false, error: { code: "unknownRig" } });
  });

  it("counts datagrams that are none of the bridge's", async () => {
    const wire = await aStream(3);
    const place = wire.placeOf(1);
    wire.queue.splice(place, 0, new Uint8Array(10), new Uint8Array(60), wire.queue[place]?.slice(0, 50) ?? new Uint8Array());
    wire.deliver();
    expect(wire.faults().map((fault) => fault.kind)).toEqual(["malformed", "malformed", "malformed"]);
    expect(wire.times()).toHaveLength(600);
  });

  it("takes a batch of records that ends in the middle of a datagram", async () => {
    const wire = await aStream(10);
    const parse = createBridgeParser();
    const writer = new RecordWriter();
    for (const datagram of wire.queue) parse(datagram, 0, writer);
    const whole = writer.take();
    for (const size of [1, 2, 7, 100, 333]) {
      const one = aBridgedWire();
      for (let from = 0; from < whole.count; from += size) {
        const count = Math.min(size, whole.count - from);
        const words = whole.words.slice(from * recordWords, (from + count) * recordWords);
        one.decoder.take({ count, words, doubles: new Float64Array(words.buffer), takeBlob: () => new Uint8Array() }, () => hostTimeNs(0));
      }
      expect(one.times()).toHaveLength(2000);
    }
  });

  it.skipIf(!addon.ok)(`finds in any bytes what the addon finds${addon.ok ? "" : ` (skipped: ${addon.error.message})`}`, async () => {
    const wire = await aStream(10);
    const rng = createRng("bytes");
    const datagrams = wire.queue.flatMap((datagram, i) => {
      const damaged = datagram.slice(0, 1 + Math.floor(rng.uniform() * datagram.length));
      const noisy = datagram.slice();
      noisy[Math.floor(rng.uniform() * Math.min(60, noisy.length))] = Math.floor(rng.uniform() * 256);
      return i % 2 === 0 ? [datagram, damaged] : [noisy, datagram];
    });
    const writer = new RecordWriter();
    const parse = createBridgeParser();
    for (const datagram of datagrams) parse(datagram, 0, writer);
    const expected = writer.take();
    const { UdpReceiver } = unwrap(addon);
    const got: number[][] = [];
    const strip = (words: Uint32Array) => Array.from({ length: words.length / recordWords }, (_, i) => [...words.subarray(i * recordWords, i * recordWords + 2), ...words.subarray(i * recordWords + 4, i * recordWords + 8)]);
    const native = new UdpReceiver({ localAddress: "127.0.0.1", localPort: 0, peerAddress: "127.0.0.1", protocol: "bridge", receiveBufferBytes: 1 << 20, ringRecords: 1 << 14, wakeIntervalUs: 0, keepDatagrams: false }, () => {
      const { words, count } = turns.take();
      got.push(...strip(words.subarray(0, count * recordWords)));
    });
    const turns = createTurns(native, 1 << 14);
    closing.push(async () => native.stop());
    for (const datagram of datagrams) native.send("127.0.0.1", native.status().localPort, datagram);
    await passReal(() => got.length >= expected.count);
    expect(got).toEqual(strip(expected.words.subarray(0, expected.count * recordWords)));
  });
});
