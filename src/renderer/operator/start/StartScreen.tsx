// The start screen: what will run, on which rig, for whom; is everything ready; and what was recorded before. Enter starts it.
// Knows nothing about how a session runs.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Footer, Wordmark } from "../Header.tsx";
import { setTheme, currentTheme } from "../draw/palette.ts";
import { KeysDialog } from "../dialogs.tsx";
import { ActButton, Key, LevelMark, Panel } from "../parts.tsx";
import { hasOneDisplay, listDisplays } from "../subjectScreen.ts";
import { bindings, type Action } from "../keys.ts";
import { useKeys } from "../useKeys.ts";
import { useUi } from "../store.ts";
import { defaultDraft, keepDraft, optionProblem, optionValue, problemsOf, restoreDraft, setAt, type OptionValue } from "./draft.ts";
import { ChoiceField, NumberField, OptionFields, TextField } from "./fields.tsx";
import { SessionsList } from "./SessionsList.tsx";
import { TrialSketch } from "./TrialSketch.tsx";
import { InsilicoLink } from "../../insilico/InsilicoScreen.tsx";
import { ModelsLink } from "../../models/ModelsScreen.tsx";
import type { RendererClient } from "../../client.ts";
import type { AppDescription, Check, SessionConfig, SessionSummary } from "../../../shared/contract/index.ts";
import type { DisplayInfo } from "../../../shared/contract/bridge.ts";
import type { Notice } from "../commands.ts";

export interface StartScreenProps {
  readonly client: RendererClient;
  readonly notice: Notice | null;
  readonly onStart: (config: SessionConfig) => Promise<string | null>;
  readonly onOpenScreen: () => void;
  readonly onReview: (session: SessionSummary) => void;
}

type Change = (path: readonly (string | number)[], value: unknown) => void;

export function StartScreen(props: StartScreenProps) {
  const app = useUi((s) => s.app);
  const link = useUi((s) => s.link);
  const form = useDraft();
  const { draft, change, problems } = form;
  const problemCount = Object.keys(problems).length + optionProblemsOf(app, draft);
  const checks = useChecks(props.client, draft, problemCount === 0 && link === "up");
  const list = useSessions(props.client);
  const [starting, setStarting] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [keysOpen, setKeysOpen] = useState(false);
  const mayOperate = app?.mayOperate ?? true;
  const canStart = mayOperate && link === "up" && app !== null && problemCount === 0 && !starting;

  const start = useCallback(() => {
    if (!canStart) return;
    setStarting(true);
    setFailure(null);
    void props.onStart(draft).then((problem) => {
      setStarting(false);
      setFailure(problem);
      if (problem === null) keepDraft(window.localStorage, draft);
    });
  }, [canStart, draft, props.onStart]);

  const run = useCallback((action: Action) => {
    if (action === "start") start();
    if (action === "openScreen") props.onOpenScreen();
    if (action === "theme") setTheme(currentTheme() === "red" ? "dark" : "red");
    if (action === "help") setKeysOpen(true);
  }, [props.onOpenScreen, start]);
  useKeys({ place: "start", dialogOpen: keysOpen, mayOperate, run, first: null });

  return (
    <div className="start" data-testid="start-screen">
      <header className="top">
        <Wordmark />
        <span className="quiet">{app === null ? "" : `Version ${app.version}. Models run on: ${app.provider}.`}</span>
        <span className="grow" />
        <InsilicoLink client={props.client} mayOperate={mayOperate} />
        <ModelsLink client={props.client} mayOperate={mayOperate} />
        {form.changed ? <ActButton onClick={form.reset}>Back to the defaults</ActButton> : null}
      </header>
      <main>
        <form
          className="plan" aria-label="New session"
          onSubmit={(event) => {
            event.preventDefault();
            start();
          }}
        >
          <div className="cards">
            <div className="card-column">
              <RigCard app={app} draft={draft} change={change} />
              <TrialCard draft={draft} change={change} problems={problems} />
            </div>
            <div className="card-column">
              <SubjectCard draft={draft} change={change} problems={problems} />
              <EvolutionCard app={app} draft={draft} change={change} problems={problems} />
              <DisplayCard draft={draft} change={change} problems={problems} onDefault={form.adapt} />
            </div>
          </div>
          <div className="launch">
            <Readiness link={link} problems={problemCount} checks={checks} failure={failure ?? (props.notice?.severity === "fault" ? props.notice.text : null)} />
            <button type="submit" className={checks?.some((c) => c.level === "fault") === true ? "go doubtful" : "go"} data-testid="start-button" disabled={!canStart}>{starting ? "Starting" : "Start"} <Key>Enter</Key></button>
          </div>
        </form>
        <SessionsList sessions={list.sessions} problem={list.problem} folder={app?.sessionFolder ?? ""} onOpen={props.onReview} />
      </main>
      <Footer>
        {bindings.filter((b) => b.places.includes("start") && b.footer !== undefined).map((b) => <ActButton key={b.action} onClick={() => run(b.action)}>{b.shown.map((k) => <Key key={k}>{k}</Key>)}{b.footer}</ActButton>)}
        <span className="grow" />
        <ActButton onClick={() => setKeysOpen(true)}><Key>?</Key>all keys</ActButton>
      </Footer>
      {keysOpen ? <KeysDialog place="start" onClose={() => setKeysOpen(false)} /> : null}
    </div>
  );
}

