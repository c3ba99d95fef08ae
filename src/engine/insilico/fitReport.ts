// The report of a session's neuron models: cards, scatters, weights, and the validation where model images were shown.
// Knows nothing about how models were fitted.
import { signStyles } from "./sweepReport.ts";
import { colours, drawChart, drawHistogram } from "./report/chart.ts";
import type { Series } from "./report/chart.ts";
import { formatNumber, writeReport } from "./report/page.ts";
import type { Figure, Section } from "./report/page.ts";
import type { FittedSessionUnit, SessionFit } from "./fit.ts";
import type { SessionValidation } from "./validation.ts";

/** Units with figures of their own. */
const unitsDrawn = 6;

export async function writeFitReport(options: { readonly folder: string; readonly fit: SessionFit; readonly validation: SessionValidation | null; readonly command: string }): Promise<string[]> {
  const { fit, validation } = options;
  const ranked = [...fit.units].sort((a, b) => scoreOf(b) - scoreOf(a));
  const best = fit.bestUnit === null ? undefined : fit.units[fit.bestUnit];
  const sections: Section[] = [
    {
      title: "Units",
      text: [`r² is the coefficient of determination on ${best !== undefined && best.testCount > 0 ? "held-out" : "the fitted"} images; the ceiling is the highest r that a perfect model could have with these averages (split halves, Spearman-Brown); corrected r is r over the ceiling. The ceiling comes from the images shown at least twice: where most images were shown once, it is that of those few, and the corrected r holds for images repeated as often.`],
      figures: [scoreFigure(fit)],
      tables: [
        {
          name: "units", caption: "All units, best first", shown: 24,
          columns: ["unit", "area", "r2 train", "r2 test", "r", "ceiling r", "corrected r", "positive/negative", "features for half the weight", "components", "penalty", "converged"],
          rows: ranked.map((u) => [u.name, u.area, u.r2Train, u.r2Test, u.rTest ?? u.rTrain, u.ceilingR, u.noiseCorrectedR, u.positiveToNegative, u.weights.countForHalfOfTotal, u.components, u.penalty, u.converged]),
        },
      ],
    },
    { title: `The best ${Math.min(unitsDrawn, ranked.length)} units`, figures: ranked.slice(0, unitsDrawn).flatMap((unit) => [scatterFigure(unit), weightFigure(unit)]) },
  ];
  if (validation !== null) sections.splice(1, 0, validationSection(fit, validation));
  return writeReport(options.folder, {
    title: `Neuron models of ${fit.session.id.slice(0, 8)}`,
    summary: [
      `${fit.units.length} units on ${fit.images} images (${fit.presentations} presentations; ${fit.kinds.join(", ")}), features of ${fit.encoder.id}, layer ${fit.encoder.layer}.`,
      best === undefined ? "No unit has a score: the responses are constant." : `Best unit: ${best.name} (${best.area}), r² ${formatNumber(best.r2Test ?? best.r2Train ?? Number.NaN)}${best.ceilingR === null ? "" : `, ceiling r ${formatNumber(best.ceilingR)}`}.`,
      `${fit.consistentFeatures.positive} features are positive and ${fit.consistentFeatures.negative} negative over units more often than chance (two-sided binomial test, Bonferroni over ${fit.consistentFeatures.tested} features).`,
    ],
    sections,
    command: options.command,
    provenance: [
      ["App", `Evoked ${fit.appVersion}`], ["Session", `${fit.session.id}, ${fit.session.file}`], ["Encoder", `${fit.encoder.id}, layer ${fit.encoder.layer}, sha256 ${fit.encoder.sha256}`],
      ["Method", JSON.stringify(fit.settings.method)], ["Split", JSON.stringify(fit.settings.split)], ["Seed", String(fit.settings.seed)],
    ],
  });
}

function scoreOf(unit: FittedSessionUnit): number {
  return (unit.testCount > 0 ? unit.r2Test : unit.r2Train) ?? Number.NEGATIVE_INFINITY;
}

