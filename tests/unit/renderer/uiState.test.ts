import { describe, expect, it } from "vitest";
import { channelLabel, curveUpTo, emptyState, foldState, galleryOf, gazeSamplesMax, presentationsMax, stageOf, targetOf, targetsOf, threadsOf, type UiAction, type UiState } from "../../../src/renderer/operator/uiState.ts";
import { emptyPlan } from "../../../src/shared/contract/index.ts";
import type { CurvePoint, GalleryItem, Live, PresentationEvent, Snapshot } from "../../../src/shared/contract/index.ts";

function aLive(over: Partial<Live> = {}): Live {
  return {
    phase: "running", progress: { generation: 3, generations: 30, imageInBlock: 1, imagesInBlock: 38, presentations: 100, excluded: 0, elapsedMs: 60_000, remainingMs: null },
    trials: { correct: 1, broken: 0, noFixation: 0, other: 0, recent: ["correct"] }, reward: { pulses: 1, manualPulses: 0, totalMs: 120, totalMl: 0.1, pulseMs: 120 },
    channels: { rateHz: [1, 2], evokedHz: [3, 4], tuning: [0.1, 0.2], status: ["ok", "ok"] }, devices: [], alarms: [], targets: [1], trialState: "images", breakLeftMs: null, plan: emptyPlan, ...over,
  };
}

function aSnapshot(over: Partial<Snapshot> = {}): Snapshot {
  return {
    phase: "running", session: { id: "s1", file: "/s1", subject: "a", startedUtc: "2026-01-01T00:00:00Z", seed: 1, rig: "r", generator: "g", optimizer: "o", provider: "CPU" },
    channels: [{ index: 0, name: "CH1", area: "V1", row: 0, column: 0 }, { index: 1, name: "CH2", area: "PIT", row: 0, column: 0 }],
    response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 150, fixationWindowDeg: 1 }, live: aLive(), curve: [], gallery: [], log: [], reports: [], views: [], stepReports: [], failure: null, timing: null, agesMs: null, ...over,
  };
}

function aPoint(generation: number, over: Partial<CurvePoint> = {}): CurvePoint {
  return { thread: 0, generation, evolvedMean: 20 + generation, evolvedSem: 1, evolvedBest: 30, evolvedCount: 30, referenceMean: 20, referenceSem: 1, referenceCount: 8, stepSize: 3, missing: 0, ...over };
}

function anImage(generation: number, role: GalleryItem["role"], imageId: number): GalleryItem {
  return { thread: 0, generation, imageId, role, rateHz: 10, label: "" };
}

function aPresentation(presentationId: number, channel = 1): PresentationEvent {
  return { presentationId, imageId: 5, thread: 0, kind: "evolved", generation: 3, channel, spikesMs: [80], rateHz: 10, excluded: null, onsetSource: "photodiode" };
}

const after = (actions: readonly UiAction[], from: UiState = emptyState): UiState => actions.reduce(foldState, from);
const running = after([{ type: "snapshot", snapshot: aSnapshot(), atMs: 0 }]);

