// Screenshots of every screen on the fake engine, for looking at: node tests/support/fakeEngine/shots.ts FOLDER [name part]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { serveFakeEngine } from "./serve.ts";
import type { FakeOptions } from "./fakeEngine.ts";

interface Shot {
  readonly name: string;
  readonly engine: Partial<FakeOptions>;
  readonly act?: (page: Page, cut: () => void) => Promise<void>;
}

const running: Partial<FakeOptions> = { running: true, at: 12, generations: 40 };

async function endIt(page: Page): Promise<void> {
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(800);
}

const shots: readonly Shot[] = [
  { name: "start", engine: {} },
  { name: "start-red", engine: {}, act: async (p) => p.keyboard.press("d") },
  { name: "start-three", engine: {}, act: async (p) => { await p.getByTestId("add-thread").click(); await p.getByTestId("add-thread").click(); await p.getByTestId("optimizer-2").selectOption("xdream-ga"); await p.getByTestId("target-3").fill("17"); await p.waitForTimeout(600); } },
  { name: "start-fault", engine: { check: "fault", sessions: 0 } },
  { name: "start-open", engine: {}, act: async (p) => { await p.evaluate(() => { for (const d of document.querySelectorAll("details")) d.open = true; }); } },
  { name: "console", engine: running },
  { name: "console-first", engine: { running: true, at: 0 } },
  { name: "console-late", engine: { running: true, at: 29, generations: 30, threads: 2 } },
  { name: "console-threads", engine: { ...running, threads: 3 }, act: async (p) => { await p.keyboard.press("e"); await p.waitForTimeout(700); } },
  { name: "console-threads-red", engine: { ...running, threads: 3 }, act: async (p) => { await p.keyboard.press("d"); await p.waitForTimeout(700); } },
  { name: "console-which", engine: { ...running, threads: 3 }, act: async (p) => { await p.keyboard.press("t"); await p.keyboard.press("ArrowLeft"); await p.keyboard.press("Enter"); await p.waitForTimeout(300); } },
  { name: "start-plan", engine: {}, act: async (p) => { await p.getByTestId("open-plans").click(); await p.getByTestId("plan-standard").click(); await p.waitForTimeout(500); } },
  { name: "start-plan-validation", engine: {}, act: async (p) => { await p.getByTestId("open-plans").click(); await p.getByTestId("plan-standard").click(); await p.getByTestId("plan-step-5").click(); await p.getByTestId("step-source").selectOption("fit"); await p.getByTestId("step-repeats").fill("0"); await p.waitForTimeout(500); } },
  { name: "start-plan-evolution", engine: {}, act: async (p) => { await p.getByTestId("open-plans").click(); await p.getByTestId("plan-standard").click(); await p.getByTestId("plan-step-3").click(); await p.waitForTimeout(500); } },
  { name: "start-add", engine: {}, act: async (p) => { await p.keyboard.press("p"); await p.waitForTimeout(400); } },
  { name: "start-plans", engine: {}, act: async (p) => { await p.getByTestId("open-plans").click(); await p.waitForTimeout(400); } },
  { name: "plan-fields", engine: { ...running, plan: { step: 0, share: 0.7 } } },
  { name: "plan-fields-early", engine: { ...running, plan: { step: 0, share: 0.15 } } },
  { name: "plan-diverse", engine: { ...running, plan: { step: 1, share: 0.75 } } },
  { name: "plan-evolution", engine: { ...running, plan: { step: 2, share: 0.4 } } },
  { name: "plan-localisation", engine: { ...running, at: 30, generations: 30, plan: { step: 3, share: 0.95 } } },
  { name: "plan-validation", engine: { ...running, at: 30, generations: 30, plan: { step: 4, share: 0.7 } } },
  { name: "plan-report", engine: { ...running, at: 30, generations: 30, plan: { step: 4, share: 0.7 } }, act: async (p) => { await p.keyboard.press("PageUp"); await p.keyboard.press("PageUp"); await p.keyboard.press("PageUp"); await p.waitForTimeout(600); } },
  { name: "plan-reports", engine: { ...running, at: 30, generations: 30, plan: { step: 4, share: 0.7 } }, act: async (p) => { await p.keyboard.press("p"); await p.waitForTimeout(600); } },
  { name: "plan-skip", engine: { ...running, plan: { step: 1, share: 0.75 } }, act: async (p) => { await p.keyboard.press("s"); await p.waitForTimeout(300); } },
  { name: "plan-red", engine: { ...running, plan: { step: 0, share: 0.7 } }, act: async (p) => { await p.keyboard.press("d"); await p.waitForTimeout(600); } },
  { name: "console-confirming", engine: { running: true, at: 30, generations: 30 } },
  { name: "result", engine: { ...running, at: 30, generations: 30, threads: 3 }, act: endIt },
  { name: "result-red", engine: { ...running, at: 30, generations: 30 }, act: async (p) => { await p.keyboard.press("d"); await endIt(p); } },
  { name: "result-full", engine: { ...running, at: 30, generations: 30, threads: 3 }, act: async (p) => { await endIt(p); await p.getByTestId("whole-result").click(); await p.waitForTimeout(300); } },
  { name: "console-red", engine: running, act: async (p) => p.keyboard.press("d") },
  { name: "console-alarms", engine: { ...running, alarms: true } },
  { name: "console-target", engine: running, act: async (p) => { await p.keyboard.press("t"); await p.keyboard.press("ArrowLeft"); await p.keyboard.press("ArrowUp"); await p.waitForTimeout(600); } },
  { name: "console-stop", engine: running, act: async (p) => p.keyboard.press("Escape") },
  { name: "console-keys", engine: running, act: async (p) => p.keyboard.press("?") },
  { name: "console-generation", engine: running, act: async (p) => { await p.keyboard.press("Enter"); await p.waitForTimeout(900); } },
  { name: "console-alarm-list", engine: { ...running, alarms: true }, act: async (p) => p.keyboard.press("a") },
  { name: "console-finished", engine: running, act: async (p) => { await p.keyboard.press("Escape"); await p.keyboard.press("Enter"); await p.waitForTimeout(400); } },
  { name: "console-watcher", engine: { ...running, mayOperate: false } },
  { name: "console-lost", engine: running, act: async (p, cut) => { await p.context().setOffline(true); cut(); await p.waitForTimeout(2600); } },
  { name: "review", engine: {}, act: async (p) => { await p.getByTestId("session-row").nth(1).click(); await p.waitForTimeout(1200); for (let i = 0; i < 6; i++) await p.keyboard.press("ArrowLeft"); await p.waitForTimeout(600); } },
];

