// The publishing socket of the Open Ephys GUI's plugins: bound, subscriptions heard, messages one after the other. Knows nothing about what is in them.
import type { XPublisher } from "zeromq";

export type Parts = readonly Uint8Array[];

export interface Publication {
  /** Binds; null, or what stands in the way. */
  open(): Promise<string | null>;
  /** Bound, or to be bound. */
  port(): number;
  send(parts: Parts): void;
  /** Settles when somebody has subscribed since `open`. */
  heard(): Promise<void>;
  /** What was sent goes out first. */
  close(): Promise<void>;
}

/** `port` 0: any that is free. */
export function createPublication({ host, port }: { readonly host: string; readonly port: number }): Publication {
  let boundPort = port;
  let publisher: XPublisher | null = null;
  let subscribers = 0;
  let onSubscriber: () => void = () => undefined;
  // Messages go out one after the other, whatever the socket's pace.
  let sending: Promise<void> = Promise.resolve();

  async function listen(socket: XPublisher): Promise<void> {
    try {
      for await (const [subscription] of socket) {
        if (subscription?.[0] !== 1) continue;
        subscribers += 1;
        onSubscriber();
      }
    } catch {
      // Closed while waiting.
    }
  }

  return {
    async open() {
      const zmq = await import("zeromq");
      const socket = new zmq.XPublisher({ linger: 200, sendHighWaterMark: 0 });
      try {
        await socket.bind(endpointOf(host, boundPort));
      } catch (error) {
        socket.close();
        return error instanceof Error ? error.message : String(error);
      }
      boundPort = portOf(socket.lastEndpoint) ?? boundPort;
      publisher = socket;
      subscribers = 0;
      void listen(socket);
      return null;
    },
    port: () => boundPort,
    send(parts) {
      const socket = publisher;
      if (socket !== null) sending = sending.then(() => socket.send([...parts])).catch(() => undefined);
    },
    heard: () =>
      new Promise((resolve) => {
        if (subscribers > 0) resolve();
        onSubscriber = resolve;
      }),
    async close() {
      await sending;
      publisher?.close();
      publisher = null;
    },
  };
}

export function endpointOf(host: string, port: number): string {
  return `tcp://${host}:${port === 0 ? "*" : port}`;
}

/** The port of a bound endpoint; null where it has none. */
export function portOf(endpoint: string | null): number | null {
  const port = Number(endpoint?.split(":").at(-1));
  return Number.isInteger(port) && port > 0 ? port : null;
}
