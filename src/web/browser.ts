// Finds a browser on this machine and opens an address in a window of its own. Knows nothing about what the page shows.
import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isRoot: boolean;
  readonly home: string;
  readonly isProgram: (file: string) => boolean;
  readonly realPath: (file: string) => string;
}

export interface BrowserPlan {
  readonly program: string;
  readonly args: readonly string[];
  /** Folder that must exist first; null where the browser keeps its own. */
  readonly profileFolder: string | null;
  /** What the operator should know; null = nothing. */
  readonly notice: string | null;
}

/** Whose window it is: each in a browser of its own, so that neither waits for what the other draws. */
export type WindowOf = "operator" | "subject";

type Family = "chromium" | "firefox";
interface Found {
  readonly program: string;
  readonly family: Family;
}

const linuxPrograms: readonly (readonly [string, Family])[] = [
  ["chromium", "chromium"], ["chromium-browser", "chromium"], ["google-chrome", "chromium"], ["google-chrome-stable", "chromium"],
  ["microsoft-edge", "chromium"], ["microsoft-edge-stable", "chromium"], ["brave-browser", "chromium"], ["firefox", "firefox"], ["firefox-esr", "firefox"],
];
const macPrograms: readonly (readonly [string, Family])[] = [
  ["Google Chrome.app/Contents/MacOS/Google Chrome", "chromium"], ["Chromium.app/Contents/MacOS/Chromium", "chromium"],
  ["Microsoft Edge.app/Contents/MacOS/Microsoft Edge", "chromium"], ["Brave Browser.app/Contents/MacOS/Brave Browser", "chromium"], ["Firefox.app/Contents/MacOS/firefox", "firefox"],
];
const windowsPrograms: readonly (readonly [string, Family])[] = [
  ["Google/Chrome/Application/chrome.exe", "chromium"], ["Microsoft/Edge/Application/msedge.exe", "chromium"],
  ["Chromium/Application/chrome.exe", "chromium"], ["BraveSoftware/Brave-Browser/Application/brave.exe", "chromium"], ["Mozilla Firefox/firefox.exe", "firefox"],
];

/** Browsers that the stimulus window draws well in come first. null = none found. */
export function findBrowser(machine: Machine): Found | null {
  for (const [program, family] of candidates(machine)) if (machine.isProgram(program)) return { program, family };
  return null;
}

function candidates(machine: Machine): readonly (readonly [string, Family])[] {
  const chosen = machine.env["EVOKED_BROWSER"];
  const first: (readonly [string, Family])[] = chosen === undefined || chosen === "" ? [] : [[chosen, /firefox/i.test(chosen) ? "firefox" : "chromium"]];
  return [...first, ...installed(machine)];
}

function installed(machine: Machine): readonly (readonly [string, Family])[] {
  switch (machine.platform) {
    case "darwin":
      return cross(["/Applications", join(machine.home, "Applications")], macPrograms);
    case "win32":
      return cross([machine.env["PROGRAMFILES"], machine.env["PROGRAMFILES(X86)"], machine.env["LOCALAPPDATA"]].filter((folder) => folder !== undefined), windowsPrograms);
    default:
      return linuxPrograms.flatMap(([name, family]) => (machine.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "").map((folder) => [join(folder, name), family] as const));
  }
}

function cross(folders: readonly string[], programs: readonly (readonly [string, Family])[]): readonly (readonly [string, Family])[] {
  return programs.flatMap(([name, family]) => folders.map((folder) => [join(folder, name), family] as const));
}

/** False on a Linux without a screen: a browser would start and end at once. */
export function hasScreen(machine: Machine): boolean {
  return machine.platform === "win32" || machine.platform === "darwin" || [machine.env["DISPLAY"], machine.env["WAYLAND_DISPLAY"]].some((name) => name !== undefined && name !== "");
}

