// Folders for session files: made with the folders above them, and checked. Knows nothing about what goes into them.
import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fault, ok } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";

/**
 * One folder after the other: Node's own recursive mkdir never returns on file systems that refuse new folders with "not found", such as /proc.
 * Throws the system's error where a folder cannot be made or a file is in the way.
 */
export function makeFolder(folder: string): void {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.push(at);
  for (const path of missing.reverse()) {
    try {
      mkdirSync(path);
    } catch (error) {
      // Another process may have made it in between.
      if (!existsSync(path)) throw error;
    }
  }
}

/** Makes the folder where it is missing and makes sure that files can be written there. Errors: `notWritable`. */
export function checkWritable(folder: string): Result<null, Fault> {
  try {
    makeFolder(folder);
    if (!statSync(folder).isDirectory()) return fault("notWritable", `Expected a folder for session files at ${folder}, got a file. Choose another folder.`);
    accessSync(folder, constants.W_OK);
    return ok(null);
  } catch (error) {
    return fault("notWritable", `Expected a folder that session files can be written to at ${folder}, got: ${error instanceof Error ? error.message : String(error)}. Choose another folder, or give yourself the right to write there.`);
  }
}
