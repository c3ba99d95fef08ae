// Holds one UiState, feeds it from an engine client, and tells subscribers. Knows nothing about layout.
import { createContext, useCallback, useContext, useRef, useSyncExternalStore } from "react";
import { emptyState, foldState, presentationsMax, targetOf, type UiAction, type UiState } from "./uiState.ts";
import type { EngineClient } from "../../shared/contract/index.ts";

export interface UiStore {
  get(): UiState;
  dispatch(action: UiAction): void;
  subscribe(listener: () => void): () => void;
  /** Hears of every action, not only at beats: for what may come and go between two of them. */
  onEvery(listener: () => void): () => void;
  /** Runs `fire` in the beat nearest to `atMs` of performance.now(), so that all is drawn in one frame. Those of one stream keep their order, and each has its frame. */
  drawAt(atMs: number, fire: () => void): void;
}

/**
 * Every action is folded at once. Subscribers hear of engine events together, once per `beatMs`: what a frame costs is mostly the
 * frame itself, whatever changed in it. A change that calls for the operator, and anything else than an event, they hear of at once.
 */
export function createStore(initial: UiState = emptyState, beatMs = 100): UiStore {
  let state = initial;
  let told = initial;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let lastBeatMs = -Infinity;
  let drawings: { readonly atMs: number; readonly fire: () => void }[] = [];
  const listeners = new Set<() => void>();
  const everyListeners = new Set<() => void>();

  function tell(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    lastBeatMs = performance.now();
    const due = drawings.filter((d) => d.atMs <= lastBeatMs + beatMs / 2);
    const [first, ...crowded] = due;
    drawings = drawings.filter((d) => !due.includes(d));
    first?.fire();
    // What is shorter than a beat is drawn by itself: it would be seen by nobody.
    for (const { atMs, fire } of crowded) setTimeout(fire, Math.max(crowdedMs, atMs - lastBeatMs));
    tick(lastBeatMs);
    if (told !== state) {
      told = state;
      for (const listener of listeners) listener();
    }
    if (drawings.length > 0) tellSoon();
  }

  function tellSoon(): void {
    if (timer !== null) return;
    const waitMs = lastBeatMs + beatMs - performance.now();
    if (waitMs <= 0) tell();
    else timer = setTimeout(tell, waitMs);
  }

  return {
    get: () => state,
    dispatch(action) {
      const before = state;
      state = foldState(state, action);
      for (const listener of everyListeners) listener();
      if (action.type !== "event" || (before.snapshot !== state.snapshot && callsFor(before) !== callsFor(state))) tell();
      else tellSoon();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    onEvery(listener) {
      everyListeners.add(listener);
      return () => void everyListeners.delete(listener);
    },
    drawAt(atMs, fire) {
      drawings.push({ atMs, fire });
      tellSoon();
    },
  };
}

/** Two refreshes of a usual screen. */
const crowdedMs = 34;

const tickMs = 500;
const tickListeners = new Set<() => void>();
let ticks = 0;
let lastTickMs = -Infinity;

/** Time goes on for what shows ages: with a beat where there are beats, by itself where nothing arrives. */
function tick(nowMs: number): void {
  if (nowMs - lastTickMs < tickMs - 20) return;
  lastTickMs = nowMs;
  ticks += 1;
  for (const listener of tickListeners) listener();
}
setInterval(() => { if (performance.now() - lastTickMs > tickMs + 120) tick(performance.now()); }, tickMs / 2);

export function subscribeTick(listener: () => void): () => void {
  tickListeners.add(listener);
  return () => void tickListeners.delete(listener);
}

export const tickCount = (): number => ticks;

/** What the operator must hear of at once: the session's phase and what is wrong. The same text while that is the same. */
function callsFor(state: UiState): string {
  const live = state.snapshot?.live ?? null;
  return `${state.snapshot?.phase ?? ""} ${live === null ? "" : live.alarms.map((a) => `${a.code}${a.severity}`).join()}`;
}

/** Keeps the store up to date for as long as the window lives. */
export function feedStore(store: UiStore, client: EngineClient & { readonly up: boolean }, nowMs: () => number): void {
  let fetching = 0;
  /** Thread and channel whose past responses were asked for. */
  let responsesOf: string | null = null;

  async function fetchSnapshot(): Promise<void> {
    const mine = ++fetching;
    const answer = await client.call("session.snapshot", {});
    if (!answer.ok || mine !== fetching) return;
    store.dispatch({ type: "snapshot", snapshot: answer.value, atMs: nowMs() });
    responsesOf = null;
    void followTarget();
  }

  /** The raster of a target that was not followed until now. */
  async function followTarget(): Promise<void> {
    const channel = targetOf(store.get());
    const wanted = `${store.get().thread}/${channel}`;
    if (channel === null || wanted === responsesOf) return;
    responsesOf = wanted;
    const answer = await client.call("session.responses", { channel, last: presentationsMax });
    if (answer.ok) store.dispatch({ type: "responses", channel, presentations: answer.value });
  }

  async function describe(): Promise<void> {
    const answer = await client.call("app.describe", {});
    if (answer.ok) store.dispatch({ type: "app", app: answer.value });
  }

  const attach = (): void => {
    store.dispatch({ type: "link", up: true, atMs: nowMs() });
    void describe();
    void fetchSnapshot();
  };

  client.onLink((up) => {
    if (up) attach();
    else store.dispatch({ type: "link", up: false, atMs: nowMs() });
  });
  client.on("session", (payload) => {
    store.dispatch({ type: "event", event: "session", payload, atMs: nowMs() });
    void fetchSnapshot();
  });
  client.on("live", (payload) => store.dispatch({ type: "event", event: "live", payload, atMs: nowMs() }));
  store.subscribe(() => void followTarget());
  client.on("eye", (payload) => store.dispatch({ type: "event", event: "eye", payload, atMs: nowMs() }));
  client.on("screen", (payload) => store.dispatch({ type: "event", event: "screen", payload, atMs: nowMs() }));
  client.on("presentation", (payload) => store.dispatch({ type: "event", event: "presentation", payload, atMs: nowMs() }));
  client.on("generation", (payload) => store.dispatch({ type: "event", event: "generation", payload, atMs: nowMs() }));
  client.on("log", (payload) => store.dispatch({ type: "event", event: "log", payload, atMs: nowMs() }));
  client.on("frameTiming", (payload) => store.dispatch({ type: "event", event: "frameTiming", payload, atMs: nowMs() }));
  client.on("stepView", (payload) => store.dispatch({ type: "event", event: "stepView", payload, atMs: nowMs() }));
  client.on("stepReport", (payload) => store.dispatch({ type: "event", event: "stepReport", payload, atMs: nowMs() }));
  client.on("linkSlow", (payload) => store.dispatch({ type: "event", event: "linkSlow", payload, atMs: nowMs() }));
  if (client.up) attach();
}

export const StoreContext = createContext<UiStore | null>(null);

export function useStore(): UiStore {
  const store = useContext(StoreContext);
  if (store === null) throw new Error("expected a StoreContext above this component");
  return store;
}

/** A value of the state; the component renders only when it changes. The selector must give the same object for the same state. */
export function useUi<T>(select: (state: UiState) => T): T {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => select(store.get()));
}

