// The web host: the renderer's pages and the contract over WebSocket, on loopback unless told otherwise.
// Knows nothing about what methods do; it carries frames between sockets and the engine's link.
import { createServer } from "node:http";
import { resolve } from "node:path";
import { WebSocketServer } from "ws";
import { accessOfToken, allowedHosts, bracketed, isAllowedOrigin, isLoopback } from "./access.ts";
import { sendText, servePage } from "./pages.ts";
import { pixelsPath, servePixels } from "./pixels.ts";
import { serveSubject, subjectPath } from "./subject.ts";
import { hostLogFrame } from "../engine/link.ts";
import { events } from "../shared/contract/index.ts";
import { pageHeaders } from "../shared/pageSecurity.ts";
import { fault, ok } from "../shared/result.ts";
import type { Tokens } from "./access.ts";
import type { EngineLink, EventFrame } from "../engine/link.ts";
import type { Access, EngineFrame, EventName } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";

export interface WebHostOptions {
  readonly engine: EngineLink;
  /** Folder with the built index.html and stimulus.html. */
  readonly rendererFolder: string;
  /** Address to listen on; other than loopback needs `mayLeaveLoopback`. */
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly mayLeaveLoopback: boolean;
  readonly tokens: Tokens;
  /** A subject's screen linked itself. */
  readonly onStimulus?: () => void;
  /** Opens the subject's screen on this computer, in a browser of its own; false where it cannot. */
  readonly openSubject?: (url: string) => boolean;
}

export interface WebHost {
  readonly port: number;
  readonly operatorUrl: string;
  readonly viewerUrl: string;
  /** Ends all links and stops listening; the engine is left alone. */
  close(): Promise<void>;
}

/** WebSocket close codes of this host; the text goes with them as the reason. */
export const closeCodes = { engineDown: 4001, noToken: 4401, tooSlow: 4408, hostClosing: 1001 } as const;

/** Above this a socket is behind: of what the next frame replaces it gets the newest alone, once it has caught up. */
const bufferedBytesForLive = 256 * 1024;
/** A socket that is this far behind is ended: its window links again and takes a fresh snapshot. */
const bufferedBytesMax = 16 * 1024 * 1024;
/** State that the next frame of its kind replaces. */
const decimated: ReadonlySet<string> = new Set<EventName>(["live", "eye", "screen"]);
const heartbeatMs = 5000;
const callerFrameBytesMax = 4 * 1024 * 1024;
const linksMax = 64;

