// The top line: whose session, how far, what it is doing, pause and stop. And under it the one line that says whether all is well.
import { memo, type ReactNode } from "react";
import { adviceFor } from "./alarmAdvice.ts";
import { formatAge, formatCount, formatDate, formatDuration, formatRemaining } from "./format.ts";
import { GenerationWord, PlanStrip } from "./plan/PlanStrip.tsx";
import { ActButton, Icon, Key, LevelMark } from "./parts.tsx";
import { useNowMs, useTheme } from "./hooks.ts";
import { readMs, useStore, useUi, useUiPaced } from "./store.ts";
import { phaseOf, stageOf, stepsOfPlan, type UiState } from "./uiState.ts";
import type { Commands, Notice } from "./commands.ts";
import type { Alarm, Device, Phase } from "../../shared/contract/index.ts";

export function Wordmark() {
  return <span className="wordmark"><svg viewBox="0 0 32 20" aria-hidden="true"><path d="M1 15h8c2.5 0 2.5-13 5-13s3 9.500 5.500 9.5S23 8 26 8h5" /></svg>Evoked</span>;
}

const phaseWords: Readonly<Record<Phase, { readonly word: string; readonly mark: ReactNode }>> = {
  idle: { word: "Idle", mark: "○" }, starting: { word: "Starting", mark: "↻" }, running: { word: "Running", mark: "●" }, paused: { word: "Paused", mark: <Icon name="hold" /> },
  stopping: { word: "Stopping", mark: "↻" }, finished: { word: "Finished", mark: "✓" }, failed: { word: "Failed", mark: "■" }, review: { word: "Review", mark: "↺" },
};

export function PhasePill() {
  const phase = useUi(phaseOf);
  const unlinked = useUi((s) => s.link === "down");
  if (unlinked) return <span className="pill phase-unknown" data-testid="phase" data-phase="unknown">No link</span>;
  return <span className={`pill phase-${phase}`} data-testid="phase" data-phase={phase}><i aria-hidden="true">{phaseWords[phase].mark}</i>{phaseWords[phase].word}</span>;
}

export const Header = memo(function Header({ commands, mayOperate }: { readonly commands: Commands; readonly mayOperate: boolean }) {
  const session = useUi((s) => s.snapshot?.session ?? null);
  const phase = useUi(phaseOf);
  const ended = phase === "finished" || phase === "failed";
  const planned = useUi(hasPlan);
  return (
    <header className={planned ? "top planned" : "top"}>
      <Wordmark />
      <div className="who"><b>{session?.subject ?? "–"}</b><span>{session === null ? "" : formatDate(session.startedUtc)}</span></div>
      {planned ? <><PlanStrip /><GenerationWord /></> : <><Progress /><span className="grow" /></>}
      <Times planned={planned} />
      <PhasePill />
      {!mayOperate ? <Watching /> : ended
        ? <ActButton className="primary" data-testid="new-session" onClick={() => commands.run("newSession")}>New session <Key>N</Key></ActButton>
        : <>
          <ActButton data-testid="pause-button" disabled={phase !== "running" && phase !== "paused"} onClick={() => commands.run("togglePause")}>{phase === "paused" ? "Go on" : "Pause"} <Key>Space</Key></ActButton>
          <ActButton className="stop" data-testid="stop-button" disabled={phase === "stopping"} onClick={() => commands.run("stop")}>Stop <Key>Esc</Key></ActButton>
        </>}
    </header>
  );
});

/** A session of one evolution shows its generations; anything longer shows its steps. */
export function hasPlan(s: UiState): boolean {
  const steps = stepsOfPlan(s);
  return steps.length > 1 || steps.some((step) => step.protocol !== "evolution");
}

function Watching() {
  const skipped = useUi((s) => s.skipped);
  return <span className="watching" data-testid="watching">Watching only{skipped > 0 ? <span className="caution" title="This window reads too slowly; the session is not held up by it"> ▲ {formatCount(skipped)} updates skipped</span> : null}</span>;
}

