import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { adviceFor, advisedCodes } from "../../../src/renderer/operator/alarmAdvice.ts";
import { fieldAt, layoutFields, pitchDeg, rateRange } from "../../../src/renderer/operator/draw/fields.ts";
import { cellWords } from "../../../src/renderer/operator/format.ts";
import { defaultDraft, problemsOf, setAt } from "../../../src/renderer/operator/start/draft.ts";
import { estimatePlan } from "../../../src/renderer/operator/start/estimate.ts";
import { addStep, copyStep, draftSteps, moveStep, nameProblem, pathOfStep, planWarnings, problemsOfStep, removeStep, stepsMax, withSteps } from "../../../src/renderer/operator/start/planDraft.ts";
import { fieldsOf, hintOf, isShown, valueOf } from "../../../src/renderer/operator/start/planForm.ts";
import { currentStep, emptyState, foldState, lookedStep, lookedView, looksAtEvolution, shareOf, targetOf, type UiState } from "../../../src/renderer/operator/uiState.ts";
import { planStep, protocolNames, sessionConfig, type ChannelState, type PlanStep, type Snapshot } from "../../../src/shared/contract/index.ts";
import { fakePlanState, fakeView } from "../../support/fakeEngine/fakePlan.ts";

const step = (protocol: string, more: object = {}): PlanStep => planStep.parse({ protocol, name: "mine", ...more });
const standard = ["rfMapping", "diverseSet", "evolution", "localisation", "validation"].map((p) => step(p));

describe("plan of the draft", () => {
  it("is one evolution with the draft's own settings until something is added", () => {
    expect(draftSteps(defaultDraft).map((s) => s.protocol)).toEqual(["evolution"]);
    expect(pathOfStep(defaultDraft, 0)).toEqual(["evolution"]);
    const two = addStep(setAt(defaultDraft, ["evolution", "generations"], 12), step("localisation"), 0);
    expect(two.plan).toMatchObject([{ protocol: "evolution", generations: 12 }, { protocol: "localisation" }]);
    expect(problemsOf(two)).toEqual({});
    const back = removeStep(two, 1);
    expect(back).toEqual(setAt(defaultDraft, ["evolution", "generations"], 12));
  });

  it("keeps every step through any moves, copies and removals, and never loses the last", () => {
    const deed = fc.oneof(fc.record({ kind: fc.constant("move" as const), at: fc.nat(9), to: fc.nat(9) }), fc.record({ kind: fc.constantFrom("copy" as const, "remove" as const), at: fc.nat(9), to: fc.constant(0) }));
    fc.assert(fc.property(fc.array(deed, { maxLength: 30 }), (deeds) => {
      let draft = withSteps(defaultDraft, standard);
      for (const d of deeds) {
        const before = draftSteps(draft);
        draft = d.kind === "move" ? moveStep(draft, d.at, d.to) : d.kind === "copy" ? copyStep(draft, d.at) : removeStep(draft, d.at);
        const after = draftSteps(draft);
        expect(after.length).toBeGreaterThan(0);
        expect(after.length).toBeLessThanOrEqual(stepsMax);
        if (d.kind === "move") expect(after.map((s) => s.protocol).toSorted()).toEqual(before.map((s) => s.protocol).toSorted());
        if (d.kind === "copy" && d.at < before.length && before.length < stepsMax) expect(after[d.at + 1]).toEqual(before[d.at]);
      }
      expect(sessionConfig.safeParse(draft).success).toBe(true);
    }));
  });

  it("says at which field of which step something is wrong, and what was expected", () => {
    const draft = setAt(withSteps(defaultDraft, standard), ["plan", 0, "columns"], 1);
    expect(problemsOfStep(problemsOf(draft), pathOfStep(draft, 0))).toEqual({ columns: "at least 2" });
    expect(problemsOfStep(problemsOf(draft), pathOfStep(draft, 1))).toEqual({});
    expect(problemsOf(setAt(draft, ["plan", 0, "columns"], 2.5))).toEqual({ "plan.0.columns": "a whole number is needed" });
    expect(problemsOf(setAt(withSteps(defaultDraft, standard), ["plan", 4, "fit", "alphas"], []))).toEqual({ "plan.4.fit.alphas": "something is needed" });
  });

  it("warns of a step that lacks what it builds on", () => {
    expect(planWarnings(standard)).toEqual([]);
    expect(planWarnings([step("localisation"), step("validation", { source: "fit" })]).map((w) => w.index)).toEqual([0, 1]);
  });

  it("takes names that a file may have", () => {
    expect([nameProblem("monkey C morning"), nameProblem("../x") === null, nameProblem("") === null]).toEqual([null, false, false]);
  });
});

