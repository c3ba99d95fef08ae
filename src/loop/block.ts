// One block of presentations: what is planned, in which order, what has been measured and what must be shown again.
// Knows nothing about screens, spikes or optimizers.
import type { Rng } from "../shared/rng.ts";

export interface PlannedImage {
  readonly imageId: number;
  /** Presentations wanted. */
  readonly repeats: number;
}

export interface Block {
  /** Distinct images in the order in which they are first due: decode them in this order. */
  readonly imageOrder: readonly number[];
  readonly planned: number;
  /** Presentations measured or given up. */
  readonly settled: number;
  readonly done: boolean;
  /** Up to `n` image ids due next, without taking them. */
  peek(n: number): readonly number[];
  take(n: number): readonly number[];
  /** A presentation gave a score (one per channel of interest is the caller's business). */
  measured(imageId: number): void;
  /** A presentation did not count: shown again at the end of the block, or given up after `attemptsMax`. Returns whether it will be shown again. */
  failed(imageId: number): boolean;
  /** A presentation that never reached the screen goes back to the front, in the order given; no attempt is used. */
  giveBack(imageIds: readonly number[]): void;
  /** Takes over what an interrupted run of this block had measured already. */
  restore(measuredImageIds: readonly number[]): void;
  /** Gives up everything that is not measured yet (skip). Presentations under way may still be measured. */
  giveUp(): void;
  /** What was measured of these counts no more: they are shown again, at the end of the block. One entry a presentation. */
  again(imageIds: readonly number[]): void;
  readonly missing: number;
}

/** Order: every image once, shuffled, before any image a second time (balanced within the block). */
export function planBlock({ images, attemptsMax, rng }: { readonly images: readonly PlannedImage[]; readonly attemptsMax: number; readonly rng: Rng }): Block {
  const rounds = Math.max(0, ...images.map((i) => i.repeats));
  let queue: number[] = [];
  for (let round = 0; round < rounds; round++) {
    queue.push(...rng.shuffle(images.filter((i) => i.repeats > round).map((i) => i.imageId)));
  }
  const planned = queue.length;
  const imageOrder = [...new Set(queue)];
  const attempts = new Map<number, number>();
  const repeats = new Map(images.map((i) => [i.imageId, i.repeats]));
  let settled = 0;
  let missing = 0;

  return {
    imageOrder,
    planned,
    get settled() {
      return settled;
    },
    get missing() {
      return missing;
    },
    get done() {
      return settled >= planned;
    },
    peek: (n) => queue.slice(0, n),
    take(n) {
      const taken = queue.slice(0, n);
      queue = queue.slice(n);
      return taken;
    },
    measured() {
      settled += 1;
    },
    failed(imageId) {
      const used = (attempts.get(imageId) ?? 0) + 1;
      attempts.set(imageId, used);
      if (used >= attemptsMax * (repeats.get(imageId) ?? 1)) {
        settled += 1;
        missing += 1;
        return false;
      }
      queue.push(imageId);
      return true;
    },
    giveBack(imageIds) {
      queue = [...imageIds, ...queue];
    },
    restore(measuredImageIds) {
      for (const imageId of measuredImageIds) {
        const at = queue.indexOf(imageId);
        if (at < 0) continue;
        queue.splice(at, 1);
        settled += 1;
      }
    },
    again(imageIds) {
      queue.push(...imageIds);
      settled -= imageIds.length;
    },
    giveUp() {
      settled += queue.length;
      missing += queue.length;
      queue = [];
    },
  };
}
