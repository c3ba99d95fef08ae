// What the console costs at 96 channels and 10 live events a second: node tests/support/fakeEngine/consolePerf.ts [seconds] [real | fields | diverse | validation]
// Prints one JSON line: share of a core of the renderer's main thread and of its whole process, and the longest tasks, by the clock and by
// processor time (on a busy machine a task also waits for its turn). "real" measures on the synthetic rig of the real engine; a step's name measures that step of a plan.
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { chromium } from "playwright-core";
import { z } from "zod";
import { serveFakeEngine } from "./serve.ts";
import { sessionConfig } from "../../../src/shared/contract/index.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { serve } from "../../../src/web/serve.ts";

const seconds = Number(process.argv[2] ?? 20);
const real = process.argv[3] === "real";
const step = { fields: 0, diverse: 1, validation: 4 }[process.argv[3] ?? ""];
const host = real ? await serveReal() : await serveFakeEngine({ running: true, at: 12, generations: 40, plan: step === undefined ? null : { step, share: 0.3 } });
const server = await chromium.launchServer({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const browser = await chromium.connect(server.wsEndpoint());
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
await page.addInitScript(() => {
  const longTasks: number[] = [];
  Object.assign(window, { longTasks });
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
});
if (real) await page.addInitScript((draft) => { if (location.protocol === "http:") localStorage.setItem("evoked.draft", draft); }, JSON.stringify(sessionConfig.parse({ display: { kind: "timed" } })));
await page.goto(host.url);
if (real) {
  await page.locator("[data-testid=check]:not([data-level=off])").waitFor();
  await page.getByTestId("start-button").click();
  await page.locator("[data-testid=curve][data-points='2']").waitFor({ timeout: 240_000 });
}
await wait(4000);
const session = await page.context().newCDPSession(page);
await session.send("Performance.enable");

interface Sample { readonly taskS: number; readonly scriptS: number; readonly layoutS: number; readonly styleS: number; readonly processS: number; /** CPU seconds by thread name. */ readonly threadsS: ReadonlyMap<string, number> }

async function sample(): Promise<Sample> {
  const { metrics } = await session.send("Performance.getMetrics");
  const of = (name: string): number => metrics.find((m) => m.name === name)?.value ?? 0;
  return { taskS: of("TaskDuration"), scriptS: of("ScriptDuration"), layoutS: of("LayoutDuration"), styleS: of("RecalcStyleDuration"), ...rendererCpuS() };
}

/** CPU seconds of this browser's renderer processes, and of their threads. */
function rendererCpuS(): Pick<Sample, "processS" | "threadsS"> {
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
  const renderers = processes.filter((p) => p.renderer && ours(p.pid));
  const threadsS = new Map<string, number>();
  for (const { pid } of renderers) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      // Nanoseconds on a processor, where the kernel counts them: ticks of 10 ms miss what is short.
      const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim().replace(/\d+$/, "");
      threadsS.set(name, (threadsS.get(name) ?? 0) + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]) / 1e9);
    }
  }
  return { processS: renderers.reduce((sum, p) => sum + p.ticks, 0) / 100, threadsS };
}

await page.evaluate(() => void ((window as unknown as { longTasks: number[] }).longTasks.length = 0));
const before = await sample();
await wait(seconds * 1000);
const after = await sample();
// Afterwards, since tracing costs something itself.
await browser.startTracing(page, { categories: ["disabled-by-default-devtools.timeline", "devtools.timeline", "__metadata"] });
await wait(seconds * 500);
const trace = z.object({ traceEvents: z.array(z.object({ name: z.string(), ph: z.string(), pid: z.number(), tid: z.number(), dur: z.number().optional(), tdur: z.number().optional(), args: z.looseObject({ name: z.unknown() }).partial().optional() })) }).parse(JSON.parse((await browser.stopTracing()).toString()));
const mainThreads = new Set(trace.traceEvents.filter((e) => e.name === "thread_name" && e.args?.name === "CrRendererMain").map((e) => `${e.pid}/${e.tid}`));
const tasksMs = trace.traceEvents.filter((e) => e.name === "RunTask" && e.ph === "X" && mainThreads.has(`${e.pid}/${e.tid}`)).map((e) => ({ clock: (e.dur ?? 0) / 1000, processor: (e.tdur ?? 0) / 1000 }));
const longTasks = await page.evaluate(() => (window as unknown as { longTasks: number[] }).longTasks);
const threadPercent = Object.fromEntries([...after.threadsS].map(([name, s]): [string, number] => [name, Math.round(((s - (before.threadsS.get(name) ?? 0)) / seconds) * 1000) / 10]).filter(([, percent]) => percent >= 0.1).sort((a, b) => b[1] - a[1]));
const share = (key: Exclude<keyof Sample, "threadsS">): number => Math.round(((after[key] - before[key]) / seconds) * 1000) / 10;
console.log(JSON.stringify({ seconds, mainThreadPercent: share("taskS"), scriptPercent: share("scriptS"), layoutPercent: share("layoutS"), stylePercent: share("styleS"), rendererProcessPercent: share("processS"), threadPercent, longTasksOver50Ms: longTasks.length, longestTaskMs: Math.round(Math.max(0, ...longTasks)), longestTasksOfProcessorMs: tasksMs.map((t) => Math.round(t.processor)).toSorted((a, b) => b - a).slice(0, 5), tasksOver50MsOfProcessor: tasksMs.filter((t) => t.processor > 50).length, load: loadavg().map((l) => Math.round(l * 10) / 10) }));
await browser.close();
await server.close();
await host.close();

async function serveReal(): Promise<{ readonly url: string; close(): Promise<unknown> }> {
  const served = unwrap(await serve({ host: "127.0.0.1", port: 0, allowRemote: false, sessions: mkdtempSync(join(tmpdir(), "evoked-perf-")) }, () => undefined));
  return { url: served.operatorUrl, close: () => served.close() };
}
