// The engine as it is built for Electron (plain JavaScript, one file a source file) runs and answers: workers and processes find each other.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { startEngineProcess } from "../../src/engine/processClient.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { aCaller, until } from "../support/hosts/callerClient.ts";

const root = resolve(import.meta.dirname, "..", "..");
const built = join(root, "out", "main");

beforeAll(() => {
  execFileSync(process.execPath, [join(root, "node_modules", "electron-vite", "bin", "electron-vite.js"), "build", "--logLevel", "error"], { cwd: root, stdio: "pipe" });
});

test("main process, preload and engine are built where each looks for the other", () => {
  for (const file of ["main/main.js", "main/app.js", "engine/process.js", "models/process.js", "session/writer.worker.js"]) expect([file, existsSync(join(built, file))]).toEqual([file, true]);
  // Electron starts what package.json names.
  expect(existsSync(join(root, z.object({ main: z.string() }).parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8"))).main))).toBe(true);
  const preload = readFileSync(join(root, "out", "preload", "preload.cjs"), "utf8");
  expect(preload).toContain("contextBridge.exposeInMainWorld(\"evoked\"");
  // A sandboxed preload may load nothing but Electron.
  expect([...preload.matchAll(/require\("([^"]+)"\)/g)].map((match) => match[1])).toEqual(["electron"]);
});

test("the built engine runs a session with its writer and models in their own places", async () => {
  const folder = mkdtempSync(join(tmpdir(), "evoked-built-"));
  const log: string[] = [];
  const engine = unwrap(await startEngineProcess({ engine: { host: "electron", modelFolders: [join(root, "models")], sessionFolder: folder }, entry: pathToFileURL(join(built, "engine", "process.js")), log: (text) => log.push(text) }));
  try {
    const caller = aCaller((frame) => end.send(frame));
    const end = engine.attach({ id: "test", access: ["view", "operate"] }, (frame) => caller.receive(frame));
    engine.onBroadcast((frame) => caller.receive(frame));
    const started = await caller.call("session.start", { config: sessionConfig.parse({ display: { kind: "timed" }, evolution: { tuningRepeats: 0, threads: [{ target: 0 }] } }) });
    expect(started, log.join("")).toMatchObject({ ok: true });
    await until("presentations come", () => caller.events.some(({ event }) => event === "presentation"), 30_000);
    expect(await caller.call("session.stop")).toMatchObject({ ok: true });
    await until("the session ends", () => caller.events.some(({ event, payload }) => event === "session" && JSON.stringify(payload).includes("finished")), 20_000);
  } finally {
    expect(await engine.close()).toMatchObject({ expected: true });
    rmSync(folder, { recursive: true, force: true });
  }
});
