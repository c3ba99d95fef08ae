// The chain of the paper in one session file, on a synthetic animal whose neurons are known: a diverse set is shown, the session fits its own
// neurons, ablates the model of the suggested one, shows the images back, and is analysed like any recording. The networks are those that
// `evoked run --plan standard` takes.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticRigOptionsSchema } from "../../src/acquisition/synthetic/options.ts";
import { createSyntheticRig } from "../../src/acquisition/synthetic/rig.ts";
import type { GroundTruth } from "../../src/acquisition/synthetic/truth.ts";
import { readCondition } from "../../src/analysis/modelCondition.ts";
import { columnOf, rowOf } from "../../src/analysis/matrix.ts";
import { pearson, permutationTest, rSquared } from "../../src/analysis/statistics.ts";
import { runHeadless } from "../../src/engine/headless.ts";
import { analyseSession } from "../../src/engine/insilico/analyse.ts";
import type { AnalyseOutcome } from "../../src/engine/insilico/analyse.ts";
import { featuresOf, joinImages } from "../../src/engine/insilico/featureCache.ts";
import { readImages, readResponses } from "../../src/engine/insilico/sessionResponses.ts";
import type { SessionResponses } from "../../src/engine/insilico/sessionResponses.ts";
import { readNeuronUnits } from "../../src/engine/insilico/units.ts";
import { createVirtualClock } from "../../src/loop/clock.ts";
import { startModels } from "../../src/models/client.ts";
import type { Models } from "../../src/models/client.ts";
import { openSession } from "../../src/session/reader.ts";
import type { SessionReader } from "../../src/session/reader.ts";
import { sessionConfig } from "../../src/shared/contract/index.ts";
import { unwrap } from "../../src/shared/result.ts";
import { createRng } from "../../src/shared/rng.ts";

const images = 160;
/** Images of the diverse set that are shown again beside the models' images, and how often. */
const natural = { count: 8, repeats: 2 };
const repeats = 5;
const runs = 12;
const rigOptions = { channelsPerArray: 8, silentChannels: 0, noisyChannels: 0, multiUnitShare: 0 };

