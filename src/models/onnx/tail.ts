// The end of a network as a graph of its own: from one layer's activations to the logits, and back: the gradient of one logit with respect
// to those activations, as ordinary operators that ONNX Runtime computes on whole batches. Knows nothing about sessions or ablation.
//
// Backward of y = f(x) with g = d(logit)/dy, operator by operator (the chain rule; Conv's is the transposed convolution with the same
// weights, MaxPool's adds g where the maximum came from). What is not listed in `backward` is refused by name.
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { makeFloats, makeIndices, makeNode, takePiece } from "./compose.ts";
import type { Attribute, Piece, PieceNode, PieceWeight } from "./compose.ts";
import { graphField, onnxFloat32 } from "./graph.ts";
import type { GraphWeight, OnnxGraph } from "./graph.ts";
import { readFields, readPacked, readText } from "./protobuf.ts";

/** Name of the gradient in the pieces; the logits and the layer keep theirs, with the prefix. */
export const gradientName = "g/gradient";

interface TailNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly numbers: ReadonlyMap<string, number>;
  readonly lists: ReadonlyMap<string, readonly number[]>;
  readonly texts: ReadonlyMap<string, string>;
  /** Of a Constant node. */
  readonly tensor: GraphWeight | null;
}

/** A sentence about why there is no tail or gradient; thrown inside, a value outside. */
class NotDifferentiable extends Error {}

/**
 * Nodes that lead from `layer` (a graph value [batch, ...shape]) to `logits` [batch, units], and, where `unit` is given, those of the gradient
 * of that logit. Errors: `layerTail` where the logits depend on more than the layer, or an operator has no backward here.
 */
export function makeTail(options: { readonly graph: OnnxGraph; readonly prefix: string; readonly layer: string; readonly shape: readonly number[]; readonly logits: string; readonly units: number; readonly unit: number | null }): Result<readonly Piece[], Fault> {
  const { graph, prefix, layer, logits } = options;
  try {
    const path = findPath(graph, layer, logits);
    const whole = takePiece(graph, prefix);
    // The nodes before the layer are not part of the tail; its own producer neither: the layer is the input now.
    const nodes = whole.nodes.filter((node) => !node.outputs.includes(prefix + layer));
    const forward: Piece = { nodes, weights: whole.weights };
    return ok(options.unit === null ? [forward] : [forward, makeBackward({ ...options, unit: options.unit, path })]);
  } catch (error) {
    if (error instanceof NotDifferentiable) return fault("layerTail", error.message);
    throw error;
  }
}

/** Nodes between the layer and the logits in the order of the data. */
function findPath(graph: OnnxGraph, layer: string, logits: string): TailNode[] {
  const nodes = readTailNodes(graph);
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const weights = new Set(graph.weights.map((weight) => weight.name));
  const path: TailNode[] = [];
  const seen = new Set<TailNode>();
  /** Whether the value depends on the layer. */
  const walk = (name: string): boolean => {
    if (name === layer) return true;
    if (name === "" || weights.has(name)) return false;
    const node = producers.get(name);
    if (node === undefined) throw new NotDifferentiable(`Expected the logits to be computed from the layer "${layer}" alone; they also depend on "${name}", which passes it by. Choose a layer that everything goes through, such as a block's output.`);
    if (seen.has(node)) return path.includes(node);
    seen.add(node);
    const depends = node.inputs.map(walk).includes(true);
    if (depends) path.push(node);
    return depends;
  };
  if (!walk(logits)) throw new NotDifferentiable(`Expected the logits to be computed from the layer "${layer}"; nothing leads from it to them. Choose an earlier layer.`);
  return path;
}