const selectProgress = (s: UiState): NonNullable<NonNullable<UiState["snapshot"]>["live"]>["progress"] | null => s.snapshot?.live?.progress ?? null;

function Progress() {
  const p = useUiPaced(selectProgress, readMs, stageOf);
  const stage = useUi(stageOf);
  if (p === null) return <div className="progress" />;
  const within = p.imagesInBlock > 0 ? Math.min(1, p.imageInBlock / p.imagesInBlock) : 0;
  // Each block in its own right: the results' block begins with an empty bar again.
  const whole = stage === "evolution" ? (p.generations > 0 ? Math.min(1, (p.generation + within) / p.generations) : 0) : stage === "over" ? 1 : within;
  const words = { tuning: <b>Tuning</b>, evolution: <>Generation <b>{p.generation}</b> of {p.generations}</>, confirming: <b>Results shown again</b>, over: <><b>{p.generations}</b> generations done</> }[stage];
  return (
    <div className="progress" data-testid="progress" data-generation={p.generation} data-stage={stage}>
      <div className="step"><span>{words}</span>{stage === "over" ? null : <span className="quiet">image {Math.min(p.imageInBlock, p.imagesInBlock)} of {p.imagesInBlock}</span>}</div>
      <div className="bar" role="progressbar" aria-valuenow={Math.round(whole * 100)} aria-valuemin={0} aria-valuemax={100} aria-label="Session"><i style={{ transform: `scaleX(${whole})` }} /></div>
    </div>
  );
}

const selectElapsedS = (s: UiState): number => Math.floor((s.snapshot?.live?.progress.elapsedMs ?? 0) / 1000);
const selectRemaining = (s: UiState): string => formatRemaining(s.snapshot?.live?.progress.remainingMs ?? null);

function Times({ planned }: { readonly planned: boolean }) {
  const elapsedS = useUi(selectElapsedS);
  const remaining = useUiPaced(selectRemaining, 2000);
  const ended = useUi((s) => phaseOf(s) === "finished" || phaseOf(s) === "failed");
  return (
    <dl className="times">
      <div><dt>elapsed</dt><dd data-testid="elapsed">{formatDuration(elapsedS * 1000)}</dd></div>
      {ended || planned ? null : <div><dt>left about</dt><dd>{remaining}</dd></div>}
    </dl>
  );
}

const noAlarms: readonly Alarm[] = [];
const noDevices: readonly Device[] = [];
const selectAlarms = (s: UiState): readonly Alarm[] => s.snapshot?.live?.alarms ?? noAlarms;
const selectAlarmKey = (s: UiState): string => selectAlarms(s).map((a) => `${a.code}${a.severity}`).join();
const selectDevices = (s: UiState): readonly Device[] => s.snapshot?.live?.devices ?? noDevices;

/** Always one line, never more: the worst first. Nothing moves when it changes. */
export const StatusLine = memo(function StatusLine({ notice, onAlarms, downReason }: { readonly notice: Notice | null; readonly onAlarms: () => void; readonly downReason: () => string | null }) {
  const link = useUi((s) => s.link);
  const phase = useUi(phaseOf);
  const failure = useUi((s) => s.snapshot?.failure ?? null);
  const alarms = useUiPaced(selectAlarms, 1000, selectAlarmKey);
  const silent = useSilenceMs() > silenceMsMax;
  if (link === "down") return <LinkLost downReason={downReason} />;
  if (notice?.severity === "fault") return <p className="status fault" role="alert" data-testid="notice">■ {notice.text}</p>;
  if (failure !== null && (phase === "failed" || phase === "finished")) return <p className={`status ${phase === "failed" ? "fault" : "warn"}`} role="alert" data-testid="failure">{phase === "failed" ? "■" : "▲"} {failure}</p>;
  if (silent) return <Silence />;
  // What was wrong at the end is over with the session; it stands in the log.
  const worst = (phase === "finished" || phase === "failed" ? noAlarms : alarms).toSorted((a, b) => Number(b.severity === "fault") - Number(a.severity === "fault") || b.sinceMs - a.sinceMs)[0];
  if (worst !== undefined) return <AlarmLine worst={worst} others={alarms.length - 1} onAlarms={onAlarms} />;
  if (notice !== null) return <p className="status info" data-testid="notice">{notice.text}</p>;
  return <AllWell phase={phase} />;
});

