// A bridge for tests: its datagrams go to a decoder by hand, or to a source over loopback. Knows nothing about what is expected.
import { createBridgeDecoder } from "../../../src/acquisition/drivers/plexon/bridgeDecoder.ts";
import { bridgeOptionsSchema } from "../../../src/acquisition/drivers/plexon/bridgeOptions.ts";
import { createBridgeParser } from "../../../src/acquisition/drivers/plexon/bridgeParser.ts";
import { createBridgePublisher } from "../../../src/acquisition/drivers/plexon/bridgePublisher.ts";
import type { BridgePublisher } from "../../../src/acquisition/drivers/plexon/bridgePublisher.ts";
import { createBridgeSource } from "../../../src/acquisition/drivers/plexon/bridgeSource.ts";
import { RecordWriter } from "../../../src/acquisition/native/records.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs, rigTimeNs } from "../../../src/shared/units.ts";
import type { SourceEvent, SourceFault } from "../../../src/shared/values.ts";

export const bridgeChannels = Array.from({ length: 40 }, (_, index) => ({ index, name: `SPK${index + 1}`, area: "", positionMm: null }));

/** Spikes from `fromNs` on, one every 50 us, up to the watermark `toNs`. */
export function aBatch(fromNs: number, toNs: number, count: number): SourceEvent {
  return {
    kind: "spikes",
    batch: {
      timesRigNs: Float64Array.from({ length: count }, (_, i) => fromNs + ((toNs - fromNs) / count) * i),
      channels: Uint16Array.from({ length: count }, (_, i) => i % bridgeChannels.length),
      units: Uint8Array.from({ length: count }, (_, i) => i % 4),
      watermarkRigNs: rigTimeNs(toNs),
      arrivedHostNs: hostTimeNs(0),
    },
  };
}

export function aBridgedWire() {
  const queue: Uint8Array[] = [];
  const events: SourceEvent[] = [];
  const decoder = createBridgeDecoder({ areas: [] }, (event) => events.push(event));
  const parse = createBridgeParser();
  const writer = new RecordWriter();
  let hostMs = 0;
  let publisher: BridgePublisher = make();
  function make(): BridgePublisher {
    return createBridgePublisher({ host: "127.0.0.1", port: 0, source: "test", transmit: (datagram) => queue.push(datagram) });
  }
  return {
    queue,
    events,
    decoder,
    get publisher() {
      return publisher;
    },
    async open() {
      publisher = make();
      unwrap(await publisher.open());
      publisher.take({ kind: "channels", channels: bridgeChannels });
    },
    /** Place in the queue of the n-th datagram with records; heartbeats are among them as they like. */
    placeOf(n: number): number {
      const places = queue.flatMap((datagram, place) => (datagram[5] === 1 && (datagram[6] ?? 0) > 0 ? [place] : []));
      return places[n] ?? -1;
    },
    deliver(stepMs = 1) {
      for (const datagram of queue.splice(0)) {
        hostMs += stepMs;
        parse(datagram, hostMs * nsPerMs, writer);
        decoder.take(writer.take(), (arrivalNs) => hostTimeNs(Math.round(arrivalNs)));
      }
    },
    faults: (): SourceFault[] => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
    times: () => events.flatMap((event) => (event.kind === "spikes" ? [...event.batch.timesRigNs] : [])),
    marks: () => events.flatMap((event) => (event.kind === "mark" ? [event.mark] : [])),
  };
}

/** A bridge on loopback whose source spikes by itself, and a driver that listens. `drop`: ordinals of datagrams with spikes that are lost. */
export async function aPlayedBridge(options: { readonly by?: "addon" | "node"; readonly drop?: readonly number[] } = {}) {
  const drop = new Set(options.drop ?? []);
  let ordinal = 0;
  let isStreaming = false;
  const publisher = createBridgePublisher({
    host: "127.0.0.1", port: 0, source: "test",
    transmit(datagram, send) {
      // Only data with records: heartbeats come as they like.
      if (isStreaming && datagram[5] === 1 && (datagram[6] ?? 0) > 0) {
        ordinal += 1;
        if (drop.has(ordinal)) return;
      }
      send(datagram);
    },
  });
  unwrap(await publisher.open());
  publisher.take({ kind: "channels", channels: bridgeChannels });
  const beganMs = performance.now();
  let sentMs = 0;
  const timer = setInterval(() => {
    while (sentMs + 10 <= performance.now() - beganMs) {
      publisher.take(aBatch((1000 + sentMs) * nsPerMs, (1010 + sentMs) * nsPerMs, 100));
      sentMs += 10;
    }
  }, 5);
  const clock = createRealClock();
  const source = createBridgeSource({ clock, options: bridgeOptionsSchema.parse({ host: "127.0.0.1", port: publisher.port(), localAddress: "127.0.0.1", receiveBy: options.by ?? "node", staleMs: 3000 }) });
  return {
    source, clock, publisher,
    stream() {
      isStreaming = true;
    },
    async dispose() {
      clearInterval(timer);
      await source.stop();
      await publisher.close();
    },
  };
}
