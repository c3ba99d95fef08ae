// The display test, over the start screen: how the subject's screen stands, a test of it, and whether it is good enough for the task.
// Knows nothing about how frames are measured.
import "../fullScreen.css";
import "./displayTest.css";
import { useCallback, useEffect, useRef, useState } from "react";
import { ActButton, Key, LevelMark, Panel } from "../operator/parts.tsx";
import { NumberField } from "../operator/start/fields.tsx";
import { Wordmark } from "../operator/Header.tsx";
import type { DisplayStatus, DisplayTestResult, DisplayTestState, EngineClient, TrialConfig } from "../../shared/contract/index.ts";

interface DisplayTestProps {
  readonly client: EngineClient;
  readonly mayOperate: boolean;
  /** What the session's form says now. */
  readonly trial: TrialConfig;
  /** Of the form, by its name. */
  readonly rig: string;
  readonly onOpenScreen: () => void;
}

/** The button in the start screen's header, and the screen behind it. */
export function DisplayTestLink(props: DisplayTestProps) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ActButton data-testid="display-test-link" onClick={() => setOpen(true)}>Display test</ActButton>
      {open ? <DisplayTestScreen {...props} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

const pollMs = 500;

function DisplayTestScreen({ client, mayOperate, trial, rig, onOpenScreen, onClose }: DisplayTestProps & { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [status, setStatus] = useState<DisplayStatus | null>(null);
  const [last, setLast] = useState<DisplayTestState>({ state: "none" });
  const [problem, setProblem] = useState<string | null>(null);
  const [seconds, setSeconds] = useState<number | null>(20);
  const [refreshHz, setRefreshHz] = useState<number | null>(null);

  useEffect(() => {
    const element = dialog.current;
    if (element !== null && !element.open) element.showModal();
    // Keys mean what they mean on this screen alone: Enter must not start a session behind it.
    const swallow = (event: KeyboardEvent): void => {
      if (element !== null && !(event.target instanceof Node && element.contains(event.target))) event.stopImmediatePropagation();
    };
    window.addEventListener("keydown", swallow, true);
    return () => window.removeEventListener("keydown", swallow, true);
  }, []);

  useEffect(() => {
    const look = (): void => {
      void client.call("display.status", {}).then((answer) => answer.ok && setStatus(answer.value));
      void client.call("display.lastTest", {}).then((answer) => answer.ok && setLast(answer.value));
    };
    look();
    const timer = setInterval(look, pollMs);
    return () => clearInterval(timer);
  }, [client]);

  const begin = useCallback(() => {
    setProblem(null);
    void client.call("display.test", { seconds: seconds ?? 20, onMs: trial.onMs, offMs: trial.offMs, refreshHz, rig }).then((answer) => {
      if (!answer.ok) setProblem(answer.error.message);
      else setLast({ state: "running", secondsLeft: seconds ?? 20 });
    });
  }, [client, refreshHz, rig, seconds, trial.offMs, trial.onMs]);

  const running = last.state === "running";
  const secondsWrong = seconds === null || !(seconds >= 2 && seconds <= 600) ? "Expected 2 to 600 s." : null;
  const attached = status?.attached === true;
  return (
    <dialog
      ref={dialog} className="full-screen display-test" data-testid="display-test" aria-label="Display test"
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key.toLowerCase() === "w" && !(event.target instanceof HTMLInputElement)) onOpenScreen();
        if (event.key.toLowerCase() === "t" && !(event.target instanceof HTMLInputElement) && attached && !running && mayOperate) begin();
      }}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header className="top">
        <Wordmark />
        <h2>Display test</h2>
        <span className="quiet">Images of {trial.onMs} ms every {trial.onMs + trial.offMs} ms, as the session's form says</span>
        <span className="grow" />
        <ActButton data-testid="display-test-close" onClick={onClose}>Back <Key>Esc</Key></ActButton>
      </header>
      <main>
        <Panel name="display-test-window" title="Subject's screen">
          <WindowState status={status} />
          <div className="display-test-form">
            <NumberField label="Test for" unit="s" value={seconds} problem={secondsWrong} testid="display-test-seconds" onChange={setSeconds} />
            <NumberField label="Refresh rate expected" unit="Hz" nullWord="any" value={refreshHz} onChange={setRefreshHz} />
          </div>
          <div className="display-test-acts">
            <ActButton onClick={onOpenScreen} disabled={!mayOperate}>Open the subject's screen <Key>W</Key></ActButton>
            <ActButton data-testid="display-test-begin" disabled={!mayOperate || !attached || running || secondsWrong !== null} onClick={begin}>{running ? `Testing, ${Math.ceil(last.secondsLeft)} s` : "Test"} <Key>T</Key></ActButton>
          </div>
          {problem === null ? null : <p className="caution" role="alert">▲ {problem}</p>}
          <p className="hint">Leave the subject's screen uncovered meanwhile. The window counts its own frames; whether the light followed, a photodiode on the patch tells at the start of every session.</p>
        </Panel>
        <Panel name="display-test-result" title="Result">
          {last.state === "done" ? <Result result={last.result} /> : last.state === "failed" ? <p className="caution">■ {last.message}</p> : <p className="hint">{running ? "The subject's screen flashes a check pattern." : "No test yet."}</p>}
        </Panel>
      </main>
    </dialog>
  );
}

