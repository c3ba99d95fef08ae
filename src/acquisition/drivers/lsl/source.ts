// A spike source over the Lab Streaming Layer: a stream of spikes, and beside it markers and gaze where they are named. Conventions of the
// streams: docs/rigs/lsl.md. Knows nothing about how the library talks to the network.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import { msBetween, nsPerS } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { RawGazeBatch, SourceEvent } from "../../../shared/values.ts";
import { startsOnce, statusOfStream } from "../common/ends.ts";
import type { Tap } from "../../capture/decoding.ts";
import { createLslDecoder, encodeLslSamples, lslLanes } from "./decoder.ts";
import type { LslDecoder, LslSamples } from "./decoder.ts";
import { loadLsl } from "./library.ts";
import type { Lsl, LslInlet, LslStream } from "./library.ts";
import type { LslOptions } from "./options.ts";

const correctionEveryMs = 5000;

interface Line {
  readonly stream: LslStream;
  readonly inlet: LslInlet;
  correctionS: number;
}

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly decoder: LslDecoder;
  readonly lsl: Lsl;
  readonly spikes: Line;
  readonly markers: Line | null;
  readonly gaze: Line | null;
  readonly startedHostNs: HostTimeNs;
  newestHostNs: HostTimeNs | null;
  timer: NodeJS.Timeout | null;
  correcting: NodeJS.Timeout | null;
  isCorrecting: boolean;
}

