// Plays a recorded session for one window: the recorded inputs through the loop's own decisions, at any speed, with the same telemetry that
// windows got then. Every record is compared on the way. Knows nothing about transport.
import type { EventName, EventPayload, PresentationEvent, ReplayStatus, Snapshot } from "../shared/contract/index.ts";
import type { SessionReader, SessionRun } from "../session/reader.ts";
import { openSession } from "../session/reader.ts";
import type { SessionRecord } from "../shared/records.ts";
import { FaultError, err, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { hostTimeNs, nsPerMs } from "../shared/units.ts";
import { createReplay } from "./replay.ts";
import type { Replay } from "./replay.ts";
import { configOf } from "./resume.ts";
import { createTelemetry } from "./telemetry.ts";
import type { Telemetry } from "./telemetry.ts";

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
  const info = reader.info();
  const runs = reader.runs();
  const spans = runs.map((run) => spanOf(reader, run));
  const durationMs = spans.reduce((sum, s) => sum + (s.toNs - s.fromNs) / nsPerMs, 0);
  const models = reader.models();
  const generatorId = models.find((m) => m.role === "generator")?.id ?? "";

  let runIndex = 0;
  let replay: Replay;
  let telemetry: Telemetry;
  let records: Iterator<SessionRecord>;
  let upcoming: SessionRecord | null = null;
  let nowNs = 0;
  let beforeMs = 0;
  let quiet = true;
  let presentations = 0;
  let generations = 0;
  let difference: string | null = null;
  let playing = false;
  let speed = 1;
  let atEnd = false;
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

  const emit = <E extends EventName>(event: E, payload: EventPayload<E>): void => {
    if (quiet || event === "stimulus" || event === "replay" || event === "replayed") return;
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

  /** What the last glimpses held back. */
  function showHeld(): void {
    for (const glimpse of glimpses.values()) {
      glimpse.held?.();
      glimpse.held = null;
    }
  }

  const positionMs = (): number => beforeMs + Math.max(0, (nowNs - (spans[runIndex]?.fromNs ?? 0)) / nsPerMs);

  function status(jumped = false): ReplayStatus {
    return { file: reader.file, playing, speed, jumped, positionMs: positionMs(), durationMs, generation: generations, generations: config.evolution.generations, presentations, atEnd, seekingToMs, difference };
  }

  function startRun(index: number): void {
    const run = runs[index];
    const span = spans[index];
    if (run === undefined || span === undefined) throw new Error(`expected run ${index} of ${runs.length}, got none`);
    runIndex = index;
    nowNs = span.fromNs;
    replay = createReplay(reader, run, {
      presentation: (p) => {
        presentations += 1;
        telemetry.listener.presentation?.(p);
      },
      raster: (p, spikes, channel) => telemetry.listener.raster?.(p, spikes, channel),
      generation: (g) => {
        generations += 1;
        telemetry.listener.generation?.(g);
      },
      report: (thread, report) => telemetry.listener.report?.(thread, report),
      trial: (outcome, id) => telemetry.listener.trial?.(outcome, id),
      screen: (imageId, fixation, i, n) => telemetry.listener.screen?.(imageId, fixation, i, n),
      eye: (batch, inside) => telemetry.listener.eye?.(batch, inside),
    });
    telemetry.attach(replay.core);
    records = reader.records({ fromSeq: run.firstSeq, toSeq: run.lastSeq, pixels: false })[Symbol.iterator]();
    upcoming = nextRecord();
  }

  function rewind(): void {
    presentations = 0;
    generations = 0;
    difference = null;
    atEnd = false;
    beforeMs = 0;
    nowNs = spans[0]?.fromNs ?? 0;
    telemetry = createTelemetry({
      config,
      session: {
        id: info.id, file: reader.file, subject: info.subject.id, startedUtc: info.startedUtc, seed: config.seed, rig: info.rig,
        generator: generatorId, optimizer: config.evolution.threads[0]?.optimizer ?? "", provider: models[0]?.provider ?? "",
      },
      now: () => hostTimeNs((spans[0]?.fromNs ?? 0) + positionMs() * nsPerMs),
      channels: () => reader.channels(),
      devices: () => [],
      emit,
    });
    startRun(0);
    telemetry.setPhase("review");
  }

  function nextRecord(): SessionRecord | null {
    const next = records.next();
    return next.done === true ? null : next.value;
  }

  /** Takes the next record; false at the end of the session. */
  function takeOne(): boolean {
    if (upcoming === null) {
      const span = spans[runIndex];
      if (span === undefined || runIndex + 1 >= runs.length) {
        atEnd = true;
        return false;
      }
      beforeMs += (span.toNs - span.fromNs) / nsPerMs;
      startRun(runIndex + 1);
      return true;
    }
    nowNs = upcoming.hostNs;
    const found = replay.take(upcoming);
    if (found !== null) difference ??= `record ${found.seq} (${found.kind}${found.field === "" ? "" : `, ${found.field}`}): recorded ${found.recorded}, replayed ${found.replayed}`;
    telemetry.onRecord(upcoming, upcoming.hostNs);
    upcoming = nextRecord();
    return true;
  }

  /** Goes on until `until` says so, letting others have the thread in between. */
  async function run(until: () => boolean): Promise<boolean> {
    const mine = asked;
    let since = performance.now();
    while (!closed && !until() && takeOne()) {
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
    while (positionOfNext() <= target && performance.now() - began < busyMs) {
      if (!takeOne()) {
        playing = false;
        stopTicker();
        break;
      }
    }
    // A machine that cannot keep up plays more slowly instead of skipping.
    if (speed !== 0 && positionOfNext() < target - 200) {
      fromMs = positionMs();
      wallMs = performance.now();
    }
    if (began - lastLive >= liveMs || atEnd) {
      lastLive = began;
      showHeld();
      telemetry.tick();
      send("replay", status());
    }
  }

  const positionOfNext = (): number => (upcoming === null ? positionMs() : beforeMs + (upcoming.hostNs - (spans[runIndex]?.fromNs ?? 0)) / nsPerMs);

  function stopTicker(): void {
    if (ticker !== null) clearInterval(ticker);
    ticker = null;
  }

  function pause(): void {
    playing = false;
    stopTicker();
    showHeld();
    telemetry.tick();
    send("replay", status());
  }

  /** Where a seek has got to when something else is asked is where the replay stands. */
  function interruptSeek(): void {
    if (seekingToMs === null) return;
    seekingToMs = null;
    quiet = false;
    send("replay", status(true));
  }

  rewind();
  quiet = false;

  return {
    file: reader.file,
    play(next) {
      asked += 1;
      interruptSeek();
      if (atEnd) rewind();
      speed = next;
      playing = true;
      fromMs = positionMs();
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
      const [p, g] = [presentations, generations];
      if (await run(() => (unit === "presentation" ? presentations > p : generations > g))) pause();
    },
    async seek(toMs) {
      asked += 1;
      wasPlaying = seekingToMs === null ? playing : wasPlaying;
      playing = false;
      stopTicker();
      quiet = true;
      seekingToMs = toMs;
      glimpses.clear();
      if (toMs < positionMs()) rewind();
      if (!(await run(() => positionOfNext() > toMs))) return;
      seekingToMs = null;
      quiet = false;
      playing = wasPlaying && !atEnd;
      fromMs = positionMs();
      wallMs = performance.now();
      if (playing) ticker ??= setInterval(tick, tickMs);
      send("replay", status(true));
    },
    snapshot: () => telemetry.snapshot(),
    responses: (channel, last) => telemetry.responses(channel, last),
    close() {
      if (closed) return;
      closed = true;
      stopTicker();
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
