// Settings of the Open Ephys driver, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";

const port = z.number().int().min(1).max(65_535);

export const openEphysOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").meta({ description: "Computer on which the Open Ephys GUI runs." }),
  dataPort: port.default(5556).meta({ description: "Port of the ZMQ Interface's data output." }),
  heartbeatPort: port.nullable().default(5557).meta({ description: "Port of the ZMQ Interface's heartbeat; none: no heartbeat." }),
  httpPort: port.default(37_497).meta({ description: "Port of the GUI's HTTP server, for `control`." }),
  control: z.enum(["none", "acquire", "record"]).default("none").meta({ description: "What the GUI is asked to do with the session: nothing, acquire, or record. It is left as it was found afterwards." }),
  sampleRateHz: z.number().positive().nullable().default(null).meta({ description: "Sample rate; none: from the continuous data messages.", unit: "Hz" }),
  holdBackMs: z.number().min(0).max(100).default(4).meta({ description: "How much older than its block a spike may be.", unit: "ms" }),
  electrodes: z.array(z.string().min(1)).default([]).meta({ description: "Electrodes to list from the start, in this order; others follow as they appear." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the electrodes whose names begin so." }),
  photodiodeLine: z.number().int().min(0).max(255).nullable().default(null).meta({ description: "TTL line on which the photodiode is; none: its marks are those of a TTL line." }),
  staleMs: z.number().min(100).default(1000).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
  lostMs: z.number().min(500).default(5000).meta({ description: "Silence after which the connection is made afresh.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start waits for the program to answer.", unit: "ms" }),
});

export type OpenEphysOptions = z.infer<typeof openEphysOptionsSchema>;
