import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layOutCapture, parseCapture } from "../../../src/acquisition/drivers/open-ephys/capture.ts";
import { createOpenEphysDecoder } from "../../../src/acquisition/drivers/open-ephys/decoder.ts";
import type { DecoderOptions } from "../../../src/acquisition/drivers/open-ephys/decoder.ts";
import { parseMessage } from "../../../src/acquisition/drivers/open-ephys/message.ts";
import type { Result } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";
import type { SourceEvent, SourceFault } from "../../../src/shared/values.ts";

const folder = new URL("../../fixtures/acquisition/", import.meta.url);
const decoded: { readonly openEphysZmq: { readonly spikes: number; readonly perElectrode: Record<string, number>; readonly missingMessages: number; readonly gaps: number } } = JSON.parse(
  readFileSync(new URL("decoded.json", folder), "utf8"),
);
const judge = decoded.openEphysZmq;
const bytes = readFileSync(new URL("open-ephys-1.0.1-zmq-interface.frames", folder));

function the<T>(result: Result<T, { readonly reason: string }>): T {
  if (!result.ok) throw new Error(result.error.reason);
  return result.value;
}
const capture = the(parseCapture(bytes));
const laidOut = the(layOutCapture(capture));

type Parts = readonly Uint8Array[];
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const envelope = (name: string) => new TextEncoder().encode(`${name}\0`);

/** A continuous data message of 464 samples at 40 kHz on "example_data". */
function aData(messageNum: number, sampleNum: number, channel = 0, sampleCount = 464, stream = "example_data"): Parts {
  const content = { stream, channel_num: channel, channel_name: `CH${channel + 1}`, num_samples: sampleCount, sample_num: sampleNum, sample_rate: 40_000 };
  return [envelope("DATA"), text({ message_num: messageNum, type: "data", content, data_size: sampleCount * 4, timestamp: 0 }), new Uint8Array(sampleCount * 4)];
}

function aSpike(messageNum: number, sampleNum: number, electrode = "SE 1", more: Readonly<Record<string, unknown>> = {}): Parts {
  const spike = { stream: "example_data", source_node: 101, electrode, sample_num: sampleNum, num_channels: 1, num_samples: 40, sorted_id: 0, threshold: [-60], ...more };
  return [envelope("EVENT"), text({ message_num: messageNum, type: "spike", spike, timestamp: 0 }), new Uint8Array(160)];
}

function aTtl(messageNum: number, sampleNum: number, line: number, state: boolean): Parts {
  const payload = new Uint8Array(10);
  payload[0] = line;
  payload[1] = state ? 1 : 0;
  payload[2] = state ? 1 << line : 0;
  return [envelope("EVENT"), text({ message_num: messageNum, type: "event", content: { stream: "example_data", source_node: 100, type: 3, sample_num: sampleNum }, data_size: 10, timestamp: 0 }), payload];
}

/** The whole traffic of the recorded program: what the capture left out is put back with silent samples. */
const wholeTraffic: readonly Parts[] = laidOut.messages.map((one) => one.captured?.parts ?? aData(one.messageNum, one.blockSampleNum, one.channelPlace));
const asCaptured: readonly Parts[] = capture.map((one) => one.parts);

interface Decoded {
  readonly events: readonly SourceEvent[];
  readonly faults: readonly SourceFault[];
  readonly perElectrode: Record<string, number>;
  readonly times: readonly number[];
  readonly decoder: ReturnType<typeof createOpenEphysDecoder>;
}

function decode(messages: readonly Parts[], options: Partial<DecoderOptions> = {}, msPerMessage = 0.6): Decoded {
  const events: SourceEvent[] = [];
  const decoder = createOpenEphysDecoder({ sampleRateHz: null, holdBackMs: 4, blockSamplesMax: 1024, electrodes: [], areas: [], ...options }, (event) => events.push(event));
  for (const [index, parts] of messages.entries()) decoder.take(parts, hostTimeNs(index * msPerMessage * nsPerMs));
  decoder.finish(hostTimeNs(messages.length * msPerMessage * nsPerMs));
  const perElectrode: Record<string, number> = {};
  const times: number[] = [];
  for (const event of events) {
    if (event.kind !== "spikes") continue;
    times.push(...event.batch.timesRigNs);
    for (const channel of event.batch.channels) {
      const name = decoder.channels()[channel]?.name ?? "?";
      perElectrode[name] = (perElectrode[name] ?? 0) + 1;
    }
  }
  return { events, faults: events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])), perElectrode, times, decoder };
}

