// Is the animal working, and what has it earned. Knows nothing about the reward line.
import { memo } from "react";
import { drawOutcomes, type Outcome } from "../draw/outcomes.ts";
import { formatCount, formatMl } from "../format.ts";
import { useLiveCanvas } from "../hooks.ts";
import { ActButton, Key, Panel } from "../parts.tsx";
import { readMs, useUi, useUiPaced } from "../store.ts";
import type { Area } from "../draw/area.ts";
import type { Live } from "../../../shared/contract/index.ts";
import type { UiState } from "../uiState.ts";
import type { Commands } from "../commands.ts";

const none: readonly Outcome[] = [];
const selectRecentKey = (s: UiState): string => (s.snapshot?.live?.trials.recent ?? none).join();
const selectTrials = (s: UiState): Live["trials"] | null => s.snapshot?.live?.trials ?? null;
const draw = (area: Area, key: string): void => drawOutcomes(area, key === "" ? none : (key.split(",") as Outcome[]));

export const TrialsPanel = memo(function TrialsPanel({ commands }: { readonly commands: Commands | null }) {
  const trials = useUiPaced(selectTrials, readMs);
  const strip = useLiveCanvas(selectRecentKey, draw);
  const ml = useUi((s) => s.snapshot?.live?.reward.totalMl ?? 0);
  const manual = useUi((s) => s.snapshot?.live?.reward.manualPulses ?? 0);
  const day = useUi(selectDay);
  const tried = trials === null ? 0 : trials.correct + trials.broken + trials.noFixation;
  return (
    <Panel name="trials" title="Trials and reward" age="live" aside={tried === 0 ? "no trial yet" : <span><b>{Math.round((100 * (trials?.correct ?? 0)) / tried)} %</b> correct</span>}>
      <canvas ref={strip} className="strip" role="img" aria-label="Outcomes of the last 40 trials" />
      <div className="strip-legend"><span className="mark-correct">correct</span><span className="mark-broken">broke fixation</span><span className="mark-none">no fixation</span><span className="push">last 40, newest right</span></div>
      <dl className="figures">
        <div><dd data-testid="trials-correct">{formatCount(trials?.correct ?? 0)}</dd><dt>correct</dt></div>
        <div><dd>{formatCount(trials?.broken ?? 0)}</dd><dt>broken</dt></div>
        <div><dd>{formatCount(trials?.noFixation ?? 0)}</dd><dt>no fixation</dt></div>
        <div><dd data-testid="reward-ml">{formatMl(ml)}<small>ml</small></dd><dt>{manual === 0 ? "juice" : `juice, ${manual} by hand`}{day === "" ? null : <b className="reward-day" data-testid="reward-day">{day}</b>}</dt></div>
      </dl>
      {commands === null ? null : <RewardButtons commands={commands} />}
    </Panel>
  );
});

function RewardButtons({ commands }: { readonly commands: Commands }) {
  const pulseMs = useUi((s) => s.snapshot?.live?.reward.pulseMs ?? null);
  return (
    <div className="reward-row">
      <ActButton className="reward" data-testid="reward-button" onClick={() => commands.run("reward")}>Reward {pulseMs === null ? "" : `${pulseMs} ms`} <Key>R</Key></ActButton>
      <ActButton aria-label="Reward 10 ms shorter" title="10 ms shorter" onClick={() => commands.run("rewardShorter")}>−10 <Key>-</Key></ActButton>
      <ActButton aria-label="Reward 10 ms longer" title="10 ms longer" onClick={() => commands.run("rewardLonger")}>+10 <Key>=</Key></ActButton>
    </div>
  );
}

/** "today 123 of 250 ml", where the day is counted. */
const selectDay = (s: UiState): string => {
  const reward = s.snapshot?.live?.reward;
  if (reward?.dayMl === undefined) return "";
  const max = reward.dayMlMax ?? reward.sessionMlMax ?? null;
  return reward.dayMlMax != null ? ` today ${reward.dayMl.toFixed(0)} of ${reward.dayMlMax} ml` : max === null ? ` today ${reward.dayMl.toFixed(0)} ml` : ` of at most ${max} ml`;
};
