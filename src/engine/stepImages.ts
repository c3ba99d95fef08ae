// The folder of a step, opened: names at once, pixels when they are due. Knows nothing about protocols beyond their settings.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Transformer } from "@napi-rs/image";
import type { OpenLibrary } from "../loop/closedLoop.ts";
import type { EvolutionStep, PlanStep } from "../shared/contract/index.ts";
import type { Generator } from "../shared/ports.ts";
import { assertNever, fault, ok, unwrap } from "../shared/result.ts";
import type { Fault, Result } from "../shared/result.ts";
import type { Rng } from "../shared/rng.ts";
import { builtInReferences } from "./paths.ts";
import { decodeImage, loadReferences } from "./references.ts";

/** Side of images from folders, px: as fine as the encoders and the published sets of images. */
const folderPx = 256;
const mappingPx = 128;

const nothing: OpenLibrary = { labels: [], widthPx: 0, heightPx: 0, image: () => Promise.reject(new Error("expected no image of a step without a folder")) };

export interface LibraryWorld {
  readonly steps: readonly PlanStep[];
  /** Generators that the plan names are loaded. */
  readonly generator: (id: string) => Generator;
  /** Typical norm of a generator's codes; null where its manifest does not say. */
  readonly typicalNorm: (id: string) => number | null;
  readonly rng: Rng;
}

/** Errors: those of folders and images, named for the step. */
export async function openLibrary(index: number, world: LibraryWorld): Promise<OpenLibrary> {
  const step = world.steps[index];
  if (step === undefined) return nothing;
  switch (step.protocol) {
    case "evolution": {
      const size = world.generator(step.threads[0]?.generator ?? "").widthPx;
      if (step.referencesPerGeneration === 0) return { ...nothing, widthPx: size, heightPx: size };
      const references = unwrap(await loadReferences(step.referenceFolder ?? builtInReferences, size));
      return { labels: references.map((r) => r.label), widthPx: size, heightPx: size, image: async (place) => references[place]?.image ?? (await nothing.image(place)) };
    }
    case "rfMapping":
      return unwrap(await openFolder(step.folder ?? builtInReferences, mappingPx, step.imageCount));
    case "diverseSet":
      return step.folder === null ? drawn(world, index, step.generator, step.imageCount) : unwrap(await openFolder(step.folder, folderPx, step.imageCount));
    case "localisation": {
      if (step.source === "file") return step.imageFile === null ? unwrap(fault("noFile", `Step ${index + 1} (feature localisation) wants an image file, got none. Choose one, or another source.`)) : unwrap(await openFile(step.imageFile));
      const before = world.steps.slice(0, index).findLast((s): s is EvolutionStep => s.protocol === "evolution");
      if (before === undefined) return unwrap(fault("noEvolution", `Step ${index + 1} (feature localisation) needs an evolution before it. Add one, or choose an image file as its source.`));
      const generator = world.generator((before.threads[step.thread] ?? before.threads[0])?.generator ?? "");
      return { ...nothing, widthPx: generator.widthPx, heightPx: generator.heightPx };
    }
    case "validation":
      if (step.source !== "folder") return nothing;
      return step.folder === null ? unwrap(fault("noFolder", `Step ${index + 1} (model validation) wants a folder of images, got none. Choose one, or another source.`)) : unwrap(await openFolder(step.folder, folderPx, null));
    case "images":
      return step.folder === null ? nothing : unwrap(await openFolder(step.folder, folderPx, step.imageCount));
    case "lab":
      return step.folder === null ? unwrap(await openFolder(builtInReferences, folderPx, null)) : unwrap(await openFolder(step.folder, folderPx, null));
    default:
      return assertNever(step);
  }
}

/** Names in name order. Every file's header is read: what is not an image is named before a session begins. */
async function openFolder(folder: string, sizePx: number, countMax: number | null): Promise<Result<OpenLibrary, Fault>> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((n) => /\.(png|jpe?g)$/i.test(n)).sort();
  } catch (error) {
    return fault("imageFolder", `Expected a folder of PNG or JPEG images at ${folder}, got: ${error instanceof Error ? error.message : String(error)}. Choose another folder.`);
  }
  if (names.length === 0) return fault("imageFolder", `Expected PNG or JPEG files in ${folder}, found none. Choose another folder.`);
  const used = names.slice(0, countMax ?? undefined);
  for (const name of used) {
    try {
      await new Transformer(await readFile(join(folder, name))).metadata();
    } catch (error) {
      return fault("imageFile", `Expected a PNG or JPEG image in ${join(folder, name)}, could not read it: ${error instanceof Error ? error.message : String(error)}. Remove or replace the file.`);
    }
  }
  return ok({ labels: used, widthPx: sizePx, heightPx: sizePx, image: async (place) => decodeImage(await readFile(join(folder, used[place] ?? "")), sizePx) });
}

async function openFile(file: string): Promise<Result<OpenLibrary, Fault>> {
  try {
    const image = await decodeImage(await readFile(file), folderPx);
    return ok({ labels: [file], widthPx: folderPx, heightPx: folderPx, image: async () => image });
  } catch (error) {
    return fault("imageFile", `Expected a PNG or JPEG image in ${file}, could not read it: ${error instanceof Error ? error.message : String(error)}. Choose another file.`);
  }
}

/** Codes of typical length in random directions, from the session's seed. */
function drawn(world: LibraryWorld, index: number, id: string, count: number): OpenLibrary {
  const generator = world.generator(id);
  const rng = world.rng.fork(`diverse/${index}`);
  const dim = generator.latentDim;
  const norm = world.typicalNorm(id) ?? Math.sqrt(dim) * generator.initialStepSize;
  const codes = Array.from({ length: count }, () => {
    const code = Float32Array.from({ length: dim }, () => rng.gaussian());
    const length = Math.hypot(...code);
    return code.map((v) => (v * norm) / length);
  });
  return {
    labels: codes.map((_, i) => `${id} code ${i + 1}`), widthPx: generator.widthPx, heightPx: generator.heightPx,
    image: (place) => generator.decode({ count: 1, dim, data: codes[place] ?? new Float32Array(dim) }),
  };
}

/** Every generator that the steps name. */
export function generatorsOf(steps: readonly PlanStep[]): readonly string[] {
  return [...new Set(steps.flatMap((s) => (s.protocol === "evolution" ? s.threads.map((t) => t.generator) : s.protocol === "diverseSet" && s.folder === null ? [s.generator] : [])))];
}
