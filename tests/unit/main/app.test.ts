// The desktop app's main process and preload against a stand-in of the `electron` module.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { describeDisplays, placeStimulus } from "../../../src/main/windows.ts";
import { isOwnPage } from "../../../src/main/guard.ts";
import { runApp } from "../../../src/main/app.ts";
import { aCaller, until } from "../../support/hosts/callerClient.ts";
import { WebContents, aPage, actAs, app, ipcMain, preventable, resetWorld, world } from "../../support/hosts/electron.ts";
import type { ChildProcess } from "node:child_process";
import type { BrowserWindow } from "../../support/hosts/electron.ts";
import type { TestCaller } from "../../support/hosts/callerClient.ts";
import type { EvokedBridge } from "../../../src/shared/contract/bridge.ts";

vi.mock("electron", () => import("../../support/hosts/electron.ts"));

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "evoked-main-"));
  writeFileSync(join(folder, "index.html"), "<title>Evoked</title>");
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  resetWorld();
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});

async function aRunningApp(): Promise<BrowserWindow> {
  await runApp({ preload: "/app/preload.cjs", engineEntry: "/app/engine/process.js", rendererFolder: folder, modelFolders: ["/app/models"], sessionFolder: "/sessions" });
  const operator = world.windows[0];
  if (operator === undefined) throw new Error("expected a window");
  return operator;
}

/** The page of a window: what its preload gave it, linked to the engine. */
async function connect(window: BrowserWindow): Promise<{ caller: TestCaller; bridge: EvokedBridge; links: boolean[] }> {
  vi.resetModules();
  const bridge = await aPage(window.webContents, () => import("../../../src/main/preload.ts")) as EvokedBridge;
  const links: boolean[] = [];
  const send: { frame: (frame: never) => void } = { frame: () => undefined };
  const caller = aCaller((frame) => send.frame(frame as never));
  send.frame = bridge.connect((frame) => caller.receive(frame), (up) => links.push(up));
  return { caller, bridge, links };
}

const start = { config: {} };

test("every window is sandboxed and isolated, has no Node, and loads only a page of the app", async () => {
  const operator = await aRunningApp();
  actAs(operator.webContents);
  await ipcMain.handlers.get("evoked:openStimulus")?.({ sender: operator.webContents, senderFrame: { url: operator.webContents.url } }, null);
  expect(world.sandboxEnabled).toBe(true);
  expect(world.windows).toHaveLength(2);
  for (const window of world.windows) {
    expect(window.options.webPreferences).toMatchObject({ contextIsolation: true, sandbox: true, nodeIntegration: false, nodeIntegrationInWorker: false, nodeIntegrationInSubFrames: false, webSecurity: true, webviewTag: false, backgroundThrottling: false, preload: "/app/preload.cjs" });
    expect(isOwnPage(window.webContents.url)).toBe(true);
  }
});

test("no page may navigate away, open a window, attach a webview or get a permission", async () => {
  const { webContents } = await aRunningApp();
  expect(webContents.openHandler?.({ url: "https://example.org" })).toEqual({ action: "deny" });
  const navigate = (url: string): boolean => {
    const event = Object.assign(preventable(), { url });
    webContents.emit("will-navigate", event);
    return event.defaultPrevented;
  };
  expect(navigate("https://example.org/")).toBe(true);
  expect(navigate("file:///etc/passwd")).toBe(true);
  expect(navigate("evoked://app.example.org/")).toBe(true);
  expect(navigate("evoked://app/index.html")).toBe(false);
  for (const name of ["will-attach-webview", "will-redirect"]) {
    const event = preventable();
    webContents.emit(name, event);
    expect(event.defaultPrevented).toBe(true);
  }
  const decided: unknown[] = [];
  world.session.permissionRequest?.(webContents, "media", (yes: unknown) => decided.push(yes));
  expect([decided, world.session.permissionCheck?.(), world.session.devicePermission?.()]).toEqual([[false], false, false]);
});

test("pages come from the app's own scheme with the content security policy, and nothing outside their folder does", async () => {
  await aRunningApp();
  expect(world.schemes).toEqual([{ scheme: "evoked", privileges: { standard: true, secure: true, supportFetchAPI: true } }]);
  const serve = world.protocols.get("evoked");
  const page = await serve?.(new Request("evoked://app/index.html"));
  expect([page?.status, page?.headers.get("content-type"), await page?.text()]).toEqual([200, "text/html; charset=utf-8", "<title>Evoked</title>"]);
  expect(page?.headers.get("content-security-policy")).toContain("default-src 'self'");
  for (const address of ["evoked://app/../../etc/passwd", "evoked://app/%2e%2e%2fsecret", "evoked://other/index.html", "evoked://app/missing.html"]) expect([address, (await serve?.(new Request(address)))?.status]).toEqual([address, 404]);
});

