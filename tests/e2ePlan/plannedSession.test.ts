// A whole experiment by clicks and keys alone: a plan is put together, saved and loaded; it runs mapping, diverse set (160 images) and evolution; neurons are
// fitted and ablated while the session waits, the images of the ablated models are sent to the queue and validated; then review, verification and export.
// Screenshots go to out/screenshots (EVOKED_SHOTS names another folder).
import { connect } from "node:net";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { openApp } from "../e2e/app.ts";
import type { TestApp } from "../e2e/app.ts";
import type { Locator, Page } from "playwright-core";
import type { Socket } from "node:net";
import type { TestCaller } from "../support/hosts/callerClient.ts";

/** Fast trials and a steady animal; onsets are the display's own, so that a busy machine, where marks come late, shows no image twice. */
const draft = {
  seed: 5,
  rig: { kind: "synthetic", options: { gainSpread: 0, driftAmplitude: 0, eye: { engagement: 1, breaksPerS: 0, blinksPerS: 0 } } },
  display: { kind: "timed" as const },
  response: { onsetFrom: "flip" as const, streamTimeoutMs: 5000 },
  trial: { imagesPerTrial: 20, onMs: 60, offMs: 40, holdMs: 50, interTrialMs: 50, timeoutMs: 100, fixationWindowDeg: 5, graceMs: 300, rewardMs: 60 },
};

let app: TestApp;
let operator: Page;
let watcher: TestCaller;
let deaf: Socket;

beforeAll(async () => {
  process.env["EVOKED_PLANS"] ??= join(process.cwd(), "out", "test-plans", String(process.pid));
  app = await openApp(draft);
  watcher = await app.watch();
  operator = await app.openOperator();
});
afterAll(async () => {
  deaf?.destroy();
  await app.close();
});

const at = (testid: string, page: Page = operator): Locator => page.locator(`[data-testid="${testid}"]`);
const reaches = (phase: string, timeout = 60_000): Promise<void> => operator.locator(`[data-testid="phase"][data-phase="${phase}"]`).waitFor({ timeout });
const step = (n: number, state: string): Locator => operator.locator(`[data-testid="strip-step-${n}"][data-state="${state}"]`);
const shoot = (name: string): Promise<void> => app.shoot(operator, name);

test("the start screen offers one evolution, ready to start", async () => {
  await operator.locator('[data-testid="check"]:not([data-level="off"])').waitFor();
  await expect.poll(() => at("check").getAttribute("data-level")).toMatch(/^(ok|warn|info)$/);
  await expect.poll(() => operator.locator('[data-testid^="plan-step-"]').count()).toBe(1);
  await expect.poll(() => at("plan-step-1").getAttribute("data-protocol")).toBe("evolution");
  await expect.poll(() => at("start-button").isEnabled()).toBe(true);
  await shoot("start");
});

test("a plan is put together with keys: steps are added, moved, copied and removed", async () => {
  const protocols = async (): Promise<readonly (string | null)[]> => Promise.all((await operator.locator('[data-testid^="plan-step-"]').all()).map((l) => l.getAttribute("data-protocol")));
  await operator.keyboard.press("p");
  await at("add-dialog").waitFor();
  await shoot("add-step");
  await operator.keyboard.press("1");
  await at("plan-step-2").waitFor();
  await expect.poll(protocols).toEqual(["evolution", "rfMapping"]);
  await operator.keyboard.press(",");
  await expect.poll(protocols).toEqual(["rfMapping", "evolution"]);
  await operator.keyboard.press("p");
  await at("add-diverseSet").click();
  await expect.poll(protocols).toEqual(["rfMapping", "diverseSet", "evolution"]);
  await operator.keyboard.press("ArrowRight");
  await operator.keyboard.press("Insert");
  await operator.keyboard.press("5");
  await expect.poll(protocols).toEqual(["rfMapping", "diverseSet", "evolution", "validation"]);
  await operator.keyboard.press("c");
  await expect.poll(protocols).toHaveLength(5);
  await operator.keyboard.press("Delete");
  await expect.poll(protocols).toEqual(["rfMapping", "diverseSet", "evolution", "validation"]);
});

