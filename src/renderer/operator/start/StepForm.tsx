// The form of one step: an evolution has an editor of its own, every other protocol a form made from its schema. Knows nothing about the plan around it.
import { More, type Change } from "./cards.tsx";
import { EvolutionForm, modelChoices } from "./EvolutionCard.tsx";
import { ChoiceField, NumberField, OptionFields, SwitchField, TextField } from "./fields.tsx";
import { withOption } from "./draft.ts";
import { fieldsOf, hintOf, isShown, valueOf, type StepField } from "./planForm.ts";
import type { AppDescription, PlanStep, ProtocolDescription, SessionConfig } from "../../../shared/contract/index.ts";

export interface StepFormProps {
  readonly app: AppDescription | null;
  readonly protocols: readonly ProtocolDescription[];
  readonly draft: SessionConfig;
  readonly step: PlanStep;
  /** Path of the step in the draft. */
  readonly base: readonly (string | number)[];
  /** By path below the step. */
  readonly problems: Readonly<Record<string, string>>;
  readonly change: Change;
}

export function StepForm(props: StepFormProps) {
  const { app, draft, step, base, problems, change } = props;
  const fields = fieldsOf(step.protocol).filter((f) => isShown(f, step));
  const main = fields.filter((f) => f.words.main === true);
  // A session of one plain evolution has no settings of the step beside those of the session.
  const rest = base[0] === "plan" ? fields.filter((f) => f.words.main !== true) : [];
  const draw = (field: StepField) => <SchemaField key={field.path.join(".")} field={field} app={app} step={step} problem={problems[field.path.join(".")]} onChange={(v) => change([...base, ...field.path], v)} />;
  return (
    <div className="step-form" data-testid="step-form" data-protocol={step.protocol}>
      {step.protocol === "evolution" ? <EvolutionForm app={app} draft={draft} base={base} evolution={step} change={change} problems={problems} /> : <div className="fields step-fields">{main.map(draw)}</div>}
      {step.protocol === "lab" ? <LabFields {...props} step={step} /> : null}
      {rest.length === 0 ? null : <More folded label="Name, timing and more of this step">{rest.map(draw)}</More>}
    </div>
  );
}

function SchemaField({ field, app, step, problem, onChange }: { readonly field: StepField; readonly app: AppDescription | null; readonly step: PlanStep; readonly problem: string | undefined; readonly onChange: (value: unknown) => void }) {
  const { words } = field;
  const value = valueOf(step, field.path);
  const common = { label: words.label, hint: hintOf(field), problem, testid: `step-${field.path.join("-")}` };
  switch (field.kind) {
    case "switch": return <SwitchField {...common} value={value === true} onChange={onChange} />;
    case "choice": return <ChoiceField {...common} value={String(value)} choices={field.choices.map((c) => ({ value: c, label: words.choices?.[c] ?? c }))} onChange={onChange} />;
    case "number":
      return (
        <NumberField
          {...common} value={typeof value === "number" ? value : null} {...(words.unit === undefined ? {} : { unit: words.unit })} {...(words.step === undefined ? {} : { step: words.step })}
          {...(field.nullable ? { nullWord: words.empty ?? "none" } : {})} onChange={onChange}
        />
      );
    case "numbers": return <TextField {...common} value={Array.isArray(value) ? value.join(", ") : ""} onChange={(text) => onChange(text.split(/[,;\s]+/).filter((part) => part !== "").map(Number))} />;
    case "many": {
      const chosen = Array.isArray(value) ? value : [];
      return <ChoiceField {...common} value={chosen.join("+")} choices={[field.choices.join("+"), ...field.choices].map((c) => ({ value: c, label: c.replace("+", " and ") }))} onChange={(v) => onChange(v.split("+"))} />;
    }
    case "text":
      if (words.model !== undefined) return <ChoiceField {...common} value={String(value ?? "")} choices={modelChoices(app, words.model)} onChange={onChange} />;
      return <TextField {...common} value={typeof value === "string" ? value : ""} {...(words.empty === undefined ? {} : { placeholder: words.empty })} onChange={(text) => onChange(field.nullable && text.trim() === "" ? null : text)} />;
  }
}

/** Settings that the lab's own module asks for. */
function LabFields({ protocols, step, base, change }: StepFormProps & { readonly step: Extract<PlanStep, { protocol: "lab" }> }) {
  const module = protocols.find((p) => p.protocol === "lab" && p.name === step.name);
  if (module?.problem != null) return <p className="hint caution">▲ {module.problem}</p>;
  if (module === undefined || module.options.length === 0) return null;
  const specs = module.options.map((o) => ({ ...o, choices: o.choices === undefined ? undefined : [...o.choices] }));
  return <div className="fields step-fields"><OptionFields described specs={specs} values={step.settings} onChange={(name, value) => change([...base, "settings"], withOption(step.settings, name, value))} /></div>;
}
