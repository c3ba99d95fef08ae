// Captures of a rig's line: what was recorded decodes to what was heard, and the recordings of the real programs decode completely.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { encodeCaptureHeader, encodeCapturePiece, parseCaptureFile } from "../../../src/acquisition/capture/format.ts";
import { findPlayer } from "../../../src/acquisition/sim/index.ts";
import { startSimulator } from "../../../src/acquisition/sim/simulator.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { decodeCapture, recordCapture } from "../../../src/engine/rigTools/captures.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { findLiblsl } from "../../support/liblsl.ts";

const fixtures = join(import.meta.dirname, "..", "..", "fixtures", "acquisition");
const judge = JSON.parse(readFileSync(join(fixtures, "decoded.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "evoked-captures-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The Lab Streaming Layer needs its library to record; a capture of it decodes without.
const missing = await findLiblsl();

const perChannel = (channels: readonly { readonly name: string; readonly spikes: number }[]) => Object.fromEntries(channels.filter((c) => c.spikes > 0).map((c) => [c.name, c.spikes]));

describe("a capture", () => {
  const header = { schema: "evoked.capture", version: 1, rig: { kind: "line", options: { port: 1 } }, startedUtc: "2026-01-01T00:00:00Z", notes: "" } as const;
  const pieces = [{ arrivedHostNs: 1.5e9, lane: 0, parts: [new Uint8Array([1, 2]), new Uint8Array(0)] }, { arrivedHostNs: 2e9, lane: 1, parts: [new Uint8Array(300)] }];
  const whole = new Uint8Array([...encodeCaptureHeader(header), ...pieces.flatMap((piece) => [...encodeCapturePiece(piece)])]);

  it("reads back as it was written, and without the piece that was cut off", () => {
    expect(parseCaptureFile(whole)).toEqual({ ok: true, value: { header, pieces, bytesLeft: 0 } });
    const cut = parseCaptureFile(whole.subarray(0, whole.length - 1));
    expect(cut).toMatchObject({ ok: true, value: { pieces: [pieces[0]], bytesLeft: 313 } });
    for (const length of [0, 5, 9, 30]) expect(parseCaptureFile(whole.subarray(0, length)), String(length)).toMatchObject({ ok: false });
  });

  it.each(["intan", "line", "blackrock", "plexon-bridge", ...(missing === null ? ["lsl"] : [])])("of %s decodes to the spikes that the driver gave while it was recorded", async (as) => {
    const simulator = unwrap(await startSimulator({ clock: createRealClock(), seed: 2, encoder: null, kind: unwrap(findPlayer(as)), host: "127.0.0.1", port: 0, linkPort: 0, token: null, rigOptions: { channelsPerArray: 4 } }));
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 2500);
    const { kind, options } = simulator.rigConfig;
    const file = join(folder, `${as}.cap`);
    const recorded = unwrap(await recordCapture({ rig: { kind, options }, file, notes: "test", stop: stop.signal }));
    await simulator.stop();
    expect(recorded.spikes).toBeGreaterThan(10);
    const decoded = unwrap(await decodeCapture({ file, rig: null, lane: null, options: {} }));
    expect(decoded).toMatchObject({ rig: kind, pieces: recorded.pieces, spikes: recorded.spikes, gaps: 0, faults: {}, bytesLeft: 0 });
    expect(await recordCapture({ rig: { kind, options }, file, notes: "", stop: stop.signal })).toMatchObject({ ok: false, error: { code: "notWritable" } });
  }, 30_000);
});

describe("the recordings of the real programs", () => {
  it("decode completely, with no gap but those that are documented", async () => {
    const ephys = unwrap(await decodeCapture({ file: join(fixtures, "open-ephys-1.0.1-zmq-interface.frames"), rig: "open-ephys", lane: null, options: {} }));
    expect(perChannel(ephys.channels)).toEqual(judge.openEphysZmq.perElectrode);
    expect([ephys.lostPackets, ephys.lostContinuousOnly]).toEqual([judge.openEphysZmq.missingMessages, judge.openEphysZmq.missingMessages]);
    const intan = unwrap(await decodeCapture({ file: join(fixtures, "intan-rhx-3.4.0-spikes.bin"), rig: "intan", lane: "spikes", options: { sampleRateHz: 20_000, waveformPort: null } }));
    expect(perChannel(intan.channels)).toEqual(judge.intanSpikes.perChannel);
    expect([intan.gaps, intan.faults]).toEqual([0, {}]);
    const waves = unwrap(await decodeCapture({ file: join(fixtures, "intan-rhx-3.4.0-waveform-a000-wide-20kHz.bin"), rig: "intan", lane: "waveforms", options: { sampleRateHz: 20_000, spikePort: null, band: "wide", digitalIn: false, channels: ["A-000"] } }));
    expect(waves).toMatchObject({ packets: judge.intanWaveform.blocks, gaps: 0, faults: {} });
  });

  it("and that of the simulator over the Lab Streaming Layer, whose samples its own library took from the network", async () => {
    const lsl = unwrap(await decodeCapture({ file: join(fixtures, "lsl-simulator.cap"), rig: null, lane: null, options: {} }));
    expect(lsl).toMatchObject({ rig: "lsl", pieces: judge.lsl.pieces, packets: judge.lsl.samples, marks: judge.lsl.words.length, gaps: 0, faults: {}, bytesLeft: 0 });
    expect(perChannel(lsl.channels)).toEqual(judge.lsl.perChannel);
  });

  it("are refused as what they are not", async () => {
    const file = join(fixtures, "intan-rhx-3.4.0-spikes.bin");
    expect(await decodeCapture({ file, rig: null, lane: null, options: {} })).toMatchObject({ ok: false, error: { code: "notACapture", message: expect.stringContaining("--rig") } });
    expect(await decodeCapture({ file, rig: "open-ephys", lane: null, options: {} })).toMatchObject({ ok: false, error: { code: "notACapture" } });
    expect(await decodeCapture({ file, rig: "intan", lane: "sound", options: {} })).toMatchObject({ ok: false, error: { message: expect.stringContaining("waveforms, spikes, settings") } });
    expect(await decodeCapture({ file, rig: "synthetic", lane: null, options: {} })).toMatchObject({ ok: false });
    expect(await decodeCapture({ file: "/nowhere", rig: null, lane: null, options: {} })).toMatchObject({ ok: false, error: { code: "fileUnreadable" } });
  });
});
