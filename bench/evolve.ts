// Time and memory of ask + tell with the random draws at N = 4096 and 40 individuals over 500 generations, for the optimizers of long evolutions, and
// beside them the naive dense form of Cholesky CMA-ES, which keeps A and its inverse as N x N matrices. Each runs in a process of its own, so that memory
// is its own. Prints one JSON line. ms is wall time, which other programs on the machine lengthen (see loadAverage); cpuMs is processor time of all
// threads, garbage collection and compilation included: an upper bound for one core, and what the limits are held against.
//
//   node bench/evolve.ts [generations]
import { execFileSync } from "node:child_process";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { choleskyConstants } from "../src/evolve/algorithms/choleskyCma.ts";
import { createOptimizer } from "../src/evolve/index.ts";
import { addProducts, dot, multiplyTransposed, norm } from "../src/evolve/linear.ts";
import { recombine, selectParents } from "../src/evolve/ranking.ts";
import { unwrap } from "../src/shared/result.ts";
import { createRng } from "../src/shared/rng.ts";

const dim = 4096;
const populationSize = 40;
const names = ["cholesky-cma", "sphere-cma", "sep-cma", "xdream-ga"] as const;
/** The dense form takes the better part of a second for a generation; one more than two of its matrix updates. */
const denseGenerations = 23;

interface Figures {
  readonly generations: number;
  readonly msMedian: number;
  readonly msMax: number;
  readonly cpuMsMedian: number;
  readonly cpuMsMax: number;
  /** Growth of the process's largest resident size since just before the optimizer was made. */
  readonly memoryMb: number;
}

interface Evolution {
  ask(): { readonly count: number; readonly data: Float64Array };
  tell(scores: Float64Array): void;
}

function makeLibraryEvolution(name: string): Evolution {
  const optimizer = unwrap(createOptimizer({ name, dim, seed: 1, options: { population: populationSize } }));
  return { ask: optimizer.ask, tell: (scores) => void unwrap(optimizer.tell(Array.from(scores, (score) => [score]))) };
}

/** The published form, with the library's kernels. */
function makeDenseEvolution(): Evolution {
  const { mueff, cc, cs, c1, damps, chiN } = choleskyConstants(dim, populationSize);
  const rng = createRng(1);
  const matrix = new Float64Array(dim * dim);
  const inverse = new Float64Array(dim * dim);
  for (let i = 0; i < dim; i++) matrix[i * dim + i] = inverse[i * dim + i] = 1;
  let mean: Float64Array = new Float64Array(dim);
  let sigma = 3;
  const ps = new Float64Array(dim);
  const pc = new Float64Array(dim);
  const normals = new Float64Array(populationSize * dim);
  let codes = new Float64Array(0);
  let updates = 0;
  return {
    ask() {
      rng.fillGaussian(normals);
      codes = new Float64Array(populationSize * dim);
      addProducts(codes, populationSize, normals, matrix, dim, dim);
      for (let begin = 0; begin < codes.length; begin += dim) for (let i = 0; i < dim; i++) codes[begin + i] = mean[i]! + sigma * codes[begin + i]!;
      return { count: populationSize, data: codes };
    },
    tell(scores) {
      const selection = selectParents(scores);
      if (selection.kind === "held") return;
      mean = recombine(selection, codes, dim);
      const zw = recombine(selection, normals, dim);
      const zwA = new Float64Array(dim);
      addProducts(zwA, 1, zw, matrix, dim, dim);
      for (let i = 0; i < dim; i++) {
        ps[i] = (1 - cs) * ps[i]! + Math.sqrt(cs * (2 - cs) * mueff) * zw[i]!;
        pc[i] = (1 - cc) * pc[i]! + Math.sqrt(cc * (2 - cc) * mueff) * zwA[i]!;
      }
      sigma *= Math.exp((cs / damps) * (norm(ps) / chiN - 1));
      if (++updates % 11 !== 0) return;
      const v = new Float64Array(dim);
      addProducts(v, 1, pc, inverse, dim, dim);
      const u = new Float64Array(dim);
      multiplyTransposed(u, inverse, dim, v, 1, dim);
      const n = dot(v, 0, v, 0, dim);
      const root = Math.sqrt(1 + (n * c1) / (1 - c1));
      const keep = Math.sqrt(1 - c1);
      for (let r = 0; r < dim; r++) {
        const rise = (keep / n) * (root - 1) * v[r]!;
        const fall = ((1 - 1 / root) / (n * keep)) * u[r]!;
        const begin = r * dim;
        for (let c = 0; c < dim; c++) {
          matrix[begin + c] = keep * matrix[begin + c]! + rise * pc[c]!;
          inverse[begin + c] = inverse[begin + c]! / keep - fall * v[c]!;
        }
      }
    },
  };
}

