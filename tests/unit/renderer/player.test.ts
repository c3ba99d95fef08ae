// The player of a recorded session against an engine that only answers: what it asks for, and what the console's state becomes.
import { describe, expect, it, vi } from "vitest";
import { createPlayer } from "../../../src/renderer/operator/replay/player.ts";
import { createStore } from "../../../src/renderer/operator/store.ts";
import { emptyState, foldState } from "../../../src/renderer/operator/uiState.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import { aLive } from "../../support/hosts/standInEngine.ts";
import type { CurvePoint, EngineClient, EventName, ReplayStatus, SessionTimeline, Snapshot } from "../../../src/shared/contract/index.ts";

const point = (generation: number): CurvePoint => ({ thread: 0, generation, evolvedMean: 10 + generation, evolvedSem: 1, evolvedBest: 20, evolvedCount: 20, referenceMean: 5, referenceSem: 1, referenceCount: 4, stepSize: 1, missing: 0 });
const snapshotTo = (generations: number): Snapshot => ({
  phase: "review", session: { id: "s", file: "f", subject: "otto", startedUtc: "", seed: 1, rig: "", generator: "", optimizer: "", provider: "" }, channels: [],
  response: { windowStartMs: 70, windowEndMs: 170, onMs: 100, offMs: 150, fixationWindowDeg: 1 }, live: { ...aLive(generations), phase: "review" },
  curve: Array.from({ length: generations }, (_, g) => point(g)), gallery: [], log: [], reports: [], views: [], stepReports: [], failure: null, timing: null, agesMs: null,
});
const timeline: SessionTimeline = {
  durationMs: 4000, generations: [0, 1, 2].map((generation) => ({ thread: 0, generation, atMs: 1000 * (generation + 1) })), presentationsMs: [200, 500, 900, 1400, 1900, 2400, 2900, 3500], resumedMs: [], notReplayable: null, steps: [],
};

async function aPlayer(given: Partial<SessionTimeline> = {}) {
  const calls: { readonly method: string; readonly args: Record<string, unknown> }[] = [];
  const listeners = new Map<string, Set<(payload: never) => void>>();
  const links = new Set<(up: boolean) => void>();
  let status: ReplayStatus = { file: "f", playing: false, speed: 1, jumped: false, positionMs: 0, durationMs: 4000, generation: 0, generations: 3, presentations: 0, atEnd: false, seekingToMs: null, difference: null };
  const send = (event: EventName, payload: unknown): void => {
    for (const listener of listeners.get(event) ?? []) listener(payload as never);
  };
  let refuse = false;
  const client = {
    call(method: string, args: Record<string, unknown>) {
      calls.push({ method, args });
      if (method === "sessions.timeline") return Promise.resolve(ok({ ...timeline, ...given }));
      if (method === "replay.open") return Promise.resolve(refuse ? fault("nothingToVerify", "Nothing to replay.") : ok(snapshotTo(0)));
      if (method === "replay.snapshot") return Promise.resolve(ok(snapshotTo(status.generation)));
      if (method === "replay.responses") return Promise.resolve(ok([]));
      if (method === "replay.control" && args["action"] === "seek") {
        const positionMs = Number(args["positionMs"]);
        status = { ...status, positionMs, generation: timeline.generations.filter((g) => g.atMs <= positionMs).length, presentations: timeline.presentationsMs.filter((t) => t <= positionMs).length };
        send("replay", { ...status, jumped: true });
      }
      if (method === "replay.control" && args["action"] === "play") send("replay", { ...status, playing: true });
      return Promise.resolve(ok(null));
    },
    on(event: EventName, listener: (payload: never) => void) {
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener));
      return () => void listeners.get(event)?.delete(listener);
    },
    onLink(listener: (up: boolean) => void) {
      links.add(listener);
      return () => void links.delete(listener);
    },
  } as unknown as EngineClient;
  const recorded = snapshotTo(3);
  const store = createStore(foldState(emptyState, { type: "review", file: "f", snapshot: recorded }), 0);
  const player = createPlayer({ client, store, file: "f", recorded, nowMs: () => 0 });
  const settle = async (): Promise<void> => { for (let i = 0; i < 20; i++) await Promise.resolve(); };
  await settle();
  const asked = (): string[] => calls.filter((c) => c.method === "replay.control").map((c) => `${String(c.args["action"])}${c.args["positionMs"] === undefined ? "" : ` ${String(c.args["positionMs"])}`}${c.args["speed"] === undefined ? "" : ` ${String(c.args["speed"])}`}`);
  return { player, store, calls, asked, settle, send, refuse: () => { refuse = true; }, link: (up: boolean) => links.forEach((l) => l(up)) };
}

