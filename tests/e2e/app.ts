// The app as a test holds it: web host and engine on an ephemeral port, a browser, and what its pages complained about.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Transformer } from "@napi-rs/image";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { serve } from "../../src/web/serve.ts";
import { aCaller } from "../support/hosts/callerClient.ts";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { EngineFrame, SessionConfigInput } from "../../src/shared/contract/index.ts";
import type { Served } from "../../src/web/serve.ts";
import type { TestCaller } from "../support/hosts/callerClient.ts";

const screenshots = process.env["EVOKED_SHOTS"] ?? resolve(import.meta.dirname, "..", "..", "out", "screenshots");

export interface TestApp {
  readonly served: Served;
  readonly context: BrowserContext;
  readonly sessionFolder: string;
  /** What pages wrote as errors: refused by the content security policy, or thrown. */
  readonly complaints: string[];
  /** Lines of the engine's process. */
  readonly engineLog: string[];
  /** A page of the operator at 1920x1080. */
  openOperator(): Promise<Page>;
  /** A link of the test's own, that only watches. */
  watch(): Promise<TestCaller>;
  shoot(page: Page, name: string): Promise<void>;
  keep(png: Uint8Array, name: string): void;
  close(): Promise<void>;
}

/** `draft` is what the start screen's form holds at first. */
export async function openApp(draft: SessionConfigInput): Promise<TestApp> {
  const sessionFolder = mkdtempSync(join(tmpdir(), "evoked-e2e-"));
  const engineLog: string[] = [];
  const served = unwrap(await serve({ host: "127.0.0.1", port: 0, allowRemote: false, sessions: sessionFolder }, (text) => engineLog.push(text)));
  const browser: Browser = await chromium.launch({
    executablePath: process.env["EVOKED_TEST_BROWSER"] ?? "/usr/bin/chromium",
    args: ["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
  });
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, colorScheme: "dark" });
  // A window that is still empty has no storage.
  await context.addInitScript((text) => {
    if (location.protocol === "http:") localStorage.setItem("evoked.draft", text);
  }, JSON.stringify(sessionConfig.parse(draft)));
  const complaints: string[] = [];
  context.on("page", (page) => {
    page.on("console", (message) => void (message.type() === "error" && complaints.push(`${page.url()}: ${message.text()}`)));
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.stack ?? error.message}`));
  });
  const sockets: WebSocket[] = [];
  return {
    served, context, sessionFolder, complaints, engineLog,
    async openOperator() {
      const page = await context.newPage();
      await page.goto(served.operatorUrl);
      return page;
    },
    async watch() {
      const address = new URL(served.viewerUrl);
      const socket = new WebSocket(`ws://${address.host}/api${address.search}`);
      sockets.push(socket);
      const caller = aCaller((frame) => socket.send(JSON.stringify(frame)));
      socket.on("message", (data) => caller.receive(JSON.parse(String(data)) as EngineFrame));
      await new Promise((done, failed) => socket.once("open", done).once("error", failed));
      return caller;
    },
    async shoot(page, name) {
      mkdirSync(screenshots, { recursive: true });
      await page.screenshot({ path: join(screenshots, `${name}.png`) });
    },
    keep(png, name) {
      mkdirSync(screenshots, { recursive: true });
      writeFileSync(join(screenshots, `${name}.png`), png);
    },
    async close() {
      for (const socket of sockets) socket.close();
      await browser.close();
      await served.close();
      rmSync(sessionFolder, { recursive: true, force: true });
    },
  };
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGB, rows from the top. */
  readonly rgb: Uint8Array;
}

export async function decodePng(png: Uint8Array): Promise<Picture> {
  const transformer = new Transformer(png);
  const { width, height } = await transformer.metadata();
  const raw = await transformer.rawPixels();
  const channels = raw.length / (width * height);
  const rgb = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) for (let c = 0; c < 3; c++) rgb[pixel * 3 + c] = raw[pixel * channels + (channels < 3 ? 0 : c)] ?? 0;
  return { width, height, rgb };
}

/** Mean colours of a grid of cells over a square of the picture, row by row, 0..255. */
export function coarse(picture: Picture, square: { readonly left: number; readonly top: number; readonly size: number }, cells = 8): number[] {
  const means: number[] = [];
  for (let row = 0; row < cells; row++) for (let column = 0; column < cells; column++) {
    const sum = [0, 0, 0];
    let count = 0;
    for (let y = Math.floor(square.top + row * square.size / cells); y < Math.floor(square.top + (row + 1) * square.size / cells); y++) {
      for (let x = Math.floor(square.left + column * square.size / cells); x < Math.floor(square.left + (column + 1) * square.size / cells); x++) {
        for (let c = 0; c < 3; c++) sum[c] = (sum[c] ?? 0) + (picture.rgb[(y * picture.width + x) * 3 + c] ?? 0);
        count += 1;
      }
    }
    means.push(...sum.map((total) => total / count));
  }
  return means;
}

export function meanDifference(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + Math.abs(value - (b[index] ?? 0)), 0) / a.length;
}
