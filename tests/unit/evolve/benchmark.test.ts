// Test objectives, noise, whole evolutions on them, defaults, and the command that runs them.

import { Command, CommanderError } from "commander";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { registerEvolve } from "../../../src/cli/commands/evolve.ts";
import { codePartsOf, createObjective, createSyntheticNeuron, defaultsFor, noiseLevelOf, optimizerNames, parseNoise, runEvolution } from "../../../src/evolve/index.ts";
import type { EvolutionRequest } from "../../../src/evolve/index.ts";
import { addNoise, drawPoisson } from "../../../src/evolve/noise.ts";
import { FaultError, unwrap } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import { anOptimizer, readParameters } from "./support.ts";

function aRun(request: Partial<EvolutionRequest> = {}) {
  return unwrap(runEvolution({ objective: "neuron", dim: 64, optimizer: "cholesky-cma", generations: 40, seed: 1, noise: { kind: "none" }, ...request }));
}

describe("objectives", () => {
  test("are highest where they say, and the same for the same seed", () => {
    for (const name of ["sphere", "ellipsoid"]) {
      const make = (seed: number) => unwrap(createObjective({ name, dim: 5, seed }));
      const zero = new Float64Array(5);
      expect(make(1).score(zero)).toBe(make(1).score(zero));
      expect(make(1).score(zero)).not.toBe(make(2).score(zero));
      expect(make(1).score(zero)).toBeLessThan(make(1).best);
    }
    const rosenbrock = unwrap(createObjective({ name: "rosenbrock", dim: 7, seed: 1 }));
    expect(rosenbrock.score(new Float64Array(7).fill(1))).toBe(rosenbrock.best);
    expect(rosenbrock.score(Float64Array.of(-1.2, 1, 1, 1, 1, 1, 1))).toBeCloseTo(-24.2, 10);
    expect(createObjective({ name: "cone", dim: 3, seed: 1 })).toMatchObject({ error: { code: "objectiveUnknown" } });
    expect(createObjective({ name: "sphere", dim: 1, seed: 1 })).toMatchObject({ error: { code: "dimensionInvalid" } });
  });

  test("the neuron's metric has the reference's effective dimension at N = 4096", () => {
    const neuron = createSyntheticNeuron({ dim: 4096, rng: createRng(1) });
    expect(neuron.effectiveDim / (readParameters("Neuron4096")["eff_dim"] ?? Number.NaN)).toBeCloseTo(1, 10);
  });

  test("the neuron sees through a rotation: lengths of equally weighted coordinates are kept, its metric's directions are orthonormal", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 2, max: 70 }), (seed, dim) => {
        const rng = createRng(seed);
        const neuron = createSyntheticNeuron({ dim, rng });
        const code = new Float64Array(dim);
        rng.fillGaussian(code);
        const seen = neuron.see(code).map((x, i) => x * Math.sqrt(i + 1));
        expect(Math.hypot(...seen)).toBeCloseTo(Math.hypot(...code), 10);
        const { eigenvalues, eigenvectors } = neuron.metric(dim);
        for (let k = 0; k < dim; k++) {
          const row = eigenvectors.subarray(k * dim, (k + 1) * dim);
          expect(Math.hypot(...row)).toBeCloseTo(1, 10);
          expect(row.reduce((sum, x, i) => sum + x * code[i]!, 0) * Math.sqrt(eigenvalues[k]!)).toBeCloseTo(neuron.see(code)[k]!, 10);
        }
      }),
      { numRuns: 20 },
    );
  });

  test("the neuron gives its baseline for grey and for anything it does not prefer, and its peak for more and more contrast of what it prefers", () => {
    const neuron = createSyntheticNeuron({ dim: 32, rng: createRng(3), baselineHz: 7, peakHz: 90, c50: 2 });
    expect(neuron.rate(new Float64Array(32))).toBe(7);
    // Random codes by hill climbing towards the preferred one.
    const rng = createRng(3);
    let best = new Float64Array(32);
    for (let i = 0; i < 6000; i++) {
      const trial = best.map((x) => x + 0.3 * rng.gaussian());
      if (neuron.rate(trial) > neuron.rate(best)) best = trial;
    }
    const loud = neuron.rate(best.map((x) => 1e6 * x));
    expect(loud).toBeGreaterThan(0.9 * 90);
    expect(loud).toBeLessThanOrEqual(90);
    expect(neuron.rate(best.map((x) => -x))).toBe(7);
  });
});

