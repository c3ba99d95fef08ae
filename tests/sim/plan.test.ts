// Sessions of several steps: what each protocol finds on the synthetic rig, against its ground truth.
import fc from "fast-check";
import { pearson } from "../../src/analysis/statistics.ts";
import { describe, expect, it } from "vitest";
import { defaultRigOptions } from "../../src/acquisition/synthetic/options.ts";
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

describe("what the operator does to a plan", () => {
  const anImage = (grey: number) => ({ count: 1, width: 8, height: 8, data: new Uint8Array(192).fill(grey) });

  it("a step is skipped with a report on what it has, another runs once more, and what was under way is finished", async () => {
    const reports: StepReport[] = [];
    let counted = 0;
    const run = await simulate({
      seed: 7, imagesInFolder: 6,
      config: { plan: [{ protocol: "diverseSet", folder: "images", imageCount: 6, repeats: 30 }, { protocol: "images", folder: "more", imageCount: 2, repeats: 1 }] },
      listener: { stepReport: (r) => reports.push(r) },
      act: (loop, record) => {
        if (record.kind !== "presentation" || record.excluded !== null) return;
        counted += 1;
        if (counted === 12) loop.skipStep();
        if (record.step === 1 && counted < 40) {
          counted = 40;
          loop.repeatStep(1);
        }
      },
    });
    expect(reports.map((r) => [r.protocol, r.outcome])).toEqual([["diverseSet", "skipped"], ["images", "done"], ["images", "done"]]);
    expect(run.loop.status.plan.steps.map((s) => s.state)).toEqual(["skipped", "done", "done"]);
    expect(run.of("event").map((e) => e.code)).toEqual(expect.arrayContaining(["skipStep", "repeatStep", "plan"]));
    // The copy is a step of its own, with the same pictures.
    expect(run.of("presentation").filter((p) => p.step === 2 && p.excluded === null)).toHaveLength(2);
    expect(run.ended.message).toBe("All 3 steps are done.");
  });

  it("images that are sent are shown by the validation step that waits for them, by condition, against natural ones", async () => {
    const reports: StepReport[] = [];
    const run = await simulate({
      seed: 8, imagesInFolder: 8,
      config: { plan: [{ protocol: "diverseSet", folder: "images", imageCount: 8, repeats: 2 }, { protocol: "validation", repeats: 3, naturalCount: 4, naturalRepeats: 2, permutations: 200 }] },
      listener: {
        stepReport: (r) => reports.push(r),
        needsImages: () => setImmediate(() => queue?.()),
      },
      act: (loop) => {
        queue = () => loop.queueImages(["control-a-0.png", "control-a-1.png", "positive-1.00-a-0.png", "positive-1.00-a-1.png"].map((label, i) => ({ label, kind: "model" as const, image: anImage(40 * i) })));
      },
    });
    const view = viewOf(run, "validation");
    expect(view.conditions.map((c) => [c.name, c.images, c.counted])).toEqual([["natural", 4, 8], ["control", 2, 6], ["positive 1", 2, 6]]);
    expect(view.conditions.every((c) => c.name === "natural" || c.p !== null)).toBe(true);
    expect(view.population.map((p) => p.condition)).toContain("positive 1");
    const models = run.of("image").filter((i) => i.imageKind === "model");
    expect(models.map((m) => [m.label, m.step])).toEqual([["control-a-0.png", 1], ["control-a-1.png", 1], ["positive-1.00-a-0.png", 1], ["positive-1.00-a-1.png", 1]]);
    expect(reports[1]?.tables.map((t) => t.title)).toEqual(["Conditions", "Population"]);
  });

  it("images that are sent to a plan without a place for them get a step of their own", async () => {
    let sent = false;
    const run = await simulate({
      seed: 9, imagesInFolder: 3,
      config: { plan: [{ protocol: "diverseSet", folder: "images", imageCount: 3, repeats: 2 }] },
      act: (loop, record) => {
        if (record.kind !== "trial" || sent) return;
        sent = true;
        loop.queueImages([{ label: "one", kind: "free", image: anImage(9) }]);
      },
    });
    expect(run.loop.status.plan.steps.map((s) => [s.protocol, s.state])).toEqual([["diverseSet", "done"], ["images", "done"]]);
    expect(run.of("presentation").filter((p) => p.step === 1 && p.excluded === null)).toHaveLength(5);
  });

  it("a target that is chosen before an evolution is what it evolves", async () => {
    let chosen = false;
    const run = await simulate({
      seed: 10, imagesInFolder: 4,
      config: { plan: [{ protocol: "diverseSet", folder: "images", imageCount: 4, repeats: 2 }, { protocol: "evolution", generations: 1, confirmRepeats: 0, threads: [{}] }] },
      act: (loop, record) => {
        if (record.kind !== "trial" || chosen) return;
        chosen = true;
        loop.setTarget(0, 17);
      },
    });
    expect(run.of("generation").map((g) => g.targetChannel)).toEqual([17]);
    expect(run.of("event").find((e) => e.code === "target")?.message).toContain("by the operator");
  });
});

