import { mkdtemp, readFile, rm, truncate, writeFile, stat, appendFile } from "node:fs/promises";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { featuresOf, hashImage } from "../../../src/engine/insilico/featureCache.ts";
import { defaultSweep } from "../../../src/engine/insilico/sweep.ts";
import type { EvolutionResult } from "../../../src/engine/insilico/sweep.ts";
import { openSweepFolder, readSweepFolder } from "../../../src/engine/insilico/sweepFiles.ts";
import type { SweepHead } from "../../../src/engine/insilico/sweepFiles.ts";
import { readClassUnits } from "../../../src/engine/insilico/units.ts";
import { readLastLinear } from "../../../src/models/lastLinear.ts";
import { startModels } from "../../../src/models/client.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import type { ImageBatch } from "../../../src/shared/values.ts";
import { anEncoder, featureCount, imagePx } from "./support.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "evoked-insilico-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const anImage = (seed: number, sizePx = imagePx): ImageBatch => {
  const rng = createRng(`image ${seed}`);
  return { count: 1, width: sizePx, height: sizePx, data: Uint8Array.from({ length: sizePx * sizePx * 3 }, () => rng.int(256)) };
};

describe("The feature cache", () => {
  const images = Array.from({ length: 20 }, (_, i) => anImage(i));

  it("gives the encoder's features, computes nothing twice and keeps the order asked for", async () => {
    const encoder = anEncoder();
    const first = await featuresOf({ encoder, layer: "features", images, folder });
    expect(first.computed).toBe(20);
    const [direct] = await anEncoder().features(images[3]!, []);
    expect([...first.data.subarray(3 * featureCount, 4 * featureCount)]).toEqual([...direct!]);
    encoder.asked.images = 0;
    const second = await featuresOf({ encoder, layer: "features", images: [...images].reverse(), folder });
    expect(second.computed).toBe(0);
    expect(encoder.asked.images).toBe(0);
    expect([...second.data.subarray(0, featureCount)]).toEqual([...first.data.subarray(19 * featureCount)]);
  });

  it("computes again what a crash cut off, and nothing else", async () => {
    await featuresOf({ encoder: anEncoder(), layer: "features", images, folder });
    const file = await onlyFile(folder);
    const { size } = await stat(file);
    await truncate(file, size - 7);
    const again = await featuresOf({ encoder: anEncoder(), layer: "features", images, folder });
    expect(again.computed).toBe(1);
    expect((await featuresOf({ encoder: anEncoder(), layer: "features", images, folder })).computed).toBe(0);
  });

  it("does not believe a record whose bytes have changed", async () => {
    const before = await featuresOf({ encoder: anEncoder(), layer: "features", images, folder });
    const file = await onlyFile(folder);
    const bytes = await readFile(file);
    bytes[40] = bytes[40]! ^ 1;
    await writeFile(file, bytes);
    const after = await featuresOf({ encoder: anEncoder(), layer: "features", images, folder });
    expect(after.computed).toBe(20);
    expect(after.data).toEqual(before.data);
  });

  it("tells images of equal bytes and another size apart, and another model's features", async () => {
    const image = anImage(1);
    expect(hashImage(image)).not.toBe(hashImage({ ...image, width: image.width / 2, height: image.height * 2 }));
    await featuresOf({ encoder: anEncoder(), layer: "features", images, folder });
    const other = { ...anEncoder(), identity: { id: "other", title: "", sha256: "c".repeat(64), provider: "test" } };
    expect((await featuresOf({ encoder: other, layer: "features", images, folder })).computed).toBe(20);
  });

  it("takes images of different sizes together", async () => {
    const mixed = [anImage(1), anImage(2, 8), anImage(3)];
    const all = await featuresOf({ encoder: anEncoder(), layer: "features", images: mixed, folder: null });
    const [alone] = await anEncoder().features(mixed[1]!, []);
    expect([...all.data.subarray(featureCount, 2 * featureCount)]).toEqual([...alone!]);
  });

  async function onlyFile(root: string): Promise<string> {
    const found = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".features"));
    expect(found).toHaveLength(1);
    return join(root, found[0]!);
  }
});

