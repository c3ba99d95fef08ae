// RGBA bytes in base64 -> a bitmap that can be drawn without delay. Runs in a worker, or on the page where a worker cannot start.
// Knows nothing about links or schedules.

export interface DecodeJob {
  readonly imageId: number;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly rgbaBase64: string;
  /** Size it will be drawn at; the bitmap is made in that size where that is reasonable. null = its own. */
  readonly sizePx: number | null;
}

/** Tells the answer to a cancelled job from its successor's. */
export type TicketedJob = DecodeJob & { readonly ticket: number };

export interface TicketedAnswer {
  readonly imageId: number;
  readonly ticket: number;
  readonly bitmap: ImageBitmap | null;
  readonly problem: string | null;
}

/** Larger bitmaps are scaled as they are drawn: a hundred of them would not fit into memory. */
const resizedPxMax = 1024;

/** Rejects with a sentence where the bytes do not fit the size. */
export async function decodeImage(job: DecodeJob): Promise<ImageBitmap> {
  const bytes = decodeBase64(job.rgbaBase64);
  const expected = job.widthPx * job.heightPx * 4;
  if (bytes.length !== expected) throw new Error(`image ${job.imageId}: expected ${expected} bytes for ${job.widthPx} x ${job.heightPx} RGBA, got ${bytes.length}`);
  const pixels = new ImageData(new Uint8ClampedArray(bytes.buffer), job.widthPx, job.heightPx);
  const exact: ImageBitmapOptions = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const sizePx = job.sizePx === null ? null : Math.round(job.sizePx);
  if (sizePx === null || sizePx < 1 || sizePx > resizedPxMax) return await createImageBitmap(pixels, exact);
  return await createImageBitmap(pixels, { ...exact, resizeWidth: sizePx, resizeHeight: sizePx, resizeQuality: "high" });
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
