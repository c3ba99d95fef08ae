import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { curveRows, interval, studentT975 } from "../../../src/renderer/operator/curveData.ts";
import { cellAt, layoutMap, neighbour, scaleMax } from "../../../src/renderer/operator/draw/channelMap.ts";
import { withAlpha } from "../../../src/renderer/operator/draw/palette.ts";
import { binRates, kindOf } from "../../../src/renderer/operator/draw/psth.ts";
import { formatAge, formatDuration, formatRate, formatRemaining, niceCeiling, ratioOf } from "../../../src/renderer/operator/format.ts";
import { actionFor, bindings, type KeyContext, type Place } from "../../../src/renderer/operator/keys.ts";
import { addThread, defaultDraft, keepDraft, optionProblem, problemsOf, removeThread, restoreDraft, setAt, threadsMax, twinOf, withOption } from "../../../src/renderer/operator/start/draft.ts";
import type { ChannelState, PresentationEvent, ThreadConfig } from "../../../src/shared/contract/index.ts";

const press = (key: string, over: Partial<{ ctrlKey: boolean; metaKey: boolean; altKey: boolean; repeat: boolean }> = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...over });
const at = (over: Partial<KeyContext> = {}): KeyContext => ({ place: "console", typing: false, onControl: false, dialogOpen: false, mayOperate: true, ...over });

