// The desktop app itself, where Electron's program is there: windows, engine and a session, as an operator sees them.
// Without the program nothing here can run; npm test then counts these tests as skipped.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { _electron } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ElectronApplication, Page } from "playwright-core";

const root = resolve(import.meta.dirname, "..", "..");
const name = process.platform === "darwin" ? "Electron.app/Contents/MacOS/Electron" : process.platform === "win32" ? "electron.exe" : "electron";
const program = join(process.env["ELECTRON_OVERRIDE_DIST_PATH"] ?? join(root, "node_modules", "electron", "dist"), name);
const hasScreen = process.platform !== "linux" || (process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"] ?? "") !== "";
const why = !existsSync(program) ? "skipped: no Electron binary" : hasScreen ? null : "skipped: no screen for Electron";
if (why !== null) process.stdout.write(`desktop app: ${why}\n`);

describe.skipIf(why !== null)("the desktop app", () => {
  let app: ElectronApplication;
  let operator: Page;
  let sessions = "";

  beforeAll(async () => {
    sessions = mkdtempSync(join(tmpdir(), "evoked-electron-"));
    execFileSync(process.execPath, [join(root, "node_modules", "electron-vite", "bin", "electron-vite.js"), "build", "--logLevel", "error"], { cwd: root, stdio: "pipe" });
    app = await _electron.launch({ executablePath: program, args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), root], env: { ...process.env, EVOKED_SESSIONS: sessions } });
    operator = await app.firstWindow();
  });
  afterAll(async () => {
    await app.close();
    rmSync(sessions, { recursive: true, force: true });
  });

  test("shows the start screen over a link to the engine, with no Node in the page", async () => {
    await operator.locator('[data-testid="start-screen"]').waitFor();
    await operator.locator('[data-testid="check"]:not([data-level="off"])').waitFor({ timeout: 30_000 });
    expect(await operator.evaluate(() => [typeof Reflect.get(globalThis, "require"), typeof Reflect.get(globalThis, "process"), Object.keys(Reflect.get(globalThis, "evoked") as object).sort().join()])).toEqual(["undefined", "undefined", "connect,listDisplays,openStimulus"]);
  });

  test("runs a session on a stimulus window of its own and ends cleanly", async () => {
    const opened = app.waitForEvent("window");
    await operator.locator('[data-testid="start-button"]').click();
    const stimulus = await opened;
    await expect.poll(() => stimulus.url()).toBe("evoked://app/stimulus.html");
    await operator.locator('[data-testid="phase"][data-phase="running"]').waitFor({ timeout: 30_000 });
    await operator.locator('[data-testid="stop-button"]').click();
    await operator.locator('[data-testid="confirm"]').click();
    await operator.locator('[data-testid="phase"][data-phase="finished"]').waitFor({ timeout: 20_000 });
  });
});
