// A device that speaks Blackrock's protocols: answers the handshake, packs spikes and digital events into datagrams, counts them every 10 ms
// as the real one does. For simulation and tests; knows nothing about the driver that listens.
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { channelInfoPayload, configurationChannel, packetTypes, processorInfoPayload, readHead, readSystemInfo, runLevels, systemInfo, writePacket } from "./packets.ts";
import type { BlackrockProtocol } from "./packets.ts";

/** Number of the digital input of an NSP with 256 front-end channels, and how far it is behind them. */
const digitalInputOf256 = 279;
const digitalInputBehind = 23;
/** Bytes of a datagram at most; the real one goes to 58,080. */
const datagramMax = 8192;
/** Samples of a waveform, the real one's default. */
const waveformSamples = 48;

export interface DeviceOptions {
  readonly protocol: BlackrockProtocol;
  /** "ns": a Gemini system. */
  readonly timeUnit: "ticks" | "ns";
  readonly host: string;
  /** Port to take requests on; 0: any that is free. */
  readonly port: number;
  /** Labels of the front-end channels, in order from channel 1. */
  readonly labels: readonly string[];
  /** Puts a datagram on the wire; by default as it is. Where faults are injected. */
  readonly transmit?: (datagram: Uint8Array, send: (datagram: Uint8Array) => void) => void;
}

export interface BlackrockDevice {
  open(): Promise<Result<void, Fault>>;
  port(): number;
  /** Settles once a driver has asked for the configuration. */
  heard(): Promise<void>;
  /** Puts a spike into the datagram in the making. Time in the device's unit; channel 0-based. */
  spike(time: number | bigint, channel: number, unit: number): void;
  /** event: 1 a bit changed, 2 a strobe. */
  digital(time: number | bigint, value: number, changed: number, event: number): void;
  /** The count of packets, then everything in the making goes out. */
  monitor(time: number | bigint): void;
  /** Everything in the making goes out. */
  flush(): void;
  /** Sends a change of the run level by itself, as the device does when its operator changes it. */
  announceRunLevel(runLevel: number): void;
  sent(): { readonly packets: number; readonly datagrams: number };
  close(): Promise<void>;
}

