// Settings of the synthetic rig, with their defaults and units. Knows nothing about what they do.
import { z } from "zod";
import { areaNames } from "./truth.ts";

const atMs = z.number().min(0).describe("Time after the start of the source, ms.");
const presentationId = z.number().int().describe("Presentation during which it happens.");
const channel = z.number().int().min(0).describe("Channel index.");

export const rigFaultSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("dropPackets"), atMs, packets: z.number().int().min(1).default(1) }),
  z.strictObject({ kind: z.literal("stall"), atMs, durationMs: z.number().positive().default(2000) }),
  z.strictObject({ kind: z.literal("disconnect"), atMs, durationMs: z.number().positive() }),
  z.strictObject({ kind: z.literal("silenceChannel"), atMs, channel }),
  z.strictObject({ kind: z.literal("noiseOnChannel"), atMs, channel }),
  z.strictObject({ kind: z.literal("clockJump"), atMs, jumpMs: z.number() }),
  z.strictObject({ kind: z.literal("malformedPacket"), atMs }),
  z.strictObject({ kind: z.literal("spikesLost"), presentationId }),
  z.strictObject({ kind: z.literal("markLost"), presentationId }),
  z.strictObject({ kind: z.literal("markDoubled"), presentationId }),
]);

export const eyeOptionsSchema = z.strictObject({
  sampleRateHz: z.union([z.literal(500), z.literal(1000)]).default(500).describe("Samples per second."),
  batchMs: z.number().min(1).max(200).default(20).describe("Time between batches, ms."),
  delayMs: z.number().min(0).max(100).default(4).describe("Age of the newest sample when it is delivered, ms."),
  engagement: z.number().min(0).max(1).default(0.92).describe("Probability that the animal looks at the spot when it appears."),
  breaksPerS: z.number().min(0).max(20).default(0.04).describe("Saccades away from the spot per second of fixation."),
  blinksPerS: z.number().min(0).max(5).default(0.02).describe("Blinks per second."),
  microsaccadesPerS: z.number().min(0).max(10).default(1.2).describe("Microsaccades per second of fixation."),
  driftSpreadDeg: z.number().min(0).max(1).default(0.07).describe("Spread of the gaze around the spot, degrees."),
});

export const syntheticRigOptionsSchema = z.strictObject({
  channelsPerArray: z.number().int().min(1).max(512).default(32).describe("Channels of each of the arrays V1, V4 and PIT."),
  silentChannels: z.number().int().min(0).default(2).describe("Channels without a spike."),
  noisyChannels: z.number().int().min(0).default(1).describe("Channels with line noise."),
  multiUnitShare: z.number().min(0).max(1).default(0.4).describe("Share of channels that hear several units."),
  layers: z.partialRecord(z.enum(areaNames), z.string()).default({}).describe("Encoder layer that an area reads; by default an early, a middle and the penultimate one."),
  gainSpread: z.number().min(0).max(1).default(0.15).describe("Standard deviation of the log gain that an array shares in a trial."),
  driftAmplitude: z.number().min(0).max(0.9).default(0.1).describe("Amplitude of the slow drift of a unit's gain."),
  driftPpm: z.number().min(-500).max(500).default(38).describe("How much faster the rig's clock runs than this computer's, ppm."),
  batchMs: z.number().min(1).max(1000).default(25).describe("Time between batches, ms."),
  delayMs: z.number().min(0).max(500).default(15).describe("Age of the newest data when they are delivered, ms."),
  displayLagMs: z.number().min(0).max(100).default(3).describe("From the flip to the light on the photodiode, ms."),
  photodiode: z.boolean().default(true).describe("Whether the rig has a photodiode on the screen."),
  lineFrequencyHz: z.union([z.literal(50), z.literal(60)]).default(50).describe("Frequency of the mains, Hz."),
  rewardMsMax: z.number().positive().max(2000).default(500).describe("Longest reward pulse, ms."),
  eye: eyeOptionsSchema.prefault({}),
  faults: z.array(rigFaultSchema).default([]).describe("Faults to inject."),
});

export type RigFault = z.infer<typeof rigFaultSchema>;
export type SyntheticRigOptions = z.infer<typeof syntheticRigOptionsSchema>;

export const defaultRigOptions: SyntheticRigOptions = syntheticRigOptionsSchema.parse({});
