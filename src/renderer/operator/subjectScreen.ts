// Opens the subject's screen: a browser of its own or a pop-up in a browser, a full-screen window in Electron. Knows nothing about what it shows.
import { findBridge } from "../bridge.ts";
import { tokenOf } from "../client.ts";
import { fault, ok } from "../../shared/result.ts";
import type { EngineClient } from "../../shared/contract/index.ts";
import type { DisplayInfo } from "../../shared/contract/bridge.ts";
import type { Fault, Result } from "../../shared/result.ts";

const windowName = "evoked-stimulus";
/** A window that was opened needs this long to measure its refresh rate and attach; no second one is opened meanwhile. */
const opensWithinMs = 8000;
let openedAtMs = Number.NEGATIVE_INFINITY;

/** Only inside a click or key press: browsers open no window without one. A window that is open already stays as it is. */
export async function openSubjectScreen(client: EngineClient, displayId: string | null): Promise<Result<null, Fault>> {
  const bridge = findBridge();
  if (bridge !== null) return await bridge.openStimulus(displayId);
  // The window is isolated from this one, so that it has a process of its own: only the engine knows whether it is there.
  const status = await client.call("display.status", {});
  if ((status.ok && status.value.attached) || performance.now() - openedAtMs < opensWithinMs) return ok(null);
  if (await opensByHost()) {
    openedAtMs = performance.now();
    return ok(null);
  }
  const address = new URL("stimulus.html", window.location.href);
  address.hostname = otherName(address.hostname);
  address.search = window.location.search;
  address.hash = window.location.hash;
  const opened = window.open(address.href, windowName, "popup=yes,width=1280,height=720");
  if (opened === null) return fault("popupBlocked", "The browser blocked the subject's screen. Allow pop-ups for this address and press W, or choose \"None, timed by the engine\".");
  openedAtMs = performance.now();
  opened.focus();
  return ok(null);
}

/** A host that opened this window in a browser of Evoked's own opens the subject's screen in another: one browser draws all its windows in one process. */
async function opensByHost(): Promise<boolean> {
  try {
    return (await fetch(`/subject?token=${tokenOf(window.location) ?? ""}`, { method: "POST" })).status === 204;
  } catch {
    return false;
  }
}

/**
 * Browsers give windows of one site one thread between them, and what the console draws would hold up the stimuli. This computer has two names,
 * which are two sites: under the other one the subject's screen gets a process of its own.
 */
function otherName(hostname: string): string {
  return hostname === "127.0.0.1" ? "localhost" : hostname === "localhost" ? "127.0.0.1" : hostname;
}

export async function listDisplays(): Promise<readonly DisplayInfo[]> {
  return (await findBridge()?.listDisplays()) ?? [];
}

/** true only where that is known. */
export async function hasOneDisplay(): Promise<boolean> {
  const bridge = findBridge();
  if (bridge !== null) return (await bridge.listDisplays()).length < 2;
  return "isExtended" in window.screen && window.screen.isExtended === false;
}