describe("noise", () => {
  test("is read from its text, or refused with an example", () => {
    expect(parseNoise("none")).toEqual({ ok: true, value: { kind: "none" } });
    expect(parseNoise("mult:0.2")).toEqual({ ok: true, value: { kind: "mult", fraction: 0.2 } });
    expect(parseNoise("poisson:0.15")).toEqual({ ok: true, value: { kind: "poisson", windowS: 0.15 } });
    for (const text of ["", "mult", "mult:", "mult:-1", "poisson:0", "poisson:x", "mult:0.2:1", "gauss:1"]) {
      expect(parseNoise(text), text).toMatchObject({ ok: false, error: { code: "noiseInvalid", message: expect.stringContaining("mult:0.2") } });
    }
  });

  test.each([0.3, 2.25, 15, 140])("Poisson counts with mean %f have that mean and variance", (mean) => {
    const rng = createRng(mean);
    const n = 20_000;
    const counts = Array.from({ length: n }, () => drawPoisson(mean, rng));
    const average = counts.reduce((sum, count) => sum + count / n, 0);
    const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2 / n, 0);
    expect(Math.abs(average - mean)).toBeLessThan(4 * Math.sqrt(mean / n));
    expect(Math.abs(variance / mean - 1)).toBeLessThan(4 * Math.sqrt((2 + 1 / mean) / n));
    expect(counts.every((count) => Number.isInteger(count) && count >= 0)).toBe(true);
  });

  test("multiplicative noise scales with the score", () => {
    const rng = createRng(5);
    const draws = Array.from({ length: 20_000 }, () => addNoise(-40, { kind: "mult", fraction: 0.2 }, rng));
    const sd = Math.sqrt(draws.reduce((sum, x) => sum + (x + 40) ** 2 / draws.length, 0));
    expect(Math.abs(sd / 8 - 1)).toBeLessThan(4 / Math.sqrt(2 * draws.length));
  });
});

