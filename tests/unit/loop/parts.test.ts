// Blocks, onsets, fixation, channel figures and the virtual clock, each by its properties.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planBlock } from "../../../src/loop/block.ts";
import { createChannelFigures, suggestTarget } from "../../../src/loop/channels.ts";
import { createVirtualClock } from "../../../src/loop/clock.ts";
import { createFixationMonitor } from "../../../src/loop/fixation.ts";
import { createOnsetMatcher } from "../../../src/loop/onsets.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";

describe("a block", () => {
  it("presents every image the planned number of times, in rounds, whatever fails on the way", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 }), fc.array(fc.boolean(), { maxLength: 200 }), (seed, count, repeats, fate) => {
        const block = planBlock({ images: Array.from({ length: count }, (_, i) => ({ imageId: i + 1, repeats })), attemptsMax: 1000, rng: createRng(seed) });
        // Balanced: every image once before any comes again.
        const order = block.peek(count * repeats);
        for (let round = 0; round < repeats; round++) expect(new Set(order.slice(round * count, (round + 1) * count)).size).toBe(count);
        const measured = new Map<number, number>();
        let at = 0;
        for (let guard = 0; !block.done && guard < 5000; guard++) {
          for (const id of block.take(5)) {
            if (fate[at++] === true) block.failed(id);
            else {
              block.measured(id);
              measured.set(id, (measured.get(id) ?? 0) + 1);
            }
          }
        }
        expect([...measured.values()].every((n) => n === repeats)).toBe(true);
        expect(measured.size).toBe(count);
        expect(block.missing).toBe(0);
      }),
    );
  });

  it("gives an image up after the attempts are used, and says so", () => {
    const block = planBlock({ images: [{ imageId: 1, repeats: 1 }, { imageId: 2, repeats: 1 }], attemptsMax: 3, rng: createRng(1) });
    for (let guard = 0; !block.done && guard < 50; guard++) for (const id of block.take(1)) id === 1 ? block.failed(id) : block.measured(id);
    expect(block.done).toBe(true);
    expect(block.missing).toBe(1);
  });

  it("puts what never reached the screen back to the front", () => {
    const block = planBlock({ images: [1, 2, 3, 4].map((imageId) => ({ imageId, repeats: 1 })), attemptsMax: 3, rng: createRng(1) });
    const order = [...block.peek(4)];
    const taken = block.take(3);
    block.giveBack(taken.slice(1));
    expect(block.peek(4)).toEqual(order.slice(1));
  });
});

