// A seeded, plausible feed behind the real contract, for developing and testing the windows without rig, models or store.
// Knows nothing about transport.
import { fakePlanState, fakeStepReport, fakeSteps, fakeView, imageOfStep } from "./fakePlan.ts";
import { paint, pngBase64, seeded, sidePx } from "./pictures.ts";
import { optimizerRegistry, reportConvergence } from "../../../src/evolve/index.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import { builtInPlans } from "../../../src/engine/builtInPlans.ts";
import { builtInProtocols } from "../../../src/engine/plans.ts";
import { emptyPlan, planFile } from "../../../src/shared/contract/index.ts";
import type { Handlers, EventName, EventPayload, Alarm, AppDescription, ChannelState, CurvePoint, GalleryItem, Live, LogEntry, Phase, PresentationEvent, SessionSummary, Snapshot, StimulusCommand, StimulusPixels, StimulusReport } from "../../../src/shared/contract/index.ts";

export interface FakeOptions {
  readonly seed: number;
  /** Generations that are already done when a session starts. */
  readonly at: number;
  readonly generations: number;
  /** How much faster than real time. */
  readonly speed: number;
  readonly running: boolean;
  readonly alarms: boolean;
  readonly sessions: number;
  readonly mayOperate: boolean;
  readonly threads: number;
  /** The standard plan, at which of its steps, and how far into it; null = one evolution. */
  readonly plan: { readonly step: number; readonly share: number } | null;
  /** What the rig check says. */
  readonly check: "ok" | "fault";
}

export const fakeDefaults: FakeOptions = { seed: 7, at: 0, generations: 30, speed: 1, running: false, alarms: false, sessions: 9, mayOperate: true, threads: 1, plan: null, check: "ok" };

export type FakeEvent = { readonly [E in EventName]: { readonly event: E; readonly payload: EventPayload<E> } }[EventName];

export interface FakeEngine {
  /** The methods that the fake knows; others are answered with a fault. */
  readonly handlers: Partial<Handlers<unknown>>;
  readonly reports: StimulusReport[];
  subscribe(listener: (event: FakeEvent) => void): () => void;
  /** Sends a command to the stimulus window. */
  command(command: StimulusCommand): void;
  /** Has the window fetch and decode an image. */
  prepare(imageId: number, image: StimulusPixels): void;
  attached(): { readonly widthPx: number; readonly heightPx: number; readonly refreshHz: number } | null;
  close(): void;
}

const areas = ["V1", "V4", "PIT"];
const perArea = 32;
const evolvedPerGeneration = 30;
const referencesPerGeneration = 8;
const imagesPerTrial = 5;
const tickMs = 20;

const channels: readonly ChannelState[] = areas.flatMap((area, a) => Array.from({ length: perArea }, (_, i): ChannelState => ({ index: a * perArea + i, name: `${area}-${String(i + 1).padStart(2, "0")}`, area, row: Math.floor(i / 4), column: i % 4 })));