/**
 * The pace of what is read rather than watched, ms: digits, labels, the map, the raster. A frame in which only the gaze and the mirror change spares
 * layout, paint and raster of text.
 */
export const readMs = 500;

/**
 * Like useUi, at most once per `everyMs`: digits that change ten times a second cannot be read. Values of one pace, and of paces that are
 * multiples of each other, change in the same frame. A change of `urgent` goes through at once. `select` and `urgent` are constant functions.
 */
export function useUiPaced<T>(select: (state: UiState) => T, everyMs: number, urgent: (state: UiState) => string = () => ""): T {
  const store = useStore();
  const held = useRef<Paced<T> | null>(null);
  const subscribe = useCallback((notify: () => void) => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const take = (): void => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      held.current = { value: select(store.get()), beat: beatOf(everyMs), urgent: urgent(store.get()) };
      notify();
    };
    const stop = store.subscribe(() => {
      const last = held.current;
      if (last === null || beatOf(everyMs) !== last.beat || urgent(store.get()) !== last.urgent) return take();
      // Where events stop, the last of them is shown too; while they flow the next beat comes first.
      if (!Object.is(select(store.get()), last.value)) timer ??= setTimeout(take, untilNext(everyMs) + lateForBeatMs);
    });
    return () => {
      stop();
      if (timer !== null) clearTimeout(timer);
      held.current = null;
    };
  }, [store, everyMs]);
  return useSyncExternalStore(subscribe, () => {
    held.current ??= { value: select(store.get()), beat: beatOf(everyMs), urgent: urgent(store.get()) };
    return held.current.value;
  });
}

interface Paced<T> {
  readonly value: T;
  readonly beat: number;
  readonly urgent: string;
}

/** How long the last value of a stream waits for a beat to go along with. */
export const lateForBeatMs = 120;

/** Number of the stretch of `everyMs` that it is now; the same for all who ask. */
export function beatOf(everyMs: number): number {
  return everyMs <= 0 ? performance.now() : Math.floor(performance.now() / everyMs);
}

/** Until the next of them, ms. */
export function untilNext(everyMs: number): number {
  return everyMs - (performance.now() % everyMs);
}
