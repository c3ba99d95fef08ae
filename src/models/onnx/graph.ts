// What an ONNX file holds: names, shapes, weights, operators. Reads the file as data; runs nothing of it.
// Knows nothing about manifests or sessions. Field numbers: onnx/onnx.proto3 (ONNX IR).

import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { readFields, readPacked, readText, WireError } from "./protobuf.ts";
import type { WireField } from "./protobuf.ts";

/** A graph input or output. A free dimension is null. `elementType` is ONNX's number (1 float32, 2 uint8, 7 int64, 10 float16). */
export interface GraphValue {
  readonly name: string;
  readonly elementType: number;
  readonly shape: readonly (number | null)[] | null;
}

export interface GraphWeight {
  readonly name: string;
  readonly dims: readonly number[];
  readonly elementType: number;
  /** Little-endian values as stored; null where they are spelled out one by one in the message. */
  readonly raw: Uint8Array | null;
  readonly floats: Uint8Array | null;
}

export interface OnnxGraph {
  readonly opset: number;
  readonly irVersion: number;
  readonly producer: string;
  /** Operator domains beyond ONNX's own. */
  readonly otherDomains: readonly string[];
  /** Inputs that a caller has to give: weights that old files repeat among the inputs are left out. */
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly weights: readonly GraphWeight[];
  readonly weightCount: number;
  readonly operators: ReadonlySet<string>;
  /** Some weight lies in a file beside the model. */
  readonly external: boolean;
  /** Some operator holds a graph of its own (If, Loop, Scan). */
  readonly nested: boolean;
  /** The model's fields but its graph, and the graph's fields, for surgery. */
  readonly modelFields: readonly WireField[];
  readonly graphFields: readonly WireField[];
}

export const onnxFloat32 = 1;
export const onnxUint8 = 2;

export const modelField = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 } as const;
export const graphField = { node: 1, name: 2, initializer: 5, input: 11, output: 12, valueInfo: 13 } as const;

function readValue(bytes: Uint8Array): GraphValue {
  let name = "";
  let elementType = 0;
  let shape: (number | null)[] | null = null;
  for (const field of readFields(bytes)) {
    if (field.number === 1) name = readText(field.bytes);
    if (field.number !== 2 || field.bytes === null) continue;
    for (const type of readFields(field.bytes)) {
      if (type.number !== 1 || type.bytes === null) continue;
      for (const tensor of readFields(type.bytes)) {
        if (tensor.number === 1) elementType = tensor.value;
        if (tensor.number !== 2 || tensor.bytes === null) continue;
        shape = [];
        for (const dimension of readFields(tensor.bytes)) {
          let size: number | null = null;
          for (const part of readFields(dimension.bytes ?? new Uint8Array())) if (part.number === 1 && part.value > 0) size = part.value;
          shape.push(size);
        }
      }
    }
  }
  return { name, elementType, shape };
}

function readWeight(bytes: Uint8Array): { weight: GraphWeight; external: boolean } {
  const dims: number[] = [];
  let elementType = 0;
  let name = "";
  let raw: Uint8Array | null = null;
  let floats: Uint8Array | null = null;
  let external = false;
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        if (field.bytes === null) dims.push(field.value);
        else dims.push(...readPacked(field.bytes));
        break;
      case 2: elementType = field.value; break;
      case 4: floats = field.bytes; break;
      case 8: name = readText(field.bytes); break;
      case 9: raw = field.bytes; break;
      case 13: external = true; break;
      case 14: external = external || field.value === 1; break;
      default: break;
    }
  }
  return { weight: { name, dims, elementType, raw, floats }, external };
}

/** Reads the structure of an ONNX file. Errors: `modelUnreadable` with what is wrong with the bytes. */
export function readOnnx(file: Uint8Array): Result<OnnxGraph, Fault> {
  try {
    return ok(readModel(file));
  } catch (error) {
    if (error instanceof WireError) {
      return fault("modelUnreadable", `Expected an ONNX file; the ${file.length} bytes do not read as one (${error.message}). The file is truncated or of another kind: get it again.`);
    }
    throw error;
  }
}

