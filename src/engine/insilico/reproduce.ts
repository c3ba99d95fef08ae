// `evoked reproduce desk`: the paper's ablation experiment on the shipped networks (SPEC 10), with what came out and what did not.
// Trains nothing. Knows nothing about command lines.
import { meanInterval, permutationTest, signFlipTest } from "../../analysis/statistics.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createRng } from "../../shared/rng.ts";
import { runAblation } from "./ablate.ts";
import type { AblationOutcome } from "./ablate.ts";
import type { MeasuredImage, SweepMeasures } from "./measures.ts";
import { colours, drawChart } from "./report/chart.ts";
import { formatNumber } from "./report/page.ts";
import type { Section } from "./report/page.ts";
import { defaultSweep } from "./sweep.ts";
import type { SweepControl, SweepProgress, SweepSettings } from "./sweep.ts";
import { readClassUnits } from "./units.ts";

export interface DeskRequest {
  readonly folder: string;
  readonly modelFolders: readonly string[];
  readonly seed: number;
  readonly runs: number;
  readonly generations: number;
  readonly population: number;
  readonly workers?: number;
  readonly command: string;
  readonly control?: SweepControl;
  readonly onProgress?: (progress: SweepProgress) => void;
}

/** Sizes that fit two cores and ten minutes. */
export const deskSizes = { runs: 3, generations: 60, population: 16 } as const;

// Networks without batch normalisation, and a generator that can leave its object out: docs/insilico.md says why. The robust networks are twins
// of plain-relu: the same first weights and images, trained on attacked ones.
const networks = ["plain-relu", "plain-robust-2", "plain-robust", "plain-tanh"] as const;
type Network = (typeof networks)[number];
/** Strength of adversarial training, 1/255. The statements are about the strongest; the one between is there for the trend. */
const epsilons: Readonly<Partial<Record<Network, number>>> = { "plain-relu": 0, "plain-robust-2": 2, "plain-robust": 4 };
const judged = ["plain-relu", "plain-robust"] as const;
/** Symmetric means: the 95 % interval of the difference between the signs lies within this share of the intact activation. */
const symmetryMargin = 0.25;
const permutations = 10_000;
const significant = 0.05;

export interface Verdict {
  readonly claim: string;
  readonly holds: boolean;
  readonly evidence: string;
  readonly p: number | null;
}

export interface DeskOutcome extends AblationOutcome {
  readonly verdicts: readonly Verdict[];
}

export async function reproduceDesk(request: DeskRequest): Promise<Result<DeskOutcome, Fault>> {
  const units = [];
  for (const network of networks) {
    const own = await readClassUnits(request.modelFolders, network, "all");
    if (!own.ok) return own;
    units.push(...own.value);
  }
  const settings: SweepSettings = { ...defaultSweep, seed: request.seed, generators: ["shapes-g2"], alphas: [0, 0.5, 1], runs: request.runs, generations: request.generations, population: request.population };
  let verdicts: readonly Verdict[] = [];
  const outcome = await runAblation({
    units, settings, folder: request.folder, modelFolders: request.modelFolders, command: request.command, provider: "cpu",
    measures: { of: "best", ensemble: [...networks], perceptual: null, detector: "shapes-detector", permutations, interval: "t", seed: request.seed, epsilons },
    title: "Ablation experiment on the built-in networks",
    ...(request.workers === undefined ? {} : { workers: request.workers }),
    ...(request.control === undefined ? {} : { control: request.control }),
    ...(request.onProgress === undefined ? {} : { onProgress: request.onProgress }),
    introduce: async ({ images, measures, others }) => {
      verdicts = [...judge(images, request.seed), ...judgeRobustness(measures)];
      const ofMean = judge(await others(), request.seed);
      const failed = verdicts.filter((verdict) => !verdict.holds).length;
      return {
        sections: [verdictSection(verdicts), overviewSection(images), meanSection(ofMean)],
        summary: [
          "Ten class units each of a ReLU network, two adversarially trained twins of it and a Tanh network; images evolved for each unit intact, and with half or all of its positive or negative weights removed.",
          "An evolution's image is its best one, as in the paper; the same tests on the images at the mean of the final search distributions stand below as a second reading.",
          failed === 0 ? "Every statement below was reproduced." : `${verdicts.length - failed} of ${verdicts.length} statements were reproduced, ${failed} ${failed === 1 ? "was" : "were"} not.`,
        ],
      };
    },
  });
  return outcome.ok ? { ok: true, value: { ...outcome.value, verdicts } } : outcome;
}

