// One place in a recorded session: the loop and its telemetry as they were there, and the records that come next. It only goes forward.
// Knows nothing about windows, speed or seeking.
import type { SessionReader, SessionRun } from "../session/reader.ts";
import { stepsOf } from "../shared/contract/index.ts";
import type { SessionConfig } from "../shared/contract/index.ts";
import type { SessionRecord } from "../shared/records.ts";
import { hostTimeNs, nsPerMs } from "../shared/units.ts";
import { createReplay } from "./replay.ts";
import type { Replay } from "./replay.ts";
import { createTelemetry } from "./telemetry.ts";
import type { Emit, Telemetry } from "./telemetry.ts";

export interface ReplayCursor {
  readonly telemetry: Telemetry;
  /** Session time of the newest record taken, and of the next one, ms since the first record; runs follow each other without a gap. */
  readonly positionMs: number;
  readonly nextMs: number;
  readonly presentations: number;
  readonly generations: number;
  /** The first record that was made differently from the recording; null while all is the same. */
  readonly difference: string | null;
  readonly atEnd: boolean;
  /** Takes the next record; false at the end of the session. */
  takeOne(): boolean;
}

/** What all places of one session share. */
export interface ReplayedSession {
  readonly reader: SessionReader;
  readonly config: SessionConfig;
  readonly runs: readonly SessionRun[];
  readonly spans: readonly { readonly fromNs: number; readonly toNs: number }[];
}

/** At the session's beginning. `emit` gets what windows got then. */
export function createReplayCursor({ reader, config, runs, spans }: ReplayedSession, emit: Emit): ReplayCursor {
  const info = reader.info();
  const models = reader.models();
  let runIndex = 0;
  let replay: Replay;
  let records: Iterator<SessionRecord>;
  let upcoming: SessionRecord | null = null;
  let nowNs = spans[0]?.fromNs ?? 0;
  let beforeMs = 0;
  let presentations = 0;
  let generations = 0;
  let difference: string | null = null;
  let atEnd = false;

  const fromNs = (): number => spans[runIndex]?.fromNs ?? 0;
  const positionMs = (): number => beforeMs + Math.max(0, (nowNs - fromNs()) / nsPerMs);

  const telemetry: Telemetry = createTelemetry({
    config,
    session: {
      id: info.id, file: reader.file, subject: info.subject.id, startedUtc: info.startedUtc, seed: config.seed, rig: info.rig,
      generator: models.find((m) => m.role === "generator")?.id ?? "", optimizer: stepsOf(config).flatMap((step) => (step.protocol === "evolution" ? step.threads : []))[0]?.optimizer ?? "", provider: models[0]?.provider ?? "",
    },
    now: () => hostTimeNs((spans[0]?.fromNs ?? 0) + positionMs() * nsPerMs),
    channels: () => reader.channels(),
    devices: () => [],
    emit,
  });

  function startRun(index: number): void {
    const run = runs[index];
    const span = spans[index];
    if (run === undefined || span === undefined) throw new Error(`expected run ${index} of ${runs.length}, got none`);
    runIndex = index;
    nowNs = span.fromNs;
    replay = createReplay(reader, run, {
      ...telemetry.listener,
      presentation: (p) => {
        presentations += 1;
        telemetry.listener.presentation?.(p);
      },
      generation: (g) => {
        generations += 1;
        telemetry.listener.generation?.(g);
      },
    });
    telemetry.attach(replay.core);
    records = reader.records({ fromSeq: run.firstSeq, toSeq: run.lastSeq, pixels: false })[Symbol.iterator]();
    upcoming = nextRecord();
  }

  function nextRecord(): SessionRecord | null {
    const next = records.next();
    return next.done === true ? null : next.value;
  }

  startRun(0);
  telemetry.setPhase("review");

  return {
    telemetry,
    get positionMs() {
      return positionMs();
    },
    get nextMs() {
      return upcoming === null ? positionMs() : beforeMs + (upcoming.hostNs - fromNs()) / nsPerMs;
    },
    get presentations() {
      return presentations;
    },
    get generations() {
      return generations;
    },
    get difference() {
      return difference;
    },
    get atEnd() {
      return atEnd;
    },
    takeOne() {
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
    },
  };
}
