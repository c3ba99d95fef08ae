// What no page of this app may ever do: navigate away, open windows, ask for devices. Knows nothing about which pages there are.
import { app, session } from "electron";
import { pageOrigin } from "./pages.ts";
import type { WebContents, WebPreferences } from "electron";

/** Settings of every window. `backgroundThrottling` off: the stimulus draws and the operator sees, also while covered. */
export function windowPreferences(preload: string): WebPreferences {
  return {
    preload, contextIsolation: true, sandbox: true, nodeIntegration: false, nodeIntegrationInWorker: false, nodeIntegrationInSubFrames: false,
    webSecurity: true, webviewTag: false, navigateOnDragDrop: false, spellcheck: false, backgroundThrottling: false,
  };
}

/** Once the app is ready, before the first window. */
export function guardPages(): void {
  session.defaultSession.setPermissionRequestHandler((_contents, _permission, decide) => decide(false));
  session.defaultSession.setPermissionCheckHandler(() => false);
  session.defaultSession.setDevicePermissionHandler(() => false);
  app.on("web-contents-created", (_event, contents) => guardContents(contents));
}

function guardContents(contents: WebContents): void {
  contents.setWindowOpenHandler(() => ({ action: "deny" }));
  contents.on("will-navigate", (event) => {
    if (!isOwnPage(event.url)) event.preventDefault();
  });
  contents.on("will-redirect", (event) => event.preventDefault());
  contents.on("will-attach-webview", (event) => event.preventDefault());
}

/** Only a reload of a page of this app counts as one. */
export function isOwnPage(address: string): boolean {
  return URL.canParse(address) && address.startsWith(`${pageOrigin}/`);
}
