// The cards of the start screen beside the plan: rig, subject, subject's screen, trial. Knows nothing about how a session runs.
import { useEffect, useState } from "react";
import { useMedia } from "../hooks.ts";
import { Panel } from "../parts.tsx";
import { hasOneDisplay, listDisplays } from "../subjectScreen.ts";
import { setAt, withOption, type OptionValue } from "./draft.ts";
import { ChoiceField, NumberField, OptionFields, TextField } from "./fields.tsx";
import { TrialSketch } from "./TrialSketch.tsx";
import type { AppDescription, SessionConfig } from "../../../shared/contract/index.ts";
import type { DisplayInfo } from "../../../shared/contract/bridge.ts";

export type Change = (path: readonly (string | number)[], value: unknown) => void;

/** Enough room for every setting. */
export const roomyScreen = "(min-width: 1700px) and (min-height: 1000px)";

interface CardProps {
  readonly draft: SessionConfig;
  readonly change: Change;
  readonly problems: Readonly<Record<string, string>>;
}

/** Settings that few sessions change: folded where the screen is small, or always. */
export function More({ label, folded, children }: { readonly label: string; readonly folded?: boolean; readonly children: React.ReactNode }) {
  const roomy = useMedia(roomyScreen);
  return <details open={roomy && folded !== true}><summary>{label}</summary><div className="fields">{children}</div></details>;
}

export function RigCard({ app, draft, change }: { readonly app: AppDescription | null; readonly draft: SessionConfig; readonly change: Change }) {
  const chosen = app?.rigs.find((r) => r.kind === draft.rig.kind);
  const setOption = (name: string, value: OptionValue): void => change(["rig", "options"], withOption(draft.rig.options, name, value));
  return (
    <Panel name="rig-card" title="Rig">
      <div className="options-list" role="radiogroup" aria-label="Rig">
        {app?.rigs.map((r) => (
          <label key={r.kind} className={r.kind === draft.rig.kind ? "option on" : "option"} title={r.description}>
            <input type="radio" name="rig" value={r.kind} checked={r.kind === draft.rig.kind} data-testid={`rig-${r.kind}`} onChange={() => change(["rig"], { kind: r.kind, options: {} })} />
            <span><b>{r.title}</b><small>{r.description}</small></span>
          </label>
        ))}
      </div>
      {beside(app, draft.rig) === "" ? null : <p className="hint" data-testid="rig-beside">{beside(app, draft.rig)}</p>}
      {chosen === undefined || chosen.options.length === 0 ? null : <details><summary>Settings of this rig</summary><div className="fields"><OptionFields specs={chosen.options} values={draft.rig.options} onChange={setOption} /></div></details>}
    </Panel>
  );
}

/** "Room 2, with ISCAN, Reward board": what the rig screen has put together. */
function beside(app: AppDescription | null, rig: Partial<SessionConfig["rig"]>): string {
  const titleOf = (kinds: AppDescription["eyes"] | undefined, kind: string | undefined): string[] => (kind === undefined ? [] : [kinds?.find((k) => k.kind === kind)?.title ?? kind]);
  const devices = [...titleOf(app?.eyes, rig.eye?.kind), ...titleOf(app?.rewards, rig.reward?.kind), ...titleOf(app?.syncs, rig.sync?.kind)];
  return [rig.profile ?? "", devices.length === 0 ? "" : `with ${devices.join(", ")}`].filter((t) => t !== "").join(", ");
}

export function SubjectCard({ draft, change, problems }: CardProps) {
  const { subject } = draft;
  return (
    <Panel name="subject-card" title="Subject">
      <div className="fields thirds">
        <TextField label="Name" hint="Or a number: letters, digits, - or _" value={subject.id} problem={problems["subject.id"]} testid="subject-id" onChange={(v) => change(["subject", "id"], v)} />
        <ChoiceField label="Sex" value={subject.sex} choices={[{ value: "U", label: "unknown" }, { value: "F", label: "female" }, { value: "M", label: "male" }, { value: "O", label: "other" }]} onChange={(v) => change(["subject", "sex"], v)} />
        <TextField label="Age" value={subject.age} hint="ISO 8601 duration: P6Y is six years, P6Y3M six years and three months" problem={problems["subject.age"]} onChange={(v) => change(["subject", "age"], v)} />
      </div>
      <More folded label="Species, notes">
        <TextField label="Species" value={subject.species} onChange={(v) => change(["subject", "species"], v)} />
        <TextField label="Description" value={subject.description} onChange={(v) => change(["subject", "description"], v)} />
        <TextField label="Session notes" value={draft.notes} onChange={(v) => change(["notes"], v)} />
      </More>
      <details>
        <summary>For the archive: birth, weight, experimenters, lab</summary>
        <div className="fields">
          <TextField label="Date of birth" hint="Such as 2016-04-30; may stay empty where the age is given" value={subject.dateOfBirth ?? ""} problem={problems["subject.dateOfBirth"]} onChange={(v) => change(["subject", "dateOfBirth"], v === "" ? null : v)} />
          <NumberField label="Weight" unit="kg" value={subject.weightKg} nullWord="not given" problem={problems["subject.weightKg"]} onChange={(v) => change(["subject", "weightKg"], v)} />
          <TextField label="Experimenters" hint="Family name, Given name; several with a semicolon between them" value={draft.experimenters.join("; ")} problem={Object.entries(problems).find(([path]) => path.startsWith("experimenters"))?.[1]} onChange={(v) => change(["experimenters"], v === "" ? [] : v.split(";").map((name) => name.trimStart()))} />
          <TextField label="Lab" value={draft.lab} onChange={(v) => change(["lab"], v)} />
          <TextField label="Institution" value={draft.institution} onChange={(v) => change(["institution"], v)} />
        </div>
      </details>
    </Panel>
  );
}

