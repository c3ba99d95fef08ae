// The units that can be ablated: classes of a network's last layer, fitted neuron models, and classes by their gradient at any layer (the
// extension of SPEC 5). Knows nothing about evolutions.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { formatNpy, parseNpy } from "../../analysis/npy.ts";
import { readLastLinear } from "../../models/lastLinear.ts";
import type { Models } from "../../models/client.ts";
import { FaultError, fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { ImageBatch } from "../../shared/values.ts";

/** activation = weights . features + intercept, features being the layer's raw activations; but see `tail`. */
export interface LinearUnit {
  /** Unique among the units of a sweep, e.g. "shapes-relu/star" or "session/PIT-07". */
  readonly id: string;
  readonly title: string;
  /** Encoder whose features it reads, and the layer. */
  readonly network: string;
  readonly layer: string;
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly kind: "class" | "neuron" | "gradient";
  /**
   * Set where the activation is not linear in the layer: it is this logit of the network's end, and `weights` are the logit's mean gradient with
   * respect to the layer, which only say what an ablation removes.
   */
  readonly tail?: { readonly index: number };
}

/** Class units of a network by number or name; "all" for every one. Errors: `unitUnknown`, those of readLastLinear. */
export async function readClassUnits(modelFolders: readonly string[], network: string, wanted: readonly string[] | "all"): Promise<Result<LinearUnit[], Fault>> {
  const read = await readLastLinear(modelFolders, network);
  if (!read.ok) return read;
  const { classes, units, features, weights, bias, penultimate } = read.value;
  const indices: number[] = [];
  for (const name of wanted === "all" ? Array.from({ length: units }, (_, i) => String(i)) : wanted) {
    const byName = classes.findIndex((known) => known.toLowerCase() === name.toLowerCase());
    const index = byName >= 0 ? byName : /^\d+$/.test(name) ? Number(name) : -1;
    if (index < 0 || index >= units) {
      const names = classes.length > 0 && classes.length <= 40 ? ` or one of ${classes.join(", ")}` : "";
      return fault("unitUnknown", `Expected a unit of "${network}" from 0 to ${units - 1}${names}, got "${name}".`);
    }
    if (!indices.includes(index)) indices.push(index);
  }
  return ok(
    indices.map((index): LinearUnit => ({
      id: `${network}/${classes[index] ?? index}`,
      title: classes[index] ?? `unit ${index}`,
      network,
      layer: penultimate,
      weights: Float64Array.from(weights.subarray(index * features, (index + 1) * features)),
      intercept: bias[index] ?? 0,
      kind: "class",
    })),
  );
}

/** Side of the images that a gradient is averaged over, before the network's own preprocessing. */
export const gradientImagePx = 256;

/**
 * Class units at a layer of the network that need not be the last but one: the "weights" are the logit's gradient with respect to the layer's
 * activations, averaged over images, so an ablation removes the layer's units by the sign of what they do to the logit. At the penultimate
 * layer they are the weights themselves. Errors: those of readClassUnits, `layerTail` where the graph has no such gradient, `imagesMissing`.
 */
export async function readGradientUnits(options: GradientRequest & { readonly models: Models; readonly images: readonly ImageBatch[] }): Promise<Result<LinearUnit[], Fault>> {
  const { network, layer, images, models } = options;
  if (images.length === 0) return fault("imagesMissing", "Expected images to average the gradient over, got none. Name a folder of PNG or JPEG files.");
  const classes = await readClassUnits(options.modelFolders, network, options.wanted);
  if (!classes.ok) return classes;
  const all = await readClassUnits(options.modelFolders, network, "all");
  if (!all.ok) return all;
  const tail = await models.layerTail(network, layer);
  if (!tail.ok) return tail;
  const encoder = await models.encoder(network);
  if (!encoder.ok) return encoder;
  const { dim } = tail.value;
  const sums = classes.value.map(() => new Float64Array(dim));
  try {
    for (const image of images) {
      const [activations = new Float32Array()] = await encoder.value.features(image, [layer]);
      for (const [u, unit] of classes.value.entries()) {
        const gradient = await tail.value.gradient({ count: image.count, dim, data: activations }, all.value.findIndex(({ id }) => id === unit.id));
        const sum = sums[u]!;
        gradient.forEach((value, i) => (sum[i % dim] = sum[i % dim]! + value));
      }
    }
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    throw error;
  }
  const count = images.reduce((sum, image) => sum + image.count, 0);
  return ok(classes.value.map((unit, u) => gradientUnit(unit, layer, sums[u]!.map((value) => value / count), all.value)));
}

interface GradientRequest {
  readonly modelFolders: readonly string[];
  readonly network: string;
  readonly layer: string;
  readonly wanted: readonly string[] | "all";
}

function gradientUnit(unit: LinearUnit, layer: string, weights: Float64Array, all: readonly LinearUnit[]): LinearUnit {
  return { id: `${unit.id}@${layer}`, title: `${unit.title} at ${layer}`, network: unit.network, layer, kind: "gradient", weights, intercept: 0, tail: { index: all.findIndex(({ id }) => id === unit.id) } };
}

/** Mean gradients of units as a .npy file [units, features], so that an unfinished sweep goes on with the very same ones and no network has to run for them again. */
export function formatGradients(units: readonly LinearUnit[]): Uint8Array {
  const cols = units[0]?.weights.length ?? 0;
  const data = new Float64Array(units.length * cols);
  units.forEach((unit, row) => data.set(unit.weights, row * cols));
  return formatNpy({ shape: [units.length, cols], data });
}

/** Units as readGradientUnits gave them, from their kept gradients. Errors: those of readClassUnits and parseNpy, `gradientsUnreadable`. */
export async function restoreGradientUnits(options: GradientRequest & { readonly gradients: Uint8Array }): Promise<Result<LinearUnit[], Fault>> {
  const classes = await readClassUnits(options.modelFolders, options.network, options.wanted);
  if (!classes.ok) return classes;
  const all = await readClassUnits(options.modelFolders, options.network, "all");
  if (!all.ok) return all;
  const kept = parseNpy(options.gradients);
  if (!kept.ok) return kept;
  const [rows = 0, cols = 0] = kept.value.shape;
  if (rows !== classes.value.length || cols === 0) return fault("gradientsUnreadable", `Expected kept gradients of ${classes.value.length} units of "${options.network}", got ${rows} of ${cols} features. Start the analysis again.`);
  return ok(classes.value.map((unit, row) => gradientUnit(unit, options.layer, Float64Array.from(kept.value.data.subarray(row * cols, (row + 1) * cols)), all.value)));
}

/** What of a fit's JSON file (fit.ts writes it) the ablation of its units needs. */
const fitFile = z.object({
  format: z.literal("evoked-fit"),
  encoder: z.object({ id: z.string(), layer: z.string() }),
  weightsFile: z.string(),
  interceptsFile: z.string(),
  bestUnit: z.number().nullable(),
  units: z.array(z.object({ unit: z.number(), name: z.string() })),
});

/**
 * Neuron models of a fit by name or number; "best" for the one the fit suggests. Errors: `fitUnreadable`, `unitUnknown`, those of parseNpy.
 */
export async function readNeuronUnits(path: string, wanted: readonly string[] | "all" | "best"): Promise<Result<LinearUnit[], Fault>> {
  let parsed: z.infer<typeof fitFile>;
  let weights: Uint8Array;
  let intercepts: Uint8Array;
  try {
    const checked = fitFile.safeParse(JSON.parse(await readFile(path, "utf8")));
    if (!checked.success) return fault("fitUnreadable", `Expected a fit written by evoked analyse at ${path}; it does not fit at "${checked.error.issues[0]?.path.join(".") ?? ""}". Fit the session again.`);
    parsed = checked.data;
    weights = await readFile(join(dirname(path), parsed.weightsFile));
    intercepts = await readFile(join(dirname(path), parsed.interceptsFile));
  } catch (error) {
    return fault("fitUnreadable", `Expected a fit written by evoked analyse at ${path}, got: ${error instanceof Error ? error.message : String(error)}. Fit the session again.`);
  }
  const matrix = parseNpy(weights);
  if (!matrix.ok) return matrix;
  const offsets = parseNpy(intercepts);
  if (!offsets.ok) return offsets;
  const [rows = 0, cols = 0] = matrix.value.shape;
  if (rows !== parsed.units.length || offsets.value.data.length !== rows) return fault("fitUnreadable", `Expected weights of ${parsed.units.length} units in ${parsed.weightsFile}, got ${rows}. Fit the session again.`);
  const chosen: number[] = [];
  const names = wanted === "all" ? parsed.units.map((u) => u.name) : wanted === "best" ? [parsed.units[parsed.bestUnit ?? -1]?.name ?? ""] : wanted;
  for (const name of names) {
    const row = parsed.units.findIndex((unit) => unit.name.toLowerCase() === name.toLowerCase() || String(unit.unit) === name);
    if (row < 0) return fault("unitUnknown", `Expected a fitted unit (${parsed.units.map((u) => u.name).slice(0, 12).join(", ")}${parsed.units.length > 12 ? ", ..." : ""}), got "${name}".`);
    if (!chosen.includes(row)) chosen.push(row);
  }
  return ok(
    chosen.map((row): LinearUnit => ({
      id: `neuron/${parsed.units[row]?.name ?? row}`,
      title: parsed.units[row]?.name ?? `unit ${row}`,
      network: parsed.encoder.id,
      layer: parsed.encoder.layer,
      weights: Float64Array.from(matrix.value.data.subarray(row * cols, (row + 1) * cols)),
      intercept: offsets.value.data[row] ?? 0,
      kind: "neuron",
    })),
  );
}
