// The kept subscription, with a socket whose queue and events are in the test's hand: what no real network does on demand.
import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { openSubscription } from "../../../src/acquisition/drivers/open-ephys/subscription.ts";
import { aVirtualClock } from "./aRig.ts";

class QueuedSocket {
  readonly events = new EventEmitter();
  readonly queue: Uint8Array[][] = [];
  closed = false;
  private wake: () => void = () => undefined;
  connect(): void {}
  subscribe(): void {}
  close(): void {
    this.closed = true;
  }
  get readable(): boolean {
    return this.queue.length > 0;
  }
  /** The next message is read now. */
  async read(): Promise<void> {
    this.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array[]> {
    for (;;) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      const next = this.queue.shift();
      if (next !== undefined) yield next;
    }
  }
}

function aSubscription() {
  const clock = aVirtualClock();
  const sockets: QueuedSocket[] = [];
  const said: string[] = [];
  const zmq = {
    Subscriber: class extends QueuedSocket {
      constructor() {
        super();
        sockets.push(this);
      }
    },
  } as never;
  const subscription = openSubscription({
    zmq, clock, address: "tcp://127.0.0.1:1", staleMs: 1000, lostMs: 5000,
    onMessage: () => said.push("message"),
    onPeer: () => said.push("peer"),
    onAway: (fault) => said.push(fault.kind),
    onWatch: () => undefined,
  });
  subscription.begin();
  /** Lets the watchdog run for a while. */
  const pass = async (ms: number): Promise<void> => {
    const end = clock.now() + ms * 1e6;
    clock.setTimer(end as never, () => undefined);
    await clock.run(() => clock.now() >= end);
  };
  return { subscription, sockets, said, pass };
}

describe("a kept subscription", () => {
  it("is not brought back to life by messages that were queued before the connection closed", async () => {
    const { subscription, sockets: [socket], said, pass } = aSubscription();
    if (socket === undefined) throw new Error("expected a socket");
    socket.events.emit("handshake");
    expect(subscription.connected).toBe(true);
    socket.queue.push([], []);
    socket.events.emit("disconnect");
    expect(subscription.connected).toBe(false);
    await socket.read();
    await pass(50);
    expect(subscription.connected).toBe(false);
    expect(said).toEqual(["peer", "message"]);
    await socket.read();
    await pass(50);
    // The loss stands behind what came before it.
    expect(said).toEqual(["peer", "message", "message", "lost"]);
    expect(subscription.connected).toBe(false);
    socket.events.emit("handshake");
    expect(subscription.connected).toBe(false);
    socket.queue.push([]);
    await socket.read();
    expect(subscription.connected).toBe(true);
  });

  it("tells a silence once, makes its socket afresh after a long one, and tells a closed connection as one", async () => {
    const { subscription, sockets, said, pass } = aSubscription();
    sockets[0]?.events.emit("handshake");
    await pass(4000);
    expect(said).toEqual(["peer", "stale"]);
    sockets[0]?.events.emit("disconnect");
    expect(said).toEqual(["peer", "stale", "lost"]);
    await pass(12_000);
    expect(sockets.map((socket) => socket.closed)).toEqual([true, true, true, false]);
    expect(said).toEqual(["peer", "stale", "lost"]);
    subscription.close();
    expect([sockets.at(-1)?.closed, subscription.connected]).toEqual([true, false]);
  });
});