export function createFakeEngine(given: Partial<FakeOptions> = {}): FakeEngine {
  const options = { ...fakeDefaults, ...given };
  const random = seeded(options.seed);
  const gauss = (): number => random() + random() + random() + random() - 2;
  const listeners = new Set<(event: FakeEvent) => void>();
  const stimulusReports: StimulusReport[] = [];
  const pixels = new Map<number, StimulusPixels>();
  const baseRates = channels.map((c) => 6 + 38 * random() ** 2 + (c.area === "PIT" ? 8 : 0));
  const selectivity = channels.map(() => Math.min(0.95, random() ** 1.5));
  const silent = new Set([9, 59]);
  const noisy = new Set([36]);

  let phase: Phase = "idle";
  let session: Snapshot["session"] = null;
  let elapsedMs = 0;
  /** By thread. */
  let targets = [86, 40, 11, 70].slice(0, options.threads);
  let reports: Snapshot["reports"] = [];
  const targetOf = (thread: number | null): number => targets[thread ?? 0] ?? 86;
  let pulseMs = 120;
  let curve: CurvePoint[] = [];
  let gallery: GalleryItem[] = [];
  let log: LogEntry[] = [];
  let failure: string | null = null;
  let presentations: PresentationEvent[] = [];
  let nextPresentation = 1;
  let nextLog = 1;
  let generation = 0;
  let imageInBlock = 0;
  let trial = { state: "waitFixation", leftMs: 400, image: 0, breaks: false };
  let trials: Live["trials"] = { correct: 0, broken: 0, noFixation: 0, other: 0, recent: [] };
  let reward: Live["reward"] = { pulses: 0, manualPulses: 0, totalMs: 0, totalMl: 0, pulseMs };
  let gaze = { x: 0, y: 0 };
  let attached: { readonly widthPx: number; readonly heightPx: number; readonly refreshHz: number } | null = null;
  let sinceLiveMs = 0;
  let sinceEyeMs = 0;
  const rates = new Map<number, number>();
  const evolutionStep = 2;
  let step = 0;
  let settled = 0;
  let sinceViewMs = 0;
  const plain = (): boolean => options.plan === null || step === evolutionStep;
  const stepShare = (at: number): number => (at < step || phase === "finished" ? 1 : at === step ? Math.min(1, settled / (fakeSteps[step]?.planned ?? 1)) : 0);
  const viewOf = (at: number): ReturnType<typeof fakeView> => fakeView(at, stepShare(at), channels, generation, options.generations, targets);

  /** The step has ended: its last view, its report, and on to the next. */
  function nextStep(): void {
    const [view, report] = [viewOf(step), fakeStepReport(step)];
    if (view !== null) emit({ event: "stepView", payload: view });
    if (report !== null) {
      emit({ event: "stepReport", payload: report });
      addLog(`Step ${step + 1}: ${report.sentences[0] ?? ""}`, "info", "stepEnd");
    }
    if (step + 1 >= fakeSteps.length) return end("finished");
    step += 1;
    settled = 0;
    imageInBlock = 0;
  }

  function emit(event: FakeEvent): void {
    for (const listener of listeners) listener(event);
  }
  const imageIdOf = (g: number, row: number): number => g * 100 + row;
  const qualityOf = (imageId: number): number => {
    const row = imageId % 100;
    return row >= 50 ? 0.15 + 0.6 * seeded(imageId)() : Math.max(0, Math.min(1, 1 - Math.exp(-Math.floor(imageId / 100) / 5) + (15 - row) * 0.006));
  };
  const rateOf = (imageId: number): number => {
    const found = rates.get(imageId);
    if (found !== undefined) return found;
    const r = seeded(imageId + 13);
    const mean = imageId >= 9000 ? 10 + 45 * r() ** 2 : imageId % 100 >= 50 ? 18 + 16 * r() : 22 + 54 * (1 - Math.exp(-Math.floor(imageId / 100) / 5)) + (14 - (imageId % 100)) * 0.55;
    const rate = Math.max(0, mean + (r() + r() + r() - 1.5) * 6);
    rates.set(imageId, rate);
    return rate;
  };

  function addLog(message: string, severity: LogEntry["severity"] = "info", code = "note", atMs = elapsedMs): void {
    const entry: LogEntry = { id: nextLog++, atMs, severity, code, message };
    log = [...log, entry];
    emit({ event: "log", payload: entry });
  }

  function finishGeneration(g: number, quiet = false): void {
    for (let thread = 0; thread < options.threads; thread++) {
      const evolved = Array.from({ length: evolvedPerGeneration }, (_, i) => rateOf(imageIdOf(g, i)) - thread * 9);
      const references = Array.from({ length: referencesPerGeneration }, (_, i) => rateOf(imageIdOf(g, 50 + i)));
      const [em, es] = meanSem(evolved);
      const [rm, rs] = meanSem(references);
      const point: CurvePoint = { thread, generation: g, evolvedMean: em, evolvedSem: es, evolvedBest: Math.max(...evolved), evolvedCount: evolved.length, referenceMean: rm, referenceSem: rs, referenceCount: references.length, stepSize: 3 * 0.985 ** g, missing: g === 9 ? 1 : 0 };
      const best = evolved.indexOf(Math.max(...evolved));
      const items: GalleryItem[] = [
        { thread, generation: g, imageId: imageIdOf(g, best), role: "best", rateHz: evolved[best] ?? 0, label: `generation ${g}, best` },
        { thread, generation: g, imageId: imageIdOf(g, evolvedPerGeneration - 1), role: "newest", rateHz: evolved.at(-1) ?? 0, label: `generation ${g}, newest` },
      ];
      curve = [...curve, point];
      gallery = [...gallery, ...items];
      if (!quiet) emit({ event: "generation", payload: { point, gallery: items } });
      if (thread === 0) addLog(`Generation ${g}: mean ${em.toFixed(1)} spikes/s, reference ${rm.toFixed(1)}, step size ${point.stepSize.toPrecision(3)}.`, "info", "generation", quiet ? (g + 1) * 19_000 : elapsedMs);
    }
  }

  function startSession(): void {
    session = { id: `s${options.seed}-${Date.now()}`, file: "/data/evoked/synthetic_20261122-140503.evoked", subject: "synthetic", startedUtc: "2026-11-22T14:05:03.000Z", seed: options.seed, rig: "Synthetic rig, 96 channels", generator: "shapes-g1", optimizer: "Cholesky CMA-ES", provider: "CPU" };
    [curve, gallery, log, presentations, generation, imageInBlock, elapsedMs, nextPresentation, failure] = [[], [], [], [], options.at, 0, options.at * 19_000, 1, null];
    [reports, targets] = [[], [86, 40, 11, 70].slice(0, options.threads)];
    trials = { correct: 0, broken: 0, noFixation: 0, other: 0, recent: [] };
    reward = { pulses: 0, manualPulses: 0, totalMs: 0, totalMl: 0, pulseMs };
    addLog("Session started: shapes-g1, Cholesky CMA-ES, 30 + 8 images a generation.", "info", "start", 400);
    addLog("Target PIT-23 chosen: best and most selective for the references.", "info", "target", 9_000);
    for (let g = 0; g < options.at; g++) finishGeneration(g, true);
    if (options.at > 3) {
      addLog("Note: drowsy, shorter trials", "info", "note", elapsedMs - 9000);
      addLog("Late frame (8.3 ms): image 1107 goes back into the queue.", "warn", "lateFrame", elapsedMs - 4000);
      const outcomes = Array.from({ length: 40 }, (_, i): Live["trials"]["recent"][number] => (i % 11 === 4 ? "noFixation" : i % 7 === 3 ? "brokeFixation" : "correct"));
      trials = { correct: 214, broken: 43, noFixation: 12, other: 1, recent: outcomes };
      reward = { ...reward, pulses: 214, manualPulses: 6, totalMs: 26_400, totalMl: 31.7 };
      for (let i = 0; i < 60; i++) present(imageIdOf(Math.max(0, options.at - 1), i % 5 === 4 ? 50 + (i % referencesPerGeneration) : i % evolvedPerGeneration), true);
    }
    step = options.plan?.step ?? 0;
    settled = Math.round((options.plan?.share ?? 0) * (fakeSteps[step]?.planned ?? 0));
    if (options.plan !== null && step !== evolutionStep) for (let i = 0; i < 60; i++) present(imageOfStep(fakeSteps[step]?.protocol ?? "images", i).imageId, true);
    phase = "running";
    emit({ event: "session", payload: { phase } });
  }

  function spikesFor(channel: number, rate: number): number[] {
    const base = baseRates[channel] ?? 10;
    const spikes: number[] = [];
    for (let t = -50; t < 250; t += 1) {
      const shape = Math.exp(-((t - 95) ** 2) / 600) + 0.45 * Math.exp(-((t - 140) ** 2) / 1800);
      const hz = base * 0.35 + rate * 1.7 * shape;
      if (random() < hz / 1000) spikes.push(t + random());
    }
    return spikes;
  }

  function present(imageId: number, quiet = false): void {
    const shown = plain() ? null : imageOfStep(fakeSteps[step]?.protocol ?? "images", settled);
    const reference = shown === null && imageId % 100 >= 50;
    const excluded = !quiet && random() < 0.02 ? "lateFrame" : null;
    const thread = reference ? null : nextPresentation % options.threads;
    const channel = targetOf(thread);
    const event: PresentationEvent = {
      presentationId: nextPresentation++, imageId, thread, kind: shown?.kind ?? (reference ? "reference" : "evolved"), generation: shown === null ? Math.floor(imageId / 100) : null, channel,
      spikesMs: spikesFor(channel, rateOf(imageId)), rateHz: excluded === null ? rateOf(imageId) + gauss() * 6 : null, excluded, onsetSource: "photodiode",
    };
    presentations = [...presentations, event].slice(-500);
    if (!quiet) emit({ event: "presentation", payload: event });
  }

  function currentImage(): number {
    if (!plain()) return imageOfStep(fakeSteps[step]?.protocol ?? "images", settled).imageId;
    const order = (imageInBlock * 7) % (evolvedPerGeneration + referencesPerGeneration);
    return order < evolvedPerGeneration ? imageIdOf(generation, order) : imageIdOf(generation, 50 + order - evolvedPerGeneration);
  }

  function screen(imageId: number | null, fixation: boolean): void {
    emit({ event: "screen", payload: { imageId, fixation, imageInTrial: trial.image, imagesInTrial: imagesPerTrial } });
  }

  function advanceTrial(dtMs: number): void {
    trial = { ...trial, leftMs: trial.leftMs - dtMs };
    if (trial.leftMs > 0) return;
    switch (trial.state) {
      case "waitFixation":
        trial = { state: "hold", leftMs: 200, image: 0, breaks: random() < 0.14 };
        return screen(null, true);
      case "hold":
      case "off":
        if (trial.state === "off") {
          present(currentImage());
          imageInBlock += 1;
          settled += 1;
          if (!plain()) {
            if (settled >= (fakeSteps[step]?.planned ?? 0)) nextStep();
          } else if (imageInBlock >= imagesInBlock()) {
            imageInBlock = 0;
            if (generation >= options.generations) return options.plan === null ? end("finished") : nextStep();
            finishGeneration(generation);
            generation += 1;
            if (generation >= options.generations) addLog("The results are shown again, 6 times each: the mean of the distribution, the best image and the start.", "info", "confirming");
          }
        }
        if (trial.image >= imagesPerTrial) return finishTrial("correct");
        if (trial.breaks && trial.image === 2) return finishTrial("brokeFixation");
        trial = { ...trial, state: "on", leftMs: 100, image: trial.image + 1 };
        return screen(currentImage(), true);
      case "on":
        trial = { ...trial, state: "off", leftMs: 150 };
        return screen(null, true);
      default:
        trial = { state: "waitFixation", leftMs: 200 + random() * 500, image: 0, breaks: false };
        return screen(null, true);
    }
  }

  function finishTrial(outcome: "correct" | "brokeFixation"): void {
    trials = { ...trials, correct: trials.correct + Number(outcome === "correct"), broken: trials.broken + Number(outcome !== "correct"), recent: [...trials.recent, outcome].slice(-40) };
    if (outcome === "correct") reward = { ...reward, pulses: reward.pulses + 1, totalMs: reward.totalMs + pulseMs, totalMl: reward.totalMl + pulseMs * 0.0012 };
    trial = { state: "interTrial", leftMs: outcome === "correct" ? 300 : 900, image: 0, breaks: false };
    screen(null, false);
  }

  const imagesInBlock = (): number => (generation >= options.generations ? resultImages : evolvedPerGeneration + referencesPerGeneration);

  function end(how: "finished" | "failed"): void {
    phase = how;
    reports = curve.length === 0 ? [] : targets.map((_, thread) => fakeReport(thread, generation >= options.generations));
    addLog(how === "finished" ? `Session finished after ${generation} generations.` : "Session failed.");
    emit({ event: "session", payload: { phase } });
  }

  function makeLive(): Live {
    const images = trial.state === "on" || trial.state === "off";
    return {
      phase,
      progress: { generation: Math.min(generation, options.generations), generations: options.generations, imageInBlock, imagesInBlock: imagesInBlock(), presentations: 1284 + nextPresentation, excluded: 7, elapsedMs, remainingMs: plain() ? (options.generations - generation) * 19_000 : ((fakeSteps[step]?.planned ?? 0) - settled) * 420 },
      trials, reward: { ...reward, pulseMs },
      channels: {
        rateHz: baseRates.map((r, i) => (silent.has(i) ? 0 : Math.max(0, r * 0.7 + gauss() * 3 + (images ? r * 0.4 : 0)))),
        evokedHz: baseRates.map((r, i) => (silent.has(i) ? 0 : noisy.has(i) ? 142 : Math.max(0, r * 1.4 + Math.sin(elapsedMs / 9000 + i) * 2))),
        tuning: [...selectivity],
        status: channels.map((c) => (silent.has(c.index) ? "silent" : noisy.has(c.index) ? "noisy" : "ok")),
      },
      devices: devices(),
      alarms: options.alarms ? alarms() : [],
      targets: [...targets],
      plan: options.plan === null ? emptyPlan : fakePlanState(step, plain() ? Math.min(1173, generation * 38 + imageInBlock) : settled, phase === "finished" || phase === "review"), breakLeftMs: null, trialState: trial.state === "on" || trial.state === "off" ? "images" : trial.state,
    };
  }

  const alarms = (): Alarm[] => [
    { code: "streamStale", severity: "fault", sinceMs: elapsedMs - 12_000, message: "No spikes from Open Ephys for 12 s. Trials wait. Check that acquisition is running there; the stream is taken up again by itself.", count: 1 },
    { code: "lateFrames", severity: "warn", sinceMs: elapsedMs - 46_000, message: "3 late frames in the last minute; their images are shown again. Close other programs on this computer.", count: 3 },
  ];

  const devices = (): Live["devices"] => [
    { id: "spikes", label: "Spikes", level: options.alarms ? "fault" : "ok", value: options.alarms ? "no data" : `${(9200 + Math.round(random() * 400)).toLocaleString("en-US")} /s`, detail: "Open Ephys, 127.0.0.1:5556", ageMs: options.alarms ? 12_000 : 8 + random() * 14 },
    { id: "clock", label: "Clock", level: "ok", value: "+3.1 ppm", detail: "±0.08 ms", ageMs: 340 },
    { id: "eye", label: "Eye tracker", level: "ok", value: "500 Hz", detail: "synthetic eye", ageMs: 4 },
    { id: "onset", label: "Photodiode", level: "ok", value: "1,284 of 1,284", detail: "lag 5.8 ms, SD 0.4 ms", ageMs: null },
    { id: "display", label: "Frames", level: options.alarms ? "warn" : "ok", value: options.alarms ? "3 late of 38,412" : "0 late of 38,412", detail: attached === null ? "120.0 Hz, full screen" : `${attached.refreshHz.toFixed(1)} Hz`, ageMs: 420 },
    { id: "reward", label: "Reward line", level: "ok", value: "ready", detail: "COM4", ageMs: null },
    { id: "store", label: "Recording", level: "ok", value: "1.21 GB", detail: "queue 0, disk for 61 h", ageMs: 30 },
  ];

  function snapshotNow(): Snapshot {
    return {
      phase, session, channels: phase === "idle" ? [] : [...channels],
      response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 150, fixationWindowDeg: 1 },
      live: phase === "idle" ? null : makeLive(), curve: [...curve], gallery: [...gallery], log: [...log], reports: [...reports], failure, timing: null, agesMs: null,
      views: options.plan === null ? [] : fakeSteps.flatMap((_, at) => (at > step ? [] : (viewOf(at) ?? []))),
      stepReports: options.plan === null ? [] : fakeSteps.flatMap((_, at) => (at < step || phase === "finished" ? (fakeStepReport(at) ?? []) : [])),
    };
  }

  const timer = setInterval(() => {
    if (phase !== "running" && phase !== "paused") return;
    const dtMs = tickMs * options.speed;
    elapsedMs += dtMs;
    if (phase === "running" && !options.alarms) advanceTrial(dtMs);
    sinceEyeMs += tickMs;
    if (sinceEyeMs >= 50) {
      sinceEyeMs = 0;
      const away = trial.state === "interTrial" || trial.state === "waitFixation";
      const [xs, ys]: [number[], number[]] = [[], []];
      for (let i = 0; i < 3; i++) {
        gaze = { x: gaze.x * 0.9 + gauss() * (away ? 0.16 : 0.035), y: gaze.y * 0.9 + gauss() * (away ? 0.16 : 0.035) };
        xs.push(gaze.x);
        ys.push(gaze.y);
      }
      emit({ event: "eye", payload: { xDeg: xs, yDeg: ys, valid: true, inWindow: Math.max(Math.abs(gaze.x), Math.abs(gaze.y)) < 0.5, holdFraction: 0.83 } });
    }
    sinceViewMs += tickMs;
    if (options.plan !== null && sinceViewMs >= 1000) {
      sinceViewMs = 0;
      const view = viewOf(step);
      if (view !== null) emit({ event: "stepView", payload: view });
    }
    sinceLiveMs += tickMs;
    if (sinceLiveMs >= 100) {
      sinceLiveMs = 0;
      emit({ event: "live", payload: makeLive() });
    }
  }, tickMs);

  if (options.running) startSession();

  function recorded(i: number): SessionSummary {
    const interrupted = i === 1;
    return {
      file: `/data/evoked/session-${i}.evoked`, id: `recorded-${i}`, subject: i % 3 === 0 ? "synthetic" : "Monkey-C", startedUtc: new Date(Date.UTC(2026, 10, 22 - i, 9 + i, 12)).toISOString(), durationS: 600 + i * 340,
      rig: "Synthetic rig", protocol: "evolution", generations: interrupted ? 17 : 30, presentations: 1400, target: ["PIT-23", "V4-07", "PIT-11"][i % 3] ?? "PIT-23", evolvedLast: i === 5 ? null : 74 - i * 6.3, referenceLast: i === 5 ? null : 26 - i * 0.7,
      state: i === 7 ? "unreadable" : interrupted ? "interrupted" : "finished", thumbnailImageId: i >= 5 && i !== 6 ? null : imageIdOf(24, i), sizeBytes: 2e8 + i * 7e7, problem: i === 7 ? "written by a newer version (schema 9): update Evoked to open it" : null,
    };
  }

  const plans = new Map(builtInPlans.map((p) => [p.name, { ...p, builtIn: true }]));
  const handlers: Partial<Handlers<unknown>> = {
    "app.describe": async () => ok(description(options)),
    "clock.ping": async () => ok({ hostNs: Number(process.hrtime.bigint()) }),
    "session.snapshot": async () => ok(snapshotNow()),
    "session.responses": async ({ channel, last }) => ok(targets.includes(channel) ? presentations.filter((p) => p.channel === channel).slice(-last) : Array.from({ length: Math.min(last, presentations.length) }, (_, i): PresentationEvent => ({ presentationId: i, imageId: imageIdOf(3, i % 30), thread: 0, kind: i % 5 === 4 ? "reference" : "evolved", generation: 3, channel, spikesMs: spikesFor(channel, baseRates[channel] ?? 10), rateHz: 20, excluded: null, onsetSource: "photodiode" }))),
    "session.check": async ({ config }) => ok(options.check === "ok"
      ? [{ id: "rig", label: "Rig", level: "ok", message: `${config.rig.kind} answers` }, { id: "models", label: "Models", level: "ok", message: "loaded" }, { id: "disk", label: "Disk", level: "ok", message: "61 h" }, { id: "display", label: "Subject's screen", level: "ok", message: "" }]
      : [{ id: "rig", label: "Rig", level: "fault", message: "Expected Open Ephys at 127.0.0.1:5556, nothing answers there. Start its ZMQ Interface, or change the address in this rig's settings." }, { id: "disk", label: "Disk", level: "warn", message: "Room for 40 minutes of recording is left in the session folder." }]),
    "session.start": async ({ config }) => {
      if (phase !== "idle" && phase !== "finished") return fault("busy", "A session is running already: stop it first.");
      if (config.subject.id === "nobody") return fault("badSubject", "Expected a known subject, got nobody: choose another name.");
      startSession();
      return ok({ file: session?.file ?? "" });
    },
    "session.pause": async () => setPhase("paused"),
    "session.resume": async () => setPhase("running"),
    "session.stop": async () => {
      failure = `Stopped by the operator in generation ${generation}.`;
      end("finished");
      return ok(null);
    },
    "session.dismiss": async () => {
      session = null;
      return setPhase("idle");
    },
    "session.setTarget": async ({ thread, channel }) => {
      targets = targets.map((t, i) => (i === thread ? channel : t));
      addLog(`The operator chose ${channels[channel]?.name ?? channel} as the target from the next generation on.`);
      return ok(null);
    },
    "session.endBreak": async () => ok(null),
    "session.skipGeneration": async () => {
      addLog(`The operator skipped the rest of generation ${generation}.`, "warn");
      imageInBlock = imagesInBlock() - 1;
      return ok(null);
    },
    "session.skipBlock": async () => {
      addLog(`The operator skipped the rest of the block.`, "warn");
      imageInBlock = imagesInBlock() - 1;
      return ok(null);
    },
    "session.skipStep": async () => {
      addLog(`The operator skipped the rest of step ${step + 1}.`, "warn");
      nextStep();
      return ok(null);
    },
    "session.repeatStep": async ({ step: of }) => {
      addLog(`The operator wants step ${(of ?? step) + 1} repeated.`);
      return ok(null);
    },
    "plans.list": async () => ok([...plans.values()].map((p) => ({ name: p.name, description: p.description, file: p.builtIn ? "" : `/home/lab/Documents/Evoked/plans/${p.name}.json`, builtIn: p.builtIn, protocols: p.steps.map((s) => s.protocol), problem: null }))),
    "plans.load": async ({ name }) => {
      const found = plans.get(name);
      return found === undefined ? fault("unknownPlan", `Expected a plan, got "${name}".`) : ok(planFile.parse({ name: found.name, description: found.description, steps: found.steps }));
    },
    "plans.save": async ({ plan }) => {
      if (plans.get(plan.name)?.builtIn === true) return fault("planBuiltIn", `The plan "${plan.name}" comes with Evoked and cannot be changed. Save yours under another name.`);
      plans.set(plan.name, { ...plan, builtIn: false });
      return ok({ name: plan.name, description: plan.description, file: "", builtIn: false, protocols: plan.steps.map((s) => s.protocol), problem: null });
    },
    "plans.remove": async ({ name }) => {
      plans.delete(name);
      return ok(null);
    },
    "protocols.list": async () => ok(builtInProtocols),
    "session.note": async ({ text }) => {
      addLog(`Note: ${text}`);
      return ok(null);
    },
    "eye.recentre": async () => {
      gaze = { x: 0, y: 0 };
      return ok(null);
    },
    "reward.pulse": async ({ pulseMs: ms }) => {
      reward = { ...reward, pulses: reward.pulses + 1, manualPulses: reward.manualPulses + 1, totalMs: reward.totalMs + ms, totalMl: reward.totalMl + ms * 0.0012 };
      return ok({ pulseMs: ms });
    },
    "reward.setPulse": async ({ pulseMs: ms }) => {
      pulseMs = ms;
      return ok(null);
    },
    "sessions.list": async () => ok(Array.from({ length: options.sessions }, (_, i) => recorded(i))),
    "sessions.open": async ({ file }) => {
      const i = Number(/session-(\d+)/.exec(file)?.[1] ?? 0);
      const kept = { curve, gallery, log, generation };
      [curve, gallery, log] = [[], [], []];
      const generations = recorded(i).generations;
      const held = [...listeners];
      listeners.clear();
      for (let g = 0; g < generations; g++) finishGeneration(g, true);
      for (const l of held) listeners.add(l);
      const snapshot: Snapshot = { ...snapshotNow(), phase: "review", channels: [...channels], live: { ...makeLive(), phase: "review", progress: { ...makeLive().progress, elapsedMs: recorded(i).durationS * 1000, generation: generations }, trials: { correct: 241, broken: 37, noFixation: 8, other: 0, recent: ["correct", "correct", "brokeFixation", "correct"] } }, reports: [fakeReport(0, recorded(i).state === "finished")], session: { id: recorded(i).id, file, subject: recorded(i).subject, startedUtc: recorded(i).startedUtc, seed: 7, rig: "Synthetic rig, 96 channels", generator: "shapes-g1", optimizer: "Cholesky CMA-ES", provider: "CPU" } };
      [curve, gallery, log, generation] = [kept.curve, kept.gallery, kept.log, kept.generation];
      return ok(snapshot);
    },
    "sessions.responses": async ({ channel, generation: g, last }) => ok(Array.from({ length: Math.min(last, 38) }, (_, i): PresentationEvent => {
      const imageId = imageIdOf(g ?? 24, i < 30 ? i : 20 + i);
      return { presentationId: i, imageId, thread: 0, kind: i < 30 ? "evolved" : "reference", generation: g, channel, spikesMs: spikesFor(channel, rateOf(imageId)), rateHz: rateOf(imageId), excluded: null, onsetSource: "photodiode" };
    })),
    "sessions.resume": async ({ file }) => {
      startSession();
      return ok({ file });
    },
    "image.get": async ({ imageId }) => ok({ widthPx: sidePx, heightPx: sidePx, mime: "image/png", base64: pngBase64(paint(imageId % 100 >= 50 ? imageId % 100 : imageId % 7, qualityOf(imageId))), rateHz: rateOf(imageId), label: `image ${imageId}` }),
    "images.ofGeneration": async ({ thread, generation: g }) => ok([
      ...Array.from({ length: evolvedPerGeneration }, (_, i): GalleryItem => ({ thread, generation: g, imageId: imageIdOf(g, i), role: "newest", rateHz: rateOf(imageIdOf(g, i)), label: `individual ${i}` })),
      ...Array.from({ length: referencesPerGeneration }, (_, i): GalleryItem => ({ thread, generation: g, imageId: imageIdOf(g, 50 + i), role: "reference", rateHz: rateOf(imageIdOf(g, 50 + i)), label: `reference ${i}` })),
    ].toSorted((a, b) => b.rateHz - a.rateHz)),
    "stimulus.attach": async (geometry) => {
      attached = geometry;
      return ok(null);
    },
    "stimulus.pixels": async ({ imageId }) => {
      const held = pixels.get(imageId);
      return held === undefined ? fault("notPrepared", `image ${imageId} was not prepared`) : ok(held);
    },
    "stimulus.report": async ({ reports: fresh }) => {
      stimulusReports.push(...fresh);
      return ok(null);
    },
  };

  function setPhase(next: Phase): ReturnType<Handlers<unknown>["session.pause"]> {
    phase = next;
    emit({ event: "session", payload: { phase } });
    return Promise.resolve(ok(null));
  }

  return {
    handlers, reports: stimulusReports,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    command: (command) => emit({ event: "stimulus", payload: command }),
    prepare(imageId, image) {
      pixels.set(imageId, image);
      emit({ event: "stimulus", payload: { kind: "prepare", imageId, sizePx: null } });
    },
    attached: () => attached,
    close: () => clearInterval(timer),
  };
}

