// The fate of every presentation: flip, onset on the rig clock, spike counts, fixation, and whether it counts or is shown again.
// Knows nothing about blocks, optimizers or trials beyond their numbers.
import type { ClockAligner, PlannedFlash } from "../shared/ports.ts";
import type { SessionRecordBody } from "../shared/records.ts";
import { addMs, nsPerMs } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";
import type { ExcludedBecause, RigMark, SpikeBatch } from "../shared/values.ts";
import type { Alarms } from "./alarms.ts";
import type { FixationMonitor } from "./fixation.ts";
import type { LoopImage, LoopSettings, SettledPresentation } from "./loopTypes.ts";
import { createOnsetMatcher } from "./onsets.ts";
import type { Onset } from "./onsets.ts";
import { createResponseCollector } from "./responses.ts";
import type { WindowCounts } from "./responses.ts";

/** A flip and its mark belong together when they are no further apart than this, after the clocks are aligned. */
const markToleranceMs = 60;
const rasterFromMs = -50;
const rasterToMs = 250;

interface Presentation {
  readonly id: number;
  readonly trialId: number;
  readonly image: LoopImage;
  readonly flash: PlannedFlash;
  /** Number of the generation that shows it; null in a tuning block. */
  readonly generation: number | null;
  scheduledHostNs: HostTimeNs;
  flipHostNs: HostTimeNs | null;
  framesShown: number | null;
  lateFrames: number;
  onset: Onset | null;
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
  readonly onSettled: (p: SettledPresentation, ratesHz: readonly number[] | null) => void;
  readonly onRaster: (p: SettledPresentation, spikesMs: readonly number[], channel: number) => void;
}

export interface Presentations {
  plan(p: { readonly trialId: number; readonly image: LoopImage; readonly flash: PlannedFlash; readonly generation: number | null; readonly now: HostTimeNs }): void;
  imageOf(presentationId: number): LoopImage | null;
  onset(presentationId: number, flipHostNs: HostTimeNs, plannedHostNs: HostTimeNs): void;
  offset(presentationId: number, framesShown: number, lateFrames: number): void;
  spikes(batch: SpikeBatch): void;
  mark(mark: RigMark): void;
  /** New eye samples may decide what was waiting for them. */
  eye(): void;
  lossUpTo(rigNs: number): void;
  lossInLast(ms: number): void;
  clockJumped(): void;
  giveUp(presentationId: number): void;
  /** The trial is over: returns image ids that never reached the screen, and how many images were shown whole. */
  endTrial(flashes: readonly PlannedFlash[]): { readonly unseen: readonly number[]; readonly completed: number };
  settleTrial(flashes: readonly PlannedFlash[]): void;
  /** Everything still open is excluded as "stopped". */
  stop(): void;
  readonly status: { readonly settled: number; readonly excluded: number; readonly lateFrames: number; readonly lateSpikes: number; readonly matchedMarks: number; readonly unmatchedMarks: number; readonly lagMs: { readonly mean: number; readonly sd: number; readonly n: number } };
}