function readModel(file: Uint8Array): OnnxGraph {
  const modelFields: WireField[] = [];
  const graphFields: WireField[] = [];
  const otherDomains: string[] = [];
  let opset = 0;
  let irVersion = 0;
  let producer = "";
  for (const field of readFields(file)) {
    if (field.number === modelField.graph && field.bytes !== null) {
      graphFields.push(...readFields(field.bytes));
      continue;
    }
    modelFields.push(field);
    if (field.number === modelField.irVersion) irVersion = field.value;
    if (field.number === modelField.producerName) producer = readText(field.bytes);
    if (field.number === modelField.opsetImport && field.bytes !== null) {
      let domain = "";
      let version = 0;
      for (const part of readFields(field.bytes)) {
        if (part.number === 1) domain = readText(part.bytes);
        if (part.number === 2) version = part.value;
      }
      if (domain === "" || domain === "ai.onnx") opset = version;
      else otherDomains.push(domain);
    }
  }
  if (graphFields.length === 0 || opset === 0) throw new WireError("it has no graph or names no operator set");

  const weights: GraphWeight[] = [];
  const allInputs: GraphValue[] = [];
  const outputs: GraphValue[] = [];
  const operators = new Set<string>();
  let external = false;
  let nested = false;
  for (const field of graphFields) {
    if (field.bytes === null) continue;
    switch (field.number) {
      case graphField.initializer: {
        const read = readWeight(field.bytes);
        weights.push(read.weight);
        external = external || read.external;
        break;
      }
      case graphField.input: allInputs.push(readValue(field.bytes)); break;
      case graphField.output: outputs.push(readValue(field.bytes)); break;
      case graphField.node:
        for (const part of readFields(field.bytes)) {
          if (part.number === 4) operators.add(readText(part.bytes));
          if (part.number === 5 && part.bytes !== null) for (const attribute of readFields(part.bytes)) nested = nested || attribute.number === 6 || attribute.number === 11;
        }
        break;
      default: break;
    }
  }
  const weightNames = new Set(weights.map((weight) => weight.name));
  return {
    opset, irVersion, producer, otherDomains,
    inputs: allInputs.filter((value) => !weightNames.has(value.name)),
    outputs, weights,
    weightCount: weights.reduce((sum, weight) => sum + weight.dims.reduce((a, b) => a * b, 1), 0),
    operators, external, nested, modelFields, graphFields,
  };
}

/** The first float weight with a value that is NaN or infinite, or null. */
export function findBadWeight(graph: OnnxGraph): string | null {
  for (const weight of graph.weights) {
    const bytes = weight.elementType === onnxFloat32 ? (weight.raw ?? weight.floats) : null;
    if (bytes === null) continue;
    const count = bytes.length >> 2;
    const aligned = bytes.byteOffset % 4 === 0;
    const bits = aligned ? new Uint32Array(bytes.buffer, bytes.byteOffset, count) : new Uint32Array(Uint8Array.from(bytes.subarray(0, count * 4)).buffer);
    // An exponent of all ones is NaN or infinity.
    for (let i = 0; i < count; i++) if (((bits[i] ?? 0) & 0x7f800000) === 0x7f800000) return weight.name;
  }
  return null;
}

/** Weights whose stored bytes do not match their dimensions: a sign of a damaged file. */
export function findShortWeight(graph: OnnxGraph): string | null {
  const width = new Map([[1, 4], [2, 1], [3, 1], [6, 4], [7, 8], [9, 1], [10, 2], [11, 8]]);
  for (const weight of graph.weights) {
    const size = width.get(weight.elementType);
    if (weight.raw === null || size === undefined) continue;
    if (weight.raw.length !== weight.dims.reduce((a, b) => a * b, 1) * size) return weight.name;
  }
  return null;
}
