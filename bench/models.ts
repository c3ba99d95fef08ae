// Built-in models: time of an image in this process, in the models process, and in a plain ONNX Runtime loop at batch 1.
// Prints one JSON line. Usage: node bench/models.ts [threads]
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { InferenceSession, Tensor } from "onnxruntime-node";

import { startModels } from "../src/models/client.ts";
import { unwrap } from "../src/shared/result.ts";
import { createRng } from "../src/shared/rng.ts";
import { timeMs } from "./modelsTiming.ts";

const modelsDir = fileURLToPath(new URL("../models", import.meta.url));
const threads = Number(process.argv[2] ?? 2);
const count = 40;
const latents = new Float32Array(count * 64);
createRng("bench").fillGaussian(latents);
const batch = { count, dim: 64, data: latents };

const figures: Record<string, number> = {};

for (const inProcess of [true, false]) {
  const where = inProcess ? "here" : "process";
  const models = unwrap(await startModels({ modelsDirs: [modelsDir], provider: "cpu", threads, inProcess }));
  const generator = unwrap(await models.generator("shapes-g1"));
  const encoder = unwrap(await models.encoder("shapes-relu"));
  const joined = unwrap(await models.latentEncoder("shapes-g1", "shapes-relu"));
  const images = await generator.decode(batch);
  figures[`decodeMsPerImage.${where}`] = (await timeMs(() => generator.decode(batch), 9)) / count;
  figures[`featuresMsPerImage.${where}`] = (await timeMs(() => encoder.features(images, ["conv2", "conv3", "penultimate", "logits"]), 9)) / count;
  figures[`fusedMsPerImage.${where}`] = (await timeMs(() => joined.features(batch, ["logits"]), 9)) / count;
  figures[`firstPairMs.${where}`] = await timeMs(() => generator.decode({ count: 2, dim: 64, data: latents.slice(0, 128) }), 25);
  figures[`emptyCallMs.${where}`] = await timeMs(() => generator.decode({ count: 0, dim: 64, data: new Float32Array() }), 50);
  await models.close();
}

// The plain way: one session a model, one image at a time, pixels converted in JavaScript.
const g = await InferenceSession.create(`${modelsDir}/shapes-g1/shapes-g1.onnx`, { intraOpNumThreads: threads });
const e = await InferenceSession.create(new Uint8Array(readFileSync(`${modelsDir}/shapes-relu/shapes-relu.onnx`)), { intraOpNumThreads: threads });
async function plainDecode(): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { image } = await g.run({ latent: new Tensor("float32", latents.slice(i * 64, (i + 1) * 64), [1, 64]) }, ["image"]);
    const values = image?.data;
    if (!(values instanceof Float32Array)) throw new Error("expected floats");
    const out = new Uint8Array(160 * 160 * 3);
    for (let p = 0; p < 25600; p++) for (let c = 0; c < 3; c++) out[p * 3 + c] = Math.round(255 * (values[c * 25600 + p] ?? 0));
  }
}
const tensor = new Tensor("float32", new Float32Array(3 * 64 * 64), [1, 3, 64, 64]);
async function plainFeatures(): Promise<void> {
  for (let i = 0; i < count; i++) await e.run({ image: tensor });
}
await plainDecode();
figures["decodeMsPerImage.plain"] = (await timeMs(plainDecode, 5)) / count;
await plainFeatures();
figures["featuresMsPerImage.plainWithoutResize"] = (await timeMs(plainFeatures, 5)) / count;

const rounded = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value.toFixed(3))]));
console.log(JSON.stringify({ bench: "models", threads, count, ...rounded }));
