// How far every optimizer comes on the synthetic neuron at N = 4096 in 100 generations, clean and under two kinds of noise, five seeds each.
// Prints one JSON line, or with --table the table of docs/evolution.md. About six minutes on a quiet core.
//
//   node bench/evolveConvergence.ts [--table] [--generations 100] [--seeds 5] [--dim 4096]
import { parseArgs } from "node:util";
import { optimizerRegistry, parseNoise, runEvolution } from "../src/evolve/index.ts";
import type { ConvergenceVerdict } from "../src/evolve/index.ts";
import { unwrap } from "../src/shared/result.ts";

const { values: flags } = parseArgs({
  options: {
    table: { type: "boolean", default: false },
    generations: { type: "string", default: "100" },
    seeds: { type: "string", default: "5" },
    dim: { type: "string", default: "4096" },
  },
});
const dim = Number(flags.dim);
const generations = Number(flags.generations);
const seeds = Array.from({ length: Number(flags.seeds) }, (_, i) => i + 1);
const noises = ["none", "mult:0.2", "poisson:0.15"] as const;
const names = optimizerRegistry.filter((entry) => entry.dimMax === null || dim <= entry.dimMax).map((entry) => entry.name);

interface Cell {
  readonly evaluations: number;
  /** Clean scores, spikes/s: mean and standard deviation over the seeds. */
  readonly lastMean: { readonly mean: number; readonly sd: number };
  readonly meanPoint: { readonly mean: number; readonly sd: number };
  readonly verdicts: Readonly<Record<ConvergenceVerdict, number>>;
  /** Evolutions that in truth ended below their start although the report says that they rose. */
  readonly belowUnsaid: number;
}

function runCell(optimizer: string, noiseText: string): Cell {
  const noise = unwrap(parseNoise(noiseText));
  const runs = seeds.map((seed) => unwrap(runEvolution({ objective: "neuron", dim, optimizer, generations, seed, noise })));
  const verdicts: Record<ConvergenceVerdict, number> = { rose: 0, unclear: 0, endedBelowStart: 0, noData: 0 };
  let belowUnsaid = 0;
  for (const { line, report } of runs) {
    verdicts[report.verdict]++;
    if (line.meanPointClean < line.startClean && report.verdict === "rose") belowUnsaid++;
  }
  const spread = (values: readonly number[]) => {
    const mean = values.reduce((sum, value) => sum + value / values.length, 0);
    const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
    return { mean: Number(mean.toFixed(1)), sd: Number(sd.toFixed(1)) };
  };
  return {
    evaluations: runs[0]?.line.evaluations ?? 0,
    lastMean: spread(runs.map((run) => run.line.lastMeanClean)),
    meanPoint: spread(runs.map((run) => run.line.meanPointClean)),
    verdicts,
    belowUnsaid,
  };
}

const cells = new Map<string, Map<string, Cell>>();
for (const name of names) {
  cells.set(name, new Map(noises.map((noise) => [noise, runCell(name, noise)])));
  process.stderr.write(`${name} done\n`);
}

if (flags.table) {
  const figure = (cell: Cell | undefined) => {
    if (cell === undefined) return "";
    const { rose, unclear, endedBelowStart } = cell.verdicts;
    const others = [unclear > 0 ? `${unclear} unclear` : "", endedBelowStart > 0 ? `${endedBelowStart} below` : ""].filter((text) => text !== "");
    return `${cell.lastMean.mean.toFixed(1)} ± ${cell.lastMean.sd.toFixed(1)} (${cell.meanPoint.mean.toFixed(1)})${rose === seeds.length ? "" : `, ${others.join(", ")}`}`;
  };
  process.stdout.write(`| optimizer | images | ${noises.join(" | ")} |\n|---|---:|${noises.map(() => "---:").join("|")}|\n`);
  for (const [name, row] of cells) {
    process.stdout.write(`| ${name} | ${row.get("none")?.evaluations} | ${noises.map((noise) => figure(row.get(noise))).join(" | ")} |\n`);
  }
} else {
  const genetic = cells.get("xdream-ga");
  process.stdout.write(
    `${JSON.stringify({
      bench: "evolveConvergence",
      dim,
      generations,
      seeds: seeds.length,
      results: Object.fromEntries([...cells].map(([name, row]) => [name, Object.fromEntries(row)])),
      overGeneticAlgorithm: Object.fromEntries(
        [...cells].map(([name, row]) => [
          name,
          Object.fromEntries([...row].map(([noise, cell]) => [noise, Number((cell.lastMean.mean / (genetic?.get(noise)?.lastMean.mean ?? Number.NaN)).toFixed(2))])),
        ]),
      ),
    })}\n`,
  );
}
