// The display's refresh period from animation-frame times, robust to dropped frames. Knows nothing about the page.

export interface RefreshEstimate {
  readonly periodMs: number;
  readonly refreshHz: number;
  /** Intervals that were not one refresh long. */
  readonly irregular: number;
}

/** Frame times in order, ms, at least 10. null where they are too few or do not advance. */
export function estimateRefresh(frameTimesMs: readonly number[]): RefreshEstimate | null {
  const intervals = frameTimesMs.slice(1).map((t, i) => t - (frameTimesMs[i] ?? t)).filter((interval) => interval > 0);
  if (intervals.length < 9) return null;
  const median = medianOf(intervals);
  // The median carries the clock's resolution (0.1 ms); the whole span divided by its refreshes does not.
  const counted = intervals.map((interval) => ({ interval, refreshes: Math.max(1, Math.round(interval / median)) }));
  const usable = counted.filter(({ interval, refreshes }) => Math.abs(interval - refreshes * median) < 0.25 * median);
  const span = usable.reduce((sum, { interval }) => sum + interval, 0);
  const refreshes = usable.reduce((sum, { refreshes: n }) => sum + n, 0);
  const periodMs = refreshes > 0 ? span / refreshes : median;
  return { periodMs, refreshHz: 1000 / periodMs, irregular: counted.filter(({ refreshes: n }) => n !== 1).length };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
