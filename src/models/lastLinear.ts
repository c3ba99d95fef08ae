// The last linear layer of a classifier, read from its ONNX file: what an ablation of a class unit takes its weights from.
// Knows nothing about ablation, and runs nothing of the file.
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { graphField, onnxFloat32 } from "./onnx/graph.ts";
import type { GraphWeight, OnnxGraph } from "./onnx/graph.ts";
import { readFields, readText } from "./onnx/protobuf.ts";
import { readCheckedModel, readRegistry } from "./registry.ts";

/** logits = weights . penultimate + bias. */
export interface LastLinear {
  /** [units, features], row-major: row u holds the weights of logit u. */
  readonly weights: Float32Array;
  /** [units]; zeros where the layer has none. */
  readonly bias: Float32Array;
  readonly units: number;
  readonly features: number;
  /** Class names in unit order; empty where the manifest has none. */
  readonly classes: readonly string[];
  /** Layer names of the manifest. */
  readonly penultimate: string;
  readonly logits: string;
  /** Of the whole model file. */
  readonly sha256: string;
}

interface GraphNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, number>;
}

/** Operators that hand a flat activation on as it is (inference mode). */
const passing = new Set(["Identity", "Dropout", "Flatten", "Reshape", "Squeeze"]);

/**
 * Weights between the penultimate layer and the logits of an encoder. Errors: `modelUnknown`, `modelKind`, those of the registry, and
 * `lastLinear` where the model has no logits or what lies before them is not one linear layer on the penultimate one.
 */
export async function readLastLinear(modelsDirs: readonly string[], id: string): Promise<Result<LastLinear, Fault>> {
  const entries = await readRegistry(modelsDirs);
  const entry = entries.find((candidate) => candidate.id === id);
  if (entry === undefined) return fault("modelUnknown", `Expected one of the models ${entries.map((e) => e.id).join(", ")}, got "${id}". Choose another, or see: evoked models list.`);
  const model = await readCheckedModel(entry);
  if (!model.ok) return model;
  const { manifest, graph } = model.value;
  if (manifest.kind !== "encoder") return fault("modelKind", `Expected "${id}" to be an encoder, it is a ${manifest.kind}. Choose another model.`);
  const { logits: logitsName, penultimate: penultimateName } = manifest;
  const outputOf = (name: string | undefined): string | undefined => manifest.layers.find((layer) => layer.name === name)?.output;
  const logits = outputOf(logitsName);
  const penultimate = outputOf(penultimateName);
  if (logitsName === undefined || logits === undefined || penultimate === undefined) {
    return fault("lastLinear", `Expected "${id}" to name its logits, its manifest names none. Fit neuron models on one of its layers instead, or add "logits" to the manifest.`);
  }
  const found = findLastLinear(graph, logits, penultimate);
  if (!found.ok) return fault(found.error.code, `Model "${id}": ${found.error.message}`);
  return ok({ ...found.value, classes: manifest.classes, penultimate: penultimateName, logits: logitsName, sha256: manifest.sha256 });
}

