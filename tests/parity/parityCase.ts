// One case of the parity tests: weights in a published format at random, converted as a user would, run as the app would.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { z } from "zod";

import { findPython } from "../../src/models/importing.ts";
import { parseManifest } from "../../src/models/registry.ts";
import type { ModelManifest } from "../../src/shared/manifest.ts";
import { unwrap } from "../../src/shared/result.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

const tensor = z.object({ file: z.string(), dims: z.array(z.number()), type: z.string() });
export type TensorFile = z.infer<typeof tensor>;

const referenceSchema = z.object({
  id: z.string(), kind: z.string(), script: z.string(), files: z.array(z.string()), first: z.array(z.string()).default([]), parameters: z.number().optional(),
  latents: tensor.optional(), pixels: tensor.optional(), images: tensor.optional(), rows: tensor.optional(), distances: tensor.optional(),
  layers: z.record(z.string(), tensor).default({}),
  gradient: z.object({ layer: z.string(), unit: z.number(), activations: tensor, values: tensor }).optional(),
});
export type Reference = z.infer<typeof referenceSchema>;

export interface ParityCase {
  readonly folder: string;
  /** Folder of models with the converted one in it. */
  readonly modelsDir: string;
  readonly reference: Reference;
  readonly floats: (file: TensorFile | undefined) => Promise<Float32Array>;
  readonly bytes: (file: TensorFile | undefined) => Promise<Uint8Array>;
  readonly remove: () => Promise<void>;
}

/** null: the tests are skipped, and this says why. */
export const python = await findPython();

function pythonPath(): string {
  return unwrap(python);
}

/** Writes the weight files of a case. */
export async function makeCase(name: string): Promise<ParityCase> {
  const folder = await mkdtemp(join(tmpdir(), "evoked-parity-"));
  await run(pythonPath(), [join(root, "tests/parity/random_weights.py"), name, folder], { env: { ...process.env, PYTHONWARNINGS: "ignore", PYTHONDONTWRITEBYTECODE: "1" } });
  const reference = referenceSchema.parse(JSON.parse(await readFile(join(folder, "reference.json"), "utf8")));
  const read = async (file: TensorFile | undefined): Promise<Buffer> => {
    if (file === undefined) throw new Error("expected a tensor in the reference");
    return readFile(join(folder, file.file));
  };
  return {
    folder, reference, modelsDir: join(folder, "models"),
    bytes: async (file) => new Uint8Array(await read(file)),
    floats: async (file) => {
      const bytes = await read(file);
      return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Runs the converter on the case's files; the manifest it wrote. */
export async function convert(made: ParityCase, files: readonly string[] = made.reference.files): Promise<ModelManifest> {
  const out = join(made.modelsDir, made.reference.id);
  await run(pythonPath(), [join(root, "models/convert", made.reference.script), ...made.reference.first, ...files.map((file) => join(made.folder, file)), "--out", out], {
    env: { ...process.env, EVOKED_NODE: process.execPath, PYTHONWARNINGS: "ignore", PYTHONDONTWRITEBYTECODE: "1" },
  });
  return unwrap(parseManifest(await readFile(join(out, "manifest.json"), "utf8"), out));
}

/** What the converter said on standard error when it refused the file, and its exit code. */
export async function refusalOf(made: ParityCase, file: string): Promise<{ readonly code: number; readonly words: string }> {
  try {
    await convert(made, [file]);
    return { code: 0, words: "" };
  } catch (error) {
    const found = z.object({ code: z.number(), stderr: z.string() }).parse(error);
    return { code: found.code, words: found.stderr.trim() };
  }
}

/** Largest difference as a share of the largest expected value. */
export function shareOf(expected: ArrayLike<number>, got: ArrayLike<number>): number {
  if (expected.length !== got.length) return Infinity;
  let largest = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const gap = Math.abs((expected[i] ?? 0) - (got[i] ?? 0));
    if (Number.isNaN(gap)) return Infinity;
    largest = Math.max(largest, gap);
    scale = Math.max(scale, Math.abs(expected[i] ?? 0));
  }
  return largest / scale;
}
