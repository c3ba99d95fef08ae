import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rigFaultSchema } from "../../../src/acquisition/synthetic/options.ts";
import { nsPerMs } from "../../../src/shared/units.ts";
import { aRig, countsAfter, defaults, show, someImages } from "./aRig.ts";

const images = someImages(6);
const eightPresentations = Array.from({ length: 8 }, (_, index) => ({ imageId: index % images.length }));

describe("spikes of the synthetic rig", () => {
  it("are the same for the same seed, and others for another", async () => {
    const first = await show({ seed: 3 }, { presentations: eightPresentations, images });
    const again = await show({ seed: 3 }, { presentations: eightPresentations, images });
    const other = await show({ seed: 4 }, { presentations: eightPresentations, images });
    expect(first.spikes.length).toBeGreaterThan(1000);
    expect(again.spikes).toEqual(first.spikes);
    expect(other.spikes).not.toEqual(first.spikes);
  });

  it("do not depend on the size of the batches", async () => {
    const whole = await show({ options: { batchMs: 1000 } }, { presentations: eightPresentations, images, tailMs: 2000 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), async (batchMs) => {
        const chunked = await show({ options: { batchMs } }, { presentations: eightPresentations, images, tailMs: 2000 });
        const common = Math.min(whole.spikes.length, chunked.spikes.length);
        expect(common).toBeGreaterThan(1000);
        expect(chunked.spikes.slice(0, common)).toEqual(whole.spikes.slice(0, common));
      }),
      { numRuns: 6 },
    );
  });

  it("in the response window do not depend on when exactly the images appear", async () => {
    const steady = await show({}, { presentations: eightPresentations, images });
    const jittered = await show({}, { presentations: eightPresentations.map((one, index) => ({ ...one, extraMs: 1.37 * (index + 1), onMs: 100 + (index % 3) - 1 })), images });
    const counts = countsAfter(steady, 70, 170);
    expect(counts.flat().reduce((sum, count) => sum + count, 0)).toBeGreaterThan(500);
    const noisy = new Set(steady.rig.truth.channels.filter((channel) => channel.kind === "noisy").map((channel) => channel.index));
    const quiet = (rows: number[][]) => rows.map((row) => row.filter((_, channel) => !noisy.has(channel)));
    expect(quiet(countsAfter(jittered, 70, 170))).toEqual(quiet(counts));
  });

  it("come at the rates that the ground truth gives", async () => {
    const repeats = 60;
    const presentations = Array.from({ length: repeats * 3 }, (_, index) => ({ imageId: index % 3 }));
    const shown = await show({ options: { driftAmplitude: 0, gainSpread: 0 } }, { presentations, images });
    const counts = countsAfter(shown, 70, 170);
    let squares = 0;
    let compared = 0;
    for (let imageId = 0; imageId < 3; imageId++) {
      const expected = shown.rig.truth.responseOfHz(imageId);
      if (expected === null) throw new Error("expected the rig to know the image");
      for (const channel of shown.rig.truth.channels) {
        const rows = counts.filter((_, index) => index % 3 === imageId);
        const rateHz = rows.reduce((sum, row) => sum + (row[channel.index] ?? 0), 0) / rows.length / 0.1;
        const expectedHz = expected[channel.index] ?? 0;
        // Refractoriness takes up to a tenth at high rates.
        const standardError = Math.sqrt(Math.max(expectedHz, 1) * 10 / rows.length) + 0.04 * expectedHz;
        squares += ((rateHz - expectedHz) / standardError) ** 2;
        compared += 1;
        expect(Math.abs(rateHz - expectedHz), `${channel.name} ${rateHz} ${expectedHz}`).toBeLessThan(6 * standardError);
      }
    }
    expect(squares / compared).toBeGreaterThan(0.3);
    expect(squares / compared).toBeLessThan(1.5);
  });

  it("begin only after the latency of the area, and end after the image is gone", async () => {
    const presentations = Array.from({ length: 60 }, () => ({ imageId: 3 }));
    const shown = await show({}, { presentations, images, soaMs: 400 });
    const truth = shown.rig.truth;
    const rateOf = (area: string, fromMs: number, toMs: number) => {
      const channels = truth.channels.filter((channel) => channel.area === area && (channel.kind === "single" || channel.kind === "multi"));
      const total = countsAfter(shown, fromMs, toMs).reduce((sum, row) => sum + channels.reduce((inner, channel) => inner + (row[channel.index] ?? 0), 0), 0);
      return total / presentations.length / channels.length / ((toMs - fromMs) / 1000);
    };
    for (const [area, latencyMs] of [["V1", 45], ["V4", 60], ["PIT", 76]] as const) {
      const before = rateOf(area, 0, latencyMs - 16);
      const early = rateOf(area, latencyMs + 10, latencyMs + 40);
      const late = rateOf(area, latencyMs + 70, latencyMs + 95);
      const after = rateOf(area, latencyMs + 190, 380);
      expect(early, area).toBeGreaterThan(before * 1.5);
      expect(early, area).toBeGreaterThan(late);
      expect(late, area).toBeGreaterThan(after * 1.15);
      expect(Math.abs(after - before), area).toBeLessThan(0.2 * before);
    }
  });

  it("of one unit are never closer than its refractory period", async () => {
    const shown = await show({}, { presentations: Array.from({ length: 40 }, (_, index) => ({ imageId: index % 6 })), images });
    const singles = shown.rig.truth.channels.filter((channel) => channel.kind === "single");
    const last = new Map<number, number>();
    const shortest = new Map<number, number>();
    for (const spike of shown.spikes) {
      const previous = last.get(spike.channel);
      if (previous !== undefined) shortest.set(spike.channel, Math.min(shortest.get(spike.channel) ?? Infinity, spike.timeRigNs - previous));
      last.set(spike.channel, spike.timeRigNs);
    }
    for (const channel of singles) {
      const refractoryMs = channel.units[0]?.refractoryMs ?? 0;
      expect(refractoryMs).toBeGreaterThanOrEqual(1);
      expect(shortest.get(channel.index) ?? Infinity).toBeGreaterThanOrEqual(refractoryMs * nsPerMs - 1);
    }
  });

  it("leave two channels silent and give one the hum of the mains", async () => {
    const shown = await show({}, { presentations: [], images: [], tailMs: 5000 });
    const { channels } = shown.rig.truth;
    const countOf = (channel: number) => shown.spikes.filter((spike) => spike.channel === channel).length;
    const silent = channels.filter((channel) => channel.kind === "silent");
    expect(silent).toHaveLength(2);
    for (const channel of silent) expect(countOf(channel.index)).toBe(0);
    const noisy = channels.find((channel) => channel.kind === "noisy");
    if (noisy === undefined) throw new Error("expected a noisy channel");
    const times = shown.spikes.filter((spike) => spike.channel === noisy.index).map((spike) => spike.timeRigNs);
    expect(times.length).toBeGreaterThan(5 * defaults.lineFrequencyHz * 0.9);
    // Spontaneous rates of the others lie where cortical sites do.
    for (const channel of channels.filter((one) => one.kind === "single")) {
      expect(channel.baselineHz).toBeGreaterThanOrEqual(2);
      expect(channel.baselineHz).toBeLessThanOrEqual(15);
    }
  });

  it("share a gain within an array from trial to trial, with the spread that was asked for", async () => {
    const { rig } = aRig({ options: { driftAmplitude: 0, gainSpread: 0.2 } });
    const [v1, v1Too, pit] = [rig.truth.units[0], rig.truth.units[1], rig.truth.units.at(-1)];
    if (v1 === undefined || v1Too === undefined || pit === undefined) throw new Error("expected units");
    const gains = Array.from({ length: 400 }, (_, id) => rig.truth.gain(id, v1.index));
    expect(gains.map((_, id) => rig.truth.gain(id, v1Too.index))).toEqual(gains);
    expect(rig.truth.gain(0, pit.index)).not.toBe(gains[0]);
    const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
    const deviation = Math.sqrt(gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / gains.length);
    expect(mean).toBeCloseTo(1, 1);
    expect(deviation).toBeGreaterThan(0.15);
    expect(deviation).toBeLessThan(0.25);
  });
});

