// The fate of every presentation: flip, onset on the rig clock, spike counts, fixation, and whether it counts or is shown again.
// Knows nothing about blocks, optimizers or trials beyond their numbers.
import type { ClockAligner, PlannedFlash, VisualPlacement } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { addMs, nsPerMs, nsPerS } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ExcludedBecause, RigMark, SpikeBatch } from "../shared/values.ts";
import type { SeenImage } from "../analysis/photodiode.ts";
import type { Alarms } from "./alarms.ts";
import type { FixationMonitor } from "./fixation.ts";
import type { LoopImage, LoopSettings, SettledPresentation } from "./loopTypes.ts";
import { createLagWatch } from "./displayCalibration.ts";
import type { DisplayCalibration } from "./displayCalibration.ts";
import { createOnsetMatcher } from "./onsets.ts";
import type { Onset } from "./onsets.ts";
import { createPatchWatch } from "./patchWatch.ts";
import { createResponseCollector } from "./responses.ts";
import type { WindowCounts } from "./responses.ts";

/** A flip and its mark belong together when they are no further apart than this, after the clocks are aligned. */
const markToleranceMs = 60;
/** An end that the photodiode has not seen so long after it was due is lost. */
const endToleranceMs = 100;
/** In refreshes: what was lit for longer or shorter by more is another number of refreshes, or may be. Under half, so that nobody who looks on with a clock of his own finds one that was let pass. */
const durationTolerance = 0.45;
const rasterFromMs = -50;
const rasterToMs = 250;

/** One presentation as it was planned. */
export interface PlannedPresentation {
  readonly trialId: number;
  readonly image: LoopImage;
  readonly flash: PlannedFlash;
  /** Number of the generation that shows it; null where none does. */
  readonly generation: number | null;
  readonly step: number;
  readonly block: number;
  /** What the block knows it by. */
  readonly item: number;
  /** null = where the session places images. */
  readonly placement: VisualPlacement | null;
  readonly onMs: number;
}

interface Presentation extends PlannedPresentation {
  readonly id: number;
  scheduledHostNs: HostTimeNs;
  flipHostNs: HostTimeNs | null;
  offsetHostNs: HostTimeNs | null;
  framesShown: number | null;
  lateFrames: number;
  onset: Onset | null;
  /** Mark less flip and lag, ms; null without a mark. */
  onsetErrorMs: number | null;
  counts: WindowCounts | null;
  trialOver: boolean;
}

export interface PresentationsOptions {
  readonly settings: LoopSettings;
  readonly fixation: FixationMonitor;
  readonly aligner: ClockAligner;
  readonly alarms: Alarms;
  readonly channelCount: () => number;
  /** Target channel of an image, for its rate. */
  readonly targetOf: (image: LoopImage) => number;
  readonly record: (body: SessionRecordBody) => void;
  readonly deadline: (atHostNs: HostTimeNs, presentationId: number) => void;
  /** ratesHz: response of every channel, spikes/s; null when the presentation does not count. */
  readonly onSettled: (p: SettledPresentation, ratesHz: readonly number[] | null, planned: PlannedPresentation) => void;
  readonly onRaster: (p: SettledPresentation, spikesMs: readonly number[], channel: number) => void;
  /** The words of the images come back on the recording system. */
  readonly checkWords?: boolean;
}

/** How the display was found to be before the first trial. */
export interface DisplayFacts {
  readonly refreshHz: number;
  /** Calibrated lag, ms; null = unknown. */
  readonly lagMs: number | null;
  /** The photodiode sees how long an image is on: what it saw decides. */
  readonly checksDurations: boolean;
  readonly isCoded: boolean;
}

