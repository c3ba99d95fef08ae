// The bridge's protocol: what a computer beside the recording system sends to Evoked over UDP. docs/rigs/plexon.md describes it for others to
// implement. Pure; knows nothing about sockets.
import { z } from "zod";

/** "EVB1". */
export const bridgeMagic = 0x31425645;
export const bridgeVersion = 1;
export const bridgeHeadSize = 40;
export const bridgeRecordSize = 16;
/** Records in a datagram at most, so that it fits an Ethernet frame. */
export const bridgeRecordsMax = 88;
export const bridgeTypes = { data: 1, channels: 2, fault: 3, end: 4, hello: 16 } as const;
export const defaultBridgePort = 51_717;
/** A receiver says hello this often, ms; the bridge forgets it after three times as long. */
export const helloMs = 500;
export const forgetMs = 3 * helloMs;
/** The bridge says where its clock is at least this often, ms. */
export const heartbeatMs = 10;

export interface BridgeHead {
  readonly type: number;
  readonly count: number;
  /** Number of the datagram in this session of the bridge; every one but hello has the next. */
  readonly sequence: number;
  /** Another number whenever the bridge is started again. */
  readonly session: number;
  /** Every spike and mark before this rig time has been sent, ns. */
  readonly watermarkNs: number;
  /** Spikes and marks sent in this session before this datagram. */
  readonly recordsBefore: number;
  /** Every spike and mark sent so far, this datagram's included, is older than this rig time, ns: how far a loss can reach. */
  readonly untilNs: number;
}

export function writeBridgeHead(view: DataView, head: BridgeHead): void {
  view.setUint32(0, bridgeMagic, true);
  view.setUint8(4, bridgeVersion);
  view.setUint8(5, head.type);
  view.setUint16(6, head.count, true);
  view.setUint32(8, head.sequence >>> 0, true);
  view.setUint32(12, head.session, true);
  setUint64(view, 16, head.watermarkNs);
  setUint64(view, 24, head.recordsBefore);
  setUint64(view, 32, head.untilNs);
}

/** null where the bytes are no datagram of the bridge. */
export function readBridgeHead(bytes: Uint8Array): BridgeHead | null {
  if (bytes.length < bridgeHeadSize) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== bridgeMagic || view.getUint8(4) !== bridgeVersion) return null;
  return {
    type: view.getUint8(5),
    count: view.getUint16(6, true),
    sequence: view.getUint32(8, true),
    session: view.getUint32(12, true),
    watermarkNs: view.getUint32(16, true) + view.getUint32(20, true) * 0x1_0000_0000,
    recordsBefore: view.getUint32(24, true) + view.getUint32(28, true) * 0x1_0000_0000,
    untilNs: view.getUint32(32, true) + view.getUint32(36, true) * 0x1_0000_0000,
  };
}

export function setUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 0x1_0000_0000, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** A datagram with text (JSON) behind its head. */
export function writeBridgeText(head: Omit<BridgeHead, "count">, value: unknown): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const out = new Uint8Array(bridgeHeadSize + text.length);
  writeBridgeHead(new DataView(out.buffer), { ...head, count: 0 });
  out.set(text, bridgeHeadSize);
  return out;
}

/** What a receiver says to be sent the stream; with `wantsChannels` the list of channels too. */
export function writeHello(wantsChannels: boolean): Uint8Array {
  const out = new Uint8Array(bridgeHeadSize);
  writeBridgeHead(new DataView(out.buffer), { type: bridgeTypes.hello, count: wantsChannels ? 1 : 0, sequence: 0, session: 0, watermarkNs: 0, recordsBefore: 0, untilNs: 0 });
  return out;
}

export const markKinds = ["photodiode", "strobe", "ttl"] as const;

/** A part of the channel list: from the channel of that index on; `total` channels in all. */
export const bridgeChannelsSchema = z.object({
  source: z.string(),
  total: z.number().int().min(0).max(65_535),
  from: z.number().int().min(0),
  channels: z.array(z.object({ name: z.string().min(1), area: z.string(), positionMm: z.object({ x: z.number(), y: z.number() }).nullable() })),
});
export type BridgeChannels = z.infer<typeof bridgeChannelsSchema>;

const rigNs = z.number();
export const bridgeFaultSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("gap"), lostPackets: z.number(), stream: z.string(), atRigNs: rigNs, continuousOnly: z.boolean().optional() }),
  z.object({ kind: z.literal("stale"), ageMs: z.number() }),
  z.object({ kind: z.literal("lost"), reason: z.string() }),
  z.object({ kind: z.literal("reconnected"), awayMs: z.number() }),
  z.object({ kind: z.literal("clockJump"), jumpMs: z.number(), atRigNs: rigNs }),
  z.object({ kind: z.literal("malformed"), reason: z.string(), packets: z.number() }),
  z.object({ kind: z.literal("overflow"), droppedSpikes: z.number() }),
]);
export const bridgeEndSchema = z.object({ reason: z.string() });
