// What happened, newest first. Knows nothing about who wrote it.
import { memo } from "react";
import { formatDuration } from "../format.ts";
import { ActButton, Key, Panel } from "../parts.tsx";
import { useUi } from "../store.ts";
import type { LogEntry } from "../../../shared/contract/index.ts";
import type { Commands } from "../commands.ts";

const none: readonly LogEntry[] = [];

export const LogPanel = memo(function LogPanel({ commands }: { readonly commands: Commands | null }) {
  const log = useUi((s) => s.snapshot?.log ?? none);
  return (
    <Panel
      name="log" title="Log" age="log"
      aside={<>
        {commands === null ? null : <ActButton className="chip" onClick={() => commands.run("note")}>add a note <Key>M</Key></ActButton>}
        <span><Key>L</Key> whole log</span>
      </>}
    >
      <LogRows entries={log.slice(-40)} />
    </Panel>
  );
});

const marks: Readonly<Record<LogEntry["severity"], string>> = { info: "", warn: "▲ ", fault: "■ " };

export function LogRows({ entries }: { readonly entries: readonly LogEntry[] }) {
  return (
    <ol className="log" data-testid="log">
      {entries.toReversed().map((e) => <li key={e.id} className={`severity-${e.severity}`}><span>{marks[e.severity]}{e.message}</span><time>{formatDuration(e.atMs)}</time></li>)}
      {entries.length === 0 ? <li className="quiet">Nothing yet</li> : null}
    </ol>
  );
}
