// The Event Broadcaster's messages and decoder, against the recorded program in both forms and against messages made by hand.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseBroadcast } from "../../../src/acquisition/drivers/open-ephys/broadcast.ts";
import { createBroadcastDecoder } from "../../../src/acquisition/drivers/open-ephys/broadcastDecoder.ts";
import { broadcastOptionsSchema } from "../../../src/acquisition/drivers/open-ephys/broadcastOptions.ts";
import { decodeCapture } from "../../../src/engine/rigTools/captures.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";

const fixtures = new URL("../../fixtures/acquisition/", import.meta.url);
const judge: { readonly messages: Record<string, number>; readonly perElectrode: Record<string, number> } = JSON.parse(readFileSync(new URL("decoded.json", fixtures), "utf8")).openEphysBroadcaster;

const encode = new TextEncoder();
const spikeCode = new Uint8Array([1, 0]);
const ttlCode = new Uint8Array([0, 0]);
const json = (fields: Readonly<Record<string, unknown>>): Uint8Array => encode.encode(JSON.stringify(fields));
const aSpike = (fields: Readonly<Record<string, unknown>> = {}): readonly Uint8Array[] => [spikeCode, json({ event_type: "spike", stream: "A", source_node: 103, electrode: "SE 1", sample_rate: 30_000, sample_number: 30_000, sorted_id: 0, ...fields })];
const aTtl = (fields: Readonly<Record<string, unknown>> = {}): readonly Uint8Array[] => [ttlCode, json({ event_type: "ttl", stream: "A", source_node: 103, sample_rate: 30_000, sample_number: 30_000, line: 3, state: true, ...fields })];

function raw({ type = 1, eventType, node = 103, stream = 2, index = 0, sample, tail }: { readonly type?: number; readonly eventType: number; readonly node?: number; readonly stream?: number; readonly index?: number; readonly sample: number; readonly tail: readonly number[] }): Uint8Array {
  const bytes = new Uint8Array(24 + tail.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, type);
  view.setUint8(1, eventType);
  view.setUint16(2, node, true);
  view.setUint16(4, stream, true);
  view.setUint16(6, index, true);
  view.setBigInt64(8, BigInt(sample), true);
  view.setFloat64(16, sample / 30_000, true);
  bytes.set(tail, 24);
  return bytes;
}

