// The desktop app's main process: a broker between windows and engine, and the one that decides when to end.
// Knows nothing about sessions but whether one runs.
import { Menu, app, dialog, ipcMain, nativeTheme, powerSaveBlocker } from "electron";
import { channels } from "./channels.ts";
import { startEngineHost } from "./engineHost.ts";
import { guardPages, isOwnPage } from "./guard.ts";
import { registerScheme, servePages } from "./pages.ts";
import { describeDisplays, openOperatorWindow, openStimulusWindow } from "./windows.ts";
import { describeRightOfWay, giveRightOfWay } from "../engine/drawingPriority.ts";
import { hostLogFrame } from "../engine/link.ts";
import { fault } from "../shared/result.ts";
import type { EngineHost } from "./engineHost.ts";
import type { EngineDown } from "../engine/link.ts";
import type { Access, EventName, Phase } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { BrowserWindow, IpcMainEvent, IpcMainInvokeEvent, MenuItemConstructorOptions } from "electron";

export interface AppPaths {
  readonly preload: string;
  readonly engineEntry: string;
  readonly rendererFolder: string;
  readonly modelFolders: readonly string[];
  readonly sessionFolder: string;
}

type Role = "operator" | "stimulus";
const accessOf: Readonly<Record<Role, readonly Access[]>> = { operator: ["view", "operate"], stimulus: ["view", "stimulus"] };
/** The draw loop hears nothing that is not its business. */
const wantsOf: Readonly<Record<Role, readonly EventName[] | null>> = { operator: null, stimulus: ["stimulus", "session"] };
const activePhases: ReadonlySet<Phase> = new Set<Phase>(["starting", "running", "paused", "stopping"]);

/** Runs the app until it quits. To be called before Electron is ready. */
export async function runApp(paths: AppPaths): Promise<void> {
  if (!app.requestSingleInstanceLock()) {
    process.stderr.write("Evoked is open already; its window comes to the front.\n");
    app.quit();
    return;
  }
  app.enableSandbox();
  for (const name of ["disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding"]) app.commandLine.appendSwitch(name);
  registerScheme();
  nativeTheme.themeSource = "dark";

  const windows = new Map<Role, BrowserWindow>();
  await app.whenReady();
  guardPages();
  servePages(paths.rendererFolder);
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate()));

  const started = await startEngineHost({
    entry: paths.engineEntry,
    engine: { host: "electron", modelFolders: paths.modelFolders, sessionFolder: paths.sessionFolder },
    log: (text) => void process.stderr.write(text),
  });
  if (!started.ok) {
    dialog.showErrorBox("Evoked could not start", started.error.message);
    app.exit(1);
    return;
  }
  const engine = started.value;
  connectWindows(engine, windows, paths);
  keepAwake(engine);
  reportEnds(engine, windows);
  endWithEngine(engine, windows);
  app.on("second-instance", () => bringForward(windows.get("operator")));
  openOperator(engine, windows, paths);
}

function openOperator(engine: EngineHost, windows: Map<Role, BrowserWindow>, paths: AppPaths): void {
  const window = openOperatorWindow(paths.preload);
  windows.set("operator", window);
  let agreed = false;
  window.on("close", (event) => {
    if (agreed || !activePhases.has(engine.phase())) return;
    event.preventDefault();
    void askToStop(window).then((yes) => {
      agreed = yes;
      if (yes) window.close();
    });
  });
  // Without the operator there is nobody to see or stop what the subject is shown.
  window.on("closed", () => app.quit());
}

async function askToStop(window: BrowserWindow): Promise<boolean> {
  const { response } = await dialog.showMessageBox(window, {
    type: "warning", title: "Evoked", message: "A session is running.", detail: "Closing Evoked stops it. Its file is complete up to the last presentation, and it can be resumed.",
    buttons: ["Keep running", "Stop and close"], defaultId: 0, cancelId: 0, noLink: true,
  });
  return response === 1;
}

/** Answers the windows' few requests; each must come from a page of this app in one of its windows. */
function connectWindows(engine: EngineHost, windows: Map<Role, BrowserWindow>, paths: AppPaths): void {
  let links = 0;
  const roleOf = (event: IpcMainEvent | IpcMainInvokeEvent): Role | null => {
    if (!isOwnPage(event.senderFrame?.url ?? "")) return null;
    for (const [role, window] of windows) if (!window.isDestroyed() && window.webContents === event.sender) return role;
    return null;
  };
  ipcMain.on(channels.connect, (event) => {
    const role = roleOf(event);
    if (role === null) return;
    links += 1;
    event.sender.postMessage(channels.port, null, [engine.link(`${role}-${links}`, accessOf[role], wantsOf[role])]);
  });
  ipcMain.handle(channels.listDisplays, (event) => roleOf(event) === null ? [] : describeDisplays());
  ipcMain.handle(channels.openStimulus, (event, displayId: unknown): Result<null, Fault> => {
    if (roleOf(event) !== "operator") return fault("accessDenied", "Only the operator's window opens the subject's screen.");
    if (displayId !== null && typeof displayId !== "string") return fault("badArguments", `Expected a display's id or null, got ${JSON.stringify(displayId)}.`);
    const opened = openStimulusWindow(paths.preload, displayId);
    if (!opened.ok) return opened;
    const earlier = windows.get("stimulus");
    windows.set("stimulus", opened.value);
    if (earlier !== undefined && !earlier.isDestroyed()) earlier.destroy();
    favourDrawing(opened.value);
    opened.value.on("closed", () => {
      if (windows.get("stimulus") === opened.value) windows.delete("stimulus");
    });
    return { ok: true, value: null };
  });
}

