// The Plexon source over stand-ins with the binary interfaces of the two client libraries, compiled here; and the same through a bridge.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { loadAddon } from "../../../src/acquisition/native/addon.ts";
import { bridgeOptionsSchema } from "../../../src/acquisition/drivers/plexon/bridgeOptions.ts";
import { createBridgePublisher } from "../../../src/acquisition/drivers/plexon/bridgePublisher.ts";
import { createBridgeSource } from "../../../src/acquisition/drivers/plexon/bridgeSource.ts";
import { plexonOptionsSchema } from "../../../src/acquisition/drivers/plexon/options.ts";
import { createPlexonSource } from "../../../src/acquisition/drivers/plexon/source.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import type { SpikeSource } from "../../../src/shared/ports.ts";
import { unwrap } from "../../../src/shared/result.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";
import { passReal } from "../../contract/passReal.ts";
import { testSpikeSource } from "../../contract/acquisitionSuite.ts";

const addon = loadAddon();
const hasCompiler = spawnSync("cc", ["--version"]).status === 0;
const reason = !addon.ok ? addon.error.message : hasCompiler ? null : "no C compiler here to build the stand-in library";
const folder = mkdtempSync(join(tmpdir(), "evoked-plexon-"));
const library = join(folder, "libstandin.so");
const opxLibrary = join(folder, "libstandin-opx.so");
const withoutWaves = join(folder, "libstandin-old.so");
if (reason === null) {
  const source = join(import.meta.dirname, "..", "..", "support", "plexon", "standIn.c");
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source]);
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-DWITHOUT_WAVES", "-o", withoutWaves, source]);
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", opxLibrary, join(source, "..", "standInOpx.c")]);
}
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  for (const name of ["DROP", "RESTART", "STOP", "REFUSE", "FAIL", "40KHZ"]) setStandIn(name, false);
});

/** The stand-in reads its environment with getenv: a process-wide setting, which Node's process.env sets too. */
function setStandIn(name: string, on: boolean): void {
  if (on) process.env[`PLEXON_STANDIN_${name}`] = "1";
  else delete process.env[`PLEXON_STANDIN_${name}`];
}

interface Heard {
  readonly source: SpikeSource;
  readonly events: SourceEvent[];
  spikes(): readonly { readonly timeNs: number; readonly channel: number; readonly unit: number }[];
  kinds(): readonly string[];
}

async function listen(source: SpikeSource): Promise<Heard> {
  const events: SourceEvent[] = [];
  unwrap(await source.start((event) => events.push(event)));
  closing.push(() => source.stop());
  return {
    source,
    events,
    spikes: () => events.flatMap((event) => (event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (timeNs, i) => ({ timeNs, channel: event.batch.channels[i] ?? -1, unit: event.batch.units[i] ?? -1 })) : [])),
    kinds: () => events.flatMap((event) => (event.kind === "fault" ? [event.fault.kind] : [])),
  };
}

function aPlexon(options: Readonly<Record<string, unknown>> = {}): SpikeSource {
  return createPlexonSource({ clock: createRealClock(), options: plexonOptionsSchema.parse({ library, channels: 16, staleMs: 3000, ...options }) });
}

