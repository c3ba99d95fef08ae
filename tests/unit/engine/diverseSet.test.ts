// Building a diverse set from a real folder with the built-in networks: what is chosen, what is skipped, what survives a crash.
import { spawn } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildDiverseSet, readDiverseSet } from "../../../src/engine/diverseSet/build.ts";
import { openFeatureFile } from "../../../src/engine/diverseSet/featureFile.ts";
import { pngOfRgb } from "../../../src/engine/diverseSet/pool.ts";
import { loadReferences } from "../../../src/engine/references.ts";
import { builtInModels } from "../../../src/engine/paths.ts";
import { startModels } from "../../../src/models/client.ts";
import type { Models } from "../../../src/models/client.ts";
import { diverseSetArgs } from "../../../src/shared/contract/index.ts";
import type { MethodInput } from "../../../src/shared/contract/index.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { unwrap } from "../../../src/shared/result.ts";

const repository = join(import.meta.dirname, "..", "..", "..");
const root = await mkdtemp(join(tmpdir(), "evoked-diverse-"));
const pool = join(root, "pool");
let models: Models;
let computed = 0;

beforeAll(async () => {
  const started = unwrap(await startModels({ modelsDirs: [builtInModels], provider: "cpu", inProcess: true }));
  models = {
    ...started,
    async encoder(id) {
      const opened = unwrap(await started.encoder(id));
      return { ok: true, value: { ...opened, features: (images, layers) => {
        computed += images.count;
        return opened.features(images, layers);
      } } };
    },
  };
  // Four kinds of images, 12 of each, every one a little different: a set of four should take one of each kind.
  await mkdir(join(pool, "deeper"), { recursive: true });
  const rng = createRng("pool");
  for (let kind = 0; kind < 4; kind++) {
    for (let i = 0; i < 12; i++) {
      const rgb = new Uint8Array(48 * 48 * 3);
      for (let p = 0; p < 48 * 48; p++) {
        const stripes = kind % 2 === 0 ? Math.floor(p / 48) : p % 48;
        const value = (Math.floor(stripes / (kind < 2 ? 2 : 8)) % 2) * 200 + rng.int(20);
        rgb.set([value, kind < 2 ? value : 40, kind < 2 ? 40 : value], p * 3);
      }
      await writeFile(join(pool, i % 2 === 0 ? "" : "deeper", `kind${kind}-${i}.png`), await pngOfRgb(rgb, 48, 48));
    }
  }
  await writeFile(join(pool, "copy.png"), await readFile(join(pool, "kind0-0.png")));
  await writeFile(join(pool, "broken.png"), "this is no image");
  await writeFile(join(pool, "notes.txt"), "not an image, and not counted");
});

afterAll(async () => {
  await models.close();
  await rm(root, { recursive: true });
});

const build = (args: Partial<MethodInput<"diverseSet.build">> & { readonly out: string }, more: { readonly cache?: string; readonly signal?: AbortSignal; readonly gate?: () => Promise<void> } = {}) =>
  buildDiverseSet({ args: diverseSetArgs.parse({ images: pool, count: 4, ...args }), models, cacheFolder: join(root, more.cache ?? "cache"), command: "", ...more });

