// The models as the rest of the app sees them: generators, encoders and detectors behind ports, computed in a process
// of their own that is started again when it dies. Knows nothing about ONNX.

import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

import type { ModelManifest } from "../shared/manifest.ts";
import type { Detector, Encoder, LatentEncoder, LayerTail, ModelIdentity, PartsGenerator } from "../shared/ports.ts";
import { fault, FaultError, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { LatentBatch } from "../shared/values.ts";
import { isFromModels } from "./messages.ts";
import type { ModelsPort, RuntimeCall, ToModels } from "./messages.ts";
import type { ProviderAttempt } from "./providers.ts";
import type { RegistryEntry } from "./registry.ts";
import { createRuntime } from "./runtime.ts";
import type { ModelsNotice, ModelsRuntime, OpenedModel, RuntimeSettings } from "./runtime.ts";
import type { Tuning } from "./tuning.ts";

export interface ModelsOptions {
  /** Folders that hold models, the built-in one first; a user folder need not exist. */
  readonly modelsDirs: readonly string[];
  /** "auto" (default) or an execution provider's name. */
  readonly provider?: string;
  /** Threads of one model run; default 2, or 1 on a single core. Results on the CPU do not depend on it. */
  readonly threads?: number;
  /** Largest batch of one run, default 32. */
  readonly batchMax?: number;
  /** File that keeps measured batch sizes; without it nothing is measured. */
  readonly settingsFile?: string;
  /** Measures again what the settings file holds already. */
  readonly measureAnew?: boolean;
  /** Computes in this process: for tests and short tools. */
  readonly inProcess?: boolean;
  /** Opens the line to a models process; default is child_process.fork of `processEntry`. Electron gives one of its own. */
  readonly openPort?: () => Promise<ModelsPort>;
  /** Compiled entry file of the models process, where the sources are bundled. */
  readonly processEntry?: string;
  /** Providers left, batches halved, crashes: sentences for the operator. */
  readonly onNotice?: (notice: ModelsNotice) => void;
}

/** How an opened model runs. */
export interface ModelReport {
  readonly id: string;
  readonly kind: ModelManifest["kind"];
  readonly provider: string;
  readonly attempts: readonly ProviderAttempt[];
  readonly msPerImage: number;
  readonly threads: number;
  /** Items that one run takes at most. */
  readonly batch: number;
  /** How that was measured; null where nothing is measured. */
  readonly tuning: Tuning | null;
}

export interface Models {
  /** Models that can be opened, built-in ones first. */
  list(): readonly ModelManifest[];
  /** Everything in the folders, with what is wrong with it. */
  entries(): readonly RegistryEntry[];
  /** Reads the folders again. */
  refresh(): Promise<readonly RegistryEntry[]>;
  /** Errors of these three: `modelUnknown`, `modelKind`, those of the registry and of openSession, `modelsCrashed`. */
  generator(id: string): Promise<Result<PartsGenerator, Fault>>;
  encoder(id: string): Promise<Result<Encoder, Fault>>;
  detector(id: string): Promise<Result<Detector, Fault>>;
  /** Latents to features without images in between, for in-silico work. */
  latentEncoder(generatorId: string, encoderId: string): Promise<Result<LatentEncoder, Fault>>;
  /** From one layer of a classifier to its logits, and their gradients back to the layer. Errors: also `layerTail`. */
  layerTail(encoderId: string, layerName: string): Promise<Result<LayerTail, Fault>>;
  /** The execution providers of this machine, best first, and the chosen one ("auto" or a name). Errors: `modelsCrashed`. */
  providers(): Promise<Result<{ readonly present: readonly string[]; readonly chosen: string }, Fault>>;
  /** From now on models run on this provider; kept for later starts where there is a settings file. Models that were open are opened anew. Errors: `providerUnknown`. */
  chooseProvider(provider: string): Promise<Result<null, Fault>>;
  /** What runs where, for the models screen. */
  report(): readonly ModelReport[];
  close(): Promise<void>;
}

/** Restarts within this span after which the process is given up. */
const restartsMax = 5;
const restartSpanMs = 60_000;

export async function startModels(options: ModelsOptions): Promise<Result<Models, Fault>> {
  const threads = options.threads ?? Math.min(2, availableParallelism());
  if (!Number.isInteger(threads) || threads < 1) return fault("threadsInvalid", `Expected a whole number of threads of at least 1, got ${threads}. Change the models setting.`);
  const settings: RuntimeSettings = { provider: options.provider ?? "auto", threads, batchMax: Math.max(2, options.batchMax ?? 32), banned: new Map(), settingsFile: options.settingsFile ?? null, measureAnew: options.measureAnew ?? false };
  const onNotice = options.onNotice ?? (() => undefined);
  const backend = options.inProcess === true ? { runtime: createRuntime(options.modelsDirs, settings, { onNotice }), close: () => Promise.resolve() } : await connectProcess(options, settings, onNotice);
  if ("ok" in backend) return backend;
  const { runtime } = backend;

  let entries: readonly RegistryEntry[];
  try {
    entries = await runtime.entries();
  } catch (error) {
    await backend.close();
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  }
  const opened = new Map<string, OpenedModel>();

  async function open(id: string, kind: ModelManifest["kind"]): Promise<Result<OpenedModel, Fault>> {
    const result = await settle(() => runtime.open(id, kind));
    if (result.ok) opened.set(id, result.value);
    return result;
  }

  return ok({
    list: () => entries.flatMap((entry) => (entry.manifest !== null && entry.problem === null ? [entry.manifest] : [])),
    entries: () => entries,
    async refresh() {
      entries = await runtime.refresh();
      return entries;
    },
    async generator(id) {
      const result = await open(id, "generator");
      if (!result.ok) return result;
      const { manifest, identity } = result.value;
      if (manifest.kind !== "generator") throw new Error(`expected a generator, got a ${manifest.kind}`);
      return ok({
        identity,
        latentDim: manifest.input.dim,
        initialStepSize: manifest.latent.initialStepSize,
        widthPx: manifest.output.width,
        heightPx: manifest.output.height,
        hasMasks: manifest.parts.mask !== undefined,
        hasBackgrounds: manifest.parts.background !== undefined,
        decode: async (latents) => unwrap(await runtime.decode(id, latents)),
        decodeParts: async (latents) => unwrap(await runtime.decodeParts(id, latents)),
      });
    },
    async encoder(id) {
      const result = await open(id, "encoder");
      if (!result.ok) return result;
      const { manifest, identity } = result.value;
      if (manifest.kind !== "encoder") throw new Error(`expected an encoder, got a ${manifest.kind}`);
      return ok({
        identity,
        layers: manifest.layers.map(({ name, dim, shape }) => ({ name, dim, shape })),
        features: async (images, layerNames) => unwrap(await runtime.features(id, images, layerNames)),
      });
    },
    async detector(id) {
      const result = await open(id, "detector");
      if (!result.ok) return result;
      return ok({
        identity: result.value.identity,
        detect: async (images, wanted) =>
          unwrap(await runtime.detect(id, images, { scoreMin: wanted?.scoreMin ?? 0.25, overlapMax: wanted?.overlapMax ?? 0.45, boxesMax: wanted?.boxesMax ?? 100 })),
      });
    },
    async latentEncoder(generatorId, encoderId) {
      const generator = await open(generatorId, "generator");
      if (!generator.ok) return generator;
      const encoder = await open(encoderId, "encoder");
      if (!encoder.ok) return encoder;
      const fusion = await settle(() => runtime.openFused(generatorId, encoderId));
      if (!fusion.ok) return fusion;
      const identity = (model: OpenedModel): ModelIdentity => model.identity;
      return ok({
        generator: identity(generator.value),
        encoder: identity(encoder.value),
        fused: fusion.value.fused,
        features: async (latents, layerNames) => unwrap(await runtime.fusedFeatures(generatorId, encoderId, latents, layerNames)),
      });
    },
    async layerTail(id, layerName) {
      const result = await open(id, "encoder");
      if (!result.ok) return result;
      const { manifest, identity } = result.value;
      const layer = manifest.kind === "encoder" ? manifest.layers.find(({ name }) => name === layerName) : undefined;
      // One row now, so that a layer without a tail is refused here and not in the middle of the work.
      const tried = await settle(() => runtime.tail(id, layerName, null, { count: 1, dim: layer?.dim ?? 0, data: new Float32Array(layer?.dim ?? 0) }));
      if (!tried.ok) return tried;
      const run = async (unit: number | null, activations: LatentBatch) => unwrap(await runtime.tail(id, layerName, unit, activations));
      return ok({
        encoder: identity, layer: layerName, dim: layer?.dim ?? 0, units: tried.value[0]?.length ?? 0,
        logits: async (activations) => (await run(null, activations))[0] ?? new Float32Array(),
        gradient: async (activations, unit) => (await run(unit, activations))[1] ?? new Float32Array(),
      });
    },
    providers: () => settle(async () => ok(await runtime.providers())),
    async chooseProvider(provider) {
      const chosen = await settle(() => runtime.choose(provider));
      if (chosen.ok) opened.clear();
      return chosen;
    },
    report: () => [...opened.values()].map(({ manifest, identity, attempts, msPerImage, batch, tuning }) => ({ id: manifest.id, kind: manifest.kind, provider: identity.provider, attempts, msPerImage, threads, batch, tuning })),
    async close() {
      await runtime.close().catch(() => undefined);
      await backend.close();
    },
  });
}

/** A call whose line breaks is an expected failure. */
async function settle<T>(call: () => Promise<Result<T, Fault>>): Promise<Result<T, Fault>> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  }
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

