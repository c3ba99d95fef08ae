// What a recorded session says about its units: rates per presentation and image, and the images themselves.
// Knows nothing about networks or fits.
import { decodePng } from "../../session/png.ts";
import type { SessionReader } from "../../session/reader.ts";
import type { Matrix64 } from "../../analysis/matrix.ts";
import { createMatrix } from "../../analysis/matrix.ts";
import { averageByImage } from "../../analysis/responses.ts";
import { fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { ChannelInfo, ImageBatch, ImageKind } from "../../shared/values.ts";

export interface RecordedImage {
  readonly imageId: number;
  readonly kind: ImageKind;
  readonly label: string;
  readonly generation: number | null;
  readonly thread: number | null;
  readonly repeats: number;
}

/** Presentations that count, and their averages over images. Rates in spikes/s in the response window. */
export interface SessionResponses {
  readonly channels: readonly ChannelInfo[];
  /** Rows of `rates`, increasing image id. */
  readonly images: readonly RecordedImage[];
  /** [images, channels]. */
  readonly rates: Matrix64;
  /** [presentations, channels]. */
  readonly presentations: Matrix64;
  /** Row of `images` for every presentation. */
  readonly imageIndices: Int32Array;
  readonly excluded: number;
}

/** Responses to images of the given kinds (default: all). Errors: `noResponses`. */
export function readResponses(reader: SessionReader, options: { readonly kinds?: readonly ImageKind[] } = {}): Result<SessionResponses, Fault> {
  const channels = reader.channels();
  const records = new Map(reader.images().map((image) => [image.imageId, image]));
  const wanted = (imageId: number): boolean => {
    const kind = records.get(imageId)?.imageKind;
    return kind !== undefined && (options.kinds === undefined || options.kinds.includes(kind));
  };
  const all = reader.presentations().filter((presentation) => wanted(presentation.imageId));
  const counted = all.flatMap((presentation) => (presentation.excluded === null && presentation.counts !== null && presentation.counts.length === channels.length ? [{ ...presentation, counts: presentation.counts }] : []));
  if (counted.length === 0 || channels.length === 0) {
    const of = options.kinds === undefined ? "" : ` to ${options.kinds.join(", ")} images`;
    return fault("noResponses", `Expected responses${of} in ${reader.file}, found none that count (${all.length} presentations). Record images first, or choose other kinds.`);
  }
  const ids = [...new Set(counted.map((presentation) => presentation.imageId))].sort((a, b) => a - b);
  const rowOf = new Map(ids.map((id, row) => [id, row]));
  const presentations = createMatrix(counted.length, channels.length);
  const imageIndices = new Int32Array(counted.length);
  counted.forEach((presentation, p) => {
    const perSecond = 1000 / (presentation.windowEndMs - presentation.windowStartMs);
    presentation.counts.forEach((count, channel) => {
      presentations.data[p * channels.length + channel] = count * perSecond;
    });
    imageIndices[p] = rowOf.get(presentation.imageId) ?? 0;
  });
  const averages = averageByImage({ responses: presentations, imageIndices });
  return ok({
    channels,
    images: ids.map((imageId, row): RecordedImage => {
      const record = records.get(imageId);
      if (record === undefined) throw new Error(`expected a record of image ${imageId}`);
      return { imageId, kind: record.imageKind, label: record.label, generation: record.generation, thread: record.thread, repeats: averages.repeats[row] ?? 0 };
    }),
    rates: averages.mean,
    presentations,
    imageIndices,
    excluded: all.length - counted.length,
  });
}

/** Pixels of images as the session stored them, in the order asked for. Throws FaultErrors: `imageMissing`, `imageDamaged`. */
export function readImages(reader: SessionReader, imageIds: readonly number[]): ImageBatch[] {
  return imageIds.map((imageId) => {
    const file = reader.imageFile(imageId);
    if (file === null) return unwrap(fault("imageMissing", `Expected image ${imageId} in ${reader.file}, found none. The file is damaged: use a copy.`));
    const { widthPx, heightPx, rgb } = unwrap(decodePng(file.png));
    return { count: 1, width: widthPx, height: heightPx, data: rgb };
  });
}