let queue: (() => void) | null = null;

describe("over random eyes", () => {
  it("no image counts that was not shown whole under fixation, no reward comes without a held trial, and every planned image is shown as often as planned", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.integer({ min: 1, max: 1000 }), breaksPerS: fc.double({ min: 0, max: 1.2, noNaN: true }), blinksPerS: fc.double({ min: 0, max: 0.8, noNaN: true }), engagement: fc.double({ min: 0.4, max: 1, noNaN: true }),
          graceMs: fc.constantFrom(0, 30), blinkMsMax: fc.constantFrom(0, 250), rewardGrowMs: fc.constantFrom(0, 25), breakAfterTrials: fc.constantFrom(0, 4),
        }),
        async ({ seed, breaksPerS, blinksPerS, engagement, graceMs, blinkMsMax, rewardGrowMs, breakAfterTrials }) => {
          const run = await simulate({
            seed, imagesInFolder: 7, rig: { channelsPerArray: 2, eye: { ...defaultRigOptions.eye, breaksPerS, blinksPerS, engagement } },
            config: {
              trial: { graceMs, blinkMsMax, rewardMs: 100, rewardGrowMs, rewardMsMax: 180, breakAfterTrials, breakMs: 5000 },
              plan: [{ protocol: "images", folder: "some", imageCount: 7, repeats: 2, attemptsMax: 50 }],
            },
          });
          expect(run.ended.reason).toBe("completed");
          const counted = run.of("presentation").filter((p) => p.excluded === null);
          expect([...Map.groupBy(counted, (p) => p.imageId).values()].map((c) => c.length)).toEqual(new Array(7).fill(2));
          const samples = run.of("eye").flatMap(({ batch }) => [...batch.timesRigNs].map((t, i) => ({ t, seen: batch.valid[i] === 1, inside: batch.valid[i] === 1 && Math.abs(batch.xDeg[i] ?? 9) <= 0.5 && Math.abs(batch.yDeg[i] ?? 9) <= 0.5 })));
          for (const p of counted) {
            expect(p.framesShown).toBe(p.framesPlanned);
            expect(p.lateFrames).toBe(0);
            const onset = p.onsetRigNs ?? 0;
            // The longest stretch outside within the image and its window: seen outside, or not seen inside at all.
            let since: { away: number | null; out: number | null } = { away: null, out: null };
            for (const s of samples.filter((one) => one.t >= onset && one.t <= onset + 170e6)) {
              since = s.inside ? { away: null, out: null } : { away: since.away ?? s.t, out: s.seen ? (since.out ?? s.t) : null };
              if (since.out !== null && !s.inside) expect(s.t - since.out).toBeLessThanOrEqual(Math.max(graceMs, 0.1) * 1e6 + 4e6);
              if (since.away !== null) expect(s.t - since.away).toBeLessThanOrEqual(Math.max(graceMs, blinkMsMax, 0.1) * 1e6 + 4e6);
            }
          }
          // Rewards: one for every correct trial, none besides, growing by the schedule.
          let streak = 0;
          const expected = run.of("trial").flatMap((t) => {
            if (t.outcome !== "correct") {
              if (t.outcome === "brokeFixation" || t.outcome === "noFixation") streak = 0;
              expect(t.rewardMs).toBe(0);
              return [];
            }
            expect(t.imagesCompleted).toBe(t.imagesPlanned);
            return [Math.min(100 + rewardGrowMs * streak++, 180)];
          });
          expect(run.of("trial").flatMap((t) => (t.outcome === "correct" ? [t.rewardMs] : []))).toEqual(expected);
          expect(run.of("reward").filter((r) => r.cause === "trial").map((r) => r.pulseMs)).toEqual(expected.slice(0, run.of("reward").length));
        },
      ),
      { numRuns: 6, seed: 11 },
    );
  }, 120_000);
});