function makeBackward(options: { readonly graph: OnnxGraph; readonly prefix: string; readonly layer: string; readonly shape: readonly number[]; readonly logits: string; readonly units: number; readonly unit: number; readonly path: readonly TailNode[] }): Piece {
  const { graph, prefix, layer, logits, path } = options;
  const nodes: PieceNode[] = [];
  const weights: PieceWeight[] = [];
  const stored = new Map(graph.weights.map((weight) => [weight.name, weight]));
  for (const node of readTailNodes(graph)) {
    // Exporters hand weights that several operators share through an Identity each.
    const held = node.operator === "Identity" ? stored.get(node.inputs[0] ?? "") : node.tensor;
    if (held !== null && held !== undefined) for (const output of node.outputs) stored.set(output, held);
  }
  const shapes = inferShapes(path, layer, options.shape, stored);
  let names = 0;
  const fresh = (): string => `g/${names++}`;
  const step = (operator: string, inputs: readonly string[], attributes: readonly Attribute[] = []): string => {
    const name = fresh();
    nodes.push(makeNode(operator, inputs, name, attributes));
    return name;
  };
  const floats = (dims: readonly number[], values: Float32Array): string => {
    const name = fresh();
    weights.push(makeFloats(name, dims, values));
    return name;
  };
  const shapeOf = (name: string): readonly number[] => shapes.get(name) ?? [];
  const reshape = (g: string, shape: readonly number[]): string => {
    const name = fresh();
    weights.push(makeIndices(name, shape));
    return step("Reshape", [g, name]);
  };

  /** Parts of the gradient with respect to a value, from everything that reads it. */
  const parts = new Map<string, string[]>();
  const give = (name: string, g: string): void => void parts.set(name, [...(parts.get(name) ?? []), g]);
  // d(logit u)/d(logits): one for u. The batch's size comes from the logits themselves.
  const zeros = step("Mul", [prefix + logits, floats([], Float32Array.of(0))]);
  give(logits, step("Add", [zeros, floats([1, options.units], new Float32Array(options.units).fill(1, options.unit, options.unit + 1))]));

  for (const node of path.toReversed()) {
    const [y = ""] = node.outputs;
    const own = parts.get(y);
    if (own === undefined) continue;
    const g = own.length === 1 ? (own[0] ?? "") : step("Sum", own);
    const dynamic = node.inputs.filter((name) => shapes.has(name));
    const x = dynamic[0] ?? "";
    const constant = node.inputs.find((name) => stored.has(name));
    const number = (name: string, usual: number): number => node.numbers.get(name) ?? usual;
    switch (node.operator) {
      case "Relu":
        give(x, step("Mul", [g, step("Cast", [step("Greater", [prefix + y, floats([], Float32Array.of(0))])], [{ name: "to", int: onnxFloat32 }])]));
        break;
      case "Tanh":
        give(x, step("Mul", [g, step("Sub", [floats([], Float32Array.of(1)), step("Mul", [prefix + y, prefix + y])])]));
        break;
      case "Sigmoid":
        give(x, step("Mul", [g, step("Mul", [prefix + y, step("Sub", [floats([], Float32Array.of(1)), prefix + y])])]));
        break;
      case "Identity": case "Dropout": case "Pad":
        give(x, g);
        break;
      case "Flatten": case "Reshape": case "Squeeze": case "Unsqueeze":
        give(x, reshape(g, [-1, ...shapeOf(x)]));
        break;
      case "Add":
        for (const name of dynamic) give(name, g);
        break;
      case "Sub":
        if (dynamic.length !== 1 || node.inputs[0] !== x) throw refused(node, "only a constant may be subtracted");
        give(x, g);
        break;
      case "Mul": case "Div":
        if (dynamic.length !== 1 || constant === undefined || node.inputs[0] !== x) throw refused(node, "only by a constant");
        give(x, step(node.operator, [g, prefix + constant]));
        break;
      case "Gemm": {
        const [, matrix = ""] = node.inputs;
        if (!stored.has(matrix) || number("transA", 0) !== 0) throw refused(node, "only with stored weights");
        const scaled = number("alpha", 1) === 1 ? g : step("Mul", [g, floats([], Float32Array.of(number("alpha", 1)))]);
        give(x, step("Gemm", [scaled, prefix + matrix], [{ name: "transB", int: number("transB", 0) === 0 ? 1 : 0 }]));
        break;
      }
      case "MatMul":
        if (constant === undefined || node.inputs[1] !== constant || shapeOf(x).length !== 1) throw refused(node, "only a flat layer times stored weights");
        give(x, step("Gemm", [g, prefix + constant], [{ name: "transB", int: 1 }]));
        break;
      case "BatchNormalization": {
        const [, scale, , , variance] = node.inputs.map((name) => floatsOf(stored.get(name)));
        if (scale == null || variance == null) throw refused(node, "only with stored statistics");
        const factor = scale.map((value, c) => value / Math.sqrt((variance[c] ?? 1) + number("epsilon", 1e-5)));
        give(x, step("Mul", [g, floats([1, factor.length, ...shapeOf(x).slice(1).map(() => 1)], factor)]));
        break;
      }
      case "Conv": {
        const [, kernel = ""] = node.inputs;
        const weight = stored.get(kernel);
        if (weight === undefined) throw refused(node, "only with stored weights");
        give(x, step("ConvTranspose", [g, prefix + kernel], transposedAttributes(node, shapeOf(x), shapeOf(y), weight.dims.slice(2))));
        break;
      }
      case "AveragePool": {
        const { kernel, pads } = windowOf(node, shapeOf(x).length - 1);
        if (pads.some((pad) => pad !== 0) && number("count_include_pad", 0) === 0) throw refused(node, "only where the borders count");
        const [channels = 1] = shapeOf(x);
        const area = kernel.reduce((a, b) => a * b, 1);
        const mean = floats([channels, 1, ...kernel], new Float32Array(channels * area).fill(1 / area));
        give(x, step("ConvTranspose", [g, mean], [...transposedAttributes(node, shapeOf(x), shapeOf(y), kernel), { name: "group", int: channels }]));
        break;
      }
      case "GlobalAveragePool": case "ReduceMean": {
        const [channels = 1, ...space] = shapeOf(x);
        const area = space.reduce((a, b) => a * b, 1);
        const spread = floats([1, 1, ...space], new Float32Array(area).fill(1 / area));
        give(x, step("Mul", [reshape(g, [-1, channels, ...space.map(() => 1)]), spread]));
        break;
      }
      case "MaxPool": {
        if (graph.opset < 16) throw refused(node, `only from operator set 16 on, this model has ${graph.opset}`);
        // ONNX counts the places over the whole batch: one flat scatter adds every window's share where its maximum lay.
        const place = fresh();
        const copy = fresh();
        nodes.push(makeNode("MaxPool", [prefix + x], copy, windowAttributes(node, shapeOf(x).length - 1), [place]));
        const flat = (name: string): string => reshape(name, [-1]);
        const empty = flat(step("Mul", [prefix + x, floats([], Float32Array.of(0))]));
        give(x, reshape(step("ScatterElements", [empty, flat(place), flat(g)], [{ name: "axis", int: 0 }, { name: "reduction", text: "add" }]), [-1, ...shapeOf(x)]));
        break;
      }
      default:
        throw refused(node, "");
    }
  }
  const own = parts.get(layer);
  if (own === undefined) throw new NotDifferentiable(`Expected a gradient at the layer "${layer}", got none.`);
  nodes.push(makeNode(own.length === 1 ? "Identity" : "Sum", own, gradientName));
  return { nodes, weights };
}

