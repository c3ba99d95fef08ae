// What the desktop host lays on `window.evoked` of its windows; a browser tab has none and connects by WebSocket.
// Knows nothing about Electron.
import type { ClientFrame, EngineFrame } from "./index.ts";
import type { Fault, Result } from "../result.ts";

export interface DisplayInfo {
  /** What `display.displayId` of a session config names. */
  readonly id: string;
  readonly label: string;
  readonly widthPx: number;
  readonly heightPx: number;
  /** As the operating system states it; 0 where it does not. */
  readonly refreshHz: number;
  readonly primary: boolean;
}

export interface EvokedBridge {
  /**
   * Links this window to the engine. Frames sent before the link is up are kept and sent then. `onLink(false)` means that the
   * engine is gone: it is not started again by itself, and the last frame is a `log` event that says what happened.
   */
  connect(onFrame: (frame: EngineFrame) => void, onLink?: (up: boolean) => void): (frame: ClientFrame) => void;
  /** Opens the stimulus window full screen on a display; null = the second display where there is one. Only the operator window may. */
  openStimulus(displayId: string | null): Promise<Result<null, Fault>>;
  listDisplays(): Promise<readonly DisplayInfo[]>;
}
