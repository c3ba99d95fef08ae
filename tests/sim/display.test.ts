// A session on a screen that does not do what its window says: late refreshes that no callback knew of, seen only by the photodiode.
import { describe, expect, it } from "vitest";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { patchLevelOf } from "../../src/shared/patchCode.ts";
import type { DisplayReport, PlannedFlash } from "../../src/shared/ports.ts";
import { hostTimeNs, nsPerMs, nsPerS } from "../../src/shared/units.ts";
import type { SourceEvent } from "../../src/shared/values.ts";
import { simulate } from "./simWorld.ts";
import type { SimOptions } from "./simWorld.ts";

const refreshHz = 120;
const frameNs = nsPerS / refreshHz;
const lagMs = 9;

interface ScreenOptions {
  readonly code?: "onset" | "frames";
  /** Refreshes that a presentation is lit for beside its plan, and by how many refreshes it comes late. */
  readonly longerBy?: ReadonlyMap<number, number>;
  /** Presentations during which the window's thread was held up, so that it reports late frames. */
  readonly heldUpIn?: ReadonlySet<number>;
  readonly laterFrom?: { readonly presentationId: number; readonly refreshes: number };
  /** What the rig has: both edges, a pulse of its own length at the onset, or nothing. */
  readonly box?: "edges" | "pulse" | "none";
  readonly flashes?: number;
}

/** A timed display whose light comes `lagMs` later, on a rig with a photodiode. */
function aScreen({ code = "onset", longerBy = new Map(), heldUpIn = new Set(), laterFrom, box = "edges", flashes = 20 }: ScreenOptions): NonNullable<SimOptions["screen"]> {
  return ({ clock, rig }) => {
    const timed = createTimedDisplay({ clock, refreshHz });
    const planned = new Map<number, PlannedFlash>();
    let listen: (event: SourceEvent) => void = () => undefined;
    const mark = (atNs: number, level: number): void => void clock.setTimer(hostTimeNs(Math.round(atNs)), () => {
      listen({ kind: "mark", mark: { kind: "photodiode", rigNs: rig.truth.clock.toRig(hostTimeNs(Math.round(atNs))), line: 0, state: level > 0, word: code === "frames" ? level : null }, arrivedHostNs: clock.now() });
    });
    const light = (report: DisplayReport): void => {
      if (report.kind !== "onset" || box === "none") return;
      const flash = planned.get(report.presentationId);
      const later = laterFrom !== undefined && report.presentationId >= laterFrom.presentationId ? laterFrom.refreshes : 0;
      const startNs = report.flipHostNs + lagMs * nsPerMs + later * frameNs;
      const frames = (flash?.onFrames ?? 0) + (longerBy.get(report.presentationId) ?? 0);
      for (let k = 0; k < (code === "frames" ? frames : 1); k++) mark(startNs + k * frameNs, code === "frames" ? patchLevelOf(report.presentationId, k, frames) : 3);
      mark(box === "pulse" ? startNs + 4 * nsPerMs : startNs + frames * frameNs, 0);
    };
    return {
      display: {
        ...timed,
        onReport: (next) => timed.onReport((report) => {
          light(report);
          next(report.kind === "offset" && heldUpIn.has(report.presentationId) ? { ...report, lateFrames: 2 } : report);
        }),
        run(trialId, shown) {
          for (const flash of shown) planned.set(flash.presentationId, flash);
          timed.run(trialId, shown);
        },
      },
      source: {
        ...rig.source,
        start(listener) {
          listen = listener;
          return rig.source.start(listener);
        },
      },
      displaySetup: { photodiodeCode: code, flashes, onFrames: 6, offFrames: 6, skipped: "" },
    };
  };
}

const rig = { photodiode: false };
/** A subject that never looks away. */
const steadyRig = { ...rig, eye: { sampleRateHz: 500 as const, batchMs: 20, delayMs: 4, engagement: 1, breaksPerS: 0, blinksPerS: 0, microsaccadesPerS: 1.2, driftSpreadDeg: 0.07 } };

describe("the display's lag", () => {
  it("is measured before the first trial, to a tenth of a millisecond of what the screen has", async () => {
    const run = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({}) });
    expect(run.of("displayCalibration")).toMatchObject([{ refreshHz, flashes: 20, marks: 20, durationsSeen: 20, skipped: "" }]);
    expect(run.of("displayCalibration")[0]?.lagMsMedian).toBeCloseTo(lagMs, 0);
    expect(run.of("displayCalibration")[0]?.lagMsSd).toBeLessThan(0.1);
    const order = run.records.map((r) => r.kind);
    expect(order.indexOf("displayCalibration")).toBeLessThan(order.indexOf("presentation"));
    expect(run.of("presentation").every((p) => p.onsetSource === "photodiode")).toBe(true);
    expect(run.loop.status.lagMs.mean).toBeCloseTo(lagMs, 0);
  });

  it("is added to the flips where the marks stop, so that onsets stay where they were", async () => {
    const all = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({}) });
    const byFlip = await simulate({ seed: 3, rig, config: { response: { onsetFrom: "flip" }, evolution: { generations: 1 } }, screen: aScreen({}) });
    const onsets = (run: typeof all) => run.of("presentation").flatMap((p) => (p.onsetRigNs === null ? [] : [p.onsetRigNs]));
    expect(byFlip.of("presentation").every((p) => p.onsetSource === "flip")).toBe(true);
    for (const [i, onset] of onsets(byFlip).slice(0, 20).entries()) expect(Math.abs(onset - (onsets(all)[i] ?? 0)) / nsPerMs).toBeLessThan(0.5);
  });

  it("is not made up where the rig has no photodiode: the record says why, and the session goes on", async () => {
    const run = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({ box: "none" }) });
    expect(run.of("displayCalibration")).toMatchObject([{ marks: 0, lagMsMedian: null, skipped: expect.stringContaining("no photodiode mark") as string }]);
    expect(run.ended.reason).toBe("completed");
    expect(run.of("flip").every((f) => f.framesSeen === null && f.onsetErrorMs === null)).toBe(true);
  });

  it("is an alarm when it changes during the session", async () => {
    const run = await simulate({ seed: 3, rig, config: { evolution: { generations: 2 } }, screen: aScreen({ laterFrom: { presentationId: 40, refreshes: 2 } }) });
    expect(run.of("event").filter((e) => e.code === "displayLagChanged")).toHaveLength(1);
    expect(run.of("presentation").every((p) => p.excluded === null || p.excluded === "fixationBroken")).toBe(true);
  });
});

