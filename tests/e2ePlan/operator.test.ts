// What an operator does and meets in a session, by keys and clicks: notes, pause, a break ended early, target, skip and repeat; the live views and reports of
// localisation, images and a lab's own protocol; alarms with what to do, each provoked by what causes it: faults of the synthetic rig, a session file that another
// program holds, a subject's screen that is starved of time; an engine that stands still.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { openApp } from "../e2e/app.ts";
import type { TestApp } from "../e2e/app.ts";
import type { Locator, Page } from "playwright-core";

const references = join(process.cwd(), "models", "references");

/** Fast trials, a steady animal, breaks, and one fault after the other once the session runs. */
const draft = {
  seed: 11,
  rig: {
    kind: "synthetic",
    options: {
      gainSpread: 0, driftAmplitude: 0, eye: { engagement: 1, breaksPerS: 0, blinksPerS: 0 },
      faults: [
        { kind: "rewardDead", atMs: 1000, durationMs: 20_000 }, { kind: "noMarks", atMs: 32_000, durationMs: 15_000 }, { kind: "spikesLate", atMs: 55_000, durationMs: 3000, byMs: 500 }, { kind: "eyeNotSeen", atMs: 70_000, durationMs: 12_000 },
        { kind: "noSpikes", atMs: 92_000, durationMs: 15_000 }, { kind: "eyeSilent", atMs: 120_000, durationMs: 12_000 },
      ],
    },
  },
  display: { kind: "timed" as const },
  response: { streamTimeoutMs: 5000 },
  trial: { imagesPerTrial: 4, onMs: 100, offMs: 60, holdMs: 50, interTrialMs: 150, timeoutMs: 100, fixationWindowDeg: 5, graceMs: 300, rewardMs: 60, breakAfterTrials: 120, breakMs: 1_200_000 },
  plan: [
    { protocol: "images" as const, title: "", folder: references, imageCount: 6, repeats: 200 },
    { protocol: "evolution" as const, title: "", generations: 2, threads: [{ populationSize: 6, target: 40 }], referencesPerGeneration: 2, repeats: 1 },
    { protocol: "localisation" as const, title: "", discCount: 4, discRepeats: 1, intactRepeats: 2, maskedRepeats: 2 },
    { protocol: "lab" as const, title: "", name: "sizeTuning", folder: references, settings: { steps: 3, repeats: 2 } },
  ],
};

let app: TestApp;
let page: Page;

beforeAll(async () => {
  process.env["EVOKED_PROTOCOLS"] = join(process.cwd(), "tests", "fixtures", "protocols");
  // Any disk is too small for this: the alarm stands all the time.
  process.env["EVOKED_DISK_LOW_GB"] = "1000000";
  app = await openApp(draft);
  page = await app.openOperator();
}, 240_000);
afterAll(() => app.close(), 60_000);

const at = (testid: string): Locator => page.locator(`[data-testid="${testid}"]`);
const step = (n: number, state: string): Locator => page.locator(`[data-testid="strip-step-${n}"][data-state="${state}"]`);
const logged = (text: string): Promise<void> => at("log").getByText(text).first().waitFor({ timeout: 60_000 });

/** The alarm is on the line under the header or behind it, and says what to do; it ends, at the latest once its cause is mended. */
async function alarm(code: string, title: string, { mend, ends = true }: { readonly mend?: () => void; readonly ends?: boolean } = {}): Promise<void> {
  await page.keyboard.press("a");
  const line = page.locator(`[data-testid="alarm"][data-code="${code}"]`);
  await line.waitFor({ timeout: 90_000 });
  await line.filter({ hasText: title }).waitFor();
  await line.locator("ol li").first().waitFor();
  await app.shoot(page, `alarm-${code}`);
  mend?.();
  if (ends) await line.waitFor({ state: "detached", timeout: 90_000 });
  await page.keyboard.press("Escape");
}

test("Enter starts the plan; the images' live view fills", async () => {
  await page.locator('[data-testid="check"]:not([data-level="off"])').waitFor();
  await page.keyboard.press("Enter");
  await page.locator('[data-testid="phase"][data-phase="running"]').waitFor({ timeout: 90_000 });
  await page.locator('[data-testid="step-view"][data-protocol="images"]').waitFor({ timeout: 60_000 });
});

test("each alarm of the rig comes with what to do, and ends by itself", async () => {
  await alarm("reward", "Reward line");
  await page.keyboard.press("a");
  await page.locator('[data-testid="alarm"][data-code="disk"]').filter({ hasText: "Disk nearly full" }).waitFor();
  await page.keyboard.press("Escape");
  await alarm("syncLost", "Sync lost");
  await alarm("lateSpikes", "Late spikes");
  await at("panel-rig").getByText(/spikes came late/).waitFor();
  await alarm("eyeLost", "Eye lost");
  await alarm("noSpikes", "No spikes");
  await alarm("eyeLost", "Eye lost");
}, 400_000);

test("a session file that another program holds is told, nothing is lost, and recording goes on once it is let go", async () => {
  const [name] = readdirSync(app.sessionFolder).filter((file) => file.endsWith(".evoked"));
  if (name === undefined) throw new Error("expected the session's file in its folder, got none");
  const other = new Database(join(app.sessionFolder, name));
  try {
    const written = (): number => z.object({ n: z.number() }).parse(other.prepare("SELECT count(*) AS n FROM events").get()).n;
    other.exec("BEGIN IMMEDIATE");
    const held = written();
    await alarm("queue", "Writer behind", { mend: () => {
      expect(written()).toBe(held);
      other.exec("ROLLBACK");
    } });
    await logged("The writer has caught up");
    expect(written()).toBeGreaterThan(held);
    // The alarm itself was among what waited.
    expect(z.object({ n: z.number() }).parse(other.prepare("SELECT count(*) AS n FROM events WHERE code = 'queue'").get()).n).toBe(1);
  } finally {
    other.close();
  }
}, 200_000);

