// A stand-in for the `electron` module: records what the app sets, and lets a test act as the operating system.
// Windows have no pages; a page's preload runs through `aPage`. The engine behind utilityProcess is the stand-in engine.
import { EventEmitter } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { serveEngine } from "../../../src/engine/processServer.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import { aStandInEngine } from "./standInEngine.ts";
import type { StandIn } from "./standInEngine.ts";
import type { EngineOptions } from "../../../src/engine/engineTypes.ts";
import type { MessagePort } from "node:worker_threads";

type Handler = (...args: readonly unknown[]) => unknown;

interface World {
  hasLock: boolean;
  readonly switches: string[];
  sandboxEnabled: boolean;
  quitCount: number;
  exitCode: number | null;
  readonly windows: BrowserWindow[];
  readonly schemes: unknown[];
  readonly protocols: Map<string, (request: Request) => Promise<Response>>;
  readonly session: { permissionRequest: Handler | null; permissionCheck: Handler | null; devicePermission: Handler | null };
  displays: { id: number; label: string; bounds: { x: number; y: number; width: number; height: number }; size: { width: number; height: number }; scaleFactor: number; displayFrequency: number }[];
  readonly messageBoxes: { message: string; detail?: string }[];
  messageBoxAnswer: number;
  readonly errorBoxes: string[];
  readonly awake: Set<number>;
  metrics: { pid: number; type: string }[];
  readonly forked: { readonly entry: string; readonly options: unknown }[];
  engine: StandIn | null;
  engineOptions: EngineOptions | null;
  engineRefuses: boolean;
  killEngine: (exitCode: number) => void;
}

function freshWorld(): World {
  return {
    hasLock: true, switches: [], sandboxEnabled: false, quitCount: 0, exitCode: null, windows: [], schemes: [], protocols: new Map(),
    session: { permissionRequest: null, permissionCheck: null, devicePermission: null },
    displays: [
      { id: 11, label: "Operator", bounds: { x: 0, y: 0, width: 1920, height: 1080 }, size: { width: 1920, height: 1080 }, scaleFactor: 1, displayFrequency: 60 },
      { id: 22, label: "Subject", bounds: { x: 1920, y: 0, width: 1280, height: 720 }, size: { width: 1280, height: 720 }, scaleFactor: 1.5, displayFrequency: 120 },
    ],
    messageBoxes: [], messageBoxAnswer: 0, errorBoxes: [], awake: new Set(), metrics: [], forked: [], engine: null, engineOptions: null, engineRefuses: false, killEngine: () => undefined,
  };
}

export let world = freshWorld();

export function resetWorld(): void {
  world = freshWorld();
  for (const emitter of [app, ipcMain]) emitter.removeAllListeners();
  ipcMain.handlers.clear();
}

export function preventable(): { defaultPrevented: boolean; preventDefault(): void } {
  const event = { defaultPrevented: false, preventDefault: () => { event.defaultPrevented = true; } };
  return event;
}

class App extends EventEmitter {
  readonly isPackaged = false;
  readonly commandLine = { appendSwitch: (name: string) => void world.switches.push(name) };
  requestSingleInstanceLock(): boolean { return world.hasLock; }
  getAppMetrics(): { pid: number; type: string }[] { return world.metrics; }
  enableSandbox(): void { world.sandboxEnabled = true; }
  whenReady(): Promise<void> { return Promise.resolve(); }
  exit(code: number): void { world.exitCode = code; }
  quit(): void {
    const event = preventable();
    this.emit("before-quit", event);
    if (event.defaultPrevented) return;
    for (const window of world.windows) if (!window.isDestroyed() && !window.close()) return;
    this.emit("will-quit", preventable());
    world.quitCount += 1;
  }
}
export const app = new App();

export class WebContents extends EventEmitter {
  openHandler: Handler | null = null;
  url = "";
  reloads = 0;
  processId = 0;
  getOSProcessId(): number { return this.processId; }
  readonly renderer = new EventEmitter();
  setWindowOpenHandler(handler: Handler): void { this.openHandler = handler; }
  send(channel: string, ...args: readonly unknown[]): void { this.renderer.emit(channel, {}, ...args); }
  postMessage(channel: string, message: unknown, ports: readonly MainPort[]): void { this.renderer.emit(channel, { ports: ports.map((port) => port.raw) }, message); }
  reload(): void { this.reloads += 1; }
}

export class BrowserWindow extends EventEmitter {
  readonly webContents = new WebContents();
  readonly options: Record<string, unknown> & { readonly webPreferences?: Record<string, unknown> };
  shown: "active" | "inactive" | null = null;
  #destroyed = false;
  constructor(options: Record<string, unknown>) {
    super();
    this.options = options;
    world.windows.push(this);
    app.emit("web-contents-created", {}, this.webContents);
  }
  loadURL(url: string): Promise<void> {
    this.webContents.url = url;
    this.emit("ready-to-show");
    return Promise.resolve();
  }
  show(): void { this.shown = "active"; }
  showInactive(): void { this.shown = "inactive"; }
  maximize(): void { /* a stand-in has no size */ }
  isMinimized(): boolean { return false; }
  restore(): void { /* never minimised */ }
  focus(): void { this.emit("focused"); }
  isDestroyed(): boolean { return this.#destroyed; }
  /** False where the app kept it open. */
  close(): boolean {
    const event = preventable();
    this.emit("close", event);
    if (event.defaultPrevented) return false;
    this.destroy();
    return true;
  }
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.emit("closed");
  }
}

