// A scientist's afternoon: recorded sessions found, replayed, verified, scored otherwise and exported, in a real browser.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
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

const at = (testid: string) => page.locator(`[data-testid="${testid}"]`);
const transport = (attributes: string) => page.locator(`[data-testid="transport"]${attributes}`);
const points = (): Promise<number> => at("curve").getAttribute("data-points").then(Number);
const positionMs = (): Promise<number> => at("transport").getAttribute("data-position").then(Number);

test("the sessions screen finds a session by its subject and by its target", async () => {
  await at("start-screen").waitFor();
  await page.locator('[data-testid="session-row"]').nth(1).waitFor();
  await page.keyboard.press("b");
  await at("sessions-screen").waitFor();
  await at("browser-row").nth(1).waitFor();
  expect(await at("browser-row").count()).toBe(2);
  await page.keyboard.press("/");
  await page.keyboard.type("anna");
  await page.waitForFunction(() => document.querySelectorAll('[data-testid="browser-row"]').length === 1);
  expect(await at("browser-row").textContent()).toContain("anna");
  await page.keyboard.press("Escape");
  await at("sort-subject").click();
  expect(await at("browser-row").first().textContent()).toContain("anna");
  await at("sort-subject").click();
  expect(await at("browser-row").first().textContent()).toContain("otto");
});

test("several sessions are verified in one go, and each is identical", async () => {
  await page.keyboard.press("a");
  await page.keyboard.press("k");
  await page.locator('[data-testid="job"][data-kind="verify"][data-state="done"]').waitFor({ timeout: 30_000 });
  expect(await page.locator('[data-testid="job-result"][data-ok="true"]').count()).toBe(2);
  expect(await at("job-result").first().textContent()).toMatch(/identical, [\d,]+ records/);
});

test("an export to CSV goes on in the background and names its folder", async () => {
  const outDir = join(app.sessionFolder, "exports");
  await page.keyboard.press("a");
  await page.keyboard.press("x");
  await at("format-nwb").uncheck();
  await at("format-csv").check();
  expect(await at("export-folder").inputValue()).toBe(outDir);
  await app.shoot(page, "sessions-export");
  await at("export-go").click();
  await page.locator('[data-testid="job"][data-kind="export"][data-state="done"]').waitFor({ timeout: 30_000 });
  const folder = readdirSync(outDir).find((name) => name.endsWith("-csv")) ?? "";
  expect(readFileSync(join(outDir, folder, "generations.csv"), "utf8").trim().split("\n")).toHaveLength(generations + 1);
  await page.locator(".preview-strip .session-image").nth(generations - 1).waitFor();
  await app.shoot(page, "sessions-browser");
});

test("a note written afterwards stands beside the file", async () => {
  await page.keyboard.press("m");
  await at("later-note-text").fill("Electrode 17 moved the day after");
  await page.keyboard.press("Enter");
  await page.locator('[data-testid="notes-list"] .later').waitFor();
  expect(readdirSync(app.sessionFolder).filter((name) => name.endsWith(".notes.json"))).toHaveLength(1);
  await page.keyboard.press("Escape");
});

test("a session opens at its recorded end, and nobody can take it for live", async () => {
  await page.keyboard.press("Enter");
  await page.locator('[data-testid="phase"][data-phase="review"]').waitFor();
  expect(await at("phase").textContent()).toMatch(/Recorded \d+ \w+ \d{4}/);
  await page.locator(`[data-testid="curve"][data-points="${generations}"]`).waitFor();
  await transport('[data-at-end="true"][data-replaying="false"]').waitFor();
  await page.locator(".scrubber .mark").nth(generations - 1).waitFor();
  await page.locator(".gallery .session-image").nth(generations - 1).waitFor();
  await app.shoot(page, "replay-recorded");
});

test("Space replays from the beginning, at full speed to the same end", async () => {
  await page.keyboard.press("Space");
  await transport('[data-replaying="true"][data-playing="true"]').waitFor();
  await page.waitForFunction(() => document.querySelector('[data-testid="gaze"]') !== null);
  await at("speed-0").click();
  await transport('[data-playing="false"][data-at-end="true"]').waitFor({ timeout: 30_000 });
  await page.locator(`[data-testid="curve"][data-points="${generations}"]`).waitFor();
  expect(await at("identical").textContent()).toContain(`${generations} generations`);
  await page.locator('[data-testid="last-image"]').nth(4).waitFor();
  await app.shoot(page, "replay-end");
});

test("arrow keys go to the end of a generation; full stop and comma go by one presentation", async () => {
  await page.keyboard.press("Home");
  await page.waitForFunction(() => document.querySelector('[data-testid="transport"]')?.getAttribute("data-position") === "0");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await transport('[data-replaying="true"][data-seeking="false"]').waitFor({ timeout: 20_000 });
  expect(await points()).toBe(3);
  expect(await at("review-generation").textContent()).toBe("generation 2");
  const there = await positionMs();
  await page.keyboard.press(".");
  await page.waitForFunction((ms) => Number(document.querySelector('[data-testid="transport"]')?.getAttribute("data-position")) > ms, there);
  await page.keyboard.press(",");
  await page.waitForFunction((ms) => Number(document.querySelector('[data-testid="transport"]')?.getAttribute("data-position")) <= ms, there);
  await transport('[data-replaying="true"][data-seeking="false"]').waitFor({ timeout: 20_000 });
});

test("the scrubber seeks: what is shown is what stood there then", async () => {
  const box = await at("scrubber").boundingBox();
  if (box === null) throw new Error("expected a scrubber on the screen");
  await page.mouse.move(box.x + box.width * 0.2, box.y + 17);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 17, { steps: 4 });
  await app.shoot(page, "replay-scrub");
  await page.mouse.up();
  await transport('[data-replaying="true"][data-seeking="false"]').waitFor({ timeout: 20_000 });
  const at60 = await points();
  expect(at60).toBeGreaterThanOrEqual(2);
  expect(at60).toBeLessThan(generations);
  await at("speed-1").click();
  await page.keyboard.press("Space");
  const before = await positionMs();
  await page.waitForFunction((ms) => Number(document.querySelector('[data-testid="transport"]')?.getAttribute("data-position")) > ms + 1500, before, { timeout: 15_000 });
  await app.shoot(page, "replay-playing");
  await page.keyboard.press("Space");
  await transport('[data-playing="false"]').waitFor();
});

test("what if: another response window beside the recorded curve, another optimizer on a model", async () => {
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
});

test("verify says in the header that the session is identical; closing goes back to the list", async () => {
  await page.keyboard.press("k");
  await page.locator('[data-testid="verification"][data-state="identical"]').waitFor({ timeout: 20_000 });
  await page.keyboard.press("d");
  await app.shoot(page, "replay-red");
  await page.keyboard.press("d");
  await page.keyboard.press("Escape");
  await at("sessions-screen").waitFor();
  expect(existsSync(join(app.sessionFolder, "exports"))).toBe(true);
  await page.keyboard.press("Escape");
  await at("start-screen").waitFor();
});

test("no page broke its content security policy or threw", () => {
  expect(app.complaints).toEqual([]);
  expect(app.engineLog.filter((line) => /defect|Error/.test(line))).toEqual([]);
});
