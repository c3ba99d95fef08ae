// The plan in the header: what is done, what runs and how long it still takes, what comes next. A click looks at a step. Knows nothing about protocols' figures.
import { memo } from "react";
import { formatCount, formatRemaining } from "../format.ts";
import { Key } from "../parts.tsx";
import { useStore, useUi, useUiPaced } from "../store.ts";
import { currentStep, lookedStep, shareOf, stageOf, stepsOfPlan, type Stage, type UiState } from "../uiState.ts";
import { protocolWords, titleOf } from "./protocols.ts";
import type { StepState } from "../../../shared/contract/index.ts";

export function ProtocolIcon({ protocol }: { readonly protocol: StepState["protocol"] }) {
  return <svg className="protocol-icon" viewBox="0 0 20 20" aria-hidden="true"><path d={protocolWords[protocol].icon} /></svg>;
}

const selectSteps = (s: UiState): readonly StepState[] => stepsOfPlan(s);
/** What must be seen at once: a step begins, ends, or is repeated. */
const selectStates = (s: UiState): string => stepsOfPlan(s).map((step) => `${step.index}${step.state}${step.needs ?? ""}`).join();
const selectRemaining = (s: UiState): number | null => s.snapshot?.live?.progress.remainingMs ?? null;

const marks: Readonly<Record<StepState["state"], string>> = { done: "✓", skipped: "⇥", running: "●", waiting: "" };

/** `short`: names of protocols for a narrow place; names that the plan gives stay. */
export const PlanStrip = memo(function PlanStrip({ short }: { readonly short?: boolean }) {
  const steps = useUiPaced(selectSteps, 500, selectStates);
  const looked = useUi((s) => lookedStep(s)?.index ?? null);
  const store = useStore();
  const next = steps.find((s) => s.state === "waiting")?.index ?? null;
  return (
    <nav className="plan-strip" data-testid="plan-strip" aria-label="Plan" data-steps={steps.length}>
      <ol>
        {steps.map((step) => (
          <li key={step.index} data-state={step.state} data-looked={step.index === looked} data-testid={`strip-step-${step.index + 1}`} data-protocol={step.protocol} data-next={step.index === next}>
            <button type="button" aria-current={step.state === "running" ? "step" : undefined} aria-pressed={step.index === looked} title={`${titleOf(step)}${step.message === "" ? "" : `: ${step.message}`}`} onMouseDown={(e) => e.preventDefault()} onClick={() => store.dispatch({ type: "look", step: step.index })}>
              <ProtocolIcon protocol={step.protocol} />
              <span className="strip-words">
                <b><i aria-hidden="true">{marks[step.state]}</i>{short === true && titleOf(step) === protocolWords[step.protocol].title ? protocolWords[step.protocol].short : titleOf(step)}</b>
                <StepLine step={step} isNext={step.index === next} />
              </span>
            </button>
            <span className="bar" role="progressbar" aria-label={titleOf(step)} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(shareOf(step) * 100)}><i style={{ transform: `scaleX(${shareOf(step)})` }} /></span>
          </li>
        ))}
      </ol>
      {steps.length > 1 ? <span className="strip-keys"><Key>PgUp</Key><Key>PgDn</Key></span> : null}
    </nav>
  );
});

function StepLine({ step, isNext }: { readonly step: StepState; readonly isNext: boolean }) {
  if (step.state === "running") return <RunningLine step={step} />;
  if (step.state === "waiting") return <span className="quiet">{isNext ? "next" : "then"}{step.planned > 0 ? `, ${formatCount(step.planned)} images` : ""}</span>;
  return <span className="quiet">{step.state === "done" ? "done" : "skipped"}{step.settled > 0 ? `, ${formatCount(step.settled)} images` : ""}</span>;
}

function RunningLine({ step }: { readonly step: StepState }) {
  const remainingMs = useUiPaced(selectRemaining, 2000);
  if (step.needs === "images") return <span className="caution">▲ waits for images</span>;
  return (
    <span className="now">
      {step.planned > 0 ? <>{formatCount(Math.min(step.settled, step.planned))} of {formatCount(step.planned)}</> : "begins"}
      {remainingMs === null ? null : <span className="left">{formatRemaining(remainingMs)} left</span>}
    </span>
  );
}

const stageWords: Readonly<Record<Stage, string>> = { tuning: "Choosing a target", evolution: "", confirming: "Results shown again", over: "Done" };

/** Of an evolution under way: the generation, beside the strip. */
export function GenerationWord() {
  const running = useUi((s) => currentStep(s)?.protocol === "evolution");
  const stage = useUi(stageOf);
  const generation = useUi((s) => s.snapshot?.live?.progress.generation ?? -1);
  const generations = useUi((s) => s.snapshot?.live?.progress.generations ?? 0);
  if (!running) return null;
  return <span className="generation-word" data-testid="progress" data-generation={generation} data-stage={stage}>{stage === "evolution" ? <><b>{generation}</b> of {generations}<small>generations</small></> : <small>{stageWords[stage]}</small>}</span>;
}
