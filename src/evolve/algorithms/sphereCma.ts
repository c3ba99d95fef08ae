// Sphere CMA-ES: codes on a sphere around the origin, steps along great circles, exploration that narrows by schedule. Knows no covariance.
//
// Source: Wang & Ponce 2022 (arXiv 2204.06765), ZOHA_Sphere_lr_euclid of PonceLab/circuit_toolkit. R = radius, N = dimension, c = centre.
// Generation 0 without a start code is random on the sphere; every other generation shows the centre first, which is not ranked.

import { ok } from "../../shared/result.ts";
import { addScaled, dot, norm } from "../linear.ts";
import { recombine, selectParents } from "../ranking.ts";
import { fillNormals, populationOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";

export const sphereCma: Algorithm = {
  entry: {
    name: "sphere-cma",
    title: "Sphere CMA-ES",
    whenToUse: "The best where responses are little noisy (in silico) and the generator draws similar images along a ray, as DeePSiM does. Its codes keep one norm, and its exploration narrows with the generations: set them to the length of the session.",
    source: "Wang & Ponce 2022; PonceLab/circuit_toolkit ZOHA_Sphere_lr_euclid",
    dimMin: 2,
    dimMax: null,
    options: [
      populationOption("40, as published; one more from the second generation on, the centre", 40),
      {
        kind: "number",
        name: "radius",
        unit: "latent units",
        default: 300,
        defaultRule: "the generator's typical norm; 300 for DeePSiM fc6",
        min: 1e-12,
        max: 1e12,
        description: "Norm of all codes (of their evolved part).",
      },
      {
        kind: "integer",
        name: "parents",
        unit: "individuals",
        default: null,
        defaultRule: "half the population",
        min: 1,
        max: 10_000,
        description: "How many of the best move the centre.",
      },
      {
        kind: "number",
        name: "learningRate",
        unit: "",
        default: 1.5,
        defaultRule: "1.5, as published",
        min: 0.01,
        max: 10,
        description: "Step of the centre along the great circle towards the parents' mean; above 1 beyond it.",
      },
      {
        kind: "choice",
        name: "schedule",
        unit: "",
        default: "exponential",
        defaultRule: "exponential, the better of the two as published",
        choices: ["exponential", "inverse"],
        description: "How exploration narrows: exponential from 50 to 7.33 degrees, or 15 + 1/(0.0017 g + 0.0146) degrees in generation g.",
      },
      {
        kind: "integer",
        name: "scheduleGenerations",
        unit: "generations",
        default: 75,
        defaultRule: "75, as published",
        min: 2,
        max: 100_000,
        description: "Generations after which the exponential schedule stays at its end.",
      },
    ],
  },
  derivedDefaults: ({ given }) => ({ parents: Math.max(1, Math.floor((typeof given["population"] === "number" ? given["population"] : 40) / 2)) }),
  create: (setup) => ok(createSphere(setup)),
};

function createSphere({ dim, options, start, constrain, saved }: StrategySetup): Strategy {
  const populationSize = options.number("population");
  const radius = options.number("radius");
  const parentShare = Math.min(1, options.number("parents") / populationSize);
  const learningRate = options.number("learningRate");
  const schedule = options.choice("schedule");
  const scheduleGenerations = options.number("scheduleGenerations");

  /** Moves of the centre so far. */
  let moves = saved?.number("moves") ?? 0;
  /** Codes of the newest draw, [populationSize + 1, dim]; the centre's row comes first. */
  let codes = new Float64Array(0);
  /** null before the first move of an evolution without start code. */
  let centre: Float64Array | null = null;
  if (saved !== null) centre = saved.number("hasCentre") === 1 ? saved.array("centre", dim) : null;
  else if (norm(start) > 0) centre = onSphere(start.slice());

  function onSphere(code: Float64Array, begin = 0): Float64Array {
    const length = norm(code, begin, dim);
    if (length > 0) for (let i = begin; i < begin + dim; i++) code[i] = (code[i]! / length) * radius;
    return code;
  }

  /** Standard deviation of a tangent coordinate, in radians. g = 0 for the first narrowed generation. */
  function exploration(g: number): number {
    const degrees =
      schedule === "inverse"
        ? 15 + 1 / (0.0017 * (g + 1) + 0.0146) // mu_g = 15 + 1/(0.0017 g + 0.0146), g from 1
        : 50 * (7.33 / 50) ** (Math.min(g, scheduleGenerations - 1) / (scheduleGenerations - 1)); // log-spaced from 50 to 7.33
    return ((degrees / 180) * Math.PI) / Math.sqrt(dim);
  }
  const currentExploration = () => exploration(Math.max(0, moves - 1));

  return {
    populationSize,

    draw(source) {
      if (centre === null) {
        const first = new Float64Array(populationSize * dim);
        fillNormals(source, first);
        for (let begin = 0; begin < first.length; begin += dim) onSphere(first, begin);
        return { count: populationSize, codes: first };
      }
      const mu = currentExploration();
      if (codes.length === 0) codes = new Float64Array((populationSize + 1) * dim);
      codes.set(centre, 0);
      fillNormals(source, codes.subarray(dim));
      onSphere(codes, 0);
      const squares = dot(centre, 0, centre, 0, dim);
      const length = Math.sqrt(squares);
      for (let begin = dim; begin < codes.length; begin += dim) {
        addScaled(codes, begin, -dot(codes, begin, centre, 0, dim) / squares, centre, 0, dim); // v = u - (u.c / c.c) c
        const tangent = norm(codes, begin, dim);
        const angle = mu * tangent;
        const along = tangent > 0 ? (Math.sin(angle) / tangent) * length : 0;
        const stay = Math.cos(angle);
        for (let i = 0; i < dim; i++) codes[begin + i] = stay * centre[i]! + along * codes[begin + i]!; // x = cos|mu v| c + sin|mu v| (v/|v|) |c|
        onSphere(codes, begin);
      }
      return { count: populationSize + 1, codes };
    },

    update(scored) {
      const unranked = centre === null ? 0 : 1;
      const selection = selectParents(scored.scores, { first: unranked, parentShare: centre === null ? 0.5 : parentShare });
      if (selection.kind === "held") return selection.because;
      const towards = onSphere(recombine(selection, scored.codes, dim)); // R normalise(sum w_i x_i)
      if (centre === null) centre = towards;
      else {
        // slerp(c, towards, lr), c as it was shown
        const from = scored.codes.subarray(0, dim);
        const cosine = dot(from, 0, towards, 0, dim) / (norm(from) * norm(towards));
        const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
        const sine = Math.sin(angle);
        if (sine > 0) {
          const fromShare = Math.sin((1 - learningRate) * angle) / sine;
          const towardsShare = Math.sin(learningRate * angle) / sine;
          centre = from.map((value, i) => fromShare * value + towardsShare * towards[i]!);
        }
      }
      constrain(centre);
      moves++;
      return "updated";
    },

    mean: () => centre?.slice() ?? new Float64Array(dim),
    stepSize: currentExploration,
    save: () => ({ moves, hasCentre: centre === null ? 0 : 1, centre: centre?.slice() ?? new Float64Array(0) }),
  };
}