test("a break says how long it lasts, and is ended by a key", async () => {
  await at("end-break").waitFor({ timeout: 90_000 });
  await app.shoot(page, "break");
  await page.keyboard.press("o");
  await logged("The operator ended the break");
  await at("end-break").waitFor({ state: "detached" });
});

test("with an engine that stands still, every panel says how old it is", async () => {
  const engine = engineProcess();
  process.kill(engine, "SIGSTOP");
  try {
    await at("silence").waitFor({ timeout: 30_000 });
    const panels = () => page.locator("main .panel").evaluateAll((all) => all.map((p) => ({ panel: p.getAttribute("data-testid"), age: p.querySelector(".age")?.textContent ?? null, late: p.querySelector(".age.late") !== null })));
    await expect.poll(async () => (await panels()).filter((p) => p.age === null || !p.late)).toEqual([]);
    expect((await panels()).length).toBeGreaterThanOrEqual(7);
    await app.shoot(page, "engine-stalled");
  } finally {
    process.kill(engine, "SIGCONT");
  }
  await at("silence").waitFor({ state: "detached", timeout: 30_000 });
});

test("a note, a pause, another target, and the rest of a step skipped", async () => {
  await page.keyboard.press("m");
  await at("note-text").fill("moved the lamp");
  await page.keyboard.press("Enter");
  await logged("moved the lamp");
  await page.keyboard.press("Space");
  await page.locator('[data-testid="phase"][data-phase="paused"]').waitFor();
  await app.shoot(page, "paused");
  await page.keyboard.press("Space");
  await page.locator('[data-testid="phase"][data-phase="running"]').waitFor();
  await app.shoot(page, "images-step");
  await page.keyboard.press("s");
  await at("skip-dialog").waitFor();
  await app.shoot(page, "skip");
  await at("skip-step").click();
  await step(1, "skipped").waitFor({ timeout: 60_000 });
  await step(2, "running").waitFor({ timeout: 60_000 });
  await page.keyboard.press("t");
  await page.keyboard.press("ArrowRight");
  await app.shoot(page, "target");
  await page.keyboard.press("Enter");
  await logged("The operator chose");
});

test("localisation and the lab's own protocol show what they have, and report; a step is repeated", async () => {
  // A break may fall anywhere.
  const onwards = setInterval(() => void at("end-break").count().then((n) => (n > 0 ? page.keyboard.press("o") : undefined)).catch(() => undefined), 3000);
  try {
    await page.locator('[data-testid="step-view"][data-protocol="localisation"]').waitFor({ timeout: 240_000 });
    await page.keyboard.press("b");
    await at("confirm-dialog").or(page.locator("dialog")).first().waitFor();
    await app.shoot(page, "repeat");
    await page.keyboard.press("Escape");
    await step(3, "done").waitFor({ timeout: 240_000 });
    await at("strip-step-3").locator("button").click();
    await at("step-report").waitFor();
    await app.shoot(page, "localisation");
    await page.keyboard.press("Backspace");
    await page.locator('[data-testid="step-view"][data-protocol="lab"]').waitFor({ timeout: 120_000 });
    await app.shoot(page, "lab-step");
  } finally {
    clearInterval(onwards);
  }
}, 600_000);

test("a subject's screen that is starved of time: frames are dropped, and the console says so and what to do", async () => {
  await app.close();
  // Every frame that the window draws late makes an image late; nothing of the animal's is in the way.
  app = await openApp({
    ...draft, rig: { kind: "synthetic", options: { gainSpread: 0, driftAmplitude: 0, eye: { engagement: 1, breaksPerS: 0, blinksPerS: 0 } } }, display: { kind: "window" }, response: { onsetFrom: "flip", streamTimeoutMs: 5000 },
    trial: { ...draft.trial, imagesPerTrial: 10, breakAfterTrials: 0 }, plan: [{ protocol: "images", title: "", folder: references, imageCount: 6, repeats: 200 }],
  });
  page = await app.openOperator();
  await page.locator('[data-testid="check"]:not([data-level="off"])').waitFor();
  const opened = app.context.waitForEvent("page");
  await at("start-button").click();
  const stimulus = await opened;
  await page.locator('[data-testid="phase"][data-phase="running"]').waitFor({ timeout: 90_000 });
  await page.locator('[data-testid="step-view"][data-protocol="images"]').waitFor({ timeout: 60_000 });
  const devtools = await app.context.newCDPSession(stimulus);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 12 });
  // That it ends is held by tests/unit/engine/watch: a busy machine drops frames without anybody's help.
  await alarm("framesDropped", "Frames dropped", { ends: false });
  await at("panel-timing").locator(".is-missed").waitFor();
  expect(Number((await at("timing-missed").textContent())?.replaceAll(/\D/g, ""))).toBeGreaterThan(0);
}, 300_000);

/** The engine runs in a child of this process, the models in a child of it. */
function engineProcess(): number {
  const children = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const parent = Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1]);
      return parent === process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(join("engine", "process")) ? [Number(pid)] : [];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
  const [engine] = children;
  if (engine === undefined) throw new Error("expected the engine as a child of this process, got none");
  return engine;
}
