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
  // Changes are reported with the time that they were due: what the window saw of one is the first frame from then on.
  let next = 0;
  const seenAt = (dueMs: number): number => {
    while (next < frameTimesMs.length - 1 && (frameTimesMs[next] ?? 0) < dueMs - periodMs / 2) next += 1;
    return frameTimesMs[next] ?? dueMs;
  };
  const errorsMs: number[] = [];
  let behindMs = 0;
  let onsetMs = 0;
  let wrongDurations = 0;
  for (const report of reports) {
    if (report.kind === "onset") {
      onsetMs = seenAt(report.flipMs);
      // The plan counts from the first flash: one that comes late moves all that follow, and is late once.
      const movedMs = report.flipMs - report.plannedMs;
      errorsMs.push(onsetMs - report.flipMs + (errorsMs.length === 0 ? 0 : movedMs - behindMs));
      behindMs = movedMs;
    } else if (report.kind === "offset" && (report.framesShown !== onFrames || Math.round((seenAt(report.flipMs) - onsetMs) / periodMs) !== onFrames)) wrongDurations += 1;
  }
  const errors = Float64Array.from(errorsMs);
  const sorted = intervals.toSorted();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  return {
    seconds: ((frameTimesMs[frameTimesMs.length - 1] ?? 0) - (frameTimesMs[0] ?? 0)) / 1000, refreshHz: 1000 / periodMs, frames: frameTimesMs.length,
    intervalMs: { ...momentsOf(intervals), min: at(0), p1: at(0.01), median: at(0.5), p99: at(0.99), max: at(1) },
    histogram: histogram.map((n) => n / Math.max(1, intervals.length)), framesDropped, flashes: errors.length,
    onsetErrorMs: { ...momentsOf(errors), max: errors.reduce((most, e) => Math.max(most, Math.abs(e)), 0) },
    wrongDurations, wasHidden,
  };
}

function momentsOf(values: Float64Array): { readonly mean: number; readonly sd: number } {
  if (values.length === 0) return { mean: 0, sd: 0 };
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, sd: Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length) };
}
