// Plays in the place of the Open Ephys GUI with a ZMQ Interface: a block is its spikes and TTL events, then one data message for each
// continuous channel. Protocol notes: docs/rigs/open-ephys.md. Knows nothing about the driver that listens.
import type { Reply, XPublisher } from "zeromq";
import { z } from "zod";
import { fault, ok } from "../../../shared/result.ts";
import type { PlayedBlock, PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";

const tickHz = 30_000;
/** As many as it takes for the driver to tell a lost spike from a lost block of data. */
const continuousChannels = 4;
/** TTL lines: a word's bits on 0 to 7, its strobe, the photodiode. */
const strobeLine = 8;
const photodiodeLine = 9;
const stream = "Synthetic";
const sourceNode = 100;
const waveformSamples = 40;

type Parts = readonly Uint8Array[];

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
  let dataPort = world.port ?? 5556;
  let heartbeatPort = world.port === null ? 5557 : world.port === 0 ? 0 : world.port + 1;
  let publisher: XPublisher | null = null;
  let reply: Reply | null = null;
  let messageNum = 0;
  let subscribers = 0;
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
    rubbish: () => [eventEnvelope, encode.encode("{ not json")],
  });

  function header(fields: Readonly<Record<string, unknown>>): Uint8Array {
    messageNum += 1;
    return encode.encode(JSON.stringify({ message_num: messageNum, ...fields, timestamp: Date.now() }));
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
      const zmq = await import("zeromq");
      const data = new zmq.XPublisher({ linger: 200, sendHighWaterMark: 0 });
      const heartbeats = new zmq.Reply({ linger: 0 });
      try {
        await data.bind(`tcp://${world.host}:${dataPort === 0 ? "*" : dataPort}`);
        await heartbeats.bind(`tcp://${world.host}:${heartbeatPort === 0 ? "*" : heartbeatPort}`);
      } catch (error) {
        data.close();
        heartbeats.close();
        return fault("portInUse", `Expected the ports ${dataPort} and ${heartbeatPort} of ${world.host} to be free, but they cannot be bound: ${error instanceof Error ? error.message : String(error)}. Choose another port, or stop the program that uses them.`);
      }
      dataPort = portOf(data.lastEndpoint) ?? dataPort;
      heartbeatPort = portOf(heartbeats.lastEndpoint) ?? heartbeatPort;
      publisher = data;
      reply = heartbeats;
      messageNum = 0;
      subscribers = 0;
      void listen(data);
      void answer(heartbeats);
      return ok(undefined);
    },
    driverOptions: () => ({
      host: world.host,
      dataPort,
      heartbeatPort,
      // A block holds everything that happened in it.
      holdBackMs: 0,
      electrodes: world.channels.map((channel) => channel.name),
      areas: [...new Set(world.channels.map((channel) => channel.area))].filter((area) => area !== "").map((area) => ({ prefix: area, area })),
      photodiodeLine,
    }),
    heard: () =>
      new Promise((resolve) => {
        if (subscribers > 0) resolve();
        onSubscriber = resolve;
      }),
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
      await sending;
      publisher?.close();
      reply?.close();
      publisher = null;
      reply = null;
    },
  };
}

/** The port of a bound endpoint; null where it has none. */
export function portOf(endpoint: string | null): number | null {
  const port = Number(endpoint?.split(":").at(-1));
  return Number.isInteger(port) && port > 0 ? port : null;
}
