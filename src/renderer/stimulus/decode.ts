// From pixels to a bitmap that can be drawn without delay. Runs in a worker, or on the page where a worker cannot start.
// Knows nothing about links or schedules.
import { fault, ok } from "../../shared/result.ts";
import type { StimulusPixels } from "../../shared/contract/index.ts";
import type { Fault, Result } from "../../shared/result.ts";

export interface DecodeJob {
  readonly imageId: number;
  /** Size it will be drawn at; the bitmap is made in that size where that is reasonable. null = its own. */
  readonly sizePx: number | null;
}

/** Tells the answer to a cancelled job from its successor's. */
export type TicketedJob = DecodeJob & { readonly ticket: number };

/** RGBA, rows from the top. */
export interface Pixels {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** To the worker: where it gets pixels from, once; then jobs, with their pixels where it cannot get them itself. */
export type WorkerMessage = { readonly kind: "source"; readonly address: string } | { readonly kind: "job"; readonly job: TicketedJob; readonly pixels: StimulusPixels | null };

export interface TicketedAnswer {
  readonly imageId: number;
  readonly ticket: number;
  /** null with a problem, and without one where the image was released in the meantime. */
  readonly bitmap: ImageBitmap | null;
  readonly problem: string | null;
}

/** Larger bitmaps are scaled as they are drawn: a hundred of them would not fit into memory. */
const resizedPxMax = 1024;

/** One job to its answer, wherever its pixels come from. Never rejects. */
export async function answerJob(job: TicketedJob, pixels: Promise<Result<Pixels, Fault>>): Promise<TicketedAnswer> {
  const { imageId, ticket } = job;
  const got = await pixels;
  // Released while it was asked for: nobody waits for it.
  if (!got.ok) return { imageId, ticket, bitmap: null, problem: got.error.code === "notPrepared" ? null : `image ${imageId}: ${got.error.message}` };
  return await decodeImage(job, got.value).then(
    (bitmap) => ({ imageId, ticket, bitmap, problem: null }),
    (error: unknown) => ({ imageId, ticket, bitmap: null, problem: String(error) }),
  );
}

/** Rejects with a sentence where the bytes do not fit the size. */
async function decodeImage(job: DecodeJob, { widthPx, heightPx, rgba }: Pixels): Promise<ImageBitmap> {
  const expected = widthPx * heightPx * 4;
  if (rgba.length !== expected) throw new Error(`image ${job.imageId}: expected ${expected} bytes for ${widthPx} x ${heightPx} RGBA, got ${rgba.length}`);
  const pixels = new ImageData(rgba, widthPx, heightPx);
  const exact: ImageBitmapOptions = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const sizePx = job.sizePx === null ? null : Math.round(job.sizePx);
  if (sizePx === null || sizePx < 1 || sizePx > resizedPxMax) return await createImageBitmap(pixels, exact);
  return await createImageBitmap(pixels, { ...exact, resizeWidth: sizePx, resizeHeight: sizePx, resizeQuality: "high" });
}

/** As they come over a link, as text. */
export function pixelsOfText({ widthPx, heightPx, rgbaBase64 }: StimulusPixels): Pixels {
  const binary = atob(rgbaBase64);
  const rgba = new Uint8ClampedArray(binary.length);
  for (let i = 0; i < binary.length; i++) rgba[i] = binary.charCodeAt(i);
  return { widthPx, heightPx, rgba };
}

const triesMax = 20;
const againMs = 250;

/** From the web host. One that does not answer is asked again for a few seconds. Errors: `notPrepared`, `noPixels`. */
export async function fetchPixels(address: string, imageId: number): Promise<Result<Pixels, Fault>> {
  let why = "";
  for (let tries = 0; tries < triesMax; tries++) {
    if (tries > 0) await new Promise((resolve) => setTimeout(resolve, againMs));
    try {
      const answer = await fetch(`${address}&image=${imageId}`);
      if (answer.ok) return ok({ widthPx: Number(answer.headers.get("x-width")), heightPx: Number(answer.headers.get("x-height")), rgba: new Uint8ClampedArray(await answer.arrayBuffer()) });
      why = (await answer.text()).trim();
      if (answer.status === 404) return fault("notPrepared", why);
    } catch (error) {
      why = String(error);
    }
  }
  return fault("noPixels", `its pixels cannot be had: ${why}`);
}
