// The command line as a user meets it: its launcher, help, exit codes, and sentences for what is wrong.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { z } from "zod";
import { findNode24 } from "../../src/cli/node24.js";
import { run } from "../../src/cli/program.ts";
import { reportFailure } from "../../src/engine/exit.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { openSession } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { FaultError, unwrap } from "../../src/shared/result.ts";
import { serve } from "../../src/web/serve.ts";
import { aCaller, until } from "../support/hosts/callerClient.ts";
import type { EngineFrame } from "../../src/shared/contract/index.ts";

const launcher = "src/cli/evoked.js";
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-cli-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome { readonly code: number | null; readonly out: string; readonly err: string }

function evoked(...args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], { encoding: "utf8", env: { ...process.env, EVOKED_SESSIONS: folder, NO_COLOR: "1" } });
  return { code: status, out: stdout, err: stderr };
}

/** The same in this process: a process each would take half of this file's time. */
async function evokedHere(...args: readonly string[]): Promise<Outcome> {
  const written = { out: "", err: "" };
  const keep = (where: keyof typeof written) => (text: string | Uint8Array): boolean => {
    written[where] += String(text);
    return true;
  };
  const spies = [vi.spyOn(process.stdout, "write").mockImplementation(keep("out")), vi.spyOn(process.stderr, "write").mockImplementation(keep("err"))];
  try {
    return { code: await run(args), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** These are programs of their own, whose help is theirs. */
const programs = ["serve", "display-test"];

/** Commands that `evoked --help` lists. */
function commandsOf(help: string): readonly string[] {
  const lines = help.slice(help.indexOf("Commands:")).split("\n").slice(1);
  return lines.slice(0, lines.indexOf("")).map((line) => /^ {2}(\w[\w-]*)/.exec(line)?.[1] ?? "").filter((name) => name !== "");
}

test("help lists the commands, and every command explains itself and each of its options", async () => {
  const { code, out } = evoked("--help");
  expect(code).toBe(0);
  const commands = commandsOf(out);
  expect(commands).toEqual(expect.arrayContaining(["serve", "demo", "run", "help"]));
  for (const command of commands.filter((name) => name !== "help")) {
    const help = programs.includes(command) ? evoked(command, "--help") : await evokedHere(command, "--help");
    expect([command, help.code, help.err]).toEqual([command, 0, ""]);
    expect(help.out).toContain(`Usage: evoked ${command}`);
    // An option without a word about it would end its line.
    expect(help.out.split("\n").filter((line) => /^ {2}-[\w-]+(, --[\w-]+)?( [<[]\S+[>\]])?\s*$/.test(line) && line.length < 24)).toEqual([]);
  }
}, 60_000);

test("a wrong command or option names the near miss and ends with code 2", () => {
  const command = evoked("srve");
  expect([command.code, command.err]).toEqual([2, expect.stringContaining("Did you mean serve?") as unknown]);
  const option = evoked("serve", "--prot", "1");
  expect([option.code, option.err]).toEqual([2, expect.stringContaining("Did you mean --port?") as unknown]);
  expect(evoked("serve", "--port", "70000")).toMatchObject({ code: 2, err: expect.stringContaining("from 0 to 65535") as unknown });
});

test("an expected failure is one sentence and code 1, a bug its stack and code 70", () => {
  const written: string[] = [];
  expect(reportFailure(new FaultError({ code: "x", message: "Expected this, got that." }), (text) => written.push(text))).toBe(1);
  expect(written).toEqual(["evoked: Expected this, got that.\n"]);
  expect(reportFailure(new Error("broken"), (text) => written.push(text))).toBe(70);
  expect(written[1]).toMatch(/defect.*\nError: broken\n +at /s);
});

test("the launcher finds a Node that is new enough, or says how to get one", () => {
  const old = { version: "20.20.2", platform: process.platform, arch: process.arch, execPath: "/old/node" };
  expect(findNode24(".", { ...old, version: "24.1.0" })).toBe("/old/node");
  const bundled = findNode24(".", old);
  if (bundled !== null) expect(existsSync(bundled)).toBe(true);
  expect(findNode24(folder, old)).toBeNull();
});

const systemNodes = (process.env["PATH"] ?? "").split(delimiter).filter((path) => !path.includes("node_modules")).map((path) => join(path, process.platform === "win32" ? "node.exe" : "node")).filter((path) => existsSync(path));
const oldNode = systemNodes.find((node) => Number.parseInt(spawnSync(node, ["-p", "process.versions.node"], { encoding: "utf8" }).stdout, 10) < 24);

test.skipIf(oldNode === undefined)("on an older Node the launcher runs the command with the installed Node 24", () => {
  const { status, stdout } = spawnSync(oldNode ?? "", [launcher, "--version"], { encoding: "utf8" });
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as unknown]);
});

const pages = { rendererFolder: join(import.meta.dirname, "..", "..", "src", "renderer"), engineEntry: new URL("../support/hosts/standInProcess.ts", import.meta.url), sessions: "sessions", allowRemote: false, host: "127.0.0.1" };

test("a host without built windows, or on a port in use, does not start and leaves no engine behind", async () => {
  const log: string[] = [];
  expect(await serve({ ...pages, port: 0, rendererFolder: folder }, (text) => log.push(text))).toMatchObject({ ok: false, error: { code: "windowsNotBuilt", message: expect.stringContaining("npm start") as unknown } });
  const holder = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => holder.once("listening", done));
  const { port } = z.object({ port: z.number() }).parse(holder.address());
  expect(await serve({ ...pages, port }, (text) => log.push(text))).toMatchObject({ ok: false, error: { code: "portInUse" } });
  holder.close();
});

