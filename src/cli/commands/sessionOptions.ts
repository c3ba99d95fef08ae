// Command-line options that `demo` and `run` share, and how they become a session's configuration. Knows nothing about engines.
import { readFile } from "node:fs/promises";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { defaultPlanFolder } from "../../engine/paths.ts";
import { findPlan } from "../../engine/plans.ts";
import { sessionConfig } from "../../shared/contract/index.ts";
import type { GenerationResult } from "../../engine/headless.ts";
import type { PlanState, SessionConfig, StepReport } from "../../shared/contract/index.ts";
import { fault, ok } from "../../shared/result.ts";
import type { Fault, Result } from "../../shared/result.ts";

export interface SessionFlags {
  readonly seed?: number;
  readonly generations?: number;
  readonly optimizer?: string;
  readonly generator?: string;
  readonly population?: number;
  readonly target?: number;
  readonly references?: string;
  readonly config?: string;
  readonly sessions?: string;
  readonly json?: boolean;
  readonly startFrom?: string;
  readonly startImage?: number;
  readonly plan?: string;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError(`expected a whole number of 0 or more, got "${text}".`);
  return value;
}

export function addSessionOptions(command: Command): Command {
  return command
    .option("--seed <n>", "seed that decides everything random (default 1)", wholeNumber)
    .option("--generations <n>", "generations to run (default 30)", wholeNumber)
    .option("--optimizer <name>", "optimizer, see `evoked evolve --help` (default: what suits the generator)")
    .option("--generator <id>", "generator, see `evoked models list` (default shapes-g1)")
    .option("--population <n>", "images in a population (default: the optimizer's own)", wholeNumber)
    .option("--target <channel>", "channel index to evolve (default: chosen by tuning)", wholeNumber)
    .option("--start-from <file>", "start where the evolution of that session ended")
    .option("--start-image <id>", "with --start-from: start from the latent of that image of it", wholeNumber)
    .option("--references <folder>", "folder of PNG or JPEG reference images (default: the built-in ones)")
    .option("--config <file>", "JSON file with a whole or partial session configuration; the options above go before it")
    .option("--plan <name or file>", "run the steps of this plan (see `evoked plan list`); the options for evolutions go before its own")
    .option("--sessions <folder>", "folder for the session file")
    .option("--json", "end with one JSON line on standard output");
}