class IpcMain extends EventEmitter {
  readonly handlers = new Map<string, Handler>();
  handle(channel: string, handler: Handler): void { this.handlers.set(channel, handler); }
}
export const ipcMain = new IpcMain();

export const protocol = {
  registerSchemesAsPrivileged: (schemes: readonly unknown[]) => void world.schemes.push(...schemes),
  handle: (scheme: string, answer: (request: Request) => Promise<Response>) => void world.protocols.set(scheme, answer),
};
export const session = {
  defaultSession: {
    setPermissionRequestHandler: (handler: Handler) => { world.session.permissionRequest = handler; },
    setPermissionCheckHandler: (handler: Handler) => { world.session.permissionCheck = handler; },
    setDevicePermissionHandler: (handler: Handler) => { world.session.devicePermission = handler; },
  },
};
export const screen = { getAllDisplays: () => world.displays, getPrimaryDisplay: () => world.displays[0] };
export const dialog = {
  showErrorBox: (_title: string, text: string) => void world.errorBoxes.push(text),
  showMessageBox: (_window: BrowserWindow, box: { message: string; detail?: string }) => {
    world.messageBoxes.push(box);
    return Promise.resolve({ response: world.messageBoxAnswer });
  },
};
export const Menu = { setApplicationMenu: () => undefined, buildFromTemplate: (template: unknown) => template };
export const nativeTheme = { themeSource: "system" };
let blockers = 0;
export const powerSaveBlocker = {
  start: (kind: string) => {
    if (kind !== "prevent-display-sleep") throw new Error(`unexpected blocker ${kind}`);
    blockers += 1;
    world.awake.add(blockers);
    return blockers;
  },
  stop: (id: number) => void world.awake.delete(id),
};

class MainPort {
  readonly raw: MessagePort;
  constructor(raw: MessagePort) { this.raw = raw; }
  postMessage(message: unknown): void { this.raw.postMessage(message); }
  on(event: "message" | "close", listener: (event: { data: unknown }) => void): void { this.raw.on(event, (data: unknown) => listener({ data })); }
  start(): void { this.raw.start(); }
  close(): void { this.raw.close(); }
}
export class MessageChannelMain {
  readonly port1: MainPort;
  readonly port2: MainPort;
  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port1 = new MainPort(port1);
    this.port2 = new MainPort(port2);
  }
}

export const utilityProcess = {
  fork(entry: string, _args: readonly string[], options: unknown) {
    world.forked.push({ entry, options });
    const child = Object.assign(new EventEmitter(), { stdout: new EventEmitter(), stderr: new EventEmitter() });
    const inbox = new EventEmitter();
    let exited = false;
    const exit = (code: number): void => {
      if (exited) return;
      exited = true;
      child.emit("exit", code);
    };
    world.killEngine = exit;
    serveEngine(
      { post: (message) => void setImmediate(() => exited || child.emit("message", structuredClone(message))), onMessage: (listener) => void inbox.on("message", listener), onGone: () => undefined },
      (engineOptions) => {
        world.engineOptions = engineOptions;
        if (world.engineRefuses) return Promise.resolve(fault("folderNotWritable", "expected a folder that can be written, got /nowhere"));
        world.engine = aStandInEngine();
        return Promise.resolve(ok(world.engine));
      },
      { exit, onBug: () => undefined, onTerminate: () => undefined },
    );
    return Object.assign(child, {
      postMessage: (message: unknown, ports: readonly MainPort[] = []) => void setImmediate(() => exited || inbox.emit("message", structuredClone(message), ports)),
      kill: () => exit(0),
    });
  },
};

let current: WebContents | null = null;
let exposed: unknown = null;

export const contextBridge = {
  exposeInMainWorld: (name: string, api: unknown) => {
    if (name !== "evoked") throw new Error(`unexpected ${name}`);
    exposed = api;
  },
};
/** Of the window whose preload is being loaded. */
export const ipcRenderer = {
  on: (channel: string, listener: Handler) => void page().renderer.on(channel, listener),
  send: (channel: string, ...args: readonly unknown[]) => void ipcMain.emit(channel, { sender: page(), senderFrame: { url: page().url } }, ...args),
  invoke: (channel: string, ...args: readonly unknown[]) => Promise.resolve(ipcMain.handlers.get(channel)?.({ sender: page(), senderFrame: { url: page().url } }, ...args)),
};

function page(): WebContents {
  if (current === null) throw new Error("expected a window to be current");
  return current;
}

/** Runs the preload in a window; answers what its page sees as window.evoked. `act` makes later calls come from that window. */
export async function aPage(contents: WebContents, loadPreload: () => Promise<unknown>): Promise<unknown> {
  current = contents;
  exposed = null;
  await loadPreload();
  return exposed;
}

export function actAs(contents: WebContents): void {
  current = contents;
}
