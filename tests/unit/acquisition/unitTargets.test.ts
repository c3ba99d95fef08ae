import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createUnitTargets, withUnitTargets } from "../../../src/acquisition/unitTargets.ts";
import type { SpikeSource } from "../../../src/shared/ports.ts";
import { channelsConfig } from "../../../src/shared/contract/index.ts";
import { hostTimeNs, rigTimeNs } from "../../../src/shared/units.ts";
import type { ChannelInfo, SourceEvent } from "../../../src/shared/values.ts";

type Spike = readonly [time: number, channel: number, unit: number];

function aSource(names: readonly string[]) {
  let tell: (event: SourceEvent) => void = () => undefined;
  let list: ChannelInfo[] = names.map((name, index) => ({ index, name, area: "V4", positionMm: null }));
  const source: SpikeSource = {
    name: "test", channels: () => list, stop: async () => undefined,
    status: () => ({ connected: true, address: "", spikesReceived: 0, packetsReceived: 0, packetsLost: 0, malformedPackets: 0, newestHostNs: null }),
    async start(listener) { tell = listener; listener({ kind: "channels", channels: list }); return { ok: true, value: undefined }; },
  };
  return {
    source,
    spikes: (spikes: readonly Spike[]) => tell({ kind: "spikes", batch: { timesRigNs: Float64Array.from(spikes, (s) => s[0]), channels: Uint16Array.from(spikes, (s) => s[1]), units: Uint8Array.from(spikes, (s) => s[2]), watermarkRigNs: rigTimeNs((spikes.at(-1)?.[0] ?? 0) + 1), arrivedHostNs: hostTimeNs(0) } }),
    grow(name: string) { list = [...list, { index: list.length, name, area: "V4", positionMm: null }]; tell({ kind: "channels", channels: list }); },
  };
}

async function heard(names: readonly string[], config: Parameters<typeof channelsConfig.parse>[0]) {
  const made = aSource(names);
  const units = createUnitTargets(made.source, channelsConfig.parse(config));
  const events: SourceEvent[] = [];
  await units.start((event) => events.push(event));
  const counts = (): Record<string, number> => {
    const out: Record<string, number> = {};
    for (const e of events) if (e.kind === "spikes") for (const c of e.batch.channels) { const name = units.channels()[c]?.name ?? "?"; out[name] = (out[name] ?? 0) + 1; }
    return out;
  };
  return { ...made, units, events, counts };
}

describe("targets beside a source's channels", () => {
  it("count what their members count, and leave the source's own channels as they are", async () => {
    const h = await heard(["A", "B", "C"], { merges: [{ name: "A+B1", members: ["A", "B:1"] }], units: ["C"] });
    h.spikes([[1, 0, 0], [2, 1, 1], [3, 1, 2], [4, 2, 1], [5, 2, 0], [6, 2, 2], [7, 0, 3]]);
    expect(h.counts()).toEqual({ A: 2, B: 2, C: 3, "A+B1": 3, "C:1": 1, "C:2": 1 });
    const named = h.events.findLast((e) => e.kind === "channels");
    expect(named?.kind === "channels" ? named.channels.map((c) => [c.index, c.name, c.area]) : []).toEqual([[0, "A", "V4"], [1, "B", "V4"], [2, "C", "V4"], [3, "A+B1", "V4"], [4, "C:1", "V4"], [5, "C:2", "V4"]]);
    // Channels are named before their first spike.
    expect(h.events.map((e) => e.kind)).toEqual(["channels", "channels", "spikes"]);
  });

  it("keep their numbers when the source names more channels", async () => {
    const h = await heard(["A"], { units: ["*"] });
    h.spikes([[1, 0, 1]]);
    h.grow("B");
    h.spikes([[2, 1, 0], [3, 1, 1], [4, 0, 1]]);
    expect(h.units.channels().map((c) => c.name)).toEqual(["A", "A:1", "B", "B:1"]);
    expect(h.counts()).toEqual({ A: 2, "A:1": 2, B: 2, "B:1": 1 });
  });

  it("begin anew when units were sorted anew: nothing is counted across the change", async () => {
    const h = await heard(["A", "B"], { units: ["A", "B"], merges: [{ name: "both", members: ["A:1", "B:1"] }, { name: "wide", members: ["A", "B"] }] });
    h.spikes([[1, 0, 1], [2, 1, 1]]);
    const replaced = h.units.resort(["A"]);
    const name = (i: number): string => h.units.channels()[i]?.name ?? "";
    expect(replaced.map((r) => [name(r.from), name(r.to)])).toEqual([["both", "both (sorting 2)"], ["A:1", "A:1 (sorting 2)"]]);
    h.spikes([[3, 0, 1], [4, 1, 1], [5, 0, 2]]);
    expect(h.counts()).toEqual({ A: 3, B: 2, both: 2, wide: 5, "A:1": 1, "B:1": 2, "both (sorting 2)": 2, "A:1 (sorting 2)": 1, "A:2 (sorting 2)": 1 });
  });

  it("give every spike of the source once under its own channel, in time order, whatever is asked for beside", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), { maxLength: 60 }), fc.subarray(["A", "B", "*"]), fc.subarray(["A", "B:1", "C", "D:2"], { minLength: 1 }), async (spikes, units, members) => {
        const sorted = [...spikes].sort((a, b) => a[0] - b[0]);
        const h = await heard(["A", "B", "C", "D"], { units, merges: [{ name: "m", members }] });
        h.spikes(sorted);
        const batch = h.events.findLast((e) => e.kind === "spikes");
        if (batch?.kind !== "spikes") throw new Error("expected a batch");
        const { timesRigNs, channels, units: unitsOut } = batch.batch;
        expect([...timesRigNs]).toEqual([...timesRigNs].sort((a, b) => a - b));
        const own = [...channels].flatMap((c, i) => (c < 4 ? [[timesRigNs[i], c, unitsOut[i]]] : []));
        expect(own).toEqual(sorted.map((s) => [...s]));
      }),
      { numRuns: 60 },
    );
  });

  it("are not there where none is asked for", () => {
    const { source } = aSource(["A"]);
    expect(withUnitTargets(source, channelsConfig.parse({}))).toBe(source);
  });
});
