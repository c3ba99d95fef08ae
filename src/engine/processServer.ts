// The engine's side of the process link: many callers over one link (child_process) or over a port each (utilityProcess).
// Knows nothing about windows or sockets, nor what the engine does.
import { createDispatch } from "./dispatch.ts";
import { eventFrame } from "./link.ts";
import { toEngine } from "./processProtocol.ts";
import { assertNever } from "../shared/result.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Caller, Engine, EngineEvent, EngineOptions } from "./engineTypes.ts";
import type { FromEngine, ToEngine } from "./processProtocol.ts";
import type { EngineFrame, EventName } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";

/** Where the process ends by itself: a bug that nothing caught. */
export const exitCodeOfBug = 70;
const lastCloseMs = 4000;
/** Time for the last message to leave this process. */
const lastMessageMs = 50;

/** A window's own port; Electron's MessagePortMain has this shape. */
export interface WindowPort {
  postMessage(message: unknown): void;
  on(event: "message", listener: (event: { readonly data: unknown }) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  start(): void;
  close(): void;
}

/** The link to the host that started this process. */
export interface ParentLink {
  post(message: FromEngine): void;
  onMessage(listener: (message: unknown, ports: readonly WindowPort[]) => void): void;
  /** The host is gone. */
  onGone(listener: () => void): void;
}

export type CreateEngine = (options: EngineOptions) => Promise<Result<Engine, Fault>>;

/** This process, as far as the engine's life decides about it. */
export interface OwnProcess {
  exit(exitCode: number): void;
  /** A bug that nothing caught. */
  onBug(listener: (error: unknown) => void): void;
  onTerminate(listener: () => void): void;
}

export const thisProcess: OwnProcess = {
  exit: (exitCode) => process.exit(exitCode),
  onBug: (listener) => void process.on("uncaughtException", listener).on("unhandledRejection", listener),
  onTerminate: (listener) => {
    process.on("SIGTERM", listener);
    // A terminal sends Ctrl+C to the whole group; the host decides what it means and asks this process to close.
    process.on("SIGINT", () => undefined);
  },
};

/** Runs an engine for the host at the other end until it is asked to close or the host is gone. Ends this process. */
export function serveEngine(parent: ParentLink, create: CreateEngine, own: OwnProcess = thisProcess): void {
  const callers = new Map<string, { readonly caller: Caller; readonly receive: (frame: EngineFrame) => void; readonly wants: ReadonlySet<EventName> | null; readonly port: WindowPort | null }>();
  let starting: Promise<Engine | null> | null = null;
  let engine: Engine | null = null;
  let dispatch: Dispatch | null = null;
  let forward: ReadonlySet<EventName> | null = new Set();
  let ending = false;

  const end = (exitCode: number): void => {
    if (ending) return;
    ending = true;
    const exit = (): void => own.exit(exitCode);
    setTimeout(exit, lastCloseMs).unref();
    void Promise.resolve(starting).then((started) => started?.close()).catch((error: unknown) => parent.post({ kind: "problem", text: `closing failed: ${describe(error)}` })).finally(() => setTimeout(exit, lastMessageMs));
  };

  const deliver = (event: EngineEvent): void => {
    const frame = eventFrame(event);
    if (event.callerId !== null) {
      callers.get(event.callerId)?.receive(frame);
      return;
    }
    if (forward === null || forward.has(event.event)) parent.post({ kind: "frame", callerId: null, frame });
    for (const { port, wants, receive } of callers.values()) if (port !== null && (wants === null || wants.has(event.event))) receive(frame);
  };

  const start = async (message: Extract<ToEngine, { kind: "start" }>): Promise<Engine | null> => {
    forward = message.forward === null ? null : new Set(message.forward);
    const created = await create(message.options);
    if (!created.ok) {
      parent.post({ kind: "failed", error: created.error });
      end(1);
      return null;
    }
    engine = created.value;
    dispatch = createDispatch({ handlers: engine.handlers, logBug: (text) => parent.post({ kind: "problem", text }) });
    engine.subscribe(deliver);
    parent.post({ kind: "ready" });
    return engine;
  };

  const detach = (callerId: string): void => {
    const gone = callers.get(callerId);
    if (!callers.delete(callerId)) return;
    gone?.port?.close();
    engine?.callerGone(callerId);
  };

  const run = (callerId: string, frame: unknown): void => {
    const from = callers.get(callerId);
    if (from === undefined || dispatch === null) return;
    void dispatch(from.caller, frame).then((reply) => callers.get(callerId)?.receive(reply));
  };

  const attachPort = (message: Extract<ToEngine, { kind: "attachPort" }>, port: WindowPort | undefined): void => {
    if (port === undefined) throw new Error(`expected a port with attachPort for ${message.callerId}, got none`);
    const { callerId } = message;
    callers.set(callerId, { caller: { id: callerId, access: message.access }, receive: (frame) => port.postMessage(frame), wants: message.events === null ? null : new Set(message.events), port });
    port.on("message", (event) => run(callerId, event.data));
    port.on("close", () => detach(callerId));
    port.start();
  };

  const handle = (message: ToEngine, ports: readonly WindowPort[]): void => {
    switch (message.kind) {
      case "start":
        starting ??= start(message);
        starting.catch((error: unknown) => die(error));
        return;
      case "attach": {
        const { callerId } = message;
        callers.set(callerId, { caller: { id: callerId, access: message.access }, receive: (frame) => parent.post({ kind: "frame", callerId, frame }), wants: null, port: null });
        return;
      }
      case "attachPort":
        attachPort(message, ports[0]);
        return;
      case "frame":
        run(message.callerId, message.frame);
        return;
      case "detach":
        detach(message.callerId);
        return;
      case "close":
        end(0);
        return;
      default:
        assertNever(message);
    }
  };

  const die = (error: unknown): void => {
    parent.post({ kind: "problem", text: `the engine's process met a bug and ends: ${describe(error)}` });
    end(exitCodeOfBug);
  };

  own.onBug(die);
  own.onTerminate(() => end(0));
  parent.onGone(() => end(0));
  parent.onMessage((message, ports) => handle(toEngine.parse(message), ports));
}

/** The link to whoever started this process: Electron's main process or a plain Node host. */
export function parentLink(): ParentLink {
  const port: unknown = Reflect.get(process, "parentPort");
  if (isParentPort(port)) return overParentPort(port);
  const send = process.send?.bind(process);
  if (send === undefined) throw new Error("expected to be started by a host (fork or utilityProcess), got no link to one; run `evoked serve` instead");
  return {
    // A host that has just gone cannot be told anything; `disconnect` follows and ends this process.
    post: (message) => void (process.connected && send(message, undefined, undefined, () => undefined)),
    onMessage: (listener) => void process.on("message", (message) => listener(message, [])),
    onGone: (listener) => void process.on("disconnect", listener),
  };
}

interface ParentPort {
  postMessage(message: unknown): void;
  on(event: "message", listener: (event: { readonly data: unknown; readonly ports: readonly WindowPort[] }) => void): unknown;
}

function isParentPort(port: unknown): port is ParentPort {
  return typeof port === "object" && port !== null && "postMessage" in port && "on" in port;
}

function overParentPort(port: ParentPort): ParentLink {
  return {
    post: (message) => port.postMessage(message),
    onMessage: (listener) => void port.on("message", (event) => listener(event.data, event.ports)),
    // Electron ends its utility processes with itself.
    onGone: () => undefined,
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
