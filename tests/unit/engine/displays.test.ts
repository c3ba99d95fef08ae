// The two displays and the geometry of stimuli, on a virtual clock.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pixelsOf, placeImage, placementOf } from "../../../src/engine/placement.ts";
import { createTimedDisplay } from "../../../src/engine/timedDisplay.ts";
import { createWindowDisplay } from "../../../src/engine/windowDisplay.ts";
import { createVirtualClock } from "../../../src/loop/clock.ts";
import { displayConfig } from "../../../src/shared/contract/config.ts";
import type { StimulusCommand } from "../../../src/shared/contract/stimulus.ts";
import { linearise } from "../../../src/shared/gamma.ts";
import { eccentricityDeg, eccentricityPx, extentPx, placeSquare } from "../../../src/shared/visualAngle.ts";
import type { DisplayReport } from "../../../src/shared/ports.ts";
import { unwrap } from "../../../src/shared/result.ts";
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
    expect(sent.find((s) => s.command.kind === "prepare")?.command).toEqual({ kind: "prepare", imageId: 7, sizePx: null });
    expect(unwrap(display.pixels(7))).toEqual({ widthPx: 2, heightPx: 1, rgbaBase64: Buffer.from([1, 2, 3, 255, 4, 5, 6, 255]).toString("base64") });
    display.report("w", { kind: "prepared", imageId: 7 });
    await prepared;
    expect(ready).toBe(true);
    display.release([7]);
    expect(display.pixels(7)).toMatchObject({ ok: false, error: { code: "notPrepared" } });
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

  const screen = { widthPx: 1920, heightPx: 1080, widthCm: 53, distanceCm: 57 };

  it("uses the exact tangent: the inverse gives back the angle, 40 degrees out as well as near the middle", () => {
    fc.assert(fc.property(fc.double({ min: -40, max: 40, noNaN: true }), (deg) => {
      expect(eccentricityDeg(eccentricityPx(deg, screen), screen)).toBeCloseTo(deg, 9);
    }));
    // A degree 20 degrees out is 1 / cos^2 longer on a flat screen than one in the middle.
    expect(extentPx(0.1, screen, 20) / extentPx(0.1, screen)).toBeCloseTo(1 / Math.cos(Math.PI / 9) ** 2, 3);
  });

  it("draws an eccentric image between the edges of its angles, to a pixel", () => {
    const { centreXPx, centreYPx, sizePx } = placeSquare({ xDeg: 10, yDeg: 0, sizeDeg: 4 }, screen);
    const [left, right] = [8, 12].map((deg) => 960 + eccentricityPx(deg, screen));
    const middle = ((left ?? 0) + (right ?? 0)) / 2;
    expect(Math.abs(centreXPx - middle)).toBeLessThanOrEqual(0.5);
    expect(centreYPx).toBe(540);
    // Along x it spans more pixels than along y: the square has the area of both.
    expect(sizePx).toBeGreaterThan(extentPx(4, screen));
    expect(sizePx).toBeLessThan((right ?? 0) - (left ?? 0));
  });

  it("gives every flash its own place where it has one", () => {
    const display = createWindowDisplay({ clock: createVirtualClock({ settle }), send: (_to, command) => sent.push(command) });
    const sent: StimulusCommand[] = [];
    display.attach("w", { kind: "window", widthPx: 1920, heightPx: 1080, refreshHz: 120 });
    const placement = placeImage({ xDeg: -3, yDeg: 2, sizeDeg: 1 }, displayConfig.parse({}), display.geometry());
    display.run(1, [{ presentationId: 1, imageId: 7, onFrames: 12, offFrames: 18, placement }, { presentationId: 2, imageId: 7, onFrames: 12, offFrames: 18 }]);
    expect(sent.at(-1)).toMatchObject({ kind: "run", flashes: [{ placement: { centreXPx: expect.any(Number) as number, sizePx: 36 } }, { placement: null }] });
    expect(placement.centreXPx).toBeLessThan(960);
    expect(placement.centreYPx).toBeLessThan(540);
  });
});

describe("a screen's gamma", () => {
  const exponents = { r: 2.2, g: 2.0, b: 1.8 };

  it("is undone by the tables: the light of a value is its share of white, to the screen's own steps", () => {
    const tables = linearise({ kind: "exponent", target: "linear", exponents });
    for (const gun of ["r", "g", "b"] as const) {
      for (let asked = 0; asked <= 255; asked++) {
        const sent = tables[gun][asked] ?? 0;
        const light = (value: number): number => (value / 255) ** exponents[gun];
        const step = light(Math.min(255, sent + 1)) - light(Math.max(0, sent - 1));
        expect(Math.abs(light(sent) - asked / 255)).toBeLessThanOrEqual(step);
      }
    }
    expect([tables.r[0], tables.r[255]]).toEqual([0, 255]);
  });

  it("gives the same tables from 17 photometer readings as from the exponent that they follow", () => {
    const readings = (gamma: number): number[] => Array.from({ length: 17 }, (_, i) => 0.3 + 120 * (i / 16) ** gamma);
    const measured = linearise({ kind: "luminance", target: "linear", r: readings(2.2), g: readings(2.0), b: readings(1.8) });
    const exact = linearise({ kind: "exponent", target: "linear", exponents });
    for (let asked = 16; asked <= 255; asked++) expect(Math.abs((measured.r[asked] ?? 0) - (exact.r[asked] ?? 0))).toBeLessThanOrEqual(2);
  });

  it("leaves a screen alone that is a standard one already", () => {
    const tables = linearise({ kind: "exponent", target: "srgb", exponents: { r: 2.2, g: 2.2, b: 2.2 } });
    for (let asked = 64; asked <= 255; asked++) expect(Math.abs((tables.g[asked] ?? 0) - asked)).toBeLessThanOrEqual(3);
  });

  it("is applied to an image once, before it goes to the window", () => {
    const display = createWindowDisplay({ clock: createVirtualClock({ settle }), send: () => undefined });
    const geometry = { kind: "window" as const, widthPx: 1920, heightPx: 1080, refreshHz: 120 };
    display.attach("w", geometry);
    const gamma = { kind: "exponent" as const, target: "linear" as const, exponents };
    display.place(placementOf(displayConfig.parse({ gamma }), geometry));
    void display.prepare(7, { count: 1, width: 1, height: 1, data: Uint8Array.of(128, 128, 128) }, null);
    const tables = linearise(gamma);
    expect(unwrap(display.pixels(7))).toMatchObject({ rgbaBase64: Buffer.from([tables.r[128] ?? 0, tables.g[128] ?? 0, tables.b[128] ?? 0, 255]).toString("base64") });
    expect(tables.r[128]).toBeGreaterThan(180);
  });
});
