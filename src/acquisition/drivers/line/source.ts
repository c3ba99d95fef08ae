// A spike source over the line for home-made rigs: a UDP port that listens, or a TCP connection that is made again when it breaks. What the
// bytes mean is the decoder's business. Format: docs/rigs/line.md.
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import type { Clock, SpikeSource } from "../../../shared/ports.ts";
import { fault, ok } from "../../../shared/result.ts";
import { addMs, msBetween } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { RawGazeBatch, SourceEvent } from "../../../shared/values.ts";
import type { LineDecoder, Tap } from "../../capture/decoding.ts";
import { startsOnce, statusOfStream } from "../common/ends.ts";
import { openTcp } from "../common/tcp.ts";
import type { TcpConnection } from "../common/tcp.ts";
import { createLineDecoder } from "./decoder.ts";
import type { LineStream } from "./decoder.ts";
import type { LineOptions } from "./options.ts";

const watchMs = 50;
const retryMs = 500;
/** Room for datagrams that wait while this process is busy; the system may allow less. */
const receiveBufferBytes = 8 * 1024 * 1024;

interface Running {
  readonly listener: (event: SourceEvent) => void;
  readonly decoder: LineStream;
  socket: Socket | null;
  connection: TcpConnection | null;
  startedHostNs: HostTimeNs;
  newestHostNs: HostTimeNs | null;
  onFirst: () => void;
  isSettling: boolean;
  cancelWatch: () => void;
  cancelRetry: () => void;
}

/** The decoder on its own. */
export function decodeLine(options: LineOptions, emit: (event: SourceEvent) => void): LineDecoder {
  const decoder = createLineDecoder(options, emit);
  return {
    take(_lane, [piece], arrivedHostNs) {
      if (piece !== undefined) decoder.take(piece, arrivedHostNs);
    },
    settle: (nowHostNs) => decoder.settle(nowHostNs),
    finish: (nowHostNs) => decoder.finish(nowHostNs),
    channels: () => decoder.stream.channels(),
    get packets() {
      return decoder.packets;
    },
  };
}

export function createLineSource({ clock, options, tap }: { readonly clock: Clock; readonly options: LineOptions; readonly tap?: Tap }): SpikeSource {
  let address = `${options.transport}://${options.host}:${options.port}`;
  let running: Running | null = null;
  const once = startsOnce("the line", () => running !== null);
  let last: Running | null = null;
  let gazeListener: ((batch: RawGazeBatch) => void) | null = null;

  function receive(current: Running, piece: Uint8Array): void {
    if (running !== current) return;
    const now = clock.now();
    current.newestHostNs = now;
    tap?.(0, [piece], now);
    current.decoder.take(piece, now);
    current.onFirst();
    if (current.isSettling) return;
    current.isSettling = true;
    // Datagrams that are there already go out in one batch.
    setImmediate(() => {
      current.isSettling = false;
      if (running === current) current.decoder.settle(clock.now());
    });
  }

  /** null: it listens. Else why not, for the end of a sentence. */
  function bind(current: Running): Promise<string | null> {
    return new Promise((resolve) => {
      const socket = createSocket({ type: options.host.includes(":") ? "udp6" : "udp4", recvBufferSize: receiveBufferBytes });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        socket.close();
        resolve(error.code === "EADDRINUSE" ? "the port is in use by another program" : error.message);
      });
      socket.on("message", (piece) => receive(current, piece));
      socket.bind({ address: options.host, port: options.port, exclusive: true }, () => {
        current.socket = socket;
        address = `udp://${options.host}:${socket.address().port}`;
        resolve(null);
      });
    });
  }

  async function connect(current: Running): Promise<string | null> {
    const opened = await openTcp({
      host: options.host, port: options.port, timeoutMs: options.startTimeoutMs, onData: (piece) => receive(current, piece),
      onEnd(reason) {
        if (running !== current) return;
        current.connection = null;
        current.decoder.stream.away({ kind: "lost", reason: `${address}: ${reason}` }, clock.now());
        retry(current);
      },
    });
    if (!opened.ok) return opened.error;
    if (running !== current) {
      opened.value.close();
      return null;
    }
    current.decoder.clear();
    current.connection = opened.value;
    return null;
  }

  function retry(current: Running): void {
    current.cancelRetry = clock.setTimer(addMs(clock.now(), retryMs), () => {
      void (async () => {
        if (running === current && (await connect(current)) !== null && running === current) retry(current);
      })();
    });
  }

  function watch(current: Running): void {
    if (running !== current) return;
    const now = clock.now();
    current.decoder.settle(now);
    const ageMs = msBetween(current.newestHostNs ?? current.startedHostNs, now);
    if (ageMs >= options.staleMs && !current.decoder.stream.isAway) current.decoder.stream.away({ kind: "stale", ageMs }, now);
    current.cancelWatch = clock.setTimer(addMs(now, watchMs), () => watch(current));
  }

  function close(current: Running): void {
    running = null;
    last = current;
    current.cancelWatch();
    current.cancelRetry();
    current.onFirst();
    current.socket?.close();
    current.connection?.close();
  }

  return {
    name: "Line",
    channels: () => (running ?? last)?.decoder.stream.channels() ?? [],
    start: (listener) =>
      once(async () => {
        const current: Running = {
          listener, socket: null, connection: null, startedHostNs: clock.now(), newestHostNs: null, onFirst: () => undefined, isSettling: false, cancelWatch: () => undefined, cancelRetry: () => undefined,
          decoder: createLineDecoder(options, (event) => {
            if (running === current) listener(event);
          }),
        };
        current.decoder.onGaze((batch) => gazeListener?.(batch));
        running = current;
        current.decoder.stream.announce();
        const problem = options.transport === "udp" ? await bind(current) : await connect(current);
        if (problem !== null) {
          close(current);
          return fault(options.transport === "udp" ? "portInUse" : "noAnswer", `Expected ${options.transport === "udp" ? "to listen" : "a rig"} at ${address}, but ${problem}. Check host and port of the rig.`);
        }
        watch(current);
        const hasSpoken = await new Promise<boolean>((resolve) => {
          const cancel = clock.setTimer(addMs(clock.now(), options.startTimeoutMs), () => resolve(false));
          current.onFirst = () => {
            cancel();
            resolve(true);
          };
          if (current.newestHostNs !== null) current.onFirst();
        });
        if (!hasSpoken && running === current) {
          close(current);
          return fault("noAnswer", `Expected lines of the rig at ${address}, but nothing came for ${options.startTimeoutMs / 1000} s. Start the rig's program, let it send heartbeats (H), and check host and port.`);
        }
        return ok(undefined);
      }),
    status() {
      const shown = running ?? last;
      return statusOfStream(shown === null ? null : { stream: shown.decoder.stream, packets: shown.decoder.packets, newestHostNs: shown.newestHostNs }, { address, connected: running !== null && running.newestHostNs !== null && !running.decoder.stream.isAway });
    },
    async stop() {
      const current = running;
      if (current === null) return;
      // What is held goes out before the end.
      current.decoder.finish(clock.now());
      close(current);
      current.listener({ kind: "end", reason: "The line was stopped." });
    },
    gaze(listener) {
      gazeListener = listener;
    },
  };
}
