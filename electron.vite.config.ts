// Builds main process, engine, models and preload for Electron into out/main and out/preload. The windows are vite.config.ts's.
// Every source file keeps its place (out/main/engine/process.js ...), so that files that start each other find each other.
import { globSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "electron-vite";
import type { Plugin } from "vite";

const source = resolve(import.meta.dirname, "src");

export default defineConfig({
  main: {
    plugins: [startedFiles()],
    build: {
      outDir: "out/main",
      target: "node24",
      minify: false,
      externalizeDeps: true,
      rollupOptions: {
        // Workers are found by their name, so that a new one is not forgotten here.
        input: ["main/main.ts", "engine/process.ts", "models/process.ts", ...globSync("{engine,session,models,acquisition}/**/*.worker.ts", { cwd: source })].map((file) => resolve(source, file)),
        output: { format: "es", preserveModules: true, preserveModulesRoot: source, entryFileNames: "[name].js" },
      },
    },
  },
  preload: {
    build: {
      outDir: "out/preload",
      // A sandboxed preload is one CommonJS file.
      externalizeDeps: false,
      rollupOptions: { input: resolve(source, "main/preload.ts"), external: ["electron"], output: { format: "cjs", entryFileNames: "preload.cjs" } },
    },
  },
});

/** Workers and processes are started by their file: `new URL("./x.ts", import.meta.url)` is x.js once built. */
function startedFiles(): Plugin {
  return {
    name: "evoked-started-files",
    transform: (code) => code.includes("import.meta.url") ? code.replace(/new URL\("(\.{1,2}\/[\w./-]+)\.ts",\s*import\.meta\.url\)/g, 'new URL("$1.js", import.meta.url)') : null,
  };
}
