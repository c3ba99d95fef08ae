// Form fields with their unit and their problem beside them. Knows nothing about sessions.
import { useEffect, useId, useState } from "react";
import { optionProblem, optionValue, type OptionValue } from "./draft.ts";
import type { OptionSpec } from "../../../shared/contract/index.ts";

interface Common {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly problem?: string | null | undefined;
  readonly testid?: string;
  /** Stands below the field; a hint only comes up under the pointer. */
  readonly note?: string | undefined;
}

function Frame(props: Common & { readonly id: string; readonly unit?: string | undefined; readonly children: React.ReactNode }) {
  return (
    <div className={props.problem == null ? "field" : "field wrong"} title={props.hint}>
      <label htmlFor={props.id}>{props.label}</label>
      <div className="input">{props.children}{props.unit === undefined || props.unit === "" ? null : <span className="unit">{props.unit}</span>}</div>
      {props.problem == null ? null : <em role="alert">▲ {props.problem}</em>}
      {props.note === undefined ? null : <small className="note">{props.note}</small>}
    </div>
  );
}

/** A number; an empty field is null where `nullWord` says what that means, and wrong otherwise. */
export function NumberField(props: Common & { readonly value: number | null; readonly unit?: string; readonly nullWord?: string; readonly step?: number; /** Where the arrow keys begin in an empty field. */ readonly emptyMeans?: number; readonly onChange: (value: number | null) => void }) {
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
          const from = props.value ?? props.emptyMeans;
          if (by === 0 || from === undefined || Number.isNaN(from)) return;
          event.preventDefault();
          set(String(Math.round((from + by * (props.step ?? 1)) * 1e6) / 1e6));
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

/** The form that a rig or an optimizer describes. A field left empty keeps its default, which it shows; `described` also says below what each is. */
export function OptionFields(props: { readonly specs: readonly OptionSpec[]; readonly values: Readonly<Record<string, unknown>>; readonly described?: boolean; readonly onChange: (name: string, value: OptionValue) => void }) {
  return props.specs.map((spec) => {
    const value = optionValue(spec, props.values);
    const words = wordsOf(spec);
    const long = spec.unit.length > unitMax;
    const common = { label: long ? `${labelOf(spec)}, ${spec.unit}` : labelOf(spec), problem: optionProblem(spec, value), testid: `option-${spec.name}`, ...(props.described === true ? { note: words } : { hint: words }) };
    const unit = long ? "" : spec.unit;
    if (spec.choices !== undefined) return <ChoiceField key={spec.name} {...common} unit={unit} value={String(value)} choices={spec.choices.map((c) => ({ value: c, label: c === spec.default ? `${c} (default)` : c }))} onChange={(v) => props.onChange(spec.name, v === spec.default ? null : v)} />;
    if (typeof spec.default === "boolean") return <SwitchField key={spec.name} {...common} value={value === true} onChange={(v) => props.onChange(spec.name, v === spec.default ? null : v)} />;
    if (typeof spec.default === "string") return <TextField key={spec.name} {...common} value={String(value ?? "")} onChange={(v) => props.onChange(spec.name, v === spec.default ? null : v)} />;
    const set = props.values[spec.name];
    return (
      <NumberField
        key={spec.name} {...common} unit={unit} value={typeof set === "number" ? set : null} nullWord={spec.default === null ? "automatic" : String(spec.default)}
        step={typeof spec.default === "number" && spec.default <= 2 ? 0.05 : 1} {...(typeof spec.default === "number" ? { emptyMeans: spec.default } : {})}
        onChange={(v) => props.onChange(spec.name, v)}
      />
    );
  });
}

/** Longer units stand in the label. */
const unitMax = 12;

/** What an option is, what it may be and what it is left alone. */
function wordsOf(spec: OptionSpec): string {
  const bounds = [...(spec.min === undefined || Math.abs(spec.min) < 1e-6 && spec.min !== 0 ? [] : [`from ${spec.min}`]), ...(spec.max === undefined || spec.max >= 1e6 ? [] : [`to ${spec.max.toLocaleString("en-US")}`])].join(" ");
  const rule = spec.defaultRule === undefined || spec.defaultRule === String(spec.default) ? "" : `Default: ${spec.defaultRule}.`;
  return [spec.description, bounds === "" ? "" : `${bounds.charAt(0).toUpperCase()}${bounds.slice(1)}.`, rule].filter((w) => w !== "").join(" ");
}

/** "noiseStdHz" -> "Noise std": the unit stands beside the field already. */
function labelOf(spec: OptionSpec): string {
  const words = spec.name.replace(/(Ms|Hz|Deg|Px|Cm|Ml|Pct|S)$/, "").replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
