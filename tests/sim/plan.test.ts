// Sessions of several steps: what each protocol finds on the synthetic rig, against its ground truth.
import { describe, expect, it } from "vitest";
import { simulate } from "./simWorld.ts";
import type { SimRun } from "./simWorld.ts";
import type { StepReport, StepView, StepViewOf } from "../../src/shared/contract/index.ts";

function viewOf<P extends StepView["protocol"]>(run: SimRun, protocol: P): StepViewOf<P> {
  const found = run.loop.views().find((v): v is StepViewOf<P> => v.protocol === protocol);
  if (found === undefined) throw new Error(`expected a view of ${protocol}`);
  return found;
}

describe("a plan of steps", () => {
  it("runs its steps in order, passes on what they found, and ends with a report of each", async () => {
    const reports: StepReport[] = [];
    const run = await simulate({
      seed: 3, imagesInFolder: 12,
      config: { plan: [
        { protocol: "diverseSet", imageCount: 12, repeats: 2, folder: "images" },
        { protocol: "evolution", generations: 3, referencesPerGeneration: 4, confirmRepeats: 2, threads: [{}] },
        { protocol: "localisation", discCount: 8, discRepeats: 2, intactRepeats: 4, maskedRepeats: 2 },
        { protocol: "images", folder: "more", repeats: 2, imageCount: 5 },
      ] },
      listener: { stepReport: (r) => reports.push(r) },
    });
    expect(run.ended).toMatchObject({ reason: "completed", message: "All 4 steps are done." });
    expect(reports.map((r) => [r.step, r.protocol, r.outcome])).toEqual([[0, "diverseSet", "done"], [1, "evolution", "done"], [2, "localisation", "done"], [3, "images", "done"]]);
    expect(run.of("step").map((s) => [s.step, s.state])).toEqual([0, 1, 2, 3].flatMap((s) => [[s, "begun"], [s, "done"]]));
    // The evolution takes the channel that the diverse set suggested.
    const suggested = viewOf(run, "diverseSet").suggestedTarget;
    expect(suggested).not.toBeNull();
    expect(run.of("generation").map((g) => g.targetChannel)).toEqual([suggested, suggested, suggested]);
    // Every planned image was presented the planned number of times.
    for (const [step, perImage] of [[0, 2], [3, 2]] as const) {
      const counted = Map.groupBy(run.of("presentation").filter((p) => p.step === step && p.excluded === null), (p) => p.imageId);
      expect([...counted.values()].map((c) => c.length)).toEqual(new Array(step === 0 ? 12 : 5).fill(perImage));
    }
  });
});

describe("on the synthetic rig", () => {
  it("mapping finds the true centre of the fields and moves later images there", async () => {
    const run = await simulate({
      seed: 5, imagesInFolder: 4, rig: { fieldXDeg: 2, fieldYDeg: -1.5, channelsPerArray: 12 },
      config: { plan: [
        { protocol: "rfMapping", columns: 7, rows: 7, widthDeg: 6, heightDeg: 6, centreXDeg: 2, centreYDeg: -1.5, imageCount: 4, repeats: 2, imageSizeDeg: 1 },
        { protocol: "images", folder: "more", repeats: 1, imageCount: 2 },
      ] },
    });
    const view = viewOf(run, "rfMapping");
    expect(view.counts).toEqual(new Array(49).fill(8));
    const trusted = view.channels.filter((c) => c.field?.trusted === true);
    expect(trusted.length).toBeGreaterThanOrEqual(6);
    for (const { channel, field } of trusted) {
      const unit = run.truth.channels[channel]?.units[0];
      const truth = run.truth.fieldDeg(unit?.index ?? -1);
      // Places are a degree apart.
      expect(Math.hypot((field?.centreXDeg ?? 0) - truth.centreXDeg, (field?.centreYDeg ?? 0) - truth.centreYDeg)).toBeLessThan(0.5);
    }
    const { carried } = run.loop.status.plan;
    expect(Math.hypot((carried.field?.centreXDeg ?? 0) - 2, (carried.field?.centreYDeg ?? 0) + 1.5)).toBeLessThan(0.7);
    const later = run.of("presentation").filter((p) => p.step === 1);
    expect(later.length).toBeGreaterThan(0);
    for (const p of later) expect(p.placement).toMatchObject({ centreXDeg: carried.field?.centreXDeg, centreYDeg: carried.field?.centreYDeg, sizeDeg: 4 });
  }, 60_000);
});