/** How to open an address; a sentence with what to do where that cannot be. */
export function planBrowser(machine: Machine, url: string, windowOf: WindowOf): BrowserPlan | { readonly problem: string } {
  if (!hasScreen(machine)) return { problem: "This machine has no screen (DISPLAY and WAYLAND_DISPLAY are not set), so no browser was opened. Open the address above from here, for example through an SSH tunnel." };
  const found = findBrowser(machine);
  if (found === null) return { problem: "No browser was found (looked for Chromium, Chrome, Edge, Brave and Firefox). Install one or name it in EVOKED_BROWSER, and open the address above." };
  if (found.family === "firefox") return { program: found.program, args: ["--new-window", url], profileFolder: null, notice: null };
  const profileFolder = profileFor(machine, found.program, windowOf);
  const needsNoSandbox = machine.isRoot && machine.platform === "linux";
  return {
    program: found.program,
    args: [
      `--app=${url}`, `--user-data-dir=${profileFolder}`, "--no-first-run", "--no-default-browser-check", "--disable-session-crashed-bubble", windowOf === "operator" ? "--window-size=1920,1080" : "--window-size=1280,720",
      // The stimulus and the operator's window must keep drawing when they are covered or out of focus.
      "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
      ...(needsNoSandbox ? ["--no-sandbox"] : []),
    ],
    profileFolder,
    notice: needsNoSandbox ? "You are root, and Chromium refuses to start its sandbox for root: it runs with --no-sandbox. Prefer an ordinary account." : null,
  };
}

/** A profile of Evoked's own, so that the window is not one of the browser that is open already. A snap may only write below its own folder. */
function profileFor(machine: Machine, program: string, windowOf: WindowOf): string {
  const name = windowOf === "operator" ? "browser" : "subject-browser";
  switch (machine.platform) {
    case "darwin":
      return join(machine.home, "Library", "Application Support", "Evoked", name);
    case "win32":
      return join(machine.env["LOCALAPPDATA"] ?? machine.home, "Evoked", name);
    default: {
      // Ubuntu's /usr/bin/chromium-browser is a script that runs the snap.
      const isSnap = [program, machine.realPath(program)].some((file) => /\/snap(\/|$)/.test(file)) || (/chromium/.test(program) && machine.isProgram("/snap/bin/chromium"));
      return isSnap ? join(machine.home, "snap", "chromium", "common", windowOf === "operator" ? "evoked" : "evoked-subject") : join(machine.env["XDG_CACHE_HOME"] ?? join(machine.home, ".cache"), "evoked", name);
    }
  }
}

export function thisMachine(): Machine {
  return {
    platform: process.platform,
    env: process.env,
    isRoot: process.getuid?.() === 0,
    home: homedir(),
    isProgram: (file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
    realPath: (file) => {
      try {
        return realpathSync(file);
      } catch {
        return file;
      }
    },
  };
}

/** Opens the address; the browser outlives this process. `say` gets sentences for the operator, now or soon after. Returns its profile's folder; null = none of Evoked's own. */
export function openBrowser(url: string, say: (sentence: string) => void, windowOf: WindowOf, machine: Machine = thisMachine()): string | null {
  const plan = planBrowser(machine, url, windowOf);
  if ("problem" in plan) {
    say(plan.problem);
    return null;
  }
  if (plan.notice !== null) say(plan.notice);
  if (plan.profileFolder !== null) mkdirSync(plan.profileFolder, { recursive: true });
  const child = spawn(plan.program, plan.args, { stdio: "ignore", detached: true });
  const failed = (why: string): void => say(`${plan.program} did not open a window (${why}). Open the address above in a browser of your choice, or name one in EVOKED_BROWSER.`);
  child.on("error", (error) => failed(error.message));
  // A browser that passes the address on to its running copy also ends, with code 0.
  child.on("exit", (code, signal) => void (code !== 0 && failed(signal ?? `exit code ${code ?? "unknown"}`)));
  child.unref();
  return plan.profileFolder;
}
