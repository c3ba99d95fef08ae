// `evoked demo`: the main job on the synthetic rig, without a window. Knows nothing about how a session runs.
import type { Command } from "commander";
import { runHeadlessSession } from "../../engine/headless.ts";
import { builtInModels, defaultSessionFolder, userModels } from "../../engine/paths.ts";
import { addSessionOptions, complain, createProgress, describeSteps, progressOf, readSessionConfig, stopOnSignal } from "./sessionOptions.ts";
import type { SessionFlags } from "./sessionOptions.ts";

/** With a plan the neurons see beside the fixation spot, so that mapping has something to find. */
const offCentre = { fieldXDeg: 2, fieldYDeg: -1.5 };

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
      '\nWith --json the last line of standard output is\n  {"session", "generations", "images", "evolved": {"first", "last"}, "reference": {"first", "last"}, "aborted", "wallSeconds", "sha256"}\n(mean rates of the first and last generation in spikes/s; aborted: trials that did not end correct; sha256 over all scores and the final\noptimizer state).\n\nExample\n  evoked demo --seed 7 --generations 30 --fast --json\n  evoked demo --plan standard --fast    (mapping, diverse set, evolution, localisation, neuron models and their validation)',
    )
    .action(async (flags: SessionFlags & { readonly fast?: boolean }) => {
      const config = await readSessionConfig(flags, { rig: { kind: "synthetic", options: flags.plan === undefined ? {} : offCentre }, display: { kind: "timed" } });
      if (!config.ok) return complain(config.error);
      const progress = createProgress();
      const result = await runHeadlessSession({
        config: config.value,
        fast: flags.fast === true,
        stop: stopOnSignal(),
        modelFolders: [builtInModels, userModels],
        sessionFolder: defaultSessionFolder,
        onProgress: (done) => progress.show(progressOf(done).share, progressOf(done).text),
      });
      progress.end();
      if (!result.ok) return complain(result.error);
      const { rigSeconds, target, steps, ...shown } = result.value;
      const line = config.value.plan.length === 0 ? shown : { ...shown, steps };
      if (flags.json === true) process.stdout.write(`${JSON.stringify(line)}\n`);
      else {
        process.stdout.write(config.value.plan.length > 0 ? `${describeSteps(steps)}${line.images} images in ${line.wallSeconds.toFixed(1)} s (${(rigSeconds / line.wallSeconds).toFixed(0)} times real time)\nsession    ${line.session}\n` :
          `${line.generations} generations, ${line.images} images in ${line.wallSeconds.toFixed(1)} s (${(rigSeconds / line.wallSeconds).toFixed(0)} times real time), channel ${target}\n` +
            `evolved    ${line.evolved.first.toFixed(1)} -> ${line.evolved.last.toFixed(1)} spikes/s\nreferences ${line.reference.first.toFixed(1)} -> ${line.reference.last.toFixed(1)} spikes/s\n` +
            `session    ${line.session}\n`,
        );
      }
    });
}