export function DisplayCard(props: CardProps & { readonly onDefault: (how: (old: SessionConfig) => SessionConfig) => void }) {
  const { change, problems, onDefault } = props;
  const { display } = props.draft;
  const [displays, setDisplays] = useState<readonly DisplayInfo[]>([]);
  const [single, setSingle] = useState(false);
  useEffect(() => {
    let over = false;
    void Promise.all([listDisplays(), hasOneDisplay()]).then(([found, one]) => {
      if (over) return;
      setDisplays(found);
      setSingle(one);
      // A window behind the console gets no frames: with one display, the synthetic rig does without it.
      if (one) onDefault((old) => (old.rig.kind === "synthetic" ? setAt(old, ["display", "kind"], "timed") : old));
    });
    return () => { over = true; };
  }, [onDefault]);
  const set = (name: string) => (value: unknown): void => change(["display", name], value);
  return (
    <Panel name="display-card" title="Subject's screen">
      <div className="segments wide" role="radiogroup" aria-label="Subject's screen">
        <button type="button" role="radio" aria-checked={display.kind === "window"} data-testid="display-window" onClick={() => set("kind")("window")}>Window of its own</button>
        <button type="button" role="radio" aria-checked={display.kind === "timed"} data-testid="display-timed" onClick={() => set("kind")("timed")}>None, timed by the engine</button>
        <button type="button" role="radio" aria-checked={display.kind === "external"} data-testid="display-external" onClick={() => change(["display"], { ...display, kind: "external", external: display.external ?? externalDefaults })}>Another program</button>
      </div>
      <p className={display.kind === "timed" && props.draft.rig.kind !== "synthetic" ? "hint caution" : "hint"} data-testid="display-hint">{displayHint(display.kind, single, props.draft.rig.kind)}</p>
      {displays.length > 1 && display.kind === "window"
        ? <div className="fields"><ChoiceField label="Display" value={display.displayId ?? ""} choices={[{ value: "", label: "the second one" }, ...displays.map((d) => ({ value: d.id, label: `${d.label}, ${d.widthPx} × ${d.heightPx}${d.refreshHz > 0 ? `, ${d.refreshHz} Hz` : ""}` }))]} onChange={(v) => set("displayId")(v === "" ? null : v)} /></div>
        : null}
      {display.kind === "external" && display.external !== null
        ? <div className="fields">
            <TextField label="Agreed folder" value={display.external.folder} placeholder="/data/exchange" problem={problems["display.external.folder"]} testid="external-folder" onChange={(v) => change(["display", "external", "folder"], v)} />
            <NumberField label="Codes of images, first" value={display.external.firstCode} problem={problems["display.external.firstCode"]} onChange={(v) => change(["display", "external", "firstCode"], v)} />
            <NumberField label="Last" value={display.external.lastCode} problem={problems["display.external.lastCode"]} onChange={(v) => change(["display", "external", "lastCode"], v)} />
          </div>
        : null}
      <div className="fields">
        <NumberField label="Image size" unit="°" step={0.5} value={display.imageSizeDeg} problem={problems["display.imageSizeDeg"]} onChange={set("imageSizeDeg")} />
        <NumberField label="Screen width" unit="cm" value={display.widthCm} problem={problems["display.widthCm"]} onChange={set("widthCm")} />
        <NumberField label="Distance" unit="cm" value={display.distanceCm} problem={problems["display.distanceCm"]} onChange={set("distanceCm")} />
      </div>
      <More folded label="Place, background, photodiode">
        <NumberField label="Image centre, right" unit="°" step={0.5} value={display.centreXDeg} problem={problems["display.centreXDeg"]} onChange={set("centreXDeg")} />
        <NumberField label="Image centre, up" unit="°" step={0.5} value={display.centreYDeg} problem={problems["display.centreYDeg"]} onChange={set("centreYDeg")} />
        <NumberField label="Fixation spot" unit="°" step={0.05} value={display.fixationDeg} problem={problems["display.fixationDeg"]} onChange={set("fixationDeg")} />
        <NumberField label="Background" unit="0–255" value={display.backgroundGrey} problem={problems["display.backgroundGrey"]} onChange={set("backgroundGrey")} />
        <NumberField label="Photodiode patch" unit="px" value={display.photodiodePx} problem={problems["display.photodiodePx"]} onChange={set("photodiodePx")} />
        <ChoiceField label="The patch shows" value={display.photodiodeCode} choices={[{ value: "onset", label: "white with each image" }, { value: "frames", label: "a grey code of every frame" }]} onChange={set("photodiodeCode")} />
        <NumberField label="Flashes to measure the lag" value={display.calibrationFlashes} problem={problems["display.calibrationFlashes"]} onChange={set("calibrationFlashes")} />
      </More>
    </Panel>
  );
}

