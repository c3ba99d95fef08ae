// Replays a session file through the loop's own decisions: the recorded inputs go in, in order and at their times, and every record that
// comes out is compared with the recorded one. Knows nothing about windows.
import { z } from "zod";
import { createClockAligner } from "../acquisition/align.ts";
import { rigRegistry } from "../acquisition/index.ts";
import { restoreOptimizer, decodeOptimizerState } from "../evolve/index.ts";
import { inputOfRecord } from "../loop/inputs.ts";
import { createLoopCore } from "../loop/loopCore.ts";
import type { LoopCore } from "../loop/loopCore.ts";
import type { LoopListener } from "../loop/loopTypes.ts";
import type { LabProtocols } from "../loop/protocols/registry.ts";
import type { EvolutionThread } from "../loop/thread.ts";
import { openSession } from "../session/reader.ts";
import type { SessionReader, SessionRun } from "../session/reader.ts";
import { stepsOf } from "../shared/contract/index.ts";
import type { EvolutionStep, SessionConfig } from "../shared/contract/index.ts";
import type { DisplayGeometry, Generator } from "../shared/ports.ts";
import type { DevicesRecord, SessionRecord, SessionRecordBody } from "../shared/records.ts";
import { FaultError, err, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { createRng } from "../shared/rng.ts";
import { hostTimeNs, nsPerS } from "../shared/units.ts";
import type { ImageBatch } from "../shared/values.ts";
import { requireLabProtocols } from "./labProtocols.ts";
import { defaultProtocolFolder } from "./paths.ts";
import { screenOf, sessionPlacementOf } from "./placement.ts";
import { configOf, noTrialsYet, pastAt, resumePointOf, saysSteps, setupsOf, sourcesOf, tookOverTrials } from "./resume.ts";

export interface Difference {
  readonly seq: number;
  readonly kind: string;
  readonly field: string;
  readonly recorded: string;
  readonly replayed: string;
}

export interface VerifyReport {
  readonly file: string;
  readonly identical: boolean;
  /** Records compared, by kind. */
  readonly compared: Readonly<Record<string, number>>;
  readonly firstDifference: Difference | null;
  readonly sessionSeconds: number;
  readonly wallSeconds: number;
}

/** Written by the engine, not by the loop: nothing to recompute. */
const notOfTheLoop = new Set<string>(["note", "engine"]);
const kindsNotOfTheLoop: ReadonlySet<string> = new Set<SessionRecord["kind"]>(["devices", "model", "neuronModel", "ablation", "visualisation", "export"]);

/** Replays one run of a session. `step` takes the next record; the core and listener see what they saw then. */
export interface Replay {
  readonly core: LoopCore;
  /** Feeds or checks one record. Returns the first difference, null while all is the same. */
  take(record: SessionRecord): Difference | null;
}

export function createReplay(reader: SessionReader, run: SessionRun, listener: LoopListener = {}, protocolFolder = defaultProtocolFolder): Replay {
  const config = configOf(reader);
  const devices = reader.devices();
  const rng = createRng(config.seed);
  /** A run recorded under file version 1 to 3: nothing says which step anything belongs to. */
  const { libraries, labs } = sharedOf(reader, config, protocolFolder);
  const old = config.plan.length === 0 && !libraries.some((seq) => seq >= run.firstSeq && seq <= run.lastSeq);
  const openThreads = (settings: EvolutionStep, firstThread: number): readonly EvolutionThread[] => settings.threads.map((_, slot) => openThread(reader, settings, slot, firstThread + slot));
  const past = run.run === reader.runs()[0]?.run ? null : pastAt(reader, run.firstSeq - 1);
  const resume = past === null ? null : { ...resumePointOf(past, openThreads), ...(tookOverTrials(reader.events(), run) ? {} : noTrialsYet) };
  const emitted: SessionRecordBody[] = [];
  const core = createLoopCore({
    trial: config.trial, response: config.response, onStreamLost: config.rig.onStreamLost, plan: setupsOf(config), implicitPlan: config.plan.length === 0, labs, openThreads,
    generator: (id) => aGenerator(id, 0), sessionPlacement: sessionPlacementOf(config.display), screen: screenOf(config.display, geometryOf(devices)),
    aligner: createClockAligner({ shortestTransportMs: unwrap(rigRegistry.find((r) => r.kind === config.rig.kind)?.shortestTransportMs(config.rig.options) ?? ok(0)) }), rng,
    hasEye: devices.some((d) => d.role === "eye"), hasReward: devices.some((d) => d.role === "reward"), checkWords: config.rig.sync?.checkWords ?? false,
    sourceName: devices.find((d) => d.role === "spikes")?.name ?? "",
    record: (body) => {
      if (old && body.kind === "step") return;
      emitted.push(body);
    },
    effects: {
      fixation: nothing, run: nothing, abort: nothing, lit: nothing, trialTimer: nothing, deadline: nothing, reward: nothing, rewardOff: nothing, decode: nothing, release: nothing, askRoom: nothing,
    },
    listener, resume,
  });
  if (old) {
    // What such a file does not say: which references the evolution had.
    const labels = reader.images().filter((i) => i.imageKind === "reference" && (past !== null || i.seq <= run.lastSeq)).map((i) => i.label);
    core.input({ kind: "library", step: 0, labels, widthPx: 0, heightPx: 0 }, hostTimeNs(0));
    emitted.length = 0;
  }

  return {
    core,
    take(record) {
      if (kindsNotOfTheLoop.has(record.kind)) return null;
      if (record.kind === "event" && notOfTheLoop.has(record.category)) return null;
      const input = inputOfRecord(record, () => (record.kind === "image" ? pixelsOf(record) : emptyImage));
      if (input !== null) {
        const left = emitted[0];
        if (left !== undefined) return { seq: record.seq, kind: left.kind, field: "", recorded: "(nothing more before the next input)", replayed: summarise(left) };
        core.input(input, record.hostNs);
      }
      const replayed = emitted.shift();
      if (replayed === undefined) return { seq: record.seq, kind: record.kind, field: "", recorded: summarise(record), replayed: "(nothing)" };
      return compareRecords(record, replayed, old);
    },
  };
}

/** What all replays of one session share: a place in it is opened often. */
const shared = new WeakMap<SessionReader, { readonly protocolFolder: string; readonly libraries: readonly number[]; readonly labs: LabProtocols }>();

function sharedOf(reader: SessionReader, config: SessionConfig, protocolFolder: string): { readonly libraries: readonly number[]; readonly labs: LabProtocols } {
  const known = shared.get(reader);
  if (known?.protocolFolder === protocolFolder) return known;
  const made = { protocolFolder, libraries: reader.events().flatMap((e) => (saysSteps(e) ? [e.seq] : [])), labs: requireLabProtocols(protocolFolder, stepsOf(config), sourcesOf(reader)) };
  shared.set(reader, made);
  return made;
}

/** Recomputes every score, decision and optimizer state of a session and compares them with the recording. */
export async function verifySession(file: string, onProgress?: (share: number) => void, protocolFolder = defaultProtocolFolder): Promise<Result<VerifyReport, Fault>> {
  const started = performance.now();
  const opened = openSession(file);
  if (!opened.ok) return opened;
  const reader = opened.value;
  try {
    const compared: Record<string, number> = {};
    const lastSeq = reader.lastSeq();
    let difference: Difference | null = null;
    let sessionNs = 0;
    for (const run of reader.runs()) {
      const replay = createReplay(reader, run, {}, protocolFolder);
      let firstNs: number | null = null;
      let at = 0;
      for (const record of reader.records({ fromSeq: run.firstSeq, toSeq: run.lastSeq })) {
        firstNs ??= record.hostNs;
        at = record.hostNs;
        difference = replay.take(record);
        if (difference !== null) break;
        compared[record.kind] = (compared[record.kind] ?? 0) + 1;
        if (record.seq % 500 === 0) {
          onProgress?.(record.seq / lastSeq);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      sessionNs += at - (firstNs ?? 0);
      if (difference !== null) break;
    }
    return ok({ file, identical: difference === null, compared, firstDifference: difference, sessionSeconds: sessionNs / nsPerS, wallSeconds: (performance.now() - started) / 1000 });
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    reader.close();
  }
}

const nothing = (): void => undefined;
const emptyImage: ImageBatch = { count: 0, width: 0, height: 0, data: new Uint8Array() };

function pixelsOf(image: { readonly widthPx: number; readonly heightPx: number; readonly rgb: Uint8Array }): ImageBatch {
  return { count: 1, width: image.widthPx, height: image.heightPx, data: image.rgb };
}

const optimizersEvent = z.array(z.object({ thread: z.number(), state: z.string() }));

/** The optimizer as it was before the first generation; its generator is not needed, its images are in the file. */
function openThread(reader: SessionReader, settings: EvolutionStep, slot: number, index: number): EvolutionThread {
  const config = settings.threads[slot];
  const first = reader.generations({ states: true }).find((g) => g.thread === index);
  const state = first?.stateBefore ?? notedState(reader, index);
  if (state === null) throw new FaultError({ code: "nothingToVerify", message: `Expected at least one finished generation of evolution ${index} in ${reader.file}, found none: there is no decision to replay yet.` });
  const optimizer = unwrap(restoreOptimizer(unwrap(decodeOptimizerState(state))));
  return { index, generator: aGenerator(config?.generator ?? "", optimizer.dim), optimizer, target: config === undefined || config.target === "auto" ? 0 : config.target };
}

/** As the engine noted it when the evolution was opened. */
function notedState(reader: SessionReader, thread: number): Uint8Array | null {
  for (const event of reader.events()) {
    if (event.category !== "engine" || event.code !== "optimizers") continue;
    const noted = optimizersEvent.safeParse(JSON.parse(event.dataJson)).data?.find((t) => t.thread === thread);
    if (noted !== undefined) return new Uint8Array(Buffer.from(noted.state, "base64"));
  }
  return null;
}

function aGenerator(id: string, latentDim: number): Generator {
  return {
    identity: { id, title: "", sha256: "", provider: "" }, latentDim, initialStepSize: 1, widthPx: 0, heightPx: 0,
    decode: () => Promise.reject(new Error("expected no decoding in a replay: images come from the file")),
  };
}

/** As the display said when the session began. */
function geometryOf(devices: DevicesRecord["devices"]): DisplayGeometry {
  const known = z.object({ kind: z.enum(["timed", "window"]), widthPx: z.number(), heightPx: z.number(), refreshHz: z.number() });
  const detail = devices.find((d) => d.role === "display")?.detail ?? "";
  const parsed = detail.startsWith("{") ? known.safeParse(JSON.parse(detail)).data : undefined;
  return parsed ?? { kind: "timed", widthPx: 1920, heightPx: 1080, refreshHz: 60 };
}

/** What files of before have not, or (completed images) counted otherwise. */
const columnsOfSteps: ReadonlySet<string> = new Set(["step", "key", "block", "item", "placement", "imagesCompleted"]);

function compareRecords(recorded: SessionRecord, replayed: SessionRecordBody, old: boolean): Difference | null {
  if (recorded.kind !== replayed.kind) return { seq: recorded.seq, kind: recorded.kind, field: "kind", recorded: summarise(recorded), replayed: summarise(replayed) };
  const field = firstUnequal(recorded, replayed, Object.keys(replayed).filter((key) => !old || !columnsOfSteps.has(key)));
  return field === null ? null : { seq: recorded.seq, kind: recorded.kind, field, recorded: show(valueAt(recorded, field)), replayed: show(valueAt(replayed, field)) };
}

function firstUnequal(a: object, b: object, keys: readonly string[]): string | null {
  for (const key of keys) if (!equal(valueAt(a, key), valueAt(b, key))) return key;
  return null;
}

/** Asked for every field of every record: no copy of the record for it. */
function valueAt(object: object, key: string): unknown {
  const value: unknown = Object.hasOwn(object, key) ? Reflect.get(object, key) : undefined;
  return value;
}

/** Bit for bit, but for NaN, which is one value. */
function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || (a === 0 && b === 0)) return true;
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    return a.constructor === b.constructor && a.byteLength === b.byteLength && Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && firstUnequal(a, b, keys) === null;
}

function show(value: unknown): string {
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  return (JSON.stringify(value) ?? String(value)).slice(0, 300);
}

function summarise(record: SessionRecordBody): string {
  if (record.kind === "event") return `event ${record.category} ${record.code}: ${record.message}${record.dataJson}`.slice(0, 300);
  if (record.kind === "presentation") return `presentation ${record.presentationId} of image ${record.imageId}, ${record.excluded ?? "counted"}`;
  if (record.kind === "trial") return `trial ${record.trialId}, ${record.outcome}`;
  return record.kind;
}
