// The synthetic rig heard through a real driver: what its neurons do is played over a protocol, and the protocol's driver is the source.
// On a virtual clock time stands still until the driver has received what was played, so that a whole session comes out the same as from
// the rig directly. Knows nothing about protocols.
import type { Clock, SpikeSource } from "../../shared/ports.ts";
import { fault } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { SourceEvent } from "../../shared/values.ts";
import { createFeeder } from "./feeder.ts";
import type { PlayerKind, ProtocolPlayer } from "./player.ts";
import type { WireFault } from "./wire.ts";

/** What was played must have come out of the driver by then, ms of real time. */
const receiptMsMax = 20_000;

export interface ThroughDriverOptions {
  readonly clock: Clock;
  readonly seed: number | string;
  readonly kind: PlayerKind;
  /** The rig that is played; its spikes are on the player's ticks. */
  readonly played: SpikeSource;
  readonly openDriver: (kind: string, options: unknown) => Result<SpikeSource, Fault>;
  /** What the driver is told beside what the player says. */
  readonly driverOptions?: Readonly<Record<string, unknown>>;
  readonly faults?: readonly WireFault[];
  /** false: what is played may be lost on the way, time goes on without it. */
  readonly waitForReceipt?: boolean;
}

export function createThroughDriver(options: ThroughDriverOptions): SpikeSource {
  const { clock, kind, played, waitForReceipt = true } = options;
  let driver: SpikeSource | null = null;
  let player: ProtocolPlayer | null = null;
  let reachedRigNs = -Infinity;
  let awaited: { readonly rigNs: number; readonly resolve: () => void } | null = null;

  function heard(event: SourceEvent): void {
    if (event.kind === "spikes") reachedRigNs = Math.max(reachedRigNs, event.batch.watermarkRigNs);
    if (event.kind === "end" || (awaited !== null && reachedRigNs >= awaited.rigNs)) {
      awaited?.resolve();
      awaited = null;
    }
  }

  function receipt(untilRigNs: number, onLate: () => void): Promise<void> {
    if (reachedRigNs >= untilRigNs) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        awaited = null;
        onLate();
        resolve();
      }, receiptMsMax);
      awaited = {
        rigNs: untilRigNs,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
    });
  }

  return {
    name: `Synthetic rig through ${kind.title}`,
    channels: () => driver?.channels() ?? [],
    async start(listener) {
      if (player !== null) return fault("alreadyRunning", "Expected the synthetic rig to be stopped, but it is running. Stop it before starting it again.");
      const mine = kind.create({ channels: played.channels(), host: "127.0.0.1", port: 0, clock, seed: options.seed, faults: options.faults ?? [] });
      const opened = await mine.open();
      if (!opened.ok) return opened;
      const made = options.openDriver(kind.rig, { ...mine.driverOptions(), ...options.driverOptions });
      if (!made.ok) {
        await mine.close();
        return made;
      }
      player = mine;
      driver = made.value;
      reachedRigNs = -Infinity;
      const started = await made.value.start((event) => {
        listener(event);
        heard(event);
      });
      if (!started.ok) {
        player = null;
        await mine.close();
        return started;
      }
      await mine.heard();
      const feeder = createFeeder({
        tickHz: kind.grid.tickHz,
        onBlock(block, untilRigNs) {
          if (player !== mine) return;
          mine.play(block);
          if (!waitForReceipt) return;
          void clock.hold(
            receipt(untilRigNs, () =>
              listener({ kind: "fault", fault: { kind: "lost", reason: `What was played over ${kind.title} up to ${untilRigNs} ns did not come out of the driver; it has reached ${reachedRigNs} ns` }, arrivedHostNs: clock.now() }),
            ),
          );
        },
      });
      return await played.start((event) => feeder.take(event));
    },
    status: () => driver?.status() ?? { connected: false, address: `synthetic, through ${kind.title}`, spikesReceived: 0, packetsReceived: 0, packetsLost: 0, malformedPackets: 0, newestHostNs: null },
    async stop() {
      const mine = player;
      if (mine === null) return;
      await played.stop();
      player = null;
      await driver?.stop();
      await mine.close();
    },
  };
}
