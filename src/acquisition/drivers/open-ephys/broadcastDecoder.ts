// From the Event Broadcaster's messages to a stream of source events. Pure but for its state; knows nothing about sockets.
//
// The protocol has no message numbers and no heartbeat: a lost message cannot be seen, and where nothing spikes nothing says how far the stream is.
// The watermark is the newest event less a hold-back (within a block the program publishes in the order of electrodes, and the detector waits for
// the waveform); it grows by itself should a spike be older.
import { createRigClock, createSpikeStream } from "../common/spikeStream.ts";
import type { RigClock, SpikeStream } from "../common/spikeStream.ts";
import { msBetween, nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceEvent } from "../../../shared/values.ts";
import { parseBroadcast } from "./broadcast.ts";
import type { BroadcastSpike, BroadcastTtl } from "./broadcast.ts";
import type { BroadcastOptions } from "./broadcastOptions.ts";

export interface BroadcastStream {
  readonly stream: SpikeStream;
  /** Takes one multipart message. */
  take(parts: readonly Uint8Array[], arrivedHostNs: HostTimeNs): void;
  /** Delivers what the newest events vouch for: called when nothing more is there for now. */
  settle(nowHostNs: HostTimeNs): void;
  finish(nowHostNs: HostTimeNs): void;
  readonly packets: number;
}

const defaultSampleRateHz = 30_000;
/** A stream that has been quiet for so long does not hold up the others. */
const quietMs = 1000;
/** Spikes of one block come in any order; more than any block. */
const backMs = 250;

/** One stream of the program: a sample clock of its own. */
interface Clocked {
  readonly rateHz: number;
  readonly clock: RigClock;
  /** Rig time of the clock's zero, ns: after a change of the sample rate. */
  readonly baseNs: number;
  reachedNs: number;
  heardHostNs: HostTimeNs;
}

export function createBroadcastDecoder(options: BroadcastOptions, emit: (event: SourceEvent) => void): BroadcastStream {
  const stream = createSpikeStream({ channels: options.electrodes, areas: options.areas, emit });
  const clocks = new Map<string, Clocked>();
  const channelOf = new Map<string, number>();
  /** Electrode name -> the one electrode (stream, node) that bears it without an addition. */
  const bearer = new Map<string, string>();
  let holdBackNs = options.holdBackMs * nsPerMs;
  let isRateAssumed = false;
  let packets = 0;

  function rateOf(event: BroadcastSpike | BroadcastTtl, arrivedHostNs: HostTimeNs): number {
    const known = event.sampleRateHz ?? options.sampleRateHz;
    if (known !== null) return known;
    if (!isRateAssumed) {
      isRateAssumed = true;
      stream.report({ kind: "malformed", reason: `expected the sample rate in the rig's settings, as raw events do not carry it; ${defaultSampleRateHz} Hz is assumed. Set it, or choose JSON in the Event Broadcaster`, packets: 0 }, arrivedHostNs);
    }
    return defaultSampleRateHz;
  }

  /** Index of an electrode, listed when first seen. Electrodes of one name in several streams or nodes are told apart. */
  function channelIndex({ stream: streamName, sourceNode, electrode }: BroadcastSpike): number {
    const key = `${streamName}\u0000${sourceNode}\u0000${electrode}`;
    const known = channelOf.get(key);
    if (known !== undefined) return known;
    const name = typeof electrode === "string" ? electrode : (options.electrodes[electrode] ?? `Electrode ${electrode + 1}`);
    const isFirst = !bearer.has(name);
    if (isFirst) bearer.set(name, key);
    const index = stream.channelOf(isFirst ? name : `${name} (${streamName}, node ${sourceNode})`);
    channelOf.set(key, index);
    return index;
  }

  function clockOf(event: BroadcastSpike | BroadcastTtl, arrivedHostNs: HostTimeNs): Clocked {
    const rateHz = rateOf(event, arrivedHostNs);
    const known = clocks.get(event.stream);
    if (known?.rateHz === rateHz) return known;
    const clock = createRigClock({ tickHz: rateHz, counterTicks: null, backTicks: Math.ceil((backMs * rateHz) / 1000), forward: false });
    let baseNs = 0;
    if (known !== undefined) {
      // Samples so far were of another length: rig time goes on by this computer's clock.
      stream.flush(arrivedHostNs);
      const rigNs = Math.max(stream.watermarkRigNs, known.reachedNs) + Math.max(0, arrivedHostNs - known.heardHostNs);
      baseNs = Math.round(rigNs - clock.toNs(event.sampleNum));
      stream.report({ kind: "clockJump", jumpMs: (clock.toNs(event.sampleNum) - rigNs) / nsPerMs, atRigNs: rigTimeNs(rigNs) }, arrivedHostNs);
    }
    const made = { rateHz, clock, baseNs, reachedNs: -Infinity, heardHostNs: arrivedHostNs };
    clocks.set(event.stream, made);
    return made;
  }

  function takeEvent(event: BroadcastSpike | BroadcastTtl, arrivedHostNs: HostTimeNs): void {
    const clocked = clockOf(event, arrivedHostNs);
    const { clock, baseNs } = clocked;
    const jump = clock.reach(event.sampleNum, arrivedHostNs, () => {
      stream.flush(arrivedHostNs);
      return stream.watermarkRigNs - baseNs;
    });
    if (jump !== null) stream.report({ kind: "clockJump", jumpMs: jump.jumpMs, atRigNs: rigTimeNs(baseNs + jump.atRigNs) }, arrivedHostNs);
    const rigNs = baseNs + clock.toNs(event.sampleNum);
    if (event.kind === "spike") {
      if (rigNs < stream.watermarkRigNs) holdBackNs += stream.watermarkRigNs - rigNs;
      stream.spike(rigNs, channelIndex(event), event.sortedId, arrivedHostNs);
    } else if (event.line !== options.clockLine) {
      stream.mark({ kind: event.line === options.photodiodeLine ? "photodiode" : "ttl", rigNs, line: event.line, state: event.state, word: event.word }, arrivedHostNs);
    }
    clocked.reachedNs = Math.max(clocked.reachedNs, rigNs);
    clocked.heardHostNs = arrivedHostNs;
  }

  return {
    stream,
    take(parts, arrivedHostNs) {
      stream.alive(arrivedHostNs);
      const parsed = parseBroadcast(parts);
      if (!parsed.ok) {
        stream.report({ kind: "malformed", reason: parsed.error.reason, packets: 1 }, arrivedHostNs);
        return;
      }
      packets += 1;
      if (parsed.value.kind !== "other") takeEvent(parsed.value, arrivedHostNs);
    },
    settle(nowHostNs) {
      let lowestNs = Infinity;
      for (const one of clocks.values()) if (clocks.size === 1 || msBetween(one.heardHostNs, nowHostNs) <= quietMs) lowestNs = Math.min(lowestNs, one.reachedNs);
      if (Number.isFinite(lowestNs)) stream.advance(lowestNs - holdBackNs, nowHostNs);
    },
    finish: (nowHostNs) => stream.flush(nowHostNs),
    get packets() {
      return packets;
    },
  };
}
