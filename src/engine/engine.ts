// The composition root: the contract's methods over models, rigs, sessions and the loop. Knows nothing about transport.
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import { defaultsFor, optimizerRegistry } from "../evolve/index.ts";
import { startModels } from "../models/client.ts";
import type { Models } from "../models/client.ts";
import { checkWritable } from "../session/folder.ts";
import { listSessions, openSession } from "../session/reader.ts";
import type { SessionReader } from "../session/reader.ts";
import type { AppDescription, Check, Device, EventName, EventPayload, GalleryItem, Handlers, MethodResult, PlanStep, SessionConfig, Snapshot } from "../shared/contract/index.ts";
import type { OptimizerName } from "../evolve/index.ts";
import type { ModelManifest } from "../shared/manifest.ts";
import { stepsOf } from "../shared/contract/index.ts";
import { FaultError, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { nsPerMs } from "../shared/units.ts";
import type { ImageBatch } from "../shared/values.ts";
import { checkSession } from "./check.ts";
import { createModelNotices } from "./modelNotices.ts";
import { modelSettingsFile } from "./modelsCommands.ts";
import { createInsilicoHandlers } from "./insilico/handlers.ts";
import { createDiverseSetHandlers } from "./diverseSet/job.ts";
import { createModelsHandlers } from "./modelsHandlers.ts";
import { describeDevices } from "./devices.ts";
import { createDisplayTests, problemOfScreen } from "./displayTests.ts";
import { openDisplayVerdicts } from "./displayVerdicts.ts";
import type { Caller, Engine, EngineEvent, EngineOptions } from "./engineTypes.ts";
import { openLiveSession } from "./liveSession.ts";
import type { LiveSession } from "./liveSession.ts";
import { readQueuedImages } from "./queuedImages.ts";
import { modelImagesOf } from "./modelImages.ts";
import { createPlanHandlers } from "./plans.ts";
import { createPlaybacks } from "./playbacks.ts";
import { createRealClock } from "./realClock.ts";
import { defaultPlanFolder, defaultProtocolFolder, userCache } from "./paths.ts";
import { readResumePoint } from "./resume.ts";
import { deviceKinds, rigKinds } from "./rig.ts";
import { createRigHandlers } from "./rigProfiles.ts";
import { createRigWatch } from "./rigWatch.ts";
import { placementOf } from "./placement.ts";
import { userRigs } from "./paths.ts";
import { reviewSnapshot, recordedResponses, recordedGeneration, toSummary } from "./review.ts";
import { createSessionTools } from "./sessionTools.ts";
import { createTelemetry } from "./telemetry.ts";
import type { Telemetry } from "./telemetry.ts";
import { createTimedDisplay } from "./timedDisplay.ts";
import { createWatch } from "./watch.ts";
import type { Watch } from "./watch.ts";
import { appVersion } from "./version.ts";
import { createWindowDisplay } from "./windowDisplay.ts";
import type { WindowDisplay } from "./windowDisplay.ts";

const automaticOptimizer = {
  name: "auto", title: "Automatic", options: [],
  whenToUse: "Follows the generator: full CMA-ES where its codes are short, Cholesky CMA-ES where they are long. The session's file says which one ran.",
};

const liveMs = 100;
/** A stimulus window may take this long to open after Start. */
const windowWaitMs = 20_000;

const idleSnapshot: Snapshot = {
  phase: "idle", session: null, channels: [], response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 150, fixationWindowDeg: 1 },
  live: null, curve: [], gallery: [], log: [], reports: [], views: [], stepReports: [], failure: null, timing: null, agesMs: null,
};

interface Running {
  readonly session: LiveSession | null;
  readonly telemetry: Telemetry;
  readonly watch: Watch;
  readonly images: Map<number, { readonly image: ImageBatch; readonly label: string }>;
  ticker: NodeJS.Timeout | null;
  ended: boolean;
}