test("each step has its form; a value that does not fit is named and nothing starts", async () => {
  await at("plan-step-1").click();
  await at("step-columns").fill("1");
  await operator.getByText("at least 2").waitFor();
  await expect.poll(() => at("start-button").isDisabled()).toBe(true);
  for (const [name, value] of [["columns", "5"], ["rows", "5"], ["imageCount", "2"], ["repeats", "2"]] as const) await at(`step-${name}`).fill(value);
  await shoot("plan");
  await at("plan-step-2").click();
  await expect.poll(() => at("step-imageCount").inputValue()).toBe("160");
  await at("step-repeats").fill("2");
  await at("plan-step-3").click();
  await at("generations").fill("8");
  await at("population").fill("12");
  await at("confirm-repeats").fill("2");
  await at("plan-step-4").click();
  await at("step-repeats").fill("4");
  await at("step-naturalCount").fill("10");
  await at("step-naturalRepeats").fill("2");
  await expect.poll(() => at("start-button").isEnabled()).toBe(true);
  await expect.poll(() => at("plan-total").textContent()).toContain("4 steps");
});

test("the plan is saved under a name, and opened again after the form was cleared", async () => {
  await at("save-plan").click();
  await at("plan-name").fill("whole experiment");
  await operator.keyboard.press("Enter");
  await at("save-dialog").waitFor({ state: "detached" });
  await expect.poll(() => at("start-screen").count()).toBe(1);
  await at("open-plans").click();
  await at("plan-evolution").click();
  await at("plan-step-2").waitFor({ state: "detached" });
  await at("open-plans").click();
  await at("plan-standard").waitFor();
  await shoot("plans");
  await at("plan-whole experiment").click();
  await at("plan-step-4").waitFor();
  await at("plan-step-3").click();
  await expect.poll(() => at("generations").inputValue()).toBe("8");
  await operator.locator("h2").first().click();
});

test("Enter starts it; a viewer watches, and one that never reads its link holds nobody up", async () => {
  await operator.keyboard.press("Enter");
  await reaches("running");
  deaf = await deafViewer(app.served.viewerUrl);
  await step(1, "running").waitFor();
  await expect.poll(() => at("plan-strip").getAttribute("data-steps")).toBe("4");
  await operator.locator('[data-testid="step-view"][data-protocol="rfMapping"]').waitFor({ timeout: 30_000 });
});

test("the mapping gives fields, and its report stays readable", async () => {
  await operator.waitForFunction(() => Number(document.querySelector("[data-testid=step-view]")?.getAttribute("data-settled")) > 60, undefined, { timeout: 90_000 });
  await shoot("console-fields");
  await step(1, "done").waitFor({ timeout: 120_000 });
  await step(2, "running").waitFor();
  await operator.keyboard.press("PageUp");
  await at("step-report").waitFor();
  await expect.poll(async () => (await at("step-report").textContent())?.length).toBeGreaterThan(20);
  await expect.poll(() => at("field-size").textContent()).toMatch(/\d°/);
  await shoot("console-report");
  await operator.keyboard.press("Backspace");
  await operator.locator('[data-testid="step-view"][data-protocol="diverseSet"]').waitFor({ timeout: 30_000 });
}, 240_000);

test("operator's keys act at once: pause, juice also in questions and while typing, notes, another target", async () => {
  await operator.keyboard.press("Space");
  await reaches("paused");
  await operator.keyboard.press("Space");
  await reaches("running");
  const hand = async (): Promise<number> => liveShape.parse(await value(watcher.call("session.snapshot"))).live.reward.manualPulses;
  const before = await hand();
  await operator.keyboard.press("s");
  await at("skip-dialog").waitFor();
  await operator.keyboard.press("r");
  await expect.poll(hand, { timeout: 20_000 }).toBe(before + 1);
  await at("reward-anyway").click();
  await expect.poll(hand, { timeout: 20_000 }).toBe(before + 2);
  await operator.keyboard.press("Escape");
  await operator.keyboard.press("m");
  await operator.keyboard.type("calm, works well");
  await operator.keyboard.press("F8");
  await expect.poll(hand, { timeout: 20_000 }).toBe(before + 3);
  await operator.keyboard.press("Enter");
  await at("log").getByText("calm, works well").first().waitFor();
  await expect.poll(() => at("confirm-dialog").count()).toBe(0);
});

