// Runs models: opens them on the best provider, batches, schedules. One instance lives in the models process (or, in
// tests, beside its caller). Knows nothing about processes, messages or files other than models.
//
// Reproducible on the CPU: the number of threads is fixed per instance and does not change results; a batch of n gives
// bit for bit what n calls give. ONNX Runtime may take another matrix kernel for a single row than for several: whether
// it does is looked at when a model is opened, and where it does a single item runs with a copy of itself. Both are held
// by tests/contract/models.

import type { EncoderManifest, GeneratorManifest, DetectorManifest, ModelManifest } from "../shared/manifest.ts";
import type { Detections, GeneratedParts, ModelIdentity } from "../shared/ports.ts";
import { fault, FaultError, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng } from "../shared/rng.ts";
import type { ImageBatch, LatentBatch } from "../shared/values.ts";
import { composeModel, makeFitter, makePacker, makeQuantiser, makeUnpacker, takePiece } from "./onnx/compose.ts";
import type { ComposedValue, Piece } from "./onnx/compose.ts";
import { onnxFloat32, onnxUint8 } from "./onnx/graph.ts";
import type { OnnxGraph } from "./onnx/graph.ts";
import { gradientName, makeTail } from "./onnx/tail.ts";
import { suppressOverlaps } from "./detections.ts";
import { isOutOfMemory, listProviders, openSession, runSession, shorten } from "./providers.ts";
import type { CompiledModel, OpenedSession, PortSpec, ProviderAttempt, SessionMaker } from "./providers.ts";
import { describe, readCheckedModel, readRegistry } from "./registry.ts";
import type { CheckedModel, RegistryEntry } from "./registry.ts";
import { createScheduler } from "./scheduler.ts";
import type { Urgency } from "./scheduler.ts";
import { chooseBatch, openTuningStore } from "./tuning.ts";
import type { Tuning } from "./tuning.ts";

export interface RuntimeSettings {
  /** "auto" or a provider's name. */
  readonly provider: string;
  /** Threads of one model run, at least 1. */
  readonly threads: number;
  /** Largest batch that one run takes; halved by itself when memory runs out. */
  readonly batchMax: number;
  /** Providers not to be tried, with the reason. */
  readonly banned: ReadonlyMap<string, string>;
  /** Where measured batch sizes are kept; null: nothing is measured, batches go up to `batchMax`. */
  readonly settingsFile: string | null;
  /** Measure again what the settings file holds already. */
  readonly measureAnew: boolean;
}

/** What the operator should hear about: a provider left, a batch halved. */
export interface ModelsNotice {
  readonly kind: "providerLeft" | "batchHalved" | "restarted" | "crashed" | "notFused";
  readonly model: string;
  readonly message: string;
  /** Of `providerLeft`: the provider, and whether it was asked for by name. */
  readonly provider?: string;
  readonly wasWanted?: boolean;
}

/** How one model runs on this machine. */
export interface OpenedModel {
  readonly manifest: ModelManifest;
  readonly identity: ModelIdentity;
  readonly attempts: readonly ProviderAttempt[];
  readonly msPerImage: number;
  /** Items that one run takes at most, and how that was found. */
  readonly batch: number;
  readonly tuning: Tuning | null;
}

export interface DetectOptions {
  readonly scoreMin: number;
  readonly overlapMax: number;
  readonly boxesMax: number;
}

/** The calls of the models process; every argument and result is plain data or typed arrays. */
export interface ModelsRuntime {
  entries(): Promise<readonly RegistryEntry[]>;
  /** Reads the folders again, e.g. after an import. */
  refresh(): Promise<readonly RegistryEntry[]>;
  open(id: string, kind: ModelManifest["kind"]): Promise<Result<OpenedModel, Fault>>;
  decode(id: string, latents: LatentBatch): Promise<Result<ImageBatch, Fault>>;
  decodeParts(id: string, latents: LatentBatch): Promise<Result<GeneratedParts, Fault>>;
  features(id: string, images: ImageBatch, layerNames: readonly string[]): Promise<Result<readonly Float32Array[], Fault>>;
  /** Activations [count, dim] of a layer -> logits [count, units], and with `unit` the gradient [count, dim] of that logit. */
  tail(id: string, layerName: string, unit: number | null, activations: LatentBatch): Promise<Result<readonly Float32Array[], Fault>>;
  detect(id: string, images: ImageBatch, options: DetectOptions): Promise<Result<readonly Detections[], Fault>>;
  openFused(generatorId: string, encoderId: string): Promise<Result<{ readonly fused: boolean; readonly reason: string }, Fault>>;
  fusedFeatures(generatorId: string, encoderId: string, latents: LatentBatch, layerNames: readonly string[]): Promise<Result<readonly Float32Array[], Fault>>;
  /** The providers of this machine, best first, and the one that was chosen: "auto" or a name. */
  providers(): Promise<{ readonly present: readonly string[]; readonly chosen: string }>;
  /** Opens every model anew on this provider ("auto": the best of the machine) when it is next used, and keeps the choice in the settings file. Errors: `providerUnknown`. */
  choose(provider: string): Promise<Result<null, Fault>>;
  close(): Promise<void>;
}

