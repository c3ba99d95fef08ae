// Building an image set by clicks and keys in a real browser on the real engine.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApp } from "./app.ts";
import type { TestApp } from "./app.ts";

let app: TestApp;
const folder = await mkdtemp(join(tmpdir(), "evoked-sets-"));
beforeAll(async () => {
  process.env["EVOKED_CACHE"] = join(folder, "cache");
  app = await openApp({ display: { kind: "timed" } });
});
afterAll(async () => {
  await app.close();
  await rm(folder, { recursive: true });
});

describe("the image sets screen", () => {
  test("says what is missing, builds a set from drawn images, holds and goes on, and shows what came out", async () => {
    const page = await app.openOperator();
    await page.getByTestId("diverse-link").click();
    await page.getByTestId("diverse-build").click();
    await page.getByTestId("diverse-problem").filter({ hasText: "Name the folder to choose from" }).waitFor();
    await page.getByTestId("diverse-from").selectOption("drawn");
    await page.getByTestId("diverse-drawn").fill("640");
    await page.getByTestId("diverse-count").fill("40");
    await page.getByTestId("diverse-out").fill(join(folder, "set"));
    await page.getByTestId("diverse-build").click();
    await page.getByTestId("diverse-pause").click();
    await page.locator("[data-testid=diverse-progress][data-state=paused]").waitFor({ state: "attached" });
    await page.getByTestId("diverse-resume").click();
    await page.locator("[data-testid=diverse-progress][data-state=done]").waitFor({ state: "attached", timeout: 80_000 });
    await page.getByTestId("diverse-sheet").waitFor();
    await page.getByTestId("diverse-facts").filter({ hasText: "640 used of 640" }).waitFor();
    expect((await readdir(join(folder, "set"))).filter((name) => name.endsWith(".png")).length).toBe(40);
    await app.shoot(page, "image-sets");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await page.getByTestId("diverse-screen").waitFor({ state: "detached" });
    await page.getByTestId("start-screen").waitFor();
    expect(app.complaints).toEqual([]);
  });
});
