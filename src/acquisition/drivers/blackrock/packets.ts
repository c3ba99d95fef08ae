// Blackrock's packets, byte by byte: heads of the three protocols, the configuration packets that matter here, and the bytes of requests.
// Facts from CereLink's cbproto (docs/rigs/blackrock.md). Pure; knows nothing about sockets or streams.

export type BlackrockProtocol = "3.11" | "4.0" | "4.1";
export const blackrockProtocols = ["3.11", "4.0", "4.1"] as const;

export const configurationChannel = 0x8000;
export const packetTypes = {
  heartbeat: 0x00,
  monitor: 0x01,
  /** The end of the answer to a request for the configuration. */
  sysRep: 0x10,
  sysRepRunLevel: 0x12,
  procRep: 0x21,
  commentRep: 0x31,
  chanRep: 0x40,
  requestConfiguration: 0x88,
  sysSetRunLevel: 0x92,
  commentSet: 0xb1,
} as const;

export const runLevels = { startup: 10, hardReset: 20, standby: 30, reset: 40, running: 50, stressed: 60, error: 70, shutdown: 80 } as const;

export const channelCapabilities = { exists: 0x1, connected: 0x2, analogInput: 0x100, digitalInput: 0x400 } as const;
/** Of an analog input: it can detect spikes. */
const inputSpikeProcessing = 0x800;

export interface PacketHead {
  readonly timeLow: number;
  readonly timeHigh: number;
  readonly channel: number;
  readonly type: number;
  readonly headSize: number;
  readonly payloadSize: number;
}

const headSizes = { "3.11": 8, "4.0": 16, "4.1": 16 } as const;

/** The head at `offset`; null where the bytes do not hold the whole packet. */
export function readHead(protocol: BlackrockProtocol, view: DataView, offset: number): PacketHead | null {
  const left = view.byteLength - offset;
  const headSize = headSizes[protocol];
  if (left < headSize) return null;
  const head =
    protocol === "3.11"
      ? { timeLow: view.getUint32(offset, true), timeHigh: 0, channel: view.getUint16(offset + 4, true), type: view.getUint8(offset + 6), headSize, payloadSize: view.getUint8(offset + 7) * 4 }
      : {
          timeLow: view.getUint32(offset, true),
          timeHigh: view.getUint32(offset + 4, true),
          channel: view.getUint16(offset + 8, true),
          // 4.0 has a type of one byte, and its length is not aligned.
          type: protocol === "4.0" ? view.getUint8(offset + 10) : view.getUint16(offset + 10, true),
          headSize,
          payloadSize: view.getUint16(offset + (protocol === "4.0" ? 11 : 12), true) * 4,
        };
  return headSize + head.payloadSize <= left ? head : null;
}

/** One packet. `time` in the device's unit. */
export function writePacket(protocol: BlackrockProtocol, packet: { readonly time: bigint; readonly channel: number; readonly type: number; readonly payload: Uint8Array; readonly instrument?: number }): Uint8Array {
  const { time, channel, type, payload, instrument = 0 } = packet;
  if (payload.length % 4 !== 0) throw new Error(`expected a payload of whole 32-bit words, got ${payload.length} bytes`);
  const headSize = headSizes[protocol];
  const out = new Uint8Array(headSize + payload.length);
  const view = new DataView(out.buffer);
  if (protocol === "3.11") {
    view.setUint32(0, Number(time & 0xffff_ffffn), true);
    view.setUint16(4, channel, true);
    view.setUint8(6, type);
    view.setUint8(7, payload.length / 4);
  } else {
    view.setBigUint64(0, time, true);
    view.setUint16(8, channel, true);
    if (protocol === "4.0") {
      view.setUint8(10, type);
      view.setUint16(11, payload.length / 4, true);
      view.setUint8(13, instrument);
    } else {
      view.setUint16(10, type, true);
      view.setUint16(12, payload.length / 4, true);
      view.setUint8(14, instrument);
    }
  }
  out.set(payload, headSize);
  return out;
}

