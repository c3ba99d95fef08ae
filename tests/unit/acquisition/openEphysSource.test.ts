// The Open Ephys source against the recorded program, over real sockets.
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { openEphysOptionsSchema } from "../../../src/acquisition/drivers/open-ephys/options.ts";
import { playCapture } from "../../../src/acquisition/drivers/open-ephys/player.ts";
import type { CapturePlayer, PlayOptions } from "../../../src/acquisition/drivers/open-ephys/player.ts";
import { createOpenEphysSource } from "../../../src/acquisition/drivers/open-ephys/source.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import type { SpikeSource } from "../../../src/shared/ports.ts";
import { unwrap } from "../../../src/shared/result.ts";
import type { SourceEvent, SourceFault } from "../../../src/shared/values.ts";

const captureFile = new URL("../../fixtures/acquisition/open-ephys-1.0.1-zmq-interface.frames", import.meta.url).pathname;
const judge: { readonly spikes: number; readonly perElectrode: Record<string, number>; readonly missingMessages: number } = JSON.parse(
  readFileSync(new URL("../../fixtures/acquisition/decoded.json", import.meta.url), "utf8"),
).openEphysZmq;

/** Short watchdogs, for tests that wait for them. */
const quick = { staleMs: 300, lostMs: 800 };

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
});

interface Rig {
  readonly player: CapturePlayer;
  readonly source: SpikeSource;
  readonly events: SourceEvent[];
  faults(): SourceFault[];
  kinds(): string[];
  spikes(): number;
  perElectrode(): Record<string, number>;
}

async function aRig(play: Partial<PlayOptions> = {}, options: Readonly<Record<string, unknown>> = {}): Promise<Rig> {
  const player = unwrap(await playCapture({ file: captureFile, endpoint: "tcp://127.0.0.1:*", heartbeatEndpoint: "tcp://127.0.0.1:*", speed: 12, ...play }));
  const portOf = (endpoint: string | null) => Number(endpoint?.split(":").at(-1));
  const source = createOpenEphysSource({
    clock: createRealClock(),
    options: openEphysOptionsSchema.parse({ dataPort: portOf(player.endpoint), heartbeatPort: portOf(player.heartbeatEndpoint), staleMs: 3000, lostMs: 6000, ...options }),
  });
  const events: SourceEvent[] = [];
  unwrap(await source.start((event) => events.push(event)));
  closing.push(async () => {
    await source.stop();
    await player.stop();
  });
  const faults = () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : []));
  return {
    player,
    source,
    events,
    faults,
    kinds: () => faults().map((fault) => fault.kind),
    spikes: () => events.reduce((sum, event) => sum + (event.kind === "spikes" ? event.batch.timesRigNs.length : 0), 0),
    perElectrode() {
      const counts: Record<string, number> = {};
      const channels = source.channels();
      for (const event of events) {
        if (event.kind !== "spikes") continue;
        for (const channel of event.batch.channels) {
          const name = channels[channel]?.name ?? "?";
          counts[name] = (counts[name] ?? 0) + 1;
        }
      }
      return counts;
    },
  };
}