describe("A session from its diverse set to the images of its own ablated models", () => {
  const folder = mkdtempSync(join(tmpdir(), "evoked-chain-"));
  const config = sessionConfig.parse({
    seed: 5, display: { kind: "timed" }, rig: { kind: "synthetic", options: rigOptions },
    plan: [
      { protocol: "diverseSet", imageCount: images, repeats },
      { protocol: "validation", source: "fit", repeats, naturalCount: natural.count, naturalRepeats: natural.repeats, fit: { alphas: [0, 1], runs, generations: 30 } },
    ],
  });
  let models: Models;
  let file = "";
  let reader: SessionReader;
  let analysed: AnalyseOutcome;
  let diverse: SessionResponses;
  let truth: GroundTruth;
  /** True rates of the diverse set's images, [images, channels]. */
  let expected: Float64Array;
  /** Unit that the session suggested, by itself, and its place among the channels. */
  let unit = 0;
  const ofUnit = (rates: Float64Array): Float64Array => rates.filter((_, i) => i % diverse.channels.length === unit);

  beforeAll(async () => {
    models = unwrap(await startModels({ modelsDirs: [join(import.meta.dirname, "..", "..", "models")], inProcess: true, provider: "cpu", threads: 1 }));
    const session = unwrap(await runHeadless({ models, fast: true, sessionFolder: folder, config }));
    file = session.session;
    reader = unwrap(openSession(file));
    unit = reader.channels().findIndex((channel) => session.steps[0]?.sentences.some((sentence) => sentence.includes(`target: ${channel.name},`)));
    analysed = unwrap(await analyseSession({
      file, models, encoder: "plain-relu", layer: null, method: { kind: "pls", components: 1 }, split: { kind: "holdOut" }, kinds: null, seed: config.seed,
      unit: reader.channels()[unit]?.name ?? "", folder: join(folder, "analysis"), command: "evoked analyse", storedBy: null,
    }));
    diverse = unwrap(readResponses(reader, { kinds: ["diverse"] }));
    // The same animal again: its neurons follow from the seed.
    truth = createSyntheticRig({ seed: config.seed, clock: createVirtualClock({ settle: async () => undefined }), encoder: unwrap(await models.encoder(config.models.encoder)), options: syntheticRigOptionsSchema.parse(rigOptions) }).truth;
    await truth.ready();
    expected = await truth.responseHz(joinImages(readImages(reader, diverse.images.map((image) => image.imageId))));
  }, 300_000);
  afterAll(async () => {
    reader.close();
    await models.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("shows every image as often as asked, and images for both conditions", () => {
    const shownTimes = Map.groupBy(diverse.images, (image) => image.repeats);
    expect([shownTimes.get(repeats)?.length, shownTimes.get(repeats + natural.repeats)?.length, shownTimes.size]).toEqual([images - natural.count, natural.count, 2]);
    const shown = unwrap(readResponses(reader, { kinds: ["model"] }));
    expect([...Map.groupBy(shown.images, (image) => readCondition(image.label)?.sign ?? "control")].map(([sign, own]) => [sign, own.length])).toEqual([["control", runs], ["positive", runs], ["negative", runs]]);
    expect(new Set(shown.images.map((image) => image.repeats))).toEqual(new Set([repeats]));
  });

  it("averages follow the neurons' true rates as far as their noise ceilings say", () => {
    const channels = diverse.channels.length;
    const off: number[] = [];
    for (const [u, card] of analysed.fit.units.entries()) {
      const known = pearson(columnOf(diverse.rates, u), expected.filter((_, i) => i % channels === u));
      if (known === null || card.ceilingR === null || card.ceilingR < 0.5) continue;
      off.push(known - card.ceilingR);
    }
    expect(off.length).toBeGreaterThan(8);
    // Five repeats leave a single unit's ceiling somewhat uncertain; over units it is right.
    for (const by of off) expect(Math.abs(by)).toBeLessThan(0.12);
    expect(Math.abs(off.reduce((sum, by) => sum + by, 0) / off.length)).toBeLessThan(0.03);
  });

  it("the fitted test r² reaches most of what the known ceiling allows, where the neuron reads the layer that is fitted", () => {
    const rows = analysed.fit.testImageIds.map((id) => diverse.images.findIndex((image) => image.imageId === id));
    const scores = analysed.fit.units.flatMap((card, u) => {
      if (card.area !== "PIT") return [];
      const ceiling = rSquared(Float64Array.from(rows, (row) => diverse.rates.data[row * diverse.channels.length + u]!), Float64Array.from(rows, (row) => expected[row * diverse.channels.length + u]!));
      return ceiling === null || card.r2Test === null ? [] : [{ r2: card.r2Test, ceiling }];
    });
    expect(scores.length).toBeGreaterThan(5);
    for (const { r2, ceiling } of scores) expect(r2).toBeLessThan(ceiling + 0.15);
    const best = scores.reduce((a, b) => (b.r2 > a.r2 ? b : a));
    expect(best.ceiling).toBeGreaterThan(0.5);
    expect(best.r2).toBeGreaterThan(0.6 * best.ceiling);
  });

  it("the model's weights point the way of the neuron's own readout", async () => {
    const [model] = unwrap(await readNeuronUnits(analysed.fitFile, ["PIT-01"]));
    const own = truth.units.find((candidate) => diverse.channels[candidate.channel]?.name === "PIT-01")!;
    const { features: read, weights } = truth.readout(own.index);
    // Correlation between features spreads weight over their kin, so the drive of both is compared, not single weights.
    const embedding = await featuresOf({ encoder: unwrap(await models.encoder("plain-relu")), layer: "penultimate", images: readImages(reader, diverse.images.map((image) => image.imageId)), folder: join(folder, "analysis", "features") });
    const rows = Array.from({ length: images }, (_, row) => Float64Array.from(rowOf(embedding, row)));
    const ownDrive = Float64Array.from(rows, (row) => read.reduce((sum, f, i) => sum + weights[i]! * row[f]!, 0));
    const fitted = Float64Array.from(rows, (row) => row.reduce((sum, value, f) => sum + value * model!.weights[f]!, 0));
    expect(pearson(ownDrive, fitted)).toBeGreaterThan(0.7);
  });

  it("images of the model without positive weights drive the neuron less than the control's, as recorded and in truth", async () => {
    const conditions = new Map(analysed.validation!.conditions.map((condition) => [condition.name, condition]));
    const [control, positive, shown] = ["control", "positive 1", "natural"].map((name) => conditions.get(name)!);
    expect(positive!.interval.mean).toBeLessThan(control!.interval.mean);
    expect(positive!.vsControl!.p).toBeLessThan(0.01);
    // And the control's images drive it more than the diverse set does.
    expect(permutationTest(control!.rates, shown!.rates, { alternative: "greater", permutations: 2000, rng: createRng(1) }).p).toBeLessThan(0.01);

    const made = unwrap(readResponses(reader, { kinds: ["model"] }));
    const rates = ofUnit(await truth.responseHz(joinImages(readImages(reader, made.images.map((image) => image.imageId)))));
    const of = (sign: "positive" | null): Float64Array => rates.filter((_, i) => (readCondition(made.images[i]!.label)?.sign ?? null) === sign);
    expect(permutationTest(of("positive"), of(null), { alternative: "less", permutations: 2000, rng: createRng(2) }).p).toBeLessThan(0.01);
  });

  it("the report is one page that needs nothing else, with its figures, tables and the command", () => {
    const page = readFileSync(join(folder, "analysis", "index.html"), "utf8");
    expect(page).toContain("evoked analyse");
    expect(page.match(/(?:src|href)="(?!data:)[^"]*"/g)).toBeNull();
    for (const path of analysed.written) expect(existsSync(path)).toBe(true);
    expect(analysed.written.some((path) => path.endsWith(".svg")) && analysed.written.some((path) => path.endsWith(".csv"))).toBe(true);
  });
});
