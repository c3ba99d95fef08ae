// Every published architecture at random weights, from its official file format to what the app computes, held against PyTorch.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

import { defaultMeasures, summariseSweep } from "../../src/engine/insilico/measures.ts";
import { startModels } from "../../src/models/client.ts";
import { measurePerceptualDistances } from "../../src/models/perceptual.ts";
import { unwrap } from "../../src/shared/result.ts";
import { convert, makeCase, python, refusalOf, shareOf } from "./parityCase.ts";
import type { ParityCase } from "./parityCase.ts";

const why = python.ok ? "" : ` (skipped: ${python.error.message})`;
const shareMax = 1e-4;

async function withCase(name: string, use: (made: ParityCase) => Promise<void>): Promise<void> {
  const made = await makeCase(name);
  try {
    await use(made);
  } finally {
    await made.remove();
  }
}

async function openModels(made: ParityCase) {
  return unwrap(await startModels({ modelsDirs: [made.modelsDir], provider: "cpu", inProcess: true }));
}

function imagesOf(made: ParityCase, data: Uint8Array) {
  const [count = 0, height = 0, width = 0] = made.reference.images?.dims ?? [];
  return { count, height, width, data };
}

describe.skipIf(!python.ok)(`generators${why}`, () => {
  it.each([
    ["DeePSiM fc6 from a caffemodel", "deepsim:caffemodel", { sourceForm: "caffemodel", convolutionBiases: true }],
    ["DeePSiM fc6 from the release's zip with a caffemodel of the older layout", "deepsim:release", { sourceForm: "caffemodel", convolutionBiases: true }],
    ["DeePSiM fc6 from the PyTorch file", "deepsim:pytorch", { sourceForm: "PyTorch file", convolutionBiases: true }],
    ["DeePSiM fc6 from the copy with other names and no biases", "deepsim:copy", { sourceForm: "PyTorch copy with other names", convolutionBiases: false }],
    ["BigGAN-deep-256", "biggan", {}],
  ])("%s draws the images that PyTorch draws", (_title, name, measured) =>
    withCase(name, async (made) => {
      const manifest = await convert(made);
      expect(manifest.measured).toMatchObject(measured);
      expect(manifest.measured["largestDifferenceShare"]).toBeLessThan(shareMax);
      const models = await openModels(made);
      const generator = unwrap(await models.generator(made.reference.id));
      const [count = 0, dim = 0] = made.reference.latents?.dims ?? [];
      const images = await generator.decode({ count, dim, data: await made.floats(made.reference.latents) });
      const expected = await made.floats(made.reference.pixels);
      let largest = 0;
      let spread = 0;
      expected.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value - (images.data[i] ?? Number.NaN)));
        spread = Math.max(spread, Math.abs(value - 127));
      });
      // Half a level of rounding and nothing beyond; and there was something to see.
      expect(largest).toBeLessThan(0.51);
      expect(spread).toBeGreaterThan(40);
      await models.close();
    }),
  );
});