describe("onsets", () => {
  const map = { toRig: (hostNs: number) => rigTimeNs(hostNs + 5000), driftPpm: 0, uncertaintyMs: 0 };
  const aMatcher = (onsetFrom: "auto" | "mark" | "flip", ttlLine: number | null = null) => createOnsetMatcher({ onsetFrom, ttlLine, toleranceMs: 60, map: () => map });
  const light = (ms: number) => ({ kind: "photodiode" as const, rigNs: rigTimeNs(ms * nsPerMs + 5000), line: 0, state: true, word: null });

  it("take the photodiode's time, not the flip's", () => {
    const matcher = aMatcher("mark");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    expect(matcher.decide(100 * nsPerMs)).toHaveLength(0);
    matcher.mark(light(108));
    expect(matcher.decide(120 * nsPerMs)).toEqual([{ presentationId: 1, onsetRigNs: 108 * nsPerMs + 5000, source: "photodiode", problem: null }]);
    expect(matcher.lagMs.mean).toBeCloseTo(8);
  });

  it("report a flip without its mark instead of guessing", () => {
    const matcher = aMatcher("mark");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    expect(matcher.decide(300 * nsPerMs)[0]).toMatchObject({ presentationId: 1, onsetRigNs: null, problem: "noOnsetMark" });
  });

  it("fall back to the flip where the rig has never sent a mark, and name the source", () => {
    const matcher = aMatcher("auto");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    expect(matcher.decide(300 * nsPerMs)[0]).toMatchObject({ source: "flip", problem: null });
  });

  it("take no mark for a stray one where they are the display's own", () => {
    const matcher = aMatcher("flip");
    for (let i = 0; i < 20; i++) {
      matcher.flip(i, hostTimeNs((100 + 250 * i) * nsPerMs));
      matcher.mark(light(108 + 250 * i));
      expect(matcher.decide((110 + 250 * i) * nsPerMs)).toMatchObject([{ presentationId: i, source: "flip", problem: null }]);
    }
    matcher.decide(60_000 * nsPerMs);
    expect(matcher.unmatchedMarks).toBe(0);
  });

  it("refuse a doubled mark", () => {
    const matcher = aMatcher("mark");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    matcher.mark(light(101));
    matcher.mark(light(109));
    expect(matcher.decide(300 * nsPerMs)[0]).toMatchObject({ problem: "doubledMark" });
  });

  it("refuse a doubled mark that comes after the first was taken, while the image can still be excluded", () => {
    const matcher = aMatcher("mark");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    matcher.mark(light(101));
    expect(matcher.decide(102 * nsPerMs)).toMatchObject([{ problem: null }]);
    expect(matcher.laterProblems(102 * nsPerMs)).toEqual([]);
    matcher.mark(light(115));
    expect(matcher.laterProblems(120 * nsPerMs)).toEqual([{ presentationId: 1, problem: "doubledMark" }]);
    expect(matcher.laterProblems(121 * nsPerMs)).toEqual([]);
  });

  it("give each of two images that follow each other fast its own mark", () => {
    const matcher = aMatcher("mark");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    matcher.flip(2, hostTimeNs(140 * nsPerMs));
    matcher.mark(light(103));
    matcher.mark(light(143));
    expect(matcher.decide(300 * nsPerMs).map((o) => [o.presentationId, o.problem, Math.round(((o.onsetRigNs ?? 0) - 5000) / nsPerMs)])).toEqual([[1, null, 103], [2, null, 143]]);
    expect(matcher.laterProblems(300 * nsPerMs)).toEqual([]);
  });

  it("counts a mark that no image explains, and not one of an image that was cut short, whether it came before or after", () => {
    const matcher = aMatcher("mark");
    matcher.flip(1, hostTimeNs(100 * nsPerMs));
    matcher.mark(light(108));
    matcher.cancel(1);
    matcher.flip(2, hostTimeNs(400 * nsPerMs));
    matcher.cancel(2);
    matcher.mark(light(408));
    matcher.mark(light(900));
    expect(matcher.decide(4000 * nsPerMs)).toEqual([]);
    expect(matcher.unmatchedMarks).toBe(1);
  });

  it("are the photodiode's where there is one; strobes beside it say which image, and another's word excludes it", () => {
    const matcher = createOnsetMatcher({ onsetFrom: "mark", ttlLine: null, toleranceMs: 60, checkWords: true, map: () => map });
    const word = (ms: number, code: number) => ({ kind: "strobe" as const, rigNs: rigTimeNs(ms * nsPerMs + 5000), line: 0, state: true, word: code });
    const show = (id: number, atMs: number, code: number | null): unknown => {
      matcher.flip(id, hostTimeNs(atMs * nsPerMs));
      matcher.mark(light(atMs + 5));
      const [onset] = matcher.decide((atMs + 6) * nsPerMs);
      matcher.mark(word(atMs + 3, 202)); // "image off" of the one before: no onset
      if (code !== null) matcher.mark(word(atMs + 12, code));
      return [onset?.source, matcher.laterProblems((atMs + 100) * nsPerMs)];
    };
    expect(show(1, 1000, 1)).toEqual(["photodiode", []]);
    expect(show(2, 2000, 3)).toEqual(["photodiode", [{ presentationId: 2, problem: "wrongWord" }]]);
    expect(show(3, 3000, null)).toEqual(["photodiode", [{ presentationId: 3, problem: "wrongWord" }]]);
    // The numbers go round after 200.
    expect(show(204, 4000, 4)).toEqual(["photodiode", []]);
    expect(matcher.matchedMarks).toBe(4);
  });

  it("are the strobes' own where no photodiode is, and a lost or doubled one is seen, whatever the order of arrival", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("ok", "lost", "doubled"), { minLength: 1, maxLength: 25 }), fc.boolean(), fc.integer({ min: 0, max: 20 }), (fates, early, jitterMs) => {
        const matcher = createOnsetMatcher({ onsetFrom: "mark", ttlLine: 8, toleranceMs: 60, map: () => map });
        const strobe = (ms: number) => ({ kind: "ttl" as const, rigNs: rigTimeNs(ms * nsPerMs + 5000), line: 8, state: true, word: 0x101 });
        const found = new Map<number, string>();
        fates.forEach((fate, i) => {
          const at = 1000 + 250 * i;
          const marks = fate === "lost" ? [] : fate === "doubled" ? [strobe(at + jitterMs), strobe(at + jitterMs + 9)] : [strobe(at + jitterMs)];
          if (early) for (const m of marks) matcher.mark(m);
          matcher.flip(i, hostTimeNs(at * nsPerMs));
          for (const watermark of [at + 2, at + 30]) for (const o of matcher.decide(watermark * nsPerMs + 5000)) found.set(o.presentationId, o.problem ?? "ok");
          if (!early) for (const m of marks) matcher.mark(m);
          for (const o of matcher.decide((at + 240) * nsPerMs + 5000)) found.set(o.presentationId, o.problem ?? "ok");
          for (const o of matcher.laterProblems((at + 240) * nsPerMs + 5000)) found.set(o.presentationId, o.problem);
        });
        expect([...found.values()]).toEqual(fates.map((f) => ({ ok: "ok", lost: "noOnsetMark", doubled: "doubledMark" })[f]));
      }),
      { numRuns: 100 },
    );
  });

  it("use a TTL line only when it was named", () => {
    const ttl = { kind: "ttl" as const, rigNs: rigTimeNs(102 * nsPerMs), line: 3, state: true, word: 8 };
    for (const [line, source] of [[3, "strobe"], [null, "flip"]] as const) {
      const matcher = aMatcher("auto", line);
      matcher.flip(1, hostTimeNs(100 * nsPerMs));
      matcher.mark(ttl);
      expect(matcher.decide(300 * nsPerMs)[0]?.source).toBe(source);
    }
  });
});

