// Many latents to features, fast: model processes of their own beside the one that a recording uses, each with its share of the work.
// Knows nothing about units, conditions or optimizers.
//
// On the CPU the result of an image depends neither on the batch it came in nor on the process that made it (tests/contract/models), so
// the number of workers and the size of the chunks are free to follow the machine.
import { availableParallelism, setPriority } from "node:os";
import { forkModelsProcess, startModels } from "../../models/client.ts";
import type { Models } from "../../models/client.ts";
import { FaultError, fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import type { Encoder, LatentEncoder, LayerTail } from "../../shared/ports.ts";

export interface PoolOptions {
  readonly modelFolders: readonly string[];
  /** "auto" (default) or an execution provider's name. */
  readonly provider?: string;
  /** Model processes; default: one per core on the CPU, one on a device. */
  readonly workers?: number;
  /** Models that run in this process, for tests; the caller closes them. Then `workers` does not apply. */
  readonly models?: Models;
  /** Provider left, process restarted. */
  readonly onNotice?: (message: string) => void;
}

export interface FeaturePool {
  readonly workers: number;
  /** For everything that is not a sweep: decoding, detectors, features of images. */
  readonly models: Models;
  /** Provider that a generator and encoder run on; opens both. */
  open(generatorId: string, encoderId: string): Promise<Result<LatentEncoder, Fault>>;
  encoder(encoderId: string): Promise<Result<Encoder, Fault>>;
  /** latents row-major [count, dim] -> one layer's activations, row-major [count, features]. Errors come as FaultError. */
  features(request: { readonly generator: string; readonly encoder: string; readonly layer: string; readonly latents: Float32Array; readonly dim: number }): Promise<Float32Array>;
  /** Activations of a layer, row-major [count, dim] -> logits, row-major [count, units]. Errors come as FaultError. */
  logits(request: { readonly encoder: string; readonly layer: string; readonly activations: Float32Array; readonly dim: number }): Promise<Float32Array>;
  /** Images evaluated so far. */
  readonly evaluated: number;
  close(): Promise<void>;
}

/** Chunk sizes tried on first use; the fastest stays. On a CPU small batches keep a layer's values in the cache, a device wants large ones. */
const chunkSizes = [2, 4, 16, 32] as const;
/** Chunks that wait at a worker, so that it never waits for the next message. */
const aheadPerWorker = 2;
/** Rows of activations in one message: those of a convolution are large. */
const tailChunk = 16;
const attemptsMax = 3;
/** Recording and the windows go first. */
const workerNiceness = 10;

export async function createFeaturePool(options: PoolOptions): Promise<Result<FeaturePool, Fault>> {
  const clients: Models[] = [];
  const startOne = (): ReturnType<typeof startModels> =>
    startModels({
      modelsDirs: options.modelFolders,
      provider: options.provider ?? "auto",
      threads: 1,
      openPort: openQuietPort,
      ...(options.onNotice === undefined ? {} : { onNotice: (notice) => {
        // Which providers a machine has not is no news in an analysis; the report names the one that ran.
        if (notice.kind !== "providerLeft") options.onNotice?.(notice.message);
      } }),
    });
  const first = options.models === undefined ? await startOne() : ok(options.models);
  if (!first.ok) return first;
  clients.push(first.value);
  const wanted = options.models !== undefined ? 1 : Math.max(1, options.workers ?? availableParallelism());
  let evaluated = 0;
  let growing: Promise<void> | null = null;
  const chunkOf = new Map<string, number>();
  const opened = new Map<Models, Map<string, Promise<LatentEncoder>>>();
  const tails = new Map<Models, Map<string, Promise<LayerTail>>>();

  function encoderAt(client: Models, generator: string, encoder: string): Promise<LatentEncoder> {
    const mine = opened.get(client) ?? new Map<string, Promise<LatentEncoder>>();
    opened.set(client, mine);
    const key = `${generator}\n${encoder}`;
    const known = mine.get(key);
    if (known !== undefined) return known;
    const opening = client.latentEncoder(generator, encoder).then(unwrap);
    mine.set(key, opening);
    opening.catch(() => mine.delete(key));
    return opening;
  }

  /** Further processes only where the models run on the CPU: a device is shared by one. */
  async function grow(provider: string): Promise<void> {
    if (provider !== "cpu" && options.workers === undefined) return;
    const more = await Promise.all(Array.from({ length: wanted - clients.length }, startOne));
    for (const client of more) if (client.ok) clients.push(client.value);
  }

  async function once(client: Models, request: Parameters<FeaturePool["features"]>[0], from: number, to: number): Promise<Float32Array> {
    for (let attempt = 1; ; attempt++) {
      try {
        const joined = await encoderAt(client, request.generator, request.encoder);
        const [values] = await joined.features({ count: to - from, dim: request.dim, data: request.latents.subarray(from * request.dim, to * request.dim) }, [request.layer]);
        if (values === undefined) throw new Error(`expected the activations of layer ${request.layer}, got none`);
        return values;
      } catch (error) {
        // A worker that died is started again by its client; the chunk is computed again.
        if (!(error instanceof FaultError) || error.code !== "modelsCrashed" || attempt === attemptsMax) throw error;
      }
    }
  }

  function tailAt(client: Models, encoder: string, layer: string): Promise<LayerTail> {
    const mine = tails.get(client) ?? new Map<string, Promise<LayerTail>>();
    tails.set(client, mine);
    const key = `${encoder}\n${layer}`;
    const known = mine.get(key);
    if (known !== undefined) return known;
    const opening = client.layerTail(encoder, layer).then(unwrap);
    mine.set(key, opening);
    opening.catch(() => mine.delete(key));
    return opening;
  }

  async function calibrate(key: string, request: Parameters<FeaturePool["features"]>[0]): Promise<number> {
    const [client] = clients;
    const largest = chunkSizes[chunkSizes.length - 1] ?? 2;
    if (client === undefined) throw new Error("expected a models process, got none");
    const probe = { ...request, latents: new Float32Array(largest * request.dim).map((_, i) => Math.sin(i * 12.9898) * 0.7) };
    let best = { size: 2, msPerImage: Number.POSITIVE_INFINITY };
    for (const size of chunkSizes) {
      await once(client, probe, 0, size); // opening and warming up are not counted
      const started = performance.now();
      let images = 0;
      for (; images < largest; images += size) await once(client, probe, images, images + size);
      const msPerImage = (performance.now() - started) / images;
      // Only a clear gain is worth a larger chunk: smaller ones share out better.
      if (msPerImage < 0.95 * best.msPerImage) best = { size, msPerImage };
    }
    chunkOf.set(key, best.size);
    return best.size;
  }

  const pool: FeaturePool = {
    get workers() {
      return clients.length;
    },
    models: first.value,
    async open(generator, encoder) {
      try {
        const joined = await encoderAt(first.value, generator, encoder);
        growing ??= grow(joined.encoder.provider);
        await growing;
        return ok(joined);
      } catch (error) {
        if (error instanceof FaultError) return fault(error.code, error.message);
        throw error;
      }
    },
    encoder: (id) => first.value.encoder(id),
    async features(request) {
      unwrap(await pool.open(request.generator, request.encoder));
      const key = `${request.generator}\n${request.encoder}\n${request.layer}`;
      const count = request.latents.length / request.dim;
      const size = chunkOf.get(key) ?? (count < 64 ? 2 : await calibrate(key, request));
      const starts = Array.from({ length: Math.ceil(count / size) }, (_, i) => i * size);
      let out: Float32Array | null = null;
      let next = 0;
      const take = async (client: Models): Promise<void> => {
        while (next < starts.length) {
          const from = starts[next++]!;
          const to = Math.min(count, from + size);
          const values = await once(client, request, from, to);
          const width = values.length / (to - from);
          out ??= new Float32Array(count * width);
          out.set(values, from * width);
          evaluated += to - from;
        }
      };
      await Promise.all(clients.flatMap((client) => Array.from({ length: aheadPerWorker }, () => take(client))));
      return out ?? new Float32Array(0);
    },
    async logits({ encoder, layer, activations, dim }) {
      const count = activations.length / dim;
      const starts = Array.from({ length: Math.ceil(count / tailChunk) }, (_, i) => i * tailChunk);
      let out: Float32Array | null = null;
      let next = 0;
      const take = async (client: Models): Promise<void> => {
        while (next < starts.length) {
          const from = starts[next++]!;
          const to = Math.min(count, from + tailChunk);
          const tail = await tailAt(client, encoder, layer);
          const values = await tail.logits({ count: to - from, dim, data: activations.subarray(from * dim, to * dim) });
          out ??= new Float32Array(count * tail.units);
          out.set(values, from * tail.units);
        }
      };
      await Promise.all(clients.map((client) => take(client)));
      return out ?? new Float32Array(0);
    },
    get evaluated() {
      return evaluated;
    },
    async close() {
      if (options.models === undefined) await Promise.all(clients.map((client) => client.close()));
    },
  };
  return ok(pool);
}

async function openQuietPort(): ReturnType<typeof forkModelsProcess> {
  const port = await forkModelsProcess();
  try {
    setPriority(port.pid, workerNiceness);
  } catch {
    // Some systems do not allow it; the work is then done at the usual priority.
  }
  return port;
}
