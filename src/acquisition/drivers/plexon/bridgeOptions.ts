// Settings of the bridge's receiving end, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";
import { defaultBridgePort } from "./bridgeProtocol.ts";

export const bridgeOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").meta({ description: "IPv4 address of the computer on which evoked rig bridge runs." }),
  port: z.number().int().min(1).max(65_535).default(defaultBridgePort).meta({ description: "Port of the bridge." }),
  localAddress: z.string().min(1).default("0.0.0.0").meta({ description: "Address of this computer on which to receive." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose names begin so, where the bridge names none." }),
  receiveBy: z.enum(["either", "addon", "node"]).default("either").meta({ description: "Who receives: the native addon, Node, or the addon where there is one." }),
  receiveBufferBytes: z.number().int().min(65_536).default(16 * 1024 * 1024).meta({ description: "Buffer of the socket.", unit: "bytes" }),
  staleMs: z.number().min(100).default(500).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start waits for the bridge to answer.", unit: "ms" }),
});

export type BridgeOptions = z.infer<typeof bridgeOptionsSchema>;
