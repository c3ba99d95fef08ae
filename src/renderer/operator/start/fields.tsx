// Form fields with their unit and their problem beside them. Knows nothing about sessions.
import { useEffect, useId, useState } from "react";
import { optionProblem, optionValue, type OptionValue } from "./draft.ts";
import type { OptionSpec } from "../../../shared/contract/index.ts";

interface Common {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly problem?: string | null | undefined;
  readonly testid?: string;
}

function Frame(props: Common & { readonly id: string; readonly unit?: string | undefined; readonly children: React.ReactNode }) {
  return (
    <div className={props.problem == null ? "field" : "field wrong"} title={props.hint}>
      <label htmlFor={props.id}>{props.label}</label>
      <div className="input">{props.children}{props.unit === undefined || props.unit === "" ? null : <span className="unit">{props.unit}</span>}</div>
      {props.problem == null ? null : <em role="alert">▲ {props.problem}</em>}
    </div>
  );
}

/** A number; an empty field is null where `nullWord` says what that means, and wrong otherwise. */
export function NumberField(props: Common & { readonly value: number | null; readonly unit?: string; readonly nullWord?: string; readonly step?: number; readonly onChange: (value: number | null) => void }) {
  const id = useId();
  const [text, setText] = useState(props.value === null ? "" : String(props.value));
  useEffect(() => {
    setText((held) => (parse(held) === props.value || (Number.isNaN(props.value) && held !== "") ? held : props.value === null || Number.isNaN(props.value) ? "" : String(props.value)));
  }, [props.value]);
  const parse = (raw: string): number | null => (raw.trim() === "" ? (props.nullWord === undefined ? Number.NaN : null) : Number(raw.replace(",", ".")));
  const set = (raw: string): void => {
    setText(raw);
    props.onChange(parse(raw));
  };
  return (
    <Frame {...props} id={id}>
      <input
        id={id} type="text" inputMode="decimal" autoComplete="off" value={text} placeholder={props.nullWord} data-testid={props.testid}
        onChange={(event) => set(event.target.value)}
        onKeyDown={(event) => {
          const by = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
          if (by === 0 || props.value === null || Number.isNaN(props.value)) return;
          event.preventDefault();
          set(String(Math.round((props.value + by * (props.step ?? 1)) * 1e6) / 1e6));
        }}
      />
    </Frame>
  );
}

export function TextField(props: Common & { readonly value: string; readonly placeholder?: string; readonly onChange: (value: string) => void }) {
  const id = useId();
  return (
    <Frame {...props} id={id}>
      <input id={id} type="text" autoComplete="off" spellCheck={false} value={props.value} placeholder={props.placeholder} data-testid={props.testid} onChange={(event) => props.onChange(event.target.value)} />
    </Frame>
  );
}

export function ChoiceField(props: Common & { readonly value: string; readonly choices: readonly { readonly value: string; readonly label: string; readonly disabled?: boolean }[]; readonly unit?: string; readonly onChange: (value: string) => void }) {
  const id = useId();
  const known = props.choices.some((c) => c.value === props.value);
  return (
    <Frame {...props} id={id}>
      <select id={id} value={props.value} data-testid={props.testid} onChange={(event) => props.onChange(event.target.value)}>
        {known ? null : <option value={props.value}>{props.value}</option>}
        {props.choices.map((c) => <option key={c.value} value={c.value} disabled={c.disabled === true}>{c.label}</option>)}
      </select>
    </Frame>
  );
}

export function SwitchField(props: Common & { readonly value: boolean; readonly onChange: (value: boolean) => void }) {
  const id = useId();
  return (
    <div className="field switch" title={props.hint}>
      <input id={id} type="checkbox" checked={props.value} data-testid={props.testid} onChange={(event) => props.onChange(event.target.checked)} />
      <label htmlFor={id}>{props.label}</label>
    </div>
  );
}

/** The form that a rig or an optimizer describes. */
export function OptionFields(props: { readonly specs: readonly OptionSpec[]; readonly values: Readonly<Record<string, unknown>>; readonly onChange: (name: string, value: OptionValue) => void }) {
  return props.specs.map((spec) => {
    const value = optionValue(spec, props.values);
    const common = { label: labelOf(spec), hint: spec.description, problem: optionProblem(spec, value) };
    if (spec.choices !== undefined) return <ChoiceField key={spec.name} {...common} unit={spec.unit} value={String(value)} choices={spec.choices.map((c) => ({ value: c, label: c }))} onChange={(v) => props.onChange(spec.name, v)} />;
    if (typeof spec.default === "boolean") return <SwitchField key={spec.name} {...common} value={value === true} onChange={(v) => props.onChange(spec.name, v)} />;
    if (typeof spec.default === "string") return <TextField key={spec.name} {...common} value={String(value ?? "")} onChange={(v) => props.onChange(spec.name, v)} />;
    return <NumberField key={spec.name} {...common} unit={spec.unit} value={typeof value === "number" ? value : null} {...(spec.default === null ? { nullWord: "automatic" } : {})} onChange={(v) => props.onChange(spec.name, v)} />;
  });
}

/** "noiseStdHz" -> "Noise std": the unit stands beside the field already. */
function labelOf(spec: OptionSpec): string {
  const words = spec.name.replace(/(Ms|Hz|Deg|Px|Cm|Ml|Pct|S)$/, "").replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
