// From the ZMQ Interface's messages to a stream of source events: channels as electrodes appear, spikes in time order, marks, faults.
// Pure but for its state; knows nothing about sockets. Time goes in as the host time at which a message arrived.
//
// What the program guarantees, seen in a recording of it: within a block of its clock it publishes spikes (in the order of electrodes,
// not of time) and TTL events, then one data message per continuous channel. A spike may be older than the block in which it is
// published: the detector waits for the waveform. So all spikes before (end of a block - hold-back) have come once the block's data have.
//
// Rig time is sample number / sample rate, and never goes back: where the sample numbers do (acquisition restarted, recorded file played
// in a loop) the jump is reported and rig time goes on.
import { addMs, hostTimeNs, nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { AnalogBlock, ChannelInfo, SourceEvent, SourceFault } from "../../../shared/values.ts";
import { parseMessage } from "./message.ts";
import type { DataMessage, SpikeMessage, TtlMessage } from "./message.ts";

export interface DecoderOptions {
  /** Sample rate to take before (or without) continuous data, Hz; null: wait for the data messages to say. */
  readonly sampleRateHz: number | null;
  /** Spikes may be this much older than the block in which they are published, ms. Grows when a spike was older. */
  readonly holdBackMs: number;
  /** Longest block without continuous data to tell, samples. */
  readonly blockSamplesMax: number;
  /** Electrodes to list from the start, in this order; others follow as they appear. */
  readonly electrodes: readonly string[];
  /** Electrode name -> area, by the beginning of the name; "" where none fits. */
  readonly areas: readonly { readonly prefix: string; readonly area: string }[];
  /** TTL line that carries the photodiode; left out or null: none. */
  readonly photodiodeLine?: number | null;
}

export interface DecoderStatus {
  readonly spikes: number;
  readonly messages: number;
  /** Running balance: messages that the numbering says were published and that never came. */
  readonly messagesLost: number;
  readonly messagesMalformed: number;
  /** Spikes that came after the watermark had passed them. They are delivered all the same. */
  readonly lateSpikes: number;
  readonly sampleRateHz: number | null;
  readonly streams: readonly string[];
}

export interface OpenEphysDecoder {
  /** Takes one multipart message. */
  take(parts: readonly Uint8Array[], arrivedHostNs: HostTimeNs): void;
  /** Delivers what can be delivered without more messages: called when the socket has nothing more for now. */
  settle(nowHostNs: HostTimeNs): void;
  /** Delivers everything that is held, at the end of the stream. */
  finish(nowHostNs: HostTimeNs): void;
  /** The transport has lost sight of the program: says so now, and says when the stream is back. */
  away(fault: Extract<SourceFault, { readonly kind: "stale" | "lost" }>, nowHostNs: HostTimeNs): void;
  /** Who wants the continuous data; null: nobody. */
  onContinuous(listener: ((block: AnalogBlock) => void) | null): void;
  channels(): readonly ChannelInfo[];
  status(): DecoderStatus;
}

const defaultSampleRateHz = 30_000;
/** How long spikes are held for a sample rate that does not come, ms. */
const sampleRateWaitMs = 1500;
/** Losses that are continuous data only are reported together, at most this often, ms. */
const continuousReportMs = 1000;
/** Below this count of channels a lost spike and a lost block of data cannot be told apart. */
const channelsToTell = 4;

type Timed = SpikeMessage | TtlMessage;

/** One stream of the program: a sample clock of its own. */
interface Stream {
  readonly name: string;
  sampleRateHz: number | null;
  /** Rig time of sample 0, ns; changes at a jump. */
  baseNs: number;
  /** One past the newest sample of which data have come, in rig time; null before the first data. */
  dataEndNs: number | null;
  dataEndSample: number | null;
  blockSamples: number;
  /** Are the data messages of each block coming? Not after a gap, until the next one. */
  isDataFlowing: boolean;
  newestSample: number | null;
  lastArrivedHostNs: number;
  /** Spikes and events whose block is not known yet, in order of arrival. */
  undecided: Timed[];
  /** Everything before this rig time has come, as far as this stream can tell. */
  watermarkNs: number;
  /** Channel numbers of the data messages in a block. */
  readonly blockChannels: Set<number>;
  channelsPerBlock: number;
}

interface HeldSpike {
  readonly timeNs: number;
  readonly channel: number;
  readonly unit: number;
}

export function createOpenEphysDecoder(options: DecoderOptions, emit: (event: SourceEvent) => void): OpenEphysDecoder {
  const streams = new Map<string, Stream>();
  const channels: ChannelInfo[] = [];
  const channelOf = new Map<string, number>();
  const keyOfName = new Map<string, string>();
  let held: HeldSpike[] = [];
  let heldMarks: { readonly timeNs: number; readonly ttl: TtlMessage; readonly arrivedHostNs: HostTimeNs }[] = [];
  let watermarkNs = 0;
  let lastMessageNum: number | null = null;
  let lastSampleOfAny: number | null = null;
  /** The newest message, if it was a data message. */
  let lastData: DataMessage | null = null;
  let isUnitReported = false;
  let awaySinceHostNs: HostTimeNs | null = null;
  /** The message in hand is the first one since the stream is back. */
  let hasJustComeBack = false;
  let newestArrivedHostNs: HostTimeNs | null = null;
  let deliveredHostNs: HostTimeNs | null = null;
  let holdBackMs = options.holdBackMs;
  let firstUntimedHostNs: number | null = null;
  let spikeCount = 0;
  let messageCount = 0;
  let lostCount = 0;
  let malformedCount = 0;
  let lateCount = 0;
  let continuousLost = 0;
  let isUnknownAmongLost = false;
  let continuousStream = "";
  let continuousReportedHostNs = -Infinity;
  let channelsChanged = false;

  for (const name of options.electrodes) addChannel(name, name);

  function areaOf(name: string): string {
    return options.areas.find(({ prefix }) => name.startsWith(prefix))?.area ?? "";
  }

  function addChannel(key: string, name: string): number {
    const index = channels.length;
    channels.push({ index, name, area: areaOf(name), positionMm: null });
    channelOf.set(key, index);
    keyOfName.set(name, key);
    channelsChanged = true;
    return index;
  }

  /** Index of an electrode, listed when first seen. Electrodes of one name in several streams or nodes are told apart. */
  function channelIndex(spike: SpikeMessage): number {
    const key = `${spike.stream}\u0000${spike.sourceNode}\u0000${spike.electrode}`;
    const known = channelOf.get(key);
    if (known !== undefined) return known;
    const listed = channelOf.get(spike.electrode);
    if (listed !== undefined && keyOfName.get(spike.electrode) === spike.electrode) {
      channelOf.set(key, listed);
      keyOfName.set(spike.electrode, key);
      return listed;
    }
    return addChannel(key, keyOfName.has(spike.electrode) ? `${spike.electrode} (${spike.stream}, node ${spike.sourceNode})` : spike.electrode);
  }

  function streamOf(name: string): Stream {
    const known = streams.get(name);
    if (known !== undefined) return known;
    const stream: Stream = {
      name,
      sampleRateHz: options.sampleRateHz,
      baseNs: 0,
      dataEndNs: null,
      dataEndSample: null,
      blockSamples: options.blockSamplesMax,
      isDataFlowing: false,
      newestSample: null,
      lastArrivedHostNs: 0,
      undecided: [],
      watermarkNs: -Infinity,
      blockChannels: new Set(),
      channelsPerBlock: 0,
    };
    streams.set(name, stream);
    return stream;
  }

  function toNs(stream: Stream, sampleNum: number): number {
    return stream.baseNs + Math.round((sampleNum * 1e9) / (stream.sampleRateHz ?? defaultSampleRateHz));
  }

  // ------------------------------------------------------------------------------------------------------------
  // Delivery

  function deliver(upToNs: number, arrived: HostTimeNs): void {
    if (!(upToNs > watermarkNs)) return;
    // What an old numbering still held goes out as of when it came; arrivals never go back.
    const arrivedHostNs = deliveredHostNs !== null && arrived < deliveredHostNs ? deliveredHostNs : arrived;
    deliveredHostNs = arrivedHostNs;
    if (channelsChanged) {
      channelsChanged = false;
      emit({ kind: "channels", channels: [...channels] });
    }
    // Marks of the span first: their watermark is the batch's.
    const marks = heldMarks.filter((mark) => mark.timeNs < upToNs).sort((a, b) => a.timeNs - b.timeNs);
    if (marks.length > 0) {
      heldMarks = heldMarks.filter((mark) => mark.timeNs >= upToNs);
      for (const { timeNs, ttl, arrivedHostNs: markArrived } of marks) {
        emit({ kind: "mark", mark: { kind: ttl.line === options.photodiodeLine ? "photodiode" : "ttl", rigNs: rigTimeNs(timeNs), line: ttl.line, state: ttl.state, word: ttl.word }, arrivedHostNs: markArrived });
      }
    }
    const due = held.filter((spike) => spike.timeNs < upToNs).sort((a, b) => a.timeNs - b.timeNs || a.channel - b.channel);
    if (due.length > 0) held = held.filter((spike) => spike.timeNs >= upToNs);
    const timesRigNs = new Float64Array(due.length);
    const channelIndices = new Uint16Array(due.length);
    const units = new Uint8Array(due.length);
    for (const [i, spike] of due.entries()) {
      timesRigNs[i] = spike.timeNs;
      channelIndices[i] = spike.channel;
      units[i] = spike.unit;
    }
    watermarkNs = Math.max(watermarkNs, upToNs);
    spikeCount += due.length;
    emit({ kind: "spikes", batch: { timesRigNs, channels: channelIndices, units, watermarkRigNs: rigTimeNs(watermarkNs), arrivedHostNs } });
  }

  /** The watermark of the whole: the earliest of the streams that are alive. */
  function advance(arrivedHostNs: HostTimeNs): void {
    let lowest = Infinity;
    for (const stream of streams.values()) {
      // A stream that has been quiet for a second does not hold up the others.
      if (arrivedHostNs - stream.lastArrivedHostNs > 1000 * nsPerMs) continue;
      if (stream.sampleRateHz !== null) lowest = Math.min(lowest, stream.watermarkNs);
    }
    if (Number.isFinite(lowest)) deliver(lowest, arrivedHostNs);
  }

  function report(fault: SourceFault, arrivedHostNs: HostTimeNs): void {
    emit({ kind: "fault", fault, arrivedHostNs });
  }

  // ------------------------------------------------------------------------------------------------------------
  // Times

  function hold(stream: Stream, item: Timed, arrivedHostNs: HostTimeNs): void {
    const timeNs = toNs(stream, item.sampleNum);
    if (item.kind === "ttl") {
      heldMarks.push({ timeNs, ttl: item, arrivedHostNs });
      return;
    }
    if (timeNs < watermarkNs) {
      lateCount += 1;
      holdBackMs = Math.max(holdBackMs, (watermarkNs - timeNs) / nsPerMs + holdBackMs);
    }
    if (item.sortedId > 255 && !isUnitReported) {
      isUnitReported = true;
      report({ kind: "malformed", reason: `expected sorted units up to 255, got ${item.sortedId} on ${item.electrode}; higher ones are recorded as 255`, packets: 0 }, arrivedHostNs);
    }
    held.push({ timeNs, channel: channelIndex(item), unit: Math.min(255, item.sortedId) });
  }

  /** Sample numbers have jumped: rig time goes on at `rigNs` for `sampleNum`. */
  function rebase(stream: Stream, sampleNum: number, rigNs: number, arrivedHostNs: HostTimeNs): void {
    const before = stream.baseNs;
    const rate = stream.sampleRateHz ?? defaultSampleRateHz;
    stream.baseNs = Math.round(rigNs - (sampleNum * 1e9) / rate);
    stream.newestSample = null;
    report({ kind: "clockJump", jumpMs: (before - stream.baseNs) / nsPerMs, atRigNs: rigTimeNs(rigNs) }, arrivedHostNs);
  }

  /** Where rig time is by this computer's clock, for a jump over an unknown span. */
  function elapsedNs(stream: Stream, arrivedHostNs: HostTimeNs): number {
    const newestNs = stream.newestSample === null ? (stream.dataEndNs ?? watermarkNs) : toNs(stream, stream.newestSample);
    return Math.max(watermarkNs, stream.dataEndNs ?? 0, newestNs) + Math.max(0, arrivedHostNs - stream.lastArrivedHostNs);
  }

  function isBack(stream: Stream, sampleNum: number): boolean {
    const newest = Math.max(stream.newestSample ?? -Infinity, stream.dataEndSample ?? -Infinity);
    // Spikes of one block come in any order; a quarter of a second is more than any block.
    const toleranceSamples = Math.max(2 * stream.blockSamples, (stream.sampleRateHz ?? defaultSampleRateHz) / 4);
    return sampleNum < newest - toleranceSamples;
  }

  /** Without data messages a spike must tell by itself whether the numbering has started again. */
  function decideAlone(stream: Stream, arrivedHostNs: HostTimeNs): void {
    const items = stream.undecided;
    stream.undecided = [];
    for (const item of items) {
      if (isBack(stream, item.sampleNum)) {
        const rigNs = elapsedNs(stream, arrivedHostNs);
        flushHeld(hostTimeNs(stream.lastArrivedHostNs));
        stream.dataEndSample = null;
        rebase(stream, item.sampleNum, rigNs, arrivedHostNs);
      }
      stream.newestSample = Math.max(stream.newestSample ?? -Infinity, item.sampleNum);
      hold(stream, item, arrivedHostNs);
    }
    if (stream.newestSample !== null) {
      const behindNs = (stream.blockSamples * 1e9) / (stream.sampleRateHz ?? defaultSampleRateHz) + holdBackMs * nsPerMs;
      stream.watermarkNs = Math.max(stream.watermarkNs, toNs(stream, stream.newestSample) - behindNs);
    }
  }

  let onContinuous: ((block: AnalogBlock) => void) | null = null;

  /** Nothing older can come any more: the numbering starts again. */
  function flushHeld(arrivedHostNs: HostTimeNs): void {
    let newest = watermarkNs;
    for (const spike of held) newest = Math.max(newest, spike.timeNs + 1);
    for (const mark of heldMarks) newest = Math.max(newest, mark.timeNs + 1);
    deliver(newest, arrivedHostNs);
  }

  function takeData(stream: Stream, data: DataMessage, isContiguous: boolean, arrivedHostNs: HostTimeNs): void {
    if (stream.sampleRateHz !== data.sampleRateHz) {
      const previous = stream.sampleRateHz;
      stream.sampleRateHz = data.sampleRateHz;
      if (previous !== null && stream.newestSample !== null) {
        // Times so far were in another unit.
        rebase(stream, data.sampleNum, elapsedNs(stream, arrivedHostNs), arrivedHostNs);
        stream.dataEndSample = null;
      }
    }
    if (stream.blockChannels.has(data.channelNum)) {
      stream.channelsPerBlock = stream.blockChannels.size;
      stream.blockChannels.clear();
    }
    stream.blockChannels.add(data.channelNum);
    const endSample = data.sampleNum + data.sampleCount;
    if (stream.dataEndSample === endSample && stream.isDataFlowing) return;

    // A block that begins.
    const isOn = stream.dataEndSample === data.sampleNum;
    const wasFlowing = stream.isDataFlowing;
    // Data messages are exact where they follow each other; against spikes there is a tolerance.
    if (wasFlowing && stream.dataEndSample !== null ? data.sampleNum < stream.dataEndSample : isBack(stream, data.sampleNum)) {
      // With no message missing the new numbering goes on where the old one ended.
      const rigNs = isContiguous && wasFlowing && stream.dataEndNs !== null ? stream.dataEndNs : elapsedNs(stream, arrivedHostNs);
      flushHeld(hostTimeNs(stream.lastArrivedHostNs));
      rebase(stream, data.sampleNum, Math.max(rigNs, watermarkNs), arrivedHostNs);
    } else if (!isOn && isContiguous && wasFlowing && stream.dataEndSample !== null && stream.dataEndNs !== null) {
      // The program itself skipped samples: rig time shows the hole; no message was lost.
      const skippedMs = ((data.sampleNum - stream.dataEndSample) * 1000) / data.sampleRateHz;
      report({ kind: "clockJump", jumpMs: skippedMs, atRigNs: rigTimeNs(toNs(stream, data.sampleNum)) }, arrivedHostNs);
    }
    const items = stream.undecided;
    stream.undecided = [];
    for (const item of items) hold(stream, item, arrivedHostNs);
    stream.isDataFlowing = true;
    stream.blockSamples = Math.max(1, data.sampleCount);
    stream.dataEndSample = endSample;
    stream.newestSample = endSample;
    stream.dataEndNs = toNs(stream, endSample);
    stream.watermarkNs = Math.max(stream.watermarkNs, stream.dataEndNs - holdBackMs * nsPerMs);
  }

  // ------------------------------------------------------------------------------------------------------------
  // Message numbers

  /** True when the missing messages can only be whole blocks of continuous data, so that no spike was among them. */
  function isContinuousOnly(stream: Stream, missing: number, next: Timed | DataMessage): boolean {
    const channelCount = stream.channelsPerBlock;
    if (next.kind === "data" && lastData !== null) {
      // Within the data messages of one block.
      return next.stream === lastData.stream && next.sampleNum === lastData.sampleNum && next.channelNum === lastData.channelNum + missing + 1;
    }
    if (channelCount < channelsToTell || missing % channelCount !== 0 || lastSampleOfAny === null || next.kind === "data") return false;
    const blocks = missing / channelCount;
    const elapsed = next.sampleNum - lastSampleOfAny;
    // The file or the acquisition began again in between: nothing to compare with.
    if (isBack(stream, next.sampleNum)) return true;
    const slack = (holdBackMs * (stream.sampleRateHz ?? defaultSampleRateHz)) / 1000 + 1;
    return elapsed > (blocks - 1) * stream.blockSamples - slack && elapsed < (blocks + 1) * stream.blockSamples + slack;
  }

  function reportContinuous(atNs: number, arrivedHostNs: HostTimeNs): void {
    if (continuousLost === 0) return;
    report({ kind: "gap", lostPackets: continuousLost, stream: continuousStream, atRigNs: rigTimeNs(Math.max(0, atNs)), continuousOnly: !isUnknownAmongLost }, arrivedHostNs);
    continuousLost = 0;
    isUnknownAmongLost = false;
    continuousReportedHostNs = arrivedHostNs;
  }

  /** Compares a message's number with the one before. Returns whether nothing is missing between them. */
  function countMessage(message: SpikeMessage | TtlMessage | DataMessage | { readonly kind: "other"; readonly messageNum: number }, arrivedHostNs: HostTimeNs): boolean {
    const previous = lastMessageNum;
    lastMessageNum = message.messageNum;
    if (previous === null || message.messageNum === previous + 1) return true;
    const stream = message.kind === "other" ? null : streamOf(message.stream);
    for (const one of streams.values()) {
      if (one.sampleRateHz !== null) decideAlone(one, arrivedHostNs);
      one.isDataFlowing = false;
      one.blockChannels.clear();
    }
    if (message.messageNum <= previous) {
      // The program was started again: its count begins anew, and what was lost in between nobody knows.
      if (!hasJustComeBack) {
        awaySinceHostNs = newestArrivedHostNs;
        comeBack(arrivedHostNs);
      }
      return false;
    }
    const missing = message.messageNum - previous - 1;
    lostCount += missing;
    // The lost ones come before this message: what is complete goes out first, the report at its place behind it.
    advance(arrivedHostNs);
    const atNs = stream === null || message.kind === "other" ? watermarkNs : Math.max(watermarkNs, isBack(stream, message.sampleNum) ? watermarkNs : toNs(stream, message.sampleNum));
    // Before the first continuous data nobody can tell what the missing messages held.
    const isUnknown = stream !== null && stream.channelsPerBlock === 0;
    if (stream !== null && message.kind !== "other" && (isUnknown || isContinuousOnly(stream, missing, message))) {
      isUnknownAmongLost ||= isUnknown;
      continuousLost += missing;
      continuousStream = stream.name;
      if (arrivedHostNs - continuousReportedHostNs >= continuousReportMs * nsPerMs) reportContinuous(atNs, arrivedHostNs);
    } else {
      report({ kind: "gap", lostPackets: missing, stream: stream?.name ?? "", atRigNs: rigTimeNs(atNs) }, arrivedHostNs);
    }
    return false;
  }

  function comeBack(arrivedHostNs: HostTimeNs): void {
    report({ kind: "reconnected", awayMs: (arrivedHostNs - (awaySinceHostNs ?? arrivedHostNs)) / nsPerMs }, arrivedHostNs);
    awaySinceHostNs = null;
    hasJustComeBack = true;
  }

  function take(parts: readonly Uint8Array[], arrivedHostNs: HostTimeNs): void {
    const parsed = parseMessage(parts);
    if (!parsed.ok) {
      malformedCount += 1;
      report({ kind: "malformed", reason: parsed.error.reason, packets: 1 }, arrivedHostNs);
      return;
    }
    const message = parsed.value;
    messageCount += 1;
    if (awaySinceHostNs !== null) comeBack(arrivedHostNs);
    const isContiguous = countMessage(message, arrivedHostNs);
    hasJustComeBack = false;
    newestArrivedHostNs = arrivedHostNs;
    lastData = message.kind === "data" ? message : null;
    if (message.kind === "other") return;
    const stream = streamOf(message.stream);
    if (message.kind === "data") {
      takeData(stream, message, isContiguous, arrivedHostNs);
      const [, , payload] = parts;
      if (onContinuous !== null && payload !== undefined) onContinuous({ channel: message.channelName, startRigNs: toNs(stream, message.sampleNum), sampleRateHz: message.sampleRateHz, count: message.sampleCount, samples: () => floatsOf(payload) });
      firstUntimedHostNs = null;
      lastSampleOfAny = message.sampleNum + message.sampleCount;
    } else {
      stream.undecided.push(message);
      lastSampleOfAny = message.sampleNum;
      if (stream.sampleRateHz === null) firstUntimedHostNs ??= arrivedHostNs;
      else if (!stream.isDataFlowing) decideAlone(stream, arrivedHostNs);
      // Data stopped coming without a gap: the channels were unticked.
      else if (stream.dataEndSample !== null && message.sampleNum > stream.dataEndSample + 4 * stream.blockSamples) {
        stream.isDataFlowing = false;
        decideAlone(stream, arrivedHostNs);
      }
    }
    stream.lastArrivedHostNs = arrivedHostNs;
    advance(arrivedHostNs);
  }

  return {
    take,
    settle(nowHostNs) {
      if (firstUntimedHostNs !== null && nowHostNs - firstUntimedHostNs > sampleRateWaitMs * nsPerMs) {
        firstUntimedHostNs = null;
        for (const stream of streams.values()) {
          if (stream.sampleRateHz !== null || stream.undecided.length === 0) continue;
          stream.sampleRateHz = defaultSampleRateHz;
          report({ kind: "malformed", reason: `expected continuous data of "${stream.name}" to tell the sample rate, got none; ${defaultSampleRateHz} Hz is assumed. Tick a channel in the ZMQ Interface, or set the sample rate of the rig`, packets: 0 }, nowHostNs);
          decideAlone(stream, nowHostNs);
        }
        if (newestArrivedHostNs !== null) advance(newestArrivedHostNs);
      }
      if (continuousLost > 0 && nowHostNs - continuousReportedHostNs >= continuousReportMs * nsPerMs) reportContinuous(watermarkNs, nowHostNs);
    },
    finish(nowHostNs) {
      for (const stream of streams.values()) {
        stream.sampleRateHz ??= defaultSampleRateHz;
        decideAlone(stream, nowHostNs);
      }
      reportContinuous(watermarkNs, nowHostNs);
      if (held.length > 0 || heldMarks.length > 0) flushHeld(nowHostNs);
    },
    away(fault, nowHostNs) {
      awaySinceHostNs ??= newestArrivedHostNs ?? (fault.kind === "stale" ? addMs(nowHostNs, -fault.ageMs) : nowHostNs);
      report(fault, nowHostNs);
    },
    onContinuous(listener) {
      onContinuous = listener;
    },
    channels: () => channels,
    status: () => ({
      spikes: spikeCount,
      messages: messageCount,
      messagesLost: lostCount,
      messagesMalformed: malformedCount,
      lateSpikes: lateCount,
      sampleRateHz: [...streams.values()].find((stream) => stream.sampleRateHz !== null)?.sampleRateHz ?? options.sampleRateHz,
      streams: [...streams.keys()],
    }),
  };
}

/** The payload of a data message: float32, little-endian, at any place in memory. */
function floatsOf(payload: Uint8Array): Float32Array {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return Float32Array.from({ length: payload.byteLength >> 2 }, (_, i) => view.getFloat32(i * 4, true));
}
