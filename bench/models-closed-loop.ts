// Closed loop in real time at 4 images/s with DeePSiM's architecture on the CPU (random weights), whole engine included: from the end of a
// generation's last response window to the first decoded image of the next, part by part, and whether any image came late or was missing.
// Prints one JSON line. Usage: node bench/models-closed-loop.ts [generations 8] [population 40] [threads 2] [provider cpu, "auto" for the best of
// the machine] [rig "default" for the synthetic rig as it is, "fast" for batches of 5 ms that arrive 3 ms late]
import { mkdtemp, rm } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";

import { openLiveSession } from "../src/engine/liveSession.ts";
import { builtInModels } from "../src/engine/paths.ts";
import { createRealClock } from "../src/engine/realClock.ts";
import { createTimedDisplay } from "../src/engine/timedDisplay.ts";
import { startModels } from "../src/models/client.ts";
import { sessionConfig } from "../src/shared/contract/index.ts";
import type { PartsGenerator } from "../src/shared/ports.ts";
import { ok, unwrap } from "../src/shared/result.ts";
import type { Fault, Result } from "../src/shared/result.ts";
import { syntheticRigOptionsSchema } from "../src/acquisition/synthetic/options.ts";
import { ensureRandomModels, randomModelsDir } from "./modelsRandom.ts";
import { median } from "./modelsTiming.ts";

const [generations = 8, population = 40, threads = 2] = process.argv.slice(2).map(Number);
await ensureRandomModels(["deepsim-fc6"]);
const folder = await mkdtemp(join(tmpdir(), "evoked-loop-"));
const load = [Number((loadavg()[0] ?? 0).toFixed(1))];
const models = unwrap(await startModels({ modelsDirs: [builtInModels, randomModelsDir], provider: process.argv[5] ?? "cpu", threads }));

const rigWord = process.argv[6] ?? "default";
const rigs = { default: {}, fast: { batchMs: 5, delayMs: 3, eye: { batchMs: 5, delayMs: 3 } } };
if (rigWord !== "default" && rigWord !== "fast") throw new Error(`expected the rig "default" or "fast", got "${rigWord}"`);
const acquisition = syntheticRigOptionsSchema.parse(rigs[rigWord]);
const config = sessionConfig.parse({
  seed: 3, rig: { kind: "synthetic", options: rigs[rigWord] }, display: { kind: "timed" },
  evolution: { generations, tuningRepeats: 0, referencesPerGeneration: 8, threads: [{ generator: "deepsim-fc6", populationSize: population, target: 3 }] },
});
const clock = createRealClock();
const end = Promise.withResolvers<string>();
/** Times on the host clock, ms, by generation. */
const windowEndMs = new Map<number, number>();
/** The batch of spikes, and the one of eye samples, that let the last response be counted. */
const spikesMs = new Map<number, number>();
const settledMs = new Map<number, number>();
const decodeAskedMs = new Map<number, number>();
const toldMs = new Map<number, number>();
const firstImageMs = new Map<number, number>();
const lastImageMs = new Map<number, number>();
const firstShownMs = new Map<number, number>();
const shownGenerations = new Map<number, number>();
const trials: Record<string, number> = {};
const decodeCallsMs: number[] = [];
let lastOnsetMs = 0;
let lastSpikesMs = 0;
let lastSettledMs = 0;
let told = -1;
let presentations = 0;
let excluded = 0;
const nowMs = (): number => clock.now() / 1e6;

/** Notes when the next generation's first decode is asked for, and how long the call takes. */
function watchDecoding(generator: PartsGenerator): Result<PartsGenerator, Fault> {
  return ok({
    ...generator,
    async decode(latents) {
      const from = nowMs();
      const first = !decodeAskedMs.has(told + 1);
      if (first) decodeAskedMs.set(told + 1, from);
      const images = await generator.decode(latents);
      if (first) decodeCallsMs.push(nowMs() - from);
      return images;
    },
  });
}

