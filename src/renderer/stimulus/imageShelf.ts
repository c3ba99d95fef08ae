// The images that are ready to be drawn, by id. Decodes off the drawing thread. Knows nothing about schedules or links.
import { decodeImage, type DecodeJob, type TicketedAnswer as Answer, type TicketedJob } from "./decode.ts";

export interface ImageShelf {
  /** Calls back once the bitmap exists; a later `prepare`, `release` or `clear` of the same id cancels it. */
  prepare(job: DecodeJob, ready: (problem: string | null) => void): void;
  get(imageId: number): ImageBitmap | undefined;
  /** A picture that needs no decoding. */
  put(imageId: number, bitmap: ImageBitmap): void;
  release(imageIds: readonly number[]): void;
  clear(): void;
}

export function createImageShelf(): ImageShelf {
  const shelf = new Map<number, ImageBitmap>();
  const jobs = new Map<number, TicketedJob & { readonly ready: (problem: string | null) => void }>();
  let nextTicket = 1;
  let worker = startWorker();

  function startWorker(): Worker | null {
    try {
      const started = new Worker(new URL("./decode.worker.ts", import.meta.url), { type: "module" });
      started.onmessage = (message: MessageEvent<Answer>) => settle(message.data);
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
    decodeImage(job).then(
      (bitmap) => settle({ imageId: job.imageId, ticket: job.ticket, bitmap, problem: null }),
      (error: unknown) => settle({ imageId: job.imageId, ticket: job.ticket, bitmap: null, problem: String(error) }),
    );
  }

  function settle(answer: Answer): void {
    const job = jobs.get(answer.imageId);
    if (job === undefined || job.ticket !== answer.ticket) return answer.bitmap?.close();
    jobs.delete(answer.imageId);
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
      else worker.postMessage(ticketed);
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