describe.skipIf(reason !== null)(`the Plexon source over the stand-in library${reason === null ? "" : ` (skipped: ${reason})`}`, () => {
  testSpikeSource({
    name: "Plexon",
    make: async () => {
      const source = aPlexon();
      return { source, clock: createRealClock(), pass: passReal, dispose: () => source.stop() };
    },
    makeLossy: async () => {
      setStandIn("DROP", true);
      const source = aPlexon();
      return { source, clock: createRealClock(), pass: passReal, dispose: () => source.stop(), lost: 5 };
    },
    makeUnreachable: async () => {
      const source = aPlexon({ library: "/nowhere/PlexClient.dll" });
      return { source, clock: createRealClock(), pass: passReal, dispose: () => source.stop() };
    },
  });

  it.each([library, withoutWaves])("receives every spike, with 40-bit times, units and channels as they are (%#)", async (file) => {
    const heard = await listen(aPlexon({ library: file }));
    await passReal(() => heard.spikes().length >= 500);
    const spikes = heard.spikes();
    for (const [i, spike] of spikes.entries()) {
      expect(spike).toEqual({ timeNs: (0x1_ffff_f000 + (i + 1) * 40) * 25_000, channel: i % 16, unit: i % 3 });
    }
    expect(heard.kinds()).toEqual([]);
    expect(heard.source.channels()[0]?.name).toBe("SPK001");
  });

  it("makes marks of strobed words and events", async () => {
    const heard = await listen(aPlexon({ photodiodeEvent: 2 }));
    await passReal(() => heard.events.filter((event) => event.kind === "mark").length >= 4);
    const marks = heard.events.flatMap((event) => (event.kind === "mark" ? [event.mark] : []));
    expect(marks[0]).toMatchObject({ kind: "photodiode", line: 0, state: true, word: null });
    expect(marks[1]).toMatchObject({ kind: "strobe", word: 1 });
    expect(marks[3]).toMatchObject({ kind: "strobe", word: 2 });
  });

  it("goes on when the server's clock begins again, and says when the recording is stopped and started", async () => {
    setStandIn("RESTART", true);
    setStandIn("STOP", true);
    const heard = await listen(aPlexon());
    await passReal(() => heard.spikes().length >= 600);
    expect(heard.kinds()).toEqual(["lost", "reconnected", "clockJump"]);
    const times = heard.spikes().map((spike) => spike.timeNs);
    expect(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0))).toBe(true);
  });

  it("says what to do where the server refuses", async () => {
    setStandIn("REFUSE", true);
    expect(await aPlexon().start(() => undefined)).toMatchObject({ ok: false, error: { code: "noServer", message: expect.stringContaining("refused") } });
  });

  it.each([["1 MHz", false, 1], ["40 kHz", true, 25]])("hears the newer library with its clock of %s as it hears the older, and knows it without being told", async (_, is40kHz, tickUs) => {
    setStandIn("40KHZ", is40kHz);
    const heard = await listen(aPlexon({ library: opxLibrary, photodiodeEvent: 2 }));
    await passReal(() => heard.spikes().length >= 500);
    for (const [i, spike] of heard.spikes().entries()) {
      // Times are whole ticks: at 40 kHz those nearest to the stand-in's.
      const us = 0x1_ffff_f000 + (i + 1) * 1000;
      expect(spike).toEqual({ timeNs: Math.round(us / tickUs) * tickUs * 1000, channel: i % 16, unit: i % 3 });
    }
    expect(heard.kinds()).toEqual([]);
    expect(heard.source.status().address).toBe(`${opxLibrary} (OPXClient)`);
    const marks = heard.events.flatMap((event) => (event.kind === "mark" ? [event.mark] : []));
    expect(marks.slice(0, 2)).toMatchObject([{ kind: "photodiode", line: 0 }, { kind: "strobe", word: 0x8001 }]);
  });

  it("goes on with the newer library when its clock begins again, the recording stops and starts, and an answer is an error", async () => {
    for (const name of ["RESTART", "STOP", "FAIL"]) setStandIn(name, true);
    const heard = await listen(aPlexon({ library: opxLibrary, client: "opx" }));
    await passReal(() => heard.spikes().length >= 600);
    // Errors are read when the counts are: before or after what the waves of spikes tell.
    expect(heard.kinds().filter((kind) => kind !== "malformed")).toEqual(["lost", "reconnected", "clockJump"]);
    expect(heard.kinds().filter((kind) => kind === "malformed")).toHaveLength(1);
    expect(heard.events.find((event) => event.kind === "fault" && event.fault.kind === "malformed")).toMatchObject({ fault: { reason: expect.stringContaining("error -255") } });
    const times = heard.spikes().map((spike) => spike.timeNs);
    expect(times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0))).toBe(true);
    expect(heard.source.status().malformedPackets).toBe(1);
  });

  it("takes no library for the other, and says of each why it cannot be used", async () => {
    expect(await aPlexon({ library: opxLibrary, client: "plex" }).start(() => undefined)).toMatchObject({ ok: false, error: { code: "noServer", message: expect.stringContaining("lacks a function") } });
    expect(await aPlexon({ client: "opx" , library: withoutWaves }).start(() => undefined)).toMatchObject({ ok: false, error: { message: expect.stringContaining("lacks a function") } });
    expect(await aPlexon({ library: null }).start(() => undefined)).toMatchObject({ ok: false, error: { message: expect.stringMatching(/OPXClient64\.dll.*OPXClient\.dll.*PlexClient\.dll/) } });
    setStandIn("REFUSE", true);
    expect(await aPlexon({ library: opxLibrary }).start(() => undefined)).toMatchObject({ ok: false, error: { message: expect.stringContaining("error -11") } });
  });

  it("comes through the bridge as it is", async () => {
    const direct = await listen(aPlexon());
    const publisher = createBridgePublisher({ host: "127.0.0.1", port: 0, source: "Plexon" });
    unwrap(await publisher.open());
    closing.push(() => publisher.close());
    // The bridge begins with what the source said first.
    for (const event of direct.events) publisher.take(event);
    direct.events.length = 0;
    const plexon = direct.source;
    await plexon.stop();
    unwrap(await plexon.start((event) => {
      direct.events.push(event);
      publisher.take(event);
    }));
    const far = await listen(createBridgeSource({ clock: createRealClock(), options: bridgeOptionsSchema.parse({ host: "127.0.0.1", port: publisher.port(), localAddress: "127.0.0.1" }) }));
    await passReal(() => far.spikes().length >= 500);
    const first = far.spikes()[0]?.timeNs ?? 0;
    const expected = direct.spikes().filter((spike) => spike.timeNs >= first).slice(0, 500);
    expect(far.spikes().slice(0, 500)).toEqual(expected);
    expect(far.source.channels().map((channel) => channel.name)).toEqual(plexon.channels().map((channel) => channel.name));
    expect(far.kinds()).toEqual([]);
  });
});