describe("form of a step", () => {
  it("has a field, with words, for every setting of the schema", () => {
    for (const protocol of protocolNames) {
      const given = step(protocol);
      const fields = fieldsOf(protocol);
      const paths = new Set(fields.map((f) => f.path.join(".")));
      const own = protocol === "evolution" ? ["title"] : Object.keys(given).filter((name) => !["protocol", "fit", "settings"].includes(name));
      for (const name of own) expect(paths, `${protocol}.${name}`).toContain(name);
      for (const f of fields) expect(f.words.label.length).toBeGreaterThan(2);
    }
  });

  it("takes ranges and defaults from the contract: what it says is allowed is, and just beyond is not", () => {
    for (const protocol of protocolNames) {
      for (const field of fieldsOf(protocol)) {
        if (field.kind !== "number") continue;
        const at = (value: number): boolean => planStep.safeParse(setAt<unknown>(step(protocol), field.path, value)).success;
        if (field.min !== null) expect([field.path.join("."), at(field.min), at(field.min - 1)]).toEqual([field.path.join("."), true, false]);
        if (field.max !== null) expect([field.path.join("."), at(field.max), at(field.max + 1)]).toEqual([field.path.join("."), true, false]);
        expect(valueOf(step(protocol), field.path) ?? null).toEqual(field.default ?? null);
      }
    }
  });

  it("says what a value may be, and shows only what matters", () => {
    const columns = fieldsOf("rfMapping").find((f) => f.path[0] === "columns");
    expect(columns === undefined ? "" : hintOf(columns)).toContain("2 to 25, default 7");
    const file = fieldsOf("localisation").find((f) => f.path[0] === "imageFile");
    expect(file === undefined ? null : [isShown(file, step("localisation")), isShown(file, step("localisation", { source: "file" }))]).toEqual([false, true]);
  });
});

describe("estimate", () => {
  it("counts what each step plans", () => {
    const { steps, open } = estimatePlan(standard, defaultDraft, null);
    expect(steps.map((e) => e.images)).toEqual([7 * 7 * 4 * 2, 640, 30 * (30 + 8) + 18 + 26 * 2, 30 * 12 + 64 + 16, null]);
    expect(open).toBe(true);
  });

  it("grows with repeats and with slower trials, and has no step without time", () => {
    const minutes = (steps: readonly PlanStep[], draft = defaultDraft): number => estimatePlan(steps, draft, null).minutes;
    expect(minutes([step("diverseSet", { repeats: 8 })])).toBeCloseTo(2 * minutes([step("diverseSet", { repeats: 4 })]), 1);
    expect(minutes(standard, setAt(defaultDraft, ["trial", "offMs"], 400))).toBeGreaterThan(minutes(standard));
  });
});

const channels: readonly ChannelState[] = Array.from({ length: 96 }, (_, i) => ({ index: i, name: `${i}`, area: ["V1", "V4", "PIT"][Math.floor(i / 32)] ?? "", row: 0, column: 0 }));

describe("maps of receptive fields", () => {
  it("give every channel a square of its own, found again by a click", () => {
    fc.assert(fc.property(fc.integer({ min: 120, max: 900 }), fc.integer({ min: 160, max: 900 }), (width, height) => {
      const { cells } = layoutFields(channels, width, height);
      expect(cells).toHaveLength(96);
      for (const c of cells) {
        expect(c.x >= 0 && c.y >= 0 && c.x + c.side <= width + 1e-6 && c.y + c.side <= height + 1e-6).toBe(true);
        expect(fieldAt(cells, c.x + c.side / 2, c.y + c.side / 2)).toBe(c.channel);
      }
    }));
  });

  it("are read by their own lowest and highest rate, and places without one stay out", () => {
    expect([rateRange([null, 3, 9]), rateRange([null])]).toEqual([{ low: 3, high: 9 }, null]);
    expect([pitchDeg([-1, 0, 1], 2), pitchDeg([4], 2)]).toEqual([1, 2]);
  });
});

