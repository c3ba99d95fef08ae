// What a window knows about a session: one snapshot when it attaches, then decimated events. Never raw spikes.
// Knows nothing about transport or layout. Times are ms since the session started unless the name says otherwise.
import { z } from "zod";
import { planState, stepReport, stepView } from "./plan.ts";

const level = z.enum(["ok", "warn", "fault", "off"]);
export type Level = z.infer<typeof level>;

export const phase = z.enum(["idle", "starting", "running", "paused", "stopping", "finished", "failed", "review"]);
export type Phase = z.infer<typeof phase>;

export const channelState = z.object({
  index: z.number(), name: z.string(), area: z.string(),
  /** Place in its area's grid, 0-based. */
  row: z.number(), column: z.number(),
});
export type ChannelState = z.infer<typeof channelState>;

export const channelLive = z.object({
  /** Spikes/s over the last second, all units; by channel index. */
  rateHz: z.array(z.number()),
  /** Mean rate in the response window over the last presentations, spikes/s; by channel index. */
  evokedHz: z.array(z.number()),
  /** Selectivity: variance of the response over images against its trial noise, 0..1; by channel index. */
  tuning: z.array(z.number()),
  status: z.array(z.enum(["ok", "silent", "noisy", "unknown"])),
});
export type ChannelLive = z.infer<typeof channelLive>;

export const curvePoint = z.object({
  thread: z.number(), generation: z.number(),
  evolvedMean: z.number(), evolvedSem: z.number(), evolvedBest: z.number(), evolvedCount: z.number(),
  referenceMean: z.number().nullable(), referenceSem: z.number().nullable(), referenceCount: z.number(),
  stepSize: z.number(), missing: z.number(),
});
export type CurvePoint = z.infer<typeof curvePoint>;

export const galleryItem = z.object({
  thread: z.number(), generation: z.number(), imageId: z.number(),
  role: z.enum(["best", "mean", "newest", "reference"]),
  rateHz: z.number(), label: z.string(),
});
export type GalleryItem = z.infer<typeof galleryItem>;

export const device = z.object({
  id: z.string(), label: z.string(), level,
  /** The one figure, with its unit, e.g. "9,420 spikes/s". */
  value: z.string(),
  detail: z.string(),
  /** Age of the newest data; null where the device does not stream. */
  ageMs: z.number().nullable(),
});
export type Device = z.infer<typeof device>;

export const logEntry = z.object({ id: z.number(), atMs: z.number(), severity: z.enum(["info", "warn", "fault"]), code: z.string(), message: z.string() });
export type LogEntry = z.infer<typeof logEntry>;

/** A condition that is wrong now. It leaves the list when it is over; its begin and end stay in the log. */
export const alarm = z.object({ code: z.string(), severity: z.enum(["warn", "fault"]), sinceMs: z.number(), message: z.string(), count: z.number() });
export type Alarm = z.infer<typeof alarm>;

export const trialsState = z.object({
  correct: z.number(), broken: z.number(), noFixation: z.number(), other: z.number(),
  /** Newest last, at most 40. */
  recent: z.array(z.enum(["correct", "brokeFixation", "noFixation", "stopped", "displayFault"])),
});

export const rewardState = z.object({ pulses: z.number(), manualPulses: z.number(), totalMs: z.number(), totalMl: z.number(), pulseMs: z.number(),
  /** What this subject has had today over all sessions, and the limits, ml; left out where the day is not counted. */
  dayMl: z.number().optional(), dayMlMax: z.number().nullable().optional(), sessionMlMax: z.number().nullable().optional(),
});

export const progressState = z.object({
  generation: z.number(), generations: z.number(),
  imageInBlock: z.number(), imagesInBlock: z.number(),
  presentations: z.number(), excluded: z.number(),
  elapsedMs: z.number(), remainingMs: z.number().nullable(),
});

export const sessionIdentity = z.object({
  id: z.string(), file: z.string(), subject: z.string(), startedUtc: z.string(), seed: z.number(),
  rig: z.string(), generator: z.string(), optimizer: z.string(), provider: z.string(),
});

export const live = z.object({
  phase, progress: progressState, trials: trialsState, reward: rewardState,
  channels: channelLive, devices: z.array(device), alarms: z.array(alarm),
  targets: z.array(z.number()),
  /** What the trial controller is doing, e.g. "waitFixation", "hold", "images", "interTrial". */
  trialState: z.string(),
  /** What is left of the break under way, ms; null where there is none. */
  breakLeftMs: z.number().nullable().default(null),
  plan: planState,
});
export type Live = z.infer<typeof live>;

/** How long ago each stream last said something when this was taken, ms; null = never. */
export const streamAges = z.object({
  live: z.number().nullable(), eye: z.number().nullable(), screen: z.number().nullable(), presentation: z.number().nullable(), generation: z.number().nullable(),
  view: z.number().nullable(), log: z.number().nullable(), report: z.number().nullable(), timing: z.number().nullable(),
});
export type StreamAges = z.infer<typeof streamAges>;

/** How the display has kept time since the session began. Once a second while images are shown. */
export const frameTiming = z.object({
  /** Presentations whose frames are known, and those of them with a late frame or another number of frames than planned. */
  images: z.number(), missed: z.number(),
  refreshHz: z.number().nullable(),
  /** Flip less its planned time, ms, of the last images, newest last; at most 150. */
  deviationMs: z.array(z.number()),
  /** Of the same images: whether frames were missed. */
  wasMissed: z.array(z.boolean()),
  /** Of all images: the largest deviation of either sign, ms. */
  deviationMsMax: z.number(),
  /** From the flip to the light as the rig saw it: images by lag, in bins of `binMs` from `fromMs` on; those beyond are in the outer bins. */
  lag: z.object({ fromMs: z.number(), binMs: z.number(), counts: z.array(z.number()), n: z.number(), meanMs: z.number(), sdMs: z.number() }),
});
export type FrameTiming = z.infer<typeof frameTiming>;