/** The linear layer that makes graph value `logits` out of graph value `penultimate`. Errors: `lastLinear`. */
export function findLastLinear(graph: OnnxGraph, logits: string, penultimate: string): Result<Pick<LastLinear, "weights" | "bias" | "units" | "features">, Fault> {
  const producers = new Map<string, GraphNode>();
  for (const node of readNodes(graph)) for (const output of node.outputs) producers.set(output, node);
  const weights = new Map(graph.weights.map((weight) => [weight.name, weight]));

  let node = skipPassing(producers.get(logits), producers);
  let biasName: string | undefined;
  if (node?.operator === "Add") {
    biasName = node.inputs.find((name) => weights.has(name));
    const product = node.inputs.find((name) => !weights.has(name));
    node = product === undefined ? undefined : skipPassing(producers.get(product), producers);
  }
  if (node === undefined || (node.operator !== "Gemm" && node.operator !== "MatMul")) {
    return fault("lastLinear", `expected a fully connected layer (Gemm, or MatMul and Add) before the logits, got ${node?.operator ?? "nothing"}. Units can be ablated exactly only behind one.`);
  }
  const [source, matrixName, gemmBias] = node.inputs;
  const matrix = matrixName === undefined ? undefined : weights.get(matrixName);
  if (matrix === undefined || matrix.dims.length !== 2) return fault("lastLinear", `expected a stored matrix of weights before the logits, got "${matrixName ?? ""}". Export the model with its weights as initializers.`);
  if (source === undefined || !leadsTo(source, penultimate, producers)) {
    return fault("lastLinear", `expected the logits to be computed from the penultimate layer "${penultimate}", they are computed from "${source ?? ""}". Name the layer before the last linear one as penultimate in the manifest.`);
  }
  const attribute = (name: string, usual: number): number => (node.operator === "Gemm" ? (node.attributes.get(name) ?? usual) : usual);
  if (attribute("transA", 0) !== 0) return fault("lastLinear", "its last layer transposes the activations (Gemm with transA), which this reader does not know.");
  const values = floatsOf(matrix);
  const [rows = 0, cols = 0] = matrix.dims;
  if (values === null || values.length !== rows * cols) return fault("lastLinear", `expected float32 weights in "${matrix.name}", got ONNX type ${matrix.elementType}. Export the model in float32.`);
  const isTransposed = attribute("transB", 0) !== 0; // then stored as [units, features]
  const units = isTransposed ? rows : cols;
  const features = isTransposed ? cols : rows;
  const scale = attribute("alpha", 1);
  const out = new Float32Array(units * features);
  for (let u = 0; u < units; u++) for (let f = 0; f < features; f++) out[u * features + f] = scale * (isTransposed ? values[u * features + f]! : values[f * units + u]!);

  const bias = new Float32Array(units);
  const stored = weights.get(biasName ?? gemmBias ?? "");
  if (stored !== undefined) {
    const given = floatsOf(stored);
    if (given === null || (given.length !== units && given.length !== 1)) return fault("lastLinear", `expected ${units} float32 values in the bias "${stored.name}", got ${given?.length ?? "another type"}.`);
    const factor = biasName === undefined ? attribute("beta", 1) : 1;
    for (let u = 0; u < units; u++) bias[u] = factor * (given.length === 1 ? given[0]! : given[u]!);
  }
  return ok({ weights: out, bias, units, features });
}

function skipPassing(from: GraphNode | undefined, producers: ReadonlyMap<string, GraphNode>): GraphNode | undefined {
  let node = from;
  while (node !== undefined && passing.has(node.operator)) node = producers.get(node.inputs[0] ?? "");
  return node;
}

function leadsTo(from: string, target: string, producers: ReadonlyMap<string, GraphNode>): boolean {
  let name = from;
  while (name !== target) {
    const node = producers.get(name);
    if (node === undefined || !passing.has(node.operator)) return false;
    name = node.inputs[0] ?? "";
  }
  return true;
}

function readNodes(graph: OnnxGraph): GraphNode[] {
  return graph.graphFields.flatMap((field) => {
    if (field.number !== graphField.node || field.bytes === null) return [];
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, number>();
    let operator = "";
    for (const part of readFields(field.bytes)) {
      if (part.number === 1) inputs.push(readText(part.bytes));
      else if (part.number === 2) outputs.push(readText(part.bytes));
      else if (part.number === 4) operator = readText(part.bytes);
      else if (part.number === 5 && part.bytes !== null) {
        let name = "";
        let value = 0;
        // AttributeProto: name 1, f 2, i 3; the two numbers never stand together.
        for (const piece of readFields(part.bytes)) {
          if (piece.number === 1) name = readText(piece.bytes);
          if (piece.number === 2 || piece.number === 3) value = piece.value;
        }
        attributes.set(name, value);
      }
    }
    return [{ operator, inputs, outputs, attributes }];
  });
}

function floatsOf(weight: GraphWeight): Float32Array | null {
  const bytes = weight.elementType === onnxFloat32 ? (weight.raw ?? weight.floats) : null;
  // A copy: the stored bytes may start at any address.
  return bytes === null ? null : new Float32Array(Uint8Array.from(bytes).buffer);
}
