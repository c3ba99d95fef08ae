// Gaze of a Lab Streaming Layer stream beside spikes of any other system: the tracker's program sends it with the time stamps of its own clock, the
// library brings them onto this computer's LSL clock, and that clock is compared with ours. Conventions: docs/rigs/eye.md. Knows nothing about degrees.
import { z } from "zod";
import type { Clock } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import { nsPerMs, nsPerS } from "../../shared/units.ts";
import { loadLsl } from "../drivers/lsl/library.ts";
import type { Lsl, LslInlet } from "../drivers/lsl/library.ts";
import type { RawGaze } from "./gaze.ts";

export const lslEyeOptionsSchema = z.strictObject({
  name: z.string().nullable().default(null).meta({ description: "Name of the stream; none: the first of its type." }),
  type: z.string().min(1).default("Gaze").meta({ description: "Type of the stream." }),
  xChannel: z.number().int().min(0).max(255).default(0).meta({ description: "Channel with the horizontal place, counted from 0." }),
  yChannel: z.number().int().min(0).max(255).default(1).meta({ description: "Channel with the vertical place." }),
  validChannel: z.number().int().min(0).max(255).nullable().default(2).meta({ description: "Channel that is above validAbove while the eye is seen; none, or more than the stream has: seen while the numbers are." }),
  validAbove: z.number().default(0).meta({ description: "Above this the eye counts as seen, e.g. 0.6 of a confidence." }),
  degrees: z.boolean().default(false).meta({ description: "The stream is in degrees from the fixation spot already: no calibration is asked for." }),
  transportMs: z.number().min(0).max(100).default(0).meta({ description: "From the exposure of the camera to the time stamp.", unit: "ms" }),
  timeCorrection: z.boolean().default(true).meta({ description: "Bring time stamps of another computer onto this one's LSL clock." }),
  library: z.string().nullable().default(null).meta({ description: "File of the liblsl library; none: EVOKED_LIBLSL, then the system's own." }),
  startTimeoutMs: z.number().min(100).max(60_000).default(5000).meta({ description: "How long a start looks for the stream.", unit: "ms" }),
});
export type LslEyeOptions = z.infer<typeof lslEyeOptionsSchema>;

const pollMs = 4;
/** How often the clocks are compared. */
const clockEveryMs = 5000;
/** Looks at both clocks of which the closest counts. */
const looks = 9;

/** Our clock less the LSL clock, ns, by the tightest of several looks at ours around one at theirs; half of that look's width is what it leaves open. */
export function compareClocks(clock: Pick<Clock, "now">, localClockS: () => number): { readonly offsetNs: number; readonly uncertaintyNs: number } {
  let best = { offsetNs: 0, uncertaintyNs: Infinity };
  for (let i = 0; i < looks; i++) {
    const before = clock.now();
    const theirsNs = localClockS() * nsPerS;
    const width = clock.now() - before;
    if (width / 2 < best.uncertaintyNs) best = { offsetNs: before + width / 2 - theirsNs, uncertaintyNs: width / 2 };
  }
  return best;
}

