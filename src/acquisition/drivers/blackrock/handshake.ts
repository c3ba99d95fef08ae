// What a Blackrock device must have said before its packets can be read: protocol, unit of its times, channels. From its records alone, so that a
// capture is read as the device was. Pure but for its state; knows nothing about sockets or requests.
import { recordKinds, recordWords } from "../../native/records.ts";
import type { RecordBatch } from "../../native/records.ts";
import type { BlackrockOptions } from "./options.ts";
import { detectProtocol, packetTypes, readChannelInfo, readHead, readProcessorInfo, readSystemInfo } from "./packets.ts";
import type { BlackrockProtocol, ChannelInfoPacket } from "./packets.ts";

/** The configuration has come once nothing of it has been heard for so long, ms. */
const configurationQuietMs = 400;
/** A device that streams but does not answer is taken as it is after so long, ms. */
const configurationWaitMs = 1500;
const detectDatagrams = 2;
/** Time stamps further apart than this between two counts of packets (10 ms) are ns: 33 ms in ticks. */
const ticksBetweenCountsMax = 100_000;

export interface Handshake {
  readonly protocol: BlackrockProtocol;
  /** 1e9 where times are ns. */
  readonly tickHz: number;
  readonly channels: readonly ChannelInfoPacket[];
}

export interface HandshakeListener {
  /** Takes records; answers the place of the first one that is no longer its own: the device has said all. `nowMs` on any clock that `outcome` shares. */
  take(batch: RecordBatch, nowMs: number): number;
  /** null: not enough has been said yet. */
  outcome(nowMs: number): Handshake | null;
  readonly protocol: BlackrockProtocol | null;
  readonly runLevel: number | null;
  readonly hasConfiguration: boolean;
}

/** `onProtocol` is called once, when datagrams that were handed over whole have shown which protocol it is. */
export function createHandshake(options: Pick<BlackrockOptions, "protocol" | "timeUnit" | "tickHz">, onProtocol: (protocol: BlackrockProtocol) => void): HandshakeListener {
  const datagrams: Uint8Array[] = [];
  const channels = new Map<number, ChannelInfoPacket>();
  let protocol: BlackrockProtocol | null = options.protocol === "auto" ? null : options.protocol;
  let knownSinceMs: number | null = null;
  let heardConfigurationMs: number | null = null;
  let isComplete = false;
  let runLevel: number | null = null;
  let tickHz = 0;
  let isGemini: boolean | null = null;
  let countTime: number | null = null;
  let countStep: number | null = null;

  function takeConfiguration(bytes: Uint8Array, nowMs: number): void {
    if (protocol === null) {
      datagrams.push(bytes);
      if (datagrams.length > detectDatagrams) datagrams.shift();
      protocol = detectProtocol(datagrams);
      if (protocol === null) return;
      knownSinceMs = nowMs;
      onProtocol(protocol);
      return;
    }
    const head = readHead(protocol, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0);
    if (head === null) return;
    const payload = bytes.subarray(head.headSize, head.headSize + head.payloadSize);
    if (head.type === packetTypes.sysRepRunLevel || head.type === packetTypes.sysRep) {
      const info = readSystemInfo(payload);
      if (info !== null) {
        runLevel = info.runLevel;
        if (info.tickHz > 0) tickHz = info.tickHz;
      }
      if (head.type === packetTypes.sysRep && heardConfigurationMs !== null) isComplete = true;
    } else if (head.type === packetTypes.procRep) {
      const info = readProcessorInfo(payload);
      if (info !== null) isGemini = /gemini/i.test(info.name);
      heardConfigurationMs = nowMs;
    } else if (head.type === packetTypes.chanRep) {
      const info = readChannelInfo(payload);
      if (info !== null) channels.set(info.channel, info);
      heardConfigurationMs = nowMs;
    }
  }

  function unit(): number | null {
    if (options.timeUnit === "ns") return 1e9;
    const ticks = tickHz > 0 ? tickHz : options.tickHz;
    if (options.timeUnit === "ticks" || protocol === "3.11") return ticks;
    if (isGemini !== null) return isGemini ? 1e9 : ticks;
    return countStep === null ? null : countStep > ticksBetweenCountsMax ? 1e9 : ticks;
  }

  return {
    take(batch, nowMs) {
      if (protocol !== null) knownSinceMs ??= nowMs;
      for (let i = 0; i < batch.count; i++) {
        if (isComplete && unit() !== null) return i;
        const at = i * recordWords;
        const kind = ((batch.words[at + 4] ?? 0) >>> 16) & 0xff;
        if (kind === recordKinds.blob) takeConfiguration(batch.takeBlob(batch.words[at + 5] ?? 0), nowMs);
        if (kind === recordKinds.monitor) {
          const time = (batch.words[at] ?? 0) + (batch.words[at + 1] ?? 0) * 0x1_0000_0000;
          if (countTime !== null && time > countTime) countStep = Math.min(countStep ?? Number.POSITIVE_INFINITY, time - countTime);
          countTime = time;
        }
      }
      return batch.count;
    },
    outcome(nowMs) {
      const tickRate = unit();
      const isQuiet = heardConfigurationMs !== null && nowMs - heardConfigurationMs > configurationQuietMs;
      const isMute = knownSinceMs !== null && heardConfigurationMs === null && countTime !== null && nowMs - knownSinceMs > configurationWaitMs;
      if (protocol === null || tickRate === null || !(isComplete || isQuiet || isMute)) return null;
      return { protocol, tickHz: tickRate, channels: [...channels.values()] };
    },
    get protocol() {
      return protocol;
    },
    get runLevel() {
      return runLevel;
    },
    get hasConfiguration() {
      return heardConfigurationMs !== null;
    },
  };
}
