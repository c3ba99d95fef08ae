// `evoked diverse-set`: options in, a folder of images that cover a larger one out. Knows nothing about how they are chosen.
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { buildDiverseSet, readDiverseSet } from "../../engine/diverseSet/build.ts";
import { createPace } from "../../engine/diverseSet/pace.ts";
import { exitCodes } from "../../engine/exit.ts";
import { quoteCommand } from "../../engine/insilico/requests.ts";
import { withModels } from "../../engine/insilico/withModels.ts";
import { builtInModels, userCache, userModels } from "../../engine/paths.ts";
import { diverseSetArgs } from "../../shared/contract/diverseSet.ts";
import type { DiverseSetManifest } from "../../shared/contract/diverseSet.ts";
import { fault, unwrap } from "../../shared/result.ts";
import { createProgress, stopOnSignal } from "./sessionOptions.ts";

interface BuildOptions {
  readonly images?: string;
  readonly draw?: number;
  readonly generator: string;
  readonly out: string;
  readonly k: number;
  readonly components: number;
  readonly encoder?: string;
  readonly layer?: string;
  readonly coverage?: string;
  readonly seed: number;
  readonly overwrite?: true;
  readonly provider: string;
  readonly cache: string;
  readonly json?: true;
}

const phases = { listing: "looking for images", drawing: "drawing images", embedding: "embedding", clustering: "components and clusters", coverage: "coverage in the second network", writing: "writing" } as const;

export function registerDiverseSet(program: Command): void {
  const command = program.command("diverse-set").summary("choose images that cover a large folder").description("Builds and shows diverse sets: few images that cover the space of many.");
  command
    .command("build")
    .summary("build a set from a folder, or from drawn images")
    .description("Embeds images by a network, reduces them to principal components, clusters them, and takes the nearest image of every cluster's centre.")
    .option("--images <folder>", "images to choose from: PNG, JPEG, WebP, BMP, TIFF, GIF, up to 100,000, in the folder and the folders in it")
    .option("--draw <n>", "instead: this many images drawn by a generator", wholeFromOne)
    .option("--generator <id>", "with --draw: the generator", "shapes-g1")
    .requiredOption("--out <folder>", "folder to make")
    .option("--k <n>", "images of the set", wholeFromOne, 160)
    .option("--components <n>", "principal components, or as many as there are", wholeFromOne, 300)
    .option("--encoder <id>", "network whose output is the space (default: alexnet where it is installed, else shapes-relu)")
    .option("--layer <name>", "layer of it (default: its output; the penultimate one where the output has fewer than 50 numbers)")
    .option("--coverage <id>", 'second network to measure the coverage by, or "none" (default: resnet50-ssl where it is installed, else shapes-robust)')
    .option("--seed <n>", "decides everything random", wholeFromZero, 1)
    .option("--overwrite", "replace a diverse set that is there")
    .option("--provider <name>", "execution provider, or auto", "auto")
    .option("--cache <folder>", "where features are kept", userCache)
    .option("--json", "end with the manifest as one JSON line on standard output")
    .addHelpText(
      "after",
      `
In the folder: the images, numbered; diverse-set.json (settings, hashes, sources, coverage); report/plot.svg and .png (first two components),
report/sheet.png (all images), report/images.csv, report/unreadable.csv. The folder can be given to a session's diverse-set step as it is.
Ctrl-C keeps the features computed so far, and so does a crash: the same command goes on from there and gives the same set.

Examples
  evoked diverse-set build --images ~/imagenet/val --out ~/sets/imagenet-160
  evoked diverse-set build --draw 2000 --out ~/sets/drawn-160`,
    )
    .action(async (options: BuildOptions) => {
      if ((options.images === undefined) === (options.draw === undefined)) return unwrap(fault("imagesFolder", "Expected either --images FOLDER or --draw N, got both or neither."));
      const signal = stopOnSignal();
      const progress = createProgress();
      const startedMs = performance.now();
      const pace = createPace();
      const result = await withModels([builtInModels, userModels], options.provider, (models) =>
        buildDiverseSet({
          models, cacheFolder: resolve(options.cache), command: quoteCommand(process.argv.slice(2)), signal,
          args: diverseSetArgs.parse({
            images: options.images ?? null, generator: options.generator, ...(options.draw === undefined ? {} : { drawn: options.draw }), out: options.out, count: options.k, components: options.components,
            encoder: options.encoder ?? null, layer: options.layer ?? null, coverage: options.coverage ?? null, seed: options.seed, overwrite: options.overwrite === true,
          }),
          onProgress({ phase, done, total, unreadable }) {
            const now = performance.now();
            const remainingS = pace.remainingS({ phase, done, total }, now);
            progress.show(total === 0 ? 0 : done / total, `${phases[phase]}${total === 0 ? "" : ` ${done.toLocaleString("en")} of ${total.toLocaleString("en")}`}${unreadable === 0 ? "" : `, ${unreadable} not readable`}, ${Math.round((now - startedMs) / 1000)} s${remainingS === null ? "" : `, ${describeSpan(remainingS)} left`}`);
          },
        }),
      );
      progress.end();
      if (!result.ok && result.error.code === "diverseStopped") {
        process.stderr.write(`${result.error.message}\n`);
        process.exitCode = exitCodes.interrupted;
        return;
      }
      const { folder, manifest } = unwrap(result);
      process.stdout.write(options.json === true ? `${JSON.stringify({ folder, ...manifest, images: manifest.images.length })}\n` : describe(folder, manifest));
    });
  command
    .command("show")
    .summary("say what a set is made of")
    .argument("<folder>", "folder of a diverse set")
    .option("--json", "the manifest as one JSON line")
    .action(async (folder: string, options: { readonly json?: true }) => {
      const manifest = unwrap(await readDiverseSet(resolve(folder)));
      process.stdout.write(options.json === true ? `${JSON.stringify(manifest)}\n` : describe(resolve(folder), manifest));
    });
}

function describe(folder: string, m: DiverseSetManifest): string {
  const { coverage } = m;
  return [
    `${m.images.length} images in ${folder}`,
    `  from ${m.source}: ${m.found.toLocaleString("en")} found, ${m.used.toLocaleString("en")} used, ${m.duplicates} with the content of another, ${m.unreadable} not readable`,
    `  space: ${m.space.layer} of ${m.space.network} (${m.space.dimensions} numbers), ${m.space.components} components with ${(m.space.explainedVariance * 100).toFixed(1)} % of the variance`,
    ...(coverage === null ? [] : [
      `  coverage in ${coverage.layer} of ${coverage.network}, ${coverage.images.toLocaleString("en")} images: mean distance to the nearest chosen image ${coverage.meanDistance.toPrecision(3)} (random sets ${coverage.random.meanDistance.toPrecision(3)}), ` +
        `farthest ${coverage.farthestDistance.toPrecision(3)} (${coverage.random.farthestDistance.toPrecision(3)}), regions with a chosen image ${(coverage.occupiedShare * 100).toFixed(0)} % (${(coverage.random.occupiedShare * 100).toFixed(0)} %)`,
    ]),
    `  ${m.wallSeconds.toFixed(1)} s${m.phases.length === 0 ? "" : ` (${m.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(1)}`).join(", ")})`}, ${m.memoryMB} MB`,
    "",
  ].join("\n");
}

function describeSpan(seconds: number): string {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function wholeFromOne(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Expected a whole number from 1 up.");
  return value;
}

function wholeFromZero(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("Expected a whole number from 0 up.");
  return value;
}