describe("runEvolution", () => {
  test("one seed gives one line, another seed another", () => {
    const request = { noise: { kind: "poisson", windowS: 0.15 }, generations: 10 } as const;
    expect(aRun(request).line).toEqual(aRun(request).line);
    expect(aRun(request).report).toEqual(aRun(request).report);
    expect(aRun({ ...request, seed: 2 }).line).not.toEqual(aRun(request).line);
  });

  test.each(optimizerNames.filter((name) => name !== "random"))("%s climbs on the neuron with and without noise", (optimizer) => {
    for (const noise of [{ kind: "none" }, { kind: "mult", fraction: 0.2 }] as const) {
      const { line, report } = aRun({ optimizer, noise });
      expect(line.meanPointClean).toBeGreaterThan(line.startClean + 15);
      expect(line.bestClean).toBeGreaterThanOrEqual(line.lastMeanClean);
      expect(report.verdict).toBe("rose");
    }
  });

  test("Cholesky and separable CMA-ES end higher than the genetic algorithm, which ends higher than random search", () => {
    for (const noise of [{ kind: "none" }, { kind: "mult", fraction: 0.2 }, { kind: "poisson", windowS: 0.15 }] as const) {
      const mean = (optimizer: string) => [1, 2, 3].reduce((sum, seed) => sum + aRun({ optimizer, noise, seed, dim: 128, generations: 40 }).line.lastMeanClean / 3, 0);
      const genetic = mean("xdream-ga");
      expect(mean("cholesky-cma")).toBeGreaterThan(genetic);
      expect(mean("sep-cma")).toBeGreaterThan(genetic);
      expect(genetic).toBeGreaterThan(mean("random"));
    }
  });

  test("counts every presentation, and times ask and tell only where it is given a clock", () => {
    let now = 0;
    const { line } = aRun({ optimizer: "sep-cma", generations: 5, presentations: 3, options: { population: 10 }, nowMs: () => now++ });
    expect(line.evaluations).toBe(5 * 3 * 10);
    expect(line.msPerGeneration).toEqual({ median: 2, max: 2 });
    expect(aRun({ generations: 2 }).line.msPerGeneration).toBe(null);
    expect(Object.keys(line)).toEqual(["optimizer", "dim", "generations", "evaluations", "startClean", "lastMeanClean", "meanPointClean", "bestClean", "msPerGeneration"]);
  });

  test("a drifting recording does not change what the report finds", () => {
    const still = aRun({ generations: 30 });
    const drifting = aRun({ generations: 30, driftPerGeneration: -1.5 });
    expect(drifting.line).toEqual(still.line); // ranks within a generation do not see drift
    expect(drifting.report.drift?.mean).toBeCloseTo(-45, 6);
    expect(drifting.report.end.mean).toBeCloseTo(still.report.end.mean, 6);
    expect(drifting.report.generations.at(-1)?.evolved.mean).toBeCloseTo((still.report.generations.at(-1)?.evolved.mean ?? 0) - 1.5 * 29, 6);
  });

  test("an evolution that ends below its start is reported as such", () => {
    // The last two generations of exploration are far too wide: the mean ends far from the start, where the score is lower.
    const start = new Float64Array(64);
    const objective = unwrap(createObjective({ name: "sphere", dim: 64, seed: 1 }));
    for (let g = 0; g < 200; g++) start.set(start.map((x, i) => x + 0.01 * (objective.score(moved(start, i, 0.1)) - objective.score(start))));
    const { report } = aRun({ objective: "sphere", start, generations: 3, options: { stepSize: 50 }, noise: { kind: "mult", fraction: 0.2 } });
    expect(report.verdict).toBe("endedBelowStart");
    expect(report.sentences[0]).toContain("ended below its start");
  });

  test("refuses what cannot run, with a sentence", () => {
    const fault = (request: Partial<EvolutionRequest>) => {
      const result = runEvolution({ objective: "neuron", dim: 8, optimizer: "sep-cma", generations: 1, seed: 1, noise: { kind: "none" }, ...request });
      return result.ok ? "ok" : result.error.code;
    };
    expect(fault({ objective: "sphere", noise: { kind: "poisson", windowS: 1 } })).toBe("noiseNeedsRates");
    expect(fault({ objective: "rosenbrock", optimizer: "hessian-cma" })).toBe("basisMissing");
    expect(fault({ generations: 0 })).toBe("countInvalid");
    expect(fault({ presentations: 0 })).toBe("countInvalid");
    expect(fault({ optimizer: "cma" })).toBe("optimizerUnknown");
    expect(fault({ constraints: { normCap: 10 } })).toBe("ok");
  });
});

function moved(code: Float64Array, coordinate: number, by: number): Float64Array {
  const copy = code.slice();
  copy[coordinate] = copy[coordinate]! + by;
  return copy;
}

