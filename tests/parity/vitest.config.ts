import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/parity/*.parity.ts"],
    pool: "forks",
    // One at a time: each case holds a network of up to 140 million weights twice.
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 900_000,
    hookTimeout: 60_000,
  },
});
