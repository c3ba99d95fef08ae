// The settings of a protocol as fields of a form: ranges and defaults from the contract's own schema, words from the table below.
// Pure. Knows nothing about layout.
import { z } from "zod";
import { planStep, type PlanStep, type ProtocolName } from "../../../shared/contract/index.ts";

export interface StepField {
  /** Path below the step, e.g. ["fit", "runs"]. */
  readonly path: readonly string[];
  readonly kind: "number" | "choice" | "text" | "switch" | "numbers" | "many";
  readonly min: number | null;
  readonly max: number | null;
  readonly nullable: boolean;
  readonly choices: readonly string[];
  readonly default: unknown;
  readonly words: FieldWords;
}

interface FieldWords {
  readonly label: string;
  readonly unit?: string;
  readonly hint?: string;
  /** What an empty field means, where it may be empty. */
  readonly empty?: string;
  readonly step?: number;
  /** Stands with the first fields; the others are folded. */
  readonly main?: true;
  /** Words for choices. */
  readonly choices?: Readonly<Record<string, string>>;
  /** Which models are offered. */
  readonly model?: "generator" | "encoder";
  /** Only with these other settings. */
  readonly when?: (step: PlanStep) => boolean;
}

const has = (name: string, ...values: readonly unknown[]) => (step: PlanStep): boolean => values.includes((step as Readonly<Record<string, unknown>>)[name]);

const shared: Readonly<Record<string, FieldWords>> = {
  title: { label: "Name of the step", empty: "the protocol's", hint: "What you call it; it stands in the strip and in the session file" },
  imagesPerTrial: { label: "Images a trial", empty: "as set below" },
  onMs: { label: "Image on", unit: "ms", empty: "as set below", step: 10 },
  offMs: { label: "Image off", unit: "ms", empty: "as set below", step: 10 },
  attemptsMax: { label: "Tries", unit: "at most", hint: "An image whose presentations fail is shown again this often, then it counts as missing" },
};

const folder: FieldWords = { label: "Image folder", main: true, empty: "built-in images", hint: "PNG or JPEG files on the engine's computer" };
const channel: FieldWords = { label: "Channel", empty: "the target", hint: "Index of the channel whose responses count; empty: the target of the steps before" };

const words: Readonly<Record<ProtocolName, Readonly<Record<string, FieldWords>>>> = {
  rfMapping: {
    columns: { label: "Columns", main: true }, rows: { label: "Rows", main: true },
    widthDeg: { label: "Grid width", unit: "°", main: true, step: 0.5, hint: "From the first to the last column's centre" },
    heightDeg: { label: "Grid height", unit: "°", main: true, step: 0.5, hint: "From the first to the last row's centre" },
    imageSizeDeg: { label: "Image size", unit: "°", main: true, step: 0.25, hint: "Side of the small images" },
    imageCount: { label: "Different images", main: true, hint: "Each is shown at every place: a field is not the taste for one image" },
    repeats: { label: "Repeats", unit: "times", main: true, hint: "Of every image at every place" },
    carryOver: { label: "Later steps take", main: true, choices: { channel: "one channel's field", median: "the median field", none: "nothing" }, hint: "Where the images of later steps are centred" },
    channel: { label: "That channel", main: true, when: has("carryOver", "channel"), empty: "none" },
    centreXDeg: { label: "Grid centre, right", unit: "°", step: 0.5 }, centreYDeg: { label: "Grid centre, up", unit: "°", step: 0.5 },
    sizeInDiameters: { label: "Later image size", unit: "diameters", empty: "unchanged", step: 0.5, hint: "Side of later images in diameters of the field; empty: their size stays" },
    folder, method: { label: "Field from", choices: { gaussian: "a fitted Gaussian", centroid: "the centre of mass" } },
    centroidFrom: { label: "Mass above", unit: "of peak", step: 0.05, when: has("method", "centroid") },
    r2Min: { label: "Trusted from", unit: "r²", step: 0.05, hint: "A field that explains less of its map's variance is not used" },
  },
  diverseSet: {
    folder: { ...folder, empty: "images drawn at random", hint: "A folder, for example one that the diverse-set builder wrote; empty: images drawn at random from the generator" },
    generator: { label: "Generator", main: true, model: "generator", when: has("folder", null) },
    imageCount: { label: "Images", main: true, hint: "160 are the standard" },
    repeats: { label: "Repeats", unit: "times", main: true, hint: "Presentations of every image; the noise ceiling needs two or more" },
    suggestTarget: { label: "Suggest the target of a later evolution", main: true },
    splits: { label: "Random halvings", hint: "Of the repeats, for the noise ceiling" },
  },
  evolution: {},
  localisation: {
    source: { label: "Image", main: true, choices: { best: "the best of the evolution", mean: "the mean of its distribution", file: "a file" } },
    imageFile: { label: "Image file", main: true, when: has("source", "file"), empty: "none", hint: "Path of a PNG or JPEG on the engine's computer" },
    discCount: { label: "Discs", main: true, hint: "Copies of the image, each with the pixels of one disc shuffled" },
    discRepeats: { label: "Repeats of a disc", unit: "times", main: true },
    intactRepeats: { label: "Repeats of the whole", unit: "times", main: true, hint: "Every change is measured against the whole image" },
    maskedRepeats: { label: "Kept part shown", unit: "times", main: true, hint: "The part that matters, and all but it, shown at the end; 0 = not at all" },
    discDiameterPx: { label: "Disc diameter", unit: "px of 256" }, smoothingSdPx: { label: "Smoothing, SD", unit: "px of 256" },
    keepFrom: { label: "Keep from", unit: "of peak", step: 0.05 }, thread: { label: "Evolution number", hint: "Which of several evolutions of that step, from 0" }, channel,
  },
  validation: {
    source: { label: "Model images from", main: true, choices: { queue: "what you send while it runs", folder: "a folder", fit: "models fitted to this session" } },
    folder: { label: "Folder", main: true, when: has("source", "folder"), empty: "none", hint: "Files named for their condition: control-…, positive-0.50-…" },
    repeats: { label: "Repeats", unit: "times", main: true, hint: "Presentations of every model image" },
    naturalCount: { label: "Natural images", main: true, empty: "all of the set", hint: "Images of the session's diverse set shown among them, for comparison" },
    naturalRepeats: { label: "Their repeats", unit: "times", main: true },
    channel, permutations: { label: "Permutations", hint: "Of the test against the control images" },
    "fit.encoder": { label: "Features of", main: true, model: "encoder", when: has("source", "fit") },
    "fit.layer": { label: "Layer", empty: "penultimate", when: has("source", "fit") },
    "fit.generator": { label: "Generator", main: true, model: "generator", when: has("source", "fit") },
    "fit.alphas": { label: "Strengths α", main: true, when: has("source", "fit"), hint: "Shares of the weights that are removed, with commas between" },
    "fit.signs": { label: "Signs", when: has("source", "fit") },
    "fit.runs": { label: "Images a condition", main: true, when: has("source", "fit") },
    "fit.generations": { label: "Generations", unit: "each", when: has("source", "fit") },
  },
  images: {
    folder: { ...folder, empty: "only what you send", hint: "Empty: only images that are sent to the queue while the session runs" },
    imageCount: { label: "Images", main: true, empty: "all" }, repeats: { label: "Repeats", unit: "times", main: true },
  },
  lab: { name: { label: "Module", main: true, hint: "File in the folder of protocols, without its ending" }, folder: { ...folder, empty: "none" } },
};

