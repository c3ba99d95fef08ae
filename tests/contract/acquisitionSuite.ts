// What every SpikeSource, EyeTracker and Reward must do. Run it over each maker.
import { afterEach, describe, expect, it } from "vitest";
import type { Clock, EyeTracker, Reward, SpikeSource } from "../../src/shared/ports.ts";
import { nsPerMs } from "../../src/shared/units.ts";
import type { EyeBatch, SourceEvent, SourceFault } from "../../src/shared/values.ts";

export interface SourceUnderTest {
  readonly source: SpikeSource;
  readonly clock: Clock;
  /** Lets time pass until `done` says so. Rejects when it takes too long. */
  pass(done: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

export interface SourceMaker {
  readonly name: string;
  /** A rig that is up and has spikes to give. */
  make(): Promise<SourceUnderTest>;
  /** A rig that loses packets on the way and has `lost` of them; null where the transport cannot. */
  makeLossy: (() => Promise<SourceUnderTest & { readonly lost: number }>) | null;
  /** A source whose peer does not exist; null where there is no peer. */
  makeUnreachable: (() => Promise<SourceUnderTest>) | null;
}

interface Heard {
  readonly events: SourceEvent[];
  spikeCount(): number;
  faults(): readonly SourceFault[];
}

export function testSpikeSource({ name, make, makeLossy, makeUnreachable }: SourceMaker): void {
  describe(`a spike source (${name})`, () => {
    let made: SourceUnderTest[] = [];
    const aSource = async <T extends SourceUnderTest>(maker: () => Promise<T>): Promise<T> => {
      const one = await maker();
      made.push(one);
      return one;
    };
    afterEach(async () => {
      for (const one of made) await one.dispose();
      made = [];
    });

    async function listen(under: SourceUnderTest, spikes: number, onEvent: (event: SourceEvent) => void = () => undefined): Promise<Heard> {
      const events: SourceEvent[] = [];
      const heard: Heard = {
        events,
        spikeCount: () => events.reduce((sum, event) => sum + (event.kind === "spikes" ? event.batch.timesRigNs.length : 0), 0),
        faults: () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
      };
      const started = await under.source.start((event) => {
        events.push(event);
        onEvent(event);
      });
      expect(started).toEqual({ ok: true, value: undefined });
      if (spikes > 0) await under.pass(() => heard.spikeCount() >= spikes);
      return heard;
    }

    it("delivers spikes in time order, none before a watermark that has passed it", async () => {
      const under = await aSource(make);
      const { events } = await listen(under, 300);
      await under.source.stop();
      let watermark = -Infinity;
      let arrived = -Infinity;
      let count = 0;
      for (const event of events) {
        if (event.kind !== "spikes") continue;
        const { batch } = event;
        expect(batch.channels).toHaveLength(batch.timesRigNs.length);
        expect(batch.units).toHaveLength(batch.timesRigNs.length);
        let previous = watermark;
        for (const time of batch.timesRigNs) {
          expect(time).toBeGreaterThanOrEqual(previous);
          expect(time).toBeLessThan(batch.watermarkRigNs);
          previous = time;
          count += 1;
        }
        expect(batch.watermarkRigNs).toBeGreaterThanOrEqual(watermark);
        watermark = batch.watermarkRigNs;
        expect(batch.arrivedHostNs).toBeGreaterThanOrEqual(arrived);
        arrived = batch.arrivedHostNs;
      }
      expect(count).toBeGreaterThanOrEqual(300);
    });

    it("lists every channel before its first spike, with places that never change", async () => {
      const under = await aSource(make);
      const { events } = await listen(under, 300);
      let known: readonly { readonly index: number; readonly name: string }[] = [];
      for (const event of events) {
        if (event.kind === "channels") {
          expect(event.channels.map((channel) => channel.index)).toEqual(event.channels.map((_, index) => index));
          expect(new Set(event.channels.map((channel) => channel.name)).size).toBe(event.channels.length);
          expect(event.channels.slice(0, known.length).map((channel) => channel.name)).toEqual(known.map((channel) => channel.name));
          known = event.channels;
        }
        if (event.kind === "spikes") for (const channel of event.batch.channels) expect(channel).toBeLessThan(known.length);
      }
      expect(known.length).toBeGreaterThan(0);
      expect(under.source.channels()).toEqual(known);
    });

    it("gives the receiver arrays of its own", async () => {
      const under = await aSource(make);
      const buffers = new Set<ArrayBufferLike>();
      const { events, spikeCount } = await listen(under, 200, (event) => {
        if (event.kind !== "spikes" || event.batch.timesRigNs.length === 0) return;
        expect(buffers.has(event.batch.timesRigNs.buffer)).toBe(false);
        buffers.add(event.batch.timesRigNs.buffer);
        event.batch.channels.fill(60_000);
        event.batch.units.fill(255);
      });
      expect(spikeCount()).toBeGreaterThanOrEqual(200);
      for (const event of events) if (event.kind === "spikes") for (const channel of event.batch.channels) expect(channel).toBe(60_000);
    });

    it("ends with an end, after which there is silence", async () => {
      const under = await aSource(make);
      const heard = await listen(under, 50);
      await under.source.stop();
      const count = heard.events.length;
      expect(heard.events.at(-1)).toMatchObject({ kind: "end" });
      expect(heard.events.filter((event) => event.kind === "end")).toHaveLength(1);
      const until = under.clock.now() + 200 * nsPerMs;
      under.clock.setTimer(until as never, () => undefined);
      await under.pass(() => under.clock.now() >= until);
      await under.source.stop();
      expect(heard.events).toHaveLength(count);
      expect(under.source.status().connected).toBe(false);
    });

    it("refuses to start twice, and starts again after a stop", async () => {
      const under = await aSource(make);
      await listen(under, 20);
      expect(under.source.status().connected).toBe(true);
      expect(await under.source.start(() => undefined)).toMatchObject({ ok: false, error: { code: "alreadyRunning" } });
      await under.source.stop();
      await listen(under, 20);
    });

    it("has a status whose numbers add up", async () => {
      const under = await aSource(make);
      const heard = await listen(under, 200);
      await under.source.stop();
      const status = under.source.status();
      expect(status.spikesReceived).toBe(heard.spikeCount());
      expect(status.packetsReceived).toBeGreaterThan(0);
      expect(status.packetsLost).toBe(heard.faults().reduce((sum, fault) => sum + (fault.kind === "gap" ? fault.lostPackets : 0), 0));
      expect(status.malformedPackets).toBe(heard.faults().reduce((sum, fault) => sum + (fault.kind === "malformed" ? fault.packets : 0), 0));
      expect(status.address).not.toBe("");
      expect(status.newestHostNs).not.toBeNull();
    });

    it("loses nothing to a slow listener", async () => {
      const under = await aSource(make);
      let isSlow = true;
      const heard = await listen(under, 300, (event) => {
        if (event.kind !== "spikes" || !isSlow) return;
        isSlow = false;
        const until = performance.now() + 150;
        while (performance.now() < until);
      });
      expect(heard.faults().filter((fault) => fault.kind === "gap" || fault.kind === "overflow")).toEqual([]);
    });

    if (makeLossy !== null) {
      it("reports lost packets in-band, with their count and where the stream goes on", async () => {
        const under = await aSource(makeLossy);
        const heard = await listen(under, 0);
        await under.pass(() => heard.faults().some((fault) => fault.kind === "gap"));
        const spikes = heard.spikeCount();
        await under.pass(() => heard.spikeCount() > spikes + 50);
        await under.source.stop();
        const gaps = heard.faults().flatMap((fault) => (fault.kind === "gap" ? [fault] : []));
        expect(gaps.reduce((sum, gap) => sum + gap.lostPackets, 0)).toBe(under.lost);
        expect(under.source.status().packetsLost).toBe(under.lost);
        let watermark = -Infinity;
        for (const event of heard.events) {
          if (event.kind === "spikes") watermark = event.batch.watermarkRigNs;
          if (event.kind === "fault" && event.fault.kind === "gap") expect(event.fault.atRigNs).toBeGreaterThanOrEqual(watermark);
        }
      });
    }

    if (makeUnreachable !== null) {
      it("says in a sentence that nobody answers", async () => {
        const under = await aSource(makeUnreachable);
        const events: SourceEvent[] = [];
        const started = await under.source.start((event) => events.push(event));
        expect(started.ok).toBe(false);
        if (started.ok) return;
        expect(started.error.code).not.toBe("");
        expect(started.error.message).toMatch(/^[A-Z].*\.$/);
        const count = events.length;
        await under.source.stop();
        expect(events).toHaveLength(count);
        expect(under.source.status().connected).toBe(false);
      });
    }
  });
}

export interface EyeMaker {
  readonly name: string;
  make(): Promise<{ readonly eye: EyeTracker; readonly pass: SourceUnderTest["pass"]; readonly dispose: () => Promise<void> }>;
}

export function testEyeTracker({ name, make }: EyeMaker): void {
  describe(`an eye tracker (${name})`, () => {
    it("delivers samples in time order, in arrays of equal length that belong to the receiver", async () => {
      const { eye, pass, dispose } = await make();
      const batches: EyeBatch[] = [];
      expect(await eye.start((batch) => batches.push(batch))).toEqual({ ok: true, value: undefined });
      await pass(() => batches.reduce((sum, batch) => sum + batch.xDeg.length, 0) >= 500);
      let previous = -Infinity;
      for (const batch of batches) {
        expect([batch.xDeg.length, batch.yDeg.length, batch.valid.length]).toEqual([batch.timesRigNs.length, batch.timesRigNs.length, batch.timesRigNs.length]);
        for (const [i, time] of batch.timesRigNs.entries()) {
          expect(time).toBeGreaterThan(previous);
          previous = time;
          expect([0, 1]).toContain(batch.valid[i]);
          expect(Number.isFinite(batch.xDeg[i]) && Number.isFinite(batch.yDeg[i])).toBe(true);
        }
      }
      expect(new Set(batches.map((batch) => batch.xDeg.buffer)).size).toBe(batches.length);
      await dispose();
    });

    it("makes the present gaze zero when asked", async () => {
      const { eye, pass, dispose } = await make();
      const batches: EyeBatch[] = [];
      await eye.start((batch) => batches.push(batch));
      await pass(() => batches.length >= 10);
      eye.recentre();
      const count = batches.length;
      await pass(() => batches.length > count);
      const next = batches[count];
      expect(Math.hypot(next?.xDeg[0] ?? 9, next?.yDeg[0] ?? 9)).toBeLessThan(0.3);
      await dispose();
    });

    it("refuses to start twice, is silent after a stop, and starts again", async () => {
      const { eye, pass, dispose } = await make();
      let count = 0;
      await eye.start(() => {
        count += 1;
      });
      expect(await eye.start(() => undefined)).toMatchObject({ ok: false });
      await pass(() => count > 3);
      await eye.stop();
      await eye.stop();
      const before = count;
      let again = 0;
      expect(await eye.start(() => {
        again += 1;
      })).toMatchObject({ ok: true });
      await pass(() => again > 3);
      expect(count).toBe(before);
      await dispose();
    });
  });
}

export interface RewardMaker {
  readonly name: string;
  /** What a pulse that is cut short after 50 ms has lasted at least; left out: 20. Less where the line's own time runs behind the wall's. */
  readonly cutMsMin?: number;
  make(): Promise<{ readonly reward: Reward; readonly clock: Clock; readonly pass: SourceUnderTest["pass"]; readonly dispose: () => Promise<void> }>;
}

export function testReward({ name, cutMsMin = 20, make }: RewardMaker): void {
  describe(`a reward line (${name})`, () => {
    it("gives a pulse of the length asked for", async () => {
      const { reward, clock, pass, dispose } = await make();
      let given: unknown = null;
      const begun = clock.now();
      void reward.pulse(60).then((result) => {
        given = result;
      });
      await pass(() => given !== null);
      expect(given).toEqual({ ok: true, value: { pulseMs: 60 } });
      expect((clock.now() - begun) / nsPerMs).toBeGreaterThanOrEqual(59);
      await dispose();
    });

    it("refuses what is not a length between zero and the longest, without opening the line", async () => {
      const { reward, dispose } = await make();
      for (const pulseMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, reward.pulseMsMax + 1]) {
        const refused = await reward.pulse(pulseMs);
        expect(refused).toMatchObject({ ok: false, error: { code: "rewardOutOfRange", message: expect.stringContaining(String(reward.pulseMsMax)) } });
      }
      await dispose();
    });

    it("goes off when told, at any time, and says how long it was on", async () => {
      const { reward, clock, pass, dispose } = await make();
      await reward.off();
      let given: { readonly ok: boolean; readonly value?: { readonly pulseMs: number } } | null = null;
      const begun = clock.now();
      void reward.pulse(Math.min(400, reward.pulseMsMax)).then((result) => {
        given = result;
      });
      const until = begun + 50 * nsPerMs;
      clock.setTimer(until as never, () => undefined);
      await pass(() => clock.now() >= until);
      await reward.off();
      await reward.off();
      await pass(() => given !== null);
      expect(given).toMatchObject({ ok: true });
      const pulseMs = (given as { readonly value?: { readonly pulseMs: number } } | null)?.value?.pulseMs ?? Infinity;
      expect(pulseMs).toBeGreaterThanOrEqual(cutMsMin);
      expect(pulseMs).toBeLessThan(300);
      await dispose();
    });
  });
}
