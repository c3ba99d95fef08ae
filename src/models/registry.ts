// Which models lie in which folders, and whether each is what its manifest says. Reads files as data; runs nothing.
// Knows nothing about ONNX Runtime.

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { modelManifest } from "../shared/manifest.ts";
import type { ImageTensor, ModelManifest } from "../shared/manifest.ts";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { findBadWeight, findShortWeight, onnxFloat32, readOnnx } from "./onnx/graph.ts";
import type { GraphValue, OnnxGraph } from "./onnx/graph.ts";

/** A folder with a manifest. `problem` is set where it cannot be used; the manifest is null where even that did not read. */
export interface RegistryEntry {
  readonly id: string;
  readonly folder: string;
  readonly manifest: ModelManifest | null;
  readonly problem: Fault | null;
}

export const manifestFileName = "manifest.json";

/** Operator sets that the steps around a model can be written in. */
export const opsetMin = 11;
export const opsetMax = 22;

/** Folders without a manifest are passed over, and those whose name begins with a dot (downloads, imports under way). An id that an earlier folder has is refused in a later one. */
export async function readRegistry(modelsDirs: readonly string[]): Promise<readonly RegistryEntry[]> {
  const entries: RegistryEntry[] = [];
  const taken = new Map<string, string>();
  for (const dir of modelsDirs) {
    let names: string[];
    try {
      names = (await readdir(dir, { withFileTypes: true })).filter((item) => item.isDirectory() && !item.name.startsWith(".")).map((item) => item.name).sort();
    } catch {
      // A user folder that does not exist yet is empty.
      continue;
    }
    for (const name of names) {
      const folder = join(dir, name);
      const entry = await readEntry(folder, name);
      if (entry === null) continue;
      const first = taken.get(entry.id);
      if (first === undefined) {
        taken.set(entry.id, folder);
        entries.push(entry);
      } else {
        entries.push({
          ...entry,
          problem: { code: "modelTwice", message: `Expected one model named "${entry.id}", found it in ${first} and in ${folder}; the first is used. Rename or remove the other.` },
        });
      }
    }
  }
  return entries;
}

async function readEntry(folder: string, name: string): Promise<RegistryEntry | null> {
  const path = join(folder, manifestFileName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    return { id: name, folder, manifest: null, problem: { code: "manifestUnreadable", message: `The model's manifest ${path} could not be read (${describe(error)}). Check the file's permissions.` } };
  }
  const parsed = parseManifest(text, path);
  if (!parsed.ok) return { id: name, folder, manifest: null, problem: parsed.error };
  const manifest = parsed.value;
  const problem = await checkFile(folder, manifest);
  return { id: manifest.id, folder, manifest, problem };
}

export function parseManifest(text: string, path: string): Result<ModelManifest, Fault> {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    return fault("manifestUnreadable", `Expected JSON in ${path}: ${describe(error)}. Import the model again, or mend the file.`);
  }
  const parsed = modelManifest.safeParse(data);
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    const place = first === undefined || first.path.length === 0 ? "the manifest" : `"${first.path.join(".")}"`;
    return fault("manifestInvalid", `The manifest ${path} does not fit: ${place}: ${first?.message ?? "unknown problem"}. Import the model again, or mend the file.`);
  }
  return ok(parsed.data);
}

/** The quick look while listing: is the file there, and of the right size? The hash is checked when the model is opened. */
async function checkFile(folder: string, manifest: ModelManifest): Promise<Fault | null> {
  const path = join(folder, manifest.file);
  if (manifest.file.includes("/") || manifest.file.includes("\\")) {
    return { code: "manifestInvalid", message: `The manifest of "${manifest.id}" names the file "${manifest.file}"; expected the name of a file beside it.` };
  }
  try {
    const { size } = await stat(path);
    if (size === manifest.sizeBytes) return null;
    return { code: "modelTruncated", message: `Expected ${manifest.sizeBytes} bytes in ${path}, got ${size}. The file is not the one of the manifest: get or import it again.` };
  } catch {
    return { code: "modelFileMissing", message: `Expected the model file ${path}, but it is not there. Run: evoked models fetch ${manifest.id} or import it again.` };
  }
}