function useDraft(): { readonly draft: SessionConfig; readonly change: Change; readonly problems: Readonly<Record<string, string>>; readonly changed: boolean; readonly reset: () => void; readonly adapt: (draft: (old: SessionConfig) => SessionConfig) => void } {
  const [draft, setDraft] = useState<SessionConfig>(() => restoreDraft(window.localStorage));
  const [base, setBase] = useState<SessionConfig>(defaultDraft);
  const change = useCallback<Change>((path, value) => setDraft((old) => setAt(old, path, value)), []);
  const problems = useMemo(() => problemsOf(draft), [draft]);
  /** A default that depends on this machine: it is not a change of the user's. */
  const adapt = useCallback((how: (old: SessionConfig) => SessionConfig) => {
    setBase(how);
    setDraft((old) => (JSON.stringify(old) === JSON.stringify(defaultDraft) ? how(old) : old));
  }, []);
  return { draft, change, problems, changed: JSON.stringify(draft) !== JSON.stringify(base), reset: () => setDraft(base), adapt };
}

function optionProblemsOf(app: AppDescription | null, draft: SessionConfig): number {
  const rig = app?.rigs.find((r) => r.kind === draft.rig.kind)?.options ?? [];
  const thread = draft.evolution.threads[0];
  const optimizer = app?.optimizers.find((o) => o.name === thread?.optimizer)?.options ?? [];
  return rig.filter((s) => optionProblem(s, optionValue(s, draft.rig.options)) !== null).length + optimizer.filter((s) => optionProblem(s, optionValue(s, thread?.optimizerOptions ?? {})) !== null).length;
}

const checkAfterMs = 400;

