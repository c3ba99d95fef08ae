// The two displays and the geometry of stimuli, on a virtual clock.
import { describe, expect, it } from "vitest";
import { pixelsOf, placementOf } from "../../../src/engine/placement.ts";
import { createTimedDisplay } from "../../../src/engine/timedDisplay.ts";
import { createWindowDisplay } from "../../../src/engine/windowDisplay.ts";
import { createVirtualClock } from "../../../src/loop/clock.ts";
import { displayConfig } from "../../../src/shared/contract/config.ts";
import type { StimulusCommand } from "../../../src/shared/contract/stimulus.ts";
import type { DisplayReport } from "../../../src/shared/ports.ts";
import { hostTimeNs, nsPerMs } from "../../../src/shared/units.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const anImage = { count: 1, width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
const flashes = [1, 2, 3].map((presentationId) => ({ presentationId, imageId: 7, onFrames: 12, offFrames: 18 }));

describe("the timed display", () => {
  it("shows every image for its frames and reports onset, offset and end in order, on frame boundaries", async () => {
    const clock = createVirtualClock({ settle });
    const display = createTimedDisplay({ clock, refreshHz: 120 });
    const reports: DisplayReport[] = [];
    display.onReport((r) => reports.push(r));
    await display.prepare(7, anImage, null);
    display.run(4, flashes);
    await clock.run(() => reports.some((r) => r.kind === "end"));
    expect(reports.map((r) => r.kind)).toEqual(["onset", "offset", "onset", "offset", "onset", "offset", "end"]);
    const onsets = reports.flatMap((r) => (r.kind === "onset" ? [r.flipHostNs] : []));
    expect(onsets[1]! - onsets[0]!).toBeCloseTo(250 * nsPerMs, -2);
    for (const r of reports) if (r.kind === "offset") expect([r.framesShown, r.lateFrames]).toEqual([12, 0]);
    for (const t of onsets) expect((t * 120) / 1e9).toBeCloseTo(Math.round((t * 120) / 1e9), 4);
  });

  it("blanks at the next frame when it is aborted and says how many frames were shown", async () => {
    const clock = createVirtualClock({ settle });
    const display = createTimedDisplay({ clock, refreshHz: 100 });
    const reports: DisplayReport[] = [];
    display.onReport((r) => reports.push(r));
    await display.prepare(7, anImage, null);
    display.run(4, flashes);
    clock.setTimer(hostTimeNs(65 * nsPerMs), () => display.abort(4));
    await clock.run(() => reports.some((r) => r.kind === "end"));
    expect(reports.at(-2)).toMatchObject({ kind: "offset", presentationId: 1, framesShown: 6 });
    expect(reports.at(-1)).toMatchObject({ kind: "end", aborted: true });
  });

  it("names an image that it was never given instead of showing nothing", () => {
    const clock = createVirtualClock({ settle });
    const display = createTimedDisplay({ clock });
    const reports: DisplayReport[] = [];
    display.onReport((r) => reports.push(r));
    display.run(9, flashes);
    expect(reports.map((r) => r.kind)).toEqual(["missing", "end"]);
  });
});

describe("the stimulus window as a display", () => {
  function aWindow() {
    const clock = createVirtualClock({ settle });
    const sent: { to: string; command: StimulusCommand }[] = [];
    const display = createWindowDisplay({ clock, send: (to, command) => sent.push({ to, command }) });
    const reports: DisplayReport[] = [];
    display.onReport((r) => reports.push(r));
    return { clock, display, sent, reports };
  }
  const geometry = { kind: "window" as const, widthPx: 1920, heightPx: 1080, refreshHz: 120 };

  it("waits for the window to have an image ready", async () => {
    const { display, sent } = aWindow();
    display.attach("w", geometry);
    let ready = false;
    const prepared = display.prepare(7, anImage, null).then(() => {
      ready = true;
    });
    await settle();
    expect(ready).toBe(false);
    expect(sent.find((s) => s.command.kind === "prepare")?.command).toMatchObject({ imageId: 7, rgbaBase64: Buffer.from([1, 2, 3, 255, 4, 5, 6, 255]).toString("base64") });
    display.report("w", { kind: "prepared", imageId: 7 });
    await prepared;
    expect(ready).toBe(true);
  });

  it("gives everything again to a window that comes back, and reports the loss in between", async () => {
    const { display, sent, reports } = aWindow();
    display.attach("w", geometry);
    const prepared = display.prepare(7, anImage, null);
    display.detach("w", "closed");
    await prepared;
    expect(reports.at(-1)).toMatchObject({ kind: "lost" });
    sent.length = 0;
    display.attach("v", geometry);
    expect(sent.map((s) => [s.to, s.command.kind])).toEqual(expect.arrayContaining([["v", "prepare"], ["v", "fixation"]]));
    expect(reports.at(-1)).toMatchObject({ kind: "attached" });
  });

  it("takes a window that falls silent for lost, and listens to no other", async () => {
    const { clock, display, reports } = aWindow();
    display.attach("w", geometry);
    display.report("stranger", { kind: "missing", trialId: 1, imageId: 1 });
    expect(reports.some((r) => r.kind === "missing")).toBe(false);
    await clock.run(() => reports.some((r) => r.kind === "lost"));
    expect(clock.now()).toBeGreaterThan(4000 * nsPerMs);
  });
});

describe("the placement of stimuli", () => {
  it("follows from the screen's size and distance: at 57 cm one centimetre is about one degree", () => {
    expect(pixelsOf(1, { widthPx: 1920, widthCm: 53, distanceCm: 57.3 })).toBeCloseTo(1920 / 53, 1);
    const placement = placementOf(displayConfig.parse({ widthCm: 53, distanceCm: 57.3, imageSizeDeg: 4, centreXDeg: 2, centreYDeg: 1 }), { kind: "window", widthPx: 1920, heightPx: 1080, refreshHz: 120 });
    expect(placement.centreXPx).toBeGreaterThan(960 + 70);
    expect(placement.centreYPx).toBeLessThan(540 - 35);
    expect(placement.sizePx).toBeGreaterThan(140);
  });
});