type Measure = "activation" | "objectEnergy" | "objectness";

/** Mean over runs per unit, in unit order. */
function unitMeans(images: readonly MeasuredImage[], network: Network, measure: Measure, sign: "positive" | "negative" | "intact"): Float64Array {
  const own = images.filter((image) => image.network === network && (sign === "intact" ? image.result.alpha === 0 : image.result.alpha === 1 && image.result.sign === sign));
  const units = Map.groupBy(own, (image) => image.result.unit);
  return Float64Array.from([...units.keys()].sort(), (unit) => {
    const values = (units.get(unit) ?? []).map((image) => (image[measure]) ?? Number.NaN);
    return values.reduce((a, b) => a + b, 0) / values.length;
  });
}

const minus = (a: Float64Array, b: Float64Array): Float64Array => a.map((value, i) => value - b[i]!);

/** The statements of SPEC 10, each with its test at alpha = 1 over units. */
export function judge(images: readonly MeasuredImage[], seed: number): Verdict[] {
  const rng = createRng(seed).fork("desk");
  const verdicts: Verdict[] = [];
  const arrow = (network: Network, measure: Measure): string => {
    const of = (sign: "positive" | "negative" | "intact"): string => formatNumber(meanInterval(unitMeans(images, network, measure, sign)).mean);
    return `intact ${of("intact")}, without positive ${of("positive")}, without negative ${of("negative")}`;
  };
  const flip = (label: string, differences: Float64Array, alternative: "two-sided" | "less" | "greater") => signFlipTest(differences, { alternative, permutations, rng: rng.fork(label) });
  const drop = (network: Network, measure: Measure, sign: "positive" | "negative"): Float64Array => minus(unitMeans(images, network, measure, "intact"), unitMeans(images, network, measure, sign));

  for (const network of judged) {
    const asymmetry = minus(drop(network, "activation", "positive"), drop(network, "activation", "negative"));
    const test = flip(`${network} asymmetry`, asymmetry, "greater");
    verdicts.push({
      claim: `${network}: removing positive weights costs more activation than removing negative ones (asymmetry)`,
      holds: test.p < significant, p: test.p,
      evidence: `${arrow(network, "activation")}; difference of the drops ${describeMean(asymmetry)}, one-sided sign-flip test over ${asymmetry.length} units, p = ${formatNumber(test.p)}`,
    });
  }
  {
    const asymmetry = minus(drop("plain-tanh", "activation", "positive"), drop("plain-tanh", "activation", "negative"));
    const intact = meanInterval(unitMeans(images, "plain-tanh", "activation", "intact")).mean;
    const interval = meanInterval(asymmetry);
    const test = flip("tanh symmetry", asymmetry, "two-sided");
    const inside = interval.low !== null && interval.high !== null && Math.max(Math.abs(interval.low), Math.abs(interval.high)) < symmetryMargin * intact;
    verdicts.push({
      claim: `plain-tanh: removing positive and negative weights costs about the same (symmetry within ${symmetryMargin * 100} % of the intact activation)`,
      holds: inside, p: test.p,
      evidence: `${arrow("plain-tanh", "activation")}; difference of the drops ${describeMean(asymmetry)} against a margin of ${formatNumber(symmetryMargin * intact)}; two-sided sign-flip test for a difference, p = ${formatNumber(test.p)}`,
    });
    const share = (network: Network): Float64Array => {
      const whole = unitMeans(images, network, "activation", "intact");
      return minus(drop(network, "activation", "positive"), drop(network, "activation", "negative")).map((value, i) => value / whole[i]!);
    };
    const between = permutationTest(share("plain-relu"), share("plain-tanh"), { alternative: "greater", permutations, rng: rng.fork("relu against tanh") });
    verdicts.push({
      claim: "The asymmetry (share of the intact activation) is larger in the ReLU network than in the Tanh network",
      holds: between.p < significant, p: between.p,
      evidence: `${describeMean(share("plain-relu"))} against ${describeMean(share("plain-tanh"))}; one-sided permutation test over units, p = ${formatNumber(between.p)}`,
    });
  }
  for (const network of judged) {
    const loss = drop(network, "objectEnergy", "positive");
    const test = flip(`${network} energy`, loss, "greater");
    verdicts.push({
      claim: `${network}: object energy falls without positive weights`,
      holds: test.p < significant, p: test.p,
      evidence: `${arrow(network, "objectEnergy")}; drop ${describeMean(loss)}, one-sided sign-flip test, p = ${formatNumber(test.p)}`,
    });
    const kept = drop(network, "objectEnergy", "negative");
    const keptTest = flip(`${network} energy kept`, kept, "greater");
    verdicts.push({
      claim: `${network}: object energy does not fall without negative weights`,
      holds: keptTest.p >= significant, p: keptTest.p,
      evidence: `drop ${describeMean(kept)}, one-sided sign-flip test, p = ${formatNumber(keptTest.p)} (no fall shown is not a proof of none)`,
    });
  }
  {
    const positive = drop("plain-tanh", "objectEnergy", "positive");
    const negative = drop("plain-tanh", "objectEnergy", "negative");
    const tests = [flip("tanh energy positive", positive, "greater"), flip("tanh energy negative", negative, "greater")];
    const p = Math.min(1, 2 * Math.min(...tests.map((test) => test.p)));
    verdicts.push({
      claim: "plain-tanh: object energy does not fall without either sign",
      holds: p >= significant, p,
      evidence: `${arrow("plain-tanh", "objectEnergy")}; drops ${describeMean(positive)} and ${describeMean(negative)}, one-sided sign-flip tests, smaller p doubled = ${formatNumber(p)}`,
    });
    const larger = permutationTest(drop("plain-relu", "objectEnergy", "positive"), positive, { alternative: "greater", permutations, rng: rng.fork("energy relu against tanh") });
    verdicts.push({
      claim: "Without positive weights object energy falls more in the ReLU network than in the Tanh network",
      holds: larger.p < significant, p: larger.p,
      evidence: `${describeMean(drop("plain-relu", "objectEnergy", "positive"))} against ${describeMean(positive)}; one-sided permutation test over units, p = ${formatNumber(larger.p)}`,
    });
  }
  {
    const loss = drop("plain-relu", "objectness", "positive");
    const test = flip("objectness", loss, "greater");
    verdicts.push({
      claim: "plain-relu: objectness (shapes-detector) falls without positive weights",
      holds: test.p < significant, p: test.p,
      evidence: `${arrow("plain-relu", "objectness")}; drop ${describeMean(loss)}, one-sided sign-flip test, p = ${formatNumber(test.p)}`,
    });
  }
  return verdicts;
}

