// An ISCAN tracker over its serial line: pupil and corneal reflection, as they come. Protocol notes: docs/rigs/eye.md. Knows nothing about degrees.
import { z } from "zod";
import type { Clock } from "../../shared/ports.ts";
import { addMs, nsPerMs } from "../../shared/units.ts";
import { createSerialLink } from "../serial/link.ts";
import type { RawGaze } from "./gaze.ts";

export const iscanOptionsSchema = z.strictObject({
  path: z.string().min(1).default("/dev/ttyUSB0").meta({ description: "Serial port of the tracker: /dev/ttyUSB0 on Linux, COM1 on Windows." }),
  baudRate: z.number().int().min(9600).default(115_200).meta({ description: "Bits per second, as set in the tracker's serial output." }),
  values: z.union([z.literal(2), z.literal(4)]).default(4).meta({ description: "Values in a sample: 4 = pupil and corneal reflection, horizontal and vertical; 2 = pupil alone." }),
  transportMs: z.number().min(0).max(100).default(12).meta({ description: "From the exposure of the camera to the arrival of the sample.", unit: "ms" }),
});
export type IscanOptions = z.infer<typeof iscanOptionsSchema>;

const startStream = 0x80;
const stopStream = 0x81;
const header = 0x44;
/** Silence after which the tracker is asked to stream once more: it was switched on after us, or did not hear the first time. */
const askAgainMs = 1000;

export interface IscanSample {
  /** Pupil less corneal reflection, in the tracker's units; the pupil alone where there is no reflection. */
  readonly x: number;
  readonly y: number;
  /** false: all values were zero, the track is lost. */
  readonly seen: boolean;
}

export interface IscanParser {
  take(bytes: Uint8Array): readonly IscanSample[];
  /** Bytes that belonged to no sample. */
  readonly skippedBytes: number;
}

/**
 * Samples from bytes: two header bytes 0x44, then `values` little-endian words in tenths of a unit. 0x44 may be data as well, so a place is believed
 * when a header stands at the end of the sample too; a sample is given once the next one's header has come, or nothing follows.
 */
export function createIscanParser(values: 2 | 4): IscanParser {
  const length = 2 + 2 * values;
  let held = new Uint8Array(0);
  let inStep = false;
  let skipped = 0;

  const isHeader = (bytes: Uint8Array, at: number): boolean => bytes[at] === header && bytes[at + 1] === header;

  return {
    take(bytes) {
      const all = new Uint8Array(held.length + bytes.length);
      all.set(held);
      all.set(bytes, held.length);
      const samples: IscanSample[] = [];
      let at = 0;
      while (at + length <= all.length) {
        if (!isHeader(all, at)) {
          inStep = false;
          at += 1;
          skipped += 1;
          continue;
        }
        // Out of step, a header is believed only with the next one in its place.
        if (!inStep) {
          if (at + length + 2 > all.length) break;
          if (!isHeader(all, at + length)) {
            at += 1;
            skipped += 1;
            continue;
          }
          inStep = true;
        }
        samples.push(sampleOf(new DataView(all.buffer, at + 2, 2 * values), values));
        at += length;
      }
      held = all.slice(at);
      return samples;
    },
    get skippedBytes() {
      return skipped;
    },
  };
}

function sampleOf(view: DataView, values: 2 | 4): IscanSample {
  const word = (i: number): number => view.getUint16(2 * i, true);
  let sum = 0;
  for (let i = 0; i < values; i++) sum += word(i);
  const [x, y] = values === 4 ? [word(0) - word(2), word(1) - word(3)] : [word(0), word(1)];
  return { x: x / 10, y: y / 10, seen: sum > 0 };
}

export function createIscan({ clock, options }: { readonly clock: Clock; readonly options: IscanOptions }): RawGaze {
  let link: ReturnType<typeof createSerialLink> | null = null;
  let cancelAsk: () => void = () => undefined;
  return {
    name: "ISCAN",
    address: options.path,
    isDegrees: false,
    async start(listener) {
      const parser = createIscanParser(options.values);
      /** Samples come one at a time, or several at once from the adapter's buffer: evenly spaced then. */
      let lastNs = Number.NEGATIVE_INFINITY;
      let periodNs = 1e9 / 240;
      let heardNs = clock.now();
      const opened = createSerialLink({
        path: options.path, baudRate: options.baudRate,
        onBytes(bytes) {
          heardNs = clock.now();
          const samples = parser.take(bytes);
          if (samples.length === 0) return;
          const endNs = clock.now() - options.transportMs * nsPerMs;
          if (lastNs > 0 && endNs > lastNs) periodNs += ((endNs - lastNs) / samples.length - periodNs) / 50;
          const timesNs = Float64Array.from(samples, (_, i) => Math.round(Math.max(lastNs + 1 + i, endNs - (samples.length - 1 - i) * periodNs)));
          lastNs = timesNs.at(-1) ?? lastNs;
          listener.samples({ clock: "host", timesNs, x: Float64Array.from(samples, (s) => s.x), y: Float64Array.from(samples, (s) => s.y), valid: Uint8Array.from(samples, (s) => (s.seen ? 1 : 0)) });
        },
        onAway: (reason) => listener.problem(`The ISCAN at ${options.path} is gone: ${reason}. The gaze counts as outside. Check the cable; it is tried every half second.`),
        onBack() {
          opened.send(Uint8Array.of(startStream));
          listener.problem(null);
        },
      });
      const result = await opened.open();
      if (!result.ok) return result;
      link = opened;
      link.send(Uint8Array.of(startStream));
      const askAgain = (): void => {
        if (clock.now() - heardNs > askAgainMs * nsPerMs) opened.send(Uint8Array.of(startStream));
        cancelAsk = clock.setTimer(addMs(clock.now(), askAgainMs), askAgain);
      };
      askAgain();
      return result;
    },
    async stop() {
      cancelAsk();
      link?.send(Uint8Array.of(stopStream));
      await link?.drain();
      await link?.close();
      link = null;
    },
  };
}
