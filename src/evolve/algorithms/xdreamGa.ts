// The XDream genetic algorithm: the best are kept, children mix the genes of two parents drawn by fitness and mutate.
//
// Sources: Ponce et al. 2019; Xiao & Kreiman 2020 (XDream, Optimizers.py, Genetic); the constants are those of the baseline in Wang & Ponce 2022.
// Individuals without a score are shown again in the next generation, last in order, as XDream does.

import { ok } from "../../shared/result.ts";
import { selectParents } from "../ranking.ts";
import { fillNormals, fillUniforms, populationOption } from "../strategy.ts";
import type { Algorithm, Strategy, StrategySetup } from "../strategy.ts";
import type { NormalSource } from "../types.ts";

export const xdreamGa: Algorithm = {
  entry: {
    name: "xdream-ga",
    title: "XDream genetic algorithm",
    whenToUse: "To continue or compare with studies that used it. In published comparisons CMA-ES drove neurons 44 % higher in vivo and 66 % higher in silico.",
    source: "Ponce et al. 2019; Xiao & Kreiman 2020; Wang & Ponce 2022 (baseline)",
    dimMin: 1,
    dimMax: null,
    options: [
      populationOption("40, as published", 40),
      {
        kind: "integer",
        name: "conserved",
        unit: "individuals",
        default: null,
        defaultRule: "a quarter of the population: 10 of 40, as published",
        min: 0,
        max: 9_999,
        description: "Best individuals that stay in the population unchanged.",
      },
      {
        kind: "number",
        name: "mutationRate",
        unit: "of genes",
        default: 0.25,
        defaultRule: "0.25, as published",
        min: 0,
        max: 1,
        description: "Share of a child's genes that mutate.",
      },
      {
        kind: "number",
        name: "mutationSize",
        unit: "latent units",
        default: 0.75,
        defaultRule: "of the generator: 0.75 for DeePSiM fc6, a quarter of the step size otherwise",
        min: 1e-12,
        max: 1e12,
        description: "Standard deviation of a mutation.",
      },
      {
        kind: "number",
        name: "temperature",
        unit: "standard deviations of the scores",
        default: 2,
        defaultRule: "2, as published (XDream's selectivity is its inverse)",
        min: 1e-6,
        max: 1e6,
        description: "Fitness is exp((score - best) / kT) with kT this many standard deviations: larger selects less strictly.",
      },
      {
        kind: "number",
        name: "skew",
        unit: "of genes",
        default: 0.75,
        defaultRule: "0.75, as published",
        min: 0.5,
        max: 1,
        description: "Share of genes that come from the first of the two parents.",
      },
      {
        kind: "number",
        name: "initialSpread",
        unit: "latent units",
        default: 1,
        defaultRule: "of the generator: 1 for DeePSiM fc6, a third of the step size otherwise",
        min: 1e-12,
        max: 1e12,
        description: "Standard deviation of the first population around the start code.",
      },
    ],
  },
  derivedDefaults: ({ given }) => ({ conserved: Math.floor((typeof given["population"] === "number" ? given["population"] : 40) / 4) }),
  create: (setup) => ok(createGa(setup)),
};

