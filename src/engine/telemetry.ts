// What windows are told about a running session: a snapshot when they attach, decimated events after. Knows nothing about transport or SQL.
import type { EventName, EventPayload, Snapshot } from "../shared/contract/index.ts";
import type { Alarm, ChannelState, CurvePoint, Device, GalleryItem, Live, LogEntry, Phase, PresentationEvent, SessionConfig, StepReport, StepView, StreamAges } from "../shared/contract/index.ts";
import type { ClosedLoop } from "../loop/closedLoop.ts";
import type { GenerationResult, LoopListener, SettledPresentation } from "../loop/loopTypes.ts";
import { isLogLine } from "../shared/records.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { createFrameTimings } from "./frameTiming.ts";
import { fitRewardFlow, rewardMl } from "../shared/rewardFlow.ts";
import { msBetween, nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ChannelInfo, EyeBatch } from "../shared/values.ts";

export type Emit = <E extends EventName>(event: E, payload: EventPayload<E>) => void;

/** What telemetry reads of a loop, live or replayed. */
export type Watched = Pick<ClosedLoop, "status" | "alarms" | "channels" | "views">;

export interface Telemetry {
  readonly listener: LoopListener;
  onRecord(body: SessionRecordBody, hostNs: number): void;
  attach(loop: Watched): void;
  setPhase(phase: Phase, failure?: string): void;
  readonly phase: Phase;
  snapshot(): Snapshot;
  responses(channel: number, last: number): readonly PresentationEvent[];
  /** Images of a generation with their mean rates, best first. */
  ofGeneration(thread: number, generation: number): readonly GalleryItem[];
  /** Sends `live`; called ten times a second while a session runs. */
  tick(): void;
}

export interface TelemetryOptions {
  readonly config: SessionConfig;
  readonly session: NonNullable<Snapshot["session"]>;
  readonly now: () => HostTimeNs;
  readonly channels: () => readonly ChannelInfo[];
  readonly devices: () => readonly Device[];
  readonly emit: Emit;
  /** What the subject has had today and may have; left out where nobody counts. */
  readonly rewardLimits?: () => Pick<Live["reward"], "dayMl" | "dayMlMax" | "sessionMlMax">;
  /** Steps that ended before: of a session that is gone on with. */
  readonly past?: readonly { readonly report: StepReport; readonly view: StepView | null }[];
}

const responsesKept = 400;
const logKept = 300;
/** What a step has is worked out and sent this seldom. */
const viewEveryMs = 1000;
const trialsKept = 40;

/** Where no live state comes to go along with, ms. */
const eyeAloneAfterMs = 150;

