// Intan RHX: its recorded bytes, its time stamps' tricks, and spikes found in waveforms.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { openIntanControl } from "../../../src/acquisition/drivers/intan/control.ts";
import { createThresholdDetector } from "../../../src/acquisition/drivers/intan/detector.ts";
import { createIntanDecoder } from "../../../src/acquisition/drivers/intan/decoder.ts";
import { intanOptionsSchema } from "../../../src/acquisition/drivers/intan/options.ts";
import { createSpikeParser, createWaveformParser, parseReturn } from "../../../src/acquisition/drivers/intan/protocol.ts";
import { createRng } from "../../../src/shared/rng.ts";
import type { Result } from "../../../src/shared/result.ts";
import { hostTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/acquisition/${name}`, import.meta.url));
const judge: {
  readonly intanSpikes: { readonly records: number; readonly perChannel: Record<string, number>; readonly perUnit: Record<string, number>; readonly firstTimestamp: number; readonly lastTimestamp: number };
  readonly intanWaveform: { readonly blocks: number; readonly bytesLeft: number; readonly firstTimestamp: number; readonly lastTimestamp: number; readonly sumOfSamples: number };
} = JSON.parse(readFileSync(new URL("../../fixtures/acquisition/decoded.json", import.meta.url), "utf8"));

function aDecoder(options: Readonly<Record<string, unknown>> = {}, writeBlocks = 1) {
  const events: SourceEvent[] = [];
  const decoder = createIntanDecoder({ ...intanOptionsSchema.parse({ holdBackMs: 0, ...options }), rateHz: 20_000, writeBlocks }, (event) => events.push(event));
  return {
    decoder,
    events,
    faults: () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
    marks: () => events.flatMap((event) => (event.kind === "mark" ? [event.mark] : [])),
    spikes() {
      const channels = decoder.stream.channels();
      return events.flatMap((event) => (event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (timeRigNs, i) => ({ timeRigNs, channel: channels[event.batch.channels[i] ?? -1]?.name ?? "?", unit: event.batch.units[i] ?? -1 })) : []));
    },
    watermark: () => events.reduce((newest, event) => (event.kind === "spikes" ? event.batch.watermarkRigNs : newest), 0),
  };
}

/** One block whose frames have these words. */
function aBlock(firstTick: number, words: (frame: number) => readonly number[]): Uint8Array {
  const count = words(0).length;
  const bytes = new Uint8Array(4 + 128 * (4 + 2 * count));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x2ef07a08, true);
  for (let frame = 0; frame < 128; frame++) {
    const at = 4 + frame * (4 + 2 * count);
    view.setUint32(at, (firstTick + frame) >>> 0, true);
    words(frame).forEach((word, i) => view.setUint16(at + 4 + 2 * i, word, true));
  }
  return bytes;
}

function aSpike(channel: string, tick: number, id: number): Uint8Array {
  const bytes = new Uint8Array(14);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x3ae2710f, true);
  bytes.set(new TextEncoder().encode(channel), 4);
  view.setUint32(9, tick >>> 0, true);
  view.setUint8(13, id);
  return bytes;
}

const at = (ms: number) => hostTimeNs(ms * 1e6);

describe("what RHX 3.4.0 sent", () => {
  it("is decoded to every spike of the recording, however it is cut", () => {
    const bytes = fixture("intan-rhx-3.4.0-spikes.bin");
    for (const size of [1, 13, 14, 1000, bytes.length]) {
      const rig = aDecoder({ waveformPort: null, commandPort: null });
      for (let from = 0; from < bytes.length; from += size) {
        rig.decoder.spikes(bytes.subarray(from, from + size), at(from));
        rig.decoder.settle(at(from));
      }
      rig.decoder.finish(at(1e6));
      const counts: Record<string, number> = {};
      for (const spike of rig.spikes()) counts[spike.channel] = (counts[spike.channel] ?? 0) + 1;
      expect(counts).toEqual(judge.intanSpikes.perChannel);
      expect(rig.spikes().every((spike) => spike.unit === 1)).toBe(true);
      expect(rig.spikes()[0]?.timeRigNs).toBe((judge.intanSpikes.firstTimestamp * 1e9) / 20_000);
      expect(rig.spikes().at(-1)?.timeRigNs).toBe((judge.intanSpikes.lastTimestamp * 1e9) / 20_000);
      expect(rig.faults()).toEqual([]);
    }
  });

  it("is decoded to every block of the waveforms, whose size the stream itself tells", () => {
    const bytes = fixture("intan-rhx-3.4.0-waveform-a000-wide-20kHz.bin");
    for (const [size, expectedWords] of [[777, 1], [5000, 7], [bytes.length, 0]] as const) {
      const parser = createWaveformParser({ expectedWords });
      const blocks = [];
      for (let from = 0; from < bytes.length; from += size) {
        for (const parsed of parser.take(bytes.subarray(from, from + size))) {
          if (parsed.kind !== "item") throw new Error(parsed.reason);
          blocks.push(parsed.item);
        }
      }
      expect(blocks).toHaveLength(judge.intanWaveform.blocks);
      expect(parser.bytesLeft).toBe(judge.intanWaveform.bytesLeft);
      expect(blocks[0]?.firstTick).toBe(judge.intanWaveform.firstTimestamp);
      expect((blocks.at(-1)?.firstTick ?? 0) + 127).toBe(judge.intanWaveform.lastTimestamp);
      expect(blocks.every((block) => block.isContinuous && block.wordsPerFrame === 1)).toBe(true);
      expect(blocks.reduce((sum, block) => sum + block.words.reduce((a, b) => a + b, 0), 0)).toBe(judge.intanWaveform.sumOfSamples);
    }
  });

  it("gives spikes by its own threshold where there are only waveforms, without a gap", () => {
    const rig = aDecoder({ channels: ["A-000"], band: "wide", spikePort: null, digitalIn: false });
    rig.decoder.waveforms(fixture("intan-rhx-3.4.0-waveform-a000-wide-20kHz.bin"), at(0));
    rig.decoder.settle(at(1));
    expect(rig.faults()).toEqual([]);
    expect(rig.watermark()).toBe((115_968 * 1e9) / 20_000);
    // The same by scipy: lfilter(butter(2, 250 Hz high-pass)), crossings below -4 median(|y|) / 0.6745 of the whole, 1 ms refractory.
    expect(rig.spikes().map((spike) => spike.timeRigNs / 5e4)).toEqual([45_683, 63_636, 89_732, 106_774]);
    expect(rig.decoder.thresholdsMicrovolts()?.[0]).toBeCloseTo(-20.07, 0);
  });
});

describe("the Intan decoder", () => {
  it("vouches for a time only once the write after it has begun", () => {
    const rig = aDecoder();
    rig.decoder.waveforms(aBlock(1280, () => [0]), at(0));
    rig.decoder.settle(at(0));
    expect(rig.watermark()).toBe((1280 * 1e9) / 20_000);
    rig.decoder.spikes(aSpike("A-003", 1300, 2), at(1));
    rig.decoder.waveforms(aBlock(1408, () => [0]), at(6));
    rig.decoder.settle(at(6));
    expect(rig.spikes()).toEqual([{ timeRigNs: (1300 * 1e9) / 20_000, channel: "A-003", unit: 2 }]);
    const slow = aDecoder({}, 10);
    slow.decoder.waveforms(aBlock(12_800, () => [0]), at(0));
    slow.decoder.settle(at(0));
    expect(slow.watermark()).toBe(((12_800 - 9 * 128) * 1e9) / 20_000);
  });

  it("waits longer once a spike came behind a block that was sent after it, but not for ever", () => {
    const rig = aDecoder();
    rig.decoder.waveforms(new Uint8Array([...aBlock(0, () => [0]), ...aBlock(128, () => [0]), ...aBlock(256, () => [0])]), at(0));
    rig.decoder.settle(at(0));
    expect(rig.watermark()).toBe((256 * 1e9) / 20_000);
    // 5 ms too late: delivered all the same, and those after it are waited for.
    rig.decoder.spikes(aSpike("A-000", 156, 1), at(1));
    for (let block = 3; block < 9; block++) rig.decoder.waveforms(aBlock(block * 128, () => [0]), at(block * 6));
    rig.decoder.settle(at(60));
    expect(rig.watermark()).toBe((8 * 128 * 1e9) / 20_000 - 5e6);
    expect(rig.spikes().map((spike) => spike.timeRigNs)).toEqual([(156 * 1e9) / 20_000]);
    rig.decoder.spikes(aSpike("A-000", 0, 1), at(61));
    for (let block = 9; block < 60; block++) rig.decoder.waveforms(aBlock(block * 128, () => [0]), at(block * 6));
    rig.decoder.settle(at(400));
    expect(rig.watermark()).toBeGreaterThanOrEqual((59 * 128 * 1e9) / 20_000 - 150e6);
  });

  it("makes marks of the digital inputs, each line for itself", () => {
    const rig = aDecoder({ photodiodeLine: 1 });
    rig.decoder.waveforms(aBlock(0, (frame) => [frame < 5 ? 0b100 : frame < 100 ? 0b001 : 0b000]), at(0));
    rig.decoder.waveforms(aBlock(128, () => [0]), at(6));
    rig.decoder.settle(at(6));
    expect(rig.marks().map(({ kind, line, state, word }) => [kind, line, state, word])).toEqual([["photodiode", 1, true, 1], ["ttl", 3, false, 1], ["photodiode", 1, false, 0]]);
    expect(rig.marks()[0]?.rigNs).toBe((5 * 1e9) / 20_000);
  });

  it("counts the blocks that are missing, and goes on", () => {
    const rig = aDecoder();
    rig.decoder.waveforms(aBlock(0, () => [0]), at(0));
    rig.decoder.waveforms(aBlock(128 * 4, () => [0]), at(26));
    expect(rig.faults()).toEqual([{ kind: "gap", lostPackets: 3, stream: "waveform blocks", atRigNs: (512 * 1e9) / 20_000 }]);
  });

  it("keeps rig time going when RHX is stopped and started, whichever port says so first", () => {
    const rig = aDecoder();
    rig.decoder.waveforms(aBlock(200_000, () => [0]), at(0));
    rig.decoder.spikes(aSpike("A-000", 200_010, 1), at(1));
    rig.decoder.spikes(aSpike("A-001", 20, 1), at(3000));
    rig.decoder.waveforms(aBlock(0, () => [0]), at(3001));
    rig.decoder.waveforms(aBlock(128, () => [0]), at(3007));
    rig.decoder.settle(at(3007));
    expect(rig.faults().map((fault) => fault.kind)).toEqual(["clockJump"]);
    const times = rig.spikes().map((spike) => [spike.channel, Math.round(spike.timeRigNs / 1e6)]);
    expect(times).toEqual([["A-000", 10_001], ["A-001", 13_002]]);
  });

  it("goes on over the end of the 32-bit counter", () => {
    const rig = aDecoder();
    rig.decoder.waveforms(aBlock(2 ** 32 - 256, () => [0]), at(0));
    rig.decoder.waveforms(aBlock(2 ** 32 - 128, () => [0]), at(6));
    rig.decoder.spikes(aSpike("A-000", 10, 1), at(7));
    rig.decoder.waveforms(aBlock(0, () => [0]), at(12));
    rig.decoder.waveforms(aBlock(128, () => [0]), at(19));
    rig.decoder.settle(at(19));
    expect(rig.faults()).toEqual([]);
    expect(rig.spikes()[0]?.timeRigNs).toBe(Math.round(((2 ** 32 + 10) * 1e9) / 20_000));
  });

  it("finds its place again behind rubbish, and says that the selection is another one", () => {
    const rig = aDecoder();
    const rubbish = new Uint8Array(61).fill(0xaa);
    rig.decoder.waveforms(new Uint8Array([...aBlock(0, () => [0]), ...rubbish, ...aBlock(128, () => [0]), ...aBlock(256, () => [0])]), at(0));
    rig.decoder.settle(at(0));
    expect(rig.faults().map((fault) => fault.kind)).toEqual(["malformed"]);
    expect(rig.watermark()).toBe((256 * 1e9) / 20_000);
    const other = aDecoder();
    other.decoder.waveforms(new Uint8Array([...aBlock(0, () => [0, 0, 0]), ...aBlock(128, () => [0, 0, 0])]), at(0));
    expect(other.faults()).toMatchObject([{ kind: "malformed", packets: 0, reason: expect.stringContaining("3") }]);
    const parser = createSpikeParser();
    const parsed = parser.take(new Uint8Array([1, 2, 3, ...aSpike("B-127", 4, 64)]));
    expect(parsed.map((one) => one.kind)).toEqual(["malformed", "item"]);
  });

  it("reads RHX's answers without an end mark", () => {
    expect(parseReturn("Return: SampleRateHertz 20000", "samplerateHertz")).toBe("20000");
    expect(parseReturn("Return: RunMode Stop;\n", "RunMode")).toBe("Stop");
    expect(parseReturn("Return: Run", "RunMode")).toBeNull();
    expect(parseReturn("Unrecognized parameter", "RunMode")).toBeNull();
    expect(parseReturn("Return: RunMode StopReturn: SampleRateHertz 20000", "samplerateHertz")).toBe("20000");
  });

  it("finds the value in every answer that RHX 3.4.0 gave, and none in its complaints", () => {
    const asked: readonly (readonly [string, string])[] = JSON.parse(fixture("intan-rhx-3.4.0-commands.json").toString("utf8"));
    const values = Object.fromEntries(asked.filter(([command]) => command.startsWith("get ")).map(([command, reply]) => [command.slice(4, -1), parseReturn(reply, command.slice(4, -1))]));
    expect(values).toMatchObject({
      RunMode: "Stop", SampleRateHertz: "20000", TCPNumberDataBlocksPerWrite: "1", "A-000.TCPDataOutputEnabled": "False", "A-000.TCPDataOutputEnabledSpike": "True", "DIGITAL-IN-01.TCPDataOutputEnabled": "False",
      "DIGITAL-IN-1.TCPDataOutputEnabled": null, TCPSpikeDataOutputConnectionStatus: "Disconnected", TCPWaveformDataOutputConnectionStatus: "Pending",
    });
    expect(asked.filter(([, reply]) => reply.startsWith("Return: TCPDataOutputEnabled"))).not.toEqual([]);
  });
});

function had<T>(result: Result<T, string>): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** RHX's command port: one client at a time, and shut for good once that one is gone. */
async function anRhx(): Promise<{ readonly port: number; readonly heard: string[]; hangUp(): void }> {
  const heard: string[] = [];
  const clients: Socket[] = [];
  const server = createServer((socket) => {
    clients.push(socket);
    server.close();
    socket.on("data", (piece) => {
      const command = piece.toString("latin1");
      heard.push(command);
      const [verb = "", parameter = ""] = command.replace(";", "").split(" ");
      if (verb === "get") socket.write(`Return: ${parameter.slice(parameter.lastIndexOf(".") + 1)} ${parameter.startsWith("TCP") ? (heard.filter((one) => one.startsWith("execute")).length < 3 ? "Connected" : "Pending") : "true"}`);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, heard, hangUp: () => clients.forEach((client) => client.destroy()) };
}

describe("RHX's remote control", () => {
  it("is kept from one use to the next, as RHX hears nobody else once it is left", async () => {
    const rhx = await anRhx();
    const world = { host: "127.0.0.1", port: rhx.port, timeoutMs: 5000, onEnd: () => undefined };
    const check = had(await openIntanControl(world));
    expect(await check.set("A-003.TCPDataOutputEnabledSpike", "true")).toEqual({ ok: true, value: undefined });
    expect(await openIntanControl({ ...world, timeoutMs: 50 })).toEqual({ ok: false, error: "another rig check or session of Evoked uses it already" });
    // One that comes while it is in use has it after that.
    const waiting = openIntanControl(world);
    check.close();
    const session = had(await waiting);
    expect(await session.get("RunMode")).toEqual({ ok: true, value: "true" });
    session.close();
    rhx.hangUp();
    let again = await openIntanControl(world);
    for (let tries = 0; again.ok && tries < 100; tries++) {
      again.value.close();
      await new Promise((resolve) => setTimeout(resolve, 20));
      again = await openIntanControl(world);
    }
    expect(again).toEqual({ ok: false, error: "the connection was refused" });
  });

  it("waits until RHX listens at a data port that it has not seen left yet", async () => {
    const rhx = await anRhx();
    const control = had(await openIntanControl({ host: "127.0.0.1", port: rhx.port, timeoutMs: 5000, onEnd: () => undefined }));
    expect(await control.listen("Waveform")).toEqual({ ok: true, value: undefined });
    expect(rhx.heard.filter((one) => one === "execute ConnectTCPWaveformDataOutput;")).toHaveLength(3);
    control.close();
    rhx.hangUp();
  });
});

describe("the threshold detector", () => {
  it("finds nearly all spikes of known places and little else, whatever the gain", () => {
    for (const gain of [0.3, 1, 20]) {
      const rng = createRng(4);
      const shape = [-40, -90, -120, -95, -60, -25, 5, 22, 28, 24, 17, 11, 6, 3];
      const samples = Float32Array.from({ length: 200_000 }, () => 10 * rng.gaussian());
      const truth: number[] = [];
      for (let tick = 20_000; tick < 199_000; tick += 300 + Math.floor(600 * rng.uniform())) {
        truth.push(tick);
        shape.forEach((value, i) => {
          samples[tick + i] = (samples[tick + i] ?? 0) + value;
        });
      }
      const found: number[] = [];
      const detector = createThresholdDetector({ channelCount: 1, sampleRateHz: 20_000, thresholdSd: 4.5, refractoryMs: 1 });
      for (let tick = 0; tick < samples.length; tick++) detector.frame([(samples[tick] ?? 0) * gain], 0, tick, (_, foundTick) => found.push(foundTick));
      const hits = truth.filter((tick) => found.some((other) => other >= tick - 1 && other <= tick + 4)).length;
      expect(hits / truth.length).toBeGreaterThan(0.98);
      expect(found.length - hits).toBeLessThan(6);
      // The threshold is the noise's, not the spikes': sd 10 by construction.
      expect((detector.thresholds()[0] ?? 0) / (-4.5 * 10 * gain)).toBeCloseTo(1, 0.5);
    }
  });
});
