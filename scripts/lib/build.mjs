// Builds what is older than its sources. Plain JavaScript for Node 20; the builders come from node_modules.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { root, run, say } from "./say.mjs";

/** Builds the windows where they are older than their sources. Answers null, or the builder's words where it failed. */
export function buildRenderer(node) {
  return buildWhenOlder({
    node, product: "out/renderer/index.html", what: "the windows (vite build)",
    sources: ["src/renderer", "src/shared", "vite.config.ts", "package-lock.json"],
    args: ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"],
  });
}

/** Builds main process, preload and engine for Electron where they are older than their sources. */
export function buildElectron(node) {
  return buildWhenOlder({
    node, product: "out/main/main/main.js", what: "the desktop program (electron-vite build)",
    sources: ["src", "electron.vite.config.ts", "package-lock.json"],
    args: ["node_modules/electron-vite/bin/electron-vite.js", "build", "--logLevel", "error"],
  });
}

async function buildWhenOlder({ node, product, what, sources, args }) {
  const builtMs = existsSync(join(root, product)) ? statSync(join(root, product)).mtimeMs : null;
  if (builtMs !== null && sources.every((source) => newestMs(join(root, source)) <= builtMs)) return null;
  say(`building ${what}: ${builtMs === null ? "not built yet" : "sources are newer"}.`);
  const outcome = await run(node, args, { quiet: true });
  return outcome.ok ? null : outcome.output;
}

/** Newest change below a file or folder, ms; 0 where there is none. */
export function newestMs(path) {
  if (!existsSync(path)) return 0;
  const found = statSync(path);
  if (!found.isDirectory()) return found.mtimeMs;
  // A folder's own time tells of files that were removed.
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestMs(join(path, name))), found.mtimeMs);
}
