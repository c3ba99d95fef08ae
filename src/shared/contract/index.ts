// The contract between windows and engine: method -> argument schema and result type; event -> payload schema.
// Preload, web host, engine registration and renderer client are derived from these two tables. Knows nothing about transport.
import { z } from "zod";
import { sessionConfig } from "./config.ts";
import * as diverse from "./diverseSet.ts";
import * as display from "./display.ts";
import * as insilico from "./insilico.ts";
import { modelFetch } from "./models.ts";
import type { ModelsOverview, ModelVerdict } from "./models.ts";
import * as plan from "./plan.ts";
import * as rig from "./rig.ts";
import * as rigChecks from "./rigCheck.ts";
import * as state from "./state.ts";
import { stimulusCommand, stimulusReport } from "./stimulus.ts";
import type { StimulusPixels } from "./stimulus.ts";
import * as tools from "./tools.ts";
import type { Fault, Result } from "../result.ts";

export * from "./config.ts";
export * from "./evolution.ts";
export * from "./diverseSet.ts";
export * from "./display.ts";
export * from "./externalTask.ts";
export * from "./insilico.ts";
export * from "./models.ts";
export * from "./plan.ts";
export * from "./rig.ts";
export * from "./rigCheck.ts";
export * from "./state.ts";
export * from "./stimulus.ts";
export * from "./tools.ts";

/** Who may call: a watcher only looks, an operator acts, the stimulus window reports. */
export type Access = "view" | "operate" | "stimulus";

interface Method<A extends z.ZodType, R> {
  readonly args: A;
  readonly access: Access;
  /** Only a type; never present at run time. */
  readonly result?: R;
}

function method<R>() {
  return <A extends z.ZodType>(access: Access, args: A): Method<A, R> => ({ args, access });
}

const none = z.object({}).strict();
const sessionFile = z.object({ file: z.string().min(1) }).strict();
/** file null = the running session. */
const imageRef = z.object({ file: z.string().nullable(), imageId: z.number().int() }).strict();

