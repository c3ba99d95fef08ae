// Feature visualisation of ablated units (SPEC 5, 6): evolutions of units x signs x alphas x generators x runs, in lockstep, on disk as they
// come. Knows nothing about files' places, command lines or what is measured on the images afterwards.
//
// Only the last linear step differs between conditions, so a latent is evaluated once for all conditions that ask for it: the evolutions of
// one unit, generator and run start from the same random stream and share their images until their rankings part, and conditions with
// the same mask are one evolution.
import { ablateForConditions, listAblationConditions } from "../../analysis/ablation.ts";
import type { AblationCondition, AblationRule, WeightSign } from "../../analysis/ablation.ts";
import { createOptimizer, decodeOptimizerState, defaultsFor, encodeOptimizerState, optimizerNames, restoreOptimizer } from "../../evolve/index.ts";
import type { Optimizer, OptimizerName } from "../../evolve/index.ts";
import { FaultError, fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createRng } from "../../shared/rng.ts";
import type { FeaturePool } from "./pool.ts";
import type { LinearUnit } from "./units.ts";

export interface SweepSettings {
  readonly seed: number;
  readonly generators: readonly string[];
  /** null = what src/evolve offers for this generator without noise. */
  readonly optimizer: OptimizerName | null;
  /** Images in a population; null = the optimizer's own. */
  readonly population: number | null;
  readonly generations: number;
  readonly runs: number;
  readonly signs: readonly WeightSign[];
  readonly alphas: readonly number[];
  readonly rule: AblationRule;
}

/** SPEC 6: 100 generations, 10 runs per generator. */
export const defaultSweep: SweepSettings = {
  seed: 1, generators: ["shapes-g2"], optimizer: null, population: null, generations: 100, runs: 10,
  signs: ["positive", "negative"], alphas: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], rule: "atMost",
};

/** What one evolution came to. */
export interface EvolutionResult extends AblationCondition {
  readonly unit: string;
  readonly generator: string;
  readonly run: number;
  /** Of the best image, by the unit it was evolved for (ablated). */
  readonly activation: number;
  /** Of the same image, by the intact unit. */
  readonly intactActivation: number;
  /** Generation in which the best image came. */
  readonly generation: number;
  /** Mean over the population, by generation. */
  readonly means: readonly number[];
  /** Latent of the best image. */
  readonly latent: Float32Array;
  /** The image at the mean of the final search distribution: what the evolution came to, without the luck of single draws. */
  readonly mean: { readonly activation: number; readonly intactActivation: number; readonly latent: Float32Array };
}

/** The evolutions of one unit with one generator, run number `run`: one for every condition. */
export interface GroupKey {
  readonly unit: string;
  readonly generator: string;
  readonly run: number;
}

/** Where a sweep keeps itself. `sweepFiles.ts` is the one on disk. */
export interface SweepStore {
  /** Groups that are complete. */
  finished(): readonly GroupKey[];
  /** Results of a whole group, once. */
  finish(group: GroupKey, results: readonly EvolutionResult[]): Promise<void>;
  /** The newest checkpoint of an unfinished group. */
  checkpoint(group: GroupKey): Promise<Uint8Array | null>;
  keep(group: GroupKey, checkpoint: Uint8Array): Promise<void>;
}

export interface SweepProgress {
  readonly group: GroupKey;
  /** Generations of this group that are done. */
  readonly generation: number;
  readonly generations: number;
  readonly groupsDone: number;
  readonly groups: number;
  /** Images evaluated since this start, and how many of the evolutions' images that stood for. */
  readonly evaluated: number;
  readonly scored: number;
  /** Share of the whole sweep, 0 to 1. */
  readonly share: number;
}

export interface SweepControl {
  /** Resolves when work may go on; a sweep that waits here has its checkpoint on disk. */
  readonly gate?: () => Promise<void>;
  readonly isPaused?: () => boolean;
  /** Ends the sweep at the next generation, with a checkpoint. */
  readonly stop?: AbortSignal;
}

/** Generations between two checkpoints. */
const checkpointEvery = 10;
/** Groups under way at once: while the populations of one move, the networks work on the images of the other. */
const lanesMax = 2;

/**
 * Runs what the store does not hold yet. Settles with `stopped` when control asked for an end; the same call goes on from there, and gives
 * bit for bit what an uninterrupted sweep gives. Errors: those of the models and of createOptimizer, `sweepSettings`.
 */
