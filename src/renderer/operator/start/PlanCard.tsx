// The plan of the session: its steps as a strip that mouse and keys add to, take from and put in order, the form of the step that is chosen, and plans
// kept under names. Knows nothing about how steps run.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { formatCount, formatRemaining } from "../format.ts";
import { ActButton, Confirm, Dialog, Key, Panel } from "../parts.tsx";
import { ProtocolIcon } from "../plan/PlanStrip.tsx";
import { protocolWords, titleOf } from "../plan/protocols.ts";
import { estimatePlan, type Estimate } from "./estimate.ts";
import { TextField } from "./fields.tsx";
import { addStep, copyStep, draftSteps, moveStep, nameProblem, pathOfStep, planWarnings, problemsOfStep, removeStep, stepsMax, withSteps } from "./planDraft.ts";
import { StepForm } from "./StepForm.tsx";
import type { Change } from "./cards.tsx";
import type { Action } from "../keys.ts";
import type { RendererClient } from "../../client.ts";
import type { AppDescription, PlanStep, PlanSummary, ProtocolDescription, SessionConfig } from "../../../shared/contract/index.ts";

export interface PlanEditor {
  readonly steps: readonly PlanStep[];
  readonly chosen: number;
  readonly choose: (index: number) => void;
  readonly add: (step: PlanStep) => void;
  readonly remove: () => void;
  readonly copy: () => void;
  /** -1 = earlier, 1 = later. */
  readonly move: (by: number) => void;
}

/** The draft's steps and what is done to them; the chosen one stays chosen as it moves. */
export function usePlanEditor(draft: SessionConfig, setDraft: (how: (old: SessionConfig) => SessionConfig) => void): PlanEditor {
  const steps = useMemo(() => draftSteps(draft), [draft]);
  const [held, setHeld] = useState(0);
  const chosen = Math.min(held, steps.length - 1);
  return {
    steps, chosen, choose: (index) => setHeld(Math.max(0, Math.min(steps.length - 1, index))),
    add: (step) => {
      setDraft((old) => addStep(old, step, chosen));
      if (steps.length < stepsMax) setHeld(chosen + 1);
    },
    remove: () => {
      setDraft((old) => removeStep(old, chosen));
      if (steps.length > 1) setHeld(Math.max(0, chosen - (chosen === steps.length - 1 ? 1 : 0)));
    },
    copy: () => {
      setDraft((old) => copyStep(old, chosen));
      if (steps.length < stepsMax) setHeld(chosen + 1);
    },
    move: (by) => {
      if (chosen + by < 0 || chosen + by >= steps.length) return;
      setDraft((old) => moveStep(old, chosen, chosen + by));
      setHeld(chosen + by);
    },
  };
}

/** What the keys of the start screen do here; true = it was ours. */
export function runPlanKey(action: Action, editor: PlanEditor, openAdd: () => void): boolean {
  switch (action) {
    case "back": editor.choose(editor.chosen - 1); return true;
    case "forward": editor.choose(editor.chosen + 1); return true;
    case "stepAdd": openAdd(); return true;
    case "stepRemove": editor.remove(); return true;
    case "stepCopy": editor.copy(); return true;
    case "stepSooner": editor.move(-1); return true;
    case "stepAfter": editor.move(1); return true;
    default: return false;
  }
}

interface PlanCardProps {
  readonly client: RendererClient;
  readonly app: AppDescription | null;
  readonly draft: SessionConfig;
  readonly setDraft: (how: (old: SessionConfig) => SessionConfig) => void;
  readonly change: Change;
  readonly problems: Readonly<Record<string, string>>;
  readonly editor: PlanEditor;
  readonly adding: boolean;
  readonly onAdding: (open: boolean) => void;
  readonly mayOperate: boolean;
}

