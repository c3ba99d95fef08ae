// What opens over the console: note, keys, alarms, log, all images of a generation. Knows nothing about panels.
import { useEffect, useRef, useState } from "react";
import { adviceFor } from "./alarmAdvice.ts";
import { formatDuration, formatRate } from "./format.ts";
import { bindings, type Place } from "./keys.ts";
import { Dialog, Key, SessionImage } from "./parts.tsx";
import { LogRows } from "./panels/LogPanel.tsx";
import { useUi } from "./store.ts";
import { channelLabel, targetsOf } from "./uiState.ts";
import type { Alarm, EngineClient, GalleryItem, LogEntry } from "../../shared/contract/index.ts";

export function NoteDialog({ onWrite, onClose }: { readonly onWrite: (text: string) => Promise<boolean>; readonly onClose: () => void }) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const write = async (): Promise<void> => {
    if (text.trim() !== "" && (await onWrite(text.trim()))) onClose();
  };
  return (
    <Dialog title="Note" onClose={onClose} testid="note-dialog">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void write();
        }}
      >
        <textarea
          ref={field} rows={3} maxLength={4000} value={text} placeholder="What you see; the time is kept with it" data-testid="note-text"
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey) return;
            event.preventDefault();
            void write();
          }}
        />
        <div className="dialog-buttons">
          <button type="button" onClick={onClose}>Leave it <Key>Esc</Key></button>
          <button type="submit" className="primary" disabled={text.trim() === ""}>Write it <Key>Enter</Key></button>
        </div>
      </form>
    </Dialog>
  );
}

/** Several evolutions: which of them takes the channel. */
export function TargetDialog(props: { readonly channel: number; readonly threads: readonly number[]; readonly thread: number; readonly onPick: (thread: number) => void; readonly onClose: () => void }) {
  const targets = useUi(targetsOf);
  const channels = useUi((s) => s.snapshot?.channels);
  const nameOf = (channel: number | undefined): string => channelLabel(channels?.find((c) => c.index === channel), channel);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.querySelector<HTMLButtonElement>("[data-looked=true]")?.focus(), []);
  return (
    <Dialog title={`Which evolution takes ${nameOf(props.channel)}?`} onClose={props.onClose} testid="target-dialog">
      <div
        className="pick-thread" ref={list}
        onKeyDown={(event) => {
          const thread = props.threads[Number(event.key) - 1];
          if (thread === undefined) return;
          event.preventDefault();
          props.onPick(thread);
        }}
      >
        {props.threads.map((thread, i) => (
          <button type="button" key={thread} data-testid={`pick-thread-${thread + 1}`} data-looked={thread === props.thread} onClick={() => props.onPick(thread)}>
            <b className="thread-number">{thread + 1}</b><span>Evolution {thread + 1}</span><span className="quiet">now {nameOf(targets[thread])}</span><Key>{i + 1}</Key>
          </button>
        ))}
      </div>
      <p className="quiet">From the next generation on. <Key>Esc</Key> leaves the targets as they are.</p>
    </Dialog>
  );
}

export function KeysDialog({ place, onClose }: { readonly place: Place; readonly onClose: () => void }) {
  return (
    <Dialog title="All keys" onClose={onClose} testid="keys-dialog" wide>
      <dl className="key-list">
        {bindings.filter((b) => b.places.includes(place)).map((b) => (
          <div key={b.action}><dt>{b.shown.map((k) => <Key key={k}>{k}</Key>)}</dt><dd>{b.does}</dd></div>
        ))}
      </dl>
      <p className="quiet">Tab goes through buttons and fields. The reward keys also work while a question is open, F8 even while you type.</p>
    </Dialog>
  );
}

const noAlarms: readonly Alarm[] = [];

