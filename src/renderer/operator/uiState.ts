// What the operator window shows, folded from one snapshot and the events after it. Pure.
// Knows nothing about links, React or layout. `atMs` is this window's own clock, for the age of what is shown.
import type { AppDescription, CurvePoint, EventName, EventPayload, GalleryItem, Live, LogEntry, Phase, PlanState, PresentationEvent, ScreenEvent, Snapshot, StepReport, StepState, StepView } from "../../shared/contract/index.ts";

/** Presentations kept for raster and PSTH. */
export const presentationsMax = 60;
/** Gaze samples kept for the trail: about 4 s at 60/s. */
export const gazeSamplesMax = 240;
export const logMax = 500;

export interface Gaze {
  readonly xDeg: readonly number[];
  readonly yDeg: readonly number[];
  readonly valid: boolean;
  readonly inWindow: boolean;
  readonly holdFraction: number | null;
}

/** When each stream last said something; null = never. */
export interface Ages {
  readonly live: number | null;
  readonly eye: number | null;
  readonly screen: number | null;
  readonly presentation: number | null;
  readonly generation: number | null;
  readonly view: number | null;
  readonly log: number | null;
  readonly report: number | null;
  readonly timing: number | null;
}

export type AgeOf = keyof Ages;

export interface UiState {
  readonly link: "connecting" | "up" | "down";
  readonly linkSinceMs: number;
  readonly app: AppDescription | null;
  /** null before the first snapshot. */
  readonly snapshot: Snapshot | null;
  /** Responses of the target, oldest first. */
  readonly presentations: readonly PresentationEvent[];
  readonly screen: ScreenEvent | null;
  readonly gaze: Gaze | null;
  readonly ages: Ages;
  /** A recorded session's file in review; null = the running session. */
  readonly file: string | null;
  /** Generation that a review stands at; null = the newest. */
  readonly atGeneration: number | null;
  /** Evolution that is looked at, where there are several. */
  readonly thread: number;
  /** The recorded session is replayed: panels show it as it went, not what is recorded of a generation. */
  readonly replaying: boolean;
  /** Step of the plan that is looked at; null = the one under way. */
  readonly step: number | null;
  /** Updates that this window did not get because it read too slowly. */
  readonly skipped: number;
}

const noAges: Ages = { live: null, eye: null, screen: null, presentation: null, generation: null, view: null, log: null, report: null, timing: null };

export const emptyState: UiState = {
  link: "connecting", linkSinceMs: 0, app: null, snapshot: null, presentations: [], screen: null, gaze: null, ages: noAges, file: null, atGeneration: null, thread: 0, replaying: false, step: null, skipped: 0,
};

/** Events that the console is made of. */
type ConsoleEvent = Extract<EventName, "session" | "live" | "eye" | "screen" | "presentation" | "generation" | "log" | "stepView" | "stepReport" | "frameTiming" | "linkSlow">;

export type UiEvent = { readonly [E in ConsoleEvent]: { readonly event: E; readonly payload: EventPayload<E> } }[ConsoleEvent];

export type UiAction =
  | { readonly type: "link"; readonly up: boolean; readonly atMs: number }
  | { readonly type: "app"; readonly app: AppDescription }
  | { readonly type: "snapshot"; readonly snapshot: Snapshot; readonly atMs: number }
  | { readonly type: "responses"; readonly channel: number; readonly presentations: readonly PresentationEvent[] }
  | { readonly type: "review"; readonly file: string; readonly snapshot: Snapshot }
  | { readonly type: "scrub"; readonly generation: number | null }
  | { readonly type: "thread"; readonly thread: number }
  | { readonly type: "look"; readonly step: number | null }
  /** Where a replay stands after a jump. */
  | { readonly type: "replay"; readonly snapshot: Snapshot; readonly presentations: readonly PresentationEvent[]; readonly atMs: number }
  | ({ readonly type: "event"; readonly atMs: number } & UiEvent);

