// `evoked fit`: options in, a table or one line of JSON out. Knows nothing about how models are fitted.
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { fitFiles } from "../../engine/fitFiles.ts";
import type { FitReport, FitRequest } from "../../engine/fitFiles.ts";
import { unwrap } from "../../shared/result.ts";

interface FitOptions {
  readonly features: string;
  readonly rates: string;
  readonly method: "pls" | "lasso" | "ridge";
  readonly components: number;
  readonly penalty?: number;
  readonly positive?: true;
  readonly folds: number;
  readonly split: FitRequest["split"];
  readonly seed: number;
  readonly out?: string;
  readonly json?: true;
}

export function registerFit(program: Command): void {
  program
    .command("fit")
    .description("Fit linear models of units on network features, from two .npy files.")
    .requiredOption("--features <file>", ".npy of activations, [images, features], float32 or float64")
    .requiredOption("--rates <file>", ".npy of responses, [images, units], e.g. spikes/s")
    .addOption(new Option("--method <name>", "regression").choices(["pls", "lasso", "ridge"]).default("pls"))
    .option("--components <count>", "PLS components; the other methods have none", parsePositiveInteger, 1)
    .option("--penalty <number>", "L1 (lasso) or L2 (ridge) penalty; left out, it is chosen for each unit by cross-validation", parsePenalty)
    .option("--positive", "lasso with positive weights only")
    .option("--folds <count>", "folds of that cross-validation", parseFolds, 5)
    .addOption(
      new Option("--split <train/test>", "none fits all images; 80/20 holds out 20 %")
        .argParser(parseSplit)
        .default({ kind: "holdOut", testFraction: 0.2 }, "80/20"),
    )
    .option("--seed <number>", "seed of the split and the folds", parseSeed, 0)
    .option("--out <folder>", "write coef.npy [units, features] and intercept.npy [units] in raw activation space, predicted.npy [images, units] and models.json")
    .option("--json", "print one line of JSON")
    .addHelpText("after", `
r2Train and r2Test are coefficients of determination; r is Pearson's on the held-out images (on all of them with --split none).
pos/neg is the total of the positive weights over the total of the absolute negative ones.
The objectives are scikit-learn's: PLSRegression(scale=True), Lasso(alpha=PENALTY), Ridge(alpha=PENALTY).

  evoked fit --features X.npy --rates Y.npy --method pls --components 1 --out models --json`)
    .action(async (options: FitOptions, command: Command) => {
      if (options.method === "pls" && options.penalty !== undefined) command.error("error: --penalty is for lasso and ridge; PLS has none.");
      if (options.method !== "lasso" && options.positive === true) command.error("error: --positive is for lasso only.");
      const report = unwrap(await fitFiles(toRequest(options)));
      process.stdout.write(options.json === true ? `${JSON.stringify({ units: report.units })}\n` : formatTable(report));
    });
}

function toRequest(options: FitOptions): FitRequest {
  const penalty = options.penalty === undefined ? {} : { penalty: options.penalty };
  const methods = {
    pls: { kind: "pls", components: options.components },
    lasso: { kind: "lasso", positive: options.positive === true, folds: options.folds, ...penalty },
    ridge: { kind: "ridge", folds: options.folds, ...penalty },
  } as const;
  return {
    featuresPath: options.features,
    ratesPath: options.rates,
    method: methods[options.method],
    split: options.split,
    seed: options.seed,
    outPath: options.out ?? null,
  };
}

function formatTable(report: FitReport): string {
  const lines = [
    `${report.units.length} unit${report.units.length === 1 ? "" : "s"} on ${report.imageCount} images x ${report.featureCount} features`,
    "  unit  r2 train   r2 test         r   pos/neg",
    ...report.units.map(({ unit, r2Train, r2Test, r, positiveToNegative }) =>
      [String(unit).padStart(6), ...[r2Train, r2Test, r, positiveToNegative].map((value) => (value === null ? "-" : value.toFixed(3)).padStart(10))].join(""),
    ),
    ...report.cards.filter((card) => !card.converged).map((card) => `Unit ${card.unit} did not converge; its weights are approximate.`),
    report.bestUnit === null ? "No unit has a score: the responses are constant." : `Best unit: ${report.bestUnit}`,
    ...report.written.map((path) => `Wrote ${path}`),
  ];
  return `${lines.join("\n")}\n`;
}

function parsePositiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Expected a whole number from 1 up.");
  return value;
}

function parseFolds(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 2) throw new InvalidArgumentError("Expected a whole number from 2 up.");
  return value;
}

function parsePenalty(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value > 0 && value < Number.POSITIVE_INFINITY)) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

function parseSeed(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value)) throw new InvalidArgumentError("Expected a whole number.");
  return value;
}

/** "none", or train and test shares in per cent, e.g. "80/20". */
function parseSplit(text: string): FitRequest["split"] {
  if (text === "none") return { kind: "none" };
  const [train, test] = /^(\d+(?:\.\d+)?)\/(\d+(?:\.\d+)?)$/.exec(text)?.slice(1).map(Number) ?? [];
  if (train === undefined || test === undefined || Math.abs(train + test - 100) > 1e-9 || !(train > 0 && test > 0)) {
    throw new InvalidArgumentError('Expected "none", or two shares that add to 100 such as "80/20".');
  }
  return { kind: "holdOut", testFraction: test / 100 };
}
