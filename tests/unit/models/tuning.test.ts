import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";

import type { ModelSession, SessionMaker } from "../../../src/models/providers.ts";
import { createRuntime } from "../../../src/models/runtime.ts";
import type { ModelsNotice } from "../../../src/models/runtime.ts";
import { chooseBatch, measureBudget, openTuningStore } from "../../../src/models/tuning.ts";
import type { TuneOptions } from "../../../src/models/tuning.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aGeneratorManifestFor, aLinearGeneratorFile, aManifestFor, aModelsDir, aTinyEncoderFile } from "./tinyModels.ts";

/** A machine whose runs take `fixedMs + perItemMs * batch` and hold `bytesPerItem` each. */
function choose(machine: { readonly fixedMs: number; readonly perItemMs: number; readonly bytesPerItem?: number; readonly failsFrom?: number }, changes: Partial<TuneOptions> = {}) {
  let clockMs = 0;
  let largest = 0;
  const runs: number[] = [];
  const result = chooseBatch({
    batchMax: 64, budgetBytes: 1e12, timeMaxMs: 1e9, now: () => clockMs, rssBytes: () => largest * (machine.bytesPerItem ?? 0),
    run: async (batch) => {
      runs.push(batch);
      if (machine.failsFrom !== undefined && batch >= machine.failsFrom) return false;
      clockMs += machine.fixedMs + machine.perItemMs * batch;
      largest = Math.max(largest, batch);
      return true;
    },
    ...changes,
  });
  return result.then((tuning) => ({ tuning, runs, spentMs: clockMs }));
}

describe("the batch size", () => {
  it("is small where larger batches save nothing", async () => {
    expect((await choose({ fixedMs: 0, perItemMs: 10 })).tuning.batch).toBe(2);
  });
  it("is large where a run costs much and an item little", async () => {
    expect((await choose({ fixedMs: 100, perItemMs: 0.1 })).tuning.batch).toBe(64);
  });
  it("is the smallest one within 5 % of the best", async () => {
    // ms per item at 2, 4, 8, ... 64: 25, 22.5, 21.25, 20.63, 20.31, 20.16.
    expect((await choose({ fixedMs: 10, perItemMs: 20 })).tuning.batch).toBe(16);
  });
  it("stays within the memory budget", async () => {
    const { tuning, runs } = await choose({ fixedMs: 100, perItemMs: 0.1, bytesPerItem: 10e6 }, { budgetBytes: 100e6 });
    expect(Math.max(...runs)).toBe(8);
    expect(tuning).toMatchObject({ batch: 8, budgetBytes: 100e6 });
  });
  it("is found within the time it may take, however slow the model", async () => {
    const { tuning, spentMs } = await choose({ fixedMs: 0, perItemMs: 200 }, { timeMaxMs: 3000 });
    expect(spentMs).toBeLessThanOrEqual(3000);
    expect(tuning.msPerItem).toBe(200);
  });
  it("is the last that worked where memory runs out on the way", async () => {
    const { tuning } = await choose({ fixedMs: 100, perItemMs: 0.1, failsFrom: 16 });
    expect(tuning).toMatchObject({ batch: 8, halved: true });
  });
  it("may take a quarter of the free memory, and never less than 256 MB", () => {
    expect(measureBudget(8e9)).toBe(2e9);
    expect(measureBudget(1e8)).toBe(256e6);
  });
});

describe("the settings file", () => {
  it("keeps measurements for the next start and starts anew where it does not read", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evoked-tuning-"));
    const path = join(dir, "sub", "settings.json");
    const value = { batch: 8, msPerItem: 2.5, bytesPerItem: 1e6, budgetBytes: 1e9, halved: false };
    const store = await openTuningStore(path);
    await Promise.all([store.save("a", value), store.save("b", { ...value, batch: 4 })]);
    expect((await openTuningStore(path)).find("a")).toEqual(value);
    expect((await openTuningStore(path)).find("b")?.batch).toBe(4);
    await writeFile(path, "{ broken");
    expect((await openTuningStore(path)).find("a")).toBeNull();
    await writeFile(path, JSON.stringify({ version: 1, budgetMB: 300 }));
    expect((await openTuningStore(path)).budgetBytes()).toBe(300e6);
    await rm(dir, { recursive: true });
  });
});

/** Sessions that fail for lack of memory from a batch size on; an encoder's take 5 ms an image. */
function aSmallMachine(failsFrom: number) {
  const sizes: number[] = [];
  let limit = failsFrom;
  const sessionMaker: SessionMaker = {
    providers: () => ["cpu"],
    async create(): Promise<ModelSession> {
      return {
        async run(feeds) {
          const pictures = feeds["evoked_pixels"];
          const input = feeds["m/latent"] ?? pictures;
          if (input === undefined) throw new Error("expected latents or pictures");
          const count = input.dims[0] ?? 0;
          sizes.push(count);
          if (pictures !== undefined) {
            await new Promise((resolve) => setTimeout(resolve, 5 * count));
            return { "m/features": new Tensor("float32", new Float32Array(count * 192), [count, 3, 8, 8]) };
          }
          if (count >= limit) throw new Error("std::bad_alloc");
          const pixels = new Uint8Array(count * 4 * 4 * 3);
          for (let i = 0; i < count; i++) pixels.fill(Number(input.data[i * 4]), i * 48, (i + 1) * 48);
          return { evoked_pixels: new Tensor("uint8", pixels, [count, 4, 4, 3]) };
        },
        release: () => Promise.resolve(),
      };
    },
  };
  return { sessionMaker, sizes, shrink: (to: number) => (limit = to) };
}

