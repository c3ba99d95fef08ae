// From frame times and the reports of a test's flashes to the figures of the display test. Knows nothing about pages.
import type { FrameReport } from "./flashProgram.ts";
import type { DisplayTimes } from "../../shared/contract/index.ts";

export const histogramBins = 41;

/** Frame times in order, ms, at least two. */
export function displayTimesOf({ frameTimesMs, reports, onFrames, periodMs, wasHidden }: { readonly frameTimesMs: ArrayLike<number>; readonly reports: readonly FrameReport[]; readonly onFrames: number; readonly periodMs: number; readonly wasHidden: boolean }): DisplayTimes {
  const intervals = new Float64Array(Math.max(0, frameTimesMs.length - 1));
  const histogram = Array.from({ length: histogramBins }, () => 0);
  let framesDropped = 0;
  for (let i = 0; i < intervals.length; i++) {
    const interval = (frameTimesMs[i + 1] ?? 0) - (frameTimesMs[i] ?? 0);
    intervals[i] = interval;
    framesDropped += Math.max(0, Math.round(interval / periodMs) - 1);
    const bin = Math.min(histogramBins - 1, Math.max(0, Math.round((interval / periodMs) * 10)));
    histogram[bin] = (histogram[bin] ?? 0) + 1;
  }
  // The plan counts from the first flash: one stall moves all that follow. Each onset is held against the one before it.
  const behind = reports.flatMap((r) => (r.kind === "onset" ? [r.flipMs - r.plannedMs] : []));
  const errors = Float64Array.from(behind, (ms, i) => ms - (behind[i - 1] ?? ms));
  const offsets = reports.filter((r) => r.kind === "offset");
  const sorted = intervals.toSorted();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  return {
    seconds: ((frameTimesMs[frameTimesMs.length - 1] ?? 0) - (frameTimesMs[0] ?? 0)) / 1000, refreshHz: 1000 / periodMs, frames: frameTimesMs.length,
    intervalMs: { ...momentsOf(intervals), min: at(0), p1: at(0.01), median: at(0.5), p99: at(0.99), max: at(1) },
    histogram: histogram.map((n) => n / Math.max(1, intervals.length)), framesDropped, flashes: behind.length,
    onsetErrorMs: { ...momentsOf(errors), max: errors.reduce((most, e) => Math.max(most, Math.abs(e)), 0) },
    wrongDurations: offsets.filter((r) => r.framesShown !== onFrames).length, wasHidden,
  };
}

function momentsOf(values: Float64Array): { readonly mean: number; readonly sd: number } {
  if (values.length === 0) return { mean: 0, sd: 0 };
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, sd: Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length) };
}