/** The subject's screen, and the process that presents what it draws, before all else on the machine. Also after its page was loaded anew in another process. */
function favourDrawing(window: BrowserWindow): void {
  window.webContents.on("did-finish-load", () => {
    const gpu = app.getAppMetrics().filter((metric) => metric.type === "GPU").map((metric) => metric.pid);
    void giveRightOfWay([window.webContents.getOSProcessId(), ...gpu]).then((got) => process.stderr.write(`${describeRightOfWay(got)}\n`));
  });
}

/** While a session is active, neither the display nor the machine goes to sleep. */
function keepAwake(engine: EngineHost): void {
  let blocker: number | null = null;
  const update = (active: boolean): void => {
    if (active && blocker === null) blocker = powerSaveBlocker.start("prevent-display-sleep");
    if (!active && blocker !== null) {
      powerSaveBlocker.stop(blocker);
      blocker = null;
    }
  };
  engine.onPhase((phase) => update(activePhases.has(phase)));
  engine.onDown(() => update(false));
}

/** The end of any process of the app is told in the operator's window. */
function reportEnds(engine: EngineHost, windows: Map<Role, BrowserWindow>): void {
  const tell = (severity: "warn" | "fault", code: string, message: string): void => {
    process.stderr.write(`${message}\n`);
    const operator = windows.get("operator");
    if (operator !== undefined && !operator.isDestroyed()) operator.webContents.send(channels.notice, hostLogFrame(severity, code, message));
  };
  app.on("render-process-gone", (_event, contents, details) => {
    if (details.reason === "clean-exit") return;
    const role = [...windows].find(([, window]) => !window.isDestroyed() && window.webContents === contents)?.[0];
    if (role === undefined) return;
    // The session does not depend on its windows: the page is loaded again and takes a fresh snapshot.
    tell("fault", "windowGone", `The ${role} window's process ended (${details.reason}, exit code ${details.exitCode}). It is opened again; recording went on, presentations on a lost stimulus window are repeated.`);
    contents.reload();
  });
  app.on("child-process-gone", (_event, details) => {
    if (details.reason === "clean-exit" || details.serviceName === "Evoked engine" || details.name === "Evoked engine") return;
    tell("warn", "processGone", `A helper process of the app ended: ${details.name ?? details.type} (${details.reason}, exit code ${details.exitCode}).`);
  });
  engine.onDown((down) => {
    if (down.expected) return;
    process.stderr.write(`${down.message}\n`);
    for (const window of windows.values()) if (!window.isDestroyed()) window.webContents.send(channels.engineDown, hostLogFrame("fault", "engineDown", down.message));
    const operator = windows.get("operator");
    if (operator !== undefined && !operator.isDestroyed()) void dialog.showMessageBox(operator, { type: "error", title: "Evoked", message: "The engine has stopped.", detail: down.message, buttons: ["OK"] });
  });
}

/** Quitting waits for the engine: session stopped, reward line off, store flushed. */
function endWithEngine(engine: EngineHost, windows: ReadonlyMap<Role, BrowserWindow>): void {
  let ended: EngineDown | null = null;
  let asked = false;
  engine.onDown((down) => { ended = down; });
  app.on("before-quit", (event) => {
    if (ended !== null || asked) {
      if (ended === null) event.preventDefault();
      return;
    }
    const operator = windows.get("operator");
    // An open operator window asks by itself whether a session may be stopped; quitting goes on from its end.
    if (operator !== undefined && !operator.isDestroyed() && activePhases.has(engine.phase())) {
      event.preventDefault();
      operator.close();
      return;
    }
    event.preventDefault();
    asked = true;
    void engine.close().then(() => app.quit());
  });
  app.on("window-all-closed", () => app.quit());
  app.on("will-quit", () => {
    if (ended !== null && !ended.expected) process.exitCode = 1;
  });
}

function bringForward(window: BrowserWindow | undefined): void {
  if (window === undefined || window.isDestroyed()) return;
  if (window.isMinimized()) window.restore();
  window.focus();
}

/** No reload and no zoom: neither is wanted by a stray key in the middle of a session. */
function menuTemplate(): MenuItemConstructorOptions[] {
  return [
    ...(process.platform === "darwin" ? [{ role: "appMenu" as const }] : []),
    { label: "File", submenu: [{ role: "quit" }] },
    { label: "Edit", submenu: [{ role: "undo" }, { role: "redo" }, { type: "separator" }, { role: "cut" }, { role: "copy" }, { role: "paste" }, { role: "selectAll" }] },
    { label: "View", submenu: [{ role: "togglefullscreen" }, ...(app.isPackaged ? [] : [{ role: "toggleDevTools" as const }])] },
    { label: "Window", submenu: [{ role: "minimize" }] },
  ];
}
