// A test of the marks before a session: flashes of the photodiode patch and words that go out, against what the recording system saw of them.
// Takes times and marks, says how many came back, how late and how evenly. Knows nothing about screens, wires or timers.
import { calibrationFlashes, createDisplayCalibration, judgeCalibration } from "../loop/displayCalibration.ts";
import { createPatchWatch } from "../loop/patchWatch.ts";
import type { SyncTestPart } from "../shared/contract/index.ts";
import { eventCodes, testCodes } from "../shared/eventCodes.ts";
import type { ClockMap, PlannedFlash } from "../shared/ports.ts";
import { nsPerMs, nsPerS } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { RigMark } from "../shared/values.ts";

/** Flashes or words of one test. */
export const syncTestCount = 20;
/** From one word to the next where nothing is flashed, ms. */
export const wordSpacingMs = 100;
/** As long as a mark may be on its way: from the flip to the light, or through a serial line to a strobe. */
export const markLatestMs = 100;
/** Earlier than sent: no better are the clocks known by arrivals alone. */
const markEarliestMs = 20;

export interface SyncTestPlan {
  /** null: nothing is flashed. */
  readonly flashes: { readonly refreshHz: number; readonly onFrames: number; readonly offFrames: number; readonly photodiodeCode: "onset" | "frames" } | null;
  readonly hasWords: boolean;
  /** TTL line that carries the photodiode or the strobe; null: photodiode marks and strobes only. */
  readonly ttlLine: number | null;
}

export interface SyncTest {
  readonly flashes: readonly PlannedFlash[];
  flip(presentationId: number, flipHostNs: HostTimeNs): void;
  /** The word that goes out next. */
  nextWord(): number;
  /** It went out at this time. */
  sent(word: number, atHostNs: HostTimeNs): void;
  mark(mark: RigMark): void;
  readonly lastHostNs: HostTimeNs | null;
  /** `map` null: the clocks are not known to each other; nothing can be compared then. */
  finish(map: ClockMap | null): { readonly ok: boolean; readonly message: string; readonly parts: SyncTestPart[] };
}

