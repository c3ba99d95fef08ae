// The contract of a spike source over the Lab Streaming Layer's real library, a whole evolution through it, and its gaze.
import koffi from "koffi";
import { describe, expect, it } from "vitest";
import { openSource } from "../../src/acquisition/index.ts";
import { createLslCodes, lslCodesOptionsSchema } from "../../src/acquisition/drivers/lsl/codes.ts";
import { loadLsl } from "../../src/acquisition/drivers/lsl/library.ts";
import { createLslSource } from "../../src/acquisition/drivers/lsl/source.ts";
import { lslOptionsSchema } from "../../src/acquisition/drivers/lsl/options.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { unwrap } from "../../src/shared/result.ts";
import type { RawGazeBatch, SourceEvent } from "../../src/shared/values.ts";
import { findLiblsl } from "../support/liblsl.ts";
import { playedMaker } from "./aPlayedRig.ts";
import { testSpikeSource } from "./acquisitionSuite.ts";

const missing = await findLiblsl();

/** What other programs send: Evoked itself sends numbers. */
function aTextOutlet(file: string, name: string) {
  const library = koffi.load(file);
  const outlet: unknown = library.func("void *lsl_create_outlet(void *info, int chunk, int bufferS)")(library.func("void *lsl_create_streaminfo(const char *name, const char *type, int channels, double rate, int format, const char *sourceId)")(name, "Markers", 1, 0, 3, name), 0, 360);
  const push = library.func("int lsl_push_sample_strtp(void *outlet, const char **texts, double time, int pushThrough)");
  const consumers = library.func("int lsl_have_consumers(void *outlet)");
  const destroy = library.func("void lsl_destroy_outlet(void *outlet)");
  return { push: (text: string, timeS: number) => push(outlet, [text], timeS, 1), hasConsumers: () => Number(consumers(outlet)) !== 0, close: () => destroy(outlet) };
}

describe("without its library the LSL driver", () => {
  it("says where it looked and what to do", async () => {
    const opened = unwrap(openSource("lsl", { library: "/nowhere/liblsl.so" }, { clock: createRealClock(), seed: 0, encoder: null }));
    expect(await opened.start(() => undefined)).toMatchObject({ ok: false, error: { code: "driverMissing", message: expect.stringMatching(/nowhere.*Install liblsl/) } });
  });
});

