// What passes between the models process and its client: calls, answers, notices. Plain data and typed arrays only.
// Knows nothing about how the messages travel.

import type { ModelsNotice, ModelsRuntime, RuntimeSettings } from "./runtime.ts";

export type RuntimeMethod = keyof ModelsRuntime;

/** One call of the runtime by name. */
export type RuntimeCall = { [M in RuntimeMethod]: { readonly method: M; readonly args: Parameters<ModelsRuntime[M]> } }[RuntimeMethod];

export type ToModels =
  | { readonly kind: "start"; readonly modelsDirs: readonly string[]; readonly settings: RuntimeSettings }
  | { readonly kind: "call"; readonly id: number; readonly call: RuntimeCall };

export type FromModels =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  /** A bug in the process: the call threw. */
  | { readonly kind: "threw"; readonly id: number; readonly message: string }
  | { readonly kind: "notice"; readonly notice: ModelsNotice }
  /** The provider about to be touched, null after: whom to blame for a crash. */
  | { readonly kind: "trying"; readonly provider: string | null };

/** Either end of the line to the models process: child process IPC, Electron's parentPort or MessagePort, or a pair in memory. */
export interface ModelsPort {
  post(message: ToModels | FromModels): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once when the other end is gone, with what is known about why. */
  onClosed(listener: (reason: string) => void): void;
  /** Ends the other end (client side) or the line (process side). */
  close(): Promise<void>;
}

/** Both ends are always the same version of this program, so a look at the kind is enough. */
export function isToModels(message: unknown): message is ToModels {
  return hasKind(message, ["start", "call"]);
}

export function isFromModels(message: unknown): message is FromModels {
  return hasKind(message, ["answer", "threw", "notice", "trying"]);
}

function hasKind(message: unknown, kinds: readonly string[]): boolean {
  return typeof message === "object" && message !== null && "kind" in message && typeof message.kind === "string" && kinds.includes(message.kind);
}

export function callRuntime(runtime: ModelsRuntime, call: RuntimeCall): Promise<unknown> {
  switch (call.method) {
    case "entries": return runtime.entries();
    case "refresh": return runtime.refresh();
    case "open": return runtime.open(...call.args);
    case "decode": return runtime.decode(...call.args);
    case "decodeParts": return runtime.decodeParts(...call.args);
    case "features": return runtime.features(...call.args);
    case "tail": return runtime.tail(...call.args);
    case "detect": return runtime.detect(...call.args);
    case "openFused": return runtime.openFused(...call.args);
    case "fusedFeatures": return runtime.fusedFeatures(...call.args);
    case "providers": return runtime.providers();
    case "choose": return runtime.choose(...call.args);
    case "close": return runtime.close();
  }
}
