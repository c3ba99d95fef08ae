// What a sweep's images show (SPEC 7): activation, object energy, objectness, likeness over an ensemble, by ablation strength, with intervals
// and permutation tests. Knows nothing about how the images were evolved, figures or files.
import { compareWithControl, summariseConditions, summariseRobustness, tabulateRobustness } from "../../analysis/conditions.ts";
import type { RobustnessRow, RobustnessValue, RunValue } from "../../analysis/conditions.ts";
import type { WeightSign } from "../../analysis/ablation.ts";
import { measureEnsembleSimilarity, similarityFromDistances } from "../../analysis/similarity.ts";
import type { Models } from "../../models/client.ts";
import { measurePerceptualDistances } from "../../models/perceptual.ts";
import { unwrap } from "../../shared/result.ts";
import { createRng } from "../../shared/rng.ts";
import type { ImageBatch } from "../../shared/values.ts";
import type { EvolutionResult } from "./sweep.ts";
import type { LinearUnit } from "./units.ts";

/** Which image of an evolution is measured: the best single one (as in the paper), or the one at the mean of the final search distribution. */
export type MeasuredOf = "best" | "mean";

export interface MeasureSettings {
  readonly of: MeasuredOf;
  /** Encoders that judge likeness, each at its penultimate layer. */
  readonly ensemble: readonly string[];
  /** Encoder whose vectors give LPIPS (models/convert/lpips_alex.py); where it is not installed the report says how to get it. null = not wanted. */
  readonly perceptual: string | null;
  /** null = no objectness. */
  readonly detector: string | null;
  readonly permutations: number;
  readonly interval: "t" | "bootstrap";
  readonly seed: number;
  /** Training strength of robust networks in units of 1/255; networks not named have none and take no part in the robustness table. */
  readonly epsilons: Readonly<Record<string, number>>;
}

export const defaultMeasures: MeasureSettings = { of: "best", ensemble: [], perceptual: "lpips-alex", detector: null, permutations: 10_000, interval: "t", seed: 1, epsilons: {} };

/** One evolved image with what was measured on it; null where it could not be. */
export interface MeasuredImage {
  readonly result: EvolutionResult;
  readonly network: string;
  readonly image: ImageBatch;
  /** By the unit it was evolved for, and by the intact one. */
  readonly activation: number;
  readonly intactActivation: number;
  /** Mean absolute difference between the image and the same image without its object, 0 to 1. */
  readonly objectEnergy: number | null;
  /** Highest box score, 0 to 1. */
  readonly objectness: number | null;
}

export interface CurvePoint {
  readonly sign: WeightSign;
  readonly alpha: number;
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly n: number;
  /** Against the control, paired; null for likeness, which has no pair. */
  readonly p: number | null;
  readonly difference: number | null;
  readonly values: readonly number[];
}

export interface MeasureCurve {
  readonly id: "activation" | "intactActivation" | "objectEnergy" | "objectness" | "similarity" | "perceptual";
  readonly title: string;
  readonly axis: string;
  /** What the intervals and tests are over. */
  readonly over: "units" | "runs" | "networks";
  readonly network: string;
  readonly control: Omit<CurvePoint, "sign" | "alpha" | "p" | "difference"> | null;
  readonly points: readonly CurvePoint[];
  /** Arrangements per test, and whether all were looked at. */
  readonly permutations: number;
  readonly exact: boolean;
  readonly keys: readonly string[];
}

export interface SweepMeasures {
  readonly settings: MeasureSettings;
  readonly curves: readonly MeasureCurve[];
  /** Rows of the robustness table, measure by measure; empty below two levels. */
  readonly robustness: readonly MeasureTrend[];
  /** The means behind them, by level. */
  readonly levels: readonly MeasureLevel[];
  /** Measures that could not be had, and why. */
  readonly missing: readonly string[];
}

/** How one measure goes with the strength of adversarial training: of the value as it is, and of its change relative to the control. */
export interface MeasureTrend extends RobustnessRow {
  readonly measure: MeasureCurve["id"];
}

