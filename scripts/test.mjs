// `npm test`: installs what is missing, then checks types and rules and runs every suite. Its last line counts them all.
// Plain JavaScript for Node 20, with nothing installed.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { keepCompiled } from "../src/cli/compileCache.js";
import { buildAddon } from "./lib/addon.mjs";
import { buildRenderer } from "./lib/build.mjs";
import { ensureFirmwareTools } from "./lib/firmwareTools.mjs";
import { prepare } from "./lib/install.mjs";
import { root, run, say } from "./lib/say.mjs";
import { ensureTestBrowser } from "./lib/testBrowser.mjs";

const usage = `npm test                      everything
npm test -- tests/unit/web    only the suites whose path contains one of the words; no type check, no lint`;

const filters = process.argv.slice(2);
if (filters.includes("--help") || filters.includes("-h")) {
  console.log(usage);
  process.exit(0);
}
const total = { passed: 0, failed: 0, skipped: 0 };
const reports = join(root, "out", "test-results");
const isE2e = (filter) => filter.includes("e2e");

// Most tests that start processes and threads of Evoked's wait for their start.
keepCompiled(root);
const node = await prepare();
mkdirSync(reports, { recursive: true });
// Side by side: building and checking are for the processor, installing waits for the network.
const [unbuilt] = await Promise.all([build(), checks(), filters.length === 0 || filters.some((filter) => filter.includes("contract")) ? ensureFirmwareTools() : null]);
if (unbuilt !== null) failOnce(`the windows could not be built:\n${unbuilt}`);
if (filters.length === 0 || filters.some((filter) => !isE2e(filter))) await suite("unit, contract, simulation and architecture tests", "vitest.config.ts", filters.filter((filter) => !isE2e(filter)), {});
if (filters.length === 0 || filters.some(isE2e)) await endToEnd();

console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);

async function build() {
  await buildAddon(node);
  return await buildRenderer(node);
}

async function checks() {
  if (filters.length > 0) return;
  await check("types (tsc -b)", [join("node_modules", "typescript", "bin", "tsc"), "-b"]);
  await check("rules (oxlint)", [join("node_modules", "oxlint", "bin", "oxlint"), "--type-aware", "--deny-warnings"]);
}

/** A tool that passes or fails as one test. */
async function check(what, args) {
  const began = Date.now();
  const outcome = await run(node, args, { quiet: true });
  total[outcome.ok ? "passed" : "failed"] += 1;
  say(`${what}: ${outcome.ok ? "passed" : "failed"}, ${seconds(began)}`);
  if (!outcome.ok) console.log(outcome.output);
}

async function endToEnd() {
  if (unbuilt !== null) return;
  const browser = await ensureTestBrowser(node);
  if ("problem" in browser) return failOnce(browser.problem);
  await suite(`end-to-end tests (${browser.program})`, join("tests", "e2e", "vitest.config.ts"), filters.filter(isE2e), { EVOKED_TEST_BROWSER: browser.program });
}

function failOnce(sentence) {
  total.failed += 1;
  say(sentence);
}

async function suite(what, config, words, env) {
  const report = join(reports, `${config.includes("e2e") ? "e2e" : "suites"}.json`);
  rmSync(report, { force: true });
  const began = Date.now();
  say(`${what}.`);
  const outcome = await run(node, [join("node_modules", "vitest", "vitest.mjs"), "run", "--config", config, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...words], { env: { ...env, NO_COLOR: process.stdout.isTTY ? undefined : "1" } });
  const counted = readCounts(report);
  total.passed += counted.passed;
  total.skipped += counted.skipped;
  // An error outside of any test fails the run without failing a test.
  total.failed += counted.failed > 0 || outcome.ok ? counted.failed : 1;
  say(`${what}: ${seconds(began)}.`);
}

function readCounts(file) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    const unloaded = report.testResults.filter((result) => result.status === "failed" && !result.assertionResults.some((one) => one.status === "failed")).length;
    return { passed: report.numPassedTests, failed: report.numFailedTests + unloaded, skipped: report.numPendingTests + report.numTodoTests };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}
