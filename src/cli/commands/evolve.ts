// `evoked evolve`: any optimizer on a test objective, for benchmarks and teaching. Knows nothing about how optimizers work; its help comes
// from their registry.
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { objectiveRegistry, optimizerRegistry, parseNoise, runEvolution } from "../../engine/evolveObjective.ts";
import type { Constraints, EvolutionRun, NoiseModel, OptionSpec, OptionValues } from "../../engine/evolveObjective.ts";
import { unwrap } from "../../shared/result.ts";
import { createProgress } from "./sessionOptions.ts";

interface EvolveFlags {
  readonly objective: string;
  readonly dim: number;
  readonly optimizer: string;
  readonly generations: number;
  readonly seed: string;
  readonly noise: NoiseModel;
  readonly set: OptionValues;
  readonly normCap?: number;
  readonly fixedNorm?: number;
  readonly box?: readonly [number, number];
  readonly subspace?: readonly [number, number];
  readonly directions?: number;
  readonly presentations: number;
  readonly references: number;
  readonly drift: number;
  readonly json?: true;
}

export function registerEvolve(program: Command): void {
  program
    .command("evolve")
    .summary("run an optimizer on a test function or a synthetic neuron")
    .description(
      "Runs one evolution on a test objective, without generator and rig: to compare optimizers, to choose their options, to teach.\n" +
        "All scores are maximised. The optimizers of one seed meet the same objective.",
    )
    .addOption(new Option("--objective <name>", "what is maximised, see below").choices(objectiveRegistry.map((entry) => entry.name)).default("neuron"))
    .option("--dim <n>", "dimensions of a code", wholeNumberFrom(2), 4096)
    .addOption(new Option("--optimizer <name>", "see below").choices(optimizerRegistry.map((entry) => entry.name)).default("cholesky-cma"))
    .option("--generations <n>", "generations to run", wholeNumberFrom(1), 100)
    .option("--seed <seed>", "fixes the objective, the draws and the noise", "1")
    .addOption(new Option("--noise <model>", "none, mult:FRACTION (of the score) or poisson:WINDOW_SECONDS (neuron only)").argParser(parseNoiseFlag).default({ kind: "none" }, "none"))
    .addOption(new Option("--set <option=value>", "an option of the optimizer, see below; may be given several times").argParser(collectSetting).default({}, "the optimizer's own"))
    .option("--norm-cap <norm>", "shorten codes that are longer than this", positive)
    .option("--fixed-norm <norm>", "give all codes this norm", positive)
    .option("--box <min:max>", "keep every coordinate inside", parsePair)
    .option("--subspace <begin:end>", "let only the coordinates from begin up to, but not including, end evolve", parsePair)
    .option("--directions <n>", "leading directions of the objective's metric (hessian-cma; 256 or all)", wholeNumberFrom(1))
    .option("--presentations <n>", "presentations of every individual", wholeNumberFrom(1), 1)
    .option("--references <n>", "fixed reference codes in every generation, from which the report takes the drift", wholeNumberFrom(0), 5)
    .option("--drift <score>", "added to all scores for every generation that has passed: a drifting electrode", finite, 0)
    .option("--json", "print one JSON line on standard output (and the report on standard error)")
    .addHelpText("after", describeRegistries)
    .action((flags: EvolveFlags) => {
      const progress = createProgress();
      const result = runEvolution({
        objective: flags.objective,
        dim: flags.dim,
        optimizer: flags.optimizer,
        options: flags.set,
        constraints: readConstraints(flags),
        ...(flags.directions === undefined ? {} : { directions: flags.directions }),
        generations: flags.generations,
        seed: flags.seed,
        noise: flags.noise,
        presentations: flags.presentations,
        references: flags.references,
        driftPerGeneration: flags.drift,
        nowMs: () => performance.now(),
        onGeneration: ({ generation, generations, meanClean, stepSize }) =>
          progress.show((generation + 1) / generations, `generation ${generation + 1} of ${generations}: ${meanClean.toPrecision(4)}, step size ${stepSize.toPrecision(3)}`),
      });
      progress.end();
      const run = unwrap(result);
      const report = run.report.sentences.join("\n");
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify(run.line)}\n`);
        process.stderr.write(`${report}\n`);
      } else process.stdout.write(`${formatTable(run)}\n${report}\n`);
    });
}

// ---------------------------------------------------------------------------------------------------------------
// Values of options

function wholeNumberFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < least) throw new InvalidArgumentError(`expected a whole number from ${least}, got "${text}".`);
    return value;
  };
}

function finite(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError(`expected a number, got "${text}".`);
  return value;
}

function positive(text: string): number {
  const value = finite(text);
  if (value <= 0) throw new InvalidArgumentError(`expected a number above 0, got "${text}".`);
  return value;
}

function parsePair(text: string): readonly [number, number] {
  const [low, high, ...rest] = text.split(":");
  if (low === undefined || high === undefined || rest.length > 0) throw new InvalidArgumentError(`expected two numbers with a colon between, got "${text}".`);
  return [finite(low), finite(high)];
}

function parseNoiseFlag(text: string): NoiseModel {
  const noise = parseNoise(text);
  if (!noise.ok) throw new InvalidArgumentError(noise.error.message);
  return noise.value;
}

/** `name=value` added to those before; whether the optimizer has the option and takes the value, the registry says. */
function collectSetting(text: string, before: OptionValues): OptionValues {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError(`expected OPTION=VALUE, as population=40, got "${text}".`);
  const value = text.slice(equals + 1);
  const number = Number(value);
  return { ...before, [text.slice(0, equals)]: value.trim() !== "" && Number.isFinite(number) ? number : value };
}

function readConstraints({ normCap, fixedNorm, box, subspace }: EvolveFlags): Constraints {
  return {
    ...(normCap === undefined ? {} : { normCap }),
    ...(fixedNorm === undefined ? {} : { fixedNorm }),
    ...(box === undefined ? {} : { box: { min: box[0], max: box[1] } }),
    ...(subspace === undefined ? {} : { subspace: { begin: subspace[0], end: subspace[1] } }),
  };
}

// ---------------------------------------------------------------------------------------------------------------
// Text

function formatTable({ line, meanCleanByGeneration }: EvolutionRun): string {
  const rows: [string, string][] = [
    ["optimizer", `${line.optimizer}, ${line.dim} dimensions, ${line.generations} generations, ${line.evaluations} presentations`],
    ["first generation", `${line.startClean.toPrecision(5)} (mean, without noise)`],
    ["last generation", `${line.lastMeanClean.toPrecision(5)} (mean, without noise)`],
    ["distribution mean", `${line.meanPointClean.toPrecision(5)} (without noise)`],
    ["best individual", `${line.bestClean.toPrecision(5)} (without noise)`],
    ["curve", sparkline(meanCleanByGeneration)],
    ["ask and tell", line.msPerGeneration === null ? "" : `median ${line.msPerGeneration.median.toFixed(2)} ms, longest ${line.msPerGeneration.max.toFixed(2)} ms for a generation`],
  ];
  return rows.map(([name, value]) => `${name.padEnd(18)} ${value}`).join("\n");
}

/** The curve in 60 blocks, from its lowest to its highest value. */
function sparkline(values: Float64Array): string {
  const width = Math.min(60, values.length);
  const bins = Array.from({ length: width }, (_, i) => values[Math.floor(((i + 0.5) * values.length) / width)] ?? 0);
  const low = Math.min(...bins);
  const span = Math.max(...bins) - low;
  return bins.map((value) => "▁▂▃▄▅▆▇█"[span === 0 ? 0 : Math.round(((value - low) / span) * 7)]).join("");
}

function describeRegistries(): string {
  const objectives = objectiveRegistry.map((entry) => `  ${entry.name.padEnd(12)} ${entry.equation}`).join("\n");
  const optimizers = optimizerRegistry
    .map((entry) => {
      const options = entry.options.map((spec) => `      ${spec.name.padEnd(20)} ${describeOption(spec)}`).join("\n");
      const limit = entry.dimMax === null ? "" : ` Up to ${entry.dimMax} dimensions.`;
      return `  ${entry.name}\n${wrap(`${entry.whenToUse}${limit}`, 96, "    ")}\n${options}`;
    })
    .join("\n");
  return `
Objectives:
${objectives}

Optimizers, with the options for --set:
${optimizers}

With --json the line on standard output is
  {"optimizer", "dim", "generations", "evaluations", "startClean", "lastMeanClean", "meanPointClean", "bestClean", "msPerGeneration": {"median", "max"}}
Clean scores are without noise and drift: startClean and lastMeanClean are means of the first and the last generation, meanPointClean is the score of the
distribution mean, bestClean the highest of any individual. evaluations counts presentations. msPerGeneration is the time of ask and tell.

Examples
  evoked evolve --objective neuron --dim 4096 --optimizer sep-cma --noise poisson:0.15 --generations 100 --seed 3
  evoked evolve --objective ellipsoid --dim 256 --optimizer full-cma --set population=30 --set stepSize=1 --json`;
}

function describeOption(spec: OptionSpec): string {
  const standard = `default ${spec.default === null ? spec.defaultRule : spec.default}`;
  if (spec.kind === "choice") return `${spec.description} ${spec.choices.join(" | ")}; ${standard}`;
  const range = spec.min <= 1e-9 && spec.min > 0 ? "above 0" : `${spec.min} to ${spec.max}`;
  return `${spec.description} ${range}${spec.unit === "" ? "" : ` ${spec.unit}`}; ${standard}`;
}

function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > width && line !== indent) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}