export async function createEngine(options: EngineOptions): Promise<Result<Engine, Fault>> {
  const clock = createRealClock();
  const listeners = new Set<(event: EngineEvent) => void>();
  let running: Running | null = null;
  const notices = createModelNotices();
  // The last folder is the user's own: measurements of this machine are kept in it.
  const ownModels = options.modelFolders.length > 1 ? options.modelFolders.at(-1) : undefined;
  const started = await startModels({
    modelsDirs: options.modelFolders, inProcess: options.modelsInProcess ?? false, ...(ownModels === undefined ? {} : { settingsFile: modelSettingsFile(ownModels) }),
    onNotice: (notice) => {
      if (running === null || running.ended || running.session === null) return;
      const record = notices.recordOf(notice);
      if (record !== null) running.session.record(record);
    },
  });
  if (!started.ok) return started;
  const models: Models = started.value;
  let starting = false;

  const send = (event: EngineEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const emit = <E extends EventName>(event: E, payload: EventPayload<E>): void => send({ event, payload, callerId: null } as EngineEvent);
  const screen: WindowDisplay = createWindowDisplay({ clock, send: (callerId, command) => send({ event: "stimulus", payload: command, callerId }) });

  const tools = createSessionTools({ sessionFolder: options.sessionFolder, hostKind: options.host, onJob: (job) => emit("job", job) });
  const playbacks = createPlaybacks((callerId) => (event, payload) => send({ event, payload, callerId } as EngineEvent));

  function current(): Running & { readonly session: LiveSession } {
    if (running === null || running.session === null || running.ended) throw new FaultError({ code: "noSession", message: "No session is running. Start one first." });
    return { ...running, session: running.session };
  }

  function folderOf(config: SessionConfig): string {
    return config.folder ?? options.sessionFolder;
  }

  async function start(config: SessionConfig, resumeFile?: string): Promise<Result<{ readonly file: string }, Fault>> {
    if (starting || (running !== null && !running.ended)) return fault("sessionRunning", "A session is already running. Stop it before starting another.");
    starting = true;
    try {
      // The session wants the devices.
      await rigWatch.close();
      if (config.display.kind === "window") await waitForWindow();
      const telemetryHolder: { telemetry: Telemetry | null } = { telemetry: null };
      const images: Running["images"] = new Map();
      const display = config.display.kind === "window" ? screen : createTimedDisplay({ clock });
      const early: Parameters<Telemetry["onRecord"]>[] = [];
      const watch = createWatch();
      const opened = await openLiveSession({
        config, clock, models, display, sessionFolder: folderOf(config), hostKind: options.host, rewardFolder: join(options.rigFolder ?? userRigs, "rewards"), protocolFolder: options.protocolFolder ?? defaultProtocolFolder, ...(resumeFile === undefined ? {} : { resumeFile }),
        listener: {
          presentation: (p) => {
            watch.presentation(p.excluded === null ? "counted" : p.excluded === "noOnsetMark" || p.excluded === "lateFrame" ? p.excluded : "other");
            telemetryHolder.telemetry?.listener.presentation?.(p);
          },
          raster: (p, spikes, channel) => telemetryHolder.telemetry?.listener.raster?.(p, spikes, channel),
          generation: (g) => {
            telemetryHolder.telemetry?.listener.generation?.(g);
            forgetImages(images, g.ranked.map((r) => r.imageId));
          },
          trial: (outcome, id) => telemetryHolder.telemetry?.listener.trial?.(outcome, id),
          screen: (imageId, fixation, i, n) => telemetryHolder.telemetry?.listener.screen?.(imageId, fixation, i, n),
          eye: (batch, inside) => {
            watch.eye({ valid: batch.valid.includes(1), atMs: clock.now() / nsPerMs });
            telemetryHolder.telemetry?.listener.eye?.(batch, inside);
          },
          report: (thread, report) => telemetryHolder.telemetry?.listener.report?.(thread, report),
          stepReport: (report, view) => telemetryHolder.telemetry?.listener.stepReport?.(report, view),
          needsImages: (step, settings) => void supplyModelImages(step, settings),
          ended: (reason, message) => void finish(reason, message),
        },
        onRecord: (body, hostNs) => {
          if (body.kind === "image") images.set(body.imageId, { image: { count: 1, width: body.widthPx, height: body.heightPx, data: body.rgb }, label: body.label });
          if (telemetryHolder.telemetry === null) early.push([body, hostNs]);
          else telemetryHolder.telemetry.onRecord(body, hostNs);
        },
      });
      if (!opened.ok) return opened;
      const session = opened.value;
      const first = stepsOf(session.config).flatMap((step) => (step.protocol === "evolution" ? step.threads : []))[0];
      const telemetry = createTelemetry({
        config,
        session: {
          id: session.id, file: session.file, subject: config.subject.id, startedUtc: session.startedUtc, seed: config.seed, rig: session.rig.title,
          generator: models.entries().find((m) => m.id === first?.generator)?.manifest?.title ?? "", optimizer: optimizerRegistry.find((o) => o.name === first?.optimizer)?.title ?? "", provider: models.report()[0]?.provider ?? "",
        },
        now: () => clock.now(),
        channels: () => session.rig.source.channels(),
        rewardLimits: () => (session.reward === null || config.rig.reward === null ? {} : { dayMl: session.reward.totals.dayMl, dayMlMax: session.reward.totals.dayMlMax, sessionMlMax: session.reward.totals.sessionMlMax }),
        devices: (): readonly Device[] => describeDevices({ session, now: clock.now(), screen: config.display.kind === "window" ? screen : null }),
        emit, past: session.reports,
      });
      telemetryHolder.telemetry = telemetry;
      for (const record of early) telemetry.onRecord(...record);
      telemetry.attach(session.loop);
      notices.forget();
      running = { session, telemetry, watch, images, ticker: setInterval(() => tick(), liveMs), ended: false };
      telemetry.setPhase("starting");
      await session.loop.start();
      if (config.display.kind === "window" && screen.attachedCaller === null) session.loop.displayLost("it was closed while the session started");
      telemetry.setPhase("running");
      return ok({ file: session.file });
    } catch (error) {
      if (running?.session !== null && running !== null && !running.ended) {
        await running.session.close();
        endRunning("failed", error instanceof Error ? error.message : String(error));
      }
      if (error instanceof FaultError) return fault(error.code, error.message);
      throw error;
    } finally {
      starting = false;
    }
  }

  /** A validation that makes its images from this session's own models. Whatever comes of it, the session goes on. */
  async function supplyModelImages(step: number, settings: PlanStep): Promise<void> {
    const mine = running;
    if (mine === null || mine.session === null || settings.protocol !== "validation" || settings.source !== "fit") return;
    const { session } = mine;
    const note = (severity: "info" | "warn", message: string): void => session.record({ kind: "event", category: "engine", severity, code: "modelImages", message, dataJson: "" });
    note("info", `Neuron models are fitted and their images made for step ${step + 1}.`);
    const made = await modelImagesOf({ session, settings, models, channel: session.loop.status.targets[0] ?? 0, onNote: (message) => note("info", message) });
    if (mine.ended) return;
    if (made.ok) session.loop.queueImages(made.value);
    else session.loop.alarm({ code: "modelImages", severity: "warn", message: `No images of models for step ${step + 1}: ${made.error.message} Send images from the gallery, or skip the step.` });
  }

  function waitForWindow(): Promise<void> {
    if (screen.attachedCaller !== null) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const from = Date.now();
      const poll = setInterval(() => {
        if (screen.attachedCaller !== null) {
          clearInterval(poll);
          resolve();
        } else if (Date.now() - from > windowWaitMs) {
          clearInterval(poll);
          reject(new FaultError({ code: "noScreen", message: `Expected the subject's screen within ${windowWaitMs / 1000} s, none opened. Allow the pop-up window, open it with W, or choose "no screen" in the display settings.` }));
        }
      }, 50);
    });
  }

  function tick(): void {
    if (running === null || running.session === null) return;
    running.telemetry.tick();
    const failure = running.session.store.status().failure;
    if (failure !== null) running.session.loop.alarm({ code: "store", severity: "fault", message: `Recording has failed: ${failure.message}` });
    const disk = running.session.store.status();
    if (disk.diskLevel === "stop") running.session.loop.stop("The disk is full.");
    const { begun, over } = running.watch.ask({ atMs: clock.now() / nsPerMs, hasEye: running.session.rig.eye !== null, queuedRecords: disk.queuedRecords, committedRecords: disk.committedRecords, disk: { isLow: disk.diskLevel !== "ok", minutesLeft: disk.minutesLeft } });
    for (const alarm of begun) running.session.loop.alarm(alarm);
    for (const alarm of over) running.session.loop.alarmOver(alarm);
  }

  async function finish(reason: "completed" | "stopped" | "failed", message: string): Promise<void> {
    const mine = running;
    if (mine === null || mine.session === null) return;
    mine.telemetry.setPhase("stopping");
    try {
      await mine.session.close();
    } finally {
      if (running === mine) endRunning(reason, message);
    }
  }

  function endRunning(reason: "completed" | "stopped" | "failed", message: string): void {
    if (running === null) return;
    if (running.ticker !== null) clearInterval(running.ticker);
    running.telemetry.tick();
    running.ended = true;
    running.telemetry.setPhase(reason === "failed" ? "failed" : "finished", reason === "completed" ? undefined : message);
  }

  /** Images of older generations are read back from the session file. */
  function forgetImages(images: Running["images"], imageIds: readonly number[]): void {
    const keepFrom = Math.min(...imageIds) - 400;
    for (const id of images.keys()) if (id < keepFrom && id > 200) images.delete(id);
  }

  async function withReader<T>(file: string, use: (reader: SessionReader) => Promise<T> | T): Promise<Result<T, Fault>> {
    const opened = openSession(file);
    if (!opened.ok) return opened;
    try {
      return ok(await use(opened.value));
    } finally {
      opened.value.close();
    }
  }

  async function imageOf(file: string | null, imageId: number): Promise<Result<MethodResult<"image.get">, Fault>> {
    const held = file === null || file === running?.session?.file ? running?.images.get(imageId) : undefined;
    if (held !== undefined) {
      const jpeg = await jpegOf(held.image);
      return ok({ widthPx: held.image.width, heightPx: held.image.height, mime: "image/jpeg", base64: jpeg.toString("base64"), rateHz: null, label: held.label });
    }
    const from = file ?? running?.session?.file;
    if (from === undefined) return fault("noSession", "No session is running; name a session file.");
    const opened = openSession(from);
    if (!opened.ok) return opened;
    try {
      const found = opened.value.image(imageId);
      if (found === null) return fault("noImage", `Expected an image ${imageId} in ${from}, found none.`);
      return ok({ widthPx: found.record.widthPx, heightPx: found.record.heightPx, mime: "image/png", base64: Buffer.from(found.png).toString("base64"), rateHz: null, label: found.record.label });
    } finally {
      opened.value.close();
    }
  }

  const done = async (): Promise<Result<null, Fault>> => ok(null);
  const { close: stopAnalyses, ...insilicoHandlers } = createInsilicoHandlers({ models, modelFolders: options.modelFolders, sessionFolder: options.sessionFolder, hostKind: options.host, emit: (line) => emit("insilico", line) });
  const { close: stopBuilding, ...diverseSetHandlers } = createDiverseSetHandlers({
    modelFolders: options.modelFolders, cacheFolder: userCache, emit: (line) => emit("diverseSet", line), isSessionRunning: () => starting || running?.ended === false,
  });
  const { close: stopFetching, ...modelsHandlers } = createModelsHandlers({
    models, modelFolders: options.modelFolders, emitFetch: (progress) => emit("modelFetch", progress), isSessionRunning: () => starting || running?.ended === false,
  });

  const verdicts = openDisplayVerdicts(join(options.rigFolder ?? userRigs, "displays"));
  const displayTests = createDisplayTests({ clock, screen, verdicts, isSessionRunning: () => starting || running?.ended === false });
  const rigWatch = createRigWatch({
    clock, sessionFolder: options.sessionFolder, rewardFolder: join(options.rigFolder ?? userRigs, "rewards"), emit: (state) => emit("rig", state), isSessionRunning: () => starting || running?.ended === false,
    screen: { get attached() { return screen.attachedCaller !== null; }, geometry: () => screen.geometry(), place: (display) => screen.place(placementOf(display, screen.geometry())), showFixation: (visible, at) => screen.showFixation(visible, at), onReport: (listener) => screen.onReport(listener), run: (trialId, flashes) => screen.run(trialId, flashes), abort: (trialId) => screen.abort(trialId) },
    encoder: (id) => models.encoder(id),
    display: { last: (rig) => verdicts.last(rig), get secondsLeft() { return displayTests.secondsLeft; }, get status() { return displayTests.status; } },
  });

  const handlers: Handlers<Caller> = {
    "app.describe": async (_args, caller): Promise<Result<AppDescription, Fault>> =>
      ok({
        version: appVersion, host: options.host, sessionFolder: options.sessionFolder, rigs: [...rigKinds], ...deviceKinds,
        optimizers: [automaticOptimizer, ...optimizerRegistry.map((o) => ({
          name: o.name, title: o.title, whenToUse: o.whenToUse,
          options: o.options.map((spec) => ({
            name: spec.name, unit: spec.unit, default: followsGenerator(o.name, spec.name) ? null : (spec.default ?? null), description: spec.description, defaultRule: spec.defaultRule,
            ...(spec.kind === "choice" ? { choices: [...spec.choices] } : { min: spec.min, max: spec.max }),
          })),
        }))],
        models: models.entries().map((m) => ({
          id: m.id, kind: m.manifest?.kind ?? "", title: m.manifest?.title ?? m.id, description: m.manifest?.description ?? "",
          detail: m.manifest === null ? "" : describeModel(m.manifest), problem: m.problem?.message ?? null, ...layersOf(m.manifest),
        })),
        provider: models.report()[0]?.provider ?? "chosen when a model is loaded", mayOperate: caller.access.includes("operate"),
      }),
    "clock.ping": async () => ok({ hostNs: clock.now() }),
    "session.snapshot": async () => ok(running?.telemetry.snapshot() ?? idleSnapshot),
    "session.responses": async ({ channel, last }) => {
      if (running === null || running.session === null) return ok([]);
      const held = running.telemetry.responses(channel, last);
      if (held.length >= last) return ok(held);
      return withReader(running.session.file, (reader) => recordedResponses(reader, { channel, generation: null, last }));
    },
    "session.check": async ({ config }): Promise<Result<readonly Check[], Fault>> => ok(await checkSession(config, { models, folder: folderOf(config), screenAttached: screen.attachedCaller !== null, screenProblem: problemOfScreen(screen.facts), protocolFolder: options.protocolFolder ?? defaultProtocolFolder })),
    "session.start": ({ config }) => start(config),
    "session.pause": async () => {
      const { session, telemetry } = current();
      session.loop.pause();
      telemetry.setPhase("paused");
      return done();
    },
    "session.resume": async () => {
      const { session, telemetry } = current();
      session.loop.resume();
      telemetry.setPhase("running");
      return done();
    },
    "session.stop": async () => {
      current().session.loop.stop();
      return done();
    },
    "session.dismiss": async () => {
      if (running !== null && !running.ended) return fault("sessionRunning", "The session is still running. Stop it first.");
      running = null;
      emit("session", { phase: "idle" });
      return done();
    },
    "session.setTarget": async ({ thread, channel }) => {
      current().session.loop.setTarget(thread, channel);
      return done();
    },
    "session.unitsResorted": async ({ channels }) => {
      const { session } = current();
      const replaced = session.rig.source.resort?.(channels);
      if (replaced === undefined) return fault("noUnits", "This rig has no units as targets: name channels whose units are targets, or merges with units, on the rig screen before the session.");
      session.loop.unitsResorted(replaced);
      return ok({ replaced: replaced.length });
    },
    "session.endBreak": async () => {
      current().session.loop.endBreak();
      return ok(null);
    },
    "session.skipGeneration": async () => {
      current().session.loop.skipGeneration();
      return done();
    },
    "session.skipBlock": async () => {
      current().session.loop.skipGeneration();
      return done();
    },
    "session.skipStep": async () => {
      current().session.loop.skipStep();
      return done();
    },
    "session.repeatStep": async ({ step }) => {
      current().session.loop.repeatStep(step);
      return done();
    },
    "session.queueImages": async ({ images }, caller) => {
      const { session } = current();
      const pixels = await readQueuedImages(images, (of) => insilicoHandlers["insilico.image"](of, caller));
      if (!pixels.ok) return pixels;
      session.loop.queueImages(pixels.value);
      return ok({ queued: pixels.value.length });
    },
    "session.note": async ({ text }) => {
      current().session.record({ kind: "event", category: "note", severity: "info", code: "note", message: text, dataJson: "" });
      return done();
    },
    "eye.recentre": async () => {
      const { session } = current();
      if (session.rig.eye === null) return fault("noEye", "This rig has no eye tracker to recentre.");
      session.rig.eye.recentre();
      session.record({ kind: "event", category: "engine", severity: "info", code: "recentre", message: "The operator recentred the gaze.", dataJson: "" });
      return done();
    },
    "reward.pulse": async ({ pulseMs }) => {
      await current().session.loop.rewardNow(pulseMs);
      return ok({ pulseMs });
    },
    "reward.setPulse": async ({ pulseMs }) => {
      current().session.loop.setRewardMs(pulseMs);
      return done();
    },
    "sessions.list": async () => ok(toSummary(listSessions(options.sessionFolder), running?.ended === false ? (running.session?.file ?? null) : null)),
    "sessions.open": ({ file }) => withReader(file, reviewSnapshot),
    "sessions.responses": ({ file, channel, generation, last }) => withReader(file, (reader) => recordedResponses(reader, { channel, generation, last })),
    "sessions.resume": async ({ file }) => {
      const past = readResumePoint(file);
      return past.ok ? start(past.value.config, file) : past;
    },
    "replay.open": async ({ file }, caller) => ok(await playbacks.open(caller.id, file)),
    "replay.control": async (control, caller) => {
      await playbacks.control(caller.id, control);
      return done();
    },
    "replay.snapshot": async (_args, caller) => ok(await playbacks.snapshot(caller.id)),
    "replay.responses": async ({ channel, last }, caller) => ok(await playbacks.responses(caller.id, channel, last)),
    ...tools.handlers,
    "image.get": ({ file, imageId }) => imageOf(file, imageId),
    "images.ofGeneration": async ({ file, thread, generation }): Promise<Result<readonly GalleryItem[], Fault>> => {
      if (file === null) {
        const held = running?.telemetry.ofGeneration(thread, generation) ?? [];
        if (held.length > 0) return ok(held);
      }
      const from = file ?? running?.session?.file;
      if (from === undefined) return ok([]);
      return withReader(from, (reader) => recordedGeneration(reader, thread, generation));
    },
    ...createPlanHandlers({ planFolder: options.planFolder ?? defaultPlanFolder, protocolFolder: options.protocolFolder ?? defaultProtocolFolder }),
    ...createRigHandlers(options.rigFolder ?? userRigs),
    ...rigWatch.handlers,
    ...modelsHandlers,
    ...diverseSetHandlers,
    ...insilicoHandlers,
    ...displayTests.handlers,
    "stimulus.attach": async ({ widthPx, heightPx, refreshHz, window }, caller) => {
      screen.attach(caller.id, { kind: "window", widthPx, heightPx, refreshHz }, window);
      return done();
    },
    "stimulus.pixels": async ({ imageId }) => screen.pixels(imageId),
    "stimulus.report": async ({ reports }, caller) => {
      for (const report of reports) screen.report(caller.id, report);
      return done();
    },
  };

  const writable = checkWritable(options.sessionFolder);
  if (!writable.ok) {
    await models.close();
    return writable;
  }

  return ok({
    handlers,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    callerGone(callerId) {
      screen.detach(callerId, "its window was closed");
      playbacks.close(callerId);
    },
    async close() {
      if (running !== null && !running.ended && running.session !== null) {
        running.session.loop.stop("The app was closed.");
        await running.session.close();
        endRunning("stopped", "The app was closed.");
      }
      await rigWatch.close();
      playbacks.closeAll();
      await tools.close();
      stopFetching();
      await stopBuilding();
      await stopAnalyses();
      if (running?.ticker) clearInterval(running.ticker);
      await models.close();
    },
  });
}