function refused(node: TailNode, why: string): NotDifferentiable {
  return new NotDifferentiable(`Expected operators whose gradient is known here between the layer and the logits, got ${node.operator}${why === "" ? "" : ` (${why})`}. Choose a later layer.`);
}

/** Shapes without the batch of every value that depends on the layer. */
function inferShapes(path: readonly TailNode[], layer: string, shape: readonly number[], stored: ReadonlyMap<string, GraphWeight>): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>([[layer, shape]]);
  for (const node of path) {
    const x = shapes.get(node.inputs.find((name) => shapes.has(name)) ?? "") ?? [];
    const total = x.reduce((a, b) => a * b, 1);
    let y = x;
    switch (node.operator) {
      case "Conv": {
        const dims = stored.get(node.inputs[1] ?? "")?.dims ?? [];
        y = [dims[0] ?? 0, ...slide(node, x, dims.slice(2))];
        break;
      }
      case "MaxPool": case "AveragePool":
        y = [x[0] ?? 0, ...slide(node, x, windowOf(node, x.length - 1).kernel)];
        break;
      case "GlobalAveragePool": y = [x[0] ?? 0, ...x.slice(1).map(() => 1)]; break;
      case "ReduceMean": {
        const axes = node.lists.get("axes") ?? wholesOf(stored.get(node.inputs[1] ?? "")) ?? [];
        const rank = x.length + 1;
        if (x.length < 2 || axes.map((axis) => (axis < 0 ? axis + rank : axis)).toSorted((a, b) => a - b).join() !== x.slice(1).map((_, i) => i + 2).join()) throw refused(node, "only over the whole picture");
        y = (node.numbers.get("keepdims") ?? 1) === 0 ? [x[0] ?? 0] : [x[0] ?? 0, ...x.slice(1).map(() => 1)];
        break;
      }
      case "Flatten":
        if ((node.numbers.get("axis") ?? 1) !== 1) throw refused(node, "only to one row an image");
        y = [total];
        break;
      case "Reshape": {
        const wanted = wholesOf(stored.get(node.inputs[1] ?? ""));
        if (wanted === null || wanted.length < 2) throw refused(node, "only to a stored shape");
        const rest = wanted.slice(1).map((size, i) => (size === 0 ? (x[i] ?? 1) : size));
        const known = rest.filter((size) => size > 0).reduce((a, b) => a * b, 1);
        y = rest.map((size) => (size < 0 ? total / known : size));
        if (y.reduce((a, b) => a * b, 1) !== total) throw refused(node, "only within an image");
        break;
      }
      case "Squeeze": y = x.filter((size, i) => i === 0 || size !== 1); break;
      case "Unsqueeze": throw refused(node, "");
      case "Gemm": case "MatMul": {
        const [rows = 0, cols = 0] = stored.get(node.inputs[1] ?? "")?.dims ?? [];
        y = [node.operator === "Gemm" && (node.numbers.get("transB") ?? 0) !== 0 ? rows : cols];
        break;
      }
      case "Pad":
        if ((wholesOf(stored.get(node.inputs[1] ?? "")) ?? node.lists.get("pads") ?? [1]).some((pad) => pad !== 0)) throw refused(node, "only without any width");
        break;
      default: break;
    }
    for (const output of node.outputs) if (output !== "") shapes.set(output, y);
  }
  return shapes;
}

