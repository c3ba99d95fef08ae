// `evoked replay`: recomputes a recorded session and compares. Knows nothing about how it is replayed.
import type { Command } from "commander";
import { verifySession } from "../../engine/replay.ts";
import { whatIf } from "../../engine/whatIf.ts";
import { complain, createProgress, wholeNumber } from "./sessionOptions.ts";

export function registerReplay(program: Command): void {
  program
    .command("replay <file>")
    .summary("replay a session and compare every decision with the recording")
    .description(
      "Feeds the recorded spikes, eye samples, marks, display reports and operator actions to the same decisions as fast as the machine allows\nand compares every score, presentation, trial, generation and optimizer state with the recording, bit for bit.",
    )
    .option("--verify", "compare with the recording (the default)")
    .option("--window <from:to>", "what if: another response window, ms after the onset, e.g. 50:150")
    .option("--target <channel>", "what if: another target channel", wholeNumber)
    .option("--optimizer <name>", "what if: another optimizer, on a model of the recorded responses")
    .option("--json", "end with one JSON line on standard output")
    .addHelpText("after", "\nExit code 0: identical. 1: a difference (the first one is named) or a file that cannot be read.\n\nWith --window, --target or --optimizer nothing is verified: the recorded responses are scored anew and reported beside the recorded scores.\n\nExamples\n  evoked replay session.evoked --verify\n  evoked replay session.evoked --window 50:150 --target 12")
    .action(async (file: string, flags: { readonly json?: boolean; readonly window?: string; readonly target?: number; readonly optimizer?: string }) => {
      if (flags.window !== undefined || flags.target !== undefined || flags.optimizer !== undefined) return showWhatIf(file, flags);
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

function showWhatIf(file: string, flags: { readonly json?: boolean; readonly window?: string; readonly target?: number; readonly optimizer?: string }): void {
  const window = flags.window === undefined ? null : /^(-?[\d.]+):(-?[\d.]+)$/.exec(flags.window);
  if (flags.window !== undefined && window === null) return complain({ code: "badWindow", message: `Expected a window as from:to in ms, e.g. 50:150, got "${flags.window}".` });
  const report = whatIf(file, {
    ...(window === null ? {} : { windowStartMs: Number(window[1]), windowEndMs: Number(window[2]) }),
    ...(flags.target === undefined ? {} : { target: flags.target }),
    ...(flags.optimizer === undefined ? {} : { optimizer: flags.optimizer }),
  });
  if (!report.ok) return complain(report.error);
  const { value } = report;
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(value)}\n`);
    return;
  }
  const cell = (v: number): string => (Number.isNaN(v) ? "-" : v.toFixed(1)).padStart(8);
  process.stdout.write(`channel ${value.target}, ${value.windowStartMs} to ${value.windowEndMs} ms, mean rates in spikes/s\n             recorded            otherwise\ngeneration   evolved  reference   evolved  reference\n`);
  for (const g of value.generations) process.stdout.write(`${String(g.generation).padStart(10)}  ${cell(g.recorded.evolved)}   ${cell(g.recorded.reference)}  ${cell(g.otherwise.evolved)}   ${cell(g.otherwise.reference)}\n`);
  const s = value.surrogate;
  if (s === null) return;
  process.stdout.write(`\n${s.optimizer} on a ridge model of the recorded responses (cross-validated r2 ${s.r2.toFixed(2)}), predicted spikes/s\ngeneration  recorded optimizer  ${s.optimizer}\n`);
  s.recordedOptimizer.forEach((v, i) => process.stdout.write(`${String(i).padStart(10)}  ${cell(v)}            ${cell(s.otherOptimizer[i] ?? Number.NaN)}\n`));
}