export async function runSweep(options: {
  readonly units: readonly LinearUnit[];
  readonly settings: SweepSettings;
  readonly pool: FeaturePool;
  readonly store: SweepStore;
  readonly control?: SweepControl;
  readonly onProgress?: (progress: SweepProgress) => void;
  readonly onGroup?: (group: GroupKey, results: readonly EvolutionResult[]) => void;
}): Promise<Result<"finished" | "stopped", Fault>> {
  const problem = checkSweep(options.units, options.settings);
  if (problem !== null) return { ok: false, error: problem };
  const { units, settings, store } = options;
  const done = new Set(store.finished().map(keyOf));
  const groups = listGroups(units, settings);
  const waiting = groups.filter((group) => !done.has(keyOf(group)));
  const counts = { evaluated: 0, scored: 0 };
  /** Generations of the groups under way, oldest first. */
  const running = new Map<GroupKey, number>();
  let groupsDone = groups.length - waiting.length;
  let stopped = false;
  let failure: unknown = null;
  let finished = Promise.resolve();
  let pausing: Promise<void> | null = null;

  /** Whether the work is to end here; a pause is waited for, with the checkpoint on disk. */
  async function mayEnd(keep: () => Promise<void>): Promise<boolean> {
    const isEnd = (): boolean => isStopped(options.control) || failure !== null;
    if (!isEnd() && pausing === null && options.control?.isPaused?.() !== true) return false;
    await keep();
    if (isEnd()) return true;
    // One gate for all lanes.
    pausing ??= options.control?.gate?.() ?? Promise.resolve();
    await pausing;
    pausing = null;
    return isEnd();
  }

  function report(group: GroupKey, generation: number): void {
    running.set(group, generation);
    const [oldest = group] = running.keys();
    const { generations } = settings;
    const under = [...running.values()].reduce((sum, at) => sum + at / generations, 0);
    options.onProgress?.({ group: oldest, generation: running.get(oldest) ?? generation, generations, groupsDone, groups: groups.length, ...counts, share: (groupsDone + under) / groups.length });
  }

  async function evolveNext(): Promise<void> {
    for (let group = waiting.shift(); group !== undefined && !stopped && failure === null; group = waiting.shift()) {
      const own = group;
      // Results are kept one group after the other, in their order.
      const before = finished;
      let settle = (): void => undefined;
      finished = new Promise((resolve) => (settle = resolve));
      try {
        const unit = units.find((candidate) => candidate.id === own.unit);
        if (unit === undefined) throw new Error(`expected a unit ${own.unit} in the sweep`);
        running.set(own, 0);
        const results = await runGroup({ ...options, unit, group, counts, mayEnd, report: (generation) => report(own, generation) });
        await before;
        if (results === null) {
          stopped = true;
          return;
        }
        await store.finish(own, results);
        running.delete(own);
        groupsDone += 1;
        options.onGroup?.(own, results);
      } catch (error) {
        failure ??= error;
      } finally {
        settle();
      }
    }
  }

  await Promise.all(Array.from({ length: lanesMax }, evolveNext));
  if (failure instanceof FaultError) return fault(failure.code, failure.message);
  if (failure !== null) throw failure;
  return ok(stopped ? "stopped" : "finished");
}

/** In the order they are run: every run of all units before the next run, so that early results cover everything. */
export function listGroups(units: readonly LinearUnit[], settings: SweepSettings): GroupKey[] {
  return Array.from({ length: settings.runs }, (_, run) => settings.generators.flatMap((generator) => units.map((unit) => ({ unit: unit.id, generator, run })))).flat();
}

export function keyOf({ unit, generator, run }: GroupKey): string {
  return `${unit} ${generator} ${run}`;
}

