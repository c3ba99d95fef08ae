import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createClockAligner } from "../../../src/acquisition/align.ts";
import { createRng } from "../../../src/shared/rng.ts";
import type { Rng } from "../../../src/shared/rng.ts";
import { hostTimeNs, nsPerMs, nsPerS, rigTimeNs } from "../../../src/shared/units.ts";
import { aRig } from "./aRig.ts";

/** A pair of clocks whose truth the synthetic rig gives. */
function aPair(driftPpm: number, seed: number) {
  const { rig } = aRig({ seed, options: { driftPpm } });
  return rig.truth.clock.toRig;
}

/** Marks at about four a second with Gaussian jitter; one in thirty is a frame late or a wrong match. */
function* jitteredMarks(toRig: (hostNs: never) => number, rng: Rng, { fromS = 0, toS, jitterMs }: { readonly fromS?: number; readonly toS: number; readonly jitterMs: number }) {
  for (let s = fromS; s < toS; s += 0.25 + 0.02 * rng.uniform()) {
    const hostNs = hostTimeNs(s * nsPerS);
    const wrongMs = rng.uniform() < 1 / 30 ? 8.33 + 30 * rng.uniform() : 0;
    yield { hostNs, rigNs: rigTimeNs(Math.round(toRig(hostNs as never) + (jitterMs * rng.gaussian() + wrongMs) * nsPerMs)), kind: "mark" as const };
  }
}

