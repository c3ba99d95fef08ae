// Finds or installs the browser that end-to-end tests drive. Plain JavaScript for Node 20.
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { root, run, say } from "./say.mjs";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"];
const places = {
  darwin: ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge"],
  win32: [process.env.PROGRAMFILES, process.env["PROGRAMFILES(X86)"], process.env.LOCALAPPDATA].filter(Boolean).flatMap((folder) => [join(folder, "Google/Chrome/Application/chrome.exe"), join(folder, "Microsoft/Edge/Application/msedge.exe")]),
};

/**
 * The browser's file; installs one where there is none. Otherwise what to do.
 * @param {string} node
 * @returns {Promise<{ program: string } | { problem: string }>}
 */
export async function ensureTestBrowser(node) {
  const present = await findTestBrowser();
  if (present !== null) return { program: present };
  const tried = [];
  for (const [what, attempt] of attempts(node)) {
    say(`the end-to-end tests need a Chromium, and none is installed: ${what}.`);
    const outcome = await attempt();
    const found = await findTestBrowser();
    if (found !== null) return { program: found };
    tried.push(`${what}: ${reasonOf(outcome)}`);
  }
  return { problem: `no Chromium, and none could be installed (${tried.join("; ") || "no package manager here"}). Install Chromium or Chrome, or name one in EVOKED_TEST_BROWSER.` };
}

function reasonOf({ output, code }) {
  const lines = output.trim().split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("at "));
  return (lines.find((line) => /error|fail|unable/i.test(line)) ?? lines.at(-1) ?? `exit code ${code}`).slice(0, 200);
}

async function findTestBrowser() {
  const chosen = process.env.EVOKED_TEST_BROWSER;
  if (chosen) return chosen;
  const onPath = names.flatMap((name) => (process.env.PATH ?? "").split(delimiter).filter(Boolean).map((folder) => join(folder, name)));
  for (const file of [...(places[process.platform] ?? []), ...onPath]) if (isProgram(file)) return file;
  return await playwrightsOwn();
}

async function playwrightsOwn() {
  const entry = join(root, "node_modules", "playwright-core", "index.mjs");
  if (!existsSync(entry)) return null;
  const { chromium } = await import(pathToFileURL(entry).href);
  const program = chromium.executablePath();
  return program !== "" && existsSync(program) ? program : null;
}

/** @returns {[string, () => ReturnType<typeof run>][]} ways to get one, with what they do in words */
function attempts(node) {
  const cli = join(root, "node_modules", "playwright-core", "cli.js");
  const playwright = (more) => () => run(node, [cli, "install", ...more, "chromium"], { quiet: true, timeoutMs: 600_000 });
  const asRoot = process.getuid?.() === 0;
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get")) return [["downloading Playwright's", playwright([])]];
  const sudo = asRoot ? [] : ["sudo", "-n"];
  return [[`installing Debian's package (${[...sudo, "apt-get install chromium"].join(" ")})`, () => aptGet(sudo)], ["downloading Playwright's", playwright(asRoot ? ["--with-deps"] : [])]];
}

async function aptGet(sudo) {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const apt = (args) => { const [program, ...rest] = [...sudo, "apt-get", ...args]; return run(program, rest, { quiet: true, timeoutMs: 600_000, env }); };
  await apt(["update"]);
  return await apt(["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]);
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
