import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { drawChart, niceTicks } from "../../../src/engine/insilico/report/chart.ts";
import { formatCsv, formatNumber } from "../../../src/engine/insilico/report/page.ts";
import { parseAlphas, parseEpsilons, parseNames, quoteCommand } from "../../../src/engine/insilico/requests.ts";
import { measureImages, summariseSweep } from "../../../src/engine/insilico/measures.ts";
import { judge } from "../../../src/engine/insilico/reproduce.ts";
import type { EvolutionResult } from "../../../src/engine/insilico/sweep.ts";
import { nameCondition, readCondition } from "../../../src/analysis/modelCondition.ts";
import { imagePath } from "../../../src/engine/insilico/sweepReport.ts";
import { aGenerator, anEncoder, aUnit, latentDim, someModels } from "./support.ts";

describe("Texts of the command line", () => {
  it("alphas are the decimals that were written", () => {
    expect(parseAlphas("0:1:0.1")).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
    expect(parseAlphas("1,0,0.25")).toEqual([1, 0, 0.25]);
    for (const wrong of ["", "a", "0:1", "0:1:0", "0,2", "1:0:0.1", "0:1:1e-9"]) expect(() => parseAlphas(wrong)).toThrow(/Expected/);
  });

  it("epsilons belong to networks", () => {
    expect(parseEpsilons("a=0, b=4.5")).toEqual({ a: 0, b: 4.5 });
    for (const wrong of ["a", "a=", "=3", "a=-1"]) expect(() => parseEpsilons(wrong)).toThrow(/Expected/);
    expect(parseNames(" a, ,b ")).toEqual(["a", "b"]);
  });

  it("a command can be typed again", () => {
    expect(quoteCommand(["ablate", "--out", "my folder/it's", "--alphas", "0:1:0.1"])).toBe("evoked ablate --out 'my folder/it'\\''s' --alphas 0:1:0.1");
  });
});

describe("Conditions in labels of model images", () => {
  it("a sweep's own file names are read back", () => {
    for (const [sign, alpha] of [["positive", 0.5], ["negative", 1], ["positive", 0]] as const) {
      const label = imagePath({ unit: "neuron/PIT-09", sign, alpha, generator: "shapes-g1", run: 3 });
      expect(readCondition(label)).toEqual(alpha === 0 ? { sign: null, alpha: 0 } : { sign, alpha });
    }
    expect(readCondition("C:\\pictures\\negative-0.30-g-1.png")).toEqual({ sign: "negative", alpha: 0.3 });
    for (const other of ["apple.png", "positively-0.5.png", "positive.png", ""]) expect(readCondition(other)).toBeNull();
    expect(nameCondition({ sign: "positive", alpha: 0.5 })).toBe("positive 0.5");
  });
});

describe("Figures and tables", () => {
  it("ticks enclose the values in equal round steps", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const ticks = niceTicks(values, 5);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(9);
        const slack = (ticks[1]! - ticks[0]!) * 1e-6;
        expect(ticks[0]! - slack).toBeLessThanOrEqual(Math.min(...values));
        expect(ticks.at(-1)! + slack).toBeGreaterThanOrEqual(Math.max(...values));
      }),
    );
  });

  it("a chart shows its points, its control and its words, escaped, and has no NaN in it", () => {
    const svg = drawChart({
      title: "A < B & C", xLabel: "alpha", yLabel: "activation", level: { name: "intact", y: 2, low: 1, high: 3 },
      series: [{ name: "without", colour: "#56b4e9", marker: "circle", points: [{ x: 0, y: 2, low: 1, high: 3 }, { x: 1, y: -1, low: null, high: null, label: 'p "1"' }] }],
    });
    expect(svg).toContain("A &lt; B &amp; C");
    expect(svg).toContain("stroke-dasharray");
    expect(svg).toContain("prefers-color-scheme:dark");
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(svg.match(/<circle/g)).toHaveLength(3); // two points and the legend
    expect(drawChart({ title: "", xLabel: "", yLabel: "", series: [] })).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("CSV cells survive commas, quotes, new lines and nothing", () => {
    expect(formatCsv({ columns: ["a", "b,c"], rows: [['say "x"', null], ["line\nend", 0.1]] })).toBe('a,"b,c"\r\n"say ""x""",\r\n"line\nend",0.1\r\n');
  });

  it("numbers are short", () => {
    expect([formatNumber(0.123456), formatNumber(-2), formatNumber(0.00001), formatNumber(Number.NaN), formatNumber(12345.6)]).toEqual(["0.123", "−2", "1.0e−5", "–", "12300"]);
  });
});

