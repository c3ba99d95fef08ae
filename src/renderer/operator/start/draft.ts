// The form of the start screen as data: one session config, changed by path, kept between visits, checked by the contract's own schema.
// Pure but for the two functions that take a storage. Knows nothing about fields.
import { sessionConfig, type OptionSpec, type SessionConfig, type ThreadConfig } from "../../../shared/contract/index.ts";

export const defaultDraft: SessionConfig = sessionConfig.parse({});

export type OptionValue = number | string | boolean | null;

/** A copy with one value changed: setAt(draft, ["trial", "onMs"], 120). */
export function setAt<T>(value: T, path: readonly (string | number)[], to: unknown): T {
  const [key, ...rest] = path;
  // What the path leads to is checked by the schema before it is sent; a form may hold a wrong value while it is being typed.
  if (key === undefined) return to as T;
  if (Array.isArray(value)) return value.map((item, i) => (i === key ? setAt<unknown>(item, rest, to) : item)) as T;
  const record = (value ?? {}) as Record<string, unknown>;
  return { ...record, [key]: setAt(record[String(key)], rest, to) } as T;
}

/** What is wrong, by dotted path: { "trial.onMs": "at most 2000" }. Empty = it can be sent. */
export function problemsOf(draft: SessionConfig): Readonly<Record<string, string>> {
  const parsed = sessionConfig.safeParse(draft);
  if (parsed.success) return {};
  return Object.fromEntries(parsed.error.issues.map((issue) => [issue.path.join("."), sentenceOf(issue)]));
}

function sentenceOf(issue: { readonly code?: string; readonly message: string; readonly minimum?: unknown; readonly maximum?: unknown; readonly origin?: string; readonly expected?: string }): string {
  if (issue.code === "too_small") return issue.origin === "array" || issue.origin === "string" ? "something is needed" : `at least ${String(issue.minimum)}`;
  if (issue.code === "too_big") return issue.origin === "string" ? `at most ${String(issue.maximum)} letters` : `at most ${String(issue.maximum)}`;
  if (issue.code === "invalid_type") return issue.expected === "int" ? "a whole number is needed" : "a number is needed";
  return issue.message;
}

/** Options with one of them set; null = left to its default. */
export function withOption(options: Readonly<Record<string, unknown>>, name: string, value: OptionValue): Readonly<Record<string, unknown>> {
  const rest = Object.fromEntries(Object.entries(options).filter(([n]) => n !== name));
  return value === null ? rest : { ...rest, [name]: value };
}

export const threadsMax = 4;

/** One more evolution: like the last one, to be changed in what is compared. */
export function addThread(threads: readonly ThreadConfig[]): readonly ThreadConfig[] {
  const last = threads.at(-1);
  return last === undefined || threads.length >= threadsMax ? threads : [...threads, { ...last, optimizerOptions: { ...last.optimizerOptions } }];
}

/** The last one stays. */
export function removeThread(threads: readonly ThreadConfig[], index: number): readonly ThreadConfig[] {
  return threads.length < 2 ? threads : threads.filter((_, i) => i !== index);
}

/** The first evolution that is set up exactly as this one; null = none before it. */
export function twinOf(threads: readonly ThreadConfig[], index: number): number | null {
  const same = threads.findIndex((t) => JSON.stringify(t) === JSON.stringify(threads[index]));
  return same < 0 || same >= index ? null : same;
}

/** An option's value as the form has it: what was set, or the default. */
export function optionValue(spec: OptionSpec, options: Readonly<Record<string, unknown>>): OptionValue {
  const set = options[spec.name];
  return typeof set === "number" || typeof set === "string" || typeof set === "boolean" ? set : spec.default;
}

/** Why a value does not fit its option; null = it fits. */
export function optionProblem(spec: OptionSpec, value: OptionValue): string | null {
  if (spec.choices !== undefined) return spec.choices.includes(String(value)) ? null : `one of ${spec.choices.join(", ")}`;
  if (typeof value !== "number") return null;
  if (Number.isNaN(value)) return "a number is needed";
  if (spec.min !== undefined && value < spec.min) return `at least ${spec.min}`;
  return spec.max !== undefined && value > spec.max ? `at most ${spec.max}` : null;
}

const storageKey = "evoked.draft";

interface TextStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** The last form; the defaults where there is none or an older version's does not fit any more. */
export function restoreDraft(storage: TextStorage): SessionConfig {
  try {
    const parsed = sessionConfig.safeParse(JSON.parse(storage.getItem(storageKey) ?? "null"));
    return parsed.success ? parsed.data : defaultDraft;
  } catch {
    return defaultDraft;
  }
}

export function keepDraft(storage: TextStorage, draft: SessionConfig): void {
  try {
    if (JSON.stringify(draft) === JSON.stringify(defaultDraft)) storage.removeItem(storageKey);
    else storage.setItem(storageKey, JSON.stringify(draft));
  } catch {
    // Kept only where the browser keeps something.
  }
}
