// The `evoked` command as a process: runs its command line, and ends when whoever started it is gone. Knows nothing about the commands.
import { run } from "./program.ts";
import { exitCodes } from "../engine/exit.ts";
import { announceStarter, onStarterGone } from "../engine/starter.ts";

// A reader such as `head` may have had enough; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});
// As if asked to end: a session that runs is stopped cleanly, a program of its own is told.
onStarterGone(() => {
  if (!process.emit("SIGTERM", "SIGTERM")) process.exit(exitCodes.failed);
});
announceStarter();
process.exitCode = await run(process.argv.slice(2));
