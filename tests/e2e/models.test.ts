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
    await page.getByTestId("model-verdict").filter({ hasText: "probe batch are right" }).waitFor();
    await page.locator("[data-testid=model-row][data-state=missing]").nth(10).waitFor({ state: "attached" });
    await expect.poll(() => page.getByTestId("analysis-row").count()).toBe(11);
    await page.locator("[data-id=yolov7]").click();
    await page.getByTestId("panel-model").filter({ hasText: "evoked models import yolov7" }).waitFor();
    await app.shoot(page, "models");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await page.getByTestId("models-screen").waitFor({ state: "detached" });
    await page.getByTestId("start-screen").waitFor();
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

    // Read in one go, and again until all cells stand where they stay.
    const places = async (): Promise<Map<string, { readonly x: number; readonly y: number }>> => new Map(await page.getByTestId("sweep-cell").evaluateAll((cells) => cells.map((cell) => {
      const { x, y } = cell.getBoundingClientRect();
      return [cell.getAttribute("aria-label")?.split(", ")[0] ?? "", { x, y }] as const;
    })));
    await expect.poll(async () => {
      const cells = await places();
      const at = (words: string): { readonly x: number; readonly y: number } => cells.get(words) ?? { x: Number.NaN, y: Number.NaN };
      return [at("without 50 % of the positive weights").x < at("without positive weights").x, at("without positive weights").y < at("intact").y, at("intact").y < at("without negative weights").y];
    }).toEqual([true, true, true]);

    await page.locator('[data-testid=sweep-cell][aria-label^="without negative weights"]').hover();
    await page.getByTestId("sweep-focus").filter({ hasText: "without negative weights" }).waitFor();
    await expect.poll(async () => (await page.getByTestId("sweep-focus").locator("img").boundingBox())?.width).toBeGreaterThan(280);
    await app.shoot(page, "ablation-layer");
    await page.locator('[data-testid=sweep-cell][aria-label^="without negative weights"]').click();
    await expect.poll(() => page.getByTestId("runs-dialog").getByTestId("sweep-cell").count()).toBe(2);
    await page.getByTestId("queue-runs").click();
    // No session runs: the sentence says so, and nothing is lost.
    await page.getByTestId("queue-said").waitFor();
    await page.keyboard.press("Escape");
    await page.getByTestId("insilico-screen").waitFor({ state: "detached" });
    await page.getByTestId("start-screen").waitFor();
    expect(app.complaints).toEqual([]);
  }, 300_000);
});