/** Mean of a measure over the units of one level, as it is and relative to the control. */
export type MeasureLevel = ReturnType<typeof summariseRobustness>[number] & { readonly measure: MeasureCurve["id"] };

type TrendValue = RobustnessValue & { readonly measure: MeasureCurve["id"] };

const decodeBatch = 16;
/** Fewest units that intervals and tests are over. */
const unitsMin = 3;

/** Decodes every evolved image and measures it. Order as in `results`. */
export async function measureImages(options: { readonly results: readonly EvolutionResult[]; readonly units: readonly LinearUnit[]; readonly models: Models; readonly detector: string | null; readonly of?: MeasuredOf; readonly onProgress?: (share: number) => void }): Promise<MeasuredImage[]> {
  const { results, units, models } = options;
  const networkOf = new Map(units.map((unit) => [unit.id, unit.network]));
  const measured = new Array<MeasuredImage | undefined>(results.length);
  const detector = options.detector === null ? null : unwrap(await models.detector(options.detector));
  let done = 0;
  for (const [id, members] of Map.groupBy(results.map((result, place) => ({ result, place })), ({ result }) => result.generator)) {
    const generator = unwrap(await models.generator(id));
    for (let from = 0; from < members.length; from += decodeBatch) {
      const part = members.slice(from, from + decodeBatch);
      const latents = new Float32Array(part.length * generator.latentDim);
      part.forEach(({ result }, i) => latents.set(options.of === "mean" ? result.mean.latent : result.latent, i * generator.latentDim));
      const batch = { count: part.length, dim: generator.latentDim, data: latents };
      const parts = generator.hasBackgrounds ? await generator.decodeParts(batch) : { images: await generator.decode(batch), backgrounds: null, masks: null };
      const found = detector === null ? null : await detector.detect(parts.images);
      part.forEach(({ result, place }, i) => {
        const image = takeImage(parts.images, i);
        measured[place] = {
          result, image, network: networkOf.get(result.unit) ?? "",
          activation: options.of === "mean" ? result.mean.activation : result.activation,
          intactActivation: options.of === "mean" ? result.mean.intactActivation : result.intactActivation,
          objectEnergy: parts.backgrounds === null ? null : meanDifference(image.data, takeImage(parts.backgrounds, i).data),
          objectness: found?.[i]?.objectness ?? null,
        };
      });
      done += part.length;
      options.onProgress?.(done / results.length);
    }
  }
  return measured.map((entry, i) => {
    if (entry === undefined) throw new Error(`expected a measured image ${i}`);
    return entry;
  });
}

