// The screens of models and of ablations in a real browser on the real engine: what is there is shown and checked, an ablation is started,
// paused, gone on with and looked at, and keys stay with the screen they are meant for.
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

describe("the ablation screen", () => {
  test("an ablation at a layer is started, paused and gone on with; its images stand by strength, positive above, intact in the middle, negative below", async () => {
    const page = await app.openOperator();
    await page.getByTestId("insilico-link").click();
    await page.getByTestId("sweep-layer").selectOption("conv4");
    for (const [name, value] of [["units", "star"], ["alphas", "0,0.5,1"], ["runs", "2"], ["generations", "6"], ["population", "6"]] as const) await page.getByTestId(`sweep-${name}`).fill(value);
    await page.getByTestId("sweep-start").click();
    await page.getByTestId("sweep-pause").click();
    await page.locator("[data-testid=sweep-row][data-state=paused]").waitFor();
    await page.getByTestId("sweep-resume").click();
    await page.locator("[data-testid=sweep-row][data-state=finished]").waitFor({ timeout: 240_000 });
    await page.locator("[data-testid=sweep-cell] img").nth(5).waitFor({ timeout: 60_000 });

    const places = new Map<string, { readonly x: number; readonly y: number }>();
    for (const cell of await page.getByTestId("sweep-cell").all()) {
      const words = (await cell.getAttribute("aria-label")) ?? "";
      const box = await cell.boundingBox();
      if (box !== null) places.set(words.split(", ")[0] ?? "", box);
    }
    const at = (words: string): { readonly x: number; readonly y: number } => places.get(words) ?? { x: Number.NaN, y: Number.NaN };
    expect(at("without 50 % of the positive weights").x).toBeLessThan(at("without positive weights").x);
    expect(at("without positive weights").y).toBeLessThan(at("intact").y);
    expect(at("intact").y).toBeLessThan(at("without negative weights").y);

    await page.locator('[data-testid=sweep-cell][aria-label^="without negative weights"]').hover();
    await page.getByTestId("sweep-focus").filter({ hasText: "without negative weights" }).waitFor();
    expect((await page.getByTestId("sweep-focus").locator("img").boundingBox())?.width).toBeGreaterThan(280);
    await app.shoot(page, "ablation-layer");
    await page.locator('[data-testid=sweep-cell][aria-label^="without negative weights"]').click();
    expect(await page.getByTestId("runs-dialog").getByTestId("sweep-cell").count()).toBe(2);
    await page.getByTestId("queue-runs").click();
    // No session runs: the sentence says so, and nothing is lost.
    await page.getByTestId("queue-said").waitFor();
    await page.keyboard.press("Escape");
    await page.getByTestId("insilico-screen").waitFor({ state: "detached" });
    expect(await page.getByTestId("start-screen").count()).toBe(1);
    expect(app.complaints).toEqual([]);
  }, 300_000);
});
