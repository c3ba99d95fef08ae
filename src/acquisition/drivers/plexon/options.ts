// Settings of the Plexon driver, with their defaults and units. Knows nothing about libraries.
import { z } from "zod";

/** Names of the libraries where none is set, in the order in which they are tried. */
export const plexonLibraries = { opx: ["OPXClient64.dll", "OPXClient.dll"], plex: ["PlexClient.dll"] } as const;

export const plexonOptionsSchema = z.strictObject({
  client: z.enum(["auto", "opx", "plex"]).default("auto").meta({ description: "Which of Plexon's client libraries: OPXClient (OmniPlex 18 or later), PlexClient, or the first of them that is there and whose server answers." }),
  library: z.string().min(1).nullable().default(null).meta({ description: "The library: a name on the search path, or a file; none: under its usual names." }),
  channels: z.number().int().min(0).max(4096).default(0).meta({ description: "Spike channels to list from the start; others follow as they appear." }),
  channelPrefix: z.string().default("SPK").meta({ description: "Begin of the channels' names; the number follows." }),
  pollMs: z.number().min(0.1).max(100).default(1).meta({ description: "Time between two questions to the server, at most: OPXClient wakes Evoked when there is something.", unit: "ms" }),
  countDropped: z.boolean().default(true).meta({ description: "Ask PlexClient with waveforms, so that the server says how much it dropped; OPXClient does not say." }),
  holdBackMs: z.number().min(0).max(100).default(5).meta({ description: "How much older than the newest event a spike may be.", unit: "ms" }),
  photodiodeEvent: z.number().int().min(1).max(256).nullable().default(null).meta({ description: "Event channel that is the photodiode; none: no photodiode there." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose names begin so." }),
  staleMs: z.number().min(100).default(1000).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
});

export type PlexonOptions = z.infer<typeof plexonOptionsSchema>;
