// `evoked models`: words and tables around the engine's model commands. Knows nothing about how models are kept or made.
import type { Command } from "commander";
import { benchInstalled, defaultModelsPlace, describeModels, fetchPublished, importModel, showModel, verifyModels } from "../../engine/modelsCommands.ts";
import type { BenchLine, FetchProgress, ModelDetails } from "../../engine/modelsCommands.ts";
import type { ModelLine, ModelsOverview, ModelVerdict } from "../../shared/contract/models.ts";
import { unwrap } from "../../shared/result.ts";
import { createProgress, wholeNumber } from "./sessionOptions.ts";

interface PlaceFlags {
  readonly models?: string;
  readonly json?: true;
}

const stateWords = { builtIn: "built in", ready: "ready", problem: "refused", missing: "missing" } as const;

export function registerModels(program: Command): void {
  const models = program
    .command("models")
    .summary("list, check, get and time the networks")
    .description("The networks that generate, classify and detect: what is there, what is missing for which analysis, and how to get it.");

  withPlace(models.command("list"))
    .description("What is installed, what is not, and what the analyses need.")
    .action(async (flags: PlaceFlags) => {
      const overview = unwrap(await describeModels(placeOf(flags)));
      write(flags.json === true ? `${JSON.stringify(overview)}\n` : formatOverview(overview));
    });

  withPlace(models.command("show <id>"))
    .description("Everything known about one model.")
    .action(async (id: string, flags: PlaceFlags) => {
      const details = unwrap(await showModel(id, placeOf(flags)));
      write(flags.json === true ? `${JSON.stringify(details)}\n` : formatDetails(details));
    });

  withPlace(models.command("verify [ids...]"))
    .description("Checks files, weights and shapes and runs a probe batch; all installed models, or those named. Ends with 1 if one is refused.")
    .option("--provider <name>", "execution provider to verify on (default: the best that agrees with the CPU)")
    .action(async (ids: string[], flags: PlaceFlags & { readonly provider?: string }) => {
      const verdicts = unwrap(
        await verifyModels(ids, { ...placeOf(flags), ...(flags.provider === undefined ? {} : { provider: flags.provider }), onVerdict: (verdict) => flags.json !== true && write(formatVerdict(verdict)) }),
      );
      if (flags.json === true) write(`${JSON.stringify({ models: verdicts })}\n`);
      else write(formatLeft(verdicts.flatMap((verdict) => verdict.left)));
      if (verdicts.some((verdict) => !verdict.ok)) process.exitCode = 1;
    });

  withPlace(models.command("import <what> [files...]"))
    .description("Makes a model of official weight files, or takes a folder with an ONNX file and its manifest.")
    .option("--replace", "put it in the place of a model with the same id")
    .addHelpText("after", `
Nothing in a weight file is executed. The converted network is run in ONNX Runtime and compared with PyTorch; the difference stands in its manifest.

  evoked models import deepsim-fc6 release_deepsim_v0.zip
  evoked models import lpips-alex alexnet-owt-7be5be79.pth alex.pth
  evoked models import ./my-model`)
    .action(async (what: string, files: string[], flags: PlaceFlags & { readonly replace?: true }) => {
      const { manifest, folder } = unwrap(await importModel(what, files, { ...placeOf(flags), replace: flags.replace === true }));
      const share = manifest.measured["largestDifferenceShare"];
      if (flags.json === true) write(`${JSON.stringify({ id: manifest.id, folder, measured: manifest.measured })}\n`);
      else write(`${manifest.title} is in ${folder}.${typeof share === "number" ? ` ONNX Runtime and ${String(manifest.measured["comparedWith"])} differ by ${share.toExponential(1)} of the largest value.` : ""}\n`);
    });

  withPlace(models.command("fetch <id>"))
    .description("Downloads a published model's official weights and makes a model of them. A download that broke off is gone on with.")
    .option("--download-only", "keep the weight files, convert nothing")
    .option("--replace", "get it again although it is there")
    .action(async (id: string, flags: PlaceFlags & { readonly downloadOnly?: true; readonly replace?: true }) => {
      const progress = createProgress();
      const stop = new AbortController();
      process.once("SIGINT", () => stop.abort());
      try {
        const { files, recorded, model } = unwrap(
          await fetchPublished(id, {
            ...placeOf(flags), replace: flags.replace === true, downloadOnly: flags.downloadOnly === true, signal: stop.signal,
            onProgress: (now) => progress.show(now.totalBytes === null ? 0 : now.receivedBytes / now.totalBytes, describeProgress(now)),
          }),
        );
        progress.end();
        if (flags.json === true) {
          write(`${JSON.stringify({ id, files, recorded, folder: model?.folder ?? null, measured: model?.manifest.measured ?? null })}\n`);
          return;
        }
        for (const { name, sha256 } of recorded) write(`The publisher names no hash for ${name}; sha256 ${sha256} is recorded and later downloads are held against it.\n`);
        write(model === null ? `Downloaded ${files.join(", ")}.\n` : `${model.manifest.title} is in ${model.folder}. The weight files are kept in ${files.join(", ")} and may be deleted.\n`);
      } finally {
        progress.end();
      }
    });

  withPlace(models.command("bench [ids...]"))
    .description("Measures time and memory of installed models here, and keeps the batch size that follows for later sessions.")
    .option("--provider <name>", "execution provider (default: the best that agrees with the CPU)")
    .option("--threads <count>", "threads of one run", wholeNumber)
    .action(async (ids: string[], flags: PlaceFlags & { readonly provider?: string; readonly threads?: number }) => {
      if (flags.json !== true) write(`${formatRow(["model", "provider", "batch", "ms/image", "MB/image"])}\n`);
      const lines = unwrap(
        await benchInstalled(ids, {
          ...placeOf(flags), ...(flags.provider === undefined ? {} : { provider: flags.provider }), ...(flags.threads === undefined ? {} : { threads: flags.threads }),
          onLine: (line) => flags.json !== true && write(formatBench(line)),
        }),
      );
      if (flags.json === true) write(`${JSON.stringify({ models: lines })}\n`);
      else write(formatLeft(lines.flatMap((line) => line.left.map(({ provider, reason }) => `${provider}: ${reason}`))));
    });
}

