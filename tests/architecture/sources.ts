// What the architecture tests read: source files, their imports, and the rule of who may import whom. Knows no rule itself but that.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";

export const root = resolve(import.meta.dirname, "..", "..");

/** DESIGN.md, "Who may import whom". A folder may always import itself. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  evolve: ["shared"],
  analysis: ["shared"],
  loop: ["shared", "evolve", "analysis"],
  models: ["shared"],
  session: ["shared"],
  acquisition: ["shared"],
  engine: ["shared", "evolve", "analysis", "loop", "models", "session", "acquisition"],
  main: ["engine", "shared"],
  web: ["engine", "shared"],
  cli: ["engine", "shared"],
  renderer: ["shared"],
};

/** Packages a folder may use; none named = any. Pure folders compute, and zod is how shared describes data. */
export const packagesOf: Readonly<Record<string, readonly string[]>> = { shared: ["zod"], evolve: [], analysis: [], loop: ["zod"] };

export const pureFolders = ["shared", "evolve", "analysis", "loop"] as const;

export interface SourceFile {
  /** Relative to the repository, with /. */
  readonly path: string;
  readonly folder: string;
  readonly text: string;
}

/** All source files below a folder of the repository. */
export function readSources(folder: string): readonly SourceFile[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|tsx|mjs|js|css)$/.test(entry.name))
    .map((entry) => {
      const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join("/");
      return { path, folder: path.split("/")[1] ?? "", text: readFileSync(join(root, path), "utf8") };
    })
    .sort((a, b) => a.path.localeCompare(b.path));
}

/** Module names of static and dynamic imports, re-exports, and files started by their URL, as they are written. */
export function importsOf(text: string): readonly string[] {
  const code = text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
  const patterns = [/(?:^|[\s;}])(?:import|export)\s[^"';]*?from\s*["']([^"']+)["']/g, /(?:^|[\s;}])import\s*["']([^"']+)["']/g, /\bimport\(\s*["']([^"']+)["']\s*\)/g, /\brequire\(\s*["']([^"']+)["']\s*\)/g, /new URL\(\s*["'](\.[^"']+)["']\s*,\s*import\.meta\.url\s*\)/g];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ""));
}

/** The src folder that a relative import leads to; null where it leaves src. */
export function folderOfImport(file: SourceFile, specifier: string): string | null {
  const target = relative(join(root, "src"), resolve(root, dirname(file.path), specifier)).split(sep);
  return target[0] === ".." || target[0] === undefined ? null : target[0];
}
