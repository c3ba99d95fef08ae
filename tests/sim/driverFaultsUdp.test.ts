// Whole sessions through the drivers of datagrams, with packets that are late, lost, doubled, swapped or cut off with the cable: each fault is seen,
// counted, shown as an alarm, stored in the session file, and the session goes on, or stops where the rig is set to stop.
import { describe, expect, it } from "vitest";
import { verifySession } from "../../src/engine/replay.ts";
import { unwrap } from "../../src/shared/result.ts";
import { aSession } from "./aFaultySession.ts";

describe("a session with a faulty network", () => {
  it.each(["blackrock", "plexon-bridge"])("takes the burst after two seconds of silence of %s for late and not for lost, and goes on after a restart", async (through) => {
    const session = await aSession({ through, options: { wireFaults: [{ kind: "stall", atMs: 1500, durationMs: 2000 }, { kind: "restart", atMs: 5000, durationMs: 1500 }] } });
    expect(session.run.generations).toBe(3);
    expect([...session.codes]).toEqual(expect.arrayContaining(["streamStale", "reconnected", "clockJump"]));
    expect(session.lost).toBe(0);
    // One jump, that of the restart: the burst is none.
    expect(session.jumps).toHaveLength(1);
    const times = session.presentations.flatMap((p) => (p.excluded === null && p.onsetRigNs !== null ? [p.onsetRigNs] : []));
    expect(times.every((time, i) => i === 0 || time > (times[i - 1] ?? 0))).toBe(true);
  }, 240_000);

  it.each(["blackrock", "plexon-bridge"])("counts what of the datagrams of %s was lost, came twice or out of order or was cut off with the cable, names what cannot be read, and replays", async (through) => {
    const session = await aSession({ through, options: { wireFaults: [{ kind: "lose", share: 0.03 }, { kind: "duplicate", share: 0.03 }, { kind: "reorder", share: 0.03 }, { kind: "rubbish", atMs: 1500 }, { kind: "cut", atMs: 2500, durationMs: 1500 }] } });
    expect(session.run.generations).toBe(3);
    expect([...session.codes]).toEqual(expect.arrayContaining(["gap", "disorder", "malformed", "streamStale", "reconnected"]));
    // 150 turns of the rig were cut off, each a datagram of the bridge and several packets of the other.
    expect(session.lost).toBeGreaterThan(150);
    expect(session.presentations.some((p) => p.excluded === "spikesLost")).toBe(true);
    expect(unwrap(await verifySession(session.run.session)).firstDifference).toBeNull();
  }, 240_000);

  it.each(["blackrock", "plexon-bridge"])("stops when the cable of %s is pulled, where the rig is set to stop", async (through) => {
    const session = await aSession({ through, onStreamLost: "stop", options: { wireFaults: [{ kind: "cut", atMs: 1500, durationMs: 4000 }] } });
    expect(session.run.generations).toBe(0);
    expect(session.message("streamLost")).toMatch(/no data from .* set to stop/);
  }, 240_000);
});
