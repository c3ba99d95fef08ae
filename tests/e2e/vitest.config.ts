// End-to-end tests: a real browser on the web host with the real engine. `npm test` names the browser in EVOKED_TEST_BROWSER.
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, "..", ".."),
    include: ["tests/e2e/**/*.test.ts"],
    pool: "forks",
    // One browser at a time: the stimulus draws in real time.
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 60_000,
    // A page shows what was done to it when it gets to it: what a test expects there, it waits for, and a busy machine needs its time.
    expect: { poll: { timeout: 30_000, interval: 50 } },
  },
});
