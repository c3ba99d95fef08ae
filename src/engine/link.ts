// How a host reaches the engine, whether it runs in this process or in one of its own. Knows nothing about sockets or windows.
import { createDispatch } from "./dispatch.ts";
import type { Caller, Engine, EngineEvent } from "./engineTypes.ts";
import type { EngineFrame, EventName } from "../shared/contract/index.ts";

export type EventFrame = Extract<EngineFrame, { readonly event: EventName }>;

/** Why the engine is gone. */
export interface EngineDown {
  /** True where it was asked to close. */
  readonly expected: boolean;
  /** null where it was ended by a signal or ran in this process. */
  readonly exitCode: number | null;
  /** A sentence for the operator. */
  readonly message: string;
}

/** One caller's end. */
export interface CallerLink {
  /** Hands over one frame as it came off the wire; the answer arrives at the caller's `receive`. */
  send(frame: unknown): void;
  detach(): void;
}

export interface EngineLink {
  /** `receive` gets answers and the events meant for this caller alone; what everybody gets comes from `onBroadcast`, once. */
  attach(caller: Caller, receive: (frame: EngineFrame) => void): CallerLink;
  onBroadcast(listener: (frame: EventFrame) => void): () => void;
  /** Called once, also when the engine was asked to close; at once where it is gone already. */
  onDown(listener: (down: EngineDown) => void): () => void;
  /** Stops a running session cleanly, turns the reward line off, flushes the store. Settles when the engine is gone. */
  close(): Promise<EngineDown>;
}

/** The engine in this process: for programs without a window, and for tests. */
export function linkInProcess(engine: Engine, logBug: (text: string) => void): EngineLink {
  const dispatch = createDispatch({ handlers: engine.handlers, logBug });
  const callers = new Map<string, (frame: EngineFrame) => void>();
  const broadcast = new Set<(frame: EventFrame) => void>();
  const downs = createDownSignal();
  const unsubscribe = engine.subscribe((event) => {
    const frame = eventFrame(event);
    if (event.callerId === null) for (const listener of broadcast) listener(frame);
    else callers.get(event.callerId)?.(frame);
  });
  return {
    attach(caller, receive) {
      callers.set(caller.id, receive);
      return {
        send: (frame) => void dispatch(caller, frame).then((reply) => callers.get(caller.id)?.(reply)),
        detach: () => {
          if (callers.delete(caller.id)) engine.callerGone(caller.id);
        },
      };
    },
    onBroadcast: (listener) => addTo(broadcast, listener),
    onDown: downs.listen,
    close: async () => {
      await engine.close();
      unsubscribe();
      return downs.fire({ expected: true, exitCode: null, message: "The engine was closed." });
    },
  };
}

export function eventFrame(event: EngineEvent): EventFrame {
  return { event: event.event, payload: event.payload };
}

/** Remembers the end of the engine, so that it is told once to everybody, also to those who ask late. */
export function createDownSignal(): { listen(listener: (down: EngineDown) => void): () => void; fire(down: EngineDown): EngineDown } {
  const listeners = new Set<(down: EngineDown) => void>();
  let happened: EngineDown | null = null;
  return {
    listen(listener) {
      if (happened !== null) {
        listener(happened);
        return () => undefined;
      }
      return addTo(listeners, listener);
    },
    fire(down) {
      if (happened !== null) return happened;
      happened = down;
      for (const listener of listeners) listener(down);
      listeners.clear();
      return down;
    },
  };
}

/** Log ids of hosts are negative and so never meet the engine's own. */
let hostLogId = 0;

/** What a host tells its windows by itself, in the engine's own form. `atMs` is 0: the session's clock is the engine's. */
export function hostLogFrame(severity: "info" | "warn" | "fault", code: string, message: string): EventFrame {
  hostLogId -= 1;
  return { event: "log", payload: { id: hostLogId, atMs: 0, severity, code, message } };
}

function addTo<T>(set: Set<T>, item: T): () => void {
  set.add(item);
  return () => void set.delete(item);
}