describe("a diverse set", () => {
  test("takes one image of every kind, counts what it cannot use, and is a folder that a session loads", async () => {
    const out = join(root, "four");
    const { manifest } = unwrap(await build({ out }));
    expect(new Set(manifest.images.map((i) => /kind\d|copy/.exec(i.source)?.[0].replace("copy", "kind0"))).size).toBe(4);
    expect(manifest).toMatchObject({ found: 50, duplicates: 1, unreadable: 1, used: 48 });
    expect(manifest.space).toMatchObject({ network: "shapes-relu", layer: "penultimate" });
    expect(manifest.coverage?.network).toBe("shapes-robust");
    expect(manifest.coverage?.meanDistance).toBeLessThan(manifest.coverage?.random.meanDistance ?? 0);
    const images = unwrap(await loadReferences(out, 64));
    expect(images.map((i) => i.label)).toEqual(manifest.images.map((i) => i.file));
    expect(await readdir(join(out, "report"))).toEqual(["images.csv", "plot.png", "plot.svg", "sheet.png", "unreadable.csv"]);
    expect(await readFile(join(out, "report", "unreadable.csv"), "utf8")).toContain("broken.png");
    expect(unwrap(await readDiverseSet(out))).toEqual(manifest);
  });

  test("is the same after a crash and after a stop, and computes only what was missing", async () => {
    const whole = unwrap(await build({ out: join(root, "whole"), coverage: "none" })).manifest;
    const stop = new AbortController();
    let pieces = 0;
    const stopped = await build({ out: join(root, "again"), coverage: "none" }, { cache: "crash", signal: stop.signal, gate: async () => {
      pieces += 1;
      if (pieces === 3) stop.abort();
    } });
    expect(stopped).toMatchObject({ ok: false, error: { code: "diverseStopped" } });
    const features = join(root, "crash", "features");
    const [model = ""] = await readdir(features);
    const [file = ""] = (await readdir(join(features, model))).filter((name) => name.endsWith(".features"));
    const path = join(features, model, file);
    // A crash in the middle of a record, and of a line.
    await truncate(path, (await readFile(path)).length - 100);
    const [notes = ""] = await readdir(join(root, "crash", "files"));
    await appendFile(join(root, "crash", "files", notes), '{"name":"kind3-1');
    computed = 0;
    const { manifest } = unwrap(await build({ out: join(root, "again"), coverage: "none" }, { cache: "crash" }));
    expect(computed).toBeGreaterThan(0);
    expect(computed).toBeLessThan(48);
    expect(manifest.images).toEqual(whole.images);
    computed = 0;
    unwrap(await build({ out: join(root, "other"), count: 8, coverage: "none" }, { cache: "crash" }));
    expect(computed).toBe(0);
  });

  test("is the same after kill -9 in the middle, and goes on with what was computed before it", async () => {
    const whole = unwrap(await build({ out: join(root, "not-killed"), coverage: "none" })).manifest;
    const out = join(root, "killed");
    // A build in a process of its own that is killed, at no moment of its choosing, when the second portion is asked for.
    const script = `
      import { buildDiverseSet } from ${JSON.stringify(join(repository, "src", "engine", "diverseSet", "build.ts"))};
      import { startModels } from ${JSON.stringify(join(repository, "src", "models", "client.ts"))};
      import { diverseSetArgs } from ${JSON.stringify(join(repository, "src", "shared", "contract", "index.ts"))};
      const models = (await startModels({ modelsDirs: [${JSON.stringify(builtInModels)}], provider: "cpu", inProcess: true })).value;
      let embedding = 0;
      await buildDiverseSet({
        models, cacheFolder: ${JSON.stringify(join(root, "kill"))}, command: "", args: diverseSetArgs.parse(${JSON.stringify({ images: pool, count: 4, coverage: "none", out })}),
        onProgress({ phase }) { if (phase === "embedding" && ++embedding === 2) process.kill(process.pid, "SIGKILL"); },
      });`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "--disable-warning=ExperimentalWarning", "-e", script], { stdio: "ignore" });
    const signal = await new Promise((resolve) => child.once("exit", (_code, by) => resolve(by)));
    expect(signal).toBe("SIGKILL");
    await expect(readdir(out)).rejects.toThrow("ENOENT");
    computed = 0;
    const { manifest } = unwrap(await build({ out, coverage: "none" }, { cache: "kill" }));
    // 50 files in portions of 32; one of the first is a copy or broken.
    expect(computed).toBeGreaterThan(0);
    expect(computed).toBeLessThanOrEqual(50 - 32);
    expect(manifest.images).toEqual(whole.images);
  }, 60_000);

  test("leaves a folder with other files alone, and replaces a set only when told to", async () => {
    expect(await build({ out: pool })).toMatchObject({ ok: false, error: { code: "diverseExists" } });
    const out = join(root, "replaced");
    unwrap(await build({ out, coverage: "none" }));
    expect(await build({ out, coverage: "none" })).toMatchObject({ ok: false, error: { code: "diverseExists" } });
    expect(unwrap(await build({ out, count: 6, coverage: "none", overwrite: true })).manifest.images.length).toBe(6);
    expect((await readdir(root)).filter((name) => name.startsWith("replaced"))).toEqual(["replaced"]);
  });

  test("asks for no more images than there are", async () => {
    expect(await build({ out: join(root, "many"), count: 49 })).toMatchObject({ ok: false, error: { code: "diverseTooFew" } });
    expect(await build({ images: join(root, "nowhere"), out: join(root, "none") })).toMatchObject({ ok: false, error: { code: "imagesFolder" } });
    expect(await build({ encoder: "shapes-g1", out: join(root, "none") })).toMatchObject({ ok: false, error: { code: "modelUnknown" } });
  });

  test("draws its own pool where there is no folder, the same for the same seed", async () => {
    const [a, b] = [unwrap(await build({ images: null, drawn: 24, out: join(root, "drawn-a"), coverage: "none" })), unwrap(await build({ images: null, drawn: 24, out: join(root, "drawn-b"), coverage: "none" }, { cache: "fresh" }))];
    expect(a.manifest.images).toEqual(b.manifest.images);
  });
});

describe("the file of features", () => {
  test("gives back what was added in any order, and refuses a second writer", async () => {
    const path = join(root, "some.features");
    const hash = (i: number): string => i.toString(16).padStart(64, "0");
    const first = unwrap(await openFeatureFile(path, 3));
    await first.append(new Map([[hash(1), Float32Array.of(1, 2, 3)], [hash(2), Float32Array.of(4, 5, 6)]]));
    await first.append(new Map([[hash(1), Float32Array.of(9, 9, 9)]]));
    const read = async (hashes: readonly string[]): Promise<number[]> => {
      const values: number[] = [];
      for await (const block of first.read(hashes)) values.push(...block);
      return values;
    };
    expect(await read([hash(2), hash(1), hash(2)])).toEqual([4, 5, 6, 1, 2, 3, 4, 5, 6]);
    await expect(read([hash(3)])).rejects.toThrow("found none");
    expect(await openFeatureFile(path, 3)).toMatchObject({ ok: false, error: { code: "featuresLocked" } });
    await first.close();
    const again = unwrap(await openFeatureFile(path, 3));
    expect([again.has(hash(1)), again.has(hash(3))]).toEqual([true, false]);
    await again.close();
  });
});