test("a window's calls and the engine's events go over a port of its own", async () => {
  const operator = await aRunningApp();
  const { caller, links } = await connect(operator);
  expect(await caller.call("app.describe")).toMatchObject({ ok: true, value: { mayOperate: true } });
  expect(await caller.call("stimulus.report", { reports: [] })).toMatchObject({ error: { code: "accessDenied" } });
  await caller.call("session.start", start);
  await until("the event came", () => caller.events.length === 1);
  expect(links).toEqual([true]);
  expect(world.engineOptions).toEqual({ host: "electron", modelFolders: ["/app/models"], sessionFolder: "/sessions" });
});

test("the stimulus window reports and may not operate; it hears only what it draws", async () => {
  const operator = await aRunningApp();
  const { bridge, caller } = await connect(operator);
  expect(await bridge.openStimulus(null)).toEqual({ ok: true, value: null });
  const window = world.windows[1];
  if (window === undefined) throw new Error("expected a stimulus window");
  expect(window.options).toMatchObject({ x: 1920, y: 0, width: 1280, height: 720, fullscreen: true, frame: false });
  expect(window.shown).toBe("inactive");
  const stimulus = await connect(window);
  await stimulus.caller.call("stimulus.attach", { widthPx: 1280, heightPx: 720, refreshHz: 120 });
  expect(await stimulus.caller.call("session.stop")).toMatchObject({ error: { code: "accessDenied" } });
  actAs(operator.webContents);
  world.engine?.emit({ event: "log", payload: { id: 1, atMs: 0, severity: "info", code: "x", message: "x" }, callerId: null });
  await caller.call("session.note", { text: "stimulus" });
  await until("the command came", () => stimulus.caller.events.length > 0);
  expect(stimulus.caller.events.map(({ event }) => event)).toEqual(["stimulus"]);
  expect(caller.events.map(({ event }) => event)).toEqual(["log"]);
  actAs(window.webContents);
  expect(await stimulus.bridge.openStimulus(null)).toMatchObject({ ok: false, error: { code: "accessDenied" } });
});

test("a page that is none of the app's windows gets no port and no answer", async () => {
  await aRunningApp();
  const stranger = new WebContents();
  stranger.url = "https://example.org/";
  let ports = 0;
  stranger.renderer.on("evoked:port", () => { ports += 1; });
  ipcMain.emit("evoked:connect", { sender: stranger, senderFrame: { url: stranger.url } });
  expect(ports).toBe(0);
  const operator = world.windows[0];
  // A frame of another origin inside the operator's own window is a stranger too.
  expect(ipcMain.handlers.get("evoked:openStimulus")?.({ sender: operator?.webContents, senderFrame: { url: "https://example.org/" } }, null)).toMatchObject({ ok: false, error: { code: "accessDenied" } });
});

test("displays are listed in real pixels, and one that is not there is refused by name", async () => {
  const operator = await aRunningApp();
  const { bridge } = await connect(operator);
  expect(await bridge.listDisplays()).toEqual([
    { id: "11", label: "Operator", widthPx: 1920, heightPx: 1080, refreshHz: 60, primary: true },
    { id: "22", label: "Subject", widthPx: 1920, heightPx: 1080, refreshHz: 120, primary: false },
  ]);
  expect(await bridge.openStimulus("33")).toMatchObject({ ok: false, error: { code: "displayUnknown", message: expect.stringContaining("11 (Operator), 22 (Subject), got 33") as unknown } });
  expect(describeDisplays()).toHaveLength(2);
});

test("with one display the subject's screen is a window and leaves the operator theirs", () => {
  expect(placeStimulus([], "11", null)).toEqual({ ok: true, value: { width: 960, height: 720 } });
});

test("the display stays on while a session is active, and only then", async () => {
  const operator = await aRunningApp();
  const { caller } = await connect(operator);
  expect(world.awake.size).toBe(0);
  await caller.call("session.start", start);
  await until("the blocker is on", () => world.awake.size === 1);
  await caller.call("session.stop");
  await until("the blocker is off", () => world.awake.size === 0);
});