export function PlanCard(props: PlanCardProps) {
  const { client, app, draft, change, problems, editor } = props;
  const { steps, chosen } = editor;
  const protocols = useProtocols(client);
  const estimates = useMemo(() => estimatePlan(steps, draft, app), [steps, draft, app]);
  const warnings = useMemo(() => planWarnings(steps), [steps]);
  const step = steps[chosen];
  const base = pathOfStep(draft, chosen);
  const problemsHere = problemsOfStep(problems, base);
  const warning = warnings.find((w) => w.index === chosen);
  return (
    <Panel
      name="plan-card" title="Plan"
      aside={<>
        <span className="plan-total" data-testid="plan-total">{steps.length === 1 ? "1 step" : `${steps.length} steps`}, <b>{formatCount(estimates.images)}</b> images, about <b>{formatRemaining(estimates.minutes * 60_000)}</b>{estimates.open ? " and what you send" : ""}</span>
        <PlanNames client={client} draft={draft} setDraft={props.setDraft} mayOperate={props.mayOperate} />
      </>}
    >
      <Strip editor={editor} estimates={estimates.steps} problems={problems} warned={warnings.map((w) => w.index)} draft={draft} onAdd={() => props.onAdding(true)} />
      {step === undefined ? null : (
        <section className="plan-step-editor" aria-label={`Step ${chosen + 1}`}>
          <header>
            <b className="thread-number">{chosen + 1}</b>
            <h3>{titleOf(step)}</h3>
            <span className="quiet">{protocolWords[step.protocol].asks}</span>
            <span className="grow" />
            {steps.length < 2 ? null : <>
              <ActButton className="chip" data-testid="step-sooner" disabled={chosen === 0} onClick={() => editor.move(-1)}>← sooner <Key>,</Key></ActButton>
              <ActButton className="chip" data-testid="step-after" disabled={chosen === steps.length - 1} onClick={() => editor.move(1)}>later → <Key>.</Key></ActButton>
            </>}
            <ActButton className="chip" data-testid="step-copy" onClick={editor.copy}>copy <Key>C</Key></ActButton>
            {steps.length < 2 ? null : <ActButton className="chip" data-testid="step-remove" onClick={editor.remove}>remove <Key>Del</Key></ActButton>}
          </header>
          {warning === undefined ? null : <p className="hint caution" data-testid="step-warning">▲ {warning.text}</p>}
          <StepForm key={`${chosen} ${step.protocol}`} app={app} protocols={protocols} draft={draft} step={step} base={base} problems={problemsHere} change={change} />
        </section>
      )}
      {props.adding ? <AddDialog protocols={protocols} onAdd={(next) => { props.onAdding(false); editor.add(next); }} onClose={() => props.onAdding(false)} /> : null}
    </Panel>
  );
}

function Strip({ editor, estimates, problems, warned, draft, onAdd }: { readonly editor: PlanEditor; readonly estimates: readonly Estimate[]; readonly problems: Readonly<Record<string, string>>; readonly warned: readonly number[]; readonly draft: SessionConfig; readonly onAdd: () => void }) {
  const { steps, chosen } = editor;
  const [dragged, setDragged] = useState<number | null>(null);
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => { list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [chosen, steps.length]);
  return (
    <div className="plan-edit">
      <ol ref={list} role="listbox" aria-label="Steps of the plan" aria-orientation="horizontal">
        {steps.map((step, i) => {
          const wrong = Object.keys(problemsOfStep(problems, pathOfStep(draft, i))).length;
          return (
            <li
              key={i} role="option" aria-selected={i === chosen} className={`plan-step${wrong > 0 ? " wrong" : ""}`} data-testid={`plan-step-${i + 1}`} data-protocol={step.protocol} draggable title={`${titleOf(step)}: ${imagesWords(estimates[i])}`}
              onClick={() => editor.choose(i)} onDragStart={() => { editor.choose(i); setDragged(i); }} onDragEnd={() => setDragged(null)} onDragOver={(event) => { if (dragged !== null) event.preventDefault(); }}
              onDrop={(event) => {
                event.preventDefault();
                if (dragged !== null && dragged !== i) editor.move(i - dragged);
                setDragged(null);
              }}
            >
              <b className="thread-number">{i + 1}</b>
              <ProtocolIcon protocol={step.protocol} />
              <span className="strip-words">
                <b>{wrong > 0 ? <span className="bad">▲ </span> : warned.includes(i) ? <span className="caution">▲ </span> : null}{step.title === "" ? protocolWords[step.protocol].short : step.title}</b>
                <span className="quiet">{estimateWords(estimates[i])}</span>
              </span>
            </li>
          );
        })}
      </ol>
      <ActButton className="add-step" data-testid="add-step" disabled={steps.length >= stepsMax} onClick={onAdd}>+ Add <Key>Ins</Key></ActButton>
    </div>
  );
}

