// Which execution provider runs a model: candidates of this machine in order, a probe batch held against the CPU, and
// the reason wherever a candidate is left. Knows nothing about manifests.

import { InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";

import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { describe } from "./registry.ts";

/** Best first. A machine has those that its build of ONNX Runtime lists. */
export const providerOrder = ["cuda", "tensorrt", "dml", "coreml", "webgpu", "cpu"] as const;
export type ProviderName = (typeof providerOrder)[number];

/** What was tried for one model and what came of it. */
export interface ProviderAttempt {
  readonly provider: string;
  readonly used: boolean;
  /** A sentence for the operator. */
  readonly reason: string;
  /** Largest difference from the CPU on the probe batch, as a share of the largest CPU value; null where it did not run. */
  readonly drift: number | null;
  /** Time of one image in the probe batch; null where it did not run. */
  readonly msPerImage: number | null;
}

/**
 * A provider's output may differ from the CPU's by this share of the output's largest absolute value (bytes: two levels).
 * Wide enough for TF32 and other orders of summation, narrow enough to catch half precision and broken kernels.
 */
export const driftMax = 2e-3;
export const byteDriftMax = 2;

/** One tensor of a compiled model, dimensions after the batch. */
export interface PortSpec {
  readonly name: string;
  readonly type: "float32" | "uint8";
  readonly dims: readonly number[];
}

/** A complete ONNX file with the tensors that the runtime gives and takes. */
export interface CompiledModel {
  readonly file: Uint8Array;
  /** The batch input. */
  readonly input: PortSpec;
  readonly constants: readonly { readonly name: string; readonly dims: readonly number[]; readonly value: Float32Array }[];
  readonly outputs: readonly PortSpec[];
  /** A small batch of ordinary inputs. */
  readonly probe: { readonly count: number; readonly data: Float32Array | Uint8Array };
}

/** What is used of an ONNX Runtime session. */
export interface ModelSession {
  run(feeds: Record<string, Tensor>): Promise<Readonly<Record<string, Pick<Tensor, "data" | "dims">>>>;
  release(): Promise<void>;
}

export interface OpenedSession {
  readonly session: ModelSession;
  readonly provider: ProviderName;
  readonly attempts: readonly ProviderAttempt[];
  /** Time of one image in a second run of the probe batch. */
  readonly msPerImage: number;
}

export interface ProviderSettings {
  /** "auto" or a provider's name. */
  readonly wanted: string;
  readonly threads: number;
  /** Providers that are not tried, with the reason (they took the process down before). */
  readonly banned: ReadonlyMap<string, string>;
  /** Called before a provider other than the CPU is touched, null after: to know whom to blame for a crash. */
  readonly onTrying?: (provider: string | null) => void;
  /** Makes the sessions; ONNX Runtime unless a test brings its own. */
  readonly runtime?: SessionMaker;
}

export interface SessionMaker {
  providers(): readonly ProviderName[];
  create(file: Uint8Array, options: InferenceSession.SessionOptions): Promise<ModelSession>;
}

const onnxRuntime: SessionMaker = { providers: listProviders, create: (file, options) => InferenceSession.create(file, options) };

/** The providers of this machine's ONNX Runtime, best first; the CPU is always among them. */
export function listProviders(): ProviderName[] {
  const known = new Set(listSupportedBackends().map((backend) => backend.name));
  return providerOrder.filter((name) => name === "cpu" || known.has(name));
}

function sessionOptions(provider: ProviderName, threads: number): InferenceSession.SessionOptions {
  return {
    executionProviders: provider === "cpu" ? ["cpu"] : [provider, "cpu"],
    // A fixed number, so that the machine does not decide; on the CPU results do not depend on it (tests/contract/models).
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 4,
    // Worker threads wait awake inside a run, where waking them anew for every layer costs a fifth of a single image, and sleep as soon as it
    // is over: display and engine share the machine.
    extra: { session: { intra_op: { allow_spinning: "1" }, force_spinning_stop: "1", set_denormal_as_zero: "1" } },
    ...(provider === "dml" ? { enableMemPattern: false } : {}),
  };
}

export async function runSession(session: ModelSession, model: CompiledModel, data: Float32Array | Uint8Array, count: number): Promise<Result<readonly (Float32Array | Uint8Array)[], Fault>> {
  const { input } = model;
  const tensor = data instanceof Uint8Array ? new Tensor("uint8", data, [count, ...input.dims]) : new Tensor("float32", data, [count, ...input.dims]);
  const feeds: Record<string, Tensor> = { [input.name]: tensor };
  for (const constant of model.constants) feeds[constant.name] = new Tensor("float32", constant.value, constant.dims);
  const results = await session.run(feeds);
  const out: (Float32Array | Uint8Array)[] = [];
  for (const spec of model.outputs) {
    const tensorOut = results[spec.name];
    const values = tensorOut?.data;
    const expected = count * spec.dims.reduce((a, b) => a * b, 1);
    const typed = spec.type === "float32" ? values instanceof Float32Array : values instanceof Uint8Array;
    if (tensorOut === undefined || !typed || !(values instanceof Float32Array || values instanceof Uint8Array) || values.length !== expected) {
      return fault("modelShape", `Expected ${expected} values (${spec.type}) in "${spec.name}" for ${count} inputs, got ${values?.length ?? 0} of shape [${tensorOut?.dims.join(", ") ?? ""}]. The file is of another architecture than its manifest.`);
    }
    out.push(values);
  }
  return ok(out);
}

/** Largest difference of two runs: as a share of the largest CPU value, or in levels for bytes. NaN counts as infinite. */
export function measureDrift(reference: readonly (Float32Array | Uint8Array)[], other: readonly (Float32Array | Uint8Array)[]): { drift: number; fits: boolean } {
  let drift = 0;
  let fits = true;
  reference.forEach((values, k) => {
    const theirs = other[k];
    if (theirs === undefined || theirs.length !== values.length) {
      fits = false;
      drift = Infinity;
      return;
    }
    let largest = 0;
    let difference = 0;
    for (let i = 0; i < values.length; i++) {
      const a = values[i] ?? 0;
      const gap = Math.abs(a - (theirs[i] ?? 0));
      if (Number.isNaN(gap)) difference = Infinity;
      else if (gap > difference) difference = gap;
      if (Math.abs(a) > largest) largest = Math.abs(a);
    }
    const share = values instanceof Uint8Array ? difference / 255 : difference / Math.max(largest, 1e-6);
    drift = Math.max(drift, share);
    fits = fits && (values instanceof Uint8Array ? difference <= byteDriftMax : share <= driftMax);
  });
  return { drift, fits };
}

interface Timed {
  readonly outputs: readonly (Float32Array | Uint8Array)[];
  readonly msPerImage: number;
}

async function probe(session: ModelSession, model: CompiledModel): Promise<Result<Timed, Fault>> {
  const first = await runSession(session, model, model.probe.data, model.probe.count);
  if (!first.ok) return first;
  const start = performance.now();
  const second = await runSession(session, model, model.probe.data, model.probe.count);
  const msPerImage = (performance.now() - start) / model.probe.count;
  return second.ok ? ok({ outputs: second.value, msPerImage }) : second;
}

/**
 * Opens the model on the best provider that computes what the CPU computes. With "auto" a provider slower than the CPU
 * is left too; a provider wanted by name is kept if it computes right, and falls back to the CPU with the reason if not.
 * Errors: `providerUnknown`, `modelShape`, `modelNaN`, `modelRefused` (ONNX Runtime does not take the file), `outOfMemory`.
 */
export async function openSession(model: CompiledModel, settings: ProviderSettings): Promise<Result<OpenedSession, Fault>> {
  const { wanted, runtime = onnxRuntime } = settings;
  const present = runtime.providers();
  const wantedName = present.find((name) => name === wanted);
  if (wanted !== "auto" && wantedName === undefined) {
    return fault("providerUnknown", `Expected the execution provider to be "auto" or one of ${present.join(", ")} on this machine, got "${wanted}". Change the models setting.`);
  }
  const candidates = (wantedName === undefined ? present : [wantedName]).filter((name) => name !== "cpu");

  let cpu: ModelSession;
  try {
    cpu = await runtime.create(model.file, sessionOptions("cpu", settings.threads));
  } catch (error) {
    const message = describe(error);
    if (isOutOfMemory(message)) return fault("outOfMemory", `There is not enough memory to open the model (${shorten(message)}). Close other programs or choose a smaller model.`);
    return fault("modelRefused", `ONNX Runtime does not take the model: ${shorten(message)}. The file is damaged or of an operator set it does not know: import it again.`);
  }
  const reference = await probeSafely(cpu, model);
  if (!reference.ok) {
    await cpu.release();
    return reference;
  }
  if (reference.value.outputs.some((values) => values instanceof Float32Array && !values.every(Number.isFinite))) {
    await cpu.release();
    return fault("modelNaN", "The model gives NaN or infinite values for an ordinary input. Its weights are damaged or do not belong to this architecture: import it again.");
  }

  const attempts: ProviderAttempt[] = [];
  for (const provider of candidates) {
    const tried = await tryProvider(provider, model, { ...settings, runtime }, reference.value, wantedName !== undefined);
    attempts.push(tried.attempt);
    if (tried.session !== null) {
      await cpu.release();
      return ok({ session: tried.session, provider, attempts, msPerImage: tried.attempt.msPerImage ?? reference.value.msPerImage });
    }
  }
  attempts.push({ provider: "cpu", used: true, reason: candidates.length === 0 ? "The CPU is the only provider here, or the one that was asked for." : "No other provider could be used.", drift: 0, msPerImage: reference.value.msPerImage });
  return ok({ session: cpu, provider: "cpu", attempts, msPerImage: reference.value.msPerImage });
}

async function probeSafely(session: ModelSession, model: CompiledModel): Promise<Result<Timed, Fault>> {
  try {
    return await probe(session, model);
  } catch (error) {
    const message = describe(error);
    return isOutOfMemory(message)
      ? fault("outOfMemory", `There is not enough memory to run the model (${shorten(message)}). Close other programs or choose a smaller model.`)
      : fault("modelRefused", `The model failed on a probe batch: ${shorten(message)}. The file is damaged: import it again.`);
  }
}

async function tryProvider(provider: ProviderName, model: CompiledModel, settings: ProviderSettings & { readonly runtime: SessionMaker }, reference: Timed, keepSlow: boolean): Promise<{ session: ModelSession | null; attempt: ProviderAttempt }> {
  const leave = (reason: string, drift: number | null = null, msPerImage: number | null = null) => ({ session: null, attempt: { provider, used: false, reason, drift, msPerImage } });
  const banned = settings.banned.get(provider);
  if (banned !== undefined) return leave(banned);
  settings.onTrying?.(provider);
  let session: ModelSession | null = null;
  try {
    session = await settings.runtime.create(model.file, sessionOptions(provider, settings.threads));
    const run = await probe(session, model);
    if (!run.ok) {
      await session.release();
      return leave(run.error.message);
    }
    const { drift, fits } = measureDrift(reference.outputs, run.value.outputs);
    if (!fits) {
      await session.release();
      return leave(`It computes something else than the CPU: largest difference ${percent(drift)} of the output, at most ${percent(driftMax)} is allowed.`, drift, run.value.msPerImage);
    }
    if (!keepSlow && run.value.msPerImage > reference.msPerImage) {
      await session.release();
      return leave(`It is slower than the CPU here: ${run.value.msPerImage.toFixed(2)} ms an image against ${reference.msPerImage.toFixed(2)} ms.`, drift, run.value.msPerImage);
    }
    const attempt = { provider, used: true, reason: `Agrees with the CPU to ${percent(drift)} of the output.`, drift, msPerImage: run.value.msPerImage };
    return { session, attempt };
  } catch (error) {
    await session?.release().catch(() => undefined);
    return leave(`It could not be started: ${shorten(describe(error))}`);
  } finally {
    settings.onTrying?.(null);
  }
}

export function isOutOfMemory(message: string): boolean {
  return /bad_alloc|out of memory|OUT_OF_MEMORY|Failed to allocate memory|failed to allocate|E_OUTOFMEMORY|Array buffer allocation failed/i.test(message);
}

function percent(share: number): string {
  return share === Infinity ? "infinite" : `${(share * 100).toPrecision(2)} %`;
}

/** ONNX Runtime's messages carry source paths of its build and go on for lines: the last sentence is what helps. */
export function shorten(message: string): string {
  const line = (message.split("\n")[0] ?? "").replace(/\/\S*onnxruntime\S*\s+[^ ]*\(.*?\)(::<lambda\(\)>)?\s*/g, "").trim();
  return line.length > 240 ? `${line.slice(0, 237)}...` : line;
}
