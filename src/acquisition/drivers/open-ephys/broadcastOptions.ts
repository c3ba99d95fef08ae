// Settings of the driver for the Open Ephys GUI's Event Broadcaster, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";

const port = z.number().int().min(1).max(65_535);
const line = z.number().int().min(0).max(255).nullable().default(null);

export const broadcastOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").meta({ description: "Computer on which the Open Ephys GUI runs." }),
  port: port.default(5557).meta({ description: "Port of the Event Broadcaster. A ZMQ Interface in the same signal chain takes 5557 for its heartbeat: give one of them another." }),
  httpPort: port.default(37_497).meta({ description: "Port of the GUI's HTTP server, for `control`." }),
  control: z.enum(["none", "acquire", "record"]).default("none").meta({ description: "What the GUI is asked to do with the session: nothing, acquire, or record. It is left as it was found afterwards." }),
  sampleRateHz: z.number().positive().nullable().default(null).meta({ description: "Sample rate of raw events, which do not carry it; events in JSON say it themselves.", unit: "Hz" }),
  holdBackMs: z.number().min(0).max(500).default(30).meta({ description: "How much older than the newest event a spike may be: a block of the GUI and the detector's wait.", unit: "ms" }),
  electrodes: z.array(z.string().min(1)).default([]).meta({ description: "Electrodes to list from the start, in this order; in the raw form their names, by place." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the electrodes whose names begin so." }),
  photodiodeLine: line.meta({ description: "TTL line on which the photodiode is; none: its marks are those of a TTL line." }),
  clockLine: line.meta({ description: "TTL line with a steady pulse that only tells how far the stream is; it is no mark. None: spikes and marks alone tell it." }),
  staleMs: z.number().min(100).default(1000).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
  lostMs: z.number().min(500).default(5000).meta({ description: "Silence after which the connection is made afresh.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start waits for the program to answer.", unit: "ms" }),
});

export type BroadcastOptions = z.infer<typeof broadcastOptionsSchema>;
