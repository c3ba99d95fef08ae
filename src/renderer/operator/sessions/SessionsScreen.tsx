// All past sessions: search, sort, look at one, and verify, export, annotate, resume or import. Knows nothing about files.
import "./sessions.css";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Footer, Wordmark } from "../Header.tsx";
import { VerificationWord } from "../Review.tsx";
import { setTheme, currentTheme } from "../draw/palette.ts";
import { KeysDialog } from "../dialogs.tsx";
import { formatBytes, formatCount, formatDate, formatRate, formatRemaining, ratioOf } from "../format.ts";
import { bindings, type Action } from "../keys.ts";
import { CurvePanel } from "../panels/CurvePanel.tsx";
import { ActButton, Key, Panel, SessionImage } from "../parts.tsx";
import { NotesDialog } from "../replay/NotesDialog.tsx";
import { createStore, StoreContext, useUi, type UiStore } from "../store.ts";
import { useSessions } from "./useSessions.ts";
import { emptyState, foldState, galleryOf } from "../uiState.ts";
import { useKeys } from "../useKeys.ts";
import { nameOf, searchSessions, sortSessions, type SortKey, type Sorting, type StateFilter } from "./browse.ts";
import { ExportDialog, ImportDialog } from "./dialogs.tsx";
import { JobsPanel } from "./JobsPanel.tsx";
import { useJobs, verificationOf } from "./jobs.ts";
import type { RendererClient } from "../../client.ts";
import type { Job, SessionSummary, Snapshot } from "../../../shared/contract/index.ts";
import type { Deeds, Notice } from "../commands.ts";

const states: readonly { readonly value: StateFilter; readonly label: string }[] = [{ value: "all", label: "all" }, { value: "finished", label: "finished" }, { value: "interrupted", label: "interrupted" }, { value: "unreadable", label: "unreadable" }];
const columns: readonly { readonly key: SortKey; readonly label: string; readonly number?: boolean; readonly wideOnly?: boolean }[] = [
  { key: "date", label: "Date" }, { key: "subject", label: "Subject" }, { key: "target", label: "Target" }, { key: "generations", label: "Generations", number: true, wideOnly: true }, { key: "gain", label: "Evolved / reference", number: true },
  { key: "duration", label: "Lasted", number: true, wideOnly: true }, { key: "size", label: "Size", number: true },
];
const stateWords: Readonly<Record<SessionSummary["state"], string>> = { finished: "✓ finished", interrupted: "▲ interrupted", recording: "● recording", unreadable: "■ unreadable" };

const canUse = (s: SessionSummary): boolean => s.state === "finished" || s.state === "interrupted";