/** Messages of a recording: u32 LE count of parts, then for each its u32 LE length and its bytes. */
function framesOf(name: string): readonly (readonly Uint8Array[])[] {
  const bytes = readFileSync(new URL(name, fixtures));
  const messages: Uint8Array[][] = [];
  for (let at = 0; at < bytes.length; ) {
    const parts: Uint8Array[] = [];
    const count = bytes.readUInt32LE(at);
    at += 4;
    for (let part = 0; part < count; part++) {
      const length = bytes.readUInt32LE(at);
      parts.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    messages.push(parts);
  }
  return messages;
}

function aDecoder(options: Readonly<Record<string, unknown>> = {}) {
  const events: SourceEvent[] = [];
  const decoder = createBroadcastDecoder(broadcastOptionsSchema.parse({ holdBackMs: 5, ...options }), (event) => events.push(event));
  let ms = 0;
  return {
    decoder,
    events,
    take(parts: readonly Uint8Array[], afterMs = 1) {
      ms += afterMs;
      decoder.take(parts, hostTimeNs(ms * 1e6));
      decoder.settle(hostTimeNs(ms * 1e6));
    },
    finish: () => decoder.finish(hostTimeNs(ms * 1e6)),
    spikes: () => events.flatMap((event) => (event.kind === "spikes" ? [...event.batch.timesRigNs].map((ns, i) => ({ ms: ns / 1e6, channel: decoder.stream.channels()[event.batch.channels[i] ?? -1]?.name, unit: event.batch.units[i] })) : [])),
    faults: () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
    marks: () => events.flatMap((event) => (event.kind === "mark" ? [event.mark] : [])),
  };
}

describe("the Event Broadcaster's messages", () => {
  it("of the recorded program decode completely", async () => {
    const decoded = unwrap(await decodeCapture({ file: new URL("open-ephys-1.0.1-event-broadcaster.frames", fixtures).pathname, rig: "open-ephys-events", lane: null, options: {} }));
    expect(Object.fromEntries(decoded.channels.map((channel) => [channel.name, channel.spikes]))).toEqual(judge.perElectrode);
    expect(decoded).toMatchObject({ pieces: 3529, packets: 3529, spikes: judge.messages["1 json 2 parts"], marks: 0, gaps: 0, lostPackets: 0, bytesLeft: 0 });
    // The recorded file began anew twice in the twelve seconds.
    expect(decoded.faults).toEqual({ clockJump: 2 });
  });

  it("of TTL lines come in both forms as the program was given them", async () => {
    // The recording that the program played has line 1 up at 0.1 s of each half second, for 50 ms, and line 3 up from 0.3 to 0.8 s of each second.
    const isTrue = (mark: { readonly rigNs: number; readonly line: number; readonly state: boolean }): boolean => {
      const ms = Math.round(mark.rigNs / 1e6);
      return mark.line === 0 ? ms % 500 === (mark.state ? 100 : 150) : mark.line === 2 && ms % 1000 === (mark.state ? 300 : 800);
    };
    for (const form of ["ttl", "raw"]) {
      const decoded = unwrap(await decodeCapture({ file: new URL(`open-ephys-1.0.1-event-broadcaster-${form}.frames`, fixtures).pathname, rig: "open-ephys-events", lane: null, options: { sampleRateHz: 30_000 } }));
      expect(decoded).toMatchObject({ marks: 10, gaps: 0, faults: {}, spikes: form === "ttl" ? 252 : 271 });
      expect(decoded.channels.map((c) => c.name).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `Electrode ${n}`));
      const rig = aDecoder({ sampleRateHz: 30_000 });
      for (const parts of framesOf(`open-ephys-1.0.1-event-broadcaster-${form}.frames`)) rig.take(parts);
      rig.decoder.finish(hostTimeNs(1e12));
      const marks = rig.events.flatMap((event) => (event.kind === "mark" ? [event.mark] : []));
      expect(marks.every(isTrue)).toBe(true);
      expect(marks.every((mark) => (form === "raw" ? ((mark.word ?? 0) >> mark.line) % 2 === (mark.state ? 1 : 0) : mark.word === null))).toBe(true);
    }
  });

  it("in the raw form say the same as in JSON", () => {
    // Behind the sorted unit stand thresholds and the waveform.
    expect(parseBroadcast([spikeCode, raw({ type: 2, eventType: 1, index: 4, sample: 12_345, tail: [7, 1, 0, 0, 72, 194, 1, 2, 3, 4] })])).toEqual({
      ok: true, value: { kind: "spike", stream: "2", sourceNode: 103, electrode: 4, sampleRateHz: null, sampleNum: 12_345, sortedId: 263 },
    });
    expect(parseBroadcast([ttlCode, raw({ eventType: 3, sample: 9, tail: [3, 1, 8, 0, 0, 0, 0, 0, 0, 0] })])).toEqual({
      ok: true, value: { kind: "ttl", stream: "2", sampleRateHz: null, sampleNum: 9, line: 3, state: true, word: 8 },
    });
    expect(parseBroadcast([ttlCode, raw({ eventType: 3, sample: 9, tail: [3, 0] })])).toMatchObject({ value: { line: 3, state: false, word: null } });
    expect(parseBroadcast([ttlCode, raw({ eventType: 5, sample: 9, tail: [104, 105] })])).toEqual({ ok: true, value: { kind: "other", type: "event 5" } });
    expect(parseBroadcast(aSpike({ sorted_id: 2 }))).toMatchObject({ value: { kind: "spike", electrode: "SE 1", sampleRateHz: 30_000, sortedId: 2 } });
    expect(parseBroadcast(aTtl({ state: 0, word: 16 }))).toMatchObject({ value: { kind: "ttl", line: 3, state: false, word: 16 } });
    expect(parseBroadcast([ttlCode, json({ event_type: "text", text: "hello" })])).toEqual({ ok: true, value: { kind: "other", type: "text" } });
  });

  it("that cannot be read say what was expected", () => {
    const cases: readonly (readonly [readonly Uint8Array[], string])[] = [
      [[], "got 0 parts"],
      [[spikeCode], "got 1 part"],
      [[new Uint8Array(3), json({})], "a code of 2 bytes, got 3"],
      [[new Uint8Array([9, 1]), new Uint8Array(40)], "0 (TTL) or 1 (spike), got 265"],
      [[spikeCode, encode.encode("{ not json")], "JSON"],
      [[spikeCode, json({})], "event_type"],
      [aSpike({ sample_number: "1" }), "sample_number"],
      [aSpike({ sorted_id: -1 }), "sorted_id"],
      [aSpike({ sample_rate: 0 }), "sample_rate"],
      [aTtl({ line: 300 }), "line"],
      [[spikeCode, new Uint8Array(25)], "26 bytes or more of a raw spike, got 25"],
      [[ttlCode, new Uint8Array(23)], "24 bytes or more of a raw event, got 23"],
      [[ttlCode, raw({ eventType: 3, sample: 1, tail: [1] })], "line and state"],
    ];
    for (const [parts, reason] of cases) expect(parseBroadcast(parts), reason).toMatchObject({ ok: false, error: { reason: expect.stringContaining(reason) } });
  });
});