function estimateWords(estimate: Estimate | undefined): string {
  if (estimate === undefined || estimate.images === null || estimate.minutes === null) return "what you send";
  return `${formatCount(estimate.images)} in ${formatRemaining(estimate.minutes * 60_000)}`;
}

function imagesWords(estimate: Estimate | undefined): string {
  if (estimate === undefined || estimate.images === null || estimate.minutes === null) return "as many images as you send, or as its folder holds";
  return `${formatCount(estimate.images)} presentations, about ${formatRemaining(estimate.minutes * 60_000)}`;
}

/** Which protocol; by mouse, by number, by arrows and Enter. */
function AddDialog({ protocols, onAdd, onClose }: { readonly protocols: readonly ProtocolDescription[]; readonly onAdd: (step: PlanStep) => void; readonly onClose: () => void }) {
  const list = useRef<HTMLDivElement>(null);
  const pick = (p: ProtocolDescription | undefined): void => {
    if (p !== undefined && p.defaults !== null && p.problem === null) onAdd(structuredClone(p.defaults));
  };
  useEffect(() => list.current?.querySelector("button")?.focus(), [protocols.length]);
  return (
    <Dialog title="Add a step" onClose={onClose} testid="add-dialog" wide>
      <div
        className="pick-protocol" ref={list}
        onKeyDown={(event) => {
          const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
          if (by !== 0) {
            const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
            buttons[(buttons.findIndex((b) => b === document.activeElement) + by + buttons.length) % buttons.length]?.focus();
            event.preventDefault();
          }
          if (/^[1-9]$/.test(event.key)) pick(protocols[Number(event.key) - 1]);
        }}
      >
        {protocols.map((p, i) => (
          <button type="button" key={`${p.protocol} ${p.name}`} disabled={p.problem !== null || p.defaults === null} data-testid={`add-${p.name === "" ? p.protocol : p.name}`} onClick={() => pick(p)}>
            <ProtocolIcon protocol={p.protocol} />
            <span><b>{p.title}</b><small>{p.problem ?? p.description}</small></span>
            <Key>{i + 1}</Key>
          </button>
        ))}
      </div>
      <p className="quiet">It is put after the chosen step, with its usual settings. <Key>Esc</Key> leaves the plan as it is.</p>
    </Dialog>
  );
}

function useProtocols(client: RendererClient): readonly ProtocolDescription[] {
  const [protocols, setProtocols] = useState<readonly ProtocolDescription[]>([]);
  useEffect(() => {
    let over = false;
    const ask = (): void => void client.call("protocols.list", {}).then((answer) => { if (!over && answer.ok) setProtocols(answer.value); });
    ask();
    const stop = client.onLink((up) => { if (up) ask(); });
    return () => {
      over = true;
      stop();
    };
  }, [client]);
  return protocols;
}

// ---- plans under names -------------------------------------------------------------------------------------------------------

function PlanNames({ client, draft, setDraft, mayOperate }: { readonly client: RendererClient; readonly draft: SessionConfig; readonly setDraft: PlanCardProps["setDraft"]; readonly mayOperate: boolean }) {
  const [plans, setPlans] = useState<readonly PlanSummary[]>([]);
  const [open, setOpen] = useState<"plans" | "save" | null>(null);
  const [loaded, setLoaded] = useState("");
  const refresh = useCallback(() => client.call("plans.list", {}).then((answer) => { if (answer.ok) setPlans(answer.value); }), [client]);
  useEffect(() => { if (open !== null) void refresh(); }, [open, refresh]);
  const load = async (name: string): Promise<string | null> => {
    const answer = await client.call("plans.load", { name });
    if (!answer.ok) return answer.error.message;
    setDraft((old) => withSteps(old, answer.value.steps));
    setLoaded(answer.value.name);
    setOpen(null);
    return null;
  };
  return (
    <>
      <ActButton className="chip" data-testid="open-plans" onClick={() => setOpen("plans")}>Open a plan</ActButton>
      {mayOperate ? <ActButton className="chip" data-testid="save-plan" onClick={() => setOpen("save")}>Save as</ActButton> : null}
      {open === "plans" ? <PlansDialog client={client} plans={plans} mayOperate={mayOperate} onLoad={load} onChanged={refresh} onClose={() => setOpen(null)} /> : null}
      {open === "save" ? <SaveDialog client={client} plans={plans} steps={draftSteps(draft)} name={loaded} onSaved={(name) => { setLoaded(name); setOpen(null); }} onClose={() => setOpen(null)} /> : null}
    </>
  );
}

