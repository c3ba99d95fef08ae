// One session from the operator's first click to its review, in a real browser, with what the subject's screen really showed.
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { coarse, decodePng, meanDifference, openApp } from "./app.ts";
import { verifySession } from "../../src/engine/replay.ts";
import type { TestApp, Picture } from "./app.ts";
import type { Page } from "playwright-core";
import type { TestCaller } from "../support/hosts/callerClient.ts";

/** More than are waited for: the session is stopped by hand. */
const generations = 40;
const generationsSeen = 10;
/** Fast trials with a steady animal, and the neuron of this rig that the generator drives most (2.3 to 3.5-fold in ten generations of 18 to 22 images on the virtual clock). */
const draft = {
  seed: 3,
  rig: { kind: "synthetic", options: { gainSpread: 0, driftAmplitude: 0, eye: { engagement: 1, breaksPerS: 0, blinksPerS: 0 } } },
  trial: { imagesPerTrial: 20, onMs: 100, offMs: 60, holdMs: 50, interTrialMs: 50, timeoutMs: 100, fixationWindowDeg: 5, graceMs: 300 },
  evolution: { generations, referencesPerGeneration: 3, tuningRepeats: 0, threads: [{ target: 76, populationSize: 20 }] },
};

let app: TestApp;
let operator: Page;
let stimulus: Page;
let watcher: TestCaller;

beforeAll(async () => {
  app = await openApp(draft);
  watcher = await app.watch();
  operator = await app.openOperator();
});
afterAll(async () => {
  await app.close();
});

const at = (page: Page, testid: string) => page.locator(`[data-testid="${testid}"]`);
const phaseIs = (page: Page, phase: string, timeout = 20_000): Promise<void> => page.locator(`[data-testid="phase"][data-phase="${phase}"]`).waitFor({ timeout });

test("the start screen says that everything is ready", async () => {
  await at(operator, "start-screen").waitFor();
  await operator.locator('[data-testid="check"]:not([data-level="off"])').waitFor();
  await expect.poll(() => at(operator, "check").getAttribute("data-level")).toMatch(/^(ok|warn|info)$/);
  await app.shoot(operator, "start");
});

test("a click on Start opens the subject's screen and runs a session", async () => {
  const opened = app.context.waitForEvent("page");
  await at(operator, "start-button").click();
  stimulus = await opened;
  await stimulus.setViewportSize({ width: 1280, height: 720 });
  await phaseIs(operator, "running", 30_000);
  await at(operator, "console").waitFor();
});

test("the pixels of the subject's screen are those of the image that the engine says is shown", async () => {
  const images = new Map<number, number[]>();
  const patch = { left: 1280 - 40, top: 720 - 40, size: 30 };
  let matched = 0;
  let blanks = 0;
  const deadline = Date.now() + 60_000;
  while ((matched < 3 || blanks < 1) && Date.now() < deadline) {
    const png = await stimulus.screenshot();
    const picture = await decodePng(png);
    const bright = (coarse(picture, patch, 1)[0] ?? 0) > 200;
    const side = imageSide(picture);
    if (side === null) {
      // Blank: grey to the last step wherever images are (the next one is drawn there already, unseen), and a dark patch.
      if (bright) continue;
      // Before the first image there was nothing to show through.
      if (matched > 0) blanks += 1;
      expect(strangersIn(picture)).toEqual([]);
      continue;
    }
    expect(bright).toBe(true);
    await learnImages(images);
    const seen = coarse(picture, { left: 640 - side / 2, top: 360 - side / 2, size: side });
    const [best, second] = [...images.values()].map((cells) => meanDifference(seen, cells)).sort((a, b) => a - b);
    if (best !== undefined && second !== undefined && best < 12 && best < second) {
      matched += 1;
      app.keep(png, "stimulus");
    }
  }
  expect([matched >= 3, blanks >= 1], `matched ${matched}, blanks ${blanks}, images known ${images.size}`).toEqual([true, true]);
}, 80_000);

test("the neuron's rate rises over the generations, in the curve that the operator sees", async () => {
  await operator.locator(`[data-testid="curve"][data-points="${generationsSeen}"]`).waitFor({ timeout: 85_000 });
  const curve = snapshotShape.parse(await value(watcher.call("session.snapshot"))).curve;
  const mean = (points: typeof curve): number => points.reduce((sum, point) => sum + point.evolvedMean, 0) / points.length;
  expect(mean(curve.slice(-3)), curve.map((point) => point.evolvedMean.toFixed(0)).join(" ")).toBeGreaterThan(1.3 * mean(curve.slice(0, 3)));
  // The same by what is drawn: the evolved line ends higher than it begins.
  const drawnRise = (): Promise<number> => operator.locator('[data-testid="curve"] .recharts-line path').last().evaluate((path) => {
    if (!(path instanceof SVGPathElement)) throw new Error("expected the evolved line as an SVG path");
    return path.getPointAtLength(0).y - path.getPointAtLength(path.getTotalLength()).y;
  });
  await expect.poll(drawnRise).toBeGreaterThan(0);
  await at(operator, "gallery-item").nth(generationsSeen - 2).waitFor();
  await app.shoot(operator, "console");
}, 100_000);

test("a second screen only watches: it sees the curve and may not act", async () => {
  const viewer = await app.context.newPage();
  await viewer.goto(app.served.viewerUrl);
  await at(viewer, "console").waitFor();
  await viewer.locator('[data-testid="curve"][data-points]:not([data-points="0"])').waitFor();
  // The page has learned by now that it may only watch: its curve came after that.
  const stop = at(viewer, "stop-button");
  await expect.poll(async () => await stop.count() === 0 || await stop.isDisabled()).toBe(true);
  expect(await watcher.call("session.stop")).toMatchObject({ ok: false, error: { code: "accessDenied" } });
  await app.shoot(viewer, "viewer");
  await viewer.close();
});

