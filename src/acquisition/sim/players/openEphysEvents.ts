// Plays in the place of the Open Ephys GUI with an Event Broadcaster, in its JSON form: spikes and TTL events, and at the end of each block a pulse on
// the clock line, as the protocol itself does not say how far it is. Protocol notes: docs/rigs/open-ephys.md. Knows nothing about the driver that
// listens.
import { z } from "zod";
import { fault, ok } from "../../../shared/result.ts";
import { areasOf } from "../player.ts";
import type { PlayedBlock, PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";
import { createPublication } from "./publication.ts";
import type { Parts } from "./publication.ts";

const tickHz = 30_000;
/** TTL lines of a word's strobe, of the photodiode and of the pulse that tells the time. */
const strobeLine = 8;
const photodiodeLine = 9;
const clockLine = 7;
const stream = "Synthetic";
const sourceNode = 103;
const ttlCode = new Uint8Array([0, 0]);
const spikeCode = new Uint8Array([1, 0]);

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
  const publication = createPublication({ host: world.host, port: world.port ?? 5557 });
  let isClockHigh = false;

  const wire = createWire<Parts>({
    clock: world.clock,
    seed: world.seed,
    faults: world.faults,
    transmit: (parts) => publication.send(parts),
    rubbish: () => [spikeCode, encode.encode("{ not json")],
  });

  function send(code: Uint8Array, fields: Readonly<Record<string, unknown>>): void {
    wire.send([code, encode.encode(JSON.stringify(fields, null, 2))]);
  }

  function sendTtl(tick: number, line: number, state: boolean, word: number | null = null): void {
    send(ttlCode, { event_type: "ttl", stream, source_node: sourceNode, sample_rate: tickHz, sample_number: tick, line, state, ...(word === null ? {} : { word }) });
  }

  return {
    eye: null,
    async open() {
      const problem = await publication.open();
      if (problem !== null) return fault("portInUse", `Expected port ${publication.port()} of ${world.host} to be free, but it cannot be bound: ${problem}. Choose another port, or stop the program that uses it.`);
      return ok(undefined);
    },
    driverOptions: () => ({
      host: world.host,
      port: publication.port(),
      // The pulse at the end of a block comes after everything that happened in it.
      holdBackMs: 0,
      electrodes: world.channels.map((channel) => channel.name),
      areas: areasOf(world.channels),
      photodiodeLine,
      clockLine,
    }),
    heard: () => publication.heard(),
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
      await publication.close();
    },
  };
}
