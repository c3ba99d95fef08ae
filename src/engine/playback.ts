// Plays a recorded session for one window: the recorded inputs through the loop's own decisions, at any speed, with the same telemetry that
// windows got then. Every record is compared on the way. Knows nothing about transport.
import type { EventName, EventPayload, PresentationEvent, ReplayStatus, Snapshot } from "../shared/contract/index.ts";
import type { SessionReader, SessionRun } from "../session/reader.ts";
import { openSession } from "../session/reader.ts";
import { stepsOf } from "../shared/contract/index.ts";
import { FaultError, err, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { nsPerMs } from "../shared/units.ts";
import { createParkedCursors } from "./parkedCursors.ts";
import { createReplayCursor } from "./replayCursor.ts";
import type { ReplayCursor } from "./replayCursor.ts";
import { configOf } from "./resume.ts";
import type { Emit } from "./telemetry.ts";

export interface Playback {
  readonly file: string;
  play(speed: number): void;
  pause(): void;
  step(unit: "presentation" | "generation"): Promise<void>;
  seek(positionMs: number): Promise<void>;
  snapshot(): Snapshot;
  /** Last responses of a channel, where it was the target. */
  responses(channel: number, last: number): readonly PresentationEvent[];
  close(): void;
}

export type Send = <E extends EventName>(event: E, payload: EventPayload<E>) => void;

const tickMs = 20;
const liveMs = 100;
/** A tick works at most this long before it lets others have the thread. */
const busyMs = 16;
/** While the session plays or a seek is under way, states for later seeks are made this seldom. */
const fillMs = 60;
/** Gaze and screen are sent at most this often, however fast the session runs: nobody sees more. */
const glimpseMs = 30;

export function openPlayback(file: string, send: Send): Result<Playback, Fault> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  try {
    return ok(createPlayback(opened.value, send));
  } catch (error) {
    opened.value.close();
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  }
}

