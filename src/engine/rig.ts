// From the rig's configuration to its ports: spikes, eye, reward and event codes, each by its kind. Knows nothing about the loop.
import { createClockAligner } from "../acquisition/align.ts";
import type { StatefulClockAligner } from "../acquisition/align.ts";
import { watchDelivery } from "../acquisition/delivery.ts";
import type { DeliveryFigures } from "../acquisition/delivery.ts";
import { eyeRegistry, openDevice, rewardRegistry, syncRegistry } from "../acquisition/devices.ts";
import type { DeviceKind, DeviceWorld } from "../acquisition/devices.ts";
import { openSource, openSyntheticRig, rigRegistry } from "../acquisition/index.ts";
import { createSimulatorLink } from "../acquisition/sim/linkClient.ts";
import { createBoard } from "../acquisition/serial/board.ts";
import type { Board } from "../acquisition/serial/board.ts";
import { syntheticRigOptionsSchema } from "../acquisition/synthetic/options.ts";
import { tellStoppedClock } from "../acquisition/stoppedClock.ts";
import { withUnitTargets } from "../acquisition/unitTargets.ts";
import type { UnitTargets } from "../acquisition/unitTargets.ts";
import type { GroundTruth } from "../acquisition/synthetic/truth.ts";
import { rigConfig } from "../shared/contract/index.ts";
import type { AppDescription, RigConfig, RigConfigInput } from "../shared/contract/index.ts";
import type { Clock, Encoder, EventCodes, EyeTracker, Retina, Reward, SpikeSource } from "../shared/ports.ts";
import type { HostTimeNs } from "../shared/units.ts";
import { fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { ChannelInfo } from "../shared/values.ts";
import { createRealClock } from "./realClock.ts";

export interface Rig {
  readonly kind: string;
  readonly title: string;
  readonly config: RigConfig;
  /** With the units and merges that the rig asks for; they are sorted anew by `resort`. */
  readonly source: SpikeSource & Partial<UnitTargets>;
  /** null = free viewing. */
  readonly eye: EyeTracker | null;
  readonly reward: Reward | null;
  /** null = no event codes go out. */
  readonly sync: EventCodes | null;
  readonly retina: Retina | null;
  /** Learns the map between the clocks from what the loop gives it; devices with host times read it. */
  readonly aligner: StatefulClockAligner;
  /** How late the source's data come, over the last minute; null while too little has come to say. */
  readonly delivery: () => DeliveryFigures | null;
  /** The synthetic rig's ground truth; null on real rigs. */
  readonly truth: GroundTruth | null;
  /** The synthetic rig's subject and wires, for a program that plays the world around it; null on real rigs. */
  readonly world: SyntheticWorld | null;
}

export interface SyntheticWorld {
  readonly lit: Retina["lit"];
  strobe(word: number, atHostNs: HostTimeNs): void;
}

/** Errors: `unknownRig`, `rigOptions`, `unknownDevice` and those of the devices. */
export function openRig(input: RigConfigInput, world: { readonly clock: Clock; readonly seed: number; readonly encoder: Encoder | null; /** Of the session that is gone on with: units and merges keep their numbers. */ readonly pastChannels?: readonly ChannelInfo[] }): Result<Rig, Fault> {
  const config = rigConfig.parse(input);
  const kind = rigRegistry.find((r) => r.kind === config.kind);
  if (kind === undefined) return fault("unknownRig", `Expected a rig of ${rigRegistry.map((r) => r.kind).join(", ")}, got "${config.kind}".`);
  const transport = kind.shortestTransportMs(config.options);
  if (!transport.ok) return transport;
  const aligner = createClockAligner({ shortestTransportMs: transport.value });
  const common = { kind: kind.kind, title: kind.title, config, aligner };
  let own: { readonly source: SpikeSource; readonly eye: EyeTracker | null; readonly reward: Reward | null; readonly retina: Retina | null; readonly truth: GroundTruth | null; readonly world: SyntheticWorld | null; readonly port: DeviceWorld["port"] };
  if (kind.kind === "synthetic") {
    const options = syntheticRigOptionsSchema.safeParse(config.options);
    if (!options.success) return fault("rigOptions", `The synthetic rig's settings are not right: ${options.error.issues[0]?.message ?? ""}`);
    const rig = openSyntheticRig(options.data, world);
    if (!rig.ok) return rig;
    const { retina, strobe } = rig.value;
    own = { ...rig.value, world: { lit: (...args) => retina.lit(...args), strobe }, port: strobe };
  } else {
    const source = openSource(kind.kind, config.options, world);
    if (!source.ok) return source;
    const link = config.simulator === null ? null : createSimulatorLink({ clock: world.clock, ...config.simulator });
    own = { source: link?.around(source.value) ?? source.value, eye: link?.eye ?? null, reward: link?.reward ?? null, retina: link?.retina ?? null, truth: null, world: null, port: link?.strobe ?? null };
  }
  const boards = new Map<string, Board>();
  const board: DeviceWorld["board"] = (path, baudRate, answerMs) => {
    const held = boards.get(path) ?? createBoard({ clock: world.clock, path, baudRate, ...(answerMs === undefined ? {} : { answerMs }) });
    boards.set(path, held);
    return held;
  };
  const deviceWorld: DeviceWorld = { board, clock: world.clock, map: () => aligner.map(), source: own.source, port: own.port, rig: { kind: config.kind, options: config.options } };
  const eye = config.eye === null ? ok(own.eye) : openDevice(eyeRegistry, config.eye, deviceWorld);
  if (!eye.ok) return eye;
  const reward = config.reward === null ? ok(own.reward) : openDevice(rewardRegistry, config.reward, deviceWorld);
  if (!reward.ok) return reward;
  const sync = config.sync === null ? ok(null) : openDevice(syncRegistry, config.sync, deviceWorld);
  if (!sync.ok) return sync;
  const { source, delivery } = watchDelivery(tellStoppedClock(own.source), aligner);
  return ok({ ...common, delivery, source: withUnitTargets(source, config.channels, world.pastChannels), retina: own.retina, truth: own.truth, world: own.world, eye: eye.value, reward: reward.value, sync: sync.value });
}

/** The rigs that a session can be run with, for the start screen. */
export const rigKinds: AppDescription["rigs"] = rigRegistry.map((r) => ({ kind: r.kind, title: r.title, description: r.description, options: [...r.optionSpecs] }));

const kindsOf = <C, D>(registry: readonly DeviceKind<C, D>[]): AppDescription["rigs"] => registry.map((d) => ({ kind: d.kind, title: d.title, description: d.description, options: [...d.optionSpecs] }));

/** What can stand beside the spikes. */
export const deviceKinds: Pick<AppDescription, "eyes" | "rewards" | "syncs"> = { eyes: kindsOf(eyeRegistry), rewards: kindsOf(rewardRegistry), syncs: kindsOf(syncRegistry) };

/** As long as a check may listen. */
const checkMs = 1500;

/** Can this rig be reached now? Real rigs are listened to for a moment. */
export async function checkRig(config: RigConfig): Promise<Result<string, Fault>> {
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
