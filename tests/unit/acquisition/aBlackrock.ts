// A Blackrock device for tests: spikes and counts of packets as they are wanted, over a wire of one's own or over loopback. Knows nothing
// about what is expected of the driver.
import { createBlackrockDevice } from "../../../src/acquisition/drivers/blackrock/device.ts";
import type { BlackrockDevice, DeviceOptions } from "../../../src/acquisition/drivers/blackrock/device.ts";
import { createBlackrockDecoder } from "../../../src/acquisition/drivers/blackrock/decoder.ts";
import type { BlackrockDecoder, BlackrockDecoderOptions } from "../../../src/acquisition/drivers/blackrock/decoder.ts";
import { blackrockOptionsSchema } from "../../../src/acquisition/drivers/blackrock/options.ts";
import { createBlackrockParser } from "../../../src/acquisition/drivers/blackrock/parser.ts";
import type { BlackrockProtocol } from "../../../src/acquisition/drivers/blackrock/packets.ts";
import { createBlackrockSource } from "../../../src/acquisition/drivers/blackrock/source.ts";
import { RecordWriter } from "../../../src/acquisition/native/records.ts";
import { createSpikeHold } from "../../../src/acquisition/spikeHold.ts";
import { createRealClock } from "../../../src/engine/realClock.ts";
import type { SpikeSource } from "../../../src/shared/ports.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";
import type { SourceEvent, SourceFault } from "../../../src/shared/values.ts";

export const labels = Array.from({ length: 16 }, (_, i) => `chan${i + 1}`);
const tickHz = 30_000;

export interface DecodedWire {
  /** One span between two counts of packets: `datagrams` of `spikesEach` spikes, the last with the count. */
  span(options?: { readonly datagrams?: number; readonly spikesEach?: number; readonly unit?: number }): void;
  /** The datagrams that were sent and not delivered yet. */
  readonly queue: Uint8Array[];
  /** Delivers everything that is queued, 1 ms of host time for each datagram. */
  deliver(): void;
  readonly device: BlackrockDevice;
  /** Device time, ticks (or ns). */
  time: bigint;
  hostMs: number;
  readonly events: SourceEvent[];
  readonly decoder: BlackrockDecoder;
  faults(): SourceFault[];
  spikes(): { readonly timeNs: number; readonly channel: number; readonly unit: number }[];
}

/** A device whose datagrams go to a decoder by hand. */
export function aDecodedWire({ protocol = "4.1", timeUnit = "ticks", start = 30_000n, ...more }: { readonly protocol?: BlackrockProtocol; readonly timeUnit?: "ticks" | "ns"; readonly start?: bigint } & Partial<BlackrockDecoderOptions> = {}): DecodedWire {
  const queue: Uint8Array[] = [];
  const device = createBlackrockDevice({ protocol, timeUnit, host: "127.0.0.1", port: 0, labels, transmit: (datagram) => queue.push(datagram) });
  const events: SourceEvent[] = [];
  const hold = createSpikeHold((event) => events.push(event));
  const decoder = createBlackrockDecoder(
    { name: "nsp", origin: { at: null }, protocol, tickHz: timeUnit === "ns" ? 1e9 : tickHz, holdBackMs: 0, noise: "leaveOut", photodiodeLine: null, photodiodeChannel: null, digitalChannels: null, channelIndex: (channel) => channel - 1, ...more },
    {
      spike: (timeNs, channel, unit) => hold.add(timeNs, channel, unit),
      mark: (mark, arrived) => hold.addMark(mark, arrived),
      fault: (fault, arrivedHostNs) => events.push({ kind: "fault", fault, arrivedHostNs }),
      reached: (watermarkNs, arrived) => hold.deliver(watermarkNs, arrived),
      restart(arrived) {
        hold.flush(arrived);
        return Math.max(hold.watermarkNs(), hold.newestNs());
      },
    },
  );
  const parse = createBlackrockParser(protocol);
  const writer = new RecordWriter();
  const perMs = timeUnit === "ns" ? 1_000_000n : 30n;
  const wire: DecodedWire = {
    queue,
    device,
    events,
    decoder,
    time: start,
    hostMs: 0,
    span({ datagrams = 3, spikesEach = 5, unit = 1 } = {}) {
      for (let i = 0; i < datagrams; i++) {
        for (let k = 0; k < spikesEach; k++) {
          wire.time += perMs / 10n;
          device.spike(wire.time, (i * spikesEach + k) % labels.length, unit);
        }
        if (i < datagrams - 1) device.flush();
      }
      wire.time += 10n * perMs - BigInt(datagrams * spikesEach) * (perMs / 10n);
      device.monitor(wire.time);
    },
    deliver() {
      const stepMs = 10 / Math.max(1, queue.length);
      for (const datagram of queue.splice(0)) {
        wire.hostMs += stepMs;
        parse(datagram, wire.hostMs * nsPerMs, writer);
        decoder.take(writer.take(), (arrivalNs) => hostTimeNs(Math.round(arrivalNs)));
      }
    },
    faults: () => events.flatMap((event) => (event.kind === "fault" ? [event.fault] : [])),
    spikes: () => events.flatMap((event) => (event.kind === "spikes" ? Array.from(event.batch.timesRigNs, (timeNs, i) => ({ timeNs, channel: event.batch.channels[i] ?? -1, unit: event.batch.units[i] ?? -1 })) : [])),
  };
  return wire;
}

