// Past sessions, newest first. Knows nothing about files.
import { useRef } from "react";
import { formatBytes, formatDate, formatRate, formatRemaining, ratioOf } from "../format.ts";
import { ActButton, Key, Panel, SessionImage } from "../parts.tsx";
import type { SessionSummary } from "../../../shared/contract/index.ts";

const stateWords: Readonly<Record<SessionSummary["state"], string>> = { finished: "finished", interrupted: "▲ interrupted", recording: "● recording", unreadable: "■ unreadable" };

export function SessionsList(props: { readonly sessions: readonly SessionSummary[] | null; readonly problem: string | null; readonly folder: string; readonly onOpen: (session: SessionSummary) => void; readonly onBrowse: () => void }) {
  const list = useRef<HTMLOListElement>(null);
  const move = (event: React.KeyboardEvent): void => {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by === 0) return;
    const rows = [...(list.current?.querySelectorAll<HTMLButtonElement>("button") ?? [])];
    const next = rows[rows.findIndex((r) => r === document.activeElement) + by];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  };
  const scale = Math.max(1, ...(props.sessions ?? []).flatMap((s) => [s.evolvedLast ?? 0, s.referenceLast ?? 0]));
  return (
    <Panel name="sessions" title="Sessions" aside={<span className="quiet" title={props.folder}>{props.sessions === null ? "" : `${props.sessions.length} in ${shortPath(props.folder)}`}</span>}>
      {props.problem === null ? null : <p className="caution">▲ {props.problem}</p>}
      {props.sessions?.length === 0 ? <p className="waiting">No session yet. The first one will stand here, with the picture that its neuron liked best.</p> : null}
      <ol className="sessions" ref={list} onKeyDown={move}>
        {props.sessions?.map((s) => (
          <li key={s.file}>
            <button type="button" data-testid="session-row" data-file={s.file} data-state={s.state} disabled={s.state === "unreadable" || s.state === "recording"} onClick={() => props.onOpen(s)} title={s.file}>
              <SessionImage session={s.id} file={s.file} imageId={s.thumbnailImageId} alt="best image" />
              <span className="main">
                <span><b>{s.subject}</b> <span className="quiet">{formatDate(s.startedUtc)}</span></span>
                <span className="quiet">{s.state === "unreadable" ? (s.problem ?? "cannot be read") : `${s.target === "" ? "no target yet" : s.target}, ${s.generations} generations, ${formatRemaining(s.durationS * 1000)}, ${formatBytes(s.sizeBytes)}`}</span>
                {s.state === "finished" ? null : <span className={`state state-${s.state}`}>{stateWords[s.state]}{s.state === "interrupted" ? ", can be resumed" : ""}</span>}
              </span>
              <Outcome session={s} scale={scale} />
            </button>
          </li>
        ))}
      </ol>
      <p className="panel-foot quiet"><ActButton className="chip all-sessions" data-testid="browse-button" onClick={props.onBrowse}>All sessions: search, verify, export <Key>B</Key></ActButton><Key>↑</Key> <Key>↓</Key> move <Key>Enter</Key> opens</p>
    </Panel>
  );
}

function Outcome({ session, scale }: { readonly session: SessionSummary; readonly scale: number }) {
  const ratio = ratioOf(session.evolvedLast, session.referenceLast);
  if (session.evolvedLast === null) return <span className="outcome" />;
  return (
    <span className="outcome">
      <b>{ratio === null ? formatRate(session.evolvedLast) : `${ratio}×`}</b>
      <span className="bar evolved"><i style={{ transform: `scaleX(${session.evolvedLast / scale})` }} /></span><small className="evolved">{formatRate(session.evolvedLast)}</small>
      {session.referenceLast === null ? null : <><span className="bar reference"><i style={{ transform: `scaleX(${session.referenceLast / scale})` }} /></span><small className="reference">{formatRate(session.referenceLast)}</small></>}
    </span>
  );
}

function shortPath(path: string): string {
  const parts = path.split(/[\\/]/).filter((p) => p !== "");
  return parts.length <= 2 ? path : `…/${parts.slice(-2).join("/")}`;
}
