// Entry of the thread that replays a session for one window. Knows nothing but how to connect a playback to its port.
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { FaultError, fault, ok } from "../shared/result.ts";
import { openPlayback } from "./playback.ts";
import type { Playback } from "./playback.ts";
import type { FromPlayback, ToPlayback } from "./playbacks.ts";

const port = parentPort;
if (port === null) throw new Error("expected to run in a worker thread, got the main thread");
// Both ends are this program's: what comes over the port has the declared type.
const { file }: { readonly file: string } = workerData;
const post = (message: FromPlayback): void => port.postMessage(message);

// On Linux this is this thread's priority alone: a session that runs in the same process goes first.
if (process.platform === "linux") setPriority(10);

const opened = openPlayback(file, (event, payload) => post({ kind: "event", event, payload }));
if (opened.ok) port.on("message", (message: ToPlayback) => void answer(opened.value, message));
post({ kind: "opened", result: opened.ok ? ok(opened.value.snapshot()) : opened });

async function answer(playback: Playback, { id, ask }: ToPlayback): Promise<void> {
  try {
    post({ kind: "answer", id, result: ok(await act(playback, ask)) });
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    post({ kind: "answer", id, result: fault(error.code, error.message) });
  }
}

async function act(playback: Playback, ask: ToPlayback["ask"]): Promise<unknown> {
  switch (ask.action) {
    case "play":
      return playback.play(ask.speed);
    case "pause":
      return playback.pause();
    case "step":
      return await playback.step(ask.unit);
    case "seek":
      return await playback.seek(ask.positionMs);
    case "snapshot":
      return playback.snapshot();
    case "responses":
      return playback.responses(ask.channel, ask.last);
    case "close":
      playback.close();
      return port?.close();
  }
}