/** What is wrong with a sweep's settings; null for nothing. */
export function checkSweep(units: readonly LinearUnit[], settings: SweepSettings): Fault | null {
  const refuse = (message: string): Fault => ({ code: "sweepSettings", message });
  if (units.length === 0) return refuse("Expected at least one unit to ablate, got none. Name units with --units.");
  if (new Set(units.map((unit) => unit.id)).size < units.length) return refuse("Expected every unit once, got one twice.");
  if (settings.generators.length === 0) return refuse("Expected at least one generator, got none. Name generators with --generators.");
  if (settings.signs.length === 0) return refuse("Expected at least one sign to ablate, got none.");
  const bad = settings.alphas.find((alpha) => !(alpha >= 0 && alpha <= 1));
  if (bad !== undefined || settings.alphas.length === 0) return refuse(`Expected ablation strengths from 0 to 1, got ${bad ?? "none"}. Write them as --alphas 0:1:0.1 or 0,0.5,1.`);
  for (const [name, value] of [["runs", settings.runs], ["generations", settings.generations]] as const) {
    if (!Number.isInteger(value) || value < 1) return refuse(`Expected a whole number of ${name} from 1 up, got ${value}.`);
  }
  if (settings.population !== null && (!Number.isInteger(settings.population) || settings.population < 4)) return refuse(`Expected a population of at least 4 images, got ${settings.population}.`);
  return null;
}

/** The conditions of one unit; those with one and the same mask are evolved once. */
export interface UnitConditions {
  readonly conditions: readonly AblationCondition[];
  /** Ablated weights, row-major [evolutions, features]. */
  readonly weights: Float64Array;
  /** Row of `weights` of every condition. */
  readonly evolutionOf: readonly number[];
}

/** Conditions and weights of one unit under a sweep's settings. */
export function planConditions(unit: LinearUnit, settings: Pick<SweepSettings, "signs" | "alphas" | "rule">): UnitConditions {
  const conditions = listAblationConditions({ signs: settings.signs, alphas: settings.alphas });
  const all = ablateForConditions({ weights: unit.weights, conditions, rule: settings.rule });
  const known = new Map<string, number>();
  const rows: Float64Array[] = [];
  const evolutionOf = conditions.map((_, c) => {
    const row = all.data.slice(c * all.cols, (c + 1) * all.cols);
    // -0 and 0 are one mask: the text does not tell them apart.
    const key = row.join();
    const held = known.get(key);
    if (held !== undefined) return held;
    known.set(key, rows.length);
    rows.push(row);
    return rows.length - 1;
  });
  const weights = new Float64Array(rows.length * all.cols);
  rows.forEach((row, i) => weights.set(row, i * all.cols));
  return { conditions, weights, evolutionOf };
}

interface Evolution {
  optimizer: Optimizer;
  best: { activation: number; intact: number; generation: number; latent: Float32Array } | null;
  means: number[];
}

