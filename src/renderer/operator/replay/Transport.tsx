// The line under the header of a replay: play and hold, steps, speed, and a scrubber with the generations marked on it.
// Knows nothing about what is replayed.
import "./replay.css";
import { memo, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { formatCount, formatDuration } from "../format.ts";
import { ActButton, Icon, Key } from "../parts.tsx";
import { useUi } from "../store.ts";
import type { Action } from "../keys.ts";
import type { Notice } from "../commands.ts";
import type { Alarm } from "../../../shared/contract/index.ts";
import { protocolWords } from "../plan/protocols.ts";
import { speeds, type Player, type PlayerState } from "./player.ts";

export function usePlayer(player: Player): PlayerState {
  return useSyncExternalStore(player.subscribe, player.get);
}

export function Transport({ player, notice, run }: { readonly player: Player; readonly notice: Notice | null; readonly run: (action: Action) => void }) {
  const state = usePlayer(player);
  const { timeline, status } = state;
  const durationMs = timeline?.durationMs ?? 0;
  const positionMs = Math.min(state.positionMs, durationMs);
  const replayable = timeline !== null && timeline.notReplayable === null;
  const generation = generationAt(state, positionMs);
  return (
    <div className="transport" data-testid="transport" data-playing={state.playing} data-at-end={positionMs >= durationMs} data-replaying={state.replaying} data-seeking={state.seeking !== null} data-preview={!state.replaying && replayable && positionMs < durationMs} data-position={Math.round(positionMs)}>
      <div className="transport-row">
        <div className="transport-buttons" role="group" aria-label="Replay">
          <ActButton aria-label="One generation back" title="One generation back" data-testid="generation-back" onClick={() => run("back")}><Icon name="farBack" /><Key>←</Key></ActButton>
          <ActButton aria-label="One presentation back" title="One presentation back" data-testid="step-back" disabled={!replayable} onClick={() => run("stepBack")}><Icon name="back" /><Key>,</Key></ActButton>
          <ActButton className="play" data-testid="play-button" disabled={!replayable} onClick={() => run("play")}>{state.playing ? <><Icon name="hold" />Hold</> : <><Icon name="on" />Replay</>} <Key>Space</Key></ActButton>
          <ActButton aria-label="One presentation on" title="One presentation on" data-testid="step-forward" disabled={!replayable} onClick={() => run("stepForward")}><Icon name="on" /><Key>.</Key></ActButton>
          <ActButton aria-label="One generation on" title="One generation on" data-testid="generation-forward" onClick={() => run("forward")}><Icon name="farOn" /><Key>→</Key></ActButton>
        </div>
        <div className="transport-where">
          <span><b data-testid="position">{formatDuration(positionMs)}</b> <span className="quiet">of {formatDuration(durationMs)}</span></span>
          <small><span data-testid="review-generation">{generation === null ? "before generation 0" : `generation ${generation}`}</span>{status === null || !state.replaying ? "" : `, ${count(status.presentations, "presentation")}`}</small>
        </div>
        <Scrubber player={player} state={state} positionMs={positionMs} />
        <div className="segments speeds" role="radiogroup" aria-label="Speed of the replay">
          {speeds.map((s) => <button type="button" role="radio" key={s} aria-checked={s === state.speed} data-testid={`speed-${s}`} disabled={!replayable} onMouseDown={(e) => e.preventDefault()} onClick={() => player.setSpeed(s)}>{s === 0 ? "max" : `${s}×`}</button>)}
        </div>
      </div>
      <Verdict state={state} notice={notice} run={run} />
    </div>
  );
}

const noAlarms: readonly Alarm[] = [];

/** One line that says what one looks at, whether it is what was recorded, and what was wrong then. */
function Verdict({ state, notice, run }: { readonly state: PlayerState; readonly notice: Notice | null; readonly run: (action: Action) => void }) {
  const alarms = useUi((s) => (s.replaying ? (s.snapshot?.live?.alarms ?? noAlarms) : noAlarms));
  const link = useUi((s) => s.link);
  const failure = useUi((s) => s.snapshot?.failure ?? null);
  const { status, timeline } = state;
  if (link === "down") return <p className="transport-line fault" role="alert">■ No link to the engine: the replay has stopped. This window tries again by itself.</p>;
  if (notice?.severity === "fault") return <p className="transport-line fault" role="alert" data-testid="notice">■ {notice.text}</p>;
  if (state.problem !== null) return <p className="transport-line fault" role="alert" data-testid="replay-problem">■ {state.problem}</p>;
  if (status?.difference != null) {
    return (
      <p className="transport-line fault" role="alert" data-testid="difference" title={status.difference}>
        ■ The replay differs from the recording at {status.difference}. From there on it does not show the session as it was: the file was changed, or another version of Evoked recorded it.
      </p>
    );
  }
  if (timeline?.notReplayable != null) return <p className="transport-line warn" data-testid="not-replayable">▲ {timeline.notReplayable} Generations can be looked at one by one.</p>;
  if (notice !== null) return <p className="transport-line" data-testid="notice">{notice.text}</p>;
  if (state.seeking !== null) return <p className="transport-line" data-testid="seeking">↻ Recomputing the session up to there: {Math.round(state.seeking * 100)} %</p>;
  const worst = alarms.toSorted((a, b) => Number(b.severity === "fault") - Number(a.severity === "fault"))[0];
  if (worst !== undefined) {
    return (
      <p className="transport-line warn" data-testid="alarm-then">
        ▲ Alarm at this moment of the recording: {worst.message}{alarms.length > 1 ? ` And ${alarms.length - 1} more.` : ""} <ActButton className="chip" onClick={() => run("alarms")}>all <Key>A</Key></ActButton>
      </p>
    );
  }
  if (!state.replaying) return <p className="transport-line" data-testid="standing">{state.positionMs === Number.POSITIVE_INFINITY ? `The recorded result${failure === null ? "" : `. ▲ ${failure}`}. Space replays it from the beginning.` : "Curve and images as recorded up to this generation; everything else follows when the scrubber rests"}</p>;
  return <p className="transport-line well" data-testid="identical">● Recomputed so far and identical to the recording: {count(status?.presentations ?? 0, "presentation")} and {count(status?.generation ?? 0, "generation")}</p>;
}

function count(n: number, word: string): string {
  return `${formatCount(n)} ${word}${n === 1 ? "" : "s"}`;
}

function generationAt(state: PlayerState, positionMs: number): number | null {
  const done = (state.timeline?.generations ?? []).filter((g) => g.atMs <= positionMs);
  return done.length === 0 ? null : Math.max(...done.map((g) => g.generation));
}

const Scrubber = memo(function Scrubber({ player, state, positionMs }: { readonly player: Player; readonly state: PlayerState; readonly positionMs: number }) {
  const track = useRef<HTMLDivElement>(null);
  const [draggedMs, setDraggedMs] = useState<number | null>(null);
  const { timeline } = state;
  const durationMs = timeline?.durationMs ?? 0;
  const at = draggedMs ?? positionMs;
  const share = durationMs > 0 ? Math.min(1, at / durationMs) : 0;
  const timeAt = (clientX: number): number => {
    const box = track.current?.getBoundingClientRect();
    return box === undefined || box.width === 0 ? 0 : Math.min(1, Math.max(0, (clientX - box.left) / box.width)) * durationMs;
  };
  const drag = (clientX: number): void => {
    const ms = timeAt(clientX);
    setDraggedMs(ms);
    player.preview(ms);
  };
  const generation = generationAt(state, at);
  return (
    <div
      className="scrubber" role="slider" tabIndex={0} ref={track} data-testid="scrubber"
      aria-label="Place in the session" aria-valuemin={0} aria-valuemax={Math.round(durationMs / 1000)} aria-valuenow={Math.round(at / 1000)}
      aria-valuetext={`${formatDuration(at)} of ${formatDuration(durationMs)}${generation === null ? "" : `, generation ${generation}`}`}
      onPointerDown={(event) => {
        if (event.button !== 0 || durationMs === 0) return;
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        drag(event.clientX);
      }}
      onPointerMove={(event) => { if (draggedMs !== null) drag(event.clientX); }}
      onPointerUp={(event) => {
        if (draggedMs === null) return;
        const ms = timeAt(event.clientX);
        setDraggedMs(null);
        if (ms >= durationMs) player.toEnd();
        else player.seek(ms);
      }}
      onPointerCancel={() => setDraggedMs(null)}
      onKeyDown={(event) => {
        const by = event.key === "PageDown" ? 0.1 : event.key === "PageUp" ? -0.1 : 0;
        if (by === 0 || durationMs === 0) return;
        event.preventDefault();
        player.seek(Math.min(durationMs - 1, Math.max(0, at + by * durationMs)));
      }}
    >
      <div className="track"><i style={{ transform: `scaleX(${share})` }} />{state.seeking === null ? null : <em style={{ transform: `scaleX(${share * state.seeking})` }} />}</div>
      <Marks timeline={timeline} />
      <StepMarks timeline={timeline} at={at} onChoose={(ms) => player.seek(ms)} />
      <span className="thumb" style={{ left: `${share * 100}%` }} />
      {draggedMs === null ? null : <span className="bubble" style={{ left: `${share * 100}%` }}>{formatDuration(draggedMs)}{generation === null ? "" : ` · gen ${generation}`}</span>}
    </div>
  );
});

/** Where each step of the plan begins, by name; a click goes there. Of a session of one evolution there is nothing to tell apart. */
function StepMarks({ timeline, at, onChoose }: { readonly timeline: PlayerState["timeline"]; readonly at: number; readonly onChoose: (ms: number) => void }) {
  if (timeline === null || timeline.durationMs <= 0 || timeline.steps.length < 2) return null;
  const { steps, durationMs } = timeline;
  const current = steps.findLast((s) => s.atMs <= at)?.step ?? null;
  return (
    <div className="step-marks" data-testid="step-marks" data-step={current === null ? "" : current + 1}>
      {steps.map((s, i) => {
        const share = s.atMs / durationMs;
        const title = titleOfMark(s);
        return (
          <button
            key={s.step} type="button" tabIndex={-1} className={s.step === current ? "step-mark on" : "step-mark"} style={{ left: `${share * 100}%`, width: `${((steps[i + 1]?.atMs ?? durationMs) / durationMs - share) * 100}%` }}
            data-testid={`step-mark-${s.step + 1}`} title={`${s.step + 1} ${title}, from ${formatDuration(s.atMs)}: [ and ] go from step to step`}
            // Not a drag of the scrubber that lies under it.
            onPointerDown={(event) => { event.stopPropagation(); event.preventDefault(); }} onClick={() => onChoose(s.atMs)}
          >
            {s.step + 1} {title}
          </button>
        );
      })}
    </div>
  );
}

function titleOfMark(step: { readonly protocol: string; readonly title: string }): string {
  if (step.title !== "") return step.title;
  return isProtocol(step.protocol) ? protocolWords[step.protocol].short : step.protocol;
}

function isProtocol(name: string): name is keyof typeof protocolWords {
  return Object.hasOwn(protocolWords, name);
}

/** A tick at the end of every generation, numbers where there is room. */
const Marks = memo(function Marks({ timeline }: { readonly timeline: PlayerState["timeline"] }) {
  const ends = useMemo(() => {
    const last = new Map<number, number>();
    for (const g of timeline?.generations ?? []) last.set(g.generation, Math.max(last.get(g.generation) ?? 0, g.atMs));
    return [...last];
  }, [timeline]);
  if (timeline === null || timeline.durationMs <= 0) return null;
  const every = [1, 2, 5, 10, 20, 50, 100].find((n) => ends.length / n <= 16) ?? 200;
  return (
    <div className="marks" aria-hidden="true">
      {ends.map(([generation, atMs]) => <span key={generation} className={generation % every === 0 ? "mark numbered" : "mark"} style={{ left: `${(atMs / timeline.durationMs) * 100}%` }}>{generation % every === 0 ? <small>{generation}</small> : null}</span>)}
      {timeline.resumedMs.map((atMs) => <span key={`resumed ${atMs}`} className="mark resumed" style={{ left: `${(atMs / timeline.durationMs) * 100}%` }} />)}
    </div>
  );
});
