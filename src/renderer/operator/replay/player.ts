// Drives the replay of one recorded session: what was asked, where it stands, and the console's state folded from what the engine replays.
// Stands at the recorded end until something is asked. Knows nothing about layout.
import { events } from "../../../shared/contract/index.ts";
import { presentationsMax } from "../uiState.ts";
import type { EngineClient, ReplayStatus, SessionTimeline, Snapshot } from "../../../shared/contract/index.ts";
import type { UiStore } from "../store.ts";

/** 0 = as fast as the machine allows. */
export const speeds = [0.1, 0.5, 1, 2, 10, 50, 0] as const;

export interface PlayerState {
  readonly timeline: SessionTimeline | null;
  /** null = nothing is replayed yet: the recorded result is shown. */
  readonly status: ReplayStatus | null;
  /** The panels show what was replayed, not what is recorded of a generation. */
  readonly replaying: boolean;
  readonly speed: number;
  /** Where the scrubber stands, ms. */
  readonly positionMs: number;
  /** Finding the place that was asked for, 0 to 1; null at rest. */
  readonly seeking: number | null;
  readonly playing: boolean;
  readonly problem: string | null;
}

export interface Player {
  get(): PlayerState;
  subscribe(listener: () => void): () => void;
  /** Generations of the first thread, in order. */
  readonly generations: readonly number[];
  toggle(): void;
  setSpeed(speed: number): void;
  /** By one step of the list of speeds. */
  changeSpeed(by: 1 | -1): void;
  step(by: 1 | -1): void;
  stepGeneration(by: 1 | -1): void;
  /** To where the next step of the plan begins, or this one or the one before. */
  stepPlan(by: 1 | -1): void;
  /** Shows what is recorded of a generation at once, and then everything as it stood at its end. */
  standAt(generation: number): void;
  /** While the scrubber is dragged: the recorded generation at that time. */
  preview(positionMs: number): void;
  seek(positionMs: number): void;
  toStart(): void;
  /** The recorded result. */
  toEnd(): void;
  close(): void;
}

/** So short after a step's beginning, "the step before" is meant. */
const beginsMs = 1500;

/** A held arrow key goes through the recorded generations; the replay follows when it rests. */
const restMs = 300;