async function connectProcess(options: ModelsOptions, settings: RuntimeSettings, onNotice: (notice: ModelsNotice) => void) {
  const openPort = options.openPort ?? (() => forkModelsProcess(options.processEntry));
  const pending = new Map<number, Pending>();
  const banned = new Map(settings.banned);
  const reopen = new Map<string, RuntimeCall>();
  const restarts: number[] = [];
  let nextId = 1;
  let port: ModelsPort | null = null;
  let closing = false;
  let gone: Fault | null = null;
  let trying: string | null = null;
  let starting: Promise<void> | null = null;

  async function connect(): Promise<void> {
    const line = await openPort();
    line.onMessage((message) => {
      if (!isFromModels(message)) return;
      switch (message.kind) {
        case "answer":
          pending.get(message.id)?.resolve(message.value);
          pending.delete(message.id);
          break;
        case "threw":
          pending.get(message.id)?.reject(new Error(`The models process failed: ${message.message}`));
          pending.delete(message.id);
          break;
        case "notice": onNotice(message.notice); break;
        case "trying": trying = message.provider; break;
      }
    });
    line.onClosed((reason) => {
      if (port !== line) return;
      port = null;
      recover(reason);
    });
    post(line, { kind: "start", modelsDirs: options.modelsDirs, settings: { ...settings, banned } });
    port = line;
  }

  function recover(reason: string): void {
    const lost: Fault = closing
      ? { code: "modelsClosed", message: "The models were closed while this call was under way." }
      : { code: "modelsCrashed", message: `The models process ended (${reason}) while this call was under way. It is being started again; repeat the action.` };
    for (const call of pending.values()) call.reject(new FaultError(lost));
    pending.clear();
    if (closing) return;
    onNotice({ kind: "crashed", model: "", message: `The models process ended: ${reason}.` });
    if (trying !== null) {
      banned.set(trying, `It took the models process down (${reason}). Choose it in the models setting to try again after an update of its driver.`);
      trying = null;
    }
    const now = performance.now();
    restarts.push(now);
    if (restarts.filter((at) => now - at < restartSpanMs).length > restartsMax) {
      gone = { code: "modelsDown", message: `The models process ended ${restartsMax + 1} times within a minute (last: ${reason}) and is not started again. Restart the app; if it goes on, verify the models: evoked models verify.` };
      return;
    }
    starting = connect().then(
      () => {
        starting = null;
        onNotice({ kind: "restarted", model: "", message: "The models process was started again." });
        // Warm up what was in use, so that the next generation of a running session does not wait for it.
        for (const call of reopen.values()) void request(call).catch(() => undefined);
      },
      (error: unknown) => {
        starting = null;
        gone = { code: "modelsDown", message: `The models process could not be started again: ${error instanceof Error ? error.message : String(error)}. Restart the app.` };
      },
    );
  }

  async function request(call: RuntimeCall): Promise<unknown> {
    if (starting !== null) await starting;
    if (gone !== null) throw new FaultError(gone);
    const line = port;
    if (line === null) throw new FaultError({ code: "modelsClosed", message: "The models are closed. Start a new session." });
    const id = nextId++;
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
      post(line, { kind: "call", id, call });
    });
  }

  // Both ends are one program: the answer to a method has that method's type.
  const ask = <M extends RuntimeCall["method"]>(call: Extract<RuntimeCall, { method: M }>) => request(call) as ReturnType<ModelsRuntime[M]>;

  const runtime: ModelsRuntime = {
    entries: () => ask<"entries">({ method: "entries", args: [] }),
    refresh: () => ask<"refresh">({ method: "refresh", args: [] }),
    open(...args) {
      reopen.set(args.join(" "), { method: "open", args });
      return ask<"open">({ method: "open", args });
    },
    decode: (...args) => ask<"decode">({ method: "decode", args }),
    decodeParts: (...args) => ask<"decodeParts">({ method: "decodeParts", args }),
    features: (...args) => ask<"features">({ method: "features", args }),
    detect: (...args) => ask<"detect">({ method: "detect", args }),
    openFused: (...args) => ask<"openFused">({ method: "openFused", args }),
    fusedFeatures: (...args) => ask<"fusedFeatures">({ method: "fusedFeatures", args }),
    tail: (...args) => ask<"tail">({ method: "tail", args }),
    providers: () => ask<"providers">({ method: "providers", args: [] }),
    choose: (...args) => ask<"choose">({ method: "choose", args }),
    close: () => ask<"close">({ method: "close", args: [] }),
  };

  try {
    await connect();
  } catch (error) {
    return fault("modelsDown", `The models process could not be started: ${error instanceof Error ? error.message : String(error)}. Check that the installation is complete (npm start installs what is missing).`);
  }
  return {
    runtime,
    async close() {
      closing = true;
      const line = port;
      port = null;
      await line?.close();
      recover("closed");
    },
  };
}

