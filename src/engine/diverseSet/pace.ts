// How long a build still takes in the phase that it is in, by how fast it went there so far. Knows nothing about what is done.
import type { DiverseSetPhase } from "../../shared/contract/index.ts";

export interface Pace {
  /** Seconds left in this phase; null = not known yet. */
  remainingS(progress: { readonly phase: DiverseSetPhase; readonly done: number; readonly total: number }, nowMs: number): number | null;
  /** It was held until now: the time does not count. */
  startAnew(done: number, nowMs: number): void;
}

/** Before that a phase says nothing about its pace. */
const leastMs = 1000;

export function createPace(): Pace {
  let phase: DiverseSetPhase | null = null;
  let startedMs = 0;
  let startedAt = 0;
  return {
    remainingS(progress, nowMs) {
      if (progress.phase !== phase || progress.done < startedAt) {
        phase = progress.phase;
        startedMs = nowMs;
        startedAt = progress.done;
      }
      const came = progress.done - startedAt;
      const spentMs = nowMs - startedMs;
      return came > 0 && spentMs > leastMs && progress.total > 0 ? Math.round(((progress.total - progress.done) * spentMs) / came / 1000) : null;
    },
    startAnew(done, nowMs) {
      startedMs = nowMs;
      startedAt = done;
    },
  };
}
