import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { axisTicks, bestOfEach, cardsInOrder, conditionWords, galleryOf, layoutCards, numberWords, queuedImageOf, readAlphas, remainingWords } from "../../../src/renderer/insilico/insilicoView.ts";
import { readCondition } from "../../../src/analysis/modelCondition.ts";
import type { SweepLine, SweepRun, SweepView, UnitCard } from "../../../src/shared/contract/index.ts";

const line: SweepLine = { id: "1", title: "star", state: "running", share: 0.5, message: "", remainingS: null, startedUtc: "2025-01-01T00:00:00Z", units: [{ id: "n/star", title: "star", network: "n" }], groupsDone: 1, groups: 2 };
const aRun = (over: Partial<SweepRun>): SweepRun => ({ unit: "n/star", generator: "g", run: 0, sign: "positive", alpha: 0, activation: 1, intactActivation: 1, objectEnergy: null, objectness: null, ...over });
const aView = (runs: readonly SweepRun[], alphas = [0, 1, 0.5]): SweepView => ({
  line, runs: [...runs], curves: [], missing: [], report: null, folder: "", command: "",
  settings: { alphas, signs: ["positive", "negative"], generators: ["g"], runs: 2, generations: 3, rule: "atMost", seed: 1 },
});

describe("The ablation gallery", () => {
  it("goes from weak to strong ablation, positive above negative, the best run first in every cell", () => {
    const gallery = galleryOf(aView([aRun({ run: 0, activation: 2 }), aRun({ run: 1, activation: 5 }), aRun({ sign: "negative", alpha: 0.5, run: 0, activation: -3 }), aRun({ sign: "negative", alpha: 0.5, run: 1, activation: -1 }), aRun({ unit: "n/ring", alpha: 1 }), aRun({ generator: "other", alpha: 1 })]), "n/star", "g");
    expect(gallery.alphas).toEqual([0.5, 1]);
    expect(gallery.rows.map((row) => row.sign)).toEqual(["positive", "negative"]);
    expect(gallery.control.map((run) => run.run)).toEqual([1, 0]);
    expect(gallery.rows[1]!.cells[0]!.runs.map((run) => run.run)).toEqual([1, 0]);
    // Images that have not come yet leave their place empty; those of other units and generators are not taken.
    expect(gallery.rows[0]!.cells.map((cell) => cell.runs.length)).toEqual([0, 0]);
  });
});

describe("Images for the stimulus queue", () => {
  it("are the best of every condition, under labels that the validation reads back", () => {
    const runs = [aRun({ run: 0, activation: 2 }), aRun({ run: 1, activation: 5 }), aRun({ alpha: 0.5, run: 3 }), aRun({ sign: "negative", alpha: 1, run: 2 })];
    const best = bestOfEach(galleryOf(aView(runs), "n/star", "g"));
    expect(best.map((run) => run.run)).toEqual([1, 3, 2]);
    const queued = best.map((run) => queuedImageOf("sweep-1", run));
    expect(queued.map((image) => image.label)).toEqual(["control-star-g-1", "positive-0.50-star-g-3", "negative-1.00-star-g-2"]);
    expect(queued.map((image) => readCondition(image.label))).toEqual([{ sign: null, alpha: 0 }, { sign: "positive", alpha: 0.5 }, { sign: "negative", alpha: 1 }]);
    expect(queued[1]).toMatchObject({ kind: "model", source: { from: "sweep", id: "sweep-1", unit: "n/star", generator: "g", run: 3, sign: "positive", alpha: 0.5 } });
  });
});

describe("Words and numbers", () => {
  it("strengths are read as the engine takes them, the intact unit always among them", () => {
    expect(readAlphas("0:1:0.25")).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(readAlphas("1, 0.5")).toEqual([0, 0.5, 1]);
    for (const wrong of ["", "x", "0:1", "0:1:0", "2", "0:1:0.001", "0,,1"]) expect(readAlphas(wrong)).toBeNull();
  });

  it("conditions, times and numbers are short", () => {
    expect([conditionWords("positive", 0), conditionWords("negative", 1), conditionWords("positive", 0.3)]).toEqual(["intact", "without negative weights", "without 30 % of the positive weights"]);
    expect([remainingWords(line), remainingWords({ ...line, remainingS: 12 }), remainingWords({ ...line, remainingS: 600 }), remainingWords({ ...line, remainingS: 9000 })]).toEqual(["", "about 10 s left", "about 10 min left", "about 2.5 h left"]);
    expect([numberWords(null), numberWords(-1.2345), numberWords(0.00012), numberWords(0)]).toEqual(["–", "−1.23", "1.2e−4", "0"]);
  });

  it("units come by score, those without one last", () => {
    const card = (name: string, r2Test: number | null): UnitCard => ({ name, area: "", channel: 0, r2Train: null, r2Test, r: null, ceilingR: null, noiseCorrectedR: null, positiveToNegative: null, weights: { edges: [], counts: [] }, scatter: { measured: [], predicted: [], isTest: [] } });
    expect(cardsInOrder([card("a", null), card("b", -1), card("c", 0.4)]).map((c) => c.name)).toEqual(["c", "b", "a"]);
  });

  it("unit cards stand in the room whole: all of them, or whole rows of the smallest that can be read", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 300, max: 2400 }), fc.integer({ min: 200, max: 1400 }), (count, widthPx, heightPx) => {
        const { columns, rowPx, fits } = layoutCards(count, widthPx, heightPx);
        const rows = Math.ceil(count / columns);
        if (fits) expect(rows * rowPx + (rows - 1) * 8).toBeLessThanOrEqual(heightPx);
        else expect(Math.floor((heightPx + 8) / (rowPx + 8)) * (rowPx + 8) - 8).toBeGreaterThan(heightPx - 8 - Math.floor((heightPx + 8) / (rowPx + 8)));
        expect((widthPx - 8 * (columns - 1)) / columns).toBeGreaterThanOrEqual(Math.min(104, widthPx));
      }),
    );
    expect(layoutCards(96, 1525, 940)).toMatchObject({ fits: true });
  });

  it("an axis encloses what it shows in a few equal steps", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true })), (values) => {
        const ticks = axisTicks(values, 4);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(9);
        const slack = 1e-6 * (ticks[1]! - ticks[0]!);
        for (const value of values) expect(value >= ticks[0]! - slack && value <= ticks.at(-1)! + slack).toBe(true);
      }),
    );
  });
});
