// From the rig's configuration to its ports. Knows nothing about the loop.
import { createSyntheticRig } from "../acquisition/synthetic/rig.ts";
import { syntheticRigOptionsSchema } from "../acquisition/synthetic/options.ts";
import type { GroundTruth } from "../acquisition/synthetic/truth.ts";
import type { Clock, Encoder, EyeTracker, Retina, Reward, SpikeSource } from "../shared/ports.ts";
import type { AppDescription } from "../shared/contract/index.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";

export interface Rig {
  readonly kind: string;
  readonly title: string;
  readonly source: SpikeSource;
  readonly eye: EyeTracker | null;
  readonly reward: Reward | null;
  readonly retina: Retina | null;
  /** Is a loss in the stream a loss of spikes? Not where the stream carries continuous data too. */
  readonly gapMeansSpikeLoss: boolean;
  /** The synthetic rig's ground truth; null on real rigs. */
  readonly truth: GroundTruth | null;
}

export function openRig(config: { readonly kind: string; readonly options: Readonly<Record<string, unknown>> }, world: { readonly clock: Clock; readonly seed: number; readonly encoder: Encoder | null }): Result<Rig, Fault> {
  if (config.kind !== "synthetic") return fault("unknownRig", `Expected a rig of the list, got "${config.kind}".`);
  const options = syntheticRigOptionsSchema.safeParse(config.options);
  if (!options.success) return fault("rigOptions", options.error.message);
  const rig = createSyntheticRig({ seed: world.seed, clock: world.clock, encoder: world.encoder, options: options.data });
  return ok({ kind: "synthetic", title: "Synthetic rig", gapMeansSpikeLoss: gapMeansSpikeLoss("synthetic"), ...rig });
}

/** The rigs that a session can be run with, for the start screen. */
export const rigKinds: AppDescription["rigs"] = [
  {
    kind: "synthetic", title: "Synthetic rig", description: "96 channels in V1, V4 and PIT that respond to what is shown, an eye, a juice line and a clock of its own. To try, teach and test.",
    options: [],
  },
];

/** Can this rig be reached now? One sentence either way. */
export async function checkRig(config: { readonly kind: string; readonly options: Readonly<Record<string, unknown>> }): Promise<Result<string, Fault>> {
  if (config.kind === "synthetic") return ok("Synthetic rig: ready.");
  return fault("unknownRig", `Expected a rig of the list, got "${config.kind}".`);
}

/** Open Ephys's stream carries continuous data and spikes under one message number: a missing number need not be a spike. */
export function gapMeansSpikeLoss(kind: string): boolean {
  return kind !== "open-ephys";
}
