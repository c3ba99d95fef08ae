// The contract that every optimizer keeps: ask and tell, scores that miss or tie, states that resume, constraints.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createOptimizer,
  decodeOptimizerState,
  encodeOptimizerState,
  groupResponses,
  optimizerNames,
  optimizerRegistry,
  restoreOptimizer,
} from "../../../src/evolve/index.ts";
import type { CreateOptimizer, HessianBasis, Optimizer, OptimizerName, Responses } from "../../../src/evolve/index.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { anOptimizer, codeOf, step } from "./support.ts";

const quadratic = (code: Float64Array) => -code.reduce((sum, x, i) => sum + (1 + (i % 7)) * (x - 2) ** 2, 0);

/** An optimizer of any name; hessian-cma gets a basis of half the dimension. */
function anyOptimizer(name: OptimizerName, request: Partial<CreateOptimizer> = {}): Optimizer {
  const evolved = request.constraints?.subspace;
  const dim = evolved === undefined ? (request.dim ?? 16) : evolved.end - evolved.begin;
  return anOptimizer({ name, ...(name === "hessian-cma" ? { basis: aBasis(dim) } : {}), ...request });
}

function aBasis(dim: number, scale = 1): HessianBasis {
  const directions = Math.max(1, Math.floor(dim / 2));
  const eigenvectors = new Float64Array(directions * dim);
  for (let k = 0; k < directions; k++) eigenvectors[k * dim + k] = 1;
  return { eigenvalues: Float64Array.from({ length: directions }, (_, k) => scale / (k + 1)), eigenvectors };
}

function restored(optimizer: Optimizer, name: OptimizerName, dim = optimizer.dim): Optimizer {
  const state = unwrap(decodeOptimizerState(encodeOptimizerState(optimizer.state())));
  return unwrap(restoreOptimizer(state, name === "hessian-cma" ? { basis: aBasis(dim) } : {}));
}

function faultOf(result: { readonly ok: boolean; readonly error?: { readonly code: string; readonly message: string } }) {
  if (result.error === undefined) throw new Error("expected a fault, got a success");
  return result.error;
}

/** Told scores with some missing and some repeated, the same for the same seed. */
function patchyScores(optimizer: Optimizer, seed: number): Responses {
  const rng = createRng(seed);
  const population = optimizer.ask();
  return Array.from({ length: population.count }, (_, i) => {
    const kind = rng.int(10);
    const score = quadratic(codeOf(population, i));
    if (kind === 0) return [];
    return kind < 4 ? [score + rng.gaussian(), score + rng.gaussian()] : [score + rng.gaussian()];
  });
}

