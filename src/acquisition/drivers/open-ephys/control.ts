// The Open Ephys GUI's HTTP server: what the program is doing, and asking it to acquire, record or stop. Knows nothing about messages.
import { z } from "zod";
import { err, fault, ok } from "../../../shared/result.ts";
import type { Fault, Result } from "../../../shared/result.ts";

const modes = ["IDLE", "ACQUIRE", "RECORD"] as const;
export type OpenEphysMode = (typeof modes)[number];
const status = z.object({ mode: z.enum(modes) });
const timeoutMs = 3000;

async function ask(address: string, init: RequestInit): Promise<Result<OpenEphysMode, string>> {
  try {
    const reply = await fetch(`${address}/api/status`, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const parsed = status.safeParse(await reply.json());
    return parsed.success ? ok(parsed.data.mode) : err(`expected a mode of ${modes.join(", ")} from ${address}/api/status, got something else`);
  } catch (error) {
    return err(`${address}/api/status did not answer (${error instanceof Error ? error.message : String(error)})`);
  }
}

/** Errors: for the end of a sentence. */
export const readMode = (address: string): Promise<Result<OpenEphysMode, string>> => ask(address, {});

/** Asks for a mode, and waits until the program is in it. */
export async function setMode(address: string, mode: OpenEphysMode): Promise<Result<void, string>> {
  const asked = await ask(address, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ mode }) });
  let is = asked;
  for (let tries = 0; is.ok && is.value !== mode && tries < 20; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    is = await readMode(address);
  }
  if (!is.ok) return is;
  return is.value === mode ? ok(undefined) : err(`the program stays in ${is.value} instead of ${mode}`);
}

/** Asks the GUI to acquire or record, and remembers how it was: the value gives it back so. Errors: `noControl`. */
export async function takeControl(address: string, control: "none" | "acquire" | "record"): Promise<Result<() => Promise<void>, Fault>> {
  if (control === "none") return ok(async () => undefined);
  const wanted = control === "record" ? "RECORD" : "ACQUIRE";
  const was = await readMode(address);
  // Recording already is acquiring too; it is not stopped for a session that asks for less.
  const isThere = was.ok && (was.value === wanted || was.value === "RECORD");
  const done = !was.ok ? was : isThere ? ok(undefined) : await setMode(address, wanted);
  if (!was.ok || !done.ok) return fault("noControl", `Expected the Open Ephys GUI to ${control} with the session, but ${!was.ok ? was.error : done.ok ? "" : done.error}. Check its HTTP server's port in the rig's settings, or start it by hand and set control to none.`);
  return ok(async () => {
    if (!isThere) await setMode(address, was.value);
  });
}

/** What the program itself says of its state. */
export interface ProgramStatus {
  readonly level: "ok" | "warn" | "fault";
  readonly value: string;
  readonly detail: string;
}

const modeNames: Readonly<Record<OpenEphysMode, string>> = { IDLE: "idle", ACQUIRE: "acquiring", RECORD: "recording" };

/** Asks for the program's mode and, where it tells them, the latencies of its processors. Never fails: that it does not answer is its state. */
export async function askProgram(address: string, control: "acquire" | "record"): Promise<ProgramStatus> {
  const mode = await readMode(address);
  if (!mode.ok) return { level: "fault", value: "does not answer", detail: `${mode.error}. Is its HTTP server on?` };
  const latencyMs = await longestLatencyMs(address);
  const latency = latencyMs === null ? [] : [`slowest processor ${latencyMs.toFixed(1)} ms`];
  const isThere = mode.value === "RECORD" || (mode.value === "ACQUIRE" && control === "acquire");
  const missing = isThere ? [] : [`asked to ${control}, but it is ${modeNames[mode.value]}`];
  return { level: isThere ? "ok" : "warn", value: modeNames[mode.value], detail: [...missing, ...latency, address].join(", ") };
}

/** Largest number called latency in the program's answer; null where it has none. How the answer is laid out differs between versions. */
async function longestLatencyMs(address: string): Promise<number | null> {
  let longest: number | null = null;
  function walk(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    for (const [name, part] of Object.entries(value)) {
      if (name === "latency" && typeof part === "number" && Number.isFinite(part)) longest = Math.max(longest ?? part, part);
      else walk(part);
    }
  }
  try {
    const reply = await fetch(`${address}/api/latency`, { signal: AbortSignal.timeout(timeoutMs) });
    if (reply.ok) walk(await reply.json());
  } catch {
    // Older versions do not have it.
  }
  return longest;
}
