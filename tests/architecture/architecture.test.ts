// The shape of the code as DESIGN.md and ARCHITECTURE.md give it: who may import whom, what pure means, how a file opens.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { folderOfImport, importsOf, mayImport, packagesOf, pureFolders, readSources, root } from "./sources.ts";
import type { SourceFile } from "./sources.ts";

const sources = readSources("src");
const folders = Object.keys(mayImport);

/** What in a file crosses a border it may not cross. */
function borderBreaches(file: SourceFile): readonly string[] {
  const allowed = [file.folder, ...(mayImport[file.folder] ?? [])];
  return importsOf(file.text).flatMap((specifier) => {
    if (specifier.startsWith(".")) {
      const target = folderOfImport(file, specifier);
      // package.json's version, the repository's folder itself, and the addon behind acquisition.
      if (target === null) return /(package\.json|\.\.\/)$/.test(specifier) || (file.folder === "acquisition" && specifier.includes("/native/")) ? [] : [`${file.path} reaches out of src by "${specifier}"`];
      return allowed.includes(target) ? [] : [`${file.path} imports "${specifier}", but ${file.folder} may import only ${allowed.join(", ")}`];
    }
    const packages = packagesOf[file.folder];
    const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
    return packages === undefined || packages.includes(name) ? [] : [`${file.path} imports the package "${specifier}", but ${file.folder} is pure`];
  });
}

test("every folder of src has its place in the rule", () => {
  expect(readdirSync(join(root, "src")).sort()).toEqual([...folders].sort());
});

test.each(folders)("%s imports only what DESIGN.md lets it import", (folder) => {
  const files = sources.filter((file) => file.folder === folder);
  expect(files.length).toBeGreaterThan(0);
  expect(files.flatMap(borderBreaches)).toEqual([]);
});

test("a breach is seen in every form an import can take", () => {
  const breach = (text: string): number => borderBreaches({ path: "src/loop/x.ts", folder: "loop", text }).length;
  expect(breach('import { a } from "../engine/engine.ts";')).toBe(1);
  expect(breach('import type { a,\n  b } from "../session/reader.ts";')).toBe(1);
  expect(breach('export * from "../models/client.ts";')).toBe(1);
  expect(breach('const a = await import("../main/app.ts");')).toBe(1);
  expect(breach('import "node:fs";')).toBe(1);
  expect(breach('import { z } from "ws";')).toBe(1);
  expect(breach('new Worker(new URL("../session/writer.worker.ts", import.meta.url))')).toBe(1);
  expect(breach('import { b } from "../../scripts/x.mjs";')).toBe(1);
  expect(breach('import { c } from "./clock.ts";\nimport { d } from "../shared/rng.ts";\n// from "../engine/x.ts"')).toBe(0);
});

const tsconfig = z.object({ references: z.array(z.object({ path: z.string() })).default([]), compilerOptions: z.object({ types: z.array(z.string()).optional(), lib: z.array(z.string()).optional() }) });

function readTsconfig(folder: string): z.infer<typeof tsconfig> {
  return tsconfig.parse(JSON.parse(readFileSync(join(root, "src", folder, "tsconfig.json"), "utf8")));
}

test.each(folders)("the compiler enforces the same for %s", (folder) => {
  const references = readTsconfig(folder).references.map(({ path }) => path.replace("../", ""));
  expect(references.sort()).toEqual([...(mayImport[folder] ?? [])].sort());
});

test.each(pureFolders)("%s is compiled without Node's and the browser's types", (folder) => {
  const { compilerOptions } = readTsconfig(folder);
  expect(compilerOptions.types ?? []).toEqual([]);
  expect(compilerOptions.lib ?? []).toEqual([]);
});

describe("ARCHITECTURE.md", () => {
  const file = join(root, "ARCHITECTURE.md");

  test.skipIf(!existsSync(file))("names the same directions as the tsconfigs", () => {
    const rows = [...readFileSync(file, "utf8").matchAll(/^\|\s*`(\w+)`\s*\|([^|\n]*)\|/gm)].map((row) => [row[1] ?? "", [...(row[2] ?? "").matchAll(/`(\w+)`/g)].map((name) => name[1] ?? "").sort()] as const);
    expect(Object.fromEntries(rows.filter(([folder]) => folders.includes(folder)))).toEqual(Object.fromEntries(folders.map((folder) => [folder, readTsconfig(folder).references.map(({ path }) => path.replace("../", "")).sort()])));
  });
});

test("pure folders know no clock, no chance and no machine", () => {
  const impure = /\b(Date\.now|new Date|performance\.now|Math\.random|setTimeout|setInterval|console\.\w+|process\.\w+|globalThis|crypto\.\w+|fetch\()/;
  const found = sources.filter((file) => pureFolders.some((folder) => folder === file.folder)).flatMap((file) => withoutComments(file.text).split("\n").flatMap((line, index) => impure.test(line) ? [`${file.path}:${index + 1} ${line.trim()}`] : []));
  expect(found).toEqual([]);
});

test("every file opens by saying what it owns", () => {
  const opens = [...sources, ...readSources("scripts"), ...readSources("bench")].filter((file) => !/^(#!.*\n)?(\/\/ |\/\*\*? )\S/.test(file.text));
  expect(opens.map((file) => file.path)).toEqual([]);
});

/** Tables of data, not of thought. */
const longFilesWithReason: Readonly<Record<string, string>> = {};

test("no file has grown past the size that one head holds", () => {
  const codeLines = (file: SourceFile): number => withoutComments(file.text).split("\n").filter((line) => line.trim() !== "").length;
  const long = sources.filter((file) => codeLines(file) > 600 && longFilesWithReason[file.path] === undefined && !file.path.endsWith(".css"));
  expect(long.map((file) => `${file.path}: ${codeLines(file)} lines of code`)).toEqual([]);
});

test("nothing in the repository names a folder of somebody's machine", () => {
  const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0").filter((path) => /\.(ts|tsx|mjs|js|json|md|yml|css|html|py|sh)$|^\.ci\/run$/.test(path) && path !== "package-lock.json" && !path.startsWith("tests/fixtures/"));
  const own = new RegExp(["/wo" + "rk/", "/ro" + "ot/", "/home/(?!lab/)[a-z]+/", "[A-Z]:\\\\\\\\?Users\\\\"].join("|"));
  const allowed = new Set(["tests/architecture/architecture.test.ts", "tests/unit/web/browser.test.ts"]);
  const found = tracked.filter((path) => !allowed.has(path) && existsSync(join(root, path))).flatMap((path) => readFileSync(join(root, path), "utf8").split("\n").flatMap((line, index) => own.test(line) ? [`${path}:${index + 1}`] : []));
  expect(found).toEqual([]);
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}