describe("tuning of the synthetic rig", () => {
  it("gives usual images 10 to 40 spikes/s and leaves room above them", async () => {
    const { rig } = aRig();
    const rates: Float64Array[] = [];
    for (const image of someImages(30, "usual")) rates.push(await rig.truth.responseHz(image));
    const channels = rig.truth.channels.filter((channel) => channel.kind === "single");
    const means = channels.map((channel) => rates.reduce((sum, row) => sum + (row[channel.index] ?? 0), 0) / rates.length).sort((a, b) => a - b);
    expect(means[means.length >> 1] ?? 0).toBeGreaterThan(10);
    expect(means[means.length >> 1] ?? 0).toBeLessThan(40);
    for (const channel of channels) expect(channel.units[0]?.ceilingHz ?? 0).toBeGreaterThan(100);
  });

  it("lets V1 see a patch and PIT the whole image", async () => {
    const { rig } = aRig({ options: { multiUnitShare: 0 } });
    const base = someImages(1, "patch")[0];
    if (base === undefined) throw new Error("expected an image");
    const inside = (field: { readonly x: number; readonly y: number }, column: number, row: number) => Math.hypot((column + 0.5) / base.width - field.x, (row + 0.5) / base.height - field.y);
    const flatten = (keep: (distance: number) => boolean, field: { readonly x: number; readonly y: number }) => {
      const data = base.data.slice();
      for (let row = 0; row < base.height; row++) {
        for (let column = 0; column < base.width; column++) {
          if (!keep(inside(field, column, row))) data.fill(128, (row * base.width + column) * 3, (row * base.width + column) * 3 + 3);
        }
      }
      return { ...base, data };
    };
    const whole = await rig.truth.responseHz(base);
    for (const unit of rig.truth.units.filter((one) => one.area === "V1").slice(0, 10)) {
      const far = await rig.truth.responseHz(flatten((distance) => distance < 3.2 * unit.receptiveField.radius, unit.receptiveField));
      expect(far[unit.channel]).toBeCloseTo(whole[unit.channel] ?? 0, 6);
    }
    let changed = 0;
    const pit = rig.truth.units.filter((one) => one.area === "PIT");
    for (const unit of pit) {
      const far = await rig.truth.responseHz(flatten((distance) => distance < 0.3, unit.receptiveField));
      if (Math.abs((far[unit.channel] ?? 0) - (whole[unit.channel] ?? 0)) > 0.5) changed += 1;
    }
    expect(changed).toBeGreaterThan(pit.length / 2);
  });

  it("refuses a layer that the encoder has not, and names those it has", () => {
    expect(() => aRig({ options: { layers: { V4: "conv9" } } })).toThrow(/energy, pooled, embedding, got "conv9"/);
  });

  it("knows an image again by its content, not by its number", async () => {
    const { rig } = aRig();
    const [first, second] = [images[0], images[1]];
    if (first === undefined || second === undefined) throw new Error("expected two images");
    await rig.retina.see(1, first);
    const before = rig.truth.responseOfHz(1);
    await rig.retina.see(1, first);
    expect(rig.truth.responseOfHz(1)).toEqual(before);
    await rig.retina.see(1, second);
    expect(rig.truth.responseOfHz(1)).not.toEqual(before);
    expect(rig.truth.responseOfHz(2)).toBeNull();
  });
});

