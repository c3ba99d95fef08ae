// The synthetic animal's eye: fixation with drift and microsaccades, saccades away and back, blinks. Made sample by sample on the rig
// clock from one seeded stream, so that the size of the batches changes nothing. Knows nothing about images or trials, only whether
// the fixation spot is on.
import type { Clock, EyeTracker } from "../../shared/ports.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Rng } from "../../shared/rng.ts";
import { addMs, hostTimeNs, nsPerMs } from "../../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../../shared/units.ts";
import type { EyeBatch } from "../../shared/values.ts";

export interface EyeOptions {
  readonly sampleRateHz: number;
  readonly batchMs: number;
  /** Age of the newest sample of a batch when it is delivered. */
  readonly delayMs: number;
  /** Probability that the animal looks at the spot when it appears, 0 to 1. */
  readonly engagement: number;
  /** Saccades away from the spot per second of fixation. */
  readonly breaksPerS: number;
  readonly blinksPerS: number;
  readonly microsaccadesPerS: number;
  /** Spread of the gaze around the spot, degrees. */
  readonly driftSpreadDeg: number;
}

export interface SyntheticEye {
  readonly tracker: EyeTracker;
  fixationSpot(visible: boolean, atHostNs: HostTimeNs): void;
}

type Intent = "fixating" | "exploring" | "away" | "ignoring";

