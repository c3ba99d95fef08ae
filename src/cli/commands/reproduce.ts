// `evoked reproduce`: published results on this machine, with what was reproduced and what was not. Knows nothing about how.
import { resolve } from "node:path";
import { Argument, InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { deskSizes, reproduceDesk } from "../../engine/insilico/reproduce.ts";
import { quoteCommand } from "../../engine/insilico/requests.ts";
import { exitCodes } from "../../engine/exit.ts";
import { builtInModels, userModels } from "../../engine/paths.ts";
import { unwrap } from "../../shared/result.ts";
import { createProgress } from "./sessionOptions.ts";

interface ReproduceOptions {
  readonly out: string;
  readonly seed: number;
  readonly runs: number;
  readonly generations: number;
  readonly population: number;
  readonly workers?: number;
  readonly json?: true;
}

export function registerReproduce(program: Command): void {
  program
    .command("reproduce")
    .summary("repeat published experiments on the built-in networks")
    .description("desk: the ablation experiment on a ReLU network, its adversarially trained twins and a Tanh network. Trains nothing; some six minutes on two free cores.")
    .addArgument(new Argument("<experiment>", "what to repeat").choices(["desk"]))
    .requiredOption("--out <folder>", "folder for the report; an unfinished run in it is resumed")
    .option("--seed <n>", "decides everything random", parseSeed, 1)
    .option("--runs <n>", "evolutions per unit and condition", wholeFromOne, deskSizes.runs)
    .option("--generations <n>", "generations of an evolution", wholeFromOne, deskSizes.generations)
    .option("--population <n>", "images in a population", wholeFromOne, deskSizes.population)
    .option("--workers <n>", "model processes (default: one per core)", wholeFromOne)
    .option("--json", "end with one JSON line on standard output")
    .addHelpText(
      "after",
      `
Evolves images for the ten class units of each network, intact and with half or all of the positive or negative weights removed, and tests what
SPEC 10 says should come out. The report states for every statement whether it was reproduced, with its test.
With --json: {"state", "folder", "report", "wallSeconds", "evaluated", "verdicts": [{"claim", "holds", "p", "evidence"}]}

Example
  evoked reproduce desk --out desk`,
    )
    .action(async (_experiment: "desk", options: ReproduceOptions) => {
      const stop = new AbortController();
      const interrupt = (): void => stop.abort();
      process.once("SIGINT", interrupt);
      process.once("SIGTERM", interrupt);
      const progress = createProgress();
      const result = await reproduceDesk({
        folder: resolve(options.out), modelFolders: [builtInModels, userModels], seed: options.seed, runs: options.runs, generations: options.generations, population: options.population,
        ...(options.workers === undefined ? {} : { workers: options.workers }),
        command: quoteCommand(process.argv.slice(2)), control: { stop: stop.signal },
        onProgress: ({ share, group, groupsDone, groups }) => progress.show(share, `${group.unit}, run ${group.run + 1} (${groupsDone} of ${groups} done)`),
      });
      progress.end();
      process.off("SIGINT", interrupt);
      process.off("SIGTERM", interrupt);
      const outcome = unwrap(result);
      if (outcome.state === "stopped") {
        process.stderr.write(`Stopped with a checkpoint in ${outcome.folder}. The same command goes on from there.\n`);
        process.exitCode = exitCodes.interrupted;
        return;
      }
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify({ state: outcome.state, folder: outcome.folder, report: outcome.written[0], wallSeconds: outcome.wallSeconds, evaluated: outcome.evaluated, verdicts: outcome.verdicts })}\n`);
        return;
      }
      for (const verdict of outcome.verdicts) process.stdout.write(`${verdict.holds ? "reproduced    " : "NOT reproduced"}  ${verdict.claim}\n                ${verdict.evidence}\n`);
      process.stdout.write(`${outcome.evaluated} images in ${outcome.wallSeconds.toFixed(0)} s\nReport: ${outcome.written[0]}\n`);
    });
}

function wholeFromOne(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Expected a whole number from 1 up.");
  return value;
}

function parseSeed(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value)) throw new InvalidArgumentError("Expected a whole number.");
  return value;
}
