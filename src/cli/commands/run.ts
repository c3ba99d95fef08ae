// `evoked run`: a session on any rig, without a window, in real time. Knows nothing about how a session runs.
import { resolve } from "node:path";
import type { Command } from "commander";
import { runHeadlessSession } from "../../engine/headless.ts";
import { builtInModels, defaultSessionFolder, userModels, userRigs } from "../../engine/paths.ts";
import { readResumePoint } from "../../engine/resume.ts";
import { rigKinds } from "../../engine/rig.ts";
import { readRigProfile } from "../../engine/rigProfiles.ts";
import { ok } from "../../shared/result.ts";
import { addSessionOptions, complain, createProgress, describeSteps, parseOptions, progressOf, readSessionConfig, stopOnSignal } from "./sessionOptions.ts";
import type { SessionFlags } from "./sessionOptions.ts";

export function registerRun(program: Command): void {
  addSessionOptions(program.command("run"))
    .summary("run a session on any rig without a window")
    .description("Runs an evolution in real time on a rig of the list. Without a subject's screen the engine times the images itself and the onsets are recorded as such.")
    .option("--rig <kind>", `one of ${rigKinds.map((r) => r.kind).join(", ")}`, "synthetic")
    .option("--rig-profile <name>", "a rig saved under that name, with its eye tracker, reward and sync; --rig and --rig-option are then left out")
    .option("--rig-option <name=value...>", "an option of that rig, e.g. host=127.0.0.1")
    .option("--external-task <folder>", "another program runs the subject and shows the images, agreed through this folder (docs/external-task.md); codes: display.external in --config")
    .option("--resume <file>", "go on with an interrupted session, with its own configuration")
    .option("--fast", "only on the synthetic rig: run as fast as the machine allows")
    .addHelpText("after", `\n${rigKinds.map((r) => `${r.kind}: ${r.description}\n${r.options.map((o) => `  ${o.name}${o.unit === "" ? "" : ` (${o.unit})`}, default ${String(o.default)}: ${o.description}`).join("\n")}`).join("\n")}\n\nCtrl-C stops the session cleanly.\n\nExample\n  evoked run --rig open-ephys --rig-option host=127.0.0.1 --generations 5 --json`)
    .action(async (flags: SessionFlags & { readonly rig: string; readonly rigProfile?: string; readonly rigOption?: readonly string[]; readonly externalTask?: string; readonly resume?: string; readonly fast?: boolean }) => {
      const past = flags.resume === undefined ? null : readResumePoint(flags.resume);
      if (past !== null && !past.ok) return complain(past.error);
      const profile = flags.rigProfile === undefined ? null : readRigProfile(userRigs, flags.rigProfile);
      if (profile !== null && !profile.ok) return complain(profile.error);
      const rig = profile === null ? { rig: { kind: flags.rig, options: parseOptions(flags.rigOption ?? []) } } : { rig: profile.value.rig, ...(profile.value.onset === undefined ? {} : { response: profile.value.onset }) };
      const config = past === null ? await readSessionConfig(flags, { ...rig, display: flags.externalTask === undefined ? { kind: "timed" } : { kind: "external", external: { folder: resolve(flags.externalTask) } } }) : ok(past.value.config);
      if (!config.ok) return complain(config.error);
      if (flags.fast === true && config.value.rig.kind !== "synthetic") return complain({ code: "notFast", message: `Only the synthetic rig can run faster than real time, got --fast with ${config.value.rig.kind}. Leave --fast out.` });
      if (flags.fast === true && config.value.display.kind === "external") return complain({ code: "notFast", message: "Another program shows the images in real time: leave --fast out." });
      const progress = createProgress();
      const result = await runHeadlessSession({
        config: config.value,
        fast: flags.fast === true,
        ...(flags.resume === undefined ? {} : { resumeFile: flags.resume }),
        modelFolders: [builtInModels, userModels],
        sessionFolder: defaultSessionFolder,
        stop: stopOnSignal(),
        onLog: (severity, message) => {
          if (severity !== "info") process.stderr.write(`${severity}: ${message}\n`);
        },
        onProgress: (done) => progress.show(progressOf(done).share, progressOf(done).text),
      });
      progress.end();
      if (!result.ok) return complain(result.error);
      const { rigSeconds: _rigSeconds, target: _target, steps, ...shown } = result.value;
      const line = config.value.plan.length === 0 ? shown : { ...shown, steps };
      process.stdout.write(flags.json === true ? `${JSON.stringify(line)}\n` : `${describeSteps(steps)}${line.generations} generations, ${line.images} images, session ${line.session}\n`);
    });
}
