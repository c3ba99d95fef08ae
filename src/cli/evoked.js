#!/usr/bin/env node
// Starts the `evoked` command on a Node that is new enough. Plain JavaScript: it must itself run on Node 20.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { keepCompiled } from "./compileCache.js";
import { describeMissingNode, findNode24 } from "./node24.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
keepCompiled(root);
const node = findNode24(root);
if (node === null) {
  console.error(`evoked: ${describeMissingNode()}`);
  process.exit(1);
} else if (node === process.execPath) {
  await import("./main.ts");
} else {
  const child = spawn(node, ["--disable-warning=ExperimentalWarning", fileURLToPath(new URL("./main.ts", import.meta.url)), ...process.argv.slice(2)], { stdio: "inherit", env: { ...process.env, EVOKED_STARTER: String(process.pid) } });
  // Ctrl+C reaches the child by itself; only its end decides.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`evoked: ${node} did not start: ${error.message}. Run "npm install" in Evoked's folder again.`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 1)));
}