export function AlarmsDialog({ onClose }: { readonly onClose: () => void }) {
  const alarms = useUi((s) => s.snapshot?.live?.alarms ?? noAlarms);
  return (
    <Dialog title={alarms.length === 0 ? "No alarm" : "Alarms, and what to do"} onClose={onClose} testid="alarms-dialog" wide>
      <ul className="alarm-list">
        {alarms.toSorted((a, b) => Number(b.severity === "fault") - Number(a.severity === "fault") || b.sinceMs - a.sinceMs).map((a) => {
          const advice = adviceFor(a.code);
          return (
            <li key={a.code} className={a.severity} data-testid="alarm" data-code={a.code}>
              <b>{a.severity === "fault" ? "■" : "▲"}</b>
              <div>
                {advice === null ? null : <h4>{advice.title}</h4>}
                <p>{a.message}</p>
                {advice === null ? null : <><p className="meanwhile">{advice.meanwhile}</p><ol>{advice.todo.map((line) => <li key={line}>{line}</li>)}</ol></>}
              </div>
              <small>since {formatDuration(a.sinceMs)}{a.count > 1 ? `, ${a.count} times` : ""}</small>
            </li>
          );
        })}
      </ul>
      {alarms.length === 0 ? <p className="quiet">What was wrong before stands in the log with its beginning and end.</p> : null}
    </Dialog>
  );
}

const noLog: readonly LogEntry[] = [];

export function LogDialog({ onClose }: { readonly onClose: () => void }) {
  const log = useUi((s) => s.snapshot?.log ?? noLog);
  return <Dialog title="Log" onClose={onClose} testid="log-dialog" wide><div className="tall"><LogRows entries={log} /></div></Dialog>;
}

/** Every image of one generation, best first; arrows go to the generations beside it. */
export function GenerationDialog(props: { readonly client: EngineClient; readonly thread: number; readonly generation: number; readonly generations: readonly number[]; readonly onMove: (generation: number) => void; readonly onClose: () => void }) {
  const { client, thread, generation } = props;
  const file = useUi((s) => s.file);
  const session = useUi((s) => s.snapshot?.session?.id ?? "");
  const [items, setItems] = useState<{ readonly generation: number; readonly list: readonly GalleryItem[]; readonly problem: string | null } | null>(null);
  useEffect(() => {
    let over = false;
    void client.call("images.ofGeneration", { file, thread, generation }).then((answer) => {
      if (!over) setItems(answer.ok ? { generation, list: answer.value, problem: null } : { generation, list: [], problem: answer.error.message });
    });
    return () => { over = true; };
  }, [client, file, thread, generation]);
  const move = (by: number): void => {
    const next = props.generations[props.generations.indexOf(generation) + by];
    if (next !== undefined) props.onMove(next);
  };
  const best = items?.list.reduce((max, i) => Math.max(max, i.rateHz), 0) ?? 0;
  return (
    <Dialog title={<>Generation {generation} <span className="quiet">{items === null ? "" : `${items.list.length} images, best first`}</span></>} onClose={props.onClose} testid="generation-dialog" wide>
      <div
        className="sheet-wrap" tabIndex={-1} ref={(element) => element?.focus()}
        onKeyDown={(event) => {
          if (event.key === "ArrowLeft") move(-1);
          if (event.key === "ArrowRight") move(1);
        }}
      >
        {items?.problem == null ? null : <p className="status fault">{items.problem}</p>}
        <ol className="sheet">
          {items?.list.map((item) => (
            <li key={item.imageId} className={item.role === "reference" ? "reference" : "evolved"}>
              <SessionImage session={session} file={file} imageId={item.imageId} alt={item.label} />
              <span className="rate-bar"><i style={{ transform: `scaleX(${best > 0 ? Math.max(0, item.rateHz) / best : 0})` }} /></span>
              <span><b>{formatRate(item.rateHz)}</b> {item.role === "reference" ? "reference" : ""}</span>
            </li>
          ))}
        </ol>
      </div>
      <p className="quiet"><Key>←</Key> <Key>→</Key> other generations <Key>Esc</Key> close. Rates in spikes/s.</p>
    </Dialog>
  );
}
