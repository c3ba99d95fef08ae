// A spike source over the Lab Streaming Layer: a stream of spikes, and beside it markers and gaze where they are named. Conventions of the
// streams: docs/rigs/lsl.md. Knows nothing about how the library talks to the network.
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import { msBetween, nsPerMs, nsPerS } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { RawGazeBatch, SourceEvent } from "../../../shared/values.ts";
import { startsOnce, statusOfStream } from "../common/ends.ts";
import { createSpikeStream } from "../common/spikeStream.ts";
import type { SpikeStream } from "../common/spikeStream.ts";
import { loadLsl } from "./library.ts";
import type { Lsl, LslInlet, LslStream } from "./library.ts";
import type { LslOptions } from "./options.ts";

/** Channel numbers of the spike stream that are no channels. */
export const heartbeatChannel = -1;
export const photodiodeChannel = -2;
const correctionEveryMs = 5000;

interface Line {
  readonly stream: LslStream;
  readonly inlet: LslInlet;
  correctionS: number;
}

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly stream: SpikeStream;
  readonly lsl: Lsl;
  readonly spikes: Line;
  readonly markers: Line | null;
  readonly gaze: Line | null;
  readonly startedHostNs: HostTimeNs;
  newestHostNs: HostTimeNs | null;
  samples: number;
  /** Rig time that a heartbeat has vouched for; null: the stream has none. */
  heartbeatNs: number | null;
  /** Newest time stamp of a spike, as rig time. */
  newestStampNs: number;
  timer: NodeJS.Timeout | null;
  correcting: NodeJS.Timeout | null;
  isCorrecting: boolean;
}

export function createLslSource({ clock, options }: { readonly clock: Clock; readonly options: LslOptions }): SpikeSource {
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
    const { stream } = current;
    const now = clock.now();
    // Markers before spikes: the heartbeats of the spikes let both go.
    const markers = current.markers?.inlet.pull();
    if (current.markers !== null && markers !== null && markers !== undefined) {
      const { channelCount, name } = current.markers.stream;
      let unread = 0;
      let firstUnread = "";
      for (const [i, time] of markers.times.entries()) {
        const value = Math.round(markers.values[i * channelCount] ?? NaN);
        if (value >= 0) {
          stream.mark({ kind: "strobe", rigNs: toNs(current.markers, time), line: 0, state: true, word: value }, now);
          continue;
        }
        if (unread === 0) firstUnread = markers.texts === null ? String(markers.values[i * channelCount]) : `"${(markers.texts[i * channelCount] ?? "").slice(0, 100)}"`;
        unread += 1;
      }
      if (unread > 0) stream.report({ kind: "malformed", reason: `expected event codes, whole numbers of 0 or more, in the markers of "${name}", got ${firstUnread}${unread > 1 ? ` and ${unread - 1} more` : ""}`, packets: unread }, now);
    }
    const spikes = current.spikes.inlet.pull();
    if (spikes !== null && spikes.times.length > 0) {
      current.newestHostNs = now;
      stream.alive(now);
      const { channelCount } = current.spikes.stream;
      for (const [i, time] of spikes.times.entries()) takeSpike(current, toNs(current.spikes, time), spikes.values[i * channelCount] ?? 0, spikes.values[i * channelCount + 1] ?? 0, now);
      current.samples += spikes.times.length;
    }
    const gaze = current.gaze?.inlet.pull();
    if (current.gaze !== null && gaze !== null && gaze !== undefined && gaze.times.length > 0) giveGaze(current.gaze, gaze.values, gaze.times);
    // Without heartbeats: what has had the time to come, by the clock that the time stamps are on.
    const byClockNs = options.timeCorrection ? Math.round(current.lsl.localClockS() * nsPerS) : current.newestStampNs;
    if (current.heartbeatNs !== null) stream.advance(current.heartbeatNs, now);
    else if (current.samples > 0) stream.advance(byClockNs - options.holdBackMs * nsPerMs, now);
    const ageMs = msBetween(current.newestHostNs ?? current.startedHostNs, now);
    if (ageMs >= options.staleMs && !stream.isAway) stream.away({ kind: "stale", ageMs }, now);
    // The library has threads of its own: it is asked in real time, also where the session's clock stands still.
    current.timer = setTimeout(() => poll(current), options.pollMs);
  }

  function takeSpike(current: Running, rigNs: number, channel: number, unit: number, now: HostTimeNs): void {
    const { stream } = current;
    current.newestStampNs = Math.max(current.newestStampNs, rigNs);
    if (channel === heartbeatChannel) {
      current.heartbeatNs = Math.max(current.heartbeatNs ?? 0, rigNs);
    } else if (channel === photodiodeChannel) {
      stream.mark({ kind: "photodiode", rigNs, line: 0, state: unit > 0, word: null }, now);
    } else if (Number.isInteger(channel) && channel >= 0 && channel < 65_536 && Number.isInteger(unit) && unit >= 0) {
      stream.spike(rigNs, stream.channelOf(options.channels[channel] ?? `CH${channel}`), unit, now);
    } else {
      stream.report({ kind: "malformed", reason: `expected a channel and a unit in a sample of "${current.spikes.stream.name}", got ${channel} and ${unit}`, packets: 1 }, now);
    }
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
    const closeAll = (): void => {
      for (const line of [current.spikes, current.markers, current.gaze]) line?.inlet.close();
    };
    // Not under the feet of the library's own thread.
    if (!current.isCorrecting) closeAll();
    else setTimeout(closeAll, 3000).unref();
  }

  return {
    name: "Lab Streaming Layer",
    channels: () => (running ?? last)?.stream.channels() ?? [],
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
          listener, lsl, spikes, markers, gaze, startedHostNs: clock.now(), newestHostNs: null, samples: 0, heartbeatNs: null, newestStampNs: -Infinity, timer: null, correcting: null, isCorrecting: false,
          stream: createSpikeStream({
            channels: options.channels,
            areas: options.areas,
            emit: (event) => {
              if (running === current) listener(event);
            },
          }),
        };
        running = current;
        current.stream.announce();
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
      return statusOfStream(shown === null ? null : { stream: shown.stream, packets: shown.samples, newestHostNs: shown.newestHostNs }, { address, connected: running !== null && !running.stream.isAway });
    },
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.stream.flush(clock.now());
      close(current);
      current.listener({ kind: "end", reason: "The LSL source was stopped." });
    },
    gaze(listener) {
      gazeListener = listener;
    },
  };
}
