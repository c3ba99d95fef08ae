// The linear units that can be ablated: classes of a network's last layer, or fitted neuron models. Knows nothing about images.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { parseNpy } from "../../analysis/npy.ts";
import { readLastLinear } from "../../models/lastLinear.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";

/** activation = weights . features + intercept, features being the layer's raw activations. */
export interface LinearUnit {
  /** Unique among the units of a sweep, e.g. "shapes-relu/star" or "session/PIT-07". */
  readonly id: string;
  readonly title: string;
  /** Encoder whose features it reads, and the layer. */
  readonly network: string;
  readonly layer: string;
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly kind: "class" | "neuron";
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