const node = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(), const: z.unknown().optional(), enum: z.array(z.string()).optional(), default: z.unknown().optional(),
  minimum: z.number().optional(), maximum: z.number().optional(), exclusiveMinimum: z.number().optional(),
  anyOf: z.array(z.looseObject({})).optional(), properties: z.record(z.string(), z.looseObject({})).optional(), items: z.looseObject({ enum: z.array(z.string()).optional(), type: z.string().optional() }).optional(),
});
type Node = z.infer<typeof node>;

const made = new Map<ProtocolName, readonly StepField[]>();

/** Fields of a protocol in the order of the table, what every step has last. An evolution has an editor of its own: only the shared ones. */
export function fieldsOf(protocol: ProtocolName): readonly StepField[] {
  const known = made.get(protocol);
  if (known !== undefined) return known;
  const schema = planStep.options.find((o) => o.shape.protocol.value === protocol);
  const root = node.parse(z.toJSONSchema(schema ?? planStep, { io: "input" }));
  const fields = [...Object.entries(words[protocol]), ...Object.entries(protocol === "evolution" ? only(["title", "imagesPerTrial", "onMs", "offMs"]) : shared)]
    .flatMap(([name, w]): StepField[] => {
      const path = name.split(".");
      const found = path.reduce<Node | null>((at, key) => { const next = at?.properties?.[key]; return next === undefined ? null : node.parse(next); }, root);
      return found === null ? [] : [fieldOf(path, found, w)];
    });
  made.set(protocol, fields);
  return fields;
}

function only(names: readonly string[]): Readonly<Record<string, FieldWords>> {
  return Object.fromEntries(Object.entries(shared).filter(([name]) => names.includes(name)));
}

function fieldOf(path: readonly string[], given: Node, w: FieldWords): StepField {
  const options = given.anyOf?.map((o) => node.parse(o)) ?? [];
  const inner = options.find((o) => o.type !== "null") ?? given;
  const types = Array.isArray(inner.type) ? inner.type : [inner.type ?? ""];
  const nullable = options.some((o) => o.type === "null") || types.includes("null");
  const kind = inner.enum !== undefined ? "choice" : types.includes("array") ? (inner.items?.enum === undefined ? "numbers" : "many") : types.includes("boolean") ? "switch" : types.includes("number") || types.includes("integer") ? "number" : "text";
  return { path, kind, min: inner.minimum ?? null, max: inner.maximum === undefined || inner.maximum > 1e9 ? null : inner.maximum, nullable, choices: inner.enum ?? inner.items?.enum ?? [], default: given.default, words: w };
}

/** A step's value of a field. */
export function valueOf(step: PlanStep, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (typeof at === "object" && at !== null ? (at as Readonly<Record<string, unknown>>)[key] : undefined), step);
}

/** What a field is and may be, for under the pointer: "Side of the small images. 0.1 to 20 °, default 1." */
export function hintOf(field: StepField): string {
  const unit = field.words.unit === undefined ? "" : ` ${field.words.unit}`;
  const range = field.min !== null && field.max !== null ? `${field.min} to ${field.max.toLocaleString("en-US")}${unit}` : field.min !== null ? `${field.min}${unit} or more` : "";
  const usual = field.default === null || field.default === "" || typeof field.default === "object" || field.default === undefined ? "" : `default ${typeof field.default === "boolean" ? (field.default ? "yes" : "no") : String(field.words.choices?.[String(field.default)] ?? field.default)}`;
  const facts = [range, usual].filter((part) => part !== "").join(", ");
  return [field.words.hint === undefined ? "" : `${field.words.hint}.`, facts === "" ? "" : `${facts.charAt(0).toUpperCase()}${facts.slice(1)}.`].filter((part) => part !== "").join(" ");
}

export function isShown(field: StepField, step: PlanStep): boolean {
  return field.words.when?.(step) ?? true;
}