describe("what the console shows of a plan", () => {
  const at = (stepIndex: number): UiState => {
    const views = [0, 1, 2, 3, 4].slice(0, stepIndex + 1).flatMap((i) => fakeView(i, i < stepIndex ? 1 : 0.5, channels, 3, 30, [86]) ?? []);
    const live = { plan: fakePlanState(stepIndex, 10, false), targets: stepIndex >= 2 ? [86] : [], progress: { generation: 3 } } as unknown as NonNullable<Snapshot["live"]>;
    return { ...emptyState, snapshot: { phase: "running", session: null, channels: [...channels], response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 150, fixationWindowDeg: 1 }, live, curve: [], gallery: [], log: [], views, stepReports: [], reports: [], failure: null, timing: null, agesMs: null } };
  };

  it("follows the step under way until another is looked at, and comes back to it", () => {
    const state = at(3);
    expect([currentStep(state)?.index, lookedStep(state)?.protocol]).toEqual([3, "localisation"]);
    const looked = foldState(state, { type: "look", step: 0 });
    expect([lookedStep(looked)?.protocol, lookedView(looked)?.protocol, looksAtEvolution(looked)]).toEqual(["rfMapping", "rfMapping", false]);
    expect(foldState(looked, { type: "look", step: 3 }).step).toBeNull();
    expect(foldState(looked, { type: "look", step: null }).step).toBeNull();
  });

  it("takes the channel of the step at hand for the target", () => {
    expect([targetOf(at(0)), targetOf(at(1)), targetOf(at(2)), targetOf(at(4))]).toEqual([null, 86, 86, 86]);
    expect(looksAtEvolution(emptyState)).toBe(true);
  });

  it("takes a newer view of a step and keeps the others", () => {
    const newer = fakeView(1, 0.9, channels, 3, 30, [86]);
    if (newer === null) throw new Error("expected a view");
    const state = foldState(at(2), { type: "event", event: "stepView", payload: newer, atMs: 5 });
    expect([state.snapshot?.views.length, state.snapshot?.views[1] === newer, state.ages.view]).toEqual([3, true, 5]);
  });

  it("measures a step by what is settled", () => {
    const { steps } = fakePlanState(1, 320, false);
    expect(steps.map(shareOf)).toEqual([1, 0.5, 0, 0, 0]);
  });

  it("counts what a slow link did not get", () => {
    const once = foldState(at(0), { type: "event", event: "linkSlow", payload: { skipped: 7 }, atMs: 1 });
    expect(foldState(once, { type: "event", event: "linkSlow", payload: { skipped: 5 }, atMs: 2 }).skipped).toBe(12);
  });
});

describe("alarms", () => {
  it("say what to do, the asked-for ones all of them", () => {
    for (const code of ["noSpikes", "streamStale", "sourceLost", "syncLost", "eyeLost", "reward", "framesDropped", "displayLost", "disk", "store", "queue"]) expect(advisedCodes).toContain(code);
    for (const code of advisedCodes) expect(adviceFor(code)?.todo.length).toBeGreaterThan(0);
    expect(adviceFor("somethingNew")).toBeNull();
  });

  it("have advice for every code that the loop and the engine raise", () => {
    const folders = ["loop", "engine"].map((name) => join(import.meta.dirname, "../../../src", name));
    const sources = folders.flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts")).map((name) => readFileSync(join(folder, name), "utf8")));
    const raised = sources.flatMap((text) => [...text.matchAll(/code: "([a-zA-Z]+)", severity: "(?:warn|fault)", ?(?:data[^,]*, ?)?message|alarm\(\{ code: "([a-zA-Z]+)"|(?:report|raise)\(\{\s*code: "([a-zA-Z]+)"/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? ""));
    expect(raised.length).toBeGreaterThan(10);
    expect([...new Set(raised)].filter((code) => !advisedCodes.includes(code))).toEqual([]);
  });
});

it("tables show four figures", () => {
  expect([cellWords(3.14159), cellWords(12345.6), cellWords(7), cellWords(null), cellWords("V4")]).toEqual(["3.142", "12346", "7", "–", "V4"]);
});
