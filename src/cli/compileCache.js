// Keeps TypeScript as it was compiled, for this process and all that it starts: each would strip and compile the same files again, a third of the time
// until it is there. Plain JavaScript: it must itself run on Node 20, which has no such cache.
import module from "node:module";
import { join } from "node:path";

/**
 * Before anything is imported that is worth keeping. Does nothing where the folder cannot be written.
 * @param {string} root the repository's folder
 */
export function keepCompiled(root) {
  process.env.NODE_COMPILE_CACHE ??= join(root, "out", "compile-cache");
  module.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
}
