// The windows' end of the contract: calls and events over a WebSocket or over Electron's preload bridge, with reconnection.
// Knows nothing about what is called or shown.
import { z } from "zod";
import { events } from "../shared/contract/index.ts";
import { fault } from "../shared/result.ts";
import { findBridge } from "./bridge.ts";
import type { ClientFrame, EngineClient, EventName, EventPayload, MethodInput, MethodName, MethodResult } from "../shared/contract/index.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { EvokedBridge } from "../shared/contract/bridge.ts";

/** One attempt at a link. `close` may be called at any time; `onDown` follows every end, once. */
export interface Carrier {
  open(handlers: { readonly onUp: () => void; readonly onFrame: (frame: unknown) => void; readonly onDown: (reason?: string) => void }): CarrierLink;
}

export interface CarrierLink {
  send(frame: ClientFrame): void;
  close(): void;
}

export interface ClientTimers {
  set(fire: () => void, delayMs: number): () => void;
  nowMs(): number;
}

export interface ClientOptions {
  readonly carrier: Carrier;
  readonly timers?: ClientTimers;
  /** First wait before a new attempt; doubles up to `retryMsMax`. */
  readonly retryMsMin?: number;
  readonly retryMsMax?: number;
  /** With no frame for this long although the engine was asked, the link counts as down. */
  readonly silenceMsMax?: number;
  /** Told about frames that fit neither table. */
  readonly onBadFrame?: (reason: string) => void;
}

export interface RendererClient extends EngineClient {
  readonly up: boolean;
  /** Why the link is down, where the other end said so. */
  readonly downReason: string | null;
  close(): void;
}

const engineFrame = z.union([
  z.object({ id: z.number(), result: z.discriminatedUnion("ok", [z.object({ ok: z.literal(true), value: z.unknown() }), z.object({ ok: z.literal(false), error: z.object({ code: z.string(), message: z.string() }) })]) }),
  z.object({ event: z.string(), payload: z.unknown() }),
]);

const pageTimers: ClientTimers = {
  set(fire, delayMs) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
  nowMs: () => performance.now(),
};

const eventSchemas: { readonly [E in EventName]: z.ZodType<EventPayload<E>> } = events;

export function createEngineClient(options: ClientOptions): RendererClient {
  const timers = options.timers ?? pageTimers;
  const retryMsMin = options.retryMsMin ?? 250;
  const retryMsMax = options.retryMsMax ?? 4000;
  const silenceMsMax = options.silenceMsMax ?? 6000;
  const onBadFrame = options.onBadFrame ?? ((reason: string) => console.warn(reason));

  const pending = new Map<number, (result: Result<unknown, Fault>) => void>();
  const listeners = new Map<EventName, Set<(payload: never) => void>>();
  const linkListeners = new Set<(up: boolean) => void>();
  let link: CarrierLink | null = null;
  let attempt = 0;
  let generation = 0;
  let up = false;
  let closed = false;
  let nextId = 1;
  let lastFrameMs = 0;
  let downReason: string | null = null;
  let cancelRetry = (): void => {};
  let cancelWatch = (): void => {};

  function connect(): void {
    if (closed) return;
    const mine = ++generation;
    const opened = options.carrier.open({
      onUp: () => { if (mine === generation) setUp(); },
      onFrame: (frame) => { if (mine === generation) receive(frame); },
      onDown: (reason) => { if (mine === generation) setDown(reason ?? null); },
    });
    if (mine === generation) link = opened;
  }

  function setUp(): void {
    if (up) return;
    up = true;
    attempt = 0;
    lastFrameMs = timers.nowMs();
    watch();
    for (const listener of linkListeners) listener(true);
  }

  function setDown(reason: string | null): void {
    const wasUp = up;
    downReason = reason;
    up = false;
    generation += 1;
    link = null;
    cancelWatch();
    for (const settle of [...pending.values()]) settle(linkLost());
    if (wasUp || attempt === 0) for (const listener of linkListeners) listener(false);
    if (closed) return;
    const delayMs = Math.min(retryMsMax, retryMsMin * 2 ** attempt);
    attempt += 1;
    cancelRetry();
    cancelRetry = timers.set(connect, delayMs);
  }

  /** A link that is open but dead looks like a quiet engine: ask, and give up on silence. */
  function watch(): void {
    cancelWatch = timers.set(() => {
      if (!up) return;
      const silentMs = timers.nowMs() - lastFrameMs;
      if (silentMs > silenceMsMax) {
        const dead = link;
        setDown(`The engine has not answered for ${Math.round(silentMs / 1000)} s.`);
        dead?.close();
        return;
      }
      if (silentMs > silenceMsMax / 3) void call("clock.ping", {});
      watch();
    }, silenceMsMax / 3);
  }

  function receive(frame: unknown): void {
    lastFrameMs = timers.nowMs();
    const parsed = engineFrame.safeParse(frame);
    if (!parsed.success) return onBadFrame(`expected a frame { id, result } or { event, payload }, got ${short(frame)}`);
    if ("id" in parsed.data) pending.get(parsed.data.id)?.(parsed.data.result);
    else publish(parsed.data.event, parsed.data.payload);
  }

  function publish(event: string, payload: unknown): void {
    if (!isEventName(event)) return onBadFrame(`expected an event of the contract, got "${event}"`);
    deliver(event, payload);
  }

  function deliver<E extends EventName>(event: E, payload: unknown): void {
    const heard = listeners.get(event);
    if (heard === undefined || heard.size === 0) return;
    const parsed = eventSchemas[event].safeParse(payload);
    if (!parsed.success) return onBadFrame(`${event}: ${parsed.error.issues[0]?.message ?? "wrong payload"} at ${parsed.error.issues[0]?.path.join(".") ?? ""}`);
    // The set only holds listeners that `on` took for this very event.
    for (const listener of heard as Set<(payload: EventPayload<E>) => void>) listener(parsed.data);
  }

  function call<M extends MethodName>(method: M, args: MethodInput<M>): Promise<Result<MethodResult<M>, Fault>> {
    return new Promise((resolve) => {
      if (!up || link === null) return resolve(linkLost());
      const id = nextId++;
      pending.set(id, (result) => {
        pending.delete(id);
        // The method table has types, not schemas, for results: the engine that made them is part of this program.
        resolve(result as Result<MethodResult<M>, Fault>);
      });
      link.send({ id, method, args });
    });
  }

  connect();
  return {
    get up() { return up; },
    get downReason() { return downReason; },
    call,
    on(event, listener) {
      const heard = listeners.get(event) ?? new Set();
      listeners.set(event, heard);
      heard.add(listener);
      return () => void heard.delete(listener);
    },
    onLink(listener) {
      linkListeners.add(listener);
      return () => void linkListeners.delete(listener);
    },
    close() {
      closed = true;
      cancelRetry();
      cancelWatch();
      const last = link;
      setDown(null);
      last?.close();
    },
  };
}