describe("A sweep's folder", () => {
  const head: SweepHead = { format: "evoked-sweep", version: 1, settings: { ...defaultSweep, runs: 2 }, units: [{ id: "u", title: "u", network: "n", layer: "l", kind: "class", weightsSha256: "1" }], models: [{ id: "n", sha256: "2", provider: "cpu" }], command: "evoked ablate", appVersion: "0" };
  const aResult = (run: number, alpha: number): EvolutionResult => ({ unit: "u", generator: "g", run, sign: "positive", alpha, activation: 1.5 + run, intactActivation: -2, generation: 3, means: [0, 0.1], latent: Float32Array.of(0.1, -7, run), mean: { activation: 0.5, intactActivation: 1, latent: Float32Array.of(run, 0.3, 4) } });
  const aGroup = (run: number) => [aResult(run, 0), aResult(run, 1)];

  it("gives back bit for bit what was finished", async () => {
    const files = unwrap(await openSweepFolder(folder, head));
    await files.finish({ unit: "u", generator: "g", run: 0 }, aGroup(0));
    await files.finish({ unit: "u", generator: "g", run: 1 }, aGroup(1));
    const again = unwrap(await openSweepFolder(folder, head));
    expect(again.results()).toEqual([...aGroup(0), ...aGroup(1)]);
    expect(again.finished()).toHaveLength(2);
    expect(unwrap(await readSweepFolder(folder)).results).toEqual(again.results());
  });

  it("loses only the group whose lines a crash cut off, wherever it cut", async () => {
    const files = unwrap(await openSweepFolder(folder, head));
    await files.finish({ unit: "u", generator: "g", run: 0 }, aGroup(0));
    const whole = (await stat(join(folder, "results.jsonl"))).size;
    await files.finish({ unit: "u", generator: "g", run: 1 }, aGroup(1));
    const all = await readFile(join(folder, "results.jsonl"));
    for (let cut = whole; cut < all.length; cut += 9) {
      await writeFile(join(folder, "results.jsonl"), all.subarray(0, cut));
      const again = unwrap(await openSweepFolder(folder, head));
      expect(again.results()).toEqual(aGroup(0));
      await again.finish({ unit: "u", generator: "g", run: 1 }, aGroup(1));
      expect(unwrap(await openSweepFolder(folder, head)).results()).toEqual([...aGroup(0), ...aGroup(1)]);
    }
  });

  it("keeps the newest checkpoint until its group is finished", async () => {
    const files = unwrap(await openSweepFolder(folder, head));
    const group = { unit: "u", generator: "g", run: 0 };
    expect(await files.checkpoint(group)).toBeNull();
    await files.keep(group, Uint8Array.of(1));
    await files.keep(group, Uint8Array.of(2, 3));
    expect([...(await unwrap(await openSweepFolder(folder, head)).checkpoint(group))!]).toEqual([2, 3]);
    await files.finish(group, aGroup(0));
    expect(await files.checkpoint(group)).toBeNull();
  });

  it.each([
    ["another seed", { ...head, settings: { ...head.settings, seed: 9 } }, "seed"],
    ["other weights", { ...head, units: [{ ...head.units[0]!, weightsSha256: "x" }] }, "weights"],
    ["another model file", { ...head, models: [{ ...head.models[0]!, sha256: "x" }] }, "model n"],
  ])("is refused for a sweep with %s", async (_name, other, word) => {
    unwrap(await openSweepFolder(folder, head));
    const result = await openSweepFolder(folder, other);
    expect(result).toMatchObject({ ok: false, error: { code: "sweepOther" } });
    if (!result.ok) expect(result.error.message).toContain(word);
  });

  it("takes more runs than before", async () => {
    const files = unwrap(await openSweepFolder(folder, head));
    await files.finish({ unit: "u", generator: "g", run: 0 }, aGroup(0));
    expect(unwrap(await openSweepFolder(folder, { ...head, settings: { ...head.settings, runs: 7 } })).finished()).toHaveLength(1);
  });

  it("says where a results file is of something else", async () => {
    unwrap(await openSweepFolder(folder, head));
    await appendFile(join(folder, "results.jsonl"), '{"a":1}\n');
    expect(await openSweepFolder(folder, head)).toMatchObject({ ok: false, error: { code: "sweepUnreadable" } });
  });
});

describe("The last linear layer of the built-in networks", () => {
  const models = [join(import.meta.dirname, "../../../models")];

  it("times the penultimate features gives the logits", async () => {
    const running = unwrap(await startModels({ modelsDirs: models, provider: "cpu", threads: 1, inProcess: true }));
    for (const id of ["shapes-relu", "shapes-tanh"]) {
      const { weights, bias, units, features, classes } = unwrap(await readLastLinear(models, id));
      expect([units, features, classes.length]).toEqual([10, 128, 10]);
      const encoder = unwrap(await running.encoder(id));
      const [penultimate, logits] = await encoder.features(anImage(4, 32), ["penultimate", "logits"]);
      for (let u = 0; u < units; u++) {
        let sum = bias[u]!;
        for (let f = 0; f < features; f++) sum += weights[u * features + f]! * penultimate![f]!;
        expect(sum).toBeCloseTo(logits![u]!, 4);
      }
    }
    await running.close();
  });

  it("gives units by name and by number, each once, and says which there are", async () => {
    const units = unwrap(await readClassUnits(models, "shapes-relu", ["Star", "3", "0"]));
    expect(units.map((unit) => unit.id)).toEqual(["shapes-relu/star", "shapes-relu/disc"]);
    const unknown = await readClassUnits(models, "shapes-relu", ["zebra"]);
    expect(unknown).toMatchObject({ ok: false, error: { code: "unitUnknown" } });
    if (!unknown.ok) expect(unknown.error.message).toContain("crescent");
    expect(await readClassUnits(models, "shapes-g1", "all")).toMatchObject({ ok: false, error: { code: "modelKind" } });
    expect(await readClassUnits(models, "nothing", "all")).toMatchObject({ ok: false, error: { code: "modelUnknown" } });
  });
});
