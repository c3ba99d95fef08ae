// From the line's items to a stream of source events: puts them in order, counts what is missing, finds jumps and restarts of the rig's clock.
// Pure but for its state; knows nothing about sockets.
import { msBetween, nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { RawGazeBatch, SourceEvent } from "../../../shared/values.ts";
import { createDisorder } from "../common/disorder.ts";
import { createSequence } from "../common/sequence.ts";
import type { SequenceOutcome } from "../common/sequence.ts";
import { createRigClock, createSpikeStream } from "../common/spikeStream.ts";
import type { SpikeStream } from "../common/spikeStream.ts";
import type { LineOptions } from "./options.ts";
import { createLineParser, sequenceSize } from "./protocol.ts";
import type { LineItem } from "./protocol.ts";

const windowItems = 256;
const restartItems = 4096;

export interface LineStream {
  readonly stream: SpikeStream;
  take(piece: Uint8Array, arrivedHostNs: HostTimeNs): void;
  settle(nowHostNs: HostTimeNs): void;
  finish(nowHostNs: HostTimeNs): void;
  /** A connection was made afresh: the rest of a line that was cut off will not come. */
  clear(): void;
  onGaze(listener: ((batch: RawGazeBatch) => void) | null): void;
  readonly packets: number;
}

export function createLineDecoder(options: LineOptions, emit: (event: SourceEvent) => void): LineStream {
  const stream = createSpikeStream({ channels: options.channels, areas: options.areas, emit });
  const parser = createLineParser({ isDatagram: options.transport === "udp" });
  const sequence = createSequence<LineItem>({ size: sequenceSize, windowPackets: windowItems, restartPackets: restartItems });
  const clock = createRigClock({ tickHz: options.tickHz, counterTicks: options.counterBits === null ? null : 2 ** options.counterBits, backTicks: Math.ceil((options.holdBackMs * options.tickHz) / 1000), forward: true });
  const holdBackNs = options.holdBackMs * nsPerMs;
  /** Channel as the rig numbers it -> the name that a C line gave it. */
  const names = new Map<string, string>();
  let gazeListener: ((batch: RawGazeBatch) => void) | null = null;
  let gaze: { ns: number; x: number; y: number; valid: number }[] = [];
  let reachedNs = -Infinity;
  let packets = 0;
  const disorder = createDisorder("lines", (fault, nowHostNs) => stream.report(fault, nowHostNs));
  let waitingSinceHostNs: HostTimeNs | null = null;

  const nameOf = (channel: string) => names.get(channel) ?? (/^\d+$/.test(channel) ? (options.channels[Number(channel)] ?? `CH${channel}`) : channel);

  function takeItem(item: LineItem, lostBefore: number, arrivedHostNs: HostTimeNs): void {
    packets += 1;
    const jump = clock.reach(item.tick, arrivedHostNs, () => {
      stream.flush(arrivedHostNs);
      return stream.watermarkRigNs;
    });
    if (jump !== null) stream.report({ kind: "clockJump", jumpMs: jump.jumpMs, atRigNs: rigTimeNs(jump.atRigNs) }, arrivedHostNs);
    const itemNs = clock.toNs(item.tick);
    if (lostBefore > 0) stream.report({ kind: "gap", lostPackets: lostBefore, stream: "lines", atRigNs: rigTimeNs(Math.max(itemNs, stream.watermarkRigNs)) }, arrivedHostNs);
    for (const event of item.events) {
      switch (event.kind) {
        case "spike":
          stream.spike(clock.toNs(event.tick), stream.channelOf(nameOf(event.channel)), event.unit, arrivedHostNs);
          break;
        case "mark":
          stream.mark({ kind: event.line === options.photodiodeLine ? "photodiode" : event.word !== null && event.state ? "strobe" : "ttl", rigNs: clock.toNs(event.tick), line: event.line, state: event.state, word: event.word }, arrivedHostNs);
          break;
        case "photodiode":
          stream.mark({ kind: "photodiode", rigNs: clock.toNs(event.tick), line: 0, state: event.state, word: null }, arrivedHostNs);
          break;
        case "eye":
          gaze.push({ ns: clock.toNs(event.tick), x: event.xDeg, y: event.yDeg, valid: event.valid ? 1 : 0 });
          break;
        case "name":
          names.set(event.channel, event.name);
          stream.channelOf(event.name);
          break;
      }
    }
    reachedNs = Math.max(reachedNs, item.isWatermark ? itemNs : itemNs - holdBackNs);
  }

  function takeOrdered(outcome: SequenceOutcome<LineItem>, arrivedHostNs: HostTimeNs): void {
    disorder.count(outcome);
    for (const { packet, lostBefore } of outcome.packets) takeItem(packet, lostBefore, arrivedHostNs);
    if (sequence.waiting === 0) waitingSinceHostNs = null;
    else waitingSinceHostNs ??= arrivedHostNs;
  }

  function giveGaze(): void {
    if (gaze.length === 0) return;
    const samples = gaze.sort((a, b) => a.ns - b.ns);
    gaze = [];
    gazeListener?.({
      clock: "rig",
      timesNs: Float64Array.from(samples, (one) => one.ns),
      x: Float64Array.from(samples, (one) => one.x),
      y: Float64Array.from(samples, (one) => one.y),
      valid: Uint8Array.from(samples, (one) => one.valid),
    });
  }

  function settle(nowHostNs: HostTimeNs): void {
    if (waitingSinceHostNs !== null && msBetween(waitingSinceHostNs, nowHostNs) >= options.reorderMs) takeOrdered(sequence.giveUp(), nowHostNs);
    stream.advance(reachedNs, nowHostNs);
    giveGaze();
    disorder.tell(nowHostNs);
  }

  return {
    stream,
    take(piece, arrivedHostNs) {
      stream.alive(arrivedHostNs);
      for (const parsed of parser.take(piece)) {
        if (parsed.kind === "malformed") {
          stream.report({ kind: "malformed", reason: parsed.reason, packets: 1 }, arrivedHostNs);
          continue;
        }
        const outcome = sequence.take(parsed.item.number, parsed.item);
        takeOrdered(outcome, arrivedHostNs);
      }
    },
    settle,
    finish(nowHostNs) {
      takeOrdered(sequence.giveUp(), nowHostNs);
      stream.flush(nowHostNs);
      giveGaze();
      disorder.tell(nowHostNs, true);
    },
    clear: () => parser.clear(),
    onGaze(listener) {
      gazeListener = listener;
    },
    get packets() {
      return packets;
    },
  };
}
