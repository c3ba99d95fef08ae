// The rigs that this program knows: what they are called, what can be set, how their spike source is made. Knows nothing about the loop.
import { z } from "zod";
import type { Clock, Encoder, SpikeSource } from "../shared/ports.ts";
import { FaultError, fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { SourceEvent } from "../shared/values.ts";
import type { OptionSpec } from "../shared/contract/state.ts";
import type { LineDecoder, RawLine, Tap } from "./capture/decoding.ts";
import { describeOptions } from "./optionSpecs.ts";
import { blackrockOptionsSchema } from "./drivers/blackrock/options.ts";
import { createBlackrockSource } from "./drivers/blackrock/source.ts";
import { decodeBlackrock } from "./drivers/blackrock/system.ts";
import { intanOptionsSchema } from "./drivers/intan/options.ts";
import { createIntanSource, decodeIntan } from "./drivers/intan/source.ts";
import { lineOptionsSchema } from "./drivers/line/options.ts";
import { createLineSource, decodeLine } from "./drivers/line/source.ts";
import { decodeLsl } from "./drivers/lsl/decoder.ts";
import { lslOptionsSchema } from "./drivers/lsl/options.ts";
import { createLslSource } from "./drivers/lsl/source.ts";
import { broadcastOptionsSchema } from "./drivers/open-ephys/broadcastOptions.ts";
import { createBroadcastSource, decodeBroadcast } from "./drivers/open-ephys/broadcastSource.ts";
import { askProgram } from "./drivers/open-ephys/control.ts";
import type { ProgramStatus } from "./drivers/open-ephys/control.ts";
import { openEphysOptionsSchema } from "./drivers/open-ephys/options.ts";
import { createOpenEphysSource, decodeOpenEphys } from "./drivers/open-ephys/source.ts";
import { bridgeOptionsSchema } from "./drivers/plexon/bridgeOptions.ts";
import { createBridgeSource, decodeBridge } from "./drivers/plexon/bridgeSource.ts";
import { plexonOptionsSchema } from "./drivers/plexon/options.ts";
import { createPlexonSource } from "./drivers/plexon/source.ts";
import type { SyntheticRigOptions } from "./synthetic/options.ts";
import { syntheticRigOptionsSchema } from "./synthetic/options.ts";
import { createSyntheticRig } from "./synthetic/rig.ts";
import type { SyntheticRig } from "./synthetic/rig.ts";
import { findPlayer } from "./sim/index.ts";
import { createThroughDriver } from "./sim/throughDriver.ts";

/** What a source may need from the world around it. Real rigs need the clock only. */
export interface RigWorld {
  readonly clock: Clock;
  readonly seed: number | string;
  readonly encoder: Encoder | null;
  /** Gets every piece that the rig's line carries, for a capture. */
  readonly tap?: Tap;
}

/** A recording program that can be asked how it is. */
export interface RigProgram {
  readonly name: string;
  /** Never rejects: that it does not answer is its state. */
  ask(): Promise<ProgramStatus>;
}
export type { ProgramStatus };

export interface RigKind {
  readonly kind: string;
  readonly title: string;
  readonly description: string;
  /** Settings with defaults; the descriptions name units. */
  readonly options: z.ZodType;
  /** The settings that a form or a command line can offer one by one, in order. */
  readonly optionSpecs: readonly OptionSpec[];
  /** Whether a loss in the stream can be told apart into spikes and continuous data (`continuousOnly` of a gap). */
  readonly carriesContinuousData: boolean;
  /** How old the watermark of a batch is when it arrives, at least, ms: what the clock aligner must add where there are no marks. Errors: `rigOptions`. */
  shortestTransportMs(options: unknown): Result<number, Fault>;
  /** The lines that can be captured, by lane; empty: none. */
  readonly lines: readonly RawLine[];
  /** The driver's decoder on its own, for captures; null where there is none. Errors: `rigOptions`. */
  decoder(options: unknown, emit: (event: SourceEvent) => void): Result<LineDecoder | null, Fault>;
  /** The program behind the stream, where the settings let Evoked talk to it; null: there is nobody to ask. Errors: `rigOptions`. */
  program(options: unknown): Result<RigProgram | null, Fault>;
  /** Makes the source from settings that have not been parsed yet. Errors: `rigOptions`. */
  open(options: unknown, world: RigWorld): Result<SpikeSource, Fault>;
}

function rigKind<T>(definition: {
  readonly kind: string;
  readonly title: string;
  readonly description: string;
  readonly options: z.ZodType<T>;
  readonly carriesContinuousData: boolean;
  readonly transportMs: (options: T) => number;
  readonly make: (options: T, world: RigWorld) => SpikeSource;
  readonly lines?: readonly RawLine[];
  readonly decode?: (options: T, emit: (event: SourceEvent) => void) => LineDecoder;
  readonly program?: (options: T) => RigProgram | null;
}): RigKind {
  const { make, transportMs, decode, program, ...rest } = definition;
  function parse(options: unknown): Result<T, Fault> {
    const parsed = definition.options.safeParse(options ?? {});
    return parsed.success ? ok(parsed.data) : fault("rigOptions", `The settings of the rig "${definition.title}" cannot be used. ${z.prettifyError(parsed.error)}`);
  }
  return {
    ...rest,
    lines: definition.lines ?? [],
    decoder(options, emit) {
      const parsed = parse(options);
      if (!parsed.ok) return parsed;
      return ok(decode?.(parsed.value, emit) ?? null);
    },
    program(options) {
      const parsed = parse(options);
      return parsed.ok ? ok(program?.(parsed.value) ?? null) : parsed;
    },
    optionSpecs: describeOptions(definition.options),
    shortestTransportMs(options) {
      const parsed = parse(options);
      return parsed.ok ? ok(transportMs(parsed.value)) : parsed;
    },
    open(options, world) {
      const parsed = parse(options);
      if (!parsed.ok) return parsed;
      try {
        return ok(make(parsed.value, world));
      } catch (error) {
        if (error instanceof FaultError) return fault(error.code, error.message);
        throw error;
      }
    },
  };
}

function openEphysProgram({ host, httpPort, control }: { readonly host: string; readonly httpPort: number; readonly control: "none" | "acquire" | "record" }): RigProgram | null {
  return control === "none" ? null : { name: "Open Ephys GUI", ask: () => askProgram(`http://${host}:${httpPort}`, control) };
}

export const rigRegistry: readonly RigKind[] = [
  rigKind({
    kind: "synthetic",
    title: "Synthetic rig",
    description: "96 channels in V1, V4 and PIT that respond to what is shown, with an eye, a juice line and a clock of their own. To try, teach and test.",
    options: syntheticRigOptionsSchema,
    carriesContinuousData: false,
    transportMs: (options) => options.delayMs,
    make: (options, world) => unwrap(openSyntheticRig(options, world)).source,
  }),
  rigKind({
    kind: "intan",
    title: "Intan RHX",
    description: "Spikes and digital inputs of Intan RHX (3.1 or later) through its TCP ports; spikes are found in the waveforms where it sends only those.",
    options: intanOptionsSchema,
    carriesContinuousData: false,
    transportMs: (options) => (128 / (options.sampleRateHz ?? 30_000)) * 1000 + options.holdBackMs,
    make: (options, { clock, tap }) => createIntanSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "waveforms", layout: "bytes" }, { name: "spikes", layout: "bytes" }, { name: "settings", layout: "bytes" }],
    decode: decodeIntan,
  }),
  rigKind({
    kind: "open-ephys",
    title: "Open Ephys GUI",
    description: "Spikes and TTL events of the Open Ephys GUI (0.6 or later) through its ZMQ Interface.",
    options: openEphysOptionsSchema,
    carriesContinuousData: true,
    transportMs: (options) => options.holdBackMs,
    make: (options, { clock, tap }) => createOpenEphysSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "messages", layout: "multipart" }],
    decode: decodeOpenEphys,
    program: openEphysProgram,
  }),
  rigKind({
    kind: "open-ephys-events",
    title: "Open Ephys GUI, Event Broadcaster",
    description: "Spikes and TTL events of the Open Ephys GUI (0.6 or later) through its Event Broadcaster, in JSON or raw. Its messages have no numbers: a loss cannot be seen. Prefer the ZMQ Interface where there is a choice.",
    options: broadcastOptionsSchema,
    carriesContinuousData: false,
    transportMs: (options) => options.holdBackMs,
    make: (options, { clock, tap }) => createBroadcastSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "messages", layout: "multipart" }],
    decode: decodeBroadcast,
    program: openEphysProgram,
  }),
  rigKind({
    kind: "line",
    title: "Line of a home-made rig",
    description: "Spikes, marks and gaze of a rig of one's own (an Arduino, a script) as lines of text or packets, by UDP or TCP.",
    options: lineOptionsSchema,
    carriesContinuousData: false,
    transportMs: () => 0,
    make: (options, { clock, tap }) => createLineSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "line", layout: "bytes" }],
    decode: decodeLine,
  }),
  rigKind({
    kind: "lsl",
    title: "Lab Streaming Layer",
    description: "Spikes, markers and gaze of LSL streams, through the liblsl library of this computer.",
    options: lslOptionsSchema,
    carriesContinuousData: false,
    transportMs: () => 0,
    make: (options, { clock, tap }) => createLslSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "spikes", layout: "multipart" }, { name: "markers", layout: "multipart" }],
    decode: decodeLsl,
  }),
  rigKind({
    kind: "blackrock",
    title: "Blackrock",
    description: "Spikes and digital input of a Blackrock NSP, hub or Gemini system (protocols 3.11, 4.0, 4.1) over UDP, with the system's own count of packets.",
    options: blackrockOptionsSchema,
    carriesContinuousData: false,
    transportMs: (options) => options.holdBackMs,
    make: (options, { clock, tap }) => createBlackrockSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "device", layout: "multipart" }, { name: "device2", layout: "multipart" }, { name: "device3", layout: "multipart" }, { name: "device4", layout: "multipart" }],
    decode: decodeBlackrock,
  }),
  rigKind({
    kind: "plexon",
    title: "Plexon",
    description: "Spikes and events of a Plexon OmniPlex through its client library, on the Plexon computer itself.",
    options: plexonOptionsSchema,
    carriesContinuousData: false,
    transportMs: (options) => options.holdBackMs,
    make: (options, { clock }) => createPlexonSource({ clock, options }),
  }),
  rigKind({
    kind: "plexon-bridge",
    title: "Plexon, through a bridge",
    description: "Spikes and events that evoked rig bridge forwards from a Plexon (or any other) computer.",
    options: bridgeOptionsSchema,
    carriesContinuousData: false,
    transportMs: () => 0,
    make: (options, { clock, tap }) => createBridgeSource({ clock, options, ...(tap === undefined ? {} : { tap }) }),
    lines: [{ name: "datagrams", layout: "multipart" }],
    decode: decodeBridge,
  }),
];

/** A source by the kind of its rig. Errors: `unknownRig`, `rigOptions`. */
export function openSource(kind: string, options: unknown, world: RigWorld): Result<SpikeSource, Fault> {
  const found = rigRegistry.find((candidate) => candidate.kind === kind);
  if (found === undefined) return fault("unknownRig", `Expected a rig of ${rigRegistry.map((candidate) => candidate.kind).join(", ")}, got "${kind}".`);
  return found.open(options, world);
}

/** The synthetic rig, heard directly or through the driver that its options name. Errors: `unknownPlayer`. */
export function openSyntheticRig(options: SyntheticRigOptions, world: RigWorld): Result<SyntheticRig, Fault> {
  const { clock, seed, encoder } = world;
  if (options.through === null) return ok(createSyntheticRig({ seed, clock, encoder, options }));
  const kind = findPlayer(options.through);
  if (!kind.ok) return kind;
  const rig = createSyntheticRig({ seed, clock, encoder, options: { ...options, ...kind.value.grid, lagTicks: 0 } });
  return ok({ ...rig, source: createThroughDriver({ clock, seed, kind: kind.value, played: rig.source, faults: options.wireFaults, openDriver: (name, driverOptions) => openSource(name, driverOptions, world) }) });
}