/** A model's file, read and found to be what the manifest says. */
export interface CheckedModel {
  readonly manifest: ModelManifest;
  readonly graph: OnnxGraph;
}

/** Reads the file and holds it against the manifest: size, hash, operators, names, shapes, weights. */
export async function readCheckedModel(entry: RegistryEntry): Promise<Result<CheckedModel, Fault>> {
  if (entry.problem !== null) return { ok: false, error: entry.problem };
  if (entry.manifest === null) return fault("manifestUnreadable", `The model in ${entry.folder} has no readable manifest.`);
  let file: Uint8Array;
  try {
    const buffer = await readFile(join(entry.folder, entry.manifest.file));
    // A plain view: a Buffer's slice() would share memory where a Uint8Array's copies.
    file = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  } catch (error) {
    return fault("modelFileMissing", `The model file ${join(entry.folder, entry.manifest.file)} could not be read: ${describe(error)}.`);
  }
  return checkModel(file, entry.manifest);
}

export function checkModel(file: Uint8Array, manifest: ModelManifest): Result<CheckedModel, Fault> {
  const hash = createHash("sha256").update(file).digest("hex");
  if (hash !== manifest.sha256) {
    return fault("modelHashWrong", `The file of "${manifest.id}" is not the one of its manifest: expected sha256 ${manifest.sha256.slice(0, 16)}..., got ${hash.slice(0, 16)}.... It was damaged or exchanged: get or import it again.`);
  }
  const graph = readOnnx(file);
  if (!graph.ok) return graph;
  const problem = findStructureProblem(graph.value, manifest);
  return problem === null ? ok({ manifest, graph: graph.value }) : { ok: false, error: problem };
}

/** What keeps a graph from being used as the manifest says, or null. */
export function findStructureProblem(graph: OnnxGraph, manifest: ModelManifest): Fault | null {
  const refuse = (code: string, sentence: string): Fault => ({ code, message: `Model "${manifest.id}": ${sentence}` });
  if (graph.opset < opsetMin || graph.opset > opsetMax) {
    return refuse("modelOpset", `expected ONNX operator set ${opsetMin} to ${opsetMax}, got ${graph.opset}. Export it again with opset 17.`);
  }
  const foreign = graph.otherDomains.filter((domain) => domain !== "ai.onnx.ml" && domain !== "com.microsoft");
  if (foreign.length > 0) return refuse("modelOperators", `it needs operators of the unknown domain "${foreign[0]}". Export it with standard operators only.`);
  if (graph.external) return refuse("modelExternalData", "its weights lie in other files. Save it as one file.");
  if (graph.modelFields.some((field) => field.number === 25)) return refuse("modelOperators", "it defines functions of its own. Export it with functions inlined.");
  const short = findShortWeight(graph);
  if (short !== null) return refuse("modelUnreadable", `the weight "${short}" has fewer or more bytes than its shape says. The file is damaged: get it again.`);
  const bad = findBadWeight(graph);
  if (bad !== null) return refuse("modelNaN", `the weight "${bad}" holds NaN or infinite values. The file is damaged or the training diverged: get it again.`);

  const expectedInputs = manifest.kind === "generator" ? [manifest.input.name, ...manifest.constants.map((constant) => constant.name)] : [manifest.input.name];
  const surplus = graph.inputs.find((input) => !expectedInputs.includes(input.name));
  if (surplus !== undefined) return refuse("modelNames", `its graph wants an input "${surplus.name}" that the manifest does not name.`);
  const input = graph.inputs.find((value) => value.name === manifest.input.name);
  if (input === undefined) {
    return refuse("modelNames", `expected an input "${manifest.input.name}", its graph has ${listNames(graph.inputs)}. The manifest is of another architecture.`);
  }
  if (input.elementType !== onnxFloat32) return refuse("modelType", `expected input "${input.name}" in float32, got ONNX type ${input.elementType}. Export it in float32.`);
  const wantedInput = manifest.kind === "generator" ? [null, manifest.input.dim] : imageDims(manifest.input);
  const inputShape = shapeProblem(input, wantedInput);
  if (inputShape !== null) return refuse("modelShape", inputShape);
  if (input.shape !== null && input.shape[0] !== null) return refuse("modelShape", `expected a free batch dimension in input "${input.name}", got ${input.shape[0]}. Export it with a dynamic first axis.`);
  if (manifest.kind === "generator") {
    for (const constant of manifest.constants) {
      const found = graph.inputs.find((value) => value.name === constant.name);
      if (found === undefined) return refuse("modelNames", `expected an input "${constant.name}", its graph has ${listNames(graph.inputs)}.`);
      if (constant.value.length !== constant.dims.reduce((a, b) => a * b, 1)) return refuse("manifestInvalid", `"${constant.name}" has ${constant.value.length} values for the shape [${constant.dims.join(", ")}].`);
    }
    if (manifest.latent.start !== undefined && manifest.latent.start.length !== manifest.input.dim) {
      return refuse("manifestInvalid", `the start code has ${manifest.latent.start.length} values for a latent of ${manifest.input.dim}.`);
    }
  }

  for (const expected of expectedOutputs(manifest)) {
    const output = graph.outputs.find((value) => value.name === expected.name);
    if (output === undefined) {
      return refuse("modelNames", `expected an output "${expected.name}", its graph has ${listNames(graph.outputs)}. The manifest is of another architecture.`);
    }
    if (output.elementType !== onnxFloat32) return refuse("modelType", `expected output "${output.name}" in float32, got ONNX type ${output.elementType}. Export it in float32.`);
    const problem = shapeProblem(output, expected.dims);
    if (problem !== null) return refuse("modelShape", problem);
  }
  if (manifest.kind === "encoder") {
    const names = manifest.layers.map((layer) => layer.name);
    for (const name of [manifest.penultimate, manifest.logits]) {
      if (name !== undefined && !names.includes(name)) return refuse("manifestInvalid", `there is no layer "${name}" among ${names.join(", ")}.`);
    }
    const wrong = manifest.layers.find((layer) => layer.dim !== layer.shape.reduce((a, b) => a * b, 1));
    if (wrong !== undefined) return refuse("manifestInvalid", `layer "${wrong.name}" has ${wrong.dim} values for the shape [${wrong.shape.join(", ")}].`);
    const logits = manifest.layers.find((layer) => layer.name === manifest.logits);
    if (logits !== undefined && manifest.classes.length > 0 && manifest.classes.length !== logits.dim) {
      return refuse("manifestInvalid", `it names ${manifest.classes.length} classes for ${logits.dim} logits.`);
    }
  }
  return null;
}

