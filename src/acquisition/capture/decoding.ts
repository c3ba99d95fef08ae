// What a driver must offer so that the bytes of its line can be captured and decoded again without the rig. Knows nothing about protocols.
import type { HostTimeNs } from "../../shared/units.ts";
import type { ChannelInfo } from "../../shared/values.ts";

/** Called by a driver with every piece that it receives, before it is decoded. The bytes are the caller's again after the call. */
export type Tap = (lane: number, parts: readonly Uint8Array[], arrivedHostNs: HostTimeNs) => void;

/** A driver's decoder on its own. */
export interface LineDecoder {
  take(lane: number, parts: readonly Uint8Array[], arrivedHostNs: HostTimeNs): void;
  /** Nothing more is there for now. */
  settle(nowHostNs: HostTimeNs): void;
  finish(nowHostNs: HostTimeNs): void;
  channels(): readonly ChannelInfo[];
  readonly packets: number;
}

export interface RawLine {
  /** As `evoked rig replay-capture --lane` names it; place = lane number. */
  readonly name: string;
  /** How a raw file of it (without arrival times) is laid out: one stream of bytes, or multipart messages (u32 LE counts and lengths; a datagram is a message of one part). */
  readonly layout: "bytes" | "multipart";
}
