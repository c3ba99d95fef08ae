// Brings node_modules to what package-lock.json says. Plain JavaScript for Node 20, with nothing installed.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeMissingNode, findNode24 } from "../../src/cli/node24.js";
import { root, run, say, stop } from "./say.mjs";

const nodeMajorMin = 20;

/** Installs what is missing and answers the Node that runs the app; ends the script with a sentence where that cannot be. */
export async function prepare() {
  if (Number.parseInt(process.versions.node, 10) < nodeMajorMin) stop(`Expected Node ${nodeMajorMin} or later, got ${process.versions.node}. Install a newer Node and run this again.`);
  const why = whyStale(root);
  if (why !== null) await install(why);
  const node = findNode24(root);
  if (node === null) stop(describeMissingNode());
  return node;
}

/**
 * Why node_modules does not hold what the lock file names; null where it does. Optional packages of other systems may be absent.
 * @param {string} folder
 * @returns {string | null}
 */
export function whyStale(folder) {
  const installed = readPackages(join(folder, "node_modules", ".package-lock.json"));
  if (installed === null) return "node_modules is missing";
  const wanted = readPackages(join(folder, "package-lock.json"));
  if (wanted === null) return null;
  const wrong = Object.entries(wanted).filter(([path, entry]) => path !== "" && !entry.optional && !entry.devOptional && installed[path]?.version !== entry.version);
  if (wrong.length > 0) {
    const [path, entry] = wrong[0];
    const name = path.replace(/^.*node_modules\//, "");
    return `node_modules has ${installed[path]?.version ?? "no"} ${name} where package-lock.json wants ${entry.version}${wrong.length > 1 ? `, and ${wrong.length - 1} more packages differ` : ""}`;
  }
  return findNode24(folder) === null ? "node_modules holds no Node 24 for this system" : null;
}

function readPackages(file) {
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
  } catch {
    return null;
  }
}

async function install(why) {
  // On Windows a program that runs cannot be deleted, and `npm ci` would delete the Node that runs this.
  const verb = process.platform === "win32" && existsSync(join(root, "node_modules")) ? "install" : "ci";
  say(`${why}: installing the packages of package-lock.json (npm ${verb}, a minute or two, about 1 GB).`);
  const npm = npmProgram();
  // Electron's program is fetched by start.mjs, with a limit on time, and ONNX Runtime's further providers not at all.
  const outcome = await run(npm.program, [...npm.args, verb, "--no-audit", "--no-fund", "--loglevel=error"], { shell: npm.shell, env: { ELECTRON_SKIP_BINARY_DOWNLOAD: "1", ONNXRUNTIME_NODE_INSTALL: "skip" } });
  if (!outcome.ok) stop(`npm ${verb} did not finish (${outcome.signal ?? `exit code ${outcome.code}`}); its reason stands above. Mostly the package registry cannot be reached or the disk is full.`);
}

/** npm as it runs this script, else the one on the PATH. */
function npmProgram() {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && /npm-cli\.c?js$/.test(cli) && existsSync(cli)) return { program: process.env.npm_node_execpath ?? process.execPath, args: [cli], shell: false };
  return { program: "npm", args: [], shell: process.platform === "win32" };
}