// `npm test` builds the windows first.
test.skipIf(!existsSync(join("out", "renderer", "index.html")))("evoked serve prints both addresses, and Ctrl+C closes it with code 0", async () => {
  const child = spawn(process.execPath, [launcher, "serve", "--port", "0"], { env: { ...process.env, EVOKED_SESSIONS: folder } });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => { out += part; });
  const ended = new Promise<number | null>((done) => child.on("exit", done));
  await until("both addresses stand there", () => /Evoked runs at {2}http:\/\/127\.0\.0\.1:\d+\/\?token=\S+\nOnly watching {3}http:\/\/\S+\n/.test(out), 30_000);
  child.kill("SIGINT");
  expect(await ended).toBe(0);
  expect(out).toContain("Closing: a running session is stopped cleanly.");
}, 45_000);

/** A process, and how it was started. */
function childrenOf(parent: number): readonly number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => statOf(pid)?.parent === parent).flatMap((pid) => [pid, ...childrenOf(pid)]);
}

function statOf(pid: number): { readonly state: string; readonly parent: number } | null {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return { state: state ?? "", parent: Number(parent) };
  } catch {
    // It ended.
    return null;
  }
}

/** One that nobody has waited for yet (Z) runs no more. */
const isRunning = (pid: number): boolean => statOf(pid)?.state !== undefined && statOf(pid)?.state !== "Z";

// On an older Node the launcher starts a process more, which hears of its end first.
const launchers = [{ how: "with Node 24", program: process.execPath }, ...(oldNode === undefined ? [] : [{ how: "with an older Node", program: oldNode }])];
test.skipIf(process.platform !== "linux" || !existsSync(join("out", "renderer", "index.html"))).each(launchers)("launched $how and the launcher killed (kill -9) in a running session, evoked serve ends in order: no process is left, and the session's file is whole", async ({ program }) => {
  const sessions = mkdtempSync(join(folder, "killed-"));
  const launched = spawn(program, [launcher, "serve", "--port", "0"], { env: { ...process.env, EVOKED_SESSIONS: sessions }, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  launched.stdout.setEncoding("utf8").on("data", (part: string) => { out += part; });
  launched.stderr.setEncoding("utf8").on("data", (part: string) => { out += part; });
  let children: readonly number[] = [];
  try {
    await until("the operator's address stands there", () => /Evoked runs at {2}\S+\n/.test(out), 50_000);
    const address = new URL(/Evoked runs at {2}(\S+)/.exec(out)?.[1] ?? "");
    const socket = new WebSocket(`ws://${address.host}/api${address.search}`);
    const caller = aCaller((frame) => socket.send(JSON.stringify(frame)));
    socket.on("message", (data: Buffer) => caller.receive(JSON.parse(data.toString()) as EngineFrame));
    await new Promise((done, failed) => socket.once("open", done).once("error", failed));
    const trial = { imagesPerTrial: 10, onMs: 60, offMs: 40, holdMs: 50 };
    const started = await caller.call("session.start", { config: sessionConfig.parse({ display: { kind: "timed" }, trial, evolution: { tuningRepeats: 0, threads: [{ target: 0 }] } }) });
    expect(started, out).toMatchObject({ ok: true });
    await until("presentations come", () => caller.events.filter(({ event }) => event === "presentation").length > 3, 50_000);
    children = childrenOf(launched.pid ?? 0);
    // The host, the engine and the models at least.
    expect(children.length).toBeGreaterThanOrEqual(3);
    launched.kill("SIGKILL");
    await until("no process is left", () => !children.some(isRunning), 50_000);
  } finally {
    for (const pid of children.filter(isRunning)) process.kill(pid, "SIGKILL");
  }
  const [file] = readdirSync(sessions).filter((name) => name.endsWith(".evoked"));
  const reader = unwrap(openSession(join(sessions, file ?? "")));
  const { state, presentations } = reader.summary();
  reader.close();
  // Ended by the engine itself, and not merely left: that were "interrupted".
  expect([state, presentations > 3]).toEqual(["finished", true]);
  expect(readdirSync(sessions).filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
  expect(unwrap(await verifySession(join(sessions, file ?? ""))).firstDifference).toBeNull();
}, 180_000);
