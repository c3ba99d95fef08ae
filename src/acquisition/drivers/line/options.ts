// Settings of the line for home-made rigs, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";

export const lineOptionsSchema = z.strictObject({
  transport: z.enum(["udp", "tcp"]).default("udp").meta({ description: "How it travels. udp: the rig sends datagrams to this computer; tcp: Evoked connects to the rig." }),
  host: z.string().min(1).default("127.0.0.1").meta({ description: "With udp the address of this computer to listen at (0.0.0.0: all); tcp: the rig's address." }),
  port: z.number().int().min(0).max(65_535).default(47_600).meta({ description: "Port to listen at, or to connect to." }),
  tickHz: z.number().min(1).max(1e9).default(1_000_000).meta({ description: "Ticks of the rig's clock in a second; 1,000,000: microseconds.", unit: "Hz" }),
  counterBits: z.union([z.literal(32), z.null()]).default(32).meta({ description: "Size of the rig's clock counter where it wraps, as an Arduino's micros() does after 71 minutes; none: it does not." }),
  channels: z.array(z.string().min(1)).default([]).meta({ description: "Channels to list from the start, in this order; others follow as they appear." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose names begin so." }),
  photodiodeLine: z.number().int().min(0).max(255).nullable().default(null).meta({ description: "Digital line on which the photodiode is; none: only P lines are its marks." }),
  holdBackMs: z.number().min(0).max(100).default(5).meta({ description: "How much older than the newest line a spike may be, where no heartbeat says so.", unit: "ms" }),
  reorderMs: z.number().min(0).max(200).default(10).meta({ description: "How long a missing line is waited for.", unit: "ms" }),
  staleMs: z.number().min(100).default(1000).meta({ description: "Silence after which the stream is reported stale: the rig must send heartbeats more often.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start waits for the first line.", unit: "ms" }),
});

export type LineOptions = z.infer<typeof lineOptionsSchema>;
