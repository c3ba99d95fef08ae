// Curves over ablation conditions: values of single runs averaged by unit and network, with intervals and tests.
// Knows nothing about what the values are: activation, objectness, object energy, similarity.
//
// SPEC 7 (P Fig. 1, 4, 5): every unit is the mean of its runs, every network the mean of its units; the interval is over
// units (activation, similarity) or over networks (objectness).
import type { AblationCondition, WeightSign } from "./ablation.ts";
import { meanInterval, signFlipTest, spearman } from "./statistics.ts";
import type { Alternative, Correlation, IntervalMethod, MeanInterval, PermutationResult } from "./statistics.ts";
import type { Rng } from "../shared/rng.ts";

/** One image of one run. alpha 0 is the intact unit, whichever sign it carries. */
export interface RunValue extends AblationCondition {
  readonly network: string;
  readonly unit: string;
  readonly value: number;
}

export interface ConditionSummary extends AblationCondition {
  readonly interval: MeanInterval;
  /** What the interval is over, in the order of `keys`: unit means, or network means. */
  readonly values: Float64Array;
  /** "network/unit" or "network" of every value. */
  readonly keys: readonly string[];
}

export interface ConditionCurves {
  /** The intact units; null where no run has alpha 0. */
  readonly control: ConditionSummary | null;
  /** Sorted by sign (positive first), then alpha. */
  readonly conditions: readonly ConditionSummary[];
}

/** Change of one condition against the intact units, paired by unit (or network). */
export interface ConditionChange extends AblationCondition {
  /** condition - control of every pair. */
  readonly differences: Float64Array;
  readonly test: PermutationResult;
}

/** One unit of one network at one robustness level. */
export interface RobustnessValue extends AblationCondition {
  /** Training strength of the network, epsilon in units of 1/255 (0 = not robust). */
  readonly epsilon: number;
  readonly unit: string;
  /** Similarity of ablated to control images, or another measure of the ablated condition. */
  readonly similarity: number;
  /** Similarity of the control images among themselves, or the measure of the control. */
  readonly controlSimilarity: number;
}

/** One row of the robustness table (P Table 1). */
export interface RobustnessRow extends AblationCondition {
  /** Of the raw similarity with epsilon. */
  readonly raw: Correlation;
  /** Of the change relative to control, (similarity - control) / control, with epsilon. */
  readonly relative: Correlation;
}

/** Highest box score of a detector on one image; 0 where it found no box (SPEC 7). Throws on a score outside 0..1. */
export function measureObjectness(boxScores: ArrayLike<number>): number {
  let highest = 0;
  for (let i = 0; i < boxScores.length; i++) {
    const score = boxScores[i]!;
    if (!(score >= 0 && score <= 1)) throw new Error(`expected box scores from 0 to 1, got ${score}`);
    highest = Math.max(highest, score);
  }
  return highest;
}

/**
 * Averages runs by unit (and units by network, with `over: "networks"`) and gives every condition its mean and interval.
 * Throws where no value came, or one is NaN.
 */
export function summariseConditions(
  values: readonly RunValue[],
  options: { readonly over?: "units" | "networks"; readonly interval?: IntervalMethod } = {},
): ConditionCurves {
  if (values.length === 0) throw new Error("expected at least one run to summarise, got none");
  const over = options.over ?? "units";
  const summaries = [...groupBy(values, conditionKey).values()].map((runs): ConditionSummary => {
    const first = runs[0]!;
    const averages = averageRuns(runs, over);
    const numbers = Float64Array.from(averages.values());
    return {
      sign: first.sign,
      alpha: first.alpha,
      interval: meanInterval(numbers, options.interval),
      values: numbers,
      keys: [...averages.keys()],
    };
  });
  const order = (sign: WeightSign) => (sign === "positive" ? 0 : 1);
  const conditions = summaries.filter((s) => s.alpha > 0).sort((a, b) => order(a.sign) - order(b.sign) || a.alpha - b.alpha);
  return { control: summaries.find((s) => s.alpha === 0) ?? null, conditions };
}

/**
 * Tests every condition against the intact units by sign flips of the paired differences. Only units (networks) that have
 * both take part. Throws where the curves have no control, or a condition shares no unit with it.
 */