/** Starts listening. Errors: `portInUse`, `portNotAllowed`, `addressNotHere`, `notLoopback`, `listenFailed`. */
export async function startWebHost(options: WebHostOptions): Promise<Result<WebHost, Fault>> {
  if (!isLoopback(options.host) && !options.mayLeaveLoopback) {
    return fault("notLoopback", `Expected a loopback address (127.0.0.1), got ${options.host}. Anyone who reaches that address and has the token may run the session: add --allow-remote if that is meant, on a network you trust.`);
  }
  const server = createServer();
  const listening = await listen(server, options);
  if (!listening.ok) return listening;
  const port = listening.value;
  const hosts = allowedHosts(options.host, port);
  const base = `http://${bracketed(options.host === "0.0.0.0" || options.host === "::" ? "127.0.0.1" : options.host)}:${port}/`;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: callerFrameBytesMax, perMessageDeflate: false });
  const links = new Set<Link>();

  server.on("request", (request, response) => {
    if (!isKnownHost(request, hosts)) return sendText(response, 421, `This server answers to ${[...hosts][0] ?? "its own address"}, not to the name in your address bar.`, pageHeaders());
    const path = (request.url ?? "").split("?")[0];
    if (path === pixelsPath) return servePixels(options, request, response);
    if (path === subjectPath) return serveSubject({ tokens: options.tokens, hosts, stimulusUrl: `${base}stimulus.html?token=${options.tokens.operate}`, openSubject: options.openSubject }, request, response);
    void servePage({
      folder: resolve(options.rendererFolder),
      mayOpen: (url) => accessOfToken(options.tokens, url.searchParams.get("token")) !== null,
      connect: (from) => [`ws://${from.headers.host ?? ""}`],
    }, request, response).catch(() => response.destroy());
  });

  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const url = new URL(request.url ?? "/", "http://evoked.invalid");
    const refusal = refuse(request, url, hosts, links.size);
    if (refusal !== null) return refuseUpgrade(socket, refusal);
    sockets.handleUpgrade(request, socket, head, (client) => {
      const access = accessOfToken(options.tokens, url.searchParams.get("token"));
      if (access === null) return client.close(closeCodes.noToken, "The token is missing or of an earlier start: open the address that Evoked printed.");
      const wants = wantedEvents(url);
      const link = createLink(options.engine, client, access, wants, () => links.delete(link));
      links.add(link);
      if (access.includes("stimulus") && wants?.has("stimulus") === true) options.onStimulus?.();
    });
  });

  const stopBroadcast = options.engine.onBroadcast((frame) => broadcast(links, frame));
  const stopDown = options.engine.onDown((down) => {
    for (const link of links) link.end(down.expected ? null : down.message, closeCodes.engineDown, down.message);
  });
  const heartbeat = setInterval(() => {
    for (const link of links) link.beat();
  }, heartbeatMs);

  return ok({
    port,
    operatorUrl: `${base}?token=${options.tokens.operate}`,
    viewerUrl: `${base}?token=${options.tokens.view}`,
    async close() {
      clearInterval(heartbeat);
      stopBroadcast();
      stopDown();
      for (const link of links) link.end(null, closeCodes.hostClosing, "Evoked was closed.");
      await new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
        sockets.close();
      });
    },
  });
}

interface Link {
  /** `text` is the frame once more, as JSON, so that it is written once for all links. */
  tell(frame: EngineFrame, text: string): void;
  beat(): void;
  end(lastWords: string | null, code: number, reason: string): void;
}

let callerCount = 0;

function createLink(engine: EngineLink, socket: WebSocket, access: readonly Access[], wants: ReadonlySet<string> | null, onGone: () => void): Link {
  callerCount += 1;
  let alive = true;
  /** The newest of each kind of state, for when a socket that is behind has caught up; and how many older ones it did not get. */
  const waiting = new Map<string, string>();
  let skipped = 0;
  const send = (text: string): void => {
    if (socket.bufferedAmount > bufferedBytesMax) return endSocket(socket, closeCodes.tooSlow, "This window fell too far behind and links anew.");
    socket.send(text, catchUp);
  };
  const catchUp = (): void => {
    if (waiting.size === 0 || socket.readyState !== socket.OPEN || socket.bufferedAmount > bufferedBytesForLive) return;
    const newest = [...waiting.values()];
    waiting.clear();
    if (skipped > 0) newest.unshift(JSON.stringify({ event: "linkSlow", payload: { skipped } } satisfies EngineFrame));
    skipped = 0;
    for (const text of newest) send(text);
  };
  const tell = (frame: EngineFrame, text: string): void => {
    if (socket.readyState !== socket.OPEN) return;
    if ("event" in frame) {
      if (wants !== null && !wants.has(frame.event)) return;
      const state = stateOf(frame);
      if (state !== null && socket.bufferedAmount > bufferedBytesForLive) {
        if (waiting.has(state)) skipped += 1;
        waiting.set(state, text);
        return;
      }
      // Older than this one.
      if (state !== null) waiting.delete(state);
    }
    send(text);
  };
  const caller = engine.attach({ id: `web-${callerCount}`, access }, (frame) => tell(frame, JSON.stringify(frame)));
  socket.on("message", (data, isBinary) => caller.send(isBinary ? undefined : parseJson(textOf(data))));
  socket.on("pong", () => void (alive = true));
  socket.on("error", () => socket.terminate());
  socket.on("close", () => {
    onGone();
    caller.detach();
  });
  return {
    tell,
    beat() {
      if (!alive) return socket.terminate();
      alive = false;
      socket.ping();
    },
    end(lastWords, code, reason) {
      if (lastWords !== null && socket.readyState === socket.OPEN) socket.send(JSON.stringify(hostLogFrame("fault", "engineDown", lastWords)));
      endSocket(socket, code, reason);
    },
  };
}