export const methods = {
  "app.describe": method<state.AppDescription>()("view", none),
  /** Host time now, ns: a window calls it a few times and keeps the answer with the shortest round trip. */
  "clock.ping": method<{ hostNs: number }>()("view", none),

  "session.snapshot": method<state.Snapshot>()("view", none),
  /** Last presentations of one channel of the running session, newest last, for raster and PSTH. */
  "session.responses": method<readonly state.PresentationEvent[]>()("view", z.object({ channel: z.number().int().min(0), last: z.number().int().min(1).max(500) }).strict()),
  "session.check": method<readonly state.Check[]>()("operate", z.object({ config: sessionConfig }).strict()),
  "session.start": method<{ file: string }>()("operate", z.object({ config: sessionConfig }).strict()),
  "session.pause": method<null>()("operate", none),
  "session.resume": method<null>()("operate", none),
  "session.stop": method<null>()("operate", none),
  /** Back to the start screen after a session has ended. */
  "session.dismiss": method<null>()("operate", none),
  /** From the next generation on, this channel is what a thread evolves. */
  "session.setTarget": method<null>()("operate", z.object({ thread: z.number().int().min(0), channel: z.number().int().min(0) }).strict()),
  /** Units were sorted anew on these channels (by name; null = all): their targets begin anew, and what this block measured of them is shown again. */
  "session.unitsResorted": method<{ replaced: number }>()("operate", z.object({ channels: z.array(z.string().min(1)).max(4096).nullable() }).strict()),
  "session.skipGeneration": method<null>()("operate", none),
  /** The rest of the block under way (of an evolution: of the generation) is given up as missing. */
  "session.skipBlock": method<null>()("operate", none),
  /** The step under way ends here, with a report on what it has. */
  "session.skipStep": method<null>()("operate", none),
  /** A copy of a step that has begun runs after the one under way; step null = the one under way. */
  "session.repeatStep": method<null>()("operate", z.object({ step: z.number().int().min(0).nullable().default(null) }).strict()),
  /** Images for the first step, running or to come, that takes them. Answers how many wait now. */
  "session.queueImages": method<{ queued: number }>()("operate", plan.queueImagesArgs),
  /** Ends the subject's break now; changes nothing where there is none. */
  "session.endBreak": method<null>()("operate", none),
  "session.note": method<null>()("operate", z.object({ text: z.string().trim().min(1).max(4000) }).strict()),
  "eye.recentre": method<null>()("operate", none),
  "reward.pulse": method<{ pulseMs: number }>()("operate", z.object({ pulseMs: z.number().int().min(1).max(1000) }).strict()),
  "reward.setPulse": method<null>()("operate", z.object({ pulseMs: z.number().int().min(0).max(1000) }).strict()),

  "plans.list": method<readonly plan.PlanSummary[]>()("view", none),
  "plans.load": method<plan.PlanFile>()("view", z.object({ name: z.string().min(1) }).strict()),
  /** Writes it to the folder of plans, over an older one of that name. */
  "plans.save": method<plan.PlanSummary>()("operate", z.object({ plan: plan.planFile }).strict()),
  "plans.remove": method<null>()("operate", z.object({ name: z.string().min(1) }).strict()),
  /** Every protocol that a plan may have, those of the lab's own folder included. */
  "protocols.list": method<readonly plan.ProtocolDescription[]>()("view", none),

  "sessions.list": method<readonly state.SessionSummary[]>()("view", none),
  "sessions.open": method<state.Snapshot>()("view", sessionFile),
  /** Responses of one channel in a recorded session, in order. generation null = all. */
  "sessions.responses": method<readonly state.PresentationEvent[]>()("view", z.object({ file: z.string().min(1), channel: z.number().int().min(0), generation: z.number().int().nullable(), last: z.number().int().min(1).max(2000) }).strict()),
  "sessions.resume": method<{ file: string }>()("operate", sessionFile),
  /** A recorded session as it ran, for this window alone: stands at its beginning. `replay` and `replayed` events follow. */
  "replay.open": method<state.Snapshot>()("view", sessionFile),
  "replay.control": method<null>()("view", z.discriminatedUnion("action", [
    /** speed 1 = real time; 0 = as fast as the machine allows. */
    z.object({ action: z.literal("play"), speed: z.number().min(0).max(1000) }).strict(),
    z.object({ action: z.literal("pause") }).strict(),
    z.object({ action: z.literal("step"), unit: z.enum(["presentation", "generation"]) }).strict(),
    z.object({ action: z.literal("seek"), positionMs: z.number().min(0) }).strict(),
    z.object({ action: z.literal("close") }).strict(),
  ])),
  /** Where the replay of this window stands, as a console: after a seek. */
  "replay.snapshot": method<state.Snapshot>()("view", none),
  /** Last responses of the target up to where the replay of this window stands. */
  "replay.responses": method<readonly state.PresentationEvent[]>()("view", z.object({ channel: z.number().int().min(0), last: z.number().int().min(1).max(500) }).strict()),

  "sessions.timeline": method<tools.SessionTimeline>()("view", sessionFile),
  "sessions.notes": method<tools.SessionNotes>()("view", sessionFile),
  /** Adds a note afterwards. */
  "sessions.note": method<tools.SessionNotes>()("operate", z.object({ file: z.string().min(1), text: z.string().trim().min(1).max(4000) }).strict()),
  /** Takes over the later notes of another copy of the session. */
  "sessions.mergeNotes": method<tools.SessionNotes>()("operate", z.object({ file: z.string().min(1), from: z.string().min(1) }).strict()),
  /** The recorded responses scored otherwise. */
  "sessions.whatIf": method<tools.WhatIfCurves>()("operate", tools.whatIfArgs),
  /** Long work on recorded sessions, one job after the other; `job` events tell how far it is. */
  "sessions.verify": method<{ jobId: string }>()("operate", tools.verifyArgs),
  "sessions.export": method<{ jobId: string }>()("operate", tools.exportArgs),
  "sessions.import": method<{ jobId: string }>()("operate", tools.importArgs),
  "sessions.cancelJob": method<null>()("operate", z.object({ jobId: z.string() }).strict()),
  /** Newest first. */
  "sessions.jobs": method<readonly tools.Job[]>()("view", none),

  /** For looking at: of a running session JPEG, a fifth of the bytes on the way to a window; of a recorded one the PNG of the file, exact. */
  "image.get": method<{ widthPx: number; heightPx: number; mime: "image/png" | "image/jpeg"; base64: string; rateHz: number | null; label: string }>()("view", imageRef),
  /** All images of one generation, best first, from the running session (file null) or a recorded one. */
  "images.ofGeneration": method<readonly state.GalleryItem[]>()("view", z.object({ file: z.string().nullable(), thread: z.number().int().min(0), generation: z.number().int().min(0) }).strict()),

  /** What is installed, what is missing, and what the analyses need. */
  /** Neuron models of every unit of a recorded session; kept beside it. */
  "insilico.fit": method<insilico.SessionFitView>()("operate", insilico.fitArgs),
  /** The newest fit of a session; null where there is none. */
  "insilico.storedFit": method<insilico.SessionFitView | null>()("view", sessionFile),
  /** Starts an ablation analysis; one runs at a time. `insilico` events tell how far it is. */
  "insilico.start": method<{ id: string }>()("operate", insilico.sweepArgs),
  "insilico.pause": method<null>()("operate", insilico.sweepRef),
  /** Goes on with a paused or stopped one, also after the app was closed. */
  "insilico.resume": method<null>()("operate", insilico.sweepRef),
  "insilico.stop": method<null>()("operate", insilico.sweepRef),
  /** Newest first. */
  "insilico.list": method<readonly insilico.SweepLine[]>()("view", none),
  /** Everything that is there by now. */
  "insilico.results": method<insilico.SweepView>()("view", insilico.sweepRef),
  "insilico.image": method<{ widthPx: number; heightPx: number; pngBase64: string }>()("view", insilico.sweepImageRef),

  /** Rigs that were saved under a name, by name. */
  "rigs.list": method<readonly rig.RigProfileLine[]>()("view", none),
  "rigs.load": method<rig.RigProfile>()("view", z.object({ name: rig.rigProfileName }).strict()),
  /** Writes the profile; one of the same name is replaced. */
  "rigs.save": method<rig.RigProfileLine>()("operate", z.object({ profile: rig.rigProfile }).strict()),
  /** Opens a rig without a session, to check it; `rig` events follow four times a second. Closed by `rig.close`, or when a session starts. */
  "rig.open": method<rigChecks.RigState>()("operate", rigChecks.rigOpenArgs),
  "rig.close": method<null>()("operate", none),
  "rig.state": method<rigChecks.RigState | null>()("view", none),
  /** One pulse, to see it. */
  "rig.reward": method<null>()("operate", z.object({ pulseMs: z.number().int().min(1).max(1000), pulses: z.number().int().min(1).max(200).default(1) }).strict()),
  /** A word out; it is told whether it comes back. */
  "rig.sync": method<null>()("operate", none),
  "rig.eye": method<null>()("operate", rigChecks.eyeAction),
  "rigs.remove": method<null>()("operate", z.object({ name: rig.rigProfileName }).strict()),

  /** Builds a diverse set into a folder; one at a time, held while a session runs. `diverseSet` events follow. */
  "diverseSet.build": method<null>()("operate", diverse.diverseSetArgs),
  "diverseSet.pause": method<null>()("operate", none),
  "diverseSet.resume": method<null>()("operate", none),
  /** Stops the build; the same build goes on from what was computed. */
  "diverseSet.stop": method<null>()("operate", none),
  /** The build under way, or the last one; null where there was none. */
  "diverseSet.status": method<diverse.DiverseSetLine | null>()("view", none),
  /** A finished set with its pictures. */
  "diverseSet.open": method<diverse.DiverseSetView>()("view", z.object({ folder: z.string().trim().min(1) }).strict()),

  "models.list": method<ModelsOverview>()("view", none),
  /** Opens an installed model and runs a probe batch. */
  "models.verify": method<ModelVerdict>()("operate", z.object({ id: z.string().min(1) }).strict()),
  /** Models run on this execution provider from now on, "auto" for the best of the machine; not while a session runs. */
  "models.chooseProvider": method<null>()("operate", z.object({ provider: z.string().min(1).max(40) }).strict()),
  /** Begins to download and convert a published model; `modelFetch` events follow. One at a time, and none while a session runs. */
  "models.fetch": method<null>()("operate", z.object({ id: z.string().min(1) }).strict()),
  /** Stops the download; what has come is kept for the next try. */
  "models.stopFetch": method<null>()("operate", none),

  "stimulus.attach": method<null>()("stimulus", z.object({ widthPx: z.number().int().positive(), heightPx: z.number().int().positive(), refreshHz: z.number().positive(), window: display.windowFacts.nullable().default(null) }).strict()),
  /** The stimulus window as it stands: open or not, how large, how fast. */
  "display.status": method<display.DisplayStatus>()("view", none),
  /** Begins a test of the display in the stimulus window; none while a session runs. `display.lastTest` tells how it goes. */
  "display.test": method<null>()("operate", display.displayTestArgs),
  "display.lastTest": method<display.DisplayTestState>()("view", none),
  /** Pixels of an image that the window was told to prepare and that was not released since. Error: `notPrepared`. */
  "stimulus.pixels": method<StimulusPixels>()("stimulus", z.object({ imageId: z.number().int() }).strict()),
  "stimulus.report": method<null>()("stimulus", z.object({ reports: z.array(stimulusReport) }).strict()),
} as const;