describe.each(optimizerNames)("%s", (name) => {
  test("asking twice gives the same population, asking after tell another", () => {
    const optimizer = anyOptimizer(name);
    step(optimizer, quadratic);
    const first = optimizer.ask();
    const copy = first.data.slice();
    expect(optimizer.ask()).toBe(first);
    unwrap(optimizer.tell(Array.from({ length: first.count }, (_, i) => [i])));
    expect(first.data, "a population that was given out is never written over").toEqual(copy);
    expect(optimizer.ask().data.slice(0, 16)).not.toEqual(first.data.slice(0, 16));
    expect(optimizer.generation).toBe(2);
  });

  test("what the caller does to a population does not reach the optimizer", () => {
    const [a, b] = [anyOptimizer(name), anyOptimizer(name)];
    for (let g = 0; g < 3; g++) {
      const scores = Array.from({ length: a.ask().count }, (_, i) => [quadratic(codeOf(a.ask(), i))]);
      b.ask().data.fill(1e9);
      unwrap(a.tell(scores));
      unwrap(b.tell(scores));
    }
    expect(b.mean()).toEqual(a.mean());
  });

  test("faulty scores are refused by name and change nothing", () => {
    const optimizer = anyOptimizer(name);
    expect(faultOf(optimizer.tell([[1]])).code).toBe("tellBeforeAsk");
    step(optimizer, quadratic);
    const { count } = optimizer.ask();
    const before = encodeOptimizerState(optimizer.state());
    const good = Array.from({ length: count }, (_, i) => [i * i]);
    const nan = faultOf(optimizer.tell(good.map((scores, i) => (i === 3 ? [1, Number.NaN] : scores))));
    expect(nan.code).toBe("scoreNotANumber");
    expect(nan.message).toContain("Presentation 1 of individual 3 has the score NaN");
    expect(faultOf(optimizer.tell(good.map((scores, i) => (i === 0 ? [Number.NEGATIVE_INFINITY] : scores)))).code).toBe("scoreNotFinite");
    expect(faultOf(optimizer.tell(good.slice(1))).code).toBe("scoreCountWrong");
    expect(faultOf(optimizer.tell(new Map([[count, [1]]]))).code).toBe("scoreIndexUnknown");
    expect(encodeOptimizerState(optimizer.state())).toEqual(before);
    expect(optimizer.tell(good).ok).toBe(true);
  });

  test("equal scores leave the mean where it is, and so do too few scores", () => {
    const optimizer = anyOptimizer(name);
    for (let g = 0; g < 3; g++) step(optimizer, quadratic);
    const mean = optimizer.mean();
    const equal = step(optimizer, () => -3).report;
    expect(optimizer.mean()).toEqual(mean);
    const { count } = optimizer.ask();
    const few = unwrap(optimizer.tell(new Map([[count - 1, [5]]])));
    expect(optimizer.mean()).toEqual(mean);
    expect(few.missing).toBe(count - 1);
    expect(unwrap(optimizer.tell((optimizer.ask(), new Map()))).scores.every(Number.isNaN)).toBe(true);
    expect(optimizer.mean()).toEqual(mean);
    if (name === "random") expect([equal.updated, equal.heldBecause]).toEqual([false, null]);
    else expect([equal.heldBecause, few.heldBecause]).toEqual(["equalScores", "tooFewScores"]);
    expect(step(optimizer, quadratic).report.updated).toBe(name !== "random");
  });

  test("a restored evolution goes on bit for bit, whenever it was saved and whatever was missing", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 2, max: 24 }), fc.integer({ min: 0, max: 14 }), fc.boolean(), (seed, dim, generations, pending) => {
        const live = anyOptimizer(name, { dim, seed, options: name === "cholesky-cma" || name === "hessian-cma" ? { updateEvery: 0 } : {} });
        for (let g = 0; g < generations; g++) unwrap(live.tell(patchyScores(live, seed + g)));
        if (pending) live.ask();
        const other = restored(live, name);
        expect([other.name, other.dim, other.generation, other.evaluations]).toEqual([live.name, live.dim, live.generation, live.evaluations]);
        for (let g = 0; g < 4; g++) {
          expect(other.ask().data).toEqual(live.ask().data);
          expect(unwrap(other.tell(patchyScores(other, g)))).toEqual(unwrap(live.tell(patchyScores(live, g))));
          expect(other.mean()).toEqual(live.mean());
        }
        expect(encodeOptimizerState(other.state())).toEqual(encodeOptimizerState(live.state()));
      }),
      { numRuns: 20 },
    );
  });

  test("a state is a snapshot, and one state has one encoding", () => {
    const optimizer = anyOptimizer(name);
    for (let g = 0; g < 3; g++) step(optimizer, quadratic);
    const state = optimizer.state();
    const bytes = encodeOptimizerState(state);
    for (let g = 0; g < 3; g++) step(optimizer, quadratic);
    expect(encodeOptimizerState(state)).toEqual(bytes);
    const decoded = unwrap(decodeOptimizerState(bytes));
    expect(decoded).toEqual(state);
    expect(encodeOptimizerState(decoded)).toEqual(bytes);
    expect(encodeOptimizerState(optimizer.state())).not.toEqual(bytes);
  });

  test("scores may arrive in any order", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const [a, b] = [anyOptimizer(name, { seed }), anyOptimizer(name, { seed })];
        for (let g = 0; g < 3; g++) {
          const responses = patchyScores(a, seed + g);
          b.ask();
          if (responses instanceof Map) throw new Error("expected an array of scores");
          const arrivals = [...responses.entries()].flatMap(([index, scores]) => [...(scores as readonly number[])].map((score) => ({ index, score })));
          unwrap(a.tell(responses));
          unwrap(b.tell(groupResponses(createRng(g).shuffle(arrivals))));
        }
        expect(encodeOptimizerState(b.state())).toEqual(encodeOptimizerState(a.state()));
      }),
      { numRuns: 10 },
    );
  });

  test.each([
    ["a norm cap", { normCap: 5 }, (code: Float64Array) => expect(Math.hypot(...code)).toBeLessThanOrEqual(5 * (1 + 1e-12))],
    ["a fixed norm", { fixedNorm: 5 }, (code: Float64Array) => expect(Math.abs(Math.hypot(...code) - 5)).toBeLessThan(1e-9)],
    ["a box", { box: { min: -0.5, max: 1.5 } }, (code: Float64Array) => expect(code.every((x) => x >= -0.5 && x <= 1.5)).toBe(true)],
    [
      "a subspace",
      { subspace: { begin: 4, end: 12 } },
      (code: Float64Array) => expect([...code.slice(0, 4), ...code.slice(12)]).toEqual(new Array(8).fill(0.25)),
    ],
    [
      "a subspace with a norm cap of the whole code",
      { subspace: { begin: 4, end: 12 }, normCap: 2 },
      (code: Float64Array) => {
        expect(code[0]).toBe(0.25);
        expect(Math.hypot(...code)).toBeLessThanOrEqual(2 * (1 + 1e-12));
      },
    ],
  ])("every code and the mean keep to %s", (_title, constraints, check) => {
    const start = new Float64Array(16).fill(0.25);
    const optimizer = anyOptimizer(name, { constraints, start, options: {} });
    let moved = false;
    for (let g = 0; g < 8; g++) {
      const { population } = step(optimizer, quadratic);
      for (let i = 0; i < population.count; i++) check(codeOf(population, i));
      check(optimizer.mean());
      moved ||= codeOf(population, population.count - 1)[5] !== 0.25;
    }
    expect(moved).toBe(true);
    expect(restored(optimizer, name, "subspace" in constraints ? 8 : 16).ask().data).toEqual(optimizer.ask().data);
  });

  test("the registry describes it: every option is accepted at both ends of its range and refused beyond", () => {
    const entry = optimizerRegistry.find((candidate) => candidate.name === name);
    if (entry === undefined) throw new Error(`expected ${name} in the registry`);
    expect(entry.whenToUse.length).toBeGreaterThan(20);
    const create = (options: Record<string, number | string>) => createOptimizer({ name, dim: 4, seed: 1, options, basis: aBasis(4) });
    for (const spec of entry.options) {
      expect(spec.description).toMatch(/\.$/);
      expect(spec.defaultRule.length).toBeGreaterThan(1);
      if (spec.kind === "choice") {
        for (const choice of spec.choices) expect(create({ [spec.name]: choice }).ok).toBe(true);
        expect(faultOf(create({ [spec.name]: "neither" })).message).toContain(spec.choices.join(", "));
        continue;
      }
      expect(create({ [spec.name]: spec.min }).ok).toBe(true);
      expect(create({ [spec.name]: spec.max }).ok).toBe(true);
      expect(faultOf(create({ [spec.name]: spec.max * 1.01 + 1 })).code).toBe("optionInvalid");
      expect(faultOf(create({ [spec.name]: Number.NaN })).code).toBe("optionInvalid");
      if (spec.kind === "integer") expect(faultOf(create({ [spec.name]: spec.min + 0.5 })).message).toContain("whole number");
      const { options } = unwrap(create({}));
      expect(options[spec.name]).toEqual(spec.default ?? expect.any(Number));
    }
    expect(faultOf(create({ populaton: 3 })).code).toBe("optionUnknown");
  });
});

