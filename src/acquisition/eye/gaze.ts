// An eye tracker from whatever gives raw samples: calibration, blink handling, drift correction and the way onto the rig's clock are the same for
// all. Knows nothing about any tracker's protocol.
import type { EyeCalibration } from "../../shared/contract/rig.ts";
import { gazeDeg } from "../../shared/eyeCalibration.ts";
import type { Clock, ClockMap, EyeTracker } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { addMs, hostTimeNs, msBetween, nsPerMs, nsPerS } from "../../shared/units.ts";
import type { HostTimeNs } from "../../shared/units.ts";
import type { EyeBatch, RawGazeBatch } from "../../shared/values.ts";

/** What a driver of a tracker makes: samples in the tracker's own units, as they come. It tries again by itself when it loses its peer. */
export interface RawGaze {
  readonly name: string;
  readonly address: string;
  /** Whether the samples are degrees already: a calibration is then not asked for. */
  readonly isDegrees: boolean;
  /** How the samples' times were brought onto this computer's clock, with what that leaves open; left out where they come with the rig's. */
  readonly clockWords?: string;
  start(listener: { readonly samples: (batch: RawGazeBatch) => void; readonly problem: (problem: string | null) => void }): Promise<Result<void, Fault>>;
  stop(): Promise<void>;
}

export interface GazeTrackerOptions {
  readonly clock: Clock;
  readonly raw: RawGaze;
  /** Host to rig time; null before it is known: samples until then are not placed and not given. */
  readonly map: () => ClockMap | null;
  readonly calibration: EyeCalibration | null;
  readonly blinkPadMs: number;
}

/** Silence after which the eye counts as lost. */
const staleMs = 250;
const watchMs = 50;
/** Over how long drift correction and the figures look back. */
const recentMs = 200;

