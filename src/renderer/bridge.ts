// Where the desktop host's bridge hangs on the page. Absent in a browser. Knows nothing about what is sent.
import type { EvokedBridge } from "../shared/contract/bridge.ts";

declare global {
  interface Window {
    readonly evoked?: EvokedBridge;
  }
}

export function findBridge(): EvokedBridge | null {
  return window.evoked ?? null;
}
