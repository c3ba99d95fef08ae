// The report of an ablation sweep: curves, galleries, tables, provenance. Knows nothing about how the numbers were computed.
import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { encodePng } from "../../session/png.ts";
import { colours, drawChart } from "./report/chart.ts";
import type { Series } from "./report/chart.ts";
import { formatNumber, writeReport } from "./report/page.ts";
import type { Figure, PictureCell, PictureGrid, Section, Table } from "./report/page.ts";
import type { MeasureCurve, MeasuredImage, SweepMeasures } from "./measures.ts";
import type { SweepHead } from "./sweepFiles.ts";
import { writeWhole } from "./sweepFiles.ts";
import type { LinearUnit } from "./units.ts";

export const signStyles = {
  positive: { name: "without positive weights", colour: colours.blue, marker: "circle" },
  negative: { name: "without negative weights", colour: colours.purple, marker: "square" },
} as const;

/** Pictures of one unit that go into the page: the best runs. */
const runsShown = 6;

export async function writeSweepReport(options: { readonly folder: string; readonly head: SweepHead; readonly units: readonly LinearUnit[]; readonly images: readonly MeasuredImage[]; readonly measures: SweepMeasures; readonly title?: string; readonly before?: readonly Section[]; readonly summary?: readonly string[] }): Promise<string[]> {
  const { folder, head, units, images, measures } = options;
  await writeImages(folder, images);
  const sections: Section[] = [...(options.before ?? [])];
  const networks = [...new Set(images.map((image) => image.network))];
  for (const network of networks) {
    const curves = measures.curves.filter((curve) => curve.network === network);
    sections.push({
      title: networks.length === 1 ? "Measures against ablation strength" : `Measures against ablation strength: ${network}`,
      text: [describeStatistics(curves, measures)],
      figures: curves.map((curve) => curveFigure(curve)),
      tables: [curveTable(network, curves)],
    });
  }
  if (measures.robustness.length > 0) sections.push(robustnessSection(measures));
  sections.push({ title: "Images", text: ["Columns: ablation strength. Upper rows: without positive weights, lower rows: without negative ones; the first picture of each row is the intact unit. The best run is shown; open a cell for the others."], pictures: units.map((unit) => gallery(unit, images)) });
  sections.push({ title: "All runs", tables: [runsTable(images)] });
  if (measures.missing.length > 0) sections.push({ title: "Not measured", text: measures.missing });
  const { settings } = head;
  return writeReport(folder, {
    title: options.title ?? `Ablation of ${units.length === 1 ? (units[0]?.title ?? "") : `${units.length} units`} of ${networks.join(", ")}`,
    summary: options.summary ?? [`${countOf(units.length, "unit")}, ${countOf(settings.alphas.filter((a) => a > 0).length, "strength")} of ${settings.signs.join(" and ")} weights and the intact unit, ${countOf(settings.generators.length, "generator")}, ${countOf(settings.runs, "run")} of ${countOf(settings.generations, "generation")}.`],
    sections,
    command: head.command,
    provenance: [
      ["App", `Evoked ${head.appVersion}`],
      ["Seed", String(settings.seed)],
      ["Ablation rule", settings.rule === "atMost" ? "the largest k weights whose absolute sum is at most alpha times the total" : "the smallest k weights whose absolute sum reaches alpha times the total"],
      ["Optimizer", `${settings.optimizer ?? "as src/evolve offers for the generator without noise"}, population ${settings.population ?? "the optimizer's own"}, ${settings.generations} generations`],
      ["Image of an evolution", measures.settings.of === "mean" ? "at the mean of the final search distribution" : "the best one"],
      ["Alphas", settings.alphas.join(", ")],
      ["Permutations", `${measures.settings.permutations}, seed ${measures.settings.seed}; 95 % intervals by ${measures.settings.interval === "t" ? "Student's t" : "bootstrap"}`],
      ["Likeness judged by", measures.settings.ensemble.length === 0 ? "-" : `${measures.settings.ensemble.join(", ")}, penultimate layer`],
      ["Likeness by LPIPS", measures.settings.perceptual ?? "-"],
      ...head.models.map((model): [string, string] => [`Model ${model.id}`, `sha256 ${model.sha256}, on ${model.provider}`]),
      ...head.units.map((unit): [string, string] => [`Unit ${unit.id}`, `${unit.kind}, layer ${unit.layer}, weights sha256 ${unit.weightsSha256}`]),
    ],
  });
}

