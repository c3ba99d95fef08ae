// Datagrams of one protocol as batches of records: by the addon's receive thread, or by Node's own sockets where there is no addon (or a
// comparison is wanted). Both give the same records. Knows nothing about what they mean.
import { createSocket } from "node:dgram";
import { loadAddon } from "../../native/addon.ts";
import type { NativeAddon, NativeProtocol } from "../../native/addon.ts";
import { RecordWriter, createTurns, recordKinds, recordWords } from "../../native/records.ts";
import type { RecordBatch } from "../../native/records.ts";
import type { Clock } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";
import { hostTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import { createBlackrockParser } from "../blackrock/parser.ts";
import { createBridgeParser } from "../plexon/bridgeParser.ts";

/** Who receives: the addon, Node, or whatever is there. */
export type ReceiveBy = "addon" | "node" | "either";

export interface ReceiverOptions {
  readonly by: ReceiveBy;
  readonly protocol: NativeProtocol;
  readonly localAddress: string;
  /** 0: any that is free. */
  readonly localPort: number;
  /** Sender to listen to; null: any. */
  readonly peerAddress: string | null;
  readonly receiveBufferBytes: number;
}

export interface ReceiverStatus {
  readonly by: "addon" | "node";
  readonly localPort: number;
  readonly datagrams: number;
  readonly receiveBufferBytes: number;
  /** Datagrams that the system dropped because the buffer was full; null where it does not tell. */
  readonly socketDropped: number | null;
  readonly failure: string | null;
}

/** What the operator should know of how datagrams are received, in brackets behind the address; "" where all is as it was asked for. */
export function noteOnReceiver(status: ReceiverStatus, asked: Pick<ReceiverOptions, "by" | "receiveBufferBytes">): string {
  const notes = [
    ...(asked.by === "either" && status.by === "node" ? ["by Node's sockets: there is no native addon"] : []),
    ...(status.receiveBufferBytes < asked.receiveBufferBytes / 2 ? [`the system gives ${Math.round(status.receiveBufferBytes / 1024)} KiB of buffer where ${Math.round(asked.receiveBufferBytes / 1024)} were asked for`] : []),
    ...(status.socketDropped !== null && status.socketDropped > 0 ? [`${status.socketDropped} datagrams dropped by the full buffer`] : []),
  ];
  return notes.length === 0 ? "" : ` (${notes.join("; ")})`;
}

export interface Receiver {
  send(address: string, port: number, bytes: Uint8Array): void;
  setProtocol(protocol: NativeProtocol): void;
  /** Now, on the clock of the records' arrivals, ns. */
  monotonicNs(): number;
  status(): ReceiverStatus;
  /** Nothing is delivered afterwards. */
  close(): Promise<void>;
}

/** Arrivals of records that are in hand now, as host times of this clock. A virtual clock stands still while records come: they arrive now. */
export function arrivalsOn(clock: Clock, receiver: { monotonicNs(): number }): (arrivalNs: number) => HostTimeNs {
  const hostNow = clock.now();
  if (clock.isVirtual === true) return () => hostNow;
  const now = receiver.monotonicNs();
  return (arrivalNs) => hostTimeNs(Math.round(hostNow - Math.max(0, now - arrivalNs)));
}

/** Turns one datagram into records. */
export type DatagramParser = (bytes: Uint8Array, arrivalNs: number, out: RecordWriter) => void;

/** Records that may wait for JavaScript: 6.8 s of 384 channels at 100 spikes/s. */
const ringRecords = 1 << 18;
/** Records handed over in one turn of the event loop; others get their turn in between. */
const turnRecords = 1 << 14;
/** Deliveries are this far apart at least: with ten thousand datagrams a second each of them would be a turn of its own. */
const wakeIntervalUs = 250;

/** Gets every datagram whole, before its records, and when it came as a host time of a clock. */
export type DatagramTap = (bytes: Uint8Array, arrivedOn: (clock: Clock) => HostTimeNs) => void;

/** Binds and receives. Errors: `portInUse` (with the system's words), `addonMissing`, `addonUnusable`. */
export async function openReceiver(options: ReceiverOptions, onRecords: (batch: RecordBatch) => void, tap: DatagramTap | null = null): Promise<Result<Receiver, Fault>> {
  const addon = options.by === "node" ? null : loadAddon();
  if (addon?.ok === false && options.by === "addon") return addon;
  const monotonic = addon?.ok === true ? addon.value.monotonicNs : monotonicByNode;
  const onBatch = tap === null ? onRecords : (batch: RecordBatch): void => onRecords(tapped(batch, tap, monotonic));
  return addon?.ok === true ? openNativeReceiver(addon.value, options, onBatch, tap !== null) : await openNodeReceiver(options, onBatch, tap !== null);
}

/** Shows the whole datagrams in a batch to the tap. Blobs are given out once and in order: those of the other records are kept for who reads them. */
function tapped(batch: RecordBatch, tap: DatagramTap, monotonicNs: () => number): RecordBatch {
  const kept = new Map<number, Uint8Array>();
  const nowNs = monotonicNs();
  for (let i = 0; i < batch.count; i++) {
    const at = i * recordWords;
    const kind = ((batch.words[at + 4] ?? 0) >>> 16) & 0xff;
    if (kind !== recordKinds.datagram && kind !== recordKinds.blob) continue;
    const number = batch.words[at + 5] ?? 0;
    const bytes = batch.takeBlob(number);
    const arrivalNs = batch.doubles[i * 4 + 1] ?? nowNs;
    if (kind === recordKinds.blob) kept.set(number, bytes);
    else tap(bytes, (clock) => arrivalsOn(clock, { monotonicNs: () => nowNs })(arrivalNs));
  }
  return {
    ...batch,
    takeBlob(number) {
      const bytes = kept.get(number) ?? new Uint8Array();
      kept.delete(number);
      return bytes;
    },
  };
}

function openNativeReceiver({ UdpReceiver, monotonicNs, favourThisThread }: NativeAddon, options: ReceiverOptions, onBatch: (batch: RecordBatch) => void, keepDatagrams: boolean): Result<Receiver, Fault> {
  let isOpen = true;
  // The receive thread asks for itself; this one takes over from it, and a response is not decided before both have run.
  favourThisThread();
  const drain = (): void => {
    if (!isOpen) return;
    const batch = turns.take();
    if (batch.count > 0) onBatch(batch);
    // More than a turn's worth: the event loop goes round first.
    if (turns.wasFull) setImmediate(drain);
  };
  let native: InstanceType<typeof UdpReceiver>;
  try {
    native = new UdpReceiver({ localAddress: options.localAddress, localPort: options.localPort, peerAddress: options.peerAddress, protocol: options.protocol, receiveBufferBytes: options.receiveBufferBytes, ringRecords, wakeIntervalUs, keepDatagrams }, drain);
  } catch (error) {
    return cannotBind(options, error);
  }
  const turns = createTurns(native, turnRecords);
  return ok({
    send: (address, port, bytes) => void native.send(address, port, bytes),
    setProtocol: (protocol) => native.setProtocol(protocol),
    monotonicNs,
    status() {
      const { localPort, datagrams, receiveBufferBytes, socketDropped, hasFailed } = native.status();
      return { by: "addon", localPort, datagrams, receiveBufferBytes, socketDropped: socketDropped < 0 ? null : socketDropped, failure: hasFailed ? "the socket failed" : null };
    },
    close() {
      if (isOpen) {
        isOpen = false;
        native.stop();
      }
      return Promise.resolve();
    },
  });
}

function parserFor(protocol: NativeProtocol): DatagramParser {
  if (protocol === "bridge") return createBridgeParser();
  return createBlackrockParser(protocol === "raw" ? null : protocol === "blackrock-3.11" ? "3.11" : protocol === "blackrock-4.0" ? "4.0" : "4.1");
}

const monotonicByNode = (): number => Math.round(performance.now() * 1e6);

async function openNodeReceiver(options: ReceiverOptions, onBatch: (batch: RecordBatch) => void, keepDatagrams: boolean): Promise<Result<Receiver, Fault>> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  const writer = new RecordWriter();
  let parse = parserFor(options.protocol);
  let datagrams = 0;
  let failure: string | null = null;
  let isOpen = true;
  let isDue = false;
  const monotonicNs = monotonicByNode;
  const deliver = (): void => {
    isDue = false;
    if (isOpen && writer.length > 0) onBatch(writer.take());
  };
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(options.localPort, options.localAddress, () => {
        socket.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    socket.close();
    return cannotBind(options, error);
  }
  socket.on("error", (error) => {
    failure = error.message;
  });
  try {
    socket.setBroadcast(true);
    socket.setRecvBufferSize(options.receiveBufferBytes);
  } catch {
    // The system's limit is lower; status tells what it gave.
  }
  socket.on("message", (bytes, from) => {
    if (options.peerAddress !== null && from.address !== options.peerAddress) return;
    datagrams += 1;
    const arrivalNs = monotonicNs();
    if (keepDatagrams) writer.pushBlob(bytes, 0, 0, arrivalNs, recordKinds.datagram);
    parse(bytes, arrivalNs, writer);
    if (isDue) return;
    isDue = true;
    setImmediate(deliver);
  });
  const { port: localPort } = socket.address();
  const receiveBufferBytes = socket.getRecvBufferSize();
  return ok({
    send: (address, port, bytes) => socket.send(bytes, port, address, () => undefined),
    setProtocol(protocol) {
      parse = parserFor(protocol);
    },
    monotonicNs,
    status: () => ({ by: "node", localPort, datagrams, receiveBufferBytes, socketDropped: null, failure }),
    close() {
      if (!isOpen) return Promise.resolve();
      isOpen = false;
      return new Promise((resolve) => socket.close(() => resolve()));
    },
  });
}

function cannotBind(options: ReceiverOptions, error: unknown): Result<never, Fault> {
  const reason = error instanceof Error ? error.message : String(error);
  return fault("portInUse", `Expected to receive on port ${options.localPort} of ${options.localAddress}, but it cannot be bound: ${reason}. Close the program that uses the port, or correct the rig's address on this computer.`);
}