/** What is remembered of a checked model: all but its weights. */
interface KnownModel {
  readonly manifest: ModelManifest;
  readonly opset: number;
  readonly nested: boolean;
}

interface Ready {
  readonly key: string;
  readonly model: CompiledModel;
  readonly opened: OpenedSession;
  /** Largest batch of one run; halved when memory runs out. */
  batch: number;
  tuning: Tuning | null;
  /** A single item alone gives bit for bit what it gives in a batch: it need not run with a copy of itself. */
  single: boolean;
}

/** Sessions beyond this number are closed, the one longest unused first: each holds its weights. */
const sessionsMax = 8;

/** Measuring the best batch of a model that was not seen on this machine before may take so long. */
const tuneMaxMs = 3000;
/** A model as slow as this is not run at load beyond the probe batch. */
const warmUpMaxMs = 500;
const warmUpItems = 8;
/** For so long after a running session asked for something, other work goes in pieces that do not keep it waiting. */
const liveRecentMs = 10_000;
const pieceMaxMs = 40;

export function createRuntime(
  modelsDirs: readonly string[],
  settings: RuntimeSettings,
  listeners: { readonly onNotice: (notice: ModelsNotice) => void; readonly onTrying?: (provider: string | null) => void; readonly sessionMaker?: SessionMaker },
): ModelsRuntime {
  let registry: Promise<readonly RegistryEntry[]> = readRegistry(modelsDirs);
  const checked = new Map<string, Promise<Result<KnownModel, Fault>>>();
  /** Graphs between their check and their first session; afterwards a file is read again where a further session needs it. */
  const graphs = new Map<string, OnnxGraph>();
  const sessions = new Map<string, Promise<Result<Ready, Fault>>>();
  const scheduler = createScheduler();
  const tunings = openTuningStore(settings.settingsFile);
  let lastLiveMs = -Infinity;
  let wanted = settings.provider;
  const present = (): readonly string[] => (listeners.sessionMaker ?? { providers: listProviders }).providers();

  /** What a command or a test asks for by name goes before the user's choice; a choice that this machine has not any more does not count. */
  async function chosenProvider(): Promise<string> {
    if (wanted !== "auto") return wanted;
    const kept = (await tunings).provider();
    return kept !== null && present().includes(kept) ? kept : "auto";
  }

  async function closeSessions(): Promise<void> {
    const open = [...sessions.values()];
    sessions.clear();
    for (const opening of open) {
      const session = await opening;
      // In its turn: a run under way is finished first.
      if (session.ok) await scheduler.run("background", () => session.value.opened.session.release());
    }
  }

  async function readModel(id: string): Promise<Result<CheckedModel, Fault>> {
    const entries = await registry;
    const entry = entries.find((candidate) => candidate.id === id);
    if (entry === undefined) {
      const names = entries.filter((candidate) => candidate.problem === null).map((candidate) => candidate.id);
      return fault("modelUnknown", `Expected one of the models ${names.join(", ") || "(none installed)"}, got "${id}". Choose another, or see: evoked models list.`);
    }
    return readCheckedModel(entry);
  }

  async function findModel(id: string): Promise<Result<KnownModel, Fault>> {
    const known = checked.get(id);
    if (known !== undefined) return known;
    const reading = readModel(id).then((read): Result<KnownModel, Fault> => {
      if (!read.ok) return read;
      const { manifest, graph } = read.value;
      graphs.set(id, graph);
      return ok({ manifest, opset: graph.opset, nested: graph.nested });
    });
    checked.set(id, reading);
    const result = await reading;
    if (!result.ok) checked.delete(id);
    return result;
  }

  /** The graph with its weights, for composing; hundreds of megabytes that nobody keeps. Throws a FaultError where the file has changed. */
  async function takeGraph(id: string): Promise<OnnxGraph> {
    const held = graphs.get(id);
    graphs.delete(id);
    return held ?? unwrap(await readModel(id)).graph;
  }

  async function findKind<K extends ModelManifest["kind"]>(id: string, kind: K): Promise<Result<KnownModel & { readonly manifest: Extract<ModelManifest, { kind: K }> }, Fault>> {
    const found = await findModel(id);
    if (!found.ok) return found;
    const { manifest, opset, nested } = found.value;
    if (!hasKind(manifest, kind)) return fault("modelKind", `Expected "${id}" to be a ${kind}, it is a ${manifest.kind}. Choose another model.`);
    return ok({ manifest, opset, nested });
  }

  /** A session for a composed graph; composed and opened once, closed when many newer ones are in use. */
  async function ready(key: string, modelId: string, compile: () => Promise<CompiledModel>): Promise<Result<Ready, Fault>> {
    const known = sessions.get(key);
    if (known !== undefined) {
      sessions.delete(key);
      sessions.set(key, known);
      return known;
    }
    const opening = scheduler.run("live", async (): Promise<Result<Ready, Fault>> => {
      let compiled: CompiledModel;
      try {
        compiled = await compile();
      } catch (error) {
        if (error instanceof FaultError) return fault(error.code, error.message);
        throw error;
      }
      const wanted = await chosenProvider();
      const opened = await openSession(compiled, { wanted, threads: settings.threads, banned: settings.banned, ...(listeners.onTrying === undefined ? {} : { onTrying: listeners.onTrying }), ...(listeners.sessionMaker === undefined ? {} : { runtime: listeners.sessionMaker }) });
      if (!opened.ok) return fault(opened.error.code, `Model "${modelId}": ${opened.error.message}`);
      for (const attempt of opened.value.attempts) {
        if (!attempt.used) listeners.onNotice({ kind: "providerLeft", model: modelId, provider: attempt.provider, wasWanted: attempt.provider === wanted, message: `${attempt.provider} is not used for ${modelId}. ${attempt.reason}` });
      }
      // The file was needed to open the session only; large models should not stay in memory twice.
      const fresh: Ready = { key: `${key} ${opened.value.provider} ${settings.threads}`, model: { ...compiled, file: new Uint8Array() }, opened: opened.value, batch: settings.batchMax, tuning: null, single: false };
      await prepare(fresh);
      fresh.single = await runsSingly(fresh);
      return ok(fresh);
    });
    sessions.set(key, opening);
    const result = await opening;
    if (!result.ok) sessions.delete(key);
    const oldest = sessions.keys().next();
    if (sessions.size > sessionsMax && !oldest.done) {
      const leaving = sessions.get(oldest.value);
      sessions.delete(oldest.value);
      void leaving?.then(async (old) => (old.ok ? scheduler.run("background", () => old.value.opened.session.release()) : undefined));
    }
    return result;
  }

  /** Chooses the batch size, by measurement where this machine has none yet, and warms the session up. */
  async function prepare(fresh: Ready): Promise<void> {
    const { model, opened } = fresh;
    const run = async (batch: number): Promise<boolean> => {
      try {
        await runSession(opened.session, model, repeatProbe(model, batch), batch);
        return true;
      } catch (error) {
        if (isOutOfMemory(describe(error))) return false;
        throw error;
      }
    };
    const store = await tunings;
    const known = settings.settingsFile === null || settings.measureAnew ? null : store.find(fresh.key);
    try {
      if (known !== null) fresh.tuning = known;
      else if (settings.settingsFile !== null) {
        fresh.tuning = await chooseBatch({ run, batchMax: settings.batchMax, budgetBytes: store.budgetBytes(), timeMaxMs: tuneMaxMs, now: () => performance.now(), rssBytes: () => process.memoryUsage.rss() });
        await store.save(fresh.key, fresh.tuning);
        return;
      }
      if (opened.msPerImage * warmUpItems < warmUpMaxMs) await run(Math.min(warmUpItems, fresh.tuning?.batch ?? settings.batchMax));
    } catch {
      // A model that fails on an ordinary batch says so at its first use, in a sentence.
    } finally {
      fresh.batch = Math.min(settings.batchMax, fresh.tuning?.batch ?? settings.batchMax);
    }
  }

  /** Whether the items of the probe batch, run one by one, give exactly what they give together. The first image of a generation is waited for: at half the work. */
  async function runsSingly({ model, opened }: Ready): Promise<boolean> {
    try {
      const together = await runSession(opened.session, model, model.probe.data, model.probe.count);
      if (!together.ok) return false;
      const width = model.probe.data.length / model.probe.count;
      for (let i = 0; i < model.probe.count; i++) {
        const alone = await runSession(opened.session, model, model.probe.data.slice(i * width, (i + 1) * width), 1);
        if (!alone.ok || !alone.value.every((values, k) => sameBytes(values, shareOf(together.value[k], i, model.probe.count)))) return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  /** Items of the next run: less than the model's best where a running session may want its turn soon. */
  function nextBatch({ batch, opened, tuning }: Ready, urgency: Urgency): number {
    if (urgency === "live" || performance.now() - lastLiveMs > liveRecentMs) return batch;
    const ms = tuning?.msPerItem ?? opened.msPerImage;
    return Math.max(2, Math.min(batch, Math.floor(pieceMaxMs / Math.max(ms, 0.01))));
  }

  async function halve(session: Ready, modelId: string, size: number): Promise<void> {
    session.batch = Math.max(2, Math.floor(size / 2));
    listeners.onNotice({ kind: "batchHalved", model: modelId, message: `Memory ran out at ${size} images at once; ${modelId} goes on with ${session.batch}.` });
    if (session.tuning === null || settings.settingsFile === null) return;
    session.tuning = { ...session.tuning, batch: session.batch, halved: true };
    await (await tunings).save(session.key, session.tuning);
  }

  /** Runs `count` items in batches, each batch in its turn, and joins the outputs. */
  async function runAll(session: Ready, modelId: string, data: Float32Array | Uint8Array, count: number, urgency: Urgency): Promise<Result<readonly (Float32Array | Uint8Array)[], Fault>> {
    const { model, opened } = session;
    if (urgency === "live") lastLiveMs = performance.now();
    const width = model.input.dims.reduce((a, b) => a * b, 1);
    const sizes = model.outputs.map((output) => output.dims.reduce((a, b) => a * b, 1));
    const joined = model.outputs.map((output, k) => (output.type === "float32" ? new Float32Array(count * (sizes[k] ?? 0)) : new Uint8Array(count * (sizes[k] ?? 0))));
    let done = 0;
    while (done < count) {
      const size = Math.min(count - done, nextBatch(session, urgency));
      const part = data.subarray(done * width, (done + size) * width);
      const from = done;
      const step = await scheduler.run(urgency, async () => {
        try {
          return size === 1 && !session.single ? await runSession(opened.session, model, twice(part), 2) : await runSession(opened.session, model, part, size);
        } catch (error) {
          const message = describe(error);
          if (isOutOfMemory(message)) return fault("outOfMemory", message);
          return fault("modelFailed", `Model "${modelId}" failed on ${opened.provider}: ${shorten(message)}. Choose another provider in the models setting, or verify the model.`);
        }
      });
      if (!step.ok) {
        if (step.error.code !== "outOfMemory") return step;
        if (size <= 2) return fault("outOfMemory", `There is not enough memory to run "${modelId}" on even two images at once. Close other programs or choose a smaller model.`);
        await halve(session, modelId, size);
        continue;
      }
      step.value.forEach((values, k) => {
        const sizeOut = sizes[k] ?? 0;
        const target = joined[k];
        if (target instanceof Float32Array || target instanceof Uint8Array) target.set(values.length > size * sizeOut ? values.subarray(0, sizeOut) : values, from * sizeOut);
      });
      done += size;
    }
    return ok(joined);
  }

  function identityOf(manifest: ModelManifest, provider: string): ModelIdentity {
    return { id: manifest.id, title: manifest.title, sha256: manifest.sha256, provider };
  }

  function generatorReady({ manifest }: { readonly manifest: GeneratorManifest }, withParts: boolean): Promise<Result<Ready, Fault>> {
    return ready(`generator ${nameOf(manifest)} ${withParts}`, manifest.id, async () => compileGenerator({ manifest, graph: await takeGraph(manifest.id) }, withParts));
  }

  function encoderReady({ manifest }: { readonly manifest: EncoderManifest }, width: number, height: number, layerNames: readonly string[]): Promise<Result<Ready, Fault>> {
    return ready(`encoder ${nameOf(manifest)} ${width}x${height} ${layerNames.join(" ")}`, manifest.id, async () => compileEncoder({ manifest, graph: await takeGraph(manifest.id) }, width, height, layerNames));
  }

  async function decodeWith(id: string, latents: LatentBatch, withParts: boolean, urgency: Urgency): Promise<Result<GeneratedParts, Fault>> {
    const found = await findKind(id, "generator");
    if (!found.ok) return found;
    const { manifest } = found.value;
    const data = checkLatents(latents, manifest);
    if (!data.ok) return data;
    const session = await generatorReady(found.value, withParts);
    if (!session.ok) return session;
    const outputs = await runAll(session.value, id, data.value, latents.count, urgency);
    if (!outputs.ok) return outputs;
    const asBatch = (values: Float32Array | Uint8Array | undefined): ImageBatch | null =>
      values instanceof Uint8Array ? { count: latents.count, width: manifest.output.width, height: manifest.output.height, data: values } : null;
    const byName = new Map(session.value.model.outputs.map((output, k) => [output.name, outputs.value[k]]));
    const images = asBatch(byName.get(pixelsName));
    if (images === null) throw new Error("expected the decoded pixels among the outputs");
    const masks = manifest.parts.mask === undefined ? undefined : byName.get(modelPrefix + manifest.parts.mask);
    return ok({ images, masks: masks instanceof Float32Array ? masks : null, backgrounds: asBatch(byName.get(backgroundName)) });
  }

  async function runEncoder(id: string, images: ImageBatch, layerNames: readonly string[], urgency: Urgency): Promise<Result<readonly Float32Array[], Fault>> {
    const found = await findKind(id, "encoder");
    if (!found.ok) return found;
    const problem = checkLayers(found.value.manifest, layerNames) ?? checkImages(images);
    if (problem !== null) return { ok: false, error: problem };
    const session = await encoderReady(found.value, images.width, images.height, layerNames);
    if (!session.ok) return session;
    const outputs = await runAll(session.value, id, images.data, images.count, urgency);
    return outputs.ok ? ok(outputs.value.map(expectFloats)) : outputs;
  }

  async function fusion(generatorId: string, encoderId: string) {
    const generator = await findKind(generatorId, "generator");
    if (!generator.ok) return generator;
    const encoder = await findKind(encoderId, "encoder");
    if (!encoder.ok) return encoder;
    return ok({ generator: generator.value, encoder: encoder.value, obstacle: fusionObstacle(generator.value, encoder.value) });
  }

  return {
    entries: () => registry,
    refresh() {
      registry = readRegistry(modelsDirs);
      checked.clear();
      graphs.clear();
      return registry;
    },
    async open(id, kind) {
      const found = await findModel(id);
      if (!found.ok) return found;
      const { manifest } = found.value;
      if (manifest.kind !== kind) return fault("modelKind", `Expected "${id}" to be a ${kind}, it is a ${manifest.kind}. Choose another model.`);
      const session = await openDefault(found.value);
      if (!session.ok) return session;
      const { opened, batch, tuning } = session.value;
      return ok({ manifest, identity: identityOf(manifest, opened.provider), attempts: opened.attempts, msPerImage: opened.msPerImage, batch, tuning });
    },
    async decode(id, latents) {
      const parts = await decodeWith(id, latents, false, "live");
      return parts.ok ? ok(parts.value.images) : parts;
    },
    // Parts are for analyses only: a running session does not wait for them.
    decodeParts: (id, latents) => decodeWith(id, latents, true, "background"),
    features: (id, images, layerNames) => runEncoder(id, images, layerNames, "soon"),
    async tail(id, layerName, unit, activations) {
      const found = await findKind(id, "encoder");
      if (!found.ok) return found;
      const { manifest } = found.value;
      const problem = checkLayers(manifest, [layerName]);
      if (problem !== null) return { ok: false, error: problem };
      const layer = manifest.layers.find((candidate) => candidate.name === layerName);
      const logits = manifest.layers.find((candidate) => candidate.name === manifest.logits);
      if (layer === undefined || logits === undefined) return fault("layerTail", `Expected "${id}" to name its logits, its manifest names none. Add "logits" to the manifest.`);
      if (activations.dim !== layer.dim || activations.data.length !== activations.count * layer.dim) return fault("layerTail", `Expected activations of [${activations.count}, ${layer.dim}] for layer ${layerName} of "${id}", got [${activations.count}, ${activations.dim}].`);
      if (unit !== null && !(Number.isInteger(unit) && unit >= 0 && unit < logits.dim)) return fault("layerTail", `Expected a unit of "${id}" from 0 to ${logits.dim - 1}, got ${unit}.`);
      const data = activations.data instanceof Float32Array ? activations.data : Float32Array.from(activations.data);
      const session = await ready(`tail ${nameOf(manifest)} ${layerName} ${unit ?? ""}`, id, async () => compileTail({ manifest, graph: await takeGraph(id) }, layer, logits, unit));
      if (!session.ok) return session;
      const outputs = await runAll(session.value, id, data, activations.count, "background");
      return outputs.ok ? ok(outputs.value.map(expectFloats)) : outputs;
    },
    async detect(id, images, options) {
      const found = await findKind(id, "detector");
      if (!found.ok) return found;
      const problem = checkImages(images);
      if (problem !== null) return { ok: false, error: problem };
      const { manifest } = found.value;
      const session = await ready(`detector ${nameOf(manifest)} ${images.width}x${images.height}`, id, async () => compileDetector({ manifest, graph: await takeGraph(id) }, images.width, images.height));
      if (!session.ok) return session;
      const outputs = await runAll(session.value, id, images.data, images.count, "background");
      if (!outputs.ok) return outputs;
      const values = outputs.value[0];
      if (values === undefined) throw new Error("expected the detector's boxes among the outputs");
      const scale = { x: images.width / manifest.input.width, y: images.height / manifest.input.height };
      const { boxes } = manifest.output;
      const width = 5 + manifest.classes.length;
      return ok(Array.from({ length: images.count }, (_, i) => suppressOverlaps(expectFloats(values).subarray(i * boxes * width, (i + 1) * boxes * width), width, scale, options)));
    },
    async openFused(generatorId, encoderId) {
      const pair = await fusion(generatorId, encoderId);
      if (!pair.ok) return pair;
      const { obstacle } = pair.value;
      if (obstacle !== null) listeners.onNotice({ kind: "notFused", model: `${generatorId} + ${encoderId}`, message: obstacle });
      return ok({ fused: obstacle === null, reason: obstacle ?? "" });
    },
    async fusedFeatures(generatorId, encoderId, latents, layerNames) {
      const pair = await fusion(generatorId, encoderId);
      if (!pair.ok) return pair;
      const { generator, encoder, obstacle } = pair.value;
      const problem = checkLayers(encoder.manifest, layerNames);
      if (problem !== null) return { ok: false, error: problem };
      if (obstacle !== null) {
        const images = await decodeWith(generatorId, latents, false, "background");
        return images.ok ? runEncoder(encoderId, images.value.images, layerNames, "background") : images;
      }
      const data = checkLatents(latents, generator.manifest);
      if (!data.ok) return data;
      const session = await ready(`fused ${nameOf(generator.manifest)} ${nameOf(encoder.manifest)} ${layerNames.join(" ")}`, `${generatorId} + ${encoderId}`, async () =>
        compileFused({ manifest: generator.manifest, graph: await takeGraph(generatorId) }, { manifest: encoder.manifest, graph: await takeGraph(encoderId) }, layerNames),
      );
      if (!session.ok) return session;
      const outputs = await runAll(session.value, `${generatorId} + ${encoderId}`, data.value, latents.count, "background");
      return outputs.ok ? ok(outputs.value.map(expectFloats)) : outputs;
    },
    providers: async () => ({ present: present(), chosen: await chosenProvider() }),
    async choose(provider) {
      if (provider !== "auto" && !present().includes(provider)) return fault("providerUnknown", `Expected the execution provider to be "auto" or one of ${present().join(", ")} on this machine, got "${provider}".`);
      if (settings.settingsFile === null) wanted = provider;
      else {
        wanted = "auto";
        await (await tunings).saveProvider(provider === "auto" ? null : provider);
      }
      await closeSessions();
      return ok(null);
    },
    close: closeSessions,
  };

  /** The session that a model's most common use needs. */
  function openDefault({ manifest }: KnownModel): Promise<Result<Ready, Fault>> {
    switch (manifest.kind) {
      case "generator": return generatorReady({ manifest }, false);
      case "encoder": return encoderReady({ manifest }, manifest.input.width, manifest.input.height, [manifest.penultimate]);
      case "detector":
        return ready(`detector ${nameOf(manifest)} ${manifest.input.width}x${manifest.input.height}`, manifest.id, async () =>
          compileDetector({ manifest, graph: await takeGraph(manifest.id) }, manifest.input.width, manifest.input.height),
        );
    }
  }
}

/** A model's name with the beginning of its hash: what was measured on one file is not used for another of the same name. */
function nameOf(manifest: ModelManifest): string {
  return `${manifest.id}@${manifest.sha256.slice(0, 12)}`;
}

function hasKind<K extends ModelManifest["kind"]>(manifest: ModelManifest, kind: K): manifest is Extract<ModelManifest, { kind: K }> {
  return manifest.kind === kind;
}

function expectFloats(values: Float32Array | Uint8Array): Float32Array {
  if (values instanceof Float32Array) return values;
  throw new Error("expected floating-point values from the model, got bytes");
}

function twice<T extends Float32Array | Uint8Array>(part: T): Float32Array | Uint8Array {
  const out = part instanceof Float32Array ? new Float32Array(part.length * 2) : new Uint8Array(part.length * 2);
  out.set(part, 0);
  out.set(part, part.length);
  return out;
}

/** What the i-th of `count` items contributed to a joined output. */
function shareOf<T extends Float32Array | Uint8Array>(values: T | undefined, i: number, count: number): Float32Array | Uint8Array {
  const size = (values?.length ?? 0) / count;
  return values?.subarray(i * size, (i + 1) * size) ?? new Uint8Array();
}

function sameBytes(a: Float32Array | Uint8Array, b: Float32Array | Uint8Array): boolean {
  return Buffer.compare(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), new Uint8Array(b.buffer, b.byteOffset, b.byteLength)) === 0;
}

/** The probe batch over and over, to the wanted size. */
function repeatProbe(model: CompiledModel, count: number): Float32Array | Uint8Array {
  const { data, count: have } = model.probe;
  const width = data.length / have;
  const out = data instanceof Float32Array ? new Float32Array(count * width) : new Uint8Array(count * width);
  for (let done = 0; done < count; done += have) out.set(data.subarray(0, Math.min(have, count - done) * width), done * width);
  return out;
}

function checkLatents(latents: LatentBatch, manifest: GeneratorManifest): Result<Float32Array, Fault> {
  const { dim } = manifest.input;
  if (latents.dim !== dim || latents.data.length !== latents.count * latents.dim) {
    return fault("latentShape", `Expected latents of [${latents.count}, ${dim}] for "${manifest.id}", got [${latents.count}, ${latents.dim}] with ${latents.data.length} values.`);
  }
  const data = latents.data instanceof Float32Array ? latents.data : Float32Array.from(latents.data);
  if (!data.every(Number.isFinite)) return fault("latentNaN", `Expected finite latents for "${manifest.id}", got NaN or infinite values. The optimizer has diverged: start a new evolution.`);
  return ok(data);
}

function checkImages(images: ImageBatch): Fault | null {
  const expected = images.count * images.width * images.height * 3;
  if (images.data.length === expected && images.width > 0 && images.height > 0) return null;
  return { code: "imageShape", message: `Expected ${expected} bytes for ${images.count} RGB images of ${images.width} x ${images.height}, got ${images.data.length}.` };
}

function checkLayers(manifest: EncoderManifest, layerNames: readonly string[]): Fault | null {
  const names = manifest.layers.map((layer) => layer.name);
  const unknown = layerNames.find((name) => !names.includes(name));
  if (unknown !== undefined) return { code: "layerUnknown", message: `Expected a layer of "${manifest.id}" (${names.join(", ")}), got "${unknown}".` };
  if (layerNames.length === 0) return { code: "layerUnknown", message: `Expected at least one layer of "${manifest.id}" (${names.join(", ")}), got none.` };
  return null;
}

// ---------------------------------------------------------------------------------------------------------------
// Graphs around models

const pixelsName = "evoked_pixels";
const backgroundName = "evoked_background";
const probeCount = 2;

/**
 * Names inside a composed graph: the network's own get a prefix, so that they never meet those of the steps around it.
 * Outputs keep them: with an Identity behind an output, ONNX Runtime 1.30's fusions lose the value for its other readers.
 */
const modelPrefix = "m/";

function toComposed(port: PortSpec): ComposedValue {
  return { name: port.name, elementType: port.type === "float32" ? onnxFloat32 : onnxUint8, dims: port.dims };
}

function probeLatents(manifest: GeneratorManifest): Float32Array {
  const rng = createRng(`probe ${manifest.id}`);
  const data = new Float32Array(probeCount * manifest.input.dim);
  rng.fillGaussian(data);
  const scale = manifest.latent.typicalNorm / Math.sqrt(manifest.input.dim);
  return data.map((value) => value * scale);
}

function probeImages(width: number, height: number): Uint8Array {
  const rng = createRng("probe images");
  const data = new Uint8Array(probeCount * width * height * 3);
  // Coarse blocks of random colours: edges and flat parts, as in pictures.
  const block = Math.max(1, Math.floor(width / 8));
  const colours = Array.from({ length: probeCount * 81 * 3 }, () => rng.int(256));
  for (let i = 0; i < probeCount; i++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const cell = (i * 81 + Math.min(8, Math.floor(y / block)) * 9 + Math.min(8, Math.floor(x / block))) * 3;
        for (let c = 0; c < 3; c++) data[((i * height + y) * width + x) * 3 + c] = colours[cell + c] ?? 0;
      }
    }
  }
  return data;
}

