import { describe, expect, it, vi } from "vitest";
import { bridgeCarrier, createEngineClient, tokenOf, type Carrier, type ClientTimers } from "../../../src/renderer/client.ts";
import type { ClientFrame, EngineFrame } from "../../../src/shared/contract/index.ts";

/** Timers that only move when told to. */
function someTimers(): ClientTimers & { advance(ms: number): void } {
  let nowMs = 0;
  let timers: { atMs: number; fire: () => void }[] = [];
  return {
    nowMs: () => nowMs,
    set(fire, delayMs) {
      const timer = { atMs: nowMs + delayMs, fire };
      timers.push(timer);
      return () => { timers = timers.filter((t) => t !== timer); };
    },
    advance(ms) {
      const end = nowMs + ms;
      for (;;) {
        const due = timers.filter((t) => t.atMs <= end).toSorted((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        nowMs = due.atMs;
        timers = timers.filter((t) => t !== due);
        due.fire();
      }
      nowMs = end;
    },
  };
}

function aLink() {
  const timers = someTimers();
  const sent: ClientFrame[] = [];
  const opened: Parameters<Carrier["open"]>[0][] = [];
  let closed = 0;
  const carrier: Carrier = {
    open(handlers) {
      opened.push(handlers);
      return { send: (frame) => sent.push(frame), close: () => { closed += 1; } };
    },
  };
  const bad: string[] = [];
  const client = createEngineClient({ carrier, timers, onBadFrame: (reason) => bad.push(reason) });
  return { client, timers, sent, opened, bad, closed: () => closed, last: () => opened.at(-1) };
}

describe("engine client", () => {
  it("answers a call with the frame of the same id, also when answers cross", async () => {
    const { client, sent, last } = aLink();
    last()?.onUp();
    const first = client.call("clock.ping", {});
    const second = client.call("session.pause", {});
    last()?.onFrame({ id: sent[1]?.id, result: { ok: false, error: { code: "notRunning", message: "No session is running." } } });
    last()?.onFrame({ id: sent[0]?.id, result: { ok: true, value: { hostNs: 7 } } });
    expect(await first).toEqual({ ok: true, value: { hostNs: 7 } });
    expect(await second).toMatchObject({ ok: false, error: { code: "notRunning" } });
  });

  it("fails a call at once while the link is down, and those that were waiting when it went down", async () => {
    const { client, last } = aLink();
    expect(await client.call("clock.ping", {})).toMatchObject({ ok: false, error: { code: "linkLost" } });
    last()?.onUp();
    const waiting = client.call("clock.ping", {});
    last()?.onDown("The engine has ended.");
    expect(await waiting).toMatchObject({ ok: false, error: { code: "linkLost" } });
    expect(client.downReason).toBe("The engine has ended.");
  });

  it("tries again with growing waits, and from the start after a success", () => {
    const { client, timers, opened, last } = aLink();
    const ups: boolean[] = [];
    client.onLink((up) => ups.push(up));
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const before = opened.length;
      last()?.onDown();
      let waited = 0;
      while (opened.length === before) {
        timers.advance(50);
        waited += 50;
      }
      waits.push(waited);
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 4000]);
    last()?.onUp();
    last()?.onDown();
    const before = opened.length;
    timers.advance(250);
    expect(opened.length).toBe(before + 1);
    expect(ups).toEqual([false, true, false]);
  });

  it("takes a silent engine for a lost one, after asking it", () => {
    const { client, timers, sent, last, closed } = aLink();
    last()?.onUp();
    timers.advance(2000);
    timers.advance(2000);
    expect(sent.map((f) => f.method)).toContain("clock.ping");
    expect(client.up).toBe(true);
    timers.advance(4100);
    expect(client.up).toBe(false);
    expect(closed()).toBe(1);
    expect(client.downReason).toContain("has not answered");
  });

  it("hears nothing more from a link that it has given up", () => {
    const { client, timers, opened } = aLink();
    opened[0]?.onUp();
    opened[0]?.onDown();
    timers.advance(300);
    opened[1]?.onUp();
    const heard = vi.fn();
    client.on("session", heard);
    opened[0]?.onFrame({ event: "session", payload: { phase: "running" } });
    expect(heard).not.toHaveBeenCalled();
    opened[1]?.onFrame({ event: "session", payload: { phase: "paused" } });
    expect(heard).toHaveBeenCalledWith({ phase: "paused" });
  });

  it("keeps frames that fit no table away from listeners and says why", () => {
    const { client, last, bad } = aLink();
    last()?.onUp();
    const heard = vi.fn();
    client.on("session", heard);
    last()?.onFrame({ event: "session", payload: { phase: "dancing" } });
    last()?.onFrame({ event: "weather", payload: {} });
    last()?.onFrame("hello");
    expect(heard).not.toHaveBeenCalled();
    expect(bad).toHaveLength(3);
  });

  it("stops hearing when the listener is taken back", () => {
    const { client, last } = aLink();
    last()?.onUp();
    const heard = vi.fn();
    const stop = client.on("session", heard);
    stop();
    last()?.onFrame({ event: "session", payload: { phase: "running" } });
    expect(heard).not.toHaveBeenCalled();
  });
});

describe("Electron's bridge", () => {
  it("opens its port once and follows the engine behind it", async () => {
    let onFrame: (frame: EngineFrame) => void = () => {};
    let onLink: (up: boolean) => void = () => {};
    const connect = vi.fn((frame: typeof onFrame, link?: typeof onLink) => {
      onFrame = frame;
      onLink = link ?? onLink;
      onLink(true);
      return () => {};
    });
    const timers = someTimers();
    const client = createEngineClient({ carrier: bridgeCarrier({ connect, openStimulus: async () => ({ ok: true, value: null }), listDisplays: async () => [] }), timers });
    await Promise.resolve();
    expect(client.up).toBe(true);
    const heard = vi.fn();
    client.on("session", heard);
    onFrame({ event: "session", payload: { phase: "running" } });
    expect(heard).toHaveBeenCalledOnce();
    onLink(false);
    expect(client.up).toBe(false);
    timers.advance(5000);
    onLink(true);
    await Promise.resolve();
    expect(client.up).toBe(true);
    expect(connect).toHaveBeenCalledOnce();
  });
});

describe("the token", () => {
  it("is found in the query or behind the hash", () => {
    expect(tokenOf({ search: "?token=a%2Fb", hash: "" })).toBe("a/b");
    expect(tokenOf({ search: "", hash: "#token=xyz" })).toBe("xyz");
    expect(tokenOf({ search: "", hash: "" })).toBeNull();
  });
});