/** Curves of every measure, each network by itself. */
export async function summariseSweep(options: { readonly images: readonly MeasuredImage[]; readonly models: Models; readonly settings: MeasureSettings }): Promise<SweepMeasures> {
  const { images, models, settings } = options;
  const missing: string[] = [];
  const curves: MeasureCurve[] = [];
  const trends: TrendValue[] = [];
  const networks = [...new Set(images.map((image) => image.network))];
  const measures = [
    { id: "activation", title: "Activation of the ablated unit", axis: "activation", pick: (m: MeasuredImage) => m.activation },
    { id: "intactActivation", title: "Activation of the intact unit by the same images", axis: "activation", pick: (m: MeasuredImage) => m.intactActivation },
    { id: "objectEnergy", title: "Object energy", axis: "mean |image - background|", pick: (m: MeasuredImage) => m.objectEnergy },
    { id: "objectness", title: "Objectness", axis: "highest box score", pick: (m: MeasuredImage) => m.objectness },
  ] as const;
  for (const network of networks) {
    const own = images.filter((image) => image.network === network);
    // Below three units there is next to nothing between units: the runs, which share their random stream over conditions, take their place.
    const over = new Set(own.map((image) => image.result.unit)).size >= unitsMin ? ("units" as const) : ("runs" as const);
    for (const { id, title, axis, pick } of measures) {
      const values = own.flatMap((image): RunValue[] => {
        const value = pick(image);
        const { unit, generator, run, sign, alpha } = image.result;
        return value === null ? [] : [{ network, unit: over === "units" ? unit : `${unit} ${generator} run ${run}`, sign, alpha, value }];
      });
      if (values.length < own.length) {
        if (values.length === 0) missing.push(id === "objectness" ? "Objectness: no detector was named." : `Object energy (${network}): the generators do not know their object apart from the background.`);
        continue;
      }
      curves.push(summariseCurve({ id, title, axis, over, network, values, settings }));
      // The intact unit's activation by images of an ablated one is no measure of its own along the levels.
      if (id !== "intactActivation") trends.push(...trendValues(id, network, own.map((image) => ({ unit: image.result.unit, sign: image.result.sign, alpha: image.result.alpha, value: pick(image) ?? 0 })), settings));
    }
  }
  if (settings.ensemble.length === 0) missing.push("Likeness: no ensemble of networks was named.");
  else {
    const likeness = await measureLikeness(images, models, settings);
    curves.push(...likeness.curves);
    trends.push(...likeness.trends);
  }
  if (settings.perceptual !== null) {
    if (isInstalled(models, settings.perceptual)) {
      const perceptual = await measurePerceptual(images, models, settings.perceptual, settings);
      curves.push(...perceptual.curves);
      trends.push(...perceptual.trends);
    } else missing.push(`Likeness by LPIPS: the model "${settings.perceptual}" is not installed. Get it with: evoked models fetch ${settings.perceptual}`);
  }
  const byMeasure = [...Map.groupBy(trends, ({ measure }) => measure)].filter(([, values]) => new Set(values.map((value) => value.epsilon)).size > 1);
  const interval = settings.interval === "t" ? { kind: "t" as const } : { kind: "bootstrap" as const, rng: createRng(settings.seed).fork("levels") };
  return {
    settings, curves, missing: [...new Set(missing)],
    robustness: byMeasure.flatMap(([measure, values]) => tabulateRobustness(values).map((row) => ({ ...row, measure }))),
    levels: byMeasure.flatMap(([measure, values]) => summariseRobustness(values, { interval }).map((row) => ({ ...row, measure }))),
  };
}

/** Unit by unit, the mean of a condition and of the control, for a network whose level is known. A control of 0 has no relative change. */
function trendValues(measure: MeasureCurve["id"], network: string, values: readonly { readonly unit: string; readonly sign: WeightSign; readonly alpha: number; readonly value: number }[], settings: MeasureSettings): TrendValue[] {
  const epsilon = settings.epsilons[network];
  if (epsilon === undefined) return [];
  const mean = (own: readonly { readonly value: number }[]): number => own.reduce((sum, { value }) => sum + value, 0) / own.length;
  return [...Map.groupBy(values, ({ unit }) => unit)].flatMap(([unit, own]): TrendValue[] => {
    const control = own.filter(({ alpha }) => alpha === 0);
    const controlSimilarity = mean(control);
    if (control.length === 0 || controlSimilarity === 0) return [];
    return [...Map.groupBy(own.filter(({ alpha }) => alpha > 0), ({ sign, alpha }) => `${sign}/${alpha}`).values()].flatMap((members): TrendValue[] => {
      const [first] = members;
      return first === undefined ? [] : [{ measure, sign: first.sign, alpha: first.alpha, epsilon, unit, similarity: mean(members), controlSimilarity }];
    });
  });
}