/** Images of the block in which the results are shown again. */
const resultImages = 34;

/** The words are those of the evolution's report. */
function fakeReport(thread: number, shownAgain: boolean): Snapshot["reports"][number] {
  const generations = Array.from({ length: 20 }, (_, g) => ({
    generation: g, evolved: Array.from({ length: 30 }, (_, i) => [22 + 40 * (1 - Math.exp(-g / 5)), 30 + g * 0.1, 34 - g * 0.5, 30][thread % 4]! + ((i * 7) % 11) - 5),
    references: Array.from({ length: 4 }, (_, i) => ({ imageId: i, scores: [24 + i + ((g * 5 + i) % 7) / 2] })),
  }));
  const last = generations.at(-1)?.evolved ?? [];
  const around = (mean: number): number[] => [-4, -1.5, 0, 1, 2.5, 3].map((d) => mean + d);
  const mean = last.reduce((a, b) => a + b, 0) / last.length;
  const { verdict, sentences } = reportConvergence({
    generations,
    represented: shownAgain ? { distributionMean: around(mean), best: around(mean + 2), bestChosenScore: mean + 13, start: around([22, 30, 36, 30][thread % 4]!), references: [0, 1, 2, 3].map((i) => ({ imageId: i, scores: [25 + i, 27 + i] })) } : null,
  });
  return { thread, verdict, sentences: [...sentences] };
}

