// States kept along a session: where they are, which one a seek gets, which one goes.
import { describe, expect, it } from "vitest";
import { createParkedCursors } from "../../../src/engine/parkedCursors.ts";
import { createTelemetry } from "../../../src/engine/telemetry.ts";
import type { ReplayCursor } from "../../../src/engine/replayCursor.ts";
import { sessionConfig } from "../../../src/shared/contract/index.ts";
import { hostTimeNs } from "../../../src/shared/units.ts";

const durationMs = 3_600_000;
const recordMs = 1000;
const telemetry = createTelemetry({
  config: sessionConfig.parse({}), now: () => hostTimeNs(0), channels: () => [], devices: () => [], emit: () => undefined,
  session: { id: "", file: "", subject: "", startedUtc: "", seed: 1, rig: "", generator: "", optimizer: "", provider: "" },
});

/** A session of one record a second. */
function aCursor(at = 0): ReplayCursor {
  let positionMs = at;
  return {
    telemetry, presentations: 0, generations: 0, difference: null, atEnd: false,
    get positionMs() {
      return positionMs;
    },
    get nextMs() {
      return positionMs + recordMs;
    },
    takeOne() {
      if (positionMs >= durationMs) return false;
      positionMs += recordMs;
      return true;
    },
  };
}

function filled() {
  const parked = createParkedCursors({ durationMs, open: () => aCursor() });
  while (parked.fill(performance.now() + 1000));
  return parked;
}

describe("states along a session", () => {
  it("are spread over its length, so that no seek goes further than a twelfth of it", () => {
    const edges = [0, ...filled().positionsMs, durationMs];
    const gaps = edges.slice(1).map((to, i) => to - (edges[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(durationMs / 12);
  });

  it("are made from the middle, so that the first ones help most", () => {
    const parked = createParkedCursors({ durationMs, open: () => aCursor() });
    while (parked.positionsMs.length === 0) parked.fill(performance.now() + 1000);
    expect(Math.abs((parked.positionsMs[0] ?? 0) - durationMs / 2)).toBeLessThan(durationMs / 24);
  });

  it("are given to a seek nearest first, and made anew", () => {
    const parked = filled();
    const nearest = parked.nearestBefore(durationMs / 2);
    const taken = parked.takeBefore(durationMs / 2);
    expect(taken?.positionMs).toBe(nearest);
    expect(nearest).toBeGreaterThan(durationMs / 2 - durationMs / 12);
    expect(parked.positionsMs).not.toContain(nearest);
    while (parked.fill(performance.now() + 1000));
    expect(parked.nearestBefore(durationMs / 2)).toBe(nearest);
    expect(parked.takeBefore(1000)).toBeNull();
  });

  it("stay twelve, whatever is parked: one that another stands close before goes", () => {
    const parked = filled();
    const before = parked.positionsMs;
    parked.park(aCursor((before[3] ?? 0) + 2 * recordMs));
    expect(parked.positionsMs).toEqual(before);
  });

  it("are not made for a session that is replayed whole in a moment", () => {
    expect(createParkedCursors({ durationMs: 15_000, open: () => aCursor() }).fill(performance.now() + 1000)).toBe(false);
  });
});
