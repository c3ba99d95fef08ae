// Entry of the thread that builds a diverse set, with a models process of its own, so that neither the engine nor a session feels it.
// Knows nothing but how to connect a build to its port.
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { forkModelsProcess, startModels } from "../../models/client.ts";
import type { Result, Fault } from "../../shared/result.ts";
import { buildDiverseSet } from "./build.ts";
import { orders } from "./job.ts";
import type { BuildOrder, FromBuild } from "./job.ts";

const port = parentPort;
if (port === null) throw new Error("expected to run in a worker thread, got the main thread");
// Both ends are this program's: what comes over the port has the declared type.
const { args, modelFolders, cacheFolder, control }: BuildOrder = workerData;
const post = (message: FromBuild): void => port.postMessage(message);

/** Recording and the windows go first. */
const niceness = 10;
if (process.platform === "linux") setPriority(niceness);

const progressMs = 200;
const pollMs = 100;
let saidMs = -Infinity;
let saidPhase = "";

async function build(): Promise<Result<{ readonly folder: string }, Fault>> {
  const models = await startModels({
    modelsDirs: modelFolders,
    async openPort() {
      const line = await forkModelsProcess();
      setPriority(line.pid, niceness);
      return line;
    },
  });
  if (!models.ok) return models;
  const stop = new AbortController();
  try {
    return await buildDiverseSet({
      args, models: models.value, cacheFolder, command: "", signal: stop.signal,
      onProgress(progress) {
        const now = performance.now();
        if (now - saidMs < progressMs && progress.phase === saidPhase && progress.done < progress.total) return;
        saidMs = now;
        saidPhase = progress.phase;
        post({ kind: "progress", progress });
      },
      async gate() {
        while (Atomics.load(control, 0) === orders.pause) await new Promise((resolve) => setTimeout(resolve, pollMs));
        if (Atomics.load(control, 0) === orders.stop) stop.abort();
      },
    });
  } finally {
    await models.value.close();
  }
}

const result = await build();
post({ kind: "result", result: result.ok ? { ok: true, value: { folder: result.value.folder } } : result });
