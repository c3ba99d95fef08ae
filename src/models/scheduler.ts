// Whose turn it is: one model run at a time, what a running session waits for first. Knows nothing about models.

/** live: a decode or an opening that the loop waits for; soon: features of shown images; background: in-silico work. */
export type Urgency = "live" | "soon" | "background";

const order: readonly Urgency[] = ["live", "soon", "background"];

export interface Scheduler {
  /** Runs `work` when nothing else runs and nothing more urgent waits; equals go in order of arrival. */
  run<T>(urgency: Urgency, work: () => Promise<T>): Promise<T>;
}

export function createScheduler(): Scheduler {
  const waiting: Record<Urgency, (() => Promise<void>)[]> = { live: [], soon: [], background: [] };
  let running = false;

  async function drain(): Promise<void> {
    if (running) return;
    running = true;
    for (;;) {
      const next = order.map((urgency) => waiting[urgency]).find((queue) => queue.length > 0)?.shift();
      if (next === undefined) break;
      await next();
      // A run of a model blocks the thread: let messages in before choosing the next, or urgent work could not overtake.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    running = false;
  }

  return {
    run(urgency, work) {
      return new Promise((resolve, reject) => {
        waiting[urgency].push(() => work().then(resolve, reject));
        void drain();
      });
    },
  };
}
