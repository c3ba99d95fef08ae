// The program behind `evoked serve`: its command line, what it prints and how it ends. Knows nothing about sessions.
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { openBrowser } from "./browser.ts";
import { favourDrawing } from "./drawingProcesses.ts";
import { serve } from "./serve.ts";
import { exitCodes, reportFailure } from "../engine/exit.ts";
import { onStarterGone } from "../engine/starter.ts";
import { unwrap } from "../shared/result.ts";
import type { ServeOptions } from "./serve.ts";

const defaultPort = 4747;
/** A terminal's Ctrl+C can arrive twice: from the terminal itself and from the program that started this one. */
const doubleSignalMs = 1000;

function createProgram(): Command {
  return new Command("evoked serve")
    .description("Starts the engine and serves the app's windows to a browser on this machine.\nPrints two addresses: the operator's, and one that only watches. Both end in a random token that is new with every start.")
    .option("--port <number>", "port to listen on; 0 takes any free one", parsePort, defaultPort)
    .option("--host <address>", "address to listen on; another than loopback needs --allow-remote", "127.0.0.1")
    .option("--allow-remote", "listen on an address that other machines reach; whoever has the operator's address may run the session", false)
    .option("--open", "open the operator's window in an installed browser", false)
    .option("--sessions <folder>", "folder of the session files (default: EVOKED_SESSIONS, else Evoked/sessions in your home folder)")
    .helpOption("-h, --help", "print help")
    .showHelpAfterError("Run evoked serve --help for its options.")
    .exitOverride()
    .addHelpText("after", `
Examples:
  evoked serve --open                              the app in a window of its own
  evoked serve --port 0 --sessions ./recordings    any free port, session files in ./recordings
  evoked serve --host 0.0.0.0 --allow-remote       a second screen in the lab: give it the address that only watches

Ctrl+C stops a running session cleanly (it can be resumed), flushes its file and ends.
Exit codes: 0 closed, 1 could not start or the engine died, 2 wrong usage, 130 ended at once by a second Ctrl+C.
Environment: EVOKED_SESSIONS folder of session files, EVOKED_MODELS further folder of models, EVOKED_BROWSER browser to open.`)
    .action(async (options: ServeOptions & { readonly open: boolean }) => void (process.exitCode = await runServe(options)));
}

async function runServe(options: ServeOptions & { readonly open: boolean }): Promise<number> {
  const say = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
  /** Of the browser that draws the subject's screen, as far as Evoked opened it. */
  let profileFolder: string | null = null;
  const onStimulus = (): void => {
    if (profileFolder !== null) void favourDrawing(profileFolder).then((sentence) => sentence !== null && say(sentence));
  };
  const openSubject = (url: string): boolean => {
    // One that keeps its own profile would open it beside the operator's window, which the page can do as well.
    if (profileFolder === null) return false;
    const opened = openBrowser(url, say, "subject");
    if (opened === null) return false;
    profileFolder = opened;
    return true;
  };
  const served = unwrap(await serve({ ...options, onStimulus, openSubject }, (text) => void process.stderr.write(text)));
  say(`Evoked runs at  ${served.operatorUrl}`);
  say(`Only watching   ${served.viewerUrl}`);
  if (options.open) profileFolder = openBrowser(served.operatorUrl, say, "operator");
  say("Ctrl+C ends it.");
  let askedAtMs: number | null = null;
  const stop = (): void => {
    if (askedAtMs !== null) {
      if (performance.now() - askedAtMs > doubleSignalMs) process.exit(exitCodes.interrupted);
      return;
    }
    askedAtMs = performance.now();
    say("Closing: a running session is stopped cleanly. Ctrl+C again ends at once.");
    void served.close();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  onStarterGone(stop);
  const down = await served.ended;
  if (down.expected) return exitCodes.ok;
  process.stderr.write(`evoked: ${down.message}\n`);
  return exitCodes.failed;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new InvalidArgumentError("Expected a whole number from 0 to 65535.");
  return port;
}

// With whoever started this program its terminal may be gone, too; what it would say there is no reason to end less orderly.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? (error.exitCode === 0 ? exitCodes.ok : exitCodes.usage) : reportFailure(error);
}
// Browsers and dead links must not keep a closed host alive.
process.exit();
