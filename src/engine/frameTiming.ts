// How the display keeps time during a session: missed frames, onsets against the plan, lag of the light. Gathered from the records of
// flips, live or replayed. Knows nothing about windows or displays.
import { usableLagMs } from "../loop/displayCalibration.ts";
import type { FrameTiming } from "../shared/contract/index.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { nsPerMs } from "../shared/units.ts";

const recentMax = 150;
const lagFromMs = -5;
const lagBinMs = 0.5;
const lagBins = 110;

export interface FrameTimings {
  add(body: SessionRecordBody): void;
  /** null before an image's frames are known. Makes new arrays. */
  view(): FrameTiming | null;
}

export function createFrameTimings(): FrameTimings {
  let refreshHz: number | null = null;
  let calibratedLagMs = 0;
  let images = 0;
  let missed = 0;
  let deviationMsMax = 0;
  const deviationMs: number[] = [];
  const wasMissed: boolean[] = [];
  const counts = new Array<number>(lagBins).fill(0);
  // Welford's running mean and sum of squared differences.
  let n = 0;
  let meanMs = 0;
  let squares = 0;

  function addLag(lagMs: number): void {
    n += 1;
    const delta = lagMs - meanMs;
    meanMs += delta / n;
    squares += delta * (lagMs - meanMs);
    const bin = Math.min(lagBins - 1, Math.max(0, Math.floor((lagMs - lagFromMs) / lagBinMs)));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }

  return {
    add(body) {
      if (body.kind === "displayCalibration") {
        refreshHz = body.refreshHz;
        // The deviations of marks are told against this lag.
        calibratedLagMs = usableLagMs(body) ?? 0;
        return;
      }
      // An image that was cut short on purpose says nothing about the display, unless a frame of it was late.
      if (body.kind !== "flip" || (body.framesShown < body.framesPlanned && body.lateFrames === 0)) return;
      const deviation = (body.onsetHostNs - body.plannedHostNs) / nsPerMs;
      const isMissed = body.framesShown !== body.framesPlanned || (body.framesSeen === null ? body.lateFrames > 0 : body.framesSeen !== body.framesPlanned);
      images += 1;
      if (isMissed) missed += 1;
      if (Math.abs(deviation) > Math.abs(deviationMsMax)) deviationMsMax = deviation;
      deviationMs.push(deviation);
      wasMissed.push(isMissed);
      if (deviationMs.length > recentMax) {
        deviationMs.shift();
        wasMissed.shift();
      }
      if (body.onsetErrorMs !== null) addLag(body.onsetErrorMs + calibratedLagMs);
    },
    view: () => images === 0 ? null : {
      images, missed, refreshHz, deviationMs: deviationMs.map((d) => Math.round(d * 100) / 100), wasMissed: [...wasMissed], deviationMsMax,
      lag: { fromMs: lagFromMs, binMs: lagBinMs, counts: [...counts], n, meanMs, sdMs: n < 2 ? 0 : Math.sqrt(squares / (n - 1)) },
    },
  };
}