function summariseCurve(options: { readonly id: MeasureCurve["id"]; readonly title: string; readonly axis: string; readonly over: MeasureCurve["over"]; readonly network: string; readonly values: readonly RunValue[]; readonly settings: MeasureSettings }): MeasureCurve {
  const { settings } = options;
  const rng = createRng(settings.seed).fork(`${options.network}/${options.id}`);
  const summary = summariseConditions(options.values, { interval: settings.interval === "t" ? { kind: "t" } : { kind: "bootstrap", rng: rng.fork("bootstrap") } });
  const changes = summary.control === null ? [] : compareWithControl(summary, { permutations: settings.permutations, rng: rng.fork("permutations") });
  const control = summary.control;
  return {
    id: options.id, title: options.title, axis: options.axis, over: options.over, network: options.network,
    control: control === null ? null : { mean: control.interval.mean, low: control.interval.low, high: control.interval.high, n: control.interval.n, values: [...control.values] },
    points: summary.conditions.map((condition, i): CurvePoint => {
      const test = changes[i]?.test;
      return {
        sign: condition.sign, alpha: condition.alpha, mean: condition.interval.mean, low: condition.interval.low, high: condition.interval.high, n: condition.interval.n,
        p: test?.p ?? null, difference: test?.meanDifference ?? null, values: [...condition.values],
      };
    }),
    permutations: changes[0]?.test.permutations ?? 0,
    exact: changes[0]?.test.exact ?? false,
    keys: control?.keys.map((key) => key.split("/").slice(1).join("/")) ?? [],
  };
}

/** Mean pairwise cosine of ablated to control images over the ensemble, for every unit; control with itself without the diagonal. */
async function measureLikeness(images: readonly MeasuredImage[], models: Models, settings: MeasureSettings) {
  const encoders = await Promise.all(
    settings.ensemble.map(async (id) => {
      const manifest = models.list().find((model) => model.id === id);
      return { id, encoder: unwrap(await models.encoder(id)), layer: manifest?.kind === "encoder" ? manifest.penultimate : "" };
    }),
  );
  /** Activations of one image per encoder. */
  const activations = new Map<MeasuredImage, Float32Array[]>();
  for (const { encoder, layer } of encoders) {
    for (const group of Map.groupBy(images, ({ image }) => `${image.width}x${image.height}`).values()) {
      for (let from = 0; from < group.length; from += decodeBatch) {
        const part = group.slice(from, from + decodeBatch);
        const first = part[0];
        if (first === undefined) continue;
        const bytes = first.image.data.length;
        const data = new Uint8Array(part.length * bytes);
        part.forEach(({ image }, i) => data.set(image.data, i * bytes));
        const [values] = await encoder.features({ count: part.length, width: first.image.width, height: first.image.height, data }, [layer]);
        if (values === undefined) throw new Error(`expected activations of layer ${layer}`);
        const width = values.length / part.length;
        part.forEach((image, i) => {
          const list = activations.get(image) ?? [];
          list.push(values.slice(i * width, (i + 1) * width));
          activations.set(image, list);
        });
      }
    }
  }
  const matrixOf = (members: readonly MeasuredImage[], e: number) => {
    const rows = members.map((image) => activations.get(image)?.[e] ?? new Float32Array());
    const cols = rows[0]?.length ?? 0;
    const data = new Float32Array(rows.length * cols);
    rows.forEach((row, i) => data.set(row, i * cols));
    return { rows: rows.length, cols, data };
  };

  const curves: MeasureCurve[] = [];
  const trends: TrendValue[] = [];
  for (const [network, own] of Map.groupBy(images, (image) => image.network)) {
    const values: RunValue[] = [];
    // Images of different generators are compared within each: a control of another generator is another kind of picture.
    for (const [key, members] of Map.groupBy(own, ({ result }) => `${result.unit}\n${result.generator}`)) {
      const unit = key.split("\n")[0] ?? "";
      const control = members.filter(({ result }) => result.alpha === 0);
      if (control.length < 2) continue;
      for (const ablated of Map.groupBy(members.filter(({ result }) => result.alpha > 0), ({ result }) => `${result.sign}/${result.alpha}`).values()) {
        const first = ablated[0];
        if (first === undefined) continue;
        const { sign, alpha } = first.result;
        const found = measureEnsembleSimilarity(encoders.map(({ id }, e) => ({ name: id, control: matrixOf(control, e), ablated: matrixOf(ablated, e) })));
        values.push({ network, unit, sign, alpha, value: found.controlVsAblated });
        const controlSimilarity = found.controlVsControl;
        if (controlSimilarity === null) continue;
        values.push({ network, unit, sign, alpha: 0, value: controlSimilarity });
      }
    }
    if (values.length === 0) continue;
    trends.push(...trendValues("similarity", network, values, settings));
    curves.push(withoutFewUnits(summariseCurve({ id: "similarity", title: "Likeness to the control images", axis: "mean pairwise cosine", over: "units", network, values, settings }), values));
  }
  return { curves, trends };
}

