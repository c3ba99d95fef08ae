// `evoked serve` is the web host's own program, run as a process of its own: the CLI knows its file and nothing else about it.
import { join } from "node:path";
import type { Command } from "commander";

export function registerServe(program: Command): void {
  program.command("serve", "open the app in a browser, served by this machine", { executableFile: join(import.meta.dirname, "..", "..", "web", "main.ts") });
}
