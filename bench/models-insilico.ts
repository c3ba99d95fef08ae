// One in-silico visualisation at paper size: DeePSiM and AlexNet as one graph, one class unit, Cholesky CMA-ES, optimizer included.
// Random weights: the arithmetic is that of the published networks. Prints one JSON line.
// Usage: node bench/models-insilico.ts [generations 100] [population 40] [threads 2] [provider cpu, "auto" for the best of the machine]
import { loadavg } from "node:os";

import { createOptimizer } from "../src/evolve/index.ts";
import { startModels } from "../src/models/client.ts";
import { unwrap } from "../src/shared/result.ts";
import { ensureRandomModels, randomModelsDir } from "./modelsRandom.ts";

const [generations = 100, population = 40, threads = 2] = process.argv.slice(2).map(Number);
const unit = 373;

await ensureRandomModels(["deepsim-fc6", "alexnet"]);
const loadBefore = loadavg()[0] ?? 0;
// In this process, so that its processor time can be told from that of other programs.
const models = unwrap(await startModels({ modelsDirs: [randomModelsDir], provider: process.argv[5] ?? "cpu", threads, inProcess: true }));
const seer = unwrap(await models.latentEncoder("deepsim-fc6", "alexnet"));
const optimizer = unwrap(createOptimizer({ name: "cholesky-cma", dim: 4096, seed: 1, options: { population, stepSize: 3 } }));
const first = optimizer.ask();
await seer.features({ count: first.count, dim: 4096, data: first.data }, ["logits"]);

const startMs = performance.now();
const cpu = process.cpuUsage();
let optimizerMs = 0;
let images = 0;
const best: number[] = [];
for (let generation = 0; generation < generations; generation++) {
  const askedMs = performance.now();
  const { count, data } = optimizer.ask();
  optimizerMs += performance.now() - askedMs;
  const [logits] = await seer.features({ count, dim: 4096, data }, ["logits"]);
  const scores = Array.from({ length: count }, (_, i) => logits?.[i * 1000 + unit] ?? Number.NaN);
  best.push(Math.max(...scores));
  const toldMs = performance.now();
  unwrap(optimizer.tell(scores.map((score) => [score])));
  optimizerMs += performance.now() - toldMs;
  images += count;
}
const wallS = (performance.now() - startMs) / 1000;
const used = process.cpuUsage(cpu);
const cpuS = (used.user + used.system) / 1e6;
console.log(
  JSON.stringify({
    bench: "models-insilico", generations, population, images, threads, provider: seer.encoder.provider, fused: seer.fused,
    wallS: Number(wallS.toFixed(1)), cpuS: Number(cpuS.toFixed(1)), msPerImage: Number(((wallS * 1000) / images).toFixed(2)), cpuMsPerImage: Number(((cpuS * 1000) / images).toFixed(2)),
    optimizerShare: Number((optimizerMs / 1000 / wallS).toFixed(3)), activationFirst: Number((best[0] ?? 0).toFixed(2)), activationLast: Number((best.at(-1) ?? 0).toFixed(2)), rssMB: Math.round(process.memoryUsage.rss() / 1e6), loadBefore: Number(loadBefore.toFixed(1)), loadAfter: Number((loadavg()[0] ?? 0).toFixed(1)),
  }),
);
await models.close();