async function runGroup(options: {
  readonly unit: LinearUnit;
  readonly group: GroupKey;
  readonly settings: SweepSettings;
  readonly pool: FeaturePool;
  readonly store: SweepStore;
  readonly counts: { evaluated: number; scored: number };
  readonly mayEnd: (keep: () => Promise<void>) => Promise<boolean>;
  readonly report: (generation: number) => void;
}): Promise<EvolutionResult[] | null> {
  const { unit, group, settings, pool, store, counts } = options;
  const generator = unwrap(await pool.models.generator(group.generator));
  const joined = unwrap(await pool.open(group.generator, unit.network));
  const plan = planConditions(unit, settings);
  const features = unit.weights.length;
  const evolutions = plan.weights.length / features;
  const dim = generator.latentDim;
  const manifest = pool.models.list().find((candidate) => candidate.id === group.generator);
  const latent = manifest?.kind === "generator" ? manifest.latent : null;

  const saved = await store.checkpoint(group);
  const restored = saved === null ? null : readCheckpoint(saved, evolutions, dim);
  let generation = restored?.generation ?? 0;
  const states = restored?.evolutions ?? Array.from({ length: evolutions }, (): Evolution => {
    const facts = { latentDim: dim, initialStepSize: generator.initialStepSize, ...(latent === null ? {} : { typicalNorm: latent.typicalNorm }) };
    const defaults = defaultsFor({ generator: facts, noise: "none" });
    const name = settings.optimizer ?? defaults.name;
    const setup = defaults.setups[name];
    return {
      optimizer: unwrap(
        createOptimizer({
          name, dim, constraints: setup.constraints,
          options: { ...setup.options, ...(settings.population === null ? {} : { population: settings.population }) },
          // One stream for all units and conditions of a run: they share their first images, and differences between them are theirs.
          rng: createRng(settings.seed).fork(`sweep/${group.generator}/${group.run}`),
          ...(latent?.start === undefined ? {} : { start: latent.start }),
        }),
      ),
      best: null,
      means: [],
    };
  });
  options.report(generation);

  while (generation < settings.generations) {
    const at = generation;
    if (await options.mayEnd(() => store.keep(group, writeCheckpoint(at, states)))) return null;
    const populations = states.map((state) => state.optimizer.ask());
    const shared = shareLatents(populations, dim);
    const values = await pool.features({ generator: group.generator, encoder: unit.network, layer: unit.layer, latents: shared.latents, dim });
    if (values.length !== shared.count * features) {
      throw new FaultError({ code: "unitFeatures", message: `Expected ${features} features from ${unit.network}, layer ${unit.layer}, as unit ${unit.title} has weights, got ${values.length / shared.count}. The unit was made for another layer or model.` });
    }
    counts.evaluated += shared.count;
    const scored = await scoreRows({ unit, plan, pool, values, features, rows: shared.rows });
    states.forEach((state, e) => {
      const rows = shared.rows[e]!;
      counts.scored += rows.length;
      const scores = scored.ablated[e]!;
      let top = 0;
      let sum = 0;
      scores.forEach((score, i) => {
        sum += score;
        if (score > scores[top]!) top = i;
      });
      state.means.push(sum / scores.length);
      if (state.best === null || scores[top]! > state.best.activation) {
        const row = rows[top]!;
        state.best = {
          activation: scores[top]!,
          intact: scored.intact(row),
          generation,
          latent: shared.latents.slice(row * dim, (row + 1) * dim),
        };
      }
      unwrap(state.optimizer.tell(scores.map((score) => [score])));
    });
    generation += 1;
    if (generation % checkpointEvery === 0 && generation < settings.generations) await store.keep(group, writeCheckpoint(generation, states));
    options.report(generation);
  }
  if (joined.encoder.id !== unit.network) throw new Error(`expected features of ${unit.network}, got those of ${joined.encoder.id}`);

  const means = states.map((state) => ({ count: 1, data: state.optimizer.mean() }));
  const shared = shareLatents(means, dim);
  const values = await pool.features({ generator: group.generator, encoder: unit.network, layer: unit.layer, latents: shared.latents, dim });
  counts.evaluated += shared.count;
  counts.scored += states.length;
  const scored = await scoreRows({ unit, plan, pool, values, features, rows: shared.rows });
  return plan.conditions.map((condition, c): EvolutionResult => {
    const e = plan.evolutionOf[c]!;
    const state = states[e];
    const row = shared.rows[e]?.[0] ?? 0;
    if (state === undefined || state.best === null) throw new Error(`expected an evolved image of ${unit.id} for ${condition.sign} ${condition.alpha}`);
    const { best } = state;
    return {
      ...group, ...condition, activation: best.activation, intactActivation: best.intact, generation: best.generation, means: state.means, latent: best.latent,
      mean: { activation: scored.ablated[e]?.[0] ?? Number.NaN, intactActivation: scored.intact(row), latent: shared.latents.slice(row * dim, (row + 1) * dim) },
    };
  });
}

/** Activations of every evolution's own rows under its ablation, and of a row by the intact unit. */
async function scoreRows(options: { readonly unit: LinearUnit; readonly plan: UnitConditions; readonly pool: FeaturePool; readonly values: Float32Array; readonly features: number; readonly rows: readonly Int32Array[] }) {
  const { unit, plan, pool, values, features, rows } = options;
  if (unit.tail === undefined) {
    return {
      ablated: rows.map((own, e) => Array.from(own, (row) => weigh(plan.weights, e * features, values, row * features, features) + unit.intercept)),
      intact: (row: number): number => weigh(unit.weights, 0, values, row * features, features) + unit.intercept,
    };
  }
  // Not linear in the layer: what the ablation removes is set to zero there, and the rest of the network computes on.
  const count = values.length / features;
  const total = rows.reduce((sum, own) => sum + own.length, 0);
  const masked = new Float32Array(total * features);
  let at = 0;
  rows.forEach((own, e) => {
    for (const row of own) {
      for (let i = 0; i < features; i++) masked[at * features + i] = plan.weights[e * features + i] === 0 && unit.weights[i] !== 0 ? 0 : values[row * features + i]!;
      at += 1;
    }
  });
  const { index } = unit.tail;
  const pick = (logits: Float32Array, of: number): Float32Array => Float32Array.from({ length: of }, (_, i) => logits[(logits.length / of) * i + index] ?? Number.NaN);
  const intact = pick(await pool.logits({ encoder: unit.network, layer: unit.layer, activations: values, dim: features }), count);
  const all = pick(await pool.logits({ encoder: unit.network, layer: unit.layer, activations: masked, dim: features }), total);
  let from = 0;
  return { ablated: rows.map((own) => Array.from(all.subarray(from, (from += own.length)))), intact: (row: number): number => intact[row] ?? Number.NaN };
}

