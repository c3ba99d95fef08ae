// What a running session keeps of the models' notices: each once, in a sentence. Knows nothing about how models run.
import type { ModelsNotice } from "../models/runtime.ts";
import type { EventRecord } from "../shared/records.ts";

export interface ModelNotices {
  /** null = this session has it already. */
  recordOf(notice: ModelsNotice): EventRecord | null;
  /** A session begins. */
  forget(): void;
}

/**
 * Every model tries every execution provider of the machine as it is opened: which of them the machine has not is said once a provider, its first reason beside it
 * in the record. A provider that was asked for by name and is not used is a warning.
 */
export function createModelNotices(): ModelNotices {
  const kept = new Set<string>();
  return {
    recordOf(notice) {
      const { kind, provider, wasWanted, model } = notice;
      const left = kind === "providerLeft" && provider !== undefined;
      const message = left ? `Models do not run on ${provider} here${wasWanted === true ? ", which was asked for" : ""}: Verify on the models screen says why.` : notice.message;
      // What happened to the process may happen again.
      if (kind !== "crashed" && kind !== "restarted") {
        if (kept.has(`${kind} ${message}`)) return null;
        kept.add(`${kind} ${message}`);
      }
      const severity = (left && wasWanted !== true) || kind === "notFused" ? "info" : "warn";
      return { kind: "event", category: "engine", severity, code: kind, message, dataJson: left ? JSON.stringify({ model, provider, reason: notice.message }) : "" };
    },
    forget() {
      kept.clear();
    },
  };
}