describe.skipIf(!python.ok)(`encoders${why}`, () => {
  it.each(["alexnet", "vgg16", "resnet50", "resnet50-linf-8", "resnet50-simsiam", "resnet18-relu", "resnet18-tanh", "resnet50-ssl"])("%s gives PyTorch's penultimate layer and logits", (network) =>
    withCase(`classifier:${network}`, async (made) => {
      const manifest = await convert(made);
      expect(manifest.measured["largestDifferenceShare"]).toBeLessThan(shareMax);
      if (manifest.kind !== "encoder") throw new Error("expected an encoder");
      expect(manifest.classes.length).toBe(1000);
      const models = await openModels(made);
      const encoder = unwrap(await models.encoder(network));
      const names = ["penultimate", "logits"];
      const features = await encoder.features(imagesOf(made, await made.bytes(made.reference.images)), names);
      for (const [k, name] of names.entries()) expect(shareOf(await made.floats(made.reference.layers[name]), features[k] ?? [])).toBeLessThan(shareMax);
      // Every block is there and answers.
      const blocks = encoder.layers.map((layer) => layer.name);
      expect(blocks.length).toBeGreaterThanOrEqual(8);
      const all = await encoder.features({ ...imagesOf(made, (await made.bytes(made.reference.images)).slice(0, 256 * 256 * 3)), count: 1 }, blocks);
      for (const values of all) expect(values.some((value) => value !== 0)).toBe(true);
      // The gradient of one logit at an inner layer is autograd's; set to work on the activations that PyTorch had there.
      // One network of each family: the deeper ones take minutes for the same operators.
      if (!["alexnet", "resnet18-relu", "resnet50"].includes(network)) return await models.close();
      const { gradient } = made.reference;
      if (gradient === undefined) throw new Error("expected a gradient in the reference");
      const tail = unwrap(await models.layerTail(network, gradient.layer));
      const activations = { count: 1, dim: tail.dim, data: await made.floats(gradient.activations) };
      const expected = await made.floats(gradient.values);
      expect(expected.some((value) => value !== 0)).toBe(true);
      expect(shareOf(expected, await tail.gradient(activations, gradient.unit))).toBeLessThan(1e-3);
      expect(shareOf((await made.floats(made.reference.layers["logits"])).subarray(0, 1000), await tail.logits(activations))).toBeLessThan(1e-3);
      await models.close();
    }),
  );

  it("LPIPS gives the published distance of every pair of images", () =>
    withCase("lpips", async (made) => {
      const manifest = await convert(made);
      expect(manifest.measured["largestDifferenceShare"]).toBeLessThan(shareMax);
      const models = await openModels(made);
      const encoder = unwrap(await models.encoder("lpips-alex"));
      const [vectors] = await encoder.features(imagesOf(made, await made.bytes(made.reference.images)), ["vector"]);
      const table = measurePerceptualDistances(vectors ?? new Float32Array(), vectors ?? new Float32Array(), encoder.layers[0]?.dim ?? 0);
      const expected = await made.floats(made.reference.distances);
      expect(shareOf(expected, table)).toBeLessThan(1e-3);
      // And as a sweep measures it: the first two images as the intact unit's, the others as those of two conditions.
      const { width, height, data } = imagesOf(made, await made.bytes(made.reference.images));
      const images = ([["positive", 0], ["positive", 0], ["positive", 1], ["negative", 1]] as const).map(([sign, alpha], i) => ({
        network: "n", image: { count: 1, width, height, data: data.slice(i * width * height * 3, (i + 1) * width * height * 3) }, activation: 0, intactActivation: 0, objectEnergy: null, objectness: null,
        result: { unit: "n/u", generator: "g", run: alpha === 0 ? i : 0, sign, alpha, activation: 0, intactActivation: 0, generation: 0, means: [], latent: new Float32Array(), mean: { activation: 0, intactActivation: 0, latent: new Float32Array() } },
      }));
      const { curves } = await summariseSweep({ images, models, settings: { ...defaultMeasures, permutations: 10 } });
      const curve = curves.find(({ id }) => id === "perceptual");
      expect(curve?.control?.mean).toBeCloseTo(1 - (expected[1] ?? 0), 3);
      expect(curve?.points.map(({ mean }) => mean)).toEqual([2, 3].map((i) => expect.closeTo(1 - ((expected[i] ?? 0) + (expected[4 + i] ?? 0)) / 2, 3)));
      await models.close();
    }));
});

