// The rig form as data: what text fields of lists mean, what stays when a device is changed, how the rates are summed up.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chooseReward, chooseSync, mergesFromText, mergesToText, ratesWords, sameList, unitsFromText } from "../../../src/renderer/rig/rigView.ts";
import { rigConfig } from "../../../src/shared/contract/index.ts";
import type { RigChannel } from "../../../src/shared/contract/index.ts";

describe("merges as text", () => {
  it("are one a line, with a name of their own or that of their members", () => {
    expect(mergesFromText("pair = V4-3 + V4-4:1\n\n V4-5:2+V4-6 \n=")).toEqual([{ name: "pair", members: ["V4-3", "V4-4:1"] }, { name: "V4-5:2 + V4-6", members: ["V4-5:2", "V4-6"] }]);
  });

  it("come back from text as they were, whatever they are called", () => {
    const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9:. -]{0,10}[A-Za-z0-9]$/);
    fc.assert(fc.property(fc.array(fc.record({ name: word, members: fc.array(word, { minLength: 1, maxLength: 4 }) }), { maxLength: 4 }), (merges) => {
      expect(mergesFromText(mergesToText(merges))).toEqual(merges);
    }), { numRuns: 200 });
  });

  it("that are typed say what the rig has until another rig is loaded", () => {
    const typed = "pair = A + B\n";
    expect(sameList(mergesFromText(typed), [{ name: "pair", members: ["A", "B"] }])).toBe(true);
    expect(sameList(mergesFromText(typed), [])).toBe(false);
    expect(unitsFromText(" CH1, CH2;CH3  * ")).toEqual(["CH1", "CH2", "CH3", "*"]);
  });
});

describe("a device that is changed", () => {
  it("leaves what was weighed and the limits with the juice line, and the check of words with the codes", () => {
    const rig = rigConfig.parse({ reward: { kind: "board", options: { path: "/dev/a" }, calibration: [{ pulseMs: 100, pulses: 50, grams: 5 }], dayMlMax: 200 }, sync: { kind: "board", checkWords: true } });
    expect(chooseReward(rig, "none").reward).toMatchObject({ kind: "none", options: {}, dayMlMax: 200, calibration: [{ grams: 5 }] });
    expect(chooseSync(rig, "simulated").sync).toEqual({ kind: "simulated", options: {}, checkWords: true });
    expect(chooseSync(rig, "").sync).toBeNull();
  });
});

it("rates are summed up by what has become of the channels, worst first", () => {
  const channels = (["ok", "ok", "lost", "rose", "fell", "fell", "silent"] as const).map((state, i): RigChannel => ({ name: `CH${i}`, area: "", rateHz: 1, lastRateHz: 1, state }));
  const state: Parameters<typeof ratesWords>[0] = { channels, comparedWith: { file: "a", startedUtc: "", of: "baseline" } };
  expect(ratesWords(state)).toBe("1 fell silent · 2 fell · 1 rose · 1 silent as before · 2 as before");
  expect(ratesWords({ ...state, comparedWith: null })).toBe("");
});
