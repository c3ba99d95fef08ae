// The Lab Streaming Layer's C library, loaded at run time: found on the system or where it is named, never shipped. Knows nothing about what
// the streams carry.
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";

export interface LslStream {
  readonly name: string;
  readonly type: string;
  readonly channelCount: number;
  /** Its samples are texts, not numbers. */
  readonly isText: boolean;
  readonly info: unknown;
}

export interface LslInlet {
  /**
   * Samples that have come, row-major [count, channels], with their time stamps, s. null: the stream is lost for good. Of a text stream `texts` holds
   * them as they came, and `values` the whole numbers that they write, NaN where they write none.
   */
  pull(): { readonly values: Float64Array; readonly times: Float64Array; readonly texts: readonly string[] | null } | null;
  /** What to add to time stamps for this computer's LSL clock, s; may take a while the first time. */
  timeCorrection(timeoutS: number): Promise<number | null>;
  /** The same with how well it is known, s; null where the library is too old to say. */
  timeCorrectionWithin(timeoutS: number): Promise<{ readonly correctionS: number; readonly uncertaintyS: number | null } | null>;
  close(): void;
}

export interface LslOutlet {
  push(values: readonly number[], timeS: number): void;
  hasConsumers(): boolean;
  close(): void;
}

export interface Lsl {
  readonly file: string;
  localClockS(): number;
  resolve(property: "name" | "type", value: string, timeoutS: number): Promise<readonly LslStream[]>;
  openInlet(stream: LslStream): LslInlet;
  /** Numbers as float64, or as int32 (`isInt`), at an irregular rate. */
  openOutlet(options: { readonly name: string; readonly type: string; readonly channelCount: number; readonly sourceId: string; readonly isInt?: boolean }): LslOutlet;
}

const candidates: Readonly<Record<string, readonly string[]>> = {
  linux: ["liblsl.so.2", "liblsl.so", "liblsl64.so"],
  darwin: ["liblsl.dylib", "/opt/homebrew/lib/liblsl.dylib", "/usr/local/lib/liblsl.dylib"],
  win32: ["lsl.dll", "liblsl64.dll"],
};
const chunkSamples = 4096;
const streamsMax = 64;
/** cft_double64 of lsl_c.h. */
const doubleFormat = 2;
/** cft_int32 of lsl_c.h. */
const intFormat = 4;
/** cft_string of lsl_c.h. */
const textFormat = 3;
/** lsl_lost_error of lsl_c.h. */
const lostError = -2;
const bufferedS = 360;
/** The call that opens a stream returns after so long at most, s; the library goes on trying by itself. */
const openS = 2;

let loaded: { readonly file: string; readonly lsl: Lsl } | null = null;

