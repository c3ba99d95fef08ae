// The form of a rig: where spikes come from, what stands beside them, what the juice line gives, which units are targets. Knows nothing about profiles.
import { useState } from "react";
import { ActButton, Panel } from "../operator/parts.tsx";
import { ChoiceField, NumberField, OptionFields, SwitchField, TextField } from "../operator/start/fields.tsx";
import { fitRewardFlow, rewardMl } from "../../shared/rewardFlow.ts";
import { chooseEye, chooseReward, chooseSync, mergesFromText, mergesToText, ownDevice, sameList, unitsFromText, withDeviceOption, withWeighing } from "./rigView.ts";
import { weighingsMax } from "../../shared/contract/index.ts";
import type { AppDescription, RewardWeighing, RigConfig, RigState, SessionConfig } from "../../shared/contract/index.ts";

interface FormsProps {
  readonly app: AppDescription | null;
  readonly rig: RigConfig;
  readonly trial: SessionConfig["trial"];
  readonly state: RigState | null;
  readonly onChange: (rig: RigConfig) => void;
  readonly onGive: (pulseMs: number, pulses: number) => void;
}

export function DeviceForms(props: FormsProps) {
  const { app, rig, onChange } = props;
  const spikes = app?.rigs.find((r) => r.kind === rig.kind);
  const own = rig.kind === "synthetic" || rig.simulator != null ? "the rig's own" : "none";
  const choices = (kinds: AppDescription["eyes"]): { value: string; label: string }[] => [{ value: ownDevice, label: own }, ...kinds.map((k) => ({ value: k.kind, label: k.title }))];
  const eye = app?.eyes.find((k) => k.kind === rig.eye?.kind);
  const reward = app?.rewards.find((k) => k.kind === rig.reward?.kind);
  const sync = app?.syncs.find((k) => k.kind === rig.sync?.kind);
  return (
    <div className="rig-forms">
      <Panel name="rig-spikes" title="Spikes">
        <Note text={spikes?.description} />
        <div className="fields"><ChoiceField label="Recording system" value={rig.kind} testid="rig-kind" choices={(app?.rigs ?? []).map((r) => ({ value: r.kind, label: r.title }))} onChange={(kind) => onChange({ ...rig, kind, options: {} })} /></div>
        {spikes === undefined || spikes.options.length === 0 ? null : <details><summary>Settings of {spikes.title}</summary><div className="fields"><OptionFields specs={spikes.options} values={rig.options} onChange={(name, value) => onChange(withOptionOfRig(rig, name, value))} /></div></details>}
        <ChannelFields rig={rig} onChange={onChange} />
      </Panel>
      <Panel name="rig-eye" title="Eye tracker">
        <Note text={eye?.description} />
        <div className="fields">
          <ChoiceField label="Tracker" value={rig.eye?.kind ?? ownDevice} testid="rig-eye-kind" choices={choices(app?.eyes ?? [])} onChange={(kind) => onChange(chooseEye(rig, kind))} />
          {rig.eye === null || rig.eye.kind === "none" ? null : <NumberField label="Blink padding" unit="ms" hint="Samples this close to a blink count as part of it; gaze comes later by so much" value={rig.eye.blinkPadMs} onChange={(v) => { if (rig.eye !== null) onChange({ ...rig, eye: { ...rig.eye, blinkPadMs: v ?? 0 } }); }} />}
          {rig.eye === null || eye === undefined ? null : <OptionFields specs={eye.options} values={rig.eye.options} onChange={(name, value) => { if (rig.eye !== null) onChange({ ...rig, eye: withDeviceOption(rig.eye, name, value) }); }} />}
        </div>
      </Panel>
      <Panel name="rig-reward" title="Reward">
        <Note text={reward?.description} />
        <div className="fields">
          <ChoiceField label="Juice line" value={rig.reward?.kind ?? ownDevice} testid="rig-reward-kind" choices={choices(app?.rewards ?? [])} onChange={(kind) => onChange(chooseReward(rig, kind))} />
          {rig.reward === null || reward === undefined ? null : <OptionFields specs={reward.options} values={rig.reward.options} onChange={(name, value) => { if (rig.reward !== null) onChange({ ...rig, reward: withDeviceOption(rig.reward, name, value) }); }} />}
          {rig.reward === null || rig.reward.kind === "none" ? null : <>
            <NumberField label="Limit of a session" unit="ml" nullWord="none" value={rig.reward.sessionMlMax} onChange={(v) => { if (rig.reward !== null) onChange({ ...rig, reward: { ...rig.reward, sessionMlMax: v } }); }} />
            <NumberField label="Limit of a day" unit="ml" nullWord="none" hint="Of one subject, over all sessions on this computer" value={rig.reward.dayMlMax} onChange={(v) => { if (rig.reward !== null) onChange({ ...rig, reward: { ...rig.reward, dayMlMax: v } }); }} />
          </>}
        </div>
        {rig.reward === null || rig.reward.kind === "none" ? null : <Weighings {...props} />}
      </Panel>
      <Panel name="rig-codes" title="Event codes">
        <Note text={sync?.description} />
        <div className="fields">
          <ChoiceField label="Way out" value={rig.sync?.kind ?? ownDevice} testid="rig-sync-kind" choices={[{ value: ownDevice, label: "none" }, ...(app?.syncs ?? []).filter((k) => k.kind !== "none").map((k) => ({ value: k.kind, label: k.title }))]} onChange={(kind) => onChange(chooseSync(rig, kind))} />
          {rig.sync === null || sync === undefined ? null : <OptionFields specs={sync.options} values={rig.sync.options} onChange={(name, value) => { if (rig.sync !== null) onChange({ ...rig, sync: withDeviceOption(rig.sync, name, value) }); }} />}
          {rig.sync === null ? null : <SwitchField label="An image needs its own word back" hint="The recording system sends the words as strobes; an image whose word is another's, or missing, is shown again" value={rig.sync.checkWords} onChange={(v) => { if (rig.sync !== null) onChange({ ...rig, sync: { ...rig.sync, checkWords: v } }); }} />}
        </div>
      </Panel>
    </div>
  );
}