describe("a recorded session", () => {
  it("stands at its recorded end and asks the engine for no replay until something is wanted", async () => {
    const { player, store, calls } = await aPlayer();
    expect(player.get()).toMatchObject({ replaying: false, playing: false, positionMs: Number.POSITIVE_INFINITY });
    expect(store.get().snapshot?.curve).toHaveLength(3);
    expect(calls.map((c) => c.method)).toEqual(["sessions.timeline"]);
  });

  it("plays from the beginning when it stands at the end", async () => {
    const { player, store, asked, settle } = await aPlayer();
    player.setSpeed(10);
    player.toggle();
    await settle();
    expect(asked()).toEqual(["pause", "seek 0", "play 10"]);
    expect(player.get()).toMatchObject({ replaying: true, playing: true, seeking: null });
    expect(store.get()).toMatchObject({ replaying: true, file: "f" });
    expect(store.get().snapshot?.curve).toEqual([]);
  });

  it("folds what is replayed into the console's state, and nothing while it stands at what is recorded", async () => {
    const { player, store, send, settle } = await aPlayer();
    send("replayed", { event: "generation", payload: { point: point(9), gallery: [] } });
    expect(store.get().snapshot?.curve).toHaveLength(3);
    player.toggle();
    await settle();
    send("replayed", { event: "generation", payload: { point: point(0), gallery: [] } });
    send("replayed", { event: "generation", payload: { point: "nonsense" } });
    expect(store.get().snapshot?.curve.map((p) => p.generation)).toEqual([0]);
  });

  it("shows a recorded generation at once; the replay goes there when the arrow key rests", async () => {
    vi.useFakeTimers();
    try {
      const { player, store, asked, settle } = await aPlayer();
      player.stepGeneration(-1);
      player.stepGeneration(-1);
      expect(store.get()).toMatchObject({ atGeneration: 1, replaying: false });
      expect(asked()).toEqual([]);
      await vi.advanceTimersByTimeAsync(400);
      await settle();
      expect(asked()).toEqual(["pause", "seek 2000"]);
      expect(store.get()).toMatchObject({ atGeneration: null, replaying: true });
      expect(store.get().snapshot?.curve).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it("steps back to just after the presentation before, and to the beginning before the first", async () => {
    const { player, asked, settle } = await aPlayer();
    player.seek(1400);
    await settle();
    player.step(-1);
    await settle();
    player.step(-1);
    await settle();
    player.step(-1);
    await settle();
    player.step(-1);
    await settle();
    player.step(1);
    await settle();
    expect(asked().filter((a) => a !== "pause")).toEqual(["seek 1400", "seek 900", "seek 500", "seek 200", "seek 0", "step"]);
  });

  it("goes to where the steps of the plan begin", async () => {
    const { player, calls, settle } = await aPlayer({ durationMs: 20_000, steps: [0, 5000, 12_000].map((atMs, step) => ({ step, protocol: "rfMapping", title: "", atMs })) });
    player.seek(6000);
    await settle();
    for (const by of [1, -1, -1] as const) {
      player.stepPlan(by);
      await settle();
    }
    // From the middle of the second: on to the third, back to the second, and again back to the first.
    expect(calls.flatMap((c) => (c.args["action"] === "seek" ? [c.args["positionMs"]] : []))).toEqual([6000, 12_000, 5000, 0]);
  });

  it("says why there is no replay, and an imported session is never asked for one", async () => {
    const refused = await aPlayer();
    refused.refuse();
    refused.player.toggle();
    await refused.settle();
    expect(refused.player.get()).toMatchObject({ problem: "Nothing to replay.", playing: false, seeking: null });
    const imported = await aPlayer({ notReplayable: "An imported evolution." });
    imported.player.toggle();
    imported.player.step(-1);
    imported.player.standAt(1);
    await imported.settle();
    expect(imported.store.get().atGeneration).toBe(1);
    expect(imported.calls.map((c) => c.method)).toEqual(["sessions.timeline"]);
  });

  it("falls back to what is recorded when the link goes, and opens the replay anew after it", async () => {
    const { player, store, calls, settle, link } = await aPlayer();
    player.seek(2100);
    await settle();
    link(false);
    expect(store.get()).toMatchObject({ link: "down", replaying: false, atGeneration: 1 });
    link(true);
    player.toggle();
    await settle();
    expect(calls.filter((c) => c.method === "replay.open")).toHaveLength(2);
    expect(player.get().playing).toBe(true);
  });
});