/** "Run", "stand by", "reset": the request, 24 bytes of payload with the run level in the fifth word. */
export function runLevelRequest(protocol: BlackrockProtocol, runLevel: number): Uint8Array {
  return writePacket(protocol, { time: 1n, channel: configurationChannel, type: packetTypes.sysSetRunLevel, payload: systemInfo({ runLevel, tickHz: 0 }) });
}

export function configurationRequest(protocol: BlackrockProtocol): Uint8Array {
  return writePacket(protocol, { time: 1n, channel: configurationChannel, type: packetTypes.requestConfiguration, payload: new Uint8Array() });
}

/** Line of the marks that comments are: no digital input has it. */
export const commentLine = 255;

/** Bytes of a comment's payload before its text: character set, then time and colour, in 3.11 one word for either. */
const commentHeadSizes = { "3.11": 8, "4.0": 16, "4.1": 16 } as const;
const commentTextSize = 128;
const commentPattern = /^Evoked (\d{1,3})$/;

/** "Note this in the recording": the device stamps the comment with its own clock, stores it, and sends it to everybody. */
export function commentRequest(protocol: BlackrockProtocol, text: string): Uint8Array {
  const payload = new Uint8Array(commentHeadSizes[protocol] + commentTextSize);
  const bytes = new TextEncoder().encode(text);
  if (bytes.length >= commentTextSize) throw new Error(`expected a comment of less than ${commentTextSize} bytes, got ${bytes.length}`);
  payload.set(bytes, commentHeadSizes[protocol]);
  return writePacket(protocol, { time: 0n, channel: configurationChannel, type: packetTypes.commentSet, payload });
}

/** The event code as a comment's text. */
export function commentOfCode(code: number): string {
  return `Evoked ${code}`;
}

/** The event code in a comment's payload; null where it is a comment of somebody else. */
export function readCommentCode(protocol: BlackrockProtocol, payload: Uint8Array): number | null {
  const text = payload.subarray(commentHeadSizes[protocol]);
  const end = text.indexOf(0);
  const [, code] = commentPattern.exec(new TextDecoder("latin1").decode(end < 0 ? text : text.subarray(0, end))) ?? [];
  return code === undefined ? null : Number(code);
}

/** Payload of a system packet: tick rate in the first word, run level in the fifth. */
export function systemInfo({ runLevel, tickHz }: { readonly runLevel: number; readonly tickHz: number }): Uint8Array {
  const payload = new Uint8Array(24);
  const view = new DataView(payload.buffer);
  view.setUint32(0, tickHz, true);
  view.setUint32(16, runLevel, true);
  return payload;
}

export function readSystemInfo(payload: Uint8Array): { readonly runLevel: number; readonly tickHz: number } | null {
  if (payload.length < 24) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return { tickHz: view.getUint32(0, true), runLevel: view.getUint32(16, true) };
}

const labelOffset = 168;
const labelSize = 16;
/** A channel packet's payload without what follows its label. */
const channelInfoSizeMin = labelOffset + labelSize;

export interface ChannelInfoPacket {
  /** The device's number of the channel, 1-based. */
  readonly channel: number;
  readonly label: string;
  readonly isConnected: boolean;
  readonly isAnalogInput: boolean;
  readonly detectsSpikes: boolean;
  readonly isDigitalInput: boolean;
}

export function readChannelInfo(payload: Uint8Array): ChannelInfoPacket | null {
  if (payload.length < channelInfoSizeMin) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const capabilities = view.getUint32(16, true);
  const label = new TextDecoder("latin1").decode(payload.subarray(labelOffset, labelOffset + labelSize));
  const end = label.indexOf("\0");
  return {
    channel: view.getUint32(0, true),
    label: (end === -1 ? label : label.slice(0, end)).trim(),
    isConnected: (capabilities & channelCapabilities.exists) !== 0 && (capabilities & channelCapabilities.connected) !== 0,
    isAnalogInput: (capabilities & channelCapabilities.analogInput) !== 0,
    detectsSpikes: (view.getUint32(32, true) & inputSpikeProcessing) !== 0,
    isDigitalInput: (capabilities & channelCapabilities.digitalInput) !== 0,
  };
}

