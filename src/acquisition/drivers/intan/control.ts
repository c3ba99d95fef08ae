// RHX's remote control: one command at a time, since RHX parses whatever one read returned and its answers have no end mark. Knows nothing
// about the data ports.
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";
import { openTcp } from "../common/tcp.ts";
import { parseReturn } from "./protocol.ts";

/** A question without an answer is asked again. */
const askAgainMs = 1500;

export interface IntanControl {
  /** Value of a parameter. Errors: RHX's own sentence, or that it did not answer. */
  get(parameter: string): Promise<Result<string, string>>;
  /** Sets a parameter and asks for it, to know that it was taken. Errors: RHX's own sentence, or what it has instead. */
  set(parameter: string, value: string): Promise<Result<void, string>>;
  execute(action: string): void;
  close(): void;
}

export async function openIntanControl(options: { readonly host: string; readonly port: number; readonly timeoutMs: number; readonly onEnd: (reason: string) => void }): Promise<Result<IntanControl, string>> {
  let answer: ((text: string) => void) | null = null;
  const decoder = new TextDecoder("latin1");
  const opened = await openTcp({ ...options, onData: (piece) => answer?.(decoder.decode(piece)) });
  if (!opened.ok) return opened;
  const connection = opened.value;
  // Commands wait for each other.
  let last: Promise<unknown> = Promise.resolve();

  function ask(command: string, parameter: string): Promise<Result<string, string>> {
    const asked = last.then(
      () =>
        new Promise<Result<string, string>>((resolve) => {
          let text = "";
          const end = (result: Result<string, string>): void => {
            clearTimeout(timer);
            clearInterval(again);
            answer = null;
            resolve(result);
          };
          const timer = setTimeout(() => end(err(text === "" ? `RHX did not answer "${command}" for ${options.timeoutMs / 1000} s` : `RHX answered "${text.trim()}" to "${command}"`)), options.timeoutMs);
          // RHX reads what is there: a question that was cut in two is no question.
          const again = setInterval(() => connection.write(`${command};`), askAgainMs);
          answer = (piece) => {
            text += piece;
            const value = parseReturn(text, parameter);
            if (value !== null) end(ok(value));
            // An answer to something earlier may still come first; RHX's complaints begin otherwise.
            else if (!/^\s*return/i.test(text)) end(err(text.trim()));
          };
          connection.write(`${command};`);
        }),
    );
    last = asked;
    return asked;
  }

  return ok({
    get: (parameter) => ask(`get ${parameter}`, parameter),
    async set(parameter, value) {
      await last;
      connection.write(`set ${parameter} ${value};`);
      // RHX reads what has come in one piece: the question must come in another.
      await new Promise((resolve) => setTimeout(resolve, 5));
      const is = await ask(`get ${parameter}`, parameter);
      if (!is.ok) return is;
      return is.value.toLowerCase() === value.toLowerCase() ? ok(undefined) : err(`expected ${parameter} to be ${value}, but RHX has ${is.value}`);
    },
    execute: (action) => connection.write(`execute ${action};`),
    close: () => connection.close(),
  });
}