function gapsOf(faults: readonly SourceFault[]) {
  return faults.flatMap((fault) => (fault.kind === "gap" ? [fault] : []));
}

describe("the parser of the ZMQ Interface", () => {
  it("reads every message of the capture, with the counts of an independent decoding", () => {
    expect(capture.filter(({ message }) => message.kind === "spike")).toHaveLength(judge.spikes);
    expect(capture.filter(({ message }) => message.kind === "data")).toHaveLength(64);
    expect(laidOut).toMatchObject({ samplesPerBlock: 464, sampleRateHz: 40_000, stream: "example_data" });
    expect(laidOut.channelNames).toHaveLength(16);
  });

  it("reads a TTL event with line, state and word", () => {
    expect(parseMessage(aTtl(7, 1234, 3, true))).toEqual({ ok: true, value: { kind: "ttl", messageNum: 7, stream: "example_data", sampleNum: 1234, line: 3, state: true, word: 8 } });
  });

  it("passes over what it has no use for, and counts it by its number", () => {
    expect(parseMessage([envelope("EVENT"), text({ message_num: 3, type: "event", content: { type: 5 } })])).toMatchObject({ ok: true, value: { kind: "other", messageNum: 3 } });
    expect(parseMessage([envelope("PARAM"), text({ message_num: 4, type: "parameter" })])).toMatchObject({ ok: true, value: { kind: "other", messageNum: 4 } });
  });

  it("says what is wrong with a malformed message", () => {
    const reasonOf = (parts: Parts) => {
      const result = parseMessage(parts);
      return result.ok ? "" : result.error.reason;
    };
    expect(reasonOf([envelope("DATA")])).toMatch(/envelope and a header, got 1 part/);
    expect(reasonOf([envelope("DATA"), new Uint8Array([0xff, 0xfe])])).toMatch(/JSON header/);
    expect(reasonOf([envelope("DATA"), text([1])])).toMatch(/JSON object/);
    expect(reasonOf([envelope("DATA"), text({ type: "data" })])).toMatch(/message_num/);
    expect(reasonOf([envelope("EVENT"), text({ message_num: 1, type: "spike", spike: { stream: "a", electrode: "b" } })])).toMatch(/sample_num/);
    const [head, json] = aData(1, 0);
    if (head === undefined || json === undefined) throw new Error("expected two parts");
    expect(reasonOf([head, json, new Uint8Array(3)])).toMatch(/1856 bytes.*got 3/);
  });

  it("never throws, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (parts) => {
        expect(typeof parseMessage(parts).ok).toBe("boolean");
      }),
    );
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(typeof parseMessage([envelope("EVENT"), new TextEncoder().encode(json)]).ok).toBe("boolean");
      }),
    );
  });

  it("refuses a file that is no capture, naming the byte", () => {
    expect(parseCapture(new Uint8Array([1, 2, 3]))).toMatchObject({ ok: false, error: { reason: expect.stringMatching(/byte 0/) } });
    expect(parseCapture(bytes.subarray(0, 5000))).toMatchObject({ ok: false, error: { reason: expect.stringMatching(/byte \d+, got/) } });
  });
});

