// When the console's panels hear of what came: together on a beat, at once where the operator must know, in the frame of the mirror.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createStore } from "../../../src/renderer/operator/store.ts";
import { emptyState, type UiState } from "../../../src/renderer/operator/uiState.ts";
import { aLive } from "../../support/hosts/standInEngine.ts";
import type { Alarm, Live } from "../../../src/shared/contract/index.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function aStore() {
  const live = aLive(1);
  const initial: UiState = { ...emptyState, snapshot: { phase: "running", session: null, channels: [], response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 100, fixationWindowDeg: 1 }, live, curve: [], gallery: [], log: [], reports: [], views: [], stepReports: [], failure: null, timing: null, agesMs: null } };
  const store = createStore(initial, 100);
  const heardMs: number[] = [];
  const startMs = performance.now();
  store.subscribe(() => void heardMs.push(Math.round(performance.now() - startMs)));
  const say = (over: Partial<Live> = {}): void => store.dispatch({ type: "event", event: "live", payload: { ...live, ...over }, atMs: performance.now() });
  const look = (): void => store.dispatch({ type: "event", event: "eye", payload: { xDeg: [0], yDeg: [0], valid: true, inWindow: true, holdFraction: null }, atMs: performance.now() });
  return { store, heardMs, say, look };
}

const alarm: Alarm = { code: "eyeLost", severity: "fault", sinceMs: 0, message: "x", count: 1 };

describe("the store", () => {
  it("tells of forty events a second ten times", () => {
    const { heardMs, look, say } = aStore();
    for (let ms = 0; ms < 1000; ms += 25) {
      look();
      if (ms % 100 === 0) say();
      vi.advanceTimersByTime(25);
    }
    expect(heardMs).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
  });

  it("tells of an alarm and of its end at once", () => {
    const { heardMs, say } = aStore();
    say();
    vi.advanceTimersByTime(10);
    say({ alarms: [alarm] });
    vi.advanceTimersByTime(10);
    say({ alarms: [{ ...alarm, count: 2 }] });
    say();
    expect(heardMs).toEqual([0, 10, 20]);
  });

  it("draws in the beat that is nearest, each drawing in a frame of its own, and hides no event from who hears every one", () => {
    const { store, heardMs, look } = aStore();
    const startMs = performance.now();
    let every = 0;
    store.onEvery(() => void (every += 1));
    look();
    const drawnMs: number[] = [];
    const draw = (): void => void drawnMs.push(Math.round(performance.now() - startMs));
    // On for 100 ms, off for 150 ms, and on again for less than a beat.
    for (const atMs of [130, 230, 380, 410]) store.drawAt(startMs + atMs, draw);
    for (let ms = 0; ms < 600; ms += 20) {
      vi.advanceTimersByTime(20);
      look();
    }
    expect(heardMs).toEqual([0, 100, 200, 300, 400, 500, 600]);
    expect(drawnMs).toEqual([100, 200, 400, 434]);
    expect(every).toBe(31);
  });

  it("draws what is due where nothing arrives any more", () => {
    const { store } = aStore();
    let drawn = 0;
    store.drawAt(performance.now() + 200, () => void (drawn += 1));
    vi.advanceTimersByTime(400);
    expect(drawn).toBe(1);
  });
});
