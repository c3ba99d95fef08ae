// `evoked import`: another lab's evolution as a session file. Knows nothing about how it is read.
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { importSession } from "../../engine/importSession.ts";
import { defaultSessionFolder } from "../../engine/paths.ts";
import { importArgs } from "../../shared/contract/index.ts";
import { complain, createProgress } from "./sessionOptions.ts";

interface Flags {
  readonly images: string;
  readonly subject: string;
  readonly species?: string;
  readonly lab?: string;
  readonly date?: string;
  readonly description?: string;
  readonly window: { readonly startMs: number; readonly endMs: number };
  readonly sessions?: string;
  readonly json?: boolean;
}

export function registerImport(program: Command): void {
  program
    .command("import <csv>")
    .summary("import another lab's evolution: a CSV of responses and a folder of images")
    .description("Writes a session file that reviews, fits and exports read like any other. What the CSV does not say (spikes, gaze, frame times, optimizer states) stays empty.")
    .requiredOption("--images <folder>", "folder of the PNG or JPEG images that the CSV names")
    .requiredOption("--subject <id>", "subject: letters, digits, - and _")
    .option("--species <name>", 'Latin name (default "Macaca mulatta")')
    .option("--lab <name>", "lab that recorded it")
    .option("--date <iso>", "when it was recorded, e.g. 2019-05-02 (default: now)")
    .option("--description <text>", "one sentence on what was done")
    .option("--window <from:to>", "response window of the rates, ms after the onset", parseWindow, { startMs: 70, endMs: 170 })
    .option("--sessions <folder>", "folder for the session file")
    .option("--json", "end with one JSON line on standard output")
    .addHelpText(
      "after",
      "\nColumns of the CSV, one row a presentation, in the order they were shown\n  image        file name in the folder of images\n  rate_hz      response of the target, spikes/s\n  generation   from 0 (optional)\n  kind         evolved or reference (optional)\n" +
        "  thread       from 0 (optional)\n  excluded     true where the response does not count (optional)\n  channel_...  spike count of a further channel in the window (optional, any number)\n\nExample\n  evoked import responses.csv --images pictures --subject ringo --date 2019-05-02",
    )
    .action(async (csv: string, flags: Flags) => {
      const args = importArgs.safeParse({
        csvFile: resolve(csv), imageFolder: resolve(flags.images), subject: flags.subject, species: flags.species, lab: flags.lab, description: flags.description, recordedUtc: flags.date ?? null,
        windowStartMs: flags.window.startMs, windowEndMs: flags.window.endMs,
      });
      if (!args.success) {
        const [issue] = args.error.issues;
        return complain({ code: "badImport", message: `The value of "${issue?.path.join(".") ?? ""}" is not right: ${issue?.message ?? "unknown"}.` });
      }
      const progress = createProgress();
      const imported = await importSession({ ...args.data, folder: resolve(flags.sessions ?? defaultSessionFolder), hostKind: "cli", now: new Date().toISOString(), onProgress: (share) => progress.show(share, "reading images") });
      progress.end();
      if (!imported.ok) return complain(imported.error);
      const { file, images, presentations, generations } = imported.value;
      if (flags.json === true) process.stdout.write(`${JSON.stringify(imported.value)}\n`);
      else process.stdout.write(`${presentations} presentations of ${images} images in ${generations} generations\nsession    ${file}\n`);
    });
}

function parseWindow(text: string): { readonly startMs: number; readonly endMs: number } {
  const match = /^(-?[\d.]+):(-?[\d.]+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError(`expected a window as from:to in ms, e.g. 50:150, got "${text}".`);
  return { startMs: Number(match[1]), endMs: Number(match[2]) };
}
