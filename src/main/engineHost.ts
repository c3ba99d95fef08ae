// The engine as Electron's utility process: starts it, hands it a port for every window, reports its end once.
// Knows nothing about windows. Frames never pass through here.
import { MessageChannelMain, utilityProcess } from "electron";
import { createDownSignal } from "../engine/link.ts";
import { describeEnd } from "../engine/processClient.ts";
import { fromEngine } from "../engine/processProtocol.ts";
import { events } from "../shared/contract/index.ts";
import { assertNever, fault, ok } from "../shared/result.ts";
import type { MessagePortMain } from "electron";
import type { EngineDown } from "../engine/link.ts";
import type { Stage } from "../engine/processClient.ts";
import type { EngineOptions } from "../engine/engineTypes.ts";
import type { ToEngine } from "../engine/processProtocol.ts";
import type { Access, EventName, Phase } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";

export interface EngineHost {
  /** A new link for a window: the end that goes to it. `wants` names the broadcasts it gets; null = all. */
  link(callerId: string, access: readonly Access[], wants: readonly EventName[] | null): MessagePortMain;
  phase(): Phase;
  onPhase(listener: (phase: Phase) => void): void;
  onDown(listener: (down: EngineDown) => void): void;
  close(): Promise<EngineDown>;
}

export interface EngineHostOptions {
  /** The built process.js. */
  readonly entry: string;
  readonly engine: EngineOptions;
  readonly log: (text: string) => void;
  readonly startTimeoutMs?: number;
  readonly closeTimeoutMs?: number;
}

/** Errors: what the engine says of its options, `engineSilent`, `engineDied`. */
export async function startEngineHost(options: EngineHostOptions): Promise<Result<EngineHost, Fault>> {
  const child = utilityProcess.fork(options.entry, [], { serviceName: "Evoked engine", stdio: ["ignore", "pipe", "pipe"] });
  const down = createDownSignal();
  const phaseListeners = new Set<(phase: Phase) => void>();
  let phase: Phase = "idle";
  let stage: Stage = "starting";
  let lastWords = "";
  const note = (text: string): void => {
    lastWords = `${lastWords}${text}`.slice(-4000);
    options.log(text);
  };
  child.stdout?.on("data", (part) => note(String(part)));
  child.stderr?.on("data", (part) => note(String(part)));
  const post = (message: ToEngine, ports: MessagePortMain[] = []): void => child.postMessage(message, ports);

  const started = new Promise<Result<null, Fault>>((resolve) => {
    const startTimeoutMs = options.startTimeoutMs ?? 60_000;
    const timer = setTimeout(() => resolve(fault("engineSilent", `Expected the engine to be ready within ${startTimeoutMs / 1000} s, got no word from it. A slow disk or a model that does not load can be the cause.`)), startTimeoutMs);
    child.on("message", (raw: unknown) => {
      const message = fromEngine.parse(raw);
      switch (message.kind) {
        case "ready":
          return resolve(ok(null));
        case "failed":
          return resolve({ ok: false, error: message.error });
        case "problem":
          return note(`${message.text}\n`);
        case "frame":
          if ("event" in message.frame && message.frame.event === "session") {
            phase = phaseOf(message.frame.payload);
            for (const listener of phaseListeners) listener(phase);
          }
          return;
        default:
          return assertNever(message);
      }
    });
    child.on("exit", (code) => {
      clearTimeout(timer);
      const ended = down.fire(describeEnd({ exitCode: code, signal: null, stage, lastWords }));
      resolve(fault("engineDied", ended.message));
    });
  });

  post({ kind: "start", options: options.engine, forward: ["session"] });
  const outcome = await started;
  if (!outcome.ok) {
    child.kill();
    return outcome;
  }
  stage = "running";
  const gone = new Promise<EngineDown>((resolve) => down.listen(resolve));
  return ok({
    link(callerId, access, wants) {
      const { port1, port2 } = new MessageChannelMain();
      post({ kind: "attachPort", callerId, access: [...access], events: wants === null ? null : [...wants] }, [port1]);
      return port2;
    },
    phase: () => phase,
    onPhase: (listener) => void phaseListeners.add(listener),
    onDown: (listener) => void down.listen(listener),
    close() {
      if (stage === "running") {
        stage = "closing";
        post({ kind: "close" });
        setTimeout(() => child.kill(), options.closeTimeoutMs ?? 10_000).unref();
      }
      return gone;
    },
  });
}

function phaseOf(payload: unknown): Phase {
  const parsed = events.session.safeParse(payload);
  if (!parsed.success) throw new Error(`expected a session event with a phase, got ${JSON.stringify(payload)}`);
  return parsed.data.phase;
}
