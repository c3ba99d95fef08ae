// `evoked plan`: session plans as files. Knows nothing about how they run.
import type { Command } from "commander";
import { defaultPlanFolder, defaultProtocolFolder } from "../../engine/paths.ts";
import { checkPlan, describePlan, findPlan, listPlans } from "../../engine/plans.ts";
import { complain } from "./sessionOptions.ts";

export function registerPlan(program: Command): void {
  const plan = program
    .command("plan")
    .summary("list, show and check session plans")
    .description("A session plan is a list of steps, each a protocol with its settings. Plans come with Evoked or are JSON files in EVOKED_PLANS (default ~/Evoked/plans).")
    .addHelpText("after", "\nExamples\n  evoked plan list\n  evoked plan show standard > mine.json\n  evoked plan validate mine.json\n  evoked run --plan mine.json --rig synthetic --fast");
  plan
    .command("list")
    .description("the plans that there are")
    .option("--json", "as one JSON line")
    .action(async ({ json }: { readonly json?: boolean }) => {
      const plans = await listPlans(defaultPlanFolder);
      if (json === true) process.stdout.write(`${JSON.stringify(plans)}\n`);
      else for (const p of plans) process.stdout.write(`${p.name.padEnd(20)} ${p.problem ?? p.protocols.join(", ")}${p.builtIn ? " (comes with Evoked)" : ""}\n`);
    });
  plan
    .command("show <plan>")
    .description("a plan as JSON with every setting: a name of the list or the path of a file")
    .action(async (name: string) => {
      const found = await findPlan(name, defaultPlanFolder);
      if (!found.ok) return complain(found.error);
      process.stdout.write(`${JSON.stringify(found.value, null, 2)}\n`);
    });
  plan
    .command("validate <plan>")
    .description("checks a plan: its settings, folders and own protocols")
    .option("--json", "as one JSON line")
    .action(async (name: string, { json }: { readonly json?: boolean }) => {
      const found = await findPlan(name, defaultPlanFolder);
      if (!found.ok) return complain(found.error);
      const problems = await checkPlan(found.value.steps, defaultProtocolFolder);
      if (json === true) process.stdout.write(`${JSON.stringify({ plan: found.value.name, steps: found.value.steps.length, problems })}\n`);
      else process.stdout.write(`${describePlan(found.value)}\n${problems.length === 0 ? "Nothing is wrong with it." : problems.map((p) => `  ${p}`).join("\n")}\n`);
      if (problems.length > 0) process.exitCode = 1;
    });
}
