// The program behind `evoked display-test`: opens the stimulus window in an installed browser, full screen, has the engine test it, and prints
// what came out. Knows nothing about what is measured or judged.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { WebSocket } from "ws";
import { planBrowser, thisMachine } from "./browser.ts";
import { favourDrawing } from "./drawingProcesses.ts";
import { serve } from "./serve.ts";
import { exitCodes, reportFailure } from "../engine/exit.ts";
import { FaultError, unwrap } from "../shared/result.ts";
import type { DisplayTestResult, EngineFrame, MethodInput, MethodName, MethodResult } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";

interface Options {
  readonly seconds: number;
  readonly on: number;
  readonly off: number;
  readonly refresh?: number;
  readonly json: boolean;
  readonly windowed: boolean;
}

/** The window opens, loads and measures its refresh rate. */
const attachSecondsMax = 60;

function createProgram(): Command {
  return new Command("evoked display-test")
    .description("Tests the display of this machine with the stimulus window, full screen in an installed browser: refresh rate, frame intervals, onset error, dropped frames,\nand whether that is good enough for the task.")
    .option("--seconds <number>", "how long to test, 2 to 600", parseNumber(2, 600), 20)
    .option("--on <ms>", "how long an image is on", parseNumber(10, 2000), 100)
    .option("--off <ms>", "blank after it", parseNumber(0, 5000), 150)
    .option("--refresh <Hz>", "the refresh rate that the display is meant to have", parseNumber(20, 1000))
    .option("--windowed", "do not make the window full screen (the test then says what that costs)", false)
    .option("--json", "print the result as JSON", false)
    .helpOption("-h, --help", "print help")
    .showHelpAfterError("Run evoked display-test --help for its options.")
    .exitOverride()
    .addHelpText("after", `
The browser's frames are blind to what the light does: a photodiode on the patch tells that, at the start of every session and throughout.
Exit codes: 0 good enough, 1 not good enough or the test could not be run, 2 wrong usage.
Environment: EVOKED_BROWSER browser to use, DISPLAY the screen on Linux.`)
    .action(async (options: Options) => void (process.exitCode = await runTest(options)));
}

async function runTest(options: Options): Promise<number> {
  const sessions = mkdtempSync(join(tmpdir(), "evoked-display-test-"));
  const served = unwrap(await serve({ host: "127.0.0.1", port: 0, allowRemote: false, sessions }, () => undefined));
  const address = new URL(served.operatorUrl);
  address.pathname = "/stimulus.html";
  const browser = startBrowser(address.href, join(sessions, "profile"), options.windowed);
  const link = await connect(served.operatorUrl);
  try {
    await waitFor(attachSecondsMax, "the stimulus window to open and measure its refresh rate", async () => {
      if (browser.failure() !== null) throw new FaultError({ code: "noScreen", message: browser.failure() ?? "" });
      return (await link.call("display.status", {})).attached ? true : null;
    });
    const rightOfWay = await favourDrawing(join(sessions, "profile"));
    await link.call("display.test", { seconds: options.seconds, onMs: options.on, offMs: options.off, refreshHz: options.refresh ?? null });
    const result = await waitFor(options.seconds + 30, "the test to end", async () => {
      const last = await link.call("display.lastTest", {});
      if (last.state === "failed") throw new FaultError({ code: "displayTest", message: last.message });
      return last.state === "done" ? last.result : null;
    });
    process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : describe(result, rightOfWay));
    return result.good ? exitCodes.ok : exitCodes.failed;
  } finally {
    link.close();
    await browser.close();
    await served.close();
    rmSync(sessions, { recursive: true, force: true, maxRetries: 5 });
  }
}