function createPlayback(reader: SessionReader, send: Send): Playback {
  const config = configOf(reader);
  const runs = reader.runs();
  const spans = runs.map((run) => spanOf(reader, run));
  const durationMs = spans.reduce((sum, s) => sum + (s.toNs - s.fromNs) / nsPerMs, 0);
  const session = { reader, config, runs, spans };

  let quiet = true;
  let playing = false;
  let speed = 1;
  let wallMs = 0;
  let fromMs = 0;
  let lastLive = 0;
  let ticker: NodeJS.Timeout | null = null;
  let closed = false;
  /** Counts what was asked of this playback: a step or seek under way ends when something else is asked. */
  let asked = 0;
  let seekingToMs: number | null = null;
  let wasPlaying = false;
  const glimpses = new Map<EventName, { sentMs: number; held: (() => void) | null }>();

  /** Only what the shown place says reaches the window. */
  function openCursor(): ReplayCursor {
    let cursor: ReplayCursor | null = null;
    cursor = createReplayCursor(session, (event, payload) => {
      if (!quiet && cursor !== null && cursor === shown) emit(event, payload);
    });
    return cursor;
  }

  const emit: Emit = (event, payload) => {
    if (event === "stimulus" || event === "replay" || event === "replayed") return;
    const pass = (): void => send("replayed", { event: event as EventPayload<"replayed">["event"], payload });
    if (event !== "eye" && event !== "screen") return pass();
    const glimpse = glimpses.get(event) ?? { sentMs: 0, held: null };
    glimpses.set(event, glimpse);
    const now = performance.now();
    glimpse.held = now - glimpse.sentMs < glimpseMs ? pass : null;
    if (glimpse.held !== null) return;
    glimpse.sentMs = now;
    pass();
  };

  let shown = openCursor();
  const parked = createParkedCursors({ durationMs, open: openCursor });
  let filler: NodeJS.Timeout | null = setTimeout(fill, fillMs);

  /** A little at a time, whatever else goes on. */
  function fill(): void {
    filler = null;
    if (closed) return;
    if (parked.fill(performance.now() + busyMs / 2)) filler = setTimeout(fill, playing || seekingToMs !== null ? fillMs : 0);
  }

  /** What the last glimpses held back. */
  function showHeld(): void {
    for (const glimpse of glimpses.values()) {
      glimpse.held?.();
      glimpse.held = null;
    }
  }

  function status(jumped = false): ReplayStatus {
    const { positionMs, generations, presentations, atEnd, difference } = shown;
    return { file: reader.file, playing, speed, jumped, positionMs, durationMs, generation: generations, generations: stepsOf(config).reduce((n, step) => n + (step.protocol === "evolution" ? step.generations : 0), 0), presentations, atEnd, seekingToMs, difference };
  }

  /** Goes on until `until` says so, letting others have the thread in between. */
  async function run(until: () => boolean): Promise<boolean> {
    const mine = asked;
    let since = performance.now();
    while (!closed && !until() && shown.takeOne()) {
      const now = performance.now();
      if (now - since <= busyMs) continue;
      if (seekingToMs !== null && now - lastLive >= liveMs) {
        lastLive = now;
        send("replay", status());
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (mine !== asked) return false;
      since = performance.now();
    }
    return !closed;
  }

  function tick(): void {
    if (!playing || closed) return;
    const began = performance.now();
    const target = speed === 0 ? Number.POSITIVE_INFINITY : fromMs + (began - wallMs) * speed;
    while (shown.nextMs <= target && performance.now() - began < busyMs) {
      if (!shown.takeOne()) {
        playing = false;
        stopTicker();
        break;
      }
    }
    // A machine that cannot keep up plays more slowly instead of skipping.
    if (speed !== 0 && shown.nextMs < target - 200) {
      fromMs = shown.positionMs;
      wallMs = performance.now();
    }
    if (began - lastLive >= liveMs || shown.atEnd) {
      lastLive = began;
      shown.telemetry.tick();
      showHeld();
      send("replay", status());
    }
  }

  function stopTicker(): void {
    if (ticker !== null) clearInterval(ticker);
    ticker = null;
  }

  function pause(): void {
    playing = false;
    stopTicker();
    shown.telemetry.tick();
    showHeld();
    send("replay", status());
  }

  /** Where a seek has got to when something else is asked is where the replay stands. */
  function interruptSeek(): void {
    if (seekingToMs === null) return;
    seekingToMs = null;
    quiet = false;
    send("replay", status(true));
  }

  /** The shown place becomes the nearest one before `toMs`: this one, a parked one, or the beginning. */
  function jumpBefore(toMs: number): void {
    const reachable = shown.positionMs <= toMs ? shown.positionMs : Number.NEGATIVE_INFINITY;
    const nearest = parked.nearestBefore(toMs);
    if (nearest === null ? reachable >= 0 : nearest <= reachable) return;
    const next = parked.takeBefore(toMs) ?? openCursor();
    parked.park(shown);
    shown = next;
    filler ??= setTimeout(fill, fillMs);
  }

  quiet = false;

  return {
    file: reader.file,
    play(next) {
      asked += 1;
      interruptSeek();
      if (shown.atEnd) shown = openCursor();
      speed = next;
      playing = true;
      fromMs = shown.positionMs;
      wallMs = performance.now();
      ticker ??= setInterval(tick, tickMs);
      send("replay", status());
    },
    pause() {
      asked += 1;
      interruptSeek();
      pause();
    },
    async step(unit) {
      asked += 1;
      interruptSeek();
      pause();
      const { presentations, generations } = shown;
      if (await run(() => (unit === "presentation" ? shown.presentations > presentations : shown.generations > generations))) pause();
    },
    async seek(toMs) {
      asked += 1;
      wasPlaying = seekingToMs === null ? playing : wasPlaying;
      playing = false;
      stopTicker();
      quiet = true;
      seekingToMs = toMs;
      glimpses.clear();
      jumpBefore(toMs);
      if (!(await run(() => shown.nextMs > toMs))) return;
      seekingToMs = null;
      quiet = false;
      playing = wasPlaying && !shown.atEnd;
      fromMs = shown.positionMs;
      wallMs = performance.now();
      if (playing) ticker ??= setInterval(tick, tickMs);
      send("replay", status(true));
    },
    snapshot: () => shown.telemetry.snapshot(),
    responses: (channel, last) => shown.telemetry.responses(channel, last),
    close() {
      if (closed) return;
      closed = true;
      stopTicker();
      if (filler !== null) clearTimeout(filler);
      reader.close();
    },
  };
}

/** Host times of the first and last record of a run. */
export function spanOf(reader: SessionReader, run: SessionRun): { readonly fromNs: number; readonly toNs: number } {
  const edge = (seq: number): number => {
    for (const record of reader.records({ fromSeq: seq, toSeq: seq, pixels: false })) return record.hostNs;
    return 0;
  };
  return { fromNs: edge(run.firstSeq), toNs: edge(run.lastSeq) };
}