/** File first, flags over it. Errors: `configUnreadable`, `badConfig`. */
export async function readSessionConfig(flags: SessionFlags, base: Record<string, unknown> = {}): Promise<Result<SessionConfig, Fault>> {
  let fromFile: Record<string, unknown> = {};
  if (flags.config !== undefined) {
    try {
      const parsed: unknown = JSON.parse(await readFile(flags.config, "utf8"));
      if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return fault("badConfig", `Expected a JSON object in ${flags.config}, got ${Array.isArray(parsed) ? "an array" : typeof parsed}.`);
      fromFile = Object.fromEntries(Object.entries(parsed));
    } catch (error) {
      return fault("configUnreadable", `Expected a JSON session configuration in ${flags.config}, got: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const evolution = { ...object(base["evolution"]), ...object(fromFile["evolution"]) };
  const threads = Array.isArray(evolution["threads"]) && evolution["threads"].length > 0 ? evolution["threads"].map(object) : [{}];
  const merged = {
    ...base,
    ...fromFile,
    ...given({ seed: flags.seed, folder: flags.sessions }),
    evolution: {
      ...evolution,
      ...given({ generations: flags.generations, referenceFolder: flags.references }),
      threads: threads.map((t) => ({ ...t, ...given({ optimizer: flags.optimizer, generator: flags.generator, populationSize: flags.population, target: flags.target, startFrom: startFrom(flags) }) })),
    },
  };
  const plan = flags.plan === undefined ? null : await findPlan(flags.plan, defaultPlanFolder);
  if (plan !== null && !plan.ok) return plan;
  if (plan !== null) {
    Object.assign(merged, {
      plan: plan.value.steps.map((step) => step.protocol !== "evolution" ? step : {
        ...step, ...given({ generations: flags.generations, referenceFolder: flags.references }),
        threads: step.threads.map((t) => ({ ...t, ...given({ optimizer: flags.optimizer, generator: flags.generator, populationSize: flags.population, target: flags.target, startFrom: startFrom(flags) }) })),
      }),
    });
  }
  const config = sessionConfig.safeParse(merged);
  if (!config.success) {
    const first = config.error.issues[0];
    return fault("badConfig", `The session configuration is not right at "${first?.path.join(".") ?? ""}": ${first?.message ?? "unknown"}. Correct it${flags.config === undefined ? "" : ` in ${flags.config}`} and start again.`);
  }
  return ok(config.data);
}

function startFrom(flags: SessionFlags): object | undefined {
  return flags.startFrom === undefined ? undefined : { file: flags.startFrom, imageId: flags.startImage ?? null };
}

function object(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {};
}

function given<T extends Record<string, unknown>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined)) as Partial<T>;
}

/** One line that is drawn over itself, on a terminal only; standard error, so that standard output stays for results. */
export function createProgress(): { readonly show: (share: number, text: string) => void; readonly end: () => void } {
  const onTerminal = process.stderr.isTTY === true;
  const width = 30;
  return {
    show(share, text) {
      if (!onTerminal) return;
      const full = Math.round(Math.min(1, Math.max(0, share)) * width);
      process.stderr.write(`\r\u001b[K${"█".repeat(full)}${"░".repeat(width - full)} ${text}`);
    },
    end() {
      if (onTerminal) process.stderr.write("\n");
    },
  };
}

/** The progress line of a session: its generation, or its step and how far that is. */
export function progressOf({ generation, generations, last, plan }: { readonly generation: number; readonly generations: number; readonly last: GenerationResult | null; readonly plan: PlanState }): { readonly share: number; readonly text: string } {
  const evolved = last === null ? "" : `: ${last.evolved.mean.toFixed(1)} spikes/s, references ${last.reference.mean.toFixed(1)}`;
  if (plan.steps.length <= 1) return { share: generations === 0 ? 0 : generation / generations, text: `generation ${generation} of ${generations}${evolved}` };
  const at = plan.current ?? plan.steps.filter((s) => s.state !== "waiting").length;
  const step = plan.steps[at];
  if (step === undefined) return { share: 1, text: "all steps are done" };
  const own = step.planned === 0 ? 0 : Math.min(1, step.settled / step.planned);
  return { share: (at + own) / plan.steps.length, text: `step ${at + 1} of ${plan.steps.length}, ${step.title}: ${step.message}` };
}

/** What came of every step, for a terminal. */
export function describeSteps(steps: readonly StepReport[]): string {
  return steps.map((s) => `${s.step + 1}  ${s.title}${s.outcome === "skipped" ? " (skipped)" : ""}\n${s.sentences.map((sentence) => `   ${sentence}\n`).join("")}`).join("");
}

/** Ctrl-C and a polite kill end the session cleanly; a second one ends the program. */
export function stopOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  return stop.signal;
}

export function complain(problem: Fault): void {
  process.stderr.write(`evoked: ${problem.message}\n`);
  process.exitCode = 1;
}

/** "port=5556" -> number, "loop=true" -> boolean, "port=null" -> none, lists and objects as JSON, else text. */
export function parseOptions(pairs: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      const name = at < 0 ? pair : pair.slice(0, at);
      const text = at < 0 ? "true" : pair.slice(at + 1);
      const value = text === "true" ? true : text === "false" ? false : text === "null" ? null : /^[[{]/.test(text) ? readJson(text) : text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
      return [name, value];
    }),
  );
}

/** What is not JSON after all stays text, for the option's own complaint. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
