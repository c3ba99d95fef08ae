// Adding to a session after it was recorded: what was made of it (neuron models, ablations, visualisations) and where it was exported to.
// The recording itself never changes. Knows nothing about SQL.
import { Worker } from "node:worker_threads";
import type { SessionRecordBody } from "../shared/records.ts";
import { err, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { Appended, RunInfo } from "./writerCore.ts";
import type { AppendOrder, FromWriter } from "./writerMessages.ts";
import { serveWriter } from "./writerService.ts";

export type { Appended } from "./writerCore.ts";

/** What may be added afterwards: nothing that replay, resumption or the state of a session look at. */
export type AddedRecordBody = Extract<SessionRecordBody, { kind: "neuronModel" | "ablation" | "visualisation" | "export" }>;

export interface AppendOptions extends Pick<RunInfo, "appVersion" | "hostKind"> {
  /** ISO 8601. Default: the computer's clock. */
  readonly nowUtc?: string;
  /** Where the commit runs. "caller" blocks the caller: for tests and programs that do nothing else. Default "worker". */
  readonly thread?: "worker" | "caller";
}

/**
 * Adds records to a finished or interrupted session, all of them or none, in a run of its own. Errors: `sessionLocked` (it is being recorded, or
 * read for long), `cannotOpen`, `notASession`, `sessionNewer`, `notWritable`, `diskFull`, `appendFailed`.
 */
export function appendToSession(file: string, bodies: readonly AddedRecordBody[], { appVersion, hostKind, nowUtc = new Date().toISOString(), thread = "worker" }: AppendOptions): Promise<Result<Appended, Fault>> {
  const order: AppendOrder = { kind: "append", file, run: { startedUtc: nowUtc, appVersion, hostKind }, bodies };
  return new Promise((resolve) => {
    const answer = (message: FromWriter): void => {
      if (message.kind === "appended") resolve(ok(message.appended));
      else if (message.kind === "refused") resolve(err(message.fault));
    };
    if (thread === "caller") {
      serveWriter(order, answer);
      return;
    }
    const failed = (how: string): void => resolve(fault("appendFailed", `Adding to ${file} ${how}. What it held is safe.`));
    const worker = new Worker(new URL("./writer.worker.ts", import.meta.url), { workerData: order });
    worker.on("message", answer);
    worker.on("error", (error) => failed(`failed: ${error.message}`));
    worker.on("exit", (code) => failed(`ended unexpectedly (exit code ${code})`));
  });
}