/** The rig check of what the form says now; null while it is asked. */
function useChecks(client: RendererClient, draft: SessionConfig, ready: boolean): readonly Check[] | null {
  const [checks, setChecks] = useState<readonly Check[] | null>(null);
  const first = useRef(true);
  useEffect(() => {
    setChecks(null);
    if (!ready) return;
    let over = false;
    const timer = setTimeout(() => {
      first.current = false;
      void client.call("session.check", { config: draft }).then((answer) => {
        if (!over) setChecks(answer.ok ? answer.value : [{ id: "check", label: "Check", level: "fault", message: answer.error.message }]);
      });
    }, first.current ? 0 : checkAfterMs);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [client, draft, ready]);
  return checks;
}

function useSessions(client: RendererClient): { readonly sessions: readonly SessionSummary[] | null; readonly problem: string | null } {
  const [list, setList] = useState<{ readonly sessions: readonly SessionSummary[] | null; readonly problem: string | null }>({ sessions: null, problem: null });
  const link = useUi((s) => s.link);
  useEffect(() => {
    if (link !== "up") return;
    let over = false;
    void client.call("sessions.list", {}).then((answer) => {
      if (over) return;
      setList(answer.ok ? { sessions: answer.value.toSorted((a, b) => b.startedUtc.localeCompare(a.startedUtc)), problem: null } : { sessions: [], problem: answer.error.message });
    });
    return () => { over = true; };
  }, [client, link]);
  return list;
}

/** One green line, or the reasons. */
function Readiness(props: { readonly link: string; readonly problems: number; readonly checks: readonly Check[] | null; readonly failure: string | null }) {
  if (props.failure !== null) return <div className="ready"><p className="fault" role="alert" data-testid="start-failure"><LevelMark level="fault" /> {props.failure}</p></div>;
  if (props.link !== "up") return <div className="ready"><p className="fault" role="alert"><LevelMark level="fault" /> No link to the engine; trying again</p></div>;
  if (props.problems > 0) return <div className="ready"><p className="warn"><LevelMark level="warn" /> {props.problems === 1 ? "One value does" : `${props.problems} values do`} not fit; see the marked fields</p></div>;
  if (props.checks === null) return <div className="ready"><p className="quiet" data-testid="check" data-level="off"><LevelMark level="off" /> Checking the rig</p></div>;
  // That the subject's screen opens with Start is no warning: its card says so.
  const wrong = props.checks.filter((c) => c.level === "fault" || (c.level === "warn" && c.id !== "screen"));
  const worst = wrong.some((c) => c.level === "fault") ? "fault" : wrong.length > 0 ? "warn" : "ok";
  return (
    <div className="ready" data-testid="check" data-level={worst}>
      {wrong.length === 0
        ? <p className="ok"><LevelMark level="ok" /> Ready <span className="quiet">{props.checks.filter((c) => c.level === "ok").map((c) => c.label).join(", ")}</span></p>
        : wrong.map((c) => <p key={c.id} className={c.level}><LevelMark level={c.level} /> <b>{c.label}</b> {c.message}</p>)}
    </div>
  );
}

function More({ label, children }: { readonly label: string; readonly children: React.ReactNode }) {
  return <details><summary>{label}</summary><div className="fields">{children}</div></details>;
}

function RigCard({ app, draft, change }: { readonly app: AppDescription | null; readonly draft: SessionConfig; readonly change: Change }) {
  const chosen = app?.rigs.find((r) => r.kind === draft.rig.kind);
  const setOption = (name: string, value: OptionValue): void => change(["rig", "options"], { ...draft.rig.options, [name]: value });
  return (
    <Panel name="rig-card" title="Rig">
      <div className="options-list" role="radiogroup" aria-label="Rig">
        {app?.rigs.map((r) => (
          <label key={r.kind} className={r.kind === draft.rig.kind ? "option on" : "option"}>
            <input type="radio" name="rig" value={r.kind} checked={r.kind === draft.rig.kind} data-testid={`rig-${r.kind}`} onChange={() => change(["rig"], { kind: r.kind, options: {} })} />
            <span><b>{r.title}</b><small>{r.description}</small></span>
          </label>
        ))}
      </div>
      {chosen === undefined || chosen.options.length === 0 ? null : <details><summary>Settings of this rig</summary><div className="fields"><OptionFields specs={chosen.options} values={draft.rig.options} onChange={setOption} /></div></details>}
    </Panel>
  );
}

function EvolutionCard({ app, draft, change, problems }: { readonly app: AppDescription | null; readonly draft: SessionConfig; readonly change: Change; readonly problems: Readonly<Record<string, string>> }) {
  const thread = draft.evolution.threads[0] ?? defaultDraft.evolution.threads[0];
  const optimizer = app?.optimizers.find((o) => o.name === thread?.optimizer);
  const generators = app?.models.filter((m) => m.kind === "generator") ?? [];
  const encoders = app?.models.filter((m) => m.kind === "encoder") ?? [];
  const generator = generators.find((g) => g.id === thread?.generator);
  if (thread === undefined) return null;
  const at = (name: string): readonly (string | number)[] => ["evolution", "threads", 0, name];
  const choices = (models: typeof generators) => models.map((m) => ({ value: m.id, label: m.problem === null ? m.title : `${m.title} (cannot be used)`, disabled: m.problem !== null }));
  return (
    <Panel name="evolution-card" title="Evolution">
      <div className="fields halves">
        <NumberField label="Generations" value={draft.evolution.generations} problem={problems["evolution.generations"]} testid="generations" onChange={(v) => change(["evolution", "generations"], v)} />
        <NumberField label="Target channel" value={thread.target === "auto" ? null : thread.target} nullWord="automatic" hint="Automatic: the channel that the references drive best and most selectively. You can change it at any time during the session." problem={problems["evolution.threads.0.target"]} testid="target" onChange={(v) => change(at("target"), v ?? "auto")} />
        <ChoiceField label="Generator" value={thread.generator} choices={choices(generators)} hint={generator?.description} testid="generator" onChange={(v) => change(at("generator"), v)} />
        <ChoiceField label="Optimizer" value={thread.optimizer} choices={app?.optimizers.map((o) => ({ value: o.name, label: o.title })) ?? []} testid="optimizer" onChange={(v) => change(["evolution", "threads", 0], { ...thread, optimizer: v, optimizerOptions: {} })} />
      </div>
      <p className="hint">{optimizer?.whenToUse ?? ""}</p>
      <More label="References, population, model">
        <TextField label="Reference folder" value={draft.evolution.referenceFolder ?? ""} placeholder="built-in images" hint="A folder of PNG or JPEG files on the engine's computer" testid="reference-folder" onChange={(v) => change(["evolution", "referenceFolder"], v.trim() === "" ? null : v)} />
        <NumberField label="References shown" hint="In every generation" value={draft.evolution.referencesPerGeneration} problem={problems["evolution.referencesPerGeneration"]} onChange={(v) => change(["evolution", "referencesPerGeneration"], v)} />
        <NumberField label="Tuning repeats" value={draft.evolution.tuningRepeats} hint="Presentations of every reference before the first generation" problem={problems["evolution.tuningRepeats"]} onChange={(v) => change(["evolution", "tuningRepeats"], v)} />
        <NumberField label="Image repeats" value={draft.evolution.repeats} problem={problems["evolution.repeats"]} onChange={(v) => change(["evolution", "repeats"], v)} />
        <NumberField label="Population" value={thread.populationSize} nullWord="automatic" unit="images" problem={problems["evolution.threads.0.populationSize"]} onChange={(v) => change(at("populationSize"), v)} />
        <NumberField label="First step size" value={thread.initialStepSize} nullWord="of the model" step={0.1} problem={problems["evolution.threads.0.initialStepSize"]} onChange={(v) => change(at("initialStepSize"), v)} />
        <OptionFields specs={optimizer?.options ?? []} values={thread.optimizerOptions} onChange={(name, value) => change(at("optimizerOptions"), { ...thread.optimizerOptions, [name]: value })} />
        {encoders.length === 0 ? null : <ChoiceField label="Encoder" hint="What the synthetic neurons read out" value={draft.models.encoder} choices={choices(encoders)} onChange={(v) => change(["models", "encoder"], v)} />}
        <NumberField label="Seed" value={draft.seed} problem={problems["seed"]} testid="seed" hint="One seed decides everything that is random" onChange={(v) => change(["seed"], v)} />
      </More>
    </Panel>
  );
}

function SubjectCard({ draft, change, problems }: { readonly draft: SessionConfig; readonly change: Change; readonly problems: Readonly<Record<string, string>> }) {
  const { subject } = draft;
  return (
    <Panel name="subject-card" title="Subject">
      <div className="fields halves">
        <TextField label="Name or number" value={subject.id} problem={problems["subject.id"]} testid="subject-id" onChange={(v) => change(["subject", "id"], v)} />
        <ChoiceField label="Sex" value={subject.sex} choices={[{ value: "U", label: "unknown" }, { value: "F", label: "female" }, { value: "M", label: "male" }, { value: "O", label: "other" }]} onChange={(v) => change(["subject", "sex"], v)} />
      </div>
      <More label="Species, age, notes">
        <TextField label="Species" value={subject.species} onChange={(v) => change(["subject", "species"], v)} />
        <TextField label="Age" value={subject.age} hint="ISO 8601 duration: P6Y is six years, P6Y3M six years and three months" problem={problems["subject.age"]} onChange={(v) => change(["subject", "age"], v)} />
        <TextField label="Description" value={subject.description} onChange={(v) => change(["subject", "description"], v)} />
        <TextField label="Session notes" value={draft.notes} onChange={(v) => change(["notes"], v)} />
      </More>
    </Panel>
  );
}

function DisplayCard(props: { readonly draft: SessionConfig; readonly change: Change; readonly problems: Readonly<Record<string, string>>; readonly onDefault: (how: (old: SessionConfig) => SessionConfig) => void }) {
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
      </div>
      <p className={display.kind === "timed" && props.draft.rig.kind !== "synthetic" ? "hint caution" : "hint"} data-testid="display-hint">{displayHint(display.kind, single, props.draft.rig.kind)}</p>
      {displays.length > 1 && display.kind === "window"
        ? <div className="fields"><ChoiceField label="Display" value={display.displayId ?? ""} choices={[{ value: "", label: "the second one" }, ...displays.map((d) => ({ value: d.id, label: `${d.label}, ${d.widthPx} × ${d.heightPx}${d.refreshHz > 0 ? `, ${d.refreshHz} Hz` : ""}` }))]} onChange={(v) => set("displayId")(v === "" ? null : v)} /></div>
        : null}
      <div className="fields">
        <NumberField label="Image size" unit="°" step={0.5} value={display.imageSizeDeg} problem={problems["display.imageSizeDeg"]} onChange={set("imageSizeDeg")} />
        <NumberField label="Screen width" unit="cm" value={display.widthCm} problem={problems["display.widthCm"]} onChange={set("widthCm")} />
        <NumberField label="Distance" unit="cm" value={display.distanceCm} problem={problems["display.distanceCm"]} onChange={set("distanceCm")} />
      </div>
      <More label="Place, background, photodiode">
        <NumberField label="Image centre, right" unit="°" step={0.5} value={display.centreXDeg} problem={problems["display.centreXDeg"]} onChange={set("centreXDeg")} />
        <NumberField label="Image centre, up" unit="°" step={0.5} value={display.centreYDeg} problem={problems["display.centreYDeg"]} onChange={set("centreYDeg")} />
        <NumberField label="Fixation spot" unit="°" step={0.05} value={display.fixationDeg} problem={problems["display.fixationDeg"]} onChange={set("fixationDeg")} />
        <NumberField label="Background" unit="0–255" value={display.backgroundGrey} problem={problems["display.backgroundGrey"]} onChange={set("backgroundGrey")} />
        <NumberField label="Photodiode patch" unit="px" value={display.photodiodePx} problem={problems["display.photodiodePx"]} onChange={set("photodiodePx")} />
      </More>
    </Panel>
  );
}