test("closing during a session asks first, then closes the engine, then quits", async () => {
  const operator = await aRunningApp();
  const { caller } = await connect(operator);
  await caller.call("session.start", start);
  await until("the session is active", () => world.awake.size === 1);
  operator.close();
  await until("it asked", () => world.messageBoxes.length === 1);
  await new Promise((done) => setTimeout(done, 20));
  expect([operator.isDestroyed(), world.quitCount]).toEqual([false, 0]);
  world.messageBoxAnswer = 1;
  app.quit();
  await until("it quit", () => world.quitCount === 1);
  expect(world.messageBoxes[1]?.message).toBe("A session is running.");
  expect(world.engine?.closed()).toBe(1);
});

test("quitting without a session asks nothing and closes the engine once", async () => {
  const operator = await aRunningApp();
  operator.close();
  await until("it quit", () => world.quitCount >= 1);
  expect(world.messageBoxes).toEqual([]);
  expect(world.engine?.closed()).toBe(1);
});

test("the engine's death is told to the windows and to the operator, and is not hidden by a restart", async () => {
  const operator = await aRunningApp();
  const { caller, links } = await connect(operator);
  await caller.call("clock.ping");
  world.killEngine(139);
  await until("the window was told", () => caller.events.length === 1);
  expect(caller.events[0]).toMatchObject({ event: "log", payload: { severity: "fault", code: "engineDown", message: expect.stringContaining("exit code 139") as unknown } });
  expect(links).toEqual([true, false]);
  expect(world.messageBoxes[0]?.message).toBe("The engine has stopped.");
  expect(world.forked).toHaveLength(1);
});

test("a crashed window is opened again and the operator is told; the engine goes on", async () => {
  const operator = await aRunningApp();
  const { caller } = await connect(operator);
  await caller.call("clock.ping");
  app.emit("render-process-gone", {}, operator.webContents, { reason: "crashed", exitCode: 5 });
  expect(operator.webContents.reloads).toBe(1);
  expect(caller.events[0]).toMatchObject({ payload: { code: "windowGone" } });
  app.emit("child-process-gone", {}, { type: "GPU", reason: "crashed", exitCode: 1 });
  expect(caller.events[1]).toMatchObject({ payload: { code: "processGone", message: expect.stringContaining("GPU") as unknown } });
  expect(world.engine?.closed()).toBe(0);
});

test("a second copy does not start an engine; it brings the first one forward", async () => {
  world.hasLock = false;
  await runApp({ preload: "", engineEntry: "", rendererFolder: folder, modelFolders: [], sessionFolder: "" });
  expect([world.forked, world.windows, world.quitCount]).toEqual([[], [], 1]);
  resetWorld();
  const operator = await aRunningApp();
  let focused = 0;
  operator.on("focused", () => { focused += 1; });
  app.emit("second-instance");
  expect(focused).toBe(1);
});

test("an engine that cannot start is a sentence and an exit code, with no window", async () => {
  world.engineRefuses = true;
  await runApp({ preload: "", engineEntry: "", rendererFolder: folder, modelFolders: [], sessionFolder: "" });
  expect([world.errorBoxes, world.exitCode, world.windows]).toEqual([["expected a folder that can be written, got /nowhere"], 1, []]);
});

test("the subject's screen and the process that presents get the right of way, and no other", async () => {
  const operator = await aRunningApp();
  const own = [sleeper(), sleeper(), sleeper()];
  const [screenPid, gpuPid, otherPid] = own.map((child) => child.pid ?? 0);
  const priorityOf = (pid = 0): string => spawnSync("chrt", ["--pid", String(pid)], { encoding: "utf8" }).stdout;
  try {
    world.metrics = [{ pid: gpuPid ?? 0, type: "GPU" }, { pid: otherPid ?? 0, type: "Tab" }];
    await ipcMain.handlers.get("evoked:openStimulus")?.({ sender: operator.webContents, senderFrame: { url: operator.webContents.url } }, null);
    const stimulus = world.windows[1];
    if (stimulus === undefined) throw new Error("expected the subject's screen");
    stimulus.webContents.processId = screenPid ?? 0;
    stimulus.webContents.emit("did-finish-load");
    const said = vi.mocked(process.stderr.write);
    await until("the priority to be said", () => said.mock.calls.some(([text]) => String(text).startsWith("The subject's screen is drawn at")));
    const text = said.mock.calls.map(([line]) => String(line)).join("");
    // Whether an account may do it depends on the machine; what is said must be so.
    if (text.includes("real-time")) {
      expect(priorityOf(screenPid)).toContain("SCHED_RR");
      expect(priorityOf(gpuPid)).toContain("SCHED_RR");
    }
    if (process.platform === "linux") expect(priorityOf(otherPid)).toContain("SCHED_OTHER");
  } finally {
    for (const child of own) child.kill("SIGKILL");
  }
});

function sleeper(): ChildProcess {
  return spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { stdio: "ignore" });
}
