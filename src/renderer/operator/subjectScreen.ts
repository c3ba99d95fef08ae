// Opens the subject's screen: a pop-up in a browser, a full-screen window in Electron. Knows nothing about what it shows.
import { findBridge } from "../bridge.ts";
import { fault, ok } from "../../shared/result.ts";
import type { DisplayInfo } from "../../shared/contract/bridge.ts";
import type { Fault, Result } from "../../shared/result.ts";

const windowName = "evoked-stimulus";
let opened: Window | null = null;

/** Only inside a click or key press: browsers open no window without one. A window that is open already stays as it is. */
export async function openSubjectScreen(displayId: string | null): Promise<Result<null, Fault>> {
  const bridge = findBridge();
  if (bridge !== null) return await bridge.openStimulus(displayId);
  if (opened !== null && !opened.closed) {
    opened.focus();
    return ok(null);
  }
  const address = new URL("stimulus.html", window.location.href);
  address.hostname = otherName(address.hostname);
  address.search = window.location.search;
  address.hash = window.location.hash;
  // By name first: after a reload of the console, the window of before is still there.
  const found = window.open("", windowName, "popup=yes,width=1280,height=720");
  if (found === null) return fault("popupBlocked", "The browser blocked the subject's screen. Allow pop-ups for this address and press W, or choose \"None, timed by the engine\".");
  opened = found;
  if (isEmpty(found)) found.location.href = address.href;
  found.focus();
  return ok(null);
}

/**
 * Browsers give windows of one site one thread between them, and what the console draws would hold up the stimuli. This computer has two names,
 * which are two sites: under the other one the subject's screen gets a process of its own.
 */
function otherName(hostname: string): string {
  return hostname === "127.0.0.1" ? "localhost" : hostname === "localhost" ? "127.0.0.1" : hostname;
}

function isEmpty(opened: Window): boolean {
  try {
    return opened.location.href === "about:blank";
  } catch {
    // Of another site: the subject's screen is there already.
    return false;
  }
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