describe.skipIf(!python.ok)(`YOLOv7${why}`, () => {
  it.each(["raw", "nms"])("from the official export (%s) gives PyTorch's boxes", (form) =>
    withCase(`yolo:${form}`, async (made) => {
      const manifest = await convert(made);
      expect(manifest.measured["largestDifferenceShare"]).toBeLessThan(shareMax);
      expect(made.reference.parameters).toBeGreaterThan(36e6);
      if (manifest.kind !== "detector") throw new Error("expected a detector");
      expect([manifest.output.boxes, manifest.classes.length]).toEqual([form === "raw" ? 25200 : 6300, 80]);
      const models = await openModels(made);
      const detector = unwrap(await models.detector("yolov7"));
      const rows = await made.floats(made.reference.rows);
      const images = imagesOf(made, await made.bytes(made.reference.images));
      const found = await detector.detect(images, { scoreMin: 0.25, overlapMax: 0.45, boxesMax: 100 });
      const perImage = rows.length / images.count;
      for (const [i, one] of found.entries()) {
        const expected = suppress(rows.subarray(i * perImage, (i + 1) * perImage));
        expect(one.objectness).toBeCloseTo(expected.objectness, 4);
        expect(one.boxes.length).toBe(expected.boxes.length);
        one.boxes.forEach((box, k) => expect(shareOf(expected.boxes[k] ?? [], [box.xPx, box.yPx, box.widthPx, box.heightPx, box.score * 100])).toBeLessThan(1e-3));
      }
      await models.close();
    }),
  );
});

/** The official export's end, written plainly: best class, boxes of one class more than 0.45 over each other dropped. */
function suppress(rows: Float32Array): { readonly objectness: number; readonly boxes: readonly number[][] } {
  const all: { box: number[]; kind: number; score: number }[] = [];
  for (let at = 0; at < rows.length; at += 85) {
    const scores = [...rows.subarray(at + 5, at + 85)];
    const best = Math.max(...scores);
    all.push({ box: [...rows.subarray(at, at + 4)], kind: scores.indexOf(best), score: best * (rows[at + 4] ?? 0) });
  }
  const overlap = ([ax = 0, ay = 0, aw = 0, ah = 0]: number[], [bx = 0, by = 0, bw = 0, bh = 0]: number[]): number => {
    const w = Math.max(0, Math.min(ax + aw / 2, bx + bw / 2) - Math.max(ax - aw / 2, bx - bw / 2));
    const h = Math.max(0, Math.min(ay + ah / 2, by + bh / 2) - Math.max(ay - ah / 2, by - bh / 2));
    return (w * h) / (aw * ah + bw * bh - w * h);
  };
  const kept: typeof all = [];
  for (const one of all.filter(({ score }) => score >= 0.25).sort((a, b) => b.score - a.score)) {
    if (kept.length < 100 && kept.every((other) => other.kind !== one.kind || overlap(other.box, one.box) <= 0.45)) kept.push(one);
  }
  return { objectness: Math.max(...all.map(({ score }) => score)), boxes: kept.map(({ box, score }) => [...box, score * 100]) };
}

describe.skipIf(!python.ok)(`weight files that are not what they should be${why}`, () => {
  it("are refused with a sentence each, and nothing of them is run", () =>
    withCase("bad", async (made) => {
      const expected: Readonly<Record<string, RegExp>> = {
        code: /wants to run "posix\.system"/, "code-legacy": /wants to run "posix\.system"/, "code-later": /wants to run "builtins\.getattr"/, script: /TorchScript program.*not run/,
        nan: /"fc\.weight" holds NaN/, other: /other architecture|another architecture/, shape: /"fc\.weight" of ResNet18 ReLU in the shape \[1000, 512\], got \[10, 512\]/,
        truncated: /truncated or damaged/, "truncated-legacy": /truncated/, text: /does not read as a PyTorch file/, empty: /does not read as a PyTorch file/,
      };
      for (const [kind, words] of Object.entries(expected)) {
        const refusal = await refusalOf(made, `${kind}.pth`);
        expect([kind, refusal.code]).toEqual([kind, 3]);
        expect(refusal.words).toMatch(words);
        expect(refusal.words.startsWith("refused: ")).toBe(true);
      }
      expect(existsSync(join(made.folder, "executed"))).toBe(false);
    }));
});