describe("marks and the rig's clock", () => {
  it("mark each change of the light once, with the lag of the display, in stream order", async () => {
    const shown = await show({ options: { displayLagMs: 4 } }, { presentations: eightPresentations, images });
    const onsets = shown.rig.truth.onsets();
    expect(onsets).toHaveLength(8);
    expect(shown.marks.filter((mark) => mark.state).map((mark) => mark.rigNs)).toEqual(onsets.map((onset) => onset.onsetRigNs));
    expect(shown.marks.filter((mark) => !mark.state).map((mark) => mark.rigNs)).toEqual(onsets.map((onset) => onset.offsetRigNs));
    let watermark = -Infinity;
    for (const event of shown.events) {
      if (event.kind === "spikes") watermark = event.batch.watermarkRigNs;
      // A mark comes when the stream has just reached it.
      if (event.kind === "mark") expect(event.mark.rigNs).toBe(watermark);
    }
    const first = onsets[0];
    if (first === undefined) throw new Error("expected an onset");
    expect(shown.rig.truth.clock.toHost(first.onsetRigNs) / nsPerMs).toBeCloseTo(500 + 4, 3);
  });

  it("runs at its own rate", () => {
    const { rig } = aRig({ options: { driftPpm: 120 } });
    const { toRig, toHost } = rig.truth.clock;
    const hour = 3600e9;
    const start = toHost(toRig(toHost(toRig(0 as never))));
    expect(start).toBeCloseTo(0, 0);
    expect((toRig(hour as never) - toRig(0 as never) - hour) / hour).toBeCloseTo(120e-6, 9);
  });

  it("has no marks without a photodiode", async () => {
    const shown = await show({ options: { photodiode: false } }, { presentations: eightPresentations, images });
    expect(shown.marks).toEqual([]);
  });
});