const session = unwrap(
  await openLiveSession({
    config, clock, sessionFolder: folder, hostKind: "cli", display: createTimedDisplay({ clock }),
    models: { ...models, generator: async (id) => watchDecoding(unwrap(await models.generator(id))) },
    onRecord: (body, hostNs) => {
      if (body.kind === "spikes") lastSpikesMs = nowMs();
      if (body.kind !== "image" || body.imageKind !== "evolved" || body.generation === null) return;
      if (!firstImageMs.has(body.generation)) firstImageMs.set(body.generation, hostNs / 1e6);
      lastImageMs.set(body.generation, hostNs / 1e6);
      shownGenerations.set(body.imageId, body.generation);
    },
    listener: {
      screen: (imageId) => {
        if (imageId === null) return;
        lastOnsetMs = nowMs();
        const generation = shownGenerations.get(imageId);
        if (generation !== undefined && !firstShownMs.has(generation)) firstShownMs.set(generation, lastOnsetMs);
      },
      presentation: (p) => {
        presentations++;
        lastSettledMs = nowMs();
        if (p.excluded !== null) excluded++;
      },
      trial: (outcome) => {
        trials[outcome] = (trials[outcome] ?? 0) + 1;
      },
      generation: (g) => {
        windowEndMs.set(g.generation, lastOnsetMs + config.response.windowEndMs);
        spikesMs.set(g.generation, lastSpikesMs);
        settledMs.set(g.generation, lastSettledMs);
        toldMs.set(g.generation, nowMs());
        told = g.generation;
      },
      ended: (reason, message) => end.resolve(`${reason}: ${message}`),
    },
  }),
);
await session.loop.start();
const reason = await end.promise;
const { lateFrames } = session.loop.status;
await session.close();
await models.close();
await rm(folder, { recursive: true });
load.push(Number((loadavg()[0] ?? 0).toFixed(1)));

function gaps(from: ReadonlyMap<number, number>, to: ReadonlyMap<number, number>, shift: number): number[] {
  return [...from].flatMap(([generation, atMs]) => {
    const next = to.get(generation + shift);
    return next === undefined ? [] : [next - atMs];
  });
}

// Generation 0 of cholesky-cma is the start code alone; the first full population is decoded after it.
const toFirstImage = gaps(windowEndMs, firstImageMs, 1);
const round = (value: number): number => Number(value.toFixed(1));
const parts = {
  // What the rig's own settings make of it: photodiode behind the flip, half a batch on average, the age of the data.
  rigExpected: acquisition.displayLagMs + acquisition.batchMs / 2 + acquisition.delayMs,
  windowToSpikes: median(gaps(windowEndMs, spikesMs, 0)), spikesToSettled: median(gaps(spikesMs, settledMs, 0)), settledToTold: median(gaps(settledMs, toldMs, 0)),
  toldToDecodeAsked: median(gaps(toldMs, decodeAskedMs, 1)), decodeAskedToFirstImage: median(gaps(decodeAskedMs, firstImageMs, 0)),
};
console.log(
  JSON.stringify({
    bench: "models-closed-loop", generations, population, threads, rig: rigWord, acquisition: { batchMs: acquisition.batchMs, delayMs: acquisition.delayMs, displayLagMs: acquisition.displayLagMs, eye: acquisition.eye.batchMs }, end: reason, presentations, excluded, trials, lateFrames, missingImages: trials["displayFault"] ?? 0,
    windowToFirstImageMs: { median: round(median(toFirstImage)), max: round(Math.max(...toFirstImage)), all: toFirstImage.map(round) },
    partsMs: Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, round(value)])),
    decodeAllMs: round(median(gaps(toldMs, lastImageMs, 1))), windowToFirstOnsetMs: round(median(gaps(windowEndMs, firstShownMs, 1))), loadBefore: load[0], loadAfter: load[1],
  }),
);
