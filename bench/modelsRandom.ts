// The published architectures at random weights for the model benches, made once into .cache by the converters. Knows nothing about timing.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { findPython } from "../src/models/importing.ts";
import { unwrap } from "../src/shared/result.ts";

export const repository = fileURLToPath(new URL("..", import.meta.url));
export const randomModelsDir = join(repository, ".cache", "models");

const makers = {
  "deepsim-fc6": { reference: "deepsim:pytorch", script: "deepsim_fc6.py", files: ["upconvGAN_fc6.pt"], first: [] },
  alexnet: { reference: "classifier:alexnet", script: "imagenet_classifier.py", files: ["alexnet.pth"], first: ["alexnet"] },
} as const;

export type RandomModel = keyof typeof makers;

/** Makes the models that are not there yet. Throws a FaultError where there is no Python with torch. */
export async function ensureRandomModels(ids: readonly RandomModel[]): Promise<void> {
  for (const id of ids) {
    const out = join(randomModelsDir, id);
    if (existsSync(join(out, "manifest.json"))) continue;
    const python = unwrap(await findPython());
    const { reference, script, files, first } = makers[id];
    const folder = await mkdtemp(join(tmpdir(), "evoked-bench-"));
    const env = { ...process.env, EVOKED_NODE: process.execPath, PYTHONWARNINGS: "ignore", PYTHONDONTWRITEBYTECODE: "1" };
    execFileSync(python, [join(repository, "tests/parity/random_weights.py"), reference, folder], { env });
    execFileSync(python, [join(repository, "models/convert", script), ...first, ...files.map((file) => join(folder, file)), "--out", out], { env, stdio: "ignore" });
    await rm(folder, { recursive: true });
  }
}
