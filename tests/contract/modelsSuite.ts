// What every generator and every encoder must do, whoever made it. Used for the built-in models and by whoever adds one.
import { expect, it } from "vitest";

import type { Models } from "../../src/models/client.ts";
import { FaultError, unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";
import type { ImageBatch, LatentBatch } from "../../src/shared/values.ts";

export function someLatents(count: number, dim: number, norm: number, seed = 1): LatentBatch {
  const data = new Float32Array(count * dim);
  createRng(seed).fillGaussian(data);
  return { count, dim, data: data.map((value) => (value * norm) / Math.sqrt(dim)) };
}

export function someImages(count: number, width: number, height: number, seed = 1): ImageBatch {
  const rng = createRng(seed);
  // Smooth colours with noise on top: neither flat nor pure noise.
  const data = new Uint8Array(count * width * height * 3);
  for (let i = 0; i < count; i++) {
    const phase = [rng.uniform() * 6, rng.uniform() * 6, rng.uniform() * 6];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < 3; c++)
          data[((i * height + y) * width + x) * 3 + c] = 128 + 80 * Math.sin((x / width) * 9 + (phase[c] ?? 0)) * Math.cos((y / height) * 7 + (phase[(c + 1) % 3] ?? 0)) + rng.int(24);
  }
  return { count, width, height, data };
}

function item<T extends Float32Array | Uint8Array>(values: T, index: number, count: number): number[] {
  const size = values.length / count;
  return [...values.subarray(index * size, (index + 1) * size)];
}

async function faultOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "no fault",
    (error: unknown) => (error instanceof FaultError ? error.code : String(error)),
  );
}

export function itIsAGenerator(open: () => Promise<Models>, id: string, typicalNorm: number): void {
  const make = async () => unwrap(await (await open()).generator(id));

  it("gives one image of the announced size per latent", async () => {
    const generator = await make();
    const images = await generator.decode(someLatents(3, generator.latentDim, typicalNorm));
    expect([images.count, images.width, images.height]).toEqual([3, generator.widthPx, generator.heightPx]);
    expect(images.data.length).toBe(3 * generator.widthPx * generator.heightPx * 3);
    expect(generator.widthPx).toBeGreaterThanOrEqual(64);
    expect(generator.initialStepSize).toBeGreaterThan(0);
  });
  it("repeats itself bit for bit", async () => {
    const generator = await make();
    const latents = someLatents(5, generator.latentDim, typicalNorm);
    expect(await generator.decode(latents)).toEqual(await generator.decode(latents));
  });
  it("gives a batch of n what n batches of one give, bit for bit and in order", async () => {
    const generator = await make();
    const latents = someLatents(7, generator.latentDim, typicalNorm, 3);
    const all = await generator.decodeParts(latents);
    for (let i = 0; i < 7; i++) {
      const one = await generator.decodeParts({ count: 1, dim: latents.dim, data: latents.data.slice(i * latents.dim, (i + 1) * latents.dim) });
      expect(Buffer.compare(Buffer.from(one.images.data), Buffer.from(item(all.images.data, i, 7)))).toBe(0);
      // Masks are not rounded to bytes: the last bit shows in them.
      if (one.masks !== null && all.masks !== null) expect(Float32Array.from(item(all.masks, i, 7))).toEqual(one.masks);
    }
  });
  it("takes latents in double precision as it takes them in single", async () => {
    const generator = await make();
    const latents = someLatents(2, generator.latentDim, typicalNorm);
    expect(await generator.decode({ ...latents, data: Float64Array.from(latents.data) })).toEqual(await generator.decode(latents));
  });
  it("leaves the caller's latents as they were", async () => {
    const generator = await make();
    const latents = someLatents(2, generator.latentDim, typicalNorm);
    const before = [...latents.data];
    await generator.decode(latents);
    expect([...latents.data]).toEqual(before);
  });
  it("changes its image little for a little step and much for a large one", async () => {
    const generator = await make();
    const base = someLatents(8, generator.latentDim, typicalNorm, 11);
    const other = someLatents(8, generator.latentDim, typicalNorm, 12);
    const near = { ...base, data: Float32Array.from(base.data, (value, i) => value + 0.01 * (other.data[i] ?? 0)) };
    const [a, b, c] = [await generator.decode(base), await generator.decode(near), await generator.decode(other)];
    const distance = (x: ImageBatch, y: ImageBatch) => x.data.reduce((sum, value, i) => sum + Math.abs(value - (y.data[i] ?? 0)), 0) / x.data.length;
    expect(distance(a, b)).toBeGreaterThan(0);
    expect(distance(a, b)).toBeLessThan(0.1 * distance(a, c));
  });
  it("gives an empty batch for an empty batch", async () => {
    const generator = await make();
    expect((await generator.decode({ count: 0, dim: generator.latentDim, data: new Float32Array() })).data.length).toBe(0);
  });
  it("refuses latents of another length and latents that are not numbers", async () => {
    const generator = await make();
    expect(await faultOf(generator.decode(someLatents(2, generator.latentDim + 1, 1)))).toBe("latentShape");
    const bad = someLatents(1, generator.latentDim, 1);
    bad.data[0] = Number.NaN;
    expect(await faultOf(generator.decode(bad))).toBe("latentNaN");
  });
  it("gives the parts that it announces: masks from 0 to 1, and the image where there is no object", async () => {
    const generator = await make();
    const latents = someLatents(4, generator.latentDim, typicalNorm, 5);
    const { images, masks, backgrounds } = await generator.decodeParts(latents);
    expect(images).toEqual(await generator.decode(latents));
    expect(masks !== null).toBe(generator.hasMasks);
    expect(backgrounds !== null).toBe(generator.hasBackgrounds);
    if (masks === null || backgrounds === null) return;
    expect(masks.length).toBe(4 * generator.widthPx * generator.heightPx);
    expect(masks.every((share) => share >= 0 && share <= 1)).toBe(true);
    expect(backgrounds.data.length).toBe(images.data.length);
    let inside = 0;
    masks.forEach((share) => {
      // A generator whose object can fade shows some of it half way.
      if (share > 0.5) inside++;
    });
    expect(inside / masks.length).toBeGreaterThan(0.01);
  });
}