export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { config } = options;
  const startNs = options.now();
  const saidNs = new Map<EventName, HostTimeNs>();
  const emit: Emit = (event, payload) => {
    saidNs.set(event, options.now());
    options.emit(event, payload);
  };
  const timings = createFrameTimings();
  let timingChanged = false;
  const sinceStartMs = (hostNs: number): number => (hostNs - startNs) / nsPerMs;
  let phase: Phase = "starting";
  let failure: string | null = null;
  let loop: Watched | null = null;
  let logId = 0;
  const log: LogEntry[] = [];
  const reports: Snapshot["reports"] = [];
  const stepReports: StepReport[] = [...(options.past ?? []).map((p) => p.report)];
  const endedViews = new Map<number, StepView>((options.past ?? []).flatMap((p) => (p.view === null ? [] : [[p.report.step, p.view]])));
  let viewsMs = Number.NEGATIVE_INFINITY;
  const curve: CurvePoint[] = [];
  const gallery: GalleryItem[] = [];
  const generations = new Map<string, GalleryItem[]>();
  let responses: PresentationEvent[] = [];
  const trials = { correct: 0, broken: 0, noFixation: 0, other: 0, recent: [] as Live["trials"]["recent"] };
  const reward = { pulses: 0, manualPulses: 0, totalMs: 0, totalMl: 0 };
  const flow = fitRewardFlow(config.rig.reward?.calibration ?? []);
  const eye = { x: [] as number[], y: [] as number[], valid: true, inside: false, sentNs: 0 };
  let generationStartedMs: number | null = null;
  const generationMs: number[] = [];
  let pace: { readonly step: number; readonly fromMs: number; readonly settled: number } | null = null;
  let pausedMs = 0;
  let pausedSince: number | null = null;

  function elapsedMs(): number {
    const now = sinceStartMs(options.now());
    return now - pausedMs - (pausedSince === null ? 0 : now - pausedSince);
  }

  function remainingMs(): number | null {
    const status = loop?.status;
    if (status === undefined) return null;
    const step = status.plan.steps[status.plan.current ?? -1];
    if (step !== undefined && step.protocol !== "evolution") return remainingOfStep(step);
    if (status.phase !== "evolution" || generationMs.length === 0) return null;
    const recent = generationMs.slice(-5);
    const each = recent.reduce((a, b) => a + b, 0) / recent.length;
    const share = status.imagesInBlock > 0 ? status.imageInBlock / status.imagesInBlock : 0;
    return Math.max(0, each * (status.generations - status.generation - share));
  }

  /** From the pace of the step so far. */
  function remainingOfStep(step: { readonly index: number; readonly planned: number; readonly settled: number }): number | null {
    const now = elapsedMs();
    if (pace === null || pace.step !== step.index) pace = { step: step.index, fromMs: now, settled: step.settled };
    const done = step.settled - pace.settled;
    return done < 10 ? null : Math.max(0, ((now - pace.fromMs) / done) * (step.planned - step.settled));
  }

  const listener: LoopListener = {
    presentation(p: SettledPresentation) {
      if (p.excluded !== null) keep(toEvent(p, [], p.channel));
    },
    raster(p, spikesMs, channel) {
      keep(toEvent(p, spikesMs, channel));
    },
    generation(g: GenerationResult) {
      const now = elapsedMs();
      if (generationStartedMs !== null) generationMs.push(now - generationStartedMs);
      generationStartedMs = now;
      const point: CurvePoint = {
        thread: g.thread, generation: g.generation, evolvedMean: finite(g.evolved.mean), evolvedSem: finite(g.evolved.sem), evolvedBest: finite(g.evolved.best), evolvedCount: g.evolved.count,
        referenceMean: Number.isNaN(g.reference.mean) ? null : g.reference.mean, referenceSem: Number.isNaN(g.reference.sem) ? null : g.reference.sem, referenceCount: g.reference.count,
        stepSize: g.stepSize, missing: g.missing,
      };
      curve.push(point);
      const items = g.ranked.map((r): GalleryItem => ({ thread: g.thread, generation: g.generation, imageId: r.imageId, role: "newest", rateHz: r.rateHz, label: `${r.rateHz.toFixed(0)} spikes/s` }));
      generations.set(`${g.thread}/${g.generation}`, items);
      const best = items[0];
      const added: GalleryItem[] = best === undefined ? [] : [{ ...best, role: "best" }];
      gallery.push(...added);
      emit("generation", { point, gallery: added });
    },
    trial(outcome) {
      if (outcome === "correct") trials.correct += 1;
      else if (outcome === "brokeFixation") trials.broken += 1;
      else if (outcome === "noFixation") trials.noFixation += 1;
      else trials.other += 1;
      trials.recent.push(outcome);
      if (trials.recent.length > trialsKept) trials.recent.shift();
    },
    report(thread, report) {
      reports.push({ thread, verdict: report.verdict, sentences: [...report.sentences] });
    },
    stepReport(report, view) {
      stepReports.push(report);
      endedViews.set(report.step, view);
      generationStartedMs = null;
      generationMs.length = 0;
      emit("stepView", view);
      emit("stepReport", report);
    },
    screen(imageId, fixation, imageInTrial, imagesInTrial) {
      emit("screen", { imageId, fixation, imageInTrial, imagesInTrial });
    },
    eye(batch: EyeBatch, inside: boolean) {
      // About 200 samples/s are enough for a trace. It goes along with the live state: every event by itself costs a window half of what it takes to draw it.
      const stride = Math.max(1, Math.floor(batch.timesRigNs.length / 4));
      for (let i = 0; i < batch.timesRigNs.length; i += stride) {
        eye.x.push(short(batch.xDeg[i] ?? 0));
        eye.y.push(short(batch.yDeg[i] ?? 0));
      }
      eye.valid = batch.valid.at(-1) === 1;
      eye.inside = inside;
      if (options.now() - eye.sentNs >= eyeAloneAfterMs * nsPerMs) sayEye();
    },
  };

  function sayEye(): void {
    if (eye.x.length === 0) return;
    emit("eye", { xDeg: eye.x, yDeg: eye.y, valid: eye.valid, inWindow: eye.inside, holdFraction: loop?.status.holdFraction ?? null });
    eye.x = [];
    eye.y = [];
    eye.sentNs = options.now();
  }

  function toEvent(p: SettledPresentation, spikesMs: readonly number[], channel: number): PresentationEvent {
    return {
      presentationId: p.presentationId, imageId: p.image.imageId, thread: p.image.thread, kind: p.image.kind, generation: p.image.generation,
      channel, spikesMs: [...spikesMs], rateHz: p.rateHz, excluded: p.excluded, onsetSource: p.onsetSource,
    };
  }

  function keep(event: PresentationEvent): void {
    responses.push(event);
    if (responses.length > responsesKept) responses = responses.slice(-responsesKept / 2);
    emit("presentation", event);
  }

  function ages(): StreamAges {
    const of = (event: EventName): number | null => ageMs(options.now(), saidNs.get(event) ?? null);
    return { live: of("live"), eye: of("eye"), screen: of("screen"), presentation: of("presentation"), generation: of("generation"), view: of("stepView"), log: of("log"), report: of("stepReport"), timing: of("frameTiming") };
  }

  function allViews(): StepView[] {
    const running = loop?.views() ?? [];
    const known = new Map([...endedViews, ...running.map((v): [number, StepView] => [v.step, v])]);
    return [...known].sort((a, b) => a[0] - b[0]).map(([, view]) => view);
  }

  function makeLive(l: Watched): Live {
    const status = l.status;
    return {
      phase,
      progress: {
        generation: status.phase === "tuning" ? -1 : status.generation, generations: status.generations, imageInBlock: status.imageInBlock, imagesInBlock: status.imagesInBlock,
        presentations: status.presentations, excluded: status.excluded, elapsedMs: elapsedMs(), remainingMs: remainingMs(),
      },
      trials: { ...trials, recent: [...trials.recent] },
      reward: { ...reward, pulseMs: status.rewardMs, ...options.rewardLimits?.() },
      channels: { rateHz: l.channels.rates().map(short), evokedHz: l.channels.evoked().map(short), tuning: l.channels.tuning().map(short), status: l.channels.statuses() },
      devices: [...options.devices()],
      alarms: l.alarms.active.map((a): Alarm => ({ code: a.code, severity: a.severity, sinceMs: sinceStartMs(a.sinceHostNs), message: a.message, count: a.count })),
      targets: [...status.targets],
      trialState: status.trialState,
      breakLeftMs: status.breakEndsNs === null ? null : Math.max(0, (status.breakEndsNs - options.now()) / nsPerMs),
      plan: status.plan,
    };
  }

  return {
    listener,
    onRecord(body, hostNs) {
      timings.add(body);
      if (body.kind === "flip") timingChanged = true;
      if (body.kind === "reward" && body.delivered) {
        reward.pulses += 1;
        reward.totalMs += body.pulseMs;
        reward.totalMl += rewardMl(body.pulseMs, flow, config.trial.rewardMlPerS);
        if (body.cause === "manual") reward.manualPulses += 1;
      }
      if (body.kind !== "event" || !isLogLine(body)) return;
      const entry: LogEntry = { id: ++logId, atMs: sinceStartMs(hostNs), severity: body.severity, code: body.code, message: body.message };
      log.push(entry);
      if (log.length > logKept) log.shift();
      emit("log", entry);
    },
    attach(next) {
      loop = next;
    },
    setPhase(next, why) {
      if (next === "paused") pausedSince ??= sinceStartMs(options.now());
      else if (pausedSince !== null) {
        pausedMs += sinceStartMs(options.now()) - pausedSince;
        pausedSince = null;
      }
      phase = next;
      if (why !== undefined) failure = why;
      emit("session", { phase });
    },
    get phase() {
      return phase;
    },
    snapshot: () => ({
      phase,
      session: options.session,
      channels: gridOf(options.channels()),
      response: {
        windowStartMs: config.response.windowStartMs, windowEndMs: config.response.windowEndMs, onMs: config.trial.onMs, offMs: config.trial.offMs,
        fixationWindowDeg: config.trial.fixationWindowDeg,
      },
      live: loop === null ? null : makeLive(loop),
      curve: [...curve],
      gallery: [...gallery],
      log: [...log],
      reports: [...reports],
      views: allViews(),
      stepReports: [...stepReports],
      failure,
      timing: timings.view(),
      agesMs: ages(),
    }),
    responses: (channel, last) => responses.filter((r) => r.channel === channel).slice(-last),
    ofGeneration: (thread, generation) => generations.get(`${thread}/${generation}`) ?? [],
    tick() {
      if (loop === null) return;
      sayEye();
      emit("live", makeLive(loop));
      const now = options.now() / nsPerMs;
      if (now - viewsMs < viewEveryMs && now >= viewsMs) return;
      viewsMs = now;
      const timing = timingChanged ? timings.view() : null;
      timingChanged = false;
      if (timing !== null) emit("frameTiming", timing);
      for (const view of loop.views()) if (!endedViews.has(view.step)) emit("stepView", view);
    },
  };
}