describe("the clock aligner", () => {
  it("is within 0.2 ms of the truth at 200 ppm drift with jittered marks, and knows the drift", () => {
    for (const [seed, driftPpm, jitterMs] of [[1, 200, 1], [2, -200, 0.5], [3, 200, 0.3], [4, 38, 1]] as const) {
      const toRig = aPair(driftPpm, seed);
      const aligner = createClockAligner();
      let worst = 0;
      for (const pair of jitteredMarks(toRig, createRng(seed), { toS: 600, jitterMs })) {
        aligner.addPair(pair);
        if (pair.hostNs < 120 * nsPerS) continue;
        const map = aligner.map();
        if (map === null) throw new Error("expected a map");
        worst = Math.max(worst, Math.abs(map.toRig(pair.hostNs) - toRig(pair.hostNs as never)) / nsPerMs);
      }
      const map = aligner.map();
      // At every moment from the second minute on; with 1 ms of jitter 0.2 ms takes some minutes of marks.
      expect(worst, `seed ${seed}`).toBeLessThan(jitterMs < 1 ? 0.2 : 0.3);
      const end = hostTimeNs(600 * nsPerS);
      expect(Math.abs((map?.toRig(end) ?? 0) - toRig(end as never)) / nsPerMs).toBeLessThan(0.2);
      expect(map?.driftPpm).toBeCloseTo(driftPpm, -1);
      expect(map?.uncertaintyMs ?? 1).toBeLessThan(0.2);
      expect(aligner.status().outlierMarks).toBeGreaterThan(20);
    }
  });

  it("is of use from the first seconds on", () => {
    const toRig = aPair(200, 5);
    const aligner = createClockAligner();
    expect(aligner.map()).toBeNull();
    for (const pair of jitteredMarks(toRig, createRng(5), { toS: 3, jitterMs: 0.5 })) aligner.addPair(pair);
    const now = hostTimeNs(3 * nsPerS);
    expect(Math.abs((aligner.map()?.toRig(now) ?? 0) - toRig(now as never)) / nsPerMs).toBeLessThan(1);
    expect(aligner.map()?.uncertaintyMs ?? 0).toBeGreaterThan(0.05);
  });

  it("says an uncertainty that covers the error", () => {
    let inside = 0;
    const runs = 60;
    for (let seed = 0; seed < runs; seed++) {
      const toRig = aPair(150, seed);
      const aligner = createClockAligner();
      for (const pair of jitteredMarks(toRig, createRng(`coverage ${seed}`), { toS: 60, jitterMs: 1 })) aligner.addPair(pair);
      const now = hostTimeNs(60 * nsPerS);
      const map = aligner.map();
      if (map !== null && Math.abs(map.toRig(now) - toRig(now as never)) / nsPerMs < 2 * map.uncertaintyMs) inside += 1;
    }
    expect(inside / runs).toBeGreaterThan(0.85);
  });

  it("learns drift and offset from arrivals alone, up to their shortest transport", () => {
    const toRig = aPair(120, 6);
    const rng = createRng(6);
    const aligner = createClockAligner({ shortestTransportMs: 12 });
    for (let s = 0; s < 300; s += 0.025) {
      const rigNs = toRig((s * nsPerS) as never);
      const transportMs = 12 - 3 * Math.log(1 - rng.uniform()) + (rng.uniform() < 0.01 ? 200 : 0);
      aligner.addPair({ hostNs: hostTimeNs(s * nsPerS + transportMs * nsPerMs), rigNs: rigTimeNs(rigNs), kind: "arrival" });
    }
    const now = hostTimeNs(300 * nsPerS);
    const map = aligner.map();
    expect(Math.abs((map?.toRig(now) ?? 0) - toRig(now as never)) / nsPerMs).toBeLessThan(0.5);
    expect(map?.driftPpm).toBeGreaterThan(110);
    expect(map?.driftPpm).toBeLessThan(130);
    expect(aligner.status().basis).toBe("arrivals");
    expect(aligner.status().jumpsMs).toEqual([]);
  });

  it("lets marks decide as soon as there are some", () => {
    const toRig = aPair(50, 7);
    const aligner = createClockAligner();
    for (let s = 0; s < 10; s += 0.025) aligner.addPair({ hostNs: hostTimeNs(s * nsPerS), rigNs: rigTimeNs(toRig((s * nsPerS) as never) - 25 * nsPerMs), kind: "arrival" });
    const now = hostTimeNs(12 * nsPerS);
    const errorMs = () => ((aligner.map()?.toRig(now) ?? 0) - toRig(now as never)) / nsPerMs;
    expect(errorMs()).toBeCloseTo(-25, 0);
    for (const pair of jitteredMarks(toRig, createRng(7), { fromS: 10, toS: 12, jitterMs: 0.1 })) aligner.addPair(pair);
    expect(Math.abs(errorMs())).toBeLessThan(0.3);
    expect(aligner.status().basis).toBe("marks");
  });

  it("sees the rig's clock jump, ahead or back, and starts afresh", () => {
    for (const jumpMs of [400, -400, 30, -5000]) {
      const toRig = aPair(100, 8);
      const aligner = createClockAligner();
      const rng = createRng(8);
      for (const pair of jitteredMarks(toRig, rng, { toS: 60, jitterMs: 0.5 })) aligner.addPair(pair);
      for (const pair of jitteredMarks(toRig, rng, { fromS: 60, toS: 90, jitterMs: 0.5 })) aligner.addPair({ ...pair, rigNs: rigTimeNs(pair.rigNs + jumpMs * nsPerMs) });
      const jumps = aligner.status().jumpsMs;
      expect(jumps).toHaveLength(1);
      expect(Math.abs((jumps[0] ?? 0) - jumpMs)).toBeLessThan(3);
      const now = hostTimeNs(90 * nsPerS);
      expect(Math.abs((aligner.map()?.toRig(now) ?? 0) - toRig(now as never) - jumpMs * nsPerMs) / nsPerMs).toBeLessThan(0.4);
    }
  });

  it("takes arrivals from the future for a jump, a two-second stall for a stall", () => {
    const toRig = aPair(100, 9);
    const arrivals = (aligner: ReturnType<typeof createClockAligner>, fromS: number, toS: number, aheadMs: number, lateMs: (s: number) => number) => {
      for (let s = fromS; s < toS; s += 0.025) {
        aligner.addPair({ hostNs: hostTimeNs(s * nsPerS + lateMs(s) * nsPerMs), rigNs: rigTimeNs(toRig((s * nsPerS) as never) + aheadMs * nsPerMs), kind: "arrival" });
      }
    };
    const stalled = createClockAligner();
    arrivals(stalled, 0, 30, 0, () => 10);
    arrivals(stalled, 30, 32, 0, (s) => (32 - s) * 1000 + 10);
    arrivals(stalled, 32, 60, 0, () => 10);
    expect(stalled.status().jumpsMs).toEqual([]);
    const jumped = createClockAligner();
    arrivals(jumped, 0, 30, 0, () => 10);
    arrivals(jumped, 30, 60, 300, () => 10);
    expect(jumped.status().jumpsMs).toHaveLength(1);
    expect(jumped.status().jumpsMs[0]).toBeCloseTo(300, 0);
    const setBack = createClockAligner();
    arrivals(setBack, 0, 30, 0, () => 10);
    arrivals(setBack, 30, 60, -300, () => 10);
    expect(setBack.status().jumpsMs[0]).toBeCloseTo(-300, 0);
  });

  it("never maps a later host time to an earlier rig time", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: -300, max: 300 }), (seed, driftPpm) => {
        const toRig = aPair(driftPpm, 10);
        const aligner = createClockAligner();
        for (const pair of jitteredMarks(toRig, createRng(seed), { toS: 5, jitterMs: 3 })) aligner.addPair(pair);
        const map = aligner.map();
        if (map === null) return;
        for (let s = 0; s < 20; s++) expect(map.toRig(hostTimeNs((s + 1) * nsPerS))).toBeGreaterThan(map.toRig(hostTimeNs(s * nsPerS)));
      }),
      { numRuns: 30 },
    );
  });

  it("is the same whether others look at it in between or not: replay does not", () => {
    const run = (looks: boolean): number[] => {
      const { rig } = aRig({ seed: 9, options: { driftPpm: 120 } });
      const toRig = rig.truth.clock.toRig;
      const rng = createRng(9);
      const aligner = createClockAligner({ shortestTransportMs: 5 });
      const seen: number[] = [];
      const marks = [...jitteredMarks(toRig, rng, { fromS: 20, toS: 90, jitterMs: 0.5 })];
      for (let i = 0, m = 0; i < 3000; i++) {
        const hostNs = hostTimeNs(Math.round((i * 30 + 20 * rng.uniform()) * nsPerMs));
        aligner.addPair({ hostNs, rigNs: rigTimeNs(toRig(hostNs as never) - 6 * nsPerMs), kind: "arrival" });
        if (looks) aligner.map();
        for (; m < marks.length && (marks[m]?.hostNs ?? 0) < hostNs; m++) {
          const mark = marks[m];
          if (mark === undefined) continue;
          aligner.addPair(mark);
          if (looks) aligner.map();
          if (m % 7 === 0) seen.push(aligner.map()?.toRig(hostNs) ?? 0);
        }
      }
      return seen;
    };
    expect(run(true)).toEqual(run(false));
  });
});
