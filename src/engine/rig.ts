// From the rig's configuration to its ports. Knows nothing about the loop.
import { openSource, openSyntheticRig, rigRegistry } from "../acquisition/index.ts";
import { syntheticRigOptionsSchema } from "../acquisition/synthetic/options.ts";
import type { GroundTruth } from "../acquisition/synthetic/truth.ts";
import type { AppDescription } from "../shared/contract/index.ts";
import type { Clock, Encoder, EyeTracker, Retina, Reward, SpikeSource } from "../shared/ports.ts";
import { fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRealClock } from "./realClock.ts";

export interface Rig {
  readonly kind: string;
  readonly title: string;
  readonly source: SpikeSource;
  /** null = free viewing. */
  readonly eye: EyeTracker | null;
  readonly reward: Reward | null;
  readonly retina: Retina | null;
  /** Age of the newest data when they arrive, at least, ms. */
  readonly shortestTransportMs: number;
  /** The synthetic rig's ground truth; null on real rigs. */
  readonly truth: GroundTruth | null;
}

interface RigChoice {
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Errors: `unknownRig`, `rigOptions`. */
export function openRig(config: RigChoice, world: { readonly clock: Clock; readonly seed: number; readonly encoder: Encoder | null }): Result<Rig, Fault> {
  const kind = rigRegistry.find((r) => r.kind === config.kind);
  if (kind === undefined) return fault("unknownRig", `Expected a rig of ${rigRegistry.map((r) => r.kind).join(", ")}, got "${config.kind}".`);
  const transport = kind.shortestTransportMs(config.options);
  if (!transport.ok) return transport;
  const common = { kind: kind.kind, title: kind.title, shortestTransportMs: transport.value };
  if (kind.kind === "synthetic") {
    const options = syntheticRigOptionsSchema.safeParse(config.options);
    if (!options.success) return fault("rigOptions", `The synthetic rig's settings are not right: ${options.error.issues[0]?.message ?? ""}`);
    const rig = openSyntheticRig(options.data, world);
    return rig.ok ? ok({ ...common, ...rig.value }) : rig;
  }
  const source = openSource(kind.kind, config.options, world);
  return source.ok ? ok({ ...common, source: source.value, eye: null, reward: null, retina: null, truth: null }) : source;
}

/** The rigs that a session can be run with, for the start screen. */
export const rigKinds: AppDescription["rigs"] = rigRegistry.map((r) => ({ kind: r.kind, title: r.title, description: r.description, options: [...r.optionSpecs] }));

/** As long as a check may listen. */
const checkMs = 1500;

/** Can this rig be reached now? Real rigs are listened to for a moment. */
export async function checkRig(config: RigChoice): Promise<Result<string, Fault>> {
  if (config.kind === "synthetic") {
    const options = syntheticRigOptionsSchema.safeParse(config.options);
    return options.success ? ok("ready") : fault("rigOptions", `The synthetic rig's settings are not right: ${options.error.issues[0]?.message ?? ""}`);
  }
  const opened = openRig(config, { clock: createRealClock(), seed: 0, encoder: null });
  if (!opened.ok) return opened;
  const { source } = opened.value;
  let spikes = 0;
  const started = await source.start((event) => {
    if (event.kind === "spikes") spikes += event.batch.timesRigNs.length;
  });
  try {
    unwrap(started);
    await new Promise((resolve) => setTimeout(resolve, checkMs));
    const { address } = source.status();
    const channels = source.channels().length;
    return ok(`${address}: ${spikes} spikes on ${channels} ${channels === 1 ? "channel" : "channels"} in ${checkMs / 1000} s`);
  } catch {
    return started.ok ? fault("rig", "The rig could not be listened to.") : started;
  } finally {
    await source.stop();
  }
}
