// Builds the two windows into out/renderer: plain files that the web host serves and Electron loads from disk.
// No inline scripts and no inlined assets: the hosts' content security policy allows neither. Knows nothing else about the hosts.
import { resolve } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const root = resolve(import.meta.dirname, "src/renderer");

export default defineConfig({
  root,
  base: "./",
  plugins: [react()],
  worker: { format: "es" },
  build: {
    outDir: resolve(import.meta.dirname, "out/renderer"),
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    rollupOptions: { input: { operator: resolve(root, "index.html"), stimulus: resolve(root, "stimulus.html") } },
  },
});
