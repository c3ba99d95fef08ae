// A ZeroMQ subscription that is kept: it says when the publisher is out of sight (silent, or gone) and makes its socket afresh after a long silence.
// Knows nothing about what the messages mean.
import type { Subscriber } from "zeromq";
import type { Clock } from "../../../shared/ports.ts";
import { addMs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceFault } from "../../../shared/values.ts";

const watchMs = 200;
const drainMs = 10;
/** Messages that may wait in the socket: minutes of a busy rig. */
const queueMax = 500_000;

export interface SubscriptionOptions {
  readonly zmq: typeof import("zeromq");
  readonly clock: Clock;
  /** e.g. "tcp://127.0.0.1:5556". */
  readonly address: string;
  /** Silence that is told, ms. */
  readonly staleMs: number;
  /** Silence after which the socket is made afresh, again and again, ms. */
  readonly lostMs: number;
  readonly onMessage: (parts: readonly Uint8Array[], arrivedHostNs: HostTimeNs) => void;
  /** The publisher has answered for the first time. */
  readonly onPeer: () => void;
  readonly onAway: (fault: Extract<SourceFault, { readonly kind: "stale" | "lost" }>, nowHostNs: HostTimeNs) => void;
  /** Five times a second. */
  readonly onWatch: (nowHostNs: HostTimeNs) => void;
}

export interface Subscription {
  /** A message or a handshake has come, ever. */
  readonly hasPeer: boolean;
  /** The publisher is there and speaks. */
  readonly connected: boolean;
  readonly newestHostNs: HostTimeNs | null;
  /** From here on messages are given out. */
  begin(): void;
  close(): void;
}

/** Throws what the library throws for an address that can be none. */
export function openSubscription(options: SubscriptionOptions): Subscription {
  const { zmq, clock, address } = options;
  let isClosed = false;
  let hasPeer = false;
  let newestHostNs: HostTimeNs | null = null;
  let freshSinceHostNs = clock.now();
  /** Told, and not back since. */
  let away: "stale" | "lost" | null = null;
  /** The connection is closed, but what came before is still being taken: the loss is told at its place behind it. */
  let isCut = false;
  let cancelWatch = (): void => undefined;
  let cancelDrain = (): void => undefined;
  let subscriber: Subscriber = open();

  function open(): Subscriber {
    const socket = new zmq.Subscriber({ linger: 0, receiveHighWaterMark: queueMax, reconnectInterval: 100, reconnectMaxInterval: 1000 });
    // Before the connection: what has happened by the time of the first listener is never told.
    socket.events.on("handshake", () => {
      if (isClosed || subscriber !== socket) return;
      if (isCut) endCut();
      seePeer();
    });
    socket.events.on("disconnect", () => {
      if (isClosed || subscriber !== socket || away === "lost" || isCut) return;
      isCut = true;
      drained(socket);
    });
    try {
      socket.connect(address);
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.subscribe();
    return socket;
  }

  function tellLost(reason: string): void {
    if (away === "lost") return;
    away = "lost";
    options.onAway({ kind: "lost", reason }, clock.now());
  }

  /** Messages that were queued before the connection closed are no sign that it is back. */
  function drained(socket: Subscriber): void {
    if (isClosed || subscriber !== socket || !isCut) return;
    if (!socket.closed && socket.readable) {
      cancelDrain = clock.setTimer(addMs(clock.now(), drainMs), () => drained(socket));
      return;
    }
    endCut();
  }

  function endCut(): void {
    cancelDrain();
    isCut = false;
    tellLost(`The Open Ephys GUI closed the connection at ${address}`);
  }

  function seePeer(): void {
    if (hasPeer) return;
    hasPeer = true;
    options.onPeer();
  }

  async function receive(socket: Subscriber): Promise<void> {
    try {
      for await (const parts of socket) {
        if (isClosed || subscriber !== socket) return;
        const now = clock.now();
        newestHostNs = now;
        away = null;
        seePeer();
        options.onMessage(parts, now);
      }
    } catch (error) {
      // A socket that is closed while it waits ends this way; anything else is for the watchdog to mend.
      if (!isClosed && subscriber === socket) tellLost(messageOf(error));
    }
  }

  function watch(): void {
    if (isClosed) return;
    const now = clock.now();
    options.onWatch(now);
    const ageMs = msBetween(newestHostNs ?? freshSinceHostNs, now);
    if (ageMs >= options.staleMs && away === null && !isCut) {
      away = "stale";
      options.onAway({ kind: "stale", ageMs }, now);
    }
    if (ageMs >= options.lostMs && msBetween(freshSinceHostNs, now) >= options.lostMs) {
      freshSinceHostNs = now;
      if (isCut) endCut();
      const socket = subscriber;
      try {
        subscriber = open();
        socket.close();
        void receive(subscriber);
      } catch (error) {
        tellLost(messageOf(error));
      }
    }
    cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
  }

  return {
    get hasPeer() {
      return hasPeer;
    },
    get connected() {
      return !isClosed && hasPeer && away === null && !isCut;
    },
    get newestHostNs() {
      return newestHostNs;
    },
    begin() {
      if (isClosed) return;
      freshSinceHostNs = clock.now();
      void receive(subscriber);
      cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);
    },
    close() {
      isClosed = true;
      cancelWatch();
      cancelDrain();
      subscriber.close();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