describe("operator window's state", () => {
  it("ignores events before the first snapshot: they are in it", () => {
    expect(after([{ type: "event", event: "live", payload: aLive(), atMs: 1 }])).toBe(emptyState);
  });

  it("takes phase and figures from live events and remembers when they came", () => {
    const state = after([{ type: "event", event: "live", payload: aLive({ phase: "paused", trialState: "paused" }), atMs: 700 }], running);
    expect(state.snapshot?.phase).toBe("paused");
    expect(state.snapshot?.live?.trialState).toBe("paused");
    expect(state.ages.live).toBe(700);
  });

  it("has one point per thread and generation, in order, however often it hears of it", () => {
    const event = (point: CurvePoint): UiAction => ({ type: "event", event: "generation", payload: { point, gallery: [] }, atMs: 1 });
    const state = after([event(aPoint(1)), event(aPoint(0)), event(aPoint(1, { evolvedMean: 99 }))], running);
    expect(state.snapshot?.curve.map((p) => [p.generation, p.evolvedMean])).toEqual([[0, 20], [1, 99]]);
  });

  it("replaces an image of the same generation and role and keeps the others", () => {
    const state = after([
      { type: "event", event: "generation", payload: { point: aPoint(0), gallery: [anImage(0, "best", 1), anImage(0, "newest", 2)] }, atMs: 1 },
      { type: "event", event: "generation", payload: { point: aPoint(0), gallery: [anImage(0, "best", 3)] }, atMs: 2 },
    ], running);
    expect(state.snapshot?.gallery.map((i) => [i.role, i.imageId])).toEqual([["newest", 2], ["best", 3]]);
  });

  it("keeps the newest presentations of the target and no other channel's", () => {
    const events = Array.from({ length: presentationsMax + 5 }, (_, i): UiAction => ({ type: "event", event: "presentation", payload: aPresentation(i), atMs: i }));
    const state = after([...events, { type: "event", event: "presentation", payload: aPresentation(900, 0), atMs: 1 }], running);
    expect(state.presentations).toHaveLength(presentationsMax);
    expect(state.presentations.at(-1)?.presentationId).toBe(presentationsMax + 4);
  });

  it("empties the raster when the target changes, and takes the responses of the new one only", () => {
    const state = after([
      { type: "event", event: "presentation", payload: aPresentation(1), atMs: 1 },
      { type: "event", event: "live", payload: aLive({ targets: [0] }), atMs: 2 },
      { type: "responses", channel: 1, presentations: [aPresentation(1)] },
    ], running);
    expect(state.presentations).toEqual([]);
    expect(after([{ type: "responses", channel: 0, presentations: [aPresentation(7, 0)] }], state).presentations).toHaveLength(1);
  });

  it("keeps raster and gaze over a new link, and drops them with a new session", () => {
    const state = after([{ type: "event", event: "presentation", payload: aPresentation(1), atMs: 1 }, { type: "link", up: false, atMs: 2 }, { type: "link", up: true, atMs: 3 }, { type: "snapshot", snapshot: aSnapshot(), atMs: 4 }], running);
    expect(state.presentations).toHaveLength(1);
    const other = aSnapshot();
    expect(after([{ type: "snapshot", snapshot: { ...other, session: other.session === null ? null : { ...other.session, id: "s2" } }, atMs: 5 }], state).presentations).toEqual([]);
  });

  it("bounds the gaze trail", () => {
    const event: UiAction = { type: "event", event: "eye", payload: { xDeg: Array.from({ length: 100 }, (_, i) => i), yDeg: Array.from({ length: 100 }, () => 0), valid: true, inWindow: true, holdFraction: 0.5 }, atMs: 1 };
    const state = after([event, event, event], running);
    expect(state.gaze?.xDeg).toHaveLength(gazeSamplesMax);
    expect(state.gaze?.xDeg.at(-1)).toBe(99);
  });

  it("hears a log entry once", () => {
    const entry = { id: 4, atMs: 1, severity: "info" as const, code: "note", message: "x" };
    const state = after([{ type: "event", event: "log", payload: entry, atMs: 1 }, { type: "event", event: "log", payload: entry, atMs: 2 }], running);
    expect(state.snapshot?.log).toHaveLength(1);
  });

  it("shows a review up to the generation it stands at", () => {
    const curve = [0, 1, 2, 3].map((g) => aPoint(g));
    const state = after([{ type: "review", file: "/old", snapshot: aSnapshot({ curve, phase: "finished" }) }, { type: "scrub", generation: 2 }]);
    expect(state.snapshot?.phase).toBe("review");
    expect(curveUpTo(state.snapshot?.curve ?? [], 0, state.atGeneration).map((p) => p.generation)).toEqual([0, 1, 2]);
  });
});