function withPlace(command: Command): Command {
  return command.option("--models <folder>", "the user's models folder (default: EVOKED_MODELS or ~/Evoked/models)").option("--json", "print one line of JSON");
}

function placeOf(flags: PlaceFlags): { readonly modelsDir: string } {
  return flags.models === undefined ? defaultModelsPlace : { modelsDir: flags.models };
}

function write(text: string): void {
  process.stdout.write(text);
}

function pad(text: string, width: number): string {
  return text.length >= width ? text : text + " ".repeat(width - text.length);
}

function formatOverview({ models, analyses, folder }: ModelsOverview): string {
  const idWidth = Math.max(...models.map((model) => model.id.length));
  const rows = models.map((model) => `${pad(model.id, idWidth)}  ${pad(stateWords[model.state], 8)}  ${pad(model.kind, 9)}  ${model.problem ?? model.purpose}`);
  const marks = { complete: "ok", standIn: "part", missing: "none" } as const;
  const needs = analyses.map((analysis) => `${pad(marks[analysis.state], 4)}  ${analysis.title}: ${analysis.sentence}`);
  const toGet = models.filter((model) => model.howToGet !== null).map((model) => `${pad(model.id, idWidth)}  ${model.howToGet}`);
  return [...rows, "", "Analyses", ...needs, ...(toGet.length > 0 ? ["", "To get what is missing", ...toGet] : []), "", `Imported models: ${folder ?? "none"}`, ""].join("\n");
}

function formatDetails({ line, manifest, published }: ModelDetails): string {
  const facts = describeLine(line);
  if (manifest !== null) {
    facts.push(["file", `${manifest.file}, sha256 ${manifest.sha256}`], ["made by", manifest.madeBy], ["source", manifest.source]);
    if (manifest.kind === "encoder") facts.push(["layers", manifest.layers.map((layer) => `${layer.name} ${layer.shape.join("x")}`).join(", ")]);
    if (manifest.kind === "generator") facts.push(["constants", manifest.constants.map((one) => `${one.name} = ${one.value.join(", ")} (${one.meaning})`).join("; ") || "none"]);
    facts.push(["measured", Object.entries(manifest.measured).map(([name, value]) => `${name} ${value}`).join(", ")]);
  }
  for (const way of published?.ways ?? []) {
    facts.push(["official", `${way.title}: ${way.files.map((file) => `${file.name} ${file.url ?? file.page ?? ""}${file.sha256 === null && file.sha256Begins === null ? " (no hash published; recorded at first download)" : ` sha256 ${file.sha256 ?? `${file.sha256Begins ?? ""}...`}`}`).join(" + ")}`]);
  }
  return `${facts.map(([name, value]) => `${pad(name, 11)}${value}`).join("\n")}\n`;
}

function describeLine(line: ModelLine): [string, string][] {
  const facts: [string, string][] = [["model", `${line.id}: ${line.title}`], ["state", stateWords[line.state]], ["for", line.purpose], ["licence", line.licence]];
  if (line.detail !== "") facts.push(["form", line.detail]);
  if (line.problem !== null) facts.push(["problem", line.problem]);
  if (line.howToGet !== null) facts.push(["to get it", line.howToGet]);
  return facts;
}

function formatVerdict({ id, ok, message }: ModelVerdict): string {
  return `${pad(id, 18)}  ${ok ? "ok" : "refused"}  ${message}\n`;
}

function formatRow([first = "", ...others]: readonly string[]): string {
  return pad(first, 20) + others.map((text) => text.padStart(10)).join("");
}

function formatBench(line: BenchLine): string {
  return `${formatRow([line.id, line.provider, String(line.batch), line.msPerItem.toFixed(2), (line.bytesPerItem / 1e6).toFixed(1)])}\n`;
}

/** Every reason once: a provider that is not there is left for each model alike. */
function formatLeft(left: readonly string[]): string {
  const reasons = [...new Set(left)];
  return reasons.length === 0 ? "" : `\nExecution providers that were left\n${reasons.join("\n")}\n`;
}

function describeProgress({ phase, file, receivedBytes, totalBytes }: FetchProgress): string {
  if (phase === "converting") return "converting and comparing with PyTorch";
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
  return `${file}: ${mb(receivedBytes)}${totalBytes === null ? "" : ` of ${mb(totalBytes)}`} MB`;
}