function generatorConstants(manifest: GeneratorManifest, prefix: string): CompiledModel["constants"] {
  return manifest.constants.map((constant) => ({ name: prefix + constant.name, dims: constant.dims, value: Float32Array.from(constant.value) }));
}

function compileGenerator({ manifest, graph }: CheckedModel & { readonly manifest: GeneratorManifest }, withParts: boolean): CompiledModel {
  const { output, parts } = manifest;
  const input: PortSpec = { name: modelPrefix + manifest.input.name, type: "float32", dims: [manifest.input.dim] };
  const outputs: PortSpec[] = [{ name: pixelsName, type: "uint8", dims: [output.height, output.width, 3] }];
  const pieces: Piece[] = [takePiece(graph, modelPrefix), makeQuantiser("q/", modelPrefix + output.name, "q/levels", output), makePacker("p/", "q/levels", pixelsName)];
  if (withParts && parts.mask !== undefined) {
    outputs.push({ name: modelPrefix + parts.mask, type: "float32", dims: [1, output.height, output.width] });
  }
  if (withParts && parts.background !== undefined) {
    outputs.push({ name: backgroundName, type: "uint8", dims: [output.height, output.width, 3] });
    pieces.push(makeQuantiser("bq/", modelPrefix + parts.background, "bq/levels", output), makePacker("bp/", "bq/levels", backgroundName));
  }
  const constants = generatorConstants(manifest, modelPrefix);
  const file = composeModel({ opset: graph.opset, irVersion: graph.irVersion, pieces, inputs: [toComposed(input)], constants, outputs: outputs.map(toComposed) });
  return { file, input, constants, outputs, probe: { count: probeCount, data: probeLatents(manifest) } };
}