export function createBlackrockDevice(options: DeviceOptions): BlackrockDevice {
  const { protocol, host, labels } = options;
  const digitalInputChannel = labels.length <= 256 ? digitalInputOf256 : labels.length + digitalInputBehind;
  let socket: Socket | null = null;
  let boundPort = options.port;
  let peer: { readonly address: string; readonly port: number } | null = null;
  let making: Uint8Array[] = [];
  let makingSize = 0;
  let sinceMonitor = 0;
  let monitorCount = 0;
  let packets = 0;
  let datagrams = 0;
  let runLevel: number = runLevels.running;
  let newest = 0n;
  let onHeard: () => void = () => undefined;
  let heard = new Promise<void>((resolve) => {
    onHeard = resolve;
  });
  const waveform = new Uint8Array(16 + waveformSamples * 2);

  const put = (datagram: Uint8Array): void => {
    if (peer !== null) socket?.send(datagram, peer.port, peer.address, () => undefined);
  };
  const transmit = (datagram: Uint8Array): void => {
    datagrams += 1;
    if (options.transmit === undefined) put(datagram);
    else options.transmit(datagram, put);
  };

  function flush(): void {
    if (making.length === 0) return;
    const datagram = new Uint8Array(makingSize);
    let at = 0;
    for (const packet of making) {
      datagram.set(packet, at);
      at += packet.length;
    }
    making = [];
    makingSize = 0;
    transmit(datagram);
  }

  function add(channel: number, type: number, payload: Uint8Array, time: bigint): void {
    const packet = writePacket(protocol, { time, channel, type, payload });
    if (makingSize + packet.length > datagramMax) flush();
    making.push(packet);
    makingSize += packet.length;
    sinceMonitor += 1;
    packets += 1;
  }

  function answer(bytes: Uint8Array, from: { readonly address: string; readonly port: number }): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const head = readHead(protocol, view, 0);
    if (head === null || head.headSize + head.payloadSize !== bytes.length || head.channel !== configurationChannel) return;
    if (head.type === packetTypes.commentSet) {
      // Whoever sent it: all that listen get it, with the device's time.
      add(configurationChannel, packetTypes.commentRep, bytes.slice(head.headSize), newest);
      return;
    }
    peer = from;
    if (head.type === packetTypes.sysSetRunLevel) {
      const wanted = readSystemInfo(bytes.subarray(head.headSize));
      if (wanted === null) return;
      add(configurationChannel, packetTypes.sysRepRunLevel, systemInfo({ runLevel, tickHz: 30_000 }), newest);
      flush();
    } else if (head.type === packetTypes.requestConfiguration) {
      const [major, minor] = protocol.split(".").map(Number);
      add(configurationChannel, packetTypes.procRep, processorInfoPayload({ name: options.timeUnit === "ns" ? "Gemini NSP (simulated)" : "NSP (simulated)", major: major ?? 0, minor: minor ?? 0 }), newest);
      for (const [index, label] of labels.entries()) add(configurationChannel, packetTypes.chanRep, channelInfoPayload({ channel: index + 1, label, kind: "frontEnd" }), newest);
      add(configurationChannel, packetTypes.chanRep, channelInfoPayload({ channel: digitalInputChannel, label: "digin", kind: "digital" }), newest);
      add(configurationChannel, packetTypes.sysRep, systemInfo({ runLevel, tickHz: 30_000 }), newest);
      flush();
      onHeard();
    }
  }

  return {
    open() {
      sinceMonitor = 0;
      monitorCount = 0;
      newest = 0n;
      return new Promise((resolve) => {
        const made = createSocket({ type: "udp4", reuseAddr: true });
        made.once("error", (error) => {
          made.close();
          resolve(fault("portInUse", `Expected port ${boundPort} of ${host} to be free for the simulated NSP, but it cannot be bound: ${error.message}. Choose another port.`));
        });
        made.bind(boundPort, host, () => {
          made.removeAllListeners("error");
          made.on("error", () => undefined);
          made.setSendBufferSize(4 * 1024 * 1024);
          made.on("message", (bytes, from) => {
            answer(bytes, { address: from.address, port: from.port });
          });
          socket = made;
          boundPort = made.address().port;
          resolve(ok(undefined));
        });
      });
    },
    port: () => boundPort,
    heard: () => heard,
    spike(time, channel, unit) {
      // The waveform of a spike is of no interest here, but its bytes are what a network carries.
      add(channel + 1, unit, waveform, BigInt(time));
    },
    digital(time, value, changed, event) {
      const payload = new Uint8Array(12);
      const view = new DataView(payload.buffer);
      view.setUint32(0, value, true);
      view.setUint32(4, changed, true);
      view.setUint32(8, event, true);
      add(digitalInputChannel, 0, payload, BigInt(time));
    },
    monitor(time) {
      newest = BigInt(time);
      const payload = new Uint8Array(protocol === "4.1" ? 8 : 4);
      const view = new DataView(payload.buffer);
      // Counts itself.
      view.setUint32(0, sinceMonitor + 1, true);
      monitorCount += 1;
      if (protocol === "4.1") view.setUint32(4, monitorCount, true);
      add(configurationChannel, packetTypes.monitor, payload, newest);
      sinceMonitor = 0;
      flush();
    },
    flush,
    announceRunLevel(level) {
      runLevel = level;
      add(configurationChannel, packetTypes.sysRepRunLevel, systemInfo({ runLevel, tickHz: 30_000 }), newest);
      flush();
    },
    sent: () => ({ packets, datagrams }),
    close() {
      const closing = socket;
      socket = null;
      heard = new Promise<void>((resolve) => {
        onHeard = resolve;
      });
      return new Promise((resolve) => (closing === null ? resolve() : closing.close(() => resolve())));
    },
  };
}
