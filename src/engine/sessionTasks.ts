// Work on one recorded session in a thread of its own, so that a running session does not feel it. Knows nothing about jobs or windows.
import { Worker } from "node:worker_threads";
import type { ImportedEvolution } from "../session/importEvolution.ts";
import { fault } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { ImportOrder } from "./importSession.ts";
import type { VerifyReport } from "./replay.ts";
import type { WhatIf, WhatIfReport } from "./whatIf.ts";

export type Task =
  | { readonly kind: "verify"; readonly file: string }
  | { readonly kind: "whatIf"; readonly file: string; readonly change: WhatIf }
  | { readonly kind: "import"; readonly order: Omit<ImportOrder, "onProgress"> };

interface TaskResults {
  readonly verify: VerifyReport;
  readonly whatIf: WhatIfReport;
  readonly import: ImportedEvolution;
}

export type FromTask = { readonly kind: "progress"; readonly share: number } | { readonly kind: "result"; readonly result: Result<unknown, Fault> };

export interface TaskHooks {
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}

/** Errors: those of the task, `cancelled`, `taskFailed`. */
export function runTask<T extends Task>(task: T, { onProgress, signal }: TaskHooks = {}): Promise<Result<TaskResults[T["kind"]], Fault>> {
  const cancelled = fault("cancelled", "It was cancelled; nothing was left behind.");
  if (signal?.aborted === true) return Promise.resolve(cancelled);
  return new Promise((resolve) => {
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL("./sessionTools.worker.ts", import.meta.url), { workerData: { task, cancel } });
    const abort = (): void => {
      Atomics.store(cancel, 0, 1);
      // What only reads can be ended at once; an import ends at its next step and cleans up.
      if (task.kind !== "import") void worker.terminate();
    };
    signal?.addEventListener("abort", abort);
    const settle = (result: Result<TaskResults[T["kind"]], Fault>): void => {
      signal?.removeEventListener("abort", abort);
      resolve(result);
    };
    worker.on("message", (message: FromTask) => {
      if (message.kind === "progress") onProgress?.(message.share);
      // The worker answers a task with that task's result.
      else settle(message.result as Result<TaskResults[T["kind"]], Fault>);
    });
    worker.on("error", (error) => settle(fault("taskFailed", `The work ended with a defect: ${error.message}. The session is unharmed; please report it.`)));
    worker.on("exit", (code) => settle(signal?.aborted === true ? cancelled : fault("taskFailed", `The work ended unexpectedly (exit code ${code}). The session is unharmed.`)));
  });
}
