// All devices of one Blackrock system as one stream: each is listened to until it can be read, then their spikes and marks go out in time order
// behind the slowest that is heard. Pure but for its state: fed by sockets in a session, by a capture's datagrams afterwards. Knows neither.
import type { HostTimeNs } from "../../../shared/units.ts";
import type { ChannelInfo, SourceEvent } from "../../../shared/values.ts";
import { RecordWriter, copyOf } from "../../native/records.ts";
import type { RecordBatch } from "../../native/records.ts";
import { createSpikeHold } from "../../spikeHold.ts";
import type { LineDecoder } from "../../capture/decoding.ts";
import { createBlackrockDecoder } from "./decoder.ts";
import type { BlackrockDecoder, BlackrockDecoderStatus } from "./decoder.ts";
import { createHandshake } from "./handshake.ts";
import type { Handshake, HandshakeListener } from "./handshake.ts";
import { createBlackrockParser } from "./parser.ts";
import type { BlackrockOptions } from "./options.ts";
import type { BlackrockProtocol } from "./packets.ts";

type ArrivedOf = (arrivalNs: number) => HostTimeNs;

interface Member {
  readonly name: string;
  readonly handshake: HandshakeListener;
  decoder: BlackrockDecoder | null;
  /** What it sent after it had said all, until all the others have too. */
  early: { readonly batch: RecordBatch; readonly arrivedOf: ArrivedOf }[];
  /** What its clock has passed, rig time; not considered while it is silent. */
  watermarkNs: number;
  isSilent: boolean;
}

export interface BlackrockSystem {
  /** Records of the device at that place; `nowMs` on the clock of `step`. Answers whether it streams: answers to requests alone are no stream. */
  take(place: number, batch: RecordBatch, arrivedOf: ArrivedOf, nowMs: number): boolean;
  /** Time has passed without a word. Answers whether all devices can be read. */
  step(nowMs: number): boolean;
  /** The device at that place has been silent for so long. */
  silent(place: number, ageMs: number, nowHostNs: HostTimeNs): void;
  flush(nowHostNs: HostTimeNs): void;
  readonly isStreaming: boolean;
  handshake(place: number): HandshakeListener;
  isSilent(place: number): boolean;
  channels(): readonly ChannelInfo[];
  spikes(): number;
  statuses(): readonly BlackrockDecoderStatus[];
}