async function until(done: () => boolean, limitMs = 40_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("the Open Ephys source", () => {
  it("receives every spike that the recorded program published", async () => {
    const rig = await aRig();
    await rig.player.done;
    await until(() => rig.source.status().packetsReceived >= rig.player.sent().messages);
    await rig.source.stop();
    expect(rig.perElectrode()).toEqual(judge.perElectrode);
    expect(rig.source.status()).toMatchObject({ spikesReceived: judge.spikes, packetsReceived: 20_137, packetsLost: 0, malformedPackets: 0 });
    expect(rig.kinds().filter((kind) => kind === "gap")).toEqual([]);
  });

  it("receives every spike of the capture without its continuous data, and calls no spike lost", async () => {
    const rig = await aRig({ leftOut: "asIs" });
    await rig.player.done;
    await until(() => rig.source.status().packetsReceived >= rig.player.sent().messages);
    await rig.source.stop();
    expect(rig.perElectrode()).toEqual(judge.perElectrode);
    const gaps = rig.faults().flatMap((fault) => (fault.kind === "gap" ? [fault] : []));
    expect(gaps.reduce((sum, gap) => sum + gap.lostPackets, 0)).toBe(judge.missingMessages);
    expect(gaps.every((gap) => gap.continuousOnly === true)).toBe(true);
  });

  it("has nothing to report when the messages are numbered without holes, even with no data in them", async () => {
    const rig = await aRig({ leftOut: "renumber" });
    await rig.player.done;
    await until(() => rig.source.status().packetsReceived >= rig.player.sent().messages);
    await rig.source.stop();
    expect(rig.perElectrode()).toEqual(judge.perElectrode);
    expect(rig.kinds().filter((kind) => kind !== "clockJump")).toEqual([]);
  });

  it("lasts: a capture played again and again is one stream", async () => {
    const rig = await aRig({ loop: "continue", speed: 16 });
    await until(() => rig.spikes() > 2 * judge.spikes);
    await rig.source.stop();
    expect(rig.kinds()).toEqual([]);
  });

  it("reports a lost message between two that came", async () => {
    const rig = await aRig({ drop: [500, 501, 2000] });
    await until(() => rig.kinds().filter((kind) => kind === "gap").length >= 2);
    expect(rig.faults().flatMap((fault) => (fault.kind === "gap" ? [fault.lostPackets] : []))).toEqual([2, 1]);
  });

  it("survives the program going away and coming back, and counts what it missed", async () => {
    const rig = await aRig({ loop: "continue", speed: 6 }, quick);
    await until(() => rig.spikes() > 200);
    await rig.player.goAway("lose");
    await until(() => rig.kinds().includes("lost"));
    expect(rig.source.status().connected).toBe(false);
    // What was queued when the connection closed has been taken: nothing makes it look alive again.
    await pause(300);
    expect(rig.source.status().connected).toBe(false);
    await rig.player.comeBack();
    const spikes = rig.spikes();
    await until(() => rig.spikes() > spikes + 200);
    await until(() => rig.source.status().connected);
    // On a busy machine the stream may have been stale before: what counts is what follows the loss.
    const faults = rig.faults().slice(rig.kinds().indexOf("lost")).filter((fault) => fault.kind !== "stale");
    expect(faults.slice(0, 3).map((fault) => fault.kind)).toEqual(["lost", "reconnected", "gap"]);
    const [, back, gap] = faults;
    expect(gap?.kind === "gap" ? gap.lostPackets : 0).toBeGreaterThan(500);
    expect(back?.kind === "reconnected" ? back.awayMs : 0).toBeGreaterThan(250);
  });

  it("sees a silence, makes the connection afresh, and goes on", async () => {
    const rig = await aRig({ loop: "continue", speed: 6 }, quick);
    await until(() => rig.spikes() > 100);
    // Longer than lostMs: the sockets are new when the stream goes on.
    await rig.player.goAway("wait");
    await until(() => rig.kinds().includes("lost"));
    await pause(1000);
    await rig.player.comeBack();
    const spikes = rig.spikes();
    await until(() => rig.spikes() > spikes + 100);
    expect(rig.kinds()).toContain("reconnected");
  });

  it("survives a restart of the program, whose numbers begin again", async () => {
    const rig = await aRig({ speed: 6 });
    await until(() => rig.spikes() > 200);
    const before = rig.events.findLast((event) => event.kind === "spikes");
    const endpoint = rig.player.endpoint;
    await rig.player.stop();
    const again = unwrap(await playCapture({ file: captureFile, endpoint, heartbeatEndpoint: null, speed: 6 }));
    closing.push(() => again.stop());
    const spikes = rig.spikes();
    await until(() => rig.spikes() > spikes + 200);
    expect(rig.kinds()).toContain("reconnected");
    expect(rig.kinds()).toContain("clockJump");
    expect(rig.kinds()).not.toContain("gap");
    const after = rig.events.findLast((event) => event.kind === "spikes");
    if (before?.kind !== "spikes" || after?.kind !== "spikes") throw new Error("expected spikes");
    expect(after.batch.watermarkRigNs).toBeGreaterThan(before.batch.watermarkRigNs);
  });

  it("counts a message that it cannot read, and a TTL event as a mark", async () => {
    const rig = await aRig({ loop: "continue", speed: 4 });
    await until(() => rig.spikes() > 50);
    rig.player.inject([new Uint8Array([1]), new Uint8Array([2])]);
    rig.player.inject([new Uint8Array([1])]);
    rig.player.ttl(3, true);
    await until(() => rig.events.some((event) => event.kind === "mark"));
    expect(rig.events.find((event) => event.kind === "mark")).toMatchObject({ mark: { kind: "ttl", line: 3, state: true, word: 8 } });
    expect(rig.kinds()).toEqual(["malformed", "malformed"]);
    expect(rig.source.status().malformedPackets).toBe(2);
  });

  it("names an address that cannot be one, and a file that is no capture", async () => {
    const source = createOpenEphysSource({ clock: createRealClock(), options: openEphysOptionsSchema.parse({ host: "not a host!", heartbeatPort: null, startTimeoutMs: 300 }) });
    const started = await source.start(() => undefined);
    expect(started).toMatchObject({ ok: false, error: { message: expect.stringContaining("not a host!") } });
    expect(await playCapture({ file: "/nowhere.frames", endpoint: "tcp://127.0.0.1:*" })).toMatchObject({ ok: false, error: { code: "fileUnreadable" } });
    expect(await playCapture({ file: new URL(import.meta.url).pathname, endpoint: "tcp://127.0.0.1:*" })).toMatchObject({ ok: false, error: { code: "notACapture" } });
    const player = unwrap(await playCapture({ file: captureFile, endpoint: "tcp://127.0.0.1:*" }));
    closing.push(() => player.stop());
    expect(await playCapture({ file: captureFile, endpoint: player.endpoint })).toMatchObject({ ok: false, error: { code: "portInUse" } });
  });
});