/** Errors: `driverMissing`, with where it was looked for. */
export async function loadLsl(file: string | null): Promise<Result<Lsl, Fault>> {
  const named = file ?? process.env["EVOKED_LIBLSL"] ?? null;
  const tried = named === null ? (candidates[process.platform] ?? []) : [named];
  if (loaded !== null && (named === null || loaded.file === named)) return ok(loaded.lsl);
  let reason = "";
  let koffi: Pick<typeof import("koffi"), "load" | "decode">;
  try {
    koffi = (await import("koffi")).default;
  } catch (error) {
    return fault("driverMissing", `The foreign function library koffi could not be loaded: ${error instanceof Error ? error.message : String(error)}. Reinstall the program, or choose another rig.`);
  }
  for (const candidate of tried) {
    try {
      const lsl = bind(koffi, candidate);
      loaded = { file: candidate, lsl };
      return ok(lsl);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  return fault("driverMissing", `Expected the Lab Streaming Layer's library (liblsl), looked for ${tried.join(", ")}: ${reason}. Install liblsl (github.com/sccn/liblsl/releases), or name its file in the rig's settings or in EVOKED_LIBLSL.`);
}

function bind(koffi: Pick<typeof import("koffi"), "load" | "decode">, file: string): Lsl {
  const library = koffi.load(file);
  const localClock = library.func("double lsl_local_clock()");
  const resolveByProperty = library.func("int lsl_resolve_byprop(_Out_ void **buffer, uint32_t elements, const char *property, const char *value, int minimum, double timeout)");
  const getName = library.func("const char *lsl_get_name(void *info)");
  const getType = library.func("const char *lsl_get_type(void *info)");
  const getChannelCount = library.func("int lsl_get_channel_count(void *info)");
  const createInlet = library.func("void *lsl_create_inlet(void *info, int bufferS, int chunk, int recover)");
  const destroyInlet = library.func("void lsl_destroy_inlet(void *inlet)");
  const openStream = library.func("void lsl_open_stream(void *inlet, double timeout, _Out_ int *error)");
  const pullChunk = library.func("unsigned long lsl_pull_chunk_d(void *inlet, double *values, double *times, unsigned long valueCount, unsigned long timeCount, double timeout, _Out_ int *error)");
  const getFormat = library.func("int lsl_get_channel_format(void *info)");
  const pullTexts = library.func("double lsl_pull_sample_str(void *inlet, _Out_ void **texts, int count, double timeout, _Out_ int *error)");
  const destroyString = library.func("void lsl_destroy_string(void *text)");
  const timeCorrection = library.func("double lsl_time_correction(void *inlet, double timeout, _Out_ int *error)");
  // Of liblsl 1.13 and later.
  const timeCorrectionEx = optional(() => library.func("double lsl_time_correction_ex(void *inlet, _Out_ double *remoteTime, _Out_ double *uncertainty, double timeout, _Out_ int *error)"));
  const createInfo = library.func("void *lsl_create_streaminfo(const char *name, const char *type, int channels, double rate, int format, const char *sourceId)");
  const createOutlet = library.func("void *lsl_create_outlet(void *info, int chunk, int bufferS)");
  const destroyOutlet = library.func("void lsl_destroy_outlet(void *outlet)");
  const pushSample = library.func("int lsl_push_sample_dtp(void *outlet, double *values, double time, int pushThrough)");
  const haveConsumers = library.func("int lsl_have_consumers(void *outlet)");

  return {
    file,
    localClockS: () => Number(localClock()),
    resolve: (property, value, timeoutS) =>
      new Promise((resolve, reject) => {
        const infos: unknown[] = new Array<unknown>(streamsMax).fill(null);
        // In a thread of its own: the search waits for answers of the network.
        resolveByProperty.async(infos, streamsMax, property, value, 1, timeoutS, (error: unknown, count: number) => {
          if (error !== null && error !== undefined) reject(error instanceof Error ? error : new Error(String(error)));
          else resolve(infos.slice(0, Math.max(0, count)).map((info) => ({ name: String(getName(info)), type: String(getType(info)), channelCount: Number(getChannelCount(info)), isText: Number(getFormat(info)) === textFormat, info })));
        });
      }),
    openInlet(stream) {
      const inlet: unknown = createInlet(stream.info, bufferedS, 0, 1);
      const values = new Float64Array(chunkSamples * stream.channelCount);
      const times = new Float64Array(chunkSamples);
      let isClosed = false;
      /** Both open and pull begin the library's own thread where it does not run: one after the other, or there may be two. */
      let isOpening = true;
      /** Calls that other threads are in: an inlet that was destroyed under one of them would take the program with it. */
      let inFlight = 0;
      function landed(): void {
        inFlight -= 1;
        if (isClosed && inFlight === 0) destroyInlet(inlet);
      }
      inFlight += 1;
      // Begins to buffer now, not with the first pull.
      openStream.async(inlet, openS, [0], () => {
        isOpening = false;
        landed();
      });
      function pullText(): ReturnType<LslInlet["pull"]> {
        const texts: string[] = [];
        const stamps: number[] = [];
        while (stamps.length < chunkSamples) {
          const error = [0];
          const sample: unknown[] = new Array<unknown>(stream.channelCount).fill(null);
          const stamp = Number(pullTexts(inlet, sample, stream.channelCount, 0, error));
          if (error[0] === lostError) return null;
          if (stamp === 0 || error[0] !== 0) break;
          stamps.push(stamp);
          for (const text of sample) {
            texts.push(text === null ? "" : String(koffi.decode(text, "char", -1)));
            if (text !== null) destroyString(text);
          }
        }
        return { values: Float64Array.from(texts, wordOf), times: Float64Array.from(stamps), texts };
      }
      return {
        pull() {
          if (isOpening || isClosed) return { values: new Float64Array(0), times: new Float64Array(0), texts: null };
          if (stream.isText) return pullText();
          const error = [0];
          const count = Number(pullChunk(inlet, values, times, values.length, times.length, 0, error)) / stream.channelCount;
          // -1 is a timeout, which is no sample.
          if (error[0] === lostError) return null;
          return { values: values.slice(0, count * stream.channelCount), times: times.slice(0, count), texts: null };
        },
        timeCorrection: (timeoutS) =>
          new Promise((resolve) => {
            const error = [0];
            inFlight += 1;
            timeCorrection.async(inlet, timeoutS, error, (problem: unknown, seconds: number) => {
              resolve(isClosed || (problem !== null && problem !== undefined) || error[0] !== 0 ? null : seconds);
              landed();
            });
          }),
        timeCorrectionWithin(timeoutS) {
          if (timeCorrectionEx === null) return this.timeCorrection(timeoutS).then((correctionS) => (correctionS === null ? null : { correctionS, uncertaintyS: null }));
          return new Promise((resolve) => {
            const error = [0];
            const uncertainty = [0];
            inFlight += 1;
            timeCorrectionEx.async(inlet, [0], uncertainty, timeoutS, error, (problem: unknown, correctionS: number) => {
              resolve(isClosed || (problem !== null && problem !== undefined) || error[0] !== 0 ? null : { correctionS, uncertaintyS: uncertainty[0] ?? null });
              landed();
            });
          });
        },
        close() {
          if (isClosed) return;
          isClosed = true;
          if (inFlight === 0) destroyInlet(inlet);
        },
      };
    },
    openOutlet({ name, type, channelCount, sourceId, isInt = false }) {
      const outlet: unknown = createOutlet(createInfo(name, type, channelCount, 0, isInt ? intFormat : doubleFormat, sourceId), 0, bufferedS);
      const sample = new Float64Array(channelCount);
      return {
        push(values, timeS) {
          sample.set(values);
          pushSample(outlet, sample, timeS, 1);
        },
        hasConsumers: () => Number(haveConsumers(outlet)) !== 0,
        close: () => destroyOutlet(outlet),
      };
    },
  };
}

/** A function that not every version of the library has; null where this one has not. */
function optional<T>(find: () => T): T | null {
  try {
    return find();
  } catch {
    return null;
  }
}

/** The whole number that a text writes in decimal digits; NaN where it writes none. */
function wordOf(text: string): number {
  const digits = text.trim();
  const word = /^\d+$/.test(digits) ? Number(digits) : NaN;
  return Number.isSafeInteger(word) ? word : NaN;
}
