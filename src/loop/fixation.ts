// Is the animal fixating, and was it between two rig times? Knows nothing about trials.
import { nsPerMs, rigTimeNs } from "../shared/units.ts";
import type { RigTimeNs } from "../shared/units.ts";
import type { EyeBatch } from "../shared/values.ts";

export interface FixationMonitor {
  /** Takes samples in time order. Returns the changes of state that they caused, oldest first. */
  add(batch: EyeBatch): readonly { readonly inside: boolean; readonly atRigNs: RigTimeNs }[];
  /** Inside the window now, excursions shorter than the grace time forgiven. */
  readonly inside: boolean;
  /** Eye data have been seen up to here; -Infinity before the first sample. */
  readonly watermarkRigNs: number;
  /** True when no break overlaps [from, to]. Ask only for times up to the watermark. */
  heldBetween(fromRigNs: RigTimeNs, toRigNs: RigTimeNs): boolean;
  /** Fraction of the last two seconds of samples inside the window; null before the first sample. */
  readonly holdFraction: number | null;
}

/**
 * Square window of `windowDeg` per side centred on the fixation spot (SPEC 1). A lost track counts as outside once it has lasted for `blinkMsMax`
 * (or `graceMs`, where that is longer); a gaze that is seen outside after `graceMs`.
 */
export function createFixationMonitor({ windowDeg, graceMs, blinkMsMax = 0 }: { readonly windowDeg: number; readonly graceMs: number; readonly blinkMsMax?: number }): FixationMonitor {
  const half = windowDeg / 2;
  const graceNs = graceMs * nsPerMs;
  const blinkNs = Math.max(graceMs, blinkMsMax) * nsPerMs;
  let inside = false;
  /** Not seen inside since; seen outside since. */
  let leftAt: number | null = null;
  let outAt: number | null = null;
  let watermark = Number.NEGATIVE_INFINITY;
  /** Breaks as [left, came back), newest last; the open one ends at Infinity. */
  const breaks: { from: number; to: number }[] = [{ from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }];
  let share: number | null = null;

  function leave(at: number): void {
    inside = false;
    breaks.push({ from: at, to: Number.POSITIVE_INFINITY });
    if (breaks.length > 256) breaks.shift();
  }

  return {
    add(batch) {
      const changes: { inside: boolean; atRigNs: RigTimeNs }[] = [];
      for (let i = 0; i < batch.timesRigNs.length; i++) {
        const t = batch.timesRigNs[i] ?? 0;
        const x = batch.xDeg[i] ?? Number.NaN;
        const y = batch.yDeg[i] ?? Number.NaN;
        const within = batch.valid[i] === 1 && Math.abs(x) <= half && Math.abs(y) <= half;
        share = share === null ? (within ? 1 : 0) : share + ((within ? 1 : 0) - share) / 1000;
        if (within) {
          leftAt = null;
          outAt = null;
          if (!inside) {
            inside = true;
            const open = breaks.at(-1);
            if (open !== undefined && open.to === Number.POSITIVE_INFINITY) open.to = t;
            changes.push({ inside: true, atRigNs: rigTimeNs(t) });
          }
        } else if (inside) {
          leftAt ??= t;
          outAt = batch.valid[i] === 1 ? (outAt ?? t) : null;
          const from = t - leftAt >= blinkNs ? leftAt : outAt !== null && t - outAt >= graceNs ? outAt : null;
          if (from !== null) {
            leave(from);
            changes.push({ inside: false, atRigNs: rigTimeNs(from) });
            leftAt = null;
            outAt = null;
          }
        }
        watermark = t;
      }
      return changes;
    },
    get inside() {
      return inside;
    },
    get watermarkRigNs() {
      // A running excursion may yet become a break from its start on.
      return leftAt === null ? watermark : Math.min(watermark, leftAt);
    },
    heldBetween(fromRigNs, toRigNs) {
      return !breaks.some((b) => b.from < toRigNs && b.to > fromRigNs);
    },
    get holdFraction() {
      return share;
    },
  };
}

/** For subjects without an eye tracker: always inside. */
export function createFreeViewing(): FixationMonitor {
  return { add: () => [], inside: true, watermarkRigNs: Number.POSITIVE_INFINITY, heldBetween: () => true, holdFraction: null };
}
