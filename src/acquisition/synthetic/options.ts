// Settings of the synthetic rig, with their defaults and units. Knows nothing about what they do.
import { z } from "zod";
import { wireFaultSchema } from "../sim/wire.ts";
import { areaNames } from "./truth.ts";

const atMs = z.number().min(0).meta({ description: "Time after the start of the source.", unit: "ms" });
const durationMs = z.number().positive().meta({ description: "How long it lasts.", unit: "ms" });
const presentationId = z.number().int().meta({ description: "Presentation during which it happens." });
const channel = z.number().int().min(0).meta({ description: "Channel index." });

export const rigFaultSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("dropPackets"), atMs, packets: z.number().int().min(1).default(1) }),
  z.strictObject({ kind: z.literal("stall"), atMs, durationMs: z.number().positive().default(2000) }),
  z.strictObject({ kind: z.literal("disconnect"), atMs, durationMs: z.number().positive() }),
  z.strictObject({ kind: z.literal("silenceChannel"), atMs, channel }),
  z.strictObject({ kind: z.literal("noiseOnChannel"), atMs, channel }),
  z.strictObject({ kind: z.literal("clockJump"), atMs, jumpMs: z.number() }),
  z.strictObject({ kind: z.literal("malformedPacket"), atMs }),
  z.strictObject({ kind: z.literal("noSpikes"), atMs, durationMs }),
  z.strictObject({ kind: z.literal("spikesLate"), atMs, durationMs, byMs: z.number().positive().default(400).meta({ description: "How long after that time they come.", unit: "ms" }) }),
  z.strictObject({ kind: z.literal("noMarks"), atMs, durationMs }),
  z.strictObject({ kind: z.literal("eyeNotSeen"), atMs, durationMs }),
  z.strictObject({ kind: z.literal("eyeSilent"), atMs, durationMs }),
  z.strictObject({ kind: z.literal("rewardDead"), atMs, durationMs }),
  z.strictObject({ kind: z.literal("spikesLost"), presentationId }),
  z.strictObject({ kind: z.literal("markLost"), presentationId }),
  z.strictObject({ kind: z.literal("markDoubled"), presentationId }),
]);

export const eyeOptionsSchema = z.strictObject({
  sampleRateHz: z.union([z.literal(500), z.literal(1000)]).default(500).meta({ description: "Samples per second." }),
  batchMs: z.number().min(1).max(200).default(20).meta({ description: "Time between batches.", unit: "ms" }),
  delayMs: z.number().min(0).max(100).default(4).meta({ description: "Age of the newest sample when it is delivered.", unit: "ms" }),
  engagement: z.number().min(0).max(1).default(0.92).meta({ description: "Probability that the animal looks at the spot when it appears." }),
  breaksPerS: z.number().min(0).max(20).default(0.04).meta({ description: "Saccades away from the spot per second of fixation." }),
  blinksPerS: z.number().min(0).max(5).default(0.02).meta({ description: "Blinks per second." }),
  microsaccadesPerS: z.number().min(0).max(10).default(1.2).meta({ description: "Microsaccades per second of fixation." }),
  driftSpreadDeg: z.number().min(0).max(1).default(0.07).meta({ description: "Spread of the gaze around the spot.", unit: "degrees" }),
});

export const syntheticRigOptionsSchema = z.strictObject({
  channelsPerArray: z.number().int().min(1).max(512).default(32).meta({ description: "Channels of each of the arrays V1, V4 and PIT." }),
  fieldXDeg: z.number().min(-40).max(40).default(0).meta({ description: "Centre of the square of the visual field that the neurons see, from the fixation spot, to the right.", unit: "degrees" }),
  fieldYDeg: z.number().min(-40).max(40).default(0).meta({ description: "The same, upwards.", unit: "degrees" }),
  fieldDeg: z.number().min(0.5).max(40).default(4).meta({ description: "Side of that square: an image of this size there evokes the whole response.", unit: "degrees" }),
  silentChannels: z.number().int().min(0).default(2).meta({ description: "Channels without a spike." }),
  noisyChannels: z.number().int().min(0).default(1).meta({ description: "Channels with line noise." }),
  multiUnitShare: z.number().min(0).max(1).default(0.4).meta({ description: "Share of channels that hear several units." }),
  layers: z.partialRecord(z.enum(areaNames), z.string()).default({}).meta({ description: "Encoder layer that an area reads; by default an early, a middle and the penultimate one." }),
  gainSpread: z.number().min(0).max(1).default(0.15).meta({ description: "Standard deviation of the log gain that an array shares in a trial." }),
  driftAmplitude: z.number().min(0).max(0.9).default(0.1).meta({ description: "Amplitude of the slow drift of a unit's gain." }),
  driftPpm: z.number().min(-500).max(500).default(38).meta({ description: "How much faster the rig's clock runs than this computer's.", unit: "ppm" }),
  batchMs: z.number().min(1).max(1000).default(25).meta({ description: "Time between batches.", unit: "ms" }),
  delayMs: z.number().min(0).max(500).default(15).meta({ description: "Age of the newest data when they are delivered.", unit: "ms" }),
  displayLagMs: z.number().min(0).max(100).default(3).meta({ description: "From the flip to the light on the photodiode.", unit: "ms" }),
  photodiode: z.boolean().default(true).meta({ description: "Whether the rig has a photodiode on the screen." }),
  photodiodePort: z.number().int().min(1024).max(65_535).nullable().default(null).meta({ description: "UDP port on this computer where a program that watches the screen sends what a photodiode would see; none: the rig makes the marks itself." }),
  markJitterMs: z.number().min(0).max(20).default(0).meta({ description: "Standard deviation of the photodiode's mark about the light.", unit: "ms" }),
  lineFrequencyHz: z.union([z.literal(50), z.literal(60)]).default(50).meta({ description: "Frequency of the mains.", unit: "Hz" }),
  rewardMsMax: z.number().positive().max(2000).default(500).meta({ description: "Longest reward pulse.", unit: "ms" }),
  eye: eyeOptionsSchema.prefault({}),
  tickHz: z.number().positive().max(1e9).nullable().default(null).meta({ description: "Spikes and marks fall on ticks of this clock, as a recording system's do; none: they keep their nanosecond.", unit: "Hz" }),
  blockTicks: z.number().int().min(1).max(100_000).default(1).meta({ description: "With ticks: the stream advances by whole blocks of so many." }),
  lagTicks: z.number().int().min(0).max(100_000).default(0).meta({ description: "With ticks: the stream stays this far behind what has been recorded, as a driver that waits for the rest of a block." }),
  through: z.string().nullable().default(null).meta({ description: "Play the rig over this protocol and listen to it through that protocol's driver, e.g. open-ephys; none: directly." }),
  wireFaults: z.array(wireFaultSchema).default([]).meta({ description: "Faults of the transport to inject, where the rig is played over a protocol." }),
  faults: z.array(rigFaultSchema).default([]).meta({ description: "Faults to inject." }),
});

export type RigFault = z.infer<typeof rigFaultSchema>;
export type SyntheticRigOptions = z.infer<typeof syntheticRigOptionsSchema>;

export const defaultRigOptions: SyntheticRigOptions = syntheticRigOptionsSchema.parse({});
