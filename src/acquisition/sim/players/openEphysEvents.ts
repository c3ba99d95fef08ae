// Plays in the place of the Open Ephys GUI with an Event Broadcaster, in its JSON form: spikes and TTL events, and at the end of each block a pulse on
// the clock line, as the protocol itself does not say how far it is. Protocol notes: docs/rigs/open-ephys.md. Knows nothing about the driver that
// listens.
import type { XPublisher } from "zeromq";
import { z } from "zod";
import { fault, ok } from "../../../shared/result.ts";
import type { PlayedBlock, PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";
import { portOf } from "./openEphys.ts";

const tickHz = 30_000;
/** TTL lines of a word's strobe, of the photodiode and of the pulse that tells the time. */
const strobeLine = 8;
const photodiodeLine = 9;
const clockLine = 7;
const stream = "Synthetic";
const sourceNode = 103;
const ttlCode = new Uint8Array([0, 0]);
const spikeCode = new Uint8Array([1, 0]);

type Parts = readonly Uint8Array[];

export const openEphysEventsPlayer: PlayerKind = {
  kind: "open-ephys-events",
  rig: "open-ephys-events",
  title: "the Open Ephys GUI's Event Broadcaster",
  grid: { tickHz, blockTicks: 1, batchMs: 25, lagTicks: 0 },
  options: z.strictObject({}),
  create: createOpenEphysEventsPlayer,
};

function createOpenEphysEventsPlayer(world: PlayerWorld): ProtocolPlayer {
  const encode = new TextEncoder();
  let port = world.port ?? 5557;
  let publisher: XPublisher | null = null;
  let subscribers = 0;
  let isClockHigh = false;
  let onSubscriber: () => void = () => undefined;
  // Messages go out one after the other, whatever the socket's pace.
  let sending: Promise<void> = Promise.resolve();

  const wire = createWire<Parts>({
    clock: world.clock,
    seed: world.seed,
    faults: world.faults,
    transmit(parts) {
      const socket = publisher;
      if (socket !== null) sending = sending.then(() => socket.send([...parts])).catch(() => undefined);
    },
    rubbish: () => [spikeCode, encode.encode("{ not json")],
  });

  function send(code: Uint8Array, fields: Readonly<Record<string, unknown>>): void {
    wire.send([code, encode.encode(JSON.stringify(fields, null, 2))]);
  }

  function sendTtl(tick: number, line: number, state: boolean, word: number | null = null): void {
    send(ttlCode, { event_type: "ttl", stream, source_node: sourceNode, sample_rate: tickHz, sample_number: tick, line, state, ...(word === null ? {} : { word }) });
  }

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
    eye: null,
    async open() {
      const zmq = await import("zeromq");
      const socket = new zmq.XPublisher({ linger: 200, sendHighWaterMark: 0 });
      try {
        await socket.bind(`tcp://${world.host}:${port === 0 ? "*" : port}`);
      } catch (error) {
        socket.close();
        return fault("portInUse", `Expected port ${port} of ${world.host} to be free, but it cannot be bound: ${error instanceof Error ? error.message : String(error)}. Choose another port, or stop the program that uses it.`);
      }
      port = portOf(socket.lastEndpoint) ?? port;
      publisher = socket;
      subscribers = 0;
      void listen(socket);
      return ok(undefined);
    },
    driverOptions: () => ({
      host: world.host,
      port,
      // The pulse at the end of a block comes after everything that happened in it.
      holdBackMs: 0,
      electrodes: world.channels.map((channel) => channel.name),
      areas: [...new Set(world.channels.map((channel) => channel.area))].filter((area) => area !== "").map((area) => ({ prefix: area, area })),
      photodiodeLine,
      clockLine,
    }),
    heard: () =>
      new Promise((resolve) => {
        if (subscribers > 0) resolve();
        onSubscriber = resolve;
      }),
    play(block: PlayedBlock) {
      for (const [i, tick] of block.spikeTicks.entries()) {
        const channel = block.spikeChannels[i] ?? 0;
        send(spikeCode, {
          event_type: "spike", stream, source_node: sourceNode, electrode: world.channels[channel]?.name ?? `channel ${channel}`, num_channels: 1,
          sample_rate: tickHz, sample_number: tick, sorted_id: block.spikeUnits[i] ?? 0, amp1: 100,
        });
      }
      for (const mark of block.marks) sendTtl(mark.tick, mark.kind === "photodiode" ? photodiodeLine : mark.kind === "strobe" ? strobeLine : mark.line, mark.state, mark.word);
      if (block.untilTick <= block.fromTick) return;
      isClockHigh = !isClockHigh;
      sendTtl(block.untilTick, clockLine, isClockHigh);
    },
    async close() {
      wire.drain();
      await sending;
      publisher?.close();
      publisher = null;
    },
  };
}
