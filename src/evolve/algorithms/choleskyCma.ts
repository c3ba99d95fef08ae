// Cholesky CMA-ES: the covariance as a factor A of low rank, one rank-one update every few generations. The lab's optimizer.
//
// Sources: Suttorp, Hansen & Igel 2009 (factor update); Loshchilov 2014 (low-rank use in many dimensions); constants and schedule as in
// PonceLab/circuit_toolkit, Optimizers.py, CholeskyCMAES (Wang & Ponce 2022). Codes are row vectors, scores are maximised.
// Generation 0 is the start code alone: it fixes the mean and is the first point of the curve.

import { ok } from "../../shared/result.ts";
import { norm } from "../linear.ts";
import { effectiveParents, logWeights, recombine, selectParents } from "../ranking.ts";
import { expectedNormalNorm, fillNormals, populationOption, stepSizeOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";
import { createLowRankFactor } from "./lowRankFactor.ts";

export const choleskyCma: Algorithm = {
  entry: {
    name: "cholesky-cma",
    title: "Cholesky CMA-ES",
    whenToUse: "The lab's optimizer and the safe choice: robust to noisy responses, needs no knowledge of the code's norm. Noise of the size of a real recording costs it little.",
    source: "Suttorp, Hansen & Igel 2009; Wang & Ponce 2022; PonceLab/circuit_toolkit CholeskyCMAES",
    dimMin: 1,
    dimMax: null,
    options: [
      populationOption("4 + floor(3 log2 N): 40 at N = 4096, 28 at N = 256"),
      stepSizeOption(),
      {
        kind: "integer",
        name: "updateEvery",
        unit: "generations",
        default: 10,
        defaultRule: "10, as in the lab's code",
        min: 0,
        max: 1_000_000,
        description: "The covariance factor changes once more than this many generations have passed since its last change (10: every 11th).",
      },
    ],
  },
  derivedDefaults: ({ dim }) => ({ population: 4 + Math.floor(3 * Math.log2(dim)) }),
  create: (setup) => ok(createCholesky(setup)),
};

/** Learning rates of the Cholesky form for N coordinates and lambda individuals. */
export function choleskyConstants(dim: number, populationSize: number) {
  const weights = logWeights(populationSize / 2);
  const mueff = effectiveParents(weights); // mu_eff = 1 / sum w^2
  const cc = 4 / (dim + 4);
  const cs = Math.sqrt(mueff) / (Math.sqrt(mueff) + Math.sqrt(dim));
  const c1 = 2 / (dim + Math.SQRT2) ** 2;
  const damps = 1 + cs + 2 * Math.max(0, Math.sqrt((mueff - 1) / (dim + 1)) - 1);
  return { weights, mueff, cc, cs, c1, damps, chiN: expectedNormalNorm(dim) };
}

/** The linear map from the space in which the factor lives to the evolved coordinates. */
export interface Decoder {
  /** Dimension of the factor's space. */
  readonly factorDim: number;
  /** Rows of the factor's space, row-major [rowCount, factorDim], to rows of evolved coordinates, [rowCount, dim]; a new array. */
  decode(rows: Float64Array, rowCount: number): Float64Array;
}

/**
 * The strategy itself. With a decoder B (hessian-cma) the factor is A B: because A changes by multiplication from the left, B never changes, and all of
 * the adaptation happens in the smaller space.
 */
export function createCholesky(setup: StrategySetup, decoder: Decoder | null = null): Strategy {
  const { options, saved } = setup;
  const codeDim = setup.dim;
  const dim = decoder?.factorDim ?? codeDim;
  const populationSize = options.number("population");
  const updateEvery = options.number("updateEvery");
  const { cc, cs, c1, damps, chiN } = choleskyConstants(dim, populationSize);

  let mean = saved?.array("mean", codeDim) ?? setup.start.slice();
  let sigma = saved?.number("sigma") ?? options.number("stepSize");
  const ps = saved?.array("ps", dim) ?? new Float64Array(dim);
  const pc = saved?.array("pc", dim) ?? new Float64Array(dim);
  /** Generations sampled so far, the start code not counted; and that count at the factor's last change. */
  let sampled = saved?.number("sampled") ?? 0;
  let changedAt = saved?.number("changedAt") ?? 0;
  let started = saved !== null && saved.number("started") === 1;
  const factor = createLowRankFactor(dim, saved);

  // Z and Z A, row-major [populationSize, dim]; kept from draw to draw, so that a generation allocates little.
  let normals = new Float64Array(0);
  let steps = new Float64Array(0);

  return {
    populationSize,

    draw(source) {
      if (!started) return { count: 1, codes: mean.slice() };
      if (normals.length === 0) {
        normals = new Float64Array(populationSize * dim);
        steps = new Float64Array(populationSize * dim);
      }
      fillNormals(source, normals);
      steps.set(normals);
      factor.multiply(steps, populationSize);
      const codes = decoder === null ? steps : decoder.decode(steps, populationSize);
      for (let begin = 0; begin < codes.length; begin += codeDim) {
        for (let i = 0; i < codeDim; i++) codes[begin + i] = mean[i]! + sigma * codes[begin + i]!; // x = m + sigma z A
      }
      return { count: populationSize, codes };
    },

    update(scored) {
      if (!started) {
        started = true;
        return "updated";
      }
      const selection = selectParents(scored.scores);
      if (selection.kind === "held") return selection.because;
      const mueff = selection.effectiveParents;
      sampled++;

      mean = recombine(selection, scored.codes, codeDim); // m <- sum w_i x_i
      setup.constrain(mean);
      const zw = recombine(selection, normals, dim);
      const zwA = zw.slice();
      factor.multiply(zwA, 1);
      const keepS = 1 - cs;
      const addS = Math.sqrt(cs * (2 - cs) * mueff);
      const keepC = 1 - cc;
      const addC = Math.sqrt(cc * (2 - cc) * mueff);
      for (let i = 0; i < dim; i++) {
        ps[i] = keepS * ps[i]! + addS * zw[i]!; // ps <- (1-cs) ps + sqrt(cs (2-cs) mueff) z_w
        pc[i] = keepC * pc[i]! + addC * zwA[i]!; // pc <- (1-cc) pc + sqrt(cc (2-cc) mueff) z_w A
      }
      sigma *= Math.exp((cs / damps) * (norm(ps) / chiN - 1)); // sigma <- sigma exp((cs/damps)(|ps|/chiN - 1))

      if (sampled - changedAt > updateEvery) {
        changedAt = sampled;
        const v = factor.divide(pc); // v = pc inv(A)
        const n = norm(v) ** 2;
        // A <- sqrt(1-c1) A + (sqrt(1-c1)/n)(sqrt(1 + n c1/(1-c1)) - 1) v' pc, and its inverse, both in `push`.
        if (n > 0) factor.push(Math.sqrt(1 - c1), (Math.sqrt(1 + (n * c1) / (1 - c1)) - 1) / n, v);
      }
      return "updated";
    },

    mean: () => mean.slice(),
    stepSize: () => sigma,
    save: () => ({ mean: mean.slice(), sigma, ps: ps.slice(), pc: pc.slice(), sampled, changedAt, started: started ? 1 : 0, ...factor.save() }),
  };
}
