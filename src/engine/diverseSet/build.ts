// Builds a diverse set (SPEC 3): embeds a folder's images, or drawn ones, by a network, reduces and clusters, takes the nearest image of every
// centre, measures the coverage in a second network's space, and writes a folder that a session can show. Features are kept on disk: a build
// that was stopped, or one with other numbers, goes on from them. Knows nothing about windows or terminals.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { extname, join, resolve } from "node:path";
import { Transformer } from "@napi-rs/image";
import { chooseInSpace, fitPca, fitPcaOfStream, measureCoverage, projectPca } from "../../analysis/index.ts";
import type { Matrix } from "../../analysis/index.ts";
import type { Models } from "../../models/client.ts";
import { diverseSetFile, diverseSetManifest, diverseSetSchema, diverseSetVersion } from "../../shared/contract/diverseSet.ts";
import type { DiverseSetArgs, DiverseSetManifest, DiverseSetPhase } from "../../shared/contract/diverseSet.ts";
import type { EncoderManifest } from "../../shared/manifest.ts";
import type { Encoder } from "../../shared/ports.ts";
import { FaultError, fault, ok, unwrap } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";
import { createRng } from "../../shared/rng.ts";
import type { ImageBatch } from "../../shared/values.ts";
import { joinImages } from "../insilico/featureCache.ts";
import { readIfThere, writeWhole } from "../insilico/sweepFiles.ts";
import { decodeImage } from "../references.ts";
import { appVersion } from "../version.ts";
import { openFeatureFile } from "./featureFile.ts";
import type { FeatureFile } from "./featureFile.ts";
import { drawPlot, drawSheet, pngOfSvg } from "./figures.ts";
import { drawImages, listImages, openFileNotes, readHashed } from "./pool.ts";
import type { FileNotes, Known, PoolFile } from "./pool.ts";

export interface DiverseSetProgress {
  readonly phase: DiverseSetPhase;
  readonly done: number;
  /** 0 = not known. */
  readonly total: number;
  readonly unreadable: number;
}

export interface DiverseSetOptions {
  readonly args: DiverseSetArgs;
  readonly models: Models;
  /** Features and what is known of files are kept here. */
  readonly cacheFolder: string;
  /** How it is made again; "" where it was started from a window. */
  readonly command: string;
  readonly onProgress?: (progress: DiverseSetProgress) => void;
  /** Awaited between pieces of work: holds a paused build. */
  readonly gate?: () => Promise<void>;
  readonly signal?: AbortSignal;
  /** ISO 8601, for the manifest. */
  readonly nowUtc?: () => string;
}

/** Images decoded ahead of the network, and given to it at once. */
const portion = 32;
const decodersMax = 4;
/** Images of the pool that the coverage is measured over, drawn at random with the chosen among them. */
const coverageImagesMax = 10_000;
const coverageComponents = 100;
const fewOutputs = 50;
const plottedMax = 6000;
const sheetSidePx = 96;
/** Beyond so many images mini-batches are not refined exactly. */
const exactUpTo = 20_000;
/** How often the features are read for the components. */
const passes = 3;

/**
 * Errors: `imagesFolder`, `imagesTooMany`, `diverseTooFew` (fewer different images than asked for), `diverseExists`, `diverseStopped`,
 * `diverseWriting`, `featuresLocked`, `notWritable` and those of the models.
 */
export async function buildDiverseSet(options: DiverseSetOptions): Promise<Result<{ readonly folder: string; readonly manifest: DiverseSetManifest }, Fault>> {
  try {
    return ok(await build(options));
  } catch (error) {
    if (error instanceof FaultError) return fault(error.code, error.message);
    if (error instanceof Error && "code" in error && typeof error.code === "string" && /^E[A-Z]+$/.test(error.code)) return fault("diverseWriting", `The diverse set could not be written: ${error.message}. What was computed is kept; make room or choose another folder, and start it again.`);
    throw error;
  }
}

