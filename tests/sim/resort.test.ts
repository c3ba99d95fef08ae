// Units sorted anew in the middle of a generation: the target goes on as a new channel, and no score mixes what was before with what came after.
import { describe, expect, it } from "vitest";
import { createUnitTargets } from "../../src/acquisition/unitTargets.ts";
import type { UnitTargets } from "../../src/acquisition/unitTargets.ts";
import { createTimedDisplay } from "../../src/engine/timedDisplay.ts";
import { channelsConfig } from "../../src/shared/contract/index.ts";
import { simulate } from "./simWorld.ts";

describe("units that are sorted anew", () => {
  it("begin anew as targets, and what their block had measured is shown again", async () => {
    let units: UnitTargets | null = null;
    let resortedAfter = -1;
    let shown = 0;
    const run = await simulate({
      seed: 4, rig: { channelsPerArray: 8, multiUnitShare: 0 },
      config: { evolution: { generations: 3, tuningRepeats: 0, confirmRepeats: 0, referencesPerGeneration: 2, threads: [{ target: 24, populationSize: 8 }] } },
      screen: ({ clock, rig }) => {
        units = createUnitTargets(rig.source, channelsConfig.parse({ merges: [{ name: "pair", members: ["V4-02:1", "V4-03:1"] }] }));
        return { display: createTimedDisplay({ clock }), source: units };
      },
      act(loop, record) {
        if (record.kind !== "presentation") return;
        shown += 1;
        if (resortedAfter >= 0 || record.generation !== 1 || record.excluded !== null || shown < 14 || units === null) return;
        resortedAfter = record.presentationId;
        const replaced = units.resort(null);
        expect(replaced).toEqual([{ from: 24, to: 25 }]);
        loop.unitsResorted(replaced);
      },
    });
    expect(run.ended.reason).toBe("completed");
    const generations = run.of("generation");
    expect(generations.map((g) => [g.generation, g.targetChannel, g.missing])).toEqual([[0, 24, 0], [1, 25, 0], [2, 25, 0]]);
    const presentations = run.of("presentation").filter((p) => p.generation === 1 && p.excluded === null);
    const before = presentations.filter((p) => p.presentationId <= resortedAfter);
    expect(before.length).toBeGreaterThan(2);
    // Every image of the generation once after the change; before it, some of them already.
    expect(presentations.length).toBe(8 + 2 + before.length);
    const images = new Map(run.of("image").filter((i) => i.generation === 1).map((i) => [i.imageId, i.individual ?? 0]));
    const after = presentations.filter((p) => p.presentationId > resortedAfter && images.has(p.imageId));
    for (const p of after) expect(generations[1]?.scores[images.get(p.imageId) ?? -1]).toBe(p.rateHz);
    for (const p of after) expect([p.targetChannel, p.counts?.[24]]).toEqual([25, 0]);
    for (const p of before) expect(p.counts?.[25] ?? 0).toBe(0);
    expect(run.of("event").some((e) => e.category === "operator" && e.code === "unitsResorted")).toBe(true);
  });
});
