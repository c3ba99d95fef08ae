// The display test by clicks and keys, in a real browser with a real stimulus window.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApp } from "./app.ts";
import type { TestApp } from "./app.ts";
import type { Page } from "playwright-core";

let app: TestApp;
let operator: Page;

beforeAll(async () => {
  app = await openApp({});
  operator = await app.openOperator();
});
afterAll(async () => {
  await app.close();
});

const at = (page: Page, testid: string) => page.locator(`[data-testid="${testid}"]`);

test("the subject's screen opens in a process of its own, is tested, and what is wrong with it is said", async () => {
  await at(operator, "display-test-link").click();
  await at(operator, "display-test").waitFor();
  await expect.poll(() => at(operator, "display-test-begin").isDisabled()).toBe(true);
  const opening = app.context.waitForEvent("page");
  await operator.keyboard.press("w");
  const stimulus = await opening;
  // Another name of this computer is another site, which browsers keep apart.
  await stimulus.waitForURL(/^http:/);
  expect(new URL(stimulus.url()).hostname).not.toBe(new URL(operator.url()).hostname);
  await at(operator, "display-test-state").waitFor({ timeout: 30_000 });
  await at(operator, "display-test-seconds").fill("3");
  await at(operator, "display-test-begin").click();
  const result = at(operator, "display-test-done");
  await result.waitFor({ timeout: 30_000 });
  // A pop-up window is not full screen.
  await expect.poll(() => result.getAttribute("data-good")).toBe("false");
  await expect.poll(() => result.textContent()).toContain("press F in it");
  await expect.poll(() => result.textContent()).toMatch(/The display refreshes at \d+\.\d\d Hz/);
  await app.shoot(operator, "display-test");
  // A second W opens no second window.
  await operator.keyboard.press("w");
  await operator.waitForTimeout(500);
  expect(app.context.pages()).toHaveLength(2);
  expect(app.complaints).toEqual([]);
}, 90_000);
