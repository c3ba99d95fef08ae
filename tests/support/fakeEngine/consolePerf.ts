// What the console costs at 96 channels and 10 live events a second: node tests/support/fakeEngine/consolePerf.ts [seconds]
// Prints one JSON line: share of a core of the renderer's main thread and of its whole process, and the longest tasks.
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { chromium } from "playwright-core";
import { serveFakeEngine } from "./serve.ts";

const seconds = Number(process.argv[2] ?? 20);
const host = await serveFakeEngine({ running: true, at: 12, generations: 40 });
const server = await chromium.launchServer({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const browser = await chromium.connect(server.wsEndpoint());
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
await page.addInitScript(() => {
  const longTasks: number[] = [];
  Object.assign(window, { longTasks });
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
});
await page.goto(host.url);
await wait(4000);
const session = await page.context().newCDPSession(page);
await session.send("Performance.enable");

interface Sample { readonly taskS: number; readonly scriptS: number; readonly layoutS: number; readonly styleS: number; readonly processS: number }

async function sample(): Promise<Sample> {
  const { metrics } = await session.send("Performance.getMetrics");
  const of = (name: string): number => metrics.find((m) => m.name === name)?.value ?? 0;
  return { taskS: of("TaskDuration"), scriptS: of("ScriptDuration"), layoutS: of("LayoutDuration"), styleS: of("RecalcStyleDuration"), processS: rendererCpuS() };
}

/** CPU seconds of this browser's renderer processes. */
function rendererCpuS(): number {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return [{ pid: Number(pid), parent: Number(stat[1]), ticks: Number(stat[11]) + Number(stat[12]), renderer: readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=renderer") }];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
  const ours = (pid: number): boolean => pid === server.process().pid || processes.some((p) => p.pid === pid && p.parent > 1 && ours(p.parent));
  return processes.filter((p) => p.renderer && ours(p.pid)).reduce((sum, p) => sum + p.ticks, 0) / 100;
}

await page.evaluate(() => void ((window as unknown as { longTasks: number[] }).longTasks.length = 0));
const before = await sample();
await wait(seconds * 1000);
const after = await sample();
const longTasks = await page.evaluate(() => (window as unknown as { longTasks: number[] }).longTasks);
const share = (key: keyof Sample): number => Math.round(((after[key] - before[key]) / seconds) * 1000) / 10;
console.log(JSON.stringify({ seconds, mainThreadPercent: share("taskS"), scriptPercent: share("scriptS"), layoutPercent: share("layoutS"), stylePercent: share("styleS"), rendererProcessPercent: share("processS"), longTasksOver50Ms: longTasks.length, longestTaskMs: Math.round(Math.max(0, ...longTasks)) }));
await browser.close();
await server.close();
await host.close();