/** The WebSocket beside the page. The token travels as the page got it. */
export function webSocketCarrier(url: string): Carrier {
  return {
    open({ onUp, onFrame, onDown }) {
      const socket = new WebSocket(url);
      socket.addEventListener("open", onUp);
      socket.addEventListener("close", (event) => onDown(event.reason === "" ? undefined : event.reason));
      socket.addEventListener("message", (message: MessageEvent<unknown>) => {
        if (typeof message.data === "string") onFrame(parseJson(message.data));
      });
      return {
        send: (frame) => { if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame)); },
        close: () => socket.close(),
      };
    },
  };
}

/** Electron's port. It outlives the engine behind it, so it is opened once and told apart by `onLink`. */
export function bridgeCarrier(bridge: EvokedBridge): Carrier {
  let handlers: Parameters<Carrier["open"]>[0] | null = null;
  let send: ((frame: ClientFrame) => void) | null = null;
  let engineUp = false;
  const onLink = (up: boolean): void => {
    engineUp = up;
    // Later, so that whoever opened the link holds it by then.
    if (up) queueMicrotask(() => handlers?.onUp());
    else handlers?.onDown("The engine has ended.");
  };
  return {
    open(next) {
      handlers = next;
      send ??= bridge.connect((frame) => handlers?.onFrame(frame), onLink);
      if (engineUp) queueMicrotask(next.onUp);
      return { send, close: () => { if (handlers === next) handlers = null; } };
    },
  };
}

/** The one client of this window, over what the page was given. `wants` spares it the events that it has no use for. */
export function connectWindow(wants?: readonly EventName[]): RendererClient {
  const bridge = findBridge();
  if (bridge !== null) return createEngineClient({ carrier: bridgeCarrier(bridge) });
  const url = new URL("/api", window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const token = tokenOf(window.location);
  url.search = new URLSearchParams({ ...(token === null ? {} : { token }), ...(wants === undefined ? {} : { events: wants.join(",") }) }).toString();
  url.hash = "";
  return createEngineClient({ carrier: webSocketCarrier(url.href) });
}

/** The token in ?token= or #token=; null where the page has none. */
export function tokenOf(address: { readonly search: string; readonly hash: string }): string | null {
  return new URLSearchParams(address.search).get("token") ?? new URLSearchParams(address.hash.replace(/^#/, "")).get("token");
}

function isEventName(name: string): name is EventName {
  return Object.hasOwn(events, name);
}

function linkLost(): Result<never, Fault> {
  return fault("linkLost", "No link to the engine. This window tries again by itself; the engine and its recording do not depend on it.");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