describe("rank-based optimizers", () => {
  test.each(optimizerNames.filter((name) => name !== "xdream-ga" && name !== "random"))("%s: scale and offset of the scores change nothing", (name) => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0.01, max: 100, noNaN: true }), fc.double({ min: -1000, max: 1000, noNaN: true }), (seed, scale, offset) => {
        const [a, b] = [anyOptimizer(name, { seed }), anyOptimizer(name, { seed })];
        for (let g = 0; g < 6; g++) {
          step(a, quadratic);
          step(b, (code) => offset + scale * quadratic(code));
        }
        expect(encodeOptimizerState(b.state())).toEqual(encodeOptimizerState(a.state()));
      }),
      { numRuns: 15 },
    );
  });

  test("xdream-ga: scale and offset of the scores change nothing beyond rounding", () => {
    const [a, b] = [anyOptimizer("xdream-ga"), anyOptimizer("xdream-ga")];
    for (let g = 0; g < 6; g++) {
      step(a, quadratic);
      step(b, (code) => 4 * quadratic(code) + 512);
    }
    b.mean().forEach((x, i) => expect(x).toBeCloseTo(a.mean()[i]!, 10));
  });
});

describe("createOptimizer", () => {
  test("says what was expected, what came and what to do", () => {
    const message = (request: Partial<CreateOptimizer>) => {
      const { code, message: text } = faultOf(createOptimizer({ name: "cholesky-cma", dim: 8, seed: 1, ...request }));
      return `${code}: ${text}`;
    };
    expect(message({ name: "cma" })).toMatch(/^optimizerUnknown.*Choose one of cholesky-cma, sphere-cma/);
    expect(message({ dim: 0 })).toMatch(/^dimensionInvalid/);
    expect(message({ name: "full-cma", dim: 501 })).toMatch(/^dimensionTooLarge.*up to 500 dimensions, got 501\. Use cholesky-cma or sep-cma/);
    expect(message({ name: "lm-ma", dim: 1 })).toMatch(/^dimensionInvalid/);
    expect(message({ name: "hessian-cma" })).toMatch(/^basisMissing/);
    expect(message({ name: "hessian-cma", basis: { eigenvalues: Float64Array.of(1, 0), eigenvectors: new Float64Array(16) } })).toMatch(/^basisInvalid.*Eigenvalue 1/);
    expect(message({ name: "hessian-cma", basis: { eigenvalues: Float64Array.of(1), eigenvectors: new Float64Array(7) } })).toMatch(/^basisInvalid/);
    expect(message({ start: [1, 2] })).toMatch(/^startWrongLength.*length 8, got 2/);
    expect(message({ start: [1, 2, 3, 4, 5, 6, 7, Number.NaN] })).toMatch(/^startNotFinite.*Coordinate 7/);
    expect(message({ seed: Number.NaN })).toMatch(/^seedMissing/);
    expect(faultOf(createOptimizer({ name: "sep-cma", dim: 3 })).code).toBe("seedMissing");
    expect(message({ constraints: { normCap: 1, box: { min: 0, max: 1 } } })).toMatch(/^constraintInvalid.*norm cap and a box/);
    expect(message({ constraints: { normCap: 0 } })).toMatch(/^constraintInvalid/);
    expect(message({ constraints: { box: { min: 1, max: 1 } } })).toMatch(/^constraintInvalid/);
    expect(message({ constraints: { subspace: { begin: 4, end: 9 } } })).toMatch(/^constraintInvalid.*8 coordinates/);
    expect(message({ constraints: { fixedNorm: 2 } })).toMatch(/^constraintUnmet/);
    expect(message({ start: new Float64Array(8).fill(3), constraints: { normCap: 4, subspace: { begin: 0, end: 4 } } })).toMatch(/^constraintUnmet/);
    expect(message({ start: new Float64Array(8).fill(3), constraints: { box: { min: 0, max: 1 }, subspace: { begin: 0, end: 4 } } })).toMatch(/^constraintUnmet/);
  });

  test("starts from an image's code or from where another evolution, of another optimizer too, has ended", () => {
    const first = anOptimizer({ name: "cholesky-cma" });
    for (let g = 0; g < 30; g++) step(first, quadratic);
    const reached = quadratic(first.mean());
    for (const name of optimizerNames) {
      const next = anyOptimizer(name, {
        start: first.mean(),
        options: name === "sphere-cma" ? { radius: Math.hypot(...first.mean()), scheduleGenerations: 2 } : name === "xdream-ga" ? { initialSpread: 0.01 } : { stepSize: 0.01 },
      });
      const mean = (code: Float64Array) => quadratic(code);
      const scores = step(next, mean).scores;
      expect(Math.max(...scores), name).toBeGreaterThan(reached - 0.2 * Math.abs(reached) - 10);
      expect(name === "sphere-cma" ? scores.length > 1 : true).toBe(true);
    }
    expect(codeOf(anOptimizer({ name: "cholesky-cma", start: first.mean() }).ask(), 0)).toEqual(first.mean());
  });

  test("an optimizer on a source of draws without a state runs, but cannot be saved", () => {
    const rng = createRng(4);
    const optimizer = anOptimizer({ name: "sep-cma", rng: { uniform: rng.uniform, gaussian: rng.gaussian } });
    step(optimizer, quadratic);
    expect(() => optimizer.state()).toThrow(/without one/);
  });
});

