// Pixels of images that an operator sends to a running session: files, PNGs, images of an ablation analysis. Knows nothing about sessions.
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { Transformer } from "@napi-rs/image";
import type { QueuedPixels } from "../loop/closedLoop.ts";
import type { queuedImage } from "../shared/contract/index.ts";
import { assertNever, fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { decodeImage } from "./references.ts";

type Queued = z.infer<typeof queuedImage>;
export type SweepImage = (of: Omit<Extract<Queued["source"], { from: "sweep" }>, "from">) => Promise<Result<{ readonly pngBase64: string }, Fault>>;

/** Sides of images are kept up to this; larger ones are scaled down. */
const sizePxMax = 1024;

/** All or none. Errors: `queuedImage` with the label of the one that cannot be had, those of analyses. */
export async function readQueuedImages(images: readonly Queued[], sweepImage: SweepImage): Promise<Result<readonly QueuedPixels[], Fault>> {
  const out: QueuedPixels[] = [];
  for (const { label, kind, source } of images) {
    const bytes = await bytesOf(source, sweepImage);
    if (!bytes.ok) return bytes;
    try {
      const { width, height } = await new Transformer(bytes.value).metadata();
      out.push({ label, kind, image: await decodeImage(bytes.value, Math.min(sizePxMax, width, height)) });
    } catch (error) {
      return fault("queuedImage", `Expected "${label}" to be a PNG or JPEG image, could not decode it: ${error instanceof Error ? error.message : String(error)}. None of the images was queued.`);
    }
  }
  return ok(out);
}

async function bytesOf(source: Queued["source"], sweepImage: SweepImage): Promise<Result<Buffer, Fault>> {
  switch (source.from) {
    case "png":
      return ok(Buffer.from(source.base64, "base64"));
    case "file":
      try {
        return ok(await readFile(source.path));
      } catch (error) {
        return fault("queuedImage", `Expected an image in ${source.path}, could not read it: ${error instanceof Error ? error.message : String(error)}. None of the images was queued.`);
      }
    case "sweep": {
      const { from: _from, ...of } = source;
      const found = await sweepImage(of);
      return found.ok ? ok(Buffer.from(found.value.pngBase64, "base64")) : found;
    }
    default:
      return assertNever(source);
  }
}