export function createLslEye({ clock, options }: { readonly clock: Clock; readonly options: LslEyeOptions }): RawGaze {
  const wanted = options.name === null ? `of type "${options.type}"` : `called "${options.name}"`;
  let stopping: (() => void) | null = null;
  let address = `lsl: ${options.name ?? `type ${options.type}`}`;
  let clockWords = "";

  return {
    name: "LSL gaze",
    get address() {
      return address;
    },
    isDegrees: options.degrees,
    get clockWords() {
      return clockWords;
    },
    async start(listener) {
      const library = await loadLsl(options.library);
      if (!library.ok) return library;
      const lsl: Lsl = library.value;
      const timeoutS = options.startTimeoutMs / 1000;
      const [stream] = await lsl.resolve(options.name === null ? "type" : "name", options.name ?? options.type, timeoutS);
      if (stream === undefined) return fault("noAnswer", `Expected an LSL stream ${wanted} with gaze, but none answered for ${timeoutS} s. Start the tracker's program and its LSL output, and check the name and the firewall.`);
      if (stream.isText) return fault("badStream", `Expected numbers in the stream "${stream.name}", got texts. Choose another stream for gaze.`);
      if (Math.max(options.xChannel, options.yChannel) >= stream.channelCount) return fault("badStream", `Expected gaze in channels ${options.xChannel} and ${options.yChannel} of "${stream.name}", but it has ${stream.channelCount}. Name other channels, counted from 0.`);
      const inlet: LslInlet = lsl.openInlet(stream);
      let correctionS = 0;
      let ours = compareClocks(clock, lsl.localClockS);
      let isRunning = true;
      let isComparing = false;

      async function compare(limitS: number): Promise<boolean> {
        const corrected = options.timeCorrection ? await inlet.timeCorrectionWithin(limitS) : { correctionS: 0, uncertaintyS: 0 };
        if (corrected === null) return false;
        correctionS = corrected.correctionS;
        ours = compareClocks(clock, lsl.localClockS);
        // An older library does not say how well it knows: its estimate is by the shortest way there and back, of which half is left open.
        const within = corrected.uncertaintyS === null ? "" : ` ±${((corrected.uncertaintyS * 1000 + ours.uncertaintyNs / nsPerMs)).toFixed(2)} ms`;
        clockWords = `sender's clock${options.timeCorrection ? " by LSL's time correction" : ""}${within}`;
        return true;
      }

      if (!(await compare(timeoutS))) {
        inlet.close();
        return fault("noAnswer", `Expected "${stream.name}" to tell its clock, but it did not for ${timeoutS} s. Check the network, or switch timeCorrection off where the stream is of this computer.`);
      }
      address = `lsl: ${stream.name}`;

      let lastNs = Number.NEGATIVE_INFINITY;
      let wasLost = false;
      function poll(): void {
        const chunk = inlet.pull();
        if (chunk === null) {
          if (!wasLost) listener.problem(`The LSL stream "${stream?.name ?? ""}" is gone for good: the gaze counts as outside. Start its program again, then the rig.`);
          wasLost = true;
          return;
        }
        if (chunk.times.length === 0) return;
        const channels = stream?.channelCount ?? 1;
        const at = (i: number, channel: number): number => chunk.values[i * channels + channel] ?? Number.NaN;
        const timesNs = chunk.times.map((time) => {
          const ns = Math.round((time + correctionS) * nsPerS + ours.offsetNs - options.transportMs * nsPerMs);
          lastNs = Math.max(lastNs + 1, ns);
          return lastNs;
        });
        const isSeen = (i: number): boolean => Number.isFinite(at(i, options.xChannel)) && Number.isFinite(at(i, options.yChannel)) && (options.validChannel === null || options.validChannel >= channels || at(i, options.validChannel) > options.validAbove);
        listener.samples({ clock: "host", timesNs, x: chunk.times.map((_, i) => at(i, options.xChannel)), y: chunk.times.map((_, i) => at(i, options.yChannel)), valid: Uint8Array.from(chunk.times, (_, i) => (isSeen(i) ? 1 : 0)) });
      }

      // The library has threads of its own: it is asked in real time.
      const polling = setInterval(poll, pollMs);
      const comparing = setInterval(() => {
        if (isComparing) return;
        isComparing = true;
        void compare(2).finally(() => {
          isComparing = false;
          if (!isRunning) inlet.close();
        });
      }, clockEveryMs);
      stopping = () => {
        isRunning = false;
        clearInterval(polling);
        clearInterval(comparing);
        // Not under the feet of the library's own thread.
        if (!isComparing) inlet.close();
      };
      return ok(undefined);
    },
    async stop() {
      stopping?.();
      stopping = null;
    },
  };
}
