// The start screen: what will run, on which rig, for whom; is everything ready; and what was recorded before. Enter starts it.
// Knows nothing about how a session runs.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Footer, Wordmark } from "../Header.tsx";
import { setTheme, currentTheme } from "../draw/palette.ts";
import { KeysDialog } from "../dialogs.tsx";
import { ActButton, Key, LevelMark } from "../parts.tsx";
import { bindings, type Action } from "../keys.ts";
import { useKeys } from "../useKeys.ts";
import { useUi } from "../store.ts";
import { defaultDraft, keepDraft, optionProblem, optionValue, problemsOf, restoreDraft, setAt } from "./draft.ts";
import { DisplayCard, RigCard, SubjectCard, TrialCard, type Change } from "./cards.tsx";
import { PlanCard, runPlanKey, usePlanEditor } from "./PlanCard.tsx";
import { draftSteps } from "./planDraft.ts";
import { SessionsList } from "../sessions/SessionsList.tsx";
import { useSessions } from "../sessions/useSessions.ts";
import { DisplayTestLink } from "../../display/DisplayTestScreen.tsx";
import { InsilicoLink } from "../../insilico/InsilicoScreen.tsx";
import { DiverseSetLink } from "../../diverseSet/DiverseSetScreen.tsx";
import { ModelsLink } from "../../models/ModelsScreen.tsx";
import { RigLink } from "../../rig/RigScreen.tsx";
import type { RendererClient } from "../../client.ts";
import { rigNameOf } from "../../../shared/contract/index.ts";
import type { AppDescription, Check, OptionSpec, SessionConfig, SessionSummary } from "../../../shared/contract/index.ts";
import type { Notice } from "../commands.ts";

