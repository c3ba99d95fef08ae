// DeePSiM and AlexNet (random weights) on the CPU three ways: the app's models, a plain onnxruntime-node loop at batch 1 with the pixels in
// JavaScript, and PyTorch. The three take turns in short rounds, so that other programs slow all of them alike; the figures are ratios of
// medians. Prints one JSON line.  Usage: node bench/models-vs.ts [rounds 7] [images 24] [threads 2]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { InferenceSession, Tensor } from "onnxruntime-node";

import { startModels } from "../src/models/client.ts";
import { findPython } from "../src/models/importing.ts";
import { unwrap } from "../src/shared/result.ts";
import { createRng } from "../src/shared/rng.ts";
import { ensureRandomModels, randomModelsDir, repository } from "./modelsRandom.ts";
import { median } from "./modelsTiming.ts";

type Network = "deepsim" | "alexnet";

/** A program that runs a round for every line it is given. */
interface Runner {
  round(): Promise<number>;
  /** Growth of memory over the rounds and peak, MB. */
  end(): Promise<{ readonly grownMB: number; readonly peakMB: number }>;
}

const role = process.argv[2];
if (role === "app" || role === "plain") await serve(role, process.argv[3] === "deepsim" ? "deepsim" : "alexnet", Number(process.argv[4]), Number(process.argv[5]));
else await compareAll(Number(process.argv[2] ?? 7), Number(process.argv[3] ?? 24), Number(process.argv[4] ?? 2));

async function compareAll(rounds: number, count: number, threads: number): Promise<void> {
  await ensureRandomModels(["deepsim-fc6", "alexnet"]);
  const python = unwrap(await findPython());
  const self = join(repository, "bench", "models-vs.ts");
  const out: Record<string, number | string> = {};
  for (const network of ["deepsim", "alexnet"] as const) {
    const sizes = [String(count), String(threads)];
    const ways: Record<string, Runner> = {
      app: await start(process.execPath, [self, "app", network, ...sizes]),
      plain: await start(process.execPath, [self, "plain", network, ...sizes]),
      torch: await start(python, [join(repository, "bench", "models_torch.py"), network, String(count), String(count), String(threads)]),
      torch1: await start(python, [join(repository, "bench", "models_torch.py"), network, String(count), "1", String(threads)]),
    };
    const times: Record<string, number[]> = {};
    for (let i = 0; i < rounds; i++) for (const [name, runner] of Object.entries(ways)) (times[name] ??= []).push((await runner.round()) / count);
    const ms = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, median(values)]));
    for (const [name, value] of Object.entries(ms)) out[`${network}.${name}MsPerImage`] = Number(value.toFixed(2));
    for (const name of ["plain", "torch", "torch1"]) out[`${network}.timesFasterThan.${name}`] = Number(((ms[name] ?? Number.NaN) / (ms["app"] ?? Number.NaN)).toFixed(2));
    for (const [name, runner] of Object.entries(ways)) {
      const { grownMB, peakMB } = await runner.end();
      out[`${network}.${name}.grownMBPerImage`] = Number((grownMB / count).toFixed(2));
      out[`${network}.${name}.peakMB`] = Math.round(peakMB);
    }
  }
  console.log(JSON.stringify({ bench: "models-vs", rounds, images: count, threads, ...out, load: Number((loadavg()[0] ?? 0).toFixed(1)) }));
}

async function start(program: string, args: readonly string[]): Promise<Runner> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: child.stdout });
  const next = async (): Promise<string> => String((await once(lines, "line"))[0]);
  if ((await next()) !== "ready") throw new Error(`expected ${args.join(" ")} to be ready`);
  return {
    async round() {
      const answer = next();
      child.stdin.write("go\n");
      return Number(await answer);
    },
    async end() {
      const answer = next();
      child.stdin.write("end\n");
      const [grownMB = 0, peakMB = 0] = (await answer).split(" ").map(Number);
      return { grownMB, peakMB };
    },
  };
}

function makePictures(count: number): Uint8Array {
  const rng = createRng("pictures");
  return Uint8Array.from({ length: count * 256 * 256 * 3 }, () => rng.int(256));
}

async function serve(way: "app" | "plain", network: Network, count: number, threads: number): Promise<void> {
  const latents = new Float32Array(count * 4096);
  createRng("bench").fillGaussian(latents);
  const pictures = network === "alexnet" ? makePictures(count) : new Uint8Array();
  const run = way === "app" ? await openApp(network, count, threads, latents, pictures) : await openPlain(network, count, threads, latents, pictures);
  const before = process.memoryUsage.rss();
  let peak = before;
  await run();
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "end") break;
    const startMs = performance.now();
    await run();
    process.stdout.write(`${performance.now() - startMs}\n`);
    peak = Math.max(peak, process.memoryUsage.rss());
  }
  process.stdout.write(`${(peak - before) / 1e6} ${process.resourceUsage().maxRSS / 1024}\n`);
  process.exit(0);
}

/** In one process, so that memory is counted as for the other ways. */
async function openApp(network: Network, count: number, threads: number, latents: Float32Array, pictures: Uint8Array): Promise<() => Promise<unknown>> {
  const models = unwrap(await startModels({ modelsDirs: [randomModelsDir], provider: "cpu", threads, inProcess: true, batchMax: 8 }));
  if (network === "deepsim") {
    const generator = unwrap(await models.generator("deepsim-fc6"));
    return () => generator.decode({ count, dim: 4096, data: latents });
  }
  const encoder = unwrap(await models.encoder("alexnet"));
  return () => encoder.features({ count, width: 256, height: 256, data: pictures }, ["penultimate"]);
}

async function openPlain(network: Network, count: number, threads: number, latents: Float32Array, pictures: Uint8Array): Promise<() => Promise<unknown>> {
  const id = network === "deepsim" ? "deepsim-fc6" : "alexnet";
  const session = await InferenceSession.create(new Uint8Array(readFileSync(join(randomModelsDir, id, `${id}.onnx`))), { intraOpNumThreads: threads });
  if (network === "deepsim") {
    return async () => {
      for (let i = 0; i < count; i++) {
        const { image } = await session.run({ latent: new Tensor("float32", latents.slice(i * 4096, (i + 1) * 4096), [1, 4096]) }, ["image"]);
        const values = image?.data;
        if (!(values instanceof Float32Array)) throw new Error("expected floats");
        const out = new Uint8Array(65536 * 3);
        const mean = [123, 117, 104];
        for (let p = 0; p < 65536; p++) for (let c = 0; c < 3; c++) out[p * 3 + c] = Math.max(0, Math.min(255, Math.round((values[(2 - c) * 65536 + p] ?? 0) + (mean[c] ?? 0))));
      }
    };
  }
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  return async () => {
    for (let i = 0; i < count; i++) {
      const input = new Float32Array(3 * 224 * 224);
      for (let c = 0; c < 3; c++)
        for (let y = 0; y < 224; y++)
          for (let x = 0; x < 224; x++) input[(c * 224 + y) * 224 + x] = ((pictures[((i * 256 + y + 16) * 256 + x + 16) * 3 + c] ?? 0) / 255 - (mean[c] ?? 0)) / (std[c] ?? 1);
      await session.run({ image: new Tensor("float32", input, [1, 3, 224, 224]) }, ["penultimate"]);
    }
  };
}
