// What every driver does with its spikes and marks once they have a rig time: lists channels as they appear, holds what is too new, lets it
// go in time order with a watermark, counts, and says when the peer is away and back. Pure but for its state; knows nothing about protocols.
import { addMs, msBetween, nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import { createSpikeHold } from "../../spikeHold.ts";
import type { ChannelInfo, RigMark, SourceEvent, SourceFault } from "../../../shared/values.ts";

export interface SpikeStreamOptions {
  /** Channels to list from the start, in this order; others follow as they appear. */
  readonly channels: readonly string[];
  /** Channel name -> area, by the beginning of the name; "" where none fits. */
  readonly areas: readonly { readonly prefix: string; readonly area: string }[];
  readonly emit: (event: SourceEvent) => void;
}

export interface SpikeStream {
  /** Index of a channel, listed when first named. */
  channelOf(name: string): number;
  /** A spike at a rig time. `unit` above 255 is kept as 255 and reported. */
  spike(rigNs: number, channel: number, unit: number, arrivedHostNs: HostTimeNs): void;
  mark(mark: { readonly kind: RigMark["kind"]; readonly rigNs: number; readonly line: number; readonly state: boolean; readonly word: number | null }, arrivedHostNs: HostTimeNs): void;
  /** Everything before `rigNs` has come: lets it go. Never goes back. */
  advance(rigNs: number, arrivedHostNs: HostTimeNs): void;
  /** Lets everything go that is held: the numbering starts again, or the stream ends. */
  flush(arrivedHostNs: HostTimeNs): void;
  report(fault: SourceFault, arrivedHostNs: HostTimeNs): void;
  /** The peer is out of sight. Said once, until it is back. */
  away(fault: Extract<SourceFault, { readonly kind: "stale" | "lost" }>, nowHostNs: HostTimeNs): void;
  /** Something of the peer has come. */
  alive(nowHostNs: HostTimeNs): void;
  /** Lists the channels again where there are new ones, before anything else is said of them. */
  announce(): void;
  channels(): readonly ChannelInfo[];
  readonly watermarkRigNs: number;
  readonly isAway: boolean;
  readonly counts: { readonly spikes: number; readonly lateSpikes: number; readonly packetsLost: number; readonly packetsMalformed: number };
}

export function createSpikeStream(options: SpikeStreamOptions): SpikeStream {
  const { emit } = options;
  const channels: ChannelInfo[] = [];
  const indexOf = new Map<string, number>();
  let hasNewChannels = false;
  const hold = createSpikeHold(emit);
  let awaySinceHostNs: HostTimeNs | null = null;
  let newestHostNs: HostTimeNs | null = null;
  let isUnitReported = false;
  const counts = { packetsLost: 0, packetsMalformed: 0 };

  for (const name of options.channels) channelOf(name);

  function channelOf(name: string): number {
    const known = indexOf.get(name);
    if (known !== undefined) return known;
    const index = channels.length;
    const area = options.areas.find(({ prefix }) => name.startsWith(prefix))?.area ?? "";
    channels.push({ index, name, area, positionMm: null });
    indexOf.set(name, index);
    hasNewChannels = true;
    return index;
  }

  function announce(): void {
    if (!hasNewChannels) return;
    hasNewChannels = false;
    emit({ kind: "channels", channels: [...channels] });
  }

  function report(fault: SourceFault, arrivedHostNs: HostTimeNs): void {
    if (fault.kind === "gap") counts.packetsLost += fault.lostPackets;
    if (fault.kind === "malformed") counts.packetsMalformed += fault.packets;
    emit({ kind: "fault", fault, arrivedHostNs });
  }

  function advance(rigNs: number, arrivedHostNs: HostTimeNs): void {
    if (!(rigNs > hold.watermarkNs())) return;
    announce();
    hold.deliver(rigNs, arrivedHostNs);
  }

  return {
    channelOf,
    announce,
    advance,
    report,
    spike(rigNs, channel, unit, arrivedHostNs) {
      if (unit > 255 && !isUnitReported) {
        isUnitReported = true;
        report({ kind: "malformed", reason: `expected sorted units up to 255, got ${unit}; higher ones are recorded as 255`, packets: 0 }, arrivedHostNs);
      }
      hold.add(rigNs, channel, Math.min(255, unit));
    },
    mark({ rigNs, ...mark }, arrivedHostNs) {
      hold.addMark({ ...mark, rigNs: rigTimeNs(rigNs) }, arrivedHostNs);
    },
    flush(arrivedHostNs) {
      announce();
      hold.flush(arrivedHostNs);
    },
    away(fault, nowHostNs) {
      // A silence that turns out to be a closed connection is told as one.
      if (awaySinceHostNs === null) awaySinceHostNs = newestHostNs ?? (fault.kind === "stale" ? addMs(nowHostNs, -fault.ageMs) : nowHostNs);
      else if (fault.kind === "stale") return;
      report(fault, nowHostNs);
    },
    alive(nowHostNs) {
      if (awaySinceHostNs !== null) {
        const awayMs = msBetween(awaySinceHostNs, nowHostNs);
        awaySinceHostNs = null;
        report({ kind: "reconnected", awayMs }, nowHostNs);
      }
      newestHostNs = nowHostNs;
    },
    channels: () => [...channels],
    get watermarkRigNs() {
      return hold.watermarkNs();
    },
    get isAway() {
      return awaySinceHostNs !== null;
    },
    get counts() {
      return { ...hold.counts(), ...counts };
    },
  };
}

/** Ticks of a rig's clock to its time in ns that never goes back: where the ticks do, the jump is told and time goes on. */
export interface RigClock {
  /** Rig time of a tick by the present numbering. `tick` may be of a counter that wraps. */
  toNs(tick: number): number;
  /** Tells the clock where the stream is. Returns the jump that this shows, if any; times from then on are of the new numbering. */
  reach(tick: number, arrivedHostNs: HostTimeNs, flush: () => number): { readonly jumpMs: number; readonly atRigNs: number } | null;
  readonly reachedRigNs: number | null;
}

/** How much earlier than the fastest transport so far a packet must be for the clock to have jumped forward, ms. */
const forwardJumpMs = 100;
/** Drift moves the fastest transport: it is kept over this span. */
const bucketNs = 5000 * nsPerMs;
const buckets = 12;

/**
 * `counterTicks`: the counter's size where it wraps (2 ** 32), else null. `backTicks`: how far the stream may step back without having been
 * started again. With `forward` a step forward that no transport explains is a jump; without it the caller tells a loss by the ticks.
 */
export function createRigClock({ tickHz, counterTicks, backTicks, forward }: { readonly tickHz: number; readonly counterTicks: number | null; readonly backTicks: number; readonly forward: boolean }): RigClock {
  let baseNs = 0;
  let wrapTicks = 0;
  let newest: number | null = null;
  let newestHostNs: HostTimeNs | null = null;
  let fastest: { readonly bucket: number; ns: number }[] = [];

  function unwrap(tick: number): number {
    if (counterTicks === null || newest === null) return tick + wrapTicks;
    const whole = tick + wrapTicks;
    if (newest - whole > counterTicks / 2) return whole + counterTicks;
    if (whole - newest > counterTicks / 2) return whole - counterTicks;
    return whole;
  }

  const toNs = (whole: number) => baseNs + Math.round((whole * 1e9) / tickHz);

  function learn(whole: number, arrivedHostNs: HostTimeNs): void {
    newest = whole;
    newestHostNs = arrivedHostNs;
    if (counterTicks !== null) while (whole - wrapTicks >= counterTicks) wrapTicks += counterTicks;
    const transportNs = arrivedHostNs - toNs(whole);
    const bucket = Math.floor(arrivedHostNs / bucketNs);
    const last = fastest.at(-1);
    if (last !== undefined && last.bucket === bucket) last.ns = Math.min(last.ns, transportNs);
    else {
      fastest.push({ bucket, ns: transportNs });
      if (fastest.length > buckets) fastest.shift();
    }
  }

  return {
    toNs: (tick) => toNs(unwrap(tick)),
    reach(tick, arrivedHostNs, flush) {
      const whole = unwrap(tick);
      if (newest === null || newestHostNs === null) {
        learn(whole, arrivedHostNs);
        return null;
      }
      if (whole < newest - backTicks) {
        // The counter was started again: time goes on by this computer's clock.
        const expectedNs = Math.max(toNs(newest) + Math.max(0, arrivedHostNs - newestHostNs), flush());
        const jumpMs = (toNs(tick) - expectedNs) / nsPerMs;
        wrapTicks = 0;
        baseNs = Math.round(expectedNs - (tick * 1e9) / tickHz);
        fastest = [];
        learn(tick, arrivedHostNs);
        return { jumpMs, atRigNs: expectedNs };
      }
      const transportNs = arrivedHostNs - toNs(whole);
      const fastestNs = fastest.reduce((least, one) => Math.min(least, one.ns), Infinity);
      if (forward && transportNs < fastestNs - forwardJumpMs * nsPerMs) {
        const expectedNs = arrivedHostNs - fastestNs;
        const jumpMs = (toNs(whole) - expectedNs) / nsPerMs;
        fastest = [];
        learn(whole, arrivedHostNs);
        return { jumpMs, atRigNs: toNs(whole) };
      }
      learn(Math.max(whole, newest), arrivedHostNs);
      return null;
    },
    get reachedRigNs() {
      return newest === null ? null : toNs(newest);
    },
  };
}
