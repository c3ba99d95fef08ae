// A synthetic animal that looks at a list of images: the rig's spikes, counted in the response window around each image. No trials, no eye.
import { createEarlyVision } from "../../src/acquisition/synthetic/earlyVision.ts";
import type { SyntheticRigOptions } from "../../src/acquisition/synthetic/options.ts";
import { createSyntheticRig } from "../../src/acquisition/synthetic/rig.ts";
import type { GroundTruth } from "../../src/acquisition/synthetic/truth.ts";
import type { Matrix64 } from "../../src/analysis/matrix.ts";
import { defaultResponseWindow, measureRates } from "../../src/analysis/responses.ts";
import { createVirtualClock } from "../../src/loop/clock.ts";
import type { Encoder } from "../../src/shared/ports.ts";
import { addMs } from "../../src/shared/units.ts";
import type { ImageBatch } from "../../src/shared/values.ts";

export interface Viewing {
  /** Spikes/s of every channel for every presentation, [presentations, channels]. */
  readonly rates: Matrix64;
  /** Image of every presentation. */
  readonly imageIndices: Int32Array;
  readonly truth: GroundTruth;
  readonly channels: readonly { readonly index: number; readonly name: string; readonly area: string }[];
}

/** Early vision, whose images need not be computed twice: the rig and the fits ask for the same ones. */
export function aSharedEncoder(): Encoder {
  return createEarlyVision();
}

/** Shows every image `repeats` times, 100 ms on and 150 ms off, in an order of its own for every repeat. */
export async function showImages(options: { readonly seed: number; readonly images: readonly ImageBatch[]; readonly repeats: number; readonly rig?: Partial<SyntheticRigOptions> }): Promise<Viewing> {
  const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  const rig = createSyntheticRig({ seed: options.seed, clock, encoder: null, options: { channelsPerArray: 8, silentChannels: 0, noisyChannels: 0, multiUnitShare: 0, ...options.rig } });
  const channels = rig.source.channels();
  const times: number[][] = channels.map(() => []);
  await rig.truth.ready();
  await Promise.all(options.images.map((image, i) => rig.retina.see(i, image)));
  await rig.source.start((event) => {
    if (event.kind !== "spikes") return;
    event.batch.channels.forEach((channel, i) => times[channel]?.push(event.batch.timesRigNs[i]!));
  });
  const shown: number[] = [];
  const count = options.images.length * options.repeats;
  let done = false;
  const step = (presentation: number): void => {
    if (presentation === count) {
      clock.setTimer(addMs(clock.now(), 500), () => (done = true));
      return;
    }
    // A stride that shares no factor with the number of images, another one for every repeat, gives each image once.
    const image = (presentation * strideFor(options.images.length) + Math.floor(presentation / options.images.length)) % options.images.length;
    shown.push(image);
    rig.retina.lit(image, presentation, clock.now());
    clock.setTimer(addMs(clock.now(), 100), () => {
      rig.retina.lit(null, presentation, clock.now());
      clock.setTimer(addMs(clock.now(), 150), () => step(presentation + 1));
    });
  };
  clock.setTimer(addMs(clock.now(), 300), () => step(0));
  await clock.run(() => done);
  await rig.source.stop();
  const onsets = new Map(rig.truth.onsets().map((onset) => [onset.presentationId, onset.onsetRigNs]));
  const onsetsNs = Float64Array.from(shown, (_, presentation) => onsets.get(presentation) ?? Number.NaN);
  return {
    rates: measureRates({ spikeTimesNs: times.map((list) => Float64Array.from(list)), onsetsNs, window: defaultResponseWindow }),
    imageIndices: Int32Array.from(shown), truth: rig.truth, channels,
  };
}

function strideFor(count: number): number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  for (let stride = Math.floor(count * 0.618); ; stride++) if (gcd(stride, count) === 1) return stride;
}
