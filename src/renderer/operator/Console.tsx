// The console: a running session, or a recorded one in review. Holds what is chosen and which dialog is open. Knows nothing about transport.
import { useCallback, useMemo, useState } from "react";
import { Footer, hasPlan, Header, StatusLine } from "./Header.tsx";
import { ReviewHeader, ReviewScreenPanel, SessionFacts } from "./Review.tsx";
import { AlarmsDialog, GenerationDialog, KeysDialog, LogDialog, NoteDialog, TargetDialog } from "./dialogs.tsx";
import { layoutMap, neighbour, quantities, type Quantity } from "./draw/channelMap.ts";
import { setTheme, currentTheme } from "./draw/palette.ts";
import { bindings, type Action, type Place } from "./keys.ts";
import { CurvePanel } from "./panels/CurvePanel.tsx";
import { GalleryPanel, useGallery, type GalleryRole } from "./panels/GalleryPanel.tsx";
import { GazePanel } from "./panels/GazePanel.tsx";
import { LogPanel } from "./panels/LogPanel.tsx";
import { MapPanel, type MapSize } from "./panels/MapPanel.tsx";
import { RasterPanel } from "./panels/RasterPanel.tsx";
import { ResultDialog, ResultPanel, reportsShown } from "./panels/ResultPanel.tsx";
import { RigPanel } from "./panels/RigPanel.tsx";
import { ScreenPanel } from "./panels/ScreenPanel.tsx";
import { TimingPanel } from "./panels/TimingPanel.tsx";
import { TrialsPanel } from "./panels/TrialsPanel.tsx";
import { ActButton, Confirm, Key, RewardContext } from "./parts.tsx";
import { NotesDialog } from "./replay/NotesDialog.tsx";
import { RepeatDialog, SkipDialog } from "./plan/dialogs.tsx";
import { ReportPanel, StepPanel } from "./plan/StepPanel.tsx";
import { ReportDialog } from "./plan/StepTables.tsx";
import { Transport } from "./replay/Transport.tsx";
import { WhatIfDialog } from "./replay/WhatIf.tsx";
import { InsilicoScreen } from "../insilico/InsilicoScreen.tsx";
import { useKeys } from "./useKeys.ts";
import { useStore, useUi } from "./store.ts";
import { currentStep, lookedReport, lookedStep, looksAtEvolution, phaseOf, stageOf, stepsOfPlan, stepThreads, targetOf, targetsOf, threadsOf, channelLabel, type UiState } from "./uiState.ts";
import type { RendererClient } from "../client.ts";
import type { Deeds, Notice } from "./commands.ts";
import type { Player } from "./replay/player.ts";
import type { CurvePoint } from "../../shared/contract/index.ts";

type Open = "stop" | "target" | "result" | "skip" | "repeat" | "reports" | "insilico" | "note" | "keys" | "alarms" | "log" | "generation" | "whatIf" | "laterNote" | null;

export interface ReviewOf {
  readonly file: string;
  readonly player: Player;
  readonly interrupted: boolean;
  readonly onClose: () => void;
  readonly onResume: () => void;
}

const noCurve: readonly CurvePoint[] = [];
const selectReported = (s: UiState): boolean => hasPlan(s) && lookedReport(s) !== null;
/** As text: the same while they are the same. */
const selectStepThreads = (s: UiState): string => stepThreads(s)?.join() ?? "";