function post(line: ModelsPort, message: ToModels): void {
  line.post(message);
}

const stderrTailChars = 2000;

/** Starts a models process by child_process.fork. `pid` is for the log (and for tests that end it). */
export async function forkModelsProcess(entry?: string): Promise<ModelsPort & { readonly pid: number }> {
  const file = entry ?? fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./process.ts" : "./process.js", import.meta.url));
  const child = fork(file, [], {
    serialization: "advanced",
    execArgv: [],
    // Under Electron the same binary is Node with this set; elsewhere it means nothing.
    env: { ...process.env, ELECTRON_RUN_AS_NODE: "1" },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let tail = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    tail = (tail + text).slice(-stderrTailChars);
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => {
      const last = tail.trim().split("\n").at(-1) ?? "";
      resolve(`${signal === null ? `exit code ${code}` : `signal ${signal}`}${last === "" ? "" : `: ${last}`}`);
    });
  });
  child.on("error", () => undefined); // A failed send shows as the exit that caused it.
  return {
    pid: child.pid ?? 0,
    post(message) {
      if (child.connected) child.send(message);
    },
    onMessage: (listener) => child.on("message", listener),
    onClosed: (listener) => void ended.then(listener),
    async close() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
      await ended;
      clearTimeout(timer);
    },
  };
}