export function createSyntheticEye(options: {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly eye: EyeOptions;
  /** Rig time as the rig reports it, jumps included. */
  readonly toRig: (hostNs: HostTimeNs) => RigTimeNs;
  /** What the tracker makes of the eye now; "silent": it sends nothing at all. Injected faults. */
  readonly track?: () => "ok" | "lost" | "silent";
}): SyntheticEye {
  const { clock, rng, eye, toRig } = options;
  const periodNs = 1e9 / eye.sampleRateHz;
  const periodS = 1 / eye.sampleRateHz;

  const spotChanges: { readonly visible: boolean; readonly atNs: number }[] = [];
  // A rig that is never told of a spot has it on: the animal fixates.
  let isSpotOn = true;
  let intent: Intent = "fixating";
  let intentEndMs = Infinity;
  /** Time in the stream, ms since its start; it does not know of rig clocks. */
  let nowMs = 0;
  let x = 0;
  let y = 0;
  let saccade: { readonly fromX: number; readonly fromY: number; readonly toX: number; readonly toY: number; readonly startMs: number; readonly durationMs: number } | null = null;
  let blinkEndMs = -1;
  let offsetX = 0;
  let offsetY = 0;

  function jumpTo(toX: number, toY: number): void {
    // Main sequence: 2.2 ms a degree on a base of 21 ms (Carpenter 1988).
    const durationMs = 21 + 2.2 * Math.hypot(toX - x, toY - y);
    saccade = { fromX: x, fromY: y, toX, toY, startMs: nowMs, durationMs };
  }

  function jumpToSpot(): void {
    intent = "fixating";
    intentEndMs = Infinity;
    jumpTo(0.08 * rng.gaussian(), 0.08 * rng.gaussian());
  }

  function explore(): void {
    intent = "exploring";
    intentEndMs = nowMs + 250 + 350 * rng.uniform();
    const angle = 2 * Math.PI * rng.uniform();
    const distance = 2 + 5 * rng.uniform();
    jumpTo(distance * Math.cos(angle), distance * Math.sin(angle));
  }

  function settleIntent(): void {
    switch (intent) {
      case "fixating":
        return;
      case "exploring":
      case "ignoring":
        // The spot has been on for a reaction time, or for as long as the animal did not care.
        if (isSpotOn && (intent === "ignoring" || rng.uniform() < eye.engagement)) jumpToSpot();
        else explore();
        return;
      case "away":
        if (isSpotOn) jumpToSpot();
        else explore();
    }
  }

  function turnSpot(visible: boolean): void {
    if (visible === isSpotOn) return;
    isSpotOn = visible;
    if (visible) {
      const engages = rng.uniform() < eye.engagement;
      const reactionMs = 150 - 50 * Math.log(1 - rng.uniform());
      intent = engages ? "away" : "ignoring";
      intentEndMs = nowMs + (engages ? reactionMs : 1500 + 1500 * rng.uniform());
    } else {
      intent = "exploring";
      intentEndMs = nowMs + 100 + 250 * rng.uniform();
    }
  }

  function step(): boolean {
    if (nowMs >= intentEndMs) settleIntent();
    if (intent === "fixating" && saccade === null) {
      if (rng.uniform() < eye.breaksPerS * periodS) {
        const angle = 2 * Math.PI * rng.uniform();
        const distance = 2 + 5 * rng.uniform();
        jumpTo(distance * Math.cos(angle), distance * Math.sin(angle));
        intent = "away";
        intentEndMs = nowMs + 250 + 500 * rng.uniform();
      } else if (rng.uniform() < eye.microsaccadesPerS * periodS) {
        // Microsaccades correct the drift, with an error of their own.
        jumpTo(0.1 * x + 0.07 * rng.gaussian(), 0.1 * y + 0.07 * rng.gaussian());
      }
    }
    if (nowMs >= blinkEndMs && rng.uniform() < eye.blinksPerS * periodS) blinkEndMs = nowMs + 80 + 100 * rng.uniform();

    if (saccade !== null) {
      // Minimum-jerk profile (Flash & Hogan 1985).
      const share = Math.min(1, (nowMs - saccade.startMs) / saccade.durationMs);
      const progress = share ** 3 * (10 - 15 * share + 6 * share ** 2);
      x = saccade.fromX + (saccade.toX - saccade.fromX) * progress;
      y = saccade.fromY + (saccade.toY - saccade.fromY) * progress;
      if (share >= 1) saccade = null;
    } else {
      // Drift: a random walk that is drawn back within half a second while fixating (Ornstein-Uhlenbeck).
      const pull = intent === "fixating" ? periodS / 0.5 : 0;
      const spread = eye.driftSpreadDeg * Math.sqrt((2 * periodS) / 0.5);
      x += -pull * x + spread * rng.gaussian();
      y += -pull * y + spread * rng.gaussian();
    }
    return nowMs >= blinkEndMs;
  }

  let listener: ((samples: EyeBatch) => void) | null = null;
  let cancelTimer: (() => void) | null = null;
  let startHostNs = 0;
  let sampleCount = 0;

  function emit(): void {
    if (listener === null) return;
    const untilHostNs = clock.now() - eye.delayMs * nsPerMs;
    const dueCount = Math.max(0, Math.floor((untilHostNs - startHostNs) / periodNs) + 1 - sampleCount);
    const track = options.track?.() ?? "ok";
    if (dueCount > 0) {
      const timesRigNs = new Float64Array(dueCount);
      const xDeg = new Float32Array(dueCount);
      const yDeg = new Float32Array(dueCount);
      const valid = new Uint8Array(dueCount);
      for (let i = 0; i < dueCount; i++) {
        const hostNs = startHostNs + sampleCount * periodNs;
        nowMs = (sampleCount * periodNs) / nsPerMs;
        while (spotChanges[0] !== undefined && spotChanges[0].atNs <= hostNs) {
          turnSpot(spotChanges[0].visible);
          spotChanges.shift();
        }
        const isSeen = step();
        timesRigNs[i] = toRig(hostTimeNs(hostNs));
        valid[i] = isSeen && track === "ok" ? 1 : 0;
        // What a lost track reports is meaningless; a tracker gives its last value.
        xDeg[i] = x - offsetX;
        yDeg[i] = y - offsetY;
        sampleCount++;
      }
      if (track !== "silent") listener({ timesRigNs, xDeg, yDeg, valid });
    }
    cancelTimer = clock.setTimer(addMs(clock.now(), eye.batchMs), emit);
  }

  return {
    tracker: {
      name: "Synthetic eye",
      async start(newListener) {
        if (listener !== null) return fault("alreadyRunning", "Expected the synthetic eye to be stopped, but it is running. Stop it before starting it again.");
        listener = newListener;
        startHostNs = clock.now();
        sampleCount = 0;
        cancelTimer = clock.setTimer(addMs(clock.now(), eye.batchMs), emit);
        return ok(undefined);
      },
      recentre() {
        offsetX = x;
        offsetY = y;
      },
      async stop() {
        cancelTimer?.();
        cancelTimer = null;
        listener = null;
      },
    },
    fixationSpot(visible, atHostNs) {
      spotChanges.push({ visible, atNs: atHostNs });
    },
  };
}
