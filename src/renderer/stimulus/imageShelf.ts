// The images that are ready to be drawn, by id. Has them fetched and decoded off the drawing thread. Knows nothing about schedules.
import { answerJob, pixelsOfText, type DecodeJob, type TicketedAnswer as Answer, type TicketedJob, type WorkerMessage } from "./decode.ts";
import { ok } from "../../shared/result.ts";
import type { StimulusPixels } from "../../shared/contract/index.ts";
import type { Fault, Result } from "../../shared/result.ts";

export interface ImageShelf {
  /** Calls back once the bitmap exists; a later `prepare`, `release` or `clear` of the same id cancels it. */
  prepare(job: DecodeJob, ready: (problem: string | null) => void): void;
  get(imageId: number): ImageBitmap | undefined;
  /** A picture that needs no decoding. */
  put(imageId: number, bitmap: ImageBitmap): void;
  release(imageIds: readonly number[]): void;
  clear(): void;
}

export interface ShelfOptions {
  /** Where a worker gets pixels from; null: from `fetch`. */
  readonly source: string | null;
  /** Pixels of an image over the page's own link. */
  readonly fetch: (imageId: number) => Promise<Result<StimulusPixels, Fault>>;
}

export function createImageShelf({ source, fetch }: ShelfOptions): ImageShelf {
  const shelf = new Map<number, ImageBitmap>();
  const jobs = new Map<number, TicketedJob & { readonly ready: (problem: string | null) => void }>();
  let nextTicket = 1;
  let worker = startWorker();

  function startWorker(): Worker | null {
    try {
      const started = new Worker(new URL("./decode.worker.ts", import.meta.url), { type: "module" });
      started.onmessage = (message: MessageEvent<Answer>) => settle(message.data);
      if (source !== null) tell(started, { kind: "source", address: source });
      // A page from a file may not start workers: decode here instead, jobs in progress again.
      started.onerror = () => {
        worker = null;
        for (const job of jobs.values()) decodeHere(job);
      };
      return started;
    } catch {
      return null;
    }
  }

  function decodeHere(job: TicketedJob): void {
    void answerJob(job, fetch(job.imageId).then((got) => (got.ok ? ok(pixelsOfText(got.value)) : got))).then(settle);
  }

  async function decodeThere(target: Worker, job: TicketedJob): Promise<void> {
    if (source !== null) return tell(target, { kind: "job", job, pixels: null });
    const pixels = await fetch(job.imageId);
    if (pixels.ok) tell(target, { kind: "job", job, pixels: pixels.value });
    else settle(await answerJob(job, Promise.resolve(pixels)));
  }

  function settle(answer: Answer): void {
    const job = jobs.get(answer.imageId);
    if (job === undefined || job.ticket !== answer.ticket) return answer.bitmap?.close();
    jobs.delete(answer.imageId);
    if (answer.bitmap === null && answer.problem === null) return;
    if (answer.bitmap !== null) {
      shelf.get(answer.imageId)?.close();
      shelf.set(answer.imageId, answer.bitmap);
    }
    job.ready(answer.problem);
  }

  function forget(imageId: number): void {
    jobs.delete(imageId);
    shelf.get(imageId)?.close();
    shelf.delete(imageId);
  }

  return {
    prepare(job, ready) {
      const ticketed: TicketedJob = { ...job, ticket: nextTicket++ };
      jobs.set(job.imageId, { ...ticketed, ready });
      if (worker === null) decodeHere(ticketed);
      else void decodeThere(worker, ticketed);
    },
    get: (imageId) => shelf.get(imageId),
    put(imageId, bitmap) {
      forget(imageId);
      shelf.set(imageId, bitmap);
    },
    release: (imageIds) => imageIds.forEach(forget),
    clear: () => [...shelf.keys(), ...jobs.keys()].forEach(forget),
  };
}

function tell(worker: Worker, message: WorkerMessage): void {
  worker.postMessage(message);
}