const silenceMsMax = 2000;

/** How long nothing has come from an engine that should speak ten times a second; 0 while nothing is expected. */
function useSilenceMs(): number {
  const nowMs = useNowMs();
  const phase = useUi(phaseOf);
  // Read at the tick, not at every event.
  const store = useStore();
  const liveMs = store.get().ages.live;
  return liveMs === null || (phase !== "running" && phase !== "paused") ? 0 : nowMs - liveMs;
}

function Silence() {
  const silenceMs = useSilenceMs();
  return <p className="status fault" role="alert" data-testid="silence">■ Nothing from the engine for {formatAge(silenceMs)}, though the link is up. Everything below is old.</p>;
}

function LinkLost({ downReason }: { readonly downReason: () => string | null }) {
  const nowMs = useNowMs();
  const sinceMs = useUi((s) => s.linkSinceMs);
  const reason = downReason();
  return <p className="status lost" role="alert" data-testid="link-lost">■ No link to the engine for {Math.max(0, Math.round((nowMs - sinceMs) / 1000))} s. Everything below is old. {reason === null ? "The engine records on its own; this window is trying again." : `${reason} Trying again.`}</p>;
}

function AlarmLine({ worst, others, onAlarms }: { readonly worst: Alarm; readonly others: number; readonly onAlarms: () => void }) {
  const elapsedS = useUi(selectElapsedS);
  const ageS = Math.max(0, elapsedS - Math.floor(worst.sinceMs / 1000));
  const title = adviceFor(worst.code)?.title ?? null;
  return (
    <button type="button" className={`status ${worst.severity}`} data-testid="alarms" data-count={others + 1} onMouseDown={(e) => e.preventDefault()} onClick={onAlarms}>
      <span role="alert">{worst.severity === "fault" ? "■" : "▲"} {title === null ? null : <b className="alarm-title">{title}</b>}{worst.message}</span>
      <span className="since">for {formatDuration(ageS * 1000)}{worst.count > 1 ? `, ${worst.count} times` : ""}</span>
      {others > 0 ? <b>{others} more</b> : null}<span className="what-to-do">what to do</span><Key>A</Key>
    </button>
  );
}

function AllWell({ phase }: { readonly phase: Phase }) {
  const devices = useUiPaced(selectDevices, 1000);
  const file = useUi((s) => s.snapshot?.session?.file ?? "");
  const working = devices.filter((d) => d.level === "ok").length;
  const off = phase === "running" || phase === "paused" ? devices.filter((d) => d.level !== "off" && d.level !== "ok") : [];
  const words: Readonly<Record<Phase, string>> = {
    idle: "", starting: "Starting: the rig is connected and the models are loaded", running: "Everything is in order", paused: "Paused: nothing is shown, the recording goes on",
    stopping: "Stopping: the last data are written", finished: "Finished: the session file is complete", failed: "The session failed", review: "",
  };
  return (
    <p className={`status ${phase === "running" && off.length === 0 ? "well" : "info"}`} data-testid="all-well">
      {phase === "running" ? <LevelMark level={off.length === 0 ? "ok" : "warn"} /> : null} {off.length === 0 ? words[phase] : `Look at: ${off.map((d) => `${d.label} (${d.value})`).join(", ")}`}
      {phase === "finished" ? <span className="quiet">{file}</span> : devices.length === 0 || off.length > 0 ? null : <span className="quiet">{working} of {devices.filter((d) => d.level !== "off").length} devices answer</span>}
    </p>
  );
}

export function Footer({ children }: { readonly children: React.ReactNode }) {
  const theme = useTheme();
  return <footer className="keys" data-theme-name={theme}>{children}</footer>;
}