export const events = {
  /** The phase or the session changed: fetch a new snapshot. */
  session: z.object({ phase: state.phase }),
  /** Ten times a second while a session runs. */
  live: state.live,
  eye: state.eyeEvent,
  screen: state.screenEvent,
  presentation: state.presentationEvent,
  generation: state.generationEvent,
  log: state.logEntry,
  frameTiming: state.frameTiming,
  /** What a step has so far: at most once a second while it runs. */
  stepView: plan.stepView,
  /** A step ended. */
  stepReport: plan.stepReport,
  /** Only to the window that replays: where it stands. After a seek (`jumped`) it fetches `replay.snapshot`. */
  replay: state.replayStatus,
  /** Only to the window that replays: an event of the recorded session, as windows got it then. */
  replayed: z.object({ event: z.enum(["live", "eye", "screen", "presentation", "generation", "log", "session", "stepView", "stepReport", "frameTiming"]), payload: z.unknown() }),
  /** A download of a model: a few times a second, then once with its end. */
  modelFetch,
  /** A build of a diverse set moved on or ended. */
  diverseSet: diverse.diverseSetLine,
  /** An ablation analysis moved on, ended or failed. */
  insilico: insilico.sweepLine,
  /** A rig that is open without a session, four times a second; null once it is closed. */
  rig: rigChecks.rigState.nullable(),
  /** Work on recorded sessions went on or ended. */
  job: tools.job,
  /** Only to a window that reads more slowly than it is told: states that were replaced by newer ones before it got them. */
  linkSlow: z.object({ skipped: z.number() }),
  /** Only to the attached stimulus window. */
  stimulus: stimulusCommand,
} as const;