describe("keys", () => {
  it("mean one thing each in every place", () => {
    for (const place of ["start", "console", "review"] satisfies Place[]) {
      const keys = bindings.filter((b) => b.places.includes(place)).flatMap((b) => b.keys);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  it("do what operators are used to", () => {
    expect([" ", "Escape", "r", "R", "-", "=", "c", "t", "m", "d", "?"].map((k) => actionFor(press(k), at()))).toEqual(["togglePause", "stop", "reward", "reward", "rewardShorter", "rewardLonger", "recentre", "target", "note", "theme", "help"]);
    expect(actionFor(press("Enter"), at({ place: "start" }))).toBe("start");
  });

  it("do nothing while text is typed, and leave the browser its own", () => {
    expect(actionFor(press("r"), at({ typing: true }))).toBeNull();
    expect(actionFor(press("F8"), at({ typing: true, dialogOpen: true }))).toBe("reward");
    expect(actionFor(press("F8", { repeat: true }), at({ typing: true }))).toBeNull();
    expect(actionFor(press("r", { ctrlKey: true }), at())).toBeNull();
  });

  it("give the reward while a question is open, but answer nothing else there", () => {
    expect(actionFor(press("r"), at({ dialogOpen: true }))).toBe("reward");
    expect(actionFor(press(" "), at({ dialogOpen: true }))).toBeNull();
    expect(actionFor(press("Escape"), at({ dialogOpen: true }))).toBeNull();
  });

  it("do not give a second reward when held down", () => {
    expect(actionFor(press("r", { repeat: true }), at())).toBeNull();
    expect(actionFor(press("ArrowRight", { repeat: true }), at())).toBe("forward");
  });

  it("press the button that the keyboard has chosen instead", () => {
    expect(actionFor(press(" "), at({ onControl: true }))).toBeNull();
    expect(actionFor(press("r"), at({ onControl: true }))).toBe("reward");
  });

  it("let a watcher look and nothing more", () => {
    const watcher = at({ mayOperate: false });
    expect(["r", " ", "Escape", "s", "m", "c", "-"].map((k) => actionFor(press(k), watcher))).toEqual([null, null, null, null, null, null, null]);
    expect(actionFor(press("ArrowLeft"), watcher)).toBe("back");
  });
});

describe("figures", () => {
  it("are written for operators", () => {
    expect([formatDuration(2_468_000), formatDuration(null), formatRemaining(235_000), formatRemaining(4_320_000), formatRemaining(8000), formatRemaining(47_000)]).toEqual(["0:41:08", "–", "4 min", "1 h 12 min", "8 s", "50 s"]);
    expect([formatAge(12), formatAge(1449), formatAge(65_000), formatAge(600_000)]).toEqual(["12 ms", "1.4 s", "65 s", "10 min"]);
    expect([formatRate(74.06), formatRate(120.4), formatRate(null), formatRate(Number.NaN)]).toEqual(["74.1", "120", "–", "–"]);
    expect([ratioOf(74.1, 25.6), ratioOf(5, 0), ratioOf(null, 3), ratioOf(400, 10)]).toEqual(["2.9", null, null, "40"]);
  });

  it("end an axis above the largest value, on a number whose quarters one can read", () => {
    fc.assert(fc.property(fc.double({ min: 0.01, max: 1e5, noNaN: true }), (value) => {
      const max = niceCeiling(value);
      expect(max).toBeGreaterThanOrEqual(value * (1 - 1e-9));
      expect(max).toBeLessThanOrEqual(value * 1.51);
    }));
  });
});

it("makes a see-through colour of a style sheet's, written long or short", () => {
  expect([withAlpha("#56b4e9", 0.5), withAlpha("#fff", 0.25)]).toEqual(["rgb(86 180 233 / 0.5)", "rgb(255 255 255 / 0.25)"]);
});

describe("curve", () => {
  it("has the 97.5 % quantile of Student's t (tables: 12.706, 4.303, 3.182, 2.776, 2.365, 2.045, 1.984)", () => {
    const table: readonly (readonly [number, number])[] = [[1, 12.706], [2, 4.303], [3, 3.182], [4, 2.776], [7, 2.365], [29, 2.045], [99, 1.984]];
    for (const [n, t] of table) expect(Math.abs(studentT975(n) / t - 1)).toBeLessThan(0.005);
  });

  it("has no interval from one image or from none", () => {
    expect(interval(10, 1, 1)).toBeNull();
    expect(interval(null, null, 0)).toBeNull();
    expect(interval(10, 2, 30)?.map((v) => Math.round(v * 100) / 100)).toEqual([5.91, 14.09]);
  });

  it("keeps a generation without references on the evolved line only", () => {
    const row = curveRows([{ thread: 0, generation: 4, evolvedMean: 30, evolvedSem: 1, evolvedBest: 40, evolvedCount: 30, referenceMean: null, referenceSem: null, referenceCount: 0, stepSize: 1, missing: 0 }])[0];
    expect(row).toMatchObject({ evolved: 30, reference: null, referenceBand: null });
  });
});

const channels: readonly ChannelState[] = ["V1", "V4", "PIT"].flatMap((area, a) => Array.from({ length: a === 0 ? 16 : 32 }, (_, i) => ({ index: (a === 0 ? 0 : a * 32 - 16) + i, name: `${i}`, area, row: Math.floor(i / 4), column: i % 4 })));

describe("channel map", () => {
  it("gives every channel a cell of its own inside the canvas, found again by a click in its middle", () => {
    fc.assert(fc.property(fc.integer({ min: 200, max: 900 }), fc.integer({ min: 150, max: 700 }), (width, height) => {
      const layout = layoutMap(channels, width, height);
      expect(layout.cells).toHaveLength(channels.length);
      for (const c of layout.cells) {
        expect(c.x >= 0 && c.y >= 0 && c.x + c.width <= width + 1e-6 && c.y + c.height <= height + 1e-6).toBe(true);
        expect(cellAt(layout, c.x + c.width / 2, c.y + c.height / 2)).toBe(c.index);
      }
    }));
  });

  it("reaches every channel with the arrow keys", () => {
    const layout = layoutMap(channels, 900, 600);
    const seen = new Set([0]);
    const queue = [0];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      for (const direction of ["left", "right", "up", "down"] as const) {
        const there = neighbour(layout, next, direction);
        if (seen.has(there)) continue;
        seen.add(there);
        queue.push(there);
      }
    }
    expect(seen.size).toBe(channels.length);
  });

  it("stacks wide arrays and sets tall ones side by side, so that a number fits into a cell", () => {
    const wide = channels.map((c): ChannelState => ({ ...c, row: c.column, column: c.row }));
    for (const laid of [layoutMap(wide, 440, 330), layoutMap(channels, 440, 330)]) {
      expect(Math.min(...laid.cells.map((c) => c.width))).toBeGreaterThan(24);
      expect(Math.min(...laid.cells.map((c) => c.height))).toBeGreaterThan(14);
    }
  });

  it("does not let a noisy channel set the scale", () => {
    expect(scaleMax({ rateHz: [20, 500], evokedHz: [30, 900], tuning: [0, 0], status: ["ok", "noisy"] }, "evoked")).toBe(32);
  });
});

describe("PSTH", () => {
  const trial = (spikesMs: number[], over: Partial<PresentationEvent> = {}): PresentationEvent => ({ presentationId: 1, imageId: 1, thread: 0, kind: "evolved", generation: 0, channel: 0, spikesMs, rateHz: 1, excluded: null, onsetSource: "flip", ...over });

  it("keeps the number of spikes: its integral is spikes per presentation", () => {
    fc.assert(fc.property(fc.array(fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 30 }), { minLength: 1, maxLength: 20 }), (trials) => {
      const rates = binRates(trials.map((t) => trial(t)));
      const spikes = trials.flat().length / trials.length;
      expect(rates.reduce((a, b) => a + b, 0) * 0.005).toBeCloseTo(spikes, 6);
    }));
  });

  it("leaves out what does not count", () => {
    expect(binRates([trial([100], { excluded: "lateFrame" })])).toEqual([]);
    expect(binRates([trial([100, 101, 102], { excluded: "lateFrame" }), trial([])]).every((r) => r === 0)).toBe(true);
  });

  it("tells what was made for the neuron, what it is compared with, and images that are neither", () => {
    expect(["evolved", "model", "reference", "mapping", "diverse", "perturbed", "free"].map((kind) => kindOf(trial([], { kind })))).toEqual(["evolved", "evolved", "reference", "plain", "plain", "plain", "plain"]);
  });
});

