// Settings of the Lab Streaming Layer driver, with their defaults and units. Knows nothing about the library.
import { z } from "zod";

export const lslOptionsSchema = z.strictObject({
  library: z.string().nullable().default(null).meta({ description: "File of the liblsl library; none: EVOKED_LIBLSL, then the system's own." }),
  spikesName: z.string().nullable().default(null).meta({ description: "Name of the stream with the spikes; none: the first of its type." }),
  spikesType: z.string().min(1).default("Spikes").meta({ description: "Type of the stream with the spikes." }),
  markersName: z.string().nullable().default(null).meta({ description: "Name of a stream with markers; none: no markers but those of the spike stream." }),
  gazeName: z.string().nullable().default(null).meta({ description: "Name of a stream with gaze in degrees: x, y and, where there is a third channel, whether the eye is seen; none: no gaze." }),
  timeCorrection: z.boolean().default(true).meta({ description: "Bring time stamps of other computers onto this computer's LSL clock. Off: all streams are of one clock." }),
  channels: z.array(z.string().min(1)).default([]).meta({ description: "Channels to list from the start, in the order of their numbers; others are called CH and their number." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose names begin so." }),
  holdBackMs: z.number().min(0).max(2000).default(100).meta({ description: "Where the stream has no heartbeats: how long after its time stamp a spike may come.", unit: "ms" }),
  pollMs: z.number().min(1).max(100).default(4).meta({ description: "How often the library is asked for what has come.", unit: "ms" }),
  staleMs: z.number().min(100).default(2000).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start looks for the streams.", unit: "ms" }),
});

export type LslOptions = z.infer<typeof lslOptionsSchema>;
