// Walks through the operator window on the fake engine by clicks and keys, and says what it found: node tests/support/fakeEngine/flows.ts
// The end-to-end tests do this on the real engine; this is for working on the windows alone.
import { deepStrictEqual, ok } from "node:assert/strict";
import { chromium } from "playwright-core";
import { serveFakeEngine } from "./serve.ts";

const host = await serveFakeEngine({ speed: 12, generations: 6 });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ viewport: { width: 1920, height: 1080 } });
const page = await context.newPage();
const problems: string[] = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => { if (message.type() === "error" || message.type() === "warning") problems.push(message.text()); });
const phase = async (): Promise<string | null> => await page.getByTestId("phase").getAttribute("data-phase");
const reaches = async (wanted: string): Promise<void> => await page.locator(`[data-testid=phase][data-phase=${wanted}]`).waitFor({ timeout: 8000 });
const said = (part: string): Promise<void> => page.getByTestId("notice").filter({ hasText: part }).waitFor({ timeout: 4000 });

await page.goto(`${host.url}?token=abc`);
await page.locator("[data-testid=check][data-level=ok]").waitFor();

// A wrong value is marked and nothing starts.
await page.getByTestId("generations").fill("0");
await page.getByText("at least 1").waitFor();
ok(await page.getByTestId("start-button").isDisabled());
await page.getByTestId("generations").fill("6");
await page.getByTestId("subject-id").fill("nobody");
await page.getByTestId("start-button").click();
await page.getByTestId("start-failure").waitFor();
await page.getByTestId("subject-id").fill("carla");

// The subject's screen opens with Start, and the token goes with it.
await page.getByTestId("display-window").click();
const [popup] = await Promise.all([context.waitForEvent("page"), page.getByTestId("start-button").click()]);
await reaches("running");
await popup.waitForURL(/stimulus.*token=abc/);
await popup.getByTestId("subject-screen").waitFor();
await page.keyboard.press("w");
await page.waitForTimeout(300);
deepStrictEqual(context.pages().length, 2);
await popup.close();

// By keys: pause, reward, pulse, note, theme, map, target.
await page.keyboard.press("Space");
await reaches("paused");
await page.keyboard.press("Space");
await reaches("running");
await page.keyboard.press("r");
await said("120 ms");
await page.keyboard.press("=");
await page.keyboard.press("=");
await said("140 ms");
await page.getByTestId("reward-button").click();
await said("140 ms");
await page.keyboard.press("Space");
await reaches("paused");
await page.keyboard.press("Space");
await reaches("running");
await page.keyboard.press("m");
await page.keyboard.type("drowsy r -");
await page.keyboard.press("Enter");
await page.getByTestId("log").getByText("drowsy r -").waitFor();
await page.keyboard.press("d");
deepStrictEqual(await page.evaluate(() => document.documentElement.dataset["theme"]), "red");
await page.keyboard.press("d");
await page.keyboard.press("t");
await page.keyboard.press("ArrowUp");
await page.getByTestId("looked-channel").waitFor();
await page.keyboard.press("Enter");
await said("New target");
await page.getByTestId("channel-map").click({ position: { x: 40, y: 60 } });
await page.getByTestId("looked-channel").getByText("V1-").waitFor();
await page.keyboard.press("Escape");
deepStrictEqual(await page.getByTestId("looked-channel").count(), 0);
deepStrictEqual(await page.getByTestId("confirm-dialog").count(), 0);

// The curve and the gallery grow; a generation opens.
await page.locator("[data-testid=gallery-item][data-generation='2']").waitFor({ timeout: 20_000 });
ok(Number(await page.getByTestId("curve").getAttribute("data-points")) >= 3);
await page.keyboard.press("ArrowLeft");
await page.keyboard.press("Enter");
await page.getByTestId("generation-dialog").getByText("38 images").waitFor();
await page.keyboard.press("r");
await page.keyboard.press("Escape");
deepStrictEqual(await page.getByTestId("generation-dialog").count(), 0);

// Stop asks once; Esc and Space leave the session alone.
await page.keyboard.press("Escape");
await page.getByTestId("confirm-dialog").waitFor();
await page.keyboard.press("Space");
await page.keyboard.press("Escape");
deepStrictEqual(await page.getByTestId("confirm-dialog").count(), 0);
ok(["running", "paused"].includes((await phase()) ?? ""));

// A lost link is said, and heals.
host.cut();
await page.getByTestId("link-lost").waitFor();
await page.getByTestId("link-lost").waitFor({ state: "detached", timeout: 5000 });
ok(["running", "finished"].includes((await phase()) ?? ""), await phase() ?? "");

if ((await phase()) === "running") {
  await page.getByTestId("stop-button").click();
  await page.getByTestId("confirm").click();
}
await reaches("finished");
await page.keyboard.press("n");
await page.getByTestId("start-screen").waitFor();
deepStrictEqual(await page.getByTestId("subject-id").inputValue(), "carla");

// Review of an interrupted session (the replay itself is tested on the real engine), then resumed.
await page.locator("[data-testid=session-row][data-state=interrupted]").click();
await reaches("review");
await page.getByTestId("resume-button").click();
await reaches("running");

await host.close();

// Two evolutions: E looks at the other, a target is asked for by number, the results come as a block of their own and then as a card.
const two = await serveFakeEngine({ speed: 14, at: 4, generations: 5, threads: 2 });
await page.goto(two.url);
await page.getByTestId("add-thread").click();
await page.getByTestId("optimizer-2").selectOption("sphere-cma");
await page.getByTestId("thread-2").locator("summary").click();
await page.getByTestId("thread-2").getByTestId("option-learningRate").fill("99");
await page.getByText("at most 10").waitFor();
ok(await page.getByTestId("start-button").isDisabled());
await page.getByTestId("thread-2").getByTestId("option-learningRate").fill("");
await page.getByTestId("image-size-2").fill("8");
await page.getByTestId("display-timed").click();
await page.keyboard.press("Escape");
await page.getByTestId("start-button").click();
await reaches("running");
deepStrictEqual(await page.getByTestId("curve").getAttribute("data-thread"), "0");
await page.keyboard.press("e");
await page.locator("[data-testid=curve][data-thread='1']").waitFor();
await page.keyboard.press("t");
await page.keyboard.press("ArrowRight");
await page.keyboard.press("Enter");
await page.getByTestId("target-dialog").waitFor();
await page.keyboard.press("1");
await said("New target");
await page.locator("[data-testid=progress][data-stage=confirming]").waitFor({ timeout: 8000 });
await page.getByText("Results shown again").waitFor();
await reaches("finished");
await page.locator("[data-testid=result][data-verdict=rose]").waitFor();
await page.keyboard.press("e");
await page.locator("[data-testid=result][data-verdict=unclear]").waitFor();
await page.getByTestId("whole-result").click();
await page.getByTestId("result-dialog").getByText("Not clear").waitFor();
await two.close();

console.log(problems.filter((p) => !p.includes("WebSocket")).length === 0 ? "all flows passed" : problems);
await browser.close();
