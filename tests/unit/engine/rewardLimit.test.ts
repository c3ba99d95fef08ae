import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { limitReward } from "../../../src/engine/rewardLimit.ts";
import type { RewardLimitOptions } from "../../../src/engine/rewardLimit.ts";
import { fitRewardFlow, rewardMl, rewardMs } from "../../../src/shared/rewardFlow.ts";
import { fault, ok } from "../../../src/shared/result.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function aLine({ answer = (ms: number) => ok({ pulseMs: ms }) as ReturnType<typeof ok<{ pulseMs: number }>> | ReturnType<typeof fault>, ...more }: Partial<RewardLimitOptions> & { answer?: (ms: number) => ReturnType<typeof ok<{ pulseMs: number }>> | ReturnType<typeof fault> } = {}) {
  const given: number[] = [];
  const told: string[] = [];
  const folder = more.folder ?? mkdtempSync(join(tmpdir(), "evoked-reward-"));
  folders.push(folder);
  const line = limitReward({
    reward: { name: "line", pulseMsMax: 500, async pulse(ms) { given.push(ms); return answer(ms); }, off: async () => undefined },
    config: { calibration: [], sessionMlMax: null, dayMlMax: null }, mlPerS: 1, subject: "m1", onLimit: (l) => told.push(l === null ? "over" : `${l.severity}${l.stop ? " stop" : ""}`), ...more, folder,
  });
  return { line, given, told, folder };
}

describe("the flow of a juice line", () => {
  it("is a line through several weighings, with the valve's dead time, and says how well it fits", () => {
    const weighings = [50, 100, 200, 400].map((pulseMs) => ({ pulseMs, pulses: 100, grams: 100 * (0.0012 * pulseMs - 0.02) }));
    const flow = fitRewardFlow(weighings)!;
    expect(flow.slopeMlPerMs).toBeCloseTo(0.0012, 9);
    expect(flow.offsetMl).toBeCloseTo(-0.02, 9);
    expect(flow.misfit).toBeLessThan(1e-9);
    expect(rewardMl(10, flow, 1)).toBe(0);
    expect(rewardMl(rewardMs(0.25, flow), flow, 1)).toBeCloseTo(0.25, 3);
  });

  it("of one weighing goes through zero; of none is what the session says", () => {
    expect(rewardMl(200, fitRewardFlow([{ pulseMs: 100, pulses: 50, grams: 5 }]), 9)).toBeCloseTo(0.2, 9);
    expect(rewardMl(200, fitRewardFlow([]), 1.5)).toBeCloseTo(0.3, 9);
  });
});

describe("the limit of a subject's reward", () => {
  it("warns at nine tenths, then gives no more and stops the trials", async () => {
    const { line, given, told } = aLine({ config: { calibration: [], sessionMlMax: 1, dayMlMax: null } });
    for (let i = 0; i < 12; i++) await line.pulse(100);
    expect(given).toHaveLength(10);
    expect(told).toEqual(["warn", "fault stop"]);
    expect(await line.pulse(100)).toMatchObject({ ok: false, error: { code: "rewardLimit" } });
  });

  it("counts the whole day over sessions and crashes, and begins anew on the next", async () => {
    let today = new Date(2026, 10, 28, 12);
    const first = aLine({ config: { calibration: [], sessionMlMax: null, dayMlMax: 1 }, today: () => today });
    for (let i = 0; i < 6; i++) await first.line.pulse(100);
    appendFileSync(join(first.folder, "m1.jsonl"), '{"utc":"2026-11'); // cut short by a crash
    const second = aLine({ config: { calibration: [], sessionMlMax: null, dayMlMax: 1 }, today: () => today, folder: first.folder });
    expect(second.line.totals).toMatchObject({ sessionMl: 0, dayMl: expect.closeTo(0.6, 6) });
    for (let i = 0; i < 6; i++) await second.line.pulse(100);
    expect(second.given).toHaveLength(4);
    // The pulse after the cut line is not lost with it.
    expect(aLine({ config: { calibration: [], sessionMlMax: null, dayMlMax: 1 }, folder: first.folder, today: () => today }).line.totals.dayMl).toBeCloseTo(1, 6);
    today = new Date(2026, 10, 29, 8);
    expect(second.line.totals.dayMl).toBe(0);
    expect((await second.line.pulse(100)).ok).toBe(true);
    // Another subject drinks from its own.
    expect(aLine({ config: { calibration: [], sessionMlMax: null, dayMlMax: 1 }, subject: "m2", folder: first.folder, today: () => today }).line.totals.dayMl).toBe(0);
    expect(readFileSync(join(first.folder, "m1.jsonl"), "utf8").split("\n").length).toBeGreaterThan(10);
  });

  it("counts a pulse of which nobody can tell whether it was given", async () => {
    const { line } = aLine({ answer: () => fault("rewardUnknown", "gone") });
    await line.pulse(100);
    expect(line.totals.sessionMl).toBeCloseTo(0.1, 9);
    const refused = aLine({ answer: () => fault("rewardBusy", "busy") });
    await refused.line.pulse(100);
    expect(refused.line.totals.sessionMl).toBe(0);
  });
});
