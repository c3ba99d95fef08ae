// The sending end of the bridge: whatever a spike source says goes out as numbered datagrams to everybody who has said hello. Runs beside the
// recording system (`evoked rig bridge`), and in simulations. Knows nothing about the source.
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { assertNever, fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import type { ChannelInfo, RigMark, SourceEvent } from "../../../shared/values.ts";
import { bridgeHeadSize, bridgeRecordSize, bridgeRecordsMax, bridgeTypes, forgetMs, heartbeatMs, markKinds, readBridgeHead, setUint64, writeBridgeHead, writeBridgeText } from "./bridgeProtocol.ts";

/** Channels named in one datagram. */
const channelsAtOnce = 32;

export interface BridgePublisherOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Name of the source, for the receiver's panel. */
  readonly source: string;
  /** Puts a datagram on the wire; by default as it is. Where faults are injected. */
  readonly transmit?: (datagram: Uint8Array, send: (datagram: Uint8Array) => void) => void;
}

export interface BridgePublisher {
  open(): Promise<Result<void, Fault>>;
  port(): number;
  /** Settles once a receiver has the channels asked for. */
  heard(): Promise<void>;
  take(event: SourceEvent): void;
  status(): { readonly receivers: readonly string[]; readonly datagrams: number; readonly records: number };
  close(): Promise<void>;
}