/** Which state a frame is the newest of, live or in a replay; null = every one of its kind counts. */
function stateOf(frame: EventFrame): string | null {
  if (frame.event !== "replayed") return decimated.has(frame.event) ? frame.event : null;
  const { payload } = frame;
  if (typeof payload !== "object" || payload === null || !("event" in payload) || typeof payload.event !== "string") return null;
  return decimated.has(payload.event) ? `replayed ${payload.event}` : null;
}

function broadcast(links: ReadonlySet<Link>, frame: EventFrame): void {
  if (links.size === 0) return;
  const text = JSON.stringify(frame);
  for (const link of links) link.tell(frame, text);
}

/** A reason longer than 123 bytes is not allowed on the wire. A peer that does not answer the close is cut off. */
function endSocket(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, Buffer.from(reason).subarray(0, 120).toString("utf8").replace(/\uFFFD+$/, ""));
  setTimeout(() => socket.terminate(), 1000).unref();
}

/** `ws` hands over one buffer, or the parts of a message that came in several. */
function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return Buffer.isBuffer(data) ? data.toString("utf8") : Buffer.from(data).toString("utf8");
}

/** Undefined where it is no JSON; dispatch answers that with a sentence. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `?events=stimulus,session` spares a window the events it has no use for; null = all. */
function wantedEvents(url: URL): ReadonlySet<string> | null {
  const asked = url.searchParams.get("events");
  return asked === null ? null : new Set(asked.split(",").filter((name) => Object.hasOwn(events, name)));
}

function isKnownHost(request: IncomingMessage, hosts: ReadonlySet<string>): boolean {
  return hosts.has((request.headers.host ?? "").toLowerCase());
}

function refuse(request: IncomingMessage, url: URL, hosts: ReadonlySet<string>, linkCount: number): string | null {
  if (url.pathname !== "/api") return "404 Not Found";
  if (!isKnownHost(request, hosts)) return "421 Misdirected Request";
  if (!isAllowedOrigin(request.headers.origin, hosts)) return "403 Forbidden";
  if (linkCount >= linksMax) return "503 Service Unavailable";
  return null;
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function listen(server: Server, options: WebHostOptions): Promise<Result<number, Fault>> {
  return new Promise((done) => {
    server.once("error", (error: NodeJS.ErrnoException) => done(describeListenError(error, options)));
    server.listen(options.port, options.host, () => {
      const address = server.address();
      if (typeof address !== "object" || address === null) throw new Error(`expected an address with a port, got ${String(address)}`);
      done(ok(address.port));
    });
  });
}

function describeListenError(error: NodeJS.ErrnoException, { host, port }: WebHostOptions): Result<never, Fault> {
  switch (error.code) {
    case "EADDRINUSE":
      return fault("portInUse", `Expected port ${port} of ${host} to be free, but another program is using it. If that is Evoked, use its window; else take another port with --port ${port + 1}, or any free one with --port 0.`);
    case "EACCES":
      return fault("portNotAllowed", `Expected a port that this account may open, got ${port} (ports below 1024 need an administrator). Take another with --port 4747.`);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return fault("addressNotHere", `Expected an address of this computer, got ${host}. Use 127.0.0.1, or one that the network settings show.`);
    default:
      return fault("listenFailed", `Could not listen on ${host}:${port}: ${error.message}.`);
  }
}
