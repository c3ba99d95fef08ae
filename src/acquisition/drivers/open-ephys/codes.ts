// Event codes to the Open Ephys GUI: messages over its HTTP server, which it records as text with a time of its own. No wire is needed; the time is
// that of the program, some milliseconds after the event. Protocol notes: docs/rigs/sync.md.
import { z } from "zod";
import type { Clock, EventCodes } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import type { HostTimeNs } from "../../../shared/units.ts";

export const openEphysCodesOptionsSchema = z.strictObject({
  host: z.string().min(1).default("127.0.0.1").meta({ description: "Computer on which the Open Ephys GUI runs." }),
  httpPort: z.number().int().min(1).max(65_535).default(37_497).meta({ description: "Port of the GUI's HTTP server." }),
});
export type OpenEphysCodesOptions = z.infer<typeof openEphysCodesOptionsSchema>;

const answerMs = 2000;
/** Codes that may wait for the program: more is a program that does not answer. */
const waitingMax = 200;

export function createOpenEphysCodes({ clock, options }: { readonly clock: Clock; readonly options: OpenEphysCodesOptions }): EventCodes {
  const base = `http://${options.host}:${options.httpPort}`;
  let listener: (problem: string | null) => void = () => undefined;
  let problem: string | null = null;
  let newest: HostTimeNs | null = null;
  let running = false;
  let waiting: number[] = [];
  let sending = false;
  let sent = 0;
  let lost = 0;

  function say(next: string | null): void {
    if (next === problem) return;
    problem = next;
    listener(next);
  }

  /** One after the other: their order is part of what they say. */
  async function send(): Promise<void> {
    if (sending) return;
    sending = true;
    for (let code = waiting.shift(); code !== undefined; code = waiting.shift()) {
      try {
        const answer = await fetch(`${base}/api/message`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ text: `Evoked ${code}` }), signal: AbortSignal.timeout(answerMs) });
        const body = await answer.text();
        if (!answer.ok) throw new Error(`it answered ${answer.status}`);
        // It takes a message at any time and answers well, but while it is idle nothing becomes of it.
        if (/"mode"\s*:\s*"IDLE"/.test(body)) throw new Error("it is idle, and takes messages only while it acquires");
        sent += 1;
        newest = clock.now();
        say(null);
      } catch (error) {
        lost += 1;
        say(`Event code ${code} did not reach the Open Ephys GUI at ${base} (${messageOf(error)}); ${lost} lost so far. Is its HTTP server on?`);
      }
    }
    sending = false;
  }

  return {
    name: "Event codes to the Open Ephys GUI",
    async start() {
      try {
        const answer = await fetch(`${base}/api/status`, { signal: AbortSignal.timeout(answerMs) });
        const state = z.object({ mode: z.string() }).safeParse(await answer.json());
        if (!state.success) return fault("notOpenEphys", `Expected the Open Ephys GUI's HTTP server at ${base}, but what answered is none. Correct host and port.`);
      } catch (error) {
        return fault("noAnswer", `Expected the Open Ephys GUI's HTTP server at ${base}, but it did not answer (${messageOf(error)}). Start the GUI with its HTTP server enabled, and check host and port.`);
      }
      running = true;
      newest = clock.now();
      return ok(undefined);
    },
    send(code) {
      if (!running) return;
      if (waiting.length >= waitingMax) {
        lost += 1;
        say(`The Open Ephys GUI at ${base} does not take event codes as fast as they come; ${lost} lost so far.`);
        return;
      }
      waiting.push(code);
      void send();
    },
    async stop() {
      // What waits goes out, if the program still answers.
      for (let tries = 0; (sending || waiting.length > 0) && tries < 20; tries++) await new Promise((resolve) => setTimeout(resolve, 25));
      running = false;
      waiting = [];
    },
    status: () => ({ connected: running && problem === null, address: base, newestHostNs: newest, detail: `${sent} codes`, problem }),
    onProblem(next) {
      listener = next;
    },
  };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
