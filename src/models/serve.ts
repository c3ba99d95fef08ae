// The models process's side of the line: a runtime that answers calls. Knows nothing about how the process was started.

import { callRuntime, isToModels } from "./messages.ts";
import type { ModelsPort } from "./messages.ts";
import { createRuntime } from "./runtime.ts";
import type { ModelsRuntime } from "./runtime.ts";

/** Serves one client until the line closes. */
export function serveModels(port: ModelsPort): void {
  let runtime: ModelsRuntime | null = null;
  port.onMessage((message) => {
    if (!isToModels(message)) return;
    if (message.kind === "start") {
      runtime = createRuntime(message.modelsDirs, message.settings, {
        onNotice: (notice) => port.post({ kind: "notice", notice }),
        onTrying: (provider) => port.post({ kind: "trying", provider }),
      });
      return;
    }
    const { id, call } = message;
    if (runtime === null) {
      port.post({ kind: "threw", id, message: "expected a start message before the first call" });
      return;
    }
    callRuntime(runtime, call).then(
      (value) => port.post({ kind: "answer", id, value }),
      (error: unknown) => port.post({ kind: "threw", id, message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
}