function scoreFigure(fit: SessionFit): Figure {
  const areas = [...new Set(fit.units.map((unit) => unit.area))];
  return {
    name: "scores", caption: "Each unit's r on held-out images against its noise ceiling; on the dotted line a model would be perfect.",
    draw: (theme) =>
      drawChart({
        title: "Prediction against noise ceiling", xLabel: "ceiling r", yLabel: "r of the model", identity: true, theme,
        series: areas.map((area, a): Series => ({
          name: area || "units", colour: [colours.blue, colours.green, colours.purple, colours.vermilion][a % 4]!, marker: (["circle", "square", "triangle"] as const)[a % 3]!, line: false,
          points: fit.units.flatMap((unit) => {
            const r = unit.rTest ?? unit.rTrain;
            return unit.area === area && r !== null && unit.ceilingR !== null ? [{ x: unit.ceilingR, y: r, label: unit.name }] : [];
          }),
        })),
      }),
  };
}

export function scatterFigure(unit: FittedSessionUnit): Figure {
  const { scatter } = unit;
  const points = (test: boolean) => scatter.measured.flatMap((y, i) => (scatter.isTest[i] === test ? [{ x: scatter.predicted[i]!, y, hollow: !test, label: `image ${scatter.imageIds[i]}` }] : []));
  return {
    name: `scatter-${unit.name.replace(/[^A-Za-z0-9_-]+/g, "_")}`, caption: `${unit.name}: measured against predicted rates of single images.`,
    draw: (theme) =>
      drawChart({
        title: `${unit.name} · ${unit.area}`, note: `r² ${formatNumber(unit.r2Test ?? unit.r2Train ?? Number.NaN)}${unit.noiseCorrectedR === null ? "" : `, noise-corrected r ${formatNumber(unit.noiseCorrectedR)}`}`,
        xLabel: "predicted, spikes/s", yLabel: "measured, spikes/s", identity: true, theme,
        series: [
          { name: "fitted images", colour: colours.orange, marker: "circle", line: false, points: points(false) },
          { name: "held-out images", colour: colours.blue, marker: "circle", line: false, points: points(true) },
        ],
      }),
  };
}

export function weightFigure(unit: FittedSessionUnit): Figure {
  return {
    name: `weights-${unit.name.replace(/[^A-Za-z0-9_-]+/g, "_")}`, caption: `${unit.name}: distribution of weights in raw activation space.`,
    draw: (theme) => drawHistogram({ title: `${unit.name}: weights`, note: `positive/negative ${unit.positiveToNegative === null ? "–" : formatNumber(unit.positiveToNegative)}, ${unit.positiveCount} + ${unit.negativeCount} features`, xLabel: "weight", edges: unit.weights.edges, counts: unit.weights.counts, theme, widthPx: 460, heightPx: 320 }),
  };
}

