// What is asked before a step is cut short or repeated. Knows nothing about how steps run.
import { useEffect, useRef } from "react";
import { formatCount } from "../format.ts";
import { Confirm, Dialog, Key } from "../parts.tsx";
import { useUi } from "../store.ts";
import { currentStep, lookedStep, stageOf, stepsOfPlan } from "../uiState.ts";
import { titleOf } from "./protocols.ts";

/** Either the block under way or the whole step. Nothing is chosen beforehand: Enter on the first does the smaller thing. */
export function SkipDialog({ onBlock, onStep, onClose }: { readonly onBlock: () => void; readonly onStep: () => void; readonly onClose: () => void }) {
  const step = useUi(currentStep);
  const stage = useUi(stageOf);
  const next = useUi((s) => stepsOfPlan(s).find((x) => x.state === "waiting") ?? null);
  const evolution = step === null || step.protocol === "evolution";
  const block = useRef<HTMLButtonElement>(null);
  useEffect(() => block.current?.focus(), []);
  const confirming = evolution && stage === "confirming";
  return (
    <Dialog title="Skip what?" onClose={onClose} testid="skip-dialog">
      <div
        className="pick-thread"
        onKeyDown={(event) => {
          if (event.key === "1") onBlock();
          if (event.key === "2") onStep();
          if (event.key === " ") event.preventDefault();
        }}
      >
        <button type="button" ref={block} data-testid="skip-block" onClick={onBlock}>
          <b className="thread-number">1</b><span>{confirming ? "The rest of the results" : evolution ? "The rest of this generation" : "The rest of this block"}<small>{confirming ? "The report is made from what was shown again until now." : "Images that were not shown count as missing; it goes on with the next."}</small></span><span /><Key>1</Key>
        </button>
        <button type="button" data-testid="skip-step" onClick={onStep}>
          <b className="thread-number">2</b><span>The whole step{step === null ? "" : `: ${titleOf(step)}`}<small>{step === null || step.planned === 0 ? "" : `${formatCount(step.settled)} of ${formatCount(step.planned)} images are done. `}Its report is made from what there is; {next === null ? "the session ends." : `then ${titleOf(next)}.`}</small></span><span /><Key>2</Key>
        </button>
      </div>
      <p className="quiet">What was recorded stays. <Key>Esc</Key> goes on as planned.</p>
    </Dialog>
  );
}

/** The step that is looked at, if it has begun; else the one under way. */
export function RepeatDialog({ onDo, onClose }: { readonly onDo: (index: number) => void; readonly onClose: () => void }) {
  const looked = useUi(lookedStep);
  const current = useUi(currentStep);
  const step = looked !== null && looked.state !== "waiting" ? looked : current;
  if (step === null) return null;
  return (
    <Confirm
      title={`Repeat "${titleOf(step)}"?`} doIt="Repeat it" leave="Leave it" onClose={onClose} onDo={() => onDo(step.index)}
      text={`A copy of step ${step.index + 1} is put ${current === null || step.index === current.index ? "after it" : "after the step under way"}, with the same settings${step.planned > 0 ? ` and about ${formatCount(step.planned)} images` : ""}. Nothing that was recorded is changed.`}
    />
  );
}
