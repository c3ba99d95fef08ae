// Notes that are written after a session, in a file beside it: monday.evoked has monday.notes.json. What was recorded never changes.
// Knows nothing about windows.
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, parse } from "node:path";
import { z } from "zod";
import { openSession } from "./reader.ts";
import { laterNote } from "../shared/contract/index.ts";
import type { LaterNote, SessionNotes } from "../shared/contract/index.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { nsPerMs } from "../shared/units.ts";

const notesFile = z.object({ format: z.literal("evoked notes"), version: z.literal(1), session: z.string(), notes: z.array(laterNote) });

export function notesFileOf(sessionFile: string): string {
  const { dir, name } = parse(sessionFile);
  return join(dir, `${name}.notes.json`);
}

/** Errors: those of opening a session, `notesUnreadable`. */
export function readNotes(sessionFile: string): Result<SessionNotes & { readonly sessionId: string }, Fault> {
  const later = readLater(notesFileOf(sessionFile));
  if (!later.ok) return later;
  const opened = openSession(sessionFile);
  if (!opened.ok) return opened;
  const reader = opened.value;
  try {
    const notes = reader.events().filter((e) => e.category !== "input" && e.code === "note");
    const runs = reader.runs();
    const startNs = runs[0] === undefined ? 0 : reader.span(runs[0].run).firstHostNs;
    return ok({ sessionId: reader.info().id, recorded: notes.map((e) => ({ atMs: Math.max(0, (e.hostNs - startNs) / nsPerMs), text: e.message })), later: later.value?.notes ?? [] });
  } finally {
    reader.close();
  }
}

/** Errors: those of readNotes, `notWritable`. */
export function addNote(sessionFile: string, text: string, atUtc: string): Result<SessionNotes, Fault> {
  return write(sessionFile, [{ id: randomUUID(), atUtc, text }]);
}

/** Takes over the notes of another copy: of a session file or of a notes file. Errors: those of addNote, `otherSession`. */
export function mergeNotes(sessionFile: string, from: string): Result<SessionNotes, Fault> {
  const file = from.endsWith(".json") ? from : notesFileOf(from);
  if (!existsSync(file)) return fault("notesUnreadable", `Expected notes at ${file}; there are none. Choose a .notes.json file, or a session that has one beside it.`);
  const other = readLater(file);
  if (!other.ok) return other;
  const here = readNotes(sessionFile);
  if (!here.ok) return here;
  if (other.value !== null && other.value.session !== here.value.sessionId) return fault("otherSession", `Expected notes of session ${here.value.sessionId}, got notes of ${other.value.session} in ${file}. Choose the notes of the same session.`);
  return write(sessionFile, other.value?.notes ?? []);
}

function write(sessionFile: string, added: readonly LaterNote[]): Result<SessionNotes, Fault> {
  const here = readNotes(sessionFile);
  if (!here.ok) return here;
  const { sessionId, recorded } = here.value;
  const byId = new Map([...here.value.later, ...added].map((note) => [note.id, note]));
  const later = [...byId.values()].sort((a, b) => a.atUtc.localeCompare(b.atUtc) || a.id.localeCompare(b.id));
  const file = notesFileOf(sessionFile);
  const temporary = `${file}.partial`;
  try {
    writeFileSync(temporary, `${JSON.stringify({ format: "evoked notes", version: 1, session: sessionId, notes: later }, null, 2)}\n`);
    const descriptor = openSync(temporary, "r+");
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(temporary, file);
  } catch (error) {
    return fault("notWritable", `Expected to write notes to ${file}, got: ${error instanceof Error ? error.message : String(error)}. Give yourself the right to write there.`);
  }
  return ok({ recorded, later });
}

/** Notes that were written after a session, oldest first; none where there is no such file. Errors: `notesUnreadable`. */
export function readLaterNotes(sessionFile: string): Result<readonly LaterNote[], Fault> {
  const later = readLater(notesFileOf(sessionFile));
  return later.ok ? ok(later.value?.notes ?? []) : later;
}

function readLater(file: string): Result<z.infer<typeof notesFile> | null, Fault> {
  if (!existsSync(file)) return ok(null);
  try {
    const parsed = notesFile.safeParse(JSON.parse(readFileSync(file, "utf8")));
    if (parsed.success) return ok(parsed.data);
    return fault("notesUnreadable", `Expected notes of this version in ${file}, got: ${parsed.error.issues[0]?.message ?? "something else"} at ${parsed.error.issues[0]?.path.join(".") ?? ""}. Move the file away to write new notes; it stays as it is.`);
  } catch (error) {
    return fault("notesUnreadable", `Expected notes in ${file}, got: ${error instanceof Error ? error.message : String(error)}. Move the file away to write new notes; it stays as it is.`);
  }
}
