// From a frame off the wire to one answer: parses, checks access, runs the handler, turns every failure into data.
// Knows nothing about what a method does or which link a frame came over.
import { z } from "zod";
import { methods } from "../shared/contract/index.ts";
import { FaultError, fault } from "../shared/result.ts";
import type { Caller } from "./engineTypes.ts";
import type { Access, ClientFrame, EngineFrame, Handlers, MethodArgs, MethodName } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";

export type ReplyFrame = Extract<EngineFrame, { readonly id: number }>;

/** Answers one frame; never rejects. A frame with no usable id is answered with id -1. */
export type Dispatch = (caller: Caller, frame: unknown) => Promise<ReplyFrame>;

export interface DispatchOptions {
  readonly handlers: Handlers<Caller>;
  /** Receives the stack of a bug; the caller gets only a sentence. */
  readonly logBug: (text: string) => void;
}

/** The contract's methods, typed so that schema and handler of one name belong together. */
const table: { readonly [M in MethodName]: { readonly args: z.ZodType<MethodArgs<M>> } } = methods;

const clientFrame = z.object({ id: z.number().int().min(0), method: z.string(), args: z.unknown().optional() });

export function createDispatch(options: DispatchOptions): Dispatch {
  return async (caller, frame) => {
    const parsed = clientFrame.safeParse(frame);
    if (!parsed.success) return { id: -1, result: fault("badFrame", `${describeIssues("frame", parsed.error, frame)} Send { id, method, args } with a whole id from 0.`) };
    return { id: parsed.data.id, result: await answer(options, caller, { ...parsed.data, args: parsed.data.args }) };
  };
}

async function answer(options: DispatchOptions, caller: Caller, frame: ClientFrame): Promise<Result<unknown, Fault>> {
  const name = frame.method;
  if (!isMethodName(name)) return unknownMethod(name);
  if (!caller.access.includes(methods[name].access)) return refuse(name, methods[name].access);
  try {
    return await callHandler(options.handlers, name, caller, frame.args);
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    options.logBug(`${name} failed for ${caller.id}: ${stackOf(error)}`);
    return fault("bug", `A defect in Evoked stopped ${name}: ${messageOf(error)}. The session goes on; please report this with the log of the engine.`);
  }
}

async function callHandler<M extends MethodName>(handlers: Handlers<Caller>, name: M, caller: Caller, args: unknown): Promise<Result<unknown, Fault>> {
  const parsed = parseArgs(name, args);
  if (!parsed.ok) return parsed;
  return await handlers[name](parsed.value, caller);
}

/** Arguments of one method as its schema gives them, defaults filled in. */
export function parseArgs<M extends MethodName>(name: M, args: unknown): Result<MethodArgs<M>, Fault> {
  const given = args ?? {};
  const parsed = table[name].args.safeParse(given);
  if (parsed.success) return { ok: true, value: parsed.data };
  return fault("badArguments", `${name}: ${describeIssues("arguments", parsed.error, given)}`);
}

/** "expected X at path, got Y" for the first issues of a schema. */
export function describeIssues(root: string, error: z.ZodError, given: unknown): string {
  const shown = error.issues.slice(0, 4).map((issue) => {
    const path = [root, ...issue.path.map(String)].join(".");
    return `${expectation(issue)} at ${path}, got ${show(valueAt(given, issue.path))}.`;
  });
  const more = error.issues.length - shown.length;
  return more > 0 ? `${shown.join(" ")} ${more} more.` : shown.join(" ");
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${issue.expected}`;
    case "too_small":
      return `expected ${issue.origin} of ${issue.inclusive ? "at least" : "more than"} ${String(issue.minimum)}`;
    case "too_big":
      return `expected ${issue.origin} of ${issue.inclusive ? "at most" : "less than"} ${String(issue.maximum)}`;
    case "invalid_value":
      return `expected ${issue.values.map((v) => show(v)).join(" or ")}`;
    case "unrecognized_keys":
      return `expected no ${issue.keys.map((k) => `"${k}"`).join(", ")}`;
    default:
      return issue.message.startsWith("expected") ? issue.message : `expected a valid value (${issue.message})`;
  }
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  let value = given;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "bigint" ? `${value}n` : JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

function unknownMethod(name: string): Result<never, Fault> {
  const near = nearest(name, Object.keys(methods));
  return fault("unknownMethod", `expected a method of the contract, got ${show(name)}.${near === null ? "" : ` Did you mean ${near}?`} A window from another version may be open: reload it.`);
}

function refuse(name: string, needed: Access): Result<never, Fault> {
  const why = {
    view: "a link that may look",
    operate: "an operator's link; this window only watches. Open the operator's address to act",
    stimulus: "the stimulus window's link",
  }[needed];
  return fault("accessDenied", `${name} needs ${why}.`);
}

/** The name with the fewest edits, where at most a third of it differs; null otherwise. */
export function nearest(name: string, names: readonly string[]): string | null {
  let best: { name: string; edits: number } | null = null;
  for (const candidate of names) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (best === null || edits < best.edits) best = { name: candidate, edits };
  }
  return best !== null && best.edits <= Math.max(2, Math.floor(best.name.length / 3)) ? best.name : null;
}

/** Levenshtein distance, two rows at a time; names are cut at 64 characters. */
function editDistance(a: string, b: string): number {
  const from = a.slice(0, 64);
  const to = b.slice(0, 64);
  let previous = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[to.length] ?? 0;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
