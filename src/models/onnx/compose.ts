// Builds one ONNX file out of pieces: a network, and the steps before and after it as ordinary operators, so that ONNX
// Runtime does them on whole batches and, where it can, on the device. Knows nothing about manifests or sessions.

import { onnxFloat32, onnxUint8, graphField, modelField } from "./graph.ts";
import type { OnnxGraph } from "./graph.ts";
import { joinWire, readFields, readText, writeBytes, writeInt } from "./protobuf.ts";
import type { Wire } from "./protobuf.ts";

export interface PieceNode {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly wire: Wire;
}

export interface PieceWeight {
  readonly name: string;
  readonly wire: Wire;
}

/** Part of a graph: nodes in order and the weights they use. Pieces join where names agree. */
export interface Piece {
  readonly nodes: readonly PieceNode[];
  readonly weights: readonly PieceWeight[];
}

export interface ComposedValue {
  readonly name: string;
  readonly elementType: typeof onnxFloat32 | typeof onnxUint8;
  /** Dimensions after the batch, null where free; the batch dimension is always free. */
  readonly dims: readonly (number | null)[];
}

/** The piece of a network whose every name gets `prefix` in front. */
export function takePiece(graph: OnnxGraph, prefix: string): Piece {
  const rename = (name: string) => (name === "" ? "" : prefix + name);
  const nodes: PieceNode[] = [];
  const weights: PieceWeight[] = [];
  for (const field of graph.graphFields) {
    if (field.bytes === null) continue;
    if (field.number === graphField.node) {
      const inputs: string[] = [];
      const outputs: string[] = [];
      const wire: Uint8Array[] = [];
      for (const part of readFields(field.bytes)) {
        if (part.number === 1) {
          const name = rename(readText(part.bytes));
          inputs.push(name);
          wire.push(...writeBytes(1, name));
        } else if (part.number === 2) {
          const name = rename(readText(part.bytes));
          outputs.push(name);
          wire.push(...writeBytes(2, name));
        } else if (part.number === 3) {
          wire.push(...writeBytes(3, rename(readText(part.bytes))));
        } else {
          wire.push(part.whole);
        }
      }
      nodes.push({ inputs, outputs, wire });
    } else if (field.number === graphField.initializer) {
      let name = "";
      const wire: Uint8Array[] = [];
      for (const part of readFields(field.bytes)) {
        if (part.number !== 8) {
          wire.push(part.whole);
          continue;
        }
        name = rename(readText(part.bytes));
        wire.push(...writeBytes(8, name));
      }
      weights.push({ name, wire });
    }
  }
  return { nodes, weights };
}

export type Attribute = { readonly name: string; readonly ints: readonly number[] } | { readonly name: string; readonly int: number } | { readonly name: string; readonly text: string };

/** One operator; `more` are outputs beyond the first. */
export function makeNode(operator: string, inputs: readonly string[], output: string, attributes: readonly Attribute[] = [], more: readonly string[] = []): PieceNode {
  // AttributeProto: name 1, i 3, s 4, ints 8, type 20 (2 = int, 3 = string, 7 = ints).
  const written = attributes.flatMap((attribute) =>
    writeBytes(5, [
      ...writeBytes(1, attribute.name),
      ...("int" in attribute
        ? [...writeInt(3, attribute.int), ...writeInt(20, 2)]
        : "text" in attribute
        ? [...writeBytes(4, attribute.text), ...writeInt(20, 3)]
        : [...attribute.ints.flatMap((value) => writeInt(8, value)), ...writeInt(20, 7)]),
    ]),
  );
  return {
    inputs,
    outputs: [output, ...more],
    wire: [...inputs.flatMap((name) => writeBytes(1, name)), ...[output, ...more].flatMap((name) => writeBytes(2, name)), ...writeBytes(3, output), ...writeBytes(4, operator), ...written],
  };
}

export function makeFloats(name: string, dims: readonly number[], values: Float32Array): PieceWeight {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, wire: [...dims.flatMap((dim) => writeInt(1, dim)), ...writeInt(2, onnxFloat32), ...writeBytes(8, name), ...writeBytes(9, bytes)] };
}

export function makeIndices(name: string, values: readonly number[]): PieceWeight {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, wire: [...writeInt(1, values.length), ...writeInt(2, 7), ...writeBytes(8, name), ...writeBytes(9, bytes)] };
}