export function createGazeTracker(options: GazeTrackerOptions): EyeTracker {
  const { clock, raw } = options;
  const padNs = options.blinkPadMs * nsPerMs;
  let calibration = options.calibration;
  let listener: ((samples: EyeBatch) => void) | null = null;
  let onRaw: ((samples: RawGazeBatch) => void) | null = null;
  let onProblem: (problem: string | null) => void = () => undefined;
  let problem: string | null = null;
  let cancelWatch: () => void = () => undefined;
  let newest: HostTimeNs | null = null;
  let isStale = false;
  let offsetX = 0;
  let offsetY = 0;
  let lastNs = Number.NEGATIVE_INFINITY;
  let received = 0;
  let unplaced = 0;
  let isHostTimed = false;
  let rateHz = 0;
  let counted = 0;
  let countedFromNs: number | null = null;
  let lostShare = 0;
  /** Waiting until it is known whether a blink follows. */
  let held: { ns: number; x: number; y: number; valid: boolean }[] = [];
  let blinkEndNs = Number.NEGATIVE_INFINITY;
  /** The last valid places, for drift correction; before the offset. */
  let recent: { ns: number; x: number; y: number }[] = [];
  let lastX = 0;
  let lastY = 0;

  function say(next: string | null): void {
    if (next === problem) return;
    problem = next;
    onProblem(next);
  }

  function take(batch: RawGazeBatch): void {
    newest = clock.now();
    if (isStale) {
      isStale = false;
      say(null);
    }
    onRaw?.({ clock: batch.clock, timesNs: batch.timesNs.slice(), x: batch.x.slice(), y: batch.y.slice(), valid: batch.valid.slice() });
    received += batch.timesNs.length;
    isHostTimed = batch.clock === "host";
    const map = isHostTimed ? options.map() : null;
    if (batch.clock === "host" && map === null) {
      unplaced += batch.timesNs.length;
      return;
    }
    for (let i = 0; i < batch.timesNs.length; i++) {
      const time = batch.timesNs[i] ?? 0;
      put(map === null ? time : map.toRig(hostTimeNs(time)), batch.x[i] ?? 0, batch.y[i] ?? 0, batch.valid[i] === 1);
    }
    giveOut();
  }

  function put(rigNs: number, rawX: number, rawY: number, seen: boolean): void {
    let ns = rigNs;
    // A line that was fitted anew may place a sample before its predecessor by a little: order is kept. A clock that was set back is another matter.
    if (ns <= lastNs) {
      if (lastNs - ns < 1000 * nsPerMs) ns = lastNs + 1;
      else restart();
    }
    if (countedFromNs === null) countedFromNs = ns;
    counted += 1;
    if (ns - countedFromNs >= nsPerS) {
      rateHz = (counted * nsPerS) / (ns - countedFromNs);
      counted = 0;
      countedFromNs = ns;
    }
    lastNs = ns;
    const at = calibration === null ? { xDeg: rawX, yDeg: rawY } : gazeDeg(calibration, rawX, rawY);
    const isSeen = seen && Number.isFinite(at.xDeg) && Number.isFinite(at.yDeg);
    lostShare += ((isSeen ? 0 : 1) - lostShare) / 1000;
    if (isSeen) {
      lastX = at.xDeg;
      lastY = at.yDeg;
      recent.push({ ns, x: at.xDeg, y: at.yDeg });
      while ((recent[0]?.ns ?? ns) < ns - recentMs * nsPerMs) recent.shift();
    } else {
      // The lid was on its way down before the tracker lost the eye.
      for (const sample of held) if (sample.ns >= ns - padNs) sample.valid = false;
      blinkEndNs = ns;
    }
    // What a lost track reports is meaningless; the last place is given, marked as not valid.
    held.push({ ns, x: lastX, y: lastY, valid: isSeen && ns > blinkEndNs + (blinkEndNs === Number.NEGATIVE_INFINITY ? 0 : padNs) });
  }

  function giveOut(): void {
    let count = 0;
    while (count < held.length && (padNs === 0 || (held[count]?.ns ?? 0) <= lastNs - padNs)) count += 1;
    if (count === 0 || listener === null) return;
    const due = held.splice(0, count);
    listener({
      timesRigNs: Float64Array.from(due, (s) => s.ns),
      xDeg: Float32Array.from(due, (s) => s.x - offsetX),
      yDeg: Float32Array.from(due, (s) => s.y - offsetY),
      valid: Uint8Array.from(due, (s) => (s.valid ? 1 : 0)),
    });
  }

  /** Where the times of the samples come from, and how far they can be off. */
  function describeClock(): string {
    if (!isHostTimed) return "";
    const map = options.map();
    const own = raw.clockWords ?? "";
    return `${own === "" ? "" : `, ${own}`}${map === null ? "" : `, onto the rig's clock ±${map.uncertaintyMs < 1 ? map.uncertaintyMs.toFixed(2) : map.uncertaintyMs.toFixed(1)} ms`}`;
  }

  function restart(): void {
    held = [];
    recent = [];
    countedFromNs = null;
    counted = 0;
    lastNs = Number.NEGATIVE_INFINITY;
    blinkEndNs = Number.NEGATIVE_INFINITY;
  }

  /** A tracker that says nothing must not look like an eye that holds still. */
  function watch(): void {
    const now = clock.now();
    const silence = newest === null ? 0 : msBetween(newest, now);
    if (silence > staleMs) {
      if (!isStale) {
        isStale = true;
        say(`No sample from ${raw.name} for ${(silence / 1000).toFixed(1)} s: the gaze counts as outside. Check the tracker and its cable.`);
      }
      const map = options.map();
      if (map !== null) {
        put(Math.max(lastNs + 1, map.toRig(now)), Number.NaN, Number.NaN, false);
        giveOut();
      }
    }
    cancelWatch = clock.setTimer(addMs(now, watchMs), watch);
  }

  return {
    name: raw.name,
    async start(next) {
      if (listener !== null) return fault("alreadyRunning", `Expected ${raw.name} to be stopped, but it is running. Stop it before starting it again.`);
      listener = next;
      restart();
      newest = null;
      isStale = false;
      problem = null;
      const started = await raw.start({
        samples: (batch) => {
          if (listener === next) take(batch);
        },
        problem: (text) => {
          if (listener === next) say(text);
        },
      });
      if (!started.ok) {
        listener = null;
        return started;
      }
      cancelWatch = clock.setTimer(addMs(clock.now(), watchMs), watch);
      return ok(undefined);
    },
    recentre() {
      if (recent.length === 0) return;
      const sorted = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b);
      offsetX = sorted(recent.map((s) => s.x))[recent.length >> 1] ?? 0;
      offsetY = sorted(recent.map((s) => s.y))[recent.length >> 1] ?? 0;
      // What waits was measured with the old offset, and is given with the new one: the correction holds from the samples in hand on.
    },
    async stop() {
      if (listener === null) return;
      listener = null;
      cancelWatch();
      await raw.stop();
    },
    status: () => ({
      connected: listener !== null && !isStale && problem === null, address: raw.address, newestHostNs: newest, problem,
      detail: `${Math.round(rateHz)} samples/s, eye not seen ${Math.round(lostShare * 100)} %${calibration === null && !raw.isDegrees ? ", not calibrated" : calibration === null ? "" : `, calibrated to ${calibration.rmsDeg.toFixed(2)}°`}${describeClock()}${unplaced > 0 && received === unplaced ? ", waiting for the rig's clock" : ""}`,
    }),
    onProblem(next) {
      onProblem = next;
    },
    // Degrees need none.
    ...(raw.isDegrees ? {} : {
      onRaw(next: typeof onRaw) {
        onRaw = next;
      },
      calibrate(next: EyeCalibration | null) {
        calibration = next;
        offsetX = 0;
        offsetY = 0;
        recent = [];
      },
    }),
  };
}