/** A device on loopback that spikes by itself, and a source that listens to it. `dropFirstHalves`: numbers of spans (from stream() on) whose first datagram, half of their spikes, is lost. */
export async function aPlayedDevice(options: { readonly by?: "addon" | "node"; readonly protocol?: BlackrockProtocol; readonly timeUnit?: "ticks" | "ns"; readonly dropFirstHalves?: readonly number[]; readonly transmit?: DeviceOptions["transmit"]; readonly source?: Readonly<Record<string, unknown>> } = {}) {
  const { protocol = "4.1", timeUnit = "ticks" } = options;
  const drop = new Set(options.dropFirstHalves ?? []);
  let spans = 0;
  let isStreaming = false;
  let isFirstHalf = false;
  const spikesEach = 20;
  const device = createBlackrockDevice({
    protocol, timeUnit, host: "127.0.0.1", port: 0, labels,
    transmit(datagram, send) {
      if (isFirstHalf && isStreaming && drop.has(spans)) return;
      if (options.transmit === undefined) send(datagram);
      else options.transmit(datagram, send);
    },
  });
  unwrap(await device.open());
  const beganMs = performance.now();
  const unitPerMs = timeUnit === "ns" ? 1e6 : 30;
  let sentMs = 0;
  let baseMs = 1000;
  let isPaused = false;
  // As the real device: datagrams of spikes, then a count of packets every 10 ms, from the moment it runs.
  const timer = setInterval(() => {
    while (!isPaused && sentMs + 10 <= performance.now() - beganMs) {
      for (let k = 0; k < spikesEach; k++) {
        device.spike(Math.round((baseMs + sentMs + (k * 10) / spikesEach) * unitPerMs), k % labels.length, k % 3);
        if (k !== spikesEach / 2 - 1) continue;
        isFirstHalf = true;
        device.flush();
        isFirstHalf = false;
      }
      if (isStreaming) spans += 1;
      sentMs += 10;
      device.monitor(Math.round((baseMs + sentMs) * unitPerMs));
    }
  }, 5);
  const clock = createRealClock();
  const make = (): SpikeSource =>
    createBlackrockSource({ clock, options: blackrockOptionsSchema.parse({ device: "nPlay", host: "127.0.0.1", sendPort: device.port(), receivePort: 0, localAddress: "127.0.0.1", holdBackMs: 1, receiveBy: options.by ?? "node", staleMs: 3000, ...options.source }) });
  const source = make();
  return {
    source, clock, device,
    /** Spans are counted from here on: the handshake is over. */
    stream() {
      isStreaming = true;
    },
    /** Time goes on meanwhile: what was not sent comes in one burst. */
    pause(paused: boolean) {
      isPaused = paused;
    },
    /** The device's clock begins again. */
    restart() {
      baseMs = -sentMs;
    },
    async dispose() {
      clearInterval(timer);
      await source.stop();
      await device.close();
    },
  };
}