describe("injected faults", () => {
  const at = (fault: unknown) => ({ options: { faults: [rigFaultSchema.parse(fault)] } });

  it("lose a packet and say so where it is missing", async () => {
    const whole = await show({}, { presentations: [], images: [], tailMs: 1000 });
    const dropped = await show(at({ kind: "dropPackets", atMs: 300, packets: 2 }), { presentations: [], images: [], tailMs: 1000 });
    const gap = dropped.faults.find((fault) => fault.kind === "gap");
    expect(gap).toMatchObject({ kind: "gap", lostPackets: 2, stream: "spikes" });
    const kept = new Set(dropped.spikes.map((spike) => `${spike.timeRigNs} ${spike.channel}`));
    const missing = whole.spikes.filter((spike) => !kept.has(`${spike.timeRigNs} ${spike.channel}`));
    expect(missing.length).toBeGreaterThan(10);
    if (gap?.kind !== "gap") throw new Error("expected a gap");
    for (const spike of missing) {
      expect(spike.timeRigNs).toBeLessThan(gap.atRigNs);
      expect(spike.timeRigNs).toBeGreaterThanOrEqual(gap.atRigNs - 40 * nsPerMs);
    }
    expect(dropped.rig.source.status().packetsLost).toBe(2);
    expect(dropped.rig.truth.faults()).toHaveLength(1);
  });

  it("stall: nothing for two seconds, then everything, and a warning between", async () => {
    const whole = await show({}, { presentations: [], images: [], tailMs: 4000 });
    const stalled = await show(at({ kind: "stall", atMs: 500, durationMs: 2000 }), { presentations: [], images: [], tailMs: 4000 });
    expect(stalled.spikes).toEqual(whole.spikes);
    expect(stalled.faults.map((fault) => fault.kind)).toEqual(["stale", "reconnected"]);
    const arrivals = stalled.events.flatMap((event) => (event.kind === "spikes" ? [event.batch.arrivedHostNs] : []));
    const longest = Math.max(...arrivals.slice(1).map((arrival, index) => arrival - (arrivals[index] ?? 0)));
    expect(longest / nsPerMs).toBeGreaterThanOrEqual(2000);
  });

  it("go away and come back", async () => {
    const shown = await show(at({ kind: "disconnect", atMs: 500, durationMs: 600 }), { presentations: [], images: [], tailMs: 2000 });
    expect(shown.faults.map((fault) => fault.kind)).toEqual(["lost", "reconnected", "gap"]);
  });

  it("silence a channel, put 100 Hz on another", async () => {
    const { rig } = aRig();
    const busy = rig.truth.channels.filter((channel) => channel.kind === "multi");
    const [quieted, buzzed] = [busy[0]?.index ?? 0, busy[1]?.index ?? 0];
    const shown = await show(
      { options: { faults: [rigFaultSchema.parse({ kind: "silenceChannel", atMs: 1000, channel: quieted }), rigFaultSchema.parse({ kind: "noiseOnChannel", atMs: 1000, channel: buzzed })] } },
      { presentations: [], images: [], tailMs: 3000 },
    );
    const startRigNs = shown.rig.truth.faults()[0]?.atRigNs ?? 0;
    const after = (channel: number) => shown.spikes.filter((spike) => spike.channel === channel && spike.timeRigNs >= startRigNs).length;
    expect(after(quieted)).toBe(0);
    expect(shown.spikes.filter((spike) => spike.channel === quieted).length).toBeGreaterThan(0);
    expect(after(buzzed)).toBeGreaterThan(230);
  });

  it("last for their time: a stream without spikes, a photodiode without marks, a reward line without an answer", async () => {
    const whole = await show({}, { presentations: eightPresentations, images });
    const faults = [{ kind: "noSpikes", atMs: 200, durationMs: 300 }, { kind: "noMarks", atMs: 0, durationMs: 900 }, { kind: "rewardDead", atMs: 0, durationMs: 60_000 }].map((fault) => rigFaultSchema.parse(fault));
    const shown = await show({ options: { faults } }, { presentations: eightPresentations, images });
    const [noMarks, noSpikes] = shown.rig.truth.faults().toSorted((a, b) => a.kind.localeCompare(b.kind));
    if (noMarks?.kind !== "noMarks" || noSpikes === undefined) throw new Error(`expected both faults, got ${shown.rig.truth.faults().map((f) => f.kind).join()}`);
    const within = (spike: { readonly timeRigNs: number }): boolean => spike.timeRigNs >= noSpikes.atRigNs + 30 * nsPerMs && spike.timeRigNs < noSpikes.atRigNs + 270 * nsPerMs;
    expect(whole.spikes.some(within)).toBe(true);
    expect(shown.spikes.some(within)).toBe(false);
    expect(shown.spikes.filter((s) => s.timeRigNs > noSpikes.atRigNs + 400 * nsPerMs)).toEqual(whole.spikes.filter((s) => s.timeRigNs > noSpikes.atRigNs + 400 * nsPerMs));
    expect(shown.marks.length).toBeGreaterThan(0);
    expect(shown.marks.every((mark) => mark.rigNs >= noMarks.atRigNs + 900 * nsPerMs)).toBe(true);
    expect(await shown.rig.reward.pulse(100)).toMatchObject({ ok: false, error: { code: "rewardNoAnswer" } });
    expect(shown.rig.truth.rewards()).toEqual([]);
  });

  it("hold spikes back while the stream's clock goes on: none is lost, and they come behind it", async () => {
    const whole = await show({}, { presentations: eightPresentations, images });
    const late = await show(at({ kind: "spikesLate", atMs: 400, durationMs: 200, byMs: 300 }), { presentations: eightPresentations, images });
    const inTime = (spikes: typeof whole.spikes): typeof whole.spikes => spikes.toSorted((a, b) => a.timeRigNs - b.timeRigNs || a.channel - b.channel);
    expect(inTime(late.spikes)).toEqual(inTime(whole.spikes));
    const from = late.rig.truth.faults()[0]?.atRigNs ?? 0;
    const behind = late.spikes.filter((spike, i) => spike.timeRigNs < (late.spikes[i - 1]?.timeRigNs ?? 0) - nsPerMs).length;
    expect(behind).toBeGreaterThan(0);
    const held = late.spikes.findIndex((spike) => spike.timeRigNs >= from);
    expect(late.spikes[held]?.timeRigNs).toBeGreaterThanOrEqual(from + 200 * nsPerMs);
  });

  it("jump the clock, after which all times are shifted", async () => {
    const whole = await show({}, { presentations: [], images: [], tailMs: 1000 });
    const jumped = await show(at({ kind: "clockJump", atMs: 400, jumpMs: 1234 }), { presentations: [], images: [], tailMs: 1000 });
    const jump = jumped.faults.find((fault) => fault.kind === "clockJump");
    if (jump?.kind !== "clockJump") throw new Error("expected a jump");
    expect(jump.jumpMs).toBe(1234);
    expect(jumped.spikes.map((spike) => (spike.timeRigNs >= jump.atRigNs ? spike.timeRigNs - 1234 * nsPerMs : spike.timeRigNs))).toEqual(whole.spikes.map((spike) => spike.timeRigNs));
    const { toRig, toHost } = jumped.rig.truth.clock;
    expect(toHost(toRig(9e8 as never))).toBeCloseTo(9e8, -1);
  });

  it("lose the spikes of one presentation, lose a mark, double a mark", async () => {
    const faults = [
      { kind: "spikesLost", presentationId: 1 },
      { kind: "markLost", presentationId: 2 },
      { kind: "markDoubled", presentationId: 3 },
    ].map((fault) => rigFaultSchema.parse(fault));
    const shown = await show({ options: { faults } }, { presentations: eightPresentations.slice(0, 5), images });
    const onsets = shown.rig.truth.onsets().map((onset) => onset.onsetRigNs);
    const bright = shown.marks.filter((mark) => mark.state).map((mark) => mark.rigNs);
    expect(bright).toHaveLength(5);
    expect(bright).not.toContain(onsets[2]);
    expect(bright.filter((mark) => Math.abs(mark - (onsets[3] ?? 0)) < 10 * nsPerMs)).toHaveLength(2);
    const gap = shown.faults.find((fault) => fault.kind === "gap");
    if (gap?.kind !== "gap") throw new Error("expected a gap");
    expect((gap.atRigNs - (onsets[1] ?? 0)) / nsPerMs).toBeCloseTo(140, 6);
  });
});

