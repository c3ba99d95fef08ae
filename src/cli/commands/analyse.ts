// `evoked analyse`: neuron models of a recorded session, with a report. Knows nothing about how models are fitted.
import { resolve } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { analyseSession } from "../../engine/insilico/analyse.ts";
import { withModels } from "../../engine/insilico/withModels.ts";
import { parseNames, quoteCommand } from "../../engine/insilico/requests.ts";
import { builtInModels, userModels } from "../../engine/paths.ts";
import { unwrap } from "../../shared/result.ts";
import type { ImageKind } from "../../shared/values.ts";

interface AnalyseOptions {
  readonly encoder: string;
  readonly layer?: string;
  readonly method: "pls" | "lasso" | "ridge";
  readonly components: number;
  readonly positive?: true;
  readonly split: "holdOut" | "folds" | "none";
  readonly folds: number;
  readonly kinds?: readonly ImageKind[];
  readonly unit?: string;
  readonly seed: number;
  readonly provider: string;
  readonly out?: string;
  readonly store: boolean;
  readonly json?: true;
}

const imageKinds: readonly ImageKind[] = ["evolved", "reference", "mapping", "diverse", "model", "perturbed", "free"];

export function registerAnalyse(program: Command): void {
  program
    .command("analyse")
    .summary("fit neuron models to a recorded session")
    .description("Fits a linear model of every unit of a session on the features of the images it saw, validates the best one on model images where they were shown, and writes a report.")
    .argument("<session>", "session file")
    .option("--encoder <id>", "network whose features are used", "plain-relu")
    .option("--layer <name>", "layer of it (default: its penultimate one)")
    .addOption(new Option("--method <name>", "regression").choices(["pls", "lasso", "ridge"]).default("pls"))
    .option("--components <n>", "PLS components", wholeFromOne, 1)
    .option("--positive", "lasso with positive weights only")
    .addOption(new Option("--split <how>", "holdOut keeps 20 % of the images for testing, folds tests by cross-validation").choices(["holdOut", "folds", "none"]).default("holdOut"))
    .option("--folds <n>", "folds of that cross-validation", wholeFromOne, 5)
    .addOption(new Option("--kinds <list>", `images to fit on, of ${imageKinds.join(", ")} (default: diverse where there are any, else all)`).argParser(parseKinds))
    .option("--unit <name>", "channel to validate (default: the best one)")
    .option("--seed <n>", "seed of the split, the folds and the permutations", wholeNumber, 1)
    .option("--provider <name>", "execution provider, or auto", "auto")
    .option("--out <folder>", "folder for the fit and the report (default: SESSION.analysis beside the session)")
    .option("--no-store", "leave the session as it is: the models go into the folder only")
    .option("--json", "end with one JSON line on standard output")
    .addHelpText(
      "after",
      `
In the folder: index.html, fit.json (every unit's scores, weights' distribution, measured and predicted rates), *.weights.npy [units, features] and
*.intercepts.npy in raw activation space, figures, tables, and features/ (activations kept by image and model hash for the next time).
The models are also stored in the session file (neuron_models), each once; a session that is being recorded or cannot be written is analysed
without.
Model images are told apart by their file names as evoked ablate writes them: control-*, positive-0.50-*, negative-1.00-*.

With --json the last line of standard output is
  {"session", "folder", "fit", "report", "images", "best": {"unit", "r2Test", "r", "ceilingR", "noiseCorrectedR"}, "units": [...],
   "stored": {"added", "known"} or null}

Example
  evoked analyse session.evoked --json && evoked ablate --fit session.analysis/fit.json --units best --runs 5 --out best-unit`,
    )
    .action(async (session: string, options: AnalyseOptions) => {
      const outcome = await withModels([builtInModels, userModels], options.provider, async (models) =>
        unwrap(
          await analyseSession({
            file: resolve(session), models, encoder: options.encoder, layer: options.layer ?? null,
            method: options.method === "pls" ? { kind: "pls", components: options.components } : options.method === "lasso" ? { kind: "lasso", positive: options.positive === true, folds: options.folds } : { kind: "ridge", folds: options.folds },
            split: options.split === "folds" ? { kind: "folds", folds: options.folds } : { kind: options.split },
            kinds: options.kinds ?? null, seed: options.seed, unit: options.unit ?? null, folder: options.out === undefined ? null : resolve(options.out), command: quoteCommand(process.argv.slice(2)),
            storedBy: options.store ? "cli" : null,
          }),
        ),
      );
      const { fit, stored } = outcome;
      if (stored !== null && !stored.ok) process.stderr.write(`The models are not stored in the session: ${stored.error.message}\n`);
      const best = fit.bestUnit === null ? null : (fit.units[fit.bestUnit] ?? null);
      const line = (u: (typeof fit.units)[number]) => ({ unit: u.name, area: u.area, r2Train: u.r2Train, r2Test: u.r2Test, r: u.rTest ?? u.rTrain, ceilingR: u.ceilingR, noiseCorrectedR: u.noiseCorrectedR, positiveToNegative: u.positiveToNegative });
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify({ session: fit.session.file, folder: outcome.folder, fit: outcome.fitFile, report: outcome.written[0], images: fit.images, best: best === null ? null : line(best), validation: outcome.validation === null ? null : { unit: fit.units[outcome.validation.unit]?.name, modelVsNatural: outcome.validation.validation.modelVsNatural, conditions: outcome.validation.conditions.map((c) => ({ name: c.name, mean: c.interval.mean, p: c.vsControl?.p ?? null })) }, units: fit.units.map(line), stored: stored?.ok === true ? { added: stored.value.added, known: stored.value.known } : null })}\n`);
        return;
      }
      const show = (value: number | null): string => (value === null ? "-" : value.toFixed(3)).padStart(9);
      const ranked = [...fit.units].sort((a, b) => (b.r2Test ?? b.r2Train ?? -9) - (a.r2Test ?? a.r2Train ?? -9));
      process.stdout.write(
        [`${fit.units.length} units on ${fit.images} images (${fit.presentations} presentations), ${fit.encoder.id} ${fit.encoder.layer}`, "unit        area   r2 train  r2 test        r  ceiling  corrected", ...ranked.slice(0, 12).map((u) => `${u.name.padEnd(11)} ${u.area.padEnd(4)} ${[u.r2Train, u.r2Test, u.rTest ?? u.rTrain, u.ceilingR, u.noiseCorrectedR].map(show).join("")}`), `Fit:    ${outcome.fitFile}`, `Report: ${outcome.written[0]}`, ...(stored?.ok === true ? [`Stored: ${stored.value.added} models in ${stored.value.file}${stored.value.known > 0 ? `, ${stored.value.known} were there` : ""}`] : [])].join("\n") + "\n",
      );
    });
}

function parseKinds(text: string): ImageKind[] {
  return parseNames(text).map((name) => {
    const kind = imageKinds.find((known) => known === name);
    if (kind === undefined) throw new InvalidArgumentError(`Expected kinds of images (${imageKinds.join(", ")}), got "${name}".`);
    return kind;
  });
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
