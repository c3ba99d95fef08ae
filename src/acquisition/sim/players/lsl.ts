// Plays in the place of a program that sends spikes over the Lab Streaming Layer: one stream with spikes, heartbeats and the photodiode, one
// with strobed words, one with gaze. Conventions: docs/rigs/lsl.md. Knows nothing about the driver that listens.
import { z } from "zod";
import { ok } from "../../../shared/result.ts";
import { loadLsl } from "../../drivers/lsl/library.ts";
import type { LslOutlet } from "../../drivers/lsl/library.ts";
import { heartbeatChannel, photodiodeChannel } from "../../drivers/lsl/decoder.ts";
import { areasOf } from "../player.ts";
import type { PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";

const tickHz = 1_000_000;

export const lslPlayer: PlayerKind = {
  kind: "lsl",
  rig: "lsl",
  title: "the Lab Streaming Layer",
  grid: { tickHz, blockTicks: 1, batchMs: 25, lagTicks: 0 },
  options: z.strictObject({}),
  create: createLslPlayer,
};

let made = 0;

function createLslPlayer(world: PlayerWorld): ProtocolPlayer {
  // Every computer of the network hears of it: the name is its own.
  const name = `Evoked synthetic rig ${process.pid}-${made++}`;
  let spikes: LslOutlet | null = null;
  let markers: LslOutlet | null = null;
  let gaze: LslOutlet | null = null;

  const wire = createWire<readonly [values: readonly number[], timeS: number]>({
    clock: world.clock,
    seed: world.seed,
    faults: world.faults,
    transmit: ([values, timeS]) => spikes?.push(values, timeS),
    rubbish: () => [[0.5, -3], 0],
  });

  return {
    async open() {
      const library = await loadLsl(null);
      if (!library.ok) return library;
      spikes = library.value.openOutlet({ name, type: "Spikes", channelCount: 2, sourceId: name });
      markers = library.value.openOutlet({ name: `${name} markers`, type: "Markers", channelCount: 1, sourceId: `${name} markers` });
      gaze = library.value.openOutlet({ name: `${name} gaze`, type: "Gaze", channelCount: 3, sourceId: `${name} gaze` });
      return ok(undefined);
    },
    driverOptions: () => ({
      spikesName: name,
      markersName: `${name} markers`,
      gazeName: `${name} gaze`,
      // The rig's time is in the time stamps themselves.
      timeCorrection: false,
      channels: world.channels.map((channel) => channel.name),
      areas: areasOf(world.channels),
    }),
    async heard() {
      while (spikes?.hasConsumers() === false) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    play(block) {
      for (const [i, tick] of block.spikeTicks.entries()) wire.send([[block.spikeChannels[i] ?? 0, block.spikeUnits[i] ?? 0], tick / tickHz]);
      for (const mark of block.marks) {
        if (mark.word === null) wire.send([[photodiodeChannel, mark.state ? 1 : 0], mark.tick / tickHz]);
        else markers?.push([mark.word], mark.tick / tickHz);
      }
      wire.send([[heartbeatChannel, 0], block.untilTick / tickHz]);
    },
    eye(batch) {
      for (const [i, time] of batch.timesRigNs.entries()) gaze?.push([batch.xDeg[i] ?? 0, batch.yDeg[i] ?? 0, batch.valid[i] ?? 0], time / 1e9);
    },
    async close() {
      wire.drain();
      spikes?.close();
      markers?.close();
      gaze?.close();
      spikes = null;
      markers = null;
      gaze = null;
    },
  };
}