/** P Fig. 8: measured against predicted with the model images, responses by condition, the population. */
function validationSection(fit: SessionFit, found: SessionValidation): Section {
  const unit = fit.units[found.unit];
  const name = unit?.name ?? `unit ${found.unit}`;
  const { validation } = found;
  const scatter: Figure = {
    name: "validation-scatter", caption: `${name}: images evolved for the model among the images it was fitted on and tested with.`,
    draw: (theme) =>
      drawChart({
        title: "Measured against predicted", note: `training r ${text(validation.training.r)}, test r ${text(validation.test?.r ?? null)}, model images r ${text(validation.model.r)}`, xLabel: "predicted, spikes/s", yLabel: "measured, spikes/s", identity: true, theme,
        series: [
          { name: "fitted images", colour: colours.orange, marker: "circle", line: false, points: pairs(unit, false) },
          { name: "held-out images", colour: colours.green, marker: "triangle", line: false, points: pairs(unit, true) },
          { name: "model images", colour: colours.blue, marker: "square", line: false, points: Array.from({ length: found.model.measured.length }, (_, i) => ({ x: found.model.predicted[i]!, y: found.model.measured[i]! })) },
        ],
      }),
  };
  const responses: Figure = {
    name: "validation-conditions", caption: `${name}: responses to each condition's images. Points: images; bars: mean and 95 % interval; * p < 0.05 against control.`,
    draw: (theme) =>
      drawChart({
        title: "Responses by condition", xLabel: "", yLabel: "spikes/s", theme, widthPx: Math.max(460, 90 + 62 * found.conditions.length), categories: found.conditions.map((c) => c.name.replace("positive", "pos").replace("negative", "neg")),
        series: found.conditions.map((condition, i): Series => ({
          name: "", colour: condition.condition === null ? colours.orange : condition.condition.sign === null ? colours.green : signStyles[condition.condition.sign].colour, marker: "circle", line: false,
          points: [
            ...condition.rates.map((y, j) => ({ x: i + 0.14 + 0.1 * Math.sin(j * 2.4), y, hollow: true })),
            { x: i - 0.12, y: condition.interval.mean, low: condition.interval.low, high: condition.interval.high, ...(condition.vsControl !== null && condition.vsControl.p < 0.05 ? { mark: "*" } : {}) },
          ],
        })),
      }),
  };
  const names = [...new Set(found.population.map((p) => p.condition))];
  const population: Figure = {
    name: "population", caption: "Mean z-scored response of all units of an area, per condition.",
    draw: (theme) =>
      drawChart({
        title: "Population response", xLabel: "", yLabel: "mean z", theme, widthPx: Math.max(460, 90 + 62 * names.length), categories: names.map((n) => n.replace("positive", "pos").replace("negative", "neg")),
        series: [...new Set(found.population.map((p) => p.area))].map((area, a): Series => ({
          name: area || "all", colour: [colours.blue, colours.green, colours.purple, colours.vermilion][a % 4]!, marker: (["circle", "square", "triangle"] as const)[a % 3]!, line: false,
          points: found.population.filter((p) => p.area === area).map((p) => ({ x: names.indexOf(p.condition) + (a - 1) * 0.16, y: p.interval.mean, low: p.interval.low, high: p.interval.high })),
        })),
      }),
  };
  const { extrapolation, modelVsNatural } = validation;
  return {
    title: `Validation: ${name}`,
    text: [
      `Responses to model images against all natural images: difference ${formatNumber(modelVsNatural.meanDifference)} spikes/s, permutation test (${modelVsNatural.alternative}, ${modelVsNatural.permutations} arrangements), p = ${formatNumber(modelVsNatural.p)}.`,
      `${formatNumber(100 * extrapolation.predictedBeyondShare)} % of the model images are predicted above the highest prediction of the training images (${formatNumber(extrapolation.highestTrainingPrediction)} spikes/s); ${formatNumber(100 * extrapolation.measuredBeyondShare)} % drove the unit above its highest training response (${formatNumber(extrapolation.highestTrainingResponse)} spikes/s).`,
    ],
    figures: [scatter, responses, population],
    tables: [
      {
        name: "validation", caption: "Responses by condition, tested against the control images", columns: ["condition", "images", "mean, spikes/s", "low", "high", "difference from control", "p"],
        rows: found.conditions.map((c) => [c.name, c.rates.length, c.interval.mean, c.interval.low, c.interval.high, c.vsControl?.meanDifference ?? null, c.vsControl?.p ?? null]),
      },
      { name: "population", caption: "Population response", columns: ["area", "condition", "mean z", "low", "high", "images", "units"], rows: found.population.map((p) => [p.area, p.condition, p.interval.mean, p.interval.low, p.interval.high, p.values.length, p.unitCount]) },
    ],
  };
}

function pairs(unit: FittedSessionUnit | undefined, test: boolean) {
  if (unit === undefined) return [];
  return unit.scatter.measured.flatMap((y, i) => (unit.scatter.isTest[i] === test ? [{ x: unit.scatter.predicted[i]!, y, hollow: true }] : []));
}

function text(value: number | null): string {
  return value === null ? "–" : formatNumber(value);
}
