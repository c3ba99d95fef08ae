// Random search: every generation from the first distribution. The control that any optimizer has to beat.

import { ok } from "../../shared/result.ts";
import { fillNormals, populationOption, stepSizeOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";

export const randomSearch: Algorithm = {
  entry: {
    name: "random",
    title: "Random search",
    whenToUse: "As a control: what the same number of images gives without any selection.",
    source: "Rastrigin 1963",
    dimMin: 1,
    dimMax: null,
    options: [populationOption("4 + floor(3 log2 N), as cholesky-cma"), stepSizeOption()],
  },
  derivedDefaults: ({ dim }) => ({ population: 4 + Math.floor(3 * Math.log2(dim)) }),
  create: (setup) => ok(createRandomSearch(setup)),
};

function createRandomSearch({ dim, options, start }: StrategySetup): Strategy {
  const populationSize = options.number("population");
  const sigma = options.number("stepSize");
  return {
    populationSize,
    draw(source) {
      const codes = new Float64Array(populationSize * dim);
      fillNormals(source, codes);
      for (let begin = 0; begin < codes.length; begin += dim) {
        for (let i = 0; i < dim; i++) codes[begin + i] = start[i]! + sigma * codes[begin + i]!; // x ~ N(start, sigma^2 I)
      }
      return { count: populationSize, codes };
    },
    update: () => "fixed",
    mean: () => start.slice(),
    stepSize: () => sigma,
    save: () => ({}),
  };
}
