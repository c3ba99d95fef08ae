// Searching and sorting past sessions. Pure. Knows nothing about layout.
import { formatDate } from "../format.ts";
import type { SessionSummary } from "../../../shared/contract/index.ts";

export type SortKey = "date" | "subject" | "target" | "generations" | "gain" | "duration" | "size";
export type StateFilter = "all" | SessionSummary["state"];

export interface Sorting {
  readonly key: SortKey;
  readonly descending: boolean;
}

const valueOf: { readonly [K in SortKey]: (s: SessionSummary) => string | number } = {
  date: (s) => s.startedUtc,
  subject: (s) => s.subject.toLowerCase(),
  target: (s) => s.target.toLowerCase(),
  generations: (s) => s.generations,
  gain: (s) => gainOf(s) ?? Number.NEGATIVE_INFINITY,
  duration: (s) => s.durationS,
  size: (s) => s.sizeBytes,
};

/** Evolved over reference in the last generation; null where there is nothing to divide by. */
export function gainOf(s: SessionSummary): number | null {
  return s.evolvedLast === null || s.referenceLast === null || s.referenceLast <= 0 ? null : s.evolvedLast / s.referenceLast;
}

/** Every word has to be found in subject, date, target, rig, state or file name; a date also as it is shown ("22 nov") or as 2026-11-22. */
export function searchSessions(sessions: readonly SessionSummary[], query: string, state: StateFilter): readonly SessionSummary[] {
  const words = query.toLowerCase().split(/\s+/).filter((w) => w !== "");
  return sessions.filter((s) => {
    if (state !== "all" && s.state !== state) return false;
    const text = [s.subject, s.startedUtc === "" ? "" : `${localDay(s.startedUtc)} ${formatDate(s.startedUtc)}`, s.target, s.rig, s.protocol, s.state, nameOf(s.file), s.id].join(" ").toLowerCase();
    return words.every((w) => text.includes(w));
  });
}

export function sortSessions(sessions: readonly SessionSummary[], { key, descending }: Sorting): readonly SessionSummary[] {
  const value = valueOf[key];
  const order = descending ? -1 : 1;
  return sessions.toSorted((a, b) => {
    const [x, y] = [value(a), value(b)];
    const by = typeof x === "number" && typeof y === "number" ? (x === y ? 0 : x < y ? -1 : 1) : String(x).localeCompare(String(y), "en", { numeric: true });
    return by === 0 ? b.startedUtc.localeCompare(a.startedUtc) || a.file.localeCompare(b.file) : order * by;
  });
}

export function nameOf(file: string): string {
  return file.split(/[\\/]/).at(-1) ?? file;
}

function localDay(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
