// Builds the native addon (native/) where it is older than its sources and no prebuilt one is there. Without a compiler there is none, which
// is said once; the drivers that need it say it again. Plain JavaScript for Node 20; node-gyp comes from node_modules.
import { accessSync, constants, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { newestMs } from "./build.mjs";
import { root, run, say } from "./say.mjs";

const native = join(root, "native");
const product = join(native, "build", "Release", "evoked.node");
/** Holds what went wrong, so that a compiler that cannot do it is not asked again at every start. */
const failure = join(native, "build.failed");
const sources = ["binding.gyp", "binding", "kernel"];

/**
 * Where there is a compiler, builds what is missing. Answers null, or a sentence on why there is no addon.
 * @param {string} node the Node that runs the app
 * @returns {Promise<string | null>}
 */
export async function buildAddon(node) {
  const sourceMs = Math.max(...sources.map((source) => newestMs(join(native, source))));
  const builtMs = existsSync(product) ? statSync(product).mtimeMs : null;
  if (builtMs !== null && sourceMs <= builtMs) return null;
  if (builtMs === null && hasPrebuild()) return null;
  const missing = missingTool();
  if (missing !== null) return tell(`the native addon (drivers for Blackrock by receive thread, and Plexon) is not built: ${missing}. Everything else runs without it.`);
  if (existsSync(failure) && statSync(failure).mtimeMs >= sourceMs) return tell(readFileSync(failure, "utf8"));
  say(`building the native addon (node-gyp, half a minute): ${builtMs === null ? "not built yet" : "sources are newer"}.`);
  // The package of Node that runs the app brings its headers; without them node-gyp downloads some.
  const headers = dirname(dirname(node));
  const nodedir = existsSync(join(headers, "include", "node", "node_api.h")) ? [`--nodedir=${headers}`] : [];
  const outcome = await run(node, [join("node_modules", "node-gyp", "bin", "node-gyp.js"), builtMs === null ? "rebuild" : "build", "-C", "native", ...nodedir], { quiet: true, timeoutMs: 600_000 });
  if (outcome.ok && existsSync(product)) {
    rmSync(failure, { force: true });
    return null;
  }
  const lines = outcome.output.split("\n").map((line) => line.trim()).filter((line) => /error|not found|ERR!/i.test(line));
  const sentence = `the native addon could not be built (${(lines[0] ?? `exit code ${outcome.code}`).slice(0, 300)}); drivers that need it are not there. Everything else runs without it.`;
  writeFileSync(failure, sentence);
  return tell(sentence);
}

function tell(sentence) {
  say(sentence);
  return sentence;
}

function hasPrebuild() {
  const folder = join(native, "prebuilds", `${process.platform}-${process.arch}`);
  return existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(".node"));
}

/** What node-gyp cannot do without; null where it is all there. On Windows it looks for Visual Studio itself. */
function missingTool() {
  if (!existsSync(join(root, "node_modules", "node-gyp", "bin", "node-gyp.js"))) return "node-gyp is not installed";
  if (process.platform === "win32") return null;
  if (!onPath(["c++", "g++", "clang++"])) return "there is no C++ compiler here (Debian: apt-get install g++ make; macOS: xcode-select --install)";
  if (!onPath(["make", "gmake"])) return "there is no make here (Debian: apt-get install make)";
  if (!onPath(["python3", "python"])) return "there is no Python here, which node-gyp needs";
  return null;
}

/** @param {readonly string[]} names */
export function onPath(names) {
  return names.some((name) => (process.env.PATH ?? "").split(delimiter).filter(Boolean).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  }));
}
