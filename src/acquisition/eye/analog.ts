// Gaze on two analog inputs of the recording system, the oldest way there is: any tracker with an analog output. The samples carry the rig's own
// time. Knows nothing about which recording system it is.
import { z } from "zod";
import { fault, ok } from "../../shared/result.ts";
import type { SpikeSource } from "../../shared/ports.ts";
import type { AnalogBlock } from "../../shared/values.ts";
import type { RawGaze } from "./gaze.ts";

export const analogEyeOptionsSchema = z.strictObject({
  channelX: z.string().min(1).default("ADC1").meta({ description: "Continuous channel with the horizontal place, by the name that the recording system gives it." }),
  channelY: z.string().min(1).default("ADC2").meta({ description: "Continuous channel with the vertical place." }),
  sampleRateHz: z.number().min(50).max(2000).default(500).meta({ description: "Samples per second that are kept: means of so many of the recording system's.", unit: "Hz" }),
  lostBelow: z.number().nullable().default(null).meta({ description: "Both channels below this value: the tracker does not see the eye; none: it cannot be told." }),
  lostAbove: z.number().nullable().default(null).meta({ description: "Both channels above this value: the tracker does not see the eye; none: it cannot be told." }),
});
export type AnalogEyeOptions = z.infer<typeof analogEyeOptionsSchema>;

interface Kept {
  readonly startRigNs: number;
  readonly sampleRateHz: number;
  readonly samples: Float32Array;
}

export function createAnalogEye({ source, options }: { readonly source: SpikeSource; readonly options: AnalogEyeOptions }): RawGaze {
  let waitingX: Kept[] = [];
  let waitingY: Kept[] = [];

  return {
    name: `Eye on ${options.channelX} and ${options.channelY}`,
    address: source.name,
    isDegrees: false,
    async start(listener) {
      if (source.analog === undefined) return fault("noAnalog", `Expected a recording system that sends continuous channels, but ${source.name} sends none here. Choose another eye tracker, or another way to connect this one.`);
      waitingX = [];
      waitingY = [];
      source.analog((block: AnalogBlock) => {
        if (block.channel !== options.channelX && block.channel !== options.channelY) return;
        const kept: Kept = { startRigNs: block.startRigNs, sampleRateHz: block.sampleRateHz, samples: block.samples() };
        (block.channel === options.channelX ? waitingX : waitingY).push(kept);
        pair();
      });

      /** Blocks of one place in time belong together; one without the other (a lost message) is dropped. */
      function pair(): void {
        for (let x = waitingX[0], y = waitingY[0]; x !== undefined && y !== undefined; x = waitingX[0], y = waitingY[0]) {
          const apartNs = x.startRigNs - y.startRigNs;
          if (Math.abs(apartNs) > 0.5e9 / x.sampleRateHz) {
            if (apartNs < 0) waitingX.shift();
            else waitingY.shift();
            continue;
          }
          waitingX.shift();
          waitingY.shift();
          give(x, y);
        }
        if (waitingX.length > 64) waitingX = waitingX.slice(-8);
        if (waitingY.length > 64) waitingY = waitingY.slice(-8);
      }

      function give(x: Kept, y: Kept): void {
        const samples = Math.min(x.samples.length, y.samples.length);
        const each = Math.max(1, Math.round(x.sampleRateHz / options.sampleRateHz));
        const count = Math.ceil(samples / each);
        const timesNs = new Float64Array(count);
        const xs = new Float64Array(count);
        const ys = new Float64Array(count);
        const valid = new Uint8Array(count);
        for (let k = 0; k < count; k++) {
          const from = k * each;
          const to = Math.min(samples, from + each);
          let sumX = 0;
          let sumY = 0;
          for (let i = from; i < to; i++) {
            sumX += x.samples[i] ?? 0;
            sumY += y.samples[i] ?? 0;
          }
          const meanX = sumX / (to - from);
          const meanY = sumY / (to - from);
          timesNs[k] = Math.round(x.startRigNs + (((from + to - 1) / 2) * 1e9) / x.sampleRateHz);
          xs[k] = meanX;
          ys[k] = meanY;
          const isLow = options.lostBelow !== null && meanX < options.lostBelow && meanY < options.lostBelow;
          const isHigh = options.lostAbove !== null && meanX > options.lostAbove && meanY > options.lostAbove;
          valid[k] = isLow || isHigh ? 0 : 1;
        }
        listener.samples({ clock: "rig", timesNs, x: xs, y: ys, valid });
      }
      return ok(undefined);
    },
    async stop() {
      source.analog?.(null);
    },
  };
}
