// A rig's clock that stood still while nothing came, against everything else that makes data late.
import { describe, expect, it } from "vitest";
import { tellStoppedClock } from "../../../src/acquisition/stoppedClock.ts";
import type { SpikeSource } from "../../../src/shared/ports.ts";
import { ok } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent } from "../../../src/shared/values.ts";

/** Batches every 20 ms of the rig's clock for 60 s: how late each arrives, ms (null: not at all), and by how much the clock has stood still. The jumps that are told, ms. */
async function jumpsOf(laterMs: (sampleMs: number) => number | null, stoodMs: (sampleMs: number) => number = () => 0): Promise<number[]> {
  let say: (event: SourceEvent) => void = () => undefined;
  const bare: SpikeSource = { name: "bare", channels: () => [], start: async (listener) => ((say = listener), ok(undefined)), status: () => { throw new Error("not asked"); }, stop: async () => undefined };
  const jumps: number[] = [];
  await tellStoppedClock(bare).start((event) => {
    if (event.kind === "fault" && event.fault.kind === "clockJump") jumps.push(event.fault.jumpMs);
  });
  const empty = { timesRigNs: new Float64Array(0), channels: new Uint16Array(0), units: new Uint8Array(0) };
  for (let sampleMs = 0; sampleMs < 60_000; sampleMs += 20) {
    const late = laterMs(sampleMs);
    if (late === null) continue;
    const rigMs = 5_000_000 + sampleMs * 1.0002;
    say({ kind: "spikes", batch: { ...empty, watermarkRigNs: rigTimeNs(rigMs * nsPerMs), arrivedHostNs: hostTimeNs((sampleMs + stoodMs(sampleMs) + 8 + late) * nsPerMs) } });
  }
  return jumps;
}

const jitter = (sampleMs: number): number => (sampleMs % 7) * 2;
const within = (sampleMs: number, fromMs: number, toMs: number): boolean => sampleMs >= fromMs && sampleMs < toMs;

describe("a rig's clock that stood still", () => {
  it("is told once for each time, with how long it stood", async () => {
    const jumps = await jumpsOf(jitter, (sampleMs) => (sampleMs < 20_000 ? 0 : sampleMs < 40_000 ? 2500 : 2800));
    expect(jumps).toHaveLength(2);
    expect(Math.abs((jumps[0] ?? 0) + 2500)).toBeLessThan(20);
    expect(Math.abs((jumps[1] ?? 0) + 300)).toBeLessThan(20);
    // Twice within the time that it takes to be sure.
    const twice = await jumpsOf(jitter, (sampleMs) => (sampleMs < 20_000 ? 0 : sampleMs < 20_300 ? 700 : 1400));
    expect(twice.reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(-1400, -2);
  });

  it("is not taken for a burst of held-up data, for lost data, for slow data without a hole, or for drift", async () => {
    expect(await jumpsOf((s) => (within(s, 20_000, 22_000) ? 22_000 - s : jitter(s)))).toEqual([]);
    // Half a second to catch up.
    expect(await jumpsOf((s) => (within(s, 20_000, 22_000) ? 22_000 - s : within(s, 22_000, 22_500) ? 22_500 - s : jitter(s)))).toEqual([]);
    expect(await jumpsOf((s) => (within(s, 20_000, 25_000) ? null : jitter(s)))).toEqual([]);
    expect(await jumpsOf((s) => (s < 20_000 ? jitter(s) : Math.min(400, (s - 20_000) / 10)))).toEqual([]);
    expect(await jumpsOf(jitter)).toEqual([]);
  });
});
