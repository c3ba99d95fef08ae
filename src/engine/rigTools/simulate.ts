// `evoked rig sim`'s work: a simulator of a recording system and its subject, with neurons that read one of the app's encoders.
// Knows nothing about terminals.
import { randomBytes } from "node:crypto";
import { findPlayer, playerRegistry } from "../../acquisition/sim/index.ts";
import { startSimulator } from "../../acquisition/sim/simulator.ts";
import type { Simulator } from "../../acquisition/sim/simulator.ts";
import { wireFaultSchema } from "../../acquisition/sim/wire.ts";
import type { WireFault } from "../../acquisition/sim/wire.ts";
import { syntheticRigOptionsSchema } from "../../acquisition/synthetic/options.ts";
import { startModels } from "../../models/client.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createRealClock } from "../realClock.ts";

/** What can be played, for help texts. */
export const playable: readonly { readonly kind: string; readonly title: string; readonly tickHz: number }[] = playerRegistry.map(({ kind, title, grid }) => ({ kind, title, tickHz: grid.tickHz }));

export interface SimulateOptions {
  readonly as: string;
  readonly host: string;
  readonly port: number | null;
  readonly linkPort: number;
  /** null: one is made where the address is not loopback. */
  readonly token: string | null;
  readonly seed: number;
  /** Encoder that the neurons read; null: the small built-in hierarchy. */
  readonly encoder: string | null;
  readonly rigOptions: Readonly<Record<string, unknown>>;
  /** Faults of the wire, as JSON objects. */
  readonly faults: readonly unknown[];
  readonly modelFolders: readonly string[];
  readonly onClient?: (connected: boolean) => void;
}

/** Errors: `unknownPlayer`, `rigOptions`, `badFault`, `portInUse`, what models say. */
export async function simulate(options: SimulateOptions): Promise<Result<Simulator, Fault>> {
  const kind = findPlayer(options.as);
  if (!kind.ok) return kind;
  const rigOptions = syntheticRigOptionsSchema.partial().safeParse(options.rigOptions);
  if (!rigOptions.success) return fault("rigOptions", `The synthetic rig's settings are not right: ${rigOptions.error.issues[0]?.path.join(".") ?? ""}: ${rigOptions.error.issues[0]?.message ?? ""}.`);
  const faults: WireFault[] = [];
  for (const one of options.faults) {
    const parsed = wireFaultSchema.safeParse(one);
    if (!parsed.success) return fault("badFault", `Expected a fault such as {"kind":"lose","share":0.001}, got ${JSON.stringify(one)}: ${parsed.error.issues[0]?.message ?? ""}.`);
    faults.push(parsed.data);
  }
  const isLoopback = ["127.0.0.1", "localhost", "::1"].includes(options.host);
  const token = options.token ?? (isLoopback ? null : randomBytes(12).toString("hex"));
  const common = {
    clock: createRealClock(), seed: options.seed, kind: kind.value, host: options.host, port: options.port, linkPort: options.linkPort, token, faults,
    rigOptions: Object.fromEntries(Object.entries(rigOptions.data).filter(([name]) => name in options.rigOptions)),
    ...(options.onClient === undefined ? {} : { onClient: options.onClient }),
  };
  if (options.encoder === null) return await startSimulator({ ...common, encoder: null });
  const models = await startModels({ modelsDirs: [...options.modelFolders] });
  if (!models.ok) return models;
  const encoder = await models.value.encoder(options.encoder);
  const simulator = encoder.ok ? await startSimulator({ ...common, encoder: encoder.value }) : encoder;
  if (!simulator.ok) {
    await models.value.close();
    return simulator;
  }
  return ok({
    ...simulator.value,
    async stop() {
      await simulator.value.stop();
      await models.value.close();
    },
  });
}
