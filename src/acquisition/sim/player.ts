// What a protocol player is: it plays a synthetic rig's blocks over the wire of a real recording system, so that the real driver can be
// exercised. Knows nothing about which protocols there are.
import type { z } from "zod";
import type { Clock } from "../../shared/ports.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { ChannelInfo, EyeBatch, RigMark } from "../../shared/values.ts";
import type { WireFault } from "./wire.ts";

/** What happened on the rig between two ticks of its sample clock. Spikes are in time order; all arrays have equal length. */
export interface PlayedBlock {
  readonly fromTick: number;
  /** One past the last tick: everything before it has been played. */
  readonly untilTick: number;
  readonly spikeTicks: Float64Array;
  readonly spikeChannels: Uint16Array;
  readonly spikeUnits: Uint8Array;
  readonly marks: readonly PlayedMark[];
}

export interface PlayedMark {
  readonly tick: number;
  readonly kind: RigMark["kind"];
  readonly line: number;
  readonly state: boolean;
  /** Of a strobe: the word that was on the port; else null. */
  readonly word: number | null;
}

/** Where a player finds its surroundings. */
export interface PlayerWorld {
  /** Channels of the rig that is played, in order. */
  readonly channels: readonly ChannelInfo[];
  /** Address to bind. */
  readonly host: string;
  /** First port; the protocol's others are counted from it as in the real program. null: the protocol's own. 0: any that is free. */
  readonly port: number | null;
  readonly clock: Clock;
  readonly seed: number | string;
  /** Faults of the transport to inject. */
  readonly faults: readonly WireFault[];
}

/** Plays blocks over one protocol. May be closed and opened again: a program that was restarted, with its numbering from the beginning. */
export interface ProtocolPlayer {
  /** Binds its sockets. Errors: `portInUse` and what the protocol's library says. */
  open(): Promise<Result<void, Fault>>;
  /** Settings with which the driver of this protocol hears this player; after `open`. */
  driverOptions(): Readonly<Record<string, unknown>>;
  /** Settles when a driver listens, so that nothing that is played from then on is unheard. */
  heard(): Promise<void>;
  /** Sends one block. Blocks follow each other without holes, but for a jump of the rig's clock. */
  play(block: PlayedBlock): void;
  /** Gaze, where the protocol carries it; else null. */
  readonly eye: ((batch: EyeBatch) => void) | null;
  close(): Promise<void>;
}

export interface PlayerKind {
  /** As `evoked rig sim --as` names it. */
  readonly kind: string;
  /** Kind of the rig that listens, in the rig registry. */
  readonly rig: string;
  readonly title: string;
  /**
   * Spikes fall on ticks of this clock; the stream advances by whole blocks of so many ticks; blocks are played every batchMs; the driver can
   * vouch for what was played up to lagTicks before its end.
   */
  readonly grid: { readonly tickHz: number; readonly blockTicks: number; readonly batchMs: number; readonly lagTicks: number };
  /** What the player can be told beside address and faults. */
  readonly options: z.ZodType;
  create(world: PlayerWorld): ProtocolPlayer;
}

/** Areas of channels that are named after them, for a driver's options. */
export function areasOf(channels: readonly { readonly area: string }[]): readonly { readonly prefix: string; readonly area: string }[] {
  return [...new Set(channels.map((channel) => channel.area))].filter((area) => area !== "").map((area) => ({ prefix: area, area }));
}
