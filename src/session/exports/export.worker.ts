// Entry of the thread that exports. Knows nothing but how to connect an export to its port.
import { parentPort, workerData } from "node:worker_threads";
import { runExport } from "./runExport.ts";
import type { ExportOrder } from "./runExport.ts";

const port = parentPort;
if (port === null) throw new Error("expected to run in a worker thread, got the main thread");
// Both ends are this program's: what comes over the port has the declared type.
const { order, cancel }: { order: ExportOrder; cancel: Int32Array } = workerData;
const result = await runExport(order, {
  onProgress: (done, stage) => port.postMessage({ kind: "progress", done, stage }),
  isCancelled: () => Atomics.load(cancel, 0) !== 0,
});
port.postMessage({ kind: "result", result });
