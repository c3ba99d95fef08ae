// What a window of the desktop app is given: `window.evoked`, and nothing else of Node or Electron.
// Knows nothing about what is said over the port.
import { contextBridge, ipcRenderer } from "electron";
import { channels } from "./channels.ts";
import type { EvokedBridge } from "../shared/contract/bridge.ts";
import type { ClientFrame, EngineFrame } from "../shared/contract/index.ts";

/** As much of a browser's MessagePort as is used; this folder's types are Node's. */
interface EnginePort {
  addEventListener(event: "message", listener: (message: { readonly data: EngineFrame }) => void): void;
  start(): void;
  postMessage(frame: ClientFrame): void;
}

const bridge: EvokedBridge = {
  connect(onFrame, onLink) {
    let port: EnginePort | null = null;
    const waiting: ClientFrame[] = [];
    ipcRenderer.on(channels.port, (event) => {
      const given: EnginePort | undefined = event.ports[0];
      if (given === undefined) throw new Error("expected a port to the engine with the message, got none");
      port = given;
      given.addEventListener("message", (message) => onFrame(message.data));
      given.start();
      onLink?.(true);
      for (const frame of waiting.splice(0)) given.postMessage(frame);
    });
    ipcRenderer.on(channels.notice, (_event, frame: EngineFrame) => onFrame(frame));
    ipcRenderer.on(channels.engineDown, (_event, frame: EngineFrame) => {
      port = null;
      onFrame(frame);
      onLink?.(false);
    });
    ipcRenderer.send(channels.connect);
    return (frame) => {
      if (port === null) waiting.push(frame);
      else port.postMessage(frame);
    };
  },
  openStimulus: (displayId) => ipcRenderer.invoke(channels.openStimulus, displayId),
  listDisplays: () => ipcRenderer.invoke(channels.listDisplays),
};

contextBridge.exposeInMainWorld("evoked", bridge);
