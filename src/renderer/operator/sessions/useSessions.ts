// The list of past sessions, newest first, asked for again when the link comes back. Knows nothing about layout.
import { useEffect, useState } from "react";
import { useUi } from "../store.ts";
import type { EngineClient, SessionSummary } from "../../../shared/contract/index.ts";

export interface ListedSessions {
  /** null until they are here. */
  readonly sessions: readonly SessionSummary[] | null;
  readonly problem: string | null;
}

/** Another `version` asks again. */
export function useSessions(client: EngineClient, version = 0): ListedSessions {
  const [list, setList] = useState<ListedSessions>({ sessions: null, problem: null });
  const link = useUi((s) => s.link);
  useEffect(() => {
    if (link !== "up") return;
    let over = false;
    void client.call("sessions.list", {}).then((answer) => {
      if (over) return;
      setList(answer.ok ? { sessions: answer.value.toSorted((a, b) => b.startedUtc.localeCompare(a.startedUtc)), problem: null } : { sessions: [], problem: answer.error.message });
    });
    return () => { over = true; };
  }, [client, link, version]);
  return list;
}