export function SessionsScreen(props: { readonly client: RendererClient; readonly deeds: Deeds; readonly notice: Notice | null; readonly chosen: string | null; readonly onChoose: (file: string) => void; readonly onOpen: (session: SessionSummary) => void; readonly onClose: () => void }) {
  const { client, deeds, chosen, onChoose, onOpen } = props;
  const app = useUi((s) => s.app);
  const mayOperate = app?.mayOperate ?? true;
  const jobs = useJobs(client);
  const imported = jobs.filter((j) => j.kind === "import" && j.state === "done").length;
  const list = useSessions(client, imported);
  const [query, setQuery] = useState("");
  const [state, setState] = useState<StateFilter>("all");
  const [sorting, setSorting] = useState<Sorting>({ key: "date", descending: true });
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState<"keys" | "export" | "import" | "notes" | null>(null);
  const search = useRef<HTMLInputElement>(null);
  const sessions = list.sessions ?? [];
  const shown = useMemo(() => sortSessions(searchSessions(list.sessions ?? [], query, state), sorting), [list.sessions, query, state, sorting]);
  const current = shown.find((s) => s.file === chosen) ?? shown[0] ?? null;
  const bytes = shown.reduce((sum, s) => sum + s.sizeBytes, 0);
  /** What an action is about: all that are marked, or else the chosen one. */
  const subject = useMemo(() => {
    const several = shown.filter((s) => marked.has(s.file) && canUse(s));
    return several.length > 0 ? several : current !== null && canUse(current) ? [current] : [];
  }, [shown, marked, current]);

  const mark = useCallback((file: string) => setMarked((old) => {
    const next = new Set(old);
    if (!next.delete(file)) next.add(file);
    return next;
  }), []);

  const run = useCallback((action: Action) => {
    const at = current === null ? -1 : shown.indexOf(current);
    switch (action) {
      case "close": return props.onClose();
      case "help": return setOpen("keys");
      case "theme": return setTheme(currentTheme() === "red" ? "dark" : "red");
      case "search": return search.current?.focus();
      case "back": return at > 0 ? onChoose(shown[at - 1]?.file ?? "") : undefined;
      case "forward": return at + 1 < shown.length ? onChoose(shown[at + 1]?.file ?? "") : undefined;
      case "open": return current !== null && canUse(current) ? onOpen(current) : undefined;
      case "mark": return current !== null && canUse(current) ? mark(current.file) : undefined;
      case "markAll": return setMarked((old) => {
        const all = shown.filter(canUse).map((s) => s.file);
        return all.every((f) => old.has(f)) ? new Set() : new Set(all);
      });
      case "verify": return subject.length > 0 ? void deeds.verify(subject.map((s) => s.file)) : undefined;
      case "export": return subject.length > 0 ? setOpen("export") : undefined;
      case "import": return setOpen("import");
      case "laterNote": return current !== null && canUse(current) ? setOpen("notes") : undefined;
      case "resumeRecorded": return current?.state === "interrupted" ? void deeds.resumeRecorded(current.file) : undefined;
      default: return undefined;
    }
  }, [current, deeds, mark, onChoose, onOpen, props.onClose, shown, subject]);
  useKeys({ place: "sessions", dialogOpen: open !== null, mayOperate, run, first: null });

  const sort = (key: SortKey): void => setSorting((old) => ({ key, descending: old.key === key ? !old.descending : key !== "subject" && key !== "target" }));
  const close = (): void => setOpen(null);
  const usable = shown.filter(canUse);
  const allMarked = usable.length > 0 && usable.every((s) => marked.has(s.file));
  return (
    <div className="browser" data-testid="sessions-screen">
      <header className="top">
        <Wordmark />
        <div className="who"><b>Sessions</b><span title={app?.sessionFolder}>{app?.sessionFolder ?? ""}</span></div>
        <div className="search">
          <input
            ref={search} type="search" autoComplete="off" spellCheck={false} value={query} placeholder="Subject, date, target, rig" aria-label="Search sessions" data-testid="session-search"
            onChange={(event) => setQuery(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Escape" && event.key !== "Enter" && event.key !== "ArrowDown") return;
              event.preventDefault();
              if (event.key === "Escape") setQuery("");
              event.currentTarget.blur();
            }}
          />
          <Key>/</Key>
        </div>
        <div className="segments wide" role="radiogroup" aria-label="State">
          {states.map((s) => <button type="button" role="radio" key={s.value} aria-checked={s.value === state} data-testid={`state-${s.value}`} onMouseDown={(e) => e.preventDefault()} onClick={() => setState(s.value)}>{s.label} {s.value === "all" ? sessions.length : sessions.filter((x) => x.state === s.value).length}</button>)}
        </div>
        <span className="grow" />
        {mayOperate ? <ActButton data-testid="import-button" onClick={() => run("import")}>Import <Key>I</Key></ActButton> : null}
        <ActButton data-testid="close-sessions" onClick={props.onClose}>Back <Key>Esc</Key></ActButton>
      </header>
      <main>
        <section className="panel panel-browser">
          <div className="bulk" data-testid="bulk">
            <span><b>{shown.length}</b> {shown.length === 1 ? "session" : "sessions"}{shown.length < sessions.length ? ` of ${sessions.length}` : ""}, <b data-testid="storage">{formatBytes(bytes)}</b></span>
            <span className="grow" />
            <span className="quiet">{marked.size === 0 ? "Space marks several" : `${subject.length} marked`}</span>
            {mayOperate ? (
              <>
                <ActButton data-testid="verify-marked" disabled={subject.length === 0} onClick={() => run("verify")}>Verify{marked.size > 0 ? ` ${subject.length}` : ""} <Key>K</Key></ActButton>
                <ActButton data-testid="export-marked" disabled={subject.length === 0} onClick={() => run("export")}>Export{marked.size > 0 ? ` ${subject.length}` : ""} <Key>X</Key></ActButton>
              </>
            ) : null}
          </div>
          {list.problem === null ? null : <p className="caution">▲ {list.problem}</p>}
          {props.notice?.severity === "fault" ? <p className="status fault" role="alert" data-testid="notice">■ {props.notice.text}</p> : null}
          <div className="browser-table">
            <table>
              <thead>
                <tr>
                  <th className="check"><input type="checkbox" aria-label="Mark all" checked={allMarked} onChange={() => run("markAll")} /></th>
                  <th className="thumb" aria-label="What evolved" />
                  {columns.map((c) => (
                    <th key={c.key} className={`${c.number === true ? "number" : ""} ${c.wideOnly === true ? "wide-only" : ""}`} aria-sort={sorting.key === c.key ? (sorting.descending ? "descending" : "ascending") : "none"}>
                      <button type="button" data-testid={`sort-${c.key}`} onMouseDown={(e) => e.preventDefault()} onClick={() => sort(c.key)}>{c.label}<i aria-hidden="true">{sorting.key === c.key ? (sorting.descending ? "▼" : "▲") : ""}</i></button>
                    </th>
                  ))}
                  <th>State</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((s) => <Row key={s.file} session={s} chosen={s === current} marked={marked.has(s.file)} jobs={jobs} onMark={mark} onChoose={onChoose} onOpen={onOpen} />)}
              </tbody>
            </table>
            {list.sessions !== null && shown.length === 0 ? <p className="waiting">{sessions.length === 0 ? "No session yet. Record one, or import another lab's evolution." : "No session fits this search."}</p> : null}
          </div>
        </section>
        <div className="browser-side">
          <Chosen client={client} session={current} jobs={jobs} mayOperate={mayOperate} run={run} />
          <JobsPanel jobs={jobs} mayOperate={mayOperate} onCancel={(id) => void deeds.cancelJob(id)} />
        </div>
      </main>
      <Footer>
        {bindings.filter((b) => b.places.includes("sessions") && b.footer !== undefined && (mayOperate || b.watcher === true)).map((b) => <ActButton key={b.action} onClick={() => run(b.action)}>{b.shown.map((k) => <Key key={k}>{k}</Key>)}{b.footer}</ActButton>)}
        <span className="grow" />
        <ActButton onClick={() => setOpen("keys")}><Key>?</Key>all keys</ActButton>
      </Footer>
      {open === "keys" ? <KeysDialog place="sessions" onClose={close} /> : null}
      {open === "notes" && current !== null ? <NotesDialog client={client} file={current.file} mayWrite={mayOperate} onClose={close} /> : null}
      {open === "export" ? <ExportDialog sessions={subject} folder={app?.sessionFolder ?? ""} onExport={deeds.exportSessions} onClose={close} /> : null}
      {open === "import" ? <ImportDialog folder={app?.sessionFolder ?? ""} onImport={deeds.importSession} onClose={close} /> : null}
    </div>
  );
}

