// Conditions that are wrong now, each with its beginning, count and sentence. Begin and end go to the session file. Knows nothing about windows.
import type { SessionRecordBody } from "../shared/records.ts";
import { addMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";

export interface ActiveAlarm {
  readonly code: string;
  readonly severity: "warn" | "fault";
  readonly sinceHostNs: HostTimeNs;
  message: string;
  count: number;
  /** Something that happened, not something that lasts: it leaves the list by itself. null = it lasts until it is cleared. */
  untilHostNs: HostTimeNs | null;
}

export interface AlarmText {
  readonly code: string;
  readonly severity: "warn" | "fault";
  readonly message: string;
  readonly data?: unknown;
}

/** How long something that happened stays in the list. */
const shownMs = 15_000;

export interface Alarms {
  /** A condition begins, or goes on: it is written when it begins and counted after. */
  raise(alarm: AlarmText): void;
  /** Something went wrong once: written every time, in the list for a while. */
  report(alarm: AlarmText): void;
  /** The condition is over. */
  clear(code: string, message: string): void;
  /** Takes reported ones off the list when they have been there long enough. */
  expire(): void;
  readonly active: readonly ActiveAlarm[];
}

export function createAlarms({ now, record }: { readonly now: () => HostTimeNs; readonly record: (body: SessionRecordBody) => void }): Alarms {
  const active = new Map<string, ActiveAlarm>();

  /** Returns whether it is new. */
  function add({ code, severity, message }: AlarmText, untilHostNs: HostTimeNs | null): boolean {
    const known = active.get(code);
    if (known === undefined) {
      active.set(code, { code, severity, sinceHostNs: now(), message, count: 1, untilHostNs });
      return true;
    }
    known.count += 1;
    known.message = message;
    known.untilHostNs = untilHostNs;
    return false;
  }

  function write({ code, severity, message, data }: AlarmText): void {
    record({ kind: "event", category: "alarm", severity, code, message, dataJson: data === undefined ? "" : JSON.stringify(data) });
  }

  return {
    raise(alarm) {
      if (add(alarm, null)) write(alarm);
    },
    report(alarm) {
      add(alarm, addMs(now(), shownMs));
      write(alarm);
    },
    clear(code, message) {
      const known = active.get(code);
      if (known === undefined) return;
      active.delete(code);
      record({ kind: "event", category: "alarm", severity: "info", code: `${code}.over`, message, dataJson: JSON.stringify({ count: known.count }) });
    },
    expire() {
      for (const alarm of active.values()) if (alarm.untilHostNs !== null && now() > alarm.untilHostNs) active.delete(alarm.code);
    },
    get active() {
      return [...active.values()];
    },
  };
}
