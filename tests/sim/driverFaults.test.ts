// Whole sessions heard through real drivers over real sockets, with a transport and a rig that misbehave in every way there is: each fault is
// seen, counted, shown as an alarm, stored in the session file, and the session goes on, or stops where the rig is set to stop. Those of datagrams: driverFaultsUdp.test.ts.
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { createSyntheticRig } from "../../src/acquisition/synthetic/rig.ts";
import { verifySession } from "../../src/engine/replay.ts";
import { unwrap } from "../../src/shared/result.ts";
import { hostTimeNs, nsPerMs } from "../../src/shared/units.ts";
import { aVirtualClock } from "../unit/acquisition/aRig.ts";
import { aSession } from "./aFaultySession.ts";

describe("a session with a faulty transport", () => {
  it("counts what was lost, what came twice and what came out of order, repeats the responses that the loss touched, and replays", async () => {
    const session = await aSession({ through: "line", options: { wireFaults: [{ kind: "lose", share: 0.03 }, { kind: "duplicate", share: 0.05 }, { kind: "reorder", share: 0.05 }] } });
    expect(session.run.generations).toBe(3);
    expect([...session.codes]).toEqual(expect.arrayContaining(["gap", "disorder"]));
    expect(session.lost).toBeGreaterThan(3);
    expect(session.presentations.some((p) => p.excluded === "spikesLost")).toBe(true);
    expect(unwrap(await verifySession(session.run.session)).firstDifference).toBeNull();
  }, 240_000);

  it.each(["line", "open-ephys", "intan"])("waits through two seconds of silence over %s, takes the burst that follows, and goes on", async (through) => {
    const session = await aSession({ through, options: { wireFaults: [{ kind: "stall", atMs: 2500, durationMs: 2000 }] } });
    expect(session.run.generations).toBe(3);
    expect([...session.codes]).toEqual(expect.arrayContaining(["streamStale", "reconnected"]));
    // Late is not lost.
    expect(session.lost).toBe(0);
    expect(session.codes.has("clockJump")).toBe(false);
  }, 240_000);

  it.each(["line", "open-ephys", "open-ephys-events", "intan"])("goes on when the program behind %s is started again with its numbers from the beginning", async (through) => {
    const session = await aSession({ through, options: { wireFaults: [{ kind: "restart", atMs: 2500, durationMs: 1500 }] } });
    expect(session.run.generations).toBe(3);
    expect([...session.codes]).toEqual(expect.arrayContaining(["reconnected", "clockJump"]));
    const times = session.presentations.flatMap((p) => (p.excluded === null && p.onsetRigNs !== null ? [p.onsetRigNs] : []));
    expect(times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0))).toBe(true);
  }, 240_000);

  it("calls no channel silent for a hole of the whole stream, and replays an earlier recording by the rule that it was made with", async () => {
    const session = await aSession({ through: "line", options: { wireFaults: [{ kind: "restart", atMs: 7000, durationMs: 12_000 }] } });
    expect(session.run.generations).toBe(3);
    expect(session.codes.has("reconnected")).toBe(true);
    expect(session.codes.has("channelSilent")).toBe(false);
    expect(session.codes.has("noSpikes")).toBe(false);
    expect(unwrap(await verifySession(session.run.session)).firstDifference).toBeNull();
    // A run of before the rule says nothing of it: then the hole counts, as it did.
    const file = new Database(session.run.session);
    file.prepare("UPDATE events SET data_json = json_remove(data_json, '$.silence') WHERE category = 'input' AND code = 'begin'").run();
    file.close();
    expect(unwrap(await verifySession(session.run.session)).firstDifference?.replayed).toContain("channelSilent");
  }, 240_000);

  it.each(["line", "open-ephys", "intan"])("aligns afresh at once when acquisition behind %s was stopped and started again with its numbers going on", async (through) => {
    const session = await aSession({ through, options: { wireFaults: [{ kind: "pause", atMs: 4000, durationMs: 3000 }] } });
    expect(session.run.generations).toBe(3);
    expect([...session.codes]).toEqual(expect.arrayContaining(["streamStale", "reconnected"]));
    expect(session.lost).toBe(0);
    // Told once, and by a block at most too little or too much.
    expect(session.jumps).toHaveLength(1);
    expect(session.message("clockJump")).toMatch(/jumped by -(29[5-9]\d|30[0-4]\d)\.\d ms/);
    expect(session.presentations.filter((p) => p.excluded === null).every((p) => p.onsetSource === "photodiode")).toBe(true);
    // One trial may be shown before it is known.
    expect(session.presentations.filter((p) => p.excluded === "streamStale" || p.excluded === "noOnsetMark").length).toBeLessThan(20);
    expect(unwrap(await verifySession(session.run.session)).firstDifference).toBeNull();
  }, 240_000);

  it("stops instead where the rig is set to stop, and says why", async () => {
    const session = await aSession({ through: "line", onStreamLost: "stop", options: { wireFaults: [{ kind: "stall", atMs: 2000, durationMs: 4000 }] } });
    expect(session.run.generations).toBe(0);
    expect(session.message("streamLost")).toMatch(/no data from .* set to stop/);
  }, 240_000);

  it("names a packet that cannot be read", async () => {
    const session = await aSession({ through: "line", options: { wireFaults: [{ kind: "rubbish", atMs: 2000 }] } });
    expect(session.message("malformed")).toContain("S one two three");
    expect(session.run.generations).toBe(3);
  }, 240_000);
});

describe("a session with a faulty rig", () => {
  it.each(["line", "blackrock", "plexon-bridge"])("sees through %s a channel fall silent and another pick up 100 Hz, by name, and the rig's clock jump, with its size, and aligns afresh", async (through) => {
    const session = await aSession({ through, generations: 7, options: { driftPpm: 200, faults: [{ kind: "clockJump", atMs: 3000, jumpMs: 700 }, { kind: "silenceChannel", atMs: 9000, channel: 5 }, { kind: "noiseOnChannel", atMs: 9000, channel: 2 }] } });
    expect(session.message("channelSilent")).toContain("V4-02");
    expect(session.message("channelNoisy")).toContain("V1-03");
    expect(session.message("clockJump")).toMatch(/jumped by (69\d|70\d)\.\d ms/);
    expect(session.run.generations).toBe(7);
    expect(session.presentations.filter((p) => p.excluded === null).every((p) => p.onsetSource === "photodiode")).toBe(true);
  }, 240_000);

  it("aligns the clocks to better than 0.2 ms at 200 ppm of drift with marks that jitter by half a millisecond", async () => {
    const options = { channelsPerArray: 4, silentChannels: 0, noisyChannels: 0, driftPpm: 200, markJitterMs: 0.5 };
    const session = await aSession({ through: "line", generations: 7, options });
    // A twin of the rig knows its clock; the map is of flips to marks, so the display's lag is in it.
    const { truth } = createSyntheticRig({ seed: 5, clock: aVirtualClock(), encoder: null, options });
    const errorsMs = session.clockMaps.map((map) => (map.anchorRigNs - truth.clock.toRig(hostTimeNs(map.anchorHostNs))) / nsPerMs - 3);
    expect(errorsMs.length).toBeGreaterThan(20);
    const settled = errorsMs.slice(Math.floor(errorsMs.length / 2));
    expect(Math.max(...settled.map(Math.abs))).toBeLessThan(0.2);
    expect(Math.abs((session.clockMaps.at(-1)?.driftPpm ?? 0) - 200)).toBeLessThan(20);
  }, 240_000);
});
