import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createImageShelf } from "../../../src/renderer/stimulus/imageShelf.ts";
import type { TicketedAnswer, WorkerMessage } from "../../../src/renderer/stimulus/decode.ts";
import type { StimulusPixels } from "../../../src/shared/contract/index.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import type { Fault, Result } from "../../../src/shared/result.ts";

/** What a page has of bitmaps, as far as the shelf looks at them. */
class Bitmap {
  closed = false;
  readonly bytes: number;
  constructor(bytes: number) {
    this.bytes = bytes;
  }
  close(): void {
    this.closed = true;
  }
}

/** The worker at the other end, by hand. */
class HeldWorker {
  static last: HeldWorker | null = null;
  readonly heard: WorkerMessage[] = [];
  onmessage: ((message: { readonly data: TicketedAnswer }) => void) | null = null;
  onerror: (() => void) | null = null;
  constructor() {
    HeldWorker.last = this;
  }
  postMessage(message: WorkerMessage): void {
    this.heard.push(message);
  }
  /** Answers the newest job for that image. */
  answer(imageId: number, bitmap: Bitmap | null, problem: string | null = null): void {
    const asked = this.heard.findLast((one) => one.kind === "job" && one.job.imageId === imageId);
    if (asked?.kind !== "job") throw new Error(`expected a job for image ${imageId}`);
    this.onmessage?.({ data: { imageId, ticket: asked.job.ticket, bitmap: bitmap as ImageBitmap | null, problem } });
  }
}

const pixel: StimulusPixels = { widthPx: 1, heightPx: 1, rgbaBase64: Buffer.from([1, 2, 3, 255]).toString("base64") };
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

function worker(): HeldWorker {
  if (HeldWorker.last === null) throw new Error("expected a worker");
  return HeldWorker.last;
}

beforeEach(() => {
  HeldWorker.last = null;
  vi.stubGlobal("Worker", HeldWorker);
  vi.stubGlobal("ImageData", class {
    readonly data: Uint8ClampedArray;
    constructor(data: Uint8ClampedArray) {
      this.data = data;
    }
  });
  vi.stubGlobal("createImageBitmap", async (image: { readonly data: Uint8ClampedArray }) => new Bitmap(image.data.length));
});
afterEach(() => vi.unstubAllGlobals());

function aShelf({ source = null, fetch = async () => ok(pixel) }: { readonly source?: string | null; readonly fetch?: (imageId: number) => Promise<Result<StimulusPixels, Fault>> } = {}) {
  const told: unknown[] = [];
  const shelf = createImageShelf({ source, fetch });
  return { shelf, told, prepare: (imageId: number) => shelf.prepare({ imageId, sizePx: null }, (problem) => told.push([imageId, problem])) };
}

test("in a browser the worker is told where pixels are, and gets jobs without them", () => {
  const { shelf, told, prepare } = aShelf({ source: "/pixels?token=t", fetch: () => Promise.reject(new Error("expected nothing to be asked for on the page")) });
  prepare(7);
  expect(worker().heard).toEqual([{ kind: "source", address: "/pixels?token=t" }, { kind: "job", job: { imageId: 7, sizePx: null, ticket: 1 }, pixels: null }]);
  const bitmap = new Bitmap(4);
  worker().answer(7, bitmap);
  expect([told, shelf.get(7)]).toEqual([[[7, null]], bitmap]);
});

test("in the desktop app the page asks for the pixels and the worker decodes them", async () => {
  const { told, prepare } = aShelf();
  prepare(7);
  await settle();
  expect(worker().heard).toEqual([{ kind: "job", job: { imageId: 7, sizePx: null, ticket: 1 }, pixels: pixel }]);
  worker().answer(7, new Bitmap(4));
  expect(told).toEqual([[7, null]]);
});

test("an image that was released while it was under way is nobody's: nothing is told, its bitmap is closed", async () => {
  const { shelf, told, prepare } = aShelf({ source: "/pixels?token=t" });
  prepare(7);
  const late = new Bitmap(4);
  shelf.release([7]);
  worker().answer(7, late);
  expect([told, late.closed, shelf.get(7)]).toEqual([[], true, undefined]);
  // The engine had released it before it was asked for: the worker has neither bitmap nor problem.
  prepare(8);
  worker().answer(8, null);
  expect([told, shelf.get(8)]).toEqual([[], undefined]);
  const gone = aShelf({ fetch: async () => fault("notPrepared", "Expected image 9 to be one that was prepared.") });
  gone.prepare(9);
  await settle();
  expect(gone.told).toEqual([]);
});

test("an answer to an earlier order of the same image is not taken for the newer one's", () => {
  const { shelf, told, prepare } = aShelf({ source: "/pixels?token=t" });
  prepare(7);
  const first = worker().heard.at(-1);
  prepare(7);
  const old = new Bitmap(4);
  if (first?.kind === "job") worker().onmessage?.({ data: { imageId: 7, ticket: first.job.ticket, bitmap: old as unknown as ImageBitmap, problem: null } });
  expect([told, old.closed]).toEqual([[], true]);
  const fresh = new Bitmap(4);
  worker().answer(7, fresh);
  expect([told, shelf.get(7)]).toEqual([[[7, null]], fresh]);
});

test("what cannot be had or read is told in a sentence", async () => {
  const { told, prepare } = aShelf({ fetch: async () => fault("linkLost", "No link to the engine.") });
  prepare(7);
  await settle();
  expect(told).toEqual([[7, "image 7: No link to the engine."]]);
});

test("without a worker the page decodes, jobs under way included, and checks the bytes against the size", async () => {
  const { shelf, told, prepare } = aShelf({ source: "/pixels?token=t", fetch: async (imageId) => ok(imageId === 8 ? { ...pixel, widthPx: 2 } : pixel) });
  prepare(7);
  worker().onerror?.();
  prepare(8);
  await vi.waitFor(() => expect(told).toHaveLength(2));
  expect(told).toEqual(expect.arrayContaining([[7, null], [8, "Error: image 8: expected 8 bytes for 2 x 1 RGBA, got 4"]]));
  expect(shelf.get(7)).toMatchObject({ bytes: 4 });
});
