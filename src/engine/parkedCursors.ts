// States of a recorded session kept ready along its length, so that a seek goes forward from the nearest one instead of from the beginning.
// Knows nothing about windows.
//
// A state is a cursor that stands still: the loop's own objects, not a copy of them. So a protocol needs no code for it, a lab's own included.
import type { ReplayCursor } from "./replayCursor.ts";

export interface ParkedCursors {
  /** Takes out the one nearest before `toMs`; null where none is. */
  takeBefore(toMs: number): ReplayCursor | null;
  /** Position of the one nearest before `toMs`; null where none is. */
  nearestBefore(toMs: number): number | null;
  /** Keeps a cursor where it stands. Of too many the one that is missed least goes. */
  park(cursor: ReplayCursor): void;
  /** Works on states that are missing until `untilMs` (performance.now()); false when there is nothing to do. */
  fill(untilMs: number): boolean;
  readonly positionsMs: readonly number[];
}

const statesMax = 12;
/** So much of a session is replayed in about a tenth of a second: closer states would help nobody. */
const spacingMsMin = 20_000;

export function createParkedCursors({ durationMs, open }: { readonly durationMs: number; readonly open: () => ReplayCursor }): ParkedCursors {
  const count = Math.min(statesMax, Math.floor(durationMs / spacingMsMin));
  const spacingMs = durationMs / (count + 1);
  /** Middle, quarters, eighths, ...: a few states serve the whole session before the last is there. */
  const wantedMs = inHalves(1, count + 1).map((k) => k * spacingMs);
  let parked: ReplayCursor[] = [];
  let building: { readonly cursor: ReplayCursor; readonly toMs: number } | null = null;

  const isCovered = (ms: number): boolean => parked.some((c) => Math.abs(c.positionMs - ms) < spacingMs / 2);

  function park(cursor: ReplayCursor): void {
    if (cursor.positionMs <= 0) return;
    parked = [...parked, cursor].sort((a, b) => a.positionMs - b.positionMs);
    if (parked.length <= statesMax) return;
    const gaps = parked.map((c, i) => c.positionMs - (parked[i - 1]?.positionMs ?? 0));
    parked.splice(gaps.indexOf(Math.min(...gaps)), 1);
  }

  const lastBefore = (toMs: number): ReplayCursor | undefined => parked.findLast((c) => c.positionMs <= toMs);

  return {
    takeBefore(toMs) {
      const found = lastBefore(toMs);
      if (found === undefined) return null;
      parked = parked.filter((c) => c !== found);
      return found;
    },
    nearestBefore: (toMs) => lastBefore(toMs)?.positionMs ?? null,
    park,
    fill(untilMs) {
      if (building === null) {
        const toMs = wantedMs.find((ms) => !isCovered(ms));
        if (toMs === undefined) return false;
        building = { cursor: open(), toMs };
      }
      const { cursor, toMs } = building;
      while (performance.now() < untilMs) {
        if (cursor.nextMs <= toMs && cursor.takeOne()) continue;
        building = null;
        park(cursor);
        break;
      }
      return true;
    },
    get positionsMs() {
      return parked.map((c) => c.positionMs);
    },
  };
}

/** The whole numbers from `low` to `high` - 1, the middle first. */
function inHalves(low: number, high: number): number[] {
  if (low >= high) return [];
  const middle = (low + high) >> 1;
  const [left, right] = [inHalves(low, middle), inHalves(middle + 1, high)];
  return [middle, ...Array.from({ length: Math.max(left.length, right.length) }, (_, i) => [left[i], right[i]]).flat().filter((k) => k !== undefined)];
}