describe("fixation", () => {
  const samples = (xs: readonly number[], fromMs = 0) => ({
    timesRigNs: Float64Array.from(xs, (_, i) => (fromMs + i) * nsPerMs), xDeg: Float32Array.from(xs), yDeg: new Float32Array(xs.length), valid: new Uint8Array(xs.length).fill(1),
  });

  it("forgives excursions shorter than the grace time and dates longer ones to their beginning", () => {
    const monitor = createFixationMonitor({ windowDeg: 1, graceMs: 30 });
    const trace = [...new Array<number>(100).fill(0), ...new Array<number>(20).fill(2), ...new Array<number>(100).fill(0), ...new Array<number>(60).fill(2), ...new Array<number>(20).fill(0)];
    const changes = monitor.add(samples(trace));
    expect(changes.map((c) => [c.inside, c.atRigNs / nsPerMs])).toEqual([[true, 0], [false, 220], [true, 280]]);
    expect(monitor.heldBetween(rigTimeNs(50 * nsPerMs), rigTimeNs(200 * nsPerMs))).toBe(true);
    expect(monitor.heldBetween(rigTimeNs(150 * nsPerMs), rigTimeNs(250 * nsPerMs))).toBe(false);
  });

  it("forgives a lost track for the time of a blink, and a gaze that is seen outside for the grace time alone", () => {
    // NaN: the eye is not seen.
    const add = (xs: readonly number[]) => createFixationMonitor({ windowDeg: 1, graceMs: 30, blinkMsMax: 200 }).add({ ...samples(xs), valid: Uint8Array.from(xs, (x) => (Number.isNaN(x) ? 0 : 1)) }).map((c) => [c.inside, c.atRigNs / nsPerMs]);
    const away = (ms: number, x: number): readonly number[] => [...new Array<number>(100).fill(0), ...new Array<number>(ms).fill(x), ...new Array<number>(20).fill(0)];
    expect(add(away(180, Number.NaN))).toEqual([[true, 0]]);
    expect(add(away(260, Number.NaN))).toEqual([[true, 0], [false, 100], [true, 360]]);
    expect(add(away(60, 2))).toEqual([[true, 0], [false, 100], [true, 160]]);
  });

  it("says the same for any cutting of the samples", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 0, 0, 2), { minLength: 1, maxLength: 400 }), fc.array(fc.integer({ min: 1, max: 399 })), (trace, cuts) => {
        const whole = createFixationMonitor({ windowDeg: 1, graceMs: 3 });
        const all = whole.add(samples(trace));
        const cut = createFixationMonitor({ windowDeg: 1, graceMs: 3 });
        const borders = [...new Set([0, ...cuts.filter((c) => c < trace.length), trace.length])].sort((a, b) => a - b);
        const parts = borders.slice(1).flatMap((to, i) => cut.add(samples(trace.slice(borders[i] ?? 0, to), borders[i] ?? 0)));
        expect(parts).toEqual([...all]);
      }),
    );
  });
});

