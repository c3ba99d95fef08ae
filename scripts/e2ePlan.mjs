// `npm run e2e:plan`: a whole planned session in a real browser, from the plan's first step to the export, by clicks and keys alone. Takes some minutes.
// EVOKED_SHOTS names a folder for its screenshots (out/screenshots otherwise). Plain JavaScript for Node 20.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildRenderer } from "./lib/build.mjs";
import { prepare } from "./lib/install.mjs";
import { root, run, say, stop } from "./lib/say.mjs";
import { ensureTestBrowser } from "./lib/testBrowser.mjs";

const node = await prepare();
const unbuilt = await buildRenderer(node);
if (unbuilt !== null) stop(`the windows could not be built:\n${unbuilt}`);
const browser = await ensureTestBrowser(node);
if ("problem" in browser) stop(browser.problem);
const reports = join(root, "out", "test-results");
const report = join(reports, "e2ePlan.json");
mkdirSync(reports, { recursive: true });
rmSync(report, { force: true });
say(`planned session end to end (${browser.program}).`);
const outcome = await run(node, [join("node_modules", "vitest", "vitest.mjs"), "run", "--config", join("tests", "e2ePlan", "vitest.config.ts"), "--reporter=verbose", "--reporter=json", `--outputFile.json=${report}`], { env: { EVOKED_TEST_BROWSER: browser.program, NO_COLOR: process.stdout.isTTY ? undefined : "1" } });

let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  const found = JSON.parse(readFileSync(report, "utf8"));
  counts = { passed: found.numPassedTests, failed: found.numFailedTests, skipped: found.numPendingTests + found.numTodoTests };
} catch {
  say("The planned session wrote no report.");
}
if (!outcome.ok && counts.failed === 0) counts.failed = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ""}`);
process.exit(counts.failed === 0 ? 0 : 1);