export function compareWithControl(
  curves: ConditionCurves,
  options: { readonly alternative?: Alternative; readonly permutations?: number; readonly rng: Rng },
): ConditionChange[] {
  const { control, conditions } = curves;
  if (control === null) throw new Error("expected runs of the intact unit (alpha 0) to compare with, got none");
  const base = new Map(control.keys.map((key, i) => [key, control.values[i]!]));
  return conditions.map(({ sign, alpha, keys, values }) => {
    const differences = Float64Array.from(
      keys.flatMap((key, i) => {
        const before = base.get(key);
        return before === undefined ? [] : [values[i]! - before];
      }),
    );
    if (differences.length === 0) throw new Error(`expected units with both control and ${sign} alpha ${alpha}, got none`);
    return { sign, alpha, differences, test: signFlipTest(differences, { ...options, rng: options.rng.fork(`${sign}/${alpha}`) }) };
  });
}

/**
 * Spearman correlation of representational change with robust training, for every sign and alpha above 0 (SPEC 7, P Table 1):
 * n = units x levels. A negative rho says that more robust networks change more. Rows as in summariseConditions.
 */
export function tabulateRobustness(values: readonly RobustnessValue[]): RobustnessRow[] {
  const order = (sign: WeightSign) => (sign === "positive" ? 0 : 1);
  return [...groupBy(values.filter((value) => value.alpha > 0), conditionKey).values()]
    .map((group): RobustnessRow => {
      const first = group[0]!;
      const epsilons = group.map((value) => value.epsilon);
      return {
        sign: first.sign,
        alpha: first.alpha,
        raw: spearman(epsilons, group.map((value) => value.similarity)),
        relative: spearman(epsilons, group.map(relativeChange)),
      };
    })
    .sort((a, b) => order(a.sign) - order(b.sign) || a.alpha - b.alpha);
}

/** Mean raw similarity and mean relative change for every level, sign and alpha (P Fig. 7), intervals over units. */
export function summariseRobustness(
  values: readonly RobustnessValue[],
  options: { readonly interval?: IntervalMethod } = {},
): (AblationCondition & { readonly epsilon: number; readonly raw: MeanInterval; readonly relative: MeanInterval })[] {
  const order = (sign: WeightSign) => (sign === "positive" ? 0 : 1);
  return [...groupBy(values, (value) => `${value.epsilon}/${conditionKey(value)}`).values()]
    .map((group) => {
      const first = group[0]!;
      return {
        epsilon: first.epsilon,
        sign: first.sign,
        alpha: first.alpha,
        raw: meanInterval(group.map((value) => value.similarity), options.interval),
        relative: meanInterval(group.map(relativeChange), options.interval),
      };
    })
    .sort((a, b) => a.epsilon - b.epsilon || order(a.sign) - order(b.sign) || a.alpha - b.alpha);
}

/** (similarity - control) / control: 0 for no change, negative for less alike. */
export function relativeChange(value: { readonly similarity: number; readonly controlSimilarity: number }): number {
  return (value.similarity - value.controlSimilarity) / value.controlSimilarity;
}

/** The control is one condition, whichever sign its runs carry. */
function conditionKey(condition: AblationCondition): string {
  return condition.alpha === 0 ? "control" : `${condition.sign}/${condition.alpha}`;
}

function averageRuns(runs: readonly RunValue[], over: "units" | "networks"): Map<string, number> {
  const units = new Map<string, { network: string; value: number }>();
  for (const [key, group] of groupBy(runs, (run) => `${run.network}/${run.unit}`)) {
    const value = group.reduce((sum, run) => sum + run.value, 0) / group.length;
    if (Number.isNaN(value)) throw new Error(`expected numbers to average, got NaN for ${key} at alpha ${group[0]?.alpha}`);
    units.set(key, { network: group[0]?.network ?? "", value });
  }
  if (over === "units") return new Map([...units].map(([key, { value }]) => [key, value]));
  const networks = groupBy([...units.values()], (unit) => unit.network);
  return new Map([...networks].map(([network, group]) => [network, group.reduce((sum, unit) => sum + unit.value, 0) / group.length]));
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
