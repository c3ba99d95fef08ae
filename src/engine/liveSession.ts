// One session put together: config -> rig, models, store, display, loop. The only place where all of them meet.
// Knows nothing about windows or transport.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { createOptimizer, defaultsFor, encodeOptimizerState } from "../evolve/index.ts";
import type { Constraints } from "../evolve/index.ts";
import { createClosedLoop } from "../loop/closedLoop.ts";
import type { ClosedLoop, ClosedLoopOptions, OpenLibrary } from "../loop/closedLoop.ts";
import type { LoopListener } from "../loop/loopTypes.ts";
import type { EvolutionThread } from "../loop/thread.ts";
import type { Models } from "../models/client.ts";
import { diskThresholds } from "../session/diskWatch.ts";
import { checkWritable } from "../session/folder.ts";
import { createSession, resumeSession } from "../session/writer.ts";
import type { SessionWriter } from "../session/writer.ts";
import { eventCodes } from "../shared/eventCodes.ts";
import type { GeneratorManifest } from "../shared/manifest.ts";
import { stepsOf } from "../shared/contract/index.ts";
import type { EvolutionStep, PlanStep, SessionConfig, ThreadConfig } from "../shared/contract/index.ts";
import type { Clock, Display, DisplayGeometry, Encoder, Generator } from "../shared/ports.ts";
import type { SessionInfo, SessionRecordBody } from "../shared/records.ts";
import { FaultError, err, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { externalConfig, openExternalTask } from "./externalTask/compose.ts";
import { createRng } from "../shared/rng.ts";
import type { ChannelInfo, ImageBatch } from "../shared/values.ts";
import { openSession } from "../session/reader.ts";
import { loadLabProtocols } from "./labProtocols.ts";
import { placementOf, screenOf, sessionPlacementOf } from "./placement.ts";
import { defaultProtocolFolder, diskLowBytes, userRigs } from "./paths.ts";
import { appVersion } from "./version.ts";
import { createRecorder } from "./recorder.ts";
import { readResumePoint, readStart, resumePointOf, setupsOf, sourcesOf, wentOnCode } from "./resume.ts";
import type { PastSession } from "./resume.ts";
import { limitReward } from "./rewardLimit.ts";
import type { LimitedReward } from "./rewardLimit.ts";
import { openRig } from "./rig.ts";
import type { Rig } from "./rig.ts";
import { generatorsOf, openLibrary } from "./stepImages.ts";

export interface LiveSession {
  readonly id: string;
  readonly file: string;
  readonly startedUtc: string;
  readonly config: SessionConfig;
  readonly rig: Rig;
  /** The rig's juice line with the subject's limits; null without one. */
  readonly reward: LimitedReward | null;
  readonly display: Display;
  readonly store: SessionWriter;
  readonly loop: ClosedLoop;
  /** Of every evolution that has begun in this run. */
  readonly threads: readonly EvolutionThread[];
  /** Of the steps that ended in earlier runs. */
  readonly reports: PastSession["reports"];
  readonly models: Models;
  readonly clock: Clock;
  /** Adds a record beside the loop's own: notes, operator actions. */
  record(body: SessionRecordBody): void;
  /** Stops streams, turns the reward line off, commits everything. `finished` marks the run as ended. */
  close(): Promise<void>;
}

export interface LiveSessionOptions {
  readonly config: SessionConfig;
  readonly clock: Clock;
  readonly models: Models;
  readonly display: Display;
  readonly sessionFolder: string;
  readonly hostKind: SessionInfo["hostKind"];
  readonly listener: LoopListener;
  readonly onRecord: (body: SessionRecordBody, hostNs: number) => void;
  /** Where what each subject was given is kept; left out: beside the user's rig profiles. */
  readonly rewardFolder?: string;
  /** Go on with this file instead of starting a new one; `config` is then that file's own. */
  readonly resumeFile?: string;
  /** Folder of the lab's own protocols; left out: the usual one. */
  readonly protocolFolder?: string;
}

export async function openLiveSession(options: LiveSessionOptions): Promise<Result<LiveSession, Fault>> {
  try {
    return ok(await compose(options));
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  }
}

async function compose(options: LiveSessionOptions): Promise<LiveSession> {
  const { clock, models } = options;
  const config = chooseOptimizers(externalConfig(options.config), models);
  const configured = stepsOf(config);
  const past = options.resumeFile === undefined ? null : unwrap(readResumePoint(options.resumeFile));
  const generators = new Map<string, Generator>();
  for (const id of generatorsOf(configured)) generators.set(id, unwrap(await clock.hold(models.generator(id))));
  const generatorOf = (id: string): Generator => {
    const generator = generators.get(id);
    if (generator === undefined) throw new Error(`expected the generator ${id} to be loaded, got ${[...generators.keys()].join(", ")}`);
    return generator;
  };
  const encoder: Encoder | null = config.rig.kind === "synthetic" ? unwrap(await clock.hold(models.encoder(config.models.encoder))) : null;
  const rng = createRng(config.seed);
  const labs = unwrap(loadLabProtocols(options.protocolFolder ?? defaultProtocolFolder, configured, options.resumeFile === undefined ? new Map() : recordedSources(options.resumeFile)));
  const libraryWorld = { steps: configured, generator: generatorOf, typicalNorm: (id: string) => factsOf(models, id).latent?.typicalNorm ?? null, rng };
  const libraries: OpenLibrary[] = [];
  for (const index of configured.keys()) libraries.push(await clock.hold(openLibrary(index, libraryWorld)));
  if (options.resumeFile === undefined) unwrap(checkWritable(options.sessionFolder));
  const openedRig = unwrap(openRig(config.rig, { clock, seed: config.seed, encoder, ...(options.resumeFile === undefined ? {} : { pastChannels: channelsOf(options.resumeFile) }) }));
  const external = openExternalTask({ config, rig: openedRig, clock, sessionId: () => id });
  const { rig, display } = external ?? { rig: openedRig, display: options.display };
  // Sorted units become channels as they fire: how many there will be is not known.
  if (rig.truth !== null && config.rig.channels.units.length === 0) checkTargets(configured, rig.truth.channels.length + config.rig.channels.merges.length);
  const threads: EvolutionThread[] = [];
  let noteThreads: (opened: readonly EvolutionThread[]) => void = () => undefined;
  const openThreads = (settings: EvolutionStep, firstThread: number): readonly EvolutionThread[] => {
    const opened = settings.threads.map((thread, slot) => openThread(thread, firstThread + slot, generatorOf(thread.generator), factsOf(models, thread.generator).latent, rng.fork(`optimizer/${firstThread + slot}`)));
    noteThreads(opened);
    return opened;
  };
  const resume = past === null ? null : resumePointOf(past, openThreads);
  threads.push(...(resume?.evolution?.threads ?? []));

  const startedUtc = past?.startedUtc ?? new Date().toISOString();
  const id = past?.id ?? randomUUID();
  const disk = diskLowBytes === null ? {} : { disk: { ...diskThresholds, lowBytes: diskLowBytes } };
  const store = unwrap(
    await clock.hold(
      options.resumeFile === undefined
        ? createSession({ folder: options.sessionFolder, info: describeSession(config, { id, startedUtc, rig: rig.title, hostKind: options.hostKind }), ...disk })
        : resumeSession(options.resumeFile, { startedUtc: new Date().toISOString(), appVersion, hostKind: options.hostKind }, disk),
    ),
  );
  const recorder = createRecorder({ clock, store, firstSeq: store.nextSeq });
  recorder.onRecord(options.onRecord);
  recorder.record({
    kind: "devices",
    devices: [
      { role: "spikes", name: rig.source.name, detail: rig.source.status().address },
      ...(rig.eye === null ? [] : [{ role: "eye" as const, name: rig.eye.name, detail: "" }]),
      ...(rig.reward === null ? [] : [{ role: "reward" as const, name: rig.reward.name, detail: `pulse at most ${rig.reward.pulseMsMax} ms` }]),
      ...(rig.sync === null ? [] : [{ role: "sync" as const, name: rig.sync.name, detail: rig.sync.status().address }]),
      { role: "display", name: display.name, detail: JSON.stringify(display.geometry()) },
    ],
  });
  for (const g of generators.values()) recorder.record({ kind: "model", role: "generator", id: g.identity.id, sha256: g.identity.sha256, provider: g.identity.provider });
  if (encoder !== null) recorder.record({ kind: "model", role: "encoder", id: encoder.identity.id, sha256: encoder.identity.sha256, provider: encoder.identity.provider });

  if (resume !== null) recorder.record({ kind: "event", category: "engine", severity: "info", code: wentOnCode, message: "The session goes on where it was interrupted.", dataJson: JSON.stringify({ ...resume.counters, rewardMs: resume.rewardMs }) });

  display.place(placementOf(config.display, display.geometry()));
  const reward: LimitedReward | null = rig.reward === null ? null : limitReward({
    reward: rig.reward, config: config.rig.reward, mlPerS: config.trial.rewardMlPerS, subject: config.subject.id,
    // The rig's own line, of a rig that is put together from one kind, gives nothing to drink that a day would count.
    folder: config.rig.reward === null ? null : (options.rewardFolder ?? join(userRigs, "rewards")),
    onLimit(limit) {
      if (limit === null) return;
      loop.alarm({ code: "rewardLimit", severity: limit.severity, message: limit.message });
      if (limit.stop) loop.pause();
    },
  });
  // What a replay needs to begin an evolution of which no generation was finished.
  noteThreads = (opened) => {
    threads.push(...opened);
    recorder.record({ kind: "event", category: "engine", severity: "info", code: "optimizers", message: "", dataJson: JSON.stringify(opened.map((t) => ({ thread: t.index, state: Buffer.from(encodeOptimizerState(t.optimizer.state())).toString("base64") }))) });
  };
  const recorded = options.resumeFile === undefined ? null : openRecordedImages(options.resumeFile, past?.point.nextImageId ?? 1);
  const loop: ClosedLoop = createClosedLoop({
    clock, source: rig.source, eye: rig.eye, reward, display, retina: rig.retina, sync: rig.sync, checkWords: config.rig.sync?.checkWords ?? false, aligner: rig.aligner,
    rng, trial: config.trial, response: config.response, onStreamLost: config.rig.onStreamLost, plan: setupsOf(config), implicitPlan: config.plan.length === 0, labs, openThreads,
    generator: (id) => generators.get(id) ?? null, libraries, ...(recorded === null ? {} : { recordedImage: recorded.image }),
    sessionPlacement: sessionPlacementOf(config.display), screen: screenOf(config.display, display.geometry()),
    displaySetup: displaySetupOf(config, display.geometry()), record: recorder.record, room: recorder.room, listener: options.listener, resume,
  });

  external?.display.onAlarm((alarm) => ("over" in alarm ? loop.alarmOver({ code: alarm.over, message: alarm.message }) : loop.alarm(alarm)));

  let closing: Promise<void> | null = null;
  return {
    id, file: store.file, startedUtc, config, rig, reward, display, store, loop, threads, reports: past?.reports ?? [], models, clock,
    record: recorder.record,
    close() {
      closing ??= (async () => {
        await rig.reward?.off();
        await rig.reward?.stop?.();
        // While the recording system still records.
        rig.sync?.send(eventCodes.sessionEnds);
        await rig.source.stop();
        await rig.eye?.stop();
        await rig.sync?.stop();
        loop.close();
        await display.close();
        await store.close();
        recorded?.close();
      })();
      return closing;
    },
  };
}

/** The channels as a session's last run named them. */
function channelsOf(file: string): readonly ChannelInfo[] {
  const reader = unwrap(openSession(file));
  try {
    return reader.channels();
  } finally {
    reader.close();
  }
}

/** What is known of a generator's codes before an evolution. */
function factsOf(models: Models, id: string): { readonly latent: GeneratorManifest["latent"] | null; readonly dim: number } {
  const found = models.list().find((m) => m.id === id);
  return found?.kind === "generator" ? { latent: found.latent, dim: found.input.dim } : { latent: null, dim: 0 };
}

/** The session's file names the optimizer that ran, not "auto". */
function chooseOptimizers(config: SessionConfig, models: Models): SessionConfig {
  const choose = <T extends { readonly threads: readonly ThreadConfig[] }>(evolution: T): T => ({
    ...evolution,
    threads: evolution.threads.map((thread) => {
      if (thread.optimizer !== "auto") return thread;
      const { latent, dim } = factsOf(models, thread.generator);
      return { ...thread, optimizer: defaultsFor({ generator: { latentDim: dim, initialStepSize: latent?.initialStepSize ?? 1 }, noise: "high" }).name };
    }),
  });
  return { ...config, evolution: choose(config.evolution), plan: config.plan.map((step) => (step.protocol === "evolution" ? choose(step) : step)) };
}

/** Only of a rig whose channels are known before it starts; on others a channel may still appear. */
function checkTargets(steps: readonly PlanStep[], channelCount: number): void {
  for (const { target } of steps.flatMap((s) => (s.protocol === "evolution" ? s.threads : []))) {
    if (target !== "auto" && target >= channelCount) throw new FaultError({ code: "unknownChannel", message: `Expected a target channel from 0 to ${channelCount - 1} or "auto", got ${target}. Choose another target.` });
  }
}

/** Images that earlier runs recorded are shown again as they are in the file, whatever has become of their folder. */
function openRecordedImages(file: string, before: number): { readonly image: (imageId: number) => ImageBatch | null; readonly close: () => void } {
  const reader = unwrap(openSession(file));
  return {
    image(imageId) {
      if (imageId >= before) return null;
      const found = reader.image(imageId)?.record ?? null;
      return found === null ? null : { count: 1, width: found.widthPx, height: found.heightPx, data: found.rgb };
    },
    close: () => reader.close(),
  };
}

/** Hashes of the own protocols that a session was recorded with. */
export function recordedSources(file: string): ReadonlyMap<string, string> {
  const reader = unwrap(openSession(file));
  try {
    return sourcesOf(reader);
  } finally {
    reader.close();
  }
}

function openThread(thread: ThreadConfig, index: number, generator: Generator, latent: GeneratorManifest["latent"] | null, rng: ReturnType<typeof createRng>): EvolutionThread {
  // What suits this generator (step size, radius, norm cap) and the noise of a recording, then what the session asks for.
  const { setups } = defaultsFor({
    generator: { latentDim: generator.latentDim, initialStepSize: thread.initialStepSize ?? generator.initialStepSize, ...(latent === null ? {} : { typicalNorm: latent.typicalNorm }) },
    noise: "high",
  });
  const setup = new Map<string, (typeof setups)[keyof typeof setups]>(Object.entries(setups)).get(thread.optimizer);
  const optimizer = unwrap(
    createOptimizer({
      name: thread.optimizer,
      dim: generator.latentDim,
      rng,
      constraints: thread.constraints === null ? (setup?.constraints ?? {}) : withoutUndefined(thread.constraints),
      ...startOf(thread, generator.latentDim, latent?.start),
      options: {
        ...(thread.populationSize === null ? {} : { population: thread.populationSize }),
        ...setup?.options,
        ...numbersAndText(thread.optimizerOptions),
      },
    }),
  );
  return { index, generator, optimizer, target: thread.target === "auto" ? 0 : thread.target };
}

/** A flash of 50 ms and 50 ms of black between two: the lag is measured in about two seconds. */
function displaySetupOf({ display, response }: SessionConfig, { kind, refreshHz }: DisplayGeometry): NonNullable<ClosedLoopOptions["displaySetup"]> {
  const frames = Math.max(2, Math.round(refreshHz * 0.05));
  const skipped = kind === "timed" ? "No screen: the engine times the images itself."
    : kind === "external" ? "Another program shows the images."
    : display.photodiodePx === 0 ? "The photodiode patch is switched off."
    : response.onsetFrom === "flip" ? "Onsets are the display's own by choice."
    : display.calibrationFlashes === 0 ? "No flashes were asked for." : "";
  return { photodiodeCode: display.photodiodeCode, flashes: skipped === "" ? display.calibrationFlashes : 0, onFrames: frames, offFrames: frames, skipped };
}

/** zod writes what is left out as undefined; the optimizer wants it left out. */
function withoutUndefined(constraints: NonNullable<ThreadConfig["constraints"]>): Constraints {
  const { normCap, fixedNorm, box, subspace } = constraints;
  return { ...(normCap === undefined ? {} : { normCap }), ...(fixedNorm === undefined ? {} : { fixedNorm }), ...(box === undefined ? {} : { box }), ...(subspace === undefined ? {} : { subspace }) };
}

function startOf(thread: ThreadConfig, dim: number, ownStart: readonly number[] | undefined): { readonly start?: ArrayLike<number> } {
  if (thread.startFrom === null) return ownStart === undefined ? {} : { start: ownStart };
  const start = unwrap(readStart(thread.startFrom));
  if (start.length !== dim) {
    throw new FaultError({ code: "startDimension", message: `Expected a start code of ${dim} numbers for ${thread.generator}, got ${start.length} from ${thread.startFrom.file}: that session evolved another generator's codes. Choose a session of ${thread.generator}, or another generator.` });
  }
  return { start };
}

function numbersAndText(options: ThreadConfig["optimizerOptions"]): Record<string, number | string> {
  return Object.fromEntries(Object.entries(options).map(([k, v]) => [k, typeof v === "boolean" ? Number(v) : v]));
}

function describeSession(config: SessionConfig, at: { readonly id: string; readonly startedUtc: string; readonly rig: string; readonly hostKind: SessionInfo["hostKind"] }): SessionInfo {
  const { subject } = config;
  return {
    id: at.id,
    subject: { id: subject.id, species: subject.species, sex: subject.sex, age: subject.age, dateOfBirth: subject.dateOfBirth, weightKg: subject.weightKg, description: subject.description },
    startedUtc: at.startedUtc,
    seed: String(config.seed),
    rig: at.rig,
    protocol: stepsOf(config).map((step) => (step.protocol === "lab" ? step.name : step.protocol)).join(", "),
    configJson: JSON.stringify(config),
    appVersion,
    hostKind: at.hostKind,
    description: config.notes === "" ? (config.plan.length === 0 ? "Closed-loop evolution of preferred images" : `Session of ${config.plan.length} steps: ${config.plan.map((step) => (step.protocol === "lab" ? step.name : step.protocol)).join(", ")}`) : config.notes,
    experimenters: config.experimenters,
    lab: config.lab,
    institution: config.institution,
  };
}
