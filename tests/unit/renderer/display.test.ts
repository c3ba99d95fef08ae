import { describe, expect, it } from "vitest";
import { addPing, toHostNs, unknownHostClock } from "../../../src/renderer/stimulus/hostClock.ts";
import { estimateRefresh } from "../../../src/renderer/stimulus/refreshRate.ts";

describe("refresh rate", () => {
  it("is found within 0.01 % from a second of callbacks with a 0.1 ms clock", () => {
    const times = Array.from({ length: 120 }, (_, i) => Math.round(i * (1000 / 119.97) * 10) / 10);
    expect(estimateRefresh(times)?.refreshHz).toBeCloseTo(119.97, 1);
  });

  it("does not move when frames are dropped", () => {
    const times = Array.from({ length: 90 }, (_, i) => i * (1000 / 60)).filter((_, i) => ![10, 11, 40, 41, 42, 70].includes(i));
    const estimate = estimateRefresh(times);
    expect(estimate?.refreshHz).toBeCloseTo(60, 6);
    expect(estimate?.irregular).toBe(3);
  });

  it("ignores a stall that is no whole number of refreshes", () => {
    const times = Array.from({ length: 90 }, (_, i) => i * (1000 / 60) + (i >= 30 ? 7 : 0));
    expect(estimateRefresh(times)?.refreshHz).toBeCloseTo(60, 3);
  });

  it("is unknown from too few frames", () => {
    expect(estimateRefresh([0, 16, 33])).toBeNull();
  });
});

describe("host clock", () => {
  it("takes the ping with the shortest round trip", () => {
    let clock = addPing(unknownHostClock, { sentMs: 0, receivedMs: 30, hostNs: 5e9 + 28e6 });
    clock = addPing(clock, { sentMs: 100, receivedMs: 101, hostNs: 5e9 + 100.5e6 });
    clock = addPing(clock, { sentMs: 200, receivedMs: 240, hostNs: 5e9 + 238e6 });
    expect(clock.roundTripMs).toBe(1);
    expect(toHostNs(clock, 250)).toBeCloseTo(5e9 + 250e6, 3);
  });

  it("forgets old pings, so that a drifting clock is followed", () => {
    let clock = addPing(unknownHostClock, { sentMs: 0, receivedMs: 0.2, hostNs: 0.1e6 });
    clock = addPing(clock, { sentMs: 90_000, receivedMs: 90_001, hostNs: 90_000.5e6 + 4e6 });
    expect(toHostNs(clock, 90_000)).toBeCloseTo(90_000e6 + 4e6, 3);
  });

  it("refuses to convert before the first ping", () => {
    expect(() => toHostNs(unknownHostClock, 1)).toThrow("expected at least one ping");
  });
});