test("a window that loses its link says so, tries again by itself and catches up", async () => {
  const page = await app.context.newPage();
  let cut = false;
  const cutters: (() => Promise<void>)[] = [];
  await page.routeWebSocket(/\/api/, (socket) => {
    if (cut) return void socket.close();
    socket.connectToServer();
    cutters.push(() => socket.close({ code: 4000 }));
  });
  await page.goto(app.served.viewerUrl);
  await at(page, "console").waitFor();
  cut = true;
  for (const close of cutters) await close();
  await at(page, "link-lost").waitFor();
  await at(page, "link-lost").filter({ hasText: "Everything below is old" }).waitFor();
  await app.shoot(page, "link-lost");
  cut = false;
  await at(page, "link-lost").waitFor({ state: "detached", timeout: 15_000 });
  await page.locator('[data-testid="phase"]:not([data-phase="unknown"])').waitFor();
  await page.close();
});

test("Stop asks once; leaving it keeps the session running, agreeing ends it", async () => {
  await operator.keyboard.press("c");
  await at(operator, "stop-button").click();
  await app.shoot(operator, "confirm");
  await at(operator, "cancel").click();
  await phaseIs(operator, "running");
  await at(operator, "stop-button").click();
  await at(operator, "confirm").click();
  await phaseIs(operator, "finished", 20_000);
  await expect.poll(async () => snapshotShape.parse(await value(watcher.call("session.snapshot"))).phase).toBe("finished");
});

test("every decision of this session, recorded in real time, can be replayed bit for bit", async () => {
  const [session] = z.array(z.object({ file: z.string() })).parse(await value(watcher.call("sessions.list")));
  const report = await verifySession(session?.file ?? "");
  expect(report.ok && report.value.firstDifference).toBeNull();
  expect(report.ok && (report.value.compared["generation"] ?? 0)).toBeGreaterThan(generationsSeen - 1);
});

test("the session stands in the list and opens again with its curve and images", async () => {
  const before = snapshotShape.parse(await value(watcher.call("session.snapshot"))).curve.length;
  await at(operator, "new-session").click();
  await at(operator, "start-screen").waitFor();
  const row = at(operator, "session-row").first();
  await row.waitFor();
  await app.shoot(operator, "sessions");
  await row.click();
  await phaseIs(operator, "review");
  await operator.locator(`[data-testid="curve"][data-points="${before}"]`).waitFor();
  const image = operator.locator('[data-testid="gallery-item"] img').first();
  await image.waitFor();
  await expect.poll(() => image.evaluate((element) => element instanceof HTMLImageElement && element.naturalWidth > 0)).toBe(true);
  await app.shoot(operator, "review");
  await at(operator, "close-review").click();
  await at(operator, "start-screen").waitFor();
});

test("no page broke its content security policy or threw", () => {
  // A cut link is the browser's to complain about.
  expect(app.complaints.filter((text) => !/WebSocket connection|ERR_/.test(text))).toEqual([]);
});

const snapshotShape = z.object({ phase: z.string(), curve: z.array(z.object({ generation: z.number(), evolvedMean: z.number() })) });
const imageShape = z.object({ base64: z.string() });

async function value(answer: ReturnType<TestCaller["call"]>): Promise<unknown> {
  const result = await answer;
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** Coarse copies of all images that the engine named on the screen so far. */
async function learnImages(images: Map<number, number[]>): Promise<void> {
  const screenShape = z.object({ imageId: z.number().nullable() });
  const named = watcher.events.filter(({ event }) => event === "screen").map(({ payload }) => screenShape.parse(payload).imageId);
  for (const imageId of new Set(named)) {
    if (imageId === null || images.has(imageId)) continue;
    const picture = await decodePng(Buffer.from(imageShape.parse(await value(watcher.call("image.get", { file: null, imageId }))).base64, "base64"));
    images.set(imageId, coarse(picture, { left: 0, top: 0, size: picture.width }));
  }
}

/** Side of the square around the middle that is not background, px; null where nothing is shown but the fixation spot. */
/** Pixels of a blank screen that are not its background, beside the fixation spot in the middle and the patch in its corner: the first few, as x, y, RGB. */
function strangersIn({ width, height, rgb }: Picture): number[][] {
  const found: number[][] = [];
  for (let y = 0; y < height && found.length < 5; y++) for (let x = 0; x < width; x++) {
    if (Math.hypot(x - width / 2, y - height / 2) < 20 || (x > width - 100 && y > height - 100)) continue;
    const at = (y * width + x) * 3;
    if (rgb[at] !== 128 || rgb[at + 1] !== 128 || rgb[at + 2] !== 128) found.push([x, y, rgb[at] ?? 0, rgb[at + 1] ?? 0, rgb[at + 2] ?? 0]);
  }
  return found;
}

function imageSide(picture: Picture): number | null {
  const grey = (x: number, y: number): boolean => [0, 1, 2].every((c) => Math.abs((picture.rgb[(y * picture.width + x) * 3 + c] ?? 0) - 128) <= 2);
  const middleY = Math.round(picture.height / 2);
  const middleX = Math.round(picture.width / 2);
  // Along several rows and columns, since an image may itself be grey in places.
  let reach = 0;
  for (let d = 20; d < middleY; d++) for (const offset of [-40, -20, 0, 20, 40]) if (!grey(middleX + d, middleY + offset) || !grey(middleX - d, middleY + offset) || !grey(middleX + offset, middleY - d)) reach = d;
  return reach < 30 ? null : 2 * (reach + 1);
}