describe("several evolutions", () => {
  const two = after([{ type: "snapshot", snapshot: aSnapshot({ live: aLive({ targets: [1, 0] }) }), atMs: 0 }]);

  it("has a target for each, from the first live word on", () => {
    expect(threadsOf([], [1, 0])).toEqual([0, 1]);
    expect(threadsOf([aPoint(0, { thread: 2 })], [1])).toEqual([0, 2]);
    expect([targetOf(two), targetOf(after([{ type: "thread", thread: 1 }], two))]).toEqual([1, 0]);
  });

  it("keeps the very same targets from one live word to the next, so that nothing is drawn for them", () => {
    const next = after([{ type: "event", event: "live", payload: aLive({ targets: [1, 0] }), atMs: 1 }], two);
    expect(targetsOf(next)).toBe(targetsOf(two));
    expect(targetsOf(after([{ type: "event", event: "live", payload: aLive({ targets: [0, 0] }), atMs: 1 }], two))).toEqual([0, 0]);
  });

  it("shows the responses of the one that is looked at, and empties them when another is", () => {
    const looked = after([{ type: "event", event: "presentation", payload: aPresentation(1), atMs: 1 }, { type: "thread", thread: 1 }], two);
    expect(looked.presentations).toEqual([]);
    const event = { ...aPresentation(2, 0), thread: 1 };
    expect(after([{ type: "event", event: "presentation", payload: event, atMs: 2 }, { type: "event", event: "presentation", payload: aPresentation(3), atMs: 3 }], looked).presentations).toEqual([event]);
  });

  it("keeps two apart that share a channel, and shows the references in both", () => {
    const shared = after([{ type: "snapshot", snapshot: aSnapshot({ live: aLive({ targets: [1, 1] }) }), atMs: 0 }]);
    const reference: PresentationEvent = { ...aPresentation(2), thread: null, kind: "reference" };
    const events = [aPresentation(1), reference, { ...aPresentation(3), thread: 1 }].map((payload): UiAction => ({ type: "event", event: "presentation", payload, atMs: 1 }));
    expect(after(events, shared).presentations.map((p) => p.presentationId)).toEqual([1, 2]);
    expect(after([{ type: "thread", thread: 1 }, ...events], shared).presentations.map((p) => p.presentationId)).toEqual([2, 3]);
  });

  it("puts past responses before those that came meanwhile", () => {
    const state = after([
      { type: "event", event: "presentation", payload: aPresentation(8), atMs: 1 },
      { type: "responses", channel: 1, presentations: [aPresentation(6), aPresentation(7), aPresentation(8)] },
    ], two);
    expect(state.presentations.map((p) => p.presentationId)).toEqual([6, 7, 8]);
  });

  it("begins a new session with the first", () => {
    const other = aSnapshot();
    const looked = after([{ type: "thread", thread: 1 }], two);
    expect(after([{ type: "snapshot", snapshot: aSnapshot(), atMs: 1 }], looked).thread).toBe(1);
    expect(after([{ type: "snapshot", snapshot: { ...other, session: other.session === null ? null : { ...other.session, id: "s9" } }, atMs: 1 }], looked).thread).toBe(0);
  });
});

describe("what a session is at", () => {
  const at = (generation: number, phase: Snapshot["phase"]): string => stageOf(after([{ type: "snapshot", snapshot: aSnapshot({ phase, live: aLive({ phase, progress: { ...aLive().progress, generation } }) }), atMs: 0 }]));

  it("is the tuning, the generations, then its results once more", () => {
    expect([at(-1, "running"), at(0, "running"), at(29, "paused"), at(30, "running"), at(30, "stopping")]).toEqual(["tuning", "evolution", "evolution", "confirming", "confirming"]);
  });

  it("is over only when it has ended", () => {
    expect([at(30, "finished"), at(12, "finished"), at(30, "review")]).toEqual(["over", "evolution", "over"]);
  });
});

describe("gallery", () => {
  it("has one image per generation: the one asked for, else the best", () => {
    const items = [anImage(0, "best", 1), anImage(0, "newest", 2), anImage(1, "best", 3), anImage(1, "reference", 4)];
    expect(galleryOf(items, 0, "newest").map((i) => i.imageId)).toEqual([2, 3]);
    expect(galleryOf(items, 0, "best").map((i) => i.imageId)).toEqual([1, 3]);
    expect(galleryOf(items, 1, "best")).toEqual([]);
  });
});

describe("a channel's name", () => {
  it("says its area once", () => {
    expect(channelLabel({ name: "CH71", area: "PIT" })).toBe("PIT CH71");
    expect(channelLabel({ name: "PIT-71", area: "PIT" })).toBe("PIT-71");
    expect(channelLabel({ name: "CH1", area: "" })).toBe("CH1");
    expect(channelLabel(undefined, 5)).toBe("channel 5");
    expect(channelLabel(undefined)).toBe("no target");
  });
});

describe("ages", () => {
  it("of a window that was opened this moment are what the engine says, and grow from there", () => {
    const agesMs = { live: 40, eye: 20, screen: 600, presentation: 900, generation: 14_000, view: 700, log: 61_000, report: null, timing: 800 };
    const state = foldState(emptyState, { type: "snapshot", snapshot: aSnapshot({ agesMs }), atMs: 100_000 });
    expect(state.ages).toEqual({ live: 100_000, eye: 99_980, screen: 99_400, presentation: 99_100, generation: 86_000, view: 99_300, log: 39_000, report: null, timing: 99_200 });
    const entry = { id: 9, atMs: 1, severity: "info" as const, code: "note", message: "x" };
    expect(foldState(state, { type: "event", event: "log", payload: entry, atMs: 100_500 }).ages).toEqual({ ...state.ages, log: 100_500 });
  });
});