describe("defaults", () => {
  const deepsim = { latentDim: 4096, initialStepSize: 3, typicalNorm: 300, family: "deepsim" } as const;
  const biggan = { latentDim: 256, initialStepSize: 0.2, family: "biggan" } as const;

  test("follow the generator: step size, norm, mutation", () => {
    const { setups } = defaultsFor({ generator: deepsim, noise: "high" });
    expect(setups["cholesky-cma"].options).toEqual({ stepSize: 3 });
    expect(setups["sphere-cma"].options).toEqual({ radius: 300 });
    expect(setups["sep-cma"].constraints).toEqual({ normCap: 300 });
    expect(setups["xdream-ga"].options).toEqual({ mutationSize: 0.75, initialSpread: 1 });
    expect(setups["hessian-cma"].options).toEqual({ stepSize: 0.8, exponent: 0.2 });
    expect(defaultsFor({ generator: biggan, noise: "high" }).setups["cholesky-cma"].options).toEqual({ stepSize: 0.2 });
    for (const generator of [deepsim, biggan]) {
      for (const [name, setup] of Object.entries(defaultsFor({ generator, noise: "none" }).setups)) {
        if (name === "full-cma" && generator.latentDim > 500) continue;
        const basis = { eigenvalues: Float64Array.of(1), eigenvectors: new Float64Array(generator.latentDim).fill(0.1) };
        expect(anOptimizer({ name, dim: generator.latentDim, basis, ...setup }).name).toBe(name);
      }
    }
  });

  test("follow the noise: the sphere only without noise and where length is free", () => {
    expect(defaultsFor({ generator: deepsim, noise: "none" }).name).toBe("sphere-cma");
    expect(defaultsFor({ generator: deepsim, noise: "high" }).name).toBe("cholesky-cma");
    expect(defaultsFor({ generator: biggan, noise: "none" }).name).toBe("cholesky-cma");
    expect(noiseLevelOf({ withinSd: 0, betweenSd: 0 })).toBe("none");
    expect(noiseLevelOf({ withinSd: 1, betweenSd: 10 })).toBe("none");
    expect(noiseLevelOf({ withinSd: 5, betweenSd: 10 })).toBe("low");
    expect(noiseLevelOf({ withinSd: 20, betweenSd: 10 })).toBe("high");
  });

  test("BigGAN's parts cover its code without overlap", () => {
    const [noise, classes] = codePartsOf(biggan);
    expect([noise?.subspace, classes?.subspace]).toEqual([{ begin: 0, end: 128 }, { begin: 128, end: 256 }]);
    expect(codePartsOf(deepsim)).toEqual([]);
  });
});

describe("evoked evolve", () => {
  afterEach(() => void vi.restoreAllMocks());

  async function run(...args: string[]) {
    const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const program = new Command("evoked").exitOverride();
    registerEvolve(program);
    for (const command of program.commands) command.exitOverride();
    await program.parseAsync(["evolve", "--dim", "16", "--generations", "5", ...args], { from: "user" });
    return { out: out.mock.calls.map(([text]) => String(text)).join(""), err: err.mock.calls.map(([text]) => String(text)).join("") };
  }

  test("with --json prints one line of JSON on standard output and the report on standard error", async () => {
    const { out, err } = await run("--json", "--optimizer", "full-cma", "--noise", "mult:0.2", "--seed", "9", "--set", "population=10", "--set", "stepSize=2");
    expect(out.split("\n")).toHaveLength(2);
    const line = JSON.parse(out);
    expect(line).toMatchObject({ optimizer: "full-cma", dim: 16, generations: 5, evaluations: 50, msPerGeneration: { median: expect.any(Number), max: expect.any(Number) } });
    expect(err).toContain("The evolution");
  });

  test("without --json prints a table and the report", async () => {
    const { out } = await run("--norm-cap", "20", "--subspace", "2:10", "--drift", "-0.1");
    expect(out).toMatch(/distribution mean {2}\d/);
    expect(out).toMatch(/▁.*█/);
    expect(out).toContain("The references drifted by");
  });

  test("help names every optimizer and option of the registry", () => {
    const program = new Command("evoked");
    registerEvolve(program);
    let help = "";
    program.commands[0]?.configureOutput({ writeOut: (text) => void (help += text) }).outputHelp();
    for (const name of optimizerNames) expect(help).toContain(name);
    for (const option of ["updateEvery", "scheduleGenerations", "mutationRate", "directions", "exponent", "--norm-cap"]) expect(help).toContain(option);
  });

  test("wrong values end with a sentence", async () => {
    for (const [args, text] of [
      [["--noise", "gauss:1"], /Expected the noise none, mult:FRACTION/],
      [["--dim", "1"], /whole number from 2/],
      [["--set", "population"], /OPTION=VALUE/],
      [["--optimizer", "adam"], /Allowed choices are cholesky-cma/],
      [["--box", "1"], /two numbers with a colon/],
      [["--norm-cap", "-1"], /above 0/],
    ] as const) {
      await expect(run(...args)).rejects.toThrow(CommanderError);
      await expect(run(...args)).rejects.toThrow(text);
    }
    await expect(run("--set", "sigma=3")).rejects.toThrow(FaultError);
    await expect(run("--set", "sigma=3")).rejects.toThrow(/no option "sigma"/);
  });
});