export function createLslSource({ clock, options, tap }: { readonly clock: Clock; readonly options: LslOptions; readonly tap?: Tap }): SpikeSource {
  let running: Running | null = null;
  let last: Running | null = null;
  const once = startsOnce("the LSL source", () => running !== null);
  let gazeListener: ((batch: RawGazeBatch) => void) | null = null;
  let address = `lsl: ${options.spikesName ?? `type ${options.spikesType}`}`;

  const toNs = (line: Line, seconds: number) => Math.round((seconds + line.correctionS) * nsPerS);

  async function correct(line: Line | null, timeoutS: number): Promise<boolean> {
    if (line === null || !options.timeCorrection) return true;
    const seconds = await line.inlet.timeCorrection(timeoutS);
    if (seconds === null) return false;
    line.correctionS = seconds;
    return true;
  }

  function poll(current: Running): void {
    if (running !== current) return;
    const { decoder } = current;
    const now = clock.now();
    // Markers before spikes: the heartbeats of the spikes let both go.
    const markers = pull(current.markers, lslLanes.markers, now);
    if (markers !== null) decoder.markers(markers, now);
    const spikes = pull(current.spikes, lslLanes.spikes, now);
    if (spikes !== null) {
      current.newestHostNs = now;
      decoder.stream.alive(now);
      decoder.spikes(spikes, now);
    }
    const gaze = current.gaze?.inlet.pull();
    if (current.gaze !== null && gaze !== null && gaze !== undefined && gaze.times.length > 0) giveGaze(current.gaze, gaze.values, gaze.times);
    decoder.settle(now, options.timeCorrection ? Math.round(current.lsl.localClockS() * nsPerS) : null);
    const ageMs = msBetween(current.newestHostNs ?? current.startedHostNs, now);
    if (ageMs >= options.staleMs && !decoder.stream.isAway) decoder.stream.away({ kind: "stale", ageMs }, now);
    // The library has threads of its own: it is asked in real time, also where the session's clock stands still.
    current.timer = setTimeout(() => poll(current), options.pollMs);
  }

  /** What has come, time stamps corrected; null: nothing. */
  function pull(line: Line | null, lane: number, now: HostTimeNs): LslSamples | null {
    const pulled = line?.inlet.pull() ?? null;
    if (line === null || pulled === null || pulled.times.length === 0) return null;
    const samples = { timesS: pulled.times.map((time) => time + line.correctionS), values: pulled.values, texts: pulled.texts };
    tap?.(lane, encodeLslSamples(samples), now);
    return samples;
  }

  function giveGaze(line: Line, values: Float64Array, times: Float64Array): void {
    const { channelCount } = line.stream;
    const at = (i: number, channel: number) => values[i * channelCount + channel] ?? 0;
    gazeListener?.({
      clock: "rig",
      timesNs: times.map((time) => toNs(line, time)),
      x: times.map((_, i) => at(i, 0)),
      y: times.map((_, i) => at(i, 1)),
      valid: Uint8Array.from(times, (_, i) => (Number.isFinite(at(i, 0)) && Number.isFinite(at(i, 1)) && (channelCount < 3 || at(i, 2) > 0) ? 1 : 0)),
    });
  }

  function close(current: Running): void {
    running = null;
    last = current;
    if (current.timer !== null) clearTimeout(current.timer);
    if (current.correcting !== null) clearInterval(current.correcting);
    for (const line of [current.spikes, current.markers, current.gaze]) line?.inlet.close();
  }

  return {
    name: "Lab Streaming Layer",
    channels: () => (running ?? last)?.decoder.stream.channels() ?? [],
    start: (listener) =>
      once(async () => {
        const library = await loadLsl(options.library);
        if (!library.ok) return library;
        const lsl = library.value;
        const timeoutS = options.startTimeoutMs / 1000;
        const find = async (property: "name" | "type", value: string): Promise<Line | null> => {
          const [stream] = await lsl.resolve(property, value, timeoutS);
          return stream === undefined ? null : { stream, inlet: lsl.openInlet(stream), correctionS: 0 };
        };
        const spikes = await (options.spikesName === null ? find("type", options.spikesType) : find("name", options.spikesName));
        const missing = (what: string) => fault("noAnswer", `Expected an LSL stream ${what}, but none answered for ${timeoutS} s. Start the program that sends it, and check the rig's settings and the firewall.`);
        if (spikes === null) return missing(options.spikesName === null ? `of type "${options.spikesType}"` : `called "${options.spikesName}"`);
        const markers = options.markersName === null ? null : await find("name", options.markersName);
        const gaze = options.gazeName === null ? null : await find("name", options.gazeName);
        const closeAll = (): void => {
          for (const line of [spikes, markers, gaze]) line?.inlet.close();
        };
        if ((options.markersName !== null && markers === null) || (options.gazeName !== null && gaze === null)) {
          closeAll();
          return missing(`called "${markers === null && options.markersName !== null ? options.markersName : options.gazeName}"`);
        }
        const text = [spikes, gaze].find((line) => line?.stream.isText === true);
        if (text !== undefined && text !== null) {
          closeAll();
          return fault("badStream", `Expected numbers in the stream "${text.stream.name}", got texts. Choose another stream.`);
        }
        if (spikes.stream.channelCount < 2) {
          closeAll();
          return fault("badStream", `Expected a spike stream with two channels (channel number, unit), got "${spikes.stream.name}" with ${spikes.stream.channelCount}. Choose another stream.`);
        }
        for (const line of [spikes, markers, gaze]) {
          if (await correct(line, timeoutS)) continue;
          closeAll();
          return fault("noAnswer", `Expected "${line?.stream.name ?? ""}" to tell its clock, but it did not for ${timeoutS} s. Check the network, or switch timeCorrection off where all streams are of one computer.`);
        }
        address = `lsl: ${spikes.stream.name} (${lsl.file})`;
        const current: Running = {
          listener, lsl, spikes, markers, gaze, startedHostNs: clock.now(), newestHostNs: null, timer: null, correcting: null, isCorrecting: false,
          decoder: createLslDecoder({
            options,
            spikesName: spikes.stream.name,
            markersName: markers?.stream.name ?? "",
            emit: (event) => {
              if (running === current) listener(event);
            },
          }),
        };
        running = current;
        current.decoder.stream.announce();
        if (options.timeCorrection) {
          current.correcting = setInterval(() => {
            if (current.isCorrecting) return;
            current.isCorrecting = true;
            void Promise.all([spikes, markers, gaze].map((line) => correct(line, 2))).finally(() => {
              current.isCorrecting = false;
            });
          }, correctionEveryMs);
        }
        poll(current);
        return ok(undefined);
      }),
    status() {
      const shown = running ?? last;
      return statusOfStream(shown === null ? null : { stream: shown.decoder.stream, packets: shown.decoder.samples, newestHostNs: shown.newestHostNs }, { address, connected: running !== null && !running.decoder.stream.isAway });
    },
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.decoder.stream.flush(clock.now());
      close(current);
      current.listener({ kind: "end", reason: "The LSL source was stopped." });
    },
    gaze(listener) {
      gazeListener = listener;
    },
  };
}
