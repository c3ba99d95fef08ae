// Reference images from a folder of PNG or JPEG files. Knows nothing about sessions.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ResizeFilterType, ResizeFit, Transformer } from "@napi-rs/image";
import type { Fault, Result } from "../shared/result.ts";
import { fault, ok } from "../shared/result.ts";
import type { ImageBatch } from "../shared/values.ts";

export interface NamedImage {
  readonly label: string;
  readonly image: ImageBatch;
}

/** Every PNG or JPEG of a folder in name order, cropped to the centre square and resized to `sizePx`. A file that cannot be read is named. */
export async function loadReferences(folder: string, sizePx: number): Promise<Result<readonly NamedImage[], Fault>> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((n) => /\.(png|jpe?g)$/i.test(n)).sort();
  } catch (error) {
    return fault("referenceFolder", `Expected a folder of PNG or JPEG reference images at ${folder}, got: ${error instanceof Error ? error.message : String(error)}. Choose another folder or leave the field empty for the built-in references.`);
  }
  if (names.length === 0) return fault("referenceFolder", `Expected PNG or JPEG files in ${folder}, found none. Choose another folder or leave the field empty for the built-in references.`);
  const out: NamedImage[] = [];
  for (const name of names) {
    try {
      out.push({ label: name, image: await decodeImage(await readFile(join(folder, name)), sizePx) });
    } catch (error) {
      return fault("referenceImage", `Expected a PNG or JPEG image in ${join(folder, name)}, could not decode it: ${error instanceof Error ? error.message : String(error)}. Remove or replace the file.`);
    }
  }
  return ok(out);
}

/** Decodes to RGB, centre square, Lanczos-resized to `sizePx`. Transparent pixels are laid on mid-grey. */
export async function decodeImage(file: Buffer, sizePx: number): Promise<ImageBatch> {
  const raw = await new Transformer(file).rotate().resize(sizePx, sizePx, ResizeFilterType.Lanczos3, ResizeFit.Cover).rawPixels();
  return { count: 1, width: sizePx, height: sizePx, data: toRgb(raw, sizePx * sizePx) };
}

function toRgb(raw: Uint8Array, pixels: number): Uint8Array {
  const channels = raw.length / pixels;
  if (![1, 2, 3, 4].includes(channels)) throw new Error(`expected 1 to 4 bytes a pixel, got ${channels}`);
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const alpha = channels === 4 ? (raw[i * 4 + 3] ?? 255) : channels === 2 ? (raw[i * 2 + 1] ?? 255) : 255;
    for (let c = 0; c < 3; c++) {
      const value = raw[i * channels + (channels < 3 ? 0 : c)] ?? 0;
      rgb[i * 3 + c] = Math.round((value * alpha + 128 * (255 - alpha)) / 255);
    }
  }
  return rgb;
}
