// A session without a window, to its end: on a virtual clock as fast as the machine allows, or in real time. Knows nothing about terminals.
import { createHash } from "node:crypto";
import { encodeOptimizerState } from "../evolve/index.ts";
import { createVirtualClock } from "../loop/clock.ts";
import type { GenerationResult } from "../loop/loopTypes.ts";
import { startModels } from "../models/client.ts";
import type { Models } from "../models/client.ts";
import { emptyPlan, stepsOf } from "../shared/contract/index.ts";
import type { PlanState, PlanStep, SessionConfig, StepReport } from "../shared/contract/index.ts";
import { modelImagesOf } from "./modelImages.ts";
import { isLogLine } from "../shared/records.ts";
import { FaultError, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { nsPerS } from "../shared/units.ts";
import { openLiveSession } from "./liveSession.ts";
import type { LiveSession } from "./liveSession.ts";
import { createRealClock } from "./realClock.ts";
import { createTimedDisplay } from "./timedDisplay.ts";

export type { GenerationResult } from "../loop/loopTypes.ts";

/** How a session without a window went. Rates in spikes/s. */
export interface HeadlessResult {
  readonly session: string;
  readonly generations: number;
  readonly images: number;
  readonly evolved: { readonly first: number; readonly last: number };
  readonly reference: { readonly first: number; readonly last: number };
  /** Trials that did not end correct. */
  readonly aborted: number;
  readonly wallSeconds: number;
  /** Over all scores and the final optimizer states: on a virtual clock the same for the same configuration. */
  readonly sha256: string;
  /** Time that passed on the session's own clock. */
  readonly rigSeconds: number;
  readonly target: number;
  /** Of every step that ended, in order. */
  readonly steps: readonly StepReport[];
}

export interface HeadlessOptions {
  readonly config: SessionConfig;
  readonly sessionFolder: string;
  /** true: virtual clock. */
  readonly fast: boolean;
  /** Go on with this interrupted session; `config` is then its own (readResumePoint). */
  readonly resumeFile?: string;
  readonly protocolFolder?: string;
  readonly onProgress?: (done: { readonly generation: number; readonly generations: number; readonly last: GenerationResult | null; readonly plan: PlanState }) => void;
  readonly onLog?: (severity: "info" | "warn" | "fault", message: string) => void;
  /** Where what each subject was given is kept; left out: beside the user's rig profiles. */
  readonly rewardFolder?: string;
  /** Ask the session to end cleanly. */
  readonly stop?: AbortSignal;
}

export async function runHeadless(options: HeadlessOptions & { readonly models: Models }): Promise<Result<HeadlessResult, Fault>> {
  const { config } = options;
  const started = performance.now();
  const virtual = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  const clock = options.fast ? virtual : createRealClock();
  const hash = createHash("sha256");
  const results: GenerationResult[] = [];
  const end = Promise.withResolvers<{ readonly reason: string; readonly message: string }>();
  const reports: StepReport[] = [];
  const opening: { session: LiveSession | null } = { session: null };
  const generations = stepsOf(config).reduce((n, step) => n + (step.protocol === "evolution" ? step.generations : 0), 0);
  let presentations = 0;
  let ended = false;
  let aborted = 0;
  let images = 0;

  function progress(last: GenerationResult | null): void {
    options.onProgress?.({ generation: results.length, generations, last, plan: opening.session?.loop.status.plan ?? emptyPlan });
  }

  /** Nobody is there to send images: they are made, or the step is left out. */
  async function supply(step: number, settings: PlanStep): Promise<void> {
    const { session } = opening;
    if (session === null) return;
    if (settings.protocol !== "validation" || settings.source !== "fit") {
      options.onLog?.("warn", `Step ${step + 1} waits for images, and nobody is there to send them: it is skipped.`);
      setImmediate(() => session.loop.skipStep());
      return;
    }
    const made = await clock.hold(modelImagesOf({ session, settings, models: options.models, channel: session.loop.status.targets[0] ?? 0, onNote: (message) => options.onLog?.("info", message) }));
    if (made.ok) session.loop.queueImages(made.value);
    else {
      options.onLog?.("warn", `No images of models for step ${step + 1}: ${made.error.message}`);
      session.loop.skipStep();
    }
  }

  const opened = await openLiveSession({
    config, clock, models: options.models, sessionFolder: config.folder ?? options.sessionFolder, hostKind: "cli", ...(options.rewardFolder === undefined ? {} : { rewardFolder: options.rewardFolder }), ...(options.resumeFile === undefined ? {} : { resumeFile: options.resumeFile }),
    ...(options.protocolFolder === undefined ? {} : { protocolFolder: options.protocolFolder }),
    display: createTimedDisplay({ clock }),
    onRecord: (body) => {
      if (body.kind === "image") images += 1;
      if (body.kind === "event" && isLogLine(body)) options.onLog?.(body.severity, body.message);
      if (body.kind === "generation") hash.update(new Uint8Array(body.scores.buffer, body.scores.byteOffset, body.scores.byteLength));
    },
    listener: {
      trial: (outcome) => {
        if (outcome !== "correct") aborted += 1;
      },
      generation: (g) => {
        results.push(g);
        progress(g);
      },
      presentation: () => {
        presentations += 1;
        if (presentations % 20 === 0) progress(results.at(-1) ?? null);
      },
      stepReport: (report) => {
        reports.push(report);
        progress(results.at(-1) ?? null);
      },
      needsImages: (step, settings) => void supply(step, settings),
      ended: (reason, message) => {
        ended = true;
        end.resolve({ reason, message });
      },
    },
  });
  if (!opened.ok) return opened;
  const session = opened.value;
  try {
    opening.session = session;
    progress(null);
    options.stop?.addEventListener("abort", () => session.loop.stop(), { once: true });
    const starting = session.loop.start();
    // Asked for while models and rig were being opened.
    if (options.stop?.aborted === true) session.loop.stop();
    if (options.fast) await Promise.all([virtual.run(() => ended), starting]);
    else await starting;
    const { reason, message } = await end.promise;
    if (reason === "failed") return fault("sessionFailed", message);
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  } finally {
    await session.close();
  }
  for (const thread of session.threads) hash.update(encodeOptimizerState(thread.optimizer.state()));
  const first = results[0];
  const last = results.at(-1);
  return ok({
    session: session.file,
    generations: results.length,
    images,
    evolved: { first: first?.evolved.mean ?? Number.NaN, last: last?.evolved.mean ?? Number.NaN },
    reference: { first: first?.reference.mean ?? Number.NaN, last: last?.reference.mean ?? Number.NaN },
    aborted,
    wallSeconds: (performance.now() - started) / 1000,
    sha256: hash.digest("hex"),
    rigSeconds: clock.now() / nsPerS,
    target: session.threads[0]?.target ?? session.loop.status.targets[0] ?? 0,
    steps: reports,
  });
}

/** Starts the models, runs one session to its end and stops the models again. */
export async function runHeadlessSession(options: HeadlessOptions & { readonly modelFolders: readonly string[] }): Promise<Result<HeadlessResult, Fault>> {
  const models = await startModels({ modelsDirs: options.modelFolders, provider: options.config.models.provider });
  if (!models.ok) return models;
  try {
    return await runHeadless({ ...options, models: models.value });
  } finally {
    await models.value.close();
  }
}
