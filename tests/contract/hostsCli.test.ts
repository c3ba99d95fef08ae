// The command line as a user meets it: its launcher, help, exit codes, and sentences for what is wrong.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { findNode24 } from "../../src/cli/node24.js";
import { reportFailure } from "../../src/engine/exit.ts";
import { FaultError } from "../../src/shared/result.ts";
import { serve } from "../../src/web/serve.ts";
import { until } from "../support/hosts/callerClient.ts";

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

/** Commands that `evoked --help` lists. */
function commandsOf(help: string): readonly string[] {
  const lines = help.slice(help.indexOf("Commands:")).split("\n").slice(1);
  return lines.slice(0, lines.indexOf("")).map((line) => /^ {2}(\w[\w-]*)/.exec(line)?.[1] ?? "").filter((name) => name !== "");
}

test("help lists the commands, and every command explains itself and each of its options", () => {
  const { code, out } = evoked("--help");
  expect(code).toBe(0);
  const commands = commandsOf(out);
  expect(commands).toEqual(expect.arrayContaining(["serve", "demo", "run", "help"]));
  for (const command of commands.filter((name) => name !== "help")) {
    const help = evoked(command, "--help");
    expect([command, help.code]).toEqual([command, 0]);
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