function measure(name: string, generations: number): Figures {
  const target = new Float64Array(dim);
  createRng(2).fillGaussian(target);
  const memoryBefore = process.resourceUsage().maxRSS;
  const evolution = name === "dense" ? makeDenseEvolution() : makeLibraryEvolution(name);
  const wall: number[] = [];
  const cpu: number[] = [];
  /** Runs `work` as part of generation g and adds its times. */
  function timed<T>(g: number, work: () => T): T {
    const [wallBefore, cpuBefore] = [performance.now(), process.cpuUsage()];
    const result = work();
    const used = process.cpuUsage(cpuBefore);
    wall[g] = (wall[g] ?? 0) + performance.now() - wallBefore;
    cpu[g] = (cpu[g] ?? 0) + (used.user + used.system) / 1000;
    return result;
  }
  for (let g = 0; g < generations; g++) {
    const { count, data } = timed(g, () => evolution.ask());
    const scores = Float64Array.from({ length: count }, (_, i) => dot(data, i * dim, target, 0, dim));
    timed(g, () => evolution.tell(scores));
  }
  const sorted = (times: number[]) => times.toSorted((a, b) => a - b);
  const round = (value: number | undefined) => Number((value ?? 0).toFixed(2));
  return {
    generations,
    msMedian: round(sorted(wall)[generations >> 1]),
    msMax: round(sorted(wall).at(-1)),
    cpuMsMedian: round(sorted(cpu)[generations >> 1]),
    cpuMsMax: round(sorted(cpu).at(-1)),
    memoryMb: round((process.resourceUsage().maxRSS - memoryBefore) / 1024),
  };
}

const [first, second] = process.argv.slice(2);
if (first === "--one" && second !== undefined) {
  process.stdout.write(JSON.stringify(measure(second, Number(process.argv[4]))));
} else {
  const generations = Number(first ?? 500);
  const runOne = (name: string, count: number): Figures =>
    JSON.parse(execFileSync(process.execPath, [fileURLToPath(import.meta.url), "--one", name, String(count)], { encoding: "utf8" }));
  const loadAverage = Number((loadavg()[0] ?? 0).toFixed(1));
  const optimizers = Object.fromEntries(names.map((name) => [name, runOne(name, generations)]));
  const dense = runOne("dense", denseGenerations);
  const cholesky = optimizers["cholesky-cma"];
  const ratio = (a: number, b: number | undefined) => Number((a / (b ?? Number.NaN)).toFixed(1));
  process.stdout.write(
    `${JSON.stringify({
      bench: "evolve",
      dim,
      populationSize,
      optimizers,
      dense,
      denseOverCholesky: {
        cpuMsMedian: ratio(dense.cpuMsMedian, cholesky?.cpuMsMedian),
        cpuMsMax: ratio(dense.cpuMsMax, cholesky?.cpuMsMax),
        memory: ratio(dense.memoryMb, cholesky?.memoryMb),
      },
      loadAverage,
      limits: { cpuMsMedian: 10, cpuMsMax: 50, memoryMb: 60 },
      within: Object.values(optimizers).every((o) => o.cpuMsMedian < 10 && o.cpuMsMax < 50 && o.memoryMb < 60),
    })}\n`,
  );
}
