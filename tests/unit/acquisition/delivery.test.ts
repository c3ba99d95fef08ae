// How late data come: what is above the fastest arrival of the last minute, whatever the clocks differ by.
import { describe, expect, it } from "vitest";
import { createClockAligner } from "../../../src/acquisition/align.ts";
import { createDeliveryDelay, watchDelivery } from "../../../src/acquisition/delivery.ts";
import type { SpikeSource } from "../../../src/shared/ports.ts";
import { ok } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";

/** Batches every 20 ms from `fromS` to `toS`, transport 7 ms and what `delayMs` adds, on a clock that differs by 1234 ms and drifts. */
function* arrivals({ fromS = 0, toS, driftPpm = 0, offsetMs = 1234, delayMs }: { readonly fromS?: number; readonly toS: number; readonly driftPpm?: number; readonly offsetMs?: number; readonly delayMs: (i: number) => number }) {
  for (let i = 0; i < (toS - fromS) * 50; i++) {
    const sampleMs = fromS * 1000 + i * 20;
    yield { hostNs: (sampleMs + 7 + delayMs(i)) * nsPerMs, rigNs: (offsetMs + sampleMs * (1 + driftPpm * 1e-6)) * nsPerMs };
  }
}

describe("the delivery delay", () => {
  it("is what arrivals have above the fastest, drift taken off, and says nothing before there are enough", () => {
    const delay = createDeliveryDelay();
    for (const { hostNs, rigNs } of arrivals({ toS: 0.2, delayMs: () => 0 })) delay.add(hostNs, rigNs);
    expect(delay.figures(0)).toBeNull();
    delay.reset();
    // One in fifty is 30 ms late, the others 0 to 4 ms.
    for (const { hostNs, rigNs } of arrivals({ toS: 60, driftPpm: 200, delayMs: (i) => (i % 50 === 49 ? 30 : i % 5) })) delay.add(hostNs, rigNs);
    const figures = delay.figures(200);
    expect(figures?.medianMs).toBeCloseTo(2, 1);
    expect(figures?.p99Ms).toBeCloseTo(30, 1);
    // Without the drift the floor would be that of another minute's end: 60 s at 200 ppm are 12 ms.
    expect(delay.figures(0)?.medianMs).toBeGreaterThan(5);
  });

  it("forgets what is older than a minute", () => {
    const delay = createDeliveryDelay();
    for (const { hostNs, rigNs } of arrivals({ toS: 10, delayMs: (i) => (i === 0 ? 0 : 100) })) delay.add(hostNs, rigNs);
    expect(delay.figures(0)?.medianMs).toBeCloseTo(100, 3);
    for (const { hostNs, rigNs } of arrivals({ fromS: 10, toS: 75, delayMs: () => 100 })) delay.add(hostNs, rigNs);
    expect(delay.figures(0)).toEqual({ medianMs: 0, p99Ms: 0, arrivals: expect.closeTo(3000, -1) });
  });

  it("learns the floor anew when the rig's clock jumps", async () => {
    let say: (event: SourceEvent) => void = () => undefined;
    const bare: SpikeSource = { name: "bare", channels: () => [], start: async (listener) => ((say = listener), ok(undefined)), status: () => { throw new Error("not asked"); }, stop: async () => undefined };
    const { source, delivery } = watchDelivery(bare, createClockAligner());
    const heard: SourceEvent[] = [];
    await source.start((event) => heard.push(event));
    const empty = { timesRigNs: new Float64Array(0), channels: new Uint16Array(0), units: new Uint8Array(0) };
    const play = (all: Iterable<{ readonly hostNs: number; readonly rigNs: number }>) => {
      for (const { hostNs, rigNs } of all) say({ kind: "spikes", batch: { ...empty, watermarkRigNs: rigTimeNs(rigNs), arrivedHostNs: hostTimeNs(hostNs) } });
    };
    play(arrivals({ toS: 5, delayMs: (i) => i % 2 }));
    expect(delivery()?.p99Ms).toBeCloseTo(1, 3);
    say({ kind: "fault", fault: { kind: "clockJump", jumpMs: -500, atRigNs: rigTimeNs(0) }, arrivedHostNs: hostTimeNs(0) });
    play(arrivals({ fromS: 5, toS: 10, offsetMs: 734, delayMs: (i) => i % 2 }));
    expect(delivery()?.p99Ms).toBeCloseTo(1, 3);
    expect(heard).toHaveLength(501);
  });
});
