// The Models screen in a real browser on the real engine: it says what is there, checks a model, and keeps its keys to itself.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApp } from "./app.ts";
import type { TestApp } from "./app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openApp({ display: { kind: "timed" } });
});
afterAll(async () => app.close());

describe("the Models screen", () => {
  test("shows what is there and missing, checks a model, and goes back without starting a session", async () => {
    const page = await app.openOperator();
    await page.getByTestId("models-link").click();
    await page.locator("[data-id=shapes-relu]").click();
    await page.getByTestId("model-verify").click();
    await page.getByTestId("model-verdict").waitFor();
    expect(await page.getByTestId("model-verdict").innerText()).toContain("probe batch are right");
    expect(await page.locator("[data-testid=model-row][data-state=missing]").count()).toBeGreaterThan(10);
    expect(await page.getByTestId("analysis-row").count()).toBe(11);
    await page.locator("[data-id=yolov7]").click();
    expect(await page.getByTestId("panel-model").innerText()).toContain("evoked models import yolov7");
    await app.shoot(page, "models");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await page.getByTestId("models-screen").waitFor({ state: "detached" });
    expect(await page.getByTestId("start-screen").count()).toBe(1);
    expect(app.complaints).toEqual([]);
  });
});
