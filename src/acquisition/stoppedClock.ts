// Sees that a rig's clock stood still: acquisition was stopped and started again, or the program hung, and its sample numbers went on where they
// were. The numbers themselves have no jump in them; but for as long as nothing came, this computer's clock went on. Knows nothing about protocols.
import type { SpikeSource } from "../shared/ports.ts";
import { nsPerMs, nsPerS } from "../shared/units.ts";

/** Arrivals further apart are a hole in which the clock may have stood still. */
const holeNs = 100 * nsPerMs;
/** After a hole: late data that were held up on the way catch up within this time; a clock that stood still does not. At least so many arrivals. */
const settleNs = 1000 * nsPerMs;
const settleArrivals = 5;
/** A smaller step is found from the marks themselves (acquisition/align.ts), whose tolerance is 60 ms. */
const stepNsMin = 50 * nsPerMs;
/** The fastest transport is kept over a minute: drift moves it. */
const bucketNs = 5 * nsPerS;
const buckets = 12;

/** The same source, which tells a clock that stood still as a jump back of the rig's clock, within a second of its going on. */
export function tellStoppedClock(source: SpikeSource): SpikeSource {
  let fastest: { readonly bucket: number; ns: number }[] = [];
  let newestNs: number | null = null;
  let hole: { readonly lengthNs: number; readonly endNs: number; leastNs: number; arrivals: number } | null = null;

  function forget(): void {
    fastest = [];
    newestNs = null;
    hole = null;
  }

  function learn(arrivedNs: number, transportNs: number): void {
    const bucket = Math.floor(arrivedNs / bucketNs);
    const last = fastest.at(-1);
    if (last !== undefined && last.bucket === bucket) last.ns = Math.min(last.ns, transportNs);
    else {
      fastest.push({ bucket, ns: transportNs });
      if (fastest.length > buckets) fastest.shift();
    }
  }

  /** How long the clock stood still, ns; 0 while it did not, or it is not yet known. */
  function take(arrivedNs: number, rigNs: number): number {
    const transportNs = arrivedNs - rigNs;
    const apartNs = newestNs === null ? 0 : arrivedNs - newestNs;
    newestNs = arrivedNs;
    // A hole soon after another: the clock may have stood still in both.
    if (apartNs > holeNs) hole = { lengthNs: apartNs + (hole?.lengthNs ?? 0), endNs: arrivedNs, leastNs: Infinity, arrivals: 0 };
    if (hole === null) {
      learn(arrivedNs, transportNs);
      return 0;
    }
    hole.leastNs = Math.min(hole.leastNs, transportNs);
    hole.arrivals += 1;
    const stepNs = hole.leastNs - fastest.reduce((least, one) => Math.min(least, one.ns), Infinity);
    const isOver = stepNs < stepNsMin;
    if (!isOver && (arrivedNs - hole.endNs < settleNs || hole.arrivals < settleArrivals)) return 0;
    const { lengthNs, leastNs } = hole;
    hole = null;
    // Slower by more than the hole was long: something else than a clock that stood still.
    if (isOver || !(stepNs < lengthNs + holeNs)) {
      learn(arrivedNs, transportNs);
      return 0;
    }
    fastest = [];
    learn(arrivedNs, leastNs);
    return stepNs;
  }

  return {
    ...source,
    name: source.name,
    start(listener) {
      forget();
      return source.start((event) => {
        if (event.kind === "spikes") {
          const { arrivedHostNs, watermarkRigNs } = event.batch;
          const stoodNs = take(arrivedHostNs, watermarkRigNs);
          if (stoodNs > 0) listener({ kind: "fault", fault: { kind: "clockJump", jumpMs: -stoodNs / nsPerMs, atRigNs: watermarkRigNs }, arrivedHostNs });
        } else if (event.kind === "fault" && event.fault.kind === "clockJump") forget();
        listener(event);
      });
    },
  };
}