function layerPorts(manifest: EncoderManifest, layerNames: readonly string[], prefix: string): PortSpec[] {
  return layerNames.map((name) => {
    const layer = manifest.layers.find((candidate) => candidate.name === name);
    if (layer === undefined) throw new Error(`expected a known layer, got ${name}`);
    return { name: prefix + layer.output, type: "float32", dims: layer.shape };
  });
}

function compileEncoder({ manifest, graph }: CheckedModel & { readonly manifest: EncoderManifest }, width: number, height: number, layerNames: readonly string[]): CompiledModel {
  const input: PortSpec = { name: pixelsName, type: "uint8", dims: [height, width, 3] };
  const outputs = layerPorts(manifest, layerNames, modelPrefix);
  const pieces = [
    makeUnpacker("u/", pixelsName, "u/levels"),
    makeFitter({ prefix: "f/", input: "u/levels", output: modelPrefix + manifest.input.name, from: { width, height }, to: manifest.input, keep: manifest.input.keep, scale: manifest.input }),
    takePiece(graph, modelPrefix),
  ];
  const file = composeModel({ opset: graph.opset, irVersion: graph.irVersion, pieces, inputs: [toComposed(input)], constants: [], outputs: outputs.map(toComposed) });
  return { file, input, constants: [], outputs, probe: { count: probeCount, data: probeImages(width, height) } };
}

