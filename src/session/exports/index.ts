// Exports of sessions, each in a thread of its own so that nobody waits. Knows nothing about formats.
import { Worker } from "node:worker_threads";
import { fault } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { ExportOrder } from "./runExport.ts";
import type { ExportReport } from "./task.ts";

export { exportFormats } from "./task.ts";
export type { ExportFormat, ExportReport } from "./task.ts";

export interface ExportRequest extends Omit<ExportOrder, "now"> {
  /** How much is done, 0 to 1, and with what. */
  readonly onProgress?: (done: number, stage: string) => void;
  /** Ends the export at its next step; nothing is left behind. */
  readonly signal?: AbortSignal;
}

type FromExport = { readonly kind: "progress"; readonly done: number; readonly stage: string } | { readonly kind: "result"; readonly result: Result<ExportReport, Fault> };

/** Exports one session to one format. The result appears under its name only when it is complete and has been compared with the session. */
export function exportSession(request: ExportRequest): Promise<Result<ExportReport, Fault>> {
  const { onProgress, signal, ...order } = request;
  if (signal?.aborted === true) return Promise.resolve(fault("exportCancelled", "The export was cancelled before it began."));
  return new Promise((resolve) => {
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL("./export.worker.ts", import.meta.url), { workerData: { order: { ...order, now: new Date().toISOString() }, cancel } });
    const abort = (): void => void Atomics.store(cancel, 0, 1);
    signal?.addEventListener("abort", abort);
    const settle = (result: Result<ExportReport, Fault>): void => {
      signal?.removeEventListener("abort", abort);
      resolve(result);
    };
    worker.on("message", (message: FromExport) => {
      if (message.kind === "progress") onProgress?.(message.done, message.stage);
      else settle(message.result);
    });
    worker.on("error", (error) => settle(fault("exportFailed", `The export of ${order.file} to ${order.format} failed: ${error.message}. The session is unharmed; please report it.`)));
    worker.on("exit", (code) => settle(fault("exportFailed", `The export of ${order.file} to ${order.format} ended unexpectedly (exit code ${code}). The session is unharmed.`)));
  });
}
