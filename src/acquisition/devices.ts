// The devices that can stand beside the spikes of a rig: eye trackers, juice lines, event codes; each with its settings and its maker.
// Knows nothing about the loop.
import { z } from "zod";
import type { OptionSpec } from "../shared/contract/state.ts";
import type { Clock, ClockMap, EventCodes, EyeTracker, Reward, SpikeSource } from "../shared/ports.ts";
import type { EyeConfig, RewardConfig, SyncConfig } from "../shared/contract/rig.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { HostTimeNs } from "../shared/units.ts";
import { createSourceEye } from "./eye/source.ts";
import { createOpenEphysCodes, openEphysCodesOptionsSchema } from "./drivers/open-ephys/codes.ts";
import { blackrockCodesOptionsSchema, createBlackrockCodes } from "./drivers/blackrock/codes.ts";
import { blackrockDevices, blackrockOptionsSchema } from "./drivers/blackrock/options.ts";
import { createLslCodes, lslCodesOptionsSchema } from "./drivers/lsl/codes.ts";
import { analogEyeOptionsSchema, createAnalogEye } from "./eye/analog.ts";
import { createEyelink, eyelinkOptionsSchema } from "./eye/eyelink.ts";
import { createGazeTracker } from "./eye/gaze.ts";
import type { RawGaze } from "./eye/gaze.ts";
import { createIscan, iscanOptionsSchema } from "./eye/iscan.ts";
import { createLslEye, lslEyeOptionsSchema } from "./eye/lsl.ts";
import { createPupil, pupilOptionsSchema } from "./eye/pupil.ts";
import { describeOptions } from "./optionSpecs.ts";
import type { Board } from "./serial/board.ts";
import { createPortCodes } from "./sim/portCodes.ts";
import { createBoardCodes, createBoardReward, serialCodesOptionsSchema, serialRewardOptionsSchema } from "./serial/devices.ts";

/** What a device may need of the rig that it belongs to. */
export interface DeviceWorld {
  readonly clock: Clock;
  /** Host to rig time as it is known now; null before the first data. */
  readonly map: () => ClockMap | null;
  /** Where spikes come from: some carry gaze or take events as well. */
  readonly source: SpikeSource;
  /** The board at a serial port, one for all its users on this rig. */
  readonly board: (path: string, baudRate: number, answerMs?: number) => Board;
  /** The digital port of a simulated rig; null on real ones, where words go over a wire. */
  readonly port: ((word: number, atHostNs: HostTimeNs) => void) | null;
  /** Kind and options of that source. */
  readonly rig: { readonly kind: string; readonly options: Readonly<Record<string, unknown>> };
}

export interface DeviceKind<C, D> {
  readonly kind: string;
  readonly title: string;
  readonly description: string;
  readonly options: z.ZodType;
  readonly optionSpecs: readonly OptionSpec[];
  /** null: deliberately no device. Errors: `rigOptions` and the device's own. */
  open(config: C, world: DeviceWorld): Result<D | null, Fault>;
}

type EyeKind = DeviceKind<EyeConfig, EyeTracker>;
type RewardKind = DeviceKind<RewardConfig, Reward>;
type SyncKind = DeviceKind<SyncConfig, EventCodes>;

interface Definition<T, C, D> {
  readonly kind: string;
  readonly title: string;
  readonly description: string;
  readonly options: z.ZodType<T>;
  readonly make: (options: T, config: C, world: DeviceWorld) => Result<D | null, Fault>;
}

/** A kind from its settings and its maker. */
function deviceKind<T, C extends { readonly options: Record<string, unknown> }, D>(definition: Definition<T, C, D>): DeviceKind<C, D> {
  const { make, ...rest } = definition;
  return {
    ...rest,
    optionSpecs: describeOptions(definition.options),
    open(config, world) {
      const parsed = definition.options.safeParse(config.options);
      return parsed.success ? make(parsed.data, config, world) : fault("rigOptions", `The settings of the device "${definition.title}" cannot be used. ${z.prettifyError(parsed.error)}`);
    },
  };
}

const eyeKind = <T>(definition: Definition<T, EyeConfig, EyeTracker>): EyeKind => deviceKind(definition);
const rewardKind = <T>(definition: Definition<T, RewardConfig, Reward>): RewardKind => deviceKind(definition);
const syncKind = <T>(definition: Definition<T, SyncConfig, EventCodes>): SyncKind => deviceKind(definition);

const noOptions = z.strictObject({});

/** A tracker around a driver of raw samples. */
function gazeTracker(raw: RawGaze, config: EyeConfig, world: DeviceWorld): Result<EyeTracker, Fault> {
  return ok(createGazeTracker({ clock: world.clock, raw, map: world.map, calibration: config.calibration, blinkPadMs: config.blinkPadMs }));
}

