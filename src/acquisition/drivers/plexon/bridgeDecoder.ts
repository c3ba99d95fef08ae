// From the bridge's records to source events: datagrams in the order of their numbers, what is missing counted exactly, spikes and marks in time
// order. Pure but for its state; knows nothing about sockets.
//
// A datagram that is missing holds up those after it for a moment, because the network may have swapped them; then it is given up, and the
// gap is reported before the watermark moves on. One that comes after it was given up is delivered late.
import { recordBytes, recordKinds, recordWords } from "../../native/records.ts";
import type { RecordBatch } from "../../native/records.ts";
import { createDisorder } from "../common/disorder.ts";
import { createSpikeHold } from "../../spikeHold.ts";
import { nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { ChannelInfo, SourceEvent, SourceFault } from "../../../shared/values.ts";
import { bridgeChannelsSchema, bridgeEndSchema, bridgeFaultSchema, bridgeHeadSize, bridgeTypes, markKinds, readBridgeHead } from "./bridgeProtocol.ts";
import type { BridgeChannels } from "./bridgeProtocol.ts";

/** A missing datagram is waited for so long, ms, */
const patienceMs = 20;
/** or until so many others have come. */
const patienceDatagrams = 64;
/** Numbers of given-up datagrams that are remembered. */
const givenUpMax = 4096;

/** A datagram as it waits for its turn. */
interface Waiting {
  readonly sequence: number;
  readonly session: number;
  readonly watermarkNs: number;
  readonly untilNs: number;
  readonly recordsBefore: number;
  readonly count: number;
  readonly arrived: HostTimeNs;
  readonly content: { readonly words: Uint32Array; readonly from: number } | { readonly type: number; readonly text: Uint8Array };
}

export interface BridgeDecoderStatus {
  readonly spikes: number;
  readonly datagrams: number;
  readonly lost: number;
  readonly malformed: number;
  readonly source: string;
}

export interface BridgeDecoder {
  take(batch: RecordBatch, arrivedOf: (arrivalNs: number) => HostTimeNs): void;
  /** Gives up what has been missing for too long. */
  settle(nowHostNs: HostTimeNs): void;
  /** Delivers what is held, at the end of the stream. */
  finish(nowHostNs: HostTimeNs): void;
  away(fault: Extract<SourceFault, { readonly kind: "stale" | "lost" }>, nowHostNs: HostTimeNs): void;
  /** null until the bridge has named them all. */
  channels(): readonly ChannelInfo[] | null;
  status(): BridgeDecoderStatus;
}

/** Position of `sequence` after `reference` on a ring of 2^32. */
function ahead(sequence: number, reference: number): number {
  return (sequence - reference) | 0;
}

export function createBridgeDecoder({ areas }: { readonly areas: readonly { readonly prefix: string; readonly area: string }[] }, emit: (event: SourceEvent) => void): BridgeDecoder {
  const hold = createSpikeHold(emit);
  const disorder = createDisorder("the bridge", report);
  let session: number | null = null;
  let expected = 0;
  let recordsExpected = 0;
  /** Rig time of this session's time 0, ns. */
  let baseNs = 0;
  let waiting = new Map<number, Waiting>();
  const givenUp = new Set<number>();
  let missingSinceHostNs: HostTimeNs | null = null;
  let parts: BridgeChannels[] = [];
  let channels: readonly ChannelInfo[] | null = null;
  let source = "";
  let datagrams = 0;
  let lost = 0;
  let malformed = 0;
  let lastArrived: HostTimeNs | null = null;
  let awaySinceHostNs: HostTimeNs | null = null;
  /** Records of a datagram whose rest comes with the next batch. */
  let cutOff: ArrayBuffer | null = null;

  function report(fault: SourceFault, arrived: HostTimeNs): void {
    if (fault.kind === "malformed") malformed += fault.packets;
    emit({ kind: "fault", fault, arrivedHostNs: arrived });
  }

  function begin(first: Waiting): void {
    const wasRunning = session !== null;
    if (wasRunning) {
      // The bridge was started again: what was missing of the old numbering will not come.
      giveUpAll(first.arrived);
      hold.flush(first.arrived);
    }
    session = first.session;
    expected = first.sequence;
    recordsExpected = first.recordsBefore;
    givenUp.clear();
    waiting.clear();
    missingSinceHostNs = null;
    if (!wasRunning) return;
    const restNs = Math.max(0, lastArrived === null ? 0 : first.arrived - lastArrived);
    if (first.watermarkNs + baseNs < hold.watermarkNs()) {
      const goesOnNs = hold.watermarkNs() + restNs;
      const before = baseNs;
      baseNs = goesOnNs - first.watermarkNs;
      report({ kind: "clockJump", jumpMs: (before - baseNs) / nsPerMs, atRigNs: rigTimeNs(goesOnNs) }, first.arrived);
    } else {
      report({ kind: "clockJump", jumpMs: (first.watermarkNs + baseNs - hold.watermarkNs() - restNs) / nsPerMs, atRigNs: rigTimeNs(first.watermarkNs + baseNs) }, first.arrived);
    }
  }

  function takeDatagram(datagram: Waiting): void {
    datagrams += 1;
    if (awaySinceHostNs !== null) {
      report({ kind: "reconnected", awayMs: (datagram.arrived - awaySinceHostNs) / nsPerMs }, datagram.arrived);
      awaySinceHostNs = null;
    }
    if (session !== datagram.session) begin(datagram);
    lastArrived = datagram.arrived;
    const place = ahead(datagram.sequence, expected);
    if (place < 0) {
      if (givenUp.delete(datagram.sequence)) apply(datagram, true);
      else disorder.count({ duplicated: 1 });
      return;
    }
    if (place > 0) {
      if (waiting.has(datagram.sequence)) {
        disorder.count({ duplicated: 1 });
        return;
      }
      waiting.set(datagram.sequence, datagram);
      missingSinceHostNs ??= datagram.arrived;
      if (waiting.size > patienceDatagrams || datagram.arrived - missingSinceHostNs > patienceMs * nsPerMs) giveUp(datagram.arrived);
      return;
    }
    // Others that were sent after it are here already.
    if (waiting.size > 0) disorder.count({ reordered: 1 });
    apply(datagram, false);
    advance();
  }

  function advance(): void {
    for (;;) {
      const next = waiting.get(expected);
      if (next === undefined) break;
      waiting.delete(expected);
      apply(next, false);
    }
    missingSinceHostNs = waiting.size === 0 ? null : missingSinceHostNs;
  }

  /** The datagrams up to the first that waits are lost. */
  function giveUp(arrived: HostTimeNs): void {
    let first: Waiting | null = null;
    for (const candidate of waiting.values()) if (first === null || ahead(candidate.sequence, first.sequence) < 0) first = candidate;
    if (first === null) return;
    const lostDatagrams = ahead(first.sequence, expected);
    const lostRecords = Math.max(0, ahead(first.recordsBefore, recordsExpected));
    lost += lostDatagrams;
    for (let i = 0; i < Math.min(lostDatagrams, givenUpMax); i++) givenUp.add((expected + i) >>> 0);
    for (const sequence of givenUp) {
      if (givenUp.size <= givenUpMax) break;
      givenUp.delete(sequence);
    }
    report({ kind: "gap", lostPackets: lostDatagrams, stream: `the bridge (${lostRecords} spikes and marks in them)`, atRigNs: rigTimeNs(Math.max(hold.watermarkNs(), first.untilNs + baseNs)) }, arrived);
    expected = first.sequence;
    recordsExpected = first.recordsBefore;
    advance();
    missingSinceHostNs = waiting.size === 0 ? null : arrived;
  }

  function giveUpAll(arrived: HostTimeNs): void {
    while (waiting.size > 0) giveUp(arrived);
  }

  function apply(datagram: Waiting, isLate: boolean): void {
    const { content, arrived } = datagram;
    if (!isLate) {
      expected = (datagram.sequence + 1) >>> 0;
      recordsExpected = (datagram.recordsBefore + datagram.count) >>> 0;
    }
    if ("text" in content) applyText(content.type, content.text, arrived);
    else applyRecords(content.words, content.from, datagram.count, arrived);
    if (!isLate) hold.deliver(datagram.watermarkNs + baseNs, arrived);
  }

  function applyRecords(words: Uint32Array, from: number, count: number, arrived: HostTimeNs): void {
    for (let i = 0; i < count; i++) {
      const at = (from + i) * recordWords;
      const head = words[at + 4] ?? 0;
      const timeNs = (words[at] ?? 0) + (words[at + 1] ?? 0) * 0x1_0000_0000 + baseNs;
      const channel = head & 0xffff;
      const flags = head >>> 24;
      if (((head >>> 16) & 0xff) === recordKinds.spike) {
        hold.add(timeNs, channel, flags);
        continue;
      }
      const kind = markKinds[(flags & 15) - 1];
      if (kind === undefined) {
        report({ kind: "malformed", reason: `expected a mark of kind 1 to ${markKinds.length} from the bridge, got ${flags & 15}`, packets: 0 }, arrived);
        continue;
      }
      hold.addMark({ kind, rigNs: rigTimeNs(timeNs), line: channel, state: (flags & 16) !== 0, word: (flags & 32) === 0 ? null : (words[at + 5] ?? 0) }, arrived);
    }
  }

  function applyText(type: number, text: Uint8Array, arrived: HostTimeNs): void {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(text));
    } catch {
      report({ kind: "malformed", reason: "a message of the bridge is no JSON", packets: 1 }, arrived);
      return;
    }
    if (type === bridgeTypes.channels) {
      const parsed = bridgeChannelsSchema.safeParse(value);
      if (parsed.success) takeChannels(parsed.data);
      else report({ kind: "malformed", reason: "the bridge's list of channels cannot be read", packets: 1 }, arrived);
    } else if (type === bridgeTypes.fault) {
      const parsed = bridgeFaultSchema.safeParse(value);
      if (parsed.success) takeFault(parsed.data, arrived);
      else report({ kind: "malformed", reason: "a fault that the bridge reports cannot be read", packets: 1 }, arrived);
    } else if (type === bridgeTypes.end) {
      const parsed = bridgeEndSchema.safeParse(value);
      hold.flush(arrived);
      awaySinceHostNs ??= arrived;
      report({ kind: "lost", reason: `The bridge ended${parsed.success ? `: ${parsed.data.reason}` : ""}` }, arrived);
    }
  }

  /** What the source behind the bridge reports. Its counts of packets are its own; here only their loss and repetition are counted. */
  function takeFault(parsed: ReturnType<typeof bridgeFaultSchema.parse>, arrived: HostTimeNs): void {
    switch (parsed.kind) {
      case "gap": {
        const { continuousOnly, ...gap } = parsed;
        lost += gap.lostPackets;
        report({ ...gap, atRigNs: rigTimeNs(Math.max(hold.watermarkNs(), gap.atRigNs + baseNs)), ...(continuousOnly === undefined ? {} : { continuousOnly }) }, arrived);
        return;
      }
      case "clockJump":
        report({ ...parsed, atRigNs: rigTimeNs(parsed.atRigNs + baseNs) }, arrived);
        return;
      default:
        report(parsed, arrived);
    }
  }

  function takeChannels(part: BridgeChannels): void {
    source = part.source;
    if (part.from === 0) parts = [];
    parts.push(part);
    const listed = parts.reduce((sum, one) => sum + one.channels.length, 0);
    if (listed < part.total) return;
    const all = parts.flatMap((one) => one.channels);
    parts = [];
    const next = all.map(({ name, area, positionMm }, index) => ({ index, name, area: area === "" ? (areas.find(({ prefix }) => name.startsWith(prefix))?.area ?? "") : area, positionMm }));
    const isSame = channels !== null && channels.length === next.length && channels.every((channel, index) => channel.name === next[index]?.name);
    channels = next;
    if (!isSame) emit({ kind: "channels", channels: next });
  }

  /** Records of the datagram whose head is record `i`; null: the batch ends in it; -1: the ring was full and some are missing. */
  function wholeness(words: Uint32Array, i: number, count: number): number | null {
    const wanted = words[i * recordWords + 6] ?? 0;
    for (let k = 1; k <= wanted + 1; k++) {
      if (i + k >= count) return null;
      const kind = ((words[(i + k) * recordWords + 4] ?? 0) >>> 16) & 0xff;
      if (k === 1 ? kind !== recordKinds.frameUntil : kind !== recordKinds.spike && kind !== recordKinds.mark) return -1;
    }
    return wanted;
  }

  return {
    take(batch, arrivedOf) {
      const { takeBlob } = batch;
      let { words, doubles, count } = batch;
      if (cutOff !== null) {
        const joined = new Uint8Array(cutOff.byteLength + count * recordBytes);
        joined.set(new Uint8Array(cutOff));
        joined.set(new Uint8Array(words.buffer, words.byteOffset, count * recordBytes), cutOff.byteLength);
        cutOff = null;
        words = new Uint32Array(joined.buffer);
        doubles = new Float64Array(joined.buffer);
        count = joined.byteLength / recordBytes;
      }
      for (let i = 0; i < count; i++) {
        const at = i * recordWords;
        const kind = ((words[at + 4] ?? 0) >>> 16) & 0xff;
        const a = words[at + 5] ?? 0;
        const arrived = arrivedOf(doubles[i * 4 + 1] ?? 0);
        switch (kind) {
          case recordKinds.frame: {
            const records = wholeness(words, i, count);
            if (records === null) {
              cutOff = new Uint8Array(words.buffer, words.byteOffset + at * 4, (count - i) * recordBytes).slice().buffer;
              return;
            }
            // What the ring had no room for is missing by its number.
            if (records < 0) break;
            const next = at + recordWords;
            takeDatagram({
              sequence: a, count: records, watermarkNs: (words[at] ?? 0) + (words[at + 1] ?? 0) * 0x1_0000_0000, recordsBefore: words[at + 7] ?? 0, arrived,
              untilNs: (words[next] ?? 0) + (words[next + 1] ?? 0) * 0x1_0000_0000, session: words[next + 5] ?? 0, content: { words, from: i + 2 },
            });
            i += 1 + records;
            break;
          }
          case recordKinds.blob: {
            const bytes = takeBlob(a);
            const head = readBridgeHead(bytes);
            if (head !== null && head.type !== bridgeTypes.hello) takeDatagram({ ...head, count: 0, arrived, content: { type: head.type, text: bytes.subarray(bridgeHeadSize) } });
            break;
          }
          case recordKinds.malformed:
            report({ kind: "malformed", reason: `a datagram of ${a} bytes is none of the bridge's`, packets: 1 }, arrived);
            break;
          case recordKinds.overflow:
            report({ kind: "overflow", droppedSpikes: a }, arrived);
            break;
          default:
            break;
        }
      }
      if (lastArrived !== null) disorder.tell(lastArrived);
    },
    settle(nowHostNs) {
      disorder.tell(nowHostNs);
      if (missingSinceHostNs !== null && nowHostNs - missingSinceHostNs > patienceMs * nsPerMs) giveUp(nowHostNs);
    },
    finish(nowHostNs) {
      giveUpAll(nowHostNs);
      hold.flush(nowHostNs);
      disorder.tell(nowHostNs, true);
    },
    away(fault, nowHostNs) {
      awaySinceHostNs ??= lastArrived ?? nowHostNs;
      report(fault, nowHostNs);
    },
    channels: () => channels,
    status: () => ({ spikes: hold.counts().spikes, datagrams, lost, malformed, source }),
  };
}
