// Matches the display's flips with the rig's marks, so that every image has an onset on the rig clock with its source named.
// Knows nothing about spikes or scores.
import { addMs, nsPerMs, rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";
import type { OnsetSource, RigMark } from "../shared/values.ts";
import type { ClockMap } from "../shared/ports.ts";

export interface Onset {
  readonly presentationId: number;
  readonly onsetRigNs: RigTimeNs | null;
  readonly source: OnsetSource | null;
  /** Set when no usable onset could be had. */
  readonly problem: "noOnsetMark" | "doubledMark" | null;
}

export interface OnsetMatcherOptions {
  /** "mark": an image without its mark does not count. "flip": the display's flip, mapped to the rig clock. "auto": marks once the rig has sent a matching one. */
  readonly onsetFrom: "auto" | "mark" | "flip";
  /** TTL line that carries the photodiode or strobe; null = only photodiode marks are used. */
  readonly ttlLine: number | null;
  readonly toleranceMs: number;
  /** Current host-to-rig map; null before the first pair of times. */
  readonly map: () => ClockMap | null;
  /** Calibrated lag of the display: how long after its flip an image lights up, ms. Left out: 0. */
  readonly lagMs?: () => number;
  /** A mark was matched: how far it was from where flip and lag put it, ms. */
  readonly onMatched?: (presentationId: number, errorMs: number) => void;
}

export interface OnsetMatcher {
  flip(presentationId: number, flipHostNs: HostTimeNs): void;
  cancel(presentationId: number): void;
  /** Returns the presentation that a mark belongs to, as far as it is known yet. */
  mark(mark: RigMark): void;
  /** Decides what can be decided now that the stream has reached `watermarkRigNs`. In order of flips. */
  decide(watermarkRigNs: number): readonly Onset[];
  readonly unmatchedMarks: number;
  readonly matchedMarks: number;
  readonly waiting: number;
  /** Mean and standard deviation of (mark - mapped flip), ms, over the matched: the display's lag. */
  readonly lagMs: { readonly mean: number; readonly sd: number; readonly n: number };
}

export function createOnsetMatcher(options: OnsetMatcherOptions): OnsetMatcher {
  const flips: { presentationId: number; flipHostNs: HostTimeNs }[] = [];
  let marks: { rigNs: number; source: OnsetSource }[] = [];
  let matched = 0;
  let unmatched = 0;
  let lagSum = 0;
  let lagSquares = 0;
  const toleranceNs = options.toleranceMs * nsPerMs;
  const lagMs = options.lagMs ?? (() => 0);

  function usable(mark: RigMark): OnsetSource | null {
    if (!mark.state) return null;
    if (mark.kind === "photodiode") return "photodiode";
    if (options.ttlLine !== null && mark.line === options.ttlLine) return "strobe";
    return null;
  }

  return {
    flip(presentationId, flipHostNs) {
      flips.push({ presentationId, flipHostNs });
    },
    cancel(presentationId) {
      const i = flips.findIndex((f) => f.presentationId === presentationId);
      if (i >= 0) flips.splice(i, 1);
    },
    mark(mark) {
      const source = usable(mark);
      if (source !== null) marks.push({ rigNs: mark.rigNs, source });
    },
    decide(watermarkRigNs) {
      const out: Onset[] = [];
      for (;;) {
        const flip = flips[0];
        if (flip === undefined) break;
        const map = options.map();
        if (map === null) break;
        const expected = map.toRig(addMs(flip.flipHostNs, lagMs()));
        const near = marks.filter((m) => Math.abs(m.rigNs - expected) <= toleranceNs);
        const first = near[0];
        if (options.onsetFrom === "flip") {
          out.push({ presentationId: flip.presentationId, onsetRigNs: expected, source: "flip", problem: null });
        } else if (first !== undefined && watermarkRigNs < expected + toleranceNs && near.length === 1) {
          // One mark is there; a doubled one could still come, but waiting for it would delay every decision: the window is still open.
          if (watermarkRigNs < first.rigNs) break;
          out.push(matchedOnset(flip.presentationId, first, expected));
        } else if (near.length > 1) {
          out.push({ presentationId: flip.presentationId, onsetRigNs: null, source: null, problem: "doubledMark" });
          marks = marks.filter((m) => !near.includes(m));
        } else if (first !== undefined) {
          out.push(matchedOnset(flip.presentationId, first, expected));
        } else if (watermarkRigNs < expected + toleranceNs) {
          break;
        } else if (options.onsetFrom === "mark" || matched > 0) {
          out.push({ presentationId: flip.presentationId, onsetRigNs: null, source: null, problem: "noOnsetMark" });
        } else {
          out.push({ presentationId: flip.presentationId, onsetRigNs: expected, source: "flip", problem: null });
        }
        flips.shift();
      }
      dropOldMarks(watermarkRigNs);
      return out;
    },
    get unmatchedMarks() {
      return unmatched;
    },
    get matchedMarks() {
      return matched;
    },
    get waiting() {
      return flips.length;
    },
    get lagMs() {
      if (matched === 0) return { mean: Number.NaN, sd: Number.NaN, n: 0 };
      const mean = lagSum / matched;
      return { mean, sd: Math.sqrt(Math.max(0, lagSquares / matched - mean * mean)), n: matched };
    },
  };

  function matchedOnset(presentationId: number, mark: { rigNs: number; source: OnsetSource }, expected: number): Onset {
    marks = marks.filter((m) => m !== mark);
    matched += 1;
    const errorMs = (mark.rigNs - expected) / nsPerMs;
    options.onMatched?.(presentationId, errorMs);
    const lag = lagMs() + errorMs;
    lagSum += lag;
    lagSquares += lag * lag;
    return { presentationId, onsetRigNs: rigTimeNs(mark.rigNs), source: mark.source, problem: null };
  }

  function dropOldMarks(watermarkRigNs: number): void {
    const horizon = watermarkRigNs - 2000 * nsPerMs;
    const kept = marks.filter((m) => m.rigNs >= horizon);
    unmatched += marks.length - kept.length;
    marks = kept;
  }
}