export function createPresentations(options: PresentationsOptions): Presentations {
  const { settings, fixation, aligner, alarms } = options;
  const { response, trial } = settings;
  const collector = createResponseCollector({ channelCount: options.channelCount, ...response });
  const matcher = createOnsetMatcher({ onsetFrom: response.onsetFrom, ttlLine: response.onsetTtlLine, toleranceMs: markToleranceMs, map: () => aligner.map() });
  const windowS = (response.windowEndMs - response.windowStartMs) / 1000;
  const open = new Map<number, Presentation>();
  const rasters: { readonly p: SettledPresentation; readonly channel: number }[] = [];
  let settled = 0;
  let excludedCount = 0;
  let lateFrames = 0;

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
      if (p.flipHostNs !== null && (onset.source === "photodiode" || onset.source === "strobe")) aligner.addPair({ hostNs: p.flipHostNs, rigNs: onset.onsetRigNs, kind: "mark" });
      collector.open(p.id, onset.onsetRigNs);
    }
    for (const closed of collector.drain()) takeCounts(closed);
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
    if (p.framesShown === null || p.framesShown < p.flash.onFrames) return settle(p, p.lateFrames > 0 ? "lateFrame" : "fixationBroken");
    if (p.lateFrames > 0) return settle(p, "lateFrame");
    if (p.framesShown !== p.flash.onFrames) return settle(p, "wrongDuration");
    const onset = p.onset?.onsetRigNs;
    if (p.counts === null || onset === undefined || onset === null) return;
    if (p.counts.lossy) return settle(p, "spikesLost");
    // Fixation must have held from the onset to the end of the image and of the response window (SPEC 1).
    const needed = addMs(onset, Math.max(trial.onMs, response.windowEndMs));
    if (!fixation.heldBetween(onset, needed)) return settle(p, "fixationBroken");
    if (fixation.watermarkRigNs >= needed) settle(p, null);
  }

  function settle(p: Presentation, excluded: ExcludedBecause | null): void {
    if (!open.delete(p.id)) return;
    matcher.cancel(p.id);
    collector.cancel(p.id);
    settled += 1;
    if (excluded !== null) excludedCount += 1;
    const target = options.targetOf(p.image);
    const counts = p.counts?.counts ?? null;
    const rateHz = excluded === null && counts !== null ? (counts[target] ?? 0) / windowS : null;
    options.record({
      kind: "presentation", presentationId: p.id, trialId: p.trialId, imageId: p.image.imageId, thread: p.image.thread, generation: p.generation,
      scheduledHostNs: p.scheduledHostNs, flipHostNs: p.flipHostNs, onsetRigNs: p.onset?.onsetRigNs ?? null, onsetSource: p.onset?.source ?? null,
      framesPlanned: p.flash.onFrames, framesShown: p.framesShown ?? 0, lateFrames: p.lateFrames,
      counts, baselineCounts: p.counts?.baselineCounts ?? null, rateHz, targetChannel: target,
      windowStartMs: response.windowStartMs, windowEndMs: response.windowEndMs, excluded,
    });
    const told: SettledPresentation = { presentationId: p.id, image: p.image, rateHz, excluded, onsetRigNs: p.onset?.onsetRigNs ?? null, onsetSource: p.onset?.source ?? null };
    if (excluded === null && counts !== null) {
      rasters.push({ p: told, channel: target });
      options.onSettled(told, Array.from(counts, (c) => c / windowS));
    } else options.onSettled(told, null);
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
    plan({ trialId, image, flash, generation, now }) {
      open.set(flash.presentationId, {
        id: flash.presentationId, trialId, image, flash, generation, scheduledHostNs: now, flipHostNs: null, framesShown: null, lateFrames: 0, onset: null, counts: null, trialOver: false,
      });
    },
    imageOf: (presentationId) => open.get(presentationId)?.image ?? null,
    onset(presentationId, flipHostNs, plannedHostNs) {
      const p = open.get(presentationId);
      if (p === undefined) return;
      p.flipHostNs = flipHostNs;
      p.scheduledHostNs = plannedHostNs;
      matcher.flip(p.id, flipHostNs);
      options.deadline(addMs(flipHostNs, Math.max(response.windowEndMs, 0) + response.streamTimeoutMs), p.id);
      decideOnsets();
    },
    offset(presentationId, framesShown, late) {
      const p = open.get(presentationId);
      if (p === undefined) return;
      p.framesShown = framesShown;
      p.lateFrames = late;
      if (late > 0) {
        lateFrames += late;
        alarms.report({
          code: "lateFrames", severity: "warn", data: { presentationId: p.id },
          message: `${late} late ${late === 1 ? "frame" : "frames"} while image ${p.image.imageId} was on; it is shown again.`,
        });
      }
      trySettle(p);
    },
    spikes(batch) {
      for (const closed of collector.add(batch)) takeCounts(closed);
      decideOnsets();
      flushRasters();
    },
    mark(mark) {
      matcher.mark(mark);
      decideOnsets();
    },
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
      const unseen: number[] = [];
      let completed = 0;
      for (const flash of flashes) {
        const p = open.get(flash.presentationId);
        if (p === undefined) continue;
        if (p.flipHostNs === null) {
          open.delete(p.id);
          unseen.push(flash.imageId);
          continue;
        }
        p.trialOver = true;
        if (p.framesShown !== null && p.framesShown >= flash.onFrames) completed += 1;
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
        matchedMarks: matcher.matchedMarks, unmatchedMarks: matcher.unmatchedMarks, lagMs: matcher.lagMs,
      };
    },
  };
}
