// Is this display good enough for this task? From what the stimulus window measured to findings in sentences. Knows nothing about windows.
import type { DisplayFinding, DisplayTestArgs, DisplayTestResult, DisplayTimes, WindowFacts } from "../shared/contract/display.ts";

export interface DisplayMeasurement {
  readonly task: DisplayTestArgs;
  readonly times: DisplayTimes;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly window: WindowFacts | null;
}

/** A duration may differ from what was asked for by this much before it is worth a sentence, ms. */
const durationToleranceMs = 1;
/** Share of refreshes without a frame above which a display is not good enough: one image in a hundred of twelve frames. */
const droppedShareMax = 0.001;
const wrongShareMax = 0.01;
const refreshToleranceShare = 0.01;

export function framesOf(ms: number, refreshHz: number): number {
  return Math.round((ms * refreshHz) / 1000);
}

export function judgeDisplay(m: DisplayMeasurement): DisplayTestResult {
  const { task, times } = m;
  const onFrames = Math.max(1, framesOf(task.onMs, times.refreshHz));
  const offFrames = framesOf(task.offMs, times.refreshHz);
  const findings = [refreshFinding(m), ...windowFindings(m), durationFinding("on", task.onMs, onFrames, times.refreshHz), durationFinding("off", task.offMs, offFrames, times.refreshHz), dropFinding(times), onsetFinding(times), wrongFinding(times)];
  const faults = findings.filter((f) => f.level === "fault");
  const good = faults.length === 0;
  return {
    good, findings, task, onFrames, offFrames, widthPx: m.widthPx, heightPx: m.heightPx, window: m.window, times,
    verdict: good
      ? `Good enough for images of ${task.onMs} ms every ${task.onMs + task.offMs} ms, as far as the window can tell. What the light does, a photodiode tells at the start of every session.`
      : `Not good enough for images of ${task.onMs} ms every ${task.onMs + task.offMs} ms: ${faults.map((f) => f.message).join(" ")}`,
  };
}

function finding(code: string, level: DisplayFinding["level"], message: string): DisplayFinding {
  return { code, level, message };
}

function refreshFinding({ task, times }: DisplayMeasurement): DisplayFinding {
  const measured = `${times.refreshHz.toFixed(2)} Hz`;
  if (task.refreshHz === null || Math.abs(times.refreshHz / task.refreshHz - 1) <= refreshToleranceShare) return finding("refresh", "ok", `The display refreshes at ${measured}.`);
  return finding("refresh", "fault", `The display refreshes at ${measured}, ${task.refreshHz} Hz was expected: choose the mode in the system's display settings, and check that the window is on the right display.`);
}

function windowFindings({ window, widthPx, heightPx }: DisplayMeasurement): DisplayFinding[] {
  if (window === null) return [];
  const scaling = `${Math.round(window.pixelRatio * 100)} %`;
  // A window without a manager may lack its last column and row.
  const covers = widthPx >= window.screenWidthPx - 2 && heightPx >= window.screenHeightPx - 2;
  return [
    window.pixelRatio === 1 ? finding("scaling", "ok", "Display scaling is 100 %.") : finding("scaling", "fault", `Display scaling or zoom is ${scaling}: set both to 100 %, other scalings add a frame of delay and blur the images.`),
    window.fullScreen && covers
      ? finding("fullScreen", "ok", `The window covers the screen (${widthPx} x ${heightPx} px).`)
      : finding("fullScreen", "fault", `The window is ${widthPx} x ${heightPx} px on a screen of ${window.screenWidthPx} x ${window.screenHeightPx} px and not full screen: press F in it. Windows beside it add a frame of delay.`),
  ];
}

function durationFinding(part: "on" | "off", wantedMs: number, frames: number, refreshHz: number): DisplayFinding {
  const shownMs = (frames * 1000) / refreshHz;
  const what = part === "on" ? "An image" : "The blank";
  const off = shownMs - wantedMs;
  const text = `${what} of ${wantedMs} ms is ${frames} frames, ${shownMs.toFixed(1)} ms`;
  return Math.abs(off) <= durationToleranceMs
    ? finding(`${part}Frames`, "ok", `${text}.`)
    : finding(`${part}Frames`, "warn", `${text}: ${refreshHz.toFixed(0)} Hz has no whole number of frames for it. Ask for ${shownMs.toFixed(1)} ms, or choose another refresh rate.`);
}

function dropFinding({ frames, framesDropped, intervalMs, wasHidden }: DisplayTimes): DisplayFinding {
  if (wasHidden) return finding("dropped", "fault", "The window was hidden during the test: keep it uncovered and test again.");
  const share = framesDropped / Math.max(1, frames + framesDropped);
  const text = `${framesDropped} of ${frames + framesDropped} frames dropped, longest interval ${intervalMs.max.toFixed(1)} ms`;
  if (framesDropped === 0) return finding("dropped", "ok", `No frame of ${frames} was dropped.`);
  return share <= droppedShareMax
    ? finding("dropped", "warn", `${text}. Images hit by one are shown again.`)
    : finding("dropped", "fault", `${text}: close other programs, and use a graphics driver with hardware acceleration.`);
}

function onsetFinding({ onsetErrorMs, refreshHz, flashes }: DisplayTimes): DisplayFinding {
  const text = `From one onset to the next the plan was missed by ${onsetErrorMs.mean.toFixed(2)} ms on average (SD ${onsetErrorMs.sd.toFixed(2)} ms, at most ${onsetErrorMs.max.toFixed(1)} ms) over ${flashes} flashes`;
  return onsetErrorMs.max < 500 / refreshHz ? finding("onset", "ok", `${text}.`) : finding("onset", "warn", `${text}: the plan moved by whole frames. Recorded onsets are the real ones all the same.`);
}

function wrongFinding({ wrongDurations, flashes }: DisplayTimes): DisplayFinding {
  if (wrongDurations === 0) return finding("durations", "ok", `Every one of ${flashes} flashes stood for its frames.`);
  const text = `${wrongDurations} of ${flashes} flashes stood too long`;
  return wrongDurations <= wrongShareMax * flashes ? finding("durations", "warn", `${text}.`) : finding("durations", "fault", `${text}: this computer is too busy for frame-accurate images.`);
}