async function build(options: DiverseSetOptions): Promise<{ readonly folder: string; readonly manifest: DiverseSetManifest }> {
  const { args, models, cacheFolder } = options;
  const startedMs = performance.now();
  const out = resolve(args.out);
  await checkOut(out, args.overwrite);
  const rng = createRng(`diverse set ${args.seed}`);
  const phases: DiverseSetManifest["phases"] = [];
  let phaseStartedMs = startedMs;
  let phase: DiverseSetPhase | null = null;
  const beginPhase = (next: DiverseSetPhase | null): void => {
    if (next === phase) return;
    const now = performance.now();
    if (phase !== null) phases.push({ phase, seconds: Math.round(now - phaseStartedMs) / 1000 });
    phase = next;
    phaseStartedMs = now;
  };
  const report = (progress: DiverseSetProgress): void => {
    beginPhase(progress.phase);
    options.onProgress?.(progress);
  };
  const step = async (progress: DiverseSetProgress): Promise<void> => {
    report(progress);
    await options.gate?.();
    if (options.signal?.aborted === true) throw new FaultError({ code: "diverseStopped", message: "The build was stopped; what was computed is kept, and the same build goes on from there." });
  };

  const network = openNetwork(models, args.encoder ?? firstInstalled(models, ["alexnet", "shapes-relu"]), args.layer);
  const second = args.coverage === "none" ? null : openNetwork(models, args.coverage ?? firstInstalled(models, ["resnet50-ssl", network.manifest.id === "shapes-robust" ? "shapes-tanh" : "shapes-robust"]), null);
  await step({ phase: "listing", done: 0, total: 0, unreadable: 0 });

  const folder = args.images === null ? await drawPool(options, rng.fork("pool"), (done) => step({ phase: "drawing", done, total: args.drawn, unreadable: 0 })) : resolve(args.images);
  const files = unwrap(await listImages(folder, (done) => step({ phase: "listing", done, total: 0, unreadable: 0 })));
  const notes = await openFileNotes(join(cacheFolder, "files", `${createHash("sha256").update(folder).digest("hex").slice(0, 32)}.jsonl`));

  const embedded = await embed({ files, notes, network, encoder: unwrap(await models.encoder(network.manifest.id)), cacheFolder, step: (done, unreadable) => step({ phase: "embedding", done, total: files.length, unreadable }) });
  const unreadable = embedded.problems.length;
  const pool = [...embedded.first.values()];
  if (pool.length < args.count) {
    throw new FaultError({ code: "diverseTooFew", message: `Expected at least ${args.count} different images to choose from, got ${pool.length} (${files.length} files, ${unreadable} not readable, ${embedded.duplicates} with the content of another). Ask for fewer, or choose a larger folder.` });
  }
  if (pool.length < 3) throw new FaultError({ code: "diverseTooFew", message: `Expected at least 3 different images, got ${pool.length}. Choose a larger folder.` });

  await step({ phase: "clustering", done: 0, total: 0, unreadable });
  const hashes = [...embedded.first.keys()];
  let passed = 0;
  const { pca, scores } = await embedded.withFeatures((features) => fitPcaOfStream({
    rows: pool.length, cols: network.dim,
    read: () => rowsOf(features, hashes, network.dim, (rows) => step({ phase: "clustering", done: (passed += rows), total: pool.length * passes, unreadable })),
  }, { components: Math.min(args.components, pool.length - 1, network.dim) }));
  await step({ phase: "clustering", done: 0, total: 0, unreadable });
  const set = chooseInSpace({ pca, space: scores, count: args.count, exactUpTo, rng: rng.fork("choice") });
  const chosen = [...set.images];
  await step({ phase: "coverage", done: 0, total: 0, unreadable });
  const coverage = second === null ? null : await coverageOf({ second, pool, hashes, chosen });
  await step({ phase: "writing", done: 0, total: args.count, unreadable });

  const part = `${out}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(join(part, "report"), { recursive: true });
  const digits = String(args.count).length;
  const images: DiverseSetManifest["images"] = [];
  const thumbnails: ImageBatch[] = [];
  for (const [i, row] of chosen.entries()) {
    const file = pool[row];
    if (file === undefined) throw new Error(`expected image ${row} in the pool`);
    const name = await copyImage(file, part, String(i + 1).padStart(digits, "0"));
    const [x = 0, y = 0] = pointOf(set.firstTwo, row);
    images.push({ file: name, source: file.name, sha256: hashes[row] ?? "", distance: set.distances[i] ?? Number.NaN, x, y });
    thumbnails.push(await decodeImage((await readHashed(file.path)).bytes, sheetSidePx));
    if (i % 16 === 15) await step({ phase: "writing", done: i + 1, total: args.count, unreadable });
  }
  const variance = set.pca.explainedVarianceRatio;
  beginPhase(null);
  const manifest: DiverseSetManifest = {
    schema: diverseSetSchema, version: diverseSetVersion, madeUtc: options.nowUtc?.() ?? new Date().toISOString(), appVersion, command: options.command, seed: args.seed,
    source: args.images === null ? `${args.drawn} images drawn by ${args.generator}` : folder,
    found: files.length, duplicates: embedded.duplicates, unreadable, used: pool.length,
    space: { network: network.manifest.id, sha256: network.manifest.sha256, layer: network.layer, dimensions: network.dim, components: set.pca.components.rows, explainedVariance: variance.reduce((a, b) => a + b, 0) },
    clusters: { count: args.count, inertia: set.clusters.inertia, iterations: set.clusters.iterations, converged: set.clusters.converged },
    coverage, images, phases, wallSeconds: Math.round(performance.now() - startedMs) / 1000, memoryMB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
  const plotted = rng.fork("plot").shuffle(pool.map((_, i) => i)).slice(0, plottedMax);
  const plot = drawPlot({
    title: `Diverse set of ${args.count} in ${network.manifest.title}, ${network.layer}`, poolCount: pool.length, shares: [variance[0] ?? 0, variance[1] ?? 0],
    pool: plotted.map((row) => pointXY(pointOf(set.firstTwo, row))), chosen: images.map((image) => ({ x: image.x, y: image.y, label: image.source })),
  });
  await writeWhole(join(part, "report", "plot.svg"), plot);
  await writeWhole(join(part, "report", "plot.png"), await pngOfSvg(plot));
  await writeWhole(join(part, "report", "sheet.png"), await drawSheet(thumbnails, sheetSidePx));
  await writeWhole(join(part, "report", "images.csv"), csvOf(["file", "source", "sha256", "distance", "component1", "component2"], images.map((i) => [i.file, i.source, i.sha256, i.distance, i.x, i.y])));
  if (unreadable > 0) await writeWhole(join(part, "report", "unreadable.csv"), csvOf(["file", "reason"], embedded.problems.map((p) => [p.name, p.reason])));
  await writeWhole(join(part, diverseSetFile), `${JSON.stringify(manifest, null, 1)}\n`);
  await replaceFolder(part, out);
  report({ phase: "writing", done: args.count, total: args.count, unreadable });
  return { folder: out, manifest };

  /** Distances in a second network's space, over a part of the pool that holds the chosen. */
  async function coverageOf({ second: other, pool: all, hashes: allHashes, chosen: rows }: { readonly second: Network; readonly pool: readonly PoolFile[]; readonly hashes: readonly string[]; readonly chosen: readonly number[] }): Promise<DiverseSetManifest["coverage"]> {
    const isChosen = new Set(rows);
    const others = rng.fork("coverage").shuffle(all.map((_, i) => i).filter((i) => !isChosen.has(i))).slice(0, Math.max(0, coverageImagesMax - rows.length));
    const looked = [...rows, ...others];
    const part2 = looked.flatMap((i) => all[i] ?? []);
    const seen = await embed({ files: part2, notes, network: other, encoder: unwrap(await models.encoder(other.manifest.id)), cacheFolder, step: (done) => step({ phase: "coverage", done, total: part2.length, unreadable }) });
    const raw: Matrix = { rows: looked.length, cols: other.dim, data: new Float32Array(looked.length * other.dim) };
    await seen.withFeatures(async (features) => {
      let at = 0;
      for await (const rows of features.read(looked.flatMap((i) => allHashes[i] ?? []))) {
        raw.data.set(rows, at);
        at += rows.length;
      }
    });
    const components = Math.min(coverageComponents, other.dim, looked.length - 1);
    const reduced = components < other.dim ? projectPca(fitPca(raw, { components }), raw) : raw;
    const { meanDistance, farthestDistance, occupiedShare, random } = measureCoverage({ space: reduced, selected: rows.map((_, i) => i), rng: rng.fork("random sets") });
    return { network: other.manifest.id, sha256: other.manifest.sha256, layer: other.layer, dimensions: other.dim, components, images: looked.length, meanDistance, farthestDistance, occupiedShare, random };
  }
}

// ---- networks ----------------------------------------------------------------------------------------------------------------

interface Network {
  readonly manifest: EncoderManifest;
  readonly layer: string;
  readonly dim: number;
  /** Side that images are decoded to: the network fits them to its own input on the device. */
  readonly sidePx: number;
}

function firstInstalled(models: Models, ids: readonly string[]): string {
  return ids.find((id) => models.list().some((m) => m.id === id)) ?? ids.at(-1) ?? "";
}

function openNetwork(models: Models, id: string, wanted: string | null): Network {
  const manifest = models.list().find((m) => m.id === id);
  const encoders = models.list().filter((m) => m.kind === "encoder").map((m) => m.id).join(", ");
  if (manifest?.kind !== "encoder") throw new FaultError({ code: "modelUnknown", message: `Expected one of the encoders ${encoders}, got "${id}". Choose another, or see: evoked models list.` });
  const output = manifest.layers.at(-1);
  const name = wanted ?? (output !== undefined && output.dim >= fewOutputs ? output.name : manifest.penultimate);
  const layer = manifest.layers.find((l) => l.name === name);
  if (layer === undefined) throw new FaultError({ code: "layerUnknown", message: `Expected a layer of ${id} (${manifest.layers.map((l) => l.name).join(", ")}), got "${name}".` });
  return { manifest, layer: layer.name, dim: layer.dim, sidePx: Math.round(Math.max(manifest.input.width, manifest.input.height) / manifest.input.keep) };
}

// ---- features ----------------------------------------------------------------------------------------------------------------

interface Embedded {
  /** By hash: the first file in name order with this content, in that order. */
  readonly first: ReadonlyMap<string, PoolFile>;
  readonly duplicates: number;
  readonly problems: readonly { readonly name: string; readonly reason: string }[];
  /** Lends the file of features. */
  withFeatures<T>(work: (features: FeatureFile) => Promise<T>): Promise<T>;
}

/** Features as rows for the components. `step` is called after every block. */
async function* rowsOf(features: FeatureFile, hashes: readonly string[], cols: number, step: (rows: number) => Promise<void>): AsyncGenerator<Matrix> {
  for await (const data of features.read(hashes)) {
    const rows = data.length / cols;
    yield { rows, cols, data };
    await step(rows);
  }
}

interface Looked {
  readonly file: PoolFile;
  readonly known: Known;
  /** Decoded where its features are not there yet. */
  readonly image: ImageBatch | null;
  readonly isNew: boolean;
}

/** The features of every file, computed where they are not on disk; the next portion is decoded while the network works on this one. */
async function embed(options: { readonly files: readonly PoolFile[]; readonly notes: FileNotes; readonly network: Network; readonly encoder: Encoder; readonly cacheFolder: string; readonly step: (done: number, unreadable: number) => Promise<void> }): Promise<Embedded> {
  const { files, notes, network, encoder, step } = options;
  const path = join(options.cacheFolder, "features", network.manifest.sha256.slice(0, 32), `${network.layer.replace(/[^A-Za-z0-9_-]/g, "_")}-${network.dim}-${network.sidePx}px.features`);
  const store = unwrap(await openFeatureFile(path, network.dim));
  const first = new Map<string, PoolFile>();
  const problems: { readonly name: string; readonly reason: string }[] = [];
  let duplicates = 0;

  async function look(file: PoolFile): Promise<Looked> {
    const noted = notes.of(file);
    if (noted !== null && ("problem" in noted || store.has(noted.sha256))) return { file, known: noted, image: null, isNew: false };
    try {
      const { bytes, sha256 } = await readHashed(file.path);
      return { file, known: { sha256 }, image: store.has(sha256) ? null : await decodeImage(bytes, network.sidePx), isNew: true };
    } catch (error) {
      return { file, known: { problem: error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error) }, image: null, isNew: true };
    }
  }

  const lookAt = (from: number): Promise<readonly Looked[]> => mapLimited(files.slice(from, from + portion), decodersMax, look);
  try {
    let next = lookAt(0);
    for (let from = 0; from < files.length; from += portion) {
      await step(from, problems.length);
      const looked = await next;
      if (from + portion < files.length) {
        next = lookAt(from + portion);
        // Awaited in the next turn; a failure before that is not unhandled.
        next.catch(() => undefined);
      }
      const fresh = new Map<string, ImageBatch>();
      for (const { known, image } of looked) if (image !== null && "sha256" in known) fresh.set(known.sha256, image);
      const broken = new Set<string>();
      if (fresh.size > 0) {
        const [values] = await encoder.features(joinImages([...fresh.values()]), [network.layer]);
        if (values === undefined) throw new Error(`expected the activations of ${network.layer}, got none`);
        const features = new Map([...fresh.keys()].map((hash, i) => [hash, values.slice(i * network.dim, (i + 1) * network.dim)]));
        for (const [hash, row] of features) {
          if (row.every(Number.isFinite)) continue;
          features.delete(hash);
          broken.add(hash);
        }
        await store.append(features);
      }
      // Noted after its features are there: what is noted needs no second look.
      const settled = looked.map((one) => ("sha256" in one.known && broken.has(one.known.sha256) ? { ...one, known: { problem: `${network.manifest.id} gives no finite numbers for it.` } } : one));
      await notes.add(settled.filter((one) => one.isNew));
      for (const { file, known } of settled) {
        if ("problem" in known) problems.push({ name: file.name, reason: known.problem });
        else if (first.has(known.sha256)) duplicates++;
        else first.set(known.sha256, file);
      }
    }
    await step(files.length, problems.length);
  } finally {
    await store.close();
  }
  return {
    first, duplicates, problems,
    async withFeatures(work) {
      const again = unwrap(await openFeatureFile(path, network.dim));
      try {
        return await work(again);
      } finally {
        await again.close();
      }
    },
  };
}

/** At most `limit` at a time, results in order. */
async function mapLimited<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, async () => {
    for (let i = next++; i < items.length; i = next++) {
      const item = items[i];
      if (item !== undefined) results[i] = await work(item);
    }
  }));
  return results;
}

// ---- files -------------------------------------------------------------------------------------------------------------------

async function drawPool({ args, models, cacheFolder }: DiverseSetOptions, rng: ReturnType<typeof createRng>, step: (done: number) => Promise<void>): Promise<string> {
  const manifest = models.list().find((m) => m.id === args.generator);
  const generator = unwrap(await models.generator(args.generator));
  const folder = join(cacheFolder, "drawn", `${args.generator}-${generator.identity.sha256.slice(0, 16)}-${args.seed}-${args.drawn}`);
  await drawImages({ folder, generator, typicalNorm: manifest?.kind === "generator" ? manifest.latent.typicalNorm : Math.sqrt(generator.latentDim), count: args.drawn, rng, step });
  return folder;
}

/** A folder that is not a diverse set is never touched. Throws a FaultError `diverseExists`. */
async function checkOut(out: string, overwrite: boolean): Promise<void> {
  let names: readonly string[];
  try {
    names = await readdir(out);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw new FaultError({ code: "diverseExists", message: `Expected a folder for the diverse set at ${out}, got: ${error instanceof Error ? error.message : String(error)}. Choose another.` });
  }
  if (names.length === 0) return;
  if (!names.includes(diverseSetFile)) throw new FaultError({ code: "diverseExists", message: `${out} holds other files and is left as it is. Choose a folder that is not there yet.` });
  if (!overwrite) throw new FaultError({ code: "diverseExists", message: `${out} holds a diverse set already. Choose another folder, or have it replaced (--overwrite).` });
}

/** The old set is there until the new one is in its place. */
async function replaceFolder(part: string, out: string): Promise<void> {
  const old = `${out}.old`;
  await rm(old, { recursive: true, force: true });
  const wasThere = await rename(out, old).then(() => true, () => false);
  await rename(part, out);
  if (wasThere) await rm(old, { recursive: true, force: true });
}

/** PNG and JPEG as they are, other formats as PNG: sessions show these two. Returns the name. */
async function copyImage(file: PoolFile, to: string, number: string): Promise<string> {
  const base = (file.name.split("/").at(-1) ?? file.name).replace(/\.[^.]+$/, "").replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 80);
  const ending = extname(file.name).toLowerCase();
  if ([".png", ".jpg", ".jpeg"].includes(ending)) {
    const name = `${number}-${base}${ending}`;
    await copyFile(file.path, join(to, name));
    return name;
  }
  const name = `${number}-${base}.png`;
  await writeWhole(join(to, name), await new Transformer((await readHashed(file.path)).bytes).rotate().png());
  return name;
}

/** Errors: `diverseUnreadable`. */
export async function readDiverseSet(folder: string): Promise<Result<DiverseSetManifest, Fault>> {
  const file = join(folder, diverseSetFile);
  const bytes = await readIfThere(file);
  if (bytes === null) return fault("diverseUnreadable", `Expected a diverse set with ${diverseSetFile} in ${folder}, found none. Build one: evoked diverse-set build --help.`);
  try {
    return ok(diverseSetManifest.parse(JSON.parse(bytes.toString("utf8"))));
  } catch {
    return fault("diverseUnreadable", `${file} is not the description of a diverse set, or one of a newer version of Evoked. Build the set again, or update.`);
  }
}

function pointOf({ cols, data }: { readonly cols: number; readonly data: Float64Array }, row: number): readonly number[] {
  return [...data.subarray(row * cols, row * cols + cols)];
}

function pointXY([x = 0, y = 0]: readonly number[]): { readonly x: number; readonly y: number } {
  return { x, y };
}

function csvOf(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number): string => (typeof value === "number" ? String(value) : /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return `${[columns, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}
