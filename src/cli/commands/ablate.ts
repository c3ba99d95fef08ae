// `evoked ablate`: options in, an ablation analysis with its report out. Knows nothing about how it is computed.
import { resolve } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { runAblation } from "../../engine/insilico/ablate.ts";
import { parseAlphas, parseEpsilons, parseNames, quoteCommand } from "../../engine/insilico/requests.ts";
import { defaultMeasures } from "../../engine/insilico/measures.ts";
import { recordsOfSweep, sessionOfFit, storeAnalysis } from "../../engine/insilico/storeAnalysis.ts";
import type { StoredAnalysis } from "../../engine/insilico/storeAnalysis.ts";
import { defaultSweep, isOptimizerName } from "../../engine/insilico/sweep.ts";
import type { SweepSettings } from "../../engine/insilico/sweep.ts";
import { gradientImagePx, readClassUnits, readGradientUnits, readNeuronUnits } from "../../engine/insilico/units.ts";
import { withModels } from "../../engine/insilico/withModels.ts";
import { builtInModels, builtInReferences, userModels } from "../../engine/paths.ts";
import { loadReferences } from "../../engine/references.ts";
import { exitCodes } from "../../engine/exit.ts";
import { fault, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createProgress } from "./sessionOptions.ts";

interface AblateOptions {
  readonly model?: string;
  readonly fit?: string;
  readonly units: string;
  readonly layer?: string;
  readonly gradientImages?: string;
  readonly alphas: readonly number[];
  readonly signs: "both" | "positive" | "negative";
  readonly rule: "atMost" | "reach";
  readonly generators: readonly string[];
  readonly runs: number;
  readonly generations: number;
  readonly optimizer?: string;
  readonly population?: number;
  readonly ensemble: readonly string[];
  readonly lpips: string;
  readonly detector: string;
  readonly epsilons: Readonly<Record<string, number>>;
  readonly permutations: number;
  readonly interval: "t" | "bootstrap";
  readonly image: "best" | "mean";
  readonly seed: number;
  readonly provider: string;
  readonly workers?: number;
  readonly out: string;
  readonly session?: string;
  readonly store: boolean;
  readonly json?: true;
}

