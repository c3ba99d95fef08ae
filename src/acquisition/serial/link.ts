// One serial port that stays open as far as it can: opened without resetting what hangs on it, watched, and opened again when it comes back.
// Knows nothing about what is said over it.
import type { SerialPort as Port } from "serialport";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";

export interface SerialLinkOptions {
  readonly path: string;
  readonly baudRate: number;
  readonly onBytes: (bytes: Buffer) => void;
  /** Open again after it was away; the first time is what `open` answers. */
  readonly onBack: () => void;
  /** The port went away; it is tried again until `close`. */
  readonly onAway: (reason: string) => void;
}

export interface SerialLink {
  /** Errors: `driverMissing`, `noPort`. */
  open(): Promise<Result<void, Fault>>;
  readonly isOpen: boolean;
  /** false: nothing was sent, the port is away. */
  send(bytes: string | Uint8Array): boolean;
  /** Settles when what was sent has left this computer, or cannot. */
  drain(): Promise<void>;
  /** Lets the port go; it is not opened again. */
  close(): Promise<void>;
}

const retryMs = 500;
/** On Windows an unplugged adapter may never say so: its absence from the list does. */
const listMs = 1000;

export function createSerialLink(options: SerialLinkOptions): SerialLink {
  let port: Port | null = null;
  let wanted = false;
  let retry: NodeJS.Timeout | null = null;
  let listing: NodeJS.Timeout | null = null;

  async function attempt(): Promise<string | null> {
    const { SerialPort } = await import("serialport");
    // hupcl false: closing must not drop DTR, which resets an Arduino. Another program that holds the port is refused (lock).
    const next = new SerialPort({ path: options.path, baudRate: options.baudRate, autoOpen: false, hupcl: false, lock: true });
    const problem = await new Promise<Error | null>((resolve) => next.open(resolve));
    if (problem !== null && problem !== undefined) return problem.message;
    if (!wanted) {
      next.close();
      return null;
    }
    port = next;
    next.on("data", (bytes: Buffer) => {
      if (port === next) options.onBytes(bytes);
    });
    // Modem lines that a pseudo-terminal has not are no fault of the port.
    next.on("error", (error: Error) => {
      if (!/ioctl/i.test(error.message)) lose(next, error.message);
    });
    next.on("close", (error: (Error & { readonly disconnected?: boolean }) | null) => lose(next, error?.disconnected === true ? "it was unplugged" : (error?.message ?? "it was closed")));
    return null;
  }

  function lose(gone: Port, reason: string): void {
    if (port !== gone) return;
    port = null;
    if (gone.isOpen) gone.close(() => undefined);
    if (!wanted) return;
    options.onAway(reason);
    tryAgain();
  }

  function tryAgain(): void {
    if (!wanted) return;
    retry = setTimeout(() => {
      void attempt().then((problem) => {
        if (!wanted || port === null) {
          if (problem !== null) tryAgain();
          return;
        }
        options.onBack();
      });
    }, retryMs);
  }

  function watchList(): void {
    if (process.platform !== "win32") return;
    listing = setInterval(() => {
      const held = port;
      if (held === null) return;
      void import("serialport").then(({ SerialPort }) => SerialPort.list()).then((ports) => {
        if (!ports.some((p) => p.path.toLowerCase() === options.path.toLowerCase())) lose(held, "it was unplugged");
      }).catch(() => undefined);
    }, listMs);
  }

  return {
    async open() {
      wanted = true;
      let problem: string | null;
      try {
        problem = await attempt();
      } catch (error) {
        wanted = false;
        return fault("driverMissing", `The serial port library could not be loaded: ${error instanceof Error ? error.message : String(error)}. Install the program again.`);
      }
      if (problem !== null) {
        wanted = false;
        return fault("noPort", `Expected a serial port ${options.path}, got: ${problem.replace(/^Error:?\s*/, "").replace(/\.$/, "")}. Ports here: ${(await listPorts()).join(", ") || "none"}. Plug the device in, close other programs that use it, or name another port.`);
      }
      watchList();
      return ok(undefined);
    },
    get isOpen() {
      return port !== null;
    },
    send(bytes) {
      if (port === null) return false;
      port.write(typeof bytes === "string" ? bytes : Buffer.from(bytes));
      return true;
    },
    async drain() {
      const held = port;
      if (held === null) return;
      // A port whose other end is gone may never drain.
      await Promise.race([new Promise<void>((resolve) => held.drain(() => resolve())), new Promise<void>((resolve) => setTimeout(resolve, 200))]);
    },
    async close() {
      wanted = false;
      if (retry !== null) clearTimeout(retry);
      if (listing !== null) clearInterval(listing);
      const held = port;
      port = null;
      if (held !== null && held.isOpen) await new Promise<void>((resolve) => held.close(() => resolve()));
    },
  };
}

/** Paths of the serial ports of this machine; empty where they cannot be listed. */
export async function listPorts(): Promise<readonly string[]> {
  try {
    const { SerialPort } = await import("serialport");
    return (await SerialPort.list()).map((p) => p.path);
  } catch {
    return [];
  }
}