/** As many digits as a window can show: they travel as text, ten times a second. */
function short(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** JSON has no NaN: a mean of nothing is shown as 0 with its count of 0. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

/** Channels on their area's grid: by position where the source knows it, else eight rows in index order. */
export function gridOf(channels: readonly ChannelInfo[]): ChannelState[] {
  const areas = Map.groupBy(channels, (c) => c.area);
  const out: ChannelState[] = [];
  for (const all of areas.values()) {
    // Units and merges have no place of their own: they stand below the array.
    const members = all.some((c) => c.positionMm !== null) ? all.filter((c) => c.positionMm !== null) : all;
    const beside = all.filter((c) => !members.includes(c));
    const placed = members.every((c) => c.positionMm !== null);
    const xs = [...new Set(members.map((c) => c.positionMm?.x ?? 0))].sort((a, b) => a - b);
    const ys = [...new Set(members.map((c) => c.positionMm?.y ?? 0))].sort((a, b) => a - b);
    const columns = Math.max(1, Math.ceil(members.length / 8));
    const fits = placed && xs.length * ys.length <= members.length * 2;
    members.forEach((c, i) => {
      const cell = fits ? { column: xs.indexOf(c.positionMm?.x ?? 0), row: ys.indexOf(c.positionMm?.y ?? 0) } : { column: i % columns, row: Math.floor(i / columns) };
      out.push({ index: c.index, name: c.name, area: c.area, ...cell });
    });
    const wide = fits ? Math.max(1, xs.length) : columns;
    const below = fits ? ys.length : Math.ceil(members.length / columns);
    beside.forEach((c, i) => out.push({ index: c.index, name: c.name, area: c.area, column: i % wide, row: below + Math.floor(i / wide) }));
  }
  return out.sort((a, b) => a.index - b.index);
}

/** For ages in the rig panel. */
export function ageMs(now: HostTimeNs, newest: HostTimeNs | null): number | null {
  return newest === null ? null : Math.max(0, msBetween(newest, now));
}
