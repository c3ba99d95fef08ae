// Settings of the Open Ephys driver, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";

const port = z.number().int().min(1).max(65_535);

export const openEphysOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").describe("Computer on which the Open Ephys GUI runs."),
  dataPort: port.default(5556).describe("Port of the ZMQ Interface's data output."),
  heartbeatPort: port.nullable().default(5557).describe("Port of the ZMQ Interface's heartbeat; none: no heartbeat."),
  sampleRateHz: z.number().positive().nullable().default(null).describe("Sample rate, Hz; none: from the continuous data messages."),
  holdBackMs: z.number().min(0).max(100).default(4).describe("How much older than its block a spike may be, ms."),
  electrodes: z.array(z.string().min(1)).default([]).describe("Electrodes to list from the start, in this order; others follow as they appear."),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).describe("Area of the electrodes whose names begin so."),
  staleMs: z.number().min(100).default(1000).describe("Silence after which the stream is reported stale, ms."),
  lostMs: z.number().min(500).default(5000).describe("Silence after which the connection is made afresh, ms."),
  startTimeoutMs: z.number().min(100).default(5000).describe("How long a start waits for the program to answer, ms."),
});

export type OpenEphysOptions = z.infer<typeof openEphysOptionsSchema>;