test("closing the window in the middle and opening it again changes nothing", async () => {
  const settled = async (): Promise<number> => planShape.parse(await value(watcher.call("session.snapshot"))).live.plan.steps[1]?.settled ?? 0;
  await operator.close();
  const whenClosed = await settled();
  await expect.poll(settled, { timeout: 30_000 }).toBeGreaterThan(whenClosed + 20);
  operator = await app.openOperator();
  await reaches("running");
  await step(1, "done").waitFor();
  await step(2, "running").waitFor();
  await operator.locator('[data-testid="step-view"][data-protocol="diverseSet"]').waitFor({ timeout: 30_000 });
}, 120_000);

test("the diverse set of 160 images gives tuning, noise ceiling and the suggested target", async () => {
  await operator.locator('[data-testid="tuning-curve"][data-images="160"]').waitFor({ timeout: 180_000 });
  await expect.poll(() => at("diverse-images").textContent()).toBe("160");
  await expect.poll(() => operator.locator('[data-testid="diverse-channels"] tbody tr').count()).toBeGreaterThan(5);
  await operator.waitForFunction(() => Number(document.querySelector("[data-testid=step-view]")?.getAttribute("data-settled")) > 270 || document.querySelector("[data-testid=strip-step-2][data-state=done]") !== null, undefined, { timeout: 120_000 });
  await shoot("console-diverse");
  await step(2, "done").waitFor({ timeout: 180_000 });
}, 400_000);

test("the evolution of the suggested target draws its curve", async () => {
  await operator.locator('[data-testid="curve"][data-points="5"]').waitFor({ timeout: 180_000 });
  await shoot("console-evolution");
  await step(3, "done").waitFor({ timeout: 180_000 });
  await operator.keyboard.press("PageUp");
  await at("step-report").waitFor();
  await operator.keyboard.press("Backspace");
}, 400_000);

test("the validation says that it waits for images; neurons are fitted and ablated meanwhile", async () => {
  await step(4, "running").waitFor();
  await operator.getByText("waits for images").first().waitFor();
  await shoot("console-waiting");
  await operator.keyboard.press("f");
  await at("insilico-screen").waitFor();
  await at("tab-fits").click();
  await at("fit-run").click();
  await at("unit-card").first().waitFor({ timeout: 180_000 });
  await shoot("neuron-models");
  await operator.keyboard.press("F8");
  await at("ablate-unit").click();
  await at("sweep-alphas").fill("0:1:0.25");
  await at("sweep-runs").fill("1");
  await at("sweep-generations").fill("8");
  await at("sweep-population").fill("12");
  await at("sweep-start").click();
  // Control, and four strengths of either sign.
  await expect.poll(() => operator.locator('[data-testid="sweep-cell"] img').count(), { timeout: 300_000 }).toBeGreaterThanOrEqual(9);
  await operator.locator('[data-testid="queue-best"]:enabled').waitFor();
  await shoot("ablation");
}, 500_000);

test("their images are sent to the queue and shown to the neuron", async () => {
  await at("queue-best").click();
  await at("queue-said").filter({ hasText: "queue" }).waitFor({ timeout: 30_000 });
  await at("insilico-close").click();
  await operator.locator('[data-testid="conditions"]').waitFor({ timeout: 60_000 });
  await operator.waitForFunction(() => Number(document.querySelector("[data-testid=step-view]")?.getAttribute("data-settled")) > 25, undefined, { timeout: 120_000 });
  await expect.poll(async () => Number(await at("conditions").getAttribute("data-conditions"))).toBeGreaterThanOrEqual(4);
  await shoot("console-validation");
}, 240_000);