describe("the Event Broadcaster's decoder", () => {
  it("holds spikes back, gives them out in time order, and marks before them", () => {
    const rig = aDecoder({ photodiodeLine: 1, clockLine: 7 });
    rig.take(aSpike({ sample_number: 30_060, sorted_id: 1 }));
    rig.take(aSpike({ sample_number: 30_000, electrode: "SE 2" }));
    rig.take(aTtl({ sample_number: 30_030 }));
    rig.take(aTtl({ sample_number: 30_031, line: 1 }));
    expect(rig.spikes()).toEqual([]);
    // A pulse on the clock line is no mark, but it tells how far the stream is.
    rig.take(aTtl({ sample_number: 30_300, line: 7 }));
    expect(rig.spikes()).toEqual([{ ms: 1000, channel: "SE 2", unit: 0 }, { ms: 1002, channel: "SE 1", unit: 1 }]);
    expect(rig.marks()).toMatchObject([{ kind: "ttl", line: 3, rigNs: 1001e6 }, { kind: "photodiode", line: 1 }]);
    expect(rig.decoder.stream.watermarkRigNs).toBe(1005e6);
    expect(rig.faults()).toEqual([]);
  });

  it("takes raw events at the rate of the settings, with the names of the settings", () => {
    const rig = aDecoder({ sampleRateHz: 20_000, electrodes: ["TT1", "TT2"] });
    for (const [index, stream] of [[1, 2], [2, 2], [1, 3]] as const) rig.take([spikeCode, raw({ type: 2, eventType: 1, index, stream, sample: 20_000 + index, tail: [0, 0] })]);
    rig.finish();
    expect(rig.spikes()).toEqual([{ ms: 1000.05, channel: "TT2", unit: 0 }, { ms: 1000.05, channel: "TT2 (3, node 103)", unit: 0 }, { ms: 1000.1, channel: "Electrode 3", unit: 0 }]);
    const unset = aDecoder();
    unset.take([spikeCode, raw({ type: 2, eventType: 1, sample: 30_000, tail: [0, 0] })]);
    unset.take([spikeCode, raw({ type: 2, eventType: 1, sample: 30_001, tail: [0, 0] })]);
    expect(unset.faults()).toEqual([{ kind: "malformed", reason: expect.stringContaining("sample rate"), packets: 0 }]);
  });

  it("goes on in rig time where the sample numbers begin again or change their length", () => {
    const rig = aDecoder();
    rig.take(aSpike({ sample_number: 60_000 }));
    rig.take(aSpike({ sample_number: 300 }), 100);
    rig.take(aSpike({ sample_number: 600 }), 10);
    rig.take(aSpike({ sample_number: 4000, sample_rate: 20_000 }), 50);
    rig.finish();
    expect(rig.spikes().map((spike) => Math.round(spike.ms))).toEqual([2000, 2100, 2110, 2160]);
    expect(rig.faults()).toMatchObject([{ kind: "clockJump", jumpMs: -2090 }, { kind: "clockJump" }]);
  });

  it("delivers a spike that is older than the hold-back, and holds back longer from then on", () => {
    const rig = aDecoder();
    rig.take(aSpike({ sample_number: 30_600 }));
    rig.take(aSpike({ sample_number: 30_000 }));
    rig.take(aSpike({ sample_number: 31_200 }));
    expect(rig.spikes().map((spike) => spike.ms)).toContain(1000);
    expect(rig.decoder.stream.counts.lateSpikes).toBe(1);
    // 5 ms, and the 15 ms by which it was late.
    expect(rig.decoder.stream.watermarkRigNs).toBe(1020e6);
  });

  it("counts what it cannot read, and says when the program is back", () => {
    const rig = aDecoder();
    rig.take(aSpike());
    rig.take([spikeCode, encode.encode("{")]);
    rig.decoder.stream.away({ kind: "stale", ageMs: 900 }, hostTimeNs(9e8));
    rig.take(aSpike({ sample_number: 60_000 }), 1000);
    expect(rig.faults().map((fault) => fault.kind)).toEqual(["malformed", "stale", "reconnected"]);
    expect([rig.decoder.packets, rig.decoder.stream.counts.packetsMalformed]).toEqual([2, 1]);
  });
});