describe("the decoder of the ZMQ Interface", () => {
  it("delivers every spike of the recorded program, in time order, with no false alarm", () => {
    const whole = decode(wholeTraffic);
    expect(whole.perElectrode).toEqual(judge.perElectrode);
    expect(gapsOf(whole.faults)).toEqual([]);
    // The recorded file was played in a loop: its sample numbers began again twice.
    expect(whole.faults.map((fault) => fault.kind)).toEqual(["clockJump", "clockJump"]);
    expect(whole.times).toEqual([...whole.times].sort((a, b) => a - b));
    expect(whole.decoder.status()).toMatchObject({ spikes: judge.spikes, messages: 20_137, messagesLost: 0, messagesMalformed: 0, lateSpikes: 0, sampleRateHz: 40_000 });
    // Twelve seconds by the program's own clock, whatever its sample numbers did.
    expect((whole.times.at(-1) ?? 0) / 1e9).toBeGreaterThan(11.9);
    expect((whole.times.at(-1) ?? 0) / 1e9).toBeLessThan(12.1);
  });

  it("delivers every spike of the capture as it is, and finds that only continuous data are missing from it", () => {
    const bare = decode(asCaptured, {}, 3.35);
    expect(bare.perElectrode).toEqual(judge.perElectrode);
    const gaps = gapsOf(bare.faults);
    expect(gaps.reduce((sum, gap) => sum + gap.lostPackets, 0)).toBe(judge.missingMessages);
    expect(gaps.every((gap) => gap.continuousOnly === true)).toBe(true);
    // Told once a second, not a thousand times.
    expect(gaps.length).toBeLessThan(16);
    expect(bare.decoder.status().messagesLost).toBe(judge.missingMessages);
    expect(bare.times).toEqual([...bare.times].sort((a, b) => a - b));
    expect(bare.faults.filter((fault) => fault.kind === "clockJump")).toHaveLength(2);
  });

  it("keeps its word: no spike comes after a watermark that has passed it", () => {
    for (const messages of [wholeTraffic, asCaptured]) {
      const { events, decoder } = decode(messages);
      let watermark = -Infinity;
      for (const event of events) {
        if (event.kind !== "spikes") continue;
        for (const time of event.batch.timesRigNs) {
          expect(time).toBeGreaterThanOrEqual(watermark);
          expect(time).toBeLessThan(event.batch.watermarkRigNs);
        }
        expect(event.batch.watermarkRigNs).toBeGreaterThan(watermark);
        watermark = event.batch.watermarkRigNs;
      }
      expect(decoder.status().lateSpikes).toBe(0);
    }
  });

  it("counts each lost message, and knows a lost block of data from a lost spike", () => {
    fc.assert(
      fc.property(fc.integer({ min: 40, max: 1500 }), (place) => {
        const lost = wholeTraffic[place];
        if (lost === undefined) return;
        const isSpike = laidOut.messages[place]?.captured?.message.kind === "spike";
        const { faults, decoder, perElectrode } = decode(wholeTraffic.slice(0, 1600).filter((_, index) => index !== place));
        const gaps = gapsOf(faults);
        expect(gaps).toHaveLength(1);
        expect(gaps[0]?.lostPackets).toBe(1);
        if (isSpike) expect(gaps[0]?.continuousOnly).toBeUndefined();
        expect(decoder.status().messagesLost).toBe(1);
        const spikes = Object.values(perElectrode).reduce((sum, count) => sum + count, 0);
        const all = laidOut.messages.slice(0, 1600).filter((one) => one.captured?.message.kind === "spike").length;
        expect(spikes).toBe(all - (isSpike ? 1 : 0));
      }),
      { numRuns: 40 },
    );
  });

  it("says where the stream goes on after a loss, not before what was complete", () => {
    const messages = [aData(1, 0), aData(2, 464), aSpike(3, 1000), aData(4, 928), aSpike(9, 3000), aData(10, 2784)];
    const { events, faults } = decode(messages, { holdBackMs: 1 });
    expect(gapsOf(faults)).toEqual([{ kind: "gap", lostPackets: 4, stream: "example_data", atRigNs: 75e6 }]);
    const gapPlace = events.findIndex((event) => event.kind === "fault" && event.fault.kind === "gap");
    const before = events.slice(0, gapPlace).flatMap((event) => (event.kind === "spikes" ? [...event.batch.timesRigNs] : []));
    expect(before).toEqual([25e6]);
  });

  it("takes a message number that goes back for a restart of the program", () => {
    const messages = [aData(500, 40_000), aSpike(501, 40_500), aData(502, 40_464), aData(1, 0), aSpike(2, 500), aData(3, 464), aData(4, 928)];
    const { faults, times, decoder } = decode(messages, { holdBackMs: 1 });
    expect(faults.map((fault) => fault.kind)).toEqual(["reconnected", "clockJump"]);
    expect(decoder.status().messagesLost).toBe(0);
    expect(times).toHaveLength(2);
    // Rig time goes on.
    expect(times[1] ?? 0).toBeGreaterThan(times[0] ?? Infinity);
  });

  it("goes on without a seam where a recorded file begins again", () => {
    const messages = [aData(1, 99_072), aSpike(2, 99_600), aData(3, 99_536), aSpike(4, 10), aData(5, 0), aSpike(6, 500), aData(7, 464), aData(8, 928)];
    const { faults, times } = decode(messages, { holdBackMs: 1 });
    expect(faults).toEqual([{ kind: "clockJump", jumpMs: -2500, atRigNs: 2.5e9 }]);
    expect(times).toEqual([99_600 * 25_000, 2.5e9 + 10 * 25_000, 2.5e9 + 500 * 25_000]);
  });

  it("reports samples that the program skipped, with no message lost", () => {
    const { faults } = decode([aData(1, 0), aData(2, 464), aData(3, 4928), aData(4, 5392)]);
    expect(faults).toEqual([{ kind: "clockJump", jumpMs: 100, atRigNs: 4928 * 25_000 }]);
  });

  it("turns TTL events into marks, before the batch whose watermark passes them", () => {
    const { events } = decode([aData(1, 0), aTtl(2, 600, 2, true), aSpike(3, 590), aData(4, 464), aTtl(5, 1000, 2, false), aData(6, 928), aData(7, 1392)], { holdBackMs: 1 });
    const kinds = events.map((event) => event.kind);
    expect(events.flatMap((event) => (event.kind === "mark" ? [event.mark] : []))).toEqual([
      { kind: "ttl", rigNs: 15e6, line: 2, state: true, word: 4 },
      { kind: "ttl", rigNs: 25e6, line: 2, state: false, word: 0 },
    ]);
    const place = kinds.indexOf("mark");
    const next = events[place + 1];
    expect(next?.kind === "spikes" && next.batch.watermarkRigNs > 15e6).toBe(true);
    const previous = events.slice(0, place).findLast((event) => event.kind === "spikes");
    expect(previous?.kind === "spikes" && previous.batch.watermarkRigNs <= 15e6).toBe(true);
  });

  it("lists electrodes as they appear and keeps their places; those asked for come first", () => {
    const { events, decoder } = decode([aData(1, 0), aSpike(2, 480, "SE 9"), aSpike(3, 500, "SE 2"), aData(4, 464), aSpike(5, 1000, "V4 1", { sorted_id: 3 }), aSpike(6, 1001, "SE 9", { source_node: 222 }), aData(7, 928), aData(8, 1392)], {
      electrodes: ["SE 2"],
      areas: [{ prefix: "V4", area: "V4" }],
    });
    expect(decoder.channels().map((channel) => [channel.index, channel.name, channel.area])).toEqual([
      [0, "SE 2", ""],
      [1, "SE 9", ""],
      [2, "V4 1", "V4"],
      [3, "SE 9 (example_data, node 222)", ""],
    ]);
    let known = 0;
    for (const event of events) {
      if (event.kind === "channels") known = event.channels.length;
      if (event.kind === "spikes") for (const channel of event.batch.channels) expect(channel).toBeLessThan(known);
    }
    const units = events.flatMap((event) => (event.kind === "spikes" ? [...event.batch.units] : []));
    expect(units).toEqual([0, 0, 3, 0]);
  });

  it("counts malformed messages and goes on", () => {
    const { faults, perElectrode, decoder } = decode([aData(1, 0), aSpike(2, 500), [envelope("EVENT"), text("nonsense")], aSpike(3, 520), aData(4, 464), aData(5, 928)]);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ kind: "malformed", packets: 1 });
    expect(perElectrode).toEqual({ "SE 1": 2 });
    expect(decoder.status().messagesMalformed).toBe(1);
  });

  it("waits for a sample rate, then takes the one of the options or says what it assumes", () => {
    const events: SourceEvent[] = [];
    const decoder = createOpenEphysDecoder({ sampleRateHz: null, holdBackMs: 1, blockSamplesMax: 1024, electrodes: [], areas: [] }, (event) => events.push(event));
    for (let i = 0; i < 10; i++) decoder.take(aSpike(i + 1, 3000 * (i + 1)), hostTimeNs(i * 100 * nsPerMs));
    expect(events).toEqual([]);
    decoder.settle(hostTimeNs(2000 * nsPerMs));
    expect(events[0]).toMatchObject({ kind: "fault", fault: { kind: "malformed", packets: 0, reason: expect.stringMatching(/30000 Hz is assumed/) } });
    decoder.finish(hostTimeNs(2100 * nsPerMs));
    expect(events.flatMap((event) => (event.kind === "spikes" ? [...event.batch.timesRigNs] : []))[0]).toBe(100e6);
    const told = decode([aSpike(1, 3000), aSpike(2, 9000)], { sampleRateHz: 20_000 });
    expect(told.times).toEqual([150e6, 450e6]);
    expect(told.faults).toEqual([]);
  });

  it("is not held up by a stream that has stopped", () => {
    const messages = [aData(1, 0, 0, 464, "quiet"), ...Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? aSpike(i + 2, 464 * i + 100) : aData(i + 2, 464 * i)))];
    const { times } = decode(messages, {}, 20);
    expect(times).toHaveLength(100);
  });

  it("gives the same spikes whether messages come one at a time or in bursts", () => {
    const steady = decode(wholeTraffic.slice(0, 4000), {}, 0.6);
    const burst = decode(wholeTraffic.slice(0, 4000), {}, 0);
    expect(burst.times).toEqual(steady.times);
    expect(burst.perElectrode).toEqual(steady.perElectrode);
  });
});