if (missing === null) {
  testSpikeSource(playedMaker({ as: "lsl", name: "Lab Streaming Layer", lossy: false, unreachable: { spikesName: "nobody sends this" } }));

  describe("the LSL driver", () => {
    it("takes spikes, markers and gaze of three streams onto one clock, with time correction, and holds spikes back where there are no heartbeats", async () => {
      const lsl = unwrap(await loadLsl(null));
      const name = `test ${process.pid}`;
      const spikes = lsl.openOutlet({ name: `${name} s`, type: "Spikes", channelCount: 2, sourceId: `${name} s` });
      const markers = lsl.openOutlet({ name: `${name} m`, type: "Markers", channelCount: 1, sourceId: `${name} m` });
      const eye = lsl.openOutlet({ name: `${name} g`, type: "Gaze", channelCount: 2, sourceId: `${name} g` });
      const source = createLslSource({ clock: createRealClock(), options: lslOptionsSchema.parse({ spikesName: `${name} s`, markersName: `${name} m`, gazeName: `${name} g`, channels: ["A", "B"], staleMs: 20_000, startTimeoutMs: 15_000 }) });
      const events: SourceEvent[] = [];
      const gaze: RawGazeBatch[] = [];
      source.gaze?.((batch) => gaze.push(batch));
      unwrap(await source.start((event) => events.push(event)));
      const end = performance.now() + 20_000;
      const until = async (done: () => boolean) => {
        while (!done() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
      };
      await until(() => spikes.hasConsumers() && markers.hasConsumers() && eye.hasConsumers());
      const at = lsl.localClockS();
      spikes.push([1, 2], at);
      spikes.push([0, 0], at + 0.001);
      spikes.push([0.5, 0], at + 0.001);
      markers.push([77], at + 0.0005);
      eye.push([0.5, Number.NaN], at);
      const heard = () => events.flatMap((event) => (event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (ns, i) => [Math.round(ns - at * 1e9), event.batch.channels[i], event.batch.units[i]]) : []));
      await until(() => heard().length === 2 && gaze.length > 0);
      await source.stop();
      for (const outlet of [spikes, markers, eye]) outlet.close();
      expect(heard().map(([, channel, unit]) => [channel, unit])).toEqual([[1, 2], [0, 0]]);
      // One computer: the correction is small, and the same for all streams to within what the library can tell.
      expect(Math.abs(heard()[0]?.[0] ?? 1e9)).toBeLessThan(20e6);
      expect(events.find((event) => event.kind === "mark")).toMatchObject({ mark: { kind: "strobe", word: 77 } });
      expect(gaze[0]).toMatchObject({ clock: "rig", valid: Uint8Array.of(0) });
      expect(events.flatMap((event) => (event.kind === "fault" ? [event.fault.kind] : []))).toEqual(["malformed"]);
    }, 60_000);

    it("gets Evoked's own event codes back as words of the marker stream that they go out on, in order and stamped when they were sent", async () => {
      const lsl = unwrap(await loadLsl(null));
      const clock = createRealClock();
      const name = `test codes ${process.pid}`;
      const spikes = lsl.openOutlet({ name: `${name} s`, type: "Spikes", channelCount: 2, sourceId: `${name} s` });
      const codes = createLslCodes(lslCodesOptionsSchema.parse({ name }));
      unwrap(await codes.start());
      const source = createLslSource({ clock, options: lslOptionsSchema.parse({ spikesName: `${name} s`, markersName: name, staleMs: 40_000, startTimeoutMs: 15_000, timeCorrection: false }) });
      const words: [number | null, number][] = [];
      unwrap(await source.start((event) => {
        if (event.kind === "mark") words.push([event.mark.word, event.mark.rigNs]);
      }));
      const end = performance.now() + 30_000;
      while ((!spikes.hasConsumers() || !codes.status().detail.startsWith("a recorder listens")) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
      const fromNs = lsl.localClockS() * 1e9;
      for (const code of [250, 5, 1, 200]) codes.send(code);
      const untilNs = lsl.localClockS() * 1e9;
      // Marks wait for the stream's clock, which the spike stream is.
      while (words.length < 4 && performance.now() < end) {
        spikes.push([-1, 0], lsl.localClockS());
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(codes.status().detail).toBe("a recorder listens, 4 codes");
      await source.stop();
      await codes.stop();
      spikes.close();
      expect(words.map(([word]) => word)).toEqual([250, 5, 1, 200]);
      for (const [, rigNs] of words) expect(rigNs >= fromNs - 1 && rigNs <= untilNs + 1).toBe(true);
    }, 60_000);

    it("takes the codes of a marker stream of texts, and counts the texts that are none", async () => {
      const lsl = unwrap(await loadLsl(null));
      const name = `test text ${process.pid}`;
      const spikes = lsl.openOutlet({ name: `${name} s`, type: "Spikes", channelCount: 2, sourceId: `${name} s` });
      const markers = aTextOutlet(lsl.file, `${name} m`);
      const source = createLslSource({ clock: createRealClock(), options: lslOptionsSchema.parse({ spikesName: `${name} s`, markersName: `${name} m`, staleMs: 40_000, startTimeoutMs: 15_000, timeCorrection: false }) });
      const events: SourceEvent[] = [];
      unwrap(await source.start((event) => events.push(event)));
      const end = performance.now() + 30_000;
      const until = async (done: () => boolean) => {
        while (!done() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
      };
      await until(() => spikes.hasConsumers() && markers.hasConsumers());
      const at = lsl.localClockS();
      for (const [i, text] of ["77", " 8 ", "Versuch begönne", "-3", "1.5", ""].entries()) markers.push(text, at + i / 1000);
      const malformed = () => events.reduce((sum, event) => sum + (event.kind === "fault" && event.fault.kind === "malformed" ? event.fault.packets : 0), 0);
      await until(() => malformed() >= 4);
      await source.stop();
      spikes.close();
      markers.close();
      expect(events.flatMap((event) => (event.kind === "mark" ? [[event.mark.kind, event.mark.word]] : []))).toEqual([["strobe", 77], ["strobe", 8]]);
      expect(malformed()).toBe(4);
      expect(events.find((event) => event.kind === "fault")).toMatchObject({ fault: { reason: expect.stringContaining('"Versuch begönne"') } });
    }, 60_000);
  });
} else describe.skip(`a spike source (Lab Streaming Layer): ${missing}`, () => it("is skipped", () => undefined));
