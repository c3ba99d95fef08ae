// A display without a screen: counts frames on the loop's clock. For fast runs, for replay, and for a rig tried without a stimulus window.
// Knows nothing about images beyond their ids.
import type { Clock, Display, DisplayReport, PlannedFlash } from "../shared/ports.ts";
import { hostTimeNs, nsPerS } from "../shared/units.ts";
import type { HostTimeNs } from "../shared/units.ts";

export interface TimedDisplayOptions {
  readonly clock: Clock;
  readonly refreshHz?: number;
  /** For tests and teaching: the frame at which this presentation comes late, and by how many frames. */
  readonly lateAt?: ReadonlyMap<number, number>;
}

export function createTimedDisplay({ clock, refreshHz = 120, lateAt }: TimedDisplayOptions): Display {
  const frameNs = nsPerS / refreshHz;
  const prepared = new Set<number>();
  let listener: (report: DisplayReport) => void = () => undefined;
  let running: { readonly trialId: number; readonly cancel: Set<() => void>; lit: { presentationId: number; onsetNs: number; late: number } | null } | null = null;

  /** The first frame boundary after now. */
  const nextFrame = (): number => Math.floor(clock.now() / frameNs + 1) * frameNs;

  function at(time: number, cancel: Set<() => void>, fire: () => void): void {
    const off = clock.setTimer(hostTimeNs(Math.round(time)), () => {
      cancel.delete(off);
      fire();
    });
    cancel.add(off);
  }

  function runFlash(trialId: number, rest: readonly PlannedFlash[], startNs: number): void {
    const mine = running;
    if (mine === null || mine.trialId !== trialId) return;
    const [flash, ...later] = rest;
    if (flash === undefined) {
      running = null;
      listener({ kind: "end", trialId, aborted: false, endHostNs: round(startNs) });
      return;
    }
    const late = lateAt?.get(flash.presentationId) ?? 0;
    const onset = startNs;
    const offset = onset + (flash.onFrames + late) * frameNs;
    at(onset, mine.cancel, () => {
      mine.lit = { presentationId: flash.presentationId, onsetNs: onset, late };
      listener({ kind: "onset", presentationId: flash.presentationId, flipHostNs: round(onset), plannedHostNs: round(startNs) });
      at(offset, mine.cancel, () => {
        mine.lit = null;
        listener({ kind: "offset", presentationId: flash.presentationId, flipHostNs: round(offset), framesShown: flash.onFrames + late, lateFrames: late });
        const next = offset + flash.offFrames * frameNs;
        at(next, mine.cancel, () => runFlash(trialId, later, next));
      });
    });
  }

  const round = (ns: number): HostTimeNs => hostTimeNs(Math.round(ns));

  return {
    name: "timed display (no screen)",
    geometry: () => ({ kind: "timed", widthPx: 1920, heightPx: 1080, refreshHz }),
    place: () => undefined,
    onReport(next) {
      listener = next;
    },
    async prepare(imageId) {
      prepared.add(imageId);
    },
    release(imageIds) {
      for (const id of imageIds) prepared.delete(id);
    },
    showFixation: () => undefined,
    run(trialId, flashes) {
      const missing = flashes.find((f) => f.imageId !== 0 && !prepared.has(f.imageId));
      running = { trialId, cancel: new Set(), lit: null };
      if (missing !== undefined) {
        running = null;
        listener({ kind: "missing", trialId, imageId: missing.imageId });
        listener({ kind: "end", trialId, aborted: true, endHostNs: clock.now() });
        return;
      }
      runFlash(trialId, flashes, nextFrame());
    },
    abort(trialId) {
      const mine = running;
      if (mine === null || mine.trialId !== trialId) return;
      for (const off of mine.cancel) off();
      mine.cancel.clear();
      const end = nextFrame();
      clock.setTimer(round(end), () => {
        if (mine.lit !== null) {
          const framesShown = Math.round((end - mine.lit.onsetNs) / frameNs);
          listener({ kind: "offset", presentationId: mine.lit.presentationId, flipHostNs: round(end), framesShown, lateFrames: mine.lit.late });
        }
        if (running === mine) running = null;
        listener({ kind: "end", trialId, aborted: true, endHostNs: round(end) });
      });
    },
    async close() {
      if (running !== null) for (const off of running.cancel) off();
      running = null;
    },
  };
}
