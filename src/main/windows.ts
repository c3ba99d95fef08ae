// The two windows: the operator's, and the subject's on a display of its choice. Knows nothing about the engine.
import { BrowserWindow, screen } from "electron";
import { windowPreferences } from "./guard.ts";
import { pageOrigin } from "./pages.ts";
import { fault, ok } from "../shared/result.ts";
import type { DisplayInfo } from "../shared/contract/bridge.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { BrowserWindowConstructorOptions, Display } from "electron";

export function openOperatorWindow(preload: string): BrowserWindow {
  const window = new BrowserWindow({ width: 1920, height: 1080, minWidth: 1024, minHeight: 700, show: false, title: "Evoked", backgroundColor: "#0d0f12", webPreferences: windowPreferences(preload) });
  window.once("ready-to-show", () => {
    window.maximize();
    window.show();
  });
  void window.loadURL(`${pageOrigin}/index.html`);
  return window;
}

/** Full screen on the named display, or on the second one; with a single display in a window, so that the operator keeps theirs. */
export function openStimulusWindow(preload: string, displayId: string | null): Result<BrowserWindow, Fault> {
  const place = placeStimulus(screen.getAllDisplays(), String(screen.getPrimaryDisplay().id), displayId);
  if (!place.ok) return place;
  const window = new BrowserWindow({ ...place.value, show: false, title: "Evoked: subject's screen", backgroundColor: "#808080", autoHideMenuBar: true, webPreferences: windowPreferences(preload) });
  // The operator's keys stay with the operator.
  window.once("ready-to-show", () => window.showInactive());
  void window.loadURL(`${pageOrigin}/stimulus.html`);
  return ok(window);
}

/** Where the stimulus window goes. Error: `displayUnknown`. */
export function placeStimulus(displays: readonly Display[], primaryId: string, displayId: string | null): Result<BrowserWindowConstructorOptions, Fault> {
  const second = displays.find((display) => String(display.id) !== primaryId);
  const chosen = displayId === null ? second : displays.find((display) => String(display.id) === displayId);
  if (chosen === undefined && displayId !== null) {
    return fault("displayUnknown", `Expected one of the displays ${displays.map((display) => `${display.id} (${display.label})`).join(", ")}, got ${displayId}. Plug it in, or choose another in the plan.`);
  }
  if (chosen === undefined) return ok({ width: 960, height: 720 });
  return ok({ ...chosen.bounds, frame: false, fullscreen: true });
}

export function describeDisplays(): readonly DisplayInfo[] {
  const primary = screen.getPrimaryDisplay().id;
  return screen.getAllDisplays().map((display) => ({
    id: String(display.id),
    label: display.label,
    widthPx: Math.round(display.size.width * display.scaleFactor),
    heightPx: Math.round(display.size.height * display.scaleFactor),
    refreshHz: display.displayFrequency,
    primary: display.id === primary,
  }));
}
