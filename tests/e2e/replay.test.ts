// A scientist's afternoon: recorded sessions found, replayed, verified, scored otherwise and exported, in a real browser.
import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runHeadless } from "../../src/engine/headless.ts";
import { startModels } from "../../src/models/client.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { openApp } from "./app.ts";
import type { SessionConfigInput } from "../../src/shared/contract/index.ts";
import type { Page } from "playwright-core";
import type { TestApp } from "./app.ts";

const generations = 6;
const recorded: readonly SessionConfigInput[] = [
  { seed: 3, subject: { id: "otto" }, evolution: { generations, referencesPerGeneration: 4, tuningRepeats: 0, threads: [{ target: 16, populationSize: 20 }] }, trial: { imagesPerTrial: 10 } },
  { seed: 4, subject: { id: "anna" }, evolution: { generations: 2, referencesPerGeneration: 4, tuningRepeats: 0, threads: [{ target: 40, populationSize: 12 }] } },
];

let app: TestApp;
let page: Page;

beforeAll(async () => {
  app = await openApp({});
  const models = unwrap(await startModels({ modelsDirs: [resolve(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu" }));
  for (const config of recorded) unwrap(await runHeadless({ models, fast: true, sessionFolder: app.sessionFolder, config: sessionConfig.parse({ ...config, display: { kind: "timed" } }) }));
  await models.close();
  page = await app.openOperator();
}, 60_000);
afterAll(async () => {
  await app.close();
});
/** A test broke off somewhere: the next one begins with a window of its own. */
let astray = false;
afterEach(({ task }) => {
  if (task.result?.state === "fail") astray = true;
});

const at = (testid: string) => page.locator(`[data-testid="${testid}"]`);
const transport = (attributes: string) => page.locator(`[data-testid="transport"]${attributes}`);
const points = (): Promise<number> => at("curve").getAttribute("data-points").then(Number);
/** Nothing is sought, and the panels show what was replayed. */
const stands = (): Promise<void> => transport('[data-replaying="true"][data-seeking="false"]').waitFor({ timeout: 30_000 });
const positionMs = (): Promise<number> => at("transport").getAttribute("data-position").then(Number);

/** The sessions screen with both sessions, none marked and no dialog open, wherever the test before ended. */
async function goToSessions(): Promise<void> {
  if (astray || !(await at("sessions-screen").isVisible()) || await page.locator("dialog[open]").count() > 0) {
    await page.goto(app.served.operatorUrl);
    await page.locator('[data-testid="session-row"]').nth(1).waitFor();
    await page.keyboard.press("b");
    await at("sessions-screen").waitFor();
    astray = false;
  }
  await at("browser-row").nth(1).waitFor();
  await page.getByLabel("Mark all").uncheck();
}

const rowOf = (subject: string) => at("browser-row").filter({ hasText: subject });

/** Otto's session in review, no dialog open. */
async function goToReview(): Promise<void> {
  if (!astray && await at("transport").isVisible() && await page.locator("dialog[open]").count() === 0) return;
  await goToSessions();
  await rowOf("otto").click();
  await page.keyboard.press("Enter");
  await at("transport").waitFor();
  await page.locator(`[data-testid="curve"][data-points="${generations}"]`).waitFor();
  // Now it knows its timeline and can be replayed.
  await page.locator(".scrubber .mark").nth(generations - 1).waitFor();
}

describe("the sessions screen", () => {
  test("finds a session by its subject and by its target", async () => {
    await goToSessions();
    expect(await at("browser-row").count()).toBe(2);
    await page.keyboard.press("/");
    await page.keyboard.type("anna");
    await rowOf("otto").waitFor({ state: "detached" });
    expect(await at("browser-row").allTextContents()).toEqual([expect.stringContaining("anna")]);
    await page.keyboard.press("Escape");
    await at("browser-row").nth(1).waitFor();
    for (const [first, second] of [["anna", "otto"], ["otto", "anna"]] as const) {
      await at("sort-subject").click();
      await expect.poll(() => at("browser-row").allTextContents()).toEqual([expect.stringContaining(first), expect.stringContaining(second)]);
    }
  });

  test("verifies several sessions in one go, and each is identical", async () => {
    await goToSessions();
    await page.keyboard.press("a");
    await at("bulk").getByText("2 marked").waitFor();
    await page.keyboard.press("k");
    await page.locator('[data-testid="job"][data-kind="verify"][data-state="done"]').waitFor({ timeout: 30_000 });
    const results = page.locator('[data-testid="job"][data-kind="verify"] [data-testid="job-result"][data-ok="true"]').filter({ hasText: /identical, [\d,]+ records/ });
    for (const subject of ["otto", "anna"]) await results.filter({ hasText: subject }).first().waitFor();
  });

  test("exports to CSV in the background and names the folder", async () => {
    const outDir = join(app.sessionFolder, "exports");
    await goToSessions();
    await rowOf("otto").click();
    await page.keyboard.press("x");
    await at("format-nwb").uncheck();
    await at("format-csv").check();
    await expect.poll(() => at("export-folder").inputValue()).toBe(outDir);
    await app.shoot(page, "sessions-export");
    await at("export-go").click();
    await page.locator('[data-testid="job"][data-kind="export"][data-state="done"]').waitFor({ timeout: 30_000 });
    const folder = readdirSync(outDir).find((name) => name.endsWith("-csv")) ?? "";
    expect(readFileSync(join(outDir, folder, "generations.csv"), "utf8").trim().split("\n")).toHaveLength(generations + 1);
    await page.locator(".preview-strip .session-image").nth(generations - 1).waitFor();
    await app.shoot(page, "sessions-browser");
  });

  test("keeps a note that is written afterwards beside the file", async () => {
    await goToSessions();
    await page.keyboard.press("m");
    await at("later-note-text").fill("Electrode 17 moved the day after");
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="notes-list"] .later').waitFor();
    expect(readdirSync(app.sessionFolder).filter((name) => name.endsWith(".notes.json"))).toHaveLength(1);
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
  });
});

describe("a recorded session", () => {
  test("opens at its recorded end, and nobody can take it for live", async () => {
    await goToSessions();
    await rowOf("otto").click();
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="phase"][data-phase="review"]').waitFor();
    await expect.poll(() => at("phase").textContent()).toMatch(/Recorded \d+ \w+ \d{4}/);
    await page.locator(`[data-testid="curve"][data-points="${generations}"]`).waitFor();
    await transport('[data-at-end="true"][data-replaying="false"]').waitFor();
    await page.locator(".scrubber .mark").nth(generations - 1).waitFor();
    await page.locator(".gallery .session-image").nth(generations - 1).waitFor();
    await app.shoot(page, "replay-recorded");
  });

  test("is replayed by Space from the beginning, at full speed to the same end", async () => {
    await goToReview();
    await page.keyboard.press("Space");
    await transport('[data-replaying="true"][data-playing="true"]').waitFor();
    await page.waitForFunction(() => document.querySelector('[data-testid="gaze"]') !== null);
    await at("speed-0").click();
    await transport('[data-playing="false"][data-at-end="true"]').waitFor({ timeout: 30_000 });
    await page.locator(`[data-testid="curve"][data-points="${generations}"]`).waitFor();
    await at("identical").filter({ hasText: `${generations} generations` }).waitFor();
    await page.locator('[data-testid="last-image"]').nth(4).waitFor();
    await app.shoot(page, "replay-end");
  });

  test("goes to the end of a generation by arrow keys, and by one presentation with full stop and comma", async () => {
    await goToReview();
    await page.keyboard.press("Home");
    await page.waitForFunction(() => document.querySelector('[data-testid="transport"]')?.getAttribute("data-position") === "0");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await stands();
    await page.locator('[data-testid="curve"][data-points="3"]').waitFor();
    await expect.poll(() => at("review-generation").textContent()).toBe("generation 2");
    const there = await positionMs();
    await page.keyboard.press(".");
    await page.waitForFunction((ms) => Number(document.querySelector('[data-testid="transport"]')?.getAttribute("data-position")) > ms, there);
    await page.keyboard.press(",");
    await page.waitForFunction((ms) => Number(document.querySelector('[data-testid="transport"]')?.getAttribute("data-position")) <= ms, there);
    await stands();
  });

  test("is sought by the scrubber: what is shown is what stood there then", async () => {
    await goToReview();
    const box = await at("scrubber").boundingBox();
    if (box === null) throw new Error("expected a scrubber on the screen");
    await page.mouse.move(box.x + box.width * 0.2, box.y + 17);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 17, { steps: 4 });
    await app.shoot(page, "replay-scrub");
    await page.mouse.up();
    await stands();
    await expect.poll(points).toSatisfy((count: number) => count >= 2 && count < generations);
    await at("speed-1").click();
    await page.keyboard.press("Space");
    const before = await positionMs();
    await page.waitForFunction((ms) => Number(document.querySelector('[data-testid="transport"]')?.getAttribute("data-position")) > ms + 1500, before, { timeout: 15_000 });
    await app.shoot(page, "replay-playing");
    await page.keyboard.press("Space");
    await transport('[data-playing="false"]').waitFor();
  });

  test("is asked what if: another response window beside the recorded curve, another optimizer on a model", async () => {
    await goToReview();
    await page.keyboard.press("i");
    await page.locator('[data-testid="what-if-result"][data-window="70:170"]').waitFor();
    await at("what-if-from").fill("0");
    await at("what-if-to").fill("60");
    await page.keyboard.press("Enter");
    await page.locator('[data-testid="what-if-result"][data-window="0:60"] .recharts-line').first().waitFor();
    await app.shoot(page, "what-if");
    await at("what-if-optimizer").selectOption("sep-cma");
    await at("what-if-go").click();
    await page.locator('[data-testid="what-if-result"][data-optimizer="sep-cma"]').waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
  });

  test("is verified, and the header says that it is identical; closing goes back to the list", async () => {
    await goToReview();
    await page.keyboard.press("k");
    await page.locator('[data-testid="verification"][data-state="identical"]').waitFor({ timeout: 20_000 });
    await page.keyboard.press("d");
    await app.shoot(page, "replay-red");
    await page.keyboard.press("d");
    await page.keyboard.press("Escape");
    await at("sessions-screen").waitFor();
    await page.keyboard.press("Escape");
    await at("start-screen").waitFor();
  });
});

test("no page broke its content security policy or threw", () => {
  expect(app.complaints).toEqual([]);
  expect(app.engineLog.filter((line) => /defect|Error/.test(line))).toEqual([]);
});
