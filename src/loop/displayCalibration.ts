// The display's lag at the start of a run: the photodiode patch is flashed without an image, and the rig's marks are compared with the flips.
// A browser's pipeline is of another depth from one start to the next, so it is measured every time. Knows nothing about trials or images.
import type { SeenImage } from "../analysis/photodiode.ts";
import type { ClockMap, PlannedFlash } from "../shared/ports.ts";
import type { DisplayCalibrationRecord } from "../shared/records.ts";
import { patchLevelOf } from "../shared/patchCode.ts";
import { nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";

export interface CalibrationPlan {
  readonly flashes: number;
  readonly onFrames: number;
  readonly offFrames: number;
}

/** A mark belongs to a flip when it comes this long after it. Before: transport times are not known to the millisecond. After: sooner than the next flash's. */
const beforeMs = 10;
const afterMsMax = 100;
const afterShareMax = 0.8;
/** Lags that no working display has, and the spread above which onsets are not to be trusted, in refreshes. */
const lagMsMax = 60;
const lagMsMin = -5;
const spreadRefreshesMax = 0.5;

/** Presentations of a calibration have ids below zero: they are none of the session's. */
export function calibrationFlashes({ flashes, onFrames, offFrames }: CalibrationPlan): PlannedFlash[] {
  return Array.from({ length: flashes }, (_, i) => ({ presentationId: -(i + 1), imageId: 0, onFrames, offFrames }));
}

export interface DisplayCalibration {
  flip(presentationId: number, flipHostNs: HostTimeNs): void;
  /** A mark that is an onset; `level` of the coded patch, null where the rig has two states. */
  mark(rigNs: number, level: number | null): void;
  finish(map: ClockMap | null): DisplayCalibrationRecord;
}

export interface CalibrationOptions extends Pick<DisplayCalibrationRecord, "refreshHz" | "photodiodeCode"> {
  readonly onFrames: number;
  readonly offFrames: number;
  /** What the photodiode saw of the flash that lit up at this rig time. */
  readonly seenAt: (onsetRigNs: number) => SeenImage | null;
}

export function createDisplayCalibration({ refreshHz, photodiodeCode, onFrames, offFrames, seenAt }: CalibrationOptions): DisplayCalibration {
  const flips: { readonly presentationId: number; readonly flipHostNs: HostTimeNs }[] = [];
  const marks: { readonly rigNs: number; readonly level: number | null }[] = [];
  const afterMs = Math.min(afterMsMax, (afterShareMax * 1000 * (onFrames + offFrames)) / refreshHz);
  return {
    flip: (presentationId, flipHostNs) => void flips.push({ presentationId, flipHostNs }),
    mark: (rigNs, level) => void marks.push({ rigNs, level }),
    finish(map) {
      const common = { kind: "displayCalibration" as const, refreshHz, photodiodeCode, flashes: flips.length };
      if (flips.length === 0) return skippedCalibration({ ...common, why: "The display showed none of the flashes." });
      if (map === null) return skippedCalibration({ ...common, why: "The rig's clock was not known by the end of the flashes." });
      // Strobes and boxes with a pulse of their own length do not tell durations.
      const durationsSeen = marks.filter(({ rigNs }) => Math.abs((seenAt(rigNs)?.frames ?? Number.POSITIVE_INFINITY) - onFrames) <= 1).length;
      const lags = flips.flatMap(({ presentationId, flipHostNs }) => {
        const expected = map.toRig(flipHostNs);
        // Under the coded patch a flash's first level says which it is, mod 3: the light of another one is not taken for it.
        const found = marks.find(({ rigNs, level }) => rigNs > expected - beforeMs * nsPerMs && rigNs < expected + afterMs * nsPerMs && (level === null || level === patchLevelOf(presentationId, 0, 1)));
        return found === undefined ? [] : [(found.rigNs - expected) / nsPerMs];
      });
      if (lags.length < 2) return { ...skippedCalibration({ ...common, why: "The rig had no photodiode mark of the flashes: onsets are the display's own, without its lag." }), marks: lags.length };
      const mean = lags.reduce((a, b) => a + b, 0) / lags.length;
      const sd = Math.sqrt(lags.reduce((sum, lag) => sum + (lag - mean) ** 2, 0) / (lags.length - 1));
      return { ...common, marks: lags.length, durationsSeen, lagMsMedian: lags.toSorted((a, b) => a - b)[lags.length >> 1] ?? mean, lagMsMean: mean, lagMsSd: sd, lagMsMin: Math.min(...lags), lagMsMax: Math.max(...lags), skipped: "" };
    },
  };
}

export function skippedCalibration({ why, refreshHz, photodiodeCode, flashes }: Pick<DisplayCalibrationRecord, "refreshHz" | "photodiodeCode" | "flashes"> & { readonly why: string }): DisplayCalibrationRecord {
  return { kind: "displayCalibration", refreshHz, photodiodeCode, flashes, marks: 0, durationsSeen: 0, lagMsMedian: null, lagMsMean: null, lagMsSd: null, lagMsMin: null, lagMsMax: null, skipped: why };
}

/** The lag that a session goes by, ms: the median where a display can have it; null = none is known. */
export function usableLagMs({ lagMsMedian }: DisplayCalibrationRecord): number | null {
  return lagMsMedian === null || lagMsMedian > lagMsMax || lagMsMedian < lagMsMin ? null : lagMsMedian;
}

/** What is wrong with a calibration, in a sentence; null where nothing is. */
export function judgeCalibration({ flashes, marks, lagMsMedian, lagMsMean, lagMsSd, refreshHz }: DisplayCalibrationRecord): string | null {
  if (lagMsMedian === null || lagMsMean === null || lagMsSd === null) return null;
  const periodMs = 1000 / refreshHz;
  if (lagMsSd > spreadRefreshesMax * periodMs) return `The display's lag varies by ${lagMsSd.toFixed(1)} ms (SD) about ${lagMsMean.toFixed(1)} ms, more than half a refresh: close other programs, use full screen and 100 % scaling, and restart the stimulus window.`;
  if (lagMsMedian > lagMsMax || lagMsMedian < lagMsMin) return `The display's lag is ${lagMsMedian.toFixed(1)} ms, expected ${lagMsMin} to ${lagMsMax} ms: is the photodiode on this screen's patch?`;
  if (marks < 0.9 * flashes) return `Only ${marks} of ${flashes} flashes had a photodiode mark: check the photodiode's place and threshold.`;
  return null;
}

/** How many of the last lags decide whether the display's lag has changed. */
const recentCount = 10;

/** Follows the lag during a session: the display's pipeline can change its depth at any time. */
export interface LagWatch {
  /** Deviation of an onset from the calibrated lag, ms. Returns the mean of the last ones where there are enough. */
  add(errorMs: number): number | null;
}

export function createLagWatch(): LagWatch {
  const recent: number[] = [];
  return {
    add(errorMs) {
      recent.push(errorMs);
      if (recent.length > recentCount) recent.shift();
      return recent.length < recentCount ? null : recent.reduce((a, b) => a + b, 0) / recent.length;
    },
  };
}
