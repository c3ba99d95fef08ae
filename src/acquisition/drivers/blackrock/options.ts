// Settings of the Blackrock driver, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";
import { blackrockProtocols } from "./packets.ts";

const port = z.number().int().min(1).max(65_535);

/** Where each device is in Blackrock's own network: its address, the port that it listens to and the port to which it sends. */
export const blackrockDevices = {
  nsp: { host: "192.168.137.128", sendPort: 51_001, receivePort: 51_002 },
  geminiNsp: { host: "192.168.137.128", sendPort: 51_001, receivePort: 51_001 },
  hub1: { host: "192.168.137.200", sendPort: 51_002, receivePort: 51_002 },
  hub2: { host: "192.168.137.201", sendPort: 51_003, receivePort: 51_003 },
  hub3: { host: "192.168.137.202", sendPort: 51_004, receivePort: 51_004 },
  nPlay: { host: "127.0.0.1", sendPort: 51_001, receivePort: 51_002 },
} as const;

const deviceSchema = z.enum(["nsp", "geminiNsp", "hub1", "hub2", "hub3", "nPlay"]);

export const blackrockOptionsSchema = z.strictObject({
  device: deviceSchema.default("nsp").meta({ description: "Which device sends: the NSP, a Gemini NSP, a hub, or the player nPlay." }),
  moreDevices: z
    .array(z.union([deviceSchema, z.strictObject({ name: z.string().min(1), host: z.string().min(1), sendPort: port, receivePort: z.number().int().min(0).max(65_535) })]))
    .default([])
    .meta({ description: "Further devices of the same system and clock, whose channels follow." }),
  host: z.string().nullable().default(null).meta({ description: "IPv4 address of the device; none: its own." }),
  sendPort: port.nullable().default(null).meta({ description: "Port on which the device takes requests; none: its own." }),
  receivePort: z.number().int().min(0).max(65_535).nullable().default(null).meta({ description: "Port to which the device sends; none: its own." }),
  localAddress: z.string().min(1).default("0.0.0.0").meta({ description: "Address of this computer on which to receive." }),
  protocol: z.enum(["auto", ...blackrockProtocols]).default("auto").meta({ description: "Version of the packets; auto: from what comes." }),
  timeUnit: z.enum(["auto", "ticks", "ns"]).default("auto").meta({ description: "Unit of the time stamps; auto: ns from a Gemini system, else ticks." }),
  tickHz: z.number().positive().default(30_000).meta({ description: "Ticks per second, where the device does not say.", unit: "Hz" }),
  holdBackMs: z.number().min(0).max(100).default(5).meta({ description: "How much older than the packets around it a spike may be: its waveform has to end first.", unit: "ms" }),
  noise: z.enum(["leaveOut", "keep", "unsorted"]).default("leaveOut").meta({ description: "What to do with events that the sorter calls noise (unit 255)." }),
  photodiodeLine: z.number().int().min(0).max(15).nullable().default(null).meta({ description: "Bit of the digital input with the photodiode; none: no photodiode there." }),
  photodiodeChannel: z.number().int().min(1).max(1024).nullable().default(null).meta({ description: "Analog input whose threshold crossings are the photodiode; none: no photodiode there." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose labels begin so." }),
  setRunning: z.boolean().default(true).meta({ description: "Whether to ask the device to run. It is never reset." }),
  receiveBy: z.enum(["either", "addon", "node"]).default("either").meta({ description: "Who receives: the native addon, Node, or the addon where there is one." }),
  receiveBufferBytes: z.number().int().min(65_536).default(16 * 1024 * 1024).meta({ description: "Buffer of the socket.", unit: "bytes" }),
  staleMs: z.number().min(100).default(500).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start waits for the device to answer.", unit: "ms" }),
});

export type BlackrockOptions = z.infer<typeof blackrockOptionsSchema>;
