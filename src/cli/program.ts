// The `evoked` command: names its subcommands and turns their failures into sentences and exit codes.
// Knows nothing about what they do.
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { exitCodes, reportFailure } from "../engine/exit.ts";

const version = /"version": "([^"]+)"/.exec(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))?.[1] ?? "unknown";

type Register = (program: Command) => void;

/** Loaded when named, so that a command does not wait for the packages of the others. In the order of the help. */
const commands: Readonly<Record<string, () => Promise<Register>>> = {
  serve: async () => (await import("./commands/serve.ts")).registerServe,
  run: async () => (await import("./commands/run.ts")).registerRun,
  demo: async () => (await import("./commands/demo.ts")).registerDemo,
  rig: async () => (await import("./commands/rig.ts")).registerRig,
  plan: async () => (await import("./commands/plan.ts")).registerPlan,
  "display-test": async () => (await import("./commands/displayTest.ts")).registerDisplayTest,
  replay: async () => (await import("./commands/replay.ts")).registerReplay,
  export: async () => (await import("./commands/export.ts")).registerExport,
  import: async () => (await import("./commands/import.ts")).registerImport,
  evolve: async () => (await import("./commands/evolve.ts")).registerEvolve,
  models: async () => (await import("./commands/models.ts")).registerModels,
  fit: async () => (await import("./commands/fit.ts")).registerFit,
  analyse: async () => (await import("./commands/analyse.ts")).registerAnalyse,
  ablate: async () => (await import("./commands/ablate.ts")).registerAblate,
  "diverse-set": async () => (await import("./commands/diverseSet.ts")).registerDiverseSet,
  reproduce: async () => (await import("./commands/reproduce.ts")).registerReproduce,
};

/** The command line for these arguments: with one command where they name one, with all of them otherwise. */
export async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command("evoked")
    .description("Closed-loop evolution of preferred images, in silico ablation and session recording for visual neuroscience.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help of a command")
    .showHelpAfterError("Run evoked --help for the commands, evoked COMMAND --help for one of them.")
    .exitOverride((end) => {
      // A command that is a program of its own has ended, after parseAsync has long returned.
      if (end.code === "commander.executeSubCommandAsync") process.exitCode = end.exitCode;
      else throw end;
    })
    .addHelpText("after", `
Exit codes: 0 done, 1 failed (the sentence on standard error says what to do), 2 wrong usage, 70 a defect of Evoked, 130 ended by Ctrl+C.
Environment: EVOKED_SESSIONS folder of session files, EVOKED_MODELS further folder of models, EVOKED_PLANS folder of
session plans, EVOKED_PROTOCOLS folder of your own protocols, EVOKED_BROWSER browser to open.`);
  const named = commands[args[0] ?? ""];
  for (const load of named === undefined ? Object.values(commands) : [named]) (await load())(program);
  return program;
}

/** Runs one command line; answers the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await (await createProgram(args)).parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    return reportFailure(error);
  }
}
