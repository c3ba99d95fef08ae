// Plays a recorded session for one window: the recorded inputs through the loop's own decisions, at any speed, with the same telemetry that
// windows got then. Every record is compared on the way. Knows nothing about transport.
import type { EventName, EventPayload, ReplayStatus, Snapshot } from "../shared/contract/index.ts";
import type { SessionReader, SessionRun } from "../session/reader.ts";
import { openSession } from "../session/reader.ts";
import type { SessionRecord } from "../shared/records.ts";
import { FaultError, err, ok, unwrap } from "../shared/result.ts";
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
  close(): void;
}

type Send = <E extends EventName>(event: E, payload: EventPayload<E>) => void;

const tickMs = 20;
const liveMs = 100;
/** A tick works at most this long before it lets others have the thread. */
const busyMs = 12;

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

  const emit = <E extends EventName>(event: E, payload: EventPayload<E>): void => {
    if (quiet || event === "stimulus" || event === "replay" || event === "replayed") return;
    send("replayed", { event: event as EventPayload<"replayed">["event"], payload });
  };

  const positionMs = (): number => beforeMs + Math.max(0, (nowNs - (spans[runIndex]?.fromNs ?? 0)) / nsPerMs);

  function status(jumped = false): ReplayStatus {
    return { file: reader.file, playing, speed, jumped, positionMs: positionMs(), durationMs, generation: generations, generations: config.evolution.generations, presentations, atEnd, difference };
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
      trial: (outcome, id) => telemetry.listener.trial?.(outcome, id),
      screen: (imageId, fixation, i, n) => telemetry.listener.screen?.(imageId, fixation, i, n),
      eye: (batch, inside) => telemetry.listener.eye?.(batch, inside),
    });
    telemetry.attach(replay.core);
    records = reader.records({ fromSeq: run.firstSeq, toSeq: run.lastSeq })[Symbol.iterator]();
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
  async function run(until: () => boolean): Promise<void> {
    let since = performance.now();
    while (!closed && !until() && takeOne()) {
      if (performance.now() - since > busyMs) {
        await new Promise((resolve) => setImmediate(resolve));
        since = performance.now();
      }
    }
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
    telemetry.tick();
    send("replay", status());
  }

  rewind();
  quiet = false;

  return {
    file: reader.file,
    play(next) {
      if (atEnd) rewind();
      speed = next;
      playing = true;
      fromMs = positionMs();
      wallMs = performance.now();
      ticker ??= setInterval(tick, tickMs);
      send("replay", status());
    },
    pause,
    async step(unit) {
      pause();
      const [p, g] = [presentations, generations];
      await run(() => (unit === "presentation" ? presentations > p : generations > g));
      pause();
    },
    async seek(toMs) {
      const wasPlaying = playing;
      playing = false;
      stopTicker();
      quiet = true;
      if (toMs < positionMs()) rewind();
      await run(() => positionOfNext() > toMs);
      quiet = false;
      playing = wasPlaying && !atEnd;
      fromMs = positionMs();
      wallMs = performance.now();
      if (playing) ticker ??= setInterval(tick, tickMs);
      send("replay", status(true));
    },
    snapshot: () => telemetry.snapshot(),
    close() {
      if (closed) return;
      closed = true;
      stopTicker();
      reader.close();
    },
  };
}

function spanOf(reader: SessionReader, run: SessionRun): { readonly fromNs: number; readonly toNs: number } {
  const edge = (seq: number): number => {
    for (const record of reader.records({ fromSeq: seq, toSeq: seq, pixels: false })) return record.hostNs;
    return 0;
  };
  return { fromNs: edge(run.firstSeq), toNs: edge(run.lastSeq) };
}

/** One playback a window. */
export function createPlaybacks(sendTo: (callerId: string) => Send) {
  const open = new Map<string, Playback>();
  const of = (callerId: string): Playback => {
    const found = open.get(callerId);
    if (found === undefined) throw new FaultError({ code: "noReplay", message: "Nothing is replayed in this window. Open a session for replay first." });
    return found;
  };
  const close = (callerId: string): void => {
    open.get(callerId)?.close();
    open.delete(callerId);
  };
  return {
    open(callerId: string, file: string): Snapshot {
      close(callerId);
      const playback = unwrap(openPlayback(file, sendTo(callerId)));
      open.set(callerId, playback);
      return playback.snapshot();
    },
    of,
    close,
    closeAll: () => [...open.keys()].forEach(close),
  };
}
