// Counting spikes in windows: never before the stream has passed them, and never differently for differently cut batches.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createResponseCollector } from "../../../src/loop/responses.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";
import type { SpikeBatch } from "../../../src/shared/values.ts";

const channelCount = 4;

function aCollector() {
  return createResponseCollector({ channelCount: () => channelCount, windowStartMs: 70, windowEndMs: 170, baselineStartMs: -50, baselineEndMs: 0 });
}

function aBatch(spikes: readonly { readonly ms: number; readonly channel: number }[], watermarkMs: number): SpikeBatch {
  return {
    timesRigNs: Float64Array.from(spikes, (s) => s.ms * nsPerMs),
    channels: Uint16Array.from(spikes, (s) => s.channel),
    units: new Uint8Array(spikes.length),
    watermarkRigNs: rigTimeNs(watermarkMs * nsPerMs),
    arrivedHostNs: hostTimeNs(0),
  };
}

describe("response windows", () => {
  it("count the same whatever the sizes of the batches", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ ms: fc.integer({ min: 0, max: 1999 }), channel: fc.integer({ min: 0, max: channelCount - 1 }) }), { maxLength: 300 }),
        fc.array(fc.integer({ min: 1, max: 1999 }), { maxLength: 20 }),
        fc.array(fc.integer({ min: 60, max: 1700 }), { minLength: 1, maxLength: 6 }),
        (spikes, cuts, onsets) => {
          const sorted = [...spikes].sort((a, b) => a.ms - b.ms);
          const measure = (borders: readonly number[]): string => {
            const collector = aCollector();
            onsets.forEach((onset, id) => collector.open(id, rigTimeNs(onset * nsPerMs)));
            const closed: { id: number; counts: number[]; baseline: number[] }[] = [];
            let from = 0;
            for (const to of [...borders, 2000]) {
              for (const c of collector.add(aBatch(sorted.filter((s) => s.ms >= from && s.ms < to), to))) closed.push({ id: c.id, counts: [...c.counts], baseline: [...c.baselineCounts] });
              from = to;
            }
            return JSON.stringify(closed.sort((a, b) => a.id - b.id));
          };
          const borders = [...new Set(cuts)].sort((a, b) => a - b);
          expect(measure(borders)).toBe(measure([]));
          const expected = onsets.map((onset, id) => ({
            id,
            counts: Array.from({ length: channelCount }, (_, c) => sorted.filter((s) => s.channel === c && s.ms >= onset + 70 && s.ms < onset + 170).length),
            baseline: Array.from({ length: channelCount }, (_, c) => sorted.filter((s) => s.channel === c && s.ms >= onset - 50 && s.ms < onset).length),
          }));
          expect(measure([])).toBe(JSON.stringify(expected));
        },
      ),
    );
  });

  it("count the same however long the stream has run, and with spikes that came late in their place", () => {
    // A stream of 12 s in batches of 1 ms, a window open all along; every seventh spike comes 20 ms late.
    const at = (i: number) => ({ ms: i * 0.7 + 0.1, channel: i % channelCount });
    const spikes = Array.from({ length: 17_000 }, (_, i) => at(i));
    const isLate = (i: number) => i % 7 === 3;
    const collector = aCollector();
    const onsets = [200, 4700, 4710, 9000, 11_700];
    const closed: { readonly id: number; readonly counts: readonly number[]; readonly baseline: readonly number[] }[] = [];
    const due = spikes.map((spike, i) => ({ spike, sentMs: isLate(i) ? spike.ms + 20 : spike.ms }));
    let next = 0;
    const waiting = [...due].sort((a, b) => a.sentMs - b.sentMs);
    for (let ms = 1; ms <= 12_000; ms++) {
      for (const [id, onset] of onsets.entries()) if (onset === ms) collector.open(id, rigTimeNs(onset * nsPerMs));
      const batch: { readonly ms: number; readonly channel: number }[] = [];
      for (let one = waiting[next]; one !== undefined && one.sentMs < ms; one = waiting[++next]) batch.push(one.spike);
      for (const c of collector.add(aBatch(batch.sort((a, b) => a.ms - b.ms), ms))) closed.push({ id: c.id, counts: [...c.counts], baseline: [...c.baselineCounts] });
    }
    const expected = onsets.map((onset, id) => {
      const isIn = (from: number, to: number, i: number) => at(i).ms >= from && at(i).ms < to && (due[i]?.sentMs ?? 0) < Math.ceil(onset + 170);
      const count = (from: number, to: number) => Array.from({ length: channelCount }, (_, channel) => spikes.filter((spike, i) => spike.channel === channel && isIn(from, to, i)).length);
      return { id, counts: count(onset + 70, onset + 170), baseline: count(onset - 50, onset) };
    });
    expect(closed).toEqual(expected);
    const around = collector.spikesAround(2, rigTimeNs(11_000 * nsPerMs), 0, 100);
    expect(around).toHaveLength(spikes.filter((spike) => spike.channel === 2 && spike.ms >= 11_000 && spike.ms <= 11_100).length);
    expect(around).toEqual(around.toSorted((a, b) => a - b));
  });

  it("stay open until the stream's own clock has passed the window's end", () => {
    const collector = aCollector();
    collector.open(1, rigTimeNs(100 * nsPerMs));
    expect(collector.add(aBatch([{ ms: 180, channel: 2 }], 269.9))).toHaveLength(0);
    expect(collector.add(aBatch([], 270))[0]?.counts).toEqual(Uint16Array.of(0, 0, 1, 0));
  });

  it("tell a loss that touches the window, and only that", () => {
    const collector = aCollector();
    collector.open(1, rigTimeNs(100 * nsPerMs));
    collector.open(2, rigTimeNs(400 * nsPerMs));
    collector.markLoss(260 * nsPerMs, 300 * nsPerMs);
    const closed = collector.add(aBatch([], 1000));
    expect(closed.map((c) => c.lossy)).toEqual([true, false]);
  });

  it("count late spikes, which come after the stream said that it had passed them", () => {
    const collector = aCollector();
    collector.add(aBatch([], 500));
    collector.add(aBatch([{ ms: 480, channel: 0 }, { ms: 510, channel: 0 }], 520));
    expect(collector.lateSpikes).toBe(1);
  });

  it("forget open windows when the source restarts its clock, and say which", () => {
    const collector = aCollector();
    collector.open(7, rigTimeNs(100 * nsPerMs));
    expect(collector.reset()).toEqual([7]);
    expect(collector.add(aBatch([], 1000))).toHaveLength(0);
  });

  it("name the decided windows that late spikes would have changed, and no others", () => {
    const collector = aCollector();
    collector.open(1, rigTimeNs(100 * nsPerMs));
    collector.open(2, rigTimeNs(600 * nsPerMs));
    expect(collector.add(aBatch([{ ms: 200, channel: 1 }], 300)).map((w) => w.id)).toEqual([1]);
    expect(collector.takeLate()).toEqual({ ids: [], spikes: 0 });
    collector.add(aBatch([{ ms: 150, channel: 1 }, { ms: 210, channel: 1 }, { ms: 211, channel: 2 }, { ms: 320, channel: 0 }], 400));
    expect(collector.takeLate()).toEqual({ ids: [1], spikes: 2 });
    expect(collector.lateSpikes).toBe(3);
    expect(collector.takeLate()).toEqual({ ids: [], spikes: 0 });
  });
});
