// What the operator can do to the engine, by name. Failures become one notice. Knows nothing about keys or layout.
import { keyOf } from "./keys.ts";
import type { EngineClient, MethodInput, SessionConfig } from "../../shared/contract/index.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { Action } from "./keys.ts";
import type { UiStore } from "./store.ts";

export interface Notice {
  readonly severity: "info" | "fault";
  readonly text: string;
  readonly atMs: number;
}

export interface Commands {
  run(action: Action): void;
}

export interface Deeds {
  togglePause(): Promise<void>;
  stop(): Promise<void>;
  reward(): Promise<void>;
  changePulse(byMs: number): Promise<void>;
  recentre(): Promise<void>;
  endBreak(): Promise<void>;
  skipBlock(): Promise<void>;
  skipStep(): Promise<void>;
  /** A copy of the step runs after the one under way. */
  repeatStep(step: number): Promise<void>;
  note(text: string): Promise<boolean>;
  setTarget(thread: number, channel: number): Promise<boolean>;
  /** Units were sorted anew in the recording program. */
  unitsResorted(): Promise<boolean>;
  dismiss(): Promise<boolean>;
  start(config: SessionConfig): Promise<Result<{ file: string }, Fault>>;
  resumeRecorded(file: string): Promise<boolean>;
  verify(files: readonly string[]): Promise<boolean>;
  exportSessions(order: MethodInput<"sessions.export">): Promise<boolean>;
  importSession(order: MethodInput<"sessions.import">): Promise<boolean>;
  cancelJob(jobId: string): Promise<boolean>;
}

const pulseMsMax = 1000;

export function createDeeds(client: EngineClient, store: UiStore, notify: (notice: Omit<Notice, "atMs">) => void): Deeds {
  /** The pulse as last asked for: live events lag behind a finger on the key. */
  let asked: { readonly pulseMs: number; readonly atMs: number } | null = null;
  const pulseMs = (): number => {
    if (asked !== null && performance.now() - asked.atMs < 800) return asked.pulseMs;
    return store.get().snapshot?.live?.reward.pulseMs ?? 120;
  };
  async function report<T>(what: Promise<Result<T, Fault>>, done?: (value: T) => string): Promise<boolean> {
    const answer = await what;
    if (!answer.ok) notify({ severity: "fault", text: answer.error.message });
    else if (done !== undefined) notify({ severity: "info", text: done(answer.value) });
    return answer.ok;
  }
  return {
    async togglePause() {
      const phase = store.get().snapshot?.phase;
      if (phase === "running") await report(client.call("session.pause", {}));
      else if (phase === "paused") await report(client.call("session.resume", {}));
    },
    async stop() { await report(client.call("session.stop", {})); },
    async reward() { await report(client.call("reward.pulse", { pulseMs: Math.max(1, pulseMs()) }), (r) => `Reward given: ${r.pulseMs} ms.`); },
    async changePulse(byMs) {
      const next = Math.min(pulseMsMax, Math.max(0, pulseMs() + byMs));
      asked = { pulseMs: next, atMs: performance.now() };
      await report(client.call("reward.setPulse", { pulseMs: next }), () => `Reward is now ${next} ms (${keyOf("rewardShorter")} ${keyOf("rewardLonger")} change it).`);
    },
    async recentre() { await report(client.call("eye.recentre", {}), () => "The present gaze is the centre now."); },
    async skipBlock() { await report(client.call("session.skipBlock", {})); },
    async skipStep() { await report(client.call("session.skipStep", {})); },
    async endBreak() {
      if (store.get().snapshot?.live?.trialState !== "break") notify({ severity: "info", text: "There is no break to end." });
      else await report(client.call("session.endBreak", {}), () => "The break is over.");
    },
    async repeatStep(step) { await report(client.call("session.repeatStep", { step }), () => "The step will be repeated after the one under way."); },
    note: (text) => report(client.call("session.note", { text })),
    setTarget: (thread, channel) => report(client.call("session.setTarget", { thread, channel }), () => "New target from the next generation on."),
    unitsResorted: () => report(client.call("session.unitsResorted", { channels: null }), ({ replaced }) => `${replaced} ${replaced === 1 ? "target begins" : "targets begin"} anew; what this block measured of them is shown again.`),
    dismiss: () => report(client.call("session.dismiss", {})),
    start: (config) => client.call("session.start", { config }),
    resumeRecorded: (file) => report(client.call("sessions.resume", { file })),
    verify: (files) => report(client.call("sessions.verify", { files: [...files] })),
    exportSessions: (order) => report(client.call("sessions.export", order)),
    importSession: (order) => report(client.call("sessions.import", order)),
    cancelJob: (jobId) => report(client.call("sessions.cancelJob", { jobId })),
  };
}
