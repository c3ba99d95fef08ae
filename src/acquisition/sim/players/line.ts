// Plays in the place of a home-made rig: packets of the line by UDP, one for each block, each a heartbeat as well. Format: docs/rigs/line.md.
// Knows nothing about the driver that listens.
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { z } from "zod";
import { ok } from "../../../shared/result.ts";
import type { EyeBatch } from "../../../shared/values.ts";
import { encodePacket, sequenceSize } from "../../drivers/line/protocol.ts";
import { areasOf } from "../player.ts";
import type { PlayedBlock, PlayerKind, PlayerWorld, ProtocolPlayer } from "../player.ts";
import { createWire } from "../wire.ts";

const tickHz = 1_000_000;
const defaultPort = 47_600;
/** Line of a word's strobe. */
const strobeLine = 8;
/** Spikes of a packet: it stays below an Ethernet frame. */
const spikesMax = 160;
const eyesMax = 80;

export const linePlayer: PlayerKind = {
  kind: "line",
  rig: "line",
  title: "the line for home-made rigs (UDP)",
  grid: { tickHz, blockTicks: 1, batchMs: 25, lagTicks: 0 },
  options: z.strictObject({}),
  create: createLinePlayer,
};

function createLinePlayer(world: PlayerWorld): ProtocolPlayer {
  let socket: Socket | null = null;
  // It sends to whoever listens there: a free port is found by opening it for a moment.
  let port = world.port ?? defaultPort;
  let number = 0;
  let heardTick = 0;

  const wire = createWire<Uint8Array>({
    clock: world.clock,
    seed: world.seed,
    faults: world.faults,
    transmit: (packet) => socket?.send(packet, port, world.host, () => undefined),
    rubbish: () => new TextEncoder().encode("S one two three\n"),
  });

  function send(tick: number, parts: Partial<Parameters<typeof encodePacket>[0]>): void {
    wire.send(encodePacket({ number, tick, spikes: [], marks: [], eye: [], ...parts }));
    number = (number + 1) % sequenceSize;
  }

  let beating: NodeJS.Timeout | null = null;

  return {
    async open() {
      if (port === 0) {
        const probe = createSocket("udp4");
        port = await new Promise<number>((resolve) => probe.bind({ address: world.host, port: 0 }, () => resolve(probe.address().port)));
        await new Promise<void>((resolve) => probe.close(() => resolve()));
      }
      socket = createSocket("udp4");
      number = 0;
      // A rig speaks before it has anything to say: the driver's start waits for that.
      const beat = (): void => {
        if (heardTick === 0) socket?.send(new TextEncoder().encode("# a rig that has nothing to say yet\n"), port, world.host, () => undefined);
      };
      beating = setInterval(beat, 50);
      return ok(undefined);
    },
    driverOptions: () => ({
      transport: "udp",
      host: world.host,
      port,
      tickHz,
      counterBits: null,
      channels: world.channels.map((channel) => channel.name),
      areas: areasOf(world.channels),
    }),
    heard: () => Promise.resolve(),
    play(block: PlayedBlock) {
      if (beating !== null) clearInterval(beating);
      beating = null;
      heardTick = block.untilTick;
      const spikes = Array.from(block.spikeTicks, (tick, i) => ({ tick, channel: block.spikeChannels[i] ?? 0, unit: block.spikeUnits[i] ?? 0 }));
      const marks = block.marks.map(({ tick, line, state, kind, word }) => ({ tick, line: kind === "strobe" ? strobeLine : line, state, isPhotodiode: kind === "photodiode", word }));
      // All but the last packet reach to the first spike of the next.
      for (let from = 0; from + spikesMax < spikes.length; from += spikesMax) send(spikes[from + spikesMax]?.tick ?? block.untilTick, { spikes: spikes.slice(from, from + spikesMax), marks: from === 0 ? marks.filter((mark) => mark.tick < (spikes[spikesMax]?.tick ?? 0)) : [] });
      const done = Math.floor(Math.max(0, spikes.length - 1) / spikesMax) * spikesMax;
      const firstReach = done === 0 ? -Infinity : (spikes[spikesMax]?.tick ?? 0);
      send(block.untilTick, { spikes: spikes.slice(done), marks: marks.filter((mark) => mark.tick >= firstReach) });
    },
    eye(batch: EyeBatch) {
      if (heardTick === 0) return;
      for (let from = 0; from < batch.timesRigNs.length; from += eyesMax) {
        const eye = Array.from({ length: Math.min(eyesMax, batch.timesRigNs.length - from) }, (_, i) => ({
          tick: Math.min(heardTick, Math.round(((batch.timesRigNs[from + i] ?? 0) * tickHz) / 1e9)),
          xDeg: batch.xDeg[from + i] ?? 0,
          yDeg: batch.yDeg[from + i] ?? 0,
          valid: batch.valid[from + i] === 1,
        }));
        send(heardTick, { eye });
      }
    },
    async close() {
      if (beating !== null) clearInterval(beating);
      beating = null;
      heardTick = 0;
      wire.drain();
      const open = socket;
      socket = null;
      if (open !== null) await new Promise<void>((resolve) => open.close(() => resolve()));
    },
  };
}
