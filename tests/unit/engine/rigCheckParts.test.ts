// The parts of a rig check: words that come back, rates beside the last session, what is kept of display tests.
import { mkdtempSync, rmSync, writeFileSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { judgeDisplay } from "../../../src/analysis/displayTest.ts";
import { describeVerdict, openDisplayVerdicts } from "../../../src/engine/displayVerdicts.ts";
import { compareRate } from "../../../src/engine/lastRates.ts";
import { createSyncTest } from "../../../src/engine/syncTest.ts";
import type { DisplayStatus } from "../../../src/shared/contract/index.ts";
import { hostTimeNs, rigTimeNs } from "../../../src/shared/units.ts";
import type { RigMark } from "../../../src/shared/values.ts";

const map = { toRig: (ns: number) => rigTimeNs(ns + 9e9), driftPpm: 0, uncertaintyMs: 0.3 };

/** Words that go out every 100 ms; what the port makes of each, and how late. */
function aPort(seen: (word: number, i: number) => readonly number[], { kind = "strobe", line = 0, ttlLine = null }: { readonly kind?: RigMark["kind"]; readonly line?: number; readonly ttlLine?: number | null } = {}) {
  const test = createSyncTest({ flashes: null, hasWords: true, ttlLine });
  for (let i = 0; i < 20; i++) {
    const atHostNs = hostTimeNs(i * 100e6);
    const word = test.nextWord();
    test.sent(word, atHostNs);
    for (const [k, back] of seen(word, i).entries()) test.mark({ kind, line, state: true, word: back, rigNs: rigTimeNs(map.toRig(atHostNs) + (2 + k + 0.1 * (i % 2)) * 1e6) });
  }
  return test.finish(map);
}

describe("words that come back", () => {
  it("are counted, with their delay and its spread; every line is tried up and down", () => {
    const words = new Set<number>();
    const { ok, parts, message } = aPort((word) => (words.add(word), [word]));
    expect([ok, parts[0]?.seen, parts[0]?.extra]).toEqual([true, 20, 0]);
    expect(parts[0]?.delayMsMean).toBeCloseTo(2.05, 6);
    expect(parts[0]?.delayMsSd).toBeCloseTo(0.0513, 3);
    expect(message).toMatch(/^Words: 20 of 20 seen, 2\.[01] ms .* Clocks known to ±0\.3 ms\.$/);
    for (let bit = 0; bit < 8; bit++) expect(new Set([...words].map((word) => (word >> bit) & 1)).size).toBe(2);
  });

  it("as other words name the lines that stay up or down", () => {
    expect(aPort((word) => [word & ~0b1000]).message).toContain("line 4 stays down");
    expect(aPort((word) => [word | 0b1]).message).toContain("line 1 stays up");
  });

  it("too seldom, too often or never are each told", () => {
    expect(aPort((word, i) => (i % 5 === 0 ? [] : [word]))).toMatchObject({ ok: false, message: expect.stringContaining("4 did not come back") });
    expect(aPort((word, i) => (i === 7 ? [word, 201] : [word]))).toMatchObject({ ok: false, message: expect.stringContaining("1 words came that were not sent") });
    expect(aPort(() => [])).toMatchObject({ ok: false, message: expect.stringContaining("saw none") });
  });

  it("on TTL lines are the word itself among the changes of its bits, or the strobe's own line where it is named", () => {
    expect(aPort((word) => [word & 1, word & 3, word], { kind: "ttl", line: 3 })).toMatchObject({ ok: true });
    expect(aPort((word) => [word + 256], { kind: "ttl", line: 8, ttlLine: 8 })).toMatchObject({ ok: true });
    expect(aPort((word) => [word], { kind: "ttl", line: 3, ttlLine: 8 })).toMatchObject({ ok: false });
  });

  it("cannot be judged before the rig's clock is known", () => {
    const test = createSyncTest({ flashes: null, hasWords: true, ttlLine: null });
    test.sent(test.nextWord(), hostTimeNs(0));
    expect(test.finish(null)).toMatchObject({ ok: false, message: expect.stringContaining("nothing has come from the rig yet") });
  });
});

describe("a channel beside its last session", () => {
  it.each([
    ["lost", 0, 10, 40], ["silent", 0, 10, 0.5], ["ok", 100, 10, 40], ["rose", 900, 10, 40], ["fell", 100, 30, 40], ["ok", 190, 10, 40], ["rose", 250, 10, 40], ["new", 40, 0, 40], ["ok", 5, 0, 40], ["ok", 30, 1, 4],
  ] as const)("is %s where %d spikes came in 10 s, at %d spikes/s over %d s before", (state, count, lastRateHz, lastSeconds) => {
    expect(compareRate({ count, seconds: 10, lastRateHz, lastSeconds })).toBe(state);
  });

  it("that had no last session is only heard or silent", () => {
    expect([0, 3].map((count) => compareRate({ count, seconds: 10, lastRateHz: null, lastSeconds: 0 }))).toEqual(["silent", "ok"]);
  });
});

describe("the display's verdicts", () => {
  const folders: string[] = [];
  afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));
  const status: DisplayStatus = { attached: true, widthPx: 1920, heightPx: 1080, refreshHz: 120, window: { pixelRatio: 1, fullScreen: true, screenWidthPx: 1920, screenHeightPx: 1080 } };

  function aTest({ dropped = 0, rig = "Room 2" }: { readonly dropped?: number; readonly rig?: string } = {}) {
    return judgeDisplay({
      task: { seconds: 20, onMs: 100, offMs: 150, refreshHz: null, rig }, widthPx: 1920, heightPx: 1080, window: status.window,
      times: { seconds: 20, refreshHz: 120, frames: 2400, intervalMs: { mean: 8.33, sd: 0.1, min: 8, p1: 8.2, median: 8.33, p99: 8.5, max: 9 }, histogram: new Array<number>(41).fill(0), framesDropped: dropped, flashes: 80, onsetErrorMs: { mean: 0, sd: 0.1, max: 0.3 }, wrongDurations: 0, wasHidden: false },
    });
  }

  function aFolder(): string {
    folders.push(mkdtempSync(join(tmpdir(), "evoked-displays-")));
    return folders.at(-1) ?? "";
  }

  it("are kept for this computer and rig, also past a line that a crash cut short", () => {
    const folder = aFolder();
    openDisplayVerdicts(folder, { host: "rig pc" }).add(aTest());
    const file = join(folder, "rig_pc.jsonl");
    writeFileSync(file, `${readFileSync(file, "utf8")}{"atUtc":"2026-1`);
    openDisplayVerdicts(folder, { host: "rig pc" }).add(aTest({ dropped: 300 }));
    const read = openDisplayVerdicts(folder, { host: "rig pc" });
    expect(read.last("Room 2")).toMatchObject({ good: false, rig: "Room 2", reason: expect.stringContaining("300 of 2700 frames dropped") });
    expect(openDisplayVerdicts(folder, { host: "another" }).last("Room 2")).toBeNull();
  });

  it("say when and why in a line, and ask for a test where there is none, the screen is another one or the rig is", () => {
    const verdicts = openDisplayVerdicts(null, { now: () => new Date(2026, 10, 28, 23, 40) });
    const line = (rig = "Room 2", now: Partial<DisplayStatus> = {}) => describeVerdict({ verdict: verdicts.last(rig), rig, status: { ...status, ...now }, secondsLeft: null });
    expect(line()).toMatchObject({ level: "warn", value: "not tested", detail: expect.stringContaining("press T") });
    verdicts.add(aTest());
    expect(line()).toMatchObject({ level: "ok", value: "good enough", detail: expect.stringMatching(/^28 Nov, 23:40, 1920 x 1080 px at 120\.00 Hz: Good enough/) });
    expect(line("Room 3")).toMatchObject({ level: "warn", value: "other rig", detail: expect.stringContaining('with the rig "Room 2"') });
    for (const [now, said] of [[{ widthPx: 1280 }, "1280 x 1080 px, no longer 1920 x 1080"], [{ refreshHz: 60 }, "60.00 Hz, no longer 120.00"], [{ window: { pixelRatio: 1.25, fullScreen: true, screenWidthPx: 1920, screenHeightPx: 1080 } }, "scaling is 125 %"], [{ window: { pixelRatio: 1, fullScreen: false, screenWidthPx: 1920, screenHeightPx: 1080 } }, "not full screen any more"]] as const) {
      expect(line("Room 2", now)).toMatchObject({ level: "warn", value: "screen changed", detail: expect.stringContaining(said) });
    }
    // A screen that is not open tells nothing.
    expect(line("Room 2", { attached: false, widthPx: 1 })).toMatchObject({ level: "ok" });
    verdicts.add(aTest({ dropped: 300 }));
    expect(line()).toMatchObject({ level: "fault", value: "not good enough", detail: expect.stringContaining("frames dropped") });
  });
});