export function foldState(state: UiState, action: UiAction): UiState {
  switch (action.type) {
    case "link":
      return { ...state, link: action.up ? "up" : "down", linkSinceMs: action.atMs };
    case "app":
      return { ...state, app: action.app };
    case "snapshot":
      return takeSnapshot(state, action.snapshot, action.atMs);
    case "responses":
      return targetOf(state) === action.channel ? { ...state, presentations: joinPresentations(state, action.presentations) } : state;
    case "review":
      return { ...emptyState, ...(state.file === action.file ? { link: state.link, linkSinceMs: state.linkSinceMs, thread: state.thread, step: state.step } : { link: "up" }), app: state.app, file: action.file, snapshot: { ...action.snapshot, phase: "review" } };
    case "scrub":
      return { ...state, atGeneration: action.generation };
    case "thread":
      return action.thread === state.thread ? state : { ...state, thread: action.thread, presentations: [] };
    case "look":
      return lookAt(state, action.step);
    case "replay":
      return {
        ...takeSnapshot({ ...state, snapshot: null }, { ...action.snapshot, phase: "review" }, action.atMs),
        presentations: action.presentations.slice(-presentationsMax), thread: state.thread, step: state.step, atGeneration: null, replaying: true,
      };
    case "event":
      return foldEvent(state, action, action.atMs);
  }
}

function takeSnapshot(state: UiState, snapshot: Snapshot, atMs: number): UiState {
  const same = state.snapshot?.session?.id === snapshot.session?.id;
  const kept = same ? state : { ...state, presentations: [], screen: null, gaze: null, thread: 0, step: null, skipped: 0, ages: noAges };
  const live = snapshot.live === null ? kept.ages.live : atMs;
  const generation = snapshot.curve.length === 0 ? null : (kept.ages.generation ?? atMs);
  return { ...kept, snapshot: { ...snapshot, log: snapshot.log.slice(-logMax) }, ages: { ...kept.ages, generation, ...agesOf(snapshot, atMs), live } };
}

/** What the engine says of the streams' ages: as old in a window that was opened this moment as in one that has been open all along. */
function agesOf({ agesMs }: Snapshot, atMs: number): Partial<Ages> {
  if (agesMs === null) return {};
  const at = (ageMs: number | null): number | null => (ageMs === null ? null : atMs - ageMs);
  const { eye, screen, presentation, generation, view, log, report, timing } = agesMs;
  return { eye: at(eye), screen: at(screen), presentation: at(presentation), generation: at(generation), view: at(view), log: at(log), report: at(report), timing: at(timing) };
}

function foldEvent(state: UiState, action: UiEvent, atMs: number): UiState {
  const { snapshot, ages } = state;
  if (snapshot === null) return state;
  switch (action.event) {
    case "session":
      return { ...state, snapshot: { ...snapshot, phase: action.payload.phase } };
    case "live": {
      const next = { ...state, snapshot: { ...snapshot, phase: action.payload.phase, live: keepSame(snapshot.live, action.payload) }, ages: { ...ages, live: atMs } };
      const moved = currentStep(next)?.index !== currentStep(state)?.index;
      const followed = moved ? followThread(next) : next;
      return !moved && targetOf(followed) === targetOf(state) ? followed : { ...followed, presentations: [] };
    }
    case "eye":
      return { ...state, gaze: addGaze(state.gaze, action.payload), ages: { ...ages, eye: atMs } };
    case "screen":
      return { ...state, screen: action.payload, ages: { ...ages, screen: atMs } };
    case "presentation":
      return { ...state, presentations: addPresentation(state, action.payload), ages: { ...ages, presentation: atMs } };
    case "generation":
      return { ...state, snapshot: { ...snapshot, curve: addPoint(snapshot.curve, action.payload.point), gallery: addImages(snapshot.gallery, action.payload.gallery) }, ages: { ...ages, generation: atMs } };
    case "log":
      return { ...state, snapshot: { ...snapshot, log: addEntry(snapshot.log, action.payload) }, ages: { ...ages, log: atMs } };
    case "stepView":
      return { ...state, snapshot: { ...snapshot, views: addOfStep(snapshot.views, action.payload) }, ages: { ...ages, view: atMs } };
    case "stepReport":
      return { ...state, snapshot: { ...snapshot, stepReports: addOfStep(snapshot.stepReports, action.payload) }, ages: { ...ages, report: atMs } };
    case "frameTiming":
      return { ...state, snapshot: { ...snapshot, timing: action.payload }, ages: { ...ages, timing: atMs } };
    case "linkSlow":
      return { ...state, skipped: state.skipped + action.payload.skipped };
  }
}

/** The same array of targets and the same plan while nothing in them changes: what depends on them alone is not drawn ten times a second. */
function keepSame(before: Live | null, now: Live): Live {
  if (before === null) return now;
  const sameTargets = before.targets.length === now.targets.length && before.targets.every((t, i) => t === now.targets[i]);
  return { ...now, ...(sameTargets ? { targets: before.targets } : {}), ...(JSON.stringify(before.plan) === JSON.stringify(now.plan) ? { plan: before.plan } : {}) };
}