function Row({ session: s, chosen, marked, jobs, onMark, onChoose, onOpen }: { readonly session: SessionSummary; readonly chosen: boolean; readonly marked: boolean; readonly jobs: readonly Job[]; readonly onMark: (file: string) => void; readonly onChoose: (file: string) => void; readonly onOpen: (s: SessionSummary) => void }) {
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => { if (chosen) row.current?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  const usable = canUse(s);
  const ratio = ratioOf(s.evolvedLast, s.referenceLast);
  const verification = verificationOf(jobs, s.file);
  if (s.state === "unreadable") {
    return (
      <tr ref={row} className={chosen ? "chosen" : ""} aria-selected={chosen} data-testid="browser-row" data-file={s.file} data-state={s.state} onClick={() => onChoose(s.file)}>
        <td /><td className="thumb"><span className="image-wait" /></td>
        <td colSpan={3}><b>{nameOf(s.file)}</b><small className="quiet problem">{s.problem ?? "It cannot be read."}</small></td>
        <td className="wide-only" /><td /><td className="wide-only" /><td /><td className="state-unreadable">{stateWords[s.state]}</td>
      </tr>
    );
  }
  return (
    <tr ref={row} className={chosen ? "chosen" : ""} aria-selected={chosen} data-testid="browser-row" data-file={s.file} data-state={s.state} onClick={() => onChoose(s.file)} onDoubleClick={() => { if (usable) onOpen(s); }}>
      <td className="check"><input type="checkbox" tabIndex={-1} aria-label={`Mark ${s.subject} of ${formatDate(s.startedUtc)}`} checked={marked} disabled={!usable} onClick={(e) => e.stopPropagation()} onChange={() => onMark(s.file)} /></td>
      <td className="thumb"><SessionImage session={s.id} file={s.file} imageId={s.thumbnailImageId} alt="best image" /></td>
      <td>{formatDate(s.startedUtc)}</td>
      <td><b>{s.subject}</b><small className="quiet">{[s.rig, s.protocol].filter((x) => x !== "").join(" · ")}</small></td>
      <td>{s.target === "" ? <span className="quiet">none yet</span> : s.target}</td>
      <td className="number wide-only">{s.generations}<small className="quiet">{formatCount(s.presentations)} images</small></td>
      <td className="number">{s.evolvedLast === null ? "–" : <><b>{ratio === null ? "" : `${ratio}×`}</b><small><span className="evolved">{formatRate(s.evolvedLast)}</span> / <span className="reference">{formatRate(s.referenceLast)}</span></small></>}</td>
      <td className="number wide-only">{formatRemaining(s.durationS * 1000)}</td>
      <td className="number">{formatBytes(s.sizeBytes)}</td>
      <td className={`state-${s.state}`}>{stateWords[s.state]}{verification === null ? null : <small><VerificationWord verification={{ ...verification, message: { waiting: "", identical: "verified", different: "differs", impossible: "not verifiable" }[verification.state] }} /></small>}</td>
    </tr>
  );
}

/** The chosen session: its curve, its images and what can be done with it. */
function Chosen({ client, session, jobs, mayOperate, run }: { readonly client: RendererClient; readonly session: SessionSummary | null; readonly jobs: readonly Job[]; readonly mayOperate: boolean; readonly run: (action: Action) => void }) {
  const preview = usePreview(client, session);
  if (session === null) return <Panel name="chosen" title="Session"><p className="waiting">Choose a session</p></Panel>;
  const usable = canUse(session);
  return (
    <Panel name="chosen" title={<b className="target-name">{session.subject === "" ? nameOf(session.file) : `${session.subject}, ${formatDate(session.startedUtc)}`}</b>} aside={<span title={session.file}>{nameOf(session.file)}</span>}>
      {preview === null ? <div className="preview"><p className="waiting">{usable ? "" : (session.problem ?? "It is being recorded")}</p></div> : (
        <StoreContext value={preview.store}>
          <div className="preview"><CurvePanel threads={firstThread} thread={0} marked={null} onThread={() => undefined} /></div>
          <Strip session={session} snapshot={preview.snapshot} />
        </StoreContext>
      )}
      <VerifiedLine jobs={jobs} file={session.file} />
      <div className="chosen-deeds">
        <ActButton className="primary" data-testid="open-session" disabled={!usable} onClick={() => run("open")}>Open and replay <Key>Enter</Key></ActButton>
        {mayOperate && session.state === "interrupted" ? <ActButton className="primary" data-testid="resume-session" onClick={() => run("resumeRecorded")}>Resume <Key>U</Key></ActButton> : null}
        <ActButton data-testid="notes-session" disabled={!usable} onClick={() => run("laterNote")}>Notes <Key>M</Key></ActButton>
      </div>
    </Panel>
  );
}

function VerifiedLine({ jobs, file }: { readonly jobs: readonly Job[]; readonly file: string }) {
  const verification = verificationOf(jobs, file);
  return verification === null ? null : <p className="verified-line"><VerificationWord verification={verification} /></p>;
}

function Strip({ session, snapshot }: { readonly session: SessionSummary; readonly snapshot: Snapshot }) {
  const items = useMemo(() => {
    const all = galleryOf(snapshot.gallery, 0, "best");
    const every = Math.max(1, Math.ceil(all.length / 7));
    return all.filter((item, i) => i === all.length - 1 || i % every === 0).slice(-8);
  }, [snapshot]);
  return <ol className="preview-strip">{items.map((item) => <li key={item.generation}><SessionImage session={session.id} file={session.file} imageId={item.imageId} alt={`best image of generation ${item.generation}`} /><span className="quiet">gen {item.generation} <b>{formatRate(item.rateHz)}</b></span></li>)}</ol>;
}

const firstThread: readonly number[] = [0];
const previewAfterMs = 150;

function usePreview(client: RendererClient, session: SessionSummary | null): { readonly store: UiStore; readonly snapshot: Snapshot } | null {
  const [held, setHeld] = useState<{ readonly file: string; readonly store: UiStore; readonly snapshot: Snapshot } | null>(null);
  const file = session !== null && canUse(session) ? session.file : null;
  useEffect(() => {
    if (file === null) return;
    let over = false;
    const timer = setTimeout(() => {
      void client.call("sessions.open", { file }).then((answer) => {
        if (over || !answer.ok) return;
        setHeld({ file, snapshot: answer.value, store: createStore(foldState(emptyState, { type: "review", file, snapshot: answer.value })) });
      });
    }, previewAfterMs);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [client, file]);
  return held !== null && held.file === file ? held : null;
}
