// Plays in the place of the Open Ephys GUI with a ZMQ Interface: a block is its spikes and TTL events, then one data message for each
// continuous channel. Protocol notes: docs/rigs/open-ephys.md. Knows nothing about the driver that listens.
import type { Reply } from "zeromq";
import { z } from "zod";
import { fault, ok } from "../../../shared/result.ts";
import { areasOf } from "../player.ts";
import type { PlayedBlock, PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";
import { createPublication, endpointOf, portOf } from "./publication.ts";
import type { Parts } from "./publication.ts";

const tickHz = 30_000;
/** As many as it takes for the driver to tell a lost spike from a lost block of data. */
const continuousChannels = 4;
/** TTL lines: a word's bits on 0 to 7, its strobe, the photodiode. */
const strobeLine = 8;
const photodiodeLine = 9;
const stream = "Synthetic";
const sourceNode = 100;
const waveformSamples = 40;

export const openEphysPlayer: PlayerKind = {
  kind: "open-ephys",
  rig: "open-ephys",
  title: "the Open Ephys GUI's ZMQ Interface",
  grid: { tickHz, blockTicks: 1, batchMs: 25, lagTicks: 0 },
  options: z.strictObject({}),
  create: createOpenEphysPlayer,
};

function createOpenEphysPlayer(world: PlayerWorld): ProtocolPlayer {
  const encode = new TextEncoder();
  const dataEnvelope = encode.encode("DATA\0");
  const eventEnvelope = encode.encode("EVENT\0");
  const waveform = new Uint8Array(waveformSamples * 4);
  const publication = createPublication({ host: world.host, port: world.port ?? 5556 });
  let heartbeatPort = world.port === null ? 5557 : world.port === 0 ? 0 : world.port + 1;
  let reply: Reply | null = null;
  let messageNum = 0;

  const wire = createWire<Parts>({
    clock: world.clock,
    seed: world.seed,
    faults: world.faults,
    transmit: (parts) => publication.send(parts),
    rubbish: () => [eventEnvelope, encode.encode("{ not json")],
  });

  function header(fields: Readonly<Record<string, unknown>>): Uint8Array {
    messageNum += 1;
    return encode.encode(JSON.stringify({ message_num: messageNum, ...fields, timestamp: Date.now() }));
  }

  async function answer(socket: Reply): Promise<void> {
    try {
      for await (const _ of socket) await socket.send("heartbeat received");
    } catch {
      // Closed while waiting.
    }
  }

  return {
    eye: null,
    async open() {
      const problem = await publication.open();
      const zmq = await import("zeromq");
      const heartbeats = new zmq.Reply({ linger: 0 });
      try {
        if (problem !== null) throw new Error(problem);
        await heartbeats.bind(endpointOf(world.host, heartbeatPort));
      } catch (error) {
        await publication.close();
        heartbeats.close();
        return fault("portInUse", `Expected the ports ${publication.port()} and ${heartbeatPort} of ${world.host} to be free, but they cannot be bound: ${error instanceof Error ? error.message : String(error)}. Choose another port, or stop the program that uses them.`);
      }
      heartbeatPort = portOf(heartbeats.lastEndpoint) ?? heartbeatPort;
      reply = heartbeats;
      messageNum = 0;
      void answer(heartbeats);
      return ok(undefined);
    },
    driverOptions: () => ({
      host: world.host,
      dataPort: publication.port(),
      heartbeatPort,
      // A block holds everything that happened in it.
      holdBackMs: 0,
      electrodes: world.channels.map((channel) => channel.name),
      areas: areasOf(world.channels),
      photodiodeLine,
    }),
    heard: () => publication.heard(),
    play(block: PlayedBlock) {
      for (const [i, tick] of block.spikeTicks.entries()) {
        const channel = block.spikeChannels[i] ?? 0;
        wire.send([
          eventEnvelope,
          header({
            type: "spike",
            spike: { stream, source_node: sourceNode, electrode: world.channels[channel]?.name ?? `channel ${channel}`, sample_num: tick, num_channels: 1, num_samples: waveformSamples, sorted_id: block.spikeUnits[i] ?? 0, threshold: [-50] },
          }),
          waveform,
        ]);
      }
      for (const mark of block.marks) {
        const line = mark.kind === "photodiode" ? photodiodeLine : mark.kind === "strobe" ? strobeLine : mark.line;
        const payload = new Uint8Array(10);
        const view = new DataView(payload.buffer);
        view.setUint8(0, line);
        view.setUint8(1, mark.state ? 1 : 0);
        view.setBigUint64(2, (mark.state ? 1n << BigInt(line) : 0n) | BigInt(mark.word ?? 0), true);
        wire.send([eventEnvelope, header({ type: "event", content: { stream, source_node: sourceNode, type: 3, sample_num: mark.tick }, data_size: payload.length }), payload]);
      }
      const samples = block.untilTick - block.fromTick;
      if (samples <= 0) return;
      const silence = new Uint8Array(samples * 4);
      for (let channel = 0; channel < continuousChannels; channel++) {
        wire.send([
          dataEnvelope,
          header({ type: "data", content: { stream, channel_num: channel, channel_name: `CH${channel + 1}`, num_samples: samples, sample_num: block.fromTick, sample_rate: tickHz }, data_size: silence.length }),
          silence,
        ]);
      }
    },
    async close() {
      wire.drain();
      await publication.close();
      reply?.close();
      reply = null;
    },
  };
}