describe("start form", () => {
  it("begins with a config that the engine takes as it is", () => {
    expect(problemsOf(defaultDraft)).toEqual({});
  });

  it("changes one value and nothing else", () => {
    const changed = setAt(defaultDraft, ["evolution", "threads", 0, "target"], 17);
    expect(changed.evolution.threads[0]?.target).toBe(17);
    expect(setAt(changed, ["evolution", "threads", 0, "target"], "auto")).toEqual(defaultDraft);
    expect(changed.trial).toBe(defaultDraft.trial);
  });

  it("names the field that does not fit and what it expects", () => {
    expect(problemsOf(setAt(defaultDraft, ["trial", "onMs"], 5))).toEqual({ "trial.onMs": "at least 10" });
    expect(problemsOf(setAt(defaultDraft, ["trial", "onMs"], Number.NaN))).toEqual({ "trial.onMs": "a number is needed" });
    expect(Object.keys(problemsOf(setAt(defaultDraft, ["response", "windowEndMs"], 60)))).toEqual(["response.windowEndMs"]);
    expect(problemsOf(setAt(defaultDraft, ["subject", "id"], "monkey c"))["subject.id"]).toContain("letters");
  });

  it("comes back as it was left, and as the defaults when what was kept does not fit any more", () => {
    const kept = new Map<string, string>();
    const storage = { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => void kept.set(k, v), removeItem: (k: string) => void kept.delete(k) };
    const draft = setAt(defaultDraft, ["subject", "id"], "carla");
    keepDraft(storage, draft);
    expect(restoreDraft(storage)).toEqual(draft);
    kept.set("evoked.draft", '{"seed": "one"}');
    expect(restoreDraft(storage)).toEqual(defaultDraft);
    kept.set("evoked.draft", "{");
    expect(restoreDraft(storage)).toEqual(defaultDraft);
  });

  it("checks a rig's own options by what the rig says of them", () => {
    const port = { name: "port", unit: "", default: 5556, min: 1, max: 65535, description: "" };
    expect([optionProblem(port, 0), optionProblem(port, 70_000), optionProblem(port, 5556), optionProblem(port, Number.NaN)]).toEqual(["at least 1", "at most 65535", null, "a number is needed"]);
    expect(optionProblem({ name: "mode", unit: "", default: "a", choices: ["a", "b"], description: "" }, "c")).toBe("one of a, b");
  });

  it("adds evolutions like the last one, up to what a step takes, and never removes the last", () => {
    const changed = setAt(defaultDraft, ["evolution", "threads", 0, "target"], 17).evolution.threads;
    let threads: readonly ThreadConfig[] = changed;
    for (let i = 0; i < 6; i++) threads = addThread(threads);
    expect(threads).toHaveLength(threadsMax);
    expect(problemsOf(setAt(defaultDraft, ["evolution", "threads"], threads))).toEqual({});
    expect(threads.at(-1)).toEqual(changed[0]);
    for (let i = 0; i < 6; i++) threads = removeThread(threads, 0);
    expect(threads).toEqual(changed);
  });

  it("says of which evolution another is a mere repeat", () => {
    const threads = setAt(addThread(addThread(defaultDraft.evolution.threads)), [1, "imageSizeDeg"], 8);
    expect([0, 1, 2].map((i) => twinOf(threads, i))).toEqual([null, null, 0]);
  });

  it("leaves an option out that is left to its default", () => {
    expect(withOption({ a: 1, b: 2 }, "a", null)).toEqual({ b: 2 });
    expect(withOption({ a: 1 }, "a", 3)).toEqual({ a: 3 });
  });
});
