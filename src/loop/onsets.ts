// Matches the display's flips with the rig's marks, so that every image has an onset on the rig clock with its source named.
// Knows nothing about spikes or scores.
import { isOnsetCode, onsetCode } from "../shared/eventCodes.ts";
import { addMs, nsPerMs, rigTimeNs } from "../shared/units.ts";
import type { HostTimeNs, RigTimeNs } from "../shared/units.ts";
import type { OnsetSource, RigMark } from "../shared/values.ts";
import type { ClockMap } from "../shared/ports.ts";

export type MarkProblem = "noOnsetMark" | "doubledMark" | "wrongWord";

export interface Onset {
  readonly presentationId: number;
  readonly onsetRigNs: RigTimeNs | null;
  readonly source: OnsetSource | null;
  /** Set when no usable onset could be had. */
  readonly problem: MarkProblem | null;
}

export interface OnsetMatcherOptions {
  /** "mark": an image without its mark does not count. "flip": the display's flip, mapped to the rig clock. "auto": marks once the rig has sent a matching one. */
  readonly onsetFrom: "auto" | "mark" | "flip";
  /** TTL line that carries the photodiode or strobe; null = only photodiode marks are used. */
  readonly ttlLine: number | null;
  /** Strobed words of this range are onsets and nothing else is; null or left out: photodiode and TTL line. */
  readonly onsetWords?: { readonly first: number; readonly last: number } | null;
  readonly toleranceMs: number;
  /** Current host-to-rig map; null before the first pair of times. */
  readonly map: () => ClockMap | null;
  /** Calibrated lag of the display: how long after its flip an image lights up, ms. Left out: 0. */
  readonly lagMs?: () => number;
  /** A mark was matched: how far it was from where flip and lag put it, ms. */
  readonly onMatched?: (presentationId: number, errorMs: number) => void;
  /** The recording system sends back the words that went out with the images: an image needs its own. Left out: false. */
  readonly checkWords?: boolean;
}

export interface OnsetMatcher {
  flip(presentationId: number, flipHostNs: HostTimeNs): void;
  cancel(presentationId: number): void;
  mark(mark: RigMark): void;
  /** Decides what can be decided now that the stream has reached `watermarkRigNs`. In order of flips. */
  decide(watermarkRigNs: number): readonly Onset[];
  /** Problems of images whose onset was decided already: a second mark, another image's word, no word. Each is told once. */
  laterProblems(watermarkRigNs: number): readonly { readonly presentationId: number; readonly problem: MarkProblem }[];
  readonly unmatchedMarks: number;
  readonly matchedMarks: number;
  readonly waiting: number;
  /** Mean and standard deviation of (mark - mapped flip), ms, over the matched: the display's lag. */
  readonly lagMs: { readonly mean: number; readonly sd: number; readonly n: number };
}

interface Mark {
  readonly rigNs: number;
  readonly source: OnsetSource;
}

/** An image whose onset is decided, for as long as something about it may still come. */
interface Decided {
  readonly presentationId: number;
  readonly expected: number;
  /** null: the image was given up before its mark was matched; whatever mark it has is its own. */
  readonly source: OnsetSource | null;
  hasWord: boolean;
  told: boolean;
}

const forgetMs = 2000;