test("the session ends by itself with a report of every step", async () => {
  await reaches("finished", 240_000);
  await operator.keyboard.press("p");
  await at("report-dialog").waitFor();
  for (const n of [1, 2, 3, 4]) await at(`report-${n}`).waitFor();
  await shoot("reports");
  await operator.keyboard.press("Escape");
  // The viewer that never read was no burden to what records. (Responses lost to time are a busy machine's, and are shown again.)
  const { log } = logShape.parse(await value(watcher.call("session.snapshot")));
  expect(log.filter((e) => ["overflow", "queue", "store"].includes(e.code))).toEqual([]);
}, 300_000);

test("a viewer has the same console and no controls", async () => {
  const viewer = await app.context.newPage();
  await viewer.goto(app.served.viewerUrl);
  await at("console", viewer).waitFor();
  await at("plan-strip", viewer).waitFor();
  for (const testid of ["pause-button", "stop-button", "reward-button", "new-session"]) await expect.poll(async () => [testid, await at(testid, viewer).count()]).toEqual([testid, 0]);
  await viewer.keyboard.press("PageUp");
  await at("step-report", viewer).waitFor();
  await app.shoot(viewer, "viewer");
  await viewer.close();
});

test("in review every step's view and report can be read again", async () => {
  await operator.keyboard.press("n");
  await at("start-screen").waitFor();
  await at("session-row").first().click();
  await reaches("review");
  await at("plan-strip").waitFor();
  await operator.locator('[data-testid="strip-step-2"] button').click();
  await operator.locator('[data-testid="step-view"][data-protocol="diverseSet"]').waitFor();
  await at("step-report").waitFor();
  await shoot("review-diverse");
  await operator.locator('[data-testid="strip-step-3"] button').click();
  await operator.locator('[data-testid="curve"][data-points="8"]').waitFor();
});

test("every decision of the session is verified bit for bit, from the review", async () => {
  await operator.keyboard.press("k");
  await operator.locator('[data-testid="verification"][data-state="identical"]').waitFor({ timeout: 240_000 });
  await shoot("review-verified");
  await at("close-review").click();
}, 300_000);

test("the session is exported", async () => {
  await operator.keyboard.press("b");
  await at("sessions-screen").waitFor();
  await at("browser-row").first().click();
  await operator.keyboard.press("x");
  await at("export-dialog").waitFor();
  await at("format-csv").check();
  await shoot("export");
  await at("export-dialog").getByRole("button", { name: /Export/ }).click();
  await operator.locator('[data-testid="job"][data-kind="export"][data-state="done"]').waitFor({ timeout: 240_000 });
  await expect.poll(() => operator.locator('[data-testid="job-result"][data-ok="true"]').count()).toBeGreaterThanOrEqual(2);
  await shoot("sessions");
  const out = join(app.sessionFolder, "exports");
  expect(existsSync(out) && readdirSync(out).length).toBeGreaterThan(0);
}, 300_000);

test("no page broke its content security policy or threw", () => {
  expect(app.complaints.filter((text) => !/WebSocket connection|ERR_/.test(text))).toEqual([]);
});

const liveShape = z.object({ live: z.object({ reward: z.object({ manualPulses: z.number() }) }) });
const planShape = z.object({ live: z.object({ plan: z.object({ steps: z.array(z.object({ settled: z.number() })) }) }) });
const logShape = z.object({ log: z.array(z.object({ code: z.string() })) });

async function value(answer: ReturnType<TestCaller["call"]>): Promise<unknown> {
  const result = await answer;
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** Links as a viewer by hand and then never reads a byte. */
function deafViewer(viewerUrl: string): Promise<Socket> {
  const { host, port, search } = new URL(viewerUrl);
  return new Promise((done, failed) => {
    const socket = connect({ host: "127.0.0.1", port: Number(port) }, () => {
      socket.write(`GET /api${search} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`);
    });
    socket.once("error", failed);
    socket.once("data", (data) => {
      socket.pause();
      if (data.toString("latin1").startsWith("HTTP/1.1 101")) done(socket);
      else failed(new Error(`expected an upgrade, got ${data.toString("latin1").slice(0, 80)}`));
    });
  });
}
