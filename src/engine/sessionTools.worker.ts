// Entry of the thread that verifies, scores otherwise or imports one session. Knows nothing but how to connect a task to its port.
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { FaultError, assertNever } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { importSession } from "./importSession.ts";
import { verifySession } from "./replay.ts";
import type { FromTask, Task } from "./sessionTasks.ts";
import { whatIf } from "./whatIf.ts";

const port = parentPort;
if (port === null) throw new Error("expected to run in a worker thread, got the main thread");
// Both ends are this program's: what comes over the port has the declared type.
const { task, cancel }: { readonly task: Task; readonly cancel: Int32Array } = workerData;
const post = (message: FromTask): void => port.postMessage(message);

// On Linux this is this thread's priority alone: a session that runs in the same process goes first.
if (process.platform === "linux") setPriority(10);

const progressMs = 100;
let saidMs = 0;

function progress(share: number): void {
  if (Atomics.load(cancel, 0) !== 0) throw new FaultError({ code: "cancelled", message: "It was cancelled; nothing was left behind." });
  const now = performance.now();
  if (now - saidMs < progressMs && share < 1) return;
  saidMs = now;
  post({ kind: "progress", share });
}

async function perform(): Promise<Result<unknown, Fault>> {
  switch (task.kind) {
    case "verify":
      return await verifySession(task.file, progress);
    case "whatIf":
      return whatIf(task.file, task.change);
    case "import":
      return await importSession({ ...task.order, onProgress: progress });
    default:
      return assertNever(task);
  }
}

post({ kind: "result", result: await perform() });
