// An engine with nothing behind it, for tests of dispatch, links and hosts. Knows nothing about rigs, models or sessions.
import { emptyPlan, planFile, sessionConfig } from "../../../src/shared/contract/index.ts";
import { FaultError, fault, ok } from "../../../src/shared/result.ts";
import type { Caller, Engine, EngineEvent } from "../../../src/engine/engineTypes.ts";
import type { Handlers, Live, Phase, Snapshot } from "../../../src/shared/contract/index.ts";

export interface StandIn extends Engine {
  emit(event: EngineEvent): void;
  readonly gone: readonly string[];
  readonly calls: readonly { readonly method: string; readonly caller: Caller }[];
  readonly closed: () => number;
}

/** Notes steer it: "bug" throws, "fault" throws a FaultError, "die" ends the process, "flood" sends many `live` events, "print" prints. */
export function aStandInEngine(): StandIn {
  const listeners = new Set<(event: EngineEvent) => void>();
  const gone: string[] = [];
  const calls: { method: string; caller: Caller }[] = [];
  let phase: Phase = "idle";
  let stimulus: string | null = null;
  let closed = 0;
  const emit = (event: EngineEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const enter = (next: Phase): void => {
    phase = next;
    emit({ event: "session", payload: { phase }, callerId: null });
  };
  const noted = <T>(method: string, caller: Caller, value: T): Promise<{ readonly ok: true; readonly value: T }> => {
    calls.push({ method, caller });
    return Promise.resolve(ok(value));
  };
  const snapshot = (): Snapshot => ({
    phase, session: null, channels: [], response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 150, fixationWindowDeg: 1 },
    live: null, curve: [], gallery: [], log: [], reports: [], views: [], stepReports: [], failure: null, timing: null, agesMs: null,
  });
  const handlers: Handlers<Caller> = {
    "app.describe": (_, caller) => noted("app.describe", caller, { version: "0.0.0", host: "web", sessionFolder: "sessions", rigs: [], eyes: [], rewards: [], syncs: [], optimizers: [], models: [], provider: "cpu", mayOperate: caller.access.includes("operate") }),
    "clock.ping": (_, caller) => noted("clock.ping", caller, { hostNs: 1 }),
    "session.snapshot": (_, caller) => noted("session.snapshot", caller, snapshot()),
    "session.responses": (_, caller) => noted("session.responses", caller, []),
    "session.check": (_, caller) => noted("session.check", caller, []),
    "session.start": (args, caller) => {
      enter("running");
      return noted("session.start", caller, { file: `${args.config.subject.id}.evoked` });
    },
    "session.pause": (_, caller) => noted("session.pause", caller, null),
    "session.resume": (_, caller) => noted("session.resume", caller, null),
    "session.stop": (_, caller) => {
      enter("finished");
      return noted("session.stop", caller, null);
    },
    "session.dismiss": (_, caller) => noted("session.dismiss", caller, null),
    "session.setTarget": (_, caller) => noted("session.setTarget", caller, null),
    "session.unitsResorted": (_, caller) => noted("session.unitsResorted", caller, { replaced: 0 }),
    "session.endBreak": (_, caller) => noted("session.endBreak", caller, null),
    "session.skipGeneration": (_, caller) => noted("session.skipGeneration", caller, null),
    "session.skipBlock": (_, caller) => noted("session.skipBlock", caller, null),
    "session.skipStep": (_, caller) => noted("session.skipStep", caller, null),
    "session.repeatStep": (_, caller) => noted("session.repeatStep", caller, null),
    "session.queueImages": (args, caller) => noted("session.queueImages", caller, { queued: args.images.length }),
    "plans.list": (_, caller) => noted("plans.list", caller, []),
    "plans.load": (args, caller) => noted("plans.load", caller, planFile.parse({ name: args.name, steps: [{ protocol: "evolution" }] })),
    "plans.save": (args, caller) => noted("plans.save", caller, { name: args.plan.name, description: "", file: "", builtIn: false, protocols: [], problem: null }),
    "plans.remove": (_, caller) => noted("plans.remove", caller, null),
    "protocols.list": (_, caller) => noted("protocols.list", caller, []),
    "session.note": async (args, caller) => {
      switch (args.text) {
        case "bug":
          throw new Error("a stand-in bug");
        case "fault":
          throw new FaultError({ code: "standInFault", message: "expected a fault, got one" });
        case "die":
          console.error("Error: the stand-in was told to die");
          process.exit(134);
        case "uncaught":
          setTimeout(() => { throw new Error("nobody caught this"); }, 0);
          break;
        case "print":
          console.log("the stand-in prints");
          break;
        case "flood":
          for (let n = 0; n < 2000; n++) emit({ event: "live", payload: aLive(n), callerId: null });
          break;
        case "stimulus":
          if (stimulus !== null) emit({ event: "stimulus", payload: { kind: "fixation", visible: true }, callerId: stimulus });
          break;
        case "refuse":
          return fault("refused", "expected another note");
      }
      return await noted("session.note", caller, null);
    },
    "eye.recentre": (_, caller) => noted("eye.recentre", caller, null),
    "reward.pulse": (args, caller) => noted("reward.pulse", caller, { pulseMs: args.pulseMs }),
    "reward.setPulse": (_, caller) => noted("reward.setPulse", caller, null),
    "sessions.list": (_, caller) => noted("sessions.list", caller, []),
    "sessions.open": (_, caller) => noted("sessions.open", caller, snapshot()),
    "sessions.responses": (_, caller) => noted("sessions.responses", caller, []),
    "sessions.resume": (args, caller) => noted("sessions.resume", caller, { file: args.file }),
    "replay.open": (_, caller) => noted("replay.open", caller, snapshot()),
    "replay.control": (_, caller) => noted("replay.control", caller, null),
    "replay.snapshot": (_, caller) => noted("replay.snapshot", caller, snapshot()),
    "replay.responses": (_, caller) => noted("replay.responses", caller, []),
    "sessions.timeline": (_, caller) => noted("sessions.timeline", caller, { durationMs: 0, generations: [], presentationsMs: [], resumedMs: [], notReplayable: null, steps: [] }),
    "sessions.notes": (_, caller) => noted("sessions.notes", caller, { recorded: [], later: [] }),
    "sessions.note": (_, caller) => noted("sessions.note", caller, { recorded: [], later: [] }),
    "sessions.mergeNotes": (_, caller) => noted("sessions.mergeNotes", caller, { recorded: [], later: [] }),
    "sessions.whatIf": (_, caller) => noted("sessions.whatIf", caller, { windowStartMs: 70, windowEndMs: 170, target: 0, generations: [], surrogate: null }),
    "sessions.verify": (_, caller) => noted("sessions.verify", caller, { jobId: "1" }),
    "sessions.export": (_, caller) => noted("sessions.export", caller, { jobId: "1" }),
    "sessions.import": (_, caller) => noted("sessions.import", caller, { jobId: "1" }),
    "sessions.cancelJob": (_, caller) => noted("sessions.cancelJob", caller, null),
    "sessions.jobs": (_, caller) => noted("sessions.jobs", caller, []),
    "image.get": (_, caller) => noted("image.get", caller, { widthPx: 1, heightPx: 1, mime: "image/png", base64: "", rateHz: null, label: "" }),
    "images.ofGeneration": (_, caller) => noted("images.ofGeneration", caller, []),
    "insilico.fit": (_, caller) => noted("insilico.fit", caller, { file: "", encoder: "", layer: "", method: "pls", images: 0, presentations: 0, kinds: [], consistentPositive: 0, consistentNegative: 0, features: 0, bestUnit: null, units: [], report: "" }),
    "insilico.storedFit": (_, caller) => noted("insilico.storedFit", caller, null),
    "insilico.start": (_, caller) => noted("insilico.start", caller, { id: "1" }),
    "insilico.pause": (_, caller) => noted("insilico.pause", caller, null),
    "insilico.resume": (_, caller) => noted("insilico.resume", caller, null),
    "insilico.stop": (_, caller) => noted("insilico.stop", caller, null),
    "diverseSet.build": (_, caller) => noted("diverseSet.build", caller, null),
    "diverseSet.pause": (_, caller) => noted("diverseSet.pause", caller, null),
    "diverseSet.resume": (_, caller) => noted("diverseSet.resume", caller, null),
    "diverseSet.stop": (_, caller) => noted("diverseSet.stop", caller, null),
    "diverseSet.status": (_, caller) => noted("diverseSet.status", caller, null),
    "diverseSet.open": async () => fault("diverseUnreadable", "This engine is a stand-in: it has no sets."),
    "insilico.list": (_, caller) => noted("insilico.list", caller, []),
    "insilico.results": async () => fault("analysisUnknown", "no analysis"),
    "insilico.image": async () => fault("noImage", "no image"),
    "rigs.list": (_, caller) => noted("rigs.list", caller, []),
    "rigs.load": async () => fault("noProfile", "The stand-in has no rig profiles."),
    "rigs.save": async () => fault("noProfile", "The stand-in has no rig profiles."),
    "rig.open": async () => fault("noRig", "The stand-in has no rig."),
    "rig.close": async () => ok(null),
    "rig.state": async () => ok(null),
    "rig.reward": async () => fault("noRig", "The stand-in has no rig."),
    "rig.sync": async () => fault("noRig", "The stand-in has no rig."),
    "rig.eye": async () => fault("noRig", "The stand-in has no rig."),
    "rigs.remove": async () => fault("noProfile", "The stand-in has no rig profiles."),
    "models.list": (_, caller) => noted("models.list", caller, { models: [], analyses: [], folder: null, providers: [], provider: "auto" }),
    "models.chooseProvider": (_, caller) => noted("models.chooseProvider", caller, null),
    "models.verify": ({ id }, caller) => noted("models.verify", caller, { id, ok: true, message: "", left: [] }),
    "models.fetch": (_, caller) => noted("models.fetch", caller, null),
    "models.stopFetch": (_, caller) => noted("models.stopFetch", caller, null),
    "stimulus.attach": (_, caller) => {
      stimulus = caller.id;
      return noted("stimulus.attach", caller, null);
    },
    "display.status": async () => ok({ attached: false, widthPx: 1920, heightPx: 1080, refreshHz: 120, window: null }),
    "display.test": async () => fault("noScreen", "The stand-in engine has no screen."),
    "display.lastTest": async () => ok({ state: "none" }),
    "stimulus.pixels": (_, caller) => noted("stimulus.pixels", caller, { widthPx: 1, heightPx: 1, rgbaBase64: "AAAA/w==" }),
    "stimulus.report": (_, caller) => noted("stimulus.report", caller, null),
  };
  return {
    handlers, emit, gone, calls, closed: () => closed,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    callerGone: (callerId) => void gone.push(callerId),
    close: () => {
      closed += 1;
      return Promise.resolve();
    },
  };
}

/** A `live` payload of a realistic size: 96 channels. */
export function aLive(generation: number): Live {
  const perChannel = Array.from({ length: 96 }, (_, channel) => channel + generation / 1000);
  return {
    phase: "running",
    progress: { generation, generations: 30, imageInBlock: 0, imagesInBlock: 20, presentations: 0, excluded: 0, elapsedMs: 0, remainingMs: null },
    trials: { correct: 0, broken: 0, noFixation: 0, other: 0, recent: [] },
    reward: { pulses: 0, manualPulses: 0, totalMs: 0, totalMl: 0, pulseMs: 120 },
    channels: { rateHz: perChannel, evokedHz: perChannel, tuning: perChannel, status: perChannel.map(() => "ok" as const) },
    devices: [], alarms: [], targets: [0], trialState: "images", breakLeftMs: null, plan: emptyPlan,
  };
}

export const aConfig = (): ReturnType<typeof sessionConfig.parse> => sessionConfig.parse({});