export const snapshot = z.object({
  phase,
  session: sessionIdentity.nullable(),
  channels: z.array(channelState),
  response: z.object({ windowStartMs: z.number(), windowEndMs: z.number(), onMs: z.number(), offMs: z.number(), fixationWindowDeg: z.number() }),
  live: live.nullable(),
  curve: z.array(curvePoint),
  gallery: z.array(galleryItem),
  log: z.array(logEntry),
  /** The newest view of every step that has begun, in order. */
  views: z.array(stepView),
  /** Of every step that has ended, in order. */
  stepReports: z.array(stepReport),
  /** How every thread's evolution went, at its end: empty before. */
  reports: z.array(z.object({ thread: z.number(), verdict: z.enum(["rose", "unclear", "endedBelowStart", "noData"]), sentences: z.array(z.string()) })),
  /** Why the last session failed or stopped early; null otherwise. */
  failure: z.string().nullable(),
  /** null before an image was shown, and of a recorded session. */
  timing: frameTiming.nullable().default(null),
  /** null of a recorded session. */
  agesMs: streamAges.nullable().default(null),
});
export type Snapshot = z.infer<typeof snapshot>;

/** One image's response, for raster and PSTH of the target and the mirror of the subject's screen. */
export const presentationEvent = z.object({
  presentationId: z.number(), imageId: z.number(), thread: z.number().nullable(), kind: z.string(), generation: z.number().nullable(),
  channel: z.number(),
  /** Target's spikes relative to the onset, -50..250 ms. */
  spikesMs: z.array(z.number()),
  rateHz: z.number().nullable(), excluded: z.string().nullable(), onsetSource: z.string().nullable(),
});
export type PresentationEvent = z.infer<typeof presentationEvent>;

export const screenEvent = z.object({ imageId: z.number().nullable(), fixation: z.boolean(), imageInTrial: z.number(), imagesInTrial: z.number() });
export type ScreenEvent = z.infer<typeof screenEvent>;

export const eyeEvent = z.object({
  /** Gaze samples since the last event, oldest first, at most ~60/s. */
  xDeg: z.array(z.number()), yDeg: z.array(z.number()), valid: z.boolean(), inWindow: z.boolean(), holdFraction: z.number().nullable(),
});
export type EyeEvent = z.infer<typeof eyeEvent>;

export const generationEvent = z.object({ point: curvePoint, gallery: z.array(galleryItem) });

export const sessionSummary = z.object({
  file: z.string(), id: z.string(), subject: z.string(), startedUtc: z.string(), durationS: z.number(),
  rig: z.string(),
  /** The protocols of its steps in order, with ", " between: "rfMapping, diverseSet, evolution". */
  protocol: z.string(),
  generations: z.number(), presentations: z.number(), target: z.string(),
  evolvedLast: z.number().nullable(), referenceLast: z.number().nullable(),
  state: z.enum(["finished", "interrupted", "recording", "unreadable"]),
  thumbnailImageId: z.number().nullable(), sizeBytes: z.number(),
  /** Why it cannot be read; null otherwise. */
  problem: z.string().nullable(),
});
export type SessionSummary = z.infer<typeof sessionSummary>;

export const replayStatus = z.object({
  file: z.string(), playing: z.boolean(), speed: z.number(), jumped: z.boolean(),
  positionMs: z.number(), durationMs: z.number(), generation: z.number(), generations: z.number(), presentations: z.number(), atEnd: z.boolean(),
  /** Where a seek under way goes; null at rest. */
  seekingToMs: z.number().nullable(),
  /** The first record that the replay makes differently from the recording; null while all is the same. */
  difference: z.string().nullable(),
});
export type ReplayStatus = z.infer<typeof replayStatus>;

export const check = z.object({ id: z.string(), label: z.string(), level, message: z.string() });
export type Check = z.infer<typeof check>;

export const optionSpec = z.object({
  name: z.string(), unit: z.string(), default: z.union([z.number(), z.string(), z.boolean(), z.null()]),
  min: z.number().optional(), max: z.number().optional(), choices: z.array(z.string()).optional(), description: z.string(),
  /** The default in words, where it follows other settings. */
  defaultRule: z.string().optional(),
});
export type OptionSpec = z.infer<typeof optionSpec>;

const deviceKinds = z.array(z.object({ kind: z.string(), title: z.string(), description: z.string(), options: z.array(optionSpec) }));

export const appDescription = z.object({
  version: z.string(), host: z.enum(["electron", "web", "cli"]), sessionFolder: z.string(),
  rigs: deviceKinds,
  /** What can stand beside the spikes of a rig. */
  eyes: deviceKinds, rewards: deviceKinds, syncs: deviceKinds,
  optimizers: z.array(z.object({ name: z.string(), title: z.string(), whenToUse: z.string(), options: z.array(optionSpec) })),
  models: z.array(z.object({
    id: z.string(), kind: z.string(), title: z.string(), description: z.string(), detail: z.string(), problem: z.string().nullable(),
    /** Of an encoder, from the input on, without its logits; `penultimate` is the one that linear units read. */
    layers: z.array(z.string()), penultimate: z.string().nullable(),
  })),
  provider: z.string(),
  /** false for a watching window: it may look, not act. */
  mayOperate: z.boolean(),
});
export type AppDescription = z.infer<typeof appDescription>;
