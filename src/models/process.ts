// Entry point of the models process: ONNX Runtime alone in a process, so that neither a crash nor a long run touches
// recording. Started by child_process.fork (serialization "advanced") or as an Electron utility process, which is given
// a MessagePort in its first message. Knows nothing about what is asked of it.

import { setPriority } from "node:os";
import type { ModelsPort } from "./messages.ts";
import { serveModels } from "./serve.ts";

/** What Electron adds to a utility process; declared here so that this file does not need Electron's types. */
interface ElectronPort {
  on(event: "message", listener: (event: { readonly data: unknown; readonly ports?: readonly ElectronPort[] }) => void): void;
  on(event: "close", listener: () => void): void;
  postMessage(message: unknown): void;
  start?(): void;
}

function readParentPort(): ElectronPort | null {
  const port: unknown = "parentPort" in process ? process.parentPort : null;
  return isElectronPort(port) ? port : null;
}

function isElectronPort(value: unknown): value is ElectronPort {
  return typeof value === "object" && value !== null && "postMessage" in value && "on" in value;
}

function overElectron(port: ElectronPort): ModelsPort {
  return {
    post: (message) => port.postMessage(message),
    onMessage: (listener) => port.on("message", (event) => listener(event.data)),
    onClosed: (listener) => port.on("close", () => listener("the port was closed")),
    close: () => Promise.resolve(),
  };
}

function overChildProcess(): ModelsPort {
  return {
    post: (message) => {
      if (process.connected) process.send?.(message);
    },
    onMessage: (listener) => process.on("message", listener),
    onClosed: (listener) => process.on("disconnect", () => listener("the parent is gone")),
    close: () => Promise.resolve(),
  };
}

/**
 * A model that computes on every core must not hold up the subject's screen: a frame cannot wait, the next generation's images can for a
 * millisecond. Before any thread of ONNX Runtime is made: threads inherit it. On Windows the same number means "below normal".
 */
const niceness = 5;
try {
  setPriority(niceness);
} catch {
  // Not allowed here: then all processes are equal.
}

const parent = readParentPort();
if (parent !== null) {
  parent.on("message", (event) => {
    const port = event.ports?.[0];
    if (port === undefined) return;
    const line = overElectron(port);
    serveModels(line);
    line.onClosed(() => process.exit(0));
    port.start?.();
  });
} else if (process.send !== undefined) {
  const line = overChildProcess();
  serveModels(line);
  // Without its parent the process has nobody to work for; a session must not leave one behind.
  line.onClosed(() => process.exit(0));
} else {
  process.stderr.write("This is the models process of Evoked; it is started by the app, not by hand.\n");
  process.exit(2);
}