export function Console(props: { readonly client: RendererClient; readonly deeds: Deeds; readonly notice: Notice | null; readonly onOpenScreen: () => void; readonly review: ReviewOf | null }) {
  const { client, deeds, review } = props;
  const store = useStore();
  const [open, setOpen] = useState<Open>(null);
  const thread = useUi((s) => s.thread);
  const setThread = useCallback((next: number) => store.dispatch({ type: "thread", thread: next }), [store]);
  const [role, setRole] = useState<GalleryRole>("best");
  const [chosen, setChosen] = useState<number | null>(null);
  const [quantity, setQuantity] = useState<Quantity>("evoked");
  const [cursor, setCursor] = useState<number | null>(null);
  const [mapSize] = useState<MapSize>(() => ({ widthPx: 440, heightPx: 330 }));
  const phase = useUi(phaseOf);
  const mayOperate = useUi((s) => s.app?.mayOperate ?? true);
  const curve = useUi((s) => s.snapshot?.curve ?? noCurve);
  const atGeneration = useUi((s) => s.atGeneration);
  const replaying = useUi((s) => s.replaying);
  const unlinked = useUi((s) => s.link === "down");
  const ended = phase === "finished" || phase === "failed";
  // A file holds every flip; its replay shows how the display kept time.
  const timed = review === null || replaying;
  const targets = useUi(targetsOf);
  const ofStep = useUi(selectStepThreads);
  const threads = useMemo(() => (ofStep === "" ? threadsOf(curve, targets) : ofStep.split(",").map(Number)), [curve, targets, ofStep]);
  const evolution = useUi(looksAtEvolution);
  // In a plan the step's own report says it; a session of one evolution has its result.
  const reported = useUi(selectReported);
  const results = useUi((s) => reportsShown(s).length > 0);
  const gallery = useGallery(thread, role);
  const generations = useMemo(() => (review === null ? gallery.map((i) => i.generation) : review.player.generations), [review, gallery]);
  const standing = review === null ? chosen : atGeneration;

  const choose = useCallback((generation: number | null) => {
    if (review === null) setChosen(generation);
    else if (generation !== null) review.player.standAt(generation);
  }, [review]);

  const step = useCallback((by: number): boolean => {
    const at = standing === null ? generations.length - 1 : generations.indexOf(standing);
    const next = Math.min(generations.length - 1, Math.max(0, at + by));
    const generation = generations[next];
    if (generation === undefined || next === at) return false;
    choose(review === null && by > 0 && next === generations.length - 1 ? null : generation);
    return true;
  }, [choose, generations, review, standing]);

  const setTarget = useCallback((of: number, channel: number) => {
    void deeds.setTarget(of, channel).then((done) => { if (done) setCursor(null); });
  }, [deeds]);

  const makeTarget = useCallback((channel: number) => {
    if (threads.length > 1) setOpen("target");
    else setTarget(0, channel);
  }, [setTarget, threads]);

  const lookBy = useCallback((by: number): void => {
    const steps = stepsOfPlan(store.get());
    const next = steps[steps.findIndex((s) => s.index === lookedStep(store.get())?.index) + by];
    if (next !== undefined) store.dispatch({ type: "look", step: next.index });
  }, [store]);

  const run = useCallback((action: Action) => {
    if (ended && bindings.some((b) => b.action === action && b.watcher !== true && action !== "newSession")) return;
    switch (action) {
      case "togglePause": return void deeds.togglePause();
      case "stop": return phase === "stopping" ? undefined : setOpen("stop");
      case "reward": return void deeds.reward();
      case "rewardShorter": return void deeds.changePulse(-10);
      case "rewardLonger": return void deeds.changePulse(10);
      case "recentre": return void deeds.recentre();
      case "skip": return phase === "running" || phase === "paused" ? setOpen("skip") : undefined;
      case "endBreak": return void deeds.endBreak();
      case "repeatStep": return currentStep(store.get()) === null ? undefined : setOpen("repeat");
      case "stepEarlier": return lookBy(-1);
      case "stepLater": return lookBy(1);
      case "stepNow": return store.dispatch({ type: "look", step: null });
      case "reports": return setOpen("reports");
      case "insilico": return setOpen("insilico");
      case "note": return setOpen("note");
      case "help": return setOpen("keys");
      case "alarms": return setOpen("alarms");
      case "log": return setOpen("log");
      case "theme": return setTheme(currentTheme() === "red" ? "dark" : "red");
      case "target": return setCursor((c) => (c === null ? (targetOf(store.get()) ?? 0) : null));
      case "quantity": return setQuantity((q) => quantities[(quantities.indexOf(q) + 1) % quantities.length] ?? "evoked");
      case "galleryRole": return setRole((r) => (r === "best" ? "newest" : "best"));
      case "thread": return setThread(threads[(threads.indexOf(thread) + 1) % Math.max(1, threads.length)] ?? 0);
      case "back": return review === null ? void step(-1) : review.player.stepGeneration(-1);
      case "forward": return review === null ? void step(1) : review.player.stepGeneration(1);
      case "first": return review === null ? choose(generations[0] ?? null) : review.player.toStart();
      case "last": return review === null ? choose(null) : review.player.toEnd();
      case "stepBack": return review?.player.step(-1);
      case "stepForward": return review?.player.step(1);
      case "beginBack": return review?.player.stepPlan(-1);
      case "beginForward": return review?.player.stepPlan(1);
      case "slower": return review?.player.changeSpeed(-1);
      case "faster": return review?.player.changeSpeed(1);
      case "verify": return review === null ? undefined : void deeds.verify([review.file]);
      case "whatIf": return setOpen("whatIf");
      case "laterNote": return setOpen("laterNote");
      case "openGeneration": return generations.length > 0 ? setOpen("generation") : undefined;
      case "openScreen": return props.onOpenScreen();
      case "newSession": return ended ? void deeds.dismiss() : undefined;
      case "play": return review?.player.toggle();
      case "close": return review?.onClose();
      case "resumeRecorded": return review?.interrupted === true ? review.onResume() : undefined;
      case "start": case "stepAdd": case "stepAfter": case "stepCopy": case "stepRemove": case "stepSooner": case "browse": case "search": case "open": case "mark": case "markAll": case "export": case "import": return undefined;
    }
  }, [choose, deeds, ended, generations, lookBy, phase, props.onOpenScreen, review, standing, setThread, step, store, thread, threads]);

  const place: Place = review === null ? "console" : "review";
  useKeys({ place, dialogOpen: open !== null, mayOperate, run, first: cursor === null || open !== null ? null : cursorKeys });

  function cursorKeys(key: string): boolean {
    const directions = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" } as const;
    const channels = store.get().snapshot?.channels ?? [];
    if (key in directions) {
      setCursor((c) => neighbour(layoutMap(channels, mapSize.widthPx, mapSize.heightPx), c ?? 0, directions[key as keyof typeof directions]));
      return true;
    }
    if (key === "Escape") {
      setCursor(null);
      return true;
    }
    if (key === "Enter" && cursor !== null) {
      if (mayOperate && review === null && !ended && (threads.length > 1 || cursor !== targetOf(store.get()))) makeTarget(cursor);
      else setCursor(null);
      return true;
    }
    return false;
  }

  const commands = useMemo(() => ({ run }), [run]);
  const acting = mayOperate && review === null && !ended ? commands : null;
  const close = (): void => setOpen(null);
  const reward = useMemo(() => (acting === null ? null : () => acting.run("reward")), [acting]);
  return (
    <RewardContext value={reward}>
    <div className={`console${review === null ? "" : " reviewing"}${unlinked ? " unlinked" : ""}`} data-testid="console">
      {review === null
        ? <><Header commands={commands} mayOperate={mayOperate} /><StatusLine notice={props.notice} onAlarms={() => setOpen("alarms")} downReason={() => client.downReason} /></>
        : <><ReviewHeader client={client} review={review} mayOperate={mayOperate} run={run} /><Transport player={review.player} notice={props.notice} run={run} /></>}
      <main>
        <div className="column left">
          {review === null || replaying ? <><ScreenPanel commands={acting} /><GazePanel acting={acting !== null} /></> : <><ReviewScreenPanel items={gallery} standing={standing} /><SessionFacts /></>}
          <TrialsPanel commands={acting} />
        </div>
        {evolution ? (
          <div className={results || reported ? "column middle with-result" : "column middle"}>
            {reported ? <ReportPanel onAll={() => setOpen("reports")} /> : <ResultPanel thread={thread} onThread={setThread} onAll={() => setOpen("result")} />}
            <CurvePanel threads={threads} thread={thread} marked={review === null ? chosen : null} onThread={setThread} />
            <GalleryPanel thread={thread} role={role} chosen={standing} onChoose={choose} onOpen={() => setOpen("generation")} onRole={setRole} />
            <div className="responses"><RasterPanel client={client} looked={cursor} />{timed ? <TimingPanel /> : null}</div>
          </div>
        ) : (
          <div className="column middle of-step">
            <StepPanel looked={cursor} onLook={setCursor} onReport={() => setOpen("reports")} />
            <div className="responses"><RasterPanel client={client} looked={cursor} />{timed ? <TimingPanel /> : null}</div>
          </div>
        )}
        <div className="column right">
          <MapPanel size={mapSize} quantity={quantity} cursor={cursor} mayOperate={acting !== null} onQuantity={setQuantity} onCursor={setCursor} onTarget={makeTarget} onResorted={() => void deeds.unitsResorted()} />
          <RigPanel />
          <LogPanel commands={acting} />
        </div>
      </main>
      <Footer>
        {bindings.filter((b) => b.places.includes(place) && b.footer !== undefined && (b.watcher === true || acting !== null || (review !== null && mayOperate))).map((b) => (
          <ActButton key={b.action} onClick={() => run(b.action)}>{b.shown.map((k) => <Key key={k}>{k}</Key>)}{b.footer}</ActButton>
        ))}
        <span className="grow" />
        <ActButton onClick={() => setOpen("keys")}><Key>?</Key>all keys</ActButton>
      </Footer>
      {open === "stop" ? <StopDialog onDo={() => { close(); void deeds.stop(); }} onClose={close} /> : null}
      {open === "target" && cursor !== null ? <TargetDialog channel={cursor} threads={threads} thread={thread} onPick={(of) => { close(); setThread(of); setTarget(of, cursor); }} onClose={close} /> : null}
      {open === "result" ? <ResultDialog onClose={close} /> : null}
      {open === "skip" ? <SkipDialog onBlock={() => { close(); void deeds.skipBlock(); }} onStep={() => { close(); void deeds.skipStep(); }} onClose={close} /> : null}
      {open === "repeat" ? <RepeatDialog onDo={(index) => { close(); void deeds.repeatStep(index); }} onClose={close} /> : null}
      {open === "insilico" ? <InsilicoScreen client={client} mayOperate={mayOperate} onClose={close} /> : null}
      {open === "reports" ? <ReportDialog onClose={close} /> : null}
      {open === "note" ? <NoteDialog onWrite={deeds.note} onClose={close} /> : null}
      {open === "keys" ? <KeysDialog place={place} onClose={close} /> : null}
      {open === "alarms" ? <AlarmsDialog onClose={close} /> : null}
      {open === "whatIf" && review !== null ? <WhatIfDialog client={client} file={review.file} onClose={close} /> : null}
      {open === "laterNote" && review !== null ? <NotesDialog client={client} file={review.file} mayWrite={mayOperate} onClose={close} /> : null}
      {open === "log" ? <LogDialog onClose={close} /> : null}
      {open === "generation" && generations.length > 0 ? <GenerationDialog client={client} thread={thread} generation={standing ?? generations.at(-1) ?? 0} generations={generations} onMove={choose} onClose={close} /> : null}
    </div>
    </RewardContext>
  );
}

function StopDialog({ onDo, onClose }: { readonly onDo: () => void; readonly onClose: () => void }) {
  const progress = useUi((s) => s.snapshot?.live?.progress ?? null);
  const stage = useUi(stageOf);
  const names = useUi((s) => targetsOf(s).map((t) => channelLabel(s.snapshot?.channels.find((c) => c.index === t), t)).join(", "));
  const now = {
    tuning: "The channels' tuning is being measured.", evolution: `Generation ${progress?.generation} of ${progress?.generations} for ${names} is in progress.`,
    confirming: "The results are being shown again, for the report at the end.", over: "All generations are done.",
  }[stage];
  return (
    <Confirm
      title="Stop this session?" doIt="Stop" leave="Go on" onDo={onDo} onClose={onClose}
      text={progress === null ? "Nothing has been shown yet." : <>{now} Everything recorded stays in the session file, and the session can be resumed from the start screen.</>}
    />
  );
}