function PlansDialog({ client, plans, mayOperate, onLoad, onChanged, onClose }: { readonly client: RendererClient; readonly plans: readonly PlanSummary[]; readonly mayOperate: boolean; readonly onLoad: (name: string) => Promise<string | null>; readonly onChanged: () => Promise<unknown>; readonly onClose: () => void }) {
  const [problem, setProblem] = useState<string | null>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const remove = (name: string): void => {
    setRemoving(null);
    void client.call("plans.remove", { name }).then(async (answer) => {
      setProblem(answer.ok ? null : answer.error.message);
      await onChanged();
    });
  };
  return (
    <Dialog title="Open a plan" onClose={onClose} testid="plans-dialog" wide>
      <div className="pick-plan" ref={list}>
        {plans.map((p) => (
          <div key={p.name} className="plan-row">
            <button type="button" disabled={p.problem !== null} data-testid={`plan-${p.name}`} onClick={() => void onLoad(p.name).then(setProblem)}>
              <span><b>{p.name}</b><small>{p.problem ?? p.description}</small></span>
              <span className="plan-protocols">{p.protocols.map((name, i) => <span key={i}>{protocolTitle(name)}</span>)}</span>
              {p.builtIn ? <small className="quiet">comes with Evoked</small> : <span />}
            </button>
            {p.builtIn || !mayOperate ? null : <ActButton className="chip" data-testid={`remove-plan-${p.name}`} onClick={() => setRemoving(p.name)}>Delete</ActButton>}
          </div>
        ))}
      </div>
      {problem === null ? null : <p className="status fault" role="alert">■ {problem}</p>}
      <p className="quiet">It takes the place of the steps on the start screen; everything else stays as it is set. <Key>Esc</Key> leaves them.</p>
      {removing === null ? null : <Confirm title={`Delete the plan "${removing}"?`} text="Its file is removed from the folder of plans. Recorded sessions keep the plan that they ran." doIt="Delete" leave="Keep it" onDo={() => remove(removing)} onClose={() => setRemoving(null)} />}
    </Dialog>
  );
}

function protocolTitle(name: string): string {
  return Object.entries(protocolWords).find(([protocol]) => protocol === name)?.[1].short ?? name;
}

function SaveDialog({ client, plans, steps, name: last, onSaved, onClose }: { readonly client: RendererClient; readonly plans: readonly PlanSummary[]; readonly steps: readonly PlanStep[]; readonly name: string; readonly onSaved: (name: string) => void; readonly onClose: () => void }) {
  const [name, setName] = useState(plans.some((p) => p.name === last && p.builtIn) ? "" : last);
  const [description, setDescription] = useState("");
  const [failure, setFailure] = useState<string | null>(null);
  const problem = name === "" ? null : nameProblem(name);
  const replaces = plans.some((p) => p.name === name.trim() && !p.builtIn);
  const save = async (): Promise<void> => {
    const answer = await client.call("plans.save", { plan: { name: name.trim(), description: description.trim(), steps: [...steps] } });
    if (answer.ok) onSaved(answer.value.name);
    else setFailure(answer.error.message);
  };
  // Outside of the start screen's form: a form in a form would start the session.
  return createPortal(
    <Dialog title="Save the plan" onClose={onClose} testid="save-dialog">
      <form
        className="save-form"
        onSubmit={(event) => {
          event.preventDefault();
          event.stopPropagation();
          if (name !== "" && problem === null) void save();
        }}
      >
        <TextField label="Name" value={name} problem={problem} testid="plan-name" hint="Letters, digits, spaces, - and _" onChange={setName} />
        <TextField label="What it is for" value={description} testid="plan-description" onChange={setDescription} />
        {replaces ? <p className="caution">▲ It takes the place of the saved plan of that name.</p> : null}
        {failure === null ? null : <p className="status fault" role="alert">■ {failure}</p>}
        <div className="dialog-buttons">
          <button type="button" onClick={onClose}>Leave it <Key>Esc</Key></button>
          <button type="submit" className="primary" data-testid="plan-save" disabled={name === "" || problem !== null}>Save it <Key>Enter</Key></button>
        </div>
      </form>
    </Dialog>,
    document.body,
  );
}
