// How late a source's data come: what each arrival has above the floor of arrival time against sample time. The floor is the fastest arrival of
// the last minute (its own transport cannot be told from the difference of the two clocks). For people to read; decides nothing.
import type { ClockAligner, SpikeSource } from "../shared/ports.ts";
import { nsPerMs, nsPerS } from "../shared/units.ts";

/** Delivery delay of the newest sample of a batch over the last minute, ms above the fastest. */
export interface DeliveryFigures {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly arrivals: number;
}

export interface DeliveryDelay {
  /** `rigNs`: the newest sample that has come. Host time ascending. */
  add(arrivedHostNs: number, rigNs: number): void;
  /** The clocks' difference is another from here on. */
  reset(): void;
  /** `driftPpm`: how much faster the rig's clock runs, as far as known; over a minute 100 ppm are 6 ms. null: too few arrivals to say. */
  figures(driftPpm: number): DeliveryFigures | null;
}

const windowNs = 60 * nsPerS;
/** Of faster streams the latest arrival of each slot is kept, so that a minute is at most 6,000 of them. */
const slotNs = 10 * nsPerMs;
const arrivalsMin = 20;

export function createDeliveryDelay(): DeliveryDelay {
  let originHostNs = 0;
  let originRigNs = 0;
  /** Host time since the first arrival and transport less that of the first arrival: earliest and latest of each slot, ns. */
  let kept: { atNs: number; leastNs: number; mostNs: number }[] = [];
  let from = 0;

  return {
    add(arrivedHostNs, rigNs) {
      if (kept.length === 0) {
        originHostNs = arrivedHostNs;
        originRigNs = rigNs;
      }
      const atNs = arrivedHostNs - originHostNs;
      const transportNs = atNs - (rigNs - originRigNs);
      const last = kept.at(-1);
      if (last !== undefined && Math.floor(last.atNs / slotNs) === Math.floor(atNs / slotNs)) {
        last.leastNs = Math.min(last.leastNs, transportNs);
        last.mostNs = Math.max(last.mostNs, transportNs);
        return;
      }
      kept.push({ atNs, leastNs: transportNs, mostNs: transportNs });
      while ((kept[from]?.atNs ?? atNs) < atNs - windowNs) from += 1;
      if (from > 6000) {
        kept = kept.slice(from);
        from = 0;
      }
    },
    reset() {
      kept = [];
      from = 0;
    },
    figures(driftPpm) {
      const count = kept.length - from;
      if (count < arrivalsMin) return null;
      const delays = new Float64Array(count);
      let floor = Infinity;
      for (let i = 0; i < count; i++) {
        const { atNs, leastNs, mostNs } = kept[from + i] ?? { atNs: 0, leastNs: 0, mostNs: 0 };
        const driftNs = atNs * driftPpm * 1e-6;
        floor = Math.min(floor, leastNs + driftNs);
        delays[i] = mostNs + driftNs;
      }
      delays.sort();
      const above = (share: number): number => ((delays[Math.min(count - 1, Math.floor(share * count))] ?? 0) - floor) / nsPerMs;
      return { medianMs: above(0.5), p99Ms: above(0.99), arrivals: count };
    },
  };
}

/** The figures are worked out anew so often at most: they are read many times a second. */
const everyNs = nsPerS;
/** No pair of crystals drifts by more; what arrivals of a few seconds say can be far off. */
const driftPpmMax = 300;

/** Looks on as a source delivers. Where its clock jumps, or the aligner finds that it has, the floor is learnt anew. */
export function watchDelivery(source: SpikeSource, aligner: ClockAligner): { readonly source: SpikeSource; readonly delivery: () => DeliveryFigures | null } {
  const delay = createDeliveryDelay();
  let jumps = 0;
  let newestNs = -Infinity;
  let told: { readonly atNs: number; readonly figures: DeliveryFigures | null } | null = null;
  return {
    source: {
      ...source,
      name: source.name,
      start: (listener) =>
        source.start((event) => {
          if (event.kind === "spikes") {
            if (aligner.jumpsMs.length !== jumps) {
              jumps = aligner.jumpsMs.length;
              delay.reset();
            }
            newestNs = event.batch.arrivedHostNs;
            delay.add(newestNs, event.batch.watermarkRigNs);
          } else if (event.kind === "fault" && event.fault.kind === "clockJump") delay.reset();
          listener(event);
        }),
    },
    delivery() {
      if (told === null || newestNs - told.atNs >= everyNs) told = { atNs: newestNs, figures: delay.figures(Math.max(-driftPpmMax, Math.min(driftPpmMax, aligner.map()?.driftPpm ?? 0))) };
      return told.figures;
    },
  };
}

/** In words, for the rig panel and the rig check; "" while nothing is known. */
export function describeDelivery(figures: DeliveryFigures | null): string {
  return figures === null ? "" : `delivery +${figures.medianMs.toFixed(1)} ms median, +${figures.p99Ms.toFixed(figures.p99Ms < 100 ? 1 : 0)} ms p99`;
}
