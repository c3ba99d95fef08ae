// The main job without a window: one session on a virtual clock, as fast as the machine allows. Knows nothing about terminals.
import { createHash } from "node:crypto";
import { startModels } from "../models/client.ts";
import type { Models } from "../models/client.ts";
import { createVirtualClock } from "../loop/clock.ts";
import type { GenerationResult } from "../loop/closedLoop.ts";
import { encodeOptimizerState } from "../evolve/index.ts";
import type { SessionConfig } from "../shared/contract/config.ts";
import type { Fault, Result } from "../shared/result.ts";
import { ok } from "../shared/result.ts";
import { nsPerS } from "../shared/units.ts";
import { openLiveSession } from "./liveSession.ts";
import { createTimedDisplay } from "./timedDisplay.ts";

/** The one JSON line of `evoked demo`. Rates in spikes/s. */
export interface DemoResult {
  readonly session: string;
  readonly generations: number;
  readonly images: number;
  readonly evolved: { readonly first: number; readonly last: number };
  readonly reference: { readonly first: number; readonly last: number };
  readonly aborted: number;
  readonly wallSeconds: number;
  /** Over all scores and the final optimizer states. */
  readonly sha256: string;
}

export interface FastRun extends DemoResult {
  /** Time on the rig, s. */
  readonly rigSeconds: number;
  readonly target: number;
}

/** Runs one session to its end on a virtual clock. Same config and seed: same scores, states and hash. */
export async function runFast(options: {
  readonly config: SessionConfig;
  readonly models: Models;
  readonly sessionFolder: string;
  readonly onProgress?: (done: { readonly generation: number; readonly generations: number; readonly last: GenerationResult | null }) => void;
}): Promise<Result<FastRun, Fault>> {
  const { config } = options;
  const started = performance.now();
  const clock = createVirtualClock({ settle: () => new Promise((resolve) => setImmediate(resolve)) });
  const hash = createHash("sha256");
  const results: GenerationResult[] = [];
  let ended: { readonly reason: string; readonly message: string } | null = null;
  let aborted = 0;
  let images = 0;
  const opened = await openLiveSession({
    config, clock, models: options.models, sessionFolder: config.folder ?? options.sessionFolder, hostKind: "cli",
    display: createTimedDisplay({ clock }),
    onRecord: (body) => {
      if (body.kind === "image") images += 1;
      if (body.kind === "generation") hash.update(new Uint8Array(body.scores.buffer, body.scores.byteOffset, body.scores.byteLength));
    },
    listener: {
      trial: (outcome) => {
        if (outcome !== "correct") aborted += 1;
      },
      generation: (g) => {
        results.push(g);
        options.onProgress?.({ generation: g.generation + 1, generations: config.evolution.generations, last: g });
      },
      ended: (reason, message) => {
        ended = { reason, message };
      },
    },
  });
  if (!opened.ok) return opened;
  const session = opened.value;
  options.onProgress?.({ generation: 0, generations: config.evolution.generations, last: null });
  const starting = session.loop.start();
  await clock.run(() => ended !== null);
  await starting;
  const rigSeconds = clock.now() / nsPerS;
  for (const thread of session.threads) hash.update(encodeOptimizerState(thread.optimizer.state()));
  const target = session.threads[0]?.target ?? 0;
  await session.close();
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
    rigSeconds,
    target,
  });
}

/** Starts the models, runs one fast session and stops them again: what `evoked demo --fast` does. */
export async function runFastSession(options: {
  readonly config: SessionConfig;
  readonly modelFolders: readonly string[];
  readonly sessionFolder: string;
  readonly onProgress?: Parameters<typeof runFast>[0]["onProgress"];
}): Promise<Result<FastRun, Fault>> {
  const models = await startModels({ modelsDirs: options.modelFolders, provider: options.config.models.provider });
  if (!models.ok) return models;
  try {
    return await runFast({
      config: options.config, models: models.value, sessionFolder: options.sessionFolder,
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    });
  } finally {
    await models.value.close();
  }
}
