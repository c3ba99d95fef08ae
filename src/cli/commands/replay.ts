// `evoked replay`: recomputes a recorded session and compares. Knows nothing about how it is replayed.
import type { Command } from "commander";
import { verifySession } from "../../engine/replay.ts";
import { complain, createProgress } from "./sessionOptions.ts";

export function registerReplay(program: Command): void {
  program
    .command("replay <file>")
    .summary("replay a session and compare every decision with the recording")
    .description(
      "Feeds the recorded spikes, eye samples, marks, display reports and operator actions to the same decisions as fast as the machine allows\nand compares every score, presentation, trial, generation and optimizer state with the recording, bit for bit.",
    )
    .option("--verify", "compare with the recording (the default)")
    .option("--json", "end with one JSON line on standard output")
    .addHelpText("after", "\nExit code 0: identical. 1: a difference (the first one is named) or a file that cannot be read.\n\nExample\n  evoked replay session.evoked --verify")
    .action(async (file: string, flags: { readonly json?: boolean }) => {
      const progress = createProgress();
      const verified = await verifySession(file, (share) => progress.show(share, "replaying"));
      progress.end();
      if (!verified.ok) return complain(verified.error);
      const report = verified.value;
      if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
      else {
        for (const [kind, count] of Object.entries(report.compared)) process.stdout.write(`${kind.padEnd(14)} ${String(count).padStart(8)} identical\n`);
        process.stdout.write(`${report.sessionSeconds.toFixed(1)} s of session in ${report.wallSeconds.toFixed(2)} s: ${(report.sessionSeconds / report.wallSeconds).toFixed(0)} times real time\n`);
        const d = report.firstDifference;
        process.stdout.write(d === null ? "identical\n" : `first difference at record ${d.seq} (${d.kind}${d.field === "" ? "" : `, ${d.field}`}):\n  recorded ${d.recorded}\n  replayed ${d.replayed}\n`);
      }
      if (!report.identical) process.exitCode = 1;
    });
}
