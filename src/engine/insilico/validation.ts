// Recorded responses against neuron models (P Fig. 8, 10): images that were shown back to the animal, the models' predictions for them, and
// the population. Knows nothing about how the images were made or drawn; a condition is read from the image's label.
import { predict } from "../../analysis/linearModel.ts";
import { columnOf } from "../../analysis/matrix.ts";
import { populationByCondition } from "../../analysis/population.ts";
import type { PopulationCondition } from "../../analysis/population.ts";
import { meanInterval, permutationTest } from "../../analysis/statistics.ts";
import type { MeanInterval, PermutationResult } from "../../analysis/statistics.ts";
import { validateModel } from "../../analysis/validation.ts";
import type { MeasuredPredicted, ModelValidation } from "../../analysis/validation.ts";
import { nameCondition, readCondition } from "../../analysis/modelCondition.ts";
import type { ModelCondition } from "../../analysis/modelCondition.ts";
import type { SessionReader } from "../../session/reader.ts";
import type { Encoder } from "../../shared/ports.ts";
import { ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createRng } from "../../shared/rng.ts";
import { featuresOf } from "./featureCache.ts";
import type { FittedSession } from "./fit.ts";
import { readImages, readResponses } from "./sessionResponses.ts";

/** The unit's responses to the images of one condition. */
export interface ConditionResponses {
  readonly name: string;
  readonly condition: ModelCondition | null;
  readonly rates: readonly number[];
  readonly interval: MeanInterval;
  /** Against the control images, two-sided; null for the control itself and where there is none. */
  readonly vsControl: PermutationResult | null;
}

export interface SessionValidation {
  /** Index into the fit's units. */
  readonly unit: number;
  readonly imageIds: readonly number[];
  readonly model: MeasuredPredicted;
  readonly validation: ModelValidation;
  readonly conditions: readonly ConditionResponses[];
  readonly population: readonly PopulationCondition[];
}

/**
 * Validates one fitted unit on the session's model images. Images without a condition in their label count as model images of the intact
 * unit. null where the session has none. Errors: those of images and models.
 */
export async function validateSession(options: { readonly reader: SessionReader; readonly encoder: Encoder; readonly fitted: FittedSession; readonly unit: number; readonly cacheFolder: string | null; readonly permutations?: number; readonly seed: number }): Promise<Result<SessionValidation | null, Fault>> {
  const { reader, encoder, fitted, unit } = options;
  if (!reader.images().some((image) => image.imageKind === "model")) return ok(null);
  const read = readResponses(reader, { kinds: ["model"] });
  if (!read.ok) return read.error.code === "noResponses" ? ok(null) : read;
  const shown = read.value;
  const features = await featuresOf({ encoder, layer: fitted.fit.encoder.layer, images: readImages(reader, shown.images.map((image) => image.imageId)), folder: options.cacheFolder });
  const measured = columnOf(shown.rates, unit);
  const predicted = columnOf(predict(fitted.model, features), unit);
  const conditionOf = shown.images.map((image) => readCondition(image.label) ?? { sign: null, alpha: 0 });
  // The model holds for the intact unit; images of ablated ones test what was removed.
  const intact = conditionOf.flatMap((condition, row) => (condition.sign === null ? [row] : []));
  const rows = intact.length > 0 ? intact : conditionOf.map((_, row) => row);
  const pick = (values: Float64Array, of: readonly number[]): Float64Array => Float64Array.from(of, (row) => values[row]!);
  const rng = createRng(options.seed).fork("validation");
  const permutations = options.permutations ?? 10_000;
  const scatter = fitted.fit.units[unit]?.scatter;
  if (scatter === undefined) throw new Error(`expected a fitted unit ${unit}`);
  const part = (test: boolean): MeasuredPredicted => {
    const own = scatter.isTest.flatMap((flag, i) => (flag === test ? [i] : []));
    return { measured: own.map((i) => scatter.measured[i]!), predicted: own.map((i) => scatter.predicted[i]!) };
  };
  const control = pick(measured, intact);
  const groups = Map.groupBy(conditionOf.map((condition, row) => ({ condition, row })), ({ condition }) => nameCondition(condition));
  const natural = scatter.measured;
  const conditions: ConditionResponses[] = [{ name: "natural", condition: null, rates: natural, interval: meanInterval(natural), vsControl: null }];
  for (const [name, members] of [...groups].sort(([, a], [, b]) => orderOf(a[0]!.condition) - orderOf(b[0]!.condition))) {
    const rates = pick(measured, members.map(({ row }) => row));
    const condition = members[0]!.condition;
    conditions.push({ name, condition, rates: [...rates], interval: meanInterval(rates), vsControl: condition.sign === null || control.length === 0 ? null : permutationTest(rates, control, { permutations, rng: rng.fork(name) }) });
  }

  const everything = readResponses(reader);
  const population = everything.ok
    ? populationByCondition({
        responses: everything.value.rates,
        conditions: everything.value.images.map((image) => (image.kind === "model" ? nameCondition(readCondition(image.label) ?? { sign: null, alpha: 0 }) : image.kind)),
        areas: everything.value.channels.map((channel) => channel.area),
      })
    : [];
  return ok({
    unit, imageIds: shown.images.map((image) => image.imageId),
    model: { measured, predicted },
    validation: validateModel({ training: part(false), test: part(true), model: { measured: pick(measured, rows), predicted: pick(predicted, rows) }, permutations, rng: rng.fork("model against natural") }),
    conditions, population,
  });
}

/** Control, positive by strength, negative by strength. */
function orderOf({ sign, alpha }: ModelCondition): number {
  return sign === null ? 0 : (sign === "positive" ? 1 : 3) + alpha;
}
