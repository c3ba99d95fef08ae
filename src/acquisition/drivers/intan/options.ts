// Settings of the Intan RHX driver, with their defaults and units. Knows nothing about sockets.
import { z } from "zod";

const port = z.number().int().min(1).max(65_535);

/** Native names of the amplifier channels of port A, as RHX shows them without a headstage's own numbering. */
const portA = Array.from({ length: 32 }, (_, index) => `A-${String(index).padStart(3, "0")}`);

export const intanOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").meta({ description: "Computer on which Intan RHX runs." }),
  commandPort: port.nullable().default(5000).meta({ description: "Port of RHX's remote control; none: RHX is set up by hand." }),
  waveformPort: port.nullable().default(5001).meta({ description: "Port of the waveform output, which carries the clock of the stream; none: spikes only." }),
  spikePort: port.nullable().default(5002).meta({ description: "Port of the spike output; none: spikes are found in the waveforms." }),
  sampleRateHz: z.number().positive().nullable().default(null).meta({ description: "Sample rate; none: asked of RHX.", unit: "Hz" }),
  blocksPerWrite: z.number().int().min(1).max(100).nullable().default(null).meta({ description: "Blocks of 128 samples that RHX sends at once; none: asked of RHX, and 10, its default, where it cannot be asked." }),
  setUp: z.boolean().default(true).meta({ description: "Let Evoked choose what RHX sends, and start and stop it, where RHX is not running already." }),
  channels: z.array(z.string().regex(/^[A-H]-\d{3}$/, "expected native channel names such as A-003")).min(1).max(1024).default(portA).meta({ description: "Amplifier channels to listen to, by native name." }),
  areas: z.array(z.strictObject({ prefix: z.string(), area: z.string() })).default([]).meta({ description: "Area of the channels whose names begin so." }),
  band: z.enum(["none", "wide", "low", "high"]).default("none").meta({ description: "Band whose samples are asked for; needed only to find spikes in them." }),
  detect: z.enum(["auto", "never", "always"]).default("auto").meta({ description: "Whether spikes are found in the waveforms: auto, where there is a band and no spike port." }),
  thresholdSd: z.number().min(1).max(20).default(4).meta({ description: "A spike is below minus so many times the noise, which is the median of |sample| / 0.6745." }),
  highPassHz: z.number().min(0).max(2000).default(250).meta({ description: "The wide band is high-passed here (second-order Butterworth) before spikes are looked for; 0: not.", unit: "Hz" }),
  refractoryMs: z.number().min(0).max(10).default(1).meta({ description: "No channel has two spikes closer than this.", unit: "ms" }),
  digitalIn: z.boolean().default(true).meta({ description: "Ask for the digital inputs, for marks." }),
  photodiodeLine: z.number().int().min(1).max(16).nullable().default(null).meta({ description: "Digital input on which the photodiode is (1 to 16); none: its marks are those of a TTL line." }),
  holdBackMs: z.number().min(0).max(150).default(0).meta({ description: "How much longer than one write of RHX spikes are waited for; grows by itself should a spike come later.", unit: "ms" }),
  staleMs: z.number().min(100).default(1000).meta({ description: "Silence after which the stream is reported stale.", unit: "ms" }),
  startTimeoutMs: z.number().min(100).default(5000).meta({ description: "How long a start waits for RHX to answer.", unit: "ms" }),
});

export type IntanOptions = z.infer<typeof intanOptionsSchema>;