function createGa({ dim, options, start, saved }: StrategySetup): Strategy {
  const populationSize = options.number("population");
  const conserved = Math.min(options.number("conserved"), populationSize - 1);
  const mutationRate = options.number("mutationRate");
  const mutationSize = options.number("mutationSize");
  const temperature = options.number("temperature");
  const skew = options.number("skew");
  const initialSpread = options.number("initialSpread");

  /** The newest scored population, best first and those without a score last, and its scores; null before the first. */
  let parents: { readonly codes: Float64Array; readonly scores: Float64Array } | null = null;
  if (saved !== null && saved.number("hasParents") === 1) {
    const scoredCount = saved.number("scoredCount");
    parents = { codes: saved.array("codes", populationSize * dim), scores: saved.array("scores", scoredCount) };
  }

  /** The codes of the population before the parents', to be written over. */
  let spare: Float64Array | null = null;
  // Kept from draw to draw, so that a generation allocates little.
  let next = new Float64Array(0);
  let draws = new Float64Array(0);
  let mutates = new Uint8Array(0);

  function drawFirst(source: NormalSource): Float64Array {
    const codes = new Float64Array(populationSize * dim);
    fillNormals(source, codes);
    for (let begin = 0; begin < codes.length; begin += dim) {
      for (let i = 0; i < dim; i++) codes[begin + i] = start[i]! + initialSpread * codes[begin + i]!;
    }
    return codes;
  }

  function drawNext(source: NormalSource, codes: Float64Array, scores: Float64Array): Float64Array {
    const scoredCount = scores.length;
    const again = Math.min(populationSize - scoredCount, populationSize - conserved);
    const kept = Math.min(conserved, scoredCount);
    const childCount = populationSize - kept - again;

    // kT = temperature * sd; fitness exp((s - max) / kT); a parent is drawn with a probability proportional to its fitness.
    const best = scores[0]!;
    const mean = scores.reduce((sum, score) => sum + score / scoredCount, 0);
    const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2 / scoredCount, 0);
    const kT = Math.max(temperature * Math.sqrt(variance), 1e-8);
    const wheel = new Float64Array(scoredCount);
    let total = 0;
    for (let i = 0; i < scoredCount; i++) {
      total += Math.exp((scores[i]! - best) / kT);
      wheel[i] = total;
    }
    const drawParent = () => {
      const place = source.uniform() * total;
      let low = 0;
      let high = scoredCount - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (wheel[middle]! > place) high = middle;
        else low = middle + 1;
      }
      return low;
    };
    const firsts = Int32Array.from({ length: childCount }, drawParent);
    const seconds = Int32Array.from({ length: childCount }, drawParent);
    // Draws come in blocks over all children: first whose gene, then whether it mutates, then by how much.
    if (next.length === 0) {
      next = new Float64Array(populationSize * dim);
      draws = new Float64Array(populationSize * dim);
      mutates = new Uint8Array(populationSize * dim);
    }
    const blocks = draws.subarray(0, childCount * dim);
    next.set(codes.subarray(0, kept * dim), 0);
    fillUniforms(source, blocks);
    for (let child = 0; child < childCount; child++) {
      const first = firsts[child]! * dim;
      const second = seconds[child]! * dim;
      const gene = child * dim;
      const to = (kept + child) * dim;
      for (let i = 0; i < dim; i++) next[to + i] = codes[(blocks[gene + i]! < skew ? first : second) + i]!;
    }
    fillUniforms(source, blocks);
    for (let i = 0; i < blocks.length; i++) mutates[i] = blocks[i]! < mutationRate ? 1 : 0;
    fillNormals(source, blocks);
    const to = kept * dim;
    for (let i = 0; i < blocks.length; i++) if (mutates[i] === 1) next[to + i] = next[to + i]! + mutationSize * blocks[i]!;
    next.set(codes.subarray(scoredCount * dim, (scoredCount + again) * dim), (kept + childCount) * dim);
    return next;
  }

  return {
    populationSize,

    draw(source) {
      const codes = parents === null ? drawFirst(source) : drawNext(source, parents.codes, parents.scores);
      return { count: populationSize, codes };
    },

    update(scored) {
      const selection = selectParents(scored.scores);
      if (selection.kind === "held") return selection.because;
      const order = Array.from({ length: populationSize }, (_, i) => i);
      const isScored = (i: number) => !Number.isNaN(scored.scores[i]);
      const ranked = order.filter(isScored).sort((a, b) => scored.scores[b]! - scored.scores[a]! || a - b);
      const codes = spare ?? new Float64Array(populationSize * dim);
      spare = parents?.codes ?? null;
      for (const [place, i] of [...ranked, ...order.filter((i) => !isScored(i))].entries()) {
        codes.set(scored.codes.subarray(i * dim, (i + 1) * dim), place * dim);
      }
      parents = { codes, scores: Float64Array.from(ranked, (i) => scored.scores[i]!) };
      return "updated";
    },

    /** The average of the newest scored population, as XDream reports it. */
    mean() {
      if (parents === null) return start.slice();
      const mean = new Float64Array(dim);
      for (let begin = 0; begin < parents.codes.length; begin += dim) {
        for (let i = 0; i < dim; i++) mean[i] = mean[i]! + parents.codes[begin + i]! / populationSize;
      }
      return mean;
    },
    stepSize: () => mutationSize,
    save: () => ({
      hasParents: parents === null ? 0 : 1,
      scoredCount: parents?.scores.length ?? 0,
      codes: parents?.codes.slice() ?? new Float64Array(0),
      scores: parents?.scores.slice() ?? new Float64Array(0),
    }),
  };
}