/** `onProtocol`: the datagrams of that device may be parsed from now on. */
export function createBlackrockSystem(names: readonly string[], options: BlackrockOptions, emit: (event: SourceEvent) => void, onProtocol: (place: number, protocol: BlackrockProtocol) => void): BlackrockSystem {
  const members: Member[] = names.map((name, place) => ({ name, handshake: createHandshake(options, (protocol) => onProtocol(place, protocol)), decoder: null, early: [], watermarkNs: Number.NEGATIVE_INFINITY, isSilent: false }));
  const channels: ChannelInfo[] = [];
  const hold = createSpikeHold(emit);
  let isStreaming = false;
  let changed = false;

  function begin(handshakes: readonly Handshake[]): void {
    const origin = { at: null };
    for (const [place, member] of members.entries()) {
      const handshake = handshakes[place];
      if (handshake !== undefined) member.decoder = makeDecoder(member, handshake, origin);
    }
    changed = false;
    isStreaming = true;
    if (channels.length > 0) emit({ kind: "channels", channels: [...channels] });
    for (const member of members) {
      const { early } = member;
      member.early = [];
      for (const { batch, arrivedOf } of early) member.decoder?.take(batch, arrivedOf);
    }
  }

  function makeDecoder(member: Member, handshake: Handshake, origin: { at: null }): BlackrockDecoder {
    const indexOf = new Map<number, number>();
    const addChannel = (channel: number, label: string): number => {
      const known = indexOf.get(channel);
      if (known !== undefined) return known;
      const isTaken = label === "" || channels.some((one) => one.name === label);
      const name = isTaken ? `${member.name} ${channel}` : label;
      const place = channels.length;
      channels.push({ index: place, name, area: options.areas.find(({ prefix }) => name.startsWith(prefix))?.area ?? "", positionMm: null });
      indexOf.set(channel, place);
      changed = true;
      return place;
    };
    const inputs = handshake.channels.filter((one) => one.isConnected && one.isAnalogInput && one.detectsSpikes && one.channel !== options.photodiodeChannel);
    for (const one of inputs.toSorted((a, b) => a.channel - b.channel)) addChannel(one.channel, one.label);
    const digital = handshake.channels.filter((one) => one.isDigitalInput);
    return createBlackrockDecoder(
      {
        name: member.name, origin, protocol: handshake.protocol, tickHz: handshake.tickHz, holdBackMs: options.holdBackMs, noise: options.noise, photodiodeLine: options.photodiodeLine, photodiodeChannel: options.photodiodeChannel,
        digitalChannels: digital.length === 0 ? null : new Set(digital.map((one) => one.channel)), channelIndex: (channel) => indexOf.get(channel) ?? addChannel(channel, ""),
      },
      {
        spike: (timeNs, channel, unit) => hold.add(timeNs, channel, unit),
        mark: (mark, arrived) => hold.addMark(mark, arrived),
        fault: (sourceFault, arrived) => emit({ kind: "fault", fault: sourceFault, arrivedHostNs: arrived }),
        reached(watermarkNs, arrived) {
          member.watermarkNs = Math.max(member.watermarkNs, watermarkNs);
          // The whole has passed what the slowest device that is heard has passed.
          let lowest = Number.POSITIVE_INFINITY;
          for (const one of members) if (!one.isSilent) lowest = Math.min(lowest, one.watermarkNs);
          if (changed) {
            changed = false;
            emit({ kind: "channels", channels: [...channels] });
          }
          if (Number.isFinite(lowest)) hold.deliver(lowest, arrived);
        },
        restart(arrived) {
          hold.flush(arrived);
          return Math.max(hold.watermarkNs(), hold.newestNs());
        },
      },
    );
  }

  function step(nowMs: number): boolean {
    if (isStreaming) return true;
    const handshakes = members.flatMap(({ handshake }) => handshake.outcome(nowMs) ?? []);
    if (handshakes.length === members.length) begin(handshakes);
    return isStreaming;
  }

  return {
    take(place, batch, arrivedOf, nowMs) {
      const member = members[place];
      if (member === undefined) return false;
      if (member.decoder !== null) {
        // Heard before what is in the batch is delivered: a device that is back holds up the others again.
        const wasSilent = member.isSilent;
        member.isSilent = false;
        const streams = member.decoder.take(batch, arrivedOf);
        if (!streams) member.isSilent = wasSilent;
        return streams;
      }
      const from = member.handshake.take(batch, nowMs);
      if (from < batch.count) member.early.push({ batch: copyOf(batch, from), arrivedOf });
      step(nowMs);
      return false;
    },
    step,
    silent(place, ageMs, nowHostNs) {
      const member = members[place];
      if (member === undefined) return;
      if (!member.isSilent) member.decoder?.silent(ageMs, nowHostNs);
      member.isSilent = true;
    },
    flush(nowHostNs) {
      hold.flush(nowHostNs);
      for (const { decoder } of members) decoder?.finish(nowHostNs);
    },
    get isStreaming() {
      return isStreaming;
    },
    handshake(place) {
      const member = members[place];
      if (member === undefined) throw new Error(`expected a device at one of ${members.length} places, got ${place}`);
      return member.handshake;
    },
    isSilent: (place) => members[place]?.isSilent === true,
    channels: () => channels,
    spikes: () => hold.counts().spikes,
    statuses: () => members.flatMap(({ decoder }) => decoder?.status() ?? []),
  };
}

/** The system on its own, for captures: a piece is a datagram, its lane the place of the device among them. */
export function decodeBlackrock(options: BlackrockOptions, emit: (event: SourceEvent) => void): LineDecoder {
  const names = [options.device, ...options.moreDevices.map((more) => (typeof more === "string" ? more : more.name))];
  const lanes = names.map(() => ({ writer: new RecordWriter(), parse: createBlackrockParser(options.protocol === "auto" ? null : options.protocol) }));
  const system = createBlackrockSystem(names, options, emit, (place, protocol) => {
    const lane = lanes[place];
    if (lane !== undefined) lane.parse = createBlackrockParser(protocol);
  });
  const msOf = (hostNs: HostTimeNs): number => hostNs / 1e6;
  return {
    take(lane, [datagram], arrivedHostNs) {
      const line = lanes[lane];
      if (line === undefined || datagram === undefined) return;
      line.parse(datagram, arrivedHostNs, line.writer);
      system.take(lane, line.writer.take(), () => arrivedHostNs, msOf(arrivedHostNs));
    },
    settle: (nowHostNs) => void system.step(msOf(nowHostNs)),
    finish(nowHostNs) {
      if (!system.isStreaming) emit({ kind: "fault", fault: { kind: "malformed", reason: "the capture ends before its devices have said enough to be read: protocol, unit of time, channels", packets: 0 }, arrivedHostNs: nowHostNs });
      system.flush(nowHostNs);
    },
    channels: () => system.channels(),
    get packets() {
      return system.statuses().reduce((sum, one) => sum + one.packets, 0);
    },
  };
}