type Layer = EncoderManifest["layers"][number];

/** Throws a FaultError where the logits depend on more than the layer, or the gradient is not known here. */
function compileTail({ manifest, graph }: CheckedModel & { readonly manifest: EncoderManifest }, layer: Layer, logits: Layer, unit: number | null): CompiledModel {
  const input: PortSpec = { name: modelPrefix + layer.output, type: "float32", dims: layer.shape };
  const outputs: PortSpec[] = [{ name: modelPrefix + logits.output, type: "float32", dims: logits.shape }];
  if (unit !== null) outputs.push({ name: gradientName, type: "float32", dims: layer.shape });
  const pieces = unwrap(makeTail({ graph, prefix: modelPrefix, layer: layer.output, shape: layer.shape, logits: logits.output, units: logits.dim, unit }));
  const file = composeModel({ opset: graph.opset, irVersion: graph.irVersion, pieces, inputs: [toComposed(input)], constants: [], outputs: outputs.map(toComposed) });
  const probe = new Float32Array(probeCount * layer.dim);
  createRng(`probe tail ${manifest.id}`).fillGaussian(probe);
  return { file, input, constants: [], outputs, probe: { count: probeCount, data: probe.map(Math.abs) } };
}

function compileDetector({ manifest, graph }: CheckedModel & { readonly manifest: DetectorManifest }, width: number, height: number): CompiledModel {
  const input: PortSpec = { name: pixelsName, type: "uint8", dims: [height, width, 3] };
  const outputs: PortSpec[] = [{ name: modelPrefix + manifest.output.name, type: "float32", dims: [manifest.output.boxes, 5 + manifest.classes.length] }];
  const pieces = [
    makeUnpacker("u/", pixelsName, "u/levels"),
    makeFitter({ prefix: "f/", input: "u/levels", output: modelPrefix + manifest.input.name, from: { width, height }, to: manifest.input, keep: manifest.input.keep, scale: manifest.input }),
    takePiece(graph, modelPrefix),
  ];
  const file = composeModel({ opset: graph.opset, irVersion: graph.irVersion, pieces, inputs: [toComposed(input)], constants: [], outputs: outputs.map(toComposed) });
  return { file, input, constants: [], outputs, probe: { count: probeCount, data: probeImages(width, height) } };
}