export function itIsAnEncoder(open: () => Promise<Models>, id: string): void {
  const make = async () => unwrap(await (await open()).encoder(id));

  it("gives every layer in its announced size, in the order asked for", async () => {
    const encoder = await make();
    const names = encoder.layers.map((layer) => layer.name).reverse();
    const features = await encoder.features(someImages(3, 64, 64), names);
    expect(features.map((values) => values.length / 3)).toEqual(encoder.layers.map((layer) => layer.dim).reverse());
    for (const layer of encoder.layers) expect(layer.shape?.reduce((a, b) => a * b, 1)).toBe(layer.dim);
    expect(features.every((values) => values.every(Number.isFinite))).toBe(true);
  });
  it("repeats itself, and gives a layer the same values whatever other layers are asked for", async () => {
    const encoder = await make();
    const images = someImages(3, 50, 70);
    const names = encoder.layers.map((layer) => layer.name);
    const together = await encoder.features(images, names);
    expect(await encoder.features(images, names)).toEqual(together);
    const [alone] = await encoder.features(images, names.slice(-1));
    const last = together.at(-1);
    let difference = 0;
    alone?.forEach((value, i) => {
      difference = Math.max(difference, Math.abs(value - (last?.[i] ?? Number.NaN)));
    });
    expect(difference).toBeLessThan(1e-4);
  });
  it("gives a batch of n what n batches of one give, bit for bit and in order", async () => {
    const encoder = await make();
    const images = someImages(7, 160, 160, 4);
    const names = encoder.layers.map((layer) => layer.name).slice(-2);
    const all = await encoder.features(images, names);
    const size = images.data.length / 7;
    for (let i = 0; i < 7; i++) {
      const one = await encoder.features({ ...images, count: 1, data: images.data.slice(i * size, (i + 1) * size) }, names);
      one.forEach((values, k) => expect([...values]).toEqual(item(all[k] ?? new Float32Array(), i, 7)));
    }
  });
  it("tells different images apart", async () => {
    const encoder = await make();
    const names = encoder.layers.map((layer) => layer.name);
    const features = await encoder.features(someImages(2, 96, 96, 8), names);
    for (const values of features) expect(item(values, 0, 2)).not.toEqual(item(values, 1, 2));
  });
  it("refuses a layer it does not have and bytes that are not the announced images", async () => {
    const encoder = await make();
    expect(await faultOf(encoder.features(someImages(1, 32, 32), ["no such layer"]))).toBe("layerUnknown");
    expect(await faultOf(encoder.features(someImages(1, 32, 32), []))).toBe("layerUnknown");
    expect(await faultOf(encoder.features({ ...someImages(1, 32, 32), count: 2 }, encoder.layers.map((layer) => layer.name)))).toBe("imageShape");
  });
}

export function itIsADetector(open: () => Promise<Models>, id: string): void {
  const make = async () => unwrap(await (await open()).detector(id));

  it("gives boxes inside bounds, best first, with scores of 0 to 1 in pixels of the given image", async () => {
    const detector = await make();
    const images = someImages(3, 200, 100, 6);
    const found = await detector.detect(images, { scoreMin: 0, boxesMax: 20 });
    expect(found.length).toBe(3);
    for (const { objectness, boxes } of found) {
      expect(objectness).toBeGreaterThanOrEqual(0);
      expect(objectness).toBeLessThanOrEqual(1);
      expect(boxes.length).toBeGreaterThan(0);
      expect(boxes.length).toBeLessThanOrEqual(20);
      expect(boxes.map((box) => box.score)).toEqual(boxes.map((box) => box.score).sort((a, b) => b - a));
      expect(boxes[0]?.score).toBe(objectness);
    }
  });
  it("keeps only boxes at or above the asked score, and the objectness whatever was asked", async () => {
    const detector = await make();
    const images = someImages(2, 96, 96, 7);
    const [all] = await detector.detect(images, { scoreMin: 0 });
    const [none] = await detector.detect(images, { scoreMin: 1.01 });
    expect(none?.boxes).toEqual([]);
    expect(none?.objectness).toBe(all?.objectness);
  });
  it("gives a batch of n what n batches of one give", async () => {
    const detector = await make();
    const images = someImages(4, 128, 128, 8);
    const size = images.data.length / 4;
    const all = await detector.detect(images, { scoreMin: 0.01 });
    for (let i = 0; i < 4; i++) expect((await detector.detect({ ...images, count: 1, data: images.data.slice(i * size, (i + 1) * size) }, { scoreMin: 0.01 }))[0]).toEqual(all[i]);
  });
}
