// A clock that runs as fast as the machine allows, in the same order on every run. Knows nothing about who sets the timers.
import type { Clock } from "../shared/ports.ts";
import { hostTimeNs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  fire: (() => void) | null;
}

export interface VirtualClock extends Clock {
  /** Fires timers in time order until `done()` is true, standing still while held work is unsettled. Throws when nothing is left to wait for. */
  run(done: () => boolean): Promise<void>;
}

/**
 * `settle` gives every promise continuation that is ready a chance to run (a host passes one turn of its event loop); it is awaited
 * after every timer, so that the order of timers and continuations is the same on every run.
 */
export function createVirtualClock({ settle }: { readonly settle: () => Promise<void> }): VirtualClock {
  let now = 0;
  let order = 0;
  let held = 0;
  let wake: (() => void) | null = null;
  const heap: Timer[] = [];

  const earlier = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  function push(timer: Timer): void {
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const p = heap[parent];
      if (p === undefined || !earlier(timer, p)) break;
      heap[i] = p;
      i = parent;
    }
    heap[i] = timer;
  }

  function pop(): Timer | null {
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined) return null;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      let c = heap[child];
      if (c === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && earlier(right, c)) {
        c = right;
        child += 1;
      }
      if (!earlier(c, last)) break;
      heap[i] = c;
      i = child;
    }
    heap[i] = last;
    return top;
  }

  return {
    isVirtual: true,
    now: () => hostTimeNs(now),
    setTimer(at: HostTimeNs, fire: () => void) {
      const timer: Timer = { at: Math.max(at, now), order: order++, fire };
      push(timer);
      return () => {
        timer.fire = null;
      };
    },
    async hold(work) {
      held += 1;
      try {
        return await work;
      } finally {
        held -= 1;
        wake?.();
      }
    },
    async run(done) {
      for (;;) {
        await settle();
        if (done()) return;
        if (held > 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = null;
          continue;
        }
        const timer = pop();
        if (timer === null) throw new Error("expected a timer or held work to wait for, got none: the loop would never end");
        if (timer.fire === null) continue;
        now = timer.at;
        timer.fire();
      }
    },
  };
}
