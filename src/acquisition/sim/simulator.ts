// A simulator: the synthetic rig played over one protocol in real time, with the retina link beside it. Runs in a process of its own, in the
// place of a recording system and a subject. Knows nothing about the driver that listens.
import type { Clock, Encoder } from "../../shared/ports.ts";
import { ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs } from "../../shared/units.ts";
import type { SyntheticRigOptions } from "../synthetic/options.ts";
import { createSyntheticRig } from "../synthetic/rig.ts";
import type { SyntheticRig } from "../synthetic/rig.ts";
import { createFeeder } from "./feeder.ts";
import { createLinkServer } from "./linkServer.ts";
import type { PlayerKind } from "./player.ts";
import type { WireFault } from "./wire.ts";

export interface Simulator {
  readonly rig: SyntheticRig;
  /** Configuration of the rig that hears this simulator, for a session's `rig`. */
  readonly rigConfig: { readonly kind: string; readonly options: Readonly<Record<string, unknown>>; readonly simulator: { readonly host: string; readonly port: number; readonly token: string } };
  status(): { readonly blocks: number; readonly spikes: number; readonly marks: number; readonly connected: boolean; readonly lateChanges: number; readonly unseenImages: number };
  stop(): Promise<void>;
}

export interface SimulatorOptions {
  readonly clock: Clock;
  readonly seed: number | string;
  readonly encoder: Encoder | null;
  readonly kind: PlayerKind;
  readonly host: string;
  /** First port of the protocol; null: its own; 0: any that is free. */
  readonly port: number | null;
  readonly linkPort: number;
  /** null: the retina link asks for none; only on loopback. */
  readonly token: string | null;
  readonly rigOptions?: Partial<SyntheticRigOptions>;
  readonly faults?: readonly WireFault[];
  readonly onClient?: (connected: boolean) => void;
}

export async function startSimulator(options: SimulatorOptions): Promise<Result<Simulator, Fault>> {
  const { clock, kind, seed, host } = options;
  const rig = createSyntheticRig({ seed, clock, encoder: options.encoder, options: { ...options.rigOptions, ...kind.grid, lagTicks: 0 } });
  const player = kind.create({ channels: rig.source.channels(), host, port: options.port, clock, seed, faults: options.faults ?? [] });
  const opened = await player.open();
  if (!opened.ok) return opened;
  const link = createLinkServer({
    clock, host, port: options.linkPort, token: options.token, retina: rig.retina, reward: rig.reward, recentre: () => rig.eye.recentre(), strobe: rig.strobe,
    ...(options.onClient === undefined ? {} : { onClient: options.onClient }),
  });
  const linked = await link.open();
  if (!linked.ok) {
    await player.close();
    return linked;
  }
  const counts = { blocks: 0, spikes: 0, marks: 0 };
  let isUp = true;
  let isStopped = false;
  const feeder = createFeeder({
    grid: kind.grid,
    onBlock(block) {
      if (!isUp) return;
      counts.blocks += 1;
      counts.spikes += block.spikeTicks.length;
      counts.marks += block.marks.length;
      player.play(block);
    },
  });
  const started = await rig.source.start((event) => feeder.take(event));
  if (!started.ok) {
    await link.close();
    await player.close();
    return started;
  }
  await rig.eye.start((batch) => {
    link.eye(batch);
    if (isUp) player.eye?.(batch);
  });

  async function restart(durationMs: number): Promise<void> {
    isUp = false;
    await player.close();
    clock.setTimer(addMs(clock.now(), durationMs), () => {
      void (async () => {
        if (isStopped) return;
        const again = await player.open();
        if (!again.ok) return;
        feeder.restart();
        isUp = true;
      })();
    });
  }
  const after = (ms: number, then: () => void) => clock.setTimer(addMs(clock.now(), ms), then);
  const cancels = (options.faults ?? []).flatMap((one) => {
    if (one.kind === "restart") return [after(one.atMs, () => void restart(one.durationMs))];
    return one.kind === "pause" ? [after(one.atMs, () => feeder.pause()), after(one.atMs + one.durationMs, () => feeder.goOn())] : [];
  });

  return ok({
    rig,
    rigConfig: { kind: kind.rig, options: player.driverOptions(), simulator: { host, port: linked.value, token: options.token ?? "" } },
    status: () => ({ ...counts, connected: link.connected, ...rig.truth.late() }),
    async stop() {
      isStopped = true;
      for (const cancel of cancels) cancel();
      await rig.source.stop();
      await rig.eye.stop();
      await rig.reward.off();
      await link.close();
      await player.close();
    },
  });
}