export interface Presentations {
  /** From here on flips are recorded, placed with the lag, and their durations checked where the rig can see them. */
  setDisplay(facts: DisplayFacts): void;
  /** What the photodiode saw of the image that lit up at this rig time. */
  seenAt(onsetRigNs: number): SeenImage | null;
  plan(p: PlannedPresentation & { readonly now: HostTimeNs }): void;
  of(presentationId: number): PlannedPresentation | null;
  onset(presentationId: number, flipHostNs: HostTimeNs, plannedHostNs: HostTimeNs): void;
  offset(presentationId: number, flipHostNs: HostTimeNs, framesShown: number, lateFrames: number): void;
  spikes(batch: SpikeBatch): void;
  /** `calibration`: the flashes of the patch under way, which are no presentations. */
  mark(mark: RigMark, calibration: DisplayCalibration | null): void;
  /** New eye samples may decide what was waiting for them. */
  eye(): void;
  lossUpTo(rigNs: number): void;
  lossInLast(ms: number): void;
  clockJumped(): void;
  giveUp(presentationId: number): void;
  /** The trial is over: returns what never reached the screen, and how many images were shown whole. */
  endTrial(flashes: readonly PlannedFlash[]): { readonly unseen: readonly PlannedPresentation[]; readonly completed: number };
  settleTrial(flashes: readonly PlannedFlash[]): void;
  /** Everything still open is excluded as "stopped". */
  stop(): void;
  readonly status: { readonly settled: number; readonly excluded: number; readonly lateFrames: number; readonly lateSpikes: number; readonly matchedMarks: number; readonly unmatchedMarks: number; readonly lagMs: { readonly mean: number; readonly sd: number; readonly n: number }; readonly wrongDurations: number; readonly framesDropped: number; readonly framesRepeated: number };
}