describe("restoreOptimizer", () => {
  const bytes = encodeOptimizerState(anyOptimizer("sep-cma").state());

  test("refuses a newer state, another dimension, another basis and no state at all, with a sentence", () => {
    const optimizer = anyOptimizer("hessian-cma");
    step(optimizer, quadratic);
    const state = optimizer.state();
    const basis = aBasis(16);
    expect(faultOf(restoreOptimizer({ ...state, version: 2 }, { basis })).message).toMatch(/version 2, this program reads up to version 1/);
    expect(faultOf(decodeOptimizerState(encodeOptimizerState({ ...state, version: 2 }))).code).toBe("stateNewer");
    expect(faultOf(restoreOptimizer(state, { dim: 32, basis })).message).toMatch(/codes of length 16, the generator takes codes of length 32/);
    expect(faultOf(restoreOptimizer(state)).code).toBe("basisMissing");
    expect(faultOf(restoreOptimizer(state, { basis: aBasis(16, 1.0000001) })).code).toBe("basisOther");
    expect(restoreOptimizer(state, { dim: 16, basis }).ok).toBe(true);
    expect(faultOf(decodeOptimizerState(new Uint8Array(40))).code).toBe("stateNotOne");
    const newerLayout = bytes.slice();
    newerLayout[4] = 9;
    expect(faultOf(decodeOptimizerState(newerLayout)).message).toMatch(/version 9/);
  });

  test("a state with a field of another length or type is refused, not used", () => {
    const state = anyOptimizer("sep-cma").state();
    expect(faultOf(restoreOptimizer({ ...state, strategy: { ...state.strategy, ps: new Float64Array(3) } })).message).toMatch(/expected 16 numbers in "ps", got 3 numbers/);
    expect(faultOf(restoreOptimizer({ ...state, strategy: { ...state.strategy, sigma: "1" } })).code).toBe("stateDamaged");
    expect(faultOf(restoreOptimizer({ ...state, start: new Float64Array(2) })).code).toBe("stateDamaged");
    expect(faultOf(restoreOptimizer({ ...state, generation: -1 })).code).toBe("stateDamaged");
  });

  test("damage anywhere in the bytes is noticed", () => {
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const broken = bytes.slice();
        broken[at] = broken[at]! ^ change;
        expect(decodeOptimizerState(broken).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), (length) => {
        expect(decodeOptimizerState(bytes.slice(0, length)).ok).toBe(false);
      }),
    );
  });

  test("the encoding of a state never changes between releases", () => {
    const optimizer = anOptimizer({ name: "sep-cma", dim: 2, seed: 3, options: { population: 4 }, constraints: { normCap: 9 } });
    step(optimizer, quadratic);
    const text = Array.from(encodeOptimizerState(optimizer.state()), (byte) => byte.toString(16).padStart(2, "0")).join("");
    expect(text.length).toBeGreaterThan(1000);
    expect(text.slice(0, 16)).toBe("4556535401000000");
    expect(text.slice(-8)).toMatchInlineSnapshot(`"c3c5d178"`);
  });
});