function addOfStep<T extends { readonly step: number }>(list: readonly T[], fresh: T): T[] {
  return [...list.filter((item) => item.step !== fresh.step), fresh].toSorted((a, b) => a.step - b.step);
}

/** What is looked at, with an evolution of that step in front. The step under way is followed, not held. */
function lookAt(state: UiState, step: number | null): UiState {
  const current = currentStep(state)?.index ?? null;
  const next = followThread({ ...state, step: step === current ? null : step });
  return targetOf(next) === targetOf(state) ? next : { ...next, presentations: [] };
}

/** An evolution of the step that is looked at, where it has one. */
function followThread(state: UiState): UiState {
  const threads = stepThreads(state);
  return threads === null || threads.includes(state.thread) ? state : { ...state, thread: threads[0] ?? 0 };
}

function addGaze(before: Gaze | null, event: EventPayload<"eye">): Gaze {
  const keep = (old: readonly number[], fresh: readonly number[]): readonly number[] => [...old, ...fresh].slice(-gazeSamplesMax);
  return { xDeg: keep(before?.xDeg ?? [], event.xDeg), yDeg: keep(before?.yDeg ?? [], event.yDeg), valid: event.valid, inWindow: event.inWindow, holdFraction: event.holdFraction };
}

function addPresentation(state: UiState, event: PresentationEvent): readonly PresentationEvent[] {
  const target = targetOf(state);
  if ((target !== null && event.channel !== target) || !isOfThread(event, state.thread)) return state.presentations;
  return [...state.presentations.filter((p) => p.presentationId !== event.presentationId), event].slice(-presentationsMax);
}

/** Past responses together with what came while they were asked for. */
function joinPresentations(state: UiState, past: readonly PresentationEvent[]): readonly PresentationEvent[] {
  const held = new Set(state.presentations.map((p) => p.presentationId));
  const joined = [...past.filter((p) => !held.has(p.presentationId) && isOfThread(p, state.thread)), ...state.presentations];
  return joined.toSorted((a, b) => a.presentationId - b.presentationId).slice(-presentationsMax);
}

/** Its own images and the references: two evolutions may share a channel. */
function isOfThread(event: PresentationEvent, thread: number): boolean {
  return event.kind !== "evolved" || event.thread === null || event.thread === thread;
}

function addPoint(curve: readonly CurvePoint[], point: CurvePoint): CurvePoint[] {
  return [...curve.filter((p) => p.thread !== point.thread || p.generation !== point.generation), point].toSorted((a, b) => a.generation - b.generation || a.thread - b.thread);
}

function addImages(gallery: readonly GalleryItem[], fresh: readonly GalleryItem[]): GalleryItem[] {
  const replaced = new Set(fresh.map(placeOf));
  return [...gallery.filter((item) => !replaced.has(placeOf(item))), ...fresh].toSorted((a, b) => a.generation - b.generation || a.thread - b.thread);
}

function placeOf(item: GalleryItem): string {
  return `${item.thread}/${item.generation}/${item.role}`;
}

function addEntry(log: readonly LogEntry[], entry: LogEntry): LogEntry[] {
  return [...log.filter((e) => e.id !== entry.id), entry].slice(-logMax);
}

/** Channel of the evolution that is looked at, or the one that the step at hand compares or the plan has found; null before there is one. */
export function targetOf(state: UiState): number | null {
  if (looksAtEvolution(state)) return targetsOf(state)[state.thread] ?? null;
  const view = lookedView(state);
  const own = view === null ? null : "channel" in view ? view.channel : "suggestedTarget" in view ? view.suggestedTarget : null;
  return own ?? planOf(state)?.carried.target?.channel ?? targetsOf(state)[state.thread] ?? null;
}

const noTargets: readonly number[] = [];

/** The same list for the same channel: what depends on it is drawn when it changes. */
const single = new Map<number, readonly number[]>();

/** Channels that are evolved, by thread; before the plan's first evolution the one that a step suggested, if any. */
export function targetsOf(state: UiState): readonly number[] {
  const plan = planOf(state);
  const begun = plan === null || plan.steps.length === 0 || plan.steps.some((s) => s.protocol === "evolution" && s.state !== "waiting");
  if (begun) return state.snapshot?.live?.targets ?? noTargets;
  const suggested = plan.carried.target?.channel;
  if (suggested === undefined) return noTargets;
  const known = single.get(suggested) ?? [suggested];
  single.set(suggested, known);
  return known;
}

const noSteps: readonly StepState[] = [];
const noReports: readonly StepReport[] = [];

export function planOf(state: UiState): PlanState | null {
  return state.snapshot?.live?.plan ?? null;
}