export type Methods = typeof methods;
export type MethodName = keyof Methods;
export type MethodArgs<M extends MethodName> = z.infer<Methods[M]["args"]>;
/** What a caller may leave out has a default. */
export type MethodInput<M extends MethodName> = z.input<Methods[M]["args"]>;
export type MethodResult<M extends MethodName> = NonNullable<Methods[M]["result"]> | Extract<Methods[M]["result"], null>;

export type EventName = keyof typeof events;
export type EventPayload<E extends EventName> = z.infer<(typeof events)[E]>;

/** One handler for every method: a missing one is a compile error. */
export type Handlers<Caller> = { readonly [M in MethodName]: (args: MethodArgs<M>, caller: Caller) => Promise<Result<MethodResult<M>, Fault>> };

/** What a window holds, whatever carries it. */
export interface EngineClient {
  call<M extends MethodName>(method: M, args: MethodInput<M>): Promise<Result<MethodResult<M>, Fault>>;
  on<E extends EventName>(event: E, listener: (payload: EventPayload<E>) => void): () => void;
  /** Link to the engine: false while it is down; windows show it and try again by themselves. */
  onLink(listener: (up: boolean) => void): () => void;
}

/** Frames on the wire (WebSocket text or MessagePort data). */
export type ClientFrame = { readonly id: number; readonly method: string; readonly args: unknown };
export type EngineFrame =
  | { readonly id: number; readonly result: Result<unknown, Fault> }
  | { readonly event: EventName; readonly payload: unknown };