async function aRuntime(failsFrom: number, settingsFile: string | null = null) {
  const file = aLinearGeneratorFile(4, 4, new Float32Array(4 * 48));
  const { dir, remove } = await aModelsDir(file, aGeneratorManifestFor(file, 4, 4));
  const machine = aSmallMachine(failsFrom);
  const notices: ModelsNotice[] = [];
  const runtime = createRuntime([dir], { provider: "auto", threads: 1, batchMax: 32, banned: new Map(), settingsFile, measureAnew: false }, { onNotice: (notice) => notices.push(notice), sessionMaker: machine.sessionMaker });
  return { runtime, notices, dir, remove, ...machine };
}

const latents = (count: number) => ({ count, dim: 4, data: Float32Array.from({ length: count * 4 }, (_, i) => Math.floor(i / 4)) });

describe("a model that runs out of memory", () => {
  it("goes on with half the batch, says so, and loses no image and no order", async () => {
    const { runtime, notices, sizes, remove } = await aRuntime(12);
    const images = unwrap(await runtime.decode("tiny", latents(40)));
    for (let i = 0; i < 40; i++) expect(images.data[i * 48]).toBe(i);
    expect(notices.filter((notice) => notice.kind === "batchHalved").map((notice) => notice.message)).toEqual([
      "Memory ran out at 32 images at once; tiny goes on with 16.", "Memory ran out at 16 images at once; tiny goes on with 8.",
    ]);
    sizes.length = 0;
    await runtime.decode("tiny", latents(40));
    expect(sizes).toEqual([8, 8, 8, 8, 8]);
    await remove();
  });
  it("remembers it for the next start", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evoked-tuning-"));
    const settingsFile = join(dir, "settings.json");
    const first = await aRuntime(1000, settingsFile);
    unwrap(await first.runtime.open("tiny", "generator"));
    const tuned = first.sizes.length;
    expect(tuned).toBeGreaterThan(4);
    first.shrink(3);
    unwrap(await first.runtime.decode("tiny", latents(40)));
    expect(await readFile(settingsFile, "utf8")).toMatch(/"batch": 2,[^}]*"halved": true/);
    await first.remove();
    const second = await aRuntime(3, settingsFile);
    const opened = unwrap(await second.runtime.open("tiny", "generator"));
    expect(opened).toMatchObject({ batch: 2, tuning: { halved: true } });
    unwrap(await second.runtime.decode("tiny", latents(6)));
    expect(second.notices).toEqual([]);
    await second.remove();
    await rm(dir, { recursive: true });
  });
  it("ends with a sentence when not even two images fit", async () => {
    const { runtime, shrink, remove } = await aRuntime(1000);
    unwrap(await runtime.open("tiny", "generator"));
    shrink(2);
    expect(await runtime.decode("tiny", latents(5))).toMatchObject({ ok: false, error: { code: "outOfMemory", message: expect.stringMatching(/even two images/) } });
    await remove();
  });
});

describe("work beside a running session", () => {
  it("goes in pieces that let a decode in soon, and in full batches where there is none", async () => {
    const { runtime, sizes, dir, remove } = await aRuntime(1000);
    const file = aTinyEncoderFile();
    await mkdir(join(dir, "seer"));
    await writeFile(join(dir, "seer", "tiny.onnx"), file);
    await writeFile(join(dir, "seer", "manifest.json"), JSON.stringify(aManifestFor(file, { id: "seer" })));
    await runtime.refresh();
    const pictures = { count: 32, width: 8, height: 8, data: new Uint8Array(32 * 192) };
    unwrap(await runtime.features("seer", pictures, ["features"]));
    expect(Math.max(...sizes)).toBe(32);
    unwrap(await runtime.decode("tiny", latents(32)));
    sizes.length = 0;
    unwrap(await runtime.features("seer", pictures, ["features"]));
    // 40 ms at 5 ms an image and some more for the timer.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
    sizes.length = 0;
    unwrap(await runtime.decode("tiny", latents(32)));
    expect(sizes).toEqual([32]);
    await remove();
  });
});

describe("the execution provider that the user chose", () => {
  it("is used from the next opening on, kept for the next start, and passed over on a machine that has it not", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evoked-provider-"));
    const settingsFile = join(dir, "settings.json");
    const on = async (present: readonly ("webgpu" | "cpu")[]) => {
      const file = aLinearGeneratorFile(4, 4, new Float32Array(4 * 48));
      const { dir: models, remove } = await aModelsDir(file, aGeneratorManifestFor(file, 4, 4));
      const { sessionMaker } = aSmallMachine(1000);
      const runtime = createRuntime([models], { provider: "auto", threads: 1, batchMax: 32, banned: new Map(), settingsFile, measureAnew: false }, { onNotice: () => undefined, sessionMaker: { ...sessionMaker, providers: () => present } });
      return { runtime, remove, providerOf: async () => unwrap(await runtime.open("tiny", "generator")).identity.provider };
    };
    const first = await on(["webgpu", "cpu"]);
    unwrap(await first.runtime.choose("cpu"));
    expect(await first.providerOf()).toBe("cpu");
    unwrap(await first.runtime.choose("webgpu"));
    expect(await first.providerOf()).toBe("webgpu");
    expect(await first.runtime.choose("cuda")).toMatchObject({ ok: false, error: { code: "providerUnknown" } });
    await first.remove();
    const second = await on(["webgpu", "cpu"]);
    expect(await second.runtime.providers()).toEqual({ present: ["webgpu", "cpu"], chosen: "webgpu" });
    expect(await second.providerOf()).toBe("webgpu");
    await second.remove();
    const third = await on(["cpu"]);
    expect(await third.runtime.providers()).toEqual({ present: ["cpu"], chosen: "auto" });
    expect(await third.providerOf()).toBe("cpu");
    await third.remove();
    await rm(dir, { recursive: true });
  });
});
