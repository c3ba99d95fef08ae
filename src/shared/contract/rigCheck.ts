// The check of a rig before a session: it is opened and watched without a session, tried by hand, and its eye tracker calibrated. Knows nothing about
// drivers or layout.
import { z } from "zod";
import { displayConfig, responseConfig } from "./config.ts";
import { eyeCalibration, rigConfig } from "./rig.ts";
import { device } from "./state.ts";

export const rigOpenArgs = z.object({
  rig: rigConfig,
  response: responseConfig,
  display: displayConfig,
  /** Whose last session the rates are compared with. */
  subject: z.string().min(1),
  folder: z.string().nullable().default(null),
  /** Of the synthetic rig: the neurons that a session with this seed and this encoder would have; left out: some of its own. */
  neurons: z.object({ seed: z.number().int(), encoder: z.string().min(1) }).optional(),
}).strict();
export type RigOpenArgs = z.infer<typeof rigOpenArgs>;

export const rigChannel = z.object({
  name: z.string(), area: z.string(),
  /** Spikes/s since the check began, and in the last session of this subject on this rig; null where there is none. */
  rateHz: z.number(), lastRateHz: z.number().nullable(),
  /** "lost": it fired in the last session and is silent now; "new": the other way round; "rose", "fell": by more than twofold. */
  state: z.enum(["ok", "silent", "lost", "new", "rose", "fell"]),
});
export type RigChannel = z.infer<typeof rigChannel>;

export const calibrationState = z.object({
  state: z.enum(["showing", "fitted"]),
  model: z.enum(["affine", "quadratic"]),
  targets: z.array(z.object({ xDeg: z.number(), yDeg: z.number() })),
  /** The target that is shown; null once all are taken. */
  at: z.number().nullable(),
  /** How still the eye is while it looks at the target, in the tracker's units; null while it is not seen. */
  stillness: z.number().nullable(),
  /** Taken points by target; null where none was taken. */
  taken: z.array(z.object({ rawX: z.number(), rawY: z.number(), rawSd: z.number() }).nullable()),
  fit: eyeCalibration.nullable(),
  message: z.string(),
});
export type CalibrationState = z.infer<typeof calibrationState>;

/** What came back of a test of the marks. Delays: mark on the rig's clock less flip or sending, ms; null where nothing was matched. */
export const syncTestPart = z.object({
  what: z.enum(["flashes", "words"]),
  ok: z.boolean(), message: z.string(),
  sent: z.number(), seen: z.number(),
  /** Marks that belong to nothing that was sent. */
  extra: z.number(),
  delayMsMean: z.number().nullable(), delayMsSd: z.number().nullable(), delayMsMin: z.number().nullable(), delayMsMax: z.number().nullable(),
});
export type SyncTestPart = z.infer<typeof syncTestPart>;

/** A trial of a device by hand; ok is null while it runs. */
const trial = z.object({ ok: z.boolean().nullable(), message: z.string() });

export const rigState = z.object({
  open: z.boolean(),
  title: z.string(),
  /** How long it has been open, ms. */
  openMs: z.number(),
  devices: z.array(device),
  /** One line: fit for a session, or the first reason why not. */
  verdict: z.object({ level: z.enum(["ok", "warn", "fault", "off"]), message: z.string() }),
  channels: z.array(rigChannel),
  /** The session that the rates are compared with, by its baseline before images where there is one; null without one. */
  comparedWith: z.object({ file: z.string(), startedUtc: z.string(), of: z.enum(["baseline", "session"]) }).nullable(),
  /** Marks and words that the recording system sent, newest last. */
  marks: z.array(z.object({ atMs: z.number(), kind: z.string(), line: z.number(), word: z.number().nullable(), state: z.boolean() })),
  gaze: z.object({ xDeg: z.array(z.number()), yDeg: z.array(z.number()), rawX: z.number().nullable(), rawY: z.number().nullable(), seen: z.boolean(), canCalibrate: z.boolean(), isCalibrated: z.boolean() }),
  rewardTest: trial.nullable(),
  syncTest: trial.extend({ parts: z.array(syncTestPart) }).nullable(),
  calibration: calibrationState.nullable(),
});
export type RigState = z.infer<typeof rigState>;

export const eyeAction = z.discriminatedUnion("action", [
  z.object({ action: z.literal("begin"), points: z.union([z.literal(5), z.literal(9)]), reachDeg: z.number().min(1).max(20), model: z.enum(["affine", "quadratic"]) }).strict(),
  /** Takes the point that is shown: what the eye did in the last second. */
  z.object({ action: z.literal("take") }).strict(),
  z.object({ action: z.literal("skip") }).strict(),
  /** Shows the last point once more. */
  z.object({ action: z.literal("back") }).strict(),
  z.object({ action: z.literal("cancel") }).strict(),
  /** Gaze is by the fit from now on. */
  z.object({ action: z.literal("accept") }).strict(),
  /** Drift correction: the present gaze is the middle. */
  z.object({ action: z.literal("recentre") }).strict(),
]);
export type EyeAction = z.infer<typeof eyeAction>;
