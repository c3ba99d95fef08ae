// Images of a session's own neuron models while it runs: models are fitted to what the diverse set has given so far, ablated, and images are
// evolved for them. Knows nothing about trials.
import { rowOf } from "../analysis/matrix.ts";
import type { QueuedPixels } from "../loop/closedLoop.ts";
import type { Models } from "../models/client.ts";
import { openSession } from "../session/reader.ts";
import type { ValidationStep } from "../shared/contract/index.ts";
import { FaultError, err, fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import { fitSession } from "./insilico/fit.ts";
import { createFeaturePool } from "./insilico/pool.ts";
import { runSweep } from "./insilico/sweep.ts";
import type { EvolutionResult, SweepStore } from "./insilico/sweep.ts";
import type { LinearUnit } from "./insilico/units.ts";
import type { LiveSession } from "./liveSession.ts";

export interface ModelImagesRequest {
  readonly session: LiveSession;
  readonly settings: ValidationStep;
  readonly models: Models;
  /** Channel whose model is ablated where the step names none. */
  readonly channel: number;
  readonly onNote: (message: string) => void;
}

/** Images for every condition, labelled as an ablation analysis names its files. Errors: those of fits, sweeps and models. */
export async function modelImagesOf({ session, settings, models, channel, onNote }: ModelImagesRequest): Promise<Result<readonly QueuedPixels[], Fault>> {
  const { fit } = settings;
  const wanted = settings.channel ?? channel;
  await session.store.flush();
  const opened = openSession(session.file);
  if (!opened.ok) return opened;
  try {
    const manifest = models.list().find((m) => m.id === fit.encoder);
    const layer = fit.layer ?? (manifest?.kind === "encoder" ? manifest.penultimate : "");
    const encoder = unwrap(await models.encoder(fit.encoder));
    const fitted = unwrap(await fitSession({ reader: opened.value, encoder, cacheFolder: null, settings: { layer, method: { kind: "pls", components: 1 }, split: { kind: "holdOut", testFraction: 0.2 }, kinds: null, seed: session.config.seed } }));
    const index = fitted.fit.units.findIndex((u) => u.channel === wanted);
    const card = fitted.fit.units[index];
    if (card === undefined) return fault("noUnit", `Expected a model of channel ${wanted}, got models of ${fitted.fit.units.length} channels.`);
    onNote(`Model of ${card.name}: r2 ${card.r2Train?.toFixed(2) ?? "-"} on the images it was fitted to, ${card.r2Test?.toFixed(2) ?? "-"} on held-out ones.`);
    const unit: LinearUnit = { id: `session/${card.name}`, title: card.name, network: fit.encoder, layer, weights: Float64Array.from(rowOf(fitted.model.coefficients, index)), intercept: fitted.model.intercepts[index] ?? 0, kind: "neuron" };
    const pool = unwrap(await createFeaturePool({ modelFolders: [], models }));
    try {
      const results: EvolutionResult[] = [];
      const store: SweepStore = { finished: () => [], finish: async (_group, done) => void results.push(...done), checkpoint: async () => null, keep: async () => undefined };
      unwrap(await runSweep({
        units: [unit], pool, store,
        settings: { seed: session.config.seed, generators: [fit.generator], optimizer: null, population: null, generations: fit.generations, runs: fit.runs, signs: fit.signs, alphas: fit.alphas, rule: "atMost" },
      }));
      const generator = unwrap(await models.generator(fit.generator));
      const out: QueuedPixels[] = [];
      for (const result of results) {
        const image = await generator.decode({ count: 1, dim: generator.latentDim, data: result.latent });
        const condition = result.alpha === 0 ? "control" : `${result.sign}-${result.alpha.toFixed(2)}`;
        out.push({ label: `${condition}-${result.generator}-run${result.run}`, kind: "model", image });
      }
      onNote(`${out.length} images for ${new Set(out.map((o) => o.label.replace(/-[^-]+-run\d+$/, ""))).size} conditions.`);
      return ok(out);
    } finally {
      await pool.close();
    }
  } catch (error) {
    if (error instanceof FaultError) return err({ code: error.code, message: error.message });
    throw error;
  } finally {
    opened.value.close();
  }
}