function displayHint(kind: "window" | "timed", single: boolean, rig: string): string {
  if (kind === "timed") {
    if (rig !== "synthetic") return "▲ The subject sees nothing of this session: choose the window for a recording.";
    return single ? "One display found: the synthetic eye needs no screen, and the console mirrors what it sees." : "The synthetic eye needs no screen; the console mirrors what it sees.";
  }
  return single ? "One display found: keep the window uncovered, since a covered window gets no frames." : "Opens with Start. Put it on the subject's display and press F there for full screen.";
}

function TrialCard({ draft, change, problems }: { readonly draft: SessionConfig; readonly change: Change; readonly problems: Readonly<Record<string, string>> }) {
  const { response } = draft;
  const number = (group: "trial" | "response", name: keyof SessionConfig["trial"] | keyof typeof response, label: string, unit: string, step = 10) => {
    const value = (draft[group] as Readonly<Record<string, unknown>>)[name];
    return <NumberField key={name} label={label} unit={unit} step={step} value={typeof value === "number" ? value : null} problem={problems[`${group}.${name}`]} testid={`${group}-${name}`} onChange={(v) => change([group, name], v)} />;
  };
  return (
    <Panel name="trial-card" title="Trial">
      <div className="fields quarters">
        {number("trial", "imagesPerTrial", "Images a trial", "", 1)}
        {number("trial", "onMs", "Image on", "ms")}
        {number("trial", "offMs", "Image off", "ms")}
        {number("trial", "fixationWindowDeg", "Fixation window", "°", 0.1)}
        {number("trial", "rewardMs", "Reward pulse", "ms")}
        {number("response", "windowStartMs", "Response from", "ms")}
        {number("response", "windowEndMs", "Response to", "ms")}
      </div>
      <TrialSketch trial={draft.trial} response={response} />
      <More label="Fixation, pauses, baseline, onset marks">
        {number("trial", "holdMs", "Hold before", "ms")}
        {number("trial", "waitMsMax", "Wait for gaze", "ms", 100)}
        {number("trial", "graceMs", "Grace", "ms")}
        {number("trial", "interTrialMs", "Between trials", "ms")}
        {number("trial", "timeoutMs", "Time-out", "ms")}
        {number("trial", "rewardMlPerS", "Juice flow", "ml/s", 0.1)}
        {number("response", "baselineStartMs", "Baseline from", "ms")}
        {number("response", "baselineEndMs", "Baseline to", "ms")}
        <ChoiceField label="Onset from" value={response.onsetFrom} choices={[{ value: "auto", label: "marks where they come" }, { value: "mark", label: "marks only" }, { value: "flip", label: "the display" }]} onChange={(v) => change(["response", "onsetFrom"], v)} />
        <NumberField label="TTL line of marks" value={response.onsetTtlLine} nullWord="none" problem={problems["response.onsetTtlLine"]} onChange={(v) => change(["response", "onsetTtlLine"], v)} />
        <ChoiceField label="Response over a gap" value={response.onGap} choices={[{ value: "auto", label: "by the source" }, { value: "count", label: "counts" }, { value: "exclude", label: "does not count" }]} onChange={(v) => change(["response", "onGap"], v)} />
      </More>
    </Panel>
  );
}
