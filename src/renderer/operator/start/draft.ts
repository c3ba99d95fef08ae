// The form of the start screen as data: one session config, changed by path, kept between visits, checked by the contract's own schema.
// Pure but for the two functions that take a storage. Knows nothing about fields.
import { sessionConfig, type OptionSpec, type SessionConfig } from "../../../shared/contract/index.ts";

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

function sentenceOf(issue: { readonly code?: string; readonly message: string; readonly minimum?: unknown; readonly maximum?: unknown }): string {
  if (issue.code === "too_small") return `at least ${String(issue.minimum)}`;
  if (issue.code === "too_big") return `at most ${String(issue.maximum)}`;
  if (issue.code === "invalid_type") return "a number is needed";
  return issue.message;
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