export function createSyncTest({ flashes, hasWords, ttlLine }: SyncTestPlan): SyncTest {
  const patch = createPatchWatch({ periodNs: () => nsPerS / (flashes?.refreshHz ?? 60) });
  const calibration = flashes === null ? null : createDisplayCalibration({ ...flashes, seenAt: (onset) => patch.imageAt(onset) });
  const words: { readonly word: number; readonly atHostNs: HostTimeNs }[] = [];
  const seen: { readonly rigNs: number; readonly word: number; readonly isStrobe: boolean }[] = [];
  let onsets = 0;
  let lastHostNs: HostTimeNs | null = null;

  function judgeFlashes(map: ClockMap | null): SyncTestPart | null {
    if (calibration === null || flashes === null) return null;
    const done = calibration.finish(map);
    const base = { what: "flashes" as const, sent: done.flashes, seen: done.marks, extra: Math.max(0, onsets - done.marks), delayMsMean: done.lagMsMean, delayMsSd: done.lagMsSd, delayMsMin: done.lagMsMin, delayMsMax: done.lagMsMax };
    const durations = done.durationsSeen > 0 && done.durationsSeen < done.marks ? `${done.marks - done.durationsSeen} of ${done.marks} flashes stood for another time than planned` : null;
    const problem = done.flashes < syncTestCount ? `the subject's screen showed ${done.flashes} of ${syncTestCount} flashes: is it covered or minimised?`
      : onsets === 0 ? "the rig saw no flash: check the photodiode's place on the patch, its threshold and its line."
      : done.lagMsMean === null ? done.skipped
      : judgeCalibration(done) ?? (base.extra > 0 ? `${base.extra} marks without a flash: the photodiode sees something beside the patch, or its threshold is too low.` : durations === null ? null : `${durations}: this computer is too busy, or the photodiode's threshold is too near to its noise.`);
    return { ...base, ok: problem === null, message: problem === null ? `Photodiode: ${figures(base)} after the flip` : `Photodiode: ${done.marks} of ${done.flashes}; ${problem}` };
  }

  function judgeWords(map: ClockMap | null): SyncTestPart | null {
    if (!hasWords) return null;
    const delays: number[] = [];
    let neverUp = 0;
    let neverDown = 0;
    let wrong = 0;
    const left = new Set(seen);
    for (const { word, atHostNs } of map === null ? [] : words) {
      const expected = map?.toRig(atHostNs) ?? 0;
      const near = [...left].filter(({ rigNs }) => rigNs >= expected - markEarliestMs * nsPerMs && rigNs <= expected + markLatestMs * nsPerMs);
      // A line that carries more than the strobe tells of every bit that changes: only the word itself counts there.
      const found = near.find((one) => one.word === word) ?? near.find((one) => one.isStrobe);
      if (found === undefined) continue;
      left.delete(found);
      if (found.word === word) delays.push((found.rigNs - expected) / nsPerMs);
      else {
        wrong += 1;
        neverUp |= word & ~found.word;
        neverDown |= found.word & ~word;
      }
    }
    const extra = [...left].filter((one) => one.isStrobe).length;
    const base = { what: "words" as const, sent: words.length, seen: delays.length, extra, ...spread(delays) };
    const problem = map === null ? "nothing has come from the rig yet, so its clock is not known."
      : seen.length === 0 ? "the recording system saw none. Check the cable, the digital inputs, and that the rig reads words."
      : wrong > 0 ? `${wrong} came back as another word: ${linesOf(neverUp, neverDown)}`
      : delays.length < words.length ? `${words.length - delays.length} did not come back: check the strobe, and hold it for 5 ms or longer.`
      : extra > 0 ? `${extra} words came that were not sent: does another program use the port?` : null;
    return { ...base, ok: problem === null, message: problem === null ? `Words: ${figures(base)} after they were sent` : `Words: ${delays.length} of ${words.length}; ${problem}` };
  }

  return {
    flashes: flashes === null ? [] : calibrationFlashes({ flashes: syncTestCount, ...flashes }),
    flip(presentationId, flipHostNs) {
      calibration?.flip(presentationId, flipHostNs);
      lastHostNs = flipHostNs;
    },
    nextWord: () => testCodes[words.length % testCodes.length] ?? eventCodes.test,
    sent(word, atHostNs) {
      words.push({ word, atHostNs });
      lastHostNs = atHostNs;
    },
    mark(mark) {
      const isOfPatch = mark.kind === "photodiode" || (!hasWords && ttlLine !== null && mark.kind === "ttl" && mark.line === ttlLine);
      if (isOfPatch) {
        if (!patch.take(mark)) return;
        onsets += 1;
        calibration?.mark(mark.rigNs, mark.kind === "photodiode" ? mark.word : null);
      } else if (mark.state && mark.word !== null && (mark.kind === "strobe" || ttlLine === null || mark.line === ttlLine)) {
        seen.push({ rigNs: mark.rigNs, word: mark.kind === "ttl" && ttlLine !== null && ttlLine < 8 ? mark.word & 0xff & ~(1 << ttlLine) : mark.word % 256, isStrobe: mark.kind === "strobe" || (ttlLine !== null && mark.line === ttlLine) });
      }
    },
    get lastHostNs() {
      return lastHostNs;
    },
    finish(map) {
      const parts = [judgeFlashes(map), judgeWords(map)].filter((part) => part !== null);
      const bad = parts.filter((part) => !part.ok);
      const clocks = map === null ? "" : ` Clocks known to ±${map.uncertaintyMs.toFixed(1)} ms.`;
      return { ok: bad.length === 0, message: bad.length > 0 ? bad.map((part) => part.message).join(" ") : `${parts.map((part) => part.message).join(". ")}.${clocks}`, parts };
    },
  };
}

function spread(delays: readonly number[]): Pick<SyncTestPart, "delayMsMean" | "delayMsSd" | "delayMsMin" | "delayMsMax"> {
  if (delays.length === 0) return { delayMsMean: null, delayMsSd: null, delayMsMin: null, delayMsMax: null };
  const mean = delays.reduce((a, b) => a + b, 0) / delays.length;
  const sd = Math.sqrt(delays.reduce((sum, delay) => sum + (delay - mean) ** 2, 0) / Math.max(1, delays.length - 1));
  return { delayMsMean: mean, delayMsSd: sd, delayMsMin: Math.min(...delays), delayMsMax: Math.max(...delays) };
}

function figures({ sent, seen, delayMsMean, delayMsSd, delayMsMin, delayMsMax }: Omit<SyncTestPart, "ok" | "message">): string {
  // No "-0.0".
  const ms = (value: number | null): string => (Math.round((value ?? 0) * 10) / 10 + 0).toFixed(1);
  return `${seen} of ${sent} seen, ${ms(delayMsMean)} ms (SD ${(delayMsSd ?? 0).toFixed(2)}, ${ms(delayMsMin)} to ${ms(delayMsMax)})`;
}

/** Lines of the port, counted from 1 as on its connector. */
function linesOf(neverUp: number, neverDown: number): string {
  const named = (bits: number): string => Array.from({ length: 8 }, (_, i) => i).filter((i) => (bits & (1 << i)) !== 0).map((i) => i + 1).join(", ");
  const parts = [...(neverUp === 0 ? [] : [`line ${named(neverUp)} stays down`]), ...(neverDown === 0 ? [] : [`line ${named(neverDown)} stays up`])];
  return `${parts.join(", ")}. Check the cable's order and ground.`;
}