describe("what the protocols find, against the truth", () => {
  it("the noise ceiling of the diverse set is the correlation of its means with the true responses", async () => {
    const run = await simulate({ seed: 12, imagesInFolder: 40, rig: { channelsPerArray: 8 }, config: { plan: [{ protocol: "diverseSet", folder: "images", imageCount: 40, repeats: 6 }] } });
    const view = viewOf(run, "diverseSet");
    const means = Map.groupBy(run.of("presentation").filter((p) => p.excluded === null && p.counts !== null), (p) => p.imageId);
    const pairs = view.channels.flatMap(({ channel, noiseCeilingR }) => {
      if (noiseCeilingR === null || noiseCeilingR < 0.5) return [];
      const measured = view.images.map(({ imageId }) => (means.get(imageId) ?? []).reduce((sum, p) => sum + (p.counts?.[channel] ?? 0), 0) / (means.get(imageId)?.length ?? 1));
      const truth = view.images.map(({ imageId }) => run.truth.responseOfHz(imageId)?.[channel] ?? 0);
      return [{ noiseCeilingR, r: pearson(measured, truth) ?? 0 }];
    });
    expect(pairs.length).toBeGreaterThanOrEqual(5);
    for (const { noiseCeilingR, r } of pairs) expect(Math.abs(noiseCeilingR - r)).toBeLessThan(0.15);
    expect(Math.abs(pairs.reduce((sum, p) => sum + p.noiseCeilingR - p.r, 0) / pairs.length)).toBeLessThan(0.08);
    // The suggested target is one that tells images apart.
    const target = view.channels.find((c) => c.channel === view.suggestedTarget);
    expect(target?.reliability ?? 0).toBeGreaterThan(0.6);
  }, 60_000);

  it("localisation finds the part of the image that drives the target", async () => {
    const side = 64;
    // A grating in one corner of a grey image: what a disc over it takes away is what the neuron responds to.
    const patch = { x: 40, y: 24, radius: 12 };
    const image = { count: 1, width: side, height: side, data: Uint8Array.from({ length: side * side * 3 }, (_, i) => {
      const [x, y] = [Math.floor(i / 3) % side, Math.floor(i / 3 / side)];
      return Math.hypot(x - patch.x, y - patch.y) < patch.radius ? 128 + 110 * Math.sign(Math.sin((x + y) * 0.9)) : 128;
    }) };
    const probe = await simulate({ seed: 13, imagesInFolder: 1, folderImage: () => image, rig: { channelsPerArray: 8 }, config: { plan: [{ protocol: "images", folder: "one", repeats: 12 }] } });
    const rates = probe.truth.responseOfHz(probe.of("image")[0]?.imageId ?? 0) ?? new Float64Array();
    const channel = probe.truth.channels.reduce((top, c) => ((rates[c.index] ?? 0) - c.baselineHz > (rates[top] ?? 0) - (probe.truth.channels[top]?.baselineHz ?? 0) ? c.index : top), 0);
    const run = await simulate({
      seed: 13, imagesInFolder: 1, folderImage: () => image, rig: { channelsPerArray: 8 },
      config: { plan: [{ protocol: "localisation", source: "file", imageFile: "one", channel, discCount: 40, discRepeats: 4, intactRepeats: 24, maskedRepeats: 12 }] },
    });
    const view = viewOf(run, "localisation");
    expect(Math.hypot((view.peak?.xPx ?? 0) - patch.x, (view.peak?.yPx ?? 0) - patch.y)).toBeLessThan(patch.radius);
    expect(view.keptShare ?? 1).toBeLessThan(0.4);
    // The kept part alone drives it nearly as the whole does, the rest hardly.
    expect(view.maskedHz ?? 0).toBeGreaterThan(0.6 * (view.intactHz ?? 0));
    expect(view.complementHz ?? 99).toBeLessThan(0.3 * (view.intactHz ?? 0));
  }, 60_000);
});