export function createPlayer(options: { readonly client: EngineClient; readonly store: UiStore; readonly file: string; readonly recorded: Snapshot; readonly nowMs: () => number }): Player {
  const { client, store, file, recorded, nowMs } = options;
  const generations = recorded.curve.filter((p) => p.thread === (recorded.curve[0]?.thread ?? 0)).map((p) => p.generation);
  const listeners = new Set<() => void>();
  let state: PlayerState = { timeline: null, status: null, replaying: false, speed: 1, positionMs: Number.POSITIVE_INFINITY, seeking: null, playing: false, problem: null };
  /** Counts what was asked: an answer to something older changes nothing. */
  let asked = 0;
  /** The question whose seek is under way: a jump that belongs to none is somebody's past. */
  let seekOf = 0;
  let refreshing = 0;
  let opened: Promise<boolean> | null = null;
  let rest: ReturnType<typeof setTimeout> | null = null;
  let closed = false;

  function change(to: Partial<PlayerState>): void {
    state = { ...state, ...to };
    for (const listener of listeners) listener();
  }

  function begin(): number {
    if (rest !== null) clearTimeout(rest);
    rest = null;
    return ++asked;
  }

  const durationMs = (): number => state.timeline?.durationMs ?? 0;
  const position = (): number => Math.min(state.positionMs, durationMs());
  const atEnd = (): boolean => state.positionMs >= durationMs();
  const replayable = (): boolean => state.timeline !== null && state.timeline.notReplayable === null && !closed;
  const timeOf = (generation: number): number => Math.max(0, ...(state.timeline?.generations ?? []).filter((g) => g.generation === generation).map((g) => g.atMs));

  /** Opens the replay at the first need; false where it cannot be. */
  function open(): Promise<boolean> {
    opened ??= client.call("replay.open", { file }).then((answer) => {
      if (!answer.ok) {
        opened = null;
        change({ problem: answer.error.message, seeking: null, playing: false });
      }
      return answer.ok;
    });
    return opened;
  }

  async function control(args: Parameters<typeof client.call<"replay.control">>[1], mine: number): Promise<boolean> {
    const answer = await client.call("replay.control", args);
    if (!answer.ok && mine === asked) {
      if (answer.error.code === "noReplay") opened = null;
      change({ problem: answer.error.message, seeking: null, playing: false });
    }
    return answer.ok && mine === asked;
  }

  /** Everything at once, as it stood where the replay stands now. */
  async function refresh(status: ReplayStatus): Promise<void> {
    const mine = ++refreshing;
    const snapshot = await client.call("replay.snapshot", {});
    if (!snapshot.ok || mine !== refreshing || closed) return;
    const targets = snapshot.value.live?.targets ?? [];
    const channel = targets[store.get().thread] ?? targets[0];
    const responses = channel === undefined ? null : await client.call("replay.responses", { channel, last: presentationsMax });
    if (mine !== refreshing || closed) return;
    store.dispatch({ type: "replay", snapshot: snapshot.value, presentations: responses?.ok === true ? responses.value : [], atMs: nowMs() });
    change({ status, replaying: true, seeking: null, positionMs: status.positionMs, playing: status.playing });
  }

  async function goTo(positionMs: number, then?: (mine: number) => Promise<unknown>): Promise<void> {
    const mine = begin();
    if (!replayable()) return;
    change({ positionMs, seeking: 0, problem: null, playing: false });
    if (!(await open()) || mine !== asked) return;
    if (!(await control({ action: "pause" }, mine))) return;
    seekOf = mine;
    if (!(await control({ action: "seek", positionMs: Math.max(0, positionMs) }, mine))) return;
    await then?.(mine);
  }

  const play = (mine: number): Promise<boolean> => control({ action: "play", speed: state.speed }, mine);

  function showRecorded(generation: number | null): void {
    refreshing += 1;
    if (state.replaying || store.get().snapshot === null) store.dispatch({ type: "review", file, snapshot: recorded });
    store.dispatch({ type: "scrub", generation });
    change({ replaying: false, playing: false });
  }

  const generationAt = (positionMs: number): number | null => {
    const done = (state.timeline?.generations ?? []).filter((g) => g.atMs <= positionMs).map((g) => g.generation);
    return done.length === 0 ? (generations[0] ?? null) : Math.max(...done);
  };

  function standAt(generation: number): void {
    begin();
    if (state.playing) void client.call("replay.control", { action: "pause" });
    const atMs = timeOf(generation);
    showRecorded(generation);
    change({ positionMs: atMs, seeking: null });
    if (replayable()) rest = setTimeout(() => void goTo(atMs), restMs);
  }

  async function learn(): Promise<void> {
    const answer = await client.call("sessions.timeline", { file });
    if (closed) return;
    if (answer.ok) change({ timeline: answer.value });
    else change({ problem: answer.error.message });
  }
  void learn();

  const stops = [
    client.on("replay", (status) => {
      if (status.file !== file || closed) return;
      if (status.jumped) {
        if (seekOf === asked) void refresh(status);
      } else if (status.seekingToMs !== null) {
        const share = status.seekingToMs > 0 ? Math.min(1, status.positionMs / status.seekingToMs) : 1;
        change({ status, ...(state.seeking === null ? {} : { seeking: share }) });
      } else if (state.replaying && state.seeking === null) {
        change({ status, positionMs: status.positionMs, playing: status.playing });
      } else {
        change({ status });
      }
    }),
    client.on("replayed", ({ event, payload }) => {
      if (!state.replaying || closed) return;
      const atMs = nowMs();
      // One line an event: the payload's type goes with its name.
      if (event === "live") fold(events.live.safeParse(payload), (p) => store.dispatch({ type: "event", event: "live", payload: p, atMs }));
      else if (event === "eye") fold(events.eye.safeParse(payload), (p) => store.dispatch({ type: "event", event: "eye", payload: p, atMs }));
      else if (event === "screen") fold(events.screen.safeParse(payload), (p) => store.dispatch({ type: "event", event: "screen", payload: p, atMs }));
      else if (event === "presentation") fold(events.presentation.safeParse(payload), (p) => store.dispatch({ type: "event", event: "presentation", payload: p, atMs }));
      else if (event === "generation") fold(events.generation.safeParse(payload), (p) => store.dispatch({ type: "event", event: "generation", payload: p, atMs }));
      else if (event === "log") fold(events.log.safeParse(payload), (p) => store.dispatch({ type: "event", event: "log", payload: p, atMs }));
      else if (event === "stepView") fold(events.stepView.safeParse(payload), (p) => store.dispatch({ type: "event", event: "stepView", payload: p, atMs }));
      else if (event === "frameTiming") fold(events.frameTiming.safeParse(payload), (p) => store.dispatch({ type: "event", event: "frameTiming", payload: p, atMs }));
      else if (event === "stepReport") fold(events.stepReport.safeParse(payload), (p) => store.dispatch({ type: "event", event: "stepReport", payload: p, atMs }));
    }),
    client.onLink((up) => {
      if (closed) return;
      store.dispatch({ type: "link", up, atMs: nowMs() });
      // The engine's end of the replay went with the link.
      opened = null;
      asked += 1;
      if (state.replaying) showRecorded(generationAt(position()));
      change({ status: null, seeking: null, playing: false });
      if (up && state.timeline === null) void learn();
    }),
  ];

  return {
    get: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    generations,
    toggle() {
      if (state.playing) {
        const mine = begin();
        change({ playing: false });
        void control({ action: "pause" }, mine);
      } else if (state.replaying && state.seeking === null && !atEnd()) {
        const mine = begin();
        change({ playing: true, problem: null });
        void play(mine);
      } else {
        // From the recorded end, or the replay's own, it starts from the beginning.
        void goTo(atEnd() ? 0 : position(), play);
      }
    },
    setSpeed(speed) {
      change({ speed });
      if (state.playing) void play(begin());
    },
    changeSpeed(by) {
      const next = speeds[Math.min(speeds.length - 1, Math.max(0, speeds.findIndex((s) => s === state.speed) + by))];
      if (next !== undefined && next !== state.speed) this.setSpeed(next);
    },
    step(by) {
      if (!replayable()) return;
      if (by > 0 && state.replaying && state.seeking === null) {
        const mine = begin();
        change({ playing: false });
        void control({ action: "step", unit: "presentation" }, mine);
        return;
      }
      const times = state.timeline?.presentationsMs ?? [];
      const at = position();
      if (by > 0) return void goTo(times.find((t) => t > at) ?? at);
      const done = times.filter((t) => t <= at).length;
      void goTo(times.findLast((t, i) => i < done - 1 && t < (times[done - 1] ?? at)) ?? 0);
    },
    stepGeneration(by) {
      const at = position();
      const next = by > 0 ? generations.find((g) => timeOf(g) > at + 0.5) : generations.findLast((g) => timeOf(g) < at - 0.5);
      if (next !== undefined) standAt(next);
    },
    stepPlan(by) {
      const at = position();
      const begins = (state.timeline?.steps ?? []).map((s) => s.atMs);
      // A little past a beginning means this step's own: as a second press of "back" goes on to the one before.
      const next = by > 0 ? begins.find((t) => t > at + 0.5) : begins.findLast((t) => t < at - beginsMs);
      if (next !== undefined) void goTo(next);
    },
    standAt,
    preview(positionMs) {
      begin();
      if (state.playing) void client.call("replay.control", { action: "pause" });
      showRecorded(generationAt(positionMs));
      change({ positionMs, seeking: null });
    },
    seek: (positionMs) => void goTo(positionMs),
    toStart() {
      if (replayable()) void goTo(0);
      else if (generations[0] !== undefined) standAt(generations[0]);
    },
    toEnd() {
      begin();
      if (state.playing || state.seeking !== null) void client.call("replay.control", { action: "pause" });
      showRecorded(null);
      change({ positionMs: Number.POSITIVE_INFINITY, seeking: null, problem: null });
    },
    close() {
      closed = true;
      begin();
      for (const stop of stops) stop();
      if (opened !== null) void client.call("replay.control", { action: "close" });
    },
  };
}

function fold<T>(parsed: { readonly success: true; readonly data: T } | { readonly success: false }, take: (payload: T) => void): void {
  if (parsed.success) take(parsed.data);
}
