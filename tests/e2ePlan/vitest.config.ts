// The planned session end to end, in a command of its own (`npm run e2e:plan`): it takes minutes. EVOKED_TEST_BROWSER names the browser.
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: resolve(import.meta.dirname, "..", ".."),
    include: ["tests/e2ePlan/**/*.test.ts"],
    pool: "forks",
    fileParallelism: false,
    // What one test leaves, the next one goes on with.
    bail: 1,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // As in the other end-to-end tests: what is expected on a page is waited for.
    expect: { poll: { timeout: 30_000, interval: 50 } },
  },
});
