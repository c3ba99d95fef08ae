// An ablation sweep on the built-in models (1 unit, 21 conditions, 5 runs, 100 generations), beside the plain way: one image at a time through
// both networks with the pixels in JavaScript. Prints one JSON line. Usage: node bench/insilico.ts [population] [runs] [workers] [generator]
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { createFeaturePool } from "../src/engine/insilico/pool.ts";
import { defaultSweep, runSweep } from "../src/engine/insilico/sweep.ts";
import type { SweepStore } from "../src/engine/insilico/sweep.ts";
import { readClassUnits } from "../src/engine/insilico/units.ts";
import { unwrap } from "../src/shared/result.ts";
import { createRng } from "../src/shared/rng.ts";

const population = Number(process.argv[2] ?? 8);
const runs = Number(process.argv[3] ?? 5);
const workers = Number(process.argv[4] ?? Math.min(2, availableParallelism()));
/** shapes-g2 (96 px) is the one for experiments on networks, shapes-g1 (160 px) the one whose images are shown to an animal. */
const generatorId = process.argv[5] ?? "shapes-g2";
const { dim, side } = { "shapes-g1": { dim: 64, side: 160 }, "shapes-g2": { dim: 65, side: 96 } }[generatorId] ?? fail();
const modelsDir = fileURLToPath(new URL("../models", import.meta.url));
const plainImages = 60;

function fail(): never {
  throw new Error(`expected shapes-g1 or shapes-g2, got ${generatorId}`);
}

/** What a script would do: one session a model, one image at a time, pixels read out, rounded and averaged down in JavaScript. */
async function timePlain(): Promise<number> {
  const threads = { intraOpNumThreads: workers };
  const generator = await InferenceSession.create(new Uint8Array(readFileSync(`${modelsDir}/${generatorId}/${generatorId}.onnx`)), threads);
  const encoder = await InferenceSession.create(new Uint8Array(readFileSync(`${modelsDir}/shapes-relu/shapes-relu.onnx`)), threads);
  const latents = new Float32Array(plainImages * dim);
  createRng("plain").fillGaussian(latents);
  const small = new Float32Array(3 * 64 * 64);
  const one = async (i: number): Promise<void> => {
    const { image } = await generator.run({ latent: new Tensor("float32", latents.slice(i * dim, (i + 1) * dim), [1, dim]) }, ["image"]);
    const values = image?.data;
    if (!(values instanceof Float32Array)) throw new Error("expected floats from the generator");
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < 64; y++) {
        for (let x = 0; x < 64; x++) {
          let sum = 0;
          for (let dy = 0; dy < 3; dy++) for (let dx = 0; dx < 3; dx++) sum += Math.round(255 * (values[(c * side + Math.min(side - 1, Math.floor((y * side) / 64) + dy)) * side + Math.min(side - 1, Math.floor((x * side) / 64) + dx)] ?? 0));
          small[c * 4096 + y * 64 + x] = (sum / 9 / 255 - 0.5) / 0.25;
        }
      }
    }
    await encoder.run({ image: new Tensor("float32", small, [1, 3, 64, 64]) }, ["penultimate"]);
  };
  for (let i = 0; i < 5; i++) await one(i);
  const started = performance.now();
  for (let i = 0; i < plainImages; i++) await one(i);
  const perImageMs = (performance.now() - started) / plainImages;
  await generator.release();
  await encoder.release();
  return perImageMs;
}

const before = await timePlain();
const [unit] = unwrap(await readClassUnits([modelsDir], "shapes-relu", ["star"]));
if (unit === undefined) throw new Error("expected the unit star");
const pool = unwrap(await createFeaturePool({ modelFolders: [modelsDir], provider: "cpu", workers }));
const store: SweepStore = { finished: () => [], finish: async () => undefined, checkpoint: async () => null, keep: async () => undefined };
const activations: number[] = [];
let scored = 0;
const started = performance.now();
unwrap(
  await runSweep({
    units: [unit], pool, store,
    settings: { ...defaultSweep, generators: [generatorId], runs, population },
    onProgress: (progress) => (scored = progress.scored),
    onGroup: (_group, results) => activations.push(results[0]?.activation ?? Number.NaN),
  }),
);
const seconds = (performance.now() - started) / 1000;
await pool.close();
const after = await timePlain();
const plainMs = Math.min(before, after);
const round = (value: number, digits = 2): number => Number(value.toFixed(digits));
console.log(
  JSON.stringify({
    bench: "insilico", generator: generatorId, units: 1, conditions: 21, runs, generations: 100, population, workers, scored, evaluated: pool.evaluated, seconds: round(seconds, 1),
    msPerScoredImage: round((1000 * seconds) / scored, 3), plainMsPerImage: round(plainMs, 3), plainSeconds: round((plainMs * scored) / 1000, 1), ratio: round((plainMs * scored) / 1000 / seconds),
    controlActivation: activations.map((value) => round(value)), loadAverage: loadavg().map((value) => round(value, 1)),
  }),
);