export function stepsOfPlan(state: UiState): readonly StepState[] {
  return planOf(state)?.steps ?? noSteps;
}

/** The step under way; after the last one, the last. */
export function currentStep(state: UiState): StepState | null {
  const plan = planOf(state);
  if (plan === null) return null;
  return plan.steps.find((s) => s.index === plan.current) ?? plan.steps.findLast((s) => s.state !== "waiting") ?? plan.steps[0] ?? null;
}

/** The step that panels show. */
export function lookedStep(state: UiState): StepState | null {
  return stepsOfPlan(state).find((s) => s.index === state.step) ?? currentStep(state);
}

/** What the step that is looked at has so far; null before it began. */
export function lookedView(state: UiState): StepView | null {
  const step = lookedStep(state);
  return step === null ? null : (state.snapshot?.views.find((v) => v.step === step.index && v.protocol === step.protocol) ?? null);
}

export function reportsOfSteps(state: UiState): readonly StepReport[] {
  return state.snapshot?.stepReports ?? noReports;
}

export function lookedReport(state: UiState): StepReport | null {
  const step = lookedStep(state);
  return step === null ? null : (reportsOfSteps(state).find((r) => r.step === step.index) ?? null);
}

/** Whether the middle of the console shows an evolution: also where there is no plan to look at. */
export function looksAtEvolution(state: UiState): boolean {
  const step = lookedStep(state);
  return step === null || step.protocol === "evolution";
}

/** Evolutions of the step that is looked at; null where it says nothing of them. */
export function stepThreads(state: UiState): readonly number[] | null {
  const view = lookedView(state);
  return view?.protocol === "evolution" && view.threads.length > 0 ? view.threads.map((t) => t.thread) : null;
}

/** Share of a step that is settled, 0 to 1; 0 where its length is not known. */
export function shareOf(step: StepState): number {
  if (step.state === "done" || step.state === "skipped") return 1;
  return step.planned > 0 ? Math.min(1, step.settled / step.planned) : 0;
}

export type Stage = "tuning" | "evolution" | "confirming" | "over";

/** What the session is at: after the last generation its results are shown once more, as a block of their own. */
export function stageOf(state: UiState): Stage {
  const progress = state.snapshot?.live?.progress;
  if (progress === undefined) return "tuning";
  if (progress.generation < 0) return "tuning";
  if (progress.generation < progress.generations) return "evolution";
  const phase = phaseOf(state);
  return phase === "finished" || phase === "failed" || (phase === "review" && !state.replaying) ? "over" : "confirming";
}

/** While the channels' tuning is measured no target is chosen yet; generation -1 says so. */
export function isChoosing(state: UiState): boolean {
  return (state.snapshot?.live?.progress.generation ?? 0) < 0;
}

export function phaseOf(state: UiState): Phase {
  return state.snapshot?.phase ?? "idle";
}

/** One thread's curve, up to a generation where a review stands; null = all of it. */
export function curveUpTo(curve: readonly CurvePoint[], thread: number, generation: number | null): readonly CurvePoint[] {
  return curve.filter((p) => p.thread === thread && (generation === null || p.generation <= generation));
}

/** One image per generation, in order: of the role asked for, or the best where a generation has no other. */
export function galleryOf(gallery: readonly GalleryItem[], thread: number, role: GalleryItem["role"]): readonly GalleryItem[] {
  const byGeneration = new Map<number, GalleryItem>();
  for (const item of gallery) {
    if (item.thread !== thread || item.role === "reference") continue;
    const held = byGeneration.get(item.generation);
    if (held === undefined || item.role === role) byGeneration.set(item.generation, item);
  }
  return [...byGeneration.values()].toSorted((a, b) => a.generation - b.generation);
}

/** The evolutions of a session: those that have a target, and those with a point already. */
export function threadsOf(curve: readonly CurvePoint[], targets: readonly number[] = []): readonly number[] {
  return [...new Set([...targets.keys(), ...curve.map((p) => p.thread)])].toSorted((a, b) => a - b);
}

export function generationsOf(state: UiState): number {
  const last = state.snapshot?.curve.at(-1)?.generation ?? 0;
  return Math.max(state.snapshot?.live?.progress.generations ?? 0, last);
}

/** "PIT 71": area and name, without saying the area twice. */
export function channelLabel(channel: { readonly name: string; readonly area: string } | undefined, index?: number): string {
  if (channel === undefined) return index === undefined ? "no target" : `channel ${index}`;
  return channel.area === "" || channel.name.toLowerCase().startsWith(channel.area.toLowerCase()) ? channel.name : `${channel.area} ${channel.name}`;
}