/** A channel packet as the device sends it; what does not matter here is zero. */
export function channelInfoPayload(info: { readonly channel: number; readonly label: string; readonly kind: "frontEnd" | "digital" }): Uint8Array {
  // 3.11 and 4.0 send one 32-bit word less than 4.1; both are longer than what is read here.
  const payload = new Uint8Array(600);
  const view = new DataView(payload.buffer);
  view.setUint32(0, info.channel, true);
  const role = info.kind === "frontEnd" ? channelCapabilities.analogInput : channelCapabilities.digitalInput;
  view.setUint32(16, channelCapabilities.exists | channelCapabilities.connected | role, true);
  if (info.kind === "frontEnd") view.setUint32(32, inputSpikeProcessing, true);
  for (let i = 0; i < Math.min(labelSize, info.label.length); i++) payload[labelOffset + i] = info.label.charCodeAt(i) & 0xff;
  return payload;
}

const identOffset = 8;
const identSize = 64;
const procVersionOffset = 108;

/** Name and protocol version that the processor gives itself; null where the packet is too short. */
export function readProcessorInfo(payload: Uint8Array): { readonly name: string; readonly major: number; readonly minor: number } | null {
  if (payload.length < procVersionOffset + 4) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const name = new TextDecoder("latin1").decode(payload.subarray(identOffset, identOffset + identSize));
  const version = view.getUint32(procVersionOffset, true);
  return { name: name.split("\0")[0] ?? "", major: version >>> 16, minor: version & 0xffff };
}

export function processorInfoPayload(info: { readonly name: string; readonly major: number; readonly minor: number }): Uint8Array {
  const payload = new Uint8Array(procVersionOffset + 4);
  for (let i = 0; i < Math.min(identSize, info.name.length); i++) payload[identOffset + i] = info.name.charCodeAt(i) & 0xff;
  new DataView(payload.buffer).setUint32(procVersionOffset, ((info.major << 16) | info.minor) >>> 0, true);
  return payload;
}

/** Longest packet of any protocol, bytes. */
const packetSizeMax = 1024;
/** Front ends of a Gemini system, analog and digital channels behind them. */
const channelMax = 1024;

/** How far a chain of packets of this protocol reaches; null where it does not end with the datagram or names what cannot be. */
function chainOf(protocol: BlackrockProtocol, bytes: Uint8Array): { readonly packets: number; readonly configuration: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let offset = 0;
  let packets = 0;
  let configuration = 0;
  while (offset < bytes.length) {
    const head = readHead(protocol, view, offset);
    if (head === null || head.headSize + head.payloadSize > packetSizeMax) return null;
    if (head.channel >= configurationChannel) {
      if (head.channel !== configurationChannel || head.type > 0xff) return null;
      configuration += 1;
    } else if (head.channel > channelMax || (head.type > 15 && head.type !== 255)) {
      return null;
    }
    if (head.channel > 0 && head.channel < configurationChannel && head.payloadSize < 4) return null;
    offset += head.headSize + head.payloadSize;
    packets += 1;
  }
  return { packets, configuration };
}

/** The protocol whose packets fill these datagrams to the last byte; null where none or several do. Needs a configuration packet (monitor packets come every 10 ms). */
export function detectProtocol(datagrams: readonly Uint8Array[]): BlackrockProtocol | null {
  const fitting = blackrockProtocols.filter((protocol) => {
    const chains = datagrams.map((bytes) => chainOf(protocol, bytes));
    return datagrams.length > 0 && chains.every((chain) => chain !== null) && chains.some((chain) => chain !== null && chain.configuration > 0);
  });
  return fitting.length === 1 ? (fitting[0] ?? null) : null;
}
