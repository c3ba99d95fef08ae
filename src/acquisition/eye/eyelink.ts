// EyeLink through SR Research's own library, where it is installed: the newest sample, asked for all the time. The library is not ours to give away:
// its functions and its sample are declared here by their binary layout alone. Protocol notes: docs/rigs/eye.md. Knows nothing about degrees.
import { z } from "zod";
import type { Clock } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { nsPerMs } from "../../shared/units.ts";
import type { RawGaze } from "./gaze.ts";

export const eyelinkOptionsSchema = z.strictObject({
  host: z.string().min(1).default("100.1.1.1").meta({ description: "Address of the EyeLink host computer." }),
  library: z.string().default("").meta({ description: "File of SR Research's library (eyelink_core); empty: where the system finds it." }),
  eye: z.enum(["left", "right"]).default("right").meta({ description: "Eye that is used where both are tracked." }),
  space: z.enum(["gaze", "href", "pupil"]).default("gaze").meta({ description: "gaze = the host's screen pixels after its own calibration; href = head-referenced; pupil = camera units." }),
  transportMs: z.number().min(0).max(50).default(3).meta({ description: "From the exposure of the camera to the sample, at least.", unit: "ms" }),
});
export type EyelinkOptions = z.infer<typeof eyelinkOptionsSchema>;

/** Size and places of the fields of the library's float sample, bytes. */
const sampleBytes = 96;
const field = { timeMs: 0, pupil: [8, 16], href: [24, 32], area: 40, gaze: [48, 56] } as const;
/** What the library gives for an eye that it does not see. */
const missing = -32_768;

const names: Readonly<Record<string, readonly string[]>> = {
  linux: ["libeyelink_core.so", "libeyelink_core.so.3.1"],
  win32: ["eyelink_core64.dll", "eyelink_core.dll"],
  darwin: ["/Library/Frameworks/eyelink_core.framework/eyelink_core"],
};
const pollMs = 1;
const offsetWindowMs = 10_000;

interface Library {
  readonly setAddress: (address: string) => number;
  readonly open: (mode: number) => number;
  readonly isConnected: () => number;
  readonly startRecording: (fileSamples: number, fileEvents: number, linkSamples: number, linkEvents: number) => number;
  readonly newestSample: (buffer: Buffer) => number;
  readonly stopRecording: () => void;
  readonly close: () => void;
}

async function load(file: string): Promise<Result<Library, Fault>> {
  let koffi: (typeof import("koffi"))["default"];
  try {
    koffi = (await import("koffi")).default;
  } catch (error) {
    return fault("driverMissing", `The loader of shared libraries could not be loaded: ${messageOf(error)}. Install the program again.`);
  }
  const tried = file === "" ? (names[process.platform] ?? []) : [file];
  const problems: string[] = [];
  for (const name of tried) {
    try {
      const library = koffi.load(name);
      return ok({
        setAddress: library.func("int16_t set_eyelink_address(const char *address)"),
        open: library.func("int16_t open_eyelink_connection(int16_t mode)"),
        isConnected: library.func("int16_t eyelink_is_connected()"),
        startRecording: library.func("int16_t start_recording(int16_t, int16_t, int16_t, int16_t)"),
        newestSample: library.func("int16_t eyelink_newest_float_sample(void *sample)"),
        stopRecording: library.func("void stop_recording()"),
        close: library.func("int16_t close_eyelink_connection()"),
      });
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  return fault("noEyelinkLibrary", `Expected SR Research's EyeLink library (${tried.join(" or ") || "none known for this system"}), found none that can be loaded (${problems.join("; ")}). Install the EyeLink Developers Kit, or name the library's file.`);
}

export function createEyelink({ clock, options }: { readonly clock: Clock; readonly options: EyelinkOptions }): RawGaze {
  let stopping: (() => void) | null = null;
  return {
    name: "EyeLink",
    address: options.host,
    isDegrees: false,
    async start(listener) {
      const loaded = await load(options.library);
      if (!loaded.ok) return loaded;
      const library = loaded.value;
      library.setAddress(options.host);
      const opened = library.open(0);
      if (opened !== 0) return fault("noAnswer", `Expected an EyeLink host at ${options.host}, but its library answers ${opened}. Switch the host on, and check cable and address.`);
      const recording = library.startRecording(0, 0, 1, 0);
      if (recording !== 0) {
        library.close();
        return fault("eyelinkRefused", `The EyeLink host at ${options.host} did not start to send samples (${recording}). Leave its set-up screen and start again.`);
      }
      const sample = Buffer.alloc(sampleBytes);
      const [fieldX, fieldY] = field[options.space];
      const at = options.eye === "left" ? 0 : 4;
      let lastMs = -1;
      let isAway = false;
      /** Smallest distance of the clocks, by half windows: the sample that was fetched soonest. */
      let offsets = { now: Infinity, before: Infinity, sinceNs: clock.now() as number };

      const poll = setInterval(() => {
        const nowNs = clock.now();
        if (library.newestSample(sample) !== 1) {
          const connected = library.isConnected() > 0;
          if (!connected && !isAway) {
            isAway = true;
            listener.problem(`The EyeLink host at ${options.host} has closed the connection. The gaze counts as outside. Check the host; start the session again when it is back.`);
          }
          return;
        }
        if (isAway) {
          isAway = false;
          listener.problem(null);
        }
        const timeMs = sample.readUInt32LE(field.timeMs);
        if (timeMs === lastMs) return;
        lastMs = timeMs;
        offsets.now = Math.min(offsets.now, nowNs - timeMs * nsPerMs);
        if (nowNs - offsets.sinceNs > (offsetWindowMs / 2) * nsPerMs) offsets = { now: nowNs - timeMs * nsPerMs, before: offsets.now, sinceNs: nowNs };
        const hostNs = timeMs * nsPerMs + Math.min(offsets.now, offsets.before) - options.transportMs * nsPerMs;
        const x = sample.readFloatLE(fieldX + at);
        const y = sample.readFloatLE(fieldY + at);
        const seen = x !== missing && y !== missing && sample.readFloatLE(field.area + at) > 0;
        listener.samples({ clock: "host", timesNs: Float64Array.of(Math.round(hostNs)), x: Float64Array.of(x), y: Float64Array.of(y), valid: Uint8Array.of(seen ? 1 : 0) });
      }, pollMs);
      stopping = () => {
        clearInterval(poll);
        library.stopRecording();
        library.close();
      };
      return ok(undefined);
    },
    async stop() {
      stopping?.();
      stopping = null;
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