function imageDims(tensor: ImageTensor): (number | null)[] {
  return [null, 3, tensor.height, tensor.width];
}

function expectedOutputs(manifest: ModelManifest): { name: string; dims: (number | null)[] }[] {
  switch (manifest.kind) {
    case "generator": {
      const outputs = [{ name: manifest.output.name, dims: imageDims(manifest.output) }];
      if (manifest.parts.mask !== undefined) outputs.push({ name: manifest.parts.mask, dims: [null, 1, manifest.output.height, manifest.output.width] });
      if (manifest.parts.background !== undefined) outputs.push({ name: manifest.parts.background, dims: imageDims(manifest.output) });
      return outputs;
    }
    case "encoder":
      return manifest.layers.map((layer) => ({ name: layer.output, dims: [null, ...layer.shape] }));
    case "detector":
      return [{ name: manifest.output.name, dims: [null, manifest.output.boxes, null] }];
  }
}

function shapeProblem(value: GraphValue, expected: readonly (number | null)[]): string | null {
  // Old exports leave shapes of inner outputs out; the probe batch at load settles those.
  if (value.shape === null || value.shape.length === 0) return null;
  const fits = value.shape.length === expected.length && value.shape.every((size, i) => size === null || expected[i] === null || size === expected[i]);
  if (fits) return null;
  const spell = (dims: readonly (number | null)[]) => `[${dims.map((dim, i) => dim ?? (i === 0 ? "batch" : "any")).join(", ")}]`;
  return `expected "${value.name}" of shape ${spell(expected)}, got ${spell(value.shape)}. The file is of another architecture than its manifest.`;
}

function listNames(values: readonly GraphValue[]): string {
  return values.length === 0 ? "none" : values.map((value) => `"${value.name}"`).join(", ");
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}

export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