/** What externalTaskConfig gives a folder alone. */
const externalDefaults = { folder: "", firstCode: 64, lastCode: 255, offCode: 32, abortedCode: 33, blockDoneCode: 34, durationToleranceMs: 20, silentS: 60, onset: "code" } as const;

function displayHint(kind: SessionConfig["display"]["kind"], single: boolean, rig: string): string {
  if (kind === "external") return "Another program, such as NIMH MonkeyLogic, runs the subject: it shows each block's images from the folder and tells by event codes what it showed. Fixation and reward are its own.";
  if (kind === "timed") {
    if (rig !== "synthetic") return "▲ The subject sees nothing of this session: choose the window for a recording.";
    return single ? "One display found: the synthetic eye needs no screen, and the console mirrors what it sees." : "The synthetic eye needs no screen; the console mirrors what it sees.";
  }
  return single ? "One display found: keep the window uncovered, since a covered window gets no frames." : "Opens with Start. Put it on the subject's display and press F there for full screen.";
}

export function TrialCard({ draft, change, problems }: CardProps) {
  const { response } = draft;
  const number = (group: "trial" | "response", name: keyof SessionConfig["trial"] | keyof typeof response, label: string, unit: string, step = 10) => {
    const value = (draft[group] as Readonly<Record<string, unknown>>)[name];
    return <NumberField key={name} label={label} unit={unit} step={step} value={typeof value === "number" ? value : null} problem={problems[`${group}.${name}`]} testid={`${group}-${name}`} onChange={(v) => change([group, name], v)} />;
  };
  return (
    <Panel name="trial-card" title="Trial">
      <div className="fields trial-fields">
        {number("trial", "imagesPerTrial", "Images a trial", "", 1)}
        {number("trial", "onMs", "Image on", "ms")}
        {number("trial", "offMs", "Image off", "ms")}
        {number("trial", "fixationWindowDeg", "Fixation window", "°", 0.1)}
        {number("trial", "rewardMs", "Reward pulse", "ms")}
        {number("response", "windowStartMs", "Response from", "ms")}
        {number("response", "windowEndMs", "Response to", "ms")}
      </div>
      <TrialSketch trial={draft.trial} response={response} />
      <More label="Fixation, rewards, breaks, baseline, onset marks, seed">
        {number("trial", "holdMs", "Hold before", "ms")}
        {number("trial", "waitMsMax", "Wait for gaze", "ms", 100)}
        {number("trial", "graceMs", "Grace", "ms")}
        {number("trial", "blinkMsMax", "Blinks up to", "ms")}
        {number("trial", "interTrialMs", "Between trials", "ms")}
        {number("trial", "timeoutMs", "Time-out", "ms")}
        {number("trial", "rewardGrowMs", "Reward grows", "ms a trial")}
        {number("trial", "rewardMsMax", "Reward at most", "ms")}
        {number("trial", "breakAfterTrials", "Break after", "trials", 10)}
        {number("trial", "breakMs", "Break", "ms", 1000)}
        {number("trial", "rewardMlPerS", "Juice flow", "ml/s", 0.1)}
        {number("response", "baselineStartMs", "Baseline from", "ms")}
        {number("response", "baselineEndMs", "Baseline to", "ms")}
        <ChoiceField label="Onset from" value={response.onsetFrom} choices={[{ value: "auto", label: "marks, if any" }, { value: "mark", label: "marks only" }, { value: "flip", label: "the display" }]} onChange={(v) => change(["response", "onsetFrom"], v)} />
        <NumberField label="TTL line of marks" value={response.onsetTtlLine} nullWord="none" problem={problems["response.onsetTtlLine"]} onChange={(v) => change(["response", "onsetTtlLine"], v)} />
        <ChoiceField label="Response over a gap" value={response.onGap} choices={[{ value: "auto", label: "by the source" }, { value: "count", label: "counts" }, { value: "exclude", label: "does not count" }]} onChange={(v) => change(["response", "onGap"], v)} />
        <NumberField label="Seed" value={draft.seed} problem={problems["seed"]} testid="seed" hint="One seed decides everything that is random" onChange={(v) => change(["seed"], v)} />
      </More>
    </Panel>
  );
}
