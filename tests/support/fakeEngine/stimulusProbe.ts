// Drives the stimulus window in a real browser as an engine would, and prints what it reported: node tests/support/fakeEngine/stimulusProbe.ts [trials] [headed]
// A trial is five images of 6 frames on, 9 off at 60 Hz. Knows nothing about engines.
import { setTimeout as wait } from "node:timers/promises";
import { chromium } from "playwright-core";
import { paint, sidePx } from "./pictures.ts";
import { serveFakeEngine } from "./serve.ts";
import type { StimulusReport } from "../../../src/shared/contract/index.ts";

const trials = Number(process.argv[2] ?? 8);
const [onFrames, offFrames, images] = [6, 9, 5];
const host = await serveFakeEngine();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", headless: process.argv[3] !== "headed", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
const problems: string[] = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => { if (message.type() !== "log") problems.push(message.text()); });
await page.goto(`${host.url}stimulus`);

const { engine } = host;
const reported = <K extends StimulusReport["kind"]>(kind: K): Extract<StimulusReport, { kind: K }>[] => engine.reports.filter((r): r is Extract<StimulusReport, { kind: K }> => r.kind === kind);
async function until(what: string, ready: () => boolean, limitMs = 15_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!ready()) {
    if (Date.now() > end) throw new Error(`expected ${what} within ${limitMs} ms; reports: ${JSON.stringify(engine.reports.slice(-5))}; page: ${problems.join(" ")}`);
    await wait(5);
  }
}

await until("an attached window", () => engine.attached() !== null);
engine.command({ kind: "place", centreXPx: 640, centreYPx: 360, sizePx: 300, fixationDiameterPx: 14, backgroundGrey: 128, photodiodePx: 60, photodiodeCode: "onset", lut: null });
for (let id = 0; id < images; id++) {
  engine.prepare(id, { widthPx: sidePx, heightPx: sidePx, rgbaBase64: Buffer.from(paint(id, 1)).toString("base64") });
}
await until("five prepared images", () => reported("prepared").length === images);
engine.command({ kind: "fixation", visible: true });
engine.command({ kind: "run", trialId: 500, flashes: [{ presentationId: 1, imageId: 77, onFrames, offFrames }] });
await until("a missing image", () => reported("missing").length === 1);

// Long enough on for a screenshot: the pixels, not only the reports.
engine.command({ kind: "run", trialId: 501, flashes: [{ presentationId: 2, imageId: 1, onFrames: 120, offFrames: 1 }] });
await until("the long image", () => reported("onset").length === 1);
const lit = await page.screenshot();
engine.command({ kind: "abort", trialId: 501 });
await until("the abort", () => reported("end").length === 1);
await wait(100);
const dark = await page.screenshot();
const pixels = await page.evaluate(async (shots) => {
  const read = async (base64: string): Promise<number[][]> => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d");
    context?.drawImage(bitmap, 0, 0);
    return [[1270, 710], [640, 300], [640, 360], [50, 50]].map(([x, y]) => [...(context?.getImageData(x ?? 0, y ?? 0, 1, 1).data.slice(0, 3) ?? [])]);
  };
  return { lit: await read(shots[0] ?? ""), dark: await read(shots[1] ?? "") };
}, [lit.toString("base64"), dark.toString("base64")]);

const before = reported("end").length;
for (let trial = 0; trial < trials; trial++) {
  engine.command({ kind: "run", trialId: trial, flashes: Array.from({ length: images }, (_, i) => ({ presentationId: 1000 + trial * images + i, imageId: i, onFrames, offFrames })) });
  await until(`the end of trial ${trial}`, () => reported("end").length === before + trial + 1);
}
const offsets = reported("offset").filter((r) => r.presentationId >= 1000);
const onsets = reported("onset").filter((r) => r.presentationId >= 1000);
const deviationsMs = onsets.map((r) => (r.flipHostNs - r.plannedHostNs) / 1e6);
const hostNowNs = Number(process.hrtime.bigint());
console.log(JSON.stringify({
  attached: engine.attached(), trials, images: offsets.length, wrongDuration: offsets.filter((r) => r.framesShown !== onFrames).length, withLateFrames: offsets.filter((r) => r.lateFrames > 0).length,
  onsetDeviationMsMax: Math.max(...deviationsMs.map(Math.abs)), lastOnsetAgeMs: (hostNowNs - (onsets.at(-1)?.flipHostNs ?? 0)) / 1e6, pixels, alive: reported("alive").at(-1), problems,
}));
await browser.close();
await host.close();
