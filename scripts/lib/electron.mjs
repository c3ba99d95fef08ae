// Finds Electron's program or fetches it, once, within a limit. Plain JavaScript for Node 20.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root, run, say } from "./say.mjs";

const packageFolder = join(root, "node_modules", "electron");
const memory = join(root, "node_modules", ".cache", "evoked", "electron.json");
const downloadMs = 180_000;
const forgetAfterMs = 7 * 24 * 3600 * 1000;

/**
 * Electron's program, or the reason why there is none.
 * @param {string} node
 * @param {{ retry: boolean }} options
 * @returns {Promise<{ program: string } | { reason: string }>}
 */
export async function findElectron(node, { retry }) {
  const screen = screenProblem();
  if (screen !== null) return { reason: screen };
  const present = electronProgram();
  if (present !== null) return { program: present };
  const version = readJson(join(packageFolder, "package.json"))?.version;
  if (version === undefined) return { reason: "the electron package is not installed" };
  const failed = readJson(memory);
  if (!retry && failed?.version === version && Date.now() - failed.atMs < forgetAfterMs) {
    return { reason: `Electron ${version} could not be downloaded on ${new Date(failed.atMs).toISOString().slice(0, 10)} (${failed.reason}; "npm start -- --retry-electron" tries again)` };
  }
  say(`downloading Electron ${version} (about 110 MB, at most ${downloadMs / 60_000} minutes), once.`);
  const outcome = await run(node, [join(packageFolder, "install.js")], { quiet: true, timeoutMs: downloadMs, env: { ELECTRON_SKIP_BINARY_DOWNLOAD: undefined } });
  const fetched = electronProgram();
  if (outcome.ok && fetched !== null) return { program: fetched };
  const reason = outcome.timedOut ? `not finished after ${downloadMs / 60_000} minutes` : firstError(outcome.output);
  mkdirSync(dirname(memory), { recursive: true });
  writeFileSync(memory, JSON.stringify({ version, atMs: Date.now(), reason }));
  return { reason: `Electron ${version} could not be downloaded (${reason})` };
}

/** The program's file where it is there; null otherwise. ELECTRON_OVERRIDE_DIST_PATH names a folder with a copy of one's own. */
export function electronProgram() {
  const name = { darwin: "Electron.app/Contents/MacOS/Electron", win32: "electron.exe" }[process.platform] ?? "electron";
  const program = join(process.env.ELECTRON_OVERRIDE_DIST_PATH || join(packageFolder, "dist"), name);
  return existsSync(program) ? program : null;
}

function screenProblem() {
  if (process.platform !== "linux" || process.env.DISPLAY || process.env.WAYLAND_DISPLAY) return null;
  return "this machine has no screen (DISPLAY and WAYLAND_DISPLAY are not set), which Electron needs";
}

/** Why Electron may end as soon as it starts on a Linux; an empty text where nothing is known. */
export function sandboxHint() {
  const restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
  if (process.platform !== "linux" || !existsSync(restricted) || readFileSync(restricted, "utf8").trim() !== "1") return "";
  const helper = join(packageFolder, "dist", "chrome-sandbox");
  return ` This system lets no ordinary program make a sandbox; "sudo chown root:root ${helper} && sudo chmod 4755 ${helper}" allows it for Electron.`;
}

function firstError(output) {
  return output.split("\n").find((line) => /error|ENOTFOUND|ECONN|timeout/i.test(line))?.trim().slice(0, 160) ?? "no reason given";
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}