/** Window, step, border (begins, then ends) and dilation of a convolution or pooling over `rank` axes. */
function windowOf(node: TailNode, rank: number, kernelOfWeights?: readonly number[]) {
  const auto = node.texts.get("auto_pad") ?? "NOTSET";
  if (auto !== "NOTSET" && auto !== "VALID") throw refused(node, `only with stated borders, not ${auto}`);
  const ones = Array.from({ length: rank }, () => 1);
  return {
    kernel: node.lists.get("kernel_shape") ?? kernelOfWeights ?? ones, strides: node.lists.get("strides") ?? ones, dilations: node.lists.get("dilations") ?? ones,
    pads: node.lists.get("pads") ?? [...ones, ...ones].map(() => 0), ceil: (node.numbers.get("ceil_mode") ?? 0) !== 0,
  };
}

function slide(node: TailNode, x: readonly number[], kernelOfWeights: readonly number[]): number[] {
  const rank = x.length - 1;
  const { kernel, strides, pads, dilations, ceil } = windowOf(node, rank, kernelOfWeights);
  return x.slice(1).map((size, i) => {
    const room = size + (pads[i] ?? 0) + (pads[i + rank] ?? 0) - (((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1);
    const steps = room / (strides[i] ?? 1);
    if (ceil && !Number.isInteger(steps)) throw refused(node, "only where the window fits the picture");
    return Math.floor(steps) + 1;
  });
}

function windowAttributes(node: TailNode, rank: number): Attribute[] {
  const { kernel, strides, pads, dilations } = windowOf(node, rank);
  return [{ name: "kernel_shape", ints: kernel }, { name: "strides", ints: strides }, { name: "pads", ints: pads }, { name: "dilations", ints: dilations }];
}

/** The transposed convolution that takes g [y] back to [x]: output_padding is what the forward's rounding down left out. */
function transposedAttributes(node: TailNode, x: readonly number[], y: readonly number[], kernelOfWeights: readonly number[]): Attribute[] {
  const rank = x.length - 1;
  const { kernel, strides, pads, dilations } = windowOf(node, rank, kernelOfWeights);
  const rest = x.slice(1).map((size, i) => {
    const back = ((y[i + 1] ?? 1) - 1) * (strides[i] ?? 1) + ((kernel[i] ?? 1) - 1) * (dilations[i] ?? 1) + 1 - (pads[i] ?? 0) - (pads[i + rank] ?? 0);
    return size - back;
  });
  const group = node.numbers.get("group");
  return [
    { name: "kernel_shape", ints: kernel }, { name: "strides", ints: strides }, { name: "pads", ints: pads }, { name: "dilations", ints: dilations }, { name: "output_padding", ints: rest },
    ...(group === undefined ? [] : [{ name: "group", int: group }]),
  ];
}

function readTailNodes(graph: OnnxGraph): TailNode[] {
  return graph.graphFields.flatMap((field) => {
    if (field.number !== graphField.node || field.bytes === null) return [];
    const inputs: string[] = [];
    const outputs: string[] = [];
    const numbers = new Map<string, number>();
    const lists = new Map<string, number[]>();
    const texts = new Map<string, string>();
    let operator = "";
    let tensor: GraphWeight | null = null;
    for (const part of readFields(field.bytes)) {
      if (part.number === 1) inputs.push(readText(part.bytes));
      else if (part.number === 2) outputs.push(readText(part.bytes));
      else if (part.number === 4) operator = readText(part.bytes);
      else if (part.number === 5 && part.bytes !== null) {
        // AttributeProto: name 1, f 2, i 3, s 4, t 5, ints 8.
        let name = "";
        const ints: number[] = [];
        for (const piece of readFields(part.bytes)) {
          if (piece.number === 1) name = readText(piece.bytes);
          else if (piece.number === 2 || piece.number === 3) numbers.set(name, piece.value);
          else if (piece.number === 4) texts.set(name, readText(piece.bytes));
          else if (piece.number === 5 && piece.bytes !== null) tensor = readTensor(piece.bytes);
          else if (piece.number === 8) ints.push(...(piece.bytes === null ? [piece.value] : readPacked(piece.bytes)));
        }
        if (ints.length > 0) lists.set(name, ints);
      }
    }
    return [{ operator, inputs, outputs, numbers, lists, texts, tensor: operator === "Constant" ? tensor : null }];
  });
}

function readTensor(bytes: Uint8Array): GraphWeight {
  const dims: number[] = [];
  let elementType = 0;
  let raw: Uint8Array | null = null;
  let floats: Uint8Array | null = null;
  for (const field of readFields(bytes)) {
    if (field.number === 1) dims.push(...(field.bytes === null ? [field.value] : readPacked(field.bytes)));
    else if (field.number === 2) elementType = field.value;
    else if (field.number === 4) floats = field.bytes;
    else if (field.number === 9) raw = field.bytes;
  }
  return { name: "", dims, elementType, raw, floats };
}

function floatsOf(weight: GraphWeight | undefined): Float32Array | null {
  const bytes = weight?.elementType === onnxFloat32 ? (weight.raw ?? weight.floats) : null;
  return bytes === null ? null : new Float32Array(Uint8Array.from(bytes).buffer);
}

/** int64 values as numbers. */
function wholesOf(weight: GraphWeight | undefined): number[] | null {
  if (weight === undefined || weight.elementType !== 7 || weight.raw === null) return null;
  return Array.from(new BigInt64Array(Uint8Array.from(weight.raw).buffer), Number);
}
