// One replay a window, each in a thread of its own: however fast it runs, the thread of a running session does not feel it.
// Knows nothing about how a session is replayed.
import { Worker } from "node:worker_threads";
import type { EventName, EventPayload, MethodArgs, PresentationEvent, Snapshot } from "../shared/contract/index.ts";
import { FaultError, fault, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { Send } from "./playback.ts";

export type Control = MethodArgs<"replay.control">;

export interface ToPlayback {
  readonly id: number;
  readonly ask: Control | { readonly action: "snapshot" } | { readonly action: "responses"; readonly channel: number; readonly last: number };
}

export type FromPlayback =
  | { readonly kind: "opened"; readonly result: Result<Snapshot, Fault> }
  | { readonly kind: "answer"; readonly id: number; readonly result: Result<unknown, Fault> }
  | { readonly kind: "event"; readonly event: EventName; readonly payload: EventPayload<EventName> };

export interface Playbacks {
  /** Closes what the caller replayed before. */
  open(callerId: string, file: string): Promise<Snapshot>;
  control(callerId: string, control: Control): Promise<void>;
  snapshot(callerId: string): Promise<Snapshot>;
  responses(callerId: string, channel: number, last: number): Promise<readonly PresentationEvent[]>;
  close(callerId: string): void;
  closeAll(): void;
}

interface Thread {
  readonly opened: Promise<Result<Snapshot, Fault>>;
  ask(ask: ToPlayback["ask"]): Promise<unknown>;
  end(): void;
}

/** Throws FaultErrors: `noReplay`, `replayFailed`, and those of opening a session. */
export function createPlaybacks(sendTo: (callerId: string) => Send): Playbacks {
  const threads = new Map<string, Thread>();
  const of = (callerId: string): Thread => {
    const found = threads.get(callerId);
    if (found === undefined) throw new FaultError({ code: "noReplay", message: "Nothing is replayed in this window. Open a session for replay first." });
    return found;
  };
  const close = (callerId: string): void => {
    threads.get(callerId)?.end();
    threads.delete(callerId);
  };
  return {
    async open(callerId, file) {
      close(callerId);
      const thread = startThread(file, sendTo(callerId));
      threads.set(callerId, thread);
      const opened = await thread.opened;
      if (!opened.ok && threads.get(callerId) === thread) close(callerId);
      return unwrap(opened);
    },
    async control(callerId, control) {
      if (control.action === "close") close(callerId);
      else await of(callerId).ask(control);
    },
    // The worker answers each question with what that question asks for.
    snapshot: async (callerId) => (await of(callerId).ask({ action: "snapshot" })) as Snapshot,
    responses: async (callerId, channel, last) => (await of(callerId).ask({ action: "responses", channel, last })) as readonly PresentationEvent[],
    close,
    closeAll: () => [...threads.keys()].forEach(close),
  };
}

function startThread(file: string, send: Send): Thread {
  const worker = new Worker(new URL("./playback.worker.ts", import.meta.url), { workerData: { file } });
  const pending = new Map<number, (result: Result<unknown, Fault>) => void>();
  const first = Promise.withResolvers<Result<Snapshot, Fault>>();
  let nextId = 1;
  let ended = false;
  const fail = (why: Fault): void => {
    ended = true;
    first.resolve({ ok: false, error: why });
    for (const settle of pending.values()) settle({ ok: false, error: why });
    pending.clear();
  };
  worker.on("message", (message: FromPlayback) => {
    if (message.kind === "opened") first.resolve(message.result);
    else if (message.kind === "event") {
      if (!ended) send(message.event, message.payload);
    } else {
      pending.get(message.id)?.(message.result);
      pending.delete(message.id);
    }
  });
  worker.on("error", (error) => fail(fault("replayFailed", `The replay of ${file} failed: ${error.message}. The session is unharmed; please report it.`).error));
  worker.on("exit", () => fail(fault("noReplay", "This replay was closed.").error));
  return {
    opened: first.promise,
    async ask(ask) {
      if (ended) throw new FaultError({ code: "noReplay", message: "This replay was closed. Open the session again." });
      const id = nextId++;
      const answer = new Promise<Result<unknown, Fault>>((resolve) => pending.set(id, resolve));
      const message: ToPlayback = { id, ask };
      worker.postMessage(message);
      return unwrap(await answer);
    },
    end() {
      ended = true;
      void worker.terminate();
    },
  };
}