/** What a device is, whole: cut short it would say little. */
function Note({ text }: { readonly text: string | undefined }) {
  return text === undefined ? null : <p className="quiet rig-note">{text}</p>;
}

function withOptionOfRig(rig: RigConfig, name: string, value: unknown): RigConfig {
  const rest = Object.fromEntries(Object.entries(rig.options).filter(([n]) => n !== name));
  return { ...rig, options: value === null ? rest : { ...rest, [name]: value } };
}

function ChannelFields({ rig, onChange }: Pick<FormsProps, "rig" | "onChange">) {
  const [typedUnits, setUnits] = useState("");
  const [typedMerges, setMerges] = useState("");
  // What is typed is shown as it is typed for as long as it says what the rig has; a rig that was loaded says it itself.
  const units = sameList(unitsFromText(typedUnits), rig.channels.units) ? typedUnits : rig.channels.units.join(" ");
  const merges = sameList(mergesFromText(typedMerges), rig.channels.merges) ? typedMerges : mergesToText(rig.channels.merges);
  return (
    <details open={rig.channels.units.length + rig.channels.merges.length > 0}>
      <summary>Units and merges as targets</summary>
      <div className="fields">
        <TextField label="Channels whose sorted units are targets" value={units} placeholder="none; * = all" testid="rig-units" hint="Names with spaces between them. Unit 2 of CH12 becomes the target CH12:2" onChange={(text) => { setUnits(text); onChange({ ...rig, channels: { ...rig.channels, units: unitsFromText(text) } }); }} />
      </div>
      <label className="field rig-merges"><span>Taken as one, one a line</span>
        <textarea rows={2} spellCheck={false} placeholder="pair = CH12 + CH13:1" value={merges} data-testid="rig-merges" onChange={(event) => { setMerges(event.target.value); onChange({ ...rig, channels: { ...rig.channels, merges: mergesFromText(event.target.value) } }); }} />
      </label>
    </details>
  );
}