function isStopped(control: SweepControl | undefined): boolean {
  return control?.stop?.aborted === true;
}

/** Every different latent once. `rows[evolution][individual]` is its row. */
export function shareLatents(populations: readonly { readonly count: number; readonly data: Float64Array }[], dim: number): { readonly count: number; readonly latents: Float32Array; readonly rows: readonly Int32Array[] } {
  const total = populations.reduce((sum, population) => sum + population.count, 0);
  const latents = new Float32Array(total * dim);
  const bytes = Buffer.from(latents.buffer);
  const known = new Map<string, number>();
  let count = 0;
  const rows = populations.map((population) =>
    Int32Array.from({ length: population.count }, (_, i) => {
      for (let d = 0; d < dim; d++) latents[count * dim + d] = population.data[i * dim + d]!;
      // What the network sees are the 32-bit values; equal ones are one image.
      const key = bytes.toString("latin1", count * dim * 4, (count + 1) * dim * 4);
      const held = known.get(key);
      if (held !== undefined) return held;
      known.set(key, count);
      return count++;
    }),
  );
  return { count, latents: latents.subarray(0, count * dim), rows };
}

function weigh(weights: Float64Array, offset: number, values: Float32Array, start: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += weights[offset + i]! * values[start + i]!;
  return sum;
}

// ---------------------------------------------------------------------------------------------------------------
// Checkpoints: a JSON head and the bytes it speaks of.

interface CheckpointHead {
  readonly format: "evoked-sweep-checkpoint";
  readonly version: 1;
  readonly generation: number;
  readonly evolutions: readonly { readonly stateBytes: number; readonly activation: number; readonly intact: number; readonly bestGeneration: number; readonly means: readonly number[] }[];
}

function writeCheckpoint(generation: number, evolutions: readonly Evolution[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const head: CheckpointHead = {
    format: "evoked-sweep-checkpoint", version: 1, generation,
    evolutions: evolutions.map(({ optimizer, best, means }) => {
      const state = encodeOptimizerState(optimizer.state());
      const latent = best?.latent ?? new Float32Array(optimizer.dim);
      parts.push(state, new Uint8Array(latent.buffer, latent.byteOffset, latent.byteLength));
      // A group that has not run yet has no best; its activation is then null in JSON and read back as none.
      return { stateBytes: state.length, activation: best?.activation ?? Number.NaN, intact: best?.intact ?? Number.NaN, bestGeneration: best?.generation ?? -1, means };
    }),
  };
  const text = Buffer.from(JSON.stringify(head), "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, ...parts]);
}

/** null where the checkpoint is not one of these evolutions: they start again. */
function readCheckpoint(bytes: Uint8Array, count: number, dim: number): { readonly generation: number; readonly evolutions: Evolution[] } | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const headBytes = buffer.readUInt32LE(0);
    const head = JSON.parse(buffer.toString("utf8", 4, 4 + headBytes)) as CheckpointHead;
    if (head.format !== "evoked-sweep-checkpoint" || head.version !== 1 || head.evolutions.length !== count) return null;
    let at = 4 + headBytes;
    const evolutions = head.evolutions.map((own): Evolution => {
      const optimizer = unwrap(restoreOptimizer(unwrap(decodeOptimizerState(Uint8Array.from(buffer.subarray(at, at + own.stateBytes)))), { dim }));
      at += own.stateBytes;
      const latent = new Float32Array(Uint8Array.from(buffer.subarray(at, at + dim * 4)).buffer);
      at += dim * 4;
      return { optimizer, means: [...own.means], best: own.bestGeneration < 0 ? null : { activation: own.activation, intact: own.intact, generation: own.bestGeneration, latent } };
    });
    return at === buffer.length ? { generation: head.generation, evolutions } : null;
  } catch {
    return null;
  }
}

export function isOptimizerName(name: string): name is OptimizerName {
  return (optimizerNames as readonly string[]).includes(name);
}
