// The whole closed loop from a seed: synthetic rig, trials, scores, optimizer, on a virtual clock.
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { simulate } from "./simWorld.ts";
import type { SimRun } from "./simWorld.ts";

function fingerprint(run: SimRun): string {
  const hash = createHash("sha256");
  for (const g of run.of("generation")) hash.update(new Uint8Array(g.scores.buffer)).update(g.stateAfter);
  for (const p of run.of("presentation")) hash.update(JSON.stringify([p.presentationId, p.imageId, p.excluded, p.counts === null ? null : [...p.counts]]));
  return hash.digest("hex");
}

describe("the closed loop", () => {
  it("gives the same scores, states and order for one seed on every run, and others for another seed", async () => {
    const a = await simulate({ seed: 11 });
    const b = await simulate({ seed: 11 });
    const c = await simulate({ seed: 12 });
    expect(fingerprint(b)).toBe(fingerprint(a));
    expect(fingerprint(c)).not.toBe(fingerprint(a));
    expect(a.ended.reason).toBe("completed");
  });

  it("does not depend on the size of the spike batches", async () => {
    const runs = await Promise.all([10, 25, 60].map((batchMs) => simulate({ seed: 21, rig: { batchMs } })));
    const counts = (run: SimRun): string => JSON.stringify(run.of("presentation").map((p) => [p.imageId, p.excluded, p.counts === null ? null : [...p.counts]]));
    expect(counts(runs[1] ?? fail())).toBe(counts(runs[0] ?? fail()));
    expect(counts(runs[2] ?? fail())).toBe(counts(runs[0] ?? fail()));
    expect(runs.map((r) => Buffer.from(r.finalState).toString("hex"))).toEqual(new Array(3).fill(Buffer.from(runs[0]?.finalState ?? []).toString("hex")));
  });

  it("drives the neuron up and leaves the references behind", async () => {
    const run = await simulate({ seed: 5, config: { evolution: { generations: 25 } } });
    const last = run.generations.at(-1);
    expect(last?.evolved.mean).toBeGreaterThan(run.generations[1]?.evolved.mean ?? Number.POSITIVE_INFINITY);
    expect(run.generations).toHaveLength(25);
  });

  it("counts every planned image of a completed generation exactly as often as planned, in spite of broken fixation", async () => {
    const run = await simulate({ seed: 31, rig: { eye: { ...(await eyeDefaults()), breaksPerS: 0.8 } }, config: { evolution: { generations: 4, repeats: 2 } } });
    expect(run.of("trial").some((t) => t.outcome === "brokeFixation")).toBe(true);
    expect(run.of("presentation").some((p) => p.excluded === "fixationBroken")).toBe(true);
    for (const g of run.of("generation")) {
      const evolved = run.of("image").filter((i) => i.generation === g.generation && i.imageKind === "evolved");
      for (const image of evolved) {
        // The start code, a generation of one image, is shown five times.
        expect(run.of("presentation").filter((p) => p.imageId === image.imageId && p.excluded === null)).toHaveLength(evolved.length === 1 ? 5 : 2);
      }
      expect(g.missing).toBe(0);
    }
  });

  it("counts no image whose onset or end had a broken fixation, judged from the recorded eye samples", async () => {
    const run = await simulate({ seed: 33, rig: { eye: { ...(await eyeDefaults()), breaksPerS: 1.5 } }, config: { evolution: { generations: 3 } } });
    const outside: number[] = [];
    for (const { batch } of run.of("eye")) {
      for (let i = 0; i < batch.timesRigNs.length; i++) if (Math.hypot(batch.xDeg[i] ?? 0, batch.yDeg[i] ?? 0) > 1.5 && batch.valid[i] === 1) outside.push(batch.timesRigNs[i] ?? 0);
    }
    expect(outside.length).toBeGreaterThan(100);
    for (const p of run.of("presentation")) {
      if (p.excluded !== null || p.onsetRigNs === null) continue;
      const onset = p.onsetRigNs;
      // More than the grace time outside within the image and its window would have been a break.
      expect(outside.filter((t) => t >= onset && t < onset + 170e6).length).toBeLessThanOrEqual(31);
    }
  });

  it("shows an image with a late frame again, and says so", async () => {
    const run = await simulate({ seed: 41, lateAt: new Map([[14, 2], [20, 1]]) });
    const late = run.of("presentation").filter((p) => p.excluded === "lateFrame");
    expect(late.map((p) => [p.presentationId, p.lateFrames])).toEqual([[14, 2], [20, 1]]);
    for (const l of late) expect(run.of("presentation").some((p) => p.imageId === l.imageId && p.excluded === null && p.presentationId > l.presentationId)).toBe(true);
    expect(run.of("event").filter((e) => e.code === "lateFrames")).toHaveLength(2);
  });

  it("excludes and repeats what a loss in the stream touched, and completes the generation", async () => {
    const run = await simulate({ seed: 51, rig: { faults: [{ kind: "dropPackets", atMs: 6000, packets: 4 }, { kind: "markLost", presentationId: 30 }, { kind: "markDoubled", presentationId: 33 }] } });
    expect(run.ended.reason).toBe("completed");
    expect(run.of("event").some((e) => e.code === "gap")).toBe(true);
    const excluded = run.of("presentation").filter((p) => p.excluded !== null);
    expect(excluded.some((p) => p.presentationId === 30 && p.excluded === "noOnsetMark")).toBe(true);
    expect(run.of("generation").every((g) => g.missing === 0)).toBe(true);
  });

  it("names the images whose responses were decided before all their spikes had come, and goes on", async () => {
    const run = await simulate({ seed: 52, rig: { faults: [{ kind: "spikesLate", atMs: 6000, durationMs: 1500, byMs: 700 }] } });
    expect(run.ended.reason).toBe("completed");
    const told = run.of("event").filter((e) => e.code === "lateSpikes");
    expect(told).toHaveLength(1);
    const { presentationIds, spikes } = JSON.parse(told[0]?.dataJson ?? "{}") as { presentationIds: number[]; spikes: number };
    expect(presentationIds.length).toBeGreaterThan(1);
    expect(spikes).toBeGreaterThan(10);
    expect(run.loop.status.lateSpikes).toBeGreaterThanOrEqual(spikes);
    // None of them is lost: what was decided without them can be counted again from the recording.
    const counted = run.of("presentation").filter((p) => presentationIds.includes(p.presentationId));
    expect(counted.map((p) => p.presentationId).sort((a, b) => a - b)).toEqual(presentationIds.toSorted((a, b) => a - b));
  });

  it("completes a generation with a response that could never be had, tells it as missing and says so", async () => {
    const lost = Array.from({ length: 200 }, (_, i) => ({ kind: "markLost" as const, presentationId: i + 20 }));
    const run = await simulate({ seed: 61, rig: { faults: lost }, config: { evolution: { generations: 2, attemptsMax: 2 } } });
    expect(run.ended.reason).toBe("completed");
    expect(run.of("generation").some((g) => g.missing > 0)).toBe(true);
    expect(run.of("event").some((e) => e.code === "generation" && e.severity === "warn" && e.message.includes("without a response"))).toBe(true);
  });

  it("waits while the source is away and goes on when it is back", async () => {
    const run = await simulate({ seed: 71, rig: { faults: [{ kind: "disconnect", atMs: 5000, durationMs: 4000 }] } });
    expect(run.ended.reason).toBe("completed");
    expect(run.of("event").some((e) => e.code === "sourceLost")).toBe(true);
    expect(run.of("event").some((e) => e.code === "reconnected")).toBe(true);
    expect(run.of("generation").every((g) => g.missing === 0)).toBe(true);
  });

  it("takes its alignment up again after the rig's clock has jumped", async () => {
    const run = await simulate({ seed: 72, rig: { faults: [{ kind: "clockJump", atMs: 6000, jumpMs: -1500 }] } });
    expect(run.ended.reason).toBe("completed");
    expect(run.of("event").some((e) => e.code === "clockJump")).toBe(true);
    const after = run.of("presentation").slice(-20);
    expect(after.filter((p) => p.excluded === null).length).toBeGreaterThan(14);
    // What does not count was broken by the animal, not by the clock.
    expect(after.every((p) => (p.excluded === null ? p.onsetSource === "photodiode" : p.excluded === "fixationBroken"))).toBe(true);
  });

  it("pauses between trials, resumes, ends a break, skips a generation, changes the target and stops when told to", async () => {
    let trials = 0;
    const run = await simulate({
      seed: 81,
      config: { evolution: { generations: 6 }, trial: { breakAfterTrials: 9, breakMs: 600_000 } },
      act: (loop, record) => {
        if (loop.status.trialState === "break") loop.endBreak();
        if (record.kind !== "trial") return;
        trials += 1;
        if (trials === 5) {
          loop.pause();
          loop.resume();
        }
        if (trials === 8) loop.setTarget(0, 40);
        if (trials === 12) loop.skipGeneration();
        if (trials === 20) loop.stop();
      },
    });
    expect(run.ended.reason).toBe("stopped");
    expect(run.of("generation").some((g) => g.targetChannel === 40)).toBe(true);
    expect(run.of("event").map((e) => e.code)).toEqual(expect.arrayContaining(["paused", "resumed", "breakEnded", "setTarget", "skip", "stop", "stopped"]));
  });

  it("gives every reward of a hand on the button, also while a pulse runs, and none after the end", async () => {
    let asked = 0;
    const run = await simulate({
      seed: 83,
      config: { evolution: { generations: 6 } },
      act: (loop, record) => {
        if (record.kind !== "trial") return;
        asked += 1;
        if (asked === 3) for (let i = 0; i < 3; i++) void loop.rewardNow(50);
        if (asked === 10) {
          for (let i = 0; i < 3; i++) void loop.rewardNow(50);
          loop.stop();
        }
      },
    });
    const rewards = run.of("reward");
    expect(rewards.every((r) => r.delivered)).toBe(true);
    const byHand = rewards.filter((r) => r.cause === "manual").length;
    expect([3, 4]).toContain(byHand);
    expect(run.of("event").filter((e) => e.code === "reward")).toEqual([]);
  });

  it("interleaves several evolutions in one block, each with its own target and curve", async () => {
    const run = await simulate({ seed: 91, config: { evolution: { generations: 3, threads: [{ target: 70 }, { target: 5, populationSize: 8 }] } } });
    expect(run.of("generation").map((g) => [g.thread, g.generation, g.targetChannel])).toEqual([0, 1, 2].flatMap((g) => [[0, g, 70], [1, g, 5]]));
    const order = run.of("presentation").filter((p) => p.generation === 2).map((p) => p.thread);
    // Mixed within the block: neither thread comes as one run.
    expect(order.filter((t, i) => i > 0 && t !== order[i - 1]).length).toBeGreaterThan(4);
  });
});

async function eyeDefaults() {
  return (await import("../../src/acquisition/synthetic/options.ts")).defaultRigOptions.eye;
}

function fail(): never {
  throw new Error("expected a run");
}