/** The paper's Table 1: the more robust a network, the more its images change. n = units x levels. */
export function judgeRobustness(measures: Pick<SweepMeasures, "robustness" | "levels">): Verdict[] {
  const row = measures.robustness.find((candidate) => candidate.measure === "similarity" && candidate.sign === "positive" && candidate.alpha === 1);
  if (row === undefined) return [];
  const { r, p } = row.relative;
  const levels = measures.levels.filter((level) => level.measure === "similarity" && level.sign === "positive" && level.alpha === 1);
  return [{
    claim: "Without positive weights images change the more, the more robust the network is (likeness to the intact unit's falls with ε)",
    holds: r !== null && p !== null && r < 0 && p < significant, p,
    evidence: `change of likeness ${levels.map((level) => `${formatNumber(level.relative.mean)} at ${level.epsilon}/255`).join(", ")}; Spearman rho = ${r === null ? "-" : formatNumber(r)} over ${row.relative.n} units x levels, two-sided p = ${p === null ? "-" : formatNumber(p)}`,
  }];
}

function describeMean(values: Float64Array): string {
  const { mean, low, high } = meanInterval(values);
  return low === null || high === null ? formatNumber(mean) : `${formatNumber(mean)} [${formatNumber(low)}, ${formatNumber(high)}]`;
}

