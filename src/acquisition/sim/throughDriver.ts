// The synthetic rig heard through a real driver: what its neurons do is played over a protocol, and the protocol's driver is the source.
// On a virtual clock time stands still until the driver has received what was played, so that a whole session comes out the same as from
// the rig directly. Knows nothing about protocols.
import type { Clock, SpikeSource } from "../../shared/ports.ts";
import { fault } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs } from "../../shared/units.ts";
import type { SourceEvent } from "../../shared/values.ts";
import { createFeeder } from "./feeder.ts";
import type { PlayerKind, ProtocolPlayer } from "./player.ts";
import type { WireFault } from "./wire.ts";

/** What was played must have come out of the driver by then, ms of real time. */
const receiptMsMax = 20_000;
/** Where faults of the wire are asked for, what has not come out by then is not waited for. */
const receiptMsFaulty = 20;
/** So often in a row the driver went on and yet did not reach what was played: its times are of another numbering since a restart, and are waited for by that. */
const behindInRow = 5;
const otherNumberingNs = 200e6;

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
}

export function createThroughDriver(options: ThroughDriverOptions): SpikeSource {
  const { clock, kind, played, faults = [] } = options;
  const isFaulty = faults.length > 0;
  let driver: SpikeSource | null = null;
  let player: ProtocolPlayer | null = null;
  let reachedRigNs = -Infinity;
  let awaited: { readonly rigNs: number; readonly resolve: () => void }[] = [];
  /** Where faults have put the driver's times behind what is played, ns; 0 or less. */
  let shiftNs = 0;
  let behind = 0;
  let newestAskedNs = -Infinity;

  function heard(event: SourceEvent): void {
    if (event.kind === "spikes") reachedRigNs = Math.max(reachedRigNs, event.batch.watermarkRigNs);
    if (shiftNs < 0 && reachedRigNs - newestAskedNs > shiftNs + otherNumberingNs) shiftNs = Math.min(0, reachedRigNs - newestAskedNs);
    const over = awaited.filter((one) => event.kind === "end" || reachedRigNs >= one.rigNs);
    if (over.length === 0) return;
    awaited = awaited.filter((one) => !over.includes(one));
    for (const one of over) one.resolve();
  }

  /** Until the driver has said nothing for a while: all that was played has come. */
  async function quiet(): Promise<void> {
    for (let seenNs = -Infinity; seenNs !== reachedRigNs; ) {
      seenNs = reachedRigNs;
      await new Promise((resolve) => setTimeout(resolve, 3 * receiptMsFaulty));
    }
  }

  function receipt(untilRigNs: number, onLate: () => void): Promise<void> {
    newestAskedNs = untilRigNs;
    const rigNs = untilRigNs + shiftNs;
    const beforeNs = reachedRigNs;
    if (reachedRigNs >= rigNs) return Promise.resolve();
    return new Promise((resolve) => {
      function late(): void {
        awaited = awaited.filter((other) => other !== one);
        if (!isFaulty) onLate();
        else if (reachedRigNs > beforeNs && ++behind >= behindInRow) {
          void quiet().then(() => {
            shiftNs = Math.min(0, reachedRigNs - untilRigNs);
            behind = 0;
            resolve();
          });
          return;
        }
        resolve();
      }
      const timer = setTimeout(late, isFaulty ? receiptMsFaulty : receiptMsMax);
      const one = {
        rigNs,
        resolve: () => {
          behind = 0;
          clearTimeout(timer);
          resolve();
        },
      };
      awaited.push(one);
    });
  }

  return {
    name: `Synthetic rig through ${kind.title}`,
    channels: () => driver?.channels() ?? [],
    async start(listener) {
      if (player !== null) return fault("alreadyRunning", "Expected the synthetic rig to be stopped, but it is running. Stop it before starting it again.");
      const mine = kind.create({ channels: played.channels(), host: "127.0.0.1", port: 0, clock, seed: options.seed, faults });
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
        grid: kind.grid,
        onBlock(block, untilRigNs) {
          if (player !== mine) return;
          if (isAway) return;
          mine.play(block);
          const lagNs = Math.round((kind.grid.lagTicks * 1e9) / kind.grid.tickHz) + 1;
          void clock.hold(
            receipt(untilRigNs - lagNs, () =>
              listener({ kind: "fault", fault: { kind: "lost", reason: `What was played over ${kind.title} up to ${untilRigNs} ns did not come out of the driver; it has reached ${reachedRigNs} ns` }, arrivedHostNs: clock.now() }),
            ),
          );
        },
      });
      let isAway = false;
      async function restart(durationMs: number): Promise<void> {
        isAway = true;
        await mine.close();
        clock.setTimer(addMs(clock.now(), durationMs), () => {
          void clock.hold(
            (async () => {
              if (player !== mine) return;
              feeder.restart();
              isAway = !(await mine.open()).ok;
            })(),
          );
        });
      }
      for (const one of faults) {
        if (one.kind !== "pause") continue;
        clock.setTimer(addMs(clock.now(), one.atMs), () => feeder.pause());
        clock.setTimer(addMs(clock.now(), one.atMs + one.durationMs), () => feeder.goOn());
      }
      for (const one of faults) if (one.kind === "restart") clock.setTimer(addMs(clock.now(), one.atMs), () => void clock.hold(restart(one.durationMs)));
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
