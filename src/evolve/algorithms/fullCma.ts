// Full CMA-ES: the whole covariance matrix, its eigendecomposition renewed only when it has changed enough to matter.
//
// Source: Hansen 2016 (arXiv 1604.00772), positive weights only; equations numbered as there. Memory and time grow with N^2 and N^3.

import { ok } from "../../shared/result.ts";
import { addProducts, norm } from "../linear.ts";
import { recombine, selectParents } from "../ranking.ts";
import { fillNormals, populationOption, stepSizeOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";
import { cmaConstants, pathStalls } from "./sepCma.ts";
import { decomposeSymmetric } from "./symmetricEigen.ts";

export const fullCma: Algorithm = {
  entry: {
    name: "full-cma",
    title: "Full CMA-ES",
    whenToUse: "For codes of up to about 200 dimensions, up to 500 where a pause of up to a second every few generations does no harm: it learns all correlations. In more dimensions use cholesky-cma or sep-cma.",
    source: "Hansen & Ostermeier 2001; Hansen 2016",
    dimMin: 1,
    dimMax: 500,
    options: [populationOption("4 + floor(3 ln N): 20 at N = 256"), stepSizeOption()],
  },
  derivedDefaults: ({ dim }) => ({ population: 4 + Math.floor(3 * Math.log(dim)) }),
  create: (setup) => ok(createFull(setup)),
};

function createFull({ dim, options, start, constrain, saved }: StrategySetup): Strategy {
  const populationSize = options.number("population");
  const { cc, cs, damps, c1, cmu, chiN } = cmaConstants(dim, populationSize, 1);
  /** Generations between decompositions: at most a tenth of the covariance has changed (Hansen 2016, section B.2). */
  const decomposeEvery = Math.max(1, Math.floor(1 / ((c1 + cmu) * dim * 10)));

  let mean = saved?.array("mean", dim) ?? start.slice();
  let sigma = saved?.number("sigma") ?? options.number("stepSize");
  const ps = saved?.array("ps", dim) ?? new Float64Array(dim);
  const pc = saved?.array("pc", dim) ?? new Float64Array(dim);
  const covariance = saved?.array("covariance", dim * dim) ?? identity(dim); // C
  let basis = saved?.array("basis", dim * dim) ?? identity(dim); // B', eigenvectors of C as rows
  let deviations = saved?.array("deviations", dim) ?? new Float64Array(dim).fill(1); // D, square roots of its eigenvalues
  let updates = saved?.number("updates") ?? 0;
  let decomposedAt = saved?.number("decomposedAt") ?? 0;
  let normals = new Float64Array(0);

  /** rows z -> rows B D z. */
  function shape(rows: Float64Array, rowCount: number): Float64Array {
    const scaled = new Float64Array(rowCount * dim);
    for (let i = 0; i < scaled.length; i++) scaled[i] = rows[i]! * deviations[i % dim]!;
    const shaped = new Float64Array(rowCount * dim);
    addProducts(shaped, rowCount, scaled, basis, dim, dim);
    return shaped;
  }

  function decompose(): void {
    const { values, vectors } = decomposeSymmetric(covariance, dim);
    basis = vectors;
    // Rounding may take the smallest eigenvalue below zero; the floor keeps the condition number under 1e16.
    const floor = values[dim - 1]! * 1e-16;
    deviations = values.map((value) => Math.sqrt(Math.max(value, floor)));
    decomposedAt = updates;
  }

  return {
    populationSize,

    draw(source) {
      if (normals.length === 0) normals = new Float64Array(populationSize * dim);
      fillNormals(source, normals);
      const codes = shape(normals, populationSize); // y = B D z (eq. 39)
      for (let begin = 0; begin < codes.length; begin += dim) {
        for (let i = 0; i < dim; i++) codes[begin + i] = mean[i]! + sigma * codes[begin + i]!; // x = m + sigma y (eq. 40)
      }
      return { count: populationSize, codes };
    },

    update(scored) {
      const selection = selectParents(scored.scores);
      if (selection.kind === "held") return selection.because;
      const { parents, weights, effectiveParents: mueff } = selection;

      mean = recombine(selection, scored.codes, dim); // eq. 42
      constrain(mean);
      const zw = recombine(selection, normals, dim);
      const yw = shape(zw, 1);
      // C^(-1/2) y_w = B z_w (eq. 43).
      const whitened = new Float64Array(dim);
      addProducts(whitened, 1, zw, basis, dim, dim);
      const addS = Math.sqrt(cs * (2 - cs) * mueff);
      for (let i = 0; i < dim; i++) ps[i] = (1 - cs) * ps[i]! + addS * whitened[i]!;
      const psNorm = norm(ps);
      const hsig = pathStalls(psNorm, cs, updates, dim, chiN) ? 0 : 1;
      const addC = hsig * Math.sqrt(cc * (2 - cc) * mueff);
      for (let i = 0; i < dim; i++) pc[i] = (1 - cc) * pc[i]! + addC * yw[i]!; // eq. 45

      // C <- (1 - c1 - cmu + ...) C + c1 pc pc' + cmu sum w_i y_i y_i' (eq. 47), as one product of weighted rows.
      const rowCount = parents.length + 1;
      const rows = new Float64Array(rowCount * dim);
      for (let k = 0; k < parents.length; k++) rows.set(normals.subarray(parents[k]! * dim, (parents[k]! + 1) * dim), k * dim);
      const shaped = shape(rows, parents.length);
      rows.set(shaped);
      rows.set(pc, parents.length * dim);
      const weighted = new Float64Array(dim * rowCount); // transposed: [dim, rowCount]
      for (let k = 0; k < rowCount; k++) {
        const weight = k === parents.length ? c1 : cmu * weights[k]!;
        for (let i = 0; i < dim; i++) weighted[i * rowCount + k] = weight * rows[k * dim + i]!;
      }
      const keep = 1 - c1 - cmu + c1 * (1 - hsig) * cc * (2 - cc);
      for (let i = 0; i < covariance.length; i++) covariance[i] = covariance[i]! * keep;
      addProducts(covariance, dim, weighted, rows, rowCount, dim);

      sigma *= Math.exp((cs / damps) * (psNorm / chiN - 1)); // eq. 44
      updates++;
      if (updates - decomposedAt >= decomposeEvery) {
        symmetrise(covariance, dim);
        decompose();
      }
      return "updated";
    },

    mean: () => mean.slice(),
    stepSize: () => sigma,
    save: () => ({
      mean: mean.slice(),
      sigma,
      ps: ps.slice(),
      pc: pc.slice(),
      covariance: covariance.slice(),
      basis: basis.slice(),
      deviations: deviations.slice(),
      updates,
      decomposedAt,
    }),
  };
}

function identity(dim: number): Float64Array {
  const matrix = new Float64Array(dim * dim);
  for (let i = 0; i < dim; i++) matrix[i * dim + i] = 1;
  return matrix;
}

/** Takes the upper triangle for both, so that rounding cannot make the matrix unsymmetric. */
function symmetrise(matrix: Float64Array, dim: number): void {
  for (let r = 0; r < dim; r++) for (let c = r + 1; c < dim; c++) matrix[c * dim + r] = matrix[r * dim + c]!;
}