export function registerAblate(program: Command): void {
  program
    .command("ablate")
    .summary("ablate units in silico and evolve what is left")
    .description("Removes positive or negative weights of linear units step by step, evolves images for what is left, measures them and writes a report.")
    .option("--model <id>", "network whose classes are the units (its last linear layer)")
    .option("--fit <file>", "fit.json of `evoked analyse`: its neuron models are the units")
    .option("--units <list>", 'class numbers or names (with --fit: channel names), comma-separated; "all"; with --fit also "best"', "all")
    .option("--layer <name>", "with --model: ablate at this layer by the sign of the unit's gradient (mean over images), not the last weights")
    .option("--gradient-images <folder>", "with --layer: PNG or JPEG files that the gradient is averaged over (default: the built-in reference images)")
    .addOption(new Option("--alphas <list>", "strengths: FIRST:LAST:STEP or a list").argParser(orUsage(parseAlphas)).default(defaultSweep.alphas, "0:1:0.1"))
    .addOption(new Option("--signs <which>", "weights to remove").choices(["both", "positive", "negative"]).default("both"))
    .addOption(new Option("--rule <reading>", "atMost: the largest k weights that sum to at most alpha of the total; reach: the smallest k that reach it").choices(["atMost", "reach"]).default("atMost"))
    .addOption(new Option("--generators <list>", "generators, see `evoked models list`").argParser(parseNames).default(defaultSweep.generators, "shapes-g2"))
    .option("--runs <n>", "evolutions per unit, condition and generator", wholeFromOne, defaultSweep.runs)
    .option("--generations <n>", "generations of an evolution", wholeFromOne, defaultSweep.generations)
    .option("--optimizer <name>", "optimizer, see `evoked evolve --help` (default: what suits the generator without noise)")
    .option("--population <n>", "images in a population (default: the optimizer's own)", wholeFromOne)
    .addOption(new Option("--ensemble <list>", "networks that judge likeness (default: the network itself)").argParser(parseNames).default([], "the units' own networks"))
    .option("--lpips <id>", "model of the second measure of likeness, or none; measured where it is installed (evoked models fetch lpips-alex)", "lpips-alex")
    .option("--detector <id>", "detector for objectness, or none", "shapes-detector")
    .addOption(new Option("--epsilons <list>", "strength of adversarial training per network, NETWORK=EPSILON in 1/255; two levels or more give the robustness table").argParser(orUsage(parseEpsilons)).default({}, "none"))
    .option("--permutations <n>", "arrangements drawn per test where not all can be looked at", wholeFromOne, defaultMeasures.permutations)
    .addOption(new Option("--interval <kind>", "95 % intervals").choices(["t", "bootstrap"]).default("t"))
    .addOption(new Option("--image <which>", "image of an evolution that is measured: the best one, or the one at the mean of the final search distribution").choices(["best", "mean"]).default("best"))
    .option("--seed <n>", "decides everything random", wholeNumber, 1)
    .option("--provider <name>", "execution provider, or auto", "auto")
    .option("--workers <n>", "model processes (default: one per core on the CPU)", wholeFromOne)
    .requiredOption("--out <folder>", "folder for the sweep and its report; an unfinished sweep in it is resumed")
    .option("--session <file>", "with --fit: session file that keeps the ablations and their images (default: the one that the fit names)")
    .option("--no-store", "with --fit: leave the session as it is")
    .option("--json", "end with one JSON line on standard output")
    .addHelpText(
      "after",
      `
In the folder: index.html (the report, one file), figures/*.svg and *.png, tables/*.csv, images/**.png, measures.json, sweep.json (settings,
hashes), results.jsonl (one evolution a line). Ctrl-C keeps a checkpoint: the same command goes on where it stopped and gives the same numbers.
With --fit the ablations and the images measured are also stored in the session that the models were fitted on (ablations, visualisations), each once.
alpha is the share of the total absolute weight of one sign; 0 is the intact unit, 1 removes the sign.

With --json the last line of standard output is
  {"state", "folder", "report", "wallSeconds", "evaluated", "scored", "curves": [{"id", "network", "over", "control", "points"}], "robustness", "missing",
   "stored": {"session", "added", "known"} or null}

Examples
  evoked ablate --model plain-relu --units star,ring --alphas 0:1:0.25 --runs 3 --generations 50 --out star
  evoked ablate --model plain-relu --units star --layer conv4 --alphas 0,0.5,1 --runs 2 --generations 50 --out star-conv4
  evoked ablate --fit session.analysis/fit.json --units best --runs 5 --out best-unit --json`,
    )
    .action(async (options: AblateOptions) => {
      const folders = [builtInModels, userModels];
      if (options.session !== undefined && options.fit === undefined) return unwrap(fault("unitsMissing", "Expected --fit with --session: only neuron models are of a session."));
      if ((options.model === undefined) === (options.fit === undefined)) return unwrap(fault("unitsMissing", "Expected either --model (classes of a network) or --fit (neuron models), got both or neither."));
      if (options.optimizer !== undefined && !isOptimizerName(options.optimizer)) return unwrap(fault("optimizerUnknown", `Expected an optimizer of evoked evolve --help, got "${options.optimizer}".`));
      const names = options.units === "all" ? "all" : parseNames(options.units);
      if (options.layer !== undefined && options.model === undefined) return unwrap(fault("unitsMissing", "Expected --model with --layer: a neuron model is linear in its own layer and has no other."));
      const { layer, model } = options;
      const units = unwrap(
        layer !== undefined && model !== undefined ? await withModels(folders, options.provider, async (models) => readGradientUnits({ modelFolders: folders, models, network: model, layer, wanted: names, images: unwrap(await loadReferences(options.gradientImages ?? builtInReferences, gradientImagePx)).map(({ image }) => image) }))
        : options.fit !== undefined ? await readNeuronUnits(options.fit, options.units === "best" ? "best" : names) : await readClassUnits(folders, options.model ?? "", names),
      );
      const settings: SweepSettings = {
        seed: options.seed, generators: options.generators, optimizer: options.optimizer !== undefined && isOptimizerName(options.optimizer) ? options.optimizer : null, population: options.population ?? null,
        generations: options.generations, runs: options.runs, signs: options.signs === "both" ? ["positive", "negative"] : [options.signs], alphas: options.alphas, rule: options.rule,
      };
      const stop = new AbortController();
      const interrupt = (): void => stop.abort();
      process.once("SIGINT", interrupt);
      process.once("SIGTERM", interrupt);
      const progress = createProgress();
      const result = await runAblation({
        units, settings,
        measures: {
          of: options.image, perceptual: options.lpips === "none" ? null : options.lpips, ensemble: options.ensemble.length > 0 ? options.ensemble : [...new Set(units.map((unit) => unit.network))], detector: options.detector === "none" ? null : options.detector,
          permutations: options.permutations, interval: options.interval, seed: options.seed, epsilons: options.epsilons,
        },
        folder: resolve(options.out), modelFolders: folders, provider: options.provider, ...(options.workers === undefined ? {} : { workers: options.workers }),
        command: quoteCommand(process.argv.slice(2)),
        control: { stop: stop.signal },
        onNotice: (message) => process.stderr.write(`${message}\n`),
        onProgress: ({ share, group, generation, generations, groupsDone, groups }) => progress.show(share, `${group.unit}, run ${group.run + 1}, generation ${generation} of ${generations} (${groupsDone} of ${groups} done)`),
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
      const stored = options.fit === undefined || !options.store ? null : await storeInSession(options.fit, options.session ?? null, { units, settings, head: outcome.head, images: outcome.images, of: options.image });
      if (stored !== null && !stored.ok) process.stderr.write(`The ablations are not stored in a session: ${stored.error.message}\n`);
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify({ state: outcome.state, folder: outcome.folder, report: outcome.written[0], wallSeconds: outcome.wallSeconds, evaluated: outcome.evaluated, scored: outcome.scored, curves: outcome.measures?.curves.map(({ id, network, over, control, points }) => ({ id, network, over, control, points })), robustness: outcome.measures?.robustness, missing: outcome.measures?.missing, stored: stored?.ok === true ? { session: stored.value.file, added: stored.value.added, known: stored.value.known } : null })}\n`);
        return;
      }
      const lines = (outcome.measures?.curves ?? []).flatMap((curve) => [
        `${curve.title}, ${curve.network} (${curve.over})`,
        `  intact ${curve.control?.mean.toFixed(3) ?? "-"}`,
        ...curve.points.map((point) => `  ${point.sign.padEnd(8)} ${point.alpha.toFixed(2)}  ${point.mean.toFixed(3).padStart(9)}${point.p === null ? "" : `  p ${point.p.toPrecision(2)}`}`),
      ]);
      process.stdout.write(`${lines.join("\n")}\n${outcome.evaluated} images in ${outcome.wallSeconds.toFixed(1)} s\nReport: ${outcome.written[0]}\n`);
      if (stored?.ok === true) process.stdout.write(`Stored: ${stored.value.added} ablations and images in ${stored.value.file}${stored.value.known > 0 ? `, ${stored.value.known} were there` : ""}\n`);
    });
}

/** Errors: those of storeAnalysis, `sessionUnknown`. */
async function storeInSession(fit: string, named: string | null, sweep: Parameters<typeof recordsOfSweep>[0]): Promise<Result<StoredAnalysis, Fault>> {
  const of = await sessionOfFit(fit);
  const file = named ?? of?.file ?? null;
  if (file === null) return fault("sessionUnknown", `${fit} does not say which session it is of. Name the session with --session, or leave it as it is with --no-store.`);
  return storeAnalysis(resolve(file), recordsOfSweep(sweep), { hostKind: "cli", sessionId: of?.id ?? null });
}

/** A parser that throws sentences becomes one that commander understands. */
function orUsage<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
    }
  };
}

function wholeFromOne(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Expected a whole number from 1 up.");
  return value;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value)) throw new InvalidArgumentError("Expected a whole number.");
  return value;
}
