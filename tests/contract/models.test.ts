import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { modelManifest } from "../../src/shared/manifest.ts";
import { unwrap } from "../../src/shared/result.ts";
import { itIsADetector, itIsAGenerator, itIsAnEncoder, someImages, someLatents } from "./modelsSuite.ts";

const modelsDir = fileURLToPath(new URL("../../models", import.meta.url));
const manifests = readdirSync(modelsDir).flatMap((name) => {
  try {
    return [modelManifest.parse(JSON.parse(readFileSync(join(modelsDir, name, "manifest.json"), "utf8")))];
  } catch (error) {
    if (error instanceof Error && "code" in error) return [];
    throw error;
  }
});

const opened = new Map<string, Promise<Models>>();
function openWith(threads: number, batchMax = 32): Promise<Models> {
  const key = `${threads} ${batchMax}`;
  const models = opened.get(key) ?? startModels({ modelsDirs: [modelsDir], inProcess: true, provider: "cpu", threads, batchMax }).then(unwrap);
  opened.set(key, models);
  return models;
}
const open = () => openWith(2);
afterAll(async () => {
  for (const models of opened.values()) await (await models).close();
});

describe("the built-in models", () => {
  it("are all usable, and together with the reference images under 25 MB", async () => {
    const models = await open();
    expect(models.entries().filter((entry) => entry.problem !== null)).toEqual([]);
    const size = manifests.reduce((sum, manifest) => sum + manifest.sizeBytes, 0) + readdirSync(join(modelsDir, "references")).reduce((sum, name) => sum + statSync(join(modelsDir, "references", name)).size, 0);
    expect(size).toBeLessThan(25e6);
  });
  it("say how they were made, under which licence, and how well they do", () => {
    for (const manifest of manifests) {
      expect(manifest.licence).not.toBe("");
      expect(manifest.madeBy).toContain("models/train/");
      // Ten classes: those without batch normalisation are for the demonstration and learn less.
      if (manifest.kind === "encoder") expect(manifest.measured["accuracy"]).toBeGreaterThan(manifest.id.startsWith("plain-") ? 0.7 : 0.85);
    }
  });
  it("include a robust classifier that withstands attacks the plain one does not", () => {
    const robustness = (id: string) => Number(manifests.find((manifest) => manifest.id === id)?.measured["accuracyUnderAttack"]);
    expect(robustness("shapes-robust")).toBeGreaterThan(0.5);
    expect(robustness("shapes-relu")).toBeLessThan(0.1);
  });
});

for (const manifest of manifests) {
  if (manifest.kind === "generator") describe(`generator ${manifest.id}`, () => itIsAGenerator(open, manifest.id, manifest.latent.typicalNorm));
  if (manifest.kind === "detector") describe(`detector ${manifest.id}`, () => itIsADetector(open, manifest.id));
  if (manifest.kind === "encoder") describe(`encoder ${manifest.id}`, () => itIsAnEncoder(open, manifest.id));
}

describe("results on the CPU", () => {
  it("do not depend on the number of threads or on the largest batch", async () => {
    const results = [];
    for (const models of [await openWith(2), await openWith(1), await openWith(2, 3)]) {
      const generator = unwrap(await models.generator("shapes-g1"));
      const images = await generator.decode(someLatents(10, generator.latentDim, 8, 9));
      const features = await unwrap(await models.encoder("shapes-relu")).features(images, ["conv1", "penultimate", "logits"]);
      results.push({ images, features });
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
  it("are the same for latents to features in one graph as through images", async () => {
    const models = await open();
    const generator = unwrap(await models.generator("shapes-g1"));
    const encoder = unwrap(await models.encoder("shapes-tanh"));
    const joined = unwrap(await models.latentEncoder("shapes-g1", "shapes-tanh"));
    expect(joined.fused).toBe(true);
    const latents = someLatents(9, generator.latentDim, 8, 21);
    expect(await joined.features(latents, ["conv4", "logits"])).toEqual(await encoder.features(await generator.decode(latents), ["conv4", "logits"]));
  });
});

describe("shapes-g1", () => {
  it("is grey for the zero latent, vivid for ordinary ones, and never broken for huge ones", async () => {
    const generator = unwrap(await (await open()).generator("shapes-g1"));
    const spread = async (norm: number) => {
      const { data } = await generator.decode(someLatents(8, generator.latentDim, norm, 2));
      const mean = data.reduce((a, b) => a + b, 0) / data.length;
      return Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
    };
    const [grey, small, typical, huge] = [await spread(0), await spread(2), await spread(8), await spread(1000)];
    expect(grey).toBeLessThan(8);
    expect(small).toBeGreaterThan(3 * grey);
    expect(typical).toBeGreaterThan(50);
    expect(huge).toBeGreaterThan(50);
  });
});

describe("shapes-relu", () => {
  it("has no negative values in its features, its tanh twin has both signs", async () => {
    const images = someImages(6, 64, 64, 3);
    const [relu] = await unwrap(await (await open()).encoder("shapes-relu")).features(images, ["penultimate"]);
    const [tanh] = await unwrap(await (await open()).encoder("shapes-tanh")).features(images, ["penultimate"]);
    expect(relu?.every((value) => value >= 0)).toBe(true);
    expect(tanh?.some((value) => value < -0.1) && tanh.some((value) => value > 0.1)).toBe(true);
  });
});

describe("shapes-detector", () => {
  it("is surer of an object in an image than in the same image without its object, and finds where it is", async () => {
    const models = await open();
    const generator = unwrap(await models.generator("shapes-g1"));
    const detector = unwrap(await models.detector("shapes-detector"));
    const { images, masks, backgrounds } = await generator.decodeParts(someLatents(40, generator.latentDim, 8, 31));
    if (masks === null || backgrounds === null) throw new Error("expected masks and backgrounds");
    const withObject = await detector.detect(images);
    const without = await detector.detect(backgrounds);
    const mean = (found: typeof withObject) => found.reduce((sum, { objectness }) => sum + objectness, 0) / found.length;
    expect(mean(withObject)).toBeGreaterThan(mean(without) + 0.4);
    // The middle of the best box lies on the object in most images.
    const pixels = generator.widthPx * generator.heightPx;
    const hits = withObject.filter(({ boxes }, i) => {
      const best = boxes[0];
      return best !== undefined && (masks[i * pixels + Math.round(best.yPx) * generator.widthPx + Math.round(best.xPx)] ?? 0) > 0.5;
    });
    expect(hits.length).toBeGreaterThan(25);
  });
});
