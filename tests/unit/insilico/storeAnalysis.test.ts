import { readFile } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAblationMask } from "../../../src/analysis/ablation.ts";
import { runAblation } from "../../../src/engine/insilico/ablate.ts";
import { analyseSession } from "../../../src/engine/insilico/analyse.ts";
import type { AnalyseOutcome } from "../../../src/engine/insilico/analyse.ts";
import { defaultMeasures } from "../../../src/engine/insilico/measures.ts";
import { recordsOfSweep, sessionOfFit, storeAnalysis } from "../../../src/engine/insilico/storeAnalysis.ts";
import type { SweepSettings } from "../../../src/engine/insilico/sweep.ts";
import { hashUnit } from "../../../src/engine/insilico/sweepFiles.ts";
import { readNeuronUnits } from "../../../src/engine/insilico/units.ts";
import { openSession } from "../../../src/session/reader.ts";
import type { SessionReader } from "../../../src/session/reader.ts";
import { createSession } from "../../../src/session/writer.ts";
import { unwrap } from "../../../src/shared/result.ts";
import { aSession, anInfo } from "../session/aSession.ts";
import { aGenerator, anEncoder, featureCount, someModels } from "./support.ts";

const analyses = ["neuronModel", "ablation", "visualisation", "export"];
const models = someModels({ generators: [aGenerator()], encoders: [anEncoder()] });
const channels = 4;
const settings: SweepSettings = { seed: 3, generators: ["plain"], optimizer: null, population: 6, generations: 3, runs: 1, signs: ["positive", "negative"], alphas: [0, 0.5], rule: "atMost" };

let folder = "";
let file = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "evoked-store-"));
  const writer = unwrap(await createSession({ folder, fileName: "one.evoked", info: anInfo(), thread: "caller" }));
  for (const record of aSession({ seed: 6, generations: 3, population: 12, channels })) if (!analyses.includes(record.kind)) writer.append({ ...record, seq: writer.nextSeq });
  await writer.close();
  file = writer.file;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function read<T>(use: (reader: SessionReader) => T): T {
  const reader = unwrap(openSession(file));
  try {
    return use(reader);
  } finally {
    reader.close();
  }
}

async function analyse(storedBy: "test" | null, seed = 5): Promise<AnalyseOutcome> {
  return unwrap(await analyseSession({ file, models, encoder: "mixer", layer: "features", method: { kind: "pls", components: 1 }, split: { kind: "holdOut" }, kinds: null, seed, unit: null, folder: null, command: "test", storedBy }));
}

describe("Neuron models of a session", () => {
  it("are stored in it, under the names by which their ablations know them, each once", async () => {
    const { fit, fitFile, stored } = await analyse("test");
    expect(stored).toMatchObject({ ok: true, value: { added: channels, known: 0 } });
    const units = unwrap(await readNeuronUnits(fitFile, "all"));
    const kept = read((reader) => reader.neuronModels());
    expect(kept.map((model) => model.weightsSha256)).toStrictEqual(units.map(hashUnit));
    kept.forEach((model, i) => {
      const unit = fit.units[i];
      expect([...model.coefficientsHz]).toStrictEqual([...(units[i]?.weights ?? [])]);
      expect(model).toMatchObject({
        channel: unit?.channel, channelName: unit?.name, encoderId: "mixer", encoderSha256: "b".repeat(64), layer: "features", method: "pls", components: 1, penalty: null, split: "holdOut", splitSeed: 5,
        r2Train: unit?.r2Train, r2Test: unit?.r2Test, r: unit?.rTest, positiveToNegative: unit?.positiveToNegative, interceptHz: units[i]?.intercept,
      });
    });
    expect((await analyse("test")).stored).toMatchObject({ ok: true, value: { added: 0, known: channels } });
    expect((await analyse("test", 6)).stored).toMatchObject({ ok: true, value: { added: channels } });
    expect(read((reader) => [reader.additions().length, reader.neuronModels().length])).toStrictEqual([2, 2 * channels]);
  });

  it("are not stored where that is not wanted, nor while the session is recorded: then a sentence says so and the fit is there all the same", async () => {
    const before = await readFile(file);
    expect((await analyse(null)).stored).toBeNull();
    expect(Buffer.compare(await readFile(file), before)).toBe(0);
    const writer = unwrap(await createSession({ folder, fileName: "two.evoked", info: anInfo(), thread: "caller" }));
    for (const record of aSession({ seed: 6, generations: 3, population: 12, channels })) writer.append(record);
    await writer.flush();
    file = writer.file;
    const outcome = await analyse("test");
    expect(outcome.fit.units).toHaveLength(channels);
    expect(outcome.stored).toMatchObject({ ok: false, error: { code: "sessionLocked", message: expect.stringContaining("is being recorded") } });
    await writer.close();
  });
});

describe("Ablations of a session's neuron models", () => {
  it("are stored with their images, name the models, and come once however often they are run", async () => {
    const { fitFile } = await analyse("test");
    const units = unwrap(await readNeuronUnits(fitFile, ["CH2", "CH3"]));
    const sweep = async (runs: number) => {
      const own = { ...settings, runs };
      const outcome = unwrap(await runAblation({ units, settings: own, measures: { ...defaultMeasures, permutations: 20 }, folder: join(folder, "sweep"), modelFolders: [], models, command: "test" }));
      return recordsOfSweep({ units, settings: own, head: outcome.head, images: outcome.images, of: "best" });
    };
    const session = await sessionOfFit(fitFile);
    expect(session).toStrictEqual({ file, id: anInfo().id });
    const store = async (runs: number) => storeAnalysis(file, await sweep(runs), { hostKind: "test", sessionId: session?.id ?? null });
    // Two units under three conditions: intact, and half of either sign.
    expect(await store(1)).toMatchObject({ ok: true, value: { added: 12, known: 0 } });
    expect(await store(1)).toMatchObject({ ok: true, value: { added: 0, known: 12 } });
    expect(await store(2)).toMatchObject({ ok: true, value: { added: 6, known: 12 } });

    const { ablations, visualisations, named } = read((reader) => ({ ablations: reader.ablations(), visualisations: reader.visualisations({ pixels: true }), named: new Map(reader.neuronModels().map((model) => [model.weightsSha256, model])) }));
    expect(ablations).toHaveLength(6);
    for (const ablation of ablations) {
      const model = named.get(ablation.weightsSha256);
      const mask = makeAblationMask({ weights: model?.coefficientsHz ?? [], sign: ablation.sign, alpha: ablation.alpha, rule: ablation.rule });
      expect(ablation).toMatchObject({ unit: model?.channelName, weights: featureCount, zeroed: mask.zeroed.length, removedShare: mask.removedShare, encoderSha256: model?.encoderSha256 });
    }
    expect(visualisations).toHaveLength(12);
    const [image] = visualisations;
    const decoded = await aGenerator().decode({ count: 1, dim: image?.latent.length ?? 0, data: Float32Array.from(image?.latent ?? []) });
    expect([...(image?.rgb ?? [])]).toStrictEqual([...decoded.data]);
    expect(image).toMatchObject({ alpha: 0, generatorId: "plain", generatorSha256: "a".repeat(64), run: 0, seed: 3, imageOf: "best", objectness: null });
  });

  it("are refused by a session that the models are not of", async () => {
    await analyse("test");
    expect(await storeAnalysis(file, [], { hostKind: "test", sessionId: "another" })).toMatchObject({ ok: false, error: { code: "otherSession" } });
  });
});
