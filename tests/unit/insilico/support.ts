// A whole world of models in a few lines of arithmetic: one generator, one encoder, and a pool that runs them. No files, no processes.
import type { FeaturePool } from "../../../src/engine/insilico/pool.ts";
import type { EvolutionResult, GroupKey, SweepStore } from "../../../src/engine/insilico/sweep.ts";
import { keyOf } from "../../../src/engine/insilico/sweep.ts";
import type { LinearUnit } from "../../../src/engine/insilico/units.ts";
import type { Models } from "../../../src/models/client.ts";
import type { Encoder, PartsGenerator } from "../../../src/shared/ports.ts";
import { fault, ok } from "../../../src/shared/result.ts";
import { createRng } from "../../../src/shared/rng.ts";
import type { ImageBatch } from "../../../src/shared/values.ts";

export const latentDim = 6;
export const featureCount = 12;
export const imagePx = 4;

/** Latent values as grey levels: as simple as a generator can be that still rounds to bytes. */
export function aGenerator(id = "plain"): PartsGenerator {
  const decode = async (latents: { readonly count: number; readonly data: ArrayLike<number> }): Promise<ImageBatch> => {
    const data = new Uint8Array(latents.count * imagePx * imagePx * 3);
    for (let i = 0; i < latents.count; i++) {
      for (let p = 0; p < imagePx * imagePx * 3; p++) data[i * imagePx * imagePx * 3 + p] = Math.round(127.5 * (1 + Math.tanh(latents.data[i * latentDim + (p % latentDim)] ?? 0)));
    }
    return { count: latents.count, width: imagePx, height: imagePx, data };
  };
  return {
    identity: { id, title: id, sha256: "a".repeat(64), provider: "test" }, latentDim, initialStepSize: 0.5, widthPx: imagePx, heightPx: imagePx, hasMasks: false, hasBackgrounds: true, decode,
    async decodeParts(latents) {
      const images = await decode(latents);
      return { images, masks: null, backgrounds: { ...images, data: new Uint8Array(images.data.length).fill(128) } };
    },
  };
}

/** Rectified random mixtures of the pixels. */
export function anEncoder(id = "mixer"): Encoder & { readonly asked: { images: number } } {
  const rng = createRng(`encoder ${id}`);
  const mixing = Float32Array.from({ length: featureCount * latentDim }, () => rng.gaussian());
  const asked = { images: 0 };
  return {
    asked,
    identity: { id, title: id, sha256: "b".repeat(64), provider: "test" },
    layers: [{ name: "features", dim: featureCount }],
    async features(images) {
      asked.images += images.count;
      const out = new Float32Array(images.count * featureCount);
      const bytes = images.width * images.height * 3;
      for (let i = 0; i < images.count; i++) {
        for (let f = 0; f < featureCount; f++) {
          let sum = 0;
          for (let d = 0; d < latentDim; d++) sum += (mixing[f * latentDim + d] ?? 0) * ((images.data[i * bytes + d] ?? 0) / 127.5 - 1);
          out[i * featureCount + f] = Math.max(0, sum);
        }
      }
      return [out];
    },
  };
}

/** Models that know the given parts and nothing else. */
export function someModels(parts: { readonly generators: readonly PartsGenerator[]; readonly encoders: readonly Encoder[] }): Models {
  const find = <T extends { readonly identity: { readonly id: string } }>(of: readonly T[], id: string) => {
    const found = of.find((candidate) => candidate.identity.id === id);
    return found === undefined ? fault("modelUnknown", `no ${id}`) : ok(found);
  };
  return {
    list: () => [], entries: () => [], refresh: async () => [], report: () => [], providers: async () => ok({ present: ["cpu"], chosen: "auto" }), chooseProvider: async () => ok(null), close: async () => undefined,
    generator: async (id) => find(parts.generators, id),
    encoder: async (id) => find(parts.encoders, id),
    detector: async () => fault("modelUnknown", "no detector"),
    layerTail: async () => fault("layerTail", "no tail"),
    async latentEncoder(generatorId, encoderId) {
      const generator = find(parts.generators, generatorId);
      const encoder = find(parts.encoders, encoderId);
      if (!generator.ok) return generator;
      if (!encoder.ok) return encoder;
      return ok({ generator: generator.value.identity, encoder: encoder.value.identity, fused: false, features: async (latents, layers) => encoder.value.features(await generator.value.decode(latents), layers) });
    },
  };
}

/** A pool on such models that counts what it evaluates. */
export function aPool(models: Models): FeaturePool & { readonly calls: number[] } {
  const calls: number[] = [];
  return {
    calls, workers: 1, models,
    open: (generator, encoder) => models.latentEncoder(generator, encoder),
    encoder: (id) => models.encoder(id),
    logits: async () => Promise.reject(new Error("expected no call of a tail")),
    async features({ generator, encoder, layer, latents, dim }) {
      const joined = await models.latentEncoder(generator, encoder);
      if (!joined.ok) throw new Error(joined.error.message);
      const count = latents.length / dim;
      calls.push(count);
      const [values] = await joined.value.features({ count, dim, data: latents }, [layer]);
      return values ?? new Float32Array();
    },
    get evaluated() {
      return calls.reduce((a, b) => a + b, 0);
    },
    close: async () => undefined,
  };
}

export function aUnit(options: { readonly name?: string; readonly weights?: Float64Array; readonly network?: string } = {}): LinearUnit {
  const name = options.name ?? "one";
  const rng = createRng(`unit ${name}`);
  return { id: `mixer/${name}`, title: name, network: options.network ?? "mixer", layer: "features", weights: options.weights ?? Float64Array.from({ length: featureCount }, () => rng.gaussian()), intercept: 0.25, kind: "class" };
}

/** A store in memory that remembers checkpoints and results. */
export function aStore(): SweepStore & { readonly groups: Map<string, readonly EvolutionResult[]>; readonly checkpoints: Map<string, Uint8Array> } {
  const groups = new Map<string, readonly EvolutionResult[]>();
  const checkpoints = new Map<string, Uint8Array>();
  return {
    groups, checkpoints,
    finished: () => [...groups.values()].flatMap((group): GroupKey[] => (group[0] === undefined ? [] : [group[0]])),
    async finish(group, results) {
      groups.set(keyOf(group), results);
      checkpoints.delete(keyOf(group));
    },
    checkpoint: async (group) => checkpoints.get(keyOf(group)) ?? null,
    keep: async (group, bytes) => {
      checkpoints.set(keyOf(group), bytes);
    },
  };
}
