// Separable CMA-ES: a variance for each coordinate, nothing between them. Linear in time and memory.
//
// Source: Ros & Hansen 2008 (learning rates larger by (N + 2)/3), equations numbered as in Hansen 2016 (arXiv 1604.00772).

import { ok } from "../../shared/result.ts";
import { norm } from "../linear.ts";
import { effectiveParents, logWeights, recombine, selectParents } from "../ranking.ts";
import { expectedNormalNorm, fillNormals, populationOption, stepSizeOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";

export const sepCma: Algorithm = {
  entry: {
    name: "sep-cma",
    title: "Separable CMA-ES",
    whenToUse: "For noisy responses: as published it loses least to noise. Its codes grow long where nothing holds them, so give it a norm cap (the generator's typical norm).",
    source: "Ros & Hansen 2008; Hansen 2016; Wang & Ponce 2022 (diagonal CMA-ES)",
    dimMin: 1,
    dimMax: null,
    options: [populationOption("4 + floor(3 log2 N): 40 at N = 4096, 28 at N = 256"), stepSizeOption()],
  },
  derivedDefaults: ({ dim }) => ({ population: 4 + Math.floor(3 * Math.log2(dim)) }),
  create: (setup) => ok(createSep(setup)),
};

/** Learning rates of Hansen 2016, table 1, with positive weights only; `scale` multiplies those of the covariance. */
export function cmaConstants(dim: number, populationSize: number, scale: number) {
  const mueff = effectiveParents(logWeights(populationSize / 2));
  const cc = (4 + mueff / dim) / (dim + 4 + (2 * mueff) / dim); // eq. 56
  const cs = (mueff + 2) / (dim + mueff + 5); // eq. 55
  const damps = 1 + cs + 2 * Math.max(0, Math.sqrt((mueff - 1) / (dim + 1)) - 1); // eq. 55
  const c1 = Math.min(1, (2 / ((dim + 1.3) ** 2 + mueff)) * scale); // eq. 57
  const cmu = Math.min(1 - c1, ((2 * (mueff - 2 + 1 / mueff)) / ((dim + 2) ** 2 + mueff)) * scale); // eq. 58
  return { cc, cs, damps, c1, cmu, chiN: expectedNormalNorm(dim) };
}

/** Is |ps| so long that the covariance path should wait (h_sigma = 0)? Hansen 2016, below eq. 45. */
export function pathStalls(psNorm: number, cs: number, updates: number, dim: number, chiN: number): boolean {
  return psNorm / Math.sqrt(1 - (1 - cs) ** (2 * (updates + 1))) >= (1.4 + 2 / (dim + 1)) * chiN;
}

function createSep({ dim, options, start, constrain, saved }: StrategySetup): Strategy {
  const populationSize = options.number("population");
  const { cc, cs, damps, c1, cmu, chiN } = cmaConstants(dim, populationSize, (dim + 2) / 3);

  let mean = saved?.array("mean", dim) ?? start.slice();
  let sigma = saved?.number("sigma") ?? options.number("stepSize");
  const ps = saved?.array("ps", dim) ?? new Float64Array(dim);
  const pc = saved?.array("pc", dim) ?? new Float64Array(dim);
  const variances = saved?.array("variances", dim) ?? new Float64Array(dim).fill(1); // diagonal of C
  let updates = saved?.number("updates") ?? 0;
  let normals = new Float64Array(0); // Z, row-major [populationSize, dim]
  let codes = new Float64Array(0);

  return {
    populationSize,

    draw(source) {
      if (normals.length === 0) {
        normals = new Float64Array(populationSize * dim);
        codes = new Float64Array(populationSize * dim);
      }
      fillNormals(source, normals);
      const deviations = variances.map((variance) => sigma * Math.sqrt(variance));
      for (let begin = 0; begin < codes.length; begin += dim) {
        for (let i = 0; i < dim; i++) codes[begin + i] = mean[i]! + deviations[i]! * normals[begin + i]!; // x = m + sigma sqrt(C) z (eqs. 38-40)
      }
      return { count: populationSize, codes };
    },

    update(scored) {
      const selection = selectParents(scored.scores);
      if (selection.kind === "held") return selection.because;
      const { parents, weights, effectiveParents: mueff } = selection;

      mean = recombine(selection, scored.codes, dim); // m <- sum w_i x_i (eq. 42 with c_m = 1)
      constrain(mean);
      const zw = recombine(selection, normals, dim);
      const zSquares = new Float64Array(dim); // sum w_i z_i^2
      for (let k = 0; k < parents.length; k++) {
        const weight = weights[k]!;
        const begin = parents[k]! * dim;
        for (let i = 0; i < dim; i++) zSquares[i] = zSquares[i]! + weight * normals[begin + i]! * normals[begin + i]!;
      }

      const addS = Math.sqrt(cs * (2 - cs) * mueff);
      for (let i = 0; i < dim; i++) ps[i] = (1 - cs) * ps[i]! + addS * zw[i]!; // eq. 43
      const psNorm = norm(ps);
      const hsig = pathStalls(psNorm, cs, updates, dim, chiN) ? 0 : 1;
      const addC = hsig * Math.sqrt(cc * (2 - cc) * mueff);
      const keep = 1 - c1 - cmu + c1 * (1 - hsig) * cc * (2 - cc);
      for (let i = 0; i < dim; i++) {
        const variance = variances[i]!;
        const path = (1 - cc) * pc[i]! + addC * Math.sqrt(variance) * zw[i]!; // eq. 45
        pc[i] = path;
        variances[i] = keep * variance + c1 * path * path + cmu * variance * zSquares[i]!; // eq. 47, diagonal only; y_i^2 = C z_i^2
      }
      sigma *= Math.exp((cs / damps) * (psNorm / chiN - 1)); // eq. 44
      updates++;
      return "updated";
    },

    mean: () => mean.slice(),
    stepSize: () => sigma,
    save: () => ({ mean: mean.slice(), sigma, ps: ps.slice(), pc: pc.slice(), variances: variances.slice(), updates }),
  };
}
