// Settings of the Plexon driver, with their defaults and units. Knows nothing about libraries.
import { z } from "zod";

export const plexonOptionsSchema = z.strictObject({
  library: z.string().min(1).default("PlexClient.dll").meta({ description: "Plexon's client library: a name on the search path, or a file." }),
  channels: z.number().int().min(0).max(4096).default(0).meta({ description: "Spike channels to list from the start; others follow as they appear." }),
  channelPrefix: z.string().default("SPK").meta({ description: "Begin of the channels' names; the number follows." }),
  pollMs: z.number().min(0.1).max(100).default(1).meta({ description: "Time between two questions to the server.", unit: "ms" }),
  countDropped: z.boolean().default(true).meta({ description: "Ask with waveforms, so that the server says how much it dropped." }),
  holdBackMs: z.number().min(0).max(100).default(5).meta({ description: "How much older than the newest event a spike may be.", unit: "ms" }),
  photodiodeEvent: z.number().int().min(1).max(256).nullable().default(null).meta({ description: "Event channel that is the photodiode; none: no photodiode there." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose names begin so." }),
  staleMs: z.number().min(100).default(1000).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
});

export type PlexonOptions = z.infer<typeof plexonOptionsSchema>;
