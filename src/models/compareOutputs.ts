// Runs an ONNX file as it is on given inputs and compares with given outputs: the judge of the converters in models/convert.
// Usage: node src/models/compareOutputs.ts FOLDER, which holds case.json and little-endian float32 files. Knows nothing about
// manifests; the session is ONNX Runtime's own on the CPU, without the app's steps around the model.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { InferenceSession, Tensor } from "onnxruntime-node";
import { z } from "zod";

const tensorFile = z.object({ name: z.string(), dims: z.array(z.number().int().nonnegative()), file: z.string() });
const compareCase = z.object({
  model: z.string(),
  inputs: z.array(tensorFile),
  outputs: z.array(tensorFile),
  /** Outputs to write beside the case as result0.f32, result1.f32, ... */
  write: z.array(z.string()).default([]),
});

/** How far an output is from the expected one: largest absolute difference, and that as a share of the largest expected value. */
export interface OutputDifference {
  readonly name: string;
  readonly largest: number;
  /** Infinity where shapes differ or a value is NaN. */
  readonly share: number;
}

export function measureDifference(expected: Float32Array, got: Float32Array): { readonly largest: number; readonly share: number } {
  if (expected.length !== got.length) return { largest: Infinity, share: Infinity };
  let largest = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const value = expected[i] ?? 0;
    const gap = Math.abs(value - (got[i] ?? 0));
    if (Number.isNaN(gap)) return { largest: Infinity, share: Infinity };
    if (gap > largest) largest = gap;
    if (Math.abs(value) > scale) scale = Math.abs(value);
  }
  return { largest, share: largest / Math.max(scale, 1e-6) };
}

function readFloats(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export async function compareFolder(folder: string): Promise<readonly OutputDifference[]> {
  const found = compareCase.parse(JSON.parse(readFileSync(join(folder, "case.json"), "utf8")));
  const session = await InferenceSession.create(found.model, { executionProviders: ["cpu"], logSeverityLevel: 4 });
  const feeds = Object.fromEntries(found.inputs.map((input) => [input.name, new Tensor("float32", readFloats(join(folder, input.file)), input.dims)]));
  const results = await session.run(feeds, [...new Set([...found.outputs.map((output) => output.name), ...found.write])]);
  const floatsOf = (name: string): Float32Array => {
    const values = results[name]?.data;
    if (!(values instanceof Float32Array)) throw new Error(`expected float32 in "${name}", got ${results[name]?.type ?? "nothing"}`);
    return values;
  };
  found.write.forEach((name, index) => writeFileSync(join(folder, `result${index}.f32`), floatsOf(name)));
  return found.outputs.map((output) => ({ name: output.name, ...measureDifference(readFloats(join(folder, output.file)), floatsOf(output.name)) }));
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    process.stderr.write("usage: node src/models/compareOutputs.ts FOLDER\n");
    process.exitCode = 2;
  } else {
    process.stdout.write(`${JSON.stringify(await compareFolder(folder))}\n`);
  }
}