describe("tell", () => {
  test("reports means, standard errors, the best and the noise of single presentations", () => {
    const optimizer = anOptimizer({ name: "sep-cma", dim: 4, options: { population: 4 } });
    optimizer.ask();
    const report = unwrap(optimizer.tell([[1, 3], [10, 14, 12], [], [-5]]));
    expect(Array.from(report.scores)).toEqual([2, 12, Number.NaN, -5]);
    expect(report.standardErrors[0]).toBeCloseTo(1, 12);
    expect(report.standardErrors[1]).toBeCloseTo(2 / Math.sqrt(3), 12);
    expect([report.standardErrors[2], report.standardErrors[3]]).toEqual([Number.NaN, Number.NaN]);
    expect([report.missing, report.bestIndex, report.bestScore, report.meanScore]).toEqual([1, 1, 12, 3]);
    expect(Array.from(report.presentationCounts)).toEqual([2, 3, 0, 1]);
    // Within: (2 + 8) / (1 + 2); between: var(2, 12, -5) = 73 less the mean of 10/3 / n.
    expect(report.noise?.withinSd).toBeCloseTo(Math.sqrt(10 / 3), 12);
    expect(report.noise?.betweenSd).toBeCloseTo(Math.sqrt(73 - ((10 / 3) * (1 / 2 + 1 / 3 + 1)) / 3), 12);
    expect([optimizer.evaluations, optimizer.generation]).toEqual([6, 1]);
  });

  test("scores of any size stay finite", () => {
    const optimizer = anOptimizer({ name: "cholesky-cma", dim: 3 });
    const huge = (code: Float64Array) => Math.sign(code[0]!) * 1e308;
    for (let g = 0; g < 5; g++) step(optimizer, huge);
    expect(optimizer.mean().every(Number.isFinite)).toBe(true);
    expect(Number.isFinite(optimizer.stepSize())).toBe(true);
  });
});
