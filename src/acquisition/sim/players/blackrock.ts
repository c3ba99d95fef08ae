// Plays in the place of a Blackrock NSP (protocol 4.1, 30 kHz ticks): spikes with waveforms and digital events, many to a datagram, with the
// count of packets at the end of each block. Protocol notes: docs/rigs/blackrock.md. Knows nothing about the driver that listens.
import { z } from "zod";
import { createBlackrockDevice } from "../../drivers/blackrock/device.ts";
import { blackrockDevices } from "../../drivers/blackrock/options.ts";
import { areasOf } from "../player.ts";
import type { PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";

/** Bit of the digital input that carries the photodiode. */
const photodiodeLine = 0;

export const blackrockPlayer: PlayerKind = {
  kind: "blackrock",
  rig: "blackrock",
  title: "a Blackrock NSP",
  grid: { tickHz: 30_000, blockTicks: 1, batchMs: 10, lagTicks: 0 },
  options: z.strictObject({}),
  create: createBlackrockPlayer,
};

function createBlackrockPlayer(world: PlayerWorld): ProtocolPlayer {
  let put: (datagram: Uint8Array) => void = () => undefined;
  const wire = createWire<Uint8Array>({ clock: world.clock, seed: world.seed, faults: world.faults, transmit: (datagram) => put(datagram), rubbish: () => new Uint8Array([1, 2, 3, 4, 5]) });
  const device = createBlackrockDevice({
    protocol: "4.1",
    timeUnit: "ticks",
    host: world.host,
    port: world.port ?? blackrockDevices.nPlay.sendPort,
    labels: world.channels.map((channel) => channel.name),
    transmit(datagram, send) {
      put = send;
      wire.send(datagram);
    },
  });
  let word = 0;
  return {
    eye: null,
    open: () => device.open(),
    driverOptions: () => ({
      device: "nPlay",
      host: world.host,
      sendPort: device.port(),
      receivePort: world.port === null ? null : world.port === 0 ? 0 : world.port + 1,
      localAddress: world.host,
      // A block holds everything that happened in it.
      holdBackMs: 0,
      photodiodeLine,
      areas: areasOf(world.channels),
    }),
    heard: () => device.heard(),
    play(block) {
      for (const [i, tick] of block.spikeTicks.entries()) device.spike(tick, block.spikeChannels[i] ?? 0, block.spikeUnits[i] ?? 0);
      for (const mark of block.marks) {
        // The port set to "16-bit on strobe" gives the word alone.
        if (mark.word !== null) {
          device.digital(mark.tick, mark.word, 0, 2);
          continue;
        }
        const bit = 1 << (mark.kind === "photodiode" ? photodiodeLine : mark.line);
        word = mark.state ? word | bit : word & ~bit;
        device.digital(mark.tick, word, bit, 1);
      }
      device.monitor(block.untilTick);
    },
    async close() {
      wire.drain();
      await device.close();
    },
  };
}