export interface StartScreenProps {
  readonly client: RendererClient;
  readonly notice: Notice | null;
  readonly onStart: (config: SessionConfig) => Promise<string | null>;
  readonly onOpenScreen: () => void;
  readonly onReview: (session: SessionSummary) => void;
  readonly onBrowse: () => void;
}

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
  const [adding, setAdding] = useState(false);
  const editor = usePlanEditor(draft, form.setDraft);
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
    if (runPlanKey(action, editor, () => setAdding(true))) return;
    if (action === "start") start();
    if (action === "openScreen") props.onOpenScreen();
    if (action === "browse") props.onBrowse();
    if (action === "theme") setTheme(currentTheme() === "red" ? "dark" : "red");
    if (action === "help") setKeysOpen(true);
  }, [editor, props.onBrowse, props.onOpenScreen, start]);
  useKeys({ place: "start", dialogOpen: keysOpen, mayOperate, run, first: null });

  return (
    <div className="start" data-testid="start-screen">
      <header className="top">
        <Wordmark />
        <span className="quiet">{app === null ? "" : `Version ${app.version}. Models run on: ${app.provider}.`}</span>
        <span className="grow" />
        <DisplayTestLink client={props.client} mayOperate={mayOperate} trial={draft.trial} rig={rigNameOf(draft.rig)} onOpenScreen={props.onOpenScreen} />
        <RigLink client={props.client} app={app} draft={draft} change={change} mayOperate={mayOperate} onOpenScreen={props.onOpenScreen} />
        <InsilicoLink client={props.client} mayOperate={mayOperate} />
        <DiverseSetLink client={props.client} mayOperate={mayOperate} />
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
              <SubjectCard draft={draft} change={change} problems={problems} />
              <DisplayCard draft={draft} change={change} problems={problems} onDefault={form.adapt} />
            </div>
            <div className="card-column">
              <PlanCard client={props.client} app={app} draft={draft} setDraft={form.setDraft} change={change} problems={problems} editor={editor} adding={adding} onAdding={setAdding} mayOperate={mayOperate} />
              <TrialCard draft={draft} change={change} problems={problems} />
            </div>
          </div>
          <div className="launch">
            <Readiness link={link} problems={problemCount} checks={checks} failure={failure ?? (props.notice?.severity === "fault" ? props.notice.text : null)} />
            <button type="submit" className={checks?.some((c) => c.level === "fault") === true ? "go doubtful" : "go"} data-testid="start-button" disabled={!canStart}>{starting ? "Starting" : "Start"} <Key>Enter</Key></button>
          </div>
        </form>
        <SessionsList sessions={list.sessions} problem={list.problem} folder={app?.sessionFolder ?? ""} onOpen={props.onReview} onBrowse={props.onBrowse} />
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

function useDraft(): { readonly draft: SessionConfig; readonly change: Change; readonly problems: Readonly<Record<string, string>>; readonly changed: boolean; readonly setDraft: (how: (old: SessionConfig) => SessionConfig) => void; readonly reset: () => void; readonly adapt: (draft: (old: SessionConfig) => SessionConfig) => void } {
  const [draft, setDraft] = useState<SessionConfig>(() => restoreDraft(window.localStorage));
  const [base, setBase] = useState<SessionConfig>(defaultDraft);
  const change = useCallback<Change>((path, value) => setDraft((old) => setAt(old, path, value)), []);
  const problems = useMemo(() => problemsOf(draft), [draft]);
  /** A default that depends on this machine: it is not a change of the user's. */
  const adapt = useCallback((how: (old: SessionConfig) => SessionConfig) => {
    setBase(how);
    setDraft((old) => (JSON.stringify(old) === JSON.stringify(defaultDraft) ? how(old) : old));
  }, []);
  return { draft, change, setDraft, problems, changed: JSON.stringify(draft) !== JSON.stringify(base), reset: () => setDraft(base), adapt };
}

function optionProblemsOf(app: AppDescription | null, draft: SessionConfig): number {
  const rig = app?.rigs.find((r) => r.kind === draft.rig.kind)?.options ?? [];
  const wrong = (specs: readonly OptionSpec[], values: Readonly<Record<string, unknown>>): number => specs.filter((s) => optionProblem(s, optionValue(s, values)) !== null).length;
  const threads = draftSteps(draft).flatMap((step) => (step.protocol === "evolution" ? step.threads : []));
  return threads.reduce((sum, t) => sum + wrong(app?.optimizers.find((o) => o.name === t.optimizer)?.options ?? [], t.optimizerOptions), wrong(rig, draft.rig.options));
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

/** One green line, or the reasons. */
function Readiness(props: { readonly link: string; readonly problems: number; readonly checks: readonly Check[] | null; readonly failure: string | null }) {
  if (props.failure !== null) return <div className="ready"><p className="fault" role="alert" data-testid="start-failure"><LevelMark level="fault" /> {props.failure}</p></div>;
  if (props.link !== "up") return <div className="ready"><p className="fault" role="alert"><LevelMark level="fault" /> No link to the engine; trying again</p></div>;
  if (props.problems > 0) return <div className="ready"><p className="warn"><LevelMark level="warn" /> {props.problems === 1 ? "One value does" : `${props.problems} values do`} not fit; see the marked fields</p></div>;
  if (props.checks === null) return <div className="ready"><p className="quiet" data-testid="check" data-level="off"><LevelMark level="off" /> Checking the rig</p></div>;
  const wrong = props.checks.filter((c) => c.level === "fault" || c.level === "warn");
  const worst = wrong.some((c) => c.level === "fault") ? "fault" : wrong.length > 0 ? "warn" : "ok";
  return (
    <div className="ready" data-testid="check" data-level={worst}>
      {wrong.length === 0
        ? <p className="ok"><LevelMark level="ok" /> Ready <span className="quiet">{[...new Set(props.checks.filter((c) => c.level === "ok").map((c) => c.label))].join(", ")}</span></p>
        : wrong.map((c) => <p key={c.id} className={c.level}><LevelMark level={c.level} /> <b>{c.label}</b> {c.message}</p>)}
    </div>
  );
}
