// Makes small ONNX files and manifests in memory and on disk, whole or broken in one chosen way.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { joinWire, writeBytes, writeInt } from "../../../src/models/onnx/protobuf.ts";
import type { Wire } from "../../../src/models/onnx/protobuf.ts";
import { encoderManifest } from "../../../src/shared/manifest.ts";
import type { EncoderManifest } from "../../../src/shared/manifest.ts";

export interface TinyOptions {
  readonly opset?: number;
  readonly inputName?: string;
  readonly outputName?: string;
  readonly channels?: number;
  readonly weight?: Float32Array;
  /** Values that the weight's shape announces. */
  readonly weightDims?: readonly number[];
  readonly external?: boolean;
  readonly domain?: string;
  readonly fixedBatch?: boolean;
  readonly sizePx?: number;
}

function value(field: number, name: string, dims: readonly (number | null)[]): Wire {
  const shape = dims.flatMap((dim) => writeBytes(1, dim === null ? writeBytes(2, "batch") : writeInt(1, dim)));
  return writeBytes(field, [...writeBytes(1, name), ...writeBytes(2, writeBytes(1, [...writeInt(1, 1), ...writeBytes(2, shape)]))]);
}

/** image [n, 3, s, s] -> features = image * weight [1, 3, 1, 1], same shape. */
export function aTinyEncoderFile(options: TinyOptions = {}): Uint8Array<ArrayBuffer> {
  const size = options.sizePx ?? 8;
  const input = options.inputName ?? "image";
  const output = options.outputName ?? "features";
  const weight = options.weight ?? Float32Array.of(1, 2, 3);
  const channels = options.channels ?? 3;
  const tensor = [
    ...(options.weightDims ?? [1, 3, 1, 1]).flatMap((dim) => writeInt(1, dim)), ...writeInt(2, 1), ...writeBytes(8, "w"),
    ...writeBytes(9, new Uint8Array(weight.buffer)), ...(options.external === true ? writeInt(14, 1) : []),
  ];
  const node = [...writeBytes(1, input), ...writeBytes(1, "w"), ...writeBytes(2, output), ...writeBytes(4, "Mul")];
  const batch = options.fixedBatch === true ? 1 : null;
  const graph = [
    ...writeBytes(1, node), ...writeBytes(2, "tiny"), ...writeBytes(5, tensor),
    ...value(11, input, [batch, channels, size, size]), ...value(12, output, [batch, channels, size, size]),
  ];
  const domains = options.domain === undefined ? [] : writeBytes(8, [...writeBytes(1, options.domain), ...writeInt(2, 1)]);
  return joinWire([...writeInt(1, 8), ...writeBytes(7, graph), ...writeBytes(8, [...writeBytes(1, ""), ...writeInt(2, options.opset ?? 17)]), ...domains]);
}

export function aManifestFor(file: Uint8Array, changes: Partial<EncoderManifest> = {}): EncoderManifest {
  return encoderManifest.parse({
    kind: "encoder", id: "tiny", title: "Tiny", description: "", file: "tiny.onnx", sha256: createHash("sha256").update(file).digest("hex"), sizeBytes: file.length,
    licence: "MIT", source: "test", madeBy: "test", input: { name: "image", width: 8, height: 8, range: [0, 1] },
    layers: [{ name: "features", output: "features", dim: 192, shape: [3, 8, 8] }], penultimate: "features", ...changes,
  });
}

/** A models folder with one model in it. */
export async function aModelsDir(file: Uint8Array, manifest: unknown): Promise<{ readonly dir: string; readonly remove: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "evoked-models-"));
  await mkdir(join(dir, "tiny"));
  await writeFile(join(dir, "tiny", "tiny.onnx"), file);
  await writeFile(join(dir, "tiny", "manifest.json"), typeof manifest === "string" ? manifest : JSON.stringify(manifest));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** latent [n, dim] -> image [n, 3, s, s], mask = its first plane; [n, 1, dim] x [1, dim, 3 s s] as an exporter writes a broadcast product. */
export function aLinearGeneratorFile(dim: number, sizePx: number, weight: Float32Array): Uint8Array<ArrayBuffer> {
  const wholes = (name: string, values: readonly number[]) =>
    writeBytes(5, [...writeInt(1, values.length), ...writeInt(2, 7), ...writeBytes(8, name), ...writeBytes(9, new Uint8Array(BigInt64Array.from(values, BigInt).buffer))]);
  const weights = [...[1, dim, 3 * sizePx * sizePx].flatMap((size) => writeInt(1, size)), ...writeInt(2, 1), ...writeBytes(8, "w"), ...writeBytes(9, new Uint8Array(weight.buffer))];
  const node = (operator: string, inputs: readonly string[], output: string) => writeBytes(1, [...inputs.flatMap((name) => writeBytes(1, name)), ...writeBytes(2, output), ...writeBytes(4, operator)]);
  const graph = [
    ...node("Reshape", ["latent", "row"], "rows"), ...node("MatMul", ["rows", "w"], "flat"), ...node("Reshape", ["flat", "shape"], "image"), ...node("Slice", ["image", "zero", "one", "one"], "mask"),
    ...writeBytes(2, "linear"), ...writeBytes(5, weights), ...wholes("row", [-1, 1, dim]), ...wholes("shape", [-1, 3, sizePx, sizePx]), ...wholes("zero", [0]), ...wholes("one", [1]),
    ...value(11, "latent", [null, dim]), ...value(12, "image", [null, 3, sizePx, sizePx]), ...value(12, "mask", [null, 1, sizePx, sizePx]),
  ];
  return joinWire([...writeInt(1, 8), ...writeBytes(7, graph), ...writeBytes(8, [...writeBytes(1, ""), ...writeInt(2, 17)])]);
}

export function aGeneratorManifestFor(file: Uint8Array, dim: number, sizePx: number): unknown {
  return {
    kind: "generator", id: "tiny", title: "Tiny", description: "", file: "tiny.onnx", sha256: createHash("sha256").update(file).digest("hex"), sizeBytes: file.length,
    licence: "MIT", source: "test", madeBy: "test", input: { name: "latent", dim }, output: { name: "image", width: sizePx, height: sizePx, range: [-1, 1] },
    parts: { mask: "mask" }, latent: { initialStepSize: 1, typicalNorm: 1 },
  };
}
