// Notes of a recorded session: those of the time, and those written afterwards beside its file. Knows nothing about files.
import { useEffect, useRef, useState } from "react";
import { formatDate, formatDuration } from "../format.ts";
import { Dialog, Key } from "../parts.tsx";
import { TextField } from "../start/fields.tsx";
import type { EngineClient, SessionNotes } from "../../../shared/contract/index.ts";
import type { Fault, Result } from "../../../shared/result.ts";

export function NotesDialog({ client, file, mayWrite, onClose }: { readonly client: EngineClient; readonly file: string; readonly mayWrite: boolean; readonly onClose: () => void }) {
  const [notes, setNotes] = useState<SessionNotes | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [text, setText] = useState("");
  const [from, setFrom] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const take = (answer: Result<SessionNotes, Fault>): boolean => {
    if (answer.ok) setNotes(answer.value);
    setProblem(answer.ok ? null : answer.error.message);
    return answer.ok;
  };
  useEffect(() => {
    field.current?.focus();
    void client.call("sessions.notes", { file }).then(take);
  }, [client, file]);
  const write = async (): Promise<void> => {
    if (text.trim() !== "" && take(await client.call("sessions.note", { file, text: text.trim() }))) setText("");
  };
  const merge = async (): Promise<void> => {
    if (from.trim() !== "" && take(await client.call("sessions.mergeNotes", { file, from: from.trim() }))) setFrom("");
  };
  const none = notes !== null && notes.recorded.length === 0 && notes.later.length === 0;
  return (
    <Dialog title="Notes" onClose={onClose} testid="notes-dialog" wide>
      {problem === null ? null : <p className="status fault" role="alert">■ {problem}</p>}
      {none ? <p className="quiet">No note was written during this session or since.</p> : null}
      <ol className="notes-list" data-testid="notes-list">
        {notes?.recorded.map((n, i) => <li key={`recorded ${i}`}><time>{formatDuration(n.atMs)} into it</time><span>{n.text}</span></li>)}
        {notes?.later.map((n) => <li key={n.id} className="later"><time>{formatDate(n.atUtc)}</time><span>{n.text}</span></li>)}
      </ol>
      {!mayWrite ? null : (
        <>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void write();
            }}
          >
            <textarea
              ref={field} rows={3} maxLength={4000} value={text} placeholder="A note afterwards: kept beside the session with the time of today, what was recorded stays as it is" data-testid="later-note-text"
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || event.shiftKey) return;
                event.preventDefault();
                void write();
              }}
            />
            <div className="dialog-buttons">
              <button type="button" onClick={onClose}>Close <Key>Esc</Key></button>
              <button type="submit" className="primary" disabled={text.trim() === ""} data-testid="later-note-write">Write it <Key>Enter</Key></button>
            </div>
          </form>
          <details>
            <summary>Take over a colleague's notes of this session</summary>
            <form
              className="merge-row"
              onSubmit={(event) => {
                event.preventDefault();
                void merge();
              }}
            >
              <TextField label="A .notes.json file, or another copy of the session file" value={from} onChange={setFrom} />
              <button type="submit" disabled={from.trim() === ""}>Merge</button>
            </form>
          </details>
        </>
      )}
    </Dialog>
  );
}
