// A driver that hears the synthetic rig over its own protocol, in real time, for the contract suite. Knows nothing about protocols.
import { openSource } from "../../src/acquisition/index.ts";
import { findPlayer } from "../../src/acquisition/sim/index.ts";
import { startSimulator } from "../../src/acquisition/sim/simulator.ts";
import type { WireFault } from "../../src/acquisition/sim/wire.ts";
import { createRealClock } from "../../src/engine/realClock.ts";
import { unwrap } from "../../src/shared/result.ts";
import type { SourceMaker, SourceUnderTest } from "./acquisitionSuite.ts";

/** Waits in real time. */
async function passReal(done: () => boolean, limitMs = 25_000): Promise<void> {
  const until = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > until) throw new Error(`expected it to happen within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function aPlayedRig({ as, faults = [], driverOptions = {} }: { readonly as: string; readonly faults?: readonly WireFault[]; readonly driverOptions?: Readonly<Record<string, unknown>> }): Promise<SourceUnderTest> {
  const clock = createRealClock();
  const simulator = unwrap(await startSimulator({ clock, seed: 3, encoder: null, kind: unwrap(findPlayer(as)), host: "127.0.0.1", port: 0, linkPort: 0, token: null, faults, rigOptions: { channelsPerArray: 16 } }));
  const { kind, options } = simulator.rigConfig;
  const source = unwrap(openSource(kind, { ...options, staleMs: 5000, ...driverOptions }, { clock, seed: 0, encoder: null }));
  return {
    source,
    clock,
    pass: passReal,
    dispose: async () => {
      await source.stop();
      await simulator.stop();
    },
  };
}

/** The four makers of the suite for one player. Three packets are lost a while after the start. */
export function playedMaker({ as, name, driverOptions = {}, lossy = true, unreachable }: { readonly as: string; readonly name: string; readonly driverOptions?: Readonly<Record<string, unknown>>; readonly lossy?: boolean; readonly unreachable: Readonly<Record<string, unknown>> | null }): SourceMaker {
  return {
    name,
    make: () => aPlayedRig({ as, driverOptions }),
    makeLossy: lossy ? async () => ({ ...(await aPlayedRig({ as, driverOptions, faults: [{ kind: "loseAt", atMs: 1500, packets: 3 }] })), lost: 3 }) : null,
    makeUnreachable:
      unreachable === null
        ? null
        : async () => {
            const clock = createRealClock();
            const source = unwrap(openSource(unwrap(findPlayer(as)).rig, { ...unreachable, startTimeoutMs: 300 }, { clock, seed: 0, encoder: null }));
            return { source, clock, pass: passReal, dispose: () => source.stop() };
          },
  };
}
