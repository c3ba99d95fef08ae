// The simulator in the place of a recording system and a subject: what the subject sees goes over the retina link, spikes come through the
// real driver, gaze and rewards come back.
import { afterEach, describe, expect, it } from "vitest";
import { openSource } from "../../../src/acquisition/index.ts";
import { findPlayer } from "../../../src/acquisition/sim/index.ts";
import { createSimulatorLink } from "../../../src/acquisition/sim/linkClient.ts";
import { createFrameReader, encodeFrame, toSimulator } from "../../../src/acquisition/sim/linkFrames.ts";
import { startSimulator } from "../../../src/acquisition/sim/simulator.ts";
import { createWire, wireFaultSchema } from "../../../src/acquisition/sim/wire.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import type { Clock } from "../../../src/shared/ports.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";
import type { EyeBatch, SourceEvent } from "../../../src/shared/values.ts";
import { aVirtualClock, defaults, someImages } from "./aRig.ts";

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function until(done: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function aSimulator(options: { readonly token?: string; readonly delayMs?: number } = {}) {
  const clock = createRealClock();
  const simulator = unwrap(
    await startSimulator({
      clock, seed: 3, encoder: null, kind: unwrap(findPlayer("open-ephys")), host: "127.0.0.1", port: 0, linkPort: 0, token: options.token ?? null,
      // Room for a machine under load between a flip and what follows from it.
      rigOptions: { channelsPerArray: 4, delayMs: options.delayMs ?? 200 },
    }),
  );
  closing.push(() => simulator.stop());
  return { simulator, clock };
}

/** The clock of another process: it has run for a minute longer. */
function aClockAhead(): Clock {
  const clock = createRealClock();
  const aheadNs = 60_000 * nsPerMs;
  return { now: () => hostTimeNs(clock.now() + aheadNs), setTimer: (at, fire) => clock.setTimer(hostTimeNs(at - aheadNs), fire), hold: clock.hold };
}

describe("the simulator", () => {
  it("shows the subject what a session shows, and answers through driver, eye and reward line", async () => {
    const { simulator, clock: simulatorClock } = await aSimulator();
    const clock = aClockAhead();
    const { rigConfig } = simulator;
    const link = createSimulatorLink({ clock, ...rigConfig.simulator });
    const source = link.around(unwrap(openSource(rigConfig.kind, rigConfig.options, { clock, seed: 0, encoder: null })));
    const events: SourceEvent[] = [];
    const gaze: EyeBatch[] = [];
    unwrap(await link.eye.start((batch) => gaze.push(batch)));
    unwrap(await source.start((event) => events.push(event)));
    closing.push(async () => {
      await source.stop();
      await link.eye.stop();
    });
    const [image] = someImages(1);
    if (image === undefined) throw new Error("expected an image");
    await link.retina.see(5, image);
    link.retina.fixationSpot?.(true, clock.now());
    await until(() => gaze.length > 5);
    const flipSimulatorNs = simulatorClock.now();
    link.retina.lit(5, 77, clock.now());
    await new Promise((resolve) => setTimeout(resolve, 100));
    link.retina.lit(null, 77, clock.now());
    await until(() => events.filter((event) => event.kind === "mark").length === 2);

    const [onset] = simulator.rig.truth.onsets();
    expect(onset).toMatchObject({ presentationId: 77, imageId: 5 });
    const mark = events.find((event) => event.kind === "mark");
    if (mark?.kind !== "mark" || onset === undefined) throw new Error("expected a mark and an onset");
    expect(mark.mark.kind).toBe("photodiode");
    // The mark's tick is the one in which the light came on.
    expect(Math.abs(mark.mark.rigNs - onset.onsetRigNs)).toBeLessThan(1e9 / 30_000 + 1);
    expect(simulator.rig.truth.late().unseenImages).toBe(0);
    // The clocks of the two ends were compared: the flip is where it was, to within what the fastest exchange of times took.
    expect((simulator.rig.truth.clock.toHost(onset.onsetRigNs) - flipSimulatorNs) / nsPerMs - defaults.displayLagMs).toBeCloseTo(0, -2);
    expect(await link.reward.pulse(20)).toEqual({ ok: true, value: { pulseMs: expect.closeTo(20, -1) } });
    expect(simulator.rig.truth.rewards()).toHaveLength(1);
    expect(await link.reward.pulse(9999)).toMatchObject({ ok: false, error: { code: "rewardOutOfRange" } });
    const times = gaze.flatMap((batch) => [...batch.timesRigNs]);
    expect(times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0))).toBe(true);
  }, 40_000);

  it("is found again when it has been started again, is shown what its subject had seen, and says so in the stream", async () => {
    const clock = createRealClock();
    const { simulator: first } = await aSimulator();
    const { rigConfig } = first;
    const link = createSimulatorLink({ clock, ...rigConfig.simulator });
    const source = link.around(unwrap(openSource(rigConfig.kind, { ...rigConfig.options, staleMs: 600 }, { clock, seed: 0, encoder: null })));
    const events: SourceEvent[] = [];
    const gaze: EyeBatch[] = [];
    unwrap(await link.eye.start((batch) => gaze.push(batch)));
    unwrap(await source.start((event) => events.push(event)));
    closing.push(async () => {
      await source.stop();
      await link.eye.stop();
    });
    const [before, meanwhile] = someImages(2);
    if (before === undefined || meanwhile === undefined) throw new Error("expected two images");
    await link.retina.see(5, before);
    await until(() => gaze.length > 2);
    await first.stop();
    const faults = () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : []));
    await until(() => faults().some((one) => one.kind === "lost" && one.reason.includes("retina link")));
    // An image of a moment in which there is nobody to see it waits, and no session ends of it.
    const seen = link.retina.see(6, meanwhile);
    expect(await link.reward.pulse(20)).toMatchObject({ ok: false, error: { code: "noSimulator" } });
    const { port, host } = rigConfig.simulator;
    const dataPort = Number(rigConfig.options["dataPort"]);
    const second = unwrap(await startSimulator({ clock: createRealClock(), seed: 3, encoder: null, kind: unwrap(findPlayer("open-ephys")), host, port: dataPort, linkPort: port, token: null, rigOptions: { channelsPerArray: 4, delayMs: 200 } }));
    closing.push(() => second.stop());
    await seen;
    await until(() => faults().some((one) => one.kind === "reconnected"));
    for (const imageId of [5, 6]) link.retina.lit(imageId, imageId, clock.now());
    const marks = () => events.filter((event) => event.kind === "mark" && event.mark.kind === "photodiode" && event.mark.state).length;
    await until(() => marks() >= 2);
    expect(second.status().unseenImages).toBe(0);
    expect(await link.reward.pulse(20)).toMatchObject({ ok: true });
    const times = gaze.flatMap((batch) => [...batch.timesRigNs]);
    expect(times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0))).toBe(true);
  }, 60_000);

  it("lets nobody in without its token, and one session at a time", async () => {
    const { rigConfig } = (await aSimulator({ token: "right" })).simulator;
    const clock = createRealClock();
    const { host, port } = rigConfig.simulator;
    const linkWith = (token: string) => createSimulatorLink({ clock, host, port, token });
    expect(await linkWith("wrong").eye.start(() => undefined)).toMatchObject({ ok: false, error: { code: "simulatorRefused", message: expect.stringContaining("token") } });
    expect(await linkWith("right").eye.start(() => undefined)).toEqual({ ok: true, value: undefined });
    expect(await linkWith("right").eye.start(() => undefined)).toMatchObject({ ok: false, error: { code: "simulatorRefused", message: expect.stringContaining("already") } });
    expect(await createSimulatorLink({ clock, host, port: 1, token: "" }).eye.start(() => undefined)).toMatchObject({ ok: false, error: { code: "noSimulator", message: expect.stringContaining("evoked rig sim") } });
  }, 20_000);
});

