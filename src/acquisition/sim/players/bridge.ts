// Plays in the place of `evoked rig bridge` on a recording computer. The protocol is described in docs/rigs/plexon.md. Knows nothing about
// the driver that listens.
import { z } from "zod";
import { nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import { createBridgePublisher } from "../../drivers/plexon/bridgePublisher.ts";
import { defaultBridgePort } from "../../drivers/plexon/bridgeProtocol.ts";
import type { PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";

export const bridgePlayer: PlayerKind = {
  kind: "plexon-bridge",
  rig: "plexon-bridge",
  title: "Evoked's bridge beside a recording system",
  // The bridge's times are ns.
  grid: { tickHz: 1e9, blockTicks: 1, batchMs: 10, lagTicks: 0 },
  options: z.strictObject({}),
  create: createBridgePlayer,
};

function createBridgePlayer(world: PlayerWorld): ProtocolPlayer {
  let put: (datagram: Uint8Array) => void = () => undefined;
  const wire = createWire<Uint8Array>({ clock: world.clock, seed: world.seed, faults: world.faults, transmit: (datagram) => put(datagram), rubbish: () => new Uint8Array([1, 2, 3, 4, 5]) });
  const publisher = createBridgePublisher({
    host: world.host,
    port: world.port ?? defaultBridgePort,
    source: "synthetic rig",
    transmit(datagram, send) {
      put = send;
      wire.send(datagram);
    },
  });
  let untilTick: number | null = null;
  return {
    eye: null,
    async open() {
      untilTick = null;
      const opened = await publisher.open();
      if (opened.ok) publisher.take({ kind: "channels", channels: world.channels });
      return opened;
    },
    driverOptions: () => ({ host: world.host, port: publisher.port(), localAddress: world.host }),
    heard: () => publisher.heard(),
    play(block) {
      const arrivedHostNs = world.clock.now();
      // The bridge says what its source says: that the rig's clock has jumped.
      if (untilTick !== null && block.fromTick > untilTick) {
        publisher.take({ kind: "fault", fault: { kind: "clockJump", jumpMs: (block.fromTick - untilTick) / nsPerMs, atRigNs: rigTimeNs(block.fromTick) }, arrivedHostNs });
      }
      untilTick = block.untilTick;
      for (const { tick, kind, line, state, word } of block.marks) publisher.take({ kind: "mark", mark: { kind, rigNs: rigTimeNs(tick), line, state, word }, arrivedHostNs });
      publisher.take({ kind: "spikes", batch: { timesRigNs: block.spikeTicks, channels: block.spikeChannels, units: block.spikeUnits, watermarkRigNs: rigTimeNs(block.untilTick), arrivedHostNs } });
    },
    async close() {
      wire.drain();
      await publisher.close();
    },
  };
}
