// `evoked export`: sessions in the formats that the field reads. Knows nothing about formats.
import { basename } from "node:path";
import type { Command } from "commander";
import { exitCodes } from "../../engine/exit.ts";
import { exportFormats, exportSessions, parseFormats } from "../../engine/exportSession.ts";
import { complain, createProgress } from "./sessionOptions.ts";

export function registerExport(program: Command): void {
  program
    .command("export <files...>")
    .summary("export sessions as NWB, MATLAB, CSV, Parquet, images or SQLite")
    .description("Writes each session in each format, reads the result back and compares it with the session. An export appears under its name only when it is complete, and is noted in the session.")
    .requiredOption("--format <formats>", `one or more of ${exportFormats.join(", ")}, separated by commas`)
    .requiredOption("--out <folder>", "folder for the results; made where it does not exist")
    .option("--overwrite", "replace results that are there")
    .option("--nwb-schema-from <file>", "NWB 2.7.0 file by another program whose cached schema is taken over into NWB exports")
    .option("--no-note", "leave the sessions as they are: where they were exported to is not noted in them")
    .option("--json", "one JSON line per export on standard output")
    .addHelpText(
      "after",
      "\nFormats\n  nwb      NWB 2.7.0 in <out>/sub-<subject>/, named as DANDI names files\n  mat      MATLAB 7.3, one .mat file\n  csv      a folder of CSV files and PNG images; columns.csv explains every column\n" +
        "  parquet  a folder of Parquet files: spikes, presentations, generations and the rest\n  sqlite   a whole copy of the session file, also of one that is being recorded\n  images   the images as PNG with a list and their latent codes\n" +
        "\nEach session keeps a note of what was exported, where to and with which hash; one that is being recorded or cannot be written is exported without.\n" +
        "\nExit code 0: all written and compared. 1: at least one failed; the others are there.\n\nExample\n  evoked export monday.evoked tuesday.evoked --format nwb,csv --out exports",
    )
    .action(async (files: readonly string[], flags: { readonly format: string; readonly out: string; readonly overwrite?: boolean; readonly nwbSchemaFrom?: string; readonly note: boolean; readonly json?: boolean }) => {
      const formats = parseFormats(flags.format);
      if (!formats.ok) return complain(formats.error);
      const stop = new AbortController();
      const onSignal = (): void => stop.abort();
      process.once("SIGINT", onSignal);
      const progress = createProgress();
      const outcomes = await exportSessions(
        { files, formats: formats.value, outDir: flags.out, overwrite: flags.overwrite === true, notedBy: flags.note ? "cli" : null, ...(flags.nwbSchemaFrom === undefined ? {} : { nwbSpecificationsFrom: flags.nwbSchemaFrom }) },
        { signal: stop.signal, onProgress: ({ file, format, index, count, done, stage }) => progress.show((index + done) / count, `${basename(file)} to ${format}: ${stage}`) },
      );
      progress.end();
      process.removeListener("SIGINT", onSignal);
      for (const { file, format, result, notNoted } of outcomes) {
        if (!result.ok) complain(result.error);
        if (notNoted !== null) process.stderr.write(`The export to ${format} is not noted in the session: ${notNoted}\n`);
        if (flags.json === true) process.stdout.write(`${JSON.stringify(result.ok ? { ok: true, ...result.value, noted: flags.note && notNoted === null } : { ok: false, file, format, ...result.error })}\n`);
        else if (result.ok) {
          const { path, sizeBytes, wallMs, checks } = result.value;
          process.stdout.write(`${path}  ${(sizeBytes / 1e6).toFixed(1)} MB in ${(wallMs / 1000).toFixed(1)} s, ${checks} comparisons with the session equal\n`);
        }
      }
      if (stop.signal.aborted) process.exitCode = exitCodes.interrupted;
    });
}