/** How a tensor of images stands for pixels of 0 to 255. */
export interface PixelScale {
  readonly range: readonly [number, number];
  readonly channels: "rgb" | "bgr";
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/**
 * Weights [from, to] of a resize with a triangular filter, widened when shrinking so that nothing aliases (as in Pillow's
 * bilinear resize); the middle `keep` of the source is taken. Row-major, columns sum to 1.
 */
export function makeResizeWeights(from: number, to: number, keep: number): Float32Array {
  const weights = new Float32Array(from * to);
  const scale = (from * keep) / to;
  const start = (from * (1 - keep)) / 2;
  const reach = Math.max(scale, 1);
  for (let target = 0; target < to; target++) {
    const centre = start + (target + 0.5) * scale;
    const column = new Float64Array(from);
    let sum = 0;
    for (let source = 0; source < from; source++) {
      const weight = Math.max(0, 1 - Math.abs(source + 0.5 - centre) / reach);
      column[source] = weight;
      sum += weight;
    }
    for (let source = 0; source < from; source++) weights[source * to + target] = (column[source] ?? 0) / sum;
  }
  return weights;
}

function transposeMatrix(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c] ?? 0;
  return out;
}

/** Steps from planes of 0..255 [n, 3, h, w] named `input` to the network's own image tensor named `output`. */
export function makeFitter(options: {
  readonly prefix: string;
  readonly input: string;
  readonly output: string;
  readonly from: { readonly width: number; readonly height: number };
  readonly to: { readonly width: number; readonly height: number };
  readonly keep: number;
  readonly scale: PixelScale;
}): Piece {
  const { prefix, from, to, scale, keep } = options;
  const nodes: PieceNode[] = [];
  const weights: PieceWeight[] = [];
  let current = options.input;
  const step = (operator: string, others: readonly string[], name: string, before: readonly string[] = []) => {
    nodes.push(makeNode(operator, [...before, current, ...others], prefix + name));
    current = prefix + name;
  };
  if (from.width !== to.width || keep !== 1) {
    weights.push(makeFloats(`${prefix}columns`, [from.width, to.width], makeResizeWeights(from.width, to.width, keep)));
    step("MatMul", [`${prefix}columns`], "narrowed");
  }
  if (from.height !== to.height || keep !== 1) {
    weights.push(makeFloats(`${prefix}rows`, [to.height, from.height], transposeMatrix(makeResizeWeights(from.height, to.height, keep), from.height, to.height)));
    step("MatMul", [], "resized", [`${prefix}rows`]);
  }
  const [black, white] = scale.range;
  // value = ((pixel / 255) (white - black) + black - mean) / std, with the constants taken together.
  const gain = Float32Array.from(scale.std, (std) => (white - black) / 255 / std);
  const offset = Float32Array.from(scale.mean, (mean, c) => (black - mean) / (scale.std[c] ?? 1));
  if (scale.channels === "bgr") {
    weights.push(makeIndices(`${prefix}order`, [2, 1, 0]));
    nodes.push(makeNode("Gather", [current, `${prefix}order`], `${prefix}swapped`, [{ name: "axis", int: 1 }]));
    current = `${prefix}swapped`;
  }
  weights.push(makeFloats(`${prefix}gain`, [1, 3, 1, 1], gain), makeFloats(`${prefix}offset`, [1, 3, 1, 1], offset));
  step("Mul", [`${prefix}gain`], "scaled");
  nodes.push(makeNode("Add", [current, `${prefix}offset`], options.output));
  return { nodes, weights };
}

/** From interleaved bytes [n, h, w, 3] to planes of 0..255 in float32 [n, 3, h, w]. */
export function makeUnpacker(prefix: string, input: string, output: string): Piece {
  return {
    nodes: [
      makeNode("Transpose", [input], `${prefix}planes`, [{ name: "perm", ints: [0, 3, 1, 2] }]),
      makeNode("Cast", [`${prefix}planes`], output, [{ name: "to", int: onnxFloat32 }]),
    ],
    weights: [],
  };
}