const folder = process.argv[2] ?? "shots";
const only = process.argv[3] ?? "";
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
for (const shot of shots.filter((s) => s.name.includes(only))) {
  for (const [width, height] of [[1920, 1080], [1366, 768]] as const) {
    const host = await serveFakeEngine(shot.engine);
    const page = await browser.newPage({ viewport: { width, height } });
    page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") console.log(shot.name, m.text()); });
    page.on("pageerror", (e) => console.log(shot.name, e));
    await page.goto(host.url);
    await page.waitForTimeout(shot.engine.running === true ? 2600 : 1200);
    if (shot.name === "console" || shot.name === "console-red") await page.waitForFunction(() => {
      const canvas = document.querySelector<HTMLCanvasElement>("[data-testid=screen-mirror]");
      const pixel = canvas?.getContext("2d")?.getImageData(canvas.width - 4, canvas.height - 4, 1, 1).data[0];
      return pixel === 255;
    }, undefined, { polling: 20 });
    await shot.act?.(page, () => void host.close());
    await page.screenshot({ path: join(folder, `${shot.name}-${width}.png`) });
    const scroll = await page.evaluate(() => [document.documentElement.scrollWidth - window.innerWidth, document.documentElement.scrollHeight - window.innerHeight]);
    if (scroll.some((s) => s > 0)) console.log(shot.name, width, "page overflows by", scroll);
    await page.close();
    await host.close();
  }
}
await browser.close();