function describe({ verdict, findings, times, widthPx, heightPx }: DisplayTestResult, rightOfWay: string | null): string {
  const marks = { ok: "  ok  ", warn: " warn ", fault: "FAULT " } as const;
  const { intervalMs, histogram } = times;
  const bins = histogram.flatMap((share, i) => (share < 0.0005 ? [] : [`  ${(i / 10).toFixed(1)} refreshes  ${(100 * share).toFixed(1).padStart(5)} %  ${"#".repeat(Math.ceil(share * 40))}`]));
  return [
    `${widthPx} x ${heightPx} px at ${times.refreshHz.toFixed(2)} Hz, ${times.frames} frames in ${times.seconds.toFixed(1)} s, ${times.flashes} flashes`,
    `Frame interval: mean ${intervalMs.mean.toFixed(3)} ms, SD ${intervalMs.sd.toFixed(3)} ms, 1 to 99 % ${intervalMs.p1.toFixed(2)} to ${intervalMs.p99.toFixed(2)} ms, longest ${intervalMs.max.toFixed(2)} ms`,
    ...bins, "", ...findings.map((f) => `${marks[f.level]} ${f.message}`), ...(rightOfWay === null ? [] : [rightOfWay]), "", verdict, "",
  ].join("\n");
}

interface TestBrowser {
  /** Why it is not there; null while it is. */
  failure(): string | null;
  close(): Promise<void>;
}

function startBrowser(url: string, profileFolder: string, windowed: boolean): TestBrowser {
  const plan = planBrowser(thisMachine(), url, "subject");
  if ("problem" in plan) throw new FaultError({ code: "noScreen", message: plan.problem });
  if (plan.profileFolder === null) throw new FaultError({ code: "noBrowser", message: `${plan.program} cannot be tested from here. Install Chromium or Chrome, or name one in EVOKED_BROWSER.` });
  // A profile of its own: a browser that is open already would take the window over and end.
  const args = plan.args.map((arg) => (arg.startsWith("--user-data-dir=") ? `--user-data-dir=${profileFolder}` : arg));
  const child = spawn(plan.program, [...args, ...(windowed ? [] : ["--kiosk", "--start-fullscreen", "--window-position=0,0"])], { stdio: "ignore", detached: process.platform !== "win32" });
  let failure: string | null = null;
  child.on("error", (error) => (failure = `${plan.program} did not open a window (${error.message}). Name another browser in EVOKED_BROWSER.`));
  const gone = new Promise<void>((resolve) => child.once("exit", (code) => {
    failure ??= `${plan.program} ended (exit code ${code ?? "unknown"}) before the test did. Close other windows of it, or name another browser in EVOKED_BROWSER.`;
    resolve();
  }));
  return {
    failure: () => failure,
    async close() {
      if (child.pid === undefined || child.exitCode !== null) return;
      // The whole group: a browser is many processes.
      if (process.platform === "win32") child.kill();
      else process.kill(-child.pid, "SIGTERM");
      await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 5000))]);
    },
  };
}

interface Link {
  call<M extends MethodName>(method: M, args: MethodInput<M>): Promise<MethodResult<M>>;
  close(): void;
}

async function connect(operatorUrl: string): Promise<Link> {
  const address = new URL(operatorUrl);
  const socket = new WebSocket(`ws://${address.host}/api${address.search}&events=session`);
  const waiting = new Map<number, (result: Result<unknown, Fault>) => void>();
  let nextId = 0;
  socket.on("message", (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as EngineFrame;
    if (!("result" in frame)) return;
    waiting.get(frame.id)?.(frame.result);
    waiting.delete(frame.id);
  });
  await new Promise((done, failed) => socket.once("open", done).once("error", failed));
  return {
    async call<M extends MethodName>(method: M, args: MethodInput<M>) {
      const id = nextId++;
      const answer = new Promise<Result<unknown, Fault>>((resolve) => waiting.set(id, resolve));
      socket.send(JSON.stringify({ id, method, args }));
      return unwrap(await answer) as MethodResult<M>;
    },
    close: () => socket.close(),
  };
}

async function waitFor<T>(secondsMax: number, what: string, look: () => Promise<T | null>): Promise<T> {
  const until = performance.now() + secondsMax * 1000;
  while (performance.now() < until) {
    const found = await look();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new FaultError({ code: "displayTest", message: `Expected ${what} within ${secondsMax} s. Keep the window uncovered and try again.` });
}

function parseNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Expected a number from ${min} to ${max}, got ${text}.`);
    return value;
  };
}

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? (error.exitCode === 0 ? exitCodes.ok : exitCodes.usage) : reportFailure(error);
}
process.exit();