export function createPresentations(options: PresentationsOptions): Presentations {
  const { settings, fixation, aligner, alarms } = options;
  const { response } = settings;
  const collector = createResponseCollector({ channelCount: options.channelCount, ...response });
  let display: DisplayFacts | null = null;
  const patch = createPatchWatch({ periodNs: () => nsPerS / (display?.refreshHz ?? 60) });
  const lagWatch = createLagWatch();
  const matcher = createOnsetMatcher({
    onsetFrom: response.onsetFrom, ttlLine: response.onsetTtlLine, onsetWords: response.onsetWords, toleranceMs: markToleranceMs, checkWords: options.checkWords ?? false, map: () => aligner.map(), lagMs: () => display?.lagMs ?? 0,
    onMatched(presentationId, errorMs) {
      const p = open.get(presentationId);
      if (p !== undefined) p.onsetErrorMs = errorMs;
      watchLag(errorMs);
    },
  });
  const windowS = (response.windowEndMs - response.windowStartMs) / 1000;
  const open = new Map<number, Presentation>();
  /** Shown for as long as planned, in the trial under way. */
  const whole = new Set<number>();
  const rasters: { readonly p: SettledPresentation; readonly channel: number }[] = [];
  let settled = 0;
  let excludedCount = 0;
  let lateFrames = 0;
  let strayMarks = 0;
  let wrongDurations = 0;
  let framesDropped = 0;
  let framesRepeated = 0;

  function watchLag(errorMs: number): void {
    if (display === null || display.lagMs === null) return;
    const mean = lagWatch.add(errorMs);
    if (mean === null) return;
    const refreshMs = 1000 / display.refreshHz;
    if (Math.abs(mean) > 0.6 * refreshMs) {
      alarms.raise({ code: "displayLagChanged", severity: "warn", message: `Images light up ${Math.abs(mean).toFixed(1)} ms ${mean > 0 ? "later" : "earlier"} than at the start of the session: the display's lag has changed. Onsets are the photodiode's and stay right; find out what else is running on this computer.` });
    } else if (Math.abs(mean) < 0.3 * refreshMs) alarms.clear("displayLagChanged", "The display's lag is what it was at the start.");
  }

  function decideOnsets(): void {
    for (const onset of matcher.decide(collector.watermarkRigNs)) {
      const p = open.get(onset.presentationId);
      if (p === undefined) continue;
      p.onset = onset;
      if (onset.onsetRigNs === null) {
        const doubled = onset.problem === "doubledMark";
        alarms.report({
          code: doubled ? "doubledMark" : "noOnsetMark", severity: "warn",
          message: doubled ? `Two onset marks for image ${p.image.imageId}; it is shown again.` : `No onset mark for image ${p.image.imageId}; it is shown again. Check the photodiode.`,
        });
        settle(p, onset.problem ?? "noOnsetMark");
        continue;
      }
      if (p.flipHostNs !== null && (onset.source === "photodiode" || onset.source === "strobe")) aligner.addPair({ hostNs: addMs(p.flipHostNs, display?.lagMs ?? 0), rigNs: onset.onsetRigNs, kind: "mark" });
      collector.open(p.id, onset.onsetRigNs);
    }
    takeLaterProblems();
    reportStrayMarks();
    for (const closed of collector.drain()) takeCounts(closed);
  }

  /** Marks that belong to no image: a second screen, a flickering photodiode, a word of another program. */
  function reportStrayMarks(): void {
    const more = matcher.unmatchedMarks - strayMarks;
    if (more <= 0) return;
    strayMarks += more;
    alarms.report({
      code: "strayMark", severity: "warn", data: { marks: more, total: strayMarks },
      message: `${more} onset ${more === 1 ? "mark" : "marks"} without an image (${strayMarks} in all). Check that the photodiode sees only the patch, and the line of the marks.`,
    });
  }

  /** What is learnt of an image's mark after its onset was decided, while the window is open. */
  function takeLaterProblems(): void {
    for (const { presentationId, problem } of matcher.laterProblems(collector.watermarkRigNs)) {
      const p = open.get(presentationId);
      if (p === undefined) continue;
      alarms.report({
        code: problem, severity: "warn", data: { presentationId },
        message: problem === "wrongWord"
          ? `The recording system did not get the word of image ${p.image.imageId}, but another's or none; it is shown again. Check the event codes' cable.`
          : `Two onset marks for image ${p.image.imageId}; it is shown again.`,
      });
      settle(p, problem === "wrongWord" ? "wrongWord" : "doubledMark");
    }
  }

  /** Spikes that were stamped before the stream's own clock and came after: what was decided without them is named. */
  function reportLate(): void {
    const { ids, spikes } = collector.takeLate();
    if (ids.length === 0) return;
    alarms.report({
      code: "lateSpikes", severity: "warn", data: { presentationIds: ids, spikes },
      message: `${spikes} ${spikes === 1 ? "spike" : "spikes"} came after the responses that they belong to had been decided (${ids.length} ${ids.length === 1 ? "image" : "images"}): the rig holds back too little. They are in the recording, and analyses count them.`,
    });
  }

  function takeCounts(closed: WindowCounts): void {
    const p = open.get(closed.id);
    if (p === undefined) return;
    p.counts = closed;
    trySettle(p);
  }

  function trySettle(p: Presentation): void {
    if (!open.has(p.id) || p.flipHostNs === null) return;
    if (p.framesShown === null && !p.trialOver) return;
    if (p.framesShown === null || p.framesShown < p.flash.onFrames) return p.lateFrames > 0 ? settleLate(p) : settle(p, "fixationBroken");
    // A late callback of the window says that the image may have been off its time. Where a photodiode saw the image, it knows.
    if (p.lateFrames > 0 && (p.framesShown !== p.flash.onFrames || !mayCheckDurations())) return settleLate(p);
    if (p.framesShown !== p.flash.onFrames) return settle(p, "wrongDuration");
    const onset = p.onset?.onsetRigNs;
    if (p.counts === null || onset === undefined || onset === null) return;
    if (p.lateFrames > 0 && !checksDuration(p)) return settleLate(p);
    if (p.counts.lossy) return settle(p, "spikesLost");
    if (checksDuration(p)) {
      const refreshMs = 1000 / (display?.refreshHz ?? 60);
      const seen = patch.imageAt(onset);
      if (seen === null && collector.watermarkRigNs < addMs(onset, seenFramesOf(p.flash) * refreshMs + endToleranceMs)) return;
      const refreshes = seen === null || seen.offsetMs === null ? null : (seen.offsetMs - seen.onsetMs) / refreshMs;
      if (refreshes === null || Math.abs(refreshes - seenFramesOf(p.flash)) > durationTolerance) return settleWrongDuration(p, refreshes);
    }
    // Fixation must have held from the onset to the end of the image and of the response window (SPEC 1).
    const needed = addMs(onset, Math.max(p.onMs, response.windowEndMs));
    if (!fixation.heldBetween(onset, needed)) return settle(p, "fixationBroken");
    if (fixation.watermarkRigNs >= needed) settle(p, null);
  }

  /** This rig tells how long an image was lit. */
  function mayCheckDurations(): boolean {
    return display !== null && (display.checksDurations || patch.isGraded);
  }

  function checksDuration(p: Presentation): boolean {
    return mayCheckDurations() && (p.onset?.source === "photodiode" || p.onset?.source === "strobe");
  }

  function settleLate(p: Presentation): void {
    lateFrames += p.lateFrames;
    alarms.report({
      code: "lateFrames", severity: "warn", data: { presentationId: p.id },
      message: `${p.lateFrames} late ${p.lateFrames === 1 ? "frame" : "frames"} while image ${p.image.imageId} was on; it is shown again.`,
    });
    settle(p, "lateFrame");
  }

  function settleWrongDuration(p: Presentation, refreshes: number | null): void {
    const planned = seenFramesOf(p.flash);
    const frames = refreshes === null ? null : Math.round(refreshes);
    alarms.report({
      code: "wrongDuration", severity: "warn", data: { presentationId: p.id, framesPlanned: p.flash.onFrames, framesSeen: frames },
      message: refreshes === null
        ? `The photodiode did not see image ${p.image.imageId} go off; it is shown again.`
        : `The photodiode saw image ${p.image.imageId} for ${frames === planned ? refreshes.toFixed(2) : frames} refreshes instead of ${planned}, which the window did not know of; it is shown again.`,
    });
    settle(p, "wrongDuration");
  }

  function recordFlip(p: Presentation): void {
    if (display === null || p.flipHostNs === null) return;
    const onset = p.onset?.onsetRigNs ?? null;
    const seen = onset === null || !checksDuration(p) ? null : patch.imageAt(onset);
    const dark = p.flash.onFrames - seenFramesOf(p.flash);
    if (seen !== null && seen.frames !== null && p.framesShown !== null && seen.frames + dark !== p.framesShown) wrongDurations += 1;
    framesDropped += display.isCoded ? (seen?.dropped ?? 0) : 0;
    framesRepeated += display.isCoded ? (seen?.repeated ?? 0) : 0;
    options.record({
      kind: "flip", presentationId: p.id, plannedHostNs: p.scheduledHostNs, onsetHostNs: p.flipHostNs, offsetHostNs: p.offsetHostNs,
      framesPlanned: p.flash.onFrames, framesShown: p.framesShown ?? 0, lateFrames: p.lateFrames,
      framesSeen: seen === null || seen.frames === null ? null : seen.frames + dark,
      framesRepeated: display.isCoded ? (seen?.repeated ?? null) : null, framesDropped: display.isCoded ? (seen?.dropped ?? null) : null,
      onsetErrorMs: p.onsetErrorMs,
    });
  }

  function settle(p: Presentation, excluded: ExcludedBecause | null): void {
    if (!open.delete(p.id)) return;
    matcher.cancel(p.id);
    collector.cancel(p.id);
    settled += 1;
    if (excluded !== null) excludedCount += 1;
    recordFlip(p);
    const target = options.targetOf(p.image);
    const counts = p.counts?.counts ?? null;
    const rateHz = excluded === null && counts !== null ? (counts[target] ?? 0) / windowS : null;
    options.record({
      kind: "presentation", presentationId: p.id, trialId: p.trialId, imageId: p.image.imageId, thread: p.image.thread, generation: p.generation,
      scheduledHostNs: p.scheduledHostNs, flipHostNs: p.flipHostNs, onsetRigNs: p.onset?.onsetRigNs ?? null, onsetSource: p.onset?.source ?? null,
      framesPlanned: p.flash.onFrames, framesShown: p.framesShown ?? 0, lateFrames: p.lateFrames,
      counts, baselineCounts: p.counts?.baselineCounts ?? null, rateHz, targetChannel: target,
      windowStartMs: response.windowStartMs, windowEndMs: response.windowEndMs, excluded,
      step: p.step, block: p.block, item: p.item,
      placement: p.placement === null || !p.flash.placement ? null : { ...p.placement, ...p.flash.placement },
    });
    const told: SettledPresentation = { presentationId: p.id, image: p.image, rateHz, excluded, onsetRigNs: p.onset?.onsetRigNs ?? null, onsetSource: p.onset?.source ?? null, channel: target, placement: p.placement };
    if (excluded === null && counts !== null) {
      rasters.push({ p: told, channel: target });
      options.onSettled(told, Array.from(counts, (c) => c / windowS), p);
    } else options.onSettled(told, null, p);
  }

  function flushRasters(): void {
    for (let next = rasters[0]; next !== undefined; next = rasters[0]) {
      const onset = next.p.onsetRigNs;
      if (onset !== null && collector.watermarkRigNs < onset + rasterToMs * nsPerMs && rasters.length < 32) break;
      rasters.shift();
      if (onset !== null) options.onRaster(next.p, collector.spikesAround(next.channel, onset, rasterFromMs, rasterToMs), next.channel);
    }
  }

  return {
    plan({ now, ...planned }) {
      open.set(planned.flash.presentationId, {
        ...planned, id: planned.flash.presentationId, scheduledHostNs: now, flipHostNs: null, offsetHostNs: null, framesShown: null, lateFrames: 0, onset: null, onsetErrorMs: null, counts: null, trialOver: false,
      });
    },
    of: (presentationId) => open.get(presentationId) ?? null,
    onset(presentationId, flipHostNs, plannedHostNs) {
      const p = open.get(presentationId);
      if (p === undefined) return;
      p.flipHostNs = flipHostNs;
      p.scheduledHostNs = plannedHostNs;
      matcher.flip(p.id, flipHostNs);
      options.deadline(addMs(flipHostNs, Math.max(response.windowEndMs, 0) + response.streamTimeoutMs), p.id);
      decideOnsets();
    },
    offset(presentationId, flipHostNs, framesShown, late) {
      const p = open.get(presentationId);
      if (p === undefined) return;
      p.offsetHostNs = flipHostNs;
      p.framesShown = framesShown;
      if (framesShown >= p.flash.onFrames) whole.add(p.id);
      p.lateFrames = late;
      trySettle(p);
    },
    spikes(batch) {
      for (const closed of collector.add(batch)) takeCounts(closed);
      reportLate();
      decideOnsets();
      // Some waited for the stream to pass the end of their image.
      if (mayCheckDurations()) for (const p of open.values()) if (p.counts !== null) trySettle(p);
      flushRasters();
    },
    mark(mark, calibration) {
      const isOfPatch = mark.kind === "photodiode" || (response.onsetTtlLine !== null && mark.kind === "ttl" && mark.line === response.onsetTtlLine);
      const isOnset = isOfPatch && patch.take(mark);
      if (calibration !== null) {
        if (isOnset) calibration.mark(mark.rigNs, mark.kind === "photodiode" ? mark.word : null);
        return;
      }
      // Levels of the coded patch within an image are no onsets.
      if (mark.kind !== "photodiode" || mark.word === null || isOnset) matcher.mark(mark);
      decideOnsets();
    },
    setDisplay(facts) {
      display = facts;
    },
    seenAt: (onsetRigNs) => patch.imageAt(onsetRigNs),
    eye() {
      for (const p of open.values()) if (p.counts !== null) trySettle(p);
    },
    lossUpTo: (rigNs) => collector.markLoss(collector.watermarkRigNs, rigNs),
    lossInLast: (ms) => collector.markLoss(collector.watermarkRigNs - ms * nsPerMs, collector.watermarkRigNs),
    clockJumped() {
      aligner.reset();
      for (const id of collector.reset()) {
        const p = open.get(id);
        if (p !== undefined) settle(p, "spikesLost");
      }
    },
    giveUp(presentationId) {
      const p = open.get(presentationId);
      if (p === undefined) return;
      alarms.report({ code: "responseLost", severity: "warn", message: `The response to image ${p.image.imageId} did not arrive within ${response.streamTimeoutMs} ms after its window; it is shown again.` });
      settle(p, "streamStale");
    },
    endTrial(flashes) {
      const unseen: PlannedPresentation[] = [];
      let completed = 0;
      for (const flash of flashes) {
        // Also of an image whose response is known already.
        if (whole.delete(flash.presentationId)) completed += 1;
        const p = open.get(flash.presentationId);
        if (p === undefined) continue;
        if (p.flipHostNs === null) {
          open.delete(p.id);
          unseen.push(p);
          continue;
        }
        p.trialOver = true;
      }
      return { unseen, completed };
    },
    settleTrial(flashes) {
      for (const flash of flashes) {
        const p = open.get(flash.presentationId);
        if (p !== undefined) trySettle(p);
      }
    },
    stop() {
      for (const p of [...open.values()]) {
        if (p.flipHostNs !== null) settle(p, "stopped");
        else open.delete(p.id);
      }
    },
    get status() {
      return {
        settled, excluded: excludedCount, lateFrames, lateSpikes: collector.lateSpikes,
        matchedMarks: matcher.matchedMarks, unmatchedMarks: matcher.unmatchedMarks, lagMs: matcher.lagMs, wrongDurations, framesDropped, framesRepeated,
      };
    },
  };
}

/** Refreshes that the patch is lit for: with no blank after the image its last refresh is dark, so that the next onset can be seen. */
function seenFramesOf(flash: PlannedFlash): number {
  return flash.offFrames === 0 ? flash.onFrames - 1 : flash.onFrames;
}
