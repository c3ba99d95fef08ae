// Holds one UiState, feeds it from an engine client, and tells subscribers. Knows nothing about layout.
import { createContext, useCallback, useContext, useRef, useSyncExternalStore } from "react";
import { emptyState, foldState, presentationsMax, targetOf, type UiAction, type UiState } from "./uiState.ts";
import type { EngineClient } from "../../shared/contract/index.ts";

export interface UiStore {
  get(): UiState;
  dispatch(action: UiAction): void;
  subscribe(listener: () => void): () => void;
}

/**
 * Every action is folded at once. Subscribers hear of engine events together, at most once per `beatMs`: twenty small repaints a
 * second cost twice what ten larger ones do. Anything else they hear of at once.
 */
export function createStore(initial: UiState = emptyState, beatMs = 60): UiStore {
  let state = initial;
  let told = initial;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let lastBeatMs = -Infinity;
  const listeners = new Set<() => void>();

  function tell(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    lastBeatMs = performance.now();
    if (told === state) return;
    told = state;
    for (const listener of listeners) listener();
  }

  return {
    get: () => state,
    dispatch(action) {
      state = foldState(state, action);
      const waitMs = beatMs - (performance.now() - lastBeatMs);
      if (action.type !== "event" || action.event === "session" || waitMs <= 0) tell();
      else timer ??= setTimeout(tell, waitMs);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
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

/** How long a paced value waits for a beat to go along with. */
export const lateForBeatMs = 120;

interface Paced<T> {
  value: T;
  atMs: number;
  urgent: string;
  timer: ReturnType<typeof setTimeout> | null;
}

/**
 * Like useUi, at most once per `everyMs`: digits that change ten times a second cannot be read. A change of `urgent` goes through at once.
 * `select` and `urgent` are constant functions.
 */
export function useUiPaced<T>(select: (state: UiState) => T, everyMs: number, urgent: (state: UiState) => string = () => ""): T {
  const store = useStore();
  const held = useRef<Paced<T> | null>(null);
  const subscribe = useCallback((notify: () => void) => {
    const take = (): void => {
      held.current = { value: select(store.get()), atMs: performance.now(), urgent: urgent(store.get()), timer: null };
      notify();
    };
    const stop = store.subscribe(() => {
      const last = held.current;
      if (last === null) return take();
      const ageMs = performance.now() - last.atMs;
      if (ageMs < everyMs && urgent(store.get()) === last.urgent) {
        // The next beat after that time comes first while events flow: everything is then drawn in one frame.
        last.timer ??= setTimeout(take, everyMs - ageMs + lateForBeatMs);
        return;
      }
      if (last.timer !== null) clearTimeout(last.timer);
      take();
    });
    return () => {
      stop();
      if (held.current?.timer != null) clearTimeout(held.current.timer);
      held.current = null;
    };
  }, [store, everyMs]);
  return useSyncExternalStore(subscribe, () => {
    held.current ??= { value: select(store.get()), atMs: performance.now(), urgent: urgent(store.get()), timer: null };
    return held.current.value;
  });
}
