// The contract's in-silico methods: fits of recorded sessions, and ablation sweeps one at a time beside whatever else the app does. Sweeps
// live in folders under the session folder, so that a list of them survives the app and an unfinished one can be resumed.
// Knows nothing about transport or screens.
import { mkdir, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Models } from "../../models/client.ts";
import type { Handlers, SweepArgs, SweepLine, SweepView } from "../../shared/contract/index.ts";
import { sweepArgs } from "../../shared/contract/index.ts";
import type { SessionInfo } from "../../shared/records.ts";
import { FaultError, fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { Caller } from "../engineTypes.ts";
import { builtInReferences } from "../paths.ts";
import { loadReferences } from "../references.ts";
import { runAblation } from "./ablate.ts";
import type { AblationOutcome } from "./ablate.ts";
import { analyseSession } from "./analyse.ts";
import { fitFolderOf } from "./fit.ts";
import type { SessionFit } from "./fit.ts";
import { defaultMeasures, measureImages, summariseSweep } from "./measures.ts";
import type { MeasuredImage, MeasureSettings, SweepMeasures } from "./measures.ts";
import { quoteCommand } from "./requests.ts";
import { pngOf } from "./report/page.ts";
import { recordsOfSweep, sessionOfFit, storeAnalysis } from "./storeAnalysis.ts";
import type { EvolutionResult, SweepSettings } from "./sweep.ts";
import { listGroups } from "./sweep.ts";
import { readIfThere, readSweepFolder, writeWhole } from "./sweepFiles.ts";
import { formatGradients, gradientImagePx, readClassUnits, readGradientUnits, readNeuronUnits, restoreGradientUnits } from "./units.ts";
import type { LinearUnit } from "./units.ts";
import { withModels } from "./withModels.ts";

export interface InsilicoHandlersOptions {
  readonly models: Models;
  readonly modelFolders: readonly string[];
  readonly sessionFolder: string;
  readonly emit: (line: SweepLine) => void;
  /** Who stores results in the sessions they are of. */
  readonly hostKind: SessionInfo["hostKind"];
  /** Wall time, for the names of folders. */
  readonly nowUtc?: () => Date;
  /** Model processes of a sweep; default one per core. Tests give models in `models` and take these. */
  readonly poolModels?: Models;
}

type Names = "insilico.fit" | "insilico.storedFit" | "insilico.start" | "insilico.pause" | "insilico.resume" | "insilico.stop" | "insilico.list" | "insilico.results" | "insilico.image";
export type InsilicoHandlers = Pick<Handlers<Caller>, Names>;

/** An analysis that this program knows of, running or read from its folder. */
interface Held {
  line: SweepLine;
  readonly folder: string;
  readonly args: SweepArgs;
  units: readonly LinearUnit[];
  /** Results of finished groups. */
  results: readonly EvolutionResult[];
  /** Measured so far, in the order of `results`. */
  readonly measured: MeasuredImage[];
  measures: SweepMeasures | null;
  /** What a pause, a resume or a stop acts on; null where it is not running. */
  control: { readonly stop: AbortController; paused: boolean; wake: () => void } | null;
  measuring: Promise<void>;
  startedMs: number;
  shareAtStart: number;
}

const requestFile = "request.json";
/** Of an ablation at another layer than the last weights': its units' mean gradients. */
const gradientsFile = "gradients.npy";
/** Arrangements per test in curves that are drawn while a sweep runs. */
const quickPermutations = 1000;

export function createInsilicoHandlers(options: InsilicoHandlersOptions): InsilicoHandlers & { readonly close: () => Promise<void> } {
  const { models, modelFolders } = options;
  const root = join(options.sessionFolder, "analyses");
  const held = new Map<string, Held>();
  let starting = false;
  let running: { readonly id: string; readonly ended: Promise<void> } | null = null;

  // ------------------------------------------------------------------------------------------------------------
  // Fits

  async function fit(args: Parameters<InsilicoHandlers["insilico.fit"]>[0]) {
    const method = args.method === "pls" ? ({ kind: "pls", components: args.components } as const) : args.method === "lasso" ? ({ kind: "lasso", positive: args.positive } as const) : ({ kind: "ridge" } as const);
    const found = await analyseSession({
      file: args.file, models, encoder: args.encoder, layer: args.layer, method, split: { kind: "holdOut" }, kinds: null, seed: args.seed, unit: null, folder: null, storedBy: options.hostKind,
      command: quoteCommand(["analyse", args.file, "--encoder", args.encoder, ...(args.layer === null ? [] : ["--layer", args.layer]), "--method", args.method, ...(args.method === "pls" ? ["--components", String(args.components)] : []), ...(args.method === "lasso" && args.positive ? ["--positive"] : []), "--seed", String(args.seed)]),
    });
    return found.ok ? ok(viewOfFit(found.value.fit)) : found;
  }

  async function storedFit(file: string) {
    try {
      const text = await readFile(join(fitFolderOf(file), "fit.json"), "utf8");
      const stored = JSON.parse(text) as SessionFit;
      return ok(stored.format === "evoked-fit" && stored.version === 1 ? viewOfFit(stored) : null);
    } catch {
      return ok(null);
    }
  }

  // ------------------------------------------------------------------------------------------------------------
  // Sweeps

  async function readUnits({ units }: SweepArgs, folder: string | null): Promise<Result<LinearUnit[], Fault>> {
    if (units.from === "classes") {
      const { network, layer } = units;
      const wanted = units.names.length === 0 ? "all" : units.names;
      if (layer === null) return readClassUnits(modelFolders, network, wanted);
      const gradients = folder === null ? null : await readIfThere(join(folder, gradientsFile));
      if (gradients !== null) return restoreGradientUnits({ modelFolders, network, layer, wanted, gradients });
      const images = await loadReferences(builtInReferences, gradientImagePx);
      if (!images.ok) return images;
      const read = (of: Models): Promise<Result<LinearUnit[], Fault>> => readGradientUnits({ modelFolders, models: of, network, layer, wanted, images: images.value.map(({ image }) => image) });
      // A process of its own: a recording's models have better things to do.
      return options.poolModels === undefined ? withModels(modelFolders, "cpu", read) : read(options.poolModels);
    }
    return readNeuronUnits(join(fitFolderOf(units.file), "fit.json"), units.names.length === 0 ? "best" : units.names);
  }

  function settingsOf(args: SweepArgs): SweepSettings {
    return { seed: args.seed, generators: args.generators, optimizer: null, population: args.population, generations: args.generations, runs: args.runs, signs: args.signs, alphas: args.alphas, rule: args.rule };
  }

  function measuresOf(entry: Held): MeasureSettings {
    const detector = models.list().find((model) => model.kind === "detector")?.id ?? null;
    return { ...defaultMeasures, ensemble: [...new Set(entry.units.map((unit) => unit.network))], detector, seed: entry.args.seed };
  }

  async function start(args: SweepArgs): Promise<Result<{ id: string }, Fault>> {
    if (starting) return fault("analysisRunning", "An analysis is being started. Wait for it.");
    starting = true;
    try {
      return await startOne(args);
    } finally {
      starting = false;
    }
  }

  async function startOne(args: SweepArgs): Promise<Result<{ id: string }, Fault>> {
    if (running !== null) return fault("analysisRunning", `An analysis is already running (${held.get(running.id)?.line.title ?? running.id}). Pause or stop it, or wait for its end.`);
    const now = (options.nowUtc ?? (() => new Date()))();
    const units = await readUnits(args, null);
    if (!units.ok) return units;
    const title = titleOf(args, units.value);
    const id = `${now.toISOString().slice(0, 19).replace(/[:T]/g, "-")}_${title.replace(/[^A-Za-z0-9]+/g, "-").slice(0, 40).replace(/-+$/, "")}`;
    const folder = join(root, id);
    const entry = hold({ id, title, folder, args, units: units.value, startedUtc: now.toISOString() });
    try {
      await mkdir(folder, { recursive: true });
      if (args.units.from === "classes" && args.units.layer !== null) await writeWhole(join(folder, gradientsFile), formatGradients(units.value));
      await writeWhole(join(folder, requestFile), `${JSON.stringify({ title, startedUtc: now.toISOString(), args }, null, 2)}\n`);
    } catch (error) {
      held.delete(id);
      return fault("analysisFolder", `Expected to write to ${root}, got: ${error instanceof Error ? error.message : String(error)}. Check the folder and the free space.`);
    }
    run(entry);
    return ok({ id });
  }

  function hold(options: { readonly id: string; readonly title: string; readonly folder: string; readonly args: SweepArgs; readonly units: readonly LinearUnit[]; readonly startedUtc: string }): Held {
    const { id, title, folder, args, units } = options;
    const entry: Held = {
      folder, args, units, results: [], measured: [], measures: null, control: null, measuring: Promise.resolve(), startedMs: 0, shareAtStart: 0,
      line: { id, title, state: "stopped", share: 0, message: "", remainingS: null, startedUtc: options.startedUtc, units: units.map((unit) => ({ id: unit.id, title: unit.title, network: unit.network })), groupsDone: 0, groups: listGroups(units, settingsOf(args)).length },
    };
    held.set(id, entry);
    return entry;
  }

  function tell(entry: Held, change: Partial<SweepLine>): void {
    entry.line = { ...entry.line, ...change };
    options.emit(entry.line);
  }

  function run(entry: Held): void {
    const stop = new AbortController();
    let wake = (): void => undefined;
    let gate = Promise.resolve();
    const control = { stop, paused: false, wake: () => wake() };
    entry.control = control;
    entry.startedMs = performance.now();
    entry.shareAtStart = entry.line.share;
    tell(entry, { state: "running", message: "Opening the models" });
    let lastTold = 0;
    const ended = runAblation({
      units: entry.units, settings: settingsOf(entry.args), measures: measuresOf(entry), folder: entry.folder, modelFolders, title: entry.line.title,
      command: commandOf(entry),
      ...(options.poolModels === undefined ? {} : { models: options.poolModels }),
      control: {
        stop: stop.signal,
        isPaused: () => {
          if (control.paused) gate = new Promise<void>((resolve) => (wake = resolve));
          return control.paused;
        },
        gate: () => gate,
      },
      onProgress: (progress) => {
        const now = performance.now();
        if (now - lastTold < 250 && progress.share < 1) return;
        lastTold = now;
        const done = progress.share - entry.shareAtStart;
        const elapsedS = (now - entry.startedMs) / 1000;
        tell(entry, {
          share: progress.share, groupsDone: progress.groupsDone, groups: progress.groups,
          message: progress.share >= 1 ? "Measuring the images, writing the report" : `${entry.units.find((unit) => unit.id === progress.group.unit)?.title ?? progress.group.unit}, run ${progress.group.run + 1}, generation ${progress.generation} of ${progress.generations}`,
          remainingS: progress.share < 1 && done > 0.001 && elapsedS > 3 ? (elapsedS / done) * (1 - progress.share) : null,
        });
      },
      onGroup: (_group, results) => {
        entry.results = [...entry.results, ...results];
        entry.measures = null;
        tell(entry, { groupsDone: entry.line.groupsDone + 1 });
      },
    }).then(async (outcome) => {
      const message = outcome.ok && outcome.value.state === "finished" ? await store(entry, outcome.value) : "";
      entry.control = null;
      running = null;
      if (!outcome.ok) return tell(entry, { state: "failed", message: outcome.error.message, remainingS: null });
      if (outcome.value.state === "stopped") return tell(entry, { state: "stopped", message: "Stopped; it can be resumed.", remainingS: null });
      entry.results = outcome.value.images.map((image) => image.result);
      entry.measured.splice(0, entry.measured.length, ...outcome.value.images);
      entry.measures = outcome.value.measures;
      tell(entry, { state: "finished", share: 1, groupsDone: entry.line.groups, message, remainingS: null });
    }).catch((error: unknown) => {
      entry.control = null;
      running = null;
      tell(entry, { state: "failed", message: `A defect in Evoked stopped the analysis: ${error instanceof Error ? error.message : String(error)}`, remainingS: null });
    });
    running = { id: entry.line.id, ended };
  }

  /** Ablations of neuron models go into the session that the neurons are of. Says why where they do not, "" where all is well. */
  async function store(entry: Held, { head, images }: AblationOutcome): Promise<string> {
    if (entry.args.units.from === "classes") return "";
    const of = await sessionOfFit(join(fitFolderOf(entry.args.units.file), "fit.json"));
    const records = recordsOfSweep({ units: entry.units, settings: settingsOf(entry.args), head, images, of: measuresOf(entry).of });
    const stored = await storeAnalysis(entry.args.units.file, records, { hostKind: options.hostKind, sessionId: of?.id ?? null });
    return stored.ok ? "" : `Not stored in the session: ${stored.error.message}`;
  }

  function commandOf(entry: Held): string {
    const { args } = entry;
    const alphas = args.alphas.join(",");
    const of = args.units.from === "classes" ? ["--model", args.units.network, "--units", args.units.names.length === 0 ? "all" : args.units.names.join(","), ...(args.units.layer === null ? [] : ["--layer", args.units.layer])] : ["--fit", join(fitFolderOf(args.units.file), "fit.json"), "--units", args.units.names.length === 0 ? "best" : args.units.names.join(",")];
    return quoteCommand(["ablate", ...of, "--alphas", alphas, "--signs", args.signs.length > 1 ? "both" : (args.signs[0] ?? "both"), "--rule", args.rule, "--generators", args.generators.join(","), "--runs", String(args.runs), "--generations", String(args.generations), ...(args.population === null ? [] : ["--population", String(args.population)]), "--seed", String(args.seed), "--out", entry.folder]);
  }

  /** The entry, from memory or its folder. */
  async function find(id: string): Promise<Result<Held, Fault>> {
    const known = held.get(id);
    if (known !== undefined) return ok(known);
    if (/[\\/]|^\.+$/.test(id)) return fault("analysisUnknown", `Expected an analysis of the list, got "${id}".`);
    const folder = join(root, id);
    try {
      const stored: unknown = JSON.parse(await readFile(join(folder, requestFile), "utf8"));
      const { title, startedUtc, args: given } = stored as { readonly title: string; readonly startedUtc: string; readonly args: unknown };
      const args = sweepArgs.parse(given);
      const units = await readUnits(args, folder);
      const entry = hold({ id, title: String(title), folder, args, units: units.ok ? units.value : [], startedUtc: String(startedUtc) });
      const sweep = await readSweepFolder(folder);
      if (sweep.ok) entry.results = sweep.value.results;
      // Measures of a finished sweep stand beside it; measuring again could keep a recording's models busy.
      const measures: unknown = await readFile(join(folder, "measures.json"), "utf8").then((text) => JSON.parse(text), () => null);
      if (measures !== null) entry.measures = measures as SweepMeasures;
      const groups = new Set(entry.results.map((result) => `${result.unit}\n${result.generator}\n${result.run}`)).size;
      const isDone = entry.line.groups > 0 && groups >= entry.line.groups;
      // A sweep that was not begun has no files yet; one that does not read is no sweep to go on with.
      const problem = !units.ok ? units.error.message : !sweep.ok && sweep.error.code !== "sweepMissing" ? sweep.error.message : null;
      entry.line = { ...entry.line, groupsDone: groups, share: entry.line.groups === 0 ? 0 : groups / entry.line.groups, state: problem !== null ? "failed" : isDone ? "finished" : "stopped", message: problem ?? "" };
      return ok(entry);
    } catch (error) {
      return fault("analysisUnknown", `Expected an analysis in ${folder}, got: ${error instanceof Error ? error.message : String(error)}.`);
    }
  }

  /** Decodes and measures what has not been yet; one caller at a time does it. */
  async function measure(entry: Held): Promise<void> {
    entry.measuring = entry.measuring.then(async () => {
      const missing = entry.results.slice(entry.measured.length);
      if (missing.length === 0) return;
      entry.measured.push(...(await measureImages({ results: missing, units: entry.units, models, detector: measuresOf(entry).detector })));
    });
    try {
      await entry.measuring;
    } finally {
      entry.measuring = Promise.resolve();
    }
  }

  async function results(id: string): Promise<Result<SweepView, Fault>> {
    const found = await find(id);
    if (!found.ok) return found;
    const entry = found.value;
    await measure(entry);
    const images = [...entry.measured];
    const isFinal = entry.line.state === "finished";
    if (images.length > 0) entry.measures ??= await summariseSweep({ images, models, settings: { ...measuresOf(entry), ensemble: isFinal ? measuresOf(entry).ensemble : [], perceptual: isFinal ? measuresOf(entry).perceptual : null, permutations: isFinal ? defaultMeasures.permutations : quickPermutations } });
    const { args } = entry;
    return ok({
      line: entry.line,
      runs: images.map(({ result, activation, intactActivation, objectEnergy, objectness }) => ({ unit: result.unit, generator: result.generator, run: result.run, sign: result.sign, alpha: result.alpha, activation, intactActivation, objectEnergy, objectness })),
      curves: (entry.measures?.curves ?? []).map((curve) => ({
        id: curve.id, title: curve.title, axis: curve.axis, network: curve.network, over: curve.over,
        control: curve.control === null ? null : { mean: curve.control.mean, low: curve.control.low, high: curve.control.high, n: curve.control.n },
        points: curve.points.map(({ sign, alpha, mean, low, high, n, p }) => ({ sign, alpha, mean, low, high, n, p })),
      })),
      settings: { alphas: args.alphas, signs: args.signs, generators: args.generators, runs: args.runs, generations: args.generations, rule: args.rule, seed: args.seed },
      missing: isFinal ? [...(entry.measures?.missing ?? [])] : [],
      report: isFinal ? join(entry.folder, "index.html") : null,
      folder: entry.folder, command: commandOf(entry),
    });
  }

  const act = (id: string, deed: (entry: Held & { readonly control: NonNullable<Held["control"]> }) => void): Result<null, Fault> => {
    const entry = held.get(id);
    if (entry === undefined || entry.control === null) return fault("analysisNotRunning", "This analysis is not running. Resume it first.");
    deed({ ...entry, control: entry.control });
    return ok(null);
  };

  return {
    "insilico.fit": (args) => fit(args),
    "insilico.storedFit": ({ file }) => storedFit(file),
    "insilico.start": (args) => start(args),
    "insilico.pause": async ({ id }) => {
      const done = act(id, ({ control }) => (control.paused = true));
      const entry = held.get(id);
      if (done.ok && entry !== undefined) tell(entry, { state: "paused", message: "Paused after this generation.", remainingS: null });
      return done;
    },
    "insilico.resume": async ({ id }) => {
      const found = await find(id);
      if (!found.ok) return found;
      const entry = found.value;
      if (entry.control !== null) {
        entry.control.paused = false;
        entry.startedMs = performance.now();
        entry.shareAtStart = entry.line.share;
        entry.control.wake();
        tell(entry, { state: "running" });
        return ok(null);
      }
      if (running !== null) return fault("analysisRunning", "Another analysis is running. Stop it, or wait for its end.");
      if (entry.units.length === 0) return fault("analysisUnits", `The units of this analysis cannot be had any more: ${entry.line.message}`);
      run(entry);
      return ok(null);
    },
    "insilico.stop": async ({ id }) => act(id, ({ control }) => {
      control.stop.abort();
      control.paused = false;
      control.wake();
    }),
    "insilico.list": async () => {
      let names: string[] = [];
      try {
        names = (await readdir(root, { withFileTypes: true })).filter((item) => item.isDirectory()).map((item) => item.name);
      } catch {
        // No analysis yet.
      }
      const lines: SweepLine[] = [];
      for (const name of names) {
        const found = await find(name);
        if (found.ok) lines.push(found.value.line);
      }
      return ok(lines.sort((a, b) => b.startedUtc.localeCompare(a.startedUtc)));
    },
    "insilico.results": async ({ id }) => {
      try {
        return await results(id);
      } catch (error) {
        if (error instanceof FaultError) return fault(error.code, error.message);
        throw error;
      }
    },
    "insilico.image": async ({ id, unit, generator, run: wanted, sign, alpha }) => {
      const entry = unwrap(await find(id));
      await measure(entry);
      const found = entry.measured.find(({ result }) => result.unit === unit && result.generator === generator && result.run === wanted && result.alpha === alpha && (alpha === 0 || result.sign === sign));
      if (found === undefined) return fault("noImage", `Expected an evolved image of ${unit} for ${sign} ${alpha}, run ${wanted}; there is none yet.`);
      const png = await pngOf(found.image);
      return ok({ widthPx: found.image.width, heightPx: found.image.height, pngBase64: png.toString("base64") });
    },
    async close() {
      const entry = running === null ? undefined : held.get(running.id);
      const { ended } = running ?? { ended: Promise.resolve() };
      entry?.control?.stop.abort();
      entry?.control?.wake();
      await ended;
    },
  };
}

function titleOf(args: SweepArgs, units: readonly LinearUnit[]): string {
  const names = units.length > 3 ? `${units.length} units` : units.map((unit) => unit.title).join(", ");
  return args.units.from === "classes" ? `${names} of ${args.units.network}` : `Neuron ${names}`;
}

function viewOfFit(fit: SessionFit) {
  const short = (values: readonly number[]): number[] => values.map((value) => Number(value.toFixed(2)));
  return {
    file: fit.session.file, encoder: fit.encoder.id, layer: fit.encoder.layer, method: fit.settings.method.kind,
    images: fit.images, presentations: fit.presentations, kinds: [...fit.kinds],
    consistentPositive: fit.consistentFeatures.positive, consistentNegative: fit.consistentFeatures.negative, features: fit.encoder.features,
    bestUnit: fit.bestUnit,
    units: fit.units.map((unit) => ({
      name: unit.name, area: unit.area, channel: unit.channel, r2Train: unit.r2Train, r2Test: unit.r2Test, r: unit.rTest ?? unit.rTrain, ceilingR: unit.ceilingR, noiseCorrectedR: unit.noiseCorrectedR, positiveToNegative: unit.positiveToNegative,
      weights: { edges: [...unit.weights.edges], counts: [...unit.weights.counts] },
      scatter: { measured: short(unit.scatter.measured), predicted: short(unit.scatter.predicted), isTest: [...unit.scatter.isTest] },
    })),
    report: join(fitFolderOf(fit.session.file), "index.html"),
  };
}