function verdictSection(verdicts: readonly Verdict[]): Section {
  return {
    title: "What is reproduced, and what is not",
    text: [
      "All tests at α = 1 over the ten units of each network (each the mean of its runs), seeded, p not corrected for their number. Activation is that of the ablated unit by the images evolved for it. Object energy is the mean absolute difference between an image and the same image without its object.",
      "Not attempted here: recorded neurons, DeePSiM and BigGAN images, ImageNet networks, YOLOv7, LPIPS.",
    ],
    verdicts: verdicts.map(({ claim, holds, evidence }) => ({ holds, statement: claim, evidence })),
    tables: [{ name: "verdicts", caption: "Statements and tests", columns: ["statement", "reproduced", "p", "evidence"], rows: verdicts.map(({ claim, holds, p, evidence }) => [claim, holds, p, evidence]), shown: 0 }],
  };
}

/** The same statements with the other reading of an evolution's image. Secondary: it decides nothing above. */
function meanSection(verdicts: readonly Verdict[]): Section {
  return {
    title: "Second reading: the image at the mean of the final search distribution",
    text: ["The best image is one draw among many; the mean of the distribution is what the search as a whole came to. Shown so that a result that hangs on this choice can be seen to."],
    verdicts: verdicts.map(({ claim, holds, evidence }) => ({ holds, statement: claim, evidence })),
    tables: [{ name: "verdicts-mean", caption: "Statements and tests on the mean images", columns: ["statement", "reproduced", "p", "evidence"], rows: verdicts.map(({ claim, holds, p, evidence }) => [claim, holds, p, evidence]), shown: 0 }],
  };
}

/** Every unit's mean at alpha = 1, by network. */
function overviewSection(images: readonly MeasuredImage[]): Section {
  const figure = (measure: Measure, title: string, yLabel: string) => ({
    name: `overview-${measure}`,
    caption: `${title} at α = 1. Points: units; large: mean and 95 % interval.`,
    draw: (theme: "light" | "dark" | "auto") =>
      drawChart({
        title, xLabel: "", yLabel, theme, categories: [...networks], widthPx: 460, heightPx: 340,
        series: (["intact", "positive", "negative"] as const).map((sign, s) => ({
          name: sign === "intact" ? "intact" : `without ${sign} weights`,
          colour: [colours.orange, colours.blue, colours.purple][s]!,
          marker: (["triangle", "circle", "square"] as const)[s]!,
          line: false,
          points: networks.flatMap((network, n) => {
            const values = unitMeans(images, network, measure, sign);
            const interval = meanInterval(values);
            const x = n + (s - 1) * 0.24;
            return [
              ...Array.from(values, (y, i) => ({ x: x + 0.06 * Math.sin(i * 2.4), y, hollow: true })),
              { x, y: interval.mean, low: interval.low, high: interval.high, label: `${network}: ${formatNumber(interval.mean)}` },
            ];
          }),
        })),
      }),
  });
  return {
    title: "Overview",
    figures: [figure("activation", "Activation of the evolved images", "activation"), figure("objectEnergy", "Object energy", "mean |image − background|"), figure("objectness", "Objectness", "highest box score")],
  };
}