function countOf(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** Every evolved image as PNG: images/<unit>/<condition>-<generator>-<run>.png. */
async function writeImages(folder: string, images: readonly MeasuredImage[]): Promise<void> {
  for (const { result, image } of images) {
    const path = join(folder, imagePath(result));
    await mkdir(join(path, ".."), { recursive: true });
    await writeWhole(path, encodePng({ widthPx: image.width, heightPx: image.height, rgb: image.data }));
  }
}

export function imagePath(result: { readonly unit: string; readonly sign: string; readonly alpha: number; readonly generator: string; readonly run: number }): string {
  const safe = (text: string): string => text.replace(/[^A-Za-z0-9._-]+/g, "_");
  const condition = result.alpha === 0 ? "control" : `${result.sign}-${result.alpha.toFixed(2)}`;
  return join("images", safe(result.unit), `${condition}-${safe(result.generator)}-${result.run}.png`);
}

export function curveFigure(curve: MeasureCurve, name?: string): Figure {
  return {
    name: name ?? `${curve.id}-${curve.network.replace(/[^A-Za-z0-9_-]+/g, "_")}`,
    caption: `${curve.title}, ${curve.network}. Mean and 95 % interval over ${curve.points[0]?.n ?? 0} ${curve.over}; dashed: intact.`,
    draw: (theme) =>
      drawChart({
        title: curve.title, note: curve.network, xLabel: "ablation strength α", yLabel: curve.axis, theme,
        series: (["positive", "negative"] as const).flatMap((sign): Series[] => {
          const own = curve.points.filter((point) => point.sign === sign);
          if (own.length === 0) return [];
          const start = curve.control === null ? [] : [{ x: 0, y: curve.control.mean, low: curve.control.low, high: curve.control.high }];
          return [{ ...signStyles[sign], points: [...start, ...own.map((point) => ({ x: point.alpha, y: point.mean, low: point.low, high: point.high, label: `α ${point.alpha}: ${formatNumber(point.mean)}${point.p === null ? "" : `, p ${formatNumber(point.p)}`}` }))] }];
        }),
        ...(curve.control === null ? {} : { level: { name: "intact", y: curve.control.mean, low: curve.control.low, high: curve.control.high } }),
      }),
  };
}

function curveTable(network: string, curves: readonly MeasureCurve[]): Table {
  return {
    name: `measures-${network.replace(/[^A-Za-z0-9_-]+/g, "_")}`,
    caption: "Means, 95 % intervals, and permutation p of the paired difference from the intact unit",
    columns: ["measure", "over", "sign", "alpha", "mean", "low", "high", "n", "difference", "p"],
    rows: curves.flatMap((curve) => [
      ...(curve.control === null ? [] : [[curve.id, curve.over, "intact", 0, curve.control.mean, curve.control.low, curve.control.high, curve.control.n, null, null]]),
      ...curve.points.map((point) => [curve.id, curve.over, point.sign, point.alpha, point.mean, point.low, point.high, point.n, point.difference, point.p]),
    ]),
    shown: 130,
  };
}

function robustnessSection(measures: SweepMeasures): Section {
  const titles = new Map(measures.curves.map((curve) => [curve.id, curve.title]));
  const figures = [...new Set(measures.levels.map((row) => row.measure))].map((measure): Figure => ({
    name: `robustness-${measure}`,
    caption: `${titles.get(measure) ?? measure}: change relative to the intact unit at the strongest ablation, by the strength of adversarial training. Mean and 95 % interval over units.`,
    draw: (theme) => {
      const own = measures.levels.filter((row) => row.measure === measure);
      const strongest = Math.max(...own.map((row) => row.alpha));
      return drawChart({
        title: titles.get(measure) ?? measure, note: `α = ${strongest}`, xLabel: "adversarial training ε, 1/255", yLabel: "(ablated − intact) / intact", theme,
        series: (["positive", "negative"] as const).flatMap((sign): Series[] => {
          const points = own.filter((row) => row.sign === sign && row.alpha === strongest).map(({ epsilon, relative }) => ({ x: epsilon, y: relative.mean, low: relative.low, high: relative.high, label: `ε ${epsilon}: ${formatNumber(relative.mean)}` }));
          return points.length === 0 ? [] : [{ ...signStyles[sign], points }];
        }),
      });
    },
  }));
  return {
    title: "Robustness",
    text: [`Spearman correlation of every measure with the strength of adversarial training (${Object.entries(measures.settings.epsilons).map(([network, epsilon]) => `${network}: ${epsilon}/255`).join(", ")}): of its value as it is, and of its change relative to the intact unit, for every sign and strength; n = units x levels. For likeness a negative correlation says that more robust networks change more (P Table 1). p values are not corrected for their number.`],
    figures,
    tables: [{
      name: "robustness",
      caption: "Spearman correlation with the strength of adversarial training",
      columns: ["measure", "sign", "alpha", "rho raw", "p raw", "rho relative", "p relative", "n"],
      rows: measures.robustness.map((row) => [row.measure, row.sign, row.alpha, row.raw.r, row.raw.p, row.relative.r, row.relative.p, row.raw.n]),
    }, {
      name: "robustness-levels",
      caption: "Means by level",
      columns: ["measure", "epsilon", "sign", "alpha", "raw", "raw low", "raw high", "relative", "relative low", "relative high", "n"],
      rows: measures.levels.map((row) => [row.measure, row.epsilon, row.sign, row.alpha, row.raw.mean, row.raw.low, row.raw.high, row.relative.mean, row.relative.low, row.relative.high, row.raw.n]),
      shown: 0,
    }],
  };
}

function runsTable(images: readonly MeasuredImage[]): Table {
  return {
    name: "runs",
    caption: "Every evolution",
    columns: ["network", "unit", "generator", "run", "sign", "alpha", "activation", "intact activation", "object energy", "objectness", "best generation", "image"],
    rows: images.map(({ network, result, activation, intactActivation, objectEnergy, objectness }) => [network, result.unit, result.generator, result.run, result.alpha === 0 ? "intact" : result.sign, result.alpha, activation, intactActivation, objectEnergy, objectness, result.generation, imagePath(result)]),
    shown: 12,
  };
}

function gallery(unit: LinearUnit, images: readonly MeasuredImage[]): PictureGrid {
  const own = images.filter((image) => image.result.unit === unit.id);
  const rows: { readonly title: string; readonly cells: readonly (PictureCell | null)[] }[] = [];
  for (const generator of new Set(own.map((image) => image.result.generator))) {
    const made = own.filter((image) => image.result.generator === generator);
    const control = made.filter((image) => image.result.alpha === 0);
    for (const sign of ["positive", "negative"] as const) {
      const ablated = made.filter((image) => image.result.sign === sign && image.result.alpha > 0);
      const alphas = [...new Set(ablated.map((image) => image.result.alpha))].sort((a, b) => a - b);
      if (alphas.length === 0) continue;
      const cells = [cellOf("intact", control), ...alphas.map((alpha) => cellOf(`α ${alpha}`, ablated.filter((image) => image.result.alpha === alpha)))];
      rows.push({ title: `${signStyles[sign].name}, ${generator}`, cells });
    }
  }
  return { caption: `${unit.title} (${unit.network})`, rows };
}

function cellOf(label: string, members: readonly MeasuredImage[]): PictureCell | null {
  const ranked = [...members].sort((a, b) => b.activation - a.activation);
  const [best] = ranked;
  if (best === undefined) return null;
  return {
    label, sublabel: formatNumber(best.activation),
    images: ranked.slice(0, runsShown).map(({ image, result, activation, intactActivation, objectEnergy, objectness }) => ({
      image,
      caption: `${label}, run ${result.run}: activation ${formatNumber(activation)}, intact unit ${formatNumber(intactActivation)}${objectEnergy === null ? "" : `, object energy ${formatNumber(objectEnergy)}`}${objectness === null ? "" : `, objectness ${formatNumber(objectness)}`}`,
    })),
  };
}

function describeStatistics(curves: readonly MeasureCurve[], measures: SweepMeasures): string {
  const [first] = curves;
  if (first === undefined) return "";
  const tests = first.permutations === 0 ? "" : ` Tests: sign flips of the paired differences from the intact unit, two-sided, ${first.exact ? `all ${first.permutations} arrangements` : `${first.permutations} drawn arrangements`}, seed ${measures.settings.seed}; not corrected for the number of conditions.`;
  const over = first.over === "runs" ? " With fewer than three units, intervals and tests are over runs and say nothing about other units." : "";
  return `The activation of the ablated unit is what its images were evolved for; the intact unit's is measured on the same images.${tests}${over}`;
}