describe("Measures of a sweep", () => {
  const models = someModels({ generators: [aGenerator()], encoders: [anEncoder()] });
  const units = [aUnit(), aUnit({ name: "two" }), aUnit({ name: "three" })];
  /** Strong latents for the control, weak ones (flat grey images) without positive weights. */
  const results = units.flatMap((unit, u) =>
    [0, 1].flatMap((run) =>
      ([["positive", 0, 1], ["positive", 1, 0.01], ["negative", 1, 1]] as const).map(([sign, alpha, scale]): EvolutionResult => ({
        unit: unit.id, generator: "plain", run, sign, alpha, activation: scale * (4 + u), intactActivation: scale, generation: 0, means: [0],
        latent: Float32Array.from({ length: latentDim }, (_, i) => scale * Math.sin(1 + i + u + 0.3 * run)),
        mean: { activation: scale, intactActivation: scale, latent: new Float32Array(latentDim) },
      })),
    ),
  );

  it("object energy, activation and likeness fall where the images lose their object, each unit counted once", async () => {
    const images = await measureImages({ results, units, models, detector: null });
    const { curves, missing } = await summariseSweep({ images, models: { ...models, list: () => [] }, settings: { of: "best", perceptual: null, ensemble: [], detector: null, permutations: 100, interval: "t", seed: 1, epsilons: {} } });
    const energy = curves.find((curve) => curve.id === "objectEnergy")!;
    expect(energy.over).toBe("units");
    expect(energy.control!.n).toBe(3);
    const [positive, negative] = energy.points;
    expect(positive!.mean).toBeLessThan(0.2 * energy.control!.mean);
    expect(negative!.mean).toBeCloseTo(energy.control!.mean, 9);
    expect(curves.find((curve) => curve.id === "activation")!.points[0]!.difference).toBeLessThan(0);
    expect(missing.join()).toMatch(/Objectness.*Likeness/);
  });

  it("likeness by LPIPS is 1 minus the mean squared distance of the vectors where its model is installed; else the report says how to get it", async () => {
    const images = await measureImages({ results, units, models, detector: null });
    const vectorOf = (data: Uint8Array): Float32Array => Float32Array.from([0, 5, 11], (i) => (data[i % data.length] ?? 0) / 255);
    const encoder = { ...anEncoder(), identity: { id: "lpips-alex", title: "", sha256: "", provider: "cpu" }, features: async (image: { readonly data: Uint8Array }) => [vectorOf(image.data)] };
    const installed = { ...someModels({ generators: [aGenerator()], encoders: [encoder] }), list: () => [{ kind: "encoder", id: "lpips-alex", penultimate: "vector" } as never] };
    const settings = { of: "best", perceptual: "lpips-alex", ensemble: [], detector: null, permutations: 100, interval: "t", seed: 1, epsilons: {} } as const;
    const { curves } = await summariseSweep({ images, models: installed, settings });
    const curve = curves.find((candidate) => candidate.id === "perceptual")!;
    const distance = (a: Uint8Array, b: Uint8Array): number => vectorOf(a).reduce((sum, value, i) => sum + (value - vectorOf(b)[i]!) ** 2, 0);
    const of = (unit: string, alpha: number) => images.filter(({ result }) => result.unit === unit && result.alpha === alpha && result.sign === "positive").map(({ image }) => image.data);
    const expected = units.map(({ id }) => of(id, 0).flatMap((a) => of(id, 1).map((b) => 1 - distance(a, b))).reduce((sum, value, _, all) => sum + value / all.length, 0));
    expect(curve.points.find((point) => point.sign === "positive")!.values).toEqual(expected.map((value) => expect.closeTo(value, 5)));
    const control = units.map(({ id }) => 1 - distance(of(id, 0)[0]!, of(id, 0)[1]!));
    expect(curve.control!.values).toEqual(control.map((value) => expect.closeTo(value, 5)));
    const without = await summariseSweep({ images, models: { ...models, list: () => [] }, settings });
    expect(without.missing.join()).toMatch(/LPIPS.*evoked models fetch lpips-alex/);
  });

  it("measures the image at the mean of the distribution where that is asked for", async () => {
    const images = await measureImages({ results, units, models, detector: null, of: "mean" });
    expect(images.every((image) => (image.objectEnergy ?? 1) < 0.01)).toBe(true);
    expect(images[0]!.activation).toBe(results[0]!.mean.activation);
  });

  it("with one unit the runs take the units' place", async () => {
    const images = await measureImages({ results: results.filter((result) => result.unit === units[0]!.id), units, models, detector: null });
    const { curves } = await summariseSweep({ images, models, settings: { of: "best", perceptual: null, ensemble: [], detector: null, permutations: 100, interval: "t", seed: 1, epsilons: {} } });
    expect(curves.every((curve) => curve.over === "runs" && curve.control?.n === 2)).toBe(true);
  });
});

