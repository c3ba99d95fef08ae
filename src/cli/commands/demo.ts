// `evoked demo`: the main job on the synthetic rig, without a window. Knows nothing about how a session runs.
import type { Command } from "commander";
import { runHeadlessSession } from "../../engine/headless.ts";
import { builtInModels, defaultSessionFolder, userModels } from "../../engine/paths.ts";
import { addSessionOptions, complain, createProgress, readSessionConfig, stopOnSignal } from "./sessionOptions.ts";
import type { SessionFlags } from "./sessionOptions.ts";

export function registerDemo(program: Command): void {
  addSessionOptions(program.command("demo"))
    .summary("evolve a synthetic neuron's preferred image, without a window")
    .description(
      "Runs the main job on the synthetic rig: tuning to the reference images, then an evolution with references interleaved.\n" +
        "With --fast on a virtual clock, as fast as the machine allows; one seed then gives one hash. Without it in real time.",
    )
    .option("--fast", "run as fast as the machine allows")
    .addHelpText(
      "after",
      '\nWith --json the last line of standard output is\n  {"session", "generations", "images", "evolved": {"first", "last"}, "reference": {"first", "last"}, "aborted", "wallSeconds", "sha256"}\n(mean rates of the first and last generation in spikes/s; aborted: trials that did not end correct; sha256 over all scores and the final\noptimizer state).\n\nExample\n  evoked demo --seed 7 --generations 30 --fast --json',
    )
    .action(async (flags: SessionFlags & { readonly fast?: boolean }) => {
      const config = await readSessionConfig(flags, { rig: { kind: "synthetic" }, display: { kind: "timed" } });
      if (!config.ok) return complain(config.error);
      const progress = createProgress();
      const result = await runHeadlessSession({
        config: config.value,
        fast: flags.fast === true,
        stop: stopOnSignal(),
        modelFolders: [builtInModels, userModels],
        sessionFolder: defaultSessionFolder,
        onProgress: ({ generation, generations, last }) =>
          progress.show(generation / generations, `generation ${generation} of ${generations}${last === null ? "" : `: ${last.evolved.mean.toFixed(1)} spikes/s, references ${last.reference.mean.toFixed(1)}`}`),
      });
      progress.end();
      if (!result.ok) return complain(result.error);
      const { rigSeconds, target, ...line } = result.value;
      if (flags.json === true) process.stdout.write(`${JSON.stringify(line)}\n`);
      else {
        process.stdout.write(
          `${line.generations} generations, ${line.images} images in ${line.wallSeconds.toFixed(1)} s (${(rigSeconds / line.wallSeconds).toFixed(0)} times real time), channel ${target}\n` +
            `evolved    ${line.evolved.first.toFixed(1)} -> ${line.evolved.last.toFixed(1)} spikes/s\nreferences ${line.reference.first.toFixed(1)} -> ${line.reference.last.toFixed(1)} spikes/s\n` +
            `session    ${line.session}\n`,
        );
      }
    });
}
