// From one Blackrock device's records to source events: spikes in time order, marks, losses by the device's own count of packets, its clock.
// Pure but for its state; knows nothing about sockets.
//
// Every 10 ms the device says how many packets it has sent since it last said so (SYSPROTOCOLMONITOR, itself included). A span whose count
// is right is settled: its spikes go out and the watermark passes it. Where packets are missing the span waits for the next count, because
// datagrams that overtook each other take from one span what they add to the next; only a balance that does not come out even is loss, and
// it is reported before the watermark passes the span. So no response is counted from a span of which something is missing.
//
// Rig time is the device's time in ns. It never goes back: where the device starts again the jump is reported and rig time goes on.
import { recordKinds, recordWords } from "../../native/records.ts";
import type { RecordBatch } from "../../native/records.ts";
import { nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { RigMark, SourceFault } from "../../../shared/values.ts";
import { createDisorder } from "../common/disorder.ts";
import { commentLine, packetTypes, readCommentCode, readHead, readSystemInfo, runLevels } from "./packets.ts";
import type { BlackrockProtocol } from "./packets.ts";

export interface BlackrockDecoderOptions {
  /** As reports name the device. */
  readonly name: string;
  readonly protocol: BlackrockProtocol;
  /** 1e9 where times are ns already. */
  readonly tickHz: number;
  readonly holdBackMs: number;
  readonly noise: "leaveOut" | "keep" | "unsorted";
  readonly photodiodeLine: number | null;
  readonly photodiodeChannel: number | null;
  /** Digital inputs by the device's numbering; null: not known, every digital packet is one. */
  readonly digitalChannels: ReadonlySet<number> | null;
  /** Device time at which rig time is 0, for all devices of a system, whose clocks are one; null until the first packet of any. */
  readonly origin: { at: DeviceTime | null };
  /** Index in the source's list of a channel of the device, listed when first seen. */
  channelIndex(deviceChannel: number): number;
}

/** A 64-bit time of the device, in two halves. */
export interface DeviceTime {
  readonly low: number;
  readonly high: number;
}

/** Where the decoder puts what it finds. */
export interface BlackrockOutlet {
  spike(timeNs: number, channel: number, unit: number): void;
  mark(mark: RigMark, arrivedHostNs: HostTimeNs): void;
  fault(fault: SourceFault, arrivedHostNs: HostTimeNs): void;
  /** Everything of this device before this time has been handed over. */
  reached(watermarkNs: number, arrivedHostNs: HostTimeNs): void;
  /** The device's clock starts again: nothing older will come; answers where rig time goes on at the earliest, ns. */
  restart(arrivedHostNs: HostTimeNs): number;
}

export interface BlackrockDecoderStatus {
  readonly packets: number;
  readonly lost: number;
  readonly malformed: number;
  readonly noiseLeftOut: number;
  readonly isRunning: boolean;
}

export interface BlackrockDecoder {
  /** `arrivedOf` turns an arrival of the records into host time. Answers whether the device streams: answers to requests alone are no stream. */
  take(batch: RecordBatch, arrivedOf: (arrivalNs: number) => HostTimeNs): boolean;
  /** The transport has heard nothing for a while. */
  silent(ageMs: number, nowHostNs: HostTimeNs): void;
  /** The stream ends: tells what was kept back for a later report. */
  finish(nowHostNs: HostTimeNs): void;
  status(): BlackrockDecoderStatus;
}

/** More than this ahead of the newest time that can be is a jump of the clock; so is this much back. */
const jumpBackMs = 250;
const jumpAheadMs = 20;
/** Counts of packets that must have come before it is known how fresh data are: the first ones may have waited for this computer. */
const freshSamplesMin = 16;
/** Without a count of packets for so long the watermark follows the spikes. */
const countlessMs = 500;
/** Times above this are counted from the first one, so that differences stay exact: 52 days in ns. */
const wholeNsMax = 2 ** 52;

export function createBlackrockDecoder(options: BlackrockDecoderOptions, outlet: BlackrockOutlet): BlackrockDecoder {
  const { tickHz } = options;
  const holdBackNs = options.holdBackMs * nsPerMs;
  const disorder = createDisorder(options.name, (fault, nowHostNs) => outlet.fault(fault, nowHostNs));
  let base: DeviceTime | null = null;
  /** Rig time of the base, ns. */
  let baseNs = 0;
  let newestNs = Number.NEGATIVE_INFINITY;
  /** Newest rig time minus its arrival: what fresh data look like. */
  let freshestNs = Number.NEGATIVE_INFINITY;
  let freshestHostNs = 0;
  let freshSamples = 0;
  let lastArrived: HostTimeNs | null = null;

  // The count of packets.
  let hasBaseline = false;
  let monitorNs = Number.NEGATIVE_INFINITY;
  let monitorCounter = 0;
  let balance = 0;
  let missingMonitors = 0;
  let pendingNs: number | null = null;
  /** Packets between two counts. */
  let meanSent = 1;
  /** Time between two counts; from the first two. */
  let periodNs = 0;
  /** The first spike since the newest count: its time and its arrival. */
  let uncounted: { readonly timeNs: number; readonly arrived: HostTimeNs } | null = null;
  let surplusMonitors = 0;
  let backMonitors = 0;
  let isCountlessReported = false;

  let digitalWord = 0;
  let isRunning = true;
  let awaySinceHostNs: HostTimeNs | null = null;
  let packets = 0;
  let lost = 0;
  let malformed = 0;
  let noiseLeftOut = 0;

  function toNs(low: number, high: number): number {
    if (base === null) {
      const whole = low + high * 0x1_0000_0000;
      options.origin.at ??= whole * (1e9 / tickHz) < wholeNsMax ? { low: 0, high: 0 } : { low, high };
      base = options.origin.at;
    }
    const ticks = (high - base.high) * 0x1_0000_0000 + (low - base.low);
    return baseNs + (tickHz === 1e9 ? ticks : Math.round((ticks * 1e9) / tickHz));
  }

  /** Rig time goes on at `atNs` with this device time. */
  function rebase(low: number, high: number, atNs: number): void {
    base = { low, high };
    baseNs = Math.round(atNs);
  }

  /** The time of a record, with jumps of the device's clock seen and reported. */
  function timeOf(low: number, high: number, arrived: HostTimeNs): number {
    let timeNs = toNs(low, high);
    if (timeNs < newestNs - jumpBackMs * nsPerMs) timeNs = restart(low, high, timeNs, arrived);
    else if (timeNs > newestNs) {
      if (newestNs !== Number.NEGATIVE_INFINITY) {
        // Drift of up to 500 ppm is no jump. Nor are data that come fresher than any before: their times follow on those of the data before.
        const aheadNs = timeNs - arrived - freshestNs - (arrived - freshestHostNs) * 5e-4;
        const jumpNs = Math.min(aheadNs, timeNs - newestNs);
        if (jumpNs > jumpAheadMs * nsPerMs && freshSamples >= freshSamplesMin) {
          outlet.fault({ kind: "clockJump", jumpMs: Math.round((jumpNs / nsPerMs) * 1000) / 1000, atRigNs: rigTimeNs(timeNs) }, arrived);
          forgetFreshness();
        }
      }
      if (timeNs - arrived > freshestNs) {
        freshestNs = timeNs - arrived;
        freshestHostNs = arrived;
      }
      newestNs = timeNs;
    }
    return timeNs;
  }

  function restart(low: number, high: number, deviceNs: number, arrived: HostTimeNs): number {
    const elapsedNs = lastArrived === null ? 0 : Math.max(0, arrived - lastArrived);
    const atNs = Math.max(outlet.restart(arrived), newestNs + elapsedNs);
    rebase(low, high, atNs);
    outlet.fault({ kind: "clockJump", jumpMs: (deviceNs - atNs) / nsPerMs, atRigNs: rigTimeNs(atNs) }, arrived);
    newestNs = atNs;
    forgetFreshness();
    forgetCount();
    return atNs;
  }

  function forgetFreshness(): void {
    freshestNs = Number.NEGATIVE_INFINITY;
    freshSamples = 0;
  }

  function forgetCount(): void {
    hasBaseline = false;
    balance = 0;
    missingMonitors = 0;
    pendingNs = null;
    monitorNs = Number.NEGATIVE_INFINITY;
    surplusMonitors = 0;
    backMonitors = 0;
  }

  function reach(timeNs: number, arrived: HostTimeNs): void {
    outlet.reached(timeNs - holdBackNs, arrived);
  }

  function takeMonitor(low: number, high: number, sent: number, counter: number, received: number, arrived: HostTimeNs): void {
    let timeNs = timeOf(low, high, arrived);
    uncounted = null;
    freshSamples += 1;
    packets += received;
    if (!hasBaseline) {
      // What came before was not counted from its beginning.
      hasBaseline = true;
      monitorNs = timeNs;
      monitorCounter = counter;
      reach(timeNs, arrived);
      return;
    }
    const hasCounter = options.protocol === "4.1";
    const step = hasCounter ? (counter - monitorCounter) | 0 : timeNs > monitorNs ? 1 : -1;
    balance += sent - received;
    if (step <= 0) {
      backMonitors += 1;
      // Two in a row are no overtaking: the device's clock has been set back by less than a restart would.
      if (backMonitors >= 2 && timeNs < monitorNs) {
        timeNs = restart(low, high, timeNs, arrived);
        hasBaseline = true;
        monitorNs = timeNs;
        monitorCounter = counter;
        return;
      }
      // One that was overtaken by the next.
      disorder.count({ reordered: 1 });
      missingMonitors = Math.max(0, missingMonitors - 1);
      if (balance === 0 && missingMonitors === 0) settle(monitorNs, arrived);
      return;
    }
    backMonitors = 0;
    if (periodNs === 0) {
      periodNs = timeNs - monitorNs;
      meanSent = sent;
    }
    const skipped = hasCounter ? step - 1 : Math.max(0, Math.round((timeNs - monitorNs) / periodNs) - 1);
    if (skipped === 0) {
      meanSent += (sent - meanSent) / 16;
      periodNs += (timeNs - monitorNs - periodNs) / 16;
    } else if (hasCounter || balance < 0) {
      // Without a counter a longer pause may be the device's own; then the balance is even.
      missingMonitors += skipped;
    }
    monitorNs = timeNs;
    monitorCounter = counter;
    if (missingMonitors === 0 && balance === 0) {
      // What was uneven has come out even: datagrams took from one span what they added to the next.
      if (pendingNs !== null || surplusMonitors > 0) disorder.count({ reordered: 1 });
      settle(timeNs, arrived);
      return;
    }
    if (missingMonitors === 0 && balance < 0) {
      // More came than was sent so far: packets that overtook this count.
      surplusMonitors += 1;
      if (surplusMonitors >= 3) {
        report({ kind: "malformed", reason: `${options.name} sent ${-balance} packets that it had not counted; they may have come twice`, packets: -balance }, arrived);
        balance = 0;
      }
      reach(timeNs, arrived);
      return;
    }
    if (pendingNs === null) {
      pendingNs = timeNs;
      return;
    }
    // The span before last is not even, nor is the one after it.
    const unknown = missingMonitors === 0 ? 0 : Math.round(missingMonitors * meanSent);
    const lostPackets = Math.max(missingMonitors, balance + unknown);
    if (lostPackets > 0) {
      lost += lostPackets;
      outlet.fault({ kind: "gap", lostPackets, stream: options.name, atRigNs: rigTimeNs(timeNs) }, arrived);
    }
    balance = 0;
    missingMonitors = 0;
    settle(timeNs, arrived);
  }

  function settle(timeNs: number, arrived: HostTimeNs): void {
    pendingNs = null;
    surplusMonitors = 0;
    reach(timeNs, arrived);
  }

  function takeDigital(timeNs: number, channel: number, value: number, changed: number, event: number, arrived: HostTimeNs): void {
    if (options.digitalChannels !== null && !options.digitalChannels.has(channel)) return;
    const word = value & 0xffff;
    const changedBits = (event & 2) !== 0 ? 0 : (changed === 0 ? digitalWord ^ word : changed) & 0xffff;
    digitalWord = word;
    if ((event & 2) !== 0) outlet.mark({ kind: "strobe", rigNs: rigTimeNs(timeNs), line: 0, state: true, word }, arrived);
    for (let line = 0; line < 16; line++) {
      if ((changedBits & (1 << line)) === 0) continue;
      const state = (word & (1 << line)) !== 0;
      if (line === options.photodiodeLine) outlet.mark({ kind: "photodiode", rigNs: rigTimeNs(timeNs), line: 0, state, word: null }, arrived);
      else outlet.mark({ kind: "ttl", rigNs: rigTimeNs(timeNs), line, state, word }, arrived);
    }
  }

  function takeBlob(bytes: Uint8Array, arrived: HostTimeNs): void {
    const head = bytes.length === 0 ? null : readHead(options.protocol, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
    if (head?.type === packetTypes.commentRep) {
      const word = readCommentCode(options.protocol, bytes.subarray(head.headSize));
      // By network: not as sharp as a strobe, and on a line of its own.
      // Its time says nothing about the stream's: a comment before the first data has no place on it.
      if (word !== null && base !== null) outlet.mark({ kind: "ttl", rigNs: rigTimeNs(toNs(head.timeLow, head.timeHigh)), line: commentLine, state: true, word }, arrived);
      return;
    }
    if (head === null || head.type !== packetTypes.sysRepRunLevel) return;
    const info = readSystemInfo(bytes.subarray(head.headSize));
    if (info === null) return;
    const runs = info.runLevel === runLevels.running || info.runLevel === runLevels.stressed;
    if (!runs && isRunning) {
      isRunning = false;
      away({ kind: "lost", reason: `${options.name} no longer runs (run level ${info.runLevel}); start it in Central` }, arrived);
    }
    if (runs) isRunning = true;
  }

  function away(fault: Extract<SourceFault, { readonly kind: "lost" | "stale" }>, arrived: HostTimeNs): void {
    awaySinceHostNs ??= lastArrived ?? arrived;
    outlet.fault(fault, arrived);
  }

  function report(fault: Extract<SourceFault, { readonly kind: "malformed" }>, arrived: HostTimeNs): void {
    malformed += fault.packets;
    outlet.fault(fault, arrived);
  }

  function comeBack(arrived: HostTimeNs): void {
    if (awaySinceHostNs === null || !isRunning) return;
    const awayMs = (arrived - awaySinceHostNs) / nsPerMs;
    awaySinceHostNs = null;
    outlet.fault({ kind: "reconnected", awayMs }, arrived);
  }

  return {
    take({ count, words, doubles, takeBlob: bytesOf }, arrivedOf) {
      let arrivalNs = Number.NaN;
      let arrived: HostTimeNs | null = null;
      let hasData = false;
      for (let i = 0; i < count; i++) {
        const at = i * recordWords;
        const head = words[at + 4] ?? 0;
        const kind = (head >>> 16) & 0xff;
        const channel = head & 0xffff;
        const low = words[at] ?? 0;
        const high = words[at + 1] ?? 0;
        const a = words[at + 5] ?? 0;
        const b = words[at + 6] ?? 0;
        const c = words[at + 7] ?? 0;
        const stamp = doubles[i * 4 + 1] ?? 0;
        if (arrived === null || stamp !== arrivalNs) {
          arrivalNs = stamp;
          arrived = arrivedOf(stamp);
        }
        // News of the run level must come before the stream is called back; a device that sends spikes runs.
        if (kind === recordKinds.spike) isRunning = true;
        if (kind === recordKinds.blob) takeBlob(bytesOf(a), arrived);
        // A device that answers is not yet one that streams.
        if (kind === recordKinds.spike || kind === recordKinds.monitor || kind === recordKinds.digital) {
          hasData = true;
          if (awaySinceHostNs !== null) comeBack(arrived);
        }
        switch (kind) {
          case recordKinds.spike: {
            const timeNs = timeOf(low, high, arrived);
            if (channel === options.photodiodeChannel) {
              outlet.mark({ kind: "photodiode", rigNs: rigTimeNs(timeNs), line: 0, state: true, word: null }, arrived);
              break;
            }
            let unit = head >>> 24;
            if (unit === 255) {
              if (options.noise === "leaveOut") {
                noiseLeftOut += 1;
                break;
              }
              if (options.noise === "unsorted") unit = 0;
            }
            outlet.spike(timeNs, options.channelIndex(channel), unit);
            // Both clocks must have seen the time pass: after a stall spikes come late, after a jump their times are ahead.
            uncounted ??= { timeNs, arrived };
            if (arrived - uncounted.arrived > countlessMs * nsPerMs && timeNs - uncounted.timeNs > countlessMs * nsPerMs) goOnCountless(timeNs, arrived);
            break;
          }
          case recordKinds.digital:
            takeDigital(timeOf(low, high, arrived), channel, a, b, c, arrived);
            break;
          case recordKinds.monitor:
            takeMonitor(low, high, a, b, c, arrived);
            break;
          case recordKinds.malformed:
            report({ kind: "malformed", reason: `${options.name} sent a datagram of ${a} bytes that cannot be read beyond byte ${b}`, packets: 1 }, arrived);
            break;
          case recordKinds.duplicate:
            disorder.count({ duplicated: a });
            break;
          case recordKinds.overflow:
            outlet.fault({ kind: "overflow", droppedSpikes: a }, arrived);
            // Counts may be among what was dropped.
            forgetCount();
            break;
          default:
            break;
        }
        lastArrived = arrived;
      }
      if (lastArrived !== null) disorder.tell(lastArrived);
      return hasData;
    },
    silent(ageMs, nowHostNs) {
      if (awaySinceHostNs === null) away({ kind: "stale", ageMs }, nowHostNs);
    },
    finish: (nowHostNs) => disorder.tell(nowHostNs, true),
    status: () => ({ packets, lost, malformed, noiseLeftOut, isRunning: isRunning && awaySinceHostNs === null }),
  };

  /** The device has stopped counting: spikes alone move the watermark, and loss cannot be seen. */
  function goOnCountless(timeNs: number, arrived: HostTimeNs): void {
    if (!isCountlessReported) {
      isCountlessReported = true;
      outlet.fault({ kind: "malformed", reason: `${options.name} no longer says how many packets it sends: whether some are lost cannot be told`, packets: 0 }, arrived);
    }
    outlet.reached(Math.min(timeNs, newestNs) - holdBackNs - 10 * nsPerMs, arrived);
  }
}
