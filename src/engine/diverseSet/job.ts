// The contract's methods for building a diverse set: one build at a time, in a thread of its own; it can be held, stopped and gone on with, and
// holds by itself while a session runs. Knows nothing about how images are chosen.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import type { DiverseSetArgs, DiverseSetLine, DiverseSetView, Handlers } from "../../shared/contract/index.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { Caller } from "../engineTypes.ts";
import { readDiverseSet } from "./build.ts";
import type { DiverseSetProgress } from "./build.ts";
import { createPace } from "./pace.ts";
import type { Pace } from "./pace.ts";

export const orders = { run: 0, pause: 1, stop: 2 } as const;

export interface BuildOrder {
  readonly args: DiverseSetArgs;
  readonly modelFolders: readonly string[];
  readonly cacheFolder: string;
  /** One of `orders`. */
  readonly control: Int32Array;
}

export type FromBuild = { readonly kind: "progress"; readonly progress: DiverseSetProgress } | { readonly kind: "result"; readonly result: Result<{ readonly folder: string }, Fault> };

export interface DiverseSetHandlersOptions {
  readonly modelFolders: readonly string[];
  readonly cacheFolder: string;
  readonly emit: (line: DiverseSetLine) => void;
  readonly isSessionRunning: () => boolean;
}

export type DiverseSetHandlers = Pick<Handlers<Caller>, "diverseSet.build" | "diverseSet.pause" | "diverseSet.resume" | "diverseSet.stop" | "diverseSet.status" | "diverseSet.open">;

interface Running {
  readonly worker: Worker;
  readonly control: Int32Array;
  readonly ended: Promise<void>;
  readonly pace: Pace;
  heldBy: "operator" | "session" | null;
}

/** How often a build looks whether a session runs. */
const watchMs = 500;
/** A thread that computes cannot look at its orders; after this long it is ended. Features are on disk by then. */
const stopWithinMs = 4000;

export function createDiverseSetHandlers({ modelFolders, cacheFolder, emit, isSessionRunning }: DiverseSetHandlersOptions): DiverseSetHandlers & { readonly close: () => Promise<void> } {
  let line: DiverseSetLine | null = null;
  let running: Running | null = null;

  function tell(changes: Partial<DiverseSetLine>): void {
    if (line === null) return;
    line = { ...line, ...changes };
    emit(line);
  }

  function order(mine: Running, what: keyof typeof orders): void {
    Atomics.store(mine.control, 0, orders[what]);
  }

  function onProgress(mine: Running, { phase, done, total, unreadable }: DiverseSetProgress): void {
    tell({ phase, done, total, unreadable, remainingS: mine.pace.remainingS({ phase, done, total }, performance.now()) });
  }

  function start(args: DiverseSetArgs): void {
    const control = new Int32Array(new SharedArrayBuffer(4));
    const workerData: BuildOrder = { args, modelFolders, cacheFolder, control };
    const worker = new Worker(new URL("./build.worker.ts", import.meta.url), { workerData });
    const end = Promise.withResolvers<void>();
    const mine: Running = { worker, control, ended: end.promise, pace: createPace(), heldBy: null };
    running = mine;
    line = { state: "running", phase: "listing", done: 0, total: 0, unreadable: 0, remainingS: null, message: "", args };
    emit(line);
    const watch = setInterval(() => {
      if (isSessionRunning() && mine.heldBy === null) hold(mine, "session");
      else if (!isSessionRunning() && mine.heldBy === "session") goOn(mine);
    }, watchMs);
    const finish = (changes: Partial<DiverseSetLine>): void => {
      if (running !== mine) return;
      running = null;
      clearInterval(watch);
      tell({ remainingS: null, ...changes });
      end.resolve();
    };
    worker.on("message", (message: FromBuild) => {
      if (message.kind === "progress") {
        onProgress(mine, message.progress);
        return;
      }
      const { result } = message;
      if (result.ok) finish({ state: "done", message: `${args.count} images are in ${result.value.folder}.` });
      else finish({ state: result.error.code === "diverseStopped" ? "stopped" : "failed", message: result.error.message });
    });
    worker.on("error", (error) => finish({ state: "failed", message: `A defect of Evoked stopped the build: ${error.message}. What was computed is kept.` }));
    worker.on("exit", () => finish({ state: "stopped", message: "The build was stopped; what was computed is kept, and the same build goes on from there." }));
  }

  function hold(mine: Running, by: "operator" | "session"): void {
    mine.heldBy = by;
    order(mine, "pause");
    tell({ state: "paused", remainingS: null, message: by === "session" ? "Held while a session runs; it goes on by itself afterwards." : "Held after the images under way." });
  }

  function goOn(mine: Running): void {
    mine.heldBy = null;
    mine.pace.startAnew(line?.done ?? 0, performance.now());
    order(mine, "run");
    tell({ state: "running", message: "" });
  }

  async function stopNow(mine: Running): Promise<void> {
    order(mine, "stop");
    const timer = setTimeout(() => void mine.worker.terminate(), stopWithinMs);
    await mine.ended;
    clearTimeout(timer);
  }

  return {
    "diverseSet.build": async (args) => {
      if (running !== null) return fault("diverseRunning", "A diverse set is being built. Wait for it, or stop it.");
      if (isSessionRunning()) return fault("sessionRunning", "A session is running, and a build would take the processor from it. Build before or after.");
      start(args);
      return ok(null);
    },
    "diverseSet.pause": async () => {
      if (running === null) return fault("diverseNotRunning", "No diverse set is being built.");
      hold(running, "operator");
      return ok(null);
    },
    "diverseSet.resume": async () => {
      if (running === null) return fault("diverseNotRunning", "No diverse set is being built. Build it again: it goes on from what was computed.");
      if (isSessionRunning()) return fault("sessionRunning", "A session is running; the build goes on by itself after it.");
      goOn(running);
      return ok(null);
    },
    "diverseSet.stop": async () => {
      if (running !== null) await stopNow(running);
      return ok(null);
    },
    "diverseSet.status": async () => ok(line),
    "diverseSet.open": async ({ folder }): Promise<Result<DiverseSetView, Fault>> => {
      const at = resolve(folder);
      const manifest = await readDiverseSet(at);
      if (!manifest.ok) return manifest;
      try {
        const [plot, sheet] = await Promise.all(["plot.png", "sheet.png"].map(async (name) => (await readFile(join(at, "report", name))).toString("base64")));
        return ok({ folder: at, manifest: manifest.value, plotPngBase64: plot ?? "", sheetPngBase64: sheet ?? "" });
      } catch (error) {
        return fault("diverseUnreadable", `The pictures of the set in ${at} cannot be read: ${error instanceof Error ? error.message : String(error)}. Build the set again.`);
      }
    },
    async close() {
      if (running !== null) await stopNow(running);
    },
  };
}