describe("an image that stood longer or shorter than the window says", () => {
  const longerBy = new Map([[12, 1], [30, -1], [31, 3]]);

  it("does not count, is shown again, and is stored with the refreshes that the photodiode saw", async () => {
    for (const code of ["onset", "frames"] as const) {
      const run = await simulate({ seed: 3, rig: steadyRig, config: { evolution: { generations: 2 } }, screen: aScreen({ code, longerBy }) });
      expect(run.of("presentation").filter((p) => p.excluded !== null).map((p) => [p.presentationId, p.excluded, p.lateFrames])).toEqual([[12, "wrongDuration", 0], [30, "wrongDuration", 0], [31, "wrongDuration", 0]]);
      const flips = new Map(run.of("flip").map((f) => [f.presentationId, f]));
      expect([...longerBy.keys()].map((id) => flips.get(id)?.framesSeen)).toEqual([13, 11, 15]);
      expect(run.of("flip").filter((f) => !longerBy.has(f.presentationId)).every((f) => f.framesSeen === 12 && f.framesShown === 12)).toBe(true);
      expect(run.of("event").filter((e) => e.code === "wrongDuration")).toHaveLength(3);
      expect(run.of("generation").every((g) => g.missing === 0)).toBe(true);
      expect(run.loop.status.wrongDurations).toBe(3);
    }
  });

  it("does not count where its end lies so near to the middle between two refreshes that another clock might see one more", async () => {
    const run = await simulate({ seed: 3, rig: steadyRig, config: { evolution: { generations: 2 } }, screen: aScreen({ longerBy: new Map([[12, 0.4], [14, -0.4], [30, 0.48], [31, -0.48]]) }) });
    expect(run.of("presentation").filter((p) => p.excluded === "wrongDuration").map((p) => p.presentationId)).toEqual([30, 31]);
    expect(run.of("event").filter((e) => e.code === "wrongDuration").map((e) => e.message)).toEqual([expect.stringContaining("for 12.48 refreshes instead of 12"), expect.stringContaining("for 11.52 refreshes instead of 12")]);
  });

  it("counts where the window was held up and the photodiode saw that the light was not; without one it is shown again", async () => {
    const heldUpIn = new Set([12, 14]);
    const ofHeldUp = (run: Awaited<ReturnType<typeof simulate>>) => run.of("presentation").filter((p) => heldUpIn.has(p.presentationId)).map((p) => [p.excluded, p.lateFrames]);
    const seen = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({ heldUpIn, longerBy: new Map([[14, 2]]) }) });
    expect(ofHeldUp(seen)).toEqual([[null, 2], ["wrongDuration", 2]]);
    expect([seen.of("event").filter((e) => e.code === "lateFrames").length, seen.loop.status.lateFrames]).toEqual([0, 0]);
    for (const box of ["pulse", "none"] as const) {
      const blind = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({ box, heldUpIn }) });
      expect(ofHeldUp(blind)).toEqual([["lateFrame", 2], ["lateFrame", 2]]);
      expect([blind.of("event").filter((e) => e.code === "lateFrames").length, blind.loop.status.lateFrames]).toEqual([2, 4]);
    }
  });

  it("is found also where the flashes told nothing, by a photodiode that tells levels of light", async () => {
    const run = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({ code: "frames", longerBy: new Map([...longerBy, ...Array.from({ length: 20 }, (_, i) => [-(i + 1), 4] as const)]) }) });
    expect(run.of("displayCalibration")).toMatchObject([{ durationsSeen: 0 }]);
    expect(run.of("flip").filter((f) => f.framesSeen !== null && f.framesSeen !== 12).map((f) => [f.presentationId, f.framesSeen])).toEqual([[12, 13], [30, 11], [31, 15]]);
  });

  it("cannot be told by a box whose pulses have a length of their own, which then decides nothing", async () => {
    const run = await simulate({ seed: 3, rig, config: { evolution: { generations: 1 } }, screen: aScreen({ box: "pulse", longerBy }) });
    expect(run.of("displayCalibration")).toMatchObject([{ marks: 20, durationsSeen: 0 }]);
    expect(run.of("presentation").some((p) => p.excluded === "wrongDuration")).toBe(false);
    expect(run.of("flip").every((f) => f.framesSeen === null)).toBe(true);
  });
});