export const eyeRegistry: readonly EyeKind[] = [
  eyeKind({
    kind: "iscan", title: "ISCAN", description: "Pupil and corneal reflection over the tracker's serial line, 120 or 240 samples/s.", options: iscanOptionsSchema,
    make: (options, config, world) => gazeTracker(createIscan({ clock: world.clock, options }), config, world),
  }),
  eyeKind({
    kind: "eyelink", title: "EyeLink", description: "Through SR Research's own library, where it is installed; up to 1000 samples/s.", options: eyelinkOptionsSchema,
    make: (options, config, world) => gazeTracker(createEyelink({ clock: world.clock, options }), config, world),
  }),
  eyeKind({
    kind: "pupil", title: "Pupil Labs", description: "Gaze of Pupil Capture or Pupil Service through its network API.", options: pupilOptionsSchema,
    make: (options, config, world) => gazeTracker(createPupil({ clock: world.clock, options }), config, world),
  }),
  eyeKind({
    kind: "lsl", title: "Lab Streaming Layer", description: "Gaze of an LSL stream, whatever the spikes come through; on the rig's clock by way of the LSL clock and this computer's.", options: lslEyeOptionsSchema,
    make: (options, config, world) => gazeTracker(createLslEye({ clock: world.clock, options }), config, world),
  }),
  eyeKind({
    kind: "analog", title: "Analog inputs", description: "Two analog channels of the recording system, from any tracker with an analog output: the samples carry the recording system's own time.", options: analogEyeOptionsSchema,
    make: (options, config, world) => gazeTracker(createAnalogEye({ source: world.source, options }), config, world),
  }),
  eyeKind({
    kind: "source", title: "Gaze of the recording line", description: "Gaze that comes with the spikes, in degrees and on their clock: a home-made rig's line, Lab Streaming Layer.", options: noOptions,
    make: (_options, config, world) => gazeTracker(createSourceEye({ source: world.source }), config, world),
  }),
  eyeKind({ kind: "none", title: "No eye tracker", description: "Free viewing: images follow each other whatever the subject looks at.", options: noOptions, make: () => ok(null) }),
];

export const rewardRegistry: readonly RewardKind[] = [
  rewardKind({
    kind: "board", title: "Reward board", description: "An Arduino with the firmware of native/firmware at a serial port: it times every pulse itself, never too long, and turns the line off when this computer falls silent.",
    options: serialRewardOptionsSchema,
    make: ({ path, baudRate, pulseMsMax, answerMs }, _config, world) => ok(createBoardReward({ board: world.board(path, baudRate, answerMs), address: path, pulseMsMax })),
  }),
  rewardKind({ kind: "none", title: "No reward line", description: "Trials end without a reward.", options: noOptions, make: () => ok(null) }),
];

export const syncRegistry: readonly SyncKind[] = [
  syncKind({
    kind: "board", title: "Event codes of the board", description: "Eight bits and a strobe on the pins of the reward board, to the recording system's digital port.",
    options: serialCodesOptionsSchema,
    make: ({ path, baudRate, holdMs }, _config, world) => ok(createBoardCodes({ board: world.board(path, baudRate), address: path, holdMs })),
  }),
  syncKind({
    kind: "open-ephys", title: "Messages to the Open Ephys GUI", description: "Each code as a text message over the GUI's HTTP server, recorded there with a time of its own; no wire is needed.",
    options: openEphysCodesOptionsSchema,
    make: (options, _config, world) => ok(createOpenEphysCodes({ clock: world.clock, options })),
  }),
  syncKind({
    kind: "blackrock", title: "Comments in the Blackrock system", description: "Each code as a comment, stored by the system with its own time and sent back; no wire is needed.",
    options: blackrockCodesOptionsSchema,
    make({ host, sendPort, protocol }, _config, world) {
      const rig = world.rig.kind === "blackrock" ? blackrockOptionsSchema.safeParse(world.rig.options) : null;
      const own = rig?.success === true ? rig.data : null;
      const usual = blackrockDevices[own?.device ?? "nsp"];
      return ok(createBlackrockCodes({
        host: host ?? own?.host ?? usual.host, sendPort: sendPort ?? own?.sendPort ?? usual.sendPort,
        protocol: protocol !== "auto" ? protocol : own === null || own.protocol === "auto" ? "4.1" : own.protocol,
      }));
    },
  }),
  syncKind({
    kind: "lsl", title: "Markers of the Lab Streaming Layer", description: "Each code as a number in a marker stream of Evoked's own, for LabRecorder and whatever else records LSL; no wire is needed.",
    options: lslCodesOptionsSchema,
    make: (options) => ok(createLslCodes(options)),
  }),
  syncKind({
    kind: "simulated", title: "Digital port of the simulation", description: "Words into the digital input of the synthetic rig or of a simulator, which sends them back as a recording system with a strobed port does.",
    options: noOptions,
    make: (_options, _config, world) => (world.port === null ? fault("noPort", "Expected the synthetic rig or a simulator behind the rig, got a real one, which has no simulated digital port. Choose other event codes.") : ok(createPortCodes({ clock: world.clock, strobe: world.port }))),
  }),
  syncKind({ kind: "none", title: "No event codes", description: "Nothing is sent to the recording system.", options: noOptions, make: () => ok(null) }),
];

/** A device by its kind. Errors: `unknownDevice`, `rigOptions` and the device's own. */
export function openDevice<C extends { readonly kind: string }, D>(registry: readonly DeviceKind<C, D>[], config: C, world: DeviceWorld): Result<D | null, Fault> {
  const found = registry.find((candidate) => candidate.kind === config.kind);
  if (found === undefined) return fault("unknownDevice", `Expected a device of ${registry.map((candidate) => candidate.kind).join(", ")}, got "${config.kind}". Choose another in the rig's settings.`);
  return found.open(config, world);
}