function meanSem(values: readonly number[]): readonly [number, number] {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1);
  return [mean, Math.sqrt(variance / values.length)];
}

function description(options: FakeOptions): AppDescription {
  return {
    version: "0.1.0", host: "web", sessionFolder: "/home/lab/Documents/Evoked/sessions", provider: "CPU", mayOperate: options.mayOperate,
    rigs: [
      { kind: "synthetic", title: "Synthetic rig", description: "96 simulated channels in V1, V4 and PIT, an eye and a reward line: to learn and to try things out", options: [
        { name: "gainStd", unit: "", default: 0.15, min: 0, max: 1, description: "Trial-to-trial gain" },
        { name: "driftPerHour", unit: "%", default: 3, min: 0, max: 50, description: "Slow drift of rates" },
        { name: "breakProbability", unit: "", default: 0.1, min: 0, max: 1, description: "Chance that a trial's fixation is broken" },
        { name: "photodiode", unit: "", default: true, description: "Send photodiode marks" },
      ] },
      { kind: "open-ephys", title: "Open Ephys", description: "Spikes and events of the Open Ephys GUI over its ZMQ Interface", options: [
        { name: "address", unit: "", default: "127.0.0.1", description: "Computer that runs the GUI" },
        { name: "port", unit: "", default: 5556, min: 1, max: 65535, description: "Data port of the plugin" },
        { name: "staleAfterMs", unit: "ms", default: 1000, min: 50, max: 60000, description: "Silence that counts as a lost stream" },
      ] },
    ],
    eyes: [], rewards: [], syncs: [],
    optimizers: [{ name: "auto", title: "Automatic", options: [], whenToUse: "Follows the generator: full CMA-ES where its codes are short, Cholesky CMA-ES where they are long. The session's file says which one ran." }, ...optimizerRegistry.map((o) => ({
      name: o.name, title: o.title, whenToUse: o.whenToUse,
      options: o.options.map((spec) => ({
        name: spec.name, unit: spec.unit, default: /generator/.test(spec.defaultRule) ? null : (spec.default ?? null), description: spec.description, defaultRule: spec.defaultRule,
        ...(spec.kind === "choice" ? { choices: [...spec.choices] } : { min: spec.min, max: spec.max }),
      })),
    }))],
    models: [
      { id: "shapes-g1", kind: "generator", title: "Shapes 1", description: "Objects on textured backgrounds, 128 px", detail: "96-d", problem: null, layers: [], penultimate: null },
      { id: "deepsim-fc6", kind: "generator", title: "DeePSiM fc6", description: "256 px", detail: "4096-d", problem: "its file is not there: import it first", layers: [], penultimate: null },
      { id: "shapes-relu", kind: "encoder", title: "Shapes ReLU", description: "", detail: "", problem: null, layers: ["conv1", "conv4", "penultimate"], penultimate: "penultimate" },
    ],
  };
}