describe("The verdicts of the desk experiment", () => {
  const image = { count: 1, width: 1, height: 1, data: new Uint8Array(3) };
  /** Ten units per network whose activation and energy change by what is given. */
  const world = (drops: Readonly<Record<string, readonly [number, number]>>) =>
    Object.entries(drops).flatMap(([network, [positive, negative]]) =>
      Array.from({ length: 10 }, (_, u) =>
        ([["positive", 0, 0], ["positive", 1, positive], ["negative", 1, negative]] as const).map(([sign, alpha, drop]) => ({
          network, image, activation: 10 * (1 - drop) + 0.1 * Math.sin(u * 3 + alpha), intactActivation: 0, objectness: 0.5, objectEnergy: 0.1 * (1 - drop) + 0.001 * Math.sin(u * 7 + alpha),
          result: { unit: `${network}/${u}`, generator: "g", run: 0, sign, alpha, activation: 0, intactActivation: 0, generation: 0, means: [], latent: new Float32Array(), mean: { activation: 0, intactActivation: 0, latent: new Float32Array() } },
        })),
      ).flat(),
    );

  it("hold in a world where positive weights carry the object in ReLU networks only", () => {
    const verdicts = judge(world({ "plain-relu": [1, -0.2], "plain-robust": [1, -0.2], "plain-tanh": [0.05, 0.05] }), 1);
    expect(verdicts.filter((verdict) => !verdict.holds).map((verdict) => verdict.claim)).toEqual(["plain-tanh: object energy does not fall without either sign", "plain-relu: objectness (shapes-detector) falls without positive weights"]);
  });

  it("fail in a world where the signs do the same everywhere", () => {
    const verdicts = judge(world({ "plain-relu": [0.5, 0.5], "plain-robust": [0.5, 0.5], "plain-tanh": [0.9, 0.1] }), 1);
    const failed = verdicts.filter((verdict) => !verdict.holds).map((verdict) => verdict.claim);
    expect(failed.some((claim) => claim.startsWith("plain-relu: removing positive"))).toBe(true);
    expect(failed.some((claim) => claim.includes("symmetry within"))).toBe(true);
    expect(failed.some((claim) => claim.startsWith("plain-relu: object energy does not fall without negative"))).toBe(true);
  });
});
