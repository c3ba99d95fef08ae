// LM-MA-ES: m direction vectors stand for the transformation matrix. Linear in the dimension, learns directions on m time scales.
//
// Source: Loshchilov, Glasmachers & Beyer 2017 (arXiv 1705.06693), algorithm 1; c_sigma is capped at 1/2 and c_c at 1 for few dimensions.

import { ok } from "../../shared/result.ts";
import { dot, multiplyTransposed } from "../linear.ts";
import { recombine, selectParents } from "../ranking.ts";
import { fillNormals, populationOption, stepSizeOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";
import { applyRankOneProduct } from "./rankOneProduct.ts";

export const lmMa: Algorithm = {
  entry: {
    name: "lm-ma",
    title: "LM-MA-ES",
    whenToUse: "In many dimensions without noise where a few directions matter and the landscape is ill-conditioned. For recordings prefer Cholesky or separable CMA-ES.",
    source: "Loshchilov, Glasmachers & Beyer 2017, algorithm 1",
    dimMin: 2,
    dimMax: null,
    options: [
      populationOption("4 + floor(3 ln N): 28 at N = 4096, 20 at N = 256"),
      stepSizeOption(),
      {
        kind: "integer",
        name: "directions",
        unit: "vectors",
        default: null,
        defaultRule: "4 + floor(3 ln N)",
        min: 1,
        max: 200,
        description: "Direction vectors kept; each learns four times slower than the one before.",
      },
    ],
  },
  derivedDefaults: ({ dim }) => ({ population: 4 + Math.floor(3 * Math.log(dim)), directions: 4 + Math.floor(3 * Math.log(dim)) }),
  create: (setup) => ok(createLmMa(setup)),
};

function createLmMa({ dim, options, start, constrain, saved }: StrategySetup): Strategy {
  const populationSize = options.number("population");
  const directionCount = options.number("directions");
  const cs = Math.min(0.5, (2 * populationSize) / dim); // c_sigma = 2 lambda / n
  const cd = Float64Array.from({ length: directionCount }, (_, i) => 1 / (1.5 ** i * dim)); // c_d,i = 1 / (1.5^(i-1) n)
  const cc = Float64Array.from({ length: directionCount }, (_, i) => Math.min(1, populationSize / (4 ** i * dim))); // c_c,i = lambda / (4^(i-1) n)

  let mean = saved?.array("mean", dim) ?? start.slice();
  let sigma = saved?.number("sigma") ?? options.number("stepSize");
  const path = saved?.array("path", dim) ?? new Float64Array(dim); // p_sigma
  const directions = saved?.array("directions", directionCount * dim) ?? new Float64Array(directionCount * dim); // m_i as rows
  let updates = saved?.number("updates") ?? 0;
  let normals = new Float64Array(0); // Z, row-major [populationSize, dim]
  let codes = new Float64Array(0);
  const gains = cd.map((c) => c / (1 - c));

  return {
    populationSize,

    draw(source) {
      if (normals.length === 0) {
        normals = new Float64Array(populationSize * dim);
        codes = new Float64Array(populationSize * dim);
      }
      fillNormals(source, normals);
      codes.set(normals);
      // d <- (1 - c_d,j) d + c_d,j m_j (m_j . d) for j = 1 ... min(t, m): lines 8-10, as a product of rank-one corrections.
      const count = Math.min(updates, directionCount);
      const gram = new Float64Array(count * count);
      multiplyTransposed(gram, directions, count, directions, count, dim);
      let scale = 1;
      for (let j = 0; j < count; j++) scale *= 1 - cd[j]!;
      applyRankOneProduct(codes, populationSize, dim, {
        vectors: directions,
        count,
        gains,
        scale,
        gram: (i, j) => gram[i * count + j]!,
        order: "firstToLast",
      });
      for (let begin = 0; begin < codes.length; begin += dim) {
        for (let i = 0; i < dim; i++) codes[begin + i] = mean[i]! + sigma * codes[begin + i]!; // x = y + sigma d
      }
      return { count: populationSize, codes };
    },

    update(scored) {
      const selection = selectParents(scored.scores);
      if (selection.kind === "held") return selection.because;
      const mueff = selection.effectiveParents;
      mean = recombine(selection, scored.codes, dim); // line 12
      constrain(mean);
      const zw = recombine(selection, normals, dim);
      const addPath = Math.sqrt(mueff * cs * (2 - cs));
      for (let i = 0; i < dim; i++) path[i] = (1 - cs) * path[i]! + addPath * zw[i]!; // line 13
      for (let j = 0; j < directionCount; j++) {
        const keep = 1 - cc[j]!;
        const add = Math.sqrt(mueff * cc[j]! * (2 - cc[j]!));
        const begin = j * dim;
        for (let i = 0; i < dim; i++) directions[begin + i] = keep * directions[begin + i]! + add * zw[i]!; // line 15
      }
      sigma *= Math.exp((cs / 2) * (dot(path, 0, path, 0, dim) / dim - 1)); // line 16
      updates++;
      return "updated";
    },

    mean: () => mean.slice(),
    stepSize: () => sigma,
    save: () => ({ mean: mean.slice(), sigma, path: path.slice(), directions: directions.slice(), updates }),
  };
}