describe("the synthetic eye", () => {
  const still = { ...defaults.eye, breaksPerS: 0, blinksPerS: 0 };

  it("holds the spot within half a degree when it does not break", async () => {
    const shown = await show({ options: { eye: still } }, { presentations: [], images: [], tailMs: 8000 });
    const x = shown.eye.flatMap((batch) => [...batch.xDeg]);
    const y = shown.eye.flatMap((batch) => [...batch.yDeg]);
    expect(x.length).toBeGreaterThan(4000);
    expect(Math.max(...x.map(Math.abs), ...y.map(Math.abs))).toBeLessThan(0.5);
    const spread = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
    expect(spread).toBeGreaterThan(0.02);
  });

  it("breaks at about the rate asked for, and returns", async () => {
    const shown = await show({ options: { eye: { ...still, breaksPerS: 0.5 } } }, { presentations: [], images: [], tailMs: 60_000 });
    const distance = shown.eye.flatMap((batch) => Array.from(batch.xDeg, (x, i) => Math.hypot(x, batch.yDeg[i] ?? 0)));
    const breaks = distance.filter((value, index) => value > 1 && (distance[index - 1] ?? 0) <= 1).length;
    expect(breaks).toBeGreaterThan(12);
    expect(breaks).toBeLessThan(40);
    expect(distance.filter((value) => value < 0.5).length / distance.length).toBeGreaterThan(0.5);
  });

  it("does not depend on the size of its batches, and loses the track in blinks", async () => {
    const eye = { ...defaults.eye, blinksPerS: 0.5, breaksPerS: 0.3 };
    const flat = (batches: readonly { readonly timesRigNs: Float64Array; readonly xDeg: Float32Array; readonly valid: Uint8Array }[]) =>
      batches.flatMap((batch) => Array.from(batch.timesRigNs, (time, i) => [time, batch.xDeg[i], batch.valid[i]]));
    const fine = flat((await show({ options: { eye: { ...eye, batchMs: 7 } } }, { presentations: [], images: [], tailMs: 4000 })).eye);
    const coarse = flat((await show({ options: { eye: { ...eye, batchMs: 111 } } }, { presentations: [], images: [], tailMs: 4000 })).eye);
    const common = Math.min(fine.length, coarse.length);
    expect(common).toBeGreaterThan(2000);
    expect(coarse.slice(0, common)).toEqual(fine.slice(0, common));
    expect(fine.some((sample) => sample[2] === 0)).toBe(true);
  });

  it("looks away when the spot goes off and comes back when it is on", async () => {
    const { rig, clock } = aRig({ options: { eye: { ...still, engagement: 1 } } });
    const samples: { readonly ms: number; readonly distance: number }[] = [];
    await rig.eye.start((batch) => {
      for (let i = 0; i < batch.xDeg.length; i++) samples.push({ ms: samples.length * 2, distance: Math.hypot(batch.xDeg[i] ?? 0, batch.yDeg[i] ?? 0) });
    });
    let isDone = false;
    clock.setTimer((1e9) as never, () => rig.retina.fixationSpot?.(false, clock.now()));
    clock.setTimer((3e9) as never, () => rig.retina.fixationSpot?.(true, clock.now()));
    clock.setTimer((5e9) as never, () => {
      isDone = true;
    });
    await clock.run(() => isDone);
    await rig.eye.stop();
    expect(samples.filter((sample) => sample.ms < 1000).every((sample) => sample.distance < 0.6)).toBe(true);
    expect(samples.filter((sample) => sample.ms > 1500 && sample.ms < 3000).filter((sample) => sample.distance > 1).length).toBeGreaterThan(600);
    expect(samples.filter((sample) => sample.ms > 4000).every((sample) => sample.distance < 0.6)).toBe(true);
  });
});

describe("the synthetic juice line", () => {
  it("gives bounded pulses, records them, and goes off when told", async () => {
    const { rig, clock } = aRig();
    expect(await rig.reward.pulse(10_000)).toMatchObject({ ok: false, error: { code: "rewardOutOfRange" } });
    expect(await rig.reward.pulse(Number.NaN)).toMatchObject({ ok: false });
    const whole = rig.reward.pulse(80);
    expect(await rig.reward.pulse(80)).toMatchObject({ ok: false, error: { code: "rewardBusy" } });
    let isDone = false;
    clock.setTimer((200e6) as never, () => {
      isDone = true;
    });
    await clock.run(() => isDone);
    expect(await whole).toEqual({ ok: true, value: { pulseMs: 80 } });
    const cut = rig.reward.pulse(100);
    isDone = false;
    clock.setTimer((230e6) as never, () => {
      isDone = true;
    });
    await clock.run(() => isDone);
    await rig.reward.off();
    expect(await cut).toEqual({ ok: true, value: { pulseMs: 30 } });
    expect(rig.truth.rewards().map((reward) => reward.pulseMs)).toEqual([80, 30]);
  });
});
