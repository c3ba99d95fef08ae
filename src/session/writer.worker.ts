// Entry of the writer's worker thread. Knows nothing but how to connect the service to its port.
import { parentPort, workerData } from "node:worker_threads";
import { serveWriter } from "./writerService.ts";
import type { AppendOrder, OpenOrder, ToWriter } from "./writerMessages.ts";

const port = parentPort;
if (port === null) throw new Error("expected to run in a worker thread, got the main thread");
// Both ends are this program's: what comes over the port has the declared type.
const order: OpenOrder | AppendOrder = workerData;
const serve = serveWriter(order, (message) => port.postMessage(message));
if (serve === null) port.close();
else {
  port.on("message", (message: ToWriter) => {
    serve(message);
    if (message.kind === "close") port.close();
  });
}