/** Why two models cannot become one graph, or null. */
function fusionObstacle(generator: KnownModel, encoder: KnownModel): string | null {
  if (generator.nested || encoder.nested) return "One of the two models has operators with graphs of their own; they run one after the other.";
  if (generator.opset !== encoder.opset) return `The models are written in operator sets ${generator.opset} and ${encoder.opset}; they run one after the other. Export both with the same one to join them.`;
  return null;
}

function compileFused(generator: CheckedModel & { readonly manifest: GeneratorManifest }, encoder: CheckedModel & { readonly manifest: EncoderManifest }, layerNames: readonly string[]): CompiledModel {
  const input: PortSpec = { name: `g/${generator.manifest.input.name}`, type: "float32", dims: [generator.manifest.input.dim] };
  const outputs = layerPorts(encoder.manifest, layerNames, "e/");
  const pieces = [
    takePiece(generator.graph, "g/"),
    // Rounded to the 256 levels of a display, so that in silico and on the screen an image is the same.
    makeQuantiser("q/", `g/${generator.manifest.output.name}`, "q/levels", generator.manifest.output),
    makeFitter({ prefix: "f/", input: "q/levels", output: `e/${encoder.manifest.input.name}`, from: generator.manifest.output, to: encoder.manifest.input, keep: encoder.manifest.input.keep, scale: encoder.manifest.input }),
    takePiece(encoder.graph, "e/"),
  ];
  const constants = generatorConstants(generator.manifest, "g/");
  const irVersion = Math.max(generator.graph.irVersion, encoder.graph.irVersion);
  const file = composeModel({ opset: generator.graph.opset, irVersion, pieces, inputs: [toComposed(input)], constants, outputs: outputs.map(toComposed) });
  return { file, input, constants, outputs, probe: { count: probeCount, data: probeLatents(generator.manifest) } };
}
