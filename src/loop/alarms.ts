// Conditions that are wrong now, each with its beginning, count and sentence. Begin and end go to the session file. Knows nothing about windows.
import type { SessionRecordBody } from "../shared/records.ts";
import type { HostTimeNs } from "../shared/units.ts";

export interface ActiveAlarm {
  readonly code: string;
  readonly severity: "warn" | "fault";
  readonly sinceHostNs: HostTimeNs;
  message: string;
  count: number;
}

export interface Alarms {
  /** Raises or repeats. The first raise is written to the session; repeats count up and, with `always`, are written too. */
  raise(alarm: { readonly code: string; readonly severity: "warn" | "fault"; readonly message: string; readonly always?: boolean; readonly data?: unknown }): void;
  clear(code: string, message: string): void;
  readonly active: readonly ActiveAlarm[];
}

export function createAlarms({ now, record }: { readonly now: () => HostTimeNs; readonly record: (body: SessionRecordBody) => void }): Alarms {
  const active = new Map<string, ActiveAlarm>();
  return {
    raise({ code, severity, message, always = false, data }) {
      const known = active.get(code);
      if (known === undefined) active.set(code, { code, severity, sinceHostNs: now(), message, count: 1 });
      else {
        known.count += 1;
        known.message = message;
      }
      if (known === undefined || always) {
        record({ kind: "event", category: "alarm", severity, code, message, dataJson: data === undefined ? "" : JSON.stringify(data) });
      }
    },
    clear(code, message) {
      const known = active.get(code);
      if (known === undefined) return;
      active.delete(code);
      record({ kind: "event", category: "alarm", severity: "info", code: `${code}.over`, message, dataJson: JSON.stringify({ count: known.count }) });
    },
    get active() {
      return [...active.values()];
    },
  };
}