/** Pulses are given and weighed; the line through the weighings is what the session counts by. */
function Weighings({ rig, trial, state, onChange, onGive }: FormsProps) {
  const { reward } = rig;
  const [problem, setProblem] = useState<string | null>(null);
  if (reward === null) return null;
  const set = (calibration: typeof reward.calibration): void => onChange({ ...rig, reward: { ...reward, calibration } });
  const flow = fitRewardFlow(reward.calibration);
  return (
    <details open={reward.calibration.length > 0}>
      <summary>Flow: {flow === null ? `${trial.rewardMlPerS} ml/s as the session says; nothing was weighed` : `${trial.rewardMs} ms give ${rewardMl(trial.rewardMs, flow, 0).toFixed(3)} ml${flow.misfit === null ? "" : `, weighings within ${(100 * flow.misfit).toFixed(0)} % of the line`}`}</summary>
      <table className="rig-weighings">
        <thead><tr><th>Pulse</th><th>Pulses</th><th>Weighed</th><th>A pulse</th><th /></tr></thead>
        <tbody>
          {reward.calibration.map((w, i) => (
            <tr key={`${i} of ${reward.calibration.length}`}>
              {weighingCells.map((cell) => <td key={cell.name}><NumberCell {...cell} value={w[cell.name]} onProblem={setProblem} onChange={(v) => set(withWeighing(reward.calibration, i, { [cell.name]: v }))} /></td>)}
              <td className="number">{(w.grams / w.pulses).toFixed(3)} ml</td>
              <td><ActButton disabled={state === null || problem !== null} onClick={() => onGive(w.pulseMs, w.pulses)}>Give them</ActButton><ActButton aria-label="Remove this weighing" onClick={() => { setProblem(null); set(reward.calibration.filter((_, k) => k !== i)); }}>×</ActButton></td>
            </tr>
          ))}
        </tbody>
      </table>
      {problem === null ? null : <p className="rig-wrong" role="alert">▲ {problem}</p>}
      <ActButton data-testid="rig-weigh" disabled={reward.calibration.length >= weighingsMax} title={reward.calibration.length >= weighingsMax ? `A rig keeps ${weighingsMax} weighings: remove an old one first` : undefined} onClick={() => set([...reward.calibration, { pulseMs: [50, 100, 200, 400][reward.calibration.length] ?? 100, pulses: 50, grams: 0 }])}>+ A weighing</ActButton>
      {state === null && reward.calibration.length > 0 ? <span className="quiet"> Pulses are given once this rig is open (O).</span> : null}
    </details>
  );
}

interface WeighingCell {
  readonly name: keyof RewardWeighing;
  readonly label: string;
  readonly unit: string;
  /** What the rig check can give, and a balance show. */
  readonly least: number;
  readonly most: number;
  readonly whole: boolean;
}

const weighingCells: readonly WeighingCell[] = [
  { name: "pulseMs", label: "Length of a pulse", unit: "ms", least: 1, most: 1000, whole: true },
  { name: "pulses", label: "Pulses", unit: "", least: 1, most: 200, whole: true },
  { name: "grams", label: "Weighed", unit: "g", least: 0, most: 10_000, whole: false },
];

/** Keeps what is typed; the rig gets it where it can be, and keeps what it had where it cannot. Left, the cell shows what the rig has. */
function NumberCell({ value, label, unit, least, most, whole, onProblem, onChange }: WeighingCell & { readonly value: number; readonly onProblem: (problem: string | null) => void; readonly onChange: (value: number) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const read = (text: string): void => {
    setTyped(text);
    const number = text.trim() === "" ? Number.NaN : Number(text.replace(",", "."));
    const isGood = number >= least && number <= most && (!whole || Number.isInteger(number));
    onProblem(isGood ? null : `${label}: expected a ${whole ? "whole " : ""}number from ${least} to ${most}${unit === "" ? "" : ` ${unit}`}, got "${text}". ${value} stays.`);
    if (isGood) onChange(number);
  };
  return (
    <span className="input">
      <input
        type="text" inputMode="decimal" autoComplete="off" value={typed ?? String(value)} aria-label={unit === "" ? label : `${label}, ${unit}`}
        onChange={(event) => read(event.target.value)}
        onBlur={() => { setTyped(null); onProblem(null); }}
      />
      {unit === "" ? null : <span className="unit">{unit}</span>}
    </span>
  );
}