describe("channel figures", () => {
  it("suggest the reliably tuned channel, not the one that merely fires most or the noisy one", () => {
    const figures = createChannelFigures(3);
    const rng = createRng(5);
    for (let repeat = 0; repeat < 4; repeat++) {
      for (let image = 0; image < 10; image++) figures.addResponse(image, [60 + 10 * rng.gaussian(), 20 + image * 4 + 2 * rng.gaussian(), 200]);
    }
    const tuning = figures.tuning();
    expect(tuning[1]).toBeGreaterThan(0.9);
    expect(tuning[0]).toBeLessThan(0.8);
    expect(suggestTarget({ tuning, signalHz: figures.signalHz(), status: ["ok", "ok", "noisy"] })).toBe(1);
    expect(suggestTarget({ tuning: [0, 0, 0], signalHz: [1, 1, 1], status: ["ok", "ok", "ok"] })).toBeNull();
  });

  it("mark silent channels and channels at the mains' frequency", () => {
    const figures = createChannelFigures(3);
    for (let second = 0; second < 12; second++) {
      const mains = Array.from({ length: 50 }, (_, i) => ({ t: second * 1000 + i * 20, c: 1 }));
      const normal = Array.from({ length: 11 }, (_, i) => ({ t: second * 1000 + i * 83 + (i % 3) * 7, c: 2 }));
      const all = [...mains, ...normal].sort((a, b) => a.t - b.t);
      figures.add({
        timesRigNs: Float64Array.from(all, (s) => s.t * nsPerMs), channels: Uint16Array.from(all, (s) => s.c), units: new Uint8Array(all.length),
        watermarkRigNs: rigTimeNs((second + 1) * 1000 * nsPerMs), arrivedHostNs: hostTimeNs(0),
      });
    }
    expect(figures.statuses()).toEqual(["silent", "noisy", "ok"]);
    expect(figures.rates()[1]).toBe(50);
  });

  /** Two channels of 10 spikes/s in batches of 100 ms for 12 s, then `then`; at the end 200 ms of the first channel alone. */
  function heard(then: (figures: ReturnType<typeof createChannelFigures>, say: (fromMs: number, toMs: number, channels: readonly number[]) => void) => number, rule: "heard" | "all" = "heard") {
    const figures = createChannelFigures(2);
    if (rule === "heard") figures.countHeardTime();
    const say = (fromMs: number, toMs: number, channels: readonly number[]): void => {
      for (let t = fromMs; t < toMs; t += 100) {
        figures.add({ timesRigNs: Float64Array.from(channels, (c) => (t + 13 + 7 * c) * nsPerMs), channels: Uint16Array.from(channels), units: new Uint8Array(channels.length), watermarkRigNs: rigTimeNs((t + 100) * nsPerMs), arrivedHostNs: hostTimeNs(0) });
      }
    };
    say(0, 12_000, [0, 1]);
    const nowMs = then(figures, say);
    say(nowMs, nowMs + 200, [0]);
    return figures.statuses();
  }

  it("count no time in which the stream had nothing as a channel's silence, where the run says so", () => {
    expect(heard(() => 40_000)).toEqual(["ok", "ok"]);
    expect(heard(() => 40_000, "all")).toEqual(["ok", "silent"]);
    // A driver whose watermark goes on by this computer's clock while its peer is away.
    const away = (figures: ReturnType<typeof createChannelFigures>, say: (fromMs: number, toMs: number, channels: readonly number[]) => void): number => {
      figures.away(true);
      say(12_000, 30_000, []);
      figures.away(false);
      return 30_000;
    };
    expect(heard(away)).toEqual(["ok", "ok"]);
    expect(heard(away, "all")).toEqual(["ok", "silent"]);
    // Holes are no excuse for a channel that says nothing for ten seconds of a stream that others speak in.
    expect(heard((_, say) => (say(12_000, 17_500, [0]), say(40_000, 45_000, [0]), 45_000))).toEqual(["ok", "silent"]);
  });
});

describe("the virtual clock", () => {
  it("fires timers in time order, ties in the order they were set, and stands still while work is held", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 60 }), async (times) => {
        const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
        const fired: [number, number][] = [];
        times.forEach((t, i) => clock.setTimer(hostTimeNs(t), () => fired.push([clock.now(), i])));
        await clock.run(() => fired.length === times.length);
        const expected = times.map((t, i): [number, number] => [t, i]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(fired).toEqual(expected);
      }),
      { numRuns: 30 },
    );
    const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
    let at = -1;
    let done = false;
    clock.setTimer(hostTimeNs(10), () => {
      void clock.hold(new Promise<void>((resolve) => setTimeout(resolve, 20))).then(() => {
        at = clock.now();
      });
    });
    clock.setTimer(hostTimeNs(11), () => {
      done = true;
    });
    await clock.run(() => done);
    expect(at).toBe(10);
  });
});
