// `evoked display-test` is a program of the web host, as `serve` is: the CLI knows its file and nothing else about it.
import { join } from "node:path";
import type { Command } from "commander";

export function registerDisplayTest(program: Command): void {
  program.command("display-test", "test this machine's display with the stimulus window: refresh rate, dropped frames, onset error, verdict", { executableFile: join(import.meta.dirname, "..", "..", "web", "displayTest.ts") });
}
