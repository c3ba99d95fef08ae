// RHX's remote control: one command at a time, since RHX parses whatever one read returned and its answers have no end mark. Knows nothing
// about the data ports.
//
// RHX listens for one client, and once that client is gone its port stays shut until somebody presses Connect again. So a connection is not
// closed when its user is done: it waits for the next one (the rig check, the session, the next session) as long as this process lives.
import { z } from "zod";
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";
import { openTcp } from "../common/tcp.ts";
import type { TcpConnection } from "../common/tcp.ts";
import { parseReturn } from "./protocol.ts";

/** A question without an answer is asked again. */
const askAgainMs = 1500;
const listenTriesMs = 20;

export interface IntanControl {
  /** Value of a parameter. Errors: RHX's own sentence, or that it did not answer. */
  get(parameter: string): Promise<Result<string, string>>;
  /** Sets a parameter and asks for it, to know that it was taken. Errors: RHX's own sentence, or what it has instead. */
  set(parameter: string, value: string): Promise<Result<void, string>>;
  execute(action: string): void;
  /** Has RHX listen at one of its data ports, and waits until it does. Errors: for the end of a sentence. */
  listen(output: "Waveform" | "Spike"): Promise<Result<void, string>>;
  /** Hands the connection back; it stays open for whoever asks next. */
  close(): void;
}

/** A connection that outlives its user. */
interface Line {
  readonly connection: TcpConnection;
  isInUse: boolean;
  answer: ((text: string) => void) | null;
  onEnd: ((reason: string) => void) | null;
  /** Why it ended; null: it is up. */
  ended: string | null;
  /** Commands wait for each other. */
  last: Promise<unknown>;
}

const lines = new Map<string, Line>();
const connectionStatus = z.enum(["Disconnected", "Pending", "Connected"]);

/** Errors: why it could not be had, for the end of a sentence. */
export async function openIntanControl(options: { readonly host: string; readonly port: number; readonly timeoutMs: number; readonly onEnd: (reason: string) => void }): Promise<Result<IntanControl, string>> {
  const address = `${options.host}:${options.port}`;
  // The look that the start screen takes lasts a moment; whoever comes meanwhile has the connection after it.
  for (const until = performance.now() + options.timeoutMs; lines.get(address)?.isInUse === true && performance.now() < until; ) await new Promise((resolve) => setTimeout(resolve, 50));
  const kept = lines.get(address);
  if (kept?.isInUse === true) return err("another rig check or session of Evoked uses it already");
  const line = kept ?? (await openLine(address, options));
  if ("ok" in line) return line;
  line.isInUse = true;
  line.onEnd = options.onEnd;
  line.connection.holds(true);
  return ok(controlOf(line, options.timeoutMs));
}

async function openLine(address: string, options: { readonly host: string; readonly port: number; readonly timeoutMs: number }): Promise<Line | Result<never, string>> {
  const decoder = new TextDecoder("latin1");
  let line: Line | null = null;
  const opened = await openTcp({
    ...options,
    onData: (piece) => line?.answer?.(decoder.decode(piece)),
    onEnd(reason) {
      if (line === null) return;
      line.ended = reason;
      if (lines.get(address) === line) lines.delete(address);
      line.onEnd?.(reason);
    },
  });
  if (!opened.ok) return opened;
  line = { connection: opened.value, isInUse: false, answer: null, onEnd: null, ended: null, last: Promise.resolve() };
  lines.set(address, line);
  return line;
}

function controlOf(line: Line, timeoutMs: number): IntanControl {
  function ask(command: string, parameter: string): Promise<Result<string, string>> {
    const asked = line.last.then(
      () =>
        new Promise<Result<string, string>>((resolve) => {
          if (line.ended !== null) {
            resolve(err(line.ended));
            return;
          }
          let text = "";
          const end = (result: Result<string, string>): void => {
            clearTimeout(timer);
            clearInterval(again);
            line.answer = null;
            resolve(result);
          };
          const timer = setTimeout(() => end(err(line.ended ?? (text === "" ? `RHX did not answer "${command}" for ${timeoutMs / 1000} s` : `RHX answered "${text.trim()}" to "${command}"`))), timeoutMs);
          // RHX reads what is there: a question that was cut in two is no question.
          const again = setInterval(() => line.connection.write(`${command};`), askAgainMs);
          line.answer = (piece) => {
            text += piece;
            const value = parseReturn(text, parameter);
            if (value !== null) end(ok(value));
            // An answer to something earlier may still come first; RHX's complaints begin otherwise.
            else if (!/^\s*return/i.test(text)) end(err(text.trim()));
          };
          line.connection.write(`${command};`);
        }),
    );
    line.last = asked;
    return asked;
  }

  const get = (parameter: string) => ask(`get ${parameter}`, parameter);
  return {
    get,
    async set(parameter, value) {
      await line.last;
      line.connection.write(`set ${parameter} ${value};`);
      // RHX reads what has come in one piece: the question must come in another.
      await pause();
      const is = await get(parameter);
      if (!is.ok) return is;
      return is.value.toLowerCase() === value.toLowerCase() ? ok(undefined) : err(`expected ${parameter} to be ${value}, but RHX has ${is.value}`);
    },
    execute: (action) => line.connection.write(`execute ${action};`),
    async listen(output) {
      // RHX has seen that its last client is gone only when its own loop has come round: it is asked again until it listens.
      for (let triedMs = 0; triedMs < timeoutMs; triedMs += listenTriesMs) {
        line.connection.write(`execute ConnectTCP${output}DataOutput;`);
        await pause();
        const said = await get(`TCP${output}DataOutputConnectionStatus`);
        // A version that cannot say so listens at once.
        const status = said.ok ? connectionStatus.safeParse(said.value) : null;
        if (!said.ok && line.ended !== null) return said;
        if (status?.success !== true || status.data === "Pending") return ok(undefined);
        await pause(listenTriesMs);
      }
      return err(`another program is connected to RHX's ${output.toLowerCase()} output. Press Disconnect there`);
    },
    close() {
      line.isInUse = false;
      line.onEnd = null;
      line.answer = null;
      line.connection.holds(false);
    },
  };
}

function pause(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
