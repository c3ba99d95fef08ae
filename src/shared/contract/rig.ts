// What a rig is made of: spikes, eye, reward and sync, each by its kind and options, with calibrations and limits; and the profile that keeps all
// of it under a name. Knows nothing about drivers or forms.
import { z } from "zod";

/** A device by its kind in a registry; the device parses its own options. */
export const deviceChoice = z.object({ kind: z.string().min(1), options: z.record(z.string(), z.unknown()).default({}) });
export type DeviceChoice = z.infer<typeof deviceChoice>;

/** What the tracker said while the subject looked at a point of known place. */
export const eyeCalibrationPoint = z.object({
  targetXDeg: z.number(), targetYDeg: z.number(),
  /** The tracker's own units, median over the fixation. */
  rawX: z.number(), rawY: z.number(),
  /** Spread of the samples that the median is of, in the tracker's units. */
  rawSd: z.number().min(0).default(0), samples: z.number().int().min(0).default(0),
});
export type EyeCalibrationPoint = z.infer<typeof eyeCalibrationPoint>;

/** From the tracker's units to degrees: xDeg = sum of x[k] * term k over 1, u, v (affine) or 1, u, v, uv, u^2, v^2 (quadratic), where u = (rawX - centreX) / scale, v = (rawY - centreY) / scale. */
export const eyeCalibration = z.object({
  model: z.enum(["affine", "quadratic"]),
  centreX: z.number(), centreY: z.number(), scale: z.number().positive(),
  x: z.array(z.number()).min(3).max(6), y: z.array(z.number()).min(3).max(6),
  points: z.array(eyeCalibrationPoint),
  /** Distance between point and fit, degrees, in the order of the points. */
  residualsDeg: z.array(z.number()),
  /** Points that the fit gave no weight. */
  rejected: z.array(z.number().int()).default([]),
  rmsDeg: z.number(),
  /** ISO 8601. */
  atUtc: z.string(),
});
export type EyeCalibration = z.infer<typeof eyeCalibration>;

export const eyeConfig = deviceChoice.extend({
  calibration: eyeCalibration.nullable().default(null),
  /** Samples this close to a blink are taken as part of it: the lid spoils them. It also delays all samples by so much. */
  blinkPadMs: z.number().min(0).max(200).default(20),
});
export type EyeConfig = z.infer<typeof eyeConfig>;

/** One weighing: so many pulses of that length gave so much water. */
export const rewardWeighing = z.object({ pulseMs: z.number().positive(), pulses: z.number().int().min(1), grams: z.number().min(0) });
export type RewardWeighing = z.infer<typeof rewardWeighing>;

export const weighingsMax = 32;

export const rewardConfig = deviceChoice.extend({
  /** Empty: the trial's rewardMlPerS is used. */
  calibration: z.array(rewardWeighing).max(weighingsMax).default([]),
  /** Of one session, ml; null = none. */
  sessionMlMax: z.number().positive().nullable().default(null),
  /** Of one subject and day, over all sessions, ml; null = none. */
  dayMlMax: z.number().positive().nullable().default(null),
});
export type RewardConfig = z.infer<typeof rewardConfig>;

export const syncConfig = deviceChoice.extend({
  /** The recording system sends the words back as strobes: an image whose word is another's does not count. */
  checkWords: z.boolean().default(false),
});
export type SyncConfig = z.infer<typeof syncConfig>;

/** "CH12" = all spikes of a channel, "CH12:2" = those of one sorted unit. */
export const unitName = z.string().trim().min(1).max(80);

/** Targets beside the channels that the source names: they get channel numbers after the source's own. */
export const channelsConfig = z.object({
  /** Channels whose sorted units are targets of their own, "CH12:1", "CH12:2"; ["*"] = all channels. */
  units: z.array(unitName).max(4096).default([]),
  /** Several channels or units taken as one. */
  merges: z.array(z.object({ name: z.string().trim().min(1).max(80), members: z.array(unitName).min(1).max(256) })).max(256).default([]),
});
export type ChannelsConfig = z.infer<typeof channelsConfig>;

export const rigConfig = z.object({
  /** A kind of the rig registry, e.g. "synthetic" or "open-ephys": where spikes come from. */
  kind: z.string().default("synthetic"),
  /** Options of that kind; parsed by the rig itself. */
  options: z.record(z.string(), z.unknown()).default({}),
  /** null = the rig's own where it has one (the synthetic rig); else none. Kind "none" = free viewing. */
  eye: eyeConfig.nullable().default(null),
  /** null = the rig's own where it has one; kind "none" = no reward. */
  reward: rewardConfig.nullable().default(null),
  /** Event codes to the recording system; null = none. */
  sync: syncConfig.nullable().default(null),
  channels: channelsConfig.prefault({}),
  /** A simulator behind this rig (`evoked rig sim`): it is told what the subject sees, and its eye and reward line are the rig's own. null = a real subject. */
  simulator: z.object({ host: z.string().min(1).default("127.0.0.1"), port: z.number().int().min(1).max(65_535), token: z.string().default("") }).nullable().default(null),
  /** What a stream that is lost, stands still or ends does to the session: trials wait until it is back, or the session is stopped. */
  onStreamLost: z.enum(["wait", "stop"]).default("wait"),
  /** Name of the profile that this was taken from; null = none. */
  profile: z.string().nullable().default(null),
});
export type RigConfig = z.infer<typeof rigConfig>;
export type RigConfigInput = z.input<typeof rigConfig>;

/** What a rig is called where its name is all that is kept of it. */
export function rigNameOf({ profile, kind }: Pick<RigConfig, "profile" | "kind">): string {
  return profile ?? kind;
}

export const rigProfileName = z.string().trim().min(1).max(60).regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]*$/, "expected letters, digits, spaces, . - or _, a letter or digit first");

export const rigProfileSchema = "evoked.rigProfile";
export const rigProfileVersion = 1;

/** A rig under a name, in a file of its own. */
export const rigProfile = z.object({
  schema: z.literal(rigProfileSchema),
  version: z.literal(rigProfileVersion),
  name: rigProfileName,
  /** Free text: room, headstage, who set it up. */
  notes: z.string().max(4000).default(""),
  rig: rigConfig,
  /** How onsets are had on this rig; left out: as the session says. */
  onset: z.object({ onsetFrom: z.enum(["auto", "mark", "flip"]), onsetTtlLine: z.number().int().min(0).max(255).nullable() }).optional(),
});
export type RigProfile = z.infer<typeof rigProfile>;

/** One line of the list of profiles. */
export interface RigProfileLine {
  readonly name: string;
  readonly file: string;
  /** e.g. "Open Ephys GUI, ISCAN, Arduino". */
  readonly summary: string;
  readonly changedUtc: string;
  /** Why it cannot be read; null otherwise. */
  readonly problem: string | null;
}