export function isInstalled(models: Models, id: string): boolean {
  return models.list().some((model) => model.id === id);
}

/** Mean pairwise 1 - LPIPS of ablated to control images (SPEC 7), for every unit; control with itself without the diagonal. */
async function measurePerceptual(images: readonly MeasuredImage[], models: Models, id: string, settings: MeasureSettings): Promise<{ readonly curves: readonly MeasureCurve[]; readonly trends: readonly TrendValue[] }> {
  const encoder = unwrap(await models.encoder(id));
  const manifest = models.list().find((model) => model.id === id);
  const layer = manifest?.kind === "encoder" ? manifest.penultimate : "";
  // A vector has hundreds of thousands of values: those of the control are held, one condition's at a time beside them.
  const vectorsOf = async (members: readonly MeasuredImage[]): Promise<{ readonly data: Float32Array; readonly dim: number }> => {
    let out = new Float32Array(0);
    let dim = 0;
    for (const [i, { image }] of members.entries()) {
      const [vector] = await encoder.features(image, [layer]);
      if (vector === undefined) throw new Error(`expected vectors of layer ${layer}`);
      if (i === 0) {
        dim = vector.length;
        out = new Float32Array(members.length * dim);
      }
      out.set(vector, i * dim);
    }
    return { data: out, dim };
  };
  const curves: MeasureCurve[] = [];
  const trends: TrendValue[] = [];
  for (const [network, own] of Map.groupBy(images, (image) => image.network)) {
    const values: RunValue[] = [];
    for (const [key, members] of Map.groupBy(own, ({ result }) => `${result.unit}\n${result.generator}`)) {
      const unit = key.split("\n")[0] ?? "";
      const control = members.filter(({ result }) => result.alpha === 0);
      if (control.length < 2) continue;
      const base = await vectorsOf(control);
      const within = similarityFromDistances({ rows: control.length, cols: control.length, data: measurePerceptualDistances(base.data, base.data, base.dim) }, { withoutDiagonal: true });
      for (const ablated of Map.groupBy(members.filter(({ result }) => result.alpha > 0), ({ result }) => `${result.sign}/${result.alpha}`).values()) {
        const first = ablated[0];
        if (first === undefined) continue;
        const { sign, alpha } = first.result;
        const { data } = await vectorsOf(ablated);
        values.push({ network, unit, sign, alpha, value: similarityFromDistances({ rows: control.length, cols: ablated.length, data: measurePerceptualDistances(base.data, data, base.dim) }) }, { network, unit, sign, alpha: 0, value: within });
      }
    }
    if (values.length === 0) continue;
    trends.push(...trendValues("perceptual", network, values, settings));
    curves.push(withoutFewUnits(summariseCurve({ id: "perceptual", title: "Likeness to the control images by LPIPS", axis: "mean pairwise 1 - LPIPS", over: "units", network, values, settings }), values));
  }
  return { curves, trends };
}

/** Likeness is between sets of images: it has no value of a single run, and with few units no interval worth drawing. */
function withoutFewUnits(curve: MeasureCurve, values: readonly RunValue[]): MeasureCurve {
  if (new Set(values.map((value) => value.unit)).size >= unitsMin) return curve;
  return { ...curve, control: curve.control === null ? null : { ...curve.control, low: null, high: null }, points: curve.points.map((point) => ({ ...point, p: null, low: null, high: null })) };
}

export function takeImage(batch: ImageBatch, index: number): ImageBatch {
  const bytes = batch.width * batch.height * 3;
  return { count: 1, width: batch.width, height: batch.height, data: batch.data.slice(index * bytes, (index + 1) * bytes) };
}

/** 0 for equal bytes, 1 for black against white. */
function meanDifference(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum / a.length / 255;
}