/** Options whose default is the generator's: a session sets them for its own one. */
const generatorDefaults = defaultsFor({ generator: { latentDim: 1, initialStepSize: 1, typicalNorm: 1 }, noise: "high" }).setups;

function followsGenerator(optimizer: OptimizerName, option: string): boolean {
  return option in generatorDefaults[optimizer].options;
}

function describeModel(m: ModelManifest): string {
  const size = `${(m.sizeBytes / 1e6).toFixed(1)} MB`;
  if (m.kind === "generator") return `${m.input.dim}-d, ${m.output.width} x ${m.output.height} px, ${size}`;
  if (m.kind === "encoder") return `${m.layers.map((l) => l.name).join(", ")}, ${size}`;
  return size;
}

function layersOf(m: ModelManifest | null): { readonly layers: string[]; readonly penultimate: string | null } {
  if (m?.kind !== "encoder") return { layers: [], penultimate: null };
  return { layers: m.layers.map((l) => l.name).filter((name) => name !== m.logits), penultimate: m.penultimate };
}

async function jpegOf(image: ImageBatch): Promise<Buffer> {
  const rgba = new Uint8Array(image.width * image.height * 4).fill(255);
  for (let i = 0; i < image.width * image.height; i++) {
    rgba[i * 4] = image.data[i * 3] ?? 0;
    rgba[i * 4 + 1] = image.data[i * 3 + 1] ?? 0;
    rgba[i * 4 + 2] = image.data[i * 3 + 2] ?? 0;
  }
  return Transformer.fromRgbaPixels(rgba, image.width, image.height).jpeg(92);
}
