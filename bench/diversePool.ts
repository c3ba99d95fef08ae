// A folder of small images to choose from: gratings, shapes, textures and gradients of 64 to 128 px, half JPEG and half PNG, no two alike.
//   node bench/diversePool.ts --images 100000 --out DIR [--seed S]
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Transformer } from "@napi-rs/image";
import { createRng } from "../src/shared/rng.ts";
import type { Rng } from "../src/shared/rng.ts";

const perFolder = 1000;
const tau = 2 * Math.PI;

/** RGBA of image `index`, the same for the same seed. */
export function drawPoolImage(rng: Rng): { readonly sidePx: number; readonly rgba: Uint8Array } {
  const sidePx = 64 + 16 * rng.int(5);
  const colour = (): readonly number[] => [rng.int(256), rng.int(256), rng.int(256)];
  const [ground, figure, texture] = [colour(), colour(), colour()];
  const [frequency, angle, phase, contrast] = [1 + rng.uniform() * 12, rng.uniform() * Math.PI, rng.uniform() * tau, rng.uniform()];
  const [corners, radius, left, top, twist, roughness] = [rng.int(8), 0.1 + rng.uniform() * 0.35, 0.25 + rng.uniform() * 0.5, 0.25 + rng.uniform() * 0.5, rng.uniform() * tau, rng.uniform() * 60];
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const rgba = new Uint8Array(sidePx * sidePx * 4);
  for (let y = 0; y < sidePx; y++) {
    for (let x = 0; x < sidePx; x++) {
      const [u, v] = [x / sidePx, y / sidePx];
      const wave = (0.5 + 0.5 * Math.sin(tau * frequency * (u * cosine + v * sine) + phase)) * contrast;
      const distance = Math.hypot(u - left, v - top);
      // A star of 0 to 7 corners; 0 is a disc.
      const inside = distance < radius * (1 + 0.35 * Math.cos(corners * (Math.atan2(v - top, u - left) + twist)));
      const noise = (rng.int(256) / 255 - 0.5) * roughness;
      const at = (y * sidePx + x) * 4;
      for (let c = 0; c < 3; c++) rgba[at + c] = Math.min(255, Math.max(0, (inside ? (figure[c] ?? 0) : (ground[c] ?? 0) * (1 - wave) + (texture[c] ?? 0) * wave) + noise));
      rgba[at + 3] = 255;
    }
  }
  return { sidePx, rgba };
}

export async function drawPool(options: { readonly folder: string; readonly images: number; readonly seed: number }): Promise<void> {
  const rng = createRng(`pool ${options.seed}`);
  let next = 0;
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (let i = next++; i < options.images; i = next++) {
      const folder = join(options.folder, String(Math.floor(i / perFolder)).padStart(3, "0"));
      const { sidePx, rgba } = drawPoolImage(rng.fork(i));
      const picture = Transformer.fromRgbaPixels(rgba, sidePx, sidePx);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, `pool-${String(i).padStart(6, "0")}.${i % 2 === 0 ? "jpg" : "png"}`), i % 2 === 0 ? await picture.jpeg(85) : await picture.png());
    }
  }));
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { images: { type: "string", default: "100000" }, out: { type: "string" }, seed: { type: "string", default: "1" } } });
  if (values.out === undefined) throw new Error("expected --out FOLDER, got none");
  const startedMs = performance.now();
  await drawPool({ folder: values.out, images: Number(values.images), seed: Number(values.seed) });
  console.log(JSON.stringify({ images: Number(values.images), folder: values.out, wallSeconds: (performance.now() - startedMs) / 1000 }));
}