describe("a frame of the retina link", () => {
  const frame = encodeFrame({ kind: "see", id: 1, imageId: 2, width: 1, height: 2 }, new Uint8Array([1, 2, 3, 4, 5, 6]));

  it("is the same however the stream is cut", () => {
    const whole = new Uint8Array([...frame, ...encodeFrame({ kind: "recentre" }), ...frame]);
    for (let size = 1; size < whole.length; size += 3) {
      const reader = createFrameReader(toSimulator);
      const got = [];
      for (let at = 0; at < whole.length; at += size) got.push(...unwrap(mapError(reader.take(whole.slice(at, at + size)))));
      expect(got.map(({ message }) => message.kind)).toEqual(["see", "recentre", "see"]);
      expect([...(got[2]?.bytes ?? [])]).toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  it("is refused where it makes no sense, before its bytes are waited for", () => {
    for (const bytes of [[255, 255, 255, 255, 4, 0, 0, 0], [4, 0, 0, 0, 9, 0, 0, 0], [6, 0, 0, 0, 2, 0, 0, 0, 123, 125]]) {
      expect(createFrameReader(toSimulator).take(new Uint8Array(bytes))).toMatchObject({ ok: false });
    }
  });
});

function mapError<T>(result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string }) {
  return result.ok ? result : { ok: false as const, error: { code: "frame", message: result.error } };
}

describe("a wire with faults", () => {
  async function sent(faults: readonly unknown[], count = 1000): Promise<{ readonly got: readonly number[]; readonly counts: ReturnType<ReturnType<typeof createWire>["counts"]> }> {
    const clock = aVirtualClock();
    const got: number[] = [];
    const wire = createWire<number>({ clock, seed: 5, faults: faults.map((one) => wireFaultSchema.parse(one)), transmit: (packet) => got.push(packet), rubbish: () => -1 });
    for (let i = 0; i < count; i++) clock.setTimer(hostTimeNs(i * nsPerMs), () => wire.send(i));
    await clock.run(() => clock.now() >= (count - 1) * nsPerMs);
    wire.drain();
    return { got, counts: wire.counts() };
  }

  it("does what it was asked to, the same every time, and counts it", async () => {
    expect((await sent([])).got).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    const lossy = await sent([{ kind: "lose", share: 0.05 }]);
    expect(lossy.got).toHaveLength(1000 - lossy.counts.lost);
    expect(lossy.counts.lost).toBeGreaterThan(20);
    expect((await sent([{ kind: "lose", share: 0.05 }])).got).toEqual(lossy.got);
    const doubled = await sent([{ kind: "duplicate", share: 0.05 }]);
    expect(doubled.got).toHaveLength(1000 + doubled.counts.duplicated);
    const swapped = await sent([{ kind: "reorder", share: 0.05 }]);
    expect(swapped.got.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(swapped.got.filter((value, i) => i > 0 && value < (swapped.got[i - 1] ?? 0))).toHaveLength(swapped.counts.reordered);
    expect((await sent([{ kind: "loseAt", atMs: 100, packets: 3 }])).got.slice(98, 102)).toEqual([98, 99, 103, 104]);
    expect((await sent([{ kind: "cut", atMs: 100, durationMs: 200 }])).got.slice(98, 102)).toEqual([98, 99, 300, 301]);
    expect((await sent([{ kind: "rubbish", atMs: 50 }])).got.slice(49, 52)).toEqual([49, -1, 50]);
    const stalled = await sent([{ kind: "stall", atMs: 100, durationMs: 500 }]);
    expect(stalled.got).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });
});
