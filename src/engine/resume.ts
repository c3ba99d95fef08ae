// What a session had reached at some record of its file, in the terms of the loop. Changes nothing in the file. Knows nothing about SQL.
import { z } from "zod";
import { decodeOptimizerState, restoreOptimizer } from "../evolve/index.ts";
import type { OptimizerState } from "../evolve/index.ts";
import type { ResumePoint } from "../loop/loopTypes.ts";
import { nothingCarried } from "../loop/protocols/protocol.ts";
import type { CarryOver, EvolutionResume, ProtocolImage } from "../loop/protocols/protocol.ts";
import type { StepSetup } from "../loop/steps.ts";
import type { EvolutionThread } from "../loop/thread.ts";
import { countersAfter, freshCounters, restAfter } from "../loop/trial.ts";
import { openSession } from "../session/reader.ts";
import type { SessionReader, SessionRun } from "../session/reader.ts";
import type { Stored } from "../session/rows.ts";
import { planStep, sessionConfig, stepsOf } from "../shared/contract/index.ts";
import type { EvolutionStep, SessionConfig, StepReport, StepView } from "../shared/contract/index.ts";
import type { EventRecord, StepRecord, TrialRecord } from "../shared/records.ts";
import { FaultError, err, fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { nsPerMs } from "../shared/units.ts";

/** Where an evolution that is under way stands. */
export interface PastEvolution {
  readonly settings: EvolutionStep;
  readonly firstThread: number;
  /** optimizer null = no generation was finished. */
  readonly threads: readonly { readonly optimizer: OptimizerState | null; readonly target: number; readonly wanted: number | null }[];
  readonly generation: number | null;
  readonly blocks: number;
  readonly history: EvolutionResume["history"];
}

export interface PastSession {
  readonly id: string;
  readonly startedUtc: string;
  readonly config: SessionConfig;
  /** All but the evolution, whose threads need generators. */
  readonly point: Omit<ResumePoint, "evolution">;
  readonly evolution: PastEvolution | null;
  /** Steps that the plan has by now. */
  readonly steps: number;
  /** Reports and last views of the steps that have ended. */
  readonly reports: readonly { readonly report: StepReport; readonly view: StepView | null }[];
}

/** For going on with a file. Errors: those of opening a session, `badConfig`, `sessionComplete`. */
export function readResumePoint(file: string): Result<PastSession, Fault> {
  const opened = openSession(file);
  if (!opened.ok) return opened;
  try {
    const past = pastAt(opened.value, Number.POSITIVE_INFINITY);
    if (past.point.current === null && past.point.ended.length >= past.steps) {
      const done = past.config.plan.length === 0 ? `All ${past.config.evolution.generations} generations` : `All ${past.steps} steps`;
      return fault("sessionComplete", `${done} of ${file} are done: there is nothing to resume. Start a new session instead.`);
    }
    return ok(past);
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    opened.value.close();
  }
}

export function configOf(reader: SessionReader): SessionConfig {
  const config = sessionConfig.safeParse(JSON.parse(reader.info().configJson));
  if (config.success) return config.data;
  throw new FaultError({ code: "badConfig", message: `Expected ${reader.file} to hold a session configuration of this version, got: ${config.error.issues[0]?.message ?? "something else"}. Open it with the version of Evoked that made it.` });
}

/** The steps as configured, each with its own folder. */
export function setupsOf(config: SessionConfig): readonly StepSetup[] {
  return stepsOf(config).map((settings, library) => ({ settings, library }));
}

/** Builds the loop's resume point: `open` gives fresh threads, whose optimizers are then set to where they were. */
export function resumePointOf(past: PastSession, open: (settings: EvolutionStep, firstThread: number) => readonly EvolutionThread[]): ResumePoint {
  const { evolution } = past;
  if (evolution === null) return { ...past.point, evolution: null };
  const threads = open(evolution.settings, evolution.firstThread).map((fresh, slot) => {
    const state = evolution.threads[slot];
    if (state === undefined) return fresh;
    const optimizer = state.optimizer === null ? fresh.optimizer : unwrap(restoreOptimizer(state.optimizer, { dim: fresh.optimizer.dim }));
    return { ...fresh, optimizer, target: state.target };
  });
  const wanted = evolution.threads.flatMap((t, slot): (readonly [number, number])[] => (t.wanted === null ? [] : [[evolution.firstThread + slot, t.wanted]]));
  return { ...past.point, evolution: { generation: evolution.generation, threads, history: evolution.history, blocks: evolution.blocks, wantedTargets: wanted } };
}

const setRewardInput = z.object({ pulseMs: z.number() });
const targetEvent = z.object({ thread: z.number().int(), channel: z.number().int() });
const begunData = z.object({ firstThread: z.number(), library: z.number() });
const skipEvent = z.object({ step: z.number(), block: z.number() });
const queueEvent = z.object({ step: z.number(), blocks: z.number().nullable(), images: z.array(z.object({ imageId: z.number(), key: z.string() })) });
const planEvent = z.object({ plan: z.array(z.object({ settings: planStep, library: z.number() })) });

/** Hashes of the own protocols that a session was recorded with, by name. */
export function sourcesOf(reader: SessionReader): ReadonlyMap<string, string> {
  const named = z.object({ name: z.string() });
  return new Map(reader.steps().flatMap((s): [string, string][] => {
    const name = s.sourceSha256 === null ? null : (named.safeParse(JSON.parse(s.settingsJson)).data?.name ?? null);
    return name === null || s.sourceSha256 === null ? [] : [[name, s.sourceSha256]];
  }));
}

export function endedData(record: StepRecord): { readonly report: StepReport; readonly carried: CarryOver; readonly view: StepView | null } {
  return JSON.parse(record.dataJson) as { report: StepReport; carried: CarryOver; view: StepView | null };
}

/** Recordings of file versions 1 to 3 are of one evolution and do not say what was in its folder; all later ones do, for every step. */
export function saysSteps(event: { readonly category: string; readonly code: string }): boolean {
  return event.category === "input" && event.code === "library";
}

/** What the finished generations of a thread gave. `step` null: a file that does not name steps. */
function historyOf(
  thread: number,
  step: number | null,
  file: { readonly generations: ReturnType<SessionReader["generations"]>; readonly images: ReturnType<SessionReader["images"]>; readonly presentations: ReturnType<SessionReader["presentations"]> },
): EvolutionResume["history"][number] {
  const own = file.generations.filter((g) => g.thread === thread);
  const references = new Set(file.images.filter((i) => i.imageKind === "reference").map((i) => i.imageId));
  let best: EvolutionResume["history"][number]["best"] = null;
  for (const g of own) {
    const bestImage = file.images.find((i) => i.imageId === g.bestImageId);
    const rateHz = Math.max(...[...g.scores].filter((s) => !Number.isNaN(s)));
    if (bestImage !== undefined && bestImage.latent !== null && (best === null || rateHz > best.rateHz)) best = { imageId: bestImage.imageId, rateHz, latent: bestImage.latent };
  }
  const first = own[0];
  return {
    thread,
    start: first === undefined || first.stateBefore.byteLength === 0 ? null : unwrap(restoreOptimizer(unwrap(decodeOptimizerState(first.stateBefore)))).mean(),
    best,
    generations: own.map((g) => ({
      generation: g.generation,
      evolved: [...g.scores].filter((s) => !Number.isNaN(s)),
      references: [...Map.groupBy(file.presentations.filter((p) => p.generation === g.generation && p.excluded === null && (step === null || p.step === step) && references.has(p.imageId)), (p) => p.imageId)].map(([imageId, shown]) => ({
        imageId,
        scores: shown.map((p) => ((p.counts?.[g.targetChannel] ?? 0) / ((p.windowEndMs - p.windowStartMs) / 1000))),
      })),
    })),
  };
}

/** What the session had reached when record `lastSeq` was written: the same whether the file ends there or goes on. */
export function pastAt(reader: SessionReader, lastSeq: number): PastSession {
  const upTo = <T extends { readonly seq: number }>(rows: readonly T[]): readonly T[] => rows.filter((r) => r.seq <= lastSeq);
  const config = configOf(reader);
  const info = reader.info();
  const generations = upTo(reader.generations({ states: true }));
  const images = upTo(reader.images());
  const presentations = upTo(reader.presentations());
  const trials = upTo(reader.trials());
  const steps = upTo(reader.steps());
  const everything = upTo(reader.events());
  const events = everything.filter((e) => e.category !== "input");
  const data = <T>(schema: z.ZodType<T>, json: string): T | null => schema.safeParse(JSON.parse(json === "" ? "{}" : json)).data ?? null;
  const old = config.plan.length === 0 && !everything.some(saysSteps);

  const plan = events.findLast((e) => e.code === "plan" && e.category === "state");
  const changed = plan === undefined ? null : (data(planEvent, plan.dataJson)?.plan ?? null);
  const setups = changed ?? setupsOf(config);
  const endedRows = steps.filter((s) => s.state !== "begun");
  const lastBegun = steps.findLast((s) => s.state === "begun");
  const allDone = old && Math.max(-1, ...generations.map((g) => g.generation)) + 1 >= config.evolution.generations;
  const ended: ResumePoint["ended"] = allDone
    ? [{ step: 0, state: "done", message: "" }]
    : endedRows.map((s) => ({ step: s.step, state: s.state === "skipped" ? "skipped" : "done", message: endedData(s).report.sentences.at(-1) ?? "" }));
  const current = old ? (allDone ? null : 0) : lastBegun !== undefined && !ended.some((e) => e.step === lastBegun.step) ? lastBegun.step : null;
  const settings = current === null ? null : (setups[current]?.settings ?? null);
  const lastEnded = endedRows.at(-1);
  let carried = lastEnded === undefined ? nothingCarried : endedData(lastEnded).carried;
  const firstThread = lastBegun === undefined || current === null ? threadsBefore(setups, endedRows.length) : (data(begunData, lastBegun.dataJson)?.firstThread ?? 0);

  // The operator's choice of a target outside of an evolution is for the next one.
  for (const e of events) {
    if (e.code !== "setTarget") continue;
    const chosen = data(targetEvent.extend({ step: z.number() }), e.dataJson);
    if (chosen !== null) carried = { ...carried, target: { channel: chosen.channel, fromStep: chosen.step, byOperator: true } };
  }

  const evolution = settings?.protocol === "evolution" ? evolutionAt(settings) : null;

  function evolutionAt(step: EvolutionStep): PastEvolution {
    const since = lastBegun?.seq ?? 0;
    const numbers = step.threads.map((_, slot) => firstThread + slot);
    const own = generations.filter((g) => numbers.includes(g.thread));
    const lastDone = Math.max(-1, ...own.map((g) => g.generation));
    const lastGenerationSeq = Math.max(-1, ...own.map((g) => g.seq));
    const targets = new Map(step.threads.flatMap((t, slot): [number, number][] => (t.target === "auto" ? [] : [[firstThread + slot, t.target]])));
    const wanted = new Map<number, number>();
    for (const event of events) {
      if (event.seq < since || (event.code !== "target" && event.code !== "setTarget")) continue;
      const chosen = data(targetEvent, event.dataJson);
      if (chosen === null || !numbers.includes(chosen.thread)) continue;
      // What the operator chooses holds from the next generation on.
      if (!old && event.code === "setTarget" && event.seq > lastGenerationSeq) wanted.set(chosen.thread, chosen.channel);
      else targets.set(chosen.thread, chosen.channel);
    }
    const begun = numbers.every((n) => targets.has(n)) && (lastDone >= 0 || images.some((i) => i.generation !== null && i.thread !== null && numbers.includes(i.thread)));
    const tuned = events.some((e) => e.seq >= since && e.code === "tuning");
    return {
      settings: step, firstThread, generation: begun ? lastDone + 1 : null, blocks: begun ? (tuned ? 1 : 0) + lastDone + 1 : 0,
      threads: numbers.map((n) => {
        const last = own.findLast((g) => g.thread === n);
        // An imported evolution has no state.
        return { optimizer: last === undefined || last.stateAfter.byteLength === 0 ? null : unwrap(decodeOptimizerState(last.stateAfter)), target: targets.get(n) ?? 0, wanted: wanted.get(n) ?? null };
      }),
      history: begun ? numbers.map((n) => historyOf(n, old ? null : current, { generations, images, presentations })) : [],
    };
  }

  // Of a block in which units were sorted anew, what was measured before it counts no more.
  const resorted = Math.max(-1, ...events.flatMap((e) => (e.code === "unitsResorted" && e.category === "operator" ? [e.seq] : [])));
  const counted = presentations.flatMap((p) => (p.excluded !== null || p.seq < resorted || p.counts === null ? [] : [{ ...p, ratesHz: Array.from(p.counts, (c) => c / ((p.windowEndMs - p.windowStartMs) / 1000)) }]));
  const measured = old
    ? counted.flatMap((p) => (evolution === null || evolution.generation === null || p.generation !== evolution.generation ? [] : [{ block: evolution.blocks, item: p.imageId, imageId: p.imageId, ratesHz: p.ratesHz }]))
    : counted.flatMap((p) => (current === null || p.step !== current || p.block === null || p.item === null || p.block < (evolution?.blocks ?? 0) ? [] : [{ block: p.block, item: p.item, imageId: p.imageId, ratesHz: p.ratesHz }]));

  const references = images.filter((i) => i.imageKind === "reference");
  const known = images.map((i): ProtocolImage => ({
    imageId: i.imageId, step: i.step ?? 0, kind: i.imageKind, label: i.label, thread: i.thread, generation: i.generation, individual: i.individual, latent: i.latent, source: { kind: "recorded" },
    key: i.key ?? (i.imageKind === "reference" ? `reference/${references.indexOf(i)}` : i.generation === null ? `old/${i.imageId}` : `generation/${i.generation}/${i.thread ?? 0}/${i.individual ?? 0}`),
  }));
  const byId = new Map(known.map((i) => [i.imageId, i]));
  const from = current ?? ended.length;
  const sent = events.flatMap((e) => (e.code === "queueImages" ? (data(queueEvent, e.dataJson) ?? []) : []));

  return {
    id: info.id, startedUtc: info.startedUtc, config, evolution, steps: setups.length,
    reports: endedRows.map((s) => {
      const { report, view } = endedData(s);
      return { report, view };
    }),
    point: {
      nextImageId: Math.max(0, ...images.map((i) => i.imageId), ...sent.flatMap((q) => q.images.map((i) => i.imageId))) + 1,
      nextPresentationId: Math.max(0, ...presentations.map((p) => p.presentationId)) + 1,
      nextTrialId: Math.max(0, ...trials.map((t) => t.trialId)) + 1,
      ...trialsAt(trials, everything, reader.runs().filter((r) => r.firstSeq <= lastSeq), config.trial),
      nextQueued: sent.reduce((n, q) => n + q.images.length, 0),
      firstThread, plan: changed, ended, current, carried, images: known, measured,
      skippedBlocks: events.flatMap((e) => {
        const skipped = e.code === "skip" ? data(skipEvent, e.dataJson) : null;
        return skipped !== null && skipped.step === current ? [skipped.block] : [];
      }),
      queued: sent.flatMap((q) => (q.step < from ? [] : q.images.flatMap(({ imageId }) => {
        const image = byId.get(imageId);
        // An image whose pixels were not written before the kill is lost: the operator sends it again.
        return image === undefined ? [] : [{ image, blocks: q.blocks ?? (q.step === current ? 0 : null) }];
      }))),
    },
  };
}

/** Whether trials may follow one another, as the loop logs it. */
const orderCodes: ReadonlySet<string> = new Set(["paused", "resumed", "stop", "streamLost"]);

type TrialsSoFar = Pick<ResumePoint, "counters" | "rewardMs">;
export const noTrialsYet: TrialsSoFar = { counters: freshCounters, rewardMs: null };

/** The engine's note in a run that went on with the streak, the break and the reward of the runs before. Earlier versions began them anew, and their recordings replay as they were. */
export const wentOnCode = "trialsGoOn";

export function tookOverTrials(events: readonly Pick<Stored<EventRecord>, "seq" | "category" | "code">[], run: Pick<SessionRun, "firstSeq" | "lastSeq">): boolean {
  return events.some((e) => e.category === "engine" && e.code === wentOnCode && e.seq >= run.firstSeq && e.seq <= run.lastSeq);
}

/** What the trials of all runs leave to the next one. Recorded times are compared within one run only: every run has a clock of its own. */
function trialsAt(trials: readonly Stored<TrialRecord>[], events: readonly Stored<EventRecord>[], runs: readonly SessionRun[], timing: SessionConfig["trial"]): TrialsSoFar {
  return runs.reduce((before, run, i) => {
    const { counters, rewardMs } = i === 0 || tookOverTrials(events, run) ? before : noTrialsYet;
    const within = <T extends { readonly seq: number }>(rows: readonly T[]): readonly T[] => rows.filter((r) => r.seq >= run.firstSeq && r.seq <= run.lastSeq);
    const own = within(trials);
    const ownEvents = within(events);
    const settled = own.map((trial, at) => {
      const restedHostNs = trial.endHostNs + restAfter(trial.outcome, timing).ms * nsPerMs;
      const isOver = at + 1 < own.length || ownEvents.some((e) => e.seq > trial.seq && e.hostNs >= restedHostNs);
      const lastOrder = ownEvents.findLast((e) => orderCodes.has(e.code) && e.category !== "input" && e.hostNs <= restedHostNs);
      return { outcome: trial.outcome, wentOn: isOver && (lastOrder === undefined || lastOrder.code === "resumed") };
    });
    const setReward = ownEvents.findLast((e) => e.category === "input" && e.code === "setReward");
    return { counters: countersAfter(counters, settled, timing), rewardMs: setReward === undefined ? rewardMs : setRewardInput.parse(JSON.parse(setReward.dataJson)).pulseMs };
  }, noTrialsYet);
}

/** Evolutions of the first `count` steps. */
function threadsBefore(setups: readonly StepSetup[], count: number): number {
  return setups.slice(0, count).reduce((n, { settings }) => n + (settings.protocol === "evolution" ? settings.threads.length : 0), 0);
}

/** The latent that another evolution may start from: an image's, or the distribution mean at the end of a thread. Errors: those of opening a session, `noStart`. */
export function readStart(from: { readonly file: string; readonly imageId: number | null; readonly thread: number }): Result<Float64Array, Fault> {
  const opened = openSession(from.file);
  if (!opened.ok) return opened;
  const reader = opened.value;
  try {
    if (from.imageId !== null) {
      const latent = reader.image(from.imageId)?.record.latent ?? null;
      return latent === null ? fault("noStart", `Expected an evolved image ${from.imageId} in ${from.file}, found none with a latent. Choose an image of its gallery.`) : ok(Float64Array.from(latent));
    }
    const last = reader.generations({ states: true }).findLast((g) => g.thread === from.thread);
    if (last === undefined) return fault("noStart", `Expected a finished generation of evolution ${from.thread} in ${from.file}, found none. Choose another session.`);
    return ok(unwrap(restoreOptimizer(unwrap(decodeOptimizerState(last.stateAfter)))).mean());
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    reader.close();
  }
}
