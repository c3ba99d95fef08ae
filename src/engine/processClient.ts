// A host's side of the process link: starts the engine's process with child_process.fork and speaks for many callers over it.
// Knows nothing about sockets or windows. The engine is never started again by itself: a crash is reported, once, to all.
import { fork } from "node:child_process";
import { extname } from "node:path";
import { createDownSignal } from "./link.ts";
import { fromEngine } from "./processProtocol.ts";
import { assertNever, fault, ok } from "../shared/result.ts";
import type { EngineDown, EngineLink, EventFrame } from "./link.ts";
import type { EngineOptions } from "./engineTypes.ts";
import type { FromEngine, ToEngine } from "./processProtocol.ts";
import type { EngineFrame } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";

export interface EngineProcessOptions {
  readonly engine: EngineOptions;
  /** What the engine prints, and the stacks of its bugs, a line or more at a time. */
  readonly log: (text: string) => void;
  /** File that runs the engine; the default is process.ts beside this one. */
  readonly entry?: URL;
  readonly startTimeoutMs?: number;
  readonly closeTimeoutMs?: number;
}

export interface EngineProcess extends EngineLink {
  readonly pid: number;
}

const startTimeoutMsDefault = 60_000;
const closeTimeoutMsDefault = 10_000;
const lastWordsMs = 50;

/** Starts the engine in a process of its own. Errors: what the engine says of its options, `engineSilent`, `engineDied`. */
export async function startEngineProcess(options: EngineProcessOptions): Promise<Result<EngineProcess, Fault>> {
  const entry = options.entry ?? new URL(`./process${extname(import.meta.filename)}`, import.meta.url);
  // With --disable-warning an older Node 24 does not tell the operator that TypeScript support is experimental.
  const child = fork(entry, [], { serialization: "advanced", stdio: ["ignore", "pipe", "pipe", "ipc"], execArgv: ["--disable-warning=ExperimentalWarning"] });
  const down = createDownSignal();
  const callers = new Map<string, (frame: EngineFrame) => void>();
  const broadcast = new Set<(frame: EventFrame) => void>();
  let lastWords = "";
  let stage: Stage = "starting";

  const note = (text: string): void => {
    lastWords = `${lastWords}${text}`.slice(-4000);
    options.log(text);
  };
  child.stdout?.setEncoding("utf8").on("data", note);
  child.stderr?.setEncoding("utf8").on("data", note);

  const post = (message: ToEngine): void => {
    if (child.connected) child.send(message, () => undefined);
  };
  const deliver = (message: Extract<FromEngine, { kind: "frame" }>): void => {
    if (message.callerId !== null) callers.get(message.callerId)?.(message.frame);
    else if ("event" in message.frame) for (const listener of broadcast) listener(message.frame);
  };

  const started = new Promise<Result<null, Fault>>((resolve) => {
    child.on("message", (raw) => {
      const message = fromEngine.parse(raw);
      switch (message.kind) {
        case "ready":
          return resolve(ok(null));
        case "failed":
          return resolve({ ok: false, error: message.error });
        case "frame":
          return deliver(message);
        case "problem":
          return note(`${message.text}\n`);
        default:
          return assertNever(message);
      }
    });
    child.on("error", (error) => resolve(fault("engineDied", `The engine's process did not start: ${error.message}.`)));
    // The pipes may still hold the last words; a process of the engine's own may keep them open, so no waiting for their end.
    child.on("exit", (code, signal) => void setTimeout(() => {
      const ended = down.fire(describeEnd({ exitCode: code, signal, stage, lastWords }));
      resolve(fault("engineDied", ended.message));
    }, lastWordsMs));
    setTimeout(() => resolve(fault("engineSilent", `Expected the engine to be ready within ${(options.startTimeoutMs ?? startTimeoutMsDefault) / 1000} s, got no word from it. Look at its log; a slow disk or a model that does not load can be the cause.`)), options.startTimeoutMs ?? startTimeoutMsDefault).unref();
  });

  post({ kind: "start", options: options.engine, forward: null });
  const outcome = await started;
  if (!outcome.ok) {
    child.kill();
    return outcome;
  }
  stage = "running";

  const gone = new Promise<EngineDown>((resolve) => down.listen(resolve));
  return ok({
    pid: child.pid ?? -1,
    attach(caller, receive) {
      callers.set(caller.id, receive);
      post({ kind: "attach", callerId: caller.id, access: [...caller.access] });
      return {
        send: (frame) => post({ kind: "frame", callerId: caller.id, frame }),
        detach: () => {
          if (callers.delete(caller.id)) post({ kind: "detach", callerId: caller.id });
        },
      };
    },
    onBroadcast(listener) {
      broadcast.add(listener);
      return () => void broadcast.delete(listener);
    },
    onDown: down.listen,
    close() {
      if (stage === "running") {
        stage = "closing";
        post({ kind: "close" });
        setTimeout(() => child.kill("SIGKILL"), options.closeTimeoutMs ?? closeTimeoutMsDefault).unref();
      }
      return gone;
    },
  });
}

/** Where in its life an engine's process was when it ended. */
export type Stage = "starting" | "running" | "closing";

/** A sentence about how the engine ended. `signal` null = it ended by itself. */
export function describeEnd({ exitCode, signal, stage, lastWords }: { readonly exitCode: number | null; readonly signal: string | null; readonly stage: Stage; readonly lastWords: string }): EngineDown {
  const how = signal !== null ? `signal ${signal}` : `exit code ${exitCode ?? "unknown"}`;
  const line = lastWords.trim().split("\n").find((words) => /error|bug|fatal/i.test(words));
  const words = line === undefined ? "" : ` Its last words: ${line.slice(0, 300)}`;
  const kept = "the session file holds everything up to the last presentation";
  switch (stage) {
    case "starting":
      return { expected: false, exitCode, message: `The engine's process ended before it was ready (${how}).${words}` };
    case "running":
      return { expected: false, exitCode, message: `The engine stopped unexpectedly (${how}). Recording has ended; ${kept}. Start Evoked again and resume the session.${words}` };
    case "closing":
      return exitCode === 0 ? { expected: true, exitCode, message: "The engine was closed." } : { expected: false, exitCode, message: `The engine did not close cleanly (${how}); ${kept}.` };
  }
}