function WindowState({ status }: { readonly status: DisplayStatus | null }) {
  if (status === null) return <p className="hint">Asking the engine.</p>;
  if (!status.attached) return <p className="display-test-state"><LevelMark level="off" /> Not open. Open it, put it on the subject's display and press <Key>F</Key> there.</p>;
  const full = status.window?.fullScreen === true;
  return (
    <p className="display-test-state" data-testid="display-test-state">
      <LevelMark level={full ? "ok" : "warn"} /> {status.widthPx} × {status.heightPx} px at {status.refreshHz.toFixed(2)} Hz, {full ? "full screen" : <>not full screen: press <Key>F</Key> in it</>}
    </p>
  );
}

function Result({ result }: { readonly result: DisplayTestResult }) {
  const { times, findings, good, task } = result;
  return (
    <div className="display-test-result" data-testid="display-test-done" data-good={good}>
      <p className={good ? "verdict good" : "verdict bad"}><LevelMark level={good ? "ok" : "fault"} /> {good ? "Good enough" : "Not good enough"} for images of {task.onMs} ms every {task.onMs + task.offMs} ms</p>
      <ol>{findings.map((f) => <li key={f.code}><LevelMark level={f.level} /> {f.message}</li>)}</ol>
      <h3>Time from frame to frame, in refreshes of {(1000 / times.refreshHz).toFixed(2)} ms</h3>
      <Histogram shares={times.histogram} />
      <p className="quiet">Mean {times.intervalMs.mean.toFixed(3)} ms, SD {times.intervalMs.sd.toFixed(3)} ms, 1 to 99 % {times.intervalMs.p1.toFixed(2)} to {times.intervalMs.p99.toFixed(2)} ms, longest {times.intervalMs.max.toFixed(1)} ms, over {times.frames.toLocaleString("en")} frames and {times.flashes} flashes.</p>
    </div>
  );
}

/** Shares on a logarithmic scale: one frame in ten thousand is still seen. */
function Histogram({ shares }: { readonly shares: readonly number[] }) {
  const height = (share: number): number => (share <= 0 ? 0 : Math.max(2, (100 * (Math.log10(share) + 4.2)) / 4.2));
  return (
    <svg className="display-test-bars" viewBox="0 0 430 128" role="img" aria-label="Histogram of frame intervals, logarithmic">
      {shares.map((share, i) => <rect key={i} x={8 + i * 10} width={8} y={104 - height(share)} height={height(share)} className={Math.abs(i - 10) <= 2 ? "on-time" : "late"} />)}
      <line x1={4} x2={424} y1={104.5} y2={104.5} />
      {[0, 1, 2, 3, 4].map((refreshes) => <text key={refreshes} x={12 + refreshes * 100} y={122} textAnchor="middle">{refreshes === 4 ? "4 +" : refreshes}</text>)}
    </svg>
  );
}
