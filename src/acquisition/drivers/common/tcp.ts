// One TCP connection as a driver wants it: connected within a time or a sentence why not, pieces of the stream as they come, its end told once.
// Knows nothing about protocols.
import { connect } from "node:net";
import type { Socket } from "node:net";
import { err, ok } from "../../../shared/result.ts";
import type { Result } from "../../../shared/result.ts";

export interface TcpConnection {
  write(text: string): void;
  close(): void;
  /** Whether it holds up the end of this process. */
  holds(process: boolean): void;
}

/** Errors: why it could not be made, for the end of a sentence. */
export function openTcp(options: {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly onData: (piece: Uint8Array) => void;
  /** The peer has closed it, or the cable is gone. Not called after `close`. */
  readonly onEnd: (reason: string) => void;
}): Promise<Result<TcpConnection, string>> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: options.host, port: options.port, noDelay: true });
    let isUp = false;
    let isOver = false;
    const timer = setTimeout(() => fail(`nothing answered for ${options.timeoutMs / 1000} s`), options.timeoutMs);
    function fail(reason: string): void {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      socket.destroy();
      if (isUp) options.onEnd(reason);
      else resolve(err(reason));
    }
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code === "ECONNREFUSED" ? "the connection was refused" : error.message));
    socket.on("close", () => fail("the connection was closed"));
    socket.on("data", (piece) => {
      if (!isOver) options.onData(piece);
    });
    socket.on("connect", () => {
      clearTimeout(timer);
      isUp = true;
      resolve(
        ok({
          write: (text) => void socket.write(text),
          holds: (process) => void (process ? socket.ref() : socket.unref()),
          close() {
            isOver = true;
            socket.destroy();
          },
        }),
      );
    });
  });
}