export function createBridgePublisher(options: BridgePublisherOptions): BridgePublisher {
  let socket: Socket | null = null;
  let boundPort = options.port;
  let session = 0;
  let sequence = 0;
  let recordsSent = 0;
  let watermarkNs = 0;
  let untilNs = 0;
  let datagrams = 0;
  let lastSentMs = 0;
  let beat: NodeJS.Timeout | null = null;
  let channels: readonly ChannelInfo[] = [];
  let pendingMarks: RigMark[] = [];
  /** Datagrams that the socket has not passed on yet. */
  let underWay = 0;
  let onAllSent: () => void = () => undefined;
  const receivers = new Map<string, { readonly address: string; readonly port: number; seenMs: number }>();
  let onHeard: () => void = () => undefined;
  let heard = new Promise<void>((resolve) => {
    onHeard = resolve;
  });

  function put(datagram: Uint8Array): void {
    const now = performance.now();
    for (const [key, { address, port, seenMs }] of receivers) {
      if (now - seenMs > forgetMs) receivers.delete(key);
      else if (socket !== null) {
        underWay += 1;
        socket.send(datagram, port, address, sent);
      }
    }
  }

  function sent(): void {
    underWay -= 1;
    if (underWay === 0) onAllSent();
  }

  function transmit(datagram: Uint8Array): void {
    datagrams += 1;
    lastSentMs = performance.now();
    if (options.transmit === undefined) put(datagram);
    else options.transmit(datagram, put);
  }

  const head = (type: number) => ({ type, sequence: sequence++, session, watermarkNs, recordsBefore: recordsSent, untilNs });

  function text(type: number, value: unknown): void {
    transmit(writeBridgeText(head(type), value));
  }

  function sendChannels(): void {
    for (let from = 0; from === 0 || from < channels.length; from += channelsAtOnce) {
      text(bridgeTypes.channels, { source: options.source, total: channels.length, from, channels: channels.slice(from, from + channelsAtOnce).map(({ name, area, positionMm }) => ({ name, area, positionMm })) });
    }
  }

  /** One datagram with `count` records that `write` puts in, the i-th at its offset. */
  function sendRecords(count: number, write: (view: DataView, i: number, offset: number) => void): void {
    const bytes = new Uint8Array(bridgeHeadSize + count * bridgeRecordSize);
    const view = new DataView(bytes.buffer);
    writeBridgeHead(view, { ...head(bridgeTypes.data), count });
    for (let i = 0; i < count; i++) write(view, i, bridgeHeadSize + i * bridgeRecordSize);
    recordsSent += count;
    transmit(bytes);
  }

  function sendBatch(batch: Extract<SourceEvent, { readonly kind: "spikes" }>["batch"]): void {
    const marks = pendingMarks;
    pendingMarks = [];
    const { timesRigNs, channels: spikeChannels, units } = batch;
    const total = marks.length + timesRigNs.length;
    untilNs = Math.max(untilNs, batch.watermarkRigNs, ...marks.map((mark) => mark.rigNs + 1));
    const write = (view: DataView, place: number, offset: number): void => {
      const mark = marks[place];
      if (mark !== undefined) {
        setUint64(view, offset, mark.rigNs);
        view.setUint16(offset + 8, mark.line, true);
        view.setUint8(offset + 10, markKinds.indexOf(mark.kind) + 1 + (mark.state ? 16 : 0) + (mark.word === null ? 0 : 32));
        view.setUint8(offset + 11, 2);
        view.setUint32(offset + 12, mark.word ?? 0, true);
        return;
      }
      const i = place - marks.length;
      setUint64(view, offset, timesRigNs[i] ?? 0);
      view.setUint16(offset + 8, spikeChannels[i] ?? 0, true);
      view.setUint8(offset + 10, units[i] ?? 0);
      view.setUint8(offset + 11, 1);
    };
    for (let from = 0; from === 0 || from < total; from += bridgeRecordsMax) {
      // Only the last datagram of the batch moves the watermark: the others' spikes are not complete without it.
      if (from + bridgeRecordsMax >= total) watermarkNs = batch.watermarkRigNs;
      const start = from;
      sendRecords(Math.min(bridgeRecordsMax, total - from), (view, i, offset) => write(view, start + i, offset));
    }
  }

  return {
    open() {
      session = randomInt(1, 0xffff_ffff);
      sequence = 0;
      recordsSent = 0;
      watermarkNs = 0;
      untilNs = 0;
      return new Promise((resolve) => {
        const made = createSocket({ type: "udp4", reuseAddr: true });
        made.once("error", (error) => {
          made.close();
          resolve(fault("portInUse", `Expected port ${boundPort} of ${options.host} to be free for the bridge, but it cannot be bound: ${error.message}. Choose another port, or stop the program that uses it.`));
        });
        made.bind(boundPort, options.host, () => {
          made.removeAllListeners("error");
          made.on("error", () => undefined);
          made.setSendBufferSize(4 * 1024 * 1024);
          made.on("message", (bytes, from) => {
            const said = readBridgeHead(bytes);
            if (said?.type !== bridgeTypes.hello) return;
            receivers.set(`${from.address}:${from.port}`, { address: from.address, port: from.port, seenMs: performance.now() });
            if (said.count === 0) return;
            sendChannels();
            onHeard();
          });
          socket = made;
          boundPort = made.address().port;
          beat = setInterval(() => {
            if (performance.now() - lastSentMs >= heartbeatMs - 1) sendRecords(0, () => undefined);
          }, heartbeatMs);
          resolve(ok(undefined));
        });
      });
    },
    port: () => boundPort,
    heard: () => heard,
    take(event) {
      switch (event.kind) {
        case "spikes":
          sendBatch(event.batch);
          return;
        case "mark":
          pendingMarks.push(event.mark);
          return;
        case "channels":
          channels = event.channels;
          sendChannels();
          return;
        case "fault":
          text(bridgeTypes.fault, event.fault);
          return;
        case "end":
          text(bridgeTypes.end, { reason: event.reason });
          return;
        default:
          assertNever(event);
      }
    },
    status: () => ({ receivers: [...receivers.keys()], datagrams, records: recordsSent }),
    async close() {
      if (beat !== null) clearInterval(beat);
      beat = null;
      const closing = socket;
      socket = null;
      // A socket that is closed forgets what it has not passed on: the end would not be heard.
      if (underWay > 0) {
        await new Promise<void>((resolve) => {
          onAllSent = resolve;
        });
      }
      receivers.clear();
      heard = new Promise<void>((resolve) => {
        onHeard = resolve;
      });
      await new Promise<void>((resolve) => (closing === null ? resolve() : closing.close(() => resolve())));
    },
  };
}
