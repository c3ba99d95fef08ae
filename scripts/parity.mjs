// `node scripts/parity.mjs`: the published architectures at random weights, converted from their official file formats and held against
// PyTorch; WebGPU on a software driver held against the CPU; the native addon's kernel under the sanitizers; the MATLAB code of external task mode under Octave. The first needs Python with torch, torchvision and onnx (Debian: python3-torch,
// python3-torchvision, python3-onnx), the second Debian's chromium and libvulkan1, the third a C++ compiler, the fourth octave-cli; without them it is skipped and says so. Plain JavaScript for Node 20.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describeMissingNode, findNode24 } from "../src/cli/node24.js";
import { root, run, say, stop } from "./lib/say.mjs";

const node = findNode24(root);
if (node === null) stop(describeMissingNode());
const reports = join(root, "out", "test-results");
const report = join(reports, "parity.json");
mkdirSync(reports, { recursive: true });
rmSync(report, { force: true });
const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const named = words.length > 0 ? ["-t", words.join(" ")] : [];
const outcome = await run(node, [join("node_modules", "vitest", "vitest.mjs"), "run", "--config", join("tests", "parity", "vitest.config.ts"), "--reporter=verbose", "--reporter=json", `--outputFile.json=${report}`, ...named], { env: { NO_COLOR: process.stdout.isTTY ? undefined : "1" } });

let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  const found = JSON.parse(readFileSync(report, "utf8"));
  const names = found.testResults.flatMap((file) => file.assertionResults).filter((one) => one.status === "skipped" || one.status === "pending").map((one) => one.ancestorTitles.join(" "));
  const reasons = names.flatMap((name) => /\((skipped: .*)\)$/.exec(name)?.slice(1) ?? []);
  for (const reason of new Set(reasons)) say(reason);
  const unloaded = found.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
  counts = { passed: found.numPassedTests, failed: found.numFailedTests + unloaded, skipped: found.numPendingTests + found.numTodoTests };
} catch {
  say("The parity tests wrote no report.");
}
if (!outcome.ok && counts.failed === 0) counts.failed = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""}`);
process.exit(counts.failed === 0 ? 0 : 1);