export function createOnsetMatcher(options: OnsetMatcherOptions): OnsetMatcher {
  const flips: { presentationId: number; flipHostNs: HostTimeNs }[] = [];
  let marks: Mark[] = [];
  /** Words of strobes that are image onsets. */
  let words: { readonly rigNs: number; readonly code: number }[] = [];
  let decided: Decided[] = [];
  let later: { presentationId: number; problem: MarkProblem }[] = [];
  /** A rig with a photodiode has strobes only to say which image: times are the photodiode's. */
  let hasPhotodiode = false;
  let matched = 0;
  let unmatched = 0;
  let lagSum = 0;
  let lagSquares = 0;
  const toleranceNs = options.toleranceMs * nsPerMs;
  const lagMs = options.lagMs ?? (() => 0);
  const checkWords = options.checkWords ?? false;

  function usable(mark: RigMark): OnsetSource | null {
    if (!mark.state) return null;
    const words = options.onsetWords ?? null;
    if (words !== null) return mark.kind === "strobe" && mark.word !== null && mark.word >= words.first && mark.word <= words.last ? "strobe" : null;
    if (mark.kind === "photodiode") return "photodiode";
    if (options.ttlLine !== null && mark.line === options.ttlLine && mark.kind === "ttl") return "strobe";
    if (mark.kind === "strobe" && (checkWords || options.ttlLine === mark.line)) return "strobe";
    return null;
  }

  /** The code on the port: without the strobe's own line where the system counts it in. */
  function codeOf(mark: RigMark): number | null {
    if (mark.word === null) return null;
    if (mark.kind === "strobe") return mark.word;
    return options.ttlLine !== null && options.ttlLine < 8 ? (mark.word & 0xff & ~(1 << options.ttlLine)) : mark.word % 256;
  }

  function expectedOf(flip: { readonly flipHostNs: HostTimeNs }, map: ClockMap): number {
    return map.toRig(addMs(flip.flipHostNs, lagMs()));
  }

  /** A mark that belongs to an image which is decided already: nearer to it than to any that is waiting. */
  function decidedNear(rigNs: number): Decided | null {
    let best: Decided | null = null;
    for (const one of decided) if (Math.abs(one.expected - rigNs) <= toleranceNs && (best === null || Math.abs(one.expected - rigNs) < Math.abs(best.expected - rigNs))) best = one;
    if (best === null) return null;
    const map = options.map();
    if (map === null) return best;
    const distance = Math.abs(best.expected - rigNs);
    return flips.some((flip) => Math.abs(expectedOf(flip, map) - rigNs) < distance) ? null : best;
  }

  function tell(one: Decided, problem: MarkProblem): void {
    if (one.told) return;
    one.told = true;
    later.push({ presentationId: one.presentationId, problem });
  }

  return {
    flip(presentationId, flipHostNs) {
      flips.push({ presentationId, flipHostNs });
    },
    cancel(presentationId) {
      const i = flips.findIndex((f) => f.presentationId === presentationId);
      const flip = flips[i];
      if (flip === undefined) return;
      flips.splice(i, 1);
      const map = options.map();
      if (map === null) return;
      // An image that was cut short had its onset all the same: its mark, here already or yet to come, is no stray one.
      const expected = expectedOf(flip, map);
      marks = marks.filter((m) => Math.abs(m.rigNs - expected) > toleranceNs || flips.some((other) => Math.abs(expectedOf(other, map) - m.rigNs) < Math.abs(expected - m.rigNs)));
      decided.push({ presentationId, expected, source: null, hasWord: true, told: true });
    },
    mark(mark) {
      // Onsets are the display's own here: no mark is waited for, and none is astray.
      if (options.onsetFrom === "flip") return;
      const source = usable(mark);
      if (source === null) return;
      const code = source === "strobe" && checkWords ? codeOf(mark) : null;
      if (code !== null) {
        // Words of other events (image off, reward) are no onsets.
        if (!isOnsetCode(code)) return;
        words.push({ rigNs: mark.rigNs, code });
      }
      if (source === "photodiode") hasPhotodiode = true;
      else if (hasPhotodiode) return;
      const again = decidedNear(mark.rigNs);
      if (again !== null && (again.source === source || again.source === null)) tell(again, "doubledMark");
      else marks.push({ rigNs: mark.rigNs, source });
    },
    decide(watermarkRigNs) {
      const out: Onset[] = [];
      if (hasPhotodiode && marks.some((m) => m.source !== "photodiode")) marks = marks.filter((m) => m.source === "photodiode");
      for (;;) {
        const flip = flips[0];
        if (flip === undefined) break;
        const map = options.map();
        if (map === null) break;
        const expected = expectedOf(flip, map);
        const next = flips[1] === undefined ? Infinity : expectedOf(flips[1], map);
        // A mark belongs to the flip that it is nearest to: images may follow each other faster than the tolerance.
        const near = marks.filter((m) => Math.abs(m.rigNs - expected) <= toleranceNs && Math.abs(m.rigNs - expected) <= Math.abs(m.rigNs - next));
        const first = near[0];
        if (options.onsetFrom === "flip") {
          out.push({ presentationId: flip.presentationId, onsetRigNs: rigTimeNs(expected), source: "flip", problem: null });
        } else if (first !== undefined && watermarkRigNs < expected + toleranceNs && near.length === 1) {
          // One mark is there; a doubled one could still come, but waiting for it would delay every decision: it is told later, the window is still open.
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
          out.push({ presentationId: flip.presentationId, onsetRigNs: rigTimeNs(expected), source: "flip", problem: null });
        }
        flips.shift();
      }
      dropOldMarks(watermarkRigNs);
      return out;
    },
    laterProblems(watermarkRigNs) {
      if (checkWords) judgeWords(watermarkRigNs);
      decided = decided.filter((one) => one.expected >= watermarkRigNs - forgetMs * nsPerMs);
      const out = later;
      later = [];
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

  /** An image's word is its own; another's, or none while words are sent, is an error of the match or of the display. */
  function judgeWords(watermarkRigNs: number): void {
    words = words.filter((word) => {
      const one = decidedNear(word.rigNs);
      if (one === null) return word.rigNs >= watermarkRigNs - forgetMs * nsPerMs;
      if (word.code === onsetCode(one.presentationId)) one.hasWord = true;
      else tell(one, "wrongWord");
      return false;
    });
    for (const one of decided) if (!one.hasWord && watermarkRigNs >= one.expected + toleranceNs) tell(one, "wrongWord");
  }

  function matchedOnset(presentationId: number, mark: Mark, expected: number): Onset {
    marks = marks.filter((m) => m !== mark);
    matched += 1;
    decided.push({ presentationId, expected, source: mark.source, hasWord: false, told: false });
    const errorMs = (mark.rigNs - expected) / nsPerMs;
    options.onMatched?.(presentationId, errorMs);
    const lag = lagMs() + errorMs;
    lagSum += lag;
    lagSquares += lag * lag;
    return { presentationId, onsetRigNs: rigTimeNs(mark.rigNs), source: mark.source, problem: null };
  }

  function dropOldMarks(watermarkRigNs: number): void {
    const horizon = watermarkRigNs - forgetMs * nsPerMs;
    const kept = marks.filter((m) => m.rigNs >= horizon);
    unmatched += marks.length - kept.length;
    marks = kept;
  }
}