/** From the network's image tensor to planes of whole numbers 0..255, still float32, RGB. */
export function makeQuantiser(prefix: string, input: string, output: string, scale: PixelScale): Piece {
  const [black, white] = scale.range;
  const span = white - black;
  // pixel = 255 (value std + mean - black) / (white - black)
  const gain = Float32Array.from(scale.std, (std) => (255 * std) / span);
  const offset = Float32Array.from(scale.mean, (mean) => (255 * (mean - black)) / span);
  // Most generators start at black: nothing is added to every pixel then.
  const shifted = offset.some((value) => value !== 0);
  const weights = [
    makeFloats(`${prefix}gain`, [1, 3, 1, 1], gain), ...(shifted ? [makeFloats(`${prefix}offset`, [1, 3, 1, 1], offset)] : []),
    makeFloats(`${prefix}black`, [], Float32Array.of(0)), makeFloats(`${prefix}white`, [], Float32Array.of(255)),
  ];
  const nodes = [
    makeNode("Mul", [input, `${prefix}gain`], `${prefix}scaled`),
    ...(shifted ? [makeNode("Add", [`${prefix}scaled`, `${prefix}offset`], `${prefix}shifted`)] : []),
    makeNode("Clip", [shifted ? `${prefix}shifted` : `${prefix}scaled`, `${prefix}black`, `${prefix}white`], `${prefix}clipped`),
  ];
  if (scale.channels === "bgr") {
    weights.push(makeIndices(`${prefix}order`, [2, 1, 0]));
    nodes.push(makeNode("Gather", [`${prefix}clipped`, `${prefix}order`], `${prefix}swapped`, [{ name: "axis", int: 1 }]));
  }
  nodes.push(makeNode("Round", [scale.channels === "bgr" ? `${prefix}swapped` : `${prefix}clipped`], output));
  return { nodes, weights };
}

/** From planes of whole numbers to interleaved bytes [n, h, w, 3]. */
export function makePacker(prefix: string, input: string, output: string): Piece {
  return {
    nodes: [
      makeNode("Cast", [input], `${prefix}bytes`, [{ name: "to", int: onnxUint8 }]),
      makeNode("Transpose", [`${prefix}bytes`], output, [{ name: "perm", ints: [0, 2, 3, 1] }]),
    ],
    weights: [],
  };
}

function writeValue(number: number, value: ComposedValue, batch: Wire): Wire {
  const dims = [batch, ...value.dims.map((dim, i) => writeBytes(1, dim === null ? writeBytes(2, `${value.name}_${i}`) : writeInt(1, dim)))];
  const tensor = [...writeInt(1, value.elementType), ...writeBytes(2, dims.flat())];
  return writeBytes(number, [...writeBytes(1, value.name), ...writeBytes(2, writeBytes(1, tensor))]);
}

/** Joins pieces (in order of the data) into an ONNX file; nodes and weights that no wanted output needs are left out. */
export function composeModel(options: {
  readonly opset: number;
  readonly irVersion: number;
  readonly pieces: readonly Piece[];
  readonly inputs: readonly ComposedValue[];
  /** Inputs without a batch dimension. */
  readonly constants: readonly { readonly name: string; readonly dims: readonly number[] }[];
  readonly outputs: readonly ComposedValue[];
}): Uint8Array<ArrayBuffer> {
  const nodes = options.pieces.flatMap((piece) => piece.nodes);
  const needed = new Set(options.outputs.map((output) => output.name));
  // Producers by name and a walk against the data: published files are not always in topological order.
  const producers = new Map<string, PieceNode>();
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node);
  const kept = new Set<PieceNode>();
  const waiting = [...needed];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = producers.get(name);
    if (node === undefined || kept.has(node)) continue;
    kept.add(node);
    for (const input of node.inputs) {
      needed.add(input);
      waiting.push(input);
    }
  }
  const weights = options.pieces.flatMap((piece) => piece.weights).filter((weight) => needed.has(weight.name));
  const batch = writeBytes(1, writeBytes(2, "batch"));
  const graph = [
    ...nodes.filter((node) => kept.has(node)).flatMap((node) => writeBytes(graphField.node, node.wire)),
    ...writeBytes(graphField.name, "evoked"),
    ...weights.flatMap((weight) => writeBytes(graphField.initializer, weight.wire)),
    ...options.inputs.flatMap((value) => writeValue(graphField.input, value, batch)),
    ...options.constants.flatMap((value) => writeValue(graphField.input, { ...value, elementType: onnxFloat32 }, [])),
    ...options.outputs.flatMap((value) => writeValue(graphField.output, value, batch)),
  ];
  return joinWire([
    ...writeInt(modelField.irVersion, options.irVersion),
    ...writeBytes(modelField.producerName, "evoked"),
    ...writeBytes(modelField.graph, graph),
    ...writeBytes(modelField.opsetImport, [...writeBytes(1, ""), ...writeInt(2, options.opset)]),
  ]);
}
